//! Hardware in a tab: a coil that is moved, a glass that is filled, and what a page says when the plug is pulled.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use peerage_tests::adapter::Adapter;
use peerage_tests::{Browsers, Relay, Tab, free_port};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Debian's, which has the library.
const PYTHON: &str = "/usr/bin/python3";
const DEVICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/modbus/device.py");

/// A Modbus device by pymodbus, which ends with this.
struct Device {
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Device {
    fn start(port: u16) -> Self {
        let mut process = Command::new(PYTHON)
            .args([DEVICE, &port.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        let mut device = Self { process, said };
        assert_eq!(device.line(), "here");
        device
    }

    /// What it says next.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn unplug(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.unplug();
    }
}

/// What an async function of the page returns, or what it throws.
async fn given(tab: &Tab, body: &str) -> Value {
    let script = format!(
        "(async () => {{ {body} }})().then(arguments[0], e => arguments[0](
            {{ name: e.name, code: e.code, end: e.end, reason: e.reason, message: e.message }}))"
    );
    tab.wait_for(&script, vec![]).await
}

/// A device whose points are in the mesh as `plant`.
struct Plant {
    port: u16,
    device: Device,
    adapter: Adapter,
    _folder: TempDir,
}

impl Plant {
    async fn start(adapters: &str) -> Self {
        let port = free_port();
        let device = Device::start(port);
        let folder = tempfile::tempdir().unwrap();
        let map = folder.path().join("plant.json");
        let points = json!({ "pump": { "coil": 3 }, "door": { "discrete": 0 },
            "setpoint": { "holding": 0, "scale": 0.1 }, "level": { "input": 0, "as": "i16" } });
        let text = json!({ "device": format!("127.0.0.1:{port}"), "pollMs": 50, "points": points });
        std::fs::write(&map, text.to_string()).unwrap();
        let map = map.to_str().unwrap();
        let adapter = Adapter::start(&[
            "modbus",
            "--connect",
            adapters,
            "--name",
            "plant",
            "--map",
            map,
        ]);
        adapter.until_said("linked: plant").await;
        Self {
            port,
            device,
            adapter,
            _folder: folder,
        }
    }
}

#[tokio::test]
async fn a_coil_is_moved_from_a_tab_and_a_device_that_is_unplugged_is_a_failure_there_at_once() {
    let mut relay = Relay::start("127.0.0.1:0");
    let mut plant = Plant::start(&relay.adapters()).await;
    let browsers = Browsers::start().await;
    let tab = browsers.open(&relay.console("tab")).await;
    tab.until("return peerage.peers().some(p => p.name === 'plant' && p.kind === 'adapter')")
        .await;
    tab.ask("window.plant = peerage.proxy('plant', 'Modbus'); return 0")
        .await;
    every_point_is_read(&tab).await;
    points_are_set(&tab, &mut plant.device).await;
    what_a_point_does_not_take_is_refused(&tab).await;
    the_plug_is_pulled_and_put_back(&tab, &mut plant).await;
}

async fn every_point_is_read(tab: &Tab) {
    let read = "return [await plant.get('pump'), await plant.get('door'), await plant.get('setpoint'), await plant.get('level')]";
    let read = given(tab, read).await;
    assert_eq!(
        (&read[0], &read[1], &read[3]),
        (&json!(false), &json!(true), &json!(-2)),
        "{read}"
    );
    assert!((read[2].as_f64().unwrap() - 21.5).abs() < 1e-9, "{read}");
}

/// The device gets what a page sets, and whoever watches a point sees it.
async fn points_are_set(tab: &Tab, device: &mut Device) {
    let moved = "window.seen = []; const watch = plant.watch('pump', on => seen.push(on));
        await plant.set('pump', true); await plant.set('setpoint', 30); return await plant.get('pump')";
    assert_eq!(given(tab, moved).await, true);
    assert_eq!(device.line(), "coil 3 [True]");
    assert_eq!(device.line(), "holding 0 [300]");
    tab.until("return seen.at(-1) === true").await;
}

async fn what_a_point_does_not_take_is_refused(tab: &Tab) {
    for (wrong, expected) in [
        ("plant.set('pump', 'on')", "bad-message"),
        ("plant.set('door', true)", "refused"),
        ("plant.open()", "unknown-method"),
    ] {
        let failed = given(tab, &format!("return await {wrong}")).await;
        assert_eq!(failed["code"], expected, "{wrong}: {failed}");
    }
    let failed = given(tab, "return await plant.set('setpoint', 1e9)").await;
    assert_eq!(failed["message"], "errRange");
}

/// Nothing is asked for in vain while the device is away, and the page knows; then it is as before.
async fn the_plug_is_pulled_and_put_back(tab: &Tab, plant: &mut Plant) {
    tab.ask("window.linked = []; peerage.proxy('plant', 'peerage/adapter/1').watch('linked', is => linked.push(is)); return 0")
        .await;
    tab.until("return linked.at(-1) === true").await;
    plant.device.unplug();
    tab.until("return linked.at(-1) === false").await;
    let failed = given(tab, "return await plant.set('pump', false)").await;
    assert_eq!(failed["code"], "unreachable");
    plant
        .adapter
        .until_said("blocked: the Modbus device is gone")
        .await;
    plant.device = Device::start(plant.port);
    tab.until("return linked.at(-1) === true").await;
    let moved = "await plant.set('pump', true); return await plant.get('pump')";
    assert_eq!(given(tab, moved).await, true);
    assert_eq!(plant.device.line(), "coil 3 [True]");
}

#[tokio::test]
async fn the_pour_page_pours_by_an_adapter_and_says_at_once_that_it_is_interrupted() {
    let mut relay = Relay::start("127.0.0.1:0");
    let address = relay.adapters();
    let args = ["dispenser", "--connect", &address, "--rate", "50"];
    let mut adapter = Adapter::start(&args);
    adapter.until_said("linked: dispenser").await;
    let browsers = Browsers::start().await;
    let tab = remote(&browsers, &relay).await;
    let watch = "window.shown = 0; const bar = document.querySelector('[data-testid=bar]');
        new MutationObserver(records => shown += records.length).observe(bar, { attributes: true, attributeFilter: ['value'] });
        return 0";
    tab.ask(watch).await;
    press_pour(&tab).await;
    let poured = json!(["success", "250 ml poured by dispenser."]);
    assert_eq!(until_ended(&tab, 1).await, poured);
    // Five seconds of pouring.
    assert!(tab.ask("return shown").await.as_u64().unwrap() >= 25);
    tab.until(
        "return document.querySelector('[data-testid=level]').textContent === '250 ml of 500 ml'",
    )
    .await;
    pour_to_the_middle(&tab).await;
    adapter.kill();
    let interrupted = json!(["fail", "Failed: the machine was lost in the midst of it."]);
    assert_eq!(until_ended(&tab, 2).await, interrupted);
    // It is known that it is not there.
    tab.until("return document.querySelector('[data-testid=connection]').textContent === 'dispenser is unplugged'")
        .await;
    press_pour(&tab).await;
    let unreachable = json!(["fail", "Failed: the machine cannot be reached."]);
    assert_eq!(until_ended(&tab, 3).await, unreachable);
    let again = Adapter::start(&args);
    again.until_said("linked: dispenser").await;
    until_connection(&tab, "connected").await;
    press_pour(&tab).await;
    assert_eq!(until_ended(&tab, 4).await[0], "success");
}

/// A page that pours, and keeps what it has said of ends.
async fn remote(browsers: &Browsers, relay: &Relay) -> Tab {
    let remote = browsers.open(&relay.page("pour/?name=remote")).await;
    until_connection(&remote, "connected").await;
    let watch = "window.ends = []; const end = document.querySelector('[data-testid=end]');
        new MutationObserver(() => { if (end.dataset.end) ends.push([end.dataset.end, end.textContent]) })
            .observe(end, { attributes: true, attributeFilter: ['data-end'] });
        return 0";
    remote.ask(watch).await;
    remote
}

async fn until_connection(tab: &Tab, words: &str) {
    let said = "document.querySelector('[data-testid=connection]').textContent";
    tab.until(&format!("return {said}.includes('{words}')"))
        .await;
}

async fn press_pour(tab: &Tab) {
    tab.ask("document.querySelector('[data-testid=pour]').click(); return 0")
        .await;
}

async fn pour_to_the_middle(tab: &Tab) {
    press_pour(tab).await;
    tab.until("return document.querySelector('[data-testid=bar]').value > 0.1")
        .await;
}

async fn until_ended(tab: &Tab, times: usize) -> Value {
    tab.until(&format!("return ends.length === {times}")).await;
    tab.ask("return ends.at(-1)").await
}

#[tokio::test]
async fn a_machine_that_comes_back_under_another_name_is_found_under_it() {
    let mut relay = Relay::start("127.0.0.1:0");
    let address = relay.adapters();
    let args = ["dispenser", "--connect", &address, "--rate", "100"];
    let mut adapter = Adapter::start(&args);
    adapter.until_said("linked: dispenser").await;
    let browsers = Browsers::start().await;
    let tab = remote(&browsers, &relay).await;
    pour_to_the_middle(&tab).await;
    adapter.kill();
    let lost = json!(["fail", "Failed: the machine was lost in the midst of it."]);
    assert_eq!(until_ended(&tab, 1).await, lost);
    let renamed = Adapter::start(&[&args[..], &["--name", "dispenser-left"]].concat());
    renamed.until_said("linked: dispenser-left").await;
    tab.until("return document.querySelector('[data-testid=machine]').value === 'dispenser-left'")
        .await;
    until_connection(&tab, "connected").await;
    press_pour(&tab).await;
    let poured = json!(["success", "250 ml poured by dispenser-left."]);
    assert_eq!(until_ended(&tab, 2).await, poured);
}

#[tokio::test]
async fn a_relay_that_is_restarted_during_a_pour_interrupts_it_and_nothing_is_poured_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (file, journal) = (
        folder.path().join("relay.json"),
        folder.path().join("journal"),
    );
    let adapters = format!("127.0.0.1:{}", free_port());
    let config = json!({ "adapters": { "listen": adapters } });
    std::fs::write(&file, config.to_string()).unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let mut relay = Relay::at(&address, &file);
    let journal_path = journal.to_str().unwrap();
    let adapter = Adapter::start(&[
        "dispenser",
        "--connect",
        &adapters,
        "--rate",
        "100",
        "--journal",
        journal_path,
    ]);
    adapter.until_said("linked: dispenser").await;
    let browsers = Browsers::start().await;
    let tab = remote(&browsers, &relay).await;
    pour_to_the_middle(&tab).await;
    relay.kill();
    until_connection(&tab, "the relay is away").await;
    adapter.until_said("blocked").await;
    let _relay = Relay::at(&address, &file);
    adapter.until_said("linked: dispenser").await;
    let ended = until_ended(&tab, 1).await;
    assert_eq!(ended[0], "fail", "{ended}");
    until_connection(&tab, "connected").await;
    let opened = || std::fs::read_to_string(&journal).unwrap().lines().count();
    assert_eq!(opened(), 1);
    press_pour(&tab).await;
    assert_eq!(until_ended(&tab, 2).await[0], "success");
    assert_eq!(opened(), 2);
}
