//! The list of a node's operations, as it changes.

use core::sync::atomic::Ordering;

use futures_util::StreamExt;

use super::wire::Info;
use super::{AGENT, Operations};
use crate::Time;
use crate::error::Code;
use crate::rpc::{Act, CallError, Parcel, Subscription};

/// The property that counts changes of the list. Who sees what differs, so the list itself is asked for.
pub(super) const CHANGES: &str = "changes";

/// How long a list is not asked for again.
const PACE: Time = Time::from_millis(200);

/// The list of a node's operations, as it changes: see [`Operations::listed`].
pub struct Listed {
    operations: Operations,
    node: String,
    changes: Subscription<u64>,
    asked: Option<Time>,
}

impl Operations {
    /// The list of a node's operations, by the node's name or id: now, and whenever it has changed, progress
    /// included. It is told five times a second at most, the latest.
    pub fn listed(&self, node: &str) -> Listed {
        Listed {
            operations: self.clone(),
            node: node.to_owned(),
            changes: self.rpc().proxy(node, AGENT).watch(CHANGES),
            asked: None,
        }
    }

    /// How often the list has changed.
    pub(super) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Relaxed)
    }

    /// The list has changed.
    pub(super) fn tell_change(&self) {
        let changes = self.0.changes.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(emitter) = self.0.emitter.get()
            && emitter.is_heard(Act::Watch, CHANGES)
            && let Ok(changes) = Parcel::of(&changes)
        {
            emitter.tell(Act::Watch, CHANGES, changes);
        }
    }
}

impl Listed {
    /// The list, once it has changed; the latest operation first.
    ///
    /// # Errors
    /// Why the node tells no more of them.
    pub async fn next(&mut self) -> Result<Vec<Info>, CallError> {
        let node = self.operations.rpc().node().clone();
        if let Some(asked) = self.asked {
            let since = node.now().saturating_sub(asked);
            node.sleep(PACE.saturating_sub(since)).await;
        }
        let over = || Code::Gone.because("the operations there are no more");
        self.changes.next().await.ok_or_else(over)??;
        self.asked = Some(node.now());
        self.operations.list(&self.node).await
    }
}
