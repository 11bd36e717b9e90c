//! The frames. Integers are big-endian; a text is what is left of its frame, in UTF-8.
//!
//! ```text
//! acme/robot/2, to the robot      1 hello: minor version (2), the caller's name
//!                                 2 move: number (4), x (4), y (4)
//!                                 3 stop
//! from the robot                  1 welcome: minor version (2), the model
//!                                 2 position: number (4), x (4), y (4), 1 if the move is over (1)
//!                                 3 refused: number (4), the reason
//! datagrams                       sequence (4), x (4), y (4)
//! acme/robot/1, to the robot      "MOVE x y"
//! from the robot                  "AT x y", then "DONE x y"; or "ERROR reason"
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes of a text at the most.
pub const TEXT_BYTES_MAX: usize = 256;

/// Where a robot is, or should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// Millimetres to the right.
    pub x: i32,
    /// Millimetres ahead.
    pub y: i32,
}

/// A frame to the robot, of `acme/robot/2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The first: the newest minor version that the caller knows, and its name.
    Hello(u16, String),
    /// Go there. What is told of it has the same number.
    Move(u32, Point),
    /// Stand still, and forget what else was asked.
    Stop,
}

/// A frame from the robot, of `acme/robot/2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The minor version that both know, and what the robot is.
    Welcome(u16, String),
    /// Where it is in the move of this number, and whether that is over.
    Position(u32, Point, bool),
    /// It will not, and why.
    Refused(u32, String),
}

/// Where a robot is, now or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Grows with each: an older one that comes later is of no use.
    pub sequence: u32,
    /// Where.
    pub at: Point,
}

/// A frame that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It is shorter than it should be.
    #[error("a frame is cut short")]
    Short,
    /// It is longer than it should be.
    #[error("a frame has {0} bytes too many")]
    Long(usize),
    /// There is no such frame.
    #[error("expected a frame of kind 1 to 3, got {0}")]
    Kind(u8),
    /// What should be text is none, or too much.
    #[error("expected at most {TEXT_BYTES_MAX} bytes of text in UTF-8")]
    Text,
    /// A line of `acme/robot/1` is none that it knows.
    #[error("expected a word and two numbers")]
    Line,
}

impl Request {
    /// The frame.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Hello(minor, name) => {
                out.put_u8(1);
                out.put_u16(*minor);
                put_text(&mut out, name);
            }
            Self::Move(number, to) => {
                out.put_u8(2);
                out.put_u32(*number);
                put_point(&mut out, *to);
            }
            Self::Stop => out.put_u8(3),
        }
        out.freeze()
    }

    /// What a frame says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(mut frame: Bytes) -> Result<Self, FrameError> {
        let request = match frame.try_get_u8()? {
            1 => Self::Hello(frame.try_get_u16()?, text(&mut frame)?),
            2 => Self::Move(frame.try_get_u32()?, point(&mut frame)?),
            3 => Self::Stop,
            kind => return Err(FrameError::Kind(kind)),
        };
        whole(request, &frame)
    }
}

impl Reply {
    /// The frame.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Welcome(minor, model) => {
                out.put_u8(1);
                out.put_u16(*minor);
                put_text(&mut out, model);
            }
            Self::Position(number, at, over) => {
                out.put_u8(2);
                out.put_u32(*number);
                put_point(&mut out, *at);
                out.put_u8(u8::from(*over));
            }
            Self::Refused(number, reason) => {
                out.put_u8(3);
                out.put_u32(*number);
                put_text(&mut out, reason);
            }
        }
        out.freeze()
    }

    /// What a frame says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(mut frame: Bytes) -> Result<Self, FrameError> {
        let reply = match frame.try_get_u8()? {
            1 => Self::Welcome(frame.try_get_u16()?, text(&mut frame)?),
            2 => {
                let (number, at) = (frame.try_get_u32()?, point(&mut frame)?);
                Self::Position(number, at, frame.try_get_u8()? == 1)
            }
            3 => Self::Refused(frame.try_get_u32()?, text(&mut frame)?),
            kind => return Err(FrameError::Kind(kind)),
        };
        whole(reply, &frame)
    }
}

impl Tick {
    /// The datagram.
    pub fn encode(self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u32(self.sequence);
        put_point(&mut out, self.at);
        out.freeze()
    }

    /// What a datagram says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(mut datagram: Bytes) -> Result<Self, FrameError> {
        let sequence = datagram.try_get_u32()?;
        let at = point(&mut datagram)?;
        whole(Self { sequence, at }, &datagram)
    }
}

/// A line of `acme/robot/1`.
pub fn line(word: &str, at: Point) -> Bytes {
    format!("{word} {} {}", at.x, at.y).into()
}

/// The word and the place that a line of `acme/robot/1` has.
///
/// # Errors
/// If it has no such things.
pub fn read_line(line: &[u8]) -> Result<(&str, Point), FrameError> {
    let text = str::from_utf8(line).map_err(|_| FrameError::Text)?;
    let words: Vec<_> = text.splitn(4, ' ').collect();
    let [word, x, y] = words[..] else {
        return Err(FrameError::Line);
    };
    match (x.parse(), y.parse()) {
        (Ok(x), Ok(y)) => Ok((word, Point { x, y })),
        _ => Err(FrameError::Line),
    }
}

impl From<bytes::TryGetError> for FrameError {
    fn from(_: bytes::TryGetError) -> Self {
        Self::Short
    }
}

fn put_point(out: &mut BytesMut, point: Point) {
    out.put_i32(point.x);
    out.put_i32(point.y);
}

fn point(frame: &mut Bytes) -> Result<Point, FrameError> {
    let (x, y) = (frame.try_get_i32()?, frame.try_get_i32()?);
    Ok(Point { x, y })
}

fn put_text(out: &mut BytesMut, text: &str) {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    out.put_slice(&text.as_bytes()[..end]);
}

fn text(frame: &mut Bytes) -> Result<String, FrameError> {
    if frame.len() > TEXT_BYTES_MAX {
        return Err(FrameError::Text);
    }
    let text = frame.split_off(0);
    String::from_utf8(text.into()).map_err(|_| FrameError::Text)
}

fn whole<T>(read: T, rest: &Bytes) -> Result<T, FrameError> {
    if rest.is_empty() {
        Ok(read)
    } else {
        Err(FrameError::Long(rest.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Point = Point { x: -3, y: i32::MAX };

    #[test]
    fn every_frame_comes_back_and_every_truncation_is_an_error() {
        let requests = [
            Request::Hello(1, "Jos\u{e9}".into()),
            Request::Move(7, AT),
            Request::Stop,
        ];
        for request in requests {
            assert_eq!(Request::decode(request.encode()), Ok(request));
        }
        let replies = [
            Reply::Welcome(0, "Acme 2".into()),
            Reply::Position(7, AT, true),
            Reply::Refused(9, "busy".into()),
        ];
        for reply in replies {
            assert_eq!(Reply::decode(reply.encode()), Ok(reply));
        }
        let position = Reply::Position(7, AT, false).encode();
        for len in 0..position.len() {
            let cut = Reply::decode(position.slice(..len));
            assert_eq!(cut, Err(FrameError::Short), "{len}");
        }
        let tick = Tick {
            sequence: 3,
            at: AT,
        };
        assert_eq!(Tick::decode(tick.encode()), Ok(tick));
    }

    #[test]
    fn what_is_no_frame_is_an_error_that_says_so() {
        let wrong: [(&[u8], FrameError); 4] = [
            (&[], FrameError::Short),
            (&[9], FrameError::Kind(9)),
            (&[3, 0, 0], FrameError::Long(2)),
            (&[1, 0, 0, 0xff], FrameError::Text),
        ];
        for (bytes, error) in wrong {
            assert_eq!(Request::decode(Bytes::from_static(bytes)), Err(error));
        }
        let long = Request::Hello(0, "\u{e9}".repeat(TEXT_BYTES_MAX)).encode();
        assert_eq!(long.len(), 3 + TEXT_BYTES_MAX);
        assert!(Request::decode(long).is_ok());
        for wrong in ["", "MOVE", "MOVE 1", "MOVE 1 2 3", "MOVE 1 x"] {
            assert_eq!(read_line(wrong.as_bytes()), Err(FrameError::Line));
        }
        assert_eq!(read_line(&line("MOVE", AT)), Ok(("MOVE", AT)));
    }
}
