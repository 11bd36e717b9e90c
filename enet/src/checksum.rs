//! The CRC32 of a datagram.
//!
//! Its place is after the header. While it is computed, the number of the connection stands there:
//! who does not know that number cannot make a datagram that counts.

/// Puts the checksum where the connection's number stands.
pub(crate) fn seal(datagram: &mut [u8], at: usize, connect_id: u32) {
    put(datagram, at, connect_id);
    let sum = crc32fast::hash(datagram);
    put(datagram, at, sum);
}

/// Whether the checksum is right.
pub(crate) fn is_right(header: &[u8], body: &[u8], connect_id: u32) -> bool {
    let Some((before, sum)) = header.split_last_chunk::<4>() else {
        return false;
    };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(before);
    hasher.update(&connect_id.to_be_bytes());
    hasher.update(body);
    hasher.finalize() == u32::from_be_bytes(*sum)
}

fn put(datagram: &mut [u8], at: usize, value: u32) {
    if let Some(place) = datagram.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}
