//! Values between us and decoders that share none of our code: Python's cbor2, and cbor-x in a browser.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use bytes::Bytes;
use peerage::object::{Form, Item, Node, Value, decode, encode};
use peerage_tests::{Browsers, Relay, serve};
use serde_json::json;

/// Debian's, which has the library.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/values.py");

/// Runs the script; what it prints.
fn python(verb: &str, input: &str) -> String {
    let mut process = Command::new(PYTHON)
        .args([SCRIPT, verb])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "cbor2 is not content: see above");
    String::from_utf8(output.stdout).unwrap()
}

fn unhex(text: &str) -> Bytes {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn node<'a>(value: &'a Value, item: &Item) -> &'a Node {
    match item {
        Item::Node(slot) => value.node(*slot).unwrap(),
        item => panic!("expected a node, got {item:?}"),
    }
}

fn list<'a>(value: &'a Value, item: &Item) -> &'a [Item] {
    match node(value, item) {
        Node::List(items) | Node::Set(items) => items,
        node => panic!("expected a list, got {node:?}"),
    }
}

#[test]
fn what_pythons_cbor2_writes_is_read_and_written_back_as_it_expects() {
    let written = python("write", "");
    let values: BTreeMap<_, _> = written
        .lines()
        .map(|line| {
            let (name, text) = line.split_once(' ').unwrap();
            (name, decode(&unhex(text)).expect(name))
        })
        .collect();

    let when = Item::Date(1_795_264_215_500.0);
    assert_eq!(values["date"].root(), &when);
    assert_eq!(values["date-seconds"].root(), &when);
    let integers = &values["integers"];
    assert_eq!(list(integers, integers.root())[7], Item::Unsigned(u64::MAX));
    assert_eq!(list(integers, integers.root())[8], Item::Negative(u64::MAX));
    let set = &values["set"];
    assert!(matches!(node(set, set.root()), Node::Set(items) if items.len() == 3));
    let map = &values["map"];
    assert!(matches!(node(map, map.root()), Node::Map(entries) if entries.len() == 3));
    let shared = &values["shared"];
    let items = list(shared, shared.root());
    assert!(items[0] == items[1] && items[0] != items[2], "{items:?}");
    let cyclic = &values["cyclic"];
    let Node::Record(entries) = node(cyclic, &list(cyclic, cyclic.root())[1]) else {
        panic!("a record")
    };
    assert_eq!(&entries[0].1, cyclic.root());

    // And back: it checks what it is given against what it meant.
    let names = values.keys().filter(|name| **name != "date-seconds");
    let mut lines: Vec<_> = names
        .map(|name| (*name, encode(&values[name], Form::Natural)))
        .collect();
    let nan = Value::of(Item::Float(f64::NAN));
    lines.push(("not-a-number", encode(&nan, Form::Deterministic)));
    let input: String = lines
        .iter()
        .map(|(name, bytes)| format!("{name} {}\n", hex(bytes)))
        .collect();
    let read = python("read", &input);
    assert_eq!(read.lines().count(), lines.len(), "{read}");
}

/// Values that a page makes, and what must be true of them wherever they arrive.
const VALUES: &str = r#"
    const part = { n: 1 }, ring = ['a'];
    ring.push({ ring });
    const values = {
        plain: { null: null, none: undefined, yes: true, text: 'ä€😀', list: [1, -1, 1.5, 0.1, 1e300, Infinity] },
        integers: [0, 23, 24, 255, 256, 2 ** 32, 2 ** 53 - 1, -(2 ** 53 - 1)],
        big: [1n << 64n, -(1n << 64n), 1n << 100n, -(1n << 100n)],
        bytes: new Uint8Array([0, 255, 7]),
        typed: [new Float64Array([1.5, -2]), new Int16Array([1, -2]), new Uint32Array([1, 2 ** 31])],
        date: new Date('2026-11-21T12:30:15.500Z'),
        set: new Set([1, 'two']),
        map: new Map([[1, 'one'], ['two', 2]]),
        shared: [part, part, { n: 1 }],
        cyclic: ring,
    };
    const show = v => JSON.stringify(v, (_, v) => {
        if (typeof v === 'bigint') return `${v}n`;
        if (Object.is(v, -0)) return '-0';
        if (v === undefined) return 'undefined';
        if (v === Infinity) return 'Infinity';
        if (v instanceof Set) return { set: [...v] };
        if (v instanceof Map) return { map: [...v] };
        if (ArrayBuffer.isView(v)) return { [v.constructor.name]: [...v] };
        return v;
    });
    const differs = (name, got) => {
        if (name === 'cyclic') return !(got[0] === 'a' && got[1].ring === got);
        if (name === 'shared') return !(got[0] === got[1] && got[0] !== got[2] && show(got) === show(values[name]));
        if (name === 'date') return got.getTime() !== values.date.getTime();
        return show(got) !== show(values[name]);
    };
    const check = (write, read) => {
        const bad = [];
        for (const [name, value] of Object.entries(values)) {
            try {
                const got = read(write(value));
                if (differs(name, got)) bad.push([name, name === 'cyclic' ? 'no cycle' : show(got)]);
            } catch (e) { bad.push([name, `${e}`]); }
        }
        return bad;
    };
"#;

#[tokio::test]
async fn javascripts_values_come_back_as_structured_cloning_has_them() {
    let (site, listener) = serve::bind().await;
    let relay = Relay::configured(&json!({ "origins": [&site] }));
    let cbor_x = std::env::var("PEERAGE_CBOR_X").expect("run this by `cargo xtask test`");
    let cbor_x = std::fs::read_to_string(cbor_x).unwrap();
    let page = format!(
        "<!doctype html><script>{cbor_x}</script><script type=module>
        import init, {{ Node, encode, decode }} from './peerage.js';
        await init();
        {VALUES}
        const cborX = new CBOR.Encoder({{ structuredClone: true, useRecords: false, mapsAsObjects: true, int64AsNumber: true }});
        window.results = {{
            ours: check(encode, decode).concat(Object.is(decode(encode(-0)), -0) ? [] : ['-0']),
            fromTheirs: check(v => cborX.encode(v), decode),
            toTheirs: check(encode, b => cborX.decode(b)),
        }};
        window.refused = [() => 1, Symbol('x'), Promise.resolve(), /x/, new WeakMap()].map(v => {{
            try {{ encode({{ v }}); return 'taken'; }} catch (e) {{ return e.code; }}
        }});
        const proto = decode(encode(JSON.parse('{{\"__proto__\": {{ \"bad\": 1 }}}}')));
        window.proto = [Object.keys(proto), proto.bad === undefined];
        let deep = null;
        for (let n = 0; n < 100000; n++) deep = [deep];
        let depth = 0;
        for (let v = decode(encode(deep)); v; v = v[0]) depth++;
        window.depth = depth;
        window.peerage = await Node.join({{ relay: '{}' }});
        </script>",
        relay.mesh()
    );
    serve::run(listener, &page);
    let browsers = Browsers::start().await;
    let tab = browsers.open(&site).await;
    let results = tab.ask("return results").await;
    assert_eq!(results["ours"], json!([]));
    assert_eq!(results["fromTheirs"], json!([]));
    assert_eq!(results["toTheirs"], json!([]));
    assert_eq!(
        tab.ask("return refused").await,
        json!(vec!["bad-message"; 5])
    );
    assert_eq!(tab.ask("return proto").await, json!([["__proto__"], true]));
    assert_eq!(tab.ask("return depth").await, json!(100_000));
}
