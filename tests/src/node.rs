//! Nodes in the test's own process, on a relay of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use peerage::node::{Event, State};
use peerage::{Config, Kind};
use peerage_relay::Node;
use tokio::task::JoinHandle;

use crate::Relay;

/// A node of this name, online.
pub async fn join(relay: &Relay, name: &str) -> Node {
    join_any(&[relay], name).await
}

/// A node of this name, online at one of these relays, and at another when that is lost.
pub async fn join_any(relays: &[&Relay], name: &str) -> Node {
    let config = Config::new(Kind::Native).named(name.parse().unwrap());
    let urls = relays.iter().map(|relay| relay.mesh().parse().unwrap());
    Node::join(config, urls.collect()).await.unwrap()
}

/// Two nodes that work on a relay all the while, and notice if anything is amiss.
pub struct Bystanders {
    over: Arc<AtomicBool>,
    work: JoinHandle<u32>,
}

impl Bystanders {
    /// Joins them, and puts them to work.
    pub async fn start(relay: &Relay) -> Self {
        let there = join(relay, "there").await;
        let here = join(relay, "here").await;
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let mut events = there.events();
        let work = tokio::spawn(async move {
            let mut done = 0;
            while !stop.load(Ordering::Relaxed) {
                let outcome = here.run(&format!("calc {done}+1 @there")).await.unwrap();
                done += 1;
                assert_eq!(outcome.output, done.to_string());
            }
            assert!(matches!(here.state(), State::Online(_)));
            while let Some(event) = events.next().now_or_never() {
                let amiss = matches!(event, Event::State(_) | Event::SessionDown(..));
                assert!(!amiss, "{event:?}");
            }
            done
        });
        Self { over, work }
    }

    /// Ends their work, of which there was some.
    pub async fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        assert!(self.work.await.unwrap() > 0);
    }
}
