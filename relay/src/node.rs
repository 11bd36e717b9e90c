//! A native node as programs hold it: the core's, with its services, run by tokio.

use std::error::Error as StdError;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use peerage::http::{Body, Http};
use peerage::rpc::{Agent, AgentHandle, Proxy, Rpc};
use peerage::service::broker::{self, Broker, Publish, Published, Subscribe, Subscription, Topics};
use peerage::service::command::{Commands, Outcome};
use peerage::service::inspect::Inspect;
use peerage::service::operation::{Operation, Operations, Options, Unsuccessful, Which, Work};
use peerage::service::time::Clock;
use peerage::{Config, Failure, Identity};
use peerage_script::{Limits, Platform, Scripts};
use serde::Serialize;
use tokio::sync::oneshot;
use tower_service::Service;
use url::Url;

use crate::adapter::Hardware;
use crate::config::EnetConfig;
use crate::direct::Direct;
use crate::direct::punch::Punch;
use crate::discovery::{self, Discovery};
use crate::enet::Ports;
use crate::http::Served;
use crate::link::dial::Above;
use crate::runtime::random;
use crate::{JoinError, Runtime};

/// A node with its services. All that the core's [`Node`](peerage::Node) can do, it can do. Clones are the
/// same node.
#[derive(Clone)]
pub struct Node {
    commands: Commands,
    rpc: Rpc,
    operations: Operations,
    inspect: Inspect,
    scripts: Scripts,
    http: Http,
    topics: Topics,
    runtime: Runtime,
    direct: Direct,
    clock: Clock,
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
        let node = Self::launch_with(config, relays, options)?;
        node.joined().await
    }

    /// The node once it is online, or why it is not at the first try.
    ///
    /// # Errors
    /// As [`Node::join`].
    pub async fn joined(self) -> Result<Self, JoinError> {
        let node = self;
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
    pub fn launch(config: Config, relays: Vec<Url>) -> Result<Self, JoinError> {
        Self::launch_with(config, relays, broker::Options::default())
    }

    /// As [`Node::launch`], with a broker that keeps what is published in this way.
    ///
    /// # Errors
    /// As [`Node::launch`]; also if the broker's store cannot be read.
    pub fn launch_with(
        config: Config,
        relays: Vec<Url>,
        options: broker::Options,
    ) -> Result<Self, JoinError> {
        Self::launch_discovering(config, relays, options, Discovery::default())
    }

    /// As [`Node::launch_with`], with a discovery that is told how to go about it.
    ///
    /// # Errors
    /// As [`Node::launch_with`].
    pub fn launch_discovering(
        config: Config,
        relays: Vec<Url>,
        options: broker::Options,
        discovery: Discovery,
    ) -> Result<Self, JoinError> {
        Self::launch_speaking(config, relays, options, discovery, &EnetConfig::default())
    }

    /// As [`Node::launch_discovering`], speaking ENet with those whom it calls as a configuration says.
    ///
    /// # Errors
    /// As [`Node::launch_with`].
    pub fn launch_speaking(
        config: Config,
        relays: Vec<Url>,
        options: broker::Options,
        discovery: Discovery,
        enet: &EnetConfig,
    ) -> Result<Self, JoinError> {
        let aliases = config.aliases.clone();
        let links = config.direct_links;
        let identity = Identity::from_secret(&random()?);
        let above = relays.into_iter().map(Above::Far).collect();
        let ports = Ports::speaking(enet.host());
        let (node, runtime) =
            Runtime::start_speaking(identity, config, above, discovery.clone(), ports)?;
        let punch = Punch::new(node.clone(), runtime.clone(), links);
        let direct = Direct::new(node.clone(), runtime.clone(), links);
        let commands = Commands::new(node.clone(), aliases);
        // It hears of conversations at once, and they wait until its store is read.
        let broker = Broker::new(node.clone(), options).map_err(|failure| {
            node.close();
            JoinError::Failed(failure)
        })?;
        let topics = Topics::new(broker.clone());
        broker::register(&commands, &topics);
        discovery::command::register(&commands, discovery);
        let http = Http::new(node.clone(), |task| drop(tokio::spawn(task)));
        let rpc = Rpc::new(node);
        let lanes = commands.share_lanes(&rpc);
        let operations = lanes.and_then(|()| Operations::new(rpc.clone()));
        let operations = operations.map_err(JoinError::Failed)?;
        operations.register(&commands);
        let inspect = Inspect::new(rpc.clone()).map_err(JoinError::Failed)?;
        let clock = Clock::new(rpc.clone(), wall_ms).map_err(JoinError::Failed)?;
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
        tokio::spawn(direct.clone().run());
        tokio::spawn(punch.run());
        let publishing = topics.clone();
        tokio::spawn(async move { broker.serve().await });
        tokio::spawn(async move { publishing.serve().await });
        Ok(Self {
            commands,
            rpc,
            operations,
            inspect,
            scripts,
            http,
            topics,
            runtime,
            direct,
            clock,
        })
    }

    /// Its clock, and how far those of others are from it.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The commands that others may run here, and the way to run one anywhere.
    pub fn commands(&self) -> &Commands {
        &self.commands
    }

    /// The objects that others may use here, and the way to use theirs.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The operations that others may start here, and the way to start one anywhere.
    pub fn operations(&self) -> &Operations {
        &self.operations
    }

    /// What it tells of itself to those who look after the mesh, and the way to ask others.
    pub fn inspect(&self) -> &Inspect {
        &self.inspect
    }

    /// The scripts that others may run here, and the way to run one anywhere.
    pub fn scripts(&self) -> &Scripts {
        &self.scripts
    }

    /// What others may ask of this node by HTTP, and the way to ask them.
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// Answers the HTTP requests of others, and those of a relay's `/n/{name}/`, by a tower service: an axum `Router` is
    /// one. Each request tells its [`Caller`](crate::http::Caller) in its extensions. The last service counts.
    pub fn serve<S, B>(&self, service: S)
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn StdError + Send + Sync>>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.http.serve(Served(service));
    }

    /// Asks a node by HTTP; the request's address is `peer://name/path`.
    ///
    /// # Errors
    /// As [`Http::fetch`].
    pub async fn fetch(
        &self,
        request: Request<impl Into<Body>>,
    ) -> Result<Response<Body>, Failure> {
        self.http.fetch(request).await
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

    /// Whom it finds without being told of them, and how it is found.
    pub fn discovery(&self) -> &Discovery {
        &self.runtime.discovery
    }

    /// Its direct links with tabs.
    pub fn direct(&self) -> &Direct {
        &self.direct
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

    /// Offers an operation to everyone under this name.
    pub fn operation<F, R, T>(&self, name: &str, run: F)
    where
        F: Fn(Work) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, Unsuccessful>> + Send + 'static,
        T: Serialize,
    {
        self.operations.offer(name, run);
    }

    /// Starts an operation of a node.
    pub fn start<T>(&self, at: &str, name: &str, args: &T, options: Options) -> Operation
    where
        T: Serialize + ?Sized,
    {
        self.operations.start(at, name, args, options)
    }

    /// The hardware of a name, wherever its adapter is, linked or not.
    pub fn adapter(&self, name: &str) -> Hardware {
        Hardware::new(self.operations.clone(), name)
    }

    /// Attaches to an operation of a node that was started before.
    pub fn attach(&self, at: &str, which: Which) -> Operation {
        self.operations.attach(at, which)
    }

    /// Leaves, and waits until the neighbours know.
    pub async fn close(&self) {
        self.discovery().close().await;
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

/// Milliseconds since 1970.
fn wall_ms() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64() * 1000.0)
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
