//! A stream, as a program holds it: messages in both directions, in order.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::{Sink, Stream as FuturesStream};

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::OFFER_TIMEOUT;
use crate::node::events::StreamKey;
use crate::node::handle::{Inner, Node};
use crate::node::tap::{Direction, What};
use crate::stream::Priority;
use crate::stream::flow::Read;

/// One conversation with another node. Dropped before it is finished, it is reset as cancelled.
///
/// It is a sink and a stream of [`Bytes`] as well, each a message; `futures::StreamExt::split` makes two
/// halves of it. To close the sink is to finish. As a stream it ends after the first error.
pub struct Stream {
    node: Node,
    key: StreamKey,
    protocol: String,
    /// The stream of messages has told why there are no more.
    told: bool,
}

impl Stream {
    pub(super) fn new(node: Node, key: StreamKey, protocol: &str) -> Self {
        Self {
            node,
            key,
            protocol: protocol.to_owned(),
            told: false,
        }
    }

    /// A stream for which these protocols were offered, once one of them is chosen.
    pub(super) async fn agreed(
        node: Node,
        key: StreamKey,
        protocols: &[&str],
    ) -> Result<Self, Failure> {
        // Held while it waits: who gives up resets the stream.
        let mut stream = Self::new(node, key, "");
        let place = stream.chosen().await?;
        let chosen = protocols.get(usize::from(place)).copied();
        chosen.unwrap_or_default().clone_into(&mut stream.protocol);
        Ok(stream)
    }

    async fn chosen(&self) -> Result<u8, Failure> {
        let chosen = poll_fn(|cx| self.poll_choice(cx));
        let timeout = pin!(self.node.sleep(OFFER_TIMEOUT));
        match select(chosen, timeout).await {
            Either::Left((chosen, _)) => chosen,
            Either::Right(_) => Err(Code::TimedOut.because("it does not choose a protocol")),
        }
    }

    fn poll_choice(&self, cx: &Context<'_>) -> Poll<Result<u8, Failure>> {
        let mut inner = self.node.lock();
        let choice = inner.machine.choice(self.key).transpose();
        if choice.is_none() {
            inner.readers.insert(self.key, cx.waker().clone());
        }
        choice.map_or(Poll::Pending, Poll::Ready)
    }

    /// The other node.
    pub fn peer(&self) -> NodeId {
        self.key.peer
    }

    /// Which session it is of, among all that there ever were with the other node.
    pub fn session(&self) -> u64 {
        self.key.session
    }

    /// What is spoken on it.
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// Sends a message, once there is room for it.
    ///
    /// # Errors
    /// Why the stream has ended.
    pub async fn send(&self, message: Bytes) -> Result<(), Failure> {
        poll_fn(|cx| self.poll_send(&message, cx)).await
    }

    /// Sends a message if there is room for it now; `false` if there is none.
    ///
    /// # Errors
    /// Why the stream has ended.
    pub fn try_send(&self, message: &Bytes) -> Result<bool, Failure> {
        let mut inner = self.node.lock();
        let sent = inner.machine.send(self.key, message)?;
        if sent {
            self.note(&mut inner, Direction::Out, message);
        }
        inner.wake_driver();
        Ok(sent)
    }

    /// As [`Stream::send`], to be polled.
    pub fn poll_send(&self, message: &Bytes, cx: &Context<'_>) -> Poll<Result<(), Failure>> {
        let mut inner = self.node.lock();
        match inner.machine.send(self.key, message) {
            Ok(true) => {
                self.note(&mut inner, Direction::Out, message);
                inner.wake_driver();
                Poll::Ready(Ok(()))
            }
            Ok(false) => {
                inner.writers.insert(self.key, cx.waker().clone());
                Poll::Pending
            }
            Err(failure) => Poll::Ready(Err(failure)),
        }
    }

    /// The next message; `None` once the other side has finished.
    ///
    /// # Errors
    /// Why the stream has ended early.
    pub async fn recv(&self) -> Result<Option<Bytes>, Failure> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`Stream::recv`], to be polled.
    pub fn poll_recv(&self, cx: &Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        let mut inner = self.node.lock();
        match inner.machine.read(self.key) {
            Read::Message(message) => {
                self.note(&mut inner, Direction::In, &message);
                inner.wake_driver();
                Poll::Ready(Ok(Some(message)))
            }
            Read::Finished => Poll::Ready(Ok(None)),
            Read::Reset(failure) => Poll::Ready(Err(failure)),
            Read::Nothing => {
                inner.readers.insert(self.key, cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Waits until the stream ends early, whatever may come before, and tells why.
    pub async fn broken(&self) -> Failure {
        poll_fn(|cx| self.poll_broken(cx)).await
    }

    /// As [`Stream::broken`], to be polled.
    pub fn poll_broken(&self, cx: &Context<'_>) -> Poll<Failure> {
        let mut inner = self.node.lock();
        match inner.machine.failure(self.key) {
            Some(failure) => Poll::Ready(failure),
            None => {
                inner.readers.insert(self.key, cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Notes a message for who looks at what this node sends and receives.
    fn note(&self, inner: &mut Inner, direction: Direction, message: &[u8]) {
        let what = || What::Message {
            peer: self.key.peer,
            protocol: self.protocol.clone(),
            stream: self.key.stream.0,
        };
        let now = inner.machine.now;
        inner.taps.note(now, direction, message, what);
    }

    /// How urgent what is sent from here is, from now on. A message longer than 256 KiB counts as bulk in
    /// any case.
    pub fn set_priority(&self, priority: Priority) {
        self.node
            .act(|machine| machine.set_priority(self.key, priority));
    }

    /// No more messages from here. What was sent still arrives.
    pub fn finish(&self) {
        self.node.act(|machine| machine.finish(self.key));
    }

    /// Ends both directions now, and tells the other side why.
    pub fn reset(&self, failure: Failure) {
        self.node.act(|machine| machine.reset(self.key, failure));
    }
}

impl Sink<Bytes> for Stream {
    type Error = Failure;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let mut inner = self.node.lock();
        let ready = inner.machine.is_ready(self.key);
        inner.wake_driver();
        if ready == Ok(false) {
            inner.writers.insert(self.key, cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(ready.map(|_| ()))
    }

    fn start_send(self: Pin<&mut Self>, message: Bytes) -> Result<(), Failure> {
        let unasked = || Code::Overloaded.because("expected to be asked for room before");
        let sent = self.try_send(&message)?;
        sent.then_some(()).ok_or_else(unasked)
    }

    /// Nothing is kept back: what was sent leaves as soon as it may.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

impl FuturesStream for Stream {
    type Item = Result<Bytes, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.told {
            return Poll::Ready(None);
        }
        let next = self.poll_recv(cx).map(Result::transpose);
        self.told = matches!(next, Poll::Ready(None | Some(Err(_))));
        next
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut inner = self.node.lock();
        inner.readers.remove(&self.key);
        inner.writers.remove(&self.key);
        let machine = &mut inner.machine;
        machine.abandon(self.key, Code::Cancelled.because("the stream was dropped"));
        inner.wake_driver();
    }
}
