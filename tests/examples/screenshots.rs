//! Pictures of the console, into the folder that is given: `cargo xtask screenshots`.

use std::path::Path;

use fantoccini::key::Key;
use peerage_tests::{Browsers, Peer, Relay, Tab};
use serde_json::json;

/// What is typed at the prompt of the tab in the pictures.
const LINES: [&str; 5] = [
    "calc (1+2)*3.5 @phone",
    "ping @phone,workbench",
    "greet you @workbench",
    "calc 1/0 @workbench",
    "echo hello @nobody",
];

#[tokio::main]
async fn main() {
    let folder = std::env::args_os().nth(1).expect("the folder for pictures");
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let commands = json!({ "commands": { "greet": "echo hello," } });
    let _workbench = Peer::start(&relay, "workbench", &commands).await;
    let laptop = browsers.open(&relay.console("laptop")).await;
    take(&laptop, Path::new(&folder), "alone").await;
    let phone = browsers.open(&relay.console("phone")).await;
    laptop.until_path("phone", "direct").await;
    phone.until_path("laptop", "direct").await;
    for (n, line) in LINES.iter().enumerate() {
        laptop.type_line(line).await;
        laptop.until_results(n + 1).await;
    }
    take(&laptop, Path::new(&folder), "console").await;
    laptop.type_line("sleep 600 @workbench").await;
    laptop.press(&["@workbench s", &(Key::Tab + "")]).await;
    laptop.until_candidate("status").await;
    take(&laptop, Path::new(&folder), "typing").await;
    let choose = "const list = document.querySelector('[data-testid=\"log-node\"]');
        list.value = [...list.options].find(o => o.text === 'workbench').value;
        list.dispatchEvent(new Event('change'));";
    laptop.ask(choose).await;
    take(&laptop, Path::new(&folder), "log").await;
}

async fn take(tab: &Tab, folder: &Path, what: &str) {
    for (screen, width, height) in [("laptop", 1280, 800), ("phone", 390, 844)] {
        for scheme in ["light", "dark"] {
            tab.resize(width, height, scheme).await;
            if what == "log" {
                tab.ask("document.querySelector('.events').scrollIntoView()")
                    .await;
            }
            // Time for round trips to be refreshed and for the page to be drawn.
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
            let picture = tab.client.screenshot().await.expect("a picture");
            let file = folder.join(format!("{what}-{screen}-{scheme}.png"));
            std::fs::write(file, picture).expect("a folder to write to");
        }
    }
}
