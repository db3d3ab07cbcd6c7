//! The summary as one JSON document.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use super::decryption::{Decryption, decryption};
use super::hosts::HostView;
use super::hosts_seen::{Apart, HostsSeen};
use super::inputs::{self, Beside, HomeNetHint, Input};
use super::{
    BytesView as Bytes, CoverageByZone, ExposureView, FindingView, News, PolicyInForce, Summary,
};
use crate::alert::{Alert, CanarySighting, ExpectedZone, Suggestion};
use crate::decode::{NotIp, TunnelKind, Undecodable};
use crate::flow::{DatagramCounters, DatagramOutcome, FlowEndReason};
use crate::geo::Dataset;
use crate::model::{Coverage, DnsOutcome, EvidenceKind, HostFactKind, Locality};
use crate::policy::{DISCLAIMER, Role};

/// Version of the document's fields and their meaning.
const SCHEMA_VERSION: u32 = 2;

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    /// The manifest: stands outside the promise that output does not depend on how an input is cut.
    inputs: Vec<Input<'a>>,
    inputs_beside: Beside,
    sites: &'a [String],
    ruleset: &'a str,
    country_dataset: &'a Dataset,
    operator_dataset: &'a Dataset,
    home_networks: &'a [String],
    home_net_hint: Option<HomeNetHint>,
    exposures: &'a [ExposureView],
    exposures_refused: u64,
    #[serde(flatten)]
    news: NewsOut<'a>,
    exposures_apart: Apart,
    hosts: &'a [HostView],
    hosts_seen: &'a HostsSeen,
    policies: PoliciesSection<'a>,
    findings: &'a [FindingView],
    attributed_without_home: u64,
    outbound: Account,
    outbound_attributed_by: BTreeMap<&'static str, Bytes>,
    home_home: Account,
    transit: Account,
    coverage_by_zone: &'a CoverageByZone,
    frames: Frames,
    mirror: Mirror,
    flows: Flows,
    handshakes: Handshakes,
    quic: Quic,
    tls_servers: TlsServers,
    dtls_hellos: DtlsHellos,
    decryption: Decryption,
    name_services: NameServices,
    host_facts: HostFacts,
    facts_by_kind: BTreeMap<&'static str, u64>,
    time: Time,
    conservation: Vec<Equation>,
    conservation_holds: bool,
}

/// What is new, and who is silent.
#[derive(Serialize)]
struct PoliciesSection<'a> {
    disclaimer: &'static str,
    digest: &'a str,
    known: usize,
    roles: &'a [Role],
    in_force: &'a [PolicyInForce],
    findings_refused: u64,
}

#[derive(Serialize)]
struct NewsOut<'a> {
    alerts: &'a [Alert],
    expected: &'a [ExpectedZone],
    suggestions: &'a [Suggestion],
    canaries: &'a [CanarySighting],
    news_refused: &'a BTreeMap<&'static str, u64>,
    state_forgotten: u64,
}

impl<'a> NewsOut<'a> {
    fn of(news: &'a News) -> Self {
        Self {
            alerts: &news.alerts,
            expected: &news.expected,
            suggestions: &news.suggestions,
            canaries: &news.canaries,
            news_refused: &news.refused,
            state_forgotten: news.state_forgotten,
        }
    }
}

#[derive(Serialize)]
struct Account {
    total: Bytes,
    by_coverage: BTreeMap<&'static str, Bytes>,
}

#[derive(Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "field names are those of the output"
)]
struct Frames {
    read: u64,
    captured_bytes: u64,
    packets: u64,
    packet_bytes: u64,
    fragments: u64,
    datagrams: Datagrams,
    not_ip: BTreeMap<&'static str, u64>,
    undecodable: BTreeMap<&'static str, u64>,
    tunnels: BTreeMap<&'static str, u64>,
    tunnels_too_deep: u64,
    tunnel_overhead_bytes: u64,
}

#[derive(Serialize)]
struct Mirror {
    duplicate_packets: u64,
    duplicate_bytes: u64,
    duplicates_forgotten: u64,
    duplicate_fragments: u64,
    duplicate_fragment_bytes: u64,
    duplicate_overhead_bytes: u64,
    tcp_acknowledged_bytes: u64,
    tcp_unseen_bytes: u64,
    tcp_followed: u64,
    tcp_followed_refused: u64,
    tcp_two_way: u64,
    tcp_one_way: u64,
}

#[derive(Serialize)]
struct Datagrams {
    begun: u64,
    by_outcome: BTreeMap<&'static str, u64>,
    packets: u64,
    fragments: u64,
    undecodable: u64,
    refused_fragments: u64,
    late_fragments: u64,
    overlaps: u64,
}

#[derive(Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "field names are those of the output"
)]
struct Flows {
    opened: u64,
    open_max: u64,
    ended: BTreeMap<&'static str, u64>,
    interim_records: u64,
    by_locality: BTreeMap<&'static str, u64>,
    names: u64,
    names_attributed: u64,
    names_refused: u64,
    tunnel_paths_refused: u64,
}

#[derive(Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "field names are those of the output"
)]
struct Handshakes {
    reassembled: u64,
    refused_handshakes: u64,
    refused_segments: u64,
    given_up: u64,
    gaps: u64,
    watched_out: u64,
}

#[derive(Serialize)]
struct Quic {
    initials_opened: u64,
    initials_undecryptable: u64,
    hellos_reassembled: u64,
    refused_hellos: u64,
    refused_pieces: u64,
    given_up: u64,
    untried: u64,
}

#[derive(Serialize)]
struct TlsServers {
    answers: u64,
    resumed: u64,
    certificates: u64,
    malformed: u64,
    refused: u64,
    given_up: u64,
}

#[derive(Serialize)]
struct DtlsHellos {
    hellos: u64,
    reassembled: u64,
    refused: u64,
    given_up: u64,
}

#[derive(Serialize)]
struct NameServices {
    questions: u64,
    unsolicited: u64,
    unsolicited_left_out: u64,
    repeated: u64,
    malformed: u64,
    damaged: u64,
    answers_left_out: u64,
    refused: u64,
    forgotten: u64,
    encrypted_dns_hosts: u64,
    encrypted_dns_refused: u64,
    by_outcome: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct HostFacts {
    by_kind: BTreeMap<&'static str, u64>,
    malformed: u64,
    damaged: u64,
}

#[derive(Serialize)]
struct Time {
    steps_back: u64,
    jumps: u64,
}

#[derive(Serialize)]
struct Equation {
    what: &'static str,
    total: u64,
    parts: BTreeMap<&'static str, u64>,
    holds: bool,
}

/// Writes the document, indented.
pub fn write_json(summary: &Summary, out: &mut dyn Write) -> std::io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &document(summary))?;
    out.write_all(b"\n")
}

fn tls_servers(summary: &Summary) -> TlsServers {
    let servers = &summary.shards.servers;
    TlsServers {
        answers: servers.answers,
        resumed: servers.resumed,
        certificates: servers.certificates,
        malformed: servers.malformed,
        refused: servers.refused,
        given_up: servers.given_up,
    }
}

fn handshakes(summary: &Summary) -> Handshakes {
    let handshakes = &summary.shards.handshakes;
    Handshakes {
        reassembled: handshakes.reassembled,
        refused_handshakes: handshakes.refused_handshakes,
        refused_segments: handshakes.refused_segments,
        given_up: handshakes.given_up,
        gaps: handshakes.gaps,
        watched_out: handshakes.watched_out,
    }
}

fn dtls_hellos(summary: &Summary) -> DtlsHellos {
    DtlsHellos {
        hellos: summary.shards.dtls.hellos,
        reassembled: summary.shards.dtls.reassembled,
        refused: summary.shards.dtls.refused,
        given_up: summary.shards.dtls.given_up,
    }
}

fn document(summary: &Summary) -> Document<'_> {
    let attributed_by = EvidenceKind::ALL
        .iter()
        .map(|kind| (kind.as_str(), summary.bytes.attributed_by(*kind).into()))
        .filter(|(_, bytes): &(_, Bytes)| bytes.packets > 0)
        .collect();
    Document {
        schema_version: SCHEMA_VERSION,
        inputs: inputs::inputs(summary),
        inputs_beside: inputs::beside(summary),
        sites: inputs::sites(summary),
        ruleset: &summary.ruleset,
        country_dataset: &summary.country_dataset,
        operator_dataset: &summary.operator_dataset,
        home_networks: &summary.home_networks,
        home_net_hint: inputs::home_net_hint(summary),
        exposures: &summary.exposures,
        exposures_refused: summary.exposures_refused,
        news: NewsOut::of(&summary.news),
        exposures_apart: summary.apart(),
        hosts: &summary.hosts,
        hosts_seen: &summary.hosts_seen,
        policies: PoliciesSection {
            disclaimer: DISCLAIMER,
            digest: &summary.findings.digest,
            known: summary.findings.known,
            roles: &summary.findings.roles,
            in_force: &summary.findings.in_force,
            findings_refused: summary.findings.refused,
        },
        findings: &summary.findings.list,
        attributed_without_home: summary.counters.attributed_without_home,
        outbound: account(summary, Locality::Outbound),
        outbound_attributed_by: attributed_by,
        home_home: account(summary, Locality::HomeHome),
        transit: account(summary, Locality::Transit),
        coverage_by_zone: &summary.coverage_by_zone,
        frames: frames(summary),
        mirror: mirror(summary),
        flows: flows(summary),
        handshakes: handshakes(summary),
        quic: Quic {
            initials_opened: summary.shards.quic.opened,
            initials_undecryptable: summary.shards.quic.undecryptable,
            hellos_reassembled: summary.shards.quic.reassembled,
            refused_hellos: summary.shards.quic.refused_hellos,
            refused_pieces: summary.shards.quic.refused_pieces,
            given_up: summary.shards.quic.given_up,
            untried: summary.shards.quic.untried,
        },
        tls_servers: tls_servers(summary),
        dtls_hellos: dtls_hellos(summary),
        decryption: decryption(summary),
        name_services: NameServices {
            questions: summary.shards.dns.questions,
            unsolicited: summary.shards.dns.unsolicited,
            unsolicited_left_out: summary.shards.dns.unsolicited_left_out,
            repeated: summary.shards.dns.repeated,
            malformed: summary.shards.dns.malformed,
            damaged: summary.shards.dns.damaged,
            answers_left_out: summary.shards.dns.answers_left_out,
            refused: summary.shards.dns.refused,
            forgotten: summary.answers_forgotten,
            encrypted_dns_hosts: summary.encrypted_dns_hosts,
            encrypted_dns_refused: summary.encrypted_dns_refused,
            by_outcome: DnsOutcome::ALL
                .iter()
                .map(|outcome| (outcome.as_str(), summary.counters.dns[outcome.index()]))
                .collect(),
        },
        host_facts: HostFacts {
            by_kind: HostFactKind::ALL
                .iter()
                .map(|kind| (kind.as_str(), summary.counters.host_facts[kind.index()]))
                .collect(),
            malformed: summary.shards.host_facts.malformed,
            damaged: summary.shards.host_facts.damaged,
        },
        facts_by_kind: EvidenceKind::ALL
            .iter()
            .map(|kind| (kind.as_str(), summary.counters.facts[kind.index()]))
            .filter(|(_, facts)| *facts > 0)
            .collect(),
        time: Time {
            steps_back: summary.clock.steps_back,
            jumps: summary.clock.jumps,
        },
        conservation: summary
            .conservation
            .equations
            .iter()
            .map(|equation| Equation {
                what: equation.what,
                total: equation.total,
                parts: equation.parts.iter().copied().collect(),
                holds: equation.holds(),
            })
            .collect(),
        conservation_holds: summary.conservation.holds(),
    }
}

fn frames(summary: &Summary) -> Frames {
    let frames = &summary.frames;
    Frames {
        read: frames.frames,
        captured_bytes: frames.captured_bytes,
        packets: frames.packets,
        packet_bytes: frames.packet_bytes,
        fragments: frames.fragments,
        datagrams: datagrams(&frames.datagrams),
        not_ip: NotIp::ALL
            .iter()
            .map(|kind| (kind.as_str(), frames.not_ip[kind.index()]))
            .collect(),
        undecodable: Undecodable::ALL
            .iter()
            .map(|reason| (reason.as_str(), frames.undecodable[reason.index()]))
            .collect(),
        tunnels: TunnelKind::ALL
            .iter()
            .map(|kind| (kind.as_str(), frames.tunnels[kind.index()]))
            .filter(|(_, count)| *count > 0)
            .collect(),
        tunnels_too_deep: frames.tunnels_too_deep,
        tunnel_overhead_bytes: frames.tunnel_overhead_bytes,
    }
}

fn mirror(summary: &Summary) -> Mirror {
    let (shards, frames) = (&summary.shards, &summary.frames);
    Mirror {
        duplicate_packets: shards.duplicates.packets,
        duplicate_bytes: shards.duplicates.bytes,
        duplicates_forgotten: shards.duplicates.forgotten,
        duplicate_fragments: frames.datagrams.copies,
        duplicate_fragment_bytes: frames.datagrams.copied_bytes,
        duplicate_overhead_bytes: summary.duplicate_overhead(),
        tcp_acknowledged_bytes: shards.loss.acknowledged_bytes,
        tcp_unseen_bytes: shards.loss.unseen_bytes,
        tcp_followed: shards.loss.flows,
        tcp_followed_refused: shards.loss.flows_without_room,
        tcp_two_way: shards.tcp_two_way,
        tcp_one_way: shards.tcp_one_way,
    }
}

fn datagrams(counters: &DatagramCounters) -> Datagrams {
    Datagrams {
        begun: counters.begun,
        by_outcome: DatagramOutcome::ALL
            .iter()
            .map(|outcome| (outcome.as_str(), counters.ended[outcome.index()]))
            .collect(),
        packets: counters.packets,
        fragments: counters.fragments,
        undecodable: counters.undecodable,
        refused_fragments: counters.refused_fragments,
        late_fragments: counters.late_fragments,
        overlaps: counters.overlaps,
    }
}

fn flows(summary: &Summary) -> Flows {
    let counters = &summary.counters;
    Flows {
        opened: counters.flows_opened,
        open_max: counters.flows_open_max,
        ended: FlowEndReason::ALL
            .iter()
            .filter(|reason| **reason != FlowEndReason::ActiveTimeout)
            .map(|reason| (reason.as_str(), counters.flows_ended[reason.index()]))
            .collect(),
        interim_records: counters.interim_records,
        by_locality: Locality::ALL
            .iter()
            .map(|locality| {
                (
                    locality.as_str(),
                    counters.flows_by_locality[locality.index()],
                )
            })
            .collect(),
        names: counters.names(),
        names_attributed: counters.names_attributed(),
        names_refused: summary.shards.refused_names,
        tunnel_paths_refused: summary.shards.refused_paths,
    }
}

fn account(summary: &Summary, locality: Locality) -> Account {
    Account {
        total: summary.bytes.total(locality).into(),
        by_coverage: Coverage::ALL
            .iter()
            .map(|coverage| {
                (
                    coverage.as_str(),
                    summary.bytes.cell(locality, *coverage).into(),
                )
            })
            .filter(|(_, bytes): &(_, Bytes)| {
                bytes.packets > 0 || bytes.bytes_out + bytes.bytes_in > 0
            })
            .collect(),
    }
}
