//! What comes on a channel, brought into its order.
//!
//! Reliable packets are numbered; each fragment has a number of its own. An unreliable packet names
//! the reliable one that it follows, and its number after that: it waits for that one, and is
//! dropped when something later has been told.

use crate::event::Kind;
use crate::fragments::{Assembly, Misfit};
use crate::limits::PACKET_COST;
use crate::wire::Fragment;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Numbers come in windows, by which senders and receivers tell the future from the past.
const WINDOW: u16 = 0x1000;
const WINDOWS: u16 = 16;
/// How many windows count as future, from the current one.
const FUTURE: u16 = 7;

/// One channel, as far as it receives.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// The last reliable number that was told; the lower half is what is on the wire.
    told: u64,
    /// Reliable packets after that, which cannot be told yet.
    ahead: BTreeMap<u64, Held>,
    /// The last unreliable number that was told, after `told`.
    told_loose: u16,
    /// Unreliable packets that are incomplete or follow a reliable one that is not told.
    loose: BTreeMap<(u64, u16), Held>,
}

#[derive(Debug)]
enum Held {
    Whole(Bytes),
    Parts(Assembly),
}

/// Where a reliable number is, seen from what was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the last told or after it.
    From(u64),
    /// It was told long ago.
    Past,
    /// It cannot be judged yet, and is not acknowledged.
    TooFar,
}

/// Why a command is not taken, so that it is not acknowledged either.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no room now.
    NoRoom,
    /// It contradicts itself or others.
    Misfit,
}

impl From<Misfit> for Refusal {
    fn from(Misfit: Misfit) -> Self {
        Self::Misfit
    }
}

/// What may wait of one peer's packets, and what does.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) waiting: usize,
    pub(crate) max: usize,
    /// What is there beyond it for a packet that is next: what fills the rest waits for it.
    pub(crate) reserve: usize,
    /// Bytes of a packet, at the most.
    pub(crate) packet_max: usize,
    /// What may wait of this peer's for what waits of the others'.
    pub(crate) share: usize,
    /// Whether it was the others that left too little room.
    pub(crate) is_crowded: bool,
}

impl Room {
    fn take(&mut self, cost: usize, is_next: bool) -> Result<(), Refusal> {
        let reserve = if is_next { self.reserve } else { 0 };
        let waiting = self.waiting.saturating_add(cost);
        if waiting > self.max.saturating_add(reserve) {
            return Err(Refusal::NoRoom);
        }
        if waiting > self.share {
            self.is_crowded = true;
            return Err(Refusal::NoRoom);
        }
        self.waiting = waiting;
        Ok(())
    }

    pub(crate) fn give_back(&mut self, cost: usize) {
        self.waiting = self.waiting.saturating_sub(cost);
    }

    /// Takes room for a packet that has nothing to do with any order.
    pub(crate) fn take_packet(&mut self, len: usize) -> Result<(), Refusal> {
        self.take(cost(len), false)
    }
}

/// What a packet counts that waits to be taken.
pub(crate) fn cost(len: usize) -> usize {
    len + PACKET_COST
}

/// Packets that can be told, in order.
pub(crate) type Told<'a> = &'a mut dyn FnMut(Kind, Bytes);

impl Inbox {
    pub(crate) fn place(&self, number: u16) -> Place {
        let told = self.told as u16;
        let current = told / WINDOW;
        let turn = if number < told { WINDOWS } else { 0 };
        let window = number / WINDOW + turn;
        if window < current || window > current + FUTURE + 1 {
            Place::Past
        } else if window >= current + FUTURE {
            Place::TooFar
        } else {
            Place::From(self.told + u64::from(number.wrapping_sub(told)))
        }
    }

    /// Takes a reliable packet.
    pub(crate) fn reliable(
        &mut self,
        number: u16,
        body: &[u8],
        room: &mut Room,
        told: Told<'_>,
    ) -> Result<(), Refusal> {
        let Some(number) = self.is_news(number) else {
            return Ok(());
        };
        let is_next = number == self.told + 1;
        room.take(cost(body.len()), is_next)?;
        let body = Bytes::copy_from_slice(body);
        if is_next && self.ahead.is_empty() && self.loose.is_empty() {
            self.advance(number);
            told(Kind::Reliable, body);
            return Ok(());
        }
        self.ahead.insert(number, Held::Whole(body));
        self.tell(room, told);
        Ok(())
    }

    /// Takes a fragment of a reliable packet.
    pub(crate) fn fragment(
        &mut self,
        fragment: &Fragment,
        body: &[u8],
        room: &mut Room,
        told: Told<'_>,
    ) -> Result<(), Refusal> {
        let Some(number) = self.is_start(fragment.start)? else {
            return Ok(());
        };
        let is_next = number == self.told + 1;
        let held = match self.ahead.entry(number) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Held::begin(fragment, body.len(), room, is_next)?),
        };
        let Held::Parts(assembly) = held else {
            return Err(Refusal::Misfit);
        };
        assembly.add(fragment, body)?;
        if assembly.is_complete() {
            self.tell(room, told);
        }
        Ok(())
    }

    /// Takes an unreliable packet.
    pub(crate) fn unreliable(
        &mut self,
        after: u16,
        number: u16,
        body: &[u8],
        room: &mut Room,
        told: Told<'_>,
    ) -> Result<(), Refusal> {
        let Some(key) = self.is_loose_news(after, number) else {
            return Ok(());
        };
        if self.loose.contains_key(&key) || room.take(cost(body.len()), false).is_err() {
            return Ok(());
        }
        let body = Bytes::copy_from_slice(body);
        if key.0 == self.told {
            self.advance_loose(number, room);
            told(Kind::Unreliable, body);
        } else {
            self.loose.insert(key, Held::Whole(body));
        }
        Ok(())
    }

    /// Takes a fragment of an unreliable packet.
    pub(crate) fn unreliable_fragment(
        &mut self,
        after: u16,
        fragment: &Fragment,
        body: &[u8],
        room: &mut Room,
        told: Told<'_>,
    ) -> Result<(), Refusal> {
        let Some(key) = self.is_loose_news(after, fragment.start) else {
            return Ok(());
        };
        let held = match self.loose.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => match Held::begin(fragment, body.len(), room, false) {
                Ok(held) => entry.insert(held),
                Err(Refusal::NoRoom) => return Ok(()),
                Err(Refusal::Misfit) => return Err(Refusal::Misfit),
            },
        };
        let Held::Parts(assembly) = held else {
            return Err(Refusal::Misfit);
        };
        assembly.add(fragment, body)?;
        if assembly.is_complete() && key.0 == self.told {
            let held = self.loose.remove(&key);
            self.advance_loose(key.1, room);
            if let Some(held) = held {
                tell(held, Kind::UnreliableFragment, room, told);
            }
        }
        Ok(())
    }

    /// Gives back what waits here.
    pub(crate) fn clear(&mut self, room: &mut Room) {
        let held = std::mem::take(&mut self.ahead).into_values();
        for held in held.chain(std::mem::take(&mut self.loose).into_values()) {
            room.give_back(held.cost());
        }
    }

    /// The number of a reliable packet, if it is not here yet.
    fn is_news(&self, number: u16) -> Option<u64> {
        match self.place(number) {
            Place::From(number) if number > self.told => {
                (!self.ahead.contains_key(&number)).then_some(number)
            }
            _ => None,
        }
    }

    /// The number of a fragmented packet, if it is not told yet.
    fn is_start(&self, start: u16) -> Result<Option<u64>, Refusal> {
        match self.place(start) {
            Place::From(number) if number == self.told => Ok(None),
            Place::From(number) => Ok(Some(number)),
            Place::Past => Ok(None),
            Place::TooFar => Err(Refusal::NoRoom),
        }
    }

    fn is_loose_news(&self, after: u16, number: u16) -> Option<(u64, u16)> {
        match self.place(after) {
            Place::From(after) if after > self.told || number > self.told_loose => {
                Some((after, number))
            }
            _ => None,
        }
    }

    /// Tells what has become complete and is next, and what follows it.
    fn tell(&mut self, room: &mut Room, told: Told<'_>) {
        while let Some(entry) = self.ahead.first_entry() {
            let first = *entry.key();
            if first <= self.told {
                // Inside of a packet that was told: no honest sender numbers like that.
                room.give_back(entry.remove().cost());
                continue;
            }
            if first != self.told + 1 || !entry.get().is_complete() {
                break;
            }
            let held = entry.remove();
            self.advance(first + held.numbers() - 1);
            tell(held, Kind::Reliable, room, told);
            self.tell_loose(room, told);
        }
    }

    /// Tells the unreliable packets that waited for the reliable one that was told now.
    fn tell_loose(&mut self, room: &mut Room, told: Told<'_>) {
        let later = self.loose.split_off(&(self.told + 1, 0));
        let mut due = std::mem::replace(&mut self.loose, later);
        let last_whole = due
            .iter()
            .rev()
            .find(|(key, held)| key.0 == self.told && held.is_complete());
        let last_whole = last_whole.map_or(0, |(key, _)| key.1);
        // Incomplete ones may go on, if nothing later has been told.
        let incomplete = due.split_off(&(self.told, last_whole.saturating_add(1)));
        for (key, held) in due {
            if key.0 == self.told && held.is_complete() {
                self.told_loose = key.1;
                let kind = held.loose_kind();
                tell(held, kind, room, told);
            } else {
                room.give_back(held.cost());
            }
        }
        self.loose.extend(incomplete);
    }

    fn advance(&mut self, number: u64) {
        self.told = number;
        self.told_loose = 0;
    }

    /// Something unreliable is told: what was before it and is incomplete never will be.
    fn advance_loose(&mut self, number: u16, room: &mut Room) {
        self.told_loose = number;
        while let Some(entry) = self.loose.first_entry() {
            if *entry.key() > (self.told, number) {
                break;
            }
            room.give_back(entry.remove().cost());
        }
    }
}

impl Held {
    /// Begins a fragmented packet, if there is room for it.
    fn begin(
        fragment: &Fragment,
        len: usize,
        room: &mut Room,
        is_next: bool,
    ) -> Result<Self, Refusal> {
        let assembly = Assembly::begin(fragment, len, room.packet_max)?;
        let held = Self::Parts(assembly);
        room.take(held.cost(), is_next)?;
        Ok(held)
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Parts(assembly) => assembly.is_complete(),
        }
    }

    /// How many numbers of the channel it takes.
    fn numbers(&self) -> u64 {
        match self {
            Self::Whole(_) => 1,
            Self::Parts(assembly) => u64::from(assembly.count()),
        }
    }

    fn cost(&self) -> usize {
        match self {
            Self::Whole(bytes) => cost(bytes.len()),
            Self::Parts(assembly) => cost(assembly.total()) + assembly.overhead(),
        }
    }

    fn loose_kind(&self) -> Kind {
        match self {
            Self::Whole(_) => Kind::Unreliable,
            Self::Parts(_) => Kind::UnreliableFragment,
        }
    }
}

/// Tells a packet, which from now on counts as long as it is not taken.
fn tell(held: Held, kind: Kind, room: &mut Room, told: Told<'_>) {
    match held {
        Held::Whole(bytes) => told(kind, bytes),
        Held::Parts(assembly) => {
            room.give_back(assembly.overhead());
            told(kind, assembly.into_bytes());
        }
    }
}
