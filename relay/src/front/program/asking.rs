//! What a program has asked for that is not over, by its numbers. The last word on a request and the end of its number
//! are one step, so that a number that is used again is never taken for what it was before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use peerage::Failure;
use peerage::error::Code;
use peerage::limits::PROGRAM_REQUESTS_MAX;
use peerage::service::operation::StopKind;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How an operation is told to stop: the last word counts.
pub(super) type Stops = watch::Receiver<Option<(StopKind, String)>>;

/// All requests of a program. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Asking(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    requests: HashMap<u32, Request>,
    count: u64,
}

struct Request {
    /// Which of those that have had its number.
    serial: u64,
    task: Option<AbortHandle>,
    stop: watch::Sender<Option<(StopKind, String)>>,
}

/// A request, as who sees to it knows it.
pub(super) struct Ticket {
    asking: Asking,
    pub(super) id: u32,
    serial: u64,
}

impl Asking {
    /// Checks that a number is not in use.
    ///
    /// # Errors
    /// `bad-message` if it is.
    pub(super) fn check(&self, id: u32) -> Result<(), Failure> {
        match self.with(|state| state.requests.contains_key(&id)) {
            true => Err(Code::BadMessage.because(format!("request {id} is not over yet"))),
            false => Ok(()),
        }
    }

    /// A request begins, with a number that is not in use.
    ///
    /// # Errors
    /// `overloaded`.
    pub(super) fn begin(&self, id: u32) -> Result<(Ticket, Stops), Failure> {
        let (stop, stops) = watch::channel(None);
        let serial = self.with(|state| {
            if state.requests.len() >= PROGRAM_REQUESTS_MAX {
                let message = format!("expected at most {PROGRAM_REQUESTS_MAX} requests at once");
                return Err(Code::Overloaded.because(message));
            }
            state.count += 1;
            let request = Request {
                serial: state.count,
                task: None,
                stop,
            };
            state.requests.insert(id, request);
            Ok(state.count)
        })?;
        let asking = self.clone();
        Ok((Ticket { asking, id, serial }, stops))
    }

    /// This sees to the request that began last under a number, if it is not over already.
    pub(super) fn attend(&self, id: u32, task: AbortHandle) {
        self.with(|state| {
            if let Some(request) = state.requests.get_mut(&id) {
                request.task = Some(task);
            }
        });
    }

    /// Gives a request up, and has the last word on it, unless it is over.
    pub(super) fn cancel(
        &self,
        id: u32,
        last: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.with(|state| match state.requests.remove(&id) {
            Some(request) => {
                request.abort();
                last()
            }
            None => Ok(()),
        })
    }

    /// Tells an operation to stop.
    pub(super) fn stop(&self, id: u32, kind: StopKind, reason: String) {
        self.with(|state| {
            if let Some(request) = state.requests.get(&id) {
                request.stop.send_replace(Some((kind, reason)));
            }
        });
    }

    /// Gives all of them up.
    pub(super) fn end(&self) {
        let requests = self.with(|state| std::mem::take(&mut state.requests));
        requests.values().for_each(Request::abort);
    }

    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Request {
    fn abort(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Ticket {
    /// Says something of the request, unless it was given up.
    pub(super) fn say(&self, word: impl FnOnce()) {
        self.asking.with(|state| {
            if self.is_current(state) {
                word();
            }
        });
    }

    /// Says the last of it, unless it was given up: its number is free from then on.
    pub(super) fn say_last(&self, word: impl FnOnce()) {
        self.asking.with(|state| {
            if self.is_current(state) {
                word();
                state.requests.remove(&self.id);
            }
        });
    }

    fn is_current(&self, state: &State) -> bool {
        let request = state.requests.get(&self.id);
        request.is_some_and(|request| request.serial == self.serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_used_again_is_not_what_it_was() {
        let asking = Asking::default();
        let (first, _) = asking.begin(7).unwrap();
        assert_eq!(asking.check(7).unwrap_err().code, Code::BadMessage);
        let mut cancelled = 0;
        for _ in 0..2 {
            let cancel = asking.cancel(7, || {
                cancelled += 1;
                Ok(())
            });
            assert_eq!(cancel, Ok(()));
        }
        assert_eq!(cancelled, 1);
        let (second, _) = asking.begin(7).unwrap();
        // The first may still be about to say something.
        first.say(|| panic!("it was given up"));
        first.say_last(|| panic!("it was given up"));
        assert!(asking.check(7).is_err(), "the second goes on");
        let mut said = Vec::new();
        second.say(|| said.push("next"));
        second.say_last(|| said.push("last"));
        second.say(|| panic!("it is over"));
        assert_eq!(said, ["next", "last"]);
        assert_eq!(asking.check(7), Ok(()));
    }

    #[test]
    fn what_is_over_leaves_room() {
        let asking = Asking::default();
        for id in 0..3 * PROGRAM_REQUESTS_MAX as u32 {
            let (ticket, _) = asking.begin(id).unwrap();
            ticket.say_last(|| {});
        }
        for id in 0..PROGRAM_REQUESTS_MAX as u32 {
            assert!(asking.begin(id).is_ok());
        }
        let over = asking.begin(9999).map(|_| ());
        assert_eq!(over.unwrap_err().code, Code::Overloaded);
    }
}
