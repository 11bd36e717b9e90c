//! What is written is read again, and as long as it says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

const THROTTLING: Throttling = Throttling {
    interval: 5000,
    acceleration: 2,
    deceleration: 3,
};
const HANDSHAKE: Handshake = Handshake {
    id: 5,
    incoming_session: 1,
    outgoing_session: 2,
    mtu: 1392,
    window: 65_536,
    channels: 8,
    incoming_bandwidth: 6,
    outgoing_bandwidth: 7,
    throttling: THROTTLING,
    connect_id: 0x0102_0304,
};
const PART: Fragment = Fragment {
    start: 1,
    count: 2,
    number: 1,
    total: 9,
    offset: 5,
};

/// Each command, with the bits that it has on the wire if it is acknowledged where it is to be.
fn commands() -> Vec<(u8, Command<'static>)> {
    let body = &b"body"[..];
    let fragment = PART;
    vec![
        (
            1,
            Command::Acknowledge {
                sequence: 3,
                sent_time: 4,
            },
        ),
        (
            0x82,
            Command::Connect {
                handshake: HANDSHAKE,
                data: 9,
            },
        ),
        (0x83, Command::VerifyConnect(HANDSHAKE)),
        (0x84, Command::Disconnect { data: 9 }),
        (0x44, Command::Disconnect { data: 9 }),
        (0x85, Command::Ping),
        (0x86, Command::Reliable(body)),
        (7, Command::Unreliable { sequence: 3, body }),
        (0x88, Command::Fragment { fragment, body }),
        (0x49, Command::Unsequenced { group: 3, body }),
        (
            0x8A,
            Command::BandwidthLimit {
                incoming: 1,
                outgoing: 2,
            },
        ),
        (0x8B, Command::ThrottleConfigure(THROTTLING)),
        (12, Command::UnreliableFragment { fragment, body }),
    ]
}

#[test]
fn what_is_written_is_read_again_and_as_long_as_it_says() {
    let mut datagram = Vec::new();
    for (bits, command) in commands() {
        let head = Head {
            channel: 6,
            sequence: 700,
            acknowledged: bits & 0x80 != 0,
        };
        let begin = datagram.len();
        command.encode(head, &mut datagram);
        let written = &datagram[begin..];
        assert_eq!(written[0], bits, "{command:?}");
        assert_eq!(written.len(), command.len(), "{command:?}");
        for cut in 0..written.len() {
            assert_eq!(Command::decode(&mut &written[..cut]), None, "{command:?}");
        }
        let mut rest = written;
        assert_eq!(Command::decode(&mut rest), Some((head, command)));
        assert!(rest.is_empty());
    }
    let mut rest = &datagram[..];
    let read = std::iter::from_fn(|| Command::decode(&mut rest)).count();
    assert_eq!(read, commands().len());
}

#[test]
fn a_header_has_its_time_or_not() {
    let header = Header {
        id: 0xABC,
        session: 2,
        compressed: true,
        sent_time: Some(0x1234),
    };
    let written = header.encode();
    assert_eq!(written, [0xEA, 0xBC, 0x12, 0x34]);
    assert_eq!(Header::decode(&written), Some((header, 4)));
    let timeless = Header {
        sent_time: None,
        ..header
    };
    assert_eq!(Header::decode(&[0x6A, 0xBC, 9]), Some((timeless, 2)));
    for short in [&[][..], &[0x6A], &[0xEA, 0xBC, 9]] {
        assert_eq!(Header::decode(short), None);
    }
}
