//! The token of a connection: one login for all who wait, renewed before it ends, and a memory of refused logins.
//!
//! Knows no HTTP: a login is a future that somebody hands in. Time is tokio's clock, counted from when the token came;
//! the other side's clock is never looked at. The lock is never held while anything waits.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use model::Failure;
use tokio::time::Instant;

use crate::settings::Secret;

/// How long the first refused login is remembered; each one after it twice as long, up to eight times. A Wazuh blocks an
/// address after 50 refused logins in 300 s: this makes five of them, so that several workers keep below it too.
const MEMORY: Duration = Duration::from_secs(15);
const MOST_DOUBLINGS: u32 = 3;

/// What a login gave.
#[derive(Debug, Clone)]
pub(crate) struct Fresh {
    pub(crate) secret: Secret,
    pub(crate) lifetime: Duration,
}

/// Why a login gave nothing.
#[derive(Debug, Clone)]
pub(crate) struct NoLogin {
    pub(crate) failure: Failure,
    /// Whether the other side said no, so that asking again at once would be held against us.
    pub(crate) is_refusal: bool,
}

/// A token in use.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    pub(crate) lifetime: Duration,
    pub(crate) received: Instant,
    serial: u64,
}

type Login = BoxFuture<'static, Result<Token, Failure>>;

/// The token of one connection, shared by all of its calls.
#[derive(Clone, Default)]
pub(crate) struct Session {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    refused: Option<(Failure, Instant)>,
    /// Refusals since a token was last taken.
    refusals: u32,
    running: Option<WeakShared<Login>>,
    logins: u64,
}

impl Session {
    /// The token; logs in if there is none, or joins the login that is under way.
    pub(crate) async fn token<F>(&self, login: impl FnOnce() -> F) -> Result<Token, Failure>
    where
        F: Future<Output = Result<Fresh, NoLogin>> + Send + 'static,
    {
        self.join(login)?.await
    }

    /// Notes that the other side took the token: what was refused before does not count any more.
    pub(crate) fn accept(&self) {
        self.lock().refusals = 0;
    }

    /// Drops this token, unless it has been replaced already.
    pub(crate) fn refuse(&self, token: &Token) {
        let mut state = self.lock();
        if state.token.as_ref().is_some_and(|current| current.serial == token.serial) {
            state.token = None;
        }
    }

    /// Remembers for some seconds that logging in leads nowhere.
    pub(crate) fn remember(&self, failure: Failure) {
        self.lock().remember(failure);
    }

    fn join<F>(&self, login: impl FnOnce() -> F) -> Result<Shared<Login>, Failure>
    where
        F: Future<Output = Result<Fresh, NoLogin>> + Send + 'static,
    {
        let mut state = self.lock();
        let now = Instant::now();
        if let Some(token) = state.token.as_ref().filter(|token| token.is_good(now)) {
            return Ok(futures::future::ready(Ok(token.clone())).boxed().shared());
        }
        if let Some((failure, until)) = &state.refused
            && now < *until
        {
            return Err(again_in(failure, *until - now));
        }
        // The future is shared weakly: when all who wait give up, the login is dropped with them.
        if let Some(running) = state.running.as_ref().and_then(WeakShared::upgrade) {
            return Ok(running);
        }
        let (session, login) = (self.clone(), login());
        let running = async move { session.keep(login.await) }.boxed().shared();
        state.running = running.downgrade();
        Ok(running)
    }

    fn keep(&self, result: Result<Fresh, NoLogin>) -> Result<Token, Failure> {
        let mut state = self.lock();
        state.running = None;
        match result {
            Ok(fresh) => {
                state.logins += 1;
                let Fresh { secret, lifetime } = fresh;
                let token = Token { secret, lifetime, received: Instant::now(), serial: state.logins };
                state.token = Some(token.clone());
                state.refused = None;
                Ok(token)
            }
            Err(NoLogin { failure, is_refusal }) => {
                if is_refusal {
                    state.remember(failure.clone());
                }
                Err(failure)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, failure: Failure) {
        let wait = MEMORY * 2_u32.pow(self.refusals.min(MOST_DOUBLINGS));
        self.refusals = self.refusals.saturating_add(1);
        self.refused = Some((failure, Instant::now() + wait));
    }
}

impl Token {
    fn is_good(&self, now: Instant) -> bool {
        now.duration_since(self.received) < self.lifetime.mul_f64(0.8)
    }
}

/// The failure of a login a moment ago, which is not tried again yet.
fn again_in(failure: &Failure, wait: Duration) -> Failure {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let retry_after_ms = Some(failure.retry_after_ms.unwrap_or(0).max(wait_ms));
    // Who has just put the password right would look for the mistake in it.
    let seconds = wait_ms.div_ceil(5000) * 5;
    let message = format!("{} (remembered for {seconds}s at most, then asked again)", failure.message);
    Failure { message, retry_after_ms, ..failure.clone() }
}

#[cfg(test)]
mod tests;
