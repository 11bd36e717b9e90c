//! How many requests of one address are passed on at once: who asks for more takes no room of others at the nodes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use peerage::http::Body;
use peerage::limits::HTTP_REQUESTS_PER_ADDRESS_MAX;
use peerage::{Code, Failure};

/// The requests that are being passed on. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Callers(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// One of them, until it is dropped.
pub(super) struct Turn {
    callers: Callers,
    address: IpAddr,
}

impl Callers {
    /// Lets one more in.
    pub(super) fn enter(&self, address: IpAddr) -> Result<Turn, Failure> {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = callers.get(&address).copied().unwrap_or_default();
        if count >= HTTP_REQUESTS_PER_ADDRESS_MAX {
            return Err(Code::Overloaded.because("too many requests of one address at once"));
        }
        callers.insert(address, count + 1);
        let callers = self.clone();
        Ok(Turn { callers, address })
    }
}

impl Turn {
    /// The same body, with whose end the turn is over.
    pub(super) fn until_end_of(self, body: Body) -> Body {
        // That of a response to HEAD is not to be taken for one of no bytes.
        if body.is_end_stream() {
            return body;
        }
        Body::new(Held { body, _turn: self })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let callers = &self.callers.0;
        let mut callers = callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = callers.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                callers.remove(&self.address);
            }
        }
    }
}

struct Held {
    body: Body,
    _turn: Turn,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_takes_no_room_of_another_and_gives_back_its_own() {
        let callers = Callers::default();
        let [one, other] = [1, 2].map(|n| IpAddr::from([10, 0, 0, n]));
        let turns: Vec<_> = (0..HTTP_REQUESTS_PER_ADDRESS_MAX)
            .map(|_| callers.enter(one).unwrap())
            .collect();
        let failure = callers.enter(one).map(drop).unwrap_err();
        assert_eq!(failure.code, Code::Overloaded);
        drop(callers.enter(other).unwrap());
        drop(turns);
        let body = callers.enter(one).unwrap().until_end_of(Body::from("x"));
        assert_eq!(callers.0.lock().unwrap().len(), 1);
        drop(body);
        assert!(callers.0.lock().unwrap().is_empty());
    }
}
