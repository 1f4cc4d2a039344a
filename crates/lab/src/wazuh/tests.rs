//! The Wazuh API as a client sees it.

use serde_json::{Value, json};

use crate::testing::{Seen, see, start, start_with};
use crate::{AgentStatus, Execd, Settings};

fn codes(body: &Value) -> Vec<(u64, Vec<&str>)> {
    let items = body["data"]["failed_items"].as_array().unwrap().iter();
    items
        .map(|item| {
            let ids = item["id"].as_array().unwrap().iter().map(|id| id.as_str().unwrap());
            (item["error"]["code"].as_u64().unwrap(), ids.collect())
        })
        .collect()
}

fn ids(body: &Value) -> Vec<&str> {
    let items = body["data"]["affected_items"].as_array().unwrap().iter();
    items.map(|item| item.as_str().or_else(|| item["id"].as_str()).unwrap()).collect()
}

#[tokio::test]
async fn a_token_looks_like_wazuhs() {
    let client = start().await;
    let token = client.login().await;
    assert!((370..430).contains(&token.len()), "{}", token.len());
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!((parts.len(), parts[0]), (3, "eyJhbGciOiJFUzUxMiIsInR5cCI6IkpXVCJ9"));
    let response = client.login_request().send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    let settings = Settings::default();
    let old = client
        .wazuh("GET", "/security/user/authenticate")
        .basic_auth(&settings.wazuh_user, Some(&settings.wazuh_password));
    let response = old.send().await.unwrap();
    assert_eq!(response.headers()["deprecated"], "true");
    let text = response.text().await.unwrap();
    assert!(text.starts_with(r#"{"data": {"token": "ey"#) && text.ends_with(r#""}, "error": 0}"#), "{text}");
}

#[tokio::test]
async fn unauthorized_bodies_are_exact() {
    let client = start().await;
    for (request, expected) in [
        (
            client.wazuh("POST", "/security/user/authenticate").basic_auth("portcullis", Some("no")),
            r#"{"title": "Unauthorized", "detail": "Invalid credentials"}"#,
        ),
        (
            client.wazuh("POST", "/security/user/authenticate"),
            r#"{"title": "Unauthorized", "detail": "Invalid credentials"}"#,
        ),
        (
            client.wazuh("GET", "/agents"),
            r#"{"title": "Unauthorized", "detail": "No authorization token provided"}"#,
        ),
        (
            client.wazuh("GET", "/agents").basic_auth("portcullis", Some("no")),
            r#"{"title": "Unauthorized", "detail": "No authorization token provided"}"#,
        ),
        (
            client.wazuh("GET", "/agents").bearer_auth("rubbish"),
            r#"{"title": "Unauthorized", "detail": "Invalid token"}"#,
        ),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["content-type"], "application/problem+json; charset=utf-8");
        assert_eq!(response.text().await.unwrap(), expected);
    }
    let (_, body) = client.call("GET", "/nothing").await;
    assert_eq!(body, json!({ "title": "Not Found", "detail": "404: Not Found" }));
    assert_eq!(client.call("POST", "/agents").await.0, 405);
}

#[tokio::test]
async fn tokens_die_of_age_logout_and_change() {
    let client = start_with(Settings { token_lifetime_s: 0, ..Settings::default() }).await;
    assert_eq!(client.call("GET", "/").await.0, 401);

    let client = start().await;
    let check = async |token: &str| see(client.wazuh("GET", "/").bearer_auth(token)).await.0;
    let token = client.login().await;
    assert_eq!(check(&token).await, 200);
    let (_, body) = see(client.wazuh("DELETE", "/security/user/authenticate").bearer_auth(&token)).await;
    assert_eq!(body, json!({ "message": "User portcullis was successfully logged out", "error": 0 }));
    assert_eq!(check(&token).await, 401);
    let token = client.login().await;
    client.lab.expire_tokens();
    assert_eq!(check(&token).await, 401);
    let token = client.login().await;
    client.lab.set_permissions(client.lab.permissions());
    assert_eq!(check(&token).await, 401);
    client.lab.set_password("Another-1");
    assert_eq!(see(client.login_request()).await.0, 401);
}

#[tokio::test]
async fn failed_logins_block_the_address() {
    let client = start_with(Settings { max_login_attempts: 2, ..Settings::default() }).await;
    let token = client.login().await;
    for _ in 0..2 {
        assert_eq!(see(client.wazuh("POST", "/security/user/authenticate")).await.0, 401);
    }
    let (status, body) = see(client.login_request()).await;
    assert_eq!((status, &body["error"]), (403, &json!(6000)));
    assert_eq!(see(client.wazuh("GET", "/").bearer_auth(token)).await.0, 200);
}

#[tokio::test]
async fn requests_are_limited_per_minute() {
    let client = start_with(Settings { max_requests_per_minute: 1, ..Settings::default() }).await;
    client.login().await;
    let (status, body) = see(client.login_request()).await;
    assert_eq!((status, &body["error"], &body["title"]), (429, &json!(6001), &json!("Too Many Requests")));
}

#[tokio::test]
async fn daemons_that_are_down_are_told_also_at_login() {
    let client = start().await;
    client.lab.set_daemons_down(true);
    let (status, body) = see(client.login_request()).await;
    assert_eq!((status, &body["error"]), (500, &json!(1017)));
    client.lab.set_daemons_down(false);
    let (_, body) = client.call("GET", "/manager/status").await;
    assert_eq!(body["data"]["affected_items"][0]["wazuh-db"], "running");
    let (_, body) = client.call("GET", "/manager/info").await;
    assert_eq!(body["data"]["affected_items"][0]["version"], "v4.14.7");
}

#[tokio::test]
async fn a_user_can_ask_who_it_is() {
    let client = start().await;
    let (_, body) = client.call("GET", "/security/users/me").await;
    let user = &body["data"]["affected_items"][0];
    assert_eq!(
        (&user["username"], &user["roles"][0]["name"]),
        (&json!("portcullis"), &json!("administrator"))
    );
    let (_, body) = client.call("GET", "/security/users/me/policies").await;
    assert_eq!(body["data"]["active-response:command"], json!({ "agent:id:*": "allow" }));
    assert_eq!((&body["data"]["rbac_mode"], &body["error"]), (&json!("white"), &json!(0)));
}

#[tokio::test]
async fn agents_are_listed_filtered_and_selected() {
    let client = start().await;
    let (_, body) = client.call("GET", "/agents").await;
    assert_eq!(ids(&body), ["000", "001", "002", "003", "004", "005"]);
    assert_eq!(body["message"], "All selected agents information was returned");
    let items = &body["data"]["affected_items"];
    assert_eq!(items[0].get("group"), None);
    for absent in ["version", "os", "group", "lastKeepAlive"] {
        assert_eq!(items[5].get(absent), None, "{absent}");
    }
    assert_eq!(items[3]["os"]["platform"], "windows");

    let (_, body) = client.call("GET", "/agents?agents_list=001,099&select=status,os.platform").await;
    assert_eq!(
        body["data"]["affected_items"],
        json!([{ "id": "001", "status": "active", "os": { "platform": "ubuntu" } }])
    );
    assert_eq!((codes(&body), &body["error"]), (vec![(1701, vec!["099"])], &json!(2)));

    for (query, expected) in [
        ("status=active&limit=2&offset=1", vec!["001", "002"]),
        ("group=web", vec!["001"]),
        ("name=dc-01", vec!["003"]),
        ("search=laptop", vec!["004"]),
        ("q=(status=disconnected,status=never_connected);id!=005", vec!["004"]),
        ("older_than=1h&q=id!=000", vec!["004", "005"]),
        ("sort=-name&status=active", vec!["001", "000", "003", "002"]),
    ] {
        let (status, body) = client.call("GET", &format!("/agents?{query}")).await;
        assert_eq!((status, ids(&body)), (200, expected), "{query}");
    }
    let (_, body) = client.call("GET", "/agents?status=active&limit=1").await;
    assert_eq!(body["data"]["total_affected_items"], 4);
    let (_, body) = client.call("GET", "/agents/summary/status").await;
    assert_eq!(body["data"]["connection"]["active"], 3);
}

#[tokio::test]
async fn wrong_parameters_are_refused_in_wazuhs_words() {
    let client = start().await;
    for (path, expected) in [
        ("/agents?bogus=1", "Extra query parameter(s) bogus not in spec"),
        (
            "/agents?agents_list=1",
            "'1' is too short. Failed validating 'minLength' in schema['items']: {'description': 'Agent ID', 'format': \
             'numbers', 'minLength': 3, 'type': 'string'}. On instance[0]: '1'",
        ),
        (
            "/agents?limit=0",
            "0 is less than the minimum of 1. Failed validating 'minimum' in schema: {'default': 500, 'format': \
             'int32', 'maximum': 100000, 'minimum': 1, 'type': 'integer'}. On instance: 0",
        ),
        ("/agents?select=bogus", "Not a valid select field: bogus"),
        ("/agents?q=status", "Query does not match expected format"),
    ] {
        let (status, body) = client.call("GET", path).await;
        assert_eq!((status, &body["title"], &body["detail"]), (400, &json!("Bad Request"), &json!(expected)));
    }
    assert_eq!(client.call("GET", "/agents?agents_list=").await.0, 400);
    assert_eq!(client.call("GET", "/agents?agents_list=abc").await.0, 400);
}

#[tokio::test]
async fn an_active_response_reaches_active_agents_only() {
    let client = start().await;
    let body = json!({
        "command": "firewall-drop180", "arguments": ["-"], "alert": { "data": { "srcip": "203.0.113.9" } },
    });
    let (status, answer) = client.respond("?agents_list=001,002,004,005,099", &body).await;
    assert_eq!((status, ids(&answer), &answer["error"]), (200, vec!["001", "002"], &json!(2)));
    assert_eq!(codes(&answer), [(1701, vec!["099"]), (1707, vec!["004", "005"])]);
    assert_eq!(answer["message"], "AR command was not sent to some agents");
    let received = client.lab.active_responses();
    let agents: Vec<_> = received.iter().map(|response| response.agent.as_str()).collect();
    assert_eq!(agents, ["001", "002"]);
    assert_eq!((&received[0].arguments, &received[0].alert), (&vec!["-".to_owned()], &body["alert"]));
}

#[tokio::test]
async fn an_active_response_without_a_list_reaches_all() {
    let client = start().await;
    let (_, body) = client.respond("", &json!({ "command": "!firewall-drop" })).await;
    assert_eq!(ids(&body), ["001", "002", "003"]);
    assert_eq!(codes(&body), [(1707, vec!["004", "005"])]);
}

#[tokio::test]
async fn an_active_response_to_the_manager_succeeds_and_does_nothing() {
    let client = start().await;
    let (status, body) = client.respond("?agents_list=000", &json!({ "command": "!firewall-drop" })).await;
    let expected = json!({
        "data": { "affected_items": [], "total_affected_items": 0, "total_failed_items": 0, "failed_items": [] },
        "message": "AR command was not sent to any agent",
        "error": 0,
    });
    assert_eq!((status, body), (200, expected));
    assert!(client.lab.active_responses().is_empty());
}

#[tokio::test]
async fn an_active_response_fails_per_agent() {
    let client = start().await;
    let respond = async |command: &str| {
        let (status, body) = client.respond("?agents_list=001", &json!({ "command": command })).await;
        assert_eq!((status, &body["error"]), (200, &json!(1)));
        codes(&body)[0].0
    };
    assert_eq!(respond("firewall-drop").await, 1652);
    client.lab.set_agent_execd("001", Execd::Disabled).unwrap();
    assert_eq!(respond("firewall-drop180").await, 1750);
    client.lab.set_agent_execd("001", Execd::Silent).unwrap();
    assert_eq!(respond("!firewall-drop").await, 1117);
    client.lab.set_agent_status("001", AgentStatus::Pending).unwrap();
    assert_eq!(respond("firewall-drop").await, 1707);
    assert!(client.lab.set_agent_status("099", AgentStatus::Active).is_err());
    assert!(client.lab.active_responses().is_empty());
}

#[tokio::test]
async fn an_oversized_alert_is_sent_and_never_arrives() {
    let client = start().await;
    let body = |size| json!({ "command": "!firewall-drop", "alert": { "full_log": "x".repeat(size) } });
    let (_, answer) = client.respond("?agents_list=001", &body(70_000)).await;
    assert_eq!(ids(&answer), ["001"]);
    let (_, answer) = client.respond("?agents_list=001", &body(220_000)).await;
    assert_eq!(codes(&answer), [(1014, vec!["001"])]);
    assert!(client.lab.active_responses().is_empty());
}

#[tokio::test]
async fn a_wrong_active_response_is_refused_in_wazuhs_words() {
    let client = start().await;
    for (body, expected) in [
        (json!({}), "'command' is a required property"),
        (json!({ "command": "!x", "custom": true }), "Invalid field found {'custom'}"),
        (json!({ "command": "a b" }), "'a b' is not a 'active_response_command' - 'command'"),
        (json!({ "command": "!../../x" }), "'!../../x' is not a 'active_response_command' - 'command'"),
        (json!({ "command": "!x", "alert": "" }), "'' is not of type 'object' - 'alert'"),
        (json!({ "command": "!x", "arguments": [1] }), "1 is not of type 'string' - 'arguments.0'"),
    ] {
        let (status, answer) = client.respond("?agents_list=001", &body).await;
        assert_eq!((status, answer), (400, json!({ "title": "Bad Request", "detail": expected })));
    }
    let token = client.login().await;
    let put = || client.wazuh("PUT", "/active-response?agents_list=001").bearer_auth(&token);
    let (_, body) = see(put().header("content-type", "application/json").body(r#"{"command":}"#)).await;
    assert_eq!(body["detail"], "Expecting value: line 1 column 12 (char 11)");
    let (_, body) = see(put().header("content-type", "application/json")).await;
    assert_eq!(body["detail"], "Request body must not be empty");
    let (status, body) = see(put().header("content-type", "text/plain").body("x")).await;
    let expected = "Invalid Content-type (text/plain), expected ['application/json']";
    assert_eq!((status, body["detail"].as_str().unwrap()), (415, expected));
    let (status, body) = see(put().body(vec![b' '; 10_500_000])).await;
    assert_eq!((status, &body["title"]), (413, &json!("Content size exceeded.")));
}

#[tokio::test]
async fn permissions_deny_the_request_an_agent_or_nothing_at_all() {
    let client = start().await;
    let command = json!({ "command": "!firewall-drop" });
    let allow = |resources: &[&str]| {
        let mut permissions = client.lab.permissions();
        let resources = resources.iter().map(|resource| (*resource).to_owned()).collect();
        permissions.insert("active-response:command".into(), resources);
        client.lab.set_permissions(permissions);
    };
    allow(&["agent:group:web"]);
    let (status, body): Seen = client.respond("?agents_list=001,002", &command).await;
    assert_eq!((status, ids(&body), codes(&body)), (200, vec!["001"], vec![(4000, vec!["002"])]));
    let (status, body) = client.respond("?agents_list=002", &command).await;
    assert_eq!((status, &body["error"]), (403, &json!(4000)));
    assert_eq!(body["detail"], "Permission denied: Resource type: agent:id");
    let (_, body) = client.respond("", &command).await;
    assert_eq!((ids(&body), &body["error"]), (vec!["001"], &json!(0)));
    client.lab.set_permissions(Default::default());
    let (status, body) = client.call("GET", "/agents").await;
    assert_eq!((status, ids(&body).len(), &body["error"]), (200, 0, &json!(0)));
    assert_eq!(client.call("GET", "/manager/info").await.0, 403);
}
