//! Many nodes at a relay, to look at them in the console:
//! `cargo run -p peerage-tests --example swarm -- ws://127.0.0.1:7700/mesh 500`.

use std::io::Write;

use peerage_tests::Swarm;
use url::Url;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let relay = args.next();
    let relay = relay.unwrap_or_else(|| String::from("ws://127.0.0.1:7700/mesh"));
    let relay: Url = relay.parse().expect("the address of a relay's mesh");
    let count = args
        .next()
        .map_or(500, |count| count.parse().expect("how many nodes"));
    let swarm = Swarm::join(&relay, count).await;
    // Nobody may be reading.
    let _ = writeln!(
        std::io::stdout(),
        "{} nodes have joined; Ctrl-C ends them",
        swarm.nodes.len()
    );
    let _ = tokio::signal::ctrl_c().await;
}
