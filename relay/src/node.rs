//! A native node as programs hold it: the core's, with its services, run by tokio.

use std::ops::Deref;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use peerage::rpc::{Agent, AgentHandle, Proxy, Rpc};
use peerage::service::broker::{self, Broker, Publish, Published, Subscribe, Subscription, Topics};
use peerage::service::command::{Commands, Outcome};
use peerage::{Config, Failure};
use peerage_script::{Limits, Platform, Scripts};
use serde::Serialize;
use tokio::sync::oneshot;
use url::Url;

use crate::{JoinError, Runtime};

/// A node with its services. All that the core's [`Node`](peerage::Node) can do, it can do. Clones are the
/// same node.
#[derive(Clone)]
pub struct Node {
    commands: Commands,
    rpc: Rpc,
    scripts: Scripts,
    topics: Topics,
    runtime: Runtime,
}

impl Node {
    /// Joins the mesh of one of these relays, `ws:` addresses.
    ///
    /// # Errors
    /// Why no relay can be reached, or does not want the node.
    pub async fn join(config: Config, relays: Vec<Url>) -> Result<Self, JoinError> {
        Self::join_with(config, relays, broker::Options::default()).await
    }

    /// As [`Node::join`], with a broker that keeps what is published in this way.
    ///
    /// # Errors
    /// As [`Node::join`]; also if the broker's store cannot be read.
    pub async fn join_with(
        config: Config,
        relays: Vec<Url>,
        options: broker::Options,
    ) -> Result<Self, JoinError> {
        let node = Self::start_with(config, relays, options)?;
        match node.online(false).await {
            Ok(_) => Ok(node),
            Err(failure) => {
                node.close().await;
                Err(JoinError::Failed(failure))
            }
        }
    }

    /// Starts a node without waiting for its relay. If it has none, it is the primary of its own zone.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn start(config: Config, relays: Vec<Url>) -> Result<Self, JoinError> {
        Self::start_with(config, relays, broker::Options::default())
    }

    /// As [`Node::start`], with a broker that keeps what is published in this way.
    ///
    /// # Errors
    /// As [`Node::start`]; also if the broker's store cannot be read.
    pub fn start_with(
        config: Config,
        relays: Vec<Url>,
        options: broker::Options,
    ) -> Result<Self, JoinError> {
        let aliases = config.aliases.clone();
        let (node, runtime) = Runtime::start(config, relays)?;
        let commands = Commands::new(node.clone(), aliases);
        let broker = Broker::new(node.clone(), options).map_err(JoinError::Failed)?;
        let topics = Topics::new(broker.clone());
        broker::register(&commands, &topics);
        let rpc = Rpc::new(node);
        let platform = Platform {
            limits: Limits::NATIVE,
            compute: Arc::new(compute),
            load: Arc::new(load),
        };
        let scripts = Scripts::new(rpc.clone(), commands.clone(), platform);
        let scripts = scripts.map_err(JoinError::Failed)?;
        let (serving, answering) = (commands.clone(), rpc.clone());
        tokio::spawn(async move { serving.serve().await });
        tokio::spawn(async move { answering.serve().await });
        let publishing = topics.clone();
        tokio::spawn(async move { broker.serve().await });
        tokio::spawn(async move { publishing.serve().await });
        Ok(Self {
            commands,
            rpc,
            scripts,
            topics,
            runtime,
        })
    }

    /// The commands that others may run here, and the way to run one anywhere.
    pub fn commands(&self) -> &Commands {
        &self.commands
    }

    /// The objects that others may use here, and the way to use theirs.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The scripts that others may run here, and the way to run one anywhere.
    pub fn scripts(&self) -> &Scripts {
        &self.scripts
    }

    /// The topics of the zone, and of other nodes.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The broker that this node is to those who name it, and to the zone if it is its root.
    pub fn broker(&self) -> &Broker {
        self.topics.broker()
    }

    /// Publishes a value under a topic, at the zone's broker, and waits until that has it.
    ///
    /// # Errors
    /// As [`Topics::publish`]; why the broker does not have it, or may not.
    pub async fn publish<T>(&self, topic: &str, value: &T) -> Result<Published, Failure>
    where
        T: Serialize + ?Sized + Sync,
    {
        self.topics.publish(topic, value, Publish::default())?.await
    }

    /// Subscribes to the topics that a filter means, at the zone's broker.
    ///
    /// # Errors
    /// As [`Topics::subscribe`].
    pub async fn subscribe(&self, filter: &str) -> Result<Subscription, Failure> {
        self.topics.subscribe(filter, Subscribe::default()).await
    }

    /// What runs the node.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Runs a command line, here or at its `@target`.
    ///
    /// # Errors
    /// As [`Commands::run`].
    pub async fn run(&self, line: &str) -> Result<Outcome, Failure> {
        self.commands.run(line).await
    }

    /// Lets others find an agent by this name, until what this returns is dropped.
    ///
    /// # Errors
    /// As [`Rpc::agent`].
    pub fn agent(&self, name: &str, agent: impl Agent) -> Result<AgentHandle, Failure> {
        self.rpc.agent(name, agent)
    }

    /// A way to use the agent of a name at a node.
    pub fn proxy(&self, node: &str, agent: &str) -> Proxy {
        self.rpc.proxy(node, agent)
    }

    /// Leaves, and waits until the neighbours know.
    pub async fn close(&self) {
        self.commands.node().close();
        self.runtime.finished().await;
    }
}

/// Bytes of the stack of a script: what it may nest has room on it.
const SCRIPT_STACK_BYTES: usize = 64 * 1024 * 1024;

/// Does work on a thread of its own.
fn compute(work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
    let (tell, done) = oneshot::channel();
    let run = move || {
        work();
        // Nobody may be waiting any longer.
        let _ = tell.send(());
    };
    let thread = std::thread::Builder::new().stack_size(SCRIPT_STACK_BYTES);
    let started = thread.name(String::from("script")).spawn(run);
    Box::pin(async move {
        match started {
            // An error means that it is over, too.
            Ok(_) => drop(done.await),
            Err(error) => {
                tracing::error!(target: peerage::log::ERROR, %error, "no thread for a script")
            }
        }
    })
}

/// Reads a script's file.
fn load(file: String) -> BoxFuture<'static, Result<String, String>> {
    Box::pin(async move {
        let read = tokio::fs::read_to_string(&file).await;
        read.map_err(|error| format!("{file}: {error}"))
    })
}

impl Deref for Node {
    type Target = peerage::Node;

    fn deref(&self) -> &Self::Target {
        self.commands.node()
    }
}
