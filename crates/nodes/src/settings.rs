//! What the operator says about a connection: where the other system is, how it is recognised, who we are there.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// What the operator says about one connection.
#[derive(Debug, Clone, Default)]
pub struct ConnectionSettings {
    /// The product, whose recipe says how to log in.
    pub product: String,
    /// Where it is; the recipe's own URL if nothing is said.
    pub url: Option<String>,
    /// The settings that the recipe asks for. Which of them may be shown is the recipe's word, so all arrive as secrets.
    pub values: BTreeMap<String, Secret>,
    /// How the other side's certificate is recognised.
    pub tls: Tls,
    /// A proxy on the way; the environment is not asked.
    pub proxy: Option<String>,
    /// How many calls may be under way at once; the recipe's figure if nothing is said.
    pub in_flight: Option<usize>,
    /// How long making a connection may take; ten seconds if nothing is said.
    pub connect_timeout: Option<Duration>,
}

/// How the other side's certificate is recognised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Tls {
    /// By the authorities that this machine trusts.
    #[default]
    System,
    /// By these certificates, in PEM: an authority, or the self-signed certificate itself. Name and expiry count.
    Authority(String),
    /// By the SHA-256 of the certificate, in hex with or without colons. Name and expiry do not count.
    Fingerprint(String),
}

/// A value that is never shown, logged or written.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The value itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Secret {
        Secret(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Secret {
        Secret(value.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let mut settings = ConnectionSettings { product: "wazuh".to_owned(), ..Default::default() };
        settings.values.insert("password".to_owned(), "hunter2!".into());
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
