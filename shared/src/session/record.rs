//! Sealing: what a session sends leaves as records, encrypted and authenticated. The number of a
//! record is its nonce, so a record sent again is the same bytes, and one that arrives by two paths
//! is known by its number. Unreliable records have a number space of their own.

use bytes::{BufMut, Bytes, BytesMut};
use snow::StatelessTransportState;

use crate::session::{RELIABLE, UNRELIABLE};
use crate::wire::put_varint;

/// Bytes that sealing adds, at the most: kind, number, tag.
pub const SEAL_BYTES: usize = 1 + 10 + TAG_BYTES;

const TAG_BYTES: usize = 16;
/// Nonces of unreliable records have this bit set.
const UNRELIABLE_NONCE: u64 = 1 << 62;
/// Numbers stay below the bit that tells the spaces apart.
const NUMBER_MAX: u64 = UNRELIABLE_NONCE - 1;

/// The keys of one session, for both directions.
pub struct Keys {
    id: SessionId,
    state: Box<StatelessTransportState>,
}

/// What both sides call a session: the beginning of its handshake's hash. It is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId(pub [u8; Self::BYTES]);

impl SessionId {
    /// How long it is.
    pub const BYTES: usize = 16;

    /// The beginning of some bytes, if there are enough.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().copied().map(Self)
    }
}

/// A sealed record: its number, and all its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// In which number space.
    pub reliable: bool,
    /// Its number, which is the nonce.
    pub number: u64,
    /// What travels.
    pub whole: Bytes,
    /// Where the ciphertext begins.
    pub(super) header: usize,
}

/// A record that these keys did not seal, or that was changed on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record that the keys of this session did not seal")]
pub struct NotOurs;

impl Keys {
    pub(super) fn new(id: SessionId, state: StatelessTransportState) -> Self {
        Self {
            id,
            state: Box::new(state),
        }
    }

    /// The session that they are of.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Seals `plain` under `number`, which must not have been used for other bytes.
    pub fn seal(&self, reliable: bool, number: u64, plain: &[u8]) -> Sealed {
        assert!(
            number <= NUMBER_MAX,
            "2^62 records are more than a session ever sends"
        );
        let mut out = BytesMut::with_capacity(SEAL_BYTES + plain.len());
        out.put_u8(if reliable { RELIABLE } else { UNRELIABLE });
        put_varint(&mut out, number);
        let header = out.len();
        out.resize(header + plain.len() + TAG_BYTES, 0);
        // Fails for a message beyond 64 KiB only; what is left is zeros, which nobody can open.
        let sealed = self
            .state
            .write_message(nonce(reliable, number), plain, &mut out[header..]);
        debug_assert!(sealed.is_ok());
        Sealed {
            reliable,
            number,
            whole: out.freeze(),
            header,
        }
    }

    /// Opens a record.
    pub fn open(&self, sealed: &Sealed) -> Result<Bytes, NotOurs> {
        if sealed.number > NUMBER_MAX {
            return Err(NotOurs);
        }
        let body = &sealed.whole[sealed.header..];
        let mut plain = BytesMut::zeroed(body.len());
        let nonce = nonce(sealed.reliable, sealed.number);
        let len = self
            .state
            .read_message(nonce, body, &mut plain)
            .map_err(|_| NotOurs)?;
        plain.truncate(len);
        Ok(plain.freeze())
    }
}

impl core::fmt::Debug for Keys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Keys")
    }
}

fn nonce(reliable: bool, number: u64) -> u64 {
    if reliable {
        number
    } else {
        number | UNRELIABLE_NONCE
    }
}
