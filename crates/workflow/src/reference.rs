//! Pages of Markdown: the catalogue, with a step for each node to begin with, and the keys of the language.

mod language;

use std::fmt::Write as _;

use serde_json::Value;

use crate::catalog::Catalog;
use crate::manifest::{Action, Effect, Input, Manifest, OnDoubt};

pub use language::language;

/// All nodes as a page of Markdown: what each does, takes and gives.
pub fn reference(catalog: &Catalog) -> String {
    let mut page = "# All nodes\n\nWritten by `portcullis nodes --markdown` from the descriptions in this folder. How to write one: \
                    [README.md](README.md).\n\n| Node | Effect | What it does |\n|---|---|---|\n"
        .to_owned();
    for node in catalog.iter() {
        let _ = writeln!(
            page,
            "| [`{}`](#{}) | {} | {} |",
            node.name,
            anchor(&node.name),
            node.effect_word(),
            cell(node.first_sentence())
        );
    }
    catalog.iter().for_each(|node| write_node(&mut page, node));
    page
}

fn write_node(page: &mut String, node: &Manifest) {
    let _ = writeln!(page, "\n## {}\n\n{}", node.name, escape(&node.summary));
    match node.action {
        Action::Trigger(_) => {}
        Action::Engine(_) => page.push_str("\n- Performed by the engine itself; there is no call.\n"),
        Action::Request(_) | Action::Native(_) => {
            let _ = writeln!(page, "\n- {}", effect_and_doubt(node));
        }
    }
    if let Some(connection) = &node.connection {
        let _ = writeln!(page, "- Connection: `{connection}`");
    }
    if let Some(target) = &node.target {
        let _ = writeln!(page, "- Acts on: `{}`", target.source());
    }
    if let Some(fields) = node.output_fields() {
        let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
        let _ = writeln!(page, "- Gives: {}", fields.join(", "));
    }
    if let Some(docs) = &node.docs {
        let _ = writeln!(page, "- Documentation: <{docs}>");
    }
    if !node.inputs.is_empty() {
        page.push_str("\n| Input | Type | Meaning |\n|---|---|---|\n");
    }
    for (name, input) in &node.inputs {
        let _ =
            writeln!(page, "| `{name}` | {} | {} |", cell(&input.kind_and_limits()), cell(&input.summary));
    }
    if let Some(example) = node.example() {
        let _ = write!(page, "\n```yaml\n{example}```\n");
    }
}

fn effect_and_doubt(node: &Manifest) -> String {
    let again = "When nobody knows whether a call arrived, it is made again.";
    let asked = "When nobody knows whether a call arrived, a person says what became of it.";
    let looked = node.after.verify.as_ref().map(|verify| {
        let when =
            if verify.only_in_doubt { "When nobody knows whether a call arrived" } else { "After each call" };
        format!("{when}, `{}` looks whether it happened.", verify.uses)
    });
    let doubt = match node.on_doubt {
        OnDoubt::Retry => again.to_owned(),
        OnDoubt::SameKey => {
            "When nobody knows whether a call arrived, it is made again with the same key.".to_owned()
        }
        OnDoubt::Verify => looked.unwrap_or_default(),
        OnDoubt::Ask => asked.to_owned(),
    };
    let undo = node.after.undo.as_ref().map_or(String::new(), |undo| format!(" `{}` undoes it.", undo.uses));
    match (node.effect, node.on_doubt) {
        (Some(Effect::Read), _) => format!("Effect: reads. {again}"),
        (Some(Effect::Write), _) => format!("Effect: writes what disturbs nobody. {doubt}{undo}"),
        (Some(Effect::Disrupt), _) => {
            format!("Effect: **disrupts**: somebody has to be asked before. {doubt}{undo}")
        }
        (None, _) => format!(
            "Effect: the step says it, with `effect`. {asked} Where the step only reads, it is made again."
        ),
    }
}

impl Manifest {
    /// What the node does to the world, in a word.
    pub fn effect_word(&self) -> &'static str {
        match (&self.action, self.effect) {
            (Action::Trigger(_), _) => "trigger",
            (_, Some(Effect::Read)) => "read",
            (_, Some(Effect::Write)) => "write",
            (_, Some(Effect::Disrupt)) => "disrupt",
            (_, None) => "declared",
        }
    }

    /// The first sentence of the summary.
    pub fn first_sentence(&self) -> &str {
        let end = self.summary.find(". ").map_or(self.summary.len(), |at| at + 1);
        self.summary.get(..end).unwrap_or(&self.summary)
    }

    /// A step that uses the node, with the inputs of the first of its own tests.
    pub fn example(&self) -> Option<String> {
        let inputs = self.tests.first()?.get("inputs")?.as_object()?;
        let name = self.name.rsplit('.').next()?;
        let effect = if self.effect.is_none() { "  effect: write\n" } else { "" };
        let gate = match self.effect {
            Some(Effect::Disrupt) => {
                "  approval: { ask: \"Really?\", from: { role: analyst }, expires: 30m }\n"
            }
            Some(Effect::Read | Effect::Write) | None => "",
        };
        let undo = match &self.after.undo {
            Some(_) if self.effect == Some(Effect::Disrupt) => "  undo: { after: 24h }\n",
            Some(_) | None => "",
        };
        let mut step = format!("- id: {name}\n  uses: {}\n{effect}", self.name);
        if !inputs.is_empty() {
            let with = serde_yaml::to_string(inputs).ok()?;
            let lines: String = with.lines().map(|line| format!("    {line}\n")).collect();
            step.push_str(&format!("  with:\n{lines}"));
        }
        Some(step + gate + undo)
    }
}

impl Input {
    /// The type, whether it has to be given, and what is taken otherwise, in a few words.
    pub fn kind_and_limits(&self) -> String {
        let mut words = vec![self.kind.as_str().to_owned()];
        if self.is_required {
            words.push("required".to_owned());
        }
        match &self.default {
            Some(Value::String(text)) if !text.is_empty() => words.push(format!("default {text}")),
            Some(default) => words.push(format!("default {default}")),
            None => {}
        }
        if !self.choices.is_empty() {
            words.push(format!("one of {}", self.choices.join(", ")));
        }
        words.join(", ")
    }
}

/// The place on the page that a heading gets on GitHub.
fn anchor(name: &str) -> String {
    name.replace('.', "")
}

fn cell(text: &str) -> String {
    escape(text).replace('|', "\\|")
}

fn escape(text: &str) -> String {
    text.replace('<', "&lt;").replace('\n', " ")
}
