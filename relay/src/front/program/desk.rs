//! What others ask of a program: each gets a number, and waits for what comes of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use peerage::error::Code;
use peerage::limits::{PROGRAM_ANSWER_TIMEOUT, PROGRAM_REQUESTS_MAX};
use peerage::rpc::{CallError, Handling, Parcel, Thrown};
use peerage::service::operation::{Progress, Stop, StopKind, Unsuccessful, Work};
use peerage::trace::Context;
use peerage::{Failure, NodeId};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::wire::{Answer, of, say};
use crate::front::out::Out;

/// Requests of others that the program has not answered.
pub(crate) struct Desk {
    out: Out,
    /// What those learn who wait when the program goes.
    lost: Failure,
    /// The greatest number of a request.
    most: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    asked: HashMap<u64, Asked>,
    next: u64,
    is_over: bool,
}

enum Asked {
    Call(oneshot::Sender<Result<Parcel, CallError>>),
    Operation(oneshot::Sender<Result<Parcel, Unsuccessful>>, Box<Work>),
}

impl Desk {
    /// Requests of a small program, whose numbers are of 32 bits.
    pub(crate) fn new(out: Out) -> Arc<Self> {
        Self::counting(out, 0, u32::MAX.into(), gone())
    }

    /// Requests with numbers from `next` to `most`, which end as `lost` when the program goes.
    pub(crate) fn counting(out: Out, next: u64, most: u64, lost: Failure) -> Arc<Self> {
        let state = Mutex::new(State {
            next,
            ..State::default()
        });
        Arc::new(Self {
            out,
            lost,
            most,
            state,
        })
    }

    /// The number of the next request.
    pub(crate) fn next(&self) -> u64 {
        self.with(|state| state.next)
    }

    /// Asks the program: at once, and in the order in which this is called. An adapter is told, behind all else,
    /// to which trace that belongs.
    pub(crate) fn ask<const N: usize>(
        self: &Arc<Self>,
        word: &str,
        trace: Option<Context>,
        fields: impl FnOnce(Parcel) -> [Parcel; N],
    ) -> Handling {
        let (tell, told) = oneshot::channel();
        match self.begin(word, trace, fields, Asked::Call(tell)) {
            Ok(waiting) => Box::pin(async move {
                // A program that forgets what it was asked for would have no room for more one day.
                let Ok(answer) = timeout(PROGRAM_ANSWER_TIMEOUT, told).await else {
                    return Err(Code::TimedOut.because("the program does not answer").into());
                };
                waiting.is_over();
                answer.unwrap_or_else(|_| Err(waiting.desk.lost.clone().into()))
            }),
            Err(failure) => Box::pin(core::future::ready(Err(failure.into()))),
        }
    }

    /// Lets the program do an operation, with a trace as in [`Desk::ask`].
    pub(crate) async fn run(
        self: Arc<Self>,
        name: String,
        trace: Option<Context>,
        work: Work,
    ) -> Result<Parcel, Unsuccessful> {
        let (tell, mut told) = oneshot::channel();
        let (value, caller) = (work.args_parcel().clone(), caller(Some(work.caller())));
        let fields = |id| [id, of(&name), value, caller];
        let asked = Asked::Operation(tell, Box::new(work.clone()));
        let begun = self.begin("begin", trace, fields, asked);
        let waiting = begun.map_err(|failure| Unsuccessful::Lost(failure.into()))?;
        let ended = tokio::select! {
            ended = &mut told => ended,
            stop = work.stopped() => {
                waiting.stop(&stop);
                told.await
            }
        };
        waiting.is_over();
        ended.unwrap_or_else(|_| Err(Unsuccessful::Lost(waiting.desk.lost.clone().into())))
    }

    /// What the program says came of a request. One that is over already is none of anybody's.
    pub(crate) fn answer(&self, id: u64, answer: Answer) {
        let asked = self.with(|state| state.asked.remove(&id));
        // Who has asked may have given up.
        match asked {
            Some(Asked::Call(tell)) => drop(tell.send(answer.into_call())),
            Some(Asked::Operation(tell, _)) => drop(tell.send(answer.into_ending())),
            None => {}
        }
    }

    /// How far an operation is.
    pub(crate) fn progress(&self, id: u64, progress: Progress) {
        if let Some(work) = self.work(id) {
            work.progress(progress);
        }
    }

    fn work(&self, id: u64) -> Option<Work> {
        self.with(|state| match state.asked.get(&id) {
            Some(Asked::Operation(_, work)) => Some(Work::clone(work)),
            _ => None,
        })
    }

    /// What follows an operation in its lane may begin.
    pub(crate) fn accept(&self, id: u64) {
        if let Some(work) = self.work(id) {
            work.accept();
        }
    }

    /// The program has gone: whoever waits for it learns so.
    pub(crate) fn end(&self) {
        let asked = self.with(|state| {
            state.is_over = true;
            std::mem::take(&mut state.asked)
        });
        drop(asked);
    }

    fn begin<const N: usize>(
        self: &Arc<Self>,
        word: &str,
        trace: Option<Context>,
        fields: impl FnOnce(Parcel) -> [Parcel; N],
        asked: Asked,
    ) -> Result<Waiting, Failure> {
        // Numbers leave in their order: a device takes none that is not greater than all before.
        let (begun, unsaid) = self.with(|state| {
            if state.is_over {
                return (Err(self.lost.clone()), Some(asked));
            }
            let id = match state.begin(asked, self.most) {
                Ok(id) => id,
                Err(failure) => return (Err(failure), None),
            };
            let trace = trace.map(|trace| of(&trace.to_string()));
            let message = say(word, fields(of(&id)).into_iter().chain(trace));
            match message.and_then(|message| self.out.push(message)) {
                Ok(()) => (Ok(id), None),
                // The program knows nothing of it.
                Err(failure) => (Err(failure), state.asked.remove(&id)),
            }
        });
        drop(unsaid);
        let desk = Arc::clone(self);
        begun.map(|id| Waiting { desk, id })
    }

    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn begin(&mut self, asked: Asked, most: u64) -> Result<u64, Failure> {
        if self.asked.len() >= PROGRAM_REQUESTS_MAX {
            let message = format!("{PROGRAM_REQUESTS_MAX} requests wait for the program already");
            return Err(Code::Overloaded.because(message));
        }
        let after = |id: u64| if id >= most { 0 } else { id + 1 };
        // After four thousand million requests one may still wait from the first of them.
        while self.asked.contains_key(&self.next) {
            self.next = after(self.next);
        }
        let id = self.next;
        self.next = after(id);
        self.asked.insert(id, asked);
        Ok(id)
    }
}

/// Somebody waits for the program's answer. Dropped before it came, it is told to the program.
struct Waiting {
    desk: Arc<Desk>,
    id: u64,
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

/// Who asks; null if it is the held node itself.
pub(crate) fn caller(caller: Option<NodeId>) -> Parcel {
    of(&caller.map(|id| id.to_string()))
}

fn gone() -> Failure {
    Code::Gone.because("the program has gone")
}
