//! A packet whose fragments are arriving.

use crate::limits::{FRAGMENTS_MAX, MTU_MAX};
use crate::wire::Fragment;
use bytes::Bytes;

/// What is there of a packet. Fragments have to be where stock senders put them: all as long as the
/// first, the last perhaps shorter. So none overlaps another, and when all are there the packet is.
#[derive(Debug)]
pub(crate) struct Assembly {
    size: u32,
    count: u32,
    missing: u32,
    seen: Vec<u64>,
    bytes: Vec<u8>,
    total: usize,
}

/// A fragment that cannot be one of its packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit;

impl Assembly {
    /// Begins a packet with the fragment that came first, whichever it is.
    pub(crate) fn begin(
        fragment: &Fragment,
        len: usize,
        packet_max: usize,
    ) -> Result<Self, Misfit> {
        let total = fragment.total as usize;
        let fits = fragment.count <= FRAGMENTS_MAX
            && fragment.number < fragment.count
            && fragment.count <= fragment.total
            && total <= packet_max;
        if !fits {
            return Err(Misfit);
        }
        let size = size(fragment, len).filter(|size| *size <= u32::from(MTU_MAX));
        let size = size.ok_or(Misfit)?;
        Ok(Self {
            size,
            count: fragment.count,
            missing: fragment.count,
            seen: vec![0; fragment.count.div_ceil(64) as usize],
            // Zeros of the system, which take memory where something is written.
            bytes: vec![0; total],
            total,
        })
    }

    /// Adds a fragment; one that is there already changes nothing.
    pub(crate) fn add(&mut self, fragment: &Fragment, body: &[u8]) -> Result<(), Misfit> {
        let fits = fragment.count == self.count
            && fragment.total as usize == self.total
            && fragment.number < self.count
            && size(fragment, body.len()) == Some(self.size);
        if !fits {
            return Err(Misfit);
        }
        let mark = 1 << (fragment.number % 64);
        let seen = self.seen.get_mut(fragment.number as usize / 64);
        let seen = seen.ok_or(Misfit)?;
        if *seen & mark != 0 {
            return Ok(());
        }
        *seen |= mark;
        self.missing -= 1;
        self.put(fragment.offset as usize, body);
        Ok(())
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.missing == 0
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// What it takes of memory beside the packet.
    pub(crate) fn overhead(&self) -> usize {
        self.seen.len() * 8
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes.into()
    }

    fn put(&mut self, offset: usize, body: &[u8]) {
        self.bytes[offset..offset + body.len()].copy_from_slice(body);
    }
}

/// How long the fragments of this one's packet are, all but the last, if it is where it has to be.
fn size(fragment: &Fragment, len: usize) -> Option<u32> {
    let len = u32::try_from(len).ok().filter(|len| *len > 0)?;
    let before_last = fragment.count.checked_sub(1)?;
    let is_last = fragment.number == before_last;
    let size = if !is_last || before_last == 0 {
        len
    } else {
        fragment.offset / before_last
    };
    let begins = u64::from(fragment.number) * u64::from(size) == u64::from(fragment.offset);
    let last_begins = u64::from(before_last) * u64::from(size);
    let last = u64::from(fragment.total).checked_sub(last_begins)?;
    let ends = last > 0 && last <= u64::from(size);
    let fits = !is_last || u64::from(len) == last;
    (begins && ends && fits).then_some(size)
}
