//! Which alerts have a run, and of which workflow: by their ids, for so long as one may come a second time.
//!
//! An alert comes by itself and is found where Wazuh keeps it, in either order and at the same time. Whoever brings it first
//! admits it, and the other one waits until that is done. It is in memory, and read from the store at the start; what is
//! not in the store was not admitted.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{RunId, Timestamp};
use tokio::sync::watch;

/// For so long an alert that comes again is recognised: a weekend.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(3 * 86_400);
/// So far back alerts are asked for: less, for that takes its time.
const ASKED_FOR: Duration = Duration::from_secs(3 * 86_400 - 6 * 3600);
/// So many are remembered; of more, the latest.
pub(crate) const MOST_KNOWN: usize = 100_000;

/// A workflow, and an alert by its id.
type Key = (String, String);

/// The alerts that have a run.
#[derive(Default)]
pub(crate) struct Known {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    alerts: HashMap<Key, Alert>,
    /// The keys in the order in which they became known.
    order: VecDeque<(Timestamp, Key)>,
    /// What became known up to then may be forgotten, because there was too much.
    forgotten: Timestamp,
}

enum Alert {
    /// Somebody is about to admit it.
    Arriving(watch::Receiver<()>),
    Of(RunId),
}

/// What is known of an alert.
pub(crate) enum Seen<'a> {
    /// Nothing: whoever asked admits it.
    Never(Seat<'a>),
    /// It is in this run.
    In(RunId),
}

/// The right to admit an alert. Dropped, the next one has it.
pub(crate) struct Seat<'a> {
    known: &'a Known,
    key: Key,
    _arrives: watch::Sender<()>,
}

impl Seat<'_> {
    /// The alert is in this run.
    pub(crate) fn admitted(self, run: RunId, now: Timestamp) {
        self.known.note(self.key.clone(), run, now);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = self.known.state();
        if matches!(state.alerts.get(&self.key), Some(Alert::Arriving(_))) {
            state.alerts.remove(&self.key);
        }
    }
}

impl Known {
    /// Takes a seat for an alert that has no run of this workflow. Waits while somebody else has it.
    pub(crate) async fn look(&self, workflow: &str, alert: &str) -> Seen<'_> {
        let key = (workflow.to_owned(), alert.to_owned());
        loop {
            let mut arriving = {
                let mut state = self.state();
                match state.alerts.get(&key) {
                    Some(Alert::Of(run)) => return Seen::In(*run),
                    Some(Alert::Arriving(arriving)) => arriving.clone(),
                    None => {
                        let (arrives, arriving) = watch::channel(());
                        state.alerts.insert(key.clone(), Alert::Arriving(arriving));
                        return Seen::Never(Seat { known: self, key, _arrives: arrives });
                    }
                }
            };
            // The only change is its end.
            let _ = arriving.changed().await;
        }
    }

    /// An alert is in this run, since then.
    pub(crate) fn note(&self, key: Key, run: RunId, since: Timestamp) {
        let mut state = self.state();
        if let Some(Alert::Of(_)) = state.alerts.insert(key.clone(), Alert::Of(run)) {
            return;
        }
        state.order.push_back((since, key));
        state.forget(since);
    }

    /// An alert that was raised later than this is known if it has come.
    pub(crate) fn horizon(&self, now: Timestamp) -> Timestamp {
        now.before(ASKED_FOR).max(self.state().forgotten)
    }

    /// What became known up to then is not in here.
    pub(crate) fn forget(&self, until: Timestamp) {
        let mut state = self.state();
        state.forgotten = state.forgotten.max(until);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self, now: Timestamp) {
        let horizon = now.before(REMEMBERED);
        while let Some((since, _)) = self.order.front()
            && (*since < horizon || self.order.len() > MOST_KNOWN)
        {
            if let Some((since, key)) = self.order.pop_front() {
                self.alerts.remove(&key);
                self.forgotten = self.forgotten.max(since);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u128) -> RunId {
        RunId::new(uuid::Uuid::from_u128(number))
    }

    fn key(alert: &str) -> Key {
        ("contain".to_owned(), alert.to_owned())
    }

    async fn seen(known: &Known, alert: &str) -> Option<RunId> {
        match known.look("contain", alert).await {
            Seen::Never(_) => None,
            Seen::In(run) => Some(run),
        }
    }

    #[tokio::test]
    async fn who_comes_second_waits_for_the_first_and_hears_of_its_run() {
        let known = Known::default();
        let Seen::Never(seat) = known.look("contain", "a/1").await else { panic!("nobody has seen it") };
        assert_eq!(seen(&known, "a/2").await, None, "another alert waits for nobody");
        let second = seen(&known, "a/1");
        let first = async {
            tokio::task::yield_now().await;
            seat.admitted(run(7), Timestamp::from_millis(1));
        };
        assert_eq!(futures::join!(second, first).0, Some(run(7)));
    }

    #[tokio::test]
    async fn who_does_not_get_it_in_leaves_it_to_the_next() {
        let known = Known::default();
        let Seen::Never(seat) = known.look("contain", "a/1").await else { panic!("nobody has seen it") };
        drop(seat);
        assert_eq!(seen(&known, "a/1").await, None);
    }

    #[tokio::test]
    async fn the_oldest_are_forgotten_by_time_and_by_number() {
        let known = Known::default();
        let start = Timestamp::from_millis(1_000_000_000);
        known.note(key("old"), run(1), start);
        known.note(key("new"), run(2), start.after(REMEMBERED));
        assert_eq!(seen(&known, "old").await, Some(run(1)));
        known.note(key("newer"), run(3), start.after(REMEMBERED + Duration::from_millis(1)));
        assert_eq!((seen(&known, "old").await, seen(&known, "new").await), (None, Some(run(2))));
        let now = start.after(REMEMBERED);
        assert_eq!(known.horizon(now), now.before(ASKED_FOR));
        for number in 0..MOST_KNOWN - 1 {
            known.note(key(&number.to_string()), run(4), start.after(REMEMBERED));
        }
        assert_eq!((seen(&known, "new").await, seen(&known, "newer").await), (None, Some(run(3))));
        assert_eq!(known.horizon(now), now, "what may be forgotten is not asked for");
    }
}
