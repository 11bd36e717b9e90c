//! Links over WebSocket: called by this node, or accepted by its web server. A packet is a binary
//! message; what is written is gathered and flushed once.

use std::fmt::Display;

use axum::extract::ws;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use peerage::Failure;
use peerage::error::Code;
use peerage::limits::PACKET_BYTES_MAX;
use peerage::link::frame::Control;
use peerage::link::{Frame, LinkId, Origin};
use peerage::node::Input;
use tokio_tungstenite::tungstenite::{self, protocol::WebSocketConfig};
use url::Url;

use crate::link::{Inbox, Letter, outbox};
use crate::runtime::{Runtime, Told};

/// Read buffer: allocated for every link, idle or not.
pub const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Write buffer: allocated as needed.
pub const WRITE_BUFFER_BYTES: usize = 128 * 1024;
/// The socket's buffer never shrinks, so that of a link which has little to say shall not grow: the first
/// flush is due after this many bytes, each after that later by as many.
const FLUSH_BYTES_FIRST: usize = 2 * 1024;
/// A little above what the core takes, so that it says the name of the failure itself.
const MESSAGE_BYTES_MAX: usize = PACKET_BYTES_MAX + 1024;
/// What may wait in the socket's buffers at the most.
const WRITE_BUFFER_BYTES_MAX: usize = 2 * WRITE_BUFFER_BYTES + MESSAGE_BYTES_MAX;

/// Close codes are this and the number of the failure's code.
const CLOSE_CODE_BASE: u16 = 4000;

/// Calls a relay at a `ws:` address, and runs the link in a task.
pub(crate) async fn dial(runtime: &Runtime, url: &Url) -> Result<(), String> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let (socket, _) =
        tokio_tungstenite::connect_async_with_config(url.as_str(), Some(config), true)
            .await
            .map_err(|error| error.to_string())?;
    let link = run(runtime.clone(), Origin::Dialled, socket);
    runtime.links.spawn(link);
    Ok(())
}

/// The buffers and limits of every socket that the web server accepts.
pub fn configure(upgrade: ws::WebSocketUpgrade) -> ws::WebSocketUpgrade {
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
}

/// Runs a link that the web server has accepted, until it ends.
pub async fn accept(runtime: Runtime, socket: ws::WebSocket) {
    let links = runtime.links.clone();
    links
        .track_future(run(runtime, Origin::Accepted, socket))
        .await;
}

/// What the two libraries' messages have in common.
trait Message: Sized {
    fn packet(bytes: Bytes) -> Self;
    fn close(code: u16, reason: &'static str) -> Self;
    /// The packet in it. Text is passed on as well, for the core to refuse.
    fn into_packet(self) -> Option<Bytes>;
}

/// What their errors have in common.
trait SocketError: Display {
    fn is_too_large(&self) -> bool;
}

async fn run<S, M, E>(runtime: Runtime, origin: Origin, socket: S)
where
    S: Sink<M> + Stream<Item = Result<M, E>> + Send + 'static,
    M: Message + Send + 'static,
    E: SocketError + Send,
{
    let id = runtime.new_link();
    let (outbox, inbox) = outbox();
    let (sink, stream) = socket.split();
    if !runtime.tell(Told::Link(id, origin, outbox)).await {
        return;
    }
    let writer = tokio::spawn(write(runtime.clone(), id, sink, inbox));
    let reason = read(&runtime, id, stream).await;
    runtime
        .tell(Told::Input(Input::LinkDown(id, reason.message.clone())))
        .await;
    // With the outbox gone the writer ends, having written what was left.
    if let Ok(Some(mut sink)) = writer.await {
        if reason.code == Code::TooLarge {
            let refusal = Frame::Control(Control::Refuse(reason.clone())).encode();
            // The other side may be gone.
            let _ = sink.feed(M::packet(refusal)).await;
            let _ = sink.send(closing(&reason)).await;
        }
        let _ = sink.close().await;
    }
}

async fn read<S, M, E>(runtime: &Runtime, id: LinkId, mut stream: SplitStream<S>) -> Failure
where
    S: Stream<Item = Result<M, E>>,
    M: Message,
    E: SocketError,
{
    while let Some(message) = stream.next().await {
        let packet = match message {
            Ok(message) => message.into_packet(),
            Err(error) if error.is_too_large() => return Code::TooLarge.because(error.to_string()),
            Err(error) => return Code::Gone.because(error.to_string()),
        };
        if let Some(packet) = packet
            && !runtime.tell_packet(id, packet).await
        {
            break;
        }
    }
    Code::Gone.because("the socket was closed")
}

/// Writes until the link is closed here, which ends the sink, or its reader has ended.
async fn write<S, M>(
    runtime: Runtime,
    id: LinkId,
    mut sink: SplitSink<S, M>,
    mut inbox: Inbox,
) -> Option<SplitSink<S, M>>
where
    S: Sink<M>,
    M: Message,
{
    let mut flush_bytes = FLUSH_BYTES_FIRST;
    while let Some(mut next) = inbox.next().await {
        let mut bytes = 0;
        loop {
            let (letter, ready) = next;
            match letter {
                Letter::Packet(packet) => {
                    bytes += packet.len();
                    sink.feed(M::packet(packet)).await.ok()?;
                }
                Letter::Close(failure) => {
                    let _ = sink.send(closing(&failure)).await;
                    let _ = sink.close().await;
                    return None;
                }
            }
            if ready {
                runtime.tell(Told::Input(Input::Writable(id, true))).await;
            }
            if bytes >= flush_bytes {
                flush_bytes += FLUSH_BYTES_FIRST;
                break;
            }
            match inbox.try_next() {
                Some(more) => next = more,
                None => break,
            }
        }
        sink.flush().await.ok()?;
    }
    Some(sink)
}

fn closing<M: Message>(failure: &Failure) -> M {
    let code = match failure.code {
        Code::Left => 1000,
        Code::TooLarge => 1009,
        code => CLOSE_CODE_BASE + u16::from(code.number()),
    };
    M::close(code, failure.code.as_str())
}

impl Message for ws::Message {
    fn packet(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }

    fn close(code: u16, reason: &'static str) -> Self {
        Self::Close(Some(ws::CloseFrame {
            code,
            reason: reason.into(),
        }))
    }

    fn into_packet(self) -> Option<Bytes> {
        match self {
            Self::Binary(bytes) => Some(bytes),
            Self::Text(text) => Some(text.into()),
            Self::Ping(_) | Self::Pong(_) | Self::Close(_) => None,
        }
    }
}

impl Message for tungstenite::Message {
    fn packet(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }

    fn close(code: u16, reason: &'static str) -> Self {
        let reason = reason.into();
        Self::Close(Some(tungstenite::protocol::CloseFrame {
            code: code.into(),
            reason,
        }))
    }

    fn into_packet(self) -> Option<Bytes> {
        match self {
            Self::Binary(bytes) => Some(bytes),
            Self::Text(text) => Some(text.into()),
            Self::Ping(_) | Self::Pong(_) | Self::Close(_) | Self::Frame(_) => None,
        }
    }
}

impl SocketError for tungstenite::Error {
    fn is_too_large(&self) -> bool {
        matches!(self, Self::Capacity(_))
    }
}

impl SocketError for axum::Error {
    fn is_too_large(&self) -> bool {
        let source = std::error::Error::source(self);
        source
            .and_then(|error| error.downcast_ref::<tungstenite::Error>())
            .is_some_and(SocketError::is_too_large)
    }
}
