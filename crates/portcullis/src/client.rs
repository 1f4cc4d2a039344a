//! The API of a running server, as the command line uses it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

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

    /// Whether a server answers there.
    pub(crate) async fn is_up(&self, path: &str) -> bool {
        let request = self.http.get(format!("{}{path}", self.base)).timeout(Duration::from_secs(2));
        request.send().await.is_ok_and(|response| response.status().is_success())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let sent = request.bearer_auth(&self.token).send().await;
        let response = sent.with_context(|| {
            format!("no server answers at {}: start it with `portcullis serve`", self.base)
        })?;
        let status = response.status();
        let text = response.text().await.context("the server's answer broke off")?;
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(body);
        }
        let detail = body.get("detail").or_else(|| body.get("title")).and_then(Value::as_str);
        bail!("{}", detail.map_or_else(|| format!("the server answered {status}"), str::to_owned))
    }
}
