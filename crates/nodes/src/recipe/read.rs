//! Reads a recipe from YAML, and reports all that is wrong with it.

use std::collections::BTreeMap;
use std::time::Duration;

use expr::{Condition, Language, Reference, ValueTemplate};
use workflow::yaml::{Document, Node, Object};
use workflow::{Diagnostic, Diagnostics, FailureRule, Rule};

use crate::check::place_of;
use crate::recipe::{Credential, Login, Recipe, Setting, TokenLogin};

const KEYS: [&str; 13] = [
    "product",
    "summary",
    "docs",
    "url",
    "base",
    "settings",
    "login",
    "headers",
    "in_flight",
    "idle_timeout",
    "tls_help",
    "failures",
    "tests",
];
const DEFAULT_IDLE: Duration = Duration::from_secs(60);
const DEFAULT_LIFETIME: Duration = Duration::from_secs(900);

pub(super) fn recipe(file: &str, text: &str) -> Result<Recipe, Diagnostics> {
    let document = Document::parse(file, text)?;
    let recipe = read(&document, text);
    let findings = document.into_findings();
    match recipe {
        Some(recipe) if !findings.has_errors() => Ok(recipe),
        Some(_) | None => Err(findings),
    }
}

fn read(document: &Document, text: &str) -> Option<Recipe> {
    let object = document.root().object(&KEYS)?;
    let product = object.require("product").and_then(|node| node.string());
    let summary = object.require("summary").and_then(|node| node.string());
    let settings = object.get("settings").map_or_else(BTreeMap::new, |node| read_settings(&node));
    let logins = object.require("login").map_or_else(Vec::new, |node| read_logins(&node));
    let base = object.get("base").and_then(|node| read_base(&node)).unwrap_or_default();
    let in_flight = object.get("in_flight").and_then(|node| node.integer(1..=1000));
    let failures = object.get("failures").and_then(|node| node.list()).unwrap_or_default();
    let tests = object.get("tests").and_then(|node| node.list()).unwrap_or_default();
    let text_of = |key: &str| object.get(key).and_then(|node| node.string()).map(str::to_owned);
    let recipe = Recipe {
        product: product?.to_owned(),
        summary: summary?.to_owned(),
        docs: text_of("docs"),
        url: text_of("url"),
        base,
        settings,
        logins,
        headers: object.get("headers").and_then(|node| node.values(Language::Text)),
        in_flight: in_flight.and_then(|number| number.try_into().ok()),
        idle_timeout: object.get("idle_timeout").and_then(|node| node.duration()).unwrap_or(DEFAULT_IDLE),
        tls_help: text_of("tls_help"),
        failures: failures.iter().filter_map(FailureRule::read).collect(),
        tests: tests.iter().map(|test| test.value().clone()).collect(),
        text: text.to_owned(),
    };
    check_expressions(&recipe, &object);
    Some(recipe)
}

fn read_base(node: &Node<'_>) -> Option<String> {
    let base = node.string()?;
    if base.starts_with('/') && !base.ends_with('/') {
        return Some(base.to_owned());
    }
    node.expected("a path that begins with `/` and does not end with one")
}

/// What every connection has, whatever its product.
const TAKEN: [&str; 6] = ["product", "url", "tls", "proxy", "in_flight", "connect_timeout"];

fn read_settings(node: &Node<'_>) -> BTreeMap<String, Setting> {
    for (name, setting) in node.entries().iter().filter(|(name, _)| TAKEN.contains(name)) {
        let message = format!("every connection has a `{name}`: give the setting another name");
        node.report(Diagnostic::new(Rule::WRONG_VALUE, setting.key_at(), message));
    }
    let read = |node: &Node<'_>| {
        let object = node.object(&["required", "secret", "summary"])?;
        let flag = |key: &str| object.get(key).and_then(|node| node.bool()).unwrap_or(false);
        Some(Setting {
            is_required: flag("required"),
            is_secret: flag("secret"),
            summary: object.require("summary")?.string()?.to_owned(),
        })
    };
    let entries = node.entries().into_iter();
    entries.filter_map(|(name, node)| Some((name.to_owned(), read(&node)?))).collect()
}

/// One way to log in, or a list of them.
fn read_logins(node: &Node<'_>) -> Vec<Login> {
    if !node.value().is_array() {
        return read_login(node).into_iter().collect();
    }
    let nodes = node.list().unwrap_or_default();
    nodes.iter().filter_map(read_login).collect()
}

fn read_login(node: &Node<'_>) -> Option<Login> {
    if node.value().is_string() {
        return node.one_of(&[("none", ())]).map(|()| Login::None);
    }
    let object = node.object(&["basic", "bearer", "header", "token"])?;
    if let Some(token) = object.get("token") {
        return read_token(&token).map(Box::new).map(Login::Token);
    }
    match read_credential(&object) {
        Some(credential) => Some(Login::Header(Box::new(credential))),
        None => node.expected("`none`, or one of `basic`, `bearer`, `header` and `token`"),
    }
}

fn read_credential(object: &Object<'_>) -> Option<Credential> {
    if let Some(basic) = object.get("basic") {
        let basic = basic.object(&["user", "password"])?;
        let template = |key: &str| basic.require(key).and_then(|node| node.template());
        return Some(Credential::Basic { user: template("user")?, password: template("password")? });
    }
    if let Some(bearer) = object.get("bearer") {
        return bearer.template().map(Credential::Bearer);
    }
    let header = object.get("header")?.object(&["name", "value"])?;
    let name = header.require("name")?.string()?.to_owned();
    Some(Credential::Header { name, value: header.require("value")?.template()? })
}

fn read_token(node: &Node<'_>) -> Option<TokenLogin> {
    let object = node.object(&["request", "token", "lifetime", "header", "refused_when"])?;
    let request =
        object.require("request")?.object(&["method", "path", "basic", "bearer", "header", "json"])?;
    let text = |key: &str| request.require(key).and_then(|node| node.string()).map(str::to_owned);
    let refused_when = match object.get("refused_when") {
        Some(node) => node.condition(),
        None => Some(Condition::compile("response.status == 401").expect("this is a condition")),
    };
    Some(TokenLogin {
        method: text("method")?,
        path: text("path")?,
        credential: read_credential(&request),
        json: request.get("json").and_then(|node| node.values(Language::Text)),
        token: object.require("token")?.template()?,
        lifetime: object.get("lifetime").and_then(|node| node.duration()).unwrap_or(DEFAULT_LIFETIME),
        header: object.get("header").and_then(|node| node.string()).map(str::to_owned),
        refused_when: refused_when?,
    })
}

/// Every expression reads what there is: settings on the way out, the answer on the way back.
fn check_expressions(recipe: &Recipe, object: &Object<'_>) {
    let report = |word: &str, message: String| {
        object.node().report(Diagnostic::new(Rule::UNKNOWN_ROOT, place_of(&recipe.text, word), message));
    };
    let needed = recipe.logins.iter().flat_map(Login::needs);
    let headers = recipe.headers.iter().flat_map(ValueTemplate::references);
    let read = headers.filter_map(|reference| Some(reference.path.get(1)?.as_str()));
    for name in needed.chain(read).filter(|name| !recipe.settings.contains_key(*name)) {
        let message = format!("there is no setting `{name}`: it has to stand in `settings`");
        report(&format!("settings.{name}"), message);
    }
    for rule in &recipe.failures {
        let texts = std::iter::once(&rule.message).chain(&rule.help);
        let references = rule.when.references().iter().chain(texts.flat_map(|text| text.references()));
        let is_known =
            |reference: &&Reference| matches!(reference.root(), "response" | "connection" | "phase");
        for reference in references.filter(|reference| !is_known(reference)) {
            let text = reference.text();
            let message = format!("there is no `{text}` here: there are response, connection, phase");
            report(&text, message);
        }
    }
}
