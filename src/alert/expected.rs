//! The opposite question: which hosts are active, and do *not* speak to the vendor that is expected in their zone?

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};

use serde::Serialize;

use crate::aggregate::{Host, Ledger};
use crate::flow::{ZoneId, ZoneTable};
use crate::model::{Timestamp, Verdict};

/// Hosts listed of one zone and vendor; the rest is counted.
const LISTED_MAX: usize = 1000;

/// Vendors that a zone's hosts are to speak to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Identifiers of vendors by zone; `None` is every home host.
    pub by_zone: Vec<(Option<ZoneId>, Vec<String>)>,
    /// Hours of packet time in which a host must have spoken with the outside to count as active.
    pub active_hours_min: u32,
}

/// What was found of one zone and vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExpectedZone {
    /// The zone; `None` is every home host.
    pub zone: Option<String>,
    /// Identifier of the vendor.
    pub vendor: String,
    /// Hosts that were active long enough to judge.
    pub active_hosts: u64,
    /// Those of them that spoke to the vendor's servers, or tried.
    pub speaking_hosts: u64,
    /// Hosts that were seen too briefly to judge.
    pub briefly_active_hosts: u64,
    /// Active hosts that did not; at most a thousand.
    pub silent: Vec<Silent>,
    /// How many did not.
    pub silent_hosts: u64,
}

/// An active host that does not speak to the vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Silent {
    /// Where it is, where that was given.
    pub site: Option<String>,
    /// Its address.
    pub host: IpAddr,
    /// Hours of packet time in which it spoke with the outside.
    pub active_hours: u32,
}

/// In how many hours each home host spoke with the outside; at most so many hosts.
#[derive(Debug, Default)]
pub struct Activity {
    hosts: HashMap<Host, Active>,
    most: usize,
    /// Flows of hosts that found no room.
    pub refused: u64,
}

#[derive(Clone, Copy, Debug)]
struct Active {
    hours: u32,
    latest: u64,
}

impl Activity {
    /// Room for `most` hosts.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            ..Self::default()
        }
    }

    /// The host was active at that time. Flows report in the order of their ends, so hours come in order but for a few.
    pub fn add(&mut self, host: Host, at: Timestamp) {
        let hour = at.as_seconds() / 3600;
        if let Some(active) = self.hosts.get_mut(&host) {
            if hour > active.latest {
                active.hours = active.hours.saturating_add(1);
                active.latest = hour;
            }
        } else if self.hosts.len() < self.most {
            let active = Active {
                hours: 1,
                latest: hour,
            };
            self.hosts.insert(host, active);
        } else {
            self.refused += 1;
        }
    }
}

impl Expected {
    /// Whether the vendor is expected in the zone: then it is nothing to be told of.
    pub fn contains(&self, zone: Option<ZoneId>, vendor: &str) -> bool {
        self.by_zone.iter().any(|(where_, vendors)| {
            (where_.is_none() || *where_ == zone) && vendors.iter().any(|known| known == vendor)
        })
    }

    /// Compares who was active with who spoke to whom.
    pub fn compare(
        &self,
        activity: &Activity,
        ledger: &Ledger,
        zones: &ZoneTable,
        site_of: impl Fn(u16) -> Option<String>,
    ) -> Vec<ExpectedZone> {
        // A visit to the vendor's web site is not the agent.
        let speaking: BTreeSet<(Host, &str)> = ledger
            .exposures()
            .iter()
            .filter(|(key, exposure)| {
                ledger.exposures().verdict(key, exposure).0 != Verdict::Visited
            })
            .map(|(key, _)| {
                let vendor = ledger.rules().vendor(key.vendor).id.as_str();
                ((key.scope, key.host, key.tenancy), vendor)
            })
            .collect();
        let mut hosts: Vec<(&Host, &Active)> = activity.hosts.iter().collect();
        hosts.sort_by_key(|(host, _)| **host);
        let mut found = Vec::new();
        for (zone, vendors) in &self.by_zone {
            for vendor in vendors {
                let mut here = ExpectedZone {
                    zone: zone.and_then(|zone| zones.name(zone)).map(str::to_owned),
                    vendor: vendor.clone(),
                    active_hosts: 0,
                    speaking_hosts: 0,
                    briefly_active_hosts: 0,
                    silent: Vec::new(),
                    silent_hosts: 0,
                };
                for (host, active) in &hosts {
                    let (scope, address, _) = **host;
                    if zone.is_some() && zones.zone_of(&address) != *zone {
                        continue;
                    }
                    if active.hours < self.active_hours_min {
                        here.briefly_active_hosts += 1;
                        continue;
                    }
                    here.active_hosts += 1;
                    if speaking.contains(&(**host, vendor.as_str())) {
                        here.speaking_hosts += 1;
                        continue;
                    }
                    here.silent_hosts += 1;
                    if here.silent.len() < LISTED_MAX {
                        here.silent.push(Silent {
                            site: site_of(scope),
                            host: Ipv6Addr::from(address).to_canonical(),
                            active_hours: active.hours,
                        });
                    }
                }
                found.push(here);
            }
        }
        found
    }
}
