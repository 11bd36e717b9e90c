//! Pictures of the console and the pages beside it, into the folder that is given: `cargo xtask screenshots`.

use std::path::Path;

use fantoccini::key::Key;
use peerage_tests::adapter::Adapter;
use peerage_tests::{Browsers, Mouse, Peer, Relay, Swarm, Tab, free_port};
use serde_json::json;

/// What is typed at the prompt of the tab in the pictures.
const LINES: [&str; 5] = [
    "calc (1+2)*3.5 @phone",
    "ping @phone,workbench",
    "greet you @workbench",
    "calc 1/0 @workbench",
    "echo hello @nobody",
];
/// How many nodes a mesh of many has.
const MANY: usize = 500;

#[tokio::main]
async fn main() {
    let folder = std::env::args_os().nth(1).expect("the folder for pictures");
    let folder = Path::new(&folder);
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    small(&browsers, &relay, folder).await;
    screens(&browsers, &relay, folder).await;
    pour(&browsers, &relay, folder).await;
    trouble(&browsers, folder).await;
    many(&browsers, folder).await;
}

/// The console in a small mesh, and its prompt.
async fn small(browsers: &Browsers, relay: &Relay, folder: &Path) {
    let commands = json!({ "commands": { "greet": "echo hello," } });
    let _workbench = Peer::start(relay, "workbench", &commands).await;
    let laptop = browsers.open(&relay.console("laptop")).await;
    take(&laptop, folder, "alone").await;
    let phone = browsers.open(&relay.console("phone")).await;
    laptop.until_path("phone", "direct").await;
    phone.until_path("laptop", "direct").await;
    for (n, line) in LINES.iter().enumerate() {
        laptop.type_line(line).await;
        laptop.until_results(n + 1).await;
    }
    take(&laptop, folder, "console").await;
    laptop.type_line("sleep 600 @workbench").await;
    laptop.press(&["@workbench s", &(Key::Tab + "")]).await;
    laptop.until_candidate("status").await;
    take(&laptop, folder, "typing").await;
}

/// Each view of a mesh of many nodes, at work.
async fn many(browsers: &Browsers, folder: &Path) {
    let relay = Relay::start("127.0.0.1:0");
    let mesh = relay.mesh().parse().expect("an address");
    let _swarm = Swarm::join(&mesh, MANY).await;
    let tab = browsers.open(&relay.console("laptop")).await;
    // Time for all to be asked for their links.
    tokio::time::sleep(std::time::Duration::from_secs(90)).await;
    let topic = "topics/plant/line-1/seat-1/temperature";
    for address in ["map", "nodes", "operations", topic, "log/sensor-1"] {
        go(&tab, address).await;
        take(&tab, folder, &format!("many-{}", word(address))).await;
    }
    go(&tab, "map").await;
    for _ in 0..2 {
        tab.ask("document.querySelector('[data-testid=map]').focus(); return 0")
            .await;
        tab.press(&[&(Key::Left + "")]).await;
    }
    take(&tab, folder, "many-focus").await;
    go(&tab, "nodes/sensor-1").await;
    let inside = "document.querySelector('[data-testid=agent-Sensor] summary')";
    tab.until(&format!("{inside}?.click(); return !!{inside}"))
        .await;
    tab.until("const call = document.querySelector('[data-testid=method-read] button'); call?.click(); return !!call")
        .await;
    take(&tab, folder, "many-node").await;
    go(&tab, "frames").await;
    tab.ask("peerage.run('echo hello @sensor-7'); return 0")
        .await;
    let choose = "const row = [...document.querySelectorAll('[data-testid=frames] tr')]
        .find(row => row.textContent.includes('peerage/rpc')); row?.click(); return !!row";
    tab.until(choose).await;
    take(&tab, folder, "many-frames").await;
}

/// Goes to an address within the page.
async fn go(tab: &Tab, address: &str) {
    tab.ask(&format!("location.hash = '#/{address}'; return 0"))
        .await;
}

/// The view of an address.
fn word(address: &str) -> &str {
    address.split('/').next().unwrap_or(address)
}

/// Two screens, in the middle of a drag.
async fn screens(browsers: &Browsers, relay: &Relay, folder: &Path) {
    let left = browsers.open(&relay.page("two-screens/?name=left")).await;
    take(&left, folder, "screen-alone").await;
    let right = browsers.open(&relay.page("two-screens/?name=right")).await;
    for tab in [&left, &right] {
        tab.until("return document.body.dataset.connection === 'direct'")
            .await;
        tab.resize(900, 640, "light").await;
    }
    // Cards take a moment to their new places.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let place = "const r = document.querySelector('[data-card=tea]').getBoundingClientRect(); return [r.left + 12, r.top + 48]";
    let place = left.ask(place).await;
    let (x, y) = (
        place[0].as_f64().expect("a number"),
        place[1].as_f64().expect("a number"),
    );
    left.mouse(Mouse::Move, (x, y)).await;
    left.mouse(Mouse::Down, (x, y)).await;
    for step in 0..=80 {
        let share = f64::from(step) / 80.0;
        let at = (x + (836.0 - x) * share, y - 120.0 * share);
        left.mouse(Mouse::Drag, at).await;
    }
    for (tab, name) in [(&left, "left"), (&right, "right")] {
        picture(tab, folder, &format!("screens-drag-{name}")).await;
    }
    left.mouse(Mouse::Up, (836.0, y - 120.0)).await;
    for view in ["cards", "count", "colour"] {
        left.ask(&format!(
            "document.querySelector('[data-view={view}]').click()"
        ))
        .await;
        take(&right, folder, &format!("screen-{view}")).await;
    }
}

/// A machine and its remote control, in the middle of a pour and after it.
async fn pour(browsers: &Browsers, relay: &Relay, folder: &Path) {
    let machine = browsers.open(&relay.page("pour/?role=dispenser")).await;
    let remote = browsers.open(&relay.page("pour/?name=kitchen")).await;
    remote.until_path("dispenser", "direct").await;
    let click = |what: &str| format!("document.querySelector('[data-testid={what}]').click()");
    remote.ask(&click("pour")).await;
    remote
        .until("return document.querySelector('[data-testid=bar]').value > 0.1")
        .await;
    take(&remote, folder, "pour-remote").await;
    take(&machine, folder, "pour-machine").await;
    machine.ask(&click("water")).await;
    remote.ask(&click("pour")).await;
    take(&remote, folder, "pour-failed").await;
}

/// What each screen shows when a board is lost in the middle of a pour, comes back under another name, and when the
/// relay is away for a while.
async fn trouble(browsers: &Browsers, folder: &Path) {
    let file = folder.join("relay.json");
    let adapters = format!("127.0.0.1:{}", free_port());
    let config = json!({ "adapters": { "listen": adapters } });
    std::fs::write(&file, config.to_string()).expect("a folder to write to");
    let address = format!("127.0.0.1:{}", free_port());
    let mut relay = Relay::at(&address, &file);
    let args = ["dispenser", "--connect", &adapters, "--rate", "12"];
    let mut board = Adapter::start(&args);
    board.until_said("linked: dispenser").await;
    let desk = browsers.open(&relay.console("desk")).await;
    let remote = browsers.open(&relay.page("pour/?name=kitchen")).await;
    let until_pouring = async || {
        let click = "document.querySelector('[data-testid=pour]').click(); return 0";
        remote.ask(click).await;
        remote
            .until("return document.querySelector('[data-testid=bar]').value > 0.1")
            .await;
    };
    let until_connection = async |words: &str| {
        let said = "document.querySelector('[data-testid=connection]').textContent";
        remote
            .until(&format!("return {said}.includes('{words}')"))
            .await;
    };
    until_connection("connected").await;
    go(&desk, "operations").await;
    until_pouring().await;
    board.kill();
    until_connection("unplugged").await;
    take(&remote, folder, "trouble-lost-pour").await;
    take(&desk, folder, "trouble-lost-operations").await;
    go(&desk, "nodes/dispenser").await;
    take(&desk, folder, "trouble-lost-node").await;
    let renamed = Adapter::start(&[&args[..], &["--name", "dispenser-left"]].concat());
    renamed.until_said("linked: dispenser-left").await;
    until_connection("connected").await;
    take(&remote, folder, "trouble-renamed-pour").await;
    go(&desk, "nodes").await;
    take(&desk, folder, "trouble-renamed-nodes").await;
    until_pouring().await;
    relay.kill();
    until_connection("the relay is away").await;
    take(&remote, folder, "trouble-away-pour").await;
    go(&desk, "map").await;
    take(&desk, folder, "trouble-away-map").await;
    let _relay = Relay::at(&address, &file);
    renamed.until_said("linked: dispenser-left").await;
    until_connection("connected").await;
    take(&remote, folder, "trouble-back-pour").await;
    take(&desk, folder, "trouble-back-map").await;
}

async fn take(tab: &Tab, folder: &Path, what: &str) {
    for (screen, width, height) in [("laptop", 1280, 800), ("phone", 390, 844)] {
        for scheme in ["light", "dark"] {
            tab.resize(width, height, scheme).await;
            // Time for round trips to be refreshed and for the page to be drawn.
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
            picture(tab, folder, &format!("{what}-{screen}-{scheme}")).await;
        }
    }
}

async fn picture(tab: &Tab, folder: &Path, what: &str) {
    let picture = tab.client.screenshot().await.expect("a picture");
    let file = folder.join(format!("{what}.png"));
    std::fs::write(file, picture).expect("a folder to write to");
}
