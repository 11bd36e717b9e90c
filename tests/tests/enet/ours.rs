//! Our end: a host on a socket.

use super::pattern;
use super::stock::{Batch, Mode};
use bytes::Bytes;
use peerage_enet::{Config, Event, Host, Kind, Packet, PeerId, Room, SendError};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// A host with its socket and its clock.
pub(crate) struct Ours {
    pub(crate) host: Host,
    pub(crate) socket: UdpSocket,
    began: Instant,
    /// What has happened and nobody has asked for.
    pub(crate) events: Vec<Event>,
}

impl Ours {
    pub(crate) fn new(mode: Mode, config: Config) -> Self {
        Self::at("127.0.0.1:0", mode, config)
    }

    pub(crate) fn at(address: &str, mode: Mode, config: Config) -> Self {
        let config = Config {
            checksum: mode.checksum,
            compression: mode.compression,
            ..config
        };
        Self {
            host: Host::new(config, [7; 32]),
            socket: UdpSocket::bind(address).unwrap(),
            began: Instant::now(),
            events: Vec::new(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    pub(crate) fn connect(&mut self, port: u16, channels: u8, data: u32) -> PeerId {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let now = self.began.elapsed();
        self.host.connect(now, address, channels, data).unwrap()
    }

    /// Sends and receives for a moment.
    pub(crate) fn turn(&mut self) {
        let mut datagram = Vec::new();
        let now = self.began.elapsed();
        while let Some(to) = self.host.poll_transmit(now, &mut datagram) {
            // Who is not there refuses, which is for the protocol to notice.
            self.socket.send_to(&datagram, to).ok();
        }
        let mut buffer = [0; 5000];
        self.socket.set_nonblocking(false).unwrap();
        self.socket
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        for _ in 0..64 {
            match self.socket.recv_from(&mut buffer) {
                Ok((len, from)) => {
                    let now = self.began.elapsed();
                    self.host.handle_datagram(now, from, &buffer[..len]);
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => break,
            }
            self.socket.set_nonblocking(true).unwrap();
        }
        self.host.handle_time(self.began.elapsed());
        while let Some(event) = self.host.poll_event() {
            if let Event::Received { peer, packet, .. } = &event {
                self.host.taken(*peer, packet.cost());
            }
            self.events.push(event);
        }
    }

    /// Goes on until something is true.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(300);
        while !done(self) {
            assert!(
                Instant::now() < end,
                "never: {what}; {:?}",
                self.events.last()
            );
            self.turn();
        }
    }

    /// Sends a batch, as fast as it leaves.
    pub(crate) fn send(&mut self, peer: PeerId, batch: Batch) {
        for n in 0..batch.count {
            let bytes = Bytes::from(pattern(batch.len, batch.seed + n));
            let kind = kind(batch.kind);
            loop {
                let packet = Packet {
                    bytes: bytes.clone(),
                    kind,
                };
                match self.host.send(peer, batch.channel, packet) {
                    Ok(Room::Free) => break,
                    Ok(Room::Busy) => {
                        self.turn();
                        break;
                    }
                    Err(SendError::Full) => self.turn(),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// Waits for so many packets.
    pub(crate) fn packets(&mut self, count: usize) -> Vec<(u8, Packet)> {
        let mut packets = Vec::new();
        self.until("packets come", |ours| {
            packets.extend(ours.received());
            packets.len() >= count
        });
        packets
    }

    /// The packets that have come since it was asked last.
    pub(crate) fn received(&mut self) -> Vec<(u8, Packet)> {
        let mut packets = Vec::new();
        for event in std::mem::take(&mut self.events) {
            match event {
                Event::Received {
                    channel, packet, ..
                } => packets.push((channel, packet)),
                Event::Writable { .. } => {}
                other => self.events.push(other),
            }
        }
        packets
    }
}

pub(crate) fn kind(letter: char) -> Kind {
    match letter {
        'r' => Kind::Reliable,
        's' => Kind::Unsequenced,
        'f' => Kind::UnreliableFragment,
        _ => Kind::Unreliable,
    }
}
