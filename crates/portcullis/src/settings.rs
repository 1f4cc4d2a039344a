//! `portcullis.yaml`: what the operator says. Every mistake in it has a line and a column.
//!
//! Secrets never stand in the file: they come from the environment or from files, and this is the only place that
//! reads them.

mod connections;
mod guardrails;
mod limits;
mod reconcile;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use nodes::{ConnectionSettings, Recipes, Secret};
use workflow::yaml::{Document, Node, Object};
use workflow::{Diagnostic, Diagnostics, Rule};

pub(crate) use guardrails::Guardrails;
pub(crate) use limits::Limits;
pub(crate) use reconcile::Reconcile;

/// The most finished runs that can be asked to be kept.
const MOST_RUNS: u64 = 100_000_000;

const KEYS: [&str; 11] = [
    "listen",
    "data_dir",
    "workflows",
    "nodes",
    "connections",
    "hooks",
    "api",
    "guardrails",
    "retention",
    "limits",
    "reconcile",
];

/// What the operator says.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where the server listens.
    pub(crate) listen: SocketAddr,
    /// Where the store is.
    pub(crate) data_dir: PathBuf,
    /// The connections, by name.
    pub(crate) connections: BTreeMap<String, ConnectionSettings>,
    /// The secrets of the webhooks, by path.
    pub(crate) hooks: BTreeMap<String, server::Hook>,
    /// Who may use the API.
    pub(crate) tokens: Vec<server::Token>,
    /// What no playbook may do.
    pub(crate) guardrails: Guardrails,
    /// Which finished runs are kept.
    pub(crate) retention: runner::Retention,
    /// How much is taken on at once.
    pub(crate) limits: Limits,
    /// Where alerts that do not come by themselves are asked for, if anywhere.
    pub(crate) reconcile: Option<Reconcile>,
}

/// The folders that the configuration names: all that checking playbooks takes, and no secret.
#[derive(Clone)]
pub(crate) struct Folders {
    pub(crate) workflows: Vec<PathBuf>,
    pub(crate) nodes: Vec<PathBuf>,
}

impl Folders {
    /// Reads the folders out of a file, whatever else stands there.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Folders> {
        let document = parse(path)?;
        let reader = Reader { folder: folder_of(path) };
        let folders = document.root().any_object().map(|object| reader.both_folders(&object));
        let findings = document.into_findings();
        folders.filter(|_| !findings.has_errors()).ok_or_else(|| failed(findings))
    }
}

impl Settings {
    /// Reads a file. The recipes say what a connection takes.
    pub(crate) fn read(path: &Path, recipes: &Recipes) -> anyhow::Result<Settings> {
        let document = parse(path)?;
        let settings = Reader { folder: folder_of(path) }.settings(&document.root(), recipes);
        let findings = document.into_findings();
        match settings {
            Some(settings) if !findings.has_errors() => Ok(settings),
            _ => Err(failed(findings)),
        }
    }
}

/// The address that the file names, whatever else stands there.
pub(crate) fn listen_of(path: &Path) -> anyhow::Result<SocketAddr> {
    if !path.exists() {
        return Ok(default_listen());
    }
    let document = parse(path)?;
    let listen = document.root().any_object().and_then(|object| object.get("listen"));
    let listen = listen.and_then(|node| node.string().and_then(|text| text.parse().ok()));
    Ok(listen.unwrap_or_else(default_listen))
}

/// The folder of the store, whatever else stands in the file.
pub(crate) fn data_dir_of(path: &Path) -> anyhow::Result<PathBuf> {
    let document = parse(path)?;
    let root = document.root();
    let data_dir = root.any_object().and_then(|object| object.require("data_dir"));
    let data_dir = data_dir.and_then(|node| Reader { folder: folder_of(path) }.path(&node));
    data_dir.ok_or_else(|| failed(document.into_findings()))
}

fn parse(path: &Path) -> anyhow::Result<Document> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Document::parse(&path.display().to_string(), &text).map_err(failed)
}

/// Relative paths begin here.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn failed(findings: Diagnostics) -> anyhow::Error {
    anyhow::anyhow!("{findings}")
}

struct Reader<'a> {
    folder: &'a Path,
}

impl Reader<'_> {
    fn settings(&self, root: &Node<'_>, recipes: &Recipes) -> Option<Settings> {
        let object = root.object(&KEYS)?;
        // Whoever needs the folders reads them alone; what is wrong with them belongs beside the rest.
        self.both_folders(&object);
        let listen = object.get("listen").map_or(Some(default_listen()), |node| {
            let text = node.string()?;
            text.parse().ok().or_else(|| node.not("an address and a port, as in \"127.0.0.1:8080\""))
        });
        let data_dir = object.require("data_dir").and_then(|node| self.path(&node));
        let hooks = object.get("hooks").map(|node| node.entries()).unwrap_or_default();
        let hooks: BTreeMap<String, server::Hook> =
            hooks.iter().filter_map(|(path, node)| Some(((*path).to_owned(), self.hook(node)?))).collect();
        let connections = object.get("connections").map(|node| self.connections(&node, recipes));
        let tokens = object.get("api").map(|node| self.tokens(&node)).unwrap_or_default();
        let guardrails = object.get("guardrails").map(|node| self.guardrails(&node, &tokens));
        let reconcile = object.get("reconcile").map(|node| {
            let products = connections.as_ref().into_iter().flatten();
            let products = products.map(|(name, connection)| (name.as_str(), connection.product.as_str()));
            reconcile::reconcile(&node, &products.collect(), &hooks)
        });
        let retention = object.get("retention").map_or(Some(usual_retention()), |node| retention(&node));
        let limits = object.get("limits").map(|node| limits::read(&node)).unwrap_or_default();
        Some(Settings {
            listen: listen?,
            data_dir: data_dir?,
            connections: connections.unwrap_or_default(),
            hooks,
            tokens,
            guardrails: guardrails.unwrap_or_default(),
            retention: retention?,
            limits,
            reconcile: reconcile.flatten(),
        })
    }

    fn both_folders(&self, object: &Object<'_>) -> Folders {
        let workflows = object.get("workflows").map(|node| self.folders(&node));
        Folders {
            workflows: workflows.unwrap_or_else(|| vec![self.folder.join("workflows")]),
            nodes: object.get("nodes").map(|node| self.folders(&node)).unwrap_or_default(),
        }
    }

    fn folders(&self, node: &Node<'_>) -> Vec<PathBuf> {
        let items =
            if node.value().is_string() { vec![node.clone()] } else { node.list().unwrap_or_default() };
        items.iter().filter_map(|item| self.existing(item)).collect()
    }

    fn existing(&self, node: &Node<'_>) -> Option<PathBuf> {
        let path = self.path(node)?;
        if !path.exists() {
            let message = format!("there is no folder {}", path.display());
            let help = "relative paths begin at the folder of this file";
            node.report(Diagnostic::new(Rule::MISSING_PATH, node.at(), message).help(help));
        }
        Some(path)
    }

    fn path(&self, node: &Node<'_>) -> Option<PathBuf> {
        node.string().map(|text| self.folder.join(text))
    }

    fn hook(&self, node: &Node<'_>) -> Option<server::Hook> {
        let object = node.object(&["secret", "header"])?;
        let secret = object.require("secret").and_then(|node| self.secret(&node))?;
        let header = object.get("header").and_then(|node| node.string());
        let mut hook = server::Hook::new(secret.expose());
        if let Some(header) = header {
            header.clone_into(&mut hook.header);
        }
        Some(hook)
    }

    fn tokens(&self, node: &Node<'_>) -> Vec<server::Token> {
        let list =
            node.object(&["tokens"]).and_then(|object| object.require("tokens")).and_then(|node| node.list());
        let mut tokens: Vec<(server::Token, Secret)> = Vec::new();
        for node in list.unwrap_or_default() {
            let Some((token, secret)) = self.token(&node) else { continue };
            let clash = if tokens.iter().any(|(other, _)| other.name == token.name) {
                Some(format!("there is a token with the name `{}` already", token.name))
            } else {
                let twin = tokens.iter().find(|(_, other)| *other == secret);
                twin.map(|(other, _)| {
                    format!("this is the token of `{}`: nobody could tell the two apart", other.name)
                })
            };
            if let Some(message) = clash {
                node.report(Diagnostic::new(Rule::DUPLICATE_TOKEN, node.at(), message));
            }
            tokens.push((token, secret));
        }
        tokens.into_iter().map(|(token, _)| token).collect()
    }

    fn token(&self, node: &Node<'_>) -> Option<(server::Token, Secret)> {
        let object = node.object(&["name", "token", "roles", "may_speak_for_others"])?;
        let name = object.require("name").and_then(|node| match node.string()?.trim() {
            "" => node.not("a name: say whose token it is"),
            name => Some(name),
        });
        let secret = object.require("token").and_then(|node| self.secret(&node));
        let roles = object.get("roles").and_then(|node| node.strings()).unwrap_or_default();
        let may_speak_for_others =
            object.get("may_speak_for_others").and_then(|node| node.bool()).unwrap_or(false);
        let secret = secret?;
        let mut token = server::Token::new(name?, secret.expose());
        token.roles = roles;
        token.may_speak_for_others = may_speak_for_others;
        Some((token, secret))
    }

    /// A secret: `{ env: NAME }` or `{ file: PATH }`.
    fn secret(&self, node: &Node<'_>) -> Option<Secret> {
        if node.value().is_string() {
            node.hide();
            let finding =
                Diagnostic::new(Rule::SECRET_LITERAL, node.at(), "a secret does not stand in this file");
            node.report(finding.help("write `{ env: NAME }` or `{ file: PATH }`"));
            return None;
        }
        let object = node.object(&["env", "file"])?;
        let (value, source) = match (object.get("env"), object.get("file")) {
            (Some(env), None) => self.secret_of_env(&env)?,
            (None, Some(file)) => self.secret_of_file(&file)?,
            _ => return node.expected("`{ env: NAME }` or `{ file: PATH }`"),
        };
        if value.trim().is_empty() {
            node.report(Diagnostic::new(Rule::EMPTY_SECRET, node.at(), format!("{source} is empty")));
            return None;
        }
        Some(value.as_str().into())
    }

    fn secret_of_env(&self, node: &Node<'_>) -> Option<(String, String)> {
        let name = node.string()?;
        match std::env::var(name) {
            Ok(value) => Some((value, format!("the environment variable {name}"))),
            Err(error) => {
                let why = match error {
                    std::env::VarError::NotPresent => "is not set",
                    std::env::VarError::NotUnicode(_) => "is not UTF-8",
                };
                let message = format!("the environment variable {name} {why}");
                node.report(Diagnostic::new(Rule::MISSING_SECRET, node.at(), message));
                None
            }
        }
    }

    fn secret_of_file(&self, node: &Node<'_>) -> Option<(String, String)> {
        let path = self.path(node)?;
        match std::fs::read_to_string(&path) {
            Ok(text) => Some((text.trim_end_matches(['\r', '\n']).to_owned(), path.display().to_string())),
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                node.report(Diagnostic::new(Rule::MISSING_SECRET, node.at(), message));
                None
            }
        }
    }
}

/// `90d`, or `{ age: 90d, runs: 20000 }` with one of the two or both.
fn retention(node: &Node<'_>) -> Option<runner::Retention> {
    if !node.value().is_object() {
        return Some(runner::Retention { age: Some(node.time_limit()?), runs: None });
    }
    let object = node.object(&["age", "runs"])?;
    let age = match object.get("age") {
        Some(age) => Some(age.time_limit()?),
        None => None,
    };
    let runs = match object.get("runs") {
        Some(runs) => Some(runs.integer(1..=MOST_RUNS)?),
        None => None,
    };
    if age.is_none() && runs.is_none() {
        return node
            .expected("a time, as in `90d`, or `{ age: 90d, runs: 20000 }` with one of the two or both");
    }
    Some(runner::Retention { age, runs })
}

fn usual_retention() -> runner::Retention {
    runner::Retention { age: Some(Duration::from_secs(90 * 86_400)), runs: None }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

#[cfg(test)]
mod tests;
