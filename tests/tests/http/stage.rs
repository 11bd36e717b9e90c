//! The same site twice: plainly, and at the node `b` of a relay.

#![allow(dead_code, reason = "each test uses a part of what they share")]

use peerage_relay::Node;
use peerage_tests::{Relay, join};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::cases::Case;
use crate::raw::{Raw, fetch};
use crate::site::{self, site};

/// Names of the relay, besides its address.
pub(super) const HOSTS: [&str; 2] = ["http://site.test", "http://x"];

pub(super) struct Stage {
    pub(super) relay: Relay,
    pub(super) b: Node,
    /// Address and port of the plain server.
    pub(super) plain: String,
    _files: TempDir,
}

impl Stage {
    pub(super) async fn new() -> Self {
        Self::on(Relay::configured(&json!({ "origins": HOSTS }))).await
    }

    pub(super) async fn on(relay: Relay) -> Self {
        let files = tempfile::tempdir().unwrap();
        site::write_files(files.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain = listener.local_addr().unwrap().to_string();
        let routes = site(files.path());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let b = join(&relay, "b").await;
        b.serve(site(files.path()));
        Self {
            relay,
            b,
            plain,
            _files: files,
        }
    }

    /// What the plain server answers.
    pub(super) async fn plainly(&self, case: &Case) -> Raw {
        fetch(
            &self.plain,
            &case.method,
            &case.path,
            &case.lines,
            &case.body,
        )
        .await
    }

    /// What a node answers through the relay, without what only a proxy says.
    pub(super) async fn proxied(&self, node: &str, case: &Case) -> Raw {
        let (address, prefix) = (&self.relay.address, format!("/n/{node}"));
        let path = format!("{prefix}{}", case.path);
        let mut answer = fetch(address, &case.method, &path, &case.lines, &case.body).await;
        answer
            .fields
            .retain(|(name, _)| name != "content-security-policy");
        for (name, value) in &mut answer.fields {
            let put = match &**name {
                "location" => prefix.clone(),
                "set-cookie" => format!("{node}~"),
                _ => continue,
            };
            let to = String::from_utf8_lossy(value).into_owned();
            *value = to.strip_prefix(&put).unwrap_or(&to).into();
        }
        answer
    }

    /// Both.
    pub(super) async fn both(&self, case: &Case) -> [Raw; 2] {
        [self.plainly(case).await, self.proxied("b", case).await]
    }

    /// What the relay answers to a GET.
    pub(super) async fn through(&self, path: &str) -> Raw {
        fetch(&self.relay.address, "GET", path, "", b"").await
    }
}
