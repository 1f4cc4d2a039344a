//! What one record of the journal holds: everything that the index is made from, so that the index can be made again.

use std::sync::Arc;

use journal::{Draft, Key};
use model::{Digest, RunId, RunSummary};
use serde::{Deserialize, Serialize};
use store::{Append, Note, Source};

/// The bytes that most entries do not need.
const ROOMY: usize = 4096;
/// The number in the key of records that are no run's.
pub(crate) const NO_RUN: u32 = u32::MAX;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Entry {
    /// Facts of a run, and the row after them.
    Append(Arc<Append>),
    /// A workflow source.
    Source(Arc<Source>),
    /// A small value under a name; of several the one with the highest version counts.
    Note { note: Arc<Note>, version: u64 },
    /// From here on this claim holds.
    Claimed { fence: u64, worker: String },
    /// A record of this run is lost, as the message says. With a row the run has ended, and that is its row.
    Lost {
        run: RunId,
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        row: Option<Box<RunSummary>>,
    },
    /// What these runs and sources left in earlier records means nothing any more.
    Forgotten { runs: Vec<RunId>, sources: Vec<Digest> },
}

impl Entry {
    pub(crate) fn key(&self) -> Key {
        let (run, seq) = match self {
            Entry::Append(append) => (*append.run().as_bytes(), append.expected_seq()),
            Entry::Lost { run, .. } => (*run.as_bytes(), NO_RUN),
            Entry::Source(_) | Entry::Note { .. } | Entry::Claimed { .. } | Entry::Forgotten { .. } => {
                ([0; 16], NO_RUN)
            }
        };
        Key { run, seq }
    }

    pub(crate) fn draft(&self) -> Draft {
        let mut payload = Vec::with_capacity(ROOMY);
        serde_json::to_writer(&mut payload, self)
            .expect("an entry has string keys only and no failing parts");
        Draft::new(self.key(), payload)
    }

    pub(crate) fn parse(payload: &[u8]) -> Result<Entry, serde_json::Error> {
        serde_json::from_slice(payload)
    }
}
