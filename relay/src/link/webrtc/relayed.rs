//! The ports of allocations: each a socket with a task that reads it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use peerage::limits::{TURN_ALLOCATIONS_MAX, TURN_DATAGRAMS_MAX};
use rustix::process::{Resource, getrlimit};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::link::webrtc::Socket;
use crate::stun::{AllocationId, Client, FromPeer, Outside};

/// Bytes of a datagram that an allocation takes; more would not leave by one of ours.
const DATAGRAM_BYTES_MAX: usize = 2048;
/// Of the descriptors that the system gives this process, allocations have one in so many.
const DESCRIPTORS_SHARE: u64 = 4;
/// After an error a port is read again.
const PAUSE: Duration = Duration::from_millis(10);

/// The ports, and answers that have not left.
pub(super) struct Relayed {
    ports: HashMap<AllocationId, Port>,
    answers: Vec<(Client, Vec<u8>)>,
    tell: mpsc::Sender<FromPeer>,
    heard: mpsc::Receiver<FromPeer>,
}

struct Port {
    socket: Arc<UdpSocket>,
    reader: JoinHandle<()>,
}

/// How many allocations this process can have, each of which is a socket, and still let others in.
pub(crate) fn allocations_max() -> usize {
    within(getrlimit(Resource::Nofile).current)
}

fn within(descriptors: Option<u64>) -> usize {
    let share = descriptors.map(|most| usize::try_from(most / DESCRIPTORS_SHARE));
    share.map_or(TURN_ALLOCATIONS_MAX, |share| {
        share.unwrap_or(usize::MAX).min(TURN_ALLOCATIONS_MAX)
    })
}

impl Relayed {
    pub(super) fn new() -> Self {
        let (tell, heard) = mpsc::channel(TURN_DATAGRAMS_MAX);
        Self {
            ports: HashMap::new(),
            answers: Vec::new(),
            tell,
            heard,
        }
    }

    /// The next datagram for an allocation.
    pub(super) async fn next(&mut self) -> FromPeer {
        match self.heard.recv().await {
            Some(heard) => heard,
            // It has a sender of its own.
            None => std::future::pending().await,
        }
    }

    /// Sends the answers.
    pub(super) async fn answer_all(&mut self, socket: &Socket) {
        for (client, bytes) in self.answers.drain(..) {
            socket.send(client.at.ip(), client.from, &bytes).await;
        }
    }
}

impl Outside for Relayed {
    fn answer(&mut self, client: Client, bytes: Vec<u8>) {
        self.answers.push((client, bytes));
    }

    fn here(&self) -> Vec<IpAddr> {
        // Without them there are those at which somebody has asked.
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        interfaces.iter().map(if_addrs::Interface::ip).collect()
    }

    fn open(&mut self, allocation: AllocationId, at: IpAddr) -> io::Result<SocketAddr> {
        let socket = std::net::UdpSocket::bind(SocketAddr::new(at, 0))?;
        socket.set_nonblocking(true)?;
        let socket = Arc::new(UdpSocket::from_std(socket)?);
        let address = socket.local_addr()?;
        let reading = read(allocation, Arc::clone(&socket), self.tell.clone());
        let reader = tokio::spawn(reading);
        self.ports.insert(allocation, Port { socket, reader });
        Ok(address)
    }

    fn send(&mut self, allocation: AllocationId, to: SocketAddr, bytes: &[u8]) {
        if let Some(port) = self.ports.get(&allocation) {
            // What the system does not take now is as good as lost on its way.
            let _ = port.socket.try_send_to(bytes, to);
        }
    }

    fn close(&mut self, allocation: AllocationId) {
        self.ports.remove(&allocation);
    }
}

async fn read(allocation: AllocationId, socket: Arc<UdpSocket>, tell: mpsc::Sender<FromPeer>) {
    // One byte more shows which are longer: what is cut is none of what was sent.
    let mut buffer = [0; DATAGRAM_BYTES_MAX + 1];
    loop {
        let Ok((len, from)) = socket.recv_from(&mut buffer).await else {
            // What the network has told of a datagram that left.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if len > DATAGRAM_BYTES_MAX {
            continue;
        }
        let heard = FromPeer {
            allocation,
            from,
            bytes: buffer[..len].to_vec(),
        };
        if tell.send(heard).await.is_err() {
            return;
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_leave_most_descriptors_to_others() {
        assert_eq!(within(Some(1024)), 256);
        assert_eq!(within(Some(1_048_576)), TURN_ALLOCATIONS_MAX);
        assert_eq!(within(None), TURN_ALLOCATIONS_MAX, "there is no limit");
        assert!((1..=TURN_ALLOCATIONS_MAX).contains(&allocations_max()));
    }

    #[tokio::test]
    async fn what_is_too_long_is_dropped_and_not_passed_on_cut() {
        let mut relayed = Relayed::new();
        let at = relayed.open(1, [127, 0, 0, 1].into()).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for len in [DATAGRAM_BYTES_MAX + 1, 60_000, DATAGRAM_BYTES_MAX] {
            peer.send_to(&vec![7; len], at).await.unwrap();
        }
        let heard = relayed.next().await;
        assert_eq!(heard.bytes.len(), DATAGRAM_BYTES_MAX);
    }
}
