//! A peer that says what it likes.

use peerage_enet::{Config, Event, Host, PeerId, Time};
use std::net::SocketAddr;

/// A host, and one connected to it that is no host.
pub(crate) struct Raw {
    pub(crate) host: Host,
    pub(crate) now: Time,
    pub(crate) peer: PeerId,
    pub(crate) address: SocketAddr,
    header: [u8; 2],
}

impl Raw {
    pub(crate) fn new(config: Config) -> Self {
        let mut host = Host::new(config, [3; 32]);
        let now = Time::from_secs(1);
        let address = SocketAddr::from(([10, 9, 9, 9], 4000));
        host.handle_datagram(now, address, &connect(7));
        let mut verify = Vec::new();
        assert_eq!(host.poll_transmit(now, &mut verify), Some(address));
        let id = u16::from_be_bytes([verify[8], verify[9]]);
        let header = (id | u16::from(verify[11] & 3) << 12).to_be_bytes();
        let acknowledge = [1, 0xFF, 0, 1, verify[6], verify[7], verify[2], verify[3]];
        host.handle_datagram(now, address, &[&header[..], &acknowledge].concat());
        let Some(Event::Connected { peer, .. }) = host.poll_event() else {
            panic!("not connected");
        };
        Self {
            host,
            now,
            peer,
            address,
            header,
        }
    }

    /// Says commands; what the host has to tell then.
    pub(crate) fn say(&mut self, commands: &[u8]) -> Vec<Event> {
        self.say_unheard(commands);
        self.events()
    }

    /// Says commands, and what happens then is not taken.
    pub(crate) fn say_unheard(&mut self, commands: &[u8]) {
        let [high, low] = self.header;
        let datagram = [&[high | 0x80, low, 0, 0], commands].concat();
        self.host.handle_datagram(self.now, self.address, &datagram);
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        let events: Vec<_> = std::iter::from_fn(|| self.host.poll_event()).collect();
        for event in &events {
            if let Event::Received { peer, packet, .. } = event {
                self.host.taken(*peer, packet.cost());
            }
        }
        events
    }

    /// The datagrams that the host sends.
    pub(crate) fn heard(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        let mut datagram = Vec::new();
        while self.host.poll_transmit(self.now, &mut datagram).is_some() {
            datagrams.push(datagram.clone());
        }
        datagrams
    }
}

/// A CONNECT for eight channels.
pub(crate) fn connect(connect_id: u32) -> Vec<u8> {
    let mut datagram = vec![0x8F, 0xFF, 0, 0, 0x82, 0xFF, 0, 1, 0, 5, 0xFF, 0xFF];
    for value in [1392, 65_536, 8, 0, 0, 5000, 2, 2, connect_id, 9] {
        datagram.extend(u32::to_be_bytes(value));
    }
    datagram
}

/// A reliable packet.
pub(crate) fn reliable(channel: u8, number: u16, body: &[u8]) -> Vec<u8> {
    let mut command = vec![0x86, channel];
    command.extend(number.to_be_bytes());
    command.extend((body.len() as u16).to_be_bytes());
    command.extend(body);
    command
}

/// An unreliable packet that follows a reliable one.
pub(crate) fn unreliable(channel: u8, after: u16, number: u16, body: &[u8]) -> Vec<u8> {
    let mut command = vec![7, channel];
    command.extend(after.to_be_bytes());
    command.extend(number.to_be_bytes());
    command.extend((body.len() as u16).to_be_bytes());
    command.extend(body);
    command
}

/// A fragment: reliable by the command 0x88, unreliable by 12.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fragment {
    pub(crate) command: u8,
    pub(crate) number: u16,
    pub(crate) start: u16,
    pub(crate) count: u32,
    pub(crate) part: u32,
    pub(crate) total: u32,
    pub(crate) offset: u32,
}

impl Fragment {
    pub(crate) fn with(self, body: &[u8]) -> Vec<u8> {
        let mut command = vec![self.command, 0];
        command.extend(self.number.to_be_bytes());
        command.extend(self.start.to_be_bytes());
        command.extend((body.len() as u16).to_be_bytes());
        for value in [self.count, self.part, self.total, self.offset] {
            command.extend(value.to_be_bytes());
        }
        command.extend(body);
        command
    }
}
