//! What clients may say that are none.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rmqtt_codec::v5::PublishProperties;

use super::*;
use crate::front::mqtt::wire::Wire;

/// What a client of each version may say.
fn talks() -> [BytesMut; 2] {
    let five = |packet| {
        let mut bytes = BytesMut::new();
        Codec::new(0, 0).encode(packet, &mut bytes).unwrap();
        bytes
    };
    let three: &[u8] = b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04lamp\x82\x08\0\x01\0\x03a/b\x01\x32\x07\0\x01a\0\x02hi\xe0\0";
    let mut will = connect("lamp", true, 5);
    will.username = Some("u".into());
    will.password = Some(Bytes::from_static(b"p"));
    let mut message = publish("a/b", b"hi", QoS::ExactlyOnce, Some(3));
    message.properties = Some(PublishProperties {
        content_type: Some("text/plain".into()),
        user_properties: vec![("a".into(), "b".into())],
        topic_alias: Some(id(2)),
        ..Default::default()
    });
    let mut talk = five(Packet::Connect(Box::new(will)));
    talk.extend(five(say(&message)));
    talk.extend(five(Packet::PublishRelease(ack2(id(3)))));
    talk.extend(five(Packet::Subscribe(Subscribe {
        packet_id: id(1),
        id: std::num::NonZeroU32::new(5),
        user_properties: Vec::new(),
        topic_filters: vec![("a/#".into(), at(QoS::AtLeastOnce))],
    })));
    talk.extend(five(Packet::Disconnect(disconnect(
        Reason::DisconnectWithWillMessage,
    ))));
    [BytesMut::from(three), talk]
}

/// Whatever comes, it is read or refused.
#[test]
fn bytes_that_are_no_packets_do_no_harm() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for talk in talks() {
        let mut wire = Wire::Unknown;
        let mut bytes = talk.clone();
        let mut packets = 0;
        while let Some(_packet) = wire.decode(&mut bytes).unwrap() {
            packets += 1;
        }
        assert!(packets >= 4 && bytes.is_empty(), "{packets} {bytes:?}");
        for _ in 0..20_000 {
            let mut bytes = talk.clone();
            for _ in 0..=rng.next_u32() % 4 {
                let place = rng.next_u32() as usize % bytes.len();
                bytes[place] = rng.next_u32() as u8;
            }
            bytes.truncate(1 + rng.next_u32() as usize % talk.len());
            let mut wire = Wire::Unknown;
            while let Ok(Some(_)) = wire.decode(&mut bytes) {
                wire.welcome(None);
            }
        }
    }
}
