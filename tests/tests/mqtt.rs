//! Clients of MQTT that are not ours, `mosquitto_pub` and `mosquitto_sub` and paho, with a tab on the other side.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::process::{Output, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use peerage::service::broker::{Change, Item, Publish, Subscription};
use peerage_tests::{Browsers, Relay, Tab, join};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mqtt/clients.py");
/// Nothing takes so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// Both versions, as mosquitto's tools call them.
const VERSIONS: [&str; 2] = ["311", "5"];

/// A relay that speaks MQTT, and where.
struct Stage {
    relay: Relay,
    host: String,
    port: String,
}

impl Stage {
    fn new(mut config: Value) -> Self {
        config["listen"] = json!("127.0.0.1:0");
        config["webSocket"] = json!(true);
        let mut relay = Relay::configured(&json!({ "mqtt": config }));
        let address = relay.mqtt();
        let (host, port) = address.rsplit_once(':').unwrap();
        Self {
            relay,
            host: host.into(),
            port: port.into(),
        }
    }

    /// One of mosquitto's tools.
    fn tool(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(["-h", &self.host, "-p", &self.port])
            .args(args);
        command.kill_on_drop(true);
        command
    }

    async fn publish(&self, args: &[&str]) -> Output {
        let publishing = self.tool("mosquitto_pub", args).output();
        timeout(PATIENCE, publishing).await.unwrap().unwrap()
    }

    /// What `mosquitto_sub` says until it has got what it was told to.
    async fn subscribe(&self, args: &[&str]) -> String {
        let subscribing = self.tool("mosquitto_sub", args).output();
        let output = timeout(PATIENCE, subscribing).await.unwrap().unwrap();
        String::from_utf8(output.stdout).unwrap().trim_end().into()
    }

    /// A task of paho's clients.
    fn paho(&self, task: &str, version: u8, transport: &str, count: usize) -> Child {
        let (host, port) = match transport {
            "websockets" => self.relay.address.rsplit_once(':').unwrap(),
            _ => (&*self.host, &*self.port),
        };
        let port: u16 = port.parse().unwrap();
        let place = json!({ "host": host, "port": port, "version": version, "transport": transport,
            "count": count });
        let mut command = Command::new("/usr/bin/python3");
        command.arg(SCRIPT).arg(task).arg(place.to_string());
        command.stdout(Stdio::piped()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    async fn paho_result(&self, task: &str, version: u8, transport: &str) -> Value {
        let output = self.paho(task, version, transport, 0).wait_with_output();
        let output = timeout(PATIENCE, output).await.unwrap().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{task} failed"))
    }
}

/// What an asynchronous function's body gives, in a tab.
async fn result(tab: &Tab, body: &str) -> Value {
    let script = format!(
        "const done = arguments[arguments.length - 1];
        (async () => {{ {body} }})().then(value => done(value ?? null), e => done(String(e && e.message)));"
    );
    tab.wait_for(&script, vec![]).await
}

/// The next message of the tab's subscription: its topic and value, bytes as a list.
async fn next(tab: &Tab) -> Value {
    let next = "const { value: m } = await sub.next();
        return [m.topic, m.value instanceof Uint8Array ? [...m.value] : m.value ?? null, m.retained]";
    result(tab, next).await
}

async fn value(subscription: &mut Subscription) -> Value {
    let item = timeout(PATIENCE, subscription.next()).await.unwrap();
    match item.unwrap().unwrap() {
        Item::Message(message) => message.read().unwrap(),
        Item::Gap(gap) => panic!("{gap:?}"),
    }
}

#[tokio::test]
async fn a_tab_and_mosquittos_tools_share_topics_both_ways() {
    let stage = Stage::new(json!({}));
    let browsers = Browsers::start().await;
    let tab = browsers.open(&stage.relay.console("tab")).await;
    for version in VERSIONS {
        // What the tab has retained, and what it publishes.
        let topic = format!("tab/{version}");
        let retain = format!(
            "await peerage.publish('{topic}/state', {{ ice: true, ml: [250, 0.5] }}, {{ retain: true }});
            window.sub = await peerage.subscribe('tool/{version}/#'); return 'well'"
        );
        assert_eq!(result(&tab, &retain).await, "well");
        let filter = format!("{topic}/#");
        let hears = ["-V", version, "-t", &filter, "-v", "-q", "1", "-C", "3"];
        let publish = format!(
            "window.heard = false; (async () => {{ for (;;) {{ await peerage.publish('{topic}/text', 'hello');
                await peerage.publish('{topic}/bytes', new Uint8Array([104, 105]));
                if (window.heard) return; await new Promise(done => setTimeout(done, 200)) }} }})(); return true"
        );
        tab.ask(&publish).await;
        let heard = stage.subscribe(&hears).await;
        tab.ask("window.heard = true; return true").await;
        let lines: Vec<_> = heard.lines().collect();
        assert_eq!(
            lines[0],
            format!("{topic}/state {{\"ice\":true,\"ml\":[250,0.5]}}")
        );
        assert!(lines.contains(&&*format!("{topic}/text hello")), "{heard}");
        assert!(lines.contains(&&*format!("{topic}/bytes hi")), "{heard}");

        // What a tool publishes, of every quality, and has retained.
        let topic = format!("tool/{version}");
        for qos in ["0", "1", "2"] {
            let path = format!("{topic}/{qos}");
            let message = "{ \"ml\": 250 }";
            let ran = stage
                .publish(&["-V", version, "-t", &path, "-m", message, "-q", qos, "-r"])
                .await;
            assert!(ran.status.success(), "{ran:?}");
            assert_eq!(next(&tab).await, json!([path, { "ml": 250 }, false]));
            let back = stage
                .subscribe(&["-V", version, "-t", &path, "-C", "1", "-F", "%r %q %p"])
                .await;
            assert_eq!(back, format!("1 0 {message}"));
            let fresh = format!(
                "window.fresh = await peerage.subscribe('{path}'); const {{ value: m }} = await fresh.next(); fresh.close();
                return [m.value, m.retained]"
            );
            assert_eq!(result(&tab, &fresh).await, json!([{ "ml": 250 }, true]));
            // Nothing clears it.
            stage
                .publish(&["-V", version, "-t", &path, "-n", "-r", "-q", "1"])
                .await;
            assert_eq!(next(&tab).await, json!([path, null, false]));
        }
        stage
            .publish(&["-V", version, "-t", &format!("{topic}/text"), "-m", "on"])
            .await;
        assert_eq!(next(&tab).await[1], "on");
    }
}

#[tokio::test]
async fn a_tab_hears_the_will_of_who_is_killed() {
    let stage = Stage::new(json!({}));
    let browsers = Browsers::start().await;
    let tab = browsers.open(&stage.relay.console("tab")).await;
    let begin = "window.sub = await peerage.subscribe('wills/#'); return 'well'";
    assert_eq!(result(&tab, begin).await, "well");
    for version in VERSIONS {
        let will = ["--will-topic", "wills/lost", "--will-payload", "gone"];
        let args = ["-V", version, "-i", "lost", "-t", "x"];
        let mut lost = stage
            .tool("mosquitto_sub", &[&args[..], &will[..]].concat())
            .spawn()
            .unwrap();
        stage.relay.until_here("lost", true).await;
        lost.kill().await.unwrap();
        assert_eq!(next(&tab).await, json!(["wills/lost", "gone", false]));
        stage.relay.until_here("lost", false).await;
    }
}

#[tokio::test]
async fn paho_finds_a_broker_of_both_versions_over_tcp_and_websocket() {
    let stage = Stage::new(json!({}));
    for transport in ["tcp", "websockets"] {
        for version in [3, 5] {
            let said = stage.paho_result("every_quality", version, transport).await;
            assert_eq!(said, "well", "{version} {transport}");
        }
        assert_eq!(stage.paho_result("properties", 5, transport).await, "well");
    }
}

#[tokio::test]
async fn a_message_of_quality_2_comes_once_whatever_becomes_of_the_connection() {
    const MESSAGES: usize = 200;
    let stage = Stage::new(json!({}));
    let node = join(&stage.relay, "node").await;
    for version in [3, 5] {
        let mut heard = node.subscribe("once/out").await.unwrap();
        let mut out = stage.paho("once_out", version, "tcp", MESSAGES);
        for n in 0..MESSAGES {
            assert_eq!(value(&mut heard).await, n, "{version}");
        }
        let status = timeout(PATIENCE, out.wait()).await.unwrap().unwrap();
        assert!(status.success());

        let mut inward = stage.paho("once_in", version, "tcp", MESSAGES);
        let mut lines = BufReader::new(inward.stdout.take().unwrap()).lines();
        let ready = timeout(PATIENCE, lines.next_line()).await.unwrap();
        assert_eq!(ready.unwrap().as_deref(), Some("ready"));
        for n in 0..MESSAGES {
            node.publish("once/in", &n).await.unwrap();
        }
        let got = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        let got: Vec<usize> = serde_json::from_str(&got.unwrap()).unwrap();
        assert_eq!(got, (0..MESSAGES).collect::<Vec<_>>(), "{version}");
        // Another version begins anew.
        let fresh = ["-i", "once-in", "-V", "311", "-t", "x", "-m", "y"];
        assert!(stage.publish(&fresh).await.status.success());
        let fresh = ["-i", "once-out", "-V", "311", "-t", "x", "-m", "y"];
        assert!(stage.publish(&fresh).await.status.success());
    }
}

#[tokio::test]
async fn a_will_and_what_is_retained_reach_native_nodes_as_well() {
    let stage = Stage::new(json!({}));
    let node = join(&stage.relay, "node").await;
    let mut wills = node.subscribe("wills/#").await.unwrap();
    for version in [3, 5] {
        let mut lost = stage.paho("vanish", version, "websockets", 0);
        timeout(PATIENCE, lost.wait()).await.unwrap().unwrap();
        assert_eq!(value(&mut wills).await, json!({ "lost": true }));
    }
    let retain = Publish {
        retain: true,
        ..Publish::default()
    };
    let topics = node.topics();
    topics.publish("lamp", &7, retain).unwrap().await.unwrap();
    assert_eq!(stage.subscribe(&["-t", "lamp", "-C", "1"]).await, "7");
    let jobs = ["-t", "$share/g/jobs", "-C", "1"];
    let (first, second) = (stage.subscribe(&jobs), stage.subscribe(&jobs));
    let publishing = async {
        let present = async |count| {
            let mut presence = topics.presence("jobs", None).await.unwrap();
            let mut here = presence.members().len();
            while here < count {
                match presence.next().await.unwrap().unwrap() {
                    Change::Joined(_) => here += 1,
                    Change::Left(_) => here -= 1,
                }
            }
        };
        present(2).await;
        for n in [1, 2] {
            node.publish("jobs", &n).await.unwrap();
        }
    };
    let (first, second, ()) = tokio::join!(first, second, publishing);
    assert_eq!(
        first.parse::<u32>().unwrap() + second.parse::<u32>().unwrap(),
        3
    );
}

#[tokio::test]
async fn a_user_needs_the_password_and_publishes_where_it_may() {
    let hash = "$7$101$MDEyMzQ1Njc4OWFi$EO/lLlkeUgIiBaS8G8UK0ZMP1u508TA7Tl+AdJ1cEsmlbGyEPAERErpfq84j1kepISs0UzmcdL4ucgZ2uodxfQ==";
    let till = json!({ "password": hash, "publish": ["till/#"] });
    let stage = Stage::new(json!({ "users": { "till": till } }));
    let node = join(&stage.relay, "node").await;
    let mut heard = node.subscribe("#").await.unwrap();
    for version in VERSIONS {
        let publish = async |password: &str, topic: &str, message: &str| {
            let user = ["-V", version, "-u", "till", "-P", password];
            let what = ["-q", "1", "-t", topic, "-m", message];
            let ran = stage.publish(&[&user[..], &what[..]].concat()).await;
            ran.status.success()
        };
        assert!(!publish("wrong", "till/1", "4").await);
        assert!(publish("secret", "till/1", "5").await);
        assert_eq!(value(&mut heard).await, 5);
        publish("secret", "cups/1", "7").await;
        let nobody = ["-V", version, "-t", "till/1", "-m", "6"];
        assert!(!stage.publish(&nobody).await.status.success());
        // Nothing of that came.
        assert!(publish("secret", "till/2", "8").await);
        assert_eq!(value(&mut heard).await, 8);
    }
}
