//! What a snapshot knows besides rules: who the vendors are, whose engines work in whose products, what can be seen.

use super::relays::Relay;
use super::rule_file::{EngineRelation, Visibility};
use super::ruleset::VendorId;
use super::validity::Validity;
use crate::model::{Confidence, CountryCode, SourceClass};

/// Who is behind names: a company, with its legal seat.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// Position in the snapshot.
    pub number: VendorId,
    /// The word for this vendor in rules, events and metrics.
    pub id: String,
    /// The company's registered name.
    pub legal_name: String,
    /// Country of the legal seat; never derived from addresses.
    pub jurisdiction: CountryCode,
    /// What the country alone does not say: holdings, moves.
    pub jurisdiction_note: Option<String>,
    /// The company that owns this one.
    pub parent: Option<String>,
    /// Products on the market.
    pub products: Vec<String>,
    /// What a reader of an attribution should know.
    pub notes: Vec<String>,
    /// Whose engines the vendor's products carry.
    pub engine_uses: Vec<EngineUse>,
    /// Whose products carry the vendor's engine, where those have no file of their own.
    pub engine_licences: Vec<EngineLicence>,
    /// What of the vendor can be seen on the wire.
    pub detectability: Vec<Detectability>,
    /// Organisations that the vendor's certificates name. Nothing is matched by them so far.
    pub certificates: Vec<Certificate>,
    /// Relays of the vendor inside networks.
    pub relays: Vec<Relay>,
}

/// Whose engine works inside a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Engine {
    /// The engine's vendor.
    pub vendor: VendorId,
    /// How the engine is inside.
    pub relation: EngineRelation,
}

/// A product of the vendor carries somebody's engine, whether or not a rule can see it.
#[derive(Clone, Debug)]
pub struct EngineUse {
    /// The product, or the line of products.
    pub product: String,
    /// Whose engine, and how it is inside.
    pub engine: Engine,
    /// The engine's own name.
    pub engine_name: Option<String>,
    /// When, as far as known.
    pub period: Option<String>,
    /// The days that the period gives, where it gives any.
    pub validity: Validity,
    /// What shows on the wire.
    pub network_sign: Option<String>,
    /// Whether the engine shows on the wire; `None`: not known.
    pub visible: Option<bool>,
    /// How sure the fact is.
    pub confidence: Confidence,
    /// Citation.
    pub source: String,
}

/// The vendor's engine works inside a product of somebody who has no rule file.
#[derive(Clone, Debug)]
pub struct EngineLicence {
    /// Whose product.
    pub partner: String,
    /// The product, if one is named.
    pub product: Option<String>,
    /// How the engine is inside.
    pub relation: EngineRelation,
    /// The engine's own name.
    pub engine_name: Option<String>,
    /// When, as far as known.
    pub period: Option<String>,
    /// The days that the period gives, where it gives any.
    pub validity: Validity,
    /// What shows on the wire.
    pub network_sign: Option<String>,
    /// Whether the engine shows on the wire; `None`: not known.
    pub visible: Option<bool>,
    /// How sure the fact is.
    pub confidence: Confidence,
    /// Citation.
    pub source: String,
}

/// What can be seen of a vendor, or of one of its products or engines, on the wire.
#[derive(Clone, Debug)]
pub struct Detectability {
    /// The product meant; `None`: not this one in particular.
    pub product: Option<String>,
    /// The engine meant; `None`: not this one in particular.
    pub engine: Option<String>,
    /// How much shows.
    pub visibility: Visibility,
    /// Why.
    pub why: String,
    /// How often the product makes itself known, where a source says so.
    pub contact: Option<String>,
    /// The same as a number.
    pub interval: Option<ContactInterval>,
    /// Whether this was concluded from the rules of the file, and not stated by a source.
    pub derived: bool,
}

/// How long it takes until an installation, left as it comes, contacts its vendor again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactInterval {
    /// In seconds.
    pub seconds: u32,
    /// Citation.
    pub source: String,
}

/// An organisation that certificates of the vendor's servers name.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The organisation, as in the subject.
    pub organisation: String,
    /// How sure the fact is.
    pub confidence: Confidence,
    /// Citation.
    pub source: String,
    /// What kind of source that is.
    pub source_class: SourceClass,
}

/// Names that no rule may claim, with the reason.
#[derive(Clone, Debug)]
pub struct Negative {
    /// The pattern, as for rules.
    pub pattern: String,
    /// Why the names mean nothing.
    pub why: String,
    /// Citation.
    pub source: String,
    /// The vendor in whose file it stands.
    pub vendor: VendorId,
}
