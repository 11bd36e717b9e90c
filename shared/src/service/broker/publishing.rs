//! The publisher's side: what is published at one broker leaves in its order, and is answered in it.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_channel::oneshot;

use super::client::{Topics, answer};
use super::filter::check_topic;
use super::line::Line;
use super::wire::{Ask, Tell, message};
use crate::error::{Code, Failure};
use crate::limits::{
    GROUP_BYTES_MAX, MESSAGE_OVERHEAD_BYTES, PUBLISH_BYTES_MAX, PUBLISH_QUEUE_BYTES_MAX,
};

/// How something is published.
#[derive(Clone, Debug, Default)]
pub struct Publish {
    /// The broker's node, by name or id; the zone's unless it is said.
    pub at: Option<String>,
    /// Whether it is the topic's value, which later subscribers get first.
    pub retain: bool,
    /// A name of the publisher's own, and its number for this message: the same message, sent again because
    /// nobody knew what became of it, counts once. Numbers grow; the last 1024 of them are told apart. The
    /// name is for whoever knows it: it should be drawn at random.
    pub number: Option<(String, u64)>,
    /// What is added for those who know it, as a front's own word on a message: subscribers get it with the
    /// value, with which it counts as [`PUBLISH_BYTES_MAX`]. Empty for nothing.
    pub attributes: Bytes,
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its place among all messages of the broker; none for one that was known and came again.
    pub offset: Option<u64>,
    /// The epoch of that.
    pub epoch: u64,
}

/// A message on its way: a future of what becomes of it. It goes on its way even if this is dropped.
pub struct Publishing(oneshot::Receiver<Result<Published, Failure>>);

/// What waits to leave to one broker, and for its answer.
#[derive(Default)]
pub(super) struct Queue(Mutex<Waiting>);

type Answer = oneshot::Sender<Result<Published, Failure>>;

#[derive(Default)]
struct Waiting {
    unsent: VecDeque<(Bytes, Answer)>,
    unanswered: VecDeque<(usize, Answer)>,
    bytes: usize,
    task: Option<Waker>,
    over: bool,
}

impl Publish {
    /// The message, checked: what is known to fail does not wait for a broker to say so.
    pub(super) fn message(self, topic: &str, value: &Bytes) -> Result<Bytes, Failure> {
        check_topic(topic)?;
        check_size(value, &self.attributes)?;
        let (publisher, number) = self.number.unzip();
        if publisher
            .as_ref()
            .is_some_and(|name| name.len() > GROUP_BYTES_MAX)
        {
            let message = format!("expected a publisher's name of at most {GROUP_BYTES_MAX} bytes");
            return Err(Code::TooLarge.because(message));
        }
        let ask = Ask::Publish {
            topic,
            retain: self.retain,
            publisher: publisher.as_deref(),
            number: number.unwrap_or_default(),
            attributes: (!self.attributes.is_empty()).then(|| self.attributes[..].into()),
        };
        Ok(message(&ask, value))
    }
}

/// Whether a value, with what is added to it, may be published.
///
/// # Errors
/// `too-large` if it is too long.
pub(super) fn check_size(value: &Bytes, attributes: &Bytes) -> Result<(), Failure> {
    let got = value.len() + attributes.len();
    if got > PUBLISH_BYTES_MAX {
        let most = PUBLISH_BYTES_MAX;
        let message = format!("expected at most {most} bytes to be published, got {got}");
        return Err(Code::TooLarge.because(message));
    }
    Ok(())
}

impl Future for Publishing {
    type Output = Result<Published, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let lost = || Code::Left.because("this node has left");
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|answer| answer.unwrap_or_else(|_| Err(lost())))
    }
}

impl Queue {
    pub(super) fn push(&self, message: Bytes) -> Result<Publishing, Failure> {
        let mut waiting = self.lock();
        if waiting.over {
            return Err(Code::Gone.because("the way to the broker has just been lost"));
        }
        let size = message.len() + MESSAGE_OVERHEAD_BYTES;
        if waiting.bytes + size > PUBLISH_QUEUE_BYTES_MAX {
            let most = PUBLISH_QUEUE_BYTES_MAX;
            let message = format!("{most} bytes wait to be published already");
            return Err(Code::Overloaded.because(message));
        }
        waiting.bytes += size;
        let (tell, told) = oneshot::channel();
        waiting.unsent.push_back((message, tell));
        if let Some(task) = waiting.task.take() {
            task.wake();
        }
        Ok(Publishing(told))
    }

    /// Whether there is another for what is published from now on.
    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Sends what is published, until the broker is lost: what is not answered then fails.
    pub(super) async fn run(self: Arc<Self>, topics: Topics, at: Option<String>) {
        let failure = match self.converse(&topics, at.as_deref()).await {
            Ok(never) => match never {},
            Err(failure) => failure,
        };
        topics.doubt_root();
        self.end(&failure);
        topics.ended(&at, &self);
    }

    /// Nothing more is published here: what is not answered fails.
    pub(super) fn end(&self, failure: &Failure) {
        let mut waiting = self.lock();
        waiting.over = true;
        let unsent = std::mem::take(&mut waiting.unsent);
        let unanswered = std::mem::take(&mut waiting.unanswered);
        drop(waiting);
        let unsent = unsent.into_iter().map(|(_, tell)| tell);
        for tell in unanswered.into_iter().map(|(_, tell)| tell).chain(unsent) {
            // Nobody may be waiting.
            let _ = tell.send(Err(failure.clone()));
        }
    }

    async fn converse(
        &self,
        topics: &Topics,
        at: Option<&str>,
    ) -> Result<core::convert::Infallible, Failure> {
        let (line, way) = topics.open(at).await?;
        poll_fn(|cx| {
            if let Poll::Ready(failure) = way.poll_turned(cx) {
                return Poll::Ready(Err(failure));
            }
            self.lock().task = Some(cx.waker().clone());
            loop {
                if let Err(failure) = self.send(&line, cx) {
                    return Poll::Ready(Err(failure));
                }
                match line.poll_recv(cx) {
                    Poll::Ready(Ok(message)) => {
                        if let Err(failure) = self.answered(message) {
                            line.reset(failure.clone());
                            return Poll::Ready(Err(failure));
                        }
                    }
                    Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    fn send(&self, line: &Line, cx: &Context<'_>) -> Result<(), Failure> {
        let mut waiting = self.lock();
        while let Some((message, _)) = waiting.unsent.front() {
            match line.poll_send(message, cx) {
                Poll::Ready(sent) => sent?,
                Poll::Pending => return Ok(()),
            }
            if let Some((message, tell)) = waiting.unsent.pop_front() {
                let size = message.len() + MESSAGE_OVERHEAD_BYTES;
                waiting.unanswered.push_back((size, tell));
            }
        }
        Ok(())
    }

    fn answered(&self, message: Option<Bytes>) -> Result<(), Failure> {
        let mut waiting = self.lock();
        let unasked = || Code::BadMessage.because("expected no answer without a message");
        if message.is_none() {
            return Err(Code::Left.because("the broker has ended"));
        }
        let result = match answer(message) {
            Ok(Tell::Published { offset, epoch, .. }) => Ok(Published { offset, epoch }),
            Ok(_) => return Err(unasked()),
            Err(failure) => Err(failure),
        };
        let (size, tell) = waiting.unanswered.pop_front().ok_or_else(unasked)?;
        waiting.bytes -= size;
        // Nobody may be waiting.
        let _ = tell.send(result);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
