//! When a process is told to end.

use std::future::pending;

use tokio::signal::unix::{SignalKind, signal};

/// Waits for Ctrl-C, or the signal of a service manager.
pub(super) async fn stop_signal() {
    tokio::select! {
        () = interrupted() => {}
        () = terminated() => {}
    }
}

/// Waits for the signal of a service manager.
pub(super) async fn terminated() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => drop(terminate.recv().await),
        // Nobody can say so.
        Err(_) => pending().await,
    }
}

/// Waits for Ctrl-C.
pub(super) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Nobody can say so.
        pending::<()>().await;
    }
}
