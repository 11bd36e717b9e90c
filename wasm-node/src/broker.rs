//! Topics, as JavaScript publishes and subscribes: a subscription is an async iterator.

use core::cell::RefCell;
use core::pin::pin;
use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::future::{Either, Shared, select};
use futures_util::lock::Mutex;
use futures_util::{FutureExt, StreamExt};
use gloo::events::EventListener;
use js_sys::{Array, Promise, Reflect, Symbol};
use peerage::error::Code;
use peerage::service::broker::{
    Change, Gap, Item, Member, Message, Position, Presence, Publish, Published, Slow, Subscribe,
    Subscription,
};
use peerage::{Failure, Node as CoreNode};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::AbortSignal;

use crate::commands::{aborted, instance};
use crate::error::to_js;
use crate::node::Node;
use crate::objects::{node_object, object, set};
use crate::options::{check, flag, text, value, wrong};
use crate::page;
use crate::value::{from_js, into_js};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
export interface PublishOptions { retain?: boolean; at?: string; id?: { publisher: string; number: number } }
/** Where a message is among all of its broker; `offset` is missing of one that was known, and came again. */
export interface Published { offset?: number; epoch: number }
export interface SubscribeOptions { after?: number | { offset: number; epoch?: number }; at?: string; echo?: boolean; group?: string;
  slow?: "drop-oldest" | "latest" | "disconnect"; history?: boolean; signal?: AbortSignal }
export interface TopicMessage<T = any> { topic: string; filter: string; value: T; offset: number; epoch: number; sender: string;
  retained: boolean; again: boolean; gap?: undefined; error?: undefined }
/** A message whose value cannot be read, and why. */
export interface TopicUnreadable { topic: string; filter: string; value?: undefined; offset: number; epoch: number; sender: string;
  retained: boolean; again: boolean; gap?: undefined; error: Error }
/** In place of messages that are missing: how many, if that is known, and among which offsets. */
export interface TopicGap { gap: { why: "trimmed" | "epoch" | "slow"; missed?: number; first: number; last: number }; topic?: undefined }
export type TopicItem<T = any> = TopicMessage<T> | TopicUnreadable | TopicGap;
export interface TopicSubscription<T = any> extends AsyncIterableIterator<TopicItem<T>> { return(): Promise<IteratorResult<TopicItem<T>>>; close(): void }
export interface TopicMember { node: string; name?: string; filter: string; group?: string }
export interface PresenceChange { kind: "join" | "leave"; member: TopicMember }
export interface PresenceOptions { at?: string; signal?: AbortSignal }
/** Who was there, and, as it is iterated, who comes and goes. */
export interface TopicPresence extends AsyncIterableIterator<PresenceChange> { members: TopicMember[];
  return(): Promise<IteratorResult<PresenceChange>>; close(): void }
export interface Node {
  /** Subscribes to the topics that a filter means (`a/b`, `a/+/c`, `a/#`, `a/*`), at the zone's broker or at the node `options.at`. */
  subscribe<T = any>(filter: string, options?: SubscribeOptions): Promise<TopicSubscription<T>>;
}
"#;

/// The greatest number that JavaScript counts exactly.
const SAFE: f64 = 9_007_199_254_740_991.0;

#[wasm_bindgen]
impl Node {
    /// Publishes a value under a topic, at the zone's broker or at the node `options.at`, and resolves when
    /// that has it. With `options.retain` later subscribers get it first; `undefined` clears that. A message
    /// that failed may be published again: with the same `options.id` it counts once. The numbers of a publisher
    /// grow, and its name is its own alone: draw it at random.
    #[wasm_bindgen(unchecked_return_type = "Promise<Published>")]
    pub fn publish(
        &self,
        topic: &str,
        #[wasm_bindgen(unchecked_param_type = "any")] value: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "PublishOptions")] options: JsValue,
    ) -> Promise {
        // It is on its way when this returns, so that what follows comes after it.
        let publishing = read_publish(&options).and_then(|options| {
            self.topics()
                .publish_value(topic, &from_js(value)?, options)
        });
        future_to_promise(async move {
            let published = match publishing {
                Ok(publishing) => publishing.await,
                Err(failure) => Err(failure),
            };
            published
                .map(published_object)
                .map_err(|failure| to_js(&failure))
        })
    }

    /// Subscribes to the topics that a filter means.
    #[wasm_bindgen(skip_typescript)]
    pub fn subscribe(&self, filter: String, options: JsValue) -> Promise {
        let (topics, node) = (self.topics(), self.commands().node().clone());
        future_to_promise(async move {
            let begun = async {
                let (options, signal) = read_subscribe(&options)?;
                let begin = topics.subscribe(&filter, options);
                let subscription = until_aborted(signal.as_ref(), begin).await?;
                let source = Source::Topics(subscription);
                Ok(iterator(node, source, signal.as_ref()))
            };
            begun.await.map_err(|failure: Failure| to_js(&failure))
        })
    }

    /// Who is subscribed to something that this filter means; as it is iterated, who comes and goes.
    #[wasm_bindgen(unchecked_return_type = "Promise<TopicPresence>")]
    pub fn presence(
        &self,
        filter: String,
        #[wasm_bindgen(unchecked_optional_param_type = "PresenceOptions")] options: JsValue,
    ) -> Promise {
        let (topics, node) = (self.topics(), self.commands().node().clone());
        future_to_promise(async move {
            let begun = async {
                let (at, signal) = read_presence(&options)?;
                let begin = topics.presence(&filter, at.as_deref());
                let presence = until_aborted(signal.as_ref(), begin).await?;
                let members: Array = presence
                    .members()
                    .iter()
                    .map(|m| member_object(&node, m))
                    .collect();
                let told = iterator(node.clone(), Source::Presence(presence), signal.as_ref());
                set(&told, "members", &members);
                Ok(told)
            };
            begun.await.map_err(|failure: Failure| to_js(&failure))
        })
    }
}

/// What is iterated.
enum Source {
    Topics(Subscription),
    Presence(Presence),
}

impl Source {
    async fn next(&mut self, node: &CoreNode) -> Option<Result<JsValue, Failure>> {
        match self {
            Self::Topics(subscription) => Some(subscription.next().await?.map(item_object)),
            Self::Presence(presence) => {
                let change = presence.next().await?;
                Some(change.map(|change| change_object(node, &change)))
            }
        }
    }
}

/// What an iterator's functions share.
struct Iteration {
    node: CoreNode,
    /// Nothing once it is over. Those who ask for more get it one after the other.
    source: Mutex<Option<Source>>,
    /// Is over when the iteration shall be.
    open: Shared<oneshot::Receiver<()>>,
    close: RefCell<Option<oneshot::Sender<()>>>,
    /// Listens for as long as it is held.
    aborted: RefCell<Option<EventListener>>,
}

impl Iteration {
    fn new(node: CoreNode, source: Source, signal: Option<&AbortSignal>) -> Rc<Self> {
        let (close, open) = oneshot::channel();
        let this = Rc::new(Self {
            node,
            source: Mutex::new(Some(source)),
            open: open.shared(),
            close: RefCell::new(Some(close)),
            aborted: RefCell::default(),
        });
        if let Some(signal) = signal {
            let iteration = Rc::downgrade(&this);
            let listener = EventListener::once(signal, "abort", move |_| {
                if let Some(iteration) = iteration.upgrade() {
                    iteration.close();
                }
            });
            this.aborted.replace(Some(listener));
        }
        this
    }

    fn close(&self) {
        drop(self.close.take());
        // If it is being read, the reader lets go of it.
        if let Some(mut source) = self.source.try_lock() {
            *source = None;
        }
    }

    async fn next(&self) -> Result<Option<JsValue>, Failure> {
        let mut held = self.source.lock().await;
        let Some(source) = held.as_mut() else {
            return Ok(None);
        };
        let next = match select(self.open.clone(), pin!(source.next(&self.node))).await {
            Either::Left(_) => None,
            Either::Right((next, _)) => next,
        };
        if !matches!(next, Some(Ok(_))) {
            *held = None;
        }
        next.transpose()
    }
}

/// What JavaScript iterates: `next`, `return` and `close`.
fn iterator(node: CoreNode, source: Source, signal: Option<&AbortSignal>) -> JsValue {
    let iteration = Iteration::new(node, source, signal);
    let reading = iteration.clone();
    let next = Closure::<dyn FnMut() -> Promise>::new(move || {
        let reading = reading.clone();
        future_to_promise(async move {
            let next = reading.next().await.map_err(|failure| to_js(&failure))?;
            Ok(step(next))
        })
    });
    let ending = iteration.clone();
    let end = Closure::<dyn FnMut() -> Promise>::new(move || {
        ending.close();
        Promise::resolve(&step(None))
    });
    let close = Closure::<dyn FnMut()>::new(move || iteration.close());
    let iterator = object(&[
        ("next", next.into_js_value()),
        ("return", end.into_js_value()),
        ("close", close.into_js_value()),
    ]);
    // Every object's `valueOf` gives that object, which is what is to be iterated.
    let itself = page::field(&iterator, "valueOf").unwrap_or_default();
    // A fresh object takes any property.
    let _ = Reflect::set(&iterator, &Symbol::async_iterator(), &itself);
    iterator
}

fn step(next: Option<JsValue>) -> JsValue {
    let done = next.is_none().into();
    object(&[("value", next.unwrap_or_default()), ("done", done)])
}

/// What comes of something, unless the page gives up before.
async fn until_aborted<T>(
    signal: Option<&AbortSignal>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let Some(signal) = signal else {
        return work.await;
    };
    match select(pin!(aborted(signal)), pin!(work)).await {
        Either::Left(_) => Err(Code::Cancelled.because("the page has given up")),
        Either::Right((done, _)) => done,
    }
}

fn item_object(item: Item) -> JsValue {
    match item {
        Item::Gap(gap) => object(&[("gap", gap_object(gap))]),
        Item::Message(message) => message_object(&message),
    }
}

/// What anybody has published is no reason to end the subscriptions of all.
fn message_object(message: &Message) -> JsValue {
    let value = message.value();
    let value = value.map_err(|error| Code::BadMessage.because(error.to_string()));
    let (key, value) = match value.and_then(|value| into_js(&value)) {
        Ok(value) => ("value", value),
        Err(failure) => ("error", to_js(&failure)),
    };
    object(&[
        ("topic", (&*message.topic).into()),
        ("filter", message.filter.as_str().into()),
        (key, value),
        ("offset", (message.offset as f64).into()),
        ("epoch", (message.epoch as f64).into()),
        ("sender", message.sender.to_string().into()),
        ("retained", message.retained.into()),
        ("again", message.again.into()),
    ])
}

fn gap_object(gap: Gap) -> JsValue {
    let told = object(&[
        ("why", gap.why.as_str().into()),
        ("first", (gap.first as f64).into()),
        ("last", (gap.last as f64).into()),
    ]);
    if let Some(missed) = gap.missed {
        set(&told, "missed", &(missed as f64).into());
    }
    told
}

fn change_object(node: &CoreNode, change: &Change) -> JsValue {
    let (kind, member) = match change {
        Change::Joined(member) => ("join", member),
        Change::Left(member) => ("leave", member),
    };
    object(&[
        ("kind", kind.into()),
        ("member", member_object(node, member)),
    ])
}

fn member_object(node: &CoreNode, member: &Member) -> JsValue {
    let told = object(&[
        ("node", member.node.to_string().into()),
        ("filter", member.filter.as_str().into()),
    ]);
    let name = match member.node == node.id() {
        true => node.name().map(|name| name.as_str().into()),
        false => page::field(&node_object(node, member.node), "name").ok(),
    };
    if let Some(name) = name.filter(|name| !name.is_undefined()) {
        set(&told, "name", &name);
    }
    if let Some(group) = &member.group {
        set(&told, "group", &group.as_str().into());
    }
    told
}

fn published_object(published: Published) -> JsValue {
    let told = object(&[("epoch", (published.epoch as f64).into())]);
    if let Some(offset) = published.offset {
        set(&told, "offset", &(offset as f64).into());
    }
    told
}

fn read_publish(options: &JsValue) -> Result<Publish, Failure> {
    if options.is_undefined() {
        return Ok(Publish::default());
    }
    check(
        options,
        "an object { retain, at, id }",
        &["retain", "at", "id"],
    )?;
    let id = value(options, "id");
    let number = match id.is_undefined() {
        true => None,
        false => {
            check(
                &id,
                "an object { publisher, number }",
                &["publisher", "number"],
            )?;
            let publisher = text(&id, "publisher")?;
            let missing = || wrong("publisher", "a string", &JsValue::UNDEFINED);
            Some((publisher.ok_or_else(missing)?, whole(&id, "number")?))
        }
    };
    Ok(Publish {
        at: text(options, "at")?,
        retain: flag(options, "retain")?,
        number,
        ..Publish::default()
    })
}

fn read_subscribe(options: &JsValue) -> Result<(Subscribe, Option<AbortSignal>), Failure> {
    if options.is_undefined() {
        return Ok((Subscribe::default(), None));
    }
    let known = ["after", "at", "echo", "group", "slow", "history", "signal"];
    let expected = "an object { after, at, echo, group, slow, history, signal }";
    check(options, expected, &known)?;
    let slow = match text(options, "slow")?.as_deref() {
        None | Some("drop-oldest") => Slow::DropOldest,
        Some("latest") => Slow::Latest,
        Some("disconnect") => Slow::Disconnect,
        Some(other) => {
            let expected = "drop-oldest, latest or disconnect";
            return Err(wrong("slow", expected, &other.into()));
        }
    };
    let wish = Subscribe {
        at: text(options, "at")?,
        after: read_after(options)?,
        history: flag(options, "history")?,
        echo: flag(options, "echo")?,
        group: text(options, "group")?,
        slow,
    };
    Ok((wish, instance(options, "signal", "an AbortSignal")?))
}

/// An offset alone, or anything that has an offset and an epoch: a message has.
fn read_after(options: &JsValue) -> Result<Option<Position>, Failure> {
    let after = value(options, "after");
    if after.is_undefined() {
        return Ok(None);
    }
    if after.as_f64().is_some() {
        let offset = whole(options, "after")?;
        return Ok(Some(Position {
            offset,
            epoch: None,
        }));
    }
    if page::object(&after).is_none() {
        return Err(wrong(
            "after",
            "an offset, or an object { offset, epoch }",
            &after,
        ));
    }
    let epoch = match value(&after, "epoch").is_undefined() {
        true => None,
        false => Some(whole(&after, "epoch")?),
    };
    let offset = whole(&after, "offset")?;
    Ok(Some(Position { offset, epoch }))
}

fn read_presence(options: &JsValue) -> Result<(Option<String>, Option<AbortSignal>), Failure> {
    if options.is_undefined() {
        return Ok((None, None));
    }
    check(options, "an object { at, signal }", &["at", "signal"])?;
    Ok((
        text(options, "at")?,
        instance(options, "signal", "an AbortSignal")?,
    ))
}

/// A whole number, as large as JavaScript counts.
fn whole(options: &JsValue, key: &str) -> Result<u64, Failure> {
    let got = value(options, key);
    let whole = got.as_f64().filter(|number| number.fract() == 0.0);
    let whole = whole.filter(|number| (0.0..=SAFE).contains(number));
    whole
        .map(|number| number as u64)
        .ok_or_else(|| wrong(key, "a whole number", &got))
}
