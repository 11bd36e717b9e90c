//! Pages that others send somewhere: by the command `navigate`, at a prompt, or by a relay for who asks it.

use gloo::timers::future::TimeoutFuture;
use peerage::NodeId;
use peerage::service::command::{Call, Commands, Status, param};
use send_wrapper::SendWrapper;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use web_sys::{CustomEvent, CustomEventInit, EventTarget, Location, Url};

use crate::objects::{node_object, object};
use crate::platform::window;

/// Milliseconds until the page goes: the answer leaves before.
const LEAVE_AFTER_MS: u32 = 100;

/// Lets others send this page to addresses of its own origin. A listener to the event `navigate` may prevent that, or go
/// elsewhere by itself.
pub(crate) fn register(commands: &Commands, target: &EventTarget) {
    let target = SendWrapper::new(target.clone());
    commands.register(
        "navigate",
        "goes to an address, if the page wants to",
        param::text(
            "URL",
            "of the page's own origin, such as /n/dispenser-left/",
        ),
        move |call: Call, url: String| {
            let (status, text) = match go(&target, &call, &url) {
                Ok(()) => (Status::OK, String::new()),
                Err(refused) => refused,
            };
            async move { call.end(status, text) }
        },
    );
}

fn go(target: &EventTarget, call: &Call, url: &str) -> Result<(), (Status, String)> {
    let unknown = |_| (Status::USAGE, String::from("expected an address of HTTP"));
    let window = window().map_err(|failure| (Status::FAILED, failure.to_string()))?;
    let location = window.location();
    let here = location.href().map_err(unknown)?;
    let url = Url::new_with_base(url, &here).map_err(unknown)?;
    if !matches!(url.protocol().as_str(), "http:" | "https:") {
        return Err(unknown(JsValue::NULL));
    }
    if is_prevented(target, call, &url.href()) {
        return Ok(());
    }
    if location.origin().ok() != Some(url.origin()) {
        let message = format!(
            "the page goes to addresses of {} only",
            location.origin().unwrap_or_default()
        );
        return Err((Status::FORBIDDEN, message));
    }
    leave(location, url.href());
    Ok(())
}

/// Whether the page sees to it itself.
fn is_prevented(target: &EventTarget, call: &Call, url: &str) -> bool {
    let node = call.commands.node();
    let caller = call
        .caller
        .map_or(JsValue::UNDEFINED, |id: NodeId| node_object(node, id));
    let detail = object(&[("url", url.into()), ("caller", caller)]);
    let init = CustomEventInit::new();
    init.set_detail(&detail);
    init.set_cancelable(true);
    let event = CustomEvent::new_with_event_init_dict("navigate", &init);
    // What a listener throws is reported by the browser.
    event.is_ok_and(|event| target.dispatch_event(&event) == Ok(false))
}

fn leave(location: Location, url: String) {
    spawn_local(async move {
        TimeoutFuture::new(LEAVE_AFTER_MS).await;
        // The address was read before.
        let _ = location.assign(&url);
    });
}
