//! Text with expressions in it, and values that are one expression.
//!
//! Handlebars parses and renders. Three of its habits are replaced when a template is compiled, by rewriting the parsed
//! template: every path is checked to lead somewhere, also inside an argument; a value in text is written as text or
//! refused; and a template that is exactly one expression gives the value itself.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums are those of handlebars, which may grow")]

mod parts;
mod syntax;

use std::borrow::Cow;

use handlebars::template::{HelperTemplate, Parameter, Subexpression, TemplateElement};
use handlebars::{Output, Path, PathSeg, RenderContext, RenderError, RenderErrorReason, Renderable};
use serde_json::Value;

use crate::bounds::{MOST_STEPS, MOST_TEXT, Size};
use crate::error::{CompileError, EvalError, deepest_nesting};
use crate::helpers::{self, BUILDERS, MERGE, OPTIONAL, PRESENT, REGISTRY, TEXT};
use crate::reference::Reference;
use crate::scope::Scope;
use crate::template::parts::Part;
use crate::template::syntax::syntax_error;

const LONGEST_SOURCE: usize = 8 * 1024;
const MOST_EXPRESSIONS: usize = 200;
const DEEPEST_NESTING: usize = 16;
const LONGEST_OUTPUT: usize = 1024 * 1024;

/// How deep `each` may stand inside `each`.
const DEEPEST_EACH: usize = 2;

/// A compiled template.
#[derive(Debug, Clone)]
pub struct Template {
    source: String,
    form: Form,
    /// The same, where it is of a common form: one part of a value, any number of a text.
    parts: Option<Vec<Part>>,
    references: Vec<Reference>,
    repeats: Repeats,
}

/// What a template does for each element of a list.
#[derive(Debug, Clone, Copy, Default)]
struct Repeats {
    /// How many expressions stand inside `each`.
    expressions: usize,
    /// Whether `each` stands inside `each`, or what stands in one reads beyond its element.
    reads_beyond: bool,
}

#[derive(Debug, Clone)]
enum Form {
    /// No expression at all.
    Literal,
    /// Exactly one expression: the value keeps its type.
    Value(Parameter),
    /// Text with expressions in it.
    Text(handlebars::Template),
}

impl Template {
    /// Compiles a template; at most 8 KiB, 200 expressions and 16 levels.
    pub fn compile(source: &str) -> Result<Template, CompileError> {
        if !source.contains("{{") {
            return Ok(Template {
                source: source.to_owned(),
                form: Form::Literal,
                parts: None,
                references: Vec::new(),
                repeats: Repeats::default(),
            });
        }
        check_size(source)?;
        let mut parsed =
            handlebars::Template::compile(source).map_err(|error| syntax_error(source, &error))?;
        let mut compiler = Compiler {
            source,
            references: Vec::new(),
            within: Vec::new(),
            each_depth: 0,
            repeats: Repeats::default(),
        };
        if let Some(single) = single_expression(&parsed) {
            let value = compiler.value_of(single.clone())?;
            return Ok(Template {
                source: source.to_owned(),
                parts: Part::new(&value).map(|part| vec![part]),
                form: Form::Value(value),
                references: compiler.references,
                repeats: compiler.repeats,
            });
        }
        compiler.rewrite(&mut parsed)?;
        let Compiler { references, repeats, .. } = compiler;
        let parts = Part::all_of(&parsed);
        Ok(Template { source: source.to_owned(), form: Form::Text(parsed), parts, references, repeats })
    }

    /// The text that was compiled.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The paths that the template reads.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Whether the template is text without any expression.
    pub fn is_literal(&self) -> bool {
        matches!(self.form, Form::Literal)
    }

    /// Evaluates the template: the value of its one expression, or text of at most 1 MiB.
    pub fn eval(&self, scope: &Scope) -> Result<Value, EvalError> {
        match self.eval_parts(scope) {
            Some(value) => Ok(value),
            None => self.eval_by_handlebars(scope),
        }
    }

    /// What it gives, where Handlebars is not needed for all of it.
    fn eval_parts(&self, scope: &Scope) -> Option<Value> {
        let parts = self.parts.as_deref()?;
        match &self.form {
            Form::Literal => None,
            Form::Value(_) => parts.first()?.value(scope).map(Cow::into_owned),
            Form::Text(_) => Part::write_all(parts, scope).map(Value::String),
        }
    }

    fn eval_by_handlebars(&self, scope: &Scope) -> Result<Value, EvalError> {
        match &self.form {
            Form::Literal => Ok(Value::String(self.source.clone())),
            Form::Value(value) => {
                let mut render_context = RenderContext::new(None);
                let result = value.expand(&REGISTRY, scope.context(), &mut render_context);
                result.map(|value| value.value().clone()).map_err(|error| self.failed(&error))
            }
            Form::Text(template) => {
                self.check_work(scope)?;
                let mut text = Capped(String::new());
                let mut render_context = RenderContext::new(None);
                let result = template.render(&REGISTRY, scope.context(), &mut render_context, &mut text);
                result.map(|()| Value::String(text.0)).map_err(|error| self.failed(&error))
            }
        }
    }

    /// Evaluates the template to text; numbers and booleans are written out.
    pub fn eval_text(&self, scope: &Scope) -> Result<String, EvalError> {
        match self.eval(scope)? {
            Value::String(text) => Ok(text),
            value @ (Value::Number(_) | Value::Bool(_)) => Ok(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(EvalError::new(format!(
                "`{}` has to be text: use `json` to write it as JSON",
                self.source
            ))),
        }
    }

    fn check_work(&self, scope: &Scope) -> Result<(), EvalError> {
        const EXPRESSION: usize = 50;
        if self.repeats.expressions == 0 {
            return Ok(());
        }
        let read = match self.repeats.reads_beyond {
            true => Size::of(scope.data()),
            false => {
                let lists = self.references.iter().filter(|reference| reference.within == ["each"]);
                let values = lists.filter_map(|reference| {
                    let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
                    scope.get(&path)
                });
                values.map(|value| Size::of(value).and(entries(value))).fold(Size::default(), Size::and)
            }
        };
        let (rounds, text) = match self.repeats.reads_beyond {
            true => (read.elements.saturating_mul(read.elements), read.elements.saturating_mul(read.longest)),
            false => (read.elements, 0),
        };
        let steps = rounds.saturating_mul(self.repeats.expressions * EXPRESSION);
        if steps > MOST_STEPS || text.saturating_mul(self.repeats.expressions) > MOST_TEXT {
            let source = shorten(&self.source);
            return Err(EvalError::new(format!(
                "`each` goes through lists that are too long for it, in `{source}`"
            )));
        }
        Ok(())
    }

    fn failed(&self, error: &RenderError) -> EvalError {
        let message = match error.reason() {
            RenderErrorReason::Other(message) => message.clone(),
            reason => reason.to_string(),
        };
        EvalError::new(format!("{message}, in `{}`", shorten(&self.source)))
    }
}

fn shorten(source: &str) -> String {
    let line: String = source.chars().map(|c| if c.is_control() { ' ' } else { c }).take(100).collect();
    if line.len() < source.len() { format!("{line}...") } else { line }
}

fn check_size(source: &str) -> Result<(), CompileError> {
    if source.len() > LONGEST_SOURCE {
        return Err(CompileError::new(format!("the template has {} bytes, more than 8 KiB", source.len())));
    }
    if source.matches("{{").count() > MOST_EXPRESSIONS {
        return Err(CompileError::new("the template has more than 200 expressions"));
    }
    let nesting = source.matches("{{#").count().max(deepest_nesting(source));
    if nesting > DEEPEST_NESTING {
        return Err(CompileError::new("the template has more than 16 blocks or levels of parentheses"));
    }
    Ok(())
}

fn single_expression(template: &handlebars::Template) -> Option<&HelperTemplate> {
    let mut elements = template.elements.iter().filter(|element| match element {
        TemplateElement::RawString(text) => !text.is_empty(),
        _ => true,
    });
    match (elements.next(), elements.next()) {
        (Some(TemplateElement::Expression(single) | TemplateElement::HtmlExpression(single)), None) => {
            Some(single)
        }
        _ => None,
    }
}

struct Compiler<'a> {
    source: &'a str,
    references: Vec<Reference>,
    /// The helpers and blocks around what is being looked at.
    within: Vec<String>,
    each_depth: usize,
    repeats: Repeats,
}

impl Compiler<'_> {
    fn rewrite(&mut self, template: &mut handlebars::Template) -> Result<(), CompileError> {
        for element in &mut template.elements {
            match element {
                TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
                TemplateElement::Expression(expression) | TemplateElement::HtmlExpression(expression) => {
                    let value = self.value_of(expression.as_ref().clone())?;
                    expression.name = Parameter::Name(TEXT.to_owned());
                    expression.params = vec![value];
                    expression.hash.clear();
                }
                TemplateElement::HelperBlock(block) => self.block(block)?,
                _ => {
                    let message = "partials and decorators are not part of the playbook language";
                    return Err(CompileError::new(message).at_word(self.source, "{{"));
                }
            }
        }
        Ok(())
    }

    fn block(&mut self, block: &mut HelperTemplate) -> Result<(), CompileError> {
        let name = name_of(&block.name);
        if !helpers::is_block(&name) {
            return Err(self.unknown_helper(&name, "block"));
        }
        if block.params.len() != 1 {
            let message = format!("the block `{name}` takes one argument, not {}", block.params.len());
            return Err(CompileError::new(message).at_word(self.source, &name));
        }
        self.within.push(name.clone());
        for param in &mut block.params {
            *param = self.argument(param.clone(), false)?;
        }
        self.within.pop();
        let repeats = usize::from(name == "each");
        self.each_depth += repeats;
        if self.each_depth > DEEPEST_EACH {
            let message = "more than two `each` stand inside each other";
            return Err(CompileError::new(message).at_word(self.source, "{{#each"));
        }
        self.repeats.reads_beyond |= self.each_depth > 1;
        self.repeats.expressions += usize::from(self.each_depth > 0);
        for part in [&mut block.template, &mut block.inverse].into_iter().flatten() {
            self.rewrite(part)?;
        }
        self.each_depth -= repeats;
        Ok(())
    }

    /// What stands between `{{` and `}}`, as a parameter that can be expanded to its value.
    fn value_of(&mut self, expression: HelperTemplate) -> Result<Parameter, CompileError> {
        self.repeats.expressions += usize::from(self.each_depth > 0);
        let is_bare = expression.params.is_empty() && expression.hash.is_empty();
        let parameter = match expression.name {
            Parameter::Name(name) if is_bare => Parameter::Path(self.parse_path(&name)?),
            name if is_bare => name,
            name => Parameter::Subexpression(Subexpression::new(name, expression.params, expression.hash)),
        };
        self.argument(parameter, false)
    }

    fn argument(&mut self, parameter: Parameter, is_optional: bool) -> Result<Parameter, CompileError> {
        match parameter {
            Parameter::Literal(_) => Ok(parameter),
            Parameter::Name(name) => {
                let path = self.parse_path(&name)?;
                self.argument(Parameter::Path(path), is_optional)
            }
            Parameter::Path(path) => {
                self.read(&path, is_optional)?;
                if is_optional {
                    return Ok(self.optional(path));
                }
                let name = Parameter::Name(PRESENT.to_owned());
                let call = Subexpression::new(name, vec![Parameter::Path(path)], Default::default());
                Ok(Parameter::Subexpression(call))
            }
            Parameter::Subexpression(call) => self.call(&call),
            _ => Err(CompileError::new("this kind of argument is not part of the playbook language")),
        }
    }

    /// A path that may lead nowhere. Handlebars fails where a path asks a list for a name, so we look it up ourselves;
    /// inside `each` a path may be relative, and only Handlebars knows to what.
    fn optional(&self, path: Path) -> Parameter {
        let Path::Relative((_, raw)) = &path else { return Parameter::Path(path) };
        if self.each_depth > 0 {
            return Parameter::Path(path);
        }
        let name = Parameter::Name(OPTIONAL.to_owned());
        let literal = Parameter::Literal(Value::String(raw.clone()));
        Parameter::Subexpression(Subexpression::new(name, vec![literal], Default::default()))
    }

    fn call(&mut self, call: &Subexpression) -> Result<Parameter, CompileError> {
        let name = call.name().to_owned();
        let Some(arguments) = helpers::arguments(&name) else {
            return Err(self.unknown_helper(&name, "helper"));
        };
        let given = call.params().map_or(&[][..], Vec::as_slice);
        if !arguments.contains(&given.len()) {
            let (least, most) = arguments.into_inner();
            let wanted = if least == most { format!("{least}") } else { format!("{least} to {most}") };
            let message = format!("the helper `{name}` takes {wanted} arguments, not {}", given.len());
            return Err(CompileError::new(message).at_word(self.source, &name));
        }
        let named: Vec<_> = call.hash().into_iter().flatten().collect();
        if named.is_empty() != (name != MERGE) {
            let wants = if name == MERGE {
                "needs named arguments, as in `key=value`"
            } else {
                "takes no named arguments"
            };
            return Err(CompileError::new(format!("the helper `{name}` {wants}")).at_word(self.source, &name));
        }
        if self.each_depth > 0 && BUILDERS.contains(&name.as_str()) {
            let message = format!("the helper `{name}` cannot stand inside `each`");
            return Err(CompileError::new(message).at_word(self.source, &name));
        }
        let mut params = Vec::with_capacity(given.len() + 2 * named.len());
        self.within.push(name.clone());
        for (index, param) in given.iter().enumerate() {
            params.push(self.argument(param.clone(), name == "default" && index == 0)?);
        }
        for (key, value) in named {
            params.push(Parameter::Literal(Value::String(key.clone())));
            params.push(self.argument(value.clone(), false)?);
        }
        self.within.pop();
        Ok(Parameter::Subexpression(Subexpression::new(Parameter::Name(name), params, Default::default())))
    }

    fn read(&mut self, path: &Path, is_optional: bool) -> Result<(), CompileError> {
        let Path::Relative((segments, raw)) = path else {
            return Ok(());
        };
        let is_beyond = raw.contains("..") || raw.starts_with("@root");
        self.repeats.reads_beyond |= self.each_depth > 0 && is_beyond;
        let is_name = |segment: &PathSeg| matches!(segment, PathSeg::Named(_));
        if !segments.iter().all(is_name) || self.each_depth > 0 {
            if self.each_depth > 0 {
                return Ok(());
            }
            let message = format!("`{raw}` is not a path: write `root.name.name`");
            return Err(CompileError::new(message).at_word(self.source, raw));
        }
        if helpers::arguments(raw).is_some() {
            let message = format!("the helper `{raw}` needs arguments");
            return Err(CompileError::new(message).at_word(self.source, raw));
        }
        let names = segments.iter().filter_map(|segment| match segment {
            PathSeg::Named(name) => Some(name.clone()),
            _ => None,
        });
        let within = self.within.clone();
        self.references.push(Reference { path: names.collect(), is_optional, within });
        Ok(())
    }

    fn parse_path(&self, raw: &str) -> Result<Path, CompileError> {
        let failed = |_| CompileError::new(format!("`{raw}` is not a path")).at_word(self.source, raw);
        Path::parse(raw).map_err(failed)
    }

    fn unknown_helper(&self, name: &str, kind: &str) -> CompileError {
        let names = helpers::names();
        let close = names.iter().find(|known| known.eq_ignore_ascii_case(&name.replace(['_', '-'], "")));
        let help = match close {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("there are {}", names.join(", ")),
        };
        CompileError::new(format!("there is no {kind} `{name}`")).help(help).at_word(self.source, name)
    }
}

fn name_of(parameter: &Parameter) -> String {
    match parameter {
        Parameter::Name(name) => name.clone(),
        Parameter::Path(Path::Relative((_, raw)) | Path::Local((_, _, raw))) => raw.clone(),
        Parameter::Literal(value) => value.to_string(),
        _ => String::new(),
    }
}

fn entries(value: &Value) -> Size {
    Size { elements: value.as_object().map_or(0, serde_json::Map::len), longest: 0 }
}

struct Capped(String);

impl Output for Capped {
    fn write(&mut self, segment: &str) -> Result<(), std::io::Error> {
        if self.0.len() + segment.len() > LONGEST_OUTPUT {
            return Err(std::io::Error::other("the text is longer than 1 MiB"));
        }
        self.0.push_str(segment);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
