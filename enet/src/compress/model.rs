//! How often each byte came after which: a tree of bytes for each context. A byte of a tree is the
//! context of what comes after it.

/// Numbers of a context stay below this.
const TOTAL_MAX: u16 = u16::MAX - 0xFF;
/// What not having known a byte counts.
const ESCAPE: u16 = 5;
const SYMBOLS: usize = 4096;
/// Symbols that one byte may make: one for each context.
const SYMBOLS_AT_ONCE: usize = 2;

/// How a context counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// What a byte counts each time.
    step: u8,
    /// What a byte counts that never came.
    least: u16,
}

/// For the context of nothing, which knows every byte.
pub(super) const ROOT: Rules = Rules { step: 3, least: 1 };
/// For all others.
pub(super) const SUB: Rules = Rules { step: 2, least: 0 };

#[derive(Debug)]
pub(super) struct Model {
    symbols: Box<[Symbol; SYMBOLS]>,
    next: usize,
}

/// Places of others are indexes; 0 is none.
#[derive(Debug, Clone, Copy, Default)]
struct Symbol {
    value: u8,
    count: u8,
    /// What it and those left of it count.
    under: u16,
    left: u16,
    right: u16,
    /// The tree of what came after it.
    tree: u16,
    escapes: u16,
    total: u16,
    /// The same with one byte less before it.
    parent: u16,
}

/// A byte in a context.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) symbol: u16,
    pub(super) value: u8,
    /// What those before it count,
    pub(super) under: u16,
    /// and it.
    pub(super) count: u16,
}

/// What all bytes of a context count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    pub(super) escapes: u16,
    pub(super) total: u16,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            symbols: Box::new([Symbol::default(); SYMBOLS]),
            next: 0,
        }
    }
}

impl Model {
    /// The context of nothing.
    pub(super) const ROOT: u16 = 0;

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        self.next = 0;
        let root = self.create(0, 0);
        let root = self.at(root);
        root.escapes = 1;
        root.total = 1 + 256 * ROOT.least;
    }

    /// Whether the next byte might be too much.
    pub(super) fn is_full(&self) -> bool {
        self.next >= SYMBOLS - SYMBOLS_AT_ONCE
    }

    pub(super) fn context(&self, context: u16) -> Context {
        let Symbol { escapes, total, .. } = self.symbols[usize::from(context)];
        Context { escapes, total }
    }

    pub(super) fn parent(&self, symbol: u16) -> u16 {
        self.symbols[usize::from(symbol)].parent
    }

    pub(super) fn set_parent(&mut self, symbol: u16, parent: u16) {
        self.at(symbol).parent = parent;
    }

    /// Counts a byte in a context; says what it counted before.
    pub(super) fn add(&mut self, context: u16, value: u8, rules: Rules) -> Found {
        let Rules { step, least } = rules;
        let mut found = Found {
            symbol: 0,
            value,
            under: u16::from(value) * least,
            count: least,
        };
        let mut node = self.at(context).tree;
        if node == 0 {
            found.symbol = self.create(value, step);
            self.at(context).tree = found.symbol;
            return found;
        }
        loop {
            let next = self.next as u16;
            let symbol = self.at(node);
            let child = match value.cmp(&symbol.value) {
                std::cmp::Ordering::Less => {
                    symbol.under = symbol.under.wrapping_add(step.into());
                    &mut symbol.left
                }
                std::cmp::Ordering::Greater => {
                    found.under = found.under.wrapping_add(symbol.under);
                    &mut symbol.right
                }
                std::cmp::Ordering::Equal => {
                    let count = u16::from(symbol.count);
                    found.count += count;
                    found.under = found.under.wrapping_add(symbol.under.wrapping_sub(count));
                    symbol.add(step);
                    found.symbol = node;
                    return found;
                }
            };
            if *child == 0 {
                *child = next;
                found.symbol = self.create(value, step);
                return found;
            }
            node = *child;
        }
    }

    /// Finds and counts the byte at a place in a context. Only the root has those that never came.
    pub(super) fn find(&mut self, context: u16, code: u16, rules: Rules) -> Option<Found> {
        let Rules { step, least } = rules;
        let mut found = Found {
            symbol: 0,
            value: 0,
            under: 0,
            count: least,
        };
        let mut node = self.at(context).tree;
        if node == 0 {
            found.value = code.checked_div(least)? as u8;
            found.under = code;
            found.symbol = self.create(found.value, step);
            self.at(context).tree = found.symbol;
            return Some(found);
        }
        loop {
            let next = self.next as u16;
            let symbol = self.at(node);
            let after = found
                .under
                .wrapping_add(symbol.under)
                .wrapping_add((u16::from(symbol.value) + 1) * least);
            let before = after.wrapping_sub(u16::from(symbol.count) + least);
            let (child, value) = if code >= after {
                found.under = found.under.wrapping_add(symbol.under);
                let value = symbol
                    .value
                    .wrapping_add(1)
                    .wrapping_add((code - after) as u8);
                (&mut symbol.right, value)
            } else if code < before {
                symbol.under = symbol.under.wrapping_add(step.into());
                let value = symbol
                    .value
                    .wrapping_sub(1)
                    .wrapping_sub((before - code - 1) as u8);
                (&mut symbol.left, value)
            } else {
                found.value = symbol.value;
                found.count += u16::from(symbol.count);
                found.under = before;
                symbol.add(step);
                found.symbol = node;
                return Some(found);
            };
            if *child == 0 {
                if least == 0 {
                    return None;
                }
                *child = next;
                found.value = value;
                found.under = code;
                found.symbol = self.create(value, step);
                return Some(found);
            }
            node = *child;
        }
    }

    /// Notes that a context did not know a byte.
    pub(super) fn escape(&mut self, context: u16) {
        let context = self.at(context);
        context.escapes = context.escapes.wrapping_add(ESCAPE);
        context.total = context.total.wrapping_add(ESCAPE);
    }

    /// Notes that a byte was counted that counted so much; halves all if that becomes much.
    pub(super) fn grow(&mut self, context: u16, count: u16, rules: Rules) {
        let Rules { step, least } = rules;
        let symbol = self.at(context);
        symbol.total = symbol.total.wrapping_add(step.into());
        if count <= 0xFF - 2 * u16::from(step) + least && symbol.total <= TOTAL_MAX {
            return;
        }
        symbol.escapes -= symbol.escapes >> 1;
        let (tree, escapes) = (symbol.tree, symbol.escapes);
        let total = if tree == 0 { 0 } else { self.halve(tree) };
        let total = total.wrapping_add(escapes).wrapping_add(256 * least);
        self.at(context).total = total;
    }

    /// Halves what a tree counts, and returns that. It is no deeper than there are symbols.
    fn halve(&mut self, mut node: u16) -> u16 {
        let mut total: u16 = 0;
        while node != 0 {
            let symbol = self.at(node);
            symbol.count -= symbol.count >> 1;
            let (count, left, right) = (symbol.count, symbol.left, symbol.right);
            let left = if left == 0 { 0 } else { self.halve(left) };
            let under = left.wrapping_add(count.into());
            self.at(node).under = under;
            total = total.wrapping_add(under);
            node = right;
        }
        total
    }

    fn create(&mut self, value: u8, count: u8) -> u16 {
        let index = self.next;
        self.next += 1;
        self.symbols[index] = Symbol {
            value,
            count,
            under: count.into(),
            ..Symbol::default()
        };
        index as u16
    }

    fn at(&mut self, symbol: u16) -> &mut Symbol {
        &mut self.symbols[usize::from(symbol)]
    }
}

impl Symbol {
    fn add(&mut self, step: u8) {
        self.under = self.under.wrapping_add(step.into());
        self.count = self.count.wrapping_add(step);
    }
}
