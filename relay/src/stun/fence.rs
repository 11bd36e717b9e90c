//! Where allocations lead: to addresses that anybody on the internet can reach anyway. What is on this machine,
//! on its network or of no single host is closed, unless the configuration opens it.

use std::net::IpAddr;

use ipnet::IpNet;

/// What is closed, of the special-purpose registries of IANA: hosts here and nearby, addresses that mean others,
/// and those that mean many or nobody.
const CLOSED: [&str; 30] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/96",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "::1/128",
];

/// What is closed, and what is open nevertheless.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    closed: Vec<IpNet>,
    open: Vec<IpNet>,
}

impl Fence {
    /// The usual one, with these networks open.
    pub(crate) fn new(open: Vec<IpNet>) -> Self {
        let closed = CLOSED.iter().filter_map(|net| net.parse().ok());
        Self {
            closed: closed.collect(),
            open,
        }
    }

    /// Whether an allocation may lead there.
    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        let closed = || {
            self.closed
                .iter()
                .any(|net| net.contains(&ip.to_canonical()))
        };
        self.opens(ip) || !closed()
    }

    /// Whether the configuration says so.
    pub(crate) fn opens(&self, ip: IpAddr) -> bool {
        self.open.iter().any(|net| net.contains(&ip.to_canonical()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(fence: &Fence, ip: &str) -> bool {
        fence.allows(ip.parse().unwrap())
    }

    #[test]
    fn what_is_here_nearby_or_nobody_is_closed() {
        let fence = Fence::new(Vec::new());
        assert_eq!(fence.closed.len(), CLOSED.len());
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.251",
            "239.255.255.250",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!allows(&fence, ip), "{ip}");
        }
        for ip in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "::ffff:8.8.8.8",
            "2606:4700::1",
        ] {
            assert!(allows(&fence, ip), "{ip}");
        }
    }

    #[test]
    fn a_configuration_opens_what_it_names() {
        let fence = Fence::new(vec![
            "10.1.0.0/16".parse().unwrap(),
            "::1/128".parse().unwrap(),
        ]);
        for (ip, open) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("::1", true),
            ("127.0.0.1", false),
        ] {
            assert_eq!(allows(&fence, ip), open, "{ip}");
        }
    }
}
