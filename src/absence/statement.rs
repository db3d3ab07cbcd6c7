//! A finished ledger and a subject → what can be said of each zone, on which ground, and what lowers it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::chance::{Estimate, Intervals, share, unseen};
use super::{AbsenceWord, Canary, CauseWord, Demands, Subject};
use crate::aggregate::{ExposureKey, Ledger, SLOT_SECONDS, WatchRow, ZoneSums};
use crate::attribute::Visibility;
use crate::flow::ZoneId;
use crate::model::{Confidence, Contact, Coverage, Verdict};

/// What the statement of a zone rests on, beside the ledger.
pub struct Basis<'a> {
    /// What is asked about.
    pub subject: &'a Subject,
    /// How long it takes between contacts, where that is known.
    pub intervals: Option<&'a Intervals>,
    /// What must have been watched.
    pub demands: &'a Demands,
    /// Bytes that receivers acknowledged, and those of them that never came by; of the whole capture.
    pub acknowledged: (u64, u64),
    /// The canary of a zone at a site, if one was seen lately.
    pub canary: &'a dyn Fn(u16, Option<ZoneId>) -> Option<Canary>,
}

/// What can be said of one zone.
#[derive(Clone, Debug, Serialize)]
pub struct Statement {
    /// Its site, where inputs were given one.
    pub site: Option<String>,
    /// Its name.
    pub zone: String,
    /// In one word.
    pub statement: AbsenceWord,
    /// Whether a canary shows that contacts from this zone reach the sensor.
    pub proof: &'static str,
    /// That canary.
    pub canary: Option<Canary>,
    /// What was seen of it.
    pub seen: SeenHere,
    /// What was watched.
    pub watched: Watched,
    /// What of it could be seen.
    pub visible: Visible,
    /// The chance that one active installation stayed unseen; none where the interval is not known, or nothing was watched.
    pub chance_unseen: Option<Numbers>,
    /// What lowers the statement, or could.
    pub causes: Vec<Cause>,
}

/// Exposures of the subject.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SeenHere {
    /// Hosts with one that is more than a visit to a web site.
    pub hosts: u64,
    /// Hosts that visited web sites and no more.
    pub hosts_visiting: u64,
    /// The best confidence of any sighting.
    pub confidence: Option<Confidence>,
    /// What the exposures indicate, and how many do.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// Whether anything answered.
    pub contact: Option<Contact>,
}

/// What was watched of a zone.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Watched {
    /// Hours from the first to the last in which any zone of the site was active.
    pub hours: u64,
    /// Those without activity of this zone.
    pub silent_hours: u64,
    /// Minutes in which a host was active.
    pub minutes: u64,
    /// Hosts.
    pub hosts: u64,
    /// Those that never showed a name.
    pub hosts_never_named: u64,
    /// Hosts of each hour together.
    pub host_hours: u64,
    /// Those with encrypted DNS.
    pub host_hours_encrypted_dns: u64,
    /// Seconds for which a host was there for sure and could be seen, on average.
    pub seconds_per_host: f64,
    /// Share of connections of which one side only came by.
    pub one_way: Option<f64>,
    /// Share of acknowledged bytes that never came by, in the whole capture; a lower bound.
    pub lost: Option<f64>,
    /// Share of questions for vendors' names that were denied or led nowhere.
    pub denied: Option<f64>,
}

/// What share of outbound flows shows a name.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Visible {
    /// Flows that could have been contacts.
    pub flows: u64,
    /// Those of them that showed a name, or are attributed.
    pub flows_visible: u64,
    /// As a share; none where there are no flows.
    pub share: Option<Numbers>,
    /// Of their bytes.
    pub share_of_bytes: Option<f64>,
    /// The others, by bucket, as shares of the flows.
    pub hidden: BTreeMap<&'static str, f64>,
}

/// An estimate as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Numbers {
    /// The likeliest.
    pub best: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl From<Estimate> for Numbers {
    fn from(estimate: Estimate) -> Self {
        // Digits beyond these are noise, and differ between machines.
        let rounded = |value: f64| (value * 1e9).round() / 1e9;
        Self {
            best: rounded(estimate.best),
            low: rounded(estimate.low),
            high: rounded(estimate.high),
        }
    }
}

/// What lowers a statement.
#[derive(Clone, Debug, Serialize)]
pub struct Cause {
    /// In one word.
    pub cause: CauseWord,
    /// Whether it alone makes the statement weak.
    pub weakens: bool,
    /// What of the whole it touches, where that is a share.
    pub share: Option<f64>,
    /// In a sentence.
    pub words: String,
}

/// Buckets of flows that cannot have been a contact with anybody: questions in clear, protocols of another kind, and flows without content.
const BESIDE: [Coverage; 4] = [
    Coverage::NameService,
    Coverage::NamelessProtocol,
    Coverage::NoPayload,
    Coverage::TunnelOverhead,
];
/// Buckets of flows that would have shown whose they are.
const SHOWN: [Coverage; 2] = [Coverage::Attributed, Coverage::NamedNotSecurity];

/// One statement for each zone at each site; configured zones of which nothing came by have one too.
pub fn statements(ledger: &Ledger, basis: &Basis<'_>, sites: &[String]) -> Vec<Statement> {
    let mut sums = ZoneSums::all(ledger.watch());
    let places: Vec<u16> = match sums.keys().map(|(scope, _)| *scope).collect::<Vec<_>>() {
        places if places.is_empty() => vec![0],
        places => places,
    };
    for scope in places {
        for number in 0..ledger.zones().names().len() {
            let zone = ZoneId(number as u16);
            sums.entry((scope, Some(zone))).or_default();
        }
    }
    let whole: BTreeMap<u16, u64> = (sums.iter())
        .map(|((scope, _), sums)| (*scope, sums.hours))
        .collect();
    let mut seen = seen_by_zone(ledger, basis.subject);
    sums.into_iter()
        .map(|((scope, zone), mut sums)| {
            sums.hours = sums.hours.max(whole.get(&scope).copied().unwrap_or(0));
            let site = sites
                .get(usize::from(scope))
                .filter(|site| !site.is_empty());
            let seen = seen.remove(&(scope, zone)).unwrap_or_default();
            let mut statement = Statement {
                site: site.cloned(),
                zone: ledger.watch().zone_name(zone).to_owned(),
                statement: AbsenceWord::Weak,
                proof: "unproven: no canary",
                canary: (basis.canary)(scope, zone),
                seen,
                watched: watched(&sums, basis.acknowledged),
                visible: visible(&sums.row),
                chance_unseen: None,
                causes: Vec::new(),
            };
            if statement.canary.is_some() {
                statement.proof = "proven: a canary was seen";
            }
            statement.conclude(ledger, basis, &sums);
            statement
        })
        .collect()
}

type ByZone<T> = BTreeMap<(u16, Option<ZoneId>), T>;

fn seen_by_zone(ledger: &Ledger, subject: &Subject) -> ByZone<SeenHere> {
    let mut all: ByZone<SeenHere> = BTreeMap::new();
    let mut hosts = BTreeMap::new();
    let is_meant = |key: &ExposureKey| match subject {
        Subject::Vendor(vendor) => key.vendor == *vendor,
        Subject::Engine(vendor) => key.engine == Some(*vendor),
        Subject::Product(vendor, product) => {
            key.vendor == *vendor
                && (key.product.as_ref()).is_some_and(|name| name.eq_ignore_ascii_case(product))
        }
    };
    let exposures = ledger.exposures();
    for (key, exposure) in exposures.iter().filter(|(key, _)| is_meant(key)) {
        let host = (key.scope, key.host);
        let zone = ledger.watch().zone_of(&host);
        let seen = all.entry((key.scope, zone)).or_default();
        let (verdict, _) = exposures.verdict(key, exposure);
        *seen.verdicts.entry(verdict).or_default() += 1;
        let visited = verdict == Verdict::Visited;
        if !visited {
            seen.confidence = seen.confidence.max(Some(exposure.confidence));
            // Reached comes first in the set.
            let contact = exposure.contact();
            seen.contact = Some(seen.contact.map_or(contact, |known| known.min(contact)));
        }
        let only_visits = hosts.entry((key.scope, zone, host)).or_insert(true);
        *only_visits &= visited;
    }
    for ((scope, zone, _), only_visits) in hosts {
        let seen = all.entry((scope, zone)).or_default();
        seen.hosts += u64::from(!only_visits);
        seen.hosts_visiting += u64::from(only_visits);
    }
    all
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn watched(sums: &ZoneSums, (acknowledged, lost): (u64, u64)) -> Watched {
    let (row, hosts) = (&sums.row, sums.hosts());
    let seconds: u64 = (sums.hosts_by_seconds.iter())
        .map(|(seconds, hosts)| seconds * hosts)
        .sum();
    Watched {
        hours: sums.hours,
        silent_hours: sums.hours.saturating_sub(sums.active_hours),
        minutes: sums.slots * SLOT_SECONDS / 60,
        hosts,
        hosts_never_named: sums.never_named,
        host_hours: row.hosts,
        host_hours_encrypted_dns: row.hosts_encrypted_dns,
        seconds_per_host: ratio(seconds, hosts).unwrap_or(0.0),
        one_way: ratio(row.tcp_one_way, row.tcp_one_way + row.tcp_two_way),
        lost: ratio(lost, acknowledged),
        denied: ratio(row.questions_denied, row.questions),
    }
}

fn visible(row: &WatchRow) -> Visible {
    let counted = |bucket: &&Coverage| !BESIDE.contains(bucket);
    let (mut flows, mut bytes, mut shown, mut shown_bytes) = (0, 0, 0, 0);
    for bucket in Coverage::ALL.iter().filter(counted) {
        let cell = row.cell(*bucket);
        flows += cell.flows;
        bytes += cell.bytes();
        if SHOWN.contains(bucket) {
            shown += cell.flows;
            shown_bytes += cell.bytes();
        }
    }
    let hidden = (Coverage::ALL.iter())
        .filter(counted)
        .filter(|bucket| !SHOWN.contains(bucket))
        .filter_map(|bucket| Some((bucket.as_str(), ratio(row.cell(*bucket).flows, flows)?)))
        .filter(|(_, share)| *share > 0.0);
    Visible {
        flows,
        flows_visible: shown,
        share: (flows > 0).then(|| share(shown, flows).into()),
        share_of_bytes: ratio(shown_bytes, bytes),
        hidden: hidden.collect(),
    }
}

impl Statement {
    fn conclude(&mut self, ledger: &Ledger, basis: &Basis<'_>, sums: &ZoneSums) {
        let visibility = basis.subject.visibility(ledger.rules());
        if self.seen.hosts > 0 {
            self.statement = AbsenceWord::Seen;
            if self.seen.contact == Some(Contact::Attempted) {
                self.cause(
                    CauseWord::OnlyAttempted,
                    false,
                    None,
                    "nothing of the vendor's side was seen to answer: what is blocked is installed all the same".to_owned(),
                );
            }
            self.mirror(basis);
            return;
        }
        if matches!(visibility, Visibility::WebOnly | Visibility::NotVisible) {
            self.statement = AbsenceWord::CannotBeSeen;
            return;
        }
        self.chance_unseen = self.chance(basis, sums).map(Numbers::from);
        self.time(basis);
        self.mirror(basis);
        self.content(basis);
        self.subject(ledger, basis, visibility);
        self.number(basis);
        if ledger.watch().folded_hours > 0 || ledger.watch().hosts_refused > 0 {
            self.cause(
                CauseWord::NoRoom,
                true,
                None,
                "there are more zones and hours, or hosts, than there is room for: raise watch.hours_max and watch.hosts_max".to_owned(),
            );
        }
        if !self.causes.iter().any(|cause| cause.weakens) {
            self.statement = AbsenceWord::WouldHaveBeenSeen;
        }
    }

    fn chance(&self, basis: &Basis<'_>, sums: &ZoneSums) -> Option<Estimate> {
        let flows = &self.visible;
        if flows.flows == 0 {
            return None;
        }
        let arrived = 1.0 - self.watched.lost.unwrap_or(0.0).clamp(0.0, 1.0);
        let visible = share(flows.flows_visible, flows.flows).times(arrived);
        let hosts: Vec<_> = (sums.hosts_by_seconds.iter())
            .map(|(seconds, hosts)| (*seconds as f64, *hosts))
            .collect();
        unseen(basis.intervals?, &hosts, visible)
    }

    fn cause(&mut self, cause: CauseWord, weakens: bool, share: Option<f64>, words: String) {
        self.causes.push(Cause {
            cause,
            weakens,
            share,
            words,
        });
    }

    /// A share that may hide hosts or hours as a whole.
    fn shared(&mut self, cause: CauseWord, share: Option<f64>, basis: &Basis<'_>, words: &str) {
        let Some(share) = share.filter(|share| *share > 0.0) else {
            return;
        };
        let weakens = share * 100.0 > basis.demands.cause_percent_max as f64;
        self.cause(
            cause,
            weakens,
            Some(share),
            format!("{} {words}", percent(share)),
        );
    }

    fn time(&mut self, basis: &Basis<'_>) {
        let (hours, least) = (self.watched.minutes as f64 / 60.0, basis.demands.hours_min);
        if self.watched.hosts == 0 {
            let words = "no host of this zone was seen to send anything out, or to show a name";
            self.cause(CauseWord::NotWatched, true, None, words.to_owned());
        }
        if hours < least as f64 {
            let words =
                format!("watched for {hours:.1} hours; {least} are the least that says something");
            self.cause(CauseWord::Short, true, None, words);
        }
        let silent = ratio(self.watched.silent_hours, self.watched.hours);
        let words = "of the hours have no packet of this zone: the mirror was gone, or everything was switched off";
        self.shared(CauseWord::SilentHours, silent, basis, words);
    }

    fn mirror(&mut self, basis: &Basis<'_>) {
        let words = "of the connections came by with one side only: what the other side sent is missing, and loss cannot be measured";
        self.shared(CauseWord::OneWay, self.watched.one_way, basis, words);
        let words = "at least of what was sent was lost before the capture";
        self.shared(CauseWord::Loss, self.watched.lost, basis, words);
        let words = "of the questions for vendors' names were denied or led nowhere, as a filter (RPZ, sinkhole) does: who is blocked only asks";
        self.shared(CauseWord::NamesDenied, self.watched.denied, basis, words);
        let encrypted = ratio(
            self.watched.host_hours_encrypted_dns,
            self.watched.host_hours,
        );
        let words = "of the host-hours have encrypted DNS: questions cannot be seen, and names in hellos may be encrypted";
        self.shared(CauseWord::EncryptedDns, encrypted, basis, words);
    }

    fn content(&mut self, basis: &Basis<'_>) {
        let never = ratio(self.watched.hosts_never_named, self.watched.hosts);
        let words = "of the hosts never showed a name: they count as not watched";
        self.shared(CauseWord::NeverNamed, never, basis, words);
        let Some(shown) = self.visible.share else {
            let words = "no outbound flow of this zone tells what share can be seen";
            self.cause(CauseWord::NoOutbound, true, None, words.to_owned());
            return;
        };
        if self.visible.hidden.is_empty() {
            return;
        }
        let least = basis.demands.visible_percent_min as f64 / 100.0;
        let mut hidden: Vec<_> = self.visible.hidden.iter().collect();
        hidden.sort_by(|(a_word, a), (b_word, b)| b.total_cmp(a).then(a_word.cmp(b_word)));
        let listed: Vec<_> = (hidden.iter())
            .map(|(bucket, share)| format!("{bucket} {}", percent(**share)))
            .collect();
        let whole = 1.0 - shown.best;
        let words = format!(
            "{} of the flows that could be contacts show no name: {}",
            percent(whole),
            listed.join(", ")
        );
        self.cause(CauseWord::Hidden, shown.low < least, Some(whole), words);
    }

    fn subject(&mut self, ledger: &Ledger, basis: &Basis<'_>, visibility: Visibility) {
        if visibility == Visibility::Partly {
            let words = "it shows only partly on the wire: not every host with it would be known";
            self.cause(CauseWord::PartlyVisible, true, None, words.to_owned());
        }
        let parts = basis.subject.less_visible_parts(ledger.rules());
        if !parts.is_empty() {
            let words = format!(
                "these would not, or not surely, be seen: {}",
                parts.join("; ")
            );
            self.cause(CauseWord::LessVisibleParts, true, None, words);
        }
    }

    fn number(&mut self, basis: &Basis<'_>) {
        let Some(intervals) = basis.intervals else {
            let words = "how long it takes between two contacts is neither measured in this capture nor stated by a source";
            self.cause(CauseWord::IntervalUnknown, true, None, words.to_owned());
            return;
        };
        // Of several contacts of which few can be seen, more are needed: the chance says how many.
        let (mean, least) = (intervals.mean().best, basis.demands.intervals_min);
        let had = self.watched.seconds_per_host / mean;
        if had < least as f64 {
            let words = format!(
                "a host was watched for {had:.1} contact intervals on average; {least} are the least that says something"
            );
            self.cause(CauseWord::FewIntervals, true, None, words);
        }
        if let Some(chance) = self.chance_unseen {
            let most = basis.demands.miss_percent_max;
            if chance.high * 100.0 > most as f64 {
                let words = format!(
                    "the chance that an installation stayed unseen is up to {}; {most} % is the most for more than a weak statement",
                    percent(chance.high)
                );
                self.cause(CauseWord::MissChance, true, Some(chance.high), words);
            }
        }
    }
}

/// A share for people: small ones keep their digits, and nothing is rounded to none.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent <= 0.0 {
        "0 %".to_owned()
    } else if percent < 0.01 {
        "less than 0.01 %".to_owned()
    } else if percent < 1.0 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.1} %")
    }
}
