//! The stream below a WebSocket, with buffers that exist only while there is something in them: what
//! has come is taken in one go, what is to leave is gathered without a copy.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::link::stream::Stream;

/// Bytes taken in one go.
const TAKEN_BYTES: usize = 32 * 1024;
/// Pieces given in one go.
const GIVEN_PIECES: usize = 32;
/// Bytes that wait to leave before no more are gathered.
const GATHERED_BYTES: usize = 64 * 1024;

/// The stream, what has come and was not asked for yet, and what has not left yet.
pub(super) struct Pipe {
    stream: Stream,
    taken: BytesMut,
    gathered: VecDeque<Bytes>,
    gathered_bytes: usize,
    closed: bool,
}

impl Pipe {
    /// `taken` has come already.
    pub(crate) fn new(stream: Stream, taken: &[u8]) -> Self {
        Self {
            stream,
            taken: BytesMut::from(taken),
            gathered: VecDeque::new(),
            gathered_bytes: 0,
            closed: false,
        }
    }

    /// Whether what was gathered should leave before there is more.
    pub(crate) fn is_full(&self) -> bool {
        self.gathered_bytes >= GATHERED_BYTES
    }

    /// Gathers a piece of what is to leave.
    pub(crate) fn gather(&mut self, piece: Bytes) {
        self.gathered_bytes += piece.len();
        self.gathered.push_back(piece);
    }

    /// Nothing but the socket's own last words may follow.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // There is no need of room before there is something to take.
        ready!(self.stream.poll_read_ready(cx))?;
        self.taken.reserve(TAKEN_BYTES);
        poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.taken).map_ok(drop)
    }

    /// Gives to the stream what was gathered.
    fn poll_give(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let mut pieces = [IoSlice::new(&[]); GIVEN_PIECES];
            for (slot, piece) in pieces.iter_mut().zip(&self.gathered) {
                *slot = IoSlice::new(piece);
            }
            let count = self.gathered.len().min(GIVEN_PIECES);
            let stream = Pin::new(&mut self.stream);
            let given = ready!(stream.poll_write_vectored(cx, &pieces[..count]))?;
            if given == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.forget(given);
        }
        self.gathered.shrink_to(4);
        Poll::Ready(Ok(()))
    }

    fn forget(&mut self, mut given: usize) {
        self.gathered_bytes -= given;
        while let Some(piece) = self.gathered.front_mut() {
            if given < piece.len() {
                return piece.advance(given);
            }
            given -= piece.len();
            self.gathered.pop_front();
        }
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let more = if this.taken.is_empty() {
            this.poll_take(cx)
        } else {
            Poll::Ready(Ok(()))
        };
        let len = this.taken.len().min(buf.remaining());
        buf.put_slice(&this.taken[..len]);
        this.taken.advance(len);
        if this.taken.is_empty() {
            this.taken = BytesMut::new();
        }
        more
    }
}

impl AsyncWrite for Pipe {
    /// Takes all or nothing, so that frames written here stand between gathered ones and not within.
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_full() {
            ready!(self.poll_give(cx))?;
        }
        self.gather(Bytes::copy_from_slice(buf));
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_give(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_give(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pipe(taken: &[u8]) -> (Pipe, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        (
            Pipe::new(Stream::Plain(ours.unwrap()), taken),
            theirs.unwrap().0,
        )
    }

    #[tokio::test]
    async fn what_was_gathered_leaves_whole_and_in_order() {
        let (mut pipe, mut other) = pipe(&[]).await;
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            other.read_to_end(&mut all).await.unwrap();
            all
        });
        let mut expected = Vec::new();
        for n in 0..100u8 {
            let piece = vec![n; 60_000];
            expected.extend_from_slice(&piece);
            if n % 7 == 0 {
                assert_eq!(pipe.write(&piece).await.unwrap(), piece.len());
            } else {
                pipe.gather(piece.into());
            }
        }
        pipe.shutdown().await.unwrap();
        assert_eq!((pipe.gathered_bytes, pipe.gathered.len()), (0, 0));
        assert!(reading.await.unwrap() == expected);
    }

    #[tokio::test]
    async fn a_reader_that_is_stuck_fills_the_pipe_and_not_the_memory() {
        let (mut pipe, _other) = pipe(&[]).await;
        let piece = [0; 1000];
        let flood = async { while pipe.write(&piece).await.is_ok() {} };
        let stuck = tokio::time::timeout(std::time::Duration::from_millis(200), flood).await;
        assert!(stuck.is_err() && pipe.is_full());
        assert!(pipe.gathered_bytes < GATHERED_BYTES + piece.len());
    }

    #[tokio::test]
    async fn what_comes_is_read_in_order_and_leaves_no_buffer() {
        let (mut pipe, mut other) = pipe(b"first, ").await;
        other.write_all(&[7; 100_000]).await.unwrap();
        let mut read = vec![0; 100_007];
        for part in read.chunks_mut(1024) {
            pipe.read_exact(part).await.unwrap();
        }
        assert!(read.starts_with(b"first, ") && read[7..] == [7; 100_000]);
        assert_eq!(pipe.taken.capacity(), 0);
    }
}
