//! One connection at work: who we are there, how many calls are under way, and the token between them.
//!
//! A refused token is the one case in which a call is sent again: the other side says so before it acts. It happens at
//! most twice for a call, and never after any other refusal.

pub(crate) mod login;
pub(crate) mod rendered;

use std::sync::Arc;
use std::time::Duration;

use model::{Failure, FailureClass};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::sync::Semaphore;
use workflow::FailureRule;

use crate::connection::rendered::{Entry, Rendered, TokenEntry};
use crate::outcome::End;
use crate::recipe::Recipe;
use crate::request::Prepared;
use crate::response::{self, Answer, Phase, Reading};
use crate::session::{Session, Token};
use crate::settings::{ConnectionSettings, Secret, Tls};
use crate::transport::{Broken, Client, Progress, Route, Stage};

/// A token that was issued in the second of a change is dead, and one issued after it is not: so long has to pass.
const NEXT_SECOND: Duration = Duration::from_millis(1100);
/// A token younger than this is fresh from a login.
const FRESH: Duration = Duration::from_secs(2);
/// An old token, and two fresh ones.
const MOST_REFUSALS: u32 = 3;
const IN_FLIGHT: usize = 16;

/// A connection, ready for calls.
pub(crate) struct Connection {
    pub(crate) rendered: Arc<Rendered>,
    client: Client,
    session: Session,
    slots: Semaphore,
    pub(crate) in_flight: usize,
}

/// What came back over the connection.
pub(crate) struct Exchange {
    pub(crate) answer: Answer,
    pub(crate) phase: Phase,
    pub(crate) token_lifetime: Option<Duration>,
}

impl Connection {
    /// Opens nothing yet: says whether the settings make sense.
    pub(crate) fn new(
        name: &str,
        recipe: &Arc<Recipe>,
        settings: &ConnectionSettings,
    ) -> Result<Connection, crate::Error> {
        let rendered = rendered::render(name, recipe, settings)?;
        let route = Route {
            tls: &settings.tls,
            proxy: settings.proxy.as_deref(),
            connect_timeout: settings.connect_timeout,
            idle_timeout: recipe.idle_timeout,
            tls_help: recipe.tls_help.as_deref(),
        };
        let unusable = |problem| crate::Error::Unusable { connection: name.to_owned(), problem };
        let client = Client::new(&route).map_err(unusable)?;
        Ok(Connection::with(rendered, client, settings.in_flight.or(recipe.in_flight)))
    }

    /// What nodes without a connection use.
    pub(crate) fn open() -> Result<Connection, crate::Error> {
        let idle_timeout = Duration::from_secs(30);
        let route =
            Route { tls: &Tls::System, proxy: None, connect_timeout: None, idle_timeout, tls_help: None };
        let unusable = |problem| crate::Error::Unusable { connection: String::new(), problem };
        Ok(Connection::with(Rendered::nobody(), Client::new(&route).map_err(unusable)?, Some(1000)))
    }

    fn with(rendered: Rendered, client: Client, in_flight: Option<usize>) -> Connection {
        let in_flight = in_flight.unwrap_or(IN_FLIGHT).max(1);
        Connection {
            rendered: Arc::new(rendered),
            client,
            session: Session::default(),
            slots: Semaphore::new(in_flight),
            in_flight,
        }
    }

    /// Sends the request as ourselves.
    pub(crate) async fn exchange(
        &self,
        request: &Prepared,
        progress: &Arc<Progress>,
    ) -> Result<Exchange, Broken> {
        progress.set(Stage::Waiting);
        let _slot = self.slots.acquire().await.map_err(|_| unsent("the connection is closed"))?;
        match &self.rendered.entry {
            Entry::Headers(headers) => {
                let answer = self.client.send(request, headers, &self.rendered.scrubber, progress).await?;
                Ok(Exchange { answer, phase: Phase::Call, token_lifetime: None })
            }
            Entry::Token(entry) => self.exchange_with_token(entry, request, progress).await,
        }
    }

    async fn exchange_with_token(
        &self,
        entry: &TokenEntry,
        request: &Prepared,
        progress: &Arc<Progress>,
    ) -> Result<Exchange, Broken> {
        let mut refused_fresh = 0;
        for refusals in 1.. {
            progress.set(Stage::LoggingIn);
            let login = || login::log_in(self.rendered.clone(), self.client.clone());
            let token = self.session.token(login).await.map_err(not_logged_in)?;
            let is_fresh = token.received.elapsed() < FRESH;
            let headers = token_headers(entry, &token).map_err(not_logged_in)?;
            let mut scrubber = self.rendered.scrubber.clone();
            scrubber.add(&token.secret);
            let answer = self.client.send(request, &headers, &scrubber, progress).await?;
            let is_refused = response::holds(&entry.login.refused_when, &answer, &self.rendered.public);
            let token_lifetime = Some(token.lifetime);
            if !is_refused {
                self.session.accept();
                return Ok(Exchange { answer, phase: Phase::Call, token_lifetime });
            }
            progress.set(Stage::LoggingIn);
            self.session.refuse(&token);
            refused_fresh += u32::from(is_fresh);
            tracing::warn!(connection = %self.rendered.name, refusals, is_fresh, "token refused");
            if refused_fresh == 2 || refusals == MOST_REFUSALS {
                return Ok(self.give_up(answer, request, token_lifetime));
            }
            if is_fresh {
                tokio::time::sleep_until(token.received + NEXT_SECOND).await;
            }
        }
        Err(unsent("no token was tried"))
    }

    /// The last refusal is the answer, and for some seconds that of everybody.
    fn give_up(&self, answer: Answer, request: &Prepared, token_lifetime: Option<Duration>) -> Exchange {
        let called = called(request);
        let reading = Reading {
            inputs: &Arc::default(),
            call: &Arc::default(),
            connection: &self.rendered.public,
            shared: self.rendered.failures(),
            phase: Phase::CallAfterLogin,
            called: &called,
        };
        if let model::Outcome::Failed(failure) = response::refusal(&[], &answer, &reading) {
            self.session.remember(failure);
        }
        Exchange { answer, phase: Phase::CallAfterLogin, token_lifetime }
    }
}

impl Rendered {
    /// What the product's answers mean.
    pub(crate) fn failures(&self) -> &[FailureRule] {
        self.recipe.as_ref().map_or(&[], |recipe| recipe.failures.as_slice())
    }
}

/// What was called, for messages.
pub(crate) fn called(request: &Prepared) -> String {
    format!("{} {}", request.method, response::clean(request.url.path()))
}

fn token_headers(entry: &TokenEntry, token: &Token) -> Result<HeaderMap, Failure> {
    let mut headers = entry.always.clone();
    let (name, text) = match &entry.header {
        Some(name) => (name.clone(), token.secret.expose().to_owned()),
        None => (AUTHORIZATION, format!("Bearer {}", token.secret.expose())),
    };
    headers.insert(
        name,
        sensitive(&Secret::from(text)).ok_or_else(|| {
            Failure::new(FailureClass::Auth, "the login gave a token that no header can carry")
        })?,
    );
    Ok(headers)
}

/// The value of a header that nothing prints.
pub(crate) fn sensitive(value: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn not_logged_in(failure: Failure) -> Broken {
    Broken { end: End::NotSent, failure }
}

fn unsent(message: &str) -> Broken {
    not_logged_in(Failure::new(FailureClass::Connect, message))
}
