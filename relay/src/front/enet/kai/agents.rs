//! Which agents of a node of KAI can be found: its events and what the configuration says that it has, for as long as
//! it is there, and whatever handle somebody asks for, until others are asked for more lately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use peerage::limits::KAI_AGENTS_MAX;
use peerage::rpc::{Agent, AgentHandle, Emitter};

use super::agent::{EVENTS, EventsAgent, KaiAgent};
use super::session::Shared;
use crate::config::KaiHandle;

/// Those of one node.
#[derive(Default)]
pub(super) struct Agents(Mutex<State>);

#[derive(Default)]
struct State {
    events: Option<AgentHandle>,
    offered: Vec<AgentHandle>,
    /// By their handles, with when each was used last, by the count.
    asked_for: HashMap<i32, (u64, AgentHandle)>,
    count: u64,
    is_over: bool,
}

impl Agents {
    /// Lets those be found that a node certainly has.
    pub(super) fn offer(&self, shared: &Arc<Shared>) {
        let events = register(shared, EVENTS, EventsAgent::new(shared));
        let offers = shared.config.offers.iter();
        let offered = offers.flat_map(|(handle, name)| {
            let agent = KaiAgent::new(shared, handle.get(), name);
            register(shared, name, agent)
        });
        let offered = offered.collect();
        self.with(|state| {
            state.events = events;
            state.offered = offered;
        });
    }

    /// A name is asked for that nobody knows yet: it may be a handle.
    pub(super) fn find(&self, shared: &Arc<Shared>, name: &str) {
        let Some(handle) = KaiHandle::parse(name).map(KaiHandle::get) else {
            return;
        };
        // It may have been found meanwhile.
        let Some(agent) = register(shared, name, KaiAgent::new(shared, handle, name)) else {
            return;
        };
        // Dropped only when the table is free: it withdraws what it was.
        let forgotten = self.with(|state| state.add(handle, agent));
        drop(forgotten);
    }

    /// An agent has been used.
    pub(super) fn used(&self, handle: i32) {
        self.with(|state| {
            state.count += 1;
            if let Some((used, _)) = state.asked_for.get_mut(&handle) {
                *used = state.count;
            }
        });
    }

    /// What tells the events of the node.
    pub(super) fn events(&self) -> Option<Emitter> {
        self.with(|state| state.events.as_ref().map(|agent| agent.emitter().clone()))
    }

    /// The node has gone.
    pub(super) fn end(&self) {
        let state = self.with(|state| {
            let over = State {
                is_over: true,
                ..State::default()
            };
            std::mem::replace(state, over)
        });
        drop(state);
    }

    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Adds one, and returns what is to be forgotten for it.
    fn add(&mut self, handle: i32, agent: AgentHandle) -> Option<AgentHandle> {
        if self.is_over {
            return Some(agent);
        }
        let oldest = match self.asked_for.len() >= KAI_AGENTS_MAX {
            true => self.asked_for.iter().min_by_key(|(_, (used, _))| *used),
            false => None,
        };
        let oldest = oldest.map(|(handle, _)| *handle);
        let forgotten = oldest.and_then(|handle| self.asked_for.remove(&handle));
        self.count += 1;
        self.asked_for.insert(handle, (self.count, agent));
        forgotten.map(|(_, agent)| agent)
    }
}

fn register(shared: &Shared, name: &str, agent: impl Agent) -> Option<AgentHandle> {
    shared.rpc.agent(name, agent).ok()
}
