//! The way to a broker, as it was when something began there.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use super::client::Topics;
use crate::error::{Code, Failure};
use crate::limits::BROKER_PATIENCE;

/// The way to a broker. Each has one place where it waits, however many tasks ask.
pub(super) struct Way {
    topics: Topics,
    /// Which turn of the way to the zone's broker it belongs to; none of a broker that was named.
    turn: Option<u64>,
    id: u64,
}

/// Who waits for a turn.
pub(super) type Waiting = std::collections::HashMap<u64, Waker>;

impl Way {
    pub(super) fn new(topics: &Topics, at: Option<&str>) -> Self {
        let (turns, id) = topics.begin_way();
        Self {
            topics: topics.clone(),
            turn: at.is_none().then_some(turns),
            id,
        }
    }

    /// Ready when it has become another; never for a broker that was named.
    pub(super) fn poll_turned(&self, cx: &Context<'_>) -> Poll<Failure> {
        let Some(turn) = self.turn else {
            return Poll::Pending;
        };
        match self.topics.turned(turn, self.id, cx.waker()) {
            true => Poll::Ready(Code::Gone.because("the zone has another broker now")),
            false => Poll::Pending,
        }
    }

    /// What a broker does, if it does it in time and is still the one.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let (mut work, mut late) = (pin!(work), pin!(self.topics.node().sleep(BROKER_PATIENCE)));
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            if let Poll::Ready(failure) = self.poll_turned(cx) {
                return Poll::Ready(Err(failure));
            }
            let late = late.as_mut().poll(cx);
            late.map(|_| Err(Code::TimedOut.because("the broker does not answer")))
        })
        .await
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.topics.end_way(self.id);
    }
}
