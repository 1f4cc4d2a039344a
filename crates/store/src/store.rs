//! The trait, and the values that cross it.

use std::io::Write;

use async_trait::async_trait;
use model::{Digest, Record, RunId, RunStatus, RunSummary, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an operation of a store gives.
pub type Result<T> = std::result::Result<T, Error>;

/// Keeps the journals of runs and what lists need to know about them.
///
/// Positions are ordered: when [`Store::durable`] has returned for a position, everything appended at or before it is
/// on disk. After a crash of the process nothing that was appended before a durable position is lost, and what comes
/// back is a prefix of each run's journal: never a gap, never half an append.
#[async_trait]
pub trait Store: Send + Sync {
    /// Appends to the journals of several runs. Each append is all or nothing and independent of its neighbours; the
    /// answers come in the order of the appends. When it returns, the facts are ordered and can be read, but they are
    /// not yet safe: see [`Store::durable`].
    ///
    /// An append is looked at in this order: its fence, its dedupe key, the number that it expects. If one of them
    /// breaks the contract of [`Append`], the call fails with [`Error::Refused`] and none of them is appended.
    async fn append(&self, appends: Vec<Append>) -> Result<Vec<Appended>>;

    /// Waits until everything at or before this position is on disk. One flush serves all who wait.
    async fn durable(&self, position: Position) -> Result<()>;

    /// The journal of a run, in order; empty if there is no such run. Fails with [`Error::Damaged`] where a record is
    /// known to be lost.
    async fn journal(&self, run: RunId) -> Result<Vec<Record>>;

    /// The row of one run.
    async fn summary(&self, run: RunId) -> Result<Option<RunSummary>>;

    /// Rows of runs, newest first.
    async fn runs(&self, query: Query) -> Result<Page>;

    /// Makes this process the one that performs the commands of all runs. Whoever did so before is fenced off. The fence
    /// is to be handed in with every append that follows from performing commands.
    async fn claim(&self, worker: &str) -> Result<Fence>;

    /// Gives up what was claimed under this fence, which is worth nothing from then on. No error if somebody else holds
    /// the claim already.
    async fn release(&self, fence: Fence) -> Result<()>;

    /// Keeps a workflow source; durable when it returns. Keeping the same source twice is no error.
    async fn put_source(&self, source: Source) -> Result<()>;

    /// The workflow source with this digest.
    async fn source(&self, digest: &Digest) -> Result<Option<Source>>;

    /// Keeps a small value under a name, in the stead of the one before; null takes it away. Durable when it returns.
    async fn put_note(&self, note: Note) -> Result<()>;

    /// The value that was kept last under this name.
    async fn note(&self, key: &str) -> Result<Option<Value>>;

    /// Forgets runs that finished before this point in time, as far as their storage can be given back; returns how
    /// many were forgotten. Runs that are not finished are always kept, and so are runs whose dedupe key is taken beyond
    /// that point in time.
    async fn prune(&self, finished_before: Timestamp) -> Result<u64>;

    /// When the first of the so many runs finished that finished last: to forget what finished before keeps so many. None
    /// if no more than that have finished.
    async fn finished_since(&self, runs: u64) -> Result<Option<Timestamp>>;

    /// Ends a run whose journal cannot be replayed, or does nothing if there is no such run: from then on this is its row, which has finished and whose
    /// `next_seq` is one beyond that of the row before; nothing can be appended to it, and its journal counts as damaged,
    /// for the reason that the row has as its error. Durable when it returns.
    async fn abandon(&self, row: RunSummary) -> Result<()>;

    /// Writes a copy that a store can be made from again: everything that is durable when it begins, and of what comes
    /// meanwhile nothing. The store goes on taking appends; it gives no storage back until the copy is done. Gives how many
    /// bytes were written. Fails with [`Error::Refused`] where there is nothing to copy from, or the writer fails.
    async fn backup(&self, now: Timestamp, to: Box<dyn Write + Send>) -> Result<u64>;

    /// How the store is.
    async fn health(&self) -> Health;
}

/// Facts to be added to the journal of one run, and the row that follows from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Append {
    /// The facts; never empty, and their sequence numbers follow one another. The first one's number says what the
    /// store's journal has to hold already: 0 creates the run.
    pub records: Vec<Record>,
    /// The row of the run after these facts; it names the run, and its `next_seq` is the number after the last fact.
    pub summary: RunSummary,
    /// Set on creation only: at most one run exists for a key until its time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<Dedupe>,
    /// The claim under which the writer performs commands; none for a writer that only adds a person's word.
    #[serde(skip)]
    pub fence: Option<Fence>,
}

impl Append {
    /// Which run.
    pub fn run(&self) -> RunId {
        self.summary.run
    }

    /// The number of facts that the run's journal has to hold already.
    pub fn expected_seq(&self) -> u32 {
        self.records.first().map_or(self.summary.next_seq, |record| record.seq)
    }

    /// Whether the caller keeps the contract of this type; every store asks before it looks at anything else.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], which names the run and what is wrong.
    pub fn check(&self) -> Result<()> {
        let refuse = |what: &str| Err(Error::Refused(format!("run {}: {what}", self.run())));
        let first = self.expected_seq();
        if self.records.is_empty() {
            return refuse("there are no records");
        }
        if self.dedupe.is_some() && first != 0 {
            return refuse("only the append that creates a run has a dedupe key");
        }
        if !self.records.iter().zip(first..=u32::MAX).all(|(record, seq)| record.seq == seq) {
            return refuse("the sequence numbers do not follow one another");
        }
        let next_seq = first.checked_add(u32::try_from(self.records.len()).unwrap_or(u32::MAX));
        if next_seq != Some(self.summary.next_seq) {
            return refuse("`next_seq` of the summary is not the number after the last record");
        }
        Ok(())
    }
}

/// What became of one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The facts are ordered at this position.
    At(Position),
    /// Somebody else was faster: reload, replay, try again.
    Conflict,
    /// A run for this key exists already, and nothing was created.
    Duplicate(RunId),
    /// The claim under which this was written is no longer held; stop performing commands.
    Fenced,
}

/// A place in the order of all appends of one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

impl Position {
    /// Behind everything that has been appended when [`Store::durable`] is asked for it.
    pub const LATEST: Position = Position(u64::MAX);
}

/// Proof of a claim: a later claim has a higher fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

/// One run for each key, until a point in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dedupe {
    /// The key, at most 512 bytes; a longer one is kept by its hash.
    pub key: String,
    /// From then on the key may start a new run.
    pub until: Timestamp,
}

/// Which rows to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only runs that stand there.
    pub status: Option<RunStatus>,
    /// Only runs of this workflow.
    pub workflow: Option<String>,
    /// Only runs that people have to decide something in.
    pub waits_for_people: bool,
    /// Only runs that are not over: something may follow in them.
    pub is_open: bool,
    /// Only runs whose row says when they disrupted something.
    pub has_disrupted: bool,
    /// Only runs older than this one: the `next` of the page before.
    pub before: Option<RunId>,
    /// At most this many rows; held within 1 and [`Query::MOST`].
    pub limit: usize,
}

impl Query {
    /// The most rows of one page.
    pub const MOST: usize = 1000;

    /// Whether this row is asked for, on whichever page it stands.
    pub fn admits(&self, row: &RunSummary) -> bool {
        self.status.is_none_or(|status| row.status == status)
            && self.workflow.as_ref().is_none_or(|workflow| row.workflow == *workflow)
            && (!self.waits_for_people || !row.waiting.is_empty())
            && (!self.is_open || !row.is_over())
            && (!self.has_disrupted || !row.disrupted_at.is_empty())
            && self.before.is_none_or(|before| row.run < before)
    }
}

impl Page {
    /// The page that these rows make: admitted ones, newest first, one more than the limit if there are more.
    pub fn of(rows: impl IntoIterator<Item = RunSummary>, query: &Query) -> Page {
        let limit = query.limit.clamp(1, Query::MOST);
        let mut runs: Vec<RunSummary> = rows.into_iter().take(limit + 1).collect();
        let has_more = runs.len() > limit;
        runs.truncate(limit);
        let next = runs.last().map(|row| row.run).filter(|_| has_more);
        Page { runs, next }
    }
}

impl Default for Query {
    fn default() -> Query {
        Query {
            status: None,
            workflow: None,
            waits_for_people: false,
            is_open: false,
            has_disrupted: false,
            before: None,
            limit: 100,
        }
    }
}

/// Rows, and where the next page begins.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The rows, newest run first.
    pub runs: Vec<RunSummary>,
    /// To be handed in as `before`; none: this was the last page.
    pub next: Option<RunId>,
}

/// A workflow's text with the node descriptions that it was checked against, as bytes that only the loader reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The name that runs are pinned to.
    pub digest: Digest,
    /// The text.
    pub text: String,
}

/// A small value under a name, for what is to outlive a process and belongs to no run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// The name.
    pub key: String,
    /// The value; null: none.
    pub value: Value,
}

impl Note {
    /// The name of the note that a store has which was restored from a copy: `{ at, from }`, when it was put in place and
    /// when the copy was made.
    pub const RESTORED: &str = "restored";
    /// The most bytes of a name.
    pub const LONGEST_KEY: usize = 512;
    /// The most bytes of a value, as JSON.
    pub const MOST_BYTES: usize = 4096;

    /// Whether the note is small enough; every store asks before it keeps one.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], which names the note.
    pub fn check(&self) -> Result<()> {
        let bytes = self.value.to_string().len();
        if self.key.len() > Note::LONGEST_KEY || bytes > Note::MOST_BYTES {
            return Err(Error::Refused(format!("the note `{}` is too large", self.key)));
        }
        Ok(())
    }
}

/// How a store is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether it takes appends.
    pub is_writable: bool,
    /// Why it takes none until it is opened again.
    pub failed: Option<String>,
    /// Bytes on disk; 0 for a store in memory.
    pub bytes: u64,
    /// How often facts were flushed to the disk since the store was opened.
    pub flushes: u64,
    /// How many bytes of facts were flushed since then.
    pub flushed_bytes: u64,
    /// What was found damaged or rebuilt since the store was opened, a sentence each.
    pub reports: Vec<String>,
}

/// A store cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk or the database failed; nothing more may be promised.
    #[error("the store failed: {0}")]
    Broken(String),
    /// Another process has the store open.
    #[error("{0}")]
    Locked(String),
    /// A record of this run is lost, so the run cannot be replayed.
    #[error("run {run}: {message}")]
    Damaged {
        /// Which run.
        run: RunId,
        /// What is lost and where.
        message: String,
    },
    /// The caller broke the contract, or asks for what cannot be. What was promised before is not affected.
    #[error("refused: {0}")]
    Refused(String),
    /// The disk has no room for more. What was promised before is not affected, and a later try may be taken.
    #[error("there is no room on the disk: {0}")]
    Full(String),
}
