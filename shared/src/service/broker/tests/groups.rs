//! Shared subscriptions, and who is here.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::error::Code;
use crate::limits::{
    BROKER_BYTES_MAX, GROUP_LINGER, PRESENCE_EVENTS_MAX, PUBLISH_BYTES_MAX,
    SUBSCRIBER_MESSAGES_MAX, UNTAKEN_GROUP_MAX,
};
use crate::service::broker::Member;

fn of_group(filter: &str) -> Wish {
    Wish {
        group: Some("workers".into()),
        ..wish(filter)
    }
}

#[test]
fn each_message_is_for_one_of_the_group() {
    let mut bench = Bench::keeping(10);
    let members = [1, 2, 3].map(|node| bench.subscribe_as(node, of_group("jobs/+")));
    let alone = bench.subscribe(wish("jobs/+"));
    let all: Vec<_> = (0..30).map(|n| n.to_string()).collect();
    for value in &all {
        bench.publish("jobs/x", value);
    }
    let shares = members.map(|member| bench.texts(member));
    assert!(shares.iter().all(|share| share.len() == 10), "{shares:?}");
    assert_eq!(set(shares.concat()), set(all.clone()));
    assert_eq!(bench.texts(alone), all);
}

#[test]
fn what_a_member_leaves_untaken_is_for_the_others() {
    let mut bench = Bench::keeping(0);
    let [stays, goes] = [1, 2].map(|node| bench.subscribe_as(node, of_group("jobs")));
    for n in 0..6 {
        bench.publish("jobs", &n.to_string());
    }
    assert_eq!(bench.texts(stays), ["0", "2", "4"]);
    assert_eq!(bench.texts(goes), ["1", "3", "5"]);
    bench.take(goes, 1);
    bench.unsubscribe(goes);
    // It had these, and may have done them.
    assert_eq!(bench.texts(stays), ["3!", "5!"]);
    bench.unsubscribe(stays);
    bench.publish("jobs", "6");
    let next = bench.subscribe_as(3, of_group("jobs"));
    assert_eq!(bench.texts(next), ["0!", "2!", "4!", "3!", "5!", "6"]);
}

#[test]
fn what_is_too_much_for_a_group_is_dropped_and_told() {
    let mut bench = Bench::keeping(0);
    let member = bench.subscribe(of_group("jobs"));
    let most = UNTAKEN_GROUP_MAX + SUBSCRIBER_MESSAGES_MAX;
    for n in 0..most + 3 {
        bench.publish("jobs", &n.to_string());
    }
    assert_eq!(bench.texts(member).len(), UNTAKEN_GROUP_MAX);
    bench.take(member, UNTAKEN_GROUP_MAX as u64);
    assert_eq!(bench.texts(member)[0], "-3");
}

#[test]
fn a_group_without_members_lasts_for_a_while() {
    let mut bench = Bench::keeping(0);
    let member = bench.subscribe(of_group("jobs"));
    bench.unsubscribe(member);
    bench.publish("jobs", "1");
    bench.state.sweep(GROUP_LINGER.as_millis() as i64 - 1);
    let member = bench.subscribe(of_group("jobs"));
    assert_eq!(bench.texts(member), ["1"]);
    bench.unsubscribe(member);
    bench.state.sweep(GROUP_LINGER.as_millis() as i64);
    let member = bench.subscribe(of_group("jobs"));
    assert_eq!(bench.texts(member), [""; 0]);
    assert!(!bench.state.ages());
}

#[test]
fn what_is_under_way_to_groups_is_bounded_the_greatest_holder_ends() {
    let mut bench = Bench::keeping(0);
    let large = "x".repeat(PUBLISH_BYTES_MAX);
    let members = 2 * BROKER_BYTES_MAX / PUBLISH_BYTES_MAX;
    let mut ended = 0;
    for n in 0..members {
        let topic = format!("jobs/{n}");
        let member = bench.subscribe(of_group(&topic));
        bench.publish(&topic, &large);
        // It is under way, and is not taken.
        assert_eq!(bench.texts(member).len(), 1);
        let over: Vec<_> = bench.state.subscribers.keys().copied().collect();
        for id in over {
            if bench.state.over(id).is_some() {
                bench.unsubscribe(id);
                ended += 1;
            }
        }
        assert!(bench.state.alive.bytes() < BROKER_BYTES_MAX + BROKER_BYTES_MAX / 16);
    }
    assert!(ended > members / 4, "{ended}");
}

#[test]
fn a_group_has_no_positions() {
    let mut bench = Bench::keeping(0);
    for wish in [
        Wish {
            history: true,
            ..of_group("a")
        },
        Wish {
            slow: Slow::Latest,
            ..of_group("a")
        },
        Wish {
            group: Some("x".repeat(256)),
            ..wish("a")
        },
        Wish {
            after: after("a", 1).after,
            ..of_group("a")
        },
    ] {
        let refused = bench.state.subscribe(id(1), wish, &mut Touched::new());
        assert_eq!(refused.unwrap_err().code, Code::BadMessage);
    }
}

#[test]
fn what_a_group_missed_is_told_to_who_is_left() {
    let mut bench = Bench::keeping(0);
    let member = bench.subscribe(of_group("jobs"));
    for n in 0..UNTAKEN_GROUP_MAX + SUBSCRIBER_MESSAGES_MAX + 3 {
        bench.publish("jobs", &n.to_string());
    }
    bench.texts(member);
    bench.take(member, UNTAKEN_GROUP_MAX as u64);
    // It is told, but does not say that it knows.
    assert_eq!(bench.texts(member)[0], "-3");
    bench.unsubscribe(member);
    let next = bench.subscribe_as(2, of_group("jobs"));
    assert_eq!(bench.texts(next)[0], "-3");
}

#[test]
fn what_none_of_the_group_was_to_hear_is_told_to_who_comes() {
    let mut bench = Bench::keeping(0);
    let own = bench.subscribe_as(9, of_group("jobs"));
    bench.publish("jobs", "own");
    assert_eq!(bench.texts(own), [""; 0]);
    let other = bench.subscribe_as(1, of_group("jobs"));
    bench.publish("jobs", "next");
    assert_eq!(bench.texts(other), ["-1", "next"]);
}

#[test]
fn a_group_that_begins_anew_has_another_beginning() {
    let mut bench = Bench::keeping(0);
    let since = |bench: &mut Bench, member| {
        let since = bench.state.group_since(member).unwrap();
        bench.unsubscribe(member);
        since
    };
    let first = bench.subscribe(of_group("jobs"));
    bench.publish("jobs", "1");
    let second = bench.subscribe(of_group("jobs"));
    let [first, second] = [first, second].map(|member| since(&mut bench, member));
    assert_eq!(first, second);
    bench.state.sweep(GROUP_LINGER.as_millis() as i64);
    let third = bench.subscribe(of_group("jobs"));
    assert!(since(&mut bench, third) > first);
}

#[test]
fn who_is_subscribed_twice_is_here_until_both_have_ended() {
    let mut bench = Bench::keeping(0);
    let watcher = bench.state.watch("#".parse().unwrap()).unwrap();
    let both = [0, 0].map(|_| bench.subscribe(wish("a")));
    let news = |bench: &mut Bench| {
        let news = bench.state.watcher(watcher).unwrap().news.drain(..);
        news.map(|(joined, _)| joined).collect::<Vec<_>>()
    };
    assert_eq!(news(&mut bench), [true]);
    bench.unsubscribe(both[0]);
    assert!(news(&mut bench).is_empty());
    bench.unsubscribe(both[1]);
    assert_eq!(news(&mut bench), [false]);
}

#[test]
fn who_is_here_is_known_and_who_comes_and_goes_is_told() {
    let mut bench = Bench::keeping(0);
    let here = bench.subscribe_as(1, wish("a/#"));
    bench.subscribe_as(2, wish("b"));
    let filter = || "a/+".parse().unwrap();
    let watcher = bench.state.watch(filter()).unwrap();
    let member = |node, filter: &str| Member {
        node: id(node),
        filter: filter.into(),
        group: None,
    };
    assert_eq!(bench.state.present(&filter()), set([member(1, "a/#")]));
    let come = bench.subscribe_as(3, wish("a/x"));
    bench.subscribe_as(3, wish("b/x"));
    bench.unsubscribe(here);
    bench.unsubscribe(come);
    let news: Vec<_> = bench
        .state
        .watcher(watcher)
        .unwrap()
        .news
        .drain(..)
        .collect();
    assert_eq!(
        news,
        [
            (true, member(3, "a/x")),
            (false, member(1, "a/#")),
            (false, member(3, "a/x"))
        ]
    );
    for n in 0..=PRESENCE_EVENTS_MAX {
        let group = Some(n.to_string());
        bench.subscribe_as(
            4,
            Wish {
                group,
                ..wish("a/x")
            },
        );
    }
    assert_eq!(bench.state.over(watcher).unwrap().code, Code::Overloaded);
}
