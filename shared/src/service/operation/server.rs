//! The executing side: operations that others start here.

use core::panic::AssertUnwindSafe;
use core::pin::pin;
use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::record::Record;
use super::wire::{
    Ending, Info, Progress, Stop, StopKind, Tracker, Unsuccessful, Which, of_millis,
};
use super::work::Work;
use super::{AGENT, Offer, Operations, Shared, State};
use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{
    DEADLINE_MAX, ENDED_OPERATION_KEPT, ENDED_OPERATIONS_BYTES_MAX, ENDED_OPERATIONS_MAX,
    OBJECT_NAME_BYTES_MAX, OPERATIONS_MAX, OPERATIONS_OF_CALLER_MAX, STOP_GRACE,
};
use crate::log::event;
use crate::rpc::{Act, Agent, CallError, Handling, Interface, Parcel, Request};

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
        let (name, args) = (request.name, request.args);
        let value = match (request.act, name) {
            (Act::Call, "start") => return Ok(ending_of(&*operations.begin(args, caller)?)),
            (Act::Call, "attach") => {
                let which: String = args.argument_called(0, "which")?;
                return Ok(ending_of(&*operations.find(&which, caller)?));
            }
            (Act::Call, "stop") => {
                operations.stop(&args, caller)?;
                Parcel::default()
            }
            (Act::Call, "list") => Parcel::of(&operations.list_for(caller))?,
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
            properties: Vec::new(),
            events: Some(Vec::new()),
        }
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let answer = self.answer(request);
        answer.unwrap_or_else(|error| Box::pin(core::future::ready(Err(error))))
    }
}

fn ending_of(record: &Record) -> Handling {
    let ended = record.ended.wait();
    Box::pin(async move {
        let gone = || Code::Left.because("this node runs no operations any more");
        Ok(ended.await.ok_or_else(gone)?.to_parcel()?)
    })
}

impl Operations {
    fn begin(&self, args: Parcel, caller: NodeId) -> Result<Arc<Record>, CallError> {
        let [tracker, name, args, lane, timeout, parent] = args.into_parts();
        let tracker: Tracker = tracker.read::<String>()?.parse()?;
        let name: String = name.read()?;
        let lane: Option<String> = lane.read()?;
        let timeout = timeout.read::<Option<f64>>()?.and_then(of_millis);
        let timeout = timeout.map(|timeout| timeout.min(DEADLINE_MAX));
        let parent: Option<String> = parent.read()?;
        for text in [lane.as_ref(), parent.as_ref()].into_iter().flatten() {
            check_length(text)?;
        }
        let now = self.rpc().node().now();
        let mut state = self.lock();
        if let Some(known) = state.known(tracker, &name, caller)? {
            return Ok(known);
        }
        let unknown =
            || Code::UnknownMethod.because(format!("there is no operation `{name}` there"));
        let (name, offer) = state.offers.get_key_value(&*name).ok_or_else(unknown)?;
        let (name, offer) = (Arc::clone(name), offer.clone());
        state.check_room(caller)?;
        state.last_id += 1;
        let turn = lane.map(|lane| self.rpc().lanes().enter(caller, &lane));
        let record = Arc::new(Record::new(
            state.last_id,
            (tracker, name),
            (caller, parent),
            offer.is_public,
            (now, timeout),
            turn,
        ));
        state.trackers.insert(tracker, record.id);
        state.records.insert(record.id, Arc::clone(&record));
        drop(state);
        event!(
            MESSAGE, TRACE, self.rpc().node().id(),
            peer = %caller.short(), operation = record.id, name = &*record.name,
            "an operation is started"
        );
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
        let bytes = match &ending {
            Ending::Success(value) | Ending::Fail { data: value, .. } => value.value().weight(),
            Ending::Stopped(_) => 0,
        };
        record.end(now);
        record.ended.set(ending);
        record.leave_lane();
        let (forgotten, sweeps) = {
            let mut state = self.lock();
            state.ended.push_back((record.id, bytes));
            state.ended_bytes = state.ended_bytes.saturating_add(bytes);
            let sweeps = !std::mem::replace(&mut state.is_sweeping, true);
            (state.forget_old(now), sweeps)
        };
        drop(forgotten);
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
        let is_allowed = record.caller == caller || caller == self.rpc().node().id();
        if which.starts_with('#') && !is_allowed {
            let message = "only who started an operation, or knows its tracker, can stop it";
            return Err(Code::Unauthorised.because(message).into());
        }
        let kind: StopKind = kind.parse()?;
        let reason = reason.unwrap_or_default();
        record.stop.set(kind.because(reason));
        Ok(())
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
        let emitter = self.lock().emitter.clone();
        let progress = progress.checked();
        if let (Some(emitter), Ok(parcel)) = (emitter, progress.to_parcel()) {
            for which in [Which::Tracked(record.tracker), Which::Numbered(record.id)] {
                let which = which.to_string();
                if emitter.is_heard(Act::Watch, &which) {
                    emitter.tell(Act::Watch, &which, parcel.clone());
                }
            }
        }
        record.set_progress(progress);
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

    fn check_room(&self, caller: NodeId) -> Result<(), Failure> {
        let running = self.records.len() - self.ended.len();
        // To count those of a caller matters only when there could be too many.
        let of_caller = match running {
            few if few < OPERATIONS_OF_CALLER_MAX => few,
            _ => self.running_of(caller),
        };
        if running >= OPERATIONS_MAX || of_caller >= OPERATIONS_OF_CALLER_MAX {
            let message = format!(
                "expected at most {OPERATIONS_MAX} operations, and {OPERATIONS_OF_CALLER_MAX} of one caller, at once"
            );
            return Err(Code::Overloaded.because(message));
        }
        Ok(())
    }

    fn running_of(&self, caller: NodeId) -> usize {
        let records = self.records.values();
        let own = records.filter(|record| record.caller == caller && record.ended_at().is_none());
        own.count()
    }

    /// Forgets what ended long ago, and what is too much; it is to be dropped once the lock is free.
    fn forget_old(&mut self, now: Time) -> Vec<Arc<Record>> {
        let mut forgotten = Vec::new();
        while let Some((id, bytes)) = self.ended.front().copied() {
            let is_old = |record: &Arc<Record>| {
                let ended = record.ended_at().unwrap_or_default();
                now.saturating_sub(ended) >= ENDED_OPERATION_KEPT
            };
            let is_over = self.records.get(&id).is_none_or(is_old)
                || self.ended.len() > ENDED_OPERATIONS_MAX
                || self.ended_bytes > ENDED_OPERATIONS_BYTES_MAX;
            if !is_over {
                break;
            }
            self.ended.pop_front();
            self.ended_bytes -= bytes;
            if let Some(record) = self.records.remove(&id) {
                self.trackers.remove(&record.tracker);
                forgotten.push(record);
            }
        }
        forgotten
    }
}

/// Operations that a list tells of: the latest.
const LIST_MAX: usize = 4096;

/// Forgets what ended long ago, until nothing has ended.
async fn sweep(operations: Weak<Shared>, node: crate::node::Node) {
    loop {
        node.sleep(ENDED_OPERATION_KEPT / 4).await;
        let Some(operations) = operations.upgrade() else {
            return;
        };
        let mut state = operations.lock();
        let forgotten = state.forget_old(node.now());
        state.is_sweeping = !state.ended.is_empty();
        let goes_on = state.is_sweeping;
        drop(state);
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
