//! What a host says of itself, with the words that Suricata writes for DHCP.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use serde::Serialize;

use crate::aggregate::{EventRun, HostFact};
use crate::model::{AddressState, HostFactKind, REDACTED, printable, redact_identifiers};

/// The object `dhcp` of a line.
#[derive(Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "field names are those of the output"
)]
pub(super) struct Dhcp<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assigned_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dhcp_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_class_identifier: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_time: Option<u32>,
}

/// The object `avscope.host` of a line.
#[derive(Serialize)]
pub(super) struct Host<'a> {
    kind: HostFactKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<AddressState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_seconds: Option<u32>,
    seq: u64,
    frame_xxh3: String,
}

/// The host's side of a fact. Redacted, it keeps the maker of its card, and of its name only that there is one.
pub(super) fn host<'a>(fact: &HostFact, run: &'a EventRun, redact: bool) -> Host<'a> {
    Host {
        kind: fact.kind,
        state: fact.address.map(|_| fact.state),
        address: fact.address.map(ip),
        mac: fact.mac.map(|mac| mac_text(mac, redact)),
        name: name(run.text(fact.name), redact),
        lease_seconds: fact.lease_seconds,
        seq: fact.frame.seq,
        frame_xxh3: format!("{:016x}", fact.frame.hash),
    }
}

/// The rest of a DHCP message, where it is one.
pub(super) fn dhcp<'a>(fact: &HostFact, run: &'a EventRun, redact: bool) -> Option<Dhcp<'a>> {
    let message = fact.dhcp?;
    let vendor_class = run.text(message.vendor_class);
    let client_id = run.text(message.client_id);
    Some(Dhcp {
        kind: if message.from_server {
            "reply"
        } else {
            "request"
        },
        id: message.id,
        client_mac: fact.mac.map(|mac| mac_text(mac, redact)),
        assigned_ip: message.assigned_address.map(ip),
        client_ip: message.client_address.map(ip),
        requested_ip: message.requested_address.map(ip),
        dhcp_type: message.kind.map(crate::model::DhcpType::as_str),
        client_id: (!client_id.is_empty()).then(|| {
            if redact {
                REDACTED.to_owned()
            } else {
                hex(client_id)
            }
        }),
        hostname: name(run.text(fact.name), redact),
        vendor_class_identifier: (!vendor_class.is_empty()).then(|| {
            let text = printable(vendor_class);
            if redact {
                redact_identifiers(&text).into_owned().into()
            } else {
                text
            }
        }),
        lease_time: fact.lease_seconds,
    })
}

fn ip(address: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(address).to_canonical()
}

fn name(text: &[u8], redact: bool) -> Option<Cow<'_, str>> {
    match (text.is_empty(), redact) {
        (true, _) => None,
        (false, true) => Some(REDACTED.into()),
        (false, false) => Some(printable(text)),
    }
}

/// Six bytes in hexadecimal; redacted, the first three, which say who made the card.
fn mac_text(mac: [u8; 6], redact: bool) -> String {
    if redact {
        let [a, b, c, ..] = mac;
        format!("{}:{REDACTED}", hex(&[a, b, c]))
    } else {
        hex(&mac)
    }
}

/// Bytes in hexadecimal with colons between.
fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(":")
}
