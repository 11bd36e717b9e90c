//! Pour: a machine and its remote controls.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use peerage::service::operation::Progress;
use peerage::{Config, Kind};
use peerage_relay::Node;
use peerage_tests::{Browsers, Mouse, Relay, Tab};
use serde_json::{Value, json};

const POUR: &str = "document.querySelector('[data-testid=pour]').click(); return 0";

/// What a page shows from now on: how far it is, and how it ends.
const WATCH: &str = "
    window.shown = []; window.ends = [];
    const bar = document.querySelector('[data-testid=bar]'), end = document.querySelector('[data-testid=end]');
    new MutationObserver(records => { for (const _ of records) if (bar.position >= 0) shown.push(bar.value) })
        .observe(bar, { attributes: true, attributeFilter: ['value'] });
    new MutationObserver(() => { if (end.dataset.end) ends.push([end.dataset.end, end.textContent]) })
        .observe(end, { attributes: true, attributeFilter: ['data-end'] });
    return 0";

async fn machine(browsers: &Browsers, relay: &Relay) -> Tab {
    browsers.open(&relay.page("pour/?role=dispenser")).await
}

async fn remote(browsers: &Browsers, relay: &Relay, name: &str) -> Tab {
    let page = relay.page(&format!("pour/?name={name}"));
    let tab = browsers.open(&page).await;
    tab.until("return document.querySelector('[data-testid=connection]').textContent.includes('connected')")
        .await;
    tab
}

/// Whether a page has said that the machine is there no more.
fn is_lost(end: &Value) -> bool {
    let ways = ["has left", "cannot be reached any more"];
    ways.iter()
        .any(|way| *end == json!(["fail", format!("Failed: the machine {way}.")]))
}

#[tokio::test]
async fn a_pour_of_twenty_seconds_is_told_at_least_five_times_a_second() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let machine = machine(&browsers, &relay).await;
    let remote1 = remote(&browsers, &relay, "remote-1").await;
    let remote2 = remote(&browsers, &relay, "remote-2").await;
    remote1.ask(WATCH).await;
    remote1.ask(POUR).await;
    // The other one sees it, too.
    remote2
        .until("const bar = document.querySelector('li progress'); return !!bar && !bar.hidden && bar.value > 0.1")
        .await;
    let left = "return /^[0-9]+ s left$/.test(document.querySelector('[data-testid=remaining]').textContent)";
    remote1.until(left).await;
    remote1.until("return ends.length > 0").await;
    let shown = remote1.ask("return shown").await;
    // A second of the machine is a twentieth of the pour.
    let mut seconds = [0; 20];
    for fraction in shown.as_array().unwrap() {
        let second = fraction.as_f64().unwrap() * 20.0;
        seconds[(second as usize).min(19)] += 1;
    }
    println!("progress events shown in each second of the pour: {seconds:?}");
    assert!(seconds.iter().all(|shown| *shown >= 5), "{seconds:?}");
    assert_eq!(
        remote1.ask("return ends").await,
        json!([["success", "250 ml poured by dispenser."]])
    );
    for tab in [&machine, &remote1, &remote2] {
        tab.until("return document.querySelector('li .badge').textContent === 'done'")
            .await;
        tab.until("return document.querySelector('[data-testid=level]').textContent === '250 ml of 500 ml'")
            .await;
    }
}

#[tokio::test]
async fn a_page_that_is_reloaded_finds_its_pour_again_and_sees_its_end_once() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let machine = machine(&browsers, &relay).await;
    let remote = remote(&browsers, &relay, "remote").await;
    remote.ask(POUR).await;
    for least in [0.1, 0.3] {
        remote
            .until(&format!(
                "return document.querySelector('[data-testid=bar]').value > {least}"
            ))
            .await;
        remote.client.refresh().await.unwrap();
        remote.until_online().await;
    }
    remote.ask(WATCH).await;
    remote.until("return ends.length > 0").await;
    assert_eq!(
        remote.ask("return ends").await,
        json!([["success", "250 ml poured by dispenser."]])
    );
    assert_eq!(
        machine.ask("return machine.history").await,
        json!(["open", "close"])
    );
    remote.client.refresh().await.unwrap();
    remote.until_online().await;
    remote
        .until("return document.querySelector('li .badge')?.textContent === 'done'")
        .await;
    let end = "return [document.querySelector('[data-testid=end]').textContent, document.querySelector('.running').hidden]";
    assert_eq!(remote.ask(end).await, json!(["", true]));
}

#[tokio::test]
async fn a_pour_is_cancelled_or_fails_and_the_page_says_why() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let machine = machine(&browsers, &relay).await;
    let remote = remote(&browsers, &relay, "remote").await;
    remote.ask(WATCH).await;
    let running = "return document.querySelector('[data-testid=bar]').value > 0";
    remote.ask(POUR).await;
    remote.until(running).await;
    remote
        .ask("document.querySelector('[data-testid=cancel]').click(); return 0")
        .await;
    remote.until("return ends.length === 1").await;
    remote.ask(POUR).await;
    remote.until(running).await;
    let dry = "document.querySelector('[data-testid=water]').click(); return 0";
    machine.ask(dry).await;
    remote.until("return ends.length === 2").await;
    // Neither does it begin without water.
    remote.ask(POUR).await;
    remote.until("return ends.length === 3").await;
    machine.ask(dry).await;
    remote.ask(POUR).await;
    remote.until(running).await;
    machine.client.clone().close().await.unwrap();
    remote.until("return ends.length === 4").await;
    let ends = remote.ask("return ends").await;
    assert_eq!(
        ends.as_array().unwrap()[..3],
        [
            json!(["cancel", "Cancelled: the user pressed Cancel."]),
            json!(["fail", "Failed: the machine has no water."]),
            json!(["fail", "Failed: the machine has no water."]),
        ]
    );
    assert!(is_lost(&ends[3]), "{ends}");
}

/// The machine as a process of its own: this program once more, told to be nothing else.
#[tokio::test]
#[ignore = "it is run by the test that kills it"]
async fn machine_process() {
    let Ok(mesh) = std::env::var("PEERAGE_TEST_MACHINE") else {
        return;
    };
    let config = Config::new(Kind::Native).named("native".parse().unwrap());
    let node = Node::join(config, vec![mesh.parse().unwrap()])
        .await
        .unwrap();
    node.operation("pour", |work| async move {
        for step in 0..400_u32 {
            work.progress(Progress::of(f64::from(step) / 400.0));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(json!({ "ml": 250 }))
    });
    std::future::pending::<()>().await;
}

fn machine_program(relay: &Relay) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["pour::machine_process", "--exact", "--ignored"])
        .env("PEERAGE_TEST_MACHINE", relay.mesh())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn the_machine_is_killed_in_the_middle_and_the_page_says_so_at_once() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let mut machine = machine_program(&relay);
    relay.until_here("native", true).await;
    let remote = browsers
        .open(&relay.page("pour/?name=remote&machine=native"))
        .await;
    remote.ask(WATCH).await;
    let note = "window.events = [];
        const note = what => events.push([what, performance.now()]);
        peerage.addEventListener('peerleave', () => { note('left'); setTimeout(() => note('100 ms later'), 100) });
        new MutationObserver(() => note('shown')).observe(document.querySelector('[data-testid=end]'),
            { attributes: true, attributeFilter: ['data-end'] });
        return 0";
    remote.ask(POUR).await;
    remote
        .until("return document.querySelector('[data-testid=bar]').value > 0.05")
        .await;
    remote.ask(note).await;
    machine.kill().unwrap();
    machine.wait().unwrap();
    remote.until("return events.length === 3").await;
    let events = remote.ask("return events").await;
    let at = |n: usize| events[n][1].as_f64().unwrap();
    let order: Vec<_> = (0..3).map(|n| events[n][0].as_str().unwrap()).collect();
    println!(
        "killed: {} ms from {} to {}",
        at(1) - at(0),
        order[0],
        order[1]
    );
    assert_eq!(order[2], "100 ms later", "{events}");
    let ends = remote.ask("return ends").await;
    assert!(is_lost(&ends[0]) && ends[1].is_null(), "{ends}");
}

/// Pointer down and up in one task, so often: no time passes between them.
const TAP: &str = "
    const hold = document.querySelector('[data-testid=hold]');
    const send = (kind, n) => hold.dispatchEvent(new PointerEvent(kind, { button: 0, pointerId: n, bubbles: true }));
    for (let n = 0; n < 200; n++) { send('pointerdown', n); send('pointerup', n) }
    return 0";

#[tokio::test]
async fn taps_within_a_millisecond_open_and_close_in_pairs() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let machine = machine(&browsers, &relay).await;
    let remote1 = remote(&browsers, &relay, "remote-1").await;
    remote1.ask(TAP).await;
    machine
        .until("return machine.history.length === 400 && !machine.isOpen")
        .await;
    let pairs = "return machine.history.every((entry, n) => entry === (n % 2 ? 'close' : 'open'))";
    assert_eq!(machine.ask(pairs).await, true);

    // By a real mouse: on the button, and let go beside it.
    let place = "const r = document.querySelector('[data-testid=hold]').getBoundingClientRect(); return [r.left + 20, r.top + 20]";
    let place = remote1.ask(place).await;
    let at = (place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
    remote1.mouse(Mouse::Move, at).await;
    for _ in 0..20 {
        remote1.mouse(Mouse::Down, at).await;
        remote1.mouse(Mouse::Up, at).await;
    }
    machine
        .until("return machine.history.length === 440 && !machine.isOpen")
        .await;
    remote1.mouse(Mouse::Down, at).await;
    remote1.mouse(Mouse::Drag, (5.0, 5.0)).await;
    machine.until("return machine.isOpen").await;
    remote1.mouse(Mouse::Up, (5.0, 5.0)).await;
    machine.until("return !machine.isOpen").await;
    remote1
        .until("return /^[0-9.]+ ml poured.$/.test(document.querySelector('[data-testid=end]').textContent)")
        .await;

    // Who is gone holds nothing down.
    remote1.mouse(Mouse::Move, at).await;
    remote1.mouse(Mouse::Down, at).await;
    machine.until("return machine.isOpen").await;
    remote1.client.clone().close().await.unwrap();
    machine.until("return !machine.isOpen").await;
    assert_eq!(machine.ask(pairs).await, true);
}
