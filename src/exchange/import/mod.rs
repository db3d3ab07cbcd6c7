//! Lists of others in, a rule file of the user's own out: [`csv`], [`misp`] and [`stix`] read candidates, [`Plan`] says what becomes of
//! each, [`write`](write::files) makes the files.
//!
//! **Invariants**: nothing that was not understood becomes a rule, all of it is counted; an imported fact never rests on more than the
//! word of a list; no name that rules must not claim gets in.

pub mod csv;
mod facts;
mod indicator;
pub mod misp;
mod plan;
pub mod stix;
mod stix_pattern;
mod write;

use std::collections::BTreeMap;

use crate::attribute::PatternKind;

pub use facts::Facts;
pub use plan::{Added, Options, Plan, Refused};
pub use write::files;

/// Candidates that one list may have: the largest public lists of names have a million, of one vendor no thousand.
pub const CANDIDATES_MAX: usize = 200_000;

/// A pattern that a list holds, with what the list says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where in the list, for messages.
    pub at: String,
    /// What it is compared with.
    pub kind: PatternKind,
    /// The pattern, as the list has it.
    pub text: String,
    /// What the list says of it.
    pub facts: Facts,
}

/// What was read of a list.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// What may become a rule.
    pub candidates: Vec<Candidate>,
    /// What was not understood, or is not for a sensor, by reason.
    pub passed: BTreeMap<String, u64>,
    /// What the list calls itself.
    pub title: Option<String>,
}

/// A list that is none.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The text is no JSON.
    #[error("no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The text is no table.
    #[error("no CSV: {0}")]
    Csv(#[from] ::csv::Error),
    /// JSON of another kind.
    #[error("{0}")]
    Shape(&'static str),
}

impl Read {
    fn pass(&mut self, reason: impl Into<String>) {
        *self.passed.entry(reason.into()).or_default() += 1;
    }

    fn add(&mut self, candidate: Candidate) {
        if self.candidates.len() < CANDIDATES_MAX {
            self.candidates.push(candidate);
        } else {
            self.pass(format!("beyond the {CANDIDATES_MAX} that a list may have"));
        }
    }

    /// Adds what a value of a list means; a value that means nothing to a sensor is counted.
    fn add_value(&mut self, at: String, value: &str, facts: Facts) {
        match indicator::of_value(value) {
            Ok(found) => {
                if found.left_out_path {
                    self.pass(
                        "paths of URLs: their hosts were taken, a path alone would mean every host",
                    );
                }
                let (kind, text) = (found.kind, found.text);
                self.add(Candidate {
                    at,
                    kind,
                    text,
                    facts,
                });
            }
            Err(reason) => self.pass(reason),
        }
    }
}

/// A name as rules write it: lower case, without the final dot, `*.x` for what other lists write as `.x`.
pub(super) fn normal_name(text: &str) -> String {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix('.').unwrap_or(&text);
    match text.strip_prefix('.') {
        Some(zone) => format!("*.{zone}"),
        None => text.to_owned(),
    }
}

/// Reads any text as a list of each format, and makes rule files of it.
///
/// # Panics
/// If what is made is no rule file: a mistake here, never in the text.
pub fn fuzz_lists(text: &str) {
    stix::fuzz_stix_pattern(text);
    let Ok(base) = crate::attribute::RuleFiles::from_files(Vec::new()) else {
        return;
    };
    let options = Options {
        vendors: vec!["acme".to_owned()],
        legal_name: Some("Acme".to_owned()),
        seat: "CH".parse().ok(),
        purpose: crate::model::Purpose::Unknown,
        confidence: None,
        source_class: crate::model::SourceClass::List,
        title: "a list".to_owned(),
        version: "of today".to_owned(),
        checked: crate::attribute::ValidityDate::of_unix_seconds(1_764_000_000),
    };
    for read in [csv::read(text), misp::read(text), stix::read(text)] {
        let Ok(read) = read else { continue };
        let Ok(plan) = Plan::of(read, &base, &options) else {
            continue;
        };
        for (name, text) in files(&plan, &base, &options) {
            let file = crate::attribute::SourceFile::parse(&name, &text);
            let files = file.and_then(|file| crate::attribute::RuleFiles::from_files(vec![file]));
            let report = files.and_then(|files| crate::attribute::check::test_files(&files));
            // A wildcard and a name under it, both new, may say the same.
            assert!(
                report.as_ref().is_ok_and(
                    |report| report.duplicates.is_empty() && report.contradicting.is_empty()
                ),
                "{report:?} of {text}"
            );
        }
    }
}
