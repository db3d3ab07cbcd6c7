//! A count of flows → 5-tuples that are never used twice.
//!
//! Invariants: every initiator's (address, port) pair is handed out once, and initiators use ports
//! from 10,240 on while services listen below, so no tuple returns, not even mirrored.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::random::scatter;

const PORT_FIRST: u64 = 10_240;
const PORTS: u64 = 65_536 - PORT_FIRST;

/// First two bytes of networks of hosting companies, which belong to no security vendor.
const OUTSIDE_V4: [[u8; 2]; 16] = [
    [5, 9],
    [46, 4],
    [51, 15],
    [51, 68],
    [54, 36],
    [78, 46],
    [88, 198],
    [91, 121],
    [94, 130],
    [95, 216],
    [116, 202],
    [133, 242],
    [136, 243],
    [144, 76],
    [148, 251],
    [163, 172],
];
/// Likewise, first 32 bits of IPv6 networks.
const OUTSIDE_V6: [[u16; 2]; 3] = [[0x2a01, 0x04f8], [0x2001, 0x41d0], [0x2001, 0x0bc8]];

/// Whether `address` belongs to the home network: RFC 1918 or a unique local address (RFC 4193).
pub fn is_home(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.octets()[0] & 0xfe == 0xfc,
    }
}

/// The addresses of one capture and how many of each were handed out.
pub struct Addresses {
    hosts: u64,
    at_home: u64,
    outside: u64,
    v6_permille: u64,
}

impl Addresses {
    /// A home network of `hosts` hosts, of whose flows `v6_permille` in a thousand use IPv6.
    pub fn new(hosts: u64, v6_permille: u64) -> Self {
        Self {
            hosts,
            at_home: 0,
            outside: 0,
            v6_permille,
        }
    }

    /// How many flows can begin at home before a tuple would return.
    pub fn capacity(hosts: u64) -> u64 {
        hosts.saturating_mul(PORTS)
    }

    /// A fresh (address, port) of a host at home.
    pub fn home_end(&mut self) -> (IpAddr, u16) {
        let count = self.at_home;
        self.at_home += 1;
        let v6 = scatter(count) % 1000 < self.v6_permille;
        (Self::host(count % self.hosts, v6), port(count / self.hosts))
    }

    /// A host at home as a server: the first few dozen of them.
    pub fn home_server(&self, chosen: u64, v6: bool) -> IpAddr {
        Self::host(chosen % self.hosts.min(48), v6)
    }

    /// Three hosts in four live in 10/8, the others in 192.168/16; both have a unique local address.
    fn host(index: u64, v6: bool) -> IpAddr {
        // The order of arrival must not be the order of addresses.
        let scrambled = ((index + 1) * 40_503) & 0xff_ffff;
        let [_, a, b, c] = (scrambled as u32).to_be_bytes();
        if v6 {
            let site = if index.is_multiple_of(4) { 2 } else { 1 };
            let low = [u16::from(a), u16::from_be_bytes([b, c])];
            IpAddr::V6(Ipv6Addr::new(
                0xfd3c, 0x71a2, 0x9e05, site, 0, 0, low[0], low[1],
            ))
        } else if index.is_multiple_of(4) && index < 0x3_0000 {
            let [_, _, b, c] = (((index / 4 + 1) * 40_503) as u32).to_be_bytes();
            IpAddr::V4(Ipv4Addr::new(192, 168, b, c))
        } else {
            IpAddr::V4(Ipv4Addr::new(10, a, b, c))
        }
    }

    /// A fresh (address, port) outside: each initiator has an address of its own for a long time.
    pub fn outside_end(&mut self, v6: bool) -> (IpAddr, u16) {
        let count = self.outside;
        self.outside += 1;
        let index = count & 0x3_ffff;
        let [_, block, c, d] = (((index * 40_503) & 0x3_ffff) as u32).to_be_bytes();
        let address = if v6 {
            let low = u16::from_be_bytes([c, d]);
            IpAddr::V6(Ipv6Addr::new(
                0x2a01,
                0x04f8,
                0xc0c0,
                u16::from(block),
                0,
                0,
                0,
                low,
            ))
        } else {
            // 84.184.0.0 to 84.187.255.255: no server of this generator lives there.
            IpAddr::V4(Ipv4Addr::new(84, 0xb8 | block, c, d))
        };
        (address, port(count >> 18))
    }

    /// One of the few addresses that serve `name`.
    pub fn server(name: u64, replica: u64, v6: bool) -> IpAddr {
        outside(name << 8 | replica, v6)
    }

    /// Address number `count` of a permutation of the public IPv4 addresses; `None` for those that
    /// are not public unicast.
    pub fn scattered(count: u64) -> Option<IpAddr> {
        let mixed = (count as u32).wrapping_mul(0x9e37_79b1);
        let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85eb_ca6b);
        let address = Ipv4Addr::from(mixed ^ (mixed >> 13));
        let [a, b, ..] = address.octets();
        let special = matches!(
            (a, b),
            (0 | 10 | 127 | 224.., _)
                | (100, 64..=127)
                | (169, 254)
                | (172, 16..=31)
                | (192, 0 | 88 | 168)
                | (198, 18 | 19 | 51)
                | (203, 0)
        );
        (!special).then_some(IpAddr::V4(address))
    }

    /// The peer of an echo: together with the host an address pair that no other flow uses.
    pub fn echo_pair(&self, count: u64, v6: bool) -> (IpAddr, IpAddr) {
        let [_, _, _, _, _, a, b, c] = count.to_be_bytes();
        let peer = if v6 {
            let low = u16::from_be_bytes([b, c]);
            IpAddr::V6(Ipv6Addr::new(
                0x2a01,
                0x04f8,
                0xecc0,
                0,
                0,
                0,
                u16::from(a),
                low,
            ))
        } else {
            // 213.128.0.0 to 213.191.255.255: no other flow of this generator goes there.
            IpAddr::V4(Ipv4Addr::new(213, 128 | (a & 0x3f), b, c))
        };
        (Self::host(count % self.hosts, v6), peer)
    }
}

fn port(round: u64) -> u16 {
    (PORT_FIRST + (round * 7_919) % PORTS) as u16
}

/// A public address that depends on `number` alone.
fn outside(number: u64, v6: bool) -> IpAddr {
    let mixed = scatter(number);
    if v6 {
        let [a, b] = OUTSIDE_V6[(mixed % 3) as usize];
        let part = |shift: u64| (mixed >> shift) as u16;
        IpAddr::V6(Ipv6Addr::new(
            a,
            b,
            part(8) & 0x7fff,
            part(23),
            0,
            0,
            part(32),
            part(48),
        ))
    } else {
        let [a, b] = OUTSIDE_V4[(mixed % 16) as usize];
        let [c, d, ..] = (mixed >> 8).to_le_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d.clamp(1, 254)))
    }
}
