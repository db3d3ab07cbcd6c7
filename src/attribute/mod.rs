//! Rule files in, verdicts out: which vendor, product and purpose a name, a User-Agent, a URI or a network stands for.
//!
//! **Invariants**: a [`Ruleset`] never changes once built; a look-up allocates nothing and cannot panic;
//! a rule file that is wrong in any way yields an error that names file and line, and no rules.

mod builder;
pub mod check;
mod confidence;
mod error;
mod facts;
mod glob;
mod matcher;
mod name_pattern;
mod networks;
mod place;
mod relays;
mod resolvers;
mod rule_file;
mod ruleset;
mod source_files;
mod validity;
mod well_formed;

pub use confidence::attributed_confidence;
pub use error::RulesError;
pub use facts::{
    Certificate, ContactInterval, Detectability, Engine, EngineLicence, EngineUse, Negative, Vendor,
};
pub use glob::{Glob, GlobProblem, fuzz_glob};
pub use matcher::fuzz_matcher;
pub use name_pattern::{NamePattern, PatternProblem};
pub(crate) use place::Place;
pub use relays::{Relay, RelayPort};
pub use resolvers::{Resolver, Resolvers, ResolversError};
pub(crate) use rule_file::is_identifier;
pub use rule_file::{EngineRelation, Indicates, Visibility, WireProtocol, fuzz_rule_file};
pub use ruleset::{PatternKind, Rule, RuleId, RuleMatch, Ruleset, VendorId};
pub use source_files::{RuleFiles, SourceFile};
pub use validity::{Validity, ValidityDate};
pub(crate) use well_formed::{rule_date, validity};
