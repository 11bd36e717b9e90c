//! A third party's protocol in a page: a tab moves Acme's native robots, and is one.

use acme_robot::{Point, Remote, Robot, RobotError, Telemetry, V1, V2};
use peerage::{Code, Node};
use peerage_tests::{Browsers, Relay, Tab, join};
use serde_json::{Value, json};

/// Acme's frames in a page.
const FRAMES: &str = "
    window.V = ['acme/robot/2', 'acme/robot/1'];
    window.frame = (size, write) => {
        const view = new DataView(new ArrayBuffer(size));
        write(view);
        return new Uint8Array(view.buffer);
    };
    window.hello = frame(3, v => { v.setUint8(0, 1); v.setUint16(1, 9); });
    window.move = (number, x, y) => frame(13, v => {
        v.setUint8(0, 2); v.setUint32(1, number); v.setInt32(5, x); v.setInt32(9, y);
    });
    window.position = (number, x, y, over) => frame(14, v => {
        v.setUint8(0, 2); v.setUint32(1, number); v.setInt32(5, x); v.setInt32(9, y); v.setUint8(13, over);
    });
    window.tick = (sequence, x, y) => frame(12, v => {
        v.setUint32(0, sequence); v.setInt32(4, x); v.setInt32(8, y);
    });
    window.view = bytes => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    window.at = bytes => [view(bytes).getInt32(5), view(bytes).getInt32(9)];
    return 0";

/// A robot in a page, in one step, until `serving` says so.
const ROBOT: &str = "window.serving = new AbortController();
    window.served = [];
    peerage.handle(V[0], async ({ readable, writable, peer, protocol }) => {
        served.push([peer.name, protocol]);
        const writer = writable.getWriter();
        const ticks = peerage.datagrams(peer.name, protocol).writable.getWriter();
        let sequence = 0;
        for await (const request of readable) {
            if (request[0] === 1) { await writer.write(frame(3, v => v.setUint8(0, 1))); continue; }
            const [number, [x, y]] = [view(request).getUint32(1), at(request)];
            ticks.write(tick(++sequence, x, y));
            await writer.write(position(number, x / 2, y / 2, 0));
            await writer.write(position(number, x, y, 1));
        }
        await writer.close();
    }, { signal: serving.signal });
    // One that has ended before it began leaves the other alone.
    peerage.handle(V[0], () => served.push('never'), { signal: AbortSignal.abort() });
    return 0";

/// A page that knows the frames.
async fn page(browsers: &Browsers, relay: &Relay, name: &str) -> Tab {
    let tab = browsers.open(&relay.console(name)).await;
    tab.ask(FRAMES).await;
    tab
}

/// What an asynchronous function of this body returns, or the `code` and `message` of its failure.
async fn result(tab: &Tab, body: &str) -> Value {
    let script = format!(
        "const done = arguments[arguments.length - 1];
        (async () => {{ {body} }})().then(done, e => done({{ code: e.code, message: e.message }}));"
    );
    tab.wait_for(&script, vec![]).await
}

/// A native robot of this name, in these versions.
async fn robot(relay: &Relay, name: &str, versions: &'static [&'static str]) -> Node {
    let node = (*join(relay, name).await).clone();
    tokio::spawn(Robot::new(node.clone()).serve(versions));
    tokio::task::yield_now().await;
    node
}

#[tokio::test]
async fn a_page_moves_robots_of_either_version_and_is_told_at_once_of_what_is_none() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let _new = robot(&relay, "new", &[V2, V1]).await;
    let _old = robot(&relay, "old", &[V1]).await;
    let _other = join(&relay, "other").await;
    let page = page(&browsers, &relay, "page").await;

    let moved = "const { readable, writable, peer, protocol } = await peerage.open('new', V);
        const [writer, reader] = [writable.getWriter(), readable.getReader()];
        await writer.write(hello);
        const welcome = (await reader.read()).value;
        const minor = view(welcome).getUint16(1);
        await writer.write(move(1, 25, -10));
        const way = [];
        for (;;) {
            const { value } = await reader.read();
            if (value.at(-1) === 1) break;
            way.push(at(value));
        }
        await writer.close();
        const { done } = await reader.read();
        return [peer.name, protocol, minor, way, done];";
    let expected = json!(["new", V2, 1, [[10, -10], [20, -10], [25, -10]], true]);
    assert_eq!(result(&page, moved).await, expected);

    let moved = "const { readable, writable, protocol } = await peerage.open('old', V);
        const [writer, reader] = [writable.getWriter(), readable.getReader()];
        await writer.write(new TextEncoder().encode('MOVE 5 5'));
        const lines = [];
        while (lines.length < 2) lines.push(new TextDecoder().decode((await reader.read()).value));
        return [protocol, lines];";
    let expected = json!([V1, ["AT 5 5", "DONE 5 5"]]);
    assert_eq!(result(&page, moved).await, expected);

    let none = result(&page, "await peerage.open('other', V)").await;
    assert_eq!(none["code"], "unknown-protocol", "{none}");
    let message = none["message"].as_str().unwrap();
    assert!(message.contains(V2) && message.contains(V1), "{message}");
    for wrong in ["[]", "Array(9).fill('x')", "[1]", "{}", "undefined"] {
        let refused = result(&page, &format!("await peerage.open('new', {wrong})")).await;
        assert_eq!(refused["code"], "bad-message", "{wrong}: {refused}");
    }

    // Telemetry comes to who moves it; any of it may be lost, so the robot moves until some has come.
    let ticks = "const { readable } = peerage.datagrams('new', V[0]);
        const { writable, readable: told } = await peerage.open('new', V[0]);
        const writer = writable.getWriter();
        await writer.write(hello);
        let number = 0;
        const moving = setInterval(() => {
            number++;
            writer.write(move(number, number % 2 * 40, 0));
        }, 30);
        told.pipeTo(new WritableStream()).catch(() => {});
        const ticks = [];
        for await (const tick of readable) {
            ticks.push([tick.length, view(tick).getUint32(0)]);
            if (ticks.length === 20) break;
        }
        clearInterval(moving);
        await writer.close();
        return ticks";
    let ticks = result(&page, ticks).await;
    let ticks: Vec<(u32, u32)> = serde_json::from_value(ticks).unwrap();
    assert!(ticks.iter().all(|(length, _)| *length == 12), "{ticks:?}");
}

#[tokio::test]
async fn a_page_is_a_robot_for_native_nodes_until_its_signal() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let caller = (*join(&relay, "caller").await).clone();
    let page = page(&browsers, &relay, "page").await;
    page.ask(ROBOT).await;
    let id = caller.resolve("page").await.unwrap().unwrap();
    let mut telemetry = Telemetry::of(&caller, id).unwrap();
    let mut remote = Remote::connect(&caller, id).await.unwrap();
    assert_eq!(remote.version(), (V2, 0));
    let tick = tokio::spawn(async move { telemetry.next().await });
    let mut moves = 0;
    while moves < 20 || !tick.is_finished() {
        moves += 1;
        let (to, mut way) = (
            Point {
                x: moves * 2,
                y: -2,
            },
            Vec::new(),
        );
        let there = remote.move_to(to, |at| way.push(at)).await.unwrap();
        assert_eq!(there, to);
        assert_eq!(way, [Point { x: moves, y: -1 }, to]);
    }
    let tick = tick.await.unwrap().unwrap();
    assert_eq!(tick.at.y, -2);
    assert_eq!(page.ask("return served").await, json!([["caller", V2]]));

    // After the signal nobody answers; what was open goes on.
    page.ask("serving.abort(); return 0").await;
    let failure = loop {
        match Remote::connect(&caller, id).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(RobotError::Unreachable(failure)) => break failure,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(failure.code, Code::UnknownProtocol);
    let last = Point { x: 8, y: 8 };
    assert_eq!(remote.move_to(last, |_| {}).await.unwrap(), last);
    let wrong = "peerage.handle(V[0], () => {}, { signal: 5 })";
    assert_eq!(result(&page, wrong).await["code"], "bad-message");

    // An older page.
    page.ask(
        "peerage.handle(V[1], ({ readable, writable, protocol }) => {
            served.push(protocol);
            const done = (line, out) => out.enqueue(new TextEncoder().encode(
                new TextDecoder().decode(line).replace('MOVE', 'DONE')));
            return readable.pipeThrough(new TransformStream({ transform: done })).pipeTo(writable);
        }); return 0",
    )
    .await;
    let mut remote = Remote::connect(&caller, id).await.unwrap();
    assert_eq!(remote.version(), (V1, 0));
    assert_eq!(remote.move_to(last, |_| {}).await.unwrap(), last);
    assert_eq!(page.ask("return served.at(-1)").await, json!(V1));
}
