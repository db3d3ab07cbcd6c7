//! What was seen of one host and one vendor, as far as policies ask.

use std::net::IpAddr;

use crate::attribute::{EngineRelation, ValidityDate};
use crate::model::{Confidence, Contact, CountryCode, Purpose, Verdict};

/// One exposure, stripped of how it was seen. Words and days only: judging it needs neither packets nor rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indication {
    /// Where the host is, where inputs were given a site.
    pub site: Option<String>,
    /// The host.
    pub host: IpAddr,
    /// The user's zone that the host is in.
    pub zone: Option<String>,
    /// Identifier of the product's vendor.
    pub vendor: String,
    /// Who owns that vendor, as the rules say.
    pub parent: Option<String>,
    /// Country of the vendor's legal seat; never that of a server.
    pub seat: CountryCode,
    /// Which product, where it is known.
    pub product: Option<String>,
    /// Whose engine works inside.
    pub engine: Option<EngineInside>,
    /// What was contacted or asked for.
    pub purposes: Vec<PurposeSeen>,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether the vendor's side was seen to answer.
    pub contact: Contact,
    /// The best confidence of any sighting.
    pub confidence: Confidence,
    /// Every rule that knew a name is unverified.
    pub unverified_only: bool,
    /// The host speaks for others: a resolver, a proxy, address translation, a vendor's own relay.
    pub relay: bool,
    /// A sighting offered Encrypted ClientHello: the name may be a cover.
    pub ech_offered: bool,
}

/// Whose engine works inside a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineInside {
    /// Identifier of the engine's vendor.
    pub vendor: String,
    /// Who owns that vendor.
    pub parent: Option<String>,
    /// Country of its legal seat.
    pub seat: CountryCode,
    /// How the engine is inside.
    pub relation: EngineRelation,
}

/// How often one service was contacted, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurposeSeen {
    /// The service.
    pub purpose: Purpose,
    /// Messages or flows.
    pub contacts: u64,
    /// Questions for its names.
    pub questions: u64,
    /// Day of the first sighting, in UTC.
    pub first_seen: ValidityDate,
    /// Day of the last.
    pub last_seen: ValidityDate,
}
