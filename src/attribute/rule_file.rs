//! The text of one `rules/vendors/<id>.toml` in, its checked content out; `rules/README.md` describes the format.
//!
//! **Invariants**: an unknown key is an error; every error names the file and the line.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::error::RulesError;
use super::ruleset::ValidityDate;
use crate::model::{Confidence, CountryCode, Purpose, SourceClass, closed_set};

/// The only version of the format so far; the key `format` of every file says it.
const FORMAT: u32 = 1;
/// Longest name in DNS text form without the final dot ([RFC 1035 §2.3.4]: 255 octets on the wire).
pub(crate) const NAME_LENGTH_MAX: usize = 253;
/// Longest label of a name ([RFC 1035 §2.3.4]).
const LABEL_LENGTH_MAX: usize = 63;

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

/// `[[rule]]`: names that serve one purpose, on the word of one source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleTable {
    pub id: Spanned<String>,
    pub version: Spanned<u32>,
    pub purpose: Purpose,
    pub product: Option<String>,
    pub serves: Option<String>,
    pub patterns: Vec<Spanned<String>>,
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

/// `samples = { .. }`: names that must be judged by this rule, and names that must not.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SamplesTable {
    #[serde(default, rename = "match")]
    pub matching: Vec<SampleTable>,
    #[serde(default)]
    pub no_match: Vec<Spanned<String>>,
}

/// A positive sample; without a source of its own it only exercises the rule and proves nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleTable {
    pub name: Spanned<String>,
    pub source: Option<Spanned<String>>,
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
    pub network_sign: Option<String>,
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
        let file: Self = toml::from_str(text).map_err(|source| RulesError::Syntax {
            file: path.to_owned(),
            source: Box::new(source),
        })?;
        let place = Place { path, text };
        file.check_head(&place)?;
        for rule in &file.rules {
            file.check_rule(rule, &place)?;
        }
        for fact in &file.engine_use {
            file.check_source(&fact.source, &place)?;
        }
        for negative in &file.negative {
            file.check_source(&negative.source, &place)?;
            for pattern in &negative.patterns {
                check_pattern(pattern, &place)?;
            }
        }
        Ok(file)
    }

    fn check_head(&self, place: &Place<'_>) -> Result<(), RulesError> {
        if *self.format.get_ref() != FORMAT {
            return Err(place.wrong(
                &self.format,
                format!(
                    "format {} is not known; this version reads format = {FORMAT}",
                    self.format.get_ref()
                ),
            ));
        }
        let stem = std::path::Path::new(place.path)
            .file_stem()
            .and_then(|stem| stem.to_str());
        if stem != Some(self.vendor.id.as_str()) {
            return Err(place.wrong_at(
                0,
                format!(
                    "vendor {0:?} belongs into a file named {0}.toml",
                    self.vendor.id
                ),
            ));
        }
        for (key, source) in &self.sources {
            if source.title.trim().is_empty() {
                return Err(
                    place.wrong_at(0, format!("sources.{key} has no title; name what is cited"))
                );
            }
        }
        Ok(())
    }

    fn check_rule(&self, rule: &RuleTable, place: &Place<'_>) -> Result<(), RulesError> {
        let id = rule.id.get_ref();
        let expected = format!("{}.{}.", self.vendor.id, rule.purpose);
        let slug = id.strip_prefix(&expected);
        if !slug.is_some_and(is_identifier) {
            return Err(place.wrong(
                &rule.id,
                format!(
                    "rule id {id:?} is not \"{expected}<word>\" with <word> of a-z, 0-9, \"-\""
                ),
            ));
        }
        if *rule.version.get_ref() == 0 {
            return Err(place.wrong(&rule.version, format!("rule {id}: versions count from 1")));
        }
        if rule.patterns.is_empty() {
            return Err(place.wrong(
                &rule.id,
                format!("rule {id}: patterns is empty; a rule needs at least one name"),
            ));
        }
        for pattern in &rule.patterns {
            check_pattern(pattern, place)?;
        }
        self.check_source(&rule.source, place)?;
        rule_date(&rule.checked, place)?;
        let from = rule
            .valid_from
            .as_ref()
            .map(|date| rule_date(date, place))
            .transpose()?;
        let until = rule
            .valid_until
            .as_ref()
            .map(|date| rule_date(date, place))
            .transpose()?;
        if let (Some(from), Some(until)) = (from, until)
            && from > until
        {
            return Err(place.wrong(
                &rule.id,
                format!("rule {id}: valid_from {from} lies after valid_until {until}"),
            ));
        }
        if let Some(observed) = &rule.observed {
            self.check_source(&observed.list, place)?;
            for name in &observed.names {
                check_pattern(name, place)?;
            }
        }
        for sample in &rule.samples.matching {
            check_exact(&sample.name, place)?;
            if let Some(source) = &sample.source {
                self.check_source(source, place)?;
            }
        }
        for name in &rule.samples.no_match {
            check_exact(name, place)?;
        }
        Ok(())
    }

    fn check_source(&self, key: &Spanned<String>, place: &Place<'_>) -> Result<(), RulesError> {
        if self.sources.contains_key(key.get_ref()) {
            return Ok(());
        }
        let known: Vec<&str> = self.sources.keys().map(String::as_str).collect();
        Err(place.wrong(
            key,
            format!(
                "source {:?} has no table [sources.{}]; known: {}",
                key.get_ref(),
                key.get_ref(),
                known.join(", ")
            ),
        ))
    }
}

/// A file and its text, for messages that name a line.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub path: &'a str,
    pub text: &'a str,
}

impl Place<'_> {
    pub fn wrong<T>(&self, what: &Spanned<T>, problem: String) -> RulesError {
        self.wrong_at(what.span().start, problem)
    }

    /// The line, counted from 1, of a value of this file.
    pub fn line<T>(&self, what: &Spanned<T>) -> usize {
        self.line_at(what.span().start)
    }

    fn line_at(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        before.split(|&byte| byte == b'\n').count()
    }

    fn wrong_at(&self, offset: usize, problem: String) -> RulesError {
        RulesError::Meaning {
            file: self.path.to_owned(),
            line: self.line_at(offset),
            problem,
        }
    }
}

/// A pattern taken apart: `*.x` is every name under `x` but not `x`; a bare name is that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NamePattern<'a> {
    /// The name, or for a wildcard the name above all names meant; lower case.
    pub base: &'a str,
    /// Whether the names under `base` are meant instead of `base` itself.
    pub wildcard: bool,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternProblem {
    /// Nothing, or nothing after `*.`.
    #[error("the name is empty")]
    Empty,
    /// Beyond what DNS can carry.
    #[error("the name is longer than {NAME_LENGTH_MAX} characters")]
    TooLong,
    /// An empty label, or one beyond 63 characters.
    #[error("the label {0:?} is empty or longer than {LABEL_LENGTH_MAX} characters")]
    Label(String),
    /// A character outside a-z, 0-9, `-`, `_`.
    #[error(
        "the character {0:?} does not belong there; names are lower case a-z, 0-9, \"-\", \"_\", and \"*.\" only at the start"
    )]
    Character(char),
    /// A pattern as wide as a top-level domain.
    #[error("one label is too wide; give at least two, as in \"vendor.com\"")]
    OneLabel,
    /// A wildcard over a zone in which anybody can have a name.
    #[error("everybody can have a name under {0:?}; give exact names")]
    SharedZone(String),
}

/// Zones of hosting providers: a wildcard directly on one would claim everybody's names.
const SHARED_ZONES: &[&str] = &[
    "akadns.net",
    "akamaihd.net",
    "akamaized.net",
    "amazonaws.com",
    "appspot.com",
    "azure.com",
    "azureedge.net",
    "azurewebsites.net",
    "blob.core.windows.net",
    "cloudapp.azure.com",
    "cloudapp.net",
    "cloudfront.net",
    "core.windows.net",
    "edgekey.net",
    "edgesuite.net",
    "elb.amazonaws.com",
    "fastly.net",
    "github.io",
    "googleapis.com",
    "herokuapp.com",
    "microsoft.com",
    "s3.amazonaws.com",
    "trafficmanager.net",
    "windows.net",
];

impl<'a> NamePattern<'a> {
    /// Takes a pattern apart and checks it.
    pub fn parse(text: &'a str) -> Result<Self, PatternProblem> {
        let (base, wildcard) = match text.strip_prefix("*.") {
            Some(base) => (base, true),
            None => (text, false),
        };
        if base.is_empty() {
            return Err(PatternProblem::Empty);
        }
        if base.len() > NAME_LENGTH_MAX {
            return Err(PatternProblem::TooLong);
        }
        if let Some(wrong) = base
            .chars()
            .find(|&c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.'))
        {
            return Err(PatternProblem::Character(wrong));
        }
        if let Some(label) = base
            .split('.')
            .find(|label| label.is_empty() || label.len() > LABEL_LENGTH_MAX)
        {
            return Err(PatternProblem::Label(label.to_owned()));
        }
        if !base.contains('.') {
            return Err(PatternProblem::OneLabel);
        }
        if wildcard && SHARED_ZONES.contains(&base) {
            return Err(PatternProblem::SharedZone(base.to_owned()));
        }
        Ok(Self { base, wildcard })
    }

    /// A name that the pattern means, for tests of precedence.
    pub fn probe(self) -> String {
        if self.wildcard {
            format!("any-name-at-all.{}", self.base)
        } else {
            self.base.to_owned()
        }
    }
}

fn check_pattern(pattern: &Spanned<String>, place: &Place<'_>) -> Result<(), RulesError> {
    match NamePattern::parse(pattern.get_ref()) {
        Ok(_) => Ok(()),
        Err(problem) => Err(place.wrong(
            pattern,
            format!("pattern {:?}: {problem}", pattern.get_ref()),
        )),
    }
}

fn check_exact(name: &Spanned<String>, place: &Place<'_>) -> Result<(), RulesError> {
    check_pattern(name, place)?;
    if name.get_ref().starts_with("*.") {
        return Err(place.wrong(
            name,
            format!(
                "sample {:?} is a pattern; a sample is one name",
                name.get_ref()
            ),
        ));
    }
    Ok(())
}

/// A TOML date without a time of day.
pub(crate) fn rule_date(
    value: &Spanned<toml::value::Datetime>,
    place: &Place<'_>,
) -> Result<ValidityDate, RulesError> {
    let whole = value.get_ref();
    match (whole.date, whole.time, whole.offset) {
        (Some(date), None, None) => Ok(ValidityDate {
            year: date.year,
            month: date.month,
            day: date.day,
        }),
        _ => Err(place.wrong(
            value,
            format!("{whole} is not a date; write it as 2026-11-23"),
        )),
    }
}

/// Lower-case letters, digits and hyphens, not empty.
fn is_identifier(text: &str) -> bool {
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
        }
    }
}
