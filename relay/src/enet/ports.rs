//! The ports by which a process calls others: the one at which it listens, where that reaches them, or one
//! of its own.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use peerage_enet::Config;
use tokio::sync::mpsc;

use crate::enet::{Port, PortError};

/// The ports of a process.
#[derive(Default)]
pub(crate) struct Ports(Mutex<State>);

#[derive(Default)]
struct State {
    config: Config,
    listening: Vec<Port>,
    calling: Vec<Port>,
}

impl Ports {
    /// None yet; ENet is spoken so at all that there will be.
    pub(crate) fn speaking(config: Config) -> Self {
        Self(Mutex::new(State {
            config,
            ..State::default()
        }))
    }

    /// How ENet is spoken.
    pub(crate) fn config(&self) -> Config {
        self.with(|state| state.config.clone())
    }

    /// Calls leave by this port, too: who is called knows where to call back.
    pub(crate) fn add(&self, port: Port) {
        self.with(|state| state.listening.push(port));
    }

    /// The ports at which this process listens.
    pub(crate) fn listening(&self) -> Vec<Port> {
        self.with(|state| state.listening.clone())
    }

    /// All of them, those by which it only calls among them.
    pub(crate) fn all(&self) -> Vec<Port> {
        self.with(|state| [&state.listening[..], &state.calling].concat())
    }

    /// A port from which an address can be called.
    pub(crate) fn to(&self, address: SocketAddr) -> Result<Port, PortError> {
        self.with(|state| {
            let ports = state.listening.iter().chain(&state.calling);
            let mut fitting = ports.filter(|port| reaches(port.address(), address));
            if let Some(port) = fitting.next() {
                return Ok(port.clone());
            }
            let any: SocketAddr = match address {
                SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            let config = Config {
                accepts: false,
                ..state.config.clone()
            };
            // Nobody comes by it.
            let port = Port::open(any, config, mpsc::channel(1).0)?;
            state.calling.push(port.clone());
            Ok(port)
        })
    }

    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether a datagram from here gets there.
fn reaches(here: SocketAddr, there: SocketAddr) -> bool {
    let (near, far) = (here.ip(), there.ip());
    near.is_ipv4() == far.is_ipv4()
        && (near.is_unspecified() || near.is_loopback() == far.is_loopback())
}
