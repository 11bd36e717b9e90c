//! The messages of small programs and adapters: each a list in CBOR, a word and what belongs to it.

use bytes::{BufMut, Bytes, BytesMut};
use peerage::error::Code;
use peerage::limits::PROGRAM_MESSAGE_BYTES_MAX;
use peerage::object::{Form, Item, Node, Value, decode, encode};
use peerage::rpc::{CallError, Parcel};
use peerage::service::operation::Progress;
use peerage::{Failure, Time};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a message begins: the tag that says that what follows is CBOR (RFC 8949, 3.4.6).
pub(crate) const TAG: [u8; 3] = [0xd9, 0xd9, 0xf7];
/// The only version there is.
pub(crate) const VERSION: u32 = 1;
/// What a message has at the most, besides its word.
pub(crate) const FIELDS: usize = 6;

/// What a program says. `id` is a number that it has chosen for a request, `of` that of a request to it.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// Who it is.
    Hello {
        version: u32,
        name: Option<String>,
        /// What else there is to say: an adapter has more.
        more: Parcel,
    },
    /// It has an agent.
    Offer {
        id: u32,
        agent: String,
        methods: Vec<String>,
        properties: Vec<String>,
        events: Vec<String>,
    },
    /// It has an operation.
    Operation { id: u32, name: String },
    /// A property of its agent has a value.
    Property {
        agent: String,
        name: String,
        value: Parcel,
    },
    /// Its agent tells an event.
    Emit {
        agent: String,
        event: String,
        detail: Parcel,
    },
    /// What came of a request to it (`return` or `throw`).
    Answer { of: u64, answer: Answer },
    /// How far an operation of its own is.
    Progress { of: u64, progress: Progress },
    /// What follows an operation of its own in a lane may begin.
    Accept { of: u64 },
    /// It has something for the log.
    Log { level: String, text: String },
    /// It wants to know whether it is heard.
    Ping,
    /// It has heard.
    Pong,
    /// It asks something of a node.
    Ask { id: u32, what: Wish },
    /// It wants no more of a request.
    Cancel { id: u32 },
    /// It tells an operation that it started to stop.
    Stop {
        id: u32,
        kind: String,
        reason: String,
    },
}

/// What ended a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// It brought this.
    Value(Parcel),
    /// It brought nothing.
    Thrown {
        kind: String,
        message: String,
        data: Parcel,
    },
}

/// What a program asks for.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// A method, a property, or an event of an agent.
    Agent {
        act: AgentAct,
        node: String,
        agent: String,
        name: String,
        value: Parcel,
    },
    /// An operation.
    Start {
        node: String,
        name: String,
        value: Parcel,
    },
    /// Something is published.
    Publish {
        topic: String,
        value: Parcel,
        retain: bool,
    },
    /// Whatever is published under topics.
    Subscribe { filter: String },
}

/// What is asked of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AgentAct {
    Call,
    Get,
    Set,
    Watch,
    Listen,
}

/// Reads a message.
///
/// # Errors
/// `bad-message` for what is none; `too-large`.
pub(crate) fn read(bytes: &Bytes) -> Result<Said, Failure> {
    let (word, fields) = parts(bytes)?;
    Fields(fields).said(&word)
}

/// A message's word and its fields.
///
/// # Errors
/// `bad-message` for what is none; `too-large`.
pub(crate) fn parts(bytes: &Bytes) -> Result<(String, [Parcel; FIELDS]), Failure> {
    if bytes.len() > PROGRAM_MESSAGE_BYTES_MAX {
        return Err(too_large(bytes.len()));
    }
    let value = decode(bytes).map_err(|error| Code::BadMessage.because(error.to_string()))?;
    if has_reference(&value) {
        return Err(Code::BadMessage.because("expected no reference: a small program holds none"));
    }
    let [word, fields @ ..]: [Parcel; FIELDS + 1] = Parcel::new(value, Vec::new()).into_parts();
    Ok((field(&word, "a list that begins with a word")?, fields))
}

struct Fields([Parcel; FIELDS]);

impl Fields {
    fn said(self, word: &str) -> Result<Said, Failure> {
        let id = || self.read(0, "a request's number");
        let of = || self.read(0, "a request's number");
        Ok(match word {
            "hello" => Said::Hello {
                version: self.read(0, "a version")?,
                name: self.read(1, "a name or null")?,
                more: self.any(2),
            },
            "offer" => Said::Offer {
                id: id()?,
                agent: self.read(1, "an agent's name")?,
                methods: self.words(2, "a list of methods")?,
                properties: self.words(3, "a list of properties")?,
                events: self.words(4, "a list of events")?,
            },
            "operation" => Said::Operation {
                id: id()?,
                name: self.read(1, "an operation's name")?,
            },
            "property" => Said::Property {
                agent: self.read(0, "an agent's name")?,
                name: self.read(1, "a property's name")?,
                value: self.any(2),
            },
            "emit" => Said::Emit {
                agent: self.read(0, "an agent's name")?,
                event: self.read(1, "an event's name")?,
                detail: self.any(2),
            },
            "return" => Said::Answer {
                of: of()?,
                answer: Answer::Value(self.any(1)),
            },
            "throw" => Said::Answer {
                of: of()?,
                answer: Answer::Thrown {
                    kind: self.read(1, "a type of error")?,
                    message: self.read(2, "a message")?,
                    data: self.any(3),
                },
            },
            "progress" => Said::Progress {
                of: of()?,
                progress: self.progress()?,
            },
            "accept" => Said::Accept { of: of()? },
            "log" => Said::Log {
                level: self.read(0, "a level")?,
                text: self.read(1, "a text")?,
            },
            "ping" => Said::Ping,
            "pong" => Said::Pong,
            "cancel" => Said::Cancel { id: id()? },
            "stop" => Said::Stop {
                id: id()?,
                kind: self.read(1, "`cancel` or `abort`")?,
                reason: self.read(2, "a reason")?,
            },
            word => Said::Ask {
                id: id()?,
                what: self.wish(word)?,
            },
        })
    }

    fn wish(&self, word: &str) -> Result<Wish, Failure> {
        let act = match word {
            "call" => AgentAct::Call,
            "get" => AgentAct::Get,
            "set" => AgentAct::Set,
            "watch" => AgentAct::Watch,
            "listen" => AgentAct::Listen,
            "start" => {
                return Ok(Wish::Start {
                    node: self.read(1, "a node")?,
                    name: self.read(2, "an operation's name")?,
                    value: self.any(3),
                });
            }
            "publish" => {
                return Ok(Wish::Publish {
                    topic: self.read(1, "a topic")?,
                    value: self.any(2),
                    retain: self.read::<Option<bool>>(3, "yes or no")?.unwrap_or(false),
                });
            }
            "subscribe" => {
                return Ok(Wish::Subscribe {
                    filter: self.read(1, "a filter")?,
                });
            }
            other => {
                let message = format!("expected a word of the protocol, got `{other}`");
                return Err(Code::BadMessage.because(message));
            }
        };
        Ok(Wish::Agent {
            act,
            node: self.read(1, "a node")?,
            agent: self.read(2, "an agent's name")?,
            name: self.read(3, "a name")?,
            value: self.any(4),
        })
    }

    fn progress(&self) -> Result<Progress, Failure> {
        let remaining_ms: Option<u64> = self.read(2, "milliseconds or null")?;
        Ok(Progress {
            fraction: self.read(1, "a number or null")?,
            remaining: remaining_ms.map(Time::from_millis),
            note: self.read(3, "a text or null")?,
            data: self.any(4),
            number: 0,
        })
    }

    fn any(&self, place: usize) -> Parcel {
        self.0[place].clone()
    }

    fn words(&self, place: usize, expected: &str) -> Result<Vec<String>, Failure> {
        let words: Option<Vec<String>> = self.read(place, expected)?;
        Ok(words.unwrap_or_default())
    }

    fn read<T: DeserializeOwned>(&self, place: usize, expected: &str) -> Result<T, Failure> {
        field(&self.0[place], expected)
    }
}

/// Whether there is a reference in a value.
pub(crate) fn has_reference(value: &Value) -> bool {
    let items = value.nodes().iter().flat_map(Node::items);
    let mut items = items.chain([value.root()]);
    items.any(|item| matches!(item, Item::Pointer(_)))
}

/// Reads a field.
///
/// # Errors
/// `bad-message`, with what was expected.
pub(crate) fn field<T: DeserializeOwned>(parcel: &Parcel, expected: &str) -> Result<T, Failure> {
    parcel
        .read()
        .map_err(|error| Code::BadMessage.because(format!("expected {expected}: {error}")))
}

/// The bytes of a message to a program.
///
/// # Errors
/// `too-large`.
pub(crate) fn say(word: &str, fields: impl IntoIterator<Item = Parcel>) -> Result<Bytes, Failure> {
    let list = Parcel::list([of(word)].into_iter().chain(fields));
    let body = encode(list.value(), Form::Natural);
    if body.len() > PROGRAM_MESSAGE_BYTES_MAX - TAG.len() {
        return Err(too_large(body.len()));
    }
    let mut bytes = BytesMut::with_capacity(TAG.len() + body.len());
    bytes.put_slice(&TAG);
    bytes.put_slice(&body);
    Ok(bytes.freeze())
}

/// A field.
pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> Parcel {
    // Numbers and texts can always be written.
    Parcel::of(value).unwrap_or_default()
}

/// That nothing came of a request: its number, why in one word, why in many.
pub(crate) fn failed(id: u32, error: &CallError) -> Result<Bytes, Failure> {
    let (kind, message) = match error {
        CallError::Failed(failure) => (failure.code.as_str(), failure.in_words()),
        CallError::Thrown(thrown) => (thrown.kind.as_str(), thrown.message.clone()),
    };
    say("fail", [of(&id), of(kind), of(&message)])
}

/// The last message: why there is no more to say.
pub(crate) fn refused(failure: &Failure) -> Result<Bytes, Failure> {
    let (code, message) = (failure.code.as_str(), failure.in_words());
    say("refused", [of(code), of(&message)])
}

fn too_large(got: usize) -> Failure {
    let most = PROGRAM_MESSAGE_BYTES_MAX;
    Code::TooLarge.because(format!(
        "expected at most {most} bytes in a message, got {got}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(value: &impl Serialize) -> Bytes {
        let parcel = Parcel::of(value).unwrap();
        encode(parcel.value(), Form::Natural)
    }

    #[test]
    fn a_message_is_read_with_the_tag_or_without() {
        let plain = message(&("hello", 1, "sensor"));
        let tagged = Bytes::from([&TAG[..], &plain[..]].concat());
        for bytes in [plain, tagged] {
            let said = read(&bytes).unwrap();
            let Said::Hello { version, name, .. } = said else {
                panic!("{said:?}")
            };
            assert_eq!((version, name.as_deref()), (1, Some("sensor")));
        }
    }

    #[test]
    fn what_is_missing_at_the_end_is_nothing() {
        let said = read(&message(&("offer", 3, "S", ["read"]))).unwrap();
        let Said::Offer {
            methods, events, ..
        } = said
        else {
            panic!("{said:?}")
        };
        assert_eq!((methods.len(), events.len()), (1, 0));
    }

    #[test]
    fn what_is_no_message_is_refused_with_a_word_on_why() {
        for (bytes, word) in [
            (message(&"hello"), "a list that begins with a word"),
            (message(&(1, 2)), "a list that begins with a word"),
            (message(&("dance", 1)), "a word of the protocol"),
            (message(&("call", -1, "a")), "a request's number"),
            (message(&("call", 1, 7)), "a node"),
            (message(&("hello", "x")), "a version"),
            (Bytes::from_static(&[0x9f]), "not CBOR"),
            (Bytes::from_static(b"\xd9\xd9\xf7"), "not CBOR"),
        ] {
            let failure = read(&bytes).unwrap_err();
            assert_eq!(failure.code, Code::BadMessage);
            assert!(failure.message.contains(word), "{failure:?}");
        }
        let long = read(&vec![0; PROGRAM_MESSAGE_BYTES_MAX + 1].into());
        assert_eq!(long.unwrap_err().code, Code::TooLarge);
    }

    #[test]
    fn what_is_said_has_its_form() {
        let bytes = say("done", [of(&7)]).unwrap();
        assert_eq!(&bytes[..], b"\xd9\xd9\xf7\x82\x64done\x07");
    }
}
