mod jq;
mod process;
mod script;

use super::*;

/// Long enough for everything that ends, also on a machine that is busy.
const LONG: Duration = Duration::from_secs(60);

#[test]
#[ignore = "this is the process that the other tests start"]
fn the_child() {
    run_child()
}

impl Task {
    fn perform_within(&self, timeout: Duration) -> Outcome {
        self.perform(Instant::now() + timeout, timeout)
    }
}

fn filter(filter: &str, data: Value) -> Task {
    Task::Jq { filter: filter.to_owned(), data, vars: Map::new() }
}

fn script(code: &str, data: Value) -> Task {
    Task::Script { code: code.to_owned(), data }
}

fn show(outcome: Outcome) -> String {
    match outcome {
        Outcome::Succeeded(output) => output.to_string(),
        Outcome::Failed(Failure { class, message, help: Some(help), .. }) => {
            format!("{class}: {message} | {help}")
        }
        Outcome::Failed(failure) => format!("{}: {}", failure.class, failure.message),
        Outcome::Unknown(failure) => panic!("whatever happens, nothing was done: {failure}"),
    }
}

/// What becomes of each of these programs, which read null, a line each.
fn check(make: fn(&str, Value) -> Task, programs: &[&str]) -> String {
    let line = |program: &&str| {
        let outcome = show(make(program, Value::Null).perform_within(LONG));
        let shown: String = program.chars().take(80).collect();
        format!("{} => {outcome}", shown.replace('\n', " "))
    };
    programs.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Each of these programs never ends by itself, and is ended.
fn check_endless(make: fn(&str, Value) -> Task, programs: &[&str]) {
    for program in programs {
        let task = make(program, Value::Null);
        let shown = show(task.perform_within(Duration::from_millis(100)));
        assert_eq!(shown, format!("timeout: the {} gave no result within 100ms", task.noun()), "{program}");
    }
}

/// Each of these programs takes all the memory that it gets, which is not much. How far it comes in its time depends on
/// the machine; that it ends does not.
fn check_greedy(make: fn(&str, Value) -> Task, most: &str, programs: &[&str]) {
    for program in programs {
        let task = make(program, Value::Null);
        let shown = show(task.perform_within(LONG));
        let noun = task.noun();
        let ends = [
            format!("input: the {noun} took more than {most} of memory"),
            format!("timeout: the {noun} took more than 2 s of processor time"),
        ];
        assert!(ends.contains(&shown), "{program}: {shown}");
    }
}
