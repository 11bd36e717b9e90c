//! A client's session, which outlives its connections: what it is subscribed to, and what is under way.

use std::collections::HashMap;
use std::num::{NonZeroU16, NonZeroU32};

use futures_util::future::AbortHandle;
use futures_util::stream::{BoxStream, SelectAll, StreamExt, abortable};
use peerage::Failure;
use peerage::error::Code;
use peerage::service::broker::{Filter, Item, Message, Publishing, Subscribe, Subscription};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v5::{RetainHandling, SubscribeAckReason, SubscriptionOptions};
use tokio::time::timeout;

use super::inflight::Inflight;
use super::limits::{MESH_TIMEOUT, RECEIVE_MAX, SUBSCRIPTIONS_MAX};
use super::message;
use crate::front::held::Held;
use crate::runtime::random;

/// A client's session, with the node that is held for it.
pub(super) struct Session {
    pub(super) held: Held,
    /// Messages to the client that it has not acknowledged.
    pub(super) inflight: Inflight,
    /// Messages of quality 2 from the client of which it has not forgotten the number, and their own number.
    received: HashMap<NonZeroU16, u64>,
    /// By which the broker knows what it has had before.
    publisher: String,
    published: u64,
    subscribed: Vec<Subscribed>,
    items: SelectAll<BoxStream<'static, (u64, Result<Item, Failure>)>>,
    serial: u64,
}

/// A subscription of the client.
struct Subscribed {
    /// As the client says it.
    text: String,
    filter: Filter,
    group: Option<String>,
    options: SubscriptionOptions,
    id: Option<NonZeroU32>,
    /// Its stream, which ends with this.
    stream: Option<Stream>,
    /// The epoch and the offset of the last message that came.
    seen: (u64, u64),
    /// What is retained is not wanted.
    skips_retained: bool,
}

struct Stream {
    serial: u64,
    end: AbortHandle,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.end.abort();
    }
}

/// What becomes of a message of quality 2.
pub(super) enum Once {
    /// It goes to the broker under this number.
    Number(u64),
    /// There are too many that the client does not let be forgotten.
    TooMany,
}

impl Session {
    /// A new one.
    pub(super) fn new(held: Held) -> Result<Self, getrandom::Error> {
        let publisher = data_encoding::HEXLOWER.encode(&random()?);
        Ok(Self {
            held,
            inflight: Inflight::default(),
            received: HashMap::new(),
            publisher,
            published: 0,
            subscribed: Vec::new(),
            items: SelectAll::new(),
            serial: 0,
        })
    }

    /// The number of a message of quality 2, which may come again under its packet's.
    pub(super) fn receive(&mut self, id: NonZeroU16) -> Once {
        if let Some(number) = self.received.get(&id) {
            return Once::Number(*number);
        }
        if self.received.len() >= usize::from(RECEIVE_MAX.get()) {
            return Once::TooMany;
        }
        self.published += 1;
        self.received.insert(id, self.published);
        Once::Number(self.published)
    }

    /// The client forgets a number; whether it was known.
    pub(super) fn release(&mut self, id: NonZeroU16) -> bool {
        self.received.remove(&id).is_some()
    }

    /// Publishes a message of the client at the zone's broker.
    ///
    /// # Errors
    /// As [`Topics::publish`](peerage::service::broker::Topics::publish).
    pub(super) fn publish(
        &self,
        publish: &Publish,
        number: Option<u64>,
    ) -> Result<Publishing, Failure> {
        let (value, mut options) = message::to_broker(publish);
        options.number = number.map(|number| (self.publisher.clone(), number));
        let topics = self.held.topics();
        topics.publish_bytes(&publish.topic, &value, options)
    }

    /// Subscribes the client, or changes its subscription; what it is told.
    pub(super) async fn subscribe(
        &mut self,
        wish: Wish,
        options: SubscriptionOptions,
        id: Option<NonZeroU32>,
    ) -> SubscribeAckReason {
        let place = self.subscribed.iter().position(|s| s.text == wish.text);
        if place.is_none() && self.subscribed.len() >= SUBSCRIPTIONS_MAX {
            return SubscribeAckReason::QuotaExceeded;
        }
        let known = place.map(|place| &self.subscribed[place]);
        let seen = known.map_or((0, 0), |known| known.seen);
        let skips_retained = match options.retain_handling {
            RetainHandling::AtSubscribe => false,
            RetainHandling::AtSubscribeNew => known.is_some(),
            RetainHandling::NoAtSubscribe => true,
        };
        let subscribe = Subscribe {
            echo: !options.no_local,
            // What was for the subscription before, and has not come, is there again.
            history: known.is_some() && wish.group.is_none(),
            group: wish.group.clone(),
            ..Subscribe::default()
        };
        let stream = match self.begin(wish.filter.as_str(), subscribe).await {
            Ok(stream) => stream,
            Err(failure) => return refusal(failure.code),
        };
        let subscribed = Subscribed {
            text: wish.text,
            filter: wish.filter,
            group: wish.group,
            options,
            id,
            stream: Some(stream),
            seen,
            skips_retained,
        };
        match place {
            Some(place) => self.subscribed[place] = subscribed,
            None => self.subscribed.push(subscribed),
        }
        match options.qos {
            QoS::AtMostOnce => SubscribeAckReason::GrantedQos0,
            QoS::AtLeastOnce => SubscribeAckReason::GrantedQos1,
            QoS::ExactlyOnce => SubscribeAckReason::GrantedQos2,
        }
    }

    /// Ends a subscription; whether there was one.
    pub(super) fn unsubscribe(&mut self, text: &str) -> bool {
        let before = self.subscribed.len();
        self.subscribed.retain(|subscribed| subscribed.text != text);
        self.subscribed.len() < before
    }

    /// The client is away: what it gets at quality 0 does not wait for it.
    pub(super) fn park(&mut self) {
        for subscribed in &mut self.subscribed {
            if subscribed.options.qos == QoS::AtMostOnce {
                subscribed.stream = None;
            }
        }
    }

    /// The client is back.
    ///
    /// # Errors
    /// If its broker cannot be reached.
    pub(super) async fn resume(&mut self) -> Result<(), Failure> {
        for place in 0..self.subscribed.len() {
            let subscribed = &mut self.subscribed[place];
            if subscribed.stream.is_some() {
                continue;
            }
            subscribed.skips_retained = true;
            let subscribe = Subscribe {
                echo: !subscribed.options.no_local,
                group: subscribed.group.clone(),
                ..Subscribe::default()
            };
            let filter = subscribed.filter.clone();
            let stream = self.begin(filter.as_str(), subscribe).await?;
            self.subscribed[place].stream = Some(stream);
        }
        Ok(())
    }

    /// The next message for the client; never, if it has no subscriptions.
    ///
    /// # Errors
    /// If a subscription has ended, and the session with it.
    pub(super) async fn next(&mut self) -> Result<Publish, Failure> {
        loop {
            let Some((serial, item)) = self.items.next().await else {
                std::future::pending::<()>().await;
                continue;
            };
            if let Some(publish) = self.item(serial, item)? {
                return Ok(publish);
            }
        }
    }

    fn item(
        &mut self,
        serial: u64,
        item: Result<Item, Failure>,
    ) -> Result<Option<Publish>, Failure> {
        let is_it = |s: &&mut Subscribed| s.stream.as_ref().is_some_and(|s| s.serial == serial);
        // It may have ended just now.
        let Some(subscribed) = self.subscribed.iter_mut().find(is_it) else {
            return Ok(None);
        };
        match item? {
            Item::Message(message) => Ok(subscribed.message(&message)),
            Item::Gap(gap) => {
                tracing::debug!(
                    target: peerage::log::MESSAGE,
                    filter = subscribed.text, why = gap.why.as_str(), missed = ?gap.missed,
                    "an MQTT client has missed messages"
                );
                Ok(None)
            }
        }
    }

    async fn begin(&mut self, filter: &str, subscribe: Subscribe) -> Result<Stream, Failure> {
        let subscribing = self.held.topics().subscribe(filter, subscribe);
        let late = |_| Code::TimedOut.because("the broker does not answer");
        let subscription: Subscription =
            timeout(MESH_TIMEOUT, subscribing).await.map_err(late)??;
        self.serial += 1;
        let serial = self.serial;
        let (items, end) = abortable(subscription.map(move |item| (serial, item)));
        self.items.push(items.boxed());
        Ok(Stream { serial, end })
    }

    /// The session is over, and its node leaves, or vanishes.
    pub(super) fn end(self, in_good_order: bool) {
        if !in_good_order {
            self.held.vanish();
        }
    }
}

impl Subscribed {
    /// What the client gets of a message, if it is for it.
    fn message(&mut self, message: &Message) -> Option<Publish> {
        // Wildcards do not mean what a server keeps for itself.
        let is_hidden =
            message.topic.starts_with('$') && self.filter.as_str().starts_with(['+', '#']);
        let is_known = match message.retained {
            true => self.skips_retained,
            // To members of a group older ones may come again.
            false => {
                let (epoch, offset) = self.seen;
                self.group.is_none() && epoch == message.epoch && message.offset <= offset
            }
        };
        self.seen = match self.seen {
            (epoch, offset) if epoch == message.epoch => (epoch, offset.max(message.offset)),
            _ => (message.epoch, message.offset),
        };
        if is_hidden || is_known {
            return None;
        }
        let mut publish = message::from_broker(message, &self.options)?;
        if let (Some(id), Some(properties)) = (self.id, &mut publish.properties) {
            properties.subscription_ids.push(id);
        }
        Some(publish)
    }
}

/// To what a client wants to be subscribed.
pub(super) struct Wish {
    text: String,
    pub(super) filter: Filter,
    pub(super) group: Option<String>,
}

impl Wish {
    /// Reads a filter: `a/#`, or `$share/group/a/#`.
    ///
    /// # Errors
    /// What is told of one that is none.
    pub(super) fn read(text: &str) -> Result<Self, SubscribeAckReason> {
        let (group, filter) = match text.strip_prefix("$share/") {
            Some(shared) => match shared.split_once('/') {
                Some((group, filter)) if !group.is_empty() && !group.contains(['+', '#']) => {
                    (Some(group.to_owned()), filter)
                }
                _ => return Err(SubscribeAckReason::TopicFilterInvalid),
            },
            None => (None, text),
        };
        // Of these the broker has a meaning of its own.
        let filter = Some(filter).filter(|filter| !filter.contains('*'));
        let filter = filter.and_then(|filter| filter.parse().ok());
        Ok(Self {
            text: text.to_owned(),
            filter: filter.ok_or(SubscribeAckReason::TopicFilterInvalid)?,
            group,
        })
    }
}

fn refusal(code: Code) -> SubscribeAckReason {
    match code {
        Code::BadMessage | Code::TooLarge => SubscribeAckReason::TopicFilterInvalid,
        Code::Overloaded => SubscribeAckReason::QuotaExceeded,
        Code::Unauthorised => SubscribeAckReason::NotAuthorized,
        _ => SubscribeAckReason::UnspecifiedError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_mqtt_are_read() {
        let read = |text| {
            let wish = Wish::read(text).ok()?;
            Some((wish.filter.to_string(), wish.group))
        };
        assert_eq!(read("a/+/#"), Some(("a/+/#".into(), None)));
        assert_eq!(read("$share/g/a/#"), Some(("a/#".into(), Some("g".into()))));
        assert_eq!(read("$share/g//"), Some(("/".into(), Some("g".into()))));
        for wrong in [
            "",
            "a/#/b",
            "a/*",
            "$share/g",
            "$share//a",
            "$share/+/a",
            "$share/g/",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
