//! Who moves a robot from afar.

use futures_util::StreamExt;
use peerage::node::{Datagrams, Stream};
use peerage::{Failure, Node, NodeId};

use crate::wire::{FrameError, Point, Reply, Request, Tick, line, read_line};
use crate::{V1, V2};

/// The newest minor version of `acme/robot/2` that is known here.
pub(crate) const MINOR: u16 = 1;

/// A robot at another node.
pub struct Remote {
    stream: Stream,
    spoken: Spoken,
}

enum Spoken {
    V1,
    V2 { minor: u16, last: u32 },
}

/// Where a robot is, told often and never twice.
pub struct Telemetry {
    datagrams: Datagrams,
    last: Option<u32>,
}

/// Why a robot does not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum RobotError {
    /// It cannot be reached, or speaks none of this.
    #[error(transparent)]
    Unreachable(#[from] Failure),
    /// It does not speak as it should.
    #[error("not understood: {0}")]
    Misunderstood(#[from] FrameError),
    /// It says something out of place.
    #[error("expected {0}")]
    Unexpected(&'static str),
    /// It will not.
    #[error("refused: {0}")]
    Refused(String),
}

impl Remote {
    /// The robot at `peer`, by the newest version that it speaks.
    ///
    /// # Errors
    /// `unknown-protocol` if that node is no robot; why it cannot be reached.
    pub async fn connect(node: &Node, peer: NodeId) -> Result<Self, RobotError> {
        let stream = node.open_any(peer, &[V2, V1]).await?;
        let mut remote = Self {
            spoken: Spoken::V1,
            stream,
        };
        if remote.stream.protocol() == V2 {
            let name = node.name().map(|name| name.to_string());
            let hello = Request::Hello(MINOR, name.unwrap_or_default());
            remote.stream.send(hello.encode()).await?;
            let Reply::Welcome(minor, _) = remote.reply().await? else {
                return Err(RobotError::Unexpected("a welcome"));
            };
            remote.spoken = Spoken::V2 { minor, last: 0 };
        }
        Ok(remote)
    }

    /// Which protocol is spoken with it, and its minor version.
    pub fn version(&self) -> (&str, u16) {
        let minor = match self.spoken {
            Spoken::V1 => 0,
            Spoken::V2 { minor, .. } => minor,
        };
        (self.stream.protocol(), minor)
    }

    /// Which session with its node this is: the same for as long as nothing was lost.
    pub fn session(&self) -> u64 {
        self.stream.session()
    }

    /// Moves it, tells each place on the way, and gives the last.
    ///
    /// # Errors
    /// Why it did not arrive.
    pub async fn move_to(
        &mut self,
        to: Point,
        mut on_way: impl FnMut(Point),
    ) -> Result<Point, RobotError> {
        self.begin(to).await?;
        loop {
            let (at, over) = self.progress().await?;
            on_way(at);
            if over {
                return Ok(at);
            }
        }
    }

    /// Asks it to move; what comes of it, [`Remote::progress`] tells. Several moves follow one another.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub async fn begin(&mut self, to: Point) -> Result<(), RobotError> {
        let frame = match &mut self.spoken {
            Spoken::V1 => line("MOVE", to),
            Spoken::V2 { last, .. } => {
                *last += 1;
                Request::Move(*last, to).encode()
            }
        };
        Ok(self.stream.send(frame).await?)
    }

    /// Where it is next, and whether a move is over with that.
    ///
    /// # Errors
    /// Why it does not arrive.
    pub async fn progress(&mut self) -> Result<(Point, bool), RobotError> {
        if let Spoken::V2 { .. } = self.spoken {
            return match self.reply().await? {
                Reply::Position(_, at, over) => Ok((at, over)),
                Reply::Refused(_, reason) => Err(RobotError::Refused(reason)),
                Reply::Welcome(..) => Err(RobotError::Unexpected("a position")),
            };
        }
        let told = self.stream.next().await;
        let told = told.ok_or(RobotError::Unexpected("a position, not the end"))??;
        if let Some(reason) = told.strip_prefix(b"ERROR ") {
            let reason = String::from_utf8_lossy(reason).into_owned();
            return Err(RobotError::Refused(reason));
        }
        match read_line(&told)? {
            ("AT", at) => Ok((at, false)),
            ("DONE", at) => Ok((at, true)),
            _ => Err(RobotError::Unexpected("AT or DONE")),
        }
    }

    /// Lets it stand still, and forget what else it was asked.
    ///
    /// # Errors
    /// If it speaks a version that knows no such thing, or cannot be told.
    pub async fn stop(&mut self) -> Result<(), RobotError> {
        match self.spoken {
            Spoken::V1 => Err(RobotError::Unexpected("a robot that can be stopped")),
            Spoken::V2 { .. } => Ok(self.stream.send(Request::Stop.encode()).await?),
        }
    }

    async fn reply(&mut self) -> Result<Reply, RobotError> {
        let frame = self.stream.next().await;
        let frame = frame.ok_or(RobotError::Unexpected("a frame, not the end"))??;
        Ok(Reply::decode(frame)?)
    }
}

impl Telemetry {
    /// What the robot at `peer` tells while it is moved from here.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub fn of(node: &Node, peer: NodeId) -> Result<Self, Failure> {
        Ok(Self {
            datagrams: node.datagrams(peer, V2)?,
            last: None,
        })
    }

    /// Where it is. What comes late, or cannot be read, is passed over.
    ///
    /// # Errors
    /// `cancelled` if somebody else reads it.
    pub async fn next(&mut self) -> Result<Tick, Failure> {
        loop {
            let datagram = self.datagrams.recv().await?;
            let Ok(tick) = Tick::decode(datagram) else {
                continue;
            };
            if self.last.is_none_or(|last| tick.sequence > last) {
                self.last = Some(tick.sequence);
                return Ok(tick);
            }
        }
    }
}
