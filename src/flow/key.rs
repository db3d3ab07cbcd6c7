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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct FlowKey {
    a: Address,
    b: Address,
    a_port: u16,
    b_port: u16,
    protocol: u8,
    version: u8,
    /// Which site the addresses belong to: the same address at two sites is two hosts.
    scope: u16,
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
        let source = (packet.ip.source, packet.source_port);
        let destination = (packet.ip.destination, packet.destination_port);
        let (a, b) = match sender {
            Side::A => (source, destination),
            Side::B => (destination, source),
        };
        Self {
            a: a.0,
            b: b.0,
            a_port: a.1,
            b_port: b.1,
            protocol: packet.ip.protocol,
            version: packet.ip.version as u8,
            scope,
        }
    }

    /// Whether both are equal, in words rather than field by field.
    #[inline]
    pub fn is(&self, other: &Self) -> bool {
        let words = |key: &Self| bytemuck::cast::<Self, [u64; 5]>(*key);
        let ([a, b, c, d, e], [f, g, h, i, j]) = (words(self), words(other));
        (a ^ f) | (b ^ g) | (c ^ h) | (d ^ i) | (e ^ j) == 0
    }

    /// Keyed hash; the same for both directions.
    #[inline]
    pub fn hash(&self, seed: u64) -> u64 {
        xxh3_64_with_seed(bytemuck::bytes_of(self), seed)
    }

    /// One end.
    #[inline]
    pub const fn endpoint(&self, side: Side) -> Endpoint {
        match side {
            Side::A => Endpoint {
                address: self.a,
                port: self.a_port,
            },
            Side::B => Endpoint {
                address: self.b,
                port: self.b_port,
            },
        }
    }

    /// Which site it was captured at: an index into the sites of the source.
    pub const fn scope(&self) -> u16 {
        self.scope
    }

    /// Transport protocol number.
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Internet protocol version, 4 or 6.
    pub const fn version(&self) -> u8 {
        self.version
    }
}
