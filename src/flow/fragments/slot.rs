//! A datagram that waits for its rest: what of it is there, and by what its fragments are known again.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::LostFragments;
use crate::decode::{Address, Fragment, IpVersion};
use crate::model::Timestamp;

/// For so long a fragment that comes again is a copy: copies come within milliseconds.
const COPY_WITHIN: Duration = Duration::from_millis(100);

/// A fragment as it is remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Print {
    pub(super) hash: u64,
    pub(super) at: Timestamp,
}

/// Whether a fragment came a moment ago already.
pub(super) fn has_copy(prints: &[Print], hash: u64, now: Timestamp) -> bool {
    prints
        .iter()
        .any(|print| print.hash == hash && print.at.after(COPY_WITHIN) > now)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    source: Address,
    destination: Address,
    identification: u32,
    /// IPv4 alone: in IPv6 only the first fragment says it.
    protocol: u8,
    version: u8,
    scope: u16,
}

impl Key {
    pub(super) fn of(fragment: &Fragment, scope: u16) -> Self {
        let ip = &fragment.ip;
        Self {
            source: ip.source,
            destination: ip.destination,
            identification: fragment.identification,
            protocol: match ip.version {
                IpVersion::V4 => ip.protocol,
                IpVersion::V6 => 0,
            },
            version: ip.version as u8,
            scope,
        }
    }
}

/// What waits for its rest.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: Key,
    pub(super) begun: Timestamp,
    pub(super) first: Option<Fragment>,
    /// Length of the payload, once the last fragment has come.
    pub(super) len: Option<usize>,
    /// What is there, in order, from and to; nothing overlaps.
    pub(super) pieces: Vec<(usize, usize)>,
    pub(super) bytes: Vec<u8>,
    pub(super) seqs: Vec<u64>,
    pub(super) ip_bytes: u64,
    pub(super) packets: u64,
    /// The fragments that came, the latest last; as many as a datagram may have.
    pub(super) prints: Vec<Print>,
    /// Its end has been told; what still comes of it is late.
    pub(super) dropped: bool,
    pub(super) older: u32,
    pub(super) newer: u32,
}

impl Slot {
    /// Remembers a fragment; the oldest one is forgotten where there are `max`.
    pub(super) fn remember(&mut self, print: Print, max: usize) {
        if self.prints.len() < max.max(1) {
            self.prints.push(print);
        } else {
            self.prints.rotate_left(1);
            if let Some(latest) = self.prints.last_mut() {
                *latest = print;
            }
        }
    }

    pub(super) fn take_lost(&mut self) -> LostFragments {
        LostFragments {
            source: self.key.source,
            destination: self.key.destination,
            bytes: std::mem::take(&mut self.ip_bytes),
            packets: std::mem::take(&mut self.packets),
        }
    }

    /// Whether a fragment is the beginning of another datagram with the same identification: of IPv4, whose identifications
    /// come round within seconds where much is sent.
    pub(super) fn begins_otherwise(&self, fragment: &Fragment, payload: &[u8]) -> bool {
        if fragment.offset != 0 || fragment.ip.version != IpVersion::V4 || self.dropped {
            return false;
        }
        let mut there = 0;
        for (from, to) in &self.pieces {
            if *from != there {
                break;
            }
            there = *to;
        }
        let there = self.bytes.get(..there).unwrap_or_default();
        there.iter().zip(payload).any(|(one, other)| one != other)
    }

    /// Copies what falls between the pieces that are there. The buffer reaches far enough.
    pub(super) fn fill(&mut self, start: usize, payload: &[u8]) {
        let (mut from, to) = (start, start.saturating_add(payload.len()));
        let mut at = self.pieces.partition_point(|(_, end)| *end <= start);
        while from < to {
            let (next, behind) = self.pieces.get(at).copied().unwrap_or((to, to));
            let until = next.min(to);
            if from < until {
                let source = payload.get(from.saturating_sub(start)..until.saturating_sub(start));
                if let (Some(target), Some(source)) = (self.bytes.get_mut(from..until), source) {
                    target.copy_from_slice(source);
                }
                self.pieces.insert(at, (from, until));
                at = at.saturating_add(1);
            }
            if next >= to {
                break;
            }
            from = from.max(behind);
            at = at.saturating_add(1);
        }
    }
}

/// What a fragment and its copies have in common.
pub(super) fn hash(fragment: &Fragment, payload: &[u8]) -> u64 {
    let place = u64::from(fragment.offset)
        | u64::from(fragment.payload_wire_len) << 24
        | u64::from(fragment.more) << 63;
    xxh3_64_with_seed(payload, place)
}
