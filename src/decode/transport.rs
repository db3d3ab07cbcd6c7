//! Transport layer → ports and payload. Protocols without ports have 0; ICMP has its type and code there.
//!
//! ICMP queries and their replies get the ports that Community ID 1.0 gives them (type, type of the counterpart), so that
//! both directions are one flow.

use super::{Decoded, IpHeader, IpVersion, Packet, TcpHeader, TunnelPath, Undecodable};

/// ICMP for IPv4.
pub const ICMP: u8 = 1;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// ICMP for IPv6.
pub const ICMPV6: u8 = 58;

/// TCP flags (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgment field counts.
    pub const ACK: u8 = 0x10;

    /// Whether all bits of `flags` are set.
    #[inline]
    pub const fn has(self, flags: u8) -> bool {
        self.0 & flags == flags
    }
}

/// Decodes TCP or UDP as [`decode`] does; `None` for everything else, and for what is not as it should be.
#[inline]
pub(super) fn plain(
    ip: IpHeader,
    bytes: &[u8],
    offset: usize,
    wire_len: usize,
    vlan: u16,
    tunnel: TunnelPath,
) -> Option<Packet> {
    let bytes = bytes.get(..wire_len).unwrap_or(bytes);
    let found = match ip.protocol {
        TCP => tcp(bytes, wire_len).ok()?,
        UDP => udp(bytes)?,
        _ => return None,
    };
    Some(packet(ip, found, bytes, offset, wire_len, (vlan, tunnel)))
}

/// Decodes from the transport header on, which begins at `offset` in the frame; `wire_len` is what the IP packet says follows.
pub(super) fn decode(
    ip: IpHeader,
    bytes: &[u8],
    offset: usize,
    wire_len: usize,
    vlan: u16,
    tunnel: TunnelPath,
) -> Decoded {
    // Ethernet pads short frames: nothing behind the IP length is payload.
    let bytes = bytes.get(..wire_len).unwrap_or(bytes);
    let found = match ip.protocol {
        TCP => match tcp(bytes, wire_len) {
            Ok(found) => found,
            Err(reason) => return Decoded::BadTransport(ip, reason),
        },
        UDP => {
            let Some(found) = udp(bytes) else {
                return Decoded::BadTransport(ip, Undecodable::TruncatedTransport);
            };
            found
        }
        ICMP | ICMPV6 => {
            let Some([kind, code]) = bytes.first_chunk::<2>() else {
                return Decoded::BadTransport(ip, Undecodable::TruncatedTransport);
            };
            let checksum = bytes
                .get(2..)
                .and_then(|behind| behind.first_chunk::<2>())
                .map_or(0, |checksum| u16::from_be_bytes(*checksum));
            (
                icmp_ports(ip.version, *kind, *code),
                checksum,
                TcpHeader::default(),
                2,
            )
        }
        _ => ((0, 0), 0, TcpHeader::default(), 0),
    };
    Decoded::Packet(packet(ip, found, bytes, offset, wire_len, (vlan, tunnel)))
}

/// The packet with what its transport header says.
#[inline]
fn packet(
    ip: IpHeader,
    (ports, checksum, tcp, header_len): PortsAndHeader,
    bytes: &[u8],
    offset: usize,
    wire_len: usize,
    (vlan, tunnel): (u16, TunnelPath),
) -> Packet {
    let payload_len = bytes.len().saturating_sub(header_len);
    Packet {
        ip,
        source_port: ports.0,
        destination_port: ports.1,
        vlan,
        checksum,
        tunnel,
        overhead: 0,
        tcp,
        payload_offset: u32::try_from(offset.saturating_add(header_len)).unwrap_or(u32::MAX),
        payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX),
        payload_wire_len: u32::try_from(wire_len.saturating_sub(header_len)).unwrap_or(u32::MAX),
    }
}

/// RFC 768.
#[inline]
fn udp(bytes: &[u8]) -> Option<PortsAndHeader> {
    let [s0, s1, d0, d1, _, _, c0, c1] = *bytes.first_chunk::<8>()?;
    Some((
        (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])),
        u16::from_be_bytes([c0, c1]),
        TcpHeader::default(),
        8,
    ))
}

type PortsAndHeader = ((u16, u16), u16, TcpHeader, usize);

#[inline]
fn tcp(bytes: &[u8], wire_len: usize) -> Result<PortsAndHeader, Undecodable> {
    let Some(header) = bytes.first_chunk::<20>() else {
        return Err(Undecodable::TruncatedTransport);
    };
    let [
        s0,
        s1,
        d0,
        d1,
        q0,
        q1,
        q2,
        q3,
        a0,
        a1,
        a2,
        a3,
        data_offset,
        flags,
        _,
        _,
        c0,
        c1,
        ..,
    ] = *header;
    let header_len = usize::from(data_offset >> 4).saturating_mul(4);
    if header_len < 20 || header_len > wire_len {
        return Err(Undecodable::BadTcpHeader);
    }
    let tcp = TcpHeader {
        sequence: u32::from_be_bytes([q0, q1, q2, q3]),
        acknowledgment: u32::from_be_bytes([a0, a1, a2, a3]),
        flags: TcpFlags(flags),
    };
    Ok((
        (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])),
        u16::from_be_bytes([c0, c1]),
        tcp,
        header_len,
    ))
}

/// Types of queries and the types that answer them; a message without a counterpart is one-way (type, code).
fn icmp_ports(version: IpVersion, kind: u8, code: u8) -> (u16, u16) {
    let counterpart = match (version, kind) {
        (IpVersion::V4, 0) => Some(8),
        (IpVersion::V4, 8) => Some(0),
        (IpVersion::V4, 9) => Some(10),
        (IpVersion::V4, 10) => Some(9),
        (IpVersion::V4, 13) => Some(14),
        (IpVersion::V4, 14) => Some(13),
        (IpVersion::V4, 15) => Some(16),
        (IpVersion::V4, 16) => Some(15),
        (IpVersion::V4, 17) => Some(18),
        (IpVersion::V4, 18) => Some(17),
        (IpVersion::V6, 128) => Some(129),
        (IpVersion::V6, 129) => Some(128),
        (IpVersion::V6, 130) => Some(131),
        (IpVersion::V6, 131) => Some(130),
        (IpVersion::V6, 133) => Some(134),
        (IpVersion::V6, 134) => Some(133),
        (IpVersion::V6, 135) => Some(136),
        (IpVersion::V6, 136) => Some(135),
        (IpVersion::V6, 139) => Some(140),
        (IpVersion::V6, 140) => Some(139),
        (IpVersion::V6, 144) => Some(145),
        (IpVersion::V6, 145) => Some(144),
        _ => None,
    };
    (u16::from(kind), u16::from(counterpart.unwrap_or(code)))
}
