//! The link to the relay: the browser's own WebSocket.

use gloo::events::EventListener;
use js_sys::{ArrayBuffer, Uint8Array};
use peerage::link::{LinkId, Origin};
use peerage::node::{Input, Medium};
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

use crate::driver::{Inputs, Socket};
use crate::page::text_of;

/// Calls the relay, whose address is told as `told`. What happens comes in as inputs; the socket lives with its
/// listeners.
pub(crate) fn dial(inputs: &Inputs, id: LinkId, url: &str, told: String) -> Result<Socket, String> {
    let socket = WebSocket::new(url).map_err(|error| text_of(&error))?;
    socket.set_binary_type(BinaryType::Arraybuffer);
    let opened = inputs.clone();
    let received = inputs.clone();
    let ended = inputs.clone();
    let was_open = std::rc::Rc::new(std::cell::Cell::new(false));
    let is_open = was_open.clone();
    let address = told.clone();
    let listeners = vec![
        EventListener::new(&socket, "open", move |_| {
            is_open.set(true);
            opened.tell(Input::LinkUp(id, Origin::Dialled));
            let place = Some(address.clone());
            opened.tell(Input::Place(id, Medium::WebSocket, place));
        }),
        EventListener::new(&socket, "message", move |event| {
            if let Some(event) = event.dyn_ref::<MessageEvent>() {
                received.tell(Input::Packet(id, packet_of(event)));
            }
        }),
        EventListener::new(&socket, "close", move |event| {
            let reason = event
                .dyn_ref::<CloseEvent>()
                .map(CloseEvent::reason)
                .unwrap_or_default();
            if was_open.get() {
                ended.tell(Input::LinkDown(id, reason));
            } else {
                let reason = String::from("the relay does not answer");
                ended.dial_failed(id, told.clone(), reason);
            }
        }),
    ];
    Ok(Socket::WebSocket(socket, listeners))
}

/// The bytes of a message; of a text, which the core refuses, as well.
pub(crate) fn packet_of(event: &MessageEvent) -> bytes::Bytes {
    let data = event.data();
    match data.dyn_into::<ArrayBuffer>() {
        Ok(buffer) => Uint8Array::new(&buffer).to_vec().into(),
        Err(other) => other.as_string().unwrap_or_default().into(),
    }
}
