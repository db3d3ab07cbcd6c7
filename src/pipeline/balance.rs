//! A finished run → law 1: frames, packets, flows and bytes, each as counted where it came in and where it ended.
//!
//! The two sides of an equation are counters of their own, in different stages for packets, flows and bytes of flows; what one
//! stage counts alone (frames by outcome, bytes outside flows) is compared within it.

use super::Outcome;
use crate::aggregate::{Conservation, Equation, Ledger, Traffic};
use crate::capture::FileReport;
use crate::decode::{NotIp, Undecodable};
use crate::flow::{DatagramCounters, DatagramOutcome, FlowEndReason};
use crate::model::{Coverage, DnsOutcome, EvidenceKind, HostFactKind, Locality};

/// Everything that must add up.
pub fn conservation(outcome: &Outcome, ledger: &Ledger, inputs: &[FileReport]) -> Conservation {
    let (frames, counters, bytes) = (&outcome.frames, ledger.counters(), ledger.bytes());
    let mut outcomes = vec![
        ("packets of flows", frames.packets),
        ("fragments", frames.fragments),
    ];
    outcomes.extend(
        NotIp::ALL
            .iter()
            .map(|kind| (kind.as_str(), frames.not_ip[kind.index()])),
    );
    outcomes.extend(
        Undecodable::ALL
            .iter()
            .map(|reason| (reason.as_str(), frames.undecodable[reason.index()])),
    );
    let ended = FlowEndReason::ALL
        .iter()
        .map(|reason| (reason.as_str(), counters.flows_ended[reason.index()]));
    let attributed = Locality::ALL
        .iter()
        .map(|locality| bytes.cell(*locality, Coverage::Attributed).bytes())
        .sum();
    let exposed = ledger
        .exposures()
        .iter()
        .map(|(_, exposure)| exposure.traffic.bytes())
        .sum();
    let outside = frames.outside_flows.grand_total();
    let mut equations = vec![
        Equation {
            what: "frames in the inputs",
            total: inputs.iter().map(|input| input.frames).sum(),
            parts: vec![("read", frames.frames)],
        },
        Equation {
            what: "frames read",
            total: frames.frames,
            parts: outcomes,
        },
        Equation {
            what: "packets of flows",
            total: frames.packets + frames.datagrams.packets,
            parts: vec![("processed by shards", outcome.shards.packets)],
        },
        Equation {
            what: "packets processed",
            total: outcome.shards.packets,
            parts: Locality::ALL
                .iter()
                .map(|locality| (locality.as_str(), bytes.total(*locality).packets))
                .chain([("copies of others", outcome.shards.duplicates.packets)])
                .collect(),
        },
        Equation {
            what: "flows opened",
            total: counters.flows_opened,
            parts: ended
                .chain([("active", outcome.shards.active_flows)])
                .collect(),
        },
        Equation {
            what: "bytes of packets",
            total: frames.packet_bytes,
            parts: Locality::ALL
                .iter()
                .map(|locality| (locality.as_str(), bytes.total(*locality).bytes()))
                .chain([("copies of others", outcome.shards.duplicates.bytes)])
                .collect(),
        },
        Equation {
            what: "bytes outside flows",
            total: frames.outside_flow_bytes,
            parts: vec![("in the account", outside.bytes())],
        },
        overhead(outcome),
        questions(outcome, ledger),
        hosts(outcome, ledger),
        Equation {
            what: "bytes attributed",
            total: attributed,
            parts: vec![
                ("in exposures", exposed),
                ("of clients outside", counters.bytes_without_home),
                ("refused", counters.bytes_refused),
            ],
        },
        Equation {
            what: "bytes attributed outbound",
            total: bytes.cell(Locality::Outbound, Coverage::Attributed).bytes(),
            parts: EvidenceKind::ALL
                .iter()
                .map(|kind| (kind.as_str(), bytes.attributed_by(*kind).bytes()))
                .collect(),
        },
    ];
    equations.extend(by_zone(ledger));
    equations.extend(datagrams(&frames.datagrams));
    Conservation { equations }
}

/// Zones and hours together are all that left the home networks in flows, bucket by bucket.
fn by_zone(ledger: &Ledger) -> [Equation; 3] {
    let (bytes, watched) = (ledger.bytes(), ledger.watch().total());
    let buckets = |of: fn(Traffic) -> u64| {
        Coverage::ALL
            .iter()
            .map(|bucket| (bucket.as_str(), of(watched.cell(*bucket))))
            .collect()
    };
    // Two buckets that are mistaken for each other would leave the sums as they are.
    let differing = Coverage::ALL
        .iter()
        .filter(|bucket| watched.cell(**bucket) != bytes.cell(Locality::Outbound, **bucket));
    [
        Equation {
            what: "bytes outbound, by zone and hour",
            total: bytes.total(Locality::Outbound).bytes(),
            parts: buckets(|traffic| traffic.bytes()),
        },
        Equation {
            what: "flows outbound, by zone and hour",
            total: ledger.counters().flows_by_locality[Locality::Outbound.index()],
            parts: buckets(|traffic| traffic.flows),
        },
        Equation {
            what: "buckets that differ by zone and hour",
            total: 0,
            parts: differing.map(|bucket| (bucket.as_str(), 1)).collect(),
        },
    ]
}

/// What is around packets and fragments in tunnels runs where they run, once.
fn overhead(outcome: &Outcome) -> Equation {
    let (frames, shards) = (&outcome.frames, &outcome.shards);
    let around_fragments = Locality::ALL
        .iter()
        .map(|locality| {
            frames
                .outside_flows
                .cell(*locality, Coverage::TunnelOverhead)
        })
        .map(|traffic| traffic.bytes())
        .sum();
    Equation {
        what: "bytes around packets in tunnels",
        total: frames.tunnel_overhead_bytes,
        parts: vec![
            (
                "around packets",
                shards.tunnel_overhead.grand_total().bytes(),
            ),
            ("around fragments", around_fragments),
            ("around copies of packets", shards.duplicates.overhead),
            ("around copies of fragments", frames.copied_overhead_bytes),
        ],
    }
}

/// Fragments come in; datagrams, or nothing, come out.
fn datagrams(datagrams: &DatagramCounters) -> [Equation; 3] {
    [
        Equation {
            what: "datagrams in fragments",
            total: datagrams.begun,
            parts: DatagramOutcome::ALL
                .iter()
                .map(|outcome| (outcome.as_str(), datagrams.ended[outcome.index()]))
                .collect(),
        },
        Equation {
            what: "datagrams put together",
            total: datagrams.ended[DatagramOutcome::Completed.index()],
            parts: vec![
                ("packets of flows", datagrams.packets),
                ("fragments of others", datagrams.fragments),
                ("undecodable", datagrams.undecodable),
            ],
        },
        Equation {
            what: "bytes of fragments",
            total: datagrams.bytes,
            parts: vec![
                ("of datagrams put together", datagrams.completed_bytes),
                ("of copies of fragments", datagrams.copied_bytes),
                ("of others", datagrams.lost_bytes),
            ],
        },
    ]
}

/// What hosts said of themselves was told, each once.
fn hosts(outcome: &Outcome, ledger: &Ledger) -> Equation {
    let heard = &ledger.counters().host_facts;
    Equation {
        what: "facts about hosts",
        total: outcome.shards.host_facts.told,
        parts: HostFactKind::ALL
            .iter()
            .map(|kind| (kind.as_str(), heard[kind.index()]))
            .collect(),
    }
}

/// Every question was told of with what became of it, or was part of one told of before.
fn questions(outcome: &Outcome, ledger: &Ledger) -> Equation {
    Equation {
        what: "questions to name services",
        total: outcome.shards.dns.questions + outcome.shards.dns.unsolicited,
        parts: DnsOutcome::ALL
            .iter()
            .map(|outcome| (outcome.as_str(), ledger.counters().dns[outcome.index()]))
            .chain([
                ("asked again", outcome.shards.dns.repeated),
                (
                    "answered unasked and left out",
                    outcome.shards.dns.unsolicited_left_out,
                ),
            ])
            .collect(),
    }
}
