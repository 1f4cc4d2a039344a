//! One YAML document: its values, and where each of them stands.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::rule::Rule;
use crate::yaml::node::Node;
use crate::yaml::trap;

const LONGEST_SOURCE: usize = 1024 * 1024;
const MOST_VALUES: usize = 100_000;
const DEEPEST_NESTING: usize = 32;
/// The paths of all values together: a long key stands in the path of everything below it.
const LONGEST_PATHS: usize = 16 * 1024 * 1024;

/// A parsed document, and what has been found wrong with it so far.
#[derive(Debug)]
pub struct Document {
    value: Value,
    places: Places,
    source: String,
    findings: RefCell<Diagnostics>,
}

/// Where each value stands, by its path. It is only ever asked for single paths, and paths begin alike: a tree would compare
/// them over and over.
type Places = HashMap<String, Place>;

/// Where a value stands.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) key: Option<Range<usize>>,
    pub(crate) value: Range<usize>,
    pub(crate) is_scalar: bool,
    pub(crate) is_plain: bool,
}

impl Document {
    /// Parses a document of at most 1 MiB; `file` is the name that findings show.
    pub fn parse(file: &str, source: &str) -> Result<Document, Diagnostics> {
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let mut findings = Diagnostics::new(file, source);
        if source.len() > LONGEST_SOURCE {
            let message = format!("the file has {} bytes, more than 1 MiB", source.len());
            let mut findings = Diagnostics::new(file, "");
            findings.push(Diagnostic::new(Rule::TOO_LARGE, 0..0, message));
            return Err(findings);
        }
        let mut index = Indexer::new(source);
        index.run();
        for finding in index.findings {
            findings.push(finding);
        }
        if findings.has_errors() {
            return Err(findings);
        }
        match serde_yaml::from_str::<Value>(source) {
            Ok(value) => Ok(Document {
                value,
                places: index.places,
                source: source.to_owned(),
                findings: RefCell::new(findings),
            }),
            Err(error) => {
                let at = error.location().map_or(0, |location| location.index()).min(source.len());
                findings.push(trap::syntax_error(source, at, &error.to_string()));
                Err(findings)
            }
        }
    }

    /// The value at the top.
    pub fn root(&self) -> Node<'_> {
        Node::new(self, &self.value, String::new())
    }

    /// Adds a finding.
    pub fn report(&self, diagnostic: Diagnostic) {
        self.findings.borrow_mut().push(diagnostic);
    }

    /// Reads something without keeping what is found wrong with it.
    pub(crate) fn quietly<T>(&self, read: impl FnOnce() -> T) -> T {
        let findings = self.findings.borrow().clone();
        let value = read();
        *self.findings.borrow_mut() = findings;
        value
    }

    /// Keeps these bytes out of every finding.
    pub fn hide(&self, at: Range<usize>) {
        self.findings.borrow_mut().hide(at);
    }

    /// Whether an error was found.
    pub fn has_errors(&self) -> bool {
        self.findings.borrow().has_errors()
    }

    /// The text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Ends the reading and gives all findings. What is refused needs no further warning at the same place.
    pub fn into_findings(self) -> Diagnostics {
        let mut findings = self.findings.into_inner();
        findings.drop_doubled(Rule::AMBIGUOUS_VALUE);
        findings.drop_doubled(Rule::MAYBE_MISSING);
        findings
    }

    pub(crate) fn place(&self, path: &str) -> Option<&Place> {
        self.places.get(path)
    }
}

/// Walks over the events of the parser and notes where each value stands.
struct Indexer<'a> {
    source: &'a str,
    offsets: Option<Vec<usize>>,
    places: Places,
    path_bytes: usize,
    findings: Vec<Diagnostic>,
    frames: Vec<Frame>,
}

struct Frame {
    path: String,
    start: usize,
    position: Position,
}

enum Position {
    Item(usize),
    Key(BTreeMap<String, Range<usize>>),
    Value(BTreeMap<String, Range<usize>>, String, Range<usize>),
}

impl<'a> Indexer<'a> {
    fn new(source: &'a str) -> Indexer<'a> {
        let offsets = (!source.is_ascii())
            .then(|| source.char_indices().map(|(offset, _)| offset).chain([source.len()]).collect());
        Indexer {
            source,
            offsets,
            places: Places::new(),
            path_bytes: 0,
            findings: Vec::new(),
            frames: Vec::new(),
        }
    }

    fn run(&mut self) {
        let mut documents = 0;
        for event in Parser::new_from_str(self.source) {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => return self.syntax_error(error.marker().index(), error.info()),
            };
            if matches!(event, Event::DocumentStart(_)) {
                documents += 1;
            }
            let at = self.range(span);
            let refusal = if documents > 1 {
                Some("a file holds one document: remove what follows `---`")
            } else if self.frames.len() > DEEPEST_NESTING {
                Some("values stand more than 32 levels deep")
            } else if self.path_bytes > LONGEST_PATHS {
                Some("keys are too long for what stands below them")
            } else if self.places.len() > MOST_VALUES {
                Some("the file has more than 100,000 values")
            } else {
                refusal(&event)
            };
            if let Some(message) = refusal {
                return self.findings.push(trap::refused(self.source, at, message));
            }
            self.event(event, at);
        }
    }

    fn syntax_error(&mut self, index: usize, info: &str) {
        let at = self.offset(index);
        self.findings.push(trap::syntax_error(self.source, at, info));
    }

    fn event(&mut self, event: Event<'_>, at: Range<usize>) {
        match event {
            Event::Scalar(text, style, _, _) => self.scalar(&text, style, at),
            Event::MappingStart(..) => {
                if self.source.get(at.start..).is_some_and(|rest| rest.starts_with("{{")) {
                    self.findings.push(trap::unquoted_template(at.clone()));
                }
                self.open(at.start, Position::Key(BTreeMap::new()));
            }
            Event::SequenceStart(..) => self.open(at.start, Position::Item(0)),
            Event::MappingEnd | Event::SequenceEnd => self.close(at.end),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::Alias(_) => {}
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: Range<usize>) {
        if let Some(Frame { path, position: Position::Key(keys), .. }) = self.frames.last_mut() {
            if let Some(first) = keys.get(text) {
                let finding = Diagnostic::new(
                    Rule::DUPLICATE_KEY,
                    at.clone(),
                    format!("the key `{text}` stands here twice"),
                )
                .note(first.clone(), "first here")
                .help("YAML keeps the last of them without a word: give one of them another name");
                self.findings.push(finding);
            }
            if text == "<<" {
                let message = "merge keys are not part of the language: write the values out";
                self.findings.push(Diagnostic::new(Rule::YAML_FORM, at.clone(), message));
            }
            let mut keys = std::mem::take(keys);
            keys.insert(text.to_owned(), at.clone());
            let child = format!("{path}/{text}");
            if let Some(frame) = self.frames.last_mut() {
                frame.position = Position::Value(keys, child, at);
            }
            return;
        }
        let at = self.trim(at);
        let (path, key) = self.next_place();
        let is_plain = style == ScalarStyle::Plain;
        if is_plain && let Some(meaning) = trap::other_meaning(text) {
            self.findings.push(trap::ambiguous(text, meaning, at.clone()));
        }
        self.places.insert(path, Place { key, value: at, is_scalar: true, is_plain });
    }

    fn open(&mut self, start: usize, position: Position) {
        let (path, key) = self.next_place();
        let place = Place { key, value: start..start, is_scalar: false, is_plain: false };
        self.places.insert(path.clone(), place);
        self.frames.push(Frame { path, start, position });
    }

    fn close(&mut self, end: usize) {
        let Some(frame) = self.frames.pop() else { return };
        let value = self.trim(frame.start..end);
        if let Some(place) = self.places.get_mut(&frame.path) {
            place.value = value;
        }
    }

    /// The path of the value that comes next, and where its key stands.
    fn next_place(&mut self) -> (String, Option<Range<usize>>) {
        let Some(frame) = self.frames.last_mut() else {
            return (String::new(), None);
        };
        let position = std::mem::replace(&mut frame.position, Position::Item(0));
        let (path, key, next) = match position {
            Position::Item(index) => (format!("{}/{index}", frame.path), None, Position::Item(index + 1)),
            Position::Value(keys, path, key) => (path, Some(key), Position::Key(keys)),
            Position::Key(keys) => (format!("{}/?", frame.path), None, Position::Key(keys)),
        };
        frame.position = next;
        self.path_bytes += path.len();
        (path, key)
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.offset(span.start.index());
        start..self.offset(span.end.index()).max(start)
    }

    fn offset(&self, index: usize) -> usize {
        match &self.offsets {
            None => index.min(self.source.len()),
            Some(offsets) => offsets.get(index).copied().unwrap_or(self.source.len()),
        }
    }

    fn trim(&self, at: Range<usize>) -> Range<usize> {
        let text = self.source.get(at.clone()).unwrap_or_default();
        at.start..at.start + text.trim_end().len()
    }
}

fn refusal(event: &Event<'_>) -> Option<&'static str> {
    let (anchor, has_tag) = match event {
        Event::Alias(_) => {
            return Some(
                "a value that begins with `*` is an alias to YAML: those are not part of the language",
            );
        }
        Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some()),
        Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => (*anchor, tag.is_some()),
        Event::Nothing
        | Event::StreamStart
        | Event::StreamEnd
        | Event::DocumentStart(_)
        | Event::DocumentEnd
        | Event::SequenceEnd
        | Event::MappingEnd => return None,
    };
    match (anchor, has_tag) {
        (0, false) => None,
        (0, true) => Some("a value that begins with `!` is a tag to YAML"),
        _ => Some("a value that begins with `&` is an anchor to YAML: those are not part of the language"),
    }
}
