//! What a process takes of the machine, as Linux says it.

use std::time::Duration;

use anyhow::Context as _;

/// Linux counts time for programs in hundredths of a second, on every machine.
const TICK: Duration = Duration::from_millis(10);

/// What a process has used of the processors; its number, or `self`.
pub(super) fn cpu(id: &str) -> anyhow::Result<Duration> {
    let stat = read(id, "stat")?;
    // The name of the program stands in brackets and may hold anything.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let mut ticks = fields.split_whitespace().skip(11).map_while(|field| field.parse::<u32>().ok());
    let (user, system) =
        ticks.next().zip(ticks.next()).context("/proc/PID/stat is not as Linux writes it")?;
    Ok(TICK * (user + system))
}

/// What a process takes of memory, in bytes.
pub(super) fn memory(id: &str) -> anyhow::Result<u64> {
    let status = read(id, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kilobytes.context("/proc/PID/status is not as Linux writes it")? * 1024)
}

fn read(id: &str, file: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{id}/{file}");
    std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {path}: this is measured on Linux only"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        assert!(memory("self").unwrap() > 1 << 20);
        // Ends as soon as it has used the processor for a tick.
        while cpu("self").unwrap() < TICK {}
        assert!(memory("none").unwrap_err().to_string().contains("Linux only"));
    }
}
