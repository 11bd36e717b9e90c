//! What traces tell of calls: a span where it is asked for, and one where it is done.

use super::agent::{Act, Agent, Handling};
use super::fault::CallError;
use super::parcel::Parcel;
use super::{Rpc, client::Wish};
use crate::id::NodeId;
use crate::limits::OBJECT_NAME_BYTES_MAX;
use crate::service::operation;
use crate::trace::{About, Context, Open, Side};

/// A span of a call, or of an operation, which is a call as long as it takes.
pub(super) struct Traced {
    open: Open,
    is_operation: bool,
}

impl Traced {
    /// Where it belongs what is done for this.
    pub(super) fn context(&self) -> Context {
        self.open.context()
    }

    /// It has come to an end.
    pub(super) fn end(self, result: &Result<Parcel, CallError>) {
        let fault = match result {
            Ok(ending) if self.is_operation => operation::wire::fault(ending),
            Ok(_) => None,
            Err(CallError::Failed(failure)) => Some(failure.code.as_str().to_owned()),
            Err(CallError::Thrown(thrown)) => Some(thrown.kind.clone()),
        };
        self.open.end(fault);
    }

    /// What is done, with the span's end at its own.
    pub(super) fn over(self, handling: Handling) -> Handling {
        Box::pin(async move {
            let result = handling.await;
            self.end(&result);
            result
        })
    }
}

impl Rpc {
    /// Begins the span of who asks. Without a tracer that is a look at a field.
    pub(super) fn asks(
        &self,
        wish: Wish<'_>,
        agent: Option<&str>,
        args: &Parcel,
        peer: impl FnOnce() -> String,
    ) -> Option<Traced> {
        self.traced(Side::Client, wish, agent, args, || Some(peer()))
    }

    /// Begins the span of who answers, if what was asked belongs to a trace.
    pub(super) fn answers(
        &self,
        wish: Wish<'_>,
        agent: &dyn Agent,
        args: &Parcel,
        caller: Option<NodeId>,
    ) -> Option<Traced> {
        if self.0.tracer.is_none() || !wish.trace.is_some_and(|trace| trace.is_sampled()) {
            return None;
        }
        let agent = agent.interface().name;
        let peer = || caller.map(|caller| caller.to_string());
        self.traced(Side::Server, wish, Some(&agent), args, peer)
    }

    fn traced(
        &self,
        side: Side,
        wish: Wish<'_>,
        agent: Option<&str>,
        args: &Parcel,
        peer: impl FnOnce() -> Option<String>,
    ) -> Option<Traced> {
        let tracer = self.0.tracer.as_ref()?;
        let of_services = agent.is_some_and(|agent| agent.starts_with(SERVICES));
        let is_operation = agent == Some(operation::AGENT) && wish.name == "start";
        if !matches!(wish.act, Act::Call | Act::Set) || of_services && !is_operation {
            return None;
        }
        let about = || About {
            name: match agent {
                _ if is_operation => started(args),
                Some(agent) => format!("{agent}.{}", wish.name),
                None => wish.name.to_owned(),
            },
            node: self.called(),
            peer: peer(),
        };
        let open = Open::begin(tracer, wish.trace, side, about)?;
        Some(Traced { open, is_operation })
    }

    /// By what this node is known.
    fn called(&self) -> String {
        let node = self.node();
        let name = node.name().map(|name| name.to_string());
        name.unwrap_or_else(|| node.id().to_string())
    }
}

/// How the names of the services' own agents begin, who are not traced: only what they do for others is.
const SERVICES: &str = "peerage/";

/// Which operation is started.
fn started(args: &Parcel) -> String {
    let mut name: String = args.argument(1).unwrap_or_default();
    if name.len() > OBJECT_NAME_BYTES_MAX {
        name = operation::wire::cut(name);
    }
    name
}
