//! What a node knows of one operation.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::Shared;

use super::wire::{Ending, Info, Progress, Stop, Tracker};
use crate::Time;
use crate::id::NodeId;
use crate::service::lane::Turn;
use crate::service::millis::millis;
use crate::trace::Context;

/// One operation, from its beginning until it is forgotten.
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) tracker: Tracker,
    pub(super) name: Arc<str>,
    pub(super) caller: NodeId,
    /// Of which it is a part.
    pub(super) parent: Option<String>,
    /// The span of a trace for which it is done.
    pub(super) trace: Option<Context>,
    pub(super) is_public: bool,
    /// How much what it was started with takes.
    pub(super) weight: usize,
    pub(super) began: Time,
    /// When it is stopped.
    pub(super) deadline: Option<Time>,
    /// That it shall stop.
    pub(super) stop: Once<Stop>,
    pub(super) ended: Once<Ending>,
    live: Mutex<Live>,
}

/// What changes.
#[derive(Default)]
struct Live {
    is_running: bool,
    progress: Progress,
    turn: Option<Turn>,
    ended: Option<Time>,
}

impl Record {
    /// An operation that waits for its turn, if it has to.
    pub(super) fn new(
        id: u64,
        (tracker, name): (Tracker, Arc<str>),
        (caller, parent, trace): (NodeId, Option<String>, Option<Context>),
        is_public: bool,
        (began, timeout): (Time, Option<Time>),
        (turn, weight): (Option<Turn>, usize),
    ) -> Self {
        Self {
            id,
            tracker,
            name,
            caller,
            parent,
            trace,
            is_public,
            weight,
            began,
            deadline: timeout.map(|timeout| began.saturating_add(timeout)),
            stop: Once::default(),
            ended: Once::default(),
            live: Mutex::new(Live {
                turn,
                ..Live::default()
            }),
        }
    }

    /// Its turn, until it has let the next of its lane begin.
    pub(super) fn turn(&self) -> Option<Turn> {
        self.lock().turn.clone()
    }

    /// Lets the next of its lane begin.
    pub(super) fn leave_lane(&self) {
        let turn = self.lock().turn.take();
        drop(turn);
    }

    pub(super) fn run(&self) {
        self.lock().is_running = true;
    }

    pub(super) fn progress(&self) -> Progress {
        self.lock().progress.clone()
    }

    /// Notes how far it is.
    pub(super) fn set_progress(&self, progress: Progress) -> Progress {
        let (before, progress) = {
            let mut live = self.lock();
            let number = live.progress.number + 1;
            let progress = Progress { number, ..progress };
            let before = std::mem::replace(&mut live.progress, progress.clone());
            (before, progress)
        };
        drop(before);
        progress
    }

    /// Notes when it ended.
    pub(super) fn end(&self, now: Time) {
        self.lock().ended = Some(now);
    }

    pub(super) fn ended_at(&self) -> Option<Time> {
        self.lock().ended
    }

    /// As the list tells it to somebody.
    pub(super) fn info(&self, now: Time, to: NodeId) -> Info {
        let ending = self.ended.get();
        let live = self.lock();
        let state = match &ending {
            Some(ending) => ending.as_str(),
            None if live.is_running => "running",
            None => "waiting",
        };
        Info {
            id: self.id,
            name: self.name.to_string(),
            state: state.to_owned(),
            caller: self.caller.to_string(),
            is_public: self.is_public,
            parent: self.parent.clone(),
            tracker: (self.caller == to).then(|| self.tracker.to_string()),
            fraction: live.progress.fraction,
            remaining_ms: live.progress.remaining.map(millis),
            note: live.progress.note.clone(),
            reason: ending.and_then(|ending| ending.reason().map(String::from)),
            age_ms: millis(now.saturating_sub(self.began)),
            ended_ms: live.ended.map(|at| millis(now.saturating_sub(at))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes known once, and is waited for by several.
pub(super) struct Once<T: Clone> {
    tell: Mutex<Option<oneshot::Sender<T>>>,
    told: Shared<oneshot::Receiver<T>>,
}

impl<T: Clone> Default for Once<T> {
    fn default() -> Self {
        let (tell, told) = oneshot::channel();
        Self {
            tell: Mutex::new(Some(tell)),
            told: told.shared(),
        }
    }
}

impl<T: Clone> Once<T> {
    /// Makes it known; whether it was not before.
    pub(super) fn set(&self, what: T) -> bool {
        let mut tell = self.tell.lock().unwrap_or_else(PoisonError::into_inner);
        let tell = tell.take();
        tell.is_some_and(|tell| tell.send(what).is_ok())
    }

    /// What it is, if that is known.
    pub(super) fn get(&self) -> Option<T> {
        self.told.clone().now_or_never()?.ok()
    }

    /// Waits for it; `None` if it can never be known.
    pub(super) fn wait(&self) -> impl Future<Output = Option<T>> + Send + use<T>
    where
        T: Send + Sync + 'static,
    {
        self.told.clone().map(Result::ok)
    }
}
