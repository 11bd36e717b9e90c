//! Our remote objects, by a trait.

use std::sync::Arc;

use peerage::{Config, Kind};
use peerage_relay::Node;
use peerage_relay::web::origin::Origins;
use peerage_relay::web::{self, Web};
use tokio::net::TcpListener;

use super::Adder;
use super::progress::told;
use crate::client::Failed;

/// Who answers.
pub(super) const NAME: &str = "answering";

/// Adds up.
#[peerage::agent]
pub(super) trait Sums {
    async fn add(&self, a: u64, b: u64) -> u64;
}

struct Own;

impl Sums for Own {
    async fn add(&self, a: u64, b: u64) -> u64 {
        a + b
    }
}

/// A node that lets others in.
pub(super) async fn serve() -> Result<String, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let node = Node::launch(config(NAME)?, vec![])?;
    answer(&node)?;
    let routes = web::router(Web {
        node,
        origins: Arc::new(Origins::new(address, &[])),
        nodes: web::Settings::default(),
        events: None,
        mqtt: None,
    });
    tokio::spawn(web::serve(listener, routes, std::future::pending()));
    Ok(format!("ws://{address}/mesh"))
}

/// A node on a relay.
pub(super) async fn serve_through(relay: String) -> Result<String, Failed> {
    let node = Node::join(config(NAME)?, vec![relay.parse()?]).await?;
    answer(&node)?;
    Ok(relay)
}

/// Lets others have numbers added, as long as this thread is there.
fn answer(node: &Node) -> Result<(), Failed> {
    let handle = node.agent("Sums", SumsAgent::new(Own))?;
    node.operation("tell", |work| async move {
        let mut number = 0;
        while work.stop().is_none() {
            number += 1;
            work.progress(told(number));
            // What is told without a rest is told to nobody: the latest counts.
            tokio::task::yield_now().await;
        }
        Ok(())
    });
    let node = node.clone();
    tokio::spawn(async move {
        std::future::pending::<()>().await;
        drop((handle, node));
    });
    Ok(())
}

pub(super) async fn connect(url: &str) -> Result<(Node, SumsProxy), Failed> {
    let node = Node::join(config("asking")?, vec![url.parse()?]).await?;
    let adder = SumsProxy::new(node.rpc(), NAME);
    Ok((node, adder))
}

fn config(name: &str) -> Result<Config, Failed> {
    Ok(Config::new(Kind::Native).named(name.parse()?))
}

impl Adder for SumsProxy {
    async fn add(&self, a: u64, b: u64) -> Result<u64, Failed> {
        Ok(Self::add(self, a, b).await?)
    }
}
