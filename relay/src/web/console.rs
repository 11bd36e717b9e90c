//! The console's files, from inside the binary.

use axum::body::Body;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../web/dist"]
#[allow_missing = true]
struct Files;

const MISSING: &str =
    "This build of the relay has no console inside. Build it with `cargo xtask run`.\n";

/// The page of a folder.
const INDEX: &str = "index.html";

/// A file of the console or of a page beside it, or a plain 404.
pub(super) async fn serve(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let file = match path {
        "" => INDEX.to_owned(),
        folder if folder.ends_with('/') => format!("{folder}{INDEX}"),
        file => file.to_owned(),
    };
    match Files::get(&file) {
        Some(found) => {
            let kind = mime_guess::from_path(&file).first_or_octet_stream();
            let headers = [
                (header::CONTENT_TYPE, kind.as_ref()),
                (header::CACHE_CONTROL, "no-cache"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, Body::from(found.data.into_owned())).into_response()
        }
        None if file == INDEX => (StatusCode::NOT_FOUND, MISSING).into_response(),
        None if Files::get(&format!("{path}/{INDEX}")).is_some() => folder(path, &uri),
        None => (StatusCode::NOT_FOUND, "not found\n").into_response(),
    }
}

/// To the page of a folder, whose files are named relative to it.
fn folder(path: &str, uri: &Uri) -> Response {
    let query = uri.query().map(|query| format!("?{query}"));
    Redirect::temporary(&format!("/{path}/{}", query.unwrap_or_default())).into_response()
}
