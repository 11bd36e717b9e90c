//! The messages of KAI's nodes, by the very files that the relay reads and writes them with.

#![allow(
    dead_code,
    unused_imports,
    reason = "the relay uses more of these files than a fuzzer"
)]

#[path = "../../../relay/src/front/enet/kai/codec.rs"]
mod codec;
#[path = "../../../relay/src/front/enet/kai/wire.rs"]
mod wire;

use peerage::limits::KAI_MESSAGE_BYTES_MAX;

use wire::Message;

/// A message: what is read can be written unless KAI would not read it, and is the same then.
pub fn kai(input: &[u8]) {
    let Ok(message) = Message::decode(input) else {
        return;
    };
    let Ok(bytes) = message.encode() else {
        return;
    };
    assert!(bytes.len() <= KAI_MESSAGE_BYTES_MAX);
    let again = Message::decode(&bytes).expect("what we have written");
    assert_eq!(again.encode(), Ok(bytes));
}
