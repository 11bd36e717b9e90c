//! Devices that speak Modbus TCP: coils and registers as properties of the interface `Modbus`, by a map.

mod map;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use peerage::limits::{ADAPTER_RETRY_MAX, ADAPTER_RETRY_MIN};
use peerage::log::CONNECTION;
use peerage::rpc::Parcel;
use serde::Serialize;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tokio_modbus::client::{Context, Reader, Writer, tcp};
use tokio_modbus::{ExceptionCode, Slave};

use super::schema::Schema;
use super::{Act, Ask, Device, Line, Refusal};

pub use map::{Map, MapError, Point, Table, Width};

const INTERFACE: &str = "Modbus";

/// A device, by its map.
pub struct Modbus {
    schema: Arc<Schema>,
    inner: Arc<Inner>,
}

struct Inner {
    line: Line,
    map: Map,
    /// The connection. Who asks something takes it, and puts it back when the answer is there.
    way: Mutex<Option<Context>>,
}

/// What a coil or a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Reading {
    Bit(bool),
    Number(f64),
}

#[derive(Serialize)]
struct Changed<'a> {
    name: &'a str,
    value: Reading,
}

impl Modbus {
    /// A device as a map has it.
    ///
    /// # Errors
    /// What is wrong in the map.
    pub fn new(line: Line, map: Map) -> Result<Self, MapError> {
        let schema = Schema::parse(&map.tau());
        let schema = schema.map_err(|failure| MapError::Schema(failure.message))?;
        let way = Mutex::default();
        Ok(Self {
            schema: Arc::new(schema),
            inner: Arc::new(Inner { line, map, way }),
        })
    }
}

impl Inner {
    async fn connect(&self) -> Result<(), String> {
        let connecting = async {
            let mut found = lookup_host(&self.map.device).await?;
            let none = || std::io::Error::other("no such host");
            let socket = TcpStream::connect(found.next().ok_or_else(none)?).await?;
            // What hardware is told does not wait for more.
            let _ = socket.set_nodelay(true);
            Ok::<_, std::io::Error>(socket)
        };
        let socket = timeout(self.map.timeout(), connecting).await;
        let socket = socket.map_err(|_| String::from("it does not answer"))?;
        let socket = socket.map_err(|error| error.to_string())?;
        let way = tcp::attach_slave(socket, Slave(self.map.unit));
        *self.way.lock().await = Some(way);
        self.poll(false).await
    }

    /// Reads all that there is, and tells what has changed.
    async fn poll(&self, tells_events: bool) -> Result<(), String> {
        for (name, point) in &self.map.points {
            let reading = self.read(point).await?;
            self.note(name, reading, tells_events);
        }
        Ok(())
    }

    fn note(&self, name: &str, value: Reading, tells_event: bool) {
        if self.line.property(INTERFACE, name, &value) && tells_event {
            self.line
                .event(INTERFACE, "changed", &Changed { name, value });
        }
    }

    async fn read(&self, point: &Point) -> Result<Reading, String> {
        let (at, words) = (point.address, point.width.words());
        let first = |bits: Vec<bool>| bits.first().copied().map(Reading::Bit);
        let number = |words: Vec<u16>| point.read(&words).map(Reading::Number);
        let mut place = self.way.lock().await;
        let mut way = place.take().ok_or("the connection is lost")?;
        let asking = async {
            Ok::<_, tokio_modbus::Error>(match point.table {
                Table::Coil => way.read_coils(at, 1).await?.map(first),
                Table::Discrete => way.read_discrete_inputs(at, 1).await?.map(first),
                Table::Holding => way.read_holding_registers(at, words).await?.map(number),
                Table::Input => way.read_input_registers(at, words).await?.map(number),
            })
        };
        let answer = timeout(self.map.timeout(), asking).await;
        let answer = answer.map_err(|_| String::from("it does not answer"))?;
        let answer = answer.map_err(|error| error.to_string())?;
        *place = Some(way);
        let reading = answer.map_err(|exception| exception.to_string())?;
        reading.ok_or_else(|| String::from("its answer is too short"))
    }

    /// Sets a coil or a register; what it holds then is told.
    async fn write(&self, name: &str, value: Reading) -> Result<(), Refusal> {
        let no_device = |why: String| Refusal::new("errNoDevice").with(&why);
        let point = self.map.points.get(name);
        let point = point.ok_or_else(|| Refusal::new(format!("there is no `{name}`")))?;
        {
            let mut place = self.way.lock().await;
            let way = place.take();
            let mut way = way.ok_or_else(|| no_device("the connection is lost".into()))?;
            let asking = async {
                match value {
                    Reading::Bit(bit) => {
                        Ok::<_, Refusal>(way.write_single_coil(point.address, bit).await)
                    }
                    Reading::Number(number) => {
                        let words = point
                            .write(number)
                            .ok_or_else(|| Refusal::new("errRange"))?;
                        Ok(match words[..] {
                            [word] => way.write_single_register(point.address, word).await,
                            _ => way.write_multiple_registers(point.address, &words).await,
                        })
                    }
                }
            };
            let answer = timeout(self.map.timeout(), asking).await;
            let answer = answer.map_err(|_| no_device("it does not answer".into()))?;
            let answer = match answer {
                Ok(answer) => answer.map_err(|error| no_device(error.to_string()))?,
                // Nothing was asked.
                Err(refusal) => {
                    *place = Some(way);
                    return Err(refusal);
                }
            };
            *place = Some(way);
            answer.map_err(|exception: ExceptionCode| {
                Refusal::new("errException").with(&exception.to_string())
            })?;
        }
        let reading = self.read(point).await.map_err(no_device)?;
        self.note(name, reading, true);
        Ok(())
    }
}

impl Device for Modbus {
    fn schemas(&self) -> Vec<Arc<Schema>> {
        vec![Arc::clone(&self.schema)]
    }

    fn ask(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Result<Parcel, Refusal>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            if ask.act != Act::Set {
                return Err(Refusal::new(format!("there is no `{}`", ask.name)));
            }
            let value = match ask.args.read::<bool>() {
                Ok(bit) => Reading::Bit(bit),
                Err(_) => Reading::Number(ask.args.read()?),
            };
            // What is on its way to the device comes to its end, whoever waits for it.
            let writing = tokio::spawn(async move { inner.write(&ask.name, value).await });
            let done = writing.await;
            done.map_err(|_| Refusal::new("it failed unforeseen"))??;
            Ok(Parcel::default())
        })
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let mut pause = ADAPTER_RETRY_MIN;
            while let Err(why) = self.inner.connect().await {
                tracing::debug!(target: CONNECTION, why, "no Modbus device");
                sleep(pause).await;
                pause = (pause * 2).min(ADAPTER_RETRY_MAX);
            }
        })
    }

    fn lost(&self) -> BoxFuture<'_, String> {
        Box::pin(async {
            loop {
                sleep(self.inner.map.poll()).await;
                if let Err(why) = self.inner.poll(true).await {
                    *self.inner.way.lock().await = None;
                    return format!("the Modbus device is gone: {why}");
                }
            }
        })
    }
}
