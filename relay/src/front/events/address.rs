//! Addresses of the dialect, `zone:router:client`. A router is a relay, whose client is `0`; a client is any other node, by
//! its name or its id. The router says where a client was met: it is found wherever it is now.

use std::fmt;
use std::str::FromStr;

use peerage::error::Code;
use peerage::{Failure, Node, NodeId};

/// The client that a router itself is.
const ROUTER: &str = "0";

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    zone: String,
    router: String,
    client: String,
}

/// Who is meant by an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// The relay that was asked.
    Here,
    /// A node, by its name or id.
    Node(String),
}

/// What is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address `zone:router:client`")]
pub(super) struct BadAddress;

impl Address {
    /// That of a client of this relay.
    pub(super) fn of(relay: &Node, client: impl Into<String>) -> Self {
        let router = relay
            .name()
            .map_or_else(String::new, |name| name.to_string());
        Self {
            zone: relay.zone(),
            router,
            client: client.into(),
        }
    }

    /// That of any node, as this relay knows it.
    pub(super) fn of_node(relay: &Node, id: NodeId) -> Self {
        if relay.id() == id {
            return Self::of(relay, ROUTER);
        }
        let peer = relay.peers().into_iter().find(|peer| peer.id == id);
        match peer {
            Some(peer) => Self::of(relay, peer.name.to_string()),
            None => Self::of(relay, id.to_string()),
        }
    }
}

impl Whom {
    /// Who is meant, said to a relay. Besides addresses, a node's name or id will do; nothing is the relay itself.
    ///
    /// # Errors
    /// `unknown-name` for another zone, or a router that nobody is; `bad-message` for what is no address.
    pub(super) fn read(text: Option<&str>, relay: &Node) -> Result<Self, Failure> {
        let Some(text) = text else {
            return Ok(Self::Here);
        };
        let own = relay.name();
        let is_own = |name: &str| own.as_ref().is_some_and(|own| own.as_str() == name);
        if !text.contains(':') {
            return Ok(match is_own(text) {
                true => Self::Here,
                false => Self::Node(text.to_owned()),
            });
        }
        let address: Address = text.parse()?;
        let unknown = |what: String| Err(Code::UnknownName.because(what).of(text));
        let (zone, router) = (relay.zone(), address.router);
        if address.zone != zone {
            return unknown(format!("expected an address of the zone `{zone}`"));
        }
        let is_known = || {
            relay
                .peers()
                .iter()
                .any(|peer| peer.name.as_str() == router)
        };
        match (is_own(&router), address.client == ROUTER) {
            (true, true) => Ok(Self::Here),
            (false, _) if !is_known() => unknown(format!("nobody is the router `{router}`")),
            (false, true) => Ok(Self::Node(router)),
            (_, false) => Ok(Self::Node(address.client)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.zone, self.router, self.client)
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let parts: Vec<_> = text.split(':').collect();
        match parts[..] {
            [zone, router, client] if parts.iter().all(|part| !part.is_empty()) => Ok(Self {
                zone: zone.to_owned(),
                router: router.to_owned(),
                client: client.to_owned(),
            }),
            _ => Err(BadAddress),
        }
    }
}

impl From<BadAddress> for Failure {
    fn from(bad: BadAddress) -> Self {
        Code::BadMessage.because(bad.to_string())
    }
}

#[cfg(test)]
mod tests {
    use peerage::{Config, Kind};

    use super::*;

    #[test]
    fn an_address_has_three_parts() {
        let address: Address = "main:relay:screen-1".parse().unwrap();
        assert_eq!(address.to_string(), "main:relay:screen-1");
        for text in ["", "a", "a:b", "a:b:c:d", ":b:c", "a::c", "a:b:"] {
            assert_eq!(text.parse::<Address>(), Err(BadAddress), "{text}");
        }
    }

    #[tokio::test]
    async fn who_is_meant_is_a_relay_or_a_node_and_nobody_is_a_failure() {
        let config = Config::new(Kind::Relay).named("relay".parse().unwrap());
        let relay = crate::Node::launch(config, Vec::new()).unwrap();
        relay.online(true).await.unwrap();
        let zone = relay.zone();
        let meant = |text: &str| Whom::read(Some(text), &relay);
        assert_eq!(Whom::read(None, &relay), Ok(Whom::Here));
        assert_eq!(meant("relay"), Ok(Whom::Here));
        assert_eq!(meant(&format!("{zone}:relay:0")), Ok(Whom::Here));
        assert_eq!(
            meant(&format!("{zone}:relay:b")),
            Ok(Whom::Node("b".into()))
        );
        assert_eq!(meant("b"), Ok(Whom::Node("b".into())));
        for (text, code) in [
            ("elsewhere:relay:b", Code::UnknownName),
            (&*format!("{zone}:other:b"), Code::UnknownName),
            ("a:b", Code::BadMessage),
        ] {
            assert_eq!(meant(text).unwrap_err().code, code, "{text}");
        }
        assert_eq!(
            Address::of_node(&relay, relay.id()).to_string(),
            format!("{zone}:relay:0")
        );
    }
}
