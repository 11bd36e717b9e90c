//! What KAI does badly, each by its number in the list of its defects.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::Code;
use crate::limits::{COMMAND_BYTES_MAX, OUTPUT_BYTES_MAX};
use crate::service::command::wire::{Request, Response};
use crate::service::command::{Call, PROTOCOL, Status};
use crate::wire::{from_cbor, to_cbor};

/// What `b` answers to these bytes on a stream of the protocol.
fn answer(stage: &mut Stage, request: bytes::Bytes) -> Result<Option<bytes::Bytes>, Failure> {
    let (a, b) = (stage.of("a"), stage.of("b").node().id());
    stage.zone.run(async move {
        let stream = a.node().open(b, PROTOCOL)?;
        stream.send(request).await?;
        stream.finish();
        stream.recv().await
    })
}

/// Sizes from the wire are believed.
#[test]
fn defect_14_hostile_sizes_are_refused() {
    let mut stage = Stage::with(&["a", "b"]);
    let long = Request::Run {
        trace: 1,
        line: "x".repeat(COMMAND_BYTES_MAX + 100),
        timeout_ms: None,
        ticket: None,
    };
    let failure = answer(&mut stage, to_cbor(&long)).unwrap_err();
    assert_eq!(failure.code, Code::TooLarge);
    let patient = Request::Run {
        trace: 1,
        line: "echo 1".into(),
        timeout_ms: Some(u64::MAX),
        ticket: None,
    };
    assert!(answer(&mut stage, to_cbor(&patient)).unwrap().is_some());
    // A text of 2⁶³ bytes, a list of as many items, and what is no request at all.
    let huge = [0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let huge_list = [0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    for odd in [&[0x82, 0, 0x82, 1][..], &huge, &huge_list, &[], &[0xff]] {
        let bytes = if odd.len() == 4 {
            [odd, &huge].concat()
        } else {
            odd.to_vec()
        };
        let failure = answer(&mut stage, bytes.into()).unwrap_err();
        assert_eq!(failure.code, Code::BadMessage);
    }
    // A caller collects no more than its limit, whatever comes.
    stage
        .of("b")
        .register("flood", "without end", (), |call: Call, ()| async move {
            loop {
                call.out.write(&"x".repeat(OUTPUT_BYTES_MAX / 8));
                call.node().sleep(Time::from_millis(10)).await;
            }
        });
    let failure = stage.run("flood @b").unwrap_err();
    assert_eq!(failure.code, Code::TooLarge);
}

/// Whoever connects runs any code.
#[test]
fn defect_15_only_what_is_registered_runs() {
    let mut stage = Stage::with(&["a", "b"]);
    for line in [
        "ls -la @b",
        "sh -c id @b",
        "exit @b",
        "quit @b",
        "system ls @b",
    ] {
        assert_eq!(stage.ran(line).0, 127, "{line}");
    }
    stage.of("b").register(
        "secret",
        "for its own user",
        (),
        |call: Call, ()| async move {
            match call.caller {
                None => Status::OK,
                Some(_) => call.end(Status::FORBIDDEN, "not for you"),
            }
        },
    );
    assert_eq!(stage.ran("secret @b"), (126, "not for you".into()));
}

/// A broadcast brings no result, and results are told apart by the command's text.
#[test]
fn defect_16_a_broadcast_returns_every_result_to_the_command_that_asked() {
    let mut stage = Stage::with(&["a", "b", "c"]);
    for (node, answer) in [
        ("b", "I am b"),
        ("c", "I am c"),
        ("relay", "I am the relay"),
    ] {
        stage
            .of(node)
            .register("who", "tells", (), move |call: Call, ()| async move {
                call.end(Status::OK, answer)
            });
    }
    let a = stage.of("a");
    // Two of the same text at once.
    let (first, second) = stage
        .zone
        .run(async { futures_util::future::join(a.run("who @*"), a.run("who @b,c")).await });
    let told = |outcome: Outcome| -> Vec<_> {
        let mut told: Vec<_> = outcome
            .results
            .into_iter()
            .map(|result| (result.target.to_string(), result.result.unwrap().1))
            .collect();
        told.sort();
        told
    };
    let own = |names: &[(&str, &str)]| -> Vec<(String, String)> {
        names
            .iter()
            .map(|(n, t)| ((*n).into(), (*t).into()))
            .collect()
    };
    let (b, c) = (("b", "I am b"), ("c", "I am c"));
    assert_eq!(
        told(first.unwrap()),
        own(&[b, c, ("relay", "I am the relay")])
    );
    assert_eq!(told(second.unwrap()), own(&[b, c]));
}

/// An alias of itself overflows the stack.
#[test]
fn defect_17_aliases_in_a_circle_are_refused_with_their_path() {
    let mut stage = Stage::with(&["a"]);
    stage.join(
        "b",
        &[("a", "a"), ("x", "y 1"), ("y", "x 2"), ("add", "calc 1+2")],
    );
    assert_eq!(stage.ran("add @b"), (0, "3".into()));
    let (status, text) = stage.ran("a @b");
    assert!(status == 1 && text.contains("a → a"), "{text}");
    assert!(stage.ran("x @b").1.contains("x → y → x"));
}

/// `@127.0` takes whichever peer has it somewhere in its address.
#[test]
fn defect_18_a_part_of_a_name_is_nobody() {
    let mut stage = Stage::with(&["a", "kitchen", "kitchen-2"]);
    assert_eq!(stage.ran("echo 1 @kitchen").1, "1");
    for part in ["kitch", "itchen", "2", "0", "KITCHEN", "kitchen-", ""] {
        let failure = stage.run(&format!("echo 1 @{part}")).unwrap_err();
        let expected = if part.is_empty() {
            Code::BadMessage
        } else {
            Code::UnknownName
        };
        assert_eq!(failure.code, expected, "@{part}");
    }
    let id = stage.of("kitchen").node().id().to_string();
    assert_eq!(stage.ran(&format!("echo 1 @{}", &id[..12])).1, "1");
    assert!(stage.run(&format!("echo 1 @{}", &id[2..14])).is_err());
}

/// The sample configuration's aliases: `status` and `help` stand for themselves, by way of `system`.
#[test]
fn the_aliases_of_kais_sample_configuration_work() {
    let mut stage = Stage::with(&["a"]);
    stage.join(
        "b",
        &[
            ("add", "calc 1+2"),
            ("status", "system status"),
            ("help", "system help"),
        ],
    );
    assert_eq!(stage.ran("add @b").1, "3");
    assert!(stage.ran("status @b").1.contains("state     online"));
    assert!(stage.ran("help @b").1.contains("alias of `system help`"));
    assert_eq!(stage.ran("system @b").0, 2);
    let listed = to_cbor(&Request::List);
    let listing = answer(&mut stage, listed).unwrap().unwrap();
    assert!(matches!(from_cbor(&listing, ""), Ok(Response::Commands(_))));
}
