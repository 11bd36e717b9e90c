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
            lost_at: None,
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
    /// The conversation, and which turn of the way to the zone's broker it belongs to.
    line: Option<(Line, Option<u64>)>,
    /// Where it goes on when the broker is lost.
    place: Option<After>,
    epoch: u64,
    /// Items that came in this conversation, and how many the broker knows to be taken.
    got: u64,
    told: u64,
    untold_bytes: usize,
    lost_at: Option<Time>,
}

impl Reader {
    async fn next(&mut self) -> Result<Item, Failure> {
        loop {
            let failure = match self.read().await {
                Ok(item) => return Ok(item),
                Err(failure) => failure,
            };
            self.line = None;
            self.wait_for_broker(failure).await?;
        }
    }

    /// Looks for the broker that was lost; fails if it does not come back.
    async fn wait_for_broker(&mut self, mut failure: Failure) -> Result<(), Failure> {
        let node = self.topics.node().clone();
        let lost_at = *self.lost_at.get_or_insert(node.now());
        loop {
            let is_over = node.now() > lost_at + SUBSCRIPTION_PATIENCE;
            if is_over || !may_pass(failure.code) || node.state() == crate::node::State::Closed {
                return Err(failure);
            }
            match self.connect().await {
                Ok(()) => return Ok(()),
                Err(next) => failure = next,
            }
            self.topics.doubt_root();
            node.sleep(SUBSCRIPTION_RETRY).await;
        }
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        let at = self.options.at.as_deref();
        let turn = at.is_none().then(|| self.topics.turns());
        let line = self.topics.open(at).await?;
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
        let begun = poll_fn(|cx| match self.topics.poll_turned(turn, cx) {
            Poll::Ready(failure) => Poll::Ready(Err(failure)),
            Poll::Pending => line.poll_recv(cx),
        })
        .await?;
        let Tell::Begun { epoch, offset } = answer(begun)? else {
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
        self.epoch = epoch;
        (self.got, self.told, self.untold_bytes) = (0, 0, 0);
        self.line = Some((line, turn));
        Ok(())
    }

    async fn read(&mut self) -> Result<Item, Failure> {
        self.tell_taken()?;
        let Some((line, turn)) = &self.line else {
            return Err(Code::Gone.because("the broker is lost"));
        };
        let next = poll_fn(|cx| {
            // What has come is not lost with the way on which it came.
            match line.poll_recv(cx) {
                Poll::Pending => self.topics.poll_turned(*turn, cx).map(Err),
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
            Tell::Message(head) => Item::Message(self.message(head, value)),
            Tell::Gap(gap) => Item::Gap(self.gap(gap)),
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
        }
    }

    fn gap(&mut self, gap: Gap) -> Gap {
        if gap.why == Why::Epoch && self.place.is_some() {
            self.place = Some(After {
                offset: self.epoch.saturating_sub(1),
                epoch: Some(self.epoch),
                until: None,
            });
        }
        gap
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
    use Code::{Cancelled, Gone, Left, TimedOut, UnknownName, Unreachable};
    matches!(
        code,
        Cancelled | Gone | Left | TimedOut | UnknownName | Unreachable
    )
}
