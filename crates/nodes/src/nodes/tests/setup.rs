//! What is wrong with a connection is said before anything is sent.

use super::*;

fn error(connection: ConnectionSettings) -> String {
    match Nodes::new(&BUILTIN.1, &BTreeMap::from([("main".to_owned(), connection)])) {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn wrong_settings_are_named() {
    let wazuh = || connection("wazuh", "https://wazuh:55000".to_owned());
    assert_snapshot!(error(ConnectionSettings { product: "wazhu".to_owned(), ..wazuh() }), @"connection `main`: there is no product `wazhu`, only cortex, http, misp, slack, thehive, virustotal, wazuh, wazuh_indexer");
    assert_snapshot!(error(ConnectionSettings { values: BTreeMap::new(), ..wazuh() }), @"connection `main`: the setting `password` is missing: The password of that user");
    let values = BTreeMap::from([("user".to_owned(), "a".into()), ("passwort".to_owned(), "b".into())]);
    assert_snapshot!(error(ConnectionSettings { values, ..wazuh() }), @"connection `main`: wazuh has no setting `passwort`, only password, user");
    assert_snapshot!(error(ConnectionSettings { url: None, ..wazuh() }), @"connection `main`: it has no URL");
    assert_snapshot!(error(ConnectionSettings { url: Some("wazuh:55000".to_owned()), ..wazuh() }), @"connection `main`: the URL `wazuh:55000` cannot be used: only http and https are spoken");
    let url = Some("https://user:secret@wazuh:55000".to_owned());
    assert_snapshot!(error(ConnectionSettings { url, ..wazuh() }), @"connection `main`: the URL `https://...@wazuh:55000` cannot be used: it holds a user or a password: those belong into a connection");
    assert_snapshot!(error(ConnectionSettings { tls: Tls::Fingerprint("12:34".to_owned()), ..wazuh() }), @"connection `main`: `12:34` is not a SHA-256 fingerprint: write 64 hex digits, with or without colons");
    assert_snapshot!(error(ConnectionSettings { tls: Tls::Authority("x".to_owned()), ..wazuh() }), @"connection `main`: the authority holds no certificate: no root trust anchors were provided");
    let thehive = connection("thehive", "https://hive".to_owned());
    assert_snapshot!(error(ConnectionSettings { values: BTreeMap::new(), ..thehive }), @"connection `main`: nothing to log in with: give key, or user and password");
}

#[test]
fn a_step_finds_its_connection_or_says_why_not() {
    let get_agent = manifest("wazuh.get_agent");
    let with = |names: &[(&str, &str)]| {
        let settings = names
            .iter()
            .map(|(name, product)| ((*name).to_owned(), connection(product, "https://h".to_owned())));
        Nodes::new(&BUILTIN.1, &settings.collect()).unwrap()
    };
    let said = |nodes: &Nodes, named: Option<&str>| match nodes.check_setup(get_agent, named) {
        Ok(()) => "fine".to_owned(),
        Err(failure) => format!("{}: {}{}", failure.class, failure.message, help(&failure)),
    };
    assert_eq!(said(&with(&[("main", "wazuh")]), None), "fine");
    assert_eq!(said(&with(&[("wazuh", "wazuh"), ("lab", "wazuh")]), None), "fine");
    assert_eq!(said(&with(&[("main", "wazuh"), ("lab", "wazuh")]), Some("lab")), "fine");
    assert_snapshot!(said(&with(&[]), None), @"
    setup: `wazuh.get_agent` needs a connection to wazuh, and none is configured
      help: configure one under `connections` with `product: wazuh`
    ");
    assert_snapshot!(said(&with(&[("main", "wazuh"), ("lab", "wazuh")]), None), @"
    setup: `wazuh.get_agent` may use several connections: lab, main
      help: say which with `connection:` in the step
    ");
    assert_snapshot!(said(&with(&[("main", "wazuh")]), Some("lab")), @"
    setup: there is no connection `lab`
      help: there are main
    ");
    assert_snapshot!(said(&with(&[("hive", "thehive")]), Some("hive")), @"setup: `wazuh.get_agent` needs a connection to wazuh, and `hive` is one to thehive");
    let failure = with(&[]).check_setup(manifest("set"), None);
    assert_eq!(failure, Ok(()));
}
