//! Bodies: the platform's streams of bytes, and the mesh's.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http_body::Body as _;
use js_sys::{Reflect, Uint8Array};
use peerage::Failure;
use peerage::error::Code;
use peerage::http::Body;
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{ReadableStream, ReadableStreamDefaultReader};

use crate::error::from_js_error;
use crate::page;
use crate::streams;

/// A body that a stream of the platform reads, and that may be taken away from it.
pub(super) type Shared = Rc<RefCell<Option<Body>>>;

/// What comes from another node, as a stream of the platform: it is asked for when it is read.
pub(super) fn to_js(body: &Shared) -> Result<ReadableStream, JsValue> {
    let (reading, cancelled) = (body.clone(), body.clone());
    streams::readable(
        move || next(reading.clone()),
        move || drop(cancelled.take()),
    )
}

/// Not held while it waits: who cancels takes the body away.
async fn next(body: Shared) -> Result<Option<Bytes>, Failure> {
    let piece = poll_fn(|cx| match &mut *body.borrow_mut() {
        Some(body) => pin!(piece(body)).poll(cx),
        None => Poll::Ready(None),
    })
    .await;
    if !matches!(piece, Some(Ok(_))) {
        drop(body.take());
    }
    piece.transpose()
}

/// The next piece of a body; `None` at its end.
pub(super) async fn piece(body: &mut Body) -> Option<Result<Bytes, Failure>> {
    loop {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await? {
            Err(failure) => return Some(Err(failure)),
            // The platform has no place for trailers.
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            }
        }
    }
}

/// A stream of the platform, as a body that is sent. Dropped, it cancels the stream.
pub(super) fn from_js(stream: Option<ReadableStream>) -> Result<Body, JsValue> {
    let Some(stream) = stream else {
        return Ok(Body::empty());
    };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let reader = Reader(reader);
    let pieces = stream::unfold(Some(reader), |reader| async {
        let reader = reader?;
        match reader.read().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(reader))),
            Ok(None) => None,
            Err(failure) => Some((Err(failure), None)),
        }
    });
    Ok(Body::from_stream(SendWrapper::new(Box::pin(pieces))))
}

struct Reader(ReadableStreamDefaultReader);

impl Reader {
    async fn read(&self) -> Result<Option<Bytes>, Failure> {
        let result = page::awaited(&self.0.read())
            .await
            .map_err(|error| failure_of(&error))?;
        let field = |key: &str| Reflect::get(&result, &key.into()).unwrap_or_default();
        if field("done").is_truthy() {
            return Ok(None);
        }
        let piece: Uint8Array = field("value")
            .dyn_into()
            .map_err(|_| Code::BadMessage.because("expected a body of Uint8Array"))?;
        Ok(Some(piece.to_vec().into()))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // To cancel what is over already is no error that anybody awaits.
        let cancelled = page::awaited(&self.0.cancel());
        spawn_local(cancelled.map(drop));
    }
}

/// What a page's own body failed with: its words are for the page.
fn failure_of(error: &JsValue) -> Failure {
    match from_js_error(error) {
        peerage::rpc::CallError::Failed(failure) => failure,
        peerage::rpc::CallError::Thrown(_) => {
            Code::Cancelled.because("a body has failed before its end")
        }
    }
}
