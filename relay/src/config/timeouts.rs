//! Group `timeouts`: how long others may take before they count as gone, or as unwilling.

use std::time::Duration;

use peerage::Config;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::values::Whole;

/// How long others may take, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct TimeoutsConfig {
    /// Milliseconds until a relay that is called has a socket for the caller; 5000 unless stated.
    pub dial_ms: Option<Whole<100, 600_000>>,
    /// Milliseconds until a new link has said hello; 5000 unless stated.
    pub hello_ms: Option<Whole<100, 600_000>>,
    /// Milliseconds of silence after which a link is asked for a sign of life; 1000 unless stated, and a third of
    /// `silenceMs` at the most.
    pub keepalive_ms: Option<Whole<50, 600_000>>,
    /// Milliseconds of silence, though asked, after which a link is dead; 3000 unless stated.
    pub silence_ms: Option<Whole<300, 3_600_000>>,
    /// Milliseconds until a session is agreed; 5000 unless stated.
    pub handshake_ms: Option<Whole<100, 600_000>>,
    /// Milliseconds that what has just begun waits for a way to the other node; 5000 unless stated.
    pub open_ms: Option<Whole<0, 600_000>>,
    /// Milliseconds that a node whose link broke has to return, before it is told to be gone; 2000 unless stated.
    pub gone_ms: Option<Whole<0, 600_000>>,
}

impl TimeoutsConfig {
    /// The same configuration of a node, with what the file says.
    #[must_use]
    pub fn applied_to(&self, mut config: Config) -> Config {
        let timeouts = &mut config.timeouts;
        let stated = [
            (&mut timeouts.dial, self.dial_ms.map(Whole::millis)),
            (&mut timeouts.hello, self.hello_ms.map(Whole::millis)),
            (
                &mut timeouts.keepalive,
                self.keepalive_ms.map(Whole::millis),
            ),
            (&mut timeouts.silence, self.silence_ms.map(Whole::millis)),
            (
                &mut timeouts.handshake,
                self.handshake_ms.map(Whole::millis),
            ),
            (&mut timeouts.open, self.open_ms.map(Whole::millis)),
            (&mut timeouts.gone, self.gone_ms.map(Whole::millis)),
        ];
        for (timeout, stated) in stated {
            set(timeout, stated);
        }
        config
    }
}

fn set(timeout: &mut Duration, stated: Option<Duration>) {
    if let Some(stated) = stated {
        *timeout = stated;
    }
}
