//! The broker's side of a publisher: messages come, answers go, in the same order.

use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::line::Line;
use super::server::Broker;
use super::state::Publish;
use super::wire::{Ask, head};
use crate::error::{Code, Failure};
use crate::limits::{BROKER_TURN_MESSAGES, GROUP_BYTES_MAX, PUBLISHES_MAX, TOPIC_BYTES_MAX};

/// Where the answers for one publisher wait until they can leave.
#[derive(Default)]
pub(super) struct Desk(Mutex<Answers>);

#[derive(Default)]
struct Answers {
    ready: VecDeque<Bytes>,
    /// How many more there will be.
    awaited: usize,
    task: Option<Waker>,
}

impl Desk {
    /// What has become of the next message.
    pub(super) fn answer(&self, answer: Bytes) {
        let mut answers = self.lock();
        answers.awaited -= 1;
        answers.ready.push_back(answer);
        if let Some(task) = answers.task.take() {
            task.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    /// Takes what is published on a line, until it ends and all is answered.
    pub(super) async fn hear(&self, line: &Line, first: Bytes) -> Result<(), Failure> {
        let desk = Arc::new(Desk::default());
        let mut next = Some(first);
        let mut finished = false;
        poll_fn(|cx| {
            let mut left = BROKER_TURN_MESSAGES;
            loop {
                if left == 0 {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                left -= 1;
                let (room, is_idle) = match send_answers(line, &desk, cx) {
                    Ok(state) => state,
                    Err(failure) => return Poll::Ready(Err(failure)),
                };
                if finished && next.is_none() && is_idle {
                    return Poll::Ready(Ok(()));
                }
                if next.is_none() && !finished && room {
                    match line.poll_recv(cx) {
                        Poll::Ready(Ok(Some(message))) => next = Some(message),
                        Poll::Ready(Ok(None)) => finished = true,
                        Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                        Poll::Pending => return Poll::Pending,
                    }
                    continue;
                }
                if next.is_none() || self.poll_room(cx).is_pending() {
                    return Poll::Pending;
                }
                if let Some(message) = next.take()
                    && let Err(failure) = self.take_in(line, &message, &desk)
                {
                    return Poll::Ready(Err(failure));
                }
            }
        })
        .await
    }

    fn take_in(&self, line: &Line, message: &Bytes, desk: &Arc<Desk>) -> Result<(), Failure> {
        let (ask, value) = head(message, "a message to be published")?;
        let Ask::Publish {
            topic,
            retain,
            publisher,
            number,
            attributes,
        } = ask
        else {
            return Err(Code::BadMessage.because("expected a message to be published"));
        };
        if topic.len() > TOPIC_BYTES_MAX || publisher.is_some_and(|p| p.len() > GROUP_BYTES_MAX) {
            return Err(Code::TooLarge.because("the topic's name, or the publisher's, is too long"));
        }
        let publish = Publish {
            sender: line.peer(),
            topic: topic.into(),
            retain,
            number: publisher.map(|publisher| (publisher.into(), number)),
            attributes: attributes.map_or_else(Bytes::new, |a| Bytes::copy_from_slice(a)),
            value,
        };
        desk.lock().awaited += 1;
        self.publish(publish, desk);
        Ok(())
    }
}

/// Sends the answers that are there; whether there may be more messages, and whether none is under way.
fn send_answers(line: &Line, desk: &Desk, cx: &Context<'_>) -> Result<(bool, bool), Failure> {
    let mut answers = desk.lock();
    while let Some(answer) = answers.ready.front() {
        match line.poll_send(answer, cx) {
            Poll::Ready(sent) => sent?,
            Poll::Pending => break,
        }
        answers.ready.pop_front();
    }
    answers.task = Some(cx.waker().clone());
    let under_way = answers.awaited + answers.ready.len();
    Ok((under_way < PUBLISHES_MAX, under_way == 0))
}
