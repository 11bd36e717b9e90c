//! Which node a request of `/n/{name}/{path}` is for, and with which path. It stays below the node's own: nothing
//! of what is asked can mean another place, however it is written.

/// A request's address, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'u> {
    /// `/n/{name}`, which lacks its last slash.
    Bare(&'u str),
    /// A node, and the path that it is asked for.
    Of(&'u str, String),
}

/// A path that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadPath {
    /// It leads out of the node's own.
    #[error("the path leads out of the node's own")]
    Escapes,
    /// It has characters that different programs understand differently.
    #[error("the path has a character that it cannot have")]
    Character,
}

/// Reads the path of an address. `.` and `..`, also written as `%2e`, are resolved here, so that nobody does it
/// later; what only some programs take for a separator, or an end, may not hide one.
pub(super) fn read(path: &str) -> Result<Place<'_>, BadPath> {
    let rest = path.strip_prefix("/n/").unwrap_or_default();
    let Some((name, rest)) = rest.split_once('/') else {
        return Ok(Place::Bare(rest));
    };
    // A path that begins with two slashes is an address of another host to some.
    let rest = rest.trim_start_matches('/');
    let mut segments: Vec<&str> = Vec::new();
    let count = rest.split('/').count();
    for (at, segment) in rest.split('/').enumerate() {
        let plain = decoded(segment);
        if plain.iter().any(|byte| *byte < b' ' || *byte == 0x7f) || segment.contains('\\') {
            return Err(BadPath::Character);
        }
        let is_dot = match &*plain {
            b"." => true,
            b".." => {
                segments.pop().ok_or(BadPath::Escapes)?;
                true
            }
            _ => false,
        };
        let parts = plain.split(|byte| matches!(byte, b'/' | b'\\'));
        if !is_dot && parts.into_iter().any(|part| part == b"..") {
            return Err(BadPath::Escapes);
        }
        match (is_dot, at + 1 == count) {
            (false, _) => segments.push(segment),
            // What it stands for is a folder.
            (true, true) => segments.push(""),
            (true, false) => {}
        }
    }
    let joined = segments.join("/");
    Ok(Place::Of(
        name,
        format!("/{}", joined.trim_start_matches('/')),
    ))
}

/// A segment without its percent signs; what is none stays.
fn decoded(segment: &str) -> Vec<u8> {
    let bytes = segment.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes
            .get(at + 1..at + 3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let value = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match value.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) if *byte == b'%' => {
                plain.push(value);
                at += 3;
            }
            _ => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_nodes_own() {
        for (path, expected) in [
            ("/n/b/", "/"),
            ("/n/b/x/y.html", "/x/y.html"),
            ("/n/b/x/", "/x/"),
            ("/n/b//x", "/x"),
            ("/n/b///evil.example/", "/evil.example/"),
            ("/n/b/x//y", "/x//y"),
            ("/n/b/./x/../y", "/y"),
            ("/n/b/x/%2E%2e/y", "/y"),
            ("/n/b/x/..", "/"),
            ("/n/b/x/y/..", "/x/"),
            ("/n/b/x/.", "/x/"),
            ("/n/b/x/..//y", "/y"),
            ("/n/b/a%2fb", "/a%2fb"),
            ("/n/b/%zz%", "/%zz%"),
            ("/n/b/%c3%a4..", "/%c3%a4.."),
        ] {
            assert_eq!(read(path), Ok(Place::Of("b", expected.into())), "{path}");
        }
        assert_eq!(read("/n/b"), Ok(Place::Bare("b")));
        assert_eq!(read("/n/"), Ok(Place::Bare("")));
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_refused() {
        for path in [
            "/n/b/..",
            "/n/b/../c/",
            "/n/b/%2e%2e/c/",
            "/n/b/.%2E/c/",
            "/n/b/x/../../c",
            "/n/b/..%2fc",
            "/n/b/x/..%2F..%2fc",
            "/n/b/..%5cc",
            "/n/b/x%5c..%5c..",
        ] {
            assert_eq!(read(path), Err(BadPath::Escapes), "{path}");
        }
        for path in [
            "/n/b/a\\..\\b",
            "/n/b/%00",
            "/n/b/x%0d%0aset-cookie:a",
            "/n/b/%7f",
        ] {
            assert_eq!(read(path), Err(BadPath::Character), "{path}");
        }
    }
}
