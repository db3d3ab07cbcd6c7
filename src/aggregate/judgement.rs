//! All facts about a flow or a message → which of them decides, and how sure that is.
//!
//! What the flow itself shows outweighs what was learnt beside it: a name that its client gave is not overruled by what somebody
//! resolved or by who runs the network. Only where the name may be a cover (Encrypted ClientHello) does the rest count too.
//! A name inside a tunnel outweighs whom the proxy was asked to reach.

use super::{EventRun, Evidence, FrameRef};
use crate::attribute::{RuleMatch, Ruleset};
use crate::model::{Confidence, Coverage, EvidenceKind};

/// One fact, weighed.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a mark of the fact")]
pub struct Weighed {
    /// What kind of fact.
    pub kind: EvidenceKind,
    text: (u32, u32),
    /// What the rules make of it.
    pub rule: Option<RuleMatch>,
    /// How sure an attribution by it is, where a rule knows it.
    pub confidence: Option<Confidence>,
    /// The frame that completed it.
    pub frame: FrameRef,
    /// Encrypted ClientHello was offered with the name.
    pub ech_offered: bool,
    /// Another name with another verdict may be meant as well.
    pub ambiguous: bool,
    /// It was read inside TLS, with a secret that was given.
    pub decrypted: bool,
    /// It rests on an answer whose question was not seen: anybody can send one.
    unsolicited: bool,
}

/// What was made of the last event. Reused from event to event: clearing keeps the memory.
#[derive(Debug, Default)]
pub struct Judgement {
    evidence: Vec<Weighed>,
    text: Vec<u8>,
    deciding: Option<usize>,
    coverage: Option<Coverage>,
}

impl Judgement {
    /// Every fact, as they were learnt.
    pub fn evidence(&self) -> &[Weighed] {
        &self.evidence
    }

    /// The fact that decides whose it is.
    pub fn deciding(&self) -> Option<&Weighed> {
        self.evidence.get(self.deciding?)
    }

    /// The bucket of a flow, everything considered.
    pub fn coverage(&self) -> Option<Coverage> {
        self.coverage
    }

    /// The name or mark of a fact.
    pub fn text(&self, fact: &Weighed) -> &[u8] {
        let (offset, len) = fact.text;
        self.text
            .get(offset as usize..)
            .and_then(|rest| rest.get(..len as usize))
            .unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.evidence.clear();
        self.text.clear();
        self.deciding = None;
        self.coverage = None;
    }

    /// Adds what the flow itself showed.
    pub(super) fn add_own(&mut self, facts: &[Evidence], run: &EventRun, rules: &Ruleset) {
        for fact in facts {
            let weighed = Weighed {
                kind: fact.kind,
                text: (0, 0),
                rule: fact.rule,
                confidence: None,
                frame: fact.frame,
                ech_offered: fact.ech_offered,
                ambiguous: fact.ambiguous,
                decrypted: fact.decrypted,
                unsolicited: false,
            };
            self.add(weighed, run.text(fact.text), rules);
        }
    }

    /// Adds a fact.
    pub(super) fn add(&mut self, fact: Weighed, text: &[u8], rules: &Ruleset) {
        let offset = self.text.len() as u32;
        self.text.extend_from_slice(text);
        let confidence = fact.rule.map(|found| {
            let confidence = rules.confidence(found.rule, fact.kind);
            if fact.ambiguous || fact.unsolicited {
                Confidence::Low
            } else {
                confidence
            }
        });
        self.evidence.push(Weighed {
            text: (offset, text.len() as u32),
            confidence,
            ..fact
        });
    }

    /// Decides; `coverage` is the bucket by what the flow itself showed.
    pub(super) fn decide(&mut self, coverage: Option<Coverage>) {
        let named = self.evidence.iter().any(|fact| {
            names_the_server(fact.kind) && !fact.ech_offered && !is_address(self.text(fact))
        });
        self.deciding = self
            .evidence
            .iter()
            .enumerate()
            .filter(|(position, fact)| {
                fact.rule.is_some()
                    && !(named && gives_way(fact.kind))
                    && !self.is_outside(*position)
            })
            // The first of the strongest kind.
            .min_by_key(|(_, fact)| fact.kind)
            .map(|(position, _)| position);
        self.coverage = coverage.map(|own| match self.deciding {
            Some(_) => Coverage::Attributed,
            // Whatever the flow showed that was known is no longer there to be named.
            None if own == Coverage::Attributed => Coverage::NamedNotSecurity,
            None => own,
        });
    }

    /// Whether the fact is whom a proxy was asked to reach, and another name was shown inside the tunnel. Behind a CONNECT that
    /// was refused other requests follow, so of CONNECT only a name of TLS is surely inside.
    fn is_outside(&self, position: usize) -> bool {
        let Some(outer) = self.evidence.get(position) else {
            return false;
        };
        let goes_inside = |kind| match outer.kind {
            EvidenceKind::HttpConnect => kind == EvidenceKind::TlsSni,
            EvidenceKind::Socks => matches!(kind, EvidenceKind::TlsSni | EvidenceKind::HttpHost),
            _ => false,
        };
        let mut others = self.evidence.iter().enumerate();
        others.any(|(other, fact)| {
            // Where room was made for what a rule knows, the list is not in order; frames are.
            let is_later = (outer.frame.seq, position) < (fact.frame.seq, other);
            let text = self.text(fact);
            goes_inside(fact.kind)
                && is_later
                && !fact.ech_offered
                && !is_address(text)
                && !text.eq_ignore_ascii_case(self.text(outer))
        })
    }

    /// Whether the flow goes to a proxy: where its server stands then says nothing about whose it is.
    pub fn is_via_proxy(&self) -> bool {
        let mut kinds = self.evidence.iter().map(|fact| fact.kind);
        kinds.any(|kind| matches!(kind, EvidenceKind::HttpConnect | EvidenceKind::Socks))
    }
}

impl Weighed {
    /// A fact that was not read from the flow itself.
    pub(super) const fn beside(
        kind: EvidenceKind,
        rule: Option<RuleMatch>,
        frame: FrameRef,
        ambiguous: bool,
    ) -> Self {
        Self {
            kind,
            text: (0, 0),
            rule,
            confidence: None,
            frame,
            ech_offered: false,
            ambiguous,
            decrypted: false,
            unsolicited: false,
        }
    }

    /// The same, and whether it rests on an answer whose question was not seen.
    pub(super) const fn answered_unasked(self, unsolicited: bool) -> Self {
        Self {
            unsolicited,
            ..self
        }
    }
}

/// Kinds by which the client of the flow says whom it wants.
const fn names_the_server(kind: EvidenceKind) -> bool {
    matches!(
        kind,
        EvidenceKind::HttpHost
            | EvidenceKind::TlsSni
            | EvidenceKind::QuicSni
            | EvidenceKind::DtlsSni
            | EvidenceKind::HttpConnect
            | EvidenceKind::Socks
    )
}

/// An address in place of a name says nothing beyond the address.
fn is_address(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| {
        text.trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok()
    })
}

/// Kinds that say nothing against a name that the client gave: what was learnt beside the flow, and the server's certificate, which may
/// be anybody's on a shared address.
const fn gives_way(kind: EvidenceKind) -> bool {
    is_learnt_beside(kind) || matches!(kind, EvidenceKind::TlsCert)
}

/// Kinds that were learnt beside the flow.
pub(super) const fn is_learnt_beside(kind: EvidenceKind) -> bool {
    matches!(
        kind,
        EvidenceKind::DnsAnswer
            | EvidenceKind::DnsAnswerOther
            | EvidenceKind::IpPrefix
            | EvidenceKind::Asn
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

    use super::*;

    fn rule(rules: &Ruleset, name: &str) -> Option<RuleMatch> {
        rules.match_name(name.as_bytes())
    }

    /// What decides among facts, each with its kind, its text and whether the name may be a cover.
    fn decided(facts: &[(EvidenceKind, &str, bool)]) -> Option<(EvidenceKind, Confidence)> {
        let rules = Ruleset::builtin().unwrap();
        let mut judgement = Judgement::default();
        for (kind, text, ech_offered) in facts {
            let found = rule(&rules, text);
            let fact = Weighed {
                ech_offered: *ech_offered,
                ..Weighed::beside(*kind, found, FrameRef::default(), false)
            };
            judgement.add(fact, text.as_bytes(), &rules);
        }
        judgement.decide(Some(Coverage::OtherProtocol));
        let decided = judgement.deciding()?;
        assert_eq!(judgement.coverage(), Some(Coverage::Attributed));
        Some((decided.kind, decided.confidence.unwrap()))
    }

    const VENDOR: &str = "downloads.upd.kaspersky.com";
    const OTHER: &str = "www.example.org";

    #[test]
    fn the_strongest_kind_decides() {
        use EvidenceKind::{DnsAnswer, DnsAnswerOther, HttpHost, TlsSni};
        assert_eq!(
            decided(&[(DnsAnswer, VENDOR, false), (TlsSni, VENDOR, false)]),
            Some((TlsSni, Confidence::High))
        );
        assert_eq!(
            decided(&[(TlsSni, VENDOR, false), (HttpHost, VENDOR, false)]),
            Some((HttpHost, Confidence::High))
        );
        assert_eq!(
            decided(&[(DnsAnswerOther, VENDOR, false)]),
            Some((DnsAnswerOther, Confidence::Low))
        );
    }

    #[test]
    fn a_name_inside_a_tunnel_outweighs_whom_the_proxy_was_asked_to_reach() {
        use EvidenceKind::{HttpConnect, HttpHost, Socks, TlsSni};
        let high = |kind| Some((kind, Confidence::High));
        for outer in [HttpConnect, Socks] {
            assert_eq!(
                decided(&[(outer, OTHER, false), (TlsSni, VENDOR, false)]),
                high(TlsSni)
            );
            assert_eq!(
                decided(&[(outer, VENDOR, false), (TlsSni, OTHER, false)]),
                None,
                "{outer:?}"
            );
            assert_eq!(
                decided(&[(outer, VENDOR, false), (TlsSni, OTHER, true)]),
                high(outer),
                "the name inside may be a cover"
            );
            assert_eq!(
                decided(&[(outer, VENDOR, false), (TlsSni, "192.0.2.7", false)]),
                high(outer),
                "an address is no name"
            );
        }
        assert_eq!(
            decided(&[(Socks, VENDOR, false), (HttpHost, OTHER, false)]),
            None
        );
        assert_eq!(
            decided(&[(HttpConnect, VENDOR, false), (HttpHost, OTHER, false)]),
            high(HttpConnect),
            "it was refused, and another request followed"
        );
        assert_eq!(
            decided(&[(TlsSni, OTHER, false), (HttpConnect, VENDOR, false)]),
            high(HttpConnect),
            "what came before is not inside"
        );
    }

    #[test]
    fn a_certificate_decides_only_where_the_client_named_nobody() {
        use EvidenceKind::{DnsAnswer, TlsCert, TlsSni};
        assert_eq!(
            decided(&[(TlsCert, VENDOR, false), (DnsAnswer, VENDOR, false)]),
            Some((TlsCert, Confidence::Medium))
        );
        assert_eq!(
            decided(&[(TlsSni, OTHER, false), (TlsCert, VENDOR, false)]),
            None
        );
        assert_eq!(
            decided(&[(TlsSni, OTHER, true), (TlsCert, VENDOR, false)]),
            Some((TlsCert, Confidence::Medium)),
            "the name may be a cover"
        );
    }

    #[test]
    fn a_name_of_the_flow_is_not_overruled_by_what_was_learnt_beside_it() {
        use EvidenceKind::{DnsAnswer, HttpHost, TlsSni};
        assert_eq!(
            decided(&[(TlsSni, OTHER, false), (DnsAnswer, VENDOR, false)]),
            None
        );
        assert_eq!(
            decided(&[(TlsSni, OTHER, true), (DnsAnswer, VENDOR, false)]),
            Some((DnsAnswer, Confidence::Medium)),
            "the name may be a cover"
        );
        assert_eq!(
            decided(&[(HttpHost, "192.0.2.7", false), (DnsAnswer, VENDOR, false)]),
            Some((DnsAnswer, Confidence::Medium)),
            "an address is no name"
        );
    }
}
