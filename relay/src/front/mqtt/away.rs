//! A client's session while the client is away: its will, and how long it is kept.

use std::pin::pin;
use std::time::Duration;

use rmqtt_codec::types::Publish;
use tokio::time::{Instant, sleep_until, timeout};

use super::client::End;
use super::limits::WILL_TIMEOUT;
use super::roster::{Handover, Kept, Place};
use super::session::Session;
use crate::runtime::Runtime;

/// A session without a connection.
pub(super) struct Away {
    pub(super) session: Box<Session>,
    pub(super) will: Option<Will>,
    pub(super) expiry: Duration,
    /// The client has said good-bye.
    pub(super) left: bool,
}

/// What is published for a client that is lost.
pub(super) struct Will {
    pub(super) publish: Publish,
    /// How long it may come back before that.
    pub(super) delay: Duration,
}

impl Away {
    /// Does what is to be done after a connection has ended so, until the session is over or another's.
    pub(super) async fn follow(mut self, end: End, mut place: Place, runtime: &Runtime) {
        if let End::Wanted(handover) = end {
            return self.hand_over(handover).await;
        }
        if matches!(end, End::Stopped) {
            return;
        }
        if !self.expiry.is_zero() {
            self.session.park();
            if let Some(handover) = self.wait(&mut place, runtime).await {
                return self.hand_over(handover).await;
            }
        }
        self.publish_will().await;
        // Who comes now begins anew.
        drop(place);
        self.session.end(self.left);
    }

    /// Keeps the session for as long as it is to be kept; who wants it meanwhile.
    async fn wait(&mut self, place: &mut Place, runtime: &Runtime) -> Option<Handover> {
        let over = Instant::now() + self.expiry;
        let mut stopped = pin!(runtime.left());
        loop {
            let due = self.will.as_ref().map(|will| Instant::now() + will.delay);
            let will_is_due = due.is_some_and(|due| due < over);
            tokio::select! {
                handover = place.wanted.recv() => return handover,
                () = &mut stopped => return None,
                () = sleep_until(due.unwrap_or(over).min(over)) => match will_is_due {
                    true => self.publish_will().await,
                    false => return None,
                },
            }
        }
    }

    /// Gives the session to another connection of the client. A will that may wait is not published if the session goes on.
    async fn hand_over(mut self, Handover { keep, to }: Handover) {
        let is_kept = keep && !self.expiry.is_zero();
        let waits = self.will.as_ref().is_some_and(|will| !will.delay.is_zero());
        if !(is_kept && waits) {
            self.publish_will().await;
        }
        let session = self.session;
        if let Err(Kept { session, .. }) = to.send(Kept { session, is_kept }) {
            // It is gone already.
            session.end(false);
        }
    }

    async fn publish_will(&mut self) {
        let Some(Will { publish, .. }) = self.will.take() else {
            return;
        };
        if let Ok(publishing) = self.session.publish(&publish, None) {
            // Whether the broker has it nobody is there to hear.
            let _ = timeout(WILL_TIMEOUT, publishing).await;
        }
    }
}
