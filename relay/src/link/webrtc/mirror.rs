//! By which address a socket is seen from outside: a STUN server is asked, and what it says is a candidate.

use std::net::SocketAddr;

use str0m::Candidate;
use stun_types::attribute::XorMappedAddress;
use stun_types::message::{
    BINDING, Message, MessageWrite, MessageWriteExt, MessageWriteVec, TransactionId,
};
use tokio::sync::oneshot;

use crate::link::webrtc::Datagram;

/// What was asked last, and what is known.
#[derive(Default)]
pub(super) struct Mirror {
    asked: Option<Asked>,
    /// How it is seen, and at which address of this machine.
    seen: Option<(SocketAddr, SocketAddr)>,
}

struct Asked {
    server: SocketAddr,
    transaction: TransactionId,
    question: Vec<u8>,
    replies: Vec<oneshot::Sender<()>>,
}

impl Mirror {
    /// The question, which is the same until there is an answer: any of them may be lost, or late. `reply` tells that
    /// there is one.
    pub(super) fn ask(&mut self, server: SocketAddr, reply: oneshot::Sender<()>) -> Vec<u8> {
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.server == server) {
            asked.replies.retain(|waiting| !waiting.is_closed());
            asked.replies.push(reply);
            return asked.question.clone();
        }
        let question = Message::builder_request(BINDING, MessageWriteVec::new());
        let transaction = question.transaction_id();
        let question = question.finish();
        self.asked = Some(Asked {
            server,
            transaction,
            question: question.clone(),
            replies: vec![reply],
        });
        question
    }

    /// Whether a datagram is the answer.
    pub(super) fn hear(&mut self, datagram: Datagram<'_>) -> bool {
        let from_server = |asked: &Asked| asked.server == datagram.from;
        if !self.asked.as_ref().is_some_and(from_server) {
            return false;
        }
        let Ok(answer) = Message::from_bytes(datagram.bytes) else {
            return false;
        };
        let is_answer = |asked: &mut Asked| {
            answer.is_response() && asked.transaction == answer.transaction_id()
        };
        let Some(asked) = self.asked.take_if(is_answer) else {
            return false;
        };
        if let Ok(seen) = answer.attribute::<XorMappedAddress>() {
            self.seen = Some((seen.addr(answer.transaction_id()), datagram.at));
        }
        for reply in asked.replies {
            // Who asked may not have waited.
            let _ = reply.send(());
        }
        true
    }

    /// The candidate, if there is more to say than the address itself.
    pub(super) fn candidate(&self) -> Option<Candidate> {
        let (seen, at) = self.seen.filter(|(seen, at)| seen != at)?;
        Candidate::server_reflexive(seen, at, "udp").ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "10.0.0.1:5";
    const SERVER: &str = "203.0.113.1:7700";

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn answer(question: &[u8], seen: &str) -> Vec<u8> {
        let question = Message::from_bytes(question).unwrap();
        let mut answer = Message::builder_success(&question, MessageWriteVec::new());
        let seen = XorMappedAddress::new(at(seen), question.transaction_id());
        answer.add_attribute(&seen).unwrap();
        answer.finish()
    }

    fn hear(mirror: &mut Mirror, from: &str, bytes: &[u8]) -> bool {
        let (from, at) = (at(from), at(AT));
        mirror.hear(Datagram { from, at, bytes })
    }

    #[test]
    fn the_servers_answer_counts_once_and_nobody_elses() {
        let mut mirror = Mirror::default();
        let (reply, mut replied) = oneshot::channel();
        let question = mirror.ask(at(SERVER), reply);
        let good = answer(&question, "198.51.100.7:9");
        let other = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
        for (from, bytes) in [
            ("203.0.113.2:7700", &good),
            (SERVER, &answer(&other, "198.51.100.8:9")),
            (SERVER, &question),
            (SERVER, &b"garbage".to_vec()),
        ] {
            assert!(!hear(&mut mirror, from, bytes));
            assert!(mirror.candidate().is_none() && replied.try_recv().is_err());
        }
        assert!(hear(&mut mirror, SERVER, &good));
        assert_eq!(replied.try_recv(), Ok(()));
        assert_eq!(mirror.candidate().unwrap().addr(), at("198.51.100.7:9"));
        assert!(!hear(&mut mirror, SERVER, &good), "again");
    }

    #[test]
    fn who_asks_again_asks_the_same_and_all_hear_the_answer_to_any() {
        let mut mirror = Mirror::default();
        let (first, mut heard_first) = oneshot::channel();
        let (second, mut heard_second) = oneshot::channel();
        let question = mirror.ask(at(SERVER), first);
        assert_eq!(mirror.ask(at(SERVER), second), question);
        assert!(hear(&mut mirror, SERVER, &answer(&question, AT)));
        assert_eq!(
            (heard_first.try_recv(), heard_second.try_recv()),
            (Ok(()), Ok(()))
        );
        let (third, _heard) = oneshot::channel();
        assert_ne!(mirror.ask(at(SERVER), third), question, "answered");
    }

    #[test]
    fn an_address_that_is_seen_as_it_is_needs_no_word() {
        let mut mirror = Mirror::default();
        let question = mirror.ask(at(SERVER), oneshot::channel().0);
        assert!(hear(&mut mirror, SERVER, &answer(&question, AT)));
        assert!(mirror.candidate().is_none());
    }
}
