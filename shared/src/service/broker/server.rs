//! The broker's side: what its conversations share, and how items leave.

use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;

use super::PROTOCOL;
use super::kept::Rule;
use super::line::Line;
use super::publisher::Desk;
use super::state::{Publish, State, Stats, Touched};
use super::store::{self, SharedStore};
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{CONVERSATIONS_EACH_MAX, CONVERSATIONS_MAX};
use crate::log::event;
use crate::node::{Listener, Node};

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
    pub(super) store: Option<SharedStore>,
    inner: Mutex<Inner>,
}

pub(super) struct Inner {
    pub(super) state: State,
    /// Messages that wait for the store, and for whom the answers are.
    pub(super) pending: VecDeque<(Publish, Arc<Desk>)>,
    pub(super) pending_bytes: usize,
    /// Publishers who wait for room there.
    pub(super) waiting: Vec<Waker>,
    pub(super) committer: Option<Waker>,
    /// Who looks for what has grown too old, while there is nothing.
    pub(super) sweeper: Option<Waker>,
    pub(super) outlets: HashMap<u64, Outlet>,
    /// Who waits for news of comings and goings.
    pub(super) watching: HashMap<u64, Waker>,
    pub(super) spawned: Vec<BoxFuture<'static, ()>>,
    pub(super) server: Option<Waker>,
    /// Hears of conversations from the beginning, whenever they are served.
    listener: Option<Listener>,
    /// Conversations by their nodes.
    talking: HashMap<NodeId, usize>,
}

/// Where the items of a subscription go.
pub(super) struct Outlet {
    pub(super) line: Arc<Line>,
    /// An item for which there was no room.
    pub(super) stalled: Option<Bytes>,
    pub(super) task: Option<Waker>,
}

impl Broker {
    /// The broker of a node, with what its store has.
    ///
    /// # Errors
    /// `refused` if the store cannot be read.
    pub fn new(node: Node, options: Options) -> Result<Self, Failure> {
        let listener = Some(node.listen(PROTOCOL));
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
            sweeper: None,
            outlets: HashMap::new(),
            watching: HashMap::new(),
            spawned: Vec::new(),
            server: None,
            listener,
            talking: HashMap::new(),
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
        let listener = self.lock().listener.take();
        let Some(listener) = listener else {
            let id = self.0.node.id();
            return event!(ERROR, WARN, id, "the broker of this node is served already");
        };
        let mut tasks = FuturesUnordered::new();
        tasks.push(self.clone().commit().boxed());
        tasks.push(self.clone().sweep().boxed());
        poll_fn(|cx| {
            loop {
                match listener.poll_accept(cx) {
                    Poll::Ready(Some(stream)) if tasks.len() >= CONVERSATIONS_MAX => {
                        stream.reset(
                            Code::Overloaded.because("too many conversations are held here"),
                        );
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

    /// What it has, and has done.
    pub fn stats(&self) -> Stats {
        self.lock().state.stats()
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
        let peer = line.peer();
        let talking = inner.talking.entry(peer).or_default();
        if *talking >= CONVERSATIONS_EACH_MAX {
            let message =
                format!("this node has {CONVERSATIONS_EACH_MAX} conversations here already");
            return line.reset(Code::Overloaded.because(message));
        }
        *talking += 1;
        let broker = self.clone();
        let talk = Talk(self.clone(), peer);
        inner.spawned.push(
            async move {
                broker.answer(line).await;
                drop(talk);
            }
            .boxed(),
        );
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

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A conversation of a node, while it lasts.
struct Talk(Broker, NodeId);

impl Drop for Talk {
    fn drop(&mut self) {
        let Self(broker, node) = self;
        let mut inner = broker.lock();
        if let Some(count) = inner.talking.get_mut(node) {
            *count -= 1;
            if *count == 0 {
                inner.talking.remove(node);
            }
        }
    }
}

impl Inner {
    /// Sends what there is to those whom something concerns.
    pub(super) fn touch(&mut self, touched: &Touched) {
        if self.sweeper.is_some()
            && self.state.ages()
            && let Some(sweeper) = self.sweeper.take()
        {
            sweeper.wake();
        }
        for id in touched {
            self.pump(*id, None);
            if let Some(watching) = self.watching.remove(id) {
                watching.wake();
            }
        }
    }

    /// Sends what there is for a subscription, as far as there is room. Its own task, which has a context,
    /// hears when there is room again.
    pub(super) fn pump(&mut self, id: u64, cx: Option<&Context<'_>>) {
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

pub(super) fn now_ms(node: &Node) -> i64 {
    i64::try_from(node.now().as_millis()).unwrap_or(i64::MAX)
}
