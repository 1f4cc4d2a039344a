//! Sends one request and takes its whole answer. Knows how far the request got, and names what went wrong on the way.
//!
//! No redirects, no retries, no proxy from the environment, HTTP/1.1 only, and a limit on the answer.

mod body;
mod naming;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName};
use serde_json::{Map, Value};

use crate::outcome::End;
use crate::request::Prepared;
use crate::response::{Answer, Body};
use crate::scrub::Scrubber;
use crate::settings::Tls;

pub(crate) use body::{Progress, Stage};

const LARGEST_ANSWER: usize = 8 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach the other side.
#[derive(Debug, Clone)]
pub(crate) struct Route<'a> {
    pub(crate) tls: &'a Tls,
    pub(crate) proxy: Option<&'a str>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) idle_timeout: Duration,
    /// What the product says about its certificate.
    pub(crate) tls_help: Option<&'a str>,
}

/// Sends requests to one other side.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    client: reqwest::Client,
    connect_timeout: Duration,
    tls_help: Option<String>,
}

/// Why there is no answer, and how far the request got.
pub(crate) struct Broken {
    pub(crate) end: End,
    pub(crate) failure: model::Failure,
}

impl Client {
    /// Makes a client; no connection is made yet.
    pub(crate) fn new(route: &Route<'_>) -> Result<Client, String> {
        let connect_timeout = route.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        let mut builder = reqwest::Client::builder()
            .use_preconfigured_tls(tls::config(route.tls)?)
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .dns_resolver(Arc::new(Resolver))
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(route.idle_timeout);
        if let Some(proxy) = route.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(|error| error.to_string())?);
        }
        let client = builder.build().map_err(|error| error.to_string())?;
        Ok(Client { client, connect_timeout, tls_help: route.tls_help.map(str::to_owned) })
    }

    /// Sends the request with these headers besides its own, and takes the answer without what the scrubber knows.
    pub(crate) async fn send(
        &self,
        request: &Prepared,
        ours: &HeaderMap,
        scrubber: &Scrubber,
        progress: &Arc<Progress>,
    ) -> Result<Answer, Broken> {
        progress.set(Stage::Connecting);
        let mut outgoing = reqwest::Request::new(request.method.clone(), request.url.clone());
        let headers = outgoing.headers_mut();
        headers.extend(request.headers.clone());
        for (name, value) in ours {
            headers.insert(name.clone(), value.clone());
        }
        let bytes = request.body.clone().unwrap_or_default();
        *outgoing.body_mut() = Some(body::tracked(bytes, progress.clone()));
        failpoints::reach("send.connect");
        let response = self.client.execute(outgoing).await;
        failpoints::reach("send.answered");
        let response = response.map_err(|error| self.broken(&error, request, progress))?;
        progress.answered(response.status().as_u16());
        self.take(response, request, scrubber, progress).await
    }

    async fn take(
        &self,
        mut response: reqwest::Response,
        request: &Prepared,
        scrubber: &Scrubber,
        progress: &Arc<Progress>,
    ) -> Result<Answer, Broken> {
        let status = response.status().as_u16();
        let headers = readable_headers(response.headers());
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break,
                // The status of a refusal says enough.
                Err(_) if !(200..300).contains(&status) => break,
                Err(error) => return Err(self.broken(&error, request, progress)),
            }
            if bytes.len() > LARGEST_ANSWER {
                let message = format!("the answer is larger than {} MiB", LARGEST_ANSWER / 1024 / 1024);
                let failure = model::Failure::new(model::FailureClass::Response, message);
                return Err(Broken { end: progress.give_up().1, failure });
            }
        }
        Ok(scrubber.answer(Answer { status, headers, body: Body::read(&bytes) }))
    }

    fn broken(&self, error: &reqwest::Error, request: &Prepared, progress: &Arc<Progress>) -> Broken {
        let (_, end) = progress.give_up();
        let failure = naming::name(
            error,
            &naming::Way {
                url: &request.url,
                end,
                connect_timeout: self.connect_timeout,
                tls_help: self.tls_help.as_deref(),
            },
        );
        Broken { end, failure }
    }
}

/// Words in the name of a header that hands a session, a token or a key out.
const SECRET_HEADERS: [&str; 10] = [
    "api-key",
    "apikey",
    "authentication-info",
    "authorization",
    "cookie",
    "credential",
    "password",
    "secret",
    "session",
    "token",
];

/// Nearly every answer has them.
const PLAIN_HEADERS: [HeaderName; 3] = [CONTENT_TYPE, CONTENT_LENGTH, DATE];

/// The headers of an answer that steps may see: not those that hand a secret out.
fn readable_headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut readable = Map::new();
    let is_secret = |name: &str| SECRET_HEADERS.iter().any(|word| name.contains(word));
    let is_plain = |name: &HeaderName| PLAIN_HEADERS.contains(name) || !is_secret(name.as_str());
    for name in headers.keys().filter(|name| is_plain(name)) {
        let mut text = String::new();
        for value in headers.get_all(name) {
            text.extend((!text.is_empty()).then_some(", "));
            text.push_str(&String::from_utf8_lossy(value.as_bytes()));
        }
        readable.insert(name.as_str().to_owned(), text.into());
    }
    readable
}

/// The resolver of the system, with an error that can be told from others.
struct Resolver;

/// The host name could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unresolved(String);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found: Vec<SocketAddr> = found.map_err(|error| Unresolved(error.to_string()))?.collect();
            if found.is_empty() {
                return Err(Unresolved("it has no address".to_owned()).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        }
        .boxed()
    }
}
