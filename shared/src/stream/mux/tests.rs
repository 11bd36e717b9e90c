//! Two ends of a session's streams, and what passes between them.

mod offers;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::limits::{MESSAGE_BYTES_MAX, STREAM_CREDIT_BYTES, STREAM_QUEUE_BYTES};

/// Two ends that exchange records until both are silent.
struct Pair(Mux, Mux);

impl Pair {
    fn new() -> Self {
        Self(Mux::new(true), Mux::new(false))
    }

    fn exchange(&mut self) {
        while self.0.wants_to_send() || self.1.wants_to_send() {
            transfer(&mut self.0, &mut self.1);
            transfer(&mut self.1, &mut self.0);
        }
    }

    fn opened(&mut self) -> StreamId {
        let id = self.0.open("test/1".into()).unwrap();
        self.exchange();
        id
    }
}

fn transfer(from: &mut Mux, to: &mut Mux) {
    let mut record = BytesMut::new();
    from.write_record(&mut record);
    assert!(record.len() <= FRAGMENT_BYTES_MAX + DATA_OVERHEAD_BYTES);
    to.read_record(record.freeze()).unwrap();
}

fn events(mux: &mut Mux) -> Vec<MuxEvent> {
    std::iter::from_fn(|| mux.poll_event()).collect()
}

fn message(n: usize) -> Bytes {
    Bytes::from((0..n).map(|i| i as u8).collect::<Vec<_>>())
}

#[test]
fn a_stream_carries_messages_both_ways_and_ends() {
    let mut pair = Pair::new();
    let id = pair.opened();
    assert_eq!(
        events(&mut pair.1),
        [MuxEvent::Incoming(id, vec!["test/1".into()])]
    );
    pair.0.send(id, &message(3)).unwrap();
    pair.1.send(id, &message(5)).unwrap();
    pair.0.finish(id);
    pair.1.finish(id);
    pair.exchange();
    assert_eq!(pair.1.read(id), Read::Message(message(3)));
    assert_eq!(pair.1.read(id), Read::Finished);
    assert_eq!(pair.0.read(id), Read::Message(message(5)));
    pair.0.release(id);
    pair.1.release(id);
    assert!(pair.0.is_empty() && pair.1.is_empty());
}

#[test]
fn messages_of_every_size_arrive_whole() {
    let mut pair = Pair::new();
    let id = pair.opened();
    for size in [
        0,
        1,
        FRAGMENT_BYTES_MAX,
        FRAGMENT_BYTES_MAX + 1,
        3 * STREAM_CREDIT_BYTES as usize,
    ] {
        assert!(pair.0.send(id, &message(size)).unwrap());
        pair.exchange();
        assert_eq!(pair.1.read(id), Read::Message(message(size)), "{size}");
        pair.exchange();
    }
}

#[test]
fn a_message_beyond_the_limit_is_too_large() {
    let mut pair = Pair::new();
    let id = pair.opened();
    let failure = pair
        .0
        .send(id, &Bytes::from(vec![0; MESSAGE_BYTES_MAX + 1]))
        .unwrap_err();
    assert_eq!(failure.code, Code::TooLarge);
}

#[test]
fn a_slow_reader_stops_its_writer_and_nobody_else() {
    let mut pair = Pair::new();
    let (slow, quick) = (pair.opened(), pair.opened());
    let mut sent = 0;
    while pair.0.send(slow, &message(10_000)).unwrap() {
        pair.exchange();
        sent += 1;
        assert!(sent < 1000, "the writer is never stopped");
    }
    assert!(pair.1.held_bytes <= STREAM_CREDIT_BYTES + 10_000);
    pair.0.send(quick, &message(10)).unwrap();
    pair.exchange();
    assert_eq!(pair.1.read(quick), Read::Message(message(10)));
    for _ in 0..sent {
        assert_eq!(pair.1.read(slow), Read::Message(message(10_000)));
        pair.exchange();
    }
    assert!(events(&mut pair.0).contains(&MuxEvent::Writable(slow)));
    assert_eq!(pair.1.held_bytes, 0);
}

#[test]
fn many_small_messages_are_bounded_as_well() {
    let mut pair = Pair::new();
    let id = pair.opened();
    let mut sent = 0usize;
    while pair.0.send(id, &Bytes::new()).unwrap() {
        pair.exchange();
        sent += 1;
        assert!(sent < 2 * STREAM_QUEUE_BYTES, "the writer is never stopped");
    }
    assert!(pair.1.held_bytes <= STREAM_CREDIT_BYTES);
}

#[test]
fn a_big_message_does_not_hold_up_a_small_one_on_another_stream() {
    let mut pair = Pair::new();
    let (big, small) = (pair.opened(), pair.opened());
    let large = Bytes::from(vec![0; MESSAGE_BYTES_MAX]);
    pair.0.send(big, &large).unwrap();
    transfer(&mut pair.0, &mut pair.1);
    pair.0.send(small, &message(1)).unwrap();
    transfer(&mut pair.0, &mut pair.1);
    transfer(&mut pair.0, &mut pair.1);
    assert_eq!(pair.1.read(small), Read::Message(message(1)));
    assert_eq!(pair.1.read(big), Read::Nothing);
}

#[test]
fn many_slow_readers_are_granted_less_and_a_quick_one_goes_on() {
    let mut pair = Pair::new();
    let slow: Vec<_> = (0..200).map(|_| pair.opened()).collect();
    let quick = pair.opened();
    for _ in 0..30 {
        for id in &slow {
            let _ = pair.0.send(*id, &message(10_000)).unwrap();
        }
        pair.exchange();
    }
    let most =
        SESSION_CREDIT_BYTES + STREAM_CREDIT_BYTES + 201 * (STREAM_CREDIT_FIRST_BYTES + 10_000);
    assert!(pair.1.held_bytes > SESSION_CREDIT_BYTES / 2);
    assert!(pair.1.held_bytes <= most, "{}", pair.1.held_bytes);
    for _ in 0..100 {
        assert!(pair.0.send(quick, &message(10_000)).unwrap());
        pair.exchange();
        assert_eq!(pair.1.read(quick), Read::Message(message(10_000)));
        pair.exchange();
    }
}

#[test]
fn the_urgent_overtakes_what_is_queued() {
    let mut pair = Pair::new();
    let (bulk, urgent) = (pair.opened(), pair.opened());
    pair.0.set_priority(urgent, Priority::High);
    for _ in 0..5 {
        pair.0.send(bulk, &message(12_000)).unwrap();
    }
    pair.0.send(urgent, &message(10)).unwrap();
    transfer(&mut pair.0, &mut pair.1);
    // The bulk stream was ready first, and had the first turn already.
    transfer(&mut pair.0, &mut pair.1);
    assert_eq!(pair.1.read(urgent), Read::Message(message(10)));
}

#[test]
fn a_reset_reaches_the_reader_after_what_it_has_already() {
    let mut pair = Pair::new();
    let id = pair.opened();
    pair.0.send(id, &message(1)).unwrap();
    pair.exchange();
    pair.0.reset(id, Code::Cancelled.because("enough"));
    pair.exchange();
    assert_eq!(pair.1.read(id), Read::Message(message(1)));
    assert_eq!(
        pair.1.read(id),
        Read::Reset(Code::Cancelled.because("enough"))
    );
    assert!(pair.1.send(id, &message(1)).is_err());
}

#[test]
fn a_reset_before_the_stream_was_announced_says_nothing() {
    let mut pair = Pair::new();
    let id = pair.0.open("test/1".into()).unwrap();
    pair.0.reset(id, Code::Cancelled.because("enough"));
    pair.0.release(id);
    assert!(pair.0.is_empty());
    let next = pair.opened();
    assert_eq!(
        events(&mut pair.1),
        [MuxEvent::Incoming(next, vec!["test/1".into()])]
    );
}

#[test]
fn one_node_cannot_open_streams_without_end() {
    let mut pair = Pair::new();
    for _ in 0..STREAMS_MAX {
        pair.0.open("test/1".into()).unwrap();
    }
    assert_eq!(
        pair.0.open("test/1".into()).unwrap_err().code,
        Code::Overloaded
    );
    let first = StreamId(0);
    pair.0.reset(first, Code::Cancelled.because("enough"));
    pair.0.release(first);
    assert!(pair.0.open("test/1".into()).is_ok());
}

#[test]
fn a_node_that_does_not_hear_that_its_streams_are_refused_loses_the_session() {
    let mut mux = Mux::new(true);
    let mut open = |n: usize| {
        let mut out = BytesMut::new();
        StreamFrame::Open("test/1".into()).encode(StreamId(2 * n as u64 + 1), &mut out);
        let result = mux.read_record(out.freeze());
        (result.map_err(|failure| failure.code), mux.len())
    };
    let most = STREAMS_MAX + REFUSED_STREAMS_MAX;
    for n in 0..most {
        assert_eq!(open(n), (Ok(()), n + 1));
    }
    assert_eq!(open(most), (Err(Code::Overloaded), most));
}

#[test]
fn frames_against_the_rules_end_the_session_or_the_stream() {
    let frame = |id: u64, frame: StreamFrame| {
        let mut out = BytesMut::new();
        frame.encode(StreamId(id), &mut out);
        out.freeze()
    };
    let mut mux = Mux::new(true);
    assert!(
        mux.read_record(frame(1, StreamFrame::Finish)).is_err(),
        "never opened"
    );
    assert!(
        mux.read_record(frame(0, StreamFrame::Open("x".into())))
            .is_err(),
        "ours to open"
    );
    assert!(
        mux.read_record(frame(1, StreamFrame::Open("x".into())))
            .is_ok()
    );
    assert!(
        mux.read_record(frame(1, StreamFrame::Open("x".into())))
            .is_err(),
        "twice"
    );
    let fragment = Bytes::from(vec![0; FRAGMENT_BYTES_MAX]);
    for _ in 0..100 {
        let data = StreamFrame::Data {
            fragment: fragment.clone(),
            last: true,
        };
        mux.read_record(frame(1, data)).unwrap();
    }
    assert!(mux.held_bytes <= STREAM_CREDIT_BYTES, "credit is enforced");
    while let Read::Message(_) = mux.read(StreamId(1)) {}
    assert!(matches!(mux.read(StreamId(1)), Read::Reset(f) if f.code == Code::BadMessage));
}
