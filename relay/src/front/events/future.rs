//! Futures: operations, as clients know them. A future is the relay's view of an operation at its node: it lasts longer than the
//! client's socket, and who comes back finds it by its tracker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use peerage::error::Code;
use peerage::limits::{
    EVENTS_FUTURES_MAX, EVENTS_FUTURES_OF_CLIENT_MAX, EVENTS_TRACE_MAX, STOP_GRACE,
};
use peerage::service::operation::{Operation, Progress, StopKind, Tracker, Unsuccessful};
use peerage::{Failure, NodeId};
use serde::Serialize;
use serde_json::Value as Json;
use tokio::sync::{mpsc, watch};

use super::json;

/// The futures of a relay. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Futures(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    all: BTreeMap<u32, Arc<Future>>,
    last: u32,
}

/// Whose future it is, and of what.
pub(super) struct About {
    /// The client's node.
    pub(super) owner: NodeId,
    /// Where the operation is.
    pub(super) at: NodeId,
    /// The operation's name.
    pub(super) name: String,
    /// Its tracker, and as the client writes it.
    pub(super) tracker: (Tracker, String),
}

/// A future.
pub(super) struct Future {
    pub(super) id: u32,
    about: About,
    created: u64,
    live: watch::Sender<Live>,
    stop: mpsc::Sender<(StopKind, String)>,
}

/// What changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    fraction: Option<f64>,
    remaining_ms: Option<u64>,
    note: Option<String>,
    data: Option<Json>,
    end: Option<End>,
    trace: Vec<Event>,
}

/// How it ended.
#[derive(Clone, Debug)]
struct End {
    state: &'static str,
    reason: Option<String>,
    reason_data: Option<Json>,
    at: u64,
}

/// A future as it is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View {
    id: u32,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracker: Option<String>,
    /// From 0 to 100.
    progress: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining_time_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// `SUCCESS`, `FAIL`, `ABORT` or `CANCEL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_data: Option<Json>,
    /// What its progress had with it; of a success, what it brought.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_data: Option<Json>,
    /// It is nobody's part here: its parts are their nodes' own matter.
    root_future: Option<()>,
    abort_abandoned_timeout_ms: u64,
}

/// What became of a future, and when: times are milliseconds since 1970.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trace {
    id: u32,
    parent_id: Option<u32>,
    name: String,
    create_time: u64,
    run_start_time: u64,
    run_end_time: Option<u64>,
    end_time: Option<u64>,
    end_state: Option<&'static str>,
    children: [(); 0],
}

/// Something that became of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Event {
    idx: usize,
    time: u64,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl Futures {
    /// A future of an operation that is begun: that which the client has already under this tracker, or another one.
    ///
    /// # Errors
    /// `overloaded` if there are too many that have not ended.
    pub(super) fn begin(
        &self,
        about: About,
        follow: impl FnOnce() -> Operation,
    ) -> Result<Arc<Future>, Failure> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = |about: &About| (about.tracker.0, about.owner, about.at);
        let mut all = state.all.values();
        let known = all.find(|known| key(&known.about) == key(&about));
        if let Some(known) = known {
            return Ok(Arc::clone(known));
        }
        state.make_room(about.owner)?;
        // Small numbers, as programs in Java expect them.
        state.last = state.last % i32::MAX.unsigned_abs() + 1;
        let (stop, stops) = mpsc::channel(1);
        let (live, _) = watch::channel(Live::default());
        let future = Arc::new(Future {
            id: state.last,
            about,
            created: now_ms(),
            live,
            stop,
        });
        future.live.send_modify(|live| live.note_event("START"));
        state.all.insert(future.id, Arc::clone(&future));
        drop(state);
        tokio::spawn(Arc::clone(&future).follow(follow(), stops));
        Ok(future)
    }

    /// All that are known, as they are told to somebody.
    pub(super) fn list(&self, to: Option<NodeId>) -> Vec<View> {
        self.all()
            .iter()
            .map(|future| future.view(to, false))
            .collect()
    }

    /// What became of them all.
    pub(super) fn traces(&self) -> Vec<Trace> {
        self.all().iter().map(|future| future.trace()).collect()
    }

    /// The future of a number, or of a tracker, and whether the latter was said: who knows it was told.
    pub(super) fn find(&self, which: &str) -> Option<(Arc<Future>, bool)> {
        let all = self.all();
        let by_id = all.iter().find(|future| future.id.to_string() == which);
        let by_tracker = || all.iter().find(|future| future.about.tracker.1 == which);
        let found = by_id.map(|future| (future, false));
        let found = found.or_else(|| by_tracker().map(|future| (future, true)));
        found.map(|(future, is_told)| (Arc::clone(future), is_told))
    }

    fn all(&self) -> Vec<Arc<Future>> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.all.values().cloned().collect()
    }
}

impl State {
    /// Room for one more of a client: those that have ended make it, the oldest first.
    fn make_room(&mut self, owner: NodeId) -> Result<(), Failure> {
        let of_owner = |future: &&Arc<Future>| future.about.owner == owner;
        let full_for = self.all.values().filter(of_owner).count() >= EVENTS_FUTURES_OF_CLIENT_MAX;
        if !full_for && self.all.len() < EVENTS_FUTURES_MAX {
            return Ok(());
        }
        let ended = |future: &&Arc<Future>| future.live.borrow().end.is_some();
        let mut over = self.all.values().filter(ended);
        let oldest = over.find(|future| !full_for || future.about.owner == owner);
        let message = || format!("{EVENTS_FUTURES_OF_CLIENT_MAX} futures have not ended yet");
        let oldest = oldest
            .ok_or_else(|| Code::Overloaded.because(message()))?
            .id;
        self.all.remove(&oldest);
        Ok(())
    }
}

impl Future {
    /// As it is now, for somebody: what it brought is for its client, and for who was told its tracker.
    pub(super) fn view(&self, to: Option<NodeId>, is_told: bool) -> View {
        let is_own = is_told || self.is_of(to);
        let live = self.live.borrow();
        let (end, own) = (live.end.as_ref(), |data: Option<Json>| {
            data.filter(|_| is_own)
        });
        let fraction = match end.map(|end| end.state) {
            Some("SUCCESS") => 1.0,
            _ => live.fraction.unwrap_or_default(),
        };
        View {
            id: self.id,
            name: self.about.name.clone(),
            tracker: is_own.then(|| self.about.tracker.1.clone()),
            progress: (fraction * 100.0) as u8,
            remaining_time_ms: live.remaining_ms.filter(|_| end.is_none()),
            note: live.note.clone(),
            end_state: end.map(|end| end.state),
            reason: end.and_then(|end| end.reason.clone()),
            reason_data: own(end.and_then(|end| end.reason_data.clone())),
            client_data: own(live.data.clone()),
            root_future: None,
            abort_abandoned_timeout_ms: STOP_GRACE.as_millis() as u64,
        }
    }

    /// Told to its client, whenever it has changed.
    pub(super) fn changes(&self) -> watch::Receiver<Live> {
        self.live.subscribe()
    }

    /// Whether it is this client's.
    pub(super) fn is_of(&self, client: Option<NodeId>) -> bool {
        client == Some(self.about.owner)
    }

    /// Tells the operation to stop; one that is over stays as it ended.
    pub(super) fn stop(&self, kind: StopKind, reason: &str) {
        let event = match kind {
            StopKind::Cancel => "CANCEL",
            StopKind::Abort => "ABORT",
        };
        self.live.send_modify(|live| live.note_event(event));
        // If it was told already, that counts.
        let _ = self.stop.try_send((kind, reason.to_owned()));
    }

    /// What became of it so far.
    pub(super) fn events(&self) -> Vec<Event> {
        self.live.borrow().trace.clone()
    }

    fn trace(&self) -> Trace {
        let live = self.live.borrow();
        let ended = live.end.as_ref();
        Trace {
            id: self.id,
            parent_id: None,
            name: self.about.name.clone(),
            create_time: self.created,
            run_start_time: self.created,
            run_end_time: ended.map(|end| end.at),
            end_time: ended.map(|end| end.at),
            end_state: ended.map(|end| end.state),
            children: [],
        }
    }

    async fn follow(
        self: Arc<Self>,
        mut operation: Operation,
        mut stops: mpsc::Receiver<(StopKind, String)>,
    ) {
        loop {
            tokio::select! {
                Some((kind, reason)) = stops.recv() => operation.stop(kind, &reason),
                progress = operation.progress() => match progress {
                    Some(progress) => self.live.send_modify(|live| live.go_on(progress)),
                    None => break,
                },
            }
        }
        let result = operation.await;
        self.live.send_modify(|live| {
            live.note_event("DONE");
            live.end = Some(End {
                state: "SUCCESS",
                reason: None,
                reason_data: None,
                at: now_ms(),
            });
            match result {
                Ok(value) => live.data = json::of_parcel(&value).or(live.data.take()),
                Err(unsuccessful) => live.fail(&unsuccessful),
            }
        });
    }
}

impl Live {
    fn go_on(&mut self, progress: Progress) {
        self.fraction = progress.fraction.or(self.fraction);
        self.remaining_ms = progress.remaining.map(|time| time.as_millis() as u64);
        self.note = progress.note.or(self.note.take());
        self.data = json::of_parcel(&progress.data).or(self.data.take());
    }

    fn fail(&mut self, unsuccessful: &Unsuccessful) {
        let Some(end) = &mut self.end else {
            return;
        };
        end.state = match unsuccessful {
            Unsuccessful::Fail { data, .. } => {
                end.reason_data = json::of_parcel(data);
                "FAIL"
            }
            Unsuccessful::Lost(_) => "FAIL",
            Unsuccessful::Stopped(stop) => match stop.kind {
                StopKind::Cancel => "CANCEL",
                StopKind::Abort => "ABORT",
            },
        };
        end.reason = Some(unsuccessful.reason());
    }

    fn note_event(&mut self, kind: &'static str) {
        if self.trace.len() < EVENTS_TRACE_MAX {
            self.trace.push(Event {
                idx: self.trace.len(),
                time: now_ms(),
                kind,
            });
        }
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
