//! Runs that call runs, and runs that wait for each other.

use super::*;

const CALLER: &str = r#"
workflow: caller
triggers: [{ uses: webhook, with: { path: wazuh } }]
steps:
  - id: files
    foreach: "['a', 'b']"
    as: file
    uses: workflow
    with: { workflow: callee, inputs: { name: "{{ file }}" } }
  - { id: names, uses: set, with: { all: "steps.files.items.map(i, i.name)" } }
outputs: { names: steps.names.all }
"#;

pub(super) const CALLEE: &str = r#"
workflow: callee
inputs: { name: { type: string, required: true } }
steps:
  - id: block
    uses: act
    with: { on: "{{ inputs.name }}" }
    approval: { ask: "Block {{ inputs.name }}?", expires: 30m }
outputs: { name: inputs.name }
"#;

/// The runs that another one has called, once they wait for people.
async fn children(bench: &Bench, run: RunId) -> Vec<RunId> {
    bench.until(run, RunStatus::Waiting).await;
    let calls = bench.store.summary(run).await.unwrap().unwrap().calls;
    for child in &calls {
        bench.until(*child, RunStatus::Waiting).await;
    }
    calls
}

async fn outputs(bench: &Bench, run: RunId) -> Value {
    let journal = bench.store.journal(run).await.unwrap();
    serde_json::to_value(&journal.last().unwrap().event).unwrap()["run_finished"]["outputs"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_run_gives_its_outputs_to_the_run_that_called_it() {
    let bench = Bench::new(&[CALLER, CALLEE], Scripted::default()).await;
    let run = bench.post("1", 12).await.runs[0].run;
    for child in children(&bench, run).await {
        bench.runner.decide(child, block(), Decision::Approve, ana(), None, None).await.unwrap();
    }
    bench.until(run, RunStatus::Succeeded).await;
    assert_eq!(outputs(&bench, run).await, json!({ "names": ["a", "b"] }));
    assert_eq!(bench.executor.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_between_two_runs_calls_neither_twice() {
    let bench = Bench::new(&[CALLER, CALLEE], Scripted::default()).await;
    let run = bench.post("1", 12).await.runs[0].run;
    let before = children(&bench, run).await;
    let after = Bench::over(bench.store.clone(), &[CALLER, CALLEE], Scripted::default()).await;
    for child in &before {
        after.runner.decide(*child, block(), Decision::Approve, ana(), None, None).await.unwrap();
        after.until(*child, RunStatus::Succeeded).await;
    }
    after.until(run, RunStatus::Succeeded).await;
    assert_eq!(after.store.runs(Query::default()).await.unwrap().runs.len(), 3);
    assert_eq!(after.executor.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_run_that_nobody_was_told_is_found_by_the_next_process() {
    let bench = Bench::new(&[CALLER, CALLEE], Scripted::default()).await;
    let run = bench.post("1", 12).await.runs[0].run;
    let called = children(&bench, run).await;
    // Another process decides and finishes both, and knows nothing of the caller: only its rows go on.
    for child in called {
        let journal = bench.store.journal(child).await.unwrap();
        let mut other =
            Run::replay(child, workflows(&[CALLEE]).get("callee").unwrap().clone(), &journal).unwrap();
        let reject = Input::Cancelled { by: ana(), reason: "no".to_owned() };
        let (records, result) = other.handle(reject, Timestamp::from_millis(2_000_000));
        result.unwrap();
        let append = store::Append { records, summary: other.summary(), dedupe: None, fence: None };
        bench.store.append(vec![append]).await.unwrap();
    }
    let after = Bench::over(bench.store.clone(), &[CALLER, CALLEE], Scripted::default()).await;
    let failed = after.until(run, RunStatus::Failed).await;
    assert!(failed.error.unwrap().contains("of `callee` did not succeed: cancelled"));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_takes_those_that_it_called_with_it() {
    let bench = Bench::new(&[CALLER, CALLEE], Scripted::default()).await;
    let run = bench.post("1", 12).await.runs[0].run;
    let called = children(&bench, run).await;
    bench.runner.cancel(run, ana(), "a false alarm".to_owned()).await.unwrap();
    bench.until(run, RunStatus::Cancelled).await;
    for child in called {
        bench.until(child, RunStatus::Cancelled).await;
    }
    assert_eq!(bench.executor.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_playbook_that_is_gone_or_takes_something_else_fails_the_step() {
    let bench = Bench::new(&[CALLER, CALLEE], Scripted::default()).await;
    let without = reread(&workflows(&[CALLER, CALLEE]), &[CALLER]);
    bench.runner.replace_workflows(without).await.unwrap();
    let run = bench.post("1", 12).await.runs[0].run;
    let failed = bench.until(run, RunStatus::Failed).await;
    assert!(failed.error.unwrap().contains("there is no workflow `callee`"));
    let other = CALLEE.replace("type: string", "type: ip");
    let bench = Bench::new(&[CALLER, &other], Scripted::default()).await;
    let run = bench.post("1", 12).await.runs[0].run;
    let failed = bench.until(run, RunStatus::Failed).await;
    assert!(failed.error.unwrap().contains("the input `name` has to be an IP address, not `\"a\"`"));
}

const TURNS: &str = r#"
workflow: turns
triggers: [{ uses: webhook, with: { path: wazuh } }]
concurrency: { key: "{{ alert.rule.level }}", on_conflict: queue }
steps:
  - { id: block, uses: act, with: { on: web-01 }, approval: { ask: "Block?", expires: 30m } }
"#;

async fn approve(bench: &Bench, run: RunId) {
    loop {
        let summary = bench.until(run, RunStatus::Waiting).await;
        if !summary.waiting.is_empty() {
            break;
        }
        bench.runner.updates().recv().await.unwrap();
    }
    bench.runner.decide(run, block(), Decision::Approve, ana(), None, None).await.unwrap();
    bench.until(run, RunStatus::Succeeded).await;
}

#[tokio::test(start_paused = true)]
async fn runs_with_one_key_take_turns_also_across_a_restart() {
    let bench = Bench::new(&[TURNS], Scripted::default()).await;
    let mut runs = Vec::new();
    for id in ["1", "2", "3"] {
        runs.push(bench.post(id, 12).await.runs[0].run);
    }
    let other = bench.post("4", 13).await.runs[0].run;
    approve(&bench, other).await;
    assert!(bench.store.summary(runs[1]).await.unwrap().unwrap().waiting.is_empty());
    approve(&bench, runs[0]).await;
    let after = Bench::over(bench.store.clone(), &[TURNS], Scripted::default()).await;
    assert!(after.store.summary(runs[2]).await.unwrap().unwrap().waiting.is_empty());
    approve(&after, runs[1]).await;
    approve(&after, runs[2]).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_dropped_is_kept_and_the_next_one_goes() {
    let bench = Bench::new(&[&TURNS.replace("queue", "drop")], Scripted::default()).await;
    let first = bench.post("1", 12).await.runs[0].run;
    let second = bench.post("2", 12).await.runs[0].run;
    let dropped = bench.until(second, RunStatus::Cancelled).await;
    assert_eq!(dropped.error.unwrap(), format!("dropped: the run {first} holds the key `12`"));
    approve(&bench, first).await;
    let third = bench.post("3", 12).await.runs[0].run;
    approve(&bench, third).await;
}
