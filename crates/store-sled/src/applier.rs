//! The thread that brings the index up to date, behind each flush of the journal.

use std::sync::Arc;

use journal::Position;

use crate::apply::apply;
use crate::changes::Changes;
use crate::index::Result;
use crate::shared::Shared;

/// So many records are put into the index at once.
const MOST: usize = 2048;

pub(crate) fn run(shared: &Arc<Shared>) {
    let mut applied = shared.recent().applied;
    while let Some(flushed) = shared.journal.next_flush(applied) {
        shared.linger();
        match catch_up(shared, flushed) {
            Ok(()) => applied = flushed,
            Err(error) => {
                shared.fail_now(&error);
                return;
            }
        }
    }
    shared.let_go();
    // Nothing hangs on it: what sled does not have at the next start is read from the journal.
    let _ = shared.index.flush();
}

fn catch_up(shared: &Shared, flushed: Position) -> Result<()> {
    loop {
        let due = shared.recent().oldest(flushed, MOST);
        let Some(last) = due.last() else { return Ok(()) };
        let mut changes = Changes::new(&shared.index);
        for queued in &due {
            apply(&mut changes, &queued.entry, queued.place)?;
        }
        failpoints::reach("index.before");
        changes.commit(last.place.at, last.identity)?;
        failpoints::reach("index.after");
        shared.settle(last.place.at);
    }
}
