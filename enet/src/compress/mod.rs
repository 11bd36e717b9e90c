//! The compression that ENet brings along: a range coder, which is told by a model how probable each
//! byte is after the two before it. Every datagram stands alone.

mod coder;
mod model;

use coder::{Decoder, Encoder};
use model::{Context, Model, ROOT, SUB};

/// How many bytes a byte is foretold by.
const ORDER: usize = 2;

/// Compresses and decompresses one datagram after another.
#[derive(Debug, Default)]
pub(crate) struct RangeCoder(Model);

impl RangeCoder {
    /// Appends the input compressed, unless that takes more than `max` bytes.
    pub(crate) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>, max: usize) -> bool {
        if input.is_empty() {
            return false;
        }
        let mut encoder = Encoder::new(out, max);
        let encoded = self.encode(input, &mut encoder);
        encoded.and_then(|()| encoder.finish()).is_some()
    }

    /// Appends what was compressed, unless it is nothing or more than `max` bytes, or nobody has
    /// compressed it.
    pub(crate) fn decompress(&mut self, input: &[u8], out: &mut Vec<u8>, max: usize) -> bool {
        if input.is_empty() {
            return false;
        }
        let before = out.len();
        let mut decoder = Decoder::new(input);
        self.decode(&mut decoder, out, before + max).is_some() && out.len() > before
    }

    fn encode(&mut self, input: &[u8], encoder: &mut Encoder<'_>) -> Option<()> {
        let model = &mut self.0;
        model.reset();
        let mut history = History::default();
        for value in input {
            let mut chain = Chain::default();
            let mut context = history.predicted;
            let mut is_foretold = false;
            while context != Model::ROOT {
                let found = model.add(context, *value, SUB);
                chain.link(model, &mut history, found.symbol);
                let Context { escapes, total } = model.context(context);
                if found.count > 0 {
                    let under = u32::from(escapes) + u32::from(found.under);
                    encoder.encode(under, found.count, total)?;
                } else {
                    if escapes > 0 && escapes < total {
                        encoder.encode(0, escapes, total)?;
                    }
                    model.escape(context);
                }
                model.grow(context, found.count, SUB);
                if found.count > 0 {
                    is_foretold = true;
                    break;
                }
                context = model.parent(context);
            }
            if !is_foretold {
                let found = model.add(Model::ROOT, *value, ROOT);
                chain.link(model, &mut history, found.symbol);
                let Context { escapes, total } = model.context(Model::ROOT);
                let under = u32::from(escapes) + u32::from(found.under);
                encoder.encode(under, found.count, total)?;
                model.grow(Model::ROOT, found.count, ROOT);
            }
            history.next(model);
        }
        Some(())
    }

    fn decode(&mut self, decoder: &mut Decoder<'_>, out: &mut Vec<u8>, end: usize) -> Option<()> {
        let model = &mut self.0;
        model.reset();
        let mut history = History::default();
        loop {
            let mut context = history.predicted;
            let mut found = None;
            while context != Model::ROOT {
                let Context { escapes, total } = model.context(context);
                if escapes > 0 && escapes < total {
                    let code = decoder.read(total);
                    if code >= escapes {
                        found = Some(model.find(context, code - escapes, SUB)?);
                        break;
                    }
                    decoder.decode(0, escapes);
                }
                context = model.parent(context);
            }
            let Context { escapes, total } = model.context(context);
            let (found, rules) = match found {
                Some(found) => (found, SUB),
                None => {
                    let code = decoder.read(total);
                    if code < escapes {
                        return Some(());
                    }
                    (model.find(context, code - escapes, ROOT)?, ROOT)
                }
            };
            let under = u32::from(escapes) + u32::from(found.under);
            decoder.decode(under, found.count);
            model.grow(context, found.count, rules);
            learn(model, &mut history, context, found.value, found.symbol);
            if out.len() >= end {
                return None;
            }
            out.push(found.value);
            history.next(model);
        }
    }
}

/// Adds a byte to the contexts that had not foretold it.
fn learn(model: &mut Model, history: &mut History, until: u16, value: u8, bottom: u16) {
    let mut chain = Chain::default();
    let mut context = history.predicted;
    while context != until {
        let found = model.add(context, value, SUB);
        let parent = model.parent(context);
        chain.link(model, history, found.symbol);
        if found.count == 0 {
            model.escape(context);
        }
        model.grow(context, found.count, SUB);
        context = parent;
    }
    chain.link(model, history, bottom);
}

/// What came before.
#[derive(Debug, Default)]
struct History {
    /// The context that it makes.
    predicted: u16,
    order: usize,
}

impl History {
    /// Goes on to the next byte.
    fn next(&mut self, model: &mut Model) {
        if self.order >= ORDER {
            self.predicted = model.parent(self.predicted);
        } else {
            self.order += 1;
        }
        if model.is_full() {
            model.reset();
            *self = Self::default();
        }
    }
}

/// The symbols of one byte in ever shorter contexts: each is the context of the next byte, and its
/// parent is that in the shorter one.
#[derive(Debug, Default)]
struct Chain(Option<u16>);

impl Chain {
    fn link(&mut self, model: &mut Model, history: &mut History, symbol: u16) {
        match self.0.replace(symbol) {
            None => history.predicted = symbol,
            Some(child) => model.set_parent(child, symbol),
        }
    }
}

#[cfg(test)]
mod tests;
