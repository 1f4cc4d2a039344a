//! Many files at once: each is read on its own, so all processors may work on them.

use std::num::NonZeroUsize;
use std::thread;

/// Fewer files than these are not worth a thread of their own.
const FEWEST: usize = 16;

/// Does the same to each of many things on all processors; what comes of them is in their order.
pub fn in_parallel<T: Send, R: Send>(things: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = things.len().div_ceil(processors).max(FEWEST);
    if things.len() <= share {
        return things.into_iter().map(work).collect();
    }
    let mut things = things.into_iter();
    let mut shares: Vec<Vec<T>> = Vec::new();
    while things.len() > 0 {
        shares.push(things.by_ref().take(share).collect());
    }
    let work = &work;
    thread::scope(|scope| {
        let one = |share: Vec<T>| scope.spawn(move || share.into_iter().map(work).collect::<Vec<R>>());
        let threads: Vec<_> = shares.into_iter().map(one).collect();
        let done = threads.into_iter().map(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        done.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_of_many_things_is_in_their_order() {
        for count in [0, 1, FEWEST, 1000] {
            let doubled = in_parallel((0..count).collect(), |number| number * 2);
            assert_eq!(doubled, (0..count).map(|number| number * 2).collect::<Vec<_>>());
        }
    }
}
