//! The networks that this machine is in, and how to speak to all of each at once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use if_addrs::IfAddr;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

/// To whom announcements go in IPv4, beside the network's broadcast address: of those that no router passes on.
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 80, 69);
/// To whom they go in IPv6, on the link.
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0x7065, 0x6572);

/// One address of this machine, and the network that it is in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Network {
    /// The interface's name.
    pub(super) interface: String,
    pub(super) index: u32,
    pub(super) ip: IpAddr,
    prefix: u8,
}

impl Network {
    /// All that lead beyond this machine.
    pub(super) fn all() -> Vec<Self> {
        let all = if_addrs::get_if_addrs().unwrap_or_else(|error| {
            tracing::warn!(target: peerage::log::ERROR, %error, "the interfaces are not known");
            Vec::new()
        });
        let beyond = all.into_iter().filter(|interface| !interface.is_loopback());
        let networks = beyond.map(|interface| {
            let prefix = match &interface.addr {
                IfAddr::V4(v4) => v4.prefixlen,
                IfAddr::V6(v6) => v6.prefixlen,
            };
            Self {
                ip: interface.ip(),
                index: interface.index.unwrap_or_default(),
                interface: interface.name,
                prefix,
            }
        });
        networks.collect()
    }

    /// Whether somebody is in it.
    pub(super) fn holds(&self, other: SocketAddr) -> bool {
        match (self.ip, other) {
            (IpAddr::V4(own), SocketAddr::V4(other)) => {
                let mask = mask_v4(self.prefix);
                own.to_bits() & mask == other.ip().to_bits() & mask
            }
            (IpAddr::V6(own), SocketAddr::V6(other)) => {
                let on_link = own.is_unicast_link_local();
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix))
                    .unwrap_or(0);
                own.to_bits() & mask == other.ip().to_bits() & mask
                    && (!on_link || other.scope_id() == self.index)
            }
            _ => false,
        }
    }

    /// The groups that are the whole network.
    fn everyone(&self, port: u16) -> Vec<SocketAddr> {
        match self.ip {
            IpAddr::V4(own) => {
                // The system may not say what the broadcast address is.
                let last = Ipv4Addr::from_bits(own.to_bits() | !mask_v4(self.prefix));
                let broadcast = (self.prefix < 31).then_some(last);
                let groups = broadcast.into_iter().chain([GROUP_V4]);
                groups.map(|group| (group, port).into()).collect()
            }
            IpAddr::V6(_) => vec![SocketAddrV6::new(GROUP_V6, port, 0, self.index).into()],
        }
    }
}

/// A socket that speaks as one of this machine's addresses.
pub(super) struct Speaker {
    pub(super) network: Network,
    pub(super) socket: UdpSocket,
}

impl Speaker {
    pub(super) fn open(network: Network) -> io::Result<Self> {
        let at: SocketAddr = match network.ip {
            IpAddr::V4(ip) => (ip, 0).into(),
            IpAddr::V6(ip) => {
                let on_link = ip.is_unicast_link_local();
                SocketAddrV6::new(ip, 0, 0, if on_link { network.index } else { 0 }).into()
            }
        };
        let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
        match network.ip {
            IpAddr::V4(ip) => {
                socket.set_broadcast(true)?;
                socket.set_multicast_if_v4(&ip)?;
            }
            IpAddr::V6(_) => socket.set_multicast_if_v6(network.index)?,
        }
        socket.set_nonblocking(true)?;
        socket.bind(&at.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self { network, socket })
    }

    /// Tells the whole network.
    pub(super) fn tell_all(&self, port: u16, datagram: &[u8]) {
        for group in self.network.everyone(port) {
            self.tell(group, datagram);
        }
    }

    /// Tells one. A datagram may be lost in any case.
    pub(super) fn tell(&self, to: SocketAddr, datagram: &[u8]) {
        send(&self.socket, to, datagram);
    }
}

/// Sends now or never: tokio does not yet know whether a new socket can be written to, the system does.
fn send(socket: &UdpSocket, to: SocketAddr, datagram: &[u8]) {
    if let Err(error) = SockRef::from(socket).send_to(datagram, &to.into()) {
        tracing::trace!(target: peerage::log::DISCOVERY, %to, %error, "not sent");
    }
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

/// A socket that hears what is said to everyone at a port, beside other programs that do.
pub(super) struct Listener {
    socket: UdpSocket,
    is_v6: bool,
}

impl Listener {
    pub(super) fn open(is_v6: bool, port: u16) -> io::Result<Self> {
        let (domain, any): (_, IpAddr) = match is_v6 {
            true => (Domain::IPV6, Ipv6Addr::UNSPECIFIED.into()),
            false => (Domain::IPV4, Ipv4Addr::UNSPECIFIED.into()),
        };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        if is_v6 {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((any, port)).into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self { socket, is_v6 })
    }

    /// Hears what is said to everyone in a network, if it does not yet.
    pub(super) fn join(&self, network: &Network) {
        let socket = SockRef::from(&self.socket);
        // It may have joined already, or the network have no groups.
        let _ = match network.ip {
            IpAddr::V4(ip) if !self.is_v6 => socket.join_multicast_v4(&GROUP_V4, &ip),
            IpAddr::V6(_) if self.is_v6 => socket.join_multicast_v6(&GROUP_V6, network.index),
            _ => Ok(()),
        };
    }

    pub(super) fn tell(&self, to: SocketAddr, datagram: &[u8]) {
        send(&self.socket, to, datagram);
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(ip: &str, prefix: u8) -> Network {
        Network {
            interface: "eth0".into(),
            index: 3,
            ip: ip.parse().unwrap(),
            prefix,
        }
    }

    #[test]
    fn a_network_holds_its_neighbours_and_nobody_else() {
        let holds = |ip, prefix, other: &str| network(ip, prefix).holds(other.parse().unwrap());
        assert!(holds("10.1.0.1", 24, "10.1.0.200:9"));
        assert!(!holds("10.1.0.1", 24, "10.1.1.1:9"));
        assert!(holds("10.1.0.1", 0, "8.8.8.8:9") && !holds("10.1.0.1", 32, "10.1.0.2:9"));
        assert!(holds("fd00::1", 64, "[fd00::2]:9") && !holds("fd00::1", 64, "[fd01::2]:9"));
        assert!(holds("fe80::1", 64, "[fe80::2%3]:9") && !holds("fe80::1", 64, "[fe80::2%4]:9"));
        assert!(!holds("10.1.0.1", 0, "[fd00::2]:9"));
    }

    #[test]
    fn everyone_is_the_broadcast_address_and_a_group() {
        let everyone = |ip, prefix| {
            let all = network(ip, prefix).everyone(9);
            all.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            everyone("10.1.2.3", 16),
            ["10.1.255.255:9", "239.255.80.69:9"]
        );
        assert_eq!(everyone("10.1.2.3", 31), ["239.255.80.69:9"]);
        assert_eq!(everyone("fe80::1", 64), ["[ff12::7065:6572%3]:9"]);
    }
}
