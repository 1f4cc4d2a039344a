//! TheHive as a client sees it.

use serde_json::{Value, json};

use crate::Settings;
use crate::testing::{Client, see, start};

async fn create_case(client: &Client) -> String {
    let body = json!({ "title": "Brute force", "description": "From 203.0.113.9", "tags": ["run:1"] });
    let (status, case) = client.hive("POST", "/case", body).await;
    assert_eq!(status, 201);
    case["_id"].as_str().unwrap().to_owned()
}

async fn create_task(client: &Client, case: &str, mandatory: bool) -> String {
    let body = json!({ "title": "Approve", "mandatory": mandatory });
    let (status, task) = client.hive("POST", &format!("/case/{case}/task"), body).await;
    assert_eq!((status, &task["status"], &task["group"]), (201, &json!("Waiting"), &json!("default")));
    format!("/task/{}", task["_id"].as_str().unwrap())
}

async fn get(client: &Client, path: &str) -> Value {
    let (status, body) = see(client.thehive("GET", path)).await;
    assert_eq!(status, 200, "{body}");
    body
}

#[tokio::test]
async fn a_case_has_every_required_key() {
    let client = start().await;
    let body = json!({ "title": "t", "description": "d", "severity": 3, "tlp": 4, "pap": 1 });
    let (_, case) = client.hive("POST", "/case", body).await;
    for key in [
        "_id",
        "_type",
        "_createdBy",
        "_createdAt",
        "number",
        "title",
        "description",
        "severity",
        "severityLabel",
        "startDate",
        "flag",
        "tlp",
        "tlpLabel",
        "pap",
        "papLabel",
        "status",
        "stage",
        "access",
        "extraData",
        "newDate",
        "timeToDetect",
    ] {
        assert!(case.get(key).is_some_and(|value| !value.is_null()), "{key}");
    }
    assert_eq!(case.get("summary"), None);
    assert_eq!(
        [&case["_id"], &case["severityLabel"], &case["tlpLabel"], &case["papLabel"], &case["stage"]],
        ["~4296", "HIGH", "RED", "GREEN", "New"]
    );
    assert_eq!(get(&client, "/case/1").await, case);
    assert_eq!(get(&client, "/case/~4296").await, case);
}

#[tokio::test]
async fn wrong_input_and_strangers_are_refused() {
    let client = start().await;
    let (status, body) = client.hive("POST", "/case", json!({ "description": "d" })).await;
    assert_eq!((status, &body["type"]), (400, &json!("AttributeCheckingError")));
    assert_eq!(
        (&body["errors"][0]["name"], &body["errors"][0]["type"]),
        (&json!("title"), &json!("MissingAttributeError"))
    );
    let twice = json!({ "title": "t", "description": "d", "tags": ["a", "a"] });
    let (status, body) = client.hive("POST", "/case", twice).await;
    assert_eq!((status, &body["errors"][0]["type"]), (400, &json!("InvalidFormatAttributeError")));
    let (status, body) = client.hive("PATCH", "/case/77", json!({ "flag": true })).await;
    assert_eq!((status, &body["type"]), (404, &json!("NotFoundError")));
    let (status, body) = client.hive("POST", "/nothing", json!({})).await;
    assert_eq!((status, &body["type"]), (404, &json!("NotFound")));
    let (status, body) = see(client.thehive("POST", "/case").body("{")).await;
    assert_eq!((status, &body["type"]), (400, &json!("BadRequest")));
    let (status, body) = see(client.thehive_as("wrong", "GET", "/case/1")).await;
    assert_eq!((status, &body["type"]), (401, &json!("AuthenticationError")));
    assert_eq!(get(&client, "/status/public").await["sso"], false);
    assert_eq!(get(&client, "/user/current").await["login"], "portcullis@lab.example");
}

#[tokio::test]
async fn a_case_is_changed_closed_and_reopened() {
    let client = start().await;
    let case = create_case(&client).await;
    let path = format!("/case/{case}");
    let task = create_task(&client, &case, false).await;
    let patch = async |body: Value| client.hive("PATCH", &path, body).await;
    let change = json!({ "addTags": ["b"], "removeTags": ["run:1"], "status": "InProgress", "summary": "s" });
    assert_eq!(patch(change).await, (204, Value::Null));
    let shown = get(&client, &path).await;
    assert_eq!((&shown["tags"], &shown["stage"]), (&json!(["b"]), &json!("InProgress")));
    assert_eq!(patch(json!({ "summary": null, "status": "TruePositive" })).await.0, 204);
    let shown = get(&client, &path).await;
    assert_eq!((&shown["stage"], shown.get("summary")), (&json!("Closed"), None));
    assert!(shown["closedDate"].is_u64() && shown["endDate"].is_u64());
    assert_eq!(get(&client, &task).await["status"], "Cancel");
    assert_eq!(patch(json!({ "status": "InProgress" })).await.0, 204);
    assert_eq!(get(&client, &path).await.get("closedDate"), None);
    assert_eq!(patch(json!({ "status": "Nonsense" })).await.0, 404);
}

#[tokio::test]
async fn a_mandatory_task_needs_a_log_and_keeps_the_case_open() {
    let client = start().await;
    let case = create_case(&client).await;
    let task = create_task(&client, &case, true).await;
    let close = || client.hive("PATCH", "/case/1", json!({ "status": "TruePositive" }));
    let complete = || client.hive("PATCH", &task, json!({ "status": "Completed" }));
    assert_eq!(close().await.0, 400);
    assert_eq!(complete().await.0, 400);
    let log = client.thehive_as(&Settings::default().analyst_key, "POST", &format!("{task}/log"));
    let (status, log) = see(log.json(&json!({ "message": "APPROVE", "includeInTimeline": 1 }))).await;
    assert_eq!((status, &log["owner"]), (201, &json!("analyst@lab.example")));
    let shown = get(&client, &task).await;
    assert_eq!((&shown["status"], &shown["assignee"]), (&json!("InProgress"), &json!("analyst@lab.example")));
    assert_eq!(complete().await.0, 204);
    assert!(get(&client, &task).await["endDate"].is_u64());
    assert_eq!(close().await.0, 204);
    let timeline = get(&client, "/case/1/timeline").await;
    let first = &timeline["events"][0];
    assert_eq!((&first["entity"], &first["details"]["message"]), (&json!("Log"), &json!("APPROVE")));
    assert_eq!(client.lab.cases()[0]["tasks"][0]["logs"][0]["message"], "APPROVE");
}

#[tokio::test]
async fn observables_come_in_bulk_and_only_once() {
    let client = start().await;
    create_case(&client).await;
    let add = |body| client.hive("POST", "/case/1/observable", body);
    let (status, body) =
        add(json!({ "dataType": "ip", "data": ["203.0.113.9", "203.0.113.66"], "ioc": true })).await;
    assert_eq!((status, body.as_array().unwrap().len()), (201, 2));
    assert_eq!((&body[0]["data"], &body[0]["ioc"]), (&json!("203.0.113.9"), &json!(true)));
    let (status, body) = add(json!({ "dataType": "ip", "data": ["203.0.113.9", "198.51.100.1"] })).await;
    assert_eq!((status, body["success"].as_array().unwrap().len()), (207, 1));
    assert_eq!(body["failure"][0]["message"], "Observable already exists");
    let (status, body) = add(json!({ "dataType": "nonsense", "data": "x" })).await;
    assert_eq!((status, &body["type"]), (404, &json!("NotFoundError")));
    assert_eq!(add(json!({ "dataType": "ip" })).await.0, 400);
}

#[tokio::test]
async fn a_query_reads_a_case() {
    let client = start().await;
    let case = create_case(&client).await;
    create_task(&client, &case, false).await;
    let (status, comment) = client.hive("POST", "/case/1/comment", json!({ "message": "m" })).await;
    assert_eq!((status, &comment["createdBy"]), (201, &json!("portcullis@lab.example")));
    let query = async |operations: Value| {
        let (status, body) = client.hive("POST", "/query?name=test", json!({ "query": operations })).await;
        assert_eq!(status, 200, "{body}");
        body
    };
    let by_tag = json!({ "_name": "filter", "_eq": { "_field": "tags", "_value": "run:1" } });
    let found =
        query(json!([{ "_name": "listCase" }, by_tag, { "_name": "page", "from": 0, "to": 10 }])).await;
    assert_eq!(found[0]["_id"], json!(case));
    let get = json!({ "_name": "getCase", "idOrName": case });
    assert_eq!(query(json!([get, { "_name": "comments" }])).await[0]["message"], "m");
    assert_eq!(query(json!([get, { "_name": "tasks" }, { "_name": "count" }])).await, 1);
    let none = json!({ "_name": "filter", "_not": { "_has": "title" } });
    assert_eq!(query(json!([{ "_name": "listTask" }, none])).await, json!([]));
    let wrong = json!({ "query": [{ "_name": "listNonsense" }] });
    assert_eq!(client.hive("POST", "/query", wrong).await.0, 400);
}

#[tokio::test]
async fn cases_are_found_by_a_whole_tag() {
    let client = start().await;
    for (title, tag) in [("a", "portcullis:01"), ("b", "portcullis:012"), ("c", "portcullis:01")] {
        let body = json!({ "title": title, "description": "d", "tags": ["wazuh", tag] });
        assert_eq!(client.hive("POST", "/case", body).await.0, 201);
    }
    let titles = async |tag: &str| {
        let by_tag = json!({ "_name": "filter", "_eq": { "_field": "tags", "_value": tag } });
        let sorted = json!({ "_name": "sort", "_fields": [{ "_createdAt": "asc" }] });
        let page = json!({ "_name": "page", "from": 0, "to": 100 });
        let query = json!([{ "_name": "listCase" }, by_tag, sorted, page]);
        let body = json!({ "query": query, "excludeFields": ["description"] });
        let (status, found) = client.hive("POST", "/query?name=find-cases", body).await;
        assert_eq!(status, 200, "{found}");
        let found = found.as_array().unwrap();
        assert!(found.iter().all(|case| case.get("description").is_none() && case["number"].is_u64()));
        found.iter().map(|case| case["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(titles("portcullis:01").await, ["a", "c"]);
    assert_eq!(titles("portcullis:0").await, Vec::<String>::new());
}

#[tokio::test]
async fn custom_fields_must_be_known() {
    let client = start().await;
    let body = json!({ "title": "t", "description": "d", "customFields": { "portcullis-run": "r1" } });
    let (_, case) = client.hive("POST", "/case", body).await;
    assert_eq!(case["customFields"][0]["value"], "r1");
    let body = json!({ "customFields": { "unknown": 1 } });
    assert_eq!(client.hive("PATCH", "/case/1", body).await.0, 404);
}
