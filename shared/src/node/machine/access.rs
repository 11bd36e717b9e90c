//! Which nodes this one has to do with: asked before anything is kept for one.

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::node::machine::Machine;

impl Machine {
    /// Whether there may be a session with a node. The relay that this node has called may, unless it is denied.
    pub(super) fn check_access(&self, id: NodeId) -> Result<(), Failure> {
        let access = &self.config.access;
        match access.check(id) {
            Err(_) if self.is_uplink(id) && !access.deny.contains(&id) => Ok(()),
            checked => checked.map_err(|failure| failure.of(id)),
        }
    }

    /// Whether the relay that was called may be linked to: it is known by its address, so it need not be named.
    pub(super) fn check_relay(&self, id: NodeId) -> Result<(), Failure> {
        match self.config.access.deny.contains(&id) {
            true => Err(Code::Unauthorised.because("this relay is denied access here")),
            false => Ok(()),
        }
    }
}
