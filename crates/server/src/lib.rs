//! Webhooks and the JSON API over HTTP.
//!
//! A handler extracts, makes one call of the runner or the store, and maps the answer; no rule of the product is here.
//! What is here: who may come in, how much they may send, how long that may take, and how an answer is worded. It does
//! not speak TLS: a proxy does, or whoever hands in the listener.

#![warn(missing_docs)]

mod access;
mod api;
mod body;
mod extract;
mod health;
mod hooks;
mod metrics;
mod problem;
mod router;
mod secret;
mod serve;
mod settings;
mod turned_away;

pub use router::router;
pub use secret::Secret;
pub use serve::{Error, serve};
pub use settings::{Hook, Settings, Token};

#[cfg(test)]
mod tests;
