//! What a fuzzer feeds. `cargo xtask fuzz` looks for new inputs, guided by coverage; the corpus that it has
//! found is committed, and replayed on each test run. A target that returns has found nothing amiss.

mod enet;
mod events;
mod kai;
mod program;
mod session;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use peerage::id::{Name, NodeId};
use peerage::link::frame::Packet;
use peerage::link::hello::{Challenge, Hello, VERSIONS};
use peerage::link::{Frame, LinkId, Origin};
use peerage::node::Machine;
use peerage::object::{Form, decode, encode, from_value};
use peerage::service::command::{Line, parse_duration};
use peerage::service::punch::Invitation;
use peerage::service::signal::Signal;
use peerage::session::Payload;
use peerage::session::transport::Remark;
use peerage::stream::frame::StreamFrame;
use peerage::wire::{Reader, put_varint};
use peerage::{Config, Identity, Kind, Time};

pub use enet::enet;
pub use events::events;
pub use kai::kai;
pub use program::program;
pub use session::session;

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 12] = [
    ("varint", varint),
    ("link", link),
    ("greeting", greeting),
    ("payload", payload),
    ("frames", frames),
    ("text", text),
    ("session", session),
    ("object", object),
    ("enet", enet),
    ("program", program),
    ("kai", kai),
    ("events", events),
];

/// An integer that is read is written the same way.
pub fn varint(input: &[u8]) {
    let mut reader = Reader::new(Bytes::copy_from_slice(input));
    if let Ok(value) = reader.varint() {
        let mut out = BytesMut::new();
        put_varint(&mut out, value);
        assert_eq!(out, input[..out.len()]);
    }
}

/// Frames of a link: what is read is written the same way, and a relay takes all of it.
pub fn link(input: &[u8]) {
    let packet = Bytes::copy_from_slice(input);
    for (frame, raw) in Packet::new(packet.clone()).flatten() {
        // CBOR has several forms for one thing; all others have one.
        if let Frame::Record { .. } = frame {
            assert_eq!(frame.encode(), raw);
        }
        if let Frame::Control(control) = frame {
            let again = Frame::Control(control.clone()).encode();
            let read = Packet::new(again).next();
            assert_eq!(
                read.and_then(Result::ok).map(|(frame, _)| frame),
                Some(Frame::Control(control))
            );
        }
    }
    relay_takes(packet);
}

/// A greeting's parts.
pub fn greeting(input: &[u8]) {
    let Ok(challenge) = Challenge::read(VERSIONS, input) else {
        let challenge = Challenge {
            id: NodeId::from_bytes([1; 32]),
            zone: String::new(),
            nonce: [0; 32],
        };
        // The signature cannot be guessed.
        assert!(Hello::check(VERSIONS.0, input, &challenge).is_err());
        return;
    };
    let own = Identity::from_secret(&[1; 32]);
    let hello = Hello::answer(&challenge, &own, Kind::Browser, None, false, [2; 32]);
    let Frame::Hello { version, body } = Frame::hello(VERSIONS.0, &hello) else {
        return;
    };
    assert_eq!(Hello::check(version, &body, &challenge), Ok(hello));
}

/// What travels for a session, and remarks within.
pub fn payload(input: &[u8]) {
    let bytes = Bytes::copy_from_slice(input);
    if let Ok(Payload::Record(sealed)) = Payload::decode(bytes.clone()) {
        assert_eq!(sealed.whole, bytes);
    }
    if let Ok(remark) = Remark::decode(Reader::new(bytes)) {
        let again = Remark::decode(Reader::new(remark.encode().freeze()));
        assert_eq!(again.ok(), Some(remark));
    }
}

/// Stream frames, one after the other.
pub fn frames(input: &[u8]) {
    let mut reader = Reader::new(Bytes::copy_from_slice(input));
    while let Ok((stream, frame)) = StreamFrame::decode(&mut reader) {
        let mut out = BytesMut::new();
        frame.encode(stream, &mut out);
        let again = StreamFrame::decode(&mut Reader::new(out.freeze()));
        assert_eq!(again, Ok((stream, frame)));
    }
}

/// What people and signalling say.
pub fn text(input: &[u8]) {
    if let Ok(signal) = Signal::decode(input) {
        assert_eq!(Signal::decode(&signal.encode()), Ok(signal));
    }
    if let Ok(invitation) = Invitation::decode(input) {
        assert_eq!(Invitation::decode(&invitation.encode()), Ok(invitation));
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(name) = text.parse::<Name>() {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(id) = text.parse::<NodeId>() {
        assert!(id.to_string().eq_ignore_ascii_case(text));
    }
    // No line or duration makes it panic.
    let _ = (Line::parse(text), parse_duration(text));
}

/// A value: what is read is the same graph when it is written and read again, in either form.
pub fn object(input: &[u8]) {
    let Ok(value) = decode(&Bytes::copy_from_slice(input)) else {
        return;
    };
    let natural = encode(&value, Form::Natural);
    let again = decode(&natural).expect("what we have written");
    assert!(value.is_same_graph(&again));
    assert_eq!(encode(&again, Form::Natural), natural);
    let sorted = encode(&value, Form::Deterministic);
    let again = decode(&sorted).expect("what we have written");
    assert_eq!(encode(&again, Form::Deterministic), sorted);
    // No type of Rust's own makes it panic, or lasts.
    let _ = from_value::<BTreeMap<String, Vec<f64>>>(&value);
    let _ = from_value::<(Option<i128>, Box<str>, char)>(&value);
}

/// A relay gets a packet from one who has just called, and goes on whatever it was.
fn relay_takes(packet: Bytes) {
    let config = Config::new(Kind::Relay);
    let mut relay = Machine::new(config, Identity::from_secret(&[9; 32]), [1; 32], Time::ZERO);
    relay.handle_link_up(Time::ZERO, LinkId(1), Origin::Accepted);
    relay.handle_packet(Time::ZERO, LinkId(1), packet);
    let outputs = std::iter::from_fn(|| relay.poll_output()).count();
    assert!(outputs < 10_000);
}
