//! Datagrams, as a program holds them: whole or not at all, in any order, and never waited for.

use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;

use bytes::Bytes;

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::DATAGRAMS_MAX;
use crate::node::handle::Node;
use crate::node::tap::{Direction, What};

/// Datagrams of one protocol, to and from one other node. Those that come while nobody holds this are
/// lost, as are the oldest of those that are not read.
pub struct Datagrams {
    node: Node,
    peer: NodeId,
    protocol: String,
    /// Which inbox is its own.
    serial: u64,
}

/// What has come and is not read.
#[derive(Default)]
pub(super) struct Inbox {
    serial: u64,
    waiting: VecDeque<Bytes>,
    dropped: u64,
    reader: Option<Waker>,
}

impl Node {
    /// Datagrams of `protocol` to and from `peer`. The last to ask gets what comes.
    ///
    /// # Errors
    /// Why there can be no session.
    pub fn datagrams(&self, peer: NodeId, protocol: &str) -> Result<Datagrams, Failure> {
        self.connect(peer)?;
        let key = (peer, protocol.to_owned());
        let mut inner = self.lock();
        let serial = inner.next_serial();
        let inbox = Inbox {
            serial,
            ..Inbox::default()
        };
        // Whoever had asked before learns it.
        if let Some(reader) = inner
            .datagrams
            .insert(key, inbox)
            .and_then(|old| old.reader)
        {
            reader.wake();
        }
        Ok(Datagrams {
            node: self.clone(),
            peer,
            protocol: protocol.to_owned(),
            serial,
        })
    }
}

impl Datagrams {
    /// The other node.
    pub fn peer(&self) -> NodeId {
        self.peer
    }

    /// Sends one, at once or never: of those that cannot leave the oldest are lost.
    ///
    /// # Errors
    /// `too-large` beyond [`DATAGRAM_BYTES_MAX`](crate::limits::DATAGRAM_BYTES_MAX); why there can be
    /// no session.
    pub fn send(&self, datagram: Bytes) -> Result<(), Failure> {
        let (peer, protocol) = (self.peer, &self.protocol);
        let mut inner = self.node.lock();
        let shown = inner.taps.is_open().then(|| datagram.clone());
        let sent = inner.machine.send_datagram(peer, protocol, datagram);
        inner.wake_driver();
        sent?;
        if let Some(datagram) = shown {
            let what = || What::Datagram {
                peer,
                protocol: protocol.clone(),
            };
            let now = inner.machine.now;
            inner.taps.note(now, Direction::Out, &datagram, what);
        }
        Ok(())
    }

    /// The next one that comes.
    ///
    /// # Errors
    /// `cancelled` if somebody else has asked for them.
    pub async fn recv(&self) -> Result<Bytes, Failure> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`Datagrams::recv`], to be polled.
    pub fn poll_recv(&self, cx: &Context<'_>) -> Poll<Result<Bytes, Failure>> {
        let mut inner = self.node.lock();
        let inbox = inner.datagrams.get_mut(&self.key());
        let Some(inbox) = inbox.filter(|inbox| inbox.serial == self.serial) else {
            return Poll::Ready(Err(
                Code::Cancelled.because("somebody else reads these datagrams")
            ));
        };
        if let Some(datagram) = inbox.waiting.pop_front() {
            return Poll::Ready(Ok(datagram));
        }
        inbox.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// How many came and were lost because nobody read them in time.
    pub fn dropped(&self) -> u64 {
        let inner = self.node.lock();
        inner
            .datagrams
            .get(&self.key())
            .map_or(0, |inbox| inbox.dropped)
    }

    fn key(&self) -> (NodeId, String) {
        (self.peer, self.protocol.clone())
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        let mut inner = self.node.lock();
        let own = |inbox: &Inbox| inbox.serial == self.serial;
        if inner.datagrams.get(&self.key()).is_some_and(own) {
            inner.datagrams.remove(&self.key());
        }
    }
}

impl Inbox {
    pub(super) fn push(&mut self, datagram: Bytes) {
        if self.waiting.len() >= DATAGRAMS_MAX {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(datagram);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}
