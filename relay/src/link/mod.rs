//! Links as tokio tasks. Each has an outbox, which tells the loop when it takes no more.

pub mod address;
pub(crate) mod dial;
pub(crate) mod memory;
mod pipe;
mod race;
mod stream;
pub(crate) mod tls;
pub(crate) mod webrtc;
pub mod websocket;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_channel::mpsc;
use futures_util::StreamExt;
use peerage::Failure;

/// The schemes of addresses that a node can call.
pub(crate) const SCHEMES: [&str; 3] = ["ws", "wss", "enet"];

/// Packets handed to a link's task before the link counts as busy.
const PACKETS_BUSY: usize = 8;
/// Packets left when it counts as ready again.
const PACKETS_READY: usize = 2;

/// Where the loop leaves packets for a link. (tokio's channel would hold a block of 32 letters for each
/// link, idle or not.)
pub(crate) struct Outbox {
    letters: mpsc::UnboundedSender<Letter>,
    waiting: Arc<AtomicUsize>,
}

/// Where the link's task finds them. The channel has no bound of its own: the loop stops at
/// [`PACKETS_BUSY`], save for the last words of a link.
pub(crate) struct Inbox {
    letters: mpsc::UnboundedReceiver<Letter>,
    waiting: Arc<AtomicUsize>,
}

pub(crate) enum Letter {
    Packet(Bytes),
    Close(Box<Failure>),
}

pub(crate) fn outbox() -> (Outbox, Inbox) {
    let (sender, receiver) = mpsc::unbounded();
    let waiting = Arc::new(AtomicUsize::new(0));
    let inbox = Inbox {
        letters: receiver,
        waiting: Arc::clone(&waiting),
    };
    (
        Outbox {
            letters: sender,
            waiting,
        },
        inbox,
    )
}

impl Outbox {
    /// Leaves a packet; `true` if the link is busy from now on. It tells when it is ready again.
    pub(crate) fn send(&self, packet: Bytes) -> bool {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        // A link whose task has ended has told so, or is about to.
        let _ = self.letters.unbounded_send(Letter::Packet(packet));
        before + 1 == PACKETS_BUSY
    }

    pub(crate) fn close(self, failure: Failure) {
        let _ = self
            .letters
            .unbounded_send(Letter::Close(Box::new(failure)));
    }
}

impl Inbox {
    /// The next letter, and whether the link has just become ready again.
    pub(crate) async fn next(&mut self) -> Option<(Letter, bool)> {
        let letter = self.letters.next().await?;
        Some(self.taken(letter))
    }

    /// As [`Inbox::next`], if there is one already.
    pub(crate) fn try_next(&mut self) -> Option<(Letter, bool)> {
        let letter = self.letters.try_recv().ok()?;
        Some(self.taken(letter))
    }

    fn taken(&self, letter: Letter) -> (Letter, bool) {
        let ready = matches!(letter, Letter::Packet(_))
            && self.waiting.fetch_sub(1, Ordering::AcqRel) == PACKETS_READY + 1;
        (letter, ready)
    }
}
