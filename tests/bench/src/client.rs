//! The one client that all servers are measured with: a WebSocket, and what each server wants to hear.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use peerage::limits::PACKET_BYTES_FULL;
use peerage::link::frame::{Control, Packet};
use peerage::link::hello::{Challenge, Hello, VERSION};
use peerage::link::{Frame, RouteHandle};
use peerage::{Identity, Kind, NodeId};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::server::System;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// One client, greeted.
pub(crate) struct Client {
    pub(crate) socket: Socket,
    system: System,
    id: NodeId,
}

/// How to tell how many messages arrived.
#[derive(Clone, Copy)]
pub(crate) enum Count {
    Messages,
    /// Each is this many bytes, whatever it is packed in.
    Bytes(usize),
}

impl Client {
    /// Connects as number `n`. A client that sends names its targets, of which there are some already.
    pub(crate) async fn connect(
        system: System,
        url: &str,
        n: u32,
        targets: &[u32],
    ) -> Result<Self, Failed> {
        let config = WebSocketConfig::default()
            .read_buffer_size(32 * 1024)
            .write_buffer_size(256 * 1024);
        let (socket, _) =
            tokio_tungstenite::connect_async_with_config(url, Some(config), true).await?;
        let identity = identity(n);
        let mut client = Self {
            socket,
            system,
            id: identity.id(),
        };
        match system {
            System::Peerage => client.join(&identity, n, targets).await?,
            System::Axum => {
                let names = std::iter::once(n).chain(targets.iter().copied());
                let names: Vec<_> = names.map(|n| n.to_string()).collect();
                client.socket.send(Message::text(names.join(" "))).await?;
            }
            System::Nats => {
                client.next().await?;
                let subject = format!("s{n}");
                let greeting = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";
                let hello = format!("{greeting}SUB {subject} 1\r\nSUB all 2\r\nPING\r\n");
                client.socket.send(Message::binary(hello)).await?;
                client.next().await?;
            }
        }
        Ok(client)
    }

    async fn join(&mut self, identity: &Identity, n: u32, targets: &[u32]) -> Result<(), Failed> {
        let Some(Ok((Frame::Challenge { versions, body }, _))) =
            Packet::new(self.next().await?).next()
        else {
            return Err("expected a challenge".into());
        };
        let challenge = Challenge::read(versions, &body)?;
        let name = format!("bench-{n}").parse().ok();
        let hello = Hello::answer(&challenge, identity, Kind::Native, name, true, [5; 32]);
        let frame = Frame::hello(VERSION, &hello).encode();
        self.socket.send(Message::Binary(frame)).await?;
        let welcome = Packet::new(self.next().await?).next();
        if !matches!(welcome, Some(Ok((Frame::Control(Control::Welcome(_)), _)))) {
            return Err("expected a welcome".into());
        }
        for target in targets {
            let open = Frame::Control(Control::Open {
                route: RouteHandle(*target + 1),
                from: self.id,
                target: crate::client::identity(*target).id(),
                payload: Vec::new(),
            });
            self.socket.feed(Message::Binary(open.encode())).await?;
        }
        self.socket.flush().await?;
        Ok(())
    }

    /// Gives signs of life for as long as it is asked for them.
    pub(crate) async fn stay(mut self) {
        let ping = Frame::Control(Control::Ping).encode();
        let pong = Frame::Control(Control::Pong).encode();
        while let Ok(bytes) = self.next().await {
            let answer = match self.system {
                System::Peerage if bytes.ends_with(&ping) => Message::Binary(pong.clone()),
                System::Nats if bytes.starts_with(b"PING") => Message::binary("PONG\r\n"),
                _ => continue,
            };
            if self.socket.send(answer).await.is_err() {
                return;
            }
        }
    }

    /// The next binary or text message's bytes.
    pub(crate) async fn next(&mut self) -> Result<Bytes, Failed> {
        loop {
            match self.socket.next().await.ok_or("the socket has ended")?? {
                Message::Binary(bytes) => return Ok(bytes),
                Message::Text(text) => return Ok(text.into()),
                _ => {}
            }
        }
    }

    /// What sends one message of this size to each target, `times` times: few WebSocket messages where the
    /// protocol packs several into one.
    pub(crate) fn batch(&self, targets: &[u32], size: usize, times: usize) -> Vec<Message> {
        let filling = vec![7; size];
        match self.system {
            System::Peerage => {
                let frames = targets.iter().map(|target| {
                    let route = RouteHandle(*target + 1);
                    let payload = Bytes::copy_from_slice(&filling);
                    Frame::Record { route, payload }.encode()
                });
                let frames: Vec<_> = frames.collect();
                packed((0..times).flat_map(|_| frames.iter()))
            }
            // To all of them at once.
            System::Axum => vec![Message::binary(filling); times],
            System::Nats => {
                let subject = match targets {
                    [target] => format!("s{target}"),
                    _ => String::from("all"),
                };
                let mut one = Vec::from(format!("PUB {subject} {size}\r\n"));
                one.extend(filling);
                one.extend(b"\r\n");
                let one = Bytes::from(one);
                packed(std::iter::repeat_n(&one, times))
            }
        }
    }

    /// How many messages of this size have come to number `n`, one of several or the only one.
    pub(crate) fn count(system: System, n: u32, size: usize, several: bool) -> Count {
        match system {
            System::Peerage => {
                let (route, payload) = (RouteHandle(n + 1), Bytes::from(vec![7; size]));
                Count::Bytes(Frame::Record { route, payload }.encode().len())
            }
            System::Axum => Count::Messages,
            System::Nats => {
                let subject = if several {
                    String::from("all 2")
                } else {
                    format!("s{n} 1")
                };
                Count::Bytes(format!("MSG {subject} {size}\r\n").len() + size + 2)
            }
        }
    }
}

/// Gathers what may stand together, up to what a packet holds.
fn packed<'a>(parts: impl Iterator<Item = &'a Bytes>) -> Vec<Message> {
    let mut packets = Vec::new();
    let mut packet = BytesMut::new();
    for part in parts {
        if packet.len() + part.len() > PACKET_BYTES_FULL {
            packets.push(Message::Binary(packet.split().freeze()));
        }
        packet.put_slice(part);
    }
    packets.push(Message::Binary(packet.freeze()));
    packets
}

fn identity(n: u32) -> Identity {
    let mut secret = [9; 32];
    secret[..4].copy_from_slice(&n.to_be_bytes());
    Identity::from_secret(&secret)
}
