//! Three times as many alerts as the server has time for.

use std::time::Duration;

use ::lab::load::{Pace, Report};
use ::lab::outside::Outside;

use super::acceptance::ms;
use super::figure::{Figure, Unit};
use super::soc::{HOOK, SOC};
use super::{Bench, CONCURRENCY, Server, Setup, playbook};

const ROW: &str = "overload";
/// So few runs at once that the bound is met soon.
const LIMITS: &str = "{ live_runs: 256 }";
/// Enough that no alert waits for a connection.
const CONNECTIONS: usize = 256;

pub(super) async fn overload(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let outside = Outside::start(Duration::ZERO).await?;
    let url = outside.url();
    let playbooks = vec![playbook(HOOK, SOC)];
    let setup = Setup { playbooks, outside: Some(&url), limits: Some(LIMITS), ..Setup::default() };
    let folder = bench.folder(&setup)?;
    let mut server = Server::start(&folder).await?;
    bench.complete_some(&mut server, "soc_answered", CONCURRENCY, bench.fewest).await?;
    let mut rounds = Rounds::default();
    for _ in 0..bench.rounds.min(3) {
        let peak = peak(bench, &mut server).await?;
        let calm = storm(bench, &mut server, 0.8 * peak).await?;
        let storm = storm(bench, &mut server, 3.0 * peak).await?;
        rounds.peak.push(peak);
        rounds.goodput.push(storm.goodput / peak);
        let p99 = |report: &Report, status| ms(report.times(status).at(0.99));
        rounds.calm.push(p99(&calm.report, 202));
        rounds.slower.push(p99(&storm.report, 202) / p99(&calm.report, 202));
        rounds.no.push(p99(&storm.report, 503));
        rounds.offered.push(storm.report.answers.len() as f64 / storm.report.elapsed.as_secs_f64() / peak);
    }
    Ok(rounds.figures())
}

#[derive(Default)]
struct Rounds {
    peak: Vec<f64>,
    offered: Vec<f64>,
    goodput: Vec<f64>,
    calm: Vec<f64>,
    slower: Vec<f64>,
    no: Vec<f64>,
}

impl Rounds {
    fn figures(self) -> Vec<Figure> {
        vec![
            Figure::new(ROW, "peak: runs of (c)", Unit::PerSecond, self.peak),
            Figure::new(ROW, "offered / peak: what the client managed", Unit::Ratio, self.offered)
                .at_least(2.9),
            Figure::new(ROW, "goodput / peak at 3 times the peak", Unit::Ratio, self.goodput).at_least(0.9),
            Figure::new(ROW, "p99 of 202 at 0.8 of the peak", Unit::Milliseconds, self.calm),
            Figure::new(ROW, "p99 of 202 at 3 times the peak / at 0.8", Unit::Ratio, self.slower)
                .at_most(2.0),
            Figure::new(ROW, "time to say no (503): p99", Unit::Milliseconds, self.no).at_most(5.0),
        ]
    }
}

/// Runs that can be completed in a second: on each connection the next alert follows the end of a run.
async fn peak(bench: &Bench, server: &mut Server<'_>) -> anyhow::Result<f64> {
    let before = server.counts().await?.finished();
    let report =
        bench.post(&server.folder.hook("soc_answered"), CONCURRENCY, Pace::Time(2 * bench.round)).await?;
    let runs = server.counts().await?.finished() - before;
    Ok(runs as f64 / report.elapsed.as_secs_f64())
}

struct Storm {
    report: Report,
    /// Runs that were completed in a second.
    goodput: f64,
}

/// So many alerts a second, whatever becomes of them.
async fn storm(bench: &Bench, server: &mut Server<'_>, per_second: f64) -> anyhow::Result<Storm> {
    let before = server.counts().await?.finished();
    let pace = Pace::Rate { per_second, time: 2 * bench.round };
    let report = bench.post(&server.folder.hook(HOOK), CONNECTIONS, pace).await?;
    let runs = server.counts().await?.finished() - before;
    let goodput = runs as f64 / report.elapsed.as_secs_f64();
    server.wait_for_runs(before + report.count(202) as u64).await?;
    Ok(Storm { report, goodput })
}
