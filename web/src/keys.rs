//! Keys that work wherever one is on the page: `:` and Ctrl+` to the prompt, `/` to the view's filter.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, KeyboardEvent};

/// Listens for as long as the page is there.
pub(crate) fn listen() {
    // It is never taken away.
    let _ = window_event_listener(leptos::ev::keydown, |event| {
        let is_prompt = match event.key().as_str() {
            "`" if event.ctrl_key() => true,
            ":" if !is_typing(&event) => true,
            "/" if !is_typing(&event) && focus_filter() => return event.prevent_default(),
            _ => false,
        };
        if is_prompt {
            event.prevent_default();
            crate::prompt::focus();
        }
    });
}

/// Whether what is pressed is meant for a field, or for the browser.
fn is_typing(event: &KeyboardEvent) -> bool {
    let target = event
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok());
    let in_field = target.is_some_and(|target| {
        let closest = target.closest("input, textarea, select, [contenteditable]");
        closest.is_ok_and(|field| field.is_some())
    });
    in_field || event.ctrl_key() || event.meta_key() || event.alt_key()
}

/// Whether there is a filter, which has the focus now.
fn focus_filter() -> bool {
    let filter = document()
        .query_selector("main [type=search]")
        .ok()
        .flatten();
    let filter = filter.and_then(|filter| filter.dyn_into::<HtmlElement>().ok());
    filter.is_some_and(|filter| filter.focus().is_ok())
}
