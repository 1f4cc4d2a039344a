use insta::assert_snapshot;

use super::*;

/// The findings about a file, as a person reads them.
fn check(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("workflows")).unwrap();
    std::fs::write(folder.path().join("secret"), "from-a-file\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let path = folder.path().join("portcullis.yaml");
    std::fs::write(&path, text).unwrap();
    let place = folder.path().display().to_string();
    match Settings::read(&path, &nodes::builtin().1) {
        Ok(settings) => format!("{settings:#?}").replace(&place, "DIR"),
        Err(error) => error.to_string().replace(&place, "DIR"),
    }
}

#[test]
fn a_good_file_is_read_and_shows_no_secret() {
    let shown = check(
        r#"
listen: 127.0.0.1:9000
data_dir: data
connections:
  wazuh:
    url: https://wazuh.example:55000
    user: portcullis
    password: { file: secret }
    tls: { fingerprint: "AA:bbcccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc" }
hooks:
  wazuh: { secret: { file: secret } }
api:
  tokens:
    - { name: ana, token: { file: secret }, roles: [analyst] }
"#,
    );
    assert!(shown.starts_with("Settings"), "{shown}");
    assert!(shown.contains("https://wazuh.example:55000") && !shown.contains("from-a-file"), "{shown}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "one snapshot of many mistakes")]
fn every_mistake_has_its_place() {
    assert_snapshot!(check(
        r#"
listen: 8080
data_dri: data
workflows: [workflows, playbooks]
hooks:
  wazuh: { secret: { env: PORTCULLIS_NO_SUCH_VARIABLE } }
  other: { secret: { file: empty } }
api:
  tokens:
    - { name: ana, roles: analyst }
"#
    ), @r#"
    error[missing-key]: the key `data_dir` is missing here
     --> DIR/portcullis.yaml:2:1
      |
    2 | listen: 8080
      | ^^^^^^^^^^^^

    error[wrong-type]: this has to be text, and YAML reads it as a number
     --> DIR/portcullis.yaml:2:9
      |
    2 | listen: 8080
      |         ^^^^
      |
      = help: write "8080"

    error[unknown-key]: there is no key `data_dri` here
     --> DIR/portcullis.yaml:3:1
      |
    3 | data_dri: data
      | ^^^^^^^^
      |
      = help: did you mean `data_dir`?

    error[missing-path]: there is no folder DIR/playbooks
     --> DIR/portcullis.yaml:4:24
      |
    4 | workflows: [workflows, playbooks]
      |                        ^^^^^^^^^
      |
      = help: relative paths begin at the folder of this file

    error[missing-secret]: the environment variable PORTCULLIS_NO_SUCH_VARIABLE is not set
     --> DIR/portcullis.yaml:6:27
      |
    6 |   wazuh: { secret: { env: PORTCULLIS_NO_SUCH_VARIABLE } }
      |                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error[empty-secret]: DIR/empty is empty
     --> DIR/portcullis.yaml:7:12
      |
    7 |   other: { secret: { file: empty } }
      |            ^^^^^^

    error[missing-key]: the key `token` is missing here
      --> DIR/portcullis.yaml:10:7
       |
    10 |     - { name: ana, roles: analyst }
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error[wrong-type]: this has to be a list, not text
      --> DIR/portcullis.yaml:10:27
       |
    10 |     - { name: ana, roles: analyst }
       |                           ^^^^^^^
       |
       = help: write `roles: [analyst]`
    "#);
}

#[test]
fn a_connection_is_checked_against_its_product_and_no_secret_is_shown() {
    let shown = check(
        r#"
data_dir: data
connections:
  wazuh:
    url: wazuh.example:55000
    usr: portcullis
    password: hunter2
    tls: { fingerprint: abc }
  theive: { url: "https://thehive.example" }
"#,
    );
    assert!(!shown.contains("hunter2"));
    assert_snapshot!(shown, @r#"
    error[missing-key]: the setting `user` is missing: An API user of its own, with no more rights than the playbooks need. Not the dashboard's or the indexer's user.
     --> DIR/portcullis.yaml:4:3
      |
    4 |   wazuh:
      |   ^^^^^

    error[wrong-value]: this is not a URL, as in "https://wazuh.example:55000"
     --> DIR/portcullis.yaml:5:10
      |
    5 |     url: wazuh.example:55000
      |          ^^^^^^^^^^^^^^^^^^^

    error[unknown-key]: there is no key `usr` here
     --> DIR/portcullis.yaml:6:5
      |
    6 |     usr: portcullis
      |     ^^^
      |
      = help: did you mean `user`?

    error[secret-literal]: a secret does not stand in this file
     --> DIR/portcullis.yaml:7:15
      |
    7 |     password: *******
      |               ^^^^^^^
      |
      = help: write `{ env: NAME }` or `{ file: PATH }`

    error[wrong-value]: this is not the SHA-256 of a certificate: 64 hex digits, with or without colons
     --> DIR/portcullis.yaml:8:25
      |
    8 |     tls: { fingerprint: abc }
      |                         ^^^
      |
      = help: `openssl s_client -connect HOST:55000 </dev/null | openssl x509 -noout -fingerprint -sha256` shows it

    error[unknown-product]: there is no product `theive`
     --> DIR/portcullis.yaml:9:3
      |
    9 |   theive: { url: "https://thehive.example" }
      |   ^^^^^^
      |
      = help: did you mean `thehive`?
    "#);
}

#[test]
fn two_people_cannot_have_one_token() {
    let shown = check(
        r#"
data_dir: data
api:
  tokens:
    - { name: ana, token: { file: secret } }
    - { name: bo, token: { file: secret } }
    - { name: "", token: { file: secret } }
"#,
    );
    assert_snapshot!(shown, @r#"
    error[duplicate-token]: this is the token of `ana`: nobody could tell the two apart
     --> DIR/portcullis.yaml:6:7
      |
    6 |     - { name: bo, token: { file: secret } }
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error[wrong-value]: this is not a name: say whose token it is
     --> DIR/portcullis.yaml:7:15
      |
    7 |     - { name: "", token: { file: secret } }
      |               ^^
    "#);
}

#[test]
fn the_examples_of_the_rules_on_settings_have_their_findings() {
    for rule in workflow::Rule::all().filter(|rule| rule.about == workflow::About::Settings) {
        let wrong = check(&rule.wrong.text());
        let ids: Vec<&str> =
            wrong.split("error[").skip(1).filter_map(|rest| rest.split(']').next()).collect();
        assert_eq!(ids, [rule.id], "{wrong}");
        let right = check(&rule.right.text());
        assert!(right.starts_with("Settings"), "{rule}: {right}");
    }
}

#[test]
fn guardrails_are_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("workflows")).unwrap();
    let path = folder.path().join("portcullis.yaml");
    let text = r#"
data_dir: data
guardrails:
  never_touch:
    agents: ["000", "007"]
    groups: [Domain-Controllers]
    hosts: ["dc*", mail.corp.example]
    addresses: [10.0.0.0/8, "2001:db8::/32"]
    accounts: [root, 'CORP\svc-*']
  widest_block: { ipv4: 28 }
  disruptions_per_hour: { all: 20, per_playbook: 5 }
"#;
    std::fs::write(&path, text).unwrap();
    let guardrails = Settings::read(&path, &nodes::builtin().1).unwrap().guardrails;
    assert_eq!(guardrails.resume_role, None);
    let rules = guardrails.rules;
    assert_eq!((rules.widest_v4, rules.widest_v6), (28, 64));
    assert_eq!((rules.budget.all, rules.budget.per_playbook), (Some(20), Some(5)));
    let shown = |items: &[runner::guard::Pattern]| items.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(shown(&rules.never_touch.hosts), ["dc*", "mail.corp.example"]);
    assert_eq!(shown(&rules.never_touch.accounts), ["root", r"corp\svc-*"]);
    assert_eq!(rules.never_touch.agents, [0, 7].into());
    assert_eq!(rules.never_touch.groups, ["domain-controllers".to_owned()].into());
    assert_eq!(rules.never_touch.addresses.len(), 2);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one snapshot of many mistakes")]
fn guardrails_that_protect_nothing_or_everything_are_found() {
    assert_snapshot!(check(
        r#"
data_dir: data
guardrails:
  never_touch:
    agents: [7, "7"]
    host: [dc1]
    hosts: ["*"]
    addresses: [10.0.0.0/33, web-01]
    accounts: root
  widest_block: { ipv4: 33 }
  disruptions_per_hour: { al: 20 }
  resume_role: boss
"#
    ), @r#"
    error[wrong-value]: this is not the id of a Wazuh agent, which is text: write "007"
     --> DIR/portcullis.yaml:5:14
      |
    5 |     agents: [7, "7"]
      |              ^

    error[wrong-value]: this is not the id of a Wazuh agent: three digits or more, as in "007"
     --> DIR/portcullis.yaml:5:17
      |
    5 |     agents: [7, "7"]
      |                 ^^^

    error[unknown-key]: there is no key `host` here
     --> DIR/portcullis.yaml:6:5
      |
    6 |     host: [dc1]
      |     ^^^^
      |
      = help: did you mean `hosts`?

    error[wrong-value]: this is not the name of a host, as in "dc*"; `portcullis halt` protects all of them
     --> DIR/portcullis.yaml:7:13
      |
    7 |     hosts: ["*"]
      |             ^^^

    error[wrong-value]: this is not an address or a network, as in "10.0.0.0/8" or "2001:db8::/32"
     --> DIR/portcullis.yaml:8:17
      |
    8 |     addresses: [10.0.0.0/33, web-01]
      |                 ^^^^^^^^^^^

    error[wrong-value]: this is not an address or a network, as in "10.0.0.0/8" or "2001:db8::/32"
     --> DIR/portcullis.yaml:8:30
      |
    8 |     addresses: [10.0.0.0/33, web-01]
      |                              ^^^^^^

    error[wrong-type]: this has to be a list, not text
     --> DIR/portcullis.yaml:9:15
      |
    9 |     accounts: root
      |               ^^^^

    error[wrong-value]: this is not a whole number from 0 to 32
      --> DIR/portcullis.yaml:10:25
       |
    10 |   widest_block: { ipv4: 33 }
       |                         ^^

    error[unknown-key]: there is no key `al` here
      --> DIR/portcullis.yaml:11:27
       |
    11 |   disruptions_per_hour: { al: 20 }
       |                           ^^
       |
       = help: did you mean `all`?

    error[wrong-value]: no token has the role `boss`, so nobody could end a halt
      --> DIR/portcullis.yaml:12:16
       |
    12 |   resume_role: boss
       |                ^^^^
       |
       = help: give it to somebody below `api.tokens`, or name another
    "#);
}

#[test]
fn retention_is_a_time_or_a_number_of_runs_or_both() {
    let read = |retention: &str| {
        let shown = check(&format!("data_dir: data\nretention: {retention}\n"));
        match shown.split_once("retention: Retention {") {
            Some((_, rest)) => rest.split('}').next().unwrap_or_default().split_whitespace().collect(),
            None => shown.lines().next().unwrap_or_default().to_owned(),
        }
    };
    let shown: Vec<String> = [
        "30d",
        "{ age: 30d }",
        "{ runs: 20000 }",
        "{ age: 1h, runs: 5 }",
        "{}",
        "{ runs: 0 }",
        "{ days: 3 }",
        "soon",
    ]
    .map(|text| format!("{text}: {}\n", read(text)))
    .into();
    assert_snapshot!(shown.concat(), @"
    30d: age:Some(2592000s,),runs:None,
    { age: 30d }: age:Some(2592000s,),runs:None,
    { runs: 20000 }: age:None,runs:Some(20000,),
    { age: 1h, runs: 5 }: age:Some(3600s,),runs:Some(5,),
    {}: error[wrong-type]: this has to be a time, as in `90d`, or `{ age: 90d, runs: 20000 }` with one of the two or both, not a map
    { runs: 0 }: error[wrong-value]: this is not a whole number from 1 to 100000000
    { days: 3 }: error[wrong-type]: this has to be a time, as in `90d`, or `{ age: 90d, runs: 20000 }` with one of the two or both, not a map
    soon: error[wrong-type]: `soon` is not a duration: write a whole number with ms, s, m, h or d, as in `30s`
    ");
}

#[test]
fn limits_are_whole_numbers_within_reason() {
    let read = |limits: &str| {
        let shown = check(&format!("data_dir: data\nlimits: {limits}\n"));
        match shown.split_once("limits: Limits {") {
            Some((_, rest)) => rest.split('}').next().unwrap_or_default().split_whitespace().collect(),
            None => shown.lines().next().unwrap_or_default().to_owned(),
        }
    };
    let shown: Vec<String> = [
        "{}",
        "{ live_runs: 500, calls: 8, alerts: 16, requests: 4, body_bytes: 65536 }",
        "{ live_runs: 0 }",
        "{ body_bytes: 100 }",
        "{ calls: many }",
        "{ runs: 10 }",
        "500",
    ]
    .map(|text| format!("{text}: {}\n", read(text)))
    .into();
    assert_snapshot!(shown.concat(), @"
    {}: live_runs:None,calls:None,alerts:None,requests:None,body_bytes:None,
    { live_runs: 500, calls: 8, alerts: 16, requests: 4, body_bytes: 65536 }: live_runs:Some(500,),calls:Some(8,),alerts:Some(16,),requests:Some(4,),body_bytes:Some(65536,),
    { live_runs: 0 }: error[wrong-value]: this is not a whole number from 1 to 1000000
    { body_bytes: 100 }: error[wrong-value]: this is not a whole number from 1024 to 8388608
    { calls: many }: error[wrong-value]: this is not a whole number from 1 to 10000
    { runs: 10 }: error[unknown-key]: there is no key `runs` here
    500: error[wrong-type]: this has to be a map, not a number
    ");
}

/// A file with a hook, two connections, and this below `reconcile`.
fn check_reconcile(reconcile: &str) -> String {
    check(&format!(
        r#"data_dir: data
connections:
  wazuh_indexer: {{ url: "https://i.example:9200", user: u, password: {{ file: secret }} }}
  thehive: {{ url: "https://t.example", key: {{ file: secret }} }}
hooks: {{ wazuh: {{ secret: {{ file: secret }} }} }}
reconcile: {reconcile}
"#
    ))
}

#[test]
fn what_is_asked_for_again_has_usual_values() {
    let shown = check_reconcile("{ hook: wazuh }");
    let from = shown.find("reconcile: Some(").expect(&shown);
    assert_snapshot!(&shown[from..], @r#"
    reconcile: Some(
            Reconcile {
                hook: "wazuh",
                connection: "wazuh_indexer",
                every: 300s,
                look_back: 900s,
                min_level: 0,
            },
        ),
    }
    "#);
}

#[test]
fn every_mistake_in_what_is_asked_for_has_its_place() {
    assert_snapshot!(check_reconcile("{ hook: wazhu, connection: thehive, every: 0s, look_back: 2d, min_level: 17 }"), @"
    error[wrong-value]: there is no hook `wazhu`, so nobody could have sent the alerts there
     --> DIR/portcullis.yaml:6:20
      |
    6 | reconcile: { hook: wazhu, connection: thehive, every: 0s, look_back: 2d, min_level: 17 }
      |                    ^^^^^
      |
      = help: did you mean `wazuh`?

    error[wrong-value]: the connection `thehive` leads to thehive, which keeps no alerts of Wazuh
     --> DIR/portcullis.yaml:6:39
      |
    6 | reconcile: { hook: wazhu, connection: thehive, every: 0s, look_back: 2d, min_level: 17 }
      |                                       ^^^^^^^
      |
      = help: name one to the Wazuh indexer: below `connections`, `wazuh_indexer` or one with `product: wazuh_indexer`

    error[wrong-value]: this is not a time between a second and a day, as in `5m`
     --> DIR/portcullis.yaml:6:55
      |
    6 | reconcile: { hook: wazhu, connection: thehive, every: 0s, look_back: 2d, min_level: 17 }
      |                                                       ^^

    error[wrong-value]: this is not a time between a second and a day, as in `5m`
     --> DIR/portcullis.yaml:6:70
      |
    6 | reconcile: { hook: wazhu, connection: thehive, every: 0s, look_back: 2d, min_level: 17 }
      |                                                                      ^^

    error[wrong-value]: this is not a whole number from 0 to 16
     --> DIR/portcullis.yaml:6:85
      |
    6 | reconcile: { hook: wazhu, connection: thehive, every: 0s, look_back: 2d, min_level: 17 }
      |                                                                                     ^^
    ");
    assert_snapshot!(check_reconcile("{ connection: indexer }"), @"
    error[missing-key]: the key `hook` is missing here
     --> DIR/portcullis.yaml:6:1
      |
    6 | reconcile: { connection: indexer }
      | ^^^^^^^^^

    error[wrong-value]: there is no connection `indexer`
     --> DIR/portcullis.yaml:6:26
      |
    6 | reconcile: { connection: indexer }
      |                          ^^^^^^^
      |
      = help: name one to the Wazuh indexer: below `connections`, `wazuh_indexer` or one with `product: wazuh_indexer`
    ");
}
