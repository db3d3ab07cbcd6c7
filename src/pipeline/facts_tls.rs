//! What TLS shows, told: a client's hello, and what its server chose and who it says that it is.
//!
//! The names in a certificate are all told. A rule stands with them only where they leave no doubt whose server it is: the client
//! named nobody, and every name in the certificate is the same vendor's. `*.vendor.example` is the vendor's if a rule means whatever
//! stands under it. The issuer is never evidence.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use super::bucket::named;
use super::encrypted_dns::Signs;
use super::facts::{FlowFacts, Sighting, Telling};
use super::shard::Task;
use crate::aggregate::{
    CertificateSeen, EventRun, HelloSeen, ListRef, ServerSeen, TextRef, TlsSeen,
};
use crate::attribute::RuleMatch;
use crate::decode::{TcpFlags, TcpHeader};
use crate::flow::{Directed, FlowEntry, FlowFlags};
use crate::model::{AppProtocol, Coverage, EvidenceKind, Timestamp};
use crate::observe::{DtlsReader, ServerPlace, ServerReader, TextKind};
use crate::protocol::tls::{
    Certificate, CertificateTime, ClientHello, DistinguishedName, Fingerprinter, HelloDetails,
    HelloTransport, ServerFlight, ServerName,
};

/// What a certificate means for its flow.
#[derive(Clone, Copy)]
struct Verdict<'a> {
    /// The name that stands for it.
    name: &'a [u8],
    rule: RuleMatch,
    /// Its names are the same vendor's, but not all the same service's.
    ambiguous: bool,
}

impl Telling<'_> {
    /// Judges, keeps and tells a hello.
    pub fn hello(&mut self, entry: &mut FlowEntry, hello: &ClientHello<'_>) {
        let (kind, protocol) = match hello.transport {
            HelloTransport::Tcp => (EvidenceKind::TlsSni, AppProtocol::Tls),
            HelloTransport::Quic => (EvidenceKind::QuicSni, AppProtocol::Quic),
            HelloTransport::Dtls => (EvidenceKind::DtlsSni, AppProtocol::Dtls),
        };
        let first = self.events.facts_begin();
        match hello.server_name {
            ServerName::Name(name) => self.server_name(entry, kind, name),
            ServerName::Address(text) => self.server_address(entry, kind, text),
            ServerName::Absent | ServerName::TooLong => {}
        }
        let tls = if self.facts.hello_details {
            let details = HelloDetails::of(*hello);
            let seen = hello_seen(&mut self.facts.fingerprinter, self.events, &details);
            self.events.keep_tls(TlsSeen::Hello(seen))
        } else {
            ListRef::default()
        };
        self.observed_with(entry, protocol, [TextRef::default(); 2], first, tls);
    }

    /// A server name alone, as hellos of other shapes have it.
    pub(in crate::pipeline) fn named_server(
        &mut self,
        entry: &mut FlowEntry,
        protocol: AppProtocol,
        kind: EvidenceKind,
        name: &[u8],
    ) {
        let first = self.events.facts_begin();
        self.server_name(entry, kind, name);
        let texts = [TextRef::default(); 2];
        self.observed_with(entry, protocol, texts, first, ListRef::default());
    }

    /// An address in place of a name is told; it says no more than the address does, and the flow's bucket says that.
    fn server_address(&mut self, entry: &mut FlowEntry, kind: EvidenceKind, text: &[u8]) {
        let sighting = Sighting {
            kind,
            name: self.facts.names.refer(TextKind::Host, text, |_| None),
            rule: None,
            frame: self.frame(),
            ech_offered: entry.flags.has(FlowFlags::ECH_OFFERED),
            ambiguous: false,
            decrypted: false,
            next: None,
        };
        let text = self.events.keep_text(text);
        self.events.push_fact(sighting.evidence(text));
        self.facts.sight(entry, sighting);
    }

    fn server_name(&mut self, entry: &mut FlowEntry, kind: EvidenceKind, name: &[u8]) {
        let ech_offered = entry.flags.has(FlowFlags::ECH_OFFERED);
        let (id, rule) = self.facts.judge_host(name, self.task.timestamp);
        let signs = Signs {
            name: Some(name),
            ..Signs::default()
        };
        signs.note(entry, self.facts.resolvers);
        named(
            entry,
            match rule {
                Some(_) => Coverage::Attributed,
                None if ech_offered => Coverage::EchOffered,
                None => Coverage::NamedNotSecurity,
            },
        );
        let sighting = Sighting {
            kind,
            name: id,
            rule,
            frame: self.frame(),
            ech_offered,
            ambiguous: false,
            decrypted: false,
            next: None,
        };
        let text = self.events.keep_text(name);
        self.events.push_fact(sighting.evidence(text));
        self.facts.sight(entry, sighting);
    }

    /// A packet of the server's, or one that may be.
    pub fn read_server(
        &mut self,
        servers: &mut ServerReader,
        entry: &mut FlowEntry,
        direction: Directed,
        task: &Task,
        payload: &[u8],
    ) {
        let before = self
            .facts
            .detail(entry)
            .map_or(ServerPlace::Unknown, |detail| detail.server_place);
        let mut place = before;
        servers.packet(
            entry,
            &mut place,
            direction,
            &task.packet,
            payload,
            &mut |entry, message| self.message(entry, message),
        );
        if place != before {
            self.facts.keep(entry, |detail| detail.server_place = place);
        }
    }

    /// A datagram of DTLS.
    pub fn read_dtls(
        &mut self,
        reader: &mut DtlsReader,
        entry: &mut FlowEntry,
        direction: Directed,
        payload: &[u8],
    ) {
        let before = self.facts.detail(entry).and_then(|detail| detail.dtls);
        let mut place = before;
        reader.datagram(
            entry,
            &mut place,
            direction,
            payload,
            &mut |entry, message| self.message(entry, message),
        );
        if place != before {
            self.facts.keep(entry, |detail| detail.dtls = place);
        }
    }

    /// The client has said hello: what it acknowledges is where the server's answer begins.
    pub fn expect_server(&mut self, entry: &mut FlowEntry, tcp: &TcpHeader) {
        if tcp.flags.has(TcpFlags::ACK) {
            let start = tcp.acknowledgment;
            self.facts.keep(entry, |detail| {
                if detail.server_place == ServerPlace::Unknown {
                    detail.server_place = ServerPlace::Start(start);
                }
            });
        }
    }

    /// What a server chose, and who it says that it is.
    pub fn server(
        &mut self,
        entry: &mut FlowEntry,
        flight: &ServerFlight,
        certificate: Option<&Certificate<'_>>,
    ) {
        let seen = ServerSeen {
            version: flight.hello().map_or(0, |hello| hello.version),
            resumed: flight.is_resumed(),
        };
        self.facts.keep(entry, |detail| detail.server = seen);
        if let Some(certificate) = certificate {
            let alpn = flight.hello().map_or(&[][..], |hello| hello.alpn());
            self.certificate(entry, alpn, certificate, seen);
        }
    }

    /// Who a server says that it is.
    pub fn certificate(
        &mut self,
        entry: &mut FlowEntry,
        alpn: &[u8],
        certificate: &Certificate<'_>,
        seen: ServerSeen,
    ) {
        let verdict = if self.facts.is_named(entry) {
            None
        } else {
            self.facts.verdict(certificate, self.task.timestamp)
        };
        let first = self.events.facts_begin();
        let frame = self.frame();
        let ech_offered = entry.flags.has(FlowFlags::ECH_OFFERED);
        let decrypted = self.decrypted.is_some();
        let fact = |name: &[u8], verdict: Option<&Verdict<'_>>| Sighting {
            kind: EvidenceKind::TlsCert,
            name: None,
            rule: verdict.filter(|it| it.name == name).map(|it| it.rule),
            frame,
            ech_offered,
            ambiguous: verdict.is_some_and(|it| it.ambiguous),
            decrypted,
            next: None,
        };
        for name in certificate.names() {
            let text = self.events.keep_text(name);
            let sighting = fact(name, verdict.as_ref());
            self.events.push_fact(sighting.evidence(text));
        }
        // The flow keeps one of them: the certificate is one fact, however many names it has.
        let kept = verdict
            .map(|it| it.name)
            .or_else(|| certificate.names().next());
        if let Some(name) = kept {
            let (id, _) = self.facts.judge_host(name, self.task.timestamp);
            let sighting = Sighting {
                name: id,
                ..fact(name, verdict.as_ref())
            };
            self.facts.sight(entry, sighting);
        }
        if verdict.is_some() {
            named(entry, Coverage::Attributed);
        }
        let scratch = &mut self.facts.scratch;
        let seen = certificate_seen(scratch, self.events, alpn, certificate, seen);
        let tls = self.events.keep_tls(TlsSeen::Certificate(seen));
        let texts = [TextRef::default(); 2];
        self.observed_with(entry, AppProtocol::Tls, texts, first, tls);
    }
}

impl FlowFacts {
    /// Whether the client of the flow said whom it wants, and not as a cover.
    fn is_named(&self, entry: &FlowEntry) -> bool {
        let mut at = self
            .detail(entry)
            .and_then(|detail| detail.facts)
            .map(|(first, _)| first);
        while let Some(sighting) = at.and_then(|at| self.sightings.get(at)) {
            let names = matches!(
                sighting.kind,
                EvidenceKind::TlsSni
                    | EvidenceKind::QuicSni
                    | EvidenceKind::DtlsSni
                    | EvidenceKind::HttpHost
                    | EvidenceKind::HttpConnect
                    | EvidenceKind::Socks
            );
            if names && !sighting.ech_offered && self.is_host_name(sighting) {
                return true;
            }
            at = sighting.next;
        }
        false
    }

    fn is_host_name(&self, sighting: &Sighting) -> bool {
        let name = sighting.name.map_or(&[][..], |id| self.names.name(id));
        std::str::from_utf8(name).map_or(true, |name| {
            name.trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_err()
        })
    }

    /// Whose a certificate is, if every name in it says the same.
    fn verdict<'a>(&self, certificate: &Certificate<'a>, time: Timestamp) -> Option<Verdict<'a>> {
        let mut verdict: Option<Verdict<'a>> = None;
        for name in certificate.host_names() {
            let rule = self.match_host(name, time)?;
            match &mut verdict {
                None => {
                    verdict = Some(Verdict {
                        name,
                        rule,
                        ambiguous: false,
                    });
                }
                Some(verdict) if self.is_one_vendor(verdict.rule, rule) => {
                    verdict.ambiguous |= verdict.rule.rule != rule.rule;
                }
                Some(_) => return None,
            }
        }
        verdict
    }
}

/// What a hello offers, kept with the events.
fn hello_seen(
    fingerprinter: &mut Fingerprinter,
    events: &mut EventRun,
    details: &HelloDetails<'_>,
) -> HelloSeen {
    let ja3 = fingerprinter.ja3(details);
    let (string, hash) = (
        events.keep_text(ja3.string.as_bytes()),
        events.keep_text(ja3.hash.as_bytes()),
    );
    let ja4 = events.keep_text(fingerprinter.ja4(details).text.as_bytes());
    let first = events.texts_begin();
    for name in details.alpn.iter() {
        events.push_text(name);
    }
    let alpns = events.texts_since(first);
    let versions = events.keep_numbers(details.versions());
    let it = details.resumption;
    HelloSeen {
        ja3: string,
        ja3_hash: hash,
        ja4,
        alpns,
        versions,
        ech_offered: details.ech,
        esni_offered: details.esni,
        resumption: [it.session_id, it.ticket, it.psk],
    }
}

/// What a certificate says, kept with the events.
fn certificate_seen(
    scratch: &mut String,
    events: &mut EventRun,
    alpn: &[u8],
    certificate: &Certificate<'_>,
    server: ServerSeen,
) -> CertificateSeen {
    use std::fmt::Write as _;
    let mut name = |events: &mut EventRun, name: DistinguishedName<'_>| {
        scratch.clear();
        name.write(scratch);
        events.keep_text(scratch.as_bytes())
    };
    let (subject, issuer) = (
        name(events, certificate.subject),
        name(events, certificate.issuer),
    );
    let mut time = |time: Option<CertificateTime>| {
        scratch.clear();
        if let Some(time) = time {
            // Writing to a string cannot fail.
            let _ = write!(scratch, "{time}");
        }
        events.keep_text(scratch.as_bytes())
    };
    let (not_before, not_after) = (time(certificate.not_before), time(certificate.not_after));
    let alpn = events.keep_text(alpn);
    let first = events.texts_begin();
    for name in certificate.alternative_names() {
        events.push_text(name);
    }
    CertificateSeen {
        subject,
        issuer,
        not_before,
        not_after,
        alternative_names: events.texts_since(first),
        alpn,
        server,
    }
}
