//! Where a broker keeps what is to outlive it: rows of bytes, in a file or wherever the platform has room.
//! What is in the rows is the broker's own.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use minicbor::{Decode, Encode};

use super::kept::{Kept, Message, Origin, Trimmed};
use super::window::Windows;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::wire::{from_cbor, to_cbor};

/// A row, and what is in it from now on; nothing if it is to go.
pub type Row = (Vec<u8>, Option<Bytes>);

/// A place for rows that stay when the node does not.
pub trait Store: Send + Sync + 'static {
    /// All rows, in the order of their keys.
    ///
    /// # Errors
    /// What went wrong, in words.
    fn load(&self) -> Result<Vec<(Vec<u8>, Bytes)>, String>;

    /// Writes rows, all or none; done when they would survive a failure of the machine.
    fn write(&self, rows: Vec<Row>) -> BoxFuture<'static, Result<(), String>>;

    /// Milliseconds since 1970.
    fn unix_ms(&self) -> i64;
}

/// A message, in its row.
#[derive(Encode, Decode)]
struct Stored {
    #[n(0)]
    topic: String,
    #[n(1)]
    sender: NodeId,
    #[n(2)]
    unix_ms: i64,
    #[n(3)]
    retain: bool,
    #[cbor(n(4), with = "minicbor::bytes")]
    value: Vec<u8>,
    #[cbor(n(5), with = "minicbor::bytes")]
    attributes: Option<Vec<u8>>,
}

/// What a publisher has sent, in its row: the highest number, and which of the last ones.
#[derive(Encode, Decode)]
struct StoredWindow(#[n(0)] u64, #[cbor(n(1), with = "minicbor::bytes")] Vec<u8>);

/// What all rows tell.
pub(super) struct Loaded {
    pub(super) epoch: Option<u64>,
    /// The next offset that was surely not in use.
    pub(super) next: u64,
    pub(super) messages: Vec<(Origin, Bytes)>,
    pub(super) lost: Vec<(String, u64)>,
    pub(super) forgotten: u64,
    pub(super) windows: Windows,
}

/// Reads all rows; `now_ms` is the node's own time.
pub(super) fn load(store: &dyn Store, now_ms: i64) -> Result<Loaded, Failure> {
    let broken = |reason: String| Code::Refused.because(format!("the broker's store: {reason}"));
    let offset_ms = now_ms - store.unix_ms();
    let mut loaded = Loaded {
        epoch: None,
        next: 0,
        messages: Vec::new(),
        lost: Vec::new(),
        forgotten: 0,
        windows: Windows::default(),
    };
    for (key, value) in store.load().map_err(broken)? {
        loaded
            .read(&key, &value, offset_ms)
            .map_err(|failure| broken(failure.message))?;
    }
    Ok(loaded)
}

impl Loaded {
    fn read(&mut self, key: &[u8], value: &[u8], offset_ms: i64) -> Result<(), Failure> {
        let number = || from_cbor::<u64>(value, "a number");
        match key.split_first() {
            Some((b'e', [])) => self.epoch = Some(number()?),
            Some((b'n', [])) => self.next = number()?,
            Some((b'f', [])) => self.forgotten = number()?,
            Some((b'l', topic)) => {
                let topic = String::from_utf8_lossy(topic).into_owned();
                self.lost.push((topic, number()?));
            }
            Some((b'm', offset)) => {
                let bytes = offset.try_into().map_err(|_| unknown(key))?;
                let stored: Stored = from_cbor(value, "a message")?;
                let origin = Origin {
                    offset: u64::from_be_bytes(bytes),
                    topic: stored.topic.into(),
                    sender: stored.sender,
                    at_ms: stored.unix_ms + offset_ms,
                    retain: stored.retain,
                    attributes: stored.attributes.unwrap_or_default().into(),
                };
                self.messages.push((origin, stored.value.into()));
            }
            Some((b'p', name)) => {
                let StoredWindow(highest, seen) = from_cbor(value, "a publisher")?;
                let name = String::from_utf8_lossy(name);
                self.windows.restore(name.as_ref().into(), highest, &seen)?;
            }
            _ => return Err(unknown(key)),
        }
        Ok(())
    }
}

fn unknown(key: &[u8]) -> Failure {
    let kind = key.first().copied().unwrap_or_default();
    Code::BadMessage.because(format!("expected a row of a broker, got kind {kind}"))
}

pub(super) fn epoch_row(epoch: u64) -> Row {
    (b"e".to_vec(), Some(to_cbor(&epoch)))
}

pub(super) fn next_row(next: u64) -> Row {
    (b"n".to_vec(), Some(to_cbor(&next)))
}

pub(super) fn message_row(message: &Message, offset_ms: i64) -> Row {
    let stored = Stored {
        topic: message.topic.to_string(),
        sender: message.sender,
        unix_ms: message.at_ms - offset_ms,
        retain: message.retain,
        value: message.value.to_vec(),
        attributes: (!message.attributes.is_empty()).then(|| message.attributes.to_vec()),
    };
    (message_key(message.offset), Some(to_cbor(&stored)))
}

/// The row of a publisher; it goes if nothing is known of it.
pub(super) fn publisher_row(name: &str, windows: &Windows) -> Row {
    let value = windows
        .get(name)
        .map(|(highest, seen)| to_cbor(&StoredWindow(highest, seen.to_vec())));
    ([b"p", name.as_bytes()].concat(), value)
}

/// The rows of what was trimmed.
pub(super) fn trimmed_rows(kept: &mut Kept) -> impl Iterator<Item = Row> {
    std::mem::take(&mut kept.trimmed)
        .into_iter()
        .map(|trimmed| match trimmed {
            Trimmed::Message(offset) => (message_key(offset), None),
            Trimmed::Lost(topic, offset) => {
                let value = offset.map(|offset| to_cbor(&offset));
                ([b"l", topic.as_bytes()].concat(), value)
            }
            Trimmed::Publisher(name) => ([b"p", name.as_bytes()].concat(), None),
            Trimmed::Forgotten(offset) => (b"f".to_vec(), Some(to_cbor(&offset))),
        })
}

fn message_key(offset: u64) -> Vec<u8> {
    [&b"m"[..], &offset.to_be_bytes()].concat()
}

/// Stores are shared with the tasks that write.
pub(super) type SharedStore = Arc<dyn Store>;
