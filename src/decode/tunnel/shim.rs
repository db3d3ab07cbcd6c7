//! What stands between the link layer and the network layer: MPLS, PPPoE, VN-tag, Cisco metadata, backbone frames, NSH.

use super::super::link::{
    self, ADDRESSES_LEN, ARP, IPV4, IPV6, Network, TAGS, by_ether_type, bytes_at, network, push,
};
use super::super::{Decoded, IpVersion, NotIp, Undecodable, serial, wireless};
use super::{TunnelKind, TunnelPath};

/// Labels of one stack that are walked: networks stack up to some six (segment routing); more is an attack.
pub const LABELS_MAX: usize = 16;

const MPLS: [u16; 2] = [0x8847, 0x8848];
const PPPOE: [u16; 2] = [0x8863, 0x8864];
const PPPOE_SESSION: u16 = 0x8864;
const VN_TAG: u16 = 0x8926;
const CISCO_METADATA: u16 = 0x8909;
const NSH: u16 = 0x894f;
const BACKBONE: u16 = 0x88e7;
const BRIDGED: u16 = 0x6558;
const PPP: u16 = 0x880b;

const TRUNCATED: Decoded = Decoded::Undecodable(Undecodable::TruncatedLink);
const OTHER: Decoded = Decoded::NotIp(NotIp::OtherEtherType);

/// What follows a shim, where, and behind which layers.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Behind {
    /// An EtherType.
    EtherType(usize, TunnelPath),
    /// An Ethernet frame.
    Ethernet(usize, TunnelPath),
    /// The network layer.
    Network(Network),
}

/// What a tunnel says that it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Carried {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// IP, whose version its first four bits tell.
    Ip,
    /// An Ethernet frame.
    Ethernet,
    /// What this EtherType stands for.
    EtherType(u16),
    /// PPP, with or without address and control field.
    Ppp,
    /// A stack of MPLS labels.
    Mpls,
    /// A network service header.
    Nsh,
    /// IEEE 802.11.
    Wireless,
}

/// Finds the network layer in what is carried at `start`.
pub(in super::super) fn enter(
    carried: Carried,
    data: &[u8],
    start: usize,
    path: TunnelPath,
) -> Result<Network, Decoded> {
    let of = |version| {
        Ok(Network {
            path,
            ..network(start, 0, version)
        })
    };
    match carried {
        Carried::Ipv4 | Carried::EtherType(IPV4) => of(IpVersion::V4),
        Carried::Ipv6 | Carried::EtherType(IPV6) => of(IpVersion::V6),
        Carried::Ip => Ok(Network {
            start,
            vlan: 0,
            path,
            expected: None,
        }),
        Carried::Ethernet | Carried::EtherType(BRIDGED) => {
            by_ether_type(data, start.saturating_add(ADDRESSES_LEN), path)
        }
        Carried::Ppp | Carried::EtherType(PPP) => serial::ppp(data, start, path),
        Carried::Mpls => behind(labels(data, start, path)?, data),
        Carried::Nsh => behind(service_header(data, start, path)?, data),
        Carried::Wireless => match wireless::ieee80211(data, start, path) {
            Err(Decoded::NotIp(_)) => wireless::ieee80211_swapped(data, start, path),
            found => found,
        },
        // The EtherType of the tag was read, its control field is next.
        Carried::EtherType(tag) if TAGS.contains(&tag) => {
            let vlan = u16::from_be_bytes(bytes_at(data, start).ok_or(TRUNCATED)?) & 0x0fff;
            let path = push(path, link::tag_kind(tag))?;
            let found = by_ether_type(data, start.saturating_add(2), path)?;
            Ok(Network { vlan, ..found })
        }
        Carried::EtherType(other) => behind(behind_shim(other, data, start, path)?, data),
    }
}

fn behind(found: Behind, data: &[u8]) -> Result<Network, Decoded> {
    match found {
        Behind::EtherType(at, path) => by_ether_type(data, at, path),
        Behind::Ethernet(at, path) => by_ether_type(data, at.saturating_add(ADDRESSES_LEN), path),
        Behind::Network(network) => Ok(network),
    }
}

/// What follows an EtherType that is neither IP nor a VLAN tag; the shim begins at `start`.
#[cold]
pub(in super::super) fn behind_shim(
    ether_type: u16,
    data: &[u8],
    start: usize,
    path: TunnelPath,
) -> Result<Behind, Decoded> {
    match ether_type {
        mpls if MPLS.contains(&mpls) => labels(data, start, path),
        PPPOE_SESSION => {
            // Version and type 1, code 0 for data (RFC 2516 §4).
            let [0x11, 0, ..]: [u8; 6] = bytes_at(data, start).ok_or(TRUNCATED)? else {
                return Err(OTHER);
            };
            let path = push(path, TunnelKind::Pppoe)?;
            serial::ppp(data, start.saturating_add(6), path).map(Behind::Network)
        }
        VN_TAG => {
            let path = push(path, TunnelKind::VnTag)?;
            Ok(Behind::EtherType(start.saturating_add(4), path))
        }
        CISCO_METADATA => {
            // Version, and how many words of options follow.
            let [1, words] = bytes_at(data, start).ok_or(TRUNCATED)? else {
                return Err(OTHER);
            };
            let options_len = usize::from(words).saturating_mul(4);
            let at = start.saturating_add(2).saturating_add(options_len);
            Ok(Behind::EtherType(
                at,
                push(path, TunnelKind::CiscoMetadata)?,
            ))
        }
        BACKBONE => {
            let path = push(path, TunnelKind::Pbb)?;
            Ok(Behind::Ethernet(start.saturating_add(4), path))
        }
        NSH => service_header(data, start, path),
        other => Err(Decoded::NotIp(link::not_ip(other))),
    }
}

/// A stack of labels (RFC 3032 §2.1) says nothing of what it carries: the first bytes tell (RFC 4928 §3).
fn labels(data: &[u8], start: usize, path: TunnelPath) -> Result<Behind, Decoded> {
    let path = push(path, TunnelKind::Mpls)?;
    let mut at = start;
    for _ in 0..LABELS_MAX {
        let [_, _, bottom, _] = bytes_at(data, at).ok_or(TRUNCATED)?;
        at = at.saturating_add(4);
        if bottom & 1 == 0 {
            continue;
        }
        let [first] = bytes_at(data, at).ok_or(TRUNCATED)?;
        let control_word = at.saturating_add(4);
        let version = match first >> 4 {
            // A pseudowire without control word may begin with such a hardware address.
            4 if first & 0x0f >= 5 => IpVersion::V4,
            6 if !looks_like_ethernet(data, at) => IpVersion::V6,
            _ if looks_like_ethernet(data, at) => return Ok(Behind::Ethernet(at, path)),
            0 if looks_like_ethernet(data, control_word) => {
                return Ok(Behind::Ethernet(control_word, path));
            }
            4 => IpVersion::V4,
            _ => return Err(OTHER),
        };
        return Ok(Behind::Network(Network {
            path,
            ..network(at, 0, version)
        }));
    }
    Err(Decoded::Undecodable(Undecodable::TooManyTags))
}

/// Whether an Ethernet frame with something known in it begins here.
pub(super) fn looks_like_ethernet(data: &[u8], start: usize) -> bool {
    let at = start.saturating_add(ADDRESSES_LEN);
    let Some([high, low, first]) = bytes_at(data, at) else {
        return false;
    };
    match u16::from_be_bytes([high, low]) {
        IPV4 => first >> 4 == 4,
        IPV6 => first >> 4 == 6,
        ARP | VN_TAG | CISCO_METADATA | NSH | BACKBONE => true,
        other => TAGS.contains(&other) || MPLS.contains(&other) || PPPOE.contains(&other),
    }
}

/// RFC 8300 §2.2.
fn service_header(data: &[u8], start: usize, path: TunnelPath) -> Result<Behind, Decoded> {
    let path = push(path, TunnelKind::Nsh)?;
    let [first, second, _, next] = bytes_at(data, start).ok_or(TRUNCATED)?;
    let len = usize::from(second & 0x3f).saturating_mul(4);
    // Version 0; a header has two words at least.
    if first >> 6 != 0 || len < 8 {
        return Err(OTHER);
    }
    let at = start.saturating_add(len);
    let of = |version| {
        Ok(Behind::Network(Network {
            path,
            ..network(at, 0, version)
        }))
    };
    match next {
        1 => of(IpVersion::V4),
        2 => of(IpVersion::V6),
        3 => Ok(Behind::Ethernet(at, path)),
        // Each has a layer of the path, so there is an end to it.
        4 => service_header(data, at, path),
        5 => labels(data, at, path),
        _ => Err(OTHER),
    }
}
