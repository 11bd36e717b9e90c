//! Calling another node: at an address, at whatever discovery finds for one, or in this process.

use std::fmt;

use peerage::node::Input;
use url::Url;

use crate::discovery::{DISCOVER, DNS};
use crate::enet;
use crate::link::race::race;
use crate::link::{address, memory, websocket};
use crate::runtime::{Runtime, Told};

/// Whom a node calls.
#[derive(Clone)]
pub(crate) enum Above {
    /// A relay, at its address, or at those that discovery has for it.
    Far(Url),
    /// A node of this process.
    Here(Runtime),
}

impl Above {
    /// Reads an address.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url = address::parse(text).map_err(|error| error.to_string())?;
        Ok(Self::Far(url))
    }

    /// Whether both are at the same address.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Far(a), Self::Far(b)) if a == b)
    }
}

impl fmt::Display for Above {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Far(url) => f.write_str(&address::show(url)),
            Self::Here(_) => f.write_str("this process"),
        }
    }
}

/// Calls these until one answers, and tells the node how it goes. Who has named one himself is told of it as he
/// `named` it, wherever it is found.
pub(crate) async fn call_in_turn(runtime: Runtime, calls: Vec<Above>, named: Option<String>) {
    let mut reasons = Vec::new();
    for above in calls {
        let done = match &above {
            Above::Far(relay) => call(&runtime, relay, named.as_deref(), &mut reasons).await,
            Above::Here(node) => match memory::dial(&runtime, node).await {
                Ok(()) => true,
                Err(reason) => {
                    failed(&runtime, &mut reasons, above.to_string(), reason).await;
                    false
                }
            },
        };
        if done {
            return;
        }
    }
    let failed = Input::DialFailed(reasons.join("; "));
    runtime.tell(Told::Input(failed)).await;
}

/// Calls one relay, wherever discovery has found it; `true` if there is a link.
async fn call(
    runtime: &Runtime,
    relay: &Url,
    named: Option<&str>,
    reasons: &mut Vec<String>,
) -> bool {
    let told = |url: &Url| named.map_or_else(|| address::show(url), str::to_owned);
    let found = match runtime.discovery.addresses(relay).await {
        Ok(found) => found,
        Err(reason) => {
            failed(runtime, reasons, told(relay), reason.to_string()).await;
            Vec::new()
        }
    };
    if matches!(relay.scheme(), DISCOVER | DNS) {
        let Err(in_vain) = race(runtime, found, told).await else {
            return true;
        };
        let in_words = in_vain
            .iter()
            .map(|(told, reason)| format!("{told}: {reason}"));
        reasons.extend(in_words);
        return false;
    }
    for url in found {
        let told = told(&url);
        runtime
            .tell(Told::Input(Input::Calling(told.clone())))
            .await;
        let called = match url.scheme() {
            "enet" => enet::link::dial(runtime, &url, &told).await,
            _ => websocket::dial(runtime, &url, &told).await,
        };
        match called {
            Ok(()) => return true,
            Err(reason) => failed(runtime, reasons, told, reason).await,
        }
    }
    false
}

async fn failed(runtime: &Runtime, reasons: &mut Vec<String>, told: String, reason: String) {
    reasons.push(format!("{told}: {reason}"));
    let failed = Input::CallFailed(told, reason);
    runtime.tell(Told::Input(failed)).await;
}
