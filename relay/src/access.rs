//! Whom the sockets of a node let in by address: asked before anything is read from a caller.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use ipnet::{IpNet, Ipv4Net};
use peerage::{Code, Failure};

/// How many bits of an IPv6 address say that it is one of IPv4 (RFC 4291, 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// An address, or a network of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// The addresses.
    pub fn net(self) -> IpNet {
        self.0
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => Ok(IpNet::from(address)),
            Err(_) => text.parse::<IpNet>(),
        };
        let expected =
            |_| format!("expected an address, or a network such as 10.0.0.0/8, got `{text}`");
        let network = network.map_err(expected)?;
        match network {
            // Callers are known by their IPv4 addresses, so no other would ever fit.
            IpNet::V6(v6)
                if v6.addr().to_ipv4_mapped().is_some() && v6.prefix_len() < MAPPED_BITS =>
            {
                Err(format!(
                    "expected a network of IPv4 addresses such as 10.0.0.0/8 or ::ffff:10.0.0.0/104, got `{text}`"
                ))
            }
            network => Ok(network.into()),
        }
    }
}

impl From<IpNet> for Network {
    /// The network, of IPv4 if its addresses are such.
    fn from(network: IpNet) -> Self {
        let mapped = match network {
            IpNet::V6(v6) => {
                let v4 = v6.addr().to_ipv4_mapped();
                let bits = v6.prefix_len().checked_sub(MAPPED_BITS);
                v4.zip(bits)
                    .and_then(|(v4, bits)| Ipv4Net::new(v4, bits).ok())
            }
            IpNet::V4(_) => None,
        };
        Self(mapped.map_or(network, IpNet::V4).trunc())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Addresses that may call: those that are allowed, or all if none is named, but for those that are denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Which may; empty for all.
    pub allow: Vec<Network>,
    /// Which may not, whatever else is said.
    pub deny: Vec<Network>,
}

impl Addresses {
    /// Whether a caller at this address may.
    ///
    /// # Errors
    /// `unauthorised` if not.
    pub fn check(&self, address: IpAddr) -> Result<(), Failure> {
        // A socket for both families shows IPv4 addresses as IPv6.
        let address = address.to_canonical();
        let holds = |list: &[Network]| list.iter().any(|network| network.0.contains(&address));
        if holds(&self.deny) {
            return Err(Code::Unauthorised.because("this address is denied access here"));
        }
        if self.allow.is_empty() || holds(&self.allow) {
            return Ok(());
        }
        Err(Code::Unauthorised.because("this address is not among those that have access here"))
    }
}

/// From where a node's UDP sockets hear anything: from everywhere, until it is said. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Hearing(Arc<OnceLock<Addresses>>);

impl Hearing {
    /// From these addresses only. It is said once, before a socket is bound.
    pub fn only(&self, addresses: Addresses) {
        // What was said first stays.
        let _ = self.0.set(addresses);
    }

    /// Whether somebody at this address is heard.
    pub fn has(&self, address: IpAddr) -> bool {
        let addresses = self.0.get();
        addresses.is_none_or(|addresses| addresses.check(address).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn who_is_denied_stays_out_and_a_list_of_the_allowed_keeps_others_out() {
        let addresses = Addresses {
            allow: list(&["10.0.0.0/8", "fd00::/8", "::ffff:192.0.2.7"]),
            deny: list(&["::ffff:10.1.0.0/112", "fd00::5"]),
        };
        for (address, may) in [
            ("10.2.0.1", true),
            ("10.1.2.3", false),
            ("::ffff:10.1.2.3", false),
            ("::ffff:10.2.2.3", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("fd00::6", true),
            ("fd00::5", false),
            ("::1", false),
        ] {
            let checked = addresses.check(address.parse().unwrap());
            let code = checked.map_err(|failure| failure.code);
            let expected = if may { Ok(()) } else { Err(Code::Unauthorised) };
            assert_eq!(code, expected, "{address}");
        }
    }

    #[test]
    fn ipv4_in_the_form_of_ipv6_is_ipv4() {
        for (text, plain) in [
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), plain);
        }
    }

    #[test]
    fn without_lists_everyone_may() {
        let addresses = Addresses::default();
        assert_eq!(addresses.check("203.0.113.1".parse().unwrap()), Ok(()));
    }

    #[test]
    fn ipv4_addresses_are_the_same_however_they_are_written() {
        let addresses = Addresses {
            allow: list(&["::ffff:10.0.0.0/104", "::ffff:192.0.2.7"]),
            deny: Vec::new(),
        };
        for (address, may) in [
            ("10.2.0.1", true),
            ("::ffff:10.2.0.1", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
        ] {
            let checked = addresses.check(address.parse().unwrap());
            assert_eq!(checked.is_ok(), may, "{address}");
        }
    }

    #[test]
    fn what_is_no_network_is_told() {
        for text in [
            "10.0.0.0/33",
            "ten",
            "",
            "::/129",
            "1.2.3",
            "::ffff:10.0.0.0/90",
        ] {
            let error = text.parse::<Network>().unwrap_err();
            assert!(
                error.contains("10.0.0.0/8") && error.contains(text),
                "{error}"
            );
        }
    }
}
