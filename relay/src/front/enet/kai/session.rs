//! A node of KAI and the node that is held for it: what each says goes on to the other's side.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use peerage::error::Code;
use peerage::limits::{KAI_AGENTS_MAX, KAI_PENDING_MAX};
use peerage::log::MESSAGE;
use peerage::object::Blob;
use peerage::rpc::{AgentHandle, CallError, Parcel, Rpc};
use peerage::service::command::Commands;
use peerage::{Failure, NodeId};
use tokio::sync::oneshot;

use super::agent::{EVENTS, EventsAgent, KaiAgent};
use super::console::Console;
use super::wire::Message;
use super::{calls, console};
use crate::config::KaiConfig;
use crate::front::held::Held;
use crate::front::out::Out;

/// A node of KAI, as the mesh sees it.
pub(super) struct Session {
    held: Held,
    shared: Arc<Shared>,
}

/// What agents and tasks of a session know.
pub(super) struct Shared {
    pub(super) rpc: Rpc,
    pub(super) out: Out,
    pub(super) config: KaiConfig,
    pub(super) console: Console,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the node of KAI was asked for, by the number of the answer.
    asked: HashMap<i32, Answer>,
    /// Values to come that it has sent as arguments, by its own numbers for them.
    imports: HashMap<i32, Answer>,
    last: i32,
    agents: BTreeMap<String, AgentHandle>,
    /// What it has asked for that is not answered.
    running: usize,
    is_over: bool,
}

/// Who waits for a value.
type Answer = oneshot::Sender<Result<Parcel, CallError>>;
/// What is waited for.
pub(super) type Awaited = oneshot::Receiver<Result<Parcel, CallError>>;

impl Session {
    pub(super) fn new(held: Held, out: Out, config: KaiConfig) -> Self {
        let rpc = held.rpc().clone();
        let commands = Commands::new(held.clone(), BTreeMap::new());
        let shared = Arc::new(Shared {
            rpc: rpc.clone(),
            out,
            config,
            console: Console::new(commands.clone()),
            state: Mutex::default(),
        });
        let weak = Arc::downgrade(&shared);
        let finder = weak.clone();
        rpc.on_missing(move |name| {
            if let Some(shared) = finder.upgrade() {
                shared.find(name);
            }
        });
        console::serve(commands, weak);
        let session = Self { held, shared };
        session
            .shared
            .add(EVENTS, EventsAgent::new(&session.shared));
        session
    }

    /// Hears a message of the node of KAI.
    pub(super) fn hear(&self, message: Message) {
        let shared = &self.shared;
        match message {
            Message::Object(value) => {
                shared.tell("object", Parcel::new(value, Vec::new()));
            }
            Message::Event { name, payload } => shared.tell_bytes(&name, payload),
            Message::Call {
                handle,
                future,
                method,
                args,
            } => calls::call(shared, handle, future, &method, args),
            Message::Get {
                handle,
                future,
                name,
            } => calls::get(shared, handle, future, &name),
            Message::Set {
                handle,
                future,
                name,
                value,
            } => calls::set(shared, handle, future, &name, value),
            Message::Response {
                future,
                outcome,
                error,
                result,
            } => {
                let answer = shared.with(|state| state.asked.remove(&future));
                give(answer, outcome.into_result(&error, result));
            }
            Message::Resolve {
                future,
                value,
                outcome,
            } => {
                let answer = shared.with(|state| state.imports.remove(&future));
                give(answer, outcome.into_result("", value));
            }
            Message::Command(line) => console::run(shared, line, true),
            Message::Broadcast(line) => console::run(shared, line, false),
            Message::Result {
                command, result, ..
            } => shared.console.answer(&command, result),
            Message::Language { language, .. } => shared.console.speak(language),
            Message::Binary { bytes, .. } => shared.tell_bytes("binary", bytes),
        }
    }

    /// The node of KAI has gone: in good order, or nobody knows why.
    pub(super) fn end(self, in_good_order: bool) {
        self.shared.console.end();
        let state = self.shared.with(|state| State {
            is_over: true,
            ..std::mem::take(state)
        });
        self.shared.with(|state| state.is_over = true);
        drop(state);
        if !in_good_order {
            self.held.vanish();
        }
    }
}

impl Shared {
    /// Asks the node of KAI for something: at once, and in the order in which this is called.
    ///
    /// # Errors
    /// `overloaded`; what KAI has no type for.
    pub(super) fn ask(
        self: &Arc<Self>,
        message: impl FnOnce(i32) -> Message,
    ) -> Result<(Asked, Awaited), CallError> {
        let (tell, told) = oneshot::channel();
        let future = self.with(|state| {
            let future = state.number()?;
            state.asked.insert(future, tell);
            Ok::<_, Failure>(future)
        })?;
        let asked = Asked {
            shared: Arc::downgrade(self),
            future,
        };
        self.say(&message(future))?;
        Ok((asked, told))
    }

    /// Says something to the node of KAI.
    ///
    /// # Errors
    /// `overloaded`; what KAI has no type for.
    pub(super) fn say(&self, message: &Message) -> Result<(), Failure> {
        let bytes = message.encode();
        let bytes = bytes.map_err(|error| Code::BadMessage.because(error.to_string()))?;
        self.out.push(bytes)
    }

    /// A number for a value to come that is sent as an argument.
    pub(super) fn new_number(&self) -> Result<i32, Failure> {
        self.with(State::number)
    }

    /// Waits for a value to come that was an argument, by its number there.
    pub(super) fn import(&self, future: i32) -> Result<Awaited, Failure> {
        let (tell, told) = oneshot::channel();
        self.with(|state| {
            if state.imports.len() >= KAI_PENDING_MAX {
                let message = format!("{KAI_PENDING_MAX} values to come are waited for already");
                return Err(Code::Overloaded.because(message));
            }
            // The last one counts: the number is the sender's.
            drop(state.imports.insert(future, tell));
            Ok(())
        })?;
        Ok(told)
    }

    /// Something that the node of KAI has asked for begins, or that it is to be told of later.
    ///
    /// # Errors
    /// `overloaded` if too much is not over yet.
    pub(super) fn begin(self: &Arc<Self>) -> Result<Running, Failure> {
        self.with(|state| {
            if state.running >= KAI_PENDING_MAX {
                let message = format!("{KAI_PENDING_MAX} requests are not answered yet");
                return Err(Code::Overloaded.because(message));
            }
            state.running += 1;
            Ok(())
        })?;
        Ok(Running(Arc::clone(self)))
    }

    /// An agent is asked for that nobody knows yet: a handle, or the name that the configuration has for one.
    fn find(self: &Arc<Self>, name: &str) {
        let offers = &self.config.offers;
        let named = offers.iter().find(|(_, known)| *known == name);
        let handle = named
            .map(|(handle, _)| *handle)
            .or_else(|| name.parse().ok());
        if let Some(handle) = handle.filter(|handle| *handle > 0) {
            self.add(name, KaiAgent::new(self, handle, name));
        }
    }

    fn add(&self, name: &str, agent: impl peerage::rpc::Agent) {
        if self.with(|state| state.is_over || state.agents.len() >= KAI_AGENTS_MAX) {
            return;
        }
        // It may have been added meanwhile.
        if let Ok(agent) = self.rpc.agent(name, agent) {
            self.with(|state| state.agents.insert(name.to_owned(), agent));
        }
    }

    /// Tells those who listen to the node's events.
    fn tell(&self, event: &str, detail: Parcel) {
        self.with(|state| {
            let emitter = state
                .agents
                .get(EVENTS)
                .map(|agent| agent.emitter().clone());
            emitter.map(|emitter| (emitter, detail))
        })
        .map(|(emitter, detail)| emitter.tell(peerage::rpc::Act::Subscribe, event, detail))
        .unwrap_or_default();
    }

    fn tell_bytes(&self, event: &str, bytes: Bytes) {
        match Parcel::of(&Blob(bytes)) {
            Ok(parcel) => self.tell(event, parcel),
            Err(error) => tracing::debug!(target: MESSAGE, %error, "an event is not told"),
        }
    }

    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The name of a node, for people.
    pub(super) fn name_of(&self, id: Option<NodeId>) -> String {
        let node = self.rpc.node();
        let id = id.unwrap_or_else(|| node.id());
        let name = match id == node.id() {
            true => node.name(),
            false => {
                let peer = node.peers().into_iter().find(|peer| peer.id == id);
                peer.map(|peer| peer.name)
            }
        };
        name.map_or_else(|| id.short(), |name| name.to_string())
    }
}

impl State {
    /// A number that nothing else has; never 0, which means that no answer is wanted.
    fn number(&mut self) -> Result<i32, Failure> {
        if self.is_over {
            return Err(Code::Gone.because("the node of KAI has gone"));
        }
        if self.asked.len() >= KAI_PENDING_MAX {
            let message = format!("{KAI_PENDING_MAX} requests wait for the node of KAI already");
            return Err(Code::Overloaded.because(message));
        }
        loop {
            self.last = self.last.checked_add(1).unwrap_or(1);
            if !self.asked.contains_key(&self.last) {
                return Ok(self.last);
            }
        }
    }
}

/// Somebody waits for an answer of the node of KAI, until this is dropped.
pub(super) struct Asked {
    shared: Weak<Shared>,
    future: i32,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            let answer = shared.with(|state| state.asked.remove(&self.future));
            drop(answer);
        }
    }
}

/// Something that the node of KAI has asked for, until this is dropped.
pub(super) struct Running(Arc<Shared>);

impl Running {
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0
            .with(|state| state.running = state.running.saturating_sub(1));
    }
}

fn give(answer: Option<Answer>, result: Result<Parcel, CallError>) {
    // Nobody may have asked, or be waiting any longer.
    let _ = answer.map(|answer| answer.send(result));
}
