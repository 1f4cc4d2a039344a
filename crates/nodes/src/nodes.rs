//! Performs calls: one function from a node and its inputs to what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Failure, FailureClass, Outcome};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use workflow::{Action, Effect, Manifest, Request};

use crate::catalog::Recipes;
use crate::connection::{self, Connection, Exchange};
use crate::outcome::judge;
use crate::request::{self, Prepared};
use crate::reshape::Task;
use crate::response::{self, Reading};
use crate::settings::ConnectionSettings;
use crate::transport::{Broken, Progress, Stage};

/// What is wrong with the settings of a connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such product.
    #[error("connection `{connection}`: there is no product `{product}`, only {known}")]
    UnknownProduct { connection: String, product: String, known: String },
    /// The product does not know this setting.
    #[error("connection `{connection}`: {product} has no setting `{setting}`, only {known}")]
    UnknownSetting { connection: String, product: String, setting: String, known: String },
    /// A setting is missing.
    #[error("connection `{connection}`: the setting `{setting}` is missing: {summary}")]
    MissingSetting { connection: String, setting: String, summary: String },
    /// The settings cannot be used.
    #[error("connection `{connection}`: {problem}")]
    Unusable { connection: String, problem: String },
}

/// One call of a node.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The node.
    pub manifest: &'a Manifest,
    /// The connection that the step names; without one, the node's product decides.
    pub connection: Option<&'a str>,
    /// The rendered inputs.
    pub inputs: &'a Value,
    /// Which call it is: `{ key, run, step, started_at }`, the same for all attempts. A request may carry it.
    pub call: &'a Arc<Value>,
    /// How long the whole call may take, with waiting for others and logging in.
    pub timeout: Duration,
}

/// Performs calls over the connections of this process.
pub struct Nodes {
    connections: BTreeMap<String, Connection>,
    nobody: Connection,
    /// Whose turn it is to compute: each takes a processor, and memory of its own.
    computing: Arc<Semaphore>,
}

impl Nodes {
    /// Takes the settings of all connections; no connection is made yet.
    pub fn new(recipes: &Recipes, settings: &BTreeMap<String, ConnectionSettings>) -> Result<Nodes, Error> {
        let mut connections = BTreeMap::new();
        for (name, settings) in settings {
            let recipe = recipes.get(&settings.product).ok_or_else(|| Error::UnknownProduct {
                connection: name.clone(),
                product: settings.product.clone(),
                known: recipes.iter().map(|recipe| recipe.product.as_str()).collect::<Vec<_>>().join(", "),
            })?;
            connections.insert(name.clone(), Connection::new(name, recipe, settings)?);
        }
        let computing = Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));
        Ok(Nodes { connections, nobody: Connection::open()?, computing })
    }

    /// Whether a step with this node could be performed here.
    pub fn check_setup(&self, manifest: &Manifest, connection: Option<&str>) -> Result<(), Failure> {
        self.connection(manifest, connection).map(|_| ())
    }

    /// Performs the call. Never repeats it but after a refused token, and never takes longer than it may.
    pub async fn perform(&self, call: Call<'_>) -> Outcome {
        let deadline = Instant::now() + call.timeout;
        if let Action::Native(native) = call.manifest.action {
            return match Task::new(native, call.manifest, call.inputs) {
                Ok(task) => self.compute(task, deadline, call.timeout).await,
                Err(failure) => Outcome::Failed(failure),
            };
        }
        match self.prepare(&call) {
            Ok((connection, ready)) => {
                let outcome = ready.perform(connection, deadline, call.timeout).await;
                connection.rendered.scrubber.outcome(outcome)
            }
            Err(failure) => Outcome::Failed(failure),
        }
    }

    async fn compute(&self, task: Task, deadline: Instant, timeout: Duration) -> Outcome {
        let turn = tokio::time::timeout_at(deadline, self.computing.clone().acquire_owned()).await;
        let Ok(turn) = turn else {
            let limit = expr::duration::display(timeout);
            let message = format!("no turn to compute within {limit}: others took all the time");
            return Outcome::Failed(Failure::new(FailureClass::Timeout, message));
        };
        // The turn goes with the work, which goes on when nobody waits for it any more.
        let work = tokio::task::spawn_blocking(move || (task.perform(deadline.into_std(), timeout), turn));
        match work.await {
            Ok((outcome, _turn)) => outcome,
            Err(error) => Outcome::Failed(setup(format!("computing was given up: {error}"))),
        }
    }

    fn prepare<'a>(&'a self, call: &Call<'a>) -> Result<(&'a Connection, Ready<'a>), Failure> {
        let manifest = call.manifest;
        let request = requested(manifest)?;
        let connection = self.connection(manifest, call.connection)?;
        let inputs = Arc::new(request::check_inputs(&manifest.inputs, call.inputs)?);
        let base = connection.rendered.base(manifest.connection.is_some());
        let prepared = request::build(request, &inputs, call.call, base)?;
        let is_read = manifest.effect == Some(Effect::Read);
        Ok((connection, Ready { request, inputs, call: call.call, prepared, is_read }))
    }

    /// The connection that the step names; else the one named like the product; else the only one of the product.
    fn connection(&self, manifest: &Manifest, named: Option<&str>) -> Result<&Connection, Failure> {
        let Some(name) = named else { return self.default_connection(manifest) };
        let Some(connection) = self.connections.get(name) else {
            let known: Vec<&str> = self.connections.keys().map(String::as_str).collect();
            let help = if known.is_empty() {
                "none is configured".to_owned()
            } else {
                format!("there are {}", known.join(", "))
            };
            return Err(setup(format!("there is no connection `{name}`")).help(help));
        };
        match &manifest.connection {
            Some(product) if *product != connection.product() => {
                let message = format!(
                    "`{}` needs a connection to {product}, and `{name}` is one to {}",
                    manifest.name,
                    connection.product()
                );
                Err(setup(message))
            }
            Some(_) | None => Ok(connection),
        }
    }

    fn default_connection(&self, manifest: &Manifest) -> Result<&Connection, Failure> {
        let Some(product) = &manifest.connection else { return Ok(&self.nobody) };
        let of_product: Vec<(&String, &Connection)> =
            self.connections.iter().filter(|(_, connection)| connection.product() == product).collect();
        match of_product.as_slice() {
            [] => Err(setup(format!(
                "`{}` needs a connection to {product}, and none is configured",
                manifest.name
            ))
            .help(format!("configure one under `connections` with `product: {product}`"))),
            [(_, only)] => Ok(only),
            several => several
                .iter()
                .find(|(name, _)| *name == product)
                .map(|(_, connection)| *connection)
                .ok_or_else(|| {
                    let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
                    setup(format!("`{}` may use several connections: {}", manifest.name, names.join(", ")))
                        .help("say which with `connection:` in the step")
                }),
        }
    }
}

impl Connection {
    fn product(&self) -> &str {
        self.rendered.recipe.as_ref().map_or("", |recipe| &recipe.product)
    }
}

/// A call whose request is built.
struct Ready<'a> {
    request: &'a Request,
    inputs: Arc<Value>,
    call: &'a Arc<Value>,
    prepared: Prepared,
    /// Whether it only looks, whatever its method.
    is_read: bool,
}

impl Ready<'_> {
    async fn perform(&self, connection: &Connection, deadline: Instant, timeout: Duration) -> Outcome {
        let progress = Arc::new(Progress::default());
        let exchange = connection.exchange(&self.prepared, &progress);
        match tokio::time::timeout_at(deadline, exchange).await {
            Ok(Ok(exchange)) => self.read(connection, &exchange),
            Ok(Err(broken)) => self.lost(broken),
            Err(_) => {
                let (stage, end) = progress.give_up();
                judge(end, late(connection, stage, timeout))
            }
        }
    }

    /// What became of a call whose connection broke; where it may have been done, the failure says to look.
    fn lost(&self, broken: Broken) -> Outcome {
        let outcome = judge(broken.end, broken.failure);
        let Outcome::Unknown(failure) = outcome else { return outcome };
        if self.is_read || self.prepared.method.is_safe() {
            return Outcome::Unknown(failure);
        }
        let look = "it may have been done: look there before it is sent again";
        let help = failure.help.as_ref().map_or_else(|| look.to_owned(), |help| format!("{look}; {help}"));
        Outcome::Unknown(failure.help(help))
    }

    fn read(&self, connection: &Connection, exchange: &Exchange) -> Outcome {
        let mut public = Arc::clone(&connection.rendered.public);
        if let Some(lifetime) = exchange.token_lifetime
            && let Value::Object(public) = Arc::make_mut(&mut public)
        {
            public.insert("token_lifetime_s".to_owned(), lifetime.as_secs().into());
        }
        let called = connection::called(&self.prepared);
        let reading = Reading {
            inputs: &self.inputs,
            call: self.call,
            connection: &public,
            shared: connection.rendered.failures(),
            phase: exchange.phase,
            called: &called,
        };
        response::read(self.request, &exchange.answer, &reading)
    }
}

fn requested(manifest: &Manifest) -> Result<&Request, Failure> {
    match &manifest.action {
        Action::Request(request) => Ok(request),
        Action::Native(_) | Action::Engine(_) | Action::Trigger(_) => {
            Err(setup(format!("`{}` is not a node that calls another system", manifest.name)))
        }
    }
}

fn late(connection: &Connection, stage: Stage, timeout: Duration) -> Failure {
    let limit = expr::duration::display(timeout);
    let name = &connection.rendered.name;
    let failure = |message: String| Failure::new(FailureClass::Timeout, message);
    match stage {
        Stage::Waiting => failure(format!("no turn within {limit}")).help(format!(
            "at most {} calls over `{name}` are under way at once, and others took all the time",
            connection.in_flight
        )),
        Stage::LoggingIn => failure(format!("no login to `{name}` within {limit}")),
        Stage::Connecting => failure(format!("no connection within {limit}")),
        Stage::Sent => failure(format!("no complete answer within {limit}")),
    }
}

fn setup(message: String) -> Failure {
    Failure::new(FailureClass::Setup, message)
}

#[cfg(test)]
mod tests;
