//! What is checked about a node beyond its shape: that its connection exists, that its expressions read what is there,
//! and that no input stands in a path as it came.

use std::ops::Range;

use expr::{Reference, ValueTemplate};
use workflow::{
    Action, Diagnostic, Diagnostics, FailureRule, InputKind, Manifest, NativeNode, Request, Rule,
};

use crate::catalog::Recipes;

/// What a request may say about the call that it is.
const CALL: [&str; 4] = ["key", "run", "step", "started_at"];

/// Checks a node against the recipes.
pub(crate) fn node(file: &str, text: &str, recipes: &Recipes) -> Result<(), Diagnostics> {
    let manifest = Manifest::parse(file, text)?;
    let mut check = Check { manifest: &manifest, findings: Diagnostics::new(file, text) };
    check.connection(recipes);
    match &manifest.action {
        Action::Request(request) => check.request(request),
        Action::Native(native) => check.native(*native),
        Action::Engine(_) | Action::Trigger(_) => {}
    }
    if check.findings.has_errors() { Err(check.findings) } else { Ok(()) }
}

/// Where a word first stands in a text.
pub(crate) fn place_of(text: &str, word: &str) -> Range<usize> {
    text.find(word).map_or(0..0, |start| start..start + word.len())
}

struct Check<'a> {
    manifest: &'a Manifest,
    findings: Diagnostics,
}

impl Check<'_> {
    fn report(&mut self, rule: &'static Rule, word: &str, message: String) {
        let at = place_of(&self.manifest.text, word);
        self.findings.push(Diagnostic::new(rule, at, message));
    }

    fn connection(&mut self, recipes: &Recipes) {
        let Some(product) = &self.manifest.connection else { return };
        if recipes.get(product).is_none() {
            let known: Vec<&str> = recipes.iter().map(|recipe| recipe.product.as_str()).collect();
            let message =
                format!("there is no connection.yaml for `{product}`: there are {}", known.join(", "));
            self.report(Rule::UNKNOWN_PRODUCT, product, message);
        }
    }

    /// The program is an input of its own kind, or text from elsewhere could become a part of it.
    fn native(&mut self, native: NativeNode) {
        let name = native.code_input();
        if self.manifest.inputs.get(name).is_none_or(|input| input.kind != InputKind::Code) {
            let message = format!("this node needs the input `{name}`, and its type has to be `code`");
            self.report(Rule::WRONG_INPUT, "native", message);
        }
    }

    fn request(&mut self, request: &Request) {
        const SENT: &[&str] = &["inputs", "call"];
        const READ: &[&str] = &["inputs", "call", "connection", "response", "empty"];
        const JUDGED: &[&str] = &["inputs", "call", "connection", "response", "phase"];
        let values = [&request.query, &request.headers, &request.json].into_iter().flatten();
        let targets = self.manifest.target.iter().flat_map(|target| target.references());
        self.references(targets, &["inputs"]);
        let sent = [&request.method, &request.path].into_iter().flat_map(|template| template.references());
        self.references(sent.chain(values.flat_map(ValueTemplate::references)), SENT);
        self.references(request.output.iter().flat_map(ValueTemplate::references), READ);
        self.references(request.succeeds_when.iter().flat_map(|when| when.references()), READ);
        self.references(request.failures.iter().flat_map(rule_references), JUDGED);
        self.path(request);
    }

    fn references<'r>(&mut self, references: impl IntoIterator<Item = &'r Reference>, roots: &[&str]) {
        for reference in references {
            let text = reference.text();
            if !roots.contains(&reference.root()) {
                let message = format!("there is no `{text}` here: there are {}", roots.join(", "));
                self.report(Rule::UNKNOWN_ROOT, &text, message);
                continue;
            }
            let field = reference.path.get(1).filter(|_| reference.root() == "call");
            if let Some(field) = field.filter(|field| !CALL.contains(&field.as_str())) {
                let message = format!("there is no `call.{field}`: a call has {}", CALL.join(", "));
                self.report(Rule::UNKNOWN_ROOT, &text, message);
            }
            let input = reference.path.get(1).filter(|_| reference.root() == "inputs");
            if let Some(input) = input.filter(|input| !self.manifest.inputs.contains_key(*input)) {
                let message = format!("there is no input `{input}`");
                self.report(Rule::UNKNOWN_INPUT, &text, message);
            }
        }
    }

    /// An input that stands in a path is encoded there, unless it cannot hold anything that a path gives a meaning.
    fn path(&mut self, request: &Request) {
        let source = request.path.source();
        let is_whole = self.manifest.connection.is_none() && source.matches("{{").count() == 1;
        if is_whole {
            return;
        }
        for part in source.split("{{").skip(1) {
            let expression = part.split("}}").next().unwrap_or_default().trim();
            let kind = expression.strip_prefix("inputs.").and_then(|name| self.manifest.inputs.get(name));
            let is_harmless =
                kind.is_some_and(|input| matches!(input.kind, InputKind::AgentId | InputKind::Integer));
            if !is_harmless && expression != "call.key" && !expression.starts_with("urlencode ") {
                let message =
                    format!("`{expression}` stands in a path as it came: write `urlencode {expression}`");
                self.report(Rule::UNESCAPED_PATH, expression, message);
            }
        }
    }
}

fn rule_references(rule: &FailureRule) -> impl Iterator<Item = &Reference> {
    let texts = std::iter::once(&rule.message).chain(&rule.help);
    rule.when.references().iter().chain(texts.flat_map(|text| text.references()))
}
