//! Distributed traces, as OpenTelemetry has them: a trace is a tree of spans at many nodes, each of which is something
//! that was done from then until then. Where below which span something belongs travels with calls as a [`Context`].
//! Clock, ids and where spans go are the platform's, a [`Tracer`]; without one, nothing is traced.

mod context;

use core::fmt;
use std::sync::Arc;

pub use context::{Context, ContextError};

use crate::Time;

/// What a platform gives to those who trace.
pub trait Tracer: fmt::Debug + Send + Sync {
    /// Random bytes, of which ids are made; nothing, if there are none.
    fn random(&self) -> Option<[u8; 24]>;

    /// How long after 1970 it is.
    fn now(&self) -> Time;

    /// Which part of the traces that begin here is kept, from 0 to 1.
    fn ratio(&self) -> f64;

    /// Takes a span that has ended. It does not wait.
    fn ended(&self, span: Span);
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Which it is.
    pub context: Context,
    /// The id of the span of which it is a part.
    pub parent: Option<[u8; 8]>,
    /// On which side of a call.
    pub side: Side,
    /// What it was, such as `Dispenser.pour`.
    pub name: String,
    /// The node at which it was done, by its name, or by its id if it has none.
    pub node: String,
    /// The other node, as far as it is known: by id, or by the name that was called.
    pub peer: Option<String>,
    /// When it began, from 1970 on.
    pub began: Time,
    /// When it ended.
    pub ended: Time,
    /// Why it failed, in a word, if it did.
    pub fault: Option<String>,
}

/// On which side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who asked.
    Client,
    /// Who did it.
    Server,
}

/// A span that has begun. Dropped before it was [ended](Open::end), it was cancelled.
#[derive(Debug)]
pub struct Open {
    tracer: Arc<dyn Tracer>,
    /// Until it has ended.
    span: Option<Box<Span>>,
    context: Context,
}

impl Open {
    /// Begins a span, if its trace is kept: below another, or else the first of a trace of its own.
    pub fn begin(
        tracer: &Arc<dyn Tracer>,
        parent: Option<Context>,
        side: Side,
        about: impl FnOnce() -> About,
    ) -> Option<Self> {
        let context = match parent {
            Some(parent) if parent.is_sampled() => {
                let mut id = [0; 8];
                id.copy_from_slice(&tracer.random()?[..8]);
                parent.with_span(id)
            }
            Some(_) => return None,
            None => first(tracer.random()?, tracer.ratio())?,
        };
        let context = context.ok()?;
        let About { name, node, peer } = about();
        let began = tracer.now();
        let span = Span {
            context,
            parent: parent.map(|parent| parent.span()),
            side,
            name,
            node,
            peer,
            began,
            ended: began,
            fault: None,
        };
        Some(Self {
            tracer: Arc::clone(tracer),
            span: Some(Box::new(span)),
            context,
        })
    }

    /// Which it is: what is done for it belongs below.
    pub fn context(&self) -> Context {
        self.context
    }

    /// It has ended, and failed for this reason if there is one.
    pub fn end(mut self, fault: Option<String>) {
        self.finish(fault);
    }

    fn finish(&mut self, fault: Option<String>) {
        if let Some(span) = self.span.take() {
            // A clock may have been set back.
            let ended = self.tracer.now().max(span.began);
            self.tracer.ended(Span {
                ended,
                fault,
                ..*span
            });
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.finish(Some(String::from("cancelled")));
    }
}

/// What a span is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// See [`Span::name`].
    pub name: String,
    /// See [`Span::node`].
    pub node: String,
    /// See [`Span::peer`].
    pub peer: Option<String>,
}

/// The first span of a trace, unless that is not kept: by the trace's id, so that whoever reckons comes to the same.
fn first(random: [u8; 24], ratio: f64) -> Option<Result<Context, ContextError>> {
    let (mut trace, mut span, mut lot) = ([0; 16], [0; 8], [0; 8]);
    trace.copy_from_slice(&random[..16]);
    span.copy_from_slice(&random[16..]);
    lot.copy_from_slice(&random[8..16]);
    let lot = (u64::from_be_bytes(lot) >> 11) as f64 / (1u64 << 53) as f64;
    (lot < ratio).then(|| Context::new(trace, span, true))
}
