//! Processes that are measured: started in a group of their own, and gone when nobody wants them any more.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a process may take to stop before it is killed.
const PATIENCE: Duration = Duration::from_secs(15);

/// The processes of one system, in the order in which they were started. Dropping them kills them.
#[derive(Default)]
pub(crate) struct Processes(Vec<Process>);

struct Process {
    child: Child,
    /// What asks it to stop.
    stop: Signal,
}

impl Processes {
    /// Starts one more, in a folder; what it says goes to a file there.
    pub(crate) fn spawn(&mut self, mut command: Command, folder: &Path, stop: Signal) -> anyhow::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(folder.join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).current_dir(folder);
        command.process_group(0).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        self.0.push(Process { child, stop });
        Ok(())
    }

    /// Says so where one of them has ended by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        for process in &mut self.0 {
            if let Some(status) = process.child.try_wait()? {
                anyhow::bail!("a process ended by itself ({status})");
            }
        }
        Ok(())
    }

    /// Asks them to stop, the last one first, and waits for it.
    pub(crate) async fn stop(mut self) {
        while let Some(mut process) = self.0.pop() {
            let Some(pid) = process.pid() else { continue };
            // What has ended already needs no signal.
            let _ = kill_process(pid, process.stop);
            let _ = timeout(PATIENCE, process.child.wait()).await;
            process.kill(pid);
        }
    }

    /// Kills all of them at once with SIGKILL, and waits until they are gone.
    pub(crate) async fn kill(mut self) {
        for process in &self.0 {
            if let Some(pid) = process.pid() {
                process.kill(pid);
            }
        }
        for process in &mut self.0 {
            let _ = timeout(PATIENCE, process.child.wait()).await;
        }
    }

    /// What they take of memory, with all that they have started. What several of them share counts once.
    pub(crate) fn memory(&self) -> u64 {
        let roots: Vec<u32> = self.0.iter().filter_map(|process| process.child.id()).collect();
        tree(&roots).into_iter().map(proportional_memory).sum()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in &self.0 {
            if let Some(pid) = process.pid() {
                process.kill(pid);
            }
        }
    }
}

impl Process {
    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()?).ok()?)
    }

    /// Kills it with all that it has started: what left its group too, as the processes of PostgreSQL do.
    fn kill(&self, pid: Pid) {
        let root = u32::try_from(pid.as_raw_nonzero().get()).unwrap_or_default();
        let started = tree(&[root]);
        let _ = kill_process_group(pid, Signal::KILL);
        for id in started {
            if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// These processes and all that they have started.
fn tree(roots: &[u32]) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for id in folders.filter_map(|folder| folder.file_name().to_str()?.parse::<u32>().ok()) {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name of the program stands in brackets and may hold anything.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut all = roots.to_vec();
    let mut next = 0;
    while let Some(id) = all.get(next) {
        all.extend(children.remove(id).unwrap_or_default());
        next += 1;
    }
    all
}

/// The resident memory of a process, each shared page divided by those who share it. None for a process that has ended.
fn proportional_memory(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}

/// What stands in the files of a folder. Room that was only taken ahead, zeros up to the end of a file, does not count.
pub(crate) fn disk(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(found) if found.is_dir() => disk(&entry.path()),
        Ok(found) if found.is_file() => content(&entry.path()).unwrap_or_default(),
        // A file that has gone in the meantime holds nothing.
        _ => 0,
    };
    entries.map(size).sum()
}

fn content(path: &Path) -> std::io::Result<u64> {
    let mut file = std::fs::File::open(path)?;
    let (mut buffer, mut at, mut end) = (vec![0; 1 << 16], 0, 0);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(end);
        }
        if let Some(last) = buffer.iter().take(read).rposition(|byte| *byte != 0) {
            end = at + last as u64 + 1;
        }
        at += read as u64;
    }
}

/// Copies a folder with all that is in it, and leaves the owner as it was.
pub(crate) async fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().await.context("cannot start cp")?;
    anyhow::ensure!(status.success(), "cp: {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_process_has_started_counts_and_is_killed_too() {
        let folder = std::env::temp_dir().join(format!("compare-process-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "setsid sleep 60 & echo started; wait"]);
        let mut processes = Processes::default();
        processes.spawn(command, &folder, Signal::TERM).unwrap();
        while std::fs::read_to_string(folder.join("log")).unwrap() != "started\n" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let all = tree(&[processes.0[0].child.id().unwrap()]);
        assert!(all.len() == 2 && processes.memory() > 0, "{all:?}");
        processes.check().unwrap();
        processes.kill().await;
        let lives = |id: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        while all.iter().any(lives) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn room_that_was_taken_ahead_does_not_count() {
        let folder = std::env::temp_dir().join(format!("compare-disk-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("below")).unwrap();
        std::fs::write(folder.join("a"), [&[1, 0, 2][..], &[0; 200_000]].concat()).unwrap();
        std::fs::write(folder.join("below/b"), [&[0; 100_000][..], &[9]].concat()).unwrap();
        assert_eq!(disk(&folder), 3 + 100_001);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
