//! The connections: what each takes is the word of its product's recipe.

use std::collections::BTreeMap;

use nodes::{ConnectionSettings, Recipe, Recipes, Secret, Tls};
use workflow::yaml::{Node, Object, suggest};
use workflow::{Diagnostic, Rule};

use super::Reader;

const COMMON: [&str; 6] = ["product", "url", "tls", "proxy", "in_flight", "connect_timeout"];

impl Reader<'_> {
    pub(super) fn connections(
        &self,
        node: &Node<'_>,
        recipes: &Recipes,
    ) -> BTreeMap<String, ConnectionSettings> {
        let entries = node.entries().into_iter();
        entries
            .filter_map(|(name, node)| Some((name.to_owned(), self.connection(name, &node, recipes)?)))
            .collect()
    }

    fn connection(&self, name: &str, node: &Node<'_>, recipes: &Recipes) -> Option<ConnectionSettings> {
        let object = node.any_object()?;
        let product = object.get("product").and_then(|node| node.string()).unwrap_or(name).to_owned();
        let Some(recipe) = recipes.get(&product) else {
            let at = object.get("product").map_or_else(|| node.key_at(), |node| node.at());
            let help = suggest(&product, recipes.iter().map(|recipe| recipe.product.as_str()));
            let finding =
                Diagnostic::new(Rule::UNKNOWN_PRODUCT, at, format!("there is no product `{product}`"));
            node.report(finding.help(help));
            return None;
        };
        let keys: Vec<&str> = COMMON.into_iter().chain(recipe.settings.keys().map(String::as_str)).collect();
        let object = node.object(&keys)?;
        if recipe.url.is_none() {
            object.require("url");
        }
        let in_flight = object.get("in_flight").and_then(|node| node.integer(1..=1000));
        Some(ConnectionSettings {
            product,
            url: object.get("url").and_then(|node| self.url(&node)),
            values: self.values(&object, recipe),
            tls: object.get("tls").and_then(|node| self.tls(&node)).unwrap_or_default(),
            proxy: object.get("proxy").and_then(|node| self.url(&node)),
            in_flight: in_flight.and_then(|count| usize::try_from(count).ok()),
            connect_timeout: object.get("connect_timeout").and_then(|node| node.duration()),
        })
    }

    fn url(&self, node: &Node<'_>) -> Option<String> {
        let text = node.string()?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        match rest {
            Some(rest) if !rest.is_empty() && !rest.contains('@') => Some(text.to_owned()),
            Some(rest) if rest.contains('@') => {
                node.hide();
                let finding =
                    Diagnostic::new(Rule::SECRET_LITERAL, node.at(), "a URL holds no user and no password");
                node.report(finding.help("give them as settings of the connection"));
                None
            }
            _ => node.not("a URL, as in \"https://wazuh.example:55000\""),
        }
    }

    fn values(&self, object: &Object<'_>, recipe: &Recipe) -> BTreeMap<String, Secret> {
        let mut values = BTreeMap::new();
        for (name, setting) in &recipe.settings {
            let value = match object.get(name) {
                None if setting.is_required => {
                    let message = format!("the setting `{name}` is missing: {}", setting.summary);
                    let node = object.node();
                    node.report(Diagnostic::new(Rule::MISSING_KEY, node.key_at(), message));
                    None
                }
                None => None,
                Some(node) if setting.is_secret || node.value().is_object() => self.secret(&node),
                Some(node) => node.string().map(Secret::from),
            };
            values.extend(value.map(|value| (name.clone(), value)));
        }
        values
    }

    fn tls(&self, node: &Node<'_>) -> Option<Tls> {
        let object = node.object(&["ca_file", "fingerprint"])?;
        match (object.get("ca_file"), object.get("fingerprint")) {
            (Some(file), None) => {
                let path = self.path(&file)?;
                match std::fs::read_to_string(&path) {
                    Ok(pem) => Some(Tls::Authority(pem)),
                    Err(error) => {
                        let message = format!("cannot read {}: {error}", path.display());
                        file.report(Diagnostic::new(Rule::MISSING_PATH, file.at(), message));
                        None
                    }
                }
            }
            (None, Some(fingerprint)) => self.fingerprint(&fingerprint).map(Tls::Fingerprint),
            _ => node.expected("one of `ca_file` and `fingerprint`"),
        }
    }

    fn fingerprint(&self, node: &Node<'_>) -> Option<String> {
        let text = node.string()?;
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            let message = "this is not the SHA-256 of a certificate: 64 hex digits, with or without colons";
            let command =
                "openssl s_client -connect HOST:55000 </dev/null | openssl x509 -noout -fingerprint -sha256";
            node.report(
                Diagnostic::new(Rule::WRONG_VALUE, node.at(), message).help(format!("`{command}` shows it")),
            );
            return None;
        }
        Some(digits.to_ascii_lowercase())
    }
}
