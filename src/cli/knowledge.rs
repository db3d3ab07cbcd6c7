//! A name, an address, a User-Agent or a URI in; everything the rules and tables know about it out.

use std::net::IpAddr;

use super::explanation::{
    Address, Basis, Company, EngineFact, EngineInside, Explanation, Near, NotClaimed,
    OperatorWords, PassedOver, RuleWords, Seen, Unknown, Verdict,
};
use crate::attribute::{
    Detectability, Engine, EngineUse, PatternKind, Rule, RuleMatch, Ruleset, ValidityDate, Vendor,
};
use crate::geo::{Countries, OperatorTable};
use crate::model::EvidenceKind;

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The name of a server.
    Name(&'a str),
    /// The address of a server.
    Address(IpAddr),
    /// The User-Agent of an HTTP request.
    UserAgent(&'a str),
    /// Path and query of an HTTP request.
    Uri(&'a str),
}

/// The tables that explanations rest on.
pub struct Tables<'a> {
    /// The rules.
    pub rules: &'a Ruleset,
    /// Addresses to countries.
    pub countries: &'a Countries,
    /// Addresses to operators.
    pub operators: &'a OperatorTable,
}

impl Tables<'_> {
    /// Everything known about the subject.
    pub fn explain(&self, subject: Subject<'_>) -> Explanation {
        let rules = self.rules;
        let (kind, asked, mut matches) = match subject {
            Subject::Name(name) => ("name", name.to_owned(), rules.matches(name.as_bytes())),
            Subject::UserAgent(text) => (
                "user_agent",
                text.to_owned(),
                rules.user_agent_matches(text.as_bytes()),
            ),
            Subject::Uri(text) => ("uri", text.to_owned(), rules.uri_matches(text.as_bytes())),
            Subject::Address(address) => {
                let asn = self.operators.lookup(address).map(|operator| operator.asn);
                (
                    "address",
                    address.to_string(),
                    rules.address_matches(address, asn),
                )
            }
        };
        let verdict = matches.pop().map(|found| self.verdict(found));
        matches.reverse();
        let unknown = verdict.is_none().then(|| self.unknown(subject));
        Explanation {
            kind,
            asked,
            passed_over: matches
                .into_iter()
                .map(|found| self.passed_over(found))
                .collect(),
            address: match subject {
                Subject::Address(address) => Some(self.address(address)),
                _ => None,
            },
            unknown,
            verdict,
            basis: Basis {
                ruleset: rules.digest().to_owned(),
                rules: rules.rules().len(),
                vendors: rules.vendors().len(),
                checked: rules.rules().map(|rule| rule.checked).max().map(day),
            },
        }
    }

    fn verdict(&self, found: RuleMatch) -> Verdict {
        let rules = self.rules;
        let rule = rules.rule(found.rule);
        let vendor = rules.vendor(rule.vendor);
        let kind = rules.pattern_kind(found).unwrap_or(PatternKind::Name);
        Verdict {
            vendor: company(vendor),
            product: rule.product.clone(),
            purpose: rule.purpose,
            serves: rule.serves.clone(),
            engine: rule.engine.map(|Engine { vendor, relation }| EngineInside {
                vendor: company(rules.vendor(vendor)),
                relation,
            }),
            indicates: rule.indicates,
            confidence: rule.confidence,
            confidence_by_evidence: evidence_of(kind)
                .iter()
                .map(|&kind| (kind.as_str(), rules.confidence(found.rule, kind)))
                .collect(),
            rule: rule_words(rule, rules.pattern(found)),
            engine_facts: self.engine_facts(rule, vendor),
            detectability: vendor.detectability.iter().map(seen).collect(),
            vendor_notes: vendor.notes.clone(),
        }
    }

    /// Engines inside the vendor's products; where the rule is about the vendor's own engine, also whose products carry it.
    fn engine_facts(&self, rule: &Rule, vendor: &Vendor) -> Vec<EngineFact> {
        let of = |user: &Vendor, fact: &EngineUse| EngineFact {
            product_vendor: user.legal_name.clone(),
            product: Some(fact.product.clone()),
            engine_vendor: self.rules.vendor(fact.engine.vendor).legal_name.clone(),
            engine: fact.engine_name.clone(),
            relation: fact.engine.relation,
            period: fact.period.clone(),
            network_sign: fact.network_sign.clone(),
            confidence: fact.confidence,
            source: fact.source.clone(),
        };
        let mut facts: Vec<EngineFact> = vendor
            .engine_uses
            .iter()
            .map(|fact| of(vendor, fact))
            .collect();
        if rule
            .engine
            .is_some_and(|engine| engine.vendor == vendor.number)
        {
            for user in self.rules.vendors() {
                facts.extend(
                    (user.engine_uses.iter())
                        .filter(|fact| fact.engine.vendor == vendor.number)
                        .map(|fact| of(user, fact)),
                );
            }
            facts.extend(vendor.engine_licences.iter().map(|fact| EngineFact {
                product_vendor: fact.partner.clone(),
                product: fact.product.clone(),
                engine_vendor: vendor.legal_name.clone(),
                engine: fact.engine_name.clone(),
                relation: fact.relation,
                period: fact.period.clone(),
                network_sign: fact.network_sign.clone(),
                confidence: fact.confidence,
                source: fact.source.clone(),
            }));
        }
        facts
    }

    fn passed_over(&self, found: RuleMatch) -> PassedOver {
        let rule = self.rules.rule(found.rule);
        PassedOver {
            rule: rule.id.clone(),
            pattern: self.rules.pattern(found).to_owned(),
            vendor: self.rules.vendor(rule.vendor).id.clone(),
            product: rule.product.clone(),
            purpose: rule.purpose,
            why: match self.rules.pattern_kind(found) {
                Some(PatternKind::UserAgent | PatternKind::Uri) => {
                    "has less text than the deciding one"
                }
                Some(PatternKind::Network) => "is wider than the deciding network",
                Some(PatternKind::Asn) => {
                    "a network that the vendor documents says more than who announces it"
                }
                _ => "means more names than the deciding pattern",
            },
        }
    }

    fn address(&self, address: IpAddr) -> Address {
        let dataset = self.countries.dataset();
        let operators = self.operators.dataset();
        Address {
            country: self.countries.lookup(address),
            country_by: format!("{} of {}", dataset.name, dataset.build_date),
            operator: self
                .operators
                .lookup(address)
                .map(|operator| OperatorWords {
                    name: operator.name.clone(),
                    asn: operator.asn,
                    registered_in: operator.country,
                    registered_basis: operator.country_basis.clone(),
                    vendor: (operator.vendor.as_deref())
                        .and_then(|id| self.rules.vendor_by_id(id))
                        .map(company),
                    confidence: operator.confidence,
                    source: operator.source.clone(),
                    note: operator.note.clone(),
                    by: format!("{} of {}", operators.name, operators.build_date),
                }),
        }
    }

    fn unknown(&self, subject: Subject<'_>) -> Unknown {
        let meaning = match subject {
            Subject::Name(name) => return self.unknown_name(name),
            Subject::Address(_) => {
                "No vendor is known to run this network. Security products often speak to hosting \
                 providers, so the address alone says nothing for or against one."
            }
            Subject::UserAgent(_) => {
                "No security product is known to send this text. Most send none, or one inside TLS \
                 that cannot be seen."
            }
            Subject::Uri(_) => {
                "No security product is known by this path. Only paths that are the product's own \
                 are rules, and TLS hides most."
            }
        };
        Unknown {
            meaning: meaning.to_owned(),
            ..Unknown::default()
        }
    }

    fn unknown_name(&self, name: &str) -> Unknown {
        const SHOWN: usize = 4;
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let domain = probable_domain(&name);
        let claimed = self.rules.negative(name.as_bytes());
        let mut near: Vec<(bool, Near)> = Vec::new();
        for rule in self.rules.rules() {
            for pattern in self.rules.patterns_of(rule.number) {
                let base = pattern.strip_prefix("*.").unwrap_or(pattern);
                if let Some(how) = nearness(&name, domain, base) {
                    near.push((
                        !pattern.starts_with("*."),
                        Near {
                            pattern: pattern.to_owned(),
                            rule: rule.id.clone(),
                            vendor: self.rules.vendor(rule.vendor).id.clone(),
                            how,
                        },
                    ));
                }
            }
        }
        // Zones first, then short patterns: what says most about the domain.
        near.sort_by(|(a_exact, a), (b_exact, b)| {
            (a_exact, a.pattern.len(), &a.pattern).cmp(&(b_exact, b.pattern.len(), &b.pattern))
        });
        let further = near.len().saturating_sub(SHOWN);
        Unknown {
            meaning:
                "No rule judges this name: it is not known to belong to a security product, which \
                      is no proof that it does not."
                    .to_owned(),
            claimed_by_nobody: claimed.map(|entry| NotClaimed {
                pattern: entry.pattern.clone(),
                why: entry.why.clone(),
                source: entry.source.clone(),
            }),
            domain: domain.map(str::to_owned),
            near: near.into_iter().take(SHOWN).map(|(_, near)| near).collect(),
            further,
        }
    }
}

/// How a pattern comes near a name that it does not mean.
fn nearness(name: &str, domain: Option<&str>, base: &str) -> Option<&'static str> {
    let under = |name: &str, zone: &str| {
        name.strip_suffix(zone)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if domain.is_some_and(|domain| under(base, domain)) {
        return Some("stands under the same domain");
    }
    if name
        .strip_suffix(base)
        .is_some_and(|rest| !rest.ends_with('.'))
    {
        return Some("the name ends in its letters, without a label boundary: another domain");
    }
    let followed = name.find(base).is_some_and(|at| {
        let before = name.get(..at).unwrap_or_default();
        let after = name.get(at + base.len()..).unwrap_or_default();
        (before.is_empty() || before.ends_with('.')) && after.starts_with('.')
    });
    followed.then_some("the name has it in front of somebody else's domain")
}

/// The last two labels, or three where the country has a second level for registrations. A guess: no list of
/// all such zones is built in.
fn probable_domain(name: &str) -> Option<&str> {
    const SECOND_LEVEL: &[&str] = &["ac", "co", "com", "edu", "gov", "net", "ne", "or", "org"];
    let mut dots = name.rmatch_indices('.').map(|(at, _)| at);
    let last = dots.next()?;
    let second = dots.next();
    let label = name.get(second.map_or(0, |at| at + 1)..last)?;
    let start = if name.len() - last == 3 && SECOND_LEVEL.contains(&label) {
        dots.next().map_or(0, |at| at + 1)
    } else {
        second.map_or(0, |at| at + 1)
    };
    let domain = name.get(start..)?;
    domain.contains('.').then_some(domain)
}

/// The kinds of evidence that a pattern can be found by, for the table of confidences.
const fn evidence_of(kind: PatternKind) -> &'static [EvidenceKind] {
    match kind {
        PatternKind::Name => &[
            EvidenceKind::HttpHost,
            EvidenceKind::TlsSni,
            EvidenceKind::QuicSni,
            EvidenceKind::DtlsSni,
            EvidenceKind::HttpConnect,
            EvidenceKind::Socks,
            EvidenceKind::TlsCert,
            EvidenceKind::DnsAnswer,
            EvidenceKind::DnsQuery,
            EvidenceKind::DnsAnswerOther,
        ],
        PatternKind::UserAgent => &[EvidenceKind::HttpUserAgent],
        PatternKind::Uri => &[EvidenceKind::HttpUri],
        PatternKind::Network => &[EvidenceKind::IpPrefix],
        PatternKind::Asn => &[EvidenceKind::Asn],
    }
}

fn company(vendor: &Vendor) -> Company {
    Company {
        id: vendor.id.clone(),
        legal_name: vendor.legal_name.clone(),
        jurisdiction: vendor.jurisdiction,
        jurisdiction_note: vendor.jurisdiction_note.clone(),
        parent: vendor.parent.clone(),
    }
}

fn rule_words(rule: &Rule, pattern: &str) -> RuleWords {
    RuleWords {
        id: rule.id.clone(),
        version: rule.version,
        pattern: pattern.to_owned(),
        file: rule.file.clone(),
        line: rule.line,
        source: rule.source.clone(),
        source_class: rule.source_class,
        checked: day(rule.checked),
        valid_from: rule.valid_from.map(day),
        valid_until: rule.valid_until.map(day),
        note: rule.note.clone(),
    }
}

/// What a fact says of what can be seen, in words.
pub(super) fn seen(fact: &Detectability) -> Seen {
    Seen {
        of: fact.product.clone().or_else(|| fact.engine.clone()),
        visibility: fact.visibility,
        why: fact.why.clone(),
        contact: fact.contact.clone(),
        contact_seconds: fact.interval.as_ref().map(|interval| interval.seconds),
        contact_source: (fact.interval.as_ref()).map(|interval| interval.source.clone()),
        derived: fact.derived,
    }
}

fn day(date: ValidityDate) -> String {
    date.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_guessed_from_the_last_labels() {
        for (name, domain) in [
            ("a.b.example.com", Some("example.com")),
            ("example.com", Some("example.com")),
            ("a.example.com.cn", Some("example.com.cn")),
            ("example.co.uk", Some("example.co.uk")),
            ("a.co.uk.", None),
            ("com", None),
        ] {
            if let Some(domain) = domain {
                assert_eq!(probable_domain(name), Some(domain), "{name}");
            } else {
                assert_ne!(probable_domain(name), Some(name), "{name}");
            }
        }
    }

    #[test]
    fn nearness_knows_siblings_look_alikes_and_names_in_front() {
        let near = |name| nearness(name, probable_domain(name), "vendor.com");
        assert!(near("new.vendor.com").unwrap().contains("same domain"));
        assert!(near("notvendor.com").unwrap().contains("boundary"));
        assert!(
            near("vendor.com.evil.example")
                .unwrap()
                .contains("in front")
        );
        assert_eq!(near("vendor.community"), None);
        assert_eq!(near("example.org"), None);
    }
}
