//! A flow key → its Community ID, the key by which tools refer to one flow (Community ID Flow Hashing 1.0, seed 0).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use crate::decode::{ICMP, ICMPV6};
use crate::flow::{Endpoint, FlowKey, Side};

/// The identifier, as in `1:LQU9qZlK+B5F3KDmev6m5PMibrg=`.
pub fn community_id(key: &FlowKey, initiator: &Endpoint, responder: &Endpoint) -> String {
    let (a, b) = (key.endpoint(Side::A), key.endpoint(Side::B));
    // The key is in order already, except for messages without an answer: there the direction is part of the identity.
    let (first, second) = if is_one_way(key, initiator) {
        (*initiator, *responder)
    } else {
        (a, b)
    };
    let skip = if key.version() == 4 { 12 } else { 0 };
    let mut hash = Sha1::new();
    hash.update([0, 0]);
    hash.update(&first.address[skip..]);
    hash.update(&second.address[skip..]);
    hash.update([key.protocol(), 0]);
    if has_ports(key.protocol()) {
        hash.update(first.port.to_be_bytes());
        hash.update(second.port.to_be_bytes());
    }
    format!("1:{}", STANDARD.encode(hash.finalize()))
}

fn has_ports(protocol: u8) -> bool {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    matches!(protocol, TCP | UDP | ICMP | ICMPV6)
}

/// ICMP without a counterpart: its ports are type and code.
pub(super) fn is_one_way(key: &FlowKey, initiator: &Endpoint) -> bool {
    let queries: &[u16] = match key.protocol() {
        ICMP => &[0, 8, 9, 10, 13, 14, 15, 16, 17, 18],
        ICMPV6 => &[128, 129, 130, 131, 133, 134, 135, 136, 139, 140, 144, 145],
        _ => return false,
    };
    !queries.contains(&initiator.port)
}

#[cfg(test)]
mod tests;
