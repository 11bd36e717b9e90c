//! The relay's broker with its store, under publishers that reconnect and a relay that is killed: what each
//! subscriber gets has no gap that is not told, and what was acknowledged is there.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use peerage::service::broker::{Filter, Gap, Item, Publish, Subscribe, Subscription};
use peerage::{Code, Config, Kind};
use peerage_relay::Node;
use peerage_tests::{Ran, Relay, join, until};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const SEED: u64 = 4;
const PUBLISHERS: usize = 4;
const SUBSCRIBER_NODES: usize = 10;
const SUBSCRIPTIONS_EACH: usize = 10;
const KILLS: usize = 5;
/// Messages of a publisher that are under way at once.
const WINDOW: usize = 8;
const FILTERS: [&str; 10] = [
    "all/#", "all/0/*", "all/+/a", "all/1/b", "all/2/#", "few/#", "few/a", "state/#", "state/0",
    "all/*",
];

/// What was published and acknowledged: by publisher and number, topic and offset (none if it was known).
type Acknowledged = Mutex<BTreeMap<(usize, u64), (String, Option<u64>)>>;

fn draw(rng: &mut ChaCha8Rng, n: u64) -> u64 {
    rng.next_u64() % n
}

async fn node(mesh: &str, name: &str) -> Node {
    loop {
        let config = Config::new(Kind::Native).named(name.parse().unwrap());
        if let Ok(node) = Node::join(config, vec![mesh.parse().unwrap()]).await {
            return node;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Publishes numbered messages until it is told to end, and leaves and returns now and then.
async fn publish(
    mesh: String,
    me: usize,
    over: Arc<AtomicBool>,
    acknowledged: Arc<Acknowledged>,
    returns: Arc<AtomicU64>,
) {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED + me as u64);
    let name = format!("publisher-{me}");
    let mut here = node(&mesh, &name).await;
    let mut unsure: VecDeque<(u64, String)> = VecDeque::new();
    let mut number = 0;
    while !over.load(Ordering::Relaxed) || !unsure.is_empty() {
        while unsure.len() < WINDOW && !over.load(Ordering::Relaxed) {
            number += 1;
            let topic = match draw(&mut rng, 10) {
                0..6 => format!(
                    "all/{}/{}",
                    draw(&mut rng, 4),
                    ["a", "b"][draw(&mut rng, 2) as usize]
                ),
                6..8 => format!("few/{}", ["a", "b"][draw(&mut rng, 2) as usize]),
                _ => format!("state/{me}"),
            };
            unsure.push_back((number, topic));
        }
        let publishing = unsure.iter().map(|(number, topic)| {
            let options = Publish {
                retain: topic.starts_with("state/"),
                number: Some((name.clone(), *number)),
                ..Publish::default()
            };
            // On its way now, and waited for later.
            let publishing = here.topics().publish(topic, &(me, *number), options);
            async move { publishing?.await }
        });
        let publishing: Vec<_> = publishing.collect();
        let leaves = draw(&mut rng, 12) == 0;
        if leaves {
            sleep(Duration::from_millis(draw(&mut rng, 20))).await;
            here.close().await;
            returns.fetch_add(1, Ordering::Relaxed);
        }
        let results = join_all(publishing).await;
        let mut open = VecDeque::new();
        for ((number, topic), result) in unsure.drain(..).zip(results) {
            match result {
                Ok(published) => {
                    let mut all = acknowledged.lock().unwrap();
                    assert_eq!(all.insert((me, number), (topic, published.offset)), None);
                }
                Err(_) => open.push_back((number, topic)),
            }
        }
        let failed = !open.is_empty();
        unsure = open;
        if leaves {
            here = node(&mesh, &name).await;
        } else if failed {
            sleep(Duration::from_millis(50)).await;
        }
        sleep(Duration::from_millis(60 + draw(&mut rng, 60))).await;
    }
    here.close().await;
}

/// What one subscriber has got.
#[derive(Default)]
struct Record {
    /// Offset, publisher and number, in the order in which they came.
    messages: Vec<(u64, usize, u64)>,
    gaps: Vec<Gap>,
    ended: usize,
}

/// Reads until it is told to end and nothing comes any more; ends its subscription and continues now and then.
async fn subscribe(node: Node, n: usize, over: Arc<AtomicBool>) -> Record {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED * 1000 + n as u64);
    let filter = FILTERS[n % FILTERS.len()];
    let mut record = Record::default();
    let mut subscription = begin(&node, filter, Subscribe::default()).await;
    let mut last = None;
    loop {
        let quiet = Duration::from_millis(if over.load(Ordering::Relaxed) {
            3000
        } else {
            500
        });
        match timeout(quiet, subscription.next()).await {
            Ok(Some(Ok(Item::Message(message)))) => {
                let (publisher, number) = message.read().unwrap();
                // A position that was given before it was read through begins with what is retained.
                if !message.retained {
                    record.messages.push((message.offset, publisher, number));
                }
                last = Some(message.position());
            }
            Ok(Some(Ok(Item::Gap(gap)))) => record.gaps.push(gap),
            Ok(other) => panic!("{filter}: {other:?}"),
            Err(_) if over.load(Ordering::Relaxed) => return record,
            Err(_) => {}
        }
        if last.is_some() && !over.load(Ordering::Relaxed) && draw(&mut rng, 150) == 0 {
            drop(subscription);
            sleep(Duration::from_millis(draw(&mut rng, 1500))).await;
            record.ended += 1;
            let options = Subscribe {
                after: last,
                ..Subscribe::default()
            };
            subscription = begin(&node, filter, options).await;
        }
    }
}

async fn begin(node: &Node, filter: &str, options: Subscribe) -> Subscription {
    loop {
        match node.topics().subscribe(filter, options.clone()).await {
            Ok(subscription) => return subscription,
            Err(failure) => {
                let passing = [
                    Code::Unreachable,
                    Code::Gone,
                    Code::TimedOut,
                    Code::UnknownName,
                    Code::UnknownProtocol,
                ];
                assert!(passing.contains(&failure.code), "{failure}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn check(
    filter: &str,
    record: &Record,
    acknowledged: &BTreeMap<(usize, u64), (String, Option<u64>)>,
) {
    let meant: Filter = filter.parse().unwrap();
    let offsets = record.messages.iter().map(|(offset, ..)| *offset);
    assert!(
        offsets.is_sorted_by(|a, b| a < b),
        "{filter}: out of order, or double"
    );
    let got: BTreeSet<_> = record.messages.iter().map(|(_, p, n)| (*p, *n)).collect();
    assert_eq!(got.len(), record.messages.len(), "{filter}: double");
    for (id, (topic, offset)) in acknowledged {
        if !meant.matches(topic) || got.contains(id) {
            continue;
        }
        let told = match offset {
            Some(offset) => record
                .gaps
                .iter()
                .any(|gap| (gap.first..=gap.last).contains(offset)),
            None => !record.gaps.is_empty(),
        };
        assert!(
            told,
            "{filter}: {id:?} of {topic} at {offset:?} is missing, gaps: {:?}",
            record.gaps
        );
    }
}

fn configuration(folder: &Path) -> std::path::PathBuf {
    let file = folder.join("relay.json");
    let config = json!({ "broker": { "store": folder.join("store"), "history": [
        { "filter": "few/#", "count": 5 },
        { "filter": "#", "count": 100_000, "bytes": 50_000_000, "ageMs": 600_000 } ] } });
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// A hundred subscribers, who all have begun.
async fn subscribe_all(relay: &Relay, over: &Arc<AtomicBool>) -> Vec<JoinHandle<Record>> {
    let mut subscribing = Vec::new();
    for n in 0..SUBSCRIBER_NODES {
        let node = node(&relay.mesh(), &format!("subscriber-{n}")).await;
        for m in 0..SUBSCRIPTIONS_EACH {
            let number = n * SUBSCRIPTIONS_EACH + m;
            let record = subscribe(node.clone(), number, Arc::clone(over));
            subscribing.push(tokio::spawn(record));
        }
    }
    let probe = join(relay, "probe").await;
    until("all have subscribed", async || {
        let presence = probe.topics().presence("#", None).await.unwrap();
        presence.members().len() == SUBSCRIBER_NODES * SUBSCRIPTIONS_EACH
    })
    .await;
    probe.close().await;
    subscribing
}

#[tokio::test(flavor = "multi_thread")]
async fn no_gap_is_untold_and_what_was_acknowledged_is_there_whoever_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path());
    let mut relay = Relay::at("127.0.0.1:0", &config);
    let (address, mesh) = (relay.address.clone(), relay.mesh());
    let over = Arc::new(AtomicBool::new(false));
    let (acknowledged, returns) = (Arc::<Acknowledged>::default(), Arc::<AtomicU64>::default());
    let subscribing = subscribe_all(&relay, &over).await;
    let publishing: Vec<_> = (0..PUBLISHERS)
        .map(|me| {
            let (over, acknowledged) = (Arc::clone(&over), Arc::clone(&acknowledged));
            tokio::spawn(publish(
                mesh.clone(),
                me,
                over,
                acknowledged,
                Arc::clone(&returns),
            ))
        })
        .collect();
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    for _ in 0..KILLS {
        sleep(Duration::from_millis(1500 + draw(&mut rng, 2000))).await;
        relay.kill();
        sleep(Duration::from_millis(draw(&mut rng, 500))).await;
        relay = Relay::at(&address, &config);
    }
    sleep(Duration::from_millis(1500)).await;
    over.store(true, Ordering::Relaxed);
    for task in publishing {
        task.await.unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    let (mut messages, mut gaps, mut gapless, mut ended) = (0, 0, 0, 0);
    for (n, task) in subscribing.into_iter().enumerate() {
        let record = task.await.unwrap();
        check(FILTERS[n % FILTERS.len()], &record, &acknowledged);
        messages += record.messages.len();
        gaps += record.gaps.len();
        gapless += usize::from(record.gaps.is_empty());
        ended += record.ended;
    }
    let returns = returns.load(Ordering::Relaxed);
    // Seen in the log of a run that succeeds as well.
    println!(
        "{} acknowledged, {messages} received by 100 subscribers, {gapless} of them without a gap, {gaps} gaps told; \
         {KILLS} kills, {returns} returns of publishers, {ended} of subscribers",
        acknowledged.len()
    );
    assert!(acknowledged.len() > 300 && returns > 5 && ended > 5 && gapless >= 60);

    // Killed once more, for nothing that was acknowledged is anywhere but on disk.
    relay.kill();
    are_retained(&Relay::at(&address, &config), &acknowledged).await;
}

/// Whether a newcomer gets the last value of each state.
async fn are_retained(relay: &Relay, acknowledged: &BTreeMap<(usize, u64), (String, Option<u64>)>) {
    let mut newest = BTreeMap::new();
    for ((publisher, number), (topic, _)) in acknowledged {
        if topic.starts_with("state/") {
            newest.insert(topic.clone(), (*publisher, *number));
        }
    }
    let late = join(relay, "late").await;
    let mut subscription = late.subscribe("state/#").await.unwrap();
    let mut retained = BTreeMap::new();
    while retained.len() < newest.len() {
        let item = timeout(Duration::from_secs(20), subscription.next()).await;
        let Some(Ok(Item::Message(message))) = item.expect("all are retained") else {
            panic!("no message")
        };
        assert!(message.retained);
        retained.insert(
            message.topic.to_string(),
            message.read::<(usize, u64)>().unwrap(),
        );
    }
    assert_eq!(retained, newest);
}

#[tokio::test]
async fn the_prompt_publishes_and_lists_and_a_relay_without_a_store_says_nothing_of_what_was() {
    let mut relay = Relay::start("127.0.0.1:0");
    assert_eq!(relay.run("retain cups/left 3", &[]).await.status, 0);
    assert_eq!(relay.run("publish cups/left full", &[]).await.status, 0);
    let listed = relay.run("topics cups/#", &[]).await.output;
    assert_eq!(listed, "cups/left  2 messages, retained");
    let shown = relay.run("subscribe cups/+", &["--timeout", "2s"]).await;
    assert_eq!(shown.output, "cups/left 3");
    let wrong = relay.run("publish cups/+ 3", &[]).await;
    assert!(
        wrong.status == 1 && wrong.output.contains("bad-message"),
        "{wrong:?}"
    );
    // From a relay below, the broker is that of the root.
    let below = Relay::below(&[&relay], "below").await;
    assert_eq!(below.run("topics", &[]).await.output, listed);
    let address = relay.address.clone();
    relay.kill();
    let relay = Relay::start(&address);
    assert_eq!(relay.run("topics", &[]).await.output, "");
}

#[tokio::test]
async fn a_store_that_cannot_be_is_told_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.json");
    std::fs::write(folder.path().join("text"), "no store").unwrap();
    let config = json!({ "broker": { "store": folder.path().join("text") } });
    std::fs::write(&file, config.to_string()).unwrap();
    let ran = Ran::of(&[
        "relay",
        "--listen",
        "127.0.0.1:0",
        "--config",
        file.to_str().unwrap(),
    ])
    .await;
    assert_eq!(ran.status, 1);
    assert!(ran.complaint.contains("text"), "{}", ran.complaint);
}
