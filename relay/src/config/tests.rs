//! What files may say, and what is told of those that may not be read.

use std::path::Path;
use std::time::Duration;

use peerage::service::broker::Rule;
use peerage::{Config, Kind};

use super::FileConfig;

fn parse(text: &str) -> Result<FileConfig, String> {
    FileConfig::parse(Path::new("peer.json"), text).map_err(|error| error.to_string())
}

#[test]
fn a_file_may_say_all_or_nothing() {
    assert_eq!(parse("{}"), Ok(FileConfig::default()));
    let config = parse(r#"{"name":"b","listen":"127.0.0.1:1","commands":{"add":"calc 1+2"}}"#);
    assert_eq!(config.unwrap().commands["add"], "calc 1+2");
    let config = parse(r#"{"links":{"resumeWindowMs":5000,"resumeWindowBytes":65536}}"#);
    let config = config.unwrap().links.applied_to(Config::new(Kind::Native));
    assert_eq!(config.resume_window, Duration::from_secs(5));
    assert_eq!(config.resume_window_bytes, 65_536);
    let config = parse(r#"{"log":{"remote":false}}"#).unwrap();
    assert!(!config.applied_to(Config::new(Kind::Native)).shows_log);
    let config = parse(r#"{"http":{"nodePages":"trusted","headTimeoutMs":5}}"#).unwrap();
    let settings = config.http.settings();
    assert_eq!(
        (settings.sandboxed, settings.head_timeout),
        (false, Duration::from_millis(5))
    );
    let config = parse(
        r#"{"webrtc":{"listen":"0.0.0.0:7","public":"192.0.2.1","links":0,
            "turn":{"enabled":false,"allow":["10.0.0.0/8"],"secret":"sixteen bytes it","bytesPerSecond":4096}}}"#,
    );
    let config = config.unwrap();
    assert_eq!(config.webrtc.listen, "0.0.0.0:7".parse().ok());
    assert_eq!(config.applied_to(Config::new(Kind::Native)).direct_links, 0);
    let turn = config.webrtc.turn.settings();
    assert_eq!(turn.bytes_per_second, Some(4096));
    assert!(turn.off && turn.allow == ["10.0.0.0/8".parse().unwrap()]);
    let config = parse(r#"{"listenPort":7701}"#).unwrap();
    assert_eq!(config.address(), "127.0.0.1:7701".parse().ok());
}

#[test]
fn of_the_waits_for_a_relay_the_one_that_is_not_stated_gives_way() {
    for (text, min, max) in [
        ("{}", 200, 10_000),
        (r#"{"minMs":10001}"#, 10_001, 10_001),
        (r#"{"maxMs":100}"#, 100, 100),
        (r#"{"minMs":5000,"maxMs":5000}"#, 5000, 5000),
    ] {
        let config = parse(&format!(r#"{{"links":{{"reconnect":{text}}}}}"#));
        let config = config.unwrap().applied_to(Config::new(Kind::Native));
        let waits = (config.reconnect.min, config.reconnect.max);
        let expected = (Duration::from_millis(min), Duration::from_millis(max));
        assert_eq!(waits, expected, "{text}");
    }
}

#[test]
fn what_a_broker_keeps_is_said_by_filter() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store");
    let text = r##"{"broker":{"history":[{"filter":"a/#","count":5,"ageMs":9},{"filter":"#","bytes":7}]}}"##;
    let mut broker = parse(text).unwrap().broker;
    broker.store = Some(file.clone());
    let options = broker.options().unwrap();
    assert!(options.store.is_some() && file.exists());
    let [first, second] = &options.rules[..] else {
        panic!("{:?}", options.rules)
    };
    assert_eq!(
        (first.filter.as_str(), first.count, first.age),
        ("a/#", 5, Duration::from_millis(9))
    );
    let usual = Rule::usual(second.filter.clone());
    assert_eq!(*second, Rule { bytes: 7, ..usual });
}

/// The sample as KAI's documents have it.
const KAI: &str = r#"{ "listenPort": 14590, "autoListen": true, "interactive": true,
  "peers": [ { "host": "127.0.0.1", "port": 14591 } ],
  "commands": { "add": "calc 1+2", "status": "system status", "help": "system help" } }"#;

#[test]
fn kais_sample_configuration_is_understood_as_it_is() {
    let config = parse(KAI).unwrap();
    assert_eq!(config.address(), "127.0.0.1:14590".parse().ok());
    assert_eq!(config.interactive, Some(true));
    assert_eq!(config.peers[0].url(), "ws://127.0.0.1:14591/mesh");
    assert_eq!(config.commands["status"], "system status");
    assert_eq!(config.commands.len(), 3);
}

#[test]
fn a_node_listens_if_it_is_told_where_and_not_told_otherwise() {
    for (text, address) in [
        ("{}", None),
        (r#"{"listenPort":1}"#, Some("127.0.0.1:1")),
        (r#"{"listenPort":1,"autoListen":false}"#, None),
        (r#"{"autoListen":true}"#, Some("127.0.0.1:14590")),
        (r#"{"listen":"[::1]:2","autoListen":true}"#, Some("[::1]:2")),
    ] {
        let address = address.map(|address| address.parse().unwrap());
        assert_eq!(parse(text).unwrap().address(), address, "{text}");
    }
    let peer = parse(r#"{"peers":[{"host":"::1","port":3}]}"#)
        .unwrap()
        .peers
        .remove(0);
    assert_eq!(peer.url(), "ws://[::1]:3/mesh");
}

#[test]
fn what_is_wrong_is_told_with_file_path_and_expectation() {
    for (text, words) in [
        (r#"{"nmae":"b"}"#, ["peer.json", "nmae", "expected one of"]),
        (
            r#"{"commands":{"add":3}}"#,
            ["commands.add", "integer `3`", "expected a string"],
        ),
        (
            r#"{"listen":"here"}"#,
            ["listen", "invalid socket address", "peer.json"],
        ),
        (
            r#"{"relays":["ws://x",7]}"#,
            ["relays[1]", "expected a string", "peer.json"],
        ),
        (
            r#"{"links":{"resumeWindowBytes":9}}"#,
            ["links.resumeWindowBytes", "expected 65536 to", "got 9"],
        ),
        (
            r#"{"peers":[{"host":"a","port":70000}]}"#,
            ["peers[0].port", "70000", "expected u16"],
        ),
        (
            r#"{"peers":[{"host":"a","port":1,"x":1}]}"#,
            ["peers[0].x", "expected one of `host`, `port`", "peer.json"],
        ),
        (
            r#"{"broker":{"history":[{"filter":"a/#/b"}]}}"#,
            ["broker.history[0].filter", "expected `+`", "a/#/b"],
        ),
        (
            r##"{"broker":{"history":[{"filter":"#","counts":1}]}}"##,
            ["broker.history[0].counts", "expected one of", "count"],
        ),
        (
            r#"{"broker":{"history":[{"count":1}]}}"#,
            ["broker.history[0]", "missing field `filter`", "peer.json"],
        ),
        (
            r#"{"autoListen":"yes"}"#,
            ["autoListen", "expected a boolean", "peer.json"],
        ),
        (
            r#"{"webrtc":{"turn":{"allow":["ten"]}}}"#,
            ["webrtc.turn.allow[0]", "a network such as", "got `ten`"],
        ),
        (r#"{"name":"b"} x"#, ["peer.json", "trailing", "."]),
        ("{", ["peer.json", "EOF", "line 1"]),
    ] {
        assert_told(text, words);
    }
}

#[test]
fn texts_that_are_none_of_their_kind_and_waits_in_the_wrong_order_are_told_as_well() {
    for (text, words) in [
        (
            r#"{"links":{"reconnect":{"minMs":300,"maxMs":200}}}"#,
            ["links.reconnect", "at most `maxMs`", "300 and 200"],
        ),
        (
            r#"{"discovery":{"domain":"not a domain"}}"#,
            ["discovery.domain", "such as example.org", "`not a domain`"],
        ),
        (
            r#"{"discovery":{"zone":"two words"}}"#,
            ["discovery.zone", "without spaces", "`two words`"],
        ),
        (
            r#"{"webrtc":{"turn":{"secret":"short"}}}"#,
            ["webrtc.turn.secret", "at least 16 characters", "got 5"],
        ),
    ] {
        assert_told(text, words);
    }
}

/// What a file may not say of ENet, and what is told then.
const WRONG_OF_ENET: &[(&str, [&str; 3])] = &[
    (
        r#"{"enet":{"peersMax":0}}"#,
        ["enet.peersMax", "expected 1 to 65535", "got 0"],
    ),
    (
        r#"{"enet":{"silentMs":900000}}"#,
        ["enet.silentMs", "expected 0 to 600000", "got 900000"],
    ),
    (
        r#"{"enet":{"programs":{"allow":["::ffff:10.0.0.0/90"]}}}"#,
        [
            "enet.programs.allow[0]",
            "a network of IPv4 addresses",
            "got `::ffff:10.0.0.0/90`",
        ],
    ),
    (
        r#"{"enet":{"kai":{"names":{"here":"a"}}}}"#,
        ["enet.kai.names", "an address such as", "got `here`"],
    ),
    (
        r#"{"enet":{"kai":{"names":{"10.0.0.5":"no name"}}}}"#,
        ["enet.kai.names.10.0.0.5", "expected", "no name"],
    ),
    (
        r#"{"enet":{"kai":{"agents":{"0":"a/b"}}}}"#,
        ["enet.kai.agents", "expected a handle", "got `0`"],
    ),
    (
        r#"{"enet":{"kai":{"agents":{"007":"a/b"}}}}"#,
        ["enet.kai.agents", "expected a handle", "got `007`"],
    ),
    (
        r#"{"enet":{"kai":{"agents":{"7":"Calculator"}}}}"#,
        [
            "enet.kai.agents.7",
            "expected a node and an agent",
            "got `Calculator`",
        ],
    ),
    (
        r#"{"enet":{"kai":{"agents":{"7":"no name/x"}}}}"#,
        [
            "enet.kai.agents.7",
            "expected a node and an agent",
            "got `no name/x`",
        ],
    ),
    (
        r#"{"enet":{"kai":{"offers":{"7":"8"}}}}"#,
        ["enet.kai.offers", "no number", "got `8` for handle 7"],
    ),
    (
        r#"{"enet":{"kai":{"offers":{"7":"kai"}}}}"#,
        ["enet.kai.offers", "not `kai`", "handle 7"],
    ),
    (
        r#"{"enet":{"kai":{"offers":{"7":"Calc","8":"Calc"}}}}"#,
        ["enet.kai.offers", "each name once", "handle 8"],
    ),
    (
        r#"{"enet":{"kai":{"console":["no name"]}}}"#,
        [
            "enet.kai.console[0]",
            "a node's name or id, or `*`",
            "got `no name`",
        ],
    ),
    (
        r#"{"enet":{"kai":{"console":"*"}}}"#,
        ["enet.kai.console", "expected a sequence", "peer.json"],
    ),
];

#[test]
fn what_is_wrong_of_enet_is_told_with_path_and_expectation() {
    for (text, words) in WRONG_OF_ENET {
        assert_told(text, *words);
    }
}

#[test]
fn what_is_wrong_of_traces_is_told_with_path_and_expectation_and_no_secret() {
    for (text, words) in [
        (
            r#"{"traces":{"otlp":"collector:4318"}}"#,
            ["traces.otlp", "expected a collector's address", "peer.json"],
        ),
        (
            r#"{"traces":{"ratio":2}}"#,
            ["traces.ratio", "expected a number from 0 to 1", "got 2"],
        ),
        (
            r#"{"traces":{"headers":{"a b":"c"}}}"#,
            ["traces.headers", "expected the name of a header", "`a b`"],
        ),
        (
            r#"{"traces":{"headers":{"x-key":"a\nsecret"}}}"#,
            [
                "traces.headers.x-key",
                "expected the text of a header",
                "visible",
            ],
        ),
    ] {
        assert_told(text, words);
        assert!(!parse(text).unwrap_err().contains("secret"));
    }
    let config = r#"{"traces":{"otlp":"https://c.example/in/","headers":{"x-key":"secret"}}}"#;
    let traces = parse(config).unwrap().traces;
    assert!(!format!("{traces:?}").contains("secret"));
    let address = traces.otlp.unwrap().traces();
    assert_eq!(address, "https://c.example/in/v1/traces");
}

/// A text may not be read, and what is told of it has these words.
fn assert_told(text: &str, words: [&str; 3]) {
    let error = parse(text).unwrap_err();
    let has_all = words.iter().all(|word| error.contains(word));
    assert!(has_all, "{text}: {error}");
}

/// What users read first.
const README: &str = include_str!("../../../README.md");

/// The objects of JSON that a text shows: in blocks, and in lines of prose.
fn examples(text: &str) -> Vec<serde_json::Value> {
    let starts = text.match_indices("{ \"").map(|(at, _)| at);
    let mut examples = Vec::new();
    let mut end = 0;
    for at in starts {
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter();
        if at >= end
            && let Some(Ok(value)) = values.next()
        {
            end = at + values.byte_offset();
            examples.push(value);
        }
    }
    examples
}

#[test]
fn every_configuration_in_the_readme_may_be_one() {
    let examples = examples(README);
    // What an adapter reads is a file of its own.
    for example in examples.iter().filter(|it| it.get("device").is_none()) {
        let read = parse(&example.to_string());
        assert!(read.is_ok(), "{example}: {read:?}");
    }
    let has = |group: &str| examples.iter().any(|example| example.get(group).is_some());
    for group in [
        "access",
        "broker",
        "commands",
        "discovery",
        "enet",
        "http",
        "links",
        "origins",
        "webrtc",
    ] {
        assert!(has(group), "there is none with `{group}`");
    }
}
