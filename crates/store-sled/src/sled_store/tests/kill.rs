//! A process that is killed while it appends loses nothing that it was told is safe.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use journal::power::Chance;
use store::conformance::sample;

use super::*;

const ROUNDS: u64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_that_is_safe() {
    let folder = TempDir::new().unwrap();
    let mut safe: BTreeMap<RunId, u32> = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut chance = Chance::new(round);
        run_and_kill(folder.path(), round, 1 + chance.below(500), &mut safe);
        let store = open(folder.path());
        assert_eq!(store.health().await.reports, [] as [String; 0], "round {round}");
        for (run, next_seq) in &safe {
            let journal = store.journal(*run).await.unwrap();
            let seqs: Vec<u32> = journal.iter().map(|record| record.seq).collect();
            assert_eq!(seqs, (0..seqs.len() as u32).collect::<Vec<_>>(), "there are no gaps");
            assert!(seqs.len() as u32 >= *next_seq, "round {round}: {} of {next_seq} are left", seqs.len());
            let row = store.summary(*run).await.unwrap().unwrap();
            assert_eq!(row.next_seq as usize, seqs.len());
        }
    }
    assert!(safe.len() > 50, "{} runs", safe.len());
}

/// Lets another process work on the store until it has said so many words, and kills it.
fn run_and_kill(folder: &Path, round: u64, words: usize, safe: &mut BTreeMap<RunId, u32>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "sled_store::tests::kill::the_process_that_is_killed"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.as_mut().unwrap(), "{round} {}", folder.display()).unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for (number, line) in lines.enumerate() {
        if number == words {
            child.kill().unwrap();
        }
        let line = line.unwrap();
        let Some((run, next_seq)) = line.split_once(' ') else { continue };
        // A line may be cut off, or be the test harness's.
        let (Ok(run), Some(Ok(next_seq))) = (run.parse(), next_seq.strip_suffix(" safe").map(str::parse))
        else {
            continue;
        };
        safe.insert(run, next_seq);
    }
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is run, and killed, by another test"]
async fn the_process_that_is_killed() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let Some((round, folder)) = line.trim().split_once(' ') else { return };
    let round: u32 = round.parse().unwrap();
    let store = Arc::new(open(Path::new(folder)));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8_u32 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for number in 0.. {
                let mut append = sample::create(round << 20 | task << 16 | number);
                for facts in 0..6 {
                    let answers = store.append(vec![append.clone()]).await.unwrap();
                    let Appended::At(position) = answers[0] else { panic!("{answers:?}") };
                    if facts % 2 == 0 {
                        store.durable(position).await.unwrap();
                        let mut out = std::io::stdout().lock();
                        writeln!(out, "{} {} safe", append.run(), append.summary.next_seq).unwrap();
                    }
                    append = sample::follow(&append, 1 + facts % 2);
                }
            }
        });
    }
    tasks.join_all().await;
}
