//! Mistakes in YAML.

use insta::assert_snapshot;

use super::with;

#[test]
fn a_tab() {
    assert_snapshot!(with("    uses: thehive.create_case", "\tuses: thehive.create_case"), @"
    error[yaml-syntax]: YAML takes no tabs for indentation
      --> block_source.yaml:37:1
       |
    37 |     uses: thehive.create_case
       | ^^^^
       |
       = help: use blanks
    ");
}

#[test]
fn a_step_that_is_not_in_line() {
    assert_snapshot!(with("    uses: thehive.create_case", "   uses: thehive.create_case"), @"
    error[yaml-syntax]: this line is not in line with those above
      --> block_source.yaml:37:4
       |
    37 |    uses: thehive.create_case
       |    ^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: keys of one map, and the dashes of one list, begin in the same column
    ");
}

#[test]
fn a_template_without_quotes() {
    assert_snapshot!(with(r#"agent: "{{ alert.agent.id }}"

"#, r"agent: {{ alert.agent.id }}

"), @r#"
    error[unquoted-template]: YAML reads an unquoted `{{` as a map
      --> block_source.yaml:21:14
       |
    21 |       agent: {{ alert.agent.id }}
       |              ^
       |
       = help: put the template in quotes: "{{ alert.agent.id }}"
    "#);
}

#[test]
fn cel_that_begins_with_a_quote() {
    assert_snapshot!(with("if: steps.verdict.is_bad", r#"if: "sshd" in alert.rule.groups"#), @r#"
    error[yaml-syntax]: the value ends at the second quote, and something follows
      --> block_source.yaml:44:9
       |
    44 |     if: "sshd" in alert.rule.groups
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: put all of it in quotes: '"sshd" in alert.rule.groups'
    "#);
}

#[test]
fn cel_that_begins_with_an_exclamation_mark() {
    assert_snapshot!(with("if: steps.verdict.is_bad", "if: !steps.verdict.is_bad"), @r#"
    error[yaml-form]: a value that begins with `!` is a tag to YAML
      --> block_source.yaml:44:9
       |
    44 |     if: !steps.verdict.is_bad
       |         ^^^^^^^^^^^^^^^^^^^^^
       |
       = help: put it in quotes: "!steps.verdict.is_bad"
    "#);
}

#[test]
fn a_colon_in_a_text() {
    assert_snapshot!(with("title: Block a source", "title: Block: a source"), @r#"
    error[yaml-syntax]: a colon and a blank make a map of this text
     --> block_source.yaml:2:8
      |
    2 | title: Block: a source
      |        ^^^^^^^^^^^^^^^
      |
      = help: put it in quotes: "Block: a source"
    "#);
}

#[test]
fn a_key_that_stands_twice() {
    assert_snapshot!(with("    on_error: continue", r"    on_error: continue
    on_error: fail"), @"
    error[duplicate-key]: the key `on_error` stands here twice
      --> block_source.yaml:29:5
       |
    28 |     on_error: continue
       |     -------- first here
    29 |     on_error: fail
       |     ^^^^^^^^
       |
       = help: YAML keeps the last of them without a word: give one of them another name
    ");
}

#[test]
fn an_anchor() {
    assert_snapshot!(with("attack: [T1110]", "attack: &techniques [T1110]"), @"
    error[yaml-form]: a value that begins with `&` is an anchor to YAML: those are not part of the language
     --> block_source.yaml:3:9
      |
    3 | attack: &techniques [T1110]
      |         ^^^^^^^^^^^^^
      |
      = help: write the value out, or put it in quotes
    ");
}

#[test]
fn an_alias() {
    assert_snapshot!(with("attack: [T1110]", "attack: *techniques"), @r#"
    error[yaml-syntax]: a value that begins with `*` means something else to YAML
     --> block_source.yaml:3:9
      |
    3 | attack: *techniques
      |         ^^^^^^^^^^^
      |
      = help: put it in quotes: "*techniques"
    "#);
}

#[test]
fn a_quote_that_is_not_closed() {
    assert_snapshot!(with(r#"title: "{{ alert.rule.description }} on {{ steps.host.name }}""#, r#"title: "{{ alert.rule.description }} on {{ steps.host.name }}"#), @r#"
    error[yaml-syntax]: this quote is never closed
      --> block_source.yaml:39:14
       |
    39 |       title: "{{ alert.rule.description }} on {{ steps.host.name }}
       |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: close it, or put the whole value in the other kind of quotes
    "#);
}

#[test]
fn a_bracket_that_is_not_closed() {
    assert_snapshot!(with("needs: [host, reputation]", "needs: [host, reputation"), @"
    error[yaml-syntax]: this bracket is never closed
      --> block_source.yaml:31:12
       |
    31 |     needs: [host, reputation
       |            ^
       |
       = help: close it, or put the value in quotes if it is text
    ");
}

#[test]
fn two_documents() {
    assert_snapshot!(with(r"steps:
", r"---
steps:
"), @"
    error[yaml-form]: a file holds one document: remove what follows `---`
      --> block_source.yaml:17:1
       |
    17 | ---
       | ^^^
    ");
}

#[test]
fn an_agent_with_zeros_and_no_quotes() {
    assert_snapshot!(with(r#"agent: "{{ alert.agent.id }}"

"#, r"agent: 003

"), @r#"
    warning[ambiguous-value]: `003` is text here, and other YAML readers take it for a number without the zeros
      --> block_source.yaml:21:14
       |
    21 |       agent: 003
       |              ^^^
       |
       = help: write "003"
    "#);
}

#[test]
fn an_agent_that_is_a_number() {
    assert_snapshot!(with(r#"agent: "{{ alert.agent.id }}"

"#, r"agent: 1204

"), @r#"
    error[wrong-input]: the input `agent` has to be the id of a Wazuh agent, three digits or more, as text, not `1204`
      --> block_source.yaml:21:14
       |
    21 |       agent: 1204
       |              ^^^^
       |
       = help: YAML read it as something else than text: write "1204"
    "#);
}

#[test]
fn a_word_that_other_readers_take_for_false() {
    assert_snapshot!(with("  bad_from: 5", r"  bad_from: 5
  country: NO"), @r#"
    warning[ambiguous-value]: `NO` is text here, and other YAML readers take it for false
      --> block_source.yaml:16:12
       |
    16 |   country: NO
       |            ^^
       |
       = help: write "NO"
    "#);
}
