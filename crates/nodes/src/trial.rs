//! Runs the tests that stand in a node's or a product's YAML: through the code that real calls use, without a network.

mod expected;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use expr::duration;
use model::Outcome;
use serde::Deserialize;
use serde_json::{Value, json};
use workflow::{Action, Manifest, Request};

use crate::connection::rendered::{Entry, Rendered, TokenEntry, render};
use crate::connection::{called, login};
use crate::recipe::Recipe;
use crate::request::{self, Base, Root};
use crate::reshape;
use crate::response::{self, Answer, Phase, Reading};
use crate::settings::{ConnectionSettings, Secret};
use crate::trial::expected::{
    Expected, ExpectedFailure, ExpectedRequest, GivenResponse, check_headers, check_request, same,
};

/// The call that tests make, where they do not say another.
static CALL: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "key": "00112233445566778899aabbccddeeff",
        "run": "r1",
        "step": "step",
        "started_at": "2026-01-01T00:00:00Z",
    })
});
/// Where a connection leads in tests.
const SOMEWHERE: &str = "https://connection.test";

/// What became of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestReport {
    /// Its name.
    pub name: String,
    /// What differs from what it expects; none: it passed.
    pub problem: Option<String>,
    /// Whether it expects that the call succeeds.
    pub expects_success: bool,
}

/// One entry of a node's `tests:`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeTest {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default)]
    inputs: Value,
    /// Which call it is; [`CALL`] where nothing is said.
    call: Option<Value>,
    /// What may be shown of the connection.
    #[serde(default)]
    connection: Value,
    phase: Option<String>,
    request: Option<ExpectedRequest>,
    response: Option<GivenResponse>,
    output: Option<Value>,
    failed: Option<ExpectedFailure>,
    unknown: Option<ExpectedFailure>,
}

/// One entry of a product's `tests:`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecipeTest {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default)]
    settings: BTreeMap<String, Secret>,
    phase: Option<String>,
    /// The request of the login.
    login: Option<ExpectedRequest>,
    /// The headers of every call.
    headers: Option<BTreeMap<String, String>>,
    response: Option<GivenResponse>,
    token: Option<String>,
    lifetime: Option<String>,
    failed: Option<ExpectedFailure>,
    unknown: Option<ExpectedFailure>,
}

/// Runs the tests of a node; `recipe` is that of its product.
pub fn run_tests(manifest: &Manifest, recipe: Option<&Recipe>) -> Vec<TestReport> {
    let tests = manifest.tests.iter().enumerate();
    tests
        .map(|(index, test)| report(index, test, |test: NodeTest| node_test(manifest, recipe, &test)))
        .collect()
}

/// Runs the tests of a product.
pub fn run_recipe_tests(recipe: &Arc<Recipe>) -> Vec<TestReport> {
    let tests = recipe.tests.iter().enumerate();
    tests.map(|(index, test)| report(index, test, |test: RecipeTest| recipe_test(recipe, &test))).collect()
}

fn report<T>(index: usize, test: &Value, run: impl FnOnce(T) -> Result<(), String>) -> TestReport
where
    T: for<'a> Deserialize<'a>,
{
    let name =
        test.get("name").and_then(Value::as_str).map_or_else(|| format!("test {}", index + 1), str::to_owned);
    let expects_success = test.get("failed").or(test.get("unknown")).is_none();
    let parsed = serde_json::from_value(test.clone()).map_err(|error| format!("this is not a test: {error}"));
    TestReport { name, problem: parsed.and_then(run).err(), expects_success }
}

fn node_test(manifest: &Manifest, recipe: Option<&Recipe>, test: &NodeTest) -> Result<(), String> {
    let expected = Expected::one(test.output.as_ref(), test.failed.as_ref(), test.unknown.as_ref())?;
    let given = if test.inputs.is_null() { json!({}) } else { test.inputs.clone() };
    if let Some(outcome) = reshape::perform_pure(manifest, &given, manifest.timeout) {
        if test.request.is_some() || test.response.is_some() {
            return Err("a node that computes has neither a `request` nor a `response`".to_owned());
        }
        return expected.check(&outcome);
    }
    let Action::Request(request) = &manifest.action else {
        return Err("only a node with a `request` or with `native` has tests".to_owned());
    };
    let call = test.call.as_ref().unwrap_or(&CALL).clone().into();
    let base = match manifest.connection {
        Some(_) => Base::Below(Root::parse(SOMEWHERE)?),
        None => Base::Anywhere,
    };
    let built = request::check_inputs(&manifest.inputs, &given)
        .map(Arc::new)
        .and_then(|inputs| request::build(request, &inputs, &call, &base).map(|prepared| (inputs, prepared)));
    let (inputs, prepared) = match built {
        Ok(built) => built,
        Err(failure) => return expected.check(&Outcome::Failed(failure)),
    };
    if let Some(expected) = &test.request {
        check_request(expected, &prepared)?;
    }
    let response = test.response.as_ref().ok_or("the request is built, and the test has no `response`")?;
    let connection = if test.connection.is_null() { json!({}) } else { test.connection.clone() }.into();
    let reading = Reading {
        inputs: &inputs,
        call: &call,
        connection: &connection,
        shared: recipe.map_or(&[], |recipe| &recipe.failures),
        phase: phase(test.phase.as_deref())?,
        called: &called(&prepared),
    };
    expected.check(&read(request, response, &reading))
}

fn read(request: &Request, response: &GivenResponse, reading: &Reading<'_>) -> Outcome {
    response::read(request, &response.answer(), reading)
}

fn recipe_test(recipe: &Arc<Recipe>, test: &RecipeTest) -> Result<(), String> {
    let settings = ConnectionSettings {
        product: recipe.product.clone(),
        url: recipe.url.clone().or_else(|| Some(SOMEWHERE.to_owned())),
        values: test.settings.clone(),
        ..ConnectionSettings::default()
    };
    let rendered = render(&recipe.product, recipe, &settings).map_err(|error| error.to_string())?;
    if let Some(headers) = &test.headers {
        let always = match &rendered.entry {
            Entry::Headers(headers) => headers,
            Entry::Token(entry) => &entry.always,
        };
        check_headers(headers, always)?;
    }
    if let Some(expected) = &test.login {
        let entry = token_entry(&rendered)?;
        let mut request = entry.request.clone();
        request.headers.extend(entry.credentials.clone());
        check_request(expected, &request)?;
    }
    let Some(response) = &test.response else { return Ok(()) };
    if let Some(token) = &test.token {
        return check_token(token, test.lifetime.as_deref(), &rendered, &response.answer());
    }
    let expected = Expected::one(None, test.failed.as_ref(), test.unknown.as_ref())?;
    let phase = phase(test.phase.as_deref())?;
    let called = if phase == Phase::Login { "the login" } else { "the call" };
    let nothing = Arc::default();
    let reading = Reading {
        inputs: &nothing,
        call: &nothing,
        connection: &rendered.public,
        shared: &recipe.failures,
        phase,
        called,
    };
    expected.check(&response::refusal(&[], &response.answer(), &reading))
}

fn token_entry(rendered: &Rendered) -> Result<&TokenEntry, String> {
    match &rendered.entry {
        Entry::Token(entry) => Ok(entry),
        Entry::Headers(_) => Err("this product has no login of its own".to_owned()),
    }
}

fn check_token(
    token: &str,
    lifetime: Option<&str>,
    rendered: &Rendered,
    answer: &Answer,
) -> Result<(), String> {
    let fresh = login::read(rendered, token_entry(rendered)?, answer).map_err(|no| no.failure.message)?;
    same("token", &token, &fresh.secret.expose())?;
    let lives = duration::display(fresh.lifetime);
    lifetime.map_or(Ok(()), |lifetime| same("lifetime", &lifetime, &lives.as_str()))
}

fn phase(text: Option<&str>) -> Result<Phase, String> {
    let phases = [Phase::Login, Phase::Call, Phase::CallAfterLogin];
    let Some(text) = text else { return Ok(Phase::Call) };
    let found = phases.into_iter().find(|phase| phase.as_str() == text);
    found.ok_or_else(|| format!("there is no phase `{text}`: there are login, call, call_after_login"))
}
