//! Whether an adapter is there, as those see it who would use it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerage::rpc::{Act, Agent, CallError, Emitter, Handling, Interface, Parcel, Request};
use peerage::{Code, Failure};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::front::out::Out;
use crate::front::program::Desk;

/// The agent of a held node that tells whether its adapter is linked.
pub const AGENT: &str = "peerage/adapter/1";

/// The greatest number of a request: JavaScript knows all up to it.
const NUMBER_MAX: u64 = (1 << 53) - 1;

/// The link of an adapter, which comes and goes.
#[derive(Default)]
pub(super) struct Link(Mutex<State>);

#[derive(Default)]
struct State {
    here: Option<Here>,
    /// How often it was linked.
    links: u64,
    /// The number of the next request.
    next: u64,
    emitter: Option<Emitter>,
}

/// An adapter that is linked.
struct Here {
    desk: Arc<Desk>,
    instance: String,
    cut: CancellationToken,
}

/// What an adapter has of its link while it is linked.
pub(super) struct Linked {
    pub(super) desk: Arc<Desk>,
    /// It shall go: another has taken its place.
    pub(super) cut: CancellationToken,
}

/// What is told of each change.
#[derive(Serialize)]
struct Change {
    linked: bool,
    links: u64,
}

impl Link {
    /// What is asked of the adapter is asked here.
    ///
    /// # Errors
    /// `unreachable` if it is not linked.
    pub(super) fn desk(&self) -> Result<Arc<Desk>, Failure> {
        let unlinked = || Code::Unreachable.because("its adapter is not linked");
        let state = self.lock();
        let here = state.here.as_ref().ok_or_else(unlinked)?;
        Ok(Arc::clone(&here.desk))
    }

    /// Which one is linked.
    pub(super) fn instance(&self) -> Option<String> {
        let state = self.lock();
        state.here.as_ref().map(|here| here.instance.clone())
    }

    /// How often it was linked.
    pub(super) fn links(&self) -> u64 {
        self.lock().links
    }

    /// An adapter is there, which has heard requests up to this number.
    pub(super) fn begin(&self, out: &Out, instance: &str, after: u64) -> Linked {
        self.end(None);
        let mut state = self.lock();
        let next = state.next.max(after.min(NUMBER_MAX - 1) + 1);
        let lost = Code::Interrupted.because("its adapter was lost in the midst of it");
        let desk = Desk::counting(out.clone(), next, NUMBER_MAX, lost);
        let cut = CancellationToken::new();
        state.links += 1;
        state.here = Some(Here {
            desk: Arc::clone(&desk),
            instance: instance.to_owned(),
            cut: cut.clone(),
        });
        state.tell();
        Linked { desk, cut }
    }

    /// An adapter has gone: this one, or whoever is there. Whoever waits for it learns so.
    pub(super) fn end(&self, which: Option<&Arc<Desk>>) {
        let here = {
            let mut state = self.lock();
            let is_meant = |here: &mut Here| which.is_none_or(|desk| Arc::ptr_eq(desk, &here.desk));
            let here = state.here.take_if(is_meant);
            if let Some(here) = &here {
                state.next = here.desk.next();
                state.tell();
            }
            here
        };
        if let Some(Here { desk, cut, .. }) = here {
            cut.cancel();
            desk.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells how it is, in the order of the changes.
    fn tell(&self) {
        let (linked, links) = (self.here.is_some(), self.links);
        if let Some(emitter) = &self.emitter {
            // Both can be written.
            let _ = emitter.emit("changed", &Change { linked, links });
            let _ = emitter.changed("linked", &linked);
        }
    }
}

/// The agent that tells of a link.
pub(super) struct Teller {
    pub(super) link: Arc<Link>,
    /// What the adapter says of itself.
    pub(super) about: Parcel,
}

impl Agent for Teller {
    fn interface(&self) -> Interface {
        Interface {
            name: AGENT.into(),
            version: Some(1),
            methods: Vec::new(),
            properties: ["linked", "about"].map(String::from).into(),
            events: Some(vec![String::from("changed")]),
        }
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let answer = match (request.act, request.name) {
            (Act::Get | Act::Watch, "linked") => {
                let is_here = self.link.lock().here.is_some();
                Parcel::of(&is_here).map_err(CallError::from)
            }
            (Act::Get | Act::Watch, "about") => Ok(self.about.clone()),
            (act, name) => Err(self.interface().unknown(act, name)),
        };
        Box::pin(core::future::ready(answer))
    }

    fn attached(&self, emitter: Emitter) {
        self.link.lock().emitter = Some(emitter);
    }
}
