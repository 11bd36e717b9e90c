//! Values as trees that can be opened and closed: what calls return, what topics hold, and what frames carry.

use leptos::prelude::*;
use minicbor::Decoder;
use minicbor::data::{Token, Type};
use peerage::object::{self, Item, Value};

/// How deep a value is shown.
const DEPTH_MAX: usize = 16;
/// Parts of a value that are shown.
const PARTS_MAX: usize = 1000;
/// Bytes of a text or of bytes that are shown.
const TEXT_BYTES_MAX: usize = 4096;
/// Characters of a value in a line.
const LINE_CHARS_MAX: usize = 160;
/// Branches of so many parts are open at first.
const OPEN_MAX: usize = 24;

/// A value, to be shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    /// One thing: what kind it is of, and its text.
    Leaf(&'static str, String),
    /// Several, each with its name, between these.
    Branch([char; 2], Vec<(String, Self)>),
}

/// A value of an object.
pub(crate) fn of_value(value: &Value) -> Tree {
    let mut reader = Reader { rest: PARTS_MAX };
    reader.item(value, value.root(), 0)
}

/// All that bytes hold: items of CBOR one after the other, and what is none as it is.
pub(crate) fn of_cbor(bytes: &[u8]) -> Vec<Tree> {
    let mut reader = Reader { rest: PARTS_MAX };
    let mut decoder = Decoder::new(bytes);
    let mut trees = Vec::new();
    while decoder.position() < bytes.len() {
        let begin = decoder.position();
        match reader.cbor(&mut decoder, 0) {
            Some(tree) => trees.push(tree),
            None => {
                trees.push(hex(&bytes[begin..]));
                break;
            }
        }
    }
    trees
}

/// A value in a line.
pub(crate) fn in_line(tree: &Tree) -> String {
    let mut line = String::new();
    write_line(tree, &mut line);
    match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A value, with its name if it has any.
pub(crate) fn show(name: &str, tree: &Tree) -> AnyView {
    let name = (!name.is_empty()).then(|| view! { <b>{format!("{name}: ")}</b> });
    match tree {
        Tree::Leaf(kind, text) => {
            view! { <div class="leaf">{name}<span class={*kind}>{text.clone()}</span></div> }
                .into_any()
        }
        Tree::Branch(between, parts) if parts.is_empty() => {
            let text: String = between.iter().collect();
            view! { <div class="leaf">{name}<span>{text}</span></div> }.into_any()
        }
        Tree::Branch([open, close], parts) => {
            let summary = format!("{open}{}{close}", parts.len());
            let inner: Vec<_> = parts.iter().map(|(name, part)| show(name, part)).collect();
            view! {
                <details open={parts.len() <= OPEN_MAX}>
                    <summary>{name}<span class="soft">{summary}</span></summary>
                    {inner}
                </details>
            }
            .into_any()
        }
    }
}

struct Reader {
    /// Parts that may still be shown.
    rest: usize,
}

impl Reader {
    fn item(&mut self, value: &Value, item: &Item, depth: usize) -> Tree {
        let number = |text: String| Tree::Leaf("number", text);
        match item {
            Item::Undefined => Tree::Leaf("word", "undefined".into()),
            Item::Null => Tree::Leaf("word", "null".into()),
            Item::Bool(flag) => Tree::Leaf("word", flag.to_string()),
            Item::Unsigned(n) => number(n.to_string()),
            Item::Negative(n) => number((-1 - i128::from(*n)).to_string()),
            Item::Float(n) => number(n.to_string()),
            Item::Big(big) => number(format!("a number of {} bytes", big.magnitude.len())),
            Item::Text(text) => Tree::Leaf("text", quoted(text)),
            Item::Date(ms) => {
                let date = js_sys::Date::new(&(*ms).into());
                Tree::Leaf("word", String::from(date.to_string()))
            }
            // Its handle is for those who were told.
            Item::Pointer(pointer) => {
                let what = if pointer.future {
                    "a value to come"
                } else {
                    "an object"
                };
                Tree::Leaf("word", format!("{what} at {}", pointer.node.short()))
            }
            Item::Node(slot) => match value.node(*slot) {
                Some(node) if depth < DEPTH_MAX => self.node(value, node, depth + 1),
                _ => Tree::Leaf("soft", "…".into()),
            },
        }
    }

    fn node(&mut self, value: &Value, node: &object::Node, depth: usize) -> Tree {
        let entries: Vec<(String, &Item)> = match node {
            object::Node::Bytes(bytes) | object::Node::Typed(_, bytes) => return hex(bytes),
            object::Node::List(items) | object::Node::Set(items) => {
                let items = items.iter().enumerate();
                items.map(|(n, item)| (n.to_string(), item)).collect()
            }
            object::Node::Record(fields) => {
                let fields = fields.iter();
                fields
                    .map(|(name, item)| (name.to_string(), item))
                    .collect()
            }
            object::Node::Map(entries) => {
                let mut named = Vec::new();
                for (key, item) in entries.iter().take(self.rest) {
                    named.push((in_line(&self.item(value, key, depth)), item));
                }
                named
            }
        };
        let between = match node {
            object::Node::Record(_) | object::Node::Map(_) => ['{', '}'],
            _ => ['[', ']'],
        };
        let mut parts = Vec::new();
        for (name, item) in entries {
            if !self.takes(&mut parts) {
                break;
            }
            parts.push((name, self.item(value, item, depth)));
        }
        Tree::Branch(between, parts)
    }

    /// An item of CBOR; nothing for what is none, or ends too soon.
    fn cbor(&mut self, decoder: &mut Decoder<'_>, depth: usize) -> Option<Tree> {
        match decoder.datatype().ok()? {
            _ if depth > DEPTH_MAX => {
                decoder.skip().ok()?;
                Some(Tree::Leaf("soft", "…".into()))
            }
            Type::Array | Type::ArrayIndef => {
                let count = decoder.array().ok()?;
                self.cbor_parts(decoder, ['[', ']'], count, depth, |_, n, _| {
                    Some(n.to_string())
                })
            }
            Type::Map | Type::MapIndef => {
                let count = decoder.map().ok()?;
                self.cbor_parts(decoder, ['{', '}'], count, depth, |reader, _, decoder| {
                    Some(in_line(&reader.cbor(decoder, depth + 1)?))
                })
            }
            Type::Tag => {
                let tag = decoder.tag().ok()?.as_u64();
                let tagged = self.cbor(decoder, depth + 1)?;
                Some(Tree::Branch(
                    ['(', ')'],
                    vec![(format!("tag {tag}"), tagged)],
                ))
            }
            // The end of what did not begin.
            Type::Break => None,
            Type::Bytes => Some(self.within(decoder.bytes().ok()?, depth)),
            Type::BytesIndef | Type::StringIndef => {
                decoder.skip().ok()?;
                Some(Tree::Leaf("soft", "in pieces".into()))
            }
            Type::String => Some(Tree::Leaf("text", quoted(decoder.str().ok()?))),
            _ => Some(match decoder.tokens().next()?.ok()? {
                token @ (Token::Bool(_) | Token::Null | Token::Undefined | Token::Simple(_)) => {
                    Tree::Leaf("word", token.to_string())
                }
                Token::F16(number) | Token::F32(number) => Tree::Leaf("number", number.to_string()),
                Token::F64(number) => Tree::Leaf("number", number.to_string()),
                token => Tree::Leaf("number", token.to_string()),
            }),
        }
    }

    fn cbor_parts(
        &mut self,
        decoder: &mut Decoder<'_>,
        between: [char; 2],
        count: Option<u64>,
        depth: usize,
        mut name: impl FnMut(&mut Self, usize, &mut Decoder<'_>) -> Option<String>,
    ) -> Option<Tree> {
        let mut parts = Vec::new();
        for n in 0.. {
            let is_over = match count {
                Some(count) => n as u64 >= count,
                None => decoder.datatype().ok()? == Type::Break,
            };
            if is_over {
                if count.is_none() {
                    decoder.set_position(decoder.position() + 1);
                }
                break;
            }
            if !self.takes(&mut parts) {
                return None;
            }
            let name = name(self, n, decoder)?;
            parts.push((name, self.cbor(decoder, depth + 1)?));
        }
        Some(Tree::Branch(between, parts))
    }

    /// Bytes, which may hold CBOR themselves.
    fn within(&mut self, bytes: &[u8], depth: usize) -> Tree {
        let mut decoder = Decoder::new(bytes);
        let begins_like_one = decoder
            .datatype()
            .is_ok_and(|kind| matches!(kind, Type::Array | Type::Map | Type::String | Type::Tag));
        let inner = begins_like_one
            .then(|| self.cbor(&mut decoder, depth + 1))
            .flatten();
        match inner.filter(|_| decoder.position() == bytes.len()) {
            Some(inner) => Tree::Branch(['<', '>'], vec![(String::from("CBOR"), inner)]),
            None => hex(bytes),
        }
    }

    /// Whether there is room for one more part; if not, that is said.
    fn takes(&mut self, parts: &mut Vec<(String, Tree)>) -> bool {
        if self.rest == 0 {
            parts.push((String::new(), Tree::Leaf("soft", "and more…".into())));
            return false;
        }
        self.rest -= 1;
        true
    }
}

fn quoted(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    let more = if end < text.len() { "…" } else { "" };
    format!("{:?}{more}", &text[..end])
}

fn hex(bytes: &[u8]) -> Tree {
    const SHOWN: usize = 64;
    let digits = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}"));
    let more = if bytes.len() > SHOWN { "…" } else { "" };
    let digits = digits.collect::<String>();
    Tree::Leaf("bytes", format!("{} bytes {digits}{more}", bytes.len()))
}

fn write_line(tree: &Tree, line: &mut String) {
    if line.len() > LINE_CHARS_MAX * 4 {
        return;
    }
    match tree {
        Tree::Leaf(_, text) => line.push_str(text),
        Tree::Branch([open, close], parts) => {
            line.push(*open);
            for (n, (name, part)) in parts.iter().enumerate() {
                if n > 0 {
                    line.push_str(", ");
                }
                if *open == '{' {
                    line.push_str(name);
                    line.push_str(": ");
                }
                write_line(part, line);
            }
            line.push(*close);
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        of_cbor(bytes).iter().map(in_line).collect()
    }

    #[test]
    fn values_are_read_to_their_end_and_what_follows_too() {
        // [1, -2, "a"], then {"b": h'820102'}, then what is no CBOR.
        let bytes = b"\x83\x01\x21\x61a\xa1\x61b\x43\x82\x01\x02\xff\x00";
        assert_eq!(
            lines(bytes),
            ["[1, -2, \"a\"]", "{\"b\": <[1, 2]>}", "2 bytes ff00"]
        );
        assert_eq!(lines(b"\x9f\x01\x02\xff\xf6"), ["[1, 2]", "null"]);
    }

    #[test]
    fn what_is_deep_wide_or_torn_is_shown_as_far_as_it_goes() {
        let deep = [vec![0x81; 5000], vec![0x00]].concat();
        assert!(lines(&deep)[0].starts_with("[[[["));
        let wide = [vec![0x99, 0xff, 0xff], vec![0x00; 0xffff]].concat();
        assert!(lines(&wide)[0].ends_with('…'));
        assert_eq!(lines(b"\x82\x01"), ["2 bytes 8201"]);
        assert!(lines(&[0x9b; 9])[0].starts_with("9 bytes"));
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn an_object_that_leads_back_to_itself_has_an_end() {
        let mut value = Value::default();
        let list = value.add(object::Node::List(Vec::new()));
        if let Item::Node(slot) = &list {
            *value.node_mut(*slot).unwrap() =
                object::Node::List(vec![list.clone(), Item::Bool(true)]);
        }
        value.set_root(list);
        let line = in_line(&of_value(&value));
        assert!(line.starts_with("[[[[") && line.contains('…'), "{line}");
    }
}
