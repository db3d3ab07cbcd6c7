//! An address, or the number of an autonomous system, in; the number of the pattern that claims it out.
//!
//! Both are weak evidence: a network says who runs it, never what runs on the host that speaks to it.
//!
//! **Invariants**: the longest network decides; no allocation in a look-up; one binary search for each length of
//! network that occurs.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::net::IpAddr;

use ipnet::IpNet;

use super::matcher::Duplicate;

/// Networks of one family and one length.
#[derive(Clone, Debug)]
struct Length {
    /// Takes the bits of the network from an address.
    mask: u128,
    /// First addresses with the numbers of their patterns, ascending.
    networks: Vec<(u128, u32)>,
}

/// Compiled networks and numbers of autonomous systems.
#[derive(Clone, Debug, Default)]
pub(crate) struct NetworkSet {
    /// The longest first.
    v4: Vec<Length>,
    v6: Vec<Length>,
    /// Ascending.
    asns: Vec<(u32, u32)>,
}

impl NetworkSet {
    /// Compiles networks and numbers of autonomous systems, each with the number of its pattern.
    pub fn build(networks: &[(u32, IpNet)], asns: &[(u32, u32)]) -> Result<Self, Duplicate> {
        let mut set = Self {
            asns: asns.iter().map(|&(number, asn)| (asn, number)).collect(),
            ..Self::default()
        };
        for &(number, network) in networks {
            let mask = u128::from_be_bytes(bytes(network.netmask()));
            let family = if network.addr().is_ipv4() {
                &mut set.v4
            } else {
                &mut set.v6
            };
            let entry = (first(network.addr()) & mask, number);
            match family.iter_mut().find(|length| length.mask == mask) {
                Some(length) => length.networks.push(entry),
                None => family.push(Length {
                    mask,
                    networks: vec![entry],
                }),
            }
        }
        for family in [&mut set.v4, &mut set.v6] {
            family.sort_by_key(|length| std::cmp::Reverse(length.mask));
            for length in family {
                sort_and_refuse_repeated(&mut length.networks)?;
            }
        }
        sort_and_refuse_repeated(&mut set.asns)?;
        Ok(set)
    }

    /// The pattern of the longest network in which the address lies.
    pub fn network(&self, address: IpAddr) -> Option<u32> {
        self.walk(address).next()
    }

    /// The patterns of all networks in which the address lies, the longest first.
    pub fn walk(&self, address: IpAddr) -> impl Iterator<Item = u32> + '_ {
        let address = address.to_canonical();
        let family = if address.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        let number = first(address);
        family.iter().filter_map(move |length| {
            let wanted = number & length.mask;
            let at = length
                .networks
                .binary_search_by_key(&wanted, |&(start, _)| start);
            length.networks.get(at.ok()?).map(|&(_, pattern)| pattern)
        })
    }

    /// The pattern that names the autonomous system.
    pub fn asn(&self, asn: u32) -> Option<u32> {
        let at = self.asns.binary_search_by_key(&asn, |&(own, _)| own).ok()?;
        self.asns.get(at).map(|&(_, pattern)| pattern)
    }
}

fn sort_and_refuse_repeated<T: Ord + Copy>(entries: &mut [(T, u32)]) -> Result<(), Duplicate> {
    entries.sort_unstable();
    for pair in entries.windows(2) {
        if let [first, second] = pair
            && first.0 == second.0
        {
            return Err(Duplicate {
                first: first.1,
                second: second.1,
            });
        }
    }
    Ok(())
}

/// The address at the high end of 16 bytes, so that lengths count from the left in both families.
fn bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
    }
}

fn first(address: IpAddr) -> u128 {
    u128::from_be_bytes(bytes(address))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

    use super::*;
    use proptest::prelude::*;

    fn set(networks: &[&str]) -> NetworkSet {
        let networks: Vec<(u32, IpNet)> = (0..)
            .zip(networks.iter().map(|text| text.parse().unwrap()))
            .collect();
        NetworkSet::build(&networks, &[(0, 41_983), (1, 209_030)]).unwrap()
    }

    #[test]
    fn the_longest_network_decides() {
        let set = set(&["185.85.12.0/22", "185.85.14.0/24", "2a03:2480::/32"]);
        let at = |text: &str| set.network(text.parse().unwrap());
        assert_eq!(at("185.85.12.1"), Some(0));
        assert_eq!(at("185.85.14.1"), Some(1));
        assert_eq!(at("::ffff:185.85.15.255"), Some(0));
        assert_eq!(at("185.85.16.0"), None);
        assert_eq!(at("2a03:2480::1"), Some(2));
        assert_eq!(
            at("b955:c00::1"),
            None,
            "an IPv6 address is no IPv4 network"
        );
        assert_eq!(
            set.walk("185.85.14.1".parse().unwrap()).collect::<Vec<_>>(),
            [1, 0]
        );
    }

    #[test]
    fn systems_are_found_by_number() {
        assert_eq!(set(&[]).asn(209_030), Some(1));
        assert_eq!(set(&[]).asn(1), None);
    }

    #[test]
    fn the_same_network_twice_is_refused() {
        let network: IpNet = "10.0.0.0/8".parse().unwrap();
        let twice = NetworkSet::build(&[(3, network), (5, network)], &[]).unwrap_err();
        assert_eq!(
            twice,
            Duplicate {
                first: 3,
                second: 5
            }
        );
        assert!(NetworkSet::build(&[], &[(0, 7), (1, 7)]).is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_asking_every_network(
            networks in proptest::collection::hash_set((0u32..64, 24u8..=32), 1..20),
            asked in 0u32..64,
        ) {
            let networks: Vec<(u32, IpNet)> = (0..)
                .zip(networks.into_iter().map(|(bits, length)| {
                    IpNet::new(std::net::Ipv4Addr::from(bits).into(), length).unwrap().trunc()
                }))
                .collect();
            let address: IpAddr = std::net::Ipv4Addr::from(asked).into();
            if let Ok(set) = NetworkSet::build(&networks, &[]) {
                let longest = networks
                    .iter()
                    .filter(|(_, network)| network.contains(&address))
                    .max_by_key(|(_, network)| network.prefix_len())
                    .map(|&(number, _)| number);
                prop_assert_eq!(set.network(address), longest);
            }
        }
    }
}
