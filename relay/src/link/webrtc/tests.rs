//! Connections in memory: the other side is str0m as well, which offers as a tab does.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use peerage::NodeId;
use peerage::limits::{PACKET_BYTES_MAX, WEBRTC_BUFFER_BYTES_MAX};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::{Candidate, Event, Input, Output, Rtc};
use stun_types::message::{BINDING, Message, MessageWrite, MessageWriteExt, MessageWriteVec};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use turn_types::attribute::RequestedTransport;
use turn_types::message::ALLOCATE;

use crate::access::Addresses;
use crate::direct::Turn;

use super::peer::{Peer, Said, candidates_of, input};

const TAB: &str = "198.51.100.1:1000";
const NODE: &str = "198.51.100.2:2000";

/// A tab's side: the offer that it makes, and what it has received.
struct Tab {
    rtc: Rtc,
    channel: ChannelId,
    pending: Option<SdpPendingOffer>,
    received: Vec<Vec<u8>>,
    out: VecDeque<Vec<u8>>,
    due: Instant,
    closed: bool,
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn tab(now: Instant) -> (Tab, String) {
    // It would send more at once than the node takes.
    let mut rtc = Rtc::builder()
        .clear_codecs()
        .set_sctp_max_buffered_amount(8 * PACKET_BYTES_MAX)
        .build(now);
    rtc.add_local_candidate(Candidate::host(at(TAB), "udp").unwrap());
    let mut api = rtc.sdp_api();
    let channel = api.add_channel_with_config(ChannelConfig {
        negotiated: Some(0),
        ..ChannelConfig::default()
    });
    let (offer, pending) = api.apply().unwrap();
    let tab = Tab {
        rtc,
        channel,
        pending: Some(pending),
        received: Vec::new(),
        out: VecDeque::new(),
        due: now,
        closed: false,
    };
    (tab, offer.to_sdp_string())
}

/// Numbers by chance, the same each time.
fn chance() -> impl FnMut() -> usize {
    let mut numbers = 7u32;
    move || {
        numbers = numbers.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (numbers >> 8) as usize
    }
}

fn answer(offer: &str, now: Instant) -> Result<(Peer, String), peerage::Failure> {
    let (tell, _) = mpsc::unbounded_channel();
    let here = [Candidate::host(at(NODE), "udp").unwrap()];
    Peer::answer(NodeId::from_bytes([1; 32]), offer, &here, tell, now)
}

impl Tab {
    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(due) => {
                    self.due = due;
                    return;
                }
                Output::Transmit(transmit) => self.out.push_back(transmit.contents.to_vec()),
                Output::Event(Event::ChannelData(data)) => self.received.push(data.data),
                Output::Event(Event::ChannelClose(_) | Event::Closed) => self.closed = true,
                Output::Event(_) => {}
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        let mut channel = self.rtc.channel(self.channel).unwrap();
        assert!(channel.write(true, bytes).unwrap());
        self.drain();
    }
}

/// Both sides, and the time between them.
struct Stage {
    tab: Tab,
    node: Peer,
    now: Instant,
    said: Vec<Said>,
    out: VecDeque<Vec<u8>>,
}

impl Stage {
    fn connected() -> Self {
        let mut stage = Self::called(PACKET_BYTES_MAX);
        while !stage.said.iter().any(|said| matches!(said, Said::Open)) {
            stage.step();
        }
        stage.node.opened();
        stage.drain();
        stage.run();
        stage
    }

    /// The two know of each other; the tab believes that it may send messages of that size.
    fn called(max_message_size: usize) -> Self {
        let now = Instant::now();
        let (mut tab, offer) = tab(now);
        let (mut node, answer) = answer(&offer, now).unwrap();
        assert!(answer.contains("a=max-message-size:262144"), "{answer}");
        tab.drain();
        let believed = answer.replace(":262144", &format!(":{max_message_size}"));
        let description = SdpAnswer::from_sdp_string(&believed).unwrap();
        let pending = tab.pending.take().unwrap();
        tab.rtc
            .sdp_api()
            .accept_answer(pending, description)
            .unwrap();
        tab.drain();
        while node.poll().is_some() {}
        node.open_channel();
        let mut stage = Self {
            tab,
            node,
            now,
            said: Vec::new(),
            out: VecDeque::new(),
        };
        for candidate in candidates_of(&offer) {
            stage.node.candidate(candidate);
            stage.drain();
        }
        stage
    }

    /// A datagram that seems to be the tab's.
    fn forge(&mut self, bytes: &[u8]) {
        if let Some(input) = input(at(TAB), at(NODE), bytes, self.now)
            && self.node.accepts(&input)
        {
            self.node.handle(input).unwrap();
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(said) = self.node.poll() {
            match said {
                Said::Datagram(transmit) => self.out.push_back(transmit.contents.to_vec()),
                Said::Closed => {
                    self.said.push(Said::Closed);
                    return;
                }
                said => self.said.push(said),
            }
        }
    }

    /// One datagram, or if there is none, the next thing that is due.
    fn step(&mut self) {
        if let Some(bytes) = self.out.pop_front() {
            if let Some(Input::Receive(now, received)) = input(at(NODE), at(TAB), &bytes, self.now)
            {
                self.tab
                    .rtc
                    .handle_input(Input::Receive(now, received))
                    .unwrap();
                self.tab.drain();
            }
        } else if let Some(bytes) = self.tab.out.pop_front() {
            if let Some(input) = input(at(TAB), at(NODE), &bytes, self.now) {
                self.node.handle(input).unwrap();
                self.drain();
            }
        } else {
            self.now = self
                .tab
                .due
                .min(self.node.due)
                .max(self.now + Duration::from_millis(1));
            self.tab.rtc.handle_input(Input::Timeout(self.now)).unwrap();
            self.tab.drain();
            self.node.handle(Input::Timeout(self.now)).unwrap();
            self.drain();
        }
    }

    /// Goes on for a while.
    fn run(&mut self) {
        self.run_for(Duration::from_secs(2));
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    fn packets(&self) -> Vec<Bytes> {
        let packets = self.said.iter().filter_map(|said| match said {
            Said::Packet(packet) => Some(packet.clone()),
            _ => None,
        });
        packets.collect()
    }
}

#[test]
fn packets_of_any_size_go_both_ways() {
    let mut stage = Stage::connected();
    let sizes = [1, 100, 16_384, 65_536, PACKET_BYTES_MAX];
    for (n, size) in sizes.into_iter().enumerate() {
        let packet = vec![n as u8; size];
        stage.node.write(packet.clone().into());
        stage.drain();
        stage.run();
        assert!(!stage.node.is_full());
        if size <= 65_536 {
            stage.tab.send(&packet);
            stage.run();
            assert_eq!(stage.packets().last().unwrap(), &packet);
        }
        assert_eq!(stage.tab.received.last().unwrap(), &packet);
    }
}

#[test]
fn a_channel_that_is_full_says_when_there_is_room_and_loses_nothing() {
    let mut stage = Stage::connected();
    let mut sent = 0u32;
    let packet = |n: u32| Bytes::from(n.to_be_bytes().repeat(4096));
    for _ in 0..5 {
        stage.said.clear();
        while !stage.node.is_full() {
            stage.node.write(packet(sent));
            stage.drain();
            sent += 1;
        }
        assert!(sent as usize * 16_384 > WEBRTC_BUFFER_BYTES_MAX);
        while !stage.said.iter().any(|said| matches!(said, Said::Room)) {
            stage.step();
        }
        stage.node.flush();
        stage.drain();
        assert!(!stage.node.is_full());
    }
    stage.run();
    let numbers = stage
        .tab
        .received
        .iter()
        .map(|bytes| u32::from_be_bytes(*bytes.first_chunk().unwrap()));
    assert!(numbers.eq(0..sent));
}

#[test]
fn a_side_that_closes_is_noticed_by_the_other() {
    let mut stage = Stage::connected();
    stage.node.close();
    stage.drain();
    while let Some(bytes) = stage.out.pop_front() {
        let received = input(at(NODE), at(TAB), &bytes, stage.now).unwrap();
        stage.tab.rtc.handle_input(received).unwrap();
        stage.tab.drain();
    }
    assert!(stage.tab.closed);

    let mut stage = Stage::connected();
    stage.tab.rtc.close().unwrap();
    stage.tab.drain();
    stage.run();
    assert!(matches!(stage.said.last(), Some(Said::Closed)));
}

#[test]
fn what_is_no_offer_of_a_data_channel_is_refused_whatever_it_is() {
    let now = Instant::now();
    let (_, offer) = tab(now);
    assert!(answer(&offer, now).is_ok());
    let without = |prefix: &str| {
        let lines = offer.lines().filter(|line| !line.starts_with(prefix));
        lines.flat_map(|line| [line, "\r\n"]).collect::<String>()
    };
    for bad in [
        "",
        "v=0",
        "\0\0",
        &without("m="),
        &without("a=fingerprint"),
        &without("v="),
    ] {
        assert!(answer(bad, now).is_err(), "{bad:?}");
    }
    // Changed anywhere it is an offer or none, and nothing worse.
    let mut next = chance();
    for _ in 0..2000 {
        let mut bytes = offer.clone().into_bytes();
        for _ in 0..=next() % 4 {
            let place = next() % bytes.len();
            match next() % 3 {
                0 => bytes[place] = (next() % 128) as u8,
                1 => drop(bytes.remove(place)),
                _ => bytes.insert(place, (next() % 128) as u8),
            }
        }
        let changed = String::from_utf8_lossy(&bytes).into_owned();
        if let Ok((mut peer, _)) = answer(&changed, now) {
            while peer
                .poll()
                .is_some_and(|said| !matches!(said, Said::Closed))
            {}
        }
    }
}

#[test]
fn candidates_that_are_none_and_datagrams_that_are_none_do_no_harm() {
    let mut stage = Stage::connected();
    for candidate in [
        "",
        "candidate:",
        "candidate:1 1 udp 1 0e3c1f5a-aaaa.local 9 typ host",
        "candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
        "candidate:1 1 udp 99999999999 192.0.2.1 9 typ host",
        "candidate:1 1 udp 1 192.0.2.1 99999 typ host",
    ] {
        stage.node.candidate(candidate);
        stage.drain();
    }
    for first in 0..=255 {
        for len in [1, 2, 20, 100, 1400] {
            let mut bytes = vec![first; len];
            bytes[len / 2] ^= 0x55;
            stage.forge(&bytes);
        }
    }
    stage.tab.send(b"still here");
    stage.run();
    assert_eq!(stage.packets().last().unwrap(), &b"still here"[..]);
}

#[tokio::test]
async fn who_has_no_access_by_address_hears_nothing_of_the_socket() {
    let config = peerage::Config::new(peerage::Kind::Relay);
    let relay = crate::Node::launch(config, Vec::new()).unwrap();
    relay.runtime().hearing().only(Addresses {
        deny: vec!["127.0.0.2".parse().unwrap()],
        ..Addresses::default()
    });
    let any = at("127.0.0.1:0");
    let socket = relay.direct().listen(any, None, &Turn::default());
    let socket = socket.unwrap();
    let binding = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
    let mut allocation = Message::builder_request(ALLOCATE, MessageWriteVec::new());
    let udp = RequestedTransport::new(17);
    allocation.add_attribute(&udp).unwrap();
    let allocation = allocation.finish();
    let denied = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut answer = [0; 200];
    for question in [&binding, &allocation] {
        denied.send_to(question, socket).await.unwrap();
        other.send_to(question, socket).await.unwrap();
        // What came first would have been answered first.
        other.recv_from(&mut answer).await.unwrap();
        let heard = denied.try_recv_from(&mut answer).unwrap_err();
        assert_eq!(heard.kind(), std::io::ErrorKind::WouldBlock);
    }
}

/// A datagram with some of its bytes changed, cut off or added.
fn changed(bytes: &[u8], next: &mut impl FnMut() -> usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=next() % 3 {
        let place = next() % bytes.len().max(1);
        match next() % 4 {
            0 => bytes.truncate(place),
            1 => bytes.insert(place.min(bytes.len()), next() as u8),
            _ => bytes
                .iter_mut()
                .skip(place)
                .take(1)
                .for_each(|byte| *byte = next() as u8),
        }
    }
    bytes
}

#[test]
fn datagrams_that_are_changed_or_repeated_on_the_way_end_no_connection() {
    let mut stage = Stage::connected();
    let (mut next, mut sent) = (chance(), Vec::new());
    for n in 0..200u32 {
        let packet = n.to_be_bytes().repeat(1 + next() % 500);
        stage.tab.send(&packet);
        sent.push(packet);
        for bytes in stage.tab.out.clone() {
            for _ in 0..4 {
                stage.forge(&changed(&bytes, &mut next));
            }
        }
        let again = stage.tab.out.clone();
        stage.run_for(Duration::from_millis(20));
        again.iter().for_each(|bytes| stage.forge(bytes));
    }
    // Records that nobody has sealed, of each kind: changes, alerts, handshakes, data.
    for n in 0..=255 {
        for kind in 20..=23 {
            let record = [kind, 254, 253, 0, 0, 0, 0, 0, 0, 1, n, 0, 2, 2, 40];
            stage.forge(&record);
        }
    }
    stage.run();
    assert!(!stage.said.iter().any(|said| matches!(said, Said::Closed)));
    assert_eq!(stage.packets(), sent);
}

#[test]
fn the_first_datagrams_of_a_handshake_may_be_garbage() {
    let mut next = chance();
    for _ in 0..20 {
        let mut stage = Stage::called(PACKET_BYTES_MAX);
        while stage.tab.out.is_empty() {
            stage.step();
        }
        for bytes in stage.tab.out.clone() {
            for _ in 0..50 {
                stage.forge(&changed(&bytes, &mut next));
            }
        }
        while !stage.said.iter().any(|said| matches!(said, Said::Open)) {
            stage.step();
        }
    }
}

#[test]
fn a_message_beyond_what_was_agreed_on_is_never_handed_on() {
    let mut stage = Stage::called(64 * PACKET_BYTES_MAX);
    while !stage.said.iter().any(|said| matches!(said, Said::Open)) {
        stage.step();
    }
    stage.run();
    stage.tab.send(b"before");
    stage.run();
    for _ in 0..8 {
        // It may have heard that this is too much.
        if let Some(mut channel) = stage.tab.rtc.channel(stage.tab.channel) {
            let _ = channel.write(true, &vec![7; 2 * PACKET_BYTES_MAX]);
        }
        stage.tab.drain();
        stage.run();
    }
    assert_eq!(stage.packets(), [&b"before"[..]]);
}

#[test]
fn a_channel_that_the_other_side_adds_ends_the_connection() {
    let mut stage = Stage::connected();
    for n in 0..1000 {
        stage
            .tab
            .rtc
            .direct_api()
            .create_data_channel(ChannelConfig {
                label: format!("one more {n}"),
                ..ChannelConfig::default()
            });
    }
    stage.tab.drain();
    stage.run();
    assert!(matches!(stage.said.last(), Some(Said::Closed)));
    assert!(stage.packets().is_empty());
}

#[test]
fn what_many_would_hear_or_nobody_is_not_called() {
    let now = Instant::now();
    let (_, offer) = tab(now);
    let (mut node, _) = answer(&offer, now).unwrap();
    for ip in [
        "192.0.2.1",
        "224.0.0.251",
        "239.255.255.250",
        "255.255.255.255",
        "0.0.0.0",
        "ff02::fb",
        "::",
    ] {
        node.candidate(&format!("candidate:1 1 udp 2130706431 {ip} 5353 typ host"));
    }
    let mut called = std::collections::BTreeSet::new();
    for ms in (0..5000).step_by(50) {
        node.handle(Input::Timeout(now + Duration::from_millis(ms)))
            .unwrap();
        while let Some(said) = node.poll() {
            if let Said::Datagram(transmit) = said {
                called.insert(transmit.destination.ip().to_string());
            }
        }
    }
    assert_eq!(Vec::from_iter(called), ["192.0.2.1"]);
}
