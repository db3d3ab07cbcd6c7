//! How many home hosts were seen, in which roles, and what the registry refused.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::aggregate::Ledger;
use crate::model::{HostRole, TenancyCause};

/// Hosts that were seen, and what was refused.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HostsSeen {
    /// Home addresses.
    pub addresses: u64,
    /// Hosts that had them.
    pub hosts: u64,
    /// Those that never said a name that can be read.
    pub without_name: u64,
    /// By role; endpoints have no other.
    pub by_role: BTreeMap<HostRole, u64>,
    /// Addresses that changed hands, by what showed it.
    pub changes: BTreeMap<TenancyCause, u64>,
    /// Changes that found no room.
    pub changes_refused: u64,
    /// Flows from another station that were no change of hands, or not yet.
    pub station_conflicts: u64,
    /// Hosts told apart by a station that is a router.
    pub doubtful: u64,
    /// Addresses whose stations come and go.
    pub addresses_joined: u64,
    /// Stations that are routers.
    pub routers: u64,
    /// Sightings of addresses that found no room.
    pub refused: u64,
    /// Sightings of stations that found no room.
    pub stations_refused: u64,
    /// DHCP questions that gave way before they were answered.
    pub leases_forgotten: u64,
}

/// Exposures of hosts that speak for themselves, and of those that may speak for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Apart {
    /// Exposures of hosts that speak for themselves.
    pub exposures: u64,
    /// Those hosts.
    pub hosts: u64,
    /// Exposures of hosts that may speak for others there.
    pub relay_exposures: u64,
    /// Those hosts.
    pub relays: u64,
}

impl HostsSeen {
    /// What a ledger counted.
    pub fn of(ledger: &Ledger) -> Self {
        let hosts = ledger.hosts();
        let counters = hosts.counters();
        let (stations_refused, routers) = hosts.stations();
        let mut seen = Self {
            changes_refused: counters.changes_refused,
            station_conflicts: counters.station_conflicts,
            doubtful: counters.doubtful,
            addresses_joined: counters.addresses_joined,
            routers,
            refused: counters.refused,
            stations_refused,
            leases_forgotten: hosts.leases_forgotten(),
            by_role: HostRole::ALL.iter().map(|role| (*role, 0)).collect(),
            changes: [TenancyCause::Dhcp, TenancyCause::Link]
                .iter()
                .map(|cause| (*cause, counters.changes[cause.index()]))
                .collect(),
            ..Self::default()
        };
        for (host, tenancy) in hosts.iter() {
            seen.hosts += 1;
            seen.addresses += u64::from(host.2 == 0);
            seen.without_name += u64::from(!tenancy.has_named());
            let mut roles: Vec<_> = hosts
                .roles(host, ledger.rules())
                .iter()
                .map(|role| role.role)
                .collect();
            if roles.is_empty() {
                roles.push(HostRole::Endpoint);
            }
            roles.dedup();
            for role in roles {
                *seen.by_role.entry(role).or_default() += 1;
            }
        }
        seen
    }
}
