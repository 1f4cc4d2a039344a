//! Mistakes in keys, values, nodes and order.

use insta::assert_snapshot;

use super::with;

#[test]
fn a_gate_that_is_misspelt() {
    assert_snapshot!(with("    approval:", "    aproval:"), @"
    error[ungated-disruption]: the step `block` disrupts (wazuh.active_response), and no person is asked before
      --> block_source.yaml:45:11
       |
    45 |     uses: wazuh.active_response
       |           ^^^^^^^^^^^^^^^^^^^^^
       |
       = help: give the step an `approval:`, or let it need an approval

    error[unknown-key]: there is no key `aproval` here
      --> block_source.yaml:47:5
       |
    47 |     aproval:
       |     ^^^^^^^
       |
       = help: did you mean `approval`?
    ");
}

#[test]
fn a_step_without_an_id() {
    assert_snapshot!(with(r"  - id: host
    uses", "  - uses"), @"
    error[missing-key]: the key `id` is missing here
      --> block_source.yaml:18:5
       |
    18 |   - uses: wazuh.get_agent
       |     ^^^^^^^^^^^^^^^^^^^^^

    error[unknown-step]: there is no step `host`
      --> block_source.yaml:30:13
       |
    30 |     needs: [host, reputation]
       |             ^^^^
       |
       = help: there are block, case, lookup, reputation, verdict

    error[unknown-step]: there is no step `host`
      --> block_source.yaml:53:13
       |
    53 |     needs: [host]
       |             ^^^^
       |
       = help: there are block, case, lookup, reputation, verdict
    ");
}

#[test]
fn a_retry_that_is_a_number() {
    assert_snapshot!(with("retry: { max: 3, wait: 2s, on: [timeout, http_429] }", "retry: 3"), @"
    error[wrong-type]: this has to be a map, not a number
      --> block_source.yaml:27:12
       |
    27 |     retry: 3
       |            ^
       |
       = help: write `retry: { max: 3, wait: 2s, on: [timeout, http_5xx] }`
    ");
}

#[test]
fn a_retry_with_two_mistakes() {
    assert_snapshot!(with("retry: { max: 3, wait: 2s, on: [timeout, http_429] }", "retry: { max: 300, wait: 2, on: [http_500x] }"), @"
    error[wrong-value]: this is not a whole number from 2 to 100
      --> block_source.yaml:27:19
       |
    27 |     retry: { max: 300, wait: 2, on: [http_500x] }
       |                   ^^^

    error[wrong-type]: `2` is not a duration: write a whole number with ms, s, m, h or d, as in `30s`
      --> block_source.yaml:27:30
       |
    27 |     retry: { max: 300, wait: 2, on: [http_500x] }
       |                              ^
       |
       = help: write `2s`, if seconds are meant

    error[wrong-value]: `http_500x` is not a class of failures
      --> block_source.yaml:27:38
       |
    27 |     retry: { max: 300, wait: 2, on: [http_500x] }
       |                                      ^^^^^^^^^
       |
       = help: did you mean `http_503`?
    ");
}

#[test]
fn people_without_a_role() {
    assert_snapshot!(with("from: { role: analyst }", "from: analyst"), @"
    error[wrong-type]: this has to be a map, not text
      --> block_source.yaml:50:13
       |
    50 |       from: analyst
       |             ^^^^^^^
       |
       = help: write `from: { role: analyst }`
    ");
}

#[test]
fn a_need_without_brackets() {
    assert_snapshot!(with("needs: [host, reputation]", "needs: host"), @r#"
    error[wrong-type]: this has to be a list, not text
      --> block_source.yaml:31:12
       |
    31 |     needs: host
       |            ^^^^
       |
       = help: write `needs: [host]`

    error[unknown-path]: the step `reputation` has not settled when this is read
      --> block_source.yaml:34:15
       |
    34 |       is_bad: status.reputation == "ok" && steps.reputation.malicious >= vars.bad_from
       |               ^^^^^^^^^^^^^^^^^
       |
       = help: add `reputation` to the `needs` of this step

    error[unknown-path]: the step `reputation` has not settled when this is read
      --> block_source.yaml:34:44
       |
    34 |       is_bad: status.reputation == "ok" && steps.reputation.malicious >= vars.bad_from
       |                                            ^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: add `reputation` to the `needs` of this step
    "#);
}

#[test]
fn a_duration_in_words() {
    assert_snapshot!(with("window: 1h", "window: 1 hour"), @"
    error[wrong-type]: `1 hour` is not a duration: write a whole number with ms, s, m, h or d, as in `30s`
      --> block_source.yaml:12:11
       |
    12 |   window: 1 hour
       |           ^^^^^^
    ");
}

#[test]
fn a_duration_without_a_unit() {
    assert_snapshot!(with("expires: 30m", "expires: 30"), @"
    error[wrong-type]: `30` is not a duration: write a whole number with ms, s, m, h or d, as in `30s`
      --> block_source.yaml:51:16
       |
    51 |       expires: 30
       |                ^^
       |
       = help: write `30s`, if seconds are meant
    ");
}

#[test]
fn a_mode_that_does_not_exist() {
    assert_snapshot!(with("attack: [T1110]", "mode: dryrun"), @"
    error[wrong-value]: `dryrun` is not one of the values that stand here
     --> block_source.yaml:3:7
      |
    3 | mode: dryrun
      |       ^^^^^^
      |
      = help: there are live, shadow
    ");
}

#[test]
fn an_id_with_a_capital() {
    assert_snapshot!(with("id: reputation", "id: Reputation"), @"
    error[wrong-id]: `Reputation` is not an id ([a-z][a-z0-9_]*, at most 64 characters)
      --> block_source.yaml:23:9
       |
    23 |   - id: Reputation
       |         ^^^^^^^^^^
       |
       = help: write `reputation`

    error[unknown-step]: there is no step `reputation`
      --> block_source.yaml:31:19
       |
    31 |     needs: [host, reputation]
       |                   ^^^^^^^^^^
       |
       = help: there are block, case, host, lookup, verdict
    ");
}

#[test]
fn two_steps_with_one_id() {
    assert_snapshot!(with("- id: lookup", "- id: host"), @"
    error[duplicate-id]: there are two steps `host`
      --> block_source.yaml:53:9
       |
    18 |   - id: host
       |         ---- the other one
    ...
    53 |   - id: host
       |         ^^^^
    ");
}

#[test]
fn a_word_for_a_number() {
    assert_snapshot!(with("severity: 2", "severity: high"), @r#"
    error[wrong-input]: the input `severity` has to be a whole number, not `"high"`
      --> block_source.yaml:41:17
       |
    41 |       severity: high
       |                 ^^^^
       |
       = help: `severity`: 1 low, 2 medium, 3 high, 4 critical.
    "#);
}

#[test]
fn a_node_that_does_not_exist() {
    assert_snapshot!(with("uses: wazuh.active_response", "uses: wazuh.active_respons"), @"
    error[unknown-node]: there is no node `wazuh.active_respons`
      --> block_source.yaml:45:11
       |
    45 |     uses: wazuh.active_respons
       |           ^^^^^^^^^^^^^^^^^^^^
       |
       = help: did you mean `wazuh.active_response`?
    ");
}

#[test]
fn an_input_that_is_missing() {
    assert_snapshot!(with(r#"      title: "{{ alert.rule.description }} on {{ steps.host.name }}"
"#, ""), @"
    error[missing-input]: the node `thehive.create_case` needs the input `title`: The title, up to 512 characters.
      --> block_source.yaml:38:5
       |
    38 |     with:
       |     ^^^^
    ");
}

#[test]
fn an_input_that_does_not_exist() {
    assert_snapshot!(with("severity: 2", "severty: 2"), @"
    error[unknown-input]: the node `thehive.create_case` has no input `severty`
      --> block_source.yaml:41:7
       |
    41 |       severty: 2
       |       ^^^^^^^
       |
       = help: did you mean `severity`?
    ");
}

#[test]
fn a_trigger_as_a_step() {
    assert_snapshot!(with("uses: thehive.create_case", "uses: webhook"), @"
    error[wrong-node]: `webhook` starts workflows and is no step
      --> block_source.yaml:37:11
       |
    37 |     uses: webhook
       |           ^^^^^^^
       |
       = help: put it under `triggers:`
    ");
}

#[test]
fn a_call_that_does_not_say_what_it_does() {
    assert_snapshot!(with(r"    effect: read
", ""), @"
    error[missing-key]: the key `effect` is missing: `http` cannot know what the call does
      --> block_source.yaml:53:5
       |
    53 |   - id: lookup
       |     ^^^^^^^^^^
       |
       = help: say `read` (it looks), `write` (it changes what disturbs nobody) or `disrupt`
    ");
}

#[test]
fn a_key_of_another_language() {
    assert_snapshot!(with("    on_error: continue", "    continue_on_error: true"), @"
    error[unknown-key]: there is no key `continue_on_error` here
      --> block_source.yaml:28:5
       |
    28 |     continue_on_error: true
       |     ^^^^^^^^^^^^^^^^^
       |
       = help: write `on_error: continue`
    ");
}

#[test]
fn a_need_that_does_not_exist() {
    assert_snapshot!(with("needs: [host, reputation]", "needs: [host, reptation]"), @r#"
    error[unknown-step]: there is no step `reptation`
      --> block_source.yaml:31:19
       |
    31 |     needs: [host, reptation]
       |                   ^^^^^^^^^
       |
       = help: did you mean `reputation`?

    error[unknown-path]: the step `reputation` has not settled when this is read
      --> block_source.yaml:34:15
       |
    34 |       is_bad: status.reputation == "ok" && steps.reputation.malicious >= vars.bad_from
       |               ^^^^^^^^^^^^^^^^^
       |
       = help: add `reputation` to the `needs` of this step

    error[unknown-path]: the step `reputation` has not settled when this is read
      --> block_source.yaml:34:44
       |
    34 |       is_bad: status.reputation == "ok" && steps.reputation.malicious >= vars.bad_from
       |                                            ^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: add `reputation` to the `needs` of this step
    "#);
}

#[test]
fn a_circle() {
    assert_snapshot!(with("needs: []", "needs: [verdict]"), @"
    error[cycle]: these steps wait for each other: reputation, verdict
      --> block_source.yaml:24:5
       |
    24 |     needs: [verdict]
       |     ^^^^^
       |
       = help: remove one of their needs
    ");
}
