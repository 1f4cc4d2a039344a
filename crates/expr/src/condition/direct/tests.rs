//! Whatever is evaluated directly gives what CEL gives.

use std::sync::Arc;

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Condition, Conditions};
use super::{Direct, share};
use crate::Scope;

fn scope() -> Scope {
    Scope::new(json!({
        "a": {
            "int": 7, "zero": 0, "most": i64::MAX, "beyond": u64::MAX, "float": 1.5, "whole": 7.0,
            "text": "sshd", "number": "7", "empty": "", "yes": true, "no": false, "null": null,
            "list": ["sshd", "syslog"], "mixed": [1, "1", null, true, 2.0, ["x"]], "ints": [1, 7, 9], "none": [],
            "object": { "text": "x", "sshd": 1, "null": null }, "objects": [{ "id": 7 }, { "id": "sshd" }, { "text": "x" }],
        },
        "status": "ok",
    }))
}

/// What is evaluated directly; none: CEL has to decide.
fn directly(source: &str) -> Option<Value> {
    let (condition, scope) = (Condition::compile(source).unwrap(), scope());
    let value = condition.direct(&scope)?.into_json()?;
    assert_eq!(condition.eval_by_cel(&scope), Ok(value.clone()), "{source}");
    assert_eq!(condition.eval(&in_parts(&scope)), Ok(value.clone()), "{source}");
    Some(value)
}

fn paths() -> impl Strategy<Value = String> {
    let names = [
        "int",
        "zero",
        "most",
        "beyond",
        "float",
        "whole",
        "text",
        "number",
        "empty",
        "yes",
        "no",
        "null",
        "list",
        "mixed",
        "ints",
        "none",
        "object",
        "objects",
        "missing",
        "object.text",
        "object.null",
        "text.x",
    ];
    prop_oneof![
        8 => prop::sample::select(names.to_vec()).prop_map(|name| format!("a.{name}")),
        1 => Just("status".to_owned()),
        1 => Just("missing.x".to_owned()),
    ]
}

fn literals() -> impl Strategy<Value = String> {
    let all = [
        "0",
        "7",
        "-1",
        "9223372036854775807",
        "1.5",
        "7u",
        "'sshd'",
        "'7'",
        "''",
        "'x'",
        "true",
        "false",
        "null",
        "[]",
    ];
    prop::sample::select(all.to_vec()).prop_map(str::to_owned)
}

fn expressions() -> impl Strategy<Value = String> {
    let leaf =
        prop_oneof![3 => paths(), 2 => literals(), 1 => Just("e".to_owned()), 1 => Just("e.id".to_owned())];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let operators = ["&&", "||", "==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/"];
        let functions = ["startsWith", "endsWith", "contains"];
        prop_oneof![
            6 => (inner.clone(), prop::sample::select(operators.to_vec()), inner.clone())
                .prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
            2 => (inner.clone(), prop::sample::select(functions.to_vec()), inner.clone())
                .prop_map(|(left, function, right)| format!("({left}).{function}({right})")),
            1 => inner.clone().prop_map(|value| format!("!({value})")),
            1 => inner.clone().prop_map(|value| format!("size({value})")),
            1 => inner.clone().prop_map(|value| format!("string({value})")),
            1 => inner.clone().prop_map(|value| format!("({value}).matches('^[a-z]+$')")),
            1 => paths().prop_map(|path| format!("has({path})")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} in [{b}, {c}])")),
            2 => (paths(), prop::sample::select(vec!["exists", "all", "exists_one"]), inner)
                .prop_map(|(list, each, fulfils)| format!("{list}.{each}(e, {fulfils})")),
        ]
    })
}

/// Expressions as people write them: with the kinds that belong together, and mostly of what is there.
fn sensible() -> impl Strategy<Value = String> {
    let of =
        |all: &[&str]| prop::sample::select(all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
    let texts = of(&[
        "a.text",
        "a.number",
        "a.empty",
        "status",
        "a.object.text",
        "'sshd'",
        "'x'",
        "'7'",
        "string(a.int)",
        "a.missing",
    ]);
    let numbers =
        of(&["a.int", "a.zero", "a.most", "a.float", "0", "7", "a.int * 2 - 7", "size(a.list)", "a.beyond"]);
    let lists = of(&["a.list", "a.ints", "a.mixed", "a.none", "['sshd', a.text]", "[7, a.int]", "a.object"]);
    let scalars = prop_oneof![texts.clone(), numbers.clone(), of(&["a.yes", "null", "a.null", "true"])];
    let leaf = prop_oneof![
        (scalars.clone(), of(&["==", "!="]), scalars.clone()).prop_map(|(a, by, b)| format!("{a} {by} {b}")),
        (numbers.clone(), of(&["<", "<=", ">", ">="]), numbers)
            .prop_map(|(a, by, b)| format!("{a} {by} {b}")),
        (scalars.clone(), lists.clone()).prop_map(|(value, list)| format!("{value} in {list}")),
        (texts.clone(), of(&["startsWith", "endsWith", "contains"]), texts.clone())
            .prop_map(|(text, function, part)| format!("{text}.{function}({part})")),
        texts.clone().prop_map(|text| format!("{text}.matches('^s+h?d$')")),
        (lists, of(&["exists", "all"]), scalars)
            .prop_map(|(list, each, value)| format!("{list}.{each}(e, e == {value})")),
        of(&["has(a.text)", "has(a.missing)", "has(a.object.text)", "has(a.text.x)", "a.yes", "a.no"]),
    ];
    leaf.prop_recursive(3, 12, 2, move |inner| {
        prop_oneof![
            (inner.clone(), of(&["&&", "||"]), inner.clone())
                .prop_map(|(a, by, b)| format!("({a} {by} {b})")),
            inner.clone().prop_map(|value| format!("!({value})")),
            (inner.clone(), texts.clone(), texts.clone())
                .prop_map(|(is, a, b)| format!("({is} ? {a} + {b} : {b}) == {a}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_evaluated_directly_is_what_cel_gives(source in prop_oneof![expressions(), sensible()]) {
        if Condition::compile(&source).is_ok() {
            directly(&source);
        }
    }

    #[test]
    fn together_conditions_say_what_cel_says_of_each(
        sources in prop::collection::vec(prop_oneof![1 => expressions(), 2 => sensible()], 1..8),
        other in alerts(),
    ) {
        let written = sources.iter().flat_map(|source| [source.clone(), format!("!({source})")]);
        let conditions: Vec<Condition> = written.filter_map(|source| Condition::compile(&source).ok()).collect();
        let together = Conditions::new(conditions.clone());
        for scope in [scope(), in_parts(&other), other] {
            for (condition, verdict) in conditions.iter().zip(together.hold(&scope)) {
                assert_eq!(verdict, condition.holds_by_cel(&scope), "{} of {scope:?}", condition.source());
                assert_eq!(verdict, condition.holds(&scope), "{} of {scope:?}", condition.source());
            }
        }
    }
}

/// The same data, of which each part may belong to others as well.
fn in_parts(whole: &Scope) -> Scope {
    let mut scope = Scope::new(json!({ "status": "ok" }));
    for (name, value) in whole.get(&["a"]).and_then(Value::as_object).into_iter().flatten() {
        scope.share(&["a", name], Arc::new(value.clone()));
    }
    scope
}

/// Alerts in which anything may stand anywhere.
fn alerts() -> impl Strategy<Value = Scope> {
    let usual = scope().get(&["a"]).and_then(Value::as_object).unwrap().clone();
    let values =
        prop::option::weighted(0.9, prop::sample::select(usual.values().cloned().collect::<Vec<_>>()));
    prop::collection::vec((values, any::<bool>()), usual.len()).prop_map(move |values| {
        let mut alert = usual.clone();
        for (name, (value, is_usual)) in usual.keys().zip(values) {
            match value {
                _ if is_usual => {}
                Some(value) => drop(alert.insert(name.clone(), value)),
                None => drop(alert.remove(name)),
            }
        }
        Scope::new(json!({ "a": alert, "status": "ok" }))
    })
}

/// What is shared between these, and how often each of them asks for it.
fn shared(sources: &[&str]) -> String {
    let conditions: Vec<Condition> =
        sources.iter().map(|source| Condition::compile(source).unwrap()).collect();
    let (shared, _) = share(conditions.iter().map(|condition| condition.direct.as_deref()));
    let mut shown = String::new();
    for (source, direct) in sources.iter().zip(shared) {
        shown.push_str(&format!("{source}: {}\n", show(&direct.unwrap())));
    }
    shown
}

fn show(direct: &Direct) -> String {
    let parts: Vec<String> = direct.parts().into_iter().map(show).collect();
    match direct {
        Direct::Shared(number, shared) => format!("#{number}={}", show(shared)),
        Direct::Path(path) => path.join("."),
        Direct::Literal(value) => value.to_string(),
        Direct::Binary(binary, _) => format!("{binary:?}({})", parts.join(", ")),
        Direct::OneOf(..) => format!("OneOf({})", parts.join(", ")),
        Direct::Each { fulfils, .. } => format!("Each({}, {})", parts.join(", "), show(fulfils)),
        Direct::Element(outer, path) => format!("element {outer} {}", path.join(".")),
        Direct::Has(_, name) => format!("Has({}, {name})", parts.join(", ")),
        Direct::Not(_) | Direct::If(_) | Direct::Matches(..) | Direct::Size(_) | Direct::ToText(_) => {
            parts.join(", ")
        }
    }
}

#[test]
fn what_conditions_have_in_common_is_shared() {
    let shown = shared(&[
        "a.int >= 7 && 'sshd' in a.list && a.text != 'x'",
        "a.int >= 7 && 'sshd' in a.list && a.text != 'y'",
        "a.int < 3 || has(a.text)",
        "a.list.exists(e, e == a.text)",
    ]);
    assert_snapshot!(shown, @r#"
    a.int >= 7 && 'sshd' in a.list && a.text != 'x': And(#2=And(GreaterOrEqual(#0=a.int, 7), In("sshd", #1=a.list)), NotEqual(#3=a.text, "x"))
    a.int >= 7 && 'sshd' in a.list && a.text != 'y': And(#2=And(GreaterOrEqual(#0=a.int, 7), In("sshd", #1=a.list)), NotEqual(#3=a.text, "y"))
    a.int < 3 || has(a.text): Or(Less(#0=a.int, 3), Has(a, text))
    a.list.exists(e, e == a.text): Each(#1=a.list, Equal(element 0 , a.text))
    "#);
}

#[test]
fn the_common_forms_are_evaluated_directly() {
    for source in [
        r#"a.int >= 7 && "sshd" in a.list && a.text != "x""#,
        r#"has(a.object) && has(a.object.sshd) && a.text.matches("^[a-z]+$")"#,
        r#"a.text in ["x", "sshd"] || a.missing == 1"#,
        r#"a.list.exists(e, e.startsWith("ss")) && a.ints.all(e, e > 0)"#,
        r#"status == "ok" && !a.no && size(a.list) == 2"#,
        r#"a.int + 3 == 10 ? a.list : a.none"#,
        r#""level " + string(a.int) + a.text"#,
        r#"a.objects.exists(e, e.id == "sshd")"#,
    ] {
        assert!(directly(source).is_some(), "{source}");
    }
}

#[test]
fn what_is_unusual_is_left_to_cel() {
    for source in [
        "a.missing == 1",
        "a.int == 1.5",
        "a.whole == 7",
        "a.most + 1",
        "a.text > 3",
        "a.list == a.list",
        "a.text && a.yes",
        "a.list.map(e, e)",
        "a.text.matches('(')",
    ] {
        assert_eq!(directly(source), None, "{source}");
    }
}
