//! Calls under way, and subscriptions.

use core::future::{Future, poll_fn};
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream};
use serde::de::DeserializeOwned;

use super::Rpc;
use super::client::Pending;
use super::fault::CallError;
use super::parcel::Parcel;
use super::proxy::{Coming, Proxy};
use super::reference::Reference;
use super::server::no_object;
use super::traced::Traced;
use crate::Time;
use crate::error::Code;

/// A call, of which the result is a value; see [`Call`] for one of a type. It is under way from the
/// beginning; dropped, it is cancelled.
pub struct Asking {
    rpc: Rpc,
    call: Result<Arc<Pending>, CallError>,
    whom: Arc<str>,
    deadline: Option<BoxFuture<'static, ()>>,
    /// The call of whose result this is asked: it shall not be cancelled before.
    after: Option<Coming>,
    /// Until it is over.
    traced: Option<Box<Traced>>,
}

/// A call, of which the result is read as a type. It is under way from the beginning; dropped, it is
/// cancelled.
pub struct Call<T> {
    asking: Asking,
    result: PhantomData<fn() -> T>,
}

/// What comes of an event or a property, until its object is gone: the last item says why.
pub struct Subscription<T> {
    how: Listening,
    whom: Arc<str>,
    item: PhantomData<fn() -> T>,
}

pub(super) enum Listening {
    On {
        pending: Pending,
        /// What it listens to must not be let go of.
        _object: Option<Reference>,
    },
    Beginning(BoxFuture<'static, Result<Self, CallError>>),
    Over(Option<CallError>),
}

impl Asking {
    pub(super) fn new(
        rpc: &Rpc,
        call: Result<Pending, CallError>,
        whom: Arc<str>,
        after: Option<Coming>,
    ) -> Self {
        Self {
            rpc: rpc.clone(),
            call: call.map(Arc::new),
            whom,
            deadline: None,
            after,
            traced: None,
        }
    }

    /// The same, of which a trace tells.
    pub(super) fn traced(self, traced: Option<Traced>) -> Self {
        let traced = traced.map(Box::new);
        Self { traced, ..self }
    }

    /// A call that has failed before it was made.
    pub fn failed(rpc: &Rpc, error: CallError) -> Self {
        Self::new(rpc, Err(error), "".into(), None)
    }

    /// The same, failing as `timed-out` after this time.
    #[must_use]
    pub fn within(mut self, timeout: Time) -> Self {
        let node = self.rpc.node().clone();
        self.deadline = Some(async move { node.sleep(timeout).await }.boxed());
        self
    }

    /// A way to use the object that this returns, before it has: what is asked of it goes along at once,
    /// and begins there when it can (pipelining).
    pub fn pipelined(self) -> Proxy {
        let (rpc, call) = (self.rpc.clone(), self.call.clone());
        let result = self.boxed().shared();
        Proxy::of_result(rpc, Coming { call, result })
    }

    /// Lets it go on though nobody waits for it.
    pub fn detach(self) {
        let rpc = self.rpc.clone();
        rpc.spawn(self.map(drop));
    }

    /// That the result of the call before it is no object may be because that failed.
    fn explained(&self, error: CallError) -> CallError {
        let before = self.after.as_ref().filter(|_| error == no_object());
        let failed = before.and_then(Coming::failure);
        failed.unwrap_or(error).of(&self.whom)
    }
}

impl Future for Asking {
    type Output = Result<Parcel, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = match &self.call {
            Ok(call) => call.poll_result(cx),
            Err(error) => Poll::Ready(Err(error.clone())),
        };
        let result = match (result, &mut self.deadline) {
            (Poll::Ready(result), _) => result,
            (Poll::Pending, Some(deadline)) => {
                core::task::ready!(deadline.poll_unpin(cx));
                self.call.iter().for_each(|call| call.cancel());
                Err(Code::TimedOut.because("no answer came in time").into())
            }
            (Poll::Pending, None) => return Poll::Pending,
        };
        let result = result.map_err(|error| self.explained(error));
        // What is not over yet is cancelled by this, unless something is asked of its result.
        let over = Code::Cancelled.because("the call is over");
        self.call = Err(over.into());
        if let Some(traced) = self.traced.take() {
            traced.end(&result);
        }
        Poll::Ready(result)
    }
}

impl<T> From<Asking> for Call<T> {
    fn from(asking: Asking) -> Self {
        Self {
            asking,
            result: PhantomData,
        }
    }
}

impl<T> Call<T> {
    /// As [`Asking::within`].
    #[must_use]
    pub fn within(self, timeout: Time) -> Self {
        self.asking.within(timeout).into()
    }

    /// As [`Asking::detach`].
    pub fn detach(self) {
        self.asking.detach();
    }

    /// As [`Asking::pipelined`].
    pub fn pipelined(self) -> Proxy {
        self.asking.pipelined()
    }
}

impl<T: DeserializeOwned> Future for Call<T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.asking.poll_unpin(cx).map(|result| Ok(result?.read()?))
    }
}

impl<T> Subscription<T> {
    pub(super) fn new(how: Listening, whom: Arc<str>) -> Self {
        Self {
            how,
            whom,
            item: PhantomData,
        }
    }

    /// Waits until it is known that what happens from now on is heard.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn begun(&mut self) -> Result<(), CallError> {
        poll_fn(|cx| self.poll_begun(cx)).await
    }

    /// How many came and were dropped, since this was asked last, because they were not taken fast enough.
    pub fn missed(&mut self) -> u64 {
        match &self.how {
            Listening::On { pending, .. } => pending.missed(),
            _ => 0,
        }
    }

    /// The next, as it came.
    pub fn poll_parcel(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Parcel, CallError>>> {
        if let Poll::Ready(Err(error)) = self.poll_begun(cx) {
            self.how = Listening::Over(None);
            return Poll::Ready(Some(Err(error)));
        }
        match &mut self.how {
            Listening::On { pending, .. } => pending.poll_next(cx).map(|next| {
                if let Err(error) = &next {
                    self.how = Listening::Over(None);
                    return Some(Err(error.clone().of(&self.whom)));
                }
                Some(next)
            }),
            Listening::Beginning(_) => Poll::Pending,
            Listening::Over(error) => Poll::Ready(error.take().map(Err)),
        }
    }

    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        while let Listening::Beginning(beginning) = &mut self.how {
            match beginning.poll_unpin(cx) {
                Poll::Ready(Ok(how)) => self.how = how,
                Poll::Ready(Err(error)) => self.how = Listening::Over(Some(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        match &self.how {
            Listening::On { pending, .. } => pending.poll_begun(cx),
            Listening::Over(Some(error)) => Poll::Ready(Err(error.clone().of(&self.whom))),
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl<T: DeserializeOwned> Stream for Subscription<T> {
    type Item = Result<T, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.poll_parcel(cx);
        next.map(|next| next.map(|parcel| Ok(parcel?.read()?)))
    }
}
