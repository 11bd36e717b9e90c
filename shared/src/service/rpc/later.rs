//! Values to come, as arguments and results: who gets one waits for it where it is made.

use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

use super::call::Call;
use super::fault::CallError;
use super::parcel::Parcel;
use super::reference::{Exported, Reference};
use super::{Act, Rpc};

/// A value that several wait for.
pub(super) type Awaited = Shared<BoxFuture<'static, Result<Parcel, CallError>>>;

/// A value to come, which may travel: who gets it waits for it over the wire. If its node goes, or it
/// fails, that is what they get.
pub struct Later<T> {
    reference: Reference,
    waiting: Option<Call<T>>,
    value: PhantomData<fn() -> T>,
}

impl Rpc {
    /// Lets a future travel. It is run while somebody waits for its value.
    pub fn later<T, F>(&self, future: F) -> Later<T>
    where
        T: Serialize,
        F: Future<Output = Result<T, CallError>> + Send + 'static,
    {
        let made = async move { Ok(Parcel::of(&future.await?)?) };
        Later::new(self.share_future(made))
    }

    /// As [`Rpc::later`], for what is made already.
    pub fn share_future<F>(&self, future: F) -> Reference
    where
        F: Future<Output = Result<Parcel, CallError>> + Send + 'static,
    {
        self.export(Exported::Future(future.boxed().shared()))
    }
}

impl<T> Later<T> {
    fn new(reference: Reference) -> Self {
        Self {
            reference,
            waiting: None,
            value: PhantomData,
        }
    }
}

impl<T: DeserializeOwned> Future for Later<T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let waiting = this.waiting.get_or_insert_with(|| {
            let proxy = this.reference.proxy();
            proxy.ask(Act::Await, "", Parcel::default()).into()
        });
        waiting.poll_unpin(cx)
    }
}

impl<T> Serialize for Later<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.reference.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Later<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let reference = Reference::deserialize(deserializer)?;
        if !reference.pointer().future {
            return Err(Error::custom("expected a value to come, got an object"));
        }
        Ok(Self::new(reference))
    }
}
