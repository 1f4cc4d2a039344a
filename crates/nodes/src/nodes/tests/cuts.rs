//! Where a connection breaks decides whether the call may have happened.

use super::peer::{Cut, Peer, Reply};
use super::*;

#[tokio::test]
async fn what_never_left_has_failed() {
    assert_snapshot!(shown(&post(Peer::nobody().await.http()).await), @"
    failed connect: peer refuses connections
      help: the host is there and nothing listens on this port: is the service running, is the port right?
    ");
    let nowhere = format!("http://{}.invalid/", "x".repeat(70));
    let shown = shown(&post(nowhere).await);
    assert!(shown.starts_with("failed dns: the host name xxx"), "{shown}");
}

#[tokio::test]
async fn what_may_have_left_is_unknown() {
    for cut in [Cut::Unread, Cut::AfterHead, Cut::AfterBody] {
        let peer = Peer::cut(cut).await;
        let shown = shown(&post(peer.http()).await);
        assert!(
            shown.starts_with("unknown reset: the connection to peer was lost before an answer came"),
            "{cut:?}: {shown}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_unknown_unless_its_status_is_a_refusal() {
    let half =
        |status: u16| Reply::Bytes(format!("HTTP/1.1 {status} X\r\ncontent-length: 100\r\n\r\n{{\"a\":"));
    let peer = Peer::start(move |_, _| half(200)).await;
    assert_snapshot!(shown(&post(peer.http()).await), @"unknown reset: the answer of peer broke off: end of file before message length reached");
    let peer = Peer::start(move |_, _| half(400)).await;
    assert_snapshot!(shown(&post(peer.http()).await), @r#"failed http_400: POST / answered 400: {"a":"#);
    let peer = Peer::start(move |_, _| half(500)).await;
    assert_snapshot!(shown(&post(peer.http()).await), @r#"unknown http_500: POST / answered 500: {"a":"#);
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_unknown() {
    let peer = Peer::start(|_, _| Reply::Bytes("\u{15}\u{3}\u{1}\u{2}garbage\r\n\r\n".to_owned())).await;
    assert_snapshot!(shown(&post(peer.http()).await), @"
    unknown response: the answer of peer is not HTTP: invalid HTTP version parsed
      help: the port belongs to another service, or it speaks TLS and the URL begins with http://
    ");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_unknown() {
    let peer = Peer::start(|_, _| Reply::Json(200, format!("\"{}\"", "x".repeat(9 * 1024 * 1024)))).await;
    assert_snapshot!(shown(&post(peer.http()).await), @"unknown response: the answer is larger than 8 MiB");
}

#[tokio::test(start_paused = true)]
async fn no_answer_in_time_is_unknown() {
    let peer = Peer::start(|_, _| Reply::Silence).await;
    assert_snapshot!(shown(&post(peer.http()).await), @"unknown timeout: no complete answer within 30s");
}

#[tokio::test(start_paused = true)]
async fn no_turn_in_time_has_failed() {
    let peer = Peer::start(|_, _| Reply::Silence).await;
    let nodes = nodes(ConnectionSettings { in_flight: Some(1), ..connection("thehive", peer.http()) });
    let comment = |seconds| {
        let inputs = json!({ "case": "~1", "message": "x" });
        within(Duration::from_secs(seconds), &nodes, "thehive.add_comment", inputs)
    };
    let (first, second) = futures::join!(comment(30), comment(10));
    assert_snapshot!(shown(&first), @"unknown timeout: no complete answer within 30s");
    assert_snapshot!(shown(&second), @"
    failed timeout: no turn within 10s
      help: at most 1 calls over `thehive` are under way at once, and others took all the time
    ");
    assert_eq!(peer.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_connection_in_time_has_failed() {
    let peer = Peer::silent().await;
    assert_snapshot!(shown(&post(peer.https()).await), @"
    failed connect: no connection to peer within 10s
      help: nothing answers there: a firewall drops the packets, the host is down, or the URL is wrong
    ");
    let slow = ConnectionSettings {
        connect_timeout: Some(Duration::from_secs(60)),
        ..connection("thehive", peer.https())
    };
    let outcome = call(&nodes(slow), "thehive.add_comment", json!({ "case": "~1", "message": "x" })).await;
    assert_snapshot!(shown(&outcome), @"failed timeout: no connection within 30s");
}

#[tokio::test]
async fn a_call_is_sent_once_whatever_the_answer() {
    for status in [200, 302, 307, 400, 401, 403, 408, 409, 429, 500, 503] {
        let peer = Peer::start(move |_, _| Reply::Json(status, "{}".to_owned())).await;
        post(peer.http()).await;
        assert_eq!(peer.lines(), ["POST /"], "{status}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_and_we_say_who_we_are() {
    let peer = Peer::start(|_, _| Reply::Json(201, r#"{"_id":"~9"}"#.to_owned())).await;
    let nodes = nodes(connection("thehive", format!("{}/thehive/", peer.http())));
    for _ in 0..3 {
        let outcome = call(&nodes, "thehive.add_comment", json!({ "case": "~1", "message": "x" })).await;
        assert_eq!(shown(&outcome), r#"succeeded {"_id":"~9"}"#);
    }
    let seen = &peer.seen()[2];
    assert_eq!(seen.line(), "POST /thehive/api/v1/case/~1/comment");
    assert_eq!(seen.header("user-agent"), Some(concat!("portcullis/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(seen.header("authorization"), Some("Bearer 0123456789abcdef"));
    assert_eq!(seen.body, r#"{"message":"x"}"#);
}
