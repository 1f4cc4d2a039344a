//! Bodies and addresses that mean harm.

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use hyper::body::Frame;
use insta::assert_snapshot;
use serde_json::json;

use super::bench::{ANA, Bench, alert, call};

/// A body that comes in pieces, without saying how long it is.
struct Pieces {
    piece: Bytes,
    left: usize,
    /// After the last piece nothing comes, not even the end.
    hangs: bool,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return if self.hangs { std::task::Poll::Pending } else { std::task::Poll::Ready(None) };
        }
        self.left -= 1;
        std::task::Poll::Ready(Some(Ok(Frame::data(self.piece.clone()))))
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_an_alert_is_refused_with_the_place_of_the_mistake() {
    let bench = Bench::new().await;
    let deep = "[".repeat(5000);
    let deep_object = format!("{}1{}", r#"{"a":"#.repeat(500), "}".repeat(500));
    let bodies: [&[u8]; 12] = [
        b"",
        b"not json",
        b"{ \"id\": \"1\",\n  \"rule\": }",
        b"{} {}",
        b"[]",
        b"null",
        b"\"text\"",
        b"{ \"a\": \"\xff\" }",
        b"{ \"a\": \"\0\" }",
        b"\xef\xbb\xbf{}",
        deep.as_bytes(),
        deep_object.as_bytes(),
    ];
    let mut answers = String::new();
    for body in bodies {
        answers.push_str(&format!("{}\n", bench.alert("any", body.to_vec()).await.brief()));
    }
    assert_snapshot!(answers, @r"
    422 the body is not JSON: EOF while parsing a value at line 1 column 0
    422 the body is not JSON: expected ident at line 1 column 2
    422 the body is not JSON: expected value at line 2 column 11
    422 the body is not JSON: trailing characters at line 1 column 4
    422 the body is a list, and an alert is an object
    422 the body is null, and an alert is an object
    422 the body is a text, and an alert is an object
    422 the body is not JSON: invalid unicode code point at line 1 column 9
    422 the body is not JSON: control character (\u0000-\u001F) found while parsing a string at line 1 column 9
    422 the body is not JSON: expected value at line 1 column 1
    422 the body is not JSON: recursion limit exceeded at line 1 column 128
    422 the body is not JSON: recursion limit exceeded at line 1 column 636
    ");
    assert_snapshot!(bench.alert("any", "[").await.shown(), @r#"
    422 Unprocessable Entity
    {
      "detail": "the body is not JSON: EOF while parsing a list at line 1 column 1",
      "status": 422,
      "title": "The body is not an alert",
      "type": "urn:portcullis:not-an-alert"
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_alert_may_hold_any_text() {
    let bench = Bench::new().await;
    for body in
        [r#"{ "a": "\u0000" }"#, r#"{ "": { "{{ run.id }}": "${jndi:x}" } }"#, r#"{ "a": 1e308 }"#, "{}"]
    {
        assert_eq!(bench.alert("any", body).await.status, StatusCode::ACCEPTED, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_refused_however_it_comes() {
    let bench = Bench::new().await;
    let huge = "x".repeat(64 * 1024 + 1);
    assert_snapshot!(bench.alert("any", huge.clone()).await.shown(), @r#"
    413 Payload Too Large
    {
      "detail": "more than 65536 bytes are not taken here",
      "status": 413,
      "title": "The body is too large",
      "type": "urn:portcullis:too-large"
    }
    "#);
    let pieces = || Pieces { piece: Bytes::from(vec![b' '; 4096]), left: usize::MAX, hangs: false };
    let endless = bench.alert("any", Body::new(pieces())).await;
    assert_eq!(endless.status, StatusCode::PAYLOAD_TOO_LARGE);
    let mut announced = alert("any", Body::new(Pieces { hangs: true, left: 0, ..pieces() }));
    announced.headers_mut().insert("content-length", "99999999999999".parse().unwrap());
    assert_eq!(bench.send(announced).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let exact = format!("{{{}}}", " ".repeat(64 * 1024 - 2));
    assert_eq!(bench.alert("any", exact).await.status, StatusCode::ACCEPTED);
    let run = bench.waiting_run("1").await;
    let words = bench.send(call("POST", ANA, &format!("/api/v1/approvals/{run}/block"), huge)).await;
    assert_eq!(words.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_is_given_up() {
    let bench = Bench::new().await;
    let hanging = || Body::new(Pieces { piece: Bytes::from_static(b"{"), left: 1, hangs: true });
    assert_snapshot!(bench.alert("any", hanging()).await.shown(), @r#"
    408 Request Timeout
    {
      "detail": "the body did not arrive within 30 s",
      "status": 408,
      "title": "The body took too long",
      "type": "urn:portcullis:too-slow"
    }
    "#);
    let words = call("POST", ANA, "/api/v1/workflows/contain/runs", hanging());
    assert_eq!(bench.send(words).await.status, StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_refused_before_the_body_is_looked_at() {
    let bench = Bench::new().await;
    let hanging = || Body::new(Pieces { piece: Bytes::new(), left: 0, hangs: true });
    let stranger = Request::post("/hooks/any").body(hanging()).unwrap();
    assert_eq!(bench.send(stranger).await.status, StatusCode::UNAUTHORIZED);
    let stranger = call("POST", "x", "/api/v1/workflows/contain/runs", hanging());
    assert_eq!(bench.send(stranger).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn addresses_that_mean_harm_lead_nowhere() {
    let bench = Bench::new().await;
    let mut answers = String::new();
    for path in [
        "/hooks/",
        "/hooks/%ff",
        "/hooks/..%2fapi",
        "/hooks/any/more",
        "/hooks/any%00",
        "/healthz/",
        "//healthz",
    ] {
        let request = Request::post(path).header("x-portcullis-secret", "x").body(Body::empty()).unwrap();
        answers.push_str(&format!("{}\n", bench.send(request).await.brief()));
    }
    assert_snapshot!(answers, @"404 no route for POST /hooks/\n404 no workflow listens on the hook ``\n404 no workflow listens on the hook `../api`\n404 no route for POST /hooks/any/more\n404 no workflow listens on the hook `any\0`\n404 no route for POST /healthz/\n404 no route for POST //healthz");
}

#[tokio::test(start_paused = true)]
async fn words_that_are_not_understood_are_placed() {
    let bench = Bench::new().await;
    let run = bench.waiting_run("1").await;
    let mut answers = String::new();
    for body in
        ["", "{", r#"{ "reason": 1 }"#, r#"{ "reason": "x", "extra": 1 }"#, r#"{"reason":"x","reason":"y"}"#]
    {
        let request = call("POST", ANA, &format!("/api/v1/runs/{run}/cancel"), body);
        answers.push_str(&format!("{}\n", bench.send(request).await.brief()));
    }
    let nul =
        bench.post(ANA, &format!("/api/v1/runs/{run}/cancel"), json!({ "reason": "\0", "by": "\0" })).await;
    answers.push_str(&format!("{}\n", nul.brief()));
    assert_snapshot!(answers, @"
    422 the body is not a JSON object
    422 EOF while parsing an object at line 1 column 1
    422 invalid type: integer `1`, expected a string at line 1 column 13
    422 unknown field `extra`, expected `reason` or `by` at line 1 column 24
    422 duplicate field `reason` at line 1 column 22
    403 the token of `ana` may not speak for others: leave `by` out
    ");
}
