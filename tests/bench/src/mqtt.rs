//! As much of MQTT 3.1.1 (OASIS, 2014) as a client needs that says hello, subscribes and publishes.

pub(crate) const CONNECT: u8 = 0x10;
pub(crate) const PUBLISH: u8 = 0x30;
pub(crate) const SUBSCRIBE: u8 = 0x82;
/// Bytes of what answers a greeting: CONNACK, and SUBACK for two filters.
pub(crate) const GREETING_BYTES: usize = 4 + 6;

/// A control packet: its first byte, the length of the rest, the rest.
pub(crate) fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut len = rest.len();
    loop {
        let more = if len > 0x7f { 0x80 } else { 0 };
        packet.push((len & 0x7f) as u8 | more);
        len >>= 7;
        if len == 0 {
            break;
        }
    }
    packet.extend(rest);
    packet
}

/// A text with its length before it.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::from((text.len() as u16).to_be_bytes());
    bytes.extend(text.as_bytes());
    bytes
}
