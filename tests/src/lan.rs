//! Networks of hosts on this machine (Linux): each host a network namespace with a `/run` and a resolver of its own, each
//! [`Lan`] a switch that joins hosts. All of it goes with the test, however that ends. It takes root, or what
//! `cargo xtask isolate` gives instead.
//!
//! ```no_run
//! use peerage_tests::lan::{Host, Lan};
//! let lan = Lan::new();
//! let (a, b) = (Host::new(), Host::new());
//! lan.join(&a, "eth0", &["10.1.0.1/24"]);
//! lan.join(&b, "eth0", &["10.1.0.2/24"]);
//! a.run("ping -c 1 10.1.0.2");
//! ```

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Browsers;

/// What makes a host, and tells by a line that it is there. It lives until its input ends, which is when the test does.
const HOLD: &str = r"
set -e
PATH=$PATH:/usr/sbin:/sbin
mount -t tmpfs run /run
ip link set lo up
# An address counts at once, and not after somebody was asked whether it is his.
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
echo here
exec cat
";

/// A machine of its own, which no cable leads to yet.
pub struct Host {
    /// Holds the namespaces. They go with it, once no thread of the test is in them.
    holder: Child,
    network: Network,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A host with loopback alone.
    ///
    /// # Panics
    /// If the system does not let us.
    pub fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["-n", "-m", "sh", "-c", HOLD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(holder.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "here\n", "a host cannot be made");
        let network = File::open(format!("/proc/{}/ns/net", holder.id())).unwrap();
        let network = Network(Arc::new(network));
        Self { holder, network }
    }

    /// The process that has its network.
    pub(crate) fn id(&self) -> u32 {
        self.holder.id()
    }

    /// Its network, for what this process does there.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Browsers here. They have addresses of the network as those of any user have: hidden behind names of mDNS.
    pub async fn browsers(&self) -> Browsers {
        let network = self.network.clone();
        let reach = move |address: &str| {
            let address = address.to_owned();
            network.run(|| TcpStream::connect(address))
        };
        Browsers::launch(self.command("chromedriver"), Arc::new(reach), &[]).await
    }

    /// A program to be run here. Its working folder is the root.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.id().to_string();
        command.args(["-t", &target, "-n", "-m", "--"]).arg(program);
        command
    }

    /// What a line of the shell prints here.
    ///
    /// # Panics
    /// If it fails.
    pub fn run(&self, line: &str) -> String {
        String::from_utf8(self.output(line)).unwrap()
    }

    /// As [`Host::run`], of a line that prints any bytes.
    ///
    /// # Panics
    /// If it fails.
    pub fn output(&self, line: &str) -> Vec<u8> {
        let output = self.shell(line).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {complaint}");
        output.stdout
    }

    /// A line of the shell that goes on here until it is done, or what this returns is dropped.
    pub fn start(&self, line: &str) -> Running {
        // The shell makes way, so that to end it is to end what runs.
        let line = format!("exec {line}");
        Running(self.shell(&line).stdin(Stdio::null()).spawn().unwrap())
    }

    /// Names are asked for at this address.
    pub fn resolves_at(&self, address: &str) {
        self.run(&format!(
            "echo nameserver {address} >/run/resolv.conf; mount --bind /run/resolv.conf /etc/resolv.conf"
        ));
    }

    /// Its address by which IPv6 neighbours know it, with the interface: `fe80::1%eth0`.
    pub fn link_local(&self, interface: &str) -> String {
        let told = self.run(&format!("ip -6 -o addr show dev {interface} scope link"));
        let words = told.split_whitespace();
        let address = words.skip_while(|word| *word != "inet6").nth(1).unwrap();
        let (address, _) = address.split_once('/').unwrap();
        format!("{address}%{interface}")
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = self.command("sh");
        command.args(["-c", &format!("PATH=$PATH:/usr/sbin:/sbin; {line}")]);
        command
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// The network of a host; clones are the same.
#[derive(Clone)]
pub struct Network(Arc<File>);

impl Network {
    /// Moves this thread there, with all that it opens and starts from now on.
    ///
    /// # Panics
    /// If the system does not let us.
    pub fn enter(&self) {
        move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// Does this on a thread of its own there.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let network = self.clone();
        std::thread::spawn(move || {
            network.enter();
            work()
        })
    }

    /// Does this there, and waits for what comes of it.
    ///
    /// # Panics
    /// If that does.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.spawn(work).join().unwrap()
    }

    /// A listener there.
    ///
    /// # Panics
    /// If the address cannot be bound.
    pub fn listen(&self, address: &str) -> tokio::net::TcpListener {
        let address = address.to_owned();
        let listener = self.run(|| TcpListener::bind(address)).unwrap();
        listener.set_nonblocking(true).unwrap();
        tokio::net::TcpListener::from_std(listener).unwrap()
    }
}

/// A process on a host, which ends with this.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A switch, and the cables to it.
pub struct Lan {
    switch: Host,
    cables: Cell<u32>,
}

impl Default for Lan {
    fn default() -> Self {
        Self::new()
    }
}

impl Lan {
    /// A switch with no host.
    pub fn new() -> Self {
        let switch = Host::new();
        // The switch only passes on: it is no host of this network.
        switch.run(
            "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; ip link add switch type bridge mcast_snooping 0; ip link set switch up",
        );
        Self {
            switch,
            cables: Cell::new(0),
        }
    }

    /// Joins a host to it, by an interface of this name with these addresses, such as `10.1.0.1/24`. One of IPv6 for
    /// neighbours it has by itself.
    pub fn join(&self, host: &Host, interface: &str, addresses: &[&str]) {
        let cable = self.cables.get();
        self.cables.set(cable + 1);
        let target = host.id();
        self.switch.run(&format!(
            "ip link add cable{cable} type veth peer name {interface} netns {target}; ip link set cable{cable} master switch up"
        ));
        for address in addresses {
            host.run(&format!("ip addr add {address} dev {interface}"));
        }
        // The system takes a moment to see that the cable is in.
        host.run(&format!(
            "ip link set {interface} up; for n in $(seq 200); do ip -6 addr show dev {interface} | grep -q fe80 && exit; sleep 0.02; done; exit 1"
        ));
    }

    /// Takes the cable off that was the `nth` to be joined, with the host's interface.
    pub fn unplug(&self, nth: u32) {
        self.switch.run(&format!("ip link del cable{nth}"));
    }
}
