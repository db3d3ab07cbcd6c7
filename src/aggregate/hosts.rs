//! Ordered events → the home hosts: who had an address when, what it is called, where it is on the segment, for whom it speaks.
//!
//! A host is an address at a site for as long as nothing shows that the address has changed hands; `docs/HOSTS.md` has what shows
//! it. **Invariants**: bounded, and every refusal counted; nothing here depends on anything but the order of events; nothing is done
//! for single packets.

mod leases;
mod limits;
mod occupancy;
mod roles;
mod said;
mod signs;
mod stations;
mod tenancy;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::HashMap;

use leases::Leases;
use occupancy::{Moment, Occupancy};
use stations::{Station, Stations};

use super::{DnsTransaction, EventRun, FlowOpened, FlowReported, Host, MessageObserved};
use crate::attribute::{Indicates, RuleId, Ruleset};
use crate::decode::{Address, TCP};
use crate::flow::{Directed, Endpoint, HomeNetworks};
use crate::model::{Confidence, EvidenceKind, Locality, Purpose, TenancyCause, Timestamp};

pub use limits::HostLimits;
pub use roles::RoleFound;
pub use signs::{Clients, HopLimits, RelaySign, Signs, VendorSign};
pub use tenancy::{Lease, LinkSeen, NameSeen, Tenancy, VlanSeen};

/// The port of name servers.
const DNS_PORT: u16 = 53;

/// An address at a site.
pub type Place = (u16, Address);

/// What the registry counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCounters {
    /// Sightings of addresses that found no room.
    pub refused: u64,
    /// Changes of hands, by what showed them; the first host of an address is none.
    pub changes: [u64; TenancyCause::COUNT],
    /// Changes that found no room: the address stays with the host that it had.
    pub changes_refused: u64,
    /// Flows from another station than the host's that were no change of hands, or not yet.
    pub station_conflicts: u64,
    /// Hosts that were told apart by a station which is a router.
    pub doubtful: u64,
    /// Addresses whose stations come and go: one host with several cards.
    pub addresses_joined: u64,
}

/// The home hosts.
#[derive(Clone, Debug)]
pub struct Hosts {
    limits: HostLimits,
    numbers: HashMap<Place, u32>,
    /// What was looked up last. Address 0 is nobody's.
    last: Cell<(Place, usize)>,
    all: Vec<(Place, Occupancy)>,
    stations: Stations,
    leases: Leases,
    world: u32,
    counters: HostCounters,
}

impl Hosts {
    /// Nobody yet.
    pub fn new(limits: HostLimits) -> Self {
        Self {
            limits,
            numbers: HashMap::new(),
            last: Cell::new(((u16::MAX, [0; 16]), usize::MAX)),
            all: Vec::new(),
            stations: Stations::default(),
            leases: Leases::default(),
            world: 0,
            counters: HostCounters::default(),
        }
    }

    /// Which host has the address at that frame: the first has number 0.
    pub fn host_at(&self, scope: u16, address: Address, seq: u64) -> Host {
        let occupancy = self.occupancy(scope, address);
        let number = occupancy.map_or(0, |occupancy| occupancy.number_at(seq));
        (scope, address, number)
    }

    /// What is known of a host.
    pub fn get(&self, (scope, address, number): Host) -> Option<&Tenancy> {
        self.occupancy(scope, address)?.get(number)
    }

    /// All of them, by site and address, and those of one address in the order in which they had it.
    pub fn iter(&self) -> impl Iterator<Item = (Host, &Tenancy)> {
        let mut all: Vec<_> = self.all.iter().collect();
        all.sort_unstable_by_key(|(place, _)| *place);
        all.into_iter().flat_map(|((scope, address), occupancy)| {
            let numbered = (0u16..).zip(occupancy.iter());
            numbered.map(|(number, tenancy)| ((*scope, *address, number), tenancy))
        })
    }

    /// How many hosts the address had.
    pub fn hosts_of(&self, scope: u16, address: Address) -> usize {
        self.occupancy(scope, address).map_or(0, Occupancy::len)
    }

    /// For whom a host speaks, beside itself.
    pub fn roles(&self, host: Host, rules: &Ruleset) -> Vec<RoleFound> {
        self.get(host)
            .map(|tenancy| roles::roles(tenancy, &self.limits, rules))
            .unwrap_or_default()
    }

    /// What was counted.
    pub const fn counters(&self) -> &HostCounters {
        &self.counters
    }

    /// Sightings of stations that found no room, and stations that are routers.
    pub const fn stations(&self) -> (u64, u64) {
        (self.stations.refused, self.stations.routers)
    }

    /// DHCP questions that gave way to later ones before they were answered.
    pub const fn leases_forgotten(&self) -> u64 {
        self.leases.forgotten
    }

    /// What follows comes from another world: stations and leases there are others.
    pub(super) fn next_world(&mut self) {
        self.world = self.world.saturating_add(1);
        self.stations.clear();
        self.leases.clear();
    }

    pub(super) fn opened(&mut self, opened: &FlowOpened, home: &HomeNetworks) {
        let (sender, scope) = (opened.sender(), opened.key.scope());
        let now = self.moment(opened.frame.seq, opened.frame.time);
        let station = opened.source.mac.map(|mac| {
            let is_host = self.occupancy(scope, sender.address);
            let spoke = if is_host.is_some_and(|host| host.is_on(mac, now.world)) {
                Station::Own
            } else {
                self.stations
                    .spoke(scope, mac, sender.address, &self.limits)
            };
            (mac, spoke)
        });
        if let Some((mac, Station::TurnedRouter(addresses))) = &station {
            for address in addresses {
                if let Some(number) = self.known((scope, *address))
                    && let Some((_, occupancy)) = self.all.get_mut(number)
                {
                    occupancy.turned_router(*mac, now, &mut self.counters);
                }
            }
        }
        if !names_a_host(&sender.address, home) {
            return;
        }
        let limits = self.limits;
        let Some(at) = self.number(scope, sender.address, now.time) else {
            return;
        };
        let Some((_, occupancy)) = self.all.get_mut(at) else {
            return;
        };
        match station {
            Some((mac, Station::Own)) => {
                occupancy.on_link(mac, now, &limits, &mut self.counters);
            }
            Some((_, Station::Router | Station::TurnedRouter(_))) => {
                if let Some(tenancy) = occupancy.at(now.seq) {
                    tenancy.routed = true;
                }
            }
            Some((_, Station::Unknown)) | None => {}
        }
        let Some(tenancy) = occupancy.at(now.seq) else {
            return;
        };
        tenancy.seen(now.time, now.time);
        tenancy.in_vlan(opened.source.vlan, now.time);
        if opened.direction == Directed::FromInitiator {
            tenancy.flows_begun = tenancy.flows_begun.saturating_add(1);
            if opened.locality == Locality::Outbound {
                tenancy.flows_out = tenancy.flows_out.saturating_add(1);
            }
            // The system decides over TCP; programs choose for datagrams, as for multicast.
            if opened.key.protocol() == TCP {
                tenancy.hop_limits.add(opened.source.hop_limit);
            }
        }
    }

    pub(super) fn observed(
        &mut self,
        observed: &MessageObserved,
        run: &EventRun,
        via_proxy: bool,
        home: &HomeNetworks,
    ) {
        let (scope, seq) = (observed.key.scope(), observed.first_seq);
        let (client, server) = (observed.client.address, observed.server.address);
        let facts = run.facts(observed.facts);
        let is_a_name = |kind| {
            !matches!(
                kind,
                EvidenceKind::HttpUserAgent | EvidenceKind::HttpUri | EvidenceKind::Ja4
            )
        };
        let client_is_host = names_a_host(&client, home);
        if client_is_host && let Some(tenancy) = self.at(scope, client, seq) {
            // What a certificate says was said by the server.
            let says_a_name = facts
                .iter()
                .any(|fact| is_a_name(fact.kind) && fact.kind != EvidenceKind::TlsCert);
            tenancy.messages_named += u64::from(says_a_name);
            let programs = facts
                .iter()
                .filter(|fact| fact.kind == EvidenceKind::HttpUserAgent);
            for program in programs {
                tenancy.signs().system(run.text(program.text));
            }
        }
        if !via_proxy || !client_is_host || client == server || !names_a_host(&server, home) {
            return;
        }
        // Who is asked over a connection has answered its beginning.
        if self.number(scope, server, observed.time).is_none() {
            return;
        }
        if let Some(tenancy) = self.at(scope, server, seq) {
            let asks = |kind| {
                matches!(
                    kind,
                    EvidenceKind::HttpConnect | EvidenceKind::Socks | EvidenceKind::HttpHost
                )
            };
            let asks = facts.is_empty() || facts.iter().any(|fact| asks(fact.kind));
            let signs = tenancy.signs();
            signs.proxy_clients.add(client);
            if asks {
                signs.proxy_requests = signs.proxy_requests.saturating_add(1);
            } else {
                signs.proxy_tunnels = signs.proxy_tunnels.saturating_add(1);
            }
        }
    }

    pub(super) fn asked(&mut self, transaction: &DnsTransaction, home: &HomeNetworks) {
        let (scope, seq) = (transaction.key.scope(), transaction.first_seq);
        let (client, server) = (transaction.client, transaction.server);
        let of_server = transaction.kind == EvidenceKind::DnsQuery;
        let client_is_host = names_a_host(&client.address, home);
        if client_is_host && let Some(tenancy) = self.at(scope, client.address, seq) {
            tenancy.questions = tenancy.questions.saturating_add(1);
            if of_server && client.address != server.address {
                tenancy.questions_asked = tenancy.questions_asked.saturating_add(1);
            }
        }
        let answers = of_server && server.port == DNS_PORT && transaction.response.is_some();
        if answers
            && client_is_host
            && client.address != server.address
            && names_a_host(&server.address, home)
            && self
                .number(scope, server.address, transaction.frame().time)
                .is_some()
            && let Some(tenancy) = self.at(scope, server.address, seq)
        {
            tenancy.signs().resolver_clients.add(client.address);
        }
    }

    pub(super) fn reported(
        &mut self,
        reported: &FlowReported,
        home: &HomeNetworks,
        rules: &Ruleset,
    ) {
        let record = &reported.record;
        let (scope, seq) = (record.key.scope(), record.first_seq);
        let (client, server) = (record.initiator, record.responder);
        let client_is_host = names_a_host(&client.address, home);
        if client_is_host && let Some(tenancy) = self.at(scope, client.address, seq) {
            tenancy.seen(record.start, record.end);
            tenancy.encrypted_dns |= record.encrypted_dns;
        }
        let [_, answered] = record.total.packets;
        if answered == 0 || !names_a_host(&server.address, home) {
            return;
        }
        if self.number(scope, server.address, record.start).is_none() {
            return;
        }
        let relays = rules.relays_at(record.key.protocol(), server.port);
        if let Some(tenancy) = self.at(scope, server.address, seq) {
            tenancy.seen(record.start, record.end);
            if reported.last {
                tenancy.flows_answered = tenancy.flows_answered.saturating_add(1);
            }
            if !reported.last || !client_is_host || client.address == server.address {
                return;
            }
            for relay in relays {
                let Endpoint { port, .. } = server;
                let protocol = record.key.protocol();
                tenancy
                    .signs()
                    .relay(relay.vendor, port, protocol, client.address);
            }
        }
    }

    /// A contact of a host with a vendor.
    pub(super) fn contacted(
        &mut self,
        host: Host,
        rule: RuleId,
        confidence: Confidence,
        rules: &Ruleset,
    ) {
        let (scope, address, number) = host;
        let rule = rules.rule(rule);
        let occupancy = self.occupancy_mut(scope, address);
        let Some(tenancy) = occupancy.and_then(|occupancy| occupancy.get_mut(number)) else {
            return;
        };
        let of_product = rule.indicates == Indicates::Product
            && rule.purpose != Purpose::Web
            && confidence > Confidence::Low;
        let signs = tenancy.signs();
        signs.vendor(rule.vendor, of_product);
        if let Some(engine) = rule.engine.filter(|engine| engine.vendor != rule.vendor) {
            signs.vendor(engine.vendor, false);
        }
    }

    fn moment(&self, seq: u64, time: Timestamp) -> Moment {
        Moment {
            seq,
            time,
            world: self.world,
        }
    }

    /// The host that has the address at that frame, if the address is known.
    fn at(&mut self, scope: u16, address: Address, seq: u64) -> Option<&mut Tenancy> {
        self.occupancy_mut(scope, address)?.at(seq)
    }

    fn occupancy(&self, scope: u16, address: Address) -> Option<&Occupancy> {
        let (_, occupancy) = self.all.get(self.known((scope, address))?)?;
        Some(occupancy)
    }

    fn occupancy_mut(&mut self, scope: u16, address: Address) -> Option<&mut Occupancy> {
        let number = self.known((scope, address))?;
        let (_, occupancy) = self.all.get_mut(number)?;
        Some(occupancy)
    }

    /// Where the address is kept. One event asks several times for the same.
    fn known(&self, place: Place) -> Option<usize> {
        let (last, number) = self.last.get();
        if last == place {
            return Some(number);
        }
        let number = *self.numbers.get(&place)? as usize;
        self.last.set((place, number));
        Some(number)
    }

    /// Where the address is kept, from now on if it was not; `None` if there is no room.
    fn number(&mut self, scope: u16, address: Address, time: Timestamp) -> Option<usize> {
        let place = (scope, address);
        if let Some(number) = self.known(place) {
            return Some(number);
        }
        if self.all.len() >= self.limits.addresses_max {
            self.counters.refused += 1;
            return None;
        }
        let number = self.all.len();
        self.numbers.insert(place, number as u32);
        self.all.push((place, Occupancy::new(time, self.world)));
        Some(number)
    }
}

/// Whether an address is one of a home host: neither of everybody nor of nobody, and not the same on every segment.
fn names_a_host(address: &Address, home: &HomeNetworks) -> bool {
    let local = match std::net::Ipv6Addr::from(*address).to_canonical() {
        std::net::IpAddr::V4(v4) => {
            v4.octets()[0] == 0
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
        }
        std::net::IpAddr::V6(v6) => {
            v6.is_unspecified()
                || v6.is_loopback()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
        }
    };
    !local && home.contains(address)
}
