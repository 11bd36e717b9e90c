//! The connections of a listener: how many there are at once, and how long one may keep the relay waiting.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use peerage::limits::{HTTP_CONNECTION_TIMEOUT, HTTP_CONNECTIONS_MAX, HTTP_KEEPALIVE};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tower_service::Service;

use crate::access::Addresses;

/// After an error of the listener, such as too many open files, it is asked again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a request came in: the address of this end of its connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalAddr(pub(super) SocketAddr);

/// Serves these routes until `stop` is ready, and then what was asked before.
///
/// # Errors
/// What the system says of the socket.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    serve_some(listener, Addresses::default(), routes, stop).await
}

/// As [`serve`], but only for callers at some addresses. The others get one answer, whatever they ask.
///
/// # Errors
/// As [`serve`].
pub async fn serve_some(
    listener: TcpListener,
    addresses: Addresses,
    routes: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let room = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let (stopping, stopped) = watch::channel(());
    let accepting = async {
        loop {
            // Nobody closes it.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let Ok((socket, caller)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            if let Err(failure) = addresses.check(caller.ip()) {
                tracing::warn!(target: peerage::log::ERROR, %caller, %failure, "turned away");
                drop(place);
                turn_away(socket, &turned_away);
                continue;
            }
            let (routes, stopped) = (routes.clone(), stopped.clone());
            tokio::spawn(async move {
                converse(socket, caller, routes, stopped).await;
                drop(place);
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        () = stop => {}
    }
    drop((listener, stopped));
    // Who is not there any more need not be told.
    let _ = stopping.send(());
    stopping.closed().await;
    Ok(())
}

/// What callers are told who may not be here. Nothing is read of what they ask, nor kept for them.
const TURNED_AWAY: &[u8] =
    b"HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: 79\r\n\
    connection: close\r\n\r\n\
    {\"code\":\"unauthorised\",\"message\":\"callers at this address have no access here\"}";

/// Callers that are turned away and have a moment to read why; more learn it by the end of the connection.
const TURNED_AWAY_MAX: usize = 64;
/// That moment.
const TURNED_AWAY_LINGER: Duration = Duration::from_millis(500);

fn turn_away(mut socket: TcpStream, room: &Arc<Semaphore>) {
    let Ok(place) = Arc::clone(room).try_acquire_owned() else {
        return;
    };
    let farewell = async move {
        socket.write_all(TURNED_AWAY).await?;
        socket.shutdown().await?;
        // To close while something is unread would take the answer back.
        while socket.read(&mut [0; 512]).await? > 0 {}
        std::io::Result::Ok(())
    };
    tokio::spawn(async move {
        // Who is gone, or does not end, needs no more.
        let _ = timeout(TURNED_AWAY_LINGER, farewell).await;
        drop(place);
    });
}

/// Serves one connection to its end, of which those who asked know: after `stopped`, that of what was asked before.
async fn converse(
    socket: TcpStream,
    caller: SocketAddr,
    routes: Router,
    mut stopped: watch::Receiver<()>,
) {
    let Some(local) = prepared(&socket) else {
        return;
    };
    let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(caller));
        request.extensions_mut().insert(LocalAddr(local));
        routes.clone().call(request)
    });
    let mut http = Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HTTP_CONNECTION_TIMEOUT);
    let connection = http.serve_connection(TokioIo::new(socket), answer);
    let mut connection = pin!(connection.with_upgrades());
    tokio::select! {
        _ = &mut connection => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Its own address; `None` if it has ended already.
fn prepared(socket: &TcpStream) -> Option<SocketAddr> {
    // Small frames must not wait for one another.
    socket.set_nodelay(true).ok()?;
    let alive = TcpKeepalive::new()
        .with_time(HTTP_KEEPALIVE)
        .with_interval(HTTP_KEEPALIVE / 4);
    SockRef::from(socket).set_tcp_keepalive(&alive).ok()?;
    socket.local_addr().ok()
}
