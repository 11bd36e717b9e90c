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

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How often a test looks whether what it waits for has come.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often it looks before it gives up: a machine under load is slow, not wrong.
pub const LOOKS_MAX: usize = 600;

/// A port of TCP and UDP on this machine that nobody has. It is none of those that the system gives to whoever calls
/// another, so nobody gets it in the meantime but who asks for it.
pub fn free_port() -> u16 {
    const PORTS: std::ops::Range<u32> = 15_000..32_000;
    // Tests that run at once do not look in the same order.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = std::process::id().wrapping_mul(131).wrapping_add(n) % PORTS.len() as u32;
        let port = (PORTS.start + place) as u16;
        let address = ("127.0.0.1", port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
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
