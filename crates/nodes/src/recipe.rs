//! The recipe of a product: how to log in there, what a refused token looks like, what its failures mean.
//!
//! One `connection.yaml` per product, read with the same readers as the nodes. Nothing here sends anything.

mod read;

use std::collections::BTreeMap;
use std::time::Duration;

use expr::{Condition, Template, ValueTemplate};
use serde_json::Value;
use workflow::{Diagnostics, FailureRule};

/// How to talk to a product.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The name that nodes and connections give it.
    pub product: String,
    /// What it is, in a sentence.
    pub summary: String,
    /// The vendor's page about logging in.
    pub docs: Option<String>,
    /// Where it is when the operator does not say.
    pub url: Option<String>,
    /// What stands between the operator's URL and the paths of the nodes.
    pub base: String,
    /// What the operator has to say.
    pub settings: BTreeMap<String, Setting>,
    /// The ways to log in; the first whose settings are all given.
    pub(crate) logins: Vec<Login>,
    /// Headers of every request.
    pub(crate) headers: Option<ValueTemplate>,
    /// How many calls may be under way at once.
    pub(crate) in_flight: Option<usize>,
    /// How long an idle connection is kept: less than the other side keeps it.
    pub(crate) idle_timeout: Duration,
    /// What to do when the certificate is not trusted, beyond what is always said.
    pub(crate) tls_help: Option<String>,
    /// What an answer means that is no success, after what the node says itself.
    pub(crate) failures: Vec<FailureRule>,
    /// The recipe's own tests.
    pub(crate) tests: Vec<Value>,
    /// The YAML.
    pub text: String,
}

/// One thing that the operator says about a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Whether it has to be said.
    pub is_required: bool,
    /// Whether it is never shown.
    pub is_secret: bool,
    /// What it is, in a sentence.
    pub summary: String,
}

/// One way to log in.
#[derive(Debug, Clone)]
pub(crate) enum Login {
    /// Nothing is needed.
    None,
    /// A header with every request.
    Header(Box<Credential>),
    /// A request gives a token, and the token goes with every request.
    Token(Box<TokenLogin>),
}

/// A header that proves who we are.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// `Authorization: Basic`.
    Basic { user: Template, password: Template },
    /// `Authorization: Bearer`.
    Bearer(Template),
    /// A header of the product's own.
    Header { name: String, value: Template },
}

/// A login that gives a token.
#[derive(Debug, Clone)]
pub(crate) struct TokenLogin {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) credential: Option<Credential>,
    pub(crate) json: Option<ValueTemplate>,
    /// Where the token stands in the answer.
    pub(crate) token: Template,
    /// How long it lives, where it does not say so itself.
    pub(crate) lifetime: Duration,
    /// The header it goes into; none: `Authorization: Bearer`.
    pub(crate) header: Option<String>,
    /// What an answer looks like that refuses the token before anything was done.
    pub(crate) refused_when: Condition,
}

impl Recipe {
    /// Reads a recipe; the findings are empty exactly where there is nothing to complain about.
    pub fn parse(file: &str, text: &str) -> Result<Recipe, Diagnostics> {
        read::recipe(file, text)
    }
}

impl Credential {
    /// The templates, which read `settings`.
    pub(crate) fn templates(&self) -> Vec<&Template> {
        match self {
            Credential::Basic { user, password } => vec![user, password],
            Credential::Bearer(value) | Credential::Header { value, .. } => vec![value],
        }
    }
}

impl Login {
    /// The settings that this way needs.
    pub(crate) fn needs(&self) -> Vec<&str> {
        let credential = match self {
            Login::None => None,
            Login::Header(credential) => Some(credential.as_ref()),
            Login::Token(login) => login.credential.as_ref(),
        };
        let templates = credential.map(Credential::templates).unwrap_or_default();
        let mut references: Vec<_> = templates.iter().flat_map(|template| template.references()).collect();
        if let Login::Token(login) = self {
            references.extend(login.json.iter().flat_map(ValueTemplate::references));
        }
        let is_setting = |path: &&[String]| path.first().is_some_and(|root| root == "settings");
        let paths = references.iter().filter(|reference| !reference.is_optional);
        paths
            .map(|reference| reference.path.as_slice())
            .filter(is_setting)
            .filter_map(|path| Some(path.get(1)?.as_str()))
            .collect()
    }
}
