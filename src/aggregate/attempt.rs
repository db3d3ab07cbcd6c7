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
    use crate::aggregate::{ListRef, ServerSeen};
    use crate::decode::{IpHeader, IpVersion, Packet, TcpHeader, TunnelPath};
    use crate::flow::{Counters, Endpoint, FlowEndReason, FlowId, FlowKey, FlowRecord};
    use crate::model::{Coverage, Locality, Timestamp};

    fn mapped(a: u8, b: u8, c: u8, d: u8) -> Address {
        std::net::Ipv4Addr::new(a, b, c, d)
            .to_ipv6_mapped()
            .octets()
    }

    /// A TCP flow from 10.0.0.1 to `server`: who sent payload, with which flags, and how many packets the server sent.
    fn flow(
        server: Address,
        payload: [bool; 2],
        flags: [u8; 2],
        server_packets: u64,
    ) -> FlowReported {
        let end = |address, port| Endpoint { address, port };
        let (initiator, responder) = (end(mapped(10, 0, 0, 1), 50_000), end(server, 443));
        let packet = Packet {
            ip: IpHeader {
                source: initiator.address,
                destination: responder.address,
                bytes: 60,
                protocol: TCP,
                version: IpVersion::V4,
                identification: 0,
            },
            source_port: initiator.port,
            destination_port: responder.port,
            vlan: 0,
            checksum: 0,
            tunnel: TunnelPath::NONE,
            overhead: 0,
            tcp: TcpHeader {
                sequence: 0,
                acknowledgment: 0,
                flags: TcpFlags(0),
            },
            payload_offset: 0,
            payload_len: 0,
            payload_wire_len: 0,
        };
        let (key, _) = FlowKey::of(&packet, 0);
        let counters = Counters {
            bytes: [60, 60],
            packets: [3, server_packets],
        };
        let record = FlowRecord {
            id: FlowId::of(&key, 0),
            key,
            initiator,
            responder,
            start: Timestamp::default(),
            end: Timestamp::default(),
            first_seq: 0,
            total: counters,
            since_last: counters,
            end_reason: FlowEndReason::IdleTimeout,
            tcp_flags: flags.map(TcpFlags),
            payload,
            midstream: false,
            closed: false,
            locality: Locality::Outbound,
            coverage: Coverage::OtherProtocol,
            app_protocol: None,
            encrypted_dns: false,
        };
        FlowReported {
            record,
            tunnel: TunnelPath::NONE,
            facts: ListRef::default(),
            facts_left_out: 0,
            server: ServerSeen::default(),
            last: true,
        }
    }

    #[test]
    fn each_way_in_which_a_flow_ends_has_its_word() {
        use AttemptOutcome::{Diverted, OneWay, Proxied, Reached, Reset, Silent, Unanswered};
        const SYN: u8 = 2;
        const ACK: u8 = 16;
        const RST: u8 = 4;
        let home = HomeNetworks::default();
        let (vendor, inside) = (mapped(203, 0, 113, 1), mapped(10, 0, 0, 2));
        for (server, payload, flags, packets, proxy, outcome) in [
            (
                vendor,
                [true, true],
                [SYN | ACK, SYN | ACK],
                3,
                false,
                Reached,
            ),
            // A server that answers and then breaks off was reached.
            (vendor, [true, true], [SYN | ACK, RST], 3, false, Reached),
            (
                vendor,
                [true, false],
                [SYN | ACK, SYN | ACK | RST],
                2,
                false,
                Reset,
            ),
            (vendor, [false, false], [SYN, RST], 1, false, Reset),
            (
                vendor,
                [true, false],
                [SYN | ACK, SYN | ACK],
                2,
                false,
                Silent,
            ),
            (vendor, [false, false], [SYN, 0], 0, false, Unanswered),
            (vendor, [true, false], [SYN | ACK, 0], 0, false, OneWay),
            // Payload with the SYN (RFC 7413) was acknowledged by nobody.
            (vendor, [true, false], [SYN, 0], 0, false, Unanswered),
            (
                inside,
                [true, true],
                [SYN | ACK, SYN | ACK],
                3,
                false,
                Diverted,
            ),
            (
                inside,
                [true, true],
                [SYN | ACK, SYN | ACK],
                3,
                true,
                Proxied,
            ),
        ] {
            let reported = flow(server, payload, flags, packets);
            let found = flow_outcome(&reported, proxy, &home);
            assert_eq!(found, outcome, "{payload:?} {flags:?} {packets} {proxy}");
        }
        let mut through = flow(inside, [true, true], [SYN | ACK, SYN | ACK], 3);
        through.server.version = 0x0304;
        assert_eq!(flow_outcome(&through, true, &home), Reached);
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
