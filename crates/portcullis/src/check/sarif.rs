//! Findings as SARIF 2.1.0, which code scanning of GitHub, GitLab and Azure reads.

use std::ops::Range;
use std::path::{Component, Path};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use workflow::{Diagnostic, Diagnostics, Rule};

use super::Checked;
use super::format::level;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// Where relative paths begin: at the folder in which the command was given.
const BASE: &str = "%SRCROOT%";
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) fn document(checked: &Checked) -> Value {
    let results = checked.files.iter().flat_map(|file| {
        let findings = file.findings().into_iter();
        findings.map(|finding| result(file, finding)).collect::<Vec<_>>()
    });
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "portcullis",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": Rule::all().map(rule).collect::<Vec<_>>(),
            }},
            // Characters, as in the other formats, and not UTF-16.
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

fn rule(rule: &Rule) -> Value {
    let (wrong, right) = (rule.wrong.shown(), rule.right.shown());
    let why = rule.why;
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.summary },
        "fullDescription": { "text": why },
        "help": {
            "text": format!("{why}\n\nWrong:\n\n{wrong}\nRight:\n\n{right}"),
            "markdown": format!("{why}\n\nWrong:\n\n```yaml\n{wrong}```\n\nRight:\n\n```yaml\n{right}```\n"),
        },
        "defaultConfiguration": { "level": level(rule.severity) },
    })
}

fn result(file: &Diagnostics, finding: &Diagnostic) -> Value {
    let help = finding.help.iter().map(|help| format!("\nhelp: {help}"));
    let message: String = std::iter::once(finding.message.clone()).chain(help).collect();
    let related = finding.notes.iter().enumerate().map(|(index, (at, text))| {
        json!({ "id": index, "physicalLocation": place(file, at), "message": { "text": text } })
    });
    json!({
        "ruleId": finding.rule.id,
        "ruleIndex": Rule::all().position(|rule| rule == finding.rule),
        "level": level(finding.severity),
        "message": { "text": message },
        "locations": [{ "physicalLocation": place(file, &finding.at) }],
        "relatedLocations": related.collect::<Vec<_>>(),
    })
}

fn place(file: &Diagnostics, at: &Range<usize>) -> Value {
    let (line, column) = file.line_and_column(at.start);
    let (end_line, end_column) = file.line_and_column(at.end.max(at.start));
    json!({
        "artifactLocation": location(Path::new(file.file())),
        "region": { "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column },
    })
}

/// A path below the current folder becomes a relative URI, any other a `file:` URI.
fn location(path: &Path) -> Value {
    let current = std::env::current_dir().unwrap_or_default();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match absolute.strip_prefix(&current) {
        Ok(relative) => json!({ "uri": uri(relative), "uriBaseId": BASE }),
        Err(_) => json!({ "uri": format!("file:///{}", uri(&absolute)) }),
    }
}

fn uri(path: &Path) -> String {
    let segments = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(utf8_percent_encode(&name.to_string_lossy(), SEGMENT).to_string()),
        Component::ParentDir => Some("..".to_owned()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_uri_that_begins_at_the_current_folder() {
        assert_eq!(location(Path::new("./a b/ü%.yaml"))["uri"], "a%20b/%C3%BC%25.yaml");
        assert_eq!(location(Path::new("/etc/x.yaml"))["uri"], "file:///etc/x.yaml");
        assert_eq!(location(Path::new("x.yaml"))["uriBaseId"], BASE);
    }

    /// The required properties of SARIF 2.1.0, and what GitHub asks for besides.
    #[test]
    fn the_document_has_what_readers_need() {
        let mut findings = Diagnostics::new("workflows/ü.yaml", "é: é\nworkflow: x\n");
        findings
            .push(Diagnostic::new(Rule::UNKNOWN_KEY, 0..2, "there is no key").note(6..7, "here").help("do"));
        let document = document(&Checked { files: vec![findings], playbooks: 1, tests: 0 });
        assert_eq!(document["version"], "2.1.0");
        let run = &document["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        assert_eq!(rules.len(), Rule::all().count());
        for rule in rules {
            for key in ["/id", "/shortDescription/text", "/help/text", "/defaultConfiguration/level"] {
                assert!(rule.pointer(key).unwrap().as_str().is_some_and(|text| !text.is_empty()), "{key}");
            }
        }
        let index = usize::try_from(run["results"][0]["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], "unknown-key");
        insta::assert_snapshot!(serde_json::to_string(&run["results"][0]).unwrap(), @r#"{"level":"error","locations":[{"physicalLocation":{"artifactLocation":{"uri":"workflows/%C3%BC.yaml","uriBaseId":"%SRCROOT%"},"region":{"endColumn":2,"endLine":1,"startColumn":1,"startLine":1}}}],"message":{"text":"there is no key\nhelp: do"},"relatedLocations":[{"id":0,"message":{"text":"here"},"physicalLocation":{"artifactLocation":{"uri":"workflows/%C3%BC.yaml","uriBaseId":"%SRCROOT%"},"region":{"endColumn":1,"endLine":2,"startColumn":5,"startLine":1}}}],"ruleId":"unknown-key","ruleIndex":6}"#);
    }
}
