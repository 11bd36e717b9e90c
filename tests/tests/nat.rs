//! Native nodes behind routers of every kind: which pairs find a direct way, and that all of them work from the
//! first message on. Times are told, and none is demanded.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "whose reader wants the figures")]

use std::time::{Duration, Instant};

use peerage_tests::nat::{Internet, Nat, Process};
use serde_json::json;

/// How long a direct way may take that is to come: a machine under load is slow, not wrong.
const DIRECT_MAX: Duration = Duration::from_secs(20);
/// How long it is watched that none comes.
const RELAYED_FOR: Duration = Duration::from_secs(8);

/// Calls that are made in the end, whatever the way.
const CALLS: u32 = 20;

/// What came of a pair.
struct Outcome {
    first: Duration,
    direct: Option<Duration>,
}

/// Two nodes that talk with each other: how soon they can, and how soon directly.
fn meet(left: Nat, right: Nat) -> Outcome {
    let internet = Internet::new();
    let homes = (internet.home(left), internet.home(right));
    let _relay = Process::relay(&internet, &json!({}));
    let mut a = Process::peer(&homes.0, "a");
    let _b = Process::peer(&homes.1, "b");
    let begun = Instant::now();
    assert_eq!(a.ask("calc 1+2 @b"), "3");
    let first = begun.elapsed();
    let patience = match left.is_way(right) {
        true => DIRECT_MAX,
        false => RELAYED_FOR,
    };
    let mut direct = None;
    while direct.is_none() && begun.elapsed() < patience {
        let told = a.ask("ping @b");
        // What is asked but once may be lost.
        let is_lost = told.starts_with("timed-out");
        assert!(told.starts_with("b: ") || is_lost, "{told}");
        direct = told.ends_with("direct").then(|| begun.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    for n in 0..CALLS {
        assert_eq!(a.ask(&format!("calc {n}+1 @b")), (n + 1).to_string());
    }
    Outcome { first, direct }
}

fn told(left: Nat, right: Nat) -> bool {
    let Outcome { first, direct } = meet(left, right);
    let way = match direct {
        Some(after) => format!("direct after {:.0} ms", after.as_secs_f64() * 1000.0),
        None => String::from("relayed"),
    };
    println!(
        "{:>10}  {:>10}  first message {:>5.0} ms  {way}",
        left.as_str(),
        right.as_str(),
        first.as_secs_f64() * 1000.0
    );
    direct.is_some()
}

#[test]
fn pairs_of_native_nodes_are_direct_where_there_is_a_way_and_relayed_where_there_is_none() {
    let mut wrong = Vec::new();
    for left in Nat::OPEN {
        for right in Nat::OPEN {
            if told(left, right) != left.is_way(right) {
                wrong.push((left, right));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_way_is_found_though_datagrams_are_lost_and_no_call_is() {
    assert!(told(Nat::Lossy, Nat::PortRestricted));
    assert!(told(Nat::None, Nat::Lossy));
}

#[test]
fn where_udp_is_blocked_the_relay_carries_everything() {
    assert!(!told(Nat::UdpBlocked, Nat::None));
    assert!(!told(Nat::PortRestricted, Nat::UdpBlocked));
}

#[test]
fn a_direct_link_outlives_the_relay_and_one_that_was_ended_by_hand_is_let_be() {
    let internet = Internet::new();
    let homes = (
        internet.home(Nat::PortRestricted),
        internet.home(Nat::PortRestricted),
    );
    let relay = Process::relay(&internet, &json!({}));
    let mut a = Process::peer(&homes.0, "a");
    let _b = Process::peer(&homes.1, "b");
    let until_direct = |a: &mut Process| {
        let begun = Instant::now();
        while !a.ask("ping @b").ends_with("direct") {
            assert!(begun.elapsed() < 3 * DIRECT_MAX, "never direct");
            assert_eq!(a.ask("calc 1+2 @b"), "3");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    assert_eq!(a.ask("calc 1+2 @b"), "3");
    until_direct(&mut a);
    // It says nothing: the next line is the answer to the next command.
    a.say("disconnect @b");
    // A call is made again where a ping may be lost: once it is answered the other side knows, too.
    assert_eq!(a.ask("calc 2*21 @b"), "42");
    assert!(a.ask("ping @b").ends_with("relayed"));
    until_direct(&mut a);
    drop(relay);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(a.ask("calc 6*7 @b"), "42");
    assert!(a.ask("ping @b").ends_with("direct"));
}
