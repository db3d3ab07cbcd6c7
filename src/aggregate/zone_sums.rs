//! What was watched by zone and hour → by zone.

use std::collections::BTreeMap;

use super::{Watch, WatchKey, WatchRow};
use crate::flow::ZoneId;

/// All hours of a zone together.
#[derive(Clone, Debug, Default)]
pub struct ZoneSums {
    /// What its hours count.
    pub row: WatchRow,
    /// Its first and last hour.
    pub span: Option<(WatchKey, WatchKey)>,
    /// Hours from the first to the last of all zones of the site.
    pub hours: u64,
    /// Hours in which a host was active.
    pub active_hours: u64,
    /// Slots in which a host was.
    pub slots: u64,
    /// Hosts that were ever active, by the seconds for which each was there for sure and could be seen: of a host that never showed a name none.
    pub hosts_by_seconds: BTreeMap<u64, u64>,
    /// Hosts that never showed a name that can be recognised.
    pub never_named: u64,
    /// Hosts that used encrypted DNS.
    pub encrypted_dns: u64,
}

impl ZoneSums {
    /// Of each zone at each site.
    pub fn all(watch: &Watch) -> BTreeMap<(u16, Option<ZoneId>), Self> {
        let mut all: BTreeMap<_, Self> = BTreeMap::new();
        let mut spans: BTreeMap<u16, (u32, u32)> = BTreeMap::new();
        for (key, row) in watch.rows() {
            let sums = all.entry((key.scope, key.zone)).or_default();
            sums.row.add(row);
            sums.span = Some((sums.span.map_or(*key, |(first, _)| first), *key));
            sums.slots += u64::from(row.slots_watched());
            sums.active_hours += u64::from(row.slots_watched() > 0);
            let (first, last) = spans.entry(key.scope).or_insert((key.hour, key.hour));
            (*first, *last) = ((*first).min(key.hour), (*last).max(key.hour));
        }
        for (host, known) in watch.hosts() {
            let sums = all.entry((host.0, known.zone)).or_default();
            let seconds = if known.is_named() { known.seconds() } else { 0 };
            *sums.hosts_by_seconds.entry(seconds).or_default() += 1;
            sums.never_named += u64::from(!known.is_named());
            sums.encrypted_dns += u64::from(known.uses_encrypted_dns());
        }
        for ((scope, _), sums) in &mut all {
            sums.hours = spans
                .get(scope)
                .map_or(0, |(first, last)| u64::from(last - first) + 1);
        }
        all
    }

    /// Hosts that were ever active.
    pub fn hosts(&self) -> u64 {
        self.hosts_by_seconds.values().sum()
    }
}
