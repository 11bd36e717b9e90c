//! A UDP socket that tells at which of this machine's addresses a datagram came in, and sends from the one
//! that it is told: ICE and TURN need both where a socket is bound to all of them.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Buffers that are filled in one go; each holds one datagram, or many of one sender.
const BATCH: usize = 4;
const BUFFER_BYTES: usize = 64 * 1024;
/// What the system keeps for the socket while the task is busy.
const SYSTEM_BUFFER_BYTES: usize = 1024 * 1024;

/// A bound socket.
pub(crate) struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
}

/// What came, and room for it.
pub(crate) struct Received {
    buffers: Vec<Vec<u8>>,
    metas: [RecvMeta; BATCH],
    count: usize,
}

/// One datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    pub(crate) from: SocketAddr,
    /// Where it came in: this end of the way.
    pub(crate) at: SocketAddr,
    pub(crate) bytes: &'a [u8],
}

impl Socket {
    /// Binds an address; that of all interfaces takes IPv4 as well as IPv6 if it is the latter's.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
            socket.set_only_v6(false)?;
        }
        // The system may grant less.
        let _ = socket.set_recv_buffer_size(SYSTEM_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(SYSTEM_BUFFER_BYTES);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            state,
            address,
        })
    }

    /// Where it is bound.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for datagrams.
    pub(crate) async fn receive(&self, received: &mut Received) -> io::Result<()> {
        received.count = 0;
        let Received { buffers, metas, .. } = received;
        let mut slices = Vec::from_iter(buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)));
        let receive = || {
            let socket = UdpSockRef::from(&self.socket);
            self.state.recv(socket, &mut slices, metas)
        };
        received.count = self.socket.async_io(Interest::READABLE, receive).await?;
        Ok(())
    }

    /// Sends a datagram, once the system takes it. One that cannot be sent is as good as lost on its way.
    pub(crate) async fn send(&self, from: IpAddr, to: SocketAddr, bytes: &[u8]) {
        let transmit = self.transmit(from, to, bytes);
        let send = || {
            let socket = UdpSockRef::from(&self.socket);
            self.state.try_send(socket, &transmit)
        };
        if let Err(error) = self.socket.async_io(Interest::WRITABLE, send).await {
            tracing::trace!(target: peerage::log::CONNECTION, %error, "a datagram is not sent");
        }
    }

    fn transmit<'a>(&self, from: IpAddr, to: SocketAddr, contents: &'a [u8]) -> Transmit<'a> {
        let source = SocketAddr::new(from, 0);
        Transmit {
            destination: self.outward(to),
            ecn: None,
            contents,
            segment_size: None,
            src_ip: (!from.is_unspecified()).then(|| self.outward(source).ip()),
        }
    }

    /// An address as the socket's family has it.
    fn outward(&self, address: SocketAddr) -> SocketAddr {
        match address.ip() {
            IpAddr::V4(ip) if self.address.is_ipv6() => {
                SocketAddr::new(ip.to_ipv6_mapped().into(), address.port())
            }
            _ => address,
        }
    }
}

/// An address as it is, without what a socket of IPv6 makes of one of IPv4.
fn inward(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl Received {
    pub(crate) fn new() -> Self {
        Self {
            buffers: vec![vec![0; BUFFER_BYTES]; BATCH],
            metas: [RecvMeta::default(); BATCH],
            count: 0,
        }
    }

    /// The datagrams, which came in at a socket that is bound there.
    pub(crate) fn datagrams(&self, bound: SocketAddr) -> impl Iterator<Item = Datagram<'_>> {
        let whole = self.buffers.iter().zip(&self.metas);
        whole.take(self.count).flat_map(move |(buffer, meta)| {
            let ip = meta.dst_ip.unwrap_or(bound.ip()).to_canonical();
            let (from, at) = (inward(meta.addr), SocketAddr::new(ip, bound.port()));
            let pieces = buffer[..meta.len].chunks(meta.stride.max(1));
            pieces.map(move |bytes| Datagram { from, at, bytes })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn exchange(bound: &str, there: &str) {
        let server = Socket::bind(bound.parse().unwrap()).unwrap();
        let caller = UdpSocket::bind(there).await.unwrap();
        let ip = caller.local_addr().unwrap().ip();
        let at = SocketAddr::new(ip, server.address().port());
        caller.send_to(b"question", at).await.unwrap();
        let mut received = Received::new();
        server.receive(&mut received).await.unwrap();
        let datagrams = Vec::from_iter(received.datagrams(server.address()));
        let [datagram] = datagrams[..] else {
            panic!("{datagrams:?}")
        };
        assert_eq!(datagram.bytes, b"question");
        assert_eq!(
            (datagram.from, datagram.at),
            (caller.local_addr().unwrap(), at)
        );
        server
            .send(datagram.at.ip(), datagram.from, b"answer")
            .await;
        let mut buffer = [0; 20];
        let (len, from) = caller.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..len], from), (&b"answer"[..], at));
    }

    #[tokio::test]
    async fn it_knows_at_which_address_a_datagram_came_in_and_answers_from_there() {
        exchange("127.0.0.1:0", "127.0.0.1:0").await;
        exchange("0.0.0.0:0", "127.0.0.2:0").await;
    }
}
