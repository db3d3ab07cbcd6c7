//! The first payload of a side → which protocol it is.
//!
//! Content comes first. Where a protocol has no mark that could not be another's, its port has to agree with the shape of the
//! content; a port alone says nothing. *By port and shape*: BOOTP, CAPWAP, connectionless LDAP's short forms, DHCPv6, ESP in UDP,
//! EtherNet/IP, FTP and POP3 and IMAP commands, Geneve, GTP, IKE, L2TP, Modbus, MSSQL, NAT-PMP, NBNS, NetBIOS, NetFlow, NTP,
//! OpenVPN, PTP, QUIC past its beginning, RADIUS, Redis, RIP, SCCP, SLP, TACACS+, VXLAN, X11, Zoom. *By shape alone*: RTP, and
//! TFTP behind its first message, which uses ports of no meaning.
//!
//! **Invariants**: the work is bounded by [`LOOKED_AT_MAX`] bytes but for DNS, which reads its message once; nothing is
//! allocated. TLS, HTTP and DNS are never said by their ports.

mod opaque;
mod tcp;
mod text;
mod udp;

#[cfg(test)]
mod tests;

pub use opaque::looks_random;

use crate::model::AppProtocol;

/// Bytes that are looked at.
pub const LOOKED_AT_MAX: usize = 512;

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A stream: the bytes are its first segment, which may hold a part of a message or several.
    Tcp,
    /// A datagram, perhaps cut by a snap length.
    Udp,
}

/// Tells the protocol from the first payload of a side, client or server: servers of SSH, SMTP, FTP, POP3, IMAP and MySQL speak
/// first. `None`: not known.
#[inline]
pub fn recognise(
    transport: Transport,
    source_port: u16,
    destination_port: u16,
    payload: &[u8],
) -> Option<AppProtocol> {
    let ports = Ports(source_port, destination_port);
    if payload.is_empty() {
        return None;
    }
    match transport {
        Transport::Tcp => tcp::recognise(ports, payload),
        Transport::Udp => udp::recognise(ports, payload),
    }
}

/// Both ports of a packet.
#[derive(Clone, Copy, Debug)]
struct Ports(u16, u16);

impl Ports {
    #[inline]
    fn any(self, of: &[u16]) -> bool {
        of.contains(&self.0) || of.contains(&self.1)
    }
}

/// Two bytes in network order at a place.
fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*field))
}

/// Four bytes in network order at a place.
fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*field))
}

/// Four bytes, the least significant first, at a place.
fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    be32(bytes, at).map(u32::swap_bytes)
}

/// Tag, announced length and content, as far as it is there, of a BER element (X.690 §8.1).
fn ber(bytes: &[u8]) -> Option<(u8, usize, &[u8])> {
    let [tag, first, rest @ ..] = bytes else {
        return None;
    };
    let (len, content) = match first {
        len @ 0..=0x7f => (usize::from(*len), rest),
        0x81 => {
            let [len, rest @ ..] = rest else { return None };
            (usize::from(*len), rest)
        }
        0x82 => (usize::from(be16(rest, 0)?), rest.get(2..)?),
        0x83 => {
            let (len, rest) = rest.split_first_chunk::<3>()?;
            let [a, b, c] = *len;
            (u32::from_be_bytes([0, a, b, c]) as usize, rest)
        }
        0x84 => (be32(rest, 0)? as usize, rest.get(4..)?),
        _ => return None,
    };
    Some((*tag, len, content))
}

/// An LDAP message (RFC 4511 §4.1.1): a sequence of a number and an operation.
fn is_ldap(payload: &[u8]) -> bool {
    let Some((0x30, len, content)) = ber(payload) else {
        return false;
    };
    let Some((0x02, number_len @ 1..=4, number)) = ber(content) else {
        return false;
    };
    let operation = number.get(number_len..).and_then(<[u8]>::first);
    // Bind, unbind, search, modify, add, delete, rename, compare, abandon, extended, intermediate, and their responses.
    len >= 5
        && operation
            .is_some_and(|tag| matches!(tag, 0x42 | 0x4a | 0x50 | 0x60..=0x6f | 0x73 | 0x77..=0x79))
}

/// A Kerberos message (RFC 4120 §5.4, §5.9): an application tag, a sequence, and the version, which is 5.
fn is_kerberos(payload: &[u8]) -> bool {
    let Some((0x6a..=0x6f | 0x74..=0x76 | 0x7e, _, content)) = ber(payload) else {
        return false;
    };
    let Some((0x30, _, fields)) = ber(content) else {
        return false;
    };
    matches!(fields, [0xa0 | 0xa1, 3, 2, 1, 5, ..])
}

/// A call or reply of ONC RPC behind its number (RFC 5531 §9).
fn is_rpc(message: &[u8]) -> bool {
    /// The largest assigned by hand; programs above are short-lived.
    const PROGRAM_MAX: u32 = 0x3fff_ffff;
    match be32(message, 4) {
        Some(0) => {
            be32(message, 8) == Some(2)
                && be32(message, 12)
                    .is_some_and(|program| (100_000..=PROGRAM_MAX).contains(&program))
        }
        Some(1) => {
            // Accepted, with one of the known ways of checking and a length of it; or denied.
            matches!(be32(message, 8), Some(0))
                && matches!(be32(message, 12), Some(0..=6))
                && matches!(be32(message, 16), Some(0..=400))
                || matches!(be32(message, 8), Some(1)) && matches!(be32(message, 12), Some(0 | 1))
        }
        _ => false,
    }
}

/// Says the same of the same bytes, and says TLS, HTTP and DNS only of what their parsers take: the target that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
pub fn fuzz_recognise(transport: u8, source_port: u16, destination_port: u16, payload: &[u8]) {
    let transport = if transport & 1 == 0 {
        Transport::Tcp
    } else {
        Transport::Udp
    };
    let found = recognise(transport, source_port, destination_port, payload);
    match (found, transport) {
        (Some(AppProtocol::Http), _) => assert!(
            super::http1::begins_like_request(payload)
                || super::http1::look_response(payload).is_some()
        ),
        (Some(AppProtocol::Dns), Transport::Udp) => {
            assert!(super::dns::begins_like_message(payload));
        }
        (Some(AppProtocol::Dns), Transport::Tcp) => {
            assert!(super::dns::looks_like_stream(payload));
        }
        _ => {}
    }
    if transport == Transport::Tcp && super::tls::looks_like_record(payload) && payload.len() > 5 {
        assert!(found.is_some(), "a record of TLS is not recognised");
    }
}
