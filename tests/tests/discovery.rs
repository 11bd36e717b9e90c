//! Nodes that find each other, on networks of their own (`peerage_tests::lan`).

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::fs::File;
use std::process::Command;

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
        let mut command = host.command(program());
        command.args(args.split(' '));
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
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

    /// Whether its `discover -f --json` has told this of a node.
    fn has_told(&self, news: &str, name: &str, method: &str) -> bool {
        let output = self.output();
        let lines = output
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let told =
            |line: Value| line["news"] == news && line["name"] == name && line["method"] == method;
        lines.into_iter().any(told)
    }

    async fn tells(&self, news: &str, name: &str, method: &str) {
        until(&format!("{name} is {news} by {method}"), async || {
            self.has_told(news, name, method)
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

#[tokio::test]
async fn who_is_killed_is_lost_and_who_leaves_says_so() {
    let (lan, a, b) = two();
    let c = Host::new();
    lan.join(&c, "eth0", &["10.1.0.3/24"]);
    let relay = Process::relay(&a, "relay").await;
    let mut command = b.command(program());
    command.args(["peer", "-c", "discover -f --json"]);
    let watching = Process::of(command);
    watching.says(r#""name":"relay""#).await;
    let mut config = c.command(program());
    config.args(["peer", "--name", "door", "--listen", "10.1.0.3:7701"]);
    config.stdin(std::process::Stdio::piped());
    let mut door = Process::of(config);
    watching.tells("found", "door", "broadcast").await;
    watching.tells("found", "door", "dns-sd").await;
    // It has nothing more to do, and leaves.
    door.running.0.stdin = None;
    watching.tells("lost", "door", "broadcast").await;
    watching.tells("lost", "door", "dns-sd").await;
    assert!(!watching.has_told("lost", "relay", "broadcast"));
    relay.kill();
    watching.tells("lost", "relay", "broadcast").await;
    watching.tells("lost", "relay", "dns-sd").await;
}

/// A system bus for a host of its own, with nobody to be kept out.
const BUS: &str = "<busconfig><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>\
    <policy context=\"default\"><allow send_destination=\"*\"/><allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>";

#[tokio::test]
async fn any_tool_for_dns_sd_sees_a_node() {
    let (_lan, a, b) = two();
    let relay = Process::relay(&a, "relay").await;
    b.run(&format!(
        "mkdir -p /run/dbus /run/avahi-daemon; echo '{BUS}' >/run/bus.conf"
    ));
    let bus = b.start("dbus-daemon --config-file=/run/bus.conf --nofork --nopidfile");
    until("the bus is there", async || {
        b.run("ls /run/dbus").contains("system_bus_socket")
    })
    .await;
    let avahi = b.start("avahi-daemon --no-drop-root --no-chroot --no-rlimits");
    let browse = "avahi-browse --resolve --parsable --terminate _peerage._tcp 2>&1 || true";
    until("avahi sees the relay", async || {
        let seen = b.run(browse);
        let line =
            |line: &str| line.starts_with("=;eth0;IPv4;relay") && line.contains("10.1.0.1;7700");
        seen.lines()
            .any(|l| line(l) && l.contains("\"zone=local\"") && l.contains("\"path=/mesh\""))
    })
    .await;
    // A good-bye counts at once.
    a.run(&format!("kill -TERM {}", relay.running.0.id()));
    until("avahi sees it no more", async || {
        !b.run(browse).contains("relay")
    })
    .await;
    drop((avahi, bus));
}

#[tokio::test]
async fn a_node_is_found_on_each_of_several_networks_and_by_a_bare_link() {
    let (first, second) = (Lan::new(), Lan::new());
    let (a, b, c) = (Host::new(), Host::new(), Host::new());
    first.join(&a, "eth0", &["10.1.0.1/24"]);
    second.join(&a, "eth1", &["10.2.0.1/24"]);
    first.join(&b, "eth0", &["10.1.0.2/24"]);
    // Nobody has given this one an address.
    second.join(&c, "lan7", &[]);
    let _relay = Process::relay(&a, "relay").await;
    for (host, own, other) in [
        (&b, "ws://10.1.0.1:7700/mesh", "10.2.0.1"),
        (&c, "%lan7]:7700/mesh", "10.1.0.1"),
    ] {
        let ran = found(host, "calc 1+2 @relay").await;
        assert_eq!(ran.output, "3", "{ran:?}");
        let ran = found(host, "discover").await;
        assert!(ran.output.contains(own), "{ran:?}");
        let by_broadcast = ran.output.lines().filter(|line| line.contains("broadcast"));
        assert!(by_broadcast.clone().count() > 0, "{ran:?}");
        assert!(
            by_broadcast.into_iter().all(|line| !line.contains(other)),
            "{ran:?}"
        );
    }
    let address = a.link_local("eth1").replace("%eth1", "%lan7");
    let address = format!("ws://[{address}]:7700/mesh");
    let ran = run(&c, &["peer", "--relay", &address, "-c", "calc 1+2 @relay"]).await;
    assert_eq!(ran.output, "3", "{ran:?}");
    let ran = run(
        &c,
        &[
            "peer",
            "--relay",
            &address.replace("lan7", "lan8"),
            "-c",
            "calc 1",
        ],
    )
    .await;
    assert!(
        ran.status == 1 && ran.complaint.contains("no interface `lan8`"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_node_that_listens_here_alone_or_shall_not_announce_itself_is_not_found() {
    let (_lan, a, b) = two();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.json");
    std::fs::write(&file, r#"{"discovery":{"announce":false}}"#).unwrap();
    for args in [
        String::from("relay --listen 127.0.0.1:7700"),
        format!(
            "relay --listen 0.0.0.0:7701 --config {}",
            file.to_str().unwrap()
        ),
    ] {
        let relay = Process::start(&a, &args);
        relay.says("Peerage is at").await;
        // It does not even listen for who looks for others.
        let bound = a.run("ss -Hlun");
        let ports = [":14588 ", ":5353 "];
        assert!(
            ports.iter().all(|port| !bound.contains(port)),
            "{args}: {bound}"
        );
        let ran = found(&b, "calc 1+2").await;
        assert!(
            ran.status == 1 && ran.complaint.contains("nobody is found"),
            "{args}: {ran:?}"
        );
    }
}

/// Says something on the network of a host, again and again.
fn repeat(host: &Host, datagram: &[u8]) -> (Running, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("datagram");
    std::fs::write(&file, datagram).unwrap();
    host.run("ip route add 224.0.0.0/4 dev eth0");
    let line = format!(
        "bash -c 'while :; do cat {} >/dev/udp/239.255.80.69/14588; sleep 0.1; done'",
        file.to_str().unwrap()
    );
    (host.start(&line), folder)
}

fn lie(id: NodeId) -> Message {
    Message::Here(Announcement {
        id,
        zone: "local".into(),
        name: Some("relay".parse().unwrap()),
        kind: Kind::Relay,
        doors: vec![Door {
            scheme: "ws".into(),
            port: 7700,
            path: "/mesh".into(),
        }],
    })
}

#[tokio::test]
async fn who_says_to_be_another_is_not_believed_and_the_other_is_found() {
    let (lan, a, b) = two();
    let liar = Host::new();
    lan.join(&liar, "eth0", &["10.1.0.3/24"]);
    let quiet = tempfile::tempdir().unwrap();
    let file = quiet.path().join("quiet.json");
    std::fs::write(&file, r#"{"discovery":{"announce":false}}"#).unwrap();
    let config = file.to_str().unwrap();
    let mask = Process::start(
        &liar,
        &format!("relay --listen [::]:7700 --name mask --config {config}"),
    );
    mask.says("Peerage is at").await;
    let told = repeat(&liar, &lie(NodeId::from_bytes([9; 32])).encode());
    let ran = found(&b, "calc 1+2").await;
    assert!(
        ran.status == 1 && ran.complaint.contains("expected the node"),
        "{ran:?}"
    );
    // It says that it is the honest one.
    let _relay = Process::relay(&a, "relay").await;
    let ran = found(&b, "discover --json").await;
    let entries = lines(&ran);
    let state = |address: &str| {
        let entry = entries.iter().find(|e| e["addresses"][0] == address);
        entry.map(|e| e["state"].as_str().unwrap().to_owned())
    };
    assert_eq!(
        state("ws://10.1.0.1:7700/mesh").as_deref(),
        Some("linked"),
        "{ran:?}"
    );
    let of_liar = state("ws://10.1.0.3:7700/mesh");
    assert!(of_liar.is_some_and(|state| state != "linked"), "{ran:?}");
    let id: NodeId = entries.iter().find(|e| e["state"] == "linked").unwrap()["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    drop(told);
    liar.run("ip route del 224.0.0.0/4 dev eth0");
    let _told = repeat(&liar, &lie(id).encode());
    for _ in 0..3 {
        let ran = found(&b, "peers").await;
        assert!(
            ran.output.contains("relay  relay") && !ran.output.contains("mask"),
            "{ran:?}"
        );
    }
    let address = format!("ws://10.1.0.3:7700/mesh#node={id}");
    let ran = run(&b, &["peer", "--relay", &address, "-c", "calc 1"]).await;
    assert!(
        ran.status == 1 && ran.complaint.contains("expected the node"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_domains_records_are_followed_and_changed_ones_too() {
    let (lan, a, b) = two();
    let names = Host::new();
    lan.join(&names, "eth0", &["10.1.0.9/24"]);
    b.resolves_at("10.1.0.9");
    let (_first, _second) = (
        Process::relay(&a, "first").await,
        Process::relay(&names, "second").await,
    );
    let serve = |host: &str, ttl: u32| {
        names.start(&format!(
            "dnsmasq --keep-in-foreground --no-resolv --no-hosts --user=root --pid-file= --local-ttl={ttl} \
             --local=/example.org/ --host-record=a.example.org,10.1.0.1 --host-record=b.example.org,10.1.0.9 \
             --srv-host=_peerage._tcp.example.org,{host},7700,10,5 --srv-host=_peerage._tcp.example.org,nowhere.example.org,7700,20 \
             --txt-record=_peerage._tcp.example.org,path=/mesh,zone=local"
        ))
    };
    let server = serve("a.example.org", 1);
    let asks = async || run(&b, &["peer", "--relay", "dns:example.org", "-c", "peers"]).await;
    until("the domain leads to the first", async || {
        asks().await.output.contains("first  relay")
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("peer.json");
    std::fs::write(
        &file,
        r#"{"discovery":{"methods":[],"domain":"example.org"}}"#,
    )
    .unwrap();
    let mut command = b.command(program());
    command.args([
        "peer",
        "--relay",
        "dns:example.org",
        "-c",
        "discover -f --json",
        "--config",
    ]);
    command.arg(&file);
    let watching = Process::of(command);
    watching.says("a.example.org:7700").await;
    watching.says("nowhere.example.org:7700").await;
    drop(server);
    let _server = serve("b.example.org", 60);
    watching.says("b.example.org:7700").await;
    watching.says(r#""news":"lost""#).await;
    until("the domain leads to the second", async || {
        asks().await.output.contains("second  relay")
    })
    .await;
    let ran = run(&b, &["peer", "--relay", "dns:example.com", "-c", "peers"]).await;
    assert!(
        ran.status == 1 && ran.complaint.contains("dns:example.com"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_ping_of_kai_is_answered() {
    let (_lan, a, b) = two();
    let _relay = Process::relay(&a, "relay").await;
    // An id, a time, RakNet's mark of a datagram to a stranger, and who asks.
    let ping = r"\x01\0\0\0\0\0\0\0\x2a\0\xff\xff\0\xfe\xfe\xfe\xfe\xfd\xfd\xfd\xfd\x12\x34\x56\x7812345678";
    let asked = format!(
        "bash -c \"exec 3<>/dev/udp/10.1.0.1/14589; printf '{ping}' >&3; timeout 1 head -c 40 <&3 || true\""
    );
    until("it answers", async || {
        b.output(&asked).ends_with(b"KAINode")
    })
    .await;
}

/// What `peerage check --json` has found of a method.
fn checked(ran: &Ran, method: &str) -> Vec<(String, bool)> {
    let rows = lines(ran).into_iter().filter(|row| row["method"] == method);
    rows.map(|row| (row["what"].as_str().unwrap().to_owned(), row["ok"] == true))
        .collect()
}

#[tokio::test]
async fn a_check_tells_by_which_ways_somebody_is_reached() {
    let (_lan, a, b) = two();
    let _relay = Process::relay(&a, "relay").await;
    let ran = run(&b, &["check", "--json"]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(
        checked(&ran, "broadcast"),
        [("the local network".into(), true)]
    );
    assert_eq!(
        checked(&ran, "dns-sd"),
        [("the local network".into(), true)]
    );
    let links = checked(&ran, "websocket");
    assert!(
        links.contains(&("ws://127.0.0.1:7700/mesh".into(), false)),
        "{ran:?}"
    );
    assert!(
        links.contains(&("ws://10.1.0.1:7700/mesh".into(), true)),
        "{ran:?}"
    );
    let by_enet = checked(&ran, "enet");
    assert!(
        by_enet.contains(&("enet://10.1.0.1:14589".into(), true)),
        "{ran:?}"
    );
    for method in ["stun", "turn", "webrtc"] {
        let rows = checked(&ran, method);
        assert!(rows.len() == 1 && rows[0].1, "{method}: {ran:?}");
    }
    for (target, status, words) in [
        ("ws://10.1.0.1:7700/mesh", 0, "zone local"),
        ("10.1.0.1:7700", 0, "zone local"),
        ("10.1.0.1", 0, "zone local"),
        ("relay", 0, "zone local"),
        ("10.1.0.1:7701", 1, "refused"),
        ("nobody", 1, "nobody"),
        ("example.invalid", 1, "example.invalid"),
        ("ws://", 1, "expected an address"),
    ] {
        let ran = run(&b, &["check", target]).await;
        assert_eq!(ran.status, status, "{target}: {ran:?}");
        let told = format!("{}{}", ran.output, ran.complaint);
        assert!(told.contains(words), "{target}: {ran:?}");
    }
}
