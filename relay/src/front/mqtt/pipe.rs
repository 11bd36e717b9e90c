//! Packets on a connection: what has come of them, and what is to leave.

use bytes::BytesMut;
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::v5::Packet;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::time::{Instant, timeout};

use super::limits::{LAST_WORDS_TIMEOUT, OUT_BYTES_FULL, OUT_BYTES_MAX, READ_BYTES};
use super::wire::Wire;

/// A connection to a client, whatever it is made of.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// The packets on one.
pub(super) struct Pipe {
    pub(super) inward: Inward,
    pub(super) outward: Outward,
    wire: Wire,
}

/// What comes.
pub(super) struct Inward {
    half: ReadHalf<Box<dyn Connection>>,
    bytes: BytesMut,
}

/// What leaves.
pub(super) struct Outward {
    half: WriteHalf<Box<dyn Connection>>,
    bytes: BytesMut,
    /// When the client last took something, or had nothing to take.
    moved: Instant,
}

impl Pipe {
    pub(super) fn new(connection: impl Connection + 'static) -> Self {
        let connection: Box<dyn Connection> = Box::new(connection);
        let (read, write) = split(connection);
        Self {
            inward: Inward {
                half: read,
                bytes: BytesMut::new(),
            },
            outward: Outward {
                half: write,
                bytes: BytesMut::new(),
                moved: Instant::now(),
            },
            wire: Wire::Unknown,
        }
    }

    /// The next packet, if it has come.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn packet(&mut self) -> Result<Option<Packet>, DecodeError> {
        let packet = self.wire.decode(&mut self.inward.bytes)?;
        if packet.is_none() && self.inward.bytes.is_empty() {
            // A connection holds no buffers while it is idle.
            self.inward.bytes = BytesMut::new();
        }
        Ok(packet)
    }

    /// The next packet; nothing at the end.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) async fn recv(&mut self) -> Result<Option<Packet>, DecodeError> {
        loop {
            if let Some(packet) = self.packet()? {
                return Ok(Some(packet));
            }
            if !self.inward.fill().await {
                return Ok(None);
            }
        }
    }

    /// Lets a packet leave; one that is longer than the client takes does not.
    pub(super) fn put(&mut self, packet: Packet) {
        if self.outward.bytes.is_empty() {
            self.outward.moved = Instant::now();
        }
        let before = self.outward.bytes.len();
        if let Err(error) = self.wire.encode(packet, &mut self.outward.bytes) {
            self.outward.bytes.truncate(before);
            tracing::debug!(target: peerage::log::MESSAGE, %error, "an MQTT packet does not leave");
        }
    }

    /// Takes longer packets from now on, and sends none beyond what the client takes.
    pub(super) fn welcome(&mut self, most: Option<u32>) {
        self.wire.welcome(most);
    }

    /// Whether reasons can be told.
    pub(super) fn is_five(&self) -> bool {
        self.wire.is_five()
    }

    /// Lets leave what is left, and ends the connection.
    pub(super) async fn close(&mut self) {
        let last_words = async {
            while self.outward.has_bytes() && self.outward.flush().await {}
            // Who is gone need not be told.
            let _ = self.outward.half.shutdown().await;
        };
        let _ = timeout(LAST_WORDS_TIMEOUT, last_words).await;
    }
}

impl Inward {
    /// Reads more; whether there was any. What has come stays if this is dropped.
    pub(super) async fn fill(&mut self) -> bool {
        self.bytes.reserve(READ_BYTES);
        let read = self.half.read_buf(&mut self.bytes).await;
        matches!(read, Ok(1..))
    }
}

impl Outward {
    pub(super) fn has_bytes(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Whether the client gets no more messages for now.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= OUT_BYTES_FULL
    }

    /// Whether no more is read of the client for now.
    pub(super) fn is_stuck(&self) -> bool {
        self.bytes.len() >= OUT_BYTES_MAX
    }

    /// Since when the client takes nothing.
    pub(super) fn moved(&self) -> Instant {
        self.moved
    }

    /// Writes some of what is left; whether that could be. Nothing is written twice if this is dropped.
    pub(super) async fn flush(&mut self) -> bool {
        let written = self.half.write_buf(&mut self.bytes).await;
        self.moved = Instant::now();
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
        matches!(written, Ok(1..))
    }
}
