//! Packets of MQTT 3.1.1 and 5. Both are read as those of 5, and written as the client understands them.

use std::num::NonZeroU16;

use bytes::BytesMut;
use rmqtt_codec::error::{DecodeError, EncodeError};
use rmqtt_codec::types::QoS;
use rmqtt_codec::v5::{
    Connect, ConnectAckReason, Disconnect, DisconnectReasonCode, LastWill, Packet, PublishAck,
    PublishAck2, PublishAck2Reason, PublishAckReason, RetainHandling, Subscribe,
    SubscribeAckReason, SubscriptionOptions, Unsubscribe,
};
use rmqtt_codec::version::{ProtocolVersion, VersionCodec};
use rmqtt_codec::{v3, v5};
use tokio_util::codec::{Decoder, Encoder};

use super::limits::{CONNECT_BYTES_MAX, PACKET_BYTES_MAX};

/// What a client speaks.
#[derive(Debug)]
pub(super) enum Wire {
    /// It has said nothing yet.
    Unknown,
    /// 3.1.1, or its forerunner.
    Three(v3::Codec),
    /// 5.
    Five(v5::Codec),
}

impl Wire {
    /// The next packet, if all of it is there.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        loop {
            match self {
                Self::Unknown => {
                    let Some(version) = VersionCodec.decode(bytes)? else {
                        return Ok(None);
                    };
                    *self = match version {
                        ProtocolVersion::MQTT3 => Self::Three(v3::Codec::new(CONNECT_BYTES_MAX)),
                        ProtocolVersion::MQTT5 => Self::Five(v5::Codec::new(CONNECT_BYTES_MAX, 0)),
                    };
                }
                Self::Three(codec) => {
                    let packet = codec.decode(bytes)?;
                    return packet.map(|(packet, _)| of_three(packet)).transpose();
                }
                Self::Five(codec) => return Ok(codec.decode(bytes)?.map(|(packet, _)| packet)),
            }
        }
    }

    /// Takes longer packets from now on; the client takes packets of `most` bytes, if it has said so.
    pub(super) fn welcome(&mut self, most: Option<u32>) {
        match self {
            Self::Unknown => {}
            Self::Three(codec) => codec.set_max_size(PACKET_BYTES_MAX),
            Self::Five(codec) => {
                codec.set_max_inbound_size(PACKET_BYTES_MAX);
                codec.set_max_outbound_size(most.unwrap_or_default());
            }
        }
    }

    /// Writes a packet, if the client's version has one for this.
    ///
    /// # Errors
    /// If it is longer than the client takes.
    pub(super) fn encode(
        &mut self,
        packet: Packet,
        bytes: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        match self {
            Self::Unknown => Ok(()),
            Self::Three(codec) => match to_three(packet) {
                Some(packet) => codec.encode(packet, bytes),
                None => Ok(()),
            },
            Self::Five(codec) => match short(&packet) {
                Some(packet) => v3::Codec::new(0).encode(packet, bytes),
                None => codec.encode(packet, bytes),
            },
        }
    }

    /// Whether reasons can be told.
    pub(super) fn is_five(&self) -> bool {
        matches!(self, Self::Five(_))
    }
}

/// The short form of an acknowledgement without a reason, which is that of 3.1.1 (MQTT 5, 3.4.2.1). Some clients
/// understand no other.
fn short(packet: &Packet) -> Option<v3::Packet> {
    match packet {
        Packet::PublishAck(ack) | Packet::PublishReceived(ack)
            if ack.reason_code == PublishAckReason::Success => {}
        Packet::PublishRelease(ack) | Packet::PublishComplete(ack)
            if ack.reason_code == PublishAck2Reason::Success => {}
        _ => return None,
    }
    to_three(packet.clone())
}

/// A packet of a client, as 5 has it.
fn of_three(packet: v3::Packet) -> Result<Packet, DecodeError> {
    Ok(match packet {
        v3::Packet::Connect(connect) => Packet::Connect(Box::new(connect_of_three(*connect))),
        v3::Packet::Publish(publish) => Packet::Publish(publish),
        v3::Packet::PublishAck { packet_id } => Packet::PublishAck(ack(packet_id)),
        v3::Packet::PublishReceived { packet_id } => Packet::PublishReceived(ack(packet_id)),
        v3::Packet::PublishRelease { packet_id } => Packet::PublishRelease(ack2(packet_id)),
        v3::Packet::PublishComplete { packet_id } => Packet::PublishComplete(ack2(packet_id)),
        v3::Packet::Subscribe {
            packet_id,
            topic_filters,
        } => Packet::Subscribe(Subscribe {
            packet_id,
            id: None,
            user_properties: Vec::new(),
            topic_filters: topic_filters
                .into_iter()
                .map(|(filter, qos)| (filter, options_of_three(qos)))
                .collect(),
        }),
        v3::Packet::Unsubscribe {
            packet_id,
            topic_filters,
        } => Packet::Unsubscribe(Unsubscribe {
            packet_id,
            user_properties: Vec::new(),
            topic_filters,
        }),
        v3::Packet::PingRequest => Packet::PingRequest,
        v3::Packet::Disconnect => {
            Packet::Disconnect(disconnect(DisconnectReasonCode::NormalDisconnection))
        }
        v3::Packet::ConnectAck(_)
        | v3::Packet::SubscribeAck { .. }
        | v3::Packet::UnsubscribeAck { .. }
        | v3::Packet::PingResponse => return Err(DecodeError::UnsupportedPacketType),
    })
}

fn connect_of_three(connect: v3::Connect) -> Connect {
    let clean = connect.clean_session;
    Connect {
        clean_start: clean,
        keep_alive: connect.keep_alive,
        session_expiry_interval_secs: if clean { 0 } else { u32::MAX },
        last_will: connect.last_will.map(|will| LastWill {
            qos: will.qos,
            retain: will.retain,
            topic: will.topic,
            message: will.message,
            will_delay_interval_sec: None,
            correlation_data: None,
            message_expiry_interval: None,
            content_type: None,
            user_properties: Vec::new(),
            is_utf8_payload: None,
            response_topic: None,
        }),
        client_id: connect.client_id,
        username: connect.username,
        password: connect.password,
        ..Connect::default()
    }
}

fn options_of_three(qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions {
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::AtSubscribe,
    }
}

/// A packet to a client, as 3.1.1 has it; it says nothing when it ends a connection.
fn to_three(packet: Packet) -> Option<v3::Packet> {
    Some(match packet {
        Packet::ConnectAck(ack) => v3::Packet::ConnectAck(v3::ConnectAck {
            session_present: ack.session_present,
            return_code: refusal_to_three(ack.reason_code),
        }),
        Packet::Publish(mut publish) => {
            publish.properties = None;
            v3::Packet::Publish(publish)
        }
        Packet::PublishAck(PublishAck { packet_id, .. }) => v3::Packet::PublishAck { packet_id },
        Packet::PublishReceived(PublishAck { packet_id, .. }) => {
            v3::Packet::PublishReceived { packet_id }
        }
        Packet::PublishRelease(PublishAck2 { packet_id, .. }) => {
            v3::Packet::PublishRelease { packet_id }
        }
        Packet::PublishComplete(PublishAck2 { packet_id, .. }) => {
            v3::Packet::PublishComplete { packet_id }
        }
        Packet::SubscribeAck(ack) => v3::Packet::SubscribeAck {
            packet_id: ack.packet_id,
            status: ack.status.into_iter().map(granted_to_three).collect(),
        },
        Packet::UnsubscribeAck(ack) => v3::Packet::UnsubscribeAck {
            packet_id: ack.packet_id,
        },
        Packet::PingResponse => v3::Packet::PingResponse,
        _ => return None,
    })
}

fn refusal_to_three(reason: ConnectAckReason) -> v3::ConnectAckReason {
    match reason {
        ConnectAckReason::Success => v3::ConnectAckReason::ConnectionAccepted,
        ConnectAckReason::UnsupportedProtocolVersion => {
            v3::ConnectAckReason::UnacceptableProtocolVersion
        }
        ConnectAckReason::ClientIdentifierNotValid => v3::ConnectAckReason::IdentifierRejected,
        ConnectAckReason::BadUserNameOrPassword => v3::ConnectAckReason::BadUserNameOrPassword,
        ConnectAckReason::NotAuthorized
        | ConnectAckReason::TopicNameInvalid
        | ConnectAckReason::Banned => v3::ConnectAckReason::NotAuthorized,
        _ => v3::ConnectAckReason::ServiceUnavailable,
    }
}

fn granted_to_three(reason: SubscribeAckReason) -> v3::SubscribeReturnCode {
    match reason {
        SubscribeAckReason::GrantedQos0 => v3::SubscribeReturnCode::Success(QoS::AtMostOnce),
        SubscribeAckReason::GrantedQos1 => v3::SubscribeReturnCode::Success(QoS::AtLeastOnce),
        SubscribeAckReason::GrantedQos2 => v3::SubscribeReturnCode::Success(QoS::ExactlyOnce),
        _ => v3::SubscribeReturnCode::Failure,
    }
}

/// All is well with the message of this number.
pub(super) fn ack(packet_id: NonZeroU16) -> PublishAck {
    PublishAck {
        packet_id,
        ..PublishAck::default()
    }
}

/// As [`ack`], of the second round.
pub(super) fn ack2(packet_id: NonZeroU16) -> PublishAck2 {
    PublishAck2 {
        packet_id,
        ..PublishAck2::default()
    }
}

/// The end of a connection, and why.
pub(super) fn disconnect(reason_code: DisconnectReasonCode) -> Disconnect {
    Disconnect {
        reason_code,
        session_expiry_interval_secs: None,
        server_reference: None,
        reason_string: None,
        user_properties: Vec::new(),
    }
}
