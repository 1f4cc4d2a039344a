//! The switch that stops all disruption.

use insta::assert_snapshot;
use serde_json::json;

use super::bench::{ANA, BO, BOT, Bench};

#[tokio::test(start_paused = true)]
async fn any_token_halts_and_every_list_says_so() {
    let bench = Bench::new().await;
    assert_eq!(bench.get(BO, "/api/v1/halt").await.json(), json!({ "halted": null }));
    let halted = bench.post(BO, "/api/v1/halt", json!({ "reason": "a wrong playbook" })).await;
    assert_snapshot!(halted.shown(), @r#"
    200 OK
    {
      "halted": {
        "by": {
          "name": "bo"
        },
        "reason": "a wrong playbook",
        "since": "1970-01-01T00:16:40.000Z"
      }
    }
    "#);
    let standing = halted.json()["halted"].clone();
    let again = bench.post(ANA, "/api/v1/halt", json!({ "reason": "the same" })).await;
    assert_eq!(again.json(), json!({ "halted": standing, "already": true }), "the first word counts");
    for path in ["/api/v1/halt", "/api/v1/runs", "/api/v1/approvals", "/api/v1/workflows"] {
        assert_eq!(bench.get(ANA, path).await.json()["halted"], standing, "{path}");
    }
    assert!(bench.metrics().await.contains("portcullis_halted 1\n"));
    let bench = bench.restart(&[]).await;
    assert_eq!(bench.get(ANA, "/api/v1/halt").await.json()["halted"], standing);
}

#[tokio::test(start_paused = true)]
async fn a_role_resumes() {
    let bench = Bench::new().await;
    bench.post(BOT, "/api/v1/halt", json!({ "reason": "drill", "by": "kim" })).await;
    let refused = bench.post(BO, "/api/v1/resume", json!({ "reason": "over" })).await;
    assert_snapshot!(refused.brief(), @"403 `bo` may not end a halt: it takes the role `soc`");
    let unsaid = bench.post(ANA, "/api/v1/resume", json!({ "reason": "" })).await;
    assert_snapshot!(unsaid.brief(), @"422 a reason is needed here: say why");
    let resumed = bench.post(ANA, "/api/v1/resume", json!({ "reason": "over" })).await;
    assert_snapshot!(resumed.shown(), @r#"
    200 OK
    {
      "ended": {
        "by": {
          "name": "kim",
          "roles": [
            "soc"
          ],
          "via": "bot"
        },
        "reason": "drill",
        "since": "1970-01-01T00:16:40.000Z"
      },
      "halted": null
    }
    "#);
    assert!(bench.metrics().await.contains("portcullis_halted 0\n"));
    let again = bench.post(ANA, "/api/v1/resume", json!({ "reason": "over" })).await;
    assert_eq!(again.json(), json!({ "halted": null, "ended": null }));
}
