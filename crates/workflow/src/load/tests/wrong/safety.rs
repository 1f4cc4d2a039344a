//! What a playbook may do to the world, and what it may meet.

use insta::assert_snapshot;

use super::with;

#[test]
fn a_disruption_without_a_gate() {
    assert_snapshot!(with(r#"    approval:
      ask: "Block {{ alert.data.srcip }} on {{ steps.host.name }}?"
      show: [steps.host]
      from: { role: analyst }
      expires: 30m
"#, ""), @"
    error[ungated-disruption]: the step `block` disrupts (wazuh.active_response), and no person is asked before
      --> block_source.yaml:45:11
       |
    45 |     uses: wazuh.active_response
       |           ^^^^^^^^^^^^^^^^^^^^^
       |
       = help: give the step an `approval:`, or let it need an approval
    ");
}

#[test]
fn a_gate_that_a_variable_switches_off() {
    assert_snapshot!(with("      expires: 30m", r"      expires: 30m
      skip_if: vars.bad_from == 5"), @"
    error[ungated-disruption]: `skip_if` holds whatever the alert is: nobody is asked before `block` disrupts
      --> block_source.yaml:52:16
       |
    52 |       skip_if: vars.bad_from == 5
       |                ^^^^^^^^^^^^^^^^^^
       |
       = help: let it read the alert or a step, or remove it
    ");
}

#[test]
fn a_question_that_never_lapses() {
    assert_snapshot!(with(r"      expires: 30m
", ""), @"
    warning[no-expiry]: this question never lapses: the run waits for ever if nobody answers
      --> block_source.yaml:47:5
       |
    47 |     approval:
       |     ^^^^^^^^
       |
       = help: add `expires: 30m`
    ");
}

#[test]
fn a_target_that_can_be_empty() {
    assert_snapshot!(with(r#"with: { agent: "{{ alert.agent.id }}", command"#, r#"with: { agent: '{{ default alert.agent.id "" }}', command"#), @r#"
    error[empty-target]: the target of `block` can be empty: `agent` is a part of it
      --> block_source.yaml:46:20
       |
    46 |     with: { agent: '{{ default alert.agent.id "" }}', command: firewall-drop180 }
       |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: leave the fallback out, or skip the step with `if` where the target is missing
    "#);
}

#[test]
fn text_of_an_alert_in_a_url() {
    assert_snapshot!(with("{{ urlencode steps.host.name }}", "{{ alert.agent.name }}"), @r#"
    warning[unescaped-alert-text]: `alert.agent.name` comes from outside and stands in a URL as it came
      --> block_source.yaml:58:49
       |
    58 |       url: "https://assets.example/api/hosts/{{ alert.agent.name }}"
       |                                                 ^^^^^^^^^^^^^^^^
       |
       = help: write `{{ urlencode alert.agent.name }}`
    "#);
}

#[test]
fn text_of_an_alert_in_a_command() {
    assert_snapshot!(with("command: firewall-drop180", r#"command: "{{ alert.data.command }}""#), @r#"
    warning[unescaped-alert-text]: `alert.data.command` comes from outside and stands in a command as it came
      --> block_source.yaml:46:57
       |
    46 |     with: { agent: "{{ alert.agent.id }}", command: "{{ alert.data.command }}" }
       |                                                         ^^^^^^^^^^^^^^^^^^
       |
       = help: write `{{ shell alert.data.command }}`
    "#);
}

#[test]
fn a_token_in_the_file() {
    assert_snapshot!(with(r"effect: read
    with:
", r"effect: read
    with:
      headers: { authorization: Bearer 9f8e7d6c5b4a39281706f5e4 }
"), @"
    error[secret-literal]: this looks like a token: it does not belong into a playbook
      --> block_source.yaml:58:40
       |
    58 |       headers: { authorization: Bearer ************************ }
       |                                        ^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: take it out, replace it at its product, and let the step name a `connection`
    ");
}

#[test]
fn an_output_that_may_be_missing() {
    assert_snapshot!(with(r#"is_bad: status.reputation == "ok" && steps"#, "is_bad: steps"), @r#"
    warning[maybe-missing]: `steps.reputation.malicious` may not be there: the step `reputation` can fail and let others go on (`on_error: continue`)
      --> block_source.yaml:34:15
       |
    34 |       is_bad: steps.reputation.malicious >= vars.bad_from
       |               ^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write `status.reputation == "ok" && ...`, or `has(steps.reputation) ? ... : ...`
    "#);
}

#[test]
fn an_output_that_has_is_no_guard_for() {
    assert_snapshot!(with(r#"is_bad: status.reputation == "ok" && steps.reputation.malicious"#, "is_bad: has(steps.reputation.malicious) && steps.reputation.malicious"), @r#"
    warning[maybe-missing]: `steps.reputation.malicious` may not be there: the step `reputation` can fail and let others go on (`on_error: continue`)
      --> block_source.yaml:34:19
       |
    34 |       is_bad: has(steps.reputation.malicious) && steps.reputation.malicious >= vars.bad_from
       |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: `has` wants `steps.reputation` to be there: write `status.reputation == "ok" && ...`
    "#);
}

#[test]
fn a_look_that_deletes() {
    assert_snapshot!(with(r#"      url: "https"#, r#"      method: DELETE
      url: "https"#), @"
    error[declared-read]: a step that sends DELETE does not only look
      --> block_source.yaml:58:15
       |
    58 |       method: DELETE
       |               ^^^^^^
       |
       = help: say `effect: write` or `effect: disrupt`
    ");
}

#[test]
fn a_list_of_disruptions_without_an_end() {
    assert_snapshot!(with("    if: steps.verdict.is_bad", "    foreach: alert.data.agents"), @"
    error[unbounded-disruption]: `block` disrupts once for each item, and nothing says how many are too many
      --> block_source.yaml:44:5
       |
    44 |     foreach: alert.data.agents
       |     ^^^^^^^
       |
       = help: add `max_items: 5`: with a longer list the step fails before anything is done
    ");
}
