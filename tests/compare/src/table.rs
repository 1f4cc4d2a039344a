//! The table: everyone's medians, and how many times that of the peer ours is.

use std::fmt::Write as _;

use crate::results::{Crash, Measured, Results, median};
use crate::work::{CONCURRENCY, Work};

const WORKS: [Work; 5] = [Work::A, Work::B, Work::Pure, Work::Http, Work::C];

const BEGIN: &str = "<!-- measured -->";
const END: &str = "<!-- end of measured -->";
/// How many times what a peer does we want to do.
const TARGETS: [(Work, &str, f64); 8] = [
    (Work::Pure, "n8n", 300.0),
    (Work::Pure, "n8n (legacy)", 100.0),
    (Work::Pure, "Restate", 30.0),
    (Work::Pure, "DBOS", 60.0),
    (Work::Http, "n8n", 80.0),
    (Work::Http, "Restate", 8.0),
    (Work::Http, "DBOS", 12.0),
    (Work::Http, "Node-RED", 5.0),
];

struct Table {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// The tables for a terminal: aligned columns.
pub(crate) fn terminal(results: &Results) -> String {
    let mut text = machine(results);
    for table in tables(results) {
        let _ = write!(text, "\n{}\n", table.title);
        let all: Vec<&Vec<String>> = std::iter::once(&table.head).chain(&table.rows).collect();
        let widths: Vec<usize> = (0..table.head.len())
            .map(|column| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max())
            .map(Option::unwrap_or_default)
            .collect();
        for row in all {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(index, (cell, width))| match index {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            let _ = writeln!(text, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
    }
    text
}

/// A page with the tables between the lines that mark their place; without such lines, nothing but the tables.
pub(crate) fn into_page(page: &str, tables: &str) -> String {
    let place = page.find(BEGIN).zip(page.find(END)).filter(|(begin, end)| begin < end);
    match place.and_then(|(begin, end)| page.get(..begin).zip(page.get(end..))) {
        Some((before, after)) => format!("{before}{BEGIN}\n\n{tables}\n{after}"),
        None => tables.to_owned(),
    }
}

/// The same as Markdown.
pub(crate) fn markdown(results: &Results) -> String {
    let mut text = machine(results);
    for table in tables(results) {
        let _ = write!(text, "\n**{}**\n\n", table.title);
        let _ = writeln!(text, "| {} |", table.head.join(" | "));
        let _ = writeln!(text, "| --- |{}", " ---: |".repeat(table.head.len().saturating_sub(1)));
        for row in table.rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
    }
    text
}

fn machine(results: &Results) -> String {
    let machine = &results.machine;
    let versions: Vec<String> =
        results.systems.iter().map(|system| format!("{} {}", system.name, system.version)).collect();
    let mut text = format!(
        "{}: {} with {} cores, {} GiB, Linux {}; {}, an fdatasync takes {:.0} us.\n{}.\nRounds: {}; the tables show medians.\n",
        machine.date,
        machine.cpu,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.disk,
        machine.flush_us,
        versions.join("; "),
        results.rounds,
    );
    for system in &results.systems {
        for trouble in &system.troubles {
            let _ = writeln!(text, "Not measured, {}: {trouble}", system.name);
        }
    }
    text
}

fn tables(results: &Results) -> Vec<Table> {
    let works: Vec<Work> = WORKS
        .into_iter()
        .filter(|work| results.systems.iter().any(|system| system.best(*work).is_some()))
        .collect();
    let mut tables = Vec::new();
    if !works.is_empty() {
        tables.push(rates(results, &works));
        tables.push(latencies(results, &works));
    }
    tables.push(rest(results));
    tables.extend(targets(results));
    tables
}

/// Ours at its best and theirs at its best; none where there is nothing to compare.
fn targets(results: &Results) -> Option<Table> {
    let row = |(work, name, target): (Work, &str, f64)| {
        let best = |system: &Measured| system.best(work);
        let ours = results.systems.first().and_then(best)?;
        let theirs = results.systems.iter().find(|system| system.name == name).and_then(best)?;
        let is_met = if ours >= target * theirs { "yes" } else { "no" };
        let measured = ratio(ours, theirs);
        let cells = [count(ours), count(theirs), measured, format!("{target:.0}x"), is_met.to_owned()];
        Some(std::iter::once(format!("{}, {name}", work.title())).chain(cells).collect())
    };
    let rows: Vec<Vec<String>> = TARGETS.into_iter().filter_map(row).collect();
    let head = ["work, beside", "Portcullis", "theirs", "ratio", "target", "met"];
    let title = "Targets: completed runs in a second, each at the best of 1, 16 and 64".to_owned();
    (!rows.is_empty()).then(|| Table { title, head: head.map(str::to_owned).into(), rows })
}

fn head(results: &Results, first: &str) -> Vec<String> {
    let names = results.systems.iter().map(|system| system.name.to_owned());
    std::iter::once(first.to_owned()).chain(names).collect()
}

/// Runs in a second, with how many times that ours is.
fn rates(results: &Results, works: &[Work]) -> Table {
    let mut rows = Vec::new();
    for work in works {
        for concurrency in CONCURRENCY {
            let rate = |system: &Measured| system.at(*work, concurrency, |window| window.per_second);
            let ours = results.systems.first().and_then(rate);
            let cell = |(index, system): (usize, &Measured)| match (rate(system), ours) {
                (None, _) => "-".to_owned(),
                (Some(theirs), Some(ours)) if index > 0 => {
                    format!("{} ({})", count(theirs), ratio(ours, theirs))
                }
                (Some(theirs), _) => count(theirs),
            };
            let cells = results.systems.iter().enumerate().map(cell);
            rows.push(std::iter::once(format!("{}, c = {concurrency}", work.title())).chain(cells).collect());
        }
    }
    let title = "Completed runs in a second (in brackets: Portcullis / this one)".to_owned();
    Table { title, head: head(results, "work"), rows }
}

fn latencies(results: &Results, works: &[Work]) -> Table {
    let mut rows = Vec::new();
    for work in works {
        for concurrency in CONCURRENCY {
            let cells = results.systems.iter().map(|system| {
                let figures = [
                    system.at(*work, concurrency, |window| window.p50_ms),
                    system.at(*work, concurrency, |window| window.p95_ms),
                    system.at(*work, concurrency, |window| window.p99_ms),
                ];
                let figures: Option<Vec<String>> =
                    figures.into_iter().map(|figure| figure.map(milliseconds)).collect();
                figures.map_or_else(|| "-".to_owned(), |figures| figures.join(" / "))
            });
            rows.push(std::iter::once(format!("{}, c = {concurrency}", work.title())).chain(cells).collect());
        }
    }
    let title = "From the alert to the answer that it is done, ms: p50 / p95 / p99".to_owned();
    Table { title, head: head(results, "work"), rows }
}

/// A row: what stands in it, and what it says of a system.
type Row = (&'static str, fn(&Measured) -> Option<String>);

fn rest(results: &Results) -> Table {
    let rows: [Row; 13] = [
        ("start: exec to the first 200", |system| median(system.start_ms.clone()).map(seconds)),
        ("start with the parked runs", |system| {
            system.parked.as_ref().map(|parked| seconds(parked.start_ms))
        }),
        ("memory: idle", |system| median(system.idle_bytes.clone()).map(megabytes)),
        ("memory: most under load", |system| median(system.loaded_bytes.clone()).map(megabytes)),
        ("memory: a parked run", |system| {
            system.parked.as_ref().map(|parked| kilobytes(parked.bytes_per_run))
        }),
        ("disk: a run of (c)", |system| system.run_bytes.map(kilobytes)),
        ("(d) parked, went on after a restart", |system| {
            system.parked.as_ref().map(|parked| format!("{} of {}", parked.resumed, parked.runs))
        }),
        ("(d) runs that go on in a second", |system| {
            system.parked.as_ref().map(|parked| count(parked.resumed_per_second))
        }),
        ("kill -9 under (c): accepted", |system| crashes(system, |crash| crash.accepted)),
        ("kill -9 under (c): lost", |system| crashes(system, |crash| crash.lost)),
        ("kill -9 under (c): contained twice", |system| crashes(system, |crash| crash.doubled)),
        ("kill -9 under (c): a person is asked", |system| crashes(system, |crash| crash.asks)),
        ("answered as done and not in its list", |system| system.not_kept.map(|missing| missing.to_string())),
    ];
    let rows = rows.into_iter().map(|(title, cell)| {
        let cells = results.systems.iter().map(|system| cell(system).unwrap_or_else(|| "-".to_owned()));
        std::iter::once(title.to_owned()).chain(cells).collect()
    });
    Table {
        title: "What it takes, and what is left".to_owned(),
        head: head(results, ""),
        rows: rows.collect(),
    }
}

/// Over all kills.
fn crashes(system: &Measured, figure: fn(&Crash) -> u64) -> Option<String> {
    (!system.crashes.is_empty()).then(|| system.crashes.iter().map(figure).sum::<u64>().to_string())
}

fn ratio(ours: f64, theirs: f64) -> String {
    if theirs <= 0.0 {
        return "-".to_owned();
    }
    let ratio = ours / theirs;
    if ratio < 9.95 { format!("{ratio:.1}x") } else { format!("{ratio:.0}x") }
}

fn count(value: f64) -> String {
    if value < 99.5 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn milliseconds(value: f64) -> String {
    if value < 9.95 { format!("{value:.2}") } else { format!("{value:.0}") }
}

fn seconds(ms: f64) -> String {
    if ms < 999.5 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1000.0) }
}

fn megabytes(bytes: f64) -> String {
    format!("{:.0} MB", bytes / 1e6)
}

fn kilobytes(bytes: f64) -> String {
    format!("{:.1} KB", bytes / 1e3)
}

#[cfg(test)]
pub(crate) mod tests;
