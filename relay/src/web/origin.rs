//! Whose pages may call the mesh socket. Browsers let any page open a WebSocket to any address, so
//! the page's origin must be known here; programs that are no browsers send none.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::http::{HeaderMap, header};

/// The origins whose pages may call.
#[derive(Debug)]
pub struct Origins {
    known: BTreeSet<String>,
    /// The hosts of these, each with its port, and by its usual one also without.
    hosts: BTreeSet<String>,
}

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
        let configured = configured
            .iter()
            .map(|o| o.trim_end_matches('/').to_ascii_lowercase());
        let known: BTreeSet<_> = own.chain(configured).collect();
        let hosts = known.iter().flat_map(|origin| hosts_of(origin)).collect();
        Self { known, hosts }
    }

    /// Whether this is a name of the relay, as a request tells it: that of an origin, or the address at which the
    /// request came in.
    pub fn is_own_host(&self, host: &str, local: Option<SocketAddr>) -> bool {
        self.hosts.contains(&host.to_ascii_lowercase())
            || local.is_some_and(|local| hosts_of(&origin_at(local)).any(|own| own == host))
    }

    /// Whether a call with these headers, that came in at this address, may go on.
    ///
    /// # Errors
    /// The origin, and those that are allowed.
    pub fn check(
        &self,
        headers: &HeaderMap,
        local: Option<SocketAddr>,
    ) -> Result<(), OriginRefused> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return Ok(());
        };
        let known = origin.to_str().is_ok_and(|origin| {
            self.known.contains(origin) || local.is_some_and(|local| origin_at(local) == origin)
        });
        if known && origins.next().is_none() {
            return Ok(());
        }
        let allowed: Vec<_> = self.known.iter().map(String::as_str).collect();
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

/// The origin of pages that come from an address itself, which nobody can point elsewhere.
fn origin_at(local: SocketAddr) -> String {
    let local = SocketAddr::new(local.ip().to_canonical(), local.port());
    match local.port() {
        80 => format!("http://{local}").trim_end_matches(":80").to_owned(),
        _ => format!("http://{local}"),
    }
}

/// The host of an origin, as requests may tell it.
fn hosts_of(origin: &str) -> impl Iterator<Item = String> + use<> {
    let (scheme, host) = origin.split_once("://").unwrap_or_default();
    let port = match scheme {
        "https" => ":443",
        _ => ":80",
    };
    let bare = host.strip_suffix(port).unwrap_or(host).to_owned();
    let has_port =
        !bare.ends_with(']') && bare.contains(':') && !bare.starts_with('[') || bare.contains("]:");
    let full = (!has_port).then(|| format!("{bare}{port}"));
    [Some(bare), full]
        .into_iter()
        .flatten()
        .filter(|host| !host.is_empty())
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
        origins.check(&headers, None).is_ok()
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

    #[test]
    fn a_host_is_the_relays_own_or_another() {
        let listen = "0.0.0.0:7700".parse().unwrap();
        let configured = ["https://ok.example/".into(), "http://b.example:81".into()];
        let origins = Origins::new(listen, &configured);
        let local = "[::ffff:10.0.0.5]:7700".parse().ok();
        for host in [
            "localhost:7700",
            "LocalHost:7700",
            "127.0.0.1:7700",
            "[::1]:7700",
            "0.0.0.0:7700",
            "10.0.0.5:7700",
            "ok.example",
            "ok.example:443",
            "b.example:81",
        ] {
            assert!(origins.is_own_host(host, local), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:7700",
            "10.0.0.6:7700",
            "10.0.0.5",
            "10.0.0.5:80",
            "localhost",
            "localhost:7701",
            "b.example",
            "ok.example:80",
            "localhost:7700.evil.example",
            "localhost:7700, evil.example",
        ] {
            assert!(!origins.is_own_host(host, local), "{host}");
        }
        let web = Origins::new("[::1]:80".parse().unwrap(), &[]);
        for host in ["localhost", "localhost:80", "[::1]", "[::1]:80"] {
            assert!(web.is_own_host(host, None), "{host}");
        }
    }
}
