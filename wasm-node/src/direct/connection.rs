//! The browser's own connection to one peer. The data channel is negotiated by both sides under a fixed
//! number, because a channel announced in-band can lose its first message.

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use gloo::events::EventListener;
use gloo::timers::callback::Timeout;
use js_sys::{ArrayBuffer, Reflect};
use peerage::NodeId;
use peerage::limits::CANDIDATES_MAX;
use peerage::link::{LinkId, Origin};
use peerage::log::CONNECTION;
use peerage::node::{Input, Medium, Stream};
use peerage::service::signal::{Decision, Negotiation, Signal};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    MessageEvent, RtcConfiguration, RtcDataChannel, RtcDataChannelInit, RtcDataChannelType,
    RtcIceCandidateInit, RtcIceConnectionState, RtcPeerConnection, RtcPeerConnectionIceEvent,
    RtcPeerConnectionState, RtcSdpType, RtcSessionDescriptionInit, RtcSignalingState,
};

use crate::driver::{BUFFERED_BYTES_READY, Inputs, Socket};
use crate::websocket::packet_of;

const CHANNEL: &str = "peerage";
const CHANNEL_ID: u16 = 0;

/// What the connection tells.
pub(super) enum Told {
    NegotiationNeeded,
    Candidate(Signal),
    Open,
    Closed,
}

/// How long the last words on a channel have to leave, where the other side does not say that it has them.
const LAST_WORDS_MS: u32 = 3000;

/// One `RTCPeerConnection`, closed soon after it is dropped.
pub(super) struct Connection {
    peer: RtcPeerConnection,
    channel: RtcDataChannel,
    negotiation: Negotiation,
    pub(super) ours: Stream,
    pub(super) told: UnboundedReceiver<Told>,
    listeners: Vec<EventListener>,
    /// Candidates that came before the description to which they belong.
    early: Vec<Signal>,
    /// How many candidates the peer has told.
    candidates: usize,
    pub(super) heard: bool,
}

impl Connection {
    pub(super) fn new(
        own: NodeId,
        peer: NodeId,
        ours: Stream,
        servers: &RtcConfiguration,
    ) -> Result<Self, JsValue> {
        let connection = RtcPeerConnection::new_with_configuration(servers)?;
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
        let (early, candidates, heard) = (Vec::new(), 0, false);
        Ok(Self {
            peer: connection,
            channel,
            negotiation,
            ours,
            told,
            listeners,
            early,
            candidates,
            heard,
        })
    }

    /// The channel is a link of the node from now on.
    pub(super) fn link_to(&mut self, inputs: &Inputs, peer: NodeId) -> LinkId {
        let id = inputs.add(Socket::Channel(self.channel.clone()), Origin::Direct(peer));
        inputs.tell(Input::Place(id, Medium::WebRtc, None));
        let ready = inputs.clone();
        self.channel
            .set_buffered_amount_low_threshold(BUFFERED_BYTES_READY);
        self.listeners.push(EventListener::new(
            &self.channel,
            "bufferedamountlow",
            move |_| ready.tell(Input::Writable(id, true)),
        ));
        let inputs = inputs.clone();
        self.listeners
            .push(EventListener::new(&self.channel, "message", move |event| {
                if let Some(event) = event.dyn_ref::<MessageEvent>()
                    && event.data().is_instance_of::<ArrayBuffer>()
                {
                    inputs.tell(Input::Packet(id, packet_of(event)));
                }
            }));
        id
    }

    /// Whether the browser has pairs of candidates to try.
    pub(super) fn has_met(&self) -> bool {
        self.peer.ice_connection_state() != RtcIceConnectionState::New
    }

    pub(super) async fn offer(&mut self) -> Result<(), JsValue> {
        self.negotiation.making_offer(true);
        let set = JsFuture::from(set_local(&self.peer)?).await;
        self.negotiation.making_offer(false);
        set?;
        self.say_local().await
    }

    pub(super) async fn hear(&mut self, signal: Signal) -> Result<(), JsValue> {
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
            candidate @ Signal::Candidate { .. } if self.candidates < CANDIDATES_MAX => {
                self.candidates += 1;
                self.candidate(candidate).await?;
            }
            // Each is some work for the browser.
            Signal::Candidate { .. } => {}
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
            self.early.push(signal);
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
        if JsFuture::from(added).await.is_err() {
            // One candidate that is of no use here is no reason to give up the others. The browser's words
            // may have an address in them.
            tracing::debug!(target: CONNECTION, "a candidate is not taken");
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

    pub(super) async fn say(&self, signal: &Signal) -> Result<(), JsValue> {
        self.ours
            .send(signal.encode())
            .await
            .map_err(|failure| crate::error::to_js(&failure))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.listeners.clear();
        // What was sent leaves before the channel is closed at both ends, and is lost if the connection is closed at once.
        let end = self.peer.clone();
        let closed = EventListener::once(&self.channel, "close", move |_| end.close());
        self.channel.close();
        let peer = self.peer.clone();
        let late = Timeout::new(LAST_WORDS_MS, move || {
            drop(closed);
            peer.close();
        });
        late.forget();
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
