//! The messages of the protocol, in CBOR.

use minicbor::{Decode, Encode};

use crate::service::command::Signature;
use crate::service::command::turn::Ticket;

/// The caller's only message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Request {
    /// Run a command.
    #[n(0)]
    Run {
        /// The same in the logs of both nodes.
        #[n(0)]
        trace: u64,
        /// The command and its arguments, without the target.
        #[n(1)]
        line: String,
        /// After how many milliseconds it is interrupted.
        #[n(2)]
        timeout_ms: Option<u64>,
        /// It waits for the turn that is taken for this ticket.
        #[n(3)]
        ticket: Option<Ticket>,
    },
    /// Tell which commands there are.
    #[n(1)]
    List,
}

/// The target's messages.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Response {
    /// What the command wrote.
    #[n(0)]
    Output(#[n(0)] String),
    /// How it ended: the last message.
    #[n(1)]
    Exit(#[n(0)] u8),
    /// The commands that there are: the only message.
    #[n(2)]
    Commands(#[n(0)] Vec<Signature>),
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::service::command::param::{self, Params};
    use crate::wire::{from_cbor, to_cbor};

    /// Other implementations read these bytes.
    #[test]
    fn messages_have_their_form() {
        let run = |timeout_ms| Request::Run {
            trace: 7,
            line: "calc 1".into(),
            timeout_ms,
            ticket: None,
        };
        let ticketed = Request::Run {
            trace: 7,
            line: "x".into(),
            timeout_ms: None,
            ticket: Some(Ticket([1; 16])),
        };
        for (request, bytes) in [
            (run(None), &b"\x82\x00\x82\x07\x66calc 1"[..]),
            (run(Some(50)), b"\x82\x00\x83\x07\x66calc 1\x18\x32"),
            (Request::List, b"\x82\x01\x80"),
            (
                ticketed,
                b"\x82\x00\x84\x07\x61x\xf6\x81\x50\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01",
            ),
        ] {
            assert_eq!(to_cbor(&request), bytes, "{request:?}");
            assert_eq!(from_cbor(bytes, "a request"), Ok(request));
        }
        let signature = Signature {
            name: "a".into(),
            help: "b".into(),
            params: param::node("C", "d").optional().list(),
        };
        for (response, bytes) in [
            (Response::Output("hi".into()), &b"\x82\x00\x81\x62hi"[..]),
            (Response::Exit(127), b"\x82\x01\x81\x18\x7f"),
            (
                Response::Commands(vec![signature]),
                b"\x82\x02\x81\x81\x83\x61a\x61b\x81\x85\x61C\x04\x61d\xf5\xf4",
            ),
        ] {
            assert_eq!(to_cbor(&response), bytes, "{response:?}");
            assert_eq!(from_cbor(bytes, "a response"), Ok(response));
        }
    }
}
