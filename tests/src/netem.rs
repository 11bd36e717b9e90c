//! A cable between two hosts on which datagrams are lost, late and overtaken, as the kernel's netem does it, which not
//! every kernel has (Linux): two TUN devices, and a thread that carries packets from one to the other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::lan::Host;

/// Packets under way; what comes then is lost, as at a router whose queue is full.
const UNDER_WAY_MAX: usize = 4096;
/// Bytes of a packet.
const MTU: u16 = 1500;
/// What IPv4 calls UDP, and where it says so.
const UDP: (usize, u8) = (9, 17);
/// How long the cable sleeps if nothing is under way.
const IDLE: Duration = Duration::from_secs(60);

/// What becomes of datagrams of UDP, in both directions. All else passes as it is.
#[derive(Clone, Copy, Debug)]
pub struct Netem {
    /// Of a hundred so many are lost, by chance.
    pub loss_percent: u32,
    /// How late they are,
    pub delay: Duration,
    /// give or take so much, by chance: they overtake each other.
    pub jitter: Duration,
    /// Where chance begins.
    pub seed: u64,
}

/// The cable, which is there for as long as this is.
pub struct Cable {
    state: Arc<State>,
    _end: oneshot::Sender<()>,
}

/// An end of a cable: the host, its interface, and the address there.
pub type End<'a> = (&'a Host, &'static str, &'static str);

/// What became of datagrams so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// They came out at the other end,
    pub carried: u64,
    /// and of these so many before one that was sent earlier.
    pub overtaking: u64,
    /// They were lost by chance.
    pub lost: u64,
}

#[derive(Default)]
struct State {
    cut: AtomicBool,
    carried: AtomicU64,
    overtaking: AtomicU64,
    lost: AtomicU64,
}

impl Cable {
    /// Joins two hosts.
    ///
    /// # Panics
    /// If the system does not let us.
    pub fn between(ends: [End<'_>; 2], how: Netem) -> Self {
        let state = Arc::new(State::default());
        let (end, ended) = oneshot::channel();
        let (ready, made) = mpsc::channel();
        let places = ends.map(|(host, name, _)| (host.network().clone(), name));
        let carried = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let devices = places.map(|(network, name)| {
                    network.enter();
                    device(name)
                });
                ready.send(()).unwrap();
                Carrier::new(devices, how, carried).run(ended).await;
            });
        });
        made.recv().unwrap();
        for (host, name, address) in ends {
            host.run(&format!(
                "ip addr add {address} dev {name}; ip link set {name} up"
            ));
        }
        Self { state, _end: end }
    }

    /// From now on all datagrams are lost, or none but by chance.
    pub fn cut(&self, is_cut: bool) {
        self.state.cut.store(is_cut, Ordering::Relaxed);
    }

    /// What became of datagrams so far.
    pub fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            carried: of(&self.state.carried),
            overtaking: of(&self.state.overtaking),
            lost: of(&self.state.lost),
        }
    }
}

fn device(name: &str) -> AsyncFd<SyncDevice> {
    let device = DeviceBuilder::new().name(name).mtu(MTU).build_sync();
    let device = device.unwrap();
    device.set_nonblocking(true).unwrap();
    AsyncFd::new(device).unwrap()
}

/// A packet under way: when it is due, its number, to which end it goes, and its bytes.
type Packet = (Instant, u64, usize, Vec<u8>);

struct Carrier {
    devices: [AsyncFd<SyncDevice>; 2],
    how: Netem,
    chance: ChaCha8Rng,
    under_way: BinaryHeap<Reverse<Packet>>,
    next: u64,
    /// The number of the latest that has come out at an end.
    latest: [u64; 2],
    state: Arc<State>,
}

impl Carrier {
    fn new(devices: [AsyncFd<SyncDevice>; 2], how: Netem, state: Arc<State>) -> Self {
        Self {
            devices,
            how,
            chance: ChaCha8Rng::seed_from_u64(how.seed),
            under_way: BinaryHeap::new(),
            next: 0,
            latest: [0; 2],
            state,
        }
    }

    async fn run(mut self, mut ended: oneshot::Receiver<()>) {
        loop {
            let first = self.under_way.peek().map(|Reverse(packet)| packet.0);
            let due = first.unwrap_or_else(|| Instant::now() + IDLE);
            let (to, packet) = tokio::select! {
                _ = &mut ended => return,
                () = sleep_until(due) => {
                    self.deliver();
                    continue;
                }
                packet = read(&self.devices[0]) => (1, packet),
                packet = read(&self.devices[1]) => (0, packet),
            };
            self.take(to, packet);
        }
    }

    /// Lets chance decide what becomes of a packet.
    fn take(&mut self, to: usize, packet: Vec<u8>) {
        if packet.get(UDP.0) != Some(&UDP.1) {
            self.emit(to, &packet);
            return;
        }
        let is_lost = self.chance.next_u32() % 100 < self.how.loss_percent;
        let spread = 2 * self.how.jitter.as_micros() as u64;
        let late = u64::from(self.chance.next_u32()) * spread >> 32;
        let is_cut = self.state.cut.load(Ordering::Relaxed);
        if is_lost || is_cut || self.under_way.len() >= UNDER_WAY_MAX {
            self.state.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let late = self.how.delay + Duration::from_micros(late);
        let due = Instant::now() + late.saturating_sub(self.how.jitter);
        self.next += 1;
        self.under_way.push(Reverse((due, self.next, to, packet)));
    }

    fn deliver(&mut self) {
        let now = Instant::now();
        while let Some(Reverse(first)) = self.under_way.peek()
            && first.0 <= now
            && let Some(Reverse((_, number, to, packet))) = self.under_way.pop()
        {
            self.emit(to, &packet);
            self.state.carried.fetch_add(1, Ordering::Relaxed);
            if number < self.latest[to] {
                self.state.overtaking.fetch_add(1, Ordering::Relaxed);
            }
            self.latest[to] = self.latest[to].max(number);
        }
    }

    fn emit(&self, to: usize, packet: &[u8]) {
        // What the system does not take is as good as lost.
        let _ = self.devices[to].get_ref().send(packet);
    }
}

/// The next packet.
async fn read(device: &AsyncFd<SyncDevice>) -> Vec<u8> {
    let mut packet = vec![0; MTU.into()];
    loop {
        let mut ready = device.readable().await.unwrap();
        if let Ok(Ok(len)) = ready.try_io(|device| device.get_ref().recv(&mut packet)) {
            packet.truncate(len);
            return packet;
        }
    }
}
