//! What is told of real traffic: something of each category, with its ids, and nothing that is carried.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tracing::Level;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::command::{Call, Commands, Status};
use super::rpc::{Agent, Handling, Interface, Reference, Request, Rpc};
use super::zone::Zone;
use crate::Node;
use crate::log::{Category, Ear};

/// In everything that is carried.
const SECRET: &str = "Rosebud";
/// As many letters and digits in a row as no id that is told has, but every key and handle, however it
/// would be written.
const SHORTEST_KEY: usize = 20;

/// Gives an object, and takes one.
struct Keeper(Rpc, Mutex<Vec<Reference>>);

impl Agent for Keeper {
    fn interface(&self) -> Interface {
        Interface::default()
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let (name, args) = (request.name.to_owned(), request.args);
        Box::pin(async move {
            if name == "fail" {
                return Err(super::rpc::Thrown::new("Error", SECRET).into());
            }
            let text: String = args.argument(0)?;
            assert_eq!(text, SECRET);
            let kept = Arc::new(Self(self.0.clone(), Mutex::default()));
            let kept = self.0.share(kept);
            self.1.lock().unwrap().push(kept.clone());
            Ok(kept.into())
        })
    }
}

/// Commands, objects, streams and datagrams between `a` and `b`; the handles of objects that were handed
/// about.
fn work(zone: &mut Zone, handles: &mut Vec<[u8; 16]>) {
    let [a, b] = ["a", "b"].map(|name| zone.join(name));
    let [at_a, at_b] = [&a, &b].map(|node| Commands::new(node.clone(), BTreeMap::new()));
    at_b.register("hush", "", (), |call: Call, ()| async move {
        call.end(Status::FAILED, SECRET)
    });
    let [rpc_a, rpc_b] = [&a, &b].map(|node| Rpc::new(node.clone()));
    zone.spawn(async move { at_b.serve().await });
    for rpc in [rpc_a.clone(), rpc_b.clone()] {
        zone.spawn(async move { rpc.serve().await });
    }
    let lines = [
        "echo Rosebud @b",
        "hush @b",
        "calc Rosebud @b",
        "echo Rosebud",
    ];
    for line in lines.map(str::to_owned) {
        let commands = at_a.clone();
        zone.run(async move { commands.run(&line).await }).unwrap();
    }

    let _agent = rpc_b.agent("Keeper", Keeper(rpc_b.clone(), Mutex::default()));
    let given = zone.run(async {
        let proxy = rpc_a.proxy("b", "Keeper");
        let failed = proxy.call::<()>("fail", &(SECRET,)).await;
        assert!(failed.is_err());
        proxy.call::<Reference>("keep", &(SECRET,)).await.unwrap()
    });
    handles.push(given.pointer().handle);
    zone.run(async { given.proxy().call::<Reference>("keep", &(SECRET,)).await })
        .unwrap();
    zone.run(streams(&a, &b));
    b.close();
    zone.sleep(super::zone::WHILE);
    drop(given);
}

async fn streams(a: &Node, b: &Node) {
    let mut listener = b.listen("acme/hush/1");
    let ours = a.open(b.id(), "acme/hush/1").unwrap();
    ours.send(SECRET.into()).await.unwrap();
    let theirs = listener.accept().await.unwrap();
    assert_eq!(theirs.recv().await, Ok(Some(Bytes::from(SECRET))));
    theirs.reset(crate::Code::Cancelled.because(SECRET));
    assert!(ours.recv().await.is_err());
    let strange = a.open(b.id(), "acme/unknown/1").unwrap();
    assert!(strange.recv().await.is_err());
    let datagrams = a.datagrams(b.id(), "acme/hush/2").unwrap();
    datagrams.send(Bytes::from(SECRET)).unwrap();
}

/// The work, listened to.
fn listened() -> (Ear, Vec<[u8; 16]>) {
    let (ear, mut handles) = (Ear::default(), Vec::new());
    ear.listen(|| work(&mut Zone::new(), &mut handles));
    (ear, handles)
}

#[test]
fn nothing_secret_is_told() {
    let (ear, handles) = listened();
    assert!(!handles.is_empty());
    let handles = handles.iter().map(|handle| {
        let numbers = format!("{handle:?}");
        numbers.trim_matches(['[', ']']).to_owned()
    });
    let handles: Vec<_> = handles.collect();
    for heard in ear.heard() {
        let line = heard.whole;
        assert!(!line.contains(SECRET), "{line}");
        // Bytes in brackets, hexadecimal, base32, base64.
        assert!(!line.contains('['), "{line}");
        assert!(
            !handles.iter().any(|handle| line.contains(handle)),
            "{line}"
        );
        let words = line.split(|c: char| !c.is_ascii_alphanumeric());
        let longest = words.map(str::len).max();
        assert!(longest < Some(SHORTEST_KEY), "{line}");
    }
}

#[test]
fn each_category_is_told_with_its_ids() {
    let (ear, _) = listened();
    let heard: Vec<_> = ear.heard().into_iter().map(|heard| heard.entry).collect();
    for (category, ids) in [
        (Category::Connection, ["link", "peer", "session"]),
        (Category::Message, ["peer", "session", "stream"]),
        (Category::Message, ["trace", "call", "step"]),
        (Category::Discovery, ["peer", "name", "link"]),
    ] {
        let of_category = heard
            .iter()
            .filter(|entry| entry.category == Some(category));
        let told: BTreeSet<_> = of_category
            .flat_map(|entry| entry.fields.iter().map(|field| field.0))
            .collect();
        assert!(
            ids.iter().all(|id| told.contains(id)),
            "{category}: {told:?}"
        );
    }
}

#[test]
fn an_error_is_a_warning_or_worse_and_nothing_else_is() {
    let (ear, _) = listened();
    let mut zone = Zone::new();
    let node = zone.join("a");
    let rpc = Rpc::new(node);
    let again = rpc.clone();
    zone.spawn(async move { rpc.serve().await });
    ear.listen(|| zone.spawn(async move { again.serve().await }));
    let mut errors = 0;
    for heard in ear.heard() {
        let (entry, whole) = (heard.entry, heard.whole);
        assert!(entry.category.is_some(), "{}: {whole}", entry.target);
        let is_error = entry.category == Some(Category::Error);
        assert_eq!(is_error, entry.level <= Level::WARN, "{whole}");
        assert!(
            entry.node.is_some() || entry.level == Level::TRACE,
            "{whole}"
        );
        errors += usize::from(is_error);
    }
    assert_eq!(errors, 1);
}

#[test]
fn what_happens_for_each_message_is_told_at_trace_only() {
    let mut zone = Zone::new();
    let [a, b] = ["a", "b"].map(|name| zone.join(name));
    let rpc_b = Rpc::new(b.clone());
    let _agent = rpc_b.agent("Keeper", Keeper(rpc_b.clone(), Mutex::default()));
    let rpc_a = Rpc::new(a);
    for rpc in [rpc_a.clone(), rpc_b] {
        zone.spawn(async move { rpc.serve().await });
    }
    let mut call = || {
        let call = rpc_a
            .proxy("b", "Keeper")
            .call::<Reference>("keep", &(SECRET,));
        let _ = zone.run(call).unwrap();
    };
    call();
    let ear = Ear::default();
    ear.listen(|| (0..10).for_each(|_| call()));
    let heard = ear.heard();
    let loud: Vec<_> = heard
        .iter()
        .filter(|h| h.entry.level < Level::TRACE)
        .collect();
    assert!(heard.len() >= 20, "{}", heard.len());
    assert!(loud.is_empty(), "{}", loud[0].whole);
}
