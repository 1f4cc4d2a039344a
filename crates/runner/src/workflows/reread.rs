//! What a reload makes of the files: which texts are taken over, and which version stays where one is not.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Timestamp;
use workflow::{Catalog, Diagnostic, Diagnostics, Rule, Signature, Workflow, in_parallel};

use super::{Found, Live, Playbook, Workflows, hooks};

impl Workflows {
    /// What these files give, after these workflows: a text with errors leaves the version before it live, a file that
    /// is gone takes its workflow away, and of two files with one name the one that has it already keeps it.
    #[must_use]
    pub fn reread(
        &self,
        files: impl IntoIterator<Item = Found>,
        catalog: &Catalog,
        now: Timestamp,
    ) -> Workflows {
        let mut catalog = catalog.clone();
        let read: Vec<(Found, Parsed)> = in_parallel(files.into_iter().collect(), parse);
        for signature in read.iter().filter_map(|(found, parsed)| self.signature(found, parsed)) {
            catalog.add_workflow(signature);
        }
        let mut drafts: Vec<Draft<'_>> =
            in_parallel(read, |(found, parsed)| Draft::read(self, found, parsed, &catalog));
        let files: Vec<String> = drafts.iter().map(|draft| draft.file.clone()).collect();
        // Who has a name keeps it; then the others take theirs, in the order of their files.
        let mut by_name = BTreeMap::new();
        for (index, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.keeps_its_name()) {
            by_name.extend(draft.name().map(|name| (name.to_owned(), index)));
        }
        for (index, draft) in drafts.iter_mut().enumerate() {
            draft.claim(index, &mut by_name, &files);
        }
        let settle = |(index, draft): (usize, Draft<'_>)| {
            let is_named = draft.name().is_some_and(|name| by_name.get(name) == Some(&index));
            draft.settle(is_named, self, now)
        };
        let playbooks = drafts.into_iter().enumerate().map(settle).collect();
        let mut workflows = Workflows { playbooks, by_name, ..Workflows::default() };
        workflows.hooks = hooks::of(workflows.iter());
        workflows
    }

    /// What a file shows to playbooks that call it; where it cannot be read, what its live version shows.
    fn signature(&self, found: &Found, parsed: &Parsed) -> Option<Signature> {
        if let Ok(draft) = parsed {
            return draft.signature();
        }
        let before = self.playbooks.iter().find(|playbook| playbook.file == found.file)?;
        workflow::Draft::parse(&found.file, &before.live.as_ref()?.workflow.text).ok()?.signature()
    }

    /// When this version was loaded, under whichever name its file went.
    fn loaded_at(&self, workflow: &Workflow) -> Option<Timestamp> {
        let mut live = self.playbooks.iter().filter_map(|playbook| playbook.live.as_ref());
        live.find(|live| live.workflow.digest == workflow.digest).map(|live| live.loaded_at)
    }
}

/// A file whose YAML was read, or what is wrong with it.
type Parsed = Result<workflow::Draft, Diagnostics>;

fn parse(found: Found) -> (Found, Parsed) {
    let parsed = match &found.text {
        Ok(text) => workflow::Draft::parse(&found.file, text),
        Err(reason) => {
            let mut findings = Diagnostics::new(&found.file, "");
            findings.push(Diagnostic::new(Rule::UNREADABLE, 0..0, reason.as_str()));
            Err(findings)
        }
    };
    (found, parsed)
}

/// A file on its way.
struct Draft<'a> {
    before: Option<&'a Playbook>,
    file: String,
    /// What its newest text gives, where it can be used.
    newest: Option<Arc<Workflow>>,
    findings: Diagnostics,
}

impl<'a> Draft<'a> {
    fn read(workflows: &'a Workflows, found: Found, parsed: Parsed, catalog: &Catalog) -> Draft<'a> {
        let before = workflows.playbooks.iter().find(|playbook| playbook.file == found.file);
        let (newest, findings) = match parsed {
            Ok(draft) => draft.load(catalog),
            Err(findings) => (None, findings),
        };
        Draft { before, file: found.file, newest: newest.map(Arc::new), findings }
    }

    fn old(&self) -> Option<&'a Live> {
        self.before.and_then(|before| before.live.as_ref())
    }

    /// The name that the file asks for, or had.
    fn name(&self) -> Option<&str> {
        let workflow = self.newest.as_ref().or_else(|| self.old().map(|live| &live.workflow));
        workflow.map(|workflow| workflow.name.as_str())
    }

    fn keeps_its_name(&self) -> bool {
        self.old().is_some_and(|live| Some(live.workflow.name.as_str()) == self.name())
    }

    /// Takes the file's name where it is free. Where it is not, the text cannot be used.
    fn claim(&mut self, index: usize, by_name: &mut BTreeMap<String, usize>, files: &[String]) {
        let Some(name) = self.name().map(str::to_owned) else { return };
        let holder = *by_name.entry(name.clone()).or_insert(index);
        if holder == index {
            return;
        }
        let Some(newest) = self.newest.take() else { return };
        let at = newest.text.find(&name).map_or(0..0, |start| start..start + name.len());
        let holder = files.get(holder).map_or("another file", String::as_str);
        let message = format!("there is a workflow `{name}` already, in {holder}");
        let finding = Diagnostic::new(Rule::DUPLICATE_WORKFLOW, at, message);
        self.findings.push(finding.help("give one of the two another name"));
        if let Some(old) = self.old() {
            by_name.entry(old.workflow.name.clone()).or_insert(index);
        }
    }

    fn settle(self, is_named: bool, workflows: &Workflows, now: Timestamp) -> Playbook {
        let failing_since = match self.newest {
            Some(_) => None,
            None => Some(self.before.and_then(|before| before.failing_since).unwrap_or(now)),
        };
        let newest = self.newest.as_ref().map(|workflow| Live {
            workflow: workflow.clone(),
            loaded_at: workflows.loaded_at(workflow).unwrap_or(now),
        });
        let live = newest.or_else(|| self.old().cloned()).filter(|_| is_named);
        Playbook { file: self.file, live, findings: self.findings, failing_since }
    }
}
