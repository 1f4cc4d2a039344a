//! A run's row in the index: what other keys follow from, and the row that lists show.

use std::sync::Arc;

use journal::Position;
use model::{RunId, RunStatus, RunSummary, Timestamp};
use sled::IVec;
use store::{Append, Query};

use crate::keys::{self, Hash};
use crate::place::Parts;

const VERSION: u8 = 2;
const FIXED: usize = 24;
/// A longer summary stays in the journal. sled does not keep large values safe: a row has 3,500 bytes at most, of which
/// places may take [`Parts::IN_ROW`] times twenty.
const LONGEST: usize = 2750;
const WAITS: u8 = 1;
/// It has finished, and facts may follow: what it holds is still to be undone.
const UNSETTLED: u8 = 2;
/// It says when it disrupted something.
const DISRUPTED: u8 = 4;
/// It took a dedupe key.
const HAS_KEY: u8 = 8;
/// Its summary is in the journal.
const IN_JOURNAL: u8 = 16;

/// What a row begins with: enough to tell for most lists whether the run is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    status: RunStatus,
    waits_for_people: bool,
    /// Whether nothing follows any more.
    is_over: bool,
    has_disrupted: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    head: Head,
    pub(crate) next_seq: u32,
    pub(crate) updated_at: Timestamp,
    pub(crate) workflow: u32,
    pub(crate) source: u32,
    pub(crate) dedupe: Option<Taken>,
    /// Where its first appends lie.
    pub(crate) parts: Parts,
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
    pub(crate) fn new(append: &Arc<Append>, at: Position, dedupe: Option<Taken>, parts: Parts) -> Row {
        Row::of(&append.summary, dedupe, parts, Shown::Of(Arc::clone(append), at))
    }

    /// The row of a run that has ended without a fact of its own.
    pub(crate) fn ended(summary: &RunSummary, dedupe: Option<Taken>, parts: Parts) -> Row {
        let json = serde_json::to_vec(summary).expect("a summary has string keys only");
        Row::of(summary, dedupe, parts, Shown::Here(json))
    }

    fn of(summary: &RunSummary, dedupe: Option<Taken>, parts: Parts, shown: Shown) -> Row {
        Row {
            head: Head {
                status: summary.status,
                waits_for_people: !summary.waiting.is_empty(),
                is_over: summary.is_over(),
                has_disrupted: !summary.disrupted_at.is_empty(),
            },
            next_seq: summary.next_seq,
            updated_at: summary.updated_at,
            workflow: keys::short_hash(&summary.workflow),
            source: keys::short_hash(summary.source.as_str()),
            dedupe,
            parts,
            summary: shown,
        }
    }

    /// What stands in the index because of this row, for lists.
    pub(crate) fn listed(&self, run: RunId) -> Vec<(IVec, IVec)> {
        let mut all = vec![keys::of_run(&keys::workflow_prefix(self.workflow), run)];
        match self.head.status {
            RunStatus::Waiting | RunStatus::Succeeded => {}
            status @ (RunStatus::Running | RunStatus::Failed | RunStatus::Cancelled) => {
                all.push(keys::of_run(&keys::status_prefix(status), run));
            }
        }
        if self.head.is_over {
            all.push(keys::finished(self.updated_at, run));
        }
        if self.head.has_disrupted {
            all.push(keys::of_run(&[keys::DISRUPTED], run));
        }
        let mut all: Vec<_> = all.into_iter().map(|key| (key.into(), IVec::default())).collect();
        if !self.head.is_over || self.head.waits_for_people {
            let key = keys::of_run(&[keys::OPEN], run);
            all.push((key.into(), self.head.encode().as_slice().into()));
        }
        all
    }

    /// Whether the run may be in this list. What is not in the row itself is not looked at.
    pub(crate) fn may_be_in(&self, query: &Query) -> bool {
        let workflow = query.workflow.as_ref();
        self.head.is_in(query) && workflow.is_none_or(|name| keys::short_hash(name) == self.workflow)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED + 640);
        let parts = u8::try_from(self.parts.0.len()).expect("few begin in the row");
        out.extend_from_slice(&self.head.encode());
        out.push(parts);
        out.extend_from_slice(&self.next_seq.to_be_bytes());
        out.extend_from_slice(&self.updated_at.as_millis().to_be_bytes());
        out.extend_from_slice(&self.workflow.to_be_bytes());
        out.extend_from_slice(&self.source.to_be_bytes());
        if let Some(taken) = &self.dedupe {
            out[2] |= HAS_KEY;
            out.extend_from_slice(&taken.until.as_millis().to_be_bytes());
            out.extend_from_slice(&taken.key);
        }
        self.parts.encode_to(&mut out);
        let begin = out.len();
        let in_journal = match &self.summary {
            Shown::Here(json) => {
                out.extend_from_slice(json);
                None
            }
            Shown::InJournal(at) => Some(at),
            Shown::Of(append, at) => {
                serde_json::to_writer(&mut out, &append.summary).expect("a summary has string keys only");
                (out.len() - begin > LONGEST).then_some(at)
            }
        };
        if let Some(at) = in_journal {
            out.truncate(begin);
            out.extend_from_slice(&at.as_u64().to_be_bytes());
            out[2] |= IN_JOURNAL;
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Row> {
        let (fixed, mut rest) = bytes.split_first_chunk::<FIXED>()?;
        let [_, _, flags, parts] = *fixed.first_chunk()?;
        let number = |at: usize| fixed[at..].first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        let mut dedupe = None;
        if flags & HAS_KEY != 0 {
            let (until, behind) = rest.split_first_chunk()?;
            let (key, behind) = behind.split_first_chunk()?;
            dedupe = Some(Taken { key: *key, until: Timestamp::from_millis(i64::from_be_bytes(*until)) });
            rest = behind;
        }
        let (parts, summary) = rest.split_at_checked(usize::from(parts) * Parts::LEN)?;
        Some(Row {
            head: Head::decode(bytes)?,
            next_seq: number(4)?,
            updated_at: Timestamp::from_millis(i64::from_be_bytes(*fixed[8..].first_chunk()?)),
            workflow: number(16)?,
            source: number(20)?,
            dedupe,
            parts: Parts::decode(parts)?,
            summary: if flags & IN_JOURNAL == 0 {
                Shown::Here(summary.to_vec())
            } else {
                Shown::InJournal(Position::from_u64(u64::from_be_bytes(*summary.first_chunk()?)))
            },
        })
    }
}

impl Head {
    fn encode(self) -> [u8; 3] {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(self.waits_for_people, WAITS)
            | flag(self.status.is_finished() && !self.is_over, UNSETTLED)
            | flag(self.has_disrupted, DISRUPTED);
        [VERSION, keys::status_code(self.status), flags]
    }

    /// From the value of a row or of [`keys::OPEN`].
    pub(crate) fn decode(value: &[u8]) -> Option<Head> {
        let [VERSION, status, flags] = *value.first_chunk()? else { return None };
        let status = self::status(status)?;
        Some(Head {
            status,
            waits_for_people: flags & WAITS != 0,
            is_over: status.is_finished() && flags & UNSETTLED == 0,
            has_disrupted: flags & DISRUPTED != 0,
        })
    }

    /// Whether a run with this head may be in this list.
    pub(crate) fn is_in(self, query: &Query) -> bool {
        query.status.is_none_or(|status| self.status == status)
            && (!query.waits_for_people || self.waits_for_people)
            && (!query.is_open || !self.is_over)
            && (!query.has_disrupted || self.has_disrupted)
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
    all.into_iter().find(|status| keys::status_code(*status) == code)
}
