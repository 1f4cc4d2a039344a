//! A run's row in the index: what other keys follow from, and the row that lists show.

use std::sync::Arc;

use journal::Position;
use model::{RunId, RunStatus, RunSummary, Timestamp};
use store::Append;

use crate::keys::{self, Hash};

const VERSION: u8 = 1;
const FIXED: usize = 65;
/// The summary of a longer row stays in the journal; sled does not keep large values safe.
const LONGEST: usize = 3500;
const WAITS: u8 = 1;
/// It has finished, and facts may follow: what it holds is still to be undone.
const UNSETTLED: u8 = 2;
/// It says when it disrupted something.
const DISRUPTED: u8 = 4;
const HERE: u8 = 0;
const IN_JOURNAL: u8 = 1;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) status: RunStatus,
    pub(crate) waits_for_people: bool,
    /// Whether nothing follows any more.
    pub(crate) is_over: bool,
    pub(crate) has_disrupted: bool,
    pub(crate) next_seq: u32,
    pub(crate) updated_at: Timestamp,
    pub(crate) workflow: u32,
    pub(crate) source: u32,
    pub(crate) dedupe: Option<Taken>,
    pub(crate) summary: Shown,
}

/// A dedupe key that the run took.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Taken {
    pub(crate) key: Hash,
    pub(crate) until: Timestamp,
}

/// The row that lists show.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shown {
    /// As JSON.
    Here(Vec<u8>),
    /// In the append at this place.
    InJournal(Position),
    /// In this append, which lies there; one of the others once it is written.
    Of(Arc<Append>, Position),
}

impl Row {
    /// The row after this append, which lies there.
    pub(crate) fn new(append: &Arc<Append>, at: Position, dedupe: Option<Taken>) -> Row {
        Row::of(&append.summary, dedupe, Shown::Of(Arc::clone(append), at))
    }

    /// The row of a run that has ended without a fact of its own.
    pub(crate) fn ended(summary: &RunSummary, dedupe: Option<Taken>) -> Row {
        let json = serde_json::to_vec(summary).expect("a summary has string keys only");
        Row::of(summary, dedupe, Shown::Here(json))
    }

    fn of(summary: &RunSummary, dedupe: Option<Taken>, shown: Shown) -> Row {
        Row {
            status: summary.status,
            waits_for_people: !summary.waiting.is_empty(),
            is_over: summary.is_over(),
            has_disrupted: !summary.disrupted_at.is_empty(),
            next_seq: summary.next_seq,
            updated_at: summary.updated_at,
            workflow: keys::short_hash(&summary.workflow),
            source: keys::short_hash(summary.source.as_str()),
            dedupe,
            summary: shown,
        }
    }

    /// The keys that stand in the index because of this row.
    pub(crate) fn keys(&self, run: RunId) -> Vec<Vec<u8>> {
        let mut all = vec![
            keys::of_run(&keys::status_prefix(self.status), run),
            keys::of_run(&keys::workflow_prefix(self.workflow), run),
        ];
        if self.is_over {
            all.push(keys::finished(self.updated_at, run));
        } else {
            all.push(keys::of_run(&[keys::UNFINISHED], run));
        }
        if self.waits_for_people {
            all.push(keys::of_run(&[keys::WAITING], run));
        }
        if self.has_disrupted {
            all.push(keys::of_run(&[keys::DISRUPTED], run));
        }
        all
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED + 512);
        out.extend_from_slice(&[VERSION, keys::status_prefix(self.status)[1]]);
        let is_unsettled = self.status.is_finished() && !self.is_over;
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(self.waits_for_people, WAITS)
            | flag(is_unsettled, UNSETTLED)
            | flag(self.has_disrupted, DISRUPTED);
        out.extend_from_slice(&[flags, u8::from(self.dedupe.is_some())]);
        out.extend_from_slice(&self.next_seq.to_be_bytes());
        out.extend_from_slice(&self.updated_at.as_millis().to_be_bytes());
        out.extend_from_slice(&self.workflow.to_be_bytes());
        out.extend_from_slice(&self.source.to_be_bytes());
        let (key, until) =
            self.dedupe.as_ref().map_or(([0; 32], 0), |taken| (taken.key, taken.until.as_millis()));
        out.extend_from_slice(&until.to_be_bytes());
        out.extend_from_slice(&key);
        match &self.summary {
            Shown::Here(json) => {
                out.push(HERE);
                out.extend_from_slice(json);
            }
            Shown::InJournal(at) => {
                out.push(IN_JOURNAL);
                out.extend_from_slice(&at.as_u64().to_be_bytes());
            }
            Shown::Of(append, at) => {
                out.push(HERE);
                serde_json::to_writer(&mut out, &append.summary).expect("a summary has string keys only");
                if out.len() > LONGEST {
                    out.truncate(FIXED - 1);
                    out.push(IN_JOURNAL);
                    out.extend_from_slice(&at.as_u64().to_be_bytes());
                }
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Row> {
        let (fixed, rest) = bytes.split_first_chunk::<FIXED>()?;
        let number = |at: usize| fixed[at..].first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        let time = |at: usize| {
            let millis = fixed[at..].first_chunk().map(|bytes| i64::from_be_bytes(*bytes));
            millis.map(Timestamp::from_millis)
        };
        let taken = Taken { key: *fixed[32..].first_chunk()?, until: time(24)? };
        if fixed[0] != VERSION {
            return None;
        }
        let status = status(fixed[1])?;
        Some(Row {
            status,
            waits_for_people: fixed[2] & WAITS != 0,
            is_over: status.is_finished() && fixed[2] & UNSETTLED == 0,
            has_disrupted: fixed[2] & DISRUPTED != 0,
            next_seq: number(4)?,
            updated_at: time(8)?,
            workflow: number(16)?,
            source: number(20)?,
            dedupe: (fixed[3] != 0).then_some(taken),
            summary: match fixed[64] {
                HERE => Shown::Here(rest.to_vec()),
                _ => Shown::InJournal(Position::from_u64(u64::from_be_bytes(*rest.first_chunk()?))),
            },
        })
    }
}

fn status(code: u8) -> Option<RunStatus> {
    let all = [
        RunStatus::Running,
        RunStatus::Waiting,
        RunStatus::Succeeded,
        RunStatus::Failed,
        RunStatus::Cancelled,
    ];
    all.into_iter().find(|status| keys::status_prefix(*status)[1] == code)
}
