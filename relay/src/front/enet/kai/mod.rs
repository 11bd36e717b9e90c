//! Nodes of KAI: their agents can be used from the mesh, and their proxies use agents there. KAI has no names
//! and no word of greeting; who a node is, and whom its handles mean, the configuration says.

mod agent;
mod calls;
mod codec;
mod console;
mod futures;
mod session;
#[cfg(test)]
mod tests;
mod wire;

use std::net::SocketAddr;

use peerage::log::CONNECTION;
use peerage::{Kind, Name};
use tokio::net::lookup_host;
use tokio::time::sleep;

use crate::enet::Peer;
use crate::front::enet::{CALL_AGAIN, First, Front, say_all};
use crate::front::out::out;
use session::Session;
use wire::Message;

/// Channels that KAI's nodes ask for; only the first is ever used.
const CHANNELS: u8 = 2;

/// Whether something begins as a node of KAI does.
pub(super) fn is_likely(bytes: &[u8]) -> bool {
    Message::decode(bytes).is_ok()
}

/// Speaks for a node that has called.
pub(super) async fn run(front: Front, peer: Peer, first: First) {
    let known = front.0.config.kai.name_of(peer.about.address).cloned();
    let name = known.or_else(|| usual_name(peer.about.address));
    speak(&front, peer, first, name).await;
}

/// Calls a node, and speaks for it for as long as it is there; again and again.
pub(super) async fn call(front: Front, name: Name, (host, port): (String, u16)) {
    loop {
        let found = lookup_host((host.as_str(), port)).await;
        for address in found.into_iter().flatten() {
            let runtime = &front.0.runtime;
            let Ok(port) = runtime.enet.to(address) else {
                continue;
            };
            if let Ok(peer) = port.connect(address, CHANNELS, 0).await {
                speak(&front, peer, None, Some(name.clone())).await;
                break;
            }
        }
        sleep(CALL_AGAIN).await;
    }
}

async fn speak(front: &Front, mut peer: Peer, first: First, name: Option<Name>) {
    let held = match front.0.holder.hold(Kind::Enet, name).await {
        Ok(held) => held,
        Err(error) => {
            return tracing::debug!(target: CONNECTION, %error, "no node is held for one of KAI");
        }
    };
    let (out, unsaid) = out();
    let saying = tokio::spawn(say_all(unsaid, peer.sender().clone()));
    let session = Session::new(held, out.clone(), front.0.config.kai.clone());
    let mut next = first;
    loop {
        if let Some((_, packet)) = next {
            match Message::decode(&packet.bytes) {
                Ok(message) => session.hear(message),
                // KAI has no word for it.
                Err(error) => {
                    tracing::debug!(target: CONNECTION, %error, "a message of KAI is refused");
                }
            }
        }
        match peer.recv().await {
            Ok(packet) => next = Some(packet),
            Err(gone) => {
                session.end(gone.reason == peerage_enet::Reason::ByPeer);
                break;
            }
        }
    }
    out.finish();
    // It ends when all is said, or the connection has ended.
    let _ = saying.await;
}

/// The name of a node that has none.
fn usual_name(address: SocketAddr) -> Option<Name> {
    let words = address.ip().to_canonical().to_string().replace(':', "-");
    format!("kai-{words}").parse().ok()
}
