//! What is on the wire: the header of a datagram and the commands in it. All numbers are
//! big-endian.

use bytes::BufMut;

/// Bytes of a header with its time, as we always send it.
pub(crate) const HEADER: usize = 4;
/// Bytes that a checksum takes.
pub(crate) const CHECKSUM: usize = 4;
/// Bytes of an ACKNOWLEDGE.
pub(crate) const ACKNOWLEDGE: usize = 8;
/// Bytes of a SEND_FRAGMENT before what it carries.
pub(crate) const FRAGMENT: usize = 24;
/// The channel of what concerns the connection itself.
pub(crate) const CONTROL: u8 = 0xFF;

const COMPRESSED: u16 = 1 << 14;
const SENT_TIME: u16 = 1 << 15;
const SESSION_SHIFT: u32 = 12;
const ID_MASK: u16 = 0xFFF;
const ACKNOWLEDGED: u8 = 1 << 7;
const UNSEQUENCED: u8 = 1 << 6;
const KIND_MASK: u8 = 0x0F;

/// The beginning of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The receiver's number of the connection.
    pub(crate) id: u16,
    /// Which of the connections that had this number.
    pub(crate) session: u8,
    pub(crate) compressed: bool,
    /// When it was sent, by the sender's clock.
    pub(crate) sent_time: Option<u16>,
}

impl Header {
    /// The header, and how many bytes it takes.
    pub(crate) fn decode(datagram: &[u8]) -> Option<(Self, usize)> {
        let mut rest = Reader(datagram);
        let bits = rest.u16()?;
        let sent_time = match bits & SENT_TIME {
            0 => None,
            _ => Some(rest.u16()?),
        };
        let header = Self {
            id: bits & ID_MASK,
            session: (bits >> SESSION_SHIFT & 3) as u8,
            compressed: bits & COMPRESSED != 0,
            sent_time,
        };
        Some((header, datagram.len() - rest.0.len()))
    }

    /// The four bytes of a header with a time.
    pub(crate) fn encode(self) -> [u8; HEADER] {
        let compressed = if self.compressed { COMPRESSED } else { 0 };
        let session = u16::from(self.session & 3) << SESSION_SHIFT;
        let [a, b] = (self.id & ID_MASK | session | compressed | SENT_TIME).to_be_bytes();
        let [c, d] = self.sent_time.unwrap_or(0).to_be_bytes();
        [a, b, c, d]
    }
}

/// What all commands begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) channel: u8,
    /// Its number among the reliable ones of the channel, or of the one that it follows.
    pub(crate) sequence: u16,
    /// Whether the receiver has to acknowledge it.
    pub(crate) acknowledged: bool,
}

/// How the throttle moves; who connects says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttling {
    pub(crate) interval: u32,
    pub(crate) acceleration: u32,
    pub(crate) deceleration: u32,
}

/// What CONNECT and VERIFY_CONNECT have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handshake {
    /// The sender's number of the connection.
    pub(crate) id: u16,
    pub(crate) incoming_session: u8,
    pub(crate) outgoing_session: u8,
    pub(crate) mtu: u32,
    pub(crate) window: u32,
    pub(crate) channels: u32,
    pub(crate) incoming_bandwidth: u32,
    pub(crate) outgoing_bandwidth: u32,
    pub(crate) throttling: Throttling,
    pub(crate) connect_id: u32,
}

/// Which part of a packet is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// The number of the packet's first fragment.
    pub(crate) start: u16,
    pub(crate) count: u32,
    pub(crate) number: u32,
    pub(crate) total: u32,
    pub(crate) offset: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Acknowledge { sequence: u16, sent_time: u16 },
    Connect { handshake: Handshake, data: u32 },
    VerifyConnect(Handshake),
    Disconnect { data: u32 },
    Ping,
    Reliable(&'a [u8]),
    Unreliable { sequence: u16, body: &'a [u8] },
    Fragment { fragment: Fragment, body: &'a [u8] },
    Unsequenced { group: u16, body: &'a [u8] },
    BandwidthLimit { incoming: u32, outgoing: u32 },
    ThrottleConfigure(Throttling),
    UnreliableFragment { fragment: Fragment, body: &'a [u8] },
}

impl<'a> Command<'a> {
    /// Takes the next command off what is left of a datagram; nothing if that is none.
    pub(crate) fn decode(bytes: &mut &'a [u8]) -> Option<(Head, Self)> {
        let mut rest = Reader(bytes);
        let bits = rest.u8()?;
        let head = Head {
            channel: rest.u8()?,
            sequence: rest.u16()?,
            acknowledged: bits & ACKNOWLEDGED != 0,
        };
        let command = match bits & KIND_MASK {
            1 => Command::Acknowledge {
                sequence: rest.u16()?,
                sent_time: rest.u16()?,
            },
            2 => Command::Connect {
                handshake: rest.handshake()?,
                data: rest.u32()?,
            },
            3 => Command::VerifyConnect(rest.handshake()?),
            4 => Command::Disconnect { data: rest.u32()? },
            5 => Command::Ping,
            6 => Command::Reliable(rest.body()?),
            7 => Command::Unreliable {
                sequence: rest.u16()?,
                body: rest.body()?,
            },
            8 => {
                let (fragment, body) = rest.fragment()?;
                Command::Fragment { fragment, body }
            }
            9 => Command::Unsequenced {
                group: rest.u16()?,
                body: rest.body()?,
            },
            10 => Command::BandwidthLimit {
                incoming: rest.u32()?,
                outgoing: rest.u32()?,
            },
            11 => Command::ThrottleConfigure(rest.throttling()?),
            12 => {
                let (fragment, body) = rest.fragment()?;
                Command::UnreliableFragment { fragment, body }
            }
            _ => return None,
        };
        *bytes = rest.0;
        Some((head, command))
    }

    /// Appends the command to a datagram.
    pub(crate) fn encode(&self, head: Head, out: &mut Vec<u8>) {
        let acknowledged = if head.acknowledged { ACKNOWLEDGED } else { 0 };
        let unsequenced = match self {
            Command::Unsequenced { .. } => UNSEQUENCED,
            Command::Disconnect { .. } if !head.acknowledged => UNSEQUENCED,
            _ => 0,
        };
        out.put_u8(self.kind() | acknowledged | unsequenced);
        out.put_u8(head.channel);
        out.put_u16(head.sequence);
        match *self {
            Command::Acknowledge {
                sequence,
                sent_time,
            } => {
                out.put_u16(sequence);
                out.put_u16(sent_time);
            }
            Command::Connect { handshake, data } => {
                put_handshake(&handshake, out);
                out.put_u32(data);
            }
            Command::VerifyConnect(handshake) => put_handshake(&handshake, out),
            Command::Disconnect { data } => out.put_u32(data),
            Command::Ping => {}
            Command::Reliable(body) => put_body(body, out),
            Command::Unreliable { sequence, body } => {
                out.put_u16(sequence);
                put_body(body, out);
            }
            Command::Unsequenced { group, body } => {
                out.put_u16(group);
                put_body(body, out);
            }
            Command::BandwidthLimit { incoming, outgoing } => {
                out.put_u32(incoming);
                out.put_u32(outgoing);
            }
            Command::ThrottleConfigure(throttling) => put_throttling(throttling, out),
            Command::Fragment { fragment, body }
            | Command::UnreliableFragment { fragment, body } => put_fragment(fragment, body, out),
        }
    }

    /// How many bytes it takes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Command::Acknowledge { .. } | Command::Disconnect { .. } => ACKNOWLEDGE,
            Command::Connect { .. } => 48,
            Command::VerifyConnect(_) => 44,
            Command::Ping => 4,
            Command::Reliable(body) => 6 + body.len(),
            Command::Unreliable { body, .. } | Command::Unsequenced { body, .. } => 8 + body.len(),
            Command::BandwidthLimit { .. } => 12,
            Command::ThrottleConfigure(_) => 16,
            Command::Fragment { body, .. } | Command::UnreliableFragment { body, .. } => {
                FRAGMENT + body.len()
            }
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Command::Acknowledge { .. } => 1,
            Command::Connect { .. } => 2,
            Command::VerifyConnect(_) => 3,
            Command::Disconnect { .. } => 4,
            Command::Ping => 5,
            Command::Reliable(_) => 6,
            Command::Unreliable { .. } => 7,
            Command::Fragment { .. } => 8,
            Command::Unsequenced { .. } => 9,
            Command::BandwidthLimit { .. } => 10,
            Command::ThrottleConfigure(_) => 11,
            Command::UnreliableFragment { .. } => 12,
        }
    }
}

fn put_handshake(handshake: &Handshake, out: &mut Vec<u8>) {
    out.put_u16(handshake.id);
    out.put_u8(handshake.incoming_session);
    out.put_u8(handshake.outgoing_session);
    out.put_u32(handshake.mtu);
    out.put_u32(handshake.window);
    out.put_u32(handshake.channels);
    out.put_u32(handshake.incoming_bandwidth);
    out.put_u32(handshake.outgoing_bandwidth);
    put_throttling(handshake.throttling, out);
    out.put_u32(handshake.connect_id);
}

fn put_throttling(throttling: Throttling, out: &mut Vec<u8>) {
    out.put_u32(throttling.interval);
    out.put_u32(throttling.acceleration);
    out.put_u32(throttling.deceleration);
}

fn put_fragment(fragment: Fragment, body: &[u8], out: &mut Vec<u8>) {
    out.put_u16(fragment.start);
    out.put_u16(body.len() as u16);
    out.put_u32(fragment.count);
    out.put_u32(fragment.number);
    out.put_u32(fragment.total);
    out.put_u32(fragment.offset);
    out.put_slice(body);
}

fn put_body(body: &[u8], out: &mut Vec<u8>) {
    out.put_u16(body.len() as u16);
    out.put_slice(body);
}

/// What is left of a datagram.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn bytes(&mut self, len: u16) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some(taken)
    }

    fn body(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.bytes(len)
    }

    fn fragment(&mut self) -> Option<(Fragment, &'a [u8])> {
        let start = self.u16()?;
        let len = self.u16()?;
        let fragment = Fragment {
            start,
            count: self.u32()?,
            number: self.u32()?,
            total: self.u32()?,
            offset: self.u32()?,
        };
        Some((fragment, self.bytes(len)?))
    }

    fn throttling(&mut self) -> Option<Throttling> {
        Some(Throttling {
            interval: self.u32()?,
            acceleration: self.u32()?,
            deceleration: self.u32()?,
        })
    }

    fn handshake(&mut self) -> Option<Handshake> {
        Some(Handshake {
            id: self.u16()?,
            incoming_session: self.u8()?,
            outgoing_session: self.u8()?,
            mtu: self.u32()?,
            window: self.u32()?,
            channels: self.u32()?,
            incoming_bandwidth: self.u32()?,
            outgoing_bandwidth: self.u32()?,
            throttling: self.throttling()?,
            connect_id: self.u32()?,
        })
    }
}

#[cfg(test)]
mod tests;
