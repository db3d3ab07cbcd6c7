//! A [`Summary`] → families of metrics.

use std::collections::{BTreeMap, BTreeSet};

use prometheus::core::{Collector, Desc};
use prometheus::proto;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::catalogue::{CATALOGUE, Kind};
use crate::aggregate::Traffic;
use crate::attribute::Ruleset;
use crate::decode::{NotIp, TunnelKind, Undecodable};
use crate::flow::{DatagramOutcome, FlowEndReason};
use crate::geo::Dataset;
use crate::model::{
    Contact, CountryCode, Coverage, DecryptFailure, DnsOutcome, EvidenceKind, HostFactKind,
    Locality, Purpose, Verdict,
};
use crate::policy::Outcome;
use crate::report::{ExposureView, PurposeView, Summary};

/// What stands for a product, country or engine that is not known.
const UNKNOWN: &str = "unknown";

/// Values of labels, in the order of the catalogue.
type Labels = Vec<String>;

/// What a run came to, ready to be collected. A copy: whoever counts goes on counting meanwhile.
#[derive(Debug)]
pub struct SummaryCollector {
    descriptions: Vec<Desc>,
    samples: BTreeMap<&'static str, BTreeMap<Labels, f64>>,
}

impl SummaryCollector {
    /// Everything in the summary; the rules say which vendors there are, so that those not seen are there with 0.
    pub fn new(summary: &Summary, rules: &Ruleset) -> prometheus::Result<Self> {
        let descriptions = CATALOGUE
            .iter()
            .map(|metric| {
                let labels = metric.labels.iter().map(|label| (*label).to_owned());
                Desc::new(
                    metric.name.to_owned(),
                    metric.help.to_owned(),
                    labels.collect(),
                    std::collections::HashMap::new(),
                )
            })
            .collect::<prometheus::Result<_>>()?;
        let mut samples = Samples::default();
        about(summary, rules, &mut samples);
        capture(summary, &mut samples);
        mirror(summary, &mut samples);
        flows(summary, &mut samples);
        name_services(summary, &mut samples);
        hosts(summary, &mut samples);
        traffic(summary, &mut samples);
        exposures(summary, rules, &mut samples);
        findings(summary, &mut samples);
        super::news::news(&summary.news, |name, labels, number| {
            samples.add(name, labels, number);
        });
        Ok(Self {
            descriptions,
            samples: samples.0,
        })
    }
}

impl Collector for SummaryCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let families = CATALOGUE.iter().filter_map(|metric| {
            let samples = self.samples.get(metric.name)?;
            let mut family = proto::MetricFamily::default();
            family.set_name(metric.name.to_owned());
            family.set_help(metric.help.to_owned());
            family.set_field_type(match metric.kind {
                Kind::Counter => proto::MetricType::COUNTER,
                Kind::Gauge => proto::MetricType::GAUGE,
            });
            let samples = samples.iter().map(|(values, number)| {
                let pairs = metric.labels.iter().zip(values).map(|(name, value)| {
                    let mut pair = proto::LabelPair::default();
                    pair.set_name((*name).to_owned());
                    pair.set_value(value.clone());
                    pair
                });
                let mut sample = proto::Metric::from_label(pairs.collect());
                match metric.kind {
                    Kind::Counter => {
                        let mut counter = proto::Counter::default();
                        counter.set_value(*number);
                        sample.set_counter(counter);
                    }
                    Kind::Gauge => {
                        let mut gauge = proto::Gauge::default();
                        gauge.set_value(*number);
                        sample.set_gauge(gauge);
                    }
                }
                sample
            });
            family.set_metric(samples.collect());
            Some(family)
        });
        families.collect()
    }
}

/// Sums by name and labels.
#[derive(Debug, Default)]
struct Samples(BTreeMap<&'static str, BTreeMap<Labels, f64>>);

impl Samples {
    fn add(&mut self, name: &'static str, labels: &[&str], number: u64) {
        *self.at(name, labels) += number as f64;
    }

    fn at(&mut self, name: &'static str, labels: &[&str]) -> &mut f64 {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.0.entry(name).or_default().entry(labels).or_default()
    }

    /// Both directions of some traffic; `labels` stand before the direction.
    fn add_bytes(&mut self, name: &'static str, labels: &[&str], traffic: Traffic) {
        for (direction, bytes) in [("out", traffic.bytes_out), ("in", traffic.bytes_in)] {
            let mut labels = labels.to_vec();
            labels.push(direction);
            self.add(name, &labels, bytes);
        }
    }
}

fn about(summary: &Summary, rules: &Ruleset, samples: &mut Samples) {
    samples.add("avscope_build_info", &[env!("CARGO_PKG_VERSION")], 1);
    samples.add("avscope_ruleset_info", &[&summary.ruleset], 1);
    samples.add("avscope_ruleset_vendors", &[], rules.vendors().len() as u64);
    samples.add("avscope_ruleset_rules", &[], rules.rules().len() as u64);
    dataset("country", &summary.country_dataset, samples);
    dataset("operator", &summary.operator_dataset, samples);
    for equation in &summary.conservation.equations {
        samples.add(
            "avscope_conservation_holds",
            &[&equation.what.replace(' ', "_")],
            u64::from(equation.holds()),
        );
    }
}

fn dataset(table: &str, dataset: &Dataset, samples: &mut Samples) {
    samples.add(
        "avscope_dataset_info",
        &[table, &dataset.name, &dataset.build_date],
        1,
    );
    if let Some(seconds) = seconds(&format!("{}T00:00:00Z", dataset.build_date)) {
        *samples.at("avscope_dataset_build_timestamp_seconds", &[table]) = seconds;
    }
}

fn capture(summary: &Summary, samples: &mut Samples) {
    let name = "avscope_inputs";
    for state in ["read", "damaged", "unreadable"] {
        samples.add(name, &[state], 0);
    }
    for input in &summary.inputs {
        let state = match (&input.error, &input.damage) {
            (Some(_), _) => "unreadable",
            (None, Some(_)) => "damaged",
            (None, None) => "read",
        };
        samples.add(name, &[state], 1);
    }
    let frames = &summary.frames;
    for (outcome, count) in [
        ("packet", frames.packets),
        ("fragment", frames.fragments),
        ("not_ip", frames.not_ip.iter().sum()),
        ("undecodable", frames.undecodable.iter().sum()),
    ] {
        samples.add("avscope_capture_frames_total", &[outcome], count);
    }
    samples.add("avscope_capture_bytes_total", &[], frames.captured_bytes);
    for kind in NotIp::ALL {
        let count = frames.not_ip[kind.index()];
        samples.add("avscope_not_ip_frames_total", &[kind.as_str()], count);
    }
    for reason in Undecodable::ALL {
        let count = frames.undecodable[reason.index()];
        samples.add("avscope_decode_errors_total", &[reason.as_str()], count);
    }
    tunnels(summary, samples);
    datagrams(summary, samples);
    let name = "avscope_capture_time_anomalies_total";
    samples.add(name, &["step_back"], summary.clock.steps_back);
    samples.add(name, &["jump"], summary.clock.jumps);
}

fn mirror(summary: &Summary, samples: &mut Samples) {
    let shards = &summary.shards;
    for (name, count) in [
        ("avscope_duplicate_packets_total", shards.duplicates.packets),
        ("avscope_duplicate_bytes_total", shards.duplicates.bytes),
        (
            "avscope_duplicates_forgotten_total",
            shards.duplicates.forgotten,
        ),
        (
            "avscope_duplicate_fragments_total",
            summary.frames.datagrams.copies,
        ),
        (
            "avscope_duplicate_fragment_bytes_total",
            summary.frames.datagrams.copied_bytes,
        ),
        (
            "avscope_duplicate_overhead_bytes_total",
            summary.duplicate_overhead(),
        ),
        (
            "avscope_tcp_acknowledged_bytes_total",
            shards.loss.acknowledged_bytes,
        ),
        ("avscope_tcp_unseen_bytes_total", shards.loss.unseen_bytes),
    ] {
        samples.add(name, &[], count);
    }
    let name = "avscope_tcp_followed_total";
    samples.add(name, &["followed"], shards.loss.flows);
    samples.add(name, &["no_room"], shards.loss.flows_without_room);
    let name = "avscope_tcp_connections_total";
    samples.add(name, &["both"], shards.tcp_two_way);
    samples.add(name, &["one"], shards.tcp_one_way);
}

fn tunnels(summary: &Summary, samples: &mut Samples) {
    let frames = &summary.frames;
    for kind in TunnelKind::ALL {
        let count = frames.tunnels[kind.index()];
        samples.add("avscope_tunnel_layers_total", &[kind.as_str()], count);
    }
    let name = "avscope_tunnel_anomalies_total";
    samples.add(name, &["too_deep"], frames.tunnels_too_deep);
    samples.add(name, &["path_refused"], summary.shards.refused_paths);
    let name = "avscope_tunnel_overhead_bytes_total";
    samples.add(name, &[], frames.tunnel_overhead_bytes);
}

fn datagrams(summary: &Summary, samples: &mut Samples) {
    let datagrams = &summary.frames.datagrams;
    for outcome in DatagramOutcome::ALL {
        let count = datagrams.ended[outcome.index()];
        samples.add("avscope_datagrams_total", &[outcome.as_str()], count);
    }
    for (content, count) in [
        ("packet", datagrams.packets),
        ("fragment", datagrams.fragments),
        ("undecodable", datagrams.undecodable),
    ] {
        samples.add("avscope_datagrams_completed_total", &[content], count);
    }
    for (kind, count) in [
        ("refused", datagrams.refused_fragments),
        ("late", datagrams.late_fragments),
        ("overlap", datagrams.overlaps),
    ] {
        samples.add("avscope_fragment_anomalies_total", &[kind], count);
    }
}

fn flows(summary: &Summary, samples: &mut Samples) {
    let counters = &summary.counters;
    samples.add("avscope_flows_opened_total", &[], counters.flows_opened);
    samples.add("avscope_flows_open_max", &[], counters.flows_open_max);
    for reason in FlowEndReason::ALL {
        // An active timeout ends no flow.
        if *reason != FlowEndReason::ActiveTimeout {
            let count = counters.flows_ended[reason.index()];
            samples.add("avscope_flows_ended_total", &[reason.as_str()], count);
        }
    }
    samples.add(
        "avscope_flow_interim_records_total",
        &[],
        counters.interim_records,
    );
    for kind in EvidenceKind::ALL {
        let attributed = counters.facts_attributed[kind.index()];
        let others = counters.facts[kind.index()].saturating_sub(attributed);
        for (word, count) in [("true", attributed), ("false", others)] {
            samples.add("avscope_facts_total", &[kind.as_str(), word], count);
        }
    }
    samples.add(
        "avscope_facts_left_out_total",
        &[],
        summary.shards.facts_left_out,
    );
    samples.add(
        "avscope_names_refused_total",
        &[],
        summary.shards.refused_names,
    );
    let handshakes = &summary.shards.handshakes;
    for (outcome, count) in [
        ("reassembled", handshakes.reassembled),
        ("refused_handshake", handshakes.refused_handshakes),
        ("refused_segment", handshakes.refused_segments),
        ("given_up", handshakes.given_up),
        ("gap", handshakes.gaps),
        ("watched_out", handshakes.watched_out),
    ] {
        samples.add("avscope_reassembly_total", &[outcome], count);
    }
    let quic = &summary.shards.quic;
    for (outcome, count) in [
        ("initial_opened", quic.opened),
        ("initial_undecryptable", quic.undecryptable),
        ("hello_reassembled", quic.reassembled),
        ("refused_hello", quic.refused_hellos),
        ("refused_piece", quic.refused_pieces),
        ("given_up", quic.given_up),
        ("untried", quic.untried),
    ] {
        samples.add("avscope_quic_total", &[outcome], count);
    }
    tls(summary, samples);
    let name = "avscope_unlisted_bytes_total";
    samples.add(name, &["client_outside"], counters.bytes_without_home);
    samples.add(name, &["no_room"], counters.bytes_refused);
}

fn tls(summary: &Summary, samples: &mut Samples) {
    let servers = &summary.shards.servers;
    for (outcome, count) in [
        ("answer", servers.answers),
        ("resumed", servers.resumed),
        ("certificate", servers.certificates),
        ("malformed", servers.malformed),
        ("refused", servers.refused),
        ("given_up", servers.given_up),
    ] {
        samples.add("avscope_tls_servers_total", &[outcome], count);
    }
    let dtls = &summary.shards.dtls;
    for (outcome, count) in [
        ("hello", dtls.hellos),
        ("reassembled", dtls.reassembled),
        ("refused", dtls.refused),
        ("given_up", dtls.given_up),
    ] {
        samples.add("avscope_dtls_hellos_total", &[outcome], count);
    }
    decryption(summary, samples);
}

fn decryption(summary: &Summary, samples: &mut Samples) {
    let (keys, sessions) = (&summary.keys, &summary.shards.decrypt);
    for (outcome, count) in [
        ("kept", keys.secrets),
        ("repeated", keys.repeated),
        ("ignored", keys.ignored),
        ("malformed", keys.malformed),
        ("refused", keys.refused),
        ("block", keys.blocks),
        ("other_block", keys.other_blocks),
    ] {
        samples.add("avscope_tls_secrets_total", &[outcome], count);
    }
    for (outcome, count) in [
        ("session", sessions.sessions),
        ("opened", sessions.opened),
        ("early_data", sessions.early_data),
        ("request", sessions.requests),
        ("certificate", sessions.certificates),
    ] {
        samples.add("avscope_tls_decryption_total", &[outcome], count);
    }
    for reason in DecryptFailure::ALL {
        let count = sessions.failures[reason.index()];
        let name = "avscope_tls_decryption_failures_total";
        samples.add(name, &[reason.as_str()], count);
    }
}

fn name_services(summary: &Summary, samples: &mut Samples) {
    let dns = &summary.shards.dns;
    samples.add("avscope_dns_questions_total", &[], dns.questions);
    for outcome in DnsOutcome::ALL {
        let count = summary.counters.dns[outcome.index()];
        samples.add("avscope_dns_transactions_total", &[outcome.as_str()], count);
    }
    for (kind, count) in [
        ("unsolicited", dns.unsolicited),
        ("unsolicited_left_out", dns.unsolicited_left_out),
        ("repeated", dns.repeated),
        ("malformed", dns.malformed),
        ("refused", dns.refused),
        ("forgotten", summary.answers_forgotten),
        ("encrypted_host_refused", summary.encrypted_dns_refused),
    ] {
        samples.add("avscope_dns_anomalies_total", &[kind], count);
    }
}

fn hosts(summary: &Summary, samples: &mut Samples) {
    let hosts = summary.encrypted_dns_hosts;
    samples.add("avscope_encrypted_dns_hosts", &[], hosts);
    for kind in HostFactKind::ALL {
        let count = summary.counters.host_facts[kind.index()];
        samples.add("avscope_host_facts_total", &[kind.as_str()], count);
    }
    let seen = &summary.hosts_seen;
    let named = seen.hosts.saturating_sub(seen.without_name);
    samples.add("avscope_hosts", &["true"], named);
    samples.add("avscope_hosts", &["false"], seen.without_name);
    for (role, count) in &seen.by_role {
        samples.add("avscope_host_roles", &[role.as_str()], *count);
    }
    for (cause, count) in &seen.changes {
        samples.add("avscope_host_changes_total", &[cause.as_str()], *count);
    }
    for (kind, count) in [
        ("address_refused", seen.refused),
        ("change_refused", seen.changes_refused),
        ("station_refused", seen.stations_refused),
        ("lease_forgotten", seen.leases_forgotten),
        ("station_conflict", seen.station_conflicts),
        ("doubtful", seen.doubtful),
        ("joined", seen.addresses_joined),
    ] {
        samples.add("avscope_host_anomalies_total", &[kind], count);
    }
    let apart = summary.apart();
    let name = "avscope_exposures_apart";
    samples.add(name, &["false"], apart.exposures);
    samples.add(name, &["true"], apart.relay_exposures);
    let refused = &summary.shards.host_facts;
    let name = "avscope_host_fact_anomalies_total";
    samples.add(name, &["malformed"], refused.malformed);
    samples.add(name, &["damaged"], refused.damaged);
}

fn traffic(summary: &Summary, samples: &mut Samples) {
    for locality in Locality::ALL {
        for coverage in Coverage::ALL {
            let traffic = summary.bytes.cell(*locality, *coverage);
            let labels = [locality.as_str(), coverage.as_str()];
            samples.add_bytes("avscope_traffic_bytes_total", &labels, traffic);
            samples.add("avscope_traffic_flows_total", &labels, traffic.flows);
        }
    }
    for kind in EvidenceKind::ALL {
        samples.add_bytes(
            "avscope_attributed_bytes_total",
            &[kind.as_str()],
            summary.bytes.attributed_by(*kind),
        );
    }
}

fn exposures(summary: &Summary, rules: &Ruleset, samples: &mut Samples) {
    for vendor in rules.vendors() {
        for verdict in Verdict::ALL {
            for contact in Contact::ALL {
                let labels = [&vendor.id, verdict.as_str(), contact.as_str()];
                samples.add("avscope_exposures", &labels, 0);
            }
        }
        for purpose in Purpose::ALL {
            let labels = [vendor.id.as_str(), purpose.as_str()];
            samples.add("avscope_contacts_total", &labels, 0);
            samples.add("avscope_vendor_questions_total", &labels, 0);
        }
        samples.add("avscope_vendor_hosts", &[&vendor.id], 0);
    }
    let watched = &summary.coverage_by_zone;
    for (kind, count) in [
        ("hours_folded", watched.folded_hours),
        ("hosts", watched.hosts_refused),
        ("late", watched.late),
    ] {
        samples.add("avscope_watch_refused_total", &[kind], count);
    }
    samples.add(
        "avscope_exposures_refused_total",
        &[],
        summary.exposures_refused,
    );
    let mut hosts = BTreeSet::new();
    for exposure in &summary.exposures {
        let vendor = exposure.vendor.as_str();
        let (verdict, contact) = (exposure.verdict.as_str(), exposure.contact.as_str());
        samples.add("avscope_exposures", &[vendor, verdict, contact], 1);
        // Who may speak for others is no host with the product, for all that is known.
        if exposure.who.relay.is_none() && hosts.insert((vendor, exposure.whose())) {
            samples.add("avscope_vendor_hosts", &[vendor], 1);
        }
        for PurposeView {
            purpose, contacts, ..
        } in &exposure.purposes
        {
            let labels = [vendor, purpose.as_str()];
            samples.add("avscope_contacts_total", &labels, contacts.contacts);
            samples.add(
                "avscope_vendor_questions_total",
                &labels,
                contacts.questions,
            );
        }
        egress(exposure, samples);
        jurisdiction(exposure, samples);
        seen(exposure, samples);
    }
}

fn findings(summary: &Summary, samples: &mut Samples) {
    let findings = &summary.findings;
    samples.add("avscope_findings_refused", &[], findings.refused);
    if !findings.in_force.is_empty() {
        samples.add("avscope_policies_info", &[&findings.digest], 1);
    }
    for policy in &findings.in_force {
        for result in Outcome::ALL {
            let labels = [policy.id.as_str(), result.as_str()];
            samples.add("avscope_findings", &labels, policy.results.of(*result));
        }
    }
}

fn egress(exposure: &ExposureView, samples: &mut Samples) {
    let engine = exposure.engine.as_ref();
    let labels = [
        exposure.vendor.as_str(),
        exposure.product.as_deref().unwrap_or(UNKNOWN),
        engine.map_or("none", |engine| engine.vendor.as_str()),
        exposure.confidence.as_str(),
    ];
    let traffic = Traffic {
        flows: exposure.flows,
        bytes_out: exposure.bytes_out,
        bytes_in: exposure.bytes_in,
        packets: 0,
    };
    samples.add_bytes("avscope_egress_bytes_total", &labels, traffic);
    samples.add("avscope_egress_flows_total", &labels, exposure.flows);
}

fn jurisdiction(exposure: &ExposureView, samples: &mut Samples) {
    let bytes = exposure.bytes_out + exposure.bytes_in;
    let operators: BTreeSet<_> = exposure.operators.iter().map(|(_, c)| *c).collect();
    let servers: BTreeSet<_> = exposure.server_countries.iter().copied().collect();
    for (axis, country) in [
        ("vendor_seat", exposure.vendor_seat.to_string()),
        ("server_country", one_of(&servers)),
        ("operator_country", one_of(&operators)),
    ] {
        let name = "avscope_jurisdiction_bytes_total";
        samples.add(name, &[axis, &country], bytes);
    }
}

/// What an exposure carried is not known by server: more than one country cannot be told apart.
fn one_of(countries: &BTreeSet<Option<CountryCode>>) -> String {
    match (countries.len(), countries.first()) {
        (0, _) | (1, Some(None) | None) => UNKNOWN.to_owned(),
        (1, Some(Some(country))) => country.to_string(),
        _ => "several".to_owned(),
    }
}

fn seen(exposure: &ExposureView, samples: &mut Samples) {
    let product = exposure.product.as_deref().unwrap_or(UNKNOWN);
    let labels = [exposure.vendor.as_str(), product];
    if let Some(time) = seconds(&exposure.first_seen) {
        let first = samples.at("avscope_vendor_first_seen_timestamp_seconds", &labels);
        // 0 is what a new sample begins with; packet time before 1970 there is none.
        if *first == 0.0 || time < *first {
            *first = time;
        }
    }
    if let Some(time) = seconds(&exposure.last_seen) {
        let last = samples.at("avscope_vendor_last_seen_timestamp_seconds", &labels);
        *last = last.max(time);
    }
}

/// Seconds since 1970 of a time as reports write it.
fn seconds(text: &str) -> Option<f64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    // Whole microseconds fit a double until the year 2255.
    Some((time.unix_timestamp_nanos() / 1000) as f64 / 1e6)
}
