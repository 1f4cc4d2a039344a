//! Compares the journal of a run with the facts that a test names.

use model::Record;

use crate::rehearsal::Problem;
use crate::rehearsal::facts;
use crate::rehearsal::file::Fact;
use crate::rehearsal::play::START;
use crate::rehearsal::story::clock;

/// How many facts are told where one is missing.
const MOST_TOLD: usize = 6;

/// The facts have to come in this order; others may come between them.
pub(super) fn problem(expected: &[Fact], journal: &[Record]) -> Option<Problem> {
    let mut rest = journal;
    for (index, fact) in expected.iter().enumerate() {
        match rest.iter().position(|record| matches(fact, record)) {
            Some(at) => rest = rest.get(at + 1..).unwrap_or_default(),
            None => {
                let before = index.checked_sub(1).and_then(|before| expected.get(before));
                let problem = missing(fact, before, journal, rest);
                return Some(problem.at(format!("/expect/journal/{index}")));
            }
        }
    }
    None
}

fn matches(fact: &Fact, record: &Record) -> bool {
    let is_in_time = fact.at.is_none_or(|at| record.at.since(START).as_secs() == at.as_secs());
    is_in_time && has_name(fact, record)
}

fn has_name(fact: &Fact, record: &Record) -> bool {
    facts::names(&record.event).contains(&fact.name)
}

fn missing(fact: &Fact, before: Option<&Fact>, journal: &[Record], rest: &[Record]) -> Problem {
    let name = &fact.name;
    let after = before.map(|before| format!(" after `{}`", before.name)).unwrap_or_default();
    if let Some(record) = rest.iter().find(|record| has_name(fact, record)) {
        let expected = fact.at.map(|at| clock(START.after(at), START)).unwrap_or_default();
        return Problem::difference(format!("time of `{name}`{after}"), expected, clock(record.at, START));
    }
    let what = if journal.iter().any(|record| matches(fact, record)) {
        format!("`{name}` comes before `{}`", before.map_or("it", |before| before.name.as_str()))
    } else {
        format!("`{name}` does not come{after}")
    };
    let told = rest.iter().filter_map(|record| facts::names(&record.event).pop());
    let mut told: Vec<String> = told.take(MOST_TOLD + 1).collect();
    if told.len() > MOST_TOLD {
        told.pop();
        told.push("...".to_owned());
    }
    let told = if told.is_empty() { "nothing".to_owned() } else { told.join(", ") };
    Problem::new(what).help(format!("what comes{}: {told}", if after.is_empty() { "" } else { &after }))
}
