use std::sync::LazyLock;

use insta::assert_snapshot;
use serde_json::json;
use workflow::Catalog;

use super::*;
use crate::settings::Tls;

mod cuts;
mod peer;
mod secrets;
mod setup;
mod tls;
mod tokens;

const KEY: &str = "00112233445566778899aabbccddeeff";
static BUILTIN: LazyLock<(Catalog, Recipes)> = LazyLock::new(crate::builtin);

fn manifest(node: &str) -> &'static Manifest {
    BUILTIN.0.get(node).unwrap()
}

/// A connection to this product at this URL, with settings that make sense.
fn connection(product: &str, url: String) -> ConnectionSettings {
    let values: &[(&str, &str)] = match product {
        "wazuh" => &[("user", "soar"), ("password", "s3cret-Passw0rd")],
        _ => &[("key", "0123456789abcdef")],
    };
    let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
    ConnectionSettings { product: product.to_owned(), url: Some(url), values, ..Default::default() }
}

/// Nodes with one connection.
fn nodes(connection: ConnectionSettings) -> Nodes {
    Nodes::new(&BUILTIN.1, &BTreeMap::from([(connection.product.clone(), connection)])).unwrap()
}

async fn call(nodes: &Nodes, node: &str, inputs: Value) -> Outcome {
    within(Duration::from_secs(30), nodes, node, inputs).await
}

async fn within(timeout: Duration, nodes: &Nodes, node: &str, inputs: Value) -> Outcome {
    let identity = json!({ "key": KEY, "run": "r1", "step": "step", "started_at": "2026-01-01T00:00:00Z" });
    let identity = identity.into();
    let call = Call { manifest: manifest(node), connection: None, inputs: &inputs, call: &identity, timeout };
    nodes.perform(call).await
}

/// A request that has a body and disrupts, over a connection without a login of its own.
async fn post(url: String) -> Outcome {
    let nodes = Nodes::new(&BUILTIN.1, &BTreeMap::new()).unwrap();
    let inputs = json!({ "method": "POST", "url": url, "json": { "block": "203.0.113.9" } });
    call(&nodes, "http", inputs).await
}

/// An outcome as a person sees it, without the port.
fn shown(outcome: &Outcome) -> String {
    let text = match outcome {
        Outcome::Succeeded(output) => format!("succeeded {output}"),
        Outcome::Failed(failure) => format!("failed {}: {}{}", failure.class, failure.message, help(failure)),
        Outcome::Unknown(failure) => {
            format!("unknown {}: {}{}", failure.class, failure.message, help(failure))
        }
    };
    let mut parts = text.split("127.0.0.1:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        format!("{text}peer{}", part.trim_start_matches(|c: char| c.is_ascii_digit()))
    })
}

fn help(failure: &Failure) -> String {
    failure.help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default()
}
