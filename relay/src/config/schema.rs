//! The JSON Schema of the configuration file, made of the very types that read it.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::config::FileConfig;

/// The schema, in the 2020-12 draft.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<FileConfig>();
    schema.insert("title".into(), "The configuration of a Peerage node".into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jsonschema::Validator;
    use serde_json::{Value, json};

    use super::*;

    /// What both take.
    fn valid() -> Vec<Value> {
        let id = peerage::Identity::from_secret(&[7; 32]).id().to_string();
        vec![
            json!({}),
            json!({ "listenPort": 14590, "autoListen": true, "interactive": true,
                "peers": [{ "host": "127.0.0.1", "port": 14591 }],
                "commands": { "add": "calc 1+2", "status": "system status" } }),
            json!({ "name": "b-1.x", "listen": "[::1]:7700", "origins": ["https://a.example"] }),
            json!({ "name": null, "listen": "0.0.0.0:0" }),
            json!({ "relays": ["ws://127.0.0.1:7700/mesh", "wss://relay.example/mesh?token=x"] }),
            json!({ "links": { "resumeWindowMs": 0, "resumeWindowBytes": 65536,
                "reconnect": { "minMs": 10, "maxMs": 60000, "attempts": 3 } } }),
            json!({ "timeouts": { "dialMs": 100, "helloMs": 1000, "keepaliveMs": 50, "silenceMs": 300,
                "handshakeMs": 600_000, "openMs": 0, "goneMs": 0 } }),
            json!({ "access": { "addresses": { "allow": ["10.0.0.0/8", "::1"], "deny": ["fd00::/8"] },
                "nodes": { "allow": [id], "deny": [] } } }),
            json!({ "broker": { "store": "x", "history": [{ "filter": "a/+/#", "count": 5, "ageMs": 9 }] } }),
            json!({ "http": { "nodePages": "trusted", "headTimeoutMs": 5 }, "log": { "remote": false } }),
            json!({ "enet": { "listen": "0.0.0.0:14589", "peersMax": 65_535, "programs": { "allow": ["10.0.0.0/8", "10.1.2.3"] } } }),
            json!({ "enet": { "kai": { "names": { "10.0.0.5": "a", "[fd00::1]:7": "b", "fd00::2": "c" },
                "agents": { "5": "left/Calc" }, "offers": { "7": "Calc" }, "console": ["*", "left"] } } }),
            json!({ "enet": { "listen": "0.0.0.0:14589", "checksum": true, "compression": true, "peersMax": 4095,
                "perAddressMax": 1, "silentMs": 300, "programs": { "allow": ["10.0.0.0/8"] },
                "kai": { "allow": ["::1/128"], "names": { "10.0.0.5": "old" }, "agents": { "5": "left/Calculator" },
                    "offers": { "7": "Clock" }, "commands": true },
                "raw": { "allow": [], "target": "host", "servers": [{ "name": "chat", "address": "10.0.0.7:7777" }] } } }),
            json!({ "webrtc": { "listen": "[::]:7700", "public": "203.0.113.7", "links": 0, "turn": { "enabled": true,
                "allow": ["10.0.0.0/8", "::1"], "secret": "a".repeat(16), "bytesPerSecond": 1024 } } }),
            json!({ "discovery": { "announce": false, "browse": true, "methods": ["broadcast", "dns-sd"], "port": 14588,
                "domain": "a_b-c.example.org.", "zone": "zürich.2", "remote": true } }),
            json!({ "adapters": { "listen": "0.0.0.0:10001", "unix": "a", "allow": ["10.0.0.0/8"], "token": "t",
                "keepMs": 0, "schemas": ["bar.tau"], "serial": [{ "when": { "device": "/dev/ttyACM0" } }],
                "supervised": [{ "name": "left", "command": ["a", "{device}"], "restart": { "minMs": 10 },
                    "when": { "vendor": "2341", "product": "00Ff" } }] } }),
            json!({ "mqtt": { "listen": "0.0.0.0:1883", "webSocket": true, "allow": ["10.0.0.0/8"],
                "users": { "till": { "password": password(), "publish": ["till/#"], "subscribe": [] } } } }),
            json!({ "traces": { "otlp": "http://127.0.0.1:4318", "ratio": 0.5, "headers": { "authorization": "Bearer x" } } }),
            json!({ "traces": { "otlp": "https://collector.example/otlp/" } }),
        ]
    }

    /// What neither takes.
    fn invalid() -> Vec<Value> {
        vec![
            json!([]),
            json!(null),
            json!({ "links": [5000] }),
            json!({ "access": { "nodes": [[], []] } }),
            json!({ "nmae": "b" }),
            json!({ "name": "-b" }),
            json!({ "name": "a".repeat(64) }),
            json!({ "listen": "here" }),
            json!({ "listenPort": 65536 }),
            json!({ "listenPort": -1 }),
            json!({ "autoListen": "yes" }),
            json!({ "peers": [{ "host": "a" }] }),
            json!({ "peers": [{ "host": "a", "port": 1, "x": 1 }] }),
            json!({ "relays": ["http://a/mesh"] }),
            json!({ "relays": ["ws://"] }),
            json!({ "relays": "ws://a/mesh" }),
            json!({ "commands": { "add": 3 } }),
            json!({ "links": { "resumeWindowBytes": 65535 } }),
            json!({ "links": { "reconnect": { "minMs": 9 } } }),
            json!({ "links": { "reconnect": { "attempts": 0 } } }),
            json!({ "links": { "reconnect": { "attempt": 1 } } }),
            json!({ "timeouts": { "silenceMs": 299 } }),
            json!({ "timeouts": { "helloMs": 600_001 } }),
            json!({ "timeouts": { "hello": 5 } }),
            json!({ "timeouts": 5 }),
            json!({ "access": { "addresses": { "allow": ["ten"] } } }),
            json!({ "access": { "addresses": { "deny": "10.0.0.0/8" } } }),
            json!({ "access": { "nodes": { "deny": ["b"] } } }),
            json!({ "access": { "nodes": { "allow": vec!["A".repeat(52); 4097] } } }),
            json!({ "broker": { "history": [{ "filter": "a/#/b" }] } }),
            json!({ "broker": { "history": [{ "count": 1 }] } }),
            json!({ "http": { "nodePages": "Trusted" } }),
            json!({ "log": { "remote": 1 } }),
            json!({ "enet": { "peersMax": 0 } }),
            json!({ "enet": { "programs": { "allow": ["ten"] } } }),
            json!({ "enet": { "kai": { "names": { "here": "a" } } } }),
            json!({ "enet": { "kai": { "names": { "10.0.0.5": "no name" } } } }),
            json!({ "enet": { "kai": { "agents": { "-1": "a/b" } } } }),
            json!({ "enet": { "kai": { "agents": { "7": "Calculator" } } } }),
            json!({ "enet": { "kai": { "offers": { "x": "Calc" } } } }),
            json!({ "enet": { "kai": { "offers": { "7": "8" } } } }),
            json!({ "enet": { "kai": { "console": ["no name"] } } }),
            json!({ "enet": { "kai": { "console": "*" } } }),
            json!({ "http": { "headTimeoutMs": 0 } }),
            json!({ "enet": { "listen": "here" } }),
            json!({ "enet": { "raw": { "servers": [{ "name": "chat" }] } } }),
            json!({ "webrtc": { "links": 257 } }),
            json!({ "webrtc": { "turn": { "secret": "short" } } }),
            json!({ "webrtc": { "turn": { "bytesPerSecond": 0 } } }),
            json!({ "webrtc": { "turn": true } }),
            json!({ "discovery": { "domain": "not a domain" } }),
            json!({ "discovery": { "domain": "-a.example" } }),
            json!({ "discovery": { "domain": "a..example" } }),
            json!({ "discovery": { "zone": "" } }),
            json!({ "discovery": { "zone": "two words" } }),
            json!({ "discovery": { "zone": "z".repeat(65) } }),
            json!({ "discovery": { "methods": ["smoke"] } }),
            json!({ "discovery": { "port": 0 } }),
            json!({ "adapters": { "listen": 10001 } }),
            json!({ "adapters": { "supervised": [{ "name": "left", "command": [] }] } }),
            json!({ "adapters": { "supervised": [{ "name": "left", "command": "a b" }] } }),
            json!({ "adapters": { "serial": [{ "when": { "vendor": "2341" } }] } }),
            json!({ "adapters": { "serial": [{ "when": { "vendor": "234", "product": "0043" } }] } }),
            json!({ "adapters": { "serial": [{ "device": "/dev/ttyACM0" }] } }),
            json!({ "mqtt": { "listen": 1883 } }),
            json!({ "mqtt": { "users": { "till": { "password": "secret" } } } }),
            json!({ "mqtt": { "users": { "till": { "publish": ["till/#"] } } } }),
            json!({ "mqtt": { "users": { "till": { "password": password(), "publish": ["a/#/b"] } } } }),
        ]
    }

    /// As [`invalid`], of traces.
    fn invalid_of_traces() -> Vec<Value> {
        vec![
            json!({ "traces": { "otlp": "127.0.0.1:4318" } }),
            json!({ "traces": { "otlp": "grpc://127.0.0.1:4317" } }),
            json!({ "traces": { "ratio": 1.5 } }),
            json!({ "traces": { "ratio": -0.1 } }),
            json!({ "traces": { "headers": { "authorization": 7 } } }),
            json!({ "traces": true }),
        ]
    }

    fn password() -> String {
        format!("$7$101$c2FsdA==${}==", "A".repeat(86))
    }

    fn read(value: &Value) -> Result<FileConfig, String> {
        let read = FileConfig::parse(Path::new("peer.json"), &value.to_string());
        read.map_err(|error| error.to_string())
    }

    fn validator() -> Validator {
        jsonschema::draft202012::new(&schema()).unwrap()
    }

    #[test]
    fn the_schema_and_the_reader_take_the_same_files() {
        let validator = validator();
        for value in valid() {
            let errors: Vec<_> = validator
                .iter_errors(&value)
                .map(|e| e.to_string())
                .collect();
            assert!(errors.is_empty(), "{value}: {errors:?}");
            assert!(read(&value).is_ok(), "{value}: {:?}", read(&value));
        }
    }

    #[test]
    fn the_schema_and_the_reader_refuse_the_same_files() {
        let validator = validator();
        for value in invalid().into_iter().chain(invalid_of_traces()) {
            assert!(!validator.is_valid(&value), "by the schema: {value}");
            assert!(read(&value).is_err(), "by the reader: {value}");
        }
    }

    #[test]
    fn each_number_is_held_to_the_same_range_by_both() {
        let (schema, validator) = (schema(), validator());
        let mut ranges = Vec::new();
        ranges_of(&schema, &schema, &mut Vec::new(), &mut ranges);
        assert!(ranges.len() >= 12, "{ranges:?}");
        for (path, least, most) in ranges {
            for number in [least - 1, least, most, most + 1] {
                let value = path
                    .iter()
                    .rev()
                    .fold(json!(number), |value, key| json!({ key: value }));
                let (by_schema, by_reader) = (validator.is_valid(&value), read(&value).is_ok());
                assert_eq!(by_schema, (least..=most).contains(&number), "{value}");
                assert_eq!(by_reader, by_schema, "{value}");
            }
        }
    }

    #[test]
    fn everything_in_it_is_explained() {
        let schema = schema();
        let mut groups = vec![&schema];
        groups.extend(schema["$defs"].as_object().unwrap().values());
        for group in groups {
            for (key, property) in group["properties"].as_object().into_iter().flatten() {
                assert!(property["description"].is_string(), "{key}: {property}");
            }
            assert!(group["description"].is_string(), "{group}");
        }
    }

    /// The numbers that a schema bounds on both sides, by the keys that lead there.
    fn ranges_of(
        root: &Value,
        schema: &Value,
        path: &mut Vec<String>,
        found: &mut Vec<(Vec<String>, i64, i64)>,
    ) {
        if let Some(name) = schema["$ref"].as_str() {
            let group = root.pointer(name.trim_start_matches('#')).unwrap();
            return ranges_of(root, group, path, found);
        }
        if let (Some(least), Some(most)) = (schema["minimum"].as_i64(), schema["maximum"].as_i64())
        {
            found.push((path.clone(), least, most));
        }
        for choice in schema["anyOf"].as_array().into_iter().flatten() {
            ranges_of(root, choice, path, found);
        }
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            path.push(key.clone());
            ranges_of(root, property, path, found);
            path.pop();
        }
    }
}
