//! A question to a name service, with the words that Suricata writes for it.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use serde::Serialize;

use crate::aggregate::{DnsData, DnsRecord, DnsTransaction, EventRun};
use crate::decode::Address;
use crate::model::{EvidenceKind, printable};

/// The object `dns` of a line, in the form of Suricata 8 (version 3).
#[derive(Serialize)]
pub(super) struct Dns<'a> {
    version: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    id: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    rcode: Option<Cow<'static, str>>,
    queries: [Query<'a>; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answers: Vec<Answer<'a>>,
}

#[derive(Serialize)]
struct Query<'a> {
    rrname: Cow<'a, str>,
    rrtype: Cow<'static, str>,
}

#[derive(Serialize)]
struct Answer<'a> {
    rrname: Cow<'a, str>,
    rrtype: Cow<'static, str>,
    ttl: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rdata: Option<Cow<'a, str>>,
}

pub(super) fn dns<'a>(transaction: &DnsTransaction, run: &'a EventRun) -> Dns<'a> {
    let records = run.records(transaction.answers).iter();
    Dns {
        version: 3,
        kind: if transaction.response.is_some() {
            "response"
        } else {
            "request"
        },
        id: transaction.id,
        rcode: transaction.rcode.map(rcode),
        queries: [Query {
            rrname: printable(run.text(transaction.name)),
            rrtype: match (transaction.kind, transaction.query_type) {
                // Of NetBIOS names two numbers mean what they do not in DNS (RFC 1002 §4.2.1.2).
                (EvidenceKind::NbnsQuery, 0x20) => "NB".into(),
                (EvidenceKind::NbnsQuery, 0x21) => "NBSTAT".into(),
                (_, kind) => record_type(kind),
            },
        }],
        answers: records.map(|record| answer(record, run)).collect(),
    }
}

fn answer<'a>(record: &DnsRecord, run: &'a EventRun) -> Answer<'a> {
    Answer {
        rrname: printable(run.text(record.name)),
        rrtype: record_type(record.kind),
        ttl: record.ttl_seconds,
        rdata: match record.data {
            DnsData::Address(address) => {
                Some(Ipv6Addr::from(address).to_canonical().to_string().into())
            }
            DnsData::Name(name) => Some(printable(run.text(name))),
            DnsData::Service {
                priority,
                target,
                hints,
                alpn,
                ech,
            } => {
                let hints = run.addresses(hints);
                Some(service(priority, run.text(target), run.text(alpn), hints, ech).into())
            }
            DnsData::Other => None,
        },
    }
}

/// A service in the order of RFC 9460 §2.1: priority, target, and of the parameters those that were read. What is in `ech` is left
/// out: a key, which says nothing.
fn service(priority: u16, target: &[u8], alpn: &[u8], hints: &[Address], ech: bool) -> String {
    let mut text = format!("{priority} {}", printable(target));
    if !alpn.is_empty() {
        text.push_str(" alpn=");
        text.push_str(&printable(alpn));
    }
    let (mut four, mut six) = (Vec::new(), Vec::new());
    for address in hints {
        match Ipv6Addr::from(*address).to_canonical() {
            IpAddr::V4(address) => four.push(address.to_string()),
            IpAddr::V6(address) => six.push(address.to_string()),
        }
    }
    if !four.is_empty() {
        text.push_str(" ipv4hint=");
        text.push_str(&four.join(","));
    }
    if ech {
        text.push_str(" ech");
    }
    if !six.is_empty() {
        text.push_str(" ipv6hint=");
        text.push_str(&six.join(","));
    }
    text
}

/// Response codes by their mnemonics (IANA, DNS RCODEs).
fn rcode(code: u16) -> Cow<'static, str> {
    match code {
        0 => "NOERROR".into(),
        1 => "FORMERR".into(),
        2 => "SERVFAIL".into(),
        3 => "NXDOMAIN".into(),
        4 => "NOTIMP".into(),
        5 => "REFUSED".into(),
        6 => "YXDOMAIN".into(),
        7 => "YXRRSET".into(),
        8 => "NXRRSET".into(),
        9 => "NOTAUTH".into(),
        10 => "NOTZONE".into(),
        16 => "BADVERS".into(),
        23 => "BADCOOKIE".into(),
        other => other.to_string().into(),
    }
}

/// Types of records by their mnemonics (IANA, DNS RR types); others as RFC 3597 §5 writes them.
fn record_type(kind: u16) -> Cow<'static, str> {
    match kind {
        1 => "A".into(),
        2 => "NS".into(),
        5 => "CNAME".into(),
        6 => "SOA".into(),
        10 => "NULL".into(),
        12 => "PTR".into(),
        13 => "HINFO".into(),
        15 => "MX".into(),
        16 => "TXT".into(),
        28 => "AAAA".into(),
        29 => "LOC".into(),
        33 => "SRV".into(),
        35 => "NAPTR".into(),
        39 => "DNAME".into(),
        43 => "DS".into(),
        46 => "RRSIG".into(),
        47 => "NSEC".into(),
        48 => "DNSKEY".into(),
        50 => "NSEC3".into(),
        52 => "TLSA".into(),
        64 => "SVCB".into(),
        65 => "HTTPS".into(),
        249 => "TKEY".into(),
        250 => "TSIG".into(),
        251 => "IXFR".into(),
        252 => "AXFR".into(),
        255 => "ANY".into(),
        257 => "CAA".into(),
        other => format!("TYPE{other}").into(),
    }
}
