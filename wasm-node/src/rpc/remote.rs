//! Proxies: what JavaScript holds of an object that is elsewhere. To take a property of one gives its
//! method of that name; a call gives a promise of its result, which is itself a proxy of the result.

use futures_util::future::{Either, select};
use gloo::events::EventListener;
use js_sys::{Array, Function, Object, Promise, Proxy as JsProxy, Reflect, WeakRef};
use peerage::error::Code;
use peerage::rpc::{Act, Asking, CallError, Parcel, Proxy, Reference};
use peerage::{Failure, Time};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::AbortSignal;

use super::Objects;
use super::interest::Interest;
use crate::error::{call_to_js, to_js};
use crate::{options, page};

/// What a function that is a proxy stands for.
pub(super) enum Entry {
    Object(Remote),
    /// What is done with an object: the number of its own entry, for as long as it is not released.
    Member(u32, Member),
}

/// An object elsewhere.
#[derive(Clone)]
pub(super) struct Remote {
    proxy: Proxy,
    signal: Option<AbortSignal>,
    state: State,
}

#[derive(Clone)]
enum State {
    /// It is there.
    There,
    /// It is the result of a call that is under way.
    Pending(Promise),
    /// It is the result of a call that is over: if it is an object, the promise alone keeps it, or to let
    /// go of it would be in vain.
    Settled(Promise, Option<WeakRef>),
}

#[derive(Clone)]
pub(super) enum Member {
    /// A method.
    Method(String),
    /// What every proxy can do.
    Verb(Verb),
}

#[derive(Clone, Copy)]
pub(super) enum Verb {
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
    fn there(proxy: Proxy) -> Self {
        Self {
            proxy,
            signal: None,
            state: State::There,
        }
    }

    pub(super) fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The reference that it is, if it is one already.
    pub(super) fn reference(&self) -> Option<Reference> {
        match self.state {
            State::There | State::Settled(..) => self.proxy.reference().cloned(),
            State::Pending(_) => None,
        }
    }

    fn promise(&self) -> Option<&Promise> {
        match &self.state {
            State::Pending(promise) | State::Settled(promise, _) => Some(promise),
            State::There => None,
        }
    }
}

impl Objects {
    /// A proxy of an agent by its name. `options` are those of [`configured`].
    pub(crate) fn proxy(
        &self,
        target: &str,
        agent: &str,
        options: Option<JsValue>,
    ) -> Result<JsValue, JsValue> {
        let remote = Remote::there(self.rpc().proxy(target, agent));
        let remote = match options {
            Some(options) => configured(remote, &options).map_err(|failure| to_js(&failure))?,
            None => remote,
        };
        Ok(self.js_proxy(Entry::Object(remote)).0.into())
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
        let remote = Remote::there(reference.proxy());
        let (proxy, number) = self.js_proxy(Entry::Object(remote));
        let known = (number, WeakRef::new(&proxy));
        self.0.known.borrow_mut().insert(pointer.clone(), known);
        proxy.into()
    }

    /// What an object stands for, if it is a proxy of one.
    pub(super) fn remote_of(&self, object: &Object) -> Option<Remote> {
        self.remote(self.number_of(object)?)
    }

    fn remote(&self, number: u32) -> Option<Remote> {
        let mut remote = match self.0.entries.borrow().get(&number)? {
            Entry::Object(remote) => remote.clone(),
            Entry::Member(..) => return None,
        };
        if let State::Settled(_, Some(result)) = &remote.state
            && let Some(result) = result.deref()
            && let Some(result) = self.remote_of(&result)
        {
            remote.proxy = result.proxy;
        }
        Some(remote)
    }

    /// A proxy is there no more.
    pub(super) fn forget(&self, number: u32) {
        let gone = self.0.entries.borrow_mut().remove(&number);
        if let Some(Entry::Object(remote)) = &gone
            && let Some(reference) = remote.reference()
        {
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
    pub(crate) fn release(&self, proxy: &JsValue) -> Result<(), Failure> {
        let number = page::object(proxy).and_then(|proxy| self.number_of(proxy));
        let wrong = || Code::BadMessage.because("expected a proxy of a remote object");
        self.forget(number.ok_or_else(wrong)?);
        Ok(())
    }

    fn number_of(&self, object: &Object) -> Option<u32> {
        let number = self.0.numbers.get(object).as_f64();
        number.map(|number| number as u32)
    }

    fn js_proxy(&self, entry: Entry) -> (Object, u32) {
        let number = self.next_number();
        let target: Object = self.0.target.bind0(&JsValue::NULL).unchecked_into();
        let proxy: Object = JsProxy::new(&target, &self.0.handler).unchecked_into();
        for object in [&target, &proxy] {
            self.0.numbers.set(object, &number.into());
        }
        self.0.registry.register(&target, &number.into());
        self.0.entries.borrow_mut().insert(number, entry);
        (proxy, number)
    }

    /// A property of a proxy.
    pub(super) fn property(&self, target: &Object, key: &JsValue) -> JsValue {
        let (Some(number), Some(name)) = (self.number_of(target), key.as_string()) else {
            return JsValue::UNDEFINED;
        };
        let promise = match self.0.entries.borrow().get(&number) {
            Some(Entry::Object(remote)) => remote.promise().cloned(),
            // Of the function itself: `apply`, `bind`, its name.
            Some(Entry::Member(..)) => return Reflect::get(target, key).unwrap_or_default(),
            None => None,
        };
        let member = match (promise, name.as_str()) {
            (Some(promise), "then" | "catch" | "finally") => {
                let method = Reflect::get(&promise, key).unwrap_or_default();
                return method.unchecked_into::<Function>().bind0(&promise).into();
            }
            (Some(_), "cancel") => Member::Verb(Verb::Cancel),
            // An object is no promise, or it could not be the result of one.
            (None, "then") => return JsValue::UNDEFINED,
            // What the language itself asks of any value is not asked of another node.
            (_, "toJSON") => return JsValue::UNDEFINED,
            (_, "toString" | "valueOf") => return Reflect::get(target, key).unwrap_or_default(),
            (_, name) => match Verb::of(name) {
                Some(verb) => Member::Verb(verb),
                None => Member::Method(name.to_owned()),
            },
        };
        let (proxy, _) = self.js_proxy(Entry::Member(number, member));
        // Who holds a method holds its object.
        self.0.owners.set(&proxy, target);
        proxy.into()
    }

    /// A call of a proxy.
    pub(super) fn apply(&self, target: &Object, args: &Array) -> Result<JsValue, JsValue> {
        let released = || to_js(&Code::Gone.because("the reference was released"));
        let number = self.number_of(target).ok_or_else(released)?;
        let (number, member) = match self.0.entries.borrow().get(&number) {
            Some(Entry::Object(_)) => (number, Member::Method(String::new())),
            Some(Entry::Member(owner, member)) => (*owner, member.clone()),
            None => return Err(released()),
        };
        let remote = self.remote(number).ok_or_else(released)?;
        match member {
            Member::Method(name) => Ok(self.ask(&remote, Act::Call, &name, args)),
            Member::Verb(verb) => self.verb(&remote, verb, args),
        }
    }

    fn verb(&self, remote: &Remote, verb: Verb, args: &Array) -> Result<JsValue, JsValue> {
        let name = || {
            let wrong = || to_js(&Code::BadMessage.because("expected a name, as a string"));
            args.get(0).as_string().ok_or_else(wrong)
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
            Verb::Call => {
                let rest = args.slice(1, args.length());
                Ok(self.ask(remote, Act::Call, &name()?, &rest))
            }
            Verb::Get => Ok(self.ask(remote, Act::Get, &name()?, &JsValue::UNDEFINED)),
            Verb::Set => Ok(self.ask(remote, Act::Set, &name()?, &args.get(1))),
            Verb::On => interest(Act::Subscribe),
            Verb::Watch => interest(Act::Watch),
            Verb::With => {
                let remote = Remote {
                    state: State::There,
                    ..remote.clone()
                };
                let remote = configured(remote, &args.get(0)).map_err(|failure| to_js(&failure))?;
                Ok(self.js_proxy(Entry::Object(remote)).0.into())
            }
            Verb::Cancel => {
                remote.proxy.cancel();
                Ok(JsValue::UNDEFINED)
            }
        }
    }

    fn ask(&self, remote: &Remote, act: Act, name: &str, args: &JsValue) -> JsValue {
        // What cannot travel is a failure of the call, as everything else that goes wrong with it.
        let asking = match self.parcel(args) {
            Ok(args) => remote.proxy.ask(act, name, args),
            Err(error) => Asking::failed(self.rpc(), error),
        };
        let proxy = asking.pipelined();
        let pending = Remote {
            proxy: proxy.clone(),
            signal: remote.signal.clone(),
            state: State::There,
        };
        let (pending, number) = self.js_proxy(Entry::Object(pending));
        let promise = self.promise(number, proxy, remote.signal.clone());
        if let Some(Entry::Object(remote)) = self.0.entries.borrow_mut().get_mut(&number) {
            remote.state = State::Pending(promise);
        }
        pending.into()
    }

    /// The promise of a call's result, which is that of the proxy of this number.
    fn promise(&self, number: u32, proxy: Proxy, signal: Option<AbortSignal>) -> Promise {
        let this = self.clone();
        future_to_promise(async move {
            let result = match signal {
                Some(signal) => unless_aborted(&proxy, &signal).await,
                None => proxy.resolved().await,
            };
            // What is still asked of the result holds on to it by itself.
            drop(proxy);
            let js = result.and_then(|parcel: Parcel| this.unpack(&parcel));
            this.settle(number, js.as_ref().ok());
            js.map_err(|error| call_to_js(&error))
        })
    }

    /// A call is over.
    fn settle(&self, number: u32, result: Option<&JsValue>) {
        let object = result.and_then(page::object);
        let object = object.filter(|object| self.number_of(object).is_some());
        let weak = object.map(WeakRef::new);
        let over = Code::UnknownMethod.because("the call returned no object");
        let over = Asking::failed(self.rpc(), over.into()).pipelined();
        let before = match self.0.entries.borrow_mut().get_mut(&number) {
            Some(Entry::Object(remote)) => {
                if let State::Pending(promise) = &remote.state {
                    remote.state = State::Settled(promise.clone(), weak);
                }
                core::mem::replace(&mut remote.proxy, over)
            }
            _ => over,
        };
        // To let go is heard elsewhere, and not while anything is borrowed.
        drop(before);
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

/// A proxy with options: `{ timeoutMs, signal, version, lane }`.
fn configured(mut remote: Remote, given: &JsValue) -> Result<Remote, Failure> {
    let given = options::call(given)?;
    if let Some(ms) = given.timeout_ms {
        remote.proxy = remote.proxy.with_timeout(Time::from_millis(ms.into()));
    }
    if let Some(version) = given.version {
        remote.proxy = remote.proxy.with_version(version);
    }
    if let Some(lane) = given.lane {
        remote.proxy = remote.proxy.in_lane(lane);
    }
    remote.signal = given.signal.or(remote.signal);
    Ok(remote)
}
