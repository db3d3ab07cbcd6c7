//! DHCP questions and answers → to whom an address was given: the client's name is in its question, the address in the answer.
//!
//! **Invariants**: bounded; who asked first gives way first.

use std::collections::{HashMap, VecDeque};

use xxhash_rust::xxh3::xxh3_64;

use crate::decode::Mac;

/// What joins a question with its answer (RFC 2131 §2, RFC 8415 §16.1).
type Key = (u16, u64, u32);

/// What a client said when it asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub name: Box<[u8]>,
    pub client_id: Box<[u8]>,
    pub vendor_class: Box<[u8]>,
    /// The frame was sent by the client's own card: it is on the segment.
    pub on_segment: bool,
    /// A server has answered; it may do so again.
    pub is_answered: bool,
}

/// Questions that wait for their answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Leases {
    waiting: HashMap<Key, Asked>,
    order: VecDeque<Key>,
    /// Questions that gave way to later ones before they were answered.
    pub forgotten: u64,
}

impl Leases {
    /// Who asks, in short.
    pub fn key(scope: u16, mac: Option<Mac>, client_id: &[u8], id: u32, v6: bool) -> Key {
        let client = match mac {
            // A client of IPv6 has its identifier alone; of IPv4 servers do not all repeat it.
            Some(mac) if !v6 => xxh3_64(&mac),
            _ => xxh3_64(client_id),
        };
        (scope, client, id)
    }

    /// A client asks. What it has said before under the same number stays where it says no more.
    pub fn asked(&mut self, key: Key, asked: Asked, most: usize) {
        if let Some(known) = self.waiting.get_mut(&key) {
            let keep = |new: Box<[u8]>, old: &mut Box<[u8]>| {
                if !new.is_empty() {
                    *old = new;
                }
            };
            keep(asked.name, &mut known.name);
            keep(asked.client_id, &mut known.client_id);
            keep(asked.vendor_class, &mut known.vendor_class);
            known.on_segment |= asked.on_segment;
            known.is_answered = false;
            return;
        }
        while self.waiting.len() >= most.max(1) {
            let Some(first) = self.order.pop_front() else {
                break;
            };
            let gone = self.waiting.remove(&first);
            self.forgotten += u64::from(gone.is_some_and(|asked| !asked.is_answered));
        }
        self.waiting.insert(key, asked);
        self.order.push_back(key);
    }

    /// What was said by the client that this answers. It may be answered by several servers, and again.
    pub fn answered(&mut self, key: &Key) -> Option<&Asked> {
        let asked = self.waiting.get_mut(key)?;
        asked.is_answered = true;
        Some(asked)
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &[u8]) -> Asked {
        Asked {
            name: name.into(),
            ..Asked::default()
        }
    }

    #[test]
    fn a_question_is_found_by_who_asked_under_which_number() {
        let mut leases = Leases::default();
        let key = |mac: u8, id| Leases::key(0, Some([mac; 6]), b"", id, false);
        leases.asked(key(2, 1), named(b"one"), 10);
        leases.asked(key(4, 1), named(b"two"), 10);
        leases.asked(key(2, 1), named(b""), 10);
        let mut name = |key| leases.answered(&key).map(|asked| asked.name.to_vec());
        assert_eq!(name(key(2, 1)), Some(b"one".to_vec()));
        assert_eq!(name(key(4, 1)), Some(b"two".to_vec()));
        assert_eq!(name(key(2, 2)), None);
        // Of IPv6 the identifier counts, whatever card is in it.
        let six = |mac: u8, id: &[u8]| Leases::key(0, Some([mac; 6]), id, 7, true);
        assert_eq!(six(2, b"duid"), six(4, b"duid"));
        assert_ne!(six(2, b"duid"), six(2, b"other"));
    }

    #[test]
    fn the_oldest_gives_way_and_is_counted() {
        let mut leases = Leases::default();
        for id in 0..5 {
            leases.asked((0, 1, id), named(b"x"), 2);
        }
        assert_eq!((leases.waiting.len(), leases.order.len()), (2, 2));
        assert_eq!(leases.forgotten, 3);
        assert!(leases.answered(&(0, 1, 4)).is_some());
        assert!(leases.answered(&(0, 1, 0)).is_none());
    }
}
