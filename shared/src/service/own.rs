//! Protocols of a program's own, as it uses them: versions to choose from, and streams as sinks.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt, future};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::zone::Zone;
use crate::limits::{OFFER_TIMEOUT, OFFERED_PROTOCOLS_MAX, STREAM_QUEUE_BYTES};
use crate::node::{Listener, Stream};
use crate::{Code, Config, Node};

const V1: &str = "acme/robot/1";
const V2: &str = "acme/robot/2";

fn zone() -> (Zone, Node, Node) {
    let mut zone = Zone::new();
    let (a, b) = (zone.join("a"), zone.join("b"));
    (zone, a, b)
}

/// Both ends of a stream of `V2`.
fn both(zone: &mut Zone, a: &Node, b: &Node) -> (Stream, Stream, Listener) {
    let mut listener = b.listen(V2);
    let to = a.open(b.id(), V2).unwrap();
    let from = zone.run(listener.accept()).unwrap();
    (to, from, listener)
}

#[test]
fn the_first_protocol_that_the_other_speaks_is_spoken_and_both_know() {
    let (mut zone, a, b) = zone();
    let (mut one, mut two) = (b.listen(V1), b.listen(V2));
    let newest = zone.run(a.open_any(b.id(), &[V2, V1])).unwrap();
    assert_eq!(newest.protocol(), V2);
    assert_eq!(zone.run(two.accept()).unwrap().protocol(), V2);
    drop(two);
    let older = zone.run(a.open_any(b.id(), &[V2, V1])).unwrap();
    assert_eq!(older.protocol(), V1);
    let there = zone.run(one.accept()).unwrap();
    assert_eq!(there.protocol(), V1);
    zone.run(older.send("hello".into())).unwrap();
    assert_eq!(zone.run(there.recv()), Ok(Some("hello".into())));
    zone.run(there.send("and back".into())).unwrap();
    assert_eq!(zone.run(older.recv()), Ok(Some("and back".into())));
}

#[test]
fn none_that_the_other_speaks_is_an_error_at_once_that_names_them_all() {
    let (mut zone, a, b) = zone();
    let began = zone.now;
    for offered in [&[V2, V1][..], &[V2]] {
        let failure = zone.run(a.open_any(b.id(), offered)).err().unwrap();
        assert_eq!(failure.code, Code::UnknownProtocol);
        assert!(offered.iter().all(|id| failure.message.contains(id)));
    }
    // No time has to pass in a zone whose links take none.
    assert_eq!(zone.now, began);
}

#[test]
fn too_many_or_no_protocols_are_refused_here() {
    let (mut zone, a, b) = zone();
    for offered in [vec![], vec![V2; OFFERED_PROTOCOLS_MAX + 1], vec![""]] {
        let failure = zone.run(a.open_any(b.id(), &offered)).err().unwrap();
        assert_eq!(failure.code, Code::BadMessage);
    }
}

#[test]
fn who_gives_up_before_the_choice_leaves_no_stream_behind() {
    let (mut zone, a, b) = zone();
    let mut listener = b.listen(V2);
    {
        let open = a.open_any(b.id(), &[V2, V1]);
        assert!(open.now_or_never().is_none());
    }
    // It was never announced: nothing comes but what is opened later.
    let later = a.open(b.id(), V2).unwrap();
    zone.run(later.send("later".into())).unwrap();
    let first = zone.run(listener.accept()).unwrap();
    assert_eq!(zone.run(first.recv()), Ok(Some("later".into())));
}

#[test]
fn a_node_that_never_chooses_is_not_waited_for_without_end() {
    let mut zone = Zone::new();
    let patient = |config: &mut Config| config.resume_window = 4 * OFFER_TIMEOUT;
    let (a, b) = (zone.join_with("a", patient), zone.join("b"));
    let _session = both(&mut zone, &a, &b);
    zone.stall(2);
    let mut open = pin!(a.open_any(b.id(), &[V2, V1]));
    zone.run(poll_fn(|cx| {
        let unanswered = open.as_mut().poll(cx).is_pending();
        assert!(unanswered);
        Poll::Ready(())
    }));
    // Nobody is left who could tell that it is gone.
    zone.kill(0);
    let began = zone.now;
    let failure = zone.run(open).err().unwrap();
    assert_eq!(failure.code, Code::TimedOut, "{failure}");
    assert!(zone.now - began >= OFFER_TIMEOUT);
}

#[test]
fn what_waits_for_a_listener_that_goes_is_the_next_ones_or_told_that_there_is_none() {
    let (mut zone, a, b) = zone();
    let first = b.listen(V2);
    let stream = zone.run(a.open_any(b.id(), &[V2])).unwrap();
    zone.run(stream.send("hello".into())).unwrap();
    let mut second = b.listen(V2);
    drop(first);
    let accepted = zone.run(second.next()).unwrap();
    assert_eq!(zone.run(accepted.recv()), Ok(Some("hello".into())));

    let waiting = zone.run(a.open_any(b.id(), &[V2])).unwrap();
    drop(second);
    let told = zone.run(waiting.broken());
    assert_eq!(told.code, Code::UnknownProtocol);
    // Those that were accepted go on.
    zone.run(accepted.send("still here".into())).unwrap();
    assert_eq!(zone.run(stream.recv()), Ok(Some("still here".into())));
}

#[test]
fn a_node_that_leaves_before_the_choice_is_an_error() {
    let (mut zone, a, b) = zone();
    let _session = both(&mut zone, &a, &b);
    let leaves = async { b.close() };
    let opened = zone.run(future::join(a.open_any(b.id(), &[V2, V1]), leaves));
    assert_eq!(opened.0.err().unwrap().code, Code::Left);
}

#[test]
fn a_stream_is_a_sink_and_a_stream_of_messages() {
    let (mut zone, a, b) = zone();
    let (to, from, _listener) = both(&mut zone, &a, &b);
    let (mut sink, answers) = to.split();
    let echo = async move {
        let (sink, stream) = from.split();
        stream.forward(sink).await
    };
    let talk = async move {
        for n in 0..100_u8 {
            sink.send(Bytes::from(vec![n; 1000])).await?;
        }
        sink.close().await
    };
    let all = future::join3(echo, talk, answers.collect::<Vec<_>>());
    let (echoed, talked, got) = zone.run(all);
    assert_eq!((echoed, talked), (Ok(()), Ok(())));
    let expected: Vec<_> = (0..100_u8)
        .map(|n| Ok(Bytes::from(vec![n; 1000])))
        .collect();
    assert_eq!(got, expected);
}

#[test]
fn a_sink_whose_reader_stops_is_not_ready_until_it_reads_again() {
    let (mut zone, a, b) = zone();
    let (mut to, mut from, _listener) = both(&mut zone, &a, &b);
    let message = Bytes::from(vec![7; 10_000]);
    let mut fed = 0;
    while to.feed(message.clone()).now_or_never().is_some() {
        fed += 1;
        zone.sleep(super::zone::WHILE);
        assert!(fed < 1000, "it is never held up");
    }
    assert!(fed * message.len() >= STREAM_QUEUE_BYTES);
    // Who does not ask for room is told, and loses nothing silently.
    let pushed = Pin::new(&mut to);
    let refused = futures_util::Sink::start_send(pushed, message.clone());
    assert_eq!(refused.unwrap_err().code, Code::Overloaded);

    let feed = async {
        to.feed(message.clone()).await.unwrap();
        to.close().await
    };
    let mut got = 0;
    let read = async {
        while let Some(next) = from.next().await {
            assert_eq!(next, Ok(message.clone()));
            got += 1;
        }
    };
    let (closed, ()) = zone.run(future::join(feed, read));
    assert_eq!((closed, got), (Ok(()), fed + 1));
}

#[test]
fn after_its_end_a_sink_takes_nothing_and_a_stream_is_over() {
    let (mut zone, a, b) = zone();
    let (mut to, mut from, _listener) = both(&mut zone, &a, &b);
    zone.run(SinkExt::close(&mut to)).unwrap();
    let refused = zone.run(to.feed("more".into())).unwrap_err();
    assert_eq!(refused.code, Code::Refused);
    assert_eq!(zone.run(from.next()), None);
    from.reset(Code::Cancelled.because("enough"));
    zone.sleep(super::zone::WHILE);
    let last = zone.run(to.next()).unwrap();
    assert_eq!(last.unwrap_err().code, Code::Cancelled);
    // Told once: a loop that goes on after errors ends.
    assert_eq!(zone.run(to.next()), None);
    let refused = zone.run(to.feed("more".into())).unwrap_err();
    assert_eq!(refused.code, Code::Cancelled);
}
