//! Starts the process that computes, waits for its answer, and says what it died of.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use model::{Failure, FailureClass};
use rustix::process::Signal;
use serde_json::Value;

use super::child::{MEMORY, PROCESSOR_S};
use super::{LARGEST_RESULT, Reply, Task, shorten};

/// How this program is started so that it computes. Its tests are another program, which has a test that does.
#[cfg(not(test))]
const ARGUMENTS: [&str; 1] = [super::CHILD];
#[cfg(test)]
const ARGUMENTS: [&str; 4] = ["--exact", "reshape::tests::the_child", "--ignored", "--nocapture"];

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// How long a process that has said its last word may take to end.
const LAST_BREATH: Duration = Duration::from_millis(500);
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// Has a process compute the task, until the end of its time.
pub(super) fn run(task: &Task, deadline: Instant, timeout: Duration) -> Result<Value, Failure> {
    let unable = |error: io::Error| {
        Failure::new(
            FailureClass::Setup,
            format!("no process can be started for the {}: {error}", task.noun()),
        )
    };
    let request = serde_json::to_vec(task).expect("JSON and text have a JSON form");
    let (mut process, mut socket) = Process::start().map_err(unable)?;
    let reply = match exchange(&mut socket, &request, deadline) {
        Ok(reply) => reply,
        Err(error) if is_late(&error) => {
            let limit = expr::duration::display(timeout);
            return Err(Failure::new(
                FailureClass::Timeout,
                format!("the {} gave no result within {limit}", task.noun()),
            ));
        }
        Err(error) => return Err(unable(error)),
    };
    match serde_json::from_slice(&reply) {
        Ok(Reply::Result(result)) => Ok(result),
        Ok(Reply::Failed(refusal)) => {
            Err(Failure { help: refusal.help, ..Failure::new(FailureClass::Input, refusal.message) })
        }
        Err(_) => Err(cause_of_death(task, process.end(deadline), &String::from_utf8_lossy(&reply))),
    }
}

/// A process that computes. It does not outlive this.
pub(super) struct Process(Child);

impl Process {
    pub(super) fn start() -> io::Result<(Process, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        // What it says when it dies comes over the same way; an answer that is whole is JSON and nothing else.
        let last_words = theirs.try_clone()?;
        let child = Command::new(program()?)
            .arg0("portcullis")
            .args(ARGUMENTS)
            .env_clear()
            // Dates without a time zone mean the same on every machine.
            .env("TZ", "UTC0")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(OwnedFd::from(last_words))
            .spawn()?;
        Ok((Process(child), ours))
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, once it has; it is not waited for longer than it may take.
    fn end(&mut self, deadline: Instant) -> Option<ExitStatus> {
        let deadline = deadline.min(Instant::now() + LAST_BREATH);
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(BETWEEN_LOOKS),
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already, and then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Names the program that is started to compute, for a process that is not portcullis itself: a test of it. The first
/// name counts.
pub fn compute_with(program: impl Into<PathBuf>) {
    let _ = PROGRAM.set(program.into());
}

/// The program to start: this one. On Linux that is the very file that runs, also after another has taken its place.
fn program() -> io::Result<PathBuf> {
    match PROGRAM.get() {
        Some(program) => Ok(program.clone()),
        None if cfg!(target_os = "linux") => Ok("/proc/self/exe".into()),
        None => std::env::current_exe(),
    }
}

/// Hands the task over and takes what comes back, as far as an answer can be long.
fn exchange(socket: &mut UnixStream, request: &[u8], deadline: Instant) -> io::Result<Vec<u8>> {
    socket.set_write_timeout(Some(left(deadline)?))?;
    match socket.write_all(request).and_then(|()| socket.shutdown(Shutdown::Write)) {
        // It died before it had read everything: it may still have said why.
        Err(error) if !is_late(&error) => {}
        written => written?,
    }
    let mut reply = Vec::new();
    let mut piece = [0; 64 * 1024];
    while reply.len() <= 2 * LARGEST_RESULT {
        socket.set_read_timeout(Some(left(deadline)?))?;
        match socket.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => reply.extend_from_slice(piece.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error),
        }
    }
    Ok(reply)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Why the process ended without an answer.
fn cause_of_death(task: &Task, status: Option<ExitStatus>, last_words: &str) -> Failure {
    let noun = task.noun();
    if status.and_then(|status| status.signal()) == Some(Signal::XCPU.as_raw()) {
        let message = format!("the {noun} took more than {PROCESSOR_S} s of processor time");
        return Failure::new(FailureClass::Timeout, message);
    }
    let message = if last_words.contains("has overflowed its stack") {
        format!("the {noun} went too deep: it calls itself without end, or what it builds does not end")
    } else if last_words.contains("memory allocation of") {
        format!("the {noun} took more than {} MiB of memory", MEMORY / 1024 / 1024)
    } else {
        let end = status.map_or_else(|| "no end".to_owned(), |status| status.to_string());
        format!("the process of the {noun} ended without an answer ({end}): {}", shorten(last_words.trim()))
    };
    Failure::new(FailureClass::Input, message)
}
