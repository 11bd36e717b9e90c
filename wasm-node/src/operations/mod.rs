//! Operations as JavaScript starts and offers them.

mod followed;
mod work;

use core::time::Duration;

use js_sys::{Array, Function, Object, Promise, Reflect};
use peerage::Failure;
use peerage::error::Code;
use peerage::rpc::{CallError, Parcel};
use peerage::service::operation::{
    Info, Options, Progress, StopKind, Tracker, Unsuccessful, Which, Working,
};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::AbortSignal;

pub use followed::Operation;
pub use work::Work;

use crate::error::{call_to_js, to_js};
use crate::node::Node;
use crate::objects::{object, set};
use crate::options::{check, flag, number, text, value, wrong};
use crate::rpc::Objects;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
export interface Progress { fraction?: number; remainingMs?: number; note?: string; data?: any }
export interface StartOptions { lane?: string; signal?: AbortSignal; timeoutMs?: number; tracker?: string }
/** Why an operation did not succeed. */
export interface OperationError extends PeerageError { end: "fail" | "cancel" | "abort"; reason: string; data?: any }
export interface OperationInfo { id: number; name: string; state: "waiting" | "running" | "success" | "fail" | "cancel" | "abort";
  caller: string; isPublic: boolean; parent?: string; tracker?: string; fraction?: number; remainingMs?: number; note?: string; reason?: string;
  ageMs: number; endedMs?: number }
/** A part of an operation: which one, and where. */
export interface Part { at: string; name: string; args?: any; lastsMs?: number; lane?: string; timeoutMs?: number; tracker?: string }
export type OperationHandler = (args: any, op: Work) => any;
export interface Operation<T = any> { readonly result: Promise<T>; readonly progress: AsyncIterable<Progress> }
export interface Node {
  /** Starts an operation of a node. It goes on when this page goes, and is found again by its tracker. */
  start<T = any>(target: string, name: string, args?: any, options?: StartOptions): Operation<T>;
  /** Attaches to an operation of a node by its tracker; or by its number, to watch it. */
  attach<T = any>(target: string, which: string | number): Operation<T>;
}
"#;

#[wasm_bindgen]
impl Node {
    /// Offers an operation to everyone, under this name. The handler gets what it was started with, and what
    /// it tells its progress by; what it returns is the result, and what it throws a failure. Everyone can
    /// see that it runs and how far it is, unless `options.private` is true.
    pub fn operation(
        &self,
        name: &str,
        #[wasm_bindgen(unchecked_param_type = "OperationHandler")] handler: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "{ private?: boolean }")] options: JsValue,
    ) -> Result<(), JsValue> {
        let offered = self.offer(name, handler, &options);
        offered.map_err(|failure| to_js(&failure))
    }

    /// Starts an operation of a node.
    #[wasm_bindgen(skip_typescript)]
    pub fn start(&self, target: &str, name: &str, args: &JsValue, options: &JsValue) -> Operation {
        match StartOptions::read(options) {
            Ok(told) => self.begin(target, name, args, told),
            Err(failure) => Operation::failed(self.objects(), failure.into()),
        }
    }

    /// Attaches to an operation of a node that was started before.
    #[wasm_bindgen(skip_typescript)]
    pub fn attach(&self, target: &str, which: &JsValue) -> Operation {
        match read_which(which) {
            Ok(which) => {
                let attached = self.core_operations().attach(target, which);
                Operation::follow(self.objects(), attached, None)
            }
            Err(failure) => Operation::failed(self.objects(), failure.into()),
        }
    }

    /// What runs at a node, this one if none is named, and what has ended there lately; the latest first.
    /// Those that this node started have their tracker.
    #[wasm_bindgen(unchecked_return_type = "Promise<OperationInfo[]>")]
    pub fn operations(&self, target: Option<String>) -> Promise {
        let operations = self.core_operations();
        future_to_promise(async move {
            let list = match target {
                Some(target) => operations.list(&target).await,
                None => Ok(operations.own()),
            };
            let list = list.map_err(|error| call_to_js(&error))?;
            let list: Array = list.into_iter().map(info_object).collect();
            Ok(list.into())
        })
    }
}

impl Node {
    fn offer(&self, name: &str, handler: &JsValue, options: &JsValue) -> Result<(), Failure> {
        let expected = "a function as an operation's handler";
        let handler = handler.dyn_ref::<Function>().cloned();
        let handler = handler.ok_or_else(|| wrong("handler", expected, &JsValue::UNDEFINED))?;
        let mut is_private = false;
        if !options.is_undefined() {
            check(options, "an object { private }", &["private"])?;
            is_private = flag(options, "private")?;
        }
        let own = SendWrapper::new((handler, self.objects().clone()));
        self.core_operations()
            .offer_made(name, !is_private, move |work| {
                let (handler, objects) = &*own;
                let done = work::done(handler.clone(), objects.clone(), work);
                Box::pin(SendWrapper::new(done)) as Working
            });
        Ok(())
    }

    fn begin(&self, target: &str, name: &str, args: &JsValue, told: StartOptions) -> Operation {
        if let Err(stopped) = told.check_signal() {
            return Operation::failed(self.objects(), stopped);
        }
        match self.objects().parcel(args) {
            Ok(args) => {
                let started = self.core_operations();
                let started = started.start_with(target, name, args, told.options);
                Operation::follow(self.objects(), started, told.signal)
            }
            Err(error) => Operation::failed(self.objects(), error.into()),
        }
    }
}

/// How an operation is started.
#[derive(Default)]
struct StartOptions {
    options: Options,
    signal: Option<AbortSignal>,
}

impl StartOptions {
    const KEYS: [&str; 4] = ["lane", "signal", "timeoutMs", "tracker"];

    fn read(options: &JsValue) -> Result<Self, Failure> {
        if options.is_undefined() {
            return Ok(Self::default());
        }
        let expected = "an object { lane, signal, timeoutMs, tracker }";
        check(options, expected, &Self::KEYS)?;
        Self::read_known(options)
    }

    /// Whether the page has given up before it began.
    fn check_signal(&self) -> Result<(), Unsuccessful> {
        match self.signal.as_ref().is_some_and(AbortSignal::aborted) {
            true => {
                let stop = StopKind::Cancel.because("it was cancelled before it began");
                Err(Unsuccessful::Stopped(stop))
            }
            false => Ok(()),
        }
    }

    fn read_known(options: &JsValue) -> Result<Self, Failure> {
        let signal = match value(options, "signal").dyn_into::<AbortSignal>() {
            Ok(signal) => Some(signal),
            Err(none) if none.is_undefined() => None,
            Err(other) => return Err(wrong("signal", "an AbortSignal", &other)),
        };
        let millis = number(options, "timeoutMs", 0, i32::MAX as u32)?;
        let tracker = text(options, "tracker")?.map(|text| text.parse::<Tracker>());
        Ok(Self {
            options: Options {
                lane: text(options, "lane")?,
                timeout: millis.map(|millis| Duration::from_millis(millis.into())),
                tracker: tracker.transpose()?,
            },
            signal,
        })
    }
}

fn read_which(which: &JsValue) -> Result<Which, Failure> {
    if let Some(number) = which.as_f64() {
        return format!("#{number}").parse();
    }
    let text = which.as_string();
    let wrong = || wrong("which", "a tracker, or an operation's number", which);
    text.ok_or_else(wrong)?.parse()
}

fn progress_object(objects: &Objects, progress: &Progress) -> JsValue {
    let told = object(&[]);
    if let Some(fraction) = progress.fraction {
        set(&told, "fraction", &fraction.into());
    }
    if let Some(remaining) = progress.remaining {
        let millis = remaining.as_secs_f64() * 1000.0;
        set(&told, "remainingMs", &millis.into());
    }
    if let Some(note) = &progress.note {
        set(&told, "note", &note.into());
    }
    if let Some(data) = unpacked(objects, &progress.data) {
        set(&told, "data", &data);
    }
    told
}

/// The error of an operation that did not succeed: `PeerageError { code, end, reason, data? }`.
fn unsuccessful_to_js(objects: &Objects, unsuccessful: &Unsuccessful) -> JsValue {
    let error = match unsuccessful {
        Unsuccessful::Lost(error @ CallError::Failed(_)) => call_to_js(error),
        other => to_js(&other.code().because(other.to_string())),
    };
    set(&error, "end", &unsuccessful.end().into());
    set(&error, "reason", &unsuccessful.reason().into());
    if let Unsuccessful::Fail { data, .. } = unsuccessful
        && let Some(data) = unpacked(objects, data)
    {
        set(&error, "data", &data);
    }
    error
}

/// A value, unless it is nothing.
fn unpacked(objects: &Objects, parcel: &Parcel) -> Option<JsValue> {
    let js = objects.unpack(parcel).ok()?;
    (!js.is_undefined() && !js.is_null()).then_some(js)
}

fn info_object(info: Info) -> JsValue {
    let told = object(&[
        ("id", (info.id as f64).into()),
        ("name", info.name.into()),
        ("state", info.state.into()),
        ("caller", info.caller.into()),
        ("isPublic", info.is_public.into()),
        ("ageMs", info.age_ms.into()),
    ]);
    let numbers = [
        ("fraction", info.fraction),
        ("remainingMs", info.remaining_ms),
        ("endedMs", info.ended_ms),
    ];
    let texts = [
        ("parent", info.parent),
        ("tracker", info.tracker),
        ("note", info.note),
        ("reason", info.reason),
    ];
    let numbers = numbers.map(|(key, number)| (key, number.map(JsValue::from)));
    let texts = texts.map(|(key, text)| (key, text.map(JsValue::from)));
    for (key, value) in numbers.into_iter().chain(texts) {
        if let Some(value) = value {
            set(&told, key, &value);
        }
    }
    told
}

/// An object that is iterated over, asynchronously, by what this function makes.
fn async_iterable(target: &Object, iterator: Closure<dyn Fn() -> JsValue>) {
    let symbol: JsValue = js_sys::Symbol::async_iterator().into();
    // Setting a property of a fresh object does not fail.
    let _ = Reflect::set(target, &symbol, &iterator.into_js_value());
}

fn cancelled(reason: &str) -> Failure {
    Code::Cancelled.because(reason)
}
