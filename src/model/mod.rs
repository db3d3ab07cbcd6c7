//! Words that every stage shares: time, kinds of evidence, coverage, purposes, countries.
//!
//! **Invariants**: imports nothing of ours; every closed set has one word a member, used alike in rules, events and metrics.

mod app_protocol;
mod closed_set;
mod coverage;
mod decryption;
mod host_facts;
mod host_words;
mod redact;
mod text;
mod time;
mod tls_version;
mod words;

pub use app_protocol::{AppProtocol, Carries};
pub(crate) use closed_set::closed_set;
pub use coverage::{Coverage, Locality};
pub use decryption::DecryptFailure;
pub use host_facts::{AddressState, DhcpType, HostFactKind};
pub use host_words::{HostRole, NatSign, SystemFamily, TenancyCause};
pub use redact::{REDACTED, redact_identifiers, redact_target, redacted};
pub use text::{civil_seconds, printable, rfc3339};
pub use time::{Tick, Timestamp};
pub use tls_version::tls_version_word;
pub use words::{
    AttemptOutcome, Confidence, Contact, CountryCode, DnsOutcome, EvidenceKind, NotACountryCode,
    Purpose, Severity, SourceClass, UnknownWord, Verdict,
};
