//! The console's files, from inside the binary.

use axum::body::Body;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../web/dist"]
#[allow_missing = true]
struct Files;

const MISSING: &str =
    "This build of the relay has no console inside. Build it with `cargo xtask run`.\n";

/// A file of the console, or a plain 404.
pub(super) async fn serve(uri: Uri) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    match Files::get(path) {
        Some(file) => {
            let kind = mime_guess::from_path(path).first_or_octet_stream();
            let headers = [
                (header::CONTENT_TYPE, kind.as_ref()),
                (header::CACHE_CONTROL, "no-cache"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, Body::from(file.data.into_owned())).into_response()
        }
        None if path == "index.html" => (StatusCode::NOT_FOUND, MISSING).into_response(),
        None => (StatusCode::NOT_FOUND, "not found\n").into_response(),
    }
}
