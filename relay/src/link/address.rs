//! Addresses of nodes, as people write them: `ws://host:port/mesh`. Two things more may be said, and are kept in the
//! address's fragment, which never leaves this node: `#node=ID`, who must be there, and `%eth0` after an IPv6 address of
//! the link, by which interface: `ws://[fe80::1%eth0]:7700/mesh`.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

use peerage::NodeId;
use peerage::id::IdError;
use tokio::net::lookup_host;
use url::{Host, Url, form_urlencoded};

const NODE: &str = "node";
const INTERFACE: &str = "interface";
/// Bytes of the longest address that is read.
const ADDRESS_BYTES_MAX: usize = 2048;

/// Text that is no address of a node.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It is no URL.
    #[error("expected an address such as ws://127.0.0.1:7700/mesh, got `{0}`: {1}")]
    NoUrl(String, url::ParseError),
    /// It is too long to be one.
    #[error("expected an address of at most {ADDRESS_BYTES_MAX} bytes")]
    TooLong,
    /// The node that must be there is not named as nodes are.
    #[error("at `#node=`: {0}")]
    Node(#[from] IdError),
    /// An interface is said, and the address is none of IPv6 on a link.
    #[error("expected an interface after an IPv6 address that begins with fe80, got `{0}`")]
    Interface(String),
}

/// Reads an address.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Url, AddressError> {
    if text.len() > ADDRESS_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    let (plain, interface) = without_interface(text);
    let url = Url::parse(&plain).map_err(|error| AddressError::NoUrl(text.to_owned(), error))?;
    let node = node(&url)?;
    let interface = interface
        .map(str::to_owned)
        .or_else(|| self::interface(&url));
    if interface.is_some() && !link_ip(&url).is_some_and(|ip| ip.is_unicast_link_local()) {
        return Err(AddressError::Interface(text.to_owned()));
    }
    Ok(with(url, node, interface.as_deref()))
}

/// The same address, with who must be there and by which interface.
#[must_use]
pub fn with(mut url: Url, node: Option<NodeId>, interface: Option<&str>) -> Url {
    let mut said = form_urlencoded::Serializer::new(String::new());
    if let Some(node) = node {
        said.append_pair(NODE, &node.to_string());
    }
    if let Some(interface) = interface {
        said.append_pair(INTERFACE, interface);
    }
    let said = said.finish();
    url.set_fragment((!said.is_empty()).then_some(said.as_str()));
    url
}

/// Who must be there, if that is said.
///
/// # Errors
/// If it is not said as it should be.
pub fn node(url: &Url) -> Result<Option<NodeId>, IdError> {
    said(url, NODE).map(|id| NodeId::from_str(&id)).transpose()
}

/// By which interface it is, if that is said.
pub fn interface(url: &Url) -> Option<String> {
    said(url, INTERFACE)
}

/// An address as people write it, and as it may be told: a password or a token in it may not.
pub fn show(url: &Url) -> String {
    let mut plain = url.clone();
    // An address without a host has no password either.
    let _ = plain
        .set_username("")
        .and_then(|()| plain.set_password(None));
    plain.set_query(None);
    plain.set_fragment(None);
    let text = String::from(plain);
    match interface(url) {
        Some(interface) => text.replacen(']', &format!("%{interface}]"), 1),
        None => text,
    }
}

/// The sockets' addresses that it stands for.
///
/// # Errors
/// If its host is not known, or the interface not there.
pub async fn resolve(url: &Url) -> io::Result<Vec<SocketAddr>> {
    let port = url.port_or_known_default().unwrap_or_default();
    if let Some(ip) = link_ip(url) {
        let scope = interface(url).map_or(Ok(0), |name| index_of(&name))?;
        return Ok(vec![SocketAddrV6::new(ip, port, 0, scope).into()]);
    }
    let host = url.host_str().unwrap_or_default();
    Ok(lookup_host(format!("{host}:{port}")).await?.collect())
}

/// The address of a way in at a socket's address, of this scheme and path.
pub fn of(scheme: &str, at: SocketAddr, path: &str) -> Option<Url> {
    let interface = match at {
        SocketAddr::V6(at) if at.scope_id() != 0 => Some(name_of(at.scope_id())?),
        _ => None,
    };
    let host = match at.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let url = Url::parse(&format!("{scheme}://{host}:{}{path}", at.port())).ok()?;
    Some(with(url, None, interface.as_deref()))
}

fn said(url: &Url, key: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(url.fragment()?.as_bytes());
    pairs.find_map(|(k, value)| (k == key).then(|| value.into_owned()))
}

fn link_ip(url: &Url) -> Option<std::net::Ipv6Addr> {
    match url.host()? {
        Host::Ipv6(ip) => Some(ip),
        // A scheme that the standard does not know has hosts that are not read.
        Host::Domain(host) => host.strip_prefix('[')?.strip_suffix(']')?.parse().ok(),
        Host::Ipv4(_) => None,
    }
}

/// The text without what follows `%` in brackets, and that; `%25` is the form that RFC 6874 has.
fn without_interface(text: &str) -> (String, Option<&str>) {
    let parts = || {
        let (before, rest) = text.split_once('[')?;
        let (host, after) = rest.split_once(']')?;
        let (ip, interface) = host.split_once("%25").or_else(|| host.split_once('%'))?;
        Some((format!("{before}[{ip}]{after}"), interface))
    };
    match parts() {
        Some((plain, interface)) => (plain, Some(interface)),
        None => (text.to_owned(), None),
    }
}

/// The number of an interface, by its name or as it is.
fn index_of(name: &str) -> io::Result<u32> {
    let found = if_addrs::get_if_addrs()?
        .into_iter()
        .find(|i| i.name == name);
    let index = found.and_then(|interface| interface.index);
    index.or_else(|| name.parse().ok()).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("there is no interface `{name}`"),
        )
    })
}

fn name_of(index: u32) -> Option<String> {
    let mut all = if_addrs::get_if_addrs().ok()?.into_iter();
    all.find_map(|i| (i.index == Some(index)).then_some(i.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "b2ggwbtxrbg22ynq3hfpurhcgfqd7ctlwcwbkmhbvkcyrc7zo6fa";

    #[test]
    fn an_address_is_told_without_what_is_secret_in_it() {
        let url = "ws://me:hush@host:1/mesh?token=hush".parse().unwrap();
        assert_eq!(show(&url), "ws://host:1/mesh");
    }

    #[test]
    fn an_address_says_who_must_be_there_and_by_which_interface() {
        let id: NodeId = NodeId::from_bytes([7; 32]);
        let url = parse(&format!("ws://[fe80::1%eth0]:7700/mesh#node={id}")).unwrap();
        assert_eq!(node(&url).unwrap(), Some(id));
        assert_eq!(interface(&url).as_deref(), Some("eth0"));
        assert_eq!(show(&url), "ws://[fe80::1%eth0]:7700/mesh");
        // What is read again is the same.
        assert_eq!(parse(url.as_str()).unwrap(), url);
        assert_eq!(
            parse("ws://[fe80::1%25eth0]:7700/mesh").unwrap(),
            with(url, None, Some("eth0"))
        );
        let plain = parse("ws://host:7700/mesh").unwrap();
        assert_eq!((node(&plain).unwrap(), interface(&plain)), (None, None));
        let url = parse("enet://[fe80::1%eth0]:14589").unwrap();
        assert_eq!(show(&url), "enet://[fe80::1%eth0]:14589");
    }

    #[test]
    fn what_is_no_address_is_refused_in_words() {
        for (text, words) in [
            ("here", "`here`"),
            ("ws://[fe80::1%eth0:7700/mesh", "expected an address"),
            ("ws://h/mesh#node=x", "node id"),
            ("ws://[fd00::1%eth0]:1/mesh", "expected an interface after"),
            (
                "ws://1.2.3.4:1/mesh#interface=eth0",
                "expected an interface after",
            ),
            (&format!("ws://{}", ID.repeat(50)), "at most 2048 bytes"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[tokio::test]
    async fn an_address_leads_to_sockets_by_the_interface_that_is_said() {
        let sockets = |text: &str| {
            let url = parse(text).unwrap();
            async move { resolve(&url).await }
        };
        let at = sockets("ws://[::1]:7700/mesh").await.unwrap();
        assert_eq!(at, ["[::1]:7700".parse().unwrap()]);
        let at = sockets("ws://[fe80::1%lo]:7700/mesh").await.unwrap();
        let [SocketAddr::V6(at)] = at[..] else {
            panic!("{at:?}")
        };
        assert_ne!(at.scope_id(), 0);
        assert_eq!(
            of("ws", at.into(), "/mesh"),
            parse("ws://[fe80::1%lo]:7700/mesh").ok()
        );
        let none = sockets("ws://[fe80::1%nowhere]:7700/mesh")
            .await
            .unwrap_err();
        assert!(none.to_string().contains("no interface `nowhere`"));
    }
}
