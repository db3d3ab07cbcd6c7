//! Words that every stage shares: time, addresses' neighbours, kinds of evidence, purposes, countries.
//!
//! **Invariants**: imports nothing of ours; every closed set has one word a member, used alike in rules, events and metrics.

mod closed_set;
mod words;

pub(crate) use closed_set::closed_set;
pub use words::{
    Confidence, CountryCode, EvidenceKind, NotACountryCode, Purpose, SourceClass, UnknownWord,
};
