//! Bodies: of a request or response that comes, or any other as one type.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::error::{Code, Failure};
use crate::service::http::exchange::{Exchange, Piece};

/// The body of a request or response. What comes from another node is asked for as it is read; dropped before
/// its end, it tells the other node that the rest is not wanted.
#[derive(Debug)]
pub struct Body(Kind);

enum Kind {
    Full(Option<Bytes>),
    /// That of a response to HEAD: nobody knows how long it would be.
    Unsent,
    Incoming(Incoming),
    Other(Mutex<Pin<Box<Other>>>),
}

type Other = dyn HttpBody<Data = Bytes, Error = Failure> + Send;

/// Whose body it is, which is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// A request; whether its sender waits until it is asked for the body.
    Request { waits: bool },
    /// A response.
    Response,
}

struct Incoming {
    exchange: Arc<Exchange>,
    of: Of,
    /// A piece that came with the head.
    at_hand: Option<Bytes>,
    /// How many bytes are still to come, where the head has told.
    left: Option<u64>,
    over: bool,
}

impl Body {
    /// No bytes.
    pub const fn empty() -> Self {
        Self(Kind::Full(None))
    }

    /// No bytes in place of any number.
    pub(super) const fn unsent() -> Self {
        Self(Kind::Unsent)
    }

    /// Any other body.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self(Kind::Other(Mutex::new(Box::pin(Foreign(Box::pin(body))))))
    }

    /// What a stream of pieces gives.
    pub fn from_stream<S>(stream: S) -> Self
    where
        S: futures_util::Stream<Item = Result<Bytes, Failure>> + Send + 'static,
    {
        Self(Kind::Other(Mutex::new(Box::pin(Pieces(Box::pin(stream))))))
    }

    /// What comes on an exchange after its head.
    pub(super) fn incoming(
        exchange: &Arc<Exchange>,
        of: Of,
        length: Option<u64>,
    ) -> Result<Self, Failure> {
        let mut incoming = Incoming {
            exchange: Arc::clone(exchange),
            of,
            at_hand: None,
            left: length,
            over: false,
        };
        // What is whole already needs no reading, and says so.
        let Some(piece) = exchange.piece_at_hand() else {
            return Ok(Self(Kind::Incoming(incoming)));
        };
        match piece.and_then(|piece| incoming.take(Some(piece))) {
            Ok(Some(Some(frame))) => match frame.into_data() {
                Ok(data) => incoming.at_hand = Some(data),
                Err(frame) => return Ok(Self::new(Once(frame.into_trailers().ok()))),
            },
            Ok(Some(None)) => return Ok(Self::empty()),
            Ok(None) => {}
            Err(failure) => {
                incoming.fail(&failure);
                return Err(failure);
            }
        }
        Ok(Self(Kind::Incoming(incoming)))
    }

    /// Waits for the end of one that has nothing in it.
    pub(super) async fn read_empty(mut self) -> Result<(), Failure> {
        while let Some(frame) = core::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await
        {
            frame?;
        }
        Ok(())
    }

    /// All of it in one piece, of at most so many bytes.
    ///
    /// # Errors
    /// `too-large`, or why it ended early.
    pub async fn collect(mut self, most: usize) -> Result<Bytes, Failure> {
        let mut all: Vec<u8> = Vec::new();
        loop {
            let frame = core::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await;
            let Some(frame) = frame.transpose()? else {
                return Ok(all.into());
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if all.len() + data.len() > most {
                return Err(Code::TooLarge
                    .because(format!("expected a body of at most {most} bytes, got more")));
            }
            all.extend_from_slice(&data);
        }
    }
}

impl Incoming {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Some(data) = self.at_hand.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.over {
            return Poll::Ready(None);
        }
        if matches!(self.of, Of::Request { waits: true }) {
            self.of = Of::Request { waits: false };
            self.exchange.set_asked();
        }
        loop {
            let piece = ready!(self.exchange.poll_piece(cx));
            match piece.and_then(|piece| self.take(piece)) {
                Ok(None) => {}
                Ok(Some(frame)) => return Poll::Ready(frame.map(Ok)),
                Err(failure) => {
                    self.fail(&failure);
                    return Poll::Ready(Some(Err(failure)));
                }
            }
        }
    }

    /// What a piece means: nothing to hand on, the next frame, or the end.
    fn take(&mut self, piece: Option<Piece>) -> Result<Option<Option<Frame<Bytes>>>, Failure> {
        match (piece, self.of) {
            (Some(Piece::Data(data)), _) => {
                if let Some(left) = &mut self.left {
                    let rest = left.checked_sub(data.len() as u64);
                    *left = rest.ok_or_else(|| bad("a body as long as its head says, got more"))?;
                }
                Ok((!data.is_empty()).then(|| Some(Frame::data(data))))
            }
            (Some(Piece::End(trailers)), _) => {
                if self.left.is_some_and(|left| left > 0) {
                    return Err(bad("a body as long as its head says, got less"));
                }
                self.over = true;
                self.exchange.set_read();
                Ok(Some(
                    (!trailers.is_empty()).then(|| Frame::trailers(trailers)),
                ))
            }
            (Some(Piece::Continue), Of::Response) => {
                self.exchange.set_wanted();
                Ok(None)
            }
            (Some(Piece::Stop), Of::Response) => {
                self.exchange.set_stopped();
                Ok(None)
            }
            (Some(_), _) => Err(bad("a piece of a body")),
            (None, _) => Err(bad("the end of a body, got the end of the stream")),
        }
    }

    fn fail(&mut self, failure: &Failure) {
        self.over = true;
        self.exchange.stream.reset(failure.clone());
        self.exchange.set_read();
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.over {
            match self.of {
                Of::Request { .. } => self.exchange.set_stopped(),
                Of::Response => {
                    let failure = Code::Cancelled.because("the response is not wanted any more");
                    self.exchange.stream.reset(failure);
                }
            }
            self.exchange.set_read();
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match &mut self.0 {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Unsent => Poll::Ready(None),
            Kind::Incoming(incoming) => incoming.poll(cx),
            Kind::Other(body) => unlocked(body).as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Unsent => true,
            Kind::Incoming(incoming) => incoming.over && incoming.at_hand.is_none(),
            Kind::Other(body) => body
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Unsent => SizeHint::default(),
            Kind::Incoming(incoming) => {
                let at_hand = incoming.at_hand.as_ref().map_or(0, Bytes::len) as u64;
                let exact = |left: u64| SizeHint::with_exact(left.saturating_add(at_hand));
                incoming.left.map_or_else(SizeHint::default, exact)
            }
            Kind::Other(body) => body
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .size_hint(),
        }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        let bytes = bytes.into();
        Self(Kind::Full((!bytes.is_empty()).then_some(bytes)))
    }
}

impl core::fmt::Debug for Kind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "full",
            Self::Unsent => "unsent",
            Self::Incoming(_) => "incoming",
            Self::Other(_) => "other",
        })
    }
}

/// A body of another type. Its failures may be anybody's words, which go no further.
struct Foreign<B>(Pin<Box<B>>);

impl<B> HttpBody for Foreign<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        self.0
            .as_mut()
            .poll_frame(cx)
            .map_err(|error| failure_of(error.into()))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// A failure that was wrapped as any error, or the word that a body failed.
fn failure_of(error: Box<dyn StdError + Send + Sync>) -> Failure {
    let mut source: Option<&(dyn StdError + 'static)> = Some(&*error);
    while let Some(error) = source {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return failure.clone();
        }
        source = error.source();
    }
    Code::Cancelled.because("a body has failed before its end")
}

struct Pieces<S>(Pin<Box<S>>);

impl<S: futures_util::Stream<Item = Result<Bytes, Failure>>> HttpBody for Pieces<S> {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        self.0.as_mut().poll_next(cx).map_ok(Frame::data)
    }
}

/// Trailers alone.
struct Once(Option<HeaderMap>);

impl HttpBody for Once {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        Poll::Ready(self.0.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

/// What nobody else can have locked.
fn unlocked<T>(mutex: &mut Mutex<T>) -> &mut T {
    mutex.get_mut().unwrap_or_else(PoisonError::into_inner)
}

fn bad(expected: &str) -> Failure {
    Code::BadMessage.because(format!("expected {expected}"))
}
