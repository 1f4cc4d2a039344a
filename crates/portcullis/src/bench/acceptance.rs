//! Alerts that are on disk when they are answered, beside a handler that only parses them.

use std::time::Duration;

use ::lab::load::{Pace, Report, Target, Times};
use anyhow::bail;

use super::child::Bare;
use super::figure::{Figure, Unit};
use super::{Bench, Server, Setup, playbook};

const ONE_STEP: &str = include_str!("one_step.yaml");
const HOOK: &str = "one_step";

pub(super) async fn acceptance(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = compare(bench, "acceptance", Duration::ZERO, &[1, 16, 64]).await?;
    if let Some(last) = figures.pop() {
        figures.push(last.at_least(0.45));
    }
    Ok(figures)
}

pub(super) async fn slow_disk(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = compare(bench, "slow-disk", Duration::from_millis(1), &[256]).await?;
    if let Some(last) = figures.pop() {
        figures.push(last.at_least(0.40));
    }
    Ok(figures)
}

/// For each concurrency: how many alerts a second both take, how long ours takes, and the ratio, which comes last.
async fn compare(
    bench: &Bench,
    row: &'static str,
    flush_delay: Duration,
    concurrencies: &[usize],
) -> anyhow::Result<Vec<Figure>> {
    let setup = Setup { playbooks: vec![playbook(HOOK, ONE_STEP)], flush_delay, ..Setup::default() };
    let folder = bench.folder(&setup)?;
    let mut server = Server::start(&folder).await?;
    bench.complete_some(&mut server, HOOK, 16, bench.fewest).await?;
    let (ours, bare) = (folder.hook(HOOK), Bare::start().await?);
    let mut figures = Vec::new();
    for concurrency in concurrencies {
        let mut rounds = Rounds::default();
        for _ in 0..bench.rounds {
            let before = bare.cpu()?;
            let report = report(bench, &bare.target, *concurrency).await?;
            rounds.bare.push(Round::new(&report, bare.cpu()?.saturating_sub(before)));
            let before = server.cpu()?;
            let report = self::report(bench, &ours, *concurrency).await?;
            rounds.ours.push(Round::new(&report, server.cpu()?.saturating_sub(before)));
        }
        figures.extend(rounds.figures(row, *concurrency));
    }
    Ok(figures)
}

async fn report(bench: &Bench, target: &Target, concurrency: usize) -> anyhow::Result<Report> {
    let report = bench.post(target, concurrency, Pace::Time(bench.round)).await?;
    if report.count(202) < report.answers.len() {
        bail!("not all alerts were taken: {:?}", report.statuses());
    }
    Ok(report)
}

#[derive(Default)]
struct Rounds {
    ours: Vec<Round>,
    bare: Vec<Round>,
}

struct Round {
    per_second: f64,
    times: Times,
    cpu_us: f64,
}

impl Round {
    fn new(report: &Report, cpu: Duration) -> Round {
        let cpu_us = cpu.as_secs_f64() * 1e6 / report.answers.len() as f64;
        Round { per_second: report.per_second(202), times: report.times(202), cpu_us }
    }
}

impl Rounds {
    fn figures(&self, row: &'static str, concurrency: usize) -> Vec<Figure> {
        let ours = |value: &dyn Fn(&Round) -> f64| self.ours.iter().map(value).collect::<Vec<f64>>();
        let bare = |value: &dyn Fn(&Round) -> f64| self.bare.iter().map(value).collect::<Vec<f64>>();
        let pairs = self.ours.iter().zip(&self.bare);
        let ratios = pairs.map(|(ours, bare)| ours.per_second / bare.per_second).collect();
        let figure =
            |what: &str, unit, values| Figure::new(row, format!("{what}, c = {concurrency}"), unit, values);
        vec![
            figure("bare handler", Unit::PerSecond, bare(&|round| round.per_second)),
            figure("durable, 202", Unit::PerSecond, ours(&|round| round.per_second)),
            figure("bare handler: processor for an alert", Unit::Microseconds, bare(&|round| round.cpu_us)),
            figure("durable, 202: processor for an alert", Unit::Microseconds, ours(&|round| round.cpu_us)),
            figure("durable, 202: p50", Unit::Milliseconds, ours(&|round| ms(round.times.at(0.5)))),
            figure("durable, 202: p99", Unit::Milliseconds, ours(&|round| ms(round.times.at(0.99)))),
            figure("durable / bare", Unit::Ratio, ratios),
        ]
    }
}

/// A time as figures show it.
pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
