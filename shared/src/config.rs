//! What a node is told before it begins.

use core::time::Duration;
use std::collections::BTreeMap;

use crate::id::{Kind, Name};
use crate::limits::{DIRECT_LINKS, DIRECT_LINKS_NATIVE, RESUME_WINDOW, UNACKNOWLEDGED_BYTES_MAX};

/// A node's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the node is. A relay keeps the names of its zone and routes for the nodes linked to it.
    pub kind: Kind,
    /// The name it would like; the relay makes one up for a node without a wish.
    pub name: Option<Name>,
    /// Whether it would rather be refused than get another name.
    pub insist: bool,
    /// The zone, for a relay; other nodes learn it from theirs.
    pub zone: String,
    /// Whether it has a relay to call, and calls again when the link is lost.
    pub dials: bool,
    /// How long a session without any path waits for one before it ends.
    pub resume_window: Duration,
    /// Bytes that a session keeps for the other node until they are acknowledged, from
    /// [`RESUME_WINDOW_BYTES_MIN`](crate::limits::RESUME_WINDOW_BYTES_MIN) to
    /// [`UNACKNOWLEDGED_BYTES_MAX`]; beyond, `send` waits.
    pub resume_window_bytes: usize,
    /// How many direct links that tabs take part in it has at the most; 0 for none, which hides its addresses.
    pub direct_links: usize,
    /// Whether a tab's direct links are by the relay's TURN server only, which hides its addresses as well.
    pub turn_only: bool,
    /// Words that stand for a command here, whoever says them.
    pub aliases: BTreeMap<String, String>,
    /// Whether other nodes may read its log. Nothing secret is in it.
    pub shows_log: bool,
}

impl Config {
    /// A node that calls a relay.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            name: None,
            insist: false,
            zone: String::from("local"),
            dials: kind != Kind::Relay,
            resume_window: RESUME_WINDOW,
            resume_window_bytes: UNACKNOWLEDGED_BYTES_MAX,
            direct_links: match kind {
                Kind::Browser => DIRECT_LINKS,
                Kind::Native | Kind::Relay => DIRECT_LINKS_NATIVE,
            },
            turn_only: false,
            aliases: BTreeMap::new(),
            shows_log: true,
        }
    }

    /// The same, with a name to ask for.
    #[must_use]
    pub fn named(self, name: Name) -> Self {
        Self {
            name: Some(name),
            ..self
        }
    }
}
