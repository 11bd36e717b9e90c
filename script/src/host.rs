//! What a script has of the network: nodes, objects, commands.

use std::sync::Arc;

use peerage::rpc::{Act, Parcel, Proxy, Reference, Rpc};
use rhai::{Dynamic, Engine, EvalAltResult};

use crate::convert::{pack, pack_list};
use crate::engine::wrong;
use crate::language::LANGUAGE;
use crate::tape::{Tape, Wish};

pub(crate) type Answer = Result<Dynamic, Box<EvalAltResult>>;

/// A node, as scripts have it.
#[derive(Clone)]
pub(crate) struct Peer(String);

/// An object at a node.
#[derive(Clone)]
pub(crate) struct Object(Proxy);

impl Object {
    pub(crate) fn new(proxy: Proxy) -> Self {
        Self(proxy)
    }

    pub(crate) fn reference(&self) -> Option<Reference> {
        self.0.reference().cloned()
    }

    /// What a method of it returns.
    pub(crate) fn call(&self, tape: &Tape, name: &str, args: &[Dynamic]) -> Answer {
        self.ask(tape, Act::Call, name, pack_list(args).map_err(wrong)?)
    }

    fn ask(&self, tape: &Tape, act: Act, name: &str, args: Parcel) -> Answer {
        tape.wait_for(|| Wish::Ask {
            object: self.0.clone(),
            act,
            name: name.to_owned(),
            args,
        })
    }
}

/// Lets scripts use the network; what they ask goes to `tape`.
pub(crate) fn register(engine: &mut Engine, tape: &Arc<Tape>) {
    engine.register_type_with_name::<Peer>("Peer");
    engine.register_type_with_name::<Object>("Object");
    engine.register_fn("peer", |name: &str| Peer(name.to_owned()));
    engine.register_get("name", |peer: &mut Peer| peer.0.clone());
    let told = Arc::clone(tape);
    engine.register_fn("run", move |peer: &mut Peer, line: &str| {
        let line = format!("{line} @{}", peer.0);
        told.wait_for(|| Wish::Run(line))
    });
    let told = Arc::clone(tape);
    engine.register_fn("run", move |line: &str| {
        told.wait_for(|| Wish::Run(line.to_owned()))
    });
    let told = Arc::clone(tape);
    engine.register_fn("peers", move || told.wait_for(|| Wish::Peers));
    let told = Arc::clone(tape);
    engine.register_fn("sleep", move |seconds: f64| {
        told.wait_for(|| Wish::Sleep(seconds))
    });
    let told = Arc::clone(tape);
    engine.register_fn("sleep", move |seconds: i64| {
        told.wait_for(|| Wish::Sleep(seconds as f64))
    });
    let told = Arc::clone(tape);
    engine.register_fn("get", move |object: &mut Object, name: &str| {
        object.ask(&told, Act::Get, name, Parcel::default())
    });
    let told = Arc::clone(tape);
    engine.register_fn(
        "set",
        move |object: &mut Object, name: &str, value: Dynamic| {
            object.ask(&told, Act::Set, name, pack(&value).map_err(wrong)?)
        },
    );
}

/// What depends on the node at which the script runs.
pub(crate) fn register_here(engine: &mut Engine, rpc: &Rpc) {
    let node = rpc.node().clone();
    engine.register_fn("here", move || {
        node.name().map(|name| name.to_string()).unwrap_or_default()
    });
    let rpc = rpc.clone();
    engine.register_fn("proxy", move |peer: &mut Peer, agent: &str| {
        Object(rpc.proxy(&peer.0, agent))
    });
}

/// The name of a node, as a script has it.
pub(crate) fn name_of(peer: Dynamic) -> Result<String, Box<EvalAltResult>> {
    match peer.clone().try_cast::<Peer>() {
        Some(peer) => Ok(peer.0),
        None => peer
            .into_string()
            .map_err(|got| wrong(format!("expected the name of a node, got {got}"))),
    }
}

/// Whether every script has a function of this name.
pub(crate) fn is_known(name: &str) -> bool {
    OWN.contains(&name) || LANGUAGE.contains(&name)
}

const OWN: [&str; 10] = [
    "across", "get", "here", "peer", "peers", "print", "proxy", "run", "set", "sleep",
];
