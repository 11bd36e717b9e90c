//! Links over WebSocket: called by this node, or accepted by its web server. A packet is a binary
//! message; what is written is gathered and flushed once.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use peerage::error::Code;
use peerage::limits::PACKET_BYTES_MAX;
use peerage::link::frame::Control;
use peerage::link::{Frame, LinkId, Origin};
use peerage::node::{Input, Medium};
use peerage::{Failure, NodeId};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, FrameHeader};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use url::Url;

use crate::link::pipe::Pipe;
use crate::link::stream::Stream;
use crate::link::{Inbox, Letter, address, outbox, tls};
use crate::runtime::{Runtime, Told};

/// Read buffer: allocated for every link, idle or not.
const READ_BUFFER_BYTES: usize = 1024;
/// What may wait outside the pipe at the most, besides a message: answers to pings.
const WRITE_BUFFER_BYTES_MORE: usize = 16 * 1024;
/// Bytes of the longest header of a frame that is not masked.
const HEADER_BYTES_MAX: usize = 10;
/// Of a link: a little above what the core takes, so that it says the name of the failure itself.
pub const MESSAGE_BYTES_MAX: usize = PACKET_BYTES_MAX + 1024;

/// How long the other side may take nothing of what is written, or stay once the link is closed here.
const LINGER_MAX: Duration = Duration::from_secs(30);

/// Close codes are this and the number of the failure's code.
const CLOSE_CODE_BASE: u16 = 4000;

/// Calls a relay at a `ws:` or `wss:` address, which is told as `told`, and runs the link in a task.
pub(crate) async fn dial(runtime: &Runtime, url: &Url, told: &str) -> Result<(), String> {
    let patience = runtime.dial_timeout;
    let called = timeout(patience, call(url)).await;
    let called = called.map_err(|_| format!("no answer within {patience:?}"))?;
    let socket = called.map_err(|error| error.to_string())?;
    let expected = address::node(url).map_err(|error| error.to_string())?;
    let claim = expected.map(|node| (node, url.clone()));
    let told = told.to_owned();
    let link = run(runtime.clone(), Origin::Dialled, socket, told, claim);
    runtime.links.spawn(link);
    Ok(())
}

async fn call(url: &Url) -> Result<Socket, Error> {
    let stream = TcpStream::connect(&*address::resolve(url).await?).await?;
    stream.set_nodelay(true)?;
    let stream = match url.scheme() {
        "wss" => {
            let host = url.host_str().unwrap_or_default();
            Stream::Sealed(Box::new(tls::connect(stream, host).await?))
        }
        _ => Stream::Plain(stream),
    };
    let pipe = Pipe::new(stream, &[]);
    let called = tokio_tungstenite::client_async_with_config(
        url.as_str(),
        pipe,
        Some(config(MESSAGE_BYTES_MAX)),
    )
    .await;
    called.map(|(socket, _)| Socket::new(socket))
}

/// Answers a request for a WebSocket with messages of at most so many bytes, and runs `then` with it in a task.
///
/// # Errors
/// What is wrong with the request.
pub fn upgrade<F>(
    request: &mut Request,
    message_bytes_max: usize,
    then: impl FnOnce(Socket) -> F + Send + 'static,
) -> Result<Response, Box<Error>>
where
    F: Future<Output = ()> + Send + 'static,
{
    let response = create_response_with_body(request, Body::empty)?;
    let upgraded = hyper::upgrade::on(request);
    tokio::spawn(async move {
        // A caller that is gone already needs no socket.
        let pipe = upgraded.await.ok().and_then(pipe_of);
        if let Some(pipe) = pipe {
            then(Socket::accepted(pipe, message_bytes_max).await).await;
        }
    });
    Ok(response)
}

/// What hyper has handed over, without the layers around it.
fn pipe_of(upgraded: Upgraded) -> Option<Pipe> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some(Pipe::new(
        Stream::Plain(parts.io.into_inner()),
        &parts.read_buf,
    ))
}

fn config(message_bytes_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        // What is written waits in the pipe, and here only if that is full.
        .write_buffer_size(0)
        .max_write_buffer_size(message_bytes_max + WRITE_BUFFER_BYTES_MORE)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max))
}

/// Runs a link that the web server has accepted, until it ends.
pub async fn accept(runtime: Runtime, socket: Socket, caller: SocketAddr) {
    let links = runtime.links.clone();
    let caller = caller.to_string();
    links
        .track_future(run(runtime, Origin::Accepted, socket, caller, None))
        .await;
}

/// Runs a link. `claim` is who must be at the other end, and the address that says so.
async fn run(
    runtime: Runtime,
    origin: Origin,
    socket: Socket,
    address: String,
    claim: Option<(NodeId, Url)>,
) {
    let id = runtime.new_link();
    let (outbox, inbox) = outbox();
    if !runtime.tell(Told::Link(id, origin, outbox)).await {
        return;
    }
    let place = Input::Place(id, Medium::WebSocket, Some(address));
    runtime.tell(Told::Input(place)).await;
    if let Some((node, url)) = claim {
        runtime.tell(Told::Claim(id, node, url)).await;
    }
    let reading = async {
        let reason = read(&runtime, id, &socket).await;
        let down = Input::LinkDown(id, reason.message.clone());
        runtime.tell(Told::Input(down)).await;
        reason
    };
    // With the outbox gone the writer ends, having written what was left. It comes first: a reader that is
    // never done would leave it no time.
    let writing = std::pin::pin!(write(&runtime, id, origin, &socket, inbox));
    let (written, reason) = match select(writing, std::pin::pin!(reading)).await {
        Either::Left((written, reading)) => (written, timeout(LINGER_MAX, reading).await),
        Either::Right((reason, writing)) => (writing.await, Ok(reason)),
    };
    let Ok(reason) = reason else {
        let down = Input::LinkDown(id, String::from("the socket was not closed in time"));
        runtime.tell(Told::Input(down)).await;
        return;
    };
    // The other side may be gone.
    let _ = match written {
        Ok(()) if reason.code == Code::TooLarge => socket.refuse(origin, &reason).await,
        Ok(()) => socket.close().await,
        Err(_) => return,
    };
}

async fn read(runtime: &Runtime, id: LinkId, socket: &Socket) -> Failure {
    while let Some(message) = socket.next().await {
        let packet = match message {
            Ok(Message::Binary(packet)) => packet,
            // Text is passed on as well, for the core to refuse.
            Ok(Message::Text(text)) => text.into(),
            Ok(Message::Close(_)) => {
                socket.lock().get_mut().close();
                continue;
            }
            Ok(_) => continue,
            Err(error @ Error::Capacity(_)) => return Code::TooLarge.because(error.to_string()),
            Err(error) => return Code::Gone.because(error.to_string()),
        };
        if !runtime.tell_packet(id, packet).await {
            break;
        }
    }
    Code::Gone.because("the socket was closed")
}

/// Writes until the link is closed here, or its reader has ended.
async fn write(
    runtime: &Runtime,
    id: LinkId,
    origin: Origin,
    socket: &Socket,
    mut inbox: Inbox,
) -> Result<(), Error> {
    while let Some(first) = inbox.next().await {
        let mut next = Some(first);
        while let Some((letter, ready)) = next {
            match letter {
                Letter::Packet(packet) => socket.write(origin, packet).await?,
                Letter::Close(failure) => {
                    socket.send(closing(&failure)).await?;
                    socket.close().await?;
                    return Err(Error::ConnectionClosed);
                }
            }
            if ready {
                runtime.tell(Told::Input(Input::Writable(id, true))).await;
            }
            next = inbox.try_next();
        }
        socket.flush().await?;
    }
    Ok(())
}

/// A socket for its reader and its writer, which run in one task, so that neither ever waits for the
/// other's lock. Boxed, since the task would have room for it in each of its states.
pub struct Socket(Box<Mutex<WebSocketStream<Pipe>>>);

impl Socket {
    /// The socket on what the web server has handed over.
    async fn accepted(pipe: Pipe, message_bytes_max: usize) -> Self {
        let config = Some(config(message_bytes_max));
        Self::new(WebSocketStream::from_raw_socket(pipe, Role::Server, config).await)
    }

    fn new(socket: WebSocketStream<Pipe>) -> Self {
        Self(Box::new(Mutex::new(socket)))
    }

    fn lock(&self) -> MutexGuard<'_, WebSocketStream<Pipe>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes next; `None` after the end.
    pub async fn next(&self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| self.lock().poll_next_unpin(cx)).await
    }

    /// Writes a packet, which leaves with the next flush at the latest.
    ///
    /// # Errors
    /// The socket has ended.
    pub async fn write(&self, origin: Origin, packet: Bytes) -> Result<(), Error> {
        if self.gather(origin, packet)? {
            self.flush().await?;
        }
        Ok(())
    }

    /// Gathers a packet; `true` if that is enough for now.
    fn gather(&self, origin: Origin, packet: Bytes) -> Result<bool, Error> {
        let mut socket = self.lock();
        if origin == Origin::Dialled {
            // What a caller says is masked, which takes a copy.
            socket.start_send_unpin(Message::Binary(packet))?;
        } else if socket.get_ref().is_closed() {
            return Err(Error::ConnectionClosed);
        } else {
            let header = FrameHeader {
                opcode: OpCode::Data(Data::Binary),
                ..FrameHeader::default()
            };
            let mut head = Vec::with_capacity(HEADER_BYTES_MAX);
            header.format(packet.len() as u64, &mut head)?;
            let pipe = socket.get_mut();
            pipe.gather(head.into());
            pipe.gather(packet);
        }
        Ok(socket.get_ref().is_full())
    }

    /// Lets leave what was written.
    ///
    /// # Errors
    /// The socket has ended.
    pub async fn flush(&self) -> Result<(), Error> {
        let flushed = poll_fn(|cx| self.lock().poll_flush_unpin(cx));
        let late = |_| Error::Io(std::io::ErrorKind::TimedOut.into());
        timeout(LINGER_MAX, flushed).await.map_err(late)?
    }

    /// Sends a message of any kind at once.
    ///
    /// # Errors
    /// The socket has ended.
    pub async fn send(&self, message: Message) -> Result<(), Error> {
        poll_fn(|cx| self.lock().poll_ready_unpin(cx)).await?;
        self.lock().start_send_unpin(message)?;
        self.flush().await
    }

    async fn refuse(&self, origin: Origin, reason: &Failure) -> Result<(), Error> {
        let refusal = Frame::Control(Control::Refuse(reason.clone())).encode();
        self.write(origin, refusal).await?;
        self.send(closing(reason)).await?;
        self.close().await
    }

    /// Ends it in good order, after what was written.
    ///
    /// # Errors
    /// The socket has ended.
    pub async fn close(&self) -> Result<(), Error> {
        let closed = poll_fn(|cx| self.lock().poll_close_unpin(cx)).await;
        // An answer to the other side's close is written by the library, and not flushed.
        poll_fn(|cx| Pin::new(self.lock().get_mut()).poll_shutdown(cx)).await?;
        closed
    }
}

fn closing(failure: &Failure) -> Message {
    let code = match failure.code {
        Code::Left => 1000,
        Code::TooLarge => 1009,
        code => CLOSE_CODE_BASE + u16::from(code.number()),
    };
    Message::Close(Some(CloseFrame {
        code: code.into(),
        reason: failure.code.as_str().into(),
    }))
}
