//! Messages to a client that it has not acknowledged: each has a number, and is sent again when the client
//! comes back.

use std::collections::VecDeque;
use std::num::NonZeroU16;

use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v5::Packet;

use super::wire::ack2;

/// Those messages, in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Inflight {
    sent: VecDeque<(NonZeroU16, Sent)>,
    last: u16,
}

#[derive(Debug)]
enum Sent {
    /// The message, until the client has it.
    Message(Box<Publish>),
    /// Of quality 2: the client has it, and is to forget its number.
    Release,
}

impl Inflight {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    /// The message with a number of its own, if it needs one.
    pub(super) fn add(&mut self, mut publish: Publish) -> Packet {
        if publish.qos != QoS::AtMostOnce {
            let id = self.free();
            publish.packet_id = Some(id);
            let again = Publish {
                dup: true,
                ..publish.clone()
            };
            self.sent.push_back((id, Sent::Message(Box::new(again))));
        }
        Packet::Publish(Box::new(publish))
    }

    /// The client has a message of quality 1, or does not want one of quality 2, or has forgotten one.
    pub(super) fn done(&mut self, id: NonZeroU16) {
        self.sent.retain(|(sent, _)| *sent != id);
    }

    /// The client has a message of quality 2; whether there is one of this number.
    pub(super) fn received(&mut self, id: NonZeroU16) -> bool {
        let sent = self.sent.iter_mut().find(|(sent, _)| *sent == id);
        sent.map(|(_, sent)| *sent = Sent::Release).is_some()
    }

    /// What is sent to a client that comes back.
    pub(super) fn again(&self) -> impl Iterator<Item = Packet> {
        self.sent.iter().map(|(id, sent)| match sent {
            Sent::Message(publish) => Packet::Publish(publish.clone()),
            Sent::Release => Packet::PublishRelease(ack2(*id)),
        })
    }

    /// A number that none of them has. There are far fewer of them than numbers.
    fn free(&mut self) -> NonZeroU16 {
        loop {
            self.last = self.last.wrapping_add(1);
            if let Some(id) = NonZeroU16::new(self.last)
                && self.sent.iter().all(|(sent, _)| *sent != id)
            {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(qos: QoS) -> Publish {
        Publish {
            dup: false,
            retain: false,
            qos,
            topic: "a".into(),
            packet_id: None,
            payload: bytes::Bytes::new(),
            properties: None,
        }
    }

    fn id_of(packet: &Packet) -> Option<NonZeroU16> {
        let Packet::Publish(publish) = packet else {
            panic!("{packet:?}")
        };
        publish.packet_id
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_in_its_order() {
        let mut inflight = Inflight::default();
        assert_eq!(id_of(&inflight.add(publish(QoS::AtMostOnce))), None);
        let first = id_of(&inflight.add(publish(QoS::AtLeastOnce))).unwrap();
        let second = id_of(&inflight.add(publish(QoS::ExactlyOnce))).unwrap();
        let third = id_of(&inflight.add(publish(QoS::ExactlyOnce))).unwrap();
        inflight.done(first);
        assert!(inflight.received(second));
        assert!(!inflight.received(first));
        let again: Vec<_> = inflight.again().collect();
        let [Packet::PublishRelease(release), Packet::Publish(message)] = &again[..] else {
            panic!("{again:?}")
        };
        assert_eq!(release.packet_id, second);
        assert!(message.dup && message.packet_id == Some(third));
        inflight.done(second);
        inflight.done(third);
        assert_eq!(inflight.len(), 0);
    }

    #[test]
    fn a_number_is_not_given_twice_at_a_time() {
        let mut inflight = Inflight::default();
        let kept = id_of(&inflight.add(publish(QoS::AtLeastOnce))).unwrap();
        for _ in 0..=u16::MAX {
            let id = id_of(&inflight.add(publish(QoS::AtLeastOnce))).unwrap();
            assert_ne!(id, kept);
            inflight.done(id);
        }
    }
}
