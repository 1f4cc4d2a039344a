//! Leads a life to those points that chance hardly ever comes by.

use std::time::Duration;

use lab::{AgentStatus, Execd};

use super::{AGENTS, End, Session};

/// How long a life lasts that is led to a point.
pub(super) const LIFE: Duration = Duration::from_secs(3);

const RARE: [&str; 4] = ["alarm.raised", "ledger.wake", "child.before", "child.made"];

/// Where a life is led, and by what.
pub(super) struct Steered {
    point: &'static str,
    /// The address that several runs want to block.
    peer: String,
}

/// Whether it takes steering to get there.
pub(super) fn is_rare(point: &str) -> bool {
    RARE.contains(&point)
}

impl Session {
    /// Several runs want a target that nobody has held before, at the same time and for a moment only, and, for an alarm,
    /// hosts are gone once they have done it; or a run calls another.
    pub(super) fn steer_to(&mut self, end: &End) {
        let point = RARE.into_iter().find(|point| leads_to(end, point));
        self.steered = point.map(|point| {
            let count = self.history.get_mut().alerts.len();
            Steered { point, peer: format!("198.51.100.{}", count % 200 + 1) }
        });
        let Some(Steered { point, peer }) = &self.steered else { return };
        let (kind, peer) = (if point.starts_with("child") { "call" } else { "outbreak" }, peer.clone());
        for agent in AGENTS {
            self.world.lab.set_agent_execd(agent, Execd::Enabled).unwrap();
            self.add_alert(kind, agent, "100ms", &peer);
        }
    }

    /// Agents that have done what they were told are gone before it is undone.
    pub(super) async fn lose_agents(&self) {
        let Some(Steered { point: "alarm.raised", peer }) = &self.steered else { return };
        loop {
            let in_force = self.world.lab.in_force();
            for agent in AGENTS {
                if in_force.contains(&format!("agent/{agent}/ip/{peer}")) {
                    self.world.lab.set_agent_status(agent, AgentStatus::Disconnected).unwrap();
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) fn find_agents(&self) {
        for agent in AGENTS {
            self.world.lab.set_agent_status(agent, AgentStatus::Active).unwrap();
        }
    }
}

fn leads_to(end: &End, point: &str) -> bool {
    matches!(end, End::Armed(orders) if orders.split(':').next() == Some(point))
}
