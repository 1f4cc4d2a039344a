//! What the world outside answers and counts.

use std::time::Instant;

use reqwest::Client;
use serde_json::Value;

use super::*;

fn client() -> Client {
    // The first to install a provider wins, and all of them install the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn every_call_is_counted_by_path_and_run() {
    let outside = Outside::start(Duration::ZERO).await.unwrap();
    let client = client();
    for (run, path) in [("7", "/ip"), ("7", "/ip"), ("8", "/ip"), ("7", "/block")] {
        let (status, _) = answer(client.get(format!("{}{path}?x=1&run={run}", outside.url()))).await;
        assert_eq!(status, 200);
    }
    assert_eq!(answer(client.get(format!("{}/nowhere", outside.url()))).await.0, 404);
    let counts = outside.counts();
    assert_eq!((counts["/ip"], counts["/block"], counts["/case"], outside.unknown()), (3, 1, 0, 1));
    assert_eq!(outside.runs("/ip"), BTreeMap::from([("7".to_owned(), 2), ("8".to_owned(), 1)]));
    assert_eq!(outside.runs("/block")["8"], 0);
    outside.forget();
    assert!(outside.runs("/ip").is_empty() && outside.counts()["/ip"] == 0);
}

#[tokio::test]
async fn every_path_answers_json_and_echo_gives_back_what_it_got() {
    let outside = Outside::start(Duration::ZERO).await.unwrap();
    let client = client();
    for path in PATHS {
        let (status, body) = answer(client.get(format!("{}{path}", outside.url()))).await;
        assert!(status == 200 && body.is_object(), "{path}: {body}");
    }
    let sent = json!({ "a": [1, null] });
    let echo = client.post(format!("{}/echo", outside.url())).json(&sent);
    assert_eq!(answer(echo).await, (200, sent));
}

#[tokio::test]
async fn an_answer_takes_as_long_as_it_is_told() {
    let delay = Duration::from_millis(50);
    let outside = Outside::start(delay).await.unwrap();
    let began = Instant::now();
    answer(client().get(format!("{}/ip", outside.url()))).await;
    assert!(began.elapsed() >= delay);
}
