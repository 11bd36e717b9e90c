//! What waits at a node, and whether that is within the limits.

use crate::limits::{
    HELD_BYTES_MAX, LINK_QUEUE_BYTES_CLOSE, REFUSED_STREAMS_MAX, STREAMS_MAX,
    UNACKNOWLEDGED_BYTES_MAX, UNACKNOWLEDGED_RECORDS_MAX,
};
use crate::node::machine::Machine;
use crate::session::transport::Transport;

/// The longest queue of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Bytes that wait to leave on one link.
    pub link_bytes: usize,
    /// Records of one session that are not acknowledged.
    pub unacknowledged_records: usize,
    /// Their bytes.
    pub unacknowledged_bytes: usize,
    /// Bytes of one session that came too early to be read.
    pub early_bytes: usize,
    /// Bytes of one session that wait to be read.
    pub unread_bytes: u64,
    /// Streams of one session.
    pub streams: usize,
}

impl Machine {
    /// What waits here.
    pub fn backlog(&self) -> Backlog {
        let mut backlog = Backlog::default();
        for link in self.links.values() {
            backlog.link_bytes = backlog.link_bytes.max(link.queue.len_bytes());
        }
        let sessions = self
            .peers
            .values()
            .filter_map(|state| state.session.as_ref());
        for session in sessions {
            backlog.unread_bytes = backlog.unread_bytes.max(session.mux.held_bytes());
            backlog.streams = backlog.streams.max(session.mux.len());
            if let Some(transport) = &session.transport {
                backlog.take(transport);
            }
        }
        backlog
    }
}

impl Backlog {
    /// What is beyond its limit, if anything is.
    pub fn beyond_limits(&self) -> Option<String> {
        // The last of what is counted in bytes may cross its limit.
        const LAST: usize = crate::limits::FRAME_BYTES_MAX;
        let counts = [
            (
                "bytes wait on a link",
                self.link_bytes,
                LINK_QUEUE_BYTES_CLOSE,
            ),
            (
                "records are not acknowledged",
                self.unacknowledged_records,
                UNACKNOWLEDGED_RECORDS_MAX,
            ),
            (
                "bytes are not acknowledged",
                self.unacknowledged_bytes,
                UNACKNOWLEDGED_BYTES_MAX + LAST,
            ),
            (
                "bytes came too early",
                self.early_bytes,
                2 * UNACKNOWLEDGED_BYTES_MAX + LAST,
            ),
            (
                "bytes wait to be read",
                self.unread_bytes as usize,
                HELD_BYTES_MAX as usize,
            ),
            (
                "streams are open",
                self.streams,
                2 * STREAMS_MAX + REFUSED_STREAMS_MAX,
            ),
        ];
        counts
            .into_iter()
            .find(|(_, count, max)| count > max)
            .map(|(what, count, max)| format!("{count} {what}, {max} are allowed"))
    }

    fn take(&mut self, transport: &Transport) {
        self.unacknowledged_records = self.unacknowledged_records.max(transport.unacknowledged());
        self.unacknowledged_bytes = self
            .unacknowledged_bytes
            .max(transport.unacknowledged_bytes());
        self.early_bytes = self.early_bytes.max(transport.early_bytes());
    }
}
