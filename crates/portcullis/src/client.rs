//! The API of a running server, as the command line uses it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// How long a copy of everything may take.
const LONGEST_COPY: Duration = Duration::from_secs(86_400);

/// A server and the token to talk to it.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    pub(crate) fn new(base: &str, token: &str) -> anyhow::Result<Client> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build()?;
        Ok(Client { http, base: base.trim_end_matches('/').to_owned(), token: token.to_owned() })
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.http.get(format!("{}{path}", self.base));
        self.send(request).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        self.send(request).await
    }

    /// Asks for something large, which is taken piece by piece.
    pub(crate) async fn post_for_pieces(&self, path: &str) -> anyhow::Result<reqwest::Response> {
        let request = self.http.post(format!("{}{path}", self.base)).timeout(LONGEST_COPY);
        self.receive(request).await
    }

    /// Whether a server answers there.
    pub(crate) async fn is_up(&self, path: &str) -> bool {
        let request = self.http.get(format!("{}{path}", self.base)).timeout(Duration::from_secs(2));
        request.send().await.is_ok_and(|response| response.status().is_success())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let text = self.receive(request).await?.text().await.context("the server's answer broke off")?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// An answer that is none of a failure.
    async fn receive(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let sent = request.bearer_auth(&self.token).send().await;
        let response = sent.with_context(|| {
            format!("no server answers at {}: start it with `portcullis serve`", self.base)
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.context("the server's answer broke off")?;
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        let detail = body.get("detail").or_else(|| body.get("title")).and_then(Value::as_str);
        bail!("{}", detail.map_or_else(|| format!("the server answered {status}"), str::to_owned))
    }
}
