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
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::mqtt;
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
        let mut request = url.into_client_request()?;
        if system == System::Mosquitto {
            let protocol = HeaderValue::from_static("mqtt");
            request
                .headers_mut()
                .insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        let (socket, _) =
            tokio_tungstenite::connect_async_with_config(request, Some(config), true).await?;
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
            System::Mosquitto => client.subscribe(n).await?,
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

    /// Greets, and subscribes to what is for it and what is for all.
    async fn subscribe(&mut self, n: u32) -> Result<(), Failed> {
        let connect = [
            &mqtt::text("MQTT")[..],
            &[4, 2, 0, 0],
            &mqtt::text(&format!("c{n}")),
        ];
        let filters = [
            &[0, 1][..],
            &mqtt::text(&format!("s{n}")),
            &[0],
            &mqtt::text("all"),
            &[0],
        ];
        let hello = [
            mqtt::packet(mqtt::CONNECT, &connect.concat()),
            mqtt::packet(mqtt::SUBSCRIBE, &filters.concat()),
        ];
        self.socket.send(Message::binary(hello.concat())).await?;
        let mut got = 0;
        while got < mqtt::GREETING_BYTES {
            got += self.next().await?.len();
        }
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
            System::Mosquitto => {
                let topic = mqtt::text(&topic(targets));
                let one = mqtt::packet(mqtt::PUBLISH, &[topic, filling].concat()).into();
                packed(std::iter::repeat_n(&one, times))
            }
            System::Nats => {
                let subject = topic(targets);
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
            System::Mosquitto => {
                let topic = if several {
                    "all".into()
                } else {
                    format!("s{n}")
                };
                let body = [mqtt::text(&topic), vec![7; size]].concat();
                Count::Bytes(mqtt::packet(mqtt::PUBLISH, &body).len())
            }
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

/// One target has a topic of its own, several share one.
fn topic(targets: &[u32]) -> String {
    match targets {
        [target] => format!("s{target}"),
        _ => String::from("all"),
    }
}

fn identity(n: u32) -> Identity {
    let mut secret = [9; 32];
    secret[..4].copy_from_slice(&n.to_be_bytes());
    Identity::from_secret(&secret)
}
