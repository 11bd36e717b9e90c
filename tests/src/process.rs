//! Processes of the program `peerage`.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write, stderr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::until;

/// What programs log that run to their end: the steps of commands, and what is amiss.
const LOG: &str = "warn,peerage::command=info";
/// What peers log: also that they are online.
const PEER_LOG: &str = "warn,peerage::command=info,peerage::discovery=info";

/// A relay process, which ends with this.
pub struct Relay {
    process: Child,
    /// Address and port.
    pub address: String,
    said: BufReader<ChildStdout>,
}

impl Relay {
    /// Starts a relay at `address`; port 0 is any that is free.
    pub fn start(address: &str) -> Self {
        Self::with(&["--listen", address])
    }

    /// Starts one of this name that is no primary, and calls one of `others`; waits until it is online.
    pub async fn below(others: &[&Self], name: &str) -> Self {
        let others: Vec<_> = others.iter().map(|other| other.mesh()).collect();
        let mut args = vec!["--listen", "127.0.0.1:0", "--name", name];
        for other in &others {
            args.extend(["--relay", other]);
        }
        let relay = Self::with(&args);
        relay.until_here("relay", true).await;
        relay
    }

    /// Starts one at an address with this configuration file, which stays where it is.
    pub fn at(address: &str, config: &std::path::Path) -> Self {
        Self::with(&["--listen", address, "--config", config.to_str().unwrap()])
    }

    /// Starts one with a configuration file that says this.
    pub fn configured(config: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("relay.json");
        std::fs::write(&file, config.to_string()).unwrap();
        Self::with(&[
            "--listen",
            "127.0.0.1:0",
            "--config",
            file.to_str().unwrap(),
        ])
    }

    fn with(args: &[&str]) -> Self {
        let mut process = Command::new(program())
            .arg("relay")
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let address = address_in(&mut said);
        Self {
            process,
            address,
            said,
        }
    }

    /// Where it speaks ENet, address and port. To be asked once.
    pub fn enet(&mut self) -> String {
        address_in(&mut self.said)
    }

    /// Where adapters connect, address and port. To be asked once.
    pub fn adapters(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.said.read_line(&mut line).unwrap() > 0,
                "it speaks with no adapters"
            );
            if let Some(address) = line.strip_prefix("Adapters are at tcp://") {
                return address.trim().to_owned();
            }
        }
    }

    /// Where it speaks MQTT, address and port. To be asked once, and after [`Relay::enet`].
    pub fn mqtt(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.said.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "the relay says where it speaks MQTT");
            if let Some(address) = line.trim().split("mqtt://").nth(1) {
                return address.to_owned();
            }
        }
    }

    /// Its process, as the system counts them.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The mesh socket's address.
    pub fn mesh(&self) -> String {
        format!("ws://{}/mesh", self.address)
    }

    /// The console's address, for a tab that wants this name.
    pub fn console(&self, name: &str) -> String {
        self.page(&format!("?name={name}"))
    }

    /// The address of a page beside the console.
    pub fn page(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Ends the process without a word.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Tells the process to end in good order, as a service manager does.
    pub fn terminate(&self) {
        let id = self.process.id().to_string();
        let told = Command::new("kill").args(["-s", "TERM", &id]).status();
        assert!(told.unwrap().success());
    }

    /// Status and body of what it answers to a GET with these headers.
    pub async fn get(&self, path: &str, headers: &str) -> (u16, String) {
        let mut socket = TcpStream::connect(&self.address).await.unwrap();
        let host = &self.address;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// A number of its `/metrics`.
    pub async fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.get("/metrics", "").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.unwrap_or_else(|| panic!("no {name} in {text}"));
        value.trim().parse().unwrap()
    }

    /// How many bytes it has forwarded.
    pub async fn forwarded_bytes(&self) -> u64 {
        self.metric("peerage_forwarded_bytes_total").await
    }

    /// Waits until a node of this name is here, or is not.
    pub async fn until_here(&self, name: &str, here: bool) {
        let quoted = format!("\"name\":\"{name}\"");
        until(&format!("{name} is here: {here}"), async || {
            self.get("/api/v1/nodes", "").await.1.contains(&quoted) == here
        })
        .await;
    }

    /// The most memory that the process has held so far, in bytes (Linux).
    pub fn peak_bytes(&self) -> u64 {
        let file = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(file).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }

    /// Runs one command by a peer of its own: `peerage peer -c COMMAND`.
    pub async fn run(&self, command: &str, options: &[&str]) -> Ran {
        let mesh = self.mesh();
        let mut args = vec!["peer", "-c", command];
        args.extend(options);
        if !options.contains(&"--relay") {
            args.extend(["--relay", &mesh]);
        }
        Ran::of(&args).await
    }
}

/// The address in the next line that a relay says.
fn address_in(said: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address = line.trim().split('/').nth(2);
    address.expect("the relay says where it is").to_owned()
}

impl Drop for Relay {
    fn drop(&mut self) {
        ended(&mut self.process);
    }
}

/// Ends a process without a word, unless that was done already.
pub(crate) fn ended(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}

/// What came of a process of the program.
#[derive(Debug)]
pub struct Ran {
    /// Exit status.
    pub status: i32,
    /// Standard output, without the last line feed.
    pub output: String,
    /// Standard error: complaints and the log.
    pub complaint: String,
}

impl Ran {
    /// Runs the program to its end.
    pub async fn of(args: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.args(args);
        Self::of_command(command).await
    }

    /// Runs a command to its end.
    pub async fn of_command(mut command: Command) -> Self {
        command.env("PEERAGE_LOG", LOG);
        let ran = tokio::task::spawn_blocking(move || command.output()).await;
        let output = ran.unwrap().unwrap();
        Self {
            status: output.status.code().unwrap(),
            output: String::from_utf8(output.stdout).unwrap().trim_end().into(),
            complaint: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A peer with a prompt, which leaves when this is dropped.
pub struct Peer {
    process: Child,
    prompt: Option<ChildStdin>,
    folder: TempDir,
}

impl Peer {
    /// Starts a peer of this name, with this configuration, and waits until it knows that it is in the mesh.
    /// The relay knows it a little earlier; a peer that loses it in between ends, for it has never joined.
    pub async fn start(relay: &Relay, name: &str, config: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("peer.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut process = Command::new(program())
            .args(["peer", "--name", name, "--relay", &relay.mesh(), "--config"])
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .env("PEERAGE_LOG", PEER_LOG)
            .spawn()
            .unwrap();
        let prompt = process.stdin.take();
        let peer = Self {
            process,
            prompt,
            folder,
        };
        until(&format!("{name} is online"), async || {
            peer.log().contains(" online ")
        })
        .await;
        peer
    }

    /// The mesh socket at which it lets others in, as it has said.
    pub async fn mesh(&self) -> String {
        let address = || {
            let log = self.log();
            let said = log
                .lines()
                .find_map(|line| line.strip_prefix("others may call "));
            said.map(str::to_owned)
        };
        until("the peer says where it listens", async || {
            address().is_some()
        })
        .await;
        address().expect("it was there")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Ends the prompt's input, at which the peer leaves; its exit status.
    pub fn leave(mut self) -> i32 {
        self.prompt = None;
        self.process.wait().unwrap().code().unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Its part in what went wrong.
            let status = self.process.try_wait();
            let _ = writeln!(stderr(), "a peer, {status:?}, has said:\n{}", self.log());
        }
        ended(&mut self.process);
    }
}

/// The program `peerage`.
///
/// # Panics
/// If nobody says where it is.
pub fn program() -> OsString {
    std::env::var_os("PEERAGE_BIN").expect("run this by `cargo xtask test`")
}
