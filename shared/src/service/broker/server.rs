//! The broker's side: conversations with those who publish and subscribe, and the store.

use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;

use super::PROTOCOL;
use super::filter::Filter;
use super::kept::Rule;
use super::line::Line;
use super::publisher::Desk;
use super::state::{Planned, Publish, State, Touched};
use super::store::{self, Row, SharedStore};
use super::wire::{Ask, Tell, Wish, head, message};
use crate::error::{Code, Failure};
use crate::limits::{
    CONVERSATIONS_MAX, HISTORY_SWEEP, LISTING_BYTES_MAX, STORE_QUEUE_BYTES_MAX, STORE_QUEUE_MAX,
};
use crate::log::event;
use crate::node::Node;

/// How a broker keeps what is published.
#[derive(Clone, Default)]
pub struct Options {
    /// How much history topics have: the first rule that fits counts, and then the usual one.
    pub rules: Vec<Rule>,
    /// Where it is kept; in memory if there is no store.
    pub store: Option<SharedStore>,
}

/// The broker of a node. Clones are the same.
#[derive(Clone)]
pub struct Broker(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) node: Node,
    store: Option<SharedStore>,
    inner: Mutex<Inner>,
}

pub(super) struct Inner {
    pub(super) state: State,
    /// Messages that wait for the store, and for whom the answers are.
    pending: VecDeque<(Publish, Arc<Desk>)>,
    pending_bytes: usize,
    /// Publishers who wait for room there.
    waiting: Vec<Waker>,
    committer: Option<Waker>,
    outlets: HashMap<u64, Outlet>,
    /// Who waits for news of comings and goings.
    watching: HashMap<u64, Waker>,
    spawned: Vec<BoxFuture<'static, ()>>,
    server: Option<Waker>,
    serving: bool,
}

/// Where the items of a subscription go.
struct Outlet {
    line: Arc<Line>,
    /// An item for which there was no room.
    stalled: Option<Bytes>,
    task: Option<Waker>,
}

impl Broker {
    /// The broker of a node, with what its store has.
    ///
    /// # Errors
    /// `refused` if the store cannot be read.
    pub fn new(node: Node, options: Options) -> Result<Self, Failure> {
        let mut rules = options.rules;
        rules.push(Rule::usual("#".parse()?));
        let [a, b, c, d, e, f, g, h, ..] = node.random();
        let mut state = State::new(rules, [a, b, c, d, e, f, g, h]);
        if let Some(store) = &options.store {
            let now_ms = now_ms(&node);
            state.restore(store::load(&**store, now_ms)?, now_ms);
        }
        let inner = Inner {
            state,
            pending: VecDeque::new(),
            pending_bytes: 0,
            waiting: Vec::new(),
            committer: None,
            outlets: HashMap::new(),
            watching: HashMap::new(),
            spawned: Vec::new(),
            server: None,
            serving: false,
        };
        Ok(Self(Arc::new(Shared {
            node,
            store: options.store,
            inner: Mutex::new(inner),
        })))
    }

    /// Serves this node and others, until this node leaves. Somebody has to run this future. What is served
    /// once is not served again.
    pub async fn serve(&self) {
        if std::mem::replace(&mut self.lock().serving, true) {
            let id = self.0.node.id();
            return event!(ERROR, WARN, id, "the broker of this node is served already");
        }
        let listener = self.0.node.listen(PROTOCOL);
        let mut tasks = FuturesUnordered::new();
        tasks.push(self.clone().commit().boxed());
        tasks.push(self.clone().sweep().boxed());
        poll_fn(|cx| {
            loop {
                match listener.poll_accept(cx) {
                    Poll::Ready(Some(stream)) if tasks.len() >= CONVERSATIONS_MAX => {
                        stream.reset(Code::Overloaded.because("too many conversations are held here"));
                    }
                    Poll::Ready(Some(stream)) => self.accept(Line::Stream(stream)),
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
                {
                    let mut inner = self.lock();
                    inner.server = Some(cx.waker().clone());
                    tasks.extend(std::mem::take(&mut inner.spawned));
                }
                if !matches!(tasks.poll_next_unpin(cx), Poll::Ready(Some(()))) {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// A conversation of this node with its own broker.
    pub(super) fn connect(&self) -> Line {
        let [ours, theirs] = Line::pipe(self.0.node.id());
        self.accept(theirs);
        ours
    }

    fn accept(&self, line: Line) {
        let mut inner = self.lock();
        if inner.spawned.len() >= CONVERSATIONS_MAX {
            return line.reset(Code::Overloaded.because("too many conversations wait here"));
        }
        let broker = self.clone();
        inner.spawned.push(async move { broker.answer(line).await }.boxed());
        if let Some(server) = inner.server.take() {
            server.wake();
        }
    }

    async fn answer(&self, line: Line) {
        let line = Arc::new(line);
        if let Err(failure) = self.converse(&line).await {
            let code = failure.code;
            event!(
                MESSAGE, DEBUG, self.0.node.id(),
                peer = %line.peer().short(), %code,
                "a conversation with the broker has ended"
            );
            line.reset(failure);
        }
    }

    async fn converse(&self, line: &Arc<Line>) -> Result<(), Failure> {
        let Some(first) = line.recv().await? else {
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

    /// Sends a subscription's items, until it ends.
    async fn feed(&self, line: &Arc<Line>, wish: Wish) -> Result<(), Failure> {
        let (id, _guard) = {
            let mut inner = self.lock();
            let (epoch, offset) = (inner.state.epoch(), inner.state.last());
            let mut touched = Touched::new();
            let id = inner.state.subscribe(line.peer(), wish, &mut touched)?;
            let outlet = Outlet {
                line: Arc::clone(line),
                stalled: Some(message(&Tell::Begun { epoch, offset }, &[])),
                task: None,
            };
            inner.outlets.insert(id, outlet);
            inner.touch(&touched);
            (id, Leave(self, id))
        };
        poll_fn(|cx| {
            loop {
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

    async fn tell_presence(&self, line: &Line, filter: Filter, follow: bool) -> Result<(), Failure> {
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
            let tell = if joined { Tell::Joined(member) } else { Tell::Left(member) };
            line.send(message(&tell, &[])).await?;
        }
    }

    fn poll_news(
        &self,
        line: &Line,
        id: u64,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<(bool, super::Member)>, Failure>> {
        let mut inner = self.lock();
        if let Some(failure) = inner.state.over(id) {
            return Poll::Ready(Err(failure));
        }
        if let Some(news) = inner.state.watcher(id).and_then(|watcher| watcher.news.pop_front()) {
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
        let topics = self.lock().state.topics(filter);
        send_list(line, &topics, |some| Tell::Topics(some.to_vec())).await
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

    /// Takes a message that was published; waits, if there is no room for it.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.pending.len() < STORE_QUEUE_MAX && inner.pending_bytes < STORE_QUEUE_BYTES_MAX {
            return Poll::Ready(());
        }
        inner.waiting.push(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn publish(&self, publish: Publish, desk: &Arc<Desk>) {
        let mut inner = self.lock();
        if self.0.store.is_none() {
            let planned = inner.state.plan(&publish, now_ms(&self.0.node));
            inner.state.kept.trimmed.clear();
            return inner.publish(planned, desk);
        }
        inner.pending_bytes += publish.value.len();
        inner.pending.push_back((publish, Arc::clone(desk)));
        if let Some(committer) = inner.committer.take() {
            committer.wake();
        }
    }

    /// Stores what was published, as much at once as has come meanwhile, and then tells of it.
    async fn commit(self) {
        let Some(store) = self.0.store.clone() else {
            return core::future::pending().await;
        };
        loop {
            let batch = poll_fn(|cx| {
                let mut inner = self.lock();
                if inner.pending.is_empty() {
                    inner.committer = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                inner.pending_bytes = 0;
                inner.waiting.drain(..).for_each(Waker::wake);
                Poll::Ready(std::mem::take(&mut inner.pending))
            })
            .await;
            let (planned, rows) = self.plan(&batch, store.unix_ms());
            let stored = match rows.is_empty() {
                true => Ok(()),
                false => store.write(rows).await,
            };
            if let Err(reason) = &stored {
                event!(ERROR, ERROR, self.0.node.id(), reason, "the broker's store fails");
            }
            let mut inner = self.lock();
            for ((publish, desk), planned) in batch.iter().zip(planned) {
                let planned = match &stored {
                    Ok(()) => planned,
                    Err(_) => {
                        if matches!(planned, Ok(Planned::New(..))) {
                            inner.state.withdraw(publish);
                        }
                        planned.and(Err(Code::Refused.because("the broker's store fails")))
                    }
                };
                inner.publish(planned, desk);
            }
        }
    }

    fn plan(
        &self,
        batch: &VecDeque<(Publish, Arc<Desk>)>,
        unix_ms: i64,
    ) -> (Vec<Result<Planned, Failure>>, Vec<Row>) {
        let mut inner = self.lock();
        let now_ms = now_ms(&self.0.node);
        let planned = batch.iter().map(|(publish, _)| inner.state.plan(publish, now_ms));
        let planned: Vec<_> = planned.collect();
        let new = batch.iter().zip(&planned);
        let new = new.filter_map(|((publish, _), planned)| Some((publish, planned.as_ref().ok()?)));
        let rows = inner.state.rows(new, now_ms - unix_ms);
        (planned, rows)
    }

    async fn sweep(self) {
        loop {
            self.0.node.sleep(HISTORY_SWEEP).await;
            let now_ms = now_ms(&self.0.node);
            let mut inner = self.lock();
            if inner.state.ages() {
                inner.state.sweep(now_ms);
                if self.0.store.is_none() {
                    inner.state.kept.trimmed.clear();
                }
            }
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Tells of a message to its subscribers, and what has become of it to its publisher.
    fn publish(&mut self, planned: Result<Planned, Failure>, desk: &Desk) {
        let epoch = self.state.epoch();
        let tell = match planned {
            Ok(Planned::New(message, _)) => {
                let mut touched = Touched::new();
                self.state.apply(&message, &mut touched);
                self.touch(&touched);
                let offset = Some(message.offset);
                Tell::Published { offset, epoch, known: false }
            }
            Ok(Planned::Known) => Tell::Published {
                offset: None,
                epoch,
                known: true,
            },
            Err(failure) => Tell::Failed(failure),
        };
        desk.answer(message(&tell, &[]));
    }

    fn touch(&mut self, touched: &Touched) {
        for id in touched {
            self.pump(*id, None);
            if let Some(watching) = self.watching.remove(id) {
                watching.wake();
            }
        }
    }

    /// Sends what there is for a subscription, as far as there is room. Its own task, which has a context,
    /// hears when there is room again.
    fn pump(&mut self, id: u64, cx: Option<&Context<'_>>) {
        let Some(outlet) = self.outlets.get_mut(&id) else {
            return;
        };
        if let Some(cx) = cx {
            outlet.task = Some(cx.waker().clone());
        } else if outlet.stalled.is_some() {
            return;
        }
        while let Some(item) = outlet.stalled.take().or_else(|| self.state.next(id)) {
            let sent = match cx {
                Some(cx) => match outlet.line.poll_send(&item, cx) {
                    Poll::Ready(sent) => sent.map(|()| true),
                    Poll::Pending => Ok(false),
                },
                None => outlet.line.try_send(&item),
            };
            // Why it has ended, the task hears when it reads.
            if !matches!(sent, Ok(true)) {
                outlet.stalled = Some(item);
                break;
            }
        }
        let needs_task = outlet.stalled.is_some() || self.state.over(id).is_some();
        if cx.is_none()
            && needs_task
            && let Some(task) = outlet.task.take()
        {
            task.wake();
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

pub(super) fn now_ms(node: &Node) -> i64 {
    i64::try_from(node.now().as_millis()).unwrap_or(i64::MAX)
}
