//! `portcullis workflows`: what a server has live, and which files it cannot use.

use serde_json::Value;

use crate::client::Client;
use crate::halt;
use crate::show;

/// Lists the workflows; gives whether every file is as good as what is live.
pub(crate) async fn workflows(client: &Client) -> anyhow::Result<bool> {
    let all = client.get("/api/v1/workflows").await?;
    halt::banner(&all);
    let workflows = list(&all, "workflows");
    let rows: Vec<Vec<String>> = workflows.iter().map(row).collect();
    show::put(show::table(&["workflow", "mode", "version", "loaded", "next", "file"], &rows));
    let live = workflows.iter().filter(|workflow| workflow.get("failing_since").is_some());
    let failing: Vec<&Value> = live.chain(list(&all, "left_out")).collect();
    for playbook in &failing {
        show::put(format_args!("\n{}", story(playbook)));
    }
    let trouble = all.get("trouble");
    if let Some(trouble) = trouble {
        let (since, reason) = (text(trouble, "since"), text(trouble, "reason"));
        let reason: Vec<String> = reason.lines().map(show::line).collect();
        show::say(format_args!("\nsince {}: {}", show::line(since), reason.join("\n")));
    }
    Ok(failing.is_empty() && trouble.is_none())
}

fn row(workflow: &Value) -> Vec<String> {
    let version: String = text(workflow, "digest").chars().take(12).collect();
    let loaded = text(workflow, "loaded_at");
    // Times of the same form come in the order of their text.
    let next = list(workflow, "triggers").iter().map(|trigger| text(trigger, "next_at"));
    let next = next.filter(|next| !next.is_empty()).min().unwrap_or("-");
    let name = text(workflow, "name");
    let (loaded, next) = (second(loaded), second(next));
    let cells = [name, text(workflow, "mode"), &version, &loaded, &next, text(workflow, "file")];
    cells.map(show::line).to_vec()
}

/// A time without its milliseconds.
fn second(time: &str) -> String {
    time.split_once('.').map_or(time.to_owned(), |(second, _)| format!("{second}Z"))
}

/// Why the newest text of a file is not live.
fn story(playbook: &Value) -> String {
    let name = playbook.get("name").and_then(Value::as_str);
    let instead =
        name.map_or("nothing of it is live".to_owned(), |name| format!("an older `{name}` is live"));
    let file = text(playbook, "file");
    let mut story = format!("{file} cannot be used since {}: {instead}\n", text(playbook, "failing_since"));
    for finding in list(playbook, "findings") {
        let place = |key: &str| finding.get(key).and_then(Value::as_u64).unwrap_or_default();
        let (severity, rule) = (text(finding, "severity"), text(finding, "rule"));
        let message = show::line(text(finding, "message"));
        story.push_str(&format!("  {}:{} {severity}[{rule}]: {message}\n", place("line"), place("column")));
    }
    story
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}
