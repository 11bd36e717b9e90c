//! Tells who asks where this relay's server for STUN and TURN is, with a credential of their own.

use peerage::Node;
use peerage::limits::TURN_CREDENTIAL_LIFETIME;
use peerage::service::signal::ice::{Credential, PROTOCOL, Server};

use crate::stun::{Now, Secret};

/// What is told.
pub(super) struct Told {
    pub(super) host: Option<String>,
    pub(super) port: u16,
    /// What credentials are made with, if there are allocations.
    pub(super) secret: Option<Secret>,
}

/// Answers until the node has left.
pub(super) async fn serve(node: Node, told: Told) {
    let mut listener = node.listen(PROTOCOL);
    while let Some(stream) = listener.accept().await {
        let turn = told.secret.as_ref().map(|secret| {
            let credential = secret.issue(stream.peer(), Now::read().unix);
            Credential {
                name: credential.name,
                password: credential.password,
                lasts_s: TURN_CREDENTIAL_LIFETIME.as_secs(),
            }
        });
        let server = Server {
            host: told.host.clone(),
            port: told.port,
            turn,
        };
        // One that takes nothing shall not keep others waiting.
        tokio::spawn(async move { server.tell(&stream).await });
    }
}
