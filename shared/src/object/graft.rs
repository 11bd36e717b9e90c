//! Values made of values, and taken out of them again.

use std::collections::HashMap;

use super::value::{Item, Node, Slot, Value};

impl Value {
    /// A list of these. What was shared within one of them stays so.
    pub fn list(values: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self::default();
        let mut items = Vec::new();
        for value in values {
            let offset = whole.nodes.len();
            let moved = |slot: Slot| Slot::at(offset + slot.place());
            items.push(with_slots(value.root().clone(), moved));
            let nodes = value.nodes.into_iter();
            whole
                .nodes
                .extend(nodes.map(|node| map_slots(node, &mut |slot| moved(slot))));
        }
        let root = whole.add(Node::List(items));
        whole.set_root(root);
        whole
    }

    /// The first items of a list, each as a value of its own, and `undefined` for each that there is not.
    /// What two of them shared is then in both.
    pub fn into_parts<const N: usize>(self) -> [Self; N] {
        let items = match self.root() {
            Item::Node(slot) => match self.node(*slot) {
                Some(Node::List(items)) => items.as_slice(),
                _ => &[],
            },
            _ => &[],
        };
        core::array::from_fn(|at| self.part(items.get(at).cloned().unwrap_or(Item::Undefined)))
    }

    /// What an item of this value leads to, and nothing else.
    fn part(&self, root: Item) -> Self {
        let mut part = Self::default();
        let mut places: HashMap<Slot, Slot> = HashMap::new();
        let mut open = Vec::new();
        let mut place = |slot: Slot, open: &mut Vec<Slot>| {
            let next = Slot::at(places.len());
            *places.entry(slot).or_insert_with(|| {
                open.push(slot);
                next
            })
        };
        let root = with_slots(root, |slot| place(slot, &mut open));
        let mut done = 0;
        while let Some(slot) = open.get(done).copied() {
            done += 1;
            if let Some(node) = self.node(slot) {
                let node = map_slots(node.clone(), &mut |slot| place(slot, &mut open));
                part.nodes.push(node);
            }
        }
        part.set_root(root);
        part
    }
}

fn with_slots(item: Item, map: impl FnOnce(Slot) -> Slot) -> Item {
    match item {
        Item::Node(slot) => Item::Node(map(slot)),
        other => other,
    }
}

fn map_slots(node: Node, map: &mut impl FnMut(Slot) -> Slot) -> Node {
    let mut each = |item| with_slots(item, &mut *map);
    match node {
        Node::List(items) => Node::List(items.into_iter().map(each).collect()),
        Node::Set(items) => Node::Set(items.into_iter().map(each).collect()),
        Node::Record(entries) => {
            let entries = entries.into_iter();
            Node::Record(entries.map(|(key, item)| (key, each(item))).collect())
        }
        Node::Map(entries) => {
            let entries = entries.into_iter();
            Node::Map(entries.map(|(k, v)| (each(k), each(v))).collect())
        }
        Node::Bytes(_) | Node::Typed(..) => node,
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::object::{Form, decode, encode, to_value};

    /// A list that holds itself, and twice the same list.
    fn knot() -> Value {
        let mut value = Value::default();
        let inner = value.add(Node::List(vec![Item::text("x")]));
        let outer = value.add(Node::List(vec![inner.clone(), inner]));
        if let Item::Node(slot) = outer
            && let Some(Node::List(items)) = value.node_mut(slot)
        {
            items.push(Item::Node(slot));
        }
        value.set_root(outer);
        value
    }

    #[test]
    fn values_come_out_of_a_list_as_they_went_in() {
        let plain = to_value(&("a", 1, vec![2.5])).unwrap();
        let values = [knot(), Value::of(Item::Bool(true)), plain];
        let whole = Value::list(values.clone());
        let whole = decode(&encode(&whole, Form::Natural)).unwrap();
        let parts: [_; 3] = whole.into_parts();
        for (part, value) in parts.iter().zip(&values) {
            assert!(part.is_same_graph(value), "{part:?}");
            assert_eq!(part.len(), value.len());
        }
    }

    #[test]
    fn what_is_no_list_has_no_parts() {
        let nothing = [Value::of(Item::Undefined)];
        assert_eq!(Value::of(Item::text("x")).into_parts(), nothing);
        assert_eq!(to_value(&Some(())).unwrap().into_parts(), nothing);
        assert_eq!(Value::list([]).into_parts(), nothing);
    }
}
