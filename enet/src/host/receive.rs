//! What arrives at a host.

use super::Host;
use super::pending::Route;
use crate::channel::Refusal;
use crate::config::millis;
use crate::limits::{MTU_MAX, NOBODY, STRANGER_BYTES_MAX};
use crate::peer::State;
use crate::wire::{CHECKSUM, CONTROL, Command, Head, Header};
use crate::{Millis, Time, checksum};
use std::net::SocketAddr;

/// For whom a datagram is.
#[derive(Clone, Copy)]
enum Target {
    Nobody,
    Pending,
    Peer(usize),
}

impl Host {
    /// Takes a datagram that has arrived.
    pub fn handle_datagram(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) {
        self.counters.received += 1;
        let now = millis(now);
        let parts = Header::decode(datagram).and_then(|(header, len)| {
            let len = len + if self.config.checksum { CHECKSUM } else { 0 };
            let (head, body) = datagram.split_at_checked(len)?;
            Some((header, head, body))
        });
        let Some((header, head, body)) = parts.filter(|_| datagram.len() <= usize::from(MTU_MAX))
        else {
            self.counters.malformed += 1;
            return;
        };
        let route = (from, header.id);
        let Some((target, connect_id)) = self.target(&route, header) else {
            self.counters.unknown += 1;
            return;
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        // Work for nobody knows whom is bounded.
        let max = match target {
            Target::Nobody => STRANGER_BYTES_MAX,
            _ => usize::from(MTU_MAX) - head.len(),
        };
        if let Some(body) = self.decompressed(header, max, body, &mut scratch) {
            if self.config.checksum && !checksum::is_right(head, body, connect_id) {
                self.counters.checksum += 1;
            } else {
                self.dispatch(now, &route, target, header, body, datagram.len());
            }
        }
        self.scratch = scratch;
    }

    /// For whom a datagram is, and the number of that connection.
    fn target(&self, route: &Route, header: Header) -> Option<(Target, u32)> {
        if header.id == NOBODY {
            return Some((Target::Nobody, 0));
        }
        if let Some(place) = self.routes.get(route) {
            let peer = self.peer_at(*place)?;
            let agreed = &peer.agreed;
            let is_right = !peer.has_session() || agreed.incoming_session == header.session;
            return is_right.then_some((Target::Peer(*place), agreed.connect_id));
        }
        let agreed = &self.pending.get(route)?.agreed;
        let is_right = agreed.incoming_session == header.session;
        is_right.then_some((Target::Pending, agreed.connect_id))
    }

    /// The commands of a datagram, if they can be read.
    fn decompressed<'a>(
        &mut self,
        header: Header,
        max: usize,
        body: &'a [u8],
        scratch: &'a mut Vec<u8>,
    ) -> Option<&'a [u8]> {
        if !header.compressed {
            return Some(body);
        }
        scratch.clear();
        let coder = self.coder.as_mut();
        let is_done = coder.is_some_and(|coder| coder.decompress(body, scratch, max));
        if !is_done {
            self.counters.compression += 1;
            return None;
        }
        Some(scratch)
    }

    fn dispatch(
        &mut self,
        now: Millis,
        route: &Route,
        target: Target,
        header: Header,
        mut body: &[u8],
        len: usize,
    ) {
        match target {
            Target::Nobody => match Command::decode(&mut body) {
                Some((_, Command::Connect { handshake, data })) => {
                    self.handle_connect(now, route.0, &handshake, data);
                }
                _ => self.counters.malformed += 1,
            },
            Target::Pending => self.handle_pending(now, route, header, body, len),
            Target::Peer(place) => self.handle_peer(now, place, header, body, len),
        }
    }

    /// Takes what comes from who has been asked to acknowledge.
    fn handle_pending(
        &mut self,
        now: Millis,
        route: &Route,
        header: Header,
        body: &[u8],
        len: usize,
    ) {
        let cookie = self.pending.get(route).map(|entry| entry.cookie);
        let mut rest = body;
        // Acknowledgements come first, and a datagram has one try to guess what is in this one.
        match Command::decode(&mut rest) {
            Some((head, command)) if is_answer(head, command, cookie) => {
                if let Some(place) = self.promote(now, route) {
                    self.handle_peer(now, place, header, body, len);
                }
            }
            Some((head, Command::Acknowledge { .. })) if head.channel == CONTROL => {
                self.counters.malformed += 1;
            }
            _ => self.verify_again(now, route),
        }
    }

    fn handle_peer(
        &mut self,
        now: Millis,
        place: usize,
        header: Header,
        mut body: &[u8],
        len: usize,
    ) {
        let share = self.receiving_share(place);
        let refusal = self.with(place, now, |peer, ctx| {
            peer.received(len);
            peer.begin_hearing(share);
            while !body.is_empty() && peer.state != State::Ended {
                let Some((head, command)) = Command::decode(&mut body) else {
                    return Some(Refusal::Misfit);
                };
                if let Err(refusal) = peer.handle(ctx, head, command, header.sent_time) {
                    return Some(refusal);
                }
            }
            None
        });
        match refusal.flatten() {
            Some(Refusal::Misfit) => self.counters.malformed += 1,
            Some(Refusal::NoRoom) => self.counters.no_room += 1,
            None => {}
        }
        self.settle(place);
        self.make_room(now, place);
    }
}

/// Whether it acknowledges our VERIFY_CONNECT, with what only its reader can know.
fn is_answer(head: Head, command: Command<'_>, cookie: Option<(u16, u16)>) -> bool {
    match command {
        Command::Acknowledge {
            sequence,
            sent_time,
        } => head.channel == CONTROL && Some((sequence, sent_time)) == cookie,
        _ => false,
    }
}
