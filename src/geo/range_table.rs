//! Takes address ranges with values, overlapping or not, and answers which value covers an address.
//!
//! A table is a sorted list of boundaries; the value at a boundary holds up to the next one, and a
//! gap is a boundary without a value. Large tables carry an index over the upper 16 bits of the
//! address, so that a look-up searches only the few boundaries that share them.
//!
//! **Invariants**: the first boundary is address zero; boundaries strictly increase; neighbours
//! differ in value; of several ranges over one address the narrowest wins, as the longest prefix
//! does in routing.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

/// Below this many boundaries a plain binary search stays in the cache that the index would fill.
const INDEXED_FROM: usize = 4096;
/// One slot for each value of the upper 16 bits, and one for the end.
const INDEX_SLOTS: usize = 65_537;

/// An unsigned integer that addresses of one family are compared as: `u32` or `u128`.
pub trait AddressNumber: Copy + Ord + std::fmt::Debug {
    /// The lowest address.
    const ZERO: Self;
    /// The address after this one, unless this is the highest.
    #[must_use]
    fn next(self) -> Option<Self>;
    /// The distance from a lower or equal address.
    #[must_use]
    fn distance_from(self, lower: Self) -> Self;
    /// The upper 16 bits.
    fn upper_bits(self) -> u16;
}

impl AddressNumber for u32 {
    const ZERO: Self = 0;
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn distance_from(self, lower: Self) -> Self {
        self.saturating_sub(lower)
    }
    fn upper_bits(self) -> u16 {
        (self >> 16) as u16
    }
}

impl AddressNumber for u128 {
    const ZERO: Self = 0;
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn distance_from(self, lower: Self) -> Self {
        self.saturating_sub(lower)
    }
    fn upper_bits(self) -> u16 {
        (self >> 112) as u16
    }
}

/// Why ranges or boundaries do not make a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// A range ends before it begins.
    #[error("range {position} ends before it begins; give the lower address first")]
    Backwards {
        /// Which range of the input, from 0.
        position: usize,
    },
    /// The first boundary is missing or is not address zero.
    #[error(
        "the first boundary is not address zero; begin with a boundary there, without a value if nothing is known"
    )]
    NotFromZero,
    /// A boundary is not above the one before it.
    #[error("boundary {position} is not above the one before it; sort them and drop repeated ones")]
    NotIncreasing {
        /// Which boundary of the input, from 0.
        position: usize,
    },
    /// More boundaries than a 32-bit position can number.
    #[error("more than {} boundaries; split the table", u32::MAX)]
    TooMany,
}

/// Values of disjoint address ranges of one family.
#[derive(Clone, Debug)]
pub struct RangeTable<A, V> {
    starts: Box<[A]>,
    values: Box<[Option<V>]>,
    /// Slot `n`: how many boundaries lie below the addresses whose upper 16 bits are `n`.
    index: Box<[u32]>,
}

impl<A: AddressNumber, V> RangeTable<A, V> {
    /// A table from boundaries in increasing order, each with the value that holds up to the next.
    pub fn from_boundaries(
        boundaries: impl IntoIterator<Item = (A, Option<V>)>,
    ) -> Result<Self, RangeError> {
        let (starts, values): (Vec<A>, Vec<Option<V>>) = boundaries.into_iter().unzip();
        if starts.first() != Some(&A::ZERO) {
            return Err(RangeError::NotFromZero);
        }
        let falls = |pair: &[A]| pair.first() >= pair.last();
        if let Some(position) = starts.windows(2).position(falls) {
            return Err(RangeError::NotIncreasing {
                position: position.saturating_add(1),
            });
        }
        if u32::try_from(starts.len()).is_err() {
            return Err(RangeError::TooMany);
        }
        Ok(Self {
            index: index_of(&starts),
            starts: starts.into(),
            values: values.into(),
        })
    }

    /// A table that covers nothing.
    pub fn empty() -> Self {
        Self {
            starts: Box::new([A::ZERO]),
            values: Box::new([None]),
            index: Box::default(),
        }
    }

    /// The value that covers the address.
    #[inline]
    pub fn lookup(&self, address: A) -> Option<&V> {
        let bucket = usize::from(address.upper_bits());
        let (from, to) = match self.index.get(bucket..=bucket.saturating_add(1)) {
            Some(&[from, to]) => (from as usize, to as usize),
            _ => (0, self.starts.len()),
        };
        let near = self.starts.get(from..to)?;
        let after = near
            .partition_point(|start| *start <= address)
            .saturating_add(from);
        self.values.get(after.checked_sub(1)?)?.as_ref()
    }

    /// How many boundaries the table has, those without a value included.
    pub fn boundaries(&self) -> usize {
        self.starts.len()
    }
}

impl<A: AddressNumber, V: Clone + PartialEq> RangeTable<A, V> {
    /// A table from ranges (first address, last address, value) in any order and overlapping at will.
    ///
    /// Where ranges overlap the narrowest holds; of equally wide ones the first given.
    pub fn from_overlapping(
        ranges: impl IntoIterator<Item = (A, A, V)>,
    ) -> Result<Self, RangeError> {
        let ranges: Vec<(A, A, V)> = ranges.into_iter().collect();
        if let Some(position) = ranges.iter().position(|(first, last, _)| first > last) {
            return Err(RangeError::Backwards { position });
        }
        let mut points: Vec<A> = std::iter::once(A::ZERO)
            .chain(ranges.iter().map(|(first, _, _)| *first))
            .chain(ranges.iter().filter_map(|(_, last, _)| last.next()))
            .collect();
        points.sort_unstable();
        points.dedup();

        let mut waiting: Vec<(usize, &(A, A, V))> = ranges.iter().enumerate().collect();
        waiting.sort_by_key(|(_, (first, _, _))| *first);
        let mut waiting = waiting.into_iter().peekable();
        // Ranges begun and not known to have ended; the narrowest, then the first given, on top.
        let mut open: BinaryHeap<Reverse<(A, usize, A)>> = BinaryHeap::new();
        let mut boundaries: Vec<(A, Option<V>)> = Vec::with_capacity(points.len());
        for point in points {
            while let Some((order, (first, last, _))) =
                waiting.next_if(|(_, (first, _, _))| *first <= point)
            {
                open.push(Reverse((last.distance_from(*first), order, *last)));
            }
            while open
                .peek()
                .is_some_and(|Reverse((_, _, last))| *last < point)
            {
                open.pop();
            }
            let value = open
                .peek()
                .and_then(|Reverse((_, order, _))| ranges.get(*order))
                .map(|(_, _, value)| value.clone());
            if boundaries.last().is_none_or(|(_, before)| *before != value) {
                boundaries.push((point, value));
            }
        }
        Self::from_boundaries(boundaries)
    }
}

fn index_of<A: AddressNumber>(starts: &[A]) -> Box<[u32]> {
    if starts.len() < INDEXED_FROM {
        return Box::default();
    }
    let mut index = Vec::with_capacity(INDEX_SLOTS);
    for (position, start) in starts.iter().enumerate() {
        // Every bucket up to this boundary's own that has not begun yet begins here.
        let begun = usize::from(start.upper_bits()).saturating_add(1);
        if index.len() < begun {
            index.resize(begun, position as u32);
        }
    }
    index.resize(INDEX_SLOTS, starts.len() as u32);
    index.into()
}

/// Values of disjoint address ranges of both families.
///
/// An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) is looked up as the IPv4 address it stands for.
#[derive(Clone, Debug)]
pub struct IpRangeTable<V> {
    v4: RangeTable<u32, V>,
    v6: RangeTable<u128, V>,
}

impl<V> IpRangeTable<V> {
    /// A table from one table for each family.
    pub fn new(v4: RangeTable<u32, V>, v6: RangeTable<u128, V>) -> Self {
        Self { v4, v6 }
    }

    /// A table that covers nothing.
    pub fn empty() -> Self {
        Self::new(RangeTable::empty(), RangeTable::empty())
    }

    /// The value that covers the address.
    #[inline]
    pub fn lookup(&self, address: IpAddr) -> Option<&V> {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.lookup(address.to_bits()),
            IpAddr::V6(address) => self.v6.lookup(address.to_bits()),
        }
    }

    /// How many boundaries the tables of IPv4 and of IPv6 have.
    pub fn boundaries(&self) -> (usize, usize) {
        (self.v4.boundaries(), self.v6.boundaries())
    }
}

impl<V: Clone + PartialEq> IpRangeTable<V> {
    /// A table from networks in any order; of overlapping ones the longest prefix holds, of equal ones the first given.
    pub fn from_networks(
        networks: impl IntoIterator<Item = (IpNet, V)>,
    ) -> Result<Self, RangeError> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (network, value) in networks {
            match as_ipv4(network) {
                IpNet::V4(net) => {
                    v4.push((net.network().to_bits(), net.broadcast().to_bits(), value));
                }
                IpNet::V6(net) => {
                    v6.push((net.network().to_bits(), net.broadcast().to_bits(), value));
                }
            }
        }
        Ok(Self {
            v4: RangeTable::from_overlapping(v4)?,
            v6: RangeTable::from_overlapping(v6)?,
        })
    }
}

/// The IPv4 network that an IPv4-mapped one stands for; every other network as it is.
fn as_ipv4(network: IpNet) -> IpNet {
    let mapped: Option<(Ipv4Addr, u8)> = match network {
        IpNet::V6(net) => net
            .network()
            .to_ipv4_mapped()
            .zip(net.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    mapped
        .and_then(|(address, length)| Ipv4Net::new(address, length).ok())
        .map_or(network, IpNet::V4)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule of the table said without a table: of the ranges that hold the address, the narrowest, then the first.
    fn naive<A: AddressNumber>(ranges: &[(A, A, u8)], address: A) -> Option<u8> {
        ranges
            .iter()
            .filter(|(first, last, _)| (*first..=*last).contains(&address))
            .min_by_key(|(first, last, _)| last.distance_from(*first))
            .map(|(_, _, value)| *value)
    }

    fn ordered<A: AddressNumber>((one, other, value): (A, A, u8)) -> (A, A, u8) {
        (one.min(other), one.max(other), value)
    }

    /// Addresses that cluster, so that ranges overlap, nest and touch, with both ends of the space.
    fn v4_address() -> impl Strategy<Value = u32> {
        prop_oneof![
            0u32..40,
            0xffff_ffd8..=u32::MAX,
            (0x00ff_fff0u32..0x0101_0010),
            any::<u32>(),
        ]
    }

    fn v6_address() -> impl Strategy<Value = u128> {
        prop_oneof![
            0u128..40,
            (u128::MAX - 40)..=u128::MAX,
            (0u32..64).prop_map(|n| u128::from(n) << 110),
            any::<u128>(),
        ]
    }

    proptest! {
        #[test]
        fn v4_table_agrees_with_a_linear_search(
            ranges in proptest::collection::vec((v4_address(), v4_address(), 0u8..4).prop_map(ordered), 0..40),
            probes in proptest::collection::vec(v4_address(), 0..40),
        ) {
            let table = RangeTable::from_overlapping(ranges.clone()).unwrap();
            let edges = ranges.iter().flat_map(|(first, last, _)| {
                [*first, *last, first.saturating_sub(1), last.saturating_add(1)]
            });
            for address in probes.into_iter().chain(edges).chain([0, u32::MAX]) {
                prop_assert_eq!(table.lookup(address).copied(), naive(&ranges, address), "{}", address);
            }
        }

        #[test]
        fn v6_table_agrees_with_a_linear_search(
            ranges in proptest::collection::vec((v6_address(), v6_address(), 0u8..4).prop_map(ordered), 0..40),
            probes in proptest::collection::vec(v6_address(), 0..40),
        ) {
            let table = RangeTable::from_overlapping(ranges.clone()).unwrap();
            let edges = ranges.iter().flat_map(|(first, last, _)| {
                [*first, *last, first.saturating_sub(1), last.saturating_add(1)]
            });
            for address in probes.into_iter().chain(edges).chain([0, u128::MAX]) {
                prop_assert_eq!(table.lookup(address).copied(), naive(&ranges, address), "{}", address);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        /// Enough ranges for the index; steps of uneven length leave buckets empty, full and split.
        #[test]
        fn indexed_table_agrees_with_a_linear_search(
            steps in proptest::collection::vec((1u32..400_000, 1u32..300_000), INDEXED_FROM),
            probes in proptest::collection::vec(any::<u32>(), 200),
        ) {
            let mut at = 0u32;
            let mut ranges = Vec::new();
            for (gap, length) in steps {
                let Some((first, last)) = at.checked_add(gap).and_then(|f| Some((f, f.checked_add(length)?))) else { break };
                ranges.push((first, last, (first % 251) as u8));
                at = last;
            }
            let table = RangeTable::from_overlapping(ranges.clone()).unwrap();
            prop_assert_eq!(table.index.len(), INDEX_SLOTS);
            let bucket_edges = ranges.iter().step_by(97).flat_map(|(first, last, _)| {
                [*first, *last, first - 1, first & 0xffff_0000, first | 0xffff]
            });
            for address in probes.into_iter().chain(bucket_edges) {
                prop_assert_eq!(table.lookup(address).copied(), naive(&ranges, address), "{}", address);
            }
        }
    }

    #[test]
    fn longest_prefix_wins_in_any_order() {
        let mut networks = vec![
            ("10.0.0.0/8".parse().unwrap(), 'a'),
            ("10.1.0.0/16".parse().unwrap(), 'b'),
            ("10.1.2.0/24".parse().unwrap(), 'c'),
            ("2001:db8::/32".parse().unwrap(), 'd'),
            ("2001:db8:1::/48".parse().unwrap(), 'e'),
        ];
        for _ in 0..networks.len() {
            networks.rotate_left(1);
            let table = IpRangeTable::from_networks(networks.clone()).unwrap();
            let at = |text: &str| table.lookup(text.parse().unwrap()).copied();
            assert_eq!(at("10.0.255.255"), Some('a'));
            assert_eq!(at("10.1.1.255"), Some('b'));
            assert_eq!(at("10.1.2.0"), Some('c'));
            assert_eq!(at("10.1.3.0"), Some('b'));
            assert_eq!(at("10.2.0.0"), Some('a'));
            assert_eq!(at("11.0.0.0"), None);
            assert_eq!(at("2001:db8:0:1::"), Some('d'));
            assert_eq!(at("2001:db8:1::1"), Some('e'));
            assert_eq!(at("2001:db9::"), None);
        }
    }

    #[test]
    fn ipv4_mapped_addresses_and_networks_are_ipv4() {
        let networks = [
            ("192.0.2.0/25".parse().unwrap(), 1),
            ("::ffff:198.51.100.0/120".parse().unwrap(), 2),
        ];
        let table = IpRangeTable::from_networks(networks).unwrap();
        let at = |text: &str| table.lookup(text.parse().unwrap()).copied();
        assert_eq!(at("::ffff:192.0.2.127"), Some(1));
        assert_eq!(at("::ffff:192.0.2.128"), None);
        assert_eq!(at("198.51.100.255"), Some(2));
        // The deprecated IPv4-compatible form is an IPv6 address of its own (RFC 4291 §2.5.5.1).
        assert_eq!(at("::192.0.2.1"), None);
    }

    #[test]
    fn a_table_of_nothing_covers_nothing() {
        let table = IpRangeTable::<u8>::from_networks([]).unwrap();
        assert_eq!(table.lookup("0.0.0.0".parse().unwrap()), None);
        assert_eq!(table.lookup("ffff::".parse().unwrap()), None);
    }

    #[test]
    fn neighbours_of_one_value_are_one_range() {
        let table = RangeTable::from_overlapping([(0u32, 9, 'x'), (10, 19, 'x')]).unwrap();
        assert_eq!(table.boundaries(), 2);
    }

    #[test]
    fn bad_input_is_refused() {
        assert_eq!(
            RangeTable::from_overlapping([(0u32, 1, 'x'), (5, 4, 'x')]).unwrap_err(),
            RangeError::Backwards { position: 1 }
        );
        assert_eq!(
            RangeTable::from_boundaries([(1u32, Some('x'))]).unwrap_err(),
            RangeError::NotFromZero
        );
        assert_eq!(
            RangeTable::from_boundaries([(0u32, Some('x')), (7, None), (7, Some('y'))])
                .unwrap_err(),
            RangeError::NotIncreasing { position: 2 }
        );
    }
}
