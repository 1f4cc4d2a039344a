//! The process that computes: it confines itself, reads one task, and answers.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::exit;
use std::thread;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{Reply, Task, jq, script};

/// The first argument of a process that computes one jq filter or script.
pub const CHILD: &str = "compute-one-value";

/// How much processor time a program may take.
pub(super) const PROCESSOR_S: u64 = 2;
/// How much memory it may take, with the stack and what the process has from the start.
pub(super) const MEMORY: u64 = 128 * 1024 * 1024;
/// How much of that is stack.
const STACK: usize = 16 * 1024 * 1024;

/// Computes one value for the process that started this one with the argument [`CHILD`], and ends.
///
/// The task comes over standard input, and the answer goes back over the same socket.
pub fn run_child() -> ! {
    let _ = answer();
    exit(1)
}

fn answer() -> io::Result<()> {
    let mut socket = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut task = Vec::new();
    socket.read_to_end(&mut task)?;
    let task: Task = serde_json::from_slice(&task)?;
    let worker = thread::Builder::new().name(task.noun().to_owned()).stack_size(STACK);
    let worker = worker.spawn(move || -> io::Result<()> {
        confine()?;
        let result = match task {
            Task::Jq { filter, data, vars } => jq::run(&filter, &data, &vars),
            Task::Script { code, data } => script::run(&code, &data),
        };
        let reply = result.map_or_else(Reply::Failed, Reply::Result);
        socket.write_all(&serde_json::to_vec(&reply)?)?;
        // Without freeing anything: what a program has built may stand too deep for that.
        exit(0)
    })?;
    let _ = worker.join();
    Ok(())
}

/// From here on: so much memory and time, no file, no socket, no process. The system kills what goes beyond.
fn confine() -> io::Result<()> {
    let limits = [
        (Resource::Data, MEMORY),
        (Resource::Nofile, 0),
        (Resource::Nproc, 0),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ];
    for (resource, limit) in limits {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    }
    // One more second, and the signal is SIGKILL, which does not say why.
    setrlimit(Resource::Cpu, Rlimit { current: Some(PROCESSOR_S), maximum: Some(PROCESSOR_S + 1) })
        .map_err(io::Error::from)
}
