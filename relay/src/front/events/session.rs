//! A client that has been heard: what it says, and the node that is held for it.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use bytes::Bytes;
use peerage::error::Code;
use peerage::http::Http;
use peerage::limits::{EVENTS_REQUESTS_MAX, REQUEST_TIMEOUT};
use peerage::rpc::{AgentHandle, CallError};
use peerage::service::lane::Lanes;
use peerage::{Failure, Name, Node, NodeId};
use serde_json::json;
use tokio::task::{AbortHandle, JoinSet};

use super::address::{Address, Whom};
use super::broker::Subscriptions;
use super::frame::Frame;
use super::future::Future;
use super::future::now_ms;
use super::http::{Answer, Asking};
use super::letter::{self, Letter, Letterbox};
use super::serve::Serving;
use super::{Events, json};
use crate::front::held::Held;
use crate::front::out::Out;

/// The lane of a client's ordered requests.
const ORDERED: &str = "ordered";

/// Where frames for a client are left. Clones are the same.
#[derive(Clone)]
pub(super) struct Say(pub(super) Out);

impl Say {
    /// Says something once there is room.
    ///
    /// # Errors
    /// `gone`.
    pub(super) async fn put(&self, frame: &Frame) -> Result<(), Failure> {
        self.0.put(bytes_of(frame)).await
    }

    /// Says something if there is room now.
    ///
    /// # Errors
    /// `overloaded`; `gone`.
    pub(super) fn push(&self, frame: &Frame) -> Result<(), Failure> {
        self.0.push(bytes_of(frame))
    }
}

fn bytes_of(frame: &Frame) -> Bytes {
    frame.to_string().into()
}

/// A client, and the node that is held for it.
pub(super) struct Session {
    relay: Node,
    held: Held,
    say: Say,
    asking: Asking,
    serving: Serving,
    subscriptions: Subscriptions,
    lanes: Lanes,
    running: Running,
    /// Futures of which the client is told.
    followed: Arc<Mutex<HashSet<u32>>>,
    tasks: JoinSet<()>,
    _letters: AgentHandle,
}

/// Requests of a client that are not answered, by its number for each.
type Running = Arc<Mutex<HashMap<String, AbortHandle>>>;

impl Session {
    pub(super) fn new(
        events: &Events,
        (held, caller): (Held, SocketAddr),
        api: Router,
        say: Say,
    ) -> Result<Self, Failure> {
        let relay: Node = events.relay();
        let node: Node = (*held).clone();
        let http = Http::new(node.clone(), |task| drop(tokio::spawn(task)));
        let patience = events.0.settings.request_timeout;
        let serving = Serving::new(relay.clone(), node.clone(), say.clone(), patience);
        http.serve(serving.clone());
        let letters = Letterbox {
            relay: relay.clone(),
            node: node.clone(),
            say: say.clone(),
        };
        let letters = held.rpc().agent(letter::AGENT, letters)?;
        let asking = Asking {
            relay: relay.clone(),
            node,
            caller,
            http,
            operations: held.operations().clone(),
            relays: events.0.node.operations().clone(),
            futures: events.0.futures.clone(),
            api,
            patience,
        };
        let topics = held.topics().clone();
        Ok(Self {
            subscriptions: Subscriptions::new(relay.clone(), topics, say.clone()),
            relay,
            held,
            say,
            asking,
            serving,
            lanes: Lanes::default(),
            running: Running::default(),
            followed: Arc::default(),
            tasks: JoinSet::new(),
            _letters: letters,
        })
    }

    /// Tells a client how it is called, and where it can be found.
    ///
    /// # Errors
    /// `gone`.
    pub(super) async fn greet(&self) -> Result<(), Failure> {
        let name = self
            .held
            .name()
            .map_or_else(String::new, |name| name.to_string());
        let address = Address::of(&self.relay, name.clone()).to_string();
        let frame = Frame::new("kos.addr.alias")
            .with("alias", &name)?
            .with("dst-addr", &address)?;
        self.say.put(&frame).await
    }

    /// Hears what the client says.
    ///
    /// # Errors
    /// What is wrong with it; the conversation goes on.
    pub(super) async fn hear(&mut self, frame: Frame) -> Result<(), Failure> {
        // What is over takes no room.
        while self.tasks.try_join_next().is_some() {}
        match frame.kind() {
            "kos.addr.alias" if self.is_own_alias(&frame) => self.greet().await,
            "kos.addr.alias" => Err(Code::Refused.because("a client names itself once, and first")),
            "kos.http.request" => self.ask(frame).await,
            "kos.http.response" => {
                self.serving.answer(frame);
                Ok(())
            }
            "kos.http.abort" => self.abort(&frame),
            "kos.broker.subscribe" => self.subscriptions.subscribe(&frame).await,
            "kos.broker.unsubscribe" => self.subscriptions.unsubscribe(&frame),
            "kos.broker.send" => self.subscriptions.publish(&frame),
            "kos.message.request" => self.send(&frame),
            other => {
                let message = format!("expected a known type, got `{other}`");
                Err(Code::UnknownProtocol.because(message))
            }
        }
    }

    /// The client has gone: in good order, or nobody knows why.
    pub(super) fn end(self, in_good_order: bool) {
        let Self { held, .. } = self;
        if !in_good_order {
            held.vanish();
        }
    }

    fn is_own_alias(&self, frame: &Frame) -> bool {
        let wish = frame.get("alias").and_then(wish);
        let own = self.held.name();
        wish.zip(own)
            .is_some_and(|(wish, own)| own.descends_from(&wish))
    }

    /// Begins with a request, or answers that it cannot be.
    async fn ask(&mut self, frame: Frame) -> Result<(), Failure> {
        let id = request_id(&frame)?.to_owned();
        match self.begin(id.clone(), frame) {
            Ok(()) => Ok(()),
            Err(failure) => {
                let answer = Answer::failed(&failure);
                self.say
                    .put(&self.asking.response((&id, None), &answer)?)
                    .await
            }
        }
    }

    fn begin(&mut self, id: String, frame: Frame) -> Result<(), Failure> {
        let mut running = lock(&self.running);
        if running.contains_key(&id) {
            let message = format!("request `{id}` is not over yet");
            return Err(Code::BadMessage.because(message));
        }
        if running.len() >= EVENTS_REQUESTS_MAX {
            let message = format!("expected at most {EVENTS_REQUESTS_MAX} requests at once");
            return Err(Code::Overloaded.because(message));
        }
        let is_ordered = frame.get("ordered") == Some("true");
        let enter = || self.lanes.enter(self.held.id(), ORDERED, frame.body.len());
        let turn = is_ordered.then(enter).transpose()?;
        let place = Place {
            running: Arc::clone(&self.running),
            id: id.clone(),
        };
        let (asking, say) = (self.asking.clone(), self.say.clone());
        let followed = Arc::clone(&self.followed);
        let task = self.tasks.spawn(async move {
            let answer = asking.answer(&frame, turn).await;
            let response = asking.response((&place.id, frame.get("dst-addr")), &answer);
            drop(place);
            let Ok(response) = response else {
                return;
            };
            // The client may be gone.
            let said = say.put(&response).await;
            if let (Ok(()), Some(future)) = (said, answer.future) {
                tell_of(&future, asking.node.id(), &say, &followed).await;
            }
        });
        running.insert(id, task);
        Ok(())
    }

    fn abort(&self, frame: &Frame) -> Result<(), Failure> {
        let task = lock(&self.running).remove(request_id(frame)?);
        if let Some(task) = task {
            task.abort();
        }
        Ok(())
    }

    /// Sends a message to another client. It leaves at once, so after those before.
    fn send(&mut self, frame: &Frame) -> Result<(), Failure> {
        let to = frame.get("dst-addr");
        let Whom::Node(name) = Whom::read(to, &self.relay)? else {
            return Err(letter::nobody());
        };
        let proxy = self.held.rpc().proxy(&name, letter::AGENT);
        let proxy = proxy.with_timeout(REQUEST_TIMEOUT);
        let call = proxy.call::<()>(letter::METHOD, &(Letter::of(frame),));
        let (say, request) = (self.say.clone(), frame.get("request-id").map(String::from));
        self.tasks.spawn(async move {
            if let Err(error) = call.await {
                let failure = match error {
                    CallError::Failed(failure) => failure,
                    thrown @ CallError::Thrown(_) => Code::Refused.because(thrown.to_string()),
                };
                // The client may be gone.
                let _ = say.put(&error_frame(request.as_deref(), &failure)).await;
            }
        });
        Ok(())
    }
}

/// A request that is not answered, until this is dropped.
struct Place {
    running: Running,
    id: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.id);
    }
}

fn lock(running: &Running) -> MutexGuard<'_, HashMap<String, AbortHandle>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

fn request_id(frame: &Frame) -> Result<&str, Failure> {
    let missing = || Code::BadMessage.because("expected a header `request-id`");
    frame.get("request-id").ok_or_else(missing)
}

/// Tells a client of a future, until that has ended. Who takes it slowly sees the latest.
async fn tell_of(future: &Future, client: NodeId, say: &Say, followed: &Mutex<HashSet<u32>>) {
    let lock = || followed.lock().unwrap_or_else(PoisonError::into_inner);
    let is_new = lock().insert(future.id);
    if !is_new {
        return;
    }
    let mut changes = future.changes();
    loop {
        changes.mark_unchanged();
        let view = future.view(Some(client), false);
        let frame = Frame::new("kos.future").with_body(json::text(&view));
        let is_said = say.put(&frame).await.is_ok();
        if !is_said || view.end_state.is_some() || changes.changed().await.is_err() {
            break;
        }
    }
    lock().remove(&future.id);
}

/// What a client is told of something that went wrong and is no request of HTTP.
pub(super) fn error_frame(request: Option<&str>, failure: &Failure) -> Frame {
    let body = json!({ "code": failure.code.as_str(), "message": failure.in_words() });
    let frame = Frame::new("kos.error").with_body(body.to_string());
    let plain = frame.clone();
    // A number that a client has said can be said to it.
    let frame = frame.with("response-id", request.unwrap_or_default());
    frame.unwrap_or(plain)
}

/// The name that an alias asks for: what names do not have is `-` in it.
pub(super) fn wish(alias: &str) -> Option<Name> {
    const NAME_CHARS_MAX: usize = 63;
    let alias = alias.replace("{{TIMESTAMP}}", &now_ms().to_string());
    let word = |c: char| match c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
        true => c,
        false => '-',
    };
    let name: String = alias.chars().map(word).take(NAME_CHARS_MAX).collect();
    name.trim_start_matches(['-', '_', '.']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_becomes_a_name() {
        let named = |alias: &str| wish(alias).map(|name| name.to_string());
        assert_eq!(named("screen-left").as_deref(), Some("screen-left"));
        assert_eq!(named("screen left: 1").as_deref(), Some("screen-left--1"));
        assert_eq!(named("-"), None);
        assert_eq!(named(&"x".repeat(99)).map(|name| name.len()), Some(63));
        let stamped = named("ui-{{TIMESTAMP}}").unwrap();
        let stamp = stamped.strip_prefix("ui-").unwrap();
        assert!(
            stamp.parse::<u64>().unwrap() > 1_600_000_000_000,
            "{stamped}"
        );
    }

    #[test]
    fn a_failure_is_told_whatever_it_says() {
        let failure = Code::Refused.because("a\n\ndst-addr:x");
        let frame = error_frame(Some("7"), &failure);
        assert_eq!(frame.get("response-id"), Some("7"));
        assert_eq!(Frame::parse(&frame.to_string()), Ok(frame));
    }
}
