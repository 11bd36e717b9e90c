//! A web site of one page, with the npm package beside it.

use axum::Router;
use axum::response::Html;
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
    let package = std::env::var("PEERAGE_PKG").expect("run this by `cargo xtask test`");
    let page = Html(page.to_owned());
    let site = Router::new()
        .route("/", get(move || async move { page }))
        .fallback_service(ServeDir::new(package));
    tokio::spawn(async move { axum::serve(listener, site).await });
}
