//! A host of ENet beside a peer that says anything, and strangers.

use peerage_enet::{Config, Event, Host, Packet, PeerId, Time};
use std::net::SocketAddr;

const WAITING_MAX: usize = 64 << 10;
const PACKET_MAX: usize = 32 << 10;
/// Less than a peer may have by itself, and what two packets of the longest need.
const HOST_WAITING_MAX: usize = 80 << 10;

/// A host gets datagrams of its peer and of strangers while time goes by, and goes on whatever they were: it
/// keeps no more than it may, strangers never get more than they gave, and in the end it rests.
pub fn enet(input: &[u8]) {
    let Some((mode, mut input)) = input.split_first() else {
        return;
    };
    let mut stage = Stage::new(mode & 1 != 0);
    while let Some((op, rest)) = input.split_first() {
        let Some((len, rest)) = rest.split_first() else {
            break;
        };
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        input = rest;
        stage.act(*op, *len, bytes);
        stage.check();
    }
    stage.rest();
}

struct Stage {
    host: Host,
    now: Time,
    peer: PeerId,
    /// What the peer writes before its commands: whom it means.
    header: [u8; 2],
    given: usize,
    got: usize,
}

impl Stage {
    /// A host with one peer, which has connected as any does.
    fn new(compression: bool) -> Self {
        let config = Config {
            peers_max: 4,
            pending_max: 4,
            waiting_bytes_max: WAITING_MAX,
            host_waiting_bytes_max: HOST_WAITING_MAX,
            host_queued_bytes_max: HOST_WAITING_MAX,
            packet_bytes_max: PACKET_MAX,
            compression,
            ..Config::default()
        };
        let mut host = Host::new(config, [3; 32]);
        let now = Time::from_secs(1);
        host.handle_datagram(now, address(1), &connect());
        let mut verify = Vec::new();
        assert_eq!(host.poll_transmit(now, &mut verify), Some(address(1)));
        // Its number and its session, and the number and the time that come back.
        let id = u16::from_be_bytes([verify[8], verify[9]]);
        let session = u16::from(verify[11] & 3) << 12;
        let header = (id | session).to_be_bytes();
        let acknowledge = [1, 0xFF, 0, 1, verify[6], verify[7], verify[2], verify[3]];
        host.handle_datagram(now, address(1), &[&header[..], &acknowledge].concat());
        let Some(Event::Connected { peer, .. }) = host.poll_event() else {
            panic!("no connection");
        };
        Self {
            host,
            now,
            peer,
            header,
            given: 0,
            got: 0,
        }
    }

    fn act(&mut self, op: u8, len: u8, bytes: &[u8]) {
        let [high, low] = self.header;
        match op % 8 {
            // Commands that want to be acknowledged say when they were sent.
            0 => self.peer_says(&[high | 0x80, low, 0, 0], bytes),
            1 => self.peer_says(&[high, low], bytes),
            2 => self.peer_says(&[high | 0x40, low], bytes),
            3 => self.peer_says(&[], bytes),
            4 => {
                self.given += bytes.len();
                self.host.handle_datagram(self.now, address(2), bytes);
            }
            5 => {
                self.now += Time::from_millis(u64::from(len) * 10);
                self.host.handle_time(self.now);
            }
            6 => {
                let packet = Packet::reliable(vec![len; usize::from(len) * 20]);
                let _ = self.host.send(self.peer, len % 16, packet);
            }
            _ => self.take(),
        }
    }

    fn peer_says(&mut self, header: &[u8], bytes: &[u8]) {
        let datagram = [header, bytes].concat();
        self.host.handle_datagram(self.now, address(1), &datagram);
    }

    /// Takes what the host sends and tells.
    fn take(&mut self) {
        let mut datagram = Vec::new();
        for _ in 0..10_000 {
            let Some(to) = self.host.poll_transmit(self.now, &mut datagram) else {
                return self.hear();
            };
            assert!(datagram.len() <= 1392);
            if to == address(2) {
                self.got += datagram.len();
            }
        }
        panic!("it sends without end");
    }

    fn hear(&mut self) {
        while let Some(event) = self.host.poll_event() {
            if let Event::Received { peer, packet, .. } = event {
                self.host.taken(peer, packet.cost());
            }
        }
    }

    fn check(&self) {
        assert!(self.got <= self.given, "strangers get more than they give");
        if let Some(stats) = self.host.stats(self.peer) {
            assert!(stats.waiting_bytes <= HOST_WAITING_MAX);
        }
    }

    /// Nobody says anything any more: it forgets them all.
    fn rest(mut self) {
        self.take();
        for _ in 0..10_000 {
            let Some(deadline) = self.host.deadline() else {
                assert_eq!(self.host.peers().count(), 0);
                return;
            };
            self.now = self.now.max(deadline);
            self.host.handle_time(self.now);
            self.take();
        }
        panic!("it does not rest");
    }
}

fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 4000))
}

/// A CONNECT for eight channels.
fn connect() -> Vec<u8> {
    let mut datagram = vec![0x8F, 0xFF, 0, 0, 0x82, 0xFF, 0, 1, 0, 5, 0xFF, 0xFF];
    for value in [1392_u32, 65_536, 8, 0, 0, 5000, 2, 2, 0x0102_0304, 9] {
        datagram.extend(value.to_be_bytes());
    }
    datagram
}
