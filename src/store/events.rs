//! Ordered events → JSON Lines.
//!
//! `tls`, `quic`, `http`, `socks`, `dns`, `dhcp` and `host` are written when a message is seen, `flow` when a flow ends or reports. Fields follow Suricata's EVE; our
//! own are under `avscope`. What each field means: `docs/EVENTS.md`.

use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;

use super::community_id::{community_id, is_one_way};
use super::dns::dns;
use super::host::{dhcp, host};
use super::line::{
    Attribution, EngineOut, EvidenceOut, Flow, Http, Icmp, Line, Own, Quic, Server, Socks, Tcp,
};
use super::mark::mark;
use super::tls;
use super::words::{eve_reason, protocol_name, state};
use crate::aggregate::{
    DnsTransaction, EventRef, EventRun, FlowReported, HostFact, Judgement, MessageObserved, Weighed,
};
use crate::attribute::Ruleset;
use crate::decode::{ICMP, ICMPV6, TCP, TunnelPath, UDP};
use crate::flow::{Endpoint, FlowId, FlowKey, FlowRecord};
use crate::geo::{Countries, Dataset, OperatorTable};
use crate::model::{AppProtocol, EvidenceKind, Locality, Timestamp, printable, rfc3339};

/// Version of the fields and their meaning.
pub const SCHEMA_VERSION: u32 = 2;

/// Writes events as they come.
pub struct EventWriter<W: Write> {
    out: W,
    rules: Arc<Ruleset>,
    countries: Arc<Countries>,
    operators: Arc<OperatorTable>,
    /// Names of sites by the scope of a flow; empty where no site was given.
    sites: Vec<String>,
    /// Take identifiers out of User-Agents and URIs.
    redact: bool,
    line: Vec<u8>,
}

/// Names that hellos of TLS and DTLS carry.
const HELLO_NAMES: [EvidenceKind; 2] = [EvidenceKind::TlsSni, EvidenceKind::DtlsSni];

/// The two ends of an event.
struct Ends<'a> {
    flow: FlowId,
    key: &'a FlowKey,
    source: Endpoint,
    destination: Endpoint,
    tunnel: TunnelPath,
}

impl<W: Write> EventWriter<W> {
    /// Writes to `out`, which should buffer.
    pub fn new(
        out: W,
        rules: Arc<Ruleset>,
        countries: Arc<Countries>,
        operators: Arc<OperatorTable>,
        sites: Vec<String>,
    ) -> Self {
        Self {
            out,
            rules,
            countries,
            operators,
            sites,
            redact: false,
            line: Vec::with_capacity(2048),
        }
    }

    /// The same, and whether identifiers are taken out of User-Agents and URIs.
    #[must_use]
    pub fn redacted(self, redact: bool) -> Self {
        Self { redact, ..self }
    }

    /// Writes the event, if it is one that has a line; `judgement` is what the ledger made of it.
    pub fn event(&mut self, event: EventRef<'_>, judgement: &Judgement) -> std::io::Result<()> {
        let mut buffer = std::mem::take(&mut self.line);
        buffer.clear();
        let written = match event {
            EventRef::Opened(_) => Ok(()),
            EventRef::Observed(observed, run) => {
                self.observed(&mut buffer, observed, run, judgement)
            }
            EventRef::Dns(transaction, run) => self.dns(&mut buffer, transaction, run, judgement),
            EventRef::Host(fact, run) => self.host(&mut buffer, fact, run, judgement),
            EventRef::Reported(reported, _) => self.reported(&mut buffer, reported, judgement),
        };
        let result = written.and_then(|()| self.out.write_all(&buffer));
        self.line = buffer;
        result
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Writes what is buffered.
    pub fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }

    fn observed(
        &self,
        buffer: &mut Vec<u8>,
        observed: &MessageObserved,
        run: &EventRun,
        judgement: &Judgement,
    ) -> std::io::Result<()> {
        let ends = Ends {
            flow: observed.flow,
            key: &observed.key,
            source: observed.client,
            destination: observed.server,
            tunnel: observed.tunnel,
        };
        let value = |kinds: &[EvidenceKind]| {
            let fact = judgement
                .evidence()
                .iter()
                .find(|fact| kinds.contains(&fact.kind))?;
            Some(mark(fact.kind, judgement.text(fact), self.redact))
        };
        let mut client_hello = None;
        let (event_type, tls, quic, http) = match observed.app_protocol {
            AppProtocol::Socks => ("socks", None, None, None),
            AppProtocol::Http | AppProtocol::Http2 => (
                "http",
                None,
                None,
                Some(Http {
                    hostname: value(&[EvidenceKind::HttpHost, EvidenceKind::HttpConnect]),
                    url: mark(
                        EvidenceKind::HttpUri,
                        run.text(observed.target),
                        self.redact,
                    ),
                    http_user_agent: value(&[EvidenceKind::HttpUserAgent]),
                    http_method: printable(run.text(observed.method)),
                }),
            ),
            AppProtocol::Quic => (
                "quic",
                None,
                {
                    let (hello, more) =
                        tls::observed(value(&[EvidenceKind::QuicSni]), observed, run);
                    client_hello = more;
                    Some(Quic {
                        version: observed.quic_version.map(quic_version),
                        hello,
                    })
                },
                None,
            ),
            _ => {
                let (tls, hello) = tls::observed(value(&HELLO_NAMES), observed, run);
                client_hello = hello;
                ("tls", Some(tls), None, None)
            }
        };
        let mut line = Line {
            tls,
            quic,
            http,
            app_proto: Some(observed.app_protocol.as_str()),
            ..self.line(
                observed.time,
                event_type,
                &ends,
                observed.locality,
                judgement,
            )
        };
        if observed.tunnelled {
            line.avscope.server = None;
        }
        if observed.app_protocol == AppProtocol::Socks {
            line.avscope.socks = Some(Socks {
                command: printable(run.text(observed.method)),
                target: printable(run.text(observed.target)),
            });
        }
        line.avscope.decrypted = observed.decrypted;
        line.avscope.client_hello = client_hello;
        write_line(buffer, &line)
    }

    fn dns(
        &self,
        buffer: &mut Vec<u8>,
        transaction: &DnsTransaction,
        run: &EventRun,
        judgement: &Judgement,
    ) -> std::io::Result<()> {
        let ends = Ends {
            flow: transaction.flow,
            key: &transaction.key,
            source: transaction.client,
            destination: transaction.server,
            tunnel: transaction.tunnel,
        };
        let mut line = Line {
            dns: Some(dns(transaction, run)),
            app_proto: Some(match transaction.kind {
                EvidenceKind::MdnsQuery => AppProtocol::Mdns.as_str(),
                EvidenceKind::LlmnrQuery => AppProtocol::Llmnr.as_str(),
                EvidenceKind::NbnsQuery => AppProtocol::Nbns.as_str(),
                _ => AppProtocol::Dns.as_str(),
            }),
            ..self.line(
                transaction.frame().time,
                "dns",
                &ends,
                transaction.locality,
                judgement,
            )
        };
        // The server of the event is the resolver, not the vendor's.
        line.avscope.server = None;
        line.avscope.dns_outcome = Some(transaction.outcome);
        line.avscope.unsolicited = Some(transaction.is_unsolicited());
        write_line(buffer, &line)
    }

    fn host(
        &self,
        buffer: &mut Vec<u8>,
        fact: &HostFact,
        run: &EventRun,
        judgement: &Judgement,
    ) -> std::io::Result<()> {
        let ends = Ends {
            flow: fact.flow,
            key: &fact.key,
            source: fact.source,
            destination: fact.destination,
            tunnel: fact.tunnel,
        };
        let event_type = if fact.dhcp.is_some() { "dhcp" } else { "host" };
        let mut line = Line {
            dhcp: dhcp(fact, run, self.redact),
            app_proto: Some(fact.kind.as_str()),
            ..self.line(fact.frame.time, event_type, &ends, fact.locality, judgement)
        };
        line.avscope.host = Some(host(fact, run, self.redact));
        write_line(buffer, &line)
    }

    fn reported(
        &self,
        buffer: &mut Vec<u8>,
        reported: &FlowReported,
        judgement: &Judgement,
    ) -> std::io::Result<()> {
        let record = &reported.record;
        let [bytes_toserver, bytes_toclient] = record.total.bytes;
        let [pkts_toserver, pkts_toclient] = record.total.packets;
        let is_tcp = record.key.protocol() == TCP;
        let ends = Ends {
            flow: record.id,
            key: &record.key,
            source: record.initiator,
            destination: record.responder,
            tunnel: reported.tunnel,
        };
        let shown = |kind| {
            let mut facts = judgement.evidence().iter();
            let fact = facts.find(|fact| fact.kind == kind)?;
            Some(printable(judgement.text(fact)))
        };
        let sni = shown(EvidenceKind::TlsSni).or_else(|| shown(EvidenceKind::DtlsSni));
        let mut line = Line {
            icmp: icmp(record),
            app_proto: record.app_protocol.map(AppProtocol::as_str),
            tls: tls::reported(sni, reported.server),
            quic: shown(EvidenceKind::QuicSni).map(|sni| Quic {
                version: None,
                hello: tls::named(sni),
            }),
            flow: Some(Flow {
                pkts_toserver,
                pkts_toclient,
                bytes_toserver,
                bytes_toclient,
                start: rfc3339(record.start),
                end: rfc3339(record.end),
                state: state(record),
                reason: eve_reason(record.end_reason),
            }),
            tcp: is_tcp.then(|| {
                let [from_initiator, from_responder] = record.tcp_flags;
                Tcp {
                    tcp_flags_ts: format!("{:02x}", from_initiator.0),
                    tcp_flags_tc: format!("{:02x}", from_responder.0),
                }
            }),
            // The time of the last packet: the deadline that ended the flow is no time of the network.
            ..self.line(record.end, "flow", &ends, record.locality, judgement)
        };
        let own = &mut line.avscope;
        own.coverage = judgement.coverage().or(Some(record.coverage));
        own.flow_end_reason = Some(record.end_reason);
        own.midstream = Some(record.midstream);
        own.encrypted_dns = record.encrypted_dns;
        own.evidence_left_out = reported.facts_left_out;
        if judgement.is_via_proxy() {
            own.server = None;
        }
        write_line(buffer, &line)
    }

    /// What all lines have.
    fn line<'a>(
        &'a self,
        time: Timestamp,
        event_type: &'static str,
        ends: &Ends<'_>,
        locality: Locality,
        judgement: &'a Judgement,
    ) -> Line<'a> {
        let protocol = ends.key.protocol();
        let has_ports = matches!(protocol, TCP | UDP);
        let server_ip = ends.destination.ip();
        Line {
            timestamp: rfc3339(time),
            flow_id: ends.flow.0,
            event_type,
            src_ip: ends.source.ip(),
            src_port: has_ports.then_some(ends.source.port),
            dest_ip: server_ip,
            dest_port: has_ports.then_some(ends.destination.port),
            icmp: Icmp::default(),
            proto: protocol_name(protocol),
            app_proto: None,
            community_id: community_id(ends.key, &ends.source, &ends.destination),
            tls: None,
            quic: None,
            http: None,
            dns: None,
            dhcp: None,
            flow: None,
            tcp: None,
            avscope: Own {
                schema_version: SCHEMA_VERSION,
                site: self.site(ends.key),
                locality,
                tunnel: ends.tunnel.layers().collect(),
                coverage: None,
                flow_end_reason: None,
                midstream: None,
                encrypted_dns: false,
                decrypted: judgement.evidence().iter().any(|fact| fact.decrypted),
                dns_outcome: None,
                unsolicited: None,
                host: None,
                socks: None,
                client_hello: None,
                evidence: self.evidence(judgement),
                evidence_left_out: 0,
                attribution: judgement.deciding().and_then(|fact| self.attribution(fact)),
                server: judgement.deciding().map(|_| self.server(server_ip)),
            },
        }
    }

    fn site(&self, key: &FlowKey) -> Option<&str> {
        let site = self.sites.get(usize::from(key.scope()))?;
        (!site.is_empty()).then_some(site.as_str())
    }

    fn evidence<'a>(&'a self, judgement: &'a Judgement) -> Vec<EvidenceOut<'a>> {
        let facts = judgement.evidence().iter();
        facts
            .map(|fact| {
                let rule = fact.rule.map(|found| self.rules.rule(found.rule));
                EvidenceOut {
                    kind: fact.kind,
                    value: mark(fact.kind, judgement.text(fact), self.redact),
                    seq: fact.frame.seq,
                    frame_xxh3: format!("{:016x}", fact.frame.hash),
                    timestamp: rfc3339(fact.frame.time),
                    ech_offered: fact.ech_offered,
                    ambiguous: fact.ambiguous,
                    decrypted: fact.decrypted,
                    vendor: rule.map(|rule| self.rules.vendor(rule.vendor).id.as_str()),
                    rule_id: rule.map(|rule| rule.id.as_str()),
                    pattern: fact.rule.map(|found| self.rules.pattern(found)),
                    confidence: fact.confidence,
                }
            })
            .collect()
    }

    fn attribution(&self, fact: &Weighed) -> Option<Attribution<'_>> {
        let found = fact.rule?;
        let rule = self.rules.rule(found.rule);
        let vendor = self.rules.vendor(rule.vendor);
        Some(Attribution {
            vendor: &vendor.id,
            vendor_seat: vendor.jurisdiction,
            product: rule.product.as_deref(),
            purpose: rule.purpose,
            engine: rule.engine.map(|engine| {
                let vendor = self.rules.vendor(engine.vendor);
                EngineOut {
                    vendor: &vendor.id,
                    vendor_seat: vendor.jurisdiction,
                    relation: engine.relation,
                }
            }),
            confidence: fact.confidence?,
            evidence_kind: fact.kind,
            rule_id: &rule.id,
            rule_version: rule.version,
            pattern: self.rules.pattern(found),
            ruleset: self.rules.digest(),
        })
    }

    /// Where the server stands; only for what is attributed, as nobody reads it for others.
    fn server(&self, ip: IpAddr) -> Server<'_> {
        let countries = &self.countries;
        let operator = self.operators.lookup(ip);
        Server {
            country: countries.lookup(ip),
            country_dataset: dated(countries.dataset()),
            operator_dataset: dated(self.operators.dataset()),
            operator: operator.map(|operator| operator.name.as_str()),
            operator_country: operator.and_then(|operator| operator.country),
        }
    }
}

/// A table of addresses, and the day it was built.
fn dated(dataset: &Dataset) -> String {
    format!("{} {}", dataset.name, dataset.build_date)
}

/// As Suricata writes it: Google's versions as text, others as a hexadecimal number.
fn quic_version(version: u32) -> String {
    match version.to_be_bytes() {
        bytes @ [b'Q' | b'T', b'0', b'0'..=b'9', b'0'..=b'9'] => {
            bytes.into_iter().map(char::from).collect()
        }
        _ => format!("{version:x}"),
    }
}

fn write_line(buffer: &mut Vec<u8>, line: &Line<'_>) -> std::io::Result<()> {
    serde_json::to_writer(&mut *buffer, line)?;
    buffer.push(b'\n');
    Ok(())
}

/// Type and code in place of ports, as [`crate::decode::transport`] filled them in.
fn icmp(record: &FlowRecord) -> Icmp {
    if !matches!(record.key.protocol(), ICMP | ICMPV6) {
        return Icmp::default();
    }
    let one_way = is_one_way(&record.key, &record.initiator);
    let [_, answers] = record.total.packets;
    Icmp {
        kind: Some(record.initiator.port),
        code: one_way.then_some(record.responder.port),
        response_kind: (!one_way && answers > 0).then_some(record.responder.port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_quic_are_written_as_in_suricata() {
        for (version, text) in [
            (1, "1"),
            (0x6b33_43cf, "6b3343cf"),
            (0xff00_001d, "ff00001d"),
            (0x5130_3436, "Q046"),
            (0x5430_3531, "T051"),
        ] {
            assert_eq!(quic_version(version), text);
        }
    }
}
