//! Processes of `peerage adapter`, and lines that are cut under them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use peerage::{Config, Kind};
use peerage_relay::Node;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::process::{ended, program};
use crate::until;

/// An adapter process, which ends with this.
pub struct Adapter {
    process: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Adapter {
    /// Starts `peerage adapter` with these arguments.
    pub fn start(args: &[&str]) -> Self {
        let mut process = Command::new(program())
            .arg("adapter")
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (said, from) = (
            Arc::default(),
            BufReader::new(process.stdout.take().unwrap()),
        );
        let heard: Arc<Mutex<Vec<String>>> = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in from.lines().map_while(Result::ok) {
                heard.lock().unwrap().push(line);
            }
        });
        Self { process, said }
    }

    /// What it has said so far: a line for each of its states.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Waits until the last that it has said begins so.
    pub async fn until_said(&self, beginning: &str) {
        until(&format!("the adapter says {beginning}"), async || {
            self.said()
                .last()
                .is_some_and(|line| line.starts_with(beginning))
        })
        .await;
    }

    /// Its process, as the system counts them.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends the process without a word.
    pub fn kill(&mut self) {
        ended(&mut self.process);
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A way to an address that can be cut at any moment.
pub struct Way {
    /// Where it begins, address and port.
    pub address: String,
    /// How often it was cut, and whether it leads anywhere.
    state: watch::Sender<(u64, bool)>,
}

impl Way {
    /// A way to an address.
    pub async fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let from = listener.local_addr().unwrap().to_string();
        let state = watch::Sender::new((0, true));
        let (told, address) = (state.clone(), address.to_owned());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (address, mut told) = (address.clone(), told.subscribe());
                if !told.borrow_and_update().1 {
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(address).await else {
                        return;
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = told.changed() => {}
                    }
                });
            }
        });
        let address = from;
        Self { address, state }
    }

    /// Cuts all that goes along it now.
    pub fn cut(&self) {
        self.state.send_modify(|(cuts, _)| *cuts += 1);
    }

    /// Cuts it, and lets nobody along it, or somebody again.
    pub fn open(&self, is_open: bool) {
        self.state.send_modify(|state| state.1 = is_open);
    }

    /// A node of this name, online by this way.
    pub async fn join(&self, name: &str) -> Node {
        let config = Config::new(Kind::Native).named(name.parse().unwrap());
        let mesh = format!("ws://{}/mesh", self.address);
        Node::join(config, vec![mesh.parse().unwrap()])
            .await
            .unwrap()
    }
}
