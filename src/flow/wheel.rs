//! Deadlines → entries that are due, in order of time: a timing wheel over links inside the entries.
//!
//! An entry is filed at or before its deadline. When its slot comes up and the deadline has moved on, it is filed anew; so a
//! packet costs one store, and an entry never expires late.

use super::FlowEntry;
use crate::model::Tick;

/// Marks the end of a list.
pub(super) const NONE: u32 = u32::MAX;
/// Ticks ahead that have a slot of their own (73 minutes); entries due later are filed in the last one.
const SLOTS: usize = 4096;
const LAST_SLOT_AHEAD: u32 = SLOTS as u32 - 1;
const WORDS: usize = SLOTS / 64;

/// Lists of entries by the tick they are filed under.
#[derive(Debug)]
pub(super) struct Wheel {
    heads: Vec<u32>,
    /// One bit a slot: which have entries.
    occupied: [u64; WORDS],
    now: Tick,
}

impl Wheel {
    /// An empty wheel.
    pub fn new() -> Self {
        Self {
            heads: vec![NONE; SLOTS],
            occupied: [0; WORDS],
            now: Tick::default(),
        }
    }

    /// The tick that everything due was taken up to.
    #[inline]
    pub fn now(&self) -> Tick {
        self.now
    }

    /// Begins at `tick` instead of 1970, while the wheel is empty.
    pub fn start_at(&mut self, tick: Tick) {
        self.now = self.now.max(tick);
    }

    /// Files entry `number`, which is in no list, under `due`.
    #[inline]
    pub fn file(&mut self, entries: &mut [FlowEntry], number: u32, due: Tick) {
        let tick = due.max(self.now.next()).min(self.now.plus(LAST_SLOT_AHEAD));
        let slot = slot_of(tick);
        let head = self.heads.get(slot).copied().unwrap_or(NONE);
        if let Some(entry) = entries.get_mut(number as usize) {
            entry.wheel_tick = tick;
            entry.wheel_previous = NONE;
            entry.wheel_next = head;
        }
        if let Some(next) = entries.get_mut(head as usize) {
            next.wheel_previous = number;
        }
        self.set_head(slot, number);
    }

    /// Takes entry `number` out of its list.
    pub fn unfile(&mut self, entries: &mut [FlowEntry], number: u32) {
        let Some(entry) = entries.get(number as usize) else {
            return;
        };
        let (previous, next, slot) = (
            entry.wheel_previous,
            entry.wheel_next,
            slot_of(entry.wheel_tick),
        );
        if let Some(entry) = entries.get_mut(next as usize) {
            entry.wheel_previous = previous;
        }
        match entries.get_mut(previous as usize) {
            Some(entry) => entry.wheel_next = next,
            None => self.set_head(slot, next),
        }
    }

    /// Moves to the next tick at or before `to` that has entries and gives the first of them; they are in no list then and
    /// linked by `wheel_next`. `None` once nothing is left up to `to`.
    #[inline]
    pub fn take_due(&mut self, to: Tick) -> Option<u32> {
        if self.now >= to {
            return None;
        }
        match self.next_occupied() {
            Some(tick) if tick <= to => {
                self.now = tick;
                let slot = slot_of(tick);
                let head = self.heads.get(slot).copied().unwrap_or(NONE);
                self.set_head(slot, NONE);
                Some(head)
            }
            _ => {
                self.now = to;
                None
            }
        }
    }

    /// The entry that is filed first in the nearest occupied slot.
    pub fn nearest(&self) -> Option<u32> {
        let slot = slot_of(self.next_occupied()?);
        self.heads.get(slot).copied().filter(|&head| head != NONE)
    }

    /// The nearest tick after now whose slot has entries. All entries lie less than one turn ahead.
    pub fn next_occupied(&self) -> Option<Tick> {
        let first = slot_of(self.now.next());
        let (first_word, bit) = (first / 64, first % 64);
        for step in 0..=WORDS {
            let word_number = first_word.wrapping_add(step) % WORDS;
            let mut word = self.occupied.get(word_number).copied().unwrap_or(0);
            if step == 0 {
                word &= u64::MAX << bit;
            } else if step == WORDS {
                word &= !(u64::MAX << bit);
            }
            if word != 0 {
                let slot = word_number
                    .wrapping_mul(64)
                    .wrapping_add(word.trailing_zeros() as usize);
                let ahead = slot.wrapping_sub(first) % SLOTS;
                return Some(self.now.next().plus(ahead as u32));
            }
        }
        None
    }

    #[inline]
    fn set_head(&mut self, slot: usize, head: u32) {
        if let Some(place) = self.heads.get_mut(slot) {
            *place = head;
        }
        if let Some(word) = self.occupied.get_mut(slot / 64) {
            let bit = 1u64 << (slot % 64);
            if head == NONE {
                *word &= !bit;
            } else {
                *word |= bit;
            }
        }
    }
}

#[inline]
const fn slot_of(tick: Tick) -> usize {
    tick.number() as usize % SLOTS
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
mod tests {
    use bytemuck::Zeroable;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a plain list of deadlines: everything due comes out, at its own tick, nothing else does.
        #[test]
        fn it_agrees_with_a_list(
            steps in proptest::collection::vec((0usize..24, 1u32..10_000, 0u32..9_000, any::<bool>()), 1..120)
        ) {
            let mut entries = vec![FlowEntry::zeroed(); 24];
            let mut wheel = Wheel::new();
            wheel.start_at(Tick::default().plus(1000));
            let mut due: Vec<Option<Tick>> = vec![None; 24];
            for (number, ahead, forward, unfile) in steps {
                if due[number].is_some() && unfile {
                    wheel.unfile(&mut entries, number as u32);
                    due[number] = None;
                } else if due[number].is_none() {
                    let deadline = wheel.now().plus(ahead);
                    entries[number].deadline = deadline;
                    wheel.file(&mut entries, number as u32, deadline);
                    due[number] = Some(deadline);
                }
                let to = wheel.now().plus(forward);
                while let Some(mut at) = wheel.take_due(to) {
                    while at != NONE {
                        let next = entries[at as usize].wheel_next;
                        let deadline = due[at as usize].expect("only filed entries come out");
                        if deadline <= wheel.now() {
                            prop_assert_eq!(deadline, wheel.now());
                            due[at as usize] = None;
                        } else {
                            wheel.file(&mut entries, at, deadline);
                        }
                        at = next;
                    }
                }
                prop_assert_eq!(wheel.now(), to);
                prop_assert!(due.iter().flatten().all(|&deadline| deadline > to));
            }
        }
    }
}
