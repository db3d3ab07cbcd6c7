//! Limits and choices → validated [`Settings`] for the pipeline. Every limit has a default and a reason.
//!
//! [`Configuration`] is what the user said: defaults, then a file, then the command line, each value with its origin.
//! [`Configuration::settings`] checks it and makes what the stages need.
//!
//! **Invariants**: knows what the stages need, not how the user said it; a value that cannot work is refused with the remedy.

mod file;
mod policies;
mod section;
mod sections;
mod zones;

pub use file::{Configuration, FileError, SYSTEM_FILE};
pub use section::{Entry, Origin, Sourced};
pub use sections::{
    AlertsSection, CanarySection, DecryptSection, DnsSection, ExposuresSection, FragmentsSection,
    GeoipSection, HomeSection, HostsSection, InputSection, LimitsSection, MirrorSection,
    OrganisationSection, OutputSection, QuicSection, RulesSection, StateSection, TimeoutsSection,
    TlsSection, WatchSection,
};
pub use zones::{Site, Zone, check_zone_name};

use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::IpNet;

use crate::attribute::Ruleset;
use crate::flow::NetworkError;
use crate::pipeline::{SHARDS, Settings};

/// Every bound of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Flows held at a time.
    pub flows_max: usize,
    /// Distinct names held at a time.
    pub names_max: usize,
    /// Handshakes being put together at a time.
    pub handshakes_max: usize,
    /// Bytes they hold together.
    pub handshake_bytes_max: usize,
    /// Exposures listed.
    pub exposures_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // 128 bytes each and 16 of index: 300 MB when full, none of it touched before.
            flows_max: 1 << 21,
            // A name stays while a flow refers to it; a large network shows some 100,000 names a day.
            names_max: 1 << 20,
            // One flow in five splits its hello, and puts it together within a round trip.
            handshakes_max: 1 << 16,
            // Their average need is 2 kB; the rest is for attacks, which end here.
            handshake_bytes_max: 128 << 20,
            // Hosts times vendors: 1,000 hosts with 100 vendors each.
            exposures_max: 100_000,
        }
    }
}

/// A choice that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A number outside its bounds.
    #[error("{what} is {value}: give {least} to {most}")]
    Range {
        /// Where it was given, and its name.
        what: String,
        /// What was asked for.
        value: u64,
        /// The least that can be.
        least: u64,
        /// The most that can be.
        most: u64,
    },
    /// More workers than there are shards.
    #[error(
        "{workers} workers: there can be 1 to {SHARDS}, one for each of the {SHARDS} parts that flows are divided into"
    )]
    Workers {
        /// What was asked for.
        workers: u64,
    },
    /// A home network that is none.
    #[error("{origin}: {error}")]
    HomeNetwork {
        /// Where it was given.
        origin: Origin,
        /// What is wrong with it.
        error: NetworkError,
    },
    /// An answer would be forgotten before it may be.
    #[error(
        "{origin}: dns.memory_seconds_max is {max}, less than memory_seconds_min, which is {min}; raise it or lower the other"
    )]
    MemoryOrder {
        /// Where the most was given.
        origin: Origin,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A name that cannot be a label.
    #[error(
        "{origin}: {name:?} cannot name a {what}: take letters, digits, '-', '_' and '.', at most 64, a letter or digit first"
    )]
    Name {
        /// Where it was given.
        origin: Origin,
        /// A zone or a site.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A zone that is called as what is in none.
    #[error("{origin}: \"unzoned\" is what lies in no zone; call the zone something else")]
    ZoneReserved {
        /// Where it was given.
        origin: Origin,
    },
    /// Nothing in a zone, or too much.
    #[error("{origin}: zone {zone} has {networks} networks: give 1 to {most}")]
    ZoneSize {
        /// Where it was given.
        origin: Origin,
        /// The zone.
        zone: String,
        /// How many it has.
        networks: usize,
        /// How many it may have.
        most: usize,
    },
    /// A text in a zone that is no network.
    #[error(
        "{origin}: {text:?} in zone {zone} is not a network: write it as 192.168.0.0/16, 2001:db8::/32 or a single address"
    )]
    ZoneNetwork {
        /// Where it was given.
        origin: Origin,
        /// The zone.
        zone: String,
        /// What stands there.
        text: String,
    },
    /// One network in two zones, or twice in one.
    #[error(
        "{origin}: {network} of zone {zone} is in zone {other} already; a zone may lie inside another (the longest prefix counts), but a network belongs to one"
    )]
    ZoneOverlap {
        /// Where it was given.
        origin: Origin,
        /// The zone.
        zone: String,
        /// The zone that has it.
        other: String,
        /// The network.
        network: IpNet,
    },
    /// A zone of addresses that are not the user's.
    #[error(
        "{origin}: {network} of zone {zone} is in no home network; add it to home.networks (--home-net), or correct it"
    )]
    ZoneOutside {
        /// Where it was given.
        origin: Origin,
        /// The zone.
        zone: String,
        /// The network.
        network: IpNet,
    },
    /// More zones or sites than labels can bear.
    #[error("{count} {what}: at most {most} can be configured")]
    TooMany {
        /// Zones or sites.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A word that is none of a few.
    #[error("{origin}: {key} is {value:?}: give one of {known}")]
    Choice {
        /// Where it was given.
        origin: Origin,
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What there is.
        known: &'static str,
    },
    /// A vendor is expected in a zone that there is not.
    #[error(
        "{origin}: {zone:?} is none of the zones: {known}; add it to [zones], or write \"all\" for every home network"
    )]
    ExpectedZone {
        /// Where it was given.
        origin: Origin,
        /// What stands there.
        zone: String,
        /// The zones there are.
        known: String,
    },
    /// A vendor is expected that no rule knows.
    #[error(
        "{origin}: {vendor:?} is no vendor of the rules; avscope rules list shows their identifiers"
    )]
    ExpectedVendor {
        /// Where it was given.
        origin: Origin,
        /// What stands there.
        vendor: String,
    },
    /// A site in two ways.
    #[error(
        "{origin}: input.site and input.site_from_path contradict each other; give one of them"
    )]
    TwoSites {
        /// Where the site was given.
        origin: Origin,
    },
    /// A site that is not in the list.
    #[error(
        "{origin}: site {site:?} is none of those listed: {known}; add [sites.{site}] or correct it"
    )]
    UnknownSite {
        /// Where it was given.
        origin: Origin,
        /// The site.
        site: String,
        /// Those listed.
        known: String,
    },
}

/// Whether a number lies within its bounds.
fn check_range(
    key: &'static str,
    number: &Sourced<u64>,
    range: &RangeInclusive<u64>,
) -> Result<(), ConfigError> {
    if range.contains(&number.value) {
        return Ok(());
    }
    Err(ConfigError::Range {
        what: match &number.origin {
            Origin::Flag(flag) => (*flag).to_owned(),
            origin => format!("{origin}: {key}"),
        },
        value: number.value,
        least: *range.start(),
        most: *range.end(),
    })
}

/// Key of the flow hash for captures: fixed, so that a capture gives the same output always.
const OFFLINE_HASH_SEED: u64 = 0x6176_7363_6f70_6531;

/// How many workers help: below three cores the reader and the ledger need what a second worker would take.
pub fn default_workers() -> usize {
    const HELPFUL_MAX: usize = 8;
    match std::thread::available_parallelism().map_or(1, usize::from) {
        0..=2 => 1,
        cores => (cores - 1).min(HELPFUL_MAX),
    }
}

/// Settings for reading captures.
pub fn offline(
    workers: Option<usize>,
    batch_frames: usize,
    limits: &Limits,
    home_networks: &[String],
    rules: Arc<Ruleset>,
) -> Result<Settings, ConfigError> {
    let mut configuration = Configuration::default();
    configuration.flags(&Flags {
        workers,
        batch_frames: Some(batch_frames),
        flows_max: Some(limits.flows_max),
        names_max: Some(limits.names_max),
        handshakes_max: Some(limits.handshakes_max),
        handshake_bytes_max: Some(limits.handshake_bytes_max),
        exposures_max: Some(limits.exposures_max),
        home_networks: home_networks.to_vec(),
        ..Flags::default()
    });
    configuration.settings(rules)
}

/// What the command line said, where it said anything.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--workers`
    pub workers: Option<usize>,
    /// `--batch-frames`
    pub batch_frames: Option<usize>,
    /// `--flows-max`
    pub flows_max: Option<usize>,
    /// `--names-max`
    pub names_max: Option<usize>,
    /// `--handshakes-max`
    pub handshakes_max: Option<usize>,
    /// `--handshake-bytes-max`
    pub handshake_bytes_max: Option<usize>,
    /// `--exposures-max`
    pub exposures_max: Option<usize>,
    /// `--home-net`, empty where not given.
    pub home_networks: Vec<String>,
    /// `--site`
    pub site: Option<String>,
    /// `--site-from-path`
    pub site_from_path: bool,
    /// `--isolate`
    pub isolate: bool,
    /// `--keylog`, empty where not given.
    pub keylogs: Vec<String>,
    /// `--rules`
    pub rules: Option<String>,
    /// `--geoip`
    pub geoip: Option<String>,
    /// `--events`
    pub events: Option<String>,
    /// `--metrics`
    pub metrics: Option<String>,
    /// `--alerts`
    pub alerts: Option<String>,
    /// `--canaries`
    pub canaries: Option<String>,
    /// `--state`
    pub state: Option<String>,
    /// `--events-of`
    pub events_of: Option<&'static str>,
    /// `--redact` or `--no-redact`
    pub redact: Option<bool>,
}

impl Configuration {
    /// Takes what the command line says; it wins over everything before.
    pub fn flags(&mut self, flags: &Flags) {
        let number = |given: Option<usize>| given.map(|number| number as u64);
        let (input, limits) = (&mut self.input, &mut self.limits);
        input.workers.flag("--workers", number(flags.workers));
        input
            .batch_frames
            .flag("--batch-frames", number(flags.batch_frames));
        limits
            .flows_max
            .flag("--flows-max", number(flags.flows_max));
        limits
            .names_max
            .flag("--names-max", number(flags.names_max));
        limits
            .handshakes_max
            .flag("--handshakes-max", number(flags.handshakes_max));
        limits
            .handshake_bytes_max
            .flag("--handshake-bytes-max", number(flags.handshake_bytes_max));
        limits
            .exposures_max
            .flag("--exposures-max", number(flags.exposures_max));
        // Of the two ways to name a site the one that the command line says wins over the other in a file.
        let given = |given: bool| given.then_some(true);
        if flags.site.is_some() && !flags.site_from_path {
            input.site_from_path.flag("--site", Some(false));
        }
        if flags.site_from_path && flags.site.is_none() {
            input.site.flag("--site-from-path", Some(String::new()));
        }
        input.site.flag("--site", flags.site.clone());
        input
            .site_from_path
            .flag("--site-from-path", given(flags.site_from_path));
        input.isolate.flag("--isolate", given(flags.isolate));
        let networks = (!flags.home_networks.is_empty()).then(|| flags.home_networks.clone());
        self.home.networks.flag("--home-net", networks);
        let keylogs = (!flags.keylogs.is_empty()).then(|| flags.keylogs.clone());
        self.decrypt.keylog.flag("--keylog", keylogs);
        self.rules.dir.flag("--rules", flags.rules.clone());
        self.geoip.file.flag("--geoip", flags.geoip.clone());
        self.output.events.flag("--events", flags.events.clone());
        self.output.metrics.flag("--metrics", flags.metrics.clone());
        self.alerts.file.flag("--alerts", flags.alerts.clone());
        self.canary.file.flag("--canaries", flags.canaries.clone());
        self.state.file.flag("--state", flags.state.clone());
        self.output
            .events_of
            .flag("--events-of", flags.events_of.map(str::to_owned));
        let redact = if flags.redact == Some(false) {
            "--no-redact"
        } else {
            "--redact"
        };
        self.output.redact.flag(redact, flags.redact);
    }
}
