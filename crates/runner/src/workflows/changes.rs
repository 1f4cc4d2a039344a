//! What a reload has changed, as an operator finds it in the log.

use tracing::{error, info, warn};

use super::{Playbook, Workflows};

impl Workflows {
    /// Says in the log what has changed since these.
    pub(crate) fn log_changes_since(&self, before: &Workflows) {
        for playbook in &before.playbooks {
            if let Some(live) = &playbook.live
                && self.get(&live.workflow.name).is_none()
            {
                info!(workflow = live.workflow.name, file = playbook.file, "a workflow was taken away");
            }
        }
        for playbook in &self.playbooks {
            let old = before.playbooks.iter().find(|old| old.file == playbook.file);
            playbook.log_change_since(old);
        }
        if let Some(trouble) =
            self.trouble.as_ref().filter(|trouble| before.trouble.as_ref() != Some(trouble))
        {
            warn!(reason = trouble.reason, "what stands on disk was not taken over as a whole");
        }
    }
}

impl Playbook {
    fn log_change_since(&self, old: Option<&Playbook>) {
        let (file, findings) = (&self.file, &self.findings);
        let workflow = self.live.as_ref().map(|live| live.workflow.name.as_str());
        if self.failing_since.is_some() {
            let is_known = old.is_some_and(|old| old.findings == *findings);
            match workflow {
                _ if is_known => {}
                Some(workflow) => error!(
                    file,
                    workflow, "a playbook has errors, and the version before it stays live:\n{findings}"
                ),
                None => error!(file, "a playbook has errors and is left out:\n{findings}"),
            }
            return;
        }
        let version = |playbook: &Playbook| Some(playbook.live.as_ref()?.workflow.digest.clone());
        let now = version(self);
        if now != old.and_then(version) {
            info!(file, workflow, version = now.map(tracing::field::display), "a workflow was loaded");
        } else if old.is_some_and(|old| old.failing_since.is_some()) {
            info!(file, workflow, "a playbook is good again, and is what was live all the time");
        }
    }
}
