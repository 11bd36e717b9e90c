//! Direct links with other tabs and with native nodes, as many as the node's degree allows and the work needs:
//! one `RTCPeerConnection` for each, negotiated by the signal service, tried again when it is lost. With tabs
//! there is one with each while they are few; with native nodes, the own relay among them, while the session is in
//! use. Native nodes never offer, and so never begin.

mod attempt;
mod connection;
mod ice;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use core::time::Duration;

use futures_channel::mpsc::{UnboundedSender, unbounded};
use peerage::error::Code;
use peerage::id::Kind;
use peerage::limits::DIRECT_YIELD;
use peerage::node::{Event, State, Stream};
use peerage::service::signal::{Admission, Degree, PROTOCOL};
use peerage::{Node, NodeId};
use wasm_bindgen_futures::spawn_local;

use crate::driver::Inputs;
use ice::Servers;

/// How often it is looked which links are needed, and which are not.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What links there are to be.
pub(crate) struct How {
    pub(crate) links_max: usize,
    pub(crate) turn_only: bool,
}

/// Keeps direct links for as long as the node lives.
pub(crate) async fn run(node: Node, inputs: Inputs, how: How) {
    let directory = Rc::new(Directory {
        node: node.clone(),
        servers: Servers::new(inputs.clone(), how.turn_only),
        inputs,
        degree: RefCell::new(Degree::new(how.links_max)),
        peers: RefCell::default(),
    });
    spawn_local(directory.clone().accept());
    spawn_local(directory.clone().look_after());
    let mut events = node.events();
    for peer in node.peers() {
        directory.greet(peer.id, peer.kind);
    }
    loop {
        match events.next().await {
            Event::PeerJoin(peer) => directory.greet(peer.id, peer.kind),
            Event::SessionUp(id) if directory.tabs().contains(&id) => directory.ask(id),
            Event::SessionDown(id, _) => directory.forget(id),
            Event::Connection(told) => {
                if let Some(peer) = told.ended_by_hand() {
                    directory.pause(peer);
                }
            }
            Event::State(State::Closed) => return directory.peers.borrow_mut().clear(),
            _ => {}
        }
    }
}

/// The peers with which a direct link is wanted.
struct Directory {
    node: Node,
    inputs: Inputs,
    servers: Servers,
    degree: RefCell<Degree>,
    peers: RefCell<HashMap<NodeId, Attempts>>,
}

/// The way to the task that tries; dropping it ends the task.
struct Attempts {
    theirs: UnboundedSender<Stream>,
}

impl Directory {
    /// A session with a tab is made without being asked, by one of the two, where everyone can have a
    /// link with everyone.
    fn greet(&self, id: NodeId, kind: Kind) {
        if kind == Kind::Browser && self.node.id() < id && self.is_full_mesh(&self.tabs()) {
            // If there is no way now, there will be another occasion.
            let _ = self.node.connect(id);
        }
    }

    async fn accept(self: Rc<Self>) {
        let mut listener = self.node.listen(PROTOCOL);
        while let Some(stream) = listener.accept().await {
            let peer = stream.peer();
            // What a native node says belongs to an attempt of ours, or comes too late.
            let expected = match self.is_tab(peer) {
                true => self.admit(peer),
                false => self.peers.borrow().contains_key(&peer),
            };
            if expected {
                self.begin(peer, Some(stream));
            } else {
                stream.reset(Code::Overloaded.because("no more direct links"));
            }
        }
    }

    /// Begins to try with a peer, if there is room.
    fn ask(self: &Rc<Self>, peer: NodeId) {
        let may_ask = self.degree.borrow().may_ask(peer, self.inputs.now());
        if may_ask && self.admit(peer) {
            self.begin(peer, None);
        }
    }

    /// Makes links that are needed now, and ends those that nobody needs.
    async fn look_after(self: Rc<Self>) {
        // Native nodes of whose session there was use when it was looked last: a link takes longer to make than
        // a single question and its answer take without one.
        let mut used = HashSet::new();
        while self.node.state() != State::Closed {
            self.node.sleep(LOOK_EVERY).await;
            let tabs = self.tabs();
            let full_mesh = self.is_full_mesh(&tabs);
            let needed = |id: &NodeId| match self.node.unused_for(*id) {
                Some(unused) => full_mesh || unused < LOOK_EVERY,
                None => false,
            };
            let needed = tabs.iter().filter(|id| needed(id));
            needed.for_each(|id| self.ask(*id));
            let natives = self.peers_that(|kind| kind != Kind::Browser).into_iter();
            let natives = natives.filter(|id| self.servers.lead_to(&self.node, *id));
            let in_use: HashSet<_> = natives
                .filter(|id| self.unused_for(*id) < LOOK_EVERY)
                .collect();
            in_use.intersection(&used).for_each(|id| self.ask(*id));
            used = in_use;
            let is_kept = |id| full_mesh && tabs.contains(&id);
            let idle = self.degree.borrow().idle(is_kept, |id| self.unused_for(id));
            idle.into_iter().for_each(|id| self.pause(id));
        }
    }

    fn admit(&self, peer: NodeId) -> bool {
        let admission = self
            .degree
            .borrow_mut()
            .admit(peer, |id| self.unused_for(id));
        match admission {
            Admission::Admitted => true,
            Admission::Full => false,
            Admission::InPlaceOf(idle) => {
                self.pause(idle);
                true
            }
        }
    }

    /// Begins to try, or passes on the stream by which the peer has begun.
    fn begin(self: &Rc<Self>, peer: NodeId, stream: Option<Stream>) {
        let mut peers = self.peers.borrow_mut();
        let attempts = peers.entry(peer).or_insert_with(|| {
            let (theirs, received) = unbounded();
            spawn_local(self.clone().keep_trying(peer, received));
            Attempts { theirs }
        });
        if let Some(stream) = stream {
            // A task that has ended drops the stream, which resets it.
            let _ = attempts.theirs.unbounded_send(stream);
        }
    }

    fn forget(&self, peer: NodeId) {
        self.degree.borrow_mut().ended(peer);
        self.peers.borrow_mut().remove(&peer);
    }

    /// No link with this peer for a while.
    fn pause(&self, peer: NodeId) {
        self.degree.borrow_mut().pause(peer, self.inputs.now());
        self.peers.borrow_mut().remove(&peer);
    }

    fn is_wanted(&self, peer: NodeId) -> bool {
        let tabs = self.tabs();
        let is_kept = self.is_full_mesh(&tabs) && tabs.contains(&peer);
        is_kept || self.unused_for(peer) < DIRECT_YIELD
    }

    fn is_tab(&self, peer: NodeId) -> bool {
        self.tabs().contains(&peer)
    }

    fn is_full_mesh(&self, tabs: &[NodeId]) -> bool {
        self.degree.borrow().is_full_mesh(tabs.len())
    }

    fn tabs(&self) -> Vec<NodeId> {
        self.peers_that(|kind| kind == Kind::Browser)
    }

    fn peers_that(&self, are: impl Fn(Kind) -> bool) -> Vec<NodeId> {
        let peers = self.node.peers().into_iter();
        peers
            .filter(|peer| are(peer.kind))
            .map(|peer| peer.id)
            .collect()
    }

    fn unused_for(&self, peer: NodeId) -> Duration {
        self.node.unused_for(peer).unwrap_or(Duration::MAX)
    }
}
