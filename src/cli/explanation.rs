//! What `avscope explain` answers, as `docs/explain.schema.json` has it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::attribute::{EngineRelation, Indicates, Visibility};
use crate::model::{Confidence, CountryCode, Purpose, SourceClass};

/// The answer. Its fields are those of `docs/explain.schema.json`.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// `name`, `address`, `user_agent` or `uri`.
    pub kind: &'static str,
    /// What was asked.
    pub asked: String,
    /// What the deciding rule says; none if nobody knows the subject.
    pub verdict: Option<Verdict>,
    /// Rules that also mean the subject, the nearest to the deciding one first.
    pub passed_over: Vec<PassedOver>,
    /// For an address: where it is and who runs the network.
    pub address: Option<Address>,
    /// Why there is no verdict, and what comes near.
    pub unknown: Option<Unknown>,
    /// What the answer rests on.
    pub basis: Basis,
}

/// A company and its seat.
#[derive(Debug, Serialize)]
pub struct Company {
    /// The word in rules and events.
    pub id: String,
    /// The registered name.
    pub legal_name: String,
    /// Country of the legal seat.
    pub jurisdiction: CountryCode,
    /// What the country alone does not say.
    pub jurisdiction_note: Option<String>,
    /// The owner.
    pub parent: Option<String>,
}

/// What a rule says.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// Whose product.
    pub vendor: Company,
    /// The product, if the rule tells it.
    pub product: Option<String>,
    /// What the contact serves.
    pub purpose: Purpose,
    /// The service in a few words.
    pub serves: Option<String>,
    /// Whose engine works inside.
    pub engine: Option<EngineInside>,
    /// What a contact is evidence of.
    pub indicates: Indicates,
    /// How sure the rule is.
    pub confidence: Confidence,
    /// How sure an attribution is, by what it rests on.
    pub confidence_by_evidence: BTreeMap<&'static str, Confidence>,
    /// The rule.
    pub rule: RuleWords,
    /// Facts about engines in products of the vendor, and of the vendor's engines elsewhere.
    pub engine_facts: Vec<EngineFact>,
    /// What can be seen of the vendor.
    pub detectability: Vec<Seen>,
    /// What a reader should know about the vendor.
    pub vendor_notes: Vec<String>,
}

/// The engine that the rule names.
#[derive(Debug, Serialize)]
pub struct EngineInside {
    /// Whose engine.
    pub vendor: Company,
    /// How it is inside.
    pub relation: EngineRelation,
}

/// The rule that decided, and why it can be believed.
#[derive(Debug, Serialize)]
pub struct RuleWords {
    /// Its stable word.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// The pattern that means the subject.
    pub pattern: String,
    /// The rule file.
    pub file: String,
    /// Line of the rule's id.
    pub line: usize,
    /// Citation.
    pub source: String,
    /// What kind of source.
    pub source_class: SourceClass,
    /// When the source was last looked at.
    pub checked: String,
    /// First day for which it is known to hold.
    pub valid_from: Option<String>,
    /// Last day for which it is known to hold.
    pub valid_until: Option<String>,
    /// What a reader should know.
    pub note: Option<String>,
}

/// A product with somebody's engine in it.
#[derive(Debug, Serialize)]
pub struct EngineFact {
    /// Whose product.
    pub product_vendor: String,
    /// The product.
    pub product: Option<String>,
    /// Whose engine.
    pub engine_vendor: String,
    /// Its own name.
    pub engine: Option<String>,
    /// How it is inside.
    pub relation: EngineRelation,
    /// When.
    pub period: Option<String>,
    /// What shows on the wire.
    pub network_sign: Option<String>,
    /// How sure the fact is.
    pub confidence: Confidence,
    /// Citation.
    pub source: String,
}

/// What can be seen.
#[derive(Debug, Serialize)]
pub struct Seen {
    /// The product or engine meant, if not the vendor as a whole.
    pub of: Option<String>,
    /// How much shows.
    pub visibility: Visibility,
    /// Why.
    pub why: String,
    /// How often it makes itself known.
    pub contact: Option<String>,
    /// The same in seconds.
    pub contact_seconds: Option<u32>,
    /// Who says so.
    pub contact_source: Option<String>,
    /// Whether this follows from the rules instead of a source.
    pub derived: bool,
}

/// A rule that also means the subject and does not decide.
#[derive(Debug, Serialize)]
pub struct PassedOver {
    /// The rule.
    pub rule: String,
    /// Its pattern.
    pub pattern: String,
    /// Whose product.
    pub vendor: String,
    /// The product, if it tells one.
    pub product: Option<String>,
    /// What the contact would serve.
    pub purpose: Purpose,
    /// Why it does not decide.
    pub why: &'static str,
}

/// Where an address is and who runs its network: two answers from two tables.
#[derive(Debug, Serialize)]
pub struct Address {
    /// Country of the server, if the table has it.
    pub country: Option<CountryCode>,
    /// The table, and the day it was built.
    pub country_by: String,
    /// Who announces the network.
    pub operator: Option<OperatorWords>,
}

/// Who announces a network.
#[derive(Debug, Serialize)]
pub struct OperatorWords {
    /// The company, as the autonomous system names it.
    pub name: String,
    /// Number of the autonomous system.
    pub asn: u32,
    /// Where the company is registered.
    pub registered_in: Option<CountryCode>,
    /// What that rests on.
    pub registered_basis: Option<String>,
    /// The vendor whose company it is.
    pub vendor: Option<Company>,
    /// How sure it is that the network is the operator's.
    pub confidence: Confidence,
    /// Citation.
    pub source: String,
    /// What a reader should know.
    pub note: Option<String>,
    /// The table, and the day it was built.
    pub by: String,
}

/// Why nothing is known, and what comes near.
#[derive(Debug, Default, Serialize)]
pub struct Unknown {
    /// What the absence of a rule means.
    pub meaning: String,
    /// An entry that says that no rule may claim the name.
    pub claimed_by_nobody: Option<NotClaimed>,
    /// The domain that the name probably stands under; guessed from its last labels.
    pub domain: Option<String>,
    /// Patterns that come near.
    pub near: Vec<Near>,
    /// How many more there are.
    pub further: usize,
}

/// A name that no rule may claim.
#[derive(Debug, Serialize)]
pub struct NotClaimed {
    /// The entry's pattern.
    pub pattern: String,
    /// Why.
    pub why: String,
    /// Citation.
    pub source: String,
}

/// A pattern that comes near the name and does not mean it.
#[derive(Debug, Serialize)]
pub struct Near {
    /// The pattern.
    pub pattern: String,
    /// Its rule.
    pub rule: String,
    /// Its vendor.
    pub vendor: String,
    /// How it comes near.
    pub how: &'static str,
}

/// What an answer rests on.
#[derive(Debug, Serialize)]
pub struct Basis {
    /// Digest of the rule files.
    pub ruleset: String,
    /// Rules in them.
    pub rules: usize,
    /// Vendors in them.
    pub vendors: usize,
    /// When the latest source was looked at.
    pub checked: Option<String>,
}
