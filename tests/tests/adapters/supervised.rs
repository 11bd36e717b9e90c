//! Adapters that a relay starts, starts again, and stops.

use std::path::Path;

use peerage::rpc::CallError;
use peerage_tests::{Relay, free_port, join, program, until};
use serde_json::{Value, json};

use crate::is_linked;

/// The processes whose command lines have this word (Linux).
fn processes(word: &str) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has = |id: &i32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0)
            .any(|part| part == word.as_bytes())
    };
    ids.filter(has).collect()
}

/// How a relay starts a dispenser that calls `address`: by the word `instance` its processes are known.
fn command(address: &str, instance: &str) -> Value {
    let program = program().into_string().unwrap();
    json!([
        program,
        "adapter",
        "dispenser",
        "--connect",
        address,
        "--instance",
        instance
    ])
}

fn signal(id: i32, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_raw(id).unwrap();
    rustix::process::kill_process(id, signal).unwrap();
}

#[tokio::test]
async fn a_supervised_adapter_is_started_again_when_it_ends_and_stopped_with_its_relay() {
    let address = format!("127.0.0.1:{}", free_port());
    let instance = format!("supervised-{}", std::process::id());
    let command = command(&address, &instance);
    let supervised =
        json!([{ "name": "left", "command": command, "restart": { "minMs": 50, "maxMs": 200 } }]);
    let relay =
        Relay::configured(&json!({ "adapters": { "listen": address, "supervised": supervised } }));
    relay.until_here("dispenser", true).await;
    let node = join(&relay, "caller").await;
    until("it is linked", async || is_linked(&node, "dispenser").await).await;
    let first = processes(&instance);
    assert_eq!(first.len(), 1);
    signal(first[0], rustix::process::Signal::KILL);
    until("another is started", async || {
        let now = processes(&instance);
        now.len() == 1 && now != first
    })
    .await;
    until("it is linked", async || is_linked(&node, "dispenser").await).await;
    relay.terminate();
    until("it is stopped", async || processes(&instance).is_empty()).await;
}

#[tokio::test]
async fn a_supervised_adapter_does_not_outlive_a_relay_that_is_killed() {
    let address = format!("127.0.0.1:{}", free_port());
    let instance = format!("orphan-{}", std::process::id());
    let command = command(&address, &instance);
    let supervised = json!([{ "name": "left", "command": command }]);
    let mut relay =
        Relay::configured(&json!({ "adapters": { "listen": address, "supervised": supervised } }));
    relay.until_here("dispenser", true).await;
    assert_eq!(processes(&instance).len(), 1);
    relay.kill();
    until("it has ended", async || processes(&instance).is_empty()).await;
}

#[tokio::test]
async fn an_adapter_comes_and_goes_with_its_device() {
    let folder = tempfile::tempdir().unwrap();
    let (sysfs, usb) = (folder.path().join("tty"), folder.path().join("usb"));
    std::fs::create_dir_all(&sysfs).unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let instance = format!("{{device}}-{}", std::process::id());
    let of_device = |device| processes(&instance.replace("{device}", device));
    let command = command(&address, &instance);
    let supervised = json!([{ "name": "usb", "command": command, "restart": { "minMs": 50 },
        "when": { "vendor": "2341", "product": "0043" } }]);
    let adapters = json!({ "listen": address, "supervised": supervised, "sysfs": sysfs });
    let relay = Relay::configured(&json!({ "adapters": adapters }));
    let node = join(&relay, "caller").await;
    let unknown = node
        .proxy("dispenser", "Dispenser")
        .get::<Value>("state")
        .await;
    assert!(
        matches!(unknown, Err(CallError::Failed(failure)) if failure.code == peerage::Code::UnknownName)
    );
    plug(&sysfs, &usb, "ttyTEST7");
    until("it is started, and linked", async || {
        is_linked(&node, "dispenser").await
    })
    .await;
    let started = of_device("/dev/ttyTEST7");
    assert_eq!(started.len(), 1);
    std::fs::remove_dir_all(sysfs.join("ttyTEST7")).unwrap();
    until("it is stopped", async || {
        of_device("/dev/ttyTEST7").is_empty()
    })
    .await;
    until("that is known", async || {
        !is_linked(&node, "dispenser").await
    })
    .await;
    plug(&sysfs, &usb, "ttyTEST8");
    until("it is back", async || is_linked(&node, "dispenser").await).await;
    assert_eq!(of_device("/dev/ttyTEST8").len(), 1);
}

/// What the kernel shows of a serial device on USB.
fn plug(sysfs: &Path, usb: &Path, name: &str) {
    let terminal = usb.join("1-2/1-2:1.0").join(name);
    std::fs::create_dir_all(&terminal).unwrap();
    std::fs::write(usb.join("1-2/idVendor"), "2341\n").unwrap();
    std::fs::write(usb.join("1-2/idProduct"), "0043\n").unwrap();
    std::fs::create_dir_all(sysfs.join(name)).unwrap();
    std::os::unix::fs::symlink(&terminal, sysfs.join(name).join("device")).unwrap();
}
