//! The caller's side: operations that run anywhere.

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::collections::BTreeMap;

use futures_channel::oneshot;
use futures_util::future::{BoxFuture, Either, Shared, join, select};
use futures_util::{FutureExt, Stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::{Ending, Info, Progress, StopKind, Tracker, Unsuccessful, Which};
use super::work::Work;
use super::{AGENT, Operations};
use crate::Time;
use crate::error::Code;
use crate::limits::{DEADLINE_MAX, REQUEST_TIMEOUT, STOP_GRACE};
use crate::rpc::{Act, Asking, CallError, Parcel, Proxy, Rpc, Subscription};
use crate::service::millis::millis;
use crate::trace;

/// How an operation is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// It begins after what this node asked for in this lane before, be it a call, a command or an
    /// operation.
    pub lane: Option<String>,
    /// After how long it is aborted.
    pub timeout: Option<Time>,
    /// What it shall be known by; if there is none, one is drawn. To start what was started by the same
    /// node under the same tracker is to attach to it: nothing is done twice.
    pub tracker: Option<Tracker>,
}

/// An operation that was started, here or elsewhere: a future of what it brings. It goes on when this is
/// dropped, unless it is a part of another.
pub struct Operation {
    which: Which,
    /// At whom it is, once it is started there.
    at: Shared<BoxFuture<'static, Result<Proxy, CallError>>>,
    rpc: Option<Rpc>,
    stage: Stage,
    /// To be sent when it has ended; to be dropped when it is given up.
    tie: Option<oneshot::Sender<()>>,
}

enum Stage {
    /// It is not known yet whose name it is.
    Beginning(oneshot::Receiver<Result<Begun, CallError>>),
    Begun(Begun),
    Over(Option<Result<Parcel, Unsuccessful>>),
}

struct Begun {
    ending: Asking,
    progress: Subscription<()>,
    /// The number of the last progress that came.
    seen: u64,
}

impl Operations {
    /// Starts an operation of a node, by the node's name or id. What it is started with is one value.
    pub fn start<T>(&self, node: &str, name: &str, args: &T, options: Options) -> Operation
    where
        T: Serialize + ?Sized,
    {
        match Parcel::of(args) {
            Ok(args) => self.start_with(node, name, args, options),
            Err(error) => Operation::failed(error.into()),
        }
    }

    /// As [`Operations::start`], for what is made already.
    pub fn start_with(&self, node: &str, name: &str, args: Parcel, options: Options) -> Operation {
        self.start_part(None, node, name, args, options)
    }

    /// Starts an operation that is a part of another, and of its trace, if that is said.
    pub(super) fn start_part(
        &self,
        parent: Option<(String, Option<trace::Context>)>,
        node: &str,
        name: &str,
        args: Parcel,
        options: Options,
    ) -> Operation {
        let tracker = options.tracker.unwrap_or_else(|| self.new_tracker());
        let timeout = options.timeout.map(|timeout| timeout.min(DEADLINE_MAX));
        let (parent, trace) = parent.unzip();
        let made = || {
            Ok::<_, CallError>(Parcel::list([
                Parcel::of(&tracker.to_string())?,
                Parcel::of(name)?,
                args,
                Parcel::of(&options.lane)?,
                Parcel::of(&timeout.map(millis))?,
                Parcel::of(&parent)?,
            ]))
        };
        let by_name = self.rpc().proxy(node, AGENT).below(trace.flatten());
        let by_name = match &options.lane {
            Some(lane) => by_name.after_lane(lane.as_str()),
            None => by_name,
        };
        match made() {
            Ok(args) => self.follow(by_name, Which::Tracked(tracker), "start", args, timeout),
            Err(error) => Operation::failed(error.into()),
        }
    }

    /// Attaches to an operation of a node that was started before, from here or elsewhere.
    pub fn attach(&self, node: &str, which: Which) -> Operation {
        match Parcel::of(&(which.to_string(),)) {
            Ok(args) => {
                let by_name = self.rpc().proxy(node, AGENT);
                self.follow(by_name, which, "attach", args, None)
            }
            Err(error) => Operation::failed(error.into()),
        }
    }

    /// What runs at a node, and what has ended there lately; the latest first.
    ///
    /// # Errors
    /// Why the node does not tell.
    pub async fn list(&self, node: &str) -> Result<Vec<Info>, CallError> {
        let proxy = self.rpc().proxy(node, AGENT);
        let proxy = proxy.with_timeout(REQUEST_TIMEOUT);
        proxy.call("list", &()).await
    }

    /// What runs at this node, and what has ended here lately.
    pub fn own(&self) -> Vec<Info> {
        self.list_for(self.rpc().node().id())
    }

    /// How many of this node's have ended so far, by how: `success`, `fail`, `cancel` or `abort`.
    pub fn ends(&self) -> BTreeMap<&'static str, u64> {
        self.lock().ends.clone()
    }

    fn new_tracker(&self) -> Tracker {
        let mut tracker = Tracker([0; 16]);
        tracker.0.copy_from_slice(&self.rpc().node().random()[..16]);
        tracker
    }

    fn follow(
        &self,
        by_name: Proxy,
        which: Which,
        method: &'static str,
        args: Parcel,
        timeout: Option<Time>,
    ) -> Operation {
        let rpc = self.rpc().clone();
        let found = match by_name.can_leave() {
            Ok(true) => by_name.try_found().map_err(CallError::from),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        let (at, stage) = match found {
            Err(error) => return Operation::failed(error.into()),
            Ok(Some(proxy)) => {
                let proxy = proxy.at_once();
                let begun = Begun::new(&proxy, which, method, args, timeout);
                let at = core::future::ready(Ok(proxy)).boxed().shared();
                (at, Stage::Begun(begun))
            }
            Ok(None) => {
                let departure = match by_name.departure() {
                    Ok(departure) => departure,
                    Err(failure) => return Operation::failed(failure.into()),
                };
                let (tell, told) = oneshot::channel();
                let at = async move {
                    let (found, ()) = join(by_name.found(), departure.come()).await;
                    let found = found.map(Proxy::at_once);
                    let begun = |proxy: &Proxy| Begun::new(proxy, which, method, args, timeout);
                    let begun = found.as_ref().map(begun).map_err(CallError::clone);
                    drop(departure);
                    // Nobody may want to know any longer.
                    let _ = tell.send(begun);
                    found
                };
                let at = at.boxed().shared();
                rpc.spawn(at.clone().map(drop));
                (at, Stage::Beginning(told))
            }
        };
        Operation {
            which,
            at,
            rpc: Some(rpc),
            stage,
            tie: None,
        }
    }
}

impl Operation {
    /// One that never began.
    pub(super) fn failed(unsuccessful: Unsuccessful) -> Self {
        let nobody = Code::Refused.because("the operation never began");
        Self {
            which: Which::Numbered(0),
            at: core::future::ready(Err(nobody.into())).boxed().shared(),
            rpc: None,
            stage: Stage::Over(Some(Err(unsuccessful))),
            tie: None,
        }
    }

    /// By what it is known at its node, and can be attached to.
    pub fn which(&self) -> Which {
        self.which
    }

    /// How far it is, whenever that changes; `None` once it has ended. Who is slow sees the latest.
    pub async fn progress(&mut self) -> Option<Progress> {
        poll_fn(|cx| self.poll_progress(cx)).await
    }

    /// As [`Operation::progress`], to be polled.
    pub fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Option<Progress>> {
        loop {
            match &mut self.stage {
                Stage::Beginning(told) => match ready!(told.poll_unpin(cx)) {
                    Ok(Ok(begun)) => self.stage = Stage::Begun(begun),
                    Ok(Err(error)) => self.end(Err(error.into())),
                    Err(oneshot::Canceled) => {
                        let left = Code::Left.because("this node runs no operations any more");
                        self.end(Err(left.into()));
                    }
                },
                Stage::Begun(begun) => {
                    if let Poll::Ready(Some(Ok(parcel))) = begun.progress.poll_parcel(cx) {
                        match Progress::read(parcel) {
                            Ok(progress) if progress.says_something() => {
                                begun.seen = progress.number;
                                return Poll::Ready(Some(progress));
                            }
                            // What means nothing is no progress.
                            Ok(_) | Err(_) => continue,
                        }
                    }
                    let (ending, seen) = (ready!(begun.ending.poll_unpin(cx)), begun.seen);
                    let read = |parcel| Ending::read(parcel).map_err(CallError::from);
                    match ending.and_then(read) {
                        Ok((ending, last)) => {
                            self.end(ending.into_result());
                            // Who was too slow for it sees it with the end.
                            if last.number > seen && last.says_something() {
                                return Poll::Ready(Some(last));
                            }
                        }
                        Err(error) => self.end(Err(error.into())),
                    }
                }
                Stage::Over(_) => return Poll::Ready(None),
            }
        }
    }

    /// What it brings, as a type.
    ///
    /// # Errors
    /// Why it was no success, or that the type expects something else.
    pub async fn value<T: DeserializeOwned>(self) -> Result<T, Unsuccessful> {
        Ok(self.await?.read()?)
    }

    /// Tells it to stop, because the user wants it so.
    pub fn cancel(&self, reason: &str) {
        self.stop(StopKind::Cancel, reason);
    }

    /// Tells it to stop, because the software does.
    pub fn abort(&self, reason: &str) {
        self.stop(StopKind::Abort, reason);
    }

    /// Tells it to stop.
    pub fn stop(&self, kind: StopKind, reason: &str) {
        let (Some(rpc), Stage::Beginning(_) | Stage::Begun(_)) = (&self.rpc, &self.stage) else {
            return;
        };
        let stop = (self.which.to_string(), kind.as_str(), reason.to_owned());
        let at = self.at.clone();
        let first = match at.clone().now_or_never() {
            Some(Ok(proxy)) => Some(proxy.call::<()>("stop", &stop)),
            _ => None,
        };
        let node = rpc.node().clone();
        rpc.spawn(async move {
            let Ok(proxy) = at.await else {
                return;
            };
            let mut asked = match first {
                Some(asked) => asked.await,
                None => proxy.call("stop", &stop).await,
            };
            // It may be over; but that others ask for much must not keep it from being stopped.
            for _ in 0..STOP_TRIES {
                if !is_overloaded(&asked) {
                    return;
                }
                node.sleep(STOP_RETRY).await;
                asked = proxy.call("stop", &stop).await;
            }
        });
    }

    /// Makes it a part of another, which stops it with itself.
    pub(super) fn tied_to(mut self, work: &Work) -> Self {
        let (Some(rpc), Stage::Beginning(_) | Stage::Begun(_)) = (&self.rpc, &self.stage) else {
            return self;
        };
        let (tell, told) = oneshot::channel();
        let part = Self {
            which: self.which,
            at: self.at.clone(),
            rpc: self.rpc.clone(),
            stage: Stage::Beginning(oneshot::channel().1),
            tie: None,
        };
        let over = work.over();
        rpc.spawn(async move {
            match select(told, Box::pin(over)).await {
                Either::Left((Ok(()), _)) => {}
                Either::Left((Err(_), _)) => part.abort("it was given up"),
                Either::Right((stop, _)) => part.stop(stop.kind, &stop.reason),
            }
        });
        self.tie = Some(tell);
        self
    }

    fn end(&mut self, result: Result<Parcel, Unsuccessful>) {
        self.stage = Stage::Over(Some(result));
        if let Some(tie) = self.tie.take() {
            // What it is a part of may be over.
            let _ = tie.send(());
        }
    }
}

/// How long until a stop is asked for again that was refused for want of room, and how often.
const STOP_RETRY: Time = Time::from_millis(100);
const STOP_TRIES: usize = 600;

fn is_overloaded(asked: &Result<(), CallError>) -> bool {
    let code = asked.as_ref().err().and_then(CallError::code);
    code == Some(Code::Overloaded)
}

impl Future for Operation {
    type Output = Result<Parcel, Unsuccessful>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        while ready!(self.poll_progress(cx)).is_some() {}
        let taken = || {
            Err(Code::Cancelled
                .because("its result was taken already")
                .into())
        };
        match &mut self.stage {
            Stage::Over(result) => Poll::Ready(result.take().unwrap_or_else(taken)),
            Stage::Beginning(_) | Stage::Begun(_) => Poll::Pending,
        }
    }
}

/// How far it is, until it has ended.
impl Stream for Operation {
    type Item = Progress;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Progress>> {
        self.poll_progress(cx)
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Operation")
    }
}

impl Begun {
    /// Asks for the ending of an operation, and from then on for its progress.
    fn new(proxy: &Proxy, which: Which, method: &str, args: Parcel, timeout: Option<Time>) -> Self {
        let ending = proxy.ask(Act::Call, method, args);
        let ending = match timeout {
            // Its node stops it in time; this is for when that cannot be heard of.
            Some(timeout) => ending.within(timeout + 2 * STOP_GRACE),
            None => ending,
        };
        let progress = proxy.watch(&which.to_string());
        Self {
            ending,
            progress,
            seen: 0,
        }
    }
}
