//! How the API words its answers: the envelope of lists, problems, the known errors, Python's JSON layout.

use std::collections::BTreeMap;
use std::io;

use hyper::StatusCode;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use serde_json::{Value, json};

use crate::http::{Answer, JSON};

pub(super) const NODE: &str = "node01";

const PROBLEM_JSON: &str = "application/problem+json; charset=utf-8";

/// An error of the framework with its number.
pub(super) struct Known {
    pub(super) code: u32,
    pub(super) message: &'static str,
    pub(super) remediation: Option<&'static str>,
}

pub(super) const SOCKET: Known = Known {
    code: 1014,
    message: "Error communicating with socket",
    remediation: Some("Please, restart Wazuh to restore sockets"),
};
pub(super) const NO_COMPONENT: Known = Known {
    code: 1117,
    message: "Unable to connect with component. The component might be disabled.",
    remediation: None,
};
pub(super) const BAD_SORT: Known = Known {
    code: 1403,
    message: "Not a valid sort field ",
    remediation: Some("Please, use only allowed sort fields"),
};
pub(super) const BAD_QUERY: Known =
    Known { code: 1407, message: "Query does not match expected format", remediation: None };
pub(super) const BAD_COMMAND: Known =
    Known { code: 1652, message: "Active response - Unable to run command", remediation: None };
pub(super) const NO_AGENT: Known = Known {
    code: 1701,
    message: "Agent does not exist",
    remediation: Some("Please, use `GET /agents?select=id,name` to find all available agents"),
};
pub(super) const NOT_ACTIVE: Known = Known {
    code: 1707,
    message: "Cannot send request, agent is not active",
    remediation: Some(
        "Please, check non-active agents connection and try again. Visit \
         https://documentation.wazuh.com/4.14/user-manual/registering/index.html and \
         https://documentation.wazuh.com/4.14/user-manual/agents/agent-connection.html to obtain more information on \
         registering and connecting agents",
    ),
};
pub(super) const BAD_SELECT: Known = Known {
    code: 1724,
    message: "Not a valid select field",
    remediation: Some("Please, use only allowed select fields"),
};
pub(super) const RESPONSE_DISABLED: Known = Known {
    code: 1750,
    message: "Could not send restart command, active-response is disabled in the agent",
    remediation: Some("You can activate it in agents' `WAZUH_HOME/etc/ossec.conf`"),
};
pub(super) const DENIED: Known = Known {
    code: 4000,
    message: "Permission denied",
    remediation: Some(
        "Please, make sure you have permissions to execute the current request. For more information on how to set up \
         permissions, please visit https://documentation.wazuh.com/4.14/user-manual/api/rbac/configuration.html",
    ),
};
pub(super) const BLOCKED: Known = Known {
    code: 6000,
    message: "Limit of login attempts reached. The current IP has been blocked due to a high number of login attempts",
    remediation: None,
};
pub(super) const TOO_MANY: Known = Known {
    code: 6001,
    message: "Maximum number of requests per minute reached",
    remediation: Some(
        "This limit can be changed in api.yaml file. More information here: \
         https://documentation.wazuh.com/4.14/user-manual/api/security/configuration.html",
    ),
};
pub(super) const NO_RUN_AS: Known = Known {
    code: 6004,
    message: "The current user does not have authentication enabled through authorization context",
    remediation: Some(
        "You can enable it using the following endpoint: https://documentation.wazuh.com/4.14/user-manual/api/\
         reference.html#operation/api.controllers.security_controller.edit_run_as",
    ),
};

/// An answer other than 200.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(skip)]
    status: StatusCode,
    title: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remediation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dapi_errors: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<u32>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, title: &'static str, detail: String) -> Problem {
        Problem { status, title, detail, remediation: None, dapi_errors: None, error: None }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "Bad Request", detail.into())
    }

    pub(super) fn unauthorized(detail: &str) -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, "Unauthorized", detail.to_owned())
    }

    pub(super) fn known(status: StatusCode, title: &'static str, known: &Known) -> Problem {
        Problem {
            remediation: known.remediation,
            error: Some(known.code),
            ..Problem::new(status, title, known.message.to_owned())
        }
    }

    /// An error that the framework raised, and not the API around it.
    pub(super) fn framework(known: &Known, extra: &str) -> Problem {
        Problem::known(StatusCode::BAD_REQUEST, "Bad Request", known).on_node("unknown-node", extra)
    }

    pub(super) fn denied(resource: &str) -> Problem {
        Problem::known(StatusCode::FORBIDDEN, "Permission Denied", &DENIED)
            .on_node("unknown-node", &format!("Resource type: {resource}"))
    }

    fn on_node(mut self, node: &str, extra: &str) -> Problem {
        if !extra.is_empty() {
            self.detail = format!("{}: {extra}", self.detail);
        }
        self.dapi_errors = Some(json!({ node: { "error": self.detail } }));
        self
    }

    pub(super) fn timeout() -> Problem {
        Problem::internal(3021, "Timeout executing API request".into())
    }

    pub(super) fn daemons_down() -> Problem {
        let detail = format!(
            "Some Wazuh daemons are not ready yet in node \"{NODE}\" (wazuh-db->stopped, wazuh-remoted->stopped)"
        );
        Problem::internal(1017, detail)
    }

    fn internal(code: u32, detail: String) -> Problem {
        let node = json!({ NODE: { "error": detail, "logfile": "WAZUH_HOME/logs/api.json" } });
        Problem {
            dapi_errors: Some(node),
            error: Some(code),
            ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Wazuh Internal Error", detail)
        }
    }

    pub(super) fn into_answer(self) -> Answer {
        Answer { content_type: PROBLEM_JSON, ..spaced(self.status, &self) }
    }
}

/// An answer with status 200.
pub(super) fn ok(body: &impl Serialize) -> Answer {
    spaced(StatusCode::OK, body)
}

/// `{"data": ..., "error": 0}`, the answer of endpoints without the envelope.
pub(super) fn data(data: &impl Serialize) -> Answer {
    #[derive(Serialize)]
    struct Plain<'a, T> {
        data: &'a T,
        error: u8,
    }
    ok(&Plain { data, error: 0 })
}

/// The items that a request failed for, grouped by error.
#[derive(Default)]
pub(super) struct Failures {
    groups: BTreeMap<u32, (&'static Known, String, Vec<String>)>,
}

impl Failures {
    pub(super) fn add(&mut self, id: &str, known: &'static Known, extra: &str) {
        let message = match extra {
            "" => known.message.to_owned(),
            extra => format!("{}: {extra}", known.message),
        };
        self.groups.entry(known.code).or_insert((known, message, Vec::new())).2.push(id.to_owned());
    }
}

/// What a list endpoint says when all, some or none of its items worked.
pub(super) struct Messages {
    pub(super) all: &'static str,
    pub(super) some: &'static str,
    pub(super) none: &'static str,
}

#[derive(Serialize)]
struct Envelope<'a> {
    data: Data<'a>,
    message: &'a str,
    error: u8,
}

#[derive(Serialize)]
struct Data<'a> {
    affected_items: &'a [Value],
    total_affected_items: usize,
    total_failed_items: usize,
    failed_items: Vec<FailedItem<'a>>,
}

#[derive(Serialize)]
struct FailedItem<'a> {
    error: ItemError<'a>,
    id: &'a [String],
}

#[derive(Serialize)]
struct ItemError<'a> {
    code: u32,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remediation: Option<&'a str>,
}

/// The envelope of lists. `total` counts what matched, `items` is the page.
pub(super) fn envelope(items: &[Value], total: usize, mut failures: Failures, messages: &Messages) -> Answer {
    for (_, _, ids) in failures.groups.values_mut() {
        ids.sort();
    }
    let failed_items: Vec<_> = failures
        .groups
        .iter()
        .map(|(code, (known, message, ids))| FailedItem {
            error: ItemError { code: *code, message, remediation: known.remediation },
            id: ids,
        })
        .collect();
    let failed = failed_items.iter().map(|item| item.id.len()).sum();
    let (message, error) = match (total, failed) {
        (0, 0) => (messages.none, 0),
        (0, _) => (messages.none, 1),
        (_, 0) => (messages.all, 0),
        (_, _) => (messages.some, 2),
    };
    let data =
        Data { affected_items: items, total_affected_items: total, total_failed_items: failed, failed_items };
    ok(&Envelope { data, message, error })
}

/// Python's `json.dumps` puts a space after each comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

fn spaced(status: StatusCode, body: &impl Serialize) -> Answer {
    Answer { status, content_type: JSON, headers: Vec::new(), body: write(body, Spaced) }
}

/// The layout of `?pretty=true`. Its keys are sorted, which the product does not do.
pub(super) fn prettify(answer: Answer) -> Answer {
    match serde_json::from_slice::<Value>(&answer.body) {
        Ok(value) => Answer { body: write(&value, PrettyFormatter::with_indent(b"   ")), ..answer },
        Err(_) => answer,
    }
}

fn write(body: &impl Serialize, formatter: impl Formatter) -> Vec<u8> {
    let mut bytes = Vec::new();
    body.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))
        .expect("an answer has string keys only");
    bytes
}
