//! Pages by their nodes' names: a page is told to go somewhere, and who asks for a node's is sent to where it is.

use std::fmt::Write;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use peerage::error::Code;
use peerage::rpc::CallError;
use peerage::service::command::Status;
use peerage::{Failure, Kind, Name, NodeId};
use serde::Deserialize;
use serde_json::json;

use crate::Node;
use crate::web::Web;
use crate::web::nodes::{failed, refusal};

/// Bytes of an address that a page is sent to.
const URL_BYTES_MAX: usize = 2048;

/// Where a page shall go.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Destination {
    url: String,
}

/// `POST /api/v1/browsers/{name}/navigate`: tells a page to go somewhere, which it does if it wants to.
pub(super) async fn navigate_page(
    State(web): State<Web>,
    Path(name): Path<String>,
    Json(to): Json<Destination>,
) -> Response {
    match navigate(&web.node, &name, &to.url).await {
        Ok(page) => {
            if let Some(events) = &web.events {
                events.sent(page, &to.url);
            }
            StatusCode::NO_CONTENT.into_response()
        }
        Err(failure) if failure.code == Code::BadMessage => {
            refusal(StatusCode::BAD_REQUEST, &failure)
        }
        Err(failure) if failure.code == Code::Unauthorised => {
            refusal(StatusCode::FORBIDDEN, &failure)
        }
        Err(failure) => failed(&failure),
    }
}

/// `GET /go/{node}/{path}`: a redirection to that node's page; of a node that is meant by no name, to one of that type.
pub(super) async fn go(State(web): State<Web>, request: Request) -> Response {
    let uri = request.uri();
    let rest = uri.path().strip_prefix("/go/").unwrap_or_default();
    let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
    match locate(&web.node, name).await {
        Ok(name) => {
            let mut to = format!("/n/{name}/{path}");
            if let Some(query) = uri.query() {
                // Writing to a string cannot fail.
                let _ = write!(to, "?{query}");
            }
            let headers = [
                (header::LOCATION, to),
                (header::CACHE_CONTROL, "no-store".into()),
            ];
            (StatusCode::FOUND, headers).into_response()
        }
        Err(failure) => failed(&failure),
    }
}

/// The node that is meant by a name, an id or a type, and is here.
async fn locate(node: &Node, name: &str) -> Result<String, Failure> {
    let peers = node.peers();
    let named = |peer: &&peerage::Peer| peer.name.as_str() == name || peer.id.to_string() == name;
    let typed =
        |peer: &&peerage::Peer| peer.role.as_ref().is_some_and(|role| role.as_str() == name);
    let found = peers
        .iter()
        .find(named)
        .or_else(|| peers.iter().find(typed));
    if let Some(peer) = found {
        return Ok(peer.name.to_string());
    }
    match node.resolve(name).await? {
        // It is known, and may be away.
        Some(id) => match node.ping(id).await {
            Ok(_) => Ok(name.to_owned()),
            Err(_) => Err(Code::Unreachable
                .because("the node is away, and may return")
                .of(name)),
        },
        None => Ok(name.to_owned()),
    }
}

/// Tells a page, by its node's name, to go to an address; which node that is.
///
/// # Errors
/// `bad-message` for what is no address that a page may be sent to; `unauthorised` if the page does not want that; `unknown-method` for
/// what is no page; why it cannot be reached.
pub(crate) async fn navigate(node: &Node, name: &str, url: &str) -> Result<NodeId, Failure> {
    check_url(url)?;
    if name.parse::<Name>().is_err() && name.parse::<NodeId>().is_err() {
        return Err(Code::BadMessage.because("expected a node's name or id"));
    }
    let id = node.resolve(name).await?.unwrap_or(node.id());
    let mut peers = node.peers().into_iter();
    let kind = peers.find(|peer| peer.id == id).map(|peer| peer.kind);
    if kind == Some(Kind::Client) {
        let body = json!({ "url": url }).to_string();
        let letter = json!({ "topic": "/kos/browser/url", "body": body });
        let told = node
            .proxy(name, "kos")
            .call::<()>("message", &(letter,))
            .await;
        return told.map(|()| id).map_err(|error| match error {
            CallError::Failed(failure) => failure,
            thrown @ CallError::Thrown(_) => Code::Refused.because(thrown.to_string()),
        });
    }
    let outcome = node.run(&format!("navigate {url} @{name}")).await?;
    let output = outcome.output.trim_end();
    match outcome.status {
        Status::OK => Ok(id),
        Status::UNKNOWN => Err(Code::UnknownMethod.because("it is no page").of(name)),
        Status::FORBIDDEN => Err(Code::Unauthorised.because(output).of(name)),
        _ => Err(Code::Refused.because(output).of(name)),
    }
}

/// Whether a page may be sent there: by HTTP, to one word.
fn check_url(url: &str) -> Result<(), Failure> {
    let is_path = url.starts_with('/') && !url.starts_with("//") && !url.starts_with("/\\");
    let is_http = || {
        let parsed = url::Url::parse(url);
        parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
    };
    let is_word = !url.contains(|c: char| c.is_whitespace() || c.is_control());
    if url.len() <= URL_BYTES_MAX && is_word && (is_path || is_http()) {
        return Ok(());
    }
    let message = format!("expected `url`, an address of HTTP or a path, of {URL_BYTES_MAX} bytes");
    Err(Code::BadMessage.because(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_sent_to_addresses_of_http_only() {
        for url in ["/", "/n/b/x?y#z", "http://a.example/x", "https://a.example"] {
            assert_eq!(check_url(url), Ok(()), "{url}");
        }
        for url in [
            "",
            "x",
            "//a.example",
            "/\\a.example",
            "javascript:alert(1)",
            " javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "/x @*",
            "/x\n@*",
            "file:///etc/passwd",
        ] {
            assert_eq!(check_url(url).unwrap_err().code, Code::BadMessage, "{url}");
        }
        assert!(check_url(&format!("/{}", "x".repeat(URL_BYTES_MAX))).is_err());
    }
}
