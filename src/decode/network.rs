//! Network layer → addresses, counted bytes and where the transport begins: IPv4, and IPv6 with extension headers.

use super::{Address, Decoded, IpHeader, IpVersion, Undecodable, transport};
use crate::capture::RawPacket;

/// Extension headers that are walked: a packet has at most seven kinds of them (RFC 8200 §4.1); more is an attack.
pub const EXTENSION_HEADERS_MAX: u8 = 12;

const IPV4_HEADER_MIN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;

/// Decodes from the network layer on, which begins at `start`.
#[inline]
pub(super) fn decode(
    raw: &RawPacket<'_>,
    start: usize,
    vlan: u16,
    expected: Option<IpVersion>,
) -> Decoded {
    let Some(bytes) = raw.data.get(start..) else {
        return Decoded::Undecodable(Undecodable::TruncatedLink);
    };
    let Some(first) = bytes.first() else {
        return Decoded::Undecodable(Undecodable::TruncatedIp);
    };
    // Bytes on the wire from here on; padding and trailers are still among them.
    let wire_len = (raw.wire_len as usize).saturating_sub(start);
    match (first >> 4, expected) {
        (4, None | Some(IpVersion::V4)) => ipv4(bytes, start, wire_len, vlan),
        (6, None | Some(IpVersion::V6)) => ipv6(bytes, start, wire_len, vlan),
        _ => Decoded::Undecodable(Undecodable::BadIpVersion),
    }
}

/// RFC 791 §3.1.
#[inline]
fn ipv4(bytes: &[u8], start: usize, wire_len: usize, vlan: u16) -> Decoded {
    let Some(header) = bytes.first_chunk::<IPV4_HEADER_MIN>() else {
        return Decoded::Undecodable(Undecodable::TruncatedIp);
    };
    let [
        v,
        _,
        l0,
        l1,
        i0,
        i1,
        f0,
        f1,
        _,
        protocol,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = *header;
    let header_len = usize::from(v & 0x0f).saturating_mul(4);
    if header_len < IPV4_HEADER_MIN {
        return Decoded::Undecodable(Undecodable::BadIpHeaderLength);
    }
    let total_len = usize::from(u16::from_be_bytes([l0, l1]));
    // Zero where an offload left the length to the hardware; more than the wire where the field is wrong.
    let ip_len = if total_len >= header_len && total_len <= wire_len {
        total_len
    } else {
        wire_len
    };
    let ip = IpHeader {
        source: mapped([s0, s1, s2, s3]),
        destination: mapped([d0, d1, d2, d3]),
        bytes: u32::try_from(ip_len).unwrap_or(u32::MAX),
        protocol,
        version: IpVersion::V4,
        identification: u16::from_be_bytes([i0, i1]),
    };
    // More fragments, or an offset: part of a datagram.
    if u16::from_be_bytes([f0, f1]) & 0x3fff != 0 {
        return Decoded::Fragment(ip);
    }
    let Some(rest) = bytes.get(header_len..) else {
        return Decoded::BadTransport(ip, Undecodable::TruncatedTransport);
    };
    let offset = start.saturating_add(header_len);
    transport::decode(ip, rest, offset, ip_len.saturating_sub(header_len), vlan)
}

/// RFC 8200 §3 and §4.
#[inline]
fn ipv6(bytes: &[u8], start: usize, wire_len: usize, vlan: u16) -> Decoded {
    let Some((header, rest)) = bytes.split_first_chunk::<IPV6_HEADER_LEN>() else {
        return Decoded::Undecodable(Undecodable::TruncatedIp);
    };
    let [_, _, _, _, l0, l1, protocol, _, addresses @ ..] = header;
    let (Some(source), Some(destination)) =
        (addresses.first_chunk::<16>(), addresses.last_chunk::<16>())
    else {
        return Decoded::Undecodable(Undecodable::TruncatedIp);
    };
    let claimed = usize::from(u16::from_be_bytes([*l0, *l1])).saturating_add(IPV6_HEADER_LEN);
    // Zero for jumbograms and merged segments.
    let ip_len = if claimed > IPV6_HEADER_LEN && claimed <= wire_len {
        claimed
    } else {
        wire_len
    };
    let mut ip = IpHeader {
        source: *source,
        destination: *destination,
        bytes: u32::try_from(ip_len).unwrap_or(u32::MAX),
        protocol: *protocol,
        version: IpVersion::V6,
        identification: 0,
    };
    let walk = match extension_headers(*protocol, rest) {
        Ok(walk) => walk,
        Err(reason) => return Decoded::BadTransport(ip, reason),
    };
    ip.protocol = walk.protocol;
    if walk.fragment {
        return Decoded::Fragment(ip);
    }
    let headers_len = IPV6_HEADER_LEN.saturating_add(walk.len);
    let Some(rest) = bytes.get(headers_len..) else {
        return Decoded::BadTransport(ip, Undecodable::TruncatedTransport);
    };
    let offset = start.saturating_add(headers_len);
    transport::decode(ip, rest, offset, ip_len.saturating_sub(headers_len), vlan)
}

/// What the extension headers lead to.
struct Walk {
    protocol: u8,
    len: usize,
    fragment: bool,
}

/// Walks the chain of extension headers (RFC 8200 §4; authentication header RFC 4302 §2).
#[inline]
fn extension_headers(first: u8, bytes: &[u8]) -> Result<Walk, Undecodable> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const DESTINATION_OPTIONS: u8 = 60;
    const MOBILITY: u8 = 135;
    const HOST_IDENTITY: u8 = 139;
    const SHIM6: u8 = 140;

    let mut walk = Walk {
        protocol: first,
        len: 0,
        fragment: false,
    };
    let mut rest = bytes;
    for _ in 0..EXTENSION_HEADERS_MAX {
        let unit = match walk.protocol {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM6 => 8,
            FRAGMENT => 0,
            AUTHENTICATION => 4,
            _ => return Ok(walk),
        };
        let Some([next, length, offset_high, offset_low]) = rest.first_chunk::<4>() else {
            return Err(Undecodable::TruncatedTransport);
        };
        let header_len = match unit {
            // The fragment header has a fixed length.
            0 => 8,
            // Counted in units of four bytes less two.
            4 => usize::from(*length).saturating_add(2).saturating_mul(4),
            _ => usize::from(*length).saturating_add(1).saturating_mul(8),
        };
        // An atomic fragment (RFC 6946) is whole: no offset, none to follow.
        if walk.protocol == FRAGMENT
            && u16::from_be_bytes([*offset_high, *offset_low]) & 0xfff9 != 0
        {
            walk.protocol = *next;
            walk.fragment = true;
            return Ok(walk);
        }
        walk.protocol = *next;
        walk.len = walk.len.saturating_add(header_len);
        rest = rest
            .get(header_len..)
            .ok_or(Undecodable::TruncatedTransport)?;
    }
    Err(Undecodable::TooManyExtensionHeaders)
}

#[inline]
fn mapped(v4: [u8; 4]) -> Address {
    let [a, b, c, d] = v4;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}
