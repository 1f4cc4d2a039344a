//! 500 playbooks that listen on one hook, for an alert that is meant for none of them.

use ::lab::load::Pace;
use anyhow::bail;

use super::figure::{Figure, Unit};
use super::{Bench, Server, Setup};

const PLAYBOOKS: usize = 500;
const HOOK: &str = "many";
const ROW: &str = "when";

pub(super) async fn when(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let folder_of = |count| {
        let playbooks = (0..count).map(playbook).collect();
        bench.folder(&Setup { playbooks, hook: Some(HOOK), ..Setup::default() })
    };
    let (one, many) = (folder_of(1)?, folder_of(PLAYBOOKS)?);
    let (one, many) = (Server::start(&one).await?, Server::start(&many).await?);
    let (mut times, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let (time_of_one, cpu_of_one) = round(bench, &one).await?;
        let (time_of_many, cpu_of_many) = round(bench, &many).await?;
        times.push(time_of_many - time_of_one);
        cpu.push(cpu_of_many - cpu_of_one);
    }
    let what = format!("`when` of {PLAYBOOKS} playbooks for one alert");
    Ok(vec![
        Figure::new(ROW, format!("{what}: longer until the answer, p50, c = 1"), Unit::Microseconds, times)
            .at_most(200.0),
        Figure::new(ROW, format!("{what}: processor"), Unit::Microseconds, cpu),
    ])
}

/// How long an answer takes, and how much of the processors, in microseconds.
async fn round(bench: &Bench, server: &Server<'_>) -> anyhow::Result<(f64, f64)> {
    bench.post(&server.folder.hook(HOOK), 1, Pace::Requests(20)).await?;
    let before = server.cpu()?;
    let report = bench.post(&server.folder.hook(HOOK), 1, Pace::Time(bench.round)).await?;
    let cpu = server.cpu()?.saturating_sub(before);
    if report.count(202) < report.answers.len() || server.counts().await?.finished() > 0 {
        bail!("the alert was to be taken and to start no run: {:?}", report.statuses());
    }
    let us = |time: std::time::Duration| time.as_secs_f64() * 1e6;
    Ok((us(report.times(202).at(0.5)), us(cpu) / report.answers.len() as f64))
}

/// A playbook whose condition looks at what conditions look at, and does not hold.
fn playbook(number: usize) -> (String, String) {
    let name = format!("playbook_{number}");
    let when = match number % 4 {
        0 => format!("alert.rule.level >= 7 && alert.rule.id == \"{}\"", 60_000 + number),
        1 => format!("alert.rule.level >= 10 && \"group_{number}\" in alert.rule.groups"),
        2 => format!("has(alert.data.srcip) && alert.data.srcip == \"198.51.100.{}\"", number % 256),
        _ => format!("alert.rule.groups.exists(group, group == \"web\" || group == \"team_{number}\")"),
    };
    let text = format!(
        "workflow: {name}\ntriggers:\n  - uses: webhook\n    with: {{ path: {HOOK} }}\n    when: '{when}'\nsteps:\n  - id: note\n    uses: set\n    with: {{ level: alert.rule.level }}\n"
    );
    (name, text)
}
