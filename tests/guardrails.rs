//! What the operator says counts, whoever has approved: what is never touched, how much is disrupted, the halt.

use model::{Event, RunStatus, WaitingFor};
use serde_json::json;

use crate::world::{World, alert};

/// A world with these guardrails and a run that ana has approved to block; gives what was said to the block.
async fn approved(guardrails: &str) -> (World, String, String) {
    let mut world = World::prepare(lab::Settings::default(), &[]).await;
    world.set_guardrails(guardrails);
    world.start().await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    world.settled(&run).await;
    let said = refusal(&world, &run).await;
    (world, run, said)
}

/// Why the block of a run has failed.
#[expect(clippy::wildcard_enum_match_arm, reason = "the test looks for one fact")]
async fn refusal(world: &World, run: &str) -> String {
    let failed = world.journal(run).await.into_iter().find_map(|record| match record.event {
        Event::StepFailed { step, failure, .. } if step.to_string() == "block" => Some(failure),
        _ => None,
    });
    failed.map(|failure| format!("{}: {failure}", failure.class)).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_touched_is_not_touched_although_it_was_approved() {
    let lists = [
        ("agents: [\"001\"]", "agent 001 in `inputs.agent` is never to be touched"),
        ("groups: [WEB]", "agent 001 is in the group `web`, which is never to be touched"),
        (
            "hosts: [\"web-*\"]",
            "agent 001 is the host `web-01` and matches `web-*`, which is never to be touched",
        ),
        ("addresses: [203.0.113.0/24]", "is in 203.0.113.0/24, which is never to be touched"),
        (
            "addresses: [192.0.2.11]",
            "agent 001 has the address 192.0.2.11 in 192.0.2.11, which is never to be touched",
        ),
    ];
    for (list, expected) in lists {
        let (world, _, said) = approved(&format!("{{ never_touch: {{ {list} }} }}")).await;
        assert!(said.starts_with("guardrail: ") && said.ends_with(expected), "{list}: {said}");
        assert_eq!(world.containment_requests(), 0, "{list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_budget_a_person_is_asked_once_more() {
    let (world, run, said) = approved("{ disruptions_per_hour: { all: 0 } }").await;
    assert_eq!(said, "");
    assert_eq!(world.containment_requests(), 0);
    let waiting = world.settled(&run).await.waiting;
    assert!(
        matches!(&waiting[0].reason, WaitingFor::Approval { ask, .. } if ask.contains("limit of 0 disruptions")),
        "{waiting:?}"
    );
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    assert_eq!(world.settled(&run).await.status, RunStatus::Succeeded);
    world.contained(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_disrupted_before_a_restart_counts() {
    let (mut world, _, _) = approved("{ disruptions_per_hour: { per_playbook: 1 } }").await;
    world.contained(1).await;
    world.kill().await;
    world.start().await;
    let mut second = alert();
    second["data"]["srcip"] = json!("203.0.113.77");
    let answer = world.post_hook(&second).await;
    let run = answer.body.pointer("/runs/0/run").unwrap().as_str().unwrap().to_owned();
    world.settled(&run).await;
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    let waiting = world.settled(&run).await.waiting;
    assert!(
        matches!(&waiting[0].reason, WaitingFor::Approval { ask, .. } if ask.contains("limit of 1 disruption of")),
        "{waiting:?}"
    );
    assert_eq!(world.containment_requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_disruption_is_halted_nothing_is_sent_also_after_a_restart() {
    let mut world = World::new().await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    let halted = world.post("/api/v1/halt", &json!({ "reason": "a drill" }), "bo").await;
    assert_eq!(halted.status, 200, "{:?}", halted.body);
    world.kill().await;
    world.start().await;
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    world.settled(&run).await;
    let said = refusal(&world, &run).await;
    assert!(
        said.starts_with("guardrail: disruption is halted by bo since ") && said.ends_with(": a drill"),
        "{said}"
    );
    assert_eq!(world.containment_requests(), 0);
}
