//! What operations tell, and its form on the wire.

use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::Time;
use crate::error::{Code, Failure};
use crate::limits::REASON_BYTES_MAX;
use crate::object::{Item, ObjectError};
use crate::rpc::{CallError, Parcel, Thrown};
use crate::service::millis::{millis, of_millis};

/// What a caller calls an operation: random, so that who knows it was told. Its text is hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tracker(pub [u8; 16]);

/// Which operation of a node is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// That of this tracker: it may be watched and stopped.
    Tracked(Tracker),
    /// That of this number, which the list of operations tells: it may be watched, and by who started it
    /// stopped.
    Numbered(u64),
}

/// How far an operation is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// From 0 to 1, if that is known.
    pub fraction: Option<f64>,
    /// How long it will take from now on, if that is known.
    pub remaining: Option<Time>,
    /// What it does now, for people.
    pub note: Option<String>,
    /// Anything else.
    pub data: Parcel,
    /// How many there were, this one included: its node counts.
    pub number: u64,
}

/// How an operation ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It did what it was for, with this result.
    Success(Parcel),
    /// It did not.
    Fail {
        /// Why, in a word or a few.
        reason: String,
        /// What else there is to know of it.
        data: Parcel,
    },
    /// It was told to stop.
    Stopped(Stop),
}

/// Why an operation shall stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// By whom.
    pub kind: StopKind,
    /// Why, in a word or a few.
    pub reason: String,
}

/// Who stops an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    /// The user.
    Cancel,
    /// The software.
    Abort,
}

/// Why an operation did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unsuccessful {
    /// It failed.
    #[error("failed: {reason}")]
    Fail {
        /// Why, in a word or a few.
        reason: String,
        /// What else there is to know of it.
        data: Parcel,
    },
    /// It was told to stop.
    #[error("{0}")]
    Stopped(Stop),
    /// Its end cannot be known here: its node has gone, or it never began.
    #[error(transparent)]
    Lost(#[from] CallError),
}

/// An operation, as the list has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// Its number at its node.
    pub id: u64,
    /// Which operation it is.
    pub name: String,
    /// `waiting` for its lane, `running`, or how it ended: `success`, `fail`, `cancel` or `abort`.
    pub state: String,
    /// The id of the node that started it.
    pub caller: String,
    /// Whether everybody may know of it.
    pub is_public: bool,
    /// Of which operation it is a part: its node's short id and its number there.
    pub parent: Option<String>,
    /// Its tracker, for who started it.
    pub tracker: Option<String>,
    /// From 0 to 1, if that is known.
    pub fraction: Option<f64>,
    /// How many milliseconds it will still take, if that is known.
    pub remaining_ms: Option<f64>,
    /// What it does now, for people.
    pub note: Option<String>,
    /// Why it ended, unless as a success.
    pub reason: Option<String>,
    /// How many milliseconds ago it was started.
    pub age_ms: f64,
    /// How many milliseconds ago it ended, if it has.
    pub ended_ms: Option<f64>,
}

impl Progress {
    /// So much is done, from 0 to 1.
    pub fn of(fraction: f64) -> Self {
        Self {
            fraction: Some(fraction),
            ..Self::default()
        }
    }

    /// The same, and so long it will still take.
    #[must_use]
    pub fn remaining(self, remaining: Time) -> Self {
        let remaining = Some(remaining);
        Self { remaining, ..self }
    }

    /// The same, with a note for people.
    #[must_use]
    pub fn note(self, note: impl Into<String>) -> Self {
        let note = Some(note.into());
        Self { note, ..self }
    }

    /// Whether anything is known.
    pub(super) fn says_something(&self) -> bool {
        let is_silent = self.fraction.is_none() && self.remaining.is_none() && self.note.is_none();
        !is_silent || !matches!(self.data.value().root(), Item::Null | Item::Undefined)
    }

    /// The same, as far as it means something: a fraction is from 0 to 1, and a note has an end.
    pub(super) fn checked(mut self) -> Self {
        let number = self.fraction.filter(|fraction| !fraction.is_nan());
        self.fraction = number.map(|fraction| fraction.clamp(0.0, 1.0));
        self.note = self.note.map(cut);
        self.remaining = self.remaining.map(|remaining| remaining.min(REMAINING_MAX));
        self
    }

    pub(super) fn to_parcel(&self) -> Result<Parcel, ObjectError> {
        let remaining = self.remaining.map(millis);
        Ok(Parcel::list([
            Parcel::of(&self.fraction)?,
            Parcel::of(&remaining)?,
            Parcel::of(&self.note)?,
            self.data.clone(),
            Parcel::of(&self.number)?,
        ]))
    }

    pub(super) fn read(parcel: Parcel) -> Result<Self, ObjectError> {
        let [fraction, remaining, note, data, number] = parcel.into_parts();
        let progress = Self {
            fraction: fraction.read()?,
            remaining: remaining.read::<Option<f64>>()?.and_then(of_millis),
            note: note.read()?,
            data,
            number: number.read::<Option<u64>>()?.unwrap_or_default(),
        };
        Ok(progress.checked())
    }
}

impl Ending {
    /// Its name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Success(_) => "success",
            Self::Fail { .. } => "fail",
            Self::Stopped(stop) => stop.kind.as_str(),
        }
    }

    /// Why it was no success.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Success(_) => None,
            Self::Fail { reason, .. } => Some(reason),
            Self::Stopped(stop) => Some(&stop.reason),
        }
    }

    /// The same, without what it brought.
    pub(super) fn without_value(self) -> Self {
        let data = Parcel::default();
        match self {
            Self::Success(_) => Self::Success(data),
            Self::Fail { reason, .. } => Self::Fail { reason, data },
            stopped @ Self::Stopped(_) => stopped,
        }
    }

    /// What it brought.
    ///
    /// # Errors
    /// Why it was no success.
    pub fn into_result(self) -> Result<Parcel, Unsuccessful> {
        match self {
            Self::Success(value) => Ok(value),
            Self::Fail { reason, data } => Err(Unsuccessful::Fail { reason, data }),
            Self::Stopped(stop) => Err(Unsuccessful::Stopped(stop)),
        }
    }

    pub(super) fn to_parcel(&self, progress: &Progress) -> Result<Parcel, ObjectError> {
        let nothing = Parcel::default();
        let (number, payload) = match self {
            Self::Success(value) => (0, value),
            Self::Fail { data, .. } => (1, data),
            Self::Stopped(stop) => match stop.kind {
                StopKind::Cancel => (2, &nothing),
                StopKind::Abort => (3, &nothing),
            },
        };
        Ok(Parcel::list([
            Parcel::of(&number)?,
            Parcel::of(&self.reason())?,
            payload.clone(),
            progress.to_parcel()?,
        ]))
    }

    /// An ending, and what was told last before it.
    pub(super) fn read(parcel: Parcel) -> Result<(Self, Progress), ObjectError> {
        let [number, reason, payload, progress] = parcel.into_parts();
        Ok((
            Self::of(number, reason, payload)?,
            Progress::read(progress)?,
        ))
    }

    fn of(number: Parcel, reason: Parcel, payload: Parcel) -> Result<Self, ObjectError> {
        let reason = cut(reason.read::<Option<String>>()?.unwrap_or_default());
        Ok(match number.read::<u8>()? {
            0 => Self::Success(payload),
            2 => Self::Stopped(StopKind::Cancel.because(reason)),
            3 => Self::Stopped(StopKind::Abort.because(reason)),
            // A kind of a later version is no success, at any rate.
            _ => Self::Fail {
                reason,
                data: payload,
            },
        })
    }
}

impl StopKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Abort => "abort",
        }
    }

    /// A stop of this kind, with its reason.
    pub fn because(self, reason: impl Into<String>) -> Stop {
        let reason = cut(reason.into());
        Stop { kind: self, reason }
    }
}

impl FromStr for StopKind {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        match text {
            "cancel" => Ok(Self::Cancel),
            "abort" => Ok(Self::Abort),
            _ => Err(Code::BadMessage.because("expected `cancel` or `abort`")),
        }
    }
}

impl Unsuccessful {
    /// A failure, with its reason.
    pub fn fail(reason: impl fmt::Display) -> Self {
        Self::Fail {
            reason: cut(reason.to_string()),
            data: Parcel::default(),
        }
    }

    /// How the operation ended, as far as it is known: `fail`, `cancel` or `abort`.
    pub fn end(&self) -> &'static str {
        match self {
            Self::Fail { .. } | Self::Lost(_) => "fail",
            Self::Stopped(stop) => stop.kind.as_str(),
        }
    }

    /// Why.
    pub fn reason(&self) -> String {
        match self {
            Self::Fail { reason, .. } => reason.clone(),
            Self::Stopped(stop) => stop.reason.clone(),
            Self::Lost(CallError::Failed(failure)) => failure.code.to_string(),
            Self::Lost(error) => words(error),
        }
    }

    /// The name of the failure, as Peerage's other failures have one.
    pub fn code(&self) -> Code {
        match self {
            Self::Fail { .. } => Code::Refused,
            Self::Stopped(_) => Code::Cancelled,
            Self::Lost(error) => error.code().unwrap_or(Code::Refused),
        }
    }

    /// How an operation ends that ends so.
    pub(super) fn into_ending(self) -> Ending {
        match self {
            Self::Fail { reason, data } => Ending::Fail {
                reason: cut(reason),
                data,
            },
            Self::Stopped(stop) => Ending::Stopped(stop.kind.because(stop.reason)),
            Self::Lost(error) => Ending::Fail {
                reason: cut(words(&error)),
                data: Parcel::default(),
            },
        }
    }
}

/// What an error says, and if it says nothing, what it is.
fn words(error: &CallError) -> String {
    match error {
        CallError::Thrown(thrown) if thrown.message.is_empty() => thrown.kind.clone(),
        CallError::Thrown(thrown) => thrown.message.clone(),
        CallError::Failed(failure) => failure.to_string(),
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.reason)
    }
}

impl From<Failure> for Unsuccessful {
    fn from(failure: Failure) -> Self {
        Self::Lost(failure.into())
    }
}

impl From<ObjectError> for Unsuccessful {
    fn from(error: ObjectError) -> Self {
        Self::Lost(error.into())
    }
}

impl From<Thrown> for Unsuccessful {
    fn from(thrown: Thrown) -> Self {
        Self::fail(thrown)
    }
}

impl fmt::Display for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It is for those who were told.
        f.write_str("Tracker")
    }
}

impl FromStr for Tracker {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        let wrong = || Code::BadMessage.because("expected a tracker: 32 hexadecimal digits");
        bytes.map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tracked(tracker) => tracker.fmt(f),
            Self::Numbered(number) => write!(f, "#{number}"),
        }
    }
}

impl FromStr for Which {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let Some(number) = text.strip_prefix('#') else {
            return text.parse().map(Self::Tracked);
        };
        let wrong = |_| Code::BadMessage.because("expected `#` and an operation's number");
        number.parse().map(Self::Numbered).map_err(wrong)
    }
}

/// The longest that is told to remain.
const REMAINING_MAX: Time = Time::from_secs(100 * 365 * 24 * 3600);

/// Why an operation that has ended so was no success, in a word.
pub(in crate::service) fn fault(ending: &Parcel) -> Option<String> {
    let kind = match ending.argument::<u8>(0).ok()? {
        0 => return None,
        2 => StopKind::Cancel.as_str(),
        3 => StopKind::Abort.as_str(),
        _ => "fail",
    };
    Some(kind.to_owned())
}

/// A text of a bounded length.
pub(in crate::service) fn cut(mut text: String) -> String {
    if text.len() > REASON_BYTES_MAX {
        let end = (0..=REASON_BYTES_MAX).rev();
        let end = end.into_iter().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
    }
    text
}
