//! The table of made-up figures.

use super::*;
use crate::machine::Machine;
use crate::results::{Parked, Window};

fn window(work: Work, concurrency: usize, per_second: f64) -> Window {
    let ms = concurrency as f64 * 1000.0 / per_second;
    let done = per_second as usize;
    Window { work, concurrency, done, refused: 0, per_second, p50_ms: ms, p95_ms: 2.0 * ms, p99_ms: 3.0 * ms }
}

fn system(name: &'static str, factor: f64) -> Measured {
    let windows = CONCURRENCY
        .into_iter()
        .flat_map(|concurrency| [(100.0, concurrency), (120.0, concurrency), (500.0, concurrency)])
        .map(|(rate, concurrency)| window(Work::B, concurrency, rate * factor));
    Measured { name, version: "1.2.3".to_owned(), windows: windows.collect(), ..Measured::default() }
}

pub(crate) fn results() -> Results {
    let machine = Machine {
        cpu: "A processor".to_owned(),
        cores: 2,
        memory_gib: 24,
        kernel: "6.18".to_owned(),
        disk: "ext4".to_owned(),
        flush_us: 40.0,
        date: "22 November 2026".to_owned(),
    };
    let mut ours = system("Portcullis", 30.0);
    ours.start_ms = vec![40.0, 60.0];
    ours.idle_bytes = vec![12e6];
    ours.crashes = vec![Crash { accepted: 100, lost: 0, asks: 2, doubled: 0 }; 2];
    ours.not_kept = Some(0);
    ours.parked = Some(Parked {
        runs: 50,
        bytes_per_run: 230.0,
        start_ms: 61.0,
        resumed: 50,
        resumed_per_second: 800.0,
    });
    let mut theirs = system("Other", 1.0);
    theirs.start_ms = vec![8000.0];
    theirs.troubles = vec!["it would not start".to_owned()];
    Results { machine, rounds: 3, systems: vec![ours, theirs] }
}

#[test]
fn medians_and_ratios_stand_beside_each_other() {
    insta::assert_snapshot!(terminal(&results()), @"");
}

#[test]
fn markdown_has_the_same_cells() {
    let text = markdown(&results());
    assert!(text.contains("| (b) webhook, condition, step, c = 16 | 3600 | 120 (30x) |"), "{text}");
    assert!(text.contains("| work | Portcullis | Other |\n| --- | ---: | ---: |\n"), "{text}");
}

#[test]
fn ratios_are_as_exact_as_they_are_worth() {
    assert_eq!(
        (ratio(10.0, 4.0), ratio(104.2, 1.0), ratio(1.0, 0.0)),
        ("2.5x".into(), "104x".into(), "-".into())
    );
}
