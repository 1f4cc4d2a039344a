use insta::assert_snapshot;
use serde_json::json;

use super::*;

fn scope() -> Scope {
    Scope::new(json!({
        "alert": { "rule": { "level": 10, "groups": ["sshd", "attack"] }, "data": { "srcip": "203.0.113.9" } },
        "steps": { "host": { "name": "web-01", "groups": ["default"] }, "reputation": { "malicious": 12 } },
        "status": { "block": "ok" },
    }))
}

fn check(source: &str) -> String {
    let compiled = match Condition::compile(source) {
        Ok(compiled) => compiled,
        Err(error) => return format!("{:?} {error}", error.at),
    };
    let scope = scope();
    if let Some(value) = compiled.direct(&scope).and_then(Found::into_json) {
        assert_eq!(compiled.eval_by_cel(&scope), Ok(value), "{source}");
    }
    match compiled.eval(&scope) {
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn decisions_read_the_alert_and_the_steps() {
    assert_eq!(check(r#"alert.rule.level >= 10 && "attack" in alert.rule.groups"#), "true");
    assert_eq!(check("'domain-controllers' in steps.host.groups"), "false");
    assert_eq!(check("has(steps.reputation.malicious) ? steps.reputation.malicious : 0"), "12");
    assert_eq!(check("has(steps.reputation.harmless) ? steps.reputation.harmless : 0"), "0");
    assert_eq!(check("alert.rule.groups.exists(g, g.startsWith('ss'))"), "true");
    assert_eq!(check("status.block == 'ok'"), "true");
}

#[test]
fn results_are_json() {
    assert_eq!(check("{'ip': alert.data.srcip, 'levels': [alert.rule.level, 1.5]}"), {
        r#"{"ip":"203.0.113.9","levels":[10,1.5]}"#
    });
}

#[test]
fn a_path_that_leads_nowhere_is_an_error_that_says_what_is_there() {
    assert_snapshot!(check("steps.host.nme == 'x'"), @"`steps.host.nme` is missing: `steps.host` has groups, name, in `steps.host.nme == 'x'`");
    assert_snapshot!(check("step.host.name == 'x'"), @"there is no root or function `step`, in `step.host.name == 'x'`");
}

#[test]
fn what_is_not_cel_is_refused_with_its_place() {
    assert_snapshot!(check("alert.rule.level >> 3"), @"Some(18..19) this is not a CEL expression: `>` cannot stand here");
    assert_snapshot!(check("{{ alert.rule.level }}"), @"Some(0..22) a decision takes no braces");
}

#[test]
fn a_condition_that_is_no_boolean_is_an_error() {
    let error = Condition::compile("alert.rule.level").unwrap().holds(&scope()).unwrap_err();
    assert_snapshot!(error, @"`alert.rule.level` has to be true or false, not int");
}

#[test]
fn references_name_what_is_read_and_leave_out_bound_names() {
    let compiled =
        Condition::compile("alert.rule.groups.exists(g, g == steps.host.name) && has(steps.a.b)").unwrap();
    let read: Vec<String> = compiled.references().iter().map(Reference::text).collect();
    assert_eq!(read, ["alert.rule.groups", "steps.host.name", "steps.a.b"]);
    assert!(compiled.references()[2].is_optional);
}

#[test]
fn a_function_that_does_not_exist_is_found_before_anything_runs() {
    assert_snapshot!(check("alert.data.srcip.startWith('10.')"), @"Some(17..26) there is no function `startWith`");
    assert_eq!(check("size(alert.rule.groups) + int('2')"), "4");
}

#[test]
fn comprehensions_inside_each_other_take_short_lists_only() {
    let compiled = Condition::compile("alert.l.exists(x, alert.l.exists(y, x == y + 1))").unwrap();
    let scope = |length: usize| Scope::new(json!({ "alert": { "l": vec![0; length] } }));
    assert_eq!(compiled.holds(&scope(100)), Ok(false));
    assert_snapshot!(compiled.holds(&scope(1001)).unwrap_err(), @"`alert.l.exists(x, alert.l.exists(y, x == y + 1))` goes through lists inside each other, which takes lists of 1000 at most");
}

#[test]
fn size_and_nesting_are_bounded() {
    assert!(Condition::compile(&"a".repeat(3000)).is_err());
    let nested = "[1].map(a, [1].map(b, [1].map(c, c)))";
    assert_snapshot!(check(nested), @"None more than two of all, exists, filter and map stand inside each other");
    assert!(Condition::compile(&format!("{}1{}", "(".repeat(500), ")".repeat(500))).is_err());
    for source in [
        "!".repeat(2000) + "true",
        "-".repeat(2000) + "1",
        "true?1:".repeat(280) + "1",
        "1".to_owned() + &"+1".repeat(1000),
    ] {
        let _ = Condition::compile(&source).map(|compiled| compiled.eval(&scope()));
    }
}
