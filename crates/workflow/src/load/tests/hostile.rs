//! Files that somebody hostile wrote: none may end the process, and none may take it long.

use std::time::{Duration, Instant};

use super::shipped;
use crate::{Diagnostics, load};

/// What one file may take, without optimisation and on a busy machine.
const LONGEST: Duration = Duration::from_secs(30);
const STEP: &str = "uses: set, with: { level: alert.rule.level } }\n";

#[expect(clippy::disallowed_methods, reason = "a test that looks at the clock, and not the crate")]
fn findings(text: &str) -> Diagnostics {
    let start = Instant::now();
    let (_, findings) = load("playbook.yaml", text, &shipped());
    let shown = findings.render(false);
    let took = start.elapsed();
    let text: String = text.chars().take(60).collect();
    assert!(took < LONGEST && shown.len() < 1_000_000, "{took:?}, {} bytes for {text}", shown.len());
    findings
}

fn refused(text: &str, expected: &str) {
    let findings = findings(text);
    let shown = findings.to_string();
    let start: String = shown.chars().take(2000).collect();
    assert!(findings.has_errors() && shown.contains(expected), "{start}");
}

#[test]
fn aliases_that_multiply_are_refused() {
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b]\n";
    refused(bomb, "anchor");
    refused("a: *a\n", "begins with `*`");
    refused("a: &a [*a]\n", "anchor");
    refused("<<: { a: 1 }\n", "merge keys");
}

#[test]
fn what_is_nested_without_end_is_refused() {
    for (part, times) in [
        ("[", 1_000_000),
        ("{", 1_000_000),
        ("[[{", 300_000),
        ("{a: ", 250_000),
        ("- ", 500_000),
        ("? ", 500_000),
        ("- - ? ", 150_000),
        ("[a, ", 250_000),
        ("!", 1_000_000),
        ("!a ", 300_000),
        ("&a ", 300_000),
        ("*a ", 300_000),
        ("\"", 1_000_000),
        ("'", 1_000_001),
        ("a: ", 300_000),
        ("a:\n", 300_000),
        (": ", 500_000),
        ("|\n", 500_000),
        ("> ", 500_000),
        ("%TAG ! x\n", 100_000),
        ("---\n", 250_000),
        ("...\n", 250_000),
        ("#", 1_000_000),
        ("\t", 1_000_000),
        ("\r", 1_000_000),
        ("\n", 1_000_000),
        (" ", 1_000_000),
        (",", 1_000_000),
        ("]", 1_000_000),
        ("\0", 1_000_000),
        ("\u{feff}", 300_000),
        ("\u{2028}", 300_000),
        ("é", 500_000),
        ("{{", 500_000),
        ("@`", 500_000),
    ] {
        let text = part.repeat(times);
        assert!(findings(&text).has_errors(), "{part:?}");
    }
    let stairs: String = (0..1400).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(findings(&stairs).has_errors());
    let levels =
        format!("workflow: deep\nvars: {{ a: {}1{} }}\nsteps: []\n", "[".repeat(100), "]".repeat(100));
    refused(&levels, "32 levels");
}

#[test]
fn what_is_too_large_is_refused() {
    refused(&"a".repeat(10_000_000), "more than 1 MiB");
    refused(&format!("workflow: x\nvars: {{ a: [{}] }}\n", "1,".repeat(150_000)), "100,000 values");
    refused(&format!("? {}\n: [{}]\n", "k".repeat(500_000), "1,".repeat(90_000)), "keys are too long");
    let steps: String = (0..10_000).map(|n| format!("  - {{ id: s{n}, {STEP}")).collect();
    refused(&format!("workflow: x\nsteps:\n{steps}"), "1 to 1000 steps");
    let handlers = format!("workflow: x\nsteps:\n  - {{ id: a, {STEP}on_failure:\n{steps}");
    refused(&handlers, "`on_failure` has 1 to 1000 steps");
}

#[test]
fn a_file_with_very_many_mistakes_shows_the_first_of_them() {
    let words = "no, ".repeat(80_000);
    let findings = findings(&format!("workflow: x\nvars: {{ a: [{words}] }}\nsteps:\n  - {{ id: a, {STEP}"));
    assert_eq!((findings.findings().len(), findings.left_out()), (100, 79_900));
    let same = "a: 1\n".repeat(100_000);
    assert!(self::findings(&same).has_errors());
    let unknown: String = (0..900).map(|n| format!("  - {{ id: s{n}, uses: st{n} }}\n")).collect();
    refused(&format!("workflow: x\nsteps:\n{unknown}"), "800 more findings");
}

#[test]
fn a_playbook_as_large_as_it_may_be_is_checked() {
    // Every step reads what lies before it, and half of them can be skipped.
    let steps: String = (1..1000)
        .map(|n| {
            let (before, condition) = (n - 1, if n % 2 == 0 { ", if: status.s0 == 'ok'" } else { "" });
            format!("  - {{ id: s{n}{condition}, uses: set, with: {{ a: \"status.s{before} == 'ok' ? steps.s0.a : 0\" }} }}\n")
        })
        .collect();
    let text =
        format!("workflow: x\nsteps:\n  - {{ id: s0, uses: set, with: {{ a: alert.rule.level }} }}\n{steps}");
    let large = findings(&text);
    assert!(!large.has_errors(), "{large}");
    let all: Vec<String> = (0..998).map(|n| format!("s{n}")).collect();
    let all = all.join(", ");
    let text = text.replace("  - { id: s998", &format!("  - {{ needs: [{}], id: s998", all));
    let large = findings(&text);
    assert!(!large.has_errors(), "{large}");
}
