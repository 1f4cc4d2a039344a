//! What may be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use model::{RunId, StepId, StepKey};

use crate::bench::Row;
use crate::bench::child::BenchChild;
use crate::check::Format;
use crate::new::Template;

/// Incident-response playbooks for Wazuh and TheHive: nothing lost, nothing twice, nothing without its gate.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 110)]
pub(crate) struct Cli {
    /// The configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = "portcullis.yaml")]
    pub(crate) config: PathBuf,
    /// The server to talk to; the one of the configuration if nothing is said. The token is read from the environment
    /// variable PORTCULLIS_TOKEN.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the whole loop on this machine: a simulated Wazuh and TheHive, a real server, one alert.
    Demo(DemoOptions),
    /// Run the server: webhooks, API, timers.
    Serve,
    /// Write a playbook to begin with, and its tests: a small one that teaches, or one for production. In shadow mode.
    New(NewOptions),
    /// Check playbooks and their tests: every mistake with its place. Ends with 0 where there is no error, with 1 where
    /// there is one, with 2 where a file cannot be read.
    Check {
        /// Playbooks, tests, or folders of them; those of the configuration if nothing is said.
        paths: Vec<PathBuf>,
        /// How findings are written.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Explain a rule of the checker, with an example; list all if none is named.
    Explain {
        /// The rule, as findings show it: `error[unknown-path]`.
        rule: Option<String>,
        /// All rules as the page workflows/rules.md.
        #[arg(long, conflicts_with = "rule")]
        markdown: bool,
    },
    /// Run the tests of playbooks, without a network: NAME.test.yaml beside NAME.yaml.
    Test(TestOptions),
    /// Try an expression on an alert: CEL, or text with {{ }}. Without one, a prompt, or each line of standard input.
    Eval(EvalOptions),
    /// Start a workflow by hand and follow it.
    Run {
        /// The workflow's name.
        workflow: StepId,
        /// The alert, as JSON in a file.
        #[arg(long, value_name = "FILE")]
        alert: PathBuf,
    },
    /// List runs, or show one as a timeline.
    Runs {
        #[command(subcommand)]
        command: Option<RunsCommand>,
        /// Only runs that stand there.
        #[arg(long)]
        status: Option<Status>,
        /// Only runs of this workflow.
        #[arg(long)]
        workflow: Option<StepId>,
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// List the workflows that a server has live, and the files that it cannot use.
    Workflows,
    /// List what waits for a person.
    Approvals,
    /// Approve a step that waits for it.
    Approve(Answer),
    /// Reject a step that waits for an approval.
    Reject(Answer),
    /// Say what became of a step that is in doubt.
    Resolve {
        /// The run.
        run: RunId,
        /// The step.
        step: StepKey,
        /// What became of it.
        resolution: Resolution,
        /// How you know.
        #[arg(long)]
        why: String,
        /// Who says so, where the token may speak for others.
        #[arg(long)]
        by: Option<String>,
    },
    /// List what is contained: by which run, since when, until when, and when it was last seen to be so. Ends with 1 where
    /// something should be undone and cannot be.
    Contained,
    /// List the alerts of the last days that never came by themselves, and were found in the Wazuh indexer.
    Gaps,
    /// Undo now what a step of a run has contained; or say that it was undone by hand.
    Undo {
        /// The run.
        run: RunId,
        /// The step.
        step: StepKey,
        /// Why; or how you know, where it was undone by hand.
        #[arg(long)]
        why: String,
        /// It was undone by hand already: nothing is sent.
        #[arg(long)]
        done: bool,
        /// Who says so, where the token may speak for others.
        #[arg(long)]
        by: Option<String>,
    },
    /// Stop a run: what has not started will not start.
    Cancel {
        /// The run.
        run: RunId,
        /// Why.
        #[arg(long)]
        why: String,
    },
    /// Stop all disruption at once, in every run: no step that disrupts starts until somebody resumes. Undos go on. Any
    /// token may, and it outlives a restart.
    Halt {
        /// Why.
        #[arg(long)]
        why: String,
        /// Who says so, where the token may speak for others.
        #[arg(long)]
        by: Option<String>,
    },
    /// End a halt. It takes the role that the guardrails name in `resume_role`, or `admin`.
    Resume {
        /// Why.
        #[arg(long)]
        why: String,
        /// Who says so, where the token may speak for others.
        #[arg(long)]
        by: Option<String>,
    },
    /// Give up a run whose journal is damaged, so that it cannot go on: it counts as failed from then on. Takes a token with
    /// the role `admin`.
    Abandon {
        /// The run.
        run: RunId,
        /// Why.
        #[arg(long)]
        why: String,
    },
    /// Copy everything that a running server keeps into one file, a tar archive, and check the copy. Takes a token with the
    /// role `admin`: the file holds every alert, and no secret.
    Backup {
        /// The new file.
        to: PathBuf,
    },
    /// Make a store from a backup in the `data_dir` of the configuration, which has to be empty. Everything that was under
    /// way when the backup was taken is put in doubt, and nothing is sent again.
    Restore {
        /// The backup.
        from: PathBuf,
    },
    /// List the nodes that playbooks may use, or show one.
    Nodes {
        /// The node's name.
        node: Option<String>,
        /// All of them as a page of Markdown.
        #[arg(long, conflicts_with = "node")]
        markdown: bool,
    },
    /// Write the JSON Schema of playbooks, with which an editor completes them and shows what each key means.
    Schema {
        /// All keys as a page of Markdown.
        #[arg(long)]
        markdown: bool,
    },
    /// Draw a playbook: what follows what, who is asked, and what disrupts.
    Graph {
        /// The playbook.
        file: PathBuf,
        /// How it is written down.
        #[arg(long, default_value = "svg")]
        format: Drawing,
    },
    /// Run the simulated Wazuh with its indexer, TheHive, VirusTotal, Slack and MISP alone, to develop against.
    Lab {
        /// The first of seven ports; 0 takes any that are free.
        #[arg(long, default_value_t = 55000)]
        port: u16,
    },
    /// Measure how fast this program is on this machine, in a few minutes. It starts servers of its own, talks to 127.0.0.1 only,
    /// and writes to a temporary folder only, which goes when it ends. Ends with 1 where a target is not met.
    Bench(BenchOptions),
    /// What `bench` starts beside the server.
    #[command(hide = true)]
    BenchChild {
        #[command(subcommand)]
        child: BenchChild,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BenchOptions {
    /// What is measured; everything if nothing is said.
    pub(crate) rows: Vec<Row>,
    /// How often each figure is taken; the median counts. 5 if nothing is said.
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<usize>,
    /// Short rounds, and one of each: whether it works, in less than 20 seconds. The figures mean little.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write the figures to a file, with each round, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// How many runs are parked for the row `parked`; 100000 if nothing is said.
    #[arg(long, value_name = "N")]
    pub(crate) parked: Option<u64>,
    /// How often the server is killed for the row `kill`; 10 if nothing is said.
    #[arg(long, value_name = "N")]
    pub(crate) kills: Option<u32>,
    /// Where the temporary folder is made: the disk below it is what is measured. The system's folder for temporary files
    /// if nothing is said.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct NewOptions {
    /// The name of the new playbook.
    pub(crate) name: StepId,
    /// A playbook for production to begin with.
    #[arg(long)]
    pub(crate) template: Option<Template>,
    /// The folder; the first one of the configuration, or `workflows`, if nothing is said.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TestOptions {
    /// Test files, playbooks, or folders of them; those of the configuration if nothing is said.
    pub(crate) paths: Vec<PathBuf>,
    /// Show for each playbook what no test shows: steps and branches.
    #[arg(long)]
    pub(crate) coverage: bool,
    /// Fail where the tests show less than so many percent of all steps and branches.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) coverage_min: Option<u8>,
    /// Write what became of each test to a file, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EvalOptions {
    /// The expression.
    pub(crate) expression: Option<String>,
    /// The alert, as JSON in a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) alert: Option<PathBuf>,
    /// What steps have given: a JSON file with the output of each by its id.
    #[arg(long, value_name = "FILE")]
    pub(crate) steps: Option<PathBuf>,
    /// The playbook whose variables can be read.
    #[arg(long, value_name = "FILE")]
    pub(crate) workflow: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Show a run as a timeline.
    Show {
        /// The run.
        run: RunId,
        /// The journal as JSON, one fact a line.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Answer {
    /// The run.
    pub(crate) run: RunId,
    /// The step.
    pub(crate) step: StepKey,
    /// Why; a rejection always needs it.
    #[arg(long)]
    pub(crate) why: Option<String>,
    /// Who says so, where the token may speak for others.
    #[arg(long)]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// Approve without asking.
    #[arg(long, conflicts_with = "reject")]
    pub(crate) approve: bool,
    /// Reject without asking.
    #[arg(long)]
    pub(crate) reject: bool,
    /// Leave the server alone while it waits; otherwise it is killed and started again.
    #[arg(long)]
    pub(crate) no_kill: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Drawing {
    /// A drawing that stands for itself.
    Svg,
    /// A flowchart for Markdown.
    Mermaid,
    /// The language of Graphviz.
    Dot,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Status {
    Running,
    Waiting,
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Resolution {
    /// It happened.
    Ok,
    /// It did not happen, and shall not.
    Failed,
    /// It did not happen; send it again.
    SendAgain,
}
