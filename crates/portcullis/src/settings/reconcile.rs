//! Where alerts that do not come by themselves are asked for, and how often.

use std::collections::BTreeMap;
use std::time::Duration;

use workflow::yaml::{Node, Object, suggest};
use workflow::{Diagnostic, Rule};

use crate::missed::MissedAlerts;

const KEYS: [&str; 5] = ["hook", "connection", "every", "look_back", "min_level"];
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);
const HIGHEST_LEVEL: u64 = 16;

/// Where alerts are asked for, and how often.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reconcile {
    /// The hook on which they should have come.
    pub(crate) hook: String,
    /// The connection to the indexer.
    pub(crate) connection: String,
    /// How often.
    pub(crate) every: Duration,
    /// So far back they are asked for again.
    pub(crate) look_back: Duration,
    /// Only alerts of rules of this level or higher.
    pub(crate) min_level: u64,
}

/// Reads it. `products` has the connections and what each leads to.
pub(super) fn reconcile<T>(
    node: &Node<'_>,
    products: &BTreeMap<&str, &str>,
    hooks: &BTreeMap<String, T>,
) -> Option<Reconcile> {
    let object = node.object(&KEYS)?;
    let hook = object.require("hook").and_then(|node| hook(&node, hooks));
    let connection = connection(&object, products);
    let every = pause(&object, "every", Duration::from_secs(300));
    let look_back = pause(&object, "look_back", Duration::from_secs(900));
    let min_level = object.get("min_level").map_or(Some(0), |node| node.integer(0..=HIGHEST_LEVEL));
    Some(Reconcile {
        hook: hook?,
        connection: connection?,
        every: every?,
        look_back: look_back?,
        min_level: min_level?,
    })
}

fn hook<T>(node: &Node<'_>, hooks: &BTreeMap<String, T>) -> Option<String> {
    let name = node.string()?;
    if !hooks.contains_key(name) {
        let message = format!("there is no hook `{name}`, so nobody could have sent the alerts there");
        let help = suggest(name, hooks.keys().map(String::as_str));
        node.report(Diagnostic::new(Rule::WRONG_VALUE, node.at(), message).help(help));
        return None;
    }
    Some(name.to_owned())
}

fn connection(object: &Object<'_>, products: &BTreeMap<&str, &str>) -> Option<String> {
    let named = object.get("connection");
    let name = named.as_ref().map_or(Some(MissedAlerts::PRODUCT), |node| node.string())?;
    let node = named.unwrap_or_else(|| object.node().clone());
    let message = match products.get(name) {
        Some(&MissedAlerts::PRODUCT) => return Some(name.to_owned()),
        Some(product) => {
            format!("the connection `{name}` leads to {product}, which keeps no alerts of Wazuh")
        }
        None => format!("there is no connection `{name}`"),
    };
    let finding = Diagnostic::new(Rule::WRONG_VALUE, node.at(), message);
    let product = MissedAlerts::PRODUCT;
    node.report(finding.help(format!(
        "name one to the Wazuh indexer: below `connections`, `{product}` or one with `product: {product}`"
    )));
    None
}

fn pause(object: &Object<'_>, key: &str, usual: Duration) -> Option<Duration> {
    let Some(node) = object.get(key) else { return Some(usual) };
    match node.duration()? {
        pause if pause < Duration::from_secs(1) || pause > LONGEST_PAUSE => {
            node.not("a time between a second and a day, as in `5m`")
        }
        pause => Some(pause),
    }
}
