//! A conversation with a broker: a stream of another node, or, with the broker of this node itself, a pipe
//! that does the same.

use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::STREAM_QUEUE_BYTES;
use crate::node::Stream;

/// One end of a conversation.
pub(super) enum Line {
    Stream(Stream),
    Pipe(Pipe),
}

/// One end of a pipe.
pub(super) struct Pipe {
    node: NodeId,
    /// Which of the two directions is written here.
    side: usize,
    halves: Arc<Mutex<[Half; 2]>>,
}

/// One direction.
#[derive(Default)]
struct Half {
    queue: VecDeque<Bytes>,
    bytes: usize,
    finished: bool,
    broken: Option<Failure>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Line {
    /// Both ends of a conversation of a node with itself.
    pub(super) fn pipe(node: NodeId) -> [Self; 2] {
        let halves: Arc<Mutex<[Half; 2]>> = Arc::default();
        [0, 1].map(|side| {
            let halves = Arc::clone(&halves);
            Self::Pipe(Pipe { node, side, halves })
        })
    }

    /// The other node, which may be this one.
    pub(super) fn peer(&self) -> NodeId {
        match self {
            Self::Stream(stream) => stream.peer(),
            Self::Pipe(pipe) => pipe.node,
        }
    }

    pub(super) async fn send(&self, message: Bytes) -> Result<(), Failure> {
        poll_fn(|cx| self.poll_send(&message, cx)).await
    }

    pub(super) async fn recv(&self) -> Result<Option<Bytes>, Failure> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Sends if there is room now.
    pub(super) fn try_send(&self, message: &Bytes) -> Result<bool, Failure> {
        match self {
            Self::Stream(stream) => stream.try_send(message),
            Self::Pipe(pipe) => pipe.try_send(message, None),
        }
    }

    pub(super) fn poll_send(&self, message: &Bytes, cx: &Context<'_>) -> Poll<Result<(), Failure>> {
        match self {
            Self::Stream(stream) => stream.poll_send(message, cx),
            Self::Pipe(pipe) => match pipe.try_send(message, Some(cx)) {
                Ok(true) => Poll::Ready(Ok(())),
                Ok(false) => Poll::Pending,
                Err(failure) => Poll::Ready(Err(failure)),
            },
        }
    }

    pub(super) fn poll_recv(&self, cx: &Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        match self {
            Self::Stream(stream) => stream.poll_recv(cx),
            Self::Pipe(pipe) => pipe.poll_recv(cx),
        }
    }

    pub(super) fn finish(&self) {
        match self {
            Self::Stream(stream) => stream.finish(),
            Self::Pipe(pipe) => pipe.finish(),
        }
    }

    pub(super) fn reset(&self, failure: Failure) {
        match self {
            Self::Stream(stream) => stream.reset(failure),
            Self::Pipe(pipe) => pipe.reset(&failure),
        }
    }
}

impl Pipe {
    fn try_send(&self, message: &Bytes, cx: Option<&Context<'_>>) -> Result<bool, Failure> {
        let half = &mut self.lock()[self.side];
        if let Some(failure) = &half.broken {
            return Err(failure.clone());
        }
        if half.bytes >= STREAM_QUEUE_BYTES {
            half.writer = cx.map(|cx| cx.waker().clone());
            return Ok(false);
        }
        half.bytes += message.len();
        half.queue.push_back(message.clone());
        wake(&mut half.reader);
        Ok(true)
    }

    fn poll_recv(&self, cx: &Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        let half = &mut self.lock()[1 - self.side];
        if let Some(failure) = &half.broken {
            return Poll::Ready(Err(failure.clone()));
        }
        if let Some(message) = half.queue.pop_front() {
            half.bytes -= message.len();
            wake(&mut half.writer);
            return Poll::Ready(Ok(Some(message)));
        }
        if half.finished {
            return Poll::Ready(Ok(None));
        }
        half.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn finish(&self) {
        let half = &mut self.lock()[self.side];
        half.finished = true;
        wake(&mut half.reader);
    }

    fn reset(&self, failure: &Failure) {
        for half in &mut *self.lock() {
            if half.broken.is_none() && !(half.finished && half.queue.is_empty()) {
                half.broken = Some(failure.clone());
            }
            wake(&mut half.reader);
            wake(&mut half.writer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, [Half; 2]> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let finished = self.lock()[self.side].finished;
        if !finished {
            self.reset(&Code::Cancelled.because("the stream was dropped"));
        } else {
            // What was said last can still be read; nothing more is heard.
            let half = &mut self.lock()[1 - self.side];
            half.broken
                .get_or_insert(Code::Cancelled.because("the stream was dropped"));
            wake(&mut half.writer);
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
