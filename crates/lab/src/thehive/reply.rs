//! How TheHive words its errors: `{"type": ..., "message": ...}`.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::http::{Answer, Request};

/// An answer that ends the handling of a request.
pub(super) struct Rejection(pub(super) Answer);

pub(super) fn error(status: StatusCode, kind: &str, message: &str) -> Rejection {
    Rejection(Answer::json(status, &json!({ "type": kind, "message": message })))
}

pub(super) fn bad_request(message: &str) -> Rejection {
    error(StatusCode::BAD_REQUEST, "BadRequest", message)
}

pub(super) fn not_found(what: &str, name: &str) -> Rejection {
    error(StatusCode::NOT_FOUND, "NotFoundError", &format!("{what} {name} not found"))
}

pub(super) fn no_route() -> Rejection {
    error(StatusCode::NOT_FOUND, "NotFound", "Route not found")
}

pub(super) fn unauthenticated() -> Rejection {
    error(StatusCode::UNAUTHORIZED, "AuthenticationError", "Authentication failure")
}

pub(super) fn bad_attributes(errors: &[Value]) -> Rejection {
    let messages: Vec<_> = errors.iter().filter_map(|error| error["message"].as_str()).collect();
    let body = json!({
        "type": "AttributeCheckingError",
        "message": format!("[{}]", messages.join(", ")),
        "errors": errors,
    });
    Rejection(Answer::json(StatusCode::BAD_REQUEST, &body))
}

pub(super) fn json_body(request: &Request) -> Result<Value, Rejection> {
    let body: Value = serde_json::from_slice(&request.body)
        .map_err(|error| bad_request(&format!("Invalid Json: {error}")))?;
    if body.is_object() { Ok(body) } else { Err(bad_request("Invalid Json: expected an object")) }
}
