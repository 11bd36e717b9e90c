//! JavaScript's values and the core's, as structured cloning has it: what is one object stays one object,
//! cycles included. Nothing here recurses.

use std::sync::Arc;

use js_sys::{
    Array, ArrayBuffer, BigInt, BigInt64Array, BigUint64Array, Date, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Map, Number, Object, Reflect, Set, Uint8Array,
    Uint8ClampedArray, Uint16Array, Uint32Array,
};
use peerage::Failure;
use peerage::error::Code;
use peerage::object::{self, Big, Element, Form, Item, Node, Pointer, Slot, Value};
use wasm_bindgen::prelude::*;

use crate::error::to_js;
use crate::{objects, page};

/// Bytes of a value, as services write them (CBOR): for streams and datagrams of a page's own.
#[wasm_bindgen]
pub fn encode(
    #[wasm_bindgen(unchecked_param_type = "unknown")] value: &JsValue,
) -> Result<Uint8Array, JsValue> {
    let value = from_js(value).map_err(|failure| to_js(&failure))?;
    Ok(Uint8Array::from(&object::encode(&value, Form::Natural)[..]))
}

/// The value of such bytes.
#[wasm_bindgen(unchecked_return_type = "unknown")]
pub fn decode(bytes: &[u8]) -> Result<JsValue, JsValue> {
    let value = object::decode(&bytes.to_vec().into());
    let value = value.map_err(|error| to_js(&Code::BadMessage.because(error.to_string())))?;
    into_js(&value).map_err(|failure| to_js(&failure))
}

/// What travels by reference, where anything can.
pub(crate) trait References {
    /// The item of something that is no value; `None` if it is one.
    fn reference(&self, js: &JsValue) -> Option<Result<Item, Failure>>;
}

/// Where nothing can.
struct NoReferences;

impl References for NoReferences {
    fn reference(&self, _: &JsValue) -> Option<Result<Item, Failure>> {
        None
    }
}

/// The core's value of one of JavaScript's.
pub(crate) fn from_js(js: &JsValue) -> Result<Value, Failure> {
    from_js_with(js, &NoReferences)
}

/// As [`from_js`], where some things travel by reference.
pub(crate) fn from_js_with(js: &JsValue, references: &dyn References) -> Result<Value, Failure> {
    let mut reader = Reader {
        references,
        value: Value::default(),
        seen: Map::new(),
        open: Vec::new(),
    };
    let root = reader.item(js)?;
    reader.value.set_root(root);
    while let Some((slot, object)) = reader.open.pop() {
        let node = reader.node(&object)?;
        if let Item::Node(slot) = slot
            && let Some(place) = reader.value.node_mut(slot)
        {
            *place = node;
        }
    }
    Ok(reader.value)
}

struct Reader<'a> {
    references: &'a dyn References,
    value: Value,
    /// The number of each object that has a place in the value.
    seen: Map,
    /// Objects that have a place and were not looked into.
    open: Vec<(Item, Object)>,
}

impl Reader<'_> {
    fn item(&mut self, js: &JsValue) -> Result<Item, Failure> {
        if js.is_undefined() {
            return Ok(Item::Undefined);
        }
        if js.is_null() {
            return Ok(Item::Null);
        }
        if let Some(yes) = js.as_bool() {
            return Ok(Item::Bool(yes));
        }
        if let Some(number) = js.as_f64() {
            let whole =
                Number::is_safe_integer(js) && !(number == 0.0 && number.is_sign_negative());
            return Ok(if whole {
                Item::from(number as i64)
            } else {
                Item::Float(number)
            });
        }
        if let Some(text) = js.as_string() {
            return Ok(Item::text(&text));
        }
        if let Some(big) = js.dyn_ref::<BigInt>() {
            return Ok(Item::Big(Arc::new(big_of(big)?)));
        }
        if let Some(date) = js.dyn_ref::<Date>() {
            return Ok(Item::Date(page::time_of(date).map_err(unreadable)?));
        }
        if let Some(reference) = self.references.reference(js) {
            return reference;
        }
        match page::object(js) {
            Some(object) if !js.is_function() => Ok(self.object(object)),
            _ => Err(not_cloned(js)),
        }
    }

    fn object(&mut self, object: &Object) -> Item {
        if let Some(place) = self.seen.get(object).as_f64() {
            return Item::Node(Slot::at(place as usize));
        }
        let item = self.value.add(Node::List(Vec::new()));
        let place = (self.value.len() - 1) as f64;
        self.seen.set(object, &place.into());
        self.open.push((item.clone(), object.clone()));
        item
    }

    fn node(&mut self, object: &Object) -> Result<Node, Failure> {
        if let Some(bytes) = bytes_of(object)? {
            return Ok(bytes);
        }
        if page::is_array(object).map_err(unreadable)? {
            return Ok(Node::List(self.items(page::items(object))?));
        }
        if object.is_instance_of::<Set>() {
            return Ok(Node::Set(self.items(page::members(object))?));
        }
        if object.is_instance_of::<Map>() {
            let entries = page::entries(object).map_err(unreadable)?;
            let entries = entries
                .iter()
                .map(|(key, value)| Ok((self.item(key)?, self.item(value)?)));
            return Ok(Node::Map(entries.collect::<Result<_, Failure>>()?));
        }
        if !is_plain(object)? {
            return Err(not_cloned(object));
        }
        let keys = page::keys(object).map_err(unreadable)?;
        let entries = keys.iter().map(|key| {
            let text = key.as_string().unwrap_or_default();
            let item = Reflect::get(object, &key).map_err(unreadable)?;
            Ok((text.into(), self.item(&item)?))
        });
        Ok(Node::Record(entries.collect::<Result<_, Failure>>()?))
    }

    fn items(&mut self, items: Result<Vec<JsValue>, JsValue>) -> Result<Vec<Item>, Failure> {
        let items = items.map_err(unreadable)?;
        items.iter().map(|item| self.item(item)).collect()
    }
}

/// What has fields and nothing but fields. Those that hold something else (a promise, a regular
/// expression, an element) say so by their tag.
fn is_plain(object: &Object) -> Result<bool, Failure> {
    Ok(page::tag_of(object).map_err(unreadable)? == "[object Object]")
}

fn not_cloned(js: &JsValue) -> Failure {
    let kind = page::tag_of(js).unwrap_or_else(|_| "what does not say what it is".into());
    Code::BadMessage.because(format!("expected a value that can be cloned, got {kind}"))
}

/// The page's own value threw when it was read.
fn unreadable(thrown: JsValue) -> Failure {
    let why = page::text_of(&thrown);
    Code::BadMessage.because(format!("expected a value that can be cloned: {why}"))
}

fn big_of(big: &BigInt) -> Result<Big, Failure> {
    let negative = big.lt(&BigInt::from(0));
    // Below zero, CBOR counts from minus one.
    let magnitude = if negative {
        (-big) - BigInt::from(1)
    } else {
        big.clone()
    };
    let hex = String::from(magnitude.to_string(16).map_err(|_| not_cloned(big))?);
    let hex = if hex.len() % 2 == 1 {
        format!("0{hex}")
    } else {
        hex
    };
    let digits = |pair: &[u8]| {
        let text = core::str::from_utf8(pair).unwrap_or_default();
        u8::from_str_radix(text, 16).unwrap_or_default()
    };
    let bytes: Vec<_> = hex.as_bytes().chunks(2).map(digits).collect();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Ok(Big {
        negative,
        magnitude: bytes[zeros..].into(),
    })
}

/// Bytes and numbers of one kind; those of a whole buffer come back as bytes.
fn bytes_of(object: &Object) -> Result<Option<Node>, Failure> {
    if object.is_instance_of::<Uint8Array>() || object.is_instance_of::<ArrayBuffer>() {
        let bytes = page::bytes(object).map_err(unreadable)?;
        return Ok(Some(Node::Bytes(bytes.into())));
    }
    let Some(element) = element_of(object) else {
        return Ok(None);
    };
    let bytes = page::bytes(object).map_err(unreadable)?;
    // The page's own class may say anything of its length.
    if !bytes.len().is_multiple_of(element.width()) {
        return Err(not_cloned(object));
    }
    Ok(Some(Node::Typed(element, bytes.into())))
}

fn element_of(object: &Object) -> Option<Element> {
    macro_rules! typed {
        ($($array:ident: $element:ident),*) => {$(
            if object.is_instance_of::<$array>() {
                return Some(Element::$element);
            }
        )*};
    }
    typed!(
        Uint8ClampedArray: U8Clamped, Uint16Array: U16, Uint32Array: U32, BigUint64Array: U64,
        Int8Array: I8, Int16Array: I16, Int32Array: I32, BigInt64Array: I64,
        Float32Array: F32, Float64Array: F64
    );
    None
}

/// JavaScript's value of one of the core's.
pub(crate) fn into_js(value: &Value) -> Result<JsValue, Failure> {
    into_js_with(value, &|_| {
        Err(Code::BadMessage.because("references need a session, which bytes have not"))
    })
}

/// As [`into_js`], where references are known.
pub(crate) fn into_js_with(
    value: &Value,
    resolve: &dyn Fn(&Pointer) -> Result<JsValue, Failure>,
) -> Result<JsValue, Failure> {
    let objects: Vec<_> = value.nodes().iter().map(empty).collect();
    let js = |item: &Item| match item {
        Item::Node(slot) => Ok(objects.get(slot.place()).cloned().unwrap_or(JsValue::NULL)),
        Item::Pointer(pointer) => resolve(pointer),
        item => plain(item),
    };
    for (node, object) in value.nodes().iter().zip(&objects) {
        match node {
            Node::List(items) => {
                let list: &Array = object.unchecked_ref();
                for item in items {
                    list.push(&js(item)?);
                }
            }
            Node::Set(items) => {
                let set: &Set = object.unchecked_ref();
                for item in items {
                    set.add(&js(item)?);
                }
            }
            Node::Map(entries) => {
                let map: &Map = object.unchecked_ref();
                for (key, item) in entries {
                    map.set(&js(key)?, &js(item)?);
                }
            }
            Node::Record(entries) => {
                for (key, item) in entries {
                    define(object.unchecked_ref(), key, &js(item)?);
                }
            }
            Node::Bytes(_) | Node::Typed(..) => {}
        }
    }
    js(value.root())
}

/// An entry of a plain object, whatever its name: `__proto__` is a name like any other.
fn define(object: &Object, key: &str, item: &JsValue) {
    let done = if key == "__proto__" {
        let descriptor = objects::object(&[
            ("value", item.clone()),
            ("writable", JsValue::TRUE),
            ("enumerable", JsValue::TRUE),
            ("configurable", JsValue::TRUE),
        ]);
        Reflect::define_property(object, &key.into(), descriptor.unchecked_ref())
    } else {
        Reflect::set(object, &key.into(), item)
    };
    debug_assert!(done.is_ok(), "a fresh object takes any property");
}

/// What a node becomes, without what is in it.
fn empty(node: &Node) -> JsValue {
    let (element, bytes) = match node {
        Node::List(_) => return Array::new().into(),
        Node::Record(_) => return Object::new().into(),
        Node::Map(_) => return Map::new().into(),
        Node::Set(_) => return Set::new(&JsValue::UNDEFINED).into(),
        Node::Bytes(bytes) => return Uint8Array::from(&bytes[..]).into(),
        Node::Typed(element, bytes) => (element, bytes),
    };
    let buffer: JsValue = Uint8Array::from(&bytes[..]).buffer().into();
    match element {
        Element::U8Clamped => Uint8ClampedArray::new(&buffer).into(),
        Element::U16 => Uint16Array::new(&buffer).into(),
        Element::U32 => Uint32Array::new(&buffer).into(),
        Element::U64 => BigUint64Array::new(&buffer).into(),
        Element::I8 => Int8Array::new(&buffer).into(),
        Element::I16 => Int16Array::new(&buffer).into(),
        Element::I32 => Int32Array::new(&buffer).into(),
        Element::I64 => BigInt64Array::new(&buffer).into(),
        Element::F32 => Float32Array::new(&buffer).into(),
        Element::F64 => Float64Array::new(&buffer).into(),
    }
}

fn plain(item: &Item) -> Result<JsValue, Failure> {
    Ok(match item {
        Item::Undefined => JsValue::UNDEFINED,
        Item::Null | Item::Node(_) | Item::Pointer(_) => JsValue::NULL,
        Item::Bool(yes) => (*yes).into(),
        Item::Unsigned(number) if *number <= MAX_SAFE => (*number as f64).into(),
        Item::Unsigned(number) => BigInt::from(*number).into(),
        Item::Negative(number) if *number < MAX_SAFE => (-1.0 - *number as f64).into(),
        Item::Negative(number) => (-BigInt::from(*number) - BigInt::from(1)).into(),
        Item::Float(number) => (*number).into(),
        Item::Text(text) => (&**text).into(),
        Item::Date(millis) => Date::new(&(*millis).into()).into(),
        Item::Big(big) => js_big(big)?,
    })
}

/// The largest whole number that a number holds without doubt.
const MAX_SAFE: u64 = (1 << 53) - 1;

fn js_big(big: &Big) -> Result<JsValue, Failure> {
    let hex: String = big
        .magnitude
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let magnitude = BigInt::new(&format!("0x0{hex}").into())
        .map_err(|_| Code::TooLarge.because("a whole number longer than the browser takes"))?;
    Ok(if big.negative {
        (-magnitude - BigInt::from(1)).into()
    } else {
        magnitude.into()
    })
}
