//! The servers that are measured, each a process of its own, and what it costs.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Clock ticks a second in `/proc`: the same on every Linux that we know.
const TICKS: f64 = 100.0;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// This project's relay.
    Peerage,
    /// The floor of our own stack: axum, a map and a queue.
    Axum,
    /// nats-server, over WebSocket.
    Nats,
    /// Mosquitto, MQTT 3.1.1 over WebSocket, quality of service 0.
    Mosquitto,
}

impl System {
    pub(crate) const ALL: [Self; 4] = [Self::Peerage, Self::Axum, Self::Nats, Self::Mosquitto];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Peerage => "peerage",
            Self::Axum => "axum",
            Self::Nats => "nats ws",
            Self::Mosquitto => "mosquitto ws",
        }
    }
}

/// A server that runs, and ends with this.
pub(crate) struct Server {
    pub(crate) system: System,
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    relay: PathBuf,
    process: Child,
    _folder: TempDir,
}

impl Server {
    /// Starts one at any free port. `relay` is the program `peerage`.
    pub(crate) fn start(system: System, relay: &Path) -> std::io::Result<Self> {
        let address = free_address()?;
        Self::start_at(system, relay, address)
    }

    fn start_at(system: System, relay: &Path, address: SocketAddr) -> std::io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = match system {
            System::Peerage => {
                let mut command = Command::new(relay);
                command.args(["relay", "--listen", &address.to_string()]);
                command
            }
            System::Axum => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["forwarder", &address.to_string()]);
                command
            }
            System::Nats => {
                let file = folder.path().join("nats.conf");
                let port = free_address()?.port();
                let config = format!(
                    "listen: 127.0.0.1:{port}\nmax_connections: 100000\n\
                     websocket {{ listen: \"{address}\", no_tls: true }}\n"
                );
                std::fs::write(&file, config)?;
                let mut command = Command::new("nats-server");
                command.arg("-c").arg(file).stderr(Stdio::null());
                command
            }
            System::Mosquitto => {
                let file = folder.path().join("mosquitto.conf");
                let (host, port) = (address.ip(), address.port());
                // Without a plain one it opens no other.
                let plain = free_address()?.port();
                let config = format!(
                    "listener {plain} {host}\nlistener {port} {host}\nprotocol websockets\nallow_anonymous true\n\
                     set_tcp_nodelay true\nmax_queued_messages 0\nlog_dest none\n"
                );
                std::fs::write(&file, config)?;
                let mut command = Command::new("mosquitto");
                command.arg("-c").arg(file).stderr(Stdio::null());
                // Debian keeps it where users do not look.
                let path = std::env::var("PATH").unwrap_or_default();
                command.env("PATH", format!("{path}:/usr/sbin"));
                command
            }
        };
        let process = command.stdout(Stdio::piped()).spawn()?;
        let path = match system {
            System::Peerage | System::Axum => "/mesh",
            System::Nats | System::Mosquitto => "/",
        };
        let server = Self {
            system,
            url: format!("ws://{address}{path}"),
            address,
            relay: relay.to_owned(),
            process,
            _folder: folder,
        };
        server.until_up()?;
        Ok(server)
    }

    /// Ends it without a word, and starts it again at the same address.
    pub(crate) fn restart(self) -> std::io::Result<Self> {
        let (system, address, relay) = (self.system, self.address, self.relay.clone());
        drop(self);
        Self::start_at(system, &relay, address)
    }

    fn until_up(&self) -> std::io::Result<()> {
        let start = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if start.elapsed() > Duration::from_secs(10) {
                let message = format!("{} does not listen", self.system.name());
                return Err(std::io::Error::other(message));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Seconds of processor time so far.
    pub(crate) fn cpu(&self) -> f64 {
        cpu_of(&self.process.id().to_string())
    }

    /// Bytes of memory that it holds now.
    pub(crate) fn memory(&self) -> f64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kib.unwrap_or(0.0) * 1024.0
    }
}

/// Seconds of processor time that a process has had, by its number or as `self`.
pub(crate) fn cpu_of(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<_> = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let ticks = |n: usize| {
        fields
            .get(n)
            .and_then(|f| f.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / TICKS
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(output) = self.process.stdout.take() {
            BufReader::new(output).lines().for_each(drop);
        }
    }
}

pub(crate) fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
