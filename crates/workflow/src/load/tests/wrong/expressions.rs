//! Mistakes in CEL and Handlebars.

use insta::assert_snapshot;

use super::with;

#[test]
fn and_in_words() {
    assert_snapshot!(with(r#">= 10 && "sshd""#, r#">= 10 and "sshd""#), @r#"
    error[wrong-expression]: there is no `and` in CEL
     --> block_source.yaml:8:34
      |
    8 |     when: alert.rule.level >= 10 and "sshd" in alert.rule.groups
      |                                  ^^^
      |
      = help: write `&&`
    "#);
}

#[test]
fn one_equals_sign() {
    assert_snapshot!(with(r#"blocked: status.block == "ok""#, r#"blocked: status.block = "ok""#), @r#"
    error[wrong-expression]: there is no single `=` in CEL
      --> block_source.yaml:61:25
       |
    61 |   blocked: status.block = "ok"
       |                         ^
       |
       = help: write `==`
    "#);
}

#[test]
fn three_equals_signs() {
    assert_snapshot!(with(r#"blocked: status.block == "ok""#, r#"blocked: status.block === "ok""#), @r#"
    error[wrong-expression]: there is no `===` in CEL
      --> block_source.yaml:61:25
       |
    61 |   blocked: status.block === "ok"
       |                         ^^^
       |
       = help: write `==`
    "#);
}

#[test]
fn a_single_ampersand() {
    assert_snapshot!(with(r#">= 10 && "sshd""#, r#">= 10 & "sshd""#), @r#"
    error[wrong-expression]: there is no single `&` in CEL
     --> block_source.yaml:8:34
      |
    8 |     when: alert.rule.level >= 10 & "sshd" in alert.rule.groups
      |                                  ^
      |
      = help: write `&&`
    "#);
}

#[test]
fn text_without_quotes() {
    assert_snapshot!(with(r#"blocked: status.block == "ok""#, "blocked: status.block == ok"), @"
    error[unknown-path]: there is no root `ok`
      --> block_source.yaml:61:28
       |
    61 |   blocked: status.block == ok
       |                            ^^
       |
       = help: if it is meant as text, put it in quotes: 'ok'; else: there are alert, approvals, errors, run, status, steps, trigger, vars
    ");
}

#[test]
fn a_root_that_is_misspelt() {
    assert_snapshot!(with(">= vars.bad_from", ">= var.bad_from"), @r#"
    error[wrong-expression]: `var` is a word that CEL keeps for itself
      --> block_source.yaml:34:74
       |
    34 |       is_bad: status.reputation == "ok" && steps.reputation.malicious >= var.bad_from
       |                                                                          ^^^
       |
       = help: write `vars`
    "#);
}

#[test]
fn braces_in_a_decision() {
    assert_snapshot!(with("if: steps.verdict.is_bad", r#"if: "{{ steps.verdict.is_bad }}""#), @r#"
    error[wrong-expression]: a decision takes no braces
      --> block_source.yaml:44:10
       |
    44 |     if: "{{ steps.verdict.is_bad }}"
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: decisions are CEL: write `alert.rule.level >= 10`, without braces
    "#);
}

#[test]
fn a_decision_that_ends_too_early() {
    assert_snapshot!(with("if: steps.verdict.is_bad", "if: steps.verdict.is_bad &&"), @r#"
    error[wrong-expression]: this is not a CEL expression: it ends too early
      --> block_source.yaml:44:32
       |
    44 |     if: steps.verdict.is_bad &&
       |                                ^
       |
       = help: a decision reads like `alert.rule.level >= 10 && "sshd" in alert.rule.groups`
    "#);
}

#[test]
fn a_function_that_does_not_exist() {
    assert_snapshot!(with(r#">= 10 && "sshd" in alert.rule.groups"#, ">= 10 && len(alert.rule.groups) > 0"), @"
    error[wrong-expression]: there is no function `len`
     --> block_source.yaml:8:37
      |
    8 |     when: alert.rule.level >= 10 && len(alert.rule.groups) > 0
      |                                     ^^^
      |
      = help: did you mean `size`?
    ");
}

#[test]
fn a_block_that_is_not_closed() {
    assert_snapshot!(with("{{else}}Unknown{{/if}}", "{{else}}Unknown"), @r#"
    error[wrong-expression]: `{{#if}}` is never closed
      --> block_source.yaml:40:21
       |
    40 |       description: "{{#if steps.verdict.is_bad}}Known attacker{{else}}Unknown"
       |                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write `{{/if}}` where it ends
    "#);
}

#[test]
fn a_template_that_is_not_closed() {
    assert_snapshot!(with("{{ urlencode steps.host.name }}", "{{ urlencode steps.host.name"), @r#"
    error[wrong-expression]: `{{` is never closed
      --> block_source.yaml:58:46
       |
    58 |       url: "https://assets.example/api/hosts/{{ urlencode steps.host.name"
       |                                              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write `}}` behind the expression
    "#);
}

#[test]
fn a_helper_that_does_not_exist() {
    assert_snapshot!(with("{{ urlencode steps", "{{ url_encode steps"), @r#"
    error[wrong-expression]: there is no helper `url_encode`
      --> block_source.yaml:58:49
       |
    58 |       url: "https://assets.example/api/hosts/{{ url_encode steps.host.name }}"
       |                                                 ^^^^^^^^^^
       |
       = help: did you mean `urlencode`?
    "#);
}

#[test]
fn a_filter_of_another_language() {
    assert_snapshot!(with("{{ urlencode steps.host.name }}", "{{ steps.host.name | urlencode }}"), @r#"
    error[wrong-expression]: this is not a template expression
      --> block_source.yaml:58:65
       |
    58 |       url: "https://assets.example/api/hosts/{{ steps.host.name | urlencode }}"
       |                                                                 ^^^^^^^^^^^^^^
       |
       = help: write `{{ path.to.value }}` or `{{ helper argument }}`: a helper stands first
    "#);
}

#[test]
fn a_field_that_does_not_exist() {
    assert_snapshot!(with(r#"on {{ steps.host.name }}"
"#, r#"on {{ steps.host.hostname }}"
"#), @r#"
    error[unknown-path]: the output of `host` (wazuh.get_agent) has no field `hostname`
      --> block_source.yaml:39:50
       |
    39 |       title: "{{ alert.rule.description }} on {{ steps.host.hostname }}"
       |                                                  ^^^^^^^^^^^^^^^^^^^
       |
       = help: there are group_config_status, groups, id, ip, lastKeepAlive, manager, name, node_name, os, status, version
    "#);
}

#[test]
fn a_field_inside_a_helper_that_does_not_exist() {
    assert_snapshot!(with("{{ urlencode steps.host.name }}", "{{ urlencode (lower steps.host.nam) }}"), @r#"
    error[unknown-path]: the output of `host` (wazuh.get_agent) has no field `nam`
      --> block_source.yaml:58:66
       |
    58 |       url: "https://assets.example/api/hosts/{{ urlencode (lower steps.host.nam) }}"
       |                                                                  ^^^^^^^^^^^^^^
       |
       = help: did you mean `name`?
    "#);
}

#[test]
fn a_step_that_has_not_settled() {
    assert_snapshot!(with(r#""{{#if steps.verdict.is_bad}}"#, r#""{{ json steps.lookup }}{{#if steps.verdict.is_bad}}"#), @r#"
    error[unknown-path]: the step `lookup` has not settled when this is read
      --> block_source.yaml:40:29
       |
    40 |       description: "{{ json steps.lookup }}{{#if steps.verdict.is_bad}}Known attacker{{else}}Unknown{{/if}}"
       |                             ^^^^^^^^^^^^
       |
       = help: add `lookup` to the `needs` of this step
    "#);
}

#[test]
fn a_step_in_a_trigger() {
    assert_snapshot!(with(r#">= 10 && "sshd""#, r#">= vars.bad_from && "sshd""#), @r#"
    error[unknown-path]: `when` is evaluated before the run exists: only `alert` and `trigger` can be read
     --> block_source.yaml:8:31
      |
    8 |     when: alert.rule.level >= vars.bad_from && "sshd" in alert.rule.groups
      |                               ^^^^^^^^^^^^^
      |
      = help: write the value itself, or ask for it in the `if` of a step
    "#);
}

#[test]
fn a_number_for_text() {
    assert_snapshot!(with("alert.rule.level >= 10", "alert.rule.id == 5763"), @r#"
    warning[number-for-text]: Wazuh sends `alert.rule.id` as text, and text is never equal to a number
     --> block_source.yaml:8:11
      |
    8 |     when: alert.rule.id == 5763 && "sshd" in alert.rule.groups
      |           ^^^^^^^^^^^^^
      |
      = help: put the number in quotes, as in `alert.rule.id == "5710"`
    "#);
}

#[test]
fn braces_in_a_variable() {
    assert_snapshot!(with("  bad_from: 5", r#"  bad_from: 5
  subject: "{{ alert.rule.id }}""#), @r#"
    warning[literal-template]: nothing is evaluated in `vars`: the braces stay as they are
      --> block_source.yaml:16:12
       |
    16 |   subject: "{{ alert.rule.id }}"
       |            ^^^^^^^^^^^^^^^^^^^^^
       |
       = help: compute it in a `set` step, or write the template where the variable is used
    "#);
}
