//! Names that no rule knows → whose they may be.

use super::AlertEngine;
use crate::aggregate::{EventRun, Ledger, MessageObserved, TlsSeen};
use crate::alert::organisations::organisation;
use crate::alert::uncovered::{SuggestionReason, UncoveredName};
use crate::attribute::Ruleset;
use crate::model::{EvidenceKind, Locality, printable};

impl AlertEngine {
    /// Names of a message that no rule knows, under a vendor's domain or behind a vendor's certificate.
    pub(super) fn uncovered_names(&mut self, observed: &MessageObserved, run: &EventRun) {
        let home = self.home.contains(&observed.client.address);
        if !home || observed.locality != Locality::Outbound {
            return;
        }
        let organisation = match run.tls(observed.tls) {
            Some(TlsSeen::Certificate(seen)) => organisation(run.text(seen.subject)),
            _ => None,
        };
        let organisation =
            organisation.and_then(|name| Some((*self.organisations.get(name.as_str())?, name)));
        let rules = &self.rules;
        for fact in run.facts(observed.facts) {
            let is_name = matches!(
                fact.kind,
                EvidenceKind::TlsSni
                    | EvidenceKind::QuicSni
                    | EvidenceKind::DtlsSni
                    | EvidenceKind::HttpHost
                    | EvidenceKind::TlsCert
            );
            if !is_name || fact.rule.is_some() {
                continue;
            }
            // Most names are near to nobody: that is found out first.
            let name = run.text(fact.text);
            let under = self.domains.vendor_of(name);
            let (vendor, reason, basis) = match (under, &organisation) {
                (Some((vendor, domain)), _) => (vendor, SuggestionReason::SameDomain, domain),
                (None, Some((vendor, organisation))) => {
                    let reason = SuggestionReason::SameOrganisation;
                    (*vendor, reason, organisation.as_str())
                }
                (None, None) => continue,
            };
            if is_known(rules, name) {
                continue;
            }
            let uncovered = UncoveredName {
                value: printable(name).into_owned(),
                kind: fact.kind,
            };
            let vendor = rules.vendor(vendor).id.as_str();
            self.suggestions.add(vendor, reason, basis, uncovered);
        }
    }

    /// A flow to a vendor's network whose client named somebody whom no rule knows.
    pub(super) fn uncovered_network(&mut self, ledger: &Ledger) {
        let judgement = ledger.judgement();
        let network = judgement.evidence().iter().find_map(|fact| {
            let network = matches!(fact.kind, EvidenceKind::IpPrefix | EvidenceKind::Asn);
            fact.rule.filter(|_| network)
        });
        let Some(network) = network else { return };
        let named = judgement.evidence().iter().find(|fact| {
            let names = matches!(
                fact.kind,
                EvidenceKind::TlsSni | EvidenceKind::QuicSni | EvidenceKind::HttpHost
            );
            names && fact.rule.is_none()
        });
        let Some(named) = named else { return };
        let name = judgement.text(named);
        if is_known(&self.rules, name) {
            return;
        }
        let uncovered = UncoveredName {
            value: printable(name).into_owned(),
            kind: named.kind,
        };
        let rules = &self.rules;
        let rule = rules.rule(network.rule);
        let vendor = rules.vendor(rule.vendor).id.as_str();
        self.suggestions
            .add(vendor, SuggestionReason::SameNetwork, &rule.id, uncovered);
    }
}

/// Whether a rule knows the name, on whatever day, or says that it means nothing.
fn is_known(rules: &Ruleset, name: &[u8]) -> bool {
    rules.match_name(name).is_some() || rules.negative(name).is_some()
}
