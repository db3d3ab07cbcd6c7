//! In which bucket a flow stands, by what it has shown so far.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use crate::decode::{TCP, UDP};
use crate::flow::{FlowEntry, FlowFlags};
use crate::model::Coverage;

/// The flow showed something: the bucket becomes what is known better.
pub(super) fn named(entry: &mut FlowEntry, coverage: Coverage) {
    let weight = |coverage| match coverage {
        Coverage::Attributed => 3,
        Coverage::NamedNotSecurity => 2,
        Coverage::EchOffered
        | Coverage::SniIsAddress
        | Coverage::HostAbsent
        | Coverage::Proxied => 1,
        _ => 0,
    };
    if weight(coverage) > weight(entry.coverage()) {
        entry.set_coverage(coverage);
    }
}

/// The bucket of a flow that has shown nothing yet.
pub(super) fn silent_coverage(entry: &FlowEntry) -> Coverage {
    /// IPv4 and IPv6 inside, GRE, ESP, AH, L2TP: packets inside packets, which are not unwrapped.
    const TUNNELS: [u8; 6] = [4, 41, 47, 50, 51, 115];
    /// ICMP, IGMP, ICMPv6, EIGRP, OSPF, PIM, VRRP, RSVP: networks talking about themselves; no payload after IPv6's last header.
    const NETWORK: [u8; 9] = [1, 2, 46, 58, 59, 88, 89, 103, 112];
    match entry.key.protocol() {
        TCP if entry.flags.has(FlowFlags::MIDSTREAM) => Coverage::Midstream,
        TCP | UDP => Coverage::NoPayload,
        protocol if TUNNELS.contains(&protocol) => Coverage::Tunnel,
        protocol if NETWORK.contains(&protocol) => Coverage::NamelessProtocol,
        _ => Coverage::OtherTransport,
    }
}
