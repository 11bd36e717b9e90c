//! A client's subscriptions: each brings its messages with the topic and the filter that meant it. Who takes them slowly
//! misses the oldest at the broker, and is told how many.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use peerage::error::Code;
use peerage::limits::EVENTS_SUBSCRIPTIONS_MAX;
use peerage::service::broker::{Gap, Item, Message, Publish, Subscribe, Topics};
use peerage::{Failure, Node};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::address::{Address, Whom};
use super::frame::{Frame, FrameError};
use super::json;
use super::session::{Say, error_frame};

/// How long what a client says next waits for its subscriptions to begin, so that it asks for a state only after it
/// hears of changes.
const BEGIN_MAX: Duration = Duration::from_secs(2);

/// What a client has subscribed to. It ends when this is dropped.
pub(super) struct Subscriptions {
    relay: Node,
    topics: Topics,
    say: Say,
    /// By the broker's node, if it is not the zone's, and the filter.
    running: HashMap<(Option<String>, String), AbortHandle>,
}

impl Subscriptions {
    pub(super) fn new(relay: Node, topics: Topics, say: Say) -> Self {
        Self {
            relay,
            topics,
            say,
            running: HashMap::new(),
        }
    }

    /// Subscribes to the topics of a frame, and waits for a while until that has begun.
    ///
    /// # Errors
    /// What is wrong with the frame; `overloaded`.
    pub(super) async fn subscribe(&mut self, frame: &Frame) -> Result<(), Failure> {
        let at = self.broker(frame)?;
        let mut begins = Vec::new();
        for filter in filters(frame)? {
            let key = (at.clone(), filter.clone());
            self.running.retain(|_, task| !task.is_finished());
            if self.running.contains_key(&key) {
                continue;
            }
            if self.running.len() >= EVENTS_SUBSCRIPTIONS_MAX {
                let message = format!("expected at most {EVENTS_SUBSCRIPTIONS_MAX} subscriptions");
                return Err(Code::Overloaded.because(message));
            }
            let (begun, begins_now) = oneshot::channel();
            let bring = Bring {
                from: frame.get("dst-addr").map(String::from),
                relay: self.relay.clone(),
                topics: self.topics.clone(),
                say: self.say.clone(),
            };
            let task = tokio::spawn(bring.run(at.clone(), filter, begun));
            self.running.insert(key, task.abort_handle());
            begins.push(begins_now);
        }
        // What takes longer, or fails, is told when it does.
        let _ = timeout(BEGIN_MAX, join_all(begins)).await;
        Ok(())
    }

    /// Subscribes no more to the topics of a frame.
    ///
    /// # Errors
    /// What is wrong with the frame.
    pub(super) fn unsubscribe(&mut self, frame: &Frame) -> Result<(), Failure> {
        let at = self.broker(frame)?;
        for filter in filters(frame)? {
            if let Some(task) = self.running.remove(&(at.clone(), filter)) {
                task.abort();
            }
        }
        Ok(())
    }

    /// Publishes a frame's body under its topic.
    ///
    /// # Errors
    /// What is wrong with the frame; `overloaded`. What goes wrong later is told to the client.
    pub(super) fn publish(&self, frame: &Frame) -> Result<(), Failure> {
        let missing = || Code::BadMessage.because("expected a header `topic`");
        let topic = frame.get("topic").ok_or_else(missing)?;
        let options = Publish {
            at: self.broker(frame)?,
            ..Publish::default()
        };
        let value = json::read(&frame.body)?;
        let publishing = self.topics.publish_value(topic, &value, options)?;
        let (say, request) = (self.say.clone(), frame.get("request-id").map(String::from));
        tokio::spawn(async move {
            if let Err(failure) = publishing.await {
                // The client may be gone.
                let _ = say.put(&error_frame(request.as_deref(), &failure)).await;
            }
        });
        Ok(())
    }

    /// The node whose broker is meant; the zone's unless another is named.
    fn broker(&self, frame: &Frame) -> Result<Option<String>, Failure> {
        let whom = frame.get("dst-addr");
        Ok(match (Whom::read(whom, &self.relay)?, whom) {
            (_, None) => None,
            (Whom::Here, _) if self.relay.is_primary() => None,
            (Whom::Here, _) => Some(self.relay.id().to_string()),
            (Whom::Node(name), _) => Some(name),
        })
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        self.running.values().for_each(AbortHandle::abort);
    }
}

/// The topics that a frame is about.
fn filters(frame: &Frame) -> Result<Vec<String>, Failure> {
    let wrong = |error| Code::BadMessage.because(format!("expected a list of topics: {error}"));
    serde_json::from_str(&frame.body).map_err(wrong)
}

/// What brings the messages of a subscription to its client.
struct Bring {
    /// Another node's broker, as the client writes its address: it looks for that.
    from: Option<String>,
    relay: Node,
    topics: Topics,
    say: Say,
}

impl Bring {
    async fn run(self, at: Option<String>, filter: String, begun: oneshot::Sender<()>) {
        let result = self.bring(at, &filter, begun).await;
        if let Err(failure) = result {
            // The client may be gone.
            let told = error_frame(None, &failure).with("topic", &filter);
            let told = told.unwrap_or_else(|_| error_frame(None, &failure));
            let _ = self.say.put(&told).await;
        }
    }

    async fn bring(
        &self,
        at: Option<String>,
        filter: &str,
        begun: oneshot::Sender<()>,
    ) -> Result<(), Failure> {
        let options = Subscribe {
            at,
            ..Subscribe::default()
        };
        let mut subscription = self.topics.subscribe(filter, options).await?;
        drop(begun);
        while let Some(item) = subscription.next().await {
            let frame = match item? {
                Item::Message(message) => self.message(&message),
                Item::Gap(gap) => missing(filter, &gap),
            };
            self.say.put(&frame?).await?;
        }
        Ok(())
    }

    fn message(&self, message: &Message) -> Result<Frame, FrameError> {
        let value = message.value().unwrap_or_default();
        let sender = || Address::of_node(&self.relay, message.sender).to_string();
        let sender = self.from.clone().unwrap_or_else(sender);
        let frame = Frame::new("kos.broker.send")
            .with("src-addr", &sender)?
            .with("topic", &message.topic)?
            .with("subscription", message.filter.as_str())?;
        Ok(frame.with_body(json::write(&value)))
    }
}

/// What did not come. It has no `subscription`, or it would be taken for a message.
fn missing(filter: &str, gap: &Gap) -> Result<Frame, FrameError> {
    let missed = gap
        .missed
        .map_or_else(String::new, |missed| missed.to_string());
    Frame::new("kos.broker.gap")
        .with("filter", filter)?
        .with("missed", &missed)
}
