//! Refusals and failures, worded as RFC 9457 has it.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::Rejected;
use model::InvalidId;
use serde::Serialize;

/// Why a request is not answered as it was hoped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    /// What is wrong with this very request.
    pub(crate) detail: String,
}

/// The kinds of problems, each with its status and the last part of its `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    WrongPath,
    WrongQuery,
    WrongSecret,
    WrongToken,
    NotAllowed,
    NoSuchRoute,
    NoSuchHook,
    NoSuchRun,
    NoSuchStep,
    NoSuchWorkflow,
    NoSuchApproval,
    WrongMethod,
    TooSlow,
    NotWaiting,
    NothingHeld,
    NoInverse,
    AlreadyDecided,
    RequestChanged,
    RunCancelled,
    RunFinished,
    StaleAttempt,
    TooLarge,
    WrongBody,
    NotAnAlert,
    ReasonRequired,
    DamagedRun,
    Busy,
    Unheard,
    NoRoom,
    Stopped,
}

/// What is said on the wire.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem { kind, detail: detail.into() }
    }

    pub(crate) fn busy() -> Problem {
        Problem::from(runner::Error::Busy)
    }
}

impl Kind {
    /// The status, the last part of the `type`, and the title.
    pub(crate) fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Kind::WrongPath => (StatusCode::BAD_REQUEST, "wrong-path", "The address is malformed"),
            Kind::WrongQuery => (StatusCode::BAD_REQUEST, "wrong-query", "The query is malformed"),
            Kind::WrongSecret => (StatusCode::UNAUTHORIZED, "wrong-secret", "The secret is not accepted"),
            Kind::WrongToken => (StatusCode::UNAUTHORIZED, "wrong-token", "The token is not accepted"),
            Kind::NotAllowed => (StatusCode::FORBIDDEN, "not-allowed", "Not allowed"),
            Kind::NoSuchRoute => (StatusCode::NOT_FOUND, "no-such-route", "There is nothing here"),
            Kind::NoSuchHook => (StatusCode::NOT_FOUND, "no-such-hook", "There is no such hook"),
            Kind::NoSuchRun => (StatusCode::NOT_FOUND, "no-such-run", "There is no such run"),
            Kind::NoSuchStep => (StatusCode::NOT_FOUND, "no-such-step", "There is no such step"),
            Kind::NoSuchWorkflow => (StatusCode::NOT_FOUND, "no-such-workflow", "There is no such workflow"),
            Kind::NoSuchApproval => (StatusCode::NOT_FOUND, "no-such-approval", "Nobody is asked this"),
            Kind::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "wrong-method", "Not by this method"),
            Kind::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too-slow", "The body took too long"),
            Kind::NotWaiting => (StatusCode::CONFLICT, "not-waiting", "The step does not wait for this"),
            Kind::NothingHeld => (StatusCode::CONFLICT, "nothing-held", "Nothing is contained by this step"),
            Kind::NoInverse => (StatusCode::CONFLICT, "no-inverse", "Nothing here can undo this"),
            Kind::AlreadyDecided => (StatusCode::CONFLICT, "already-decided", "Answered already"),
            Kind::RequestChanged => (StatusCode::CONFLICT, "request-changed", "The request has changed"),
            Kind::RunCancelled => (StatusCode::CONFLICT, "run-cancelled", "The run was cancelled"),
            Kind::RunFinished => (StatusCode::CONFLICT, "run-finished", "The run has finished"),
            Kind::StaleAttempt => (StatusCode::CONFLICT, "stale-attempt", "The attempt is over"),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Kind::WrongBody => (StatusCode::UNPROCESSABLE_ENTITY, "wrong-body", "The body is not understood"),
            Kind::NotAnAlert => {
                (StatusCode::UNPROCESSABLE_ENTITY, "not-an-alert", "The body is not an alert")
            }
            Kind::ReasonRequired => {
                (StatusCode::UNPROCESSABLE_ENTITY, "reason-required", "A reason is needed")
            }
            Kind::DamagedRun => (StatusCode::INTERNAL_SERVER_ERROR, "damaged-run", "The run is damaged"),
            Kind::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Too much is going on"),
            Kind::Unheard => (StatusCode::SERVICE_UNAVAILABLE, "unheard", "Nobody listens on this hook"),
            Kind::NoRoom => (StatusCode::SERVICE_UNAVAILABLE, "no-room", "The disk is full"),
            Kind::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "stopped", "The server takes nothing more"),
        }
    }

    /// The header that this kind of answer has to have.
    fn header(self) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = if self == Kind::WrongToken {
            (WWW_AUTHENTICATE, "Bearer realm=\"portcullis\"")
        } else if self == Kind::WrongSecret {
            (WWW_AUTHENTICATE, "Portcullis-Secret realm=\"hooks\"")
        } else if self == Kind::Busy {
            (RETRY_AFTER, "1")
        } else if self == Kind::NoRoom {
            (RETRY_AFTER, "10")
        } else if self == Kind::Stopped {
            (RETRY_AFTER, "5")
        } else if self == Kind::Unheard {
            (RETRY_AFTER, "60")
        } else {
            return None;
        };
        Some((name, HeaderValue::from_static(value)))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, name, title) = self.kind.parts();
        let document = Document {
            kind: format!("urn:portcullis:{name}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
        };
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.kind.header());
        response.extensions_mut().insert(self.kind);
        response
    }
}

impl From<runner::Error> for Problem {
    fn from(error: runner::Error) -> Problem {
        let kind = match &error {
            runner::Error::NoSuchRun(_) => Kind::NoSuchRun,
            runner::Error::NoSuchWorkflow(_) => Kind::NoSuchWorkflow,
            runner::Error::NotAllowed(_) => Kind::NotAllowed,
            runner::Error::Rejected(rejected) => kind_of(rejected),
            runner::Error::Damaged { .. } => Kind::DamagedRun,
            runner::Error::Refused(_) => Kind::TooLarge,
            runner::Error::Full(_) => Kind::NoRoom,
            runner::Error::Busy => Kind::Busy,
            runner::Error::Stopped(_) => Kind::Stopped,
        };
        Problem::new(kind, error.to_string())
    }
}

fn kind_of(rejected: &Rejected) -> Kind {
    match rejected {
        Rejected::NoSuchStep(_) => Kind::NoSuchStep,
        Rejected::NotWaiting { .. } | Rejected::BeingUndone(_) | Rejected::IsUndone(_) => Kind::NotWaiting,
        Rejected::NothingHeld(_) => Kind::NothingHeld,
        Rejected::NoInverse(_) => Kind::NoInverse,
        Rejected::NotAllowed { .. } => Kind::NotAllowed,
        Rejected::AlreadyDecided(_) => Kind::AlreadyDecided,
        Rejected::ReasonRequired => Kind::ReasonRequired,
        Rejected::WrongDigest => Kind::RequestChanged,
        Rejected::Cancelled => Kind::RunCancelled,
        Rejected::Finished => Kind::RunFinished,
        Rejected::Stale { .. } => Kind::StaleAttempt,
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Problem {
        Problem::from(runner::Error::from(error))
    }
}

impl From<InvalidId> for Problem {
    fn from(error: InvalidId) -> Problem {
        Problem::new(Kind::WrongPath, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use model::{RunId, StepKey, StepStatus};

    use super::*;

    #[test]
    fn every_refusal_of_the_runner_has_its_status() {
        let step: StepKey = "block".parse().unwrap();
        let text = || "x".to_owned();
        let rejected = [
            Rejected::NoSuchStep(step.clone()),
            Rejected::NotWaiting { step: step.clone(), status: StepStatus::Ok },
            Rejected::NotAllowed { person: text(), role: text() },
            Rejected::AlreadyDecided(text()),
            Rejected::ReasonRequired,
            Rejected::WrongDigest,
            Rejected::Cancelled,
            Rejected::Finished,
            Rejected::Stale { step, attempt: 1 },
        ];
        let run = RunId::from_bytes([1; 16]);
        let others = [
            runner::Error::NoSuchRun(run),
            runner::Error::NoSuchWorkflow(text()),
            runner::Error::NotAllowed(text()),
            runner::Error::Damaged { run, message: text() },
            runner::Error::Full(text()),
            runner::Error::Busy,
            runner::Error::Stopped(text()),
        ];
        let errors = rejected.into_iter().map(runner::Error::from).chain(others);
        let lines = errors.map(|error| {
            let (status, name, _) = Problem::from(error).kind.parts();
            format!("{} {name}\n", status.as_u16())
        });
        assert_snapshot!(lines.collect::<String>(), @"
        404 no-such-step
        409 not-waiting
        403 not-allowed
        409 already-decided
        422 reason-required
        409 request-changed
        409 run-cancelled
        409 run-finished
        409 stale-attempt
        404 no-such-run
        404 no-such-workflow
        403 not-allowed
        500 damaged-run
        503 no-room
        503 busy
        503 stopped
        ");
    }
}
