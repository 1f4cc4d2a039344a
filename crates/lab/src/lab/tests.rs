//! The servers as such: faults, recording, control, connections; VirusTotal, Slack and MISP.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::faults::Kind;
use crate::testing::{see, start, start_with};

fn create_case() -> Fault {
    Fault::once(System::TheHive, "POST", "/api/v1/case", Kind::DropAfter)
}

#[tokio::test]
async fn a_dropped_request_gets_no_answer_at_all() {
    let client = start().await;
    for (kind, done) in [(Kind::DropBefore, 0), (Kind::DropAfter, 1)] {
        client.lab.order(Fault { kind, ..create_case() });
        let request = client.thehive("POST", "/case").json(&json!({ "title": "t", "description": "d" }));
        let error = request.send().await.unwrap_err();
        assert_eq!(error.status(), None);
        assert!(error.is_request() && !error.is_timeout() && !error.is_connect(), "{error:?}");
        assert_eq!(client.lab.cases().len(), done);
        assert_eq!(client.lab.requests().last().unwrap().status, None);
    }
}

#[tokio::test]
async fn a_dropped_connection_is_closed_without_a_byte() {
    let client = start().await;
    client.lab.order(create_case());
    let address = client.lab.thehive_url().replace("http://", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST /api/v1/case HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    let mut read = Vec::new();
    assert_eq!(stream.read_to_end(&mut read).await.unwrap(), 0);
}

#[tokio::test]
async fn a_dropped_active_response_over_tls_is_carried_out_all_the_same() {
    let client = start().await;
    let token = client.login().await;
    client.lab.order(Fault::once(System::Wazuh, "PUT", "/active-response", Kind::DropAfter));
    let request = client.wazuh("PUT", "/active-response?agents_list=001").bearer_auth(token);
    let error = request.json(&json!({ "command": "!firewall-drop" })).send().await.unwrap_err();
    assert_eq!(error.status(), None);
    assert_eq!(client.lab.active_responses().len(), 1);
}

#[tokio::test]
async fn an_ordered_status_has_no_effect_and_is_used_up() {
    let client = start().await;
    let kind = Kind::Status { status: 503, body: json!("down") };
    client.lab.order(Fault { kind, times: 2, ..create_case() });
    let body = json!({ "title": "t", "description": "d" });
    assert_eq!(client.hive("POST", "/case", body.clone()).await, (503, json!("down")));
    assert_eq!(client.hive("POST", "/case", body.clone()).await, (503, json!("down")));
    assert!(client.lab.cases().is_empty());
    assert_eq!(client.hive("POST", "/case", body).await.0, 201);
}

#[tokio::test]
async fn a_late_answer_does_not_delay_the_effect() {
    let client = start().await;
    client.lab.order(Fault { kind: Kind::Delay { ms: 3_600_000 }, ..create_case() });
    let request = client.thehive("POST", "/case").json(&json!({ "title": "t", "description": "d" }));
    let late = tokio::spawn(request.send());
    while client.lab.cases().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!late.is_finished());
    assert_eq!(client.lab.requests()[0].status, None);
    late.abort();
    assert!(client.lab.faults().is_empty());
}

#[tokio::test]
async fn an_api_timeout_comes_after_the_effect() {
    let client = start().await;
    client.lab.order(Fault::once(System::Wazuh, "PUT", "/active-response", Kind::ApiTimeout));
    let (status, body) = client.respond("?agents_list=001", &json!({ "command": "firewall-drop180" })).await;
    assert_eq!((status, &body["error"]), (500, &json!(3021)));
    assert_eq!(body["dapi_errors"]["node01"]["logfile"], "WAZUH_HOME/logs/api.json");
    assert_eq!(client.lab.active_responses()[0].agent, "001");
}

#[tokio::test]
async fn an_expired_token_by_order_has_no_effect_and_leaves_the_token_good() {
    let client = start().await;
    let token = client.login().await;
    client.lab.order(Fault::once(System::Wazuh, "GET", "/agents", Kind::TokenExpired));
    let agents = || client.wazuh("GET", "/agents?limit=1").bearer_auth(&token);
    assert_eq!(see(agents()).await, (401, json!({ "title": "Unauthorized", "detail": "Invalid token" })));
    assert_eq!(see(agents()).await.0, 200);
}

#[tokio::test]
async fn requests_are_recorded_without_secrets() {
    let client = start().await;
    client.respond("?agents_list=001", &json!({ "command": "!firewall-drop" })).await;
    let requests = client.lab.requests();
    let [login, response] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((login.seq, login.path.as_str(), login.status), (1, "/security/user/authenticate", Some(200)));
    assert_eq!(login.body, None);
    assert_eq!((response.seq, response.method.as_str(), response.status), (2, "PUT", Some(200)));
    assert_eq!(response.query, "agents_list=001");
    assert_eq!(response.body, Some(json!({ "command": "!firewall-drop" })));
    let token = client.login().await;
    see(client.wazuh("POST", "/security/user/authenticate").body("secret").basic_auth("x", Some("secret")))
        .await;
    let all = serde_json::to_string(&client.lab.requests()).unwrap();
    assert!(!all.contains(&token) && !all.contains("secret"));
}

#[tokio::test]
async fn the_control_api_does_what_the_lab_does() {
    let client = start().await;
    let fault =
        json!({ "system": "wazuh", "path": "/*", "kind": { "status": { "status": 500, "body": null } } });
    assert_eq!(see(client.control("POST", "/faults").json(&fault)).await.0, 204);
    let (_, state) = see(client.control("GET", "/state")).await;
    assert_eq!(state["faults"][0]["times"], 1);
    assert_eq!(see(client.login_request()).await, (500, json!(null)));
    let wrong = json!({ "system": "wazuh", "path": "/", "kind": "explode" });
    assert_eq!(see(client.control("POST", "/faults").json(&wrong)).await.0, 400);
    assert_eq!(see(client.control("POST", "/faults").json(&fault)).await.0, 204);
    assert_eq!(see(client.control("DELETE", "/faults")).await.0, 204);

    let token = client.login().await;
    let away = json!({ "status": "disconnected" });
    assert_eq!(see(client.control("POST", "/agents/001/status").json(&away)).await.0, 204);
    assert_eq!(see(client.control("POST", "/agents/099/status").json(&away)).await.0, 404);
    assert_eq!(client.lab.agents()[1].status, AgentStatus::Disconnected);
    assert_eq!(see(client.control("POST", "/tokens/expire")).await.0, 204);
    assert_eq!(see(client.wazuh("GET", "/").bearer_auth(token)).await.0, 401);
    let (_, requests) = see(client.control("GET", "/requests")).await;
    assert_eq!(requests["requests"][0]["status"], 500);
    let (status, help) = see(client.control("GET", "/")).await;
    assert!(status == 200 && help.as_str().unwrap().contains("/tokens/expire"));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let client = start_with(Settings { keep_alive_ms: 200, ..Settings::default() }).await;
    let address = client.lab.thehive_url().replace("http://", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /api/v1/status/public HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.unwrap();
    let text = String::from_utf8(read).unwrap();
    assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
    assert!(text.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn the_certificate_is_good_for_localhost_only() {
    let client = start().await;
    assert_eq!(see(client.login_request()).await.0, 200);
    assert!(client.lab.wazuh_url().starts_with("https://127.0.0.1:"));
    let error = client.plain(&client.lab.wazuh_url()).send().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    let fingerprint = client.lab.wazuh_fingerprint();
    assert!(
        fingerprint.len() == 64 && fingerprint.chars().all(|c| c.is_ascii_hexdigit() && !c.is_uppercase())
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let client = start().await;
    let port = client.lab.thehive.port();
    let taken = Lab::start(Settings { thehive_port: port, ..Settings::default() }).await;
    assert_eq!(taken.err().unwrap().to_string(), format!("listen on 127.0.0.1:{port}"));
}

#[tokio::test]
async fn a_stopped_lab_closes_its_connections() {
    let client = start().await;
    let mut stream = TcpStream::connect(client.lab.thehive).await.unwrap();
    stream.write_all(b"GET /api/v1/status/public HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 12]).await.unwrap();
    client.lab.stop().await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn virustotal_knows_a_few_addresses_and_keeps_its_quota() {
    let client = start().await;
    let key = Settings::default().virustotal_key;
    let look_up = |ip| see(client.virustotal(ip).header("x-apikey", &key));
    let (status, body) = look_up("203.0.113.9").await;
    assert_eq!((status, &body["data"]["attributes"]["last_analysis_stats"]["malicious"]), (200, &json!(12)));
    let (_, body) = look_up("198.51.100.7").await;
    assert_eq!(body["data"]["attributes"]["last_analysis_stats"]["malicious"], 0);
    let (status, body) = look_up("192.0.2.1").await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("NotFoundError")));
    assert_eq!(look_up("nonsense").await.0, 400);
    let (status, body) = see(client.virustotal("203.0.113.9")).await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("AuthenticationRequiredError")));
    let (status, body) = see(client.virustotal("203.0.113.9").header("x-apikey", "wrong")).await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("WrongCredentialsError")));
    client.lab.set_virustotal_quota(Some(1));
    assert_eq!(look_up("203.0.113.9").await.0, 200);
    let (status, body) = look_up("203.0.113.9").await;
    assert_eq!((status, &body["error"]["code"]), (429, &json!("QuotaExceededError")));
}

#[tokio::test]
async fn virustotal_knows_files_domains_and_urls_of_the_examples() {
    let client = start().await;
    let found = async |path: &str| {
        let (status, body) = client.report(path).await;
        (status, body["data"]["attributes"]["last_analysis_stats"]["malicious"].clone())
    };
    assert_eq!(found("files/09f7c8ab144398156675aebf24e687db").await, (200, json!(52)));
    assert_eq!(found("files/B507D50515D0315E15EA18088F4F77A2B9794890").await, (200, json!(52)));
    assert_eq!(found("files/00000000000000000000000000000000").await.0, 404);
    assert_eq!(found("domains/login.portal.example").await, (200, json!(11)));
    assert_eq!(found("domains/brand-new.example").await.0, 404);
    assert_eq!(found("domains/localhost").await.0, 400);
    // https://login.portal.example/verify
    assert_eq!(found("urls/aHR0cHM6Ly9sb2dpbi5wb3J0YWwuZXhhbXBsZS92ZXJpZnk").await, (200, json!(9)));
    // http://203.0.113.9/
    assert_eq!(found("urls/aHR0cDovLzIwMy4wLjExMy45Lw").await.0, 404);
    client.lab.set_virustotal_quota(Some(0));
    assert_eq!(found("domains/login.portal.example").await.0, 429);
}

#[tokio::test]
async fn slack_answers_200_and_says_in_its_words_what_came_of_it() {
    let client = start().await;
    let token = Settings::default().slack_token;
    let (status, body) = client.slack(&token, &json!({ "channel": "#soc", "text": "a &lt;b&gt;" })).await;
    assert_eq!((status, &body["ok"], &body["channel"]), (200, &json!(true), &json!("C0LAB000001")));
    assert_eq!(client.lab.messages()[0]["text"], "a &lt;b&gt;");
    for (token, message, error) in [
        ("xoxb-wrong", json!({ "channel": "soc", "text": "x" }), "invalid_auth"),
        (&token, json!({ "channel": "#sco", "text": "x" }), "channel_not_found"),
        (&token, json!({ "channel": "board", "text": "x" }), "not_in_channel"),
        (&token, json!({ "channel": "soc" }), "no_text"),
        (&token, json!({ "channel": "soc", "text": "x".repeat(40_001) }), "msg_too_long"),
    ] {
        assert_eq!(client.slack(token, &message).await, (200, json!({ "ok": false, "error": error })));
    }
    let limited = Kind::Status { status: 429, body: json!({ "ok": false, "error": "ratelimited" }) };
    client.lab.order(Fault::once(System::Slack, "POST", "/api/chat.postMessage", limited));
    assert_eq!(client.slack(&token, &json!({ "channel": "soc", "text": "x" })).await.0, 429);
    assert_eq!(client.lab.messages().len(), 1);
}

#[tokio::test]
async fn misp_finds_attributes_by_value_and_type_and_counts_sightings_of_those_it_knows() {
    let client = start().await;
    let key = Settings::default().misp_key;
    let search = async |body: serde_json::Value| {
        let (status, body) = client.misp(&key, "/attributes/restSearch", &body).await;
        let found = body["response"]["Attribute"].as_array().unwrap();
        (
            status,
            found.iter().map(|attribute| attribute["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
        )
    };
    let value = json!(["203.0.113.66", "login.portal.example", "nobody.example"]);
    assert_eq!(
        search(json!({ "value": value })).await,
        (200, vec!["domain".to_owned(), "ip-src".to_owned()])
    );
    assert_eq!(search(json!({ "value": value, "type": "domain" })).await, (200, vec!["domain".to_owned()]));
    assert_eq!(search(json!({ "value": "nobody.example" })).await, (200, vec![]));
    let (status, body) = client.misp("wrong", "/attributes/restSearch", &json!({ "value": "x" })).await;
    assert_eq!((status, &body["message"]), (403, &json!("Authentication failed.")));
    let sighting = json!({ "values": ["login.portal.example"], "source": "portcullis" });
    let (_, body) = client.misp(&key, "/sightings/add", &sighting).await;
    assert_eq!(body["Sighting"]["attribute_id"], "813");
    let (status, body) = client.misp(&key, "/sightings/add", &json!({ "values": ["nobody.example"] })).await;
    assert!(status == 200 && body["message"].as_str().unwrap().starts_with("Could not add"), "{body}");
    assert_eq!(client.lab.sightings(), [sighting]);
}
