//! A real server process over a configuration in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use ::lab::Lab;
use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::client::Client;

/// How long a server may take to answer after it was started.
const PATIENCE: Duration = Duration::from_secs(20);
const WORKFLOW: &str = include_str!("../../../../workflows/contain_ssh_bruteforce.yaml");
const HOOK_SECRET: &str = "demo-hook-secret";
const API_TOKEN: &str = "demo-api-token";

/// The folder of a demo: configuration, workflow, data. It goes with the demo.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> anyhow::Result<Folder> {
        let path = std::env::temp_dir().join(format!("portcullis-demo-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(path.join("workflows"))
            .with_context(|| format!("cannot create {}", path.display()))?;
        std::fs::write(path.join("workflows/contain_ssh_bruteforce.yaml"), WORKFLOW)?;
        Ok(Folder(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is a folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server process; it goes when this is dropped.
pub(super) struct Server {
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl Server {
    /// Starts a server and waits until it answers.
    pub(super) async fn start(folder: &Folder, lab: &Lab, person: &str) -> anyhow::Result<Server> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = folder.path().join("portcullis.yaml");
        std::fs::write(&config, configuration(lab, port, person))?;
        let settings = ::lab::Settings::default();
        let log =
            std::fs::File::options().create(true).append(true).open(folder.path().join("server.log"))?;
        let child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .env("DEMO_WAZUH_PASSWORD", settings.wazuh_password)
            .env("DEMO_THEHIVE_KEY", settings.thehive_key)
            .env("DEMO_VIRUSTOTAL_KEY", settings.virustotal_key)
            .env("DEMO_SLACK_TOKEN", settings.slack_token)
            .env("DEMO_MISP_KEY", settings.misp_key)
            .env("DEMO_INDEXER_PASSWORD", settings.indexer_password)
            .env("DEMO_HOOK_SECRET", HOOK_SECRET)
            .env("DEMO_API_TOKEN", API_TOKEN)
            .stdin(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the server")?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let mut server = Server { child, url: format!("http://127.0.0.1:{port}"), http };
        server.wait_until_ready(folder).await?;
        Ok(server)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn client(&self) -> anyhow::Result<Client> {
        Client::new(&self.url, API_TOKEN)
    }

    /// Posts an alert as Wazuh's integration script does.
    pub(super) async fn post_alert(&self, alert: &Value) -> anyhow::Result<Value> {
        let request =
            self.http.post(format!("{}/hooks/wazuh", self.url)).header("x-portcullis-secret", HOOK_SECRET);
        let response = request.json(alert).send().await?;
        let status = response.status();
        let body = response.text().await?;
        if status != reqwest::StatusCode::ACCEPTED {
            bail!("the webhook answered {status}: {body}");
        }
        Ok(serde_json::from_str(&body)?)
    }

    /// Kills the process with SIGKILL; gives its number.
    pub(super) async fn kill(mut self) -> anyhow::Result<u32> {
        let pid = self.child.id().unwrap_or_default();
        self.child.kill().await?;
        Ok(pid)
    }

    /// Ends the process.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    async fn wait_until_ready(&mut self, folder: &Folder) -> anyhow::Result<()> {
        let client = self.client()?;
        let started = Instant::now();
        while !client.is_up("/readyz").await {
            if let Some(status) = self.child.try_wait()? {
                let log = std::fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
                bail!("the server ended at once ({status}):\n{log}");
            }
            if started.elapsed() > PATIENCE {
                bail!("the server does not answer: see {}", folder.path().join("server.log").display());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

fn configuration(lab: &Lab, port: u16, person: &str) -> String {
    let person = serde_json::json!(person);
    let ::lab::Settings { wazuh_user: user, indexer_user, .. } = ::lab::Settings::default();
    format!(
        r#"listen: 127.0.0.1:{port}
data_dir: data
workflows: workflows
connections:
  wazuh:
    url: {wazuh}
    user: {user}
    password: {{ env: DEMO_WAZUH_PASSWORD }}
    tls: {{ fingerprint: "{fingerprint}" }}
  wazuh_indexer:
    url: {indexer}
    user: {indexer_user}
    password: {{ env: DEMO_INDEXER_PASSWORD }}
    tls: {{ fingerprint: "{fingerprint}" }}
  thehive:
    url: {thehive}
    key: {{ env: DEMO_THEHIVE_KEY }}
  virustotal:
    url: {virustotal}/api/v3
    key: {{ env: DEMO_VIRUSTOTAL_KEY }}
  slack:
    url: {slack}/api
    token: {{ env: DEMO_SLACK_TOKEN }}
  misp:
    url: {misp}
    key: {{ env: DEMO_MISP_KEY }}
hooks:
  wazuh: {{ secret: {{ env: DEMO_HOOK_SECRET }} }}
api:
  tokens:
    - {{ name: {person}, token: {{ env: DEMO_API_TOKEN }}, roles: [analyst] }}
"#,
        wazuh = lab.wazuh_url(),
        fingerprint = lab.wazuh_fingerprint(),
        indexer = lab.indexer_url(),
        thehive = lab.thehive_url(),
        virustotal = lab.virustotal_url(),
        slack = lab.slack_url(),
        misp = lab.misp_url(),
    )
}
