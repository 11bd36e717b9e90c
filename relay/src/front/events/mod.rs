//! `/events`: the text dialect of KOS, for browsers that speak it. A client names itself, and is a node of the mesh from
//! then on; what it says becomes what any node does: requests of HTTP, operations, topics. `docs/protocol.md` has the dialect.

mod address;
mod api;
mod broker;
mod form;
mod frame;
mod future;
mod http;
mod json;
mod letter;
mod sent;
mod serve;
mod session;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::{Either, select};
use peerage::limits::{
    EVENTS_KEEPALIVE, EVENTS_MESSAGES_PER_SECOND, EVENTS_REQUEST_TIMEOUT, EVENTS_SILENCE_MAX,
    PROGRAM_HELLO_TIMEOUT,
};
use peerage::log::CONNECTION;
use peerage::{Code, Failure, Kind, Name, NodeId};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::task::TaskTracker;

use crate::front::held::{Held, Holder};
use crate::front::out::{Unsaid, out};
use crate::link::websocket::Socket;
use crate::{JoinError, Node};
use frame::{Frame, FrameError};
use future::Futures;
use sent::Sent;
use session::{Say, Session, error_frame, wish};

/// Who speaks for clients of `/events`. Clones are the same.
#[derive(Clone)]
pub struct Events(Arc<Shared>);

struct Shared {
    node: Node,
    holder: Holder,
    settings: Settings,
    futures: Futures,
    sent: Sent,
    /// Those that are connected.
    clients: TaskTracker,
}

/// How clients are spoken with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a request may take, its wait for its turn included.
    pub request_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request_timeout: EVENTS_REQUEST_TIMEOUT,
        }
    }
}

/// The client that asks, as its node: an extension of its requests to the relay.
#[derive(Clone, Copy, Debug)]
struct Client(NodeId);

/// How long a client may take to close its socket, or to take what was said last.
const LINGER_MAX: Duration = Duration::from_secs(5);

impl Events {
    /// Speaks for clients beside a node.
    pub fn new(node: Node, settings: Settings) -> Self {
        let holder = Holder::new(node.runtime().clone());
        Self(Arc::new(Shared {
            node,
            holder,
            settings,
            futures: Futures::default(),
            sent: Sent::default(),
            clients: TaskTracker::new(),
        }))
    }

    /// How many clients are connected.
    pub fn connected(&self) -> usize {
        self.0.clients.len()
    }

    /// A page was sent to an address.
    pub(crate) fn sent(&self, page: NodeId, url: &str) {
        self.0.sent.to(page, url, &self.0.node.peers());
    }

    /// What a page of KOS asks for at `/api/kos` when it begins.
    pub fn api<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        api::router(self.clone())
    }

    /// Speaks with a client until its socket, or the node, has ended. `api` is what the relay answers to its requests.
    pub async fn serve(self, socket: Socket, caller: SocketAddr, api: Router) {
        let runtime = self.0.node.runtime().clone();
        let over = runtime.left();
        let speaking = self.speak(&socket, caller, api);
        let speaking = async {
            select(pin!(speaking), pin!(over)).await;
        };
        let speaking = self.0.clients.track_future(speaking);
        runtime.links.track_future(speaking).await;
        // It may be gone already.
        let _ = timeout(LINGER_MAX, socket.close()).await;
    }

    async fn speak(&self, socket: &Socket, caller: SocketAddr, api: Router) {
        let (out, unsaid) = out();
        let say = Say(out);
        let mut conversation = Conversation {
            events: self.clone(),
            say: say.clone(),
            caller,
            api,
            session: None,
            pace: Pace::new(),
        };
        let is_good_bye = {
            let writing = pin!(write(socket, unsaid));
            let reading = pin!(conversation.read(socket));
            match select(reading, writing).await {
                Either::Left((is_good_bye, writing)) => {
                    say.0.finish();
                    // Who has gone is said nothing anyway.
                    let _ = timeout(LINGER_MAX, writing).await;
                    is_good_bye
                }
                Either::Right(_) => false,
            }
        };
        if let Some(session) = conversation.session {
            session.end(is_good_bye);
        }
        tracing::debug!(target: CONNECTION, %caller, is_good_bye, "a client of /events has gone");
    }

    fn relay(&self) -> peerage::Node {
        self.0.node.deref().clone()
    }

    async fn hold(&self, wish: Option<Name>) -> Result<Held, Failure> {
        let held = self.0.holder.hold(Kind::Client, wish);
        let held = timeout(PROGRAM_HELLO_TIMEOUT, held).await;
        let held = held.map_err(|_| Code::TimedOut.because("the mesh is slow"))?;
        held.map_err(|error| match error {
            JoinError::Failed(failure) => failure,
            other => Code::Refused.because(other.to_string()),
        })
    }
}

/// What is said on one socket.
struct Conversation {
    events: Events,
    say: Say,
    caller: SocketAddr,
    api: Router,
    /// Once it has said anything.
    session: Option<Session>,
    pace: Pace,
}

impl Conversation {
    /// Hears what the client says until it goes; whether it has closed its socket.
    async fn read(&mut self, socket: &Socket) -> bool {
        loop {
            // An answer to a ping is a sign of life.
            let Ok(Some(message)) = timeout(EVENTS_SILENCE_MAX, socket.next()).await else {
                return false;
            };
            let frame = match message {
                Ok(Message::Text(text)) => Frame::parse(&text),
                Ok(Message::Binary(bytes)) => Err(FrameError::Binary(bytes.len())),
                Ok(Message::Close(_)) => return true,
                Ok(_) => continue,
                Err(error) => {
                    if matches!(error, Error::Capacity(_)) {
                        let failure = Code::TooLarge.because(error.to_string());
                        // It is the last that it is told.
                        let _ = self.say.put(&error_frame(None, &failure)).await;
                    }
                    return false;
                }
            };
            self.pace.step().await;
            if self.hear(frame).await.is_err() {
                return false;
            }
        }
    }

    /// Hears a frame. An error is the end.
    async fn hear(&mut self, frame: Result<Frame, FrameError>) -> Result<(), Failure> {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return self.say.put(&error_frame(None, &error.into())).await,
        };
        let request = frame.get("request-id").map(String::from);
        let heard = match &mut self.session {
            Some(session) => session.hear(frame).await,
            None => match self.begin(&frame).await {
                Ok(_) if frame.kind() == "kos.addr.alias" => Ok(()),
                Ok(session) => session.hear(frame).await,
                Err(failure) => {
                    self.say.put(&error_frame(None, &failure)).await?;
                    return Err(failure);
                }
            },
        };
        match heard {
            Ok(()) => Ok(()),
            Err(failure) => {
                self.say
                    .put(&error_frame(request.as_deref(), &failure))
                    .await
            }
        }
    }

    /// Holds a node for a client that says something first: its alias, as it should, or anything else.
    async fn begin(&mut self, first: &Frame) -> Result<&mut Session, Failure> {
        let alias = first
            .get("alias")
            .filter(|_| first.kind() == "kos.addr.alias");
        let held = self.events.hold(alias.and_then(wish)).await?;
        let client = (held, self.caller);
        let session = Session::new(&self.events, client, self.api.clone(), self.say.clone())?;
        session.greet().await?;
        Ok(self.session.insert(session))
    }
}

/// Says all that is to be said, and asks now and then whether the client is there.
async fn write(socket: &Socket, mut unsaid: Unsaid) -> Result<(), Error> {
    let mut ask_at = Instant::now() + EVENTS_KEEPALIVE;
    loop {
        tokio::select! {
            message = unsaid.next() => match message {
                Some(message) => {
                    let text = message.try_into();
                    let text = text.map_err(|_| Error::Utf8(String::new()))?;
                    socket.send(Message::Text(text)).await?;
                }
                None => return Ok(()),
            },
            () = sleep_until(ask_at) => {
                ask_at += EVENTS_KEEPALIVE;
                socket.send(Message::Ping(Default::default())).await?;
            }
        }
    }
}

/// How fast a client is heard.
struct Pace {
    since: Instant,
    count: usize,
}

impl Pace {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            count: 0,
        }
    }

    /// Waits until the next message may be heard.
    async fn step(&mut self) {
        let passed = self.since.elapsed();
        if passed >= Duration::from_secs(1) {
            *self = Self::new();
        } else if self.count >= EVENTS_MESSAGES_PER_SECOND {
            sleep(Duration::from_secs(1) - passed).await;
            *self = Self::new();
        }
        self.count += 1;
    }
}
