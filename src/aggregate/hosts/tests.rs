//! Who has an address when: leases and stations in any order.

use proptest::prelude::*;

use super::occupancy::{Moment, Occupancy};
use super::tenancy::Given;
use super::{HostCounters, HostLimits};
use crate::decode::Mac;
use crate::model::{TenancyCause, Timestamp};

fn at(seconds: u64) -> Moment {
    Moment {
        seq: seconds,
        time: Timestamp::from_parts(seconds, 0),
        world: 0,
    }
}

fn mac(last: u8) -> Mac {
    [2, 0, 0, 0, 0, last]
}

/// One address, and what was counted.
struct Case {
    occupancy: Occupancy,
    counters: HostCounters,
    limits: HostLimits,
}

impl Case {
    fn new() -> Self {
        Self {
            occupancy: Occupancy::new(Timestamp::from_parts(0, 0), 0),
            counters: HostCounters::default(),
            limits: HostLimits::default(),
        }
    }

    fn station(&mut self, last: u8, now: Moment) {
        let (limits, counters) = (&self.limits, &mut self.counters);
        self.occupancy.on_link(mac(last), now, limits, counters);
    }

    fn lease(&mut self, card: Option<u8>, client_id: &[u8], v6: bool, now: Moment) {
        let given = Given {
            mac: card.map(mac),
            client_id,
            vendor_class: b"",
            seconds: Some(3600),
            time: now.time,
            on_segment: true,
            renewed: false,
            v6,
        };
        let (limits, counters) = (&self.limits, &mut self.counters);
        self.occupancy.leased(given, now, limits, counters);
    }

    fn hosts(&self) -> usize {
        self.occupancy.len()
    }
}

#[test]
fn a_client_is_its_identifier_or_else_its_card() {
    let mut case = Case::new();
    case.lease(Some(1), b"laptop", false, at(1));
    // A docking station, then a boot loader on the card of that.
    case.lease(Some(2), b"laptop", false, at(2));
    case.lease(Some(2), b"loader", false, at(3));
    // A server that repeats nothing.
    case.lease(None, b"", false, at(4));
    assert_eq!(case.hosts(), 1);
    case.lease(Some(3), b"other", false, at(5));
    assert_eq!(case.hosts(), 2);
    // And back: the host is known by the last that was heard of it.
    case.lease(Some(2), b"loader", false, at(6));
    assert_eq!(case.hosts(), 2);
    assert_eq!(
        [4, 5, 6].map(|seq| case.occupancy.number_at(seq)),
        [0, 1, 0]
    );
    assert_eq!(case.counters.changes[TenancyCause::Dhcp.index()], 2);
}

#[test]
fn of_ipv6_the_identifier_counts_whatever_card_is_in_it() {
    let mut case = Case::new();
    case.station(1, at(1));
    case.lease(Some(9), b"duid-one", true, at(2));
    case.station(1, at(3));
    case.lease(Some(8), b"duid-one", true, at(4));
    assert_eq!(case.hosts(), 1);
    case.lease(Some(9), b"duid-two", true, at(5));
    assert_eq!(case.hosts(), 2);
}

#[test]
fn an_address_that_was_given_back_is_free_at_once() {
    let mut case = Case::new();
    case.lease(Some(1), b"one", false, at(1));
    case.station(1, at(2));
    case.station(2, at(3));
    assert_eq!(case.hosts(), 1);
    case.occupancy.released(Some(mac(1)), b"one", at(4).time);
    case.station(2, at(5));
    assert_eq!(case.hosts(), 2);
}

#[test]
fn a_lease_for_another_card_than_the_station_has_is_another_host_unless_renewed() {
    let mut case = Case::new();
    case.station(1, at(1));
    case.lease(Some(2), b"", false, at(2));
    assert_eq!(case.hosts(), 2);
    // The card that was given the address speaks.
    case.station(2, at(3));
    assert_eq!(case.hosts(), 2);
    assert_eq!(case.occupancy.number_at(3), 1);
}

#[test]
fn another_world_has_stations_of_its_own() {
    let mut case = Case::new();
    case.station(1, at(1));
    let elsewhere = Moment {
        world: 1,
        ..at(1000)
    };
    case.station(2, elsewhere);
    case.lease(
        Some(3),
        b"three",
        false,
        Moment {
            world: 2,
            ..elsewhere
        },
    );
    assert_eq!(case.hosts(), 1);
    assert_eq!(case.counters, HostCounters::default());
}

proptest! {
    #[test]
    fn whatever_happens_every_frame_has_one_host_and_the_past_stays(
        steps in proptest::collection::vec((0u8..4, 0u8..5, 1u64..700), 1..200),
    ) {
        let mut case = Case::new();
        let mut now = 0;
        let mut told = Vec::new();
        for (what, who, pause) in steps {
            now += pause;
            match what {
                0 | 1 => case.station(who, at(now)),
                2 => case.lease(Some(who), &[who], false, at(now)),
                _ => {
                    let (occupancy, counters) = (&mut case.occupancy, &mut case.counters);
                    occupancy.turned_router(mac(who), at(now), counters);
                }
            }
            let number = case.occupancy.number_at(now);
            prop_assert!(usize::from(number) < case.hosts());
            prop_assert!(case.hosts() <= case.limits.tenancies_max);
            told.push((now, number));
            for (seq, number) in &told {
                prop_assert_eq!(case.occupancy.number_at(*seq), *number);
            }
        }
    }
}
