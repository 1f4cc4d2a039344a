//! Logs in: one request, and the token in its answer.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use expr::Scope;
use model::{Failure, FailureClass, Outcome};
use serde_json::{Value, json};

use crate::connection::rendered::{Entry, Rendered, TokenEntry};
use crate::response::{self, Answer, Body, Phase, Reading};
use crate::session::{Fresh, NoLogin};
use crate::settings::Secret;
use crate::transport::{Client, Progress};

const LONGEST_LOGIN: Duration = Duration::from_secs(20);
const LONGEST_LIFE: u64 = 30 * 86_400;

/// Logs in. Bounded in time, whoever waits for it.
pub(crate) async fn log_in(rendered: Arc<Rendered>, client: Client) -> Result<Fresh, NoLogin> {
    let Entry::Token(entry) = &rendered.entry else {
        let failure = Failure::new(FailureClass::Setup, "this connection has no login");
        return Err(NoLogin { failure, is_refusal: false });
    };
    let progress = Arc::new(Progress::default());
    let sending = client.send(&entry.request, &entry.credentials, &rendered.scrubber, &progress);
    let answer = match tokio::time::timeout(LONGEST_LOGIN, sending).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(broken)) => return Err(NoLogin { failure: in_login(broken.failure), is_refusal: false }),
        Err(_) => {
            let message = format!("the login to `{}` had no answer within 20s", rendered.name);
            return Err(NoLogin { failure: Failure::new(FailureClass::Timeout, message), is_refusal: false });
        }
    };
    let result = read(&rendered, entry, &answer);
    match &result {
        Ok(fresh) => {
            tracing::info!(connection = %rendered.name, lifetime_s = fresh.lifetime.as_secs(), "logged in")
        }
        Err(no) => tracing::warn!(connection = %rendered.name, class = %no.failure.class, "login failed"),
    }
    result
}

/// Says that it was the login which broke off, where the failure does not tell.
fn in_login(failure: Failure) -> Failure {
    if !matches!(failure.class, FailureClass::Reset | FailureClass::Response) {
        return failure;
    }
    Failure { message: format!("while logging in, {}", failure.message), ..failure }
}

/// The token in an answer to the login. Pure.
pub(crate) fn read(rendered: &Rendered, entry: &TokenEntry, answer: &Answer) -> Result<Fresh, NoLogin> {
    let called = format!("the login to `{}`", rendered.name);
    let nothing = Arc::default();
    let reading = Reading {
        inputs: &nothing,
        call: &nothing,
        connection: &rendered.public,
        shared: rendered.failures(),
        phase: Phase::Login,
        called: &called,
    };
    let refused = |outcome: Outcome| {
        let failure = match outcome {
            Outcome::Failed(failure) | Outcome::Unknown(failure) => failure,
            Outcome::Succeeded(_) => Failure::new(FailureClass::Auth, format!("{called} gave no token")),
        };
        NoLogin { failure, is_refusal: answer.status < 500 }
    };
    if !answer.is_success() {
        return Err(refused(response::refusal(&[], answer, &reading)));
    }
    let body = match &answer.body {
        Body::Json(json) => json!({ "json": json }),
        Body::Text(text) => json!({ "text": text }),
    };
    let token = entry.login.token.eval_text(&Scope::new(json!({ "response": body })));
    match token {
        Ok(token) if !token.is_empty() => {
            let lifetime = jwt_lifetime(&token).unwrap_or(entry.login.lifetime);
            Ok(Fresh { secret: Secret::from(token), lifetime })
        }
        Ok(_) | Err(_) => Err(refused(response::no_token(answer, &reading))),
    }
}

/// How long a token lives by its own words: `exp` less `nbf`, or less `iat`. Its signature is the other side's affair.
pub(crate) fn jwt_lifetime(token: &str) -> Option<Duration> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let second = |claim: &str| claims.get(claim).and_then(Value::as_u64);
    let life = second("exp")?.checked_sub(second("nbf").or_else(|| second("iat"))?)?;
    (1..=LONGEST_LIFE).contains(&life).then(|| Duration::from_secs(life))
}
