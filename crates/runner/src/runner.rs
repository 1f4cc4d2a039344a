//! Who drives which run, and the way in for people.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::{Input, Run};
use futures::FutureExt as _;
use model::{Decision, Digest, Person, Resolution, RunId, RunStatus, RunSummary, StepKey, Timestamp};
use store::{Fence, Query, Store};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::clock::Clock;
use crate::drive::{self, Letter};
use crate::ended::End;
use crate::error::Error;
use crate::executor::Executor;
use crate::guard::{Guard, Unguarded};
use crate::halt::Halt;
use crate::ledger::{Contained, Ledger};
use crate::metrics::Metrics;
use crate::pinned::Pinned;
use crate::reconcile::{self, Reconcile, Reconciling};
use crate::retention::{self, Forgotten, Retention};
use crate::schedules;
use crate::timers::{Due, Timers, timers};
use crate::turns::Turns;
use crate::upkeep;
use crate::workflows::Workflows;

/// How often the store is asked whether it has failed.
const ASKED: Duration = Duration::from_secs(1);
const MAILBOX: usize = 256;
const UPDATES: usize = 4096;

/// What bounds a runner.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who performs commands, for the store's claims.
    pub worker: String,
    /// How many runs may be in memory when one more is started; what comes then is asked to come again. A quarter of it
    /// beside is for those that the clock wakes, so that neither new runs keep an undo from its time nor many that are
    /// due at once keep alerts out. At twice as many, nobody wakes another one.
    pub most_active_runs: usize,
    /// How many calls may be under way at once.
    pub most_calls: usize,
    /// Where runs are driven; none: where the runner is opened.
    pub drivers: Option<Handle>,
    /// Which finished runs are kept.
    pub retention: Retention,
    /// The time that runs are told.
    pub clock: Clock,
    /// Who is asked before each disruptive call.
    pub guard: Arc<dyn Guard>,
    /// The role that it takes to end a halt of all disruption.
    pub resume_role: String,
    /// Where alerts that do not come by themselves are asked for, if anywhere.
    pub reconcile: Option<Reconcile>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            worker: "local".to_owned(),
            most_active_runs: 10_000,
            most_calls: 512,
            drivers: None,
            retention: Retention::default(),
            clock: Clock::System,
            guard: Arc::new(Unguarded),
            resume_role: "admin".to_owned(),
            reconcile: None,
        }
    }
}

/// Drives runs; cheap to clone.
#[derive(Clone)]
pub struct Runner {
    pub(crate) shared: Arc<Shared>,
}

/// Facts were recorded in a run.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    /// Which run.
    pub run: RunId,
    /// How many facts its journal holds.
    pub next_seq: u32,
}

pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) clock: Clock,
    /// Replaced as a whole, never changed; who watches hears of it.
    pub(crate) workflows: watch::Sender<Arc<Workflows>>,
    pub(crate) pinned: Pinned,
    pub(crate) fence: Fence,
    pub(crate) timers: Timers,
    /// Where runs are driven, whoever starts or wakes them.
    drivers: Handle,
    pub(crate) turns: Turns,
    pub(crate) ledger: Ledger,
    pub(crate) calls: Semaphore,
    pub(crate) updates: broadcast::Sender<Update>,
    pub(crate) metrics: Metrics,
    pub(crate) forgotten: Forgotten,
    /// When the store was restored from a backup.
    pub(crate) restored_at: Option<Timestamp>,
    pub(crate) guard: Arc<dyn Guard>,
    pub(crate) halt: Halt,
    pub(crate) resume_role: String,
    pub(crate) reconciling: Option<Arc<Reconciling>>,
    most_active_runs: usize,
    /// One for each run that the clock may wake beside those that it has woken.
    wakes: Arc<Semaphore>,
    active: Mutex<HashMap<RunId, mpsc::Sender<Letter>>>,
    /// Why the runner does nothing any more; empty while it works.
    stopped: watch::Sender<Option<String>>,
}

impl Runner {
    /// Claims the runs of a store, takes up what was under way, and drives from then on. Must be called within tokio.
    pub async fn open(
        store: Arc<dyn Store>,
        executor: Arc<dyn Executor>,
        workflows: Workflows,
        settings: Settings,
    ) -> Result<Runner, Error> {
        let pinned = Pinned::default();
        for workflow in workflows.iter() {
            pinned.keep(workflow, store.as_ref()).await?;
        }
        workflows.log_changes_since(&Workflows::default());
        let fence = store.claim(&settings.worker).await?;
        let halt = Halt::read(store.as_ref()).await?;
        let forgotten = Forgotten::read(store.as_ref(), settings.retention).await?;
        let restored_at = upkeep::restored_at(store.as_ref()).await?;
        let reconciling = match settings.reconcile {
            Some(reconcile) => {
                let now = settings.clock.now();
                Some(Arc::new(Reconciling::open(reconcile, store.as_ref(), &workflows, now).await?))
            }
            None => None,
        };
        let (timers, mut due) = timers(settings.clock);
        let shared = Arc::new(Shared {
            store,
            executor,
            clock: settings.clock,
            workflows: watch::Sender::new(Arc::new(workflows)),
            pinned,
            fence,
            timers,
            drivers: settings.drivers.unwrap_or_else(Handle::current),
            turns: Turns::default(),
            ledger: Ledger::default(),
            calls: Semaphore::new(settings.most_calls),
            updates: broadcast::Sender::new(UPDATES),
            metrics: Metrics::default(),
            forgotten,
            restored_at,
            guard: settings.guard,
            halt,
            resume_role: settings.resume_role,
            reconciling,
            most_active_runs: settings.most_active_runs,
            wakes: Arc::new(Semaphore::new(settings.most_active_runs.div_ceil(4))),
            active: Mutex::default(),
            stopped: watch::Sender::new(None),
        });
        let runner = Runner { shared };
        runner.recover(&mut due).await?;
        tokio::spawn(tick(runner.shared.clone(), due));
        tokio::spawn(retention::forget(runner.shared.clone()));
        tokio::spawn(schedules::keep_time(runner.clone(), runner.shared.workflows.subscribe()));
        if let Some(reconciling) = runner.shared.reconciling.clone() {
            tokio::spawn(reconcile::keep_asking(runner.clone(), reconciling));
        }
        Ok(runner)
    }

    /// The workflows that can be started, as they are at this moment.
    pub fn workflows(&self) -> Arc<Workflows> {
        self.shared.workflows.borrow().clone()
    }

    /// Starts these workflows from now on. Runs that exist go on with the version that they are pinned to.
    pub async fn replace_workflows(&self, workflows: Workflows) -> Result<(), Error> {
        for workflow in workflows.iter() {
            // First on disk: a run must not be pinned to what a crash could take away.
            self.shared.pinned.keep(workflow, self.shared.store.as_ref()).await?;
        }
        workflows.log_changes_since(&self.workflows());
        let is_whole = workflows.playbooks().iter().all(|playbook| playbook.failing_since.is_none());
        let is_whole = is_whole && workflows.trouble().is_none();
        self.shared.metrics.reloads.add([if is_whole { "taken" } else { "partly" }]);
        self.shared.workflows.send_replace(Arc::new(workflows));
        Ok(())
    }

    /// Whether as many runs are in memory as there may be when one more is started.
    pub fn is_full(&self) -> bool {
        self.shared.active_runs() >= self.shared.most_active_runs
    }

    /// The store, to read from.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// Facts as they are recorded, from this moment on.
    pub fn updates(&self) -> broadcast::Receiver<Update> {
        self.shared.updates.subscribe()
    }

    /// A person answers an approval; on disk when it returns.
    pub async fn decide(
        &self,
        run: RunId,
        step: StepKey,
        decision: Decision,
        by: Person,
        reason: Option<String>,
        digest: Option<Digest>,
    ) -> Result<RunSummary, Error> {
        self.tell(run, Input::Decided { step, decision, by, reason, digest }).await
    }

    /// A person says what became of a step that is in doubt; on disk when it returns.
    pub async fn resolve(
        &self,
        run: RunId,
        step: StepKey,
        resolution: Resolution,
        by: Person,
        reason: String,
    ) -> Result<RunSummary, Error> {
        self.tell(run, Input::Resolved { step, resolution, by, reason }).await
    }

    /// A person wants undone what a step holds, or says that they have undone it by hand; on disk when it returns. What was
    /// undone by hand no other run holds either, and each of them is told.
    pub async fn undo(
        &self,
        run: RunId,
        step: StepKey,
        is_done: bool,
        by: Person,
        reason: String,
    ) -> Result<RunSummary, Error> {
        let others = if is_done { self.shared.ledger.others(run, &step.done()) } else { Vec::new() };
        let undo = Input::Undo { step, is_done, by: by.clone(), reason: reason.clone() };
        let summary = self.tell(run, undo).await?;
        for (other, step) in others {
            let reason = format!("undone by hand in run {run}: {reason}");
            let undo = Input::Undo { step, is_done, by: by.clone(), reason };
            if let Err(error) = self.tell(other, undo).await {
                warn!(run = %other, %error, "a run still says that it holds what was undone by hand");
            }
        }
        Ok(summary)
    }

    /// What is contained at this moment, by target.
    pub fn containments(&self) -> Vec<Contained> {
        self.shared.ledger.all()
    }

    /// A row of the store, with what the ledger knows of it.
    pub fn explain(&self, mut row: RunSummary) -> RunSummary {
        self.shared.ledger.explain(row.run, &mut row.containments);
        row
    }

    /// A person stops a run; on disk when it returns.
    pub async fn cancel(&self, run: RunId, by: Person, reason: String) -> Result<RunSummary, Error> {
        self.tell(run, Input::Cancelled { by, reason }).await
    }

    /// Takes nothing more, and waits until no call is under way or the time is over.
    pub async fn stop(&self, patience: Duration) {
        self.shared.stop("the server is stopping");
        let idle = async {
            while !self.shared.active().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(patience, idle).await.is_err() {
            warn!(runs = self.shared.active().len(), "stopped while calls were under way");
        }
        if let Err(error) = self.shared.store.release(self.shared.fence).await {
            warn!(%error, "the claim could not be released");
        }
    }

    /// Waits until the runner cannot go on, and says why. The store may fail while nobody uses it: it is asked.
    pub async fn stopped(&self) -> String {
        let mut stopped = self.shared.stopped.subscribe();
        loop {
            tokio::select! {
                stopped = stopped.wait_for(Option::is_some) => return match stopped {
                    Ok(reason) => reason.clone().unwrap_or_default(),
                    Err(_) => "the runner is gone".to_owned(),
                },
                () = tokio::time::sleep(ASKED) => {
                    if let Some(why) = self.shared.store.health().await.failed {
                        self.shared.stop(&format!("the store failed: {why}"));
                    }
                }
            }
        }
    }

    /// Why the runner takes nothing any more; none while it works.
    pub fn is_stopped(&self) -> Option<String> {
        self.shared.stopped.borrow().clone()
    }

    pub(crate) async fn tell(&self, run: RunId, input: Input) -> Result<RunSummary, Error> {
        failpoints::reach("decide.arrived");
        let (reply, answer) = oneshot::channel();
        self.shared.deliver(run, Letter { input, reply: Some(reply) })?;
        answer
            .await
            .unwrap_or_else(|_| Err(Error::Stopped("the run was dropped: look at it again".to_owned())))
    }

    /// Takes up what a process before this one has left. All of it goes by the clock, which wakes so many at once.
    async fn recover(&self, due: &mut Due) -> Result<(), Error> {
        let now = self.shared.clock.now();
        let (mut runs, mut under_way, mut held) = (0, 0, Vec::new());
        let mut query = Query { is_open: true, limit: Query::MOST, ..Query::default() };
        loop {
            let page = self.shared.store.runs(query.clone()).await?;
            for summary in page.runs {
                runs += 1;
                under_way += usize::from(summary.status == RunStatus::Running);
                // Before anybody contains anything: what holds already is known.
                self.shared.ledger.note(summary.run, &summary.workflow, &summary.containments);
                self.shared.metrics.note(summary.run, !summary.waiting.is_empty());
                due.set(summary.run, due_at(&summary, now));
                if let Some(key) = summary.concurrency.filter(|_| !summary.status.is_finished()) {
                    held.push((summary.is_queued, summary.run, summary.workflow, key));
                }
            }
            query.before = page.next;
            if page.next.is_none() {
                break;
            }
        }
        // Who waits comes behind who holds, whenever their ids were made.
        held.sort();
        for (_, run, workflow, key) in held {
            self.shared.turns.resume(&workflow, &key, run);
        }
        for run in self.shared.turns.holders() {
            self.shared.wake(run);
        }
        info!(runs, under_way, "recovered");
        Ok(())
    }
}

/// When a run of a process before this one is looked at.
fn due_at(summary: &RunSummary, now: Timestamp) -> Option<Timestamp> {
    match summary.status {
        RunStatus::Running => Some(summary.updated_at.min(now)),
        // A run that it called may have ended without its being told.
        RunStatus::Waiting if !summary.calls.is_empty() => Some(now),
        // What waits for nothing was noted by a process that was about to stop: it goes on at once.
        RunStatus::Waiting if summary.waiting.is_empty() && summary.wake_at.is_none() => Some(now),
        // What it holds is being undone, whatever else it waits for, and though it may have finished.
        _ if summary.is_busy_undoing() => Some(now),
        RunStatus::Waiting | RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled => {
            summary.wake_at
        }
    }
}

/// Tells runs that their time has come. Those that are not in memory wait until there is room for them, the one that was
/// due first in front.
async fn tick(shared: Arc<Shared>, mut due: Due) {
    let mut overdue = VecDeque::new();
    loop {
        let (run, seat) = tokio::select! {
            run = due.next() => match run {
                Some(run) if shared.is_active(run) => (run, None),
                Some(run) => {
                    overdue.push_back(run);
                    continue;
                }
                None => return,
            },
            Ok(seat) = shared.wakes.clone().acquire_owned(), if !overdue.is_empty() => {
                let Some(run) = overdue.pop_front() else { continue };
                (run, Some(seat))
            }
        };
        if shared.is_stopped() {
            return;
        }
        let letter = Letter { input: Input::Tick, reply: None };
        if let Err(error) = shared.deliver_by(run, letter, seat) {
            warn!(%run, %error, "a timer was not delivered");
            shared.timers.set(run, Some(shared.clock.now().after(Duration::from_secs(1))));
        }
    }
}

impl Shared {
    /// Hands a letter to the task that owns the run; starts that task where there is none.
    pub(crate) fn deliver(self: &Arc<Shared>, run: RunId, letter: Letter) -> Result<(), Error> {
        self.deliver_by(run, letter, None)
    }

    /// The same; a task that is started keeps the seat until it has ended.
    fn deliver_by(
        self: &Arc<Shared>,
        run: RunId,
        letter: Letter,
        seat: Option<OwnedSemaphorePermit>,
    ) -> Result<(), Error> {
        self.check_works()?;
        let mut active = self.active();
        if active.get(&run).is_some_and(mpsc::Sender::is_closed) {
            active.remove(&run);
        }
        if active.len() >= self.most_active_runs.saturating_mul(2) && !active.contains_key(&run) {
            return Err(Error::Busy);
        }
        let mailbox = active.entry(run).or_insert_with(|| {
            let (sender, mailbox) = mpsc::channel(MAILBOX);
            let driven = drive::load_and_drive(self.clone(), run, mailbox);
            self.drivers.spawn(async move {
                driven.await;
                drop(seat);
            });
            sender
        });
        mailbox.try_send(letter).map_err(|_| Error::Busy)
    }

    /// Has a run look at what has changed around it: whose turn it is, what is contained. It does so whenever it is told
    /// anything, so one whose mailbox is full need not be told; one that is not in memory is left to the clock.
    pub(crate) fn wake(&self, run: RunId) {
        // The lock is held until it is told: a run that comes to rest sets its timer before it is given up.
        let active = self.active();
        match active.get(&run).filter(|mailbox| !mailbox.is_closed()) {
            Some(mailbox) => drop(mailbox.try_send(Letter { input: Input::Tick, reply: None })),
            None => self.timers.set(run, Some(self.clock.now())),
        }
    }

    fn is_active(&self, run: RunId) -> bool {
        self.active().get(&run).is_some_and(|mailbox| !mailbox.is_closed())
    }

    /// Makes this process the owner of a run that is about to be created.
    pub(crate) fn enlist(&self, run: RunId) -> Result<mpsc::Receiver<Letter>, Error> {
        self.check_works()?;
        let mut active = self.active();
        if active.len() >= self.most_active_runs {
            return Err(Error::Busy);
        }
        if active.get(&run).is_some_and(|mailbox| !mailbox.is_closed()) {
            // A task that looks for this run is about to find that it is not there: it must not find this mailbox.
            return Err(Error::Busy);
        }
        let (sender, mailbox) = mpsc::channel(MAILBOX);
        active.insert(run, sender);
        Ok(mailbox)
    }

    /// Drives a run that [`Shared::enlist`] was called for, and gives how it ends.
    pub(crate) fn spawn(
        self: &Arc<Shared>,
        run: Run,
        mailbox: mpsc::Receiver<Letter>,
        position: store::Position,
    ) -> End {
        let (ended, end) = oneshot::channel();
        let is_over = run.is_over();
        let mut driven = Box::pin(drive::drive(self.clone(), run, mailbox, position, ended));
        // Of what is over nothing is left but to say so, and that is no reason to go to another thread.
        if !is_over || driven.as_mut().now_or_never().is_none() {
            self.drivers.spawn(driven);
        }
        end
    }

    /// Gives a run up, unless a letter has come in the meantime.
    pub(crate) fn retire(&self, run: RunId, mailbox: &mut mpsc::Receiver<Letter>) -> Option<Letter> {
        let mut active = self.active();
        let letter = mailbox.try_recv().ok();
        if letter.is_none() {
            active.remove(&run);
        }
        letter
    }

    /// Gives a run up that cannot go on; whoever waits for an answer from it hears that it was dropped.
    pub(crate) fn forget(&self, run: RunId) {
        self.active().remove(&run);
    }

    /// How many runs are in memory.
    pub(crate) fn active_runs(&self) -> usize {
        self.active().len()
    }

    /// Stops everything; the first reason counts.
    pub(crate) fn stop(&self, reason: &str) {
        self.stopped.send_if_modified(|stopped| {
            let is_first = stopped.is_none();
            if is_first {
                *stopped = Some(reason.to_owned());
            }
            is_first
        });
    }

    /// Why the runner does nothing any more, as soon as it does not.
    pub(crate) fn stopped(&self) -> watch::Receiver<Option<String>> {
        self.stopped.subscribe()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.borrow().is_some()
    }

    fn check_works(&self) -> Result<(), Error> {
        self.stopped.borrow().clone().map_or(Ok(()), |reason| Err(Error::Stopped(reason)))
    }

    fn active(&self) -> MutexGuard<'_, HashMap<RunId, mpsc::Sender<Letter>>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
