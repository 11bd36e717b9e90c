//! An adapter that is lost a thousand times, in the midst of what it does.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use peerage::rpc::Proxy;
use peerage::service::operation::{Options, Unsuccessful};
use peerage_relay::Node;
use peerage_relay::front::adapter::AGENT;
use peerage_tests::adapter::{Adapter, Way};
use peerage_tests::{Relay, join, until};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

const ROUNDS: u32 = 1000;
/// How often it is the node that goes, and how often the process is killed.
const NODE_EVERY: u32 = 40;
const KILL_EVERY: u32 = 55;
/// How often the glass is emptied.
const EMPTY_EVERY: u32 = 50;
const SEED: u64 = 24;

/// The states of an adapter, as a caller hears of them.
struct States(watch::Receiver<Vec<(bool, u64)>>);

impl States {
    async fn of(node: &Node, adapter: &str) -> Self {
        let mut changes = node.proxy(adapter, AGENT).on::<Value>("changed");
        changes.begun().await.unwrap();
        let (tell, told) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Some(change) = changes.next().await {
                let change = change.unwrap();
                assert_eq!(changes.missed(), 0);
                let state = (change["linked"] == true, change["links"].as_u64().unwrap());
                tell.send_modify(|states: &mut Vec<_>| states.push(state));
            }
        });
        Self(told)
    }

    fn links(&self) -> u64 {
        self.0.borrow().last().map_or(1, |state| state.1)
    }

    async fn until_linked_after(&mut self, links: u64) {
        let linked = self.0.wait_for(|states| {
            states
                .last()
                .is_some_and(|(linked, count)| *linked && *count > links)
        });
        let linked = tokio::time::timeout(Duration::from_secs(60), linked).await;
        linked.expect("it is linked again").unwrap();
    }
}

/// A dispenser whose lines can be cut at any moment, and a caller who has it pour.
struct Stage {
    adapter: Adapter,
    /// The dispenser's way to the relay, and its node's.
    way: Way,
    kitchens: Way,
    _kitchen: Node,
    caller: Node,
    states: States,
    journal: PathBuf,
    _folder: TempDir,
    random: ChaCha8Rng,
}

impl Stage {
    async fn set(relay: &mut Relay) -> Self {
        let way = Way::to(&relay.adapters()).await;
        let kitchens = Way::to(&relay.address).await;
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal");
        let kitchen = kitchens.join("kitchen").await;
        let adapter = dispenser(&way, &journal);
        adapter.until_said("linked").await;
        let caller = join(relay, "caller").await;
        relay.until_here("dispenser", true).await;
        let states = States::of(&caller, "dispenser").await;
        Self {
            adapter,
            way,
            kitchens,
            _kitchen: kitchen,
            caller,
            states,
            journal,
            _folder: folder,
            random: ChaCha8Rng::seed_from_u64(SEED),
        }
    }

    /// Loses the dispenser in the midst of a pour, until it is linked again; how the pour ended.
    async fn flap(&mut self, round: u32) -> String {
        let links = self.states.links();
        let order = json!({ "ml": 1 + self.random.next_u32() % 6, "label": round.to_string() });
        let options = Options::default();
        let pour = self.caller.start("dispenser", "pour", &order, options);
        let moment = Duration::from_micros((self.random.next_u32() % 40_000).into());
        tokio::time::sleep(moment).await;
        self.lose(round);
        let end = match pour.await {
            Ok(_) => String::from("success"),
            Err(Unsuccessful::Fail { reason, .. }) => reason,
            Err(other) => panic!("round {round}: {other:?}"),
        };
        let known = ["success", "interrupted", "unreachable", "errGlassFull"];
        assert!(known.contains(&end.as_str()), "round {round}: {end}");
        self.states.until_linked_after(links).await;
        if round.is_multiple_of(EMPTY_EVERY) {
            self.simulator().call::<()>("empty", &()).await.unwrap();
        }
        end
    }

    /// Its process is killed, its node goes, or its line is cut.
    fn lose(&mut self, round: u32) {
        if round.is_multiple_of(KILL_EVERY) {
            self.adapter.kill();
            self.adapter = dispenser(&self.way, &self.journal);
        } else if round.is_multiple_of(NODE_EVERY) {
            self.kitchens.cut();
        } else {
            self.way.cut();
        }
    }

    fn simulator(&self) -> Proxy {
        self.caller.proxy("dispenser", "Simulator")
    }
}

fn dispenser(way: &Way, journal: &Path) -> Adapter {
    Adapter::start(&[
        "dispenser",
        "--connect",
        &way.address,
        "--node",
        "kitchen",
        "--instance",
        "board-1",
        "--rate",
        "200",
        "--journal",
        journal.to_str().unwrap(),
    ])
}

/// How many files a process has open (Linux).
fn files(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .count()
}

/// How often each was poured, as the dispenser has it.
fn poured(journal: &Path) -> HashMap<u32, u32> {
    let mut times = HashMap::new();
    for line in std::fs::read_to_string(journal).unwrap().lines() {
        *times.entry(line.parse().unwrap()).or_default() += 1;
    }
    times
}

#[tokio::test]
async fn a_thousand_flaps_do_nothing_twice_and_leave_nothing_behind() {
    // Who is gone is gone at once.
    let config = json!({ "adapters": { "listen": "127.0.0.1:0" }, "timeouts": { "goneMs": 0 } });
    let mut relay = Relay::configured(&config);
    let mut stage = Stage::set(&mut relay).await;
    let files_before = files(relay.id());
    let mut ends: HashMap<u32, String> = HashMap::new();
    for round in 1..=ROUNDS {
        ends.insert(round, stage.flap(round).await);
    }
    let times = poured(&stage.journal);
    println!("{}", assert_poured_as_told(&ends, &times));
    assert_links_take_turns(&stage.states.0.borrow(), &stage.adapter.said());
    nothing_is_left_of_those_that_have_gone(&relay, files_before).await;
    let still: u32 = stage.simulator().get("actuations").await.unwrap();
    assert!(still as usize <= times.len());
}

/// Nothing is poured twice, what succeeds is poured, and what cannot be reached is not; how often which.
fn assert_poured_as_told(ends: &HashMap<u32, String>, times: &HashMap<u32, u32>) -> String {
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    let count = |wanted: &str| ends.values().filter(|end| *end == wanted).count();
    for (round, end) in ends {
        match end.as_str() {
            "success" => assert_eq!(times.get(round), Some(&1), "round {round}"),
            "unreachable" => assert_eq!(times.get(round), None, "round {round}"),
            _ => {}
        }
    }
    assert!(count("success") > 0 && count("interrupted") > 0);
    format!(
        "{ROUNDS} flaps: {} poured, {} interrupted, {} never begun; the valve was opened {} times",
        count("success"),
        count("interrupted"),
        count("unreachable"),
        times.len()
    )
}

/// Linked and not linked take turns, and no link is left out: so has a caller heard it, and so says the adapter.
fn assert_links_take_turns(told: &[(bool, u64)], said: &[String]) {
    let first = told[0].1;
    for (n, (linked, links)) in told.iter().enumerate() {
        let expected = (n % 2 == 1, first + (n as u64).div_ceil(2));
        assert_eq!((*linked, *links), expected, "change {n}");
    }
    assert!(
        said.windows(2)
            .all(|pair| pair[0].starts_with("linked") != pair[1].starts_with("linked")),
        "{said:?}"
    );
}

async fn nothing_is_left_of_those_that_have_gone(relay: &Relay, files_before: usize) {
    until("the relay has let go", async || {
        files(relay.id()) <= files_before + 4
    })
    .await;
    let (_, listed) = relay.get("/api/v1/nodes", "").await;
    // The kitchen, the dispenser and the caller, each once: the relay does not list itself.
    assert_eq!(listed.matches("\"id\"").count(), 3, "{listed}");
}
