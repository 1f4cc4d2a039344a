use model::Outcome;
use serde_json::json;
use workflow::{Action, Effect};

use super::*;
use crate::trial::{TestReport, run_recipe_tests, run_tests};

fn embedded() -> (Catalog, Recipes) {
    load([]).unwrap_or_else(|findings| {
        let findings: Vec<String> = findings.iter().map(|finding| finding.render(false)).collect();
        panic!("{}", findings.join("\n\n"))
    })
}

/// All that is wrong with the tests of a node or product.
fn problems(name: &str, reports: &[TestReport]) -> Vec<String> {
    let failed = reports
        .iter()
        .filter_map(|report| Some(format!("{name}: {}: {}", report.name, report.problem.as_ref()?)));
    let has = |success| reports.iter().any(|report| report.expects_success == success);
    let missing = [(true, "success"), (false, "failure")].into_iter().filter(|(success, _)| !has(*success));
    failed.chain(missing.map(|(_, what)| format!("{name} has no test of a {what}"))).collect()
}

#[test]
fn every_node_passes_its_own_tests() {
    let (catalog, recipes) = embedded();
    let has_tests = |action: &Action| matches!(action, Action::Request(_) | Action::Native(_));
    let calling = catalog.iter().filter(|manifest| has_tests(&manifest.action));
    let problems: Vec<String> = calling
        .flat_map(|manifest| {
            let recipe = manifest.connection.as_ref().and_then(|product| recipes.get(product));
            assert!(manifest.docs.is_some(), "{} has no docs", manifest.name);
            problems(&manifest.name, &run_tests(manifest, recipe.map(|recipe| &**recipe)))
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_product_passes_its_own_tests() {
    let (_, recipes) = embedded();
    let problems: Vec<String> =
        recipes.iter().flat_map(|recipe| problems(&recipe.product, &run_recipe_tests(recipe))).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_examples_of_the_readme_are_true() {
    let readme = FOLDER.get_file("README.md").and_then(|file| file.contents_utf8()).unwrap();
    let examples: Vec<&str> =
        readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [node, playbook, recipe] = examples.as_slice() else { panic!("three examples") };
    let files = [("ticket/connection.yaml", *recipe), ("ticket/close.yaml", *node)];
    let files = files.map(|(file, text)| (file.to_owned(), text.to_owned()));
    let (catalog, recipes) = load(files).unwrap_or_else(|findings| panic!("{}", findings[0]));
    let recipe = recipes.get("ticket").unwrap();
    let reports = run_tests(catalog.get("ticket.close").unwrap(), Some(recipe));
    assert_eq!(problems("node", &reports), Vec::<String>::new());
    assert_eq!(problems("product", &run_recipe_tests(recipe)), Vec::<String>::new());
    check_reshaping(playbook, &catalog);
}

/// The playbook about reshaping computes what it says.
fn check_reshaping(playbook: &str, catalog: &Catalog) {
    let (workflow, findings) = workflow::load("README.md", playbook, catalog);
    let workflow = workflow.unwrap_or_else(|| panic!("{findings}"));
    let hit = |ip: &str, level: u8, timestamp: &str| json!({ "_source": { "rule": { "level": level }, "data": { "srcip": ip }, "timestamp": timestamp } });
    let hits = [
        hit("192.0.2.1", 10, "2026-11-22T11:51:00.000+0000"),
        hit("192.0.2.2", 12, "2026-11-22T11:53:00.000+0000"),
        hit("192.0.2.3", 3, "2026-11-22T11:53:30.000+0000"),
        hit("192.0.2.2", 12, "2026-11-22T11:52:00.000+0000"),
    ];
    let mut scope = json!({ "alert": { "hits": hits }, "steps": {} });
    for step in workflow.steps.iter().filter(|step| matches!(step.node.action, Action::Native(_))) {
        let inputs = step
            .inputs
            .iter()
            .map(|(name, value)| (name.clone(), value.eval(&expr::Scope::new(scope.clone())).unwrap()));
        let outcome = crate::perform_pure(&step.node, &inputs.collect(), step.timeout);
        let Some(Outcome::Succeeded(output)) = outcome else { panic!("{}: {outcome:?}", step.id) };
        scope["steps"][step.id.as_str()] = (*output).clone();
    }
    let sources = json!([{ "ip": "192.0.2.2", "alerts": 2 }, { "ip": "192.0.2.1", "alerts": 1 }]);
    assert_eq!(scope["steps"]["sources"]["result"], sources);
    assert_eq!(scope["steps"]["span"]["result"], json!({ "minutes": 2.5, "worst": "192.0.2.2" }));
}

#[test]
fn the_catalogue_has_what_it_is_known_for() {
    let (catalog, recipes) = embedded();
    let names: Vec<&str> = catalog.iter().map(|manifest| manifest.name.as_str()).collect();
    insta::assert_snapshot!(names.join(" "), @"approval cortex.get_job cortex.run_analyzer delay http jq manual misp.add_sighting misp.search_attributes schedule script set slack.post thehive.add_comment thehive.add_observable thehive.add_task_log thehive.close_case thehive.create_case thehive.create_task thehive.find_cases thehive.get_task thehive.update_case thehive.update_task virustotal.domain virustotal.file virustotal.ip virustotal.url wazuh.active_response wazuh.authenticate wazuh.block_ip wazuh.disable_account wazuh.get_agent wazuh.isolate_host wazuh.list_agents wazuh.release_host wazuh.restart_agent wazuh.unblock_ip wazuh_indexer.find_active_response wazuh_indexer.search_alerts webhook workflow");
    let products: Vec<&str> = recipes.iter().map(|recipe| recipe.product.as_str()).collect();
    assert_eq!(
        products,
        ["cortex", "http", "misp", "slack", "thehive", "virustotal", "wazuh", "wazuh_indexer"]
    );
    let disrupting = catalog.iter().filter(|manifest| manifest.effect == Some(Effect::Disrupt));
    assert_eq!(
        disrupting.map(|manifest| manifest.name.as_str()).collect::<Vec<_>>(),
        [
            "wazuh.active_response",
            "wazuh.block_ip",
            "wazuh.disable_account",
            "wazuh.isolate_host",
            "wazuh.restart_agent"
        ]
    );
}

/// All findings about these files of an operator, one a line.
fn check(files: &[(&str, &str)]) -> String {
    let files = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
    let Err(all) = load(files) else { return "fine".to_owned() };
    let lines = all.iter().flat_map(|findings| {
        findings.findings().into_iter().map(|finding| {
            let (line, column) = findings.line_and_column(finding.at.start);
            format!("{}:{line}:{column} {}: {}", findings.file(), finding.rule, finding.message)
        })
    });
    lines.collect::<Vec<_>>().join("\n")
}

const RECIPE: &str = "
product: ticket
summary: Our ticket system.
settings:
  key: { secret: true, required: true, summary: The key. }
login: { bearer: \"{{ settings.key }}\" }
";
const NODE: &str = "
node: ticket.close
summary: Closes a ticket.
connection: ticket
effect: write
on_doubt: retry
inputs:
  id: { type: string, required: true, summary: The id. }
request: { method: POST, path: \"/tickets/{{ urlencode inputs.id }}/close\" }
";

#[test]
fn an_operator_adds_a_product() {
    assert_eq!(check(&[("ticket/connection.yaml", RECIPE), ("ticket/close.yaml", NODE)]), "fine");
    assert_eq!(check(&[("ticket/close.yaml", NODE), ("ticket/connection.yaml", RECIPE)]), "fine");
}

#[test]
fn what_is_wrong_with_an_added_node_is_said_with_its_place() {
    let node =
        NODE.replace("urlencode inputs.id", "inputs.id").replace("connection: ticket", "connection: tickets");
    insta::assert_snapshot!(check(&[("a.yaml", &node)]), @"
    a.yaml:4:13 unknown-product: there is no connection.yaml for `tickets`: there are cortex, http, misp, slack, thehive, virustotal, wazuh, wazuh_indexer
    a.yaml:9:45 unescaped-path: `inputs.id` stands in a path as it came: write `urlencode inputs.id`
    ");
    let node = NODE.replace("inputs.id", "inputs.number") + "succeeds_when: respons.status == 200\n";
    insta::assert_snapshot!(check(&[("a/connection.yaml", RECIPE), ("a.yaml", &node)]), @"
    a.yaml:9:55 unknown-input: there is no input `number`
    a.yaml:10:16 unknown-root: there is no `respons.status` here: there are inputs, call, connection, response, empty
    ");
    let node = NODE.replace("/close", "/{{ call.key }}?{{ call.id }}") + "target: \"{{ call.run }}\"\n";
    insta::assert_snapshot!(check(&[("a/connection.yaml", RECIPE), ("a.yaml", &node)]), @"
    a.yaml:9:86 unknown-root: there is no `call.id`: a call has key, run, step, started_at
    a.yaml:9:86 unescaped-path: `call.id` stands in a path as it came: write `urlencode call.id`
    a.yaml:10:13 unknown-root: there is no `call.run` here: there are inputs
    ");
    let node = NODE.replace("request: { method", "native: close\nx: { method");
    insta::assert_snapshot!(check(&[("a/connection.yaml", RECIPE), ("a.yaml", &node)]), @"
    a.yaml:9:9 wrong-value: `close` is not one of the values that stand here
    a.yaml:10:1 unknown-key: there is no key `x` here
    ");
    let taken = NODE.replace("ticket.close", "wazuh.get_agent");
    insta::assert_snapshot!(check(&[("a/connection.yaml", RECIPE), ("a.yaml", &taken)]), @"a.yaml:2:7 duplicate-node: there is a node `wazuh.get_agent` already");
}

#[test]
fn what_is_wrong_with_a_recipe_is_said_with_its_place() {
    let recipe =
        RECIPE.replace("bearer: \"{{ settings.key }}\"", "bearer: \"{{ settings.kee }}\"") + "base: api\n";
    insta::assert_snapshot!(check(&[("a/connection.yaml", &recipe)]), @"
    a/connection.yaml:6:22 unknown-root: there is no setting `kee`: it has to stand in `settings`
    a/connection.yaml:7:7 wrong-type: this has to be a path that begins with `/` and does not end with one, not text
    ");
    let recipe = RECIPE.replace("bearer:", "digest:") + "failures: [{ when: inputs.a == 1, message: x }]\n";
    insta::assert_snapshot!(check(&[("a/connection.yaml", &recipe)]), @"
    a/connection.yaml:6:1 wrong-type: this has to be `none`, or one of `basic`, `bearer`, `header` and `token`, not a map
    a/connection.yaml:6:10 unknown-key: there is no key `digest` here
    a/connection.yaml:7:20 unknown-root: there is no `inputs.a` here: there are response, connection, phase
    ");
    let recipe = RECIPE.replace("key", "proxy");
    insta::assert_snapshot!(check(&[("a/connection.yaml", &recipe)]), @"a/connection.yaml:5:3 wrong-value: every connection has a `proxy`: give the setting another name");
    let recipe = RECIPE.replace("product: ticket", "product: wazuh");
    insta::assert_snapshot!(check(&[("a/connection.yaml", &recipe)]), @"a/connection.yaml:2:10 duplicate-product: there is a recipe for `wazuh` already");
    let recipe = RECIPE.replace("login: { bearer: \"{{ settings.key }}\" }", "login: open\nidle_timeout: 3");
    insta::assert_snapshot!(check(&[("a/connection.yaml", &recipe)]), @"
    a/connection.yaml:6:8 wrong-value: `open` is not one of the values that stand here
    a/connection.yaml:7:15 wrong-type: `3` is not a duration: write a whole number with ms, s, m, h or d, as in `30s`
    ");
}

#[test]
fn a_test_that_is_none_or_that_fails_says_so() {
    let (catalog, _) = load([
        ("a/connection.yaml".to_owned(), RECIPE.to_owned()),
        ("a.yaml".to_owned(), NODE.to_owned() + "
tests:
  - name: typing error
    imputs: { id: x }
  - { name: other output, inputs: { id: x }, response: { status: 200, json: { a: 1 } }, output: { a: 2 } }
  - { name: other path, inputs: { id: x }, request: { method: POST, url: /tickets/y/close }, response: { status: 200 }, output: {} }
  - { name: no failure, inputs: { id: x }, response: { status: 200, json: {} }, failed: { class: rejected, message: no } }
  - { name: nothing expected, inputs: { id: x }, response: { status: 200 } }
"),
    ])
    .unwrap();
    let reports = run_tests(catalog.get("ticket.close").unwrap(), None);
    let shown: Vec<String> = reports
        .iter()
        .map(|report| format!("{}: {}", report.name, report.problem.as_deref().unwrap_or("ok")))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    typing error: this is not a test: unknown field `imputs`, expected one of `name`, `inputs`, `call`, `connection`, `phase`, `request`, `response`, `output`, `failed`, `unknown`
    other output: output: expected {"a":2}, not {"a":1}
    other path: url: expected "/tickets/y/close", not "/tickets/x/close"
    no failure: the outcome is another: succeeded with {}
    nothing expected: a test expects exactly one of `output`, `failed` and `unknown`
    "#);
}

#[test]
fn the_examples_of_the_rules_on_nodes_have_their_findings() {
    for rule in workflow::Rule::all().filter(|rule| rule.about == workflow::About::Node) {
        let file = if rule.id == "duplicate-product" { "own/connection.yaml" } else { "own.yaml" };
        let load = |text: String| load([(file.to_owned(), text)]).map(drop);
        let wrong = load(rule.wrong.text()).expect_err(rule.id);
        let found = wrong.iter().flat_map(|findings| findings.findings());
        found.for_each(|finding| assert_eq!(finding.rule, rule, "{}", finding.message));
        load(rule.right.text()).unwrap_or_else(|findings| panic!("{rule}: {}", findings[0]));
    }
}
