//! Brokers and their users in a zone.

use core::pin::pin;
use core::task::Context;
use std::task::Wake;

use futures_util::future::{AbortHandle, Abortable};
use futures_util::{FutureExt, StreamExt};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::stored::{Memory, shared};
use crate::error::Code;
use crate::limits::{CONVERSATIONS_EACH_MAX, SUBSCRIPTION_PATIENCE};
use crate::node::Node;
use crate::service::broker::wire::{Ask, message};
use crate::service::broker::{
    Broker, Change, Item, Options, PROTOCOL, Publish, Subscribe, Subscription, Topics, Why,
};
use crate::service::zone::{WHILE, Zone};
use crate::{Failure, NodeId, Time};
use bytes::Bytes;
use std::sync::Arc;

/// Lets a node be a broker, and use others.
fn serve(zone: &mut Zone, node: &Node, store: Option<Arc<Memory>>) -> (Topics, AbortHandle) {
    let options = Options {
        rules: Vec::new(),
        store: store.map(|store| store as _),
    };
    let broker = Broker::new(node.clone(), options).unwrap();
    let topics = Topics::new(broker.clone());
    let serving = topics.clone();
    let (stop, registration) = AbortHandle::new_pair();
    let both = async move { futures_util::future::join(broker.serve(), serving.serve()).await };
    zone.spawn(Abortable::new(both, registration).map(drop));
    (topics, stop)
}

fn zone_of<const N: usize>(names: [&str; N]) -> (Zone, [Topics; N]) {
    let mut zone = Zone::new();
    let relay = zone.node(0).clone();
    serve(&mut zone, &relay, None);
    let topics = names.map(|name| {
        let node = zone.join(name);
        serve(&mut zone, &node, None).0
    });
    (zone, topics)
}

async fn next(subscription: &mut Subscription) -> (String, f64) {
    match subscription.next().await.unwrap().unwrap() {
        Item::Message(message) => (message.topic.to_string(), message.read().unwrap()),
        Item::Gap(gap) => panic!("{gap:?}"),
    }
}

async fn put(topics: &Topics, topic: &str, value: f64, options: Publish) -> Result<(), Failure> {
    topics.publish(topic, &value, options)?.await.map(drop)
}

fn at(name: &str) -> Subscribe {
    Subscribe {
        at: Some(name.into()),
        ..Subscribe::default()
    }
}

#[test]
fn what_is_published_comes_to_all_who_are_subscribed_and_not_back() {
    let (mut zone, [a, b, c]) = zone_of(["a", "b", "c"]);
    zone.run(async {
        let mut at_b = b.subscribe("cups/+", Subscribe::default()).await.unwrap();
        let mut at_c = c.subscribe("cups/#", Subscribe::default()).await.unwrap();
        let mut at_a = a.subscribe("#", Subscribe::default()).await.unwrap();
        for n in 0..3 {
            put(&a, &format!("cups/{n}"), n.into(), Publish::default())
                .await
                .unwrap();
        }
        for subscription in [&mut at_b, &mut at_c] {
            for n in 0..3 {
                assert_eq!(next(subscription).await, (format!("cups/{n}"), n.into()));
            }
        }
        put(&b, "over", 9.0, Publish::default()).await.unwrap();
        assert_eq!(next(&mut at_a).await.0, "over");
    });
}

#[test]
fn any_node_can_be_the_broker_the_own_one_too() {
    let (mut zone, [a, b]) = zone_of(["a", "b"]);
    zone.kill(0);
    zone.run(async {
        let mut here = b.subscribe("x", at("b")).await.unwrap();
        let to_b = || Publish {
            at: Some("b".into()),
            ..Publish::default()
        };
        let mut echo = at("b");
        echo.echo = true;
        let mut heard = b.subscribe("x", echo).await.unwrap();
        put(&b, "x", 1.0, to_b()).await.unwrap();
        assert_eq!(next(&mut heard).await.1, 1.0);
        // Only the relay knows the way from a; it is no more.
        assert!(put(&a, "x", 2.0, Publish::default()).await.is_err());
        assert!(here.next().now_or_never().is_none());
    });
}

#[test]
fn a_broker_that_begins_anew_with_its_store_is_found_again_and_nothing_is_missing() {
    let mut zone = Zone::new();
    let relay = zone.node(0).clone();
    let store = shared();
    let (_, stop) = serve(&mut zone, &relay, Some(Arc::clone(&store)));
    let [a, b] = ["a", "b"].map(|name| {
        let node = zone.join(name);
        serve(&mut zone, &node, None).0
    });
    let mut subscription = zone.run(b.subscribe("x", Subscribe::default())).unwrap();
    let numbered = |n| Publish {
        number: Some(("a".into(), n)),
        ..Publish::default()
    };
    zone.run(put(&a, "x", 1.0, numbered(1))).unwrap();
    assert_eq!(zone.run(next(&mut subscription)).1, 1.0);
    zone.run(put(&a, "x", 2.0, numbered(2))).unwrap();
    stop.abort();
    zone.sleep(WHILE);
    let lost = zone.run(put(&a, "x", 3.0, numbered(3))).unwrap_err();
    assert!(
        matches!(lost.code, Code::Cancelled | Code::UnknownProtocol),
        "{lost}"
    );
    serve(&mut zone, &relay, Some(store));
    for n in [2, 3, 4] {
        // Again, for who knows.
        zone.run(put(&a, "x", n as f64, numbered(n))).unwrap();
    }
    for n in [2.0, 3.0, 4.0] {
        assert_eq!(zone.run(next(&mut subscription)).1, n);
    }
}

/// A broker that begins anew every now and then, and somebody who reads all the time.
fn outages(count: usize, store: Option<Arc<Memory>>, options: Subscribe) -> Vec<Item> {
    let mut zone = Zone::new();
    let relay = zone.node(0).clone();
    let (_, mut stop) = serve(&mut zone, &relay, store.clone());
    let [a, b] = ["a", "b"].map(|name| {
        let node = zone.join(name);
        serve(&mut zone, &node, None).0
    });
    zone.run(put(&a, "y", 0.0, Publish::default())).unwrap();
    let mut subscription = zone.run(b.subscribe("x", options)).unwrap();
    let mut items = Vec::new();
    let mut read = |zone: &mut Zone, time| {
        let mut reading = pin!(async {
            while let Some(item) = subscription.next().await {
                items.push(item.unwrap());
            }
        });
        let over = pin!(b.node().sleep(time));
        zone.run(futures_util::future::select(over, &mut reading));
    };
    for _ in 0..count {
        stop.abort();
        read(&mut zone, Time::from_secs(1));
        stop = serve(&mut zone, &relay, store.clone()).1;
        read(&mut zone, SUBSCRIPTION_PATIENCE + Time::from_secs(30));
    }
    zone.run(put(&a, "x", 1.0, Publish::default())).unwrap();
    read(&mut zone, Time::from_secs(1));
    items
}

#[test]
fn a_quiet_subscription_lasts_through_many_outages_and_is_not_told_the_same_twice() {
    let items = outages(3, Some(shared()), Subscribe::default());
    assert!(
        matches!(&items[..], [Item::Message(message)] if message.offset > 1),
        "{items:?}"
    );
    // In memory each life is another epoch; there is nothing else to tell.
    let items = outages(2, None, Subscribe::default());
    let is_epoch = |item: &Item| matches!(item, Item::Gap(gap) if gap.why == Why::Epoch);
    assert!(items[..2].iter().all(is_epoch), "{items:?}");
    assert_eq!(items.len(), 3);
}

#[test]
fn a_member_is_told_that_its_group_began_anew() {
    for (store, why) in [(Some(shared()), Why::Trimmed), (None, Why::Epoch)] {
        let group = Subscribe {
            group: Some("workers".into()),
            ..Subscribe::default()
        };
        let items = outages(1, store, group);
        assert!(
            matches!(&items[..], [Item::Gap(gap), Item::Message(_)] if gap.why == why),
            "{items:?}"
        );
    }
}

#[test]
fn who_asks_again_and_again_waits_in_one_place() {
    let (mut zone, [a]) = zone_of(["a"]);
    let mut subscription = zone.run(a.subscribe("x", Subscribe::default())).unwrap();
    let before = a.waiting();
    for _ in 0..100 {
        let (next, waker) = (subscription.next(), Arc::new(Nothing).into());
        assert!(
            pin!(next)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    assert!(a.waiting() <= before + 1);
    drop(subscription);
    assert_eq!(a.waiting(), 0);
}

struct Nothing;

impl Wake for Nothing {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn who_follows_presence_learns_that_the_broker_is_lost() {
    let (mut zone, [a]) = zone_of(["a"]);
    let mut presence = zone.run(a.presence("#", None)).unwrap();
    a.doubt_way();
    let failure = zone.run(presence.next()).unwrap().unwrap_err();
    assert_eq!(failure.code, Code::Gone);
}

#[test]
fn what_is_not_answered_when_the_node_leaves_fails() {
    let (mut zone, [a]) = zone_of(["a"]);
    let waiting = a.publish("x", &1, Publish::default()).unwrap();
    a.node().close();
    assert_eq!(zone.run(waiting).unwrap_err().code, Code::Left);
    let late = a.publish("x", &1, Publish::default()).map(drop);
    assert_eq!(late.unwrap_err().code, Code::Left);
}

#[test]
fn a_store_that_fails_fails_what_is_published_and_nobody_hears_of_it() {
    let mut zone = Zone::new();
    let relay = zone.node(0).clone();
    let store = shared();
    let (topics, _) = serve(&mut zone, &relay, Some(Arc::clone(&store)));
    zone.run(async {
        let echo = Subscribe {
            echo: true,
            ..Subscribe::default()
        };
        let mut subscription = topics.subscribe("#", echo).await.unwrap();
        *store.broken.lock().unwrap() = true;
        let numbered = || Publish {
            number: Some(("me".into(), 1)),
            ..Publish::default()
        };
        let failed = put(&topics, "x", 1.0, numbered()).await.unwrap_err();
        assert_eq!(failed.code, Code::Refused);
        *store.broken.lock().unwrap() = false;
        put(&topics, "x", 2.0, numbered()).await.unwrap();
        assert_eq!(next(&mut subscription).await.1, 2.0);
    });
}

#[test]
fn who_comes_and_goes_is_told() {
    let (mut zone, [a, b]) = zone_of(["a", "b"]);
    zone.run(async {
        let first = b.subscribe("x/#", Subscribe::default()).await.unwrap();
        let mut presence = a.presence("x/y", None).await.unwrap();
        let here: Vec<NodeId> = presence
            .members()
            .iter()
            .map(|member| member.node)
            .collect();
        assert_eq!(here, [b.node().id()]);
        drop(first);
        let Some(Ok(Change::Left(member))) = presence.next().await else {
            panic!("nobody left")
        };
        assert_eq!(member.filter, "x/#");
        let _second = b.subscribe("x/y", Subscribe::default()).await.unwrap();
        assert!(matches!(presence.next().await, Some(Ok(Change::Joined(_)))));
    });
}

#[test]
fn many_at_once_arrive_in_their_order() {
    let (mut zone, [a, b]) = zone_of(["a", "b"]);
    let mut subscription = zone.run(b.subscribe("n", Subscribe::default())).unwrap();
    let work = async {
        let publishing = (0..5000).map(|n| a.publish("n", &n, Publish::default()).unwrap());
        let publishing: Vec<_> = publishing.collect();
        let read = async {
            for n in 0..5000 {
                assert_eq!(next(&mut subscription).await.1, f64::from(n));
            }
        };
        let sent = futures_util::future::join_all(publishing);
        let (_, sent) = futures_util::future::join(read, sent).await;
        assert!(sent.iter().all(Result::is_ok));
        assert!(sent.is_sorted_by_key(|sent| sent.clone().unwrap().offset));
    };
    zone.run(work);
}

#[test]
fn what_is_no_message_ends_the_conversation_and_nothing_else() {
    let (mut zone, [a, b]) = zone_of(["a", "b"]);
    let bad: [Vec<Bytes>; 6] = [
        vec![Bytes::from_static(b"\xff")],
        vec![Bytes::new()],
        vec![message(&Ask::Taken(1), &[])],
        vec![message(
            &Ask::Presence {
                filter: "a/#/b",
                follow: true,
            },
            &[],
        )],
        vec![message(&Ask::Topics("#"), &[]).slice(..2)],
        vec![
            message(
                &Ask::Publish {
                    topic: "x",
                    retain: false,
                    publisher: None,
                    number: 0,
                    attributes: None,
                },
                &[0xf6],
            ),
            message(&Ask::Where, &[]),
        ],
    ];
    for messages in bad {
        let relay = zone.node(0).id();
        let node = a.node().clone();
        let failure = zone.run(async move {
            let stream = node.open(relay, PROTOCOL).unwrap();
            for message in messages {
                stream.send(message).await.unwrap();
            }
            stream.broken().await
        });
        assert_eq!(failure.code, Code::BadMessage);
    }
    zone.run(put(&b, "x", 1.0, Publish::default())).unwrap();
}

#[test]
fn who_says_nothing_holds_no_conversation_for_long() {
    let (mut zone, [a]) = zone_of(["a"]);
    let stream = a.node().open(zone.node(0).id(), PROTOCOL).unwrap();
    assert_eq!(zone.run(stream.broken()).code, Code::TimedOut);
}

#[test]
fn one_node_has_so_many_conversations() {
    let (mut zone, [a]) = zone_of(["a"]);
    let mut lines: Vec<_> = (0..=CONVERSATIONS_EACH_MAX)
        .map(|_| a.broker().connect())
        .collect();
    let refused = zone.run(lines.pop().unwrap().recv()).unwrap_err();
    assert_eq!(refused.code, Code::Overloaded);
    drop(lines);
    zone.sleep(WHILE);
    assert!(zone.run(a.subscribe("x", at("a"))).is_ok());
}

#[test]
fn all_topics_are_listed_however_many_they_are() {
    let (mut zone, [a]) = zone_of(["a"]);
    let name = |n: usize| format!("{n:04}/{}", "x".repeat(100));
    let all = futures_util::future::join_all((0..2000).map(|n| {
        let publishing = a.publish(&name(n), &n, Publish::default());
        publishing.unwrap()
    }));
    zone.run(all);
    let listed = zone.run(a.topics("#", None)).unwrap();
    assert!(
        listed
            .iter()
            .map(|topic| &topic.name)
            .eq(&(0..2000).map(name).collect::<Vec<_>>())
    );
}

#[test]
fn what_cannot_be_is_refused_before_it_is_sent() {
    let (mut zone, [a]) = zone_of(["a"]);
    let code = |done: Result<_, Failure>| done.map(drop).unwrap_err().code;
    assert_eq!(
        code(a.publish("a/+", &1, Publish::default())),
        Code::BadMessage
    );
    let large = "x".repeat(2 << 20);
    assert_eq!(
        code(a.publish("a", &large, Publish::default())),
        Code::TooLarge
    );
    let large = "x".repeat(1 << 19);
    let mut waiting = Vec::new();
    let refused = loop {
        match a.publish("a", &large, Publish::default()) {
            Ok(publishing) => waiting.push(publishing),
            Err(failure) => break failure,
        }
    };
    assert_eq!(refused.code, Code::Overloaded);
    for publishing in waiting {
        zone.run(publishing).unwrap();
    }
    zone.run(async {
        let nobody = a.subscribe("a", at("nobody")).await.err().unwrap();
        assert_eq!(nobody.code, Code::UnknownName);
        assert!(a.subscribe("#a", Subscribe::default()).await.is_err());
    });
    zone.sleep(Time::from_secs(1));
}
