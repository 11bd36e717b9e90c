//! The pages beside the console, as users see them: two screens, and pour.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use peerage_tests::Relay;

#[path = "pages/pour.rs"]
mod pour;
#[path = "pages/screens.rs"]
mod screens;

#[tokio::test]
async fn a_folders_page_is_found_with_its_slash_and_without() {
    let relay = Relay::start("127.0.0.1:0");
    for (path, status) in [
        ("/two-screens/", 200),
        ("/pour/?role=dispenser", 200),
        ("/pour?role=dispenser", 307),
        ("/peerage/peerage.js", 200),
        ("/static/base.css", 200),
        ("/pour/nothing.js", 404),
        ("/nothing/", 404),
        ("/nothing", 404),
        ("/pour/../../Cargo.toml", 404),
        ("//pour", 307),
    ] {
        assert_eq!(relay.get(path, "").await.0, status, "{path}");
    }
    let (_, page) = relay.get("/two-screens/", "").await;
    assert!(page.contains("<title>Two screens"), "{page}");
}
