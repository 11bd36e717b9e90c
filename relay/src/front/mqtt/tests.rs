//! Clients as they should be, and as they should not.

mod hostile;

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use peerage::object::{self, Item};
use peerage::service::broker::{self, Publish as Options, Subscribe as Wanted, Subscription};
use peerage::{Config, Kind};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v5::{
    Codec, Connect, ConnectAck, ConnectAckReason, DisconnectReasonCode as Reason, LastWill, Packet,
    Subscribe, SubscriptionOptions,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::codec::{Decoder, Encoder};

use super::Front;
use super::wire::{ack, ack2, disconnect};
use crate::Node;
use crate::config::MqttConfig;
use crate::front::held::Holder;

/// Nothing takes so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// After so long without a message there is none.
const QUIET: Duration = Duration::from_millis(300);

/// A relay with a port.
struct Stage {
    relay: Node,
    front: Front,
    address: SocketAddr,
}

/// A client, as a test plays it.
struct Client {
    socket: TcpStream,
    codec: Codec,
    bytes: BytesMut,
}

impl Stage {
    async fn new(config: Value) -> Self {
        let config: MqttConfig = serde_json::from_value(config).unwrap();
        let named = Config::new(Kind::Relay).named("relay".parse().unwrap());
        let relay = Node::launch(named, Vec::new()).unwrap();
        relay.online(true).await.unwrap();
        let holder = Holder::new(relay.runtime().clone());
        let front = Front::new(relay.runtime().clone(), holder, &config);
        let address = front.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        Self {
            relay,
            front,
            address,
        }
    }

    async fn call(&self) -> Client {
        Client {
            socket: TcpStream::connect(self.address).await.unwrap(),
            codec: Codec::new(0, 0),
            bytes: BytesMut::new(),
        }
    }

    /// A client that is let in, and what it was told.
    async fn client(&self, connect: Connect) -> (Client, ConnectAck) {
        let mut client = self.call().await;
        client.say(Packet::Connect(Box::new(connect))).await;
        let Some(Packet::ConnectAck(ack)) = client.hear().await else {
            panic!("expected an answer")
        };
        (client, *ack)
    }

    async fn listen(&self, filter: &str) -> Subscription {
        let wanted = Wanted::default();
        let topics = self.relay.topics();
        topics.subscribe(filter, wanted).await.unwrap()
    }
}

impl Client {
    async fn say(&mut self, packet: Packet) {
        let mut bytes = BytesMut::new();
        self.codec.encode(packet, &mut bytes).unwrap();
        self.socket.write_all(&bytes).await.unwrap();
    }

    /// The next packet; nothing at the end.
    async fn hear(&mut self) -> Option<Packet> {
        let hearing = async {
            loop {
                if let Some((packet, _)) = self.codec.decode(&mut self.bytes).unwrap() {
                    return Some(packet);
                }
                match self.socket.read_buf(&mut self.bytes).await {
                    Ok(1..) => {}
                    _ => return None,
                }
            }
        };
        tokio::time::timeout(PATIENCE, hearing).await.unwrap()
    }

    async fn hear_publish(&mut self) -> Publish {
        match self.hear().await {
            Some(Packet::Publish(publish)) => *publish,
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// Nothing but the answer to this comes.
    async fn is_quiet(&mut self) {
        tokio::time::sleep(QUIET).await;
        self.say(Packet::PingRequest).await;
        assert_eq!(self.hear().await, Some(Packet::PingResponse));
    }

    async fn subscribe(&mut self, filter: &str, options: SubscriptionOptions) {
        let subscribe = Subscribe {
            packet_id: id(9),
            id: None,
            user_properties: Vec::new(),
            topic_filters: vec![(filter.into(), options)],
        };
        self.say(Packet::Subscribe(subscribe)).await;
        assert!(matches!(self.hear().await, Some(Packet::SubscribeAck(_))));
    }
}

fn connect(id: &str, clean_start: bool, expiry_s: u32) -> Connect {
    Connect {
        client_id: id.into(),
        clean_start,
        session_expiry_interval_secs: expiry_s,
        ..Connect::default()
    }
}

fn at(qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions {
        qos,
        ..SubscriptionOptions::default()
    }
}

fn id(id: u16) -> NonZeroU16 {
    NonZeroU16::new(id).unwrap()
}

fn publish(topic: &str, payload: &'static [u8], qos: QoS, packet: Option<u16>) -> Publish {
    Publish {
        dup: false,
        retain: false,
        qos,
        topic: topic.into(),
        packet_id: packet.map(id),
        payload: Bytes::from_static(payload),
        properties: None,
    }
}

fn say(publish: &Publish) -> Packet {
    Packet::Publish(Box::new(publish.clone()))
}

async fn next(subscription: &mut Subscription) -> (String, object::Value) {
    let item = tokio::time::timeout(PATIENCE, subscription.next()).await;
    match item.unwrap().unwrap().unwrap() {
        broker::Item::Message(message) => (message.topic.to_string(), message.value().unwrap()),
        broker::Item::Gap(gap) => panic!("{gap:?}"),
    }
}

#[tokio::test]
async fn a_client_is_a_node_and_its_messages_are_the_zones() {
    let stage = Stage::new(json!({})).await;
    let mut heard = stage.listen("#").await;
    let (mut client, ack) = stage.client(connect("boiler", true, 0)).await;
    assert_eq!(ack.reason_code, ConnectAckReason::Success);
    let peers = stage.relay.peers();
    assert!(
        peers
            .iter()
            .any(|peer| peer.name.as_str() == "boiler" && peer.kind == Kind::Adapter)
    );
    client
        .say(say(&publish(
            "state",
            b"{\"on\":true}",
            QoS::AtLeastOnce,
            Some(1),
        )))
        .await;
    let Some(Packet::PublishAck(told)) = client.hear().await else {
        panic!()
    };
    assert_eq!(told.packet_id, id(1));
    let (topic, value) = next(&mut heard).await;
    assert_eq!(topic, "state");
    assert!(matches!(value.root(), Item::Node(_)), "{value:?}");
    // What it publishes itself it hears as well, unless it says otherwise.
    client.subscribe("a/+", at(QoS::AtMostOnce)).await;
    client
        .say(say(&publish("a/b", b"x", QoS::AtMostOnce, None)))
        .await;
    assert_eq!(&client.hear_publish().await.payload[..], b"x");
    let no_local = SubscriptionOptions {
        no_local: true,
        ..at(QoS::AtMostOnce)
    };
    client.subscribe("a/+", no_local).await;
    client
        .say(say(&publish("a/b", b"y", QoS::AtMostOnce, None)))
        .await;
    stage.relay.publish("a/c", "z").await.unwrap();
    assert_eq!(&client.hear_publish().await.payload[..], b"z");
    assert_eq!((stage.front.connected(), stage.front.sessions()), (1, 1));
    client
        .say(Packet::Disconnect(disconnect(Reason::NormalDisconnection)))
        .await;
    assert_eq!(client.hear().await, None);
    while stage
        .relay
        .peers()
        .iter()
        .any(|peer| peer.name.as_str() == "boiler")
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((stage.front.connected(), stage.front.sessions()), (0, 0));
}

#[tokio::test]
async fn a_message_of_quality_2_counts_once_however_often_it_comes() {
    let stage = Stage::new(json!({})).await;
    let mut heard = stage.listen("#").await;
    let message = publish("once", b"1", QoS::ExactlyOnce, Some(7));
    let again = Publish {
        dup: true,
        ..message.clone()
    };
    let (mut client, _) = stage.client(connect("till", false, 100)).await;
    client.say(say(&message)).await;
    // It is lost before it hears whether the message was published, twice.
    drop(client);
    for _ in 0..2 {
        let (mut client, ack) = stage.client(connect("till", false, 100)).await;
        assert!(ack.session_present);
        client.say(say(&again)).await;
    }
    let (mut client, _) = stage.client(connect("till", false, 100)).await;
    client.say(say(&again)).await;
    assert_eq!(
        client.hear().await,
        Some(Packet::PublishReceived(ack(id(7))))
    );
    client.say(Packet::PublishRelease(ack2(id(7)))).await;
    assert_eq!(
        client.hear().await,
        Some(Packet::PublishComplete(ack2(id(7))))
    );
    // The number is free for another message.
    client
        .say(say(&publish("once", b"2", QoS::ExactlyOnce, Some(7))))
        .await;
    assert_eq!(
        client.hear().await,
        Some(Packet::PublishReceived(ack(id(7))))
    );
    let values = [next(&mut heard).await.1, next(&mut heard).await.1];
    assert_eq!(
        values.map(|value| value.root().clone()),
        [Item::Unsigned(1), Item::Unsigned(2)]
    );
}

#[tokio::test]
async fn a_client_that_is_away_gets_what_came_meanwhile_and_what_it_did_not_acknowledge() {
    let stage = Stage::new(json!({})).await;
    let (mut client, ack) = stage.client(connect("lamp", false, 100)).await;
    assert!(!ack.session_present);
    client.subscribe("kept/#", at(QoS::ExactlyOnce)).await;
    client.subscribe("lost/#", at(QoS::AtMostOnce)).await;
    stage.relay.publish("kept/1", &1).await.unwrap();
    let first = client.hear_publish().await;
    assert_eq!((first.qos, first.dup), (QoS::ExactlyOnce, false));
    drop(client);
    while stage.front.connected() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stage.relay.publish("lost/1", &0).await.unwrap();
    stage.relay.publish("kept/2", &2).await.unwrap();
    let (mut client, ack) = stage.client(connect("lamp", false, 100)).await;
    assert!(ack.session_present);
    let again = client.hear_publish().await;
    assert!(again.dup && again.packet_id == first.packet_id && again.topic == "kept/1");
    let second = client.hear_publish().await;
    assert_eq!(&*second.topic, "kept/2");
    let number = first.packet_id.unwrap();
    client
        .say(Packet::PublishReceived(super::wire::ack(number)))
        .await;
    assert_eq!(
        client.hear().await,
        Some(Packet::PublishRelease(ack2(number)))
    );
    // Lost before it said that it has forgotten the number: it is asked again, and gets no message.
    let (mut client, _) = stage.client(connect("lamp", false, 100)).await;
    assert_eq!(
        client.hear().await,
        Some(Packet::PublishRelease(ack2(number)))
    );
    assert!(client.hear_publish().await.dup);
    client.say(Packet::PublishComplete(ack2(number))).await;
    stage.relay.publish("lost/2", &3).await.unwrap();
    assert_eq!(&*client.hear_publish().await.topic, "lost/2");
    // Who begins anew has nothing.
    let (mut client, ack) = stage.client(connect("lamp", true, 0)).await;
    assert!(!ack.session_present);
    stage.relay.publish("kept/3", &3).await.unwrap();
    client.is_quiet().await;
}

#[tokio::test]
async fn who_comes_again_takes_the_place_of_its_first_connection() {
    let stage = Stage::new(json!({})).await;
    let (mut first, _) = stage.client(connect("twin", true, 0)).await;
    let (mut second, _) = stage.client(connect("twin", true, 0)).await;
    let Some(Packet::Disconnect(told)) = first.hear().await else {
        panic!()
    };
    assert_eq!(told.reason_code, Reason::SessionTakenOver);
    assert_eq!(first.hear().await, None);
    second.is_quiet().await;
    let names = stage.relay.peers();
    let names: Vec<_> = names.iter().map(|peer| peer.name.as_str()).collect();
    assert_eq!(names, ["twin"]);
}

#[tokio::test]
async fn what_a_client_says_before_it_goes_is_published() {
    let stage = Stage::new(json!({})).await;
    let mut heard = stage.listen("#").await;
    for says_good_bye in [true, false] {
        let (mut hasty, _) = stage.client(connect("hasty", true, 0)).await;
        for text in [b"a", b"b", b"c"] {
            let message = publish("state", text, QoS::AtMostOnce, None);
            hasty.say(say(&message)).await;
        }
        if says_good_bye {
            let good_bye = disconnect(Reason::NormalDisconnection);
            hasty.say(Packet::Disconnect(good_bye)).await;
        }
        drop(hasty);
        for text in ["a", "b", "c"] {
            assert_eq!(*next(&mut heard).await.1.root(), Item::text(text));
        }
    }
}

#[tokio::test]
async fn a_will_is_published_for_who_is_lost_and_not_for_who_leaves() {
    let stage = Stage::new(json!({})).await;
    let mut heard = stage.listen("#").await;
    let will = |message: &'static [u8], delay| LastWill {
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: "wills".into(),
        message: Bytes::from_static(message),
        will_delay_interval_sec: delay,
        correlation_data: None,
        message_expiry_interval: None,
        content_type: None,
        user_properties: Vec::new(),
        is_utf8_payload: None,
        response_topic: None,
    };
    let with = |id, expiry, will| Connect {
        last_will: Some(will),
        ..connect(id, true, expiry)
    };
    let (mut leaves, _) = stage.client(with("leaves", 0, will(b"no", None))).await;
    leaves
        .say(Packet::Disconnect(disconnect(Reason::NormalDisconnection)))
        .await;
    assert_eq!(leaves.hear().await, None);
    let (comes_back, _) = stage
        .client(with("back", 100, will(b"never", Some(90))))
        .await;
    drop(comes_back);
    while stage.front.connected() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (_back, ack) = stage.client(connect("back", false, 100)).await;
    assert!(ack.session_present);
    let (lost, _) = stage.client(with("lost", 0, will(b"lost", None))).await;
    drop(lost);
    assert_eq!(*next(&mut heard).await.1.root(), Item::text("lost"));
    let (mut asks, _) = stage.client(with("asks", 0, will(b"asked", None))).await;
    asks.say(Packet::Disconnect(disconnect(
        Reason::DisconnectWithWillMessage,
    )))
    .await;
    assert_eq!(*next(&mut heard).await.1.root(), Item::text("asked"));
}

#[tokio::test]
async fn what_is_retained_comes_first_and_an_empty_payload_clears_it() {
    let stage = Stage::new(json!({})).await;
    let retain = Options {
        retain: true,
        ..Options::default()
    };
    let topics = stage.relay.topics();
    topics.publish("lamp", "on", retain).unwrap().await.unwrap();
    let (mut client, _) = stage.client(connect("c", true, 0)).await;
    client.subscribe("#", at(QoS::AtLeastOnce)).await;
    let first = client.hear_publish().await;
    assert!(first.retain && &first.payload[..] == b"on");
    client
        .say(Packet::PublishAck(ack(first.packet_id.unwrap())))
        .await;
    let not_now = SubscriptionOptions {
        retain_handling: rmqtt_codec::v5::RetainHandling::NoAtSubscribe,
        ..at(QoS::AtMostOnce)
    };
    client.subscribe("lamp", not_now).await;
    client.is_quiet().await;
    let clear = Publish {
        retain: true,
        ..publish("lamp", b"", QoS::AtLeastOnce, Some(1))
    };
    client.say(say(&clear)).await;
    let mut packets = vec![
        client.hear().await,
        client.hear().await,
        client.hear().await,
    ];
    packets.retain(
        |packet| matches!(packet, Some(Packet::Publish(p)) if p.payload.is_empty() && !p.retain),
    );
    assert_eq!(packets.len(), 2, "by each subscription");
    let (mut other, _) = stage.client(connect("d", true, 0)).await;
    other.subscribe("lamp", at(QoS::AtMostOnce)).await;
    other.is_quiet().await;
}

#[tokio::test]
async fn a_message_of_a_shared_subscription_is_for_one_member() {
    let stage = Stage::new(json!({})).await;
    let (mut a, _) = stage.client(connect("a", true, 0)).await;
    let (mut b, _) = stage.client(connect("b", true, 0)).await;
    for client in [&mut a, &mut b] {
        client
            .subscribe("$share/g/jobs/#", at(QoS::AtMostOnce))
            .await;
    }
    for n in 0..20 {
        stage.relay.publish("jobs/1", &n).await.unwrap();
    }
    let mut got = Vec::new();
    for client in [&mut a, &mut b] {
        tokio::time::sleep(QUIET).await;
        client.say(Packet::PingRequest).await;
        while let Some(Packet::Publish(publish)) = client.hear().await {
            got.push(
                String::from_utf8(publish.payload.to_vec())
                    .unwrap()
                    .parse::<u32>()
                    .unwrap(),
            );
        }
    }
    got.sort_unstable();
    assert_eq!(got, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_breaks_the_rules_is_told_and_left() {
    let stage = Stage::new(json!({})).await;
    for (packet, reason) in [
        (
            Packet::Connect(Box::new(connect("x", true, 0))),
            Reason::ProtocolError,
        ),
        (
            say(&publish("a/#", b"", QoS::AtLeastOnce, Some(1))),
            Reason::TopicNameInvalid,
        ),
        (
            say(&publish("", b"", QoS::AtMostOnce, None)),
            Reason::ProtocolError,
        ),
    ] {
        let (mut client, _) = stage.client(connect("x", true, 0)).await;
        client.say(packet).await;
        match client.hear().await {
            Some(Packet::Disconnect(told)) => assert_eq!(told.reason_code, reason),
            Some(Packet::PublishAck(told)) => {
                assert_eq!(u8::from(told.reason_code), u8::from(reason));
            }
            other => panic!("{other:?}"),
        }
    }
    // A packet of a length that nobody takes.
    let (mut client, _) = stage.client(connect("x", true, 0)).await;
    client
        .socket
        .write_all(&[0x30, 0xff, 0xff, 0xff, 0x7f])
        .await
        .unwrap();
    let Some(Packet::Disconnect(told)) = client.hear().await else {
        panic!()
    };
    assert_eq!(told.reason_code, Reason::PacketTooLarge);
    // Who says something else first learns nothing.
    let mut client = stage.call().await;
    client.say(Packet::PingRequest).await;
    assert_eq!(client.hear().await, None);
}

#[tokio::test]
async fn who_takes_nothing_keeps_nobody_waiting() {
    let stage = Stage::new(json!({})).await;
    let (mut stuck, _) = stage.client(connect("stuck", true, 0)).await;
    stuck.subscribe("#", at(QoS::AtMostOnce)).await;
    let (mut well, _) = stage.client(connect("well", true, 0)).await;
    well.subscribe("last", at(QoS::AtMostOnce)).await;
    let long = "x".repeat(64 * 1024);
    for _ in 0..400 {
        stage.relay.publish("long", long.as_str()).await.unwrap();
    }
    stage.relay.publish("last", "here").await.unwrap();
    assert_eq!(&well.hear_publish().await.payload[..], b"here");
}

#[tokio::test]
async fn a_user_shows_a_password_and_does_what_it_may() {
    let hash = "$7$101$MDEyMzQ1Njc4OWFi$EO/lLlkeUgIiBaS8G8UK0ZMP1u508TA7Tl+AdJ1cEsmlbGyEPAERErpfq84j1kepISs0UzmcdL4ucgZ2uodxfQ==";
    let user = json!({ "password": hash, "publish": ["till/#"], "subscribe": ["cups/#"] });
    let stage = Stage::new(json!({ "users": { "till": user } })).await;
    let show = |password: Option<&'static [u8]>| Connect {
        username: Some("till".into()),
        password: password.map(Bytes::from_static),
        ..connect("c", true, 0)
    };
    for wrong in [None, Some(&b"Secret"[..])] {
        let (mut client, ack) = stage.client(show(wrong)).await;
        assert_eq!(ack.reason_code, ConnectAckReason::BadUserNameOrPassword);
        assert_eq!(client.hear().await, None);
    }
    let (mut client, ack) = stage.client(show(Some(b"secret"))).await;
    assert_eq!(ack.reason_code, ConnectAckReason::Success);
    client
        .say(say(&publish("cups/1", b"", QoS::AtLeastOnce, Some(1))))
        .await;
    let Some(Packet::PublishAck(told)) = client.hear().await else {
        panic!()
    };
    assert_eq!(u8::from(told.reason_code), u8::from(Reason::NotAuthorized));
    let filters = vec![
        ("#".into(), at(QoS::AtMostOnce)),
        ("cups/+".into(), at(QoS::AtMostOnce)),
    ];
    let subscribe = Subscribe {
        packet_id: id(2),
        id: None,
        user_properties: Vec::new(),
        topic_filters: filters,
    };
    client.say(Packet::Subscribe(subscribe)).await;
    let Some(Packet::SubscribeAck(told)) = client.hear().await else {
        panic!()
    };
    let status: Vec<_> = told.status.iter().map(|reason| u8::from(*reason)).collect();
    assert_eq!(status, [0x87, 0]);
}
