//! Frame → where its network layer begins: Ethernet with VLAN tags or LLC, Linux cooked v1 and v2, raw IP, and by way of
//! [`super::serial`] and [`super::wireless`] what is rarer.

use super::{Decoded, IpVersion, NotIp, Undecodable};
use super::{serial, wireless};
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

/// IP directly behind the addresses of Ethernet; `None` for everything else.
#[inline]
pub(super) fn plain_ethernet(raw: &RawPacket<'_>) -> Option<Network> {
    const ADDRESSES_LEN: usize = 12;
    if raw.link_type != LinkType::ETHERNET {
        return None;
    }
    let version = match u16::from_be_bytes(bytes_at(raw.data, ADDRESSES_LEN)?) {
        IPV4 => IpVersion::V4,
        IPV6 => IpVersion::V6,
        _ => return None,
    };
    Some(network(ADDRESSES_LEN.saturating_add(2), 0, version))
}

/// Finds the network layer, or says what the frame is instead.
#[inline(never)]
pub(super) fn network_layer(raw: &RawPacket<'_>) -> Result<Network, Decoded> {
    match raw.link_type {
        LinkType::ETHERNET => by_ether_type(raw.data, 12),
        LinkType::LINUX_SLL => cooked_v1(raw.data),
        LinkType::LINUX_SLL2 => cooked_v2(raw.data),
        LinkType(12 | 14) | LinkType::RAW => Ok(Network {
            start: 0,
            vlan: 0,
            expected: None,
        }),
        LinkType::IPV4 => Ok(network(0, 0, IpVersion::V4)),
        LinkType::IPV6 => Ok(network(0, 0, IpVersion::V6)),
        other => rare(raw.data, other),
    }
}

#[cold]
fn rare(data: &[u8], link_type: LinkType) -> Result<Network, Decoded> {
    match link_type {
        LinkType::NULL | LinkType::LOOP => serial::loopback(data),
        LinkType::PPP => serial::ppp(data, 0),
        LinkType::PPP_HDLC => serial::ppp_or_cisco(data),
        LinkType::C_HDLC => serial::cisco_hdlc(data),
        LinkType::FRELAY => serial::frame_relay(data),
        LinkType::IEEE802_11 => wireless::ieee80211(data, 0),
        LinkType::PRISM => wireless::prism(data, 0),
        LinkType::RADIOTAP => wireless::radiotap(data, 0),
        LinkType::NFLOG => serial::netfilter_log(data),
        _ => Err(Decoded::Undecodable(Undecodable::UnsupportedLinkType)),
    }
}

/// IP of this version at `start`.
#[inline]
pub(super) fn network(start: usize, vlan: u16, version: IpVersion) -> Network {
    Network {
        start,
        vlan,
        expected: Some(version),
    }
}

/// So many bytes at `offset`, if they were captured.
#[inline]
pub(super) fn bytes_at<const N: usize>(data: &[u8], offset: usize) -> Option<[u8; N]> {
    data.get(offset..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
}

/// Walks from an EtherType at `offset` over VLAN tags to what they carry, behind LLC where the EtherType is a length.
#[inline]
pub(super) fn by_ether_type(data: &[u8], offset: usize) -> Result<Network, Decoded> {
    walk(data, offset, true)
}

/// The same behind SNAP, where LLC cannot follow once more.
#[inline]
pub(super) fn behind_snap(data: &[u8], offset: usize) -> Result<Network, Decoded> {
    walk(data, offset, false)
}

#[inline]
fn walk(data: &[u8], offset: usize, may_be_length: bool) -> Result<Network, Decoded> {
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
            IPV4 => return Ok(network(start, vlan, IpVersion::V4)),
            IPV6 => return Ok(network(start, vlan, IpVersion::V6)),
            length if length < ETHERTYPE_MIN && may_be_length => {
                return behind_length(data, start, vlan);
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

/// An 802.3 length: LLC follows.
#[cold]
fn behind_length(data: &[u8], start: usize, vlan: u16) -> Result<Network, Decoded> {
    let mut network = serial::llc(data, start)?;
    if vlan != 0 {
        network.vlan = vlan;
    }
    Ok(network)
}

fn cooked_v1(data: &[u8]) -> Result<Network, Decoded> {
    match serial::cooked(data, serial::u16_at(data, 2), 16) {
        Some(found) => found,
        None => by_ether_type(data, 14),
    }
}

/// Version 2 begins with the protocol and has 18 more bytes of header behind it.
fn cooked_v2(data: &[u8]) -> Result<Network, Decoded> {
    const HEADER_LEN: usize = 20;
    let (Some(protocol), true) = (data.first_chunk::<2>(), data.len() >= HEADER_LEN) else {
        return Err(Decoded::Undecodable(Undecodable::TruncatedLink));
    };
    if let Some(found) = serial::cooked(data, serial::u16_at(data, 8), HEADER_LEN) {
        return found;
    }
    let expected = match u16::from_be_bytes(*protocol) {
        IPV4 => IpVersion::V4,
        IPV6 => IpVersion::V6,
        tag if TAGS.contains(&tag) => return tagged_cooked_v2(data),
        other if other >= ETHERTYPE_MIN => return Err(Decoded::NotIp(not_ip(other))),
        _ => return serial::llc(data, HEADER_LEN),
    };
    Ok(network(HEADER_LEN, 0, expected))
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
