//! Heads of requests and responses: from the types of `http` to parts, and back with suspicion. What belongs to
//! a connection and not to the message does not travel: there is no such connection here.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri};

use crate::error::{Code, Failure};
use crate::limits::{HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX};
use crate::service::http::wire::{Fields, Part, put};

/// Fields of one connection only, besides those that `connection` names (RFC 9110, 7.6.1).
const OF_CONNECTION: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
];

/// Takes away what is of a connection only. `upgrade` stays if it is to a WebSocket.
pub fn strip_connection(headers: &mut HeaderMap) {
    let upgrade = is_websocket(headers);
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // Who could take these away could say where a message ends, or whose it is.
        .filter(|name| {
            !matches!(
                *name,
                header::CONTENT_LENGTH | header::HOST | header::UPGRADE
            )
        })
        .collect();
    for name in OF_CONNECTION.iter().chain(&named) {
        headers.remove(name);
    }
    if !upgrade {
        headers.remove(header::UPGRADE);
    }
}

/// Whether these headers ask for a WebSocket, or grant one.
pub fn is_websocket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE);
    upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// What a message of these headers says of its length.
///
/// # Errors
/// `bad-message` if it is no number, or several.
pub fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else {
        return Ok(None);
    };
    let digits = first
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let length = digits.and_then(|digits| digits.parse().ok());
    match length.filter(|_| lengths.all(|other| other == first)) {
        Some(length) => Ok(Some(length)),
        None => Err(Code::BadMessage.because("expected one content-length, a number")),
    }
}

/// Whether a response has no body, whatever its headers say.
pub(super) fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    let none = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    *method == Method::HEAD || none
}

/// Writes the head of a request.
pub(super) fn put_request(
    message: &mut Vec<u8>,
    head: &http::request::Parts,
) -> Result<(), Failure> {
    let (method, target) = (head.method.as_str(), target_of(&head.uri));
    check_size(&head.headers, method.len() + target.len())?;
    let fields = fields(&head.headers);
    put(
        message,
        &Part::Request {
            method,
            target,
            fields,
        },
    );
    Ok(())
}

/// Writes the head of a response.
pub(super) fn put_response(
    message: &mut Vec<u8>,
    head: &http::response::Parts,
) -> Result<(), Failure> {
    check_size(&head.headers, 0)?;
    let (status, fields) = (head.status.as_u16(), fields(&head.headers));
    put(message, &Part::Response { status, fields });
    Ok(())
}

/// Writes the end of a body.
pub(super) fn put_end(message: &mut Vec<u8>, trailers: &HeaderMap) -> Result<(), Failure> {
    check_size(trailers, 0)?;
    put(message, &Part::End(fields(trailers)));
    Ok(())
}

/// The head of a request as it came.
pub(super) fn request(
    method: &str,
    target: &str,
    fields: &Fields<'_>,
) -> Result<http::request::Parts, Failure> {
    let (mut head, ()) = http::Request::new(()).into_parts();
    head.headers = headers(fields, method.len() + target.len())?;
    head.method = Method::from_bytes(method.as_bytes()).map_err(|_| bad("a method"))?;
    let path = PathAndQuery::try_from(target).ok();
    let path = path.filter(|_| target.starts_with('/') || target == "*");
    head.uri = Uri::from(path.ok_or_else(|| bad("a path"))?);
    if head.method == Method::CONNECT {
        return Err(Code::Refused.because("nobody is connected through a node"));
    }
    if is_websocket(&head.headers) {
        head.headers.remove(header::CONTENT_LENGTH);
    }
    Ok(head)
}

/// The head of a response as it came.
pub(super) fn response(status: u16, fields: &Fields<'_>) -> Result<http::response::Parts, Failure> {
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = StatusCode::from_u16(status).map_err(|_| bad("a status"))?;
    head.headers = headers(fields, 0)?;
    if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(bad("a final status"));
    }
    Ok(head)
}

/// Trailers as they came.
pub(super) fn trailers(fields: &Fields<'_>) -> Result<HeaderMap, Failure> {
    let mut trailers = headers(fields, 0)?;
    for of_head in [header::CONTENT_LENGTH, header::HOST, header::UPGRADE] {
        trailers.remove(of_head);
    }
    Ok(trailers)
}

fn headers(fields: &Fields<'_>, more: usize) -> Result<HeaderMap, Failure> {
    let bytes = fields.iter().map(|(name, value)| name.len() + value.len());
    check(fields.len(), bytes.sum::<usize>() + more)?;
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("a header's name"))?;
        let value = HeaderValue::from_bytes(trimmed(value)).map_err(|_| bad("a header's value"))?;
        headers.append(name, value);
    }
    strip_connection(&mut headers);
    Ok(headers)
}

/// A value without blanks around it, which are none of it (RFC 9110, 5.5).
fn trimmed(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_blank(byte));
    let end = value.iter().rposition(|byte| !is_blank(byte));
    let range = start.zip(end).map(|(start, end)| start..=end);
    range.and_then(|range| value.get(range)).unwrap_or_default()
}

fn fields(headers: &HeaderMap) -> Fields<'_> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes().into()))
        .collect()
}

fn target_of(uri: &Uri) -> &str {
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if target.is_empty() { "/" } else { target }
}

fn check_size(headers: &HeaderMap, more: usize) -> Result<(), Failure> {
    let bytes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    check(headers.len(), bytes.sum::<usize>() + more)
}

fn check(count: usize, bytes: usize) -> Result<(), Failure> {
    if count > HTTP_HEADERS_MAX || bytes > HTTP_HEAD_BYTES_MAX {
        let most = format!(
            "at most {HTTP_HEADERS_MAX} header fields and {HTTP_HEAD_BYTES_MAX} bytes of head"
        );
        return Err(Code::TooLarge.because(format!("expected {most}, got {count} and {bytes}")));
    }
    Ok(())
}

fn bad(expected: &str) -> Failure {
    Code::BadMessage.because(format!("expected {expected} as HTTP has it"))
}
