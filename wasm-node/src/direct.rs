//! Direct links between tabs: one `RTCPeerConnection` for each peer with a session, negotiated by the
//! signal service, tried again when it is lost. The data channel is negotiated by both sides under a
//! fixed number, because a channel announced in-band can lose its first message.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use gloo::events::EventListener;
use gloo::timers::future::TimeoutFuture;
use js_sys::{ArrayBuffer, Reflect};
use peerage::id::Kind;
use peerage::limits::EAGER_PEERS_MAX;
use peerage::link::Origin;
use peerage::node::{Event, Input, Stream};
use peerage::service::signal::{Decision, Negotiation, PROTOCOL, Signal};
use peerage::{Node, NodeId};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    MessageEvent, RtcDataChannel, RtcDataChannelInit, RtcDataChannelType, RtcIceCandidateInit,
    RtcPeerConnection, RtcPeerConnectionIceEvent, RtcPeerConnectionState, RtcSdpType,
    RtcSessionDescriptionInit, RtcSignalingState,
};

use crate::driver::{Inputs, Socket};
use crate::websocket::packet_of;

const CHANNEL: &str = "peerage";
const CHANNEL_ID: u16 = 0;
/// How long an attempt may take.
const OPEN_TIMEOUT_MS: u32 = 15_000;
const RETRY_MIN_MS: u32 = 300;
const RETRY_MAX_MS: u32 = 30_000;

/// Keeps direct links for as long as the node lives.
pub(crate) async fn run(node: Node, inputs: Inputs) {
    let directory = Rc::new(Directory {
        node: node.clone(),
        inputs,
        peers: RefCell::default(),
    });
    let accepting = directory.clone();
    spawn_local(async move {
        let mut listener = accepting.node.listen(PROTOCOL);
        while let Some(stream) = listener.accept().await {
            accepting.begin(stream.peer(), Some(stream));
        }
    });
    let mut events = node.events();
    for peer in node.peers() {
        directory.greet(peer.id, peer.kind);
    }
    loop {
        match events.next().await {
            Event::PeerJoin(peer) => directory.greet(peer.id, peer.kind),
            Event::SessionUp(id) if directory.is_browser(id) => directory.begin(id, None),
            Event::SessionDown(id, _) => directory.forget(id),
            Event::State(peerage::node::State::Closed) => {
                return directory.peers.borrow_mut().clear();
            }
            _ => {}
        }
    }
}

/// The peers with which a direct link is wanted.
struct Directory {
    node: Node,
    inputs: Inputs,
    peers: RefCell<HashMap<NodeId, Attempts>>,
}

/// The way to the task that tries; dropping it ends the task.
struct Attempts {
    theirs: UnboundedSender<Stream>,
}

impl Directory {
    /// A session with a tab is made without being asked, by one of the two.
    fn greet(&self, id: NodeId, kind: Kind) {
        let few = self.peers.borrow().len() < EAGER_PEERS_MAX;
        if kind == Kind::Browser && self.node.id() < id && few {
            // If there is no way now, there will be another occasion.
            let _ = self.node.connect(id);
        }
    }

    fn is_browser(&self, id: NodeId) -> bool {
        self.node
            .peers()
            .iter()
            .any(|peer| peer.id == id && peer.kind == Kind::Browser)
    }

    /// Begins to try, or passes on the stream by which the peer has begun.
    fn begin(self: &Rc<Self>, peer: NodeId, stream: Option<Stream>) {
        let mut peers = self.peers.borrow_mut();
        let attempts = peers.entry(peer).or_insert_with(|| {
            let (theirs, received) = unbounded();
            spawn_local(keep_trying(
                self.node.clone(),
                self.inputs.clone(),
                peer,
                received,
            ));
            Attempts { theirs }
        });
        if let Some(stream) = stream {
            // A task that has ended drops the stream, which resets it.
            let _ = attempts.theirs.unbounded_send(stream);
        }
    }

    fn forget(&self, peer: NodeId) {
        self.peers.borrow_mut().remove(&peer);
    }
}

/// Tries until the session ends: `theirs` ends with it.
async fn keep_trying(
    node: Node,
    inputs: Inputs,
    peer: NodeId,
    mut theirs: UnboundedReceiver<Stream>,
) {
    let mut failures = 0u32;
    let mut next = None;
    loop {
        let ended = attempt(&node, &inputs, peer, &mut theirs, next.take()).await;
        match ended {
            Ended::SessionOver => return,
            Ended::TheyBeganAnew(stream) => {
                next = Some(stream);
                continue;
            }
            Ended::Lost => failures = 0,
            Ended::Failed(reason) => {
                tracing::debug!(peer = %peer.short(), reason, "no direct link");
                failures += 1;
            }
        }
        let wait = (RETRY_MIN_MS << failures.min(8)).min(RETRY_MAX_MS);
        match select(theirs.next(), TimeoutFuture::new(wait)).await {
            Either::Left((None, _)) => return,
            Either::Left((Some(stream), _)) => next = Some(stream),
            Either::Right(_) => {}
        }
    }
}

/// How an attempt, or the link that came of it, ended.
enum Ended {
    SessionOver,
    TheyBeganAnew(Stream),
    Lost,
    Failed(String),
}

/// What the connection tells.
enum Told {
    NegotiationNeeded,
    Candidate(Signal),
    Open,
    Closed,
}

async fn attempt(
    node: &Node,
    inputs: &Inputs,
    peer: NodeId,
    theirs: &mut UnboundedReceiver<Stream>,
    first: Option<Stream>,
) -> Ended {
    let Ok(ours) = node.open(peer, PROTOCOL) else {
        return Ended::SessionOver;
    };
    let mut connection = match Connection::new(node.id(), peer, ours) {
        Ok(connection) => connection,
        Err(error) => return Ended::Failed(format!("{error:?}")),
    };
    let mut incoming = first;
    let mut link = None;
    let mut timer = Box::pin(TimeoutFuture::new(OPEN_TIMEOUT_MS));
    let ended = loop {
        let next = {
            let told = connection.told.next();
            let signalled = futures_util::FutureExt::boxed_local(receive(incoming.as_ref()));
            let news = select(told, signalled);
            let outside = select(theirs.next(), &mut timer);
            match select(news, outside).await {
                Either::Left((Either::Left((told, _)), _)) => Next::Told(told),
                Either::Left((Either::Right((signal, _)), _)) => Next::Signal(signal),
                Either::Right((Either::Left((stream, _)), _)) => Next::Stream(stream),
                Either::Right((Either::Right(_), _)) => Next::Late,
            }
        };
        let result = match next {
            Next::Told(Some(Told::Open)) => {
                let origin = Origin::Direct(peer);
                let id = inputs.add(Socket::Channel(connection.channel.clone()), origin);
                connection.link_to(inputs, id);
                link = Some(id);
                Ok(())
            }
            Next::Told(Some(Told::Closed) | None) => break Ended::Lost,
            Next::Told(Some(Told::NegotiationNeeded)) => connection.offer().await,
            Next::Told(Some(Told::Candidate(signal))) => connection.say(&signal).await,
            Next::Signal(Some(signal)) => connection.hear(signal).await,
            Next::Signal(None) => {
                incoming = None;
                Ok(())
            }
            Next::Stream(None) => break Ended::SessionOver,
            Next::Stream(Some(stream)) if incoming.is_none() && !connection.heard => {
                incoming = Some(stream);
                Ok(())
            }
            Next::Stream(Some(stream)) => break Ended::TheyBeganAnew(stream),
            Next::Late if link.is_none() => break Ended::Failed(String::from("it took too long")),
            Next::Late => {
                // Never again: a link that is open has no deadline.
                timer = Box::pin(TimeoutFuture::new(i32::MAX as u32));
                Ok(())
            }
        };
        if let Err(error) = result {
            break Ended::Failed(crate::platform::js_text(&error));
        }
    };
    if let Some(id) = link {
        inputs.tell(Input::LinkDown(
            id,
            String::from("the direct link has ended"),
        ));
    }
    ended
}

enum Next {
    Told(Option<Told>),
    Signal(Option<Signal>),
    Stream(Option<Stream>),
    Late,
}

/// The next signal; `None` once the stream has ended. Without a stream there is none, ever.
async fn receive(stream: Option<&Stream>) -> Option<Signal> {
    match stream {
        None => std::future::pending().await,
        Some(stream) => match stream.recv().await {
            Ok(Some(message)) => Signal::decode(&message).ok(),
            Ok(None) | Err(_) => None,
        },
    }
}

/// One `RTCPeerConnection`, closed when it is dropped.
struct Connection {
    peer: RtcPeerConnection,
    channel: RtcDataChannel,
    negotiation: Negotiation,
    ours: Stream,
    told: UnboundedReceiver<Told>,
    listeners: Vec<EventListener>,
    /// Candidates that came before the description to which they belong.
    early: Vec<Signal>,
    heard: bool,
}

impl Connection {
    fn new(own: NodeId, peer: NodeId, ours: Stream) -> Result<Self, JsValue> {
        let connection = RtcPeerConnection::new()?;
        let init = RtcDataChannelInit::new();
        init.set_negotiated(true);
        init.set_id(CHANNEL_ID);
        init.set_ordered(true);
        let (tell, told) = unbounded();
        let mut listeners = vec![
            on(&connection, "negotiationneeded", &tell, |_| {
                Some(Told::NegotiationNeeded)
            }),
            on(&connection, "icecandidate", &tell, candidate_of),
            on(&connection, "connectionstatechange", &tell, |event| {
                let target: RtcPeerConnection = event.target()?.dyn_into().ok()?;
                let state = target.connection_state();
                let over = [
                    RtcPeerConnectionState::Failed,
                    RtcPeerConnectionState::Closed,
                ];
                over.contains(&state).then_some(Told::Closed)
            }),
        ];
        let channel = connection.create_data_channel_with_data_channel_dict(CHANNEL, &init);
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        listeners.push(on(&channel, "open", &tell, |_| Some(Told::Open)));
        listeners.push(on(&channel, "close", &tell, |_| Some(Told::Closed)));
        let negotiation = Negotiation::new(own, peer);
        let (early, heard) = (Vec::new(), false);
        Ok(Self {
            peer: connection,
            channel,
            negotiation,
            ours,
            told,
            listeners,
            early,
            heard,
        })
    }

    /// From now on packets go into the node.
    fn link_to(&mut self, inputs: &Inputs, id: peerage::link::LinkId) {
        let inputs = inputs.clone();
        self.listeners
            .push(EventListener::new(&self.channel, "message", move |event| {
                if let Some(event) = event.dyn_ref::<MessageEvent>()
                    && event.data().is_instance_of::<ArrayBuffer>()
                {
                    inputs.tell(Input::Packet(id, packet_of(event)));
                }
            }));
    }

    async fn offer(&mut self) -> Result<(), JsValue> {
        self.negotiation.making_offer(true);
        let set = JsFuture::from(set_local(&self.peer)?).await;
        self.negotiation.making_offer(false);
        set?;
        self.say_local().await
    }

    async fn hear(&mut self, signal: Signal) -> Result<(), JsValue> {
        self.heard = true;
        match signal {
            Signal::Offer(sdp) => {
                let stable = self.peer.signaling_state() == RtcSignalingState::Stable;
                if self.negotiation.offer_came(stable) == Decision::Apply {
                    self.set_remote(RtcSdpType::Offer, &sdp).await?;
                    JsFuture::from(set_local(&self.peer)?).await?;
                    self.say_local().await?;
                }
            }
            Signal::Answer(sdp) => {
                let offered = self.peer.signaling_state() == RtcSignalingState::HaveLocalOffer;
                if self.negotiation.answer_came(offered) == Decision::Apply {
                    self.set_remote(RtcSdpType::Answer, &sdp).await?;
                }
            }
            candidate @ Signal::Candidate { .. } => self.candidate(candidate).await?,
        }
        Ok(())
    }

    async fn set_remote(&mut self, kind: RtcSdpType, sdp: &str) -> Result<(), JsValue> {
        let description = RtcSessionDescriptionInit::new(kind);
        description.set_sdp(sdp);
        JsFuture::from(self.peer.set_remote_description(&description)).await?;
        for candidate in std::mem::take(&mut self.early) {
            self.candidate(candidate).await?;
        }
        Ok(())
    }

    async fn candidate(&mut self, signal: Signal) -> Result<(), JsValue> {
        if self.negotiation.candidate_came() == Decision::Ignore {
            return Ok(());
        }
        if self.peer.remote_description().is_none() {
            if self.early.len() < peerage::limits::CANDIDATES_MAX {
                self.early.push(signal);
            }
            return Ok(());
        }
        let Signal::Candidate { candidate, mid } = signal else {
            return Ok(());
        };
        let init = RtcIceCandidateInit::new(&candidate);
        init.set_sdp_mid(mid.as_deref());
        let added = self
            .peer
            .add_ice_candidate_with_opt_rtc_ice_candidate_init(Some(&init));
        if let Err(error) = JsFuture::from(added).await {
            // One candidate that is of no use here is no reason to give up the others.
            tracing::debug!(
                error = crate::platform::js_text(&error),
                "candidate not taken"
            );
        }
        Ok(())
    }

    async fn say_local(&self) -> Result<(), JsValue> {
        let Some(local) = self.peer.local_description() else {
            return Ok(());
        };
        let signal = match local.type_() {
            RtcSdpType::Offer => Signal::Offer(local.sdp()),
            _ => Signal::Answer(local.sdp()),
        };
        self.say(&signal).await
    }

    async fn say(&self, signal: &Signal) -> Result<(), JsValue> {
        self.ours
            .send(signal.encode())
            .await
            .map_err(|failure| crate::error::to_js(&failure))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.listeners.clear();
        self.channel.close();
        self.peer.close();
    }
}

/// `setLocalDescription()` without an argument: the browser makes the right one itself.
fn set_local(connection: &RtcPeerConnection) -> Result<js_sys::Promise, JsValue> {
    let set: js_sys::Function =
        Reflect::get(connection, &"setLocalDescription".into())?.dyn_into()?;
    set.call0(connection)?.dyn_into()
}

fn candidate_of(event: &web_sys::Event) -> Option<Told> {
    let candidate = event.dyn_ref::<RtcPeerConnectionIceEvent>()?.candidate()?;
    let (text, mid) = (candidate.candidate(), candidate.sdp_mid());
    (!text.is_empty()).then_some(Told::Candidate(Signal::Candidate {
        candidate: text,
        mid,
    }))
}

fn on(
    target: &web_sys::EventTarget,
    kind: &'static str,
    tell: &UnboundedSender<Told>,
    read: fn(&web_sys::Event) -> Option<Told>,
) -> EventListener {
    let tell = tell.clone();
    EventListener::new(target, kind, move |event| {
        if let Some(told) = read(event) {
            // Nobody listens to a connection that was given up.
            let _ = tell.unbounded_send(told);
        }
    })
}
