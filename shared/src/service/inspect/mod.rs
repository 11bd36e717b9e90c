//! What a node tells of itself to those who look after the mesh: how it is, its links, its agents and what these
//! can do.
//!
//! The service is an agent, `peerage/inspect/1`, on [`rpc`](crate::rpc):
//!
//! ```text
//! about()    how the node is
//! links()    its links: with whom, by what, how good, how much; no addresses
//! agents()   the agents that are found by a name
//! ```

#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use wire::{About, AgentInfo, LinkInfo};

use crate::error::Failure;
use crate::limits::REQUEST_TIMEOUT;
use crate::node::{Connection, Node};
use crate::rpc::{Act, Agent, AgentHandle, CallError, Handling, Interface, Parcel, Request, Rpc};
use crate::service::millis::millis;

/// The service's name, as an agent.
pub const AGENT: &str = "peerage/inspect/1";

const METHODS: [&str; 3] = ["about", "links", "agents"];

/// What a node tells of itself, and the way to ask others. Clones are the same.
#[derive(Clone, Debug)]
pub struct Inspect {
    rpc: Rpc,
    /// Others find it for as long as this lives.
    _agent: Arc<AgentHandle>,
}

impl Inspect {
    /// Lets others look at a node with these objects.
    ///
    /// # Errors
    /// `refused` if they may already.
    pub fn new(rpc: Rpc) -> Result<Self, Failure> {
        let agent = rpc.agent(AGENT, Service(rpc.clone()))?;
        Ok(Self {
            rpc,
            _agent: Arc::new(agent),
        })
    }

    /// How a node is, by its name or id.
    ///
    /// # Errors
    /// Why the node does not tell.
    pub async fn about(&self, node: &str) -> Result<About, CallError> {
        self.ask(node, "about").await
    }

    /// The links of a node.
    ///
    /// # Errors
    /// Why the node does not tell.
    pub async fn links(&self, node: &str) -> Result<Vec<LinkInfo>, CallError> {
        self.ask(node, "links").await
    }

    /// The agents of a node that are found by a name, in the order of their names.
    ///
    /// # Errors
    /// Why the node does not tell.
    pub async fn agents(&self, node: &str) -> Result<Vec<AgentInfo>, CallError> {
        self.ask(node, "agents").await
    }

    async fn ask<T>(&self, node: &str, what: &str) -> Result<T, CallError>
    where
        T: serde::de::DeserializeOwned + Send + 'static,
    {
        let proxy = self.rpc.proxy(node, AGENT);
        proxy.with_timeout(REQUEST_TIMEOUT).call(what, &()).await
    }
}

/// What others ask.
struct Service(Rpc);

impl Agent for Service {
    fn interface(&self) -> Interface {
        Interface {
            name: AGENT.into(),
            version: Some(1),
            methods: METHODS.map(String::from).into(),
            properties: Vec::new(),
            events: Some(Vec::new()),
        }
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let answer = match (request.act, request.name) {
            (Act::Call, "about") => Parcel::of(&about(&self.0)),
            (Act::Call, "links") => Parcel::of(&links(self.0.node())),
            (Act::Call, "agents") => Parcel::of(&agents(&self.0)),
            (act, name) => {
                let unknown = self.interface().unknown(act, name);
                return Box::pin(core::future::ready(Err(unknown)));
            }
        };
        Box::pin(core::future::ready(answer.map_err(CallError::from)))
    }
}

fn about(rpc: &Rpc) -> About {
    let node = rpc.node();
    let traffic = node.traffic();
    About {
        id: node.id().to_string(),
        name: node.name().map(|name| name.to_string()),
        kind: node.kind().to_string(),
        zone: node.zone(),
        state: node.state().as_str().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: millis(node.now()),
        sessions: node.sessions() as u64,
        links: node.connections().len() as u64,
        forwarded_records: traffic.forwarded_records,
        forwarded_bytes: traffic.forwarded_bytes,
    }
}

fn links(node: &Node) -> Vec<LinkInfo> {
    let names: BTreeMap<_, _> = node
        .peers()
        .into_iter()
        .map(|peer| (peer.id, peer.name.to_string()))
        .collect();
    let told = |connection: &Connection| LinkInfo {
        node: connection.node.map(|id| id.to_string()),
        name: connection.node.and_then(|id| names.get(&id).cloned()),
        medium: connection.medium.map(|medium| medium.to_string()),
        origin: connection.origin.as_str().to_owned(),
        state: connection.state.as_str().to_owned(),
        age_ms: millis(connection.age),
        rtt_ms: connection.quality.rtt.map(millis),
        bytes_in: connection.bytes_in,
        bytes_out: connection.bytes_out,
    };
    node.connections().iter().map(told).collect()
}

fn agents(rpc: &Rpc) -> Vec<AgentInfo> {
    let told = |(name, agent): (String, Arc<dyn Agent>)| AgentInfo {
        name,
        interface: agent.interface(),
        signatures: agent.signatures(),
    };
    let mut agents: Vec<_> = rpc.agents().into_iter().map(told).collect();
    agents.sort_by(|one, other| one.name.cmp(&other.name));
    agents
}
