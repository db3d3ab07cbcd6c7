//! Frame of a point-to-point or loopback link → where its network layer begins: PPP, HDLC, Frame Relay, BSD loopback, netfilter log.

use super::link::{self, Network, behind_snap, by_ether_type, network};
use super::tunnel::TunnelPath;
use super::{Decoded, IpVersion, NotIp, Undecodable};

/// Attributes of a netfilter log message that are walked: a message has some twenty.
const NFLOG_ATTRIBUTES_MAX: usize = 64;

const TRUNCATED: Decoded = Decoded::Undecodable(Undecodable::TruncatedLink);
const OTHER: Decoded = Decoded::NotIp(NotIp::OtherEtherType);

/// BSD loopback: the address family as the machine that captured numbers and orders it.
pub(super) fn loopback(data: &[u8]) -> Result<Network, Decoded> {
    let family = data.first_chunk::<4>().ok_or(TRUNCATED)?;
    // Families are small numbers: whichever order gives one is that of the machine.
    let family = u32::from_le_bytes(*family).min(u32::from_be_bytes(*family));
    match family {
        2 => Ok(network(4, 0, IpVersion::V4)),
        // Linux; Windows; NetBSD and OpenBSD; FreeBSD; macOS.
        10 | 23 | 24 | 28 | 30 => Ok(network(4, 0, IpVersion::V6)),
        _ => Err(OTHER),
    }
}

/// PPP at `start`: address and control fields (RFC 1662 §3.1) may be there or compressed away (RFC 1661 §6.6), and the protocol
/// may be one byte (§6.5).
pub(super) fn ppp(data: &[u8], start: usize, path: TunnelPath) -> Result<Network, Decoded> {
    let rest = data.get(start..).unwrap_or_default();
    let (rest, start) = match rest.strip_prefix(&[0xff, 0x03]) {
        Some(behind) => (behind, start.saturating_add(2)),
        None => (rest, start),
    };
    let (protocol, len) = match rest {
        [first, ..] if first & 1 == 1 => (u16::from(*first), 1),
        [high, low, ..] => (u16::from_be_bytes([*high, *low]), 2),
        _ => return Err(TRUNCATED),
    };
    let start = start.saturating_add(len);
    let version = match protocol {
        0x0021 => IpVersion::V4,
        0x0057 => IpVersion::V6,
        _ => return Err(OTHER),
    };
    Ok(Network {
        path,
        ..network(start, 0, version)
    })
}

/// PPP in HDLC-like framing, or Cisco HDLC: both occur under one link type and the first byte tells.
pub(super) fn ppp_or_cisco(data: &[u8]) -> Result<Network, Decoded> {
    match data {
        [0x0f | 0x8f, 0, ..] => cisco_hdlc(data),
        _ => ppp(data, 0, TunnelPath::NONE),
    }
}

/// Cisco HDLC: address, control, EtherType.
pub(super) fn cisco_hdlc(data: &[u8]) -> Result<Network, Decoded> {
    by_ether_type(data, 2, TunnelPath::NONE)
}

/// Frame Relay: a Q.922 address, then either an EtherType (Cisco) or control and NLPID (RFC 2427 §3).
pub(super) fn frame_relay(data: &[u8]) -> Result<Network, Decoded> {
    const ADDRESS_MAX: usize = 4;
    // The last byte of the address has its lowest bit set.
    let address_len = data
        .iter()
        .take(ADDRESS_MAX)
        .position(|byte| byte & 1 == 1)
        .ok_or(TRUNCATED)?
        .saturating_add(1);
    let at = |offset: usize| address_len.saturating_add(offset);
    match data.get(address_len..).unwrap_or_default() {
        [0x03, 0xcc, ..] => Ok(network(at(2), 0, IpVersion::V4)),
        [0x03, 0x8e, ..] => Ok(network(at(2), 0, IpVersion::V6)),
        // SNAP, with or without a byte of padding.
        [0x03, 0x00, 0x80, 0, 0, 0, ..] => behind_snap(data, at(6), TunnelPath::NONE),
        [0x03, 0x80, 0, 0, 0, ..] => behind_snap(data, at(5), TunnelPath::NONE),
        [0x03, _, ..] => Err(OTHER),
        [_, _, ..] => by_ether_type(data, address_len, TunnelPath::NONE),
        _ => Err(TRUNCATED),
    }
}

/// Netfilter log: attributes in the byte order of the machine that captured; one of them is the packet.
pub(super) fn netfilter_log(data: &[u8]) -> Result<Network, Decoded> {
    const HEADER_LEN: usize = 4;
    const PAYLOAD: u16 = 9;
    let expected = match data.first().ok_or(TRUNCATED)? {
        2 => IpVersion::V4,
        10 => IpVersion::V6,
        _ => return Err(OTHER),
    };
    let mut start = HEADER_LEN;
    let mut big_endian = None;
    for _ in 0..NFLOG_ATTRIBUTES_MAX {
        let rest = data.get(start..).unwrap_or_default();
        let [l0, l1, k0, k1] = *rest.first_chunk::<4>().ok_or(TRUNCATED)?;
        // The first attribute is short and of a small kind in one order only.
        let big_endian = *big_endian.get_or_insert(k0 == 0 && k1 != 0);
        let number = |bytes| {
            if big_endian {
                u16::from_be_bytes(bytes)
            } else {
                u16::from_le_bytes(bytes)
            }
        };
        let (len, kind) = (usize::from(number([l0, l1])), number([k0, k1]));
        if len < 4 {
            return Err(TRUNCATED);
        }
        if kind == PAYLOAD {
            return Ok(network(start.saturating_add(4), 0, expected));
        }
        start = start.saturating_add(len.next_multiple_of(4));
    }
    Err(Decoded::Undecodable(Undecodable::TooManyTags))
}

/// What a Linux cooked header of either version says about the device, where that is more than an EtherType can say.
pub(super) fn cooked(
    data: &[u8],
    device: Option<u16>,
    start: usize,
) -> Option<Result<Network, Decoded>> {
    const IEEE80211: u16 = 801;
    const IEEE80211_PRISM: u16 = 802;
    const IEEE80211_RADIOTAP: u16 = 803;
    match device? {
        IEEE80211 => Some(super::wireless::ieee80211(data, start, TunnelPath::NONE)),
        IEEE80211_PRISM => Some(super::wireless::prism(data, start)),
        IEEE80211_RADIOTAP => Some(super::wireless::radiotap(data, start)),
        _ => None,
    }
}

/// LLC at `start`: SNAP with an EtherType (RFC 1042), or IP by its own service access point.
pub(super) fn llc(data: &[u8], start: usize, path: TunnelPath) -> Result<Network, Decoded> {
    match data.get(start..).unwrap_or_default() {
        [0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8, ..] => behind_snap(data, start.saturating_add(6), path),
        [0x06, 0x06, 0x03, ..] => Ok(Network {
            path,
            ..network(start.saturating_add(3), 0, IpVersion::V4)
        }),
        _ => Err(Decoded::NotIp(NotIp::Llc)),
    }
}

/// A field of two bytes in network order.
pub(super) fn u16_at(data: &[u8], offset: usize) -> Option<u16> {
    link::bytes_at::<2>(data, offset).map(u16::from_be_bytes)
}
