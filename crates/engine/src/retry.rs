//! When a failed attempt is followed by another.

use std::borrow::Cow;
use std::time::Duration;

use model::{Failure, RunId, StepKey, Timestamp};
use sha2::{Digest as _, Sha256};
use workflow::{Retry, Step};

const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// When the attempt after this one is due; none: there is no other.
pub(crate) fn next(
    run: RunId,
    step: &Step,
    key: &StepKey,
    attempt: u32,
    failure: &Failure,
    now: Timestamp,
) -> Option<Timestamp> {
    let retry = step.retry.as_ref()?;
    if attempt >= retry.max || !retry.on.iter().any(|on| on.matches(failure.class)) {
        return None;
    }
    let wait = wait(retry, attempt)
        .mul_f64(jitter(run, key, attempt))
        .max(failure.retry_after().unwrap_or_default());
    Some(now.after(wait.min(LONGEST_WAIT)))
}

/// When a step whose `until` does not hold looks again; none: it has looked often enough.
pub(crate) fn next_look(
    run: RunId,
    step: &Step,
    key: &StepKey,
    attempt: u32,
    now: Timestamp,
) -> Option<Timestamp> {
    let retry = step.retry.as_ref().filter(|retry| attempt < retry.max)?;
    Some(now.after(wait(retry, attempt).mul_f64(jitter(run, key, attempt)).min(LONGEST_WAIT)))
}

/// When a step is performed again that provably did not happen, whatever its `retry` says.
pub(crate) fn again(run: RunId, step: &Step, key: &StepKey, attempt: u32, now: Timestamp) -> Timestamp {
    const USUAL: Retry = Retry { max: u32::MAX, wait: Duration::from_secs(15), backoff: 2.0, on: Vec::new() };
    let retry = step.retry.as_ref().map_or_else(|| Cow::Owned(USUAL), Cow::Borrowed);
    now.after(wait(&retry, attempt).mul_f64(jitter(run, key, attempt)).min(LONGEST_WAIT))
}

fn wait(retry: &Retry, attempt: u32) -> Duration {
    let grown = retry.wait.as_secs_f64() * retry.backoff.powi(i32::try_from(attempt).unwrap_or(i32::MAX) - 1);
    Duration::try_from_secs_f64(grown).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
}

/// A factor from 0.75 to 1.25 that is the same whenever it is asked for: a hash of run, step, item and attempt.
fn jitter(run: RunId, key: &StepKey, attempt: u32) -> f64 {
    let mut hash = Sha256::new();
    hash.update(run.as_bytes());
    hash.update(key.to_string());
    hash.update(attempt.to_be_bytes());
    let first = hash.finalize().first().copied().unwrap_or_default();
    0.75 + 0.5 * f64::from(first) / 255.0
}
