use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use insta::assert_snapshot;
use model::{RunId, StepKey};
use proptest::prelude::*;
use serde_json::json;
use workflow::Catalog;

use super::*;
use crate::guard::{Block, Budget, NeverTouch, Pattern};

const WAZUH_BLOCK: &str = "node: wazuh.block\nsummary: x\nconnection: wazuh\neffect: disrupt\non_doubt: ask\nrequest: { method: GET, path: / }\ntarget: \"agent/{{ inputs.agent }}/block\"\ninputs:\n  agent: { type: agent_id, required: true, summary: x }\n  alert: { type: object, default: {}, summary: x }\n";
const ANY_HTTP: &str = "node: http\nsummary: x\neffect: disrupt\non_doubt: ask\nrequest: { method: GET, path: / }\ntarget: \"{{ inputs.url }}\"\ninputs:\n  url: { type: string, required: true, summary: x }\n  json: { type: any, summary: x }\n";

const BLOCK: &str = "wazuh.block";
const HTTP: &str = "http";

static NODES: LazyLock<Catalog> = LazyLock::new(|| {
    let mut catalog = Catalog::default();
    [WAZUH_BLOCK, ANY_HTTP].into_iter().for_each(|node| catalog.add("node.yaml", node).unwrap());
    catalog
});

/// Knows two agents, and counts how often it is asked.
#[derive(Default)]
struct Two {
    asked: AtomicUsize,
}

#[async_trait]
impl Directory for Two {
    async fn agent(&self, id: &str, _connection: Option<&str>) -> Result<AgentFacts, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let facts = |name: &str, address: &str, group: &str| AgentFacts {
            name: name.to_owned(),
            address: Some(address.to_owned()),
            groups: vec!["default".to_owned(), group.to_owned()],
        };
        match id {
            "001" => Ok(facts("web-01", "192.168.7.1", "web")),
            "002" => Ok(facts("DC1.corp.example", "10.9.0.2", "Domain-Controllers")),
            "003" => Ok(AgentFacts { name: "new".to_owned(), ..AgentFacts::default() }),
            _ => Err("there is no such agent".to_owned()),
        }
    }
}

fn never_touch() -> NeverTouch {
    NeverTouch {
        agents: [0, 7].into(),
        groups: ["domain-controllers".to_owned()].into(),
        hosts: ["dc*", "mail.corp.example"].into_iter().map(|text| Pattern::of_host(text).unwrap()).collect(),
        addresses: ["10.0.0.0/8", "2001:db8::/48"]
            .into_iter()
            .map(|text| Block::parse(text).unwrap())
            .collect(),
        accounts: ["root", r"CORP\svc-*"]
            .into_iter()
            .map(|text| Pattern::of_account(text).unwrap())
            .collect(),
    }
}

/// Only what takes no question to Wazuh.
fn accounts() -> NeverTouch {
    NeverTouch { accounts: never_touch().accounts, agents: never_touch().agents, ..NeverTouch::default() }
}

fn guardrails(never_touch: NeverTouch) -> Guardrails {
    let rules = Rules { never_touch, ..Rules::default() };
    Guardrails::new(rules, Arc::new(Two::default()), [], None)
}

/// What is said, after a person has said yes to whatever is asked before, where they do.
async fn judge(guardrails: &Guardrails, node: &str, inputs: Value, is_asked: bool) -> Verdict {
    let mut answered = Vec::new();
    loop {
        let verdict = judge_again(guardrails, node, &inputs, &answered).await;
        match &verdict {
            Verdict::Ask(why) if is_asked => answered.push(why.clone()),
            Verdict::Go | Verdict::Ask(_) | Verdict::Refuse(_) => return verdict,
        }
    }
}

async fn judge_again(guardrails: &Guardrails, node: &str, inputs: &Value, answered: &[String]) -> Verdict {
    let node = NODES.get(node).unwrap();
    let scope = expr::Scope::new(json!({ "inputs": inputs }));
    let target = node.target.as_ref().unwrap().eval_text(&scope).unwrap();
    let step: StepKey = "block".parse().unwrap();
    let intent = Intent {
        run: RunId::from_bytes([1; 16]),
        started_at: Timestamp::from_millis(1_000_000),
        workflow: "contain",
        step: &step,
        node,
        connection: None,
        inputs,
        target: Some(&target),
        answered,
    };
    guardrails.judge(&intent, Timestamp::from_millis(2_000_000)).await
}

fn said(verdict: Verdict) -> String {
    match verdict {
        Verdict::Go => "go".to_owned(),
        Verdict::Ask(why) => format!("ask: {why}"),
        Verdict::Refuse(failure) => format!("{}: {}", failure.class, failure.message),
    }
}

async fn block(agent: &str, alert: Value) -> String {
    said(judge(&guardrails(never_touch()), BLOCK, json!({ "agent": agent, "alert": alert }), false).await)
}

async fn http(never_touch: NeverTouch, url: &str, body: Value) -> String {
    said(judge(&guardrails(never_touch), HTTP, json!({ "url": url, "json": body }), false).await)
}

#[tokio::test(start_paused = true)]
async fn what_is_not_protected_goes() {
    assert_snapshot!(block("001", json!({ "data": { "srcip": "203.0.113.9" } })).await, @"go");
}

#[tokio::test(start_paused = true)]
async fn every_refusal_says_what_and_where() {
    let ip = |ip: &str| json!({ "data": { "srcip": ip } });
    let refused = [
        block("007", json!({})).await,
        block("002", json!({})).await,
        block("003", json!({})).await,
        block("042", json!({})).await,
        block("001", ip("10.1.2.3")).await,
        block("001", ip("203.0.112.0/23")).await,
        block("001", json!({ "data": { "dstuser": "svc-backup" } })).await,
        block("001", json!({ "host": "DC2.corp.example." })).await,
        block("001,004", json!({})).await,
        block("", json!({})).await,
        block("all", json!({})).await,
    ];
    assert_snapshot!(refused.join("\n"), @r"
    guardrail: agent 007 in `inputs.agent` is never to be touched
    guardrail: agent 002 is in the group `Domain-Controllers`, which is never to be touched
    guardrail: Wazuh knows no address of agent 003: nobody knows whether it is protected
    guardrail: nobody knows whether agent 042 is protected: there is no such agent
    guardrail: `10.1.2.3` in `inputs.alert.data.srcip` is in 10.0.0.0/8, which is never to be touched
    guardrail: `203.0.112.0/23` in `inputs.alert.data.srcip` is more than one step may act on
    guardrail: `svc-backup` in `inputs.alert.data.dstuser` matches the account `corp\svc-*`, which is never to be touched
    guardrail: `dc2.corp.example.` in `inputs.alert.host` matches the host `dc*`, which is never to be touched
    guardrail: the step names 2 agents at once: 001, 004
    guardrail: the target `agent//block` has an empty part
    guardrail: the target `agent/all/block` means all
    ");
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_found_however_it_is_named() {
    let go = "go".to_owned();
    for url in [
        "https://w/agents/007/restart",
        "/agents/0007/restart",
        "/ar?agents_list=007",
        "/ar?wait=1&agents_list=7",
    ] {
        assert_ne!(http(accounts(), url, Value::Null).await, go, "{url}");
    }
    let bodies = [
        json!({ "agent": 7 }),
        json!({ "agent": "7" }),
        json!({ "agent": { "id": "007" } }),
        json!({ "agents": ["007"] }),
        json!({ "what": ["x", "007"] }),
        json!({ "what": " 007\n" }),
        json!({ "raw": "{\"agents\": [\"7\"]}" }),
        json!({ "raw": "agent%3D007" }),
        json!({ "what": "\u{ff10}\u{ff10}\u{ff17}" }),
        json!({ "007": true }),
    ];
    for body in bodies {
        assert_ne!(http(accounts(), "/ar", body.clone()).await, go, "{body}");
    }
    for body in [json!({ "agent": "70" }), json!({ "minutes": 7 }), json!({ "agent": { "name": "web-07" } })]
    {
        assert_eq!(http(accounts(), "/ar", body.clone()).await, go, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_one_agent_or_none_is_refused() {
    let urls = [
        "/ar?agents_list=001,002",
        "/ar?agents_list=&x=1",
        "/ar?agents_list=",
        "/ar?agents_list=all",
        "/agents/*/x",
        "/agents//x",
        "/agents/",
        "https://w/%2A",
        "/users/%20/lock",
    ];
    for url in urls {
        assert!(http(accounts(), url, Value::Null).await.starts_with("guardrail"), "{url}");
    }
    for body in [
        json!({ "agents": [] }),
        json!({ "agents": ["001", "002"] }),
        json!({ "agent_id": " " }),
        json!({ "agents": "*" }),
    ] {
        assert!(http(accounts(), "/ar", body.clone()).await.starts_with("guardrail"), "{body}");
    }
    for body in
        [json!({ "agents": ["001"] }), json!({ "user_agent": "*" }), json!({ "agents": ["001", "01"] })]
    {
        assert_eq!(http(accounts(), "/ar", body.clone()).await, "go", "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_is_found_however_it_is_written() {
    let ways = [
        "ROOT",
        " root ",
        r"host\root",
        "root@host",
        "bob, root",
        "bob;root",
        "uid=root,ou=x",
        "ro\u{200b}ot",
        "r%6fot",
        r"corp\svc-1",
        "svc-1@corp.example",
    ];
    for way in ways {
        assert_ne!(http(accounts(), "/lock", json!({ "name": way })).await, "go", "{way}");
        assert_ne!(http(accounts(), "/lock", json!([{ "deep": [way] }])).await, "go", "{way}");
    }
    assert_ne!(http(accounts(), "/users/root/lock", Value::Null).await, "go");
    assert_ne!(http(accounts(), "https://root@x/lock", Value::Null).await, "go");
    assert_eq!(http(accounts(), "/users/rooted/lock", json!("svc")).await, "go");
}

#[tokio::test(start_paused = true)]
async fn an_address_is_found_wherever_it_stands() {
    let only = NeverTouch { addresses: never_touch().addresses, ..NeverTouch::default() };
    let ways = [
        "https://10.0.0.1/",
        "http://u:p@10.0.0.1:80/x",
        "//[::ffff:10.0.0.1]:443/x",
        "10.0.0.1:22",
        "net/10.0.0.0/25",
        "-s 10.0.0.1 -j DROP",
        "203.0.113.1,10.0.0.1",
        "[\"10.0.0.1\"]",
        "10%2E0%2E0%2E1",
        "10\u{3002}0\u{3002}0\u{3002}1",
        "user@10.0.0.1",
        "2001:DB8::1",
        "[2001:db8::1]:22",
        "host=10.0.0.1;x",
    ];
    for way in ways {
        assert_ne!(http(only.clone(), "/ban", json!({ "x": way })).await, "go", "{way}");
    }
    assert_eq!(http(only, "/ban", json!({ "x": "203.0.113.9", "y": "2001:db9::1", "z": 10 })).await, "go");
}

#[tokio::test(start_paused = true)]
async fn wazuh_is_asked_once_a_minute_and_not_at_all_without_need() {
    let directory = Arc::new(Two::default());
    let rules = |never_touch| Rules { never_touch, ..Rules::default() };
    let inputs = json!({ "agent": "001" });
    let without = Guardrails::new(rules(accounts()), directory.clone(), [], None);
    assert_eq!(judge(&without, BLOCK, inputs.clone(), false).await, Verdict::Go);
    assert_eq!(directory.asked.load(Ordering::SeqCst), 0);
    let with = Guardrails::new(rules(never_touch()), directory.clone(), [], None);
    for _ in 0..3 {
        assert_eq!(judge(&with, BLOCK, inputs.clone(), false).await, Verdict::Go);
    }
    assert_eq!(directory.asked.load(Ordering::SeqCst), 1);
    tokio::time::advance(FRESH).await;
    assert_eq!(judge(&with, BLOCK, inputs, false).await, Verdict::Go);
    assert_eq!(directory.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_person_is_asked_where_the_store_was_restored_or_the_budget_is_spent() {
    let inputs = json!({ "agent": "001" });
    let note = json!({ "at": "1970-01-01T00:20:00.000Z", "from": "1970-01-01T00:10:00.000Z" });
    let guardrails = |at, restored| {
        let budget = Budget { all: Some(1), per_playbook: None };
        let recent = Disruption { at: Timestamp::from_millis(at), workflow: "other".to_owned() };
        Guardrails::new(Rules { budget, ..Rules::default() }, Arc::new(Two::default()), [recent], restored)
    };
    let restored = guardrails(-1, Some(note));
    assert_snapshot!(said(judge(&restored, BLOCK, inputs.clone(), false).await), @"ask: the store was restored from the copy of 1970-01-01T00:10:00.000Z after this run had started: this may have been done already");
    assert_eq!(judge(&restored, BLOCK, inputs.clone(), true).await, Verdict::Go);
    let unread = guardrails(-1, Some(json!("x")));
    assert!(matches!(judge(&unread, BLOCK, inputs.clone(), false).await, Verdict::Ask(_)));
    let spent = guardrails(1_999_000, None);
    assert_snapshot!(said(judge(&spent, BLOCK, inputs.clone(), false).await), @"ask: the operator's limit of 1 disruption in an hour is reached");
    assert_eq!(judge(&spent, BLOCK, inputs, true).await, Verdict::Go);
}

/// Where a word can be put so that the other side still reads it.
fn hidden(word: &str) -> Vec<Value> {
    let upper = word.to_uppercase();
    vec![
        json!(word),
        json!(upper),
        json!(format!("\t{word}\n")),
        json!([[word]]),
        json!({ "a": { "b": [1, word] } }),
        json!({ word: 1 }),
        json!(format!("first, {word} ,last")),
        json!(format!("https://{word}/x?y=z")),
        json!(format!("https://x/?y={word}&z=1")),
        json!(format!("/a/{word}/b")),
        json!(format!("\"{word}\"")),
        json!(format!("<{word}>")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_place_hides_a_protected_word(name in "[a-z][a-z0-9]{2,8}", address: u32) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let address = std::net::Ipv4Addr::from_bits(address).to_string();
        let protected = NeverTouch {
            accounts: vec![Pattern::of_account(&name).unwrap()],
            addresses: vec![Block::parse(&address).unwrap()],
            ..NeverTouch::default()
        };
        for body in hidden(&name).into_iter().chain(hidden(&address)) {
            let said = runtime.block_on(http(protected.clone(), "/x", body.clone()));
            prop_assert!(said.starts_with("guardrail"), "{} in {}", said, body);
        }
    }

    #[test]
    fn no_input_makes_it_panic(text in "\\PC{0,40}", url in "[a-z0-9/?&=%*:.@-]{0,30}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(http(never_touch(), &url, json!({ "agent": text })));
    }
}
