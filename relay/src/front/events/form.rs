//! Forms: clients write them as JSON, with files in base64; servers of HTTP read multipart/form-data (RFC 7578).
//!
//! ```text
//! {"fields": {"name": "value"}, "files": [{"name": "…", "filename": "…", "type": "text/plain", "data": "aGk="}]}
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use http::{HeaderMap, HeaderValue, header};
use peerage::Failure;
use peerage::error::Code;
use serde::Deserialize;

use crate::runtime::random;

/// A form as servers read it.
pub(super) struct Form {
    pub(super) content_type: HeaderValue,
    pub(super) body: Bytes,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    fields: BTreeMap<String, String>,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    name: String,
    #[serde(default)]
    filename: String,
    #[serde(default, rename = "type")]
    kind: String,
    data: String,
}

/// Whether a body is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/form-data"))
}

/// The form that a client wrote.
///
/// # Errors
/// `bad-message` for what is no form.
pub(super) fn encode(json: &[u8]) -> Result<Form, Failure> {
    let wrong = |what: String| Code::BadMessage.because(format!("expected a form: {what}"));
    let told: Told = serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
    let secret = random().map_err(|error| Code::Refused.because(error.to_string()))?;
    // Nobody can have it in what he sends.
    let boundary = HEXLOWER.encode(&secret);
    let mut body = Vec::with_capacity(json.len());
    for (name, value) in &told.fields {
        let head = format!("content-disposition: form-data; name=\"{}\"", quoted(name));
        part(&mut body, &boundary, &head, value.as_bytes());
    }
    for file in &told.files {
        let data = BASE64.decode(file.data.as_bytes());
        let data = data.map_err(|_| wrong(format!("`{}` is no base64", file.name)))?;
        let kind = file.kind.parse::<HeaderValue>().ok();
        let kind = kind.as_ref().and_then(|kind| kind.to_str().ok());
        let kind = kind
            .filter(|kind| !kind.is_empty())
            .unwrap_or("application/octet-stream");
        let (name, filename) = (quoted(&file.name), quoted(&file.filename));
        let head = format!(
            "content-disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\ncontent-type: {kind}"
        );
        part(&mut body, &boundary, &head, &data);
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let content_type = HeaderValue::from_str(&content_type);
    Ok(Form {
        content_type: content_type.map_err(|_| wrong(String::from("no boundary")))?,
        body: body.into(),
    })
}

fn part(body: &mut Vec<u8>, boundary: &str, head: &str, data: &[u8]) {
    body.extend_from_slice(format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes());
    body.extend_from_slice(data);
    body.extend_from_slice(b"\r\n");
}

/// A name between quotes, as browsers write it.
fn quoted(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_what_servers_read() {
        let json = r#"{"fields":{"a\"\r\nx: y":"1\n\n2"},"files":[{"name":"f","filename":"a.txt","type":"text/plain","data":"aGk="}]}"#;
        let form = encode(json.as_bytes()).unwrap();
        let kind = form.content_type.to_str().unwrap();
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        let expected = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"a%22%0D%0Ax: y\"\r\n\r\n1\n\n2\r\n\
             --{boundary}\r\ncontent-disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\
             content-type: text/plain\r\n\r\nhi\r\n--{boundary}--\r\n"
        );
        assert_eq!(form.body, expected.as_bytes());
        assert!(encode(b"{\"files\":[{\"name\":\"f\",\"data\":\"!\"}]}").is_err());
        assert!(encode(b"7").is_err());
    }
}
