//! Events, after the ledger → alerts, suggestions, and what was learnt.

mod flows;
mod names;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use super::canary::{Canary, CanarySighting, CanaryWatch};
use super::expected::{Activity, Expected, ExpectedZone};
use super::organisations::organisations;
use super::own_domains::OwnDomains;
use super::state::{FirstSightKey, KnownExposure, State, StateKey};
use super::uncovered::{Suggestion, Suggestions};
use super::uploads::UploadLimits;
use super::{Alert, AlertEvidence, AlertKind};
use crate::aggregate::{EventRef, EvidenceSample, Exposure, ExposureKey, Host, Ledger};
use crate::attribute::{RuleId, Ruleset, VendorId};
use crate::flow::{HomeNetworks, ZoneId};
use crate::model::{Confidence, Severity, Timestamp, printable, rfc3339};

/// Bounds and choices.
#[derive(Clone, Debug)]
pub struct AlertSettings {
    /// For so long from the first packet ever heard of, first sights are learnt and not told.
    pub learning: Duration,
    /// A vendor must have been known for so long before another country of its servers is told.
    pub country_learning: Duration,
    /// What is too much to send.
    pub uploads: UploadLimits,
    /// Who is expected where.
    pub expected: Expected,
    /// Canaries that were issued.
    pub canaries: Vec<Canary>,
    /// A canary proves something for so long after it was issued.
    pub canary_fresh: Duration,
    /// Sightings of canaries listed at most.
    pub canary_sightings_max: usize,
    /// Alerts listed at most.
    pub alerts_max: usize,
    /// Suggestions listed at most.
    pub suggestions_max: usize,
    /// Hosts whose activity is followed, and exposures and hosts with uploads that a snapshot holds.
    pub hosts_max: usize,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            learning: Duration::ZERO,
            country_learning: Duration::from_secs(7 * 86_400),
            uploads: UploadLimits::default(),
            expected: Expected {
                by_zone: Vec::new(),
                // Half a working day: who was switched on for a minute need not have spoken to anybody.
                active_hours_min: 4,
            },
            canaries: Vec::new(),
            // Networks change: what a sensor saw last month it need not see today.
            canary_fresh: Duration::from_secs(7 * 86_400),
            canary_sightings_max: 1000,
            // More than people read.
            alerts_max: 10_000,
            suggestions_max: 1000,
            // As many as exposures: 100 bytes each.
            hosts_max: 100_000,
        }
    }
}

/// Hears events and tells what somebody should look at.
#[derive(Debug)]
pub struct AlertEngine {
    settings: AlertSettings,
    rules: Arc<Ruleset>,
    home: Arc<HomeNetworks>,
    sites: Vec<String>,
    /// What was known before.
    before: State,
    /// What this run learnt.
    learnt: State,
    alerts: Vec<Alert>,
    numbers: HashMap<String, usize>,
    /// First sights that were dealt with: spares the usual event the making of a key.
    sighted: HashSet<(u16, Option<ZoneId>, VendorId, Option<VendorId>)>,
    domains: OwnDomains,
    /// Organisations that certificates of vendors name.
    organisations: HashMap<String, VendorId>,
    suggestions: Suggestions,
    activity: Activity,
    canaries: CanaryWatch,
    refused: u64,
}

/// What an alert is about, before it has a name.
struct Draft<'a> {
    kind: AlertKind,
    severity: Severity,
    at: Timestamp,
    site: Option<String>,
    zone: Option<&'a str>,
    host: Option<IpAddr>,
    rule: Option<RuleId>,
    vendor: VendorId,
    engine: Option<VendorId>,
    /// What tells it from others of its kind, site, zone, host and vendors.
    detail: &'a str,
    message: String,
    value: Option<u64>,
    threshold: Option<u64>,
    evidence: Option<AlertEvidence>,
}

impl AlertEngine {
    /// An engine that knows what `before` holds.
    pub fn new(
        settings: AlertSettings,
        rules: Arc<Ruleset>,
        home: Arc<HomeNetworks>,
        sites: Vec<String>,
        before: State,
    ) -> Self {
        Self {
            domains: OwnDomains::new(&rules),
            organisations: organisations(&rules),
            suggestions: Suggestions::new(settings.suggestions_max),
            activity: Activity::new(settings.hosts_max),
            canaries: CanaryWatch::new(
                settings.canaries.clone(),
                settings.canary_fresh.as_secs(),
                settings.canary_sightings_max,
            ),
            settings,
            rules,
            home,
            sites,
            before,
            learnt: State::default(),
            alerts: Vec::new(),
            numbers: HashMap::new(),
            sighted: HashSet::new(),
            refused: 0,
        }
    }

    /// Takes an event that the ledger has taken. Gives the position in [`Self::alerts`] from which on alerts are new.
    pub fn event(&mut self, event: EventRef<'_>, ledger: &Ledger) -> usize {
        let first_new = self.alerts.len();
        match event {
            EventRef::Opened(opened) => self.heard_at(opened.frame.time),
            EventRef::Observed(observed, run) => {
                self.canaries
                    .observed(observed, run, ledger.zones(), &self.sites);
                self.uncovered_names(observed, run);
            }
            EventRef::Dns(transaction, run) => {
                self.canaries
                    .asked(transaction, run, ledger.zones(), &self.sites);
            }
            EventRef::Reported(reported, _) => {
                self.canaries.reported(reported);
                self.reported(reported, ledger);
            }
            EventRef::Host(..) => {}
        }
        self.first_sights(ledger);
        first_new
    }

    /// The input is over: compares what is expected with what was seen, and notes who talks to whom.
    pub fn finish(&mut self, ledger: &Ledger) -> Vec<ExpectedZone> {
        for (key, exposure) in ledger.exposures().iter() {
            let state_key = self.state_key(key);
            let known = KnownExposure {
                first_seen: exposure.first_seen,
                last_seen: exposure.last_seen,
                verdict: ledger.exposures().verdict(key, exposure).0,
                contact: exposure.contact(),
            };
            self.learnt.exposures.insert(state_key, known);
        }
        self.count_hosts(ledger);
        for (key, seen) in self.canaries.proofs() {
            self.learnt.canaries.insert(key, seen);
        }
        let zones = ledger.zones();
        let sites = &self.sites;
        let found = self
            .settings
            .expected
            .compare(&self.activity, ledger, zones, |scope| site(sites, scope));
        for zone in &found {
            let Some(vendor) = self.rules.vendor_by_id(&zone.vendor) else {
                continue;
            };
            if zone.silent_hosts == 0 {
                continue;
            }
            let place = zone.zone.as_deref().unwrap_or("the home networks");
            let draft = Draft {
                kind: AlertKind::ExpectedMissing,
                severity: Severity::Low,
                at: self.learnt.known_until.unwrap_or_default(),
                site: None,
                zone: zone.zone.as_deref(),
                host: None,
                rule: None,
                vendor: vendor.number,
                engine: None,
                detail: "",
                message: format!(
                    "{} of {} active hosts in {place} were not seen to speak to {}, which is expected there",
                    zone.silent_hosts, zone.active_hosts, zone.vendor
                ),
                value: Some(zone.silent_hosts),
                threshold: None,
                evidence: None,
            };
            self.raise(draft);
        }
        found
    }

    /// Alerts, in the order in which they were raised.
    pub fn alerts(&self) -> &[Alert] {
        &self.alerts
    }

    /// Names near to vendors that no rule knows.
    pub fn suggestions(&self) -> Vec<Suggestion> {
        self.suggestions.list()
    }

    /// Canaries that were seen.
    pub fn canaries(&self) -> Vec<CanarySighting> {
        self.canaries.sightings().cloned().collect()
    }

    /// Alerts, suggestions, active hosts and canaries that found no room.
    pub fn refused(&self) -> [(&'static str, u64); 4] {
        [
            ("canaries", self.canaries.refused),
            ("alerts", self.refused),
            ("suggestions", self.suggestions.refused),
            ("active_hosts", self.activity.refused),
        ]
    }

    /// Whether anything is known from before.
    pub fn has_past(&self) -> bool {
        self.before.known_from.is_some()
    }

    /// The exposure as it was known before this run.
    pub fn known_before(&self, key: &StateKey) -> Option<&KnownExposure> {
        self.before.exposures.get(key)
    }

    /// What is known now, and how many entries had to go.
    pub fn into_state(self) -> (State, u64) {
        let mut state = self.before;
        let gone = state.merge(&self.learnt, self.settings.hosts_max);
        (state, gone)
    }

    /// Of each first sight, how many hosts of its zone it has come to.
    fn count_hosts(&mut self, ledger: &Ledger) {
        type Place<'a> = (Option<String>, Option<&'a str>, VendorId, Option<VendorId>);
        let mut hosts: HashMap<Place<'_>, HashSet<Host>> = HashMap::new();
        for (key, exposure) in ledger.exposures().iter() {
            if exposure.solid_occasions() == 0 {
                continue;
            }
            let zone = ledger.zones().name_of(&key.host);
            let engine = key.engine.filter(|engine| *engine != key.vendor);
            let place = (site(&self.sites, key.scope), zone, key.vendor, engine);
            hosts
                .entry(place)
                .or_default()
                .insert((key.scope, key.host, key.tenancy));
        }
        for alert in &mut self.alerts {
            if alert.kind != AlertKind::FirstSight {
                continue;
            }
            let vendor = |id: &str| self.rules.vendor_by_id(id).map(|vendor| vendor.number);
            let Some(known) = vendor(&alert.vendor) else {
                continue;
            };
            let engine = alert.engine_vendor.as_deref().and_then(vendor);
            let place = (alert.site.clone(), alert.zone.as_deref(), known, engine);
            alert.value = hosts.get(&place).map(|hosts| hosts.len() as u64);
        }
    }

    fn heard_at(&mut self, time: Timestamp) {
        let learnt = &mut self.learnt;
        learnt.known_from = Some(learnt.known_from.map_or(time, |from| from.min(time)));
        learnt.known_until = Some(learnt.known_until.map_or(time, |until| until.max(time)));
    }

    /// Vendors seen for the first time, by what the last event added to.
    fn first_sights(&mut self, ledger: &Ledger) {
        for (host, rule) in ledger.exposures().touched() {
            let rule = self.rules.rule(*rule);
            let engine = rule.engine.map(|engine| engine.vendor);
            let engine = engine.filter(|engine| *engine != rule.vendor);
            let zone = ledger.zones().zone_of(&host.1);
            let cached = (host.0, zone, rule.vendor, engine);
            if self.sighted.contains(&cached) {
                continue;
            }
            let Some((key, exposure)) = ledger.exposures().of(*host, rule.number) else {
                continue;
            };
            // Web visits and weak evidence are no sight of a product.
            if exposure.solid_occasions() == 0 {
                continue;
            }
            self.sighted.insert(cached);
            let zone_name = zone.and_then(|zone| ledger.zones().name(zone));
            let (key, at) = (key.clone(), exposure.last_seen);
            self.first_sight(&key, exposure, at, zone, zone_name);
        }
    }

    fn first_sight(
        &mut self,
        key: &ExposureKey,
        exposure: &Exposure,
        at: Timestamp,
        zone: Option<ZoneId>,
        zone_name: Option<&str>,
    ) {
        let rules = Arc::clone(&self.rules);
        let vendor = rules.vendor(key.vendor);
        let engine = key.engine.filter(|engine| *engine != key.vendor);
        let engine_id = engine.map(|engine| rules.vendor(engine).id.as_str());
        let site = site(&self.sites, key.scope);
        let known: FirstSightKey = (
            site.clone().unwrap_or_default(),
            zone_name.unwrap_or_default().to_owned(),
            vendor.id.clone(),
            engine_id.unwrap_or_default().to_owned(),
        );
        let was_known = self.before.first_sights.contains_key(&known);
        self.learnt.first_sights.insert(known, at);
        let began = [self.before.known_from, self.learnt.known_from];
        let began = began.into_iter().flatten().min().unwrap_or(at);
        let learning = at < began.after(self.settings.learning);
        if was_known || learning || self.settings.expected.contains(zone, &vendor.id) {
            return;
        }
        let inside = engine_id.map_or_else(String::new, |engine| {
            format!(", with the engine of {engine} inside")
        });
        let place = zone_name.map_or_else(String::new, |zone| format!(" in zone {zone}"));
        let draft = Draft {
            kind: AlertKind::FirstSight,
            severity: if exposure.confidence == Confidence::High {
                Severity::Medium
            } else {
                Severity::Low
            },
            at,
            site,
            zone: zone_name,
            host: Some(Ipv6Addr::from(key.host).to_canonical()),
            rule: None,
            vendor: key.vendor,
            engine,
            detail: "",
            message: format!("first sight of {}{inside}{place}", vendor.id),
            value: None,
            threshold: None,
            evidence: best(exposure).map(|sample| evidence_of(sample, &rules)),
        };
        self.raise(draft);
    }

    fn raise(&mut self, draft: Draft<'_>) {
        let rules = Arc::clone(&self.rules);
        let vendor = rules.vendor(draft.vendor);
        let engine = draft.engine.map(|engine| rules.vendor(engine));
        // A first sight is one for the whole zone; the host is only where it was.
        let host = draft.host.filter(|_| draft.kind != AlertKind::FirstSight);
        let key = [
            draft.kind.as_str(),
            draft.site.as_deref().unwrap_or_default(),
            draft.zone.unwrap_or_default(),
            &host.map_or_else(String::new, |host| host.to_string()),
            &vendor.id,
            engine.map_or("", |engine| engine.id.as_str()),
            draft.detail,
        ]
        .join("|");
        let at = rfc3339(draft.at);
        if let Some(known) = self.numbers.get(&key)
            && let Some(alert) = self.alerts.get_mut(*known)
        {
            alert.count += 1;
            alert.last_seen = at;
            alert.value = draft.value.or(alert.value);
            alert.message = draft.message;
            return;
        }
        if self.alerts.len() >= self.settings.alerts_max {
            self.refused += 1;
            return;
        }
        let product = draft.rule.and_then(|rule| rules.rule(rule).product.clone());
        let alert = Alert {
            id: format!("{:016x}", xxhash_rust::xxh3::xxh3_64(key.as_bytes())),
            kind: draft.kind,
            severity: draft.severity,
            dedupe_key: key.clone(),
            timestamp: at.clone(),
            last_seen: at,
            count: 1,
            site: draft.site,
            zone: draft.zone.map(str::to_owned),
            host: draft.host,
            vendor: vendor.id.clone(),
            vendor_seat: vendor.jurisdiction,
            product,
            engine_vendor: engine.map(|engine| engine.id.clone()),
            engine_seat: engine.map(|engine| engine.jurisdiction),
            message: draft.message,
            value: draft.value,
            threshold: draft.threshold,
            evidence: draft.evidence,
        };
        self.numbers.insert(key, self.alerts.len());
        self.alerts.push(alert);
    }

    fn state_key(&self, key: &ExposureKey) -> StateKey {
        StateKey {
            site: site(&self.sites, key.scope).unwrap_or_default(),
            host: Ipv6Addr::from(key.host).to_canonical(),
            vendor: self.rules.vendor(key.vendor).id.clone(),
            product: key.product.clone().unwrap_or_default(),
            engine: key
                .engine
                .map(|engine| self.rules.vendor(engine).id.clone())
                .unwrap_or_default(),
        }
    }
}

fn site(sites: &[String], scope: u16) -> Option<String> {
    let site = sites.get(usize::from(scope))?;
    (!site.is_empty()).then(|| site.clone())
}

/// The sighting that shows most: the surest, of those the strongest kind, of those the first.
fn best(exposure: &Exposure) -> Option<&EvidenceSample> {
    exposure
        .samples
        .iter()
        .min_by_key(|sample| (std::cmp::Reverse(sample.confidence), sample.kind))
}

fn evidence_of(sample: &EvidenceSample, rules: &Ruleset) -> AlertEvidence {
    AlertEvidence {
        kind: sample.kind,
        value: crate::model::redacted(sample.kind, printable(&sample.name)).into_owned(),
        rule_id: rules.rule(sample.rule.rule).id.clone(),
        confidence: sample.confidence,
        seq: sample.frame.seq,
        frame_xxh3: format!("{:016x}", sample.frame.hash),
        timestamp: rfc3339(sample.frame.time),
        flow_id: sample.flow.0,
        server_ip: Ipv6Addr::from(sample.server).to_canonical(),
    }
}
