//! Adapters: hardware, by a process or a board, that connects to a socket or hangs on a serial line. For each a
//! node is held, with its interfaces as agents and operations. `docs/protocol.md` has the messages.

mod agent;
mod hotplug;
mod link;
mod owner;
mod session;
mod stand;
mod supervise;

pub(crate) use supervise::SUPERVISED;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use futures_util::future::select;
use peerage::error::Code;
use peerage::limits::{ADAPTER_CONNECTIONS_MAX, ADAPTER_RETRY_MAX};
use peerage::log::{CONNECTION, ERROR};
use peerage::{Failure, Node};
use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

use crate::adapter::frame::{Framing, Reader, Writer};
use crate::adapter::schema::Schema;
use crate::adapter::serial::Serial;
use crate::config::{AdaptersConfig, Allowed};
use crate::front::held::Holder;
use crate::front::out::out;
use crate::runtime::Runtime;
use stand::Stands;

pub use link::AGENT;

/// Who speaks for adapters. Clones are the same.
#[derive(Clone)]
pub struct Front(Arc<Shared>);

struct Shared {
    node: Node,
    runtime: Runtime,
    stands: Arc<Stands>,
    /// Those that must be used, by their interfaces.
    schemas: HashMap<String, Arc<Schema>>,
    config: AdaptersConfig,
    room: Arc<Semaphore>,
}

/// Why there is no place for adapters.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// A socket cannot be opened.
    #[error("cannot listen for adapters at {at}: {source}")]
    Listen {
        /// Where.
        at: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The schema of an interface cannot be read.
    #[error("{}: {reason}", file.display())]
    Schema {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Front {
    /// Speaks for adapters beside a node, as a configuration says. Nobody can come before they are let in.
    ///
    /// # Errors
    /// If a schema cannot be read.
    pub fn new(
        node: Node,
        runtime: Runtime,
        holder: Holder,
        config: AdaptersConfig,
    ) -> Result<Self, FrontError> {
        let schemas = config.schemas.iter().map(|file| known(file));
        let schemas = schemas.collect::<Result<_, _>>()?;
        let stands = Arc::new(Stands::new(holder, config.kept()));
        let room = Arc::new(Semaphore::new(ADAPTER_CONNECTIONS_MAX));
        Ok(Self(Arc::new(Shared {
            node,
            runtime,
            stands,
            schemas,
            config,
            room,
        })))
    }

    /// Lets adapters in at a TCP port; tells which it is.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub async fn listen(&self, address: SocketAddr) -> Result<SocketAddr, FrontError> {
        let cannot = |source| FrontError::Listen {
            at: address.to_string(),
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let front = self.clone();
        self.spawn(async move {
            loop {
                let Ok((socket, from)) = listener.accept().await else {
                    // Too many files are open.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                if !Allowed::has(&front.0.config.allow, from.ip()) {
                    tracing::debug!(target: CONNECTION, %from, "an adapter is not let in");
                    continue;
                }
                // What is asked of hardware does not wait for more.
                let _ = socket.set_nodelay(true);
                front.take(socket, Framing::Length);
            }
        });
        Ok(address)
    }

    /// Lets adapters in by a Unix socket, which takes the place of one that is left over.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn listen_unix(&self, path: &Path) -> Result<(), FrontError> {
        let cannot = |source| FrontError::Listen {
            at: path.display().to_string(),
            source,
        };
        if std::os::unix::net::UnixStream::connect(path).is_err() {
            // There may be none.
            let _ = std::fs::remove_file(path);
        }
        let listener = UnixListener::bind(path).map_err(cannot)?;
        let front = self.clone();
        self.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((socket, _)) => front.take(socket, Framing::Length),
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        Ok(())
    }

    /// Keeps what the configuration says besides: serial lines, and adapters that are supervised.
    pub fn keep(&self) {
        for line in &self.0.config.serial {
            let (front, line) = (self.clone(), line.clone());
            self.spawn(async move {
                loop {
                    let device = hotplug::appeared(&line.when, &front.0.config.sysfs()).await;
                    front.serial(&device, line.baud).await;
                    tokio::time::sleep(ADAPTER_RETRY_MAX).await;
                }
            });
        }
        for adapter in &self.0.config.supervised {
            let (adapter, sysfs) = (adapter.clone(), self.0.config.sysfs());
            let runtime = self.0.runtime.clone();
            let keeping = async move { supervise::keep(&adapter, &sysfs, runtime.left()).await };
            self.0.runtime.links.spawn(keeping);
        }
    }

    /// Speaks with the board at a serial line until it is pulled out.
    async fn serial(&self, device: &Path, baud: u32) {
        match Serial::open(device, baud) {
            Ok(line) => self.speak(line, Framing::Serial).await,
            Err(error) => {
                let device = device.display();
                tracing::warn!(target: ERROR, %device, %error, "a serial line cannot be opened");
            }
        }
    }

    fn take(&self, line: impl AsyncRead + AsyncWrite + Send + 'static, framing: Framing) {
        let Ok(place) = Arc::clone(&self.0.room).try_acquire_owned() else {
            return tracing::warn!(target: ERROR, "too many adapters are connected");
        };
        let front = self.clone();
        self.spawn(async move {
            front.speak(line, framing).await;
            drop(place);
        });
    }

    /// Speaks with an adapter until its line ends.
    async fn speak(&self, line: impl AsyncRead + AsyncWrite + Send + 'static, framing: Framing) {
        let (reading, writing) = split(Box::pin(line));
        let (out, unsaid) = out();
        let saying = tokio::spawn(unsaid.say(Writer::new(writing, framing)));
        session::run(self, Reader::new(reading, framing), &out).await;
        out.finish();
        // The last words may take a while, if nobody reads them.
        let _ = tokio::time::timeout(ADAPTER_RETRY_MAX, saying).await;
    }

    /// Does something until the node leaves.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let runtime = self.0.runtime.clone();
        let over = async move { runtime.left().await };
        let task = async move {
            select(pin!(task), pin!(over)).await;
        };
        self.0.runtime.links.spawn(task);
    }
}

impl Shared {
    /// Whether who says hello knows what it must.
    fn check_token(&self, token: Option<&str>) -> Result<(), Failure> {
        let Some(expected) = &self.config.token else {
            return Ok(());
        };
        let token = token.unwrap_or_default().as_bytes();
        let is_known = verify_slices_are_equal(expected.as_bytes(), token).is_ok();
        let unknown = || Code::Unauthorised.because("expected the token of this node's adapters");
        is_known.then_some(()).ok_or_else(unknown)
    }
}

/// A schema that must be used, by its interface.
fn known(file: &Path) -> Result<(String, Arc<Schema>), FrontError> {
    let wrong = |reason: String| FrontError::Schema {
        file: file.to_owned(),
        reason,
    };
    let source = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let schema = Schema::parse(&source).map_err(|failure| wrong(failure.message))?;
    Ok((schema.name().to_owned(), Arc::new(schema)))
}
