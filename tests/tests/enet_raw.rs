//! A chat server of ENet that knows nothing of Peerage is reached from a tab, and a client of one reaches a node.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use bytes::Bytes;
use peerage_tests::c::{C, Running};
use peerage_tests::{Browsers, Relay, Tab, join};
use serde_json::{Value, json};

const PROTOCOL: &str = "peerage/enet-raw/1";

/// What an async function of the page returns, or what it throws.
async fn given(tab: &Tab, body: &str) -> Value {
    let script = format!(
        "(async () => {{ {body} }})().then(arguments[0], e => arguments[0](
            {{ name: e.name, code: e.code, message: e.message }}))"
    );
    tab.wait_for(&script, vec![]).await
}

async fn server(program: &C) -> (Running, String) {
    let server = program.run(&["0"]);
    let said = server.until_said("listening at ").await;
    let address = said.replace("listening at ", "127.0.0.1:");
    (server, address)
}

fn relay_with(raw: &Value) -> Relay {
    Relay::configured(&json!({ "enet": { "listen": "127.0.0.1:0", "silentMs": 300, "raw": raw } }))
}

/// What a page needs for it.
const CHAT: &str = "
    window.call = async (data = 0) => {
        const { readable, writable } = await peerage.open('chat', 'peerage/enet-raw/1');
        const read = readable.getReader(), write = writable.getWriter(), text = new TextDecoder();
        const u32 = n => [n >>> 24, n >>> 16 & 255, n >>> 8 & 255, n & 255];
        await write.write(new Uint8Array([0, ...u32(data)]));
        const next = async () => { const { value, done } = await read.read(); return done ? null : value };
        const hello = await next();
        const number = new DataView(hello.buffer, hello.byteOffset).getUint32(1);
        return { number, channels: hello[5], next, u32, write,
            say: (t, channel = 0, kind = 0) => write.write(new Uint8Array([1, channel, kind, ...new TextEncoder().encode(t)])),
            hear: async () => { const m = await next(); return m && (m[0] === 1 ? text.decode(m.subarray(3)) : [...m]) },
            leave: data => write.write(new Uint8Array([2, ...u32(data)])) };
    };
    return 0";

#[tokio::test]
async fn a_chat_server_is_reached_from_tabs() {
    let program = C::build("tests/enet/chat_server.c");
    let (mut server, address) = server(&program).await;
    let relay = relay_with(&json!({ "servers": [
        { "name": "chat", "address": address }, { "name": "nowhere", "address": "127.0.0.1:9" },
    ] }));
    relay.until_here("chat", true).await;
    let browsers = Browsers::start().await;
    let tab = browsers.open(&relay.console("tab")).await;
    tab.until("return peerage.peers().some(p => p.name === 'chat' && p.kind === 'enet')")
        .await;
    tab.ask(CHAT).await;
    // Two guests of one page: each has a connection.
    let talk = "window.one = await call(5); window.two = await call();
        const heard = [one.channels, await one.hear(), await one.hear(), await two.hear()];
        await one.say('hello'); await two.say('häuser');
        return [...heard, await one.hear(), await one.hear(), await two.hear(), await two.hear()]";
    let came = "somebody comes";
    let said = ["guest 0: hello", "guest 1: häuser"];
    let talked = given(&tab, talk).await;
    let mut heard = talked.as_array().unwrap().clone();
    assert_eq!(
        heard[..4],
        [json!(2), json!(came), json!(came), json!(came)]
    );
    heard[4..].sort_by_key(Value::to_string);
    assert_eq!(
        heard[4..],
        [said[0], said[0], said[1], said[1]].map(|text| json!(text))
    );
    server.until_said("guest 0 comes with 5").await;
    packets_travel_as_they_are_sent(&tab, &server).await;
    // Large ones arrive whole.
    let large =
        "await one.say('x'.repeat(300000), 1); const back = await one.hear(); return back.length";
    assert_eq!(given(&tab, large).await, 300_000);
    // Each end tells the other why.
    given(&tab, "await one.leave(42)").await;
    server.until_said("guest 0 leaves with 42").await;
    server.type_line("bye");
    assert_eq!(
        given(&tab, "return [await two.hear(), await two.hear()]").await,
        json!([[2, 0, 0, 0, 99], null])
    );
    let refused = "const three = await call(13); return await three.hear()";
    assert_eq!(given(&tab, refused).await, json!([2, 0, 0, 0, 7]));
    mistakes_are_told(&tab).await;
}

/// Unreliable packets are datagrams, with the connection's number; how they are sent is how they arrive.
async fn packets_travel_as_they_are_sent(tab: &Tab, server: &Running) {
    let datagrams = "const { readable, writable } = peerage.datagrams('chat', 'peerage/enet-raw/1');
        const read = readable.getReader(), write = writable.getWriter();
        const got = { 1: 0, 2: 0 };
        const reading = (async () => { while (!got[1] || !got[2]) {
            const { value } = await read.read();
            if (value[3] === one.number && value[4] === 1 && value[6] === 9) got[value[5]]++;
        } })();
        while (!got[1] || !got[2]) {
            for (const kind of [1, 2]) await write.write(new Uint8Array([...one.u32(one.number), 1, kind, 9]));
            await new Promise(done => setTimeout(done, 50));
        }
        await reading; return 'both'";
    assert_eq!(given(tab, datagrams).await, "both");
    server.until_said("echo of 1 bytes, flags 0").await;
    server.until_said("echo of 1 bytes, flags 2").await;
}

async fn mistakes_are_told(tab: &Tab) {
    let open = |name: &str, bytes: &str| {
        format!(
            "const {{ readable, writable }} = await peerage.open('{name}', 'peerage/enet-raw/1'), read = readable.getReader();
             const write = writable.getWriter(); for (const m of {bytes}) await write.write(new Uint8Array(m)).catch(() => {{}});
             while (!(await read.read()).done); return 'over'"
        )
    };
    for (name, bytes, code) in [
        ("chat", "[[1, 0, 0, 65]]", "bad-message"),
        ("chat", "[[]]", "bad-message"),
        ("chat", "[[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]", "bad-message"),
        ("chat", "[[0, 0, 0, 0, 0], [1, 2, 0, 65]]", "bad-message"),
        ("chat", "[[0, 0, 0, 0, 0], [1, 0, 4, 65]]", "bad-message"),
        ("nowhere", "[[0, 0, 0, 0, 0]]", "unreachable"),
    ] {
        let told = given(tab, &open(name, bytes)).await;
        assert_eq!(told["code"], code, "{name} {bytes}: {told}");
    }
}

#[tokio::test]
async fn a_client_of_enet_is_carried_to_a_node() {
    let mut relay = relay_with(&json!({ "target": "host" }));
    let enet = relay.enet();
    let (_, port) = enet.rsplit_once(':').unwrap();
    let host = join(&relay, "host").await;
    let mut listener = host.listen(PROTOCOL);
    let program = C::build("tests/enet/chat_client.c");
    let mut client = program.run(&["127.0.0.1", port, "17"]);
    // One that is silent is carried as well.
    let stream = listener.accept().await.unwrap();
    let datagrams = host.datagrams(stream.peer(), PROTOCOL).unwrap();
    let hello = stream.recv().await.unwrap().unwrap();
    assert_eq!((hello[0], &hello[5..]), (0, &[2, 0, 0, 0, 17][..]));
    let number = hello.slice(1..5);
    client.type_line("hello");
    assert_eq!(
        stream.recv().await.unwrap().unwrap(),
        &b"\x01\x00\x00hello"[..]
    );
    stream
        .send(Bytes::from_static(b"\x01\x00\x00welcome"))
        .await
        .unwrap();
    client.until_said("on channel 0: welcome").await;
    let lossy = loop {
        client.type_line("~quick");
        let got = tokio::time::timeout(std::time::Duration::from_millis(200), datagrams.recv());
        if let Ok(Ok(datagram)) = got.await {
            break datagram;
        }
    };
    assert_eq!(lossy, [&number[..], b"\x01\x01quick"].concat());
    datagrams
        .send([&number[..], b"\x01\x02back"].concat().into())
        .unwrap();
    client.until_said("on channel 1: back").await;
    // Whoever ends it tells why.
    stream
        .send(Bytes::from_static(&[2, 0, 0, 0, 77]))
        .await
        .unwrap();
    client.until_said("disconnected with 77").await;
    let mut client = program.run(&["127.0.0.1", port, "0"]);
    let stream = listener.accept().await.unwrap();
    stream.recv().await.unwrap();
    client.type_line("leave 5");
    assert_eq!(stream.recv().await.unwrap().unwrap(), &[2, 0, 0, 0, 5][..]);
    assert_eq!(stream.recv().await, Ok(None));
}

#[tokio::test]
async fn without_a_node_for_it_a_client_is_turned_away() {
    let mut relay = relay_with(&json!({}));
    let enet = relay.enet();
    let (_, port) = enet.rsplit_once(':').unwrap();
    let client = C::build("tests/enet/chat_client.c").run(&["127.0.0.1", port, "0"]);
    client
        .until_said(&format!("disconnected with {}", 0x5045_0002))
        .await;
}
