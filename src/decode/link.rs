//! Frame → where its network layer begins: Ethernet with VLAN tags, Linux cooked v1 and v2, raw IP.

use super::{Decoded, IpVersion, NotIp, Undecodable};
use crate::capture::{LinkType, RawPacket};

/// VLAN tags that are unwrapped: provider networks stack two or three; more is a loop or an attack.
pub const TAGS_MAX: u8 = 8;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad, and two numbers in use before it.
const TAGS: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];
/// Below this an EtherType is an 802.3 length.
const ETHERTYPE_MIN: u16 = 0x0600;

/// Where the network layer begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    /// Offset in the frame.
    pub start: usize,
    /// Outermost VLAN identifier, 0 for none.
    pub vlan: u16,
    /// What the link layer says it is; `None` where only the version field tells.
    pub expected: Option<IpVersion>,
}

/// Finds the network layer, or says what the frame is instead.
#[inline]
pub(super) fn network_layer(raw: &RawPacket<'_>) -> Result<Network, Decoded> {
    match raw.link_type {
        LinkType::ETHERNET => by_ether_type(raw.data, 12),
        LinkType::LINUX_SLL => by_ether_type(raw.data, 14),
        // Version 2 begins with the protocol and has 18 more bytes of header behind it.
        LinkType::LINUX_SLL2 => cooked_v2(raw.data),
        LinkType(12 | 14) | LinkType::RAW => Ok(Network {
            start: 0,
            vlan: 0,
            expected: None,
        }),
        LinkType::IPV4 => Ok(Network {
            start: 0,
            vlan: 0,
            expected: Some(IpVersion::V4),
        }),
        LinkType::IPV6 => Ok(Network {
            start: 0,
            vlan: 0,
            expected: Some(IpVersion::V6),
        }),
        _ => Err(Decoded::Undecodable(Undecodable::UnsupportedLinkType)),
    }
}

/// Walks from an EtherType at `offset` over VLAN tags to what they carry.
#[inline]
fn by_ether_type(data: &[u8], offset: usize) -> Result<Network, Decoded> {
    let mut rest = data.get(offset..).unwrap_or_default();
    let mut start = offset;
    let mut vlan = 0;
    for _ in 0..=TAGS_MAX {
        let Some((ether_type, behind)) = rest.split_first_chunk::<2>() else {
            return Err(Decoded::Undecodable(Undecodable::TruncatedLink));
        };
        let ether_type = u16::from_be_bytes(*ether_type);
        start = start.saturating_add(2);
        match ether_type {
            IPV4 => {
                return Ok(Network {
                    start,
                    vlan,
                    expected: Some(IpVersion::V4),
                });
            }
            IPV6 => {
                return Ok(Network {
                    start,
                    vlan,
                    expected: Some(IpVersion::V6),
                });
            }
            _ if !TAGS.contains(&ether_type) => return Err(Decoded::NotIp(not_ip(ether_type))),
            _ => {}
        }
        let Some((control, behind)) = behind.split_first_chunk::<2>() else {
            return Err(Decoded::Undecodable(Undecodable::TruncatedLink));
        };
        if vlan == 0 {
            vlan = u16::from_be_bytes(*control) & 0x0fff;
        }
        start = start.saturating_add(2);
        rest = behind;
    }
    Err(Decoded::Undecodable(Undecodable::TooManyTags))
}

fn cooked_v2(data: &[u8]) -> Result<Network, Decoded> {
    const HEADER_LEN: usize = 20;
    let (Some(protocol), true) = (data.first_chunk::<2>(), data.len() >= HEADER_LEN) else {
        return Err(Decoded::Undecodable(Undecodable::TruncatedLink));
    };
    let expected = match u16::from_be_bytes(*protocol) {
        IPV4 => IpVersion::V4,
        IPV6 => IpVersion::V6,
        tag if TAGS.contains(&tag) => return tagged_cooked_v2(data),
        other => return Err(Decoded::NotIp(not_ip(other))),
    };
    Ok(Network {
        start: HEADER_LEN,
        vlan: 0,
        expected: Some(expected),
    })
}

/// A tag behind a cooked header: control field first, then the EtherType.
#[cold]
fn tagged_cooked_v2(data: &[u8]) -> Result<Network, Decoded> {
    let vlan = data
        .get(20..22)
        .and_then(|control| control.first_chunk::<2>())
        .map(|control| u16::from_be_bytes(*control));
    let mut network = by_ether_type(data, 22)?;
    network.vlan = vlan.unwrap_or_default() & 0x0fff;
    Ok(network)
}

fn not_ip(ether_type: u16) -> NotIp {
    match ether_type {
        ARP => NotIp::Arp,
        length if length < ETHERTYPE_MIN => NotIp::Llc,
        _ => NotIp::OtherEtherType,
    }
}
