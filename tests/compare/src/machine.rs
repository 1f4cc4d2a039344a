//! What it was measured on.

use std::path::Path;

use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    /// The file system of the data.
    pub(crate) disk: String,
    /// How long an fdatasync of 4 KB takes there.
    pub(crate) flush_us: f64,
    pub(crate) date: String,
}

impl Machine {
    pub(crate) fn look(folder: &Path) -> anyhow::Result<Machine> {
        let of = |file: &str, key: &str| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let value = text
                .lines()
                .find_map(|line| Some(line.strip_prefix(key)?.split_once(':')?.1.trim().to_owned()));
            value.unwrap_or_default()
        };
        let memory =
            of("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse::<u64>().unwrap_or_default();
        let date = std::process::Command::new("date").arg("+%-d %B %Y").env("LC_ALL", "C").output()?;
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Ok(Machine {
            cpu: of("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: (memory + (1 << 19)) >> 20,
            kernel: kernel.trim().to_owned(),
            disk: file_system(folder),
            flush_us: flush(folder)?,
            date: String::from_utf8_lossy(&date.stdout).trim().to_owned(),
        })
    }
}

/// The file system that holds this folder: the one with the longest path above it.
fn file_system(folder: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let above = fields.filter_map(|fields| match fields.as_slice() {
        [_, path, kind, ..] if folder.starts_with(path) => Some((path.len(), (*kind).to_owned())),
        _ => None,
    });
    above.max_by_key(|(length, _)| *length).map(|(_, kind)| kind).unwrap_or_default()
}

fn flush(folder: &Path) -> anyhow::Result<f64> {
    use std::io::{Seek as _, Write as _};
    let path = folder.join("flush");
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        file.rewind()?;
        file.write_all(&[7; 4096])?;
        let began = std::time::Instant::now();
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    std::fs::remove_file(path)?;
    Ok(crate::results::median(times).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_there_is() {
        let folder = std::env::temp_dir().join(format!("compare-machine-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let machine = Machine::look(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(machine.cores > 0 && machine.flush_us > 0.0);
        assert!(!machine.disk.is_empty() && !machine.kernel.is_empty() && !machine.date.is_empty());
    }
}
