//! Where a node listens: the socket is bound before the node begins, and served until it ends.

use std::net::SocketAddr;
use std::sync::Arc;

use peerage::log::ERROR;
use tokio::net::TcpListener;

use crate::Node;
use crate::cli::CliError;
use crate::config::{FileConfig, WebRtcConfig};
use crate::front::events::Events;
use crate::front::mqtt;
use crate::web::origin::Origins;
use crate::web::{self, Web};

/// Binds the UDP socket for WebRTC, STUN and TURN: where the file says, or else beside the door, if there is
/// one. A port that nobody has asked for may be somebody else's.
pub(super) fn listen_for_tabs(
    node: &Node,
    file: &FileConfig,
    door: Option<SocketAddr>,
) -> Result<(), CliError> {
    let WebRtcConfig {
        listen,
        public,
        turn,
        ..
    } = &file.webrtc;
    let Some(address) = listen.or(door) else {
        return Ok(());
    };
    match node.direct().listen(address, *public, &turn.settings()) {
        Err(source) if listen.is_some() => Err(CliError::Listen { address, source }),
        Err(error) => {
            tracing::warn!(target: ERROR, %address, %error, "no STUN and TURN: the port is in use");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// A bound socket that nobody serves yet.
pub(super) struct Door {
    listener: TcpListener,
    /// With the port that the system has chosen, if that was asked for.
    pub(super) address: SocketAddr,
}

impl Door {
    pub(super) async fn open(address: SocketAddr) -> Result<Self, CliError> {
        let listen = |source| CliError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Self { listener, address })
    }

    /// Lets others in until `stop` is ready, as a configuration says.
    pub(super) async fn serve(
        self,
        node: Node,
        config: &FileConfig,
        mqtt: Option<mqtt::Front>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), CliError> {
        let origins = Arc::new(Origins::new(self.address, &config.origins));
        let events = config.events.settings(self.address.ip());
        let web = Web {
            events: events.map(|settings| Events::new(node.clone(), settings)),
            node,
            origins,
            nodes: config.http.settings(),
            mqtt: mqtt.filter(|_| config.mqtt.web_socket),
        };
        let addresses = config.access.addresses();
        let routes = web::router(web);
        let served = web::serve_some(self.listener, addresses, routes, stop).await;
        served.map_err(CliError::Serve)
    }
}
