//! Connections that have not said who they are: not too many from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use super::limits::STRANGERS_PER_ADDRESS_MAX;

/// How many there are, by address.
#[derive(Clone, Default)]
pub(super) struct Strangers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them, until this is dropped.
pub(super) struct Stranger {
    strangers: Strangers,
    address: IpAddr,
    place: Option<OwnedSemaphorePermit>,
}

impl Strangers {
    /// One more, at an address and with a place among all connections, unless there are too many.
    pub(super) fn enter(&self, address: IpAddr, place: OwnedSemaphorePermit) -> Option<Stranger> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= STRANGERS_PER_ADDRESS_MAX {
            return None;
        }
        *count += 1;
        Some(Stranger {
            strangers: self.clone(),
            address,
            place: Some(place),
        })
    }
}

impl Stranger {
    /// It has said who it is, and keeps its place.
    pub(super) fn known(mut self) -> Option<OwnedSemaphorePermit> {
        self.place.take()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut counts = self
            .strangers
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn one_address_has_so_many_strangers_and_no_more() {
        let places = Arc::new(Semaphore::new(2 * STRANGERS_PER_ADDRESS_MAX));
        let strangers = Strangers::default();
        let enter = |address: &str| {
            let place = Arc::clone(&places).try_acquire_owned().unwrap();
            strangers.enter(address.parse().unwrap(), place)
        };
        let mut here: Vec<_> = (0..STRANGERS_PER_ADDRESS_MAX)
            .map(|_| enter("10.0.0.1").unwrap())
            .collect();
        assert!(enter("10.0.0.1").is_none());
        assert!(enter("10.0.0.2").is_some());
        let known = here.pop().unwrap().known();
        assert!(known.is_some() && enter("10.0.0.1").is_some());
        drop(here);
        assert!(strangers.0.lock().unwrap().is_empty());
    }
}
