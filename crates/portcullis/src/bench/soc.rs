//! The loop of a SOC, beside a bare loop of the same calls.

use std::time::Duration;

use ::lab::outside::Outside;
use anyhow::bail;

use super::child::Calls;
use super::figure::{Figure, Unit};
use super::{Bench, CONCURRENCY, FIRST, Server, Setup, playbook};

pub(super) const SOC: &str = include_str!("soc.yaml");
pub(super) const HOOK: &str = "soc";
const ROW: &str = "soc";

pub(super) async fn soc(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let outside = Outside::start(Duration::ZERO).await?;
    let url = outside.url();
    let setup = Setup { playbooks: vec![playbook(HOOK, SOC)], outside: Some(&url), ..Setup::default() };
    let folder = bench.folder(&setup)?;
    let mut server = Server::start(&folder).await?;
    let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut cpu, mut bytes) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let done = bench.complete(&mut server, HOOK).await?;
        let loops = Calls::Soc.make(&outside, done.runs, CONCURRENCY).await?;
        let rate = done.runs as f64 / loops.elapsed.as_secs_f64();
        ratios.push(done.per_second() / rate);
        ours.push(done.per_second());
        bare.push(rate);
        cpu.push(done.cpu_us());
        bytes.push(done.flushed_bytes());
    }
    let is_ours = |run: &str| run.parse().is_ok_and(|number: u64| number >= FIRST);
    let blocked =
        outside.runs("/block").into_iter().filter(|(run, count)| is_ours(run) && *count == 1).count();
    let runs = server.counts().await?.finished();
    if blocked as u64 != runs {
        bail!("of {runs} runs {blocked} have blocked once");
    }
    Ok(vec![
        Figure::new(ROW, "(c) the loop of a SOC: runs", Unit::PerSecond, ours),
        Figure::new(ROW, "the same calls in a bare loop of reqwest: runs", Unit::PerSecond, bare),
        Figure::new(ROW, "(c) / bare loop", Unit::Ratio, ratios).at_least(0.5),
        Figure::new(ROW, "processor for a run of (c)", Unit::Microseconds, cpu),
        Figure::new(ROW, "journal for a run of (c) and an alert of 2 KB", Unit::Bytes, bytes),
    ])
}
