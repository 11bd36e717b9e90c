//! What is kept, how it is trimmed, and what those get who come later.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::Time;
use crate::error::Code;
use crate::limits::{
    GONE_TOPICS_MAX, KEPT_BYTES_MAX, PUBLISH_BYTES_MAX, SUBSCRIBER_MESSAGES_MAX, TOPICS_MAX,
    UNTAKEN_MESSAGES_MAX,
};
use crate::service::broker::wire::Why;

#[test]
fn a_subscription_begins_with_what_is_retained() {
    let mut bench = Bench::keeping(8);
    bench.publish("a/x", "1");
    bench.retain("a/x", "2");
    bench.publish("a/x", "3");
    bench.retain("a/y", "4");
    bench.retain("b", "5");
    let state = bench.subscribe(wish("a/#"));
    let deltas = bench.subscribe(Wish {
        history: true,
        ..wish("a/#")
    });
    assert_eq!(bench.texts(state), ["2*", "4*"]);
    bench.publish("a/x", "6");
    // The snapshot, the deltas since, and what has come meanwhile: no gap, no double.
    assert_eq!(bench.texts(deltas), ["2*", "3", "4*", "6"]);
    assert_eq!(bench.texts(state), ["6"]);
}

#[test]
fn a_value_that_is_cleared_is_retained_no_more() {
    let mut bench = Bench::keeping(0);
    bench.retain("a", "1");
    let early = bench.subscribe(wish("a"));
    bench.retain("a", "");
    let late = bench.subscribe(wish("a"));
    // He has taken his time, and nothing is kept of the topic any more.
    assert_eq!(bench.texts(early), ["-?"]);
    assert_eq!(bench.texts(late), [""; 0]);
    assert!(
        bench
            .state
            .topics(&"#".parse().unwrap(), None, usize::MAX)
            .is_empty()
    );
}

#[test]
fn who_comes_back_gets_what_came_meanwhile_and_then_what_comes() {
    let mut bench = Bench::keeping(100);
    let first = bench.publish("a/x", "1");
    bench.publish("b", "2");
    bench.publish("a/y", "3");
    let back = bench.subscribe(after("a/*", first));
    bench.publish("a/x", "4");
    assert_eq!(bench.texts(back), ["3", "4"]);
    bench.publish("a/x", "5");
    assert_eq!(bench.texts(back), ["5"]);
}

#[test]
fn who_comes_back_too_late_is_told_what_is_missing() {
    let mut bench = Bench::keeping(2);
    let first = bench.publish("a", "1");
    for value in ["2", "3", "4", "5"] {
        bench.publish("a", value);
    }
    let back = bench.subscribe(after("a", first));
    let gap = Gap {
        why: Why::Trimmed,
        missed: None,
        first: first + 1,
        last: first + 2,
    };
    let sent = bench.sent(back);
    assert_eq!(sent[0], Got::Gap(gap));
    assert_eq!(sent.len(), 3);
    // Another topic has lost nothing.
    bench.publish("b", "6");
    let other = bench.subscribe(after("b", first));
    assert_eq!(bench.texts(other), ["6"]);
}

#[test]
fn a_position_of_another_epoch_is_recognised_with_and_without_its_epoch() {
    let mut bench = Bench::keeping(2);
    let offset = bench.publish("a", "1");
    let other = Bench::of(Vec::new());
    let mut state = State::new(Vec::new(), [99; 8]);
    assert_ne!(state.epoch(), other.state.epoch());
    let last = state.last();
    state.kept.trimmed.clear();
    for (offset, epoch) in [
        (last, None),
        (offset, Some(state.epoch())),
        (offset + 1, None),
        (0, None),
    ] {
        let mut position = after("a", offset);
        position.after.as_mut().unwrap().epoch = epoch;
        let back = bench.subscribe(position);
        let sent = bench.sent(back);
        assert!(
            matches!(
                sent[0],
                Got::Gap(Gap {
                    why: Why::Epoch,
                    ..
                })
            ),
            "{sent:?}"
        );
        assert!(matches!(&sent[1..], [Got::Message(_, _, value, _)] if value == "1"));
    }
}

#[test]
fn history_is_bounded_by_count_bytes_and_age() {
    let rule = |filter: &str, count, bytes| Rule {
        filter: filter.parse().unwrap(),
        count,
        bytes,
        age: Time::from_millis(1000),
    };
    let mut bench = Bench::of(vec![
        rule("count", 3, 10_000),
        rule("bytes", 100, 1000),
        rule("none/#", 0, 0),
        rule("#", 100, 10_000),
    ]);
    let zero = bench.state.last();
    for n in 0..10 {
        bench.now_ms += 100;
        for topic in ["count", "bytes", "none/x", "age"] {
            bench.publish(topic, &n.to_string());
        }
    }
    let kept = |bench: &mut Bench, topic| {
        let back = bench.subscribe(after(topic, zero));
        bench.texts(back).join(" ")
    };
    assert_eq!(kept(&mut bench, "count"), "-? 7 8 9");
    assert_eq!(kept(&mut bench, "bytes"), "-? 5 6 7 8 9");
    assert_eq!(kept(&mut bench, "none/x"), "-?");
    assert_eq!(kept(&mut bench, "age"), "0 1 2 3 4 5 6 7 8 9");
    bench.state.sweep(1350);
    assert_eq!(kept(&mut bench, "age"), "-? 3 4 5 6 7 8 9");
    bench.state.sweep(10_000);
    assert_eq!(kept(&mut bench, "age"), "-?");
    assert!(!bench.state.ages());
}

#[test]
fn memory_is_bounded_history_makes_way_and_what_is_retained_does_not() {
    let mut bench = Bench::keeping(100);
    let large = "x".repeat(PUBLISH_BYTES_MAX);
    let refused = bench
        .try_publish(&message("a", &(large.clone() + "x"), true))
        .unwrap_err();
    assert_eq!(refused.code, Code::TooLarge);
    bench.publish("old", &large[..60_000]);
    let most = KEPT_BYTES_MAX / PUBLISH_BYTES_MAX - 1;
    for n in 0..most {
        bench.retain(&format!("retained/{n}"), &large);
    }
    assert_eq!(
        bench
            .state
            .topics(&"old".parse().unwrap(), None, usize::MAX)
            .len(),
        1
    );
    bench.retain("young", &large[..PUBLISH_BYTES_MAX - 50_000]);
    assert!(
        bench
            .state
            .topics(&"old".parse().unwrap(), None, usize::MAX)
            .is_empty()
    );
    let refused = bench.try_publish(&message("a", &large, true)).unwrap_err();
    assert_eq!(refused.code, Code::Overloaded);
    assert_eq!(
        bench
            .state
            .topics(&"retained/#".parse().unwrap(), None, usize::MAX)
            .len(),
        most
    );
}

#[test]
fn a_topic_that_comes_back_knows_what_it_lost_and_others_have_lost_nothing() {
    for count in [0, 5] {
        let mut bench = Bench::keeping(count);
        let quiet = bench.retain("quiet", "0");
        let seen = bench.publish("a", "1");
        bench.publish("a", "2");
        bench.now_ms += HISTORY_AGE.as_millis() as i64;
        bench.state.sweep(bench.now_ms);
        bench.retain("a", "3");
        for filter in ["a", "a/#", "+"] {
            let back = bench.subscribe(after(filter, seen));
            assert_eq!(bench.texts(back), ["-?", "3"], "{filter} {count}");
        }
        for filter in ["quiet", "quiet/#", "other"] {
            let back = bench.subscribe(after(filter, quiet));
            assert_eq!(bench.texts(back), [""; 0], "{filter} {count}");
        }
    }
}

#[test]
fn of_too_many_topics_that_are_gone_it_is_known_that_they_may_have_lost_something() {
    let mut bench = Bench::keeping(0);
    let begin = bench.publish("first", "x");
    for n in 0..=GONE_TOPICS_MAX {
        bench.publish(&format!("more/{n}"), "x");
    }
    let told = |bench: &mut Bench, filter, offset| {
        let back = bench.subscribe(after(filter, offset));
        bench.texts(back).len()
    };
    // Two were forgotten, of which these may be.
    assert_eq!(told(&mut bench, "first", begin - 1), 1);
    assert_eq!(told(&mut bench, "never", begin), 1);
    assert_eq!(told(&mut bench, "never", begin + 1), 0);
    assert_eq!(told(&mut bench, "more/#", begin + 1), 1);
}

#[test]
fn what_is_trimmed_while_a_beginning_with_history_is_read_is_told() {
    let mut bench = Bench::keeping(3);
    bench.publish("a", "0");
    for value in ["1", "2", "3"] {
        bench.publish("a", value);
    }
    let with_history = |after| Wish {
        history: true,
        after,
        ..wish("#")
    };
    // What went before it began, it does not miss.
    let fresh = bench.subscribe(with_history(None));
    let Some(Got::Message(offset, ..)) = bench.state.next(fresh).map(|item| got(&item)) else {
        panic!("nothing was sent")
    };
    let until = Some(bench.state.last());
    bench.unsubscribe(fresh);
    for value in ["4", "5"] {
        bench.publish("a", value);
    }
    let back = bench.subscribe(with_history(Some(After {
        offset,
        epoch: None,
        until,
    })));
    assert_eq!(bench.texts(back), ["-?", "3", "4", "5"]);
}

#[test]
fn a_policy_counts_while_a_subscriber_still_catches_up() {
    let mut bench = Bench::keeping(UNTAKEN_MESSAGES_MAX);
    let begin = bench.publish("a", "0");
    for n in 1..=3 {
        bench.publish("a", &n.to_string());
        bench.publish("b", &n.to_string());
    }
    let as_slow = |slow| Wish {
        slow,
        ..after("#", begin)
    };
    let latest = bench.subscribe(as_slow(Slow::Latest));
    let strict = bench.subscribe(as_slow(Slow::Disconnect));
    let mut texts = Vec::new();
    for total in 1..=3 {
        texts.extend(bench.texts(latest));
        bench.take(latest, total);
    }
    assert_eq!(texts, ["-4", "3", "3"]);
    for _ in 0..=SUBSCRIBER_MESSAGES_MAX {
        bench.publish("a", "more");
    }
    assert_eq!(bench.state.over(strict).unwrap().code, Code::Overloaded);
}

#[test]
fn what_cannot_be_kept_is_published_and_costs_nobody_his_history() {
    let mut bench = Bench::keeping(100);
    let large = "x".repeat(PUBLISH_BYTES_MAX);
    for n in 0..KEPT_BYTES_MAX / PUBLISH_BYTES_MAX - 1 {
        bench.retain(&format!("retained/{n}"), &large);
    }
    let seen = bench.publish("old", "1");
    // A value that is refused.
    assert!(bench.try_publish(&message("a", &large, true)).is_err());
    let subscription = bench.subscribe(after("#", seen));
    bench.publish("new", &large);
    assert_eq!(bench.sent(subscription).len(), 1);
    let back = bench.subscribe(after("old", seen - 1));
    assert_eq!(bench.texts(back), ["1"]);
    let back = bench.subscribe(after("new", seen));
    assert_eq!(bench.texts(back), ["-?"]);
    // Of those that are to be retained at once, too many are refused as well.
    let half = &large[..PUBLISH_BYTES_MAX / 2];
    let plan = |bench: &mut Bench, n: usize| {
        let publish = message(&format!("half/{n}"), half, true);
        bench.state.plan(&publish, 0)
    };
    let planned: Vec<_> = (0..4).map(|n| plan(&mut bench, n)).collect();
    let accepted = planned.iter().filter(|planned| planned.is_ok()).count();
    assert_eq!(accepted, 1);
    for planned in planned.into_iter().flatten() {
        let Planned::New(message, _) = planned else {
            panic!("it was new")
        };
        let publish = super::message("half/0", half, true);
        bench.state.withdraw(&publish, &message);
    }
    assert!(plan(&mut bench, 0).is_ok());
}

#[test]
fn topics_are_bounded_too() {
    let mut bench = Bench::keeping(1);
    for n in 0..TOPICS_MAX {
        bench.publish(&n.to_string(), "x");
    }
    bench.retain("one/more", "x");
    assert_eq!(
        bench
            .state
            .topics(&"#".parse().unwrap(), None, usize::MAX)
            .len(),
        TOPICS_MAX
    );
    assert!(
        bench
            .state
            .topics(&"0".parse().unwrap(), None, usize::MAX)
            .is_empty()
    );
}

#[test]
fn a_slow_subscriber_is_told_how_many_were_dropped_and_keeps_nobody_waiting() {
    let mut bench = Bench::keeping(0);
    let slow = bench.subscribe(wish("a"));
    let latest = bench.subscribe(Wish {
        slow: Slow::Latest,
        ..wish("#")
    });
    let strict = bench.subscribe(Wish {
        slow: Slow::Disconnect,
        ..wish("a")
    });
    let all = [slow, latest, strict];
    // They have begun, and take nothing.
    assert!(all.iter().all(|id| bench.texts(*id).is_empty()));
    let under_way = UNTAKEN_MESSAGES_MAX;
    for n in 0..under_way {
        bench.publish("a", &n.to_string());
    }
    assert_eq!(bench.texts(slow).len(), under_way);
    for n in 0..SUBSCRIBER_MESSAGES_MAX + 5 {
        bench.publish("a", &format!("more {n}"));
    }
    bench.publish("b", "other");
    assert!(bench.texts(slow).is_empty());
    bench.take(slow, under_way as u64);
    let texts = bench.texts(slow);
    assert_eq!(texts[..2], ["-5", "more 5"]);

    // Of each topic the latest, one at a time.
    assert_eq!(
        bench.texts(latest),
        [format!("-{}", under_way + SUBSCRIBER_MESSAGES_MAX + 4)]
    );
    bench.take(latest, 1);
    assert_eq!(
        bench.texts(latest),
        [format!("more {}", SUBSCRIBER_MESSAGES_MAX + 4)]
    );
    bench.take(latest, 2);
    assert_eq!(bench.texts(latest), ["other"]);
    let over = bench.state.over(strict).unwrap();
    assert_eq!(over.code, Code::Overloaded);
    assert_eq!(bench.state.over(slow), None);
}

#[test]
fn nobody_hears_himself_unless_he_asks_for_it() {
    let mut bench = Bench::keeping(10);
    let silent = bench.subscribe_as(9, wish("#"));
    let echo = bench.subscribe_as(
        9,
        Wish {
            echo: true,
            ..wish("#")
        },
    );
    let begin = bench.state.last();
    assert!(bench.texts(silent).is_empty() && bench.texts(echo).is_empty());
    bench.publish("a", "1");
    assert_eq!(bench.texts(silent), [""; 0]);
    assert_eq!(bench.texts(echo), ["1"]);
    let back = bench.subscribe_as(9, after("#", begin));
    assert_eq!(bench.texts(back), [""; 0]);
}

#[test]
fn a_receipt_for_what_was_not_sent_is_refused() {
    let mut bench = Bench::keeping(10);
    let subscription = bench.subscribe(wish("#"));
    bench.publish("a", "1");
    bench.texts(subscription);
    bench.publish("a", "2");
    let take =
        |bench: &mut Bench, total| bench.state.take(subscription, total, &mut Touched::new());
    assert_eq!(take(&mut bench, 2).unwrap_err().code, Code::BadMessage);
    assert_eq!(take(&mut bench, 1), Ok(()));
    assert_eq!(take(&mut bench, 0).unwrap_err().code, Code::BadMessage);
}

#[test]
fn a_snapshot_that_was_interrupted_goes_on_where_it_was() {
    let mut bench = Bench::keeping(10);
    let one = bench.retain("a", "1");
    bench.publish("a", "no state");
    bench.retain("b", "2");
    bench.retain("c", "3");
    let until = bench.state.last();
    bench.retain("b", "4");
    bench.publish("a", "5");
    let mut position = after("#", one);
    position.after.as_mut().unwrap().until = Some(until);
    let back = bench.subscribe(position);
    assert_eq!(bench.texts(back), ["3*", "4", "5"]);
}
