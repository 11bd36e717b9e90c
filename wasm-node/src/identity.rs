//! Which node a tab is. A tab keeps its secret in its session storage, so that a reload is the same
//! node; a duplicated tab gets a copy of that storage, and finds that the id is in use by the lock
//! that the first tab holds on it.

use js_sys::{Array, Promise, Reflect};
use peerage::{Failure, Identity};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{PerformanceNavigationTiming, Storage};

use crate::platform::{js_failure, random, window};

/// How long a reloaded page waits for its former self to let go of the lock.
const LOCK_PATIENCE_MS: i32 = 1500;

/// A secret that no other tab uses, and whatever keeps it so.
pub(crate) struct Held {
    pub(crate) secret: [u8; 32],
    /// Kept for as long as the node lives: the lock is held until this is called.
    pub(crate) release: Option<js_sys::Function>,
}

/// The tab's identity for a node of this name: the one it had, unless another tab uses it.
pub(crate) async fn obtain(slot: &str) -> Result<Held, Failure> {
    let storage = window()?.session_storage().ok().flatten();
    let key = format!("peerage.identity.{slot}");
    if let Some(secret) = stored(storage.as_ref(), &key)
        && let Some(held) = hold(secret).await?
    {
        return Ok(held);
    }
    let secret = random()?;
    if let Some(storage) = &storage {
        // A full or forbidden storage only means that a reload is a new node.
        let _ = storage.set_item(&key, &hex(&secret));
    }
    Ok(hold(secret).await?.unwrap_or(Held {
        secret,
        release: None,
    }))
}

/// Takes the lock on the secret's id. `None` if another tab has it.
async fn hold(secret: [u8; 32]) -> Result<Option<Held>, Failure> {
    let Some(locks) = locks() else {
        // No locks outside of secure contexts: then only a reload is believed to be the same tab.
        return Ok(was_reloaded().then_some(Held {
            secret,
            release: None,
        }));
    };
    let name = format!("peerage.node.{}", Identity::from_secret(&secret).id());
    let mut release = None;
    let held_until = Promise::new(&mut |resolve, _| release = Some(resolve));
    let granted = request(&locks, &name, &held_until).map_err(|error| js_failure(&error))?;
    let granted = JsFuture::from(granted).await.is_ok();
    Ok(granted.then_some(Held { secret, release }))
}

/// A promise that is kept once the lock is granted, and broken if it is not in time.
fn request(locks: &JsValue, name: &str, held_until: &Promise) -> Result<Promise, JsValue> {
    let request: js_sys::Function = Reflect::get(locks, &"request".into())?.dyn_into()?;
    let options = js_sys::Object::new();
    Reflect::set(&options, &"signal".into(), &timeout_signal()?)?;
    let held_until = held_until.clone();
    let locks = locks.clone();
    let name = JsValue::from(name);
    let mut error = None;
    let promise = Promise::new(&mut |resolve, reject| {
        let held_until = held_until.clone();
        let granted = Closure::once_into_js(move || -> JsValue {
            // Calling a resolve function does not fail.
            let _ = resolve.call0(&JsValue::NULL);
            held_until.into()
        });
        let args = Array::of3(&name, &options, &granted);
        match request
            .apply(&locks, &args)
            .and_then(|promise| promise.dyn_into::<Promise>())
        {
            Ok(promise) => {
                let refused = Closure::once_into_js(move |reason: JsValue| {
                    let _ = reject.call1(&JsValue::NULL, &reason);
                });
                let _ = call_catch(&promise, &refused);
            }
            Err(thrown) => error = Some(thrown),
        }
    });
    error.map_or(Ok(promise), Err)
}

fn call_catch(promise: &Promise, handler: &JsValue) -> Result<JsValue, JsValue> {
    let catch: js_sys::Function = Reflect::get(promise, &"catch".into())?.dyn_into()?;
    catch.call1(promise, handler)
}

fn timeout_signal() -> Result<JsValue, JsValue> {
    let class = Reflect::get(&js_sys::global(), &"AbortSignal".into())?;
    let timeout: js_sys::Function = Reflect::get(&class, &"timeout".into())?.dyn_into()?;
    timeout.call1(&class, &LOCK_PATIENCE_MS.into())
}

fn locks() -> Option<JsValue> {
    let navigator = window().ok()?.navigator();
    Reflect::get(&navigator, &"locks".into())
        .ok()
        .filter(|locks| locks.is_object())
}

fn was_reloaded() -> bool {
    let entries = window().ok().and_then(|w| w.performance());
    let first = entries.map(|p| p.get_entries_by_type("navigation").get(0));
    let timing = first.and_then(|e| e.dyn_into::<PerformanceNavigationTiming>().ok());
    timing.is_some_and(|timing| {
        Reflect::get(&timing, &"type".into())
            .ok()
            .and_then(|t| t.as_string())
            .as_deref()
            == Some("reload")
    })
}

fn stored(storage: Option<&Storage>, key: &str) -> Option<[u8; 32]> {
    let text = storage?.get_item(key).ok()??;
    let bytes: Option<Vec<u8>> = (0..text.len() / 2)
        .map(|i| {
            text.get(2 * i..2 * i + 2)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect();
    bytes?.try_into().ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
