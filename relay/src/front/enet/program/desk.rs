//! What others ask of a program: each gets a number, and waits for what comes of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use peerage::error::Code;
use peerage::limits::PROGRAM_REQUESTS_MAX;
use peerage::rpc::{CallError, Handling, Parcel, Thrown};
use peerage::service::operation::{Progress, Stop, StopKind, Unsuccessful, Work};
use peerage::{Failure, NodeId, Time};
use tokio::sync::oneshot;

use super::wire::{of, say};
use crate::front::out::Out;

/// Requests of others that the program has not answered.
pub(super) struct Desk {
    out: Out,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    asked: HashMap<u32, Asked>,
    last: u32,
    is_over: bool,
}

enum Asked {
    Call(oneshot::Sender<Result<Parcel, CallError>>),
    Operation(oneshot::Sender<Result<Parcel, Unsuccessful>>, Box<Work>),
}

/// What ended a request.
pub(super) enum Answer {
    /// It brought this.
    Value(Parcel),
    /// It brought nothing.
    Thrown {
        kind: String,
        message: String,
        data: Parcel,
    },
}

impl Desk {
    pub(super) fn new(out: Out) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { out, state })
    }

    /// Asks the program: at once, and in the order in which this is called.
    pub(super) fn ask<const N: usize>(
        self: &Arc<Self>,
        word: &str,
        fields: impl FnOnce(Parcel) -> [Parcel; N],
    ) -> Handling {
        let (tell, told) = oneshot::channel();
        match self.begin(word, fields, Asked::Call(tell)) {
            Ok(waiting) => Box::pin(async move {
                let answer = told.await;
                waiting.is_over();
                answer.unwrap_or_else(|_| Err(gone().into()))
            }),
            Err(failure) => Box::pin(core::future::ready(Err(failure.into()))),
        }
    }

    /// Lets the program do an operation.
    pub(super) async fn run(
        self: Arc<Self>,
        name: String,
        work: Work,
    ) -> Result<Parcel, Unsuccessful> {
        let (tell, mut told) = oneshot::channel();
        let (value, caller) = (work.args_parcel().clone(), caller(Some(work.caller())));
        let fields = |id| [id, of(&name), value, caller];
        let asked = Asked::Operation(tell, Box::new(work.clone()));
        let begun = self.begin("begin", fields, asked);
        let waiting = begun.map_err(|failure| Unsuccessful::Lost(failure.into()))?;
        let ended = tokio::select! {
            ended = &mut told => ended,
            stop = work.stopped() => {
                waiting.stop(&stop);
                told.await
            }
        };
        waiting.is_over();
        ended.unwrap_or_else(|_| Err(Unsuccessful::Lost(gone().into())))
    }

    /// What the program says came of a request. One that is over already is none of anybody's.
    pub(super) fn answer(&self, id: u32, answer: Answer) {
        let asked = self.with(|state| state.asked.remove(&id));
        // Who has asked may have given up.
        match asked {
            Some(Asked::Call(tell)) => drop(tell.send(answer.into_call())),
            Some(Asked::Operation(tell, _)) => drop(tell.send(answer.into_ending())),
            None => {}
        }
    }

    /// How far an operation is.
    pub(super) fn progress(&self, id: u32, progress: Progress) {
        let work = self.with(|state| match state.asked.get(&id) {
            Some(Asked::Operation(_, work)) => Some(work.clone()),
            _ => None,
        });
        if let Some(work) = work {
            work.progress(progress);
        }
    }

    /// The program has gone: whoever waits for it learns so.
    pub(super) fn end(&self) {
        let asked = self.with(|state| {
            state.is_over = true;
            std::mem::take(&mut state.asked)
        });
        drop(asked);
    }

    fn begin<const N: usize>(
        self: &Arc<Self>,
        word: &str,
        fields: impl FnOnce(Parcel) -> [Parcel; N],
        asked: Asked,
    ) -> Result<Waiting, Failure> {
        let id = self.with(|state| state.begin(asked))?;
        let waiting = Waiting {
            desk: Arc::clone(self),
            id,
        };
        let message = say(word, fields(of(&id)));
        match message.and_then(|message| self.out.push(message)) {
            Ok(()) => Ok(waiting),
            Err(failure) => {
                // The program knows nothing of it.
                waiting.is_over();
                Err(failure)
            }
        }
    }

    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn begin(&mut self, asked: Asked) -> Result<u32, Failure> {
        if self.is_over {
            return Err(gone());
        }
        if self.asked.len() >= PROGRAM_REQUESTS_MAX {
            let message = format!("{PROGRAM_REQUESTS_MAX} requests wait for the program already");
            return Err(Code::Overloaded.because(message));
        }
        // After four thousand million requests one may still wait from the first of them.
        while self.asked.contains_key(&self.last) {
            self.last = self.last.wrapping_add(1);
        }
        let id = self.last;
        self.last = self.last.wrapping_add(1);
        self.asked.insert(id, asked);
        Ok(id)
    }
}

/// Somebody waits for the program's answer. Dropped before it came, it is told to the program.
struct Waiting {
    desk: Arc<Desk>,
    id: u32,
}

impl Waiting {
    fn stop(&self, stop: &Stop) {
        self.tell(say(
            "stop",
            [of(&self.id), of(stop.kind.as_str()), of(&stop.reason)],
        ));
    }

    /// What was waited for is there.
    fn is_over(&self) {
        self.desk.with(|state| drop(state.asked.remove(&self.id)));
    }

    fn tell(&self, message: Result<bytes::Bytes, Failure>) {
        if let Ok(message) = message {
            // A program for which there is no room any more will learn it by its answer being unasked for.
            let _ = self.desk.out.push(message);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let waited = self.desk.with(|state| state.asked.remove(&self.id));
        if waited.is_some() {
            self.tell(say("cancelled", [of(&self.id)]));
        }
    }
}

impl Answer {
    fn into_call(self) -> Result<Parcel, CallError> {
        match self {
            Self::Value(value) => Ok(value),
            Self::Thrown { kind, message, .. } => Err(Thrown::new(kind, message).into()),
        }
    }

    fn into_ending(self) -> Result<Parcel, Unsuccessful> {
        match self {
            Self::Value(value) => Ok(value),
            Self::Thrown {
                kind,
                message,
                data,
            } => Err(match kind.as_str() {
                "cancel" => Unsuccessful::Stopped(StopKind::Cancel.because(message)),
                "abort" => Unsuccessful::Stopped(StopKind::Abort.because(message)),
                _ => Unsuccessful::Fail {
                    reason: message,
                    data,
                },
            }),
        }
    }
}

/// Progress as a program tells it.
pub(super) fn progress(
    fraction: Option<f64>,
    remaining_ms: Option<u64>,
    note: Option<String>,
    data: Parcel,
) -> Progress {
    Progress {
        fraction,
        remaining: remaining_ms.map(Time::from_millis),
        note,
        data,
        number: 0,
    }
}

/// Who asks; null if it is the held node itself.
pub(super) fn caller(caller: Option<NodeId>) -> Parcel {
    of(&caller.map(|id| id.to_string()))
}

fn gone() -> Failure {
    Code::Gone.because("the program has gone")
}
