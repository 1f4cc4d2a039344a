//! `/security/users/me`: who the token belongs to and what it may do.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::http::Answer;
use crate::settings::Settings;

use super::permissions::{Permissions, administrator};
use super::reply::{Failures, Messages, envelope, ok};

const ME: Messages = Messages {
    all: "Current user information was returned",
    some: "Current user information was returned",
    none: "No user information was returned",
};

const ALLOW: &str = "allow";

/// The number of the role and its name, as they stand in a token and in the description of the user.
pub(super) fn role(permissions: &Permissions) -> (u32, &'static str) {
    if *permissions == administrator() { (1, "administrator") } else { (100, "portcullis") }
}

pub(super) fn me(settings: &Settings, permissions: &Permissions) -> Answer {
    let (role_id, role_name) = role(permissions);
    let mut by_resources: BTreeMap<Vec<&String>, Vec<&String>> = BTreeMap::new();
    for (action, resources) in permissions {
        by_resources.entry(resources.iter().collect()).or_default().push(action);
    }
    let policies: Vec<_> = by_resources
        .into_iter()
        .enumerate()
        .map(|(index, (resources, actions))| {
            json!({
                "id": index + 1,
                "name": format!("{role_name}_{}", index + 1),
                "policy": { "actions": actions, "resources": resources, "effect": ALLOW },
            })
        })
        .collect();
    let user = json!({
        "id": 1,
        "username": settings.wazuh_user,
        "allow_run_as": false,
        "roles": [{ "id": role_id, "name": role_name, "policies": policies, "rules": [] }],
    });
    envelope(&[user], 1, Failures::default(), &ME)
}

pub(super) fn policies(permissions: &Permissions) -> Answer {
    #[derive(Serialize)]
    struct Policies {
        data: Map<String, Value>,
        message: &'static str,
        error: u8,
    }
    let mut data: Map<String, Value> = permissions
        .iter()
        .map(|(action, resources)| {
            let effects: BTreeMap<_, _> = resources.iter().map(|resource| (resource, ALLOW)).collect();
            (action.clone(), json!(effects))
        })
        .collect();
    data.insert("rbac_mode".into(), "white".into());
    ok(&Policies { data, message: "Current user processed policies information was returned", error: 0 })
}
