//! What an export wrote, and what its format could not carry, by reason.

use std::collections::BTreeMap;

/// Counts of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Patterns that were written.
    pub written: u64,
    /// Patterns that were not, by reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// What a reader of the export should know.
    pub notes: Vec<String>,
}

impl LeftOut {
    /// Counts a pattern that the format cannot carry.
    pub fn add(&mut self, reason: &'static str) {
        *self.reasons.entry(reason).or_default() += 1;
    }

    /// Patterns that were not written.
    pub fn total(&self) -> u64 {
        self.reasons.values().sum()
    }
}

impl std::fmt::Display for LeftOut {
    /// A line for what was written, one for each reason, one for each note.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = self.written + self.total();
        writeln!(f, "{} of {of} patterns written", self.written)?;
        for (reason, count) in &self.reasons {
            writeln!(f, "left out: {count} {reason}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}
