//! The servers for STUN and TURN that connections use: those of the own relay, which is asked for them now and
//! then.

use core::cell::RefCell;
use core::time::Duration;

use js_sys::Array;
use peerage::log::CONNECTION;
use peerage::service::signal::ice::{Server, ask};
use peerage::{Node, NodeId, Time};
use wasm_bindgen::prelude::*;
use web_sys::{RtcConfiguration, RtcIceServer, RtcIceTransportPolicy, Url};

use crate::driver::Inputs;

/// After how long a relay that did not say is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// What is known of the servers.
pub(super) struct Servers {
    inputs: Inputs,
    turn_only: bool,
    known: RefCell<Option<Known>>,
}

struct Known {
    relay: NodeId,
    server: Option<Server>,
    until: Time,
}

impl Servers {
    pub(super) fn new(inputs: Inputs, turn_only: bool) -> Self {
        Self {
            inputs,
            turn_only,
            known: RefCell::default(),
        }
    }

    /// Whether a connection with this peer can be made at all: one that is by TURN only does not lead to the
    /// server itself.
    pub(super) fn lead_to(&self, node: &Node, peer: NodeId) -> bool {
        !self.turn_only || node.uplink() != Some(peer)
    }

    /// How a connection with a peer is made that begins now.
    pub(super) async fn configuration(&self, node: &Node, peer: NodeId) -> RtcConfiguration {
        let configuration = RtcConfiguration::new();
        if node.uplink() == Some(peer) {
            // Browsers take what comes from the address of a server as that server's, and would not hear the
            // relay. It is within reach anyway.
            return configuration;
        }
        if self.turn_only {
            configuration.set_ice_transport_policy(RtcIceTransportPolicy::Relay);
        }
        if let Some(server) = self.server(node).await {
            configuration.set_ice_servers(&self.read(&server));
        }
        configuration
    }

    async fn server(&self, node: &Node) -> Option<Server> {
        let relay = node.uplink();
        let now = node.now();
        if let Some(known) = &*self.known.borrow()
            && now < known.until
            // Without a relay there is nobody else to ask.
            && relay.is_none_or(|relay| relay == known.relay)
        {
            return known.server.clone();
        }
        let relay = relay?;
        let server = match ask(node, relay).await {
            Ok(server) => Some(server),
            Err(failure) => {
                tracing::debug!(
                    target: CONNECTION,
                    node = %node.id().short(), code = %failure.code,
                    "the relay has no STUN server"
                );
                None
            }
        };
        let turn = server.as_ref().and_then(|server| server.turn.as_ref());
        // A credential is used for as long as it has half its time left.
        let lasts = turn.map_or(ASK_AGAIN, |turn| Duration::from_secs(turn.lasts_s / 2));
        self.known.replace(Some(Known {
            relay,
            server: server.clone(),
            until: now + lasts,
        }));
        server
    }

    fn read(&self, server: &Server) -> Array {
        // The socket has been there, so it is an address.
        let host = Url::new(&self.inputs.relay()).map(|url| url.hostname());
        let (stun, turn) = server.urls(&host.unwrap_or_default());
        let servers = Array::new();
        let one = RtcIceServer::new();
        one.set_urls(&JsValue::from(stun));
        servers.push(&one);
        if let (Some(url), Some(credential)) = (turn, &server.turn) {
            let one = RtcIceServer::new();
            one.set_urls(&JsValue::from(url));
            one.set_username(&credential.name);
            one.set_credential(&credential.password);
            servers.push(&one);
        }
        servers
    }
}
