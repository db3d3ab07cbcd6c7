//! The key of a biflow: both ends in a fixed order, so that both directions meet.

use std::net::{IpAddr, Ipv6Addr};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::decode::{Address, Packet};

/// One of the two ends of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The end that sorts first.
    A,
    /// The other one.
    B,
}

impl Side {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// An address with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address, IPv4 mapped.
    pub address: Address,
    /// The port; see [`crate::decode::transport`] for protocols without.
    pub port: u16,
}

impl Endpoint {
    /// The address as people write it: IPv4 where it is mapped.
    pub fn ip(&self) -> IpAddr {
        Ipv6Addr::from(self.address).to_canonical()
    }
}

/// Both ends, protocol and IP version; the ends are in order, so the key is the same for both directions.
///
/// Held in words, since it is written, compared and hashed in words: a word that was written byte by byte cannot be read back
/// before it has reached the cache.
#[derive(Clone, Copy, PartialEq, Eq, Hash, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct FlowKey {
    a: [u64; 2],
    b: [u64; 2],
    /// From the lowest bits: port of a, port of b, protocol, version, and which site the addresses belong to: the same address at two
    /// sites is two hosts.
    rest: u64,
}

impl std::fmt::Debug for FlowKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("FlowKey")
            .field("a", &self.endpoint(Side::A))
            .field("b", &self.endpoint(Side::B))
            .field("protocol", &self.protocol())
            .field("version", &self.version())
            .field("scope", &self.scope())
            .finish()
    }
}

impl FlowKey {
    /// The key of a packet captured at the site `scope`, and which end sent it.
    #[inline]
    pub fn of(packet: &Packet, scope: u16) -> (Self, Side) {
        // As numbers addresses sort as they do byte by byte, and one comparison takes two instructions.
        let source = (u128::from_be_bytes(packet.ip.source), packet.source_port);
        let destination = (
            u128::from_be_bytes(packet.ip.destination),
            packet.destination_port,
        );
        let sender = if source <= destination {
            Side::A
        } else {
            Side::B
        };
        (Self::sent_by(sender, packet, scope), sender)
    }

    /// The key of a packet of which is known which end sent it.
    #[inline]
    pub fn sent_by(sender: Side, packet: &Packet, scope: u16) -> Self {
        let source = (words(packet.ip.source), packet.source_port);
        let destination = (words(packet.ip.destination), packet.destination_port);
        let (a, b) = match sender {
            Side::A => (source, destination),
            Side::B => (destination, source),
        };
        Self {
            a: a.0,
            b: b.0,
            rest: u64::from(a.1)
                | u64::from(b.1) << 16
                | u64::from(packet.ip.protocol) << 32
                | (packet.ip.version as u64) << 40
                | u64::from(scope) << 48,
        }
    }

    /// Whether both are equal, in words rather than field by field.
    #[inline]
    pub fn is(&self, other: &Self) -> bool {
        let differ = |one: [u64; 2], other: [u64; 2]| (one[0] ^ other[0]) | (one[1] ^ other[1]);
        differ(self.a, other.a) | differ(self.b, other.b) | (self.rest ^ other.rest) == 0
    }

    /// Keyed hash; the same for both directions.
    #[inline]
    pub fn hash(&self, seed: u64) -> u64 {
        xxh3_64_with_seed(bytemuck::bytes_of(self), seed)
    }

    /// One end.
    #[inline]
    pub const fn endpoint(&self, side: Side) -> Endpoint {
        let (words, port) = match side {
            Side::A => (self.a, self.rest as u16),
            Side::B => (self.b, (self.rest >> 16) as u16),
        };
        Endpoint {
            address: address(words),
            port,
        }
    }

    /// Which site it was captured at: an index into the sites of the source.
    #[inline]
    pub const fn scope(&self) -> u16 {
        (self.rest >> 48) as u16
    }

    /// Transport protocol number.
    #[inline]
    pub const fn protocol(&self) -> u8 {
        (self.rest >> 32) as u8
    }

    /// Internet protocol version, 4 or 6.
    #[inline]
    pub const fn version(&self) -> u8 {
        (self.rest >> 40) as u8
    }
}

/// An address in the words that it lies in.
#[inline]
const fn words(address: Address) -> [u64; 2] {
    let both = u128::from_le_bytes(address);
    [both as u64, (both >> 64) as u64]
}

/// The address that lies in these words.
#[inline]
const fn address([low, high]: [u64; 2]) -> Address {
    ((high as u128) << 64 | low as u128).to_le_bytes()
}
