//! The promises, end to end: the real binary as a process of its own, against simulated systems over real HTTP.
//!
//! One test binary, one module for each promise. What each module proves is told in `tests/README.md`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alerts;
mod approvals;
mod backup;
mod bench;
mod command_line;
mod crashes;
mod damage;
mod documents;
mod evidence;
mod failures;
mod guardrails;
mod new;
mod overload;
mod pictures;
mod playbooks;
mod reconcile;
mod reload;
mod reshaping;
mod schema;
mod wazuh_contain;
mod wazuh_integration;
mod world;
