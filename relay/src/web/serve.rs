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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower_service::Service;

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
    let room = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
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
