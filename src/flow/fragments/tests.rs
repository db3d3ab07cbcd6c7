//! Against a map of bytes, in any order; and every bound.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use proptest::prelude::*;

use super::*;
use crate::decode::{IpHeader, TunnelPath};

fn limits() -> FragmentLimits {
    FragmentLimits::default()
}

fn at(milliseconds: u64) -> Timestamp {
    Timestamp::from_nanos(1_000_000_000_000 + milliseconds * 1_000_000)
}

fn piece(
    version: IpVersion,
    identification: u32,
    offset: usize,
    len: usize,
    more: bool,
) -> Fragment {
    Fragment {
        ip: IpHeader {
            source: [1; 16],
            destination: [2; 16],
            bytes: len as u32 + 20,
            protocol: 17,
            version,
            identification: 0,
        },
        identification,
        offset: offset as u32,
        more,
        vlan: 0,
        tunnel: TunnelPath::NONE,
        overhead: 0,
        payload_offset: 0,
        payload_len: len as u32,
        payload_wire_len: len as u32,
    }
}

/// A reader of fragments that adds up what is lost.
struct Reader {
    fragments: Fragments,
    lost: (u64, u64),
    seq: u64,
}

impl Reader {
    fn new(limits: FragmentLimits) -> Self {
        Self {
            fragments: Fragments::new(limits, true),
            lost: (0, 0),
            seq: 0,
        }
    }

    fn add(&mut self, now: Timestamp, fragment: &Fragment, payload: &[u8]) -> Option<Vec<u8>> {
        self.seq += 1;
        let lost = &mut self.lost;
        let place = (0, now, &[self.seq][..]);
        let added = self.fragments.add(fragment, payload, place, &mut |of| {
            lost.0 += of.bytes;
            lost.1 += of.packets;
        });
        let Added::Completes(found) = added else {
            return None;
        };
        let bytes = found.bytes.clone();
        self.fragments.recycle(found);
        Some(bytes)
    }

    /// The end: everything adds up, and everything is given back.
    fn finish(mut self) -> DatagramCounters {
        let lost = &mut self.lost;
        self.fragments.finish(&mut |of| {
            lost.0 += of.bytes;
            lost.1 += of.packets;
        });
        let counters = &self.fragments.counters;
        assert_eq!(counters.begun, counters.ended.iter().sum::<u64>());
        assert_eq!(
            counters.bytes,
            counters.completed_bytes + counters.copied_bytes + counters.lost_bytes
        );
        assert_eq!(counters.lost_bytes, self.lost.0);
        assert!(self.fragments.index.is_empty());
        assert_eq!(self.fragments.free.len(), self.fragments.slots.len());
        let capacity: usize = self.fragments.buffers.iter().map(Vec::capacity).sum();
        assert_eq!(capacity, self.fragments.held);
        assert!(self.fragments.held <= self.fragments.limits.bytes_max);
        self.fragments.counters
    }
}

fn ended(counters: &DatagramCounters, outcome: DatagramOutcome) -> u64 {
    counters.ended[outcome.index()]
}

/// What a map of bytes makes of the same pieces: the datagram, if it is complete; the bytes that came first count, and another
/// beginning begins another datagram.
#[derive(Default)]
struct Naive {
    bytes: std::collections::BTreeMap<usize, u8>,
    len: Option<usize>,
    seen: Vec<(usize, Vec<u8>, bool)>,
}

impl Naive {
    fn add(&mut self, offset: usize, payload: &[u8], more: bool) -> Option<Vec<u8>> {
        let this = (offset, payload.to_vec(), more);
        if self.seen.contains(&this) {
            return None;
        }
        let beginning = (0..).map_while(|place| self.bytes.get(&place));
        if offset == 0 && beginning.zip(payload).any(|(one, other)| one != other) {
            *self = Self::default();
        }
        self.seen.push(this);
        let end = offset + payload.len();
        let reach = self.bytes.keys().next_back().map_or(0, |last| last + 1);
        let contradicts = match self.len {
            Some(len) => end > len || !more && end != len,
            None => !more && reach > end,
        };
        if contradicts {
            return None;
        }
        if !more {
            self.len = Some(end);
        }
        for (place, byte) in (offset..).zip(payload) {
            self.bytes.entry(place).or_insert(*byte);
        }
        let len = self.len?;
        (self.bytes.len() == len).then(|| self.bytes.values().copied().collect())
    }
}

proptest! {
    #[test]
    fn any_pieces_in_any_order_give_what_a_map_of_bytes_gives(
        pieces in proptest::collection::vec((0usize..12, 1usize..6, any::<bool>(), any::<u8>()), 1..24),
    ) {
        let mut reader = Reader::new(limits());
        let mut naive = Naive::default();
        for (offset, len, more, fill) in pieces {
            let payload: Vec<u8> = (0..len * 8).map(|place| fill.wrapping_add(place as u8)).collect();
            let expected = naive.add(offset * 8, &payload, more);
            let found = reader.add(at(0), &piece(IpVersion::V4, 7, offset * 8, payload.len(), more), &payload);
            prop_assert_eq!(&found, &expected);
            if found.is_some() {
                break;
            }
        }
        reader.finish();
    }

    #[test]
    fn however_it_is_cut_and_shuffled_a_datagram_is_whole(
        bytes in proptest::collection::vec(any::<u8>(), 17..3000),
        sizes in proptest::collection::vec(1usize..40, 1..20),
        order in any::<u64>(),
        six in any::<bool>(),
    ) {
        let version = if six { IpVersion::V6 } else { IpVersion::V4 };
        let (mut pieces, mut start) = (Vec::new(), 0);
        for size in sizes.iter().cycle() {
            let end = (start + size * 8).min(bytes.len());
            pieces.push((start, end));
            start = end;
            if start == bytes.len() || pieces.len() == 120 {
                break;
            }
        }
        if start < bytes.len() {
            pieces.push((start, bytes.len()));
        }
        let mut order = order;
        for place in (1..pieces.len()).rev() {
            order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            pieces.swap(place, (order >> 33) as usize % (place + 1));
        }
        let mut reader = Reader::new(limits());
        let mut found = Vec::new();
        for (from, to) in &pieces {
            // Every one comes twice, as from a mirror port.
            for _ in 0..2 {
                let fragment = piece(version, 9, *from, to - from, *to < bytes.len());
                found.extend(reader.add(at(1), &fragment, &bytes[*from..*to]));
            }
        }
        prop_assert_eq!(found, vec![bytes]);
        let counters = reader.finish();
        prop_assert_eq!((counters.begun, ended(&counters, DatagramOutcome::Completed)), (1, 1));
        prop_assert_eq!((counters.copies, counters.late_fragments), (pieces.len() as u64, 0));
        prop_assert_eq!((counters.copied_bytes, counters.overlaps), (counters.completed_bytes, 0));
    }
}

#[test]
fn overlapping_fragments_of_ipv6_drop_the_datagram_and_what_follows() {
    let mut reader = Reader::new(limits());
    assert_eq!(
        reader.add(at(0), &piece(IpVersion::V6, 1, 0, 16, true), &[1; 16]),
        None
    );
    // A copy is nothing of its own; other bytes in its place are an overlap.
    assert_eq!(
        reader.add(at(0), &piece(IpVersion::V6, 1, 0, 16, true), &[1; 16]),
        None
    );
    assert_eq!(
        reader.add(at(0), &piece(IpVersion::V6, 1, 8, 16, true), &[2; 16]),
        None
    );
    assert_eq!(
        reader.add(at(0), &piece(IpVersion::V6, 1, 16, 8, false), &[3; 8]),
        None
    );
    let counters = reader.finish();
    assert_eq!(ended(&counters, DatagramOutcome::Overlapping), 1);
    assert_eq!(
        (counters.begun, counters.late_fragments, counters.overlaps),
        (1, 1, 1)
    );
}

#[test]
fn a_copy_of_a_datagram_put_together_is_none_of_the_next_with_its_identification() {
    let mut reader = Reader::new(limits());
    let (first, last) = (
        piece(IpVersion::V4, 1, 0, 8, true),
        piece(IpVersion::V4, 1, 8, 4, false),
    );
    assert_eq!(reader.add(at(0), &first, &[1; 8]), None);
    assert!(reader.add(at(0), &last, &[2; 4]).is_some());
    assert_eq!(reader.add(at(1), &first, &[3; 8]), None);
    assert_eq!(reader.add(at(1), &last, &[2; 4]), None);
    let longer = piece(IpVersion::V4, 1, 8, 5, false);
    let whole = reader.add(at(1), &longer, &[4; 5]).unwrap();
    assert_eq!(whole, [3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4]);
    let counters = reader.finish();
    assert_eq!((counters.copies, counters.overlaps), (1, 0));
}

#[test]
fn another_first_fragment_of_ipv4_begins_another_datagram() {
    let mut reader = Reader::new(limits());
    let first = piece(IpVersion::V4, 1, 0, 8, true);
    let last = piece(IpVersion::V4, 1, 8, 4, false);
    assert_eq!(reader.add(at(0), &first, &[1; 8]), None);
    assert_eq!(reader.add(at(5000), &first, &[3; 8]), None);
    assert_eq!(reader.lost, (28, 1));
    let whole = reader.add(at(5000), &last, &[4; 4]).unwrap();
    assert_eq!(whole, [3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4]);
    // The same once more after a while is no other datagram, and what is cut is compared as far as it goes.
    assert_eq!(reader.add(at(6000), &first, &[5; 8]), None);
    assert_eq!(reader.add(at(6500), &first, &[5; 8]), None);
    assert_eq!(reader.add(at(6600), &first, &[5; 4]), None);
    assert!(reader.add(at(6700), &last, &[6; 4]).is_some());
    let counters = reader.finish();
    assert_eq!(ended(&counters, DatagramOutcome::Replaced), 1);
    assert_eq!(ended(&counters, DatagramOutcome::Completed), 2);
}

#[test]
fn where_copies_are_not_looked_for_every_fragment_counts() {
    let mut reader = Reader::new(limits());
    reader.fragments = Fragments::new(limits(), false);
    let (first, last) = (
        piece(IpVersion::V4, 1, 0, 8, true),
        piece(IpVersion::V4, 1, 8, 4, false),
    );
    for fragment in [&first, &first] {
        assert_eq!(reader.add(at(0), fragment, &[1; 8]), None);
    }
    assert!(reader.add(at(0), &last, &[2; 4]).is_some());
    assert_eq!(reader.add(at(0), &last, &[2; 4]), None);
    let counters = reader.finish();
    assert_eq!((counters.copies, counters.late_fragments), (0, 1));
    assert_eq!((counters.completed_bytes, counters.lost_bytes), (80, 24));
}

#[test]
fn what_does_not_come_in_time_is_given_up_and_may_come_anew() {
    let mut reader = Reader::new(limits());
    let (first, last) = (
        piece(IpVersion::V4, 1, 0, 8, true),
        piece(IpVersion::V4, 1, 8, 4, false),
    );
    assert_eq!(reader.add(at(0), &first, &[1; 8]), None);
    assert_eq!(reader.add(at(60_000), &last, &[2; 4]), None);
    assert_eq!(reader.lost, (28, 1));
    assert!(reader.add(at(60_001), &first, &[1; 8]).is_some());
    // The same identification once more, later.
    assert_eq!(reader.add(at(60_200), &first, &[4; 8]), None);
    assert!(reader.add(at(60_200), &last, &[5; 4]).is_some());
    let counters = reader.finish();
    assert_eq!(ended(&counters, DatagramOutcome::TimedOut), 1);
    assert_eq!(ended(&counters, DatagramOutcome::Completed), 2);
}

#[test]
fn the_oldest_gives_way_where_there_is_no_room() {
    for limits in [
        FragmentLimits {
            datagrams_max: 4,
            ..limits()
        },
        FragmentLimits {
            bytes_max: 1 << 16,
            ..limits()
        },
    ] {
        let mut reader = Reader::new(limits);
        for identification in 0..100 {
            let offset = 16_000 + identification as usize % 3 * 8_000;
            let fragment = piece(IpVersion::V4, identification, offset, 8, true);
            assert_eq!(reader.add(at(0), &fragment, &[0; 8]), None);
            assert!(reader.fragments.held <= limits.bytes_max);
            assert!(reader.fragments.index.len() <= limits.datagrams_max);
        }
        let counters = reader.finish();
        assert_eq!(counters.begun, 100);
        assert!(ended(&counters, DatagramOutcome::NoRoom) >= 96);
    }
}

#[test]
fn more_pieces_than_are_kept_end_a_datagram() {
    let mut reader = Reader::new(FragmentLimits {
        pieces_max: 4,
        ..limits()
    });
    for place in 0..8 {
        let fragment = piece(IpVersion::V4, 1, place * 16, 8, true);
        assert_eq!(reader.add(at(0), &fragment, &[0; 8]), None);
    }
    let counters = reader.finish();
    assert_eq!(ended(&counters, DatagramOutcome::TooManyPieces), 1);
    assert_eq!((counters.begun, counters.late_fragments), (1, 3));
}

#[test]
fn fragments_that_cannot_be_are_refused_alone() {
    let mut reader = Reader::new(limits());
    for (offset, len, more) in [(65_528, 8, true), (0, 12, true), (8, 0, false)] {
        let fragment = piece(IpVersion::V4, 1, offset, len, more);
        assert_eq!(reader.add(at(0), &fragment, &vec![0; len]), None);
    }
    // A piece that the capture cut leaves a hole.
    let mut cut = piece(IpVersion::V4, 1, 0, 16, true);
    cut.payload_len = 4;
    assert_eq!(reader.add(at(0), &cut, &[1; 4]), None);
    assert_eq!(
        reader.add(at(0), &piece(IpVersion::V4, 1, 16, 8, false), &[2; 8]),
        None
    );
    let counters = reader.finish();
    assert_eq!((counters.refused_fragments, counters.begun), (3, 1));
    assert_eq!(ended(&counters, DatagramOutcome::Unfinished), 1);
}
