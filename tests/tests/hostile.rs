//! What a relay does with callers that mean no good, while others work on it.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use peerage::link::frame::{Admission, Applicant, Control};
use peerage::link::hello::{Challenge, Hello, VERSION};
use peerage::link::{Frame, RouteHandle};
use peerage::wire::put_varint;
use peerage::{Code, Identity, Kind, NodeId, limits};
use peerage_tests::{Bystanders, RawLink, Relay};
use tokio_tungstenite::tungstenite::{self, Message};

fn identity(n: u8) -> Identity {
    Identity::from_secret(&[n; 32])
}

fn hello(challenge: &Challenge) -> Hello {
    Hello::answer(challenge, &identity(1), Kind::Native, None, false, [5; 32])
}

/// Opens a route in the name of [`hello`]'s caller.
fn open(route: u32, target: &Identity, payload: &[u8]) -> Frame {
    let (route, from) = (RouteHandle(route), identity(1).id());
    let (target, payload) = (target.id(), payload.to_vec());
    Frame::Control(Control::Open {
        route,
        from,
        target,
        payload,
    })
}

/// Why a route has ended, if that is what the frame says.
fn closed(frame: Option<Frame>) -> Option<(RouteHandle, Code)> {
    match frame {
        Some(Frame::Control(Control::Closed { route, failure })) => Some((route, failure.code)),
        _ => None,
    }
}

/// A frame of this length that holds nothing sensible.
fn claimed_length(len: usize) -> Bytes {
    let mut frame = BytesMut::new();
    put_varint(&mut frame, len as u64);
    frame.put_slice(&[0; 16]);
    frame.freeze()
}

/// Greetings that nobody should accept; `challenge` is that of another link.
fn bad_greetings(challenge: &Challenge) -> Vec<(&'static str, Bytes, Code)> {
    let elsewhere = Frame::hello(VERSION, &hello(challenge)).encode();
    let half = elsewhere.slice(..elsewhere.len() / 2);
    let other_version = Frame::hello(999, &hello(challenge)).encode();
    let ping = Frame::Control(Control::Ping).encode();
    let large_frame = claimed_length(limits::FRAME_BYTES_MAX + 1);
    let large_packet = vec![1; limits::PACKET_BYTES_MAX + 1].into();
    let larger_message = vec![1; 8 << 20].into();
    vec![
        ("garbage", vec![0xff; 300].into(), Code::BadMessage),
        ("zeros", vec![0; 300].into(), Code::BadMessage),
        ("half a hello", half, Code::BadMessage),
        ("a frame cut short", claimed_length(1000), Code::BadMessage),
        ("no greeting", ping, Code::BadMessage),
        ("a large frame", large_frame, Code::TooLarge),
        ("a large packet", large_packet, Code::TooLarge),
        ("a larger message", larger_message, Code::TooLarge),
        ("another version", other_version, Code::IncompatibleVersion),
        ("a replayed hello", elsewhere, Code::Unauthorised),
    ]
}

/// What a relay says last to one that it shows out.
fn shown_out(code: Code) -> (Option<Code>, Option<u16>) {
    let close = match code {
        Code::TooLarge => 1009,
        code => 4000 + u16::from(code.number()),
    };
    (Some(code), Some(close))
}

#[tokio::test]
async fn a_bad_greeting_gets_its_own_refusal_and_nobody_else_notices() {
    let relay = Relay::start("127.0.0.1:0");
    let bystanders = Bystanders::start(&relay).await;
    let elsewhere = RawLink::dial(&relay).await.challenge().await;
    for (what, greeting, code) in bad_greetings(&elsewhere) {
        let mut link = RawLink::dial(&relay).await;
        link.challenge().await;
        link.send(Message::Binary(greeting)).await;
        assert_eq!(link.end().await.codes(), shown_out(code), "{what}");
    }
    let mut text = RawLink::dial(&relay).await;
    text.send(Message::text("hello?")).await;
    assert_eq!(text.end().await.codes(), shown_out(Code::BadMessage));
    let silent = RawLink::dial(&relay).await;
    assert_eq!(silent.end().await.codes(), shown_out(Code::TimedOut));
    bystanders.end().await;
}

#[tokio::test]
async fn an_id_counts_only_with_its_key() {
    let relay = Relay::start("127.0.0.1:0");
    let bystanders = Bystanders::start(&relay).await;
    let relays_own = RawLink::dial(&relay).await.challenge().await.id;
    let no_key = NodeId::from_bytes([0; 32]);
    for id in [identity(2).id(), relays_own, no_key] {
        let mut link = RawLink::dial(&relay).await;
        let mine = hello(&link.challenge().await);
        let claimed = Frame::hello(VERSION, &Hello { id, ..mine });
        link.say(&claimed).await;
        let end = link.end().await;
        assert_eq!(end.codes(), shown_out(Code::Unauthorised), "{id:?}");
    }
    bystanders.end().await;
}

#[tokio::test]
async fn nobody_applies_for_another() {
    let relay = Relay::start("127.0.0.1:0");
    let mut victim = RawLink::dial(&relay).await;
    victim.join(&identity(2), "victim").await;
    let mut thief = RawLink::dial(&relay).await;
    let challenge = thief.challenge().await;
    // A hello of the thief's own making: all it lacks is the victim's key.
    let mine = Hello::answer(&challenge, &identity(1), Kind::Native, None, false, [5; 32]);
    thief.say(&Frame::hello(VERSION, &mine)).await;
    let (id, request) = (identity(2).id(), 1);
    let applicant = Box::new(Applicant {
        challenge,
        hello: Hello { id, ..mine },
        name: None,
    });
    thief
        .say(&Frame::Control(Control::Admit { request, applicant }))
        .await;
    let admission = loop {
        match thief.next().await {
            Some(Frame::Control(Control::Admitted { admission, .. })) => break admission,
            Some(_) => {}
            None => panic!("the link has ended"),
        }
    };
    let Admission::Refused(failure) = admission else {
        panic!("expected a refusal, got {admission:?}");
    };
    assert_eq!(failure.code, Code::Unauthorised);
    // What is meant for the victim still comes to it.
    let mut caller = RawLink::dial(&relay).await;
    caller.join(&identity(3), "caller").await;
    let (route, from, payload) = (RouteHandle(9), identity(3).id(), Vec::new());
    let open = Control::Open {
        route,
        from,
        target: id,
        payload,
    };
    caller.say(&Frame::Control(open.clone())).await;
    while victim.next().await != Some(Frame::Control(open.clone())) {}
}

#[tokio::test]
async fn a_member_that_errs_is_told() {
    let relay = Relay::start("127.0.0.1:0");
    let bystanders = Bystanders::start(&relay).await;
    let mut link = RawLink::dial(&relay).await;
    link.join(&identity(1), "clumsy").await;
    let route = RouteHandle(77);
    let payload = Bytes::from_static(b"x");
    link.say(&Frame::Record { route, payload }).await;
    assert_eq!(closed(link.next().await), Some((route, Code::Gone)));
    let route = RouteHandle(1);
    link.say(&open(1, &identity(9), b"")).await;
    assert_eq!(closed(link.next().await), Some((route, Code::UnknownName)));
    // In the name of somebody else.
    let (from, target, payload) = (identity(9).id(), identity(8).id(), Vec::new());
    let lie = Control::Open {
        route,
        from,
        target,
        payload,
    };
    link.say(&Frame::Control(lie)).await;
    assert_eq!(closed(link.next().await), Some((route, Code::Unauthorised)));
    bystanders.end().await;
}

#[tokio::test]
async fn a_member_that_breaks_the_rules_is_shown_out() {
    let relay = Relay::start("127.0.0.1:0");
    let bystanders = Bystanders::start(&relay).await;
    let (request, id) = (1, None);
    let relays_word = Frame::Control(Control::Resolved { request, id }).encode();
    let (version, body) = (VERSION, Bytes::new());
    let second_hello = Frame::Hello { version, body }.encode();
    // Length 3, a control frame, an enumeration without such a member.
    let unknown = Bytes::from_static(&[4, 1, 0x82, 0x18, 0x63]);
    for (n, frame) in [relays_word, second_hello, unknown].into_iter().enumerate() {
        let name = format!("rude-{n}");
        let mut link = RawLink::dial(&relay).await;
        link.join(&identity(10 + n as u8), &name).await;
        link.send(Message::Binary(frame)).await;
        assert_eq!(link.end().await.codes(), shown_out(Code::BadMessage), "{n}");
        relay.until_here(&name, false).await;
    }
    bystanders.end().await;
}

#[tokio::test]
async fn a_name_that_somebody_has_cannot_be_insisted_on() {
    let relay = Relay::start("127.0.0.1:0");
    let _bystanders = Bystanders::start(&relay).await;
    let mut link = RawLink::dial(&relay).await;
    let challenge = link.challenge().await;
    let wish = Some("there".parse().unwrap());
    let hello = Hello::answer(&challenge, &identity(3), Kind::Native, wish, true, [5; 32]);
    link.say(&Frame::hello(VERSION, &hello)).await;
    assert_eq!(link.end().await.codes(), shown_out(Code::Refused));
}

#[tokio::test]
async fn pages_of_other_origins_may_not_call() {
    let relay = Relay::start("127.0.0.1:0");
    let upgrade = "upgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        let headers = format!("{upgrade}origin: {origin}\r\n");
        let (status, body) = relay.get("/mesh", &headers).await;
        assert_eq!(status, 403, "{origin}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["code"], "refused");
        assert!(body["message"].as_str().unwrap().contains(origin), "{body}");
    }
    let (status, _) = relay.get("/mesh", "").await;
    assert!((400..500).contains(&status), "{status}");
}

#[tokio::test]
async fn floods_leave_a_relay_small_and_the_others_at_work() {
    /// What a relay may ever hold besides what it holds when idle.
    const GROWTH_BYTES_MAX: u64 = 48 << 20;
    let relay = Relay::start("127.0.0.1:0");
    let bystanders = Bystanders::start(&relay).await;
    let idle = relay.peak_bytes();
    // They end only after the relay has been measured.
    let _idlers = flood_with_callers(&relay).await;
    let _askers = flood_with_questions(&relay).await;
    bystanders.end().await;
    let peak = relay.peak_bytes();
    assert!(
        peak < idle + GROWTH_BYTES_MAX,
        "{idle} bytes idle, {peak} at the most"
    );
}

/// Callers with messages too large, with messages that never end, and with nothing to say.
async fn flood_with_callers(relay: &Relay) -> Vec<RawLink> {
    let mut callers = Vec::new();
    for n in 0..60 {
        let mut link = RawLink::dial(relay).await;
        match n % 3 {
            0 => link.send(Message::Binary(vec![0xff; 4 << 20].into())).await,
            1 => link.send(Message::Binary(claimed_length(60_000))).await,
            _ => {}
        }
        callers.push(link);
    }
    callers
}

/// Members that ask and ask, and never read an answer.
async fn flood_with_questions(relay: &Relay) -> Vec<RawLink> {
    let mut askers = Vec::new();
    for n in 0..8 {
        let mut link = RawLink::dial(relay).await;
        link.join(&identity(100 + n), &format!("flood-{n}")).await;
        let question = open(1, &identity(200), &[7; 100]).encode();
        let many = Bytes::from(question.repeat(500));
        let flood = async {
            for _ in 0..400 {
                link.send(Message::Binary(many.clone())).await;
            }
        };
        // A relay that listens no longer is right too.
        let _ = tokio::time::timeout(Duration::from_secs(2), flood).await;
        askers.push(link);
    }
    askers
}

#[tokio::test]
async fn routes_beyond_the_limit_are_refused() {
    let relay = Relay::start("127.0.0.1:0");
    let (mut greedy, mut target) = (RawLink::dial(&relay).await, RawLink::dial(&relay).await);
    target.join(&identity(2), "target").await;
    greedy.join(&identity(1), "greedy").await;
    let last = limits::ROUTES_PER_LINK_MAX as u32 + 1;
    for route in 1..=last {
        greedy.say(&open(route, &identity(2), b"")).await;
    }
    let refused = loop {
        let frame = greedy.next().await;
        assert!(frame.is_some(), "the link has ended");
        if let Some(refused) = closed(frame) {
            break refused;
        }
    };
    assert_eq!(refused, (RouteHandle(last), Code::Overloaded));
    for _ in 1..last {
        while !matches!(
            target.next().await,
            Some(Frame::Control(Control::Open { .. }))
        ) {}
    }
}

#[tokio::test]
async fn a_caller_that_closes_gets_its_answer() {
    let relay = Relay::start("127.0.0.1:0");
    let mut link = RawLink::dial(&relay).await;
    link.challenge().await;
    let close = tungstenite::protocol::CloseFrame {
        code: 1000.into(),
        reason: "".into(),
    };
    link.send(Message::Close(Some(close))).await;
    assert_eq!(link.end().await.codes(), (None, Some(1000)));
}
