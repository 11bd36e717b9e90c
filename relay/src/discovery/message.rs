//! What nodes say on the local network, a datagram each: who asks is padded to the length of the longest answer.
//!
//! ```text
//! "peerage" · version (1 byte) · CBOR: ask, here or bye · zeros
//! ```

use minicbor::{Decode, Encode};
use peerage::id::{Kind, Name};
use peerage::limits::{ANNOUNCED_DOORS_MAX, ANNOUNCEMENT_BYTES_MAX};
use peerage::{Code, Failure, NodeId};

/// What every datagram begins with: a name and a version.
const MAGIC: &[u8; 8] = b"peerage\x01";
/// Bytes of a zone's name, or of a path, in an announcement.
pub(crate) const TEXT_BYTES_MAX: usize = 64;

/// One datagram.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Message {
    /// Who is there?
    #[n(0)]
    Ask,
    /// A node is here. It counts until it is not repeated.
    #[n(1)]
    Here(#[n(0)] Announcement),
    /// A node is here no more.
    #[n(2)]
    Bye(#[n(0)] NodeId),
}

/// What a node says of itself. It is a claim.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Announcement {
    /// Who it is.
    #[n(0)]
    pub id: NodeId,
    /// The zone that it is in.
    #[n(1)]
    pub zone: String,
    /// Its name there.
    #[n(2)]
    pub name: Option<Name>,
    /// What it is.
    #[n(3)]
    pub kind: Kind,
    /// Where it lets others in, at the address from which this comes.
    #[n(4)]
    pub doors: Vec<Door>,
}

/// A way in.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Door {
    /// The scheme of its address, such as `ws`.
    #[n(0)]
    pub scheme: String,
    /// Its port.
    #[n(1)]
    pub port: u16,
    /// What follows in its address, such as `/mesh`.
    #[n(2)]
    pub path: String,
}

impl Message {
    /// As a datagram.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        // A vector takes everything.
        let written = minicbor::encode(self, &mut out);
        debug_assert!(written.is_ok());
        if *self == Self::Ask {
            out.resize(ANNOUNCEMENT_BYTES_MAX, 0);
        }
        out
    }

    /// Reads a datagram.
    ///
    /// # Errors
    /// `bad-message`, `too-large` or `incompatible-version`, and what was expected.
    pub fn decode(datagram: &[u8]) -> Result<Self, Failure> {
        if datagram.len() > ANNOUNCEMENT_BYTES_MAX {
            let message = format!("expected at most {ANNOUNCEMENT_BYTES_MAX} bytes");
            return Err(Code::TooLarge.because(message));
        }
        let (name, version) = MAGIC.split_at(MAGIC.len() - 1);
        let rest = datagram
            .strip_prefix(name)
            .ok_or_else(|| bad("a datagram of Peerage"))?;
        let body = rest.strip_prefix(version).ok_or_else(|| {
            let got = rest.first().copied().unwrap_or_default();
            Code::IncompatibleVersion.because(format!("expected version 1, got {got}"))
        })?;
        let mut decoder = minicbor::Decoder::new(body);
        let message: Self = decoder.decode().map_err(|error| bad(&error.to_string()))?;
        match &message {
            Self::Ask if datagram.len() < ANNOUNCEMENT_BYTES_MAX => {
                Err(bad("a question as long as its answer"))
            }
            Self::Here(announcement) => announcement.check().map(|()| message),
            _ => Ok(message),
        }
    }
}

impl Announcement {
    /// Whether it says nothing that a list or a terminal should not hold.
    fn check(&self) -> Result<(), Failure> {
        if !is_plain(&self.zone) || self.zone.is_empty() {
            return Err(bad("a zone's name"));
        }
        if self.doors.len() > ANNOUNCED_DOORS_MAX {
            return Err(bad("fewer ways in"));
        }
        self.doors.iter().try_for_each(Door::check)
    }
}

impl Door {
    fn check(&self) -> Result<(), Failure> {
        let path = self.path.is_empty() || self.path.starts_with('/');
        let scheme = !self.scheme.is_empty() && self.scheme.bytes().all(|b| b.is_ascii_lowercase());
        match path && scheme && self.port != 0 && is_plain(&self.path) && self.scheme.len() <= 8 {
            true => Ok(()),
            false => Err(bad("a scheme, a port and a path")),
        }
    }
}

/// Whether a text is short, and has no character that is not seen.
pub(crate) fn is_plain(text: &str) -> bool {
    text.len() <= TEXT_BYTES_MAX
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || c.is_ascii_graphic())
}

fn bad(expected: &str) -> Failure {
    Code::BadMessage.because(format!("expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement() -> Announcement {
        Announcement {
            id: NodeId::from_bytes([7; 32]),
            zone: "local".into(),
            name: Some("b".parse().unwrap()),
            kind: Kind::Relay,
            doors: vec![Door {
                scheme: "ws".into(),
                port: 7700,
                path: "/mesh".into(),
            }],
        }
    }

    fn code(message: &Message) -> Code {
        Message::decode(&message.encode()).unwrap_err().code
    }

    fn changed(change: impl FnOnce(&mut Announcement)) -> Message {
        let mut changed = announcement();
        change(&mut changed);
        Message::Here(changed)
    }

    #[test]
    fn what_is_said_is_what_is_heard() {
        for message in [
            Message::Ask,
            Message::Here(announcement()),
            Message::Bye(announcement().id),
        ] {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn an_announcement_is_the_bytes_that_the_protocol_says() {
        let mut expected = b"peerage\x01\x82\x01\x81\x85\x58\x20".to_vec();
        expected.extend([7; 32]);
        expected.extend(b"\x65local\x61b\x02\x81\x83\x62ws\x19\x1e\x14\x65/mesh");
        assert_eq!(Message::Here(announcement()).encode(), expected);
    }

    #[test]
    fn the_longest_answer_is_no_longer_than_the_question() {
        let longest = changed(|a| {
            a.zone = "z".repeat(TEXT_BYTES_MAX);
            a.name = Some("n".repeat(63).parse().unwrap());
            let door = Door {
                scheme: "schemess".into(),
                port: u16::MAX,
                path: format!("/{}", "p".repeat(TEXT_BYTES_MAX - 1)),
            };
            a.doors = vec![door; ANNOUNCED_DOORS_MAX];
        });
        let question = Message::Ask.encode();
        assert!(longest.encode().len() <= question.len());
        assert!(Message::decode(&longest.encode()).is_ok());
        let short = &question[..question.len() - 1];
        assert_eq!(Message::decode(short).unwrap_err().code, Code::BadMessage);
    }

    #[test]
    fn what_no_honest_node_says_is_refused_by_name() {
        for hostile in [
            changed(|a| a.zone = "z".repeat(TEXT_BYTES_MAX + 1)),
            changed(|a| a.zone = "\x1b[2J".into()),
            changed(|a| a.zone = String::new()),
            changed(|a| a.doors = vec![a.doors[0].clone(); ANNOUNCED_DOORS_MAX + 1]),
            changed(|a| a.doors[0].path = "@evil.example/".into()),
            changed(|a| a.doors[0].path = "/\u{202e}".into()),
            changed(|a| a.doors[0].scheme = "ws://x".into()),
            changed(|a| a.doors[0].port = 0),
        ] {
            assert_eq!(code(&hostile), Code::BadMessage, "{hostile:?}");
        }
        assert_eq!(Message::decode(b"").unwrap_err().code, Code::BadMessage);
        let newer = Message::decode(b"peerage\x02\x00").unwrap_err();
        assert_eq!(newer.code, Code::IncompatibleVersion);
        let long = Message::decode(&[0; ANNOUNCEMENT_BYTES_MAX + 1]).unwrap_err();
        assert_eq!(long.code, Code::TooLarge);
    }

    #[test]
    fn no_datagram_however_it_is_damaged_does_more_than_fail() {
        let whole = Message::Here(announcement()).encode();
        for cut in 0..whole.len() {
            assert!(Message::decode(&whole[..cut]).is_err());
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[cut] ^= 1 << bit;
                // It may be another announcement; it is never a panic.
                let _ = Message::decode(&damaged);
            }
        }
        // A list that says that it is longer than any memory.
        let bomb = b"peerage\x01\x82\x01\x81\x9b\xff\xff\xff\xff\xff\xff\xff\xff";
        assert!(Message::decode(bomb).is_err());
    }
}
