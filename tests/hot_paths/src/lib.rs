//! What every alert goes through, from its bytes to the facts of its run, as pieces of work that can be repeated.
//!
//! `cargo bench -p hot-paths` says how long each takes, `cargo run --release -p hot-paths` counts its instructions. The
//! disk, the network and the threads are not in it: appends are timed by the benches of `store-sled`, all of it by
//! `portcullis bench`.

mod playbooks;
mod runs;

use std::hint::black_box;

use engine::start_scope;
use expr::Conditions;
use model::{Record, RunSummary};
use serde_json::Value;

use crate::playbooks::{ALERT, LOOP, PURE, calls, conditions, look, start};
use crate::runs::{journal, perform, replay};

/// A piece of work that does the same each time.
pub type Work = Box<dyn FnMut()>;

/// One way that an alert goes.
pub struct HotPath {
    /// What is done, in a few words.
    pub name: &'static str,
    /// Whether its instructions are counted. What only takes longer is timed and not counted.
    pub is_counted: bool,
    /// Makes what the work needs.
    pub prepare: fn() -> Work,
}

/// All of them, in the order in which an alert meets them.
pub fn all() -> Vec<HotPath> {
    let path = |name, prepare| HotPath { name, is_counted: true, prepare };
    vec![
        path("load a playbook", load),
        path("parse an alert of 2 KB", parse),
        path("`when` of 500 playbooks", when),
        path("render a step", render),
        path("a run of six pure steps", || run(PURE)),
        path("a run of six calls", || run(&calls(6))),
        path("a run of the SOC loop", || run(LOOP)),
        path("write the facts of a run", write),
        path("read the facts of a run", read),
        path("replay 100 facts", || rebuild(49)),
        HotPath { is_counted: false, ..path("replay 1,000 facts", || rebuild(499)) },
    ]
}

fn load() -> Work {
    let catalog = playbooks::catalog();
    Box::new(move || {
        let (workflow, findings) = workflow::load("loop.yaml", LOOP, &catalog);
        assert!(workflow.is_some(), "{findings}");
    })
}

fn parse() -> Work {
    Box::new(|| {
        black_box(serde_json::from_str::<Value>(black_box(ALERT)).expect("the alert is JSON"));
    })
}

/// As the runner does it: one scope for all that listen on a hook, and one question to all of them.
fn when() -> Work {
    let (workflows, start) = (conditions(500), start());
    let triggers = workflows.iter().flat_map(|workflow| &workflow.triggers);
    let conditions = Conditions::new(triggers.filter_map(|trigger| trigger.when.clone()).collect());
    Box::new(move || {
        let verdicts = conditions.hold(&start_scope(&workflows[0], &start));
        let holds = verdicts.into_iter().filter(|holds| *holds.as_ref().expect("it can be evaluated"));
        assert_eq!(holds.count(), 126);
    })
}

fn render() -> Work {
    let workflow = look(LOOP);
    let step = workflow.steps.iter().find(|step| step.id.as_str() == "case").expect("it stands there");
    let values = step.inputs.clone();
    let mut scope = start_scope(&workflow, &start());
    scope.set(&["steps", "agent"], runs::answer());
    scope.set(&["steps", "source"], runs::answer());
    Box::new(move || {
        for value in values.values() {
            black_box(value.eval(&scope).expect("it can be rendered"));
        }
    })
}

fn run(text: &str) -> Work {
    let (workflow, start) = (look(text), start());
    Box::new(move || drop(black_box(perform(&workflow, start.clone()))))
}

/// What is written for a run of six calls: its facts, and the row that lists show.
fn facts() -> (Vec<Record>, RunSummary) {
    let (run, journal) = perform(&look(&calls(6)), start());
    (journal, run.summary())
}

fn write() -> Work {
    let facts = facts();
    Box::new(move || {
        black_box(serde_json::to_vec(&facts).expect("facts have string keys only"));
    })
}

fn read() -> Work {
    let bytes = serde_json::to_vec(&facts()).expect("facts have string keys only");
    Box::new(move || {
        black_box(serde_json::from_slice::<(Vec<Record>, RunSummary)>(&bytes).expect("they were written"));
    })
}

/// A run of so many calls, two facts for each, comes out of the store.
fn rebuild(count: usize) -> Work {
    let workflow = look(&calls(count));
    let journal = journal(&workflow);
    assert_eq!(journal.len(), 2 * count + 2);
    Box::new(move || drop(black_box(replay(&workflow, &journal))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbooks::alert;

    #[test]
    fn every_path_can_be_gone_again_and_again() {
        for path in all() {
            let mut work = (path.prepare)();
            work();
            work();
        }
    }

    #[test]
    fn the_alert_has_2_kb() {
        assert_eq!(alert().to_string().len().div_ceil(1024), 2);
    }
}
