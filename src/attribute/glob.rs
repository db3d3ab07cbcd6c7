//! A User-Agent or the path and query of a URI in, the number of the most specific glob that means it out.
//!
//! `*` stands for any bytes, also none, anywhere in a glob; both ends are anchored; `\*` and `\\` are a star and a
//! backslash. Bytes are compared as they are: paths distinguish case ([RFC 3986 §6.2.2.1]), and programs write
//! their own User-Agent always the same way, so that another case is another program.
//!
//! Without any wildcard but `*` the leftmost place of each part is as good as any other: nothing is tried twice,
//! and each part is found in linear time. Globs that begin with text are sorted by their first byte, so that
//! most texts are compared with few. Of several the one with the most text decides, then the one with fewer stars.
//!
//! **Invariants**: no allocation in a look-up; work is at most globs × length of the text, and both are bounded.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use memchr::memmem::Finder;

/// Longest glob; the longest known User-Agents of security products stay below half of it.
pub(crate) const GLOB_LENGTH_MAX: usize = 256;
/// Most stars in a glob: each costs one search.
const GLOB_STARS_MAX: usize = 8;
/// Least text in a glob: shorter ones mean what many programs say.
const GLOB_TEXT_MIN: usize = 4;
/// Longest text that is compared: servers refuse longer header lines ([RFC 9112 §3] asks for 8,000 octets for a request line).
pub(crate) const GLOB_SUBJECT_MAX: usize = 8192;

/// Why a text is no glob.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobProblem {
    /// Beyond the bound.
    #[error("the pattern is longer than {GLOB_LENGTH_MAX} bytes")]
    TooLong,
    /// Beyond the bound.
    #[error("the pattern has more than {GLOB_STARS_MAX} stars")]
    TooManyStars,
    /// Too little text besides stars.
    #[error(
        "the pattern has less than {GLOB_TEXT_MIN} bytes besides stars and would mean too much"
    )]
    TooWide,
    /// A backslash before anything but a star or a backslash.
    #[error("a backslash stands before \"*\" or \"\\\" only")]
    Escape,
    /// A control character, which no header and no URI can hold.
    #[error("the character {0:?} cannot stand in a header or a URI")]
    Control(char),
    /// Two stars in a row mean what one means.
    #[error("two stars in a row; one means the same")]
    StarTwice,
}

/// A glob taken apart: the texts between its stars, from first to last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// One more than there are stars; only the first and the last may be empty.
    parts: Vec<Vec<u8>>,
}

impl Glob {
    /// Takes a glob apart and checks it.
    pub fn parse(text: &str) -> Result<Self, GlobProblem> {
        if text.len() > GLOB_LENGTH_MAX {
            return Err(GlobProblem::TooLong);
        }
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let mut part = Vec::new();
        let mut characters = text.chars();
        let mut after_star = false;
        while let Some(character) = characters.next() {
            let literal = match character {
                '*' if after_star => return Err(GlobProblem::StarTwice),
                '*' => {
                    parts.push(std::mem::take(&mut part));
                    after_star = true;
                    continue;
                }
                '\\' => match characters.next() {
                    Some(escaped @ ('*' | '\\')) => escaped,
                    _ => return Err(GlobProblem::Escape),
                },
                control if control.is_control() => return Err(GlobProblem::Control(control)),
                other => other,
            };
            after_star = false;
            part.extend_from_slice(literal.encode_utf8(&mut [0; 4]).as_bytes());
        }
        parts.push(part);
        if parts.len().saturating_sub(1) > GLOB_STARS_MAX {
            return Err(GlobProblem::TooManyStars);
        }
        let glob = Self { parts };
        if glob.literal_length() < GLOB_TEXT_MIN {
            return Err(GlobProblem::TooWide);
        }
        Ok(glob)
    }

    /// The texts between its stars, from first to last: one more than there are stars.
    pub fn parts(&self) -> &[Vec<u8>] {
        &self.parts
    }

    /// Whether every text that the other means is meant by this one, as far as the stars of this one take those of the other.
    pub fn covers(&self, other: &Self) -> bool {
        // A control character stands in no glob: only a star of this one can take it.
        Compiled::new(0, self).means(&other.parts.join(&b"\x01"[..]))
    }

    /// Bytes besides stars.
    fn literal_length(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }

    /// Of two globs that mean the same text the greater decides.
    fn weight(&self) -> (usize, std::cmp::Reverse<usize>) {
        (self.literal_length(), std::cmp::Reverse(self.parts.len()))
    }

    /// A text that the glob means, for tests of precedence.
    pub fn probe(&self) -> Vec<u8> {
        self.parts.join(&b"any-text"[..])
    }
}

/// A glob ready to be compared.
#[derive(Clone, Debug)]
struct Compiled {
    number: u32,
    prefix: Vec<u8>,
    middle: Vec<Finder<'static>>,
    /// `None`: the glob has no star, and `prefix` is all of it.
    suffix: Option<Vec<u8>>,
    weight: (usize, std::cmp::Reverse<usize>),
}

impl Compiled {
    fn new(number: u32, glob: &Glob) -> Self {
        let weight = glob.weight();
        let (first, rest) = match glob.parts.split_first() {
            Some((first, rest)) => (first.clone(), rest),
            None => (Vec::new(), &[][..]),
        };
        let (suffix, middle) = match rest.split_last() {
            Some((last, middle)) => (Some(last.clone()), middle),
            None => (None, &[][..]),
        };
        Self {
            number,
            prefix: first,
            middle: middle
                .iter()
                .map(|part| Finder::new(part.as_slice()).into_owned())
                .collect(),
            suffix,
            weight,
        }
    }

    fn means(&self, text: &[u8]) -> bool {
        let Some(mut rest) = text.strip_prefix(self.prefix.as_slice()) else {
            return false;
        };
        let Some(suffix) = &self.suffix else {
            return rest.is_empty();
        };
        match rest.strip_suffix(suffix.as_slice()) {
            Some(before) => rest = before,
            None => return false,
        }
        for part in &self.middle {
            let Some(at) = part.find(rest) else {
                return false;
            };
            let after = at.saturating_add(part.needle().len());
            rest = rest.get(after..).unwrap_or_default();
        }
        true
    }
}

/// Compiled globs; numbers are given by whoever compiles them.
#[derive(Clone, Debug, Default)]
pub(crate) struct GlobSet {
    /// Ordered by first byte, then by weight, the heaviest first.
    anchored: Vec<Compiled>,
    /// Those that begin with a star, the heaviest first.
    floating: Vec<Compiled>,
}

impl GlobSet {
    /// Compiles globs under their numbers.
    pub fn build(globs: &[(u32, Glob)]) -> Self {
        let (mut anchored, mut floating): (Vec<_>, Vec<_>) = globs
            .iter()
            .map(|(number, glob)| Compiled::new(*number, glob))
            .partition(|glob| !glob.prefix.is_empty());
        let heaviest_first =
            |a: &Compiled, b: &Compiled| (b.weight, a.number).cmp(&(a.weight, b.number));
        anchored.sort_by(|a, b| {
            (a.prefix.first())
                .cmp(&b.prefix.first())
                .then_with(|| heaviest_first(a, b))
        });
        floating.sort_by(heaviest_first);
        Self { anchored, floating }
    }

    /// Number of the most specific glob that means `text` and that `wanted` takes.
    #[inline]
    pub fn find(&self, text: &[u8], wanted: impl Fn(u32) -> bool) -> Option<u32> {
        let first = *text.first()?;
        if text.len() > GLOB_SUBJECT_MAX {
            return None;
        }
        let hit = |glob: &&Compiled| glob.means(text) && wanted(glob.number);
        let anchored = self.beginning_with(first).iter().find(hit);
        let floating = self.floating.iter().find(hit);
        let best = match (anchored, floating) {
            (Some(a), Some(b)) if b.weight > a.weight => b,
            (Some(a), _) => a,
            (None, b) => b?,
        };
        Some(best.number)
    }

    /// Numbers of all globs that mean `text`, the deciding one first.
    pub fn find_all(&self, text: &[u8]) -> Vec<u32> {
        let Some(&first) = text.first() else {
            return Vec::new();
        };
        if text.len() > GLOB_SUBJECT_MAX {
            return Vec::new();
        }
        let mut all: Vec<&Compiled> = self
            .beginning_with(first)
            .iter()
            .chain(&self.floating)
            .filter(|glob| glob.means(text))
            .collect();
        // Stable: an anchored glob stays before a floating one of the same weight.
        all.sort_by_key(|glob| std::cmp::Reverse(glob.weight));
        all.iter().map(|glob| glob.number).collect()
    }

    fn beginning_with(&self, first: u8) -> &[Compiled] {
        let key = |glob: &Compiled| glob.prefix.first().copied();
        let start = self
            .anchored
            .partition_point(|glob| key(glob) < Some(first));
        let end = self
            .anchored
            .partition_point(|glob| key(glob) <= Some(first));
        self.anchored.get(start..end).unwrap_or_default()
    }
}

/// Compares any glob with any text, and the answer with the plain definition.
///
/// # Panics
/// If the two disagree.
pub fn fuzz_glob(glob: &str, text: &[u8]) {
    let Ok(parsed) = Glob::parse(glob) else {
        return;
    };
    // The plain definition is quadratic.
    let text = text.get(..512).unwrap_or(text);
    let expected = naive(&parsed, text) && !text.is_empty();
    let set = GlobSet::build(&[(7, parsed.clone())]);
    assert!(
        set.find(text, |_| true) == expected.then_some(7)
            && set.find_all(text).len() == usize::from(expected),
        "fast and plain glob disagree"
    );
    assert!(
        set.find(&parsed.probe(), |_| true) == Some(7),
        "a glob does not mean its own probe"
    );
}

/// The definition, written down plainly: a table of which beginnings of the glob mean which beginnings of the text.
fn naive(glob: &Glob, text: &[u8]) -> bool {
    let mut steps: Vec<Option<u8>> = Vec::new();
    for (number, part) in glob.parts.iter().enumerate() {
        if number > 0 {
            steps.push(None);
        }
        steps.extend(part.iter().copied().map(Some));
    }
    let mut reached = vec![false; text.len().saturating_add(1)];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for step in steps {
        let mut next = vec![false; reached.len()];
        let mut before = false;
        for at in 0..reached.len() {
            let here = reached.get(at).copied().unwrap_or_default();
            let arrives = match step {
                None => here || before,
                Some(byte) => at.checked_sub(1).is_some_and(|left| {
                    text.get(left) == Some(&byte) && reached.get(left) == Some(&true)
                }),
            };
            if let Some(slot) = next.get_mut(at) {
                *slot = arrives;
            }
            before = arrives;
        }
        reached = next;
    }
    reached.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        reason = "a test ends at its first surprise"
    )]

    use super::*;
    use proptest::prelude::*;

    fn found(globs: &[&str], text: &str) -> Option<String> {
        let parsed: Vec<(u32, Glob)> = (0..)
            .zip(globs.iter().map(|glob| Glob::parse(glob).unwrap()))
            .collect();
        let number = GlobSet::build(&parsed).find(text.as_bytes(), |_| true)?;
        Some(globs[number as usize].to_owned())
    }

    #[test]
    fn both_ends_are_anchored() {
        assert_eq!(found(&["SAVAPI*"], "SAVAPI4.15"), Some("SAVAPI*".into()));
        assert_eq!(found(&["SAVAPI*"], "SAVAPI"), Some("SAVAPI*".into()));
        assert_eq!(found(&["SAVAPI*"], "Mozilla SAVAPI4"), None);
        assert_eq!(found(&["/a.dll"], "/a.dll"), Some("/a.dll".into()));
        assert_eq!(found(&["/a.dll"], "/a.dll?x=1"), None);
        assert_eq!(found(&["/abc*xyz"], "/abcyz"), None);
        assert_eq!(found(&["/abc*cba"], "/abcba"), None);
    }

    #[test]
    fn stars_stand_anywhere_and_case_counts() {
        let update = "ESS Update (Windows; U; 64bit; *BPC *";
        let sent = "ESS Update (Windows; U; 64bit; VDB 1; BPC 9.0; OS: 10)";
        assert_eq!(found(&[update], sent), Some(update.into()));
        assert_eq!(found(&[update], &sent.to_lowercase()), None);
        assert_eq!(
            found(&["*Kerio_Updater*"], "a Kerio_Updater b"),
            Some("*Kerio_Updater*".into())
        );
    }

    #[test]
    fn an_escaped_star_is_a_star() {
        assert_eq!(found(&[r"\*B0cB*"], "*B0cBAA"), Some(r"\*B0cB*".into()));
        assert_eq!(found(&[r"\*B0cB*"], "xB0cBAA"), None);
        assert_eq!(found(&[r"a\\b\*"], r"a\b*"), Some(r"a\\b\*".into()));
    }

    #[test]
    fn more_text_decides_then_fewer_stars() {
        let globs = ["DrWeb*", "DrWebUpdate-*", "*Web*ate-*", "*Update-6.00*"];
        assert_eq!(
            found(&globs, "DrWebUpdate-6.00.1"),
            Some("DrWebUpdate-*".into())
        );
        assert_eq!(found(&globs, "DrWeb Scanner"), Some("DrWeb*".into()));
        assert_eq!(found(&["*abcd*", "abcd*"], "abcd"), Some("abcd*".into()));
        let set = GlobSet::build(&[
            (0, Glob::parse("abcd*").unwrap()),
            (1, Glob::parse("abcde*").unwrap()),
            (2, Glob::parse("*cdefg").unwrap()),
        ]);
        assert_eq!(set.find_all(b"abcdefg"), [1, 2, 0]);
        assert_eq!(set.find(b"abcdefg", |number| number != 1), Some(2));
    }

    #[test]
    fn what_means_too_much_or_nothing_is_refused() {
        let problem = |text: &str| Glob::parse(text).unwrap_err();
        assert_eq!(problem(""), GlobProblem::TooWide);
        assert_eq!(problem("*abc"), GlobProblem::TooWide);
        assert_eq!(problem("abcd**"), GlobProblem::StarTwice);
        assert_eq!(problem(r"abcd\d"), GlobProblem::Escape);
        assert_eq!(problem("abcd\n"), GlobProblem::Control('\n'));
        assert_eq!(problem("a*b*c*d*e*f*g*h*i*j"), GlobProblem::TooManyStars);
        assert_eq!(problem(&"a".repeat(257)), GlobProblem::TooLong);
    }

    #[test]
    fn a_text_beyond_the_bound_is_not_compared() {
        assert_eq!(
            found(&["abcd*"], &"abcd".repeat(GLOB_SUBJECT_MAX / 4)),
            Some("abcd*".into())
        );
        assert_eq!(found(&["abcd*"], &"abcd".repeat(GLOB_SUBJECT_MAX)), None);
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_definition(glob in "[ab*]{4,10}", text in "[ab]{0,14}") {
            fuzz_glob(&glob, text.as_bytes());
        }

        #[test]
        fn any_text_agrees(glob in "[\\x20-\\x7e]{0,20}", text in proptest::collection::vec(any::<u8>(), 0..60)) {
            fuzz_glob(&glob, &text);
        }
    }
}
