//! The messages of `peerage/enet-raw/1`: a number, and fields one behind the other, big-endian.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use peerage::Failure;
use peerage::error::Code;
use peerage_enet::{Kind, Packet};

/// What a node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ToFront {
    /// First of all.
    Connect {
        /// What the server is told with it.
        data: u32,
    },
    /// A packet.
    Packet {
        /// On which channel.
        channel: u8,
        /// What, and how it travels.
        packet: Packet,
    },
    /// The end, after what was sent.
    Disconnect {
        /// What the program is told with it.
        data: u32,
    },
}

/// What a node is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FromFront {
    /// First of all.
    Connected {
        /// What datagrams of this connection begin with.
        number: u32,
        /// How many channels there are.
        channels: u8,
        /// What a client has said with its call.
        data: u32,
    },
    /// A packet.
    Packet {
        /// On which channel.
        channel: u8,
        /// What, and how it travelled.
        packet: Packet,
    },
    /// The end.
    Disconnected {
        /// What the program has said with it.
        data: u32,
    },
}

const CONNECT: u8 = 0;
const PACKET: u8 = 1;
const DISCONNECT: u8 = 2;

impl ToFront {
    /// Reads a message.
    ///
    /// # Errors
    /// `bad-message` for what is none.
    pub(super) fn read(message: &Bytes) -> Result<Self, Failure> {
        let mut rest = message.clone();
        let said = match rest.try_get_u8().map_err(short)? {
            CONNECT => Self::Connect {
                data: rest.try_get_u32().map_err(short)?,
            },
            PACKET => {
                let (channel, packet) = read_packet(rest)?;
                return Ok(Self::Packet { channel, packet });
            }
            DISCONNECT => Self::Disconnect {
                data: rest.try_get_u32().map_err(short)?,
            },
            other => {
                let message = format!("expected a message from 0 to 2, got {other}");
                return Err(Code::BadMessage.because(message));
            }
        };
        match rest.is_empty() {
            true => Ok(said),
            false => Err(Code::BadMessage.because("expected the end of the message")),
        }
    }
}

/// Reads a datagram: of which connection it is, and the packet.
///
/// # Errors
/// `bad-message` for what is none.
pub(super) fn read_datagram(mut datagram: Bytes) -> Result<(u32, u8, Packet), Failure> {
    let number = datagram.try_get_u32().map_err(short)?;
    let (channel, packet) = read_packet(datagram)?;
    Ok((number, channel, packet))
}

fn read_packet(mut rest: Bytes) -> Result<(u8, Packet), Failure> {
    let channel = rest.try_get_u8().map_err(short)?;
    let kind = match rest.try_get_u8().map_err(short)? {
        0 => Kind::Reliable,
        1 => Kind::Unreliable,
        2 => Kind::Unsequenced,
        3 => Kind::UnreliableFragment,
        other => {
            let message = format!("expected a kind of packet from 0 to 3, got {other}");
            return Err(Code::BadMessage.because(message));
        }
    };
    Ok((channel, Packet { bytes: rest, kind }))
}

impl FromFront {
    /// The bytes of the message.
    pub(super) fn bytes(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        match self {
            Self::Connected {
                number,
                channels,
                data,
            } => {
                bytes.put_u8(CONNECT);
                bytes.put_u32(*number);
                bytes.put_u8(*channels);
                bytes.put_u32(*data);
            }
            Self::Packet { channel, packet } => {
                bytes.put_u8(PACKET);
                put_packet(&mut bytes, *channel, packet);
            }
            Self::Disconnected { data } => {
                bytes.put_u8(DISCONNECT);
                bytes.put_u32(*data);
            }
        }
        bytes.freeze()
    }

    /// The bytes of a datagram of a connection: a packet, or nothing.
    pub(super) fn datagram(&self, number: u32) -> Bytes {
        let mut bytes = BytesMut::new();
        if let Self::Packet { channel, packet } = self {
            bytes.put_u32(number);
            put_packet(&mut bytes, *channel, packet);
        }
        bytes.freeze()
    }
}

fn put_packet(bytes: &mut BytesMut, channel: u8, packet: &Packet) {
    bytes.put_u8(channel);
    bytes.put_u8(match packet.kind {
        Kind::Reliable => 0,
        Kind::Unreliable => 1,
        Kind::Unsequenced => 2,
        Kind::UnreliableFragment => 3,
    });
    bytes.put_slice(&packet.bytes);
}

fn short(error: bytes::TryGetError) -> Failure {
    let (expected, got) = (error.requested, error.available);
    Code::BadMessage.because(format!("expected {expected} bytes more, got {got}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_is_read() {
        let read = |bytes: &[u8]| ToFront::read(&Bytes::copy_from_slice(bytes));
        assert_eq!(read(&[0, 0, 0, 1, 2]), Ok(ToFront::Connect { data: 258 }));
        assert_eq!(read(&[2, 0, 0, 0, 7]), Ok(ToFront::Disconnect { data: 7 }));
        let packet = Packet {
            bytes: Bytes::from_static(b"hi"),
            kind: Kind::Unsequenced,
        };
        let said = read(b"\x01\x05\x02hi");
        assert_eq!(said, Ok(ToFront::Packet { channel: 5, packet }));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [
            &b""[..],
            b"\x00",
            b"\x00\x00\x00\x00",
            b"\x00\x00\x00\x00\x00\x00",
            b"\x01",
            b"\x01\x00",
            b"\x01\x00\x04hi",
            b"\x02",
            b"\x03\x00\x00\x00\x00",
        ] {
            let failure = ToFront::read(&Bytes::from_static(bytes)).unwrap_err();
            assert_eq!(failure.code, Code::BadMessage, "{bytes:?}");
        }
        assert!(read_datagram(Bytes::from_static(b"\0\0\0\x01\0")).is_err());
    }

    #[test]
    fn what_is_told_has_its_form() {
        let connected = FromFront::Connected {
            number: 1,
            channels: 2,
            data: 3,
        };
        assert_eq!(&connected.bytes()[..], b"\0\0\0\0\x01\x02\0\0\0\x03");
        let packet = Packet::unreliable(&b"hi"[..]);
        let packet = FromFront::Packet { channel: 4, packet };
        assert_eq!(&packet.bytes()[..], b"\x01\x04\x01hi");
        let datagram = packet.datagram(7);
        assert_eq!(&datagram[..], b"\0\0\0\x07\x04\x01hi");
        assert_eq!(read_datagram(datagram).unwrap().0, 7);
    }
}
