//! A laboratory of routers that translate addresses (Linux): an internet with a relay, and homes behind routers of
//! every kind there is (RFC 4787). Each home has one machine.
//!
//! ```no_run
//! use peerage_tests::nat::{Internet, Nat};
//!
//! let internet = Internet::new();
//! let home = internet.home(Nat::PortRestricted);
//! home.machine().run("ping -c 1 203.0.113.1");
//! ```

use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::lan::{Host, Lan};
use crate::netem::{Cable, Netem};
use crate::program;

/// Where the relay is.
pub const RELAY: &str = "203.0.113.1";

/// What a router lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// There is no router: the machine has an address of its own.
    None,
    /// Whatever is sent to an address that the machine has used.
    FullCone,
    /// What comes from machines to which this one has sent something from there.
    AddressRestricted,
    /// What comes from the very ports to which it has sent something from there.
    PortRestricted,
    /// The same, and each of them sees another address.
    Symmetric,
    /// As [`Nat::PortRestricted`], and every fifth datagram of UDP is lost, by chance.
    Lossy,
    /// No UDP at all.
    UdpBlocked,
}

impl Nat {
    /// All of those that let UDP pass.
    pub const OPEN: [Self; 5] = [
        Self::None,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::Symmetric,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FullCone => "full cone",
            Self::AddressRestricted => "address",
            Self::PortRestricted => "port",
            Self::Symmetric => "symmetric",
            Self::Lossy => "lossy",
            Self::UdpBlocked => "no UDP",
        }
    }

    /// Whether two machines behind such routers find a way to each other.
    pub fn is_way(self, other: Self) -> bool {
        let is_hard = |nat| matches!(nat, Self::PortRestricted | Self::Lossy | Self::Symmetric);
        match (self, other) {
            (Self::UdpBlocked, _) | (_, Self::UdpBlocked) => false,
            // Who is called from a port that nobody could know has to let in strangers.
            (Self::Symmetric, other) | (other, Self::Symmetric) => !is_hard(other),
            _ => true,
        }
    }

    /// The router's rules. The machine is 10.0.0.2, and has `lan0`; the internet is at `wan0`.
    fn rules(self) -> String {
        // A router answers nobody: what nobody has asked for shall leave no trace.
        let mut rules = String::from(
            "table ip nat {
               set used { type inet_service; flags dynamic,timeout; timeout 60s; }
               set met { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; }
               chain input { type filter hook input priority filter; iifname wan0 drop; }
            ",
        );
        let (learn, admit) = match self {
            Self::FullCone => (
                "add @used { udp sport }",
                "iifname wan0 udp dport @used dnat to 10.0.0.2",
            ),
            Self::AddressRestricted => (
                "add @met { ip daddr . udp sport }",
                "iifname wan0 ip saddr . udp dport @met dnat to 10.0.0.2",
            ),
            _ => ("", ""),
        };
        if !learn.is_empty() {
            let chains = format!(
                "chain learn {{ type filter hook forward priority filter; iifname lan0 meta l4proto udp {learn}; }}
                 chain admit {{ type nat hook prerouting priority dstnat; {admit}; }}
                "
            );
            rules.push_str(&chains);
        }
        if self == Self::Lossy {
            rules.push_str(
                "chain lose { type filter hook forward priority filter; meta l4proto udp numgen random mod 5 0 drop; }\n",
            );
        }
        if self == Self::UdpBlocked {
            rules.push_str(
                "chain block { type filter hook forward priority filter; meta l4proto udp drop; }\n",
            );
        }
        let how = match self {
            Self::Symmetric => "masquerade random,fully-random",
            _ => "masquerade",
        };
        rules.push_str(&format!(
            "chain leave {{ type nat hook postrouting priority srcnat; oifname wan0 {how}; }}\n}}"
        ));
        rules
    }
}

/// The internet: every machine in it reaches every other.
pub struct Internet {
    lan: Lan,
    relay: Host,
    homes: Cell<u8>,
}

/// A machine, and the router before it.
pub struct Home {
    machine: Host,
    router: Option<(Host, Inside)>,
}

/// What joins a machine and its router.
enum Inside {
    Lan { _lan: Lan },
    Cable(Cable),
}

impl Default for Internet {
    fn default() -> Self {
        Self::new()
    }
}

impl Internet {
    /// With the machine of a relay.
    pub fn new() -> Self {
        let (lan, relay) = (Lan::new(), Host::new());
        lan.join(&relay, "eth0", &[&format!("{RELAY}/24")]);
        Self {
            lan,
            relay,
            homes: Cell::new(10),
        }
    }

    /// The relay's machine.
    pub fn relay(&self) -> &Host {
        &self.relay
    }

    /// A machine behind a router of this kind.
    pub fn home(&self, nat: Nat) -> Home {
        let (public, machine) = (self.address(), Host::new());
        if nat == Nat::None {
            self.lan.join(&machine, "eth0", &[&public]);
            // Whatever there is is next door.
            machine.run("ip route add default dev eth0");
            return Home {
                machine,
                router: None,
            };
        }
        let (router, lan) = (self.router(nat, &public), Lan::new());
        lan.join(&router, "lan0", &["10.0.0.1/24"]);
        lan.join(&machine, "eth0", &["10.0.0.2/24"]);
        Self::behind(machine, router, Inside::Lan { _lan: lan })
    }

    /// A machine with such a cable to a router of this kind.
    pub fn home_over(&self, nat: Nat, how: Netem) -> Home {
        let (machine, router) = (Host::new(), self.router(nat, &self.address()));
        let ends = [
            (&machine, "eth0", "10.0.0.2/24"),
            (&router, "lan0", "10.0.0.1/24"),
        ];
        let cable = Cable::between(ends, how);
        Self::behind(machine, router, Inside::Cable(cable))
    }

    fn behind(machine: Host, router: Host, inside: Inside) -> Home {
        machine.run("ip route add default via 10.0.0.1");
        Home {
            machine,
            router: Some((router, inside)),
        }
    }

    /// The next public address.
    fn address(&self) -> String {
        let number = self.homes.get();
        self.homes.set(number + 1);
        format!("203.0.113.{number}/24")
    }

    fn router(&self, nat: Nat, public: &str) -> Host {
        let router = Host::new();
        self.lan.join(&router, "wan0", &[public]);
        router.run(&format!(
            "echo 1 >/proc/sys/net/ipv4/ip_forward; nft -f - <<'RULES'\n{}\nRULES",
            nat.rules()
        ));
        router
    }
}

impl Home {
    /// The machine.
    pub fn machine(&self) -> &Host {
        &self.machine
    }

    /// The cable to its router, if it is one that loses something.
    pub fn cable(&self) -> Option<&Cable> {
        match &self.router {
            Some((_, Inside::Cable(cable))) => Some(cable),
            _ => None,
        }
    }
}

/// A process of the program on a machine, which ends with this.
pub struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Process {
    /// The relay, with this configuration; it listens.
    pub fn relay(internet: &Internet, config: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("relay.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let listen = format!("{RELAY}:7700");
        let args = [
            "relay",
            "--listen",
            &listen,
            "--config",
            file.to_str().unwrap(),
        ];
        let relay = Self::start(internet.relay().command(program()), &args);
        relay.line();
        relay
    }

    /// A peer with a prompt, which is online.
    pub fn peer(home: &Home, name: &str) -> Self {
        let args = ["peer", "--name", name, "--relay", &mesh()];
        let mut peer = Self::start(home.machine().command(program()), &args);
        assert_eq!(peer.ask("echo here"), "here");
        peer
    }

    fn start(mut command: Command, args: &[&str]) -> Self {
        let log = std::env::var("NAT_LOG").unwrap_or_else(|_| "warn".into());
        let mut child = command
            .args(args)
            .env("PEERAGE_LOG", log)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            // A test that has ended needs no more lines.
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| tell.send(line))
        });
        Self {
            child,
            input,
            lines,
        }
    }

    /// The first line that a command comes to.
    pub fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.line()
    }

    /// Types a line.
    pub fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// The next line.
    ///
    /// # Panics
    /// If none comes.
    pub fn line(&self) -> String {
        let line = self.lines.recv_timeout(Duration::from_secs(60));
        line.expect("the program says something")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address by which the relay is called.
pub fn mesh() -> String {
    format!("ws://{RELAY}:7700/mesh")
}
