//! Direct messages: to a client of this relay or another's, or to any node with an agent of this name.

use std::sync::Arc;

use peerage::error::Code;
use peerage::rpc::{Act, Agent, CallError, Handling, Interface, Parcel, Request};
use peerage::{Failure, Node, NodeId};
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::frame::Frame;
use super::session::Say;

/// The name of the agent that takes messages.
pub(super) const AGENT: &str = "kos";
/// Its method, whose argument is a [`Letter`].
pub(super) const METHOD: &str = "message";

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Letter {
    topic: Option<String>,
    request_id: Option<String>,
    response_id: Option<String>,
    status: Option<String>,
    body: String,
}

impl Letter {
    /// What a frame says.
    pub(super) fn of(frame: &Frame) -> Self {
        let header = |name| frame.get(name).map(String::from);
        Self {
            topic: header("topic"),
            request_id: header("request-id"),
            response_id: header("response-id"),
            status: header("status"),
            body: frame.body.clone(),
        }
    }

    fn into_frame(self, from: &str, to: &str) -> Result<Frame, Failure> {
        let mut frame = Frame::new("kos.message.request")
            .with("src-addr", from)?
            .with("dst-addr", to)?;
        for (name, value) in [
            ("topic", self.topic),
            ("request-id", self.request_id),
            ("response-id", self.response_id),
            ("status", self.status),
        ] {
            frame = frame.with(name, &value.unwrap_or_default())?;
        }
        Ok(frame.with_body(self.body))
    }
}

/// What takes the messages for a client.
pub(super) struct Letterbox {
    pub(super) relay: Node,
    /// The client's own node.
    pub(super) node: Node,
    pub(super) say: Say,
}

impl Letterbox {
    fn take(&self, caller: Option<NodeId>, args: &Parcel) -> Result<(), CallError> {
        let letter: Letter = args.argument_called(0, "message")?;
        let from = Address::of_node(&self.relay, caller.unwrap_or(self.node.id()));
        let to = Address::of_node(&self.relay, self.node.id());
        let frame = letter.into_frame(&from.to_string(), &to.to_string())?;
        Ok(self.say.push(&frame)?)
    }
}

impl Agent for Letterbox {
    fn interface(&self) -> Interface {
        Interface {
            name: AGENT.into(),
            methods: vec![METHOD.into()],
            events: Some(Vec::new()),
            ..Interface::default()
        }
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let taken = match (request.act, request.name) {
            (Act::Call, METHOD) => self.take(request.caller, &request.args),
            (act, name) => Err(self.interface().unknown(act, name)),
        };
        Box::pin(core::future::ready(taken.map(|()| Parcel::default())))
    }
}

/// The relay itself takes none.
pub(super) fn nobody() -> Failure {
    Code::Refused.because("expected the address of a client: a router takes no messages")
}
