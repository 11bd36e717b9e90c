//! Nodes that find each other, on networks of their own (`peerage_tests::lan`).

use peerage_tests::lan::{Host, Lan};
use peerage_tests::{program, until};

/// Runs a command at a host by a peer that calls this relay; whether that went well.
fn runs(host: &Host, relay: &str, command: &str) -> bool {
    let mut peer = host.command(program());
    peer.args(["peer", "--relay", relay, "-c", command]);
    peer.output().unwrap().status.success()
}

#[tokio::test]
async fn hosts_reach_those_with_whom_they_share_a_lan_and_no_others() {
    let (lan, other) = (Lan::new(), Lan::new());
    let (a, b, c) = (Host::new(), Host::new(), Host::new());
    lan.join(&a, "eth0", &["10.1.0.1/24"]);
    lan.join(&b, "eth0", &["10.1.0.2/24"]);
    other.join(&b, "eth1", &["10.2.0.2/24", "fd02::2/64"]);
    other.join(&c, "eth0", &["10.2.0.3/24", "fd02::3/64"]);
    let program = program().into_string().unwrap();
    let relay = b.start(&format!("{program} relay --listen [::]:7700"));
    until("the relay is there", async || {
        runs(&b, "ws://127.0.0.1:7700/mesh", "calc 1+2")
    })
    .await;
    assert!(runs(&a, "ws://10.1.0.2:7700/mesh", "calc 1+2 @relay"));
    assert!(runs(&c, "ws://[fd02::2]:7700/mesh", "calc 1+2 @relay"));
    assert!(!runs(&a, "ws://10.2.0.2:7700/mesh", "calc 1+2 @relay"));
    assert!(b.link_local("eth1").ends_with("%eth1"));
    drop(relay);
    assert!(!runs(&a, "ws://10.1.0.2:7700/mesh", "calc 1+2 @relay"));
}
