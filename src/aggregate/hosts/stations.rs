//! Addresses on links → whether the station is a host of its own or a router that speaks for many.
//!
//! **Invariants**: bounded; what is a router once stays one.

use std::collections::HashMap;

use super::HostLimits;
use crate::decode::{Address, Mac};

/// Virtual routers of both versions share these five bytes (RFC 9568 §7.3).
const VIRTUAL_ROUTER: [u8; 5] = [0, 0, 0x5e, 0, 1];
const VIRTUAL_ROUTER_V6: [u8; 5] = [0, 0, 0x5e, 0, 2];

/// What is known of a station once it has spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Station {
    /// It speaks for itself, as far as was seen.
    Own,
    /// It speaks for others.
    Router,
    /// It has just turned out to speak for others: for these addresses so far.
    TurnedRouter(Vec<Address>),
    /// There was no room to remember it.
    Unknown,
}

#[derive(Clone, Debug, Default)]
struct Spoken {
    v4: Vec<Address>,
    v6: Vec<Address>,
    is_router: bool,
}

/// Stations and the addresses that they speak for.
#[derive(Clone, Debug, Default)]
pub(super) struct Stations {
    all: HashMap<(u16, Mac), Spoken>,
    /// Sightings of stations that found no room.
    pub refused: u64,
    /// Stations that are routers.
    pub routers: u64,
}

impl Stations {
    /// A packet of `address` came from the station.
    pub fn spoke(
        &mut self,
        scope: u16,
        mac: Mac,
        address: Address,
        limits: &HostLimits,
    ) -> Station {
        if !self.all.contains_key(&(scope, mac)) && self.all.len() >= limits.stations_max {
            self.refused += 1;
            return Station::Unknown;
        }
        let spoken = self.all.entry((scope, mac)).or_default();
        if spoken.is_router {
            return Station::Router;
        }
        let (list, most) = if is_v4(&address) {
            (&mut spoken.v4, limits.station_addresses_max)
        } else {
            (&mut spoken.v6, limits.station_addresses_v6_max)
        };
        if !list.contains(&address) {
            list.push(address);
        }
        let is_virtual = mac.starts_with(&VIRTUAL_ROUTER) || mac.starts_with(&VIRTUAL_ROUTER_V6);
        if list.len() <= most && !is_virtual {
            return Station::Own;
        }
        spoken.is_router = true;
        self.routers += 1;
        let mut addresses = std::mem::take(&mut spoken.v4);
        addresses.append(&mut spoken.v6);
        Station::TurnedRouter(addresses)
    }

    /// Forgets all of them: another world has stations of its own.
    pub fn clear(&mut self) {
        self.all.clear();
    }
}

fn is_v4(address: &Address) -> bool {
    address.starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> Address {
        let mut address = [0; 16];
        address[10..12].copy_from_slice(&[0xff; 2]);
        address[12..].copy_from_slice(&[10, 0, 0, last]);
        address
    }

    #[test]
    fn who_speaks_for_many_is_a_router_and_the_families_count_apart() {
        let limits = HostLimits::default();
        let mut stations = Stations::default();
        let mac = [2, 0, 0, 0, 0, 1];
        for last in 1..=4 {
            assert_eq!(stations.spoke(0, mac, v4(last), &limits), Station::Own);
        }
        for last in 1..=16 {
            assert_eq!(stations.spoke(0, mac, [last; 16], &limits), Station::Own);
        }
        assert_eq!(stations.spoke(0, mac, v4(1), &limits), Station::Own);
        let turned = stations.spoke(0, mac, v4(5), &limits);
        let Station::TurnedRouter(addresses) = turned else {
            panic!("{turned:?}");
        };
        assert_eq!(addresses.len(), 5 + 16);
        assert_eq!(stations.spoke(0, mac, v4(1), &limits), Station::Router);
        // At another site it is another station.
        assert_eq!(stations.spoke(1, mac, v4(1), &limits), Station::Own);
    }

    #[test]
    fn a_virtual_router_is_one_at_once_and_there_is_a_bound() {
        let limits = HostLimits {
            stations_max: 2,
            ..HostLimits::default()
        };
        let mut stations = Stations::default();
        let turned = stations.spoke(0, [0, 0, 0x5e, 0, 1, 7], v4(1), &limits);
        assert_eq!(turned, Station::TurnedRouter(vec![v4(1)]));
        assert_eq!(stations.spoke(0, [2; 6], v4(2), &limits), Station::Own);
        assert_eq!(stations.spoke(0, [4; 6], v4(3), &limits), Station::Unknown);
        assert_eq!(stations.spoke(0, [2; 6], v4(2), &limits), Station::Own);
        assert_eq!((stations.refused, stations.routers), (1, 1));
    }
}
