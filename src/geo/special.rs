//! Takes an address and says whether it is special: private, loopback, multicast, documentation and their like.
//!
//! No country is right for such an address, whatever a file of somebody's says. The list is that of `make_country_table.py`,
//! from the registries of special-purpose addresses (RFC 6890); a test holds both to the same blocks.
//!
//! **Invariants**: neither allocates nor panics.

use std::net::IpAddr;

/// Blocks of IPv4 by first address and length of the prefix.
const SPECIAL_V4: [([u8; 4], u32); 17] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 52, 193, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([192, 175, 48, 0], 24),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3),
];

/// Blocks of IPv6: outside 2000::/3 nothing is assigned to networks on the Internet (RFC 4291 section 2.4).
const SPECIAL_V6: [([u16; 3], u32); 8] = [
    ([0, 0, 0], 3),
    ([0x4000, 0, 0], 2),
    ([0x8000, 0, 0], 1),
    ([0x2001, 0, 0], 23),
    ([0x2001, 0xdb8, 0], 32),
    ([0x2002, 0, 0], 16),
    ([0x2620, 0x4f, 0x8000], 48),
    ([0x3fff, 0, 0], 20),
];

/// Whether no network on the Internet can have this address. IPv4 in IPv6 (`::ffff:0:0/96`) is judged as IPv4.
pub fn is_special(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            SPECIAL_V4.iter().any(|(first, length)| {
                let differing = bits ^ u32::from_be_bytes(*first);
                differing.leading_zeros() >= *length
            })
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            SPECIAL_V6.iter().any(|([a, b, c], length)| {
                let first = u128::from(*a) << 112 | u128::from(*b) << 96 | u128::from(*c) << 80;
                (bits ^ first).leading_zeros() >= *length
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use ipnet::IpNet;

    use super::*;

    #[test]
    fn the_blocks_are_those_the_table_was_made_without() {
        let script = include_str!("make_country_table.py");
        for (name, here) in [
            (
                "SPECIAL_V4",
                SPECIAL_V4
                    .iter()
                    .map(|(first, length)| format!("{}/{length}", Ipv4Addr::from(*first)))
                    .collect::<BTreeSet<_>>(),
            ),
            (
                "SPECIAL_V6",
                SPECIAL_V6
                    .iter()
                    .map(|([a, b, c], length)| {
                        format!("{}/{length}", Ipv6Addr::new(*a, *b, *c, 0, 0, 0, 0, 0))
                    })
                    .collect(),
            ),
        ] {
            let list = script.split(&format!("{name} = [")).nth(1).unwrap();
            let list = list.split(']').next().unwrap();
            let there: BTreeSet<String> = list
                .split('"')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect();
            assert_eq!(here, there, "{name}");
        }
    }

    #[test]
    fn a_block_ends_where_its_prefix_does() {
        for (block, outside) in [
            ("172.16.0.0/12", ["172.15.255.255", "172.32.0.0"]),
            ("100.64.0.0/10", ["100.63.255.255", "100.128.0.0"]),
            ("2001:db8::/32", ["2001:db7:ffff::", "2001:db9::"]),
        ] {
            let block: IpNet = block.parse().unwrap();
            assert!(is_special(block.network()), "{block}");
            assert!(is_special(block.broadcast()), "{block}");
            for address in outside {
                assert!(!is_special(address.parse().unwrap()), "{address}");
            }
        }
        assert!(is_special("::ffff:10.0.0.1".parse().unwrap()));
        assert!(!is_special("::ffff:8.8.8.8".parse().unwrap()));
    }
}
