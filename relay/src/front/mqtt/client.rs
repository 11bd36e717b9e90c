//! A client while it is connected: what it says is done, and what is for it is sent.

use std::collections::HashMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use peerage::Failure;
use peerage::error::Code;
use peerage::service::broker::Published;
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v5::{
    Disconnect, DisconnectReasonCode as Reason, Packet, PublishAck2Reason, PublishAckReason,
    RetainHandling, Subscribe, SubscribeAck, SubscribeAckReason, SubscriptionOptions, ToReasonCode,
    Unsubscribe, UnsubscribeAck, UnsubscribeAckReason,
};
use tokio::time::{Instant, sleep_until, timeout};

use super::limits::{
    INFLIGHT_MAX, MESH_TIMEOUT, STALL_TIMEOUT, TOPIC_ALIASES_MAX, UNANSWERED_BYTES_MAX,
    UNANSWERED_MAX,
};
use super::pipe::Pipe;
use super::roster::{Handover, Place};
use super::session::{Once, Session, Wish};
use super::users::User;
use super::wire::{ack, ack2, disconnect};
use crate::runtime::Runtime;

/// A client that is connected.
pub(super) struct Client {
    pub(super) pipe: Pipe,
    pub(super) session: Box<Session>,
    user: Arc<User>,
    /// Silent for so long, it is gone.
    patience: Option<Duration>,
    heard: Instant,
    /// Messages of quality 1 and 2 that it takes at once.
    takes: usize,
    aliases: HashMap<NonZeroU16, ByteString>,
    answers: FuturesOrdered<BoxFuture<'static, Answer>>,
    unanswered_bytes: usize,
}

/// What has become of a message of the client.
struct Answer {
    qos: QoS,
    id: Option<NonZeroU16>,
    bytes: usize,
    result: Result<Published, Failure>,
}

/// How a connection has ended.
pub(super) enum End {
    /// It is lost, or ended for a reason.
    Lost(Option<Reason>),
    /// The client has said good-bye.
    Left(Disconnect),
    /// The client has come again, by another connection.
    Wanted(Handover),
    /// What the session lives by is gone.
    Broken,
    /// The relay ends.
    Stopped,
}

impl End {
    /// What the client is told.
    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Lost(reason) => *reason,
            Self::Left(_) => None,
            Self::Wanted(_) => Some(Reason::SessionTakenOver),
            Self::Broken => Some(Reason::ServerBusy),
            Self::Stopped => Some(Reason::ServerShuttingDown),
        }
    }

    /// Whether its will is published.
    pub(super) fn has_will(&self) -> bool {
        match self {
            Self::Left(left) => left.reason_code == Reason::DisconnectWithWillMessage,
            _ => true,
        }
    }

    /// How long its session is kept that was to be kept for so long.
    pub(super) fn expiry(&self, asked: Duration) -> Duration {
        match self {
            // Who wanted none when it came has none.
            Self::Left(left) if !asked.is_zero() => left
                .session_expiry_interval_secs
                .map_or(asked, super::greeting::expiry),
            Self::Broken | Self::Stopped => Duration::ZERO,
            _ => asked,
        }
    }
}

/// What is next.
enum Next {
    Packets(bool),
    Flushed(bool),
    Answer(Option<Answer>),
    Message(Result<Publish, Failure>),
    Wanted(Option<Handover>),
    Late,
    Stopped,
}

impl Client {
    pub(super) fn new(
        pipe: Pipe,
        session: Box<Session>,
        user: Arc<User>,
        keep_alive: u16,
        receive_max: Option<NonZeroU16>,
    ) -> Self {
        let patience = Duration::from_millis(u64::from(keep_alive) * 1500);
        let takes = receive_max.map_or(INFLIGHT_MAX, |most| usize::from(most.get()));
        Self {
            pipe,
            session,
            user,
            patience: Some(patience).filter(|patience| !patience.is_zero()),
            heard: Instant::now(),
            takes: takes.min(INFLIGHT_MAX),
            aliases: HashMap::new(),
            answers: FuturesOrdered::new(),
            unanswered_bytes: 0,
        }
    }

    /// Converses until the connection ends.
    pub(super) async fn run(&mut self, place: &mut Place, runtime: &Runtime) -> End {
        let packets: Vec<_> = self.session.inflight.again().collect();
        packets.into_iter().for_each(|packet| self.pipe.put(packet));
        let mut stopped = pin!(runtime.left());
        loop {
            // What has come is heard before more is read.
            if self.hears() {
                match self.pipe.packet() {
                    Ok(Some(packet)) => {
                        self.heard = Instant::now();
                        match self.hear(packet).await {
                            Ok(()) => continue,
                            Err(end) => return end,
                        }
                    }
                    Ok(None) => {}
                    Err(error) => return End::Lost(Some(error.to_reason_code())),
                }
            }
            if !self.hears() {
                self.heard = Instant::now();
            }
            let due = self.due();
            let next = tokio::select! {
                more = self.pipe.inward.fill(), if self.hears() => Next::Packets(more),
                more = self.pipe.outward.flush(), if self.pipe.outward.has_bytes() => Next::Flushed(more),
                answer = self.answers.next(), if !self.answers.is_empty() => Next::Answer(answer),
                message = self.session.next(), if !self.pipe.outward.is_full()
                    && self.session.inflight.len() < self.takes => Next::Message(message),
                handover = place.wanted.recv() => Next::Wanted(handover),
                () = sleep_until(due) => Next::Late,
                () = &mut stopped => Next::Stopped,
            };
            if let Err(end) = self.take(next) {
                return end;
            }
        }
    }

    /// Whether more of it is heard now.
    fn hears(&self) -> bool {
        self.answers.len() < UNANSWERED_MAX
            && self.unanswered_bytes < UNANSWERED_BYTES_MAX
            && !self.pipe.outward.is_stuck()
    }

    /// When it is late: with its next word, or in taking what is sent.
    fn due(&self) -> Instant {
        let never = Instant::now() + Duration::from_secs(24 * 60 * 60);
        // Who is not heard cannot be silent.
        let patience = self.patience.filter(|_| self.hears());
        let silent = patience.map_or(never, |patience| self.heard + patience);
        match self.pipe.outward.has_bytes() {
            true => silent.min(self.pipe.outward.moved() + STALL_TIMEOUT),
            false => silent,
        }
    }

    fn take(&mut self, next: Next) -> Result<(), End> {
        match next {
            Next::Packets(true) | Next::Flushed(true) | Next::Answer(None) => {}
            Next::Packets(false) | Next::Flushed(false) => return Err(End::Lost(None)),
            Next::Answer(Some(answer)) => self.answer(answer)?,
            Next::Message(Ok(publish)) => {
                let packet = self.session.inflight.add(publish);
                self.pipe.put(packet);
            }
            Next::Message(Err(_)) | Next::Wanted(None) => return Err(End::Broken),
            Next::Wanted(Some(handover)) => return Err(End::Wanted(handover)),
            Next::Late => return Err(End::Lost(Some(Reason::KeepAliveTimeout))),
            Next::Stopped => return Err(End::Stopped),
        }
        Ok(())
    }

    async fn hear(&mut self, packet: Packet) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.publish(*publish)?,
            Packet::PublishAck(ack) => self.session.inflight.done(ack.packet_id),
            Packet::PublishReceived(received) => {
                let id = received.packet_id;
                if u8::from(received.reason_code) >= 0x80 {
                    self.session.inflight.done(id);
                } else {
                    let mut release = ack2(id);
                    if !self.session.inflight.received(id) {
                        release.reason_code = PublishAck2Reason::PacketIdNotFound;
                    }
                    self.pipe.put(Packet::PublishRelease(release));
                }
            }
            Packet::PublishRelease(release) => {
                let mut complete = ack2(release.packet_id);
                if !self.session.release(release.packet_id) {
                    complete.reason_code = PublishAck2Reason::PacketIdNotFound;
                }
                self.pipe.put(Packet::PublishComplete(complete));
            }
            Packet::PublishComplete(complete) => self.session.inflight.done(complete.packet_id),
            Packet::Subscribe(subscribe) => self.subscribe(subscribe).await?,
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(unsubscribe),
            Packet::PingRequest => self.pipe.put(Packet::PingResponse),
            Packet::Disconnect(disconnect) => return Err(End::Left(disconnect)),
            Packet::Connect(_)
            | Packet::ConnectAck(_)
            | Packet::SubscribeAck(_)
            | Packet::UnsubscribeAck(_)
            | Packet::PingResponse
            | Packet::Auth(_) => return Err(End::Lost(Some(Reason::ProtocolError))),
        }
        Ok(())
    }

    fn publish(&mut self, mut publish: Publish) -> Result<(), End> {
        self.resolve(&mut publish)?;
        let (qos, id) = (publish.qos, publish.packet_id);
        let number = match id {
            Some(id) if qos == QoS::ExactlyOnce => match self.session.receive(id) {
                Once::Number(number) => Some(number),
                Once::TooMany => return Err(End::Lost(Some(Reason::ReceiveMaximumExceeded))),
            },
            _ => None,
        };
        let publishing = match self.user.may_publish(&publish.topic) {
            true => self.session.publish(&publish, number),
            false => Err(Code::Unauthorised.because("this user may not publish there")),
        };
        let bytes = publish.payload.len();
        self.unanswered_bytes += bytes;
        self.answers.push_back(Box::pin(async move {
            let result = match publishing {
                Ok(publishing) => publishing.await,
                Err(failure) => Err(failure),
            };
            Answer {
                qos,
                id,
                bytes,
                result,
            }
        }));
        Ok(())
    }

    /// Says a topic that is abbreviated in full.
    fn resolve(&mut self, publish: &mut Publish) -> Result<(), End> {
        let properties = publish.properties.as_mut();
        let alias = properties.and_then(|properties| properties.topic_alias.take());
        let invalid = || End::Lost(Some(Reason::TopicAliasInvalid));
        match alias {
            Some(alias) if alias.get() > TOPIC_ALIASES_MAX => return Err(invalid()),
            Some(alias) if publish.topic.is_empty() => {
                let topic = self.aliases.get(&alias).ok_or_else(invalid)?;
                publish.topic = topic.clone();
            }
            Some(alias) => drop(self.aliases.insert(alias, publish.topic.clone())),
            None if publish.topic.is_empty() => {
                return Err(End::Lost(Some(Reason::ProtocolError)));
            }
            None => {}
        }
        Ok(())
    }

    /// Tells what has become of a message. Where it may be published yet, the client is left, and sends it again.
    fn answer(&mut self, answer: Answer) -> Result<(), End> {
        self.note(&answer);
        let Answer {
            qos,
            id,
            bytes,
            result,
        } = answer;
        self.unanswered_bytes -= bytes;
        let Some(id) = id else {
            return Ok(());
        };
        let reason = match result {
            Ok(_) => PublishAckReason::Success,
            Err(failure) => reason(failure.code).ok_or(End::Lost(Some(Reason::ServerBusy)))?,
        };
        // In 3.1.1 it cannot be told, and would only be sent again.
        if reason != PublishAckReason::Success && self.pipe.is_five() {
            self.session.release(id);
        }
        let mut ack = ack(id);
        ack.reason_code = reason;
        self.pipe.put(match qos {
            QoS::ExactlyOnce => Packet::PublishReceived(ack),
            _ => Packet::PublishAck(ack),
        });
        Ok(())
    }

    fn note(&self, answer: &Answer) {
        if let Err(failure) = &answer.result {
            tracing::debug!(
                target: peerage::log::MESSAGE,
                code = %failure.code, node = %self.session.held.id().short(),
                "a message of an MQTT client is not published"
            );
        }
    }

    async fn subscribe(&mut self, subscribe: Subscribe) -> Result<(), End> {
        if subscribe.topic_filters.is_empty() {
            return Err(End::Lost(Some(Reason::ProtocolError)));
        }
        let mut status = Vec::new();
        for (text, options) in &subscribe.topic_filters {
            status.push(self.subscribe_to(text, *options, subscribe.id).await?);
        }
        self.pipe.put(Packet::SubscribeAck(SubscribeAck {
            packet_id: subscribe.packet_id,
            properties: Vec::new(),
            reason_string: None,
            status,
        }));
        Ok(())
    }

    async fn subscribe_to(
        &mut self,
        text: &str,
        mut options: SubscriptionOptions,
        id: Option<NonZeroU32>,
    ) -> Result<SubscribeAckReason, End> {
        let wish = match Wish::read(text) {
            Ok(wish) => wish,
            Err(reason) => return Ok(reason),
        };
        if wish.group.is_some() {
            if options.no_local {
                return Err(End::Lost(Some(Reason::ProtocolError)));
            }
            options.retain_handling = RetainHandling::NoAtSubscribe;
        }
        if !self.user.may_subscribe(&wish.filter) {
            return Ok(SubscribeAckReason::NotAuthorized);
        }
        Ok(self.session.subscribe(wish, options, id).await)
    }

    fn unsubscribe(&mut self, unsubscribe: Unsubscribe) {
        let status =
            unsubscribe
                .topic_filters
                .iter()
                .map(|text| match self.session.unsubscribe(text) {
                    true => UnsubscribeAckReason::Success,
                    false => UnsubscribeAckReason::NoSubscriptionExisted,
                });
        let status = status.collect();
        self.pipe.put(Packet::UnsubscribeAck(UnsubscribeAck {
            packet_id: unsubscribe.packet_id,
            properties: Vec::new(),
            reason_string: None,
            status,
        }));
    }

    /// Waits until what the client has said is published, so that its node does not leave before.
    pub(super) async fn settle(&mut self) {
        let settled = async {
            while let Some(answer) = self.answers.next().await {
                self.note(&answer);
            }
        };
        // Whoever does not answer by then has it or not; there is nobody left to tell.
        let _ = timeout(MESH_TIMEOUT, settled).await;
    }

    /// Says why the connection ends, and ends it.
    pub(super) async fn close(&mut self, reason: Option<Reason>) {
        if let Some(reason) = reason {
            self.pipe.put(Packet::Disconnect(disconnect(reason)));
        }
        self.pipe.close().await;
    }
}

/// What is told of a message that failed for good; nothing if it may be published yet.
fn reason(code: Code) -> Option<PublishAckReason> {
    match code {
        Code::BadMessage => Some(PublishAckReason::TopicNameInvalid),
        Code::TooLarge | Code::Overloaded => Some(PublishAckReason::QuotaExceeded),
        Code::Unauthorised | Code::Refused => Some(PublishAckReason::NotAuthorized),
        Code::Gone
        | Code::Left
        | Code::TimedOut
        | Code::UnknownName
        | Code::UnknownProtocol
        | Code::Cancelled
        | Code::Unreachable => None,
        _ => Some(PublishAckReason::UnspecifiedError),
    }
}
