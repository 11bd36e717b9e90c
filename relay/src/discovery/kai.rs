//! The ping by which nodes of KAI look for each other, and its answer: RakNet's of a system that is not connected.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use peerage::limits::DISCOVERY_ANSWERS_MAX;

use crate::enet::Hook;
use crate::rate::Rate;

/// Where KAI's nodes listen.
pub const PORT: u16 = 14589;

const PING: u8 = 0x01;
/// As a ping, which those shall not answer who let nobody in.
const PING_OPEN: u8 = 0x02;
const PONG: u8 = 0x1c;
/// What tells RakNet's datagrams to strangers from all others.
const MAGIC: [u8; 16] = [
    0x00, 0xff, 0xff, 0x00, 0xfe, 0xfe, 0xfe, 0xfe, 0xfd, 0xfd, 0xfd, 0xfd, 0x12, 0x34, 0x56, 0x78,
];
const TIME_BYTES: usize = 8;
/// Of the one who asks; older ones have none.
const GUID_BYTES: usize = 8;
/// Who answers: KAI tells nodes apart by their address.
const GUID: [u8; GUID_BYTES] = *b"peerage\x01";
/// What KAI's nodes say of themselves.
const WHAT: &[u8] = b"KAINode";

/// The answer to a ping of KAI; nothing else is answered. It is a few bytes longer than the question.
pub fn answer(datagram: &[u8]) -> Option<Vec<u8>> {
    let (&kind, rest) = datagram.split_first()?;
    let (time, rest) = rest.split_first_chunk::<TIME_BYTES>()?;
    let guid = rest.strip_prefix(&MAGIC)?;
    let is_ping = matches!(kind, PING | PING_OPEN) && matches!(guid.len(), 0 | GUID_BYTES);
    is_ping.then(|| [&[PONG][..], time, &GUID, &MAGIC, WHAT].concat())
}

/// What answers pings at a port of ENet, which KAI's nodes take for one of theirs.
pub fn hook() -> Hook {
    let rate = Mutex::new(Rate::new(DISCOVERY_ANSWERS_MAX));
    Box::new(move |socket, from, datagram| {
        let Some(answer) = answer(datagram) else {
            return false;
        };
        let mut rate = rate.lock().unwrap_or_else(PoisonError::into_inner);
        if rate.allows(Instant::now()) {
            // It may be lost, as any datagram.
            let _ = socket.try_send_to(&answer, from);
        }
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping(kind: u8, guid: &[u8]) -> Vec<u8> {
        [&[kind][..], &42u64.to_be_bytes(), &MAGIC, guid].concat()
    }

    #[test]
    fn a_ping_is_answered_with_its_time_and_what_kai_expects() {
        for ping in [
            ping(PING, &[9; 8]),
            ping(PING_OPEN, &[9; 8]),
            ping(PING, &[]),
        ] {
            let pong = answer(&ping).unwrap();
            assert_eq!((pong[0], &pong[1..9]), (PONG, &42u64.to_be_bytes()[..]));
            assert_eq!(pong[17..33], MAGIC);
            assert_eq!(&pong[33..], b"KAINode");
            assert!(pong.len() <= ping.len() + GUID_BYTES + WHAT.len());
        }
    }

    #[test]
    fn nothing_else_is_answered_not_even_a_pong() {
        let whole = ping(PING, &[9; 8]);
        for cut in (0..whole.len()).filter(|len| *len != whole.len() - GUID_BYTES) {
            assert_eq!(answer(&whole[..cut]), None);
        }
        assert_eq!(answer(&ping(PONG, &[9; 8])), None);
        assert_eq!(answer(&answer(&whole).unwrap()), None);
        assert_eq!(answer(&[whole, vec![0]].concat()), None);
    }
}
