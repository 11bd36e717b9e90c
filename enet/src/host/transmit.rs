//! What leaves a host.

use super::Host;
use crate::config::millis;
use crate::limits::NOBODY;
use crate::peer::header_len;
use crate::wire::{HEADER, Header};
use crate::{Millis, Time, checksum};
use std::net::SocketAddr;

impl Host {
    /// Writes the next datagram that has to leave, and says where to. What was in `out` is dropped.
    pub fn poll_transmit(&mut self, now: Time, out: &mut Vec<u8>) -> Option<SocketAddr> {
        out.clear();
        if let Some((address, datagram)) = self.loose.pop_front() {
            *out = datagram;
            self.counters.sent += 1;
            return Some(address);
        }
        let now = millis(now);
        while let Some(place) = self.turns.pop_front() {
            let sent = self.write(now, place, out);
            self.settle_sent(place);
            if sent.is_some() {
                self.counters.sent += 1;
                return sent;
            }
        }
        None
    }

    /// Writes a datagram of a peer, if it has anything to say.
    fn write(&mut self, now: Millis, place: usize, out: &mut Vec<u8>) -> Option<SocketAddr> {
        let peer = self.peers.get_mut(place)?.as_deref_mut()?;
        if !std::mem::take(&mut peer.is_scheduled) {
            return None;
        }
        let header_len = header_len(&self.config);
        out.clear();
        out.resize(header_len, 0);
        let more = peer.fill(now, out);
        if out.len() == header_len {
            return None;
        }
        let agreed = peer.agreed;
        let is_known = agreed.outgoing_id != NOBODY;
        let mut header = Header {
            id: agreed.outgoing_id,
            session: if is_known { agreed.outgoing_session } else { 0 },
            compressed: false,
            sent_time: Some(now as u16),
        };
        self.scratch.clear();
        if let Some(coder) = &mut self.coder {
            let body = &out[header_len..];
            header.compressed = coder.compress(body, &mut self.scratch, body.len() - 1);
        }
        out[..HEADER].copy_from_slice(&header.encode());
        if self.config.checksum {
            // Over what is carried, not over how it is.
            let connect_id = if is_known { agreed.connect_id } else { 0 };
            checksum::seal(out, HEADER, connect_id);
        }
        if header.compressed {
            out.truncate(header_len);
            out.extend_from_slice(&self.scratch);
        }
        peer.sent(out.len());
        if more {
            self.schedule(place);
        }
        Some(agreed.address)
    }

    /// Brings the host in line with a peer that has sent; what it still has to send has its turn.
    fn settle_sent(&mut self, place: usize) {
        self.count(place);
        let share = self.sending_share();
        let Some(Some(peer)) = self.peers.get_mut(place) else {
            return;
        };
        if peer.becomes_writable(&self.config, share) {
            let peer = peer.id;
            self.events.push_back(crate::Event::Writable { peer });
        }
        self.set_timer(place);
    }
}
