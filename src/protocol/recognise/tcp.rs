//! First bytes of one side of a TCP connection → which protocol.

use super::{Ports, be16, be32, ber, is_kerberos, is_ldap, is_rpc, le32, text};
use crate::model::AppProtocol;
use crate::protocol::{dns, http1, tls};

pub(super) fn recognise(ports: Ports, payload: &[u8]) -> Option<AppProtocol> {
    if is_tls(payload) {
        return Some(AppProtocol::Tls);
    }
    if is_http(payload) {
        return Some(AppProtocol::Http);
    }
    if ports.any(&[53]) && payload.len() >= 14 && dns::looks_like_stream(payload) {
        return Some(AppProtocol::Dns);
    }
    text::of_stream(ports, payload)
        .or_else(|| by_mark(payload))
        .or_else(|| by_port_and_shape(ports, payload))
}

/// A record, or a ClientHello in the form of SSL 2, which clients that also knew later versions sent (RFC 5246 appendix E.2).
fn is_tls(payload: &[u8]) -> bool {
    let is_old_hello = match payload {
        [0x80..=0xbf, _, 1, 0, 2, rest @ ..] | [0x80..=0xbf, _, 1, 3, 0..=3, rest @ ..] => {
            be16(rest, 0).is_some_and(|len| len > 0 && len.is_multiple_of(3))
                && matches!(be16(rest, 4), Some(16..=32))
        }
        _ => false,
    };
    tls::looks_like_record(payload)
        || payload.len() >= 3 && tls::begins_like_hello(payload)
        || is_old_hello
}

/// A request whose method is whole, or a response.
fn is_http(payload: &[u8]) -> bool {
    /// Longer than the longest method and its space.
    const METHOD_BYTES: usize = 18;
    http1::look_response(payload).is_some()
        || payload.len() >= 5
            && payload.iter().take(METHOD_BYTES).any(|byte| *byte == b' ')
            && http1::begins_like_request(payload)
}

/// Protocols with a mark that is none of another protocol.
#[allow(
    clippy::match_same_arms,
    reason = "one line for each form of a message"
)]
fn by_mark(payload: &[u8]) -> Option<AppProtocol> {
    let protocol = match payload {
        [0, 0 | 1, _, _, 0xfd..=0xff, b'S', b'M', b'B', ..] => AppProtocol::Smb,
        [0x10, ..] if is_mqtt_connect(payload) => AppProtocol::Mqtt,
        [0x20, 2, 0 | 1, 0..=5] => AppProtocol::Mqtt,
        // An alert to a client that closed before it said anything: no version was agreed on.
        [21, 0, 0, 0, 2, 1 | 2, _] => AppProtocol::Tls,
        // The mark, a seed, and which cipher follows.
        [0xfa, 0x00, 0xb6, 0x2b, ..] if payload.len() == 12 => AppProtocol::FastTrack,
        [b'H', b'I', b' ' | b'\n', ..] | [b'H', b'E', b'L', b'L', b'O', b' ', b'2', b'.', ..] => {
            AppProtocol::Ookla
        }
        [0x05, 0x64, 5..=255, _, ..] => AppProtocol::Dnp3,
        [3, 0, ..] if is_tpkt(payload) => {
            if is_rdp(payload) {
                AppProtocol::Rdp
            } else {
                AppProtocol::Tpkt
            }
        }
        [0xff, ..] if is_bgp(payload) => AppProtocol::Bgp,
        [0xff, 0xfa..=0xfe, option, ..] if *option <= 50 || *option == 255 => AppProtocol::Telnet,
        [5, 0 | 1, 0..=19, ..] if is_dcerpc(payload) => AppProtocol::Dcerpc,
        [_, _, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, ..] => AppProtocol::Pptp,
        [0, 0, _, 4, 0, 0, 0, 0, 0, ..] if is_http2_settings(payload) => AppProtocol::Http2,
        [0x68, 4..=253, ..] if is_iec104(payload) => AppProtocol::Iec104,
        [4, 1 | 2, ..] if is_socks4(payload) => AppProtocol::Socks,
        [0, 0x5a..=0x5d, _, _, _, _, _, _] => AppProtocol::Socks,
        [5, count @ 1..=16, methods @ ..] if methods.len() == usize::from(*count) => {
            AppProtocol::Socks
        }
        [5, 0..=3 | 0x80 | 0xff] => AppProtocol::Socks,
        [1, ..] if is_diameter(payload) => AppProtocol::Diameter,
        [0x80..=0xff, ..] if is_record_of_rpc(payload) => AppProtocol::Rpc,
        _ if is_ldap(payload) => AppProtocol::Ldap,
        _ if is_kerberos(payload) || payload.get(4..).is_some_and(is_kerberos) => {
            AppProtocol::Kerberos
        }
        _ if is_postgres(payload) => AppProtocol::Postgres,
        _ if is_mysql_greeting(payload) => AppProtocol::Mysql,
        _ if is_oracle(payload) => AppProtocol::Oracle,
        _ if is_mongodb(payload) => AppProtocol::Mongodb,
        _ if is_openvpn(payload) => AppProtocol::Openvpn,
        _ => return None,
    };
    Some(protocol)
}

#[allow(
    clippy::match_same_arms,
    reason = "one line for each form of a message"
)]
fn by_port_and_shape(ports: Ports, payload: &[u8]) -> Option<AppProtocol> {
    const X11: std::ops::RangeInclusive<u16> = 6000..=6063;
    let protocol = match payload {
        [0x81..=0x85, 0 | 1, ..] if ports.any(&[139]) => AppProtocol::NetbiosSsn,
        [0, 0 | 1, _, _, ..] if ports.any(&[139]) => AppProtocol::NetbiosSsn,
        // A length alone: what it is of comes in the next segment.
        [0, 0 | 1, _, _] if ports.any(&[445]) => AppProtocol::Smb,
        [_, _, 0, 0, 0, len @ 2..=255, _, 1..=0x7f | 0x81..=0xff, ..]
            if ports.any(&[502]) && payload.len() >= usize::from(*len).saturating_add(6) =>
        {
            AppProtocol::Modbus
        }
        [0x12 | 1 | 2 | 4 | 0x10, 0 | 1, ..] if ports.any(&[1433]) => AppProtocol::Mssql,
        [0x12, 1, _, _, 0, 0, _, 0, 0, 0, ..] => AppProtocol::Mssql,
        [0xc0 | 0xc1, 1..=3, _, ..] if ports.any(&[49]) && payload.len() >= 12 => {
            AppProtocol::Tacacs
        }
        [_, _, _, 0 | 1, ..] if ports.any(&[3306]) && is_packet_of_mysql(payload) => {
            AppProtocol::Mysql
        }
        [b'S' | b'N'] if ports.any(&[5432]) => AppProtocol::Postgres,
        [b'R' | b'E', 0, 0, ..] if ports.any(&[5432]) => AppProtocol::Postgres,
        [b'l' | b'B', 0, 11, 0, ..] | [b'l' | b'B', 0, 0, 11, ..] => AppProtocol::X11,
        _ if X11.contains(&ports.1) && is_request_of_x11(payload)
            || X11.contains(&ports.0) && is_event_of_x11(payload) =>
        {
            AppProtocol::X11
        }
        _ if ports.any(&[2000]) && is_sccp(payload) => AppProtocol::Sccp,
        [_, 0, _, _, _, _, _, _, 0, 0, 0, 0, ..] if ports.any(&[44818]) && payload.len() >= 24 => {
            AppProtocol::Enip
        }
        [3 | 6, ..] if ports.any(&[1935]) => AppProtocol::Rtmp,
        [3..=5 | 0x83..=0x85, _, _, _, _, ..] if ports.any(&[9042]) && payload.len() >= 9 => {
            AppProtocol::Cassandra
        }
        _ if ports.any(&[88])
            && be32(payload, 0).is_some_and(|len| len < 1 << 16)
            && payload.get(4).is_some_and(|tag| matches!(tag, 0x60..=0x7e)) =>
        {
            AppProtocol::Kerberos
        }
        [0x30, ..] if ports.any(&[389, 3268]) && ber(payload).is_some() => AppProtocol::Ldap,
        [_, _, 0, 0, 1..=14, ..] if ports.any(&[1521, 1526]) && payload.len() >= 8 => {
            AppProtocol::Oracle
        }
        _ => return None,
    };
    Some(protocol)
}

/// Its protocol name stands behind the length of the packet (MQTT 3.1.1 §3.1).
fn is_mqtt_connect(payload: &[u8]) -> bool {
    (2..=5).any(|at| {
        payload.get(at..).is_some_and(|rest| {
            rest.starts_with(b"\0\x04MQTT") || rest.starts_with(b"\0\x06MQIsdp")
        })
    })
}

/// ISO transport over TCP (RFC 1006 §6): a length, and within it an X.224 header.
fn is_tpkt(payload: &[u8]) -> bool {
    let Some(len) = be16(payload, 2) else {
        return false;
    };
    match payload.get(4..6) {
        Some([header_len @ 2..=255, kind]) => {
            usize::from(len) > usize::from(*header_len).saturating_add(4)
                && matches!(
                    kind & 0xf0,
                    0x10 | 0x50 | 0x60 | 0x70 | 0x80 | 0xc0 | 0xd0 | 0xe0 | 0xf0
                )
        }
        Some([2..=255, ..]) | None => false,
        // H.225 has no X.224 header.
        Some(_) => len >= 8,
    }
}

/// A connection request with a cookie or a choice of security, or its confirmation (MS-RDPBCGR §2.2.1.1, §2.2.1.2).
fn is_rdp(payload: &[u8]) -> bool {
    let Some([_, 0xd0 | 0xe0, _, _, _, _, _, rest @ ..]) = payload.get(4..) else {
        return false;
    };
    rest.starts_with(b"Cookie: mstshash=") || matches!(rest, [1..=3, _, 8, 0, ..])
}

fn is_bgp(payload: &[u8]) -> bool {
    payload
        .get(..16)
        .is_some_and(|mark| mark.iter().all(|byte| *byte == 0xff))
        && matches!(be16(payload, 16), Some(19..=4096))
        && matches!(payload.get(18), Some(1..=5))
}

/// Version 5, a known kind, and lengths that fit (C706 §12.6.1).
pub(super) fn is_dcerpc(payload: &[u8]) -> bool {
    let Some([0x00 | 0x10, 0, 0, 0, low, high, ..]) = payload.get(4..) else {
        return false;
    };
    u16::from_le_bytes([*low, *high]) >= 16 || u16::from_be_bytes([*low, *high]) >= 16
}

/// The settings that begin a server's frames (RFC 9113 §6.5).
fn is_http2_settings(payload: &[u8]) -> bool {
    payload.get(2).is_some_and(|len| {
        len.is_multiple_of(6) && payload.len() >= usize::from(*len).saturating_add(9)
    })
}

/// Frames follow each other to the end (IEC 60870-5-104 §5).
fn is_iec104(payload: &[u8]) -> bool {
    let mut rest = payload;
    while let [0x68, len @ 4..=253, ..] = rest {
        match rest.get(usize::from(*len).saturating_add(2)..) {
            Some([]) => return true,
            Some(next) => rest = next,
            None => return false,
        }
    }
    false
}

/// A request, its user ended by a zero, and perhaps a name behind it.
fn is_socks4(payload: &[u8]) -> bool {
    payload.len() >= 9 && payload.len() <= 512 && payload.last() == Some(&0)
}

fn is_diameter(payload: &[u8]) -> bool {
    let Some([_, l0, l1, l2, flags, c0, c1, c2]) = payload.first_chunk::<8>() else {
        return false;
    };
    let len = u32::from_be_bytes([0, *l0, *l1, *l2]);
    let command = u32::from_be_bytes([0, *c0, *c1, *c2]);
    // Of the base protocol and of what the IETF and 3GPP added.
    let known = matches!(command, 257..=339 | 8_388_620..=8_388_737);
    len >= 20
        && len.is_multiple_of(4)
        && flags.trailing_zeros() >= 4
        && known
        && payload.len() >= 20
}

/// The last fragment of a record (RFC 5531 §11), which most are.
fn is_record_of_rpc(payload: &[u8]) -> bool {
    be32(payload, 0).is_some_and(|mark| (24..1 << 20).contains(&(mark & 0x7fff_ffff)))
        && payload.get(4..).is_some_and(is_rpc)
}

/// A start, or a request for encryption or to cancel (PostgreSQL, message formats).
fn is_postgres(payload: &[u8]) -> bool {
    match (be32(payload, 0), be32(payload, 4)) {
        (Some(8), Some(80_877_103 | 80_877_104)) | (Some(16), Some(80_877_102)) => true,
        (Some(9..=10_000), Some(0x0003_0000..=0x0003_0002)) => {
            payload.get(8).is_some_and(u8::is_ascii_graphic)
        }
        _ => false,
    }
}

/// Three bytes of length, a number, and as much as they say.
fn is_packet_of_mysql(payload: &[u8]) -> bool {
    payload.first_chunk::<4>().is_some_and(|[a, b, c, _]| {
        let len = u32::from_le_bytes([*a, *b, *c, 0]) as usize;
        len > 0 && payload.len() >= len.saturating_add(4)
    })
}

/// Version 10 of the handshake and the version of the server, or an error in its place.
fn is_mysql_greeting(payload: &[u8]) -> bool {
    let digits = matches!(payload.get(3..7), Some([0, 10, major, next])
        if major.is_ascii_digit() && (next.is_ascii_digit() || *next == b'.'));
    digits && is_packet_of_mysql(payload)
}

/// Transparent Network Substrate: length, no checksum, and a known kind.
fn is_oracle(payload: &[u8]) -> bool {
    matches!(payload, [_, _, 0, 0, 1..=14, _, 0, 0, ..])
        && be16(payload, 0)
            .is_some_and(|len| usize::from(len) == payload.len() || usize::from(len) >= 26)
        && (payload
            .windows(5)
            .take(super::LOOKED_AT_MAX)
            .any(|part| part == b"(DESC" || part == b"(ADDR" || part == b"(CONN")
            || matches!(payload.get(4), Some(2 | 11))
                && be16(payload, 0).is_some_and(|len| usize::from(len) == payload.len()))
}

/// Length, two numbers and one of the kinds of message.
fn is_mongodb(payload: &[u8]) -> bool {
    matches!(le32(payload, 12), Some(1 | 2001..=2007 | 2010..=2013))
        && le32(payload, 0).is_some_and(|len| {
            (16..=48 << 20).contains(&len) && payload.len() as u64 >= u64::from(len).min(26)
        })
        && payload.len() >= 26
}

/// A reset behind its length: the first message of a client, or of a server.
fn is_openvpn(payload: &[u8]) -> bool {
    matches!(payload, [_, _, 0x38 | 0x40 | 0x50, ..])
        && be16(payload, 0).is_some_and(|len| {
            (14..=600).contains(&len) && payload.len() == usize::from(len).saturating_add(2)
        })
}

/// A request in the middle of a connection: its kind, and its length in units of four bytes.
fn is_request_of_x11(payload: &[u8]) -> bool {
    matches!(payload, [1..=0x7f, _, low, high, ..]
        if (1..=payload.len() / 4).contains(&usize::from(u16::from_le_bytes([*low, *high]))))
}

/// Errors, replies and events are 32 bytes and more; the answer to a new connection has the version in it.
fn is_event_of_x11(payload: &[u8]) -> bool {
    match payload {
        [0..=2, _, 11, 0, 0, 0, ..] | [0..=2, _, 0, 11, 0, 0, ..] => true,
        [0..=35 | 0x80..=0xa3, ..] => payload.len() >= 32 && payload.len().is_multiple_of(4),
        _ => false,
    }
}

/// Length, version and kind, all with the least significant byte first.
fn is_sccp(payload: &[u8]) -> bool {
    matches!(le32(payload, 0), Some(4..=4096))
        && matches!(le32(payload, 4), Some(0..=0x20))
        && matches!(le32(payload, 8), Some(0..=0x200))
}
