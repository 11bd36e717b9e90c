//! Messages on a line of bytes. On a socket each has its length before it. A serial line loses bytes and
//! begins anywhere: there a message has a number and a checksum, and zeros around it that are nowhere in it (COBS).

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use peerage::limits::{PROGRAM_MESSAGE_BYTES_MAX, SERIAL_FRAME_BYTES_MAX};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use crate::front::out::Mouth;

/// How messages are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By their lengths: 32 bits, big-endian.
    Length,
    /// By zeros: number (32 bits, big-endian), message, CRC-32 of both (IEEE 802.3, big-endian), in COBS.
    Serial,
}

/// Why no message comes any more.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The line has ended.
    #[error("the line has ended")]
    Ended,
    /// The line is out of order.
    #[error("the line is out of order: {0}")]
    Io(#[from] io::Error),
    /// A message is longer than any may be.
    #[error("expected a frame of at most {most} bytes, got {got}")]
    TooLarge {
        /// The limit.
        most: usize,
        /// How long it is, or how much of it has come.
        got: usize,
    },
    /// Something was lost on a serial line.
    #[error("expected frame {expected} on the serial line, got {got}")]
    Lost {
        /// The number of the next one.
        expected: u32,
        /// What came.
        got: String,
    },
}

/// The side that reads.
pub struct Reader<R> {
    line: R,
    framing: Framing,
    come: BytesMut,
    /// Of a serial line: the number of the next message, once there was one.
    next: Option<u32>,
    /// When the last byte came.
    heard: Instant,
}

/// The side that writes.
pub struct Writer<W> {
    line: W,
    framing: Framing,
    next: u32,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Reads messages from a line.
    pub fn new(line: R, framing: Framing) -> Self {
        Self {
            line,
            framing,
            come: BytesMut::new(),
            next: None,
            heard: Instant::now(),
        }
    }

    /// How messages are kept apart.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// How long nothing has come.
    pub fn silence(&self) -> Duration {
        self.heard.elapsed()
    }

    /// The next message. Dropped before it is there, nothing is lost.
    ///
    /// # Errors
    /// Why there is none. After [`FrameError::Lost`] one may go on: what comes next begins anew.
    pub async fn next(&mut self) -> Result<Bytes, FrameError> {
        loop {
            let message = match self.framing {
                Framing::Length => self.by_length()?,
                Framing::Serial => self.between_zeros()?,
            };
            if let Some(message) = message {
                return Ok(message);
            }
            if self.line.read_buf(&mut self.come).await? == 0 {
                return Err(FrameError::Ended);
            }
            self.heard = Instant::now();
        }
    }

    fn by_length(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some((length, rest)) = self.come.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        let most = PROGRAM_MESSAGE_BYTES_MAX;
        if length > most {
            return Err(FrameError::TooLarge { most, got: length });
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.come.advance(4);
        Ok(Some(self.come.split_to(length).freeze()))
    }

    fn between_zeros(&mut self) -> Result<Option<Bytes>, FrameError> {
        while let Some(end) = self.come.iter().position(|byte| *byte == 0) {
            let frame = self.come.split_to(end + 1);
            let stuffed = &frame[..end];
            if stuffed.is_empty() {
                continue;
            }
            match (opened(stuffed), self.next) {
                // The other side has begun anew.
                (Some((0, message)), _) => {
                    self.next = Some(1);
                    return Ok(Some(message));
                }
                (Some((number, message)), next) if next.is_none_or(|next| next == number) => {
                    self.next = Some(number.wrapping_add(1));
                    return Ok(Some(message));
                }
                // The middle of something, from before we listened.
                (None, None) => {}
                (got, Some(expected)) => {
                    self.next = None;
                    let got = got.map_or_else(|| "damage".into(), |(number, _)| number.to_string());
                    return Err(FrameError::Lost { expected, got });
                }
                (Some(_), None) => {}
            }
        }
        let (most, got) = (SERIAL_FRAME_BYTES_MAX, self.come.len());
        if got > most {
            self.come.clear();
            self.next = None;
            return Err(FrameError::TooLarge { most, got });
        }
        Ok(None)
    }
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Writes messages to a line.
    pub fn new(line: W, framing: Framing) -> Self {
        let next = 0;
        Self {
            line,
            framing,
            next,
        }
    }

    /// Writes a message.
    ///
    /// # Errors
    /// What the system says; that it is too long for the line.
    pub async fn write(&mut self, message: &[u8]) -> Result<(), FrameError> {
        let frame = match self.framing {
            Framing::Length => [&(message.len() as u32).to_be_bytes()[..], message].concat(),
            Framing::Serial => {
                // COBS adds a byte for each 254, and there are number, checksum and zeros.
                let (most, got) = (SERIAL_FRAME_BYTES_MAX / 256 * 255 - 16, message.len());
                if got > most {
                    return Err(FrameError::TooLarge { most, got });
                }
                let number = self.next;
                self.next = number.wrapping_add(1);
                closed(number, message)
            }
        };
        self.line.write_all(&frame).await?;
        Ok(self.line.flush().await?)
    }
}

impl<W: AsyncWrite + Unpin + Send + 'static> Mouth for Writer<W> {
    async fn say(&mut self, message: Bytes) -> bool {
        self.write(&message).await.is_ok()
    }
}

/// A serial frame, with the zeros around it.
fn closed(number: u32, message: &[u8]) -> Vec<u8> {
    let mut plain = [&number.to_be_bytes()[..], message].concat();
    plain.extend(crc32fast::hash(&plain).to_be_bytes());
    let mut frame = Vec::with_capacity(plain.len() + plain.len() / 254 + 3);
    frame.push(0);
    stuff(&plain, &mut frame);
    frame.push(0);
    frame
}

/// Number and message of what was between two zeros, if it is whole.
fn opened(stuffed: &[u8]) -> Option<(u32, Bytes)> {
    let plain = unstuff(stuffed)?;
    let (checked, sum) = plain.split_last_chunk::<4>()?;
    let (number, message) = checked.split_first_chunk::<4>()?;
    let is_whole = crc32fast::hash(checked) == u32::from_be_bytes(*sum);
    is_whole.then(|| (u32::from_be_bytes(*number), Bytes::copy_from_slice(message)))
}

/// Consistent overhead byte stuffing: each zero becomes the distance to the next one.
fn stuff(plain: &[u8], to: &mut Vec<u8>) {
    for part in plain.split(|byte| *byte == 0) {
        let mut chunks = part.chunks(254).peekable();
        if chunks.peek().is_none() {
            to.push(1);
        }
        while let Some(chunk) = chunks.next() {
            to.push(chunk.len() as u8 + 1);
            to.extend_from_slice(chunk);
            // A full chunk stands for no zero; one that ends a part needs another that does.
            if chunk.len() == 254 && chunks.peek().is_none() {
                to.push(1);
            }
        }
    }
}

fn unstuff(mut stuffed: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(stuffed.len());
    while let Some((code, rest)) = stuffed.split_first() {
        let length = usize::from(*code).checked_sub(1)?;
        let (chunk, rest) = rest.split_at_checked(length)?;
        plain.extend_from_slice(chunk);
        if length < 254 && !rest.is_empty() {
            plain.push(0);
        }
        stuffed = rest;
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stuffed_has_no_zeros_and_comes_back() {
        let mut cases = vec![vec![], vec![0], vec![0, 0], vec![1, 0, 2], vec![0; 300]];
        for length in [253, 254, 255, 508, 509, 1000] {
            cases.push(vec![7; length]);
            cases.push([vec![7; length], vec![0]].concat());
            cases.push([vec![7; length], vec![0, 9]].concat());
        }
        for plain in cases {
            let mut stuffed = Vec::new();
            stuff(&plain, &mut stuffed);
            assert!(!stuffed.contains(&0));
            assert_eq!(unstuff(&stuffed), Some(plain));
        }
        assert_eq!(unstuff(&[9, 1]), None);
        // As in the paper by Cheshire and Baker.
        let mut stuffed = Vec::new();
        stuff(&[0x11, 0x22, 0, 0x33], &mut stuffed);
        assert_eq!(stuffed, [3, 0x11, 0x22, 2, 0x33]);
    }

    #[tokio::test]
    async fn messages_come_as_they_were_written() {
        for framing in [Framing::Length, Framing::Serial] {
            let (here, there) = tokio::io::duplex(64);
            let (mut writer, mut reader) =
                (Writer::new(here, framing), Reader::new(there, framing));
            let messages = [vec![], vec![0; 3], vec![5; 1000], b"end".to_vec()];
            let said = messages.clone();
            let saying = async move {
                for message in &said {
                    writer.write(message).await.unwrap();
                }
            };
            let hearing = async {
                for message in messages {
                    assert_eq!(reader.next().await.unwrap(), message);
                }
            };
            tokio::join!(saying, hearing);
            assert!(matches!(reader.next().await, Err(FrameError::Ended)));
        }
    }

    async fn heard(bytes: &[u8], framing: Framing) -> Vec<Result<Bytes, FrameError>> {
        let mut reader = Reader::new(bytes, framing);
        let mut heard = Vec::new();
        loop {
            match reader.next().await {
                Err(FrameError::Ended) => return heard,
                next => {
                    let goes_on = matches!(next, Ok(_) | Err(FrameError::Lost { .. }));
                    heard.push(next);
                    if !goes_on {
                        return heard;
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn a_serial_line_finds_its_place_and_notices_what_is_lost() {
        let frames: Vec<_> = (4..8).map(|n| closed(n, &[n as u8, 0])).collect();
        let from_the_middle = [&frames[0][5..], &frames[1], &frames[2]].concat();
        let heard_of = heard(&from_the_middle, Framing::Serial).await;
        assert_eq!(heard_of.len(), 2);
        assert!(heard_of.iter().all(Result::is_ok));
        let with_a_gap = [&frames[0][..], &frames[2], &frames[3]].concat();
        let heard_of = heard(&with_a_gap, Framing::Serial).await;
        assert!(matches!(
            heard_of[1],
            Err(FrameError::Lost { expected: 5, .. })
        ));
        assert_eq!(heard_of[2].as_ref().unwrap()[..], [7, 0]);
        for at in 1..frames[1].len() - 1 {
            let mut damaged = frames[1].clone();
            damaged[at] ^= 0x40;
            let bytes = [&frames[0][..], &damaged].concat();
            let heard_of = heard(&bytes, Framing::Serial).await;
            assert!(matches!(heard_of[1], Err(FrameError::Lost { .. })), "{at}");
        }
    }

    #[tokio::test]
    async fn a_side_that_begins_anew_is_heard_from_its_first_message() {
        let anew = [closed(7, b"ping"), closed(0, b"hello"), closed(1, b"ping")].concat();
        let heard_of = heard(&anew, Framing::Serial).await;
        let heard_of: Vec<_> = heard_of.into_iter().map(Result::unwrap).collect();
        assert_eq!(heard_of, [&b"ping"[..], b"hello", b"ping"]);
    }

    #[tokio::test]
    async fn what_is_too_long_is_refused_before_it_is_there() {
        let long = heard(&[0xff; 8], Framing::Length).await;
        assert!(matches!(long[0], Err(FrameError::TooLarge { .. })));
        let long = heard(&vec![1; SERIAL_FRAME_BYTES_MAX + 1], Framing::Serial).await;
        assert!(matches!(long[0], Err(FrameError::TooLarge { .. })));
        let mut writer = Writer::new(Vec::new(), Framing::Serial);
        let most = SERIAL_FRAME_BYTES_MAX / 256 * 255 - 16;
        assert!(writer.write(&vec![9; most + 1]).await.is_err());
        writer.write(&vec![9; most]).await.unwrap();
        assert!(writer.line.len() < SERIAL_FRAME_BYTES_MAX);
        assert_eq!(
            heard(&writer.line, Framing::Serial).await[0]
                .as_ref()
                .unwrap()
                .len(),
            most
        );
    }
}
