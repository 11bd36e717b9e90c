//! Values there and back, and bytes that are none.

use std::sync::Arc;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::id::NodeId;

fn there_and_back(value: &Value) -> Value {
    decode(&encode(value, Form::Natural)).expect("our own bytes")
}

fn bytes(hex: &str) -> Bytes {
    data_encoding::HEXLOWER
        .decode(hex.as_bytes())
        .expect("hex")
        .into()
}

fn hex(value: &Value, form: Form) -> String {
    data_encoding::HEXLOWER.encode(&encode(value, form))
}

/// A graph of up to so many nodes, which lead anywhere.
fn random_value(rng: &mut ChaCha20Rng, nodes: u32) -> Value {
    let mut value = Value::default();
    let count = 1 + rng.next_u32() % nodes;
    for _ in 0..count {
        let len = rng.next_u32() % 5;
        let node = match rng.next_u32() % 6 {
            0 => Node::List((0..len).map(|_| random_item(rng, count)).collect()),
            1 => Node::Set((0..len).map(|n| Item::Unsigned(n.into())).collect()),
            2 => {
                let entry = |n| (format!("k{n}").into(), random_item(rng, count));
                Node::Record((0..len).map(entry).collect())
            }
            3 => {
                let mut item = || random_item(rng, count);
                Node::Map((0..len).map(|_| (item(), item())).collect())
            }
            4 => Node::Bytes(vec![7; len as usize].into()),
            _ => Node::Typed(Element::I16, vec![9; 2 * len as usize].into()),
        };
        value.add(node);
    }
    value.set_root(random_item(rng, count));
    value
}

fn random_item(rng: &mut ChaCha20Rng, nodes: u32) -> Item {
    match rng.next_u32() % 16 {
        0 => Item::Null,
        1 => Item::Undefined,
        2 => Item::Bool(rng.next_u32().is_multiple_of(2)),
        3 => Item::Unsigned(rng.next_u64() >> (rng.next_u32() % 64)),
        4 => Item::Negative(rng.next_u64() >> (rng.next_u32() % 64)),
        5 => Item::Float(f64::from_bits(rng.next_u64())),
        6 => Item::Float(f64::from(rng.next_u32() as i32) / 8.0),
        7 => Item::text(&"x".repeat(rng.next_u32() as usize % 30)),
        8 => Item::Date(f64::from(rng.next_u32()) * 1000.0 + f64::from(rng.next_u32() % 1000)),
        9 => Item::Big(Arc::new(Big {
            negative: rng.next_u32().is_multiple_of(2),
            magnitude: vec![1 + rng.next_u32() as u8 % 255; rng.next_u32() as usize % 20].into(),
        })),
        10 => Item::Pointer(Arc::new(Pointer {
            node: NodeId::from_bytes([3; 32]),
            handle: [rng.next_u32() as u8; 16],
            future: rng.next_u32().is_multiple_of(2),
        })),
        _ => Item::Node(Slot(rng.next_u32() % nodes)),
    }
}

#[test]
fn graphs_with_sharing_and_cycles_come_back_as_they_were() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    // Fewer where that takes long.
    let graphs = if cfg!(target_arch = "wasm32") {
        20_000
    } else {
        100_000
    };
    for n in 0..graphs {
        let value = random_value(&mut rng, 1 + n % 12);
        let back = there_and_back(&value);
        assert!(
            value.is_same_graph(&back),
            "number {n}: {value:?}\n{back:?}"
        );
        let again = encode(&back, Form::Natural);
        assert_eq!(
            again,
            encode(&value, Form::Natural),
            "number {n}: {value:?}"
        );
    }
}

#[test]
fn a_depth_of_a_hundred_thousand_is_nothing_special() {
    let mut value = Value::default();
    let mut item = Item::text("bottom");
    for _ in 0..100_000 {
        item = value.add(Node::List(vec![item]));
    }
    value.set_root(item);
    assert!(value.is_same_graph(&there_and_back(&value)));
}

#[test]
fn a_list_in_itself_is_one_list() {
    let mut value = Value::default();
    let item = value.add(Node::List(Vec::new()));
    let Item::Node(slot) = item else {
        panic!("a node")
    };
    *value.node_mut(slot).expect("there") = Node::List(vec![item.clone(), item.clone()]);
    value.set_root(item);
    assert_eq!(hex(&value, Form::Natural), "d81c82d81d00d81d00");
    let back = there_and_back(&value);
    assert_eq!(back.len(), 1);
    assert!(value.is_same_graph(&back));
    // Two lists that are alike are two.
    let alike = decode(&bytes("828080")).expect("a list");
    let shared = decode(&bytes("82d81c80d81d00")).expect("a list");
    assert_eq!((alike.len(), shared.len()), (3, 2));
    assert!(!alike.is_same_graph(&shared) && !shared.is_same_graph(&alike));
}

#[test]
fn the_examples_of_the_standard_are_read_and_written() {
    // RFC 8949, appendix A: what stands for one value has one encoding here.
    for (hex_of, item) in [
        ("00", Item::Unsigned(0)),
        ("1bffffffffffffffff", Item::Unsigned(u64::MAX)),
        ("3bffffffffffffffff", Item::Negative(u64::MAX)),
        ("3903e7", Item::from(-1000)),
        ("f98000", Item::Float(-0.0)),
        ("f93c00", Item::Float(1.0)),
        ("fb3ff199999999999a", Item::Float(1.1)),
        ("f90001", Item::Float(5.960_464_477_539_063e-8)),
        ("fa47c35000", Item::Float(100_000.0)),
        ("f97c00", Item::Float(f64::INFINITY)),
        ("f4", Item::Bool(false)),
        ("f6", Item::Null),
        ("f7", Item::Undefined),
        ("64f0908591", Item::text("\u{10151}")),
        ("c11a514b67b0", Item::Date(1_363_896_240_000.0)),
        ("c1fb41d452d9ec200000", Item::Date(1_363_896_240_500.0)),
    ] {
        assert_eq!(decode(&bytes(hex_of)).expect(hex_of).root(), &item);
        assert_eq!(hex(&Value::of(item), Form::Natural), hex_of);
    }
    let date = "c074323031332d30332d32315432303a30343a30305a";
    let date = decode(&bytes(date)).expect("a date as text");
    assert_eq!(date.root(), &Item::Date(1_363_896_240_000.0));
    let streamed = decode(&bytes("bf61610161629f0203ffff")).expect("of unknown length");
    assert_eq!(hex(&streamed, Form::Natural), "a26161016162820203");
    let text = decode(&bytes("7f657374726561646d696e67ff")).expect("in pieces");
    assert_eq!(text.root(), &Item::text("streaming"));
}

#[test]
fn equal_values_have_equal_bytes_in_the_deterministic_form() {
    let record = |keys: [&str; 3]| {
        let mut value = Value::default();
        let entries = keys.map(|key| (key.into(), Item::text(key)));
        let root = value.add(Node::Record(entries.into()));
        value.set_root(root);
        value
    };
    let (one, other) = (record(["b", "aa", "a"]), record(["aa", "a", "b"]));
    assert_ne!(hex(&one, Form::Natural), hex(&other, Form::Natural));
    // Bytewise by the encoded key: the shorter first.
    let expected = "a36161616161626162626161626161";
    assert_eq!(hex(&one, Form::Deterministic), expected);
    assert_eq!(hex(&other, Form::Deterministic), expected);
}

#[test]
fn typed_arrays_are_read_in_either_byte_order() {
    for hex in ["d8454401000200", "d8414400010002"] {
        let value = decode(&bytes(hex)).expect("two numbers");
        let numbers = Node::Typed(Element::U16, Bytes::from_static(&[1, 0, 2, 0]));
        assert_eq!(value.node(Slot(0)), Some(&numbers));
    }
    assert!(decode(&bytes("d84543010002")).is_err(), "half a number");
}

#[test]
fn what_is_no_value_is_refused_with_what_was_expected() {
    for (hex, words) in [
        ("", "end of input"),
        ("82", "end of input"),
        ("9b7fffffffffffffff", "end of input"),
        ("5a7fffffff00", "end of input"),
        ("0000", "expected the end, got 1 more bytes"),
        ("ff", "expected a value, got break"),
        ("bf00ff", "an item for each key, got a key alone"),
        ("61ff", "utf-8"),
        ("d81d00", "the number of something shared, got 0"),
        ("d81cd81d00", "the number of something shared, got 0"),
        (
            "d81c6161",
            "something that has an identity, as shared, got string",
        ),
        ("d90102a0", "a tag's own content, got tag 258 on a map"),
        ("d9010300", "a tag that is known here, got tag 259 on u8"),
        ("c0616e", "a date as RFC 3339 has it, got n"),
        ("c1f4", "seconds since 1970"),
        ("c1c100", "one tag, got tag 1 as well"),
        ("d903e700", "a tag that is known here, got tag 999 on u8"),
        ("da50656572824100", "end of input"),
        (
            "da5065657282410041ff",
            "a reference: [id of 32 bytes, handle of 16]",
        ),
        ("f8ff", "a value, got simple"),
    ] {
        let error = decode(&bytes(hex)).expect_err(hex).to_string();
        assert!(error.contains(words), "{hex}: {error}");
    }
    let many = [&[0x9f][..], &vec![0; crate::limits::VALUE_ITEMS_MAX]].concat();
    let error = decode(&many.into()).expect_err("too many");
    assert!(matches!(error, ObjectError::TooManyItems { .. }), "{error}");
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Shape {
    Nothing,
    Circle(f64),
    Box { width: u32, height: Option<i64> },
    Line((i8, i8), (i8, i8)),
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Drawing {
    name: String,
    shapes: Vec<Shape>,
    layers: std::collections::BTreeMap<String, u64>,
    places: std::collections::BTreeMap<i32, char>,
    tags: Set<String>,
    at: Date,
    home: Pointer,
    wide: (i128, u128, u64, i64),
    nothing: Option<()>,
}

fn drawing() -> Drawing {
    Drawing {
        name: "ä drawing".into(),
        shapes: vec![
            Shape::Nothing,
            Shape::Circle(1.5),
            Shape::Box {
                width: 3,
                height: Some(-4),
            },
            Shape::Line((0, -1), (127, -128)),
        ],
        layers: [("back".into(), 0), ("front".into(), u64::MAX)].into(),
        places: [(-5, 'a'), (5, 'ß')].into(),
        tags: Set(["x".into(), "y".into()].into()),
        at: Date(1_700_000_000_123.0),
        home: Pointer {
            node: NodeId::from_bytes([5; 32]),
            handle: [6; 16],
            future: true,
        },
        wide: (i128::MIN / 2, u128::MAX, u64::MAX, i64::MIN),
        nothing: None,
    }
}

#[test]
fn types_of_rusts_own_come_back_as_they_were() {
    let value = to_value(&drawing()).expect("a value");
    let back = there_and_back(&value);
    assert_eq!(from_value::<Drawing>(&back), Ok(drawing()));
    // What has a meaning to others is written as that.
    let Some(Item::Node(slot)) = Some(back.root()) else {
        panic!("a record")
    };
    let Some(Node::Record(entries)) = back.node(*slot) else {
        panic!("a record")
    };
    let entry = |name: &str| entries.iter().find(|(key, _)| **key == *name).map(|e| &e.1);
    assert_eq!(entry("at"), Some(&Item::Date(1_700_000_000_123.0)));
    assert!(matches!(entry("home"), Some(Item::Pointer(_))));
    let node = |name| match entry(name) {
        Some(Item::Node(slot)) => back.node(*slot),
        _ => None,
    };
    assert!(matches!(node("tags"), Some(Node::Set(_))));
    assert!(matches!(node("layers"), Some(Node::Record(_))));
    assert!(matches!(node("places"), Some(Node::Map(_))));
}

#[test]
fn a_type_that_does_not_fit_says_what_it_expected() {
    let value = to_value(&drawing()).expect("a value");
    let error = from_value::<Vec<u8>>(&value)
        .expect_err("a record")
        .to_string();
    assert!(error.contains("expected a sequence"), "{error}");
    let error = from_value::<u8>(&Value::of(Item::from(300))).expect_err("too large");
    assert!(error.to_string().contains("300"), "{error}");
    let error = from_value::<Shape>(&Value::of(Item::text("Star"))).expect_err("unknown");
    assert!(error.to_string().contains("Star"), "{error}");
}

#[test]
fn numbers_in_any_form_are_numbers_to_rust() {
    for hex in [
        "83010203",
        "43010203",
        "d84843010203",
        "d84546010002000300",
        "d9010283010203",
    ] {
        let value = decode(&bytes(hex)).expect(hex);
        assert_eq!(from_value::<Vec<i64>>(&value), Ok(vec![1, 2, 3]), "{hex}");
    }
    let floats = decode(&bytes("d85548000000400000c0bf")).expect("floats");
    assert_eq!(from_value::<Vec<f64>>(&floats), Ok(vec![2.0, -1.5]));
}

#[test]
fn a_value_that_is_longer_than_it_looks_is_no_type_of_rusts_own() {
    #[derive(Debug, serde::Deserialize)]
    struct Nest(#[expect(dead_code, reason = "only its shape counts")] Vec<Self>);
    let mut value = Value::default();
    let mut item = value.add(Node::List(Vec::new()));
    for _ in 0..100 {
        item = value.add(Node::List(vec![item.clone(), item]));
    }
    value.set_root(item);
    let value = there_and_back(&value);
    assert_eq!(value.len(), 101);
    let error = from_value::<Nest>(&value).expect_err("2^100 lists");
    assert!(matches!(error, ObjectError::TooManyItems { .. }), "{error}");

    // Not deep, and still far more than it looks: each of many the same long list of numbers.
    let mut value = Value::default();
    let numbers = value.add(Node::List(vec![Item::Unsigned(7); 10_000]));
    let root = value.add(Node::List(vec![numbers; 10_000]));
    value.set_root(root);
    let error = from_value::<Vec<Vec<u8>>>(&value).expect_err("a hundred million numbers");
    assert!(matches!(error, ObjectError::TooManyItems { .. }), "{error}");
}

#[test]
fn numbers_below_zero_and_keys_of_types_of_their_own_are_read() {
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
    enum Side {
        Left,
        Right,
    }
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
    struct Metres(i16);
    let sides = std::collections::BTreeMap::from([(Side::Left, 1), (Side::Right, 2)]);
    let value = to_value(&sides).expect("a value");
    assert_eq!(from_value(&value), Ok(sides));
    let typed = decode(&bytes("d84d44feff0500")).expect("two numbers");
    let metres = vec![Metres(-2), Metres(5)];
    assert_eq!(from_value(&typed), Ok(metres));
    assert_eq!(from_value(&typed), Ok(vec![Some(-2), Some(5)]));
    let big = decode(&bytes("c34104")).expect("minus five, as JavaScript's BigInt");
    assert_eq!(from_value::<i64>(&big), Ok(-5));
}

#[test]
fn a_cyclic_or_deep_value_is_no_type_of_rusts_own() {
    #[derive(Debug, serde::Deserialize)]
    struct Nest(#[expect(dead_code, reason = "only its shape counts")] Vec<Self>);
    let cyclic = decode(&bytes("d81c81d81d00")).expect("a list in itself");
    let error = from_value::<Nest>(&cyclic).expect_err("cyclic").to_string();
    assert!(error.contains("at most 128 levels"), "{error}");
    // What is not asked for may be as it likes.
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Part {
        wanted: u8,
    }
    let record = decode(&bytes("a26677616e746564016178d81c81d81d00")).expect("a record");
    assert_eq!(from_value::<Part>(&record), Ok(Part { wanted: 1 }));
}
