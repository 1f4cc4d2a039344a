//! Looks at a folder that changes, one after another.

use std::fs::File as Disk;

use super::*;

const GOOD: &str = "workflow: one\nsteps:\n  - { id: a, uses: set, with: { x: \"1\" } }\n";

struct Bench {
    folder: tempfile::TempDir,
    playbooks: Playbooks,
    live: Workflows,
}

impl Bench {
    /// A folder with one good playbook, read.
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let [workflows, nodes] = ["workflows", "nodes"].map(|name| folder.path().join(name));
        fs::create_dir(&workflows).unwrap();
        fs::create_dir(&nodes).unwrap();
        let folders = Folders { workflows: vec![workflows], nodes: vec![nodes] };
        let playbooks = Playbooks::new(folders, app::read_nodes(&[]).unwrap().0);
        let mut bench = Bench { folder, playbooks, live: Workflows::default() };
        bench.write("workflows/one.yaml", GOOD);
        bench.live = bench.playbooks.read().unwrap();
        bench
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    /// Looks once; gives whether something was taken over.
    fn look(&mut self, is_urgent: bool) -> bool {
        let next = self.playbooks.look(&self.live, is_urgent);
        let is_taken = next.is_some();
        self.live = next.unwrap_or_else(|| self.live.clone());
        is_taken
    }

    fn title(&self) -> Option<&str> {
        self.live.get("one").unwrap().title.as_deref()
    }
}

#[test]
fn a_change_is_taken_over_when_two_looks_see_the_same() {
    let mut bench = Bench::new();
    assert!(!bench.look(false), "nothing has changed");
    bench.write("workflows/one.yaml", &format!("{GOOD}title: half\n"));
    assert!(!bench.look(false));
    bench.write("workflows/one.yaml", &format!("{GOOD}title: done\n"));
    assert!(!bench.look(false), "it goes on changing");
    assert!(bench.look(false));
    assert_eq!(bench.title(), Some("done"));
    assert!(!bench.look(false));
    bench.write("workflows/one.yaml", GOOD);
    assert!(bench.look(true), "somebody does not want to wait");
    assert_eq!(bench.title(), None);
}

#[test]
fn a_change_that_leaves_time_and_length_as_they_were_is_seen() {
    let mut bench = Bench::new();
    let now = SystemTime::now();
    let stamp = |bench: &Bench| {
        Disk::options().write(true).open(bench.path("workflows/one.yaml")).unwrap().set_modified(now).unwrap()
    };
    bench.write("workflows/one.yaml", &format!("{GOOD}title: abc\n"));
    stamp(&bench);
    bench.look(false);
    bench.look(false);
    bench.write("workflows/one.yaml", &format!("{GOOD}title: xyz\n"));
    stamp(&bench);
    bench.look(false);
    assert!(bench.look(false));
    assert_eq!(bench.title(), Some("xyz"));
}

#[test]
fn a_file_that_is_gone_takes_its_workflow_away_and_a_folder_does_not() {
    let mut bench = Bench::new();
    fs::rename(bench.path("workflows"), bench.path("elsewhere")).unwrap();
    assert!(!bench.look(false), "once may be a file that went in between");
    assert!(bench.look(false));
    assert!(bench.live.get("one").is_some());
    let trouble = bench.live.trouble().unwrap().clone();
    assert!(trouble.reason.contains("cannot read"), "{}", trouble.reason);
    assert!(!bench.look(false), "that is known");
    fs::rename(bench.path("elsewhere"), bench.path("workflows")).unwrap();
    assert!(bench.look(false));
    assert_eq!(bench.live.trouble(), None);
    fs::remove_file(bench.path("workflows/one.yaml")).unwrap();
    bench.look(false);
    assert!(bench.look(false));
    assert!(bench.live.get("one").is_none());
}

#[test]
fn a_playbook_can_use_a_node_that_comes_later_and_a_broken_node_changes_nothing() {
    let mut bench = Bench::new();
    bench.write("workflows/two.yaml", "workflow: two\nsteps:\n  - { id: a, uses: mine.look }\n");
    bench.look(true);
    assert!(bench.live.get("two").is_none());
    let node = "node: mine.look\nsummary: Looks.\neffect: read\non_doubt: retry\nengine: set\n";
    bench.write("nodes/look.yaml", node);
    bench.look(true);
    assert!(bench.live.get("two").is_some(), "{:?}", bench.live.playbooks());
    bench.write("nodes/look.yaml", "node: mine.look\n");
    bench.write("workflows/one.yaml", &format!("{GOOD}title: new\n"));
    bench.look(true);
    assert!(bench.live.get("two").is_some());
    assert_eq!(bench.title(), Some("new"), "playbooks are taken over all the same");
    assert!(bench.live.trouble().is_some());
    bench.write("nodes/look.yaml", node);
    bench.look(true);
    assert_eq!(bench.live.trouble(), None);
}
