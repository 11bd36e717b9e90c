//! Lanes: what names one begins in the order in which it came, each after the one before it has let the
//! next begin. Lanes do not wait for one another.

use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::id::NodeId;

/// The lanes of those who ask something of a node. Clones are the same.
#[derive(Clone, Default)]
pub struct Lanes(Arc<Mutex<State>>);

/// A place in a lane; dropped, it lets the next begin. How many there may be, those limit who make them.
pub struct Turn {
    lanes: Lanes,
    lane: Key,
    number: u64,
}

/// Whose, and its name.
type Key = (NodeId, Arc<str>);

#[derive(Default)]
struct State {
    lanes: HashMap<Key, VecDeque<Place>>,
    last: u64,
}

struct Place {
    /// In order: a later one is greater.
    number: u64,
    waker: Option<Waker>,
}

impl Lanes {
    /// The last place in a lane of a node's.
    pub fn enter(&self, whose: NodeId, lane: &str) -> Turn {
        let lane: Key = (whose, lane.into());
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        let place = Place {
            number,
            waker: None,
        };
        let places = state.lanes.entry(lane.clone()).or_default();
        places.push_back(place);
        Turn {
            lanes: self.clone(),
            lane,
            number,
        }
    }

    /// Whether nobody is in any lane.
    pub fn is_empty(&self) -> bool {
        self.lock().lanes.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits until everything before it has let it begin.
    pub async fn come(&self) {
        poll_fn(|cx| self.poll_come(cx)).await;
    }

    /// As [`Turn::come`], to be polled by one task.
    pub fn poll_come(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lanes.lock();
        let Some(places) = state.lanes.get_mut(&self.lane) else {
            return Poll::Ready(());
        };
        match places.binary_search_by_key(&self.number, |place| place.number) {
            Ok(0) | Err(_) => Poll::Ready(()),
            Ok(at) => {
                places[at].waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Whether it has come.
    pub fn has_come(&self) -> bool {
        let cx = Context::from_waker(Waker::noop());
        self.poll_come(&cx).is_ready()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.lanes.lock();
        let Some(places) = state.lanes.get_mut(&self.lane) else {
            return;
        };
        let Ok(at) = places.binary_search_by_key(&self.number, |place| place.number) else {
            return;
        };
        places.remove(at);
        let next = places.front_mut().filter(|_| at == 0);
        let waker = next.and_then(|place| place.waker.take());
        if places.is_empty() {
            state.lanes.remove(&self.lane);
        }
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn(of {})", self.lane.0.short())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::Identity;

    fn id(n: u8) -> NodeId {
        Identity::from_secret(&[n; 32]).id()
    }

    #[test]
    fn turns_of_a_lane_come_in_the_order_of_entering() {
        let lanes = Lanes::default();
        let [first, second, third] = [(); 3].map(|()| lanes.enter(id(1), "valve"));
        assert_eq!(first.come().now_or_never(), Some(()));
        assert_eq!(second.come().now_or_never(), None);
        // Who goes before its turn delays nobody.
        drop(second);
        assert_eq!(third.come().now_or_never(), None);
        drop(first);
        assert_eq!(third.come().now_or_never(), Some(()));
    }

    #[test]
    fn lanes_do_not_wait_for_one_another_and_neither_do_nodes() {
        let lanes = Lanes::default();
        let _held = lanes.enter(id(1), "valve");
        assert!(lanes.enter(id(1), "light").has_come());
        assert!(lanes.enter(id(2), "valve").has_come());
    }

    #[test]
    fn a_lane_that_nobody_is_in_is_forgotten() {
        let lanes = Lanes::default();
        drop(lanes.enter(id(1), "valve"));
        assert!(lanes.is_empty());
    }
}
