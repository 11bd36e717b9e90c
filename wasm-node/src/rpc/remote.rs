//! Proxies: what JavaScript holds of an object that is elsewhere. To take a property of one gives its
//! method of that name; a call gives a promise of its result, which is itself a proxy of the result.

use std::rc::Weak;

use futures_util::future::{Either, select};
use gloo::events::EventListener;
use js_sys::{Array, Function, Object, Promise, Proxy as JsProxy, Reflect, WeakRef};
use peerage::error::Code;
use peerage::rpc::{Act, Asking, CallError, Parcel, Proxy, Reference};
use peerage::{Failure, Time};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::AbortSignal;

use super::interest::Interest;
use super::{Inner, Objects};
use crate::error::{call_to_js, to_js};
use crate::objects::set;
use crate::options;

/// What a proxy stands for.
#[derive(Clone)]
pub(super) struct Remote {
    proxy: Proxy,
    signal: Option<AbortSignal>,
    what: What,
}

#[derive(Clone)]
enum What {
    /// The object itself.
    Object,
    /// The result of a call, as far as it is one.
    Pending(Promise),
    /// A method.
    Method(String),
    /// What every proxy can do.
    Verb(Verb),
}

#[derive(Clone, Copy)]
enum Verb {
    Call,
    Cancel,
    Get,
    On,
    Set,
    Watch,
    With,
}

impl Verb {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "call" => Self::Call,
            "get" => Self::Get,
            "on" => Self::On,
            "set" => Self::Set,
            "watch" => Self::Watch,
            "with" => Self::With,
            _ => return None,
        })
    }
}

impl Remote {
    pub(super) fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The reference that it is, if it is one already.
    pub(super) fn reference(&self) -> Option<Reference> {
        match self.what {
            What::Object => self.proxy.reference().cloned(),
            _ => None,
        }
    }

    fn with(&self, what: What) -> Self {
        Self {
            what,
            ..self.clone()
        }
    }
}

impl Objects {
    /// A proxy of an agent by its name. `options` are those of [`Objects::configured`].
    pub(crate) fn proxy(
        &self,
        target: &str,
        agent: &str,
        options: Option<JsValue>,
    ) -> Result<JsValue, JsValue> {
        let remote = Remote {
            proxy: self.rpc().proxy(target, agent),
            signal: None,
            what: What::Object,
        };
        let remote = match options {
            Some(options) => configured(remote, &options).map_err(|failure| to_js(&failure))?,
            None => remote,
        };
        Ok(self.js_proxy(remote))
    }

    /// The one proxy of a reference.
    pub(super) fn proxy_of(&self, reference: &Reference) -> JsValue {
        let pointer = reference.pointer();
        let known = self
            .0
            .known
            .borrow()
            .get(pointer)
            .map(|(_, weak)| weak.clone());
        if let Some(proxy) = known.and_then(|weak| weak.deref()) {
            return proxy.into();
        }
        let proxy = self.js_proxy(Remote {
            proxy: reference.proxy(),
            signal: None,
            what: What::Object,
        });
        let number = self.number_of(proxy.unchecked_ref()).unwrap_or_default();
        let weak = WeakRef::new(proxy.unchecked_ref::<Object>());
        let mut known = self.0.known.borrow_mut();
        known.insert(pointer.clone(), (number, weak));
        proxy
    }

    /// What an object stands for, if it is a proxy.
    pub(super) fn remote_of(&self, object: &Object) -> Option<Remote> {
        let number = self.number_of(object)?;
        self.0.remotes.borrow().get(&number).cloned()
    }

    /// A proxy is there no more.
    pub(super) fn forget(&self, number: u32) {
        let gone = self.0.remotes.borrow_mut().remove(&number);
        if let Some(reference) = gone.as_ref().and_then(Remote::reference) {
            let mut known = self.0.known.borrow_mut();
            if known
                .get(reference.pointer())
                .is_some_and(|(n, _)| *n == number)
            {
                known.remove(reference.pointer());
            }
        }
    }

    /// Lets go of what a proxy stands for. The proxy is of no use any more.
    pub(crate) fn release(&self, object: &Object) -> Result<(), Failure> {
        let number = self.number_of(object);
        let number = number
            .ok_or_else(|| Code::BadMessage.because("expected a proxy of a remote object"))?;
        self.forget(number);
        Ok(())
    }

    fn number_of(&self, object: &Object) -> Option<u32> {
        self.0
            .numbers
            .get(object)
            .as_f64()
            .map(|number| number as u32)
    }

    fn js_proxy(&self, remote: Remote) -> JsValue {
        let number = self.next_number();
        let target: Object = self.0.target.bind0(&JsValue::NULL).unchecked_into();
        let proxy: Object = JsProxy::new(&target, &self.0.handler).unchecked_into();
        for object in [&target, &proxy] {
            self.0.numbers.set(object, &number.into());
        }
        self.0.registry.register(&target, &number.into());
        self.0.remotes.borrow_mut().insert(number, remote);
        proxy.into()
    }

    /// A property of a proxy.
    fn property(&self, target: &Object, key: &JsValue) -> JsValue {
        let Some(remote) = self.remote_of(target) else {
            return JsValue::UNDEFINED;
        };
        let Some(name) = key.as_string() else {
            return JsValue::UNDEFINED;
        };
        match &remote.what {
            What::Object | What::Pending(_) => {}
            // Of the function itself: `apply`, `bind`, its name.
            What::Method(_) | What::Verb(_) => {
                return Reflect::get(target, key).unwrap_or_default();
            }
        }
        let what = match (&remote.what, name.as_str()) {
            (What::Pending(promise), "then" | "catch" | "finally") => {
                let method = Reflect::get(promise, key).unwrap_or_default();
                return method.unchecked_into::<Function>().bind0(promise).into();
            }
            (What::Pending(_), "cancel") => What::Verb(Verb::Cancel),
            // An object is no promise, or it could not be the result of one.
            (_, "then") => return JsValue::UNDEFINED,
            (_, name) => match Verb::of(name) {
                Some(verb) => What::Verb(verb),
                None => What::Method(name.to_owned()),
            },
        };
        self.js_proxy(remote.with(what))
    }

    /// A call of a proxy.
    fn apply(&self, target: &Object, args: &Array) -> Result<JsValue, JsValue> {
        let Some(remote) = self.remote_of(target) else {
            let failure = Code::Gone.because("the reference was released");
            return Err(to_js(&failure));
        };
        match &remote.what {
            What::Object | What::Pending(_) => self.ask(&remote, Act::Call, "", args),
            What::Method(name) => self.ask(&remote, Act::Call, name, args),
            What::Verb(verb) => self.verb(&remote, *verb, args),
        }
    }

    fn verb(&self, remote: &Remote, verb: Verb, args: &Array) -> Result<JsValue, JsValue> {
        let name = || {
            let first = args.get(0);
            let wrong = || to_js(&Code::BadMessage.because("expected a name, as a string"));
            first.as_string().ok_or_else(wrong)
        };
        let interest = |act| {
            let listener: Function = args
                .get(1)
                .dyn_into()
                .map_err(|_| to_js(&Code::BadMessage.because("expected a function to be told")))?;
            let subscription = remote.proxy.listen::<()>(act, &name()?);
            Ok(Interest::begin(self.clone(), subscription, listener).into())
        };
        match verb {
            Verb::Call => self.ask(remote, Act::Call, &name()?, &args.slice(1, args.length())),
            Verb::Get => self.ask(remote, Act::Get, &name()?, &JsValue::UNDEFINED),
            Verb::Set => self.ask(remote, Act::Set, &name()?, &args.get(1)),
            Verb::On => interest(Act::Subscribe),
            Verb::Watch => interest(Act::Watch),
            Verb::With => {
                let remote = configured(remote.with(What::Object), &args.get(0));
                Ok(self.js_proxy(remote.map_err(|failure| to_js(&failure))?))
            }
            Verb::Cancel => {
                remote.proxy.cancel();
                Ok(JsValue::UNDEFINED)
            }
        }
    }

    fn ask(
        &self,
        remote: &Remote,
        act: Act,
        name: &str,
        args: &JsValue,
    ) -> Result<JsValue, JsValue> {
        // What cannot travel is a failure of the call, as everything else that goes wrong with it.
        let asking = match self.parcel(args) {
            Ok(args) => remote.proxy.ask(act, name, args),
            Err(error) => Asking::failed(self.rpc(), error),
        };
        let proxy = asking.pipelined();
        let promise = self.promise(proxy.clone(), remote.signal.clone());
        Ok(self.js_proxy(Remote {
            proxy,
            signal: remote.signal.clone(),
            what: What::Pending(promise),
        }))
    }

    /// The promise of a call's result.
    fn promise(&self, proxy: Proxy, signal: Option<AbortSignal>) -> Promise {
        let this = self.clone();
        future_to_promise(async move {
            let result = match signal {
                Some(signal) => unless_aborted(&proxy, &signal).await,
                None => proxy.resolved().await,
            };
            // What is still asked of the result holds on to it by itself.
            drop(proxy);
            let js = result.and_then(|parcel: Parcel| this.unpack(&parcel));
            js.map_err(|error| call_to_js(&error))
        })
    }
}

async fn unless_aborted(proxy: &Proxy, signal: &AbortSignal) -> Result<Parcel, CallError> {
    let (tell, aborted) = futures_channel::oneshot::channel::<()>();
    let listener = EventListener::once(signal, "abort", move |_| {
        // Nobody may be waiting any longer.
        let _ = tell.send(());
    });
    if !signal.aborted() {
        let resolved = core::pin::pin!(proxy.resolved());
        if let Either::Left((result, _)) = select(resolved, aborted).await {
            drop(listener);
            return result;
        }
    }
    proxy.cancel();
    // It is over now, and tells so to the other side.
    proxy.resolved().await
}

/// A proxy with options: `{ timeoutMs, signal, version }`.
fn configured(mut remote: Remote, given: &JsValue) -> Result<Remote, Failure> {
    let given = options::call(given)?;
    if let Some(ms) = given.timeout_ms {
        remote.proxy = remote.proxy.with_timeout(Time::from_millis(ms.into()));
    }
    if let Some(version) = given.version {
        remote.proxy = remote.proxy.with_version(version);
    }
    remote.signal = given.signal.or(remote.signal);
    Ok(remote)
}

/// What every proxy does when it is used.
pub(super) fn handler(objects: &Weak<Inner>) -> Object {
    let (getting, applying) = (objects.clone(), objects.clone());
    let get = move |target: Object, key: JsValue, _: JsValue| match getting.upgrade() {
        Some(inner) => Objects(inner).property(&target, &key),
        None => JsValue::UNDEFINED,
    };
    let apply = move |target: Object, _: JsValue, args: Array| match applying.upgrade() {
        Some(inner) => Objects(inner).apply(&target, &args),
        None => Err(to_js(&Code::Left.because("this node has left"))),
    };
    let get = Closure::<dyn Fn(Object, JsValue, JsValue) -> JsValue>::new(get);
    let apply = Closure::<dyn Fn(Object, JsValue, Array) -> Result<JsValue, JsValue>>::new(apply);
    let handler: JsValue = Object::new().into();
    set(&handler, "get", &get.into_js_value());
    set(&handler, "apply", &apply.into_js_value());
    handler.unchecked_into()
}

/// A function that does nothing.
pub(super) fn target() -> Function {
    Closure::<dyn Fn()>::new(|| {})
        .into_js_value()
        .unchecked_into()
}
