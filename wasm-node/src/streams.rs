//! Streams and datagrams as the platform's own: `ReadableStream` and `WritableStream` of `Uint8Array`
//! (WHATWG Streams). A chunk is a message; one is read ahead of the page, so that it learns of an end, and
//! no more, so that its pace is the sender's.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared, select};
use js_sys::{ArrayBuffer, Function, Uint8Array};
use peerage::error::Code;
use peerage::log::ERROR;
use peerage::node::{Datagrams, Listener, Node, Stream};
use peerage::{Failure, NodeId};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};
use web_sys::{AbortSignal, ReadableStream, ReadableStreamDefaultController, WritableStream};

use crate::commands::aborted;
use crate::error::to_js;
use crate::objects::{node_object, object};
use crate::options;
use crate::page::{self, name_of, text_of};

/// Who is meant by `target`; a node has no streams to itself.
pub(crate) async fn resolve(node: &Node, target: &str) -> Result<NodeId, Failure> {
    let found = node.resolve(target).await?;
    found.ok_or_else(|| {
        Code::Refused
            .because("expected another node, got this one")
            .of(target)
    })
}

/// A stream of what the page asks for: one protocol, or a list of which the other node chooses.
pub(crate) async fn open(
    node: &Node,
    target: &str,
    protocol: &JsValue,
    options: Option<JsValue>,
) -> Result<Stream, Failure> {
    let priority = options::priority(options)?;
    let expected = "a string or a list of strings";
    let wanted = || options::wrong("protocol", expected, protocol);
    let stream = match protocol.as_string() {
        Some(protocol) => node.open(resolve(node, target).await?, &protocol)?,
        None => {
            let protocols = options::words(protocol).ok_or_else(wanted)?;
            let protocols: Vec<_> = protocols.iter().map(String::as_str).collect();
            let peer = resolve(node, target).await?;
            node.open_any(peer, &protocols).await?
        }
    };
    stream.set_priority(priority);
    Ok(stream)
}

/// A stream, as the page gets it: `{ peer, protocol, readable, writable }`.
pub(crate) fn opened(node: &Node, stream: Stream) -> Result<JsValue, JsValue> {
    stream_object(node, &Rc::new(Held::new(stream)))
}

/// Lets the page answer the streams of a protocol, until the signal.
pub(crate) async fn answer(
    node: Node,
    mut listener: Listener,
    handler: Function,
    until: Option<AbortSignal>,
) {
    let accepting = async {
        while let Some(stream) = listener.accept().await {
            spawn_local(handle(node.clone(), handler.clone(), stream));
        }
    };
    let Some(signal) = until else {
        return accepting.await;
    };
    // Whichever ends first, it is over.
    let _ = select(pin!(aborted(&signal)), pin!(accepting)).await;
}

/// Lets the page answer a stream. If it fails, the stream ends with its reason.
async fn handle(node: Node, handler: Function, stream: Stream) {
    let peer = stream.peer();
    let held = Rc::new(Held::new(stream));
    let answered = stream_object(&node, &held)
        .and_then(|stream| handler.call1(&JsValue::NULL, &stream))
        .map(|returned| page::awaited(&returned));
    let result = match answered {
        Ok(answered) => answered.await,
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        tracing::warn!(
            target: ERROR,
            node = %node.id().short(), peer = %peer.short(), error = name_of(&error),
            "a protocol's handler failed"
        );
        held.abort(Code::Refused.because(text_of(&error)));
    }
}

/// Datagrams to and from a node that may have to be asked for first.
pub(crate) fn datagrams(node: Node, target: String, protocol: String) -> Result<JsValue, JsValue> {
    let open = async move {
        let peer = resolve(&node, &target).await?;
        node.datagrams(peer, &protocol).map(Rc::new)
    };
    let datagrams: Shared<LocalBoxFuture<'static, Result<Rc<Datagrams>, Failure>>> =
        open.boxed_local().shared();
    // Asks, and listens, without waiting for the first reader.
    spawn_local(datagrams.clone().map(drop));
    let reading = datagrams.clone();
    let readable = readable(
        move || {
            let reading = reading.clone();
            async move { reading.await?.recv().await.map(Some) }
        },
        || {},
    )?;
    let writable = writable(
        move |datagram| {
            let writing = datagrams.clone();
            async move { writing.await?.send(datagram) }
        },
        |_| {},
    )?;
    Ok(object(&[
        ("readable", readable.into()),
        ("writable", writable.into()),
    ]))
}

fn stream_object(node: &Node, held: &Rc<Held>) -> Result<JsValue, JsValue> {
    let stream = held.stream().map_err(|failure| to_js(&failure))?;
    let peer = node_object(node, stream.peer());
    let protocol = stream.protocol().into();
    drop(stream);
    let (reading, cancelled) = (held.clone(), held.clone());
    let readable = readable(
        move || reading.clone().read(),
        move || spawn_local(cancelled.clone().discard()),
    )?;
    let (writing, closing) = (held.clone(), held.clone());
    let writable = writable(
        move |message| writing.clone().write(message),
        move |aborted| closing.close(aborted),
    )?;
    Ok(object(&[
        ("peer", peer),
        ("protocol", protocol),
        ("readable", readable.into()),
        ("writable", writable.into()),
    ]))
}

#[derive(Clone, Copy)]
enum Direction {
    In = 1,
    Out = 2,
}

/// A stream while at least one of its directions is in use.
struct Held {
    stream: RefCell<Result<Rc<Stream>, Failure>>,
    done: Cell<u8>,
}

impl Held {
    fn new(stream: Stream) -> Self {
        Self {
            stream: RefCell::new(Ok(Rc::new(stream))),
            done: Cell::new(0),
        }
    }

    fn stream(&self) -> Result<Rc<Stream>, Failure> {
        self.stream.borrow().clone()
    }

    async fn read(self: Rc<Self>) -> Result<Option<Bytes>, Failure> {
        // Not held while it waits: who cancels lets go of the stream.
        let read = poll_fn(|cx| match self.stream() {
            Ok(stream) => stream.poll_recv(cx),
            Err(failure) => Poll::Ready(Err(failure)),
        })
        .await;
        match &read {
            Ok(Some(_)) => {}
            Ok(None) => self.done(Direction::In),
            Err(failure) => self.end(failure),
        }
        read
    }

    async fn write(self: Rc<Self>, message: Bytes) -> Result<(), Failure> {
        let sent = self.stream()?.send(message).await;
        if let Err(failure) = &sent {
            self.end(failure);
        }
        sent
    }

    /// The page reads no more: what still comes shall not hold up its sender.
    async fn discard(self: Rc<Self>) {
        while let Ok(Some(_)) = self.clone().read().await {}
    }

    fn done(&self, direction: Direction) {
        self.done.set(self.done.get() | direction as u8);
        if self.done.get() == Direction::In as u8 | Direction::Out as u8 {
            self.end(&Code::Cancelled.because("the stream is closed"));
        }
    }

    fn end(&self, failure: &Failure) {
        drop(self.stream.replace(Err(failure.clone())));
    }

    /// The page writes no more, or has given up.
    fn close(&self, aborted: Option<String>) {
        if let Some(reason) = aborted {
            return self.abort(Code::Cancelled.because(reason));
        }
        if let Ok(stream) = self.stream() {
            stream.finish();
            self.done(Direction::Out);
        }
    }

    fn abort(&self, failure: Failure) {
        if let Ok(stream) = self.stream() {
            stream.reset(failure.clone());
            self.end(&failure);
        }
    }
}

pub(crate) fn readable<F>(
    next: impl Fn() -> F + 'static,
    cancelled: impl Fn() + 'static,
) -> Result<ReadableStream, JsValue>
where
    F: Future<Output = Result<Option<Bytes>, Failure>> + 'static,
{
    let pull = move |controller: ReadableStreamDefaultController| {
        let mut next = Box::pin(next());
        // What is there already costs no promise.
        if let Some(read) = next.as_mut().now_or_never() {
            return put(&controller, read).map(|()| JsValue::UNDEFINED);
        }
        let later = async move { put(&controller, next.await).map(|()| JsValue::UNDEFINED) };
        Ok(future_to_promise(later).into())
    };
    let pull = Closure::<dyn FnMut(_) -> Result<JsValue, JsValue>>::new(pull);
    let cancel = Closure::<dyn FnMut()>::new(cancelled);
    let source = object(&[
        ("pull", pull.into_js_value()),
        ("cancel", cancel.into_js_value()),
    ]);
    ReadableStream::new_with_underlying_source(source.unchecked_ref())
}

fn put(
    controller: &ReadableStreamDefaultController,
    read: Result<Option<Bytes>, Failure>,
) -> Result<(), JsValue> {
    match read {
        Ok(Some(message)) => controller.enqueue_with_chunk(&Uint8Array::from(&message[..])),
        Ok(None) => controller.close(),
        Err(failure) => Err(to_js(&failure)),
    }
}

fn writable<F>(
    send: impl Fn(Bytes) -> F + 'static,
    ended: impl Fn(Option<String>) + 'static,
) -> Result<WritableStream, JsValue>
where
    F: Future<Output = Result<(), Failure>> + 'static,
{
    let write = move |chunk: JsValue| {
        let mut sent = Box::pin(send(message_of(&chunk)?));
        if let Some(sent) = sent.as_mut().now_or_never() {
            return sent.map(|()| JsValue::UNDEFINED).map_err(|f| to_js(&f));
        }
        let later = async move {
            sent.await
                .map(|()| JsValue::UNDEFINED)
                .map_err(|f| to_js(&f))
        };
        Ok(future_to_promise(later).into())
    };
    let ended = Rc::new(ended);
    let closed = ended.clone();
    let close = Closure::<dyn FnMut()>::new(move || closed(None));
    let abort = Closure::<dyn FnMut(JsValue)>::new(move |reason| ended(Some(reason_of(&reason))));
    let write = Closure::<dyn FnMut(_) -> Result<JsValue, JsValue>>::new(write);
    let sink = object(&[
        ("write", write.into_js_value()),
        ("close", close.into_js_value()),
        ("abort", abort.into_js_value()),
    ]);
    WritableStream::new_with_underlying_sink(sink.unchecked_ref())
}

fn message_of(chunk: &JsValue) -> Result<Bytes, JsValue> {
    if !chunk.is_instance_of::<Uint8Array>() && !chunk.is_instance_of::<ArrayBuffer>() {
        let failure = Code::BadMessage.because("expected a Uint8Array or an ArrayBuffer");
        return Err(to_js(&failure));
    }
    Ok(page::bytes(chunk)?.into())
}

fn reason_of(reason: &JsValue) -> String {
    if reason.is_undefined() {
        String::from("the writer has given up")
    } else {
        text_of(reason)
    }
}
