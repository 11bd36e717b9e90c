//! The line of an adapter to its node: what it tells there, and asks.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerage::Failure;
use peerage::error::Code;
use peerage::limits::PROGRAM_REQUESTS_MAX;
use peerage::rpc::{CallError, Parcel, Thrown};
use peerage::service::operation::Progress;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::front::out::Out;
use crate::front::program::wire::{of, say};

/// The line of an adapter, linked or not. Clones are the same.
#[derive(Clone, Default)]
pub struct Line(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    out: Option<Out>,
    /// The values of its properties, by interface and name: told again with each link.
    values: BTreeMap<(String, String), Parcel>,
    asked: HashMap<u32, oneshot::Sender<Result<Parcel, CallError>>>,
    next: u32,
}

/// Where an operation tells how far it is.
#[derive(Clone)]
pub struct Report {
    pub(super) line: Line,
    pub(super) number: u64,
}

impl Line {
    /// Whether it is linked.
    pub fn is_linked(&self) -> bool {
        self.lock().out.is_some()
    }

    /// A property has a value. It is told now if it is another, which this returns, and with each link.
    pub fn property<T: Serialize + ?Sized>(&self, interface: &str, name: &str, value: &T) -> bool {
        let value = of(value);
        let key = (interface.to_owned(), name.to_owned());
        let mut shared = self.lock();
        let before = shared.values.insert(key, value.clone());
        let is_another = before.is_none_or(|before| before.value() != value.value());
        if is_another {
            shared.say("property", [of(interface), of(name), value]);
        }
        is_another
    }

    /// Something has happened: a record, as the schema has it.
    pub fn event<T: Serialize + ?Sized>(&self, interface: &str, name: &str, detail: &T) {
        self.lock()
            .say("emit", [of(interface), of(name), of(detail)]);
    }

    /// Something for the node's log: `error`, `warn`, `info` or `debug`.
    pub fn log(&self, level: &str, text: &str) {
        self.lock().say("log", [of(level), of(text)]);
    }

    /// Calls a method of an agent of a node.
    ///
    /// # Errors
    /// `unreachable` while it is not linked, `interrupted` if the link ends before the answer; why nothing came of it.
    pub async fn call<T>(
        &self,
        node: &str,
        agent: &str,
        method: &str,
        args: &T,
    ) -> Result<Parcel, CallError>
    where
        T: Serialize + ?Sized + Sync,
    {
        let args = Parcel::of(args)?;
        let told = {
            let mut shared = self.lock();
            let (id, told) = shared.ask()?;
            shared.say("call", [of(&id), of(node), of(agent), of(method), args]);
            told
        };
        let lost = || Code::Interrupted.because("the link has ended before the answer");
        told.await.unwrap_or_else(|_| Err(lost().into()))
    }

    /// It is linked, by this way.
    pub(super) fn begin(&self, out: &Out) {
        let mut shared = self.lock();
        shared.out = Some(out.clone());
        let values: Vec<_> = shared
            .values
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        for ((interface, name), value) in values {
            shared.say("property", [of(&interface), of(&name), value]);
        }
    }

    /// It is linked no more.
    pub(super) fn end(&self) {
        let asked = {
            let mut shared = self.lock();
            shared.out = None;
            std::mem::take(&mut shared.asked)
        };
        drop(asked);
    }

    /// What came of a call.
    pub(super) fn answer(&self, id: u32, answer: Result<Parcel, (String, String)>) {
        let asked = self.lock().asked.remove(&id);
        let answer = answer.map_err(|(kind, message)| match Code::from_name(&kind) {
            Some(code) => CallError::Failed(code.because(message)),
            None => Thrown::new(kind, message).into(),
        });
        if let Some(asked) = asked {
            // Who has asked may have given up.
            let _ = asked.send(answer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Says something, if it is linked and there is room.
    fn say<const N: usize>(&self, word: &str, fields: [Parcel; N]) {
        if let (Some(out), Ok(message)) = (&self.out, say(word, fields)) {
            // A node that takes nothing is lost soon.
            let _ = out.push(message);
        }
    }

    fn ask(&mut self) -> Result<(u32, oneshot::Receiver<Result<Parcel, CallError>>), Failure> {
        if self.out.is_none() {
            return Err(Code::Unreachable.because("the adapter is not linked"));
        }
        self.asked.retain(|_, asked| !asked.is_closed());
        if self.asked.len() >= PROGRAM_REQUESTS_MAX {
            let message = format!("{PROGRAM_REQUESTS_MAX} calls wait already");
            return Err(Code::Overloaded.because(message));
        }
        let (asked, told) = oneshot::channel();
        self.next = self.next.wrapping_add(1);
        self.asked.insert(self.next, asked);
        Ok((self.next, told))
    }
}

impl Report {
    /// Tells how far the operation is.
    pub fn progress(&self, progress: &Progress) {
        let millis = |time: Duration| time.as_millis() as u64;
        let fields = [
            of(&self.number),
            of(&progress.fraction),
            of(&progress.remaining.map(millis)),
            of(&progress.note),
            progress.data.clone(),
        ];
        self.line.lock().say("progress", fields);
    }

    /// What follows it in its lane may begin.
    pub fn accept(&self) {
        self.line.lock().say("accept", [of(&self.number)]);
    }
}
