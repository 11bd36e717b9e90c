//! When a process is told to end.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for Ctrl-C, or the signal of a service manager.
pub(super) async fn stop_signal() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return interrupted().await;
    };
    tokio::select! {
        () = interrupted() => {}
        _ = terminate.recv() => {}
    }
}

/// Waits for Ctrl-C.
pub(super) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Nobody can say so.
        std::future::pending::<()>().await;
    }
}
