//! What was ordered, and its execution.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use crate::POINTS;

static ORDERS: Mutex<VecDeque<Order>> = Mutex::new(VecDeque::new());
static OFFSET: OnceLock<PathBuf> = OnceLock::new();

#[derive(Debug, PartialEq)]
struct Order {
    /// None: any point.
    point: Option<&'static str>,
    /// How often it is still passed before something happens.
    left: u32,
    action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Action {
    Kill,
    KillLater(Duration),
    Full,
}

/// Takes orders, in the form that the crate's page describes.
///
/// # Errors
///
/// What is wrong with them.
pub fn arm(orders: &str) -> Result<(), String> {
    let orders: VecDeque<Order> = orders.split(',').map(read).collect::<Result<_, _>>()?;
    *ORDERS.lock().unwrap_or_else(PoisonError::into_inner) = orders;
    Ok(())
}

fn read(text: &str) -> Result<Order, String> {
    let wrong = || format!("a fail point is POINT:N, POINT:N=full or POINT:N=later:MS, not `{text}`");
    let (place, action) = text.trim().split_once('=').unwrap_or((text.trim(), "kill"));
    let (name, count) = place.split_once(':').ok_or_else(wrong)?;
    let point = match name {
        "*" => None,
        name => {
            let known = POINTS.into_iter().find(|point| *point == name);
            Some(known.ok_or_else(|| format!("there is no fail point `{name}`: {}", POINTS.join(", ")))?)
        }
    };
    let action = match action.split_once(':') {
        None if action == "kill" => Action::Kill,
        None if action == "full" => Action::Full,
        Some(("later", ms)) => Action::KillLater(Duration::from_millis(ms.parse().map_err(|_| wrong())?)),
        _ => return Err(wrong()),
    };
    Ok(Order { point, left: count.parse().map_err(|_| wrong())?, action })
}

/// Moves the clock by as many milliseconds as this file says whenever somebody asks for the time.
pub fn follow_clock(file: PathBuf) {
    // The first one counts; there is one configuration.
    let _ = OFFSET.set(file);
}

pub(crate) fn moved(now: SystemTime) -> SystemTime {
    let Some(text) = OFFSET.get().and_then(|file| std::fs::read_to_string(file).ok()) else { return now };
    let ms: i64 = text.trim().parse().unwrap_or_default();
    let by = Duration::from_millis(ms.unsigned_abs());
    if ms < 0 { now - by } else { now + by }
}

pub(crate) fn reach(point: &'static str) {
    // Where nothing is written, a full disk says nothing.
    let _ = reach_disk(point);
}

pub(crate) fn reach_disk(point: &'static str) -> io::Result<()> {
    debug_assert!(POINTS.contains(&point), "{point} is not on the list");
    let Some(action) = due(point) else { return Ok(()) };
    // In one piece, past the log, which would have to be flushed.
    let _ = writeln!(io::stderr(), "fail point {point}");
    match action {
        Action::Kill => kill(),
        Action::KillLater(after) => {
            std::thread::spawn(move || {
                std::thread::sleep(after);
                kill()
            });
            Ok(())
        }
        Action::Full => Err(io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error())),
    }
}

fn due(point: &'static str) -> Option<Action> {
    let mut orders = ORDERS.lock().unwrap_or_else(PoisonError::into_inner);
    let first = orders.front_mut()?;
    if first.point.is_some_and(|wanted| wanted != point) {
        return None;
    }
    first.left = first.left.saturating_sub(1);
    if first.left > 0 {
        return None;
    }
    let action = first.action;
    orders.pop_front();
    // Of several, the last acts: those before it lead there.
    orders.is_empty().then_some(action)
}

fn kill() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // The signal is on its way; until it is here, nothing more may happen on this thread.
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        let order = |point, left, action| Ok(Order { point, left, action });
        assert_eq!(read("flush.write:2"), order(Some("flush.write"), 2, Action::Kill));
        assert_eq!(read("flush.write:1=full"), order(Some("flush.write"), 1, Action::Full));
        let later = Action::KillLater(Duration::from_millis(20));
        assert_eq!(read("*:7=later:20"), order(None, 7, later));
        for wrong in ["", "flush.write", "flush.write:x", "flush.write:1=explode", "nowhere:1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_order_leads_to_the_next() {
        arm("drive.outcome:2,flush.write:1=full").unwrap();
        let full = |point| reach_disk(point).is_err();
        assert!(!full("flush.write") && !full("drive.outcome") && !full("flush.write"));
        assert!(!full("drive.outcome") && full("flush.write") && !full("flush.write"));
    }
}
