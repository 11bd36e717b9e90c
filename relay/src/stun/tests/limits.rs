//! How much a node may have of the server and for how long, and how much all together.

use super::*;

#[test]
fn a_node_has_so_many_allocations_permissions_and_channels_and_no_more() {
    let mut stage = Stage::new();
    let _ = stage.allocated(1, A);
    for n in 1..TURN_ALLOCATIONS_PER_NODE_MAX {
        stage.allocated(1, &format!("198.51.100.9:{}", 1000 + n));
    }
    let one_more = stage.known(1, "198.51.100.9:9");
    let answer = stage.ask(&one_more, ALLOCATE, &[&udp()]).unwrap();
    assert_eq!(code_of(&answer), Some(486));
    let all_at_once = stage.sockets.ports.len();
    for n in all_at_once..ALLOCATIONS_MAX {
        stage.allocated(10 + n as u8, &format!("198.51.100.10:{}", 1000 + n));
    }
    let too_many = stage.known(3, "198.51.100.10:9");
    let answer = stage.ask(&too_many, ALLOCATE, &[&udp()]).unwrap();
    assert_eq!(code_of(&answer), Some(508), "there are enough of all");
    let mut stage = Stage::new();
    let (asker, _) = stage.allocated(1, A);
    stage.sockets.full = true;
    let another = stage.known(2, B);
    let answer = stage.ask(&another, ALLOCATE, &[&udp()]).unwrap();
    assert_eq!(code_of(&answer), Some(508), "the system has no port");

    let refused = (0..TURN_PERMISSIONS_MAX as u16 + 5).filter(|n| {
        let peer = format!("8.8.{}.1:1", n % 256);
        stage.bind(&asker, 0x4000 + n, &peer) == Some(508)
    });
    assert_eq!(refused.count(), 5);
    assert_eq!(
        stage.peer(&asker, CREATE_PERMISSION, "9.9.9.9:1"),
        Some(508)
    );
    assert_eq!(stage.peer(&asker, CREATE_PERMISSION, "8.8.0.1:2"), None);
}

#[test]
fn a_nodes_allocations_carry_its_bytes_a_second_each_way_and_not_each_of_them() {
    let mut stage = Stage::new();
    let (asker, _) = stage.allocated(1, A);
    let (same, _) = stage.allocated(1, B);
    let (other, _) = stage.allocated(2, "198.51.100.9:4000");
    for asker in [&asker, &same, &other] {
        stage.peer(asker, CREATE_PERMISSION, PEER);
    }
    for _ in 0..30 {
        stage.send(&asker, address(PEER), &[0; 1000]);
        stage.send(&same, address(PEER), &[0; 1000]);
    }
    // Of 1000 bytes each, which with their headers are some more.
    assert_eq!(stage.sockets.sent.len(), 9);
    let told = (0..60).filter(|n| !stage.hear_peer(n % 2, PEER, &[0; 1000]).is_empty());
    assert_eq!(told.count(), 9);
    stage.send(&other, address(PEER), &[0; 1000]);
    assert_eq!(stage.sockets.sent.len(), 10, "another node has its own");
    // Who ends what he has, and begins anew, has no more for it.
    assert!(stage.ask(&same, REFRESH, &[&Lifetime::new(0)]).is_some());
    let (same, _) = stage.allocated(1, B);
    stage.peer(&same, CREATE_PERMISSION, PEER);
    stage.send(&same, address(PEER), &[0; 1000]);
    assert_eq!(stage.sockets.sent.len(), 10);
    assert_eq!(stage.tally.relayed_bytes(), (10 + 9) * 1000);
}

#[test]
fn datagrams_that_carry_nothing_cost_their_headers() {
    let mut stage = Stage::new();
    let (asker, _) = stage.allocated(1, A);
    stage.peer(&asker, CREATE_PERMISSION, PEER);
    for _ in 0..1000 {
        stage.send(&asker, address(PEER), b"");
    }
    let sent = stage.sockets.sent.len();
    assert!((1..10_000 / 60).contains(&sent), "{sent}");
    assert_eq!(stage.tally.relayed_bytes(), 0);
    let told = (0..1000).filter(|_| !stage.hear_peer(0, PEER, b"").is_empty());
    assert!((1..10_000 / 60).contains(&told.count()));
}

#[test]
fn who_asks_too_often_hears_nothing_and_who_has_an_allocation_does() {
    let mut stage = Stage::new();
    let (asker, _) = stage.allocated(1, A);
    let loud = stranger("198.51.100.99:1");
    let answered = (0..STUN_ANSWERS_PER_SECOND * 2)
        .filter(|_| stage.ask(&loud, BINDING, &[]).is_some())
        .count() as u64;
    assert_eq!(answered, STUN_ANSWERS_PER_SECOND);
    for _ in 0..STUN_ANSWERS_PER_SECOND * 2 {
        assert_eq!(stage.peer(&asker, CREATE_PERMISSION, PEER), None);
    }
}

#[test]
fn allocations_are_refreshed_and_end_when_they_are_not_or_when_they_are_old() {
    let mut stage = Stage::new();
    let (asker, _) = stage.allocated(1, A);
    let refreshed = |stage: &mut Stage, asker: &Asker, seconds| {
        stage
            .ask(asker, REFRESH, &[&Lifetime::new(seconds)])
            .unwrap()
    };
    for (wish, granted) in [(1, 600), (1800, 1800), (u32::MAX, 3600)] {
        assert_eq!(lifetime_of(&refreshed(&mut stage, &asker, wish)), granted);
    }
    stage.pass(Duration::from_secs(3599));
    assert_eq!(stage.tally.allocations(), 1);
    stage.pass(Duration::from_secs(1));
    assert_eq!(
        (stage.tally.allocations(), stage.sockets.ports.len()),
        (0, 0)
    );
    assert_eq!(code_of(&refreshed(&mut stage, &asker, 600)), Some(437));

    let (mut asker, _) = stage.allocated(1, A);
    let began = stage.now.instant;
    loop {
        stage.pass(Duration::from_secs(590));
        let mut answer = refreshed(&mut stage, &asker, 600);
        if code_of(&answer) == Some(438) {
            asker.nonce = nonce_of(&answer);
            answer = refreshed(&mut stage, &asker, 600);
        }
        // The credential is long over; who has an allocation keeps it.
        if let Some(code) = code_of(&answer) {
            assert_eq!(code, 401);
            break;
        }
    }
    assert!(stage.now.instant - began >= TURN_AGE_MAX);
    let (asker, _) = stage.allocated(3, A);
    assert_eq!(lifetime_of(&refreshed(&mut stage, &asker, 0)), 0);
    assert!(stage.sockets.ports.is_empty());
}

#[test]
fn a_server_without_turn_answers_stun_only() {
    let mut stage = Stage::with(&[], false);
    let answer = stage.ask(&stranger(A), ALLOCATE, &[&udp()]).unwrap();
    assert_eq!(code_of(&answer), Some(400));
    assert!(stage.ask(&stranger(A), BINDING, &[]).is_some());
}
