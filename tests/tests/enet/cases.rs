//! The rows, of which each runs in each mode.

use super::hostile::{flood, full, mismatch};
use super::ours::{Ours, kind};
use super::pattern;
use super::stock::{Batch, Mode, Stock, receive_line};
use super::way::{Way, Weather};
use peerage_enet::{Config, Event, Packet, PeerId, Reason, SendError, Timeouts};
use std::time::Duration;

type Case = (&'static str, fn(Mode));

pub(crate) const CASES: &[Case] = &[
    ("we connect: data, channels, datagrams", we_connect),
    ("stock connects: data, channels, datagrams", stock_connects),
    ("each kind of packet, both ways, as it was sent", every_kind),
    ("255 channels", all_channels),
    ("10 MB in fragments, both ways", ten_megabytes),
    (
        "a fifth lost, some doubled, some late: reliable, both ways",
        storm,
    ),
    (
        "more than 65,536 packets on a channel: numbers begin again",
        numbers_wrap,
    ),
    (
        "more than 65,535 unreliable in a row: the next is reliable",
        promotion,
    ),
    ("disconnect with data, by us", we_disconnect),
    (
        "disconnect with data, by stock; later, now",
        stock_disconnects,
    ),
    ("who no longer answers is lost, to both", timeouts),
    (
        "who has moved to another port is not heard, and lost",
        moved,
    ),
    ("bandwidth limits and throttle of stock", bandwidth),
    ("a peer that idles is pinged, both ways, and stays", idle),
    ("the other end's restart is another connection", restart),
    ("64 and more forged requests: a stock client gets in", flood),
    ("a full host refuses at once", full),
    (
        "who has a checksum and who has none do not hear each other",
        mismatch,
    ),
];

fn batch(channel: u8, kind: char, len: usize, seed: u32, count: u32) -> Batch {
    Batch {
        channel,
        kind,
        len,
        seed,
        count,
    }
}

/// Ours connected to a stock one that listens.
fn to_stock(mode: Mode, config: Config) -> (Ours, PeerId, Stock) {
    let stock = Stock::listen(mode, 8, 0, "");
    let mut ours = Ours::new(mode, config);
    let peer = ours.connect(stock.port, 8, 0xABCD);
    ours.until("we are connected", |ours| !ours.events.is_empty());
    wait_for(&mut ours, &stock, "connect 0 43981 8");
    ours.events.clear();
    (ours, peer, stock)
}

/// A stock one connected to ours, which listens.
fn to_ours(mode: Mode, config: Config) -> (Ours, PeerId, Stock) {
    let mut ours = Ours::new(mode, config);
    let stock = Stock::connect(mode, ours.port(), 8, 77);
    let peer = incoming(&mut ours);
    wait_for(&mut ours, &stock, "connect 0 0 8");
    (ours, peer, stock)
}

fn incoming(ours: &mut Ours) -> PeerId {
    ours.until("it is connected to us", |ours| !ours.events.is_empty());
    match ours.events.remove(0) {
        Event::Connected { peer, incoming, .. } if incoming => peer,
        other => panic!("{other:?}"),
    }
}

/// Waits until the stock one has told this; what it told before is returned.
fn wait_for(ours: &mut Ours, stock: &Stock, line: &str) -> Vec<String> {
    let mut told = Vec::new();
    ours.until(line, |_| {
        told.extend(stock.lines());
        told.iter().any(|told| told == line)
    });
    told
}

fn we_connect(mode: Mode) {
    let stock = Stock::listen(mode, 8, 4, "");
    let mut ours = Ours::new(mode, Config::default());
    let peer = ours.connect(stock.port, 12, 0xABCD);
    ours.until("we are connected", |ours| !ours.events.is_empty());
    let Event::Connected {
        peer: connected,
        channels,
        incoming,
        data,
        address,
    } = ours.events[0].clone()
    else {
        panic!("{:?}", ours.events)
    };
    assert_eq!((connected, channels, incoming, data), (peer, 4, false, 0));
    assert_eq!(address.port(), stock.port);
    wait_for(&mut ours, &stock, "connect 0 43981 4");
    let stats = ours.host.stats(peer).unwrap();
    assert_eq!((stats.mtu, stats.window), (1392, 65_536));
    let none = ours.host.send(peer, 4, Packet::reliable("x"));
    assert_eq!(none, Err(SendError::NoChannel(4)));
}

fn stock_connects(mode: Mode) {
    let config = Config {
        channels_max: 8,
        mtu: 1000,
        ..Config::default()
    };
    let mut ours = Ours::new(mode, config);
    let mut stock = Stock::connect(mode, ours.port(), 12, 77);
    ours.until("it is connected to us", |ours| !ours.events.is_empty());
    let Event::Connected { data, channels, .. } = ours.events[0] else {
        panic!("{:?}", ours.events)
    };
    assert_eq!((data, channels), (77, 8));
    wait_for(&mut ours, &stock, "connect 0 0 8");
    stock.tell("stats 0");
    ours.until("it has agreed to our datagrams", |_| {
        let lines = stock.lines();
        lines
            .iter()
            .any(|line| line.starts_with("stats 1000 65536 "))
    });
}

const KINDS: [(char, usize); 8] = [
    // With compression, a stock sender of nothing reads where nothing is, and dies.
    ('r', 0),
    ('r', 10),
    ('r', 1380),
    ('r', 100_000),
    ('u', 200),
    ('s', 300),
    ('f', 400),
    ('f', 20_000),
];

fn every_kind(mode: Mode) {
    for begin in [to_stock, to_ours] {
        let (mut ours, peer, mut stock) = begin(mode, Config::default());
        for (n, (letter, len)) in KINDS.into_iter().enumerate() {
            let batch = batch(n as u8 % 8, letter, len, n as u32, 1);
            // A fragmented packet is told by its flag only if it was one.
            let told = match letter {
                'f' if len < 1000 => Batch { kind: 'u', ..batch },
                _ => batch,
            };
            let packet = Packet {
                bytes: pattern(len, n as u32).into(),
                kind: kind(told.kind),
            };
            // What is not reliable may be dropped for the throttle: then it is sent again.
            let is_sure = letter == 'r';
            let line = receive_line(0, told, 0);
            let mut turns = 0;
            ours.until(&line, |ours| {
                if turns == 0 || !is_sure && turns % 100 == 0 {
                    ours.send(peer, batch);
                }
                turns += 1;
                stock.lines().contains(&line)
            });
            if len == 0 && mode.compression {
                continue;
            }
            let mut turns = 0;
            let packet = (n as u8 % 8, packet);
            ours.until("the packet comes", |ours| {
                if turns == 0 || !is_sure && turns % 100 == 0 {
                    stock.send(0, batch);
                }
                turns += 1;
                ours.received().contains(&packet)
            });
        }
    }
}

fn all_channels(mode: Mode) {
    let stock = Stock::listen(mode, 2, 0, "e");
    let mut ours = Ours::new(mode, Config::default());
    let peer = ours.connect(stock.port, 255, 0);
    ours.until("we are connected", |ours| !ours.events.is_empty());
    assert_eq!(ours.host.channels(peer), Some(255));
    ours.events.clear();
    for channel in 0..255 {
        ours.send(peer, batch(channel, 'r', 100, channel.into(), 1));
    }
    let mut there = ours.packets(255);
    there.sort_by_key(|(channel, _)| *channel);
    for (n, (channel, packet)) in there.into_iter().enumerate() {
        assert_eq!(usize::from(channel), n);
        assert_eq!(packet.bytes, pattern(100, n as u32));
    }
}

fn ten_megabytes(mode: Mode) {
    const LEN: usize = 10_000_000;
    let config = Config {
        packet_bytes_max: 16 << 20,
        waiting_bytes_max: 16 << 20,
        ..Config::default()
    };
    let (mut ours, peer, mut stock) = to_stock(mode, config);
    let whole = batch(3, 'r', LEN, 5, 1);
    ours.send(peer, whole);
    wait_for(&mut ours, &stock, &receive_line(0, whole, 0));
    stock.send(0, whole);
    let received = ours.packets(1);
    assert!(received[0].1.bytes == pattern(LEN, 5));
}

fn storm(mode: Mode) {
    let weather = Weather {
        lost: 200,
        doubled: 100,
        reordered: 200,
    };
    let mut stock = Stock::listen(mode, 8, 0, "e");
    let way = Way::new(stock.port, weather);
    // Each way loses a fifth, so a packet or its answer is lost eight times in a row once in some thousand: that would
    // end the connection, as it ends one of stock's.
    let timeouts = Timeouts {
        limit: 65_536,
        maximum: Duration::from_secs(600),
        ..Timeouts::default()
    };
    let config = Config {
        timeouts,
        ..Config::default()
    };
    let mut ours = Ours::new(mode, config);
    let peer = ours.connect(way.port, 4, 1);
    ours.until("we are connected", |ours| !ours.events.is_empty());
    stock.tell("timeout 0 65536 5000 600000");
    ours.events.clear();
    for n in 0..200 {
        let len = if n % 20 == 0 { 5000 } else { 50 };
        ours.send(peer, batch((n % 4) as u8, 'r', len, n, 1));
    }
    let there = ours.packets(200);
    for channel in 0..4 {
        let of = there.iter().filter(|(of, _)| *of == channel);
        let bytes: Vec<_> = of.map(|(_, packet)| packet.bytes.clone()).collect();
        let sent = (0..200_u32).filter(|n| n % 4 == u32::from(channel));
        let sent: Vec<_> = sent
            .map(|n| pattern(if n % 20 == 0 { 5000 } else { 50 }, n))
            .collect();
        assert!(bytes == sent, "channel {channel}");
    }
}

fn numbers_wrap(mode: Mode) {
    const COUNT: u32 = 70_000;
    let (mut ours, peer, mut stock) = to_stock(mode, Config::default());
    let many = batch(0, 'r', 2, 1, COUNT);
    ours.send(peer, many);
    let told = wait_until_received(&mut ours, &stock, COUNT as usize);
    let expected: Vec<_> = (0..COUNT).map(|n| receive_line(0, many, n)).collect();
    assert!(told == expected);
    stock.send(0, many);
    let there = ours.packets(COUNT as usize);
    for (n, (_, packet)) in there.into_iter().enumerate() {
        assert_eq!(packet.bytes, pattern(2, 1 + n as u32));
    }
}

fn promotion(mode: Mode) {
    const COUNT: u32 = 65_536;
    let (mut ours, peer, mut stock) = to_stock(mode, Config::default());
    let many = batch(0, 'u', 2, 1, COUNT);
    ours.send(peer, many);
    let last = receive_line(0, Batch { kind: 'r', ..many }, COUNT - 1);
    ours.until("stock has received a reliable one", |_| {
        stock.lines().contains(&last)
    });
    stock.send(0, many);
    let last = pattern(2, COUNT);
    ours.until("one is reliable", |ours| {
        let sure = |(_, packet): &(u8, Packet)| {
            packet.kind == peerage_enet::Kind::Reliable && packet.bytes == last
        };
        ours.received().iter().any(sure)
    });
}

/// ENet knows a peer by its address: whoever resumes what was begun does it above.
fn moved(mode: Mode) {
    let timeouts = Timeouts {
        limit: 4,
        minimum: Duration::from_millis(100),
        maximum: Duration::from_millis(300),
    };
    let config = Config {
        timeouts,
        ping_interval: Duration::from_millis(50),
        ..Config::default()
    };
    let mut stock = Stock::listen(mode, 8, 0, "");
    let way = Way::new(stock.port, Weather::default());
    let mut ours = Ours::new(mode, config);
    let peer = ours.connect(way.port, 4, 1);
    ours.until("we are connected", |ours| !ours.events.is_empty());
    wait_for(&mut ours, &stock, "connect 0 1 4");
    stock.tell("timeout 0 4 100 300");
    stock.tell("stats 0");
    ours.until("it has set that", |_| {
        let lines = stock.lines();
        lines.iter().any(|line| line.starts_with("stats "))
    });
    ours.events.clear();
    way.move_on();
    stock.send(0, batch(0, 'r', 10, 1, 1));
    ours.until("we have lost it", |ours| {
        ours.events
            .contains(&disconnected(peer, 0, Reason::TimedOut))
    });
    wait_for(&mut ours, &stock, "disconnect 0 0");
}

fn wait_until_received(ours: &mut Ours, stock: &Stock, count: usize) -> Vec<String> {
    let mut told = Vec::new();
    ours.until("stock has received all", |_| {
        let lines = stock.lines().into_iter();
        told.extend(lines.filter(|line| line.starts_with("receive")));
        told.len() >= count
    });
    told
}

fn we_disconnect(mode: Mode) {
    for begin in [to_stock, to_ours] {
        let (mut ours, peer, stock) = begin(mode, Config::default());
        ours.send(peer, batch(0, 'r', 50_000, 1, 3));
        ours.host.disconnect(peer, 0x77);
        let told = wait_for(&mut ours, &stock, "disconnect 0 119");
        assert_eq!(
            told.iter()
                .filter(|line| line.starts_with("receive"))
                .count(),
            3
        );
        ours.until("it is acknowledged", |ours| {
            ours.events == [disconnected(peer, 0, Reason::Asked)]
        });
    }
    let (mut ours, peer, stock) = to_stock(mode, Config::default());
    ours.host.disconnect_now(peer, 5);
    wait_for(&mut ours, &stock, "disconnect 0 5");
    ours.until("we are told too", |ours| {
        ours.events == [disconnected(peer, 0, Reason::Asked)]
    });
}

fn disconnected(peer: PeerId, data: u32, reason: Reason) -> Event {
    Event::Disconnected { peer, data, reason }
}

fn stock_disconnects(mode: Mode) {
    for (how, acknowledged) in [("disconnect", true), ("later", true), ("now", false)] {
        let (mut ours, peer, mut stock) = to_ours(mode, Config::default());
        if how == "later" {
            stock.send(0, batch(0, 'r', 50_000, 1, 3));
        }
        stock.tell(&format!("{how} 0 99"));
        ours.until("it has gone", |ours| {
            ours.events
                .contains(&disconnected(peer, 99, Reason::ByPeer))
        });
        let received = ours.received().len();
        assert_eq!(received, if how == "later" { 3 } else { 0 });
        if acknowledged {
            wait_for(&mut ours, &stock, "disconnect 0 0");
        }
    }
}

fn timeouts(mode: Mode) {
    let config = Config {
        timeouts: Timeouts {
            limit: 4,
            minimum: Duration::from_millis(100),
            maximum: Duration::from_millis(300),
        },
        ping_interval: Duration::from_millis(50),
        ..Config::default()
    };
    let (mut ours, peer, mut stock) = to_ours(mode, config);
    stock.kill();
    ours.until("it is lost", |ours| {
        ours.events
            .contains(&disconnected(peer, 0, Reason::TimedOut))
    });
    let (ours, _, mut stock) = to_ours(mode, Config::default());
    stock.tell("timeout 0 4 100 300");
    drop(ours);
    let mut other = Ours::new(mode, Config::default());
    wait_for(&mut other, &stock, "disconnect 0 0");
    // Nobody is there, and says nothing.
    let config = Config {
        timeouts: Timeouts {
            maximum: Duration::from_millis(300),
            ..Timeouts::default()
        },
        ..Config::default()
    };
    let mut ours = Ours::new(mode, config);
    let nobody = peerage_tests::free_port();
    let peer = ours.connect(nobody, 1, 0);
    ours.until("nobody answers", |ours| {
        ours.events == [disconnected(peer, 0, Reason::TimedOut)]
    });
}

fn bandwidth(mode: Mode) {
    // Stock limits only those that say what they can send.
    let config = Config {
        outgoing_bandwidth: 10_000_000,
        ..Config::default()
    };
    let (mut ours, peer, mut stock) = to_ours(mode, config);
    stock.tell("throttle 0 1000 4 4");
    stock.tell("bandwidth 262144 0");
    ours.until("our window is what it said", |ours| {
        ours.host.stats(peer).unwrap().window == 16_384
    });
    ours.send(peer, batch(0, 'r', 100_000, 1, 1));
    wait_for(
        &mut ours,
        &stock,
        &receive_line(0, batch(0, 'r', 100_000, 1, 1), 0),
    );
    let config = Config {
        incoming_bandwidth: 262_144,
        ..Config::default()
    };
    let (mut ours, _, mut stock) = to_ours(mode, config);
    ours.until("stock was told what it may send", |_| {
        stock.tell("stats 0");
        let lines = stock.lines();
        lines
            .iter()
            .any(|line| line.starts_with("stats 1392 16384 "))
    });
}

fn idle(mode: Mode) {
    let config = Config {
        ping_interval: Duration::from_millis(20),
        timeouts: Timeouts {
            limit: 4,
            minimum: Duration::from_millis(200),
            maximum: Duration::from_millis(400),
        },
        ..Config::default()
    };
    let (mut ours, peer, mut stock) = to_ours(mode, config);
    stock.tell("timeout 0 4 200 400");
    let begin = ours.host.stats(peer).unwrap();
    ours.until("much was pinged", |ours| {
        ours.host.stats(peer).unwrap().bytes_sent > begin.bytes_sent + 800
    });
    assert!(ours.events.is_empty(), "{:?}", ours.events);
    assert!(stock.lines().is_empty());
}

fn restart(mode: Mode) {
    let stock = Stock::listen(mode, 8, 0, "e");
    for n in 0..6 {
        // The same port each time, so that only numbers and sessions tell them apart.
        let mut ours = Ours::new(mode, Config::default());
        for _ in 0..3 {
            let peer = ours.connect(stock.port, 2, 1);
            ours.until("we are connected", |ours| !ours.events.is_empty());
            ours.events.clear();
            ours.send(peer, batch(1, 'r', 10, n, 1));
            assert_eq!(ours.packets(1)[0].1.bytes, pattern(10, n));
            ours.host.disconnect(peer, 0);
            ours.until("it is over", |ours| {
                ours.events == [disconnected(peer, 0, Reason::Asked)]
            });
            ours.events.clear();
        }
    }
}
