//! The text of one `rules/vendors/<id>.toml` in, its checked content out; `rules/README.md` describes the format.
//!
//! **Invariants**: an unknown key is an error; every error names the file and the line.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::error::RulesError;
use super::glob::Glob;
use super::name_pattern::{NAME_LENGTH_MAX, NamePattern};
use super::place::Place;
use super::well_formed::well_formed;
use crate::model::{Confidence, CountryCode, Purpose, SourceClass, closed_set};

/// The only version of the format so far; the key `format` of every file says it.
pub(super) const FORMAT: u32 = 1;

closed_set! {
    /// How somebody else's technology is inside a product.
    pub enum EngineRelation {
        /// A scanning engine or reputation service of the engine vendor works inside the product.
        Engine = "engine",
        /// A library of the engine vendor is built into the product.
        Sdk = "sdk",
        /// The whole product is the engine vendor's, sold under another name.
        Product = "product",
    }
}

closed_set! {
    /// What a contact with the endpoint is evidence of.
    pub enum Indicates {
        /// The vendor's product runs on the host.
        Product = "product",
        /// Only of the contact: people, other programs or shared machinery reach the endpoint too.
        Contact = "contact",
    }
}

closed_set! {
    /// How much of a vendor, a product or an engine shows on the wire.
    pub enum Visibility {
        /// A host with it is known by what it contacts.
        WireVisible = "wire_visible",
        /// Some hosts with it are known, others not, or only the vendor and not the product.
        Partly = "partly",
        /// Only visits to web sites can be seen, which are no evidence of a product.
        WebOnly = "web_only",
        /// Nothing is known by which it shows.
        NotVisible = "not_visible",
    }
}

closed_set! {
    /// How the endpoint is spoken to, where the source says so.
    pub enum WireProtocol {
        /// TLS over TCP.
        Tls = "tls",
        /// Plain HTTP.
        Http = "http",
        /// DTLS.
        Dtls = "dtls",
        /// DNS questions that carry the look-up in the name.
        Dns = "dns",
        /// MQTT.
        Mqtt = "mqtt",
        /// SMTP.
        Smtp = "smtp",
        /// A protocol of the vendor's own over UDP.
        Udp = "udp",
        /// A protocol of the vendor's own.
        Proprietary = "proprietary",
    }
}

/// A whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VendorFile {
    pub format: Spanned<u32>,
    pub vendor: VendorTable,
    #[serde(default)]
    pub sources: BTreeMap<String, SourceTable>,
    #[serde(default, rename = "rule")]
    pub rules: Vec<RuleTable>,
    #[serde(default)]
    pub engine_use: Vec<EngineUseTable>,
    #[serde(default)]
    pub engine_licence: Vec<EngineLicenceTable>,
    #[serde(default)]
    pub detectability: Vec<DetectabilityTable>,
    #[serde(default)]
    pub certificate: Vec<CertificateTable>,
    #[serde(default)]
    pub relay: Vec<RelayTable>,
    #[serde(default)]
    pub negative: Vec<NegativeTable>,
}

/// `[vendor]`: who is behind the names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VendorTable {
    #[serde(deserialize_with = "spanned_id")]
    pub id: String,
    pub legal_name: String,
    pub jurisdiction: CountryCode,
    pub jurisdiction_note: Option<String>,
    pub parent: Option<String>,
    #[serde(default)]
    pub products: Vec<String>,
    #[serde(default)]
    pub notes: Vec<String>,
}

/// `[sources.<key>]`: what rules, samples and negatives cite by key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceTable {
    pub title: String,
    pub url: Option<String>,
    pub version: Option<String>,
}

impl SourceTable {
    /// The citation on one line.
    pub fn citation(&self) -> String {
        let mut text = self.title.clone();
        if let Some(version) = &self.version {
            text.push_str(", ");
            text.push_str(version);
        }
        if let Some(url) = &self.url {
            text.push_str(" <");
            text.push_str(url);
            text.push('>');
        }
        text
    }
}

/// `[[rule]]`: names, User-Agents, URIs or networks that serve one purpose, on the word of one source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleTable {
    pub id: Spanned<String>,
    pub version: Spanned<u32>,
    pub purpose: Purpose,
    pub product: Option<String>,
    pub serves: Option<String>,
    #[serde(default)]
    pub patterns: Vec<Spanned<String>>,
    #[serde(default)]
    pub user_agents: Vec<Spanned<String>>,
    #[serde(default)]
    pub uris: Vec<Spanned<String>>,
    #[serde(default)]
    pub networks: Vec<Spanned<String>>,
    #[serde(default)]
    pub asns: Vec<Spanned<u32>>,
    #[serde(default)]
    pub ports: Vec<u16>,
    #[serde(default)]
    pub protocols: Vec<WireProtocol>,
    pub engine: Option<EngineTable>,
    #[serde(default = "product_by_default")]
    pub indicates: Indicates,
    pub confidence: Confidence,
    pub source: Spanned<String>,
    pub source_class: SourceClass,
    pub checked: Spanned<toml::value::Datetime>,
    pub valid_from: Option<Spanned<toml::value::Datetime>>,
    pub valid_until: Option<Spanned<toml::value::Datetime>>,
    pub note: Option<String>,
    pub observed: Option<ObservedTable>,
    #[serde(default)]
    pub samples: SamplesTable,
}

const fn product_by_default() -> Indicates {
    Indicates::Product
}

/// `engine = { .. }`: whose engine works inside the product.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EngineTable {
    pub vendor: Spanned<String>,
    pub relation: EngineRelation,
}

/// `observed = { .. }`: names of the rule that stand in a public list of names seen in use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObservedTable {
    #[serde(rename = "in")]
    pub list: Spanned<String>,
    pub names: Vec<Spanned<String>>,
}

impl RuleTable {
    /// Patterns of every kind.
    pub fn pattern_count(&self) -> usize {
        self.patterns.len()
            + self.user_agents.len()
            + self.uris.len()
            + self.networks.len()
            + self.asns.len()
    }
}

/// `samples = { .. }`: what must be judged by this rule, and what must not.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SamplesTable {
    #[serde(default, rename = "match")]
    pub matching: Vec<SampleTable>,
    #[serde(default)]
    pub no_match: Vec<Spanned<String>>,
    #[serde(default)]
    pub no_match_user_agents: Vec<Spanned<String>>,
    #[serde(default)]
    pub no_match_uris: Vec<Spanned<String>>,
}

/// A positive sample of one kind; without a source of its own it only exercises the rule and proves nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleTable {
    pub name: Option<Spanned<String>>,
    pub user_agent: Option<Spanned<String>>,
    pub uri: Option<Spanned<String>>,
    pub address: Option<Spanned<String>>,
    pub source: Option<Spanned<String>>,
}

impl SampleTable {
    /// What the sample holds; `None` unless it is exactly one thing.
    pub fn subject(&self) -> Option<(SampleKind, &Spanned<String>)> {
        let mut given = [
            (SampleKind::Name, &self.name),
            (SampleKind::UserAgent, &self.user_agent),
            (SampleKind::Uri, &self.uri),
            (SampleKind::Address, &self.address),
        ]
        .into_iter()
        .filter_map(|(kind, text)| Some((kind, text.as_ref()?)));
        let only = given.next()?;
        given.next().is_none().then_some(only)
    }
}

/// What a sample is looked up as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleKind {
    Name,
    UserAgent,
    Uri,
    Address,
}

/// `[[engine_use]]`: the vendor's product carries somebody's engine, whether or not a rule can see it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EngineUseTable {
    pub product: String,
    pub engine_vendor: Spanned<String>,
    pub relation: EngineRelation,
    pub engine: Option<String>,
    pub period: Option<String>,
    pub valid_from: Option<Spanned<toml::value::Datetime>>,
    pub valid_until: Option<Spanned<toml::value::Datetime>>,
    pub network_sign: Option<String>,
    pub visible: Option<bool>,
    pub confidence: Confidence,
    pub source: Spanned<String>,
}

/// `[[engine_licence]]`: the vendor's engine is in the product of somebody who has no file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EngineLicenceTable {
    pub partner: String,
    pub product: Option<String>,
    pub relation: EngineRelation,
    pub engine: Option<String>,
    pub period: Option<String>,
    pub valid_from: Option<Spanned<toml::value::Datetime>>,
    pub valid_until: Option<Spanned<toml::value::Datetime>>,
    pub network_sign: Option<String>,
    pub visible: Option<bool>,
    pub confidence: Confidence,
    pub source: Spanned<String>,
}

/// `[[detectability]]`: what can be seen of the vendor, a product or an engine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetectabilityTable {
    pub product: Option<String>,
    pub engine: Option<String>,
    pub visibility: Visibility,
    pub why: String,
    pub contact: Option<String>,
    pub contact_seconds: Option<Spanned<u32>>,
    pub contact_source: Option<Spanned<String>>,
    #[serde(default)]
    pub derived: bool,
}

/// `[[certificate]]`: an organisation that certificates of the vendor name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateTable {
    pub org: Spanned<String>,
    pub confidence: Confidence,
    pub source: Spanned<String>,
    pub source_class: SourceClass,
}

/// `[[relay]]`: ports on which the vendor's products listen inside a network for others of theirs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelayTable {
    pub name: Spanned<String>,
    #[serde(default)]
    pub tcp: Vec<Spanned<u16>>,
    #[serde(default)]
    pub udp: Vec<Spanned<u16>>,
    pub confidence: Confidence,
    pub source: Spanned<String>,
}

/// `[[negative]]`: names that no rule of any vendor may claim.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NegativeTable {
    pub patterns: Vec<Spanned<String>>,
    pub why: String,
    pub source: Spanned<String>,
}

impl VendorFile {
    /// Parses and checks one file by itself; `path` names it in messages and gives the expected vendor id.
    pub fn parse(path: &str, text: &str) -> Result<Self, RulesError> {
        let file: Self = toml::from_str(text).map_err(|reason| RulesError::Syntax {
            file: path.to_owned(),
            reason: Box::new(reason),
        })?;
        well_formed(&file, &Place { path, text })?;
        Ok(file)
    }
}

/// Lower-case letters, digits and hyphens, not empty.
pub(crate) fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Vendor ids are identifiers; serde's message then carries line and column.
fn spanned_id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if is_identifier(&id) {
        Ok(id)
    } else {
        Err(serde::de::Error::custom(format!(
            "vendor id {id:?} is not made of a-z, 0-9, \"-\""
        )))
    }
}

/// Parses any text as a rule file and, if it is one, builds a rule set of it.
///
/// # Panics
/// If a pattern of the file cannot be found in the rule set: a mistake here, never in the text.
pub fn fuzz_rule_file(text: &str) {
    let Ok(value) = toml::from_str::<toml::Table>(text) else {
        return;
    };
    let id = value
        .get("vendor")
        .and_then(|vendor| vendor.get("id"))
        .and_then(toml::Value::as_str);
    let path = format!("{}.toml", id.unwrap_or("unnamed"));
    if let Ok(file) = super::SourceFile::parse(&path, text)
        && let Ok(files) = super::RuleFiles::from_files(vec![file])
        && let Ok(ruleset) = super::Ruleset::from_files(&files)
    {
        // What the text names as a pattern must be findable afterwards.
        for rule in ruleset.rules() {
            for pattern in ruleset.patterns_of(rule.number) {
                let probe = NamePattern::parse(pattern).map(NamePattern::probe);
                assert!(probe.is_ok_and(|probe| {
                    probe.len() > NAME_LENGTH_MAX || ruleset.match_name(probe.as_bytes()).is_some()
                }));
            }
            for (kind, pattern) in ruleset.all_patterns_of(rule.number) {
                let probe = || Glob::parse(pattern).map(|glob| glob.probe());
                assert!(match kind {
                    super::PatternKind::UserAgent =>
                        probe().is_ok_and(|probe| ruleset.match_user_agent(&probe).is_some()),
                    super::PatternKind::Uri =>
                        probe().is_ok_and(|probe| ruleset.match_uri(&probe).is_some()),
                    _ => true,
                });
            }
        }
    }
}
