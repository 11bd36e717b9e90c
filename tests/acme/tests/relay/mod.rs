//! A relay in this process, on a runtime of its own, so that it can die as a process does: at once.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use peerage::{Config, Kind};
use peerage_relay::Node;
use peerage_relay::web::origin::Origins;
use peerage_relay::web::{self, Web};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// A relay, which ends with this.
pub(crate) struct Relay {
    runtime: Option<Runtime>,
    port: u16,
}

impl Relay {
    /// Starts one; port 0 is any that is free.
    pub(crate) fn start(port: u16) -> Self {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let socket = std::net::TcpListener::bind(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        runtime.spawn(async move {
            let config = Config::new(Kind::Relay).named("relay".parse().unwrap());
            let node = Node::launch(config, vec![]).unwrap();
            let routes = web::router(Web {
                node,
                origins: Arc::new(Origins::new(address, &[])),
                nodes: web::Settings::default(),
                events: None,
                mqtt: None,
            });
            let listener = TcpListener::from_std(socket).unwrap();
            web::serve(listener, routes, std::future::pending()).await
        });
        Self {
            runtime: Some(runtime),
            port: address.port(),
        }
    }

    /// It dies without a word, and another one begins in its place.
    pub(crate) fn restarted(mut self) -> Self {
        self.die();
        Self::start(self.port)
    }

    /// A node of this name, online.
    pub(crate) async fn join(&self, name: &str) -> Node {
        let config = Config::new(Kind::Native).named(name.parse().unwrap());
        let relay = format!("ws://127.0.0.1:{}/mesh", self.port);
        Node::join(config, vec![relay.parse().unwrap()])
            .await
            .unwrap()
    }

    fn die(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // From another thread: a runtime may not wait within another.
            let ended = std::thread::spawn(move || drop(runtime)).join();
            assert!(ended.is_ok());
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.die();
    }
}
