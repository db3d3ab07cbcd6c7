//! How many hosts are known, and what it takes to say something of them.

use std::time::Duration;

/// Bounds of the registry, and thresholds of what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// Home addresses that are known.
    pub addresses_max: usize,
    /// Hosts that one address has in turn.
    pub tenancies_max: usize,
    /// Stations of segments that are followed.
    pub stations_max: usize,
    /// DHCP questions that wait for their answer.
    pub leases_pending_max: usize,
    /// A station that speaks for more addresses of IPv4 is a router.
    pub station_addresses_max: usize,
    /// And for more of IPv6.
    pub station_addresses_v6_max: usize,
    /// Flows in a row that another station must begin before an address has changed hands.
    pub station_flows_min: u32,
    /// For so long the station before must have begun none for one to be enough.
    pub station_silence: Duration,
    /// Other home hosts whose questions a resolver answers.
    pub resolver_clients_min: usize,
    /// Requests of other home hosts that a proxy gets, where none shows that it took them.
    pub proxy_requests_min: u64,
    /// Other home hosts that speak to a vendor's relay.
    pub relay_clients_min: usize,
    /// Flows or requests that each side of a sign of several hosts must show.
    pub nat_sightings_min: u32,
    /// Vendors whose products are hardly together on one host.
    pub nat_vendors_min: usize,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            // Some 500 bytes each: 32 MB when full.
            addresses_max: 1 << 16,
            // Leases of an hour in a capture of a day; beyond it an address says nothing of a host.
            tenancies_max: 32,
            // A station has one IPv4 address and some of IPv6.
            stations_max: 1 << 16,
            // An exchange takes seconds; a whole network that starts at once asks some thousand times.
            leases_pending_max: 1 << 12,
            // A server may have a few addresses; a router speaks for a network.
            station_addresses_max: 4,
            // A host has a link-local address, a stable one and a temporary one a day for a week in each prefix (RFC 8981 §3.8).
            station_addresses_v6_max: 16,
            // One stray or forged packet is no change of hands.
            station_flows_min: 3,
            // Longer than between two flows of a host that is on: agents call at least every few minutes.
            station_silence: Duration::from_secs(300),
            // Who answers one host's questions and asks on is a resolver.
            resolver_clients_min: 1,
            // A scanner tries every host once or twice.
            proxy_requests_min: 3,
            // The port is the vendor's and the host speaks to the vendor: one client makes both more than chance.
            relay_clients_min: 1,
            // Once may be a trace of the route or a forged packet.
            nat_sightings_min: 2,
            // A system's own protection beside a bought one is usual: two say nothing.
            nat_vendors_min: 3,
        }
    }
}
