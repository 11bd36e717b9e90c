//! What a node that breaks the protocol cannot do: stop this one, fill its memory, or take what it was not
//! given.

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::Identity;
use crate::limits::REQUESTS_BYTES_MAX;
use crate::object::{Form, Item, Node as Part, Value, encode};
use state::Side;

fn pointer_to(node: NodeId, number: u8) -> Bytes {
    let handle = [number; 16];
    let pointer = Pointer {
        node,
        handle,
        future: false,
    };
    encode(&Value::of(Item::Pointer(pointer.into())), Form::Natural)
}

fn bytes_of(len: usize) -> Value {
    let mut value = Value::default();
    let root = value.add(Part::Bytes(vec![0; len].into()));
    value.set_root(root);
    value
}

/// Says something to `to`, by the line on which it is answered.
fn say(rpc: &Rpc, to: NodeId, answer: &wire::Answer, body: &[u8]) {
    rpc.with(|state| {
        let key = *state.connections.keys().find(|key| key.0 == to).unwrap();
        let line = state.line(key, Side::Answering).unwrap();
        line.push(wire::message(answer, body)).unwrap();
    });
}

fn next(id: u64, transit: Option<u64>) -> wire::Answer {
    wire::Answer::Next {
        id,
        missed: 0,
        transit,
    }
}

/// A stage on which B answers A.
fn answering() -> (Stage, AgentHandle) {
    let mut s = Stage::new();
    let agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let sum = s.a.proxy("b", "Calculator").call("add", &(1, 2));
    assert_eq!(s.zone.run(sum), Ok(3.0));
    (s, agent)
}

fn still_works(s: &mut Stage) {
    let sum = s.a.proxy("b", "Calculator").call("add", &(1, 2));
    assert_eq!(s.zone.run(sum), Ok(3.0));
}

#[test]
fn references_of_third_nodes_without_a_number_or_a_question_do_nothing() {
    let (mut s, _agent) = answering();
    let (a, c) = (s.id(1), s.id(3));
    say(&s.b, a, &next(999, None), &pointer_to(c, 7));
    say(&s.b, a, &next(999, Some(1)), &pointer_to(c, 7));
    s.zone.sleep(Time::from_millis(10));
    assert_eq!(s.a.with(|state| state.connections.len()), 1);
    still_works(&mut s);
}

#[test]
fn a_reference_as_the_beginning_of_a_subscription_is_given_back() {
    let (mut s, _agent) = answering();
    let mut heard = s.a.proxy("b", "Calculator").on::<u32>("overflow");
    s.zone.run(heard.begun()).unwrap();
    let id = s.a.with(|state| *state.slots.keys().next().unwrap());
    let (a, b) = (s.id(1), s.id(2));
    let begun = wire::Answer::Return { id, transit: None };
    say(&s.b, a, &begun, &pointer_to(b, 7));
    s.zone.sleep(Time::from_millis(10));
    assert_eq!(s.a.counts().1, 0);
    still_works(&mut s);
}

#[test]
fn a_second_stream_of_a_session_ends_the_first_and_counts_nothing_twice() {
    let (mut s, _agent) = answering();
    let call =
        s.a.proxy("b", "Calculator")
            .call::<String>("slowly", &(1000,));
    s.zone.sleep(Time::from_millis(10));
    let a = s.id(1);
    let one = s.b.node().open(a, PROTOCOL).unwrap();
    s.zone.sleep(Time::from_millis(10));
    let two = s.b.node().open(a, PROTOCOL).unwrap();
    s.zone.sleep(Time::from_millis(10));
    assert_eq!(code(s.zone.run(call)), Some(Code::Cancelled));
    drop((one, two));
    s.zone.sleep(Time::from_millis(10));
    still_works(&mut s);
    let asked =
        s.a.with(|state| state.connections.values().map(|c| c.asked).sum::<usize>());
    assert_eq!(asked, 0);
}

#[test]
fn nodes_that_do_not_exist_leave_nothing_behind() {
    let (mut s, _agent) = answering();
    let before = Arc::strong_count(&s.a.0);
    let a = s.id(1);
    let call =
        s.a.proxy("b", "Calculator")
            .call::<String>("slowly", &(1000,));
    s.zone.sleep(Time::from_millis(10));
    let id = s.a.with(|state| *state.slots.keys().next().unwrap());
    let unknown: Vec<_> = (0..200)
        .map(|n| Identity::from_secret(&[n + 40; 32]).id())
        .collect();
    let parcel = unknown.iter().map(|id| Pointer {
        node: *id,
        handle: [7; 16],
        future: false,
    });
    let parcel = Parcel::of(&parcel.collect::<Vec<_>>()).unwrap();
    let body = encode(parcel.value(), Form::Natural);
    let returned = wire::Answer::Return {
        id,
        transit: Some(1),
    };
    say(&s.b, a, &returned, &body);
    assert!(s.zone.run(call).is_err());
    s.zone.sleep(Time::from_secs(60));
    assert_eq!(s.a.with(|state| state.connections.len()), 1);
    assert_eq!(Arc::strong_count(&s.a.0), before);
    assert_eq!(
        s.a.with(|state| state
            .connections
            .values()
            .map(|c| c.fetching)
            .sum::<usize>()),
        0
    );
}

#[test]
fn more_references_of_third_nodes_than_can_be_asked_for_are_stale() {
    let (mut s, _agent) = answering();
    let objects = || {
        let objects = (0..1000).map(|_| s.a.share(Arc::new(Calculator::default())));
        objects.collect::<Vec<_>>()
    };
    let all: Vec<Vec<Reference>> = (0..3).map(|_| objects()).collect();
    let sum = s.c.proxy("b", "Calculator").call("add", &(1, 2));
    assert_eq!(s.zone.run(sum), Ok(3.0));
    let c = s.id(3);
    let mut calls = Vec::new();
    for list in &all {
        let call =
            s.c.proxy("b", "Calculator")
                .call::<Vec<Reference>>("slowly", &(1000,));
        s.zone.sleep(Time::from_millis(10));
        let id = s.c.with(|state| *state.slots.keys().max().unwrap());
        let body = encode(Parcel::of(list).unwrap().value(), Form::Natural);
        calls.push((call, id, body));
    }
    for (_, id, body) in &calls {
        let returned = wire::Answer::Return {
            id: *id,
            transit: Some(*id),
        };
        say(&s.b, c, &returned, body);
    }
    let mut kept = Vec::new();
    for (call, ..) in calls {
        kept.extend(s.zone.run(call).unwrap());
    }
    s.zone.sleep(Time::from_secs(1));
    let held = s.a.with(|state| {
        let of_c = state.connections.iter().filter(|(key, _)| key.0 == c);
        of_c.map(|(_, connection)| connection.holds.len())
            .sum::<usize>()
    });
    // What C has, it holds; of the others it knows that it does not.
    assert_eq!(s.c.counts().1, held);
    assert!((1000..3000).contains(&held), "{held}");
}

#[test]
fn a_number_beyond_all_counting_is_counted_as_far_as_it_goes() {
    let (mut s, _agent) = answering();
    let mut heard = s.a.proxy("b", "Calculator").on::<u32>("overflow");
    s.zone.run(heard.begun()).unwrap();
    let id = s.a.with(|state| *state.slots.keys().next().unwrap());
    let (a, missed) = (s.id(1), u64::MAX);
    for _ in 0..2 {
        let next = wire::Answer::Next {
            id,
            missed,
            transit: None,
        };
        say(&s.b, a, &next, &[1]);
    }
    s.zone.sleep(Time::from_millis(10));
    assert_eq!(heard.missed(), u64::MAX);
    still_works(&mut s);
}

#[test]
fn what_is_no_value_ends_the_conversation_with_that_reason() {
    let (mut s, _agent) = answering();
    let call =
        s.a.proxy("b", "Calculator")
            .call::<String>("slowly", &(1000,));
    s.zone.sleep(Time::from_millis(10));
    let (a, id) = (
        s.id(1),
        s.a.with(|state| *state.slots.keys().next().unwrap()),
    );
    let returned = wire::Answer::Return { id, transit: None };
    say(&s.b, a, &returned, &[0xff]);
    assert_eq!(code(s.zone.run(call)), Some(Code::BadMessage));
    still_works(&mut s);
}

#[test]
fn who_watches_and_cancels_again_and_again_has_one_property_read_at_a_time() {
    let mut s = Stage::new();
    let slow = Slow::at(&s.b);
    let reading = Arc::clone(&slow.reading);
    let _agent = s.b.agent("Slow", slow).unwrap();
    for _ in 0..100 {
        let mut watched = s.a.proxy("b", "Slow").watch::<Reference>("x");
        s.zone.run(watched.begun()).unwrap();
        drop(watched);
    }
    s.zone.sleep(Time::from_millis(10));
    assert_eq!(reading.load(Ordering::Relaxed), 0);
    let ready = s.b.with(|state| {
        state
            .connections
            .values()
            .map(|c| c.ready.len())
            .sum::<usize>()
    });
    assert_eq!(ready, 0);
    // Nor does what is read in vain do harm: a reference, dropped where nobody may wait for it.
    let watched = s.a.proxy("b", "Slow").watch::<Reference>("x");
    s.zone.sleep(Time::from_millis(100));
    drop(watched);
    s.zone.sleep(Time::from_secs(3));
    assert_eq!(s.b.counts().0, 1);
}

#[test]
fn an_answer_that_is_too_large_fails_alone_though_others_wait_before_it() {
    let (mut s, agent) = answering();
    let call = s.a.proxy("b", "Calculator").call::<String>("slowly", &(1,));
    let mut heard = s.a.proxy("b", "Calculator").on::<Vec<u8>>("overflow");
    let mut watched = s.a.proxy("b", "Calculator").watch::<f64>("total");
    s.zone.run(heard.begun()).unwrap();
    assert_eq!(s.zone.run(watched.next()), Some(Ok(0.0)));
    for len in [300_000, 10, crate::limits::MESSAGE_BYTES_MAX] {
        let parcel = Parcel::new(bytes_of(len), Vec::new());
        agent.emitter().tell(Act::Subscribe, "overflow", parcel);
    }
    assert_eq!(s.zone.run(call), Ok("done".into()));
    assert_eq!(s.zone.run(heard.next()).unwrap().unwrap().len(), 300_000);
    assert_eq!(s.zone.run(heard.next()).unwrap().unwrap().len(), 10);
    // Who cannot be told that is told that there is no more.
    assert_eq!(
        code(s.zone.run(heard.next()).unwrap()),
        Some(Code::TooLarge)
    );
    agent.emitter().changed("total", &1).unwrap();
    assert_eq!(s.zone.run(watched.next()), Some(Ok(1.0)));
}

#[test]
fn what_an_agent_says_of_itself_is_asked_where_it_may_ask_back() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Slow", Slow::at(&s.b)).unwrap();
    let call = s.a.proxy("b", "Slow").with_version(7).call::<()>("x", &());
    assert_eq!(code(s.zone.run(call)), Some(Code::IncompatibleVersion));
}

#[test]
fn a_session_that_ends_in_the_middle_of_a_request_takes_the_request_along() {
    let mut s = Stage::new();
    let _a = s.a.agent("Calculator", Calculator::at(&s.a)).unwrap();
    let _b = s.b.agent("Slow", Slow::at(&s.b)).unwrap();
    let sum = s.b.proxy("a", "Calculator").call("add", &(1, 2));
    assert_eq!(s.zone.run(sum), Ok(3.0));
    let call = s.a.proxy("b", "Slow").call::<()>("quit", &());
    assert_eq!(code(s.zone.run(call)), Some(Code::Left));
    s.zone.sleep(Time::from_secs(3));
}

/// Takes a second for everything, and returns references.
struct Slow {
    rpc: Rpc,
    reading: Arc<AtomicUsize>,
}

struct Reading(Arc<AtomicUsize>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Slow {
    fn at(rpc: &Rpc) -> Self {
        let reading = Arc::default();
        let rpc = rpc.clone();
        Self { rpc, reading }
    }
}

impl Agent for Slow {
    fn interface(&self) -> Interface {
        Interface {
            version: Some(self.rpc.counts().0 as u32),
            ..Interface::default()
        }
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let rpc = self.rpc.clone();
        let kept = rpc.share(Arc::new(Calculator::default()));
        self.reading.fetch_add(1, Ordering::Relaxed);
        let reading = Reading(Arc::clone(&self.reading));
        let caller = request.caller.unwrap();
        if request.name == "quit" {
            rpc.node().close();
        }
        // It finds that there is nobody to ask any more.
        let asked = rpc
            .proxy_at(caller, "Calculator")
            .call::<f64>("add", &(1, 2));
        Box::pin(async move {
            let _ = asked.await;
            rpc.node().sleep(Time::from_secs(1)).await;
            drop(reading);
            Ok(kept.into())
        })
    }
}

#[test]
fn what_is_dropped_while_nobody_serves_has_ended() {
    let mut zone = Zone::new();
    let [a, b] = ["a", "b"].map(|name| Rpc::new(zone.join(name)));
    let serving = b.clone();
    zone.spawn(async move { serving.serve().await });
    let _agent = b.agent("Calculator", Calculator::at(&b)).unwrap();
    let calculator = Calculator::at(&a);
    let alive = calculator.alive.clone();
    let named = a.agent("Calculator", calculator).unwrap();
    let mut heard = a.proxy("a", "Calculator").on::<u32>("overflow");
    let served = a.clone();
    let mut serve = Box::pin(async move { served.serve().await });
    assert!(serve.as_mut().now_or_never().is_none());
    let call = a.proxy("b", "Calculator").call::<f64>("add", &(1, 2));
    drop(serve);
    assert_eq!(code(zone.run(call)), Some(Code::Left));
    assert_eq!(code(zone.run(heard.next()).unwrap()), Some(Code::Left));
    let after = a.proxy("b", "Calculator").call::<f64>("add", &(1, 2));
    assert_eq!(code(zone.run(after)), Some(Code::Left));
    drop((named, heard));
    let rpc = Arc::downgrade(&a.0);
    drop(a);
    assert_eq!(
        (rpc.strong_count(), alive.0.load(Ordering::Relaxed)),
        (0, 0)
    );
}

/// Messages that are nearly right, of either side.
struct Noise {
    rng: ChaCha20Rng,
    nodes: [NodeId; 4],
    handles: [Handle; 3],
}

impl Noise {
    fn pick<const N: usize, T: Copy>(&mut self, all: [T; N]) -> T {
        all[self.below(N)]
    }

    fn below(&mut self, count: usize) -> usize {
        self.rng.next_u32() as usize % count
    }

    fn number(&mut self) -> u64 {
        self.below(20) as u64
    }

    fn transit(&mut self) -> Option<u64> {
        let number = self.number();
        self.pick([None, Some(number)])
    }

    fn value(&mut self) -> Bytes {
        let pointer = Pointer {
            node: self.pick(self.nodes),
            handle: self.pick(self.handles),
            future: self.below(4) == 0,
        };
        let value = match self.below(4) {
            0 => Parcel::of(&(1, 2)),
            1 => Parcel::of(&(pointer.clone(), pointer, 1)),
            2 => Parcel::of(&pointer),
            _ => Parcel::of(&()),
        };
        encode(value.unwrap().value(), Form::Natural)
    }

    fn ask(&mut self) -> Bytes {
        let (id, handle) = (self.number(), self.pick(self.handles));
        let (count, body) = (self.number() % 3, self.value());
        let version = self.pick([None, Some(2), Some(3)]);
        let earlier = self.number();
        let request = wire::Request {
            id,
            act: self.pick([
                Act::Call,
                Act::Get,
                Act::Set,
                Act::Watch,
                Act::Subscribe,
                Act::Await,
                Act::Hold,
                Act::Describe,
            ]),
            target: match self.below(3) {
                0 => wire::Target::Agent("Calculator", version),
                1 => wire::Target::Object(handle),
                _ => wire::Target::Answer(earlier),
            },
            name: self.pick([
                "add", "another", "keep", "kept", "apply", "await", "total", "overflow", "x",
            ]),
            transit: self.transit(),
            lane: self.pick([None, None, Some("valve"), Some("light")]),
            trace: None,
        };
        let ask = match self.below(8) {
            0 => wire::Ask::Cancel(id),
            1 => wire::Ask::Release { handle, count },
            2 => wire::Ask::Forget(id),
            3 => wire::Ask::Taken(id),
            _ => wire::Ask::Request(request),
        };
        let message = wire::message(&ask, &body);
        self.nearly(&message)
    }

    fn answer(&mut self) -> Bytes {
        let (id, transit, body) = (self.number(), self.transit(), self.value());
        let missed = self.pick([0, 1, u64::MAX]);
        let answer = match self.below(4) {
            0 => wire::Answer::Taken(id),
            1 => wire::Answer::Return { id, transit },
            2 => wire::Answer::Next {
                id,
                missed,
                transit,
            },
            _ => wire::Answer::Fail {
                id,
                error: wire::Fault::Failed(Code::Gone.because("")),
            },
        };
        let message = wire::message(&answer, &body);
        self.nearly(&message)
    }

    /// Now and then with a bit that is wrong.
    fn nearly(&mut self, message: &Bytes) -> Bytes {
        let mut bytes = message.to_vec();
        if self.below(3) == 0 {
            let place = self.below(bytes.len());
            bytes[place] ^= 1 << self.below(8);
        }
        bytes.into()
    }
}

#[test]
fn no_message_whatever_does_harm() {
    let (mut s, agent) = answering();
    let object = s.b.share(Arc::new(Calculator::at(&s.b)));
    let [own, named] = [&object, agent.reference()].map(|object| object.pointer().handle);
    let nowhere = NodeId::from_bytes([9; 32]);
    let mut noise = Noise {
        rng: ChaCha20Rng::seed_from_u64(7),
        nodes: [s.id(1), s.id(2), s.id(3), nowhere],
        handles: [own, named, [7; 16]],
    };
    for round in 0..20_000 {
        let a = s.id(1);
        let key =
            s.b.with(|state| state.connections.keys().find(|key| key.0 == a).copied());
        if let Some(key) = key {
            let heard = [
                s.b.hear_ask(key, &noise.ask()),
                s.b.hear_answer(key, &noise.answer()),
            ];
            // As whoever reads would, only more patiently.
            if let Some(failure) = heard.into_iter().find_map(Result::err)
                && noise.below(8) == 0
            {
                s.b.with(|state| state.end(key, &failure));
            }
        }
        if round % 50 == 0 {
            let sum = s.a.proxy("b", "Calculator").call::<f64>("add", &(1, 2));
            // It may fail, as the conversation does.
            let _ = s.zone.run(sum.within(Time::from_secs(1)));
        }
    }
    s.b.with(|state| {
        let keys: Vec<_> = state.connections.keys().copied().collect();
        let over = Code::Gone.because("it is over");
        keys.into_iter().for_each(|key| state.end(key, &over));
    });
    s.zone.sleep(Time::from_secs(5));
    still_works(&mut s);
    // Only what the calculators keep for good is left.
    let left = s.b.with(|state| state.exports.len());
    assert!(left < 100, "{left}");
}

#[test]
fn requests_of_one_node_take_no_more_bytes_than_there_is_room_for() {
    let (mut s, _agent) = answering();
    let a = s.id(1);
    let taken = s.b.with(|state| {
        let connection = state.connections.iter().find(|(key, _)| key.0 == a);
        connection.unwrap().1.room(REQUESTS_BYTES_MAX).unwrap()
    });
    let sum = s.a.proxy("b", "Calculator").call::<f64>("add", &(1, 2));
    assert_eq!(code(s.zone.run(sum)), Some(Code::Overloaded));
    let sum = s.c.proxy("b", "Calculator").call::<f64>("add", &(1, 2));
    assert_eq!(s.zone.run(sum), Ok(3.0), "of others there is room");
    drop(taken);
    still_works(&mut s);
}
