//! The token of a connection, against a server that counts.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::peer::{Peer, Received, Reply};
use super::*;

const AGENT: &str = r#"{"error":0,"data":{"affected_items":[{"id":"001","name":"web-01","status":"active"}],"failed_items":[]}}"#;
const INVALID_TOKEN: &str = r#"{"title":"Unauthorized","detail":"Invalid token"}"#;

/// A Wazuh whose tokens are numbered; the script says which of them it takes.
async fn wazuh(takes: impl Fn(usize, &Received) -> bool + Send + Sync + 'static) -> (Peer, Nodes) {
    let issued = AtomicUsize::new(0);
    let peer = Peer::start(move |_, received| {
        if received.line() == "POST /security/user/authenticate" {
            let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
            return Reply::Json(200, format!(r#"{{"error":0,"data":{{"token":"token-number-{number}"}}}}"#));
        }
        let token =
            received.header("authorization").and_then(|value| value.strip_prefix("Bearer token-number-"));
        let number = token.and_then(|number| number.parse().ok()).unwrap_or(0);
        if takes(number, received) {
            Reply::Json(200, AGENT.to_owned())
        } else {
            Reply::Json(401, INVALID_TOKEN.to_owned())
        }
    })
    .await;
    let nodes = nodes(connection("wazuh", peer.http()));
    (peer, nodes)
}

async fn get_agent(nodes: &Nodes) -> Outcome {
    call(nodes, "wazuh.get_agent", json!({ "agent": "001" })).await
}

fn logins(peer: &Peer) -> usize {
    peer.lines().iter().filter(|line| line.contains("authenticate")).count()
}

#[tokio::test]
async fn a_hundred_calls_share_one_login() {
    let (peer, nodes) = wazuh(|_, _| true).await;
    let outcomes = futures::future::join_all((0..100).map(|_| get_agent(&nodes))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Succeeded(_))));
    assert_eq!((logins(&peer), peer.seen().len()), (1, 101));
    assert_eq!(peer.seen()[0].header("authorization"), Some("Basic c29hcjpzM2NyZXQtUGFzc3cwcmQ="));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_revoked_costs_one_login_and_one_repeat() {
    let first_is_dead = Arc::new(Mutex::new(false));
    let dead = first_is_dead.clone();
    let (peer, nodes) = wazuh(move |number, _| number != 1 || !*dead.lock().unwrap()).await;
    get_agent(&nodes).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    *first_is_dead.lock().unwrap() = true;
    let outcomes = futures::future::join_all((0..20).map(|_| get_agent(&nodes))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Succeeded(_))));
    assert_eq!(logins(&peer), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_token_that_is_dead_is_replaced_in_the_next_second() {
    let (peer, nodes) = wazuh(|number, _| number == 2).await;
    let start = Instant::now();
    let outcome = get_agent(&nodes).await;
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{}", shown(&outcome));
    assert!(start.elapsed() >= Duration::from_millis(1100));
    assert_eq!(logins(&peer), 2);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_never_taken_end_after_two_logins_for_everybody() {
    let (peer, nodes) = wazuh(|_, _| false).await;
    let outcomes = futures::future::join_all((0..50).map(|_| get_agent(&nodes))).await;
    assert_snapshot!(shown(&outcomes[0]), @"
    failed auth: Wazuh refuses tokens that it has just issued
      help: each node of a cluster accepts its own tokens only: name one node, or make the load balancer sticky; else somebody changes or logs out this user at the same time, or the clock of the API host was set back
    ");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Failed(_))));
    assert_eq!(logins(&peer), 2);
    get_agent(&nodes).await;
    assert_eq!(logins(&peer), 2);
}

#[tokio::test(start_paused = true)]
async fn a_disruptive_call_is_repeated_only_after_a_refused_token() {
    let (peer, nodes) = wazuh(|number, _| number == 2).await;
    let inputs = json!({ "agent": "001", "command": "!firewall-drop", "alert": { "data": { "srcip": "203.0.113.9" } } });
    call(&nodes, "wazuh.active_response", inputs).await;
    let calls: Vec<Received> =
        peer.seen().into_iter().filter(|seen| seen.line().starts_with("PUT")).collect();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].body, calls[1].body);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_once_by_a_hundred_calls_and_again_later() {
    let peer = Peer::start(|_, _| {
        Reply::Json(401, r#"{"title":"Unauthorized","detail":"Invalid credentials"}"#.to_owned())
    })
    .await;
    let nodes = nodes(connection("wazuh", peer.http()));
    let outcomes = futures::future::join_all((0..100).map(|_| get_agent(&nodes))).await;
    assert_snapshot!(shown(&outcomes[99]), @"
    failed auth: Wazuh does not accept the user `soar` with this password (remembered for 15s at most, then asked again)
      help: take the user and the password of an API user (the defaults are wazuh and wazuh-wui), not those of the dashboard or the indexer; after 50 refused logins Wazuh blocks this address for 300 s
    ");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Failed(_))));
    assert_eq!(peer.lines(), ["POST /security/user/authenticate"]);
    tokio::time::advance(Duration::from_secs(16)).await;
    get_agent(&nodes).await;
    assert_eq!(peer.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_not_answered_has_sent_nothing() {
    let peer = Peer::start(|_, _| Reply::Silence).await;
    let nodes = nodes(connection("wazuh", peer.http()));
    assert_snapshot!(shown(&get_agent(&nodes).await), @"failed timeout: the login to `wazuh` had no answer within 20s");
}

#[tokio::test]
async fn a_login_that_breaks_off_has_sent_nothing() {
    let peer =
        Peer::start(|_, _| Reply::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n".to_owned())).await;
    let nodes = nodes(connection("wazuh", peer.http()));
    assert_snapshot!(shown(&get_agent(&nodes).await), @"failed reset: while logging in, the answer of peer broke off: end of file before message length reached");
    assert_eq!(peer.seen().len(), 1);
}

#[tokio::test]
async fn a_login_without_a_token_says_so() {
    let peer = Peer::start(|_, _| Reply::Json(200, r#"{"hello":"you"}"#.to_owned())).await;
    let nodes = nodes(connection("wazuh", peer.http()));
    assert_snapshot!(shown(&get_agent(&nodes).await), @"failed response: the login to `wazuh` answered 200, and the answer cannot be read: it holds no token where one should stand");
}

#[tokio::test]
async fn the_proof_of_a_connection_shows_no_token() {
    let (_, nodes) = {
        let peer = Peer::start(|_, received| match received.line() {
            "GET /security/users/me" => {
                Reply::Json(200, r#"{"data":{"affected_items":[{"username":"soar","roles":[]}]}}"#.to_owned())
            }
            _ => Reply::Json(
                200,
                r#"{"data":{"token":"e30.eyJuYmYiOjE3OTUzMTU5MDQsImV4cCI6MTc5NTMxNjAyNH0.signature"}}"#
                    .to_owned(),
            ),
        })
        .await;
        let nodes = nodes(connection("wazuh", peer.http()));
        (peer, nodes)
    };
    let outcome = call(&nodes, "wazuh.authenticate", json!({})).await;
    assert_eq!(shown(&outcome), r#"succeeded {"lifetime_s":120,"roles":"","user":"soar"}"#);
}
