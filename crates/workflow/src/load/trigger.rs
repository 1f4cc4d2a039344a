//! What starts a workflow.

use std::sync::Arc;
use std::time::Duration;

use model::TriggerKind;

use crate::catalog::Catalog;
use crate::diagnostic::Diagnostic;
use crate::keys::{self, names};
use crate::load::inputs::read_inputs;
use crate::load::read_uses;
use crate::manifest::{Action, Manifest};
use crate::rule::Rule;
use crate::schedule::{self, Cron, Missed, Schedule};
use crate::workflow::Trigger;
use crate::yaml::{Node, Object, suggest};

/// How long a webhook waits for the outputs where nothing is said, and at most.
const USUAL_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(super) fn read_trigger(node: &Node<'_>, catalog: &Catalog) -> Option<(Trigger, Arc<Manifest>)> {
    let object = node.object(&names(keys::TRIGGER))?;
    let (uses, manifest) = read_uses(&object, catalog)?;
    let Action::Trigger(kind) = manifest.action else {
        let message = format!("`{}` does not start a workflow", manifest.name);
        node.report(
            Diagnostic::new(Rule::WRONG_NODE, uses.at(), message)
                .help("use webhook, schedule or manual here"),
        );
        return None;
    };
    let with = object.get("with");
    read_inputs(node, with.as_ref(), &manifest);
    let with = with.and_then(|with| with.any_object());
    let path = with.as_ref().and_then(|with| with.get("path")).filter(|_| kind == TriggerKind::Webhook);
    let path = path.and_then(|path| read_path(&path));
    let roles = with.as_ref().and_then(|with| with.get("roles")).and_then(|roles| roles.strings());
    let roles = roles.unwrap_or_default();
    let when = object.get("when").and_then(|node| node.condition());
    let respond_within = with.as_ref().and_then(read_respond);
    let schedule = with.as_ref().filter(|_| kind == TriggerKind::Schedule).and_then(read_schedule);
    Some((Trigger { kind, path, roles, respond_within, schedule, when }, manifest))
}

/// How long a webhook waits for the outputs. What may stand for an input is the node's word.
fn read_respond(with: &Object<'_>) -> Option<Duration> {
    let wants_outputs = with.get("respond").is_some_and(|node| node.value().as_str() == Some("outputs"));
    let Some(node) = with.get("within") else { return wants_outputs.then_some(USUAL_WAIT) };
    if !wants_outputs {
        let message = "`within` goes with `respond: outputs`: nobody waits here";
        node.report(Diagnostic::new(Rule::WRONG_KEY, node.key_at(), message).help("add `respond: outputs`"));
        return None;
    }
    let within = expr::duration::parse(node.value().as_str()?).ok()?;
    if within.is_zero() || within > LONGEST_WAIT {
        return node.not("a time that a sender waits: write more than zero and at most 60s");
    }
    Some(within)
}

fn read_schedule(with: &Object<'_>) -> Option<Schedule> {
    let wrong = |node: &Node<'_>, message: String, help: String| {
        node.report(Diagnostic::new(Rule::WRONG_VALUE, node.at(), message).help(help));
    };
    let cron = with.get("cron").and_then(|node| {
        let read = Cron::parse(node.string()?);
        read.map_err(|(message, help)| wrong(&node, message, help)).ok()
    });
    let zone = with.get("timezone").map_or(Some(schedule::UTC), |node| {
        let name = node.string()?;
        let zone = schedule::zone(name);
        if zone.is_none() {
            wrong(&node, format!("there is no time zone `{name}`"), suggest(name, schedule::zones()));
        }
        zone
    });
    // What else may stand there is the node's word.
    let missed = with.get("missed");
    let is_skip = missed.is_some_and(|node| node.value().as_str() == Some("skip"));
    Some(Schedule::new(cron?, zone?, if is_skip { Missed::Skip } else { Missed::RunOnce }))
}

pub(super) fn read_path(node: &Node<'_>) -> Option<String> {
    let path = node.string()?;
    let is_path = !path.is_empty()
        && path.len() <= 64
        && path.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if !is_path {
        return node.not("a path: write lower-case letters, digits, `-` and `_`, as in `wazuh`");
    }
    Some(path.to_owned())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    /// What a playbook with these triggers gives, and the findings.
    fn check(triggers: &str) -> (Vec<Trigger>, String) {
        let mut catalog = Catalog::default();
        catalog.add("webhook.yaml", include_str!("../../../../nodes/core/webhook.yaml")).unwrap();
        catalog.add("schedule.yaml", include_str!("../../../../nodes/core/schedule.yaml")).unwrap();
        catalog
            .add("set.yaml", "node: set\nsummary: x\neffect: read\non_doubt: retry\nengine: set\n")
            .unwrap();
        let text = format!("workflow: x\ntriggers:\n{triggers}steps:\n  - {{ id: a, uses: set }}\n");
        let (workflow, findings) = crate::load("x.yaml", &text, &catalog);
        (workflow.map(|workflow| workflow.triggers).unwrap_or_default(), findings.to_string())
    }

    #[test]
    fn a_schedule_has_a_zone_and_says_what_becomes_of_missed_times() {
        let (triggers, findings) = check(
            "  - { uses: schedule, with: { cron: '0  8 * * 1-5', timezone: Europe/Berlin, missed: skip } }\n  - { uses: schedule, with: { cron: '*/5 * * * *' } }\n",
        );
        assert_eq!(findings, "");
        let shown = triggers.iter().filter_map(|trigger| trigger.schedule.as_ref());
        let shown: Vec<String> = shown.map(|schedule| format!("{schedule} {:?}", schedule.missed)).collect();
        assert_eq!(shown, ["0 8 * * 1-5 Europe/Berlin Skip", "*/5 * * * * UTC RunOnce"]);
    }

    #[test]
    fn a_webhook_may_wait_for_the_outputs() {
        let with = |with: &str| format!("  - {{ uses: webhook, with: {{ path: x, {with} }} }}\n");
        let waits = |text: &str| check(&with(text)).0.iter().find_map(|trigger| trigger.respond_within);
        assert_eq!(waits("respond: receipt"), None);
        assert_eq!(waits("respond: outputs"), Some(Duration::from_secs(10)));
        assert_eq!(waits("respond: outputs, within: 1m"), Some(Duration::from_secs(60)));
        let wrong = [
            "within: 5s",
            "respond: outputs, within: 61s",
            "respond: outputs, within: soon",
            "respond: later",
        ];
        assert_snapshot!(check(&wrong.map(with).concat()).1, @r#"
        error[wrong-key]: `within` goes with `respond: outputs`: nobody waits here
         --> x.yaml:3:39
          |
        3 |   - { uses: webhook, with: { path: x, within: 5s } }
          |                                       ^^^^^^
          |
          = help: add `respond: outputs`

        error[wrong-value]: this is not a time that a sender waits: write more than zero and at most 60s
         --> x.yaml:4:65
          |
        4 |   - { uses: webhook, with: { path: x, respond: outputs, within: 61s } }
          |                                                                 ^^^

        error[wrong-input]: the input `within` has to be a duration such as 30s, not `"soon"`
         --> x.yaml:5:65
          |
        5 |   - { uses: webhook, with: { path: x, respond: outputs, within: soon } }
          |                                                                 ^^^^
          |
          = help: `within`: How long `respond: outputs` waits, at most 60s; 10s where nothing is said. Then the sender gets the receipt.

        error[wrong-input]: the input `respond` has to be one of receipt, outputs, not `"later"`
         --> x.yaml:6:48
          |
        6 |   - { uses: webhook, with: { path: x, respond: later } }
          |                                                ^^^^^
          |
          = help: `respond`: What the sender gets: at once which run it is, or what the run gives once it has ended.
        "#);
    }

    #[test]
    fn what_is_wrong_with_a_schedule_has_its_place() {
        let (_, findings) = check(
            "  - { uses: schedule, with: { cron: '0 25 * * *', timezone: Europe/Berln } }\n  - { uses: schedule, with: { cron: '0 8 30 2 *', missed: twice } }\n  - { uses: schedule }\n",
        );
        assert_snapshot!(findings, @r#"
        error[wrong-value]: `25` is no hour
         --> x.yaml:3:37
          |
        3 |   - { uses: schedule, with: { cron: '0 25 * * *', timezone: Europe/Berln } }
          |                                     ^^^^^^^^^^^^
          |
          = help: the hour is 0 to 23, as in `*`, `*/5`, `1`, `1-5` or `1,3`

        error[wrong-value]: there is no time zone `Europe/Berln`
         --> x.yaml:3:61
          |
        3 |   - { uses: schedule, with: { cron: '0 25 * * *', timezone: Europe/Berln } }
          |                                                             ^^^^^^^^^^^^
          |
          = help: did you mean `Europe/Berlin`?

        error[wrong-value]: this never fires
         --> x.yaml:4:37
          |
        4 |   - { uses: schedule, with: { cron: '0 8 30 2 *', missed: twice } }
          |                                     ^^^^^^^^^^^^
          |
          = help: there is no such day in any year

        error[wrong-input]: the input `missed` has to be one of run_once, skip, not `"twice"`
         --> x.yaml:4:59
          |
        4 |   - { uses: schedule, with: { cron: '0 8 30 2 *', missed: twice } }
          |                                                           ^^^^^
          |
          = help: `missed`: What becomes of times at which the server was away: one run for all of them, or none.

        error[missing-input]: the node `schedule` needs the input `cron`: Minute, hour, day of the month, month, weekday: `0 8 * * 1-5` is 08:00 from Monday to Friday.
         --> x.yaml:5:5
          |
        5 |   - { uses: schedule }
          |     ^^^^^^^^^^^^^^^^^^
        "#);
    }
}
