//! What a hostile member says inside its sessions: sealed as it should be, and against the rules.

use bytes::{BufMut, Bytes, BytesMut};
use peerage::Code;
use peerage::limits::FRAGMENT_BYTES_MAX;
use peerage::session::transport::Remark;
use peerage::stream::StreamId;
use peerage::stream::frame::StreamFrame;
use peerage::wire::put_varint;

use crate::app::PROTOCOL;
use crate::rng::Rng;

/// The highest number that a record can have.
const NUMBER_MAX: u64 = (1 << 62) - 1;

/// The rule that is broken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Attack {
    /// What is in a record is no frame.
    Garbage,
    /// An integer is longer than it may be.
    Overlong,
    /// A length is beyond everything.
    Huge,
    /// A stream that was never opened gets data, credit, an end.
    Unopened,
    /// A stream is opened that only the other side may open.
    Parity,
    /// Streams are opened without end.
    Flood,
    /// More data comes than the credit allows.
    BeyondCredit,
    /// Credit overflows and shrinks.
    Credit,
    /// A stream goes on after its end, and begins again.
    AfterEnd,
    /// Records come far ahead, and others under the same number.
    Numbers,
    /// What was offered is not waited for, and what was not is chosen.
    Offers,
    /// What stands beside the streams is ill-formed, or answers what nobody asked.
    Remarks,
}

/// A record before it is sealed.
pub(crate) struct Plain {
    pub(crate) reliable: bool,
    pub(crate) number: u64,
    pub(crate) body: BytesMut,
}

/// What one side of a session counts.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) next_record: u64,
    pub(crate) next_remark: u64,
    /// The next stream that it may open.
    pub(crate) next_stream: u64,
    /// Records that it has got.
    pub(crate) heard: u64,
    /// Whether it acknowledges them.
    pub(crate) acknowledges: bool,
}

impl Attack {
    pub(crate) const ALL: [Self; 12] = [
        Self::Garbage,
        Self::Overlong,
        Self::Huge,
        Self::Unopened,
        Self::Parity,
        Self::Flood,
        Self::BeyondCredit,
        Self::Credit,
        Self::AfterEnd,
        Self::Numbers,
        Self::Offers,
        Self::Remarks,
    ];

    /// The next record.
    pub(crate) fn record(self, counts: &mut Counts, rng: &mut Rng) -> Plain {
        let mut body = counts.acknowledgement(rng);
        let reliable = !matches!(self, Self::Remarks);
        if reliable {
            self.frames(counts, rng, &mut body);
        } else {
            remark(rng, &mut body);
        }
        let next = if reliable {
            &mut counts.next_record
        } else {
            &mut counts.next_remark
        };
        let mut number = *next;
        *next += 1;
        if matches!(self, Self::Numbers) {
            let ahead = rng.one_of(&[0, 0, 1, 2, 4_000, 5_000, NUMBER_MAX]);
            let back = rng.one_of(&[0, 0, 1, 3]);
            number = (number + ahead).saturating_sub(back).min(NUMBER_MAX);
        }
        Plain {
            reliable,
            number,
            body,
        }
    }

    fn frames(self, counts: &mut Counts, rng: &mut Rng, out: &mut BytesMut) {
        let theirs = counts.theirs(rng);
        match self {
            Self::Garbage => out.put_slice(&rng.bytes()[..=rng.place(31)]),
            Self::Overlong => out.put_slice(rng.one_of(&[&[0xff; 11][..], &[0x80, 0]])),
            Self::Huge => {
                let id = counts.open(PROTOCOL, out);
                put_varint(out, id.0);
                out.put_u8(rng.between(0, 4) as u8);
                put_varint(out, rng.one_of(&[1 << 14, 1 << 32, u64::MAX]));
            }
            Self::Unopened => {
                let far = rng.one_of(&[2, 2_000, u64::MAX - 3]);
                let id = StreamId(counts.next_stream.saturating_add(far));
                any_frame(rng).encode(rng.one_of(&[id, theirs]), out);
            }
            Self::Parity => StreamFrame::Open(PROTOCOL.into()).encode(theirs, out),
            Self::Flood => {
                let protocol = rng.one_of(&["", "x", PROTOCOL]);
                for _ in 0..rng.between(1, 600) {
                    counts.open(protocol, out);
                }
            }
            Self::BeyondCredit => {
                let id = counts.open(PROTOCOL, out);
                let last = rng.per_mille(500);
                for _ in 0..rng.between(1, 4) {
                    data(FRAGMENT_BYTES_MAX, last).encode(id, out);
                }
            }
            Self::Credit => {
                let id = rng.one_of(&[counts.open(PROTOCOL, out), theirs]);
                for sum in [u64::MAX, 0, rng.below(1 << 40)] {
                    StreamFrame::Credit(sum).encode(id, out);
                }
                data(rng.place(200), true).encode(id, out);
            }
            Self::AfterEnd => {
                let id = counts.open(PROTOCOL, out);
                for _ in 0..rng.between(2, 6) {
                    any_frame(rng).encode(id, out);
                }
                if rng.per_mille(100) {
                    StreamFrame::Open(PROTOCOL.into()).encode(id, out);
                }
            }
            Self::Offers => {
                let protocols = ["x", PROTOCOL].repeat(rng.place(5));
                let offer = protocols.into_iter().map(str::to_owned).collect();
                let id = StreamId(counts.next_stream);
                counts.next_stream += 2;
                StreamFrame::Offer(offer).encode(id, out);
                if rng.per_mille(500) {
                    any_frame(rng).encode(id, out);
                }
                if rng.per_mille(100) {
                    let place = rng.one_of(&[0, 1, u8::MAX]);
                    StreamFrame::Choice(place).encode(rng.one_of(&[id, theirs]), out);
                }
            }
            Self::Numbers | Self::Remarks => {
                let id = counts.open(PROTOCOL, out);
                data(rng.place(FRAGMENT_BYTES_MAX), true).encode(id, out);
            }
        }
    }
}

impl Counts {
    fn open(&mut self, protocol: &str, out: &mut BytesMut) -> StreamId {
        let id = StreamId(self.next_stream);
        self.next_stream += 2;
        StreamFrame::Open(protocol.into()).encode(id, out);
        id
    }

    /// A stream that the other side may have opened.
    fn theirs(&self, rng: &mut Rng) -> StreamId {
        StreamId(2 * rng.below(4) + 1 - self.next_stream % 2)
    }

    fn acknowledgement(&self, rng: &mut Rng) -> BytesMut {
        let (next, missing) = match rng.below(10) {
            0 => (u64::MAX, rng.below(9)),
            1 => (self.heard / 2, u64::MAX),
            _ if self.acknowledges => (self.heard, 0),
            _ => (0, 0),
        };
        let mut out = BytesMut::new();
        put_varint(&mut out, next);
        put_varint(&mut out, missing);
        out
    }
}

fn data(len: usize, last: bool) -> StreamFrame {
    StreamFrame::Data {
        fragment: Bytes::from(vec![7; len]),
        last,
    }
}

fn any_frame(rng: &mut Rng) -> StreamFrame {
    match rng.below(5) {
        0 => StreamFrame::Finish,
        1 => StreamFrame::Reset(Code::Gone.because("so it says")),
        2 => StreamFrame::Credit(rng.one_of(&[0, u64::MAX])),
        _ => data(rng.place(200), rng.per_mille(500)),
    }
}

fn remark(rng: &mut Rng, out: &mut BytesMut) {
    match rng.below(100) {
        0..3 => out.put_slice(&[9, 9]),
        3..6 => out.put_slice(&[4, 0xff, 0xff, 3]),
        6..9 => out.put_slice(&[3]),
        9..50 => out.put_slice(&Remark::Pong(rng.below(9)).encode()),
        50..75 => out.put_slice(&Remark::Ping(u64::MAX).encode()),
        _ => {
            let protocol = rng.one_of(&["", PROTOCOL]).into();
            let body = Bytes::copy_from_slice(&rng.bytes()[..rng.place(32)]);
            out.put_slice(&Remark::Datagram(protocol, body).encode());
        }
    }
}
