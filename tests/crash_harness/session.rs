//! One folder of data over many lives of the server: alerts and people in each, and a death at its end.

mod steer;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use failpoints::POINTS;
use fastrand::Rng;
use lab::faults::Kind;
use lab::{Execd, Fault, Settings, System};
use serde_json::{Value, json};

use crate::history::{Alert, History, now};
use crate::people::Outside;
use crate::promises;
use crate::world::{World, client};

pub(crate) const PLAYBOOKS: [(&str, &str); 7] = [
    ("contain.yaml", include_str!("contain.yaml")),
    ("sweep.yaml", include_str!("sweep.yaml")),
    ("call.yaml", include_str!("call.yaml")),
    ("contain_one.yaml", include_str!("contain_one.yaml")),
    ("isolate.yaml", include_str!("isolate.yaml")),
    ("outbreak.yaml", include_str!("outbreak.yaml")),
    ("asked.yaml", include_str!("asked.yaml")),
];

/// How long a life lasts that meets no fail point.
const LONGEST_LIFE: Duration = Duration::from_millis(400);

const HOUR_MS: i64 = 3_600_000;

/// How long everything may take to come to rest before the clock is moved on.
const ROUND: Duration = Duration::from_millis(2_500);
/// How often the clock is moved on: by more than the longest wait before something is tried again.
const ROUNDS: i64 = 14;
const AGENTS: [&str; 3] = ["001", "002", "003"];

pub(crate) struct Session {
    seed: u64,
    world: World,
    chance: Rng,
    history: RefCell<History>,
    client: reqwest::Client,
    steered: Option<steer::Steered>,
}

/// What came of a session.
pub(crate) struct Report {
    pub(crate) deaths: BTreeMap<String, u32>,
    pub(crate) problems: Vec<String>,
}

/// How a life is to end.
enum End {
    /// At a fail point: what the process is told.
    Armed(String),
    /// Killed from outside, after so long.
    Killed(Duration),
    /// Asked to stop, after so long.
    Asked(Duration),
}

impl Session {
    pub(crate) async fn new(seed: u64) -> Session {
        let world = World::prepare(Settings::default(), &PLAYBOOKS).await;
        let history = RefCell::default();
        Session { seed, world, chance: Rng::with_seed(seed), history, client: client(), steered: None }
    }

    /// So many crashes, then peace, until everything has ended; gives what is not as it was promised.
    pub(crate) async fn run(mut self, crashes: u32) -> Report {
        for life in 0..crashes {
            self.add_alerts();
            self.order_faults();
            let end = self.choose_end(life);
            self.steer_to(&end);
            self.live(&end).await;
            self.find_agents();
        }
        let mut problems = self.come_to_rest().await;
        let mut history = self.history.take();
        let (broken, journals) = promises::broken(&self.world, &history).await;
        problems.extend(broken);
        history.log += &journals;
        if !problems.is_empty() {
            let log = std::env::temp_dir().join(format!("crash-seed-{}.log", self.seed));
            std::fs::write(&log, &history.log).unwrap();
            problems.push(format!("what the server said is in {}", log.display()));
        }
        Report { deaths: history.killed_by, problems }
    }

    fn add_alerts(&mut self) {
        for _ in 0..self.chance.usize(1..=3) {
            let kinds = ["contain", "sweep", "call", "isolate", "isolate", "outbreak", "asked"];
            let kind = kinds[self.chance.usize(..kinds.len())];
            // What nobody looks for stays away from agents that may ignore it.
            let agent = if kind == "asked" { AGENTS[2] } else { AGENTS[self.chance.usize(..3)] };
            let hold = ["100ms", "300ms", "1s", "1h"][self.chance.usize(..4)];
            let peer = ["192.0.2.1", "192.0.2.2"][self.chance.usize(..2)];
            self.add_alert(kind, agent, hold, peer);
        }
    }

    fn add_alert(&mut self, kind: &str, agent: &str, hold: &str, peer: &str) {
        let history = self.history.get_mut();
        let number = history.alerts.len();
        let source = format!("10.{}.{}.{}", self.seed % 256, number / 200, number % 200 + 1);
        let body = json!({
            "id": format!("1767000000.{number}"),
            "kind": kind,
            "rule": { "id": "5763", "level": 10, "description": "crash harness" },
            "agent": { "id": agent, "name": "host" },
            "agents": AGENTS,
            "hold": hold,
            "peer": peer,
            "data": { "srcip": source },
        });
        history.alerts.push(Alert { source, body, answers: Vec::new() });
    }

    /// Now and then the other side misbehaves too.
    fn order_faults(&mut self) {
        let chance = &mut self.chance;
        let execd = if chance.u8(..6) == 0 { Execd::Ignoring } else { Execd::Enabled };
        self.world.lab.set_agent_execd(AGENTS[chance.usize(..2)], execd).unwrap();
        let late = if chance.u8(..4) == 0 { Duration::from_millis(120) } else { Duration::ZERO };
        self.world.lab.set_evidence_delay(late);
        let order = |kind| Fault::once(System::Wazuh, "PUT", "/active-response", kind);
        let fault = match self.chance.u8(..10) {
            0 => order(Kind::DropAfter),
            1 => order(Kind::DropBefore),
            2 => order(Kind::ApiTimeout),
            3 => order(Kind::Delay { ms: 50 }),
            _ => return,
        };
        self.world.lab.order(fault);
        self.history.get_mut().faults += 1;
    }

    /// The file that says how far the server's clock is off.
    fn clock(&self) -> String {
        self.world.folder.path().join("clock").display().to_string()
    }

    fn set_clock(&self, ms: i64) {
        std::fs::write(self.clock(), ms.to_string()).unwrap();
    }

    /// In one session of four the clock jumps by an hour, either way, between two lives or in the middle of one.
    async fn move_clock(&self, mut chance: Rng) {
        if self.seed % 4 == 3 {
            tokio::time::sleep(Duration::from_millis(chance.u64(..200))).await;
            self.set_clock([-HOUR_MS, 0, HOUR_MS][chance.usize(..3)]);
            self.history.borrow_mut().has_jumped = true;
        }
    }

    /// Each point has its turn; beside them any point at all, and an end that no point has chosen.
    fn choose_end(&mut self, life: u32) -> End {
        let chance = &mut self.chance;
        if life == 0 && self.seed.is_multiple_of(3) {
            // Only a journal that begins gets there.
            return End::Armed("segment.renamed:1".to_owned());
        }
        match chance.u8(..10) {
            0 if chance.bool() => End::Asked(Duration::from_millis(chance.u64(..300))),
            0 => End::Killed(Duration::from_millis(chance.u64(..300))),
            1 | 2 => End::Armed(format!("*:{}", chance.u32(1..400))),
            3 => End::Armed(format!("send.sent:{}=later:{}", chance.u32(1..4), chance.u32(..5))),
            _ => {
                let turn = usize::try_from(self.seed).unwrap() * 7 + life as usize;
                let point = POINTS[turn % POINTS.len()];
                let times = if steer::is_rare(point) { 1 } else { chance.u32(1..=4) };
                End::Armed(format!("{point}:{times}"))
            }
        }
    }

    async fn live(&mut self, end: &End) {
        let (orders, life) = match end {
            End::Armed(orders) if self.steered.is_some() => (orders.as_str(), steer::LIFE),
            End::Armed(orders) => (orders.as_str(), LONGEST_LIFE),
            End::Killed(after) | End::Asked(after) => ("", *after),
        };
        let is_asked = matches!(end, End::Asked(_));
        let clock = self.clock();
        let variables = [("PORTCULLIS_CLOCK", clock.as_str()), ("PORTCULLIS_FAIL", orders)];
        let is_armed = !orders.is_empty();
        let log = match self.world.try_start(&variables[..1 + usize::from(is_armed)]).await {
            Err(log) => {
                self.history.get_mut().deaths_at_start += 1;
                log
            }
            Ok(()) => {
                self.go_on(life).await;
                match is_asked {
                    true => self.world.terminate().await.1,
                    false => self.world.kill().await,
                }
            }
        };
        let history = self.history.get_mut();
        history.deaths.push(now());
        let point = log.lines().find_map(|line| line.strip_prefix("fail point "));
        let how = point.unwrap_or(if is_asked { "asked to stop" } else { "from outside" });
        *history.killed_by.entry(how.to_owned()).or_default() += 1;
        history.log += &format!("--- {orders}\n{log}");
    }

    fn outside(&self, chance: Rng, is_restless: bool) -> Outside<'_> {
        let (world, client, history) = (&self.world, &self.client, &self.history);
        Outside { world, client, history, chance: RefCell::new(chance), is_restless }
    }

    /// Alerts are sent and questions answered until the server is dead or the time is over.
    async fn go_on(&mut self, life: Duration) {
        let (of_people, of_clock) = (self.chance.fork(), self.chance.fork());
        let outside = self.outside(of_people, true);
        let clock = self.move_clock(of_clock);
        let work = async {
            if self.steered.is_some() {
                // Nothing is sent while somebody has halted it.
                outside.resume().await;
            }
            tokio::join!(clock, outside.send_alerts(), outside.answer_questions(), self.lose_agents());
            // Whoever got no answer has to do with a server that is about to be gone.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = work => {}
            () = self.world.over() => {}
            () = tokio::time::sleep(life) => {}
        }
    }

    /// Nothing goes wrong any more: everything has to end, if not at once then when the clock has moved on. Each time
    /// the server is asked to stop, in the middle of whatever it does.
    async fn come_to_rest(&mut self) -> Vec<String> {
        self.world.lab.clear_faults();
        for agent in AGENTS {
            self.world.lab.set_agent_execd(agent, Execd::Enabled).unwrap();
        }
        let mut problems = Vec::new();
        self.history.get_mut().peace = Some(now());
        for round in 0..ROUNDS {
            let since = if self.history.borrow().has_jumped { 2 } else { 0 };
            self.set_clock(HOUR_MS * (since + round) + HOUR_MS / 10 * round);
            let started = self.world.try_start(&[("PORTCULLIS_CLOCK", &self.clock())]).await;
            started.unwrap_or_else(|log| panic!("the server ended at its start:\n{log}"));
            let of_people = self.chance.fork();
            let outside = self.outside(of_people, false);
            let resting = async {
                outside.resume().await;
                outside.send_alerts().await;
                while !self.is_at_rest().await {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let is_at_rest = tokio::select! {
                () = outside.answer_questions() => false,
                ended = tokio::time::timeout(ROUND, resting) => ended.is_ok(),
            };
            if is_at_rest {
                let ledger = self.world.get("/api/v1/containments").await.body;
                let targets = ledger["containments"].as_array().unwrap().iter();
                let targets = targets.map(|row| row["target"].as_str().unwrap().to_owned());
                self.history.borrow_mut().contained = targets.collect();
            } else if round == ROUNDS - 1 {
                let open: Vec<String> =
                    self.under_way().await.iter().map(|run| format!("\n  {run}")).collect();
                problems.push(format!("stuck: {}", open.concat()));
            }
            let (ended_well, log) = self.world.terminate().await;
            if !ended_well {
                problems.push("it did not end well when it was asked to stop".to_owned());
            }
            self.history.get_mut().log += &format!("--- at rest, round {round}\n{log}");
            if is_at_rest {
                break;
            }
        }
        problems
    }

    async fn is_at_rest(&self) -> bool {
        self.under_way().await.is_empty()
    }

    /// The runs that have not finished, or of which something follows, in one look: between two, a run could pass from one
    /// list to the other. What nobody is to undo rests.
    async fn under_way(&self) -> Vec<Value> {
        let answer = self.world.get("/api/v1/runs?limit=1000").await;
        assert_eq!(
            answer.body["next"],
            json!(null),
            "a session has so many runs that one page does not hold them"
        );
        let runs = answer.body["runs"].as_array().unwrap().iter();
        let is_live = |run: &Value| ["running", "waiting"].iter().any(|status| run["status"] == *status);
        let rests = |held: &Value| held["state"] == "holding" && held["until"].is_null();
        let holds = |run: &Value| run["containments"].as_array().cloned().unwrap_or_default();
        runs.filter(|run| is_live(run) || !holds(run).iter().all(rests)).cloned().collect()
    }
}
