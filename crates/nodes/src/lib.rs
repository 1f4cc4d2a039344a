//! Performs one call of a node: request, response, connection, token. Embeds the catalogue `nodes/`.
//!
//! A call goes one way: build the request (pure), authorize it (connection), send it, read the answer (pure). What
//! became of it is decided in one place, [`model::Outcome`]: done, provably not done, or unknown. The crate never
//! repeats a call on its own, but for one case: a token that was refused, which the other side says before it acts.

mod catalog;
mod check;
mod recipe;
mod settings;

mod connection;
mod nodes;
mod outcome;
mod request;
mod reshape;
mod response;
mod scrub;
mod session;
mod transport;
mod trial;

pub use catalog::{Recipes, builtin, load};
pub use nodes::{Call, Error, Nodes};
pub use recipe::{Recipe, Setting};
pub use reshape::{CHILD, compute_with, perform_pure, run_child};
pub use settings::{ConnectionSettings, Secret, Tls};
pub use trial::{TestReport, run_recipe_tests, run_tests};
