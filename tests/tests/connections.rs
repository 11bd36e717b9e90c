//! Connections of processes: whom they let in, what is said of it, and relays behind TLS.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use peerage_relay::config::schema;
use peerage_tests::{Peer, Ran, Relay, join, program, until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A front that speaks TLS with its callers and passes on what they say to a relay.
struct TlsFront {
    address: String,
    /// Whom to trust to call it.
    authority: PathBuf,
    _folder: TempDir,
}

impl TlsFront {
    async fn before(relay: &Relay) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let relay = relay.address.clone();
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let (acceptor, relay) = (acceptor.clone(), relay.clone());
                tokio::spawn(async move {
                    // Who does not trust it hangs up.
                    let Ok(mut near) = acceptor.accept(caller).await else {
                        return;
                    };
                    let mut far = TcpStream::connect(relay).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self {
            address: format!("wss://localhost:{port}/mesh"),
            authority,
            _folder: folder,
        }
    }

    /// What a command comes to at a peer that calls by this front, and trusts it or not.
    async fn run(&self, line: &str, trusting: bool) -> Ran {
        let mut command = Command::new(program());
        command.args(["peer", "-c", line, "--relay", &self.address]);
        if trusting {
            command.env("SSL_CERT_FILE", &self.authority);
        }
        let ran = tokio::task::spawn_blocking(move || command.output()).await;
        let output = ran.unwrap().unwrap();
        Ran {
            status: output.status.code().unwrap(),
            output: String::from_utf8(output.stdout).unwrap(),
            complaint: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[tokio::test]
async fn a_relay_behind_tls_is_called_by_who_trusts_it_and_by_nobody_else() {
    let relay = Relay::start("127.0.0.1:0");
    let front = TlsFront::before(&relay).await;
    let ran = front.run("calc 6*7 @relay", true).await;
    assert_eq!((ran.status, ran.output.trim()), (0, "42"), "{ran:?}");
    // More than one record of TLS, and more than the pipe gathers.
    let text = "x".repeat(7000);
    let ran = front.run(&format!("echo {text} @relay"), true).await;
    assert_eq!(ran.output.trim(), text, "{}", ran.complaint);
    let ran = front.run("calc 6*7 @relay", false).await;
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.complaint.contains("certificate"), "{ran:?}");
}

#[tokio::test]
async fn a_caller_whose_address_has_no_access_is_told_so_and_others_go_on() {
    let config = json!({ "access": { "addresses": { "deny": ["127.0.0.2/31"] } } });
    let relay = Relay::configured(&config);
    let ran = relay.run("calc 1+2 @relay", &[]).await;
    assert_eq!((ran.status, ran.output.as_str()), (0, "3"), "{ran:?}");
    let answer = from("127.0.0.2", &relay.address).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["code"], "unauthorised");
    let answer = from("127.0.0.1", &relay.address).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// What a relay answers to a caller at this address.
async fn from(address: &str, relay: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket
        .bind(format!("{address}:0").parse().unwrap())
        .unwrap();
    let mut socket = socket.connect(relay.parse().unwrap()).await.unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {relay}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn only_allowed_nodes_join_a_relay_that_names_them() {
    let id = "A".repeat(52);
    let relay = Relay::configured(&json!({ "access": { "nodes": { "allow": [id] } } }));
    let ran = relay.run("calc 1+2 @relay", &[]).await;
    assert_eq!(ran.status, 1);
    assert!(ran.complaint.contains("unauthorised"), "{ran:?}");
}

#[tokio::test]
async fn a_link_that_a_program_ends_is_shown_to_both_and_made_again() {
    let relay = Relay::start("127.0.0.1:0");
    let (here, there) = (join(&relay, "here").await, join(&relay, "there").await);
    let address = relay.mesh();
    let connections = here.connections();
    let [link] = &connections[..] else {
        panic!("{connections:?}")
    };
    assert_eq!(link.address.as_deref(), Some(&*address));
    assert_eq!(link.medium.unwrap().as_str(), "websocket");
    let top = here.uplink().unwrap();
    here.disconnect(top, "by hand").unwrap();
    relay.until_here("here", false).await;
    assert_eq!(here.state().as_str(), "offline");
    let linked = here.dialled(&address).await.unwrap();
    assert_eq!((linked.node, linked.address), (Some(top), Some(address)));
    assert_eq!(here.run("calc 1+2 @there").await.unwrap().output, "3");
    let links = there.run("links").await.unwrap();
    assert!(links.output.contains("websocket"), "{}", links.output);
    let refused = here.dialled("ws://127.0.0.1:9/mesh?token=hush").await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code.as_str(), "unreachable");
    until("the socket that was ended is closed", async || {
        here.connections()
            .iter()
            .filter(|c| c.link.is_some())
            .count()
            == 1
    })
    .await;
    let shown = format!("{:?}", here.connections());
    assert!(
        shown.contains("ws://127.0.0.1:9/mesh") && !shown.contains("hush"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_peer_changes_over_from_relay_to_relay_by_a_command() {
    let first = Relay::start("127.0.0.1:0");
    let second = Relay::below(&[&first], "second").await;
    let _other = Peer::start(&first, "other", &json!({})).await;
    let node = join(&first, "mover").await;
    let line = format!("connect {}", second.mesh());
    let outcome = node.run(&line).await.unwrap();
    assert_eq!(outcome.status.0, 0, "{}", outcome.output);
    assert_eq!(node.run("calc 2*21 @other").await.unwrap().output, "42");
    let up = node.uplink().unwrap();
    let second_id = node.resolve("second").await.unwrap();
    assert_eq!(Some(up), second_id);
}

#[tokio::test]
async fn the_schema_is_printed_and_a_file_is_checked_by_it() {
    let ran = Ran::of(&["config", "schema"]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&ran.output).unwrap(),
        schema()
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("peer.json");
    let check = async |config: Value| {
        std::fs::write(&file, config.to_string()).unwrap();
        Ran::of(&["config", "check", file.to_str().unwrap()]).await
    };
    let ran = check(json!({ "timeouts": { "silenceMs": 9000 } })).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    let ran = check(json!({ "timeouts": { "silenceMs": 9 } })).await;
    assert_eq!(ran.status, 1);
    for words in [
        "peer.json",
        "timeouts.silenceMs",
        "expected 300 to",
        "got 9",
    ] {
        assert!(ran.complaint.contains(words), "{ran:?}");
    }
}
