//! What a replay came to → a table for people, JSON, or CSV.
//!
//! **Invariants**: every format shows the same facts; a table says what it cannot see; nothing is shown that was not counted.

mod coverage_by_zone;
mod csv;
mod decryption;
mod findings;
mod findings_table;
mod hosts;
mod hosts_seen;
mod inputs;
mod json;
mod news;
mod summary;
mod table;
mod table_exposures;
mod table_news;

pub use self::csv::write_csv;
pub use coverage_by_zone::{BytesView, CountsView, CoverageByZone, HourView, ZoneView};
pub use findings::{ClockView, EvidenceView, FindingView, Findings, PolicyInForce, Results};
pub use hosts::{Describer, HostView, LeaseView, NameView, RoleView, VlanView, Who};
pub use hosts_seen::{Apart, HostsSeen};
pub use inputs::Reading;
pub use json::write_json;
pub use news::News;
pub use summary::{EngineView, ExposureView, PurposeView, SightingView, Summary, exposure_id};
pub use table::{Style, write_table};
