//! The node as JavaScript holds it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use gloo::events::EventListener;
use js_sys::{Array, Function, Promise};
use peerage::error::Code;
use peerage::http::Http;
use peerage::node::{Driver, Event};
use peerage::rpc::{CallError, Rpc};
use peerage::service::broker::{self, Broker, Topics};
use peerage::service::command::Commands;
use peerage::service::inspect::Inspect;
use peerage::service::operation::Operations;
use peerage::service::time;
use peerage::{Config, Failure, Identity, Name};
use peerage_script::Scripts;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};
use web_sys::{AbortSignal, CustomEvent, CustomEventInit, EventTarget};

use crate::driver::Inputs;
use crate::error::to_js;
use crate::objects::{object, peer_object, set};
use crate::page::{self, text_of};
use crate::platform::{Clock, random, window};
use crate::rpc::{Agent, Objects};
use crate::trace::Traces;
use crate::{connections, direct, identity, log, navigate, options, scripts, streams};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
export interface JoinOptions { relay: string; name?: string; type?: string; insist?: boolean;
  directLinks?: number; turnOnly?: boolean; resumeWindowMs?: number; resumeWindowBytes?: number; traces?: boolean }
export interface LogDetail { time: number; level: "ERROR" | "WARN" | "INFO" | "DEBUG"; target: string; text: string;
  category?: "connection" | "message" | "discovery" | "error"; fields: Record<string, string | number | boolean> }
export interface Peer { id: string; name: string; kind: "browser" | "native" | "relay" | "enet" | "adapter" | "client"; type?: string; path: "direct" | "relayed"; rtt?: number }
export interface DatagramPair { readable: ReadableStream<Uint8Array>; writable: WritableStream<Uint8Array | ArrayBuffer> }
export interface Pair extends DatagramPair { peer: Peer; protocol: string }
export interface OpenOptions { priority?: "high" | "normal" | "bulk" }
export interface HandleOptions { signal?: AbortSignal }
export type StreamHandler = (stream: Pair) => void | Promise<void>;
export type Code = "bad-message" | "cancelled" | "gone" | "incompatible-version" | "left" | "overloaded" | "refused" | "timed-out"
  | "too-large" | "unauthorised" | "unknown-method" | "unknown-name" | "unknown-protocol" | "unreachable" | "interrupted";
export interface PeerageError extends Error { code: Code; peer?: string }
"#;

#[wasm_bindgen]
extern "C" {
    /// What `Node.join` is told.
    #[wasm_bindgen(typescript_type = "JoinOptions")]
    pub type JoinOptions;
    /// A list of peers.
    #[wasm_bindgen(typescript_type = "Peer[]")]
    pub type Peers;
    /// How `open` opens.
    #[wasm_bindgen(typescript_type = "OpenOptions")]
    pub type OpenOptions;
    /// For how long `handle` answers.
    #[wasm_bindgen(typescript_type = "HandleOptions")]
    pub type HandleOptions;
    /// What is to be spoken: one protocol, or several of which the other node chooses.
    #[wasm_bindgen(typescript_type = "string | string[]")]
    pub type Protocols;
    /// The promise of a stream.
    #[wasm_bindgen(typescript_type = "Promise<Pair>")]
    pub type StreamPromise;
    /// The two directions of datagrams.
    #[wasm_bindgen(typescript_type = "DatagramPair")]
    pub type DatagramPair;
    /// What answers the streams of a protocol.
    #[wasm_bindgen(typescript_type = "StreamHandler")]
    pub type StreamHandler;
}

/// A node in this tab. Clones are the same node.
#[wasm_bindgen]
#[derive(Clone)]
pub struct Node {
    commands: Commands,
    objects: Objects,
    operations: Operations,
    inspect: Inspect,
    scripts: Scripts,
    http: Http,
    topics: Topics,
    clock: time::Clock,
    target: EventTarget,
    inputs: Inputs,
    held: Rc<RefCell<Held>>,
}

/// What ends with the node.
struct Held {
    release: Option<Function>,
    /// Listens for as long as it is held.
    page: Vec<EventListener>,
}

#[wasm_bindgen]
impl Node {
    /// Joins the mesh of a relay.
    ///
    /// # Errors
    /// A `PeerageError`: why the relay cannot be reached, or does not want the node.
    pub async fn join(options: JoinOptions) -> Result<Self, JsValue> {
        let options = options.into();
        let read = options::read(&options).and_then(|(relay, config)| {
            let traces = options::flag(&options, "traces")?.then(Arc::<Traces>::default);
            Ok((relay, config, traces))
        });
        let (relay, mut config, traces) = read.map_err(|f| to_js(&f))?;
        config.tracer = traces.clone().map(|traces| traces as _);
        let node = Self::launch(&relay, config).await.map_err(|f| to_js(&f))?;
        if let Some(traces) = traces {
            spawn_local(traces.run(node.rpc()));
        }
        Ok(node)
    }

    /// This node's id.
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> String {
        self.commands.node().id().to_string()
    }

    /// The name that it has in its zone.
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> Option<String> {
        self.commands.node().name().map(|name| name.to_string())
    }

    /// How it stands with its relay: `connecting`, `online`, `offline`, `refused` or `closed`.
    #[wasm_bindgen(getter)]
    pub fn state(&self) -> String {
        self.commands.node().state().as_str().to_owned()
    }

    /// Everyone else in the zone.
    pub fn peers(&self) -> Peers {
        let peers: Array = self
            .commands
            .node()
            .peers()
            .iter()
            .map(peer_object)
            .collect();
        JsValue::from(peers).unchecked_into()
    }

    /// Lets others find an object by this name: they call its methods, get, set and watch its properties.
    /// `options.version` is the version of what it offers.
    #[wasm_bindgen(skip_typescript)]
    pub fn agent(&self, name: &str, object: &JsValue, options: JsValue) -> Result<Agent, JsValue> {
        let version = options::version(given(options)).map_err(|failure| to_js(&failure))?;
        self.objects.offer(name, object, version)
    }

    /// A proxy of the agent of a name at a node. Nothing is sent before it is used.
    #[wasm_bindgen(skip_typescript)]
    pub fn proxy(&self, target: &str, agent: &str, options: JsValue) -> Result<JsValue, JsValue> {
        self.objects.proxy(target, agent, given(options))
    }

    /// Marks an object as one that travels by reference, and gives it back. Functions do in any case.
    #[wasm_bindgen(js_name = byReference, skip_typescript)]
    pub fn by_reference(&self, object: JsValue) -> Result<JsValue, JsValue> {
        let expected = || to_js(&Code::BadMessage.because("expected an object"));
        self.objects
            .mark_by_reference(page::object(&object).ok_or_else(expected)?);
        Ok(object)
    }

    /// Lets go of what a proxy stands for, before the browser sees that it is used no more.
    pub fn release(
        &self,
        #[wasm_bindgen(unchecked_param_type = "object")] proxy: &JsValue,
    ) -> Result<(), JsValue> {
        self.objects
            .release(proxy)
            .map_err(|failure| to_js(&failure))
    }

    /// The call that is being answered, in that part of a method that runs before its first wait.
    #[wasm_bindgen(getter, js_name = currentCall, unchecked_return_type = "CurrentCall | undefined")]
    pub fn current_call(&self) -> JsValue {
        self.objects.current_call()
    }

    /// How many of this node's objects others can use, and how many of theirs are held here.
    #[wasm_bindgen(js_name = objectCounts, unchecked_return_type = "{ own: number; held: number }")]
    pub fn object_counts(&self) -> JsValue {
        let (own, held) = self.objects.rpc().counts();
        object(&[("own", (own as f64).into()), ("held", (held as f64).into())])
    }

    /// How far the clock of a node, by name or id, is ahead of this one's, and by how much that may be wrong, in milliseconds.
    #[wasm_bindgen(js_name = clockOffset, unchecked_return_type = "Promise<{ ms: number; errorMs: number }>")]
    pub fn clock_offset(&self, target: String) -> Promise {
        let clock = self.clock.clone();
        future_to_promise(async move {
            let offset = clock
                .offset(&target)
                .await
                .map_err(|error| untold(&error))?;
            let entries = [
                ("ms", offset.ms.into()),
                ("errorMs", offset.error_ms.into()),
            ];
            Ok(object(&entries))
        })
    }

    /// The zone's time in milliseconds since 1970, how far this node's clock is ahead of it, and by how much that may be wrong.
    #[wasm_bindgen(js_name = zoneTime, unchecked_return_type = "Promise<{ now: number; aheadMs: number; errorMs: number }>")]
    pub fn zone_time(&self) -> Promise {
        let clock = self.clock.clone();
        future_to_promise(async move {
            let ahead = clock.ahead().await.map_err(|error| untold(&error))?;
            Ok(object(&[
                ("now", (clock.now() - ahead.ms).into()),
                ("aheadMs", ahead.ms.into()),
                ("errorMs", ahead.error_ms.into()),
            ]))
        })
    }

    /// Opens a stream of `protocol` to a node, by its name or id: `{ peer, protocol, readable, writable }`,
    /// both of `Uint8Array`, each chunk a message. A node that does not speak the protocol makes them fail.
    /// Of a list of protocols, at most 8, the first that the other node speaks is spoken; the promise waits
    /// for its answer, and is rejected with `unknown-protocol` if it speaks none. `options.priority` says how urgent what is sent there is: `high`, `normal` or `bulk`.
    pub fn open(
        &self,
        target: String,
        protocol: Protocols,
        options: Option<OpenOptions>,
    ) -> StreamPromise {
        let node = self.commands.node().clone();
        let promise = future_to_promise(async move {
            let options = options.map(JsValue::from);
            let stream = streams::open(&node, &target, &protocol.into(), options).await;
            streams::opened(&node, stream.map_err(|failure| to_js(&failure))?)
        });
        JsValue::from(promise).unchecked_into()
    }

    /// Answers the streams of `protocol` that others open, from now on: the handler gets for each what
    /// [`Node::open`] gives. If it throws, or its promise fails, the stream is ended with that reason. The
    /// last handler of a protocol counts; `options.signal` ends it, and leaves streams that are open alone.
    pub fn handle(
        &self,
        protocol: String,
        handler: StreamHandler,
        options: Option<HandleOptions>,
    ) -> Result<(), JsValue> {
        let until =
            options::until(options.map(JsValue::from)).map_err(|failure| to_js(&failure))?;
        let handler: Function = JsValue::from(handler).dyn_into().map_err(|_| {
            to_js(&Code::BadMessage.because("expected a function as a protocol's handler"))
        })?;
        let node = self.commands.node().clone();
        // A signal that has come already leaves whoever answers now alone.
        if !until.as_ref().is_some_and(AbortSignal::aborted) {
            let listener = node.listen(&protocol);
            spawn_local(streams::answer(node, listener, handler, until));
        }
        Ok(())
    }

    /// Datagrams of `protocol` to and from a node: whole or not at all, in any order, at most 8 KiB.
    /// What cannot leave soon, or is not read soon, is lost.
    pub fn datagrams(&self, target: String, protocol: String) -> Result<DatagramPair, JsValue> {
        let node = self.commands.node().clone();
        Ok(streams::datagrams(node, target, protocol)?.unchecked_into())
    }

    /// Listens for `peerjoin`, `peerleave`, `pathchange`, `connection`, `state`, `navigate` or `log`; the news is in the event's
    /// `detail`, of a `log` event a `LogDetail`, of a `connection` event a `ConnectionDetail`.
    #[wasm_bindgen(js_name = addEventListener)]
    pub fn add_event_listener(&self, kind: &str, listener: &Function) -> Result<(), JsValue> {
        self.target.add_event_listener_with_callback(kind, listener)
    }

    /// Listens no more.
    #[wasm_bindgen(js_name = removeEventListener)]
    pub fn remove_event_listener(&self, kind: &str, listener: &Function) -> Result<(), JsValue> {
        self.target
            .remove_event_listener_with_callback(kind, listener)
    }

    /// Leaves: the others learn it at once.
    pub fn close(&self) -> Promise {
        self.leave();
        Promise::resolve(&JsValue::UNDEFINED)
    }
}

impl Node {
    /// Joins the mesh of the relay at `relay`, a `ws:` address.
    ///
    /// # Errors
    /// Why the relay cannot be reached, or does not want the node.
    pub async fn launch(relay: &str, config: Config) -> Result<Self, Failure> {
        log::install();
        let slot = config.name.as_ref().map_or("", Name::as_str);
        let identity::Held { secret, release } = identity::obtain(slot).await?;
        let clock = Clock::new()?;
        let direct_how = direct::How {
            links_max: config.direct_links,
            turn_only: config.turn_only,
        };
        let identity = Identity::from_secret(&secret);
        let (node, driver) = Driver::new(config, identity, random()?, clock.now());
        let inputs = Inputs::new(driver, clock, relay.to_owned());
        spawn_local(inputs.clone().run());
        let commands = Commands::new(node.clone(), std::collections::BTreeMap::new());
        let broker = Broker::new(node.clone(), broker::Options::default())?;
        let topics = Topics::new(broker.clone());
        broker::register(&commands, &topics);
        let rpc = Rpc::new(node.clone());
        commands.share_lanes(&rpc)?;
        let operations = Operations::new(rpc.clone())?;
        operations.register(&commands);
        let inspect = Inspect::new(rpc.clone())?;
        let clock = time::Clock::new(rpc.clone(), js_sys::Date::now)?;
        let scripts = scripts::scripts(rpc.clone(), commands.clone())?;
        let http = Http::new(node.clone(), spawn_local);
        let objects = Objects::new(rpc);
        let target = EventTarget::new().map_err(|error| Code::Refused.because(text_of(&error)))?;
        navigate::register(&commands, &target);
        let held = Rc::new(RefCell::new(Held {
            release,
            page: Vec::new(),
        }));
        let this = Self {
            commands,
            objects,
            operations,
            inspect,
            scripts,
            http,
            topics,
            clock,
            target,
            inputs,
            held,
        };
        this.listen_to_page()?;
        if let Err(failure) = node.online(false).await {
            this.leave();
            return Err(failure);
        }
        let serving = this.commands.clone();
        spawn_local(async move { serving.serve().await });
        let answering = this.objects.rpc().clone();
        spawn_local(async move { answering.serve().await });
        let publishing = this.topics.clone();
        spawn_local(async move { broker.serve().await });
        spawn_local(async move { publishing.serve().await });
        spawn_local(direct::run(node, this.inputs.clone(), direct_how));
        spawn_local(this.clone().tell_events());
        this.tell_log();
        Ok(this)
    }

    /// The node's commands, and by them the node itself.
    pub fn commands(&self) -> Commands {
        self.commands.clone()
    }

    /// What it tells of itself to those who look after the mesh, and the way to ask others.
    pub fn core_inspect(&self) -> Inspect {
        self.inspect.clone()
    }

    /// Its clock, and the way to those of others.
    pub fn core_clock(&self) -> time::Clock {
        self.clock.clone()
    }

    /// The node's operations.
    pub fn core_operations(&self) -> Operations {
        self.operations.clone()
    }

    /// The node's objects.
    pub(crate) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The node's HTTP.
    pub(crate) fn http(&self) -> Http {
        self.http.clone()
    }

    /// The node's scripts.
    pub(crate) fn scripts(&self) -> Scripts {
        self.scripts.clone()
    }

    /// The node's objects, and the way to those of others.
    pub fn rpc(&self) -> Rpc {
        self.objects.rpc().clone()
    }

    /// The topics of the zone, and of other nodes.
    pub fn topics(&self) -> Topics {
        self.topics.clone()
    }

    fn leave(&self) {
        self.commands.node().close();
        // The last words must leave now: a page that is being closed has no later.
        self.inputs.act_all();
        if let Some(release) = self.held.borrow_mut().release.take() {
            // The browser's own function: it does not throw.
            let _ = release.call0(&JsValue::NULL);
        }
    }

    fn listen_to_page(&self) -> Result<(), Failure> {
        let window = window()?;
        let leaving = self.clone();
        let online = self.clone();
        let visible = self.clone();
        let document = window
            .document()
            .ok_or_else(|| Code::Refused.because("expected a page, with a document"))?;
        let listeners = vec![
            EventListener::new(&window, "pagehide", move |_| leaving.leave()),
            EventListener::new(&window, "online", move |_| {
                online.commands.node().retry_now()
            }),
            // A hidden page's timers may be minutes late.
            EventListener::new(&document, "visibilitychange", move |_| {
                visible.commands.node().retry_now()
            }),
        ];
        self.held.borrow_mut().page = listeners;
        Ok(())
    }

    async fn tell_events(self) {
        let mut events = self.commands.node().events();
        loop {
            match events.next().await {
                Event::PeerJoin(peer) => self.dispatch("peerjoin", &peer_object(&peer)),
                Event::PathChange(peer) => self.dispatch("pathchange", &peer_object(&peer)),
                Event::PeerLeave(peer, failure) => {
                    let detail = peer_object(&peer);
                    set(&detail, "reason", &failure.code.as_str().into());
                    self.dispatch("peerleave", &detail);
                }
                Event::Connection(event) => {
                    self.dispatch("connection", &connections::event_object(&event));
                }
                Event::State(state) => {
                    self.dispatch("state", &object(&[("state", state.as_str().into())]));
                    if state == peerage::node::State::Closed {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    fn tell_log(&self) {
        let (this, own) = (self.clone(), self.commands.node().id().short());
        log::watch(move |entry| {
            // There may be several nodes in a page.
            if entry.node.as_ref().is_some_and(|node| *node != own) {
                return;
            }
            let detail = log::entry_object(entry);
            // The node is at work while it logs; a listener may want to ask it something.
            let this = this.clone();
            spawn_local(async move { this.dispatch("log", &detail) });
        });
    }

    fn dispatch(&self, kind: &str, detail: &JsValue) {
        let init = CustomEventInit::new();
        init.set_detail(detail);
        if let Ok(event) = CustomEvent::new_with_event_init_dict(kind, &init) {
            // What a listener throws is reported by the browser.
            let _ = self.target.dispatch_event(&event);
        }
    }
}

/// What an option is that was given.
fn given(option: JsValue) -> Option<JsValue> {
    (!option.is_undefined()).then_some(option)
}

/// Why a clock was not told.
fn untold(error: &CallError) -> JsValue {
    let code = error.code().unwrap_or(Code::Refused);
    to_js(&code.because(error.to_string()))
}
