//! Ordered events → JSON Lines.
//!
//! `tls` is written when a name is seen, `flow` when a flow ends or reports. Fields follow Suricata's EVE; our own are under
//! `avscope`. What each field means: `docs/EVENTS.md`.

use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use super::community_id::{community_id, is_one_way};
use crate::aggregate::{EventRef, Evidence, FlowReported, NameObserved};
use crate::attribute::{EngineRelation, Ruleset};
use crate::decode::{ICMP, ICMPV6, TCP, UDP};
use crate::flow::{FlowEndReason, FlowRecord};
use crate::geo::{Countries, OperatorTable};
use crate::model::{
    Confidence, CountryCode, Coverage, EvidenceKind, Locality, Purpose, printable, rfc3339,
};

/// Version of the fields and their meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// Writes events as they come.
pub struct EventWriter<W: Write> {
    out: W,
    rules: Arc<Ruleset>,
    countries: Arc<Countries>,
    operators: Arc<OperatorTable>,
    line: Vec<u8>,
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    flow_id: u64,
    event_type: &'static str,
    src_ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    dest_ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
    #[serde(flatten)]
    icmp: Icmp,
    proto: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_proto: Option<&'static str>,
    community_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<Flow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<Tcp>,
    avscope: Own<'a>,
}

/// What ICMP has in place of ports. A message that asks for an answer is one flow with its answer, whatever their codes.
#[derive(Default, Serialize)]
struct Icmp {
    #[serde(rename = "icmp_type", skip_serializing_if = "Option::is_none")]
    kind: Option<u16>,
    #[serde(rename = "icmp_code", skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(rename = "response_icmp_type", skip_serializing_if = "Option::is_none")]
    response_kind: Option<u16>,
}

#[derive(Serialize)]
struct Tls<'a> {
    sni: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
struct Flow {
    pkts_toserver: u64,
    pkts_toclient: u64,
    bytes_toserver: u64,
    bytes_toclient: u64,
    start: String,
    end: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Tcp {
    tcp_flags_ts: String,
    tcp_flags_tc: String,
}

#[derive(Serialize)]
struct Own<'a> {
    schema_version: u32,
    locality: Locality,
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<Coverage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_end_reason: Option<FlowEndReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    midstream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attribution: Option<Attribution<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Server<'a>>,
}

#[derive(Serialize)]
struct EvidenceOut<'a> {
    kind: EvidenceKind,
    value: std::borrow::Cow<'a, str>,
    seq: u64,
    frame_xxh3: String,
    timestamp: String,
    ech_offered: bool,
}

#[derive(Serialize)]
struct Attribution<'a> {
    vendor: &'a str,
    vendor_seat: CountryCode,
    product: Option<&'a str>,
    purpose: Purpose,
    engine: Option<EngineOut<'a>>,
    confidence: Confidence,
    rule_id: &'a str,
    rule_version: u32,
    pattern: &'a str,
    ruleset: &'a str,
}

#[derive(Serialize)]
struct EngineOut<'a> {
    vendor: &'a str,
    vendor_seat: CountryCode,
    relation: EngineRelation,
}

#[derive(Serialize)]
struct Server<'a> {
    country: Option<CountryCode>,
    country_dataset: String,
    operator: Option<&'a str>,
    operator_country: Option<CountryCode>,
}

impl<W: Write> EventWriter<W> {
    /// Writes to `out`, which should buffer.
    pub fn new(
        out: W,
        rules: Arc<Ruleset>,
        countries: Arc<Countries>,
        operators: Arc<OperatorTable>,
    ) -> Self {
        Self {
            out,
            rules,
            countries,
            operators,
            line: Vec::with_capacity(2048),
        }
    }

    /// Writes the event, if it is one that has a line.
    pub fn event(&mut self, event: EventRef<'_>) -> std::io::Result<()> {
        let mut buffer = std::mem::take(&mut self.line);
        buffer.clear();
        let written = match event {
            EventRef::Opened(_) => Ok(()),
            EventRef::Named(named, name) => self.named(&mut buffer, named, name),
            EventRef::Reported(reported, name) => {
                self.reported(&mut buffer, reported, name.unwrap_or_default())
            }
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

    fn named(
        &self,
        buffer: &mut Vec<u8>,
        named: &NameObserved,
        name: &[u8],
    ) -> std::io::Result<()> {
        let server_ip = named.server.ip();
        let line = Line {
            timestamp: rfc3339(named.evidence.time),
            flow_id: named.flow.0,
            event_type: "tls",
            src_ip: named.client.ip(),
            src_port: Some(named.client.port),
            dest_ip: server_ip,
            dest_port: Some(named.server.port),
            icmp: Icmp::default(),
            proto: protocol_name(named.protocol),
            app_proto: Some("tls"),
            community_id: community_id(&named.key, &named.client, &named.server),
            tls: Some(Tls {
                sni: printable(name),
            }),
            flow: None,
            tcp: None,
            avscope: Own {
                schema_version: SCHEMA_VERSION,
                locality: named.locality,
                coverage: None,
                flow_end_reason: None,
                midstream: None,
                evidence: Some(evidence_out(&named.evidence, name)),
                attribution: self.attribution(&named.evidence),
                server: self.server(&named.evidence, server_ip),
            },
        };
        write_line(buffer, &line)
    }

    fn reported(
        &self,
        buffer: &mut Vec<u8>,
        reported: &FlowReported,
        name: &[u8],
    ) -> std::io::Result<()> {
        let record = &reported.record;
        let [bytes_toserver, bytes_toclient] = record.total.bytes;
        let [pkts_toserver, pkts_toclient] = record.total.packets;
        let is_tcp = record.key.protocol() == TCP;
        let has_ports = is_tcp || record.key.protocol() == UDP;
        let server_ip = record.responder.ip();
        let line = Line {
            // The time of the last packet: the deadline that ended the flow is no time of the network.
            timestamp: rfc3339(record.end),
            flow_id: record.id.0,
            event_type: "flow",
            src_ip: record.initiator.ip(),
            src_port: has_ports.then_some(record.initiator.port),
            dest_ip: server_ip,
            dest_port: has_ports.then_some(record.responder.port),
            icmp: icmp(record),
            proto: protocol_name(record.key.protocol()),
            app_proto: reported.evidence.map(|_| "tls"),
            community_id: community_id(&record.key, &record.initiator, &record.responder),
            tls: (!name.is_empty()).then(|| Tls {
                sni: printable(name),
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
            avscope: Own {
                schema_version: SCHEMA_VERSION,
                locality: record.locality,
                coverage: Some(record.coverage),
                flow_end_reason: Some(record.end_reason),
                midstream: Some(record.midstream),
                evidence: reported
                    .evidence
                    .as_ref()
                    .map(|evidence| evidence_out(evidence, name)),
                attribution: reported
                    .evidence
                    .as_ref()
                    .and_then(|evidence| self.attribution(evidence)),
                server: reported
                    .evidence
                    .as_ref()
                    .and_then(|evidence| self.server(evidence, server_ip)),
            },
        };
        write_line(buffer, &line)
    }

    fn attribution(&self, evidence: &Evidence) -> Option<Attribution<'_>> {
        let found = evidence.rule?;
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
            confidence: self.rules.confidence(found.rule, evidence.kind),
            rule_id: &rule.id,
            rule_version: rule.version,
            pattern: self.rules.pattern(found),
            ruleset: self.rules.digest(),
        })
    }

    /// Where the server stands; only for flows that are attributed, as nobody reads it for others.
    fn server(&self, evidence: &Evidence, ip: IpAddr) -> Option<Server<'_>> {
        evidence.rule?;
        let countries = &self.countries;
        let operator = self.operators.lookup(ip);
        Some(Server {
            country: countries.lookup(ip),
            country_dataset: format!(
                "{} {}",
                countries.dataset().name,
                countries.dataset().build_date
            ),
            operator: operator.map(|operator| operator.name.as_str()),
            operator_country: operator.and_then(|operator| operator.country),
        })
    }
}

fn evidence_out<'a>(evidence: &Evidence, name: &'a [u8]) -> EvidenceOut<'a> {
    EvidenceOut {
        kind: evidence.kind,
        value: printable(name),
        seq: evidence.seq,
        frame_xxh3: format!("{:016x}", evidence.frame_hash),
        timestamp: rfc3339(evidence.time),
        ech_offered: evidence.ech_offered,
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

/// Suricata's words for why a flow was logged; none for a flow that goes on, which Suricata does not log.
///
/// Suricata too lets a closed connection linger and logs it when that time is over, so `end_of_flow` is its `timeout`.
const fn eve_reason(reason: FlowEndReason) -> Option<&'static str> {
    match reason {
        FlowEndReason::IdleTimeout | FlowEndReason::EndOfFlow => Some("timeout"),
        FlowEndReason::ForcedEnd => Some("shutdown"),
        FlowEndReason::LackOfResources => Some("forced"),
        FlowEndReason::ActiveTimeout => None,
    }
}

/// Suricata's words for the state of a flow.
fn state(record: &FlowRecord) -> &'static str {
    let [from_initiator, from_responder] = record.total.packets;
    if record.closed {
        "closed"
    } else if from_initiator > 0 && from_responder > 0 {
        "established"
    } else {
        "new"
    }
}

fn protocol_name(protocol: u8) -> String {
    match protocol {
        ICMP => "ICMP".into(),
        TCP => "TCP".into(),
        UDP => "UDP".into(),
        ICMPV6 => "IPv6-ICMP".into(),
        132 => "SCTP".into(),
        47 => "GRE".into(),
        50 => "ESP".into(),
        other => format!("{other:03}"),
    }
}
