//! One peer's attempts at a direct link: the negotiation, its clock, and the link that comes of it.

use core::task::{Context, Poll};
use std::future::poll_fn;
use std::rc::Rc;

use bytes::Bytes;
use futures_channel::mpsc::UnboundedReceiver;
use futures_util::future::{Either, select};
use futures_util::{FutureExt, StreamExt};
use gloo::timers::future::TimeoutFuture;
use peerage::error::Code;
use peerage::log::CONNECTION;
use peerage::node::{Input, Stream};
use peerage::service::signal::{PROTOCOL, Signal};
use peerage::{Failure, NodeId};

use super::Directory;
use super::connection::{Connection, Told};

/// How long an attempt may take until candidates of both sides have met: browsers sometimes gather none,
/// for ever.
const MEET_TIMEOUT_MS: u32 = 4_000;
/// How long it may take from then on.
const OPEN_TIMEOUT_MS: u32 = 11_000;
/// How long a peer that begins anew waits for an answer, at the least.
const ANEW_MS: u32 = 100;
const RETRY_MIN_MS: u32 = 300;
const RETRY_MAX_MS: u32 = 30_000;
/// Attempts in vain, one after the other, before the peer counts as having no room.
const TRIES_MAX: u32 = 6;

impl Directory {
    /// Tries until the session ends, or the link is needed no more: `theirs` ends with it.
    pub(super) async fn keep_trying(
        self: Rc<Self>,
        peer: NodeId,
        mut theirs: UnboundedReceiver<Stream>,
    ) {
        let mut failures = 0u32;
        let mut next = None;
        loop {
            tracing::debug!(
                target: CONNECTION,
                node = %self.node.id().short(), peer = %peer.short(),
                "a direct link is tried"
            );
            let ended = self.attempt(peer, &mut theirs, next.take()).await;
            match ended {
                Ended::Over => return,
                Ended::Declined => {
                    tracing::debug!(
                        target: CONNECTION,
                        node = %self.node.id().short(), peer = %peer.short(),
                        "the peer has no room for a direct link"
                    );
                    return self.pause(peer);
                }
                Ended::TheyBeganAnew(stream) => {
                    next = Some(stream);
                    // One who does so without end shall not keep the browser busy.
                    TimeoutFuture::new(ANEW_MS).await;
                    continue;
                }
                Ended::Lost if !self.is_wanted(peer) => return self.pause(peer),
                Ended::Lost => failures = 0,
                Ended::Failed(reason) => {
                    tracing::debug!(
                        target: CONNECTION,
                        node = %self.node.id().short(), peer = %peer.short(), reason,
                        tries = failures + 1,
                        "no direct link"
                    );
                    failures += 1;
                    if failures >= TRIES_MAX {
                        return self.pause(peer);
                    }
                }
            }
            let wait = (RETRY_MIN_MS << failures.min(8)).min(RETRY_MAX_MS);
            match select(theirs.next(), TimeoutFuture::new(wait)).await {
                Either::Left((None, _)) => return,
                Either::Left((Some(stream), _)) => next = Some(stream),
                Either::Right(_) => {}
            }
        }
    }
}

/// How an attempt, or the link that came of it, ended.
enum Ended {
    /// The session is over, or the link is needed no more.
    Over,
    /// The peer has no room for the link.
    Declined,
    TheyBeganAnew(Stream),
    Lost,
    Failed(String),
}

impl Ended {
    /// The connection was closed; one that was never a link is an attempt in vain.
    fn closed(was_link: bool) -> Self {
        match was_link {
            true => Self::Lost,
            false => Self::Failed(String::from("it was closed before it opened")),
        }
    }
}

impl Directory {
    async fn connect(&self, peer: NodeId) -> Result<Connection, String> {
        let servers = self.servers.configuration(&self.node, peer).await;
        // There may be no path just now; the session ends by itself if none comes.
        let ours = self.node.open(peer, PROTOCOL);
        let ours = ours.map_err(|failure| failure.to_string())?;
        let connection = Connection::new(self.node.id(), peer, ours, &servers);
        connection.map_err(|error| crate::page::name_of(&error))
    }

    async fn attempt(
        &self,
        peer: NodeId,
        theirs: &mut UnboundedReceiver<Stream>,
        first: Option<Stream>,
    ) -> Ended {
        let native = !self.is_tab(peer);
        let mut connection = match self.connect(peer).await {
            Ok(connection) => connection,
            Err(reason) => return Ended::Failed(reason),
        };
        let mut incoming = first;
        let (mut link, mut met) = (None, false);
        let mut timer = Some(TimeoutFuture::new(MEET_TIMEOUT_MS));
        let ended = loop {
            let next = poll_fn(|cx| {
                poll_next(
                    cx,
                    &mut connection,
                    incoming.as_ref(),
                    theirs,
                    timer.as_mut(),
                )
            })
            .await;
            let result = match next {
                Next::Told(Some(Told::Open)) => {
                    link = Some(connection.link_to(&self.inputs, peer));
                    timer = None;
                    Ok(())
                }
                Next::Told(Some(Told::Closed) | None) => break Ended::closed(link.is_some()),
                Next::Told(Some(Told::NegotiationNeeded)) => connection.offer().await,
                Next::Told(Some(Told::Candidate(signal))) => connection.say(&signal).await,
                Next::Signal(Ok(Some(message))) => match Signal::decode(&message) {
                    Ok(signal) => connection.hear(signal).await,
                    Err(failure) => break Ended::Failed(failure.to_string()),
                },
                Next::Signal(Err(failure)) if declines(&failure) => {
                    break Ended::Declined;
                }
                Next::Signal(Ok(None) | Err(_)) => {
                    incoming = None;
                    Ok(())
                }
                Next::Declined => break Ended::Declined,
                Next::Stream(None) => break Ended::Over,
                // A native node speaks when it is asked: what it opened last is about this attempt.
                Next::Stream(Some(stream))
                    if native || (incoming.is_none() && !connection.heard) =>
                {
                    incoming = Some(stream);
                    Ok(())
                }
                Next::Stream(Some(stream)) => break Ended::TheyBeganAnew(stream),
                Next::Late if !met && connection.has_met() => {
                    met = true;
                    timer = Some(TimeoutFuture::new(OPEN_TIMEOUT_MS));
                    Ok(())
                }
                Next::Late => break Ended::Failed(String::from("it took too long")),
            };
            if let Err(error) = result {
                // The browser's words may have a line of the description in them.
                break Ended::Failed(crate::page::name_of(&error));
            }
        };
        if let Some(id) = link {
            let reason = String::from("the direct link has ended");
            self.inputs.tell(Input::LinkDown(id, reason));
        }
        if matches!(ended, Ended::Over) {
            tell_why(&connection.ours, incoming.as_ref());
        }
        ended
    }
}

/// If the session goes on, the peer shall not take the end of the link for an accident.
fn tell_why(ours: &Stream, theirs: Option<&Stream>) {
    let failure = Code::Overloaded.because("the direct link is needed no more");
    theirs
        .iter()
        .for_each(|stream| stream.reset(failure.clone()));
    ours.reset(failure);
}

/// Whether a peer says that it has no room for the link, or knows nothing of direct links.
fn declines(failure: &Failure) -> bool {
    matches!(failure.code, Code::Overloaded | Code::UnknownProtocol)
}

enum Next {
    Told(Option<Told>),
    Signal(Result<Option<Bytes>, Failure>),
    Stream(Option<Stream>),
    Declined,
    Late,
}

fn poll_next(
    cx: &mut Context<'_>,
    connection: &mut Connection,
    incoming: Option<&Stream>,
    theirs: &mut UnboundedReceiver<Stream>,
    timer: Option<&mut TimeoutFuture>,
) -> Poll<Next> {
    if let Poll::Ready(told) = connection.told.poll_next_unpin(cx) {
        return Poll::Ready(Next::Told(told));
    }
    if let Some(stream) = incoming
        && let Poll::Ready(read) = stream.poll_recv(cx)
    {
        return Poll::Ready(Next::Signal(read));
    }
    if let Poll::Ready(failure) = connection.ours.poll_broken(cx)
        && declines(&failure)
    {
        return Poll::Ready(Next::Declined);
    }
    if let Poll::Ready(stream) = theirs.poll_next_unpin(cx) {
        return Poll::Ready(Next::Stream(stream));
    }
    match timer.map(|timer| timer.poll_unpin(cx)) {
        Some(Poll::Ready(())) => Poll::Ready(Next::Late),
        Some(Poll::Pending) | None => Poll::Pending,
    }
}
