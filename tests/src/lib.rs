//! The stage on which end-to-end tests play: relay and peer processes, browsers with the console in a
//! tab, a client that says whatever a test wants, and a wire that remembers. `cargo xtask test` builds
//! what they need and says where it is.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

pub mod adapter;
mod browser;
pub mod c;
pub mod collector;
#[cfg(target_os = "linux")]
pub mod lan;
#[cfg(target_os = "linux")]
pub mod nat;
#[cfg(target_os = "linux")]
pub mod netem;
mod node;
mod process;
mod raw;
mod recorder;
pub mod serve;
mod swarm;
mod terminal;

pub use browser::{Browsers, Mouse, Tab};
pub use node::{Bystanders, join, join_any};
pub use process::{Peer, Ran, Relay, program};
pub use raw::{End, RawLink};
pub use recorder::Recorder;
pub use swarm::Swarm;
pub use terminal::Terminal;

use std::time::Duration;

/// How often a test looks whether what it waits for has come.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often it looks before it gives up: a machine under load is slow, not wrong.
pub const LOOKS_MAX: usize = 600;

/// A port of TCP on this machine that nobody listens at.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until `look` says so.
///
/// # Panics
/// If it never does.
pub async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    for _ in 0..LOOKS_MAX {
        if look().await {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("never so: {what}");
}
