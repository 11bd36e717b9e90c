//! Messages of STUN and TURN, read and written by `stun-types` and `turn-types`; and whose a datagram is.

use std::net::SocketAddr;

use stun_types::attribute::{
    Attribute, AttributeFromRaw, AttributeStaticType, AttributeType, ErrorCode, Nonce, Realm,
    Username, XorMappedAddress,
};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageIntegrityCredentials,
    MessageWrite, MessageWriteExt, MessageWriteVec,
};
use turn_types::attribute::{
    ChannelNumber, Data, EvenPort, Lifetime, RequestedAddressFamily, RequestedTransport,
    XorPeerAddress, XorRelayedAddress,
};
use turn_types::channel::ChannelData;
use turn_types::message::DATA;

/// In whose name passwords are. Short: it is in answers to who is not known.
pub(super) const REALM: &str = "peerage";

/// Attributes that requests may have and that must be understood.
const KNOWN: [AttributeType; 13] = [
    Username::TYPE,
    Realm::TYPE,
    Nonce::TYPE,
    stun_types::attribute::MessageIntegrity::TYPE,
    stun_types::attribute::MessageIntegritySha256::TYPE,
    XorMappedAddress::TYPE,
    ChannelNumber::TYPE,
    Data::TYPE,
    EvenPort::TYPE,
    Lifetime::TYPE,
    RequestedAddressFamily::TYPE,
    RequestedTransport::TYPE,
    XorPeerAddress::TYPE,
];
/// Attributes of one message; more are no message of anybody who means well.
const ATTRIBUTES_MAX: usize = 64;
/// So many of what is not understood are told: they are told to strangers too.
const UNKNOWN_TOLD: usize = 4;

/// Whose a datagram is (RFC 7983).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For<'a> {
    /// Of the connection that has this name in STUN.
    Connection(&'a str),
    /// Of the connection that is heard from there.
    Known,
    /// Of the server for STUN and TURN.
    Server,
    /// Of nobody here.
    Nobody,
}

impl<'a> For<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        match bytes {
            [0..=3, ..] => Self::of_message(bytes),
            [20..=63, ..] => Self::Known,
            // The second half of them is for clients of RFC 5766.
            [64..=127, ..] => Self::Server,
            _ => Self::Nobody,
        }
    }

    fn of_message(bytes: &'a [u8]) -> Self {
        const BINDING_REQUEST: [u8; 2] = [0, 1];
        // Class bits of a response: its second byte has bit 0 of the method's number aside.
        let is_response = bytes.first().is_some_and(|byte| byte & 1 == 1);
        if is_response {
            return Self::Known;
        }
        if !bytes.starts_with(&BINDING_REQUEST) {
            return Self::Server;
        }
        match name_in(bytes) {
            Some(name) => Self::Connection(name),
            None => Self::Server,
        }
    }
}

/// The first half of the name in a binding request, by which ICE says whom it means.
fn name_in(bytes: &[u8]) -> Option<&str> {
    const NAME: u16 = 6;
    let mut rest = bytes.get(20..)?;
    for _ in 0..ATTRIBUTES_MAX {
        let (kind, after) = rest.split_first_chunk::<2>()?;
        let (len, after) = after.split_first_chunk::<2>()?;
        let len = usize::from(u16::from_be_bytes(*len));
        let value = after.get(..len)?;
        if u16::from_be_bytes(*kind) == NAME {
            return str::from_utf8(value).ok()?.split(':').next();
        }
        rest = after.get(len.next_multiple_of(4)..)?;
    }
    None
}

/// A request, or an indication.
pub(super) struct Request<'a>(pub(super) Message<'a>);

/// The key of somebody who has shown a credential, and how the message was signed.
pub(super) struct Signed {
    credentials: MessageIntegrityCredentials,
    algorithm: IntegrityAlgorithm,
}

impl<'a> Request<'a> {
    /// Reads a message; `None` for what is none, or cannot be one from a client.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let message = Message::from_bytes(bytes).ok()?;
        let few = message.iter_attributes().take(ATTRIBUTES_MAX + 1).count() <= ATTRIBUTES_MAX;
        (few && !message.is_response()).then_some(Self(message))
    }

    pub(super) fn get<A: AttributeFromRaw<'a> + AttributeStaticType>(&'a self) -> Option<A> {
        self.0.attribute::<A>().ok()
    }

    pub(super) fn has(&self, kind: AttributeType) -> bool {
        self.0.has_attribute(kind)
    }

    /// The addresses of peers that it names.
    pub(super) fn peers(&self) -> Vec<SocketAddr> {
        let transaction = self.0.transaction_id();
        let all = self.0.iter_attributes().map(|(_, raw)| raw);
        let peers = all.filter(|raw| raw.get_type() == XorPeerAddress::TYPE);
        let peers = peers.filter_map(|raw| XorPeerAddress::from_raw(raw).ok());
        peers
            .map(|peer| canonical(peer.addr(transaction)))
            .collect()
    }

    /// What it has that must be understood and is not.
    pub(super) fn unknown(&self) -> Vec<AttributeType> {
        let all = self.0.iter_attributes().map(|(_, raw)| raw.get_type());
        let unknown = all.filter(|kind| kind.comprehension_required() && !KNOWN.contains(kind));
        unknown.take(UNKNOWN_TOLD).collect()
    }

    /// A refusal of a request for what is not understood in it.
    pub(super) fn not_understood(&self, unknown: &[AttributeType]) -> Vec<u8> {
        Message::unknown_attributes(&self.0, unknown, MessageWriteVec::new()).finish()
    }

    /// Whether it was signed with the password of its name.
    pub(super) fn signed(&self, name: &str, password: String) -> Option<Signed> {
        let credentials =
            LongTermKeyCredentials::new(name.to_owned(), password, REALM.to_owned()).into();
        let algorithm = self.0.validate_integrity(&credentials).ok()?;
        Some(Signed {
            credentials,
            algorithm,
        })
    }

    /// By which address the client is seen.
    pub(super) fn mapped(&self, seen: SocketAddr) -> Vec<u8> {
        let mut answer = Message::builder_success(&self.0, MessageWriteVec::new());
        add(
            &mut answer,
            &XorMappedAddress::new(seen, self.0.transaction_id()),
        );
        answer.finish()
    }

    /// A refusal, in as few words as there can be.
    pub(super) fn refused(&self, code: u16, signed: Option<&Signed>) -> Vec<u8> {
        let mut answer = Message::builder_error(&self.0, MessageWriteVec::new());
        if let Ok(error) = ErrorCode::new(code, "") {
            add(&mut answer, &error);
        }
        sign(&mut answer, signed);
        answer.finish()
    }

    /// A refusal to who has shown no credential, with what is needed to show one.
    pub(super) fn challenged(&self, code: u16, nonce: &str) -> Vec<u8> {
        let mut answer = Message::builder_error(&self.0, MessageWriteVec::new());
        if let Ok(error) = ErrorCode::new(code, "") {
            add(&mut answer, &error);
        }
        if let (Ok(realm), Ok(nonce)) = (Realm::new(REALM), Nonce::new(nonce)) {
            add(&mut answer, &realm);
            add(&mut answer, &nonce);
        }
        answer.finish()
    }

    /// The address of an allocation, and how long it lasts.
    pub(super) fn allocated(
        &self,
        relayed: SocketAddr,
        seen: SocketAddr,
        lifetime: u32,
        signed: &Signed,
    ) -> Vec<u8> {
        let transaction = self.0.transaction_id();
        let mut answer = Message::builder_success(&self.0, MessageWriteVec::new());
        add(&mut answer, &XorRelayedAddress::new(relayed, transaction));
        add(&mut answer, &Lifetime::new(lifetime));
        add(&mut answer, &XorMappedAddress::new(seen, transaction));
        sign(&mut answer, Some(signed));
        answer.finish()
    }

    /// That it was done; of a refresh, for how long.
    pub(super) fn done(&self, lifetime: Option<u32>, signed: &Signed) -> Vec<u8> {
        let mut answer = Message::builder_success(&self.0, MessageWriteVec::new());
        if let Some(lifetime) = lifetime {
            add(&mut answer, &Lifetime::new(lifetime));
        }
        sign(&mut answer, Some(signed));
        answer.finish()
    }

    pub(super) fn is_binding(&self) -> bool {
        self.0.has_method(BINDING)
    }
}

/// What a peer sent, told without a channel.
pub(super) fn data_from(peer: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut told =
        Message::builder_indication(DATA, MessageWriteVec::with_capacity(bytes.len() + 48));
    let transaction = told.transaction_id();
    add(&mut told, &XorPeerAddress::new(peer, transaction));
    add(&mut told, &Data::new(bytes));
    told.finish()
}

/// What a peer sent, told by its channel.
pub(super) fn channel_data(channel: u16, bytes: &[u8]) -> Vec<u8> {
    let mut told = vec![0; 4 + bytes.len()];
    ChannelData::new(channel, bytes).write_into_unchecked(&mut told);
    told
}

/// What a client sends by a channel.
pub(super) fn read_channel(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (channel, len) = ChannelData::parse_header(bytes).ok()?;
    Some((channel, bytes.get(4..4 + len)?))
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn add(answer: &mut MessageWriteVec, attribute: &dyn stun_types::attribute::AttributeWrite) {
    // Fails for an attribute that is there already, which none of ours is.
    let added = answer.add_attribute(attribute);
    debug_assert!(added.is_ok());
}

fn sign(answer: &mut MessageWriteVec, signed: Option<&Signed>) {
    if let Some(signed) = signed {
        let added = answer.add_message_integrity(&signed.credentials, signed.algorithm);
        debug_assert!(added.is_ok());
    }
}
