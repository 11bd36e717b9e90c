//! The subscriber's side: messages in order, whatever becomes of the way to the broker. When that is lost, the
//! subscription goes on from where it was, and is told what is missing.

use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt, unfold};
use serde::de::DeserializeOwned;

use super::client::{Topics, answer};
use super::filter::Filter;
use super::line::Line;
use super::way::Way;
use super::wire::{After, Ask, Gap, Head, Slow, Tell, Why, Wish, head, message};
use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{
    SUBSCRIPTION_PATIENCE, SUBSCRIPTION_RETRY, UNTAKEN_BYTES_MAX, UNTAKEN_MESSAGES_MAX,
};
use crate::object::{self, ObjectError, Value};

/// What a subscription is to bring.
#[derive(Clone, Debug, Default)]
pub struct Subscribe {
    /// The broker's node, by name or id; the zone's unless it is said.
    pub at: Option<String>,
    /// Everything that is kept since this position, instead of what is retained.
    pub after: Option<Position>,
    /// Also what is kept since what is retained.
    pub history: bool,
    /// Also what this node itself publishes.
    pub echo: bool,
    /// Each message for one member of this group only.
    pub group: Option<String>,
    /// What becomes of messages that are not taken fast enough.
    pub slow: Slow,
}

/// A place in the sequence of a broker's messages. An offset alone will do: those of another epoch are
/// recognised, but for one in a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Of the last message that is not wanted.
    pub offset: u64,
    /// Of that.
    pub epoch: Option<u64>,
}

/// What a subscription brings.
#[derive(Clone, Debug)]
pub enum Item {
    /// A message.
    Message(Message),
    /// At this place some are missing.
    Gap(Gap),
}

/// A message, as a subscriber gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it was published under.
    pub topic: Arc<str>,
    /// The filter of the subscription.
    pub filter: Filter,
    /// The value, as [`object::decode`] reads it; empty if it clears what was retained.
    pub bytes: Bytes,
    /// Its place among all messages of the broker.
    pub offset: u64,
    /// The epoch of that.
    pub epoch: u64,
    /// Who has published it.
    pub sender: NodeId,
    /// Whether it is what was retained when the subscription began.
    pub retained: bool,
    /// Whether another member of the group had it before, and may have taken it.
    pub again: bool,
    /// What its publisher has added; empty if that is nothing.
    pub attributes: Bytes,
}

impl Message {
    /// The value.
    ///
    /// # Errors
    /// If it is none.
    pub fn value(&self) -> Result<Value, ObjectError> {
        match self.bytes.is_empty() {
            true => Ok(Value::of(object::Item::Undefined)),
            false => object::decode(&self.bytes),
        }
    }

    /// The value as a type.
    ///
    /// # Errors
    /// What the type expects, and what there is.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ObjectError> {
        object::from_value(&self.value()?)
    }

    /// The position after which a subscription begins with the next message.
    pub fn position(&self) -> Position {
        Position {
            offset: self.offset,
            epoch: Some(self.epoch),
        }
    }
}

/// A subscription: a stream of items, which ends with a failure. It lasts until it is dropped.
pub struct Subscription(BoxStream<'static, Result<Item, Failure>>);

impl Subscription {
    pub(super) async fn begin(
        topics: Topics,
        filter: Filter,
        options: Subscribe,
    ) -> Result<Self, Failure> {
        let mut reader = Reader {
            topics,
            filter,
            options,
            line: None,
            place: None,
            epoch: 0,
            got: 0,
            told: 0,
            untold_bytes: 0,
            begun_at: Time::ZERO,
            lost_at: None,
            since: None,
            missed: None,
            told_lost: 0,
        };
        reader.connect().await?;
        let items = unfold(Some(reader), async |reader| {
            let mut reader = reader?;
            match reader.next().await {
                Ok(item) => Some((Ok(item), Some(reader))),
                Err(failure) => Some((Err(failure), None)),
            }
        });
        Ok(Self(items.boxed()))
    }
}

impl Stream for Subscription {
    type Item = Result<Item, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

struct Reader {
    topics: Topics,
    filter: Filter,
    options: Subscribe,
    line: Option<(Line, Way)>,
    /// Where it goes on when the broker is lost.
    place: Option<After>,
    epoch: u64,
    /// Items that came in this conversation, and how many the broker knows to be taken.
    got: u64,
    told: u64,
    untold_bytes: usize,
    /// When this conversation began, and since when there is none that lasts.
    begun_at: Time,
    lost_at: Option<Time>,
    /// The last offset before its group's first message.
    since: Option<u64>,
    /// What is known to be missing before anything else comes.
    missed: Option<Gap>,
    /// The last offset that was told to be trimmed.
    told_lost: u64,
}

impl Reader {
    async fn next(&mut self) -> Result<Item, Failure> {
        loop {
            if let Some(gap) = self.missed.take() {
                return Ok(Item::Gap(gap));
            }
            let failure = match self.read().await {
                Ok(Some(item)) => return Ok(item),
                Ok(None) => continue,
                Err(failure) => failure,
            };
            self.line = None;
            // Who was too slow has asked to hear of it.
            if failure.code == Code::Overloaded && self.options.slow == Slow::Disconnect {
                return Err(failure);
            }
            self.wait_for_broker(failure).await?;
        }
    }

    /// Looks for the broker that was lost; fails if it does not come back.
    async fn wait_for_broker(&mut self, mut failure: Failure) -> Result<(), Failure> {
        let node = self.topics.node().clone();
        // Who ends each conversation at once is as good as away.
        let mut soon = node.now() > self.begun_at + SUBSCRIPTION_RETRY;
        if soon {
            self.lost_at = None;
        }
        let lost_at = *self.lost_at.get_or_insert(node.now());
        loop {
            let is_over = node.now() > lost_at + SUBSCRIPTION_PATIENCE;
            if is_over || !may_pass(failure.code) || node.state() == crate::node::State::Closed {
                return Err(failure);
            }
            if !std::mem::take(&mut soon) {
                node.sleep(SUBSCRIPTION_RETRY).await;
            }
            match self.connect().await {
                Ok(()) => return Ok(()),
                Err(next) => failure = next,
            }
            self.topics.doubt_root();
        }
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        let at = self.options.at.as_deref();
        let (line, way) = self.topics.open(at).await?;
        let after = self.options.after.map(|Position { offset, epoch }| After {
            offset,
            epoch,
            until: None,
        });
        let wish = Wish {
            filter: self.filter.to_string(),
            after: self.place.or(after),
            history: self.options.history,
            echo: self.options.echo,
            group: self.options.group.clone(),
            slow: self.options.slow,
        };
        line.send(message(&Ask::Subscribe(wish), &[])).await?;
        let begun = answer(way.within(line.recv()).await?)?;
        let Tell::Begun {
            epoch,
            offset,
            since,
        } = begun
        else {
            return Err(Code::BadMessage.because("expected a subscription to begin"));
        };
        if self.place.is_none() && self.options.group.is_none() {
            let after = after.map(|after| After {
                epoch: after.epoch.or(Some(epoch)),
                ..after
            });
            self.place = Some(after.unwrap_or(After {
                offset: 0,
                epoch: Some(epoch),
                until: Some(offset),
            }));
        }
        self.look_back(epoch, since);
        (self.got, self.told, self.untold_bytes) = (0, 0, 0);
        self.begun_at = self.topics.node().now();
        self.line = Some((line, way));
        Ok(())
    }

    /// What has become of the broker, and of a group there, since this was there before.
    fn look_back(&mut self, epoch: u64, since: Option<u64>) {
        let is_same = std::mem::replace(&mut self.epoch, epoch) == epoch;
        if !is_same {
            self.told_lost = 0;
        }
        // A group that has begun anew has lost what was for the one before.
        if let (Some(before), Some(since)) = (self.since, since)
            && (before != since || !is_same)
        {
            self.missed = Some(Gap {
                why: if is_same { Why::Trimmed } else { Why::Epoch },
                missed: None,
                first: before.saturating_add(u64::from(is_same)),
                last: if is_same { since } else { before },
            });
        }
        self.since = since;
    }

    /// The next item; nothing, if it tells nothing new.
    async fn read(&mut self) -> Result<Option<Item>, Failure> {
        self.tell_taken()?;
        let Some((line, way)) = &self.line else {
            return Err(Code::Gone.because("the broker is lost"));
        };
        let next = poll_fn(|cx| {
            // What has come is not lost with the way on which it came.
            match line.poll_recv(cx) {
                Poll::Pending => way.poll_turned(cx).map(Err),
                read => read,
            }
        });
        let Some(next) = next.await? else {
            return Err(Code::Left.because("the broker has ended"));
        };
        self.lost_at = None;
        self.got += 1;
        self.untold_bytes += next.len();
        let (tell, value) = head(&next, "an item of a subscription")?;
        Ok(match tell {
            Tell::Message(head) => Some(Item::Message(self.message(head, value))),
            Tell::Gap(gap) => self.gap(gap).map(Item::Gap),
            _ => return Err(Code::BadMessage.because("expected a message or a gap")),
        })
    }

    fn message(&mut self, head: Head<'_>, bytes: Bytes) -> Message {
        if let Some(place) = &mut self.place {
            place.offset = place.offset.max(head.offset);
            place.until = place.until.filter(|until| head.offset <= *until);
        }
        Message {
            topic: head.topic.into(),
            filter: self.filter.clone(),
            bytes,
            offset: head.offset,
            epoch: self.epoch,
            sender: head.sender,
            retained: head.retained,
            again: head.again,
            attributes: head
                .attributes
                .map_or_else(Bytes::new, |added| Bytes::copy_from_slice(added)),
        }
    }

    /// A gap, unless all of it was told before.
    fn gap(&mut self, gap: Gap) -> Option<Gap> {
        if gap.why == Why::Trimmed {
            if gap.last <= self.told_lost {
                return None;
            }
            self.told_lost = gap.last;
        }
        if gap.why == Why::Epoch && self.place.is_some() {
            self.place = Some(After {
                offset: self.epoch.saturating_sub(1),
                epoch: Some(self.epoch),
                until: None,
            });
        }
        Some(gap)
    }

    /// What came before is taken now that the next is asked for. The broker learns it in time to go on.
    fn tell_taken(&mut self) -> Result<(), Failure> {
        let Some((line, _)) = &self.line else {
            return Ok(());
        };
        let untold = self.got - self.told;
        let is_each = self.options.group.is_some() || self.options.slow == Slow::Latest;
        let is_due = untold >= UNTAKEN_MESSAGES_MAX as u64 / 4
            || self.untold_bytes >= UNTAKEN_BYTES_MAX / 4
            || is_each && untold > 0;
        // Without room it is told with the next.
        if is_due && line.try_send(&message(&Ask::Taken(self.got), &[]))? {
            self.told = self.got;
            self.untold_bytes = 0;
        }
        Ok(())
    }
}

/// Whether a broker of which this is heard may be back soon.
fn may_pass(code: Code) -> bool {
    use Code::{
        Cancelled, Gone, Left, Overloaded, TimedOut, UnknownName, UnknownProtocol, Unreachable,
    };
    matches!(
        code,
        Cancelled
            | Gone
            | Left
            | Overloaded
            | TimedOut
            | UnknownName
            | UnknownProtocol
            | Unreachable
    )
}
