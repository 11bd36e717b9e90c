//! Whose pages may call the mesh socket. Browsers let any page open a WebSocket to any address, so
//! the page's origin must be known here; programs that are no browsers send none.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::http::{HeaderMap, header};

/// The origins whose pages may call.
#[derive(Debug)]
pub struct Origins(BTreeSet<String>);

/// A page that may not call.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a page of an allowed origin ({allowed}), got `{origin}`")]
pub struct OriginRefused {
    allowed: String,
    origin: String,
}

impl Origins {
    /// The relay's own pages, by every name of the loopback interface, and those that the
    /// configuration adds. What the `Host` header says is not believed: a page elsewhere can choose
    /// it by pointing its own name here.
    pub fn new(listen: SocketAddr, configured: &[String]) -> Self {
        let port = listen.port();
        let own = ["localhost", "127.0.0.1", "[::1]"]
            .map(|host| format!("http://{host}:{port}"))
            .into_iter()
            .chain([format!("http://{listen}")]);
        Self(
            own.chain(
                configured
                    .iter()
                    .map(|o| o.trim_end_matches('/').to_owned()),
            )
            .collect(),
        )
    }

    /// Whether a call with these headers may go on.
    ///
    /// # Errors
    /// The origin, and those that are allowed.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), OriginRefused> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return Ok(());
        };
        let known = origin.to_str().is_ok_and(|origin| self.0.contains(origin));
        if known && origins.next().is_none() {
            return Ok(());
        }
        let allowed: Vec<_> = self.0.iter().map(String::as_str).collect();
        let origin = String::from_utf8_lossy(origin.as_bytes())
            .chars()
            .take(200)
            .collect();
        Err(OriginRefused {
            allowed: allowed.join(", "),
            origin,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origin: Option<&str>) -> bool {
        let listen = "127.0.0.1:7700".parse().unwrap();
        let origins = Origins::new(listen, &["https://ok.example/".into()]);
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        headers.insert(header::HOST, "evil.example:7700".parse().unwrap());
        origins.check(&headers).is_ok()
    }

    #[test]
    fn own_pages_configured_ones_and_programs_may_call() {
        for origin in [
            None,
            Some("http://127.0.0.1:7700"),
            Some("http://localhost:7700"),
            Some("http://[::1]:7700"),
            Some("https://ok.example"),
        ] {
            assert!(check(origin), "{origin:?}");
        }
    }

    #[test]
    fn everyone_elses_pages_may_not() {
        for origin in [
            "null",
            "",
            "http://evil.example:7700",
            "http://127.0.0.1:7701",
            "http://127.0.0.1",
            "https://127.0.0.1:7700",
            "http://127.0.0.1:7700.evil.example",
            "http://localhost:7700@evil.example",
            "https://sub.ok.example",
            "http://ok.example",
        ] {
            assert!(!check(Some(origin)), "{origin}");
        }
    }
}
