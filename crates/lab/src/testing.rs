//! A client for the tests of this crate: real HTTP, with the lab's certificate as its only root.

use std::sync::Arc;

use reqwest::{Method, RequestBuilder, Response};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::{Lab, Settings};

pub(crate) struct Client {
    pub(crate) lab: Lab,
    http: reqwest::Client,
}

pub(crate) async fn start() -> Client {
    start_with(Settings::default()).await
}

pub(crate) async fn start_with(settings: Settings) -> Client {
    let lab = Lab::start(settings).await.unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(lab.wazuh_certificate_pem().as_bytes()).unwrap()).unwrap();
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let http = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap();
    Client { lab, http }
}

/// Status and body, as a test compares them.
pub(crate) type Seen = (u16, Value);

impl Client {
    pub(crate) fn wazuh(&self, method: &str, path: &str) -> RequestBuilder {
        let base = self.lab.wazuh_url().replace("127.0.0.1", "localhost");
        self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("{base}{path}"))
    }

    pub(crate) fn indexer(&self, method: &str, path: &str) -> RequestBuilder {
        let base = self.lab.indexer_url().replace("127.0.0.1", "localhost");
        self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("{base}{path}"))
    }

    pub(crate) fn thehive(&self, method: &str, path: &str) -> RequestBuilder {
        self.thehive_as(&Settings::default().thehive_key, method, path)
    }

    pub(crate) fn thehive_as(&self, key: &str, method: &str, path: &str) -> RequestBuilder {
        let url = format!("{}/api/v1{path}", self.lab.thehive_url());
        self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), url).bearer_auth(key)
    }

    /// A request with nothing added to it.
    pub(crate) fn plain(&self, url: &str) -> RequestBuilder {
        self.http.get(url)
    }

    pub(crate) fn virustotal(&self, ip: &str) -> RequestBuilder {
        self.http.get(format!("{}/api/v3/ip_addresses/{ip}", self.lab.virustotal_url()))
    }

    /// One question to VirusTotal about anything, with the right key.
    pub(crate) async fn report(&self, path: &str) -> Seen {
        let url = format!("{}/api/v3/{path}", self.lab.virustotal_url());
        see(self.http.get(url).header("x-apikey", Settings::default().virustotal_key)).await
    }

    pub(crate) async fn slack(&self, token: &str, message: &Value) -> Seen {
        let url = format!("{}/api/chat.postMessage", self.lab.slack_url());
        see(self.http.post(url).bearer_auth(token).json(message)).await
    }

    pub(crate) async fn misp(&self, key: &str, path: &str, body: &Value) -> Seen {
        let url = format!("{}{path}", self.lab.misp_url());
        see(self.http.post(url).header("authorization", key).json(body)).await
    }

    pub(crate) fn control(&self, method: &str, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.lab.control_url());
        self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), url)
    }

    pub(crate) fn login_request(&self) -> RequestBuilder {
        let Settings { wazuh_user, wazuh_password, .. } = Settings::default();
        let request = self.wazuh("POST", "/security/user/authenticate?raw=true");
        request.basic_auth(wazuh_user, Some(wazuh_password))
    }

    pub(crate) async fn login(&self) -> String {
        let response = self.login_request().send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    /// One Wazuh call with a login of its own.
    pub(crate) async fn call(&self, method: &str, path: &str) -> Seen {
        let token = self.login().await;
        see(self.wazuh(method, path).bearer_auth(token)).await
    }

    pub(crate) async fn respond(&self, query: &str, body: &Value) -> Seen {
        let token = self.login().await;
        see(self.wazuh("PUT", &format!("/active-response{query}")).bearer_auth(token).json(body)).await
    }

    /// One TheHive call with a body.
    pub(crate) async fn hive(&self, method: &str, path: &str, body: Value) -> Seen {
        see(self.thehive(method, path).json(&body)).await
    }
}

/// Sends, and reads the body as JSON, or as text, or as null when it is empty.
pub(crate) async fn see(request: RequestBuilder) -> Seen {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), body(response).await)
}

async fn body(response: Response) -> Value {
    let text = response.text().await.unwrap();
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}
