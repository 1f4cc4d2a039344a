//! The Wazuh manager API 4.14: login, agents, active response, manager.
//!
//! Checks run in the order of the product: rate limit, route, daemons, token, parameters, permissions. Not
//! simulated: several API nodes and processes, groups, and what a command does to a host.

mod account;
mod active_response;
mod agents;
mod login;
mod manager;
mod parameters;
mod permissions;
mod reply;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::StatusCode;

use crate::clock::now_ms;
use crate::http::{Answer, BODY_LIMIT, Endpoint, Refusal, Request};
use crate::indexer::Indexer;
use crate::settings::Settings;

pub use active_response::ActiveResponse;
pub(crate) use agents::default_agents;
pub use agents::{Agent, AgentStatus, Execd, Os};
pub use permissions::Permissions;

use agents::Enrolled;
use login::Logins;
use reply::Problem;

pub(crate) struct Wazuh {
    settings: Settings,
    indexer: Arc<Indexer>,
    state: Mutex<State>,
}

struct State {
    password: String,
    permissions: Permissions,
    logins: Logins,
    agents: BTreeMap<String, Enrolled>,
    active_responses: Vec<ActiveResponse>,
    daemons_down: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Info,
    Login,
    OldLogin,
    Logout,
    RunAs,
    Me,
    MyPolicies,
    Agents,
    AgentsSummary,
    ActiveResponse,
    ManagerStatus,
    ManagerInfo,
}

const LOGIN: &str = "/security/user/authenticate";
const USUAL: &[&str] = &["pretty", "wait_for_complete"];

/// Method, path, route, and the query parameters that the specification allows.
const ROUTES: &[(&str, &str, Route, &[&str])] = &[
    ("GET", "/", Route::Info, &["pretty"]),
    ("POST", LOGIN, Route::Login, &["raw"]),
    ("GET", LOGIN, Route::OldLogin, &["raw"]),
    ("DELETE", LOGIN, Route::Logout, USUAL),
    ("POST", "/security/user/authenticate/run_as", Route::RunAs, &["raw"]),
    ("GET", "/security/users/me", Route::Me, USUAL),
    ("GET", "/security/users/me/policies", Route::MyPolicies, &["pretty"]),
    ("GET", "/agents", Route::Agents, agents::PARAMETERS),
    ("GET", "/agents/summary/status", Route::AgentsSummary, USUAL),
    ("PUT", "/active-response", Route::ActiveResponse, &["agents_list", "pretty", "wait_for_complete"]),
    ("GET", "/manager/status", Route::ManagerStatus, USUAL),
    ("GET", "/manager/info", Route::ManagerInfo, USUAL),
];

impl Wazuh {
    pub(crate) fn new(settings: Settings, indexer: Arc<Indexer>) -> Wazuh {
        let state = State {
            password: settings.wazuh_password.clone(),
            permissions: permissions::administrator(),
            logins: Logins::default(),
            agents: agents::enroll(&settings.agents, now_ms()),
            active_responses: Vec::new(),
            daemons_down: false,
        };
        Wazuh { settings, indexer, state: Mutex::new(state) }
    }

    pub(crate) fn agents(&self) -> Vec<Agent> {
        self.lock().agents.values().map(|enrolled| enrolled.agent.clone()).collect()
    }

    pub(crate) fn active_responses(&self) -> Vec<ActiveResponse> {
        self.lock().active_responses.clone()
    }

    pub(crate) fn in_force(&self) -> BTreeSet<String> {
        active_response::in_force(&self.lock().active_responses)
    }

    /// Changes an agent; false when there is none with this id.
    pub(crate) fn change_agent(&self, id: &str, change: impl FnOnce(&mut Agent)) -> bool {
        let mut state = self.lock();
        let Some(enrolled) = state.agents.get_mut(id) else {
            return false;
        };
        change(&mut enrolled.agent);
        enrolled.since_ms = now_ms();
        true
    }

    pub(crate) fn expire_tokens(&self) {
        self.lock().logins.revoke_all();
    }

    /// As in the product, a changed user loses the tokens that it has.
    pub(crate) fn set_password(&self, password: &str) {
        let mut state = self.lock();
        state.password = password.to_owned();
        state.logins.revoke_all();
    }

    pub(crate) fn permissions(&self) -> Permissions {
        self.lock().permissions.clone()
    }

    /// As in the product, a changed user loses the tokens that it has.
    pub(crate) fn set_permissions(&self, permissions: Permissions) {
        let mut state = self.lock();
        state.permissions = permissions;
        state.logins.revoke_all();
    }

    pub(crate) fn daemons_down(&self) -> bool {
        self.lock().daemons_down
    }

    pub(crate) fn set_daemons_down(&self, down: bool) {
        self.lock().daemons_down = down;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, request: &Request) -> Result<Answer, Problem> {
        let mut state = self.lock();
        state.logins.count_request(self.settings.max_requests_per_minute)?;
        let (route, allowed) = find(request)?;
        if matches!(route, Route::Login | Route::OldLogin | Route::RunAs) {
            state.logins.check_block(request.peer)?;
        }
        if state.daemons_down {
            return Err(Problem::daemons_down());
        }
        match route {
            Route::Login | Route::OldLogin | Route::RunAs => {
                state.check_password(&self.settings, request)?;
            }
            Route::Info
            | Route::Logout
            | Route::Me
            | Route::MyPolicies
            | Route::Agents
            | Route::AgentsSummary
            | Route::ActiveResponse
            | Route::ManagerStatus
            | Route::ManagerInfo => state.logins.check_token(request)?,
        }
        let parameters = parameters::of(request, allowed)?;
        match route {
            Route::Info => Ok(manager::api_info()),
            Route::Login => Ok(state.login(&self.settings, &parameters)),
            Route::OldLogin => Ok(login::deprecated(state.login(&self.settings, &parameters))),
            Route::RunAs => {
                Err(Problem::known(StatusCode::FORBIDDEN, "Permission Denied", &reply::NO_RUN_AS))
            }
            Route::Logout => Ok(state.logout(&self.settings)),
            Route::Me => Ok(account::me(&self.settings, &state.permissions)),
            Route::MyPolicies => Ok(account::policies(&state.permissions)),
            Route::Agents => agents::list(&state, &parameters),
            Route::AgentsSummary => agents::summary(&state),
            Route::ActiveResponse => {
                active_response::run(&self.settings, &self.indexer, &mut state, request, &parameters)
            }
            Route::ManagerStatus => manager::status(&state),
            Route::ManagerInfo => manager::info(&state),
        }
    }
}

impl Endpoint for Wazuh {
    fn answer(&self, request: &Request) -> Answer {
        let answer = self.handle(request).unwrap_or_else(Problem::into_answer);
        if request.query.contains("pretty=true") { reply::prettify(answer) } else { answer }
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        let over =
            |size: u64| format!("Maximum content size limit ({BODY_LIMIT}) exceeded ({size} bytes read)");
        match refusal {
            Refusal::TooLarge { read } => {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Content size exceeded.", over(read))
            }
            Refusal::ExpectationFailed { announced } => {
                Problem::new(StatusCode::EXPECTATION_FAILED, "Expectation failed", over(announced))
            }
            Refusal::TokenExpired => Problem::unauthorized("Invalid token"),
            Refusal::TimedOut => Problem::timeout(),
        }
        .into_answer()
    }
}

fn find(request: &Request) -> Result<(Route, &'static [&'static str]), Problem> {
    let trimmed = request.path.trim_end_matches('/');
    let path = if trimmed.is_empty() { "/" } else { trimmed };
    let mut known = ROUTES.iter().filter(|(_, at, _, _)| *at == path).peekable();
    if known.peek().is_none() {
        return Err(Problem::new(StatusCode::NOT_FOUND, "Not Found", "404: Not Found".into()));
    }
    known
        .find(|(method, _, _, _)| *method == request.method.as_str())
        .map(|(_, _, route, parameters)| (*route, *parameters))
        .ok_or_else(|| {
            let detail = "405: Method Not Allowed".into();
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", detail)
        })
}

#[cfg(test)]
mod tests;
