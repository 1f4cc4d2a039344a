//! What the other side says about us does not get out.

use super::peer::{Peer, Received, Reply};
use super::*;

fn holds_no_secret(outcome: &Outcome) {
    let text = format!("{outcome:?}");
    for secret in ["0123456789abcdef", "s3cret-Passw0rd", "c29hcjpz", "a-token-of-some-length", "MDEyMzQ1"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[tokio::test]
async fn a_server_that_echoes_the_headers_gives_nothing_away() {
    for status in [200, 201, 400, 401, 403, 500] {
        let peer = Peer::start(move |_, received| {
            if received.line().contains("authenticate") && status != 401 {
                return Reply::Json(200, r#"{"data":{"token":"a-token-of-some-length"}}"#.to_owned());
            }
            let echo = received.header("authorization").unwrap_or_default();
            let padded = format!("{}{echo}", "x".repeat(285));
            Reply::Json(
                status,
                json!({ "_id": echo, "detail": padded, "message": padded, echo: [echo] }).to_string(),
            )
        })
        .await;
        let wazuh = nodes(connection("wazuh", peer.http()));
        holds_no_secret(&call(&wazuh, "wazuh.get_agent", json!({ "agent": "001" })).await);
        let thehive = nodes(connection("thehive", peer.http()));
        holds_no_secret(
            &call(&thehive, "thehive.add_comment", json!({ "case": "~1", "message": "x" })).await,
        );
    }
}

#[tokio::test]
async fn headers_that_hand_a_secret_out_are_not_shown() {
    let answer = |status: u16, header: &'static str| {
        move |_, _: &Received| {
            Reply::Bytes(format!("HTTP/1.1 {status} X\r\n{header}\r\ncontent-length: 2\r\n\r\n{{}}"))
        }
    };
    for header in [
        "Set-Cookie: session=s3cret-Passw0rd",
        "X-Auth-Token: s3cret-Passw0rd",
        "X-Subject-Token: s3cret-Passw0rd",
        "X-Api-Key: s3cret-Passw0rd",
        "Authorization: Bearer s3cret-Passw0rd",
        "Authentication-Info: nextnonce=s3cret-Passw0rd",
    ] {
        let peer = Peer::start(answer(200, header)).await;
        let shown = shown(&post(peer.http()).await);
        assert_eq!(shown, r#"succeeded {"headers":{"content-length":"2"},"json":{},"status":200}"#);
    }
    let header = "WWW-Authenticate: Basic realm=\"x\"";
    let peer = Peer::start(answer(200, header)).await;
    assert!(shown(&post(peer.http()).await).contains("www-authenticate"));
    let header = "Location: https://a:s3cret-Passw0rd@idp.example/in?code=s3cret-Passw0rd";
    let peer = Peer::start(answer(307, header)).await;
    assert_snapshot!(shown(&post(peer.http()).await), @"
    failed http_307: POST / answered 307: {}
      help: redirects are not followed; this one leads to https://...@idp.example/in
    ");
}

#[tokio::test]
async fn the_credentials_of_a_connection_go_nowhere_else() {
    let (ours, evil) = (
        Peer::start(|_, _| Reply::Json(200, "{}".to_owned())).await,
        Peer::start(|_, _| Reply::Json(200, "{}".to_owned())).await,
    );
    let nodes = nodes(connection("thehive", format!("{}/thehive", ours.http())));
    let manifest = manifest("http");
    let at = async |url: String| {
        let inputs = json!({ "url": url });
        let call = Call {
            manifest,
            connection: Some("thehive"),
            inputs: &inputs,
            call: &Arc::default(),
            timeout: Duration::from_secs(30),
        };
        shown(&nodes.perform(call).await)
    };
    assert!(at(format!("{}/thehive/api/x", evil.http())).await.starts_with("failed input: "));
    assert!(at(format!("{}/other", ours.http())).await.starts_with("failed input: "));
    assert!(at(format!("{}/thehive/../other", ours.http())).await.starts_with("failed input: "));
    assert_eq!((ours.seen().len(), evil.seen().len()), (0, 0));
    assert!(at("/api/status".to_owned()).await.starts_with("succeeded"));
    assert!(at(format!("{}/thehive/api/status", ours.http())).await.starts_with("succeeded"));
    assert_eq!(ours.lines(), ["GET /thehive/api/status", "GET /thehive/api/status"]);
    assert_eq!(ours.seen()[0].header("authorization"), Some("Bearer 0123456789abcdef"));
}

#[tokio::test]
async fn a_node_cannot_set_the_header_that_says_who_we_are() {
    let peer = Peer::start(|_, _| Reply::Json(200, "{}".to_owned())).await;
    let nodes = nodes(connection("thehive", peer.http()));
    let inputs = json!({ "url": "/x", "headers": { "Authorization": "Bearer other" } });
    let manifest = manifest("http");
    nodes
        .perform(Call {
            manifest,
            connection: Some("thehive"),
            inputs: &inputs,
            call: &Arc::default(),
            timeout: Duration::from_secs(30),
        })
        .await;
    assert_eq!(peer.seen()[0].header("authorization"), Some("Bearer 0123456789abcdef"));
}
