//! A body on its way out: what is at hand goes in one message, and no more is asked of the body before there is
//! room for it.

use core::pin::Pin;
use core::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body as _;

use crate::error::Failure;
use crate::limits::HTTP_CHUNK_BYTES_MAX;
use crate::node::Stream;
use crate::service::http::body::Body;
use crate::service::http::head::put_end;
use crate::service::http::wire::{Part, put};

/// Data that does not fill a message waits for as much; what takes less room than this is not worth it.
const ROOM_MIN: usize = 1024;

/// What is left to send of a body.
pub(super) struct Sending {
    /// What leaves next: parts, of which some may wait for company.
    message: Vec<u8>,
    /// A message that waits for room.
    ready: Option<Bytes>,
    body: Option<Body>,
    /// Of a piece that was too large for a message.
    piece: Bytes,
}

impl Sending {
    /// A body behind a head that is written already.
    pub(super) fn new(head: Vec<u8>, body: Body) -> Self {
        Self {
            message: head,
            ready: None,
            body: Some(body),
            piece: Bytes::new(),
        }
    }

    /// Puts a part in front of what is still to come.
    pub(super) fn put(&mut self, part: &Part<'_>) {
        put(&mut self.message, part);
    }

    /// Wants no more of the body; what is written of it leaves.
    pub(super) fn stop(&mut self) {
        self.body = None;
        self.piece = Bytes::new();
    }

    /// Sends until all is sent.
    pub(super) fn poll(
        &mut self,
        stream: &Stream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        loop {
            ready!(self.poll_flush(stream, cx))?;
            let filled = self.fill(cx)?;
            if self.message.is_empty() {
                return filled.map(Ok);
            }
            self.ready = Some(core::mem::take(&mut self.message).into());
        }
    }

    /// Sends what is written, and asks nothing of the body.
    pub(super) fn poll_head(
        &mut self,
        stream: &Stream,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        ready!(self.poll_flush(stream, cx))?;
        if !self.message.is_empty() {
            self.ready = Some(core::mem::take(&mut self.message).into());
            ready!(self.poll_flush(stream, cx))?;
        }
        Poll::Pending
    }

    fn poll_flush(&mut self, stream: &Stream, cx: &Context<'_>) -> Poll<Result<(), Failure>> {
        if let Some(message) = &self.ready {
            ready!(stream.poll_send(message, cx))?;
            self.ready = None;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is at hand, at most a message full.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let most = self.message.len() + HTTP_CHUNK_BYTES_MAX;
        loop {
            let room = most.saturating_sub(self.message.len());
            if !self.piece.is_empty() {
                let piece = self.piece.split_to(self.piece.len().min(room));
                self.message.reserve(piece.len() + 16);
                put(&mut self.message, &Part::Data((&piece[..]).into()));
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(Ok(()));
            };
            if !self.piece.is_empty() || most.saturating_sub(self.message.len()) < ROOM_MIN {
                return Poll::Pending;
            }
            if body.is_end_stream() {
                self.body = None;
                put_end(&mut self.message, &HeaderMap::new())?;
                continue;
            }
            match ready!(Pin::new(body).poll_frame(cx)?) {
                None => {
                    self.body = None;
                    put_end(&mut self.message, &HeaderMap::new())?;
                }
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.piece = data,
                    Err(frame) => {
                        self.body = None;
                        put_end(
                            &mut self.message,
                            &frame.into_trailers().unwrap_or_default(),
                        )?;
                    }
                },
            }
        }
    }
}
