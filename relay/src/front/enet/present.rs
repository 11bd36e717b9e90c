//! Programs that are here by name, so that one that comes back before its old connection is given up takes that
//! one's place instead of standing beside it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use peerage::limits::PROGRAM_RETURN_TIMEOUT;
use peerage::log::CONNECTION;
use peerage::{Kind, Name};
use tokio::time::timeout;

use crate::JoinError;
use crate::enet::{Peer, Sender};
use crate::front::held::{Held, Holder};

/// All of them. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Present(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    programs: HashMap<Name, Program>,
    count: u64,
}

struct Program {
    number: u64,
    address: IpAddr,
    connection: Sender,
}

/// A program is here, until this is dropped.
pub(super) struct Presence {
    present: Present,
    name: Name,
    number: u64,
}

impl Present {
    /// Holds a node for who has come. If one of the same name and address is here and does not answer, it is the
    /// same program, which has gone without a word: its node vanishes, and this one is it.
    ///
    /// # Errors
    /// As [`Holder::hold`].
    pub(super) async fn hold(
        &self,
        holder: &Holder,
        name: Option<Name>,
        peer: &Peer,
    ) -> Result<(Held, Option<Presence>), JoinError> {
        let address = peer.about.address.ip();
        if let Some(name) = &name
            && let Some(old) = self.connection_of(name, address)
            && !old.is_there().await
        {
            tracing::debug!(target: CONNECTION, %name, "a program is back whose connection is dead");
            old.give_up();
            // If it takes longer, this one is another.
            let _ = timeout(PROGRAM_RETURN_TIMEOUT, holder.until_free(name)).await;
        }
        let held = holder.hold(Kind::Enet, name).await?;
        let presence = held.wish().map(|name| self.add(name, peer));
        Ok((held, presence))
    }

    fn connection_of(&self, name: &Name, address: IpAddr) -> Option<Sender> {
        self.with(|state| {
            let program = state.programs.get(name)?;
            (program.address == address).then(|| program.connection.clone())
        })
    }

    fn add(&self, name: &Name, peer: &Peer) -> Presence {
        let number = self.with(|state| {
            state.count += 1;
            let program = Program {
                number: state.count,
                address: peer.about.address.ip(),
                connection: peer.sender().clone(),
            };
            state.programs.insert(name.clone(), program);
            state.count
        });
        Presence {
            present: self.clone(),
            name: name.clone(),
            number,
        }
    }

    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let gone = self.present.with(|state| {
            let is_this = |program: &Program| program.number == self.number;
            let is_here = state.programs.get(&self.name).is_some_and(is_this);
            is_here.then(|| state.programs.remove(&self.name))
        });
        drop(gone);
    }
}
