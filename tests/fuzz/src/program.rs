//! The messages of small programs, by the very file that the relay reads and writes them with.

#![allow(
    dead_code,
    unused_imports,
    reason = "the relay uses more of this file than a fuzzer"
)]

#[path = "../../../relay/src/front/program/wire.rs"]
mod wire;

use bytes::Bytes;
use peerage::limits::PROGRAM_MESSAGE_BYTES_MAX;
use peerage::rpc::Parcel;

use wire::{Answer, Said, Wish, of, say};

/// A message: it is read or refused by name, and what it carries can be said to another program, who reads the same.
pub fn program(input: &[u8]) {
    let said = match wire::read(&Bytes::copy_from_slice(input)) {
        Ok(said) => said,
        Err(failure) => return assert!(!failure.message.is_empty()),
    };
    let carried = match said {
        Said::Property { value, .. } => value,
        Said::Answer { answer, .. } => match answer {
            Answer::Value(value) | Answer::Thrown { data: value, .. } => value,
        },
        Said::Emit { detail, .. } => detail,
        Said::Progress { progress, .. } => progress.data,
        Said::Ask { what, .. } => match what {
            Wish::Agent { value, .. } | Wish::Start { value, .. } | Wish::Publish { value, .. } => {
                value
            }
            Wish::Subscribe { .. } => return,
        },
        _ => return,
    };
    let bytes = say("return", [of(&7), carried.clone()]).expect("it was short enough");
    assert!(bytes.len() <= PROGRAM_MESSAGE_BYTES_MAX);
    let Ok(Said::Answer {
        answer: Answer::Value(value),
        ..
    }) = wire::read(&bytes)
    else {
        panic!("what we have written");
    };
    let same = |parcel: &Parcel| parcel.value().clone();
    assert!(same(&value).is_same_graph(&same(&carried)));
}
