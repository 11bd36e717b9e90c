//! One peer's connection: str0m's, with the data channel that both sides know by number, and the packets that
//! wait for room in it.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;
use peerage::Failure;
use peerage::NodeId;
use peerage::error::Code;
use peerage::limits::{
    ICE_NAME_BYTES_MAX, ICE_PASSWORD_BYTES_MAX, PACKET_BYTES_MAX, WEBRTC_BUFFER_BYTES_MAX,
    WEBRTC_BUFFER_BYTES_READY,
};
use peerage::link::LinkId;
use str0m::change::SdpOffer;
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceCreds, Input, Output, Rtc, RtcError};
use tokio::sync::mpsc::UnboundedSender;

use crate::link::Inbox;
use crate::link::webrtc::Told;

/// The number of the data channel, as in the tab.
const CHANNEL: u16 = 0;

/// A connection, from the offer to its end.
pub(super) struct Peer {
    pub(super) node: NodeId,
    rtc: Rtc,
    channel: Option<ChannelId>,
    /// By which name the other side calls it in STUN.
    pub(super) name: String,
    /// The link, once the channel is open.
    pub(super) link: Option<LinkId>,
    /// Where packets for the link come from, while nobody waits there for the next.
    pub(super) inbox: Option<Inbox>,
    /// A packet for which there is no room yet.
    waiting: Option<Bytes>,
    pub(super) tell: UnboundedSender<Told>,
    /// From where it has been heard.
    pub(super) sources: Vec<SocketAddr>,
    /// When it has something to do by itself.
    pub(super) due: Instant,
}

/// What a connection has to say.
pub(super) enum Said {
    Datagram(str0m::net::Transmit),
    Open,
    Packet(Bytes),
    /// There is room for packets again.
    Room,
    Closed,
}

impl Peer {
    /// Answers an offer; these are the addresses at which this side can be reached.
    pub(super) fn answer(
        node: NodeId,
        offer: &str,
        candidates: &[Candidate],
        tell: UnboundedSender<Told>,
        now: Instant,
    ) -> Result<(Self, String), Failure> {
        check_secrets(offer)?;
        let creds = IceCreds::new();
        let name = creds.ufrag.clone();
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .set_local_ice_credentials(creds)
            .set_sctp_max_buffered_amount(WEBRTC_BUFFER_BYTES_MAX)
            .set_sctp_max_message_size(PACKET_BYTES_MAX as u32)
            .build(now);
        for candidate in candidates {
            rtc.add_local_candidate(candidate.clone());
        }
        let offer = SdpOffer::from_sdp_string(&without_candidates(offer)).map_err(unreadable)?;
        let answer = rtc.sdp_api().accept_offer(offer).map_err(unreadable)?;
        let peer = Self {
            node,
            rtc,
            channel: None,
            name,
            link: None,
            inbox: None,
            waiting: None,
            tell,
            sources: Vec::new(),
            due: now,
        };
        Ok((peer, answer.to_sdp_string()))
    }

    /// Makes the channel, once what followed from the answer is done: one change at a time.
    pub(super) fn open_channel(&mut self) {
        let channel = self.rtc.direct_api().create_data_channel(ChannelConfig {
            label: String::from("peerage"),
            negotiated: Some(CHANNEL),
            ..ChannelConfig::default()
        });
        self.channel = Some(channel);
    }

    /// Takes an address at which the other side may be reached. One that is of no use here, such as a name of
    /// mDNS, is no reason to give up the others: it will be heard from there.
    pub(super) fn candidate(&mut self, text: &str) {
        if let Ok(candidate) = Candidate::from_sdp_string(text)
            && candidate.proto() == Protocol::Udp
            && is_one_place(candidate.addr().ip())
        {
            self.rtc.add_remote_candidate(candidate);
        }
    }

    /// Whether a datagram is for it.
    pub(super) fn accepts(&self, input: &Input<'_>) -> bool {
        self.rtc.accepts(input)
    }

    pub(super) fn handle(&mut self, input: Input<'_>) -> Result<(), RtcError> {
        self.rtc.handle_input(input)
    }

    /// Ends it, with a word to the other side if that can be said.
    pub(super) fn close(&mut self) {
        // Without a connection there is nobody to tell.
        let _ = self.rtc.close();
    }

    /// What it has to say next; `None` when it has said all, until its time.
    pub(super) fn poll(&mut self) -> Option<Said> {
        loop {
            if !self.rtc.is_alive() {
                return Some(Said::Closed);
            }
            let event = match self.rtc.poll_output() {
                Ok(Output::Timeout(due)) => {
                    self.due = due;
                    return None;
                }
                Ok(Output::Transmit(transmit)) => return Some(Said::Datagram(transmit)),
                Ok(Output::Event(event)) => event,
                Err(_) => return Some(Said::Closed),
            };
            match event {
                Event::ChannelOpen(id, _) if Some(id) == self.channel => return Some(Said::Open),
                Event::ChannelData(data) if Some(data.id) == self.channel => {
                    return Some(Said::Packet(data.data.into()));
                }
                Event::ChannelBufferedAmountLow(_) => return Some(Said::Room),
                Event::ChannelClose(id) if Some(id) == self.channel => return Some(Said::Closed),
                // There is one channel, and each more would cost memory.
                Event::ChannelOpen(..) | Event::ChannelData(_) => return Some(Said::Closed),
                Event::Closed => return Some(Said::Closed),
                _ => {}
            }
        }
    }

    /// The channel is open: it shall tell when there is room again.
    pub(super) fn opened(&mut self) {
        if let Some(mut channel) = self.channel.and_then(|id| self.rtc.channel(id)) {
            channel.set_buffered_amount_low_threshold(WEBRTC_BUFFER_BYTES_READY);
        }
    }

    /// Writes a packet, or keeps it until there is room.
    pub(super) fn write(&mut self, packet: Bytes) {
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        let written = channel.map(|mut channel| channel.write(true, &packet));
        if let Some(Ok(false)) = written {
            self.waiting = Some(packet);
        }
    }

    /// Whether a packet waits for room, so that no other may be written.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.is_some()
    }

    /// There is room: writes the packet that waits for it.
    pub(super) fn flush(&mut self) {
        if let Some(packet) = self.waiting.take() {
            self.write(packet);
        }
    }
}

/// A datagram as str0m reads it; `None` for what it cannot be for.
pub(super) fn input(
    from: SocketAddr,
    at: SocketAddr,
    bytes: &[u8],
    now: Instant,
) -> Option<Input<'_>> {
    let received = Receive::new(Protocol::Udp, from, at, bytes).ok()?;
    Some(Input::Receive(now, received))
}

/// Whether it is an address of one machine: what a peer claims shall not be called at all of them.
fn is_one_place(ip: IpAddr) -> bool {
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_multicast() || ip.is_unspecified() || is_broadcast)
}

/// What the checks of ICE are made with must fit into them.
fn check_secrets(offer: &str) -> Result<(), Failure> {
    for line in offer.lines() {
        for (name, most) in [
            ("a=ice-ufrag:", ICE_NAME_BYTES_MAX),
            ("a=ice-pwd:", ICE_PASSWORD_BYTES_MAX),
        ] {
            let bytes = line.trim().strip_prefix(name).map_or(0, str::len);
            if bytes > most {
                let message = format!("expected at most {most} bytes after `{name}`, got {bytes}");
                return Err(Code::TooLarge.because(message));
            }
        }
    }
    Ok(())
}

/// A description without its candidates, of which each is then taken or left by itself.
fn without_candidates(description: &str) -> String {
    let lines = description.lines();
    let lines = lines.filter(|line| !line.starts_with("a=candidate:"));
    lines.flat_map(|line| [line, "\r\n"]).collect()
}

/// The candidates of a description.
pub(super) fn candidates_of(description: &str) -> impl Iterator<Item = &str> {
    let lines = description.lines();
    lines.filter_map(|line| {
        line.strip_prefix("a=")
            .filter(|line| line.starts_with("candidate:"))
    })
}

fn unreadable<E>(_: E) -> Failure {
    // Its words may have a line of the description in them.
    Code::BadMessage.because("expected a session description with a data channel, got another")
}
