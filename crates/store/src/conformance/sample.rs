//! Runs to fill a store with: what a store sees of them is real, what they tell is not.

use std::sync::Arc;

use model::{
    Asked, Digest, Event, Failure, FailureClass, Mode, Record, RunId, RunStatus, RunSummary, StepId,
    Timestamp, Trigger, TriggerKind, Waiting, WaitingFor, WorkflowRef,
};
use serde_json::json;

use crate::store::{Append, Dedupe, Source};

/// The run with this number: higher numbers are younger.
pub fn run(number: u32) -> RunId {
    let mut bytes = [0; 16];
    bytes[2..6].copy_from_slice(&number.to_be_bytes());
    bytes[6] = 0x70;
    bytes[8] = 0x80;
    RunId::from_bytes(bytes)
}

/// So many seconds after the moment at which the samples begin.
pub fn second(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + seconds * 1000)
}

/// A source whose digest is made of this byte.
pub fn source(byte: u8) -> Source {
    Source { digest: Digest::from_bytes([byte; 32]), text: format!("workflow: number_{byte}\n") }
}

/// The append that creates a run; it starts at [`second`] of its number.
pub fn create(number: u32) -> Append {
    let at = second(i64::from(number));
    let started = Event::RunStarted {
        workflow: WorkflowRef { name: "contain".to_owned(), source: source(1).digest },
        mode: Mode::Live,
        trigger: Trigger {
            kind: TriggerKind::Webhook,
            received_at: at,
            headers: [("user-agent".to_owned(), "wazuh".to_owned())].into(),
            query: Default::default(),
            by: None,
            parent: None,
            reconciled: false,
        },
        concurrency: None,
        alert: Arc::new(
            json!({ "rule": { "id": "5763", "level": 10 }, "agent": { "id": "001" }, "number": number }),
        ),
    };
    let summary = RunSummary {
        run: run(number),
        workflow: "contain".to_owned(),
        source: source(1).digest,
        about: format!("rule 5763 on agent {number}"),
        alert: None,
        reconciled: false,
        status: RunStatus::Running,
        started_at: at,
        updated_at: at,
        next_seq: 1,
        wake_at: None,
        waiting: Vec::new(),
        calls: Vec::new(),
        concurrency: None,
        is_queued: false,
        error: None,
        alerts_again: 0,
        containments: Vec::new(),
        disrupted_at: Vec::new(),
        is_unsettled: false,
    };
    Append { records: vec![record(0, at, started)], summary, dedupe: None, fence: None }
}

/// The append that creates a run unless one exists for this key; the key is taken for so many seconds.
pub fn create_once(number: u32, key: &str, seconds: i64) -> Append {
    let dedupe = Dedupe { key: key.to_owned(), until: second(i64::from(number) + seconds) };
    Append { dedupe: Some(dedupe), ..create(number) }
}

/// The append that follows `before` with so many facts, a second later.
pub fn follow(before: &Append, facts: u32) -> Append {
    let mut summary = before.summary.clone();
    let first = summary.next_seq;
    summary.updated_at = summary.updated_at.after(std::time::Duration::from_secs(1));
    summary.next_seq += facts;
    let fact = |seq| {
        let failure = Failure::new(FailureClass::Http(503), format!("answer {seq} was 503"));
        let event = Event::StepFailed { step: step().into(), failure, retry_at: None };
        record(seq, summary.updated_at, event)
    };
    Append { records: (first..first + facts).map(fact).collect(), summary, dedupe: None, fence: None }
}

/// The append that follows `before` and says where the run stands after it.
pub fn follow_as(before: &Append, status: RunStatus) -> Append {
    let mut append = follow(before, 1);
    append.summary.status = status;
    append
}

/// The append that follows `before` and leaves the run waiting for a person.
pub fn ask(before: &Append) -> Append {
    let mut append = follow_as(before, RunStatus::Waiting);
    let reason = WaitingFor::Approval {
        ask: "Block 203.0.113.7?".to_owned(),
        target: Some("agent/001/firewall-drop180".to_owned()),
        from: Asked { role: Some("responder".to_owned()), count: 2 },
        approved_by: vec!["ada".to_owned()],
        digest: source(9).digest,
        expires_at: Some(second(86_400)),
    };
    append.summary.waiting = vec![Waiting { step: step().into(), reason, since: append.summary.updated_at }];
    append
}

fn step() -> StepId {
    "block".parse().expect("it is an id")
}

fn record(seq: u32, at: Timestamp, event: Event) -> Record {
    Record { v: Record::VERSION, seq, at, event }
}
