//! A web site of one page, with the npm package beside it.

use std::path::Path;

use axum::Router;
use axum::http::HeaderValue;
use axum::middleware::map_response;
use axum::response::{Html, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

use crate::Relay;

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

/// A relay, and the address of a page whose node joins it by the name that is added to the address.
pub async fn joining() -> (Relay, String) {
    let (site, listener) = bind().await;
    let relay = Relay::configured(&json!({ "origins": [&site] }));
    let page = format!(
        "<!doctype html><script type=module>
        import init, {{ Node }} from './peerage.js';
        await init();
        const name = new URLSearchParams(location.search).get('name');
        window.peerage = await Node.join({{ relay: '{}', name }});
        </script>",
        relay.mesh()
    );
    run(listener, &page);
    (relay, format!("{site}/?name="))
}

fn site(page: &str) -> Router {
    let package = std::env::var("PEERAGE_PKG").expect("run this by `cargo xtask test`");
    let page = Html(page.to_owned());
    Router::new()
        .route("/", get(move || async move { page }))
        .fallback_service(ServeDir::new(package))
}
