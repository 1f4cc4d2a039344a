//! Who may come in: the secrets of hooks, the tokens of people.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use model::Person;
use tracing::warn;

use crate::problem::{Kind, Problem};
use crate::router::App;
use crate::secret::Secret;
use crate::settings::{Settings, Token};

const LONGEST_NAME: usize = 128;

/// The role of those who run the server.
const ADMIN: &str = "admin";

/// The holder of the token with which a request of the API came.
#[derive(Clone)]
pub(crate) struct Caller(pub(crate) Arc<Token>);

/// Lets a request of the API through to its handler, with its [`Caller`].
pub(crate) async fn admit_caller(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = find_caller(&app.callers, request.headers())?;
    let _slot = app.requests.try_acquire().map_err(|_| Problem::busy())?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn find_caller(callers: &[Caller], headers: &HeaderMap) -> Result<Caller, Problem> {
    let refuse = |detail: &str| Err(Problem::new(Kind::WrongToken, detail));
    if callers.is_empty() {
        return refuse("no API token is configured, so nobody can use the API");
    }
    let Some(given) = headers.get(AUTHORIZATION) else {
        return refuse("the header `Authorization: Bearer TOKEN` is missing");
    };
    let Some(token) = bearer(given.as_bytes()) else {
        return refuse("the header `Authorization` does not hold `Bearer TOKEN`");
    };
    // All of them are looked at, so that the time it takes does not tell which one it was.
    let found =
        callers.iter().filter(|caller| caller.0.secret.is(token)).fold(None, |_, caller| Some(caller));
    found.map_or_else(|| refuse("there is no such token"), |caller| Ok(caller.clone()))
}

fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

impl Caller {
    /// Refuses who may not do what touches the server as a whole.
    pub(crate) fn require_admin(&self) -> Result<(), Problem> {
        if self.0.roles.iter().any(|role| role == ADMIN) {
            return Ok(());
        }
        let detail =
            format!("this takes the role `{ADMIN}`, which the token of `{}` does not have", self.0.name);
        Err(Problem::new(Kind::NotAllowed, detail))
    }

    /// The person who speaks: the holder of the token, or whom the token may speak for.
    pub(crate) fn person(&self, by: Option<String>) -> Result<Person, Problem> {
        let token = &self.0;
        let roles = token.roles.clone();
        let Some(by) = by.filter(|by| *by != token.name) else {
            return Ok(Person { name: token.name.clone(), via: None, roles });
        };
        if !token.may_speak_for_others {
            let detail = format!("the token of `{}` may not speak for others: leave `by` out", token.name);
            return Err(Problem::new(Kind::NotAllowed, detail));
        }
        let is_name = by.trim() == by
            && !by.is_empty()
            && by.chars().count() <= LONGEST_NAME
            && !by.chars().any(char::is_control);
        if !is_name {
            let detail = format!(
                "`by` is not a name: 1 to {LONGEST_NAME} characters, no control characters, no space around it"
            );
            return Err(Problem::new(Kind::WrongBody, detail));
        }
        Ok(Person { name: by, via: Some(token.name.clone()), roles })
    }
}

/// What a hook asks of a sender.
pub(crate) enum Admission<'a> {
    /// Nothing.
    Anybody,
    /// This secret, and it was given.
    Known(&'a Secret),
}

/// Lets a sender of alerts in. What is wrong with the configuration is also said in the log, where the operator looks.
pub(crate) fn admit_sender<'a>(
    settings: &'a Settings,
    path: &str,
    headers: &HeaderMap,
) -> Result<Admission<'a>, Problem> {
    let Some(hook) = settings.hooks.get(path) else {
        if settings.open_hooks.contains(path) {
            return Ok(Admission::Anybody);
        }
        warn!(
            hook = path,
            help = format!("in the settings, below `hooks:`, write `{path}: {{ secret: {{ env: NAME }} }}`"),
            "an alert was refused: a workflow listens here, but no secret is configured"
        );
        let detail = format!("no secret is configured for the hook `{path}`, so nobody can use it");
        return Err(Problem::new(Kind::WrongSecret, detail));
    };
    let Some(given) = headers.get(hook.header.as_str()) else {
        let detail = format!("the header `{}` with the hook's secret is missing", hook.header);
        return Err(Problem::new(Kind::WrongSecret, detail));
    };
    if !hook.secret.is(given.as_bytes()) {
        let detail = format!("the header `{}` does not hold the secret of this hook", hook.header);
        return Err(Problem::new(Kind::WrongSecret, detail));
    }
    Ok(Admission::Known(&hook.secret))
}
