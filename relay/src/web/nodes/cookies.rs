//! Cookies of nodes in a sandbox. To a browser all nodes, and whatever else this host serves at any port, are one
//! host: so each node's cookies are called by its name there, and it is told of no others.

use axum::http::header::{self, HeaderMap, HeaderValue};

/// What no name or id of a node has in it.
const SEPARATOR: char = '~';

/// Leaves a request the cookies of this node, by its own names for them.
pub(super) fn of_node(headers: &mut HeaderMap, node: &str) {
    let prefix = format!("{node}{SEPARATOR}");
    let mut own: Vec<u8> = Vec::new();
    for cookie in headers.get_all(header::COOKIE) {
        for pair in cookie.as_bytes().split(|byte| *byte == b';') {
            let Some(pair) = pair.trim_ascii().strip_prefix(prefix.as_bytes()) else {
                continue;
            };
            if !own.is_empty() {
                own.extend_from_slice(b"; ");
            }
            own.extend_from_slice(pair);
        }
    }
    headers.remove(header::COOKIE);
    if let Some(own) = HeaderValue::from_bytes(&own)
        .ok()
        .filter(|own| !own.is_empty())
    {
        headers.insert(header::COOKIE, own);
    }
}

/// Calls the cookies that a node sets by its name.
pub(super) fn of_browser(headers: &mut HeaderMap, node: &str) {
    let set: Vec<_> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .cloned()
        .collect();
    headers.remove(header::SET_COOKIE);
    for cookie in set {
        let cookie = cookie.as_bytes().trim_ascii_start();
        let named = [format!("{node}{SEPARATOR}").as_bytes(), cookie].concat();
        if let Ok(named) = HeaderValue::from_bytes(&named) {
            headers.append(header::SET_COOKIE, named);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_its_own_cookies_and_hears_of_no_others() {
        let mut set = HeaderMap::new();
        for cookie in ["a=1; Path=/", " b=2"] {
            set.append(header::SET_COOKIE, HeaderValue::from_static(cookie));
        }
        of_browser(&mut set, "b");
        let told: Vec<_> = set.get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(told, ["b~a=1; Path=/", "b~b=2"]);

        for (told, own) in [
            (&["b~a=1; session=hush; c~a=2; b~b=3"][..], Some("a=1; b=3")),
            (&["b~a=1", "b~=x"], Some("a=1; =x")),
            (&["session=hush"], None),
            (&["b=1; bb~a=2; x=b~y"], None),
        ] {
            let mut asked = HeaderMap::new();
            for cookie in told {
                asked.append(header::COOKIE, HeaderValue::from_static(cookie));
            }
            of_node(&mut asked, "b");
            let cookie = asked.get(header::COOKIE);
            assert_eq!(
                cookie.map(|cookie| cookie.to_str().unwrap()),
                own,
                "{told:?}"
            );
        }
    }
}
