//! Playbooks that only compute.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::figure::{Figure, Unit};
use super::{Bench, Server, Setup, playbook};

const PLAYBOOKS: [(&str, &str); 3] = [
    ("one_step", include_str!("one_step.yaml")),
    ("branch", include_str!("branch.yaml")),
    ("six_pure", include_str!("six_pure.yaml")),
];
const WHAT: [&str; 3] =
    ["(a) webhook, step: runs", "(b) webhook, condition, step: runs", "(b) and six pure steps: runs"];
const STEPS: f64 = 6.0;
const ROW: &str = "pure";

pub(super) async fn pure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let playbooks = PLAYBOOKS.iter().map(|(name, text)| playbook(name, text)).collect();
    let folder = bench.folder(&Setup { playbooks, ..Setup::default() })?;
    let mut server = Server::start(&folder).await?;
    let (mut rates, mut cpu, mut bytes) = ([const { Vec::new() }; 3], Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let mut cpu_of = [0.0; 3];
        for (index, (name, _)) in PLAYBOOKS.iter().enumerate() {
            let done = bench.complete(&mut server, name).await?;
            rates[index].push(done.per_second());
            cpu_of[index] = done.cpu_us();
            if *name == "six_pure" {
                bytes.push(done.flushed_bytes());
            }
        }
        cpu.push((cpu_of[2] - cpu_of[1]) / STEPS);
    }
    let one_by_one = bench.complete_some(&mut server, "six_pure_answered", 1, bench.fewest).await?;
    let runs = server.counts().await?.finished() as f64;
    server.stop().await?;
    let index = bytes_below(&folder.data().join("index"))? as f64 / runs;
    let mut figures: Vec<Figure> = WHAT
        .into_iter()
        .zip(rates)
        .map(|(what, rates)| Figure::new(ROW, what, Unit::PerSecond, rates))
        .collect();
    figures.extend([
        Figure::new(ROW, "processor for a pure step", Unit::Microseconds, cpu).at_most(10.0),
        Figure::new(
            ROW,
            "flushes for a run of six pure steps, c = 1",
            Unit::Count,
            vec![one_by_one.flushes()],
        )
        .at_most(1.2),
        Figure::new(ROW, "journal for a run of six pure steps and an alert of 2 KB", Unit::Bytes, bytes),
        Figure::new(ROW, "index for a run", Unit::Bytes, vec![index]),
    ]);
    Ok(figures)
}

/// What the files in a folder take of the disk.
fn bytes_below(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let data = entry.metadata()?;
        bytes += if data.is_dir() { bytes_below(&entry.path())? } else { data.blocks() * 512 };
    }
    Ok(bytes)
}
