//! Starts and stops the servers, and is the lab's face towards Rust.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::certificate;
use crate::control::Control;
use crate::faults::{Fault, Orders, System};
use crate::http::{Endpoint, Observer, Server, serve};
use crate::indexer::Indexer;
use crate::misp::Misp;
use crate::record::{Recorded, Recorder};
use crate::settings::Settings;
use crate::slack::Slack;
use crate::thehive::TheHive;
use crate::virustotal::VirusTotal;
use crate::wazuh::{ActiveResponse, Agent, AgentStatus, Execd, Permissions, Wazuh};

/// Why a lab did not start, or did not do as told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("listen on 127.0.0.1:{port}")]
    Listen { port: u16, source: io::Error },
    #[error("make a certificate")]
    Certificate(#[source] rcgen::Error),
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
    #[error("find agent `{0}`")]
    UnknownAgent(String),
}

/// A running lab. Dropping it stops its servers and closes their connections.
pub struct Lab {
    world: Arc<World>,
    certificate_pem: String,
    fingerprint: String,
    wazuh: SocketAddr,
    thehive: SocketAddr,
    virustotal: SocketAddr,
    slack: SocketAddr,
    misp: SocketAddr,
    indexer: SocketAddr,
    control: SocketAddr,
    tasks: Vec<JoinHandle<Infallible>>,
}

/// The products and what is kept about them, shared with the control API.
pub(crate) struct World {
    pub(crate) wazuh: Arc<Wazuh>,
    pub(crate) thehive: Arc<TheHive>,
    pub(crate) virustotal: Arc<VirusTotal>,
    pub(crate) slack: Arc<Slack>,
    pub(crate) misp: Arc<Misp>,
    pub(crate) indexer: Arc<Indexer>,
    pub(crate) orders: Arc<Orders>,
    pub(crate) recorder: Arc<Recorder>,
}

impl Lab {
    /// Binds all ports on 127.0.0.1 and serves them. Needs a tokio runtime with IO and time.
    pub async fn start(settings: Settings) -> Result<Lab, Error> {
        let certificate = certificate::create()?;
        let keep_alive = Duration::from_millis(settings.keep_alive_ms);
        let (wazuh_listener, wazuh) = listen(settings.wazuh_port).await?;
        let (thehive_listener, thehive) = listen(settings.thehive_port).await?;
        let (virustotal_listener, virustotal) = listen(settings.virustotal_port).await?;
        let (slack_listener, slack) = listen(settings.slack_port).await?;
        let (misp_listener, misp) = listen(settings.misp_port).await?;
        let (indexer_listener, indexer) = listen(settings.indexer_port).await?;
        let (control_listener, control) = listen(settings.control_port).await?;
        let alerts = Arc::new(Indexer::new(&settings));
        let world = Arc::new(World {
            wazuh: Arc::new(Wazuh::new(settings.clone(), alerts.clone())),
            indexer: alerts,
            virustotal: Arc::new(VirusTotal::new(&settings)),
            slack: Arc::new(Slack::new(&settings)),
            misp: Arc::new(Misp::new(&settings)),
            thehive: Arc::new(TheHive::new(settings)),
            orders: Arc::default(),
            recorder: Arc::default(),
        });
        let observed = |system, endpoint: Arc<dyn Endpoint>, tls| {
            let observer =
                Observer { system, orders: world.orders.clone(), recorder: world.recorder.clone() };
            Server { endpoint, observer: Some(observer), tls, keep_alive, delay: Duration::ZERO }
        };
        let control_endpoint = Arc::new(Control::new(world.clone()));
        let control_server = Server {
            endpoint: control_endpoint,
            observer: None,
            tls: None,
            keep_alive,
            delay: Duration::ZERO,
        };
        let tls = Some(certificate.acceptor);
        let tasks = vec![
            serve(wazuh_listener, observed(System::Wazuh, world.wazuh.clone(), tls.clone())),
            serve(thehive_listener, observed(System::TheHive, world.thehive.clone(), None)),
            serve(virustotal_listener, observed(System::VirusTotal, world.virustotal.clone(), None)),
            serve(slack_listener, observed(System::Slack, world.slack.clone(), None)),
            serve(misp_listener, observed(System::Misp, world.misp.clone(), None)),
            serve(indexer_listener, observed(System::WazuhIndexer, world.indexer.clone(), tls)),
            serve(control_listener, control_server),
        ];
        Ok(Lab {
            world,
            certificate_pem: certificate.pem,
            fingerprint: certificate.fingerprint,
            wazuh,
            thehive,
            virustotal,
            slack,
            misp,
            indexer,
            control,
            tasks,
        })
    }

    /// Stops the servers and waits until their ports are free.
    pub async fn stop(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            // The task is endless, so all that it can end with is the cancellation that was asked for.
            drop(task.await);
        }
    }

    /// `https://127.0.0.1:PORT`. The certificate is not valid for that name, as in a fresh Wazuh.
    pub fn wazuh_url(&self) -> String {
        format!("https://{}", self.wazuh)
    }

    /// The self-signed certificate, to trust or to pin.
    pub fn wazuh_certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// SHA-256 of the certificate's DER, in lower-case hex.
    pub fn wazuh_fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    /// Where TheHive is, without `/api/v1`.
    pub fn thehive_url(&self) -> String {
        format!("http://{}", self.thehive)
    }

    /// Where VirusTotal is, without `/api/v3`.
    pub fn virustotal_url(&self) -> String {
        format!("http://{}", self.virustotal)
    }

    /// Where Slack is, without `/api`.
    pub fn slack_url(&self) -> String {
        format!("http://{}", self.slack)
    }

    /// Where MISP is.
    pub fn misp_url(&self) -> String {
        format!("http://{}", self.misp)
    }

    /// `https://127.0.0.1:PORT` of the Wazuh indexer, which has the certificate of the manager.
    pub fn indexer_url(&self) -> String {
        format!("https://{}", self.indexer)
    }

    /// Where the control API is; `GET /` there lists what it offers.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// The requests so far, in the order in which they arrived.
    pub fn requests(&self) -> Vec<Recorded> {
        self.world.recorder.list()
    }

    /// Orders a fault; open orders are tried in the order in which they were given.
    pub fn order(&self, fault: Fault) {
        self.world.orders.add(fault);
    }

    /// The orders that are still open.
    pub fn faults(&self) -> Vec<Fault> {
        self.world.orders.list()
    }

    /// Withdraws all orders that are still open.
    pub fn clear_faults(&self) {
        self.world.orders.clear();
    }

    /// TheHive's cases as JSON, each with `observables`, `comments` and `tasks` with their `logs`.
    pub fn cases(&self) -> Vec<Value> {
        self.world.thehive.cases()
    }

    /// The messages in Slack, as they were posted.
    pub fn messages(&self) -> Vec<Value> {
        self.world.slack.messages()
    }

    /// The sightings that MISP was told of, as they were told.
    pub fn sightings(&self) -> Vec<Value> {
        self.world.misp.sightings()
    }

    /// The commands that Wazuh agents received, the oldest first.
    pub fn active_responses(&self) -> Vec<ActiveResponse> {
        self.world.wazuh.active_responses()
    }

    /// What agents have in force by the scripts in `examples/wazuh`: `agent/001/network` while it is isolated,
    /// `agent/001/ip/192.0.2.1` while that address is blocked.
    pub fn in_force(&self) -> BTreeSet<String> {
        self.world.wazuh.in_force()
    }

    /// Puts an alert into the index as it is, and gives its `_id`. One without a `timestamp` gets this moment.
    pub fn add_alert(&self, alert: Value) -> String {
        self.world.indexer.add_alert(alert)
    }

    /// From now on, how long it takes until the alert that an active response raises can be found in the indexer.
    pub fn set_evidence_delay(&self, delay: Duration) {
        self.world.indexer.set_delay_ms(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
    }

    /// The agents as they are.
    pub fn agents(&self) -> Vec<Agent> {
        self.world.wazuh.agents()
    }

    /// Connects or disconnects an agent.
    pub fn set_agent_status(&self, id: &str, status: AgentStatus) -> Result<(), Error> {
        self.change_agent(id, |agent| agent.status = status)
    }

    /// Lets an agent refuse active responses, be silent about them, or take them and do nothing.
    pub fn set_agent_execd(&self, id: &str, execd: Execd) -> Result<(), Error> {
        self.change_agent(id, |agent| agent.execd = execd)
    }

    fn change_agent(&self, id: &str, change: impl FnOnce(&mut Agent)) -> Result<(), Error> {
        if self.world.wazuh.change_agent(id, change) {
            Ok(())
        } else {
            Err(Error::UnknownAgent(id.to_owned()))
        }
    }

    /// Makes every Wazuh token that was issued so far invalid.
    pub fn expire_tokens(&self) {
        self.world.wazuh.expire_tokens();
    }

    /// Changes the password of the Wazuh user, which kills its tokens.
    pub fn set_password(&self, password: &str) {
        self.world.wazuh.set_password(password);
    }

    /// What the Wazuh user may do.
    pub fn permissions(&self) -> Permissions {
        self.world.wazuh.permissions()
    }

    /// Changes what the Wazuh user may do, which kills its tokens.
    pub fn set_permissions(&self, permissions: Permissions) {
        self.world.wazuh.set_permissions(permissions);
    }

    /// Stops or starts the Wazuh daemons: while they are down each request is answered 500 with error 1017.
    pub fn set_daemons_down(&self, down: bool) {
        self.world.wazuh.set_daemons_down(down);
    }

    /// Sets how many lookups VirusTotal still answers; `None` is without end.
    pub fn set_virustotal_quota(&self, left: Option<u32>) {
        self.world.virustotal.set_quota(left);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn listen(port: u16) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { port, source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

#[cfg(test)]
mod tests;
