//! Flows that open → which networks are probably home, where what was said to be home hardly occurs.
//!
//! **Invariants**: memory is bounded; the order of flows does not show, as long as the bound is not reached.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::FlowOpened;
use crate::decode::Address;
use crate::model::Locality;

/// Prefixes counted at most: a network has some hundreds; more is a scan from outside.
const PREFIXES_MAX: usize = 4096;

/// Prefixes proposed at most: beyond it nobody would copy them.
const PROPOSED_MAX: usize = 8;

/// Hosts are counted together by so many bits of an IPv4 address,
const V4_BITS: u8 = 24;
/// and by so many of an IPv6 address: what a site is usually given.
const V6_BITS: u8 = 48;

/// Counts who begins flows in which neither side is home.
#[derive(Clone, Debug, Default)]
pub struct HomeHint {
    outbound: u64,
    transit: u64,
    initiators: HashMap<IpNet, u64>,
}

/// What the user may have meant by home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedHome {
    /// Flows with exactly one side home.
    pub outbound_flows: u64,
    /// Flows with no side home.
    pub transit_flows: u64,
    /// Networks that begin most of those, widest first; empty where no few networks do.
    pub networks: Vec<IpNet>,
    /// How many of those flows they begin.
    pub flows_of_networks: u64,
}

impl HomeHint {
    /// Counts a flow.
    pub fn opened(&mut self, opened: &FlowOpened) {
        match opened.locality {
            Locality::Outbound => self.outbound += 1,
            Locality::HomeHome => {}
            Locality::Transit => {
                self.transit += 1;
                let prefix = prefix_of(&opened.initiator.address);
                if let Some(count) = self.initiators.get_mut(&prefix) {
                    *count += 1;
                } else if self.initiators.len() < PREFIXES_MAX {
                    self.initiators.insert(prefix, 1);
                }
            }
        }
    }

    /// What to propose; `None` where most flows that leave or pass have one side home.
    pub fn proposed(&self) -> Option<ProposedHome> {
        if self.transit <= self.outbound {
            return None;
        }
        let mut counted: Vec<_> = self.initiators.iter().map(|(net, n)| (*n, *net)).collect();
        counted.sort_unstable_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
        let mut networks = Vec::new();
        let mut covered = 0;
        for (flows, network) in counted.into_iter().take(PROPOSED_MAX) {
            // Nine tenths are the network; the rest are strays, or somebody from outside.
            if covered * 10 >= self.transit * 9 {
                break;
            }
            covered += flows;
            networks.push(network);
        }
        if covered * 2 < self.transit {
            networks.clear();
            covered = 0;
        }
        let mut networks = IpNet::aggregate(&networks);
        networks.sort_unstable_by_key(|network| (network.prefix_len(), *network));
        Some(ProposedHome {
            outbound_flows: self.outbound,
            transit_flows: self.transit,
            networks,
            flows_of_networks: covered,
        })
    }
}

fn prefix_of(address: &Address) -> IpNet {
    let v6 = Ipv6Addr::from(*address);
    match v6.to_ipv4_mapped() {
        Some(v4) => IpNet::V4(Ipv4Net::new_assert(v4, V4_BITS).trunc()),
        None => IpNet::V6(Ipv6Net::new_assert(v6, V6_BITS).trunc()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::aggregate::FrameRef;
    use crate::decode::{IpHeader, IpVersion, Packet, TcpHeader, UDP};
    use crate::flow::{FlowId, FlowKey, Side};

    fn opened(from: [u8; 4], to: [u8; 4], locality: Locality) -> FlowOpened {
        let address = |v4: [u8; 4]| Ipv4Addr::from(v4).to_ipv6_mapped().octets();
        let packet = Packet {
            ip: IpHeader {
                source: address(from),
                destination: address(to),
                bytes: 100,
                protocol: UDP,
                version: IpVersion::V4,
                identification: 0,
            },
            source_port: 50_000,
            destination_port: 443,
            vlan: 0,
            checksum: 0,
            tunnel: crate::decode::TunnelPath::NONE,
            overhead: 0,
            tcp: TcpHeader::default(),
            payload_offset: 0,
            payload_len: 0,
            payload_wire_len: 0,
        };
        let (key, sender) = FlowKey::of(&packet, 0);
        assert!(sender == Side::A || sender == Side::B);
        FlowOpened {
            id: FlowId::of(&key, 0),
            key,
            locality,
            initiator: key.endpoint(sender),
            responder: key.endpoint(sender.other()),
            frame: FrameRef::default(),
            direction: crate::flow::Directed::FromInitiator,
            source: crate::decode::LinkSource::default(),
        }
    }

    #[test]
    fn a_network_of_public_addresses_is_proposed() {
        let mut hint = HomeHint::default();
        for host in 0..200 {
            hint.opened(&opened(
                [198, 51, 100, host],
                [8, 8, 8, 8],
                Locality::Transit,
            ));
            hint.opened(&opened(
                [198, 51, 101, host],
                [9, 9, 9, 9],
                Locality::Transit,
            ));
        }
        for stray in 0..20 {
            hint.opened(&opened(
                [203, stray, 113, 1],
                [198, 51, 100, 1],
                Locality::Transit,
            ));
        }
        hint.opened(&opened([10, 0, 0, 1], [8, 8, 8, 8], Locality::Outbound));
        let proposed = hint.proposed().unwrap();
        assert_eq!(proposed.networks, ["198.51.100.0/23".parse().unwrap()]);
        assert_eq!(
            (proposed.flows_of_networks, proposed.transit_flows),
            (400, 420)
        );
    }

    #[test]
    fn nothing_is_said_where_home_is_right() {
        let mut hint = HomeHint::default();
        hint.opened(&opened([10, 0, 0, 1], [8, 8, 8, 8], Locality::Outbound));
        for host in 0..50 {
            hint.opened(&opened([10, 0, 0, host], [10, 0, 0, 1], Locality::HomeHome));
        }
        hint.opened(&opened([198, 51, 100, 1], [8, 8, 8, 8], Locality::Transit));
        assert_eq!(hint.proposed(), None);
    }

    #[test]
    fn the_whole_internet_is_nobodys_home() {
        let mut hint = HomeHint::default();
        for a in 1..=200 {
            for b in 0..50 {
                hint.opened(&opened([a, b, 0, 1], [198, 51, 100, 1], Locality::Transit));
            }
        }
        let proposed = hint.proposed().unwrap();
        assert!(proposed.networks.is_empty());
        assert_eq!(hint.initiators.len(), PREFIXES_MAX);
    }
}
