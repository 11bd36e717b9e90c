//! The golden vectors, made from the source.

use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use peerage::id::{Identity, Kind, Name, NodeId};
use peerage::limits::UNACKNOWLEDGED_BYTES_MAX;
use peerage::link::frame::{Admission, Applicant, Control, Member};
use peerage::link::hello::{Challenge, Hello, VERSION, VERSIONS, Welcome};
use peerage::link::{Frame, RouteHandle};
use peerage::session::handshake::{Caller, Context, answer};
use peerage::session::transport::{Remark, Transport};
use peerage::session::{Payload, handshake};
use peerage::stream::StreamId;
use peerage::stream::frame::StreamFrame;
use peerage::wire::put_varint;
use peerage::{Code, Failure, Time};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::{Value, json};

pub(crate) fn varints() -> Vec<Value> {
    let mut vectors = Vec::new();
    for value in [0, 1, 127, 128, 300, 16_384, u64::from(u32::MAX), u64::MAX] {
        let mut out = BytesMut::new();
        put_varint(&mut out, value);
        // As text: JSON's numbers end at 2^53.
        vectors.push(valid("integer", &out, json!(value.to_string())));
    }
    vectors.push(malformed("nothing", &[], Code::BadMessage));
    vectors.push(malformed("cut short", &[0x80], Code::BadMessage));
    vectors.push(malformed(
        "not the shortest form",
        &[0x81, 0],
        Code::BadMessage,
    ));
    vectors.push(malformed("beyond 64 bits", &[0xff; 10], Code::BadMessage));
    vectors
}

fn identity(n: u8) -> Identity {
    Identity::from_secret(&[n; 32])
}

fn id(n: u8) -> NodeId {
    identity(n).id()
}

fn challenge() -> Challenge {
    Challenge {
        id: id(9),
        zone: "local".into(),
        nonce: [7; 32],
    }
}

fn hello() -> Hello {
    let name = "screen-left".parse().ok();
    Hello::answer(
        &challenge(),
        &identity(1),
        Kind::Browser,
        name,
        false,
        [8; 32],
    )
}

/// A frame, its name, and what it means.
pub(crate) type Described = (&'static str, Frame, Value);

/// Every frame of a link, in the order of their numbers.
pub(crate) fn frames() -> Vec<Described> {
    [greetings(), presence(), routes(), admissions()].concat()
}

const ROUTE: RouteHandle = RouteHandle(0x0102_0304);

fn name() -> Name {
    "screen-left".parse().expect("a name")
}

fn id_told(n: u8) -> String {
    hex(id(n).as_bytes())
}

fn failure() -> (Failure, Value) {
    let told = json!({ "code": 13, "message": "no way", "peer": "b" });
    (Code::Unreachable.because("no way").of("b"), told)
}

fn member() -> (Member, Value) {
    let (id, kind) = (id(1), Kind::Browser);
    let told = json!({ "id": id_told(1), "name": "screen-left", "kind": 0 });
    let name = name();
    let role = None;
    (
        Member {
            id,
            name,
            kind,
            role,
        },
        told,
    )
}

/// What the challenge and the hello mean.
fn asks() -> Value {
    json!({ "id": id_told(9), "zone": "local", "nonce": hex(&[7; 32]) })
}

fn says() -> Value {
    let signature = hex(&hello().signature);
    json!({ "id": id_told(1), "kind": 0, "name": "screen-left", "insist": false,
        "nonce": hex(&[8; 32]), "signature": signature })
}

fn greetings() -> Vec<Described> {
    let payload = Bytes::from_static(b"sealed");
    let record = Frame::Record {
        route: ROUTE,
        payload,
    };
    let records = json!({ "route": ROUTE.0, "payload": hex(b"sealed") });
    let challenges = json!({ "versions": [1, 1], "challenge": asks() });
    let hellos = json!({ "version": 1, "hello": says() });
    vec![
        ("record", record, records),
        (
            "challenge",
            Frame::challenge(VERSIONS, &challenge()),
            challenges,
        ),
        ("hello", Frame::hello(VERSION, &hello()), hellos),
    ]
}

fn control(name: &'static str, control: Control, means: Value) -> Described {
    (name, Frame::Control(control), means)
}

fn presence() -> Vec<Described> {
    let (refused, told) = failure();
    let (joined, member_told) = member();
    let welcome = Welcome {
        name: name(),
        members: vec![joined.clone()],
        signature: Welcome::sign(&identity(9), &challenge(), &hello()),
    };
    let signature = hex(&welcome.signature);
    let welcomes =
        json!({ "name": "screen-left", "members": [member_told], "signature": signature });
    let (id, reason, request) = (id(1), Code::Left, 5);
    let resolve = Control::Resolve {
        request,
        name: name(),
    };
    let resolved = Control::Resolved { request, id: None };
    vec![
        control("welcome", Control::Welcome(welcome), welcomes),
        control("refuse", Control::Refuse(refused), told),
        control("join", Control::Join(joined), member_told),
        control(
            "leave",
            Control::Leave { id, reason },
            json!({ "id": id_told(1), "reason": 4 }),
        ),
        control(
            "resolve",
            resolve,
            json!({ "request": 5, "name": "screen-left" }),
        ),
        control("resolved", resolved, json!({ "request": 5, "id": null })),
    ]
}

fn routes() -> Vec<Described> {
    let (failure, told) = failure();
    let open = Control::Open {
        route: ROUTE,
        from: id(1),
        target: id(2),
        payload: vec![1, 2, 3],
    };
    let opens =
        json!({ "route": ROUTE.0, "from": id_told(1), "target": id_told(2), "payload": "010203" });
    let closed = Control::Closed {
        route: ROUTE,
        failure,
    };
    vec![
        control("open", open, opens),
        control(
            "closed",
            closed,
            json!({ "route": ROUTE.0, "failure": told }),
        ),
        control("ping", Control::Ping, json!({})),
        control("pong", Control::Pong, json!({})),
        control(
            "bye",
            Control::Bye { spread_ms: 2500 },
            json!({ "spreadMs": 2500 }),
        ),
    ]
}

fn admissions() -> Vec<Described> {
    let request = 6;
    let applicant = Box::new(Applicant {
        challenge: challenge(),
        hello: hello(),
        name: Some(name()),
    });
    let applies = json!({ "challenge": asks(), "hello": says(), "name": "screen-left" });
    let admission = Admission::Granted {
        name: name(),
        listed: true,
    };
    let granted = json!({ "name": "screen-left", "listed": true });
    let admit = Control::Admit { request, applicant };
    let admitted = Control::Admitted { request, admission };
    vec![
        control(
            "admit",
            admit,
            json!({ "request": 6, "applicant": applies }),
        ),
        control(
            "admitted",
            admitted,
            json!({ "request": 6, "granted": granted }),
        ),
    ]
}

pub(crate) fn link_frames() -> Vec<Value> {
    let mut vectors: Vec<_> = frames()
        .into_iter()
        .map(|(name, frame, means)| valid(name, &frame.encode(), means))
        .collect();
    let bad = Code::BadMessage;
    vectors.extend([
        malformed("an empty frame", &[0], bad),
        malformed("an unknown kind", &[1, 9], bad),
        malformed("a record without a route", &[3, 0, 1, 2], bad),
        malformed("a frame cut short", &[5, 1, 0x82], bad),
        malformed("control of an unknown number", &[4, 1, 0x82, 0x18, 99], bad),
        malformed("control that is no CBOR", &[3, 1, 0xff, 0xff], bad),
        malformed("bytes after the CBOR", &[5, 1, 0x82, 8, 0x80, 0], bad),
        malformed(
            "a frame beyond the limit",
            &[0x81, 0x80, 4, 0],
            Code::TooLarge,
        ),
    ]);
    vectors
}

pub(crate) fn session_payloads() -> Vec<Value> {
    let remark = |name: &str, remark: Remark, means| {
        let mut plain = BytesMut::new();
        put_varint(&mut plain, 300);
        put_varint(&mut plain, 2);
        plain.extend_from_slice(&remark.encode());
        valid(
            name,
            &plain,
            json!({ "next": 300, "missing": 2, "remark": means }),
        )
    };
    vec![
        valid(
            "first",
            &Payload::first(1, &[0xaa; 4]),
            json!({ "kind": 1, "version": 1, "noise": "aaaaaaaa" }),
        ),
        valid(
            "second",
            &Payload::second(&[0xbb; 4]),
            json!({ "kind": 2, "noise": "bbbbbbbb" }),
        ),
        valid(
            "notice",
            &Payload::notice(Code::Gone),
            json!({ "kind": 3, "code": 2 }),
        ),
        remark("plain: acknowledgement", Remark::Ack, json!({ "kind": 0 })),
        remark(
            "plain: ping",
            Remark::Ping(7),
            json!({ "kind": 1, "id": 7 }),
        ),
        remark(
            "plain: pong",
            Remark::Pong(7),
            json!({ "kind": 2, "id": 7 }),
        ),
        remark(
            "plain: close",
            Remark::Close(Code::Left.because("bye")),
            json!({ "kind": 3, "code": 4, "message": "bye" }),
        ),
        remark(
            "plain: datagram",
            Remark::Datagram("a/1".into(), Bytes::from_static(b"now")),
            json!({ "kind": 4, "protocol": "a/1", "body": hex(b"now") }),
        ),
        malformed("nothing", &[], Code::BadMessage),
        malformed("an unknown kind", &[6], Code::BadMessage),
        malformed("a first message without a version", &[1], Code::BadMessage),
        malformed("a notice without a code", &[3], Code::BadMessage),
        malformed("a record without a number", &[4, 0x80], Code::BadMessage),
        malformed("plain: without acknowledgement", &[0x80], Code::BadMessage),
        malformed("plain: an unknown kind", &[0, 0, 5], Code::BadMessage),
        malformed("plain: a ping without an id", &[0, 0, 1], Code::BadMessage),
    ]
}

pub(crate) fn stream_frames() -> Vec<Value> {
    let frame = |name: &str, frame: StreamFrame, means: Value| {
        let mut out = BytesMut::new();
        frame.encode(StreamId(300), &mut out);
        valid(name, &out, json!({ "stream": 300, "frame": means }))
    };
    let data = |last| StreamFrame::Data {
        fragment: Bytes::from_static(b"abc"),
        last,
    };
    vec![
        frame(
            "open",
            StreamFrame::Open("acme/robot/2".into()),
            json!({ "kind": 0, "protocol": "acme/robot/2" }),
        ),
        frame(
            "data",
            data(true),
            json!({ "kind": 1, "fragment": hex(b"abc") }),
        ),
        frame(
            "data, more to come",
            data(false),
            json!({ "kind": 2, "fragment": hex(b"abc") }),
        ),
        frame("finish", StreamFrame::Finish, json!({ "kind": 3 })),
        frame(
            "reset",
            StreamFrame::Reset(Code::Cancelled.because("enough")),
            json!({ "kind": 4, "code": 1, "message": "enough" }),
        ),
        frame(
            "credit",
            StreamFrame::Credit(70_000),
            json!({ "kind": 5, "sum": 70_000 }),
        ),
        frame(
            "offer",
            StreamFrame::Offer(vec!["acme/robot/2".into(), "acme/robot/1".into()]),
            json!({ "kind": 6, "protocols": ["acme/robot/2", "acme/robot/1"] }),
        ),
        frame(
            "choice",
            StreamFrame::Choice(1),
            json!({ "kind": 7, "place": 1 }),
        ),
        malformed("nothing", &[], Code::BadMessage),
        malformed("an unknown kind", &[0, 8], Code::BadMessage),
        malformed("a fragment cut short", &[0, 1, 3, b'a'], Code::BadMessage),
        malformed(
            "a fragment beyond the limit",
            &[0, 1, 0x81, 0x60],
            Code::TooLarge,
        ),
        malformed(
            "a protocol that is not UTF-8",
            &[0, 0, 1, 0xff],
            Code::BadMessage,
        ),
        malformed(
            "a protocol beyond the limit",
            &[0, 0, 0x80, 2],
            Code::TooLarge,
        ),
        malformed("an offer of nothing", &[0, 6, 0], Code::BadMessage),
        malformed("an offer of too many", &[0, 6, 9], Code::BadMessage),
        malformed("an offer cut short", &[0, 6, 2, 1, b'a'], Code::BadMessage),
        malformed("a choice of nothing", &[0, 7], Code::BadMessage),
    ]
}

/// A whole handshake, with all that is drawn at random, and the first records.
pub(crate) fn handshakes() -> Vec<Value> {
    let (a, b) = (identity(1), identity(2));
    let rng = |n| ChaCha20Rng::from_seed([n; 32]);
    let ephemeral = |n| {
        let mut bytes = [0; 32];
        rng(n).fill_bytes(&mut bytes);
        hex(&bytes)
    };
    let context = |own, peer| Context {
        identity: own,
        peer,
        zone: "local",
    };
    let (caller, first) = Caller::start(context(&a, b.id()), None, rng(3)).expect("a valid id");
    let called = answer(context(&b, a.id()), &first, rng(4)).expect("our message");
    let second = called.second;
    let caller_keys = caller.finish(&second).expect("our answer");
    let (mut from, mut to) = (
        Transport::new(caller_keys, UNACKNOWLEDGED_BYTES_MAX),
        Transport::new(called.keys, UNACKNOWLEDGED_BYTES_MAX),
    );
    let mut plain = BytesMut::new();
    StreamFrame::Open("a/1".into()).encode(StreamId(0), &mut plain);
    let reliable = from.seal(&plain, Time::ZERO);
    let unreliable = from.seal_remark(&Remark::Ping(7));
    let back = to.seal_remark(&Remark::Pong(7));
    vec![json!({
        "name": "Noise IK between two ids, and the first records",
        "zone": "local",
        "version": handshake::VERSION,
        "callerSecret": hex(&[1; 32]), "callerId": hex(a.id().as_bytes()), "callerEphemeral": ephemeral(3),
        "calledSecret": hex(&[2; 32]), "calledId": hex(b.id().as_bytes()), "calledEphemeral": ephemeral(4),
        "first": hex(&first), "second": hex(&second),
        "callerReliable0": { "frames": hex(&plain), "hex": hex(&reliable) },
        "callerUnreliable0": { "remark": { "ping": 7 }, "hex": hex(&unreliable) },
        "calledUnreliable0": { "remark": { "pong": 7 }, "hex": hex(&back) },
    })]
}

/// A vector that decodes to something, which is described in words and JSON.
fn valid(name: &str, bytes: &[u8], meaning: Value) -> Value {
    json!({ "name": name, "hex": hex(bytes), "means": meaning })
}

/// A vector that must be refused, under this code.
fn malformed(name: &str, bytes: &[u8], code: Code) -> Value {
    json!({ "name": name, "hex": hex(bytes), "refused": code.as_str() })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}
