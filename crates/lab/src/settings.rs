//! What a lab is started with. Every value has a default that suits a demo and a test.

use crate::wazuh::{Agent, default_agents};

/// Ports, accounts and limits of a lab.
#[derive(Clone)]
pub struct Settings {
    /// Port of the Wazuh manager API; 0 takes a free one, as for the other ports.
    pub wazuh_port: u16,
    /// Port of TheHive.
    pub thehive_port: u16,
    /// Port of VirusTotal.
    pub virustotal_port: u16,
    /// Port of Slack.
    pub slack_port: u16,
    /// Port of MISP.
    pub misp_port: u16,
    /// Port of the Wazuh indexer.
    pub indexer_port: u16,
    /// Port of the control API.
    pub control_port: u16,
    /// The one user of the Wazuh API.
    pub wazuh_user: String,
    /// Its password.
    pub wazuh_password: String,
    /// How long a Wazuh token is good for; with 0 each one is born expired.
    pub token_lifetime_s: u64,
    /// Failed logins after which Wazuh blocks the address for five minutes.
    pub max_login_attempts: u32,
    /// Requests that Wazuh answers in one minute; 0 switches the limit off.
    pub max_requests_per_minute: u32,
    /// How long a server keeps an idle connection open.
    pub keep_alive_ms: u64,
    /// The manager's `ar.conf`: one `NAME - PROGRAM - TIMEOUT` a line.
    pub ar_conf: String,
    /// The agents that Wazuh knows, the manager (`000`) among them.
    pub agents: Vec<Agent>,
    /// The one user of the Wazuh indexer.
    pub indexer_user: String,
    /// Its password.
    pub indexer_password: String,
    /// How long it takes from an active response until the alert that it raises can be found in the indexer.
    pub evidence_delay_ms: u64,
    /// API key of the service account in TheHive.
    pub thehive_key: String,
    /// Login of the service account in TheHive.
    pub thehive_login: String,
    /// API key of a second user in TheHive, who plays the analyst.
    pub analyst_key: String,
    /// Login of the analyst.
    pub analyst_login: String,
    /// Custom fields of type string that an administrator has created in TheHive.
    pub custom_fields: Vec<String>,
    /// API key for VirusTotal.
    pub virustotal_key: String,
    /// Lookups that are left in VirusTotal's quota; `None` is without end.
    pub virustotal_quota: Option<u32>,
    /// Bot token of the app in Slack.
    pub slack_token: String,
    /// Authentication key for MISP.
    pub misp_key: String,
}

const AR_CONF: &str = "\
restart-ossec0 - restart-ossec.sh - 0
restart-wazuh0 - restart-ossec.sh - 0
restart-wazuh0 - restart-wazuh - 0
firewall-drop180 - firewall-drop - 180
firewall-drop600 - firewall-drop - 600
host-deny600 - host-deny - 600
disable-account300 - disable-account - 300
remove-threat0 - remove-threat.sh - 0
isolate-host3600 - isolate-host - 3600
netsh180 - netsh.exe - 180
";

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            wazuh_port: 0,
            thehive_port: 0,
            virustotal_port: 0,
            slack_port: 0,
            misp_port: 0,
            indexer_port: 0,
            control_port: 0,
            wazuh_user: "portcullis".into(),
            wazuh_password: "Portcullis-lab-1".into(),
            token_lifetime_s: 900,
            max_login_attempts: 50,
            max_requests_per_minute: 300,
            keep_alive_ms: 5_000,
            ar_conf: AR_CONF.into(),
            agents: default_agents(),
            indexer_user: "portcullis".into(),
            indexer_password: "Portcullis-lab-2".into(),
            evidence_delay_ms: 50,
            thehive_key: "lab-thehive-key".into(),
            thehive_login: "portcullis@lab.example".into(),
            analyst_key: "lab-analyst-key".into(),
            analyst_login: "analyst@lab.example".into(),
            custom_fields: vec!["portcullis-run".into()],
            virustotal_key: "lab-virustotal-key".into(),
            virustotal_quota: None,
            slack_token: "xoxb-lab-slack-token".into(),
            misp_key: "lab-misp-key".into(),
        }
    }
}
