//! What was watched by zone and hour, in words.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::aggregate::{ByteLedger, Ledger, SLOT_SECONDS, Traffic, WatchKey, WatchRow, ZoneSums};
use crate::model::{Coverage, Locality, rfc3339};

/// The outbound account by zone and hour; all parts together are the outbound account of the report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CoverageByZone {
    /// Each zone at each site, all its hours together.
    pub zones: Vec<ZoneView>,
    /// Each zone in each hour.
    pub hours: Vec<HourView>,
    /// Hours that were folded together for want of room, in all zones: the oldest.
    pub folded: CountsView,
    /// How many those are.
    pub folded_hours: u64,
    /// Bytes that belong to no flow and so to no zone and hour: fragments, what is around packets in tunnels, packets without a whole header.
    pub outside_flows: BTreeMap<&'static str, BytesView>,
    /// Times that an active host found no room to be followed.
    pub hosts_refused: u64,
    /// Times that a host was active so long before its latest activity that it is not counted.
    pub late: u64,
}

/// A zone.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ZoneView {
    /// Its site, where inputs were given one.
    pub site: Option<String>,
    /// Its name.
    pub zone: String,
    /// Begin of its first hour, and of its last.
    pub first_hour: String,
    /// Begin of its last hour.
    pub last_hour: String,
    /// Hours from the first to the last of all zones of the site.
    pub hours: u64,
    /// Those of them in which no host of the zone was active.
    pub silent_hours: u64,
    /// Minutes in which a host was active, counted in fives.
    pub minutes_watched: u64,
    /// Hosts that were ever active.
    pub hosts: u64,
    /// Those that never showed a name that can be recognised.
    pub hosts_never_named: u64,
    /// Those that ever used encrypted DNS.
    pub hosts_ever_encrypted_dns: u64,
    /// Its counts; hosts of each hour together are host-hours.
    #[serde(flatten)]
    pub counts: CountsView,
}

/// An hour of a zone.
#[derive(Clone, Debug, Serialize)]
pub struct HourView {
    /// Its site, where inputs were given one.
    pub site: Option<String>,
    /// Name of the zone.
    pub zone: String,
    /// When it begins.
    pub hour: String,
    /// Minutes of it in which a host was active, counted in fives.
    pub minutes_watched: u64,
    /// Its counts.
    #[serde(flatten)]
    pub counts: CountsView,
}

/// What is counted of one or more hours.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CountsView {
    /// Hosts that were active, of each hour.
    pub host_hours: u64,
    /// Those that showed a name that can be recognised.
    pub host_hours_named: u64,
    /// Those that used encrypted DNS.
    pub host_hours_encrypted_dns: u64,
    /// Ended connections of TCP with payload of which both sides came by.
    pub tcp_two_way: u64,
    /// Of which one side only did.
    pub tcp_one_way: u64,
    /// Questions for names of vendors' products.
    pub questions: u64,
    /// Those that were denied, or led nowhere.
    pub questions_denied: u64,
    /// All outbound flows.
    pub total: BytesView,
    /// By bucket, those that have any.
    pub by_coverage: BTreeMap<&'static str, BytesView>,
}

/// Flows, packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "field names are those of the output"
)]
pub struct BytesView {
    /// Flows, where they ended.
    pub flows: u64,
    /// Packets both ways.
    pub packets: u64,
    /// Bytes that left.
    pub bytes_out: u64,
    /// Bytes that came.
    pub bytes_in: u64,
}

impl From<Traffic> for BytesView {
    fn from(traffic: Traffic) -> Self {
        Self {
            flows: traffic.flows,
            packets: traffic.packets,
            bytes_out: traffic.bytes_out,
            bytes_in: traffic.bytes_in,
        }
    }
}

impl CountsView {
    fn of(row: &WatchRow) -> Self {
        Self {
            host_hours: row.hosts,
            host_hours_named: row.hosts_named,
            host_hours_encrypted_dns: row.hosts_encrypted_dns,
            tcp_two_way: row.tcp_two_way,
            tcp_one_way: row.tcp_one_way,
            questions: row.questions,
            questions_denied: row.questions_denied,
            total: row.total().into(),
            by_coverage: buckets(|coverage| row.cell(coverage)),
        }
    }
}

impl ZoneView {
    fn of(sums: &ZoneSums, site: Option<String>, zone: String) -> Self {
        let hour = |key: Option<WatchKey>| key.map_or_else(String::new, |key| rfc3339(key.begin()));
        Self {
            site,
            zone,
            first_hour: hour(sums.span.map(|(first, _)| first)),
            last_hour: hour(sums.span.map(|(_, last)| last)),
            hours: sums.hours,
            silent_hours: sums.hours.saturating_sub(sums.active_hours),
            minutes_watched: sums.slots * SLOT_SECONDS / 60,
            hosts: sums.hosts(),
            hosts_never_named: sums.never_named,
            hosts_ever_encrypted_dns: sums.encrypted_dns,
            counts: CountsView::of(&sums.row),
        }
    }
}

fn buckets(cell: impl Fn(Coverage) -> Traffic) -> BTreeMap<&'static str, BytesView> {
    Coverage::ALL
        .iter()
        .map(|coverage| (coverage.as_str(), cell(*coverage)))
        .filter(|(_, traffic)| traffic.packets > 0 || traffic.bytes() > 0 || traffic.flows > 0)
        .map(|(word, traffic)| (word, traffic.into()))
        .collect()
}

impl CoverageByZone {
    /// From the ledger; `outside` is what belongs to no flow.
    pub fn of(ledger: &Ledger, outside: &ByteLedger, sites: &[String]) -> Self {
        let watch = ledger.watch();
        let site = |scope: u16| {
            let name = sites
                .get(usize::from(scope))
                .filter(|name| !name.is_empty());
            name.cloned()
        };
        let hours = watch.rows().map(|(key, row)| HourView {
            site: site(key.scope),
            zone: watch.zone_name(key.zone).to_owned(),
            hour: rfc3339(key.begin()),
            minutes_watched: u64::from(row.slots_watched()) * SLOT_SECONDS / 60,
            counts: CountsView::of(row),
        });
        Self {
            zones: ZoneSums::all(watch)
                .into_iter()
                .map(|((scope, zone), sums)| {
                    ZoneView::of(&sums, site(scope), watch.zone_name(zone).to_owned())
                })
                .collect(),
            hours: hours.collect(),
            folded: CountsView::of(watch.folded()),
            folded_hours: watch.folded_hours,
            outside_flows: buckets(|coverage| outside.cell(Locality::Outbound, coverage)),
            hosts_refused: watch.hosts_refused,
            late: watch.late,
        }
    }
}
