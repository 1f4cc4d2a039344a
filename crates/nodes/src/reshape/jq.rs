//! jq, as jaq does it, without what reads the outside or the clock.

use jaq_core::compile::Undefined;
use jaq_core::data::JustLut;
use jaq_core::load::{self, Arena, File, Loader, lex, parse};
use jaq_core::{Compiler, Ctx, Vars, unwrap_valr};
use jaq_json::Val;
use serde_json::{Map, Value};

use super::{Refusal, read_result, shorten};

/// What jaq has and a filter has not: the environment, the clock, dates, and ways to write or to end the process.
const LEFT_OUT: [&str; 21] = [
    "debug",
    "debug_empty",
    "env",
    "fromdate",
    "fromdateiso8601",
    "gmtime",
    "halt",
    "halt_error",
    "input",
    "inputs",
    "localtime",
    "mktime",
    "now",
    "stderr",
    "stderr_empty",
    "strflocaltime",
    "strftime",
    "strptime",
    "todate",
    "todateiso8601",
    "$ENV",
];

type Data = JustLut<Val>;
type Function = jaq_core::native::Fun<Data>;
type Definition = parse::Def<&'static str>;
type Filter = jaq_core::Filter<Data>;

/// The one value that the filter gives.
pub(super) fn run(filter: &str, data: &Value, vars: &Map<String, Value>) -> Result<Value, Refusal> {
    let names: Vec<String> = vars.keys().map(|name| format!("${name}")).collect();
    let filter = compile(filter, &names)?;
    let vars: Vec<Val> = vars.values().map(read).collect::<Result<_, _>>()?;
    let context = Ctx::<Data>::new(&filter.lut, Vars::new(vars));
    let mut outputs = filter.id.run((context, read(data)?)).map(unwrap_valr);
    let several = "a step has one result: write `[ ... ]` around the filter for a list of all that it gives";
    let Some(first) = outputs.next() else {
        return Err(Refusal::new("the filter gives nothing").help(several));
    };
    let first = first.map_err(|error| failed(&error.into_val()))?;
    if outputs.next().is_some() {
        return Err(Refusal::new("the filter gives more than one value").help(several));
    }
    read_result(&first.to_string())
}

fn failed(why: &Val) -> Refusal {
    let why =
        if let Val::TStr(text) = why { String::from_utf8_lossy(text).into_owned() } else { why.to_string() };
    Refusal::new(format!("the filter failed: {}", shorten(&why)))
}

fn read(value: &Value) -> Result<Val, Refusal> {
    let parsed = jaq_json::read::parse_single(value.to_string().as_bytes());
    parsed.map_err(|error| Refusal::new(format!("the data cannot be read: {error}")))
}

pub(super) fn definitions() -> impl Iterator<Item = Definition> {
    let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    all.filter(|definition| !LEFT_OUT.contains(&definition.name))
}

pub(super) fn functions() -> impl Iterator<Item = Function> {
    let all = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    all.filter(|(name, _, _)| !LEFT_OUT.contains(name))
}

fn compile(filter: &str, vars: &[String]) -> Result<Filter, Refusal> {
    let arena = Arena::default();
    let modules = Loader::new(definitions()).load(&arena, File { code: filter, path: () });
    let unread =
        |errors: load::Errors<&str, ()>| unread(filter, errors.into_iter().next().map(|(_, error)| error));
    let modules = modules.map_err(unread)?;
    load::import(&modules, |_| Err(String::new())).map_err(unread)?;
    let compiler = Compiler::<&str, Data>::default()
        .with_funs(functions())
        .with_global_vars(vars.iter().map(String::as_str));
    compiler.compile(modules).map_err(|errors| {
        let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
        first.map_or_else(
            || Refusal::new("the filter cannot be compiled"),
            |(name, what)| undefined(filter, name, &what),
        )
    })
}

/// Why a filter cannot be read.
fn unread(filter: &str, error: Option<load::Error<&str>>) -> Refusal {
    let problem = match error {
        Some(load::Error::Io(_)) => {
            Some("a filter has no modules: `import` and `include` do not work here".to_owned())
        }
        Some(load::Error::Lex(errors)) => errors.first().map(|(expected, at): &lex::Error<&str>| {
            format!("expected {} at {}", expected.as_str(), place(filter, at))
        }),
        Some(load::Error::Parse(errors)) => errors.first().map(|(expected, at): &parse::Error<&str>| {
            format!("expected {} at {}", expected.as_str(), place(filter, at))
        }),
        None => None,
    };
    Refusal::new(format!("the filter cannot be read: {}", problem.unwrap_or_default()))
}

/// Something in a filter has a name that nothing has.
fn undefined(filter: &str, name: &str, what: &Undefined) -> Refusal {
    let at = place(filter, name);
    let shown = if let Undefined::Filter(arity) = what { format!("{name}/{arity}") } else { name.to_owned() };
    let kind = if let Undefined::Filter(_) = what { "function" } else { what.as_str() };
    let refusal = Refusal::new(format!("there is no {kind} `{shown}` (at {at})"));
    if LEFT_OUT.contains(&name) {
        refusal.help("a filter sees its inputs and no clock: pass what it needs with `vars`")
    } else if let Undefined::Var = what {
        refusal.help(format!("pass it: `vars: {{ {}: ... }}`", name.trim_start_matches('$')))
    } else {
        refusal
    }
}

/// Where a part of the filter stands, as a person counts.
fn place(filter: &str, part: &str) -> String {
    let start = (part.as_ptr() as usize).saturating_sub(filter.as_ptr() as usize);
    let before = filter.get(..start).unwrap_or(filter);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}
