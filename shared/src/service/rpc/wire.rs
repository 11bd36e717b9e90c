//! The messages of the protocol: a head in CBOR, and behind it, where one belongs to it, a value as
//! [`object`](crate::object) writes it.

use minicbor::{Decode, Encode};

use crate::error::Failure;
use crate::object::Handle;
use crate::trace::Context;
pub(super) use crate::wire::{head, message};

/// From the asking node.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Ask<'b> {
    /// Something is wanted of an object. A value follows: of a call the list of its arguments, or what a
    /// property is set to.
    #[n(0)]
    Request(#[b(0)] Request<'b>),
    /// It is wanted no more.
    #[n(1)]
    Cancel(#[n(0)] u64),
    /// An object of the answering node is no longer held, which it was told of so many times.
    #[n(2)]
    Release {
        /// Which.
        #[cbor(n(0), with = "minicbor::bytes")]
        handle: Handle,
        /// How many times it came.
        #[n(1)]
        count: u64,
    },
    /// Nothing more will be asked of the reference that this request returned.
    #[n(3)]
    Forget(#[n(0)] u64),
    /// The references of that answer are held now by who got them.
    #[n(4)]
    Taken(#[n(0)] u64),
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Request<'b> {
    /// Its number, of which there is one at a time.
    #[n(0)]
    pub(super) id: u64,
    #[n(1)]
    pub(super) act: Act,
    #[b(2)]
    pub(super) target: Target<'b>,
    /// Of a method, a property or an event.
    #[b(3)]
    pub(super) name: &'b str,
    /// The number under which references of other nodes in the value are kept until they are taken.
    #[n(4)]
    pub(super) transit: Option<u64>,
    /// It begins after the requests of the same lane that came before it.
    #[b(5)]
    pub(super) lane: Option<&'b str>,
    /// The span of a trace for which it is.
    #[n(6)]
    pub(super) trace: Option<Context>,
}

/// What can be wanted of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Act {
    /// A method's result.
    #[n(0)]
    Call,
    /// A property's value.
    #[n(1)]
    Get,
    /// That a property has a value.
    #[n(2)]
    Set,
    /// A property's value, and each that it takes later.
    #[n(3)]
    Watch,
    /// Each event of a name.
    #[n(4)]
    Subscribe,
    /// The value of a future.
    #[n(5)]
    Await,
    /// That it stays, for the asking node holds it.
    #[n(6)]
    Hold,
    /// What it is: the [`Interface`](super::Interface).
    #[n(7)]
    Describe,
}

/// Of which object.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Target<'b> {
    /// The agent of this name, which must be of this version if there is one.
    #[n(0)]
    Agent(#[b(0)] &'b str, #[n(1)] Option<u32>),
    /// The object that the node calls so.
    #[n(1)]
    Object(#[cbor(n(0), with = "minicbor::bytes")] Handle),
    /// The object that an earlier request returns, even if it has not yet.
    #[n(2)]
    Answer(#[n(0)] u64),
}

/// From the answering node.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Answer {
    /// The last answer to a request; its value follows.
    #[n(0)]
    Return {
        #[n(0)]
        id: u64,
        #[n(1)]
        transit: Option<u64>,
    },
    /// The request has failed, or what was subscribed to has ended.
    #[n(1)]
    Fail {
        #[n(0)]
        id: u64,
        #[n(1)]
        error: Fault,
    },
    /// An event, or a property's value; it follows.
    #[n(2)]
    Next {
        #[n(0)]
        id: u64,
        /// How many came before it and were dropped, because they were not taken fast enough.
        #[n(1)]
        missed: u64,
        #[n(2)]
        transit: Option<u64>,
    },
    /// The references of that request are held now by who got them.
    #[n(3)]
    Taken(#[n(0)] u64),
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Fault {
    /// By Peerage's own reasons.
    #[n(0)]
    Failed(#[n(0)] Failure),
    /// By the object's: what it threw.
    #[n(1)]
    Thrown {
        #[n(0)]
        kind: String,
        #[n(1)]
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::error::Code;

    fn check<T>(head: &T, hex: &str)
    where
        T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + core::fmt::Debug,
    {
        let bytes = message(head, &[0xf6]);
        assert_eq!(HEXLOWER.encode(&bytes), format!("{hex}f6"));
        let (back, rest) = super::head::<T>(&bytes, "a message").unwrap();
        assert_eq!((&back, &rest[..]), (head, &[0xf6][..]));
    }

    #[test]
    fn answers_are_the_bytes_of_the_protocol() {
        let transit = Some(3);
        check(&Answer::Return { id: 1, transit }, "8200820103");
        let next = Answer::Next {
            id: 1,
            missed: 2,
            transit: None,
        };
        check(&next, "8202820102");
        check(&Answer::Taken(7), "82038107");
        let (kind, message) = (String::from("E"), String::from("m"));
        let error = Fault::Thrown { kind, message };
        check(
            &Answer::Fail { id: 1, error },
            "8201820182018261456 16d".replace(' ', "").as_str(),
        );
        let error = Fault::Failed(Code::Gone.because("m"));
        check(
            &Answer::Fail { id: 1, error },
            "82018201820081820261 6d".replace(' ', "").as_str(),
        );
    }

    #[test]
    fn requests_are_the_bytes_of_the_protocol() {
        let request = |act, target, name| {
            let (id, transit) = (1, None);
            message(
                &Ask::Request(Request {
                    id,
                    act,
                    target,
                    name,
                    transit,
                    lane: None,
                    trace: None,
                }),
                &[],
            )
        };
        for (bytes, hex) in [
            (
                request(Act::Call, Target::Agent("C", Some(2)), "add"),
                "820081840100820082614302 63616464",
            ),
            (
                request(Act::Get, Target::Answer(9), "x"),
                "82008184010182028109 6178",
            ),
            (message(&Ask::Cancel(5), &[]), "82018105"),
            (message(&Ask::Forget(5), &[]), "82038105"),
        ] {
            assert_eq!(HEXLOWER.encode(&bytes), hex.replace(' ', ""));
        }
        let traced = |trace| {
            message(
                &Ask::Request(Request {
                    id: 1,
                    act: Act::Call,
                    target: Target::Agent("C", None),
                    name: "add",
                    transit: None,
                    lane: None,
                    trace,
                }),
                &[],
            )
        };
        let trace = Context::new([0x11; 16], [0x22; 8], true).unwrap();
        let hex = format!(
            "8200818701008200816143 63616464f6f65819{}{}01",
            "11".repeat(16),
            "22".repeat(8)
        );
        let bytes = traced(Some(trace));
        assert_eq!(HEXLOWER.encode(&bytes), hex.replace(' ', ""));
        let (back, _) = head::<Ask<'_>>(&bytes, "a message").unwrap();
        assert!(matches!(back, Ask::Request(Request { trace: Some(back), .. }) if back == trace));
        let (handle, count) = ([0xab; 16], 2);
        let release = message(&Ask::Release { handle, count }, &[]);
        assert_eq!(
            HEXLOWER.encode(&release),
            format!("82028250{}02", "ab".repeat(16))
        );
    }
}
