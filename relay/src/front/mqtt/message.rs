//! A message between MQTT and the broker. What MQTT knows of it besides its value travels with it as attributes,
//! for other clients of MQTT: they get it as it was published.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use bytestring::ByteString;
use minicbor::{Decode, Encode};
use peerage::limits::PUBLISH_BYTES_MAX;
use peerage::object::{self, Form};
use peerage::service::broker::{self, Message};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v5::{LastWill, PublishProperties, SubscriptionOptions};

use super::limits::USER_PROPERTIES_MAX;
use super::payload;

/// By this, attributes are known to be of MQTT.
const MARK: &str = "mqtt";

/// What MQTT knows of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Attributes {
    /// The quality with which it was published.
    #[n(0)]
    qos: u8,
    /// It was published to be retained.
    #[n(1)]
    retain: bool,
    /// The payload, if it is not what would be made of the value.
    #[cbor(n(2), with = "minicbor::bytes")]
    payload: Option<Vec<u8>>,
    #[n(3)]
    content_type: Option<String>,
    #[n(4)]
    is_utf8: bool,
    #[n(5)]
    response_topic: Option<String>,
    #[cbor(n(6), with = "minicbor::bytes")]
    correlation_data: Option<Vec<u8>>,
    /// Seconds since 1970 at which nobody wants it any longer.
    #[n(7)]
    expires_s: Option<u64>,
    #[n(8)]
    user: Vec<(String, String)>,
}

/// What is published at the broker for a client: a value, and how.
pub(super) fn to_broker(publish: &Publish) -> (Bytes, broker::Publish) {
    let mut options = broker::Publish {
        retain: publish.retain,
        ..broker::Publish::default()
    };
    if publish.retain && publish.payload.is_empty() {
        // It clears what is retained.
        return (Bytes::new(), options);
    }
    let mut attributes = attributes_of(publish);
    let content_type = attributes.content_type.as_deref();
    let mut value = payload::to_value(&publish.payload, content_type);
    if payload::of_value(&value).0 != publish.payload {
        attributes.payload = Some(publish.payload.to_vec());
    }
    let mut bytes = object::encode(&value, Form::Natural);
    let mut added = attributes.encode();
    if bytes.len() + added.len() > PUBLISH_BYTES_MAX && attributes.payload.take().is_some() {
        // There is no room for both.
        value = payload::plain(&publish.payload);
        bytes = object::encode(&value, Form::Natural);
        added = attributes.encode();
    }
    options.attributes = added;
    (bytes, options)
}

/// What a client gets of a message, as its subscription says; nothing if it has expired, or is none.
pub(super) fn from_broker(message: &Message, options: &SubscriptionOptions) -> Option<Publish> {
    let attributes = Attributes::decode(&message.attributes);
    let (payload, kind) = payload::of_value(&message.value().ok()?);
    let mut properties = PublishProperties::default();
    let granted = options.qos;
    let (mut qos, mut retain, mut payload) = (granted, message.retained, payload);
    match attributes {
        Some(attributes) => {
            let published = QoS::try_from(attributes.qos).unwrap_or(granted);
            qos = granted.less_value(published);
            retain |= attributes.retain && options.retain_as_published;
            if let Some(original) = &attributes.payload {
                payload = Bytes::copy_from_slice(original);
            }
            attributes.tell(&mut properties)?;
        }
        None if message.bytes.is_empty() => {}
        None => {
            properties.content_type = Some(kind.content_type().into());
            properties.is_utf8_payload = kind.is_text();
        }
    }
    Some(Publish {
        dup: false,
        retain,
        qos,
        topic: (&*message.topic).into(),
        packet_id: None,
        payload,
        properties: Some(properties),
    })
}

/// The message that a will is.
pub(super) fn of_will(will: LastWill) -> Publish {
    Publish {
        dup: false,
        retain: will.retain,
        qos: will.qos,
        topic: will.topic,
        packet_id: None,
        payload: will.message,
        properties: Some(PublishProperties {
            correlation_data: will.correlation_data,
            message_expiry_interval: will.message_expiry_interval,
            content_type: will.content_type,
            user_properties: will.user_properties,
            is_utf8_payload: will.is_utf8_payload.unwrap_or(false),
            response_topic: will.response_topic,
            ..PublishProperties::default()
        }),
    }
}

fn attributes_of(publish: &Publish) -> Attributes {
    let qos = publish.qos.value();
    let retain = publish.retain;
    let Some(properties) = &publish.properties else {
        return Attributes {
            qos,
            retain,
            ..Attributes::default()
        };
    };
    let text = |text: &Option<ByteString>| text.as_ref().map(|text| text.to_string());
    let user = properties.user_properties.iter().take(USER_PROPERTIES_MAX);
    Attributes {
        qos,
        retain,
        payload: None,
        content_type: text(&properties.content_type),
        is_utf8: properties.is_utf8_payload,
        response_topic: text(&properties.response_topic),
        correlation_data: properties.correlation_data.as_ref().map(|d| d.to_vec()),
        expires_s: properties
            .message_expiry_interval
            .map(|after| now_s() + u64::from(after.get())),
        user: user
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect(),
    }
}

impl Attributes {
    fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        // A vector takes whatever comes.
        let _ = minicbor::encode((MARK, self), &mut bytes);
        bytes.into()
    }

    /// Those of MQTT. What others have added is not for its clients.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (mark, attributes) = minicbor::decode::<(&str, Self)>(bytes).ok()?;
        (mark == MARK).then_some(attributes)
    }

    /// Tells the properties of the message; nothing if it has expired.
    fn tell(self, properties: &mut PublishProperties) -> Option<()> {
        if let Some(expires) = self.expires_s {
            let left = u32::try_from(expires.checked_sub(now_s())?).unwrap_or(u32::MAX);
            properties.message_expiry_interval = Some(NonZeroU32::new(left)?);
        }
        properties.content_type = self.content_type.map(Into::into);
        properties.is_utf8_payload = self.is_utf8;
        properties.response_topic = self.response_topic.map(Into::into);
        properties.correlation_data = self.correlation_data.map(Into::into);
        let user = self.user.into_iter();
        properties.user_properties = user
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        Some(())
    }
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
mod tests {
    use peerage::NodeId;

    use super::*;

    fn publish(payload: &'static [u8], properties: Option<PublishProperties>) -> Publish {
        Publish {
            dup: false,
            retain: false,
            qos: QoS::AtLeastOnce,
            topic: "a/b".into(),
            packet_id: None,
            payload: Bytes::from_static(payload),
            properties,
        }
    }

    fn at(qos: QoS) -> SubscriptionOptions {
        SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        }
    }

    /// As a subscriber gets it.
    fn through(publish: &Publish) -> Message {
        let (bytes, options) = to_broker(publish);
        Message {
            topic: (&*publish.topic).into(),
            filter: "#".parse().unwrap(),
            bytes,
            offset: 1,
            epoch: 1,
            sender: NodeId::from_bytes([1; 32]),
            retained: false,
            again: false,
            attributes: options.attributes,
        }
    }

    #[test]
    fn a_message_comes_to_other_clients_as_it_was_published() {
        let properties = PublishProperties {
            content_type: Some("application/json".into()),
            correlation_data: Some(Bytes::from_static(b"\x00\x01")),
            response_topic: Some("answers/1".into()),
            user_properties: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
            is_utf8_payload: true,
            ..PublishProperties::default()
        };
        for payload in [&b"{ \"ice\" : true }"[..], b"1.0", b"\xff", b"on", b""] {
            let sent = publish(payload, Some(properties.clone()));
            assert_eq!(
                from_broker(&through(&sent), &at(QoS::ExactlyOnce)),
                Some(sent)
            );
        }
        let three = publish(b"{ \"ice\" : true }", None);
        let message = through(&three);
        let got = from_broker(&message, &at(QoS::AtMostOnce)).unwrap();
        assert_eq!((&got.payload, got.qos), (&three.payload, QoS::AtMostOnce));
        // And to the mesh as a value.
        let record: std::collections::BTreeMap<String, bool> = message.read().unwrap();
        assert!(record["ice"]);
    }

    #[test]
    fn a_message_of_the_mesh_says_what_it_is() {
        let value = object::to_value(&[1, 2]).unwrap();
        let message = Message {
            bytes: object::encode(&value, Form::Natural),
            attributes: Bytes::from_static(b"another front's"),
            ..through(&publish(b"", None))
        };
        let got = from_broker(&message, &at(QoS::ExactlyOnce)).unwrap();
        assert_eq!(
            (&got.payload[..], got.qos),
            (&b"[1,2]"[..], QoS::ExactlyOnce)
        );
        let content_type = got.properties.unwrap().content_type;
        assert_eq!(content_type.as_deref(), Some("application/json"));
    }

    #[test]
    fn what_has_expired_is_not_sent() {
        let properties = PublishProperties {
            message_expiry_interval: NonZeroU32::new(100),
            ..PublishProperties::default()
        };
        let mut message = through(&publish(b"x", Some(properties)));
        let got = from_broker(&message, &at(QoS::AtLeastOnce)).unwrap();
        let left = got.properties.unwrap().message_expiry_interval;
        assert!(left.is_some_and(|left| left.get() <= 100), "{left:?}");
        let mut attributes = Attributes::decode(&message.attributes).unwrap();
        attributes.expires_s = Some(now_s() - 1);
        message.attributes = attributes.encode();
        assert_eq!(from_broker(&message, &at(QoS::AtLeastOnce)), None);
    }

    #[test]
    fn a_payload_that_has_no_room_beside_its_value_stays_whole() {
        let text = format!("[{}1]", "1, ".repeat(300_000));
        let sent = Publish {
            payload: text.into(),
            ..publish(b"", None)
        };
        let message = through(&sent);
        assert!(message.bytes.len() + message.attributes.len() <= PUBLISH_BYTES_MAX);
        assert_eq!(
            from_broker(&message, &at(QoS::AtLeastOnce))
                .unwrap()
                .payload,
            sent.payload
        );
    }

    #[test]
    fn an_empty_payload_clears_what_is_retained() {
        let clear = Publish {
            retain: true,
            ..publish(b"", None)
        };
        let (bytes, options) = to_broker(&clear);
        assert!(bytes.is_empty() && options.retain && options.attributes.is_empty());
    }
}
