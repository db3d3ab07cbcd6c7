//! Fragments of IP datagrams → datagrams, put together (RFC 791 §3.2, RFC 8200 §4.5).
//!
//! **Invariants**: holds at most what [`FragmentLimits`] say; which datagram gives way depends on the order of fragments and on packet
//! time alone; nothing is allocated once buffers have grown to what the traffic needs.
//!
//! Where fragments of IPv4 overlap, the bytes that came first count, unless they are those of another first fragment: it begins
//! another datagram, and the one that waits comes to nothing. A datagram of IPv6 with fragments that overlap is dropped
//! (RFC 5722), unless one only repeats another (RFC 8200 §4.5).

mod account;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use crate::decode::{Fragment, IpVersion};
use crate::model::Timestamp;

pub use account::{DatagramCounters, DatagramOutcome, LostFragments};
use slot::{Key, Print, Slot, has_copy, hash};

/// What a datagram can have: the length field of IPv4 has 16 bits, and the payload length of IPv6.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// A buffer has room for two usual frames at least, so that it does not grow with each.
const BUFFER_BYTES_MIN: usize = 4096;
/// Positions of frames that are remembered for one datagram; more only where fragments are in fragments.
const SEQS_MAX: usize = 1024;
/// Datagrams remembered after they were put together: a mirror port may repeat their last fragments.
const RECENT: usize = 64;
/// Fragments of each that there is room for from the start: the longest datagram in usual frames has 45.
const PRINTS_MIN: usize = 48;
const NONE: u32 = u32::MAX;

/// Bounds of what waits for its rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentLimits {
    /// Datagrams put together at a time.
    pub datagrams_max: usize,
    /// Bytes of buffers for them.
    pub bytes_max: usize,
    /// Fragments of one datagram.
    pub pieces_max: usize,
    /// For how long the rest is waited for, from the first fragment that came.
    pub timeout: Duration,
}

impl Default for FragmentLimits {
    fn default() -> Self {
        Self {
            // Fragments follow each other within milliseconds; the rest is for losses and attacks.
            datagrams_max: 4096,
            // All of them with 16 kB each.
            bytes_max: 64 << 20,
            // The longest datagram in pieces of 576 bytes, as the least that every host takes.
            pieces_max: 128,
            // RFC 8200 §4.5.
            timeout: Duration::from_secs(60),
        }
    }
}

/// A datagram put together. Give it back with [`Fragments::recycle`].
#[derive(Debug)]
pub struct Datagram {
    /// Its first fragment, by offset.
    pub first: Fragment,
    /// Its payload.
    pub bytes: Vec<u8>,
    /// Bytes of all its fragments at the IP layer.
    pub ip_bytes: u32,
    /// Positions of the frames that its fragments came in.
    pub seqs: Vec<u64>,
}

/// What a fragment came to.
#[derive(Debug)]
pub enum Added {
    /// It waits for others, or came to nothing, which was told.
    Taken,
    /// It is a second copy of one that came a moment ago, and counts nowhere but among the copies.
    Copy,
    /// The last one missing.
    Completes(Datagram),
}

/// A datagram that was put together a moment ago.
#[derive(Debug)]
struct Recent {
    key: Key,
    prints: Vec<Print>,
}

/// Datagrams that are being put together.
#[derive(Debug)]
pub struct Fragments {
    limits: FragmentLimits,
    slots: Vec<Slot>,
    free: Vec<u32>,
    index: HashMap<Key, u32>,
    oldest: u32,
    newest: u32,
    /// Buffers that wait for a datagram.
    buffers: Vec<Vec<u8>>,
    seq_buffers: Vec<Vec<u64>>,
    /// Capacity of all buffers, used and waiting.
    held: usize,
    recent: Vec<Recent>,
    recent_next: usize,
    /// Whether copies are looked for.
    finds_copies: bool,
    /// What they came to.
    pub counters: DatagramCounters,
}

impl Fragments {
    /// Nothing yet; memory comes with the fragments. Without `finds_copies` every fragment counts as one of its own.
    pub fn new(limits: FragmentLimits, finds_copies: bool) -> Self {
        Self {
            limits,
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            oldest: NONE,
            newest: NONE,
            buffers: Vec::new(),
            seq_buffers: Vec::new(),
            held: 0,
            recent: Vec::new(),
            recent_next: 0,
            finds_copies,
            counters: DatagramCounters::default(),
        }
    }

    /// Takes a fragment with its captured payload, which came at stream time `now` in the frames `seqs`. `lost` hears of all
    /// fragments that come to nothing.
    ///
    /// A fragment that repeats one of its datagram, in place, length and bytes, a moment after it, is a copy: a mirror port gives every
    /// packet twice, and no host sends the same identification again so soon.
    pub fn add(
        &mut self,
        fragment: &Fragment,
        payload: &[u8],
        (scope, now, seqs): (u16, Timestamp, &[u64]),
        lost: &mut impl FnMut(&LostFragments),
    ) -> Added {
        self.expire(now, lost);
        let bytes = u64::from(fragment.ip.bytes);
        self.counters.bytes = self.counters.bytes.saturating_add(bytes);
        let start = fragment.offset as usize;
        let end = start.saturating_add(fragment.payload_wire_len as usize);
        let uneven = fragment.more && !fragment.payload_wire_len.is_multiple_of(8);
        if end > DATAGRAM_BYTES_MAX || uneven || start == end {
            bump(&mut self.counters.refused_fragments);
            self.lose(&single(fragment), lost);
            return Added::Taken;
        }
        let key = Key::of(fragment, scope);
        let mut found = self.index.get(&key).copied();
        let print = Print {
            hash: hash(fragment, payload),
            at: now,
        };
        // Of a datagram that was put together a moment ago: another may have its identification already.
        let of_recent = self
            .recent
            .iter()
            .any(|other| other.key == key && has_copy(&other.prints, print.hash, now));
        let waiting = found.and_then(|at| self.slots.get_mut(at as usize));
        let of_waiting = waiting
            .as_ref()
            .is_some_and(|slot| has_copy(&slot.prints, print.hash, now));
        let is_copy = self.finds_copies && (of_recent || of_waiting);
        let is_another =
            !is_copy && waiting.is_some_and(|slot| slot.begins_otherwise(fragment, payload));
        if let Some(at) = found.filter(|_| is_another) {
            self.end(at, DatagramOutcome::Replaced, lost);
            found = None;
        }
        if let Some(slot) = found.and_then(|at| self.slots.get_mut(at as usize)) {
            if !is_copy {
                slot.remember(print, self.limits.pieces_max);
            }
            // Whoever asks for the packets of a flow gets the copies as well.
            if of_waiting || !is_copy {
                let room = SEQS_MAX.saturating_sub(slot.seqs.len());
                slot.seqs.extend(seqs.iter().take(room));
            }
            if slot.dropped && !is_copy {
                bump(&mut self.counters.late_fragments);
                self.lose(&single(fragment), lost);
                return Added::Taken;
            }
        }
        if is_copy {
            let counters = &mut self.counters;
            bump(&mut counters.copies);
            counters.copied_bytes = counters.copied_bytes.saturating_add(bytes);
            return Added::Copy;
        }
        let at = match found {
            Some(at) => at,
            None if of_recent => {
                bump(&mut self.counters.late_fragments);
                self.lose(&single(fragment), lost);
                return Added::Taken;
            }
            None => {
                let at = self.begin(key, now, lost);
                if let Some(slot) = self.slots.get_mut(at as usize) {
                    slot.remember(print, self.limits.pieces_max);
                    slot.seqs.extend(seqs.iter().take(SEQS_MAX));
                }
                at
            }
        };
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.ip_bytes = slot.ip_bytes.saturating_add(bytes);
            slot.packets = slot.packets.saturating_add(1);
        }
        if let Err(outcome) = self.place(at, fragment, start..end, payload, lost) {
            self.drop_datagram(at, outcome, lost);
            return Added::Taken;
        }
        match self.completed(at) {
            Some(datagram) => Added::Completes(datagram),
            None => Added::Taken,
        }
    }

    /// Gives the memory of a datagram back.
    pub fn recycle(&mut self, datagram: Datagram) {
        let (mut bytes, mut seqs) = (datagram.bytes, datagram.seqs);
        bytes.clear();
        seqs.clear();
        self.buffers.push(bytes);
        self.seq_buffers.push(seqs);
    }

    /// The input has ended: what waits comes to nothing.
    pub fn finish(&mut self, lost: &mut impl FnMut(&LostFragments)) {
        while self.oldest != NONE {
            self.end(self.oldest, DatagramOutcome::Unfinished, lost);
        }
    }

    fn expire(&mut self, now: Timestamp, lost: &mut impl FnMut(&LostFragments)) {
        while let Some(slot) = self.slots.get(self.oldest as usize) {
            if slot.begun.after(self.limits.timeout) > now {
                break;
            }
            self.end(self.oldest, DatagramOutcome::TimedOut, lost);
        }
    }

    /// A place for a new datagram; the oldest gives way where there is none.
    fn begin(&mut self, key: Key, now: Timestamp, lost: &mut impl FnMut(&LostFragments)) -> u32 {
        bump(&mut self.counters.begun);
        if self.free.is_empty() && self.slots.len() >= self.limits.datagrams_max.max(1) {
            self.end(self.oldest, DatagramOutcome::NoRoom, lost);
        }
        let at = self.free.pop().unwrap_or(self.slots.len() as u32);
        let (bytes, seqs) = (
            self.buffers.pop().unwrap_or_default(),
            self.seq_buffers.pop().unwrap_or_default(),
        );
        if at as usize == self.slots.len() {
            self.slots.push(Slot {
                key,
                begun: now,
                first: None,
                len: None,
                pieces: Vec::new(),
                bytes: Vec::new(),
                seqs: Vec::new(),
                ip_bytes: 0,
                packets: 0,
                prints: Vec::new(),
                dropped: false,
                older: NONE,
                newer: NONE,
            });
        }
        let older = self.newest;
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.pieces.clear();
            slot.prints.clear();
            slot.prints.reserve(PRINTS_MIN);
            *slot = Slot {
                key,
                begun: now,
                first: None,
                len: None,
                pieces: std::mem::take(&mut slot.pieces),
                bytes,
                seqs,
                ip_bytes: 0,
                packets: 0,
                prints: std::mem::take(&mut slot.prints),
                dropped: false,
                older,
                newer: NONE,
            };
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
        self.index.insert(key, at);
        at
    }

    /// Puts the payload where nothing is yet.
    fn place(
        &mut self,
        at: u32,
        fragment: &Fragment,
        span: std::ops::Range<usize>,
        payload: &[u8],
        lost: &mut impl FnMut(&LostFragments),
    ) -> Result<(), DatagramOutcome> {
        let six = fragment.ip.version == IpVersion::V6;
        let slot = self
            .slots
            .get_mut(at as usize)
            .ok_or(DatagramOutcome::NoRoom)?;
        let reach = slot.pieces.last().map_or(0, |(_, end)| *end);
        // Two ends of one datagram, or bytes behind its end: what came first holds.
        let contradicts = match (slot.len, fragment.more) {
            (Some(len), true) => span.end > len,
            (Some(len), false) => span.end != len,
            (None, false) => reach > span.end,
            (None, true) => false,
        };
        let overlaps = slot
            .pieces
            .iter()
            .any(|(from, to)| *from < span.end && span.start < *to);
        if contradicts || overlaps {
            bump(&mut self.counters.overlaps);
            // Only the captured bytes of a fragment are a piece.
            let captured = span.start..span.start.saturating_add(payload.len());
            let repeats = slot.pieces.contains(&(captured.start, captured.end))
                && slot.bytes.get(captured) == Some(payload);
            if six && (contradicts || !repeats) {
                return Err(DatagramOutcome::Overlapping);
            }
            if contradicts {
                return Ok(());
            }
        }
        if !fragment.more {
            slot.len = Some(span.end);
        }
        if span.start == 0 && slot.first.is_none() {
            slot.first = Some(*fragment);
        }
        if slot.pieces.len() >= self.limits.pieces_max {
            return Err(DatagramOutcome::TooManyPieces);
        }
        self.grow(at, span.end, lost)?;
        let slot = self
            .slots
            .get_mut(at as usize)
            .ok_or(DatagramOutcome::NoRoom)?;
        slot.fill(span.start, payload);
        if slot.pieces.len() > self.limits.pieces_max {
            return Err(DatagramOutcome::TooManyPieces);
        }
        Ok(())
    }

    /// Room for so many bytes in a datagram's buffer: older datagrams give way.
    fn grow(
        &mut self,
        at: u32,
        len: usize,
        lost: &mut impl FnMut(&LostFragments),
    ) -> Result<(), DatagramOutcome> {
        let capacity = |slots: &[Slot]| {
            slots
                .get(at as usize)
                .map_or(0, |slot| slot.bytes.capacity())
        };
        let before = capacity(&self.slots);
        if before < len {
            let wanted = len.next_power_of_two().max(BUFFER_BYTES_MIN);
            let more = wanted.saturating_sub(before);
            while self.held.saturating_add(more) > self.limits.bytes_max {
                if let Some(buffer) = self.buffers.pop() {
                    self.held = self.held.saturating_sub(buffer.capacity());
                    continue;
                }
                let oldest = match self.slots.get(self.oldest as usize) {
                    Some(slot) if self.oldest == at => slot.newer,
                    Some(_) => self.oldest,
                    None => NONE,
                };
                if oldest == NONE {
                    return Err(DatagramOutcome::NoRoom);
                }
                self.end(oldest, DatagramOutcome::NoRoom, lost);
            }
            if let Some(slot) = self.slots.get_mut(at as usize) {
                let missing = wanted.saturating_sub(slot.bytes.len());
                slot.bytes.reserve_exact(missing);
            }
            let grown = capacity(&self.slots).saturating_sub(before);
            self.held = self.held.saturating_add(grown);
        }
        if let Some(slot) = self.slots.get_mut(at as usize)
            && slot.bytes.len() < len
        {
            slot.bytes.resize(len, 0);
        }
        Ok(())
    }

    /// The datagram, if nothing of it is missing.
    fn completed(&mut self, at: u32) -> Option<Datagram> {
        let slot = self.slots.get_mut(at as usize)?;
        let there: usize = slot
            .pieces
            .iter()
            .map(|(from, to)| to.saturating_sub(*from))
            .sum();
        let (first, len) = (slot.first?, slot.len?);
        if there != len {
            return None;
        }
        let mut bytes = std::mem::take(&mut slot.bytes);
        bytes.truncate(len);
        let datagram = Datagram {
            first,
            bytes,
            ip_bytes: u32::try_from(slot.ip_bytes).unwrap_or(u32::MAX),
            seqs: std::mem::take(&mut slot.seqs),
        };
        let counters = &mut self.counters;
        counters.completed_bytes = counters.completed_bytes.saturating_add(slot.ip_bytes);
        // The copies of its last fragments are still to come. The memory of one forgotten goes to whoever has the slot next.
        let key = slot.key;
        if self.recent.len() < RECENT {
            let prints = std::mem::take(&mut slot.prints);
            self.recent.push(Recent { key, prints });
        } else if let Some(place) = self.recent.get_mut(self.recent_next) {
            place.key = key;
            std::mem::swap(&mut place.prints, &mut slot.prints);
        }
        self.recent_next = self.recent_next.wrapping_add(1) % RECENT;
        self.count(DatagramOutcome::Completed);
        self.release(at);
        Some(datagram)
    }

    /// Comes to nothing, but stays known, so that what still comes of it does not begin another.
    fn drop_datagram(
        &mut self,
        at: u32,
        outcome: DatagramOutcome,
        lost: &mut impl FnMut(&LostFragments),
    ) {
        let Some(slot) = self.slots.get_mut(at as usize) else {
            return;
        };
        slot.dropped = true;
        let of = slot.take_lost();
        let mut bytes = std::mem::take(&mut slot.bytes);
        bytes.clear();
        self.buffers.push(bytes);
        self.lose(&of, lost);
        self.count(outcome);
    }

    /// Comes to nothing and is forgotten.
    fn end(&mut self, at: u32, outcome: DatagramOutcome, lost: &mut impl FnMut(&LostFragments)) {
        let Some(slot) = self.slots.get_mut(at as usize) else {
            return;
        };
        if !slot.dropped {
            let of = slot.take_lost();
            self.lose(&of, lost);
            self.count(outcome);
        }
        self.release(at);
    }

    /// Takes a slot out of the order and gives its memory back.
    fn release(&mut self, at: u32) {
        let Some(slot) = self.slots.get_mut(at as usize) else {
            return;
        };
        let (key, older, newer) = (slot.key, slot.older, slot.newer);
        let (mut bytes, mut seqs) = (
            std::mem::take(&mut slot.bytes),
            std::mem::take(&mut slot.seqs),
        );
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        self.index.remove(&key);
        self.free.push(at);
        // Buffers of completed datagrams are away and come back later.
        if bytes.capacity() > 0 {
            bytes.clear();
            self.buffers.push(bytes);
        }
        if seqs.capacity() > 0 {
            seqs.clear();
            self.seq_buffers.push(seqs);
        }
    }

    fn lose(&mut self, of: &LostFragments, lost: &mut impl FnMut(&LostFragments)) {
        self.counters.lost_bytes = self.counters.lost_bytes.saturating_add(of.bytes);
        lost(of);
    }

    fn count(&mut self, outcome: DatagramOutcome) {
        if let Some(count) = self.counters.ended.get_mut(outcome.index()) {
            bump(count);
        }
    }
}

fn single(fragment: &Fragment) -> LostFragments {
    LostFragments {
        source: fragment.ip.source,
        destination: fragment.ip.destination,
        bytes: u64::from(fragment.ip.bytes),
        packets: 1,
    }
}

fn bump(count: &mut u64) {
    *count = count.saturating_add(1);
}
