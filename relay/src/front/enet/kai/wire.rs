//! The messages of KAI's nodes and consoles: a number, and fields one behind the other.

use bytes::Bytes;
use peerage::limits::KAI_MESSAGE_BYTES_MAX;
use peerage::object::Value;

use super::codec::{KaiError, Reader, Writer};

/// A message, in either direction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    /// An object for everybody.
    Object(Value),
    /// A method of an agent is called; an answer is wanted unless the future is 0.
    Call {
        /// Which agent.
        handle: i32,
        /// What the answer is called.
        future: i32,
        /// Which method.
        method: String,
        /// An array.
        args: Value,
    },
    /// Something has happened.
    Event {
        /// What.
        name: String,
        /// Whatever belongs to it, in a form that only the two sides know.
        payload: Bytes,
    },
    /// The answer to a call, or to what was asked of a property.
    Response {
        /// To what.
        future: i32,
        /// Whether it is one.
        outcome: Outcome,
        /// Why not.
        error: String,
        /// What was asked for.
        result: Value,
    },
    /// A property is asked for.
    Get {
        /// Of which agent.
        handle: i32,
        /// What the answer is called.
        future: i32,
        /// Which property.
        name: String,
    },
    /// A property is set.
    Set {
        /// Of which agent.
        handle: i32,
        /// What the answer is called.
        future: i32,
        /// Which property.
        name: String,
        /// To what.
        value: Value,
    },
    /// What was an argument before there was a value of it has one now.
    Resolve {
        /// Which argument.
        future: i32,
        /// Its value.
        value: Value,
        /// Whether it has one; newer nodes say so.
        outcome: Outcome,
    },
    /// A line for the other's console.
    Command(Line),
    /// What came of such a line.
    Result {
        /// Who says so.
        sender: String,
        /// The line.
        command: String,
        /// What it wrote.
        result: String,
    },
    /// A line for every console, without an answer.
    Broadcast(Line),
    /// In what language lines are from now on.
    Language {
        /// Who says so.
        sender: String,
        /// Which.
        language: i32,
    },
    /// Bytes for the other's console.
    Binary {
        /// Who sends them.
        sender: String,
        /// What they are.
        bytes: Bytes,
    },
}

/// A line for a console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Who types it.
    pub(crate) sender: String,
    /// What is typed.
    pub(crate) command: String,
    /// In what language.
    pub(crate) language: i32,
}

/// How an answer is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Here it is.
    Returned,
    /// There is none, and the error says why.
    BadRequest,
    /// There is none.
    TimedOut,
    /// Another word that there is none, by its number.
    Other(i32),
}

mod number {
    pub(super) const OBJECT: u8 = 128;
    pub(super) const CALL: u8 = 129;
    pub(super) const EVENT: u8 = 130;
    pub(super) const RESPONSE: u8 = 131;
    pub(super) const GET: u8 = 132;
    pub(super) const SET: u8 = 133;
    pub(super) const RESOLVE: u8 = 134;
    pub(super) const COMMAND: u8 = 138;
    pub(super) const RESULT: u8 = 139;
    pub(super) const BROADCAST: u8 = 140;
    pub(super) const LANGUAGE: u8 = 141;
    pub(super) const BINARY: u8 = 142;
}

impl Outcome {
    const TIMED_OUT: i32 = 2;
    const BAD_REQUEST: i32 = 4;
    const RETURNED: i32 = 6;

    fn of(number: i32) -> Self {
        match number {
            Self::TIMED_OUT => Self::TimedOut,
            Self::BAD_REQUEST => Self::BadRequest,
            Self::RETURNED => Self::Returned,
            other => Self::Other(other),
        }
    }

    fn number(self) -> i32 {
        match self {
            Self::TimedOut => Self::TIMED_OUT,
            Self::BadRequest => Self::BAD_REQUEST,
            Self::Returned => Self::RETURNED,
            Self::Other(number) => number,
        }
    }
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// What the bytes are not.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, KaiError> {
        if bytes.len() > KAI_MESSAGE_BYTES_MAX {
            return Err(KaiError::Large);
        }
        let mut reader = Reader::new(bytes);
        let message = Self::read(&mut reader)?;
        reader.end()?;
        Ok(message)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, KaiError> {
        Ok(match reader.byte()? {
            number::OBJECT => Self::Object(reader.object()?),
            number::CALL => Self::Call {
                handle: reader.int()?,
                future: reader.int()?,
                method: reader.text()?.into(),
                args: reader.object()?,
            },
            number::EVENT => Self::Event {
                name: reader.text()?.into(),
                payload: Bytes::copy_from_slice(reader.rest()),
            },
            number::RESPONSE => Self::Response {
                future: reader.int()?,
                outcome: Outcome::of(reader.int()?),
                error: reader.text()?.into(),
                result: reader.object()?,
            },
            number::GET => Self::Get {
                handle: reader.int()?,
                future: reader.int()?,
                name: reader.text()?.into(),
            },
            number::SET => Self::Set {
                handle: reader.int()?,
                future: reader.int()?,
                name: reader.text()?.into(),
                value: reader.object()?,
            },
            number::RESOLVE => Self::Resolve {
                future: reader.int()?,
                value: reader.object()?,
                outcome: match reader.end() {
                    Ok(()) => Outcome::Returned,
                    Err(_) => Outcome::of(reader.int()?),
                },
            },
            number::COMMAND => Self::Command(Line::read(reader)?),
            number::RESULT => Self::Result {
                sender: reader.text()?.into(),
                command: reader.text()?.into(),
                result: reader.text()?.into(),
            },
            number::BROADCAST => Self::Broadcast(Line::read(reader)?),
            number::LANGUAGE => Self::Language {
                sender: reader.text()?.into(),
                language: reader.int()?,
            },
            number::BINARY => Self::Binary {
                sender: reader.text()?.into(),
                bytes: Bytes::copy_from_slice(reader.blob()?),
            },
            other => return Err(KaiError::Message(other)),
        })
    }

    /// The bytes of a message.
    ///
    /// # Errors
    /// What KAI has no type for, or would not read.
    pub(crate) fn encode(&self) -> Result<Bytes, KaiError> {
        let bytes = self.write()?.done();
        let fits = bytes.len() <= KAI_MESSAGE_BYTES_MAX;
        fits.then_some(bytes).ok_or(KaiError::Large)
    }

    fn write(&self) -> Result<Writer, KaiError> {
        let begin = |number| Writer::default().byte(number);
        Ok(match self {
            Self::Object(value) => begin(number::OBJECT).object(value)?,
            Self::Call {
                handle,
                future,
                method,
                args,
            } => {
                let head = begin(number::CALL).int(*handle).int(*future);
                head.text(method).object(args)?
            }
            Self::Event { name, payload } => begin(number::EVENT).text(name).raw(payload),
            Self::Response {
                future,
                outcome,
                error,
                result,
            } => {
                let head = begin(number::RESPONSE).int(*future).int(outcome.number());
                head.text(error).object(result)?
            }
            Self::Get {
                handle,
                future,
                name,
            } => begin(number::GET).int(*handle).int(*future).text(name),
            Self::Set {
                handle,
                future,
                name,
                value,
            } => {
                let head = begin(number::SET).int(*handle).int(*future);
                head.text(name).object(value)?
            }
            Self::Resolve {
                future,
                value,
                outcome,
            } => {
                let head = begin(number::RESOLVE).int(*future);
                head.object(value)?.int(outcome.number())
            }
            Self::Command(line) => line.write(number::COMMAND),
            Self::Result {
                sender,
                command,
                result,
            } => begin(number::RESULT)
                .text(sender)
                .text(command)
                .text(result),
            Self::Broadcast(line) => line.write(number::BROADCAST),
            Self::Language { sender, language } => {
                begin(number::LANGUAGE).text(sender).int(*language)
            }
            Self::Binary { sender, bytes } => begin(number::BINARY).text(sender).blob(bytes),
        })
    }
}

impl Line {
    fn read(reader: &mut Reader<'_>) -> Result<Self, KaiError> {
        Ok(Self {
            sender: reader.text()?.into(),
            command: reader.text()?.into(),
            language: reader.int()?,
        })
    }

    fn write(&self, number: u8) -> Writer {
        let head = Writer::default().byte(number).text(&self.sender);
        head.text(&self.command).int(self.language)
    }
}
