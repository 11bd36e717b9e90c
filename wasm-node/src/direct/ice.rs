//! The servers for STUN and TURN that connections use: those of the own relay, which is asked for them now and
//! then.

use core::cell::RefCell;
use core::time::Duration;

use js_sys::Array;
use peerage::link::Origin;
use peerage::log::CONNECTION;
use peerage::node::ConnectionState;
use peerage::service::signal::ice::{Server, ask};
use peerage::{Node, NodeId, Time};
use wasm_bindgen::prelude::*;
use web_sys::{RtcConfiguration, RtcIceServer, RtcIceTransportPolicy, Url};

/// After how long a relay that did not say is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// What is known of the servers.
pub(super) struct Servers {
    turn_only: bool,
    known: RefCell<Option<Known>>,
}

struct Known {
    relay: NodeId,
    server: Option<Server>,
    until: Time,
}

impl Servers {
    pub(super) fn new(turn_only: bool) -> Self {
        Self {
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
            configuration.set_ice_servers(&read(&server, &host_of_relay(node)));
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
}

/// By which host the relay is reached.
fn host_of_relay(node: &Node) -> String {
    let mut connections = node.connections().into_iter();
    let uplink = connections.find(|connection| {
        connection.origin == Origin::Dialled && connection.state == ConnectionState::Connected
    });
    let address = uplink.and_then(|uplink| uplink.address);
    let url = address.and_then(|address| Url::new(&address).ok());
    url.map(|url| url.hostname()).unwrap_or_default()
}

fn read(server: &Server, relay: &str) -> Array {
    let (stun, turn) = server.urls(relay);
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
