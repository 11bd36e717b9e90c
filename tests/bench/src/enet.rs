//! An echo by our ENet and one by Debian's libenet, each a process of its own, with one client, which is ours.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use peerage_enet::{Config, Event, Host, Packet, PeerId, SendError, Time};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UdpSocket;

use crate::client::Failed;
use crate::server::cpu_of;
use crate::table::{heading, median, row};

const WARM_UP: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_secs(3);
/// Datagrams that are read before anything is answered, as libenet does it.
const DATAGRAMS_AT_ONCE: usize = 256;

/// How much is under way: `messages` of `size` bytes with each of `peers`.
#[derive(Clone, Copy)]
struct Load {
    peers: usize,
    size: usize,
    messages: usize,
}

const LOADS: [(&str, Load); 3] = [
    ("enet, 1 peer, 64 B", load(1, 64, 1024)),
    ("enet, 1 peer, 64 KiB", load(1, 65_536, 16)),
    ("enet, 1000 peers, 64 B", load(1000, 64, 1)),
];

const fn load(peers: usize, size: usize, messages: usize) -> Load {
    Load {
        peers,
        size,
        messages,
    }
}

#[derive(Clone, Copy)]
enum System {
    Peerage,
    Libenet,
}

/// What a message costs.
struct Cost {
    rate: f64,
    micros: f64,
}

pub(crate) async fn measure(rounds: usize) -> Result<Value, Failed> {
    tokio::task::spawn_blocking(move || alone(measure_all(rounds))).await?
}

/// Sends back what comes, until it is ended.
pub(crate) async fn echo(address: SocketAddr) -> Result<(), Failed> {
    tokio::task::spawn_blocking(move || alone(echo_all(address))).await?
}

/// With a thread of its own: others that wait for the same sockets would wake for each datagram.
fn alone<T>(work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()?.block_on(work)
}

async fn measure_all(rounds: usize) -> Result<Value, Failed> {
    let folder = tempfile::tempdir()?;
    let mut results = serde_json::Map::new();
    for (name, load) in LOADS {
        let mut costs = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (system, costs) in [System::Peerage, System::Libenet]
                .into_iter()
                .zip(&mut costs)
            {
                costs.push(round(system, &folder, load).await?);
            }
        }
        let medians = costs.map(|costs| Cost {
            rate: median(costs.iter().map(|cost| cost.rate)),
            micros: median(costs.iter().map(|cost| cost.micros)),
        });
        let [_, floor] = &medians;
        heading(
            name,
            &[
                "k msgs/s",
                "MB/s",
                "ratio to libenet",
                "CPU us/msg",
                "libenet's CPU to it",
            ],
        );
        let rows = ["peerage", "libenet"].into_iter().zip(&medians).map(|(system, cost)| {
            let (rate, cpu) = (cost.rate / floor.rate, floor.micros / cost.micros);
            let bytes = cost.rate * load.size as f64;
            row(system, &[cost.rate / 1e3, bytes / 1e6, rate, cost.micros, cpu]);
            json!({ "system": system, "messagesPerSecond": cost.rate, "ratio": rate, "cpuMicros": cost.micros })
        });
        results.insert(name.into(), rows.collect());
    }
    Ok(results.into())
}

async fn round(system: System, folder: &TempDir, load: Load) -> Result<Cost, Failed> {
    let server = Server::start(system, folder)?;
    let mut client = Client::connect(server.address, load).await?;
    client.run(WARM_UP).await?;
    let process = server.process.id().to_string();
    let (began, cpu) = (Instant::now(), cpu_of(&process));
    let messages = client.run(MEASURED).await? as f64;
    Ok(Cost {
        rate: messages / began.elapsed().as_secs_f64(),
        micros: (cpu_of(&process) - cpu) * 1e6 / messages.max(1.0),
    })
}

async fn echo_all(address: SocketAddr) -> Result<(), Failed> {
    let mut end = End::at(address).await?;
    println!("ready");
    loop {
        end.turn().await?;
        while let Some(event) = end.host.poll_event() {
            if let Event::Received {
                peer,
                channel,
                packet,
            } = event
            {
                end.host.taken(peer, packet.cost());
                match end.host.send(peer, channel, packet) {
                    Ok(_) | Err(SendError::NoPeer | SendError::NotConnected) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

/// One that echoes, and ends with this.
struct Server {
    process: Child,
    address: SocketAddr,
    /// Whose end would end a program that writes to it.
    _output: BufReader<ChildStdout>,
}

impl Server {
    fn start(system: System, folder: &TempDir) -> Result<Self, Failed> {
        let address = std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = match system {
            System::Peerage => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["enet-echo", &address.to_string()]);
                command
            }
            System::Libenet => {
                let mut command = Command::new(stock(folder)?);
                command.args(["listen", &address.port().to_string(), "2000", "0", "e"]);
                command
            }
        };
        // It hears that it is to end when its input does.
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(process.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let server = Self {
            process,
            address,
            _output: output,
        };
        if line.starts_with("ready") {
            Ok(server)
        } else {
            Err("the echo did not start".into())
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program around libenet.
fn stock(folder: &TempDir) -> Result<std::path::PathBuf, Failed> {
    let program = folder.path().join("stock");
    if !program.exists() {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../enet/stock.c");
        let built = Command::new("cc")
            .args(["-O2", "-o"])
            .arg(&program)
            .args([source, "-lenet"])
            .status()?;
        if !built.success() {
            return Err("cc failed; is libenet-dev there?".into());
        }
    }
    Ok(program)
}

struct Client {
    end: End,
    message: Bytes,
}

impl Client {
    /// Connects all, and has so many messages under way with each.
    async fn connect(address: SocketAddr, load: Load) -> Result<Self, Failed> {
        let mut end = End::at(([127, 0, 0, 1], 0).into()).await?;
        let mut connected: Vec<PeerId> = Vec::new();
        let mut asked = 0;
        while connected.len() < load.peers {
            // Not more at once than a socket's buffer holds.
            while asked < load.peers && asked < connected.len() + 64 {
                end.host.connect(end.began.elapsed(), address, 1, 0)?;
                asked += 1;
            }
            end.turn().await?;
            while let Some(event) = end.host.poll_event() {
                match event {
                    Event::Connected { peer, .. } => connected.push(peer),
                    other => return Err(format!("{other:?}").into()),
                }
            }
        }
        let message = Bytes::from(vec![7; load.size]);
        for peer in connected {
            for _ in 0..load.messages {
                end.host.send(peer, 0, Packet::reliable(message.clone()))?;
            }
        }
        Ok(Self { end, message })
    }

    /// Sends for every message that comes back another; says how many came.
    async fn run(&mut self, time: Duration) -> Result<u64, Failed> {
        let began = Instant::now();
        let mut messages = 0;
        while began.elapsed() < time {
            self.end.turn().await?;
            while let Some(event) = self.end.host.poll_event() {
                match event {
                    Event::Received {
                        peer,
                        channel,
                        packet,
                    } => {
                        messages += 1;
                        self.end.host.taken(peer, packet.cost());
                        let packet = Packet::reliable(self.message.clone());
                        self.end.host.send(peer, channel, packet)?;
                    }
                    Event::Writable { .. } => {}
                    other => return Err(format!("{other:?}").into()),
                }
            }
        }
        Ok(messages)
    }
}

/// A host on a socket.
struct End {
    host: Host,
    socket: UdpSocket,
    began: Instant,
    datagram: Vec<u8>,
    buffer: Vec<u8>,
}

impl End {
    async fn at(address: SocketAddr) -> Result<Self, Failed> {
        Ok(Self {
            host: Host::new(Config::default(), [7; 32]),
            socket: UdpSocket::bind(address).await?,
            began: Instant::now(),
            datagram: Vec::new(),
            buffer: vec![0; 4096],
        })
    }

    /// Sends what there is, waits until something comes, and takes it.
    async fn turn(&mut self) -> Result<(), Failed> {
        let now = self.began.elapsed();
        while let Some(to) = self.host.poll_transmit(now, &mut self.datagram) {
            self.socket.send_to(&self.datagram, to).await?;
        }
        let until = self.host.deadline().unwrap_or(Time::from_secs(3600));
        let wait = until.saturating_sub(self.began.elapsed());
        // Nothing came in time: then something else is due.
        if let Ok(ready) = tokio::time::timeout(wait, self.socket.readable()).await {
            ready?;
        }
        let now = self.began.elapsed();
        for _ in 0..DATAGRAMS_AT_ONCE {
            let Ok((len, from)) = self.socket.try_recv_from(&mut self.buffer) else {
                break;
            };
            self.host.handle_datagram(now, from, &self.buffer[..len]);
        }
        self.host.handle_time(now);
        Ok(())
    }
}
