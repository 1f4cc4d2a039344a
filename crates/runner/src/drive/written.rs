//! What the run is told, and how it gets into the store.

use std::time::Duration;

use engine::{Input, Rejected};
use futures::StreamExt as _;
use model::{Event, Record, RunSummary};
use serde_json::Value;
use store::Appended;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{debug, error};

use super::{Driver, Kept, Letter, load};
use crate::error::Error;

const MOST_CONFLICTS: u32 = 8;
/// For so long facts of calls that only read wait for others, while a call is under way: whoever looks at the run hardly
/// notices.
const UNWRITTEN_FOR: Duration = Duration::from_millis(100);
/// So many of them wait, and none with a larger value: an append has to fit into the store.
const MOST_UNWRITTEN: usize = 64;
const LARGEST_UNWRITTEN: usize = 64 << 10;

/// How often it is looked whether a full disk has room again.
const WHILE_DISK_IS_FULL: Duration = Duration::from_secs(1);

/// What the run knows and the store does not.
#[derive(Default)]
pub(super) struct Unwritten {
    records: Vec<Record>,
    /// What the run was told, should it have to be told again.
    inputs: Vec<Input>,
    /// Whether some of it cannot wait for what follows.
    is_urgent: bool,
    /// When it has to be written at the latest.
    pub(super) until: Option<Instant>,
}

impl Unwritten {
    pub(super) fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }
}

impl Driver {
    pub(super) async fn take(&mut self, letter: Letter) -> Result<(), Error> {
        let Letter { input, reply } = letter;
        if reply.is_some() {
            // Who asks may hear that the disk is full, and then the run is as if nothing was said.
            self.write().await?;
        }
        let is_read = self.is_of_a_read(&input);
        let result = self.note(input);
        failpoints::reach("drive.told");
        if is_read && !self.unwritten.is_urgent {
            self.unwritten.until.get_or_insert_with(|| Instant::now() + UNWRITTEN_FOR);
            return Ok(());
        }
        let result = match self.append(reply.is_some()).await {
            Ok(told_again) => told_again.unwrap_or(result),
            Err(Error::Full(why)) if reply.is_some() => {
                self.unwritten = Unwritten::default();
                answer(reply, Err(Error::Full(why)));
                return self.reload().await;
            }
            Err(error) => return Err(error),
        };
        failpoints::reach("drive.appended");
        if reply.is_some() {
            self.shared.store.durable(self.position).await?;
            failpoints::reach("drive.durable");
            answer(reply, result.map(|()| self.run.summary()).map_err(Error::from));
        }
        Ok(())
    }

    /// Whether this is what became of a call that leaves no trace.
    fn is_of_a_read(&self, input: &Input) -> bool {
        let Input::Finished { step, .. } = input else { return false };
        !self.shared.is_stopped() && self.run.only_reads(step)
    }

    /// Tells the run something; what follows from it is not written yet.
    fn note(&mut self, input: Input) -> Result<(), Rejected> {
        let (records, result) = self.tell(input.clone());
        if let Err(rejected) = &result {
            debug!(run = %self.run.id(), %rejected, "an input was rejected");
        }
        let unwritten = &mut self.unwritten;
        let is_much = unwritten.records.len() + records.len() > MOST_UNWRITTEN;
        unwritten.is_urgent |= is_much || !records.iter().all(can_wait);
        unwritten.records.extend(records);
        unwritten.inputs.push(input);
        result
    }

    /// Appends what was not written yet, if anything; nobody waits for it.
    pub(super) async fn write(&mut self) -> Result<(), Error> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        self.append(false).await.map(drop)
    }

    /// Appends what was not written yet. Where another writer was faster the run is told once more all that it was told
    /// since; what it says then to the last of it is given.
    async fn append(&mut self, is_for_somebody: bool) -> Result<Option<Result<(), Rejected>>, Error> {
        let mut result = None;
        for _ in 0..=MOST_CONFLICTS {
            let records = &self.unwritten.records;
            let stops = records.iter().find_map(why_children_stop);
            match self.commit(is_for_somebody).await? {
                Appended::At(position) => {
                    self.position = self.position.max(position);
                    self.unwritten = Unwritten::default();
                    if let Some(why) = stops {
                        self.shared.cancel_children(&self.run, why);
                    }
                    return Ok(result);
                }
                Appended::Conflict => {
                    let Unwritten { inputs, .. } = std::mem::take(&mut self.unwritten);
                    self.reload().await?;
                    for input in inputs {
                        result = Some(self.note(input));
                    }
                }
                Appended::Fenced => {
                    return Err(Error::Stopped(
                        "another worker has taken over the runs of this one".to_owned(),
                    ));
                }
                Appended::Duplicate(run) => {
                    return Err(Error::Stopped(format!("the store took run {run} for new")));
                }
            }
        }
        let message = "another writer was faster, again and again";
        Err(Error::Damaged { run: self.run.id(), message: message.to_owned() })
    }

    /// Makes the run what the store says; where the disk is full that cannot be read either.
    async fn reload(&mut self) -> Result<(), Error> {
        loop {
            match load(&self.shared, self.run.id()).await {
                Err(Error::Full(_)) => self.wait_for_room().await?,
                loaded => return loaded.map(|run| self.run = run),
            }
        }
    }

    /// Appends facts. Where the disk is full they are kept until there is room, unless somebody waits for an answer: what
    /// became of a call is known to nobody else. If the process ends before, the call is in doubt.
    async fn commit(&mut self, is_for_somebody: bool) -> Result<Appended, Error> {
        let mut has_warned = false;
        loop {
            let records = self.unwritten.records.clone();
            let facts = records.len();
            let answer = self.shared.commit(&self.run, records, None).await;
            match answer {
                Err(store::Error::Full(why)) if !is_for_somebody => {
                    if !std::mem::replace(&mut has_warned, true) {
                        let run = self.run.id();
                        error!(%run, facts, why, "the disk is full: a run waits for room, and keeps what it has to record");
                    }
                    self.wait_for_room().await?;
                }
                answer => return Ok(answer?),
            }
        }
    }

    /// Waits until it is worth another try. Calls that are under way go on meanwhile, and who asks is told.
    async fn wait_for_room(&mut self) -> Result<(), Error> {
        let pause = tokio::time::sleep(WHILE_DISK_IS_FULL);
        tokio::pin!(pause);
        let mut stopped = self.shared.stopped();
        loop {
            let letter = tokio::select! {
                () = &mut pause => return Ok(()),
                Ok(why) = stopped.wait_for(Option::is_some) => {
                    return Err(Error::Stopped(why.clone().unwrap_or_default()));
                }
                Some((call, outcome)) = self.calls.next() => {
                    self.kept.push_back(Kept::Ended(call, outcome));
                    continue;
                }
                Some(letter) = self.mailbox.recv() => letter,
            };
            match letter.reply {
                Some(reply) => {
                    let full = "the disk of the store is full, and this run waits for room".to_owned();
                    // Whoever asked may have gone.
                    let _ = reply.send(Err(Error::Full(full)));
                }
                None => self.kept.push_back(Kept::Letter(letter)),
            }
        }
    }

    /// Once the runner stops, only what became of calls is recorded: what would follow is for the next process.
    fn tell(&mut self, input: Input) -> (Vec<Record>, Result<(), Rejected>) {
        let now = self.shared.clock.now();
        if self.shared.is_stopped()
            && let Input::Finished { step, attempt, outcome } = input
        {
            return self.run.note(step, attempt, outcome, now);
        }
        if self.shared.is_stopped() && matches!(input, Input::Looked { .. }) {
            // The next process looks again.
            return (Vec::new(), Ok(()));
        }
        self.run.handle(input, now)
    }
}

fn answer(to: Option<oneshot::Sender<Result<RunSummary, Error>>>, answer: Result<RunSummary, Error>) {
    if let Some(to) = to {
        // Whoever asked may have gone; what was recorded stays.
        let _ = to.send(answer);
    }
}

/// Whether a fact may be lost with the process, and is small: it says how far a run has come, and nothing that people or
/// other runs go by.
fn can_wait(record: &Record) -> bool {
    let is_small = |value: &Value| engine::size(value) <= LARGEST_UNWRITTEN;
    if let Event::StepStarted { inputs, holds: None, .. } = &record.event {
        return is_small(inputs);
    }
    if let Event::StepSucceeded { output, .. } = &record.event {
        return is_small(output);
    }
    matches!(record.event, Event::StepFailed { .. } | Event::StepSkipped { .. })
}

/// Whether a fact ends what the runs that this one has called were called for.
fn why_children_stop(record: &Record) -> Option<&'static str> {
    if matches!(record.event, Event::RunTimedOut) {
        return Some("took longer than it may");
    }
    matches!(record.event, Event::RunCancelled { .. }).then_some("was cancelled")
}
