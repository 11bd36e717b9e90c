//! Subscriptions, as JavaScript holds them.

use core::future::poll_fn;

use futures_util::future::{AbortHandle, Abortable};
use js_sys::{Function, Promise};
use peerage::error::Code;
use peerage::log::ERROR;
use peerage::rpc::{CallError, Subscription};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

use super::Objects;
use crate::error::call_to_js;
use crate::page::name_of;

/// A subscription to an event or a property. It lasts until its `off`, or until the object is gone.
#[wasm_bindgen(js_name = Subscription)]
pub struct Interest {
    begun: Promise,
    ended: Promise,
    stop: AbortHandle,
}

#[wasm_bindgen(js_class = Subscription)]
impl Interest {
    /// Resolves when what happens from now on is heard.
    #[wasm_bindgen(getter, unchecked_return_type = "Promise<void>")]
    pub fn begun(&self) -> Promise {
        self.begun.clone()
    }

    /// Resolves with a `PeerageError` that says why nothing more will be heard.
    #[wasm_bindgen(getter, unchecked_return_type = "Promise<PeerageError>")]
    pub fn ended(&self) -> Promise {
        self.ended.clone()
    }

    /// Listens no more.
    pub fn off(&self) {
        self.stop.abort();
    }
}

impl Interest {
    pub(super) fn begin(
        objects: Objects,
        mut subscription: Subscription<()>,
        listener: Function,
    ) -> Self {
        let (tell_begun, begun) = futures_channel::oneshot::channel();
        let (stop, registration) = AbortHandle::new_pair();
        let stopped = stop.clone();
        let listening = async move {
            let started = subscription.begun().await;
            let failed = started.is_err();
            // Nobody may want to know.
            let _ = tell_begun.send(started);
            if failed {
                return end_of(&mut subscription).await;
            }
            loop {
                let next = poll_fn(|cx| subscription.poll_parcel(cx)).await;
                // A listener may have listened enough while more was there already.
                let told = match next.filter(|_| !stopped.is_aborted()) {
                    Some(Ok(parcel)) => objects.unpack(&parcel),
                    Some(Err(error)) => return error,
                    None => return over(),
                };
                match told.map(|value| listener.call1(&JsValue::NULL, &value)) {
                    Ok(Ok(_)) => {}
                    Ok(Err(thrown)) => {
                        let error = name_of(&thrown);
                        tracing::warn!(target: ERROR, error, "a subscription's listener failed");
                    }
                    Err(_) => tracing::warn!(target: ERROR, "an event cannot be read"),
                }
            }
        };
        let listening = Abortable::new(listening, registration);
        let ended = future_to_promise(async move {
            let reason = listening.await.unwrap_or_else(|_| over());
            Ok(call_to_js(&reason))
        });
        let begun = future_to_promise(async move {
            let begun = begun.await.unwrap_or_else(|_| Err(over()));
            begun
                .map(|()| JsValue::UNDEFINED)
                .map_err(|error| call_to_js(&error))
        });
        // Who does not look at it learns the same from `ended`.
        let ignored = begun.clone();
        spawn_local(async move {
            let _ = wasm_bindgen_futures::JsFuture::from(ignored).await;
        });
        Self { begun, ended, stop }
    }
}

async fn end_of(subscription: &mut Subscription<()>) -> CallError {
    match poll_fn(|cx| subscription.poll_parcel(cx)).await {
        Some(Err(error)) => error,
        _ => over(),
    }
}

fn over() -> CallError {
    Code::Cancelled.because("the subscription is over").into()
}
