//! KAI's messages by their vectors, which are written from its layouts by hand.

use bytes::Bytes;
use peerage::limits::{KAI_DEPTH_MAX, KAI_ITEMS_MAX, KAI_MESSAGE_BYTES_MAX};
use peerage::object::{Blob, Item, Node, Set, Value, from_value, to_value};
use serde::{Deserialize, Serialize};

use super::codec::{KaiError, decode, encode};
use super::wire::{Line, Message, Outcome};

const VECTORS: &str = include_str!("../../../../../tests/wire/kai.json");

#[derive(Deserialize)]
struct Vector {
    name: String,
    hex: String,
    only: Option<String>,
}

fn vectors(only: Option<&str>) -> Vec<(String, Vec<u8>)> {
    let all: Vec<Vector> = serde_json::from_str(VECTORS).unwrap();
    let wanted = all
        .into_iter()
        .filter(|vector| vector.only.as_deref() == only);
    let bytes = |hex: &str| -> Vec<u8> {
        let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digits).collect()
    };
    wanted
        .map(|vector| (vector.name, bytes(&vector.hex)))
        .collect()
}

fn value(of: &impl Serialize) -> Value {
    to_value(of).unwrap()
}

fn line() -> Line {
    Line {
        sender: "A".into(),
        command: "1+2".into(),
        language: 1,
    }
}

fn call(future: i32, method: &str, args: Value) -> Message {
    Message::Call {
        handle: 7,
        future,
        method: method.into(),
        args,
    }
}

fn response(outcome: Outcome, error: &str, result: Value) -> Message {
    Message::Response {
        future: 1,
        outcome,
        error: error.into(),
        result,
    }
}

/// What each vector means.
fn meant(name: &str) -> Message {
    let sender = String::from("A");
    match name {
        "object" => Message::Object(value(&"hi")),
        "call" => call(1, "Add", value(&(1, 2))),
        "call without arguments" => call(0, "Reset", Value::list([])),
        "call with a value to come" => call(2, "AddLater", value(&((false, 9), 2))),
        "event" => Message::Event {
            name: "OnOpen".into(),
            payload: Bytes::from_static(&[1, 2]),
        },
        "response" => response(Outcome::Returned, "", value(&3)),
        "response without a value" => response(
            Outcome::BadRequest,
            "Unknown agent or method",
            Value::default(),
        ),
        "get" => Message::Get {
            handle: 7,
            future: 3,
            name: "Total".into(),
        },
        "set" => Message::Set {
            handle: 7,
            future: 4,
            name: "Total".into(),
            value: value(&1.5),
        },
        "resolve" => Message::Resolve {
            future: 9,
            value: value(&40),
            outcome: Outcome::Returned,
        },
        "command" => Message::Command(line()),
        "result" => Message::Result {
            sender,
            command: "1+2".into(),
            result: "3".into(),
        },
        "broadcast" => Message::Broadcast(line()),
        "language" => Message::Language {
            sender,
            language: 2,
        },
        "binary" => Message::Binary {
            sender,
            bytes: Bytes::from_static(b"abc"),
        },
        "values" => {
            let (map, set) = ([("a", 1)].into_iter(), [7].into_iter());
            let map: std::collections::BTreeMap<_, _> = map.collect();
            let bytes = Blob(Bytes::from_static(&[1, 2]));
            Message::Object(value(&(
                (),
                true,
                -5,
                0.5,
                "ä",
                map,
                Set(set.collect()),
                bytes,
            )))
        }
        other => panic!("no vector is called {other}"),
    }
}

fn is_same(one: &Message, other: &Message) -> bool {
    // Values are equal as graphs, wherever their parts stand.
    match (one, other) {
        (Message::Object(one), Message::Object(other)) => one.is_same_graph(other),
        (Message::Call { args, .. }, Message::Call { args: others, .. }) => {
            args.is_same_graph(others) && format!("{one:?}")[..40] == format!("{other:?}")[..40]
        }
        _ => one == other,
    }
}

#[test]
fn messages_have_the_bytes_that_kai_gives_them() {
    let vectors = vectors(None);
    assert_eq!(vectors.len(), 16);
    for (name, bytes) in vectors {
        let meant = meant(&name);
        let read = Message::decode(&bytes).unwrap();
        assert!(is_same(&read, &meant), "{name}: {read:?}");
        assert_eq!(meant.encode().unwrap(), bytes, "{name}");
    }
}

#[test]
fn what_older_nodes_say_and_other_types_are_read() {
    for (name, bytes) in vectors(Some("read")) {
        match Message::decode(&bytes).unwrap() {
            Message::Resolve { outcome, .. } => assert_eq!(outcome, Outcome::Returned, "{name}"),
            Message::Object(value) => {
                let Item::Node(slot) = value.root() else {
                    panic!("{value:?}")
                };
                let Some(Node::List(items)) = value.node(*slot) else {
                    panic!("{value:?}")
                };
                assert_eq!(items.len(), 11);
                assert_eq!(
                    items[..3],
                    [Item::Undefined, Item::Unsigned(8), Item::Float(2.5)]
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_hostile_is_refused_by_name() {
    let vectors = vectors(Some("refused"));
    assert_eq!(vectors.len(), 20);
    for (name, bytes) in vectors {
        let refused = Message::decode(&bytes);
        assert!(refused.is_err(), "{name}: {refused:?}");
    }
    // Cut anywhere, or with any byte changed, a message is another or none: nothing else happens.
    for (_, bytes) in self::vectors(None) {
        for at in 0..bytes.len() {
            let _ = Message::decode(&bytes[..at]);
            for change in [1, 0x7f, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                let _ = Message::decode(&changed);
            }
        }
    }
    let huge = vec![0x82; KAI_MESSAGE_BYTES_MAX + 1];
    assert_eq!(Message::decode(&huge), Err(KaiError::Large));
    // Each null takes four bytes: as many objects as one likes.
    let nulls = [
        &28i32.to_le_bytes()[..],
        &(KAI_ITEMS_MAX as i32).to_le_bytes(),
    ]
    .concat();
    let nulls = [nulls, vec![0; 4 * (KAI_ITEMS_MAX + 1)]].concat();
    assert_eq!(decode(&nulls), Err(KaiError::Many));
}

#[test]
fn what_kai_cannot_have_is_refused_by_name() {
    let mut nested = value(&1);
    for _ in 0..=KAI_DEPTH_MAX {
        nested = Value::list([nested]);
    }
    assert_eq!(encode(&nested), Err(KaiError::Deep));
    // A list that holds itself has no end.
    let mut cycle = Value::default();
    let list = cycle.add(Node::List(Vec::new()));
    let Item::Node(slot) = list.clone() else {
        panic!("a node")
    };
    if let Some(Node::List(items)) = cycle.node_mut(slot) {
        items.push(list.clone());
    }
    cycle.set_root(list);
    assert_eq!(encode(&cycle), Err(KaiError::Deep));
    // What is shared is written each time: ten levels of ten make ten thousand million.
    let mut bomb = Value::default();
    let mut item = Item::Unsigned(1);
    for _ in 0..KAI_DEPTH_MAX {
        item = bomb.add(Node::List(vec![item; 10]));
    }
    bomb.set_root(item);
    assert_eq!(encode(&bomb), Err(KaiError::Many));
    let nulls = Value::list(vec![value(&()); KAI_ITEMS_MAX]);
    assert_eq!(encode(&nulls), Err(KaiError::Many));
    let large = Blob(vec![0; KAI_MESSAGE_BYTES_MAX].into());
    assert_eq!(encode(&value(&large)), Err(KaiError::Large));
}

#[test]
fn whole_numbers_that_kai_has_no_room_for_are_doubles() {
    for (number, is_whole) in [
        (i64::from(i32::MAX), true),
        (i64::from(i32::MIN), true),
        (i64::from(i32::MAX) + 1, false),
        (i64::from(i32::MIN) - 1, false),
    ] {
        let back = decode(&encode(&value(&number)).unwrap()).unwrap();
        assert_eq!(matches!(back.root(), Item::Float(_)), !is_whole, "{number}");
        let number_back: f64 = from_value(&back).unwrap();
        assert_eq!(number_back, number as f64);
    }
}
