//! What follows a step: how one finds out whether it happened, and what undoes it.

use insta::assert_snapshot;

use super::{RIGHT, shipped, with};
use crate::OnDoubt;
use crate::load;

const BLOCK: &str = r#"    uses: wazuh.active_response
    with: { agent: "{{ alert.agent.id }}", command: firewall-drop180 }
"#;

/// The findings where the step `block` can be undone and verified, and says this too.
fn containing(keys: &str) -> String {
    let block = r#"    uses: wazuh.block_ip
    with: { agent: "{{ alert.agent.id }}", ip: "{{ alert.data.srcip }}" }
"#;
    with(BLOCK, &format!("{block}    {keys}\n"))
}

/// The findings where the step `lookup`, a call of `http`, says this too.
fn calling(keys: &str) -> String {
    with("    effect: read\n    with:\n", &format!("    {keys}\n    with:\n"))
}

#[test]
fn what_is_right_has_no_finding() {
    for keys in [
        "undo: { after: 24h }",
        "undo: { after: \"{{ vars.bad_from }}h\", on: [failed, cancelled] }",
        "undo: { on: [failed], approval: { ask: \"Unblock {{ alert.data.srcip }}?\", from: { role: analyst } } }",
        "undo: false\n    verify: false",
        "undo: false\n    verify: { within: 5m }",
    ] {
        assert_eq!(containing(keys), "", "{keys}");
    }
}

#[test]
fn where_nobody_looks_whether_it_happened_nobody_looks_whether_it_was_undone() {
    let inverse = |verify: &str| {
        let block = format!(
            "    uses: wazuh.block_ip\n    with: {{ agent: \"001\", ip: 203.0.113.9 }}\n    undo: {{ after: 24h }}\n{verify}"
        );
        let (workflow, findings) = load("w.yaml", &RIGHT.replacen(BLOCK, &block, 1), &shipped());
        assert!(findings.is_empty(), "{findings}");
        let steps = workflow.unwrap().steps;
        steps.into_iter().find_map(|step| step.inverse).unwrap()
    };
    let (usual, blind) = (inverse(""), inverse("    verify: false\n"));
    assert_eq!((usual.verify.is_some(), usual.on_doubt), (true, OnDoubt::Verify));
    assert_eq!((blind.verify.is_some(), blind.on_doubt), (false, OnDoubt::Retry));
}

#[test]
fn a_containment_without_an_end() {
    assert_snapshot!(containing("timeout: 20s"), @"
    warning[no-undo]: `block` stays until a person undoes it, and the file does not say that it should
      --> block_source.yaml:45:11
       |
    45 |     uses: wazuh.block_ip
       |           ^^^^^^^^^^^^^^
       |
       = help: add `undo: { after: 24h }` (`wazuh.unblock_ip` undoes it), with an `approval:` where the clock is only to ask; or `undo: false`
    ");
}

#[test]
fn an_end_on_no_occasion_and_a_time_without_a_unit() {
    assert_eq!(
        containing("undo: { on: [] }"),
        containing("undo: {}").replace("undo: {}", "undo: { on: [] }")
    );
    assert_snapshot!(containing("undo: { after: 24, on: cancelled }"), @"
    error[wrong-type]: `24` is not a duration: write a whole number with ms, s, m, h or d, as in `30s`
      --> block_source.yaml:47:20
       |
    47 |     undo: { after: 24, on: cancelled }
       |                    ^^
       |
       = help: write `24s`, if seconds are meant

    error[wrong-type]: this has to be a list, not text
      --> block_source.yaml:47:28
       |
    47 |     undo: { after: 24, on: cancelled }
       |                            ^^^^^^^^^
       |
       = help: write `on: [failed, cancelled]`
    ");
}

#[test]
fn an_end_without_a_time() {
    assert_snapshot!(containing("undo: {}"), @"
    error[missing-key]: this says that it is undone, and not when
      --> block_source.yaml:47:5
       |
    47 |     undo: {}
       |     ^^^^
       |
       = help: add `after: 24h`, or `on: [failed, cancelled]`; `undo: false` leaves it to people
    ");
    assert_snapshot!(containing("undo: 24h"), @"
    error[wrong-type]: this has to be a map, or `false`
      --> block_source.yaml:47:11
       |
    47 |     undo: 24h
       |           ^^^
       |
       = help: write `undo: { after: 24h }`
    ");
    assert_snapshot!(containing("undo: true"), @"
    error[wrong-type]: this has to be a map, or `false`
      --> block_source.yaml:47:11
       |
    47 |     undo: true
       |           ^^^^
       |
       = help: write `undo: { after: 24h }`
    ");
    assert_snapshot!(containing("undo: { after: a day }"), @"
    error[wrong-type]: `a day` is not a duration: write a whole number with ms, s, m, h or d, as in `30s`
      --> block_source.yaml:47:20
       |
    47 |     undo: { after: a day }
       |                    ^^^^^
    ");
    assert_snapshot!(containing("undo: { after: \"{{ vars.bad_from }} hours\" }"), @r#"
    error[wrong-value]: `5 hours` is not a duration: write a whole number with ms, s, m, h or d, as in `30s`
      --> block_source.yaml:47:20
       |
    47 |     undo: { after: "{{ vars.bad_from }} hours" }
       |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(containing("undo: { after: \"{{ vars.block_for }}\" }"), @r#"
    error[unknown-path]: there is no variable `block_for`
      --> block_source.yaml:47:24
       |
    47 |     undo: { after: "{{ vars.block_for }}" }
       |                        ^^^^^^^^^^^^^^
       |
       = help: there are bad_from
    "#);
}

#[test]
fn an_end_that_does_not_exist() {
    assert_snapshot!(containing("undo: { on: [succeeded] }"), @"
    error[wrong-value]: `succeeded` is not one of the values that stand here
      --> block_source.yaml:47:18
       |
    47 |     undo: { on: [succeeded] }
       |                  ^^^^^^^^^
       |
       = help: there are cancelled, failed
    ");
}

#[test]
fn a_question_before_an_undo_never_lapses() {
    assert_snapshot!(containing("undo: { after: 1h, approval: { ask: \"Unblock?\", expires: 1h } }"), @r#"
    error[unknown-key]: there is no key `expires` here
      --> block_source.yaml:47:53
       |
    47 |     undo: { after: 1h, approval: { ask: "Unblock?", expires: 1h } }
       |                                                     ^^^^^^^
       |
       = help: there are ask, from, reason, show
    "#);
}

#[test]
fn an_undo_of_what_cannot_be_undone() {
    assert_snapshot!(with(BLOCK, &format!("{BLOCK}    undo: {{ after: 1h }}\n    verify: {{ within: 1m }}\n")), @"
    error[wrong-key]: `wazuh.active_response` has no inverse: nothing here can undo it
      --> block_source.yaml:47:5
       |
    47 |     undo: { after: 1h }
       |     ^^^^
       |
       = help: use a node that has one (`portcullis nodes`), or undo it with a step of your own

    error[wrong-key]: `wazuh.active_response` says of no node that looks whether it happened
      --> block_source.yaml:48:5
       |
    48 |     verify: { within: 1m }
       |     ^^^^^^
       |
       = help: remove this key
    ");
}

#[test]
fn a_look_that_is_none() {
    assert_snapshot!(containing("undo: false\n    verify: { in: 5m }"), @"
    error[unknown-key]: there is no key `in` here
      --> block_source.yaml:48:15
       |
    48 |     verify: { in: 5m }
       |               ^^
       |
       = help: there are every, within
    ");
    assert_snapshot!(containing("undo: false\n    verify: { within: 300 }"), @"
    error[wrong-type]: `300` is not a duration: write a whole number with ms, s, m, h or d, as in `30s`
      --> block_source.yaml:48:23
       |
    48 |     verify: { within: 300 }
       |                       ^^^
       |
       = help: write `300s`, if seconds are meant
    ");
    assert_snapshot!(containing("undo: false\n    verify: { every: 1m, within: 10s }"), @"
    error[wrong-value]: nobody would look a second time: `every` is 1m, and `within` is 10s
      --> block_source.yaml:48:5
       |
    48 |     verify: { every: 1m, within: 10s }
       |     ^^^^^^
       |
       = help: evidence takes its time: let several looks fit into `within`
    ");
}

#[test]
fn a_doubt_that_the_node_decides() {
    assert_snapshot!(containing("undo: false\n    on_doubt: retry"), @"
    error[wrong-key]: the node `wazuh.block_ip` says itself what an unknown outcome means
      --> block_source.yaml:48:5
       |
    48 |     on_doubt: retry
       |     ^^^^^^^^
       |
       = help: remove this key
    ");
}

#[test]
fn a_key_in_the_call_may_stand_on_a_line_of_its_own() {
    let key = "      headers:\n        Idempotency-Key: \"{{ run.id }}/lookup\"\n";
    let url = "      url: \"https://assets";
    let text = RIGHT.replace("    effect: read\n", "    effect: write\n    on_doubt: same_key\n");
    let (_, findings) = load("block_source.yaml", &text.replace(url, &format!("{key}{url}")), &shipped());
    assert_eq!(findings.render(false), "");
}

#[test]
fn a_doubt_that_nothing_settles() {
    assert_snapshot!(calling("effect: write\n    on_doubt: verify"), @"
    error[wrong-value]: `verify` is not one of the values that stand here
      --> block_source.yaml:57:15
       |
    57 |     on_doubt: verify
       |               ^^^^^^
       |
       = help: there are ask, retry, same_key
    ");
    assert_snapshot!(calling("effect: write\n    on_doubt: same_key"), @r#"
    error[wrong-value]: `same_key` needs a key in the call: the same for each attempt, and for no other call
      --> block_source.yaml:57:15
       |
    57 |     on_doubt: same_key
       |               ^^^^^^^^
       |
       = help: give it one, as in `headers: { Idempotency-Key: "{{ run.id }}/ticket" }`
    "#);
    assert_snapshot!(calling("effect: disrupt\n    on_doubt: retry\n    approval: { ask: \"x\", expires: 1h }"), @"
    error[wrong-value]: what disrupts is never sent again because nobody knows whether it arrived
      --> block_source.yaml:57:15
       |
    57 |     on_doubt: retry
       |               ^^^^^
       |
       = help: write `ask`; or `same_key`, where the other side knows a call by a key in it
    ");
}
