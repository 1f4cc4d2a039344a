//! The script that carries Wazuh's alerts to Portcullis, `examples/wazuh/custom-portcullis`, against a small receiver
//! that answers as it is told. It is called with the arguments that wazuh-integratord gives. What Portcullis itself
//! makes of an alert is not tested here.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod receiver;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, mpsc};

use serde_json::{Value, json};
use tempfile::TempDir;

use receiver::{Answer, Receiver, alert_id};

const SECRET: &str = "Not-A-Real-Secret-4711";

#[test]
fn an_alert_arrives_with_the_secret_and_byte_for_byte() {
    let manager = Manager::new();
    let receiver = Receiver::start(|_| Answer::Status(202));
    let body =
        br#"{ "id": "1795340000.100",  "full_log":"na\u00efve \u0007 `id` $(id)","rule":{"level":10} }"#;
    let file = manager.write("custom-portcullis-1795340000-77.alert", body);
    let output = manager.send(&file, &receiver.url("/hooks/wazuh?from=wazuh"));

    assert_eq!(status(&output), 0, "{}", manager.log());
    let seen = receiver.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line, "POST /hooks/wazuh?from=wazuh HTTP/1.1");
    assert_eq!(seen[0].header("x-portcullis-secret"), [SECRET]);
    assert_eq!(seen[0].header("content-type"), ["application/json"]);
    assert_eq!(seen[0].body, body);
    assert_eq!(manager.spooled("pending"), [""; 0]);
    assert_eq!(manager.log(), "", "a delivered alert is no news");
}

#[test]
fn the_file_runs_without_naming_python() {
    let manager = Manager::new();
    let receiver = Receiver::start(|_| Answer::Status(202));
    let file = manager.alert("1795340000.101");
    let output =
        Command::new("sh").arg(script()).args(manager.arguments(&file, &receiver.url("/"))).output().unwrap();

    assert_eq!(status(&output), 0, "{}", manager.log());
    assert_eq!(receiver.ids(), ["1795340000.101"]);
}

#[test]
fn an_alert_for_a_dead_receiver_waits_in_the_spool() {
    let manager = Manager::new();
    let output = manager.send(&manager.alert("1795340000.102"), "http://127.0.0.1:1/hooks/wazuh");

    assert_eq!(status(&output), 0, "a receiver that is down needs no person");
    assert_eq!(manager.spooled("pending"), ["1795340000.102"]);
    manager.logged(r#"WARN cannot connect: Connection refused; alerts wait in the spool"#);
    assert!(!manager.log().contains(SECRET));
    assert!(!manager.log().contains("hooks/wazuh"), "a path may hold a token");
    for path in manager.spool_files() {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
}

#[test]
fn what_waits_goes_out_first_and_in_order() {
    let manager = Manager::new();
    let receiver = Receiver::start(|_| Answer::Drop);
    for id in ["1795340000.1", "1795340000.2", "1795340000.3"] {
        assert_eq!(manager.carries(id, &receiver), 0);
    }
    assert_eq!(receiver.ids(), [""; 0]);

    receiver.answers(|_| Answer::Status(202));
    assert_eq!(manager.carries("1795340000.4", &receiver), 0);

    assert_eq!(receiver.ids(), ["1795340000.1", "1795340000.2", "1795340000.3", "1795340000.4"]);
    assert_eq!(manager.spooled("pending"), [""; 0]);
    manager.logged(r#"INFO sent alerts from the spool to="127.0.0.1" sent="4" waiting="0""#);
}

#[test]
fn one_call_sends_no_more_than_its_share() {
    let manager = Manager::with(json!({ "send_max": 2 }));
    let receiver = Receiver::start(|_| Answer::Status(503));
    for id in ["1795340000.1", "1795340000.2", "1795340000.3"] {
        manager.carries(id, &receiver);
    }

    receiver.answers(|_| Answer::Status(202));
    receiver.forget();
    manager.carries("1795340000.4", &receiver);
    assert_eq!(receiver.ids(), ["1795340000.1", "1795340000.2"]);
    assert_eq!(manager.spooled("pending"), ["1795340000.3", "1795340000.4"]);
}

#[test]
fn a_busy_receiver_gets_the_alert_later() {
    for busy in [408, 429, 500, 502, 503, 504] {
        let manager = Manager::new();
        let receiver = Receiver::start(move |_| Answer::Status(busy));
        assert_eq!(manager.carries("1795340000.103", &receiver), 0, "{busy}");
        assert_eq!(receiver.ids().len(), 1, "{busy}: one try, the spool is the retry");
        assert_eq!(manager.spooled("pending"), ["1795340000.103"], "{busy}");
        manager.logged(&format!("the receiver answered {busy}"));
    }
}

#[test]
fn a_receiver_that_asks_for_time_is_given_time() {
    let manager = Manager::new();
    let receiver = Receiver::start(|_| Answer::RetryAfter(503, 60));
    manager.carries("1795340000.1", &receiver);
    receiver.answers(|_| Answer::Status(202));
    receiver.forget();

    assert_eq!(manager.carries("1795340000.2", &receiver), 0);
    assert_eq!(receiver.ids(), [""; 0]);
    assert_eq!(status(&manager.by_hand("--flush", &receiver.url("/"))), 0);
    assert_eq!(receiver.ids(), ["1795340000.1", "1795340000.2"]);
    assert_eq!(manager.carries("1795340000.3", &receiver), 0);
    assert_eq!(receiver.ids().len(), 3, "a receiver that takes alerts again is not waited for");
}

#[test]
fn a_refused_alert_is_kept_with_the_reason_and_blocks_nothing() {
    for (refusal, advice) in [
        (401, "make api_key in ossec.conf equal to the secret of the hook"),
        (404, "there is no such hook"),
        (413, "raise its limit"),
        (422, "see its log"),
    ] {
        let manager = Manager::new();
        let receiver = Receiver::start(move |request| match request.id().as_str() {
            "1795340000.1" => Answer::Status(refusal),
            _ => Answer::Status(202),
        });
        assert_eq!(manager.carries("1795340000.1", &receiver), 1, "{refusal}: a person must act");
        assert_eq!(manager.spooled("pending"), [""; 0]);
        assert_eq!(manager.spooled("refused"), ["1795340000.1"]);
        let log = manager.log();
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(
            log.contains(&format!("ERROR alert refused (HTTP {refusal})")) && log.contains(advice),
            "{log}"
        );
        assert!(manager.reason().contains(advice));

        assert_eq!(manager.carries("1795340000.2", &receiver), 0);
        receiver.answers(|_| Answer::Status(202));
        receiver.forget();
        assert_eq!(status(&manager.by_hand("--retry-refused", &receiver.url("/"))), 0);
        assert_eq!(receiver.ids(), ["1795340000.1"]);
        assert_eq!(manager.spooled("refused"), [""; 0]);
    }
}

#[test]
fn a_redirect_does_not_take_the_secret_elsewhere() {
    let manager = Manager::new();
    let elsewhere = Receiver::start(|_| Answer::Status(202));
    let location = elsewhere.url("/");
    let receiver = Receiver::start(move |_| Answer::Redirect(location.clone()));
    assert_eq!(manager.carries("1795340000.104", &receiver), 1);
    assert_eq!(elsewhere.ids(), [""; 0]);
    assert_eq!(manager.spooled("refused"), ["1795340000.104"]);
    manager.logged("the receiver redirects");
}

#[test]
fn an_alert_that_breaks_the_receiver_does_not_hold_back_the_others() {
    let manager = Manager::new();
    let receiver = Receiver::start(|_| Answer::Status(503));
    for id in ["1795340000.1", "1795340000.2", "1795340000.3"] {
        manager.carries(id, &receiver);
    }
    receiver.answers(|request| match request.id().as_str() {
        "1795340000.1" => Answer::Drop,
        _ => Answer::Status(202),
    });
    receiver.forget();

    assert_eq!(status(&manager.by_hand("--flush", &receiver.url("/"))), 1);
    assert_eq!(receiver.ids(), ["1795340000.2", "1795340000.3"]);
    assert_eq!(manager.spooled("refused"), ["1795340000.1"]);
    assert!(manager.reason().contains("the receiver fails on this alert and takes others"));
}

#[test]
fn a_call_killed_while_it_sends_loses_nothing() {
    let manager = Manager::new();
    let (arrived, arrival) = mpsc::channel();
    let receiver = Receiver::start(|_| Answer::Status(503));
    manager.carries("1795340000.1", &receiver);
    receiver.answers(move |_| Answer::Hang(arrived.clone()));
    let mut call = manager.start(&manager.alert("1795340000.2"), &receiver.url("/"));
    arrival.recv().unwrap();
    call.kill().unwrap();
    call.wait().unwrap();

    receiver.answers(|_| Answer::Status(202));
    receiver.forget();
    assert_eq!(manager.carries("1795340000.3", &receiver), 0);
    assert_eq!(receiver.ids(), ["1795340000.1", "1795340000.2", "1795340000.3"]);
}

#[test]
fn a_half_written_alert_is_never_sent() {
    let manager = Manager::new();
    let receiver = Receiver::start(|_| Answer::Status(503));
    manager.carries("1795340000.1", &receiver);
    let folder = manager.spool_files().into_iter().find(|path| path.ends_with("pending")).unwrap();
    fs::write(folder.join(".01795340000000000000-100.json.1.draft"), b"{\"id\":").unwrap();
    receiver.answers(|_| Answer::Status(202));
    receiver.forget();

    assert_eq!(manager.carries("1795340000.2", &receiver), 0);
    assert_eq!(receiver.ids(), ["1795340000.1", "1795340000.2"]);
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn calls_at_the_same_time_deliver_each_alert_once() {
    let manager = Manager::new();
    let receiver = Receiver::start(|_| Answer::Status(202));
    let ids: BTreeSet<String> = (0..5).map(|number| format!("1795340000.{number}")).collect();
    let calls: Vec<Child> =
        ids.iter().map(|id| manager.start(&manager.alert(id), &receiver.url("/"))).collect();
    for call in calls {
        assert_eq!(status(&call.wait_with_output().unwrap()), 0, "{}", manager.log());
    }

    let mut seen = receiver.ids();
    seen.sort();
    assert_eq!(seen, Vec::from_iter(ids));
    assert_eq!(manager.spooled("pending"), [""; 0]);
}

#[test]
fn a_call_that_finds_another_one_sending_leaves_its_alert_to_that_one() {
    let manager = Manager::new();
    let (arrived, arrival) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let receiver = Receiver::start(move |_| {
        arrived.send(()).unwrap();
        released.lock().unwrap().recv().unwrap();
        Answer::Status(202)
    });
    let sender = manager.start(&manager.alert("1795340000.1"), &receiver.url("/"));
    arrival.recv().unwrap();
    assert_eq!(manager.carries("1795340000.2", &receiver), 0);
    assert_eq!(manager.spooled("pending"), ["1795340000.1", "1795340000.2"]);

    release.send(()).unwrap();
    release.send(()).unwrap();
    assert_eq!(status(&sender.wait_with_output().unwrap()), 0);
    assert_eq!(receiver.ids(), ["1795340000.1", "1795340000.2"]);
}

#[test]
fn a_full_spool_keeps_what_it_has_and_names_what_it_cannot_take() {
    let manager = Manager::with(json!({ "spool_max_mb": 0.008 }));
    let url = "http://127.0.0.1:1/";
    for id in ["1795340000.1", "1795340000.2"] {
        assert_eq!(status(&manager.send(&manager.alert(id), url)), 0, "{}", manager.log());
    }
    assert_eq!(status(&manager.send(&manager.alert("1795340000.3"), url)), 1);

    assert_eq!(manager.spooled("pending"), ["1795340000.1", "1795340000.2"]);
    manager.logged("SPOOL FULL, ALERT NOT SENT");
    let missed = manager.spool_files().into_iter().find(|path| path.ends_with("missed")).unwrap();
    assert!(fs::read_to_string(missed).unwrap().ends_with("Z 1795340000.3\n"));
    let report = manager.by_hand("--status", url);
    let report = String::from_utf8(report.stdout).unwrap();
    assert!(report.contains("waiting 2 (oldest ") && report.contains("refused 0, missed 1"), "{report}");
}

#[test]
fn a_spool_that_cannot_be_used_does_not_stop_the_alert() {
    let manager = Manager::with(json!({ "spool_dir": "/proc/no/such/folder" }));
    let receiver = Receiver::start(|_| Answer::Status(202));
    assert_eq!(manager.carries("1795340000.105", &receiver), 1);
    assert_eq!(receiver.ids(), ["1795340000.105"]);
    manager.logged("the spool cannot be used, alert sent without it");
}

#[test]
fn what_is_no_alert_is_kept_and_not_sent() {
    let manager = Manager::new();
    let receiver = Receiver::start(|_| Answer::Status(202));
    for text in ["alertdate='2026'\nalertlocation='x'", "[1,2]", "", "\"text\""] {
        let file = manager.write("custom-portcullis-1.alert", text.as_bytes());
        assert_eq!(status(&manager.send(&file, &receiver.url("/"))), 1, "{text}");
    }
    assert_eq!(receiver.ids(), [""; 0]);
    assert_eq!(manager.spooled("refused").len(), 4);
    manager.logged("ERROR alert refused (not a JSON object: no JSON at byte 0)");
    assert!(manager.reason().contains("<alert_format>json</alert_format>"));
}

#[test]
fn a_byte_that_is_no_text_does_not_hide_an_alert() {
    let manager = Manager::new();
    let receiver = Receiver::start(|_| Answer::Status(202));
    let file = manager
        .write("custom-portcullis-2.alert", b"{\"id\":\"1795340000.9\",\"full_log\":\"root\xff\xfe\"}");
    assert_eq!(status(&manager.send(&file, &receiver.url("/"))), 0);
    assert_eq!(receiver.seen()[0].json()["full_log"], "root\u{fffd}\u{fffd}");
}

#[test]
fn a_hostile_name_or_text_reaches_neither_a_shell_nor_the_log() {
    let manager = Manager::new();
    for name in
        ["a b';touch pwned;'.alert", "$(touch pwned).alert", "new\nline ERROR forged.alert", "--flush.alert"]
    {
        let receiver = Receiver::start(|_| Answer::Status(202));
        let file = manager.write(name, br#"{"id":"x\n2026 ERROR forged","full_log":"$(touch pwned)"}"#);
        assert_eq!(status(&manager.send(&file, &receiver.url("/"))), 0, "{name:?}: {}", manager.log());
        assert_eq!(receiver.seen().len(), 1);
        let missing = manager.folder.path().join(format!("not there {name}"));
        assert_eq!(status(&manager.send(&missing, &receiver.url("/"))), 2);
    }
    assert!(!manager.folder.path().join("pwned").exists());
    let log = manager.log();
    assert_eq!(log.lines().count(), 4, "{log}");
    assert!(log.lines().all(|line| line.contains("Z custom-portcullis ERROR cannot read the alert file")));
}

#[test]
fn a_wrong_call_says_what_is_wrong() {
    let manager = Manager::new();
    let alert = manager.alert("1795340000.106");
    let alert = alert.to_str().unwrap();
    for (arguments, message) in [
        (vec![], "expected ALERT_FILE API_KEY HOOK_URL"),
        (vec![alert], "expected ALERT_FILE API_KEY HOOK_URL"),
        (vec![alert, SECRET, ""], "hook_url in ossec.conf must be"),
        (vec![alert, SECRET, "file:///etc/passwd"], "hook_url in ossec.conf must be"),
        (vec![alert, SECRET, "http://user@127.0.0.1/"], "without a user"),
        (vec![alert, SECRET, "http://127.0.0.1:99999999/"], "hook_url in ossec.conf is no address"),
        (vec![alert, SECRET, "http://127.0.0.1/a\r\nHost: b"], "percent-encoded"),
        (vec![alert, "two\nlines", "http://127.0.0.1/"], "characters that a header cannot carry"),
        (vec!["--delete-everything"], "expected --flush, --retry-refused or --status"),
        (vec!["--flush", "--conf", "/nowhere"], "cannot read /nowhere"),
    ] {
        let output = manager.python().args(&arguments).output().unwrap();
        let errors = String::from_utf8(output.stderr.clone()).unwrap();
        assert_eq!(status(&output), 2, "{arguments:?}");
        assert!(errors.contains(message), "{arguments:?}: {errors}");
        assert!(!errors.contains(SECRET), "{errors}");
    }
}

#[test]
fn a_mistyped_option_is_named_and_the_alert_still_goes_out() {
    let manager = Manager::with(json!({ "spooldir": "/tmp" }));
    let receiver = Receiver::start(|_| Answer::Status(202));
    let output = manager.send(&manager.alert("1795340000.107"), &receiver.url("/"));
    let errors = String::from_utf8(output.stderr.clone()).unwrap();

    assert_eq!(status(&output), 1);
    assert!(errors.contains("unknown option ?spooldir?"), "{errors}");
    assert_eq!(receiver.ids(), ["1795340000.107"]);
}

#[test]
fn options_that_integratord_has_deleted_are_no_fault() {
    let manager = Manager::new();
    let receiver = Receiver::start(|_| Answer::Status(202));
    let url = receiver.url("/");
    let file = manager.alert("1795340000.108");
    let mut arguments = manager.arguments(&file, &url);
    arguments[4] = "/tmp/another-integration.options".to_owned();
    let output = manager.python().args(arguments).output().unwrap();

    assert!(!String::from_utf8(output.stderr).unwrap().contains("options"));
    assert_eq!(receiver.ids(), ["1795340000.108"]);
}

#[test]
fn alerts_for_an_address_that_is_gone_are_reported() {
    let manager = Manager::new();
    manager.send(&manager.alert("1795340000.1"), "http://127.0.0.1:1/old");
    let output = manager.by_hand("--flush", "http://127.0.0.1:1/new");

    assert_eq!(status(&output), 1);
    manager.logged("alerts wait for a hook_url that ossec.conf does not name");
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/wazuh/custom-portcullis")
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// A Wazuh manager, as far as the script can see it: a folder for its files, its log and its spool.
struct Manager {
    folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        Self::with(json!({}))
    }

    fn with(options: Value) -> Self {
        let folder = TempDir::new().unwrap();
        let mut all = json!({
            "spool_dir": folder.path().join("spool"),
            "log_file": folder.path().join("integrations.log"),
        });
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        fs::write(folder.path().join("options"), all.to_string()).unwrap();
        Self { folder }
    }

    fn write(&self, name: &str, body: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, body).unwrap();
        path
    }

    fn alert(&self, id: &str) -> PathBuf {
        let body =
            json!({ "id": id, "rule": { "level": 10, "id": "5763" }, "manager": { "name": "wazuh-01" } });
        self.write(&format!("custom-portcullis-{id}.alert"), body.to_string().as_bytes())
    }

    /// What integratord passes, as it passes it.
    fn arguments(&self, alert: &Path, hook_url: &str) -> [String; 8] {
        let options = self.folder.path().join("options");
        [
            alert.to_str().unwrap(),
            SECRET,
            hook_url,
            "",
            options.to_str().unwrap(),
            "10",
            "3",
            "> /dev/null 2>&1",
        ]
        .map(str::to_owned)
    }

    fn python(&self) -> Command {
        let mut command = Command::new("python3");
        command.arg("-IS").arg(script()).current_dir(self.folder.path());
        command
    }

    fn start(&self, alert: &Path, hook_url: &str) -> Child {
        let mut command = self.python();
        command.args(self.arguments(alert, hook_url)).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn send(&self, alert: &Path, hook_url: &str) -> Output {
        self.start(alert, hook_url).wait_with_output().unwrap()
    }

    /// The exit status of the script for an alert with this id.
    fn carries(&self, id: &str, receiver: &Receiver) -> i32 {
        status(&self.send(&self.alert(id), &receiver.url("/")))
    }

    fn by_hand(&self, command: &str, hook_url: &str) -> Output {
        let options = fs::read_to_string(self.folder.path().join("options")).unwrap();
        let conf = format!(
            "<ossec_config>\n<!-- <integration><name>custom-portcullis</name></integration> -->\n\
             <integration>\n  <name>slack</name>\n</integration>\n\
             <integration>\n  <name>custom-portcullis</name>\n  <hook_url>{hook_url}</hook_url>\n  \
             <api_key>{SECRET}</api_key>\n  <options>{options}</options>\n</integration>\n</ossec_config>\n"
        );
        let conf = self.write("ossec.conf", conf.as_bytes());
        self.python().arg(command).arg("--conf").arg(conf).output().unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("integrations.log")).unwrap_or_default()
    }

    fn logged(&self, text: &str) {
        let log = self.log();
        assert!(log.contains(text), "{text} is not in: {log}");
    }

    /// Everything in the spool, folders before what is in them.
    fn spool_files(&self) -> Vec<PathBuf> {
        let mut found = vec![self.folder.path().join("spool")];
        let mut next = 0;
        while let Some(path) = found.get(next).cloned() {
            next += 1;
            if path.is_dir() {
                let mut inside: Vec<_> =
                    fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
                inside.sort();
                found.extend(inside);
            }
        }
        found
    }

    /// The ids of the alerts in a folder of the spool, in the order in which they will be sent.
    fn spooled(&self, folder: &str) -> Vec<String> {
        self.spool_files()
            .iter()
            .filter(|path| path.parent().unwrap().ends_with(folder))
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .map(|path| alert_id(&fs::read(path).unwrap()))
            .collect()
    }

    fn reason(&self) -> String {
        let reason = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "reason");
        fs::read_to_string(self.spool_files().into_iter().find(reason).unwrap()).unwrap()
    }
}
