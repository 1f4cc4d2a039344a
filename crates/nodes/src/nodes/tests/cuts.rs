//! Where a connection breaks decides whether the call may have happened.

use super::peer::{Cut, Peer, Received, Reply};
use super::tls::SELF_SIGNED;
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

/// Every point at which the other side can cut a connection.
const CUTS: [Cut; 8] = [
    Cut::Unaccepted,
    Cut::Unread,
    Cut::AfterHead,
    Cut::InBody,
    Cut::AfterBody,
    Cut::InStatus,
    Cut::InHeaders,
    Cut::InAnswer,
];

/// More than the buffers of a connection hold, so that a part of it is still here when the other side is gone.
fn large() -> Value {
    "x".repeat(7 * 1024 * 1024).into()
}

fn verdict(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded(_) => "succeeded",
        Outcome::Failed(_) => "failed",
        Outcome::Unknown(_) => "unknown",
    }
}

async fn send(method: &str, url: &str, body: Value) -> Outcome {
    let nodes = Nodes::new(&BUILTIN.1, &BTreeMap::new()).unwrap();
    call(&nodes, "http", json!({ "method": method, "url": url, "json": body })).await
}

/// What becomes of a call of each kind to a peer that cuts there. None is sent a second time.
async fn row(name: &str, cut: Option<Cut>) -> String {
    let calls = [
        ("PUT", json!({ "block": "203.0.113.9" })),
        ("POST", large()),
        ("PUT", Value::Null),
        ("GET", Value::Null),
    ];
    let mut verdicts = Vec::new();
    for (method, body) in calls {
        if cut == Some(Cut::InBody) && body.is_null() {
            verdicts.push("-");
            continue;
        }
        let peer = match cut {
            Some(cut) => Peer::cut(cut).await,
            None => Peer::nobody().await,
        };
        verdicts.push(verdict(&send(method, &peer.http(), body).await));
        assert!(peer.connections() <= 1, "{name}: {method} was sent again");
    }
    verdicts.push(verdict_over_tls(name, cut).await);
    let cells: Vec<String> = verdicts.iter().map(|verdict| format!("{verdict:<9}")).collect();
    format!("{name:<10} {}", cells.join(" ")).trim_end().to_owned()
}

async fn verdict_over_tls(name: &str, cut: Option<Cut>) -> &'static str {
    let (acceptor, fingerprint) = SELF_SIGNED.clone();
    let peer = match cut {
        Some(cut) => Peer::cut_tls(acceptor, cut).await,
        None => Peer::nobody().await,
    };
    let tls = Tls::Fingerprint(fingerprint);
    let nodes = nodes(ConnectionSettings { tls, ..connection("thehive", peer.https()) });
    let outcome = call(&nodes, "thehive.add_comment", json!({ "case": "~1", "message": "x" })).await;
    assert!(peer.connections() <= 1, "{name}: POST over TLS was sent again");
    verdict(&outcome)
}

#[tokio::test]
async fn the_point_of_the_cut_decides() {
    let mut rows = vec!["cut        PUT       POST 7 MB PUT empty GET       POST TLS".to_owned()];
    rows.push(row("Nobody", None).await);
    for cut in CUTS {
        rows.push(row(&format!("{cut:?}"), Some(cut)).await);
    }
    assert_snapshot!(rows.join("\n"), @"
    cut        PUT       POST 7 MB PUT empty GET       POST TLS
    Nobody     failed    failed    failed    failed    failed
    Unaccepted unknown   unknown   unknown   unknown   failed
    Unread     unknown   unknown   unknown   unknown   failed
    AfterHead  unknown   unknown   unknown   unknown   unknown
    InBody     unknown   unknown   -         -         unknown
    AfterBody  unknown   unknown   unknown   unknown   unknown
    InStatus   unknown   unknown   unknown   unknown   unknown
    InHeaders  unknown   unknown   unknown   unknown   unknown
    InAnswer   unknown   unknown   unknown   unknown   unknown
    ");
}

#[tokio::test]
async fn what_may_have_left_says_how_far_it_came() {
    for cut in [Cut::Unread, Cut::AfterHead, Cut::AfterBody, Cut::InStatus, Cut::InHeaders] {
        let peer = Peer::cut(cut).await;
        let shown = shown(&post(peer.http()).await);
        assert!(
            shown.starts_with("unknown reset: the connection to peer was lost before an answer came"),
            "{cut:?}: {shown}"
        );
    }
}

const COMMENT: &str = "HTTP/1.1 201 X\r\ncontent-length: 12\r\n\r\n{\"_id\":\"~1\"}";

/// The second of two calls over one connection, to a peer that says this to the first; and which requests it has seen.
async fn second(script: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> (String, usize) {
    let peer = Peer::start(script).await;
    let nodes = nodes(connection("thehive", peer.http()));
    let comment = || call(&nodes, "thehive.add_comment", json!({ "case": "~1", "message": "x" }));
    assert_eq!(shown(&comment().await), r#"succeeded {"_id":"~1"}"#);
    // One thread runs both sides: what the peer does with the connection after its answer has come by then.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let outcome = comment().await;
    (shown(&outcome), peer.seen().len())
}

fn second_id() -> Reply {
    Reply::Json(201, r#"{"_id":"~2"}"#.to_owned())
}

#[tokio::test]
async fn a_kept_connection_that_the_peer_has_closed_is_not_used() {
    let closed = |number, _: &Received| match number {
        0 => Reply::Bytes(COMMENT.to_owned()),
        _ => second_id(),
    };
    assert_eq!(second(closed).await, (r#"succeeded {"_id":"~2"}"#.to_owned(), 2));
}

#[tokio::test]
async fn what_nobody_asked_for_is_no_answer_to_the_next_request() {
    for more in ["HTTP/1.1 408 X\r\ncontent-length: 0\r\n\r\n", COMMENT] {
        let unasked = move |number, _: &Received| match number {
            0 => Reply::AndMore(COMMENT.to_owned(), more.to_owned()),
            _ => second_id(),
        };
        assert_eq!(second(unasked).await, (r#"succeeded {"_id":"~2"}"#.to_owned(), 2), "{more}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_is_cut_under_a_request_is_not_replaced() {
    let cut = |number, _: &Received| match number {
        0 => Reply::Json(201, r#"{"_id":"~1"}"#.to_owned()),
        _ => Reply::Cut,
    };
    let (outcome, seen) = second(cut).await;
    assert_eq!(seen, 2);
    assert_snapshot!(outcome, @"
    unknown reset: the connection to peer was lost before an answer came: connection closed before message completed
      help: it may have been done: look there before it is sent again; the URL begins with http://: a server that speaks TLS on this port closes such connections
    ");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_unknown_unless_its_status_is_a_refusal() {
    let half =
        |status: u16| Reply::Bytes(format!("HTTP/1.1 {status} X\r\ncontent-length: 100\r\n\r\n{{\"a\":"));
    let peer = Peer::start(move |_, _| half(200)).await;
    assert_snapshot!(shown(&post(peer.http()).await), @"
    unknown reset: the answer of peer broke off: end of file before message length reached
      help: it may have been done: look there before it is sent again
    ");
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
      help: it may have been done: look there before it is sent again; the port belongs to another service, or it speaks TLS and the URL begins with http://
    ");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_unknown() {
    let peer = Peer::start(|_, _| Reply::Json(200, format!("\"{}\"", "x".repeat(9 * 1024 * 1024)))).await;
    assert_snapshot!(shown(&post(peer.http()).await), @"
    unknown response: the answer is larger than 8 MiB
      help: it may have been done: look there before it is sent again
    ");
}

#[tokio::test(start_paused = true)]
async fn no_answer_in_time_is_unknown_for_the_peer_may_have_acted() {
    for method in ["POST", "PUT", "GET"] {
        let peer = Peer::start(|_, _| Reply::Silence).await;
        let outcome = send(method, &peer.http(), Value::Null).await;
        assert_eq!(shown(&outcome), "unknown timeout: no complete answer within 30s");
        assert_eq!(peer.lines(), [format!("{method} /")]);
    }
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
    let nodes = nodes(slow);
    let outcome = call(&nodes, "thehive.add_comment", json!({ "case": "~1", "message": "x" })).await;
    assert_snapshot!(shown(&outcome), @"failed timeout: no connection within 30s");
    let outcome = call(&nodes, "thehive.get_task", json!({ "task": "~1" })).await;
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
