//! The server as a whole, with sockets in memory, asked by messages as clients write them.

mod fence;
mod limits;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use peerage::NodeId;
use peerage::limits::{
    STUN_ANSWERS_PER_SECOND, TURN_AGE_MAX, TURN_ALLOCATIONS_PER_NODE_MAX, TURN_LIFETIME,
    TURN_PERMISSION_LIFETIME, TURN_PERMISSIONS_MAX,
};
use stun_types::attribute::{
    AttributeStaticType, AttributeWrite, ErrorCode, Nonce, Realm, Username, XorMappedAddress,
};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageWrite,
    MessageWriteExt, MessageWriteVec, Method,
};
use turn_types::attribute::{
    ChannelNumber, Data, DontFragment, EvenPort, Lifetime, RequestedTransport, XorPeerAddress,
    XorRelayedAddress,
};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND};

use super::credentials::Credential;
use super::message::{REALM, channel_data};
use super::*;
use crate::link::webrtc::Datagram;

/// Allocations of all nodes together here.
const ALLOCATIONS_MAX: usize = TURN_ALLOCATIONS_PER_NODE_MAX + 3;
const UNIX: u64 = 1_700_000_000;
const HERE: &str = "203.0.113.1:7700";
/// A peer that anybody may reach.
const PEER: &str = "8.8.8.8:53";
/// Another address of the relay's machine.
const HERE_TOO: &str = "9.9.9.10";

/// What the server has done outside.
#[derive(Default)]
struct Sockets {
    answers: Vec<(Client, Vec<u8>)>,
    ports: HashMap<AllocationId, SocketAddr>,
    sent: Vec<(AllocationId, SocketAddr, Vec<u8>)>,
    full: bool,
}

impl Outside for Sockets {
    fn answer(&mut self, client: Client, bytes: Vec<u8>) {
        self.answers.push((client, bytes));
    }

    fn here(&self) -> Vec<IpAddr> {
        vec![HERE_TOO.parse().unwrap()]
    }

    fn open(&mut self, allocation: AllocationId, at: IpAddr) -> io::Result<SocketAddr> {
        if self.full {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let port = SocketAddr::new(at, 50_000 + allocation as u16);
        self.ports.insert(allocation, port);
        Ok(port)
    }

    fn send(&mut self, allocation: AllocationId, to: SocketAddr, bytes: &[u8]) {
        self.sent.push((allocation, to, bytes.to_vec()));
    }

    fn close(&mut self, allocation: AllocationId) {
        self.ports.remove(&allocation);
    }
}

struct Stage {
    tally: Tally,
    stun: Stun,
    sockets: Sockets,
    now: Now,
    secret: Secret,
}

/// Somebody who asks, with a credential or none.
struct Asker {
    from: SocketAddr,
    credential: Option<Credential>,
    nonce: String,
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

impl Stage {
    fn new() -> Self {
        Self::with(&[], true)
    }

    fn with(open: &[&str], relays: bool) -> Self {
        let now = Now {
            instant: Instant::now(),
            unix: UNIX,
        };
        let secret = Secret::new(b"secret");
        let settings = Settings {
            secret: secret.clone(),
            public: None,
            fence: Fence::new(open.iter().map(|net| net.parse().unwrap()).collect()),
            bytes_per_second: 10_000,
            allocations_max: ALLOCATIONS_MAX,
            relays,
            tally: Tally::default(),
        };
        let tally = settings.tally.clone();
        Self {
            tally,
            stun: Stun::new(settings, now.instant),
            sockets: Sockets::default(),
            now,
            secret,
        }
    }

    /// Who has a credential of ours, and has been told a nonce.
    fn known(&mut self, n: u8, from: &str) -> Asker {
        let mut asker = stranger(from);
        asker.credential = Some(self.secret.issue(node(n), self.now.unix));
        let first = self.ask(&stranger(from), ALLOCATE, &[&udp()]).unwrap();
        asker.nonce = nonce_of(&first);
        asker
    }

    /// Somebody who has an allocation; its address.
    fn allocated(&mut self, n: u8, from: &str) -> (Asker, SocketAddr) {
        let asker = self.known(n, from);
        let answer = self.ask(&asker, ALLOCATE, &[&udp()]).unwrap();
        let relayed = relayed_of(&answer);
        (asker, relayed)
    }

    fn ask(
        &mut self,
        asker: &Asker,
        method: Method,
        attributes: &[&dyn AttributeWrite],
    ) -> Option<Vec<u8>> {
        let request = asker.request(method, attributes);
        self.hear(asker.from, &request)
    }

    fn tell(&mut self, from: SocketAddr, bytes: &[u8]) {
        let datagram = Datagram {
            from,
            at: address(HERE),
            bytes,
        };
        self.stun.hear(self.now, datagram, &mut self.sockets);
    }

    /// What is answered to a datagram.
    fn hear(&mut self, from: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
        self.tell(from, bytes);
        let (client, answer) = self.sockets.answers.pop()?;
        assert_eq!((client.from, client.at), (from, address(HERE)));
        assert!(self.sockets.answers.is_empty());
        Some(answer)
    }

    /// What clients are told of a datagram from a peer.
    fn hear_peer(&mut self, allocation: AllocationId, from: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
        let heard = FromPeer {
            allocation,
            from: address(from),
            bytes: bytes.to_vec(),
        };
        self.stun
            .hear_peer(self.now.instant, heard, &mut self.sockets);
        self.told()
    }

    fn told(&mut self) -> Vec<Vec<u8>> {
        let told = self.sockets.answers.drain(..);
        told.map(|(_, bytes)| bytes).collect()
    }

    /// Time passes, without anybody asking anything.
    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.unix += time.as_secs();
        self.stun.look_after(self.now.instant, &mut self.sockets);
    }

    fn peer(&mut self, asker: &Asker, method: Method, peer: &str) -> Option<u16> {
        let request = asker.of_peers(method, &[address(peer)], &[]);
        code_of(&self.hear(asker.from, &request).unwrap())
    }

    fn bind(&mut self, asker: &Asker, channel: u16, peer: &str) -> Option<u16> {
        let number = ChannelNumber::new(channel);
        let request = asker.of_peers(CHANNEL_BIND, &[address(peer)], &[&number]);
        code_of(&self.hear(asker.from, &request).unwrap())
    }

    fn send(&mut self, asker: &Asker, peer: SocketAddr, data: &[u8]) {
        let mut message = Message::builder_indication(SEND, MessageWriteVec::new());
        let transaction = message.transaction_id();
        message
            .add_attribute(&XorPeerAddress::new(peer, transaction))
            .unwrap();
        message.add_attribute(&Data::new(data)).unwrap();
        self.tell(asker.from, &message.finish());
    }
}

impl Asker {
    fn request(&self, method: Method, attributes: &[&dyn AttributeWrite]) -> Vec<u8> {
        let mut message = Message::builder_request(method, MessageWriteVec::new());
        for attribute in attributes {
            message.add_attribute(*attribute).unwrap();
        }
        self.signed(message)
    }

    fn of_peers(
        &self,
        method: Method,
        peers: &[SocketAddr],
        attributes: &[&dyn AttributeWrite],
    ) -> Vec<u8> {
        let mut message = Message::builder_request(method, MessageWriteVec::new());
        let transaction = message.transaction_id();
        for peer in peers {
            // The library adds each kind once only.
            message.push_attribute_unchecked(&XorPeerAddress::new(*peer, transaction));
        }
        for attribute in attributes {
            message.add_attribute(*attribute).unwrap();
        }
        self.signed(message)
    }

    fn signed(&self, mut message: MessageWriteVec) -> Vec<u8> {
        if let Some(Credential { name, password }) = &self.credential {
            message
                .add_attribute(&Username::new(name).unwrap())
                .unwrap();
            message.add_attribute(&Realm::new(REALM).unwrap()).unwrap();
            message
                .add_attribute(&Nonce::new(&self.nonce).unwrap())
                .unwrap();
            let key = LongTermKeyCredentials::new(name.clone(), password.clone(), REALM.into());
            message
                .add_message_integrity(&key.into(), IntegrityAlgorithm::Sha1)
                .unwrap();
        }
        message.finish()
    }
}

fn stranger(from: &str) -> Asker {
    Asker {
        from: address(from),
        credential: None,
        nonce: String::new(),
    }
}

fn udp() -> RequestedTransport {
    RequestedTransport::new(17)
}

fn code_of(answer: &[u8]) -> Option<u16> {
    let answer = Message::from_bytes(answer).unwrap();
    answer
        .attribute::<ErrorCode>()
        .ok()
        .map(|error| error.code())
}

fn nonce_of(answer: &[u8]) -> String {
    let answer = Message::from_bytes(answer).unwrap();
    let nonce = answer.attribute::<Nonce>().unwrap();
    nonce.nonce().to_owned()
}

fn relayed_of(answer: &[u8]) -> SocketAddr {
    let message = Message::from_bytes(answer).unwrap();
    let relayed = message.attribute::<XorRelayedAddress>().unwrap();
    relayed.addr(message.transaction_id())
}

fn lifetime_of(answer: &[u8]) -> u32 {
    let message = Message::from_bytes(answer).unwrap();
    message.attribute::<Lifetime>().unwrap().seconds()
}

/// From whom an indication says that data is, and the data.
fn data_of(told: &[u8]) -> (SocketAddr, Vec<u8>) {
    let message = Message::from_bytes(told).unwrap();
    assert!(message.has_class(MessageClass::Indication));
    let peer = message.attribute::<XorPeerAddress>().unwrap();
    let data = message.attribute::<Data<'_>>().unwrap();
    (peer.addr(message.transaction_id()), data.data().to_vec())
}

const A: &str = "198.51.100.7:4000";
const B: &str = "198.51.100.8:4000";

#[test]
fn whoever_asks_is_told_by_which_address_they_are_seen_and_little_more() {
    let mut stage = Stage::new();
    let asker = stranger(A);
    let request = asker.request(BINDING, &[]);
    let answer = stage.hear(asker.from, &request).unwrap();
    let message = Message::from_bytes(&answer).unwrap();
    let seen = message.attribute::<XorMappedAddress>().unwrap();
    assert_eq!(seen.addr(message.transaction_id()), asker.from);
    assert_eq!(answer.len(), request.len() + 12);
}

#[test]
fn a_stranger_has_no_allocation_and_a_challenge_as_short_as_can_be() {
    let mut stage = Stage::new();
    for method in [ALLOCATE, REFRESH, CREATE_PERMISSION, CHANNEL_BIND] {
        let answer = stage.ask(&stranger(A), method, &[&udp()]).unwrap();
        assert_eq!(code_of(&answer), Some(401));
        assert!(answer.len() <= 64, "{} bytes", answer.len());
    }
    assert_eq!(stage.tally.allocations(), 0);
    assert!(stage.sockets.ports.is_empty());
}

#[test]
fn a_credential_is_good_for_its_name_its_time_and_the_address_that_was_challenged() {
    let mut stage = Stage::new();
    let good = stage.known(1, A);
    let with = |change: &dyn Fn(&mut Asker)| {
        let mut asker = Asker {
            from: good.from,
            credential: good.credential.clone(),
            nonce: good.nonce.clone(),
        };
        change(&mut asker);
        asker
    };
    let credential = |asker: &mut Asker, name: &str, password: &str| {
        let (name, password) = (name.to_owned(), password.to_owned());
        asker.credential = Some(Credential { name, password });
    };
    let own = good.credential.clone().unwrap();
    let old = format!("{}:x", UNIX - 1);
    let old_password = stage.secret.password(&old);
    for (asker, code) in [
        (with(&|asker| credential(asker, &own.name, "wrong")), 401),
        (
            with(&|asker| credential(asker, "9999999999:x", &own.password)),
            401,
        ),
        (with(&|asker| credential(asker, &old, &old_password)), 401),
        (with(&|asker| credential(asker, "nobody", "x")), 401),
        (with(&|asker| asker.nonce = String::from("made-up")), 438),
        (with(&|asker| asker.from = address(B)), 438),
    ] {
        let answer = stage.ask(&asker, ALLOCATE, &[&udp()]).unwrap();
        assert_eq!(code_of(&answer), Some(code));
        assert_eq!(stage.tally.allocations(), 0);
    }
    let answer = stage.ask(&good, ALLOCATE, &[&udp()]).unwrap();
    assert_eq!(relayed_of(&answer), address("203.0.113.1:50000"));
}

#[test]
fn an_allocation_is_a_port_for_udp_and_there_is_one_for_a_client() {
    let mut stage = Stage::new();
    let asker = stage.known(1, A);
    let tcp = RequestedTransport::new(6);
    for (attributes, code) in [
        (&[][..], 400),
        (&[&tcp as &dyn AttributeWrite][..], 442),
        (&[&udp(), &DontFragment::new()], 420),
    ] {
        let answer = stage.ask(&asker, ALLOCATE, attributes).unwrap();
        assert_eq!(code_of(&answer), Some(code));
    }
    let request = asker.request(ALLOCATE, &[&udp()]);
    let answer = stage.hear(asker.from, &request).unwrap();
    assert_eq!(lifetime_of(&answer), TURN_LIFETIME.as_secs() as u32);
    // Asked again, since the answer may be lost.
    let again = stage.hear(asker.from, &request).unwrap();
    assert_eq!(relayed_of(&again), relayed_of(&answer));
    let another = stage.ask(&asker, ALLOCATE, &[&udp()]).unwrap();
    assert_eq!(
        (code_of(&another), stage.tally.allocations()),
        (Some(437), 1)
    );
}

#[test]
fn a_port_has_an_even_number_if_that_is_asked_for() {
    let mut stage = Stage::new();
    let _ = stage.allocated(1, A);
    let asker = stage.known(2, B);
    let pair = stage.ask(&asker, ALLOCATE, &[&udp(), &EvenPort::new(true)]);
    assert_eq!(code_of(&pair.unwrap()), Some(508), "no second one is kept");
    let even = stage.ask(&asker, ALLOCATE, &[&udp(), &EvenPort::new(false)]);
    assert_eq!(relayed_of(&even.unwrap()).port() % 2, 0);
    assert_eq!(stage.sockets.ports.len(), 2, "the odd one is free again");
}

#[test]
fn an_allocation_carries_both_ways_what_its_client_has_permitted_and_nothing_else() {
    let mut stage = Stage::new();
    let (asker, _) = stage.allocated(1, A);
    stage.send(&asker, address(PEER), b"too early");
    assert!(stage.sockets.sent.is_empty());
    assert!(stage.hear_peer(0, PEER, b"unasked").is_empty());
    assert_eq!(stage.peer(&asker, CREATE_PERMISSION, PEER), None);
    stage.send(&asker, address(PEER), b"question");
    assert_eq!(
        stage.sockets.sent,
        [(0, address(PEER), b"question".to_vec())]
    );
    let told = stage.hear_peer(0, PEER, b"answer");
    assert_eq!(data_of(&told[0]), (address(PEER), b"answer".to_vec()));
    assert!(stage.hear_peer(0, "9.9.9.9:53", b"unasked").is_empty());
    // Others cannot send by it, whatever they say.
    stage.send(&stranger(B), address(PEER), b"not theirs");
    assert_eq!(stage.sockets.sent.len(), 1);
    stage.pass(TURN_PERMISSION_LIFETIME);
    stage.send(&asker, address(PEER), b"too late");
    assert!(stage.hear_peer(0, PEER, b"too late").is_empty());
    assert_eq!(stage.sockets.sent.len(), 1);
}

#[test]
fn a_channel_stands_for_one_peer() {
    let mut stage = Stage::new();
    let (asker, _) = stage.allocated(1, A);
    assert_eq!(stage.bind(&asker, 0x3FFF, PEER), Some(400));
    assert_eq!(stage.bind(&asker, 0x8000, PEER), Some(400));
    assert_eq!(stage.bind(&asker, 0x4001, PEER), None);
    assert_eq!(stage.bind(&asker, 0x4001, PEER), None, "again");
    assert_eq!(stage.bind(&asker, 0x4001, "9.9.9.9:53"), Some(400));
    assert_eq!(stage.bind(&asker, 0x4002, PEER), Some(400));
    assert_eq!(
        stage.hear(asker.from, &channel_data(0x4001, b"by number")),
        None
    );
    assert_eq!(stage.sockets.sent[0].2, b"by number");
    assert_eq!(
        stage.hear(asker.from, &channel_data(0x4002, b"by none")),
        None
    );
    let mut cut = channel_data(0x4001, b"cut short");
    cut.pop();
    assert_eq!(stage.hear(asker.from, &cut), None);
    assert_eq!(stage.sockets.sent.len(), 1);
    assert_eq!(
        stage.hear_peer(0, PEER, b"back"),
        [channel_data(0x4001, b"back")]
    );
}

#[test]
fn another_nodes_credential_does_nothing_with_an_allocation() {
    let mut stage = Stage::new();
    let _ = stage.allocated(1, A);
    let thief = stage.known(2, A);
    for method in [REFRESH, CREATE_PERMISSION, CHANNEL_BIND] {
        let answer = stage.ask(&thief, method, &[]).unwrap();
        assert_eq!(code_of(&answer), Some(441));
    }
    let answer = stage.ask(&thief, ALLOCATE, &[&udp()]).unwrap();
    assert_eq!(code_of(&answer), Some(437));
}

#[test]
fn garbage_is_answered_by_nothing_and_does_nothing() {
    let mut stage = Stage::new();
    let (asker, _) = stage.allocated(1, A);
    let good = asker.request(REFRESH, &[&Lifetime::new(600)]);
    for len in 0..good.len() {
        assert_eq!(stage.hear(asker.from, &good[..len]), None, "{len} bytes");
    }
    let mut send = Message::builder_indication(SEND, MessageWriteVec::new());
    send.add_attribute(&DontFragment::new()).unwrap();
    send.add_attribute(&Data::new(b"data")).unwrap();
    let kinds = [good, send.finish(), stranger(A).request(BINDING, &[])];
    let mut numbers = 1u32;
    for n in 0..30_000 {
        let mut changed = kinds[n % 3].clone();
        for _ in 0..3 {
            numbers = numbers.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let place = numbers as usize / 7 % changed.len();
            changed[place] ^= (numbers >> 24) as u8;
        }
        let _ = For::of(&changed);
        if let Some(answer) = stage.hear(asker.from, &changed) {
            assert!(Message::from_bytes(&answer).is_ok());
        }
    }
    assert!(stage.tally.allocations() <= 1);
    assert!(stage.sockets.sent.is_empty());
}

#[test]
fn a_datagram_is_known_by_its_first_bytes() {
    let mut named = Message::builder_request(BINDING, MessageWriteVec::new());
    named
        .add_attribute(&Username::new("us:them").unwrap())
        .unwrap();
    let named = named.finish();
    assert_eq!(For::of(&named), For::Connection("us"));
    assert_eq!(For::of(&stranger(A).request(BINDING, &[])), For::Server);
    assert_eq!(For::of(&stranger(A).request(ALLOCATE, &[])), For::Server);
    assert_eq!(For::of(&[1, 1, 0, 0]), For::Known, "an answer");
    assert_eq!(For::of(&[22, 254, 253]), For::Known, "DTLS");
    assert_eq!(For::of(&[0x40, 0, 0, 0]), For::Server, "a channel");
    for nobody in [&[][..], &[4], &[19], &[128, 0], &[255]] {
        assert_eq!(For::of(nobody), For::Nobody, "{nobody:?}");
    }
    // Cut anywhere, it is no name beyond its end.
    for len in 0..named.len() {
        let _ = For::of(&named[..len]);
    }
    assert_eq!(ErrorCode::TYPE.value(), 9);
}
