//! MQTT over WebSocket: the binary messages, one after the other, are the connection.

use std::net::SocketAddr;
use std::pin::pin;

use axum::extract::Request;
use axum::http::header::SEC_WEBSOCKET_PROTOCOL;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::BytesMut;
use futures_util::future::select;
use peerage::link::Origin;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Front;
use super::limits::{PACKET_BYTES_MAX, WEB_SOCKET_BYTES};
use crate::link::websocket::{self, Socket};

/// The subprotocol that clients ask for (MQTT 5, 6).
const PROTOCOL: &str = "mqtt";

/// Why a request for a WebSocket cannot be met.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// Who calls may not come, or there is no room.
    #[error("expected a client that is let in")]
    NotLetIn,
    /// It asks for another protocol.
    #[error("expected the subprotocol `mqtt`")]
    NoProtocol,
    /// It is none.
    #[error("{0}")]
    NoWebSocket(Box<Error>),
}

impl Front {
    /// Lets in a client by the answer to its request for a WebSocket.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn upgrade(
        &self,
        request: &mut Request,
        caller: SocketAddr,
    ) -> Result<Response, UpgradeError> {
        if !offers(request.headers()) {
            return Err(UpgradeError::NoProtocol);
        }
        let stranger = self.let_in(caller).ok_or(UpgradeError::NotLetIn)?;
        let (ours, theirs) = duplex(WEB_SOCKET_BYTES);
        let front = self.clone();
        let links = self.0.runtime.links.clone();
        let upgraded = websocket::upgrade(request, PACKET_BYTES_MAX as usize, move |socket| {
            links.spawn(front.converse(ours, stranger));
            carry(socket, theirs)
        });
        let mut response = upgraded.map_err(UpgradeError::NoWebSocket)?;
        let protocol = HeaderValue::from_static(PROTOCOL);
        response
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        Ok(response)
    }
}

fn offers(headers: &HeaderMap) -> bool {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered.filter_map(|list| list.to_str().ok());
    offered.any(|list| list.split(',').any(|one| one.trim() == PROTOCOL))
}

/// Carries bytes between a socket and the front, until the front has ended.
async fn carry(socket: Socket, bytes: DuplexStream) {
    let (from, to) = split(bytes);
    let inward = async {
        read(&socket, to).await;
        // The front has its end, and says its last words.
        std::future::pending::<()>().await;
    };
    select(pin!(inward), pin!(write(&socket, from))).await;
}

async fn read(socket: &Socket, mut to: WriteHalf<DuplexStream>) {
    while let Some(Ok(message)) = socket.next().await {
        let written = match message {
            Message::Binary(bytes) => to.write_all(&bytes).await,
            // Not of this protocol.
            Message::Text(_) => break,
            _ => Ok(()),
        };
        if written.is_err() {
            break;
        }
    }
    // The other end may be gone.
    let _ = to.shutdown().await;
}

async fn write(socket: &Socket, mut from: ReadHalf<DuplexStream>) {
    let mut bytes = BytesMut::new();
    while let Ok(1..) = from.read_buf(&mut bytes).await {
        let written = socket.write(Origin::Accepted, bytes.split().freeze()).await;
        if written.is_err() || socket.flush().await.is_err() {
            return;
        }
    }
    // The client may be gone.
    let _ = socket.close().await;
}
