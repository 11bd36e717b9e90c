//! Adapters, on the hardware's side: a process that joins a device and a node. It waits, blocked, until the node
//! is there, works, and waits again when the node goes; what was under way ends with the link, and is never begun again.

pub mod dispenser;
pub mod frame;
mod handle;
pub(crate) mod hello;
mod line;
pub mod modbus;
pub mod schema;
pub mod scpi;
pub mod serial;
mod session;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use peerage::Name;
use peerage::limits::{ADAPTER_RETRY_MAX, ADAPTER_RETRY_MIN};
use peerage::log::CONNECTION;
use peerage::rpc::Parcel;
use peerage::service::operation::Stop;
use peerage::trace::{Context, Tracer};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;

use frame::Framing;
use schema::Schema;
use serial::{DEFAULT_BAUD, Serial};
use session::Session;

pub use handle::Hardware;
pub use line::{Line, Report};

/// What an adapter joins to a node.
pub trait Device: Send + Sync + 'static {
    /// The interfaces that it has.
    fn schemas(&self) -> Vec<Arc<Schema>>;

    /// Does what it is asked for. What is done before this returns is done in the order of the requests; what
    /// this returns is dropped when the link ends, or nobody waits for it any more.
    fn ask(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Result<Parcel, Refusal>>;

    /// Waits until the hardware is there.
    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Waits until the hardware is there no more; tells why.
    fn lost(&self) -> BoxFuture<'_, String> {
        Box::pin(std::future::pending())
    }
}

/// What a device is asked for.
pub struct Ask {
    /// What is wanted.
    pub act: Act,
    /// The interface; of an operation, none.
    pub interface: String,
    /// Of the method, the property or the operation.
    pub name: String,
    /// The list of arguments, the value, or what the operation is started with.
    pub args: Parcel,
    /// Who asks, by id.
    pub caller: Option<String>,
    /// To which trace it belongs: what the device asks of others for it goes on below that.
    pub trace: Option<Context>,
    /// Its number, which no other has.
    pub number: u64,
    /// Where an operation tells how far it is.
    pub report: Report,
    /// That an operation shall stop, once it shall.
    pub stop: watch::Receiver<Option<Stop>>,
}

/// What is wanted of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A method.
    Call,
    /// A property gets a value.
    Set,
    /// An operation.
    Begin,
}

/// Why a device does not do what it is asked for.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The type of what is thrown; of an operation `cancel` and `abort` say that it was stopped.
    pub kind: String,
    /// Why, in a word or a few.
    pub reason: String,
    /// What else there is to know of it.
    pub data: Parcel,
}

/// An adapter, and where it belongs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the node that is held for it.
    pub name: Name,
    /// What sort of hardware it is.
    pub kind: String,
    /// Which one of its sort: who comes back with the same is the same.
    pub instance: String,
    /// The node that it works for; without one that to which it connects.
    pub node: Option<String>,
    /// What those know who may be adapters.
    pub token: Option<String>,
    /// Where it connects.
    pub address: Address,
    /// What traces that which is asked for in a trace.
    pub tracer: Option<Arc<dyn Tracer>>,
}

/// Where an adapter connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Host and TCP port.
    Tcp(String),
    /// A Unix socket.
    Unix(PathBuf),
    /// A serial line, and bits per second.
    Serial(PathBuf, u32),
}

/// How an adapter stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits, for this.
    Blocked(String),
    /// It works, as the node of this name.
    Linked(String),
}

/// Runs an adapter for as long as this is polled. Each change of its state is told.
pub async fn run(
    settings: Settings,
    line: Line,
    device: Arc<dyn Device>,
    told: impl Fn(&State) + Send + Sync,
) {
    let mut teller = Teller { told, last: None };
    let mut after = 0;
    let mut pause = ADAPTER_RETRY_MIN;
    loop {
        teller.tell(State::Blocked("its device".into()), true);
        device.ready().await;
        let mut was_linked = false;
        let why = {
            let mut tell = |state: State| {
                was_linked |= matches!(state, State::Linked(_));
                teller.tell(state, false);
            };
            once(&settings, &line, &device, &mut after, &mut tell).await
        };
        if was_linked {
            pause = ADAPTER_RETRY_MIN;
        }
        tracing::debug!(target: CONNECTION, why, "an adapter is not linked");
        teller.tell(State::Blocked(why), false);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(ADAPTER_RETRY_MAX);
    }
}

/// Tells states, each once.
struct Teller<F> {
    told: F,
    last: Option<State>,
}

impl<F: Fn(&State)> Teller<F> {
    /// Tells a state; one that is only `first` if there was none before.
    fn tell(&mut self, state: State, first: bool) {
        let is_news = match (&self.last, &state) {
            (Some(_), _) if first => false,
            // Blocked is blocked.
            (Some(State::Blocked(_)), State::Blocked(_)) => false,
            (last, state) => last.as_ref() != Some(state),
        };
        if is_news {
            tracing::info!(target: CONNECTION, state = %state, "an adapter's state");
            (self.told)(&state);
            self.last = Some(state);
        }
    }
}

/// Connects once, and works until that ends; why it did.
async fn once(
    settings: &Settings,
    line: &Line,
    device: &Arc<dyn Device>,
    after: &mut u64,
    tell: &mut (dyn FnMut(State) + Send),
) -> String {
    let session = Session {
        settings,
        line,
        device,
    };
    match &settings.address {
        Address::Tcp(at) => match TcpStream::connect(at).await {
            Ok(socket) => {
                // What hardware says does not wait for more.
                let _ = socket.set_nodelay(true);
                session.run(socket, Framing::Length, after, tell).await
            }
            Err(error) => nobody(at, &error),
        },
        Address::Unix(path) => match UnixStream::connect(path).await {
            Ok(socket) => session.run(socket, Framing::Length, after, tell).await,
            Err(error) => nobody(path.display(), &error),
        },
        Address::Serial(path, baud) => match Serial::open(path, *baud) {
            Ok(serial) => session.run(serial, Framing::Serial, after, tell).await,
            Err(error) => nobody(path.display(), &error),
        },
    }
}

fn nobody(at: impl fmt::Display, error: &io::Error) -> String {
    format!("nobody is at {at}: {error}")
}

impl Refusal {
    /// Something goes wrong, for this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            kind: String::from("Error"),
            reason: reason.into(),
            data: Parcel::default(),
        }
    }

    /// The same, with what else there is to know.
    #[must_use]
    pub fn with(self, data: &impl serde::Serialize) -> Self {
        let data = Parcel::of(data).unwrap_or_default();
        Self { data, ..self }
    }
}

impl From<Stop> for Refusal {
    fn from(stop: Stop) -> Self {
        Self {
            kind: stop.kind.as_str().to_owned(),
            reason: stop.reason,
            data: Parcel::default(),
        }
    }
}

impl From<peerage::object::ObjectError> for Refusal {
    fn from(error: peerage::object::ObjectError) -> Self {
        Self::new(error.to_string())
    }
}

impl Ask {
    /// Waits until it shall stop.
    pub async fn stopped(stop: &mut watch::Receiver<Option<Stop>>) -> Stop {
        let told = stop.wait_for(Option::is_some).await;
        match told.ok().and_then(|stop| stop.clone()) {
            Some(stop) => stop,
            // The link has ended, which ends this as well.
            None => std::future::pending().await,
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "expected HOST:PORT, unix:PATH or serial:PATH, which may end in @BAUD, got `{text}`"
            )
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        if let Some(line) = text.strip_prefix("serial:") {
            let (path, baud) = match line.rsplit_once('@') {
                Some((path, baud)) => (path, baud.parse().map_err(|_| expected())?),
                None => (line, DEFAULT_BAUD),
            };
            return Ok(Self::Serial(path.into(), baud));
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self::Tcp(text.to_owned()))
            }
            _ => Err(expected()),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked(why) => write!(f, "blocked: {why}"),
            Self::Linked(name) => write!(f, "linked: {name}"),
        }
    }
}
