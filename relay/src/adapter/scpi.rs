//! Instruments that answer lines of text, by a serial line or a socket: SCPI, and what is like it.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use peerage::Failure;
use peerage::limits::{ADAPTER_RETRY_MAX, ADAPTER_RETRY_MIN};
use peerage::rpc::Parcel;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::sync::{Mutex as Turn, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::schema::Schema;
use super::serial::{DEFAULT_BAUD, Serial};
use super::{Act, Ask, Device, Line, Refusal};

const INTERFACE: &str = "Scpi";
/// How long an answer is awaited unless another time is said.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest that may be said.
const ANSWER_TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// How long it must be quiet after an answer that did not come in time: it may come yet.
const QUIET: Duration = Duration::from_millis(200);
/// Bytes of a line.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Where an instrument is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// A serial line, and bits per second.
    Serial(PathBuf, u32),
    /// Host and TCP port.
    Tcp(String),
}

/// An instrument.
pub struct Scpi {
    line: Line,
    port: Port,
    schema: Arc<Schema>,
    /// Who speaks with it: one at a time.
    mouth: Arc<Turn<Option<Mouth>>>,
    ear: Arc<Mutex<Ear>>,
    /// Whether it is there.
    is_here: watch::Sender<bool>,
}

/// The way to it.
struct Mouth {
    way: Box<dyn AsyncWrite + Send + Unpin>,
    /// Until when nothing is asked.
    quiet: Option<Instant>,
    /// Who hears what it says, for as long.
    hearing: AbortHandle,
}

/// Who waits for its next line.
#[derive(Default)]
struct Ear(Option<oneshot::Sender<String>>);

#[derive(Serialize)]
struct Unasked<'a> {
    line: &'a str,
}

impl Scpi {
    /// An instrument at a place.
    ///
    /// # Errors
    /// None, unless the schema of this very program is wrong.
    pub fn new(line: Line, port: Port) -> Result<Self, Failure> {
        Ok(Self {
            line,
            port,
            schema: Arc::new(Schema::parse(include_str!("scpi.tau"))?),
            mouth: Arc::default(),
            ear: Arc::default(),
            is_here: watch::channel(false).0,
        })
    }

    /// Opens the line, and asks who is there.
    async fn open(&self) -> std::io::Result<String> {
        match &self.port {
            Port::Serial(path, baud) => self.listen(Serial::open(path, *baud)?).await,
            Port::Tcp(at) => {
                let socket = timeout(ANSWER_TIMEOUT, TcpStream::connect(at)).await??;
                self.listen(socket).await;
            }
        }
        let identity = query(&self.mouth, &self.ear, "*IDN?", ANSWER_TIMEOUT).await;
        identity.map_err(|refusal| std::io::Error::other(refusal.reason))
    }

    async fn listen(&self, line: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let (ear, mouth) = split(line);
        let (told, line) = (Arc::clone(&self.ear), self.line.clone());
        let is_here = self.is_here.clone();
        is_here.send_replace(true);
        let hearing = tokio::spawn(async move {
            hear(ear, &told, &line).await;
            lock(&told).0 = None;
            is_here.send_replace(false);
        });
        *self.mouth.lock().await = Some(Mouth {
            way: Box::new(mouth),
            quiet: None,
            hearing: hearing.abort_handle(),
        });
    }

    fn do_line(&self, ask: Ask) -> BoxFuture<'static, Result<Parcel, Refusal>> {
        let (mouth, ear) = (Arc::clone(&self.mouth), Arc::clone(&self.ear));
        Box::pin(async move {
            let line: String = ask.args.argument(0)?;
            if line.contains(['\n', '\r']) || line.len() > LINE_BYTES_MAX {
                return Err(Refusal::new("errLine"));
            }
            if ask.name == "command" {
                let mut mouth = mouth.lock().await;
                let here = mouth.as_mut().ok_or_else(|| Refusal::new("errNoDevice"))?;
                here.say(&line).await?;
                return Ok(Parcel::default());
            }
            let millis: Option<u64> = ask.args.argument(1)?;
            let patience = millis.map_or(ANSWER_TIMEOUT, Duration::from_millis);
            let asked = query(&mouth, &ear, &line, patience.min(ANSWER_TIMEOUT_MAX));
            Ok(Parcel::of(&asked.await?)?)
        })
    }
}

/// Says a line, and waits for the next one.
async fn query(
    mouth: &Turn<Option<Mouth>>,
    ear: &Mutex<Ear>,
    line: &str,
    patience: Duration,
) -> Result<String, Refusal> {
    let mut mouth = mouth.lock().await;
    let here = mouth.as_mut().ok_or_else(|| Refusal::new("errNoDevice"))?;
    if let Some(quiet) = here.quiet.take() {
        sleep_until(quiet).await;
    }
    let (tell, told) = oneshot::channel();
    lock(ear).0 = Some(tell);
    // Dropped before the answer is there, it may come yet.
    here.quiet = Some(Instant::now() + QUIET);
    here.say(line).await?;
    match timeout(patience, told).await {
        Ok(Ok(answer)) => {
            here.quiet = None;
            Ok(answer)
        }
        Ok(Err(_)) => Err(Refusal::new("errNoDevice")),
        Err(_) => {
            lock(ear).0 = None;
            here.quiet = Some(Instant::now() + QUIET);
            Err(Refusal::new("errTimeout"))
        }
    }
}

impl Mouth {
    async fn say(&mut self, line: &str) -> Result<(), Refusal> {
        let said = self.way.write_all(format!("{line}\n").as_bytes()).await;
        said.map_err(|error| Refusal::new("errNoDevice").with(&error.to_string()))
    }
}

impl Drop for Mouth {
    fn drop(&mut self) {
        self.hearing.abort();
    }
}

/// Hears lines until there are no more: each is for who waits, or for everybody.
async fn hear(mut from: impl AsyncRead + Unpin, ear: &Mutex<Ear>, line: &Line) {
    let (mut text, mut bytes) = (Vec::new(), [0; 1024]);
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        for byte in &bytes[..count] {
            match byte {
                b'\n' => {
                    let said = String::from_utf8_lossy(&text).trim_end().to_owned();
                    text.clear();
                    let waiting = lock(ear).0.take();
                    let unasked = match waiting {
                        Some(waiting) => waiting.send(said).err(),
                        None => Some(said),
                    };
                    if let Some(said) = unasked.filter(|said| !said.is_empty()) {
                        line.event(INTERFACE, "unasked", &Unasked { line: &said });
                    }
                }
                byte if text.len() < LINE_BYTES_MAX => text.push(*byte),
                _ => {}
            }
        }
    }
}

fn lock(ear: &Mutex<Ear>) -> MutexGuard<'_, Ear> {
    ear.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device for Scpi {
    fn schemas(&self) -> Vec<Arc<Schema>> {
        vec![Arc::clone(&self.schema)]
    }

    fn ask(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Result<Parcel, Refusal>> {
        match (ask.act, ask.name.as_str()) {
            (Act::Call, "query" | "command") => self.do_line(ask),
            (_, other) => {
                let refusal = Refusal::new(format!("there is no `{other}`"));
                Box::pin(std::future::ready(Err(refusal)))
            }
        }
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let mut pause = ADAPTER_RETRY_MIN;
            while !*self.is_here.borrow() {
                match self.open().await {
                    Ok(identity) => {
                        self.line.property(INTERFACE, "identity", &identity);
                    }
                    Err(error) => {
                        tracing::debug!(target: peerage::log::CONNECTION, %error, "no instrument");
                        // What was opened is closed.
                        *self.mouth.lock().await = None;
                        self.is_here.send_replace(false);
                        sleep(pause).await;
                        pause = (pause * 2).min(ADAPTER_RETRY_MAX);
                    }
                }
            }
        })
    }

    fn lost(&self) -> BoxFuture<'_, String> {
        Box::pin(async {
            let mut is_here = self.is_here.subscribe();
            // It cannot be gone while this is here.
            let _ = is_here.wait_for(|is_here| !is_here).await;
            *self.mouth.lock().await = None;
            String::from("the instrument is gone")
        })
    }
}

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(at) = text.strip_prefix("tcp:") {
            return Ok(Self::Tcp(at.to_owned()));
        }
        let (path, baud) = match text.rsplit_once('@') {
            Some((path, baud)) => {
                let wrong = |_| format!("expected PATH@BAUD or tcp:HOST:PORT, got `{text}`");
                (path, baud.parse().map_err(wrong)?)
            }
            None => (text, DEFAULT_BAUD),
        };
        Ok(Self::Serial(path.into(), baud))
    }
}
