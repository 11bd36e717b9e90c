//! What is asked of every server, whatever lies between. And what the asking or answering side of another kind cannot
//! say or hear: all that may differ is here, with its reason.

#![allow(dead_code, reason = "each test uses a part of what they share")]

use crate::raw::Raw;
use crate::site;

/// Methods, paths, further lines of the head, and bodies.
type Row = (&'static str, &'static str, &'static str, &'static [u8]);

const CHUNKED: &str = "transfer-encoding: chunked\r\n";

const ROWS: &[Row] = &[
    ("GET", "/echo", "", b""),
    (
        "GET",
        "/echo?a=b&c=%20d",
        "x-a: 1\r\nx-a: 2\r\nx-b:\r\n",
        b"",
    ),
    ("GET", "/echo", "x-raw: caf\u{e9}\r\n", b""),
    ("GET", "/echo/a%2fb/c//d;e=f", "", b""),
    ("POST", "/echo", "content-length: 5\r\n", b"hello"),
    ("POST", "/echo", "content-length: 0\r\n", b""),
    ("POST", "/echo", "", b""),
    (
        "POST",
        "/echo",
        CHUNKED,
        b"5\r\nhello\r\n3\r\n\r\n\n\r\n0\r\n\r\n",
    ),
    (
        "POST",
        "/echo",
        CHUNKED,
        b"2\r\nhi\r\n0\r\nx-after: 1\r\n\r\n",
    ),
    ("POST", "/echo", CHUNKED, b"0\r\n\r\n"),
    ("PUT", "/echo", "content-length: 2\r\n", b"ab"),
    ("PATCH", "/echo", "content-length: 2\r\n", b"ab"),
    ("DELETE", "/echo", "", b""),
    ("OPTIONS", "/echo", "", b""),
    ("TRACE", "/echo", "", b""),
    ("PROPFIND", "/echo", "", b""),
    ("HEAD", "/echo", "", b""),
    ("HEAD", "/files/text.txt", "", b""),
    ("GET", "/files/text.txt", "range: bytes=100-199\r\n", b""),
    ("GET", "/files/text.txt", "range: bytes=-10\r\n", b""),
    ("GET", "/files/text.txt", "range: bytes=999999-\r\n", b""),
    ("GET", "/files/text.txt", "", b""),
    ("GET", "/files/", "", b""),
    ("GET", "/files/none", "", b""),
    ("GET", "/etag", "", b""),
    ("GET", "/etag", "if-none-match: \"v1\"\r\n", b""),
    ("GET", "/blanks", "", b""),
    ("GET", "/empty", "", b""),
    ("GET", "/redirect", "", b""),
    ("GET", "/headers", "", b""),
    ("GET", "/cookies", "", b""),
    ("GET", "/trailers", "te: trailers\r\n", b""),
    ("GET", "/trailers", "", b""),
    ("HEAD", "/trailers", "", b""),
    ("GET", "/events", "", b""),
    ("GET", "/zeros/1000000", "", b""),
    ("GET", "/status/204", "", b""),
    ("GET", "/status/205", "", b""),
    ("GET", "/status/304", "", b""),
    ("GET", "/status/418", "", b""),
    ("GET", "/status/500", "", b""),
    ("GET", "/status/599", "", b""),
    ("GET", "/nowhere", "", b""),
    ("POST", "/etag", "", b""),
    ("POST", "/mirror", CHUNKED, b"5\r\nhello\r\n0\r\n\r\n"),
    (
        "POST",
        "/echo",
        "expect: 100-continue\r\ncontent-length: 2\r\n",
        b"ab",
    ),
];

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) method: String,
    pub(super) path: String,
    /// Further lines of the head.
    pub(super) lines: String,
    /// As it is on the wire.
    pub(super) body: Vec<u8>,
}

/// All of them.
pub(super) fn all() -> Vec<Case> {
    let long = format!("x-long: {}\r\n", "z".repeat(30_000));
    let blanks = format!("content-length: {}\r\n", site::BLANKS.len());
    let more = [
        ("GET", "/echo", &*long, &b""[..]),
        ("POST", "/echo", &blanks, site::BLANKS.as_bytes()),
    ];
    let rows = more.into_iter().chain(ROWS.iter().copied());
    rows.map(|(method, path, lines, body)| Case::new(method, path, lines, body))
        .collect()
}

impl Case {
    pub(super) fn new(method: &str, path: &str, lines: &str, body: &[u8]) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            lines: lines.into(),
            body: body.into(),
        }
    }

    /// In a few words.
    pub(super) fn name(&self) -> String {
        let lines: String = self.lines.chars().take(60).collect();
        format!("{} {} {}", self.method, self.path, lines.trim_end())
    }

    /// Names and values of the further lines.
    pub(super) fn fields(&self) -> Vec<(&str, &str)> {
        let lines = self.lines.lines();
        lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name, value.trim()))
            .collect()
    }

    pub(super) fn is_chunked(&self) -> bool {
        self.lines.contains(CHUNKED)
    }

    /// The pieces of the body, and its trailers.
    pub(super) fn pieces(&self) -> (Vec<&[u8]>, Vec<(&str, &str)>) {
        if !self.is_chunked() {
            let whole = (!self.body.is_empty()).then_some(&*self.body);
            return (whole.into_iter().collect(), Vec::new());
        }
        let (mut pieces, mut rest) = (Vec::new(), &*self.body);
        loop {
            let end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
            let size = std::str::from_utf8(&rest[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            rest = &rest[end + 2..];
            if size == 0 {
                break;
            }
            pieces.push(&rest[..size]);
            rest = &rest[size + 2..];
        }
        let trailers = std::str::from_utf8(rest).unwrap().trim_end();
        let trailers = trailers.lines().map(|line| line.split_once(": ").unwrap());
        (pieces, trailers.collect())
    }

    /// As a node that asks means it: it takes trailers always, which a plain server has to be told.
    pub(super) fn for_nodes(&self) -> Self {
        let mut case = self.clone();
        if !case.lines.contains("te: trailers") {
            case.lines += "te: trailers\r\n";
        }
        case
    }

    /// As a server hears it in which a page answers; `None` if no page is asked.
    pub(super) fn for_answering_pages(&self) -> Option<Self> {
        // The platform refuses to make a `Request` of it: the node says so (501).
        if self.method == "TRACE" {
            return None;
        }
        Some(self.framed(self.platform_lines(&[])))
    }

    /// As a page's `fetch` says it; `None` if it cannot.
    pub(super) fn for_asking_pages(&self) -> Option<Self> {
        // Forbidden to scripts.
        if self.method == "TRACE" {
            return None;
        }
        // These are the platform's to say, which has no say in the mesh. A body of a `Request` is a stream, of a length
        // that nobody knows, as if chunked.
        let forbidden = ["te", "expect", "content-length", "transfer-encoding"];
        let mut lines = self.platform_lines(&forbidden);
        if !self.pieces().0.is_empty() {
            lines += CHUNKED;
        }
        Some(self.framed(lines))
    }

    /// The platform's `Headers` have one value of each name; without some fields.
    fn platform_lines(&self, without: &[&str]) -> String {
        let fields = self.fields();
        let fields = fields.iter().filter(|(name, _)| !without.contains(name));
        let fields = fields.map(|(name, value)| ((*name).into(), (*value).into()));
        combined(fields.collect())
            .into_iter()
            .map(|(name, value)| format!("{name}: {}\r\n", String::from_utf8(value).unwrap()))
            .collect()
    }

    /// The same body below another head; without trailers, of which the platform's requests have none.
    fn framed(&self, lines: String) -> Self {
        let (pieces, _) = self.pieces();
        let mut case = Self {
            lines,
            body: pieces.concat(),
            ..self.clone()
        };
        if case.is_chunked() {
            let chunks = pieces.iter().map(|piece| {
                let size = format!("{:x}\r\n", piece.len());
                [size.as_bytes(), piece, b"\r\n"].concat()
            });
            case.body = [chunks.collect::<Vec<_>>().concat(), b"0\r\n\r\n".into()].concat();
        }
        case
    }
}

impl Raw {
    /// As it comes to a node that asks.
    pub(super) fn between_nodes(mut self, case: &Case) -> Self {
        // These are of a connection, of which there is none between nodes.
        let of_connection = ["connection", "transfer-encoding"];
        self.fields
            .retain(|(name, _)| !of_connection.contains(&&**name));
        // hyper leaves it out where nothing is chunked; a node says the same as to GET (RFC 9110, 9.3.2).
        if case.method == "HEAD" && case.path == "/trailers" {
            self.fields.push(("trailer".into(), b"x-sum".into()));
            self.fields.sort();
        }
        self
    }

    /// As the platform's `Response` can say it.
    pub(super) fn of_platform(mut self) -> Self {
        // A script neither sees nor sets cookies.
        self.fields.retain(|(name, _)| name != "set-cookie");
        // One value of each name, which means the same (RFC 9110, 5.3).
        self.fields = combined(self.fields);
        // There is no place for them.
        self.trailers.clear();
        self
    }
}

/// Fields of one name made one, as the platform does it: without blanks at its end, where the last value is empty.
fn combined(fields: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, value) in fields {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, first)) => *first = [&**first, b", ", &*value].concat(),
            None => all.push((name, value)),
        }
    }
    for (_, value) in &mut all {
        value.truncate(value.trim_ascii_end().len());
    }
    all
}
