//! What was watched, and how something shows itself → whether it means anything that it was not seen.
//!
//! [`chance`] is the statistics, pure functions that know nothing of packets. [`statements`] puts together what the ledger watched, what the
//! rules say of the subject, and how long it takes between contacts. `docs/ABSENCE.md` has the formulas and the assumptions.
//!
//! **Invariants**: no number without an interval that was measured or that a source states; nothing is said to be absent that could not
//! have been seen; whatever lowers a statement is named.

pub mod chance;
mod contacts;
mod demands;
mod statement;
mod subject;
mod words;

pub use contacts::Contacts;
pub use demands::Demands;
pub use statement::{
    Basis, Cause, Numbers, SeenHere, Statement, Visible, Watched, percent, statements,
};
pub use subject::{Subject, SubjectError};
pub use words::{AbsenceWord, CauseWord};

/// A harmless name that a person sent from a zone on purpose: it shows that contacts from there reach the sensor.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Canary {
    /// When it was seen, as RFC 3339.
    pub seen: String,
    /// By which evidence.
    pub evidence: String,
}
