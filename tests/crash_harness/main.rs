//! The promises over crashes at every point: the real binary is killed with SIGKILL, again and again, while alerts come in
//! and people answer, and then everything that was said is compared with everything that happened.
//!
//! It takes the feature `failpoints`. What it does, how it is told to do more of it, and what it checks is told in
//! `tests/README.md`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod held;
mod history;
mod people;
mod promises;
mod session;
mod special;
#[path = "../world.rs"]
#[expect(dead_code, reason = "not every test needs all of it")]
mod world;

use std::collections::BTreeMap;

use session::Session;

/// How many crashes one folder of data goes through.
const CRASHES_PER_SESSION: u32 = 20;
/// How many sessions go on at once.
const AT_ONCE: usize = 4;

fn number(variable: &str, default: u32) -> u32 {
    let told = std::env::var(variable).ok();
    told.map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not `{text}`"))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_promises_hold_over_crashes_at_every_point() {
    use futures::StreamExt as _;

    let crashes = number("CRASHES", 200);
    let first = number("CRASH_SEED", 1);
    let count = crashes.div_ceil(CRASHES_PER_SESSION);
    let began = std::time::Instant::now();
    let sessions = (first..first + count).map(|seed| async move {
        let ended = Session::new(u64::from(seed)).await.run(CRASHES_PER_SESSION.min(crashes)).await;
        (seed, ended)
    });
    let ended: Vec<_> = futures::stream::iter(sessions).buffer_unordered(AT_ONCE).collect().await;
    let mut deaths: BTreeMap<String, u32> = BTreeMap::new();
    let mut broken = String::new();
    for (seed, report) in ended {
        for (how, times) in report.deaths {
            *deaths.entry(how).or_default() += times;
        }
        for problem in report.problems {
            broken += &format!("CRASH_SEED={seed} CRASHES={CRASHES_PER_SESSION}: {problem}\n");
        }
    }
    let total: u32 = deaths.values().sum();
    say(&format!("{total} crashes in {:.0?}, one {:.0?}", began.elapsed(), began.elapsed() / total.max(1)));
    for (how, times) in &deaths {
        say(&format!("{times:5} {how}"));
    }
    assert!(broken.is_empty(), "\n{broken}");
    if crashes >= 200 {
        let missed: Vec<_> =
            failpoints::POINTS.iter().filter(|point| !deaths.contains_key(**point)).collect();
        assert!(missed.is_empty(), "nobody died at {missed:?}");
    }
}

#[expect(clippy::print_stderr, reason = "who runs the harness by hand wants to see what it did")]
fn say(line: &str) {
    eprintln!("{line}");
}
