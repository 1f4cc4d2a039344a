//! The indexer as a client sees it, and what active responses leave in it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::faults::Kind;
use crate::testing::{Client, Seen, see, start};
use crate::{Execd, Fault, Settings, System};

const ALERTS: &str = "/wazuh-alerts-4.x-*/_search";

async fn search(client: &Client, body: Value) -> Seen {
    search_in(client, ALERTS, body).await
}

async fn search_in(client: &Client, path: &str, body: Value) -> Seen {
    let Settings { indexer_user, indexer_password, .. } = Settings::default();
    see(client.indexer("POST", path).basic_auth(indexer_user, Some(indexer_password)).json(&body)).await
}

/// The keys that the agents' alerts carry, the oldest first.
async fn evidence(client: &Client) -> Vec<Value> {
    let query = json!({ "term": { "rule.groups": "active_response" } });
    let (status, body) = search(client, json!({ "query": query, "sort": ["timestamp", "id"] })).await;
    assert_eq!(status, 200, "{body}");
    let hits = body["hits"]["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["_source"]["data"]["parameters"]["alert"]["portcullis"].clone()).collect()
}

fn isolation(key: &str) -> Value {
    json!({ "command": "!portcullis-isolate", "arguments": [], "alert": { "portcullis": key, "data": { "n": 7 } } })
}

#[tokio::test]
async fn what_an_agent_has_done_is_found_by_its_key() {
    let client = start().await;
    client.lab.set_evidence_delay(Duration::ZERO);
    client.respond("?agents_list=001", &isolation("0011")).await;
    client.respond("?agents_list=002", &json!({ "command": "firewall-drop180", "alert": { "portcullis": "0022", "data": { "srcip": "203.0.113.9" } } })).await;
    let find = |key: &'static str| {
        search(
            &client,
            json!({ "query": { "bool": { "filter": [
            { "term": { "data.parameters.alert.portcullis": key } },
            { "term": { "rule.groups": "active_response" } },
            { "wildcard": { "location": "*active-responses.log" } },
            { "range": { "timestamp": { "gte": "now-2m" } } },
        ] } } }),
        )
    };
    let (status, body) = find("0011").await;
    assert_eq!((status, &body["hits"]["total"]["value"]), (200, &json!(1)), "{body}");
    let alert = &body["hits"]["hits"][0]["_source"];
    assert_eq!((&alert["agent"]["id"], &alert["rule"]["id"]), (&json!("001"), &json!("657")));
    assert_eq!(alert["data"]["parameters"]["program"], "active-response/bin/portcullis-isolate");
    assert_eq!(alert["data"]["parameters"]["alert"]["data"]["n"], "7", "the decoder makes text of numbers");
    let (_, body) = find("0022").await;
    let alert = &body["hits"]["hits"][0]["_source"];
    assert_eq!((&alert["rule"]["id"], &alert["data"]["srcip"]), (&json!("651"), &json!("203.0.113.9")));
    assert_eq!(find("00").await.1["hits"]["total"]["value"], 0, "a part of a keyword is not the keyword");
    let keys: Vec<_> =
        client.lab.active_responses().iter().map(|sent| sent.key().unwrap().to_owned()).collect();
    assert_eq!(keys, ["0011", "0022"]);
}

#[tokio::test]
async fn evidence_comes_late_or_never() {
    let client = start().await;
    client.lab.set_evidence_delay(Duration::from_secs(3600));
    client.respond("?agents_list=001", &isolation("late")).await;
    assert_eq!(evidence(&client).await, [] as [Value; 0]);

    client.lab.set_agent_execd("002", Execd::Ignoring).unwrap();
    client.lab.set_evidence_delay(Duration::ZERO);
    let (status, body) = client.respond("?agents_list=001,002", &isolation("soon")).await;
    assert_eq!((status, &body["error"], &body["data"]["total_affected_items"]), (200, &json!(0), &json!(2)));
    assert_eq!(evidence(&client).await, ["soon"]);
    let done: Vec<_> =
        client.lab.active_responses().iter().map(|sent| (sent.agent.clone(), sent.is_done)).collect();
    assert_eq!(done, [("001".to_owned(), true), ("001".to_owned(), true), ("002".to_owned(), false)]);
}

#[tokio::test]
async fn what_was_done_though_the_answer_was_lost_leaves_evidence() {
    let client = start().await;
    client.lab.set_evidence_delay(Duration::ZERO);
    let token = client.login().await;
    client.lab.order(Fault::once(System::Wazuh, "PUT", "/active-response", Kind::DropAfter));
    let request = client.wazuh("PUT", "/active-response?agents_list=001").bearer_auth(&token);
    assert!(request.json(&isolation("lost")).send().await.is_err());
    assert_eq!(evidence(&client).await, ["lost"]);
    client.lab.order(Fault::once(System::Wazuh, "PUT", "/active-response", Kind::DropBefore));
    let request = client.wazuh("PUT", "/active-response?agents_list=001").bearer_auth(&token);
    assert!(request.json(&isolation("never")).send().await.is_err());
    assert_eq!(evidence(&client).await, ["lost"]);
}

#[tokio::test]
async fn alerts_come_page_by_page_in_an_order() {
    let client = start().await;
    for (id, level, second) in [("b", 10, 2), ("a", 10, 2), ("c", 3, 1), ("d", 7, 3)] {
        let timestamp = format!("2026-11-22T17:00:0{second}.000+0000");
        client.lab.add_alert(json!({ "id": id, "timestamp": timestamp, "rule": { "level": level } }));
    }
    let page = |after: Option<Value>| {
        let mut body = json!({
            "size": 2,
            "sort": [{ "timestamp": { "order": "asc", "unmapped_type": "date" } }, { "id": "asc" }],
            "query": { "bool": { "filter": [
                { "range": { "timestamp": { "gte": "2026-11-22T17:00:00Z", "lt": "2026-11-22T17:00:04Z" } } },
                { "range": { "rule.level": { "gte": 7 } } },
            ] } },
            "_source": ["id", "rule.*"],
        });
        if let Some(after) = after {
            body["search_after"] = after;
        }
        search(&client, body)
    };
    let (_, first) = page(None).await;
    let hits = &first["hits"]["hits"];
    assert_eq!(
        (&hits[0]["_source"], &hits[1]["_source"]["id"]),
        (&json!({ "id": "a", "rule": { "level": 10 } }), &json!("b"))
    );
    assert_eq!(
        (&first["hits"]["total"]["value"], &hits[0]["_index"]),
        (&json!(3), &json!("wazuh-alerts-4.x-2026.11.22"))
    );
    assert_eq!(hits[1]["sort"], json!([1_795_366_802_000_u64, "b"]));
    let (_, second) = page(Some(hits[1]["sort"].clone())).await;
    let hits = &second["hits"]["hits"];
    assert_eq!((hits.as_array().unwrap().len(), &hits[0]["_source"]["id"]), (1, &json!("d")));
    let (_, third) = page(Some(hits[0]["sort"].clone())).await;
    assert_eq!(third["hits"]["hits"], json!([]));
}

#[tokio::test]
async fn what_opensearch_refuses_is_refused_in_its_words() {
    let client = start().await;
    for request in
        [client.indexer("POST", ALERTS), client.indexer("POST", ALERTS).basic_auth("portcullis", Some("no"))]
    {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["www-authenticate"], "Basic realm=\"OpenSearch Security\"");
        assert_eq!(response.text().await.unwrap(), "Unauthorized");
    }
    let reason = async |body: Value| {
        let (status, body) = search(&client, body).await;
        (status, body["error"]["root_cause"][0]["reason"].as_str().unwrap().to_owned())
    };
    let term = json!({ "query": { "termm": { "a": "b" } } });
    assert_eq!(reason(term).await, (400, "unknown query [termm]".to_owned()));
    let range = json!({ "query": { "range": { "timestamp": { "gte": "yesterday" } } } });
    let expected = "failed to parse date field [yesterday] with format [date_optional_time||epoch_millis]";
    assert_eq!(reason(range).await, (400, expected.to_owned()));
    assert!(reason(json!({ "size": 10_001 })).await.1.starts_with("Result window is too large"));
    assert!(
        reason(json!({ "sort": ["timestamp"], "search_after": [] }))
            .await
            .1
            .starts_with("search_after has 0")
    );
    assert_eq!(reason(json!({ "aggs": {} })).await, (400, "Unknown key for a value in [aggs].".to_owned()));
    let (status, body) = search_in(&client, "/wazuh-alerts/_search", json!({})).await;
    assert_eq!(
        (status, &body["error"]["type"], &body["status"]),
        (404, &json!("index_not_found_exception"), &json!(404))
    );
    assert_eq!(search_in(&client, "/wazuh-nothing-*/_search", json!({})).await.1["hits"]["hits"], json!([]));
    let (status, body) = search_in(&client, "/wazuh-alerts-4.x-*/_search?bogus=1", json!({})).await;
    assert_eq!(status, 400);
    assert!(body["error"]["reason"].as_str().unwrap().ends_with("contains unrecognized parameter: [bogus]"));
}

#[tokio::test]
async fn the_control_api_adds_alerts_and_sets_the_delay() {
    let client = start().await;
    let alert = json!({ "id": "1.1", "rule": { "level": 12 } });
    let (status, body) = see(client.control("POST", "/alerts").json(&alert)).await;
    assert_eq!(status, 201);
    let (_, found) = search(&client, json!({ "query": { "range": { "rule.level": { "gt": 11 } } } })).await;
    assert_eq!(found["hits"]["hits"][0]["_id"], body["_id"]);
    assert!(found["hits"]["hits"][0]["_source"]["timestamp"].as_str().unwrap().ends_with("+0000"));
    assert_eq!(see(client.control("POST", "/evidence").json(&json!({ "delay_ms": 9 }))).await.0, 204);
    let (_, state) = see(client.control("GET", "/state")).await;
    assert_eq!(state["wazuh_indexer"]["evidence_delay_ms"], 9);
    assert_eq!(
        see(client.control("POST", "/agents/001/execd").json(&json!({ "execd": "ignoring" }))).await.0,
        204
    );
}
