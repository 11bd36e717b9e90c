//! The loop that runs a node under tokio: what links tell goes into the driver, and what the driver
//! says is done.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use peerage::config::Access;
use peerage::limits::ADDRESSES_MAX;
use peerage::link::{LinkId, Origin};
use peerage::log::CONNECTION;
use peerage::node::{Action, Driver, Input, Node, without_secrets};
use peerage::trace::Tracer;
use peerage::{Code, Config, Identity, NodeId};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Sleep, timeout};
use tokio_util::task::TaskTracker;
use url::Url;

use crate::JoinError;
use crate::access::Hearing;
use crate::discovery::Discovery;
use crate::enet;
use crate::link::Outbox;
use crate::link::dial::{Above, call_in_turn};
use crate::stun::Tally;

/// Inputs that wait for the loop: links stop reading beyond.
const INPUTS_MAX: usize = 1024;
/// Bytes of packets that wait for the loop: links take turns beyond.
const INPUT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long the last words of a node that leaves may take.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);
/// Inputs taken before what follows from them is done.
const INPUTS_AT_ONCE: usize = 256;

/// A running node, as its links see it.
#[derive(Clone)]
pub struct Runtime {
    inputs: mpsc::Sender<Told>,
    input_room: Arc<Semaphore>,
    next_link: Arc<AtomicU64>,
    /// Tasks of links, which write for a while longer than the loop runs.
    pub(crate) links: TaskTracker,
    /// By which it calls others by ENet.
    pub(crate) enet: Arc<enet::Ports>,
    stop: watch::Sender<bool>,
    finished: watch::Receiver<bool>,
    /// How long a call may take until the socket is there.
    pub(crate) dial_timeout: Duration,
    /// What is found for addresses that stand for whoever is there.
    pub(crate) discovery: Discovery,
    /// Which nodes it has to do with; those that are held below it have to do with the same.
    pub(crate) access: Arc<Access>,
    /// What traces its calls, and those of the nodes that are held below it.
    pub(crate) tracer: Option<Arc<dyn Tracer>>,
    /// Who is heard over UDP.
    pub(crate) hearing: Hearing,
    /// What its TURN server has done, if it has one.
    pub(crate) turn: Tally,
}

/// What the loop is told.
pub(crate) enum Told {
    /// Something of a link or the relay.
    Input(Input),
    /// A link, with the way to send on it.
    Link(LinkId, Origin, Outbox),
    /// Who must be at the other end of a link, and the address that says so.
    Claim(LinkId, NodeId, Url),
}

impl Runtime {
    /// Starts a node that calls one of `relays`: the next one whenever it has lost the last, or cannot
    /// reach it. If there are none, the node is the primary of its own zone.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn start(
        config: Config,
        relays: Vec<Url>,
        discovery: Discovery,
    ) -> Result<(Node, Self), JoinError> {
        let identity = Identity::from_secret(&random()?);
        let relays = relays.into_iter().map(Above::Far).collect();
        Self::start_as(identity, config, relays, discovery)
    }

    /// As [`Runtime::start`], for a node of this identity, and relays of this process as well.
    pub(crate) fn start_as(
        identity: Identity,
        config: Config,
        relays: Vec<Above>,
        discovery: Discovery,
    ) -> Result<(Node, Self), JoinError> {
        Self::start_speaking(identity, config, relays, discovery, enet::Ports::default())
    }

    /// As [`Runtime::start_as`], calling others by these ports of ENet.
    pub(crate) fn start_speaking(
        identity: Identity,
        mut config: Config,
        relays: Vec<Above>,
        discovery: Discovery,
        ports: enet::Ports,
    ) -> Result<(Node, Self), JoinError> {
        config.dials = !relays.is_empty();
        discovery.belongs_to(identity.id());
        let dial_timeout = config.timeouts.dial;
        let access = Arc::clone(&config.access);
        let tracer = config.tracer.clone();
        let (node, driver) = Driver::new(config, identity, random()?, Duration::ZERO);
        let (inputs, received) = mpsc::channel(INPUTS_MAX);
        let (done, finished) = watch::channel(false);
        let runtime = Self {
            inputs,
            input_room: Arc::new(Semaphore::new(INPUT_BYTES_MAX)),
            next_link: Arc::default(),
            links: TaskTracker::new(),
            enet: Arc::new(ports),
            stop: watch::channel(false).0,
            finished,
            dial_timeout,
            discovery,
            access,
            tracer,
            hearing: Hearing::default(),
            turn: Tally::default(),
        };
        let the_loop = Loop {
            driver,
            relays,
            runtime: runtime.clone(),
            outboxes: HashMap::new(),
            claims: HashMap::new(),
            start: Instant::now(),
        };
        let mut stopped = runtime.stop.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => {}
                () = the_loop.run(received) => {}
            }
            // Nobody may be waiting.
            let _ = done.send(true);
        });
        Ok((node, runtime))
    }

    /// Stops without a word: to others the node is gone.
    pub(crate) fn vanish(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the node has left and its neighbours have had its last words, or take too long.
    pub async fn finished(&self) {
        self.left().await;
        self.links.close();
        if timeout(LAST_WORDS_MAX, self.links.wait()).await.is_err() {
            tracing::debug!(
                target: CONNECTION,
                links = self.links.len(),
                "links take too long to close"
            );
        }
    }

    /// Waits until the node has left.
    pub(crate) async fn left(&self) {
        // An error means that the loop is no more, which is the same.
        let _ = self.finished.clone().wait_for(|finished| *finished).await;
    }

    /// The ports at which ENet is spoken here.
    pub fn enet_ports(&self) -> Vec<enet::Port> {
        self.enet.listening()
    }

    /// Who is heard over UDP.
    pub fn hearing(&self) -> &Hearing {
        &self.hearing
    }

    pub(crate) fn new_link(&self) -> LinkId {
        LinkId(self.next_link.fetch_add(1, Ordering::Relaxed))
    }

    /// Tells the loop of a packet, once there is room for it. `false` if the loop is no more.
    pub(crate) async fn tell_packet(&self, id: LinkId, packet: Bytes) -> bool {
        let bytes = packet.len().min(INPUT_BYTES_MAX) as u32;
        if let Ok(room) = self.input_room.acquire_many(bytes).await {
            // The loop gives it back.
            room.forget();
        }
        self.tell(Told::Input(Input::Packet(id, packet))).await
    }

    /// Tells the loop. `false` if it is no more.
    pub(crate) async fn tell(&self, told: Told) -> bool {
        // `send` would hold what is told twice: every link's task has room for its future.
        let room = self.inputs.reserve().await;
        room.map(|room| room.send(told)).is_ok()
    }
}

struct Loop {
    driver: Driver,
    /// Whom to call, the next one first.
    relays: Vec<Above>,
    runtime: Runtime,
    outboxes: HashMap<LinkId, Outbox>,
    /// The addresses that say who must be at the other end.
    claims: HashMap<LinkId, (NodeId, Url)>,
    start: Instant,
}

impl Loop {
    async fn run(mut self, mut received: mpsc::Receiver<Told>) {
        let mut batch = Vec::with_capacity(INPUTS_AT_ONCE);
        let mut alarm = pin!(tokio::time::sleep(Duration::ZERO));
        loop {
            let deadline = self.driver.deadline();
            if let Some(deadline) = deadline {
                set_earlier(alarm.as_mut(), self.start + deadline);
            }
            tokio::select! {
                biased;
                action = poll_fn(|cx| self.driver.poll_action(self.start.elapsed(), cx)) => {
                    if !self.act(action) {
                        return;
                    }
                }
                _ = received.recv_many(&mut batch, INPUTS_AT_ONCE) => {
                    batch.drain(..).for_each(|told| self.hear(told));
                }
                () = alarm.as_mut(), if deadline.is_some() => {}
            }
        }
    }

    fn hear(&mut self, told: Told) {
        let now = self.start.elapsed();
        match told {
            Told::Input(input) => {
                match &input {
                    Input::LinkDown(link, _) => {
                        self.outboxes.remove(link);
                        self.claims.remove(link);
                    }
                    Input::Packet(_, packet) => {
                        let room = &self.runtime.input_room;
                        room.add_permits(packet.len().min(INPUT_BYTES_MAX));
                    }
                    _ => {}
                }
                self.driver.handle(now, input);
            }
            Told::Link(link, origin, outbox) => {
                self.outboxes.insert(link, outbox);
                self.driver.handle(now, Input::LinkUp(link, origin));
            }
            Told::Claim(link, node, address) => {
                self.claims.insert(link, (node, address));
                self.driver.handle(now, Input::Expect(link, node));
            }
        }
    }

    /// Does what the driver says; `false` if that was the last.
    fn act(&mut self, action: Action) -> bool {
        match action {
            Action::Dial => self.dial(),
            Action::DialAt(address) => self.dial_at(&address),
            Action::Send(link, packet) => {
                if self
                    .outboxes
                    .get(&link)
                    .is_some_and(|outbox| outbox.send(packet))
                {
                    self.driver
                        .handle(self.start.elapsed(), Input::Writable(link, false));
                }
            }
            Action::Close(link, failure) => {
                if let Some((node, address)) = self.claims.remove(&link)
                    && failure.code == Code::Unauthorised
                    && failure.peer == Some(node.to_string())
                {
                    self.runtime.discovery.disbelieve(&address);
                }
                if let Some(outbox) = self.outboxes.remove(&link) {
                    outbox.close(failure);
                }
            }
            Action::Finish => return false,
        }
        true
    }

    fn dial(&mut self) {
        let relays = self.relays.clone();
        self.relays.rotate_left(1.min(relays.len()));
        tokio::spawn(call_in_turn(self.runtime.clone(), relays, None));
    }

    /// Calls a relay that was named just now, and before the others from now on.
    fn dial_at(&mut self, address: &str) {
        match Above::parse(address) {
            Ok(relay) => {
                self.relays.retain(|known| !known.is_at(&relay));
                self.relays.insert(0, relay.clone());
                self.relays.truncate(ADDRESSES_MAX);
                let named = Some(without_secrets(address));
                tokio::spawn(call_in_turn(self.runtime.clone(), vec![relay], named));
            }
            Err(reason) => {
                let (now, told) = (self.start.elapsed(), without_secrets(address));
                self.driver
                    .handle(now, Input::CallFailed(told, reason.clone()));
                self.driver.handle(now, Input::DialFailed(reason));
            }
        }
    }
}

/// Sets an alarm that has rung, or would ring later. One that would ring earlier stays: to ring once for
/// nothing costs less than to set it for every message, for which tokio wakes itself through the system.
fn set_earlier(alarm: Pin<&mut Sleep>, deadline: Instant) {
    if alarm.is_elapsed() || deadline < alarm.deadline().into_std() {
        alarm.reset(deadline.into());
    }
}

/// What nobody else can guess.
pub(crate) fn random() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
