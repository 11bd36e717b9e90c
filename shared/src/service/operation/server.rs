//! The executing side: operations that others start here.

use core::panic::AssertUnwindSafe;
use core::pin::pin;
use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::listed::CHANGES;
use super::record::Record;
use super::wire::{Ending, Info, Progress, Stop, StopKind, Tracker, Unsuccessful, Which};
use super::work::Work;
use super::{AGENT, Offer, Operations, Shared, State};
use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{
    DEADLINE_MAX, ENDED_OPERATION_KEPT, ENDED_OPERATIONS_BYTES_MAX, ENDED_OPERATIONS_MAX,
    ENDED_OPERATIONS_OF_CALLER_BYTES_MAX, ENDED_OPERATIONS_OF_CALLER_MAX, OBJECT_NAME_BYTES_MAX,
    OPERATIONS_MAX, OPERATIONS_OF_CALLER_BYTES_MAX, OPERATIONS_OF_CALLER_MAX, STOP_GRACE,
};
use crate::log::event;
use crate::rpc::{Act, Agent, CallError, Handling, Interface, Parcel, Request};
use crate::service::millis::of_millis;
use crate::trace::Context;

/// What others start operations by.
pub(super) struct Service(Weak<Shared>);

impl Service {
    pub(super) fn new(operations: Weak<Shared>) -> Self {
        Self(operations)
    }

    fn operations(&self) -> Result<Operations, Failure> {
        let gone = || Code::Left.because("this node has no operations any more");
        self.0.upgrade().map(Operations).ok_or_else(gone)
    }

    fn answer(&self, request: Request<'_>) -> Result<Handling, CallError> {
        let operations = self.operations()?;
        let caller = request.caller;
        let caller = caller.unwrap_or_else(|| operations.rpc().node().id());
        let (name, args, trace) = (request.name, request.args, request.trace);
        let value = match (request.act, name) {
            (Act::Call, "start") => {
                let record = operations.begin(args, caller, trace)?;
                let part = record.parent.is_some().then(|| Part(Arc::clone(&record)));
                return Ok(ending_of(&record, true, part));
            }
            (Act::Call, "attach") => {
                let which: String = args.argument_called(0, "which")?;
                let record = operations.find(&which, caller)?;
                let is_told = !which.starts_with('#') || operations.may_stop(&record, caller);
                return Ok(ending_of(&record, is_told, None));
            }
            (Act::Call, "stop") => {
                operations.stop(&args, caller)?;
                Parcel::default()
            }
            (Act::Call, "list") => Parcel::of(&operations.list_for(caller))?,
            (Act::Get | Act::Watch, CHANGES) => Parcel::of(&operations.changes())?,
            (Act::Get | Act::Watch, which) => {
                let record = operations.find(which, caller)?;
                record.progress().to_parcel()?
            }
            (act, name) => return Err(self.interface().unknown(act, name)),
        };
        Ok(Box::pin(core::future::ready(Ok(value))))
    }
}

impl Agent for Service {
    fn interface(&self) -> Interface {
        Interface {
            name: AGENT.into(),
            version: Some(1),
            methods: ["start", "attach", "stop", "list"].map(String::from).into(),
            properties: vec![CHANGES.into()],
            events: Some(Vec::new()),
        }
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let answer = self.answer(request);
        answer.unwrap_or_else(|error| Box::pin(core::future::ready(Err(error))))
    }
}

/// What is told of an operation once it has ended: to who only watches it, not what it brought.
fn ending_of(record: &Arc<Record>, is_told: bool, part: Option<Part>) -> Handling {
    let record = Arc::clone(record);
    Box::pin(async move {
        let gone = || Code::Left.because("this node runs no operations any more");
        let ending = record.ended.wait().await.ok_or_else(gone)?;
        let ending = if is_told {
            ending
        } else {
            ending.without_value()
        };
        drop(part);
        Ok(ending.to_parcel(&record.progress())?)
    })
}

/// A part of an operation elsewhere: it ends with the call by which it was started.
struct Part(Arc<Record>);

impl Drop for Part {
    fn drop(&mut self) {
        // After its end it is too late for that.
        self.0
            .stop
            .set(StopKind::Abort.because("what it is a part of is gone"));
    }
}

/// What the operations of one caller are.
#[derive(Clone, Copy, Default)]
pub(super) struct Load {
    running: usize,
    running_bytes: usize,
    ended: usize,
    ended_bytes: usize,
}

impl Load {
    /// Whether more have ended than are kept.
    fn is_full(&self) -> bool {
        self.ended > ENDED_OPERATIONS_OF_CALLER_MAX
            || self.ended_bytes > ENDED_OPERATIONS_OF_CALLER_BYTES_MAX
    }
}

/// One that has ended.
pub(super) struct Ended {
    id: u64,
    caller: NodeId,
    /// What its result takes.
    bytes: usize,
}

impl Operations {
    fn begin(
        &self,
        args: Parcel,
        caller: NodeId,
        trace: Option<Context>,
    ) -> Result<Arc<Record>, CallError> {
        let [tracker, name, args, lane, timeout, parent] = args.into_parts();
        let tracker: Tracker = tracker.read::<String>()?.parse()?;
        let name: String = name.read()?;
        let lane: Option<String> = lane.read()?;
        let timeout = timeout.read::<Option<f64>>()?;
        let no_time = || Code::BadMessage.because("expected a timeout in milliseconds");
        let timeout = timeout.map(|millis| of_millis(millis).ok_or_else(no_time));
        let timeout = timeout.transpose()?;
        let timeout = timeout.map(|timeout| timeout.min(DEADLINE_MAX));
        let parent: Option<String> = parent.read()?;
        parent.as_deref().map_or(Ok(()), check_length)?;
        let weight = args.value().weight();
        let now = self.rpc().node().now();
        let mut state = self.lock();
        if let Some(known) = state.known(tracker, &name, caller)? {
            return Ok(known);
        }
        let unknown =
            || Code::UnknownMethod.because(format!("there is no operation `{name}` there"));
        let (name, offer) = state.offers.get_key_value(&*name).ok_or_else(unknown)?;
        let (name, offer) = (Arc::clone(name), offer.clone());
        state.check_room(caller, weight)?;
        let turn = lane.map(|lane| self.rpc().lanes().enter(caller, &lane, weight));
        let turn = turn.transpose()?;
        state.last_id += 1;
        let record = Arc::new(Record::new(
            state.last_id,
            (tracker, name),
            (caller, parent, trace),
            offer.is_public,
            (now, timeout),
            (turn, weight),
        ));
        let load = state.loads.entry(caller).or_default();
        load.running += 1;
        load.running_bytes += weight;
        state.trackers.insert(tracker, record.id);
        state.records.insert(record.id, Arc::clone(&record));
        drop(state);
        event!(
            MESSAGE, TRACE, self.rpc().node().id(),
            peer = %caller.short(), operation = record.id, name = &*record.name,
            "an operation is started"
        );
        self.tell_change();
        let running = self.clone().run(Arc::clone(&record), offer, args);
        self.rpc().spawn(running);
        Ok(record)
    }

    async fn run(self, record: Arc<Record>, offer: Offer, args: Parcel) {
        let node = self.rpc().node().clone();
        let late = async {
            match record.deadline {
                Some(deadline) => node.sleep(deadline.saturating_sub(node.now())).await,
                None => core::future::pending().await,
            }
            record
                .stop
                .set(StopKind::Abort.because("its time was over"));
        };
        let ending = match select(pin!(self.work(&record, offer, args)), pin!(late)).await {
            Either::Left((ending, _)) => ending,
            // It was told to stop, and does.
            Either::Right(((), working)) => working.await,
        };
        self.finish(&record, ending);
    }

    /// Does an operation, when its turn has come, to its end.
    async fn work(&self, record: &Arc<Record>, offer: Offer, args: Parcel) -> Ending {
        let node = self.rpc().node().clone();
        if let Some(turn) = record.turn() {
            let stopped = record.stop.wait();
            if let Either::Right((Some(stop), _)) = select(pin!(turn.come()), stopped).await {
                return Ending::Stopped(stop);
            }
        }
        if let Some(stop) = record.stop.get() {
            return Ending::Stopped(stop);
        }
        record.run();
        self.tell_change();
        let work = Work::new(self.clone(), Arc::clone(record), args);
        let working = AssertUnwindSafe(async move { (offer.run)(work).await }).catch_unwind();
        let given_up = async {
            let stop = record.stop.wait().await;
            node.sleep(STOP_GRACE).await;
            stop
        };
        let result = match select(pin!(working), pin!(given_up)).await {
            Either::Left((result, _)) => result.unwrap_or_else(|_| Err(self.panicked(record))),
            Either::Right((stop, _)) => Err(stopped(stop)),
        };
        match (record.stop.get(), result) {
            // What failed in its own words tells more than that it was told to stop.
            (Some(_), Err(failed @ Unsuccessful::Fail { .. })) => failed.into_ending(),
            (Some(stop), _) => Ending::Stopped(stop),
            (None, Ok(value)) => Ending::Success(value),
            (None, Err(unsuccessful)) => unsuccessful.into_ending(),
        }
    }

    /// What a panic said may hold anything, and so is told to nobody.
    fn panicked(&self, record: &Record) -> Unsuccessful {
        event!(
            ERROR,
            ERROR,
            self.rpc().node().id(),
            operation = record.id,
            name = &*record.name,
            "an operation panicked"
        );
        Unsuccessful::fail("it failed in a way that it did not foresee")
    }

    fn finish(&self, record: &Arc<Record>, ending: Ending) {
        let now = self.rpc().node().now();
        event!(
            MESSAGE,
            TRACE,
            self.rpc().node().id(),
            operation = record.id,
            name = &*record.name,
            end = ending.as_str(),
            "an operation has ended"
        );
        let told = record.progress().data.value().weight();
        let bytes = told
            + match &ending {
                Ending::Success(value) | Ending::Fail { data: value, .. } => value.value().weight(),
                Ending::Stopped(_) => 0,
            };
        record.end(now);
        let end = ending.as_str();
        record.ended.set(ending);
        record.leave_lane();
        let (forgotten, sweeps) = {
            let mut state = self.lock();
            *state.ends.entry(end).or_default() += 1;
            state.note_end(record, bytes);
            let sweeps = !std::mem::replace(&mut state.is_sweeping, true);
            (state.forget_old(now, Some(record.caller)), sweeps)
        };
        drop(forgotten);
        self.tell_change();
        if sweeps {
            let swept = sweep(Arc::downgrade(&self.0), self.rpc().node().clone());
            self.rpc().spawn(swept);
        }
    }

    fn find(&self, which: &str, caller: NodeId) -> Result<Arc<Record>, Failure> {
        let state = self.lock();
        let found = match which.parse()? {
            Which::Tracked(tracker) => state.tracked(tracker),
            Which::Numbered(number) => state.records.get(&number).filter(|record| {
                let own = self.rpc().node().id();
                record.is_public || record.caller == caller || caller == own
            }),
        };
        found.cloned().ok_or_else(unknown_operation)
    }

    fn stop(&self, args: &Parcel, caller: NodeId) -> Result<(), CallError> {
        let which: String = args.argument_called(0, "which")?;
        let kind: String = args.argument_called(1, "kind")?;
        let reason: Option<String> = args.argument_called(2, "reason")?;
        let record = self.find(&which, caller)?;
        if which.starts_with('#') && !self.may_stop(&record, caller) {
            let message = "only who started an operation, or knows its tracker, can stop it";
            return Err(Code::Unauthorised.because(message).into());
        }
        let kind: StopKind = kind.parse()?;
        let reason = reason.unwrap_or_default();
        record.stop.set(kind.because(reason));
        Ok(())
    }

    /// Whether an operation is this node's to stop without its tracker.
    fn may_stop(&self, record: &Record, caller: NodeId) -> bool {
        record.caller == caller || caller == self.rpc().node().id()
    }

    pub(super) fn list_for(&self, caller: NodeId) -> Vec<Info> {
        let (now, own) = (self.rpc().node().now(), self.rpc().node().id());
        let is_shown =
            |record: &&Arc<Record>| record.is_public || record.caller == caller || caller == own;
        let records: Vec<_> = {
            let state = self.lock();
            state
                .records
                .values()
                .rev()
                .filter(is_shown)
                .take(LIST_MAX)
                .cloned()
                .collect()
        };
        records
            .iter()
            .map(|record| record.info(now, caller))
            .collect()
    }

    pub(super) fn tell_progress(&self, record: &Record, progress: Progress) {
        if record.ended.get().is_some() {
            return;
        }
        // Who begins to watch now reads it; who watched is told.
        let parcel = record.set_progress(progress.checked()).to_parcel();
        if let (Some(emitter), Ok(parcel)) = (self.0.emitter.get(), parcel) {
            for which in [Which::Tracked(record.tracker), Which::Numbered(record.id)] {
                let which = which.to_string();
                if emitter.is_heard(Act::Watch, &which) {
                    emitter.tell(Act::Watch, &which, parcel.clone());
                }
            }
        }
        self.tell_change();
    }
}

impl State {
    /// An operation that was started before: to start it again is to attach to it.
    fn known(
        &self,
        tracker: Tracker,
        name: &str,
        caller: NodeId,
    ) -> Result<Option<Arc<Record>>, Failure> {
        match self.tracked(tracker) {
            Some(known) if known.caller == caller && &*known.name == name => {
                Ok(Some(known.clone()))
            }
            Some(_) => Err(Code::Refused.because("this tracker is that of another operation")),
            None => Ok(None),
        }
    }

    fn tracked(&self, tracker: Tracker) -> Option<&Arc<Record>> {
        self.records.get(self.trackers.get(&tracker)?)
    }

    fn check_room(&self, caller: NodeId, weight: usize) -> Result<(), Failure> {
        let load = self.loads.get(&caller).copied().unwrap_or_default();
        let (most, bytes) = (OPERATIONS_OF_CALLER_MAX, OPERATIONS_OF_CALLER_BYTES_MAX);
        let is_heavy = load.running > 0 && load.running_bytes + weight > bytes;
        if self.records.len() - self.ended.len() >= OPERATIONS_MAX
            || load.running >= most
            || is_heavy
        {
            let message = format!(
                "expected at most {OPERATIONS_MAX} operations at once, {most} of one caller, with {bytes} bytes"
            );
            return Err(Code::Overloaded.because(message));
        }
        Ok(())
    }

    /// An operation has ended, and its result takes so much.
    fn note_end(&mut self, record: &Record, bytes: usize) {
        let load = self.loads.entry(record.caller).or_default();
        load.running -= 1;
        load.running_bytes -= record.weight;
        load.ended += 1;
        load.ended_bytes += bytes;
        self.ended_bytes += bytes;
        let ended = Ended {
            id: record.id,
            caller: record.caller,
            bytes,
        };
        self.ended.push_back(ended);
    }

    /// Forgets what ended long ago, and what is too much; it is to be dropped once the lock is free.
    fn forget_old(&mut self, now: Time, caller: Option<NodeId>) -> Vec<Arc<Record>> {
        let mut forgotten = Vec::new();
        while let Some(caller) = caller
            && self.loads.get(&caller).is_some_and(Load::is_full)
            && let Some(at) = self.ended.iter().position(|ended| ended.caller == caller)
        {
            forgotten.extend(self.forget(at));
        }
        while let Some(oldest) = self.ended.front() {
            let record = self.records.get(&oldest.id);
            let age = record.and_then(|record| record.ended_at());
            let age = age.map(|ended| now.saturating_sub(ended));
            let is_over = age.is_none_or(|age| age >= ENDED_OPERATION_KEPT)
                || self.ended.len() > ENDED_OPERATIONS_MAX
                || self.ended_bytes > ENDED_OPERATIONS_BYTES_MAX;
            if !is_over {
                break;
            }
            forgotten.extend(self.forget(0));
        }
        forgotten
    }

    /// Forgets one of those that have ended, by its place among them.
    fn forget(&mut self, at: usize) -> Option<Arc<Record>> {
        let ended = self.ended.remove(at)?;
        self.ended_bytes -= ended.bytes;
        if let Some(load) = self.loads.get_mut(&ended.caller) {
            load.ended -= 1;
            load.ended_bytes -= ended.bytes;
            if load.ended + load.running == 0 {
                self.loads.remove(&ended.caller);
            }
        }
        let record = self.records.remove(&ended.id)?;
        self.trackers.remove(&record.tracker);
        Some(record)
    }
}

/// Operations that a list tells of: the latest.
const LIST_MAX: usize = 4096;

/// Forgets what ended long ago, until nothing has ended.
async fn sweep(operations: Weak<Shared>, node: crate::node::Node) {
    loop {
        node.sleep(ENDED_OPERATION_KEPT / 4).await;
        let Some(operations) = operations.upgrade().map(Operations) else {
            return;
        };
        let mut state = operations.lock();
        let forgotten = state.forget_old(node.now(), None);
        state.is_sweeping = !state.ended.is_empty();
        let goes_on = state.is_sweeping;
        drop(state);
        if !forgotten.is_empty() {
            operations.tell_change();
        }
        drop(forgotten);
        if !goes_on {
            return;
        }
    }
}

fn stopped(stop: Option<Stop>) -> Unsuccessful {
    let stop = stop.unwrap_or_else(|| StopKind::Abort.because("it was given up"));
    Unsuccessful::Stopped(stop)
}

fn check_length(text: &str) -> Result<(), Failure> {
    if text.len() > OBJECT_NAME_BYTES_MAX {
        let (most, got) = (OBJECT_NAME_BYTES_MAX, text.len());
        let message = format!("expected a name of at most {most} bytes, got {got}");
        return Err(Code::TooLarge.because(message));
    }
    Ok(())
}

fn unknown_operation() -> Failure {
    let kept = ENDED_OPERATION_KEPT.as_secs();
    let message = format!(
        "there is no such operation there, or its caller keeps it to itself; one that ended is known for {kept} s"
    );
    Code::UnknownName.because(message)
}
