//! What new playbooks are made of: a small one that teaches, and the ones for production.

use clap::ValueEnum;

/// A playbook for production to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Template {
    /// Somebody guesses SSH passwords: block the source.
    BruteForce,
    /// VirusTotal knows a file as malware: remove it.
    MalwareHash,
    /// Somebody reports a mail: purge it from all mailboxes.
    PhishingReport,
    /// Files change as under ransomware: isolate the host.
    RansomwareHost,
    /// A password stands in a leak: suspend the account.
    LeakedCredential,
}

/// A playbook and its tests, as they stand in this repository.
pub(super) struct Source {
    /// The playbook's name there.
    pub(super) name: &'static str,
    pub(super) playbook: &'static str,
    pub(super) tests: &'static str,
}

const SCRATCH: Source = Source {
    name: "scratch",
    playbook: include_str!("scratch.yaml"),
    tests: include_str!("scratch.test.yaml"),
};
const SSH: Source = Source {
    name: "contain_ssh_bruteforce",
    playbook: include_str!("../../../../workflows/contain_ssh_bruteforce.yaml"),
    tests: include_str!("../../../../workflows/contain_ssh_bruteforce.test.yaml"),
};
const MALWARE: Source = Source {
    name: "contain_malware",
    playbook: include_str!("../../../../workflows/contain_malware.yaml"),
    tests: include_str!("../../../../workflows/contain_malware.test.yaml"),
};
const PHISHING: Source = Source {
    name: "phishing_report",
    playbook: include_str!("../../../../workflows/phishing_report.yaml"),
    tests: include_str!("../../../../workflows/phishing_report.test.yaml"),
};
const RANSOMWARE: Source = Source {
    name: "isolate_ransomware",
    playbook: include_str!("../../../../workflows/isolate_ransomware.yaml"),
    tests: include_str!("../../../../workflows/isolate_ransomware.test.yaml"),
};
const CREDENTIAL: Source = Source {
    name: "revoke_leaked_credential",
    playbook: include_str!("../../../../workflows/revoke_leaked_credential.yaml"),
    tests: include_str!("../../../../workflows/revoke_leaked_credential.test.yaml"),
};
const ENRICH_HASH: Source = Source {
    name: "enrich_hash",
    playbook: include_str!("../../../../workflows/enrich_hash.yaml"),
    tests: include_str!("../../../../workflows/enrich_hash.test.yaml"),
};

/// The playbooks that others call.
const CALLED: [&Source; 1] = [&ENRICH_HASH];

/// The alerts that tests read.
const ALERTS: [(&str, &str); 8] = [
    ("fim_modified.json", include_str!("../../../../examples/alerts/fim_modified.json")),
    ("leaked_credential.json", include_str!("../../../../examples/alerts/leaked_credential.json")),
    ("phishing_report.json", include_str!("../../../../examples/alerts/phishing_report.json")),
    ("ransomware_files.json", include_str!("../../../../examples/alerts/ransomware_files.json")),
    ("sshd_bruteforce.json", include_str!("../../../../examples/alerts/sshd_bruteforce.json")),
    ("sshd_invalid_user.json", include_str!("../../../../examples/alerts/sshd_invalid_user.json")),
    ("virustotal_hit.json", include_str!("../../../../examples/alerts/virustotal_hit.json")),
    ("web_sqli.json", include_str!("../../../../examples/alerts/web_sqli.json")),
];

/// What a new playbook begins as.
pub(super) fn source(template: Option<Template>) -> &'static Source {
    match template {
        None => &SCRATCH,
        Some(Template::BruteForce) => &SSH,
        Some(Template::MalwareHash) => &MALWARE,
        Some(Template::PhishingReport) => &PHISHING,
        Some(Template::RansomwareHost) => &RANSOMWARE,
        Some(Template::LeakedCredential) => &CREDENTIAL,
    }
}

impl Source {
    /// The playbooks that this one calls.
    pub(super) fn calls(&self) -> impl Iterator<Item = &'static Source> {
        let call = |name: &str| format!("workflow: {name},");
        CALLED.into_iter().filter(move |called| {
            let is_called = |line: &str| line.trim_start() == format!("workflow: {}", called.name);
            self.name != called.name
                && (self.playbook.contains(&call(called.name)) || self.playbook.lines().any(is_called))
        })
    }

    /// The playbook under another name, held back at first.
    pub(super) fn playbook(&self, name: &str) -> String {
        let line = |line: &str| match line {
            _ if line == format!("workflow: {}", self.name) => format!("workflow: {name}"),
            _ if line.starts_with("mode: live") => {
                "mode: shadow # `live` once its runs do what you want: then it acts".to_owned()
            }
            _ => line
                .replace("examples/alerts/", "alerts/")
                .replace(&format!("run {} ", self.name), &format!("run {name} ")),
        };
        lines(self.playbook, line)
    }

    /// The tests of that playbook: as it will be live, with the alerts beside it.
    pub(super) fn tests(&self, name: &str, file: &str) -> String {
        let line = |line: &str| {
            if line.starts_with("# portcullis test ") {
                return format!("# portcullis test {file}");
            }
            if line == "tests:" {
                return "mode: live # what it will do once it is\n\ntests:".to_owned();
            }
            let line = line.replace("../examples/alerts/", "alerts/");
            line.replace(&format!("`{}`", self.name), &format!("`{name}`"))
                .replace(&format!("of {} |", self.name), &format!("of {name} |"))
        };
        lines(self.tests, line)
    }

    /// The alerts that the tests read.
    pub(super) fn alerts(&self) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        ALERTS.iter().filter(|(name, _)| self.tests.contains(&format!("/{name}")))
    }
}

fn lines(text: &str, change: impl Fn(&str) -> String) -> String {
    text.lines().map(|line| change(line) + "\n").collect()
}
