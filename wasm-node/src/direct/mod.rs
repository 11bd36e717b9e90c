//! Direct links between tabs, as many as the node's degree allows and the work needs: one
//! `RTCPeerConnection` for each, negotiated by the signal service, tried again when it is lost.

mod attempt;
mod connection;

use std::cell::RefCell;
use std::collections::HashMap;
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

/// How often it is looked which links are needed, and which are not.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Keeps direct links for as long as the node lives.
pub(crate) async fn run(node: Node, inputs: Inputs, links_max: usize) {
    let directory = Rc::new(Directory {
        node: node.clone(),
        inputs,
        degree: RefCell::new(Degree::new(links_max)),
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
            if self.tabs().contains(&peer) && self.admit(peer) {
                self.begin(peer, Some(stream));
            } else {
                stream.reset(Code::Overloaded.because("no more direct links"));
            }
        }
    }

    /// Begins to try with a tab, if there is room.
    fn ask(self: &Rc<Self>, tab: NodeId) {
        let may_ask = self.degree.borrow().may_ask(tab, self.inputs.now());
        if may_ask && self.admit(tab) {
            self.begin(tab, None);
        }
    }

    /// Makes links that are needed now, and ends those that nobody needs.
    async fn look_after(self: Rc<Self>) {
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
            let idle = self
                .degree
                .borrow()
                .idle(tabs.len(), |id| self.unused_for(id));
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
        self.is_full_mesh(&self.tabs()) || self.unused_for(peer) < DIRECT_YIELD
    }

    fn is_full_mesh(&self, tabs: &[NodeId]) -> bool {
        self.degree.borrow().is_full_mesh(tabs.len())
    }

    fn tabs(&self) -> Vec<NodeId> {
        let peers = self.node.peers().into_iter();
        peers
            .filter(|peer| peer.kind == Kind::Browser)
            .map(|peer| peer.id)
            .collect()
    }

    fn unused_for(&self, peer: NodeId) -> Duration {
        self.node.unused_for(peer).unwrap_or(Duration::MAX)
    }
}
