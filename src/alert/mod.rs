//! What happened, beside what is known from before → what somebody should look at.
//!
//! [`AlertEngine`] hears events after the ledger, in their order, so the number of workers cannot show. What it knows from before is a
//! [`State`], which is merged with what was learnt by taking the earlier, the later or the larger: the same capture again changes nothing.
//!
//! **Invariants**: an alert's `id` comes from what it is about and not from when or in which run it was raised; every list has a
//! bound; nothing here labels a name as a vendor's.

mod canary;
mod engine;
mod expected;
mod organisations;
mod own_domains;
mod state;
mod uncovered;
mod uploads;

pub use canary::{
    CANARY_PREFIX, Canary, CanarySighting, CanaryStanding, CanaryWatch, TEST_TOKEN, TOKEN_CHARS,
};
pub use engine::{AlertEngine, AlertSettings};
pub use expected::{Expected, ExpectedZone, Silent};
pub use state::{KnownExposure, State, StateError, StateKey};
pub use uncovered::{Suggestion, SuggestionReason};
pub use uploads::UploadLimits;

use std::net::IpAddr;

use serde::Serialize;

use crate::model::{Confidence, CountryCode, EvidenceKind, Severity, closed_set};

closed_set! {
    /// What an alert is about.
    pub enum AlertKind {
        /// A vendor was seen in a zone for the first time, by evidence that counts.
        FirstSight = "first_sight",
        /// A host sent a vendor more within an hour than is allowed.
        UploadThreshold = "upload_threshold",
        /// A host sent a vendor far more within an hour than it used to.
        UploadAbovePast = "upload_above_past",
        /// A vendor's servers were reached in a country where they never were before.
        NewCountry = "new_country",
        /// Active hosts of a zone do not speak to the vendor that is expected there.
        ExpectedMissing = "expected_missing",
    }
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// Names the alert: 16 hexadecimal digits of kind and dedupe key, the same in every run.
    pub id: String,
    /// What it is about.
    pub kind: AlertKind,
    /// How urgent it is.
    pub severity: Severity,
    /// What must be equal for two alerts to be the same one.
    pub dedupe_key: String,
    /// Packet time of what raised it.
    pub timestamp: String,
    /// Packet time of the latest that would have raised it.
    pub last_seen: String,
    /// How often it would have been raised.
    pub count: u64,
    /// Where the sensor stands, where that was given.
    pub site: Option<String>,
    /// The zone of the configuration.
    pub zone: Option<String>,
    /// The host, where it is about one.
    pub host: Option<IpAddr>,
    /// Identifier of the vendor.
    pub vendor: String,
    /// Country of its legal seat.
    pub vendor_seat: CountryCode,
    /// The product, where it is known.
    pub product: Option<String>,
    /// The vendor of the engine inside it.
    pub engine_vendor: Option<String>,
    /// Country of the engine vendor's legal seat.
    pub engine_seat: Option<CountryCode>,
    /// One sentence for people.
    pub message: String,
    /// What was measured: bytes, hosts.
    pub value: Option<u64>,
    /// What it was compared with.
    pub threshold: Option<u64>,
    /// The sighting it rests on.
    pub evidence: Option<AlertEvidence>,
}

/// The sighting that an alert rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertEvidence {
    /// What kind of fact.
    pub kind: EvidenceKind,
    /// The name.
    pub value: String,
    /// The rule that knew it.
    pub rule_id: String,
    /// The rule's confidence, weighed by the kind of evidence.
    pub confidence: Confidence,
    /// Position of the frame in the whole input.
    pub seq: u64,
    /// XXH3-64 of the frame's bytes.
    pub frame_xxh3: String,
    /// Timestamp of the frame.
    pub timestamp: String,
    /// The flow.
    pub flow_id: u64,
    /// The server contacted.
    pub server_ip: IpAddr,
}
