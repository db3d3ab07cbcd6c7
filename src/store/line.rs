//! The shape of a line: Suricata's fields, and our own under `avscope`.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;

use super::dns::Dns;
use super::host::{Dhcp, Host};
use super::tls::{ClientHelloOut, Tls};
use crate::attribute::EngineRelation;
use crate::decode::TunnelKind;
use crate::flow::FlowEndReason;
use crate::model::{
    Confidence, CountryCode, Coverage, DnsOutcome, EvidenceKind, Locality, Purpose,
};

#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub timestamp: String,
    pub flow_id: u64,
    pub event_type: &'static str,
    pub src_ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    pub dest_ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_port: Option<u16>,
    #[serde(flatten)]
    pub icmp: Icmp,
    pub proto: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_proto: Option<&'static str>,
    pub community_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quic: Option<Quic<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Http<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Dns<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<Dhcp<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Tcp>,
    pub avscope: Own<'a>,
}

/// What ICMP has in place of ports. A message that asks for an answer is one flow with its answer, whatever their codes.
#[derive(Default, Serialize)]
pub(super) struct Icmp {
    #[serde(rename = "icmp_type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<u16>,
    #[serde(rename = "icmp_code", skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    #[serde(rename = "response_icmp_type", skip_serializing_if = "Option::is_none")]
    pub response_kind: Option<u16>,
}

#[derive(Serialize)]
pub(super) struct Quic<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(flatten)]
    pub hello: Tls<'a>,
}

#[derive(Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "field names are those of the output"
)]
pub(super) struct Http<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Cow<'a, str>>,
    pub url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_user_agent: Option<Cow<'a, str>>,
    pub http_method: Cow<'a, str>,
}

#[derive(Serialize)]
pub(super) struct Flow {
    pub pkts_toserver: u64,
    pub pkts_toclient: u64,
    pub bytes_toserver: u64,
    pub bytes_toclient: u64,
    pub start: String,
    pub end: String,
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct Tcp {
    pub tcp_flags_ts: String,
    pub tcp_flags_tc: String,
}

#[derive(Serialize)]
pub(super) struct Own<'a> {
    pub schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<&'a str>,
    pub locality: Locality,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tunnel: Vec<TunnelKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_end_reason: Option<FlowEndReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub midstream: Option<bool>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub encrypted_dns: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decrypted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_outcome: Option<DnsOutcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsolicited: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Host<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socks: Option<Socks<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_hello: Option<ClientHelloOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceOut<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub evidence_left_out: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Attribution<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Server<'a>>,
}

/// Suricata has no events of SOCKS.
#[derive(Serialize)]
pub(super) struct Socks<'a> {
    pub command: Cow<'a, str>,
    pub target: Cow<'a, str>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[derive(Serialize)]
pub(super) struct EvidenceOut<'a> {
    pub kind: EvidenceKind,
    pub value: Cow<'a, str>,
    pub seq: u64,
    pub frame_xxh3: String,
    pub timestamp: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ech_offered: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ambiguous: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decrypted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
}

#[derive(Serialize)]
pub(super) struct Attribution<'a> {
    pub vendor: &'a str,
    pub vendor_seat: CountryCode,
    pub product: Option<&'a str>,
    pub purpose: Purpose,
    pub engine: Option<EngineOut<'a>>,
    pub confidence: Confidence,
    pub evidence_kind: EvidenceKind,
    pub rule_id: &'a str,
    pub rule_version: u32,
    pub pattern: &'a str,
    pub ruleset: &'a str,
}

#[derive(Serialize)]
pub(super) struct EngineOut<'a> {
    pub vendor: &'a str,
    pub vendor_seat: CountryCode,
    pub relation: EngineRelation,
}

#[derive(Serialize)]
pub(super) struct Server<'a> {
    pub country: Option<CountryCode>,
    pub country_dataset: String,
    pub operator_dataset: String,
    pub operator: Option<&'a str>,
    pub operator_country: Option<CountryCode>,
}
