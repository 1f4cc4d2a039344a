//! Alerts that arrive: who may send them, what is taken, what the sender hears.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use insta::assert_snapshot;
use model::{Event, RunStatus};
use serde_json::{Value, json};
use store::Store as _;

use super::bench::{Bench, HOOK_SECRET, alert, soon};

const ALERT: &str = r#"{ "id": "1", "rule": { "level": 12 } }"#;

#[tokio::test(start_paused = true)]
async fn an_alert_is_answered_with_its_runs() {
    let bench = Bench::new().await;
    assert_snapshot!(bench.alert("wazuh", ALERT).await.shown(), @r#"
    202 Accepted
    {
      "not_started": [],
      "runs": [
        {
          "duplicate": false,
          "run": "RUN",
          "workflow": "contain"
        }
      ]
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_is_answered_with_the_run_that_exists() {
    let bench = Bench::new().await;
    let first = bench.alert("wazuh", ALERT).await;
    let second = bench.alert("wazuh", ALERT).await;
    assert_eq!(second.status, StatusCode::ACCEPTED);
    assert_eq!(second.json()["runs"][0]["run"], first.json()["runs"][0]["run"]);
    assert_eq!(second.json()["runs"][0]["duplicate"], true);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_started_is_named_with_the_reason() {
    let bench = Bench::new().await;
    let below = bench.alert("wazuh", r#"{ "rule": { "level": 3 } }"#).await;
    assert_snapshot!(below.shown(), @r#"
    202 Accepted
    {
      "not_started": [
        {
          "reason": "its `when` says no",
          "workflow": "contain"
        }
      ],
      "runs": []
    }
    "#);
    let without = bench.alert("wazuh", r#"{ "rule": {} }"#).await;
    assert_eq!(without.status, StatusCode::ACCEPTED);
    // Nobody can say whether it was meant: it is kept, as a run that has failed.
    assert_eq!(without.json()["runs"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_stands_too_deep_to_be_read_back_is_refused() {
    let bench = Bench::new().await;
    let nested = |levels: usize| {
        let (open, close) = (r#"{"a":"#.repeat(levels - 2), "}".repeat(levels - 2));
        format!(r#"{{ "rule": {{ "level": 12 }}, "data": {open}1{close} }}"#)
    };
    assert_eq!(bench.alert("wazuh", nested(64)).await.status, StatusCode::ACCEPTED);
    let deep = bench.alert("wazuh", nested(67)).await;
    assert_snapshot!(deep.brief(), @"422 the body stands more than 64 levels deep");
}

#[tokio::test(start_paused = true)]
async fn a_sender_without_the_secret_is_refused() {
    let bench = Bench::new().await;
    let missing = Request::post("/hooks/wazuh").body(Body::from(ALERT)).unwrap();
    assert_snapshot!(bench.send(missing).await.shown(), @r#"
    401 Unauthorized
    www-authenticate: Portcullis-Secret realm="hooks"
    {
      "detail": "the header `x-portcullis-secret` with the hook's secret is missing",
      "status": 401,
      "title": "The secret is not accepted",
      "type": "urn:portcullis:wrong-secret"
    }
    "#);
    for wrong in ["", "x", "the-secret-of-the-hooks", &HOOK_SECRET.to_uppercase()] {
        let request = Request::post("/hooks/wazuh").header("x-portcullis-secret", wrong);
        let answer = bench.send(request.body(Body::from(ALERT)).unwrap()).await;
        assert_eq!(
            answer.brief(),
            "401 the header `x-portcullis-secret` does not hold the secret of this hook"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_without_a_secret_is_closed_unless_the_settings_open_it() {
    let bench = Bench::with(|settings| settings.hooks.clear()).await;
    let open = Request::post("/hooks/open").body(Body::from(ALERT)).unwrap();
    assert_eq!(bench.send(open).await.status, StatusCode::ACCEPTED);
    let closed = bench.alert("any", ALERT).await;
    assert_snapshot!(closed.brief(), @"401 no secret is configured for the hook `any`, so nobody can use it");
}

#[tokio::test(start_paused = true)]
async fn a_hook_may_have_a_header_of_its_own() {
    let bench = Bench::with(|settings| {
        let hook = settings.hooks.get_mut("any").unwrap();
        hook.header = "X-Token".to_owned();
    })
    .await;
    let request =
        |name: &str| Request::post("/hooks/any").header(name, HOOK_SECRET).body(Body::from(ALERT)).unwrap();
    assert_eq!(bench.send(request("x-token")).await.status, StatusCode::ACCEPTED);
    assert_eq!(bench.send(request("x-portcullis-secret")).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_path_that_nobody_listens_to_takes_nothing() {
    let bench = Bench::new().await;
    assert_snapshot!(bench.alert("nowhere", ALERT).await.shown(), @r#"
    404 Not Found
    {
      "detail": "no workflow listens on the hook `nowhere`",
      "status": 404,
      "title": "There is no such hook",
      "type": "urn:portcullis:no-such-hook"
    }
    "#);
    let configured = bench.alert("unheard", ALERT).await;
    assert_eq!(
        configured.brief(),
        "503 no workflow listens on the hook `unheard`: has its playbook a mistake?"
    );
    let stranger = Request::post("/hooks/unheard").body(Body::from(ALERT)).unwrap();
    assert_eq!(bench.send(stranger).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_is_posted_to() {
    let bench = Bench::new().await;
    let request = Request::get("/hooks/wazuh").body(Body::empty()).unwrap();
    assert_snapshot!(bench.send(request).await.shown(), @r#"
    405 Method Not Allowed
    allow: POST
    {
      "detail": "/hooks/wazuh does not take GET",
      "status": 405,
      "title": "Not by this method",
      "type": "urn:portcullis:wrong-method"
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn the_journal_keeps_the_alert_and_nothing_that_lets_anybody_in() {
    let bench = Bench::new().await;
    let request = Request::post(format!("/hooks/any?site=berlin&key={HOOK_SECRET}&{HOOK_SECRET}=1"))
        .header("x-portcullis-secret", HOOK_SECRET)
        .header("authorization", "Bearer something")
        .header("cookie", "session=1")
        .header("user-agent", "custom-portcullis")
        .header("x-request-id", HOOK_SECRET)
        .header("x-forwarded-for", "192.0.2.1");
    let answer = bench.send(request.body(Body::from(ALERT)).unwrap()).await;
    let run = answer.json()["runs"][0]["run"].as_str().unwrap().parse().unwrap();
    let summary = bench.until(run, RunStatus::Succeeded).await;
    let journal = bench.store.journal(summary.run).await.unwrap();
    let Event::RunStarted { trigger, alert, .. } = &journal[0].event else { panic!() };
    assert_eq!(alert.to_string(), serde_json::from_str::<Value>(ALERT).unwrap().to_string());
    assert_snapshot!(serde_json::to_string_pretty(&trigger).unwrap(), @r#"
    {
      "kind": "webhook",
      "received_at": "1970-01-01T00:16:40.000Z",
      "headers": {
        "user-agent": "custom-portcullis",
        "x-forwarded-for": "192.0.2.1"
      },
      "query": {
        "site": "berlin"
      }
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn what_wazuhs_shuffle_integration_wraps_up_is_unwrapped() {
    let bench = Bench::new().await;
    let started = async |body: Value| {
        let answer = bench.alert("any", body.to_string()).await;
        let run = answer.json()["runs"][0]["run"].as_str().unwrap().parse().unwrap();
        let journal = bench.store.journal(run).await.unwrap();
        let Event::RunStarted { alert, .. } = &journal[0].event else { panic!() };
        alert.to_string()
    };
    let inner = json!({ "id": "1", "rule": { "level": 3 } });
    let wrapped = json!({ "severity": 1, "pretext": "WAZUH Alert", "all_fields": inner });
    assert_eq!(started(wrapped).await, inner.to_string());
    let other = json!({ "all_fields": "no object", "id": "1" });
    assert_eq!(started(other.clone()).await, other.to_string());
}

#[tokio::test(start_paused = true)]
async fn every_example_alert_is_taken() {
    let bench = Bench::new().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/alerts");
    let mut taken = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let body = std::fs::read(&path).unwrap();
        for hook in ["any", "wazuh"] {
            let answer = bench.alert(hook, body.clone()).await;
            assert_eq!(answer.status, StatusCode::ACCEPTED, "{}: {}", path.display(), answer.body);
        }
        taken += 1;
    }
    assert!(taken >= 15, "{taken} examples in {folder}");
}

#[tokio::test(start_paused = true)]
async fn alerts_beyond_the_bound_are_asked_to_come_again() {
    let bench = Bench::with(|settings| settings.most_alerts = 1).await;
    let held = bench.store.gate.acquire().await.unwrap();
    let first = bench.send(alert("any", ALERT));
    let second = async {
        bench.store.reached.notified().await;
        let second = bench.alert("any", ALERT).await;
        drop(held);
        second
    };
    let (first, second) = soon(async { tokio::join!(first, second) }).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    assert_snapshot!(second.shown(), @r#"
    503 Service Unavailable
    retry-after: 1
    {
      "detail": "too much is going on: try again in a moment",
      "status": 503,
      "title": "Too much is going on",
      "type": "urn:portcullis:busy"
    }
    "#);
    assert_eq!(bench.alert("any", ALERT).await.status, StatusCode::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn an_alert_for_whose_run_there_is_no_room_is_not_even_read() {
    let bench = Bench::within(1).await;
    let held = bench.store.gate.acquire().await.unwrap();
    let first = bench.send(alert("any", ALERT));
    let others = async {
        bench.store.reached.notified().await;
        let others = (bench.alert("any", "no JSON").await, bench.alert("made-up", ALERT).await);
        drop(held);
        others
    };
    let (first, (second, third)) = soon(async { tokio::join!(first, others) }).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    assert_eq!((second.status, third.status), (StatusCode::SERVICE_UNAVAILABLE, StatusCode::NOT_FOUND));
    assert!(bench.metrics().await.contains("portcullis_alerts_total{hook=\"any\",result=\"busy\"} 1\n"));
    let run = first.json()["runs"][0]["run"].as_str().unwrap().parse().unwrap();
    bench.until(run, RunStatus::Succeeded).await;
    assert_eq!(bench.alert("any", "no JSON").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_hangs_up_does_not_leave_a_run_undriven() {
    let bench = Bench::new().await;
    let held = bench.store.gate.acquire().await.unwrap();
    tokio::select! {
        _ = bench.send(alert("any", ALERT)) => panic!("the append is held up"),
        () = bench.store.reached.notified() => {}
    }
    let mut updates = bench.runner.updates();
    drop(held);
    let run = soon(updates.recv()).await.unwrap().run;
    bench.until(run, RunStatus::Succeeded).await;
}
