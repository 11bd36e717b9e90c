//! A laboratory of routers that translate addresses (Linux): an internet with a relay, and homes behind routers of
//! every kind there is (RFC 4787). Each home has one machine.
//!
//!     let internet = Internet::new();
//!     let home = internet.home(Nat::PortRestricted);
//!     home.machine().run("ping -c 1 203.0.113.1");

use std::cell::Cell;

use crate::lan::{Host, Lan};

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
    _router: Option<(Host, Lan)>,
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
        let number = self.homes.get();
        self.homes.set(number + 1);
        let public = format!("203.0.113.{number}/24");
        let machine = Host::new();
        if nat == Nat::None {
            self.lan.join(&machine, "eth0", &[&public]);
            return Home {
                machine,
                _router: None,
            };
        }
        let (router, inside) = (Host::new(), Lan::new());
        self.lan.join(&router, "wan0", &[&public]);
        inside.join(&router, "lan0", &["10.0.0.1/24"]);
        inside.join(&machine, "eth0", &["10.0.0.2/24"]);
        machine.run("ip route add default via 10.0.0.1");
        router.run(&format!(
            "echo 1 >/proc/sys/net/ipv4/ip_forward; nft -f - <<'RULES'\n{}\nRULES",
            nat.rules()
        ));
        Home {
            machine,
            _router: Some((router, inside)),
        }
    }
}

impl Home {
    /// The machine.
    pub fn machine(&self) -> &Host {
        &self.machine
    }
}
