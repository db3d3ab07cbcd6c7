//! The sections of the configuration, with the default, the bounds and the reason of every value.
//!
//! `docs/avscope.example.toml` says the same for users; a test holds both to the same keys and values.

use std::time::Duration;

use super::Limits;
use super::section::section;
use crate::absence::Demands;
use crate::aggregate::{HostLimits, MemoryLimits, VerdictLimits, WatchLimits};
use crate::alert::{AlertSettings, UploadLimits};
use crate::flow::{FragmentLimits, HomeNetworks, Timeouts};
use crate::pipeline::{DecryptSettings, DnsLimits, MirrorLimits, QuicSettings, SHARDS, TlsLimits};
use crate::policy::Role;

/// A day: no flow or question is worth waiting for longer.
const DAY_SECONDS: u64 = 86_400;
/// What is remembered for more than a week says nothing about today's addresses.
const WEEK_SECONDS: u64 = 7 * DAY_SECONDS;

section! {
    /// What is inside.
    pub struct HomeSection, RawHome, "home" {
        /// Networks of the user's own; replaces the default.
        networks: Vec<String> = HomeNetworks::default().texts().to_vec();
    }
}

section! {
    /// Captures and where they were made.
    pub struct InputSection, RawInput, "input" {
        /// The site where all inputs were captured; empty for none.
        site: String = String::new();
        /// Whether each input's folder names its site.
        site_from_path: bool = false;
        /// Whether each input is a world of its own.
        isolate: bool = false;
        /// Frames read at a time. More than a batch that fits a cache brings nothing.
        batch_frames: u64 = 64, within 1..=1 << 16;
        /// Worker threads; 0 is as many as help.
        workers: u64 = 0, within 0..=SHARDS as u64;
    }
}

section! {
    /// Bounds of memory. [`Limits`] has their reasons.
    pub struct LimitsSection, RawLimits, "limits" {
        /// Flows held at a time. 36 GB at the most; address space for them is reserved at the start.
        flows_max: u64 = Limits::default().flows_max as u64, within 1..=1 << 28;
        /// Distinct names held at a time.
        names_max: u64 = Limits::default().names_max as u64, within 1..=1 << 28;
        /// Handshakes being put together at a time.
        handshakes_max: u64 = Limits::default().handshakes_max as u64, within 1..=1 << 24;
        /// Bytes they hold together.
        handshake_bytes_max: u64 = Limits::default().handshake_bytes_max as u64, within 1..=1 << 36;
        /// Exposures listed.
        exposures_max: u64 = Limits::default().exposures_max as u64, within 1..=1 << 24;
    }
}

section! {
    /// What sightings come to. [`VerdictLimits`] has the reasons.
    pub struct ExposuresSection, RawExposures, "exposures" {
        /// What happens within so many seconds is one occasion.
        occasion_seconds: u64 = VerdictLimits::default().occasion.as_secs(), within 1..=DAY_SECONDS;
        /// Evidence counts as repeated from so many occasions on.
        occasions_min: u64 = u64::from(VerdictLimits::default().occasions_min), within 1..=1000;
    }
}

section! {
    /// What somebody is told to look at. [`AlertSettings`] has the reasons.
    pub struct AlertsSection, RawAlerts, "alerts" {
        /// File for alerts as JSON Lines, `-` for standard output; empty for none.
        file: String = String::new();
        /// For so many days from the first packet ever heard of, first sights are learnt and not told.
        learning_days: u64 = 0, within 0..=3650;
        /// A vendor must have been known for so many days before another country of its servers is told.
        country_learning_days: u64 = AlertSettings::default().country_learning.as_secs() / DAY_SECONDS, within 0..=3650;
        /// Bytes to one vendor within an hour of packet time from which on it is told; 0: never.
        upload_bytes_per_hour: u64 = UploadLimits::default().bytes_per_hour, within 0..=1 << 50;
        /// How many times the median of a host's earlier hours is far more; 0: never.
        upload_factor: u64 = UploadLimits::default().factor, within 0..=1_000_000;
        /// Less than this within an hour is never far more.
        upload_floor_bytes: u64 = UploadLimits::default().floor_bytes, within 0..=1 << 50;
        /// Earlier hours with traffic that it takes to speak of a past.
        upload_past_hours_min: u64 = UploadLimits::default().past_hours_min as u64, within 1..=336;
        /// Hours in which a host must have spoken with the outside before it can be said not to speak to an expected vendor.
        expected_active_hours_min: u64 = u64::from(AlertSettings::default().expected.active_hours_min), within 1..=8760;
        /// Alerts listed at most.
        alerts_max: u64 = AlertSettings::default().alerts_max as u64, within 1..=1 << 24;
        /// Suggestions listed at most.
        suggestions_max: u64 = AlertSettings::default().suggestions_max as u64, within 1..=1 << 20;
        /// Hosts whose activity and uploads are followed.
        hosts_max: u64 = AlertSettings::default().hosts_max as u64, within 1..=1 << 24;
    }
}

section! {
    /// Names that hosts speak on purpose.
    pub struct CanarySection, RawCanary, "canary" {
        /// File of canaries that were issued; empty for none.
        file: String = String::new();
        /// A canary proves something for so many days after it was issued.
        fresh_days: u64 = AlertSettings::default().canary_fresh.as_secs() / DAY_SECONDS, within 1..=3650;
        /// Sightings listed at most.
        sightings_max: u64 = AlertSettings::default().canary_sightings_max as u64, within 1..=1 << 20;
    }
}

section! {
    /// What is known from before.
    pub struct StateSection, RawState, "state" {
        /// File of the snapshot; empty for none.
        file: String = String::new();
    }
}

section! {
    /// When flows end, in seconds of packet time. [`Timeouts`] has their reasons.
    pub struct TimeoutsSection, RawTimeouts, "timeouts" {
        /// TCP that both sides took part in.
        tcp_established_seconds: u64 = Timeouts::default().tcp_established.as_secs(), within 1..=DAY_SECONDS;
        /// TCP of which one side only was seen.
        tcp_new_seconds: u64 = Timeouts::default().tcp_new.as_secs(), within 1..=DAY_SECONDS;
        /// TCP after its end.
        tcp_closed_seconds: u64 = Timeouts::default().tcp_closed.as_secs(), within 1..=DAY_SECONDS;
        /// UDP.
        udp_seconds: u64 = Timeouts::default().udp.as_secs(), within 1..=DAY_SECONDS;
        /// Everything else.
        other_seconds: u64 = Timeouts::default().other.as_secs(), within 1..=DAY_SECONDS;
        /// A flow that goes on reports this often.
        active_seconds: u64 = Timeouts::default().active.as_secs(), within 1..=DAY_SECONDS;
    }
}

section! {
    /// What is kept about name services. [`DnsLimits`] has the reasons.
    pub struct DnsSection, RawDns, "dns" {
        /// How long an answer is waited for.
        transaction_seconds: u64 = DnsLimits::default().transaction_timeout.as_secs(), within 1..=DAY_SECONDS;
        /// Questions that wait for their answer.
        pending_max: u64 = DnsLimits::default().pending_max as u64, within 1..=1 << 24;
        /// Questions that wait in one flow; each is searched in turn.
        pending_per_flow_max: u64 = DnsLimits::default().pending_per_flow_max as u64, within 1..=1 << 12;
        /// An answer is remembered at least so long.
        memory_seconds_min: u64 = MemoryLimits::default().min.as_secs(), within 1..=WEEK_SECONDS;
        /// An answer is remembered at most so long.
        memory_seconds_max: u64 = MemoryLimits::default().max.as_secs(), within 1..=WEEK_SECONDS;
        /// Answers remembered.
        memory_entries_max: u64 = MemoryLimits::default().entries_max as u64, within 1..=1 << 26;
    }
}

section! {
    /// What is done about the faults of a mirror port. [`MirrorLimits`] has the reasons.
    pub struct MirrorSection, RawMirror, "mirror" {
        /// A packet that comes again within so many milliseconds is a copy; 0 takes none for a copy.
        duplicate_milliseconds: u64 = MirrorLimits::default().duplicates.window.as_millis() as u64, within 0..=1000;
        /// Packets remembered for it.
        duplicate_packets_max: u64 = MirrorLimits::default().duplicates.packets_max as u64, within 1..=1 << 24;
        /// Connections whose acknowledgments are followed at a time.
        followed_connections_max: u64 = MirrorLimits::default().followed_max as u64, within 1..=1 << 22;
    }
}

section! {
    /// Datagrams that come in fragments. [`FragmentLimits`] has the reasons.
    pub struct FragmentsSection, RawFragments, "fragments" {
        /// Datagrams put together at a time.
        datagrams_max: u64 = FragmentLimits::default().datagrams_max as u64, within 1..=1 << 24;
        /// Bytes of buffers for them; one of the longest must fit.
        bytes_max: u64 = FragmentLimits::default().bytes_max as u64, within 1 << 16..=1 << 36;
        /// Fragments of one datagram.
        pieces_max: u64 = FragmentLimits::default().pieces_max as u64, within 2..=1 << 13;
        /// For how long the rest is waited for.
        timeout_seconds: u64 = FragmentLimits::default().timeout.as_secs(), within 1..=DAY_SECONDS;
    }
}

section! {
    /// What is kept about QUIC. [`QuicSettings`] has the reasons.
    pub struct QuicSection, RawQuic, "quic" {
        /// Hellos that wait for the rest of them.
        hellos_max: u64 = QuicSettings::default().hellos_max as u64, within 1..=1 << 24;
        /// Bytes they hold together.
        hello_bytes_max: u64 = QuicSettings::default().hello_bytes_max as u64, within 1..=1 << 36;
        /// Initial packets that are opened in one flow.
        initials_per_flow_max: u64 = u64::from(QuicSettings::default().initials_per_flow_max), within 1..=1 << 12;
    }
}

section! {
    /// What is kept about TLS beside the client's stream. [`TlsLimits`] has the reasons.
    pub struct TlsSection, RawTls, "tls" {
        /// Servers' handshakes put together at a time.
        servers_max: u64 = TlsLimits::default().servers_max as u64, within 1..=1 << 24;
        /// Bytes they hold together.
        server_bytes_max: u64 = TlsLimits::default().server_bytes_max as u64, within 1..=1 << 36;
        /// Hellos of DTLS put together at a time.
        dtls_hellos_max: u64 = TlsLimits::default().dtls_hellos_max as u64, within 1..=1 << 24;
        /// Bytes they hold together.
        dtls_bytes_max: u64 = TlsLimits::default().dtls_bytes_max as u64, within 1..=1 << 36;
    }
}

section! {
    /// How many hosts are known, and what it takes to say something of them. [`HostLimits`] has the reasons.
    pub struct HostsSection, RawHosts, "hosts" {
        /// Home addresses that are known.
        addresses_max: u64 = HostLimits::default().addresses_max as u64, within 1..=1 << 24;
        /// Hosts that one address has in turn.
        tenancies_max: u64 = HostLimits::default().tenancies_max as u64, within 1..=1 << 12;
        /// Stations of segments that are followed.
        stations_max: u64 = HostLimits::default().stations_max as u64, within 1..=1 << 24;
        /// DHCP questions that wait for their answer.
        leases_pending_max: u64 = HostLimits::default().leases_pending_max as u64, within 1..=1 << 20;
        /// A station that speaks for more addresses of IPv4 is a router.
        station_addresses_max: u64 = HostLimits::default().station_addresses_max as u64, within 1..=256;
        /// And for more of IPv6.
        station_addresses_v6_max: u64 = HostLimits::default().station_addresses_v6_max as u64, within 1..=256;
        /// Flows in a row that another station must begin before an address has changed hands.
        station_flows_min: u64 = u64::from(HostLimits::default().station_flows_min), within 1..=1000;
        /// For so long the station before must have begun none for one to be enough.
        station_silence_seconds: u64 = HostLimits::default().station_silence.as_secs(), within 1..=DAY_SECONDS;
        /// Other home hosts whose questions a resolver answers.
        resolver_clients_min: u64 = HostLimits::default().resolver_clients_min as u64, within 1..=16;
        /// Requests of other home hosts that a proxy gets, where none shows that it took them.
        proxy_requests_min: u64 = HostLimits::default().proxy_requests_min, within 1..=1000;
        /// Other home hosts that speak to a vendor's relay.
        relay_clients_min: u64 = HostLimits::default().relay_clients_min as u64, within 1..=16;
        /// Flows or requests that each side of a sign of several hosts must show.
        nat_sightings_min: u64 = u64::from(HostLimits::default().nat_sightings_min), within 1..=1000;
        /// Vendors whose products are hardly together on one host.
        nat_vendors_min: u64 = HostLimits::default().nat_vendors_min as u64, within 2..=16;
    }
}

impl HostsSection {
    /// What the ledger needs of it.
    pub fn limits(&self) -> HostLimits {
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        HostLimits {
            addresses_max: self.addresses_max.value as usize,
            tenancies_max: self.tenancies_max.value as usize,
            stations_max: self.stations_max.value as usize,
            leases_pending_max: self.leases_pending_max.value as usize,
            station_addresses_max: self.station_addresses_max.value as usize,
            station_addresses_v6_max: self.station_addresses_v6_max.value as usize,
            station_flows_min: small(self.station_flows_min.value),
            station_silence: Duration::from_secs(self.station_silence_seconds.value),
            resolver_clients_min: self.resolver_clients_min.value as usize,
            proxy_requests_min: self.proxy_requests_min.value,
            relay_clients_min: self.relay_clients_min.value as usize,
            nat_sightings_min: small(self.nat_sightings_min.value),
            nat_vendors_min: self.nat_vendors_min.value as usize,
        }
    }
}

section! {
    /// What was watched, and when it means something that nothing was seen. [`WatchLimits`] and [`Demands`] have the reasons.
    pub struct WatchSection, RawWatch, "watch" {
        /// Pairs of a zone and an hour that are told apart.
        hours_max: u64 = WatchLimits::default().hours_max as u64, within 1..=1 << 22;
        /// Hosts whose activity is followed.
        hosts_max: u64 = WatchLimits::default().hosts_max as u64, within 1..=1 << 24;
        /// Hours for which a zone must have been watched.
        absence_hours_min: u64 = Demands::default().hours_min, within 1..=8760;
        /// Contact intervals that hosts must have been watched for.
        absence_intervals_min: u64 = Demands::default().intervals_min, within 1..=1000;
        /// Intervals between contacts that must have been measured.
        absence_measured_min: u64 = Demands::default().measured_min, within 2..=10_000;
        /// The chance of a miss, in percent, up to which something would have been seen.
        absence_miss_percent_max: u64 = Demands::default().miss_percent_max, within 1..=50;
        /// What may be missing for one cause, in percent.
        absence_cause_percent_max: u64 = Demands::default().cause_percent_max, within 1..=100;
        /// What must be visible of outbound flows, in percent.
        absence_visible_percent_min: u64 = Demands::default().visible_percent_min, within 1..=100;
        /// Times of contacts that are kept.
        absence_contacts_max: u64 = Demands::default().contacts_max as u64, within 1..=1 << 28;
    }
}

section! {
    /// Secrets that decrypt TLS. [`DecryptSettings`] has the reasons.
    pub struct DecryptSection, RawDecrypt, "decrypt" {
        /// Key logs, as browsers and libraries write them for `SSLKEYLOGFILE`.
        keylog: Vec<String> = Vec::new();
        /// Sessions whose secrets are kept.
        secrets_max: u64 = DecryptSettings::default().secrets_max as u64, within 1..=1 << 24;
        /// Sessions decrypted at a time.
        sessions_max: u64 = DecryptSettings::default().sessions_max as u64, within 1..=1 << 20;
    }
}

section! {
    /// What names mean.
    pub struct RulesSection, RawRules, "rules" {
        /// Folder of rule files that add to the built-in ones or replace them; empty for none.
        dir: String = String::new();
    }
}

section! {
    /// Countries of addresses.
    pub struct GeoipSection, RawGeoip, "geoip" {
        /// File in MaxMind's DB format in place of the built-in table; empty for none.
        file: String = String::new();
    }
}

section! {
    /// What is written where.
    pub struct OutputSection, RawOutput, "output" {
        /// File for events as JSON Lines, `-` for standard output; empty for none.
        events: String = String::new();
        /// File for metrics in Prometheus's text format; empty for none.
        metrics: String = String::new();
        /// Which lines are written: `all`, or `attributed`, those that name a vendor.
        events_of: String = "all".to_owned();
        /// Whether what looks like an identifier of a licence or a machine is taken out of User-Agents and URIs.
        redact: bool = false;
    }
}

/// A finding is about 2 kB: 200 MB when the list is full.
const FINDINGS_MAX: u64 = 100_000;

section! {
    /// What the organisation is, and which policies it takes over.
    pub struct OrganisationSection, RawOrganisation, "organisation" {
        /// Roles; a policy binds those who have one that it names. None is assumed.
        roles: Vec<Role> = Vec::new();
        /// Policies that hold although no role is bound.
        policies: Vec<String> = Vec::new();
        /// Findings listed; what finds no room is counted.
        findings_max: u64 = FINDINGS_MAX, within 1..=1 << 24;
    }
}
