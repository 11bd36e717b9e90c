//! What the handle's futures wait for besides streams: answers of the machine, and time. Each is
//! forgotten when nobody waits any longer.

use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::collections::{BTreeMap, HashMap};

use crate::Time;
use crate::error::Failure;
use crate::node::handle::{Inner, Node};

/// Answers that somebody waits for, by the numbers of their questions.
pub(super) struct Answers<T>(HashMap<u64, Answer<T>>);

enum Answer<T> {
    Awaited(Option<Waker>),
    Here(Result<T, Failure>),
}

/// Where the answers of one kind are kept.
pub(super) type Table<T> = fn(&mut Inner) -> &mut Answers<T>;

/// A question to which an answer will come.
pub(super) struct Question<'a, T> {
    node: &'a Node,
    table: Table<T>,
    id: u64,
}

/// Waits of [`Node::sleep`]. When one ends is known once the driver has seen it.
#[derive(Default)]
pub(super) struct Timers {
    waiting: BTreeMap<u64, Timer>,
    last: u64,
}

struct Timer {
    due: Option<Time>,
    duration: Time,
    waker: Option<Waker>,
}

struct Sleep<'a> {
    node: &'a Node,
    id: u64,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Answers<T> {
    /// The answer is here. If nobody waits for it any longer, it is dropped.
    pub(super) fn put(&mut self, id: u64, answer: Result<T, Failure>) {
        if let Some(awaited) = self.0.get_mut(&id)
            && let Answer::Awaited(Some(waker)) = std::mem::replace(awaited, Answer::Here(answer))
        {
            waker.wake();
        }
    }
}

impl<'a, T> Question<'a, T> {
    /// To be made while the lock is still held under which the machine was asked.
    pub(super) fn new(node: &'a Node, inner: &mut Inner, table: Table<T>, id: u64) -> Self {
        table(inner).0.insert(id, Answer::Awaited(None));
        inner.wake_driver();
        Self { node, table, id }
    }

    pub(super) async fn answered(self) -> Result<T, Failure> {
        poll_fn(|cx| {
            let mut inner = self.node.lock();
            let answers = &mut (self.table)(&mut inner).0;
            match answers.remove(&self.id) {
                Some(Answer::Here(answer)) => Poll::Ready(answer),
                Some(Answer::Awaited(_)) | None => {
                    let waker = Some(cx.waker().clone());
                    answers.insert(self.id, Answer::Awaited(waker));
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl<T> Drop for Question<'_, T> {
    fn drop(&mut self) {
        (self.table)(&mut self.node.lock()).0.remove(&self.id);
    }
}

impl Timers {
    /// When the next wait ends, of those that the driver has seen.
    pub(super) fn due(&self) -> Option<Time> {
        self.waiting.values().filter_map(|timer| timer.due).min()
    }

    /// Ends the waits that are over.
    pub(super) fn run(&mut self, now: Time) {
        self.waiting.retain(|_, timer| {
            let due = *timer.due.get_or_insert(now + timer.duration);
            let over = due <= now;
            if over && let Some(waker) = timer.waker.take() {
                waker.wake();
            }
            !over
        });
    }

    fn start(&mut self, duration: Time) -> u64 {
        self.last += 1;
        let timer = Timer {
            due: None,
            duration,
            waker: None,
        };
        self.waiting.insert(self.last, timer);
        self.last
    }
}

impl Node {
    /// Waits for `duration`, by the clock of whoever runs the node.
    pub async fn sleep(&self, duration: Time) {
        let sleep = {
            let mut inner = self.lock();
            inner.wake_driver();
            let id = inner.timers.start(duration);
            Sleep { node: self, id }
        };
        poll_fn(|cx| match self.lock().timers.waiting.get_mut(&sleep.id) {
            None => Poll::Ready(()),
            Some(timer) => {
                timer.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await;
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.node.lock().timers.waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;

    use futures_util::FutureExt;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::error::Code;
    use crate::node::{Driver, Node};
    use crate::{Config, Identity, Kind};

    fn node() -> (Node, Driver) {
        let identity = Identity::from_secret(&[1; 32]);
        Driver::new(Config::new(Kind::Relay), identity, [2; 32], Time::ZERO)
    }

    fn run(driver: &Driver, now: Time) {
        let _ = poll_fn(|cx| driver.poll_action(now, cx)).now_or_never();
    }

    #[test]
    fn a_sleep_ends_when_its_time_has_come_and_not_before() {
        let (node, driver) = node();
        let mut sleep = pin!(node.sleep(Time::from_secs(5)));
        assert!(sleep.as_mut().now_or_never().is_none());
        run(&driver, Time::from_secs(1));
        run(&driver, Time::from_millis(5999));
        assert!(sleep.as_mut().now_or_never().is_none());
        run(&driver, Time::from_secs(6));
        assert!(sleep.now_or_never().is_some());
    }

    #[test]
    fn what_nobody_waits_for_any_longer_is_forgotten() {
        let (node, driver) = node();
        let idle = driver.deadline();
        assert!(node.sleep(Time::from_secs(5)).now_or_never().is_none());
        run(&driver, Time::ZERO);
        assert_eq!(driver.deadline(), idle);

        let question = Question::new(&node, &mut node.lock(), |i| &mut i.pings, 7);
        assert!(question.answered().now_or_never().is_none());
        let pings = &mut node.lock().pings;
        pings.put(7, Err(Code::TimedOut.because("too late")));
        assert!(pings.0.is_empty());
    }
}
