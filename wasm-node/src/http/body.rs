//! Bodies: the platform's streams of bytes, and the mesh's.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http_body::Body as _;
use js_sys::{Reflect, Uint8Array};
use peerage::Failure;
use peerage::error::Code;
use peerage::http::Body;
use peerage::limits::HTTP_CHUNK_BYTES_MAX;
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{ReadableStream, ReadableStreamDefaultReader};

use crate::error::from_js_error;
use crate::page;
use crate::streams;

/// A body that a stream of the platform reads, and that may be taken away from it. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Shared(Rc<RefCell<Held>>);

#[derive(Default)]
struct Held {
    body: Option<Body>,
    /// Before its end, and not by its reader: what was read is not the whole.
    taken: bool,
    /// Who waits for the next piece.
    reader: Option<Waker>,
}

impl Shared {
    /// A body to be read.
    pub(super) fn hold(&self, body: Body) {
        self.0.borrow_mut().body = Some(body);
    }

    /// Takes what is not read yet away from its reader, for whom the body fails.
    pub(super) fn take_away(&self) {
        let (body, reader) = {
            let mut held = self.0.borrow_mut();
            held.taken |= held.body.is_some();
            (held.body.take(), held.reader.take())
        };
        drop(body);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Its reader has all, or wants no more.
    fn end(&self) {
        let body = self.0.borrow_mut().body.take();
        drop(body);
    }

    fn poll_piece(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        let mut held = self.0.borrow_mut();
        if held.taken {
            let failure = Code::Cancelled.because("the rest of the body is not there any more");
            return Poll::Ready(Some(Err(failure)));
        }
        let Some(body) = &mut held.body else {
            return Poll::Ready(None);
        };
        let polled = pin!(piece(body)).poll(cx);
        if polled.is_pending() {
            held.reader = Some(cx.waker().clone());
        }
        polled
    }
}

/// What comes from another node, as a stream of the platform: it is asked for when it is read.
pub(super) fn to_js(body: &Shared) -> Result<ReadableStream, JsValue> {
    let (reading, cancelled) = (body.clone(), body.clone());
    streams::readable(move || next(reading.clone()), move || cancelled.end())
}

/// Not held while it waits: who cancels takes the body away.
async fn next(body: Shared) -> Result<Option<Bytes>, Failure> {
    let piece = poll_fn(|cx| body.poll_piece(cx)).await;
    if !matches!(piece, Some(Ok(_))) {
        body.end();
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
    let reader = Reader {
        reader: reader_of(&stream)?.unchecked_into(),
        chunk: None,
    };
    let pieces = stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        match reader.read().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(reader))),
            Ok(None) => None,
            Err(failure) => Some((Err(failure), None)),
        }
    });
    Ok(Body::from_stream(SendWrapper::new(Box::pin(pieces))))
}

#[wasm_bindgen]
extern "C" {
    /// A stream, of which somebody may be the reader already: that throws.
    type Lockable;
    #[wasm_bindgen(method, catch, js_name = getReader)]
    fn get_reader(this: &Lockable) -> Result<JsValue, JsValue>;
}

fn reader_of(stream: &ReadableStream) -> Result<JsValue, JsValue> {
    stream.unchecked_ref::<Lockable>().get_reader()
}

struct Reader {
    reader: ReadableStreamDefaultReader,
    /// What is left of a chunk. It stays with the page, where it may be as large as the page likes.
    chunk: Option<Uint8Array>,
}

impl Reader {
    async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunk = match self.chunk.take() {
            Some(chunk) => chunk,
            None => {
                let result = page::awaited(&self.reader.read())
                    .await
                    .map_err(|error| failure_of(&error))?;
                let field = |key: &str| Reflect::get(&result, &key.into()).unwrap_or_default();
                if field("done").is_truthy() {
                    return Ok(None);
                }
                field("value")
                    .dyn_into()
                    .map_err(|_| Code::BadMessage.because("expected a body of Uint8Array"))?
            }
        };
        let length = chunk.length();
        let piece = length.min(HTTP_CHUNK_BYTES_MAX as u32);
        if piece < length {
            self.chunk = Some(chunk.subarray(piece, length));
        }
        Ok(Some(chunk.subarray(0, piece).to_vec().into()))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // To cancel what is over already is no error that anybody awaits.
        let cancelled = page::awaited(&self.reader.cancel());
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
