//! How connections begin.
//!
//! Who sends CONNECT gets no place, but VERIFY_CONNECT with two numbers and a time that nobody can
//! foresee, since they are hashes with a secret. Both come back in the acknowledgement, and then
//! there is a peer. Nothing is sent but in answer, one datagram for one that is longer: if
//! VERIFY_CONNECT is lost CONNECT comes again, and if its acknowledgement is lost then what the other
//! side, which believes to be connected, says next is answered by it.

use super::Host;
use super::pending::{Entry, Route};
use crate::config::Config;
use crate::event::Event;
use crate::limits::{
    CHANNELS_MAX, LOOSE_DATAGRAMS_MAX, MTU_MIN, NOBODY, NUMBER_TRIES_MAX, PENDING_AGE_MAX,
    PENDING_ANSWER_INTERVAL, WINDOW_BYTES_MIN,
};
use crate::path::Path;
use crate::peer::{Agreed, Peer, header_len, window, window_max};
use crate::wire::{CONTROL, Command, HEADER, Handshake, Head, Header};
use crate::{ConnectError, Millis, checksum};
use rand_chacha::rand_core::RngCore;
use std::net::SocketAddr;

/// Numbers that are tried at random for a connection of ours.
const TRIES: usize = 64;

impl Host {
    /// What we propose to who we connect to.
    pub(super) fn agreed_by_us(
        &mut self,
        address: SocketAddr,
        channels: u8,
    ) -> Result<Agreed, ConnectError> {
        let free = (0..TRIES).find_map(|_| {
            let id = (self.random.next_u32() % u32::from(NOBODY)) as u16;
            let route = (address, id);
            let is_free = !self.routes.contains_key(&route) && self.pending.get(&route).is_none();
            is_free.then_some(id)
        });
        let Config {
            mtu,
            outgoing_bandwidth,
            window_bytes_max,
            ..
        } = self.config;
        Ok(Agreed {
            address,
            incoming_id: free.ok_or(ConnectError::Numbers)?,
            outgoing_id: NOBODY,
            incoming_session: 0,
            outgoing_session: 0,
            connect_id: self.random.next_u32(),
            mtu,
            window: window(outgoing_bandwidth, 0, window_bytes_max),
            window_max: window_bytes_max,
            channels: channels.max(1),
            incoming_bandwidth: 0,
            outgoing_bandwidth: 0,
        })
    }

    /// Answers CONNECT.
    pub(super) fn handle_connect(
        &mut self,
        now: Millis,
        from: SocketAddr,
        handshake: &Handshake,
        data: u32,
    ) {
        let channels = 1..=u32::from(CHANNELS_MAX);
        if !self.config.accepts {
            self.counters.unknown += 1;
            return;
        }
        if !channels.contains(&handshake.channels) {
            self.counters.malformed += 1;
            return;
        }
        let secret = self.keyed.hash((from, handshake.connect_id));
        let Some(route) = self.free_route(from, handshake.connect_id, secret) else {
            return;
        };
        if self.pending.get(&route).is_none() {
            let agreed = self.agreed_by_them(route, handshake, secret);
            if self.is_full_for(from) {
                self.refuse(&agreed);
                return;
            }
            let entry = Entry {
                agreed,
                throttling: handshake.throttling,
                data,
                cookie: ((secret >> 16) as u16, (secret >> 32) as u16),
                asked_at: now,
                answered_at: now,
            };
            self.counters.forgotten += self.pending.insert(route, entry, now) as u64;
        }
        self.verify(now, &route);
    }

    /// The number for who asks, or nothing if the request is of somebody who is there already.
    fn free_route(&self, from: SocketAddr, connect_id: u32, secret: u64) -> Option<Route> {
        let first = (secret & 0xFFFF) as u16 % NOBODY;
        for n in 0..NUMBER_TRIES_MAX {
            let route = (from, (first + n) % NOBODY);
            if let Some(place) = self.routes.get(&route) {
                let peer = self.peer_at(*place)?;
                if peer.agreed.connect_id == connect_id {
                    return None;
                }
                continue;
            }
            let pending = self.pending.get(&route);
            if pending.is_none_or(|entry| entry.agreed.connect_id == connect_id) {
                return Some(route);
            }
        }
        None
    }

    fn agreed_by_them(&self, route: Route, handshake: &Handshake, secret: u64) -> Agreed {
        let config = &self.config;
        let mtu = u16::try_from(handshake.mtu).unwrap_or(u16::MAX);
        let window_max = window_max(handshake.window, config.window_bytes_max);
        let ours = config.outgoing_bandwidth;
        let theirs = handshake.incoming_bandwidth;
        let channels = u8::try_from(handshake.channels).unwrap_or(CHANNELS_MAX);
        Agreed {
            address: route.0,
            incoming_id: route.1,
            outgoing_id: handshake.id & NOBODY,
            // Who knows of an earlier session says it; the new one has to be another.
            incoming_session: next_session(handshake.outgoing_session, (secret >> 48) as u8),
            outgoing_session: next_session(handshake.incoming_session, (secret >> 56) as u8),
            connect_id: handshake.connect_id,
            mtu: config.mtu.min(mtu.max(MTU_MIN)),
            window: window(ours, theirs, window_max),
            window_max,
            channels: channels.min(config.channels_max),
            incoming_bandwidth: theirs,
            outgoing_bandwidth: handshake.outgoing_bandwidth,
        }
    }

    /// Sends VERIFY_CONNECT to who has said something else, which may be shorter: now and then, and not for long.
    pub(super) fn verify_again(&mut self, now: Millis, route: &Route) {
        let Some(entry) = self.pending.get(route) else {
            return;
        };
        if now.saturating_sub(entry.asked_at) > PENDING_AGE_MAX {
            self.pending.remove(route);
        } else if now.saturating_sub(entry.answered_at) >= PENDING_ANSWER_INTERVAL {
            self.verify(now, route);
        }
    }

    /// Sends VERIFY_CONNECT.
    pub(super) fn verify(&mut self, now: Millis, route: &Route) {
        let Some(entry) = self.pending.get_mut(route) else {
            return;
        };
        entry.answered_at = now;
        let Entry {
            agreed,
            throttling,
            cookie,
            ..
        } = entry.clone();
        let theirs = window(self.config.incoming_bandwidth, 0, agreed.window_max);
        let command = Command::VerifyConnect(Handshake {
            id: agreed.incoming_id,
            incoming_session: agreed.outgoing_session,
            outgoing_session: agreed.incoming_session,
            mtu: agreed.mtu.into(),
            window: theirs.max(WINDOW_BYTES_MIN),
            channels: agreed.channels.into(),
            incoming_bandwidth: self.config.incoming_bandwidth,
            outgoing_bandwidth: self.config.outgoing_bandwidth,
            throttling,
            connect_id: agreed.connect_id,
        });
        self.push_loose(&agreed, cookie, command);
    }

    /// Takes a handshake as complete: returns the place of the peer.
    pub(super) fn promote(&mut self, now: Millis, route: &Route) -> Option<usize> {
        let entry = self.pending.remove(route)?;
        if now.saturating_sub(entry.asked_at) > PENDING_AGE_MAX {
            return None;
        }
        let agreed = entry.agreed;
        if self.is_full_for(agreed.address) {
            self.refuse(&agreed);
            return None;
        }
        let mut path = Path::new(entry.throttling);
        let rtt = now.saturating_sub(entry.answered_at);
        path.measured(now, u32::try_from(rtt).unwrap_or(u32::MAX));
        let place = self.add(now, |id, ctx| Peer::connected(id, agreed, path, ctx));
        let peer = self.peer_at(place)?.id;
        self.events.push_back(Event::Connected {
            peer,
            address: agreed.address,
            incoming: true,
            channels: agreed.channels,
            data: entry.data,
        });
        Some(place)
    }

    fn is_full_for(&self, address: SocketAddr) -> bool {
        let near = self.neighbours.get(&super::network(address)).copied();
        self.active >= self.config.peers_max
            || near.unwrap_or(0) >= self.config.peers_per_address_max
    }

    fn refuse(&mut self, agreed: &Agreed) {
        self.counters.refused += 1;
        self.push_loose(agreed, (1, 0), Command::Disconnect { data: 0 });
    }

    /// Queues a datagram with one command of a connection that has no peer.
    /// It has this number and time.
    pub(super) fn push_loose(
        &mut self,
        agreed: &Agreed,
        (sequence, sent_time): (u16, u16),
        command: Command<'_>,
    ) {
        if self.loose.len() >= LOOSE_DATAGRAMS_MAX {
            return;
        }
        let header = Header {
            id: agreed.outgoing_id,
            session: agreed.outgoing_session,
            compressed: false,
            sent_time: Some(sent_time),
        };
        let mut datagram = Vec::with_capacity(header_len(&self.config) + command.len());
        datagram.extend_from_slice(&header.encode());
        datagram.resize(header_len(&self.config), 0);
        let head = Head {
            channel: CONTROL,
            sequence,
            acknowledged: matches!(command, Command::VerifyConnect(_)),
        };
        command.encode(head, &mut datagram);
        if self.config.checksum {
            checksum::seal(&mut datagram, HEADER, agreed.connect_id);
        }
        self.loose.push_back((agreed.address, datagram));
    }
}

/// A session other than the last one; if none is known, any.
fn next_session(last: u8, any: u8) -> u8 {
    if last == 0xFF {
        any & 3
    } else {
        last.wrapping_add(1) & 3
    }
}
