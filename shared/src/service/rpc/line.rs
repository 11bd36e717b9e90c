//! One direction of a connection: a stream, and what waits for room on it.

use core::task::{Context, Poll, Waker};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::reference::Reference;
use crate::error::{Code, Failure};
use crate::limits::{MESSAGE_BYTES_MAX, REQUEST_QUEUE_BYTES_MAX, TRANSITS_MAX};
use crate::node::Stream;

/// One direction of a connection.
pub(super) struct Line {
    pub(super) stream: Arc<Stream>,
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    writer: Option<Waker>,
    /// References of other nodes that were sent on it and are not yet held by who gets them.
    pub(super) transits: HashMap<u64, Vec<Reference>>,
    last_transit: u64,
}

impl Line {
    pub(super) fn new(stream: Arc<Stream>) -> Self {
        Self {
            stream,
            queue: VecDeque::new(),
            queued_bytes: 0,
            writer: None,
            transits: HashMap::new(),
            last_transit: 0,
        }
    }

    /// Sends a message, at once if there is room.
    ///
    /// # Errors
    /// `overloaded` if too much waits already; why the stream has ended.
    pub(super) fn push(&mut self, message: Bytes) -> Result<(), Failure> {
        if message.len() > MESSAGE_BYTES_MAX {
            let (most, got) = (MESSAGE_BYTES_MAX, message.len());
            let message = format!("expected at most {most} bytes in a message, got {got}");
            return Err(Code::TooLarge.because(message));
        }
        if self.queue.is_empty() && self.stream.try_send(&message)? {
            return Ok(());
        }
        if self.queued_bytes + message.len() > REQUEST_QUEUE_BYTES_MAX {
            let most = REQUEST_QUEUE_BYTES_MAX;
            let message = format!("the other node takes too little: {most} bytes wait for it");
            return Err(Code::Overloaded.because(message));
        }
        self.push_later(message);
        Ok(())
    }

    /// Sends a small message, for which there is room beyond that for others.
    ///
    /// # Errors
    /// `overloaded` if that is full too; why the stream has ended.
    pub(super) fn say(&mut self, message: Bytes) -> Result<(), Failure> {
        if self.queue.is_empty() && self.stream.try_send(&message)? {
            return Ok(());
        }
        if self.queued_bytes + message.len() > REQUEST_QUEUE_BYTES_MAX / 2 * 3 {
            return Err(
                Code::Overloaded.because("the other node takes nothing of what it asks for")
            );
        }
        self.push_later(message);
        Ok(())
    }

    /// Sends a message when those before it have left.
    pub(super) fn push_later(&mut self, message: Bytes) {
        self.queued_bytes += message.len();
        self.queue.push_back(message);
        self.wake();
    }

    pub(super) fn wake(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Sends what waits; ready when all of it has left, or cannot.
    pub(super) fn poll_flush(&mut self, cx: &Context<'_>) -> Poll<Result<(), Failure>> {
        while let Some(front) = self.queue.front() {
            match self.stream.poll_send(front, cx) {
                Poll::Ready(Ok(())) => self.queued_bytes -= front.len(),
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => return Poll::Pending,
            }
            self.queue.pop_front();
        }
        self.writer = Some(cx.waker().clone());
        Poll::Ready(Ok(()))
    }

    /// Keeps references until the other node holds them, under a number.
    ///
    /// # Errors
    /// `overloaded` if it does not say so of too many.
    pub(super) fn keep(&mut self, references: Vec<Reference>) -> Result<u64, Failure> {
        if self.transits.len() >= TRANSITS_MAX {
            let message = format!("{TRANSITS_MAX} messages with references are on their way");
            return Err(Code::Overloaded.because(message));
        }
        self.last_transit += 1;
        self.transits.insert(self.last_transit, references);
        Ok(self.last_transit)
    }
}
