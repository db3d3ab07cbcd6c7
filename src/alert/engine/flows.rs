//! What flows carry, and where to → too much, and where a vendor never was.

use std::net::Ipv6Addr;
use std::sync::Arc;

use super::{AlertEngine, Draft, best, evidence_of, site};
use crate::aggregate::{FlowReported, Host, Ledger};
use crate::alert::AlertKind;
use crate::alert::uploads::{Exceeded, exceeded};
use crate::attribute::RuleId;
use crate::model::{Confidence, Locality, Severity, Timestamp, rfc3339};

impl AlertEngine {
    /// What a flow carried, and where to.
    pub(super) fn reported(&mut self, reported: &FlowReported, ledger: &Ledger) {
        let record = &reported.record;
        self.heard_at(record.end);
        if record.locality != Locality::Outbound || !self.home.contains(&record.initiator.address) {
            return;
        }
        let (scope, address) = (record.key.scope(), record.initiator.address);
        let host = ledger.hosts().host_at(scope, address, record.first_seq);
        if !self.settings.expected.by_zone.is_empty() {
            self.activity.add(host, record.end);
        }
        let judgement = ledger.judgement();
        let Some((fact, rule)) = judgement
            .deciding()
            .and_then(|fact| Some((fact, fact.rule?.rule)))
        else {
            self.uncovered_network(ledger);
            return;
        };
        let [bytes_out, _] = record.since_last.bytes;
        self.uploaded(host, rule, record.end, bytes_out, ledger);
        let answered = record.payload[1] && !judgement.is_via_proxy();
        if answered && fact.confidence > Some(Confidence::Low) {
            self.reached_country(host, rule, reported, ledger);
        }
    }

    fn uploaded(
        &mut self,
        host: Host,
        rule: RuleId,
        at: Timestamp,
        bytes_out: u64,
        ledger: &Ledger,
    ) {
        let rules = Arc::clone(&self.rules);
        let vendor = rules.vendor(rules.rule(rule).vendor);
        let site = site(&self.sites, host.0);
        let address = Ipv6Addr::from(host.1).to_canonical();
        let key = (site.clone().unwrap_or_default(), address, vendor.id.clone());
        let hour = at.as_seconds() / 3600;
        if self.learnt.uploads.len() >= self.settings.hosts_max
            && !self.learnt.uploads.contains_key(&key)
        {
            self.refused += 1;
            return;
        }
        let hours = self.learnt.uploads.entry(key.clone()).or_default();
        let bytes = hours.entry(hour).or_default();
        *bytes += bytes_out;
        let bytes = *bytes;
        let limits = &self.settings.uploads;
        let small = bytes < limits.floor_bytes
            && (limits.bytes_per_hour == 0 || bytes < limits.bytes_per_hour);
        if small {
            return;
        }
        let mut past = hours.clone();
        for (hour, bytes) in self.before.uploads.get(&key).into_iter().flatten() {
            let known = past.entry(*hour).or_default();
            *known = (*known).max(*bytes);
        }
        let Some(exceeded) = exceeded(&past, hour, bytes, limits) else {
            return;
        };
        let (kind, threshold, why) = match exceeded {
            Exceeded::Threshold(bytes) => (
                AlertKind::UploadThreshold,
                bytes,
                format!("{bytes} are allowed"),
            ),
            Exceeded::Past(median) => (
                AlertKind::UploadAbovePast,
                median,
                format!("the median of its earlier hours is {median}"),
            ),
        };
        let evidence = ledger
            .exposures()
            .of(host, rule)
            .and_then(|(_, exposure)| best(exposure))
            .map(|sample| evidence_of(sample, &rules));
        let begin = rfc3339(Timestamp::from_parts(hour * 3600, 0));
        let draft = Draft {
            kind,
            severity: Severity::Medium,
            at,
            site,
            zone: ledger.zones().name_of(&host.1),
            host: Some(address),
            rule: Some(rule),
            vendor: vendor.number,
            engine: None,
            detail: &begin,
            message: format!(
                "{address} sent {} {bytes} bytes within the hour from {begin}; {why}",
                vendor.id
            ),
            value: Some(bytes),
            threshold: Some(threshold),
            evidence,
        };
        self.raise(draft);
    }

    fn reached_country(
        &mut self,
        host: Host,
        rule: RuleId,
        reported: &FlowReported,
        ledger: &Ledger,
    ) {
        let record = &reported.record;
        let Some(country) = ledger.countries().lookup(record.responder.ip()) else {
            return;
        };
        let rules = Arc::clone(&self.rules);
        let vendor = rules.vendor(rules.rule(rule).vendor);
        let at = record.end;
        let key = (vendor.id.clone(), country);
        if self.learnt.countries.contains_key(&key) {
            return;
        }
        self.learnt.countries.insert(key.clone(), at);
        if self.before.countries.contains_key(&key) {
            return;
        }
        let known = self.before.countries.iter().chain(&self.learnt.countries);
        let first = known
            .filter(|((known, other), _)| *known == vendor.id && *other != country)
            .map(|(_, first)| *first)
            .min();
        // The first country is no news, and while a vendor is new neither are the next.
        let Some(first) = first else { return };
        if at < first.after(self.settings.country_learning) {
            return;
        }
        let evidence = ledger
            .exposures()
            .of(host, rule)
            .and_then(|(_, exposure)| best(exposure))
            .map(|sample| evidence_of(sample, &rules));
        let draft = Draft {
            kind: AlertKind::NewCountry,
            severity: Severity::Low,
            at,
            site: site(&self.sites, host.0),
            zone: ledger.zones().name_of(&host.1),
            host: Some(Ipv6Addr::from(host.1).to_canonical()),
            rule: Some(rule),
            vendor: vendor.number,
            engine: None,
            detail: country.as_str(),
            message: format!(
                "servers of {} were reached in {country} (country of the address {}) for the first time",
                vendor.id,
                record.responder.ip()
            ),
            value: None,
            threshold: None,
            evidence,
        };
        self.raise(draft);
    }
}
