//! Many native nodes in one process, which do what nodes do: they have agents, run operations with parts elsewhere,
//! publish, and some talk to each other over links of their own.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use peerage::rpc::{AgentHandle, Thrown};
use peerage::service::broker::Publish;
use peerage::service::operation::{Options, Progress, Unsuccessful, Work};
use peerage::{Config, Kind};
use peerage_relay::Node;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use url::Url;

/// Nodes that join at the same time.
const AT_ONCE: usize = 16;
/// One of so many runs operations; as many publish.
const BUSY_EVERY: usize = 25;
/// Pairs of nodes that talk to each other.
const PAIRS: usize = 20;
/// How often something happens at a busy node.
const BEAT: Duration = Duration::from_millis(500);
/// Steps of an operation, each of which takes a beat.
const STEPS: u32 = 40;

/// What each of the nodes offers.
#[peerage::agent]
trait Sensor {
    /// A measurement, in degrees.
    async fn read(&self) -> f64;
    /// Moves the scale by so many degrees; with `dry`, tells only what would come of it.
    async fn calibrate(&self, offset: f64, reason: String, dry: bool) -> Result<f64, Thrown>;
    #[property]
    async fn limit(&self) -> f64;
    #[event]
    fn alarm(degrees: f64);
}

struct Measured(usize);

impl Sensor for Measured {
    async fn read(&self) -> f64 {
        20.0 + (self.0 % 7) as f64 / 2.0
    }

    async fn calibrate(&self, offset: f64, reason: String, dry: bool) -> Result<f64, Thrown> {
        if offset.abs() > 5.0 {
            let message = format!("expected at most 5 degrees for {reason:?}, got {offset}");
            return Err(Thrown::new("RangeError", message));
        }
        Ok(if dry { 20.0 } else { 20.0 + offset })
    }

    async fn limit(&self) -> f64 {
        85.0
    }
}

/// The nodes, which leave when this is dropped.
pub struct Swarm {
    /// All of them, `sensor-1` the first.
    pub nodes: Vec<Node>,
    _agents: Vec<AgentHandle>,
    _work: JoinSet<()>,
}

impl Swarm {
    /// So many nodes at the relay of this address, at work. They take about three files each.
    pub async fn join(relay: &Url, count: usize) -> Self {
        let joining = (1..=count).map(|number| async move {
            let name = format!("sensor-{number}").parse().unwrap();
            let config = Config::new(Kind::Native).named(name);
            Node::join(config, vec![relay.clone()]).await.unwrap()
        });
        let nodes: Vec<_> = stream::iter(joining).buffered(AT_ONCE).collect().await;
        let agents = nodes.iter().enumerate();
        let agents = agents.map(|(number, node)| {
            let agent = SensorAgent::new(Measured(number));
            node.agent("Sensor", agent).unwrap()
        });
        let agents = agents.collect();
        let mut work = JoinSet::new();
        for (number, node) in nodes.iter().enumerate().step_by(BUSY_EVERY) {
            offer(node);
            work.spawn(operate(node.clone(), number));
            work.spawn(publish(node.clone(), number));
        }
        for pair in nodes.chunks_exact(2).take(PAIRS) {
            work.spawn(talk(pair[0].clone(), pair[1].id().to_string()));
        }
        Self {
            nodes,
            _agents: agents,
            _work: work,
        }
    }
}

/// Lets a node mix a batch, a part of which is to heat it.
fn offer(node: &Node) {
    node.operation("mix", |work: Work| async move {
        let own = work.operations().rpc().node().id().to_string();
        let part = work.start(&own, "heat", &json!({ "degrees": 60 }));
        steps(&work, "mixing", STEPS).await?;
        part.await?;
        Ok(json!({ "litres": 12 }))
    });
    node.operation("heat", |work: Work| async move {
        steps(&work, "heating", STEPS / 2).await?;
        match work.id() % 6 {
            0 => Err(Unsuccessful::fail("errTooHot")),
            _ => Ok(()),
        }
    });
}

async fn steps(work: &Work, note: &str, steps: u32) -> Result<(), Unsuccessful> {
    for step in 0..steps {
        if let Some(stop) = work.stop() {
            return Err(Unsuccessful::Stopped(stop));
        }
        let progress = Progress::of(f64::from(step) / f64::from(steps));
        let left = BEAT * (steps - step);
        work.progress(
            progress
                .remaining(left)
                .note(format!("{note}, batch {}", work.id())),
        );
        tokio::time::sleep(BEAT).await;
    }
    Ok(())
}

/// Has operations done, one after the other; some are given up.
async fn operate(node: Node, number: usize) {
    let own = node.id().to_string();
    for batch in 0_usize.. {
        let order = json!({ "batch": batch });
        let mut mixing = node.start(&own, "mix", &order, Options::default());
        if (batch + number) % 4 == 3 {
            mixing.next().await;
            mixing.cancel("not needed");
        }
        // How it ends is for those who look.
        let _ = mixing.await;
    }
}

/// Publishes what the node measures.
async fn publish(node: Node, number: usize) {
    let (line, seat) = (number / 100 + 1, number % 100 / BUSY_EVERY + 1);
    let place = format!("plant/line-{line}/seat-{seat}");
    let retained = Publish {
        retain: true,
        ..Publish::default()
    };
    for beat in 0_u32.. {
        let degrees = 20.0 + f64::from(beat % 40) / 10.0;
        let value = json!({ "degrees": degrees, "beat": beat, "ok": beat % 9 != 0 });
        // Without a broker there is nobody to tell.
        let _ = node.publish(&format!("{place}/temperature"), &value).await;
        if beat % 20 == 0 {
            let state = Value::from(if beat % 40 == 0 { "running" } else { "idle" });
            let topic = format!("{place}/state");
            let sent = node.topics().publish(&topic, &state, retained.clone());
            if let Ok(sent) = sent {
                let _ = sent.await;
            }
        }
        tokio::time::sleep(2 * BEAT).await;
    }
}

/// Asks another node again and again, so that the two have use for a link of their own.
async fn talk(node: Node, other: String) {
    loop {
        // Who has left does not answer.
        let _ = SensorProxy::new(node.rpc(), &other).read().await;
        tokio::time::sleep(BEAT).await;
    }
}
