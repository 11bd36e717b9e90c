//! Who listens on links and has no keys: nothing that is said may be readable, and nothing may be sealed
//! twice under one number for different bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use peerage::link::frame::{Control, Packet};
use peerage::link::{Frame, LinkId, RouteHandle};
use peerage::session::Payload;

use crate::Violation;

/// Bytes of a seal, by which records are told apart.
const TAG_BYTES: usize = 16;

/// A record: where it leaves, along which route, in which number space, under which number.
type Place = (LinkId, RouteHandle, bool, u64);

/// What was heard.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    tags: BTreeMap<Place, Bytes>,
}

impl Ear {
    /// Listens to a packet in which `mark` must not be seen.
    pub(crate) fn check_secrecy(packet: &[u8], mark: &[u8]) -> Result<(), Violation> {
        if packet.windows(mark.len()).any(|window| window == mark) {
            return Err(Violation(String::from("anyone can read what is said")));
        }
        Ok(())
    }

    /// Listens to a packet of a node that passes nothing on for others. A route serves one session.
    pub(crate) fn check_numbers(&mut self, link: LinkId, packet: Bytes) -> Result<(), Violation> {
        for (frame, _) in Packet::new(packet).flatten() {
            let (route, payload) = match frame {
                Frame::Record { route, payload } if route.0 > 0 => (route, payload),
                Frame::Control(Control::Open { route, payload, .. }) => (route, payload.into()),
                _ => continue,
            };
            if let Ok(Payload::Record(sealed)) = Payload::decode(payload) {
                let whole = sealed.whole;
                // A copy: what is kept must not hold the packet.
                let tag = Bytes::copy_from_slice(&whole[whole.len().saturating_sub(TAG_BYTES)..]);
                let place = (link, route, sealed.reliable, sealed.number);
                if self.tags.entry(place).or_insert_with(|| tag.clone()) != &tag {
                    return Err(Violation(format!(
                        "record {} is sealed twice for different bytes",
                        sealed.number
                    )));
                }
            }
        }
        Ok(())
    }
}
