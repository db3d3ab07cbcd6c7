//! A rule's own confidence and the kind of evidence in, the confidence of the attribution out.
//!
//! The confidence is the rule's own, cut at what the kind of evidence can carry:
//!
//! | evidence | at most | why |
//! |---|---|---|
//! | `http_host` `http_uri` `tls_sni` `quic_sni` `dtls_sni` `http_connect` `socks` | high | the client itself names the server in this very flow |
//! | `http_user_agent` | medium | the client names a program, but other programs copy the text |
//! | `tls_cert` | medium | the server's certificate may name many tenants |
//! | `dns_answer` | medium | this client asked, but the address may serve other names too |
//! | `dns_query` | medium | this client asked, and may ask for somebody else |
//! | `dns_answer_other` | low | somebody else asked |
//! | `ip_prefix` `asn` | low | an address range says who announces it, not what runs there |
//! | `ja4` | low | a fingerprint only corroborates |
//! | `mdns_query` `llmnr_query` `nbns_query` | low | a question to the local network, not to the vendor |
//!
//! A rule that is itself low, or that rests on memory (`unverified`), never yields more than low.

use crate::model::{Confidence, EvidenceKind, SourceClass};

/// The confidence of an attribution: `rule`, cut at what `evidence` can carry; low for facts from memory.
pub const fn attributed_confidence(
    rule: Confidence,
    source_class: SourceClass,
    evidence: EvidenceKind,
) -> Confidence {
    if matches!(source_class, SourceClass::Unverified) {
        return Confidence::Low;
    }
    match (rule, ceiling(evidence)) {
        (Confidence::Low, _) | (_, Confidence::Low) => Confidence::Low,
        (Confidence::Medium, _) | (_, Confidence::Medium) => Confidence::Medium,
        (Confidence::High, Confidence::High) => Confidence::High,
    }
}

/// The most that one piece of evidence of this kind can show.
const fn ceiling(evidence: EvidenceKind) -> Confidence {
    match evidence {
        EvidenceKind::HttpHost
        | EvidenceKind::HttpUri
        | EvidenceKind::TlsSni
        | EvidenceKind::QuicSni
        | EvidenceKind::DtlsSni
        | EvidenceKind::HttpConnect
        | EvidenceKind::Socks => Confidence::High,
        EvidenceKind::HttpUserAgent
        | EvidenceKind::TlsCert
        | EvidenceKind::DnsAnswer
        | EvidenceKind::DnsQuery => Confidence::Medium,
        EvidenceKind::DnsAnswerOther
        | EvidenceKind::IpPrefix
        | EvidenceKind::Asn
        | EvidenceKind::Ja4
        | EvidenceKind::MdnsQuery
        | EvidenceKind::LlmnrQuery
        | EvidenceKind::NbnsQuery => Confidence::Low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_the_rule_itself_claims() {
        for &evidence in EvidenceKind::ALL {
            for &class in SourceClass::ALL {
                for &rule in Confidence::ALL {
                    assert!(attributed_confidence(rule, class, evidence) <= rule);
                }
            }
        }
    }

    #[test]
    fn low_and_unverified_stay_low() {
        for &evidence in EvidenceKind::ALL {
            for &rule in Confidence::ALL {
                assert_eq!(
                    attributed_confidence(rule, SourceClass::Unverified, evidence),
                    Confidence::Low
                );
            }
            assert_eq!(
                attributed_confidence(Confidence::Low, SourceClass::VendorDoc, evidence),
                Confidence::Low
            );
        }
    }

    #[test]
    fn a_name_in_the_flow_beats_a_resolution_which_beats_somebody_elses() {
        let with = |kind| attributed_confidence(Confidence::High, SourceClass::VendorDoc, kind);
        assert_eq!(with(EvidenceKind::TlsSni), Confidence::High);
        assert!(with(EvidenceKind::TlsSni) > with(EvidenceKind::DnsAnswer));
        assert!(with(EvidenceKind::DnsAnswer) > with(EvidenceKind::DnsAnswerOther));
        assert_eq!(with(EvidenceKind::IpPrefix), Confidence::Low);
        assert_eq!(with(EvidenceKind::Asn), Confidence::Low);
    }
}
