//! A million starts and stops in lanes, over paths that break, through a relay that is killed: none is
//! doubled, lost or out of turn, though some are given up.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use peerage::rpc::{Act, Agent, Handling, Interface, Parcel, Proxy, Request};
use peerage::service::command::{Status, param};
use peerage::service::operation::Options;
use peerage::{Config, Kind};
use peerage_relay::Node;
use peerage_tests::{Relay, join};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

const PAIRS: u64 = 1_000_000;
const LANES: u64 = 8;
/// Of each lane, so many are under way at once: together fewer than may be.
const AT_ONCE: usize = 250;
/// Relays that are killed in the course of it.
const KILLS: u64 = 2;
const CUTS: u64 = 20;

/// Valves, one for each lane, that write down what is done out of turn.
struct Valves {
    /// Of each: the number after the last that was done, how many of those that nobody gave up were done,
    /// and whether one is being done.
    done: Vec<(AtomicU64, AtomicU64, AtomicBool)>,
    amiss: AtomicU64,
    jitter: Mutex<ChaCha8Rng>,
}

impl Valves {
    fn new() -> Self {
        Self {
            done: (0..LANES).map(|_| <_>::default()).collect(),
            amiss: AtomicU64::new(0),
            jitter: Mutex::new(ChaCha8Rng::seed_from_u64(5)),
        }
    }

    /// The `number`th act of a lane: an even one starts, an odd one stops.
    async fn act(&self, lane: u64, number: u64) {
        let (next, done, busy) = &self.done[lane as usize];
        // What was given up may be missing, and no other.
        let before = next.swap(number + 1, Ordering::SeqCst);
        let is_in_turn = before <= number && (before..number).all(is_given_up);
        if busy.swap(true, Ordering::SeqCst) || !is_in_turn {
            self.amiss.fetch_add(1, Ordering::SeqCst);
        }
        let _busy = Busy(busy);
        let jitter = self.jitter.lock().unwrap().next_u32();
        match jitter % 1000 {
            0 => tokio::time::sleep(Duration::from_micros(u64::from(jitter % 3000))).await,
            1..50 => tokio::task::yield_now().await,
            _ => {}
        }
        done.fetch_add(u64::from(!is_given_up(number)), Ordering::SeqCst);
    }

    fn all_done(&self) -> u64 {
        let done = self.done.iter();
        done.map(|(_, done, _)| done.load(Ordering::SeqCst)).sum()
    }
}

/// Until an act has ended, or is given up.
struct Busy<'a>(&'a AtomicBool);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// Which acts are given up as soon as they are asked for: calls, commands and operations alike.
const fn is_given_up(number: u64) -> bool {
    number.is_multiple_of(997)
}

/// Ends a task that nobody waits for.
struct GivenUp(AbortHandle);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The same by calls.
struct ByCall(Arc<Valves>);

impl Agent for ByCall {
    fn interface(&self) -> Interface {
        Interface::default()
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let (lane, number): (u64, u64) = request.args.read().unwrap();
        Box::pin(async move {
            self.0.act(lane, number).await;
            Ok(Parcel::default())
        })
    }
}

/// Offers the valves by calls, operations and commands.
fn offer(node: &Node, valves: &Arc<Valves>) -> peerage::rpc::AgentHandle {
    let own = Arc::clone(valves);
    node.operation("act", move |work| {
        let own = Arc::clone(&own);
        async move {
            let (lane, number) = work.args()?;
            own.act(lane, number).await;
            Ok(())
        }
    });
    let own = Arc::clone(valves);
    let params = (
        param::integer("LANE", "which valve"),
        param::integer("NUMBER", "how many before"),
    );
    node.commands().register(
        "act",
        "starts or stops",
        params,
        move |_, (lane, number)| {
            let own = Arc::clone(&own);
            async move {
                own.act(lane as u64, number as u64).await;
                Status::OK
            }
        },
    );
    node.agent("Valves", ByCall(Arc::clone(valves))).unwrap()
}

/// Asks for one act, mostly by a call, at times as an operation or by a command.
fn ask(node: &Node, proxy: &Proxy, lane: u64, number: u64) -> BoxFuture<'static, ()> {
    let name = format!("valve-{lane}");
    match number % 1000 {
        500 => {
            let options = Options {
                lane: Some(name),
                ..Options::default()
            };
            let operation = node.start("b", "act", &(lane, number), options);
            if is_given_up(number) {
                operation.cancel("nobody wants it");
            }
            operation
                .map(|result| assert!(result.is_ok(), "{result:?}"))
                .boxed()
        }
        333 => {
            let line = format!("act {lane} {number} @b");
            let run = node.commands().start_in(Some(&name), &line, None).unwrap();
            let task = tokio::spawn(async move {
                let outcome = run.outcome().await.unwrap();
                assert_eq!(outcome.status, Status::OK);
            });
            let given_up = GivenUp(task.abort_handle());
            async move {
                task.await.unwrap();
                drop(given_up);
            }
            .boxed()
        }
        _ => {
            let args = Parcel::of(&(lane, number)).unwrap();
            let asking = proxy.ask(Act::Call, "act", args);
            asking
                .map(|result| assert!(result.is_ok(), "{result:?}"))
                .boxed()
        }
    }
}

/// All acts of one lane, made without waiting for one another.
async fn drive(node: Node, lane: u64) {
    let proxy = node.proxy("b", "Valves").in_lane(format!("valve-{lane}"));
    let mut under_way = VecDeque::new();
    for number in 0..2 * PAIRS / LANES {
        if under_way.len() >= AT_ONCE {
            under_way.pop_front().unwrap().await;
        }
        let asked = ask(&node, &proxy, lane, number);
        if !is_given_up(number) {
            under_way.push_back(asked);
        }
    }
    for last in under_way {
        last.await;
    }
}

/// A way to a relay that can be cut: what goes through it then ends.
struct Wire {
    address: String,
    cut: watch::Sender<()>,
}

impl Wire {
    async fn to(relay: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (cut, cuts) = watch::channel(());
        tokio::spawn(async move {
            loop {
                let (mut here, _) = listener.accept().await.unwrap();
                let (relay, mut cuts) = (relay.clone(), cuts.clone());
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    // A relay that is dead refuses, and so does this.
                    let Ok(mut there) = TcpStream::connect(relay).await else {
                        return;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut here, &mut there) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { address, cut }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_pairs_in_lanes_are_done_once_and_in_turn() {
    let mut relay = Relay::start("127.0.0.1:0");
    let wire = Wire::to(relay.address.clone()).await;
    let b = join(&relay, "b").await;
    let valves = Arc::new(Valves::new());
    let _agent = offer(&b, &valves);
    let config = Config::new(Kind::Native).named("a".parse().unwrap());
    let through = format!("ws://{}/mesh", wire.address).parse().unwrap();
    let a = Node::join(config, vec![through]).await.unwrap();
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| tokio::spawn(drive(a.clone(), lane)))
        .collect();

    let all = 2 * PAIRS;
    let begun = std::time::Instant::now();
    let mut killed = 0;
    for step in 1..=CUTS {
        while valves.all_done() < all * step / (CUTS + 1) {
            assert!(lanes.iter().all(|lane| !lane.is_finished()));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if step % (CUTS / KILLS) == 0 {
            relay.kill();
            killed += 1;
            relay = Relay::start(&relay.address);
        } else {
            wire.cut.send(()).unwrap();
        }
    }
    for lane in lanes {
        lane.await.unwrap();
    }
    let took = begun.elapsed();
    println!(
        "{PAIRS} pairs in {LANES} lanes, {CUTS} cuts, {killed} by killing the relay: {took:.1?}"
    );
    assert_eq!(valves.amiss.load(Ordering::SeqCst), 0, "out of turn");
    let each = (0..all / LANES)
        .filter(|number| !is_given_up(*number))
        .count() as u64;
    for (_, done, _) in &valves.done {
        assert_eq!(done.load(Ordering::SeqCst), each);
    }
}
