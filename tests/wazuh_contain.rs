//! The script that contains a Linux host, `examples/wazuh/portcullis-contain`, called as wazuh-execd calls it, against a
//! stand-in for iptables that keeps its rules in a file. What the kernel makes of such rules is not tested here.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;

const KEY: &str = "00112233445566778899aabbccddeeff";
const UNTOUCHED: &str = "FORWARD\nINPUT\nOUTPUT";
const NAMES: [&str; 4] = ["isolate", "release", "block", "unblock"];

#[test]
fn an_isolated_host_reaches_its_managers_and_itself() {
    let host = Host::new();
    assert_eq!(host.says("isolate", json!({ "portcullis": KEY })), 0, "{}", host.log());
    insta::assert_snapshot!(host.rules("iptables"), @"
    FORWARD -j PORTCULLIS-ISOLATE
    INPUT -j PORTCULLIS-ISOLATE
    OUTPUT -j PORTCULLIS-ISOLATE
    PORTCULLIS-ISOLATE -i lo -j RETURN
    PORTCULLIS-ISOLATE -o lo -j RETURN
    PORTCULLIS-ISOLATE -s 192.0.2.1/32 -j RETURN
    PORTCULLIS-ISOLATE -d 192.0.2.1/32 -j RETURN
    PORTCULLIS-ISOLATE -j DROP
    ");
    insta::assert_snapshot!(host.log(), @r#"active-response/bin/portcullis-isolate: done {"portcullis":"00112233445566778899aabbccddeeff"}"#);
}

#[test]
fn an_isolated_host_keeps_what_ipv6_needs_to_reach_a_manager() {
    if !has_ipv6() {
        return;
    }
    let host = Host::new();
    assert_eq!(host.says("isolate", json!({})), 0, "{}", host.log());
    insta::assert_snapshot!(host.rules("ip6tables"), @"
    FORWARD -j PORTCULLIS-ISOLATE
    INPUT -j PORTCULLIS-ISOLATE
    OUTPUT -j PORTCULLIS-ISOLATE
    PORTCULLIS-ISOLATE -i lo -j RETURN
    PORTCULLIS-ISOLATE -o lo -j RETURN
    PORTCULLIS-ISOLATE -p icmpv6 --icmpv6-type 133 -j RETURN
    PORTCULLIS-ISOLATE -p icmpv6 --icmpv6-type 134 -j RETURN
    PORTCULLIS-ISOLATE -p icmpv6 --icmpv6-type 135 -j RETURN
    PORTCULLIS-ISOLATE -p icmpv6 --icmpv6-type 136 -j RETURN
    PORTCULLIS-ISOLATE -s 2001:db8::1/128 -j RETURN
    PORTCULLIS-ISOLATE -d 2001:db8::1/128 -j RETURN
    PORTCULLIS-ISOLATE -j DROP
    ");
}

#[test]
fn evidence_has_the_form_that_wazuh_decodes() {
    let host = Host::new();
    let alert =
        json!({ "portcullis": KEY, "data": { "srcip": "203.0.113.9" }, "full_log": "\" } $(reboot) \n" });
    assert_eq!(host.says("block", alert), 0);
    let line = fs::read_to_string(host.file("logs/active-responses.log")).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    // ^\d\d\d\d/\d\d/\d\d \d\d:\d\d:\d\d active-response/bin/\S+: and then JSON
    let (stamp, rest) = line.split_at(20);
    let digits: String =
        stamp.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    assert_eq!(digits, "0000/00/00 00:00:00 ");
    let (program, body) = rest.split_once(": ").unwrap();
    assert_eq!(program, "active-response/bin/portcullis-block");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["command"], &body["parameters"]["program"]), (&json!("add"), &json!(program)));
    let shown = json!({ "portcullis": KEY, "data": { "srcip": "203.0.113.9" } });
    assert_eq!(body["parameters"]["alert"], shown, "nothing else of the alert is repeated");
}

#[test]
fn twice_is_once_and_release_leaves_the_rules_of_others() {
    let host = Host::new();
    host.has("iptables", "INPUT -p tcp --dport 22 -j ACCEPT\nDOCKER -j RETURN\nFORWARD -j DOCKER\n");
    let before = host.rules("iptables");
    assert_eq!(host.says("release", json!({})), 0, "what is not isolated is released");
    assert_eq!(host.rules("iptables"), before);
    assert_eq!(host.says("isolate", json!({})), 0);
    let isolated = host.rules("iptables");
    fs::remove_file(host.file("fake/calls")).unwrap();
    assert_eq!(host.says("isolate", json!({})), 0);
    assert_eq!(host.rules("iptables"), isolated);
    let calls = fs::read_to_string(host.file("fake/calls")).unwrap();
    let is_change = |call: &&str| !call.contains(" -S") && !call.contains(" -C ");
    assert_eq!(calls.lines().find(is_change), None, "an isolated host is not opened for a moment");
    assert_eq!(host.says("release", json!({ "portcullis": KEY })), 0);
    assert_eq!((host.rules("iptables"), host.rules("ip6tables").as_str()), (before, UNTOUCHED));
    assert_eq!(host.says("release", json!({})), 0);
    assert_eq!(host.log().matches(": done ").count(), 5);
}

#[test]
fn an_isolation_that_others_have_pushed_aside_is_put_in_front_again() {
    let host = Host::new();
    assert_eq!(host.says("isolate", json!({})), 0);
    let isolated = host.rules("iptables");
    for (from, to) in [
        ("INPUT -j PORTCULLIS-ISOLATE", "INPUT -j ACCEPT\nINPUT -j PORTCULLIS-ISOLATE"),
        ("OUTPUT -j PORTCULLIS-ISOLATE\n", ""),
        ("PORTCULLIS-ISOLATE -j DROP\n", ""),
        ("PORTCULLIS-ISOLATE -i lo -j RETURN\n", "PORTCULLIS-ISOLATE -j RETURN\n"),
    ] {
        let table = fs::read_to_string(host.file("fake/iptables.rules")).unwrap();
        assert!(table.contains(from), "{table}");
        host.has("iptables", &table.replace(from, to));
        assert_eq!(host.says("isolate", json!({})), 0, "{from}: {}", host.log());
        let rules = host.rules("iptables");
        assert_eq!(rules.replace("\nINPUT -j ACCEPT", ""), isolated, "{from}");
        assert!(
            rules.find("INPUT -j PORTCULLIS-ISOLATE") < rules.find("INPUT -j ACCEPT")
                || !rules.contains("INPUT -j ACCEPT")
        );
        host.has(
            "iptables",
            &fs::read_to_string(host.file("fake/iptables.rules")).unwrap().replace("INPUT -j ACCEPT\n", ""),
        );
    }
}

#[test]
fn addresses_are_blocked_and_unblocked_one_by_one() {
    let host = Host::new();
    let about = |address: &str| json!({ "data": { "srcip": address } });
    for address in ["203.0.113.9", "::ffff:203.0.113.9", "198.51.100.7", "2001:db8::7", "2001:DB8:0::7"] {
        assert_eq!(host.says("block", about(address)), 0, "{address}");
    }
    insta::assert_snapshot!(host.rules("iptables"), @"
    FORWARD -j PORTCULLIS-BLOCK
    INPUT -j PORTCULLIS-BLOCK
    OUTPUT -j PORTCULLIS-BLOCK
    PORTCULLIS-BLOCK -s 203.0.113.9/32 -j DROP
    PORTCULLIS-BLOCK -d 203.0.113.9/32 -j DROP
    PORTCULLIS-BLOCK -s 198.51.100.7/32 -j DROP
    PORTCULLIS-BLOCK -d 198.51.100.7/32 -j DROP
    ");
    assert_eq!(host.rules("ip6tables").matches("2001:db8::7/128").count(), 2);
    assert_eq!(host.says("unblock", about("203.0.113.9")), 0);
    assert!(!host.rules("iptables").contains("203.0.113.9"));
    assert!(host.rules("iptables").contains("198.51.100.7"));
    for address in ["198.51.100.7", "2001:db8::7", "192.0.2.99"] {
        assert_eq!(host.says("unblock", about(address)), 0, "{address}");
    }
    assert_eq!((host.rules("iptables").as_str(), host.rules("ip6tables").as_str()), (UNTOUCHED, UNTOUCHED));
}

#[test]
fn what_fails_leaves_no_evidence() {
    for (name, file, call, reason) in [
        (
            "isolate",
            "fails",
            "iptables -A PORTCULLIS-ISOLATE -j DROP",
            "iptables -A PORTCULLIS-ISOLATE -j DROP ends with 4:",
        ),
        ("isolate", "fails", "ip6tables -S", "ip6tables -S ends with 4:"),
        ("isolate", "lies", "-A PORTCULLIS-ISOLATE -j DROP", "does not have the rules that were made"),
        (
            "isolate",
            "lies",
            "ip6tables -I OUTPUT",
            "does not go through PORTCULLIS-ISOLATE before its other rules in OUTPUT",
        ),
        ("block", "lies", "-A PORTCULLIS-BLOCK -d", "does not have the rules that were made"),
        ("release", "lies", "-X PORTCULLIS-ISOLATE", "still has the rules that were removed"),
        ("release", "lies", "-D INPUT", "does not delete a rule of INPUT"),
        ("unblock", "lies", "-D PORTCULLIS-BLOCK", "does not delete a rule of PORTCULLIS-BLOCK"),
    ] {
        if call.starts_with("ip6tables") && !has_ipv6() {
            continue;
        }
        let host = Host::new();
        let alert = json!({ "portcullis": KEY, "data": { "srcip": "203.0.113.9" } });
        if ["release", "unblock"].contains(&name) {
            assert_eq!(
                host.says(&name.replace("release", "isolate").replace("unblock", "block"), alert.clone()),
                0
            );
            fs::remove_file(host.file("logs/active-responses.log")).unwrap();
        }
        fs::write(host.file("fake").join(file), format!("{call}\n")).unwrap();
        assert_eq!(host.says(name, alert.clone()), 1, "{call}");
        host.has_failed(name, reason);
        fs::remove_file(host.file("fake").join(file)).unwrap();
        assert_eq!(host.says(name, alert), 0, "{call}: once more is what makes it whole: {}", host.log());
    }
}

#[test]
fn a_host_that_would_lose_its_manager_is_not_isolated() {
    for (conf, reason) in [
        ("<ossec_config></ossec_config>", "names no manager"),
        ("<client><!-- <server><address>192.0.2.1</address></server> --></client>", "names no manager"),
        (
            "<client><server><address>manager..example</address></server></client>",
            "the manager in etc/ossec.conf has no address: manager..example",
        ),
        (
            "<client><server><address>192.0.2.1</address></server><server><address>x..y</address></server></client>",
            "has no address: x..y",
        ),
    ] {
        let host = Host::new();
        fs::write(host.file("etc/ossec.conf"), conf).unwrap();
        assert_eq!(host.says("isolate", json!({ "portcullis": KEY })), 1, "{conf}");
        host.has_failed("isolate", reason);
        assert!(!host.file("fake/calls").exists());
    }
    let host = Host::new();
    assert_eq!(host.says("block", json!({ "data": { "srcip": "192.0.2.1" } })), 1);
    host.has_failed("block", "the address of the manager");
}

#[test]
fn hostile_lines_change_nothing() {
    let srcip = |address: Value| json!({ "command": "add", "parameters": { "alert": { "data": { "srcip": address } } } });
    let line = |line: Value| line.to_string();
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(70_000));
    for (text, reason) in [
        (line(srcip(json!("-j ACCEPT"))), "data.srcip in the alert is not an IP address"),
        (line(srcip(json!("203.0.113.9; reboot"))), "is not an IP address"),
        (line(srcip(json!("203.0.113.9\n"))), "is not an IP address"),
        (line(srcip(json!("0.0.0.0/0"))), "is not an IP address"),
        (line(srcip(json!("fe80::1%eth0"))), "is not an IP address"),
        (line(srcip(json!("evil.example"))), "is not an IP address"),
        (line(srcip(json!(["203.0.113.9"]))), "is not an IP address"),
        (line(srcip(json!(3_405_803_785_u64))), "is not an IP address"),
        (line(srcip(json!("127.0.0.1"))), "never blocked"),
        (line(srcip(json!("0.0.0.0"))), "never blocked"),
        (line(srcip(json!("255.255.255.255"))), "never blocked"),
        (line(srcip(json!("::"))), "never blocked"),
        (line(srcip(json!("::1"))), "never blocked"),
        (line(srcip(json!("::ffff:127.0.0.1"))), "never blocked"),
        (line(srcip(json!("ff02::1"))), "never blocked"),
        (
            line(json!({ "command": "delete", "parameters": { "alert": {} } })),
            "call !portcullis-block, without a timeout",
        ),
        (line(json!({ "command": ["add"], "parameters": { "alert": {} } })), "not `add`"),
        (line(json!({ "command": "add", "parameters": [] })), "no parameters.alert"),
        (line(json!({ "command": "add", "parameters": { "alert": "x" } })), "no parameters.alert"),
        (
            line(json!({ "command": "add", "parameters": { "alert": { "portcullis": "../../etc" } } })),
            "not 32 hex digits",
        ),
        (
            line(json!({ "command": "add", "parameters": { "alert": { "portcullis": 7 } } })),
            "not 32 hex digits",
        ),
        (line(json!([])), "not `add`"),
        ("{\"command\":\"add\"".to_owned(), "not JSON"),
        (String::new(), "not JSON"),
        ("\u{0}".to_owned(), "not JSON"),
        ("[".repeat(60_000), "failed: "),
        (long, "longer than"),
    ] {
        let host = Host::new();
        let output = host.call("block", format!("{text}\n").as_bytes());
        assert_eq!(output.status.code(), Some(1), "{text:.80}");
        host.has_failed("block", reason);
        assert!(!host.file("fake/calls").exists(), "{text:.80}");
        assert_eq!(fs::read_to_string(host.file("logs/active-responses.log")).unwrap().lines().count(), 1);
    }
}

#[test]
fn the_file_under_its_own_name_says_how_to_install_it() {
    let host = Host::new();
    fs::copy(script(), host.file("active-response/bin/portcullis-contain")).unwrap();
    let output = host.call("contain", b"{}\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("install this file as portcullis-isolate"));
    assert_eq!(host.log(), "");
}

#[test]
fn execd_may_start_several_at_once() {
    let host = Host::new();
    let line = |number: u8| json!({ "command": "add", "parameters": { "alert": { "data": { "srcip": format!("203.0.113.{number}") } } } });
    let started: Vec<Child> =
        (1..=8).map(|number| host.start("block", format!("{}\n", line(number)).as_bytes())).collect();
    for child in started {
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0), "{}", host.log());
    }
    assert_eq!(host.rules("iptables").matches("-s 203.0.113.").count(), 8);
    assert_eq!(host.rules("iptables").matches("INPUT -j PORTCULLIS-BLOCK").count(), 1);
    assert_eq!(host.log().matches(": done ").count(), 8);
}

#[test]
fn one_that_was_killed_is_completed_by_the_next_call() {
    let host = Host::new();
    for calls in [2, 5, 8, 12, 16, 20] {
        fs::write(host.file("fake/dies_after"), calls.to_string()).unwrap();
        let _ = fs::remove_file(host.file("fake/calls"));
        assert_eq!(host.says("isolate", json!({ "portcullis": KEY })), -1, "after {calls} calls");
        assert_eq!(host.log(), "", "no evidence after {calls} calls");
        fs::remove_file(host.file("fake/dies_after")).unwrap();
        assert_eq!(
            host.says("isolate", json!({ "portcullis": KEY })),
            0,
            "after {calls} calls: {}",
            host.log()
        );
        assert_eq!(host.rules("iptables").matches("-j PORTCULLIS-ISOLATE").count(), 3);
        assert_eq!(host.says("release", json!({})), 0);
        assert_eq!(host.rules("iptables"), UNTOUCHED);
        fs::remove_file(host.file("logs/active-responses.log")).unwrap();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/wazuh/portcullis-contain")
}

/// Where the kernel has no IPv6, the script leaves ip6tables alone.
fn has_ipv6() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

/// The interpreter itself: what `python3` names may be a slow shell script that looks for it.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().into()
});

/// A host with an agent, as far as the script can see it: its folder, and iptables that are none.
struct Host {
    folder: TempDir,
}

impl Host {
    fn new() -> Host {
        let host = Host { folder: TempDir::new().unwrap() };
        for folder in ["active-response/bin", "logs", "etc", "var/run", "fake"] {
            fs::create_dir_all(host.file(folder)).unwrap();
        }
        for name in NAMES {
            fs::copy(script(), host.file(&format!("active-response/bin/portcullis-{name}"))).unwrap();
        }
        let conf = "<ossec_config>\n<client>\n <!-- <server><address>198.51.100.1</address></server> -->\n \
                    <server>\n  <address>192.0.2.1</address>\n </server>\n <server><address>2001:db8::1</address></server>\n\
                    </client>\n</ossec_config>\n";
        fs::write(host.file("etc/ossec.conf"), conf).unwrap();
        for name in ["iptables", "ip6tables"] {
            let path = host.file("fake").join(name);
            fs::write(&path, include_str!("wazuh_contain/iptables.sh")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        host
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As execd does it: from its home, by a relative path, with a line on standard input that stays open.
    fn start(&self, name: &str, line: &[u8]) -> Child {
        let mut child = Command::new(&*PYTHON)
            .args(["-IS", &format!("active-response/bin/portcullis-{name}")])
            .current_dir(self.folder.path())
            .env("PATH", self.file("fake"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that refuses a line early does not read all of it.
        let _ = child.stdin.as_mut().unwrap().write_all(line);
        child
    }

    fn call(&self, name: &str, line: &[u8]) -> Output {
        self.start(name, line).wait_with_output().unwrap()
    }

    /// The exit status for an alert; -1 for one that was killed.
    fn says(&self, name: &str, alert: Value) -> i32 {
        let line = json!({
            "version": 1,
            "origin": { "name": "node01", "module": "wazuh-execd" },
            "command": "add",
            "parameters": { "extra_args": [], "alert": alert, "program": format!("active-response/bin/portcullis-{name}") },
        });
        self.call(name, format!("{line}\n").as_bytes()).status.code().unwrap_or(-1)
    }

    /// Rules that somebody else has made.
    fn has(&self, tool: &str, rules: &str) {
        fs::write(self.file(&format!("fake/{tool}.rules")), rules).unwrap();
    }

    /// The rules, chain by chain.
    fn rules(&self, tool: &str) -> String {
        let text = fs::read_to_string(self.file(&format!("fake/{tool}.rules"))).unwrap_or_default();
        let mut lines: Vec<&str> = text.lines().filter(|line| line.contains(' ')).collect();
        let named = text.lines().chain(["INPUT", "OUTPUT", "FORWARD"]).filter(|line| !line.contains(' '));
        for chain in named {
            if !lines.iter().any(|line| line.split(' ').next() == Some(chain)) {
                lines.push(chain);
            }
        }
        lines.sort_by_key(|line| line.split(' ').next());
        lines.join("\n")
    }

    /// The lines of active-responses.log without their times; evidence is `done` and its alert.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.file("logs/active-responses.log")).unwrap_or_default();
        let lines = text.lines().map(|line| {
            let (program, said) = line[20..].split_once(": ").unwrap();
            match serde_json::from_str::<Value>(said) {
                Ok(body) => format!("{program}: done {}", body["parameters"]["alert"]),
                Err(_) => format!("{program}: {said}"),
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn has_failed(&self, name: &str, reason: &str) {
        let log = self.log();
        let start = format!("active-response/bin/portcullis-{name}: failed: ");
        assert!(log.starts_with(&start) && log.contains(reason), "{reason} is not in: {log}");
        assert!(!log.contains(": done "), "{log}");
    }
}
