//! One request and its response: the stream that both travel on, read by one and watched by another.

use core::task::{Context, Poll, Waker};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::HeaderMap;

use crate::error::{Code, Failure};
use crate::limits::HTTP_MESSAGE_BYTES_MAX;
use crate::node::Stream;
use crate::service::http::head;
use crate::service::http::wire::{Part, put, take};

/// What a part says, checked.
#[derive(Debug)]
pub(super) enum Piece {
    Request(Box<http::request::Parts>),
    Response(Box<http::response::Parts>),
    Data(Bytes),
    End(HeaderMap),
    Continue,
    Stop,
}

/// A stream with its two users: who reads, and who waits for what the reader learns, or for the end.
pub(super) struct Exchange {
    pub(super) stream: Stream,
    users: Arc<Users>,
    waker: Waker,
    /// What was not taken yet of the message that came last.
    rest: Mutex<Bytes>,
    /// What is read here is whole, or wanted no more.
    read: AtomicBool,
    /// What is sent here is wanted, for all that is known.
    wanted: AtomicBool,
    /// The request's body is wanted, which its sender waits to be told.
    asked: AtomicBool,
    /// The rest of the request's body is not wanted.
    stopped: AtomicBool,
}

/// A stream has one waker, which wakes both.
#[derive(Default)]
struct Users {
    reader: AtomicWaker,
    watcher: AtomicWaker,
}

impl Wake for Users {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.reader.wake();
        self.watcher.wake();
    }
}

impl Exchange {
    pub(super) fn new(stream: Stream) -> Arc<Self> {
        let users = Arc::new(Users::default());
        Arc::new(Self {
            stream,
            waker: Waker::from(Arc::clone(&users)),
            users,
            rest: Mutex::default(),
            read: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        })
    }

    /// The next piece, for the reader; `None` once the other side has finished.
    pub(super) fn poll_piece(&self, cx: &Context<'_>) -> Poll<Result<Option<Piece>, Failure>> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        if rest.is_empty() {
            self.users.reader.register(cx.waker());
            let message = match self.stream.poll_recv(&Context::from_waker(&self.waker)) {
                Poll::Ready(Ok(Some(message))) => message,
                Poll::Ready(Ok(None)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => return Poll::Pending,
            };
            if message.len() > HTTP_MESSAGE_BYTES_MAX {
                let failure = Code::TooLarge.because("a message of an HTTP exchange is too large");
                return Poll::Ready(Err(failure));
            }
            *rest = message;
        }
        Poll::Ready(next(&mut rest).map(Some))
    }

    /// A piece that has come already, without asking for more.
    pub(super) fn piece_at_hand(&self) -> Option<Result<Piece, Failure>> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        (!rest.is_empty()).then(|| next(&mut rest))
    }

    /// As [`Self::poll_broken`], of who also asks for the request's body as soon as there is room to.
    pub(super) fn poll_asking(&self, cx: &Context<'_>) -> Poll<Failure> {
        let broken = self.poll_broken(cx);
        if self.asked.load(Ordering::Acquire) {
            let mut message = Vec::new();
            put(&mut message, &Part::Continue);
            // Who is gone waits no more.
            if self.stream.poll_send(&message.into(), cx).is_ready() {
                self.asked.store(false, Ordering::Release);
            }
        }
        broken
    }

    /// Why the exchange has ended early, for the watcher.
    pub(super) fn poll_broken(&self, cx: &Context<'_>) -> Poll<Failure> {
        self.users.watcher.register(cx.waker());
        self.stream.poll_broken(&Context::from_waker(&self.waker))
    }

    /// The watcher is woken at what changes from now on.
    pub(super) fn watch(&self, cx: &Context<'_>) {
        self.users.watcher.register(cx.waker());
    }

    /// The reader has all, or wants no more.
    pub(super) fn set_read(&self) {
        self.read.store(true, Ordering::Release);
        self.users.watcher.wake();
    }

    pub(super) fn is_read(&self) -> bool {
        self.read.load(Ordering::Acquire)
    }

    pub(super) fn set_wanted(&self) {
        self.wanted.store(true, Ordering::Release);
        self.users.watcher.wake();
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// The watcher asks for the request's body.
    pub(super) fn set_asked(&self) {
        self.asked.store(true, Ordering::Release);
        self.users.watcher.wake();
    }

    /// Whether the request's body is still to be asked for; who hears so does it.
    pub(super) fn take_asked(&self) -> bool {
        self.asked.swap(false, Ordering::AcqRel)
    }

    pub(super) fn set_stopped(&self) {
        self.stopped.store(true, Ordering::Release);
        self.users.watcher.wake();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

fn next(rest: &mut Bytes) -> Result<Piece, Failure> {
    let (piece, length) = {
        let (part, length) = take(rest)?;
        let piece = match part {
            Part::Request {
                method,
                target,
                fields,
            } => Piece::Request(Box::new(head::request(method, target, &fields)?)),
            Part::Response { status, fields } => {
                Piece::Response(Box::new(head::response(status, &fields)?))
            }
            Part::Data(data) => Piece::Data(rest.slice_ref(data)),
            Part::End(fields) => Piece::End(head::trailers(&fields)?),
            Part::Continue => Piece::Continue,
            Part::Stop => Piece::Stop,
        };
        (piece, length)
    };
    *rest = rest.slice(length..);
    Ok(piece)
}
