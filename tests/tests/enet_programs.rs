//! A program in C that knows nothing of Peerage but a few messages is a node among nodes, for a tab too.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use peerage::Kind;
use peerage_tests::c::{C, Running};
use peerage_tests::{Browsers, Relay, Tab, join, until};
use serde_json::{Value, json};

const SENSOR: &str = "examples/c/sensor.c";

/// What an async function of the page returns, or what it throws.
async fn given(tab: &Tab, body: &str) -> Value {
    let script = format!(
        "(async () => {{ {body} }})().then(arguments[0], e => arguments[0](
            {{ name: e.name, code: e.code, end: e.end, reason: e.reason, message: e.message }}))"
    );
    tab.wait_for(&script, vec![]).await
}

async fn sensor(relay: &Relay, program: &C, port: &str, name: &str) -> Running {
    let sensor = program.run(&["127.0.0.1", port, name]);
    sensor.until_said(&format!("{name} is in the mesh")).await;
    relay.until_here(name, true).await;
    sensor
}

fn port_of(relay: &mut Relay) -> String {
    let enet = relay.enet();
    enet.rsplit(':').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_sensor_in_c_is_used_from_a_tab() {
    let mut relay = Relay::start("127.0.0.1:0");
    let port = port_of(&mut relay);
    let program = C::build(SENSOR);
    let mut boiler = sensor(&relay, &program, &port, "boiler").await;
    let (_, listed) = relay.get("/api/v1/nodes", "").await;
    assert!(listed.contains(r#""kind":"enet""#), "{listed}");
    let browsers = Browsers::start().await;
    let tab = browsers.open(&relay.console("tab")).await;
    tab.until("return peerage.peers().some(p => p.name === 'boiler' && p.kind === 'enet')")
        .await;
    // It is called, with and without arguments, and what it throws has its type and message.
    let read = given(
        &tab,
        "return await peerage.proxy('boiler', 'Sensor').read()",
    )
    .await;
    assert!(
        read.as_f64()
            .is_some_and(|celsius| (10.0..40.0).contains(&celsius)),
        "{read}"
    );
    let scaled = "const sensor = peerage.proxy('boiler', 'Sensor');
        return [await sensor.scaled(0), await sensor.scaled(-2) < 0, await sensor.scaled(0.5) > 1]";
    assert_eq!(given(&tab, scaled).await, json!([0, true, true]));
    let failed = given(
        &tab,
        "return await peerage.proxy('boiler', 'Sensor').fail()",
    )
    .await;
    assert_eq!(failed["name"], "SensorError");
    assert_eq!(failed["message"], "the sensor is broken");
    let failed = given(
        &tab,
        "return await peerage.proxy('boiler', 'Sensor').nothing()",
    )
    .await;
    assert_eq!(failed["code"], "unknown-method");
    // What it measures is seen: as a property, an event, and a topic.
    let seen = "const sensor = peerage.proxy('boiler', 'Sensor'), seen = [[], [], []];
        const watch = sensor.watch('celsius', c => seen[0].push(c)), on = sensor.on('measured', c => seen[1].push(c));
        const sub = await peerage.subscribe('sensors/#');
        for await (const m of sub) { seen[2].push(m); if (seen.every(list => list.length > 3)) break }
        const [last] = seen[2].slice(-1);
        return [last.topic, last.sender?.name ?? last.sender, seen.flat().every(c => (c.value ?? c) > 10)]";
    let seen = given(&tab, seen).await;
    assert_eq!(seen[0], "sensors/boiler/celsius", "{seen}");
    assert_eq!(seen[2], true, "{seen}");
    an_operation_has_progress_and_is_cancelled(&tab).await;
    // It is killed, and that is noticed by who waits for it, and by everybody.
    tab.ask("window.waits = peerage.start('boiler', 'calibrate', 900).result.then(() => 'ended', e => e.code); return 0")
        .await;
    boiler.kill();
    assert_eq!(given(&tab, "return await waits").await, "gone");
    tab.until("return !peerage.peers().some(p => p.name === 'boiler')")
        .await;
    // Who comes back is who it was.
    let again = sensor(&relay, &program, &port, "boiler").await;
    let read = given(
        &tab,
        "return await peerage.proxy('boiler', 'Sensor').read() > 10",
    )
    .await;
    assert_eq!(read, true);
    drop(again);
}

async fn an_operation_has_progress_and_is_cancelled(tab: &Tab) {
    let calibrate = "const op = peerage.start('boiler', 'calibrate', 5), seen = [];
        for await (const p of op.progress) seen.push([p.fraction, p.note]);
        return [await op.result, seen.at(-1), seen.every(([f], i) => !i || f >= seen[i - 1][0])]";
    assert_eq!(
        given(tab, calibrate).await,
        json!([0.5, [0.8, "heating"], true])
    );
    let cancel = "const op = peerage.start('boiler', 'calibrate', 900);
        for await (const p of op.progress) { op.cancel('enough'); break }
        return await op.result";
    let cancelled = given(tab, cancel).await;
    assert_eq!(
        (&cancelled["end"], &cancelled["reason"]),
        (&json!("cancel"), &json!("enough"))
    );
}

#[tokio::test]
async fn programs_call_each_other_through_the_mesh_and_bad_ones_are_refused() {
    let mut relay = Relay::start("127.0.0.1:0");
    let port = port_of(&mut relay);
    let program = C::build(SENSOR);
    let mut bad = program.run(&["127.0.0.1", &port, "no name"]);
    assert_eq!(bad.ended().await, 1);
    assert!(
        bad.until_said("bad-message")
            .await
            .contains("expected a name")
    );
    // Two who want the same name are told apart.
    let _one = sensor(&relay, &program, &port, "boiler").await;
    let two = program.run(&["127.0.0.1", &port, "boiler"]);
    two.until_said("boiler-2 is in the mesh").await;
    let node = join(&relay, "native").await;
    let peers = node.peers();
    assert_eq!(
        peers.iter().filter(|peer| peer.kind == Kind::Enet).count(),
        2
    );
    for name in ["boiler", "boiler-2"] {
        let celsius: f64 = node.proxy(name, "Sensor").call("read", &()).await.unwrap();
        assert!(celsius > 10.0);
        // It runs no commands.
        let ran = node.run(&format!("calc 1+2 @{name}")).await;
        assert_eq!(ran.unwrap_err().code, peerage::Code::UnknownProtocol);
    }
    drop(two);
}

#[tokio::test]
async fn who_is_not_let_in_is_told_so_at_once() {
    let config =
        json!({ "enet": { "listen": "127.0.0.1:0", "programs": { "allow": ["10.0.0.0/8"] } } });
    let mut relay = Relay::configured(&config);
    let port = port_of(&mut relay);
    let mut stranger = C::build(SENSOR).run(&["127.0.0.1", &port, "stranger"]);
    assert_eq!(stranger.ended().await, 1);
    stranger.until_said("disconnected").await;
    until("nobody is held", async || {
        !relay.get("/api/v1/nodes", "").await.1.contains("stranger")
    })
    .await;
}
