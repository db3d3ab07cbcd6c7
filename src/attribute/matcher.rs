//! A name as the packet had it in, the number of the most specific pattern that means it out.
//!
//! One pass from the last byte to the first extends a hash label by label. Every suffix of every pattern has a
//! slot, so that the pass ends at the first label that no pattern continues with: for most names after the
//! second label. An exact pattern beats a wildcard, a longer wildcard a shorter one.
//!
//! **Invariants**: whole labels only; upper and lower case are one; no allocation; at most one step a byte plus
//! one comparison a label.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use super::name_pattern::{NAME_LENGTH_MAX, NamePattern};

/// Marks a slot without a pattern of that kind, and a slot not in use.
const NONE: u32 = u32::MAX;

/// One suffix of at least one pattern.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u64,
    /// Where the suffix stands in `Matcher::text`.
    start: u32,
    length: u32,
    /// The pattern that is this very name.
    exact: u32,
    /// The pattern that means every name under this one.
    wildcard: u32,
}

const FREE: Slot = Slot {
    hash: 0,
    start: 0,
    length: NONE,
    exact: NONE,
    wildcard: NONE,
};

/// Compiled patterns, each with the number that was given to it.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    text: String,
    slots: Vec<Slot>,
    mask: usize,
}

/// The same pattern twice in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Duplicate {
    pub first: u32,
    pub second: u32,
}

impl Matcher {
    /// Compiles patterns under their numbers; fails on the first that occurs twice.
    pub fn build(patterns: &[(u32, NamePattern<'_>)]) -> Result<Self, Duplicate> {
        let labels: usize = patterns
            .iter()
            .map(|(_, pattern)| pattern.base.split('.').count())
            .sum();
        // At most half full, so that probing soon meets a free slot.
        let capacity = labels.saturating_mul(2).max(16).next_power_of_two();
        let mut matcher = Self {
            text: String::new(),
            slots: vec![FREE; capacity],
            mask: capacity.saturating_sub(1),
        };
        for &(number, pattern) in patterns {
            matcher.insert(number, pattern)?;
        }
        Ok(matcher)
    }

    fn insert(&mut self, number: u32, pattern: NamePattern<'_>) -> Result<(), Duplicate> {
        let start = u32::try_from(self.text.len()).unwrap_or(NONE);
        self.text.push_str(pattern.base);
        let bytes = pattern.base.as_bytes();
        let mut hash = SEED;
        for (position, &byte) in bytes.iter().enumerate().rev() {
            hash = extend(hash, byte);
            let at_label_start = position
                .checked_sub(1)
                .is_none_or(|before| bytes.get(before) == Some(&b'.'));
            if !at_label_start {
                continue;
            }
            let suffix = bytes.get(position..).unwrap_or_default();
            let at = self.find_or_free(hash, suffix);
            let offset = start.saturating_add(u32::try_from(position).unwrap_or(NONE));
            let Some(slot) = self.slots.get_mut(at) else {
                continue;
            };
            if slot.length == NONE {
                *slot = Slot {
                    hash,
                    start: offset,
                    length: u32::try_from(suffix.len()).unwrap_or(NONE),
                    exact: NONE,
                    wildcard: NONE,
                };
            }
            if position == 0 {
                let place = if pattern.wildcard {
                    &mut slot.wildcard
                } else {
                    &mut slot.exact
                };
                if *place != NONE {
                    return Err(Duplicate {
                        first: *place,
                        second: number,
                    });
                }
                *place = number;
            }
        }
        Ok(())
    }

    /// The slot that holds the suffix, or else the free one where it belongs.
    fn find_or_free(&self, hash: u64, suffix: &[u8]) -> usize {
        let mut at = self.home(hash);
        // The table is at most half full; the bound only keeps a mistake from becoming a hang.
        for _ in 0..self.slots.len() {
            match self.slots.get(at) {
                Some(slot) if slot.length != NONE && !self.holds(slot, hash, suffix) => {
                    at = at.wrapping_add(1) & self.mask;
                }
                _ => return at,
            }
        }
        at
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        // The product's high bits depend on every byte, its low bits only on the low bits.
        (hash >> 32) as usize & self.mask
    }

    #[inline]
    fn holds(&self, slot: &Slot, hash: u64, suffix: &[u8]) -> bool {
        let start = slot.start as usize;
        slot.hash == hash
            && self
                .text
                .as_bytes()
                .get(start..start.saturating_add(slot.length as usize))
                .is_some_and(|own| own.eq_ignore_ascii_case(suffix))
    }

    /// Number of the most specific pattern that means `name`; one final dot is ignored.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<u32> {
        let mut best = None;
        self.walk(name, |number| best = Some(number));
        best
    }

    /// Calls `hit` with every pattern that means `name`, the least specific first.
    #[inline]
    pub fn walk(&self, name: &[u8], mut hit: impl FnMut(u32)) {
        let name = match name.split_last() {
            Some((b'.', rest)) => rest,
            _ => name,
        };
        if name.is_empty() || name.len() > NAME_LENGTH_MAX {
            return;
        }
        let mut checked = false;
        let mut hash = SEED;
        for (position, &byte) in name.iter().enumerate().rev() {
            hash = extend(hash, byte.to_ascii_lowercase());
            let before = position.checked_sub(1);
            if before.is_some_and(|before| name.get(before) != Some(&b'.')) {
                continue;
            }
            let suffix = name.get(position..).unwrap_or_default();
            let Some(slot) = self.slots.get(self.find_or_free(hash, suffix)) else {
                return;
            };
            if slot.length == NONE {
                return;
            }
            let number = if before.is_none() {
                slot.exact
            } else {
                slot.wildcard
            };
            if number != NONE {
                // The pass may end before it has seen the first label, so the whole name is looked at once.
                if !checked && has_empty_label(name) {
                    return;
                }
                checked = true;
                hit(number);
            }
        }
    }
}

/// Such a name cannot come from a well-formed question, and `*.x` means names with a label before `x`.
fn has_empty_label(name: &[u8]) -> bool {
    name.split(|&byte| byte == b'.').any(<[u8]>::is_empty)
}

/// The offset basis and prime of FNV-1a, 64 bits.
const SEED: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

#[inline]
const fn extend(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(PRIME)
}

/// Looks any bytes up among a few patterns and compares with the plain definition.
///
/// # Panics
/// If the two disagree.
pub fn fuzz_matcher(name: &[u8]) {
    let patterns = [
        "*.ksn.vendor.example",
        "vendor.example",
        "*.vendor.example",
        "a.ksn.vendor.example",
    ];
    let parsed: Vec<(u32, NamePattern<'_>)> = (0..)
        .zip(patterns)
        .filter_map(|(number, text)| Some((number, NamePattern::parse(text).ok()?)))
        .collect();
    if let Ok(matcher) = Matcher::build(&parsed) {
        assert!(
            matcher.find(name) == naive(&parsed, name),
            "fast and plain matcher disagree"
        );
    }
}

/// The definition, written down plainly: compare labels with every pattern, keep the most specific.
fn naive(patterns: &[(u32, NamePattern<'_>)], name: &[u8]) -> Option<u32> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let labels = |bytes: &[u8]| -> Vec<Vec<u8>> {
        bytes
            .to_ascii_lowercase()
            .split(|&byte| byte == b'.')
            .map(<[u8]>::to_vec)
            .collect()
    };
    let wanted = labels(name);
    if name.len() > NAME_LENGTH_MAX || wanted.iter().any(Vec::is_empty) {
        return None;
    }
    patterns
        .iter()
        .filter(|(_, pattern)| {
            let base = labels(pattern.base.as_bytes());
            if pattern.wildcard {
                wanted.len() > base.len() && wanted.ends_with(&base)
            } else {
                wanted == base
            }
        })
        .max_by_key(|(_, pattern)| (!pattern.wildcard, pattern.base.len()))
        .map(|&(number, _)| number)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test ends at its first surprise"
    )]

    use super::*;
    use proptest::prelude::*;

    fn found(patterns: &[&str], name: &str) -> Option<String> {
        let parsed: Vec<_> = (0..)
            .zip(
                patterns
                    .iter()
                    .map(|text| NamePattern::parse(text).unwrap()),
            )
            .collect();
        let matcher = Matcher::build(&parsed).unwrap();
        let number = matcher.find(name.as_bytes())?;
        patterns.get(number as usize).map(|text| (*text).to_owned())
    }

    #[test]
    fn a_wildcard_means_names_under_it_but_not_itself() {
        assert_eq!(
            found(&["*.vendor.com"], "a.vendor.com").unwrap(),
            "*.vendor.com"
        );
        assert_eq!(
            found(&["*.vendor.com"], "b.a.vendor.com").unwrap(),
            "*.vendor.com"
        );
        assert_eq!(found(&["*.vendor.com"], "vendor.com"), None);
        assert_eq!(found(&["vendor.com"], "a.vendor.com"), None);
    }

    #[test]
    fn only_whole_labels_count() {
        assert_eq!(
            found(&["*.vendor.com", "vendor.com"], "notvendor.com"),
            None
        );
        assert_eq!(
            found(&["*.vendor.com", "vendor.com"], "a.notvendor.com"),
            None
        );
        assert_eq!(
            found(&["*.vendor.com", "vendor.com"], "vendor.com.evil.example"),
            None
        );
        assert_eq!(found(&["vendor.com"], "com"), None);
    }

    #[test]
    fn exact_beats_wildcard_and_longer_beats_shorter() {
        let patterns = ["*.vendor.com", "*.a.vendor.com", "x.a.vendor.com"];
        assert_eq!(
            found(&patterns, "x.a.vendor.com").unwrap(),
            "x.a.vendor.com"
        );
        assert_eq!(
            found(&patterns, "y.a.vendor.com").unwrap(),
            "*.a.vendor.com"
        );
        assert_eq!(
            found(&patterns, "z.x.a.vendor.com").unwrap(),
            "*.a.vendor.com"
        );
        assert_eq!(found(&patterns, "a.vendor.com").unwrap(), "*.vendor.com");
    }

    #[test]
    fn case_and_one_final_dot_do_not_matter() {
        assert_eq!(
            found(&["a.vendor.com"], "A.VenDor.COM.").unwrap(),
            "a.vendor.com"
        );
        assert_eq!(found(&["a.vendor.com"], "a.vendor.com.."), None);
    }

    #[test]
    fn malformed_names_match_nothing() {
        for name in [
            "",
            ".",
            "..",
            ".a.vendor.com",
            "a..vendor.com",
            "x.y..a.vendor.com",
        ] {
            assert_eq!(
                found(&["*.vendor.com", "*.a.vendor.com"], name),
                None,
                "{name:?}"
            );
        }
        let long = format!("{}vendor.com", "a.".repeat(130));
        assert_eq!(found(&["*.vendor.com"], &long), None);
    }

    #[test]
    fn the_same_pattern_twice_is_refused() {
        let parsed: Vec<_> = (0..)
            .zip(["*.a.com", "a.com", "*.a.com"].map(|text| NamePattern::parse(text).unwrap()))
            .collect();
        assert_eq!(
            Matcher::build(&parsed).unwrap_err(),
            Duplicate {
                first: 0,
                second: 2
            }
        );
    }

    /// Few letters and few labels, so that patterns and names often meet.
    fn text() -> impl Strategy<Value = String> {
        proptest::collection::vec("[ab]{1,2}", 2..5).prop_map(|labels| labels.join("."))
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_definition(
            bases in proptest::collection::hash_set((text(), any::<bool>()), 1..30),
            names in proptest::collection::vec("[abAB.]{0,12}", 1..50),
            more in proptest::collection::vec(text(), 1..50),
        ) {
            let owned: Vec<(String, bool)> = bases.into_iter().collect();
            let patterns: Vec<_> =
                (0..).zip(owned.iter().map(|(base, wildcard)| NamePattern { base, wildcard: *wildcard })).collect();
            let matcher = Matcher::build(&patterns).expect("a set has no duplicates");
            for name in names.iter().chain(&more) {
                prop_assert_eq!(matcher.find(name.as_bytes()), naive(&patterns, name.as_bytes()), "{}", name);
            }
        }

        #[test]
        fn any_bytes_agree_with_the_plain_definition(name in proptest::collection::vec(any::<u8>(), 0..300)) {
            fuzz_matcher(&name);
            fuzz_matcher(&[name.as_slice(), b".vendor.example"].concat());
        }
    }
}
