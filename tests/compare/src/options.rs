//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::work::Work;

/// Measures Portcullis beside what else one could use: the same work, on this machine, in one run.
#[derive(Debug, Parser)]
#[command(name = "compare")]
pub(crate) struct Options {
    /// Beside whom: n8n, restate, dbos, node-red, or none.
    #[arg(long, value_delimiter = ',', default_value = "n8n,restate,dbos,node-red")]
    peers: Vec<PeerName>,
    /// How often each is measured; the table shows medians.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// What is measured; d is the approval over a restart, crash the kill -9 under load.
    #[arg(long, value_delimiter = ',', default_value = "a,b,pure,http,c,d,crash")]
    workloads: Vec<Workload>,
    /// How many runs wait for a person in d, at most.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) parked: u64,
    /// Writes everything that was measured to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes the tables to this file as Markdown; in a page that marks their place, as README.md does, only there.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Draws runs in a second into this file.
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) plot: Option<PathBuf>,
    /// One short round: whether it works, not how fast it is.
    #[arg(long)]
    pub(crate) quick: bool,
}

/// A name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PeerName {
    N8n,
    Restate,
    Dbos,
    NodeRed,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Workload {
    A,
    B,
    Pure,
    Http,
    C,
    D,
    Crash,
}

impl Options {
    pub(crate) fn peers(&self) -> Vec<PeerName> {
        self.peers.iter().copied().filter(|name| *name != PeerName::None).collect()
    }

    /// The work that is measured under load.
    pub(crate) fn works(&self) -> Vec<Work> {
        let of = |workload: &Workload| match workload {
            Workload::A => Some(Work::A),
            Workload::B => Some(Work::B),
            Workload::Pure => Some(Work::Pure),
            Workload::Http => Some(Work::Http),
            Workload::C => Some(Work::C),
            Workload::D | Workload::Crash => None,
        };
        self.workloads.iter().filter_map(of).collect()
    }

    pub(crate) fn has_parking(&self) -> bool {
        self.workloads.contains(&Workload::D)
    }

    pub(crate) fn has_crash(&self) -> bool {
        self.workloads.contains(&Workload::Crash)
    }

    pub(crate) fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }

    pub(crate) fn parked(&self) -> u64 {
        if self.quick { self.parked.min(50) } else { self.parked }
    }

    /// How long this many ask at once.
    pub(crate) fn window(&self, concurrency: usize) -> Duration {
        let millis = if concurrency >= 64 { 800 } else { 400 };
        Duration::from_millis(if self.quick { millis / 3 } else { millis })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Options {
        Options::try_parse_from(std::iter::once("compare").chain(arguments.split_whitespace())).unwrap()
    }

    #[test]
    fn everything_is_measured_where_nothing_is_said() {
        let options = parse("");
        assert_eq!(options.peers().len(), 4);
        assert_eq!(options.works(), [Work::A, Work::B, Work::Pure, Work::Http, Work::C]);
        assert!(options.has_parking() && options.has_crash());
        assert_eq!(options.rounds(), 5);
    }

    #[test]
    fn peers_and_workloads_are_chosen() {
        let options = parse("--peers none --workloads b,d --rounds 3 --quick");
        assert_eq!(options.peers(), []);
        assert_eq!(options.works(), [Work::B]);
        assert!(options.has_parking() && !options.has_crash());
        assert_eq!((options.rounds(), options.parked()), (1, 50));
        assert_eq!(parse("--peers node-red,n8n").peers(), [PeerName::NodeRed, PeerName::N8n]);
        assert!(Options::try_parse_from(["compare", "--peers", "temporal"]).is_err());
    }
}
