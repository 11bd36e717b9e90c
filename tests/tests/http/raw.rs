//! A client that says any bytes, and reads what comes without judging it.

#![allow(dead_code, reason = "each test uses a part of what they share")]

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A response as it came.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) status: u16,
    /// Lower-case names and values, sorted by name; without those that are different each time.
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    /// After the last chunk, each line with its end.
    pub(super) trailers: String,
    /// Whether the body was as long as its head says.
    pub(super) whole: bool,
}

impl Raw {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn field(&self, name: &str) -> Option<String> {
        let field = self.fields.iter().find(|(key, _)| key == name);
        field.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }
}

/// As a reader of a failed test wants it.
impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short = |bytes: &[u8]| match bytes.get(..200) {
            Some(start) => format!("{}… ({} bytes)", start.escape_ascii(), bytes.len()),
            None => bytes.escape_ascii().to_string(),
        };
        writeln!(f, "{} whole: {}", self.status, self.whole)?;
        for (name, value) in &self.fields {
            writeln!(f, "{name}: {}", short(value))?;
        }
        let trailers = self.trailers.escape_debug();
        writeln!(f, "\n{}\n{trailers}", short(&self.body))
    }
}

/// Sends these bytes, and reads until the other side ends the connection.
pub(super) async fn ask(address: &str, request: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).await.unwrap();
    // It may have refused already.
    let _ = socket.write_all(request).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    answer
}

/// What comes of a request for `path` with these further lines and this body.
pub(super) async fn fetch(
    address: &str,
    method: &str,
    path: &str,
    lines: &str,
    body: &[u8],
) -> Raw {
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{lines}\r\n");
    let answer = ask(address, &[head.as_bytes(), body].concat()).await;
    read(&answer, method == "HEAD")
}

pub(super) fn read(answer: &[u8], bodiless: bool) -> Raw {
    // What is said before the answer itself.
    let answer = answer
        .strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        .unwrap_or(answer);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(answer)));
    let mut lines = answer[..end]
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii);
    let status = String::from_utf8_lossy(lines.next().unwrap())
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let mut fields: Vec<_> = lines
        .map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap();
            let name = String::from_utf8_lossy(&line[..colon]).to_lowercase();
            (name, line[colon + 1..].trim_ascii().to_vec())
        })
        .filter(|(name, _)| name != "date")
        .collect();
    // The order of values of one name means something.
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    let rest = &answer[end + 4..];
    let field = |name: &str| {
        fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    let length = field("content-length")
        .map(|value| String::from_utf8_lossy(value).parse::<usize>().unwrap());
    let is_chunked = field("transfer-encoding").is_some();
    let (body, trailers, whole) = match length {
        _ if bodiless => (rest.to_vec(), String::new(), rest.is_empty()),
        _ if is_chunked => dechunked(rest),
        Some(length) => (rest.to_vec(), String::new(), rest.len() == length),
        None => (rest.to_vec(), String::new(), true),
    };
    Raw {
        status,
        fields,
        body,
        trailers,
        whole,
    }
}

fn dechunked(mut rest: &[u8]) -> (Vec<u8>, String, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
            return (body, String::new(), false);
        };
        let size = usize::from_str_radix(&String::from_utf8_lossy(&rest[..end]), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            let trailers = String::from_utf8_lossy(rest).into_owned();
            return match trailers.strip_suffix("\r\n") {
                Some(trailers) => (body, trailers.into(), true),
                None => (body, trailers, false),
            };
        }
        if rest.len() < size + 2 {
            return (body, String::new(), false);
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}
