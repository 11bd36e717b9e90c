//! The operations of a session: two ends that open, send, read and end streams, over a channel that loses,
//! doubles and holds back. The input is a list of operations; what is read must be what was sent.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use peerage::limits::UNACKNOWLEDGED_BYTES_MAX;
use peerage::session::handshake::{Caller, Context, answer};
use peerage::session::transport::{Opened, Remark};
use peerage::session::{Payload, Transport};
use peerage::stream::flow::Read;
use peerage::stream::{Mux, MuxEvent, StreamId};
use peerage::{Code, Identity, Time};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// Streams that the input may speak of.
const STREAMS: u64 = 6;

struct End {
    transport: Transport,
    mux: Mux,
    /// What was sent and not yet read by the other end, by stream.
    sent: BTreeMap<StreamId, VecDeque<Bytes>>,
    /// Streams that this end has ended early: nothing more is known of them.
    ended: Vec<StreamId>,
    number: u32,
}

/// Does what the input says, and then lets everything arrive.
pub fn session(input: &[u8]) {
    let (mut ends, mut now) = (ends(), Time::from_secs(1));
    let mut wire: [VecDeque<Bytes>; 2] = Default::default();
    for step in input.chunks(2).take(2000) {
        let (what, which) = (step[0], step.get(1).copied().unwrap_or(0));
        let (own, other) = (usize::from(which & 1), usize::from(which & 1 ^ 1));
        let stream = StreamId(u64::from(which >> 1) % STREAMS);
        now += Time::from_millis(1);
        match what % 10 {
            0 if which & 128 == 0 => drop(ends[own].mux.open("fuzz/1".into())),
            0 => drop(ends[own].mux.offer(vec!["fuzz/2".into(), "fuzz/1".into()])),
            1 | 2 => ends[own].send(stream, usize::from(what) * 50),
            3 => {
                let expected = ends[other].sent.remove(&stream).unwrap_or_default();
                let rest = ends[own].read(stream, expected);
                ends[other].sent.insert(stream, rest);
            }
            4 => ends[own].leave(&mut wire[other], now),
            5 => deliver(&mut ends[own], &mut wire[own], now),
            6 => drop(wire[own].pop_front()),
            7 => wire[own].extend(wire[own].front().cloned()),
            8 => wire[own].rotate_left(usize::from(!wire[own].is_empty())),
            _ => {
                ends[own]
                    .mux
                    .reset(stream, Code::Cancelled.because("enough"));
                ends.iter_mut().for_each(|end| end.ended.push(stream));
            }
        }
    }
    settle(&mut ends, &mut wire, now);
}

fn ends() -> [End; 2] {
    let (a, b) = (
        Identity::from_secret(&[1; 32]),
        Identity::from_secret(&[2; 32]),
    );
    let rng = |n| ChaCha20Rng::from_seed([n; 32]);
    let context = |identity, peer| Context {
        identity,
        peer,
        zone: "",
    };
    let (caller, first) = Caller::start(context(&a, b.id()), None, rng(3)).expect("a valid id");
    let called = answer(context(&b, a.id()), &first, rng(4)).expect("our message");
    let calling = caller.finish(&called.second).expect("our answer");
    [(calling, true), (called.keys, false)].map(|(keys, even)| End {
        transport: Transport::new(keys, UNACKNOWLEDGED_BYTES_MAX),
        mux: Mux::new(even),
        sent: BTreeMap::new(),
        ended: Vec::new(),
        number: 0,
    })
}

impl End {
    fn send(&mut self, stream: StreamId, len: usize) {
        self.number += 1;
        let mut message = BytesMut::from(&self.number.to_be_bytes()[..]);
        message.resize(4 + len, 7);
        let message = message.freeze();
        if self.mux.send(stream, &message) == Ok(true) {
            self.sent.entry(stream).or_default().push_back(message);
        }
    }

    /// Reads all that is there. Gives what of `expected` is still to come.
    fn read(&mut self, stream: StreamId, mut expected: VecDeque<Bytes>) -> VecDeque<Bytes> {
        while let Read::Message(message) = self.mux.read(stream) {
            assert_eq!(expected.pop_front(), Some(message), "{stream:?}");
        }
        expected
    }

    /// Puts one record on the wire, if there is something to say.
    fn leave(&mut self, wire: &mut VecDeque<Bytes>, now: Time) {
        self.transport.handle_time(now);
        if let Some(again) = self.transport.resend(now) {
            wire.push_back(again);
        } else if self.mux.wants_to_send() && self.transport.has_room(true) {
            let mut frames = BytesMut::new();
            self.mux.write_record(&mut frames);
            if !frames.is_empty() {
                wire.push_back(self.transport.seal(&frames, now));
            }
        } else if self.transport.owes_ack(now) {
            wire.push_back(self.transport.seal_remark(&Remark::Ack));
        }
    }
}

fn deliver(end: &mut End, wire: &mut VecDeque<Bytes>, now: Time) {
    let Some(bytes) = wire.pop_front() else {
        return;
    };
    let Ok(Payload::Record(sealed)) = Payload::decode(bytes) else {
        panic!("a record is a record");
    };
    let opened = end
        .transport
        .open(&sealed, now)
        .expect("sealed by the other end");
    if opened == Opened::Reliable {
        while let Some(frames) = end.transport.next_in_order() {
            end.mux
                .read_record(frames)
                .expect("the other end keeps to the rules");
        }
    }
    while let Some(event) = end.mux.poll_event() {
        if let MuxEvent::Incoming(stream, offered) = event {
            end.mux.choose(stream, offered.len() as u8 - 1);
        }
    }
}

/// From now on nothing is lost: all that was sent arrives.
fn settle(ends: &mut [End; 2], wire: &mut [VecDeque<Bytes>; 2], mut now: Time) {
    for _ in 0..20_000 {
        now += Time::from_millis(20);
        for (own, other) in [(0, 1), (1, 0)] {
            ends[own].leave(&mut wire[other], now);
            while !wire[other].is_empty() {
                deliver(&mut ends[other], &mut wire[other], now);
            }
            for stream in (0..STREAMS).map(StreamId) {
                let expected = ends[own].sent.remove(&stream).unwrap_or_default();
                let rest = ends[other].read(stream, expected);
                ends[own].sent.insert(stream, rest);
            }
        }
        let open = |end: &End| {
            let waits = |(stream, sent): (&StreamId, &VecDeque<Bytes>)| {
                !sent.is_empty() && !end.ended.contains(stream)
            };
            end.sent.iter().any(waits)
        };
        if !ends.iter().any(open) {
            return;
        }
    }
    panic!("not all that was sent has arrived");
}
