//! What a reverse proxy adds to heads, changes in them and takes away.

use std::net::SocketAddr;

use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::uri::Uri;
use peerage::http::{is_websocket, strip_connection};

/// What only a proxy may say of a request; the caller's own word is not believed.
const SAID_BY_PROXIES: [HeaderName; 8] = [
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-real-ip"),
];

/// What a node may not say of the relay's whole origin.
const SAID_OF_ORIGINS: [HeaderName; 9] = [
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("service-worker-allowed"),
    HeaderName::from_static("alt-svc"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("report-to"),
    HeaderName::from_static("set-login"),
    HeaderName::from_static("accept-ch"),
    HeaderName::from_static("use-as-dictionary"),
    header::STRICT_TRANSPORT_SECURITY,
];

/// Pages are of an origin of their own, which nobody else has: they can run and be used, but not reach what
/// the browser keeps for the console.
const SANDBOX: HeaderValue = HeaderValue::from_static(
    "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads",
);

/// Makes a request's headers those that a node gets.
pub(super) fn forward(headers: &mut HeaderMap, caller: SocketAddr, prefix: &str) {
    let upgrade = is_upgrade(headers);
    strip_connection(headers);
    if !upgrade {
        headers.remove(header::UPGRADE);
    }
    SAID_BY_PROXIES
        .iter()
        .for_each(|name| drop(headers.remove(name)));
    let ip = caller.ip();
    let quoted = match ip.is_ipv6() {
        true => format!("\"[{ip}]\""),
        false => ip.to_string(),
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .map(str::to_owned);
    let host_part = host.as_deref().filter(|host| !host.contains(['"', '\\']));
    let host_part = host_part.map_or_else(String::new, |host| format!(";host=\"{host}\""));
    let mut set = |name: &'static str, value: &str| {
        // Addresses, hosts and names are all values.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set("forwarded", &format!("for={quoted}{host_part};proto=http"));
    set("x-forwarded-for", &ip.to_string());
    set("x-forwarded-proto", "http");
    set("x-forwarded-prefix", prefix);
    if let Some(host) = host {
        set("x-forwarded-host", &host);
    }
}

/// Whether a caller asks for a WebSocket on this very connection.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONNECTION).iter();
    let mut tokens = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    is_websocket(headers) && tokens.any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
}

/// Makes a response's headers those that the caller gets: addresses on the node are below `prefix` here.
pub(super) fn back(
    headers: &mut HeaderMap,
    host: Option<&HeaderValue>,
    prefix: &str,
    sandboxed: bool,
) {
    SAID_OF_ORIGINS
        .iter()
        .for_each(|name| drop(headers.remove(name)));
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        let moved = headers.get(&name).and_then(|to| moved(to, host, prefix));
        if let Some(to) = moved {
            headers.insert(name, to);
        }
    }
    let cookies: Vec<_> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .map(|cookie| scoped(cookie, prefix))
        .collect();
    if !cookies.is_empty() {
        headers.remove(header::SET_COOKIE);
        for cookie in cookies.into_iter().flatten() {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
    if sandboxed {
        // To a browser all nodes are one server: it would give one of them the password of another.
        headers.remove(header::WWW_AUTHENTICATE);
        headers.append(header::CONTENT_SECURITY_POLICY, SANDBOX);
    }
}

/// Where an address of the node's root is here; `None` if it is elsewhere, or told relative to the request's.
fn moved(to: &HeaderValue, host: Option<&HeaderValue>, prefix: &str) -> Option<HeaderValue> {
    let text = std::str::from_utf8(to.as_bytes()).ok()?;
    if text.starts_with('/') {
        let elsewhere = text.starts_with("//") || text.starts_with("/\\");
        return (!elsewhere).then(|| HeaderValue::from_str(&format!("{prefix}{text}")).ok())?;
    }
    let uri: Uri = text.parse().ok()?;
    let same = uri.scheme_str() == Some("http")
        && uri.authority()?.as_str().as_bytes() == host?.as_bytes();
    let path = uri.path_and_query()?.as_str();
    same.then(|| HeaderValue::from_str(&format!("{prefix}{path}")).ok())?
}

/// A cookie that the browser sends to this node only: its path is below the prefix, and its domain is the relay's.
/// `None` for one that cannot be read.
fn scoped(cookie: &HeaderValue, prefix: &str) -> Option<HeaderValue> {
    let bytes = cookie.as_bytes();
    let mut parts = bytes.split(|byte| *byte == b';');
    let mut scoped = parts.next()?.to_vec();
    let mut path = None;
    for part in parts {
        let key = part
            .split(|byte| *byte == b'=')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        if key.eq_ignore_ascii_case(b"domain") {
            continue;
        }
        if key.eq_ignore_ascii_case(b"path") {
            let at = part.iter().position(|byte| *byte == b'=');
            path = at.map(|at| part[at + 1..].trim_ascii());
            continue;
        }
        scoped.push(b';');
        scoped.extend_from_slice(part);
    }
    // The default of a browser would be the request's folder, which is below the prefix but not the node's root.
    let path = path.filter(|path| path.first() == Some(&b'/'));
    if let Some(path) = path {
        scoped.extend_from_slice(format!("; Path={prefix}").as_bytes());
        scoped.extend_from_slice(path);
    }
    HeaderValue::from_bytes(&scoped).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        fields.iter().map(field).collect()
    }

    fn returned(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = headers(fields);
        back(
            &mut headers,
            Some(&HeaderValue::from_static("h:1")),
            "/n/b",
            false,
        );
        headers
    }

    #[test]
    fn a_node_is_told_who_asks_by_the_relay_alone() {
        let mut request = headers(&[
            ("host", "h:1"),
            ("x-forwarded-for", "9.9.9.9"),
            ("forwarded", "for=9.9.9.9"),
            ("x-real-ip", "9.9.9.9"),
            ("connection", "close, x-own, host, upgrade"),
            ("x-own", "1"),
            ("upgrade", "h2c"),
            ("te", "trailers"),
            ("keep-alive", "1"),
            ("proxy-authorization", "hush"),
        ]);
        forward(&mut request, "127.0.0.1:5".parse().unwrap(), "/n/b");
        let expected = headers(&[
            ("host", "h:1"),
            ("forwarded", "for=127.0.0.1;host=\"h:1\";proto=http"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-prefix", "/n/b"),
            ("x-forwarded-host", "h:1"),
        ]);
        assert_eq!(request, expected);
    }

    #[test]
    fn addresses_of_the_nodes_root_are_below_its_prefix() {
        for (to, expected) in [
            ("/x?y", "/n/b/x?y"),
            ("/", "/n/b/"),
            ("http://h:1/x", "/n/b/x"),
            ("x", "x"),
            ("../x", "../x"),
            ("//h:1/x", "//h:1/x"),
            ("http://other/x", "http://other/x"),
            ("https://h:1/x", "https://h:1/x"),
        ] {
            assert_eq!(returned(&[("location", to)])["location"], expected, "{to}");
        }
    }

    #[test]
    fn cookies_are_the_nodes_own() {
        for (cookie, expected) in [
            ("a=b", "a=b"),
            ("a=b; Path=/; HttpOnly", "a=b; HttpOnly; Path=/n/b/"),
            ("a=b; path=/x; Domain=h", "a=b; Path=/n/b/x"),
            ("a=b; Path=x; Secure", "a=b; Secure"),
        ] {
            assert_eq!(
                returned(&[("set-cookie", cookie)])["set-cookie"],
                expected,
                "{cookie}"
            );
        }
        let two = returned(&[("set-cookie", "a=b"), ("set-cookie", "c=d")]);
        assert_eq!(two.get_all("set-cookie").iter().count(), 2);
    }

    #[test]
    fn a_node_says_nothing_of_the_whole_origin() {
        assert!(returned(&[("clear-site-data", "*"), ("service-worker-allowed", "/")]).is_empty());
        let mut page = headers(&[
            ("content-security-policy", "default-src 'self'"),
            ("www-authenticate", "Basic realm=\"all\""),
        ]);
        back(&mut page, None, "/n/b", true);
        assert_eq!(page.get_all("content-security-policy").iter().count(), 2);
        assert!(!page.contains_key("www-authenticate"));
    }
}
