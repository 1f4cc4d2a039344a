//! Expressions and data that somebody hostile wrote: none may end the process, and none may take it long.
//!
//! Tests run in threads with small stacks, so a parser that recurses without a guard ends them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Condition, Conditions, Language, Scope, Template, ValueTemplate};

/// What one expression may take, without optimisation and on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);

#[expect(clippy::disallowed_methods, reason = "a test that looks at the clock, and not the crate")]
fn in_time<T>(source: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    let took = start.elapsed();
    let source: String = source.chars().take(80).collect();
    assert!(took < LONGEST, "{took:?} for {source}");
    result
}

/// An alert of 1 MiB: many numbers, many texts, one long text.
fn large() -> Scope {
    Scope::new(json!({ "alert": {
        "numbers": vec![1; 100_000],
        "texts": (0..50_000).map(|n| n.to_string()).collect::<Vec<_>>(),
        "text": "'".repeat(500_000),
        "pattern": "(a{50}){20}",
        "few": [1, 2, 3],
    } }))
}

fn condition(source: &str) -> String {
    let evaluated = in_time(source, || Condition::compile(source).map(|condition| condition.eval(&large())));
    match evaluated {
        Ok(Ok(value)) => value.to_string().chars().take(20).collect(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    }
}

fn template(source: &str) -> String {
    match in_time(source, || Template::compile(source).map(|template| template.eval(&large()))) {
        Ok(Ok(value)) => value.to_string().chars().take(20).collect(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn cel_that_makes_much_of_much_is_refused_before_it_runs() {
    let sum = format!("alert.text{}", " + alert.text".repeat(100));
    let long = format!("alert.numbers.all(x, x == 1{})", " && x == 1".repeat(70));
    for (source, expected) in [
        ("alert.numbers.exists(x, alert.numbers.exists(y, x + y == 3))", "lists inside each other"),
        ("alert.numbers.map(x, alert.text + alert.text)", "too much text"),
        ("alert.texts.exists(x, alert.text.contains(x))", "too much text"),
        ("alert.texts.exists(x, x.matches('(a{50}){20}'))", "too long for it"),
        ("alert.texts.exists(x, x.matches(alert.pattern))", "too long for it"),
        (&long, "too long for it"),
        (&sum, "too much text"),
        ("[alert.text, alert.text, alert.text]", "more than 1 MiB"),
        ("alert.few.map(x, alert.few.map(y, alert.text))", "more than 1 MiB"),
    ] {
        let result = condition(source);
        assert!(result.contains(expected), "{source}: {result}");
    }
}

#[test]
fn cel_over_a_large_alert_that_does_little_is_evaluated() {
    assert_eq!(condition("alert.numbers.exists(x, x == 2)"), "false");
    assert_eq!(condition("alert.texts.exists(x, x == '49999')"), "true");
    assert_eq!(condition("alert.text.contains('x') || size(alert.text + alert.text) == 1000000"), "true");
    assert_eq!(condition("'x' in alert.texts"), "false");
}

#[test]
fn conditions_together_are_bounded_as_each_is_alone() {
    let sources = [
        "alert.few.exists(x, alert.few.exists(y, x + y == 3))",
        "alert.numbers.exists(x, alert.numbers.exists(y, x + y == 3))",
        "alert.texts.exists(x, alert.text.contains(x))",
        "alert.texts.exists(x, x == '49999')",
    ];
    let conditions = sources.map(|source| Condition::compile(source).unwrap());
    let together = Conditions::new(conditions.to_vec()).hold(&large());
    for (condition, holds) in conditions.iter().zip(&together) {
        assert_eq!(*holds, condition.holds(&large()), "{}", condition.source());
    }
    assert_eq!(together.iter().filter(|holds| holds.is_err()).count(), 2);
}

#[test]
fn cel_that_is_nested_without_end_is_refused() {
    let repeated = |part: &str, end: &str| part.repeat(2000 / part.len()) + end;
    for source in [
        repeated("!", "true"),
        repeated("-", "1"),
        repeated("- ", "1"),
        repeated("!!", "x"),
        repeated("(", "1"),
        repeated("[", "1"),
        repeated("{1:", "1"),
        repeated("x.", "x"),
        repeated("x?", ".x"),
        repeated("true ? 1 : ", "1"),
        repeated("true ? ", "1"),
        repeated("1 + ", "1"),
        repeated("1 * -", "1"),
        repeated("a && ", "a"),
        repeated("a || ", "a"),
        repeated("a < ", "a"),
        repeated("a in ", "a"),
        repeated("f(", "1"),
        repeated("has(", "a.b"),
        repeated("a[", "0"),
        repeated("a.map(x, ", "x"),
        repeated("\"", ""),
        repeated("'''", ""),
        repeated("\\", ""),
        repeated("r'", ""),
        repeated("`", ""),
        repeated("//", ""),
        repeated("\n", "1"),
        repeated("9", ""),
        repeated("0x", ""),
        repeated("1e9", ""),
        repeated("é", ""),
        repeated("\0", ""),
        "!".repeat(1_000_000),
        "(".repeat(1_000_000),
    ] {
        condition(&source);
    }
}

#[test]
fn templates_that_repeat_without_end_are_refused() {
    let each = |list: &str, inner: &str| format!("{{{{#each {list}}}}}{inner}{{{{/each}}}}");
    let twice = each("alert.numbers", &each("@root.alert.numbers", ""));
    let many = each("alert.numbers", &"{{#if this}}{{/if}}".repeat(14));
    let beyond = each("alert.numbers", "{{#if (eq (json @root.alert) 1)}}{{/if}}");
    let above = each("alert.numbers", "{{#if (len ../alert.text)}}{{/if}}");
    for source in [&twice, &many, &beyond, &above] {
        let result = template(source);
        assert!(result.contains("too long for it"), "{source}: {result}");
    }
    let thrice = each("alert.few", &each("@root.alert.few", &each("@root.alert.few", "x")));
    assert_eq!(template(&thrice), "more than two `each` stand inside each other");
    assert_eq!(template(&each("alert.few", "{{ this }}")), "\"123\"");
}

#[test]
fn helpers_that_make_text_longer_have_an_end() {
    for helper in ["json", "shell", "urlencode", "base64", "upper"] {
        let (open, close) = (format!("({helper} ").repeat(12), ")".repeat(12));
        let result = template(&format!("{{{{ {helper} {open}alert.text{close} }}}}"));
        assert!(
            result.contains("more than 1 MiB") || ["upper", "json"].contains(&helper),
            "{helper}: {result}"
        );
    }
    let (open, close) = ("(concat ".repeat(6), " alert.numbers alert.numbers)".repeat(6));
    for source in [
        "{{ concat alert.texts alert.texts alert.texts }}".to_owned(),
        format!("{{{{ len {open}alert.numbers{close} }}}}"),
        "{{ merge alert a=alert.text b=alert.text c=alert.text }}".to_owned(),
    ] {
        assert!(template(&source).contains("more than 1 MiB"), "{source}");
    }
    let repeated = "{{#each alert.few}}{{ len (concat this this) }}{{/each}}";
    assert_eq!(template(repeated), "the helper `concat` cannot stand inside `each`");
    assert!(template(&"{{ alert.text }}".repeat(3)).contains("longer than 1 MiB"));
}

#[test]
fn templates_that_are_nested_without_end_are_refused() {
    let repeated = |part: &str, end: &str| part.repeat(8000 / part.len()) + end;
    for source in [
        repeated("{{", "}}"),
        repeated("{{{", "}}}"),
        repeated("{{{{", "}}}}"),
        repeated("{{#", "}}"),
        repeated("{{#if a}}", ""),
        repeated("{{else}}", ""),
        "{{#if a}}".to_owned() + &repeated("{{else if a}}", "{{/if}}"),
        "{{#if a}}".to_owned() + &"{{else if a}}".repeat(190) + "{{/if}}",
        repeated("{{/if}}", ""),
        repeated("{{!", ""),
        repeated("{{!--", ""),
        repeated("{{>a}}", ""),
        repeated("{{*a}}", ""),
        repeated("{{a ", "}}"),
        "{{a ".to_owned() + &"(a ".repeat(16) + &")".repeat(16) + "}}",
        "{{".to_owned() + &"a.".repeat(4000) + "a}}",
        "{{".to_owned() + &"../".repeat(2600) + "a}}",
        "{{a ".to_owned() + &"\"".repeat(8000) + "}}",
        "{{a ".to_owned() + &"b=1 ".repeat(2000) + "}}",
        "{{a ".to_owned() + &"1 ".repeat(4000) + "}}",
        "{{a [".to_owned() + &"[".repeat(8000) + "}}",
        "{{~".repeat(190) + &"~}}".repeat(190),
        repeated("\\{{", ""),
        repeated("}}", "{{"),
        "{{ é".repeat(190),
        "{{#each a as |b|}}".repeat(16) + &"{{/each}}".repeat(16),
        "{".repeat(1_000_000),
    ] {
        template(&source);
    }
}

#[test]
fn many_leaves_that_each_copy_the_alert_have_an_end() {
    let value = json!(vec![Value::from("{{ alert.text }}"); 10_000]);
    let values = ValueTemplate::compile(&value, Language::Text).unwrap();
    let error = in_time("many leaves", || values.eval(&large())).unwrap_err();
    assert_eq!(error.to_string(), "the values come to more than 8 MiB");
}
