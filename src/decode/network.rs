//! Network layer → addresses, counted bytes and where the transport begins: IPv4, and IPv6 with extension headers.

use super::link::{self, Network};
use super::{
    Address, Decoded, Fragment, IpHeader, IpVersion, Packet, TunnelKind, Undecodable, transport,
};
use crate::capture::RawPacket;

/// Extension headers that are walked: a packet has at most seven kinds of them (RFC 8200 §4.1); more is an attack.
pub const EXTENSION_HEADERS_MAX: u8 = 12;

const IPV4_HEADER_MIN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;

/// Decodes from the network layer on.
#[inline]
pub(super) fn decode(raw: &RawPacket<'_>, network: &Network) -> Decoded {
    let start = network.start;
    let Some(bytes) = raw.data.get(start..) else {
        return Decoded::Undecodable(Undecodable::TruncatedLink);
    };
    let Some(first) = bytes.first() else {
        return Decoded::Undecodable(Undecodable::TruncatedIp);
    };
    // Bytes on the wire from here on; padding and trailers are still among them.
    let wire_len = (raw.wire_len as usize).saturating_sub(start);
    match (first >> 4, network.expected) {
        (4, None | Some(IpVersion::V4)) => ipv4(bytes, wire_len, network),
        (6, None | Some(IpVersion::V6)) => ipv6(bytes, wire_len, network),
        _ => Decoded::Undecodable(Undecodable::BadIpVersion),
    }
}

/// Whether the IP packet at `start` ends where bytes on the wire do, or before; unlike a packet of its own, whose length an
/// offload may have left out.
pub(super) fn fits(data: &[u8], start: usize, wire_end: usize) -> bool {
    end(data, start).is_some_and(|end| end <= wire_end)
}

/// Whether the IP packet at `start` ends exactly where bytes on the wire do.
pub(super) fn fills(data: &[u8], start: usize, wire_end: usize) -> bool {
    end(data, start) == Some(wire_end)
}

/// Where the IP packet at `start` says that it ends.
fn end(data: &[u8], start: usize) -> Option<usize> {
    let [first, _, l0, l1, l2, l3] = link::bytes_at(data, start)?;
    let len = match first >> 4 {
        4 => usize::from(u16::from_be_bytes([l0, l1])),
        _ => usize::from(u16::from_be_bytes([l2, l3])).saturating_add(IPV6_HEADER_LEN),
    };
    (len >= IPV4_HEADER_MIN).then(|| start.saturating_add(len))
}

/// TCP or UDP in a whole packet with the least header of IPv4, or behind that of IPv6 directly; `None` for everything else,
/// and for what is not as it should be.
#[inline]
pub(super) fn plain(raw: &RawPacket<'_>, network: &Network, version: IpVersion) -> Option<Packet> {
    let start = network.start;
    let bytes = raw.data.get(start..)?;
    let wire_len = (raw.wire_len as usize).checked_sub(start)?;
    let (ip, header_len) = match version {
        IpVersion::V4 => {
            let header = bytes.first_chunk::<IPV4_HEADER_MIN>()?;
            let [0x45, _, _, _, _, _, f0, f1, ..] = *header else {
                return None;
            };
            if u16::from_be_bytes([f0, f1]) & FRAGMENT != 0 {
                return None;
            }
            (
                ipv4_header(header, IPV4_HEADER_MIN, wire_len),
                IPV4_HEADER_MIN,
            )
        }
        IpVersion::V6 => {
            let header = bytes.first_chunk::<IPV6_HEADER_LEN>()?;
            let [0x60..=0x6f, ..] = *header else {
                return None;
            };
            (ipv6_header(header, wire_len), IPV6_HEADER_LEN)
        }
    };
    transport::plain(
        ip,
        bytes.get(header_len..)?,
        start.saturating_add(header_len),
        (ip.bytes as usize).saturating_sub(header_len),
        network.vlan,
        network.path,
    )
}

/// More fragments, or an offset: part of a datagram.
const FRAGMENT: u16 = 0x3fff;

/// What a header says; `header_len` is its length.
#[inline]
fn ipv4_header(header: &[u8; IPV4_HEADER_MIN], header_len: usize, wire_len: usize) -> IpHeader {
    let [
        _,
        _,
        l0,
        l1,
        i0,
        i1,
        _,
        _,
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
    let total_len = usize::from(u16::from_be_bytes([l0, l1]));
    // Zero where an offload left the length to the hardware; more than the wire where the field is wrong.
    let ip_len = if total_len >= header_len && total_len <= wire_len {
        total_len
    } else {
        wire_len
    };
    IpHeader {
        source: mapped([s0, s1, s2, s3]),
        destination: mapped([d0, d1, d2, d3]),
        bytes: u32::try_from(ip_len).unwrap_or(u32::MAX),
        protocol,
        version: IpVersion::V4,
        identification: u16::from_be_bytes([i0, i1]),
    }
}

/// RFC 791 §3.1.
#[inline]
fn ipv4(bytes: &[u8], wire_len: usize, network: &Network) -> Decoded {
    let Some(header) = bytes.first_chunk::<IPV4_HEADER_MIN>() else {
        return Decoded::Undecodable(Undecodable::TruncatedIp);
    };
    let [v, _, _, _, i0, i1, f0, f1, ..] = *header;
    let header_len = usize::from(v & 0x0f).saturating_mul(4);
    if header_len < IPV4_HEADER_MIN {
        return Decoded::Undecodable(Undecodable::BadIpHeaderLength);
    }
    let ip = ipv4_header(header, header_len, wire_len);
    let fragment = u16::from_be_bytes([f0, f1]);
    if fragment & FRAGMENT != 0 {
        let place = Place {
            identification: u32::from(u16::from_be_bytes([i0, i1])),
            offset: u32::from(fragment & 0x1fff).saturating_mul(8),
            more: fragment & 0x2000 != 0,
        };
        return piece(ip, bytes, header_len, &place, network);
    }
    let Some(rest) = bytes.get(header_len..) else {
        return Decoded::BadTransport(ip, Undecodable::TruncatedTransport);
    };
    transport::decode(
        ip,
        rest,
        network.start.saturating_add(header_len),
        (ip.bytes as usize).saturating_sub(header_len),
        network.vlan,
        network.path,
    )
}

/// What a header says; the protocol is that of the first extension header, where there is one.
#[inline]
fn ipv6_header(header: &[u8; IPV6_HEADER_LEN], wire_len: usize) -> IpHeader {
    let [_, _, _, _, l0, l1, protocol, _, addresses @ ..] = header;
    let (addresses, _) = addresses.as_chunks::<16>();
    let (source, destination) = match addresses {
        [source, destination, ..] => (*source, *destination),
        _ => ([0; 16], [0; 16]),
    };
    let claimed = usize::from(u16::from_be_bytes([*l0, *l1])).saturating_add(IPV6_HEADER_LEN);
    // Zero for jumbograms and merged segments.
    let ip_len = if claimed > IPV6_HEADER_LEN && claimed <= wire_len {
        claimed
    } else {
        wire_len
    };
    IpHeader {
        source,
        destination,
        bytes: u32::try_from(ip_len).unwrap_or(u32::MAX),
        protocol: *protocol,
        version: IpVersion::V6,
        identification: 0,
    }
}

/// RFC 8200 §3 and §4.
#[inline]
fn ipv6(bytes: &[u8], wire_len: usize, network: &Network) -> Decoded {
    let Some((header, rest)) = bytes.split_first_chunk::<IPV6_HEADER_LEN>() else {
        return Decoded::Undecodable(Undecodable::TruncatedIp);
    };
    let mut ip = ipv6_header(header, wire_len);
    let walk = match extension_headers(ip.protocol, rest) {
        Ok(walk) => walk,
        Err(reason) => return Decoded::BadTransport(ip, reason),
    };
    ip.protocol = walk.protocol;
    let headers_len = IPV6_HEADER_LEN.saturating_add(walk.len);
    let network = if walk.authenticated {
        authenticated(network)
    } else {
        *network
    };
    if let Some(place) = walk.fragment {
        return piece(ip, bytes, headers_len, &place, &network);
    }
    let Some(rest) = bytes.get(headers_len..) else {
        return Decoded::BadTransport(ip, Undecodable::TruncatedTransport);
    };
    transport::decode(
        ip,
        rest,
        network.start.saturating_add(headers_len),
        (ip.bytes as usize).saturating_sub(headers_len),
        network.vlan,
        network.path,
    )
}

/// The layer of an authentication header, if it still fits; the header itself is walked in any case.
#[cold]
fn authenticated(network: &Network) -> Network {
    let path = network.path;
    Network {
        path: path.with(TunnelKind::Ah).unwrap_or(path),
        ..*network
    }
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug)]
struct Place {
    identification: u32,
    offset: u32,
    more: bool,
}

#[cold]
fn piece(
    ip: IpHeader,
    bytes: &[u8],
    headers_len: usize,
    place: &Place,
    network: &Network,
) -> Decoded {
    let wire_len = (ip.bytes as usize).saturating_sub(headers_len);
    let rest = bytes.get(headers_len..).unwrap_or_default();
    let len = rest.len().min(wire_len);
    let narrow = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    Decoded::Fragment(Fragment {
        ip,
        identification: place.identification,
        offset: place.offset,
        more: place.more,
        vlan: network.vlan,
        tunnel: network.path,
        overhead: 0,
        payload_offset: narrow(network.start.saturating_add(headers_len)),
        payload_len: narrow(len),
        payload_wire_len: narrow(wire_len),
    })
}

/// Decodes the bytes that the fragments of a datagram carried, put together.
pub(super) fn datagram(first: &Fragment, bytes: &[u8], ip_bytes: u32) -> Decoded {
    let mut ip = first.ip;
    ip.bytes = ip_bytes;
    let (mut start, mut path) = (0, first.tunnel);
    if ip.version == IpVersion::V6 {
        let walk = match extension_headers(ip.protocol, bytes) {
            // A fragment header behind a fragment header: nobody cuts a piece twice.
            Ok(walk) if walk.fragment.is_some() => {
                return Decoded::BadTransport(ip, Undecodable::TooManyExtensionHeaders);
            }
            Ok(walk) => walk,
            Err(reason) => return Decoded::BadTransport(ip, reason),
        };
        (ip.protocol, start) = (walk.protocol, walk.len);
        if walk.authenticated {
            path = path.with(TunnelKind::Ah).unwrap_or(path);
        }
    }
    let rest = bytes.get(start..).unwrap_or_default();
    transport::decode(ip, rest, start, rest.len(), first.vlan, path)
}

/// What the extension headers lead to.
struct Walk {
    protocol: u8,
    len: usize,
    authenticated: bool,
    fragment: Option<Place>,
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
        authenticated: false,
        fragment: None,
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
        walk.authenticated |= walk.protocol == AUTHENTICATION;
        let offset = u16::from_be_bytes([*offset_high, *offset_low]);
        // An atomic fragment (RFC 6946) is whole: no offset, none to follow.
        let is_piece = walk.protocol == FRAGMENT && offset & 0xfff9 != 0;
        walk.protocol = *next;
        walk.len = walk.len.saturating_add(header_len);
        if is_piece {
            let Some([_, _, _, _, identification @ ..]) = rest.first_chunk::<8>() else {
                return Err(Undecodable::TruncatedTransport);
            };
            walk.fragment = Some(Place {
                identification: u32::from_be_bytes(*identification),
                offset: u32::from(offset & 0xfff8),
                more: offset & 1 != 0,
            });
            return Ok(walk);
        }
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
