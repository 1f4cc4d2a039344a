//! VirusTotal v3: what is known about an address, a file, a domain or a URL, behind an API key and a quota.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::clock::now_ms;
use crate::http::{Answer, Endpoint, Refusal, Request};
use crate::settings::Settings;

pub(crate) struct VirusTotal {
    key: String,
    quota: Mutex<Option<u32>>,
}

/// How many engines say what.
struct Verdict {
    malicious: u32,
    suspicious: u32,
    harmless: u32,
    undetected: u32,
}

/// What somebody asks about, by its name in VirusTotal.
struct Subject {
    /// `ip_address`, `file`, `domain` or `url`.
    kind: &'static str,
    id: String,
    verdict: Verdict,
    /// What only this kind has.
    attributes: Value,
}

impl VirusTotal {
    pub(crate) fn new(settings: &Settings) -> VirusTotal {
        VirusTotal { key: settings.virustotal_key.clone(), quota: Mutex::new(settings.virustotal_quota) }
    }

    pub(crate) fn quota(&self) -> Option<u32> {
        *self.lock()
    }

    pub(crate) fn set_quota(&self, quota: Option<u32>) {
        *self.lock() = quota;
    }

    fn lock(&self) -> MutexGuard<'_, Option<u32>> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False when the quota is used up.
    fn spend(&self) -> bool {
        let mut quota = self.lock();
        match *quota {
            None => true,
            Some(0) => false,
            Some(left) => {
                *quota = Some(left - 1);
                true
            }
        }
    }
}

impl Endpoint for VirusTotal {
    fn answer(&self, request: &Request) -> Answer {
        match request.header("x-apikey") {
            None => return error(401, "AuthenticationRequiredError", "X-Apikey header is missing"),
            Some(key) if key != self.key => return error(401, "WrongCredentialsError", "Wrong API key"),
            Some(_) => {}
        }
        let asked = request.path.strip_prefix("/api/v3/").and_then(|rest| rest.split_once('/'));
        let Some((collection, id)) = asked.filter(|_| request.method == Method::GET) else {
            return error(404, "NotFoundError", "Resource not found.");
        };
        if !self.spend() {
            return error(429, "QuotaExceededError", "Quota exceeded");
        }
        let found = match collection {
            "ip_addresses" => address(id),
            "files" => file(id),
            "domains" => domain(id),
            "urls" => url(id),
            _ => Err(error(404, "NotFoundError", "Resource not found.")),
        };
        found.map_or_else(|refusal| refusal, |subject| Answer::json(StatusCode::OK, &report(&subject)))
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        match refusal {
            Refusal::TooLarge { .. } => error(413, "BadRequestError", "Request entity too large"),
            Refusal::ExpectationFailed { .. } => Answer::empty(StatusCode::EXPECTATION_FAILED),
            Refusal::TokenExpired => error(401, "WrongCredentialsError", "Wrong API key"),
            Refusal::TimedOut => {
                error(504, "DeadlineExceededError", "The operation took too long to complete")
            }
        }
    }
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    let status = StatusCode::from_u16(status).expect("statuses are written above");
    Answer::json(status, &json!({ "error": { "code": code, "message": message } }))
}

fn unknown(what: &str, id: &str) -> Answer {
    error(404, "NotFoundError", &format!("{what} \"{id}\" not found"))
}

fn verdict(malicious: u32, suspicious: u32, harmless: u32, undetected: u32) -> Verdict {
    Verdict { malicious, suspicious, harmless, undetected }
}

/// The addresses of the documentation ranges that the lab has an opinion about.
fn address(id: &str) -> Result<Subject, Answer> {
    let text = id.replace("%3A", ":").replace("%3a", ":");
    let Ok(ip) = text.parse::<IpAddr>() else {
        let message = format!("\"{text}\" is not a valid IP address pattern");
        return Err(error(400, "InvalidArgumentError", &message));
    };
    let id = ip.to_string();
    let verdict = match id.as_str() {
        "203.0.113.9" => verdict(12, 2, 48, 29),
        "203.0.113.66" => verdict(25, 4, 38, 24),
        "203.0.113.50" => verdict(1, 3, 58, 29),
        "2001:db8::9" => verdict(9, 1, 51, 30),
        _ if id.starts_with("198.51.100.") => verdict(0, 0, 62, 29),
        _ => return Err(unknown("IP address", &id)),
    };
    let attributes = json!({ "asn": 64_496, "as_owner": "Documentation Network", "country": "ZZ" });
    Ok(Subject { kind: "ip_address", id, verdict, attributes })
}

/// The three names of one file.
struct File {
    md5: &'static str,
    sha1: &'static str,
    sha256: &'static str,
}

/// The download and the upload in `examples/alerts`, and the file without content.
const INSTALLER: File = File {
    md5: "09f7c8ab144398156675aebf24e687db",
    sha1: "b507d50515d0315e15ea18088f4f77a2b9794890",
    sha256: "02428ab822b67a6a664fe5a50448082a2c836d0a99ef49b519b0228b9a2f8006",
};
const UPLOAD: File = File {
    md5: "8250d4997c24feaa2b7de646664b2f9b",
    sha1: "26903eeefc6f889ee3d60c3324a3fd0846bf8c05",
    sha256: "6dae867d6ff85afdb696484a0717236cfbf7edbfef8bfa7e99fac7b7f4900601",
};
const NOTHING: File = File {
    md5: "d41d8cd98f00b204e9800998ecf8427e",
    sha1: "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
};

fn file(id: &str) -> Result<Subject, Answer> {
    let id = id.to_lowercase();
    let is = |file: &File| [file.md5, file.sha1, file.sha256].contains(&id.as_str());
    let (file, verdict, name, label) = match () {
        () if is(&INSTALLER) => {
            (INSTALLER, verdict(52, 0, 0, 18), "free-viewer-setup.exe", Some("trojan.viewer/fake"))
        }
        () if is(&UPLOAD) => (UPLOAD, verdict(7, 1, 0, 55), "banner-2026.php", Some("webshell.php/tiny")),
        () if is(&NOTHING) => (NOTHING, verdict(0, 0, 2, 60), "empty", None),
        () => return Err(unknown("File", &id)),
    };
    let mut attributes = json!({
        "md5": file.md5,
        "sha1": file.sha1,
        "sha256": file.sha256,
        "meaningful_name": name,
        "type_description": "unknown",
        "first_submission_date": 1_795_050_000,
    });
    if let Some(label) = label {
        attributes["popular_threat_classification"] = json!({ "suggested_threat_label": label });
    }
    Ok(Subject { kind: "file", id: file.sha256.to_owned(), verdict, attributes })
}

const PHISH: &str = "login.portal.example";
const NEWS: &str = "news.example";

fn domain(id: &str) -> Result<Subject, Answer> {
    if !id.contains('.') {
        let message = format!("\"{id}\" is not a valid domain pattern");
        return Err(error(400, "InvalidArgumentError", &message));
    }
    let verdict = match id {
        PHISH => verdict(11, 2, 48, 30),
        NEWS => verdict(0, 0, 70, 21),
        _ => return Err(unknown("Domain", id)),
    };
    let attributes = json!({ "registrar": "Example Registrar", "creation_date": 1_795_000_000 });
    Ok(Subject { kind: "domain", id: id.to_owned(), verdict, attributes })
}

/// A URL is asked for in base64, for URLs and without padding.
fn url(id: &str) -> Result<Subject, Answer> {
    let url = URL_SAFE_NO_PAD.decode(id).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(url) = url else { return Err(unknown("URL", id)) };
    let host = url.split("://").nth(1).and_then(|rest| rest.split('/').next());
    let verdict = match host {
        Some(PHISH) => verdict(9, 3, 54, 25),
        Some(NEWS) => verdict(0, 0, 70, 21),
        Some(_) | None => return Err(unknown("URL", id)),
    };
    let attributes = json!({ "url": url, "last_final_url": url, "title": "Sign in" });
    Ok(Subject { kind: "url", id: id.to_owned(), verdict, attributes })
}

fn report(subject: &Subject) -> Value {
    let Subject { kind, id, verdict, attributes } = subject;
    let collection = if *kind == "ip_address" { "ip_addresses".to_owned() } else { format!("{kind}s") };
    let mut report = json!({
        "last_analysis_stats": {
            "malicious": verdict.malicious,
            "suspicious": verdict.suspicious,
            "undetected": verdict.undetected,
            "harmless": verdict.harmless,
            "timeout": 0,
        },
        "last_analysis_results": engines(verdict),
        "last_analysis_date": now_ms() / 1000,
        "reputation": -i64::from(verdict.malicious),
        "total_votes": { "harmless": 0, "malicious": verdict.malicious / 4 },
        "tags": [],
    });
    if *kind == "file" {
        for category in ["confirmed-timeout", "failure", "type-unsupported"] {
            report["last_analysis_stats"][category] = json!(0);
        }
    }
    for (name, value) in attributes.as_object().into_iter().flatten() {
        report[name] = value.clone();
    }
    let link = format!("https://www.virustotal.com/api/v3/{collection}/{id}");
    json!({ "data": { "id": id, "type": kind, "links": { "self": link }, "attributes": report } })
}

fn engines(verdict: &Verdict) -> Value {
    let results = [
        ("malicious", "malware", verdict.malicious),
        ("suspicious", "suspicious", verdict.suspicious),
        ("harmless", "clean", verdict.harmless),
        ("undetected", "unrated", verdict.undetected),
    ];
    let said = results.into_iter().flat_map(|(category, result, count)| {
        std::iter::repeat_n((category, result), count.try_into().unwrap_or(0))
    });
    let engines = said.enumerate().map(|(index, (category, result))| {
        let name = format!("Lab Engine {:02}", index + 1);
        let engine = json!({
            "engine_name": name, "method": "blacklist", "category": category, "result": result,
        });
        (name, engine)
    });
    Value::Object(engines.collect())
}
