//! Answers of name servers → who resolved which name to which address, for as long as programs may act on it.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::FrameRef;
use crate::attribute::RuleMatch;
use crate::decode::Address;
use crate::flow::FlowId;
use crate::model::Timestamp;

/// For how long, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// An answer is remembered at least so long: programs hold on to addresses beyond the time to live.
    pub min: Duration,
    /// And at most so long.
    pub max: Duration,
    /// Pairs of a client and an address; and as many addresses again for what others resolved.
    pub entries_max: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            min: Duration::from_secs(3600),
            max: Duration::from_secs(86_400),
            // About 200 bytes each: 50 MB when full.
            entries_max: 1 << 18,
        }
    }
}

/// A name that was resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The name asked for.
    pub name: Vec<u8>,
    /// What the rules make of it, or of the first alias that they know.
    pub rule: Option<RuleMatch>,
    /// The frame of the answer.
    pub frame: FrameRef,
    /// The flow of the answer.
    pub flow: FlowId,
    /// Nobody was seen to ask.
    pub unsolicited: bool,
}

/// What is remembered of an address.
#[derive(Clone, Copy, Debug)]
pub struct Remembered<'a> {
    /// The name last resolved to it; of two that hold at the same time, the one that a rule knows.
    pub resolved: &'a Resolved,
    /// The same client resolved it, not somebody else.
    pub own: bool,
    /// Another name with another verdict was resolved to the same address meanwhile: the flow may be about either.
    pub ambiguous: bool,
}

/// Which world, and an address in it.
type Place = (u16, Address);

/// Remembers answers, the latest for each pair of client and address, and the latest of anybody for each address.
#[derive(Debug)]
pub struct ResolverMemory {
    by_client: Recent<(u16, Address, Address)>,
    by_anybody: Recent<Place>,
    limits: MemoryLimits,
}

impl ResolverMemory {
    /// An empty memory.
    pub fn new(limits: MemoryLimits) -> Self {
        Self {
            by_client: Recent::new(limits.entries_max),
            by_anybody: Recent::new(limits.entries_max),
            limits,
        }
    }

    /// Notes that `client` was told that `resolved` stands for the addresses, each with its time to live in seconds.
    pub fn answered(
        &mut self,
        scope: u16,
        client: Address,
        resolved: Resolved,
        addresses: impl Iterator<Item = (Address, u32)>,
    ) {
        let at = resolved.frame.time;
        let resolved = Arc::new(resolved);
        for (address, ttl_seconds) in addresses {
            let keep = Duration::from_secs(u64::from(ttl_seconds))
                .clamp(self.limits.min, self.limits.max.max(self.limits.min));
            let until = at.after(keep);
            self.by_client
                .put((scope, client, address), &resolved, at, until);
            self.by_anybody.put((scope, address), &resolved, at, until);
        }
    }

    /// What `client` may have meant by contacting `address` at that time.
    pub fn look_up(
        &self,
        scope: u16,
        client: Address,
        address: Address,
        at: Timestamp,
    ) -> Option<Remembered<'_>> {
        let own = self.by_client.get(&(scope, client, address), at);
        let (entry, own) = match own {
            Some(entry) => (entry, true),
            None => (self.by_anybody.get(&(scope, address), at)?, false),
        };
        Some(Remembered {
            resolved: entry.resolved_at(at),
            own,
            ambiguous: entry.ambiguous_until >= at,
        })
    }

    /// Forgets everything but how often it had to.
    pub fn clear(&mut self) {
        self.by_client.clear();
        self.by_anybody.clear();
    }

    /// Answers that gave way to newer ones before their time was over.
    pub fn forgotten(&self) -> u64 {
        self.by_client.forgotten + self.by_anybody.forgotten
    }
}

#[derive(Debug)]
struct Entry {
    resolved: Arc<Resolved>,
    until: Timestamp,
    /// So long another name with another verdict may be meant as well.
    ambiguous_until: Timestamp,
    /// A name that a rule knows and that was resolved before, while it holds.
    known: Option<(Arc<Resolved>, Timestamp)>,
}

impl Entry {
    fn resolved_at(&self, at: Timestamp) -> &Resolved {
        match &self.known {
            Some((known, until)) if self.resolved.rule.is_none() && *until >= at => known,
            _ => &self.resolved,
        }
    }
}

/// A bounded map; when it is full, what was put first goes first.
#[derive(Debug)]
struct Recent<K> {
    entries: HashMap<K, Entry>,
    /// Keys in the order in which they were put, with the time until which they were to be kept.
    order: VecDeque<(K, Timestamp)>,
    capacity: usize,
    forgotten: u64,
}

impl<K: Copy + Eq + Hash> Recent<K> {
    fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            capacity: capacity.max(1),
            forgotten: 0,
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
    }

    fn put(&mut self, key: K, resolved: &Arc<Resolved>, at: Timestamp, until: Timestamp) {
        if let Some(entry) = self.entries.get_mut(&key) {
            let other_verdict = entry.resolved.rule.map(|found| found.rule)
                != resolved.rule.map(|found| found.rule);
            if other_verdict && entry.until >= at {
                entry.ambiguous_until = entry.ambiguous_until.max(entry.until);
                if entry.resolved.rule.is_some() {
                    entry.known = Some((Arc::clone(&entry.resolved), entry.until));
                }
            }
            // A repeated answer keeps its place in the queue: the queue stays as long as the map.
            entry.until = entry.until.max(until);
            entry.resolved = Arc::clone(resolved);
            return;
        }
        if self.entries.len() >= self.capacity {
            self.forget(at);
        }
        self.order.push_back((key, until));
        self.entries.insert(
            key,
            Entry {
                resolved: Arc::clone(resolved),
                until,
                ambiguous_until: Timestamp::default(),
                known: None,
            },
        );
    }

    fn get(&self, key: &K, at: Timestamp) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| entry.until >= at)
    }

    /// Makes room: the oldest that has not been renewed since it was queued; renewed ones are queued anew, once a round.
    fn forget(&mut self, at: Timestamp) {
        for _ in 0..=self.order.len() {
            let Some((key, queued_until)) = self.order.pop_front() else {
                return;
            };
            let Some(entry) = self.entries.get(&key) else {
                continue;
            };
            if entry.until > queued_until {
                self.order.push_back((key, entry.until));
                continue;
            }
            self.forgotten += u64::from(entry.until >= at);
            self.entries.remove(&key);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::RuleId;

    const CLIENT: Address = [1; 16];
    const OTHER: Address = [2; 16];
    const SERVER: Address = [9; 16];

    fn limits(entries_max: usize) -> MemoryLimits {
        MemoryLimits {
            min: Duration::from_secs(100),
            max: Duration::from_secs(1000),
            entries_max,
        }
    }

    fn resolved(name: &str, rule: Option<u32>, seconds: u64) -> Resolved {
        Resolved {
            name: name.into(),
            unsolicited: false,
            rule: rule.map(|rule| RuleMatch {
                rule: RuleId(rule),
                pattern: 0,
            }),
            frame: FrameRef {
                time: Timestamp::from_parts(seconds, 0),
                ..FrameRef::default()
            },
            flow: FlowId(1),
        }
    }

    fn name(
        memory: &ResolverMemory,
        client: Address,
        seconds: u64,
    ) -> Option<(String, bool, bool)> {
        memory
            .look_up(0, client, SERVER, Timestamp::from_parts(seconds, 0))
            .map(|found| {
                (
                    String::from_utf8_lossy(&found.resolved.name).into_owned(),
                    found.own,
                    found.ambiguous,
                )
            })
    }

    #[test]
    fn who_asked_is_told_from_who_did_not_and_both_end_in_time() {
        let mut memory = ResolverMemory::new(limits(10));
        memory.answered(
            0,
            CLIENT,
            resolved("a.example", None, 50),
            [(SERVER, 300)].into_iter(),
        );
        assert_eq!(
            name(&memory, CLIENT, 60),
            Some(("a.example".into(), true, false))
        );
        assert_eq!(
            name(&memory, OTHER, 350),
            Some(("a.example".into(), false, false))
        );
        assert_eq!(name(&memory, CLIENT, 351), None);
        assert!(
            memory
                .look_up(1, CLIENT, SERVER, Timestamp::from_parts(60, 0))
                .is_none()
        );
    }

    #[test]
    fn the_time_to_live_is_held_within_bounds() {
        let mut memory = ResolverMemory::new(limits(10));
        memory.answered(
            0,
            CLIENT,
            resolved("short.example", None, 0),
            [(SERVER, 0)].into_iter(),
        );
        assert!(name(&memory, CLIENT, 100).is_some());
        assert!(name(&memory, CLIENT, 101).is_none());
        memory.answered(
            0,
            CLIENT,
            resolved("long.example", None, 200),
            [(SERVER, u32::MAX)].into_iter(),
        );
        assert!(name(&memory, CLIENT, 1200).is_some());
        assert!(name(&memory, CLIENT, 1201).is_none());
    }

    #[test]
    fn two_verdicts_for_one_address_are_ambiguous_while_both_hold() {
        let mut memory = ResolverMemory::new(limits(10));
        let one = [(SERVER, 200)];
        memory.answered(
            0,
            CLIENT,
            resolved("vendor.example", Some(1), 0),
            one.into_iter(),
        );
        memory.answered(
            0,
            CLIENT,
            resolved("cdn.example", None, 10),
            one.into_iter(),
        );
        assert_eq!(
            name(&memory, CLIENT, 20),
            Some(("vendor.example".into(), true, true))
        );
        assert_eq!(
            name(&memory, CLIENT, 205),
            Some(("cdn.example".into(), true, false))
        );
        memory.answered(
            0,
            CLIENT,
            resolved("www.cdn.example", None, 206),
            one.into_iter(),
        );
        assert_eq!(
            name(&memory, CLIENT, 207),
            Some(("www.cdn.example".into(), true, false))
        );
    }

    #[test]
    fn a_full_memory_forgets_the_oldest_and_counts() {
        let mut memory = ResolverMemory::new(limits(2));
        for number in 0..5u8 {
            memory.answered(
                0,
                [number; 16],
                resolved("a.example", None, 1),
                [([number; 16], 0)].into_iter(),
            );
        }
        assert_eq!(memory.by_client.entries.len(), 2);
        assert_eq!(memory.by_client.order.len(), 2);
        assert_eq!(memory.forgotten(), 6);
        let last = memory.look_up(0, [4; 16], [4; 16], Timestamp::from_parts(2, 0));
        assert!(last.is_some());
        let first = memory.look_up(0, [0; 16], [0; 16], Timestamp::from_parts(2, 0));
        assert!(first.is_none());
    }
}
