//! What `portcullis new` writes can be used at once.

use std::path::Path;
use std::process::Command;

const TEMPLATES: [Option<&str>; 6] = [
    None,
    Some("brute_force"),
    Some("malware_hash"),
    Some("phishing_report"),
    Some("ransomware_host"),
    Some("leaked_credential"),
];

/// Runs the binary in a folder; gives whether it succeeded, and what it said.
fn run(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).current_dir(folder).output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn arguments<'a>(name: &'a str, template: Option<&'a str>) -> Vec<&'a str> {
    ["new", name]
        .into_iter()
        .chain(template.into_iter().flat_map(|template| ["--template", template]))
        .collect()
}

#[test]
fn every_template_passes_its_checks_and_tests_in_shadow_and_live() {
    for template in TEMPLATES {
        let folder = tempfile::tempdir().unwrap();
        let (ok, text) = run(folder.path(), &arguments("mine", template));
        assert!(ok, "{template:?}: {text}");
        let file = folder.path().join("workflows/mine.yaml");
        let playbook = std::fs::read_to_string(&file).unwrap();
        assert!(playbook.contains("\nworkflow: mine\n") && playbook.contains("\nmode: shadow"), "{playbook}");
        for mode in ["shadow", "live"] {
            std::fs::write(&file, playbook.replace("\nmode: shadow", &format!("\nmode: {mode}"))).unwrap();
            let (ok, text) = run(folder.path(), &["check"]);
            assert!(ok && text.contains("0 errors, 0 warnings"), "{template:?}: {text}");
            let (ok, text) = run(folder.path(), &["test"]);
            assert!(ok && text.contains("mine.test.yaml"), "{template:?}: {text}");
        }
    }
}

#[test]
fn what_is_there_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let workflows = folder.path().join("workflows");
    assert!(run(folder.path(), &arguments("mine", None)).0);
    std::fs::write(workflows.join("mine.test.yaml"), "# mine").unwrap();
    let (ok, text) = run(folder.path(), &arguments("mine", Some("brute_force")));
    assert!(!ok && text.contains("workflows/mine.yaml is there already"), "{text}");
    std::fs::remove_file(workflows.join("mine.yaml")).unwrap();
    let (ok, text) = run(folder.path(), &arguments("mine", None));
    assert!(!ok && text.contains("workflows/mine.test.yaml is there already"), "{text}");

    // A name that another file has, or that the template calls.
    assert!(run(folder.path(), &arguments("other", None)).0);
    std::fs::rename(workflows.join("other.yaml"), workflows.join("moved.yaml")).unwrap();
    std::fs::remove_file(workflows.join("other.test.yaml")).unwrap();
    for (name, template) in [("other", None), ("enrich_hash", Some("malware_hash"))] {
        let (ok, text) = run(folder.path(), &arguments(name, template));
        assert!(!ok && text.contains(&format!("there is a playbook `{name}` already")), "{text}");
    }

    std::fs::write(workflows.join("enrich_hash.yaml"), "workflow: enrich_hash\n# mine").unwrap();
    assert!(run(folder.path(), &arguments("third", Some("malware_hash"))).0);
    let called = std::fs::read_to_string(workflows.join("enrich_hash.yaml")).unwrap();
    assert_eq!(called, "workflow: enrich_hash\n# mine");
    assert!(!workflows.join("enrich_hash.test.yaml").exists());
}
