//! Frames that are none, and clients that mean harm.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn open(relay: &Relay, alias: &str) -> Socket {
    let url = format!("ws://{}/events", relay.address);
    let (mut socket, _) = connect_async(url).await.unwrap();
    say(
        &mut socket,
        &format!("type:kos.addr.alias\nalias:{alias}\n\n"),
    )
    .await;
    let greeting = hear(&mut socket).await;
    assert!(greeting.starts_with("type:kos.addr.alias\n"), "{greeting}");
    socket
}

async fn say(socket: &mut Socket, text: &str) {
    socket.send(Message::Text(text.into())).await.unwrap();
}

async fn hear(socket: &mut Socket) -> String {
    loop {
        match socket.next().await.expect("the socket is open").unwrap() {
            Message::Text(text) => return text.to_string(),
            Message::Close(close) => panic!("closed: {close:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn what_is_no_frame_is_answered_and_the_conversation_goes_on() {
    let relay = Relay::start("127.0.0.1:0");
    let mut socket = open(&relay, "ui").await;
    let long = format!("type:x\nlong:{}\n\n", "x".repeat(70_000));
    for (frame, code) in [
        ("type:x", "bad-message"),
        ("type:x\r\n\r\n", "bad-message"),
        ("no colon\n\n", "bad-message"),
        ("\n\nbody", "bad-message"),
        ("a:b\n\n", "bad-message"),
        ("type:x\ntype:kos.http.request\n\n", "bad-message"),
        ("type:x\ntopic:a\0b\n\n", "bad-message"),
        ("{\"type\":", "bad-message"),
        (
            "{\"type\":\"kos.broker.send\",\"topic\":\"/a\\ndst-addr:local:relay:0\"}",
            "bad-message",
        ),
        (&*long, "too-large"),
        ("type:nobody.knows\n\n", "unknown-protocol"),
        ("type:kos.http.request\nurl:/\n\n", "bad-message"),
        ("type:kos.broker.send\n\n1", "bad-message"),
        ("type:kos.broker.send\ntopic:/a\n\n{", "bad-message"),
        ("type:kos.broker.send\ntopic:/a/*\n\n1", "bad-message"),
        ("type:kos.broker.subscribe\n\n/a", "bad-message"),
        ("type:kos.addr.alias\nalias:somebody-else\n\n", "refused"),
    ] {
        say(&mut socket, frame).await;
        let answer = hear(&mut socket).await;
        let told = format!("\"code\":\"{code}\"");
        let is_error = answer.starts_with("type:kos.error\n");
        assert!(is_error && answer.contains(&told), "{frame:?}: {answer}");
    }
    socket
        .send(Message::Binary(vec![0, 1].into()))
        .await
        .unwrap();
    assert!(hear(&mut socket).await.contains("bad-message"));
    // It is still as good as any, by either form.
    say(
        &mut socket,
        "{\"type\":\"kos.http.request\",\"request-id\":7,\"url\":\"/healthz\"}",
    )
    .await;
    let answer = hear(&mut socket).await;
    assert!(answer.contains("\nresponse-id:7\nstatus:200\n"), "{answer}");
}

#[tokio::test]
async fn a_request_that_is_wrong_is_answered_with_a_status() {
    let relay = Relay::start("127.0.0.1:0");
    let mut socket = open(&relay, "ui").await;
    for (headers, status) in [
        ("url:no-path", 400),
        ("method:a b\nurl:/", 400),
        ("url:/\ncontent-encoding:base64", 400),
        ("url:/\ncontent-encoding:br", 400),
        ("url:/\ndst-addr:local:relay:relay:0", 400),
        ("url:/\ndst-addr:undefined", 404),
        ("url:/api/relay/x\ntracker:no-uuid", 400),
        ("url:/nothing/here", 404),
    ] {
        say(
            &mut socket,
            &format!("type:kos.http.request\nrequest-id:1\n{headers}\n\n!"),
        )
        .await;
        let answer = hear(&mut socket).await;
        let told = format!("\nresponse-id:1\nstatus:{status}\n");
        assert!(answer.contains(&told), "{headers:?}: {answer}");
    }
    // A number that is in use is no one's twice.
    say(
        &mut socket,
        "type:kos.http.request\nrequest-id:a\nurl:/n/ui/x\n\n",
    )
    .await;
    let asked = hear(&mut socket).await;
    assert!(
        asked.starts_with("type:kos.http.request\nmethod:GET\nurl:/x\n"),
        "{asked}"
    );
    say(
        &mut socket,
        "type:kos.http.request\nrequest-id:a\nurl:/healthz\n\n",
    )
    .await;
    assert!(hear(&mut socket).await.contains("status:400\n"));
    // Given up, it is nobody's any more, and its answer neither.
    say(&mut socket, "type:kos.http.abort\nrequest-id:a\n\n").await;
    let id = asked
        .lines()
        .find_map(|line| line.strip_prefix("request-id:"))
        .unwrap();
    say(
        &mut socket,
        &format!("type:kos.http.response\nresponse-id:{id}\nstatus:200\n\nlate"),
    )
    .await;
    say(
        &mut socket,
        "type:kos.http.request\nrequest-id:a\nurl:/healthz\n\n",
    )
    .await;
    let answer = hear(&mut socket).await;
    assert!(
        answer.contains("status:200\n") && answer.ends_with("ok\n") || answer.contains("base64"),
        "{answer}"
    );
}

#[tokio::test]
async fn pages_of_other_origins_and_unwanted_clients_are_kept_out() {
    let relay = Relay::start("127.0.0.1:0");
    let url = format!("ws://{}/events", relay.address);
    let mut request = url.clone().into_client_request().unwrap();
    request
        .headers_mut()
        .insert("origin", "http://evil.example".parse().unwrap());
    let refused = connect_async(request).await.unwrap_err().to_string();
    assert!(refused.contains("403"), "{refused}");
    let off = Relay::configured(&json!({ "events": { "enabled": false } }));
    assert_eq!(off.get("/api/kos/node", "").await.0, 404);
    let refused = connect_async(format!("ws://{}/events", off.address)).await;
    assert!(refused.is_err());
    // One that says too much at once is ended, and nobody else.
    let mut large = open(&relay, "large").await;
    let mut small = open(&relay, "small").await;
    let text = format!("type:x\n\n{}", "x".repeat(3 << 20));
    // It may be ended before all of it is said.
    let _ = large.send(Message::Text(text.into())).await;
    while let Some(Ok(_)) = large.next().await {}
    relay.until_here("large", false).await;
    say(
        &mut small,
        "type:kos.http.request\nrequest-id:1\nurl:/healthz\n\n",
    )
    .await;
    assert!(hear(&mut small).await.contains("status:200\n"));
}
