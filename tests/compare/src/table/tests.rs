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
    insta::assert_snapshot!(terminal(&results()), @"
    22 November 2026: A processor with 2 cores, 24 GiB, Linux 6.18; ext4, an fdatasync takes 40 us.
    Portcullis 1.2.3; Other 1.2.3.
    Rounds: 3; the tables show medians.
    Not measured, Other: it would not start

    Completed runs in a second (in brackets: Portcullis / this one)
      work                                  Portcullis      Other
      (b) webhook, condition, step, c = 1         3600  120 (30x)
      (b) webhook, condition, step, c = 16        3600  120 (30x)
      (b) webhook, condition, step, c = 64        3600  120 (30x)

    From the alert to the answer that it is done, ms: p50 / p95 / p99
      work                                          Portcullis              Other
      (b) webhook, condition, step, c = 1   0.28 / 0.56 / 0.83     8.33 / 17 / 25
      (b) webhook, condition, step, c = 16    4.44 / 8.89 / 13    133 / 267 / 400
      (b) webhook, condition, step, c = 64        18 / 36 / 53  533 / 1067 / 1600

    What it takes, and what is left
                                            Portcullis  Other
      start: exec to the first 200               50 ms  8.0 s
      start with the parked runs                 61 ms      -
      memory: idle                               12 MB      -
      memory: most under load                        -      -
      memory: a parked run                      0.2 KB      -
      disk: a run of (c)                             -      -
      (d) parked, went on after a restart     50 of 50      -
      (d) runs that go on in a second              800      -
      kill -9 under (c): accepted                  200      -
      kill -9 under (c): lost                        0      -
      kill -9 under (c): contained twice             0      -
      kill -9 under (c): a person is asked           4      -
      answered as done and not in its list           0      -
    ");
}

#[test]
fn markdown_has_the_same_cells() {
    let text = markdown(&results());
    assert!(text.contains("| (b) webhook, condition, step, c = 16 | 3600 | 120 (30x) |"), "{text}");
    assert!(text.contains("| work | Portcullis | Other |\n| --- | ---: | ---: |\n"), "{text}");
}

#[test]
fn a_target_is_met_at_the_best_of_both() {
    let mut results = results();
    let pure =
        |rate: f64| CONCURRENCY.map(|concurrency| window(Work::Pure, concurrency, rate * concurrency as f64));
    for (system, rate) in results.systems.iter_mut().zip([3000.0, 100.0]) {
        system.windows = pure(rate).into();
    }
    assert!(targets(&results).is_none());
    results.systems[1].name = "Restate";
    let rows = targets(&results).unwrap().rows;
    assert_eq!(rows, [["(b) with six pure steps, Restate", "192000", "6400", "30x", "30x", "yes"]]);
    results.systems[1].name = "DBOS";
    assert_eq!(targets(&results).unwrap().rows[0][4..], ["60x", "no"]);
}

#[test]
fn a_page_keeps_what_stands_around_its_tables() {
    let page = format!("before\n{BEGIN}\n\nold\n{END}\nafter\n");
    let page = into_page(&page, "| new |\n");
    assert_eq!(page, format!("before\n{BEGIN}\n\n| new |\n\n{END}\nafter\n"));
    assert_eq!(into_page(&page, "| new |\n"), page);
    assert_eq!(into_page("no place", "| new |\n"), "| new |\n");
}

#[test]
fn ratios_are_as_exact_as_they_are_worth() {
    assert_eq!(
        (ratio(10.0, 4.0), ratio(104.2, 1.0), ratio(1.0, 0.0)),
        ("2.5x".into(), "104x".into(), "-".into())
    );
}
