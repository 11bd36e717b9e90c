//! What a node is told before it begins.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Code, Failure};
use crate::id::{Kind, Name, NodeId};
use crate::limits::{
    DIAL_TIMEOUT, DIRECT_LINKS, DIRECT_LINKS_NATIVE, GONE_GRACE, HANDSHAKE_TIMEOUT, HELLO_TIMEOUT,
    KEEPALIVE, OPEN_PATIENCE, RECONNECT_MAX, RECONNECT_MIN, RESUME_WINDOW, SILENCE_MAX,
    UNACKNOWLEDGED_BYTES_MAX,
};
use crate::trace::Tracer;

/// A node's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the node is. A relay keeps the names of its zone and routes for the nodes linked to it.
    pub kind: Kind,
    /// The name it would like; the relay makes one up for a node without a wish.
    pub name: Option<Name>,
    /// Whether it would rather be refused than get another name.
    pub insist: bool,
    /// What it is for: the operator's word for nodes of its type, such as `dispenser`.
    pub role: Option<Name>,
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
    /// How long others may take.
    pub timeouts: Timeouts,
    /// When it calls its relay again.
    pub reconnect: Reconnect,
    /// Which nodes it has to do with.
    pub access: Arc<Access>,
    /// What traces its calls; nothing is traced without.
    pub tracer: Option<Arc<dyn Tracer>>,
}

/// How long others may take before they count as gone, or as unwilling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a relay that is called has a socket for the caller.
    pub dial: Duration,
    /// Until a new link has said hello.
    pub hello: Duration,
    /// Silence of a link after which it is asked for a sign of life.
    pub keepalive: Duration,
    /// Silence of a link, though asked, after which it is dead.
    pub silence: Duration,
    /// Until a session is agreed.
    pub handshake: Duration,
    /// How long what has just begun waits for a way to the other node.
    pub open: Duration,
    /// How long a node whose link broke has to return before it is told to be gone.
    pub gone: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            dial: DIAL_TIMEOUT,
            hello: HELLO_TIMEOUT,
            keepalive: KEEPALIVE,
            silence: SILENCE_MAX,
            handshake: HANDSHAKE_TIMEOUT,
            open: OPEN_PATIENCE,
            gone: GONE_GRACE,
        }
    }
}

impl Timeouts {
    /// After how much silence a link is asked: in time for the answer, whatever was configured.
    pub(crate) fn keepalive(&self) -> Duration {
        self.keepalive.min(self.silence / 3)
    }
}

/// When a node calls its relay again. The waits double, and are spread at random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// The first wait.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
    /// After how many calls in vain it gives up; never without a number.
    pub attempts: Option<u32>,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            min: RECONNECT_MIN,
            max: RECONNECT_MAX,
            attempts: None,
        }
    }
}

/// Which nodes may link to a node and have sessions with it: those that are allowed, or everyone if nobody
/// is named, but for those that are denied.
#[derive(Debug, Default)]
pub struct Access {
    /// Who may; empty for everyone.
    pub allow: BTreeSet<NodeId>,
    /// Who may not, whatever else is said.
    pub deny: BTreeSet<NodeId>,
    /// Nodes of this node's own process: they need not be named to be allowed.
    pub own: OwnNodes,
}

/// Nodes of one process that come and go.
#[derive(Debug, Default)]
pub struct OwnNodes(Mutex<BTreeSet<NodeId>>);

impl OwnNodes {
    /// A node of this process is about to begin.
    pub fn insert(&self, id: NodeId) {
        self.lock().insert(id);
    }

    /// It is no more.
    pub fn remove(&self, id: NodeId) {
        self.lock().remove(&id);
    }

    fn contains(&self, id: NodeId) -> bool {
        self.lock().contains(&id)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<NodeId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Access {
    /// Whether a node may.
    ///
    /// # Errors
    /// `unauthorised` if not.
    pub fn check(&self, id: NodeId) -> Result<(), Failure> {
        if self.deny.contains(&id) {
            return Err(Code::Unauthorised.because("this node is denied access here"));
        }
        if self.allow.is_empty() || self.allow.contains(&id) || self.own.contains(id) {
            return Ok(());
        }
        Err(Code::Unauthorised.because("this node is not among those that have access here"))
    }
}

impl Config {
    /// A node that calls a relay.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            name: None,
            insist: false,
            role: None,
            zone: String::from("local"),
            dials: kind != Kind::Relay,
            resume_window: RESUME_WINDOW,
            resume_window_bytes: UNACKNOWLEDGED_BYTES_MAX,
            direct_links: match kind {
                Kind::Browser => DIRECT_LINKS,
                Kind::Native | Kind::Relay => DIRECT_LINKS_NATIVE,
                Kind::Enet | Kind::Adapter | Kind::Client => 0,
            },
            turn_only: false,
            aliases: BTreeMap::new(),
            shows_log: true,
            timeouts: Timeouts::default(),
            reconnect: Reconnect::default(),
            access: Arc::default(),
            tracer: None,
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
