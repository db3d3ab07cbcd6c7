//! Policies and what was seen in; what the evidence indicates under each policy, and what only people can answer, out.
//!
//! `policy_file.rs` reads a policy, `registry.rs` has all of them, `judge.rs` is the one function that decides; `calendar.rs` counts
//! days, `record.rs` keeps what people identified.
//!
//! **Invariants**: a judgement is a function of a policy, what an organisation declares, and an [`Indication`]; it says what
//! evidence indicates and never that a law is broken. No role is assumed. No packet starts a clock.

mod calendar;
mod exemption;
mod indication;
mod judge;
mod policy_file;
mod record;
mod registry;
mod words;

pub use calendar::{CalendarError, Holidays, parse_day};
pub use exemption::{Exemption, ExemptionTable};
pub use indication::{EngineInside, Indication, PurposeSeen};
pub use judge::{Judgement, Organisation, judge};
pub use policy_file::{Clock, Fact, Milestone, Policy, PolicyTable};
pub use record::{Deadline, Identified, Record, RecordError, Recorded, deadlines};
pub use registry::{FOLDER as POLICY_FOLDER, Policies, PolicyError};
pub use words::{
    Basis, ClockStart, DayKind, Embedded, FactAbout, Outcome, PolicyKind, ReadStatus, Reason, Role,
};

/// Stands beside every finding.
pub const DISCLAIMER: &str = "What packets indicate under policies that were declared. Not legal advice: whether a rule is violated is for people.";
