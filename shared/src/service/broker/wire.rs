//! The messages of the protocol: a head in CBOR, and behind it, where one belongs to it, a value as
//! [`object`](crate::object) writes it, which the broker does not read.

use minicbor::bytes::ByteSlice;
use minicbor::{Decode, Encode};

use crate::error::Failure;
use crate::id::NodeId;
pub(super) use crate::wire::{head, message};

/// To the broker. The first message says what the stream is for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Ask<'b> {
    /// A message, which follows; nothing follows to clear what is retained. The stream is for nothing else.
    #[n(0)]
    Publish {
        #[b(0)]
        topic: &'b str,
        #[n(1)]
        retain: bool,
        /// Whoever publishes has numbered it, so that it counts once however often it comes.
        #[b(2)]
        publisher: Option<&'b str>,
        #[n(3)]
        number: u64,
        /// What its publisher adds for those who know it. The broker passes it on.
        #[b(4)]
        attributes: Option<&'b ByteSlice>,
    },
    /// Messages are wanted, for as long as the stream lasts.
    #[n(1)]
    Subscribe(#[n(0)] Wish),
    /// Of a subscription, so many items have been taken in all.
    #[n(2)]
    Taken(#[n(0)] u64),
    /// Who has a subscription that overlaps with this filter, and, if that is wanted, who comes and goes.
    #[n(3)]
    Presence {
        #[b(0)]
        filter: &'b str,
        #[n(1)]
        follow: bool,
    },
    /// Which topics are kept here.
    #[n(4)]
    Topics(#[b(0)] &'b str),
    /// Who is the broker of the zone, as far as is known here.
    #[n(5)]
    Where,
}

/// What a subscription is to bring.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Wish {
    #[n(0)]
    pub(super) filter: String,
    /// What came after this position, instead of what is retained.
    #[n(1)]
    pub(super) after: Option<After>,
    /// What came after what is retained.
    #[n(2)]
    pub(super) history: bool,
    /// What this node itself publishes.
    #[n(3)]
    pub(super) echo: bool,
    /// Each message is for one member of the group only.
    #[n(4)]
    pub(super) group: Option<String>,
    #[n(5)]
    pub(super) slow: Slow,
}

/// Where a subscriber has been before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct After {
    #[n(0)]
    pub(super) offset: u64,
    #[n(1)]
    pub(super) epoch: Option<u64>,
    /// The subscription had begun when this offset was the last, and not yet got all that was retained.
    #[n(2)]
    pub(super) until: Option<u64>,
}

/// What becomes of messages for a subscriber who takes them too slowly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Slow {
    /// The oldest are dropped, and counted.
    #[n(0)]
    #[default]
    DropOldest,
    /// All but the latest of each topic are dropped, and counted.
    #[n(1)]
    Latest,
    /// The subscription ends as overloaded.
    #[n(2)]
    Disconnect,
}

/// From the broker.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Tell<'b> {
    /// The next message that was published on this stream is; `known` if it had been before, and then
    /// its offset may be none.
    #[n(0)]
    Published {
        #[n(0)]
        offset: Option<u64>,
        #[n(1)]
        epoch: u64,
        #[n(2)]
        known: bool,
    },
    /// It is not.
    #[n(1)]
    Failed(#[n(0)] Failure),
    /// The subscription has begun: messages have this epoch, and greater offsets are of later ones.
    #[n(2)]
    Begun {
        #[n(0)]
        epoch: u64,
        #[n(1)]
        offset: u64,
        /// Of a group, the offset of the last message that it did not get.
        #[n(2)]
        since: Option<u64>,
    },
    /// A message, which follows.
    #[n(3)]
    Message(#[b(0)] Head<'b>),
    /// Here some are missing.
    #[n(4)]
    Gap(#[n(0)] Gap),
    /// Some of those who are here; the list ends with an empty one.
    #[n(5)]
    Present(#[n(0)] Vec<Member>),
    /// Somebody has come.
    #[n(6)]
    Joined(#[n(0)] Member),
    /// Somebody has gone.
    #[n(7)]
    Left(#[n(0)] Member),
    /// Some of the topics; the list ends with an empty one.
    #[n(8)]
    Topics(#[n(0)] Vec<Topic>),
    /// The broker of the zone is there, or here.
    #[n(9)]
    There(#[n(0)] Option<NodeId>),
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Head<'b> {
    #[n(0)]
    pub(super) offset: u64,
    #[b(1)]
    pub(super) topic: &'b str,
    #[n(2)]
    pub(super) sender: NodeId,
    /// It is what was retained when the subscription began.
    #[n(3)]
    pub(super) retained: bool,
    /// Another member of the group had it before, and may have taken it.
    #[n(4)]
    pub(super) again: bool,
    /// What its publisher has added.
    #[b(5)]
    pub(super) attributes: Option<&'b ByteSlice>,
}

/// Messages that are missing at this place of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Gap {
    /// Why.
    #[n(0)]
    pub why: Why,
    /// How many, if that is known.
    #[n(1)]
    pub missed: Option<u64>,
    /// They are among those with offsets from this one…
    #[n(2)]
    pub first: u64,
    /// …to this one.
    #[n(3)]
    pub last: u64,
}

/// Why messages are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Why {
    /// They are, or may be, no longer kept.
    #[n(0)]
    Trimmed,
    /// The broker has begun anew and knows nothing of the position.
    #[n(1)]
    Epoch,
    /// They were not taken fast enough.
    #[n(2)]
    Slow,
}

impl Gap {
    /// One message is missing.
    pub(super) fn of(why: Why, offset: u64) -> Self {
        Self {
            why,
            missed: Some(1),
            first: offset,
            last: offset,
        }
    }

    /// Both in one.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            why: match self.why {
                Why::Epoch => Why::Epoch,
                _ => other.why,
            },
            missed: self.missed.zip(other.missed).map(|(a, b)| a + b),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

impl Why {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trimmed => "trimmed",
            Self::Epoch => "epoch",
            Self::Slow => "slow",
        }
    }
}

/// A subscription, as others see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Member {
    /// Whose.
    #[n(0)]
    pub node: NodeId,
    /// To what.
    #[n(1)]
    pub filter: String,
    /// In which group.
    #[n(2)]
    pub group: Option<String>,
}

/// A topic of which something is kept.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Topic {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// Whether a value is retained.
    #[n(1)]
    pub retained: bool,
    /// How many messages are kept, besides that.
    #[n(2)]
    pub messages: u64,
    /// The offset of the last one.
    #[n(3)]
    pub offset: u64,
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn check<T>(head: &T, hex: &str)
    where
        T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + core::fmt::Debug,
    {
        let bytes = message(head, &[0xf6]);
        let expected = hex.replace(' ', "");
        assert_eq!(HEXLOWER.encode(&bytes), format!("{expected}f6"));
        let (back, value) = super::head::<T>(&bytes, "a message").unwrap();
        assert_eq!((&back, &value[..]), (head, &[0xf6][..]));
    }

    /// As [`check`], of what borrows.
    fn encodes<T: Encode<()>>(head: &T, hex: &str) {
        assert_eq!(HEXLOWER.encode(&message(head, &[])), hex.replace(' ', ""));
    }

    /// Other implementations read these bytes.
    #[test]
    fn messages_have_their_form() {
        let publish = Ask::Publish {
            topic: "a",
            retain: true,
            publisher: None,
            number: 0,
            attributes: None,
        };
        encodes(&publish, "82 00 84 6161 f5 f6 00");
        let attributed = Ask::Publish {
            topic: "a",
            retain: true,
            publisher: None,
            number: 0,
            attributes: Some((&[1, 2][..]).into()),
        };
        encodes(&attributed, "82 00 85 6161 f5 f6 00 420102");
        let wish = |after| Wish {
            filter: "a/#".into(),
            after,
            history: false,
            echo: true,
            group: None,
            slow: Slow::Latest,
        };
        check(&wish(None), "86 63612f23 f6 f4 f5 f6 01");
        let after = After {
            offset: 5,
            epoch: None,
            until: None,
        };
        check(&wish(Some(after)), "86 63612f23 81 05 f4 f5 f6 01");
        encodes(&Ask::Taken(5), "82 02 81 05");
        encodes(&Ask::Where, "82 05 80");
        let gap = Gap {
            why: Why::Trimmed,
            missed: None,
            first: 1,
            last: 2,
        };
        check(&gap, "84 00 f6 01 02");
        let published = Tell::Published {
            offset: Some(7),
            epoch: 3,
            known: false,
        };
        encodes(&published, "82 00 83 07 03 f4");
        encodes(
            &Tell::Begun {
                epoch: 3,
                offset: 7,
                since: None,
            },
            "82 02 82 03 07",
        );
        encodes(&Tell::There(None), "82 09 80");
        let head = Head {
            offset: 7,
            topic: "a",
            sender: NodeId::from_bytes([1; 32]),
            retained: false,
            again: true,
            attributes: None,
        };
        let hex = format!("82 03 81 85 07 6161 5820 {} f4 f5", "01".repeat(32));
        encodes(&Tell::Message(head), &hex);
    }
}
