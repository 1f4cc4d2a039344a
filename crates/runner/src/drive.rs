//! The loop of a run: append facts, perform commands, feed the results back.
//!
//! Facts are appended before anything is done about them that leaves a trace: where a call does, everything that led to
//! it is on disk before it is made; where a person is told something, it is on disk before they are told. Nowhere else
//! does anybody wait for the disk: what was only read is read again. So what was read is not even appended at once, but
//! with what follows.

mod committed;
mod written;

use std::collections::{BTreeSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use engine::{CallId, Child, Command, Input, Run, Verdict};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use model::{Outcome, RunId, RunSummary, Timestamp};
use store::Position;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::ended::Ended;
use crate::error::Error;
use crate::runner::Shared;
use written::Unwritten;

/// How long a run is left alone that could not be loaded, or whose task panicked.
const AFTER_A_FAILURE: Duration = Duration::from_secs(60);
/// After how long a run that could not be made is tried again.
const WHILE_BUSY: Duration = Duration::from_secs(1);

/// What a run is told, and who waits for the answer.
pub(crate) struct Letter {
    pub(crate) input: Input,
    pub(crate) reply: Option<oneshot::Sender<Result<RunSummary, Error>>>,
}

type Call = BoxFuture<'static, (CallId, Outcome)>;

/// Drives a run that is in the store and not in memory.
pub(crate) async fn load_and_drive(shared: Arc<Shared>, id: RunId, mut mailbox: mpsc::Receiver<Letter>) {
    match load(&shared, id).await {
        // Nobody in this process has seen what became of attempts that were under way when the run was last in memory.
        // That is the first thing it is told: before, nothing may be performed.
        Ok(run) => {
            let word = if shared.is_of_a_copy(&run.summary()) { Input::Restored } else { Input::Recovered };
            Driver::new(shared, run, mailbox, Position::default()).drive(Some(word)).await;
        }
        Err(error) => {
            if !matches!(error, Error::NoSuchRun(_)) {
                error!(run = %id, %error, "a run cannot be loaded");
            }
            if matches!(error, Error::Damaged { .. }) {
                // It does nothing any more, and must not hold up those that wait for its turn.
                if let Ok(Some(summary)) = shared.store.summary(id).await {
                    shared.give_up_turn(&summary.workflow, summary.concurrency.as_deref(), id);
                }
            }
            // What is lost is lost; anything else may be mended.
            if !matches!(error, Error::NoSuchRun(_) | Error::Damaged { .. }) {
                shared.timers.set(id, Some(shared.clock.now().after(AFTER_A_FAILURE)));
            }
            while let Some(letter) = shared.retire(id, &mut mailbox) {
                if let Some(reply) = letter.reply {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}

pub(crate) async fn load(shared: &Shared, id: RunId) -> Result<Run, Error> {
    let store = shared.store.as_ref();
    let Some(summary) = store.summary(id).await? else {
        return Err(Error::NoSuchRun(id));
    };
    let workflow = shared.pinned.get(&summary.source, store).await?;
    let journal = store.journal(id).await?;
    Run::replay(id, workflow, &journal)
        .map_err(|corrupt| Error::Damaged { run: id, message: corrupt.to_string() })
}

/// Drives a run that was just created until it waits for a person or the clock, or has finished.
pub(crate) async fn drive(
    shared: Arc<Shared>,
    run: Run,
    mailbox: mpsc::Receiver<Letter>,
    position: Position,
    ended: oneshot::Sender<(Ended, Position)>,
) {
    let mut driver = Driver::new(shared, run, mailbox, position);
    driver.ended = Some(ended);
    driver.drive(None).await;
}

/// What came while the disk was full.
enum Kept {
    /// It counts as under way until the run is told: it must not be made again.
    Ended(CallId, Outcome),
    Letter(Letter),
}

struct Driver {
    shared: Arc<Shared>,
    run: Run,
    unwritten: Unwritten,
    mailbox: mpsc::Receiver<Letter>,
    /// The position of the last append.
    position: Position,
    under_way: BTreeSet<CallId>,
    /// The runs that this one has called, as far as this process knows.
    called: BTreeSet<RunId>,
    calls: FuturesUnordered<Call>,
    /// What came while the disk was full.
    kept: VecDeque<Kept>,
    /// Whether those who wait for its end know of it.
    has_handed_on: bool,
    /// Who waits for the answer of the run, since it was made.
    ended: Option<oneshot::Sender<(Ended, Position)>>,
}

impl Driver {
    fn new(shared: Arc<Shared>, run: Run, mailbox: mpsc::Receiver<Letter>, position: Position) -> Driver {
        let (under_way, called) = (BTreeSet::new(), BTreeSet::new());
        let (calls, kept) = (FuturesUnordered::new(), VecDeque::new());
        let unwritten = Unwritten::default();
        Driver {
            shared,
            run,
            unwritten,
            mailbox,
            position,
            under_way,
            called,
            calls,
            kept,
            has_handed_on: false,
            ended: None,
        }
    }

    async fn drive(mut self, first: Option<Input>) {
        let id = self.run.id();
        let driven = AssertUnwindSafe(self.run_to_rest(first)).catch_unwind().await;
        let Ok(result) = driven else {
            error!(run = %id, "the task of a run panicked");
            self.shared.give_back(id).await;
            self.shared.forget(id);
            self.shared.timers.set(id, Some(self.shared.clock.now().after(AFTER_A_FAILURE)));
            return;
        };
        let Err(error) = result else { return };
        error!(run = %self.run.id(), %error, "a run stopped");
        self.shared.forget(self.run.id());
        if matches!(error, Error::Damaged { .. } | Error::Refused(_)) {
            self.shared.give_back(id).await;
            self.shared.give_up_turn(&self.run.workflow().name, self.run.concurrency(), id);
        } else {
            self.shared.stop(&error.to_string());
        }
    }

    async fn run_to_rest(&mut self, first: Option<Input>) -> Result<(), Error> {
        if let Some(input) = first {
            self.take(Letter { input, reply: None }).await?;
        }
        loop {
            self.hand_on();
            self.admit().await?;
            self.clear().await?;
            self.perform_commands().await?;
            self.call_runs().await?;
            let letter = if let Some(kept) = self.kept.pop_front() {
                match kept {
                    Kept::Ended(call, outcome) => self.done(call, outcome),
                    Kept::Letter(letter) => letter,
                }
            } else if self.calls.is_empty() {
                match self.mailbox.try_recv() {
                    Ok(letter) => letter,
                    Err(_) => match self.rest().await? {
                        Some(letter) => letter,
                        None => return Ok(()),
                    },
                }
            } else {
                // A retry or an expiry does not wait for calls that are under way beside it.
                self.shared.timers.set(self.run.id(), self.wake_at());
                let until = self.unwritten.until;
                tokio::select! {
                    Some((call, outcome)) = self.calls.next() => self.done(call, outcome),
                    Some(letter) = self.mailbox.recv() => letter,
                    () = at(until), if until.is_some() => {
                        self.write().await?;
                        continue;
                    }
                }
            };
            self.take(letter).await?;
        }
    }

    /// What is to be said of a call that has ended.
    fn done(&mut self, call: CallId, outcome: Outcome) -> Letter {
        failpoints::reach("drive.outcome");
        self.under_way.remove(&call);
        let CallId { step, attempt, look } = call;
        let input = match look {
            None => Input::Finished { step, attempt, outcome },
            Some(look) => Input::Looked { step, look, outcome },
        };
        Letter { input, reply: None }
    }

    /// Starts what waits for its turn, once the turn has come.
    async fn admit(&mut self) -> Result<(), Error> {
        let (run, workflow) = (self.run.id(), &self.run.workflow().name);
        let is_first = |key| self.shared.turns.is_first(workflow, key, run);
        if self.run.is_queued() && self.run.concurrency().is_some_and(is_first) {
            self.take(Letter { input: Input::Admitted, reply: None }).await?;
        }
        Ok(())
    }

    /// Hands on what the run held for others, once it has finished. What it contains it may hold for longer.
    fn hand_on(&mut self) {
        if self.run.status().is_finished() && !self.has_handed_on {
            self.has_handed_on = true;
            if let Some(ended) = self.ended.take().filter(|ended| !ended.is_closed()) {
                // Whoever waits may go.
                let _ = ended.send((Ended::of(&self.run), self.position));
            }
            self.shared.ended(&self.run);
        }
    }

    /// Nothing is under way: leaves the run to the clock and to people, unless a letter has come. What people are asked
    /// is on disk first: a question that a crash takes back would be answered in vain.
    async fn rest(&mut self) -> Result<Option<Letter>, Error> {
        self.write().await?;
        let run = self.run.id();
        if !self.run.is_over() {
            self.shared.store.durable(self.position).await?;
        }
        failpoints::reach("drive.rest");
        self.shared.timers.set(run, self.wake_at());
        Ok(self.shared.retire(run, &mut self.mailbox))
    }

    /// Asks for all that may not be done before somebody has said so. What has to wait is asked for again when the
    /// ledger changes.
    async fn clear(&mut self) -> Result<(), Error> {
        let mut waits = BTreeSet::new();
        loop {
            let mut open = self.run.clearances().into_iter();
            let Some(clearance) = open.find(|clearance| !waits.contains(&clearance.step)) else {
                return Ok(());
            };
            if self.shared.is_stopped() {
                return Ok(());
            }
            let is_undo = clearance.step.is_undo;
            match self.shared.clear(&self.run, &clearance).await {
                None => drop(waits.insert(clearance.step)),
                // What is recorded as begun and never sent would be in doubt.
                Some(Verdict::Go) if self.shared.is_stopped() => return Ok(()),
                Some(verdict) => {
                    let input = Input::Cleared { step: clearance.step, verdict };
                    failpoints::reach(if is_undo { "undo.before" } else { "clear.before" });
                    self.take(Letter { input, reply: None }).await?;
                    failpoints::reach("clear.recorded");
                    let held = self.run.containments();
                    self.shared.settle_ledger(self.run.id(), &self.run.workflow().name, &held);
                }
            }
        }
    }

    /// Makes the runs that perform steps of this one. That they are called is on disk first: a run that nobody knows to
    /// have called another would call it twice.
    async fn call_runs(&mut self) -> Result<(), Error> {
        let children = self.run.children().into_iter().filter(|child| !self.called.contains(&child.run));
        let new: Vec<Child> = children.collect();
        if new.is_empty() || self.shared.is_stopped() {
            return Ok(());
        }
        self.write().await?;
        self.shared.store.durable(self.position).await?;
        for child in new {
            failpoints::reach("child.before");
            match self.shared.call(&child).await {
                Ok(()) => {
                    failpoints::reach("child.made");
                    self.called.insert(child.run);
                }
                Err(Error::Busy) => {}
                // The next process makes it.
                Err(Error::Stopped(_)) if self.shared.is_stopped() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// When the clock has to look at the run again; soon, where a run that it calls could not be made.
    fn wake_at(&self) -> Option<Timestamp> {
        let is_owed = self.run.children().iter().any(|child| !self.called.contains(&child.run));
        let soon = is_owed.then(|| self.shared.clock.now().after(WHILE_BUSY));
        self.run.wake_at().into_iter().chain(soon).min()
    }

    fn new_commands(&self) -> Vec<Command> {
        let commands = self.run.commands().into_iter();
        commands.filter(|command| !self.under_way.contains(&command.id())).collect()
    }

    async fn perform_commands(&mut self) -> Result<(), Error> {
        if self.shared.is_stopped() {
            return Ok(());
        }
        let mut new = self.new_commands();
        if new.iter().any(|command| command.needs_durable_intent) {
            if !self.unwritten.is_empty() {
                self.write().await?;
                // Another writer may have been faster.
                new = self.new_commands();
            }
            self.shared.store.durable(self.position).await?;
        }
        for command in new {
            failpoints::reach("drive.perform");
            self.under_way.insert(command.id());
            self.calls.push(Box::pin(perform(self.shared.clone(), command)));
        }
        Ok(())
    }
}

/// Never, where there is no such point in time.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn perform(shared: Arc<Shared>, command: Command) -> (CallId, Outcome) {
    let run = command.run;
    let permit = shared.calls.acquire().await;
    debug!(%run, step = %command.step, attempt = command.attempt, node = %command.node.name, "call started");
    // Somebody may have halted all disruption since this was cleared.
    let outcome = match shared.halt.refuses().filter(|_| command.is_disruption) {
        Some(failure) => Outcome::Failed(failure),
        None => shared.executor.perform(&command).await,
    };
    drop(permit);
    shared.metrics.called(&command.node.name, &outcome);
    match &outcome {
        Outcome::Succeeded(_) => debug!(%run, step = %command.step, "call done"),
        Outcome::Failed(failure) => info!(%run, step = %command.step, class = %failure.class, "call failed"),
        Outcome::Unknown(failure) => {
            warn!(%run, step = %command.step, class = %failure.class, "call with unknown outcome");
        }
    }
    (command.id(), outcome)
}
