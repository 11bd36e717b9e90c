//! What the server makes of what it hears.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use peerage::limits::TURN_ALLOCATIONS_PER_NODE_MAX;
use stun_types::AddressFamily;
use stun_types::attribute::{AttributeStaticType, ErrorCode, MessageIntegrity, Username};
use stun_types::attribute::{MessageIntegritySha256, Nonce as NonceAttribute};
use turn_types::attribute::{
    ChannelNumber, Data, EvenPort, Lifetime, RequestedAddressFamily, RequestedTransport,
};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND};

use crate::link::webrtc::Datagram;
use crate::stun::allocation::{Allocation, NoChannel};
use crate::stun::credentials::{Nonce, read};
use crate::stun::message::{Request, Signed, channel_data, data_from, read_channel};
use crate::stun::pace::{Askers, User, cost};
use crate::stun::{AllocationId, Client, FromPeer, Now, Outside, Settings};

/// UDP, as a protocol of IP.
const UDP: u8 = 17;
/// Ports that are bound until one has an even number.
const OPENED_MAX: usize = 16;
/// How often it is looked which allocations have ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The server, without its sockets.
#[derive(Debug)]
pub(crate) struct Stun {
    settings: Settings,
    askers: Askers,
    allocations: HashMap<Client, Allocation>,
    /// Who has allocations, or had some a moment ago, by the names of credentials.
    users: HashMap<String, User>,
    /// Whose an allocation is, and which has an address.
    clients: HashMap<AllocationId, Client>,
    relayed: HashMap<SocketAddr, AllocationId>,
    /// This relay's own addresses, as far as allocations have them.
    own: HashSet<IpAddr>,
    /// All addresses of this machine.
    machine: HashSet<IpAddr>,
    next: AllocationId,
    look_at: Instant,
}

/// Who has asked, and with which credential.
struct Asker {
    client: Client,
    user: String,
    signed: Signed,
}

impl Stun {
    /// A server without allocations.
    pub(crate) fn new(settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            askers: Askers::new(now),
            allocations: HashMap::new(),
            users: HashMap::new(),
            clients: HashMap::new(),
            relayed: HashMap::new(),
            own: HashSet::new(),
            machine: HashSet::new(),
            next: 0,
            look_at: now,
        }
    }

    /// When to look whether an allocation has ended by itself, or a user is over.
    pub(crate) fn due(&self) -> Option<Instant> {
        (!self.users.is_empty()).then_some(self.look_at)
    }

    /// Ends the allocations whose time is over.
    pub(crate) fn look_after(&mut self, now: Instant, outside: &mut impl Outside) {
        self.look_at = now + LOOK_EVERY;
        let ended = self.allocations.iter();
        let ended = ended.filter(|(_, allocation)| allocation.until <= now);
        for client in Vec::from_iter(ended.map(|(client, _)| *client)) {
            self.end(client, outside);
        }
        self.users.retain(|_, user| !user.is_over(now));
    }

    /// Something came from a client, or from who would be one.
    pub(crate) fn hear(&mut self, now: Now, datagram: Datagram<'_>, outside: &mut impl Outside) {
        let Datagram { from, at, bytes } = datagram;
        let client = Client { from, at };
        if let Some((channel, data)) = read_channel(bytes) {
            let peer = self.allocations.get(&client);
            if let Some(peer) = peer.and_then(|own| own.peer_of(channel, now.instant)) {
                self.relay(client, peer, (data, bytes.len()), now.instant, outside);
            }
            return;
        }
        let Some(request) = Request::read(bytes) else {
            return;
        };
        if request.0.has_method(SEND) {
            return self.send(client, (&request, bytes.len()), now.instant, outside);
        }
        if request
            .0
            .has_class(stun_types::message::MessageClass::Request)
            && let Some(answer) = self.answer(client, &request, now, outside)
        {
            outside.answer(client, answer);
        }
    }

    /// Something came for an allocation.
    pub(crate) fn hear_peer(&mut self, now: Instant, heard: FromPeer, outside: &mut impl Outside) {
        if let Some(client) = self.clients.get(&heard.allocation).copied() {
            self.deliver(client, heard.from, &heard.bytes, now, outside);
        }
    }

    fn answer(
        &mut self,
        client: Client,
        request: &Request<'_>,
        now: Now,
        outside: &mut impl Outside,
    ) -> Option<Vec<u8>> {
        let known = self.allocations.contains_key(&client);
        if !known && !self.askers.admit(client.from.ip(), now.instant) {
            return None;
        }
        let unknown = request.unknown();
        if !unknown.is_empty() {
            return Some(request.not_understood(&unknown));
        }
        if request.is_binding() {
            return Some(request.mapped(client.from));
        }
        let asks = [ALLOCATE, REFRESH, CREATE_PERMISSION, CHANNEL_BIND];
        if !self.settings.relays || !asks.iter().any(|method| request.0.has_method(*method)) {
            return Some(request.refused(ErrorCode::BAD_REQUEST, None));
        }
        let asker = match self.know(client, request, now) {
            Ok(asker) => asker,
            Err(refusal) => return Some(refusal),
        };
        let done = if request.0.has_method(ALLOCATE) {
            self.allocate(&asker, request, now, outside)
        } else {
            self.change(&asker, request, now.instant, outside)
        };
        Some(done.unwrap_or_else(|code| request.refused(code, Some(&asker.signed))))
    }

    /// Who asks, if that is shown; else what to answer.
    fn know(&self, client: Client, request: &Request<'_>, now: Now) -> Result<Asker, Vec<u8>> {
        let secret = &self.settings.secret;
        let challenge = |code| request.challenged(code, &secret.nonce(client, now.unix));
        let is_signed =
            request.has(MessageIntegrity::TYPE) || request.has(MessageIntegritySha256::TYPE);
        if !is_signed {
            return Err(challenge(ErrorCode::UNAUTHORIZED));
        }
        let name = request.get::<Username>();
        let nonce = request.get::<NonceAttribute>();
        let (Some(name), Some(nonce)) = (name, nonce) else {
            return Err(request.refused(ErrorCode::BAD_REQUEST, None));
        };
        if secret.check(nonce.nonce(), client, now.unix) == Nonce::Stale {
            return Err(challenge(ErrorCode::STALE_NONCE));
        }
        let unauthorised = || challenge(ErrorCode::UNAUTHORIZED);
        let (until, user) = read(name.username()).ok_or_else(unauthorised)?;
        // Who has an allocation keeps it beyond the credential, for as long as any may last.
        let has_one = self
            .allocations
            .get(&client)
            .is_some_and(|own| own.user == user);
        if until < now.unix && !has_one {
            return Err(unauthorised());
        }
        let password = secret.password(name.username());
        let signed = request.signed(name.username(), password);
        Ok(Asker {
            client,
            user: user.to_owned(),
            signed: signed.ok_or_else(unauthorised)?,
        })
    }

    fn allocate(
        &mut self,
        asker: &Asker,
        request: &Request<'_>,
        now: Now,
        outside: &mut impl Outside,
    ) -> Result<Vec<u8>, u16> {
        let Asker {
            client,
            user,
            signed,
        } = asker;
        let transaction = request.0.transaction_id().into();
        if let Some(own) = self.allocations.get(client) {
            if own.transaction != transaction || own.user != *user {
                return Err(ErrorCode::ALLOCATION_MISMATCH);
            }
            let lifetime = own.lifetime(now.instant);
            return Ok(request.allocated(own.relayed, client.from, lifetime, signed));
        }
        self.check_transport(*client, request)?;
        let own = self.users.get(user).map_or(0, |user| user.allocations);
        if own >= TURN_ALLOCATIONS_PER_NODE_MAX {
            return Err(ErrorCode::ALLOCATION_QUOTA_REACHED);
        }
        if self.allocations.len() >= self.settings.allocations_max {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        let (id, bound) = self.open(*client, request, outside)?;
        let public = self
            .settings
            .public
            .filter(|ip| ip.is_ipv4() == bound.is_ipv4());
        let relayed = SocketAddr::new(public.unwrap_or(bound.ip()), bound.port());
        let whose = (user.clone(), transaction);
        let pace = self.settings.bytes_per_second;
        let users = self.users.entry(user.clone());
        users
            .or_insert_with(|| User::new(pace, now.instant))
            .allocations += 1;
        let mut made = Allocation::new(id, relayed, whose, now.instant);
        let wish = request.get::<Lifetime>().map(|lifetime| lifetime.seconds());
        let lifetime = made.keep(wish, now.instant);
        self.allocations.insert(*client, made);
        self.settings.tally.there_are(self.allocations.len());
        self.clients.insert(id, *client);
        self.relayed.insert(relayed, id);
        // By each of its addresses one reaches what is on this machine, past what guards it from outside.
        self.machine.extend(outside.here());
        self.own.extend([relayed.ip(), bound.ip()]);
        Ok(request.allocated(relayed, client.from, lifetime, signed))
    }

    /// Binds a port, of an even number if that is asked for.
    fn open(
        &mut self,
        client: Client,
        request: &Request<'_>,
        outside: &mut impl Outside,
    ) -> Result<(AllocationId, SocketAddr), u16> {
        let even = request.get::<EvenPort>();
        // The next one for later is not kept.
        let wanted = even.as_ref().is_none_or(|even| !even.requested());
        for _ in 0..if wanted { OPENED_MAX } else { 0 } {
            let id = self.next;
            self.next += 1;
            match outside.open(id, client.at.ip()) {
                Ok(bound) if even.is_none() || bound.port() % 2 == 0 => return Ok((id, bound)),
                Ok(_) => outside.close(id),
                Err(_) => break,
            }
        }
        Err(ErrorCode::INSUFFICIENT_CAPACITY)
    }

    /// An allocation is a port for UDP, of the family by which the client has come.
    fn check_transport(&self, client: Client, request: &Request<'_>) -> Result<(), u16> {
        let transport = request.get::<RequestedTransport>();
        let transport = transport.ok_or(ErrorCode::BAD_REQUEST)?;
        if transport.protocol() != UDP {
            return Err(ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL);
        }
        let family = request.get::<RequestedAddressFamily>();
        let wants_v4 = family.is_none_or(|family| family.family() == AddressFamily::IPV4);
        if wants_v4 != client.at.is_ipv4() {
            return Err(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED);
        }
        Ok(())
    }

    /// Does something with an allocation that is there.
    fn change(
        &mut self,
        asker: &Asker,
        request: &Request<'_>,
        now: Instant,
        outside: &mut impl Outside,
    ) -> Result<Vec<u8>, u16> {
        let own = self.allocations.get(&asker.client);
        let own = own.ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if own.user != asker.user {
            return Err(ErrorCode::WRONG_CREDENTIALS);
        }
        if request.0.has_method(REFRESH) {
            return Ok(self.refresh(asker, request, now, outside));
        }
        let peers = request.peers();
        if peers.is_empty() {
            return Err(ErrorCode::BAD_REQUEST);
        }
        let family = own.relayed.is_ipv4();
        if peers.iter().any(|peer| peer.is_ipv4() != family) {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
        }
        if !peers.iter().all(|peer| self.may_lead_to(peer.ip())) {
            return Err(ErrorCode::FORBIDDEN);
        }
        let own = self.allocations.get_mut(&asker.client);
        let own = own.ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if request.0.has_method(CREATE_PERMISSION) {
            let ips = Vec::from_iter(peers.iter().map(SocketAddr::ip));
            if !own.permit(&ips, now) {
                return Err(ErrorCode::INSUFFICIENT_CAPACITY);
            }
        } else {
            let channel = request.get::<ChannelNumber>();
            let channel = channel.ok_or(ErrorCode::BAD_REQUEST)?.channel();
            own.bind(channel, peers[0], now).map_err(|why| match why {
                NoChannel::Mismatch => ErrorCode::BAD_REQUEST,
                NoChannel::Full => ErrorCode::INSUFFICIENT_CAPACITY,
            })?;
        }
        Ok(request.done(None, &asker.signed))
    }

    fn refresh(
        &mut self,
        asker: &Asker,
        request: &Request<'_>,
        now: Instant,
        outside: &mut impl Outside,
    ) -> Vec<u8> {
        let wish = request.get::<Lifetime>().map(|lifetime| lifetime.seconds());
        let own = self.allocations.get_mut(&asker.client);
        let lifetime = match own.filter(|_| wish != Some(0)) {
            Some(own) => own.keep(wish, now),
            None => {
                self.end(asker.client, outside);
                0
            }
        };
        request.done(Some(lifetime), &asker.signed)
    }

    fn send(
        &mut self,
        client: Client,
        (request, bytes): (&Request<'_>, usize),
        now: Instant,
        outside: &mut impl Outside,
    ) {
        // An attribute that must be understood and is not, such as one that forbids fragments.
        if !request.unknown().is_empty() {
            return;
        }
        if let (&[peer], Some(data)) = (&request.peers()[..], request.get::<Data<'_>>()) {
            self.relay(client, peer, (data.data(), bytes), now, outside);
        }
    }

    /// Sends what a client says to a peer, in a datagram of so many bytes: to the network, or to another allocation here.
    fn relay(
        &mut self,
        client: Client,
        peer: SocketAddr,
        (data, bytes): (&[u8], usize),
        now: Instant,
        outside: &mut impl Outside,
    ) {
        let Some(own) = self.allocations.get(&client) else {
            return;
        };
        let user = self.users.get_mut(&own.user);
        let pays = || user.is_some_and(|user| user.out.take(cost(bytes, client.from), now));
        if !own.permits(peer.ip(), now) || !pays() {
            return;
        }
        let (id, from) = (own.id, own.relayed);
        let here = self.relayed.get(&peer);
        if let Some(other) = here.and_then(|id| self.clients.get(id)).copied() {
            self.deliver(other, from, data, now, outside);
        } else if self.is_open(peer.ip()) {
            self.settings.tally.relayed(data);
            outside.send(id, peer, data);
        }
    }

    /// Tells a client what came for its allocation, if it wants to hear of who sent it.
    fn deliver(
        &mut self,
        client: Client,
        from: SocketAddr,
        data: &[u8],
        now: Instant,
        outside: &mut impl Outside,
    ) {
        let own = self.allocations.get(&client);
        let Some(own) = own.filter(|own| own.permits(from.ip(), now)) else {
            return;
        };
        let told = match own.channel_of(from, now) {
            Some(channel) => channel_data(channel, data),
            None => data_from(from, data),
        };
        let user = self.users.get_mut(&own.user);
        if user.is_some_and(|user| user.back.take(cost(told.len(), client.from), now)) {
            self.settings.tally.relayed(data);
            outside.answer(client, told);
        }
    }

    /// Whether an allocation may lead to a host: one beyond the fence, or this one, for its allocations.
    fn may_lead_to(&self, ip: IpAddr) -> bool {
        self.own.contains(&ip) || self.is_open(ip)
    }

    /// Whether an allocation may lead to any port of a host. This one's own are for allocations only.
    fn is_open(&self, ip: IpAddr) -> bool {
        let fence = &self.settings.fence;
        fence.opens(ip)
            || (!self.own.contains(&ip) && !self.machine.contains(&ip) && fence.allows(ip))
    }

    fn end(&mut self, client: Client, outside: &mut impl Outside) {
        if let Some(ended) = self.allocations.remove(&client) {
            self.settings.tally.there_are(self.allocations.len());
            self.clients.remove(&ended.id);
            self.relayed.remove(&ended.relayed);
            if let Some(user) = self.users.get_mut(&ended.user) {
                user.allocations -= 1;
            }
            outside.close(ended.id);
        }
    }
}
