//! The facts that all formats show, with every number resolved to its word.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use serde::Serialize;

use super::hosts::{Describer, HostView, Who};
use super::hosts_seen::{Apart, HostsSeen};
use super::{CoverageByZone, Findings, News, Reading};
use crate::aggregate::{
    ByteLedger, Conservation, Contacts, Exposure, ExposureKey, Exposures, Interval, Ledger,
    LedgerCounters, Traffic, VerdictReason,
};
use crate::alert::{AlertEngine, StateKey};
use crate::attribute::{EngineRelation, Ruleset};
use crate::capture::{ClockStats, FileReport};
use crate::flow::ZoneTable;
use crate::geo::Dataset;
use crate::model::{
    AttemptOutcome, Confidence, Contact, CountryCode, EvidenceKind, Purpose, Verdict, printable,
    redacted, rfc3339,
};
use crate::pipeline::{FrameCounters, KeyCounters, ShardCounters};

/// Everything a report needs.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Who talks to whom.
    pub exposures: Vec<ExposureView>,
    /// The account of all bytes.
    pub bytes: ByteLedger,
    /// Flows and names.
    pub counters: LedgerCounters,
    /// Frames.
    pub frames: FrameCounters,
    /// What the shards refused.
    pub shards: ShardCounters,
    /// What became of secrets that were given, and of those in captures; set by whoever read.
    pub keys: KeyCounters,
    /// Whether it all adds up.
    pub conservation: Conservation,
    /// What was odd about time.
    pub clock: ClockStats,
    /// What became of each input.
    pub inputs: Vec<FileReport>,
    /// Digest of the rules.
    pub ruleset: String,
    /// Where countries come from.
    pub country_dataset: Dataset,
    /// Where operators come from.
    pub operator_dataset: Dataset,
    /// What counts as home.
    pub home_networks: Vec<String>,
    /// Exposures that found no room.
    pub exposures_refused: u64,
    /// Answers of name servers that gave way to newer ones before their time was over.
    pub answers_forgotten: u64,
    /// Home hosts that were seen to use encrypted DNS.
    pub encrypted_dns_hosts: u64,
    /// Flows and questions of such hosts that found no room to be counted.
    pub encrypted_dns_refused: u64,
    /// Home hosts that have an exposure or a role.
    pub hosts: Vec<HostView>,
    /// Home hosts that were seen.
    pub hosts_seen: HostsSeen,
    /// What was watched, by zone and hour.
    pub coverage_by_zone: CoverageByZone,
    /// What it indicates under policies; set by whoever knows them.
    pub findings: Findings,
    /// What reading came to; set by whoever read.
    pub reading: Reading,
    /// What is new; set by whoever listened for it.
    pub news: News,
}

/// One exposure in words.
#[derive(Clone, Debug, Serialize)]
pub struct ExposureView {
    /// Names the exposure: from site, host, vendor, product and engine.
    pub id: String,
    /// Where the host is, where inputs were given a site.
    pub site: Option<String>,
    /// The user's zone that the host is in.
    pub zone: Option<String>,
    /// The home side.
    pub host: IpAddr,
    /// Who that is.
    #[serde(flatten)]
    pub who: Who,
    /// Identifier of the vendor.
    pub vendor: String,
    /// Its legal name.
    pub vendor_name: String,
    /// Country of the vendor's legal seat, from the rule.
    pub vendor_seat: CountryCode,
    /// Which product, where the rule says.
    pub product: Option<String>,
    /// Whose engine works inside it, where the rule says.
    pub engine: Option<EngineView>,
    /// What it indicates.
    pub verdict: Verdict,
    /// Why.
    pub verdict_reason: VerdictReason,
    /// Occasions with evidence that counts for the verdict.
    pub solid_occasions: u32,
    /// Whether the vendor's side was seen to answer.
    pub contact: Contact,
    /// What became of flows and questions, as far as any became so.
    pub outcomes: BTreeMap<AttemptOutcome, u64>,
    /// What was contacted or asked for, and how often.
    pub purposes: Vec<PurposeView>,
    /// Only names were asked for: no contact with the vendor's servers was seen.
    pub only_asked_for: bool,
    /// Only web sites were visited: no evidence of an installed product.
    pub web_only: bool,
    /// Countries of the server addresses, from the table; `None` is unknown.
    pub server_countries: Vec<Option<CountryCode>>,
    /// Operators of the server addresses, and the country each is registered in.
    pub operators: Vec<(String, Option<CountryCode>)>,
    /// Flows, bytes and packets.
    pub flows: u64,
    /// Bytes the host sent, at the IP layer.
    pub bytes_out: u64,
    /// Bytes the host received.
    pub bytes_in: u64,
    /// Time of the first sighting.
    pub first_seen: String,
    /// Time of the first sighting ever, by the state; `None` where it was not known before.
    pub known_since: Option<String>,
    /// Time of the latest packet.
    pub last_seen: String,
    /// The best confidence of any sighting.
    pub confidence: Confidence,
    /// Encrypted ClientHello was offered with a name: it may be a cover.
    pub ech_offered: bool,
    /// The first sighting of each name.
    pub evidence: Vec<SightingView>,
    /// Sightings of names beyond those listed.
    pub unlisted_sightings: u64,
}

/// What an endpoint serves, and how often it was contacted or asked for.
#[derive(Clone, Debug, Serialize)]
pub struct PurposeView {
    /// What it serves.
    pub purpose: Purpose,
    /// How often.
    #[serde(flatten)]
    pub contacts: Contacts,
    /// Bytes the host sent for it, at the IP layer.
    pub bytes_out: u64,
    /// Bytes the host received.
    pub bytes_in: u64,
    /// Time of the first sighting.
    pub first_seen: String,
    /// Time of the latest packet.
    pub last_seen: String,
    /// What lies between its occasions; `None` if there was one only.
    pub interval: Option<Interval>,
}

/// The vendor of an engine inside somebody else's product.
#[derive(Clone, Debug, Serialize)]
pub struct EngineView {
    /// Identifier of the engine's vendor.
    pub vendor: String,
    /// Its legal name.
    pub vendor_name: String,
    /// Country of its legal seat.
    pub vendor_seat: CountryCode,
    /// How the engine is inside.
    pub relation: EngineRelation,
}

/// One sighting, enough to find it again.
#[derive(Clone, Debug, Serialize)]
pub struct SightingView {
    /// What kind of fact.
    pub kind: EvidenceKind,
    /// The name.
    pub value: String,
    /// The rule that knew it.
    pub rule_id: String,
    /// Its version.
    pub rule_version: u32,
    /// The pattern of it that matched.
    pub pattern: String,
    /// The rule's confidence, weighed by the kind of evidence.
    pub confidence: Confidence,
    /// Position of the frame in the whole input.
    pub seq: u64,
    /// XXH3-64 of the frame's bytes.
    pub frame_xxh3: String,
    /// Timestamp of the frame.
    pub timestamp: String,
    /// The flow.
    pub flow_id: u64,
    /// The server contacted.
    pub server_ip: IpAddr,
}

impl ExposureView {
    /// One exposure in words.
    pub fn of(
        key: &ExposureKey,
        exposure: &Exposure,
        exposures: &Exposures,
        rules: &Ruleset,
        zones: &ZoneTable,
        sites: &[String],
    ) -> Self {
        let vendor = rules.vendor(key.vendor);
        let engine = key.engine.map(|engine| {
            let relation = exposure
                .samples
                .iter()
                .find_map(|sample| rules.rule(sample.rule.rule).engine)
                .map_or(EngineRelation::Engine, |engine| engine.relation);
            let vendor = rules.vendor(engine);
            EngineView {
                vendor: vendor.id.clone(),
                vendor_name: vendor.legal_name.clone(),
                vendor_seat: vendor.jurisdiction,
                relation,
            }
        });
        let (verdict, verdict_reason) = exposures.verdict(key, exposure);
        let Traffic {
            flows,
            bytes_out,
            bytes_in,
            ..
        } = exposure.traffic;
        Self {
            id: exposure_id(key, rules, sites),
            site: site_of(key, sites),
            zone: zones.name_of(&key.host).map(str::to_owned),
            host: Ipv6Addr::from(key.host).to_canonical(),
            who: Who::default(),
            vendor: vendor.id.clone(),
            vendor_name: vendor.legal_name.clone(),
            vendor_seat: vendor.jurisdiction,
            product: key.product.clone(),
            engine,
            verdict,
            verdict_reason,
            solid_occasions: exposure.solid_occasions(),
            contact: exposure.contact(),
            outcomes: AttemptOutcome::ALL
                .iter()
                .map(|outcome| (*outcome, exposure.outcomes[outcome.index()]))
                .filter(|(_, count)| *count > 0)
                .collect(),
            purposes: exposure
                .purposes
                .iter()
                .map(|(purpose, record)| PurposeView {
                    purpose: *purpose,
                    contacts: record.contacts,
                    bytes_out: record.traffic.bytes_out,
                    bytes_in: record.traffic.bytes_in,
                    first_seen: rfc3339(record.first_seen),
                    last_seen: rfc3339(record.last_seen),
                    interval: record.rhythm.interval(),
                })
                .collect(),
            only_asked_for: exposure.is_only_asked_for(),
            web_only: exposure
                .purposes
                .keys()
                .all(|purpose| *purpose == Purpose::Web),
            server_countries: exposure.server_countries.iter().copied().collect(),
            operators: exposure.operators.iter().cloned().collect(),
            flows,
            bytes_out,
            bytes_in,
            first_seen: rfc3339(exposure.first_seen),
            known_since: None,
            last_seen: rfc3339(exposure.last_seen),
            confidence: exposure.confidence,
            ech_offered: exposure.ech_offered,
            evidence: exposure
                .samples
                .iter()
                .map(|sample| {
                    let rule = rules.rule(sample.rule.rule);
                    SightingView {
                        kind: sample.kind,
                        value: printable(&sample.name).into_owned(),
                        rule_id: rule.id.clone(),
                        rule_version: rule.version,
                        pattern: rules.pattern(sample.rule).to_owned(),
                        confidence: sample.confidence,
                        seq: sample.frame.seq,
                        frame_xxh3: format!("{:016x}", sample.frame.hash),
                        timestamp: rfc3339(sample.frame.time),
                        flow_id: sample.flow.0,
                        server_ip: Ipv6Addr::from(sample.server).to_canonical(),
                    }
                })
                .collect(),
            unlisted_sightings: exposure.unlisted_sightings,
        }
    }

    /// Site, address, and which of the hosts that had it.
    pub fn whose(&self) -> (Option<&str>, IpAddr, u16) {
        (self.site.as_deref(), self.host, self.who.tenancy)
    }

    /// The kinds of evidence it rests on.
    pub fn evidence_kinds(&self) -> BTreeSet<EvidenceKind> {
        self.evidence.iter().map(|sighting| sighting.kind).collect()
    }
}

/// Names an exposure by what makes it one: 16 hexadecimal digits, the same for the same input and rules.
pub fn exposure_id(key: &ExposureKey, rules: &Ruleset, sites: &[String]) -> String {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    let engine = key.engine.map(|engine| rules.vendor(engine).id.as_str());
    // The first host of an address is the address, as it is where nothing is known of others.
    let tenancy = match key.tenancy {
        0 => String::new(),
        number => format!("#{}", number.saturating_add(1)),
    };
    for part in [
        site_of(key, sites).as_deref().unwrap_or_default(),
        &format!("{}{tenancy}", Ipv6Addr::from(key.host).to_canonical()),
        &rules.vendor(key.vendor).id,
        key.product.as_deref().unwrap_or_default(),
        engine.unwrap_or_default(),
    ] {
        hasher.update(part.as_bytes());
        // A byte that no part has keeps two lists from running together.
        hasher.update(&[0xff]);
    }
    format!("{:016x}", hasher.digest())
}

fn site_of(key: &ExposureKey, sites: &[String]) -> Option<String> {
    sites
        .get(usize::from(key.scope))
        .filter(|site| !site.is_empty())
        .cloned()
}

impl Summary {
    /// Exposures and hosts, those that may speak for others apart.
    pub fn apart(&self) -> Apart {
        let of = |relay: bool| {
            let those = self
                .exposures
                .iter()
                .filter(move |exposure| exposure.who.relay.is_some() == relay);
            let hosts: BTreeSet<_> = those.clone().map(ExposureView::whose).collect();
            (those.count() as u64, hosts.len() as u64)
        };
        let ((exposures, hosts), (relay_exposures, relays)) = (of(false), of(true));
        Apart {
            exposures,
            hosts,
            relay_exposures,
            relays,
        }
    }

    /// Bytes around packets and fragments in tunnels that were copies of others.
    pub fn duplicate_overhead(&self) -> u64 {
        self.shards
            .duplicates
            .overhead
            .saturating_add(self.frames.copied_overhead_bytes)
    }

    /// Says of each exposure since when it was known before.
    pub fn remember(&mut self, alerts: &AlertEngine) {
        for exposure in &mut self.exposures {
            let key = StateKey {
                site: exposure.site.clone().unwrap_or_default(),
                host: exposure.host,
                vendor: exposure.vendor.clone(),
                product: exposure.product.clone().unwrap_or_default(),
                engine: exposure
                    .engine
                    .as_ref()
                    .map(|engine| engine.vendor.clone())
                    .unwrap_or_default(),
            };
            let known = alerts.known_before(&key);
            exposure.known_since = known.map(|known| rfc3339(known.first_seen));
        }
    }

    /// Takes identifiers out of User-Agents and URIs, as [`redacted`] does.
    pub fn redact(&mut self) {
        for host in &mut self.hosts {
            host.redact();
        }
        for exposure in &mut self.exposures {
            exposure.who.redact();
            for sighting in &mut exposure.evidence {
                let value = std::mem::take(&mut sighting.value);
                sighting.value = redacted(sighting.kind, value.into()).into_owned();
            }
        }
    }

    /// Resolves everything; `frames`, `shards` and `inputs` come from the run, the rest from the ledger.
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of a finished run, once"
    )]
    pub fn new(
        ledger: &Ledger,
        frames: FrameCounters,
        shards: ShardCounters,
        conservation: Conservation,
        clock: ClockStats,
        inputs: Vec<FileReport>,
        operator_dataset: Dataset,
        home_networks: Vec<String>,
        sites: &[String],
    ) -> Self {
        let rules = ledger.rules();
        let describer = Describer::new(ledger, sites);
        let mut exposures: Vec<_> = ledger
            .exposures()
            .iter()
            .map(|(key, exposure)| {
                let (exposures, zones) = (ledger.exposures(), ledger.zones());
                ExposureView {
                    who: describer.who(key, exposure),
                    ..ExposureView::of(key, exposure, exposures, rules, zones, sites)
                }
            })
            .collect();
        let exposed: BTreeSet<_> = exposures.iter().map(ExposureView::whose).collect();
        let mut hosts = describer.all();
        hosts.retain(|host| {
            let whose = (host.site.as_deref(), host.host, host.tenancy);
            host.is_relay() || exposed.contains(&whose)
        });
        exposures.sort_by(|a, b| {
            let of = |view: &ExposureView| (view.host, view.who.tenancy);
            (&a.site, of(a), &a.vendor, &a.product).cmp(&(&b.site, of(b), &b.vendor, &b.product))
        });
        let mut outside = frames.outside_flows.clone();
        outside.merge(&shards.tunnel_overhead);
        let mut bytes = ledger.bytes().clone();
        bytes.merge(&outside);
        Self {
            exposures,
            bytes,
            counters: ledger.counters().clone(),
            frames,
            shards,
            keys: KeyCounters::default(),
            conservation,
            clock,
            inputs,
            ruleset: rules.digest().to_owned(),
            country_dataset: ledger.countries().dataset().clone(),
            operator_dataset,
            home_networks,
            exposures_refused: ledger.exposures().refused,
            answers_forgotten: ledger.memory().forgotten(),
            encrypted_dns_hosts: ledger.encrypted_dns().count(),
            encrypted_dns_refused: ledger.encrypted_dns().refused(),
            hosts,
            hosts_seen: HostsSeen::of(ledger),
            coverage_by_zone: CoverageByZone::of(ledger, &outside, sites),
            findings: Findings::default(),
            reading: Reading::default(),
            news: News::default(),
        }
    }
}
