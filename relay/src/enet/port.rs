//! A UDP port that speaks ENet: one task has the socket and the state of all its connections.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use peerage::limits::{ENET_DATAGRAMS_AT_ONCE, ENET_DIAL_TIMEOUT};
use peerage::log::{CONNECTION, ERROR};
use peerage_enet::{Config, Counters, Event, Host, Packet, PeerId, Reason, Room, SendError};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::enet::peer::{About, Gone, Incoming, Inlet, Order, Peer, pair, room_of};
use crate::runtime::random;

/// Bytes that the system keeps of what comes, and of what leaves.
const SOCKET_BUFFER_BYTES: usize = 1024 * 1024;
/// The longest datagram that ENet sends.
const DATAGRAM_BYTES_MAX: usize = 4096;
/// How long the last words may take when nobody has the port any longer.
const LAST_WORDS_MAX: Duration = Duration::from_millis(500);

/// A port that is open for as long as somebody has it, or a connection of it. Clones are the same.
#[derive(Clone)]
pub struct Port {
    address: SocketAddr,
    orders: mpsc::UnboundedSender<Order>,
    hooks: Hooks,
    socket: Arc<UdpSocket>,
    tally: Arc<Mutex<Tally>>,
}

/// What a port has to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Connections that there are.
    pub peers: usize,
    /// What has come and left so far.
    pub datagrams: Counters,
}

/// Who sees datagrams before ENet does, and says whether they were for him.
pub type Hook = Box<dyn Fn(&UdpSocket, SocketAddr, &[u8]) -> bool + Send + Sync>;

type Hooks = Arc<Mutex<Vec<Hook>>>;

/// A call that is to be made.
pub(super) struct Call {
    address: SocketAddr,
    channels: u8,
    data: u32,
    answer: oneshot::Sender<Result<Peer, DialError>>,
}

/// Why a port cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The system does not give the port.
    #[error("cannot open the UDP port {address}: {source}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    NoEntropy(#[from] getrandom::Error),
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DialError {
    /// Nobody answers there.
    #[error("no answer by ENet within {} s", ENET_DIAL_TIMEOUT.as_secs())]
    Silent,
    /// Who is there does not want it.
    #[error("refused by ENet there")]
    Refused,
    /// There can be no more connections here.
    #[error("no more connections by ENet are possible here")]
    Full,
}

impl Port {
    /// Opens a port. Those who call it are handed to `accept`; beyond what that takes, they are turned away.
    pub(crate) fn open(
        address: SocketAddr,
        config: Config,
        accept: mpsc::Sender<Peer>,
    ) -> Result<Self, PortError> {
        let seed = random()?;
        let bound = bind(address).map_err(|source| PortError::Bind { address, source })?;
        let (socket, address) = bound;
        let (orders, ordered) = mpsc::unbounded_channel();
        let port = Self {
            address,
            orders: orders.clone(),
            hooks: Hooks::default(),
            socket: Arc::new(socket),
            tally: Arc::default(),
        };
        let the_loop = Loop {
            host: Host::new(config, seed),
            socket: Arc::clone(&port.socket),
            is_v6: address.is_ipv6(),
            hooks: Arc::clone(&port.hooks),
            tally: Arc::clone(&port.tally),
            // The loop must not keep itself going.
            orders: orders.downgrade(),
            accept,
            peers: HashMap::new(),
            calls: HashMap::new(),
            start: Instant::now(),
            buffer: vec![0; DATAGRAM_BYTES_MAX],
        };
        tokio::spawn(the_loop.run(ordered));
        Ok(port)
    }

    /// Where it is, with the number that the system has chosen, if that was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has to do.
    pub fn tally(&self) -> Tally {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls an address.
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
        channels: u8,
        data: u32,
    ) -> Result<Peer, DialError> {
        let (answer, answered) = oneshot::channel();
        let call = Call {
            address,
            channels,
            data,
            answer,
        };
        let ordered = self.orders.send(Order::Connect(call));
        ordered.map_err(|_| DialError::Full)?;
        let answered = timeout(ENET_DIAL_TIMEOUT, answered).await;
        answered
            .map_err(|_| DialError::Silent)?
            .unwrap_or(Err(DialError::Full))
    }

    /// Lets somebody see datagrams before ENet does, after those who were let before.
    pub fn hook(&self, hook: Hook) {
        let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        hooks.push(hook);
    }

    /// Sends a datagram that is none of ENet's. One that cannot leave is lost.
    pub fn send_datagram(&self, to: SocketAddr, datagram: &[u8]) {
        let to = on_the_socket(self.address.is_ipv6(), to);
        // As any datagram may be.
        let _ = self.socket.try_send_to(datagram, to);
    }
}

fn bind(address: SocketAddr) -> io::Result<(UdpSocket, SocketAddr)> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if domain == Domain::IPV6 {
        // At any address there is IPv4 as well, as at the port of HTTP.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // The system may give less.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    let socket = UdpSocket::from_std(socket.into())?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

struct Loop {
    host: Host,
    socket: Arc<UdpSocket>,
    is_v6: bool,
    hooks: Hooks,
    tally: Arc<Mutex<Tally>>,
    orders: mpsc::WeakUnboundedSender<Order>,
    accept: mpsc::Sender<Peer>,
    peers: HashMap<PeerId, Inlet>,
    calls: HashMap<PeerId, Call>,
    start: Instant,
    buffer: Vec<u8>,
}

impl Loop {
    async fn run(mut self, mut ordered: mpsc::UnboundedReceiver<Order>) {
        let mut orders = Vec::new();
        let mut until = None;
        loop {
            self.drain().await;
            let deadline = self.host.deadline().map(|deadline| self.start + deadline);
            let wake = [deadline, until].into_iter().flatten().min();
            tokio::select! {
                count = ordered.recv_many(&mut orders, ENET_DATAGRAMS_AT_ONCE), if until.is_none() => {
                    if count == 0 {
                        until = Some(Instant::now() + LAST_WORDS_MAX);
                        self.leave();
                    }
                    orders.drain(..).for_each(|order| self.obey(order));
                }
                readable = self.socket.readable() => match readable {
                    Ok(()) => self.receive(),
                    Err(error) => {
                        tracing::error!(target: ERROR, %error, "the ENet port is lost");
                        self.peers.clear();
                        return self.note();
                    }
                },
                () = sleep_until(wake) => self.host.handle_time(self.start.elapsed()),
            }
            // The host has those, too, that were left before and have not heard it yet.
            let is_over = |until| until <= Instant::now() || self.host.is_idle();
            if until.is_some_and(is_over) {
                return self.drain().await;
            }
        }
    }

    /// Hands over what has come, and sends what is to leave.
    async fn drain(&mut self) {
        while let Some(event) = self.host.poll_event() {
            self.tell(event);
        }
        let mut datagram = Vec::with_capacity(DATAGRAM_BYTES_MAX);
        while let Some(to) = self.host.poll_transmit(self.start.elapsed(), &mut datagram) {
            // What one destination makes go wrong is no matter of the others: it is lost, as any datagram may be.
            let to = on_the_socket(self.is_v6, to);
            if let Err(error) = self.socket.try_send_to(&datagram, to)
                && error.kind() == io::ErrorKind::WouldBlock
            {
                let _ = self.socket.send_to(&datagram, to).await;
            }
            datagram.clear();
        }
        self.note();
    }

    fn note(&self) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = Tally {
            peers: self.peers.len(),
            datagrams: self.host.counters(),
        };
    }

    fn receive(&mut self) {
        for _ in 0..ENET_DATAGRAMS_AT_ONCE {
            let (count, from) = match self.socket.try_recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Of an earlier datagram, and its destination.
                Err(_) => continue,
            };
            let datagram = &self.buffer[..count];
            let hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
            let is_foreign = hooks.iter().any(|hook| hook(&self.socket, from, datagram));
            drop(hooks);
            if !is_foreign {
                let now = self.start.elapsed();
                self.host.handle_datagram(now, plain(from), datagram);
            }
        }
    }

    fn obey(&mut self, order: Order) {
        let now = self.start.elapsed();
        match order {
            Order::Connect(call) => {
                match self
                    .host
                    .connect(now, call.address, call.channels, call.data)
                {
                    Ok(id) => drop(self.calls.insert(id, call)),
                    // Who has called may have given up.
                    Err(_) => drop(call.answer.send(Err(DialError::Full))),
                }
            }
            Order::Send(id, channel, packet) => self.send(id, channel, packet),
            Order::Taken(id, cost) => self.host.taken(id, cost),
            Order::Ask(id, answer) => {
                if let Some(inlet) = self.peers.get_mut(&id) {
                    inlet.asking.push(answer);
                    self.host.ask(id);
                }
            }
            Order::GiveUp(id) => self.host.give_up(id),
            Order::Disconnect(id, data) => {
                // Who still waits to send learns it.
                self.end(id, Gone::HERE);
                self.host.disconnect(id, data);
            }
        }
    }

    fn send(&mut self, id: PeerId, channel: u8, packet: Packet) {
        let bytes = room_of(&packet) as usize;
        let sent = self.host.send(id, channel, packet);
        let Some(inlet) = self.peers.get_mut(&id) else {
            return;
        };
        match sent {
            Ok(Room::Busy) => inlet.owed += bytes,
            Ok(Room::Free) => inlet.room.add_permits(bytes),
            Err(SendError::TooLarge(_) | SendError::Full) => {
                // Something of the sequence would be missing.
                inlet.end(Gone::HERE);
                self.peers.remove(&id);
                self.host.disconnect_now(id, 0);
            }
            // Its end is on its way; a channel that there is not was never agreed on.
            Err(_) => inlet.room.add_permits(bytes),
        }
    }

    fn tell(&mut self, event: Event) {
        match event {
            Event::Connected {
                peer,
                address,
                incoming,
                channels,
                data,
            } => {
                let about = About {
                    address,
                    channels,
                    data,
                };
                self.connected(peer, about, incoming);
            }
            Event::Received {
                peer,
                channel,
                packet,
            } => {
                if let Some(inlet) = self.peers.get(&peer) {
                    inlet.put(channel, packet);
                }
            }
            Event::Answered { peer } => {
                let inlet = self.peers.get_mut(&peer);
                let asking = inlet.map(|inlet| std::mem::take(&mut inlet.asking));
                for answer in asking.unwrap_or_default() {
                    // Who has asked may have given up.
                    let _ = answer.send(());
                }
            }
            Event::Disconnected { peer, data, reason } => {
                if reason == Reason::Crowded {
                    tracing::warn!(target: CONNECTION, "an ENet connection is ended that left no room for the others");
                }
                if let Some(call) = self.calls.remove(&peer) {
                    let error = match reason {
                        Reason::TimedOut => DialError::Silent,
                        _ => DialError::Refused,
                    };
                    drop(call.answer.send(Err(error)));
                }
                self.end(peer, Gone { data, reason });
            }
            Event::Writable { peer } => {
                if let Some(inlet) = self.peers.get_mut(&peer) {
                    inlet.room.add_permits(std::mem::take(&mut inlet.owed));
                }
            }
        }
    }

    fn connected(&mut self, id: PeerId, about: About, incoming: bool) {
        let Some(orders) = self.orders.upgrade() else {
            return self.host.disconnect_now(id, 0);
        };
        let (peer, inlet) = pair(id, about, orders);
        self.peers.insert(id, inlet);
        if let Some(call) = self.calls.remove(&id) {
            // Dropped by who has given up, it ends by itself.
            drop(call.answer.send(Ok(peer)));
        } else if incoming && let Err(refused) = self.accept.try_send(peer) {
            drop(refused.into_inner());
        }
    }

    fn end(&mut self, id: PeerId, gone: Gone) {
        if let Some(inlet) = self.peers.remove(&id) {
            inlet.end(gone);
        }
    }

    /// Nobody has the port any longer.
    fn leave(&mut self) {
        self.peers
            .keys()
            .for_each(|id| self.host.disconnect(*id, 0));
    }
}

impl Inlet {
    /// Nothing more comes, and nothing can be sent.
    fn end(&self, gone: Gone) {
        // Nobody may be reading.
        let _ = self.inbox.send(Incoming::Gone(gone));
        self.room.close();
    }
}

/// An address as the socket has it: one for both families knows those of IPv4 as some of IPv6.
fn on_the_socket(is_v6: bool, address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if is_v6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        address => address,
    }
}

/// An address as everybody knows it.
fn plain(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), v6.port()),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
