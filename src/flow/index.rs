//! Hash → entry numbers: open addressing with linear probing, eight bytes a slot, entries elsewhere.

/// Finds entries by hash; the caller says whether an entry is the right one.
#[derive(Debug)]
pub(super) struct Index {
    /// Upper half of the hash, then the entry's number plus one; 0 is empty.
    slots: Vec<u64>,
    mask: usize,
}

impl Index {
    /// Room for `capacity` entries at a load of at most a half.
    pub fn with_capacity(capacity: usize) -> Self {
        let slots = capacity.saturating_mul(2).next_power_of_two().max(2);
        // Zeroed by the allocator: pages that are never touched cost nothing.
        Self {
            slots: vec![0; slots],
            mask: slots.saturating_sub(1),
        }
    }

    /// The entry with this hash that `is_it` recognises.
    #[inline]
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = hash >> 32;
        let mut at = self.home(hash);
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

    /// Adds an entry that is not there yet.
    #[inline]
    pub fn insert(&mut self, hash: u64, number: u32) {
        let mut at = self.home(hash);
        while self.at(at) != 0 {
            at = self.next(at);
        }
        self.put(at, (hash >> 32) << 32 | u64::from(number.saturating_add(1)));
    }

    /// Removes an entry; `hash_of` gives the hash of any other entry that has to move up.
    pub fn remove(&mut self, hash: u64, number: u32, mut hash_of: impl FnMut(u32) -> u64) {
        let mut gap = self.home(hash);
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
        // Close the gap: an entry behind it moves up unless its home lies between the gap and itself.
        let mut at = self.next(gap);
        loop {
            let slot = self.at(at);
            if slot == 0 {
                break;
            }
            let its_home = self.home(hash_of(number_of(slot)));
            let past_home = at.wrapping_sub(its_home) & self.mask;
            let past_gap = at.wrapping_sub(gap) & self.mask;
            if past_home >= past_gap {
                self.put(gap, slot);
                gap = at;
            }
            at = self.next(at);
        }
        self.put(gap, 0);
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        hash as usize & self.mask
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        at.wrapping_add(1) & self.mask
    }

    #[inline]
    fn at(&self, at: usize) -> u64 {
        // `at` is always masked; the load is at most a half, so a search meets an empty slot.
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
        /// Against a map from the standard library, with few distinct hashes so that runs get long.
        #[test]
        fn it_agrees_with_a_map(steps in proptest::collection::vec((0u32..40, any::<bool>()), 0..400)) {
            let hash_of = |number: u32| u64::from(number % 7) << 32 | u64::from(number % 5 + 60);
            let mut index = Index::with_capacity(40);
            let mut map = HashSet::new();
            for (number, insert) in steps {
                if insert {
                    if map.insert(number) {
                        index.insert(hash_of(number), number);
                    }
                } else if map.remove(&number) {
                    index.remove(hash_of(number), number, hash_of);
                }
                for number in 0..40 {
                    let found = index.find(hash_of(number), |candidate| candidate == number);
                    prop_assert_eq!(found.is_some(), map.contains(&number));
                }
            }
        }
    }
}
