//! Who has one address when: the hosts that it belonged to in turn, and from which frame on.
//!
//! **Invariants**: bounded; a frame belongs to exactly one of the hosts; what has once been told of a host stays told.

use super::tenancy::{Given, Tenancy};
use super::{HostCounters, HostLimits};
use crate::decode::Mac;
use crate::model::{TenancyCause, Timestamp};

/// Changes of hands of one address that are kept; one that changes more often is shared, not handed over.
const CHANGES_MAX: usize = 64;
/// How often an address may go back to a station that had it: more often the stations are one host with several cards.
const RETURNS_MAX: u32 = 2;

/// One address and its hosts.
#[derive(Clone, Debug)]
pub(super) struct Occupancy {
    /// The first; most addresses have no other, and it lies where they do.
    first: Tenancy,
    /// The others, in the order in which they came.
    later: Vec<Tenancy>,
    /// From which frame on which of them; before all of these the first.
    changes: Vec<(u64, u16)>,
    /// Another station that has begun flows in a row.
    candidate: Option<(Mac, u32)>,
    /// Times that a station came back.
    returns: u32,
    /// Its stations are one host's.
    joined: bool,
}

/// Where and when something is seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub seq: u64,
    pub time: Timestamp,
    pub world: u32,
}

impl Occupancy {
    pub fn new(time: Timestamp, world: u32) -> Self {
        Self {
            first: Tenancy::new(TenancyCause::First, time, world),
            later: Vec::new(),
            changes: Vec::new(),
            candidate: None,
            returns: 0,
            joined: false,
        }
    }

    /// Which of the hosts a frame belongs to.
    pub fn number_at(&self, seq: u64) -> u16 {
        let behind = self.changes.partition_point(|(from, _)| *from <= seq);
        let last = behind.checked_sub(1).and_then(|at| self.changes.get(at));
        last.map_or(0, |(_, number)| *number)
    }

    /// That host.
    pub fn at(&mut self, seq: u64) -> Option<&mut Tenancy> {
        self.get_mut(self.number_at(seq))
    }

    /// One of them.
    pub fn get(&self, number: u16) -> Option<&Tenancy> {
        match usize::from(number).checked_sub(1) {
            None => Some(&self.first),
            Some(later) => self.later.get(later),
        }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, number: u16) -> Option<&mut Tenancy> {
        match usize::from(number).checked_sub(1) {
            None => Some(&mut self.first),
            Some(later) => self.later.get_mut(later),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.later.len().saturating_add(1)
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &Tenancy> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// The station that the address is known to be on, if that speaks for itself: what needs no second look.
    pub fn is_on(&self, mac: Mac, world: u32) -> bool {
        let current = self.get(self.current());
        current.is_some_and(|tenancy| {
            tenancy.world == world && tenancy.link.is_some_and(|link| link.mac == mac)
        })
    }

    fn current(&self) -> u16 {
        self.changes.last().map_or(0, |(_, number)| *number)
    }

    fn current_tenancy(&mut self) -> Option<&mut Tenancy> {
        self.get_mut(self.current())
    }

    /// A flow's first packet came from a station that speaks for itself.
    pub fn on_link(
        &mut self,
        mac: Mac,
        now: Moment,
        limits: &HostLimits,
        counters: &mut HostCounters,
    ) {
        let joined = self.joined;
        let Some(tenancy) = self.current_tenancy() else {
            return;
        };
        let of_lease = tenancy.lease.as_ref().and_then(|lease| lease.mac);
        if tenancy.remote && tenancy.world == now.world {
            // What DHCP says of its card is right, and who sent the frame is a router; unless the card itself speaks.
            tenancy.remote = of_lease != Some(mac);
            if tenancy.remote {
                tenancy.routed = true;
                return;
            }
        }
        // Of another world it is not known who had the address there.
        let comparable = tenancy.world == now.world;
        let known = tenancy.link.map(|link| link.mac).or(of_lease);
        let same = [tenancy.link.map(|link| link.mac), of_lease].contains(&Some(mac));
        if same || known.is_none() || !comparable {
            tenancy.on_link(mac, now.time, now.world);
            self.candidate = None;
            return;
        }
        if joined {
            return;
        }
        let lease_time = tenancy.lease.as_ref().map(|lease| lease.last_seen);
        let last = tenancy.link.map(|link| link.last_seen).max(lease_time);
        let released = tenancy.lease.as_ref().is_some_and(|lease| lease.released);
        let silent =
            released || last.is_none_or(|last| now.time.since(last) >= limits.station_silence);
        let flows = match self.candidate {
            Some((candidate, flows)) if candidate == mac => flows.saturating_add(1),
            _ => 1,
        };
        if !silent && flows < limits.station_flows_min {
            self.candidate = Some((mac, flows));
            counters.station_conflicts += 1;
            return;
        }
        let had = self.iter().position(|tenancy| {
            tenancy.world == now.world && tenancy.link.is_some_and(|link| link.mac == mac)
        });
        if had.is_some() {
            self.returns = self.returns.saturating_add(1);
            if self.returns > RETURNS_MAX {
                self.joined = true;
                counters.addresses_joined += 1;
                return;
            }
        }
        if self.change(had, TenancyCause::Link, now, limits, counters) {
            self.candidate = None;
            if let Some(tenancy) = self.current_tenancy() {
                tenancy.on_link(mac, now.time, now.world);
            }
        }
    }

    /// DHCP gives the address to a client.
    pub fn leased(
        &mut self,
        given: Given<'_>,
        now: Moment,
        limits: &HostLimits,
        counters: &mut HostCounters,
    ) {
        let (on_segment, renewed) = (given.on_segment, given.renewed);
        let Some(tenancy) = self.current_tenancy() else {
            return;
        };
        let of_link = tenancy.link.map(|link| link.mac);
        let comparable = tenancy.world == now.world;
        let card = given.mac.filter(|_| !given.v6);
        let same = !comparable
            || match &tenancy.lease {
                Some(lease) => is_client(lease, &given, card),
                None => of_link.is_none() || card.is_none() || renewed || !on_segment,
            }
            || card.is_some() && card == of_link;
        if !same {
            let had = self.iter().position(|tenancy| {
                let leased = tenancy.lease.as_ref();
                tenancy.world == now.world
                    && (leased.is_some_and(|lease| is_client(lease, &given, card))
                        || card.is_some() && card == tenancy.link.map(|link| link.mac))
            });
            if !self.change(had, TenancyCause::Dhcp, now, limits, counters) {
                return;
            }
            self.candidate = None;
        }
        let Some(tenancy) = self.current_tenancy() else {
            return;
        };
        tenancy.leased(given, now.world);
        if card.is_some() && tenancy.link.is_some_and(|link| Some(link.mac) != card) {
            // A client that is not on the segment is behind the station that was taken for it.
            tenancy.link = None;
            tenancy.routed |= !on_segment;
        }
        tenancy.remote = card.is_some() && !on_segment && tenancy.link.is_none();
    }

    /// The client gives the address back.
    pub fn released(&mut self, mac: Option<Mac>, client_id: &[u8], time: Timestamp) {
        let Some(lease) = self
            .current_tenancy()
            .and_then(|tenancy| tenancy.lease.as_mut())
        else {
            return;
        };
        let by_id = !client_id.is_empty() && *lease.client_id == *client_id;
        if by_id || mac.is_some() && lease.mac == mac {
            lease.released = true;
            lease.last_seen = lease.last_seen.max(time);
        }
    }

    /// A station that was taken for a host is a router: it says nothing of who has the address.
    pub fn turned_router(&mut self, mac: Mac, now: Moment, counters: &mut HostCounters) {
        let current = self.current();
        let mut back = false;
        // Who was told apart by it, or from it, may be the host before.
        let mut before_was = false;
        let all = std::iter::once(&mut self.first).chain(&mut self.later);
        for (number, tenancy) in (0u16..).zip(all) {
            let was =
                tenancy.world == now.world && tenancy.link.is_some_and(|link| link.mac == mac);
            let by_link = tenancy.cause == TenancyCause::Link;
            if was {
                tenancy.link = None;
                tenancy.routed = true;
                back |= by_link && number == current;
            }
            if by_link && (was || before_was) && !tenancy.doubtful {
                tenancy.doubtful = true;
                counters.doubtful += 1;
            }
            before_was = was;
        }
        if back && self.changes.len() < CHANGES_MAX {
            let before = self.changes.iter().rev().nth(1).map_or(0, |(_, at)| *at);
            self.changes.push((now.seq, before));
        }
    }

    /// The address is another host's from this frame on: one that had it, or a new one. False if there is no room.
    fn change(
        &mut self,
        had: Option<usize>,
        cause: TenancyCause,
        now: Moment,
        limits: &HostLimits,
        counters: &mut HostCounters,
    ) -> bool {
        let number = had.unwrap_or(self.len());
        let room = number < limits.tenancies_max.max(1) && self.changes.len() < CHANGES_MAX;
        let Some(number) = u16::try_from(number).ok().filter(|_| room) else {
            counters.changes_refused += 1;
            return false;
        };
        if had.is_none() {
            let tenancy = Tenancy::new(cause, now.time, now.world);
            self.later.push(tenancy);
        }
        counters.changes[cause.index()] += 1;
        self.changes.push((now.seq, number));
        true
    }
}

/// Whether a lease was given to the same client: by its identifier, which comes first (RFC 2131 §4.2), or else by its card.
fn is_client(lease: &super::Lease, given: &Given<'_>, card: Option<Mac>) -> bool {
    let same_id = !given.client_id.is_empty() && *lease.client_id == *given.client_id;
    let same_card = card.is_some() && lease.mac == card;
    let nothing = given.client_id.is_empty() && card.is_none();
    same_id || same_card || nothing
}
