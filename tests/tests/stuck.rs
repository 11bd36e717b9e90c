//! A reader that stops reading: what it costs the relay in between, and everybody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use peerage_tests::{Bystanders, Relay, join, until};

/// Bytes that a relay may hold more than before: the queue of a link, the sockets' own, and some air.
const GROWTH_MAX: u64 = 8 << 20;
const PROTOCOL: &str = "test/stuck/1";

#[tokio::test]
async fn a_reader_that_stops_costs_the_relay_little_and_bystanders_nothing() {
    let relay = Relay::start("127.0.0.1:0");
    let bystanders = Bystanders::start(&relay).await;
    let (sender, reader) = (join(&relay, "sender").await, join(&relay, "reader").await);
    let mut listener = reader.listen(PROTOCOL);
    let stream = sender.open(reader.id(), PROTOCOL).unwrap();
    let before = relay.peak_bytes();
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        // 100 MB in all: more than may wait anywhere.
        for n in 0..100_u8 {
            stream.send(Bytes::from(vec![n; 1 << 20])).await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
        }
        stream.finish();
        // Dropped before it has arrived, it would be cancelled.
        assert_eq!(stream.recv().await.unwrap(), None);
    });
    let stuck = listener.accept().await.unwrap();
    let mut last = 0;
    until("the sender is held up", async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = sent.load(Ordering::Relaxed);
        now > 0 && std::mem::replace(&mut last, now) == now
    })
    .await;
    assert!(last < 4, "{last} MiB were taken");
    let growth = relay.peak_bytes() - before;
    assert!(growth < GROWTH_MAX, "the relay has grown by {growth} bytes");

    // Other streams of the same two, meanwhile.
    for n in 0..100 {
        let outcome = sender.run(&format!("calc {n}+1 @reader")).await.unwrap();
        assert_eq!(outcome.output, (n + 1).to_string());
    }
    for n in 0..100_u8 {
        let message = stuck.recv().await.unwrap().unwrap();
        assert!(message.len() == 1 << 20 && message.iter().all(|byte| *byte == n));
    }
    assert_eq!(stuck.recv().await.unwrap(), None);
    stuck.finish();
    sending.await.unwrap();
    bystanders.end().await;
}
