//! A lab, a configuration in a folder of its own, and a server process that can be killed and started again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use lab::{Lab, Settings};
use model::{Record, RunStatus, RunSummary};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// How long anything may take before the test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const HOOK_SECRET: &str = "hook-secret-of-the-test";

/// People and their tokens.
const TOKENS: [(&str, &str, &str); 4] = [
    ("ana", "TOKEN_ANA", "analyst"),
    ("bo", "TOKEN_BO", "observer"),
    ("chatops", "TOKEN_CHATOPS", "analyst"),
    ("root", "TOKEN_ROOT", "admin"),
];

/// The top folder of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The alert of the demo.
pub(crate) fn alert() -> Value {
    read_json(&repository().join("examples/alerts/sshd_bruteforce.json"))
}

pub(crate) fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A lab, a folder, and the server process while there is one.
pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) folder: TempDir,
    wazuh_password: String,
    guardrails: String,
    more: String,
    server: Option<Server>,
}

struct Server {
    child: Child,
    url: String,
    log: tokio::task::JoinHandle<String>,
    is_over: watch::Receiver<bool>,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl World {
    /// A world whose server runs the playbooks of `workflows/`.
    pub(crate) async fn new() -> World {
        World::with(Settings::default(), &[]).await
    }

    /// A world whose server runs these playbooks, or those of `workflows/` where there are none.
    pub(crate) async fn with(settings: Settings, playbooks: &[(&str, &str)]) -> World {
        let mut world = World::prepare(settings, playbooks).await;
        world.start().await;
        world
    }

    /// A world whose server is still to be started.
    pub(crate) async fn prepare(settings: Settings, playbooks: &[(&str, &str)]) -> World {
        let settings = Settings { max_requests_per_minute: 0, ..settings };
        let wazuh_password = settings.wazuh_password.clone();
        let lab = Lab::start(settings).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let workflows = folder.path().join("workflows");
        std::fs::create_dir(&workflows).unwrap();
        for (name, text) in playbooks {
            std::fs::write(workflows.join(name), text).unwrap();
        }
        if playbooks.is_empty() {
            let shipped = repository().join("workflows/contain_ssh_bruteforce.yaml");
            std::fs::copy(shipped, workflows.join("contain_ssh_bruteforce.yaml")).unwrap();
        }
        let guardrails = "{ resume_role: analyst }".to_owned();
        World { lab, folder, wazuh_password, guardrails, more: String::new(), server: None }
    }

    /// The server gets this password for Wazuh from its next start on.
    pub(crate) fn set_wazuh_password(&mut self, password: &str) {
        password.clone_into(&mut self.wazuh_password);
    }

    /// The server has these guardrails from its next start on.
    pub(crate) fn set_guardrails(&mut self, guardrails: &str) {
        guardrails.clone_into(&mut self.guardrails);
    }

    /// The server has these lines at the end of its configuration from its next start on.
    pub(crate) fn configure(&mut self, lines: &str) {
        lines.clone_into(&mut self.more);
    }

    /// Starts the server and waits until it says that it listens.
    pub(crate) async fn start(&mut self) {
        let started = self.try_start(&[]).await;
        started.unwrap_or_else(|log| panic!("the server ended at its start:\n{log}"));
    }

    /// Starts the server with these variables; where it ends before it listens, gives what it logged.
    pub(crate) async fn try_start(&mut self, variables: &[(&str, &str)]) -> Result<(), String> {
        let config = self.folder.path().join("portcullis.yaml");
        std::fs::write(&config, self.configuration()).unwrap();
        let mut command = self.command(&["serve"]);
        command.envs(variables.iter().copied());
        let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = String::new();
        let url = loop {
            let line =
                tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("the server says something");
            let Some(line) = line.unwrap() else {
                let _ = child.wait().await;
                return Err(log);
            };
            let _ = writeln!(log, "{line}");
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            if entry.pointer("/fields/message") == Some(&json!("listening")) {
                break format!("http://{}", entry.pointer("/fields/address").unwrap().as_str().unwrap());
            }
        };
        let (over, is_over) = watch::channel(false);
        let log = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let _ = writeln!(log, "{line}");
            }
            over.send_replace(true);
            log
        });
        self.server = Some(Server { child, url, log, is_over });
        Ok(())
    }

    /// Waits until the server has ended by itself.
    pub(crate) async fn over(&self) {
        let mut is_over = self.server.as_ref().expect("a server runs").is_over.clone();
        let _ = is_over.wait_for(|is_over| *is_over).await;
    }

    /// Kills the server with SIGKILL; gives what it logged.
    pub(crate) async fn kill(&mut self) -> String {
        let mut server = self.server.take().expect("a server runs");
        server.child.kill().await.unwrap();
        server.log.await.unwrap()
    }

    /// Asks the server to stop and waits until it has; gives whether it ended well, and what it logged.
    pub(crate) async fn terminate(&mut self) -> (bool, String) {
        let pid = self.server.as_ref().expect("a server runs").child.id().unwrap().to_string();
        assert!(Command::new("kill").arg(pid).status().await.unwrap().success());
        tokio::time::timeout(PATIENCE, self.over()).await.expect("a server that is asked to stop ends");
        let mut server = self.server.take().expect("a server runs");
        let status = server.child.wait().await.unwrap();
        (status.success(), server.log.await.unwrap())
    }

    /// Tells the server to look at its files at once.
    pub(crate) async fn hang_up(&self) {
        let pid = self.server.as_ref().expect("a server runs").child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().await.unwrap().success());
    }

    /// The binary with these arguments, in the world's folder and with its secrets.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let lab = Settings::default();
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("WAZUH_PASSWORD", &self.wazuh_password)
            .env("THEHIVE_KEY", lab.thehive_key)
            .env("VIRUSTOTAL_KEY", lab.virustotal_key)
            .env("SLACK_TOKEN", lab.slack_token)
            .env("MISP_KEY", lab.misp_key)
            .env("INDEXER_PASSWORD", lab.indexer_password)
            .env("HOOK_SECRET", HOOK_SECRET)
            .env("PORTCULLIS_TOKEN", token("ana"))
            .env("RUST_LOG", "info")
            .env_remove("NO_COLOR");
        for (name, variable, _) in TOKENS {
            command.env(variable, token(name));
        }
        command
    }

    /// Runs the binary as ana would; gives its exit code and what it printed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> (i32, String) {
        self.run_as("ana", arguments).await
    }

    /// Runs the binary as this person would.
    pub(crate) async fn run_as(&self, person: &str, arguments: &[&str]) -> (i32, String) {
        let url = self.server.as_ref().map(|server| server.url.clone()).unwrap_or_default();
        let mut command = self.command(arguments);
        command.env("PORTCULLIS_TOKEN", token(person));
        if !url.is_empty() {
            command.args(["--url", &url]);
        }
        let output = tokio::time::timeout(PATIENCE, command.output()).await.unwrap().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8(text).unwrap())
    }

    /// The address of the server.
    pub(crate) fn url(&self) -> &str {
        &self.server.as_ref().expect("a server runs").url
    }

    /// Posts a body to the webhook with the right secret.
    pub(crate) async fn post_hook(&self, body: &Value) -> Answer {
        answer(self.hook(&client(), body)).await
    }

    /// The request of the webhook with the right secret.
    pub(crate) fn hook(&self, client: &reqwest::Client, body: &Value) -> reqwest::RequestBuilder {
        client
            .post(format!("{}/hooks/wazuh", self.url()))
            .header("x-portcullis-secret", HOOK_SECRET)
            .json(body)
    }

    /// Posts the demo's alert; gives the run that it started.
    pub(crate) async fn post_alert(&self) -> String {
        let answer = self.post_hook(&alert()).await;
        assert_eq!(answer.status, 202, "{:?}", answer.body);
        answer.body.pointer("/runs/0/run").unwrap().as_str().unwrap().to_owned()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(client().get(format!("{}{path}", self.url())).bearer_auth(token("ana"))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value, person: &str) -> Answer {
        answer(client().post(format!("{}{path}", self.url())).bearer_auth(token(person)).json(body)).await
    }

    /// A person answers an approval.
    pub(crate) async fn decide(&self, run: &str, step: &str, decision: &str, person: &str) -> Answer {
        let body = json!({ "decision": decision, "reason": "seen on the console of the host" });
        self.post(&format!("/api/v1/approvals/{run}/{step}"), &body, person).await
    }

    pub(crate) async fn summary(&self, run: &str) -> RunSummary {
        let answer = self.get(&format!("/api/v1/runs/{run}")).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        serde_json::from_value(answer.body).unwrap()
    }

    pub(crate) async fn journal(&self, run: &str) -> Vec<Record> {
        let answer = self.get(&format!("/api/v1/runs/{run}/journal")).await;
        serde_json::from_value(answer.body.get("records").unwrap().clone()).unwrap()
    }

    /// Waits until the run waits for a person with nothing else under way, or has finished.
    pub(crate) async fn settled(&self, run: &str) -> RunSummary {
        eventually("the run settles", async || {
            let summary = self.summary(run).await;
            let rests = summary.status == RunStatus::Waiting && !summary.waiting.is_empty();
            let is_settled = summary.status.is_finished() || rests;
            is_settled.then_some(summary)
        })
        .await
    }

    /// Waits until the lab has carried out this many active responses.
    pub(crate) async fn contained(&self, count: usize) {
        eventually("the active response arrives", async || {
            (self.lab.active_responses().len() >= count).then_some(())
        })
        .await;
    }

    /// The requests for active response that reached the lab, carried out or not.
    pub(crate) fn containment_requests(&self) -> usize {
        let is_containment =
            |request: &&lab::Recorded| request.method == "PUT" && request.path == "/active-response";
        self.lab.requests().iter().filter(is_containment).count()
    }

    fn configuration(&self) -> String {
        let mut tokens = String::new();
        for (name, variable, role) in TOKENS {
            let speaks = name == "chatops";
            let _ = writeln!(
                tokens,
                "    - {{ name: {name}, token: {{ env: {variable} }}, roles: [{role}], may_speak_for_others: {speaks} }}"
            );
        }
        format!(
            r#"listen: 127.0.0.1:0
data_dir: data
connections:
  wazuh:
    url: {wazuh}
    user: {user}
    password: {{ env: WAZUH_PASSWORD }}
    tls: {{ fingerprint: "{fingerprint}" }}
  wazuh_indexer:
    url: {indexer}
    user: {indexer_user}
    password: {{ env: INDEXER_PASSWORD }}
    tls: {{ fingerprint: "{fingerprint}" }}
  thehive: {{ url: "{thehive}", key: {{ env: THEHIVE_KEY }} }}
  virustotal: {{ url: "{virustotal}/api/v3", key: {{ env: VIRUSTOTAL_KEY }} }}
  slack: {{ url: "{slack}/api", token: {{ env: SLACK_TOKEN }} }}
  misp: {{ url: "{misp}", key: {{ env: MISP_KEY }} }}
hooks:
  wazuh: {{ secret: {{ env: HOOK_SECRET }} }}
api:
  tokens:
{tokens}guardrails: {guardrails}
{more}"#,
            more = self.more,
            guardrails = self.guardrails,
            wazuh = self.lab.wazuh_url(),
            user = Settings::default().wazuh_user,
            fingerprint = self.lab.wazuh_fingerprint(),
            indexer = self.lab.indexer_url(),
            indexer_user = Settings::default().indexer_user,
            thehive = self.lab.thehive_url(),
            virustotal = self.lab.virustotal_url(),
            slack = self.lab.slack_url(),
            misp = self.lab.misp_url(),
        )
    }
}

/// The token of a person.
pub(crate) fn token(person: &str) -> String {
    format!("token-of-{person}-in-the-test")
}

/// Asks until there is an answer; a test that waits too long has failed.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        let mut turns = tokio::time::interval(Duration::from_millis(5));
        loop {
            turns.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("waited too long: {what}"))
}

pub(crate) fn client() -> reqwest::Client {
    // The first to install a provider wins, and all of them install the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}
