//! Where allocations lead, and where they do not.

use super::*;

#[test]
fn what_is_here_or_near_is_closed_to_allocations_unless_it_is_opened() {
    for (open, ips) in [
        (
            &[][..],
            &[
                "127.0.0.1",
                "10.0.0.1",
                "169.254.169.254",
                "224.0.0.1",
                "0.0.0.0",
            ][..],
        ),
        (&["10.0.0.0/8"], &["127.0.0.1", "192.168.0.1"]),
    ] {
        let mut stage = Stage::with(open, true);
        let (asker, _) = stage.allocated(1, A);
        for ip in ips {
            let peer = format!("{ip}:80");
            assert_eq!(
                stage.peer(&asker, CREATE_PERMISSION, &peer),
                Some(403),
                "{ip}"
            );
            assert_eq!(stage.bind(&asker, 0x4000, &peer), Some(403), "{ip}");
            stage.send(&asker, address(&peer), b"x");
        }
        // One that is closed closes all that stand beside it.
        let both = asker.of_peers(
            CREATE_PERMISSION,
            &[address(PEER), address("127.0.0.1:1")],
            &[],
        );
        assert_eq!(code_of(&stage.hear(asker.from, &both).unwrap()), Some(403));
        stage.send(&asker, address(PEER), b"x");
        assert!(stage.sockets.sent.is_empty());
        if !open.is_empty() {
            assert_eq!(stage.peer(&asker, CREATE_PERMISSION, "10.0.0.1:80"), None);
        }
        let v6 = stage.peer(&asker, CREATE_PERMISSION, "[2606:4700::1]:80");
        assert_eq!(v6, Some(443));
    }
}

#[test]
fn two_allocations_reach_each_other_and_nothing_else_of_this_relay() {
    let mut stage = Stage::new();
    let ((a, at_a), (b, at_b)) = (stage.allocated(1, A), stage.allocated(2, B));
    // The relay's own address is in a closed range, and is open for this alone.
    assert_eq!(stage.peer(&a, CREATE_PERMISSION, &at_b.to_string()), None);
    stage.send(&a, at_b, b"not permitted by the other yet");
    assert_eq!(stage.told(), [] as [Vec<u8>; 0]);
    assert_eq!(stage.bind(&b, 0x4000, &at_a.to_string()), None);
    stage.send(&a, at_b, b"hello");
    assert_eq!(stage.told(), [channel_data(0x4000, b"hello")]);
    stage.tell(b.from, &channel_data(0x4000, b"hello back"));
    assert_eq!(data_of(&stage.told()[0]), (at_b, b"hello back".to_vec()));
    for port in [7700, 22, 53] {
        stage.send(&a, SocketAddr::new(at_b.ip(), port), b"x");
    }
    let too = format!("{HERE_TOO}:53");
    assert_eq!(stage.peer(&a, CREATE_PERMISSION, &too), Some(403));
    stage.send(&a, address(&too), b"x");
    assert!(stage.sockets.sent.is_empty());
    assert!(stage.told().is_empty());
}
