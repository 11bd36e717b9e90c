//! Nodes that find each other, on networks of their own (`peerage_tests::lan`).

use std::fs::File;

use peerage::NodeId;
use peerage::id::Kind;
use peerage_relay::discovery::message::{Announcement, Door, Message};
use peerage_tests::lan::{Host, Lan, Running};
use peerage_tests::{Ran, program, until};
use serde_json::Value;
use tempfile::TempDir;

/// Runs the program at a host to its end.
async fn run(host: &Host, args: &[&str]) -> Ran {
    let mut command = host.command(program());
    command.args(args);
    Ran::of_command(command).await
}

/// Runs a command at a host by a peer that is told of no relay.
async fn found(host: &Host, line: &str) -> Ran {
    run(host, &["peer", "-c", line]).await
}

/// A process of the program at a host, which writes into a file.
struct Process {
    running: Running,
    folder: TempDir,
}

impl Process {
    fn start(host: &Host, args: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = host.command(program());
        command.args(args.split(' '));
        command.stdout(File::create(folder.path().join("out")).unwrap());
        command.stderr(File::create(folder.path().join("log")).unwrap());
        let running = Running(command.spawn().unwrap());
        Self { running, folder }
    }

    /// A relay that lets others in from everywhere.
    async fn relay(host: &Host, name: &str) -> Self {
        let relay = Self::start(host, &format!("relay --listen [::]:7700 --name {name}"));
        relay.says("Peerage is at").await;
        relay
    }

    fn output(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("out")).unwrap()
    }

    async fn says(&self, words: &str) {
        until(&format!("it says {words}"), async || {
            self.output().contains(words)
        })
        .await;
    }

    fn kill(mut self) {
        self.running.0.kill().unwrap();
        self.running.0.wait().unwrap();
    }
}

/// Two hosts on a cable, and the cable.
fn two() -> (Lan, Host, Host) {
    let (lan, a, b) = (Lan::new(), Host::new(), Host::new());
    lan.join(&a, "eth0", &["10.1.0.1/24"]);
    lan.join(&b, "eth0", &["10.1.0.2/24"]);
    (lan, a, b)
}

fn lines(ran: &Ran) -> Vec<Value> {
    let lines = ran.output.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{ran:?}")))
        .collect()
}

#[tokio::test]
async fn hosts_reach_those_with_whom_they_share_a_lan_and_no_others() {
    let (lan, other) = (Lan::new(), Lan::new());
    let (a, b, c) = (Host::new(), Host::new(), Host::new());
    lan.join(&a, "eth0", &["10.1.0.1/24"]);
    lan.join(&b, "eth0", &["10.1.0.2/24"]);
    other.join(&b, "eth1", &["10.2.0.2/24", "fd02::2/64"]);
    other.join(&c, "eth0", &["10.2.0.3/24", "fd02::3/64"]);
    let runs = async |host: &Host, relay: &str| {
        let ran = run(host, &["peer", "--relay", relay, "-c", "calc 1+2 @relay"]).await;
        ran.status == 0
    };
    let relay = Process::relay(&b, "relay").await;
    assert!(runs(&a, "ws://10.1.0.2:7700/mesh").await);
    assert!(runs(&c, "ws://[fd02::2]:7700/mesh").await);
    assert!(!runs(&a, "ws://10.2.0.2:7700/mesh").await);
    assert!(b.link_local("eth1").ends_with("%eth1"));
    relay.kill();
    assert!(!runs(&a, "ws://10.1.0.2:7700/mesh").await);
}

#[tokio::test]
async fn two_nodes_find_each_other_without_being_told_and_link() {
    let (_lan, a, b) = two();
    let _relay = Process::relay(&a, "relay").await;
    let ran = found(&b, "calc 1+2 @relay").await;
    assert_eq!(ran.output, "3", "{ran:?}");
    let ran = found(&b, "discover --json").await;
    let entries = lines(&ran);
    for method in ["broadcast", "dns-sd"] {
        let entry = entries.iter().find(|entry| entry["method"] == method);
        let entry = entry.unwrap_or_else(|| panic!("no {method}: {ran:?}"));
        assert_eq!(entry["name"], "relay");
        assert_eq!(
            (&entry["kind"], &entry["zone"]),
            (&"relay".into(), &"local".into())
        );
        assert_eq!(entry["state"], "linked");
    }
    let addresses: Vec<_> = entries
        .iter()
        .flat_map(|e| e["addresses"].as_array().unwrap())
        .collect();
    assert!(
        addresses.contains(&&Value::from("ws://10.1.0.1:7700/mesh")),
        "{ran:?}"
    );
}
