//! At which addresses a socket can be reached.

use std::net::{IpAddr, SocketAddr};

use str0m::Candidate;

/// The candidates of a socket that is bound here: its address, or if that is all of this machine's, each of
/// them; and what a router makes of them, if that is known.
pub(super) fn candidates(bound: SocketAddr, public: Option<IpAddr>) -> Vec<Candidate> {
    let here = match bound.ip().is_unspecified() {
        false => vec![bound.ip()],
        true => own(bound.is_ipv6()),
    };
    let hosts = here.iter().map(|ip| SocketAddr::new(*ip, bound.port()));
    let mut candidates = Vec::from_iter(hosts.filter_map(|at| Candidate::host(at, "udp").ok()));
    if let Some(public) = public {
        let base = here.iter().find(|ip| ip.is_ipv4() == public.is_ipv4());
        let candidate = base.and_then(|base| {
            let (at, base) = (bound.port(), SocketAddr::new(*base, bound.port()));
            Candidate::server_reflexive(SocketAddr::new(public, at), base, "udp").ok()
        });
        candidates.extend(candidate);
    }
    candidates
}

/// The addresses of this machine: those of a single link need a zone, which candidates have not; and that of
/// the machine itself is told only if there is no other.
fn own(v6: bool) -> Vec<IpAddr> {
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    let all = all.into_iter().map(|interface| interface.ip());
    let all = all.filter(|ip| ip.is_ipv4() || (v6 && !is_link_local(*ip)));
    let (here, others): (Vec<_>, Vec<_>) = all.partition(IpAddr::is_loopback);
    if others.is_empty() { here } else { others }
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bound: &str, public: Option<&str>) -> Vec<String> {
        let public = public.map(|ip| ip.parse().unwrap());
        let candidates = candidates(bound.parse().unwrap(), public);
        let line = |candidate: &Candidate| format!("{} {}", candidate.kind(), candidate.addr());
        candidates.iter().map(line).collect()
    }

    #[test]
    fn a_socket_is_told_by_its_address_and_by_that_of_its_router() {
        assert_eq!(told("127.0.0.1:5", None), ["host 127.0.0.1:5"]);
        let both = ["host 10.0.0.1:5", "srflx 203.0.113.1:5"];
        assert_eq!(told("10.0.0.1:5", Some("203.0.113.1")), both);
        assert_eq!(told("10.0.0.1:5", Some("2001:db8::1")), ["host 10.0.0.1:5"]);
    }

    #[test]
    fn one_that_is_bound_to_all_is_told_by_each() {
        let all = told("0.0.0.0:5", None);
        assert!(!all.is_empty() && all.iter().all(|line| line.ends_with(":5")));
        assert!(all.iter().all(|line| !line.contains("0.0.0.0")));
    }
}
