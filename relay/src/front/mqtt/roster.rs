//! Who has which client's session: one at a time. Who comes asks the one before for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::limits::{HANDOVER_TIMEOUT, SESSIONS_MAX};
use super::session::Session;

/// Everybody who has a session. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Roster(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    by_client: HashMap<Client, (u64, mpsc::Sender<Handover>)>,
    serial: u64,
}

/// A client: its user, if there are any, and its id.
pub(super) type Client = (Option<String>, String);

/// A session is wanted by another connection of its client.
pub(super) struct Handover {
    /// It is to go on; otherwise it begins anew.
    pub(super) keep: bool,
    /// Where it goes.
    pub(super) to: oneshot::Sender<Kept>,
}

/// A session that was handed over.
pub(super) struct Kept {
    pub(super) session: Box<Session>,
    /// Whether it was to be kept.
    pub(super) is_kept: bool,
}

/// The right to a client's session, until this is dropped.
pub(super) struct Place {
    roster: Roster,
    client: Client,
    serial: u64,
    /// Others of the same client want it.
    pub(super) wanted: mpsc::Receiver<Handover>,
}

/// Who had the session before.
pub(super) struct Before(Option<mpsc::Sender<Handover>>);

/// There are too many sessions.
#[derive(Debug)]
pub(super) struct Full;

impl Roster {
    /// Takes the place of whoever has this client's session.
    pub(super) fn enter(&self, client: Client) -> Result<(Place, Before), Full> {
        let (wants, wanted) = mpsc::channel(1);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.by_client.len() >= SESSIONS_MAX && !entries.by_client.contains_key(&client) {
            return Err(Full);
        }
        entries.serial += 1;
        let serial = entries.serial;
        let before = entries.by_client.insert(client.clone(), (serial, wants));
        drop(entries);
        let place = Place {
            roster: self.clone(),
            client,
            serial,
            wanted,
        };
        Ok((place, Before(before.map(|(_, wants)| wants))))
    }

    /// How many sessions there are, those of clients that are away among them.
    pub(super) fn len(&self) -> usize {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.by_client.len()
    }
}

impl Before {
    /// Asks for the session; done when the one before has it no more.
    ///
    /// # Errors
    /// If that takes too long.
    pub(super) async fn hand_over(self, keep: bool) -> Result<Option<Kept>, Elapsed> {
        let Some(before) = self.0 else {
            return Ok(None);
        };
        let (to, kept) = oneshot::channel();
        let asking = async {
            // Who is gone meanwhile has none.
            before.send(Handover { keep, to }).await.ok()?;
            kept.await.ok()
        };
        timeout(HANDOVER_TIMEOUT, asking).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut entries = self.roster.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_own = |(serial, _): &(u64, _)| *serial == self.serial;
        if entries.by_client.get(&self.client).is_some_and(is_own) {
            entries.by_client.remove(&self.client);
        }
    }
}
