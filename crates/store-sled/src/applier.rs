//! The thread that brings the index up to date, behind each flush of the journal.

use std::sync::Arc;
use std::time::Duration;

use journal::Position;

use crate::apply::apply;
use crate::changes::Changes;
use crate::index::{Error, Result};
use crate::shared::Shared;

/// So many records are put into the index at once: sled lets nobody look meanwhile, and who appends may have to.
const MOST: usize = 256;
/// How often it is looked whether sled, which writes on its own, could.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) fn run(shared: &Arc<Shared>) {
    let mut applied = shared.recent().applied;
    while let Some(flushed) = shared.journal.next_flush(applied, LOOK) {
        let caught_up = if flushed > applied {
            shared.linger();
            catch_up(shared, flushed)
        } else if shared.index.lacks_room() {
            Err(Error::NoRoom("it was met with while nothing was appended".to_owned()))
        } else {
            continue;
        };
        let went_on = match caught_up {
            Ok(()) => {
                applied = flushed;
                continue;
            }
            Err(Error::NoRoom(why)) => shared.wait_for_index(&why),
            Err(error @ Error::Failed(_)) => Err(error),
        };
        match went_on {
            Ok(true) => {}
            Ok(false) => break,
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
            queued.creates.into_iter().for_each(|run| changes.expect_none(run));
            apply(&mut changes, &queued.entry, queued.place)?;
        }
        failpoints::reach("index.before");
        changes.commit(last.place.at, last.identity)?;
        failpoints::reach("index.after");
        shared.settle(last.place.at);
    }
}
