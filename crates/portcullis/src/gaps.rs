//! Alerts that never came by themselves, as a list.

use anyhow::Context as _;
use model::Timestamp;
use runner::Gap;
use serde::Deserialize;

use crate::client::Client;
use crate::show;

#[derive(Deserialize)]
struct Answer {
    reconciled: Option<Asked>,
    gaps: Vec<Gap>,
}

#[derive(Deserialize)]
struct Asked {
    from: Timestamp,
    until: Timestamp,
    succeeded_at: Option<Timestamp>,
}

pub(crate) async fn gaps(client: &Client) -> anyhow::Result<()> {
    let answer: Answer = serde_json::from_value(client.get("/api/v1/gaps").await?)
        .context("the server's answer cannot be read: is it of another version?")?;
    let Some(asked) = answer.reconciled else {
        show::say("nobody asks for alerts that do not come: portcullis.yaml has no `reconcile`");
        return Ok(());
    };
    for Gap { at, alert, about, workflow, run, joined } in &answer.gaps {
        let into = if *joined { "joined" } else { "started" };
        show::put(format_args!(
            "{at}  {}  {}\n    {into} {run} of {}\n",
            show::line(alert),
            show::line(about),
            show::line(workflow)
        ));
    }
    let found = match answer.gaps.len() {
        0 => "no alert was missing".to_owned(),
        1 => "1 alert did not come by itself, and was found".to_owned(),
        count => format!("{count} alerts did not come by themselves, and were found"),
    };
    let Asked { from, until, succeeded_at } = asked;
    let last = succeeded_at.map_or("not yet since the server started".to_owned(), |at| at.to_string());
    show::say(format_args!("{found}; asked from {from} until {until}, last with success: {last}"));
    Ok(())
}
