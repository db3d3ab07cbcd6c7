//! Frame → where its network layer begins: Ethernet with VLAN tags or LLC, Linux cooked v1 and v2, raw IP, and by way of
//! [`super::serial`] and [`super::wireless`] what is rarer.

use super::tunnel::{Behind, Carried, TunnelKind, TunnelPath, behind_shim, enter};
use super::{Decoded, IpVersion, NotIp, Undecodable};
use super::{serial, wireless};
use crate::capture::{LinkType, RawPacket};

pub(super) const IPV4: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;
pub(super) const IPV6: u16 = 0x86dd;
const VLAN_TAG: u16 = 0x8100;
const SERVICE_TAG: u16 = 0x88a8;
/// 802.1Q, 802.1ad, and two numbers in use before it.
pub(super) const TAGS: [u16; 4] = [VLAN_TAG, SERVICE_TAG, 0x9100, 0x9200];
/// What stands before the EtherType of an Ethernet frame.
pub(super) const ADDRESSES_LEN: usize = 12;
/// Below this an EtherType is an 802.3 length.
const ETHERTYPE_MIN: u16 = 0x0600;

/// Where the network layer begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    /// Offset in the frame.
    pub start: usize,
    /// Outermost VLAN identifier, 0 for none.
    pub vlan: u16,
    /// Tags, labels and tunnels before it.
    pub path: TunnelPath,
    /// What the link layer says it is; `None` where only the version field tells.
    pub expected: Option<IpVersion>,
}

/// IP behind the addresses of Ethernet, with nothing or one VLAN tag between; `None` for everything else.
#[inline]
pub(super) fn plain_ethernet(raw: &RawPacket<'_>) -> Option<(Network, IpVersion)> {
    const BEHIND_TAG: usize = ADDRESSES_LEN + 4;
    if raw.link_type != LinkType::ETHERNET {
        return None;
    }
    let mut start = ADDRESSES_LEN;
    let (mut vlan, mut path) = (0, TunnelPath::NONE);
    let mut ether_type = u16::from_be_bytes(bytes_at(raw.data, start)?);
    if ether_type == VLAN_TAG {
        let [c0, c1, e0, e1] = bytes_at(raw.data, start.saturating_add(2))?;
        (vlan, path) = (u16::from_be_bytes([c0, c1]) & 0x0fff, TunnelPath::VLAN);
        (start, ether_type) = (BEHIND_TAG, u16::from_be_bytes([e0, e1]));
    }
    let version = match ether_type {
        IPV4 => IpVersion::V4,
        IPV6 => IpVersion::V6,
        _ => return None,
    };
    let found = Network {
        path,
        ..network(start.saturating_add(2), vlan, version)
    };
    Some((found, version))
}

/// Finds the network layer, or says what the frame is instead.
#[inline(never)]
pub(super) fn network_layer(raw: &RawPacket<'_>) -> Result<Network, Decoded> {
    match raw.link_type {
        LinkType::ETHERNET => by_ether_type(raw.data, ADDRESSES_LEN, TunnelPath::NONE),
        LinkType::LINUX_SLL => cooked_v1(raw.data),
        LinkType::LINUX_SLL2 => cooked_v2(raw.data),
        LinkType(12 | 14) | LinkType::RAW => Ok(Network {
            start: 0,
            vlan: 0,
            path: TunnelPath::NONE,
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
        LinkType::PPP => serial::ppp(data, 0, TunnelPath::NONE),
        LinkType::PPP_HDLC => serial::ppp_or_cisco(data),
        LinkType::C_HDLC => serial::cisco_hdlc(data),
        LinkType::FRELAY => serial::frame_relay(data),
        LinkType::IEEE802_11 => wireless::ieee80211(data, 0, TunnelPath::NONE),
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
        path: TunnelPath::NONE,
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

/// One more layer around what follows.
#[inline]
pub(super) fn push(path: TunnelPath, kind: TunnelKind) -> Result<TunnelPath, Decoded> {
    path.with(kind)
        .ok_or(Decoded::Undecodable(Undecodable::TooManyTags))
}

/// What a tag with this EtherType is.
#[inline]
pub(super) const fn tag_kind(ether_type: u16) -> TunnelKind {
    match ether_type {
        SERVICE_TAG => TunnelKind::Qinq,
        _ => TunnelKind::Vlan,
    }
}

/// Walks from an EtherType at `offset` over tags and labels to what they carry, behind LLC where the EtherType is a length.
#[inline]
pub(super) fn by_ether_type(
    data: &[u8],
    offset: usize,
    path: TunnelPath,
) -> Result<Network, Decoded> {
    walk(data, offset, true, path)
}

/// The same behind SNAP, where LLC cannot follow once more.
#[inline]
pub(super) fn behind_snap(
    data: &[u8],
    offset: usize,
    path: TunnelPath,
) -> Result<Network, Decoded> {
    walk(data, offset, false, path)
}

/// Every turn adds a layer, so there are no more turns than layers.
fn walk(
    data: &[u8],
    offset: usize,
    mut may_be_length: bool,
    mut path: TunnelPath,
) -> Result<Network, Decoded> {
    const TRUNCATED: Decoded = Decoded::Undecodable(Undecodable::TruncatedLink);
    let (mut start, mut vlan) = (offset, 0);
    loop {
        let ether_type = u16::from_be_bytes(bytes_at(data, start).ok_or(TRUNCATED)?);
        start = start.saturating_add(2);
        let version = match ether_type {
            IPV4 => IpVersion::V4,
            IPV6 => IpVersion::V6,
            tag if TAGS.contains(&tag) => {
                let control: [u8; 2] = bytes_at(data, start).ok_or(TRUNCATED)?;
                if vlan == 0 {
                    vlan = u16::from_be_bytes(control) & 0x0fff;
                }
                path = push(path, tag_kind(tag))?;
                start = start.saturating_add(2);
                continue;
            }
            length if length < ETHERTYPE_MIN && may_be_length => {
                return behind_length(data, start, vlan, path);
            }
            other => match behind_shim(other, data, start, path)? {
                Behind::EtherType(at, behind) => {
                    (start, path) = (at, behind);
                    continue;
                }
                Behind::Ethernet(at, behind) => {
                    (start, path) = (at.saturating_add(ADDRESSES_LEN), behind);
                    may_be_length = true;
                    continue;
                }
                Behind::Network(found) => return Ok(Network { vlan, ..found }),
            },
        };
        return Ok(Network {
            path,
            ..network(start, vlan, version)
        });
    }
}

/// An 802.3 length: LLC follows.
#[cold]
fn behind_length(
    data: &[u8],
    start: usize,
    vlan: u16,
    path: TunnelPath,
) -> Result<Network, Decoded> {
    let mut network = serial::llc(data, start, path)?;
    if vlan != 0 {
        network.vlan = vlan;
    }
    Ok(network)
}

fn cooked_v1(data: &[u8]) -> Result<Network, Decoded> {
    match serial::cooked(data, serial::u16_at(data, 2), 16) {
        Some(found) => found,
        None => by_ether_type(data, 14, TunnelPath::NONE),
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
        other if other >= ETHERTYPE_MIN => {
            return enter(
                Carried::EtherType(other),
                data,
                HEADER_LEN,
                TunnelPath::NONE,
            );
        }
        _ => return serial::llc(data, HEADER_LEN, TunnelPath::NONE),
    };
    Ok(network(HEADER_LEN, 0, expected))
}

pub(super) fn not_ip(ether_type: u16) -> NotIp {
    match ether_type {
        ARP => NotIp::Arp,
        length if length < ETHERTYPE_MIN => NotIp::Llc,
        _ => NotIp::OtherEtherType,
    }
}
