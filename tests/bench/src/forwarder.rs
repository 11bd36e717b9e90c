//! The floor of our own stack: axum's WebSockets, a map and a queue for each client, nothing else. A client
//! names itself and its targets in the first message, `own target…`; what follows goes to each target.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;

type Clients = Arc<Mutex<HashMap<String, mpsc::Sender<Message>>>>;

/// Allocated for every client, idle or not.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Allocated as needed.
const WRITE_BUFFER_BYTES: usize = 128 * 1024;

pub(crate) async fn run(address: SocketAddr) -> std::io::Result<()> {
    let app = Router::new()
        .route("/mesh", any(upgrade))
        .with_state(Clients::default());
    let listener = tokio::net::TcpListener::bind(address).await?;
    let listener = axum::serve::ListenerExt::tap_io(listener, |socket| {
        let _ = socket.set_nodelay(true);
    });
    axum::serve(listener, app).await
}

async fn upgrade(
    State(clients): State<Clients>,
    upgrade: WebSocketUpgrade,
) -> axum::response::Response {
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .on_upgrade(|socket| client(socket, clients))
}

async fn client(socket: WebSocket, clients: Clients) {
    let (mut sink, mut stream) = socket.split();
    let Some(Ok(Message::Text(names))) = stream.next().await else {
        return;
    };
    let mut names = names.split(' ').map(str::to_owned);
    let own = names.next().unwrap_or_default();
    let (sender, mut inbox) = mpsc::channel(1024);
    lock(&clients).insert(own, sender);
    tokio::spawn(async move {
        let mut batch = Vec::new();
        while inbox.recv_many(&mut batch, 256).await > 0 {
            for message in batch.drain(..) {
                if sink.feed(message).await.is_err() {
                    return;
                }
            }
            if sink.flush().await.is_err() {
                return;
            }
        }
    });
    // Its targets may come after it, but before it speaks.
    let Some(Ok(mut message)) = stream.next().await else {
        return;
    };
    let targets: Vec<_> = names
        .filter_map(|name| lock(&clients).get(&name).cloned())
        .collect();
    loop {
        for target in &targets {
            let _ = target.send(message.clone()).await;
        }
        match stream.next().await {
            Some(Ok(next)) => message = next,
            _ => return,
        }
    }
}

fn lock(clients: &Clients) -> std::sync::MutexGuard<'_, HashMap<String, mpsc::Sender<Message>>> {
    clients.lock().unwrap_or_else(PoisonError::into_inner)
}
