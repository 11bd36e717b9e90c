//! Ports as they should be, and with whom is not as he should be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use peerage::limits::ENET_ROOM_BYTES;
use peerage_enet::{Config, Reason};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::{Peer, Port};

fn port(config: Config) -> (Port, mpsc::Receiver<Peer>) {
    let (accept, accepted) = mpsc::channel(1);
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    (Port::open(any, config, accept).unwrap(), accepted)
}

/// Two ends of a connection, and their ports.
async fn connected() -> (Port, Peer, Port, Peer) {
    let (near, _) = port(Config::default());
    let (far, mut accepted) = port(Config::default());
    let here = near.connect(far.address(), 2, 7).await.unwrap();
    let there = accepted.recv().await.unwrap();
    assert_eq!((there.about.data, there.about.channels), (7, 2));
    assert_eq!((near.tally().peers, far.tally().peers), (1, 1));
    assert!(far.tally().datagrams.received > 0);
    (near, here, far, there)
}

#[tokio::test]
async fn what_is_sent_arrives_in_order_however_much_it_is() {
    const PACKETS: u32 = 2000;
    let (_near, here, _far, mut there) = connected().await;
    let sender = here.sender().clone();
    let sending = tokio::spawn(async move {
        for n in 0..PACKETS {
            let packet = [&n.to_be_bytes()[..], &vec![7; n as usize % 9000]].concat();
            sender.send(0, packet.into()).await.unwrap();
        }
    });
    for n in 0..PACKETS {
        let (channel, packet) = there.recv().await.unwrap();
        assert_eq!((channel, &packet.bytes[..4]), (0, &n.to_be_bytes()[..]));
        assert_eq!(packet.bytes.len(), 4 + n as usize % 9000);
    }
    sending.await.unwrap();
}

#[tokio::test]
async fn who_reads_slowly_slows_the_sender_down_and_misses_nothing() {
    const PIECES: usize = 256;
    let (_near, here, _far, mut there) = connected().await;
    let sender = here.sender().clone();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        for n in 0..PIECES {
            let piece = vec![n as u8; ENET_ROOM_BYTES / 4];
            sender.send(0, piece.into()).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    // Nobody reads, and at some point no more is taken.
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = sent.load(Ordering::Relaxed);
        if now == before && now > 0 {
            break;
        }
        before = now;
    }
    assert!(before < PIECES, "all of it is kept");
    for n in 0..PIECES {
        let (_, packet) = there.recv().await.unwrap();
        assert_eq!(packet.bytes, vec![n as u8; ENET_ROOM_BYTES / 4], "{n}");
    }
    sending.await.unwrap();
}

#[tokio::test]
async fn who_is_there_answers_and_who_is_deaf_does_not() {
    let (_near, here, far, _there) = connected().await;
    assert!(here.sender().is_there().await);
    far.hook(Box::new(|_, _, _| true));
    assert!(!here.sender().is_there().await);
    here.sender().give_up();
    let mut here = here;
    assert_eq!(here.recv().await.unwrap_err().reason, Reason::TimedOut);
}

#[tokio::test]
async fn each_end_hears_why_the_other_has_gone() {
    let (_near, here, _far, mut there) = connected().await;
    here.sender()
        .send(0, Bytes::from_static(b"last"))
        .await
        .unwrap();
    here.close(42);
    assert_eq!(&there.recv().await.unwrap().1.bytes[..], b"last");
    let gone = there.recv().await.unwrap_err();
    assert_eq!((gone.reason, gone.data), (Reason::ByPeer, 42));
    // It stays so.
    assert_eq!(there.recv().await.unwrap_err(), gone);
    // One that is dropped is ended, too.
    let (_near, mut here, _far, there) = connected().await;
    drop(there);
    assert_eq!(here.recv().await.unwrap_err().reason, Reason::ByPeer);
}

#[tokio::test]
async fn datagrams_of_others_are_seen_before_enet_and_sent_beside_it() {
    let (port, _accepted) = port(Config::default());
    let seen = Arc::new(AtomicUsize::new(0));
    let seeing = Arc::clone(&seen);
    port.hook(Box::new(move |socket, from, datagram| {
        let is_ours = datagram == b"ping";
        if is_ours {
            seeing.fetch_add(1, Ordering::Relaxed);
            let _ = socket.try_send_to(b"pong", from);
        }
        is_ours
    }));
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    other.send_to(b"nonsense", port.address()).await.unwrap();
    other.send_to(b"ping", port.address()).await.unwrap();
    let mut answer = [0; 16];
    let (count, _) = other.recv_from(&mut answer).await.unwrap();
    assert_eq!(
        (&answer[..count], seen.load(Ordering::Relaxed)),
        (&b"pong"[..], 1)
    );
    port.send_datagram(other.local_addr().unwrap(), b"hello");
    let (count, from) = other.recv_from(&mut answer).await.unwrap();
    assert_eq!((&answer[..count], from), (&b"hello"[..], port.address()));
}

#[tokio::test]
async fn checksums_and_compression_are_agreed_on_by_configuration() {
    let config = Config {
        checksum: true,
        compression: true,
        ..Config::default()
    };
    let (far, mut accepted) = port(config.clone());
    let (near, _) = port(config);
    let here = near.connect(far.address(), 1, 0).await.unwrap();
    let text = Bytes::from(b"again and ".repeat(2000));
    here.sender().send(0, text.clone()).await.unwrap();
    let mut there = accepted.recv().await.unwrap();
    assert_eq!(there.recv().await.unwrap().1.bytes, text);
}
