//! Reloads, as an operator sees them: which files there are, and what becomes of each.

use insta::assert_snapshot;
use workflow::Catalog;

use super::*;

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    catalog
        .add(
            "look.yaml",
            "node: look\nsummary: x\neffect: read\non_doubt: retry\nrequest: { method: GET, path: / }\n",
        )
        .unwrap();
    let webhook = "node: webhook\nsummary: x\ntrigger: webhook\ninputs:\n  path: { type: string, required: true, summary: x }\n  respond: { type: string, summary: x }\n  within: { type: string, summary: x }\n";
    catalog.add("webhook.yaml", webhook).unwrap();
    catalog
}

fn found(file: &str, text: &str) -> Found {
    Found { file: file.to_owned(), text: Ok(text.into()) }
}

fn playbook(file: &str, name: &str) -> Found {
    found(file, &format!("workflow: {name}\nsteps:\n  - {{ id: a, uses: look }}\n"))
}

fn broken(file: &str) -> Found {
    found(file, "workflow: x\nsteps: []\n")
}

/// Rereads once a second, and shows each time what is live and what there is to say.
fn reload(reloads: &[&[Found]]) -> String {
    let mut workflows = Workflows::default();
    let mut shown = String::new();
    for (second, files) in reloads.iter().enumerate() {
        let now = Timestamp::from_millis(second as i64 * 1000);
        workflows = workflows.reread(files.to_vec(), &catalog(), now);
        shown.push_str(&format!("{second}: "));
        shown.push_str(&workflows.playbooks().iter().map(show).collect::<Vec<_>>().join("; "));
        shown.push('\n');
    }
    shown
}

fn show(playbook: &Playbook) -> String {
    let second = |at: Timestamp| at.as_millis() / 1000;
    let live = playbook.live.as_ref();
    let live = live
        .map_or("nothing".to_owned(), |live| format!("{} of {}", live.workflow.name, second(live.loaded_at)));
    let failing = playbook.failing_since.map_or(String::new(), |since| {
        let message =
            playbook.findings.findings().iter().map(|finding| finding.message.clone()).collect::<Vec<_>>();
        format!(", failing since {}: {}", second(since), message.join(", "))
    });
    format!("{} is {live}{failing}", playbook.file)
}

#[test]
fn a_text_with_errors_leaves_the_version_before_it_live() {
    let edited = found("a.yaml", "workflow: one\ntitle: New\nsteps:\n  - { id: a, uses: look }\n");
    let unreadable = Found { file: "a.yaml".to_owned(), text: Err("permission denied".to_owned()) };
    let shown = reload(&[
        &[playbook("a.yaml", "one"), broken("b.yaml")],
        &[broken("a.yaml"), broken("b.yaml")],
        &[unreadable, playbook("b.yaml", "two")],
        &[playbook("a.yaml", "one"), playbook("b.yaml", "two")],
        &[edited],
        &[],
    ]);
    assert_snapshot!(shown, @"
    0: a.yaml is one of 0; b.yaml is nothing, failing since 0: a workflow has 1 to 1000 steps, not 0
    1: a.yaml is one of 0, failing since 1: a workflow has 1 to 1000 steps, not 0; b.yaml is nothing, failing since 0: a workflow has 1 to 1000 steps, not 0
    2: a.yaml is one of 0, failing since 1: permission denied; b.yaml is two of 2
    3: a.yaml is one of 0; b.yaml is two of 2
    4: a.yaml is one of 4
    5:
    ");
}

#[test]
fn a_workflow_follows_its_file_to_another_name() {
    let shown = reload(&[
        &[playbook("a.yaml", "one")],
        &[playbook("a.yaml", "other")],
        &[playbook("moved.yaml", "other")],
    ]);
    assert_snapshot!(shown, @"
    0: a.yaml is one of 0
    1: a.yaml is other of 1
    2: moved.yaml is other of 1
    ");
}

#[test]
fn of_two_files_with_one_name_the_first_stays_live() {
    let shown = reload(&[
        &[playbook("b.yaml", "one")],
        &[playbook("a.yaml", "one"), playbook("b.yaml", "one")],
        &[playbook("a.yaml", "one"), broken("b.yaml")],
        &[playbook("a.yaml", "one"), playbook("b.yaml", "two")],
        &[playbook("a.yaml", "two"), playbook("b.yaml", "two")],
        &[playbook("a.yaml", "two"), playbook("b.yaml", "one")],
    ]);
    assert_snapshot!(shown, @"
    0: b.yaml is one of 0
    1: a.yaml is nothing, failing since 1: there is a workflow `one` already, in b.yaml; b.yaml is one of 0
    2: a.yaml is nothing, failing since 1: there is a workflow `one` already, in b.yaml; b.yaml is one of 0, failing since 2: a workflow has 1 to 1000 steps, not 0
    3: a.yaml is one of 0; b.yaml is two of 3
    4: a.yaml is one of 0, failing since 4: there is a workflow `two` already, in b.yaml; b.yaml is two of 3
    5: a.yaml is two of 3; b.yaml is one of 0
    ");
}

#[test]
fn two_files_can_swap_their_names() {
    let shown = reload(&[
        &[playbook("a.yaml", "one"), playbook("b.yaml", "two")],
        &[playbook("a.yaml", "two"), playbook("b.yaml", "one")],
    ]);
    assert_snapshot!(shown, @"
    0: a.yaml is one of 0; b.yaml is two of 0
    1: a.yaml is two of 0; b.yaml is one of 0
    ");
}

#[test]
fn a_finding_about_a_name_that_is_taken_shows_the_place() {
    let workflows = Workflows::default().reread(
        [playbook("a.yaml", "one"), playbook("b.yaml", "one")],
        &catalog(),
        Timestamp::default(),
    );
    assert_snapshot!(workflows.playbooks()[1].findings, @"
    error[duplicate-workflow]: there is a workflow `one` already, in a.yaml
     --> b.yaml:1:11
      |
    1 | workflow: one
      |           ^^^
      |
      = help: give one of the two another name
    ");
    let unreadable =
        Found { file: "c.yaml".to_owned(), text: Err("cannot read c.yaml: permission denied".to_owned()) };
    let workflows = workflows.reread([unreadable], &catalog(), Timestamp::default());
    assert_snapshot!(workflows.playbooks()[0].findings, @"
    error[unreadable]: cannot read c.yaml: permission denied
     --> c.yaml:1:1
      |
    1 |
      | ^
    ");
}

#[test]
fn an_alert_is_put_to_all_that_listen_on_its_path() {
    let listening = |name: &str, triggers: &[&str]| {
        let triggers: String =
            triggers.iter().map(|with| format!("  - {{ uses: webhook, {with} }}\n")).collect();
        let text = format!(
            "workflow: {name}\ntriggers:\n{triggers}steps:\n  - {{ id: a, uses: look }}\noutputs: {{ it: steps.a }}\n"
        );
        found(&format!("{name}.yaml"), &text)
    };
    let files = [
        listening("every", &["with: { path: a }"]),
        listening(
            "both",
            &[
                "with: { path: a }, when: alert.x == 1",
                "with: { path: b }",
                "with: { path: a }, when: alert.x == 2",
            ],
        ),
        listening(
            "unclear",
            &["with: { path: a }, when: alert.missing == 1", "with: { path: a }, when: alert.x == 1"],
        ),
        listening(
            "waits",
            &["with: { path: b, respond: outputs, within: 5s }, when: alert.x == 3", "with: { path: b }"],
        ),
    ];
    let workflows = Workflows::default().reread(files, &catalog(), Timestamp::default());
    for playbook in workflows.playbooks() {
        assert!(playbook.live.is_some(), "{}", playbook.findings);
    }
    let ask = |path: &str, x: u8| {
        let scope = expr::Scope::new(serde_json::json!({ "alert": { "x": x } }));
        let hook = workflows.hook(path).unwrap();
        let show = |(listener, holds): (&hooks::Listener, Result<bool, expr::EvalError>)| {
            let holds = holds.map_or_else(|error| error.message, |holds| holds.to_string());
            let within =
                listener.respond_within.map(|within| format!(" within {within:?}")).unwrap_or_default();
            format!("{}: {holds}{within}", listener.workflow.name)
        };
        hook.ask(&scope).into_iter().map(show).collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(ask("a", 1), @"
    both: true
    every: true
    unclear: true
    ");
    assert_snapshot!(ask("a", 2), @"
    both: true
    every: true
    unclear: `alert.missing` is missing: `alert` has x, in `alert.missing == 1`
    ");
    assert_snapshot!(ask("b", 3), @"
    both: true
    waits: true within 5s
    ");
    assert!(workflows.has_hook("a") && !workflows.has_hook("c"));
}
