//! Lanes, where what has a turn is a page's own: it cannot be stopped, only told to.

use futures_util::future::select;
use gloo::timers::future::TimeoutFuture;
use peerage::limits::STOP_GRACE;
use peerage::service::lane::Turn;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::page;

/// Keeps a turn for what goes on though nobody waits for it, for as long as it may.
pub(crate) fn hold_until_settled(turn: Turn, promise: &JsValue) {
    let settled = page::awaited(promise);
    let patience = TimeoutFuture::new(STOP_GRACE.as_millis() as u32);
    spawn_local(async move {
        drop(select(settled, patience).await);
        drop(turn);
    });
}
