//! Ordered events of all shards → what a person wants to know: exposures, and an account of every byte.
//!
//! **Invariants**: events arrive in the order of their keys, whatever the number of workers; every table has a bound and counts
//! what it refused; sums are kept so that [`Conservation`] can compare them with what was read.

mod bytes;
mod conservation;
mod event;
mod exposure;
mod home_hint;
mod ledger;

pub use bytes::{ByteLedger, Traffic};
pub use conservation::{Conservation, Equation};
pub use event::{
    EventKey, EventRef, EventRun, Evidence, FlowOpened, FlowReported, NameObserved, Ordinal,
    TextRef,
};
pub use exposure::{EvidenceSample, Exposure, ExposureKey, Exposures};
pub use home_hint::{HomeHint, ProposedHome};
pub use ledger::{Ledger, LedgerCounters};
