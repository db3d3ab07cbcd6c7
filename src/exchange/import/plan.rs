//! Candidates and the rules that there are in; what would be added, what is covered already, and what is refused and why, out.

use std::collections::{BTreeMap, HashMap};

use super::{Candidate, Facts, Read, normal_name};
use crate::attribute::{
    EngineRelation, Glob, Indicates, NamePattern, PatternKind, RuleFiles, RuleId, RulesError,
    Ruleset, ValidityDate, WireProtocol,
};
use crate::exchange::csv::kind_word;
use crate::model::{Confidence, CountryCode, Purpose, SourceClass};

/// What the user says of a whole list.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only of these vendors; a list that names none belongs to the one given.
    pub vendors: Vec<String>,
    /// Registered name of a vendor that is not known yet.
    pub legal_name: Option<String>,
    /// Legal seat of a vendor that is not known yet.
    pub seat: Option<CountryCode>,
    /// What the endpoints serve, where the list does not say.
    pub purpose: Purpose,
    /// How sure the facts are, whatever the list says.
    pub confidence: Option<Confidence>,
    /// `list` or `unverified`.
    pub source_class: SourceClass,
    /// What to cite: the list.
    pub title: String,
    /// Which edition of it.
    pub version: String,
    /// The day on which it was looked at.
    pub checked: ValidityDate,
}

/// What becomes of a list.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// By vendor, what would be added.
    pub added: BTreeMap<String, Vec<Added>>,
    /// What the rules know already, by rule.
    pub covered: Vec<(Candidate, String)>,
    /// What cannot be added, and why.
    pub refused: Vec<Refused>,
}

/// A candidate that would be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// What it is compared with.
    pub kind: PatternKind,
    /// The pattern, in the form of rules.
    pub text: String,
    /// Everything that makes it stand in the same rule as another.
    pub group: Group,
    /// Registered name and seat that the list gives for the vendor.
    pub vendor: (Option<String>, Option<CountryCode>),
}

/// Patterns that agree in all of this share a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// Id of the rule in the list, if it fits.
    pub rule: Option<String>,
    /// Networks and systems stand in rules of their own.
    pub network: bool,
    /// What the endpoints serve.
    pub purpose: Purpose,
    /// The product.
    pub product: Option<String>,
    /// The service.
    pub serves: Option<String>,
    /// Whose engine works inside, and how.
    pub engine: Option<(String, EngineRelation)>,
    /// What a contact is evidence of.
    pub indicates: Indicates,
    /// How sure.
    pub confidence: Confidence,
    /// Ports.
    pub ports: Vec<u16>,
    /// Protocols.
    pub protocols: Vec<WireProtocol>,
    /// First day.
    pub valid_from: Option<ValidityDate>,
    /// Last day.
    pub valid_until: Option<ValidityDate>,
    /// What the list itself cites.
    pub source: Option<String>,
    /// For readers.
    pub note: Option<String>,
}

/// A candidate that cannot be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The candidate.
    pub candidate: Candidate,
    /// Why.
    pub reason: String,
}

impl Plan {
    /// What becomes of what was read, beside the rules of `base`.
    ///
    /// # Errors
    /// Where `base` makes no rule set.
    pub fn of(read: Read, base: &RuleFiles, options: &Options) -> Result<Self, RulesError> {
        let rules = Ruleset::from_files(base)?;
        let mut planner = Planner::new(&rules, options);
        for candidate in read.candidates {
            match planner.judge(&candidate) {
                Ok(Verdict::Added(vendor, added)) => {
                    planner.plan.added.entry(vendor).or_default().push(*added);
                }
                Ok(Verdict::Covered(by)) => planner.plan.covered.push((candidate, by)),
                Err(reason) => planner.plan.refused.push(Refused { candidate, reason }),
            }
        }
        Ok(planner.plan)
    }

    /// How many patterns would be added.
    pub fn added_count(&self) -> usize {
        self.added.values().map(Vec::len).sum()
    }
}

enum Verdict {
    Added(String, Box<Added>),
    /// By this rule.
    Covered(String),
}

struct Planner<'a> {
    rules: &'a Ruleset,
    options: &'a Options,
    /// Every pattern that there is, with its rule.
    known: HashMap<(PatternKind, &'a str), RuleId>,
    /// Every pattern of the list so far: where it stood, and whose it is.
    seen: HashMap<(PatternKind, String), (String, String)>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn new(rules: &'a Ruleset, options: &'a Options) -> Self {
        let known = rules.rules().flat_map(|rule| {
            let patterns = rules.all_patterns_of(rule.number);
            patterns.map(move |(kind, text)| ((kind, text), rule.number))
        });
        Self {
            rules,
            options,
            known: known.collect(),
            seen: HashMap::new(),
            plan: Plan::default(),
        }
    }

    fn judge(&mut self, candidate: &Candidate) -> Result<Verdict, String> {
        let facts = &candidate.facts;
        if let Some(wrong) = &facts.wrong {
            return Err(wrong.clone());
        }
        let vendor = self.vendor(facts)?;
        let text = well_formed(candidate.kind, &candidate.text)?;
        let group = self.group(candidate.kind, &vendor, facts)?;
        if candidate.kind == PatternKind::Name {
            self.refuse_negative(&text)?;
        }
        if let Some((at, first)) = self.seen.get(&(candidate.kind, text.clone())) {
            return if *first == vendor {
                Ok(Verdict::Covered(format!("the same at {at}")))
            } else {
                Err(format!("stands at {at} for vendor {first}"))
            };
        }
        if let Some(by) = self.covering(candidate.kind, &text, &vendor, &group, facts)? {
            return Ok(Verdict::Covered(by));
        }
        let place = (candidate.at.clone(), vendor.clone());
        self.seen.insert((candidate.kind, text.clone()), place);
        let kind = candidate.kind;
        let names = (facts.legal_name.clone(), facts.seat);
        let added = Added {
            kind,
            text,
            group,
            vendor: names,
        };
        Ok(Verdict::Added(vendor, Box::new(added)))
    }

    fn vendor(&self, facts: &Facts) -> Result<String, String> {
        let given = &self.options.vendors;
        let vendor = match (&facts.vendor, given.as_slice()) {
            (Some(vendor), []) => vendor,
            (Some(vendor), _) if given.contains(vendor) => vendor,
            (Some(vendor), _) => return Err(format!("of vendor {vendor}, who was not asked for")),
            (None, [only]) => only,
            (None, _) => {
                return Err("the list does not say whose it is; give one --vendor".to_owned());
            }
        };
        if vendor.is_empty()
            || !vendor
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        {
            return Err(format!(
                "vendor id {vendor:?} is not made of a-z, 0-9, \"-\""
            ));
        }
        let known = self.rules.vendor_by_id(vendor).is_some();
        let named = facts.legal_name.is_some() || self.options.legal_name.is_some();
        let seated = facts.seat.is_some() || self.options.seat.is_some();
        let described = named && seated;
        if !(known || described) {
            return Err(format!(
                "vendor {vendor:?} is not known; give --legal-name and --seat"
            ));
        }
        Ok(vendor.clone())
    }

    /// What the rule would say.
    fn group(&self, kind: PatternKind, vendor: &str, facts: &Facts) -> Result<Group, String> {
        let network = matches!(kind, PatternKind::Network | PatternKind::Asn);
        let engine = match (&facts.engine_vendor, facts.engine_relation) {
            (None, _) => None,
            (Some(engine), relation) => {
                if engine != vendor && self.rules.vendor_by_id(engine).is_none() {
                    return Err(format!(
                        "engine vendor {engine:?} is not known; a file with its seat is needed first"
                    ));
                }
                Some((engine.clone(), relation.unwrap_or(EngineRelation::Engine)))
            }
        };
        if let (Some(from), Some(until)) = (facts.valid_from, facts.valid_until)
            && from > until
        {
            return Err(format!("holds from {from} until {until}: no day at all"));
        }
        // A network tells a contact and no more, whatever a list says.
        let purpose = facts.purpose.unwrap_or(self.options.purpose);
        let purpose = if network { Purpose::Unknown } else { purpose };
        let confidence = self.options.confidence.or(facts.confidence);
        let prefix = format!("{vendor}.{purpose}.");
        let rule = facts.rule.clone().filter(|id| {
            let word = id.strip_prefix(&prefix);
            word.is_some_and(|word| {
                !word.is_empty()
                    && word
                        .bytes()
                        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            })
        });
        Ok(Group {
            rule,
            network,
            purpose,
            product: facts.product.clone().filter(|_| !network),
            serves: facts.serves.clone(),
            engine,
            indicates: match facts.indicates {
                Some(indicates) if !network => indicates,
                // That a list has a name is no evidence of what runs on a host that speaks to it.
                _ => Indicates::Contact,
            },
            confidence: confidence.filter(|_| !network).unwrap_or(Confidence::Low),
            ports: facts.ports.clone(),
            protocols: facts.protocols.clone(),
            valid_from: facts.valid_from,
            valid_until: facts.valid_until,
            source: facts.source.clone(),
            note: facts.note.clone(),
        })
    }

    /// The rule by which the pattern is judged as it is; an error where another vendor's rule does.
    fn covering(
        &self,
        kind: PatternKind,
        text: &str,
        vendor: &str,
        group: &Group,
        facts: &Facts,
    ) -> Result<Option<String>, String> {
        let same = self.known.get(&(kind, text)).copied();
        let by_wider = || {
            let found = match kind {
                PatternKind::Name => {
                    let probe = NamePattern::parse(text).ok()?.probe();
                    self.rules.match_name(probe.as_bytes())
                }
                PatternKind::UserAgent => self
                    .rules
                    .match_user_agent(&Glob::parse(text).ok()?.probe()),
                PatternKind::Uri => self.rules.match_uri(&Glob::parse(text).ok()?.probe()),
                PatternKind::Network => {
                    let network: ipnet::IpNet = text.parse().ok()?;
                    let found = self.rules.match_network(network.addr())?;
                    let wider: ipnet::IpNet = self.rules.pattern(found).parse().ok()?;
                    wider.contains(&network).then_some(found)
                }
                PatternKind::Asn => None,
            };
            found.map(|found| found.rule)
        };
        let Some(id) = same.or_else(by_wider) else {
            return Ok(None);
        };
        let rule = self.rules.rule(id);
        let owner = &self.rules.vendor(rule.vendor).id;
        if owner != vendor {
            return Err(format!(
                "judged by rule {} of vendor {owner}; a {} has one verdict",
                rule.id,
                kind_word(kind)
            ));
        }
        let engine = rule
            .engine
            .map(|engine| self.rules.vendor(engine.vendor).id.as_str());
        let more = (facts.purpose.is_some() && group.purpose != rule.purpose)
            || (group.product.is_some() && group.product != rule.product)
            || (group.engine.is_some()
                && group.engine.as_ref().map(|(id, _)| id.as_str()) != engine);
        match (more, same) {
            (false, _) => Ok(Some(format!("rule {}", rule.id))),
            (true, None) => Ok(None),
            (true, Some(_)) => Err(format!(
                "rule {} has the same pattern with another purpose, product or engine",
                rule.id
            )),
        }
    }

    /// Names that no rule may claim, claimed by the pattern itself or under its wildcard.
    fn refuse_negative(&self, text: &str) -> Result<(), String> {
        let refused = |pattern: &str, why: &str| Err(format!("no rule may claim {pattern}: {why}"));
        let Ok(own) = NamePattern::parse(text) else {
            return Ok(());
        };
        if let Some(negative) = self.rules.negative(own.probe().as_bytes()) {
            return refused(&negative.pattern, &negative.why);
        }
        if !own.wildcard {
            return Ok(());
        }
        let zone = format!(".{}", own.base);
        for negative in self.rules.negatives() {
            let inside = NamePattern::parse(&negative.pattern)
                .is_ok_and(|negative| negative.base.ends_with(&zone));
            // A more specific rule, or a more specific wildcard, may already keep it away from this one.
            if inside || negative.pattern == text {
                return refused(&negative.pattern, &negative.why);
            }
        }
        Ok(())
    }
}

/// The pattern in the form of rules.
fn well_formed(kind: PatternKind, text: &str) -> Result<String, String> {
    match kind {
        PatternKind::Name => name(text),
        PatternKind::UserAgent => match Glob::parse(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(problem) => Err(problem.to_string()),
        },
        PatternKind::Uri => match Glob::parse(text) {
            Ok(_) if text.starts_with(['/', '*']) => Ok(text.to_owned()),
            Ok(_) => Err("a path begins with \"/\", or the pattern with \"*\"".to_owned()),
            Err(problem) => Err(problem.to_string()),
        },
        PatternKind::Network => network(text),
        PatternKind::Asn => {
            let number = text.trim_start_matches(['A', 'S', 'a', 's']).parse::<u32>();
            let number = number.map_err(|_| format!("{text:?} is no number of a system"))?;
            Ok(format!("AS{number}"))
        }
    }
}

fn name(text: &str) -> Result<String, String> {
    let name = normal_name(text);
    if !name.is_ascii() {
        return Err("not in ASCII; write it as it stands on the wire (xn--…)".to_owned());
    }
    if name.parse::<std::net::IpAddr>().is_ok() {
        return Err("an address, not a name".to_owned());
    }
    let pattern = NamePattern::parse(&name).map_err(|problem| problem.to_string())?;
    // The last label of a name is no number (RFC 3696 §2), so this is an address or a part of one.
    if pattern
        .base
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err("ends in a number, as no name does".to_owned());
    }
    let suffix = psl::suffix(pattern.base.as_bytes());
    if suffix.is_some_and(|suffix| suffix.as_bytes().len() == pattern.base.len()) {
        return Err(format!(
            "anybody can have a name under {:?} (Public Suffix List)",
            pattern.base
        ));
    }
    Ok(name)
}

fn network(text: &str) -> Result<String, String> {
    let network = super::indicator::network(text)
        .ok_or_else(|| format!("{text:?} is no address and no network"))?;
    let network = network.trunc();
    let least = if network.addr().is_ipv4() { 8 } else { 16 };
    if network.prefix_len() < least {
        return Err(format!("wider than /{least}: no vendor has that much"));
    }
    let public = match network.addr() {
        std::net::IpAddr::V4(address) => {
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address.octets()[0] == 0)
        }
        // Global unicast (RFC 4291 §2.4): nothing else is given to anybody.
        std::net::IpAddr::V6(address) => address.segments()[0] & 0xe000 == 0x2000,
    };
    if !public {
        return Err("not an address of the internet".to_owned());
    }
    Ok(network.to_string())
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
