//! The API, but for decisions: who may use it, runs, workflows, health.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use insta::assert_snapshot;
use model::RunStatus;
use serde_json::json;

use super::bench::{ANA, BO, BOT, Bench, CONTAIN, NOTE, call};

#[tokio::test(start_paused = true)]
async fn the_api_asks_for_a_token() {
    let bench = Bench::new().await;
    let missing = Request::get("/api/v1/runs").body(Body::empty()).unwrap();
    assert_snapshot!(bench.send(missing).await.shown(), @r#"
    401 Unauthorized
    www-authenticate: Bearer realm="portcullis"
    {
      "detail": "the header `Authorization: Bearer TOKEN` is missing",
      "status": 401,
      "title": "The token is not accepted",
      "type": "urn:portcullis:wrong-token"
    }
    "#);
    assert_snapshot!(bench.get("x", "/api/v1/runs").await.brief(), @"401 there is no such token");
    for wrong in ["Basic YTpi", "Bearer", "bearer ", ""] {
        let request = Request::get("/api/v1/runs").header("authorization", wrong);
        assert_eq!(bench.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::UNAUTHORIZED);
    }
    let lower = Request::get("/api/v1/runs").header("authorization", format!("bearer {ANA}"));
    assert_eq!(bench.send(lower.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
    let nobody = Bench::with(|settings| settings.tokens.clear()).await;
    assert_snapshot!(nobody.get(ANA, "/api/v1/runs").await.brief(), @"401 no API token is configured, so nobody can use the API");
}

#[tokio::test(start_paused = true)]
async fn no_route_of_the_api_is_open() {
    let bench = Bench::new().await;
    let id = "01010101-0101-0101-0101-010101010101";
    let routes = [
        ("GET", "/runs".to_owned()),
        ("GET", format!("/runs/{id}")),
        ("GET", format!("/runs/{id}/journal")),
        ("POST", format!("/runs/{id}/cancel")),
        ("POST", format!("/runs/{id}/steps/block/resolve")),
        ("GET", "/workflows".to_owned()),
        ("POST", "/workflows/contain/runs".to_owned()),
        ("GET", "/approvals".to_owned()),
        ("GET", format!("/approvals/{id}/block")),
        ("POST", format!("/approvals/{id}/block")),
        ("DELETE", "/runs".to_owned()),
    ];
    for (method, path) in routes {
        let answer = bench.send(call(method, "x", &format!("/api/v1{path}"), "{")).await;
        assert_eq!(answer.brief(), "401 there is no such token", "{method} {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn runs_are_listed_newest_first_in_pages() {
    let bench = Bench::new().await;
    let first = bench.waiting_run("1").await;
    let second = bench.waiting_run("2").await;
    let page = bench.get(ANA, "/api/v1/runs?limit=1&status=waiting&workflow=contain").await.json();
    assert_eq!(page["runs"][0]["run"], json!(second));
    assert_eq!(page["next"], json!(second));
    let rest = bench.get(ANA, &format!("/api/v1/runs?before={second}")).await;
    assert_eq!(rest.json()["runs"][0]["run"], json!(first));
    assert_snapshot!(rest.shown(), @r#"
    200 OK
    {
      "next": null,
      "runs": [
        {
          "about": "rule 5763 on web-01",
          "next_seq": 4,
          "run": "RUN",
          "source": "DIGEST",
          "started_at": "1970-01-01T00:16:40.000Z",
          "status": "waiting",
          "updated_at": "1970-01-01T00:16:40.000Z",
          "waiting": [
            {
              "for": {
                "approval": {
                  "ask": "Block web-01?",
                  "digest": "DIGEST",
                  "expires_at": "1970-01-01T00:46:40.000Z",
                  "from": {
                    "count": 1,
                    "role": "soc"
                  },
                  "target": "host/web-01"
                }
              },
              "since": "1970-01-01T00:16:40.000Z",
              "step": "block"
            }
          ],
          "wake_at": "1970-01-01T00:46:40.000Z",
          "workflow": "contain"
        }
      ]
    }
    "#);
    let none = bench.get(ANA, "/api/v1/runs?status=failed").await;
    assert_eq!(none.json(), json!({ "runs": [], "next": null }));
}

#[tokio::test(start_paused = true)]
async fn a_query_that_makes_no_sense_is_named() {
    let bench = Bench::new().await;
    let mut answers = String::new();
    for query in ["status=done", "limit=-1", "before=1", "state=failed", "limit=1&limit=2", "workflow=%ff"] {
        answers.push_str(&format!("{}\n", bench.get(ANA, &format!("/api/v1/runs?{query}")).await.brief()));
    }
    assert_snapshot!(answers, @"
    400 status: unknown variant `done`, expected one of `running`, `waiting`, `succeeded`, `failed`, `cancelled`
    400 limit: invalid digit found in string
    400 before: UUID parsing failed: invalid length: found 1
    400 state: unknown field `state`, expected one of `status`, `workflow`, `before`, `limit`
    400 duplicate field `limit`
    200 -
    ");
}

#[tokio::test(start_paused = true)]
async fn a_run_is_shown_with_its_steps() {
    let bench = Bench::new().await;
    let run = bench.waiting_run("1").await;
    let answer = bench.get(ANA, &format!("/api/v1/runs/{run}")).await;
    assert_eq!(answer.json()["status"], "waiting");
    assert_snapshot!(serde_json::to_string_pretty(&answer.json()["steps"]).unwrap(), @r#"
    [
      {
        "status": "ok",
        "step": "look",
        "uses": "look"
      },
      {
        "status": "waiting",
        "step": "block",
        "uses": "act"
      }
    ]
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_shown_with_the_steps_that_it_started_with() {
    let bench = Bench::new().await;
    let run = bench.waiting_run("1").await;
    let edited = CONTAIN.replace("id: look", "id: look_again");
    let bench = bench.restart(&[edited.as_str(), NOTE]).await;
    let steps = bench.get(ANA, &format!("/api/v1/runs/{run}")).await.json()["steps"].clone();
    assert_eq!(steps[0]["step"], "look");
}

#[tokio::test(start_paused = true)]
async fn a_journal_is_shown_as_it_is_kept() {
    let bench = Bench::new().await;
    let run = bench.waiting_run("1").await;
    let journal = bench.get(ANA, &format!("/api/v1/runs/{run}/journal")).await.json();
    let events = journal["records"].as_array().unwrap().iter().map(|record| {
        let name = record["event"].as_object().unwrap().keys().next().unwrap().clone();
        format!("{} {name}\n", record["seq"])
    });
    assert_snapshot!(events.collect::<String>(), @"
    0 run_started
    1 step_started
    2 step_succeeded
    3 approval_requested
    ");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_named() {
    let bench = Bench::new().await;
    let id = "01010101-0101-0101-0101-010101010101";
    let mut answers = String::new();
    for path in [
        format!("/runs/{id}"),
        format!("/runs/{id}/journal"),
        format!("/approvals/{id}/block"),
        "/runs/1".to_owned(),
        "/runs/%ff".to_owned(),
        "/runs/%00".to_owned(),
        format!("/approvals/{id}/Block"),
        format!("/approvals/{id}/block[x]"),
        "/approvals/1/block".to_owned(),
        "/nothing".to_owned(),
    ] {
        answers.push_str(&format!("{}\n", bench.get(ANA, &format!("/api/v1{path}")).await.brief()));
    }
    let cancel = json!({ "reason": "x" });
    let missing = bench.post(ANA, &format!("/api/v1/runs/{id}/cancel"), cancel).await;
    answers.push_str(&format!("{}\n", missing.brief()));
    assert_snapshot!(answers, @r"
    404 there is no run RUN
    404 there is no run RUN
    404 there is no run RUN
    400 `1` is not a run id (a UUID)
    400 Invalid UTF-8 in `run`
    400 `\0` is not a run id (a UUID)
    400 `Block` is not an id ([a-z][a-z0-9_]*, at most 64 characters)
    400 `block[x]` is not a step (`name` or `name[3]`)
    400 `1` is not a run id (a UUID)
    404 no route for GET /api/v1/nothing
    404 there is no run RUN
    ");
    let delete = bench.send(call("DELETE", ANA, "/api/v1/runs", Body::empty())).await;
    assert_snapshot!(delete.shown(), @r#"
    405 Method Not Allowed
    allow: GET,HEAD
    {
      "detail": "/api/v1/runs does not take DELETE",
      "status": 405,
      "title": "Not by this method",
      "type": "urn:portcullis:wrong-method"
    }
    "#);
    let root = Request::get("/").body(Body::empty()).unwrap();
    assert_snapshot!(bench.send(root).await.shown(), @r#"
    404 Not Found
    {
      "detail": "no route for GET /",
      "status": 404,
      "title": "There is nothing here",
      "type": "urn:portcullis:no-such-route"
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_cancelled_once_and_with_a_reason() {
    let bench = Bench::new().await;
    let run = bench.waiting_run("1").await;
    let path = format!("/api/v1/runs/{run}/cancel");
    let silent = bench.post(BO, &path, json!({ "reason": " " })).await;
    assert_snapshot!(silent.shown(), @r#"
    422 Unprocessable Entity
    {
      "detail": "a reason is needed here: say why",
      "status": 422,
      "title": "A reason is needed",
      "type": "urn:portcullis:reason-required"
    }
    "#);
    let cancelled = bench.post(BO, &path, json!({ "reason": "a test", "by": "bo" })).await;
    assert_eq!((cancelled.status, &cancelled.json()["status"]), (StatusCode::OK, &json!("cancelled")));
    let again = bench.post(BO, &path, json!({ "reason": "a test" })).await;
    assert_snapshot!(again.brief(), @"409 the run has finished");
}

#[tokio::test(start_paused = true)]
async fn workflows_are_listed() {
    let bench = Bench::new().await;
    assert_snapshot!(bench.get(BO, "/api/v1/workflows").await.shown(), @r#"
    200 OK
    {
      "left_out": [],
      "workflows": [
        {
          "digest": "DIGEST",
          "file": "workflows/0.yaml",
          "findings": [],
          "loaded_at": "1970-01-01T00:16:40.000Z",
          "mode": "live",
          "name": "contain",
          "owner": "soc",
          "title": "Contain a host",
          "triggers": [
            {
              "kind": "webhook",
              "path": "wazuh"
            },
            {
              "kind": "manual",
              "roles": [
                "soc"
              ]
            }
          ]
        },
        {
          "digest": "DIGEST",
          "file": "workflows/1.yaml",
          "findings": [],
          "loaded_at": "1970-01-01T00:16:40.000Z",
          "mode": "live",
          "name": "note",
          "triggers": [
            {
              "kind": "webhook",
              "path": "any"
            },
            {
              "kind": "webhook",
              "path": "open"
            }
          ]
        }
      ]
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_workflow_is_started_by_hand() {
    let bench = Bench::new().await;
    let alert = json!({ "id": "7", "agent": { "name": "web-01" } });
    let path = "/api/v1/workflows/contain/runs";
    let started = bench.post(ANA, path, json!({ "alert": alert })).await;
    assert_snapshot!(started.shown(), @r#"
    202 Accepted
    {
      "duplicate": false,
      "run": "RUN",
      "workflow": "contain"
    }
    "#);
    let run = started.json()["run"].as_str().unwrap().parse().unwrap();
    bench.until(run, RunStatus::Waiting).await;
    let again = bench.post(BOT, path, json!({ "alert": alert, "by": "cleo" })).await;
    assert_eq!(again.json()["duplicate"], true);
    let mut answers = String::new();
    for (token, workflow, body) in [
        (ANA, "contain", json!([{}, "ana"])),
        (ANA, "nothing", json!({ "alert": {} })),
        (ANA, "note", json!({ "alert": {} })),
        (ANA, "contain", json!({ "alert": 3 })),
        (ANA, "contain", json!({ "alarm": {} })),
        (ANA, "contain", json!({ "alert": {}, "by": "bo" })),
        (ANA, "%ff", json!({ "alert": {} })),
    ] {
        let answer = bench.post(token, &format!("/api/v1/workflows/{workflow}/runs"), body).await;
        answers.push_str(&format!("{}\n", answer.brief()));
    }
    assert_snapshot!(answers, @"
    422 the body is not a JSON object
    404 there is no workflow `nothing`
    404 `note` is not started by hand: it has no trigger `manual`
    422 invalid type: integer `3`, expected a map at line 1 column 10
    422 unknown field `alarm`, expected `alert` or `by` at line 1 column 8
    403 the token of `ana` may not speak for others: leave `by` out
    400 Invalid UTF-8 in `name`
    ");
}

#[tokio::test(start_paused = true)]
async fn a_start_by_hand_takes_the_role_that_the_trigger_asks_for() {
    let bench = Bench::new().await;
    let refused = bench.post(BO, "/api/v1/workflows/contain/runs", json!({ "alert": {} })).await;
    assert_eq!(refused.brief(), "403 `bo` may not start `contain` by hand");
}

#[tokio::test(start_paused = true)]
async fn health_is_told_without_a_token() {
    let bench = Bench::new().await;
    for path in ["/healthz", "/readyz"] {
        let answer = bench.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({ "status": "ok" })));
    }
}
