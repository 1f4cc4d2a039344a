//! How OpenSearch refuses, and what it says about itself.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::http::{Answer, Request};

/// Why a search is not answered with hits.
pub(super) enum Problem {
    /// The security plugin asks for credentials, whether there were none or wrong ones.
    Unauthorized,
    /// An error in OpenSearch's words: what is at its root, and what it is in the end.
    Refused { status: StatusCode, root: Value, error: Value },
    /// A path that is none of its own.
    NoHandler(String),
}

impl Problem {
    /// An error that is its own root.
    pub(super) fn new(status: StatusCode, error: Value) -> Problem {
        Problem::Refused { status, root: error.clone(), error }
    }

    /// A query that cannot be read.
    pub(super) fn parsing(reason: impl Into<String>) -> Problem {
        let reason: String = reason.into();
        let error = json!({ "type": "parsing_exception", "reason": reason, "line": 1, "col": 1 });
        Problem::new(StatusCode::BAD_REQUEST, error)
    }

    /// A search that can be read and not be done.
    pub(super) fn shards(kind: &str, reason: impl Into<String>) -> Problem {
        let root = json!({ "type": kind, "reason": reason.into() });
        let error = json!({
            "type": "search_phase_execution_exception",
            "reason": "all shards failed",
            "phase": "query",
            "grouped": true,
            "failed_shards": [{ "shard": 0, "reason": root }],
        });
        Problem::Refused { status: StatusCode::BAD_REQUEST, root, error }
    }

    pub(super) fn no_index(index: &str) -> Problem {
        let error = json!({
            "type": "index_not_found_exception",
            "reason": format!("no such index [{index}]"),
            "index": index,
            "resource.id": index,
            "resource.type": "index_or_alias",
            "index_uuid": "_na_",
        });
        Problem::new(StatusCode::NOT_FOUND, error)
    }

    pub(super) fn no_handler(method: &Method, path: &str) -> Problem {
        Problem::NoHandler(format!("no handler found for uri [{path}] and method [{method}]"))
    }

    pub(super) fn timeout() -> Problem {
        let error = json!({ "type": "timeout_exception", "reason": "Time exceeded" });
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }

    pub(super) fn into_answer(self) -> Answer {
        match self {
            Problem::Unauthorized => {
                let mut answer = Answer::text(StatusCode::UNAUTHORIZED, "Unauthorized".to_owned());
                answer.headers.push(("www-authenticate", "Basic realm=\"OpenSearch Security\""));
                answer
            }
            Problem::Refused { status, root, mut error } => {
                error["root_cause"] = json!([root]);
                Answer::json(status, &json!({ "error": error, "status": status.as_u16() }))
            }
            Problem::NoHandler(reason) => Answer::json(StatusCode::BAD_REQUEST, &json!({ "error": reason })),
        }
    }
}

/// `GET /`.
pub(super) fn banner() -> Answer {
    let body = json!({
        "name": "node-1",
        "cluster_name": "wazuh-cluster",
        "version": { "distribution": "opensearch", "number": "2.19.4" },
        "tagline": "The OpenSearch Project: https://opensearch.org/",
    });
    Answer::json(StatusCode::OK, &body)
}

const PARAMETERS: [&str; 5] =
    ["allow_no_indices", "allow_partial_search_results", "filter_path", "ignore_unavailable", "pretty"];

pub(super) fn check_parameters(request: &Request) -> Result<(), Problem> {
    let parameters = request.parameters();
    let Some((name, _)) = parameters.iter().find(|(name, _)| !PARAMETERS.contains(&name.as_str())) else {
        return Ok(());
    };
    let path = &request.path;
    let reason = format!("request [{path}] contains unrecognized parameter: [{name}]");
    let error = json!({ "type": "illegal_argument_exception", "reason": reason });
    Err(Problem::new(StatusCode::BAD_REQUEST, error))
}

/// Whether a name is what a pattern with `*` stands for.
pub(super) fn is_like(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(start) else {
        return false;
    };
    name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| is_like(rest, &name[at..]))
}
