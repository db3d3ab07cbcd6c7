//! Rule files in, verdicts about names out: which vendor, product and purpose a name stands for.
//!
//! **Invariants**: a [`Ruleset`] never changes once built; a look-up allocates nothing and cannot panic;
//! a rule file that is wrong in any way yields an error that names file and line, and no rules.

pub mod check;
mod confidence;
mod error;
mod matcher;
mod rule_file;
mod ruleset;
mod source_files;

pub use confidence::attributed_confidence;
pub use error::RulesError;
pub use matcher::fuzz_matcher;
pub use rule_file::{
    EngineRelation, Indicates, NamePattern, PatternProblem, WireProtocol, fuzz_rule_file,
};
pub use ruleset::{
    Engine, EngineUse, Rule, RuleId, RuleMatch, Ruleset, ValidityDate, Vendor, VendorId,
};
pub use source_files::{RuleFiles, SourceFile};
