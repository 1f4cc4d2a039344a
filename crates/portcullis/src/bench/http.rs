//! Playbooks of six calls: such that read, and such that change something.

use std::time::Duration;

use ::lab::outside::Outside;

use super::child::Calls;
use super::figure::{Figure, Unit};
use super::{Bench, CONCURRENCY, Server, Setup, playbook};

const READS: &str = "six_reads";
const EFFECTS: &str = "six_effects";
const NONE: &str = "one_step";
const STEPS: f64 = 6.0;
const ROW: &str = "http";

pub(super) async fn http(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let outside = Outside::start(Duration::ZERO).await?;
    let url = outside.url();
    let playbooks = vec![
        playbook(READS, include_str!("six_reads.yaml")),
        playbook(EFFECTS, include_str!("six_effects.yaml")),
        playbook(NONE, include_str!("one_step.yaml")),
    ];
    let folder = bench.folder(&Setup { playbooks, outside: Some(&url), ..Setup::default() })?;
    let mut server = Server::start(&folder).await?;
    let (mut reads, mut effects, mut bare, mut cpu) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let read = bench.complete(&mut server, READS).await?;
        let loops = Calls::SixReads.make(&outside, read.runs, CONCURRENCY).await?;
        effects.push(bench.complete(&mut server, EFFECTS).await?.per_second());
        let none = bench.complete(&mut server, NONE).await?;
        reads.push(read.per_second());
        bare.push(read.runs as f64 / loops.elapsed.as_secs_f64());
        let cpu_of_loop = loops.cpu.as_secs_f64() * 1e6 / read.runs as f64;
        cpu.push((read.cpu_us() - none.cpu_us() - cpu_of_loop) / STEPS);
    }
    let read = bench.complete_some(&mut server, "six_reads_answered", 1, bench.fewest).await?;
    let effect = bench.complete_some(&mut server, "six_effects_answered", 1, bench.fewest).await?;
    let flushes = "flushes for a run of six";
    Ok(vec![
        Figure::new(ROW, "six HTTP reads: runs", Unit::PerSecond, reads),
        Figure::new(ROW, "the same calls in a bare loop of reqwest: runs", Unit::PerSecond, bare),
        Figure::new(ROW, "six HTTP effects: runs", Unit::PerSecond, effects),
        Figure::new(ROW, "processor for an HTTP step beyond the call", Unit::Microseconds, cpu).at_most(25.0),
        Figure::new(ROW, format!("{flushes} HTTP reads, c = 1"), Unit::Count, vec![read.flushes()])
            .at_most(1.2),
        Figure::new(ROW, format!("{flushes} HTTP effects, c = 1"), Unit::Count, vec![effect.flushes()])
            .at_most(7.0),
    ])
}
