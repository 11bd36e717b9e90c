//! Lines of consoles, both ways. KAI tells results apart by the line alone: of equal lines the first is
//! answered first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use peerage::NodeId;
use peerage::limits::{KAI_ANSWER_TIMEOUT, KAI_PENDING_MAX};
use peerage::log::MESSAGE;
use peerage::service::command::{Call, Commands, Status};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::session::Shared;
use super::wire::{Line, Message};
use crate::config::NodeText;

/// The language of lines of which nobody has said it: Pi.
const LANGUAGE: i32 = 1;
/// What a line is answered that may not be run.
const FORBIDDEN: &str = "not allowed: `enet.kai.commands` is off";
/// What another node is told that may not run lines at the console of a node of KAI.
const UNAUTHORISED: &str = "unauthorised: `enet.kai.console` does not name the caller";

/// The console of a node of KAI.
pub(super) struct Console {
    commands: Commands,
    /// In which language the node takes lines.
    language: AtomicI32,
    /// Lines that it was told, and that have no result yet.
    waiting: Mutex<VecDeque<(String, oneshot::Sender<String>)>>,
}

impl Console {
    pub(super) fn new(commands: Commands) -> Self {
        Self {
            commands,
            language: AtomicI32::new(LANGUAGE),
            waiting: Mutex::default(),
        }
    }

    /// It takes lines in this language from now on.
    pub(super) fn speak(&self, language: i32) {
        self.language.store(language, Ordering::Relaxed);
    }

    /// What came of a line.
    pub(super) fn answer(&self, command: &str, result: String) {
        let answered = self.with(|waiting| {
            let place = waiting.iter().position(|(line, _)| line == command)?;
            waiting.remove(place)
        });
        // Nobody may be waiting any longer.
        let _ = answered.map(|(_, tell)| tell.send(result));
    }

    /// The node has gone.
    pub(super) fn end(&self) {
        let waiting = self.with(std::mem::take);
        drop(waiting);
    }

    fn ask(&self, command: &str) -> Option<oneshot::Receiver<String>> {
        let (tell, told) = oneshot::channel();
        self.with(|waiting| {
            waiting.retain(|(_, tell)| !tell.is_closed());
            let has_room = waiting.len() < KAI_PENDING_MAX;
            has_room.then(|| waiting.push_back((command.to_owned(), tell)))
        })?;
        Some(told)
    }

    fn with<T>(
        &self,
        action: impl FnOnce(&mut VecDeque<(String, oneshot::Sender<String>)>) -> T,
    ) -> T {
        action(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Lets other nodes run lines at the console of the node of KAI.
pub(super) fn serve(commands: Commands, shared: Weak<Shared>) {
    commands.hand_over(move |call, line| convey(shared.upgrade(), call, line));
    tokio::spawn(async move { commands.serve().await });
}

async fn convey(shared: Option<Arc<Shared>>, call: Call, command: String) -> Status {
    let Some(shared) = shared else {
        return call.end(Status::FAILED, "the node of KAI has gone");
    };
    // KAI runs whatever it is sent, so only those may send it whom the configuration names.
    let may = match call.caller {
        Some(caller) => may(&shared, caller).await,
        None => false,
    };
    if !may {
        return call.end(Status::FORBIDDEN, UNAUTHORISED);
    }
    let Some(told) = shared.console.ask(&command) else {
        return call.end(Status::FAILED, "too many lines wait there already");
    };
    let line = Line {
        sender: shared.name_of(call.caller),
        command,
        language: shared.console.language.load(Ordering::Relaxed),
    };
    if let Err(failure) = shared.say(&Message::Command(line)) {
        return call.end(Status::FAILED, failure.message);
    }
    drop(shared);
    match timeout(KAI_ANSWER_TIMEOUT, told).await {
        Ok(Ok(result)) => call.end(Status::OK, result),
        Ok(Err(_)) => call.end(Status::FAILED, "the node of KAI has gone"),
        Err(_) => call.end(Status::FAILED, "the node of KAI does not answer"),
    }
}

/// Whether a node may run lines at the console.
async fn may(shared: &Shared, caller: NodeId) -> bool {
    for node in shared.config.console.iter() {
        let is_caller = match node {
            NodeText::All => true,
            NodeText::Id(id) => *id == caller,
            NodeText::Named(name) => {
                let named = shared.rpc.node().resolve(name.as_str()).await;
                named == Ok(Some(caller))
            }
        };
        if is_caller {
            return true;
        }
    }
    false
}

/// Runs a line of the node of KAI, if that is allowed, and tells what came of it if that is wanted.
pub(super) fn run(shared: &Arc<Shared>, line: Line, is_answered: bool) {
    shared.console.speak(line.language);
    let command = line.command;
    let refused = match shared.config.commands {
        true => shared.begin().map_err(|failure| failure.message),
        false => Err(FORBIDDEN.to_owned()),
    };
    let running = match refused {
        Ok(running) => running,
        Err(words) => return tell(shared, command, words, is_answered),
    };
    tokio::spawn(async move {
        let shared = running.shared();
        let ran = match shared
            .console
            .commands
            .start(&command, Some(KAI_ANSWER_TIMEOUT))
        {
            Ok(run) => run.outcome().await,
            Err(failure) => Err(failure),
        };
        let words = ran.map_or_else(|failure| failure.in_words(), |outcome| outcome.output);
        tell(shared, command, words, is_answered);
    });
}

fn tell(shared: &Shared, command: String, result: String, is_wanted: bool) {
    if !is_wanted {
        return;
    }
    let sender = shared.name_of(Some(shared.rpc.node().id()));
    let message = Message::Result {
        sender,
        command,
        result,
    };
    if let Err(failure) = shared.say(&message) {
        tracing::debug!(target: MESSAGE, code = %failure.code, "a node of KAI is not answered");
    }
}
