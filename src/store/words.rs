//! What a flow is → Suricata's words for it.

use std::borrow::Cow;

use crate::decode::{ICMP, ICMPV6, TCP, UDP};
use crate::flow::{FlowEndReason, FlowRecord};

/// Suricata's words for why a flow was logged; none for a flow that goes on, which Suricata does not log.
///
/// Suricata too lets a closed connection linger and logs it when that time is over, so `end_of_flow` is its `timeout`.
pub(super) const fn eve_reason(reason: FlowEndReason) -> Option<&'static str> {
    match reason {
        FlowEndReason::IdleTimeout | FlowEndReason::EndOfFlow => Some("timeout"),
        FlowEndReason::ForcedEnd => Some("shutdown"),
        FlowEndReason::LackOfResources => Some("forced"),
        FlowEndReason::ActiveTimeout => None,
    }
}

/// Suricata's words for the state of a flow.
pub(super) fn state(record: &FlowRecord) -> &'static str {
    let [from_initiator, from_responder] = record.total.packets;
    if record.closed {
        "closed"
    } else if from_initiator > 0 && from_responder > 0 {
        "established"
    } else {
        "new"
    }
}

/// The name of a protocol over IP, else its number in three digits.
pub(super) fn protocol_name(protocol: u8) -> Cow<'static, str> {
    match protocol {
        ICMP => "ICMP".into(),
        TCP => "TCP".into(),
        UDP => "UDP".into(),
        ICMPV6 => "IPv6-ICMP".into(),
        132 => "SCTP".into(),
        47 => "GRE".into(),
        50 => "ESP".into(),
        other => format!("{other:03}").into(),
    }
}
