//! What the page shows of its node, kept true for as long as the node lives.

use core::time::Duration;
use std::collections::BTreeMap;

use futures_util::future::{Either, select};
use leptos::prelude::*;
use peerage::id::Kind;
use peerage::log::Category;
use peerage::node::Event;
use peerage::service::command::Commands;
use peerage::{Config, Name, Node, NodeId, Peer};
use wasm_bindgen::JsValue;

use crate::log::note;

/// How often round trips are looked at.
const REFRESH: Duration = Duration::from_secs(2);

/// The state of the page.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    /// There is none before the node has joined.
    pub(crate) commands: RwSignal<Option<Commands>>,
    pub(crate) name: RwSignal<String>,
    pub(crate) id: RwSignal<String>,
    pub(crate) state: RwSignal<&'static str>,
    /// Why the node could not join.
    pub(crate) problem: RwSignal<Option<String>>,
    pub(crate) peers: RwSignal<BTreeMap<NodeId, Peer>>,
    /// What stands at the prompt.
    pub(crate) typed: RwSignal<String>,
    pub(crate) log: crate::log::Lines,
}

impl Shown {
    pub(crate) fn new() -> Self {
        Self {
            commands: RwSignal::default(),
            name: RwSignal::default(),
            id: RwSignal::default(),
            state: RwSignal::new("connecting"),
            problem: RwSignal::default(),
            peers: RwSignal::default(),
            typed: RwSignal::default(),
            log: RwSignal::default(),
        }
    }

    fn look(self, node: &Node) {
        let name = node.name().map(|name| name.to_string()).unwrap_or_default();
        if self.name.with_untracked(|shown| *shown != name) {
            document().set_title(&format!("{name} · Peerage"));
            self.name.set(name);
        }
        self.state.set(node.state().as_str());
        let peers: BTreeMap<_, _> = node.peers().into_iter().map(|p| (p.id, p)).collect();
        if self.peers.with_untracked(|shown| *shown != peers) {
            self.peers.set(peers);
        }
    }
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
    let commands = node.commands();
    let node = commands.node().clone();
    let mut events = node.events();
    shown.commands.set(Some(commands));
    shown.id.set(node.id().short());
    shown.look(&node);
    let name = shown.name.get_untracked();
    note(shown, Category::Discovery, "joined as", &name);
    loop {
        shown.look(&node);
        let event = core::pin::pin!(events.next());
        let refresh = core::pin::pin!(node.sleep(REFRESH));
        if let Either::Left((event, _)) = select(event, refresh).await {
            tell(shown, &event);
        }
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
