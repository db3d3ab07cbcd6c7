//! Hash → entry numbers: open addressing with linear probing, eight bytes a slot, entries elsewhere.
//!
//! The table doubles as flows come: a few flows spread over a table for millions would miss the cache at every look-up. A slot
//! holds the half of the hash that its place follows from, so growing and removing touch no entry.

/// Slots at the beginning.
const SLOTS_MIN: usize = 64;

/// Finds entries by hash; the caller says whether an entry is the right one.
#[derive(Debug)]
pub(super) struct Index {
    /// Upper half of the hash, then the entry's number plus one; 0 is empty.
    slots: Vec<u64>,
    mask: usize,
    len: usize,
}

impl Index {
    /// An empty index.
    pub fn new() -> Self {
        Self {
            slots: vec![0; SLOTS_MIN],
            mask: SLOTS_MIN.saturating_sub(1),
            len: 0,
        }
    }

    /// The entry with this hash that `is_it` recognises.
    #[inline]
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = hash >> 32;
        let mut at = self.home(tag);
        loop {
            let slot = self.at(at);
            if slot == 0 {
                return None;
            }
            if slot >> 32 == tag {
                let number = number_of(slot);
                if is_it(number) {
                    return Some(number);
                }
            }
            at = self.next(at);
        }
    }

    /// The entry that a search for this hash would most likely meet first. Only loads: a batch of such loads overlaps in the
    /// memory system, where searches one after the other would each wait.
    #[inline]
    pub fn likely(&self, hash: u64) -> u32 {
        number_of(self.at(self.home(hash >> 32)))
    }

    /// Adds an entry that is not there yet.
    #[inline]
    pub fn insert(&mut self, hash: u64, number: u32) {
        if self.len.saturating_mul(2) >= self.slots.len() {
            self.grow();
        }
        self.len = self.len.saturating_add(1);
        self.place((hash >> 32) << 32 | u64::from(number.saturating_add(1)));
    }

    /// Removes an entry.
    pub fn remove(&mut self, hash: u64, number: u32) {
        let mut gap = self.home(hash >> 32);
        loop {
            let slot = self.at(gap);
            if slot == 0 {
                return;
            }
            if number_of(slot) == number {
                break;
            }
            gap = self.next(gap);
        }
        self.len = self.len.saturating_sub(1);
        // Close the gap: an entry behind it moves up unless its home lies between the gap and itself.
        let mut at = self.next(gap);
        loop {
            let slot = self.at(at);
            if slot == 0 {
                break;
            }
            let past_home = at.wrapping_sub(self.home(slot >> 32)) & self.mask;
            let past_gap = at.wrapping_sub(gap) & self.mask;
            if past_home >= past_gap {
                self.put(gap, slot);
                gap = at;
            }
            at = self.next(at);
        }
        self.put(gap, 0);
    }

    /// Twice the slots. The load stays at most a half, so a search always meets an empty slot.
    #[cold]
    fn grow(&mut self) {
        let slots = self.slots.len().saturating_mul(2);
        let old = std::mem::replace(&mut self.slots, vec![0; slots]);
        self.mask = slots.saturating_sub(1);
        for slot in old.into_iter().filter(|slot| *slot != 0) {
            self.place(slot);
        }
    }

    #[inline]
    fn place(&mut self, slot: u64) {
        let mut at = self.home(slot >> 32);
        while self.at(at) != 0 {
            at = self.next(at);
        }
        self.put(at, slot);
    }

    #[inline]
    fn home(&self, tag: u64) -> usize {
        tag as usize & self.mask
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        at.wrapping_add(1) & self.mask
    }

    #[inline]
    fn at(&self, at: usize) -> u64 {
        // `at` is always masked.
        self.slots.get(at).copied().unwrap_or(0)
    }

    #[inline]
    fn put(&mut self, at: usize, slot: u64) {
        if let Some(place) = self.slots.get_mut(at) {
            *place = slot;
        }
    }
}

#[inline]
const fn number_of(slot: u64) -> u32 {
    (slot as u32).saturating_sub(1)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a set from the standard library, with few distinct hashes so that runs get long, while the table grows.
        #[test]
        fn it_agrees_with_a_map(steps in proptest::collection::vec((0u32..200, prop::bool::weighted(0.7)), 0..600)) {
            let hash_of = |number: u32| u64::from(number % 61) << 32 | u64::from(number % 5);
            let mut index = Index::new();
            let mut map = HashSet::new();
            for (number, insert) in steps {
                if insert {
                    if map.insert(number) {
                        index.insert(hash_of(number), number);
                    }
                } else if map.remove(&number) {
                    index.remove(hash_of(number), number);
                }
                for number in 0..200 {
                    let found = index.find(hash_of(number), |candidate| candidate == number);
                    prop_assert_eq!(found.is_some(), map.contains(&number));
                }
            }
        }
    }
}
