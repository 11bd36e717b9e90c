//! A link to a relay on which a test says whatever it wants.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use peerage::link::frame::Control;
use peerage::link::hello::{Challenge, Hello, VERSION};
use peerage::link::{Frame, Packet};
use peerage::{Code, Failure, Identity, Kind, Name};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::Relay;

/// The link.
pub struct RawLink {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Frames of the packet that came last.
    frames: Packet,
}

/// How a relay ends a link: the failure that it names, and the close code of the socket.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    /// The last frame.
    pub failure: Option<Failure>,
    /// 1000 and up.
    pub close_code: Option<u16>,
}

impl End {
    /// The name of the failure and the close code.
    pub fn codes(&self) -> (Option<Code>, Option<u16>) {
        (self.failure.as_ref().map(|f| f.code), self.close_code)
    }
}

impl RawLink {
    /// Calls a relay.
    pub async fn dial(relay: &Relay) -> Self {
        let (socket, _) = tokio_tungstenite::connect_async(relay.mesh())
            .await
            .unwrap();
        let frames = Packet::new(Bytes::new());
        Self { socket, frames }
    }

    /// The relay's first frame.
    pub async fn challenge(&mut self) -> Challenge {
        match self.next().await {
            Some(Frame::Challenge { versions, body }) => Challenge::read(versions, &body).unwrap(),
            other => panic!("expected a challenge, got {other:?}"),
        }
    }

    /// Joins as it should be done.
    pub async fn join(&mut self, identity: &Identity, name: &str) {
        let challenge = self.challenge().await;
        let name: Option<Name> = Some(name.parse().unwrap());
        let hello = Hello::answer(&challenge, identity, Kind::Native, name, true, [5; 32]);
        self.say(&Frame::hello(VERSION, &hello)).await;
        match self.next().await {
            Some(Frame::Control(Control::Welcome(_))) => {}
            other => panic!("expected a welcome, got {other:?}"),
        }
    }

    /// Sends a frame.
    pub async fn say(&mut self, frame: &Frame) {
        self.send(Message::Binary(frame.encode())).await;
    }

    /// Sends any message, to a relay that may have ended the link.
    pub async fn send(&mut self, message: Message) {
        let _ = self.socket.send(message).await;
    }

    /// The next frame; `None` at the end of the link.
    pub async fn next(&mut self) -> Option<Frame> {
        self.next_or_close_code().await.ok()
    }

    /// Reads until the relay ends the link.
    pub async fn end(mut self) -> End {
        let mut failure = None;
        loop {
            match self.next_or_close_code().await {
                Ok(Frame::Control(Control::Refuse(why))) => failure = Some(why),
                Ok(_) => {}
                Err(close_code) => {
                    return End {
                        failure,
                        close_code,
                    };
                }
            }
        }
    }

    async fn next_or_close_code(&mut self) -> Result<Frame, Option<u16>> {
        loop {
            if let Some(frame) = self.frames.next() {
                return Ok(frame.unwrap().0);
            }
            self.frames = Packet::new(self.next_packet().await?);
        }
    }

    /// The next packet, or the close code.
    async fn next_packet(&mut self) -> Result<Bytes, Option<u16>> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(packet))) => return Ok(packet),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|f| f.code.into())),
                Some(Ok(_)) => {}
                Some(Err(Error::Protocol(_) | Error::Io(_) | Error::ConnectionClosed)) | None => {
                    return Err(None);
                }
                Some(Err(error)) => panic!("unexpected: {error}"),
            }
        }
    }
}
