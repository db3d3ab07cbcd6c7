//! Names → numbers: each distinct name once, with what later stages make of it, while a flow refers to it.

use std::collections::{HashMap, VecDeque};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Slab;

/// Number of a name in its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameId(u32);

/// What kind of text it is: one and the same text may mean different things as a host and as a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextKind {
    /// The name of a host.
    #[default]
    Host,
    /// The User-Agent of an HTTP request.
    UserAgent,
    /// The target of an HTTP request.
    Uri,
}

/// Distinct names of one shard, at most so many. Names that no flow refers to stay known until room is needed; then they go
/// in the order in which they fell idle, those that were in use since once later (second chance).
#[derive(Debug)]
pub struct NamePool<V> {
    by_hash: HashMap<u64, u32, std::hash::BuildHasherDefault<AlreadyHashed>>,
    slots: Slab<Slot<V>>,
    capacity: usize,
    seed: u64,
    /// Names that fell idle, oldest first; each is in here once at most.
    idle: VecDeque<u32>,
}

#[derive(Debug, Default)]
struct Slot<V> {
    name: Vec<u8>,
    kind: TextKind,
    hash: u64,
    references: u32,
    /// It has a place in the queue of idle names.
    queued: bool,
    /// It was referred to since it got that place.
    used: bool,
    value: V,
}

impl<V: Default + Copy> NamePool<V> {
    /// A pool for at most `capacity` names.
    pub fn new(capacity: usize, seed: u64) -> Self {
        Self {
            by_hash: HashMap::default(),
            slots: Slab::default(),
            capacity,
            seed,
            idle: VecDeque::new(),
        }
    }

    /// The number of `name`, which from now on is referred to once more. `judge` is asked for its value when the name is new.
    /// `None` when the pool is full of names that flows refer to.
    pub fn refer(
        &mut self,
        kind: TextKind,
        name: &[u8],
        judge: impl FnOnce(&[u8]) -> V,
    ) -> Option<NameId> {
        let hash = xxh3_64_with_seed(name, self.seed.wrapping_add(kind as u64));
        if let Some(&number) = self.by_hash.get(&hash) {
            let slot = self.slots.get_mut(number)?;
            if slot.name == name && slot.kind == kind {
                slot.references = slot.references.saturating_add(1);
                slot.used = true;
                return Some(NameId(number));
            }
            // Two names with one 64-bit hash: the later one is not kept.
            return None;
        }
        if self.by_hash.len() >= self.capacity && !self.forget_idle() {
            return None;
        }
        let number = self.slots.take();
        let slot = self.slots.get_mut(number)?;
        slot.name.clear();
        slot.name.extend_from_slice(name);
        slot.kind = kind;
        slot.hash = hash;
        slot.references = 1;
        slot.queued = false;
        slot.used = false;
        slot.value = judge(name);
        self.by_hash.insert(hash, number);
        Some(NameId(number))
    }

    /// A flow no longer refers to the name. It stays known until room is needed.
    pub fn release(&mut self, id: NameId) {
        let Some(slot) = self.slots.get_mut(id.0) else {
            return;
        };
        slot.references = slot.references.saturating_sub(1);
        if slot.references == 0 && !slot.queued {
            slot.queued = true;
            slot.used = false;
            self.idle.push_back(id.0);
        }
    }

    /// The bytes of the name.
    pub fn name(&self, id: NameId) -> &[u8] {
        self.slots.get(id.0).map_or(&[], |slot| &slot.name)
    }

    /// What was made of the name.
    pub fn value(&self, id: NameId) -> V {
        self.slots
            .get(id.0)
            .map_or_else(V::default, |slot| slot.value)
    }

    fn forget_idle(&mut self) -> bool {
        // Every name gets one second chance at most, so the queue is walked twice at most.
        for _ in 0..self.idle.len().saturating_mul(2) {
            let Some(number) = self.idle.pop_front() else {
                break;
            };
            let Some(slot) = self.slots.get_mut(number) else {
                continue;
            };
            if slot.references > 0 {
                slot.queued = false;
            } else if slot.used {
                slot.used = false;
                self.idle.push_back(number);
            } else {
                slot.queued = false;
                self.by_hash.remove(&slot.hash);
                self.slots.give_back(number);
                return true;
            }
        }
        false
    }
}

/// The keys are keyed hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct AlreadyHashed(u64);

impl std::hash::Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_judged_once_while_it_is_known() {
        let mut pool: NamePool<u32> = NamePool::new(4, 1);
        let first = pool.refer(TextKind::Host, b"a.example", |_| 7).unwrap();
        pool.release(first);
        let again = pool
            .refer(TextKind::Host, b"a.example", |_| panic!("known"))
            .unwrap();
        assert_eq!(
            (first, pool.value(again), pool.name(again)),
            (again, 7, &b"a.example"[..])
        );
        let program = pool
            .refer(TextKind::UserAgent, b"a.example", |_| 8)
            .unwrap();
        assert_eq!((pool.value(program), pool.value(first)), (8, 7));
    }

    #[test]
    fn a_full_pool_forgets_idle_names_and_never_one_in_use() {
        let mut pool: NamePool<u32> = NamePool::new(2, 1);
        let a = pool.refer(TextKind::Host, b"a", |_| 1).unwrap();
        let b = pool.refer(TextKind::Host, b"b", |_| 2).unwrap();
        assert!(pool.refer(TextKind::Host, b"c", |_| 3).is_none());
        pool.release(b);
        let b_again = pool.refer(TextKind::Host, b"b", |_| 9).unwrap();
        assert_eq!(pool.value(b_again), 2);
        assert!(
            pool.refer(TextKind::Host, b"c", |_| 3).is_none(),
            "b is in use again"
        );
        pool.release(a);
        assert_eq!(
            pool.refer(TextKind::Host, b"c", |_| 3)
                .map(|id| pool.value(id)),
            Some(3)
        );
        assert!(pool.refer(TextKind::Host, b"a", |_| 4).is_none());
    }

    #[test]
    fn the_queue_of_idle_names_stays_bounded() {
        let mut pool: NamePool<u32> = NamePool::new(2, 1);
        for _ in 0..10_000 {
            let id = pool.refer(TextKind::Host, b"a", |_| 1).unwrap();
            pool.release(id);
        }
        assert_eq!(pool.idle.len(), 1);
    }
}
