//! The way in: an alert starts the runs of every workflow that listens to it.

use std::sync::Arc;
use std::time::Duration;

use engine::{Input, Run, Start, start_scope};
use expr::Scope;
use model::{Person, RunId, Timestamp, Trigger, TriggerKind};
use serde_json::Value;
use store::{Appended, Dedupe, Position};
use tracing::{debug, error, info, warn};
use workflow::Workflow;

use crate::ended::{End, Ending};
use crate::error::Error;
use crate::reconcile::Seen;
use crate::runner::{Runner, Shared};
use crate::workflows::any_holds;

/// For so long the time of a schedule starts one run at most. It has to outlast the downtime after a crash that hit
/// between a run and the note that it was started.
const SCHEDULED_ONCE: Duration = Duration::from_secs(7 * 86_400);

/// An alert that has arrived.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The path below `/hooks/`.
    pub path: String,
    /// The alert, as the sender wrote it.
    pub alert: Arc<Value>,
    /// How it came.
    pub trigger: Trigger,
}

/// What became of an alert. Everything in it is on disk.
#[derive(Debug, Default)]
pub struct Received {
    /// The runs that it started, or that it is a duplicate of.
    pub runs: Vec<Started>,
    /// The workflows that listen here and are not meant for it.
    pub unstarted: Vec<String>,
    /// The end of its run, where there is one only and its playbook answers with what that gives.
    pub ending: Option<Ending>,
}

/// A run that an alert belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Which run.
    pub run: RunId,
    /// Of which workflow.
    pub workflow: String,
    /// Whether the run was there already.
    pub is_duplicate: bool,
}

/// What became of an alert that is not on disk yet.
#[derive(Default)]
struct TakenIn {
    received: Received,
    /// What has to be on disk.
    position: Position,
    /// Whether a playbook had no room for it.
    is_busy: bool,
}

/// A run that was made, or found.
pub(crate) struct Created {
    pub(crate) started: Started,
    position: Position,
    end: Option<End>,
}

/// Does this to its end, also when its caller is dropped: a run that is on disk has to be driven.
pub(crate) async fn see_through<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.unwrap_or_else(|error| {
        error!(%error, "something was not seen through");
        Err(Error::Stopped("this made the server fail: its log says more".to_owned()))
    })
}

/// What a run takes up before it is on disk, and gives back where it does not get there.
struct Seat<'a> {
    shared: &'a Arc<Shared>,
    workflow: &'a str,
    key: Option<String>,
    run: RunId,
    is_kept: bool,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.shared.forget(self.run);
            self.shared.give_up_turn(self.workflow, self.key.as_deref(), self.run);
        }
    }
}

fn new_id() -> RunId {
    RunId::new(uuid::Uuid::now_v7())
}

impl Runner {
    /// Starts the runs of every workflow that listens on the alert's path and whose `when` holds. Where it cannot be
    /// evaluated, the run is there and has failed, so that somebody sees the alert. When it returns, the
    /// runs are on disk. Where it fails, some of them may be: the sender sends again, and `dedupe` holds them together.
    /// It is done to its end also when whoever asked for it has gone.
    pub async fn receive(&self, delivery: Delivery) -> Result<Received, Error> {
        let runner = self.clone();
        see_through(async move {
            let TakenIn { mut received, mut position, is_busy } = runner.take_in(delivery).await?;
            if let Some(ending) = &mut received.ending {
                position = position.max(ending.give_a_moment().await);
            }
            failpoints::reach("receive.appended");
            runner.shared.store.durable(position).await?;
            failpoints::reach("receive.durable");
            if is_busy { Err(Error::Busy) } else { Ok(received) }
        })
        .await
    }

    async fn take_in(&self, delivery: Delivery) -> Result<TakenIn, Error> {
        failpoints::reach("receive.arrived");
        let mut taken_in = TakenIn::default();
        let reconciling = self.shared.reconciling.as_ref();
        let alert_id = reconciling.and_then(|it| it.id_of(&delivery.path, &delivery.alert));
        let start = Start { trigger: delivery.trigger, alert: delivery.alert, turn: None };
        let workflows = self.workflows();
        let hook = workflows.hook(&delivery.path);
        let Some((hook, first)) = hook.and_then(|hook| Some((hook, hook.first()?))) else {
            return Ok(taken_in);
        };
        let scope = start_scope(first, &start);
        for (listener, takes_it) in hook.ask(&scope) {
            let workflow = &listener.workflow;
            let in_vain = match takes_it {
                Ok(true) => None,
                Ok(false) => {
                    taken_in.received.unstarted.push(workflow.name.clone());
                    continue;
                }
                Err(error) => {
                    warn!(workflow = %workflow.name, "the condition of a trigger cannot be evaluated");
                    Some(error.message)
                }
            };
            let admitted = self.admit(workflow, &start, &scope, in_vain, alert_id.as_deref()).await;
            let Created { started, position, end } = match admitted {
                Ok(admitted) => admitted,
                Err(Error::Busy) => {
                    // That one playbook has no room keeps the alert from no other.
                    taken_in.is_busy = true;
                    continue;
                }
                Err(error) => return Err(error),
            };
            taken_in.position = taken_in.position.max(position);
            taken_in.received.ending = listener.respond_within.map(|within| Ending::of(end, within));
            taken_in.received.runs.push(started);
        }
        if taken_in.received.runs.len() > 1 {
            taken_in.received.ending = None;
        }
        Ok(taken_in)
    }

    /// Starts the run of an alert, or adds the alert to the run that exists for it. One that came before, on this way or the
    /// other, is in its run.
    async fn admit(
        &self,
        workflow: &Arc<Workflow>,
        start: &Start,
        scope: &Scope,
        in_vain: Option<String>,
        alert_id: Option<&str>,
    ) -> Result<Created, Error> {
        let recognised = self.shared.reconciling.as_ref().zip(alert_id);
        let seat = match recognised {
            None => None,
            Some((reconciling, id)) => match reconciling.known.look(&workflow.name, id).await {
                Seen::Never(seat) => Some(seat),
                Seen::In(run) => {
                    let workflow = workflow.name.clone();
                    let started = Started { run, workflow, is_duplicate: true };
                    return Ok(Created { started, position: Position::LATEST, end: None });
                }
            },
        };
        let created = self.create(new_id(), workflow, start.clone(), scope, in_vain).await?;
        let started = &created.started;
        if started.is_duplicate
            && let Err(error @ (Error::Busy | Error::Full(_) | Error::Stopped(_))) =
                self.join(started.run, start).await
        {
            // It is on no disk yet: the sender has to send it again.
            return Err(error);
        }
        if let Some(seat) = seat {
            seat.admitted(started.run, self.shared.clock.now());
        }
        if let Some((reconciling, id)) = recognised.filter(|_| start.trigger.reconciled) {
            info!(run = %started.run, workflow = %workflow.name, alert = id, "an alert that did not come was found");
            reconciling.found(&workflow.name, id, start, started.run, started.is_duplicate);
        }
        Ok(created)
    }

    /// Adds an alert to the run that exists for it; on disk when it returns. That the run cannot take it is logged: there
    /// is a run for this alert all the same.
    async fn join(&self, run: RunId, start: &Start) -> Result<(), Error> {
        let (alert, trigger) = (start.alert.clone(), &start.trigger);
        let (received_at, reconciled) = (trigger.received_at, trigger.reconciled);
        let joined = self.tell(run, Input::AlertAgain { alert, received_at, reconciled }).await;
        joined.map(drop).inspect_err(|error| warn!(%run, %error, "an alert was not added to its run"))
    }

    /// Starts a workflow by hand. When it returns, the run is on disk. It is done to its end also when whoever asked for
    /// it has gone.
    pub async fn start(&self, workflow: &str, alert: Arc<Value>, by: Person) -> Result<Started, Error> {
        let workflows = self.workflows();
        let Some(workflow) = workflows.get(workflow) else {
            return Err(Error::NoSuchWorkflow(format!("there is no workflow `{workflow}`")));
        };
        let manual: Vec<_> = workflow.triggers.iter().filter(|t| t.kind == TriggerKind::Manual).collect();
        if manual.is_empty() {
            let message = format!("`{}` is not started by hand: it has no trigger `manual`", workflow.name);
            return Err(Error::NoSuchWorkflow(message));
        }
        let may = |trigger: &&workflow::Trigger| {
            trigger.roles.is_empty() || trigger.roles.iter().any(|role| by.roles.contains(role))
        };
        if !manual.iter().any(may) {
            let message = format!("`{}` may not start `{}` by hand", by.name, workflow.name);
            return Err(Error::NotAllowed(message));
        }
        let trigger = Trigger {
            kind: TriggerKind::Manual,
            received_at: self.shared.clock.now(),
            headers: Default::default(),
            query: Default::default(),
            by: Some(by),
            parent: None,
            reconciled: false,
        };
        let (runner, workflow) = (self.clone(), workflow.clone());
        see_through(async move {
            let start = Start { trigger, alert, turn: None };
            let scope = start_scope(&workflow, &start);
            let created = runner.create(new_id(), &workflow, start, &scope, None).await?;
            runner.shared.store.durable(created.position).await?;
            Ok(created.started)
        })
        .await
    }

    /// Starts a workflow whose time has come. There is one run for each time, however often this is called.
    pub(crate) async fn start_scheduled(
        &self,
        workflow: &Arc<Workflow>,
        triggers: &[&workflow::Trigger],
        at: Timestamp,
    ) -> Result<(), Error> {
        let trigger = Trigger {
            kind: TriggerKind::Schedule,
            received_at: at,
            headers: Default::default(),
            query: Default::default(),
            by: None,
            parent: None,
            reconciled: false,
        };
        let start = Start { trigger, alert: Arc::new(Value::Object(Default::default())), turn: None };
        let scope = start_scope(workflow, &start);
        let verdict =
            |trigger: &&workflow::Trigger| trigger.when.as_ref().map_or(Ok(true), |it| it.holds(&scope));
        let in_vain = match any_holds(triggers.iter().map(verdict)) {
            Ok(true) => None,
            Ok(false) => return Ok(()),
            Err(error) => Some(error.message),
        };
        let created = self.create(new_id(), workflow, start, &scope, in_vain).await?;
        Ok(self.shared.store.durable(created.position).await?)
    }

    pub(crate) async fn create(
        &self,
        id: RunId,
        workflow: &Arc<Workflow>,
        mut start: Start,
        scope: &Scope,
        in_vain: Option<String>,
    ) -> Result<Created, Error> {
        let shared = &self.shared;
        let now = shared.clock.now();
        if model::is_deeper_than(&start.alert, model::DEEPEST_FROM_OUTSIDE) {
            let message = format!("the alert stands more than {} levels deep", model::DEEPEST_FROM_OUTSIDE);
            return Err(Error::Refused(message));
        }
        let dedupe = dedupe(workflow, &start, scope, now);
        let trigger = start.trigger.kind;
        let mailbox = shared.enlist(id)?;
        let mut seat = Seat { shared, workflow: &workflow.name, key: None, run: id, is_kept: false };
        start.turn = shared.turns.take(workflow, scope, id)?;
        seat.key = start.turn.as_ref().map(|turn| turn.key.clone());
        let (run, records) = match in_vain {
            None => Run::start(id, workflow.clone(), start, now),
            Some(message) => Run::start_in_vain(id, workflow.clone(), start, message, now),
        };
        let answer = shared.commit(&run, records, dedupe).await;
        let started = |run, is_duplicate| Started { run, workflow: workflow.name.clone(), is_duplicate };
        match answer {
            Ok(Appended::At(position)) => {
                debug!(run = %id, workflow = %workflow.name, "run started");
                shared.metrics.started.add([&workflow.name, trigger.as_str()]);
                seat.is_kept = true;
                let end = Some(shared.spawn(run, mailbox, position));
                Ok(Created { started: started(id, false), position, end })
            }
            Ok(Appended::Duplicate(first)) => {
                info!(run = %first, workflow = %workflow.name, "duplicate alert");
                Ok(Created { started: started(first, true), position: Position::LATEST, end: None })
            }
            Ok(Appended::Conflict | Appended::Fenced) => {
                shared.stop("another worker has taken over the runs of this one");
                Err(Error::Stopped("another worker has taken over".to_owned()))
            }
            Err(error) => {
                let error = Error::from(error);
                if !matches!(error, Error::Refused(_) | Error::Full(_)) {
                    shared.stop(&error.to_string());
                }
                Err(error)
            }
        }
    }
}

/// The key under which one run exists: its time, where the clock starts it. None where the workflow has no `dedupe`, or
/// the alert lacks what it names.
fn dedupe(workflow: &Workflow, start: &Start, scope: &Scope, now: Timestamp) -> Option<Dedupe> {
    if start.trigger.kind == TriggerKind::Workflow {
        // It is made once by its id; a run that exists already for another call would never tell this one its end.
        return None;
    }
    if start.trigger.kind == TriggerKind::Schedule {
        let key = format!("schedule/{}/{}", workflow.name, start.trigger.received_at);
        return Some(Dedupe { key, until: now.after(SCHEDULED_ONCE) });
    }
    let dedupe = workflow.dedupe.as_ref()?;
    match dedupe.key.eval_text(scope) {
        Ok(key) => Some(Dedupe { key: format!("{}\n{key}", workflow.name), until: now.after(dedupe.window) }),
        Err(_) => {
            // The reason would quote the alert, and an alert may hold anything.
            warn!(workflow = %workflow.name, "an alert has no dedupe key");
            None
        }
    }
}
