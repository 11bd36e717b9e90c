//! What an operation has at hand while it is done.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Operations;
use super::client::{Operation, Options};
use super::record::Record;
use super::wire::{Progress, Stop, StopKind};
use crate::Time;
use crate::id::NodeId;
use crate::object::ObjectError;
use crate::rpc::Parcel;
use crate::trace::Context;

/// An operation that is being done. Clones are the same.
#[derive(Clone)]
pub struct Work {
    operations: Operations,
    record: Arc<Record>,
    args: Parcel,
}

impl Work {
    pub(super) fn new(operations: Operations, record: Arc<Record>, args: Parcel) -> Self {
        Self {
            operations,
            record,
            args,
        }
    }

    /// Its number at this node.
    pub fn id(&self) -> u64 {
        self.record.id
    }

    /// Under which name it was started.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// The operations of the node that does it.
    pub fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Who started it.
    pub fn caller(&self) -> NodeId {
        self.record.caller
    }

    /// The span of a trace for which it is done. Its parts belong below that.
    pub fn trace(&self) -> Option<Context> {
        self.record.trace
    }

    /// What it was started with.
    ///
    /// # Errors
    /// What the type expects, and what there is.
    pub fn args<T: DeserializeOwned>(&self) -> Result<T, ObjectError> {
        self.args.read()
    }

    /// As [`Work::args`], as it came.
    pub fn args_parcel(&self) -> &Parcel {
        &self.args
    }

    /// Tells how far it is. Who takes it slowly sees the latest.
    pub fn progress(&self, progress: Progress) {
        self.operations.tell_progress(&self.record, progress);
    }

    /// Lets the next of its lane begin, though this one goes on: it was answered.
    pub fn accept(&self) {
        self.record.leave_lane();
    }

    /// Waits until it is told to stop: it has five seconds then to end by itself.
    pub fn stopped(&self) -> impl Future<Output = Stop> + Send + use<> {
        let stop = self.record.stop.wait();
        async move {
            match stop.await {
                Some(stop) => stop,
                None => core::future::pending().await,
            }
        }
    }

    /// Whether it was told to stop, and why.
    pub fn stop(&self) -> Option<Stop> {
        self.record.stop.get()
    }

    /// Starts an operation that is a part of this one: it stops when this does, at its deadline as well,
    /// and when what this returns is dropped.
    pub fn start<T: Serialize + ?Sized>(&self, node: &str, name: &str, args: &T) -> Operation {
        match Parcel::of(args) {
            Ok(args) => self.start_with(node, name, args, Options::default()),
            Err(error) => Operation::failed(error.into()),
        }
    }

    /// As [`Work::start`], for what is made already.
    pub fn start_with(&self, node: &str, name: &str, args: Parcel, options: Options) -> Operation {
        let left = self.time_left();
        let timeout = [options.timeout, left].into_iter().flatten().min();
        let own = self.operations.rpc().node().id().short();
        let options = Options { timeout, ..options };
        let parent = (format!("{own}/{}", self.record.id), self.trace());
        let part = self
            .operations
            .start_part(Some(parent), node, name, args, options);
        part.tied_to(self)
    }

    /// Waits until it is to stop, or has ended.
    pub(super) fn over(&self) -> impl Future<Output = Stop> + Send + use<> {
        let (stop, ended) = (self.record.stop.wait(), self.record.ended.wait());
        async move {
            let parent = "what it is a part of has ended";
            match futures_util::future::select(stop, ended).await {
                futures_util::future::Either::Left((Some(stop), _)) => stop,
                _ => StopKind::Abort.because(parent),
            }
        }
    }

    fn time_left(&self) -> Option<Time> {
        let now = self.operations.rpc().node().now();
        let deadline = self.record.deadline?;
        Some(deadline.saturating_sub(now))
    }
}
