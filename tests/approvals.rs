//! Nothing is contained without its gate: approved, rejected, expired, and who may say so.

use model::{RunStatus, WaitingFor};
use serde_json::{Value, json};

use crate::world::{World, alert};

/// The texts of everything that was written to the one case.
fn case_text(world: &World) -> String {
    let cases = world.lab.cases();
    assert_eq!(cases.len(), 1, "one alert opens one case");
    cases[0].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_containment_is_carried_out_once_and_the_case_tells_all_of_it() {
    let world = World::new().await;
    let run = world.post_alert().await;
    let waiting = world.settled(&run).await;
    assert_eq!(waiting.status, RunStatus::Waiting);
    assert_eq!(world.containment_requests(), 0, "nothing leaves before somebody approves");
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    let finished = world.settled(&run).await;
    assert_eq!(finished.status, RunStatus::Succeeded, "{finished:?}");
    let responses = world.lab.active_responses();
    assert_eq!(responses.len(), 1);
    let agent = alert().pointer("/agent/id").and_then(Value::as_str).unwrap().to_owned();
    assert_eq!(responses[0].agent, agent);
    let srcip = alert().pointer("/data/srcip").and_then(Value::as_str).unwrap().to_owned();
    assert_eq!(responses[0].alert.pointer("/data/srcip").and_then(Value::as_str), Some(srcip.as_str()));
    let case = case_text(&world);
    for expected in [srcip.as_str(), "ana", "seen on the console of the host", "web-01", &run] {
        assert!(case.contains(expected), "the case lacks `{expected}`: {case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_touches_nothing_and_is_written_to_the_case() {
    let world = World::new().await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    assert_eq!(world.decide(&run, "block", "reject", "ana").await.status, 200);
    let finished = world.settled(&run).await;
    assert_eq!(
        finished.status,
        RunStatus::Succeeded,
        "a rejection is a decision, not a failure: {finished:?}"
    );
    assert_eq!(world.containment_requests(), 0);
    let case = case_text(&world);
    assert!(case.contains("ana") && case.contains("seen on the console of the host"), "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_nobody_answers_expires_and_touches_nothing() {
    let shipped =
        std::fs::read_to_string(crate::world::repository().join("workflows/contain_ssh_bruteforce.yaml"))
            .unwrap();
    let quick = shipped.replace("expires: 30m", "expires: 300ms");
    assert_ne!(quick, shipped, "the shipped playbook asks for 30 minutes");
    let world = World::with(lab::Settings::default(), &[("contain_ssh_bruteforce.yaml", &quick)]).await;
    let run = world.post_alert().await;
    let finished = crate::world::eventually("the approval expires", async || {
        let summary = world.summary(&run).await;
        summary.status.is_finished().then_some(summary)
    })
    .await;
    assert_eq!(finished.status, RunStatus::Failed, "{finished:?}");
    assert_eq!(world.containment_requests(), 0);
    let late = world.decide(&run, "block", "approve", "ana").await;
    assert_eq!(late.status, 409, "{:?}", late.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_right_person_decides_and_only_for_what_they_saw() {
    let world = World::new().await;
    let run = world.post_alert().await;
    let waiting = world.settled(&run).await;
    let WaitingFor::Approval { digest, .. } = &waiting.waiting[0].reason else { panic!("{waiting:?}") };
    let path = format!("/api/v1/approvals/{run}/block");
    let without_role = world.decide(&run, "block", "approve", "bo").await;
    assert_eq!(without_role.status, 403, "{:?}", without_role.body);
    let in_another_name = json!({ "decision": "approve", "reason": "x", "by": "cem" });
    assert_eq!(world.post(&path, &in_another_name, "ana").await.status, 403);
    let for_something_else = json!({ "decision": "approve", "reason": "x", "digest": "0".repeat(64) });
    assert_eq!(world.post(&path, &for_something_else, "ana").await.status, 409);
    assert_eq!(world.post(&path, &json!({ "decision": "reject" }), "ana").await.status, 422);
    assert_eq!(world.containment_requests(), 0);
    let right = json!({ "decision": "approve", "reason": "x", "digest": digest, "by": "cem" });
    let taken = world.post(&path, &right, "chatops").await;
    assert_eq!(taken.status, 200, "{:?}", taken.body);
    world.settled(&run).await;
    let journal = serde_json::to_string(&world.journal(&run).await).unwrap();
    assert!(journal.contains(r#""name":"cem","via":"chatops""#), "{journal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_approve_in_the_same_moment_are_one_decision() {
    let world = World::new().await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    let decisions = futures::future::join_all((0..10).map(|n| {
        let decision = if n % 3 == 2 { "reject" } else { "approve" };
        world.decide(&run, "block", decision, "ana")
    }));
    let mut statuses: Vec<u16> = decisions.await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200], vec![409; 9]].concat());
    let finished = world.settled(&run).await;
    assert_eq!(finished.status, RunStatus::Succeeded, "{finished:?}");
    let journal = world.journal(&run).await;
    let decided = journal.iter().filter_map(|record| {
        let model::Event::ApprovalDecided { decision, .. } = &record.event else { return None };
        Some(*decision)
    });
    let decided: Vec<model::Decision> = decided.collect();
    assert_eq!(decided.len(), 1);
    let effects = usize::from(decided == [model::Decision::Approve]);
    assert_eq!((world.containment_requests(), world.lab.active_responses().len()), (effects, effects));
}
