//! An adapter that is lost a thousand times, in the midst of what it does.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use peerage::service::operation::{Options, Unsuccessful};
use peerage_relay::Node;
use peerage_relay::front::adapter::AGENT;
use peerage_tests::adapter::{Adapter, Way};
use peerage_tests::{Relay, join};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch;

const ROUNDS: u32 = 1000;
/// How often it is the node that goes, and how often the process is killed.
const NODE_EVERY: u32 = 40;
const KILL_EVERY: u32 = 55;
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
#[expect(
    clippy::too_many_lines,
    reason = "one story, told from its beginning to its end"
)]
async fn a_thousand_flaps_do_nothing_twice_and_leave_nothing_behind() {
    // Who is gone is gone at once.
    let config = json!({ "adapters": { "listen": "127.0.0.1:0" }, "timeouts": { "goneMs": 0 } });
    let mut relay = Relay::configured(&config);
    let way = Way::to(&relay.adapters()).await;
    let kitchens = Way::to(&relay.address).await;
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let args = [
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
    ];
    let kitchen = kitchens.join("kitchen").await;
    let mut adapter = Adapter::start(&args);
    adapter.until_said("linked").await;
    let node = join(&relay, "caller").await;
    relay.until_here("dispenser", true).await;
    let mut states = States::of(&node, "dispenser").await;
    let files_before = files(relay.id());
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut ends: HashMap<u32, String> = HashMap::new();
    for round in 1..=ROUNDS {
        let links = states.links();
        let order = json!({ "ml": 1 + random.next_u32() % 6, "label": round.to_string() });
        let pour = node.start("dispenser", "pour", &order, Options::default());
        tokio::time::sleep(Duration::from_micros((random.next_u32() % 40_000).into())).await;
        if round % KILL_EVERY == 0 {
            adapter.kill();
            adapter = Adapter::start(&args);
        } else if round % NODE_EVERY == 0 {
            kitchens.cut();
        } else {
            way.cut();
        }
        let end = match pour.await {
            Ok(_) => String::from("success"),
            Err(Unsuccessful::Fail { reason, .. }) => reason,
            Err(other) => panic!("round {round}: {other:?}"),
        };
        let known = ["success", "interrupted", "unreachable", "errGlassFull"];
        assert!(known.contains(&end.as_str()), "round {round}: {end}");
        ends.insert(round, end);
        states.until_linked_after(links).await;
        if round % 50 == 0 {
            node.proxy("dispenser", "Simulator")
                .call::<()>("empty", &())
                .await
                .unwrap();
        }
    }
    let times = poured(&journal);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    let count = |wanted: &str| ends.values().filter(|end| *end == wanted).count();
    for (round, end) in &ends {
        match end.as_str() {
            "success" => assert_eq!(times.get(round), Some(&1), "round {round}"),
            "unreachable" => assert_eq!(times.get(round), None, "round {round}"),
            _ => {}
        }
    }
    println!(
        "{ROUNDS} flaps: {} poured, {} interrupted, {} never begun; the valve was opened {} times",
        count("success"),
        count("interrupted"),
        count("unreachable"),
        times.len()
    );
    assert!(count("success") > 0 && count("interrupted") > 0);
    // Linked and not linked take turns, and no link is left out.
    let told = states.0.borrow().clone();
    let first = told[0].1;
    for (n, (linked, links)) in told.iter().enumerate() {
        let expected = (n % 2 == 1, first + (n as u64).div_ceil(2));
        assert_eq!((*linked, *links), expected, "change {n}");
    }
    let said = adapter.said();
    assert!(
        said.windows(2)
            .all(|pair| pair[0].starts_with("linked") != pair[1].starts_with("linked")),
        "{said:?}"
    );
    // Nothing is left of those that have gone.
    peerage_tests::until("the relay has let go", async || {
        files(relay.id()) <= files_before + 4
    })
    .await;
    let (_, listed) = relay.get("/api/v1/nodes", "").await;
    // The kitchen, the dispenser and the caller, each once: the relay does not list itself.
    assert_eq!(listed.matches("\"id\"").count(), 3, "{listed}");
    let still: u32 = node
        .proxy("dispenser", "Simulator")
        .get("actuations")
        .await
        .unwrap();
    assert!(still as usize <= times.len());
    drop(kitchen);
}
