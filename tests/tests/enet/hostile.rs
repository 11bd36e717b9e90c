//! What is meant to do harm, beside stock clients that are not to notice.

use super::ours::Ours;
use super::stock::{Mode, Stock};
use peerage_enet::{Config, Event};
use std::net::UdpSocket;

/// As many forged requests as there are places, and many more: a stock client still gets in, and nobody gets
/// more than was sent in his name.
pub(crate) fn flood(mode: Mode) {
    let config = Config {
        peers_max: 64,
        ..Config::default()
    };
    let mut ours = Ours::new(mode, config);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.connect(("127.0.0.1", ours.port())).unwrap();
    let mut answers = 0;
    let request_len = connect(mode, 0).len();
    for n in 0..640 {
        socket.send(&connect(mode, n)).unwrap();
        ours.turn();
        let mut buffer = [0; 2000];
        while let Ok(len) = socket.recv(&mut buffer) {
            assert!(len <= request_len);
            answers += 1;
        }
    }
    assert!(answers <= 640, "{answers}");
    assert_eq!(ours.host.peers().count(), 0);
    let stock = Stock::connect(mode, ours.port(), 8, 77);
    ours.until("the stock client is connected", |ours| {
        matches!(ours.events.first(), Some(Event::Connected { data: 77, .. }))
    });
    drop(stock);
}

/// A full host refuses at once, so that nobody waits in vain.
pub(crate) fn full(mode: Mode) {
    let config = Config {
        peers_max: 1,
        ..Config::default()
    };
    let mut ours = Ours::new(mode, config);
    let _first = Stock::connect(mode, ours.port(), 8, 1);
    ours.until("the first is connected", |ours| !ours.events.is_empty());
    let second = Stock::connect(mode, ours.port(), 8, 2);
    let mut lines = Vec::new();
    ours.until("the second is refused", |_| {
        lines.extend(second.lines());
        lines == ["disconnect 0 0"]
    });
}

/// Who writes datagrams otherwise hears nothing, and harms nobody.
pub(crate) fn mismatch(mode: Mode) {
    let other = Mode {
        checksum: !mode.checksum,
        ..mode
    };
    let mut ours = Ours::new(mode, Config::default());
    let stranger = Stock::connect(other, ours.port(), 8, 1);
    ours.until("it has been heard", |ours| {
        let counters = ours.host.counters();
        counters.checksum + counters.compression + counters.malformed > 0
    });
    let _friend = Stock::connect(mode, ours.port(), 8, 2);
    ours.until("who writes as we do is connected", |ours| {
        matches!(ours.events.first(), Some(Event::Connected { data: 2, .. }))
    });
    assert!(stranger.lines().is_empty());
}

fn connect(mode: Mode, n: u32) -> Vec<u8> {
    let mut datagram = vec![0x8F, 0xFF, 0, 0];
    if mode.checksum {
        datagram.extend([0; 4]);
    }
    datagram.extend([0x82, 0xFF, 0, 1, 0, n as u8, 0xFF, 0xFF]);
    for value in [1392, 65_536, 8, 0, 0, 5000, 2, 2, n, 9] {
        datagram.extend(u32::to_be_bytes(value));
    }
    if mode.checksum {
        let sum = crc(&datagram).to_be_bytes();
        datagram[4..8].copy_from_slice(&sum);
    }
    datagram
}

fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), step)
    })
}
