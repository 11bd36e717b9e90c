//! A native node that asks as the suite says.

#![allow(dead_code, reason = "each test uses a part of what they share")]

use axum::body::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body::Frame;
use peerage::http::Body;
use peerage_relay::Node;

use crate::cases::Case;
use crate::raw::Raw;
use crate::site::{Frames, next};

/// What comes of a case.
pub(super) async fn ask(node: &Node, name: &str, case: &Case) -> Raw {
    let response = node.fetch(request(name, case)).await;
    let response = response.unwrap_or_else(|failure| panic!("{}: {failure}", case.name()));
    let (head, mut body) = response.into_parts();
    let mut raw = Raw {
        status: head.status.as_u16(),
        fields: lines(&head.headers),
        body: Vec::new(),
        trailers: String::new(),
        whole: true,
    };
    raw.fields.retain(|(name, _)| name != "date");
    raw.fields.sort_by(|a, b| a.0.cmp(&b.0));
    while let Some(frame) = next(&mut body).await {
        let Ok(frame) = frame else {
            raw.whole = false;
            break;
        };
        match frame.into_data() {
            Ok(piece) => raw.body.extend_from_slice(&piece),
            Err(frame) => {
                let trailers = lines(&frame.into_trailers().unwrap());
                let trailers = trailers
                    .iter()
                    .map(|(name, value)| format!("{name}: {}\r\n", String::from_utf8_lossy(value)));
                raw.trailers = trailers.collect();
            }
        }
    }
    raw
}

fn request(name: &str, case: &Case) -> Request<Body> {
    let (pieces, trailers) = case.pieces();
    let body = match case.is_chunked() {
        true => {
            let data = pieces
                .into_iter()
                .map(|piece| Frame::data(Bytes::copy_from_slice(piece)));
            let end = (!trailers.is_empty()).then(|| Frame::trailers(headers(&trailers)));
            Body::new(Frames(data.chain(end).collect()))
        }
        false => Body::from(case.body.clone()),
    };
    let mut request = Request::new(body);
    *request.method_mut() = case.method.parse().unwrap();
    *request.uri_mut() = format!("peer://{name}{}", case.path).parse().unwrap();
    *request.headers_mut() = headers(&case.fields());
    request
}

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn lines(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let lines = headers.iter();
    lines
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect()
}
