//! A flow or a question → what became of this attempt to contact a vendor.

use super::FlowReported;
use crate::decode::{Address, TCP, TcpFlags};
use crate::flow::HomeNetworks;
use crate::model::{AttemptOutcome, DnsOutcome};

/// What became of a flow. `asked_of_a_proxy`: the server is a proxy.
pub(super) fn flow_outcome(
    reported: &FlowReported,
    asked_of_a_proxy: bool,
    home: &HomeNetworks,
) -> AttemptOutcome {
    let record = &reported.record;
    if asked_of_a_proxy {
        // What a proxy says of its own cannot be told from what the server says, but for TLS that passes through.
        return if reported.server.version == 0 {
            AttemptOutcome::Proxied
        } else {
            AttemptOutcome::Reached
        };
    }
    if home.contains(&record.responder.address) {
        return AttemptOutcome::Diverted;
    }
    let [host_spoke, server_spoke] = record.payload;
    let [host_flags, server_flags] = record.tcp_flags;
    let server_seen = record.total.packets[1] > 0;
    if server_spoke {
        AttemptOutcome::Reached
    } else if record.key.protocol() != TCP {
        if server_seen {
            AttemptOutcome::Silent
        } else {
            AttemptOutcome::Unanswered
        }
    } else if server_flags.has(TcpFlags::RST) {
        AttemptOutcome::Reset
    } else if server_seen {
        AttemptOutcome::Silent
    } else if host_spoke && host_flags.has(TcpFlags::ACK) {
        // Who acknowledges was answered, by a side that this mirror does not show.
        AttemptOutcome::OneWay
    } else {
        AttemptOutcome::Unanswered
    }
}

/// What became of a question; `addresses` are those of the answer.
pub(super) fn question_outcome(
    outcome: DnsOutcome,
    addresses: impl Iterator<Item = Address>,
    home: &HomeNetworks,
) -> AttemptOutcome {
    match outcome {
        DnsOutcome::Answered => {
            // Link-local, unspecified and the like count as home: none of them is a vendor's.
            let mut inside = addresses.map(|address| home.contains(&address)).peekable();
            if inside.peek().is_some() && inside.all(|inside| inside) {
                AttemptOutcome::Diverted
            } else {
                AttemptOutcome::NameResolved
            }
        }
        DnsOutcome::Sinkholed => AttemptOutcome::NameSinkholed,
        DnsOutcome::NoData
        | DnsOutcome::NxDomain
        | DnsOutcome::Refused
        | DnsOutcome::ServFail
        | DnsOutcome::OtherError => AttemptOutcome::NameDenied,
        DnsOutcome::Truncated
        | DnsOutcome::Unanswered
        | DnsOutcome::Asked
        | DnsOutcome::Unknown => AttemptOutcome::NameUnanswered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(a: u8, b: u8, c: u8, d: u8) -> Address {
        std::net::Ipv4Addr::new(a, b, c, d)
            .to_ipv6_mapped()
            .octets()
    }

    #[test]
    fn an_answer_that_stays_at_home_was_diverted() {
        let home = HomeNetworks::default();
        let (inside, outside) = (mapped(10, 0, 0, 1), mapped(203, 0, 113, 1));
        let outcome = |addresses: &[Address]| {
            question_outcome(DnsOutcome::Answered, addresses.iter().copied(), &home)
        };
        assert_eq!(outcome(&[inside]), AttemptOutcome::Diverted);
        assert_eq!(outcome(&[outside]), AttemptOutcome::NameResolved);
        assert_eq!(outcome(&[inside, outside]), AttemptOutcome::NameResolved);
        assert_eq!(outcome(&[]), AttemptOutcome::NameResolved, "aliases only");
    }
}
