//! An operation that was started, as a page follows it.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::rc::Rc;

use gloo::events::EventListener;
use js_sys::{Object, Promise};
use peerage::service::operation::{self as core_operation, StopKind, Unsuccessful};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise, spawn_local};
use web_sys::AbortSignal;

use super::{async_iterable, progress_object, unsuccessful_to_js};
use crate::objects::object;
use crate::page::text_of;
use crate::rpc::Objects;

/// An operation that was started, here or elsewhere.
#[wasm_bindgen]
pub struct Operation {
    tracker: Option<String>,
    followed: Rc<RefCell<Followed>>,
    result: Promise,
}

/// What is known of it, for all that look.
struct Followed {
    operation: Option<core_operation::Operation>,
    /// How often there was progress, and the latest.
    count: u64,
    latest: JsValue,
    is_over: bool,
    waiting: Vec<Waker>,
    /// Who follows it.
    follower: Option<Waker>,
}

#[wasm_bindgen]
impl Operation {
    /// By what it is known at its node; `undefined` for one that was found by its number.
    #[wasm_bindgen(getter)]
    pub fn tracker(&self) -> Option<String> {
        self.tracker.clone()
    }

    /// What it brings; rejected with an `OperationError` if it does not succeed.
    #[wasm_bindgen(getter, skip_typescript)]
    pub fn result(&self) -> Promise {
        self.result.clone()
    }

    /// How far it is, whenever that changes, until it has ended: to be read by `for await`. Who is slow sees
    /// the latest.
    #[wasm_bindgen(getter, skip_typescript)]
    pub fn progress(&self) -> JsValue {
        let target = Object::new();
        let followed = Rc::clone(&self.followed);
        async_iterable(
            &target,
            Closure::new(move || iterator(Rc::clone(&followed))),
        );
        target.into()
    }

    /// Follows it no longer: its result is rejected here, and it goes on.
    pub fn close(&self) {
        let operation = self.followed.borrow_mut().operation.take();
        // What waits for it looks again.
        self.followed.borrow_mut().wake();
        drop(operation);
    }

    /// Tells it to stop, because the user wants it so.
    pub fn cancel(&self, reason: Option<String>) {
        self.stop(StopKind::Cancel, &reason.unwrap_or_default());
    }

    /// Tells it to stop, because the software does.
    pub fn abort(&self, reason: Option<String>) {
        self.stop(StopKind::Abort, &reason.unwrap_or_default());
    }
}

impl Operation {
    /// One that never began.
    pub(super) fn failed(objects: &Objects, unsuccessful: Unsuccessful) -> Self {
        let error = unsuccessful_to_js(objects, &unsuccessful);
        let result = Promise::reject(&error);
        ignore(&result);
        let followed = Followed {
            is_over: true,
            ..Followed::new(None)
        };
        Self {
            tracker: None,
            followed: Rc::new(RefCell::new(followed)),
            result,
        }
    }

    /// Follows an operation until it has ended; if the signal is given, it cancels it.
    pub(super) fn follow(
        objects: &Objects,
        operation: core_operation::Operation,
        signal: Option<AbortSignal>,
    ) -> Self {
        let tracker = match operation.which() {
            core_operation::Which::Tracked(tracker) => Some(tracker.to_string()),
            core_operation::Which::Numbered(_) => None,
        };
        let followed = Rc::new(RefCell::new(Followed::new(Some(operation))));
        let (objects, following) = (objects.clone(), Rc::clone(&followed));
        let aborted = signal.map(|signal| {
            let (followed, told) = (Rc::clone(&followed), signal.clone());
            EventListener::once(&signal, "abort", move |_| {
                let reason = text_of(&told.reason());
                Followed::stop(&followed, StopKind::Cancel, &reason);
            })
        });
        let result = future_to_promise(async move {
            let result = Followed::run(&following, &objects).await;
            drop(aborted);
            let value = result.and_then(|parcel| Ok(objects.unpack(&parcel)?));
            value.map_err(|unsuccessful| unsuccessful_to_js(&objects, &unsuccessful))
        });
        ignore(&result);
        Self {
            tracker,
            followed,
            result,
        }
    }

    fn stop(&self, kind: StopKind, reason: &str) {
        Followed::stop(&self.followed, kind, reason);
    }
}

impl Followed {
    fn new(operation: Option<core_operation::Operation>) -> Self {
        Self {
            operation,
            count: 0,
            latest: JsValue::UNDEFINED,
            is_over: false,
            waiting: Vec::new(),
            follower: None,
        }
    }

    fn stop(this: &Rc<RefCell<Self>>, kind: StopKind, reason: &str) {
        if let Some(operation) = &this.borrow().operation {
            operation.stop(kind, reason);
        }
    }

    /// Follows it to its end.
    async fn run(
        this: &Rc<RefCell<Self>>,
        objects: &Objects,
    ) -> Result<peerage::rpc::Parcel, Unsuccessful> {
        loop {
            let progress = poll_fn(|cx| {
                let mut followed = this.borrow_mut();
                followed.follower = Some(cx.waker().clone());
                match &mut followed.operation {
                    Some(operation) => operation.poll_progress(cx),
                    None => Poll::Ready(None),
                }
            })
            .await;
            let Some(progress) = progress else {
                break;
            };
            // What it holds may be a page's own: not while anything is borrowed.
            let told = progress_object(objects, &progress);
            this.borrow_mut().tell(Some(told));
        }
        this.borrow_mut().tell(None);
        let ended = this.borrow_mut().operation.take();
        match ended {
            Some(operation) => operation.await,
            None => Err(super::cancelled("the operation is not followed any longer").into()),
        }
    }

    fn tell(&mut self, progress: Option<JsValue>) {
        self.count += 1;
        match progress {
            Some(progress) => self.latest = progress,
            None => self.is_over = true,
        }
        self.waiting.drain(..).for_each(Waker::wake);
    }

    /// Lets who follows it look again.
    fn wake(&mut self) {
        if let Some(follower) = self.follower.take() {
            follower.wake();
        }
    }
}

/// Whoever does not look at a result does not care how it ends.
fn ignore(result: &Promise) {
    let result = result.clone();
    spawn_local(async move { drop(JsFuture::from(result).await) });
}

/// What goes through the progress of an operation, the latest each time.
fn iterator(followed: Rc<RefCell<Followed>>) -> JsValue {
    let seen = Rc::new(RefCell::new(0_u64));
    // Beyond what there can be: the iteration is over.
    let ended = Rc::clone(&seen);
    let end = Closure::<dyn Fn() -> Promise>::new(move || {
        *ended.borrow_mut() = u64::MAX;
        Promise::resolve(&object(&[
            ("value", JsValue::UNDEFINED),
            ("done", true.into()),
        ]))
    });
    let next = Closure::<dyn Fn() -> Promise>::new(move || {
        let (followed, seen) = (Rc::clone(&followed), Rc::clone(&seen));
        future_to_promise(async move {
            let value = poll_fn(|cx| {
                let mut followed = followed.borrow_mut();
                let mut seen = seen.borrow_mut();
                if *seen == u64::MAX {
                    return Poll::Ready(None);
                }
                let is_new = followed.count > *seen && !followed.latest.is_undefined();
                if is_new && !(followed.is_over && followed.count == *seen + 1) {
                    // The end is counted too, and is no progress.
                    *seen = followed.count - u64::from(followed.is_over);
                    return Poll::Ready(Some(followed.latest.clone()));
                }
                if followed.is_over {
                    return Poll::Ready(None);
                }
                followed.waiting.push(cx.waker().clone());
                Poll::Pending
            })
            .await;
            let is_done = value.is_none();
            let value = value.unwrap_or_default();
            Ok(object(&[("value", value), ("done", is_done.into())]))
        })
    });
    object(&[
        ("next", next.into_js_value()),
        ("return", end.into_js_value()),
    ])
}
