//! Outbound flows and what hosts show → by zone and hour, what was watched, by whom something was seen, and what could not be.
//!
//! An hour is one of packet time, in UTC. A flow's bytes are in the hour of the latest packet that its record covers: within one active
//! timeout of where they were sent. A host is active where it sends out of the home networks, or shows a name to anybody: where its
//! traffic passes the sensor and not only its broadcasts. The rows together are the account of outbound flows of the ledger, always.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::{DnsTransaction, EventRun, FlowOpened, FlowReported, MessageObserved, Place, Traffic};
use crate::decode::TCP;
use crate::flow::{HomeNetworks, ZoneId, ZoneTable};
use crate::model::{Coverage, DnsOutcome, EvidenceKind, Locality, Timestamp};

/// What the zone of home addresses is called that lie in none.
pub const UNZONED: &str = "unzoned";
/// Seconds of a slot, in which a host was active or not.
pub const SLOT_SECONDS: u64 = 300;
/// Slots of an hour.
const SLOTS_PER_HOUR: u32 = 12;
/// Slots whose hour is still remembered whole; what comes later than that after a host's latest activity is not counted to it.
const REMEMBERED: u32 = u64::BITS - SLOTS_PER_HOUR;
/// Slots that one record can fill: as long as half an hour, the usual time between two.
const FILLED_MAX: u64 = 6;

/// Bounds of what is kept about zones, hours and hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// Pairs of a zone and an hour.
    pub hours_max: usize,
    /// Hosts whose activity is followed.
    pub hosts_max: usize,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self {
            // A month of 20 zones; some 800 bytes each: 13 MB.
            hours_max: 1 << 14,
            // 80 bytes each: 10 MB. Twice the addresses of a /16.
            hosts_max: 1 << 17,
        }
    }
}

/// One zone in one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchKey {
    /// Hours since 1970.
    pub hour: u32,
    /// The site.
    pub scope: u16,
    /// The zone; `None`: home, and in none.
    pub zone: Option<ZoneId>,
}

impl WatchKey {
    /// When the hour begins.
    pub const fn begin(&self) -> Timestamp {
        Timestamp::from_parts(self.hour as u64 * 3600, 0)
    }
}

/// What came by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchRow {
    cells: [Traffic; Coverage::COUNT],
    /// Slots in which any host was active, a bit each.
    slots: u16,
    /// Hosts that were active.
    pub hosts: u64,
    /// Those that showed a name that can be recognised.
    pub hosts_named: u64,
    /// Those that used encrypted DNS.
    pub hosts_encrypted_dns: u64,
    /// Ended connections of TCP with payload of which both sides came by.
    pub tcp_two_way: u64,
    /// Those of which one side only did.
    pub tcp_one_way: u64,
    /// Questions for names that a rule knows.
    pub questions: u64,
    /// Those that were denied, or answered with an address that leads nowhere, as filters do.
    pub questions_denied: u64,
}

impl WatchRow {
    /// One bucket of the outbound flows.
    pub fn cell(&self, coverage: Coverage) -> Traffic {
        self.cells[coverage.index()]
    }

    /// All outbound flows.
    pub fn total(&self) -> Traffic {
        let mut total = Traffic::default();
        for cell in &self.cells {
            total += *cell;
        }
        total
    }

    /// Slots in which a host was active: the time in which something can be said to have been watched.
    pub const fn slots_watched(&self) -> u32 {
        self.slots.count_ones()
    }

    /// Adds what another row counts; hosts of several hours are as many host-hours.
    pub fn add(&mut self, other: &Self) {
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            *cell += *more;
        }
        self.hosts += other.hosts;
        self.hosts_named += other.hosts_named;
        self.hosts_encrypted_dns += other.hosts_encrypted_dns;
        self.tcp_two_way += other.tcp_two_way;
        self.tcp_one_way += other.tcp_one_way;
        self.questions += other.questions;
        self.questions_denied += other.questions_denied;
    }
}

/// When a host was active.
#[derive(Clone, Debug, Default)]
pub struct HostWatch {
    /// Its zone.
    pub zone: Option<ZoneId>,
    /// The latest slot, and a bit for each before it.
    newest: u32,
    recent: u64,
    /// Pairs of slots one after the other in both of which it was active: the time for which it was there for sure.
    stretches: u32,
    named_until: u32,
    encrypted_until: u32,
}

impl HostWatch {
    /// Seconds for which it was active without a slot missing between.
    pub const fn seconds(&self) -> u64 {
        self.stretches as u64 * SLOT_SECONDS
    }

    /// Whether it ever showed a name that can be recognised.
    pub const fn is_named(&self) -> bool {
        self.named_until > 0
    }

    /// Whether it ever used encrypted DNS.
    pub const fn uses_encrypted_dns(&self) -> bool {
        self.encrypted_until > 0
    }

    const fn was_active(&self, slot: u32) -> bool {
        match self.newest.checked_sub(slot) {
            Some(age) if age < u64::BITS => self.recent >> age & 1 == 1,
            _ => false,
        }
    }

    /// It was active in a slot: whether that is new, and whether the hour is. `None` if it is too long ago to tell.
    fn active(&mut self, slot: u32) -> Option<(bool, bool)> {
        if slot > self.newest || self.recent == 0 {
            let step = slot - self.newest.min(slot);
            self.recent = if self.recent == 0 || step >= u64::BITS {
                0
            } else {
                self.recent << step
            };
            self.newest = slot;
        } else if self.newest - slot > REMEMBERED {
            return None;
        }
        if self.was_active(slot) {
            return Some((false, false));
        }
        let begin = slot - slot % SLOTS_PER_HOUR;
        let is_new_hour = !(begin..begin + SLOTS_PER_HOUR).any(|slot| self.was_active(slot));
        let beside = [slot.wrapping_sub(1), slot + 1].map(|slot| self.was_active(slot));
        self.stretches += beside.into_iter().map(u32::from).sum::<u32>();
        self.recent |= 1 << (self.newest - slot);
        Some((true, is_new_hour))
    }
}

/// The account by zone and hour.
#[derive(Debug)]
pub struct Watch {
    limits: WatchLimits,
    home: Arc<HomeNetworks>,
    zones: Arc<ZoneTable>,
    rows: BTreeMap<WatchKey, WatchRow>,
    folded: WatchRow,
    /// Rows, or additions to rows, that were folded together because there was no room for them.
    pub folded_hours: u64,
    /// Slots in those that had been watched.
    pub folded_slots: u64,
    hosts: HashMap<Place, HostWatch>,
    /// Times that an active host found no room.
    pub hosts_refused: u64,
    /// Times that a host was active so long before its latest activity that it could not be told whether that is new.
    pub late: u64,
}

impl Watch {
    /// Nothing watched so far.
    pub fn new(limits: WatchLimits, home: Arc<HomeNetworks>, zones: Arc<ZoneTable>) -> Self {
        Self {
            limits,
            home,
            zones,
            rows: BTreeMap::new(),
            folded: WatchRow::default(),
            folded_hours: 0,
            folded_slots: 0,
            hosts: HashMap::new(),
            hosts_refused: 0,
            late: 0,
        }
    }

    /// Zones and hours, in order.
    pub fn rows(&self) -> impl Iterator<Item = (&WatchKey, &WatchRow)> {
        self.rows.iter()
    }

    /// What was folded together.
    pub const fn folded(&self) -> &WatchRow {
        &self.folded
    }

    /// Everything.
    pub fn total(&self) -> WatchRow {
        let mut total = self.folded.clone();
        for row in self.rows.values() {
            total.add(row);
        }
        total
    }

    /// Hosts that were ever active, in no order.
    pub fn hosts(&self) -> impl Iterator<Item = (&Place, &HostWatch)> {
        self.hosts.iter()
    }

    /// Begin of the latest slot in which a host was active.
    pub fn last_active(&self, host: &Place) -> Option<Timestamp> {
        let newest = u64::from(self.hosts.get(host)?.newest);
        Some(Timestamp::from_parts(newest * SLOT_SECONDS, 0))
    }

    /// What a zone is called.
    pub fn zone_name(&self, zone: Option<ZoneId>) -> &str {
        zone.and_then(|zone| self.zones.name(zone))
            .unwrap_or(UNZONED)
    }

    /// The zone of an address.
    pub fn zone_of(&self, host: &Place) -> Option<ZoneId> {
        match self.hosts.get(host) {
            Some(known) => known.zone,
            None => self.zones.zone_of(&host.1),
        }
    }

    /// A flow opened: whoever began it, if that is home, is active.
    pub(super) fn opened(&mut self, opened: &FlowOpened) {
        let initiator = opened.initiator.address;
        if opened.locality == Locality::Outbound && self.home.contains(&initiator) {
            let slot = slot_of(opened.frame.time);
            self.active((opened.key.scope(), initiator), slot, slot);
        }
    }

    /// A host at home showed facts.
    pub(super) fn observed(&mut self, host: Place, observed: &MessageObserved, run: &EventRun) {
        let shows = |kind: EvidenceKind, text: &[u8]| is_name(kind) && !is_address(text);
        let mut facts = run.facts(observed.facts).iter();
        if facts.any(|fact| shows(fact.kind, run.text(fact.text))) {
            self.named(host, observed.time);
        }
    }

    /// A host at home asked for a name; `known`: a rule knows it as something else than a web site.
    pub(super) fn asked(&mut self, host: Place, transaction: &DnsTransaction, known: bool) {
        // Questions to the whole local network reach sensors that the host's traffic does not.
        if transaction.kind != EvidenceKind::DnsQuery {
            return;
        }
        let time = transaction.frame().time;
        self.named(host, time);
        if !known {
            return;
        }
        let key = self.key(host, hour_of(time));
        let denied = matches!(
            transaction.outcome,
            DnsOutcome::NxDomain | DnsOutcome::Sinkholed | DnsOutcome::Refused
        );
        self.change(key, |row| {
            row.questions += 1;
            row.questions_denied += u64::from(denied);
        });
    }

    /// A host at home used encrypted DNS.
    pub(super) fn encrypted_dns(&mut self, host: Place, time: Timestamp) {
        let hour = hour_of(time);
        let Some(known) = self.hosts.get_mut(&host) else {
            return;
        };
        if hour > known.encrypted_until {
            known.encrypted_until = hour;
            let key = self.key(host, hour);
            self.change(key, |row| row.hosts_encrypted_dns += 1);
        }
    }

    /// An outbound flow reported: how much of what it carried was in which bucket.
    pub(super) fn reported(
        &mut self,
        reported: &FlowReported,
        coverage: Coverage,
        traffic: Traffic,
    ) {
        let record = &reported.record;
        let [from_initiator, from_responder] = record.since_last.packets;
        let (end, sent) = if self.home.contains(&record.initiator.address) {
            (record.initiator, from_initiator)
        } else {
            (record.responder, from_responder)
        };
        let host = (record.key.scope(), end.address);
        if sent > 0 {
            // While a flow goes on there is a packet in every slot; where there are fewer packets than slots it was not.
            let last = slot_of(record.end);
            let filled = sent.min(FILLED_MAX) as u32;
            let first = slot_of(record.start).max((last + 1).saturating_sub(filled));
            self.active(host, first.min(last), last);
        }
        let is_over = reported.last && record.key.protocol() == TCP && record.payload != [false; 2];
        let is_one_way = record.total.packets.contains(&0);
        let key = self.key(host, hour_of(record.end));
        self.change(key, |row| {
            row.cells[coverage.index()] += traffic;
            row.tcp_one_way += u64::from(is_over && is_one_way);
            row.tcp_two_way += u64::from(is_over && !is_one_way);
        });
    }

    fn named(&mut self, host: Place, time: Timestamp) {
        let (slot, hour) = (slot_of(time), hour_of(time));
        self.active(host, slot, slot);
        let Some(known) = self.hosts.get_mut(&host) else {
            return;
        };
        // Names come in the order of their frames, but for captures that step back: those hours count one host less.
        if hour > known.named_until {
            known.named_until = hour;
            let key = self.key(host, hour);
            self.change(key, |row| row.hosts_named += 1);
        }
    }

    /// A host was active in some slots, the last of them at most half an hour after the first.
    fn active(&mut self, host: Place, first: u32, last: u32) {
        if !self.hosts.contains_key(&host) {
            if self.hosts.len() >= self.limits.hosts_max {
                self.hosts_refused += 1;
                return;
            }
            let zone = self.zones.zone_of(&host.1);
            let fresh = HostWatch {
                zone,
                ..HostWatch::default()
            };
            self.hosts.insert(host, fresh);
        }
        for slot in first..=last {
            let Some(known) = self.hosts.get_mut(&host) else {
                return;
            };
            match known.active(slot) {
                None => self.late += 1,
                Some((false, _)) => {}
                Some((true, is_new_hour)) => {
                    let key = self.key(host, slot / SLOTS_PER_HOUR);
                    self.change(key, |row| {
                        row.hosts += u64::from(is_new_hour);
                        row.slots |= 1 << (slot % SLOTS_PER_HOUR);
                    });
                }
            }
        }
    }

    fn key(&self, host: Place, hour: u32) -> WatchKey {
        WatchKey {
            hour,
            scope: host.0,
            zone: self.zone_of(&host),
        }
    }

    /// Changes a row; where there is no room for one more, the oldest is folded.
    fn change(&mut self, key: WatchKey, change: impl FnOnce(&mut WatchRow)) {
        if let Some(row) = self.rows.get_mut(&key) {
            change(row);
            return;
        }
        let mut row = WatchRow::default();
        change(&mut row);
        if self.rows.len() < self.limits.hours_max {
            self.rows.insert(key, row);
            return;
        }
        let is_newer = self
            .rows
            .first_key_value()
            .is_some_and(|(oldest, _)| key > *oldest);
        if is_newer && let Some((_, oldest)) = self.rows.pop_first() {
            self.rows.insert(key, row);
            row = oldest;
        }
        self.folded_hours += 1;
        self.folded_slots += u64::from(row.slots_watched());
        self.folded.add(&row);
    }
}

/// Kinds of facts that name a server, in the open and to the outside.
const fn is_name(kind: EvidenceKind) -> bool {
    matches!(
        kind,
        EvidenceKind::HttpHost
            | EvidenceKind::TlsSni
            | EvidenceKind::QuicSni
            | EvidenceKind::DtlsSni
            | EvidenceKind::HttpConnect
            | EvidenceKind::Socks
            | EvidenceKind::TlsCert
    )
}

fn is_address(text: &[u8]) -> bool {
    let may_be = text
        .first()
        .is_some_and(|first| first.is_ascii_digit() || matches!(first, b'[' | b':'))
        || text.contains(&b':');
    may_be
        && std::str::from_utf8(text)
            .is_ok_and(|text| text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok())
}

const fn slot_of(time: Timestamp) -> u32 {
    (time.as_seconds() / SLOT_SECONDS) as u32
}

const fn hour_of(time: Timestamp) -> u32 {
    (time.as_seconds() / 3600) as u32
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
