//! Names, User-Agents, URIs and networks in; by which rule of an immutable snapshot they are judged, out.
//!
//! **Invariants**: a snapshot never changes; its ids are positions in it and mean nothing in another snapshot;
//! the same files give the same ids and digest, in whatever order they were read.

use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;

use super::builder::Builder;
use super::confidence::attributed_confidence;
use super::error::RulesError;
use super::facts::{Engine, Negative, Vendor};
use super::glob::GlobSet;
use super::matcher::Matcher;
use super::networks::NetworkSet;
use super::relays::{RelayPort, RelayPorts};
use super::rule_file::{Indicates, WireProtocol};
use super::source_files::RuleFiles;
use super::validity::{Validity, ValidityDate};
use crate::model::{Confidence, EvidenceKind, Purpose, SourceClass};

/// Position of a rule in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// Position of a vendor in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VendorId(pub u32);

/// What something was judged by: a rule, and which of its patterns (position among all patterns of the snapshot).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleMatch {
    /// The rule.
    pub rule: RuleId,
    /// The pattern; [`Ruleset::pattern`] gives its text.
    pub pattern: u32,
}

/// Names, User-Agents, URIs or networks that serve one purpose, on the word of one source.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Position in the snapshot.
    pub number: RuleId,
    /// The stable word for this rule, `<vendor>.<purpose>.<word>`.
    pub id: String,
    /// Grows with every change of what the rule says.
    pub version: u32,
    /// The vendor whose product contacts the names.
    pub vendor: VendorId,
    /// The product, if the names tell it.
    pub product: Option<String>,
    /// What the names serve.
    pub purpose: Purpose,
    /// The service in a few words.
    pub serves: Option<String>,
    /// Whose engine works inside the product, if another's, or inside an unknown product, if the vendor's own.
    pub engine: Option<Engine>,
    /// What a contact is evidence of.
    pub indicates: Indicates,
    /// How sure the rule itself is.
    pub confidence: Confidence,
    /// Citation: title, version, address.
    pub source: String,
    /// What kind of source that is.
    pub source_class: SourceClass,
    /// When the source was last looked at.
    pub checked: ValidityDate,
    /// First day for which the rule is known to hold; `None`: not known.
    pub valid_from: Option<ValidityDate>,
    /// Last day for which the rule is known to hold; `None`: not known, or still.
    pub valid_until: Option<ValidityDate>,
    /// Destination ports that the source names.
    pub ports: Vec<u16>,
    /// Protocols that the source names.
    pub protocols: Vec<WireProtocol>,
    /// What a reader of an attribution should know.
    pub note: Option<String>,
    /// The rule file, and the line of the rule's id in it.
    pub file: String,
    /// Line of the rule's id, counted from 1.
    pub line: usize,
    pub(super) patterns: Range<u32>,
}

impl Rule {
    /// Whether the rule is known, or not known otherwise, to hold on that day.
    pub fn holds_on(&self, day: ValidityDate) -> bool {
        self.validity().holds_on(day)
    }

    /// The days between which the rule is known to hold.
    pub const fn validity(&self) -> Validity {
        Validity {
            from: self.valid_from,
            until: self.valid_until,
        }
    }
}

/// What a pattern is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PatternKind {
    /// Names of servers.
    Name,
    /// The User-Agent of an HTTP request.
    UserAgent,
    /// Path and query of an HTTP request.
    Uri,
    /// Addresses of servers.
    Network,
    /// The autonomous system that announces the server's address.
    Asn,
}

/// An immutable set of rules, compiled for look-ups.
#[derive(Clone, Debug)]
pub struct Ruleset {
    pub(super) vendors: Vec<Vendor>,
    pub(super) rules: Vec<Rule>,
    pub(super) patterns: Vec<Pattern>,
    pub(super) names: Matcher,
    pub(super) user_agents: GlobSet,
    pub(super) uris: GlobSet,
    pub(super) networks: NetworkSet,
    pub(super) negatives: Vec<Negative>,
    pub(super) relay_ports: RelayPorts,
    pub(super) has_dated_rules: bool,
    pub(super) digest: String,
}

#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub text: Box<str>,
    pub kind: PatternKind,
    pub rule: RuleId,
}

impl Ruleset {
    /// The rules compiled into the binary.
    pub fn builtin() -> Result<Self, RulesError> {
        Self::from_files(&RuleFiles::builtin()?)
    }

    /// The built-in rules, with the vendor files of `dir` added or put in place of the same vendor's.
    pub fn with_directory(dir: &Path) -> Result<Self, RulesError> {
        Self::from_files(&RuleFiles::builtin_with_folder(dir)?)
    }

    /// A snapshot of exactly these files.
    pub fn from_files(files: &RuleFiles) -> Result<Self, RulesError> {
        Builder::build(files)
    }

    /// The rule that judges `name`, and by which pattern; any case, one final dot is ignored. Allocates nothing.
    #[inline]
    pub fn match_name(&self, name: &[u8]) -> Option<RuleMatch> {
        self.names.find(name).and_then(|pattern| self.at(pattern))
    }

    /// Like [`Self::match_name`], by rules that hold on `day` alone: facts of another time are passed over.
    pub fn match_name_on(&self, name: &[u8], day: ValidityDate) -> Option<RuleMatch> {
        let mut best = None;
        self.names.walk(name, |pattern| {
            if let Some(found) = self.at(pattern)
                && self.rule(found.rule).holds_on(day)
            {
                best = Some(found);
            }
        });
        best
    }

    /// Every pattern that means `name`, the deciding one last.
    pub fn matches(&self, name: &[u8]) -> Vec<RuleMatch> {
        let mut all = Vec::new();
        self.names
            .walk(name, |pattern| all.extend(self.at(pattern)));
        all
    }

    /// Whether the rule of `found` holds on `day`, or is not known otherwise. Reads one rule, allocates nothing.
    ///
    /// # Panics
    /// On a match of another snapshot that is out of range here.
    #[inline]
    pub fn holds(&self, found: RuleMatch, day: ValidityDate) -> bool {
        self.rule(found.rule).holds_on(day)
    }

    /// Whether any rule has a first or last day; if none has, every rule holds on every day.
    #[inline]
    pub const fn has_dated_rules(&self) -> bool {
        self.has_dated_rules
    }

    /// The rule that judges this User-Agent, byte for byte as it was sent. Allocates nothing; see [`super::Glob`] for the bounds.
    #[inline]
    pub fn match_user_agent(&self, text: &[u8]) -> Option<RuleMatch> {
        self.at(self.user_agents.find(text, |_| true)?)
    }

    /// Like [`Self::match_user_agent`], by rules that hold on `day` alone.
    pub fn match_user_agent_on(&self, text: &[u8], day: ValidityDate) -> Option<RuleMatch> {
        self.at(self
            .user_agents
            .find(text, |pattern| self.pattern_holds(pattern, day))?)
    }

    /// Every pattern that means this User-Agent, the deciding one last.
    pub fn user_agent_matches(&self, text: &[u8]) -> Vec<RuleMatch> {
        self.all_at(self.user_agents.find_all(text))
    }

    /// The rule that judges this path and query of an HTTP request, byte for byte as it was sent. Allocates nothing.
    #[inline]
    pub fn match_uri(&self, path_and_query: &[u8]) -> Option<RuleMatch> {
        self.at(self.uris.find(path_and_query, |_| true)?)
    }

    /// Like [`Self::match_uri`], by rules that hold on `day` alone.
    pub fn match_uri_on(&self, path_and_query: &[u8], day: ValidityDate) -> Option<RuleMatch> {
        self.at(self
            .uris
            .find(path_and_query, |pattern| self.pattern_holds(pattern, day))?)
    }

    /// Every pattern that means this path and query, the deciding one last.
    pub fn uri_matches(&self, path_and_query: &[u8]) -> Vec<RuleMatch> {
        self.all_at(self.uris.find_all(path_and_query))
    }

    /// The rule in whose networks the address lies: evidence of kind `ip_prefix`. Allocates nothing.
    #[inline]
    pub fn match_network(&self, address: IpAddr) -> Option<RuleMatch> {
        self.at(self.networks.network(address)?)
    }

    /// The rule that names the autonomous system: evidence of kind `asn`. Allocates nothing.
    #[inline]
    pub fn match_asn(&self, asn: u32) -> Option<RuleMatch> {
        self.at(self.networks.asn(asn)?)
    }

    /// What an address is judged by: a vendor's documented network before the system that announces it.
    ///
    /// `asn` is what the caller's table of operators says of the address.
    #[inline]
    pub fn match_address(
        &self,
        address: IpAddr,
        asn: Option<u32>,
    ) -> Option<(EvidenceKind, RuleMatch)> {
        if let Some(found) = self.match_network(address) {
            return Some((EvidenceKind::IpPrefix, found));
        }
        Some((EvidenceKind::Asn, self.match_asn(asn?)?))
    }

    /// Every pattern that means the address or its system, the deciding one last.
    pub fn address_matches(&self, address: IpAddr, asn: Option<u32>) -> Vec<RuleMatch> {
        let system = asn.and_then(|asn| self.networks.asn(asn));
        let mut all: Vec<u32> = self.networks.walk(address).chain(system).collect();
        all.reverse();
        all.into_iter()
            .filter_map(|pattern| self.at(pattern))
            .collect()
    }

    /// The entry that says why no rule may claim `name`, the most specific one.
    pub fn negative(&self, name: &[u8]) -> Option<&Negative> {
        let name = name.strip_suffix(b".").unwrap_or(name);
        self.negatives
            .iter()
            .filter(|negative| match negative.pattern.strip_prefix('*') {
                // What remains begins with the dot, so that only whole labels count.
                Some(zone) => {
                    let start = name.len().saturating_sub(zone.len());
                    start > 0
                        && name
                            .get(start..)
                            .is_some_and(|end| end.eq_ignore_ascii_case(zone.as_bytes()))
                }
                None => name.eq_ignore_ascii_case(negative.pattern.as_bytes()),
            })
            .max_by_key(|negative| negative.pattern.len())
    }

    /// Every entry that says why no rule may claim some names, ordered by vendor and place in the file.
    pub fn negatives(&self) -> impl ExactSizeIterator<Item = &Negative> {
        self.negatives.iter()
    }

    /// Vendors whose relays listen on a port of an IP protocol, inside a network.
    #[inline]
    pub fn relays_at(&self, protocol: u8, port: u16) -> &[RelayPort] {
        self.relay_ports.at(protocol, port)
    }

    fn pattern_holds(&self, pattern: u32, day: ValidityDate) -> bool {
        self.at(pattern).is_some_and(|found| self.holds(found, day))
    }

    fn all_at(&self, deciding_first: Vec<u32>) -> Vec<RuleMatch> {
        let mut all: Vec<RuleMatch> = deciding_first
            .into_iter()
            .filter_map(|pattern| self.at(pattern))
            .collect();
        all.reverse();
        all
    }

    #[inline]
    fn at(&self, pattern: u32) -> Option<RuleMatch> {
        let rule = self.patterns.get(pattern as usize)?.rule;
        Some(RuleMatch { rule, pattern })
    }

    /// A rule of this snapshot.
    ///
    /// # Panics
    /// On an id of another snapshot that is out of range here.
    pub fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id.0 as usize]
    }

    /// A vendor of this snapshot.
    ///
    /// # Panics
    /// On an id of another snapshot that is out of range here.
    pub fn vendor(&self, id: VendorId) -> &Vendor {
        &self.vendors[id.0 as usize]
    }

    /// The vendor with this id text.
    pub fn vendor_by_id(&self, id: &str) -> Option<&Vendor> {
        let at = self
            .vendors
            .binary_search_by(|vendor| vendor.id.as_str().cmp(id))
            .ok()?;
        self.vendors.get(at)
    }

    /// Text of the pattern that decided: a name, a glob, a network, or `AS` and a number.
    pub fn pattern(&self, found: RuleMatch) -> &str {
        self.patterns
            .get(found.pattern as usize)
            .map_or("", |pattern| &pattern.text)
    }

    /// What the pattern that decided is compared with.
    pub fn pattern_kind(&self, found: RuleMatch) -> Option<PatternKind> {
        self.patterns
            .get(found.pattern as usize)
            .map(|pattern| pattern.kind)
    }

    /// Texts of a rule's patterns for names.
    pub fn patterns_of(&self, id: RuleId) -> impl Iterator<Item = &str> {
        self.all_patterns_of(id)
            .filter(|&(kind, _)| kind == PatternKind::Name)
            .map(|(_, text)| text)
    }

    /// Texts of all patterns of a rule, with what each is compared with.
    pub fn all_patterns_of(
        &self,
        id: RuleId,
    ) -> impl ExactSizeIterator<Item = (PatternKind, &str)> {
        let range = self.rule(id).patterns.clone();
        self.patterns[range.start as usize..range.end as usize]
            .iter()
            .map(|pattern| (pattern.kind, &*pattern.text))
    }

    /// Every vendor, ordered by id.
    pub fn vendors(&self) -> impl ExactSizeIterator<Item = &Vendor> {
        self.vendors.iter()
    }

    /// Every rule, ordered by vendor and place in the file.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.rules.iter()
    }

    /// A digest over the texts of all rule files, 32 hexadecimal digits; the order of reading does not matter.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How sure an attribution by this rule on this kind of evidence is.
    pub fn confidence(&self, rule: RuleId, evidence: EvidenceKind) -> Confidence {
        let rule = self.rule(rule);
        attributed_confidence(rule.confidence, rule.source_class, evidence)
    }
}
