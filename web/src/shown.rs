//! What the page shows of its node, kept true for as long as the node lives.

use core::future::Future;
use core::time::Duration;

use futures_util::future::{Either, abortable, select};
use leptos::prelude::*;
use leptos::task::spawn_local;
use peerage::id::Kind;
use peerage::log::Category;
use peerage::node::Event;
use peerage::rpc::Rpc;
use peerage::service::broker::Topics;
use peerage::service::command::Commands;
use peerage::service::inspect::Inspect;
use peerage::service::operation::Operations;
use peerage::service::time::Clock;
use peerage::{Config, Name, Node, NodeId};
use wasm_bindgen::JsValue;

use crate::frames::Recording;
use crate::log::note;
use crate::operations::Feed;
use crate::route::Route;
use crate::zone::{Zone, survey};

/// How often round trips are looked at.
const REFRESH: Duration = Duration::from_secs(2);

/// The state of the page.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    /// There are none before the node has joined.
    pub(crate) services: RwSignal<Option<Services>>,
    pub(crate) name: RwSignal<String>,
    pub(crate) id: RwSignal<String>,
    pub(crate) state: RwSignal<&'static str>,
    /// Why the node could not join.
    pub(crate) problem: RwSignal<Option<String>>,
    pub(crate) route: RwSignal<Route>,
    pub(crate) zone: Zone,
    pub(crate) operations: Feed,
    pub(crate) frames: Recording,
    /// What stands at the prompt.
    pub(crate) typed: RwSignal<String>,
    pub(crate) log: crate::log::Lines,
}

/// What the page's node can do. Clones are the same.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) node: Node,
    pub(crate) commands: Commands,
    pub(crate) rpc: Rpc,
    pub(crate) operations: Operations,
    pub(crate) topics: Topics,
    pub(crate) inspect: Inspect,
    pub(crate) clock: Clock,
}

impl Services {
    fn of(node: &peerage_wasm::Node) -> Self {
        Self {
            node: node.commands().node().clone(),
            commands: node.commands(),
            rpc: node.rpc(),
            operations: node.core_operations(),
            topics: node.topics(),
            inspect: node.core_inspect(),
            clock: node.core_clock(),
        }
    }
}

impl Shown {
    pub(crate) fn new() -> Self {
        Self {
            services: RwSignal::default(),
            name: RwSignal::default(),
            id: RwSignal::default(),
            state: RwSignal::new("connecting"),
            problem: RwSignal::default(),
            route: RwSignal::new(Route::now()),
            zone: Zone::new(),
            operations: Feed::new(),
            frames: Recording::new(),
            typed: RwSignal::default(),
            log: RwSignal::default(),
        }
    }

    /// The id of this page's node.
    pub(crate) fn own(self) -> Option<NodeId> {
        self.zone.own.get()
    }

    /// Makes a node the target of what stands at the prompt.
    pub(crate) fn address(self, name: &str) {
        self.typed.update(|typed| {
            let command = typed.split(" @").next().unwrap_or_default().trim_end();
            *typed = format!("{command} @{name}").trim_start().to_owned();
        });
        crate::prompt::focus();
    }

    fn look(self, node: &Node) {
        let name = node.name().map(|name| name.to_string()).unwrap_or_default();
        if self.name.with_untracked(|shown| *shown != name) {
            document().set_title(&format!("{name} · Peerage"));
            self.name.set(name);
        }
        let state = node.state().as_str();
        if self.state.get_untracked() != state {
            self.state.set(state);
        }
        self.zone.look(node);
    }
}

/// Does something for as long as what is being made now is shown, or until what it depends on has changed.
pub(crate) fn while_shown(work: impl Future<Output = ()> + 'static) {
    let (work, handle) = abortable(work);
    on_cleanup(move || handle.abort());
    spawn_local(async move {
        // It has ended, or is shown no longer.
        let _ = work.await;
    });
}

/// Joins the relay that served the page, and shows what happens from then on.
pub(crate) async fn join(shown: Shown) {
    shown.state.set("connecting");
    let (relay, name) = wishes();
    let config = Config {
        name,
        ..Config::new(Kind::Browser)
    };
    let node = match peerage_wasm::Node::launch(&relay, config).await {
        Ok(node) => node,
        Err(failure) => {
            shown.state.set("offline");
            shown.problem.set(Some(format!("{relay}: {failure}")));
            return;
        }
    };
    // The window takes any property.
    let _ = js_sys::Reflect::set(&window(), &"peerage".into(), &JsValue::from(node.clone()));
    let services = Services::of(&node);
    let node = services.node.clone();
    let mut events = node.events();
    shown.id.set(node.id().short());
    shown.zone.own.set(Some(node.id()));
    shown.look(&node);
    shown.services.set(Some(services.clone()));
    survey(shown, &services);
    let name = shown.name.get_untracked();
    note(shown, Category::Discovery, "joined as", &name);
    loop {
        let event = core::pin::pin!(events.next());
        let refresh = core::pin::pin!(node.sleep(REFRESH));
        match select(event, refresh).await {
            Either::Left((event, _)) => tell(shown, &event),
            Either::Right(_) => shown.zone.sample(),
        }
        shown.look(&node);
    }
}

/// The relay's address, and the name that the page's own address asks for.
fn wishes() -> (String, Option<Name>) {
    let location = window().location();
    let host = location.host().unwrap_or_default();
    let secure = location
        .protocol()
        .is_ok_and(|protocol| protocol == "https:");
    let scheme = if secure { "wss" } else { "ws" };
    let query = location.search().unwrap_or_default();
    let query = web_sys::UrlSearchParams::new_with_str(&query).ok();
    let wish = query.and_then(|query| query.get("name"));
    let name = wish.unwrap_or_else(|| String::from("tab")).parse().ok();
    (format!("{scheme}://{host}/mesh"), name)
}

/// An event in words.
fn tell(shown: Shown, event: &Event) {
    use Category::{Connection, Discovery};
    match event {
        Event::State(state) => note(shown, Connection, "this node is", state.as_str()),
        Event::PeerJoin(peer) => note(shown, Discovery, peer.name.as_str(), "is here"),
        Event::PeerLeave(peer, why) => {
            let what = format!("is {}", why.code);
            note(shown, Discovery, peer.name.as_str(), &what);
        }
        Event::PathChange(peer) => {
            let what = format!("is now {}", peer.path);
            note(shown, Connection, peer.name.as_str(), &what);
        }
        _ => {}
    }
}
