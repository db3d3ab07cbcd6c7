//! Pieces of a stream by their offset, in any order → its beginning without a gap.
//!
//! **Invariants**: of bytes that come twice the first count; memory and the number of gaps are bounded.

use std::ops::Range;

/// Pieces with gaps between them that are kept. Clients that mix up their hello on purpose make some tens.
const PIECES_MAX: usize = 128;

/// Why a piece was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// The bytes of a CRYPTO stream (RFC 9000 §19.6), or of Google's stream 1.
#[derive(Debug, Default)]
pub struct CryptoStream {
    bytes: Vec<u8>,
    /// What of `bytes` has come: in order, with a gap between each two.
    come: Vec<Range<u32>>,
}

impl CryptoStream {
    /// The longest stream that is kept; a hello is shorter.
    pub const BYTES_MAX: u32 = 64 << 10;

    /// Begins anew; memory stays.
    pub fn reset(&mut self) {
        self.bytes.clear();
        self.come.clear();
    }

    /// Memory held.
    pub fn held_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Gives back memory that an unusual hello needed.
    pub fn shrink(&mut self, keep: usize) {
        self.reset();
        self.bytes.shrink_to(keep);
    }

    /// Takes a piece; `room` is what may be held in all.
    pub fn insert(&mut self, offset: u64, piece: &[u8], room: usize) -> Result<(), Refused> {
        let end = offset.checked_add(piece.len() as u64).ok_or(Refused)?;
        if end > u64::from(Self::BYTES_MAX) || end > room as u64 {
            return Err(Refused);
        }
        if piece.is_empty() {
            return Ok(());
        }
        let new = offset as u32..end as u32;
        // Pieces that touch the new one, and those before them.
        let before = self.come.iter().take_while(|old| old.end < new.start);
        let first = before.count();
        let touched = self.come.get(first..).unwrap_or_default();
        let touched = touched.iter().take_while(|old| old.start <= new.end);
        let last = first.saturating_add(touched.count());
        if first == last && self.come.len() >= PIECES_MAX {
            return Err(Refused);
        }
        if self.bytes.len() < end as usize {
            self.bytes.resize(end as usize, 0);
        }
        let mut merged = new.clone();
        let mut at = new.start;
        for index in first..last {
            let Some(old) = self.come.get(index).cloned() else {
                break;
            };
            self.copy(at..old.start.min(new.end), new.start, piece);
            at = at.max(old.end);
            merged = merged.start.min(old.start)..merged.end.max(old.end);
        }
        self.copy(at..new.end, new.start, piece);
        self.come.splice(first..last, [merged]);
        Ok(())
    }

    /// What has come from the beginning on without a gap.
    pub fn beginning(&self) -> &[u8] {
        match self.come.first() {
            Some(Range { start: 0, end }) => self.bytes.get(..*end as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Copies one part of a piece that begins at `start` in the stream.
    fn copy(&mut self, part: Range<u32>, start: u32, piece: &[u8]) {
        let from =
            part.start.saturating_sub(start) as usize..part.end.saturating_sub(start) as usize;
        let to = part.start as usize..part.end as usize;
        if let (Some(from), Some(to)) = (piece.get(from), self.bytes.get_mut(to)) {
            to.copy_from_slice(from);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_comes_first_counts_and_gaps_end_the_beginning() {
        let mut stream = CryptoStream::default();
        stream.insert(4, b"efgh", 100).unwrap();
        assert_eq!(stream.beginning(), b"");
        stream.insert(2, b"CDEFGHIJ", 100).unwrap();
        stream.insert(0, b"ab", 100).unwrap();
        assert_eq!(stream.beginning(), b"abCDefghIJ");
        stream.insert(12, b"m", 100).unwrap();
        assert_eq!(stream.beginning(), b"abCDefghIJ");
    }

    #[test]
    fn what_is_too_far_or_in_too_many_pieces_is_refused() {
        let mut stream = CryptoStream::default();
        let most = u64::from(CryptoStream::BYTES_MAX);
        assert_eq!(stream.insert(most, b"a", usize::MAX), Err(Refused));
        assert_eq!(stream.insert(u64::MAX, b"a", usize::MAX), Err(Refused));
        assert_eq!(stream.insert(10, b"a", 10), Err(Refused));
        assert_eq!(stream.held_bytes(), 0);
        for index in 0..PIECES_MAX as u64 {
            stream.insert(index * 2 + 1, b"a", usize::MAX).unwrap();
        }
        assert_eq!(stream.insert(1000, b"a", usize::MAX), Err(Refused));
        // What closes a gap needs no room.
        stream.insert(0, b"a", usize::MAX).unwrap();
        stream.insert(2, b"a", usize::MAX).unwrap();
        assert_eq!(stream.beginning(), b"aaaa");
    }

    proptest! {
        /// Against a map of bytes.
        #[test]
        fn any_pieces_give_what_a_map_gives(
            pieces in proptest::collection::vec((0u64..80, proptest::collection::vec(any::<u8>(), 0..30)), 0..40),
        ) {
            let mut stream = CryptoStream::default();
            let mut map = std::collections::BTreeMap::new();
            for (offset, piece) in &pieces {
                stream.insert(*offset, piece, usize::MAX).unwrap();
                for (at, byte) in (*offset..).zip(piece) {
                    map.entry(at).or_insert(*byte);
                }
            }
            let expected: Vec<u8> = (0..).map_while(|at| map.get(&at).copied()).collect();
            prop_assert_eq!(stream.beginning(), expected);
            for pair in stream.come.windows(2) {
                prop_assert!(pair[0].end < pair[1].start);
            }
        }
    }
}
