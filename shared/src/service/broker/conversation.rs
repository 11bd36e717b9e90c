//! The broker's conversations: what each is for, and those of subscribers and of the curious.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::Bytes;

use super::filter::Filter;
use super::line::Line;
use super::server::{Broker, Outlet, now_ms};
use super::state::Touched;
use super::wire::{Ask, Member, Tell, Wish, head, message};
use crate::error::{Code, Failure};
use crate::limits::{BROKER_PATIENCE, BROKER_TURN_MESSAGES, LISTING_BYTES_MAX};

impl Broker {
    /// Does what the first message asks for, to its end.
    pub(super) async fn converse(&self, line: &Arc<Line>) -> Result<(), Failure> {
        let Some(first) = self.first(line).await? else {
            return Err(Code::BadMessage.because("expected a wish, got the end of the stream"));
        };
        let (ask, _) = head(&first, "a message to a broker")?;
        match ask {
            Ask::Publish { .. } => self.hear(line, first).await?,
            Ask::Subscribe(wish) => self.feed(line, wish).await?,
            Ask::Presence { filter, follow } => {
                self.tell_presence(line, filter.parse()?, follow).await?;
            }
            Ask::Topics(filter) => self.tell_topics(line, &filter.parse()?).await?,
            Ask::Where => line.send(message(&self.whereabouts(), &[])).await?,
            Ask::Taken(_) => {
                return Err(Code::BadMessage.because("expected a wish, got a receipt"));
            }
        }
        line.finish();
        Ok(())
    }

    /// What a conversation is for is said at its beginning.
    async fn first(&self, line: &Line) -> Result<Option<Bytes>, Failure> {
        let mut late = pin!(self.0.node.sleep(BROKER_PATIENCE));
        poll_fn(|cx| match line.poll_recv(cx) {
            Poll::Pending => late
                .as_mut()
                .poll(cx)
                .map(|()| Err(Code::TimedOut.because("the stream did not say what it is for"))),
            first => first,
        })
        .await
    }

    /// Sends a subscription's items, until it ends.
    async fn feed(&self, line: &Arc<Line>, wish: Wish) -> Result<(), Failure> {
        let (id, _guard) = {
            let mut inner = self.lock();
            let (epoch, offset) = (inner.state.epoch(), inner.state.last());
            let mut touched = Touched::new();
            let id = inner.state.subscribe(line.peer(), wish, &mut touched)?;
            let since = inner.state.group_since(id);
            let begun = Tell::Begun {
                epoch,
                offset,
                since,
            };
            let outlet = Outlet {
                line: Arc::clone(line),
                stalled: Some(message(&begun, &[])),
                task: None,
            };
            inner.outlets.insert(id, outlet);
            inner.touch(&touched);
            (id, Leave(self, id))
        };
        poll_fn(|cx| {
            for _ in 0..BROKER_TURN_MESSAGES {
                {
                    let mut inner = self.lock();
                    inner.pump(id, Some(cx));
                    if let Some(failure) = inner.state.over(id) {
                        return Poll::Ready(Err(failure));
                    }
                }
                let told = match line.poll_recv(cx) {
                    Poll::Ready(Ok(Some(told))) => told,
                    Poll::Ready(Ok(None)) => return Poll::Ready(Ok(())),
                    Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                    Poll::Pending => return Poll::Pending,
                };
                if let Err(failure) = self.receipt(id, &told) {
                    return Poll::Ready(Err(failure));
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    fn receipt(&self, id: u64, told: &Bytes) -> Result<(), Failure> {
        let (Ask::Taken(total), _) = head(told, "a receipt")? else {
            return Err(Code::BadMessage.because("expected a receipt"));
        };
        let mut touched = Touched::new();
        let mut inner = self.lock();
        inner.state.take(id, total, &mut touched)?;
        inner.touch(&touched);
        Ok(())
    }

    async fn tell_presence(
        &self,
        line: &Line,
        filter: Filter,
        follow: bool,
    ) -> Result<(), Failure> {
        let (present, watching) = {
            let mut inner = self.lock();
            let watching = match follow {
                true => Some(inner.state.watch(filter.clone())?),
                false => None,
            };
            (inner.state.present(&filter), watching)
        };
        let _guard = watching.map(|id| Leave(self, id));
        let present: Vec<_> = present.into_iter().collect();
        send_list(line, &present, |some| Tell::Present(some.to_vec())).await?;
        let Some(id) = watching else { return Ok(()) };
        loop {
            let next = poll_fn(|cx| self.poll_news(line, id, cx)).await?;
            let Some((joined, member)) = next else {
                return Ok(());
            };
            let tell = if joined {
                Tell::Joined(member)
            } else {
                Tell::Left(member)
            };
            let news = message(&tell, &[]);
            // Who does not take it is over sooner or later.
            poll_fn(|cx| {
                let mut inner = self.lock();
                if let Some(failure) = inner.state.over(id) {
                    return Poll::Ready(Err(failure));
                }
                inner.watching.insert(id, cx.waker().clone());
                line.poll_send(&news, cx)
            })
            .await?;
        }
    }

    fn poll_news(
        &self,
        line: &Line,
        id: u64,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<(bool, Member)>, Failure>> {
        let mut inner = self.lock();
        if let Some(failure) = inner.state.over(id) {
            return Poll::Ready(Err(failure));
        }
        if let Some(news) = inner
            .state
            .watcher(id)
            .and_then(|watcher| watcher.news.pop_front())
        {
            return Poll::Ready(Ok(Some(news)));
        }
        inner.watching.insert(id, cx.waker().clone());
        drop(inner);
        match line.poll_recv(cx) {
            Poll::Ready(Ok(None)) => Poll::Ready(Ok(None)),
            Poll::Ready(Ok(Some(_))) => {
                Poll::Ready(Err(Code::BadMessage.because("expected nothing more")))
            }
            Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
            Poll::Pending => Poll::Pending,
        }
    }

    async fn tell_topics(&self, line: &Line, filter: &Filter) -> Result<(), Failure> {
        let mut after = None;
        loop {
            // A part at a time: they may be many, and read slowly.
            let after_name = after.as_deref();
            let topics = self
                .lock()
                .state
                .topics(filter, after_name, LISTING_BYTES_MAX);
            after = topics.last().map(|topic| topic.name.clone());
            line.send(message(&Tell::Topics(topics), &[])).await?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    fn whereabouts(&self) -> Tell<'static> {
        match self.0.node.uplink() {
            Some(uplink) => Tell::There(Some(uplink)),
            None if self.0.node.is_primary() => Tell::There(None),
            None => {
                let message = "the way to the zone's broker is interrupted";
                Tell::Failed(Code::Unreachable.because(message))
            }
        }
    }
}

/// Ends a subscription, or a watch, when its conversation is over.
struct Leave<'b>(&'b Broker, u64);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let Self(broker, id) = *self;
        let now_ms = now_ms(&broker.0.node);
        let mut inner = broker.lock();
        inner.outlets.remove(&id);
        inner.watching.remove(&id);
        let mut touched = Touched::new();
        inner.state.unsubscribe(id, now_ms, &mut touched);
        inner.state.unwatch(id);
        inner.touch(&touched);
    }
}

/// Sends a list in messages of a moderate size, and an empty one at the end.
async fn send_list<T: minicbor::Encode<()>>(
    line: &Line,
    list: &[T],
    tell: impl Fn(&[T]) -> Tell<'static>,
) -> Result<(), Failure> {
    let (mut begin, mut bytes) = (0, 0);
    for (end, item) in list.iter().enumerate() {
        bytes += crate::wire::to_cbor(item).len();
        if bytes > LISTING_BYTES_MAX {
            line.send(message(&tell(&list[begin..end]), &[])).await?;
            (begin, bytes) = (end, 0);
        }
    }
    if begin < list.len() {
        line.send(message(&tell(&list[begin..]), &[])).await?;
    }
    line.send(message(&tell(&[]), &[])).await
}
