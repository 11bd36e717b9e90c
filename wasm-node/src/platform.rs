//! What a tab lends to the core: its clock and its random numbers.

use core::time::Duration;

use peerage::error::Code;
use peerage::{Failure, Time};
use wasm_bindgen::JsValue;
use web_sys::{Performance, Window};

/// The tab's window.
pub(crate) fn window() -> Result<Window, Failure> {
    web_sys::window()
        .ok_or_else(|| Code::Refused.because("Peerage needs a page: there is no window"))
}

/// A clock that never runs backwards.
#[derive(Clone)]
pub(crate) struct Clock(Performance);

impl Clock {
    pub(crate) fn new() -> Result<Self, Failure> {
        let performance = window()?.performance();
        performance
            .map(Self)
            .ok_or_else(|| Code::Refused.because("the browser has no clock"))
    }

    /// Time since the page began.
    pub(crate) fn now(&self) -> Time {
        Duration::from_secs_f64(self.0.now().max(0.0) / 1000.0)
    }
}

/// Random bytes.
pub(crate) fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    let crypto = window()?.crypto().map_err(|error| js_failure(&error))?;
    crypto
        .get_random_values_with_u8_array(&mut bytes)
        .map_err(|error| js_failure(&error))?;
    Ok(bytes)
}

/// What the browser has to say of something that it would not do.
pub(crate) fn js_failure(error: &JsValue) -> Failure {
    Code::Refused.because(js_text(error))
}

pub(crate) fn js_text(error: &JsValue) -> String {
    error
        .dyn_ref_message()
        .unwrap_or_else(|| error.as_string().unwrap_or_else(|| format!("{error:?}")))
}

/// The name of what was thrown, such as `TypeError`: its words may be anybody's.
pub(crate) fn js_name(error: &JsValue) -> String {
    use wasm_bindgen::JsCast;
    error
        .dyn_ref::<js_sys::Error>()
        .map_or_else(String::new, |error| error.name().into())
}

trait Message {
    fn dyn_ref_message(&self) -> Option<String>;
}

impl Message for JsValue {
    fn dyn_ref_message(&self) -> Option<String> {
        use wasm_bindgen::JsCast;
        self.dyn_ref::<js_sys::Error>()
            .map(|error| String::from(error.message()))
    }
}
