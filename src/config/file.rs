//! A configuration file → [`Configuration`]: defaults, what the file says, what the command line says, in this order.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::policies::Written;
use super::section::{Entry, Place, Sourced, line_of};
use super::sections::{
    AlertsSection, CanarySection, DecryptSection, DnsSection, ExposuresSection, FragmentsSection,
    GeoipSection, HomeSection, HostsSection, InputSection, LimitsSection, MirrorSection,
    OrganisationSection, OutputSection, QuicSection, RawAlerts, RawCanary, RawDecrypt, RawDns,
    RawExposures, RawFragments, RawGeoip, RawHome, RawHosts, RawInput, RawLimits, RawMirror,
    RawOrganisation, RawOutput, RawQuic, RawRules, RawState, RawTimeouts, RawTls, RawWatch,
    RulesSection, StateSection, TimeoutsSection, TlsSection, WatchSection,
};
use super::zones::{NAMED_MAX, Site, Zone, name_is_one, zones};
use super::{ConfigError, OFFLINE_HASH_SEED, default_workers};
use crate::aggregate::{LedgerSettings, MemoryLimits, VerdictLimits, WatchLimits};
use crate::alert::{AlertSettings, Expected, UploadLimits};
use crate::attribute::{RulesError, Ruleset};
use crate::flow::{
    DuplicateLimits, FragmentLimits, HomeNetworks, StreamLimits, Timeouts, ZoneId, ZoneTable,
};
use crate::pipeline::{
    DecryptSettings, DnsLimits, KeyStore, MirrorLimits, QuicSettings, SHARDS, Settings, TlsLimits,
};
use crate::policy::{ExemptionTable, PolicyTable};

/// Where a configuration lies for all users of a machine.
pub const SYSTEM_FILE: &str = "/etc/avscope/avscope.toml";

/// A configuration is some kilobytes; more is another kind of file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Everything that can be configured, with the origin of each value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// What is inside.
    pub home: HomeSection,
    /// Captures and where they were made.
    pub input: InputSection,
    /// Bounds of memory.
    pub limits: LimitsSection,
    /// When flows end.
    pub timeouts: TimeoutsSection,
    /// What is kept about name services.
    pub dns: DnsSection,
    /// What is done about the faults of a mirror port.
    pub mirror: MirrorSection,
    /// What sightings come to.
    pub exposures: ExposuresSection,
    /// What somebody is told to look at.
    pub alerts: AlertsSection,
    /// Names that hosts speak on purpose.
    pub canary: CanarySection,
    /// What is known from before.
    pub state: StateSection,
    /// Datagrams that come in fragments.
    pub fragments: FragmentsSection,
    /// What is kept about QUIC.
    pub quic: QuicSection,
    /// What is kept about TLS beside the client's stream.
    pub tls: TlsSection,
    /// How many hosts are known, and what it takes to say something of them.
    pub hosts: HostsSection,
    /// What was watched, and when that means something.
    pub watch: WatchSection,
    /// Secrets that decrypt TLS.
    pub decrypt: DecryptSection,
    /// What names mean.
    pub rules: RulesSection,
    /// Countries of addresses.
    pub geoip: GeoipSection,
    /// What is written where.
    pub output: OutputSection,
    /// What the organisation is, and which policies it takes over.
    pub organisation: OrganisationSection,
    pub(super) written_policies: Written,
    written_zones: Vec<(String, Sourced<Vec<String>>)>,
    written_expected: Vec<(String, Sourced<Vec<String>>)>,
    sites: Vec<Site>,
}

/// The file as it is written: every section and key may be missing, none may be unknown.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Content {
    home: RawHome,
    input: RawInput,
    limits: RawLimits,
    timeouts: RawTimeouts,
    dns: RawDns,
    mirror: RawMirror,
    exposures: RawExposures,
    alerts: RawAlerts,
    canary: RawCanary,
    state: RawState,
    expected: BTreeMap<String, Spanned<Vec<String>>>,
    fragments: RawFragments,
    quic: RawQuic,
    tls: RawTls,
    hosts: RawHosts,
    watch: RawWatch,
    decrypt: RawDecrypt,
    rules: RawRules,
    geoip: RawGeoip,
    output: RawOutput,
    organisation: RawOrganisation,
    policy: Vec<PolicyTable>,
    exemption: Vec<ExemptionTable>,
    zones: BTreeMap<String, Spanned<Vec<String>>>,
    sites: BTreeMap<String, Spanned<RawSite>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSite {
    #[serde(default)]
    description: String,
}

/// Why a file is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system would not give it.
    #[error("{path}: {error}; name a configuration file that can be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// More than any configuration.
    #[error("{path}: more than {FILE_BYTES_MAX} bytes: this is no configuration")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("{path}:{line}: {message}; every key is described in docs/avscope.example.toml")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, with the known keys where one is unknown.
        message: String,
    },
    /// A policy or an exemption that says something it must not.
    #[error(transparent)]
    Policy(#[from] RulesError),
}

impl Configuration {
    /// The defaults and what the file says. Values are checked by [`Self::check`], once the command line has been heard.
    pub fn from_file(path: &Path) -> Result<Self, FileError> {
        let unreadable = |error| FileError::Unreadable {
            path: path.to_owned(),
            error,
        };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(FILE_BYTES_MAX.saturating_add(1))
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(FileError::TooLarge {
                path: path.to_owned(),
            });
        }
        Self::parse(&text, path)
    }

    /// The defaults and what the text of a file says; `path` is for origins and errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, FileError> {
        let content: Content = toml::from_str(text).map_err(|error| FileError::Syntax {
            path: path.to_owned(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().trim_end().replace('\n', ", "),
        })?;
        let place = Place {
            path: Arc::from(path),
            text,
        };
        let mut configuration = Self::default();
        configuration.home.overlay(content.home, &place);
        configuration.input.overlay(content.input, &place);
        configuration.limits.overlay(content.limits, &place);
        configuration.timeouts.overlay(content.timeouts, &place);
        configuration.dns.overlay(content.dns, &place);
        configuration.mirror.overlay(content.mirror, &place);
        configuration.exposures.overlay(content.exposures, &place);
        configuration.alerts.overlay(content.alerts, &place);
        configuration.canary.overlay(content.canary, &place);
        configuration.state.overlay(content.state, &place);
        configuration.fragments.overlay(content.fragments, &place);
        configuration.quic.overlay(content.quic, &place);
        configuration.tls.overlay(content.tls, &place);
        configuration.hosts.overlay(content.hosts, &place);
        configuration.watch.overlay(content.watch, &place);
        configuration.decrypt.overlay(content.decrypt, &place);
        configuration.rules.overlay(content.rules, &place);
        configuration.geoip.overlay(content.geoip, &place);
        configuration.output.overlay(content.output, &place);
        configuration
            .organisation
            .overlay(content.organisation, &place);
        configuration.written_policies =
            Written::new(content.policy, content.exemption, path, text)?;
        let sourced = |span: std::ops::Range<usize>| place.at(span.start);
        for (name, networks) in content.zones {
            let origin = sourced(networks.span());
            let value = networks.into_inner();
            let networks = Sourced { value, origin };
            configuration.written_zones.push((name, networks));
        }
        for (zone, vendors) in content.expected {
            let origin = sourced(vendors.span());
            let value = vendors.into_inner();
            let vendors = Sourced { value, origin };
            configuration.written_expected.push((zone, vendors));
        }
        for (name, site) in content.sites {
            let origin = sourced(site.span());
            let value = site.into_inner().description;
            let description = Sourced { value, origin };
            configuration.sites.push(Site { name, description });
        }
        Ok(configuration)
    }

    /// The user's zones, checked.
    pub fn zones(&self) -> Result<Vec<Zone>, ConfigError> {
        zones(self.written_zones.clone(), &self.home.networks.value)
    }

    /// The user's sites.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// Every value with its origin, section by section.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let mut entries = Vec::new();
        self.home.entries(&mut entries);
        self.input.entries(&mut entries);
        self.limits.entries(&mut entries);
        self.timeouts.entries(&mut entries);
        self.dns.entries(&mut entries);
        self.mirror.entries(&mut entries);
        self.exposures.entries(&mut entries);
        self.alerts.entries(&mut entries);
        self.canary.entries(&mut entries);
        self.state.entries(&mut entries);
        self.fragments.entries(&mut entries);
        self.quic.entries(&mut entries);
        self.tls.entries(&mut entries);
        self.hosts.entries(&mut entries);
        self.watch.entries(&mut entries);
        self.decrypt.entries(&mut entries);
        self.rules.entries(&mut entries);
        self.geoip.entries(&mut entries);
        self.output.entries(&mut entries);
        self.organisation.entries(&mut entries);
        entries
    }

    /// As a file that gives the same configuration, each value followed by where it comes from.
    pub fn to_toml(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        let mut section = "";
        let line =
            |text: &mut String, key: &str, value: &toml::Value, origin: &dyn std::fmt::Display| {
                // Writing to a text does not fail. A path may hold a line break, which would end the comment.
                let origin = origin.to_string().replace(char::is_control, "?");
                let _ = writeln!(text, "{key} = {value} # {origin}");
            };
        for entry in self.entries() {
            if entry.section != section {
                section = entry.section;
                let gap = if text.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}[{section}]");
            }
            line(&mut text, entry.key, &entry.value, entry.origin);
        }
        let quoted = |name: &str| toml::Value::from(name).to_string();
        for (section, lists) in [
            ("zones", &self.written_zones),
            ("expected", &self.written_expected),
        ] {
            if !lists.is_empty() {
                let _ = writeln!(text, "\n[{section}]");
            }
            for (name, list) in lists {
                let value = super::section::shown(&list.value);
                line(&mut text, &quoted(name), &value, &list.origin);
            }
        }
        for site in &self.sites {
            let _ = writeln!(text, "\n[sites.{}]", quoted(&site.name));
            let value = toml::Value::from(site.description.value.as_str());
            line(&mut text, "description", &value, &site.description.origin);
        }
        text.push_str(&self.written_policies.to_toml());
        text
    }

    /// Whether every value can work, alone and together.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.checked().map(|_| ())
    }

    /// Settings for the pipeline, from values that have been checked.
    pub fn settings(&self, rules: Arc<Ruleset>) -> Result<Settings, ConfigError> {
        let home = self.checked()?;
        let seconds = |value: &Sourced<u64>| Duration::from_secs(value.value);
        let (limits, timeouts, dns) = (&self.limits, &self.timeouts, &self.dns);
        Ok(Settings {
            workers: match self.input.workers.value {
                0 => default_workers(),
                workers => workers as usize,
            },
            batch_frames: self.input.batch_frames.value as usize,
            flows_max: limits.flows_max.value as usize,
            names_max: limits.names_max.value as usize,
            handshakes_max: limits.handshakes_max.value as usize,
            handshake_bytes_max: limits.handshake_bytes_max.value as usize,
            stream: StreamLimits::default(),
            timeouts: Timeouts {
                tcp_established: seconds(&timeouts.tcp_established_seconds),
                tcp_new: seconds(&timeouts.tcp_new_seconds),
                tcp_closed: seconds(&timeouts.tcp_closed_seconds),
                udp: seconds(&timeouts.udp_seconds),
                other: seconds(&timeouts.other_seconds),
                active: seconds(&timeouts.active_seconds),
            },
            quic: QuicSettings {
                hellos_max: self.quic.hellos_max.value as usize,
                hello_bytes_max: self.quic.hello_bytes_max.value as usize,
                initials_per_flow_max: self.quic.initials_per_flow_max.value as u16,
            },
            dns: DnsLimits {
                transaction_timeout: seconds(&dns.transaction_seconds),
                pending_max: dns.pending_max.value as usize,
                pending_per_flow_max: dns.pending_per_flow_max.value as usize,
            },
            mirror: MirrorLimits {
                duplicates: DuplicateLimits {
                    window: Duration::from_millis(self.mirror.duplicate_milliseconds.value),
                    packets_max: self.mirror.duplicate_packets_max.value as usize,
                },
                followed_max: self.mirror.followed_connections_max.value as usize,
            },
            fragments: FragmentLimits {
                datagrams_max: self.fragments.datagrams_max.value as usize,
                bytes_max: self.fragments.bytes_max.value as usize,
                pieces_max: self.fragments.pieces_max.value as usize,
                timeout: seconds(&self.fragments.timeout_seconds),
            },
            tls: TlsLimits {
                servers_max: self.tls.servers_max.value as usize,
                server_bytes_max: self.tls.server_bytes_max.value as usize,
                dtls_hellos_max: self.tls.dtls_hellos_max.value as usize,
                dtls_bytes_max: self.tls.dtls_bytes_max.value as usize,
            },
            decrypt: DecryptSettings {
                keys: Arc::new(KeyStore::new(self.decrypt.secrets_max.value as usize)),
                secrets_max: self.decrypt.secrets_max.value as usize,
                sessions_max: self.decrypt.sessions_max.value as usize,
            },
            hello_details: true,
            ledger: self.ledger()?,
            home: Arc::new(home),
            rules,
            hash_seed: OFFLINE_HASH_SEED,
        })
    }

    /// What somebody is told to look at; the vendors that are expected must be in the rules.
    pub fn alert_settings(&self, rules: &Ruleset) -> Result<AlertSettings, ConfigError> {
        const DAY: u64 = 86_400;
        let alerts = &self.alerts;
        let zones = self.zones()?;
        let mut by_zone = Vec::new();
        for (zone, vendors) in &self.written_expected {
            let number = zones.iter().position(|known| known.name == *zone);
            let zone = match (number, zone.as_str()) {
                (Some(number), _) => Some(ZoneId(number as u16)),
                (None, "all") => None,
                (None, _) => {
                    let known: Vec<_> = zones.iter().map(|zone| zone.name.as_str()).collect();
                    return Err(ConfigError::ExpectedZone {
                        origin: vendors.origin.clone(),
                        zone: zone.clone(),
                        known: known.join(", "),
                    });
                }
            };
            for vendor in &vendors.value {
                if rules.vendor_by_id(vendor).is_none() {
                    return Err(ConfigError::ExpectedVendor {
                        origin: vendors.origin.clone(),
                        vendor: vendor.clone(),
                    });
                }
            }
            by_zone.push((zone, vendors.value.clone()));
        }
        Ok(AlertSettings {
            learning: Duration::from_secs(alerts.learning_days.value * DAY),
            country_learning: Duration::from_secs(alerts.country_learning_days.value * DAY),
            uploads: UploadLimits {
                bytes_per_hour: alerts.upload_bytes_per_hour.value,
                factor: alerts.upload_factor.value,
                floor_bytes: alerts.upload_floor_bytes.value,
                past_hours_min: alerts.upload_past_hours_min.value as usize,
            },
            expected: Expected {
                by_zone,
                active_hours_min: alerts.expected_active_hours_min.value as u32,
            },
            canaries: Vec::new(),
            canary_fresh: Duration::from_secs(self.canary.fresh_days.value * DAY),
            canary_sightings_max: self.canary.sightings_max.value as usize,
            alerts_max: alerts.alerts_max.value as usize,
            suggestions_max: alerts.suggestions_max.value as usize,
            hosts_max: alerts.hosts_max.value as usize,
        })
    }

    fn ledger(&self) -> Result<LedgerSettings, ConfigError> {
        let zones = self.zones()?;
        let zones = zones
            .iter()
            .map(|zone| (zone.name.as_str(), &zone.networks[..]));
        let (dns, seconds) = (&self.dns, Duration::from_secs);
        Ok(LedgerSettings {
            exposures_max: self.limits.exposures_max.value as usize,
            memory: MemoryLimits {
                entries_max: dns.memory_entries_max.value as usize,
                min: seconds(dns.memory_seconds_min.value),
                max: seconds(dns.memory_seconds_max.value),
            },
            zones: Arc::new(ZoneTable::new(zones)),
            verdicts: VerdictLimits {
                occasion: seconds(self.exposures.occasion_seconds.value),
                occasions_min: self.exposures.occasions_min.value as u32,
            },
            hosts: self.hosts.limits(),
            watch: WatchLimits {
                hours_max: self.watch.hours_max.value as usize,
                hosts_max: self.watch.hosts_max.value as usize,
            },
        })
    }

    fn checked(&self) -> Result<HomeNetworks, ConfigError> {
        let workers = &self.input.workers;
        // In a file 0 stands for a choice; who writes it on the command line means none.
        let given = workers.origin == super::Origin::Flag("--workers");
        if workers.value > SHARDS as u64 || given && workers.value == 0 {
            return Err(ConfigError::Workers {
                workers: workers.value,
            });
        }
        self.home.check()?;
        self.input.check()?;
        self.limits.check()?;
        self.timeouts.check()?;
        self.dns.check()?;
        self.mirror.check()?;
        self.exposures.check()?;
        self.alerts.check()?;
        self.canary.check()?;
        self.state.check()?;
        self.fragments.check()?;
        self.quic.check()?;
        self.tls.check()?;
        self.hosts.check()?;
        self.watch.check()?;
        self.decrypt.check()?;
        self.rules.check()?;
        self.geoip.check()?;
        self.output.check()?;
        self.organisation.check()?;
        let events_of = &self.output.events_of;
        if !matches!(events_of.value.as_str(), "all" | "attributed") {
            return Err(ConfigError::Choice {
                origin: events_of.origin.clone(),
                key: "output.events_of",
                value: events_of.value.clone(),
                known: "\"all\", \"attributed\"",
            });
        }
        let (min, max) = (&self.dns.memory_seconds_min, &self.dns.memory_seconds_max);
        if min.value > max.value {
            return Err(ConfigError::MemoryOrder {
                origin: max.origin.clone(),
                min: min.value,
                max: max.value,
            });
        }
        let networks = &self.home.networks;
        let home =
            HomeNetworks::new(&networks.value).map_err(|error| ConfigError::HomeNetwork {
                origin: networks.origin.clone(),
                error,
            })?;
        self.zones()?;
        self.check_sites()?;
        Ok(home)
    }

    fn check_sites(&self) -> Result<(), ConfigError> {
        for (what, count) in [
            ("zones", self.written_zones.len()),
            ("sites", self.sites.len()),
        ] {
            if count > NAMED_MAX {
                return Err(ConfigError::TooMany {
                    what,
                    count,
                    most: NAMED_MAX,
                });
            }
        }
        for site in &self.sites {
            name_is_one("site", &site.name, &site.description.origin)?;
        }
        let site = &self.input.site;
        // In a file an empty site stands for none; on the command line it is a variable that a script left unset.
        let given = site.origin == super::Origin::Flag("--site");
        if site.value.is_empty() && !given {
            return Ok(());
        }
        name_is_one("site", &site.value, &site.origin)?;
        if self.input.site_from_path.value {
            return Err(ConfigError::TwoSites {
                origin: site.origin.clone(),
            });
        }
        // Where sites are listed, one that is not is a slip of the pen.
        if !self.sites.is_empty() && !self.sites.iter().any(|known| known.name == site.value) {
            let known: Vec<_> = self.sites.iter().map(|site| site.name.as_str()).collect();
            return Err(ConfigError::UnknownSite {
                origin: site.origin.clone(),
                site: site.value.clone(),
                known: known.join(", "),
            });
        }
        Ok(())
    }
}
