//! Simulated Wazuh with its indexer, TheHive, VirusTotal, Slack and MISP with fault injection, for the demo and the tests.
//!
//! [`Lab::start`] opens one HTTP server for each of them on loopback, and one more that controls them. They
//! answer as the products do, down to status codes and bodies, keep what they are told in memory, record every
//! request and take orders for faults. The lab knows the endpoints that playbooks use and no others, and it never
//! calls anybody.
//!
//! Measurements want less than that: [`outside`] is one plain server that only counts, and [`load`] the client that asks a
//! server as fast as it can.

mod certificate;
mod clock;
mod control;
pub mod faults;
mod http;
mod indexer;
mod lab;
pub mod load;
mod misp;
pub mod outside;
mod record;
mod settings;
mod slack;
#[cfg(test)]
mod testing;
mod thehive;
mod virustotal;
mod wazuh;

pub use faults::{Fault, System};
pub use lab::{Error, Lab};
pub use record::Recorded;
pub use settings::Settings;
pub use wazuh::{ActiveResponse, Agent, AgentStatus, Execd, Os, Permissions};
