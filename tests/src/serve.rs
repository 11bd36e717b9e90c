//! A web site of one page, with the npm package beside it.

use std::path::Path;

use axum::Router;
use axum::http::HeaderValue;
use axum::middleware::map_response;
use axum::response::{Html, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

/// Its origin, and the listener to serve it from.
pub async fn bind() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    (origin, listener)
}

/// Serves from now on.
pub fn run(listener: TcpListener, page: &str) {
    let site = site(page);
    tokio::spawn(async move { axum::serve(listener, site).await });
}

/// As [`run`], with a folder under `/modules`, and alone among pages, so that clocks are exact.
pub fn run_with(listener: TcpListener, page: &str, modules: impl AsRef<Path>) {
    let alone = async |mut response: Response| {
        let headers = response.headers_mut();
        for (name, value) in [
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    };
    let site = site(page)
        .nest_service("/modules", ServeDir::new(modules))
        .layer(map_response(alone));
    tokio::spawn(async move { axum::serve(listener, site).await });
}

fn site(page: &str) -> Router {
    let package = std::env::var("PEERAGE_PKG").expect("run this by `cargo xtask test`");
    let page = Html(page.to_owned());
    Router::new()
        .route("/", get(move || async move { page }))
        .fallback_service(ServeDir::new(package))
}
