//! An operation that a page does for others.

use core::pin::pin;
use core::time::Duration;

use futures_util::future::{Either, select};
use js_sys::{Array, Error, Function, Promise};
use peerage::Failure;
use peerage::error::Code;
use peerage::rpc::{CallError, Parcel};
use peerage::service::operation::{self as core_operation, Progress, Step, StopKind, Unsuccessful};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::{AbortController, AbortSignal};

use super::{Operation, StartOptions, unsuccessful_to_js};
use crate::error::{from_js_error, to_js};
use crate::objects::node_object;
use crate::options::{check, number, text, value, wrong};
use crate::page;
use crate::rpc::Objects;

/// An operation that is being done, as its handler holds it.
#[wasm_bindgen]
pub struct Work {
    work: core_operation::Work,
    objects: Objects,
    signal: AbortSignal,
}

#[wasm_bindgen]
impl Work {
    /// Its number at this node.
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> f64 {
        self.work.id() as f64
    }

    /// Under which name it was started.
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> String {
        self.work.name().to_owned()
    }

    /// Who started it.
    #[wasm_bindgen(getter, unchecked_return_type = "Peer")]
    pub fn caller(&self) -> JsValue {
        node_object(self.objects.rpc().node(), self.work.caller())
    }

    /// Tells that it shall stop; its reason is an `OperationError` that says whether it is a cancel or an
    /// abort. The handler has five seconds then to end.
    #[wasm_bindgen(getter)]
    pub fn signal(&self) -> AbortSignal {
        self.signal.clone()
    }

    /// Tells how far it is: a fraction from 0 to 1, or `undefined` if that is not known.
    pub fn progress(
        &self,
        #[wasm_bindgen(unchecked_param_type = "number | undefined")] fraction: &JsValue,
        #[wasm_bindgen(
            unchecked_optional_param_type = "{ note?: string; remainingMs?: number; data?: any }"
        )]
        more: JsValue,
    ) -> Result<(), JsValue> {
        let progress = self.read_progress(fraction, &more);
        self.work.progress(progress.map_err(|f| to_js(&f))?);
        Ok(())
    }

    /// Lets the next of its lane begin, though this one goes on: it was answered.
    pub fn accept(&self) {
        self.work.accept();
    }

    /// Starts an operation that is a part of this one: it stops when this does.
    #[wasm_bindgen(unchecked_return_type = "Operation")]
    pub fn start(
        &self,
        target: &str,
        name: &str,
        #[wasm_bindgen(unchecked_optional_param_type = "any")] args: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "StartOptions")] options: &JsValue,
    ) -> Operation {
        let begun = StartOptions::read(options).map_err(Unsuccessful::from);
        let begun = begun.and_then(|told| {
            told.check_signal()?;
            let args = self.objects.parcel(args)?;
            let part = self.work.start_with(target, name, args, told.options);
            Ok(Operation::follow(&self.objects, part, told.signal))
        });
        begun.unwrap_or_else(|unsuccessful| Operation::failed(&self.objects, unsuccessful))
    }

    /// Does all of these at once, telling how far they are together; the first that does not succeed aborts
    /// the others.
    #[wasm_bindgen(unchecked_return_type = "Promise<any[]>")]
    pub fn parallel(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Part[]")] parts: &JsValue,
    ) -> Promise {
        let parts = self.read_parts(parts);
        let (work, objects) = (self.work.clone(), self.objects.clone());
        future_to_promise(async move {
            let parts = parts.map_err(|f| to_js(&f))?.into_iter();
            let parts = parts.map(|part| part.start(&work)).collect();
            values(&objects, work.parallel(parts).await)
        })
    }

    /// Does these one after another, telling how far they are together; the first that does not succeed is
    /// the last. `lastsMs` says how long each will take.
    #[wasm_bindgen(unchecked_return_type = "Promise<any[]>")]
    pub fn sequence(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Part[]")] parts: &JsValue,
    ) -> Promise {
        let parts = self.read_parts(parts);
        let (work, objects) = (self.work.clone(), self.objects.clone());
        future_to_promise(async move {
            let parts = parts.map_err(|f| to_js(&f))?.into_iter();
            let steps = parts.map(|part| {
                let lasts = part.lasts;
                let step = Step::new(move |work| part.start(work));
                match lasts {
                    Some(lasts) => step.lasting(lasts),
                    None => step,
                }
            });
            values(&objects, work.sequence(steps.collect()).await)
        })
    }

    /// What to throw for a failure with this reason, and data.
    #[wasm_bindgen(unchecked_return_type = "OperationError")]
    pub fn fail(
        &self,
        reason: String,
        #[wasm_bindgen(unchecked_optional_param_type = "any")] data: &JsValue,
    ) -> Result<JsValue, JsValue> {
        let data = self.objects.parcel(data);
        let data = data.map_err(|error| crate::error::call_to_js(&error))?;
        let failed = Unsuccessful::Fail { reason, data };
        Ok(unsuccessful_to_js(&self.objects, &failed))
    }
}

impl Work {
    fn read_progress(&self, fraction: &JsValue, more: &JsValue) -> Result<Progress, Failure> {
        let is_unknown = fraction.is_undefined() || fraction.is_null();
        let known = fraction.as_f64().filter(|fraction| !fraction.is_nan());
        if known.is_none() && !is_unknown {
            return Err(wrong("fraction", "a number from 0 to 1", fraction));
        }
        let mut progress = Progress {
            fraction: known,
            ..Progress::default()
        };
        if !more.is_undefined() {
            let expected = "an object { note, remainingMs, data }";
            check(more, expected, &["note", "remainingMs", "data"])?;
            progress.note = text(more, "note")?;
            progress.remaining = read_remaining(&value(more, "remainingMs"))?;
            let data = self.objects.parcel(&value(more, "data"));
            progress.data = data.map_err(failure_of)?;
        }
        Ok(progress)
    }

    fn read_parts(&self, parts: &JsValue) -> Result<Vec<Part>, Failure> {
        let is_array = page::is_array(parts).unwrap_or_default();
        let items = is_array.then(|| page::items(parts).ok()).flatten();
        let items = items.ok_or_else(|| wrong("parts", "an array", parts))?;
        items.iter().map(|part| self.read_part(part)).collect()
    }

    fn read_part(&self, part: &JsValue) -> Result<Part, Failure> {
        let expected = "an object { at, name, args, lane, timeoutMs, tracker, lastsMs }";
        let known = [
            "at",
            "name",
            "args",
            "lane",
            "timeoutMs",
            "tracker",
            "lastsMs",
        ];
        check(part, expected, &known)?;
        let needed = |key| {
            let missing = || wrong(key, "a string", &JsValue::UNDEFINED);
            text(part, key)?.ok_or_else(missing)
        };
        let lasts = number(part, "lastsMs", 0, i32::MAX as u32)?;
        Ok(Part {
            at: needed("at")?,
            name: needed("name")?,
            args: self
                .objects
                .parcel(&value(part, "args"))
                .map_err(failure_of)?,
            options: StartOptions::read_known(part)?.options,
            lasts: lasts.map(|millis| Duration::from_millis(millis.into())),
        })
    }
}

/// A part that is to be started.
struct Part {
    at: String,
    name: String,
    args: Parcel,
    options: core_operation::Options,
    lasts: Option<Duration>,
}

impl Part {
    fn start(self, work: &core_operation::Work) -> core_operation::Operation {
        work.start_with(&self.at, &self.name, self.args, self.options)
    }
}

/// Tells a handler to stop that is wanted no more.
struct Interrupt(Option<AbortController>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        if let Some(controller) = self.0.take() {
            controller.abort();
        }
    }
}

/// Does an operation by a page's handler.
pub(super) async fn done(
    handler: Function,
    objects: Objects,
    work: core_operation::Work,
) -> Result<Parcel, Unsuccessful> {
    let controller = AbortController::new().map_err(|error| thrown(&objects, &error))?;
    let args = objects.unpack(work.args_parcel())?;
    let stopped = pin!(work.stopped());
    let held = Work {
        work: work.clone(),
        objects: objects.clone(),
        signal: controller.signal(),
    };
    let returned = handler.call2(&JsValue::NULL, &args, &held.into());
    let returned = returned.map_err(|error| thrown(&objects, &error))?;
    let mut interrupt = Interrupt(Some(controller));
    let result = match select(page::awaited(&returned), stopped).await {
        Either::Left((result, _)) => result,
        Either::Right((stop, returning)) => {
            let reason = unsuccessful_to_js(&objects, &Unsuccessful::Stopped(stop));
            if let Some(controller) = interrupt.0.take() {
                controller.abort_with_reason(&reason);
            }
            returning.await
        }
    };
    interrupt.0 = None;
    let value = result.map_err(|error| thrown(&objects, &error))?;
    Ok(objects.parcel(&value)?)
}

fn values(objects: &Objects, done: Result<Vec<Parcel>, Unsuccessful>) -> Result<JsValue, JsValue> {
    let unpacked = done.and_then(|values| {
        let values = values.iter().map(|value| Ok(objects.unpack(value)?));
        values.collect::<Result<Array, Unsuccessful>>()
    });
    let unpacked = unpacked.map(JsValue::from);
    unpacked.map_err(|unsuccessful| unsuccessful_to_js(objects, &unsuccessful))
}

/// Why a handler that threw was no success: what it threw may be the end of a part.
fn thrown(objects: &Objects, error: &JsValue) -> Unsuccessful {
    let field = |key: &str| page::field(error, key).ok()?.as_string();
    let (end, reason) = (field("end"), field("reason"));
    match (error.is_instance_of::<Error>(), end.as_deref(), reason) {
        (true, Some("fail"), Some(reason)) => {
            let data = page::field(error, "data").unwrap_or_default();
            let data = objects.parcel(&data).unwrap_or_default();
            Unsuccessful::Fail { reason, data }
        }
        (true, Some("cancel"), Some(reason)) => {
            Unsuccessful::Stopped(StopKind::Cancel.because(reason))
        }
        (true, Some("abort"), Some(reason)) => {
            Unsuccessful::Stopped(StopKind::Abort.because(reason))
        }
        // It may be no more than how it stopped.
        _ => from_js_error(error).into(),
    }
}

/// How long it will take. One that is late is due now, and what is no finite number is not known.
fn read_remaining(millis: &JsValue) -> Result<Option<Duration>, Failure> {
    if millis.is_undefined() {
        return Ok(None);
    }
    let known = millis.as_f64();
    let known = known.ok_or_else(|| wrong("remainingMs", "a number of milliseconds", millis))?;
    Ok(Duration::try_from_secs_f64(known.max(0.0) / 1000.0).ok())
}

fn failure_of(error: CallError) -> Failure {
    match error {
        CallError::Failed(failure) => failure,
        CallError::Thrown(thrown) => Code::BadMessage.because(thrown.to_string()),
    }
}
