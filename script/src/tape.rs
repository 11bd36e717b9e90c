//! What a script has asked of the network, and got: so that it may stop, and begin again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use peerage::rpc::{Act, Parcel, Proxy};
use rhai::{Dynamic, EvalAltResult, Position};

use crate::engine::wrong;
use crate::{Limits, ScriptError};

/// What a script asks of the network.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// Something of an object.
    Ask {
        object: Proxy,
        act: Act,
        name: String,
        args: Parcel,
    },
    /// A command's output.
    Run(String),
    /// The results of a function, by its number in the source, of all data.
    Across {
        peers: Vec<String>,
        data: Vec<Dynamic>,
        function: usize,
    },
    /// To wait for so many seconds.
    Sleep(f64),
    /// Who is here.
    Peers,
}

/// What came of a wish; what failed is thrown in the script.
pub(crate) type Come = Result<Dynamic, String>;

/// The record of one script.
pub(crate) struct Tape(Mutex<Record>);

struct Record {
    limits: Limits,
    came: Vec<Come>,
    /// How many of those the present run has taken.
    taken: usize,
    wish: Option<Wish>,
    steps: u64,
    /// Whether it has been stopped from outside.
    stopped: bool,
    /// Lines that were written, by all runs, and how many of them by the present one.
    lines: usize,
    lines_again: usize,
    written: String,
    written_bytes: usize,
    exceeded: Option<&'static str>,
}

impl Tape {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Mutex::new(Record {
            limits,
            came: Vec::new(),
            taken: 0,
            wish: None,
            steps: 0,
            stopped: false,
            lines: 0,
            lines_again: 0,
            written: String::new(),
            written_bytes: 0,
            exceeded: None,
        }))
    }

    /// A run begins.
    pub(crate) fn rewind(&self) {
        let mut record = self.lock();
        record.taken = 0;
        record.lines_again = 0;
        record.wish = None;
    }

    /// What was asked for has come.
    pub(crate) fn put(&self, come: Come) {
        self.lock().came.push(come);
    }

    /// What the last run stopped for.
    pub(crate) fn wish(&self) -> Option<Wish> {
        self.lock().wish.take()
    }

    /// What it has written since this was asked last.
    pub(crate) fn written(&self) -> String {
        std::mem::take(&mut self.lock().written)
    }

    /// Stops it at its next step.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
    }

    /// Which limit it went beyond.
    pub(crate) fn exceeded(&self) -> Option<ScriptError> {
        let limit = self.lock().exceeded?;
        Some(ScriptError::Limit(limit.to_owned()))
    }

    /// What comes of a wish; the script stops if that is not known yet.
    pub(crate) fn wait_for(
        &self,
        wish: impl FnOnce() -> Wish,
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        let mut record = self.lock();
        if let Some(come) = record.came.get(record.taken).cloned() {
            record.taken += 1;
            return come.map_err(wrong);
        }
        if record.came.len() >= record.limits.requests {
            record.exceeded = Some("more requests than it may make");
        } else {
            record.wish = Some(wish());
        }
        Err(stop())
    }

    /// It went beyond a limit: what a script is stopped by.
    pub(crate) fn exceed(&self, limit: &'static str) -> Box<EvalAltResult> {
        self.lock().exceeded = Some(limit);
        stop()
    }

    /// A line is written, if it is not from a run before.
    pub(crate) fn print(&self, text: &str) {
        let mut record = self.lock();
        record.lines_again += 1;
        if record.lines_again <= record.lines {
            return;
        }
        record.lines += 1;
        record.written_bytes += text.len() + 1;
        if record.written_bytes > record.limits.output_bytes {
            record.exceeded = Some("more output than it may write");
            return;
        }
        record.written += text;
        record.written.push('\n');
    }

    /// A step is done; something if it shall be the last.
    pub(crate) fn step(&self) -> Option<Dynamic> {
        let mut record = self.lock();
        record.steps += 1;
        if record.steps > record.limits.steps {
            record.exceeded = Some("more steps than it may take");
        }
        (record.stopped || record.exceeded.is_some()).then_some(Dynamic::UNIT)
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a script cannot catch.
fn stop() -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorTerminated(
        Dynamic::UNIT,
        Position::NONE,
    ))
}
