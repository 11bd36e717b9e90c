//! What `Node.join` and other calls are told, read with a clear word on what is wrong in it.

use core::time::Duration;

use js_sys::Function;
use peerage::error::Code;
use peerage::id::Kind;
use peerage::limits::{RESUME_WINDOW_BYTES_MIN, UNACKNOWLEDGED_BYTES_MAX};
use peerage::stream::Priority;
use peerage::{Config, Failure};
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

use crate::commands::instance;
use crate::page;

const KEYS: [&str; 9] = [
    "relay",
    "name",
    "type",
    "insist",
    "directLinks",
    "turnOnly",
    "resumeWindowMs",
    "resumeWindowBytes",
    "traces",
];

/// The relay's address, and the node's configuration.
pub(crate) fn read(options: &JsValue) -> Result<(String, Config), Failure> {
    check(options, "an object { relay: \"ws://…/mesh\" }", &KEYS)?;
    let relay = text(options, "relay")?
        .ok_or_else(|| wrong("relay", "an address \"ws://…/mesh\"", &JsValue::UNDEFINED))?;
    let mut config = Config::new(Kind::Browser);
    if let Some(name) = text(options, "name")? {
        let name = name.parse();
        config.name = Some(name.map_err(|error| Code::BadMessage.because(format!("{error}")))?);
    }
    if let Some(role) = text(options, "type")? {
        let role = role.parse();
        config.role = Some(role.map_err(|error| Code::BadMessage.because(format!("{error}")))?);
    }
    config.insist = flag(options, "insist")?;
    if let Some(links) = number(options, "directLinks", 0, 1000)? {
        config.direct_links = links as usize;
    }
    config.turn_only = flag(options, "turnOnly")?;
    if let Some(ms) = number(options, "resumeWindowMs", 0, i32::MAX as u32)? {
        config.resume_window = Duration::from_millis(ms.into());
    }
    let (least, most) = (
        RESUME_WINDOW_BYTES_MIN as u32,
        UNACKNOWLEDGED_BYTES_MAX as u32,
    );
    if let Some(bytes) = number(options, "resumeWindowBytes", least, most)? {
        config.resume_window_bytes = bytes as usize;
    }
    Ok((relay, config))
}

/// How urgent a stream is said to be.
pub(crate) fn priority(options: Option<JsValue>) -> Result<Priority, Failure> {
    let Some(options) = options else {
        return Ok(Priority::Normal);
    };
    check(&options, "an object { priority }", &["priority"])?;
    match text(&options, "priority")?.as_deref() {
        None | Some("normal") => Ok(Priority::Normal),
        Some("high") => Ok(Priority::High),
        Some("bulk") => Ok(Priority::Bulk),
        Some(other) => Err(wrong("priority", "high, normal or bulk", &other.into())),
    }
}

/// Until when a protocol's streams are answered.
pub(crate) fn until(options: Option<JsValue>) -> Result<Option<AbortSignal>, Failure> {
    let Some(options) = options else {
        return Ok(None);
    };
    check(&options, "an object { signal }", &["signal"])?;
    instance(&options, "signal", "an AbortSignal")
}

/// What a call is told.
pub(crate) struct CallOptions {
    pub(crate) timeout_ms: Option<u32>,
    pub(crate) signal: Option<AbortSignal>,
    pub(crate) version: Option<u32>,
    pub(crate) lane: Option<String>,
}

/// How calls of a proxy are made.
pub(crate) fn call(options: &JsValue) -> Result<CallOptions, Failure> {
    let expected = "an object { timeoutMs, signal, version, lane }";
    check(
        options,
        expected,
        &["timeoutMs", "signal", "version", "lane"],
    )?;
    let signal = value(options, "signal");
    let signal = match signal.dyn_into::<AbortSignal>() {
        Ok(signal) => Some(signal),
        Err(none) if none.is_undefined() => None,
        Err(other) => return Err(wrong("signal", "an AbortSignal", &other)),
    };
    Ok(CallOptions {
        timeout_ms: number(options, "timeoutMs", 0, i32::MAX as u32)?,
        signal,
        version: number(options, "version", 0, u32::MAX)?,
        lane: text(options, "lane")?,
    })
}

/// How a script is run.
#[derive(Default)]
pub(crate) struct ScriptOptions {
    pub(crate) at: Option<String>,
    pub(crate) args: Vec<String>,
    pub(crate) on_output: Option<Function>,
}

/// Where a script runs, what it is given, and who gets what it writes.
pub(crate) fn script(options: &JsValue) -> Result<ScriptOptions, Failure> {
    if options.is_undefined() {
        return Ok(ScriptOptions::default());
    }
    let expected = "an object { at, args, onOutput }";
    check(options, expected, &["at", "args", "onOutput"])?;
    let on_output = value(options, "onOutput");
    let on_output = match on_output.dyn_into::<Function>() {
        Ok(function) => Some(function),
        Err(none) if none.is_undefined() => None,
        Err(other) => return Err(wrong("onOutput", "a function", &other)),
    };
    let list = value(options, "args");
    let args = match list.is_undefined() {
        true => Some(Vec::new()),
        false => words(&list),
    };
    let args = args.ok_or_else(|| wrong("args", "a list of strings", &list))?;
    Ok(ScriptOptions {
        at: text(options, "at")?,
        args,
        on_output,
    })
}

/// A list of strings.
pub(crate) fn words(list: &JsValue) -> Option<Vec<String>> {
    let items = match page::is_array(list) {
        Ok(true) => page::items(list).ok()?,
        _ => return None,
    };
    items.iter().map(JsValue::as_string).collect()
}

/// The version that an agent is said to have.
pub(crate) fn version(options: Option<JsValue>) -> Result<Option<u32>, Failure> {
    let Some(options) = options else {
        return Ok(None);
    };
    check(&options, "an object { version }", &["version"])?;
    number(&options, "version", 0, u32::MAX)
}

/// Whether options are an object of none but known keys.
pub(crate) fn check(options: &JsValue, expected: &str, known: &[&str]) -> Result<(), Failure> {
    let object = page::object(options).ok_or_else(|| wrong("options", expected, options))?;
    let keys = page::keys(object).map_err(|_| wrong("options", expected, options))?;
    match keys
        .iter()
        .find(|key| !known.iter().any(|known| *key == **known))
    {
        None => Ok(()),
        Some(key) => {
            let expected = format!("one of {}", known.join(", "));
            Err(wrong("options", &expected, &key))
        }
    }
}

/// True or false; false if nothing is said.
pub(crate) fn flag(options: &JsValue, key: &str) -> Result<bool, Failure> {
    let flag = value(options, key);
    match flag.as_bool() {
        Some(flag) => Ok(flag),
        None if flag.is_undefined() => Ok(false),
        None => Err(wrong(key, "true or false", &flag)),
    }
}

/// The value of a key; undefined if there is none.
pub(crate) fn value(options: &JsValue, key: &str) -> JsValue {
    // Reading an object's property fails only if the page's own getter does.
    page::field(options, key).unwrap_or_default()
}

/// A string, if anything is said.
pub(crate) fn text(options: &JsValue, key: &str) -> Result<Option<String>, Failure> {
    let value = value(options, key);
    if value.is_undefined() {
        return Ok(None);
    }
    let text = value.as_string();
    text.map(Some).ok_or_else(|| wrong(key, "a string", &value))
}

/// A whole number in a range, if anything is said.
pub(crate) fn number(
    options: &JsValue,
    key: &str,
    least: u32,
    most: u32,
) -> Result<Option<u32>, Failure> {
    let value = value(options, key);
    if value.is_undefined() {
        return Ok(None);
    }
    let whole = value.as_f64().filter(|number| number.fract() == 0.0);
    let range = f64::from(least)..=f64::from(most);
    match whole.filter(|number| range.contains(number)) {
        Some(number) => Ok(Some(number as u32)),
        None => Err(wrong(
            key,
            &format!("a whole number from {least} to {most}"),
            &value,
        )),
    }
}

/// A value that is not as expected.
pub(crate) fn wrong(key: &str, expected: &str, got: &JsValue) -> Failure {
    let got = page::text_of(got);
    Code::BadMessage.because(format!("{key}: expected {expected}, got {got}"))
}
