//! Lanes: what names one begins in the order in which it came, each after the one before it has let the
//! next begin. Lanes do not wait for one another.

use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{LANE_BYTES_MAX, LANE_PLACES_MAX, OBJECT_NAME_BYTES_MAX};

/// The lanes of those who ask something of a node. Clones are the same.
#[derive(Clone, Default)]
pub struct Lanes(Arc<Mutex<State>>);

/// A place in a lane; when the last clone is dropped, the next may begin.
#[derive(Clone)]
pub struct Turn(Arc<Place>);

struct Place {
    lanes: Lanes,
    lane: Key,
    number: u64,
    weight: usize,
}

/// Whose, and its name.
type Key = (NodeId, Arc<str>);

#[derive(Default)]
struct State {
    lanes: HashMap<Key, VecDeque<Waiting>>,
    /// How many places each node has, and how much what is in them takes.
    loads: HashMap<NodeId, (usize, usize)>,
    last: u64,
}

struct Waiting {
    /// In order: a later one is greater.
    number: u64,
    waker: Option<Waker>,
}

impl Lanes {
    /// The last place in a lane of a node's, for what takes so many bytes of memory until it has its turn.
    ///
    /// # Errors
    /// `overloaded` if the node has too much in its lanes already; `too-large` for a lane's name.
    pub fn enter(&self, whose: NodeId, lane: &str, weight: usize) -> Result<Turn, Failure> {
        check_lane(lane)?;
        let lane: Key = (whose, lane.into());
        let mut state = self.lock();
        let (places, bytes) = state.loads.entry(whose).or_default();
        if *places >= LANE_PLACES_MAX || (*places > 0 && *bytes + weight > LANE_BYTES_MAX) {
            let message = format!(
                "expected at most {LANE_PLACES_MAX} places in lanes, and {LANE_BYTES_MAX} bytes in them"
            );
            return Err(Code::Overloaded.because(message));
        }
        *places += 1;
        *bytes += weight;
        state.last += 1;
        let number = state.last;
        let waiting = Waiting {
            number,
            waker: None,
        };
        let places = state.lanes.entry(lane.clone()).or_default();
        places.push_back(waiting);
        Ok(Turn(Arc::new(Place {
            lanes: self.clone(),
            lane,
            number,
            weight,
        })))
    }

    /// Whether nobody is in any lane.
    pub fn is_empty(&self) -> bool {
        self.lock().lanes.is_empty()
    }

    /// Whether somebody is in this one.
    pub fn is_taken(&self, whose: NodeId, lane: &str) -> bool {
        let state = self.lock();
        !state.lanes.is_empty() && state.lanes.contains_key(&(whose, lane.into()))
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
        let place = &self.0;
        let mut state = place.lanes.lock();
        let Some(places) = state.lanes.get_mut(&place.lane) else {
            return Poll::Ready(());
        };
        match places.binary_search_by_key(&place.number, |waiting| waiting.number) {
            Ok(0) | Err(_) => Poll::Ready(()),
            Ok(at) => {
                places[at].waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Lets the next begin, though what has this turn goes on.
    pub fn let_next(&self) {
        self.0.leave();
    }

    /// Whether it has come.
    pub fn has_come(&self) -> bool {
        let cx = Context::from_waker(Waker::noop());
        self.poll_come(&cx).is_ready()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Place {
    /// Leaves the lane, unless it has.
    fn leave(&self) {
        let mut state = self.lanes.lock();
        let Some(places) = state.lanes.get_mut(&self.lane) else {
            return;
        };
        let Ok(at) = places.binary_search_by_key(&self.number, |waiting| waiting.number) else {
            return;
        };
        places.remove(at);
        let next = places.front_mut().filter(|_| at == 0);
        let waker = next.and_then(|waiting| waiting.waker.take());
        if places.is_empty() {
            state.lanes.remove(&self.lane);
        }
        if let Some((places, bytes)) = state.loads.get_mut(&self.lane.0) {
            *places -= 1;
            *bytes -= self.weight;
            if *places == 0 {
                state.loads.remove(&self.lane.0);
            }
        }
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn(of {})", self.0.lane.0.short())
    }
}

/// Whether a lane may have this name.
pub(crate) fn check_lane(lane: &str) -> Result<(), Failure> {
    if lane.len() > OBJECT_NAME_BYTES_MAX {
        let (most, got) = (OBJECT_NAME_BYTES_MAX, lane.len());
        let message = format!("expected a lane's name of at most {most} bytes, got {got}");
        return Err(Code::TooLarge.because(message));
    }
    Ok(())
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
        let [first, second, third] = [(); 3].map(|()| lanes.enter(id(1), "valve", 1).unwrap());
        assert_eq!(first.come().now_or_never(), Some(()));
        assert_eq!(second.come().now_or_never(), None);
        // Who goes before its turn delays nobody.
        drop(second);
        assert_eq!(third.come().now_or_never(), None);
        let held = first.clone();
        drop(first);
        assert_eq!(third.come().now_or_never(), None);
        let fourth = lanes.enter(id(1), "valve", 1).unwrap();
        held.let_next();
        assert_eq!(third.come().now_or_never(), Some(()));
        // It has left, and does not leave twice.
        drop(held);
        assert_eq!(fourth.come().now_or_never(), None);
    }

    #[test]
    fn lanes_do_not_wait_for_one_another_and_neither_do_nodes() {
        let lanes = Lanes::default();
        let _held = lanes.enter(id(1), "valve", 1).unwrap();
        assert!(lanes.enter(id(1), "light", 1).unwrap().has_come());
        assert!(lanes.enter(id(2), "valve", 1).unwrap().has_come());
    }

    #[test]
    fn a_lane_that_nobody_is_in_is_forgotten() {
        let lanes = Lanes::default();
        drop(lanes.enter(id(1), "valve", 1));
        assert!(lanes.is_empty() && lanes.lock().loads.is_empty());
    }

    #[test]
    fn one_node_has_so_much_in_its_lanes_and_others_have_theirs() {
        let lanes = Lanes::default();
        // One is let in, however large it is.
        let _large = lanes.enter(id(1), "a", 2 * LANE_BYTES_MAX).unwrap();
        let refused = lanes.enter(id(1), "b", 1).unwrap_err();
        assert_eq!(refused.code, Code::Overloaded);
        let others = lanes.enter(id(2), "a", LANE_BYTES_MAX).unwrap();
        let many: Vec<_> = (0..LANE_PLACES_MAX)
            .map(|_| lanes.enter(id(3), "a", 0))
            .collect();
        assert!(many.iter().all(Result::is_ok));
        assert!(lanes.enter(id(3), "b", 0).is_err());
        drop((others, many));
        assert!(lanes.enter(id(3), "b", LANE_BYTES_MAX).is_ok());
        assert!(lanes.enter(id(3), &"x".repeat(256), 0).is_err());
    }
}
