//! A datagram → which protocol.

use super::{Ports, be16, be32, ber, is_kerberos, is_ldap, is_rpc, tcp, text};
use crate::model::AppProtocol;
use crate::protocol::dns;

pub(super) fn recognise(ports: Ports, payload: &[u8]) -> Option<AppProtocol> {
    name_service(ports, payload)
        .or_else(|| by_mark(payload))
        .or_else(|| text::of_datagram(ports, payload))
        .or_else(|| by_port_and_shape(ports, payload))
        .or_else(|| tunnel(ports, payload))
        .or_else(|| by_shape(ports, payload))
}

fn name_service(ports: Ports, payload: &[u8]) -> Option<AppProtocol> {
    const NBNS: u16 = 137;
    if ports.any(&[NBNS]) {
        // Opcodes of its own and names with spaces for padding (RFC 1002 §4.2.1).
        let counts = (4..12).step_by(2).filter_map(|at| be16(payload, at));
        let few = counts.clone().count() == 4 && counts.clone().all(|count| count <= 32);
        return (few && counts.sum::<u16>() > 0).then_some(AppProtocol::Nbns);
    }
    let (protocol, is_home) = if ports.any(&[53]) {
        (AppProtocol::Dns, true)
    } else if ports.any(&[5353]) {
        (AppProtocol::Mdns, true)
    } else if ports.any(&[5355]) {
        (AppProtocol::Llmnr, true)
    } else {
        (AppProtocol::Dns, false)
    };
    let found = if is_home {
        dns::begins_like_message(payload) || protocol == AppProtocol::Mdns && is_multicast(payload)
    } else {
        dns::looks_like_message(payload)
    };
    found.then_some(protocol)
}

/// Several questions at once, answers known along with them, or authorities alone (RFC 6762 §6, §7.1, §8.1).
fn is_multicast(payload: &[u8]) -> bool {
    let mut counts = (4..12).step_by(2).filter_map(|at| be16(payload, at));
    be16(payload, 2).is_some_and(|flags| flags & 0x7800 == 0)
        && counts.clone().count() == 4
        && counts.clone().any(|count| count > 0)
        && counts.all(|count| count <= 512)
}

/// Protocols with a mark that is none of another protocol.
#[allow(
    clippy::match_same_arms,
    reason = "one line for each form of a message"
)]
fn by_mark(payload: &[u8]) -> Option<AppProtocol> {
    let protocol = match payload {
        _ if is_stun(payload) => AppProtocol::Stun,
        [20..=26, 0xfe, 0xfc..=0xff, ..] if payload.len() >= 13 => AppProtocol::Dtls,
        // What OpenSSL sent before the standard.
        [22, 1, 0, 0, 0, ..] if payload.len() >= 13 => AppProtocol::Dtls,
        [0x80..=0xff, ..] if is_quic_long(payload) => AppProtocol::Quic,
        [0x01..=0x3f, ..] if is_google_quic(payload) => AppProtocol::Quic,
        [1 | 2, 1..=8, 0..=16, ..] if be32(payload, 236) == Some(0x6382_5363) => AppProtocol::Dhcp,
        [0x30, ..] if is_snmp(payload) => AppProtocol::Snmp,
        [0x30, ..] if is_ldap(payload) => AppProtocol::Ldap,
        _ if is_kerberos(payload) => AppProtocol::Kerberos,
        _ if is_wireguard(payload) => AppProtocol::Wireguard,
        _ if is_whole_radius(payload) => AppProtocol::Radius,
        [0x27..=0x29, 0, 0, 0, 0x29 | 0xa9, ..] if payload.len() <= 32 => AppProtocol::FastTrack,
        _ if is_tftp_request(payload) => AppProtocol::Tftp,
        _ if is_rpc(payload) => AppProtocol::Rpc,
        // The number that begins a conversation with a tracker (BEP 15).
        [
            0,
            0,
            4,
            0x17,
            0x27,
            0x10,
            0x19,
            0x80,
            0,
            0,
            0,
            0,
            _,
            _,
            _,
            _,
        ] => AppProtocol::Bittorrent,
        [0x81, 0..=12, len_high, len_low, ..]
            if usize::from(u16::from_be_bytes([*len_high, *len_low])) == payload.len() =>
        {
            AppProtocol::Bacnet
        }
        [5, 0x64, 5..=255, _, ..] if payload.len() >= 10 => AppProtocol::Dnp3,
        _ if payload.starts_with(b"SpotUdp") => AppProtocol::Spotify,
        [0x60..=0x6f, ..] if is_teredo(payload) => AppProtocol::Teredo,
        [6, 0, _, 6 | 7, ..] if payload.len() >= 12 => AppProtocol::Ipmi,
        [4, 0..=10, _, _, 0x00 | 0x10, 0, 0, _, ..] if payload.len() >= 80 => AppProtocol::Dcerpc,
        [5, 0 | 1, 0..=19, ..] if tcp::is_dcerpc(payload) => AppProtocol::Dcerpc,
        [0, 0, 0, 5, 0, 0, 0, 1 | 2, ..] if payload.len() >= 28 => AppProtocol::Sflow,
        [0, 10, ..] if be16(payload, 2).map(usize::from) == Some(payload.len()) => {
            AppProtocol::Netflow
        }
        [0, 5, 0, count @ 1..=30, ..]
            if payload.len() == usize::from(*count).saturating_mul(48).saturating_add(24) =>
        {
            AppProtocol::Netflow
        }
        _ => return None,
    };
    Some(protocol)
}

#[allow(
    clippy::match_same_arms,
    reason = "one line for each form of a message"
)]
fn by_port_and_shape(ports: Ports, payload: &[u8]) -> Option<AppProtocol> {
    let len = payload.len();
    let protocol = match payload {
        [first, ..] if ports.any(&[123]) && is_ntp(*first, len) => AppProtocol::Ntp,
        [_, version, ..] if ports.any(&[319, 320]) && version & 0x0f <= 2 && len >= 34 => {
            AppProtocol::Ptp
        }
        _ if is_traceroute(ports, payload) => AppProtocol::Traceroute,
        // Reserved, and a length that is the datagram's (RFC 5191 §6.2).
        [0, 0, _, _, ..] if ports.any(&[716]) && be16(payload, 2).map(usize::from) == Some(len) => {
            AppProtocol::Pana
        }
        [2, 0, 0, 1, rest @ ..] if ports.any(&[20002, 20004]) && rest.get(12) == Some(&b'{') => {
            AppProtocol::TpLink
        }
        [1 | 2, 1, 6, ..] if ports.any(&[67, 68]) && len >= 44 => AppProtocol::Dhcp,
        [1..=36, ..] if ports.any(&[546, 547]) && len >= 4 => AppProtocol::Dhcpv6,
        [1..=5 | 11..=13 | 40..=45, ..]
            if ports.any(&[1812, 1813, 1645, 1646, 3799]) && is_radius(payload) =>
        {
            AppProtocol::Radius
        }
        [0x10..=0x16, ..] if ports.any(&[138]) && len >= 10 => AppProtocol::NetbiosDgm,
        [0, 1 | 5 | 7..=9, ..]
            if ports.any(&[2055, 2056, 9555, 9995, 9996, 4739, 6343]) && len >= 16 =>
        {
            AppProtocol::Netflow
        }
        [0, 9, 0, 1..=64, ..] if len >= 20 => AppProtocol::Netflow,
        [1 | 2, 1 | 2, 0, 0, 0, 0 | 2, ..] if ports.any(&[520, 521]) => AppProtocol::Rip,
        [1 | 2, _, _, _, ..] if ports.any(&[427]) && len >= 14 => AppProtocol::Slp,
        [0 | 2, 0..=5 | 0x80..=0x85, ..] if ports.any(&[5350, 5351]) => AppProtocol::NatPmp,
        [0x40..=0x7f, code, ..]
            if ports.any(&[5683]) && len >= 4 && matches!(code >> 5, 0 | 2 | 4 | 5) =>
        {
            AppProtocol::Coap
        }
        [_, 0, _, _, _, _, _, _, 0, 0, 0, 0, ..] if ports.any(&[44818]) && len >= 24 => {
            AppProtocol::Enip
        }
        // Before the number of RFC 5389 there was none (RFC 3489 §11.1).
        [0 | 1, 1 | 2 | 0x11 | 0x12, ..]
            if be16(payload, 2).is_some_and(|body| usize::from(body).saturating_add(20) == len)
                && (ports.any(&[3478, 3479]) || len >= 28) =>
        {
            AppProtocol::Stun
        }
        [0x40..=0x7f, ..] if ports.any(&[3478, 5349]) && len >= 4 => AppProtocol::Stun,
        [0..=0x0f, ..] if ports.any(&[8801, 8802, 8803, 8804, 8805]) && len >= 16 => {
            AppProtocol::Zoom
        }
        [0x40..=0x7f, ..] if ports.any(&[443, 8443]) && len >= 21 => AppProtocol::Quic,
        [0..=0x3f, ..] if ports.any(&[443]) && len >= 18 => AppProtocol::Quic,
        [0x60..=0x7f, ..] if ports.any(&[88]) && ber(payload).is_some() => AppProtocol::Kerberos,
        [0x30, ..] if ports.any(&[389]) && ber(payload).is_some() => AppProtocol::Ldap,
        _ => return None,
    };
    Some(protocol)
}

/// What carries packets, all by port and shape.
#[allow(
    clippy::match_same_arms,
    reason = "one line for each form of a message"
)]
fn tunnel(ports: Ports, payload: &[u8]) -> Option<AppProtocol> {
    let len = payload.len();
    let protocol = match payload {
        _ if ports.any(&[500, 848]) && is_ike(payload) => AppProtocol::Ike,
        [0, 0, 0, 0, ike @ ..] if ports.any(&[4500]) && is_ike(ike) => AppProtocol::Ike,
        // A keep-alive is one byte (RFC 3948 §2.3).
        [0xff] if ports.any(&[4500]) => AppProtocol::EspInUdp,
        _ if ports.any(&[4500]) && len >= 24 => AppProtocol::EspInUdp,
        [flags, _, _, _, _, _, _, 0, ..]
            if ports.any(&[4789, 4790, 8472]) && flags & 0x08 != 0 && len >= 8 =>
        {
            AppProtocol::Vxlan
        }
        [0..=0x3f, _, 0x65, 0x58, ..]
        | [0..=0x3f, _, 0x08, 0, ..]
        | [0..=0x3f, _, 0x86, 0xdd, ..]
            if ports.any(&[6081]) =>
        {
            AppProtocol::Geneve
        }
        [flags, kind, ..]
            if ports.any(&[2152, 2123, 3386])
                && len >= 8
                && *kind != 0
                && matches!(flags >> 5, 0..=2) =>
        {
            AppProtocol::Gtp
        }
        [_, version, ..] if ports.any(&[1701]) && matches!(version & 0x0f, 2 | 3) && len >= 6 => {
            AppProtocol::L2tp
        }
        [0x60..=0x6f, ..] if ports.any(&[3544]) && len >= 40 => AppProtocol::Teredo,
        [0, 0 | 1, ..] if ports.any(&[3544]) && len >= 8 => AppProtocol::Teredo,
        [0 | 1, ..] if ports.any(&[5246, 5247]) && len >= 8 => AppProtocol::Capwap,
        [0x38 | 0x40 | 0x50, ..] if len >= 14 && (ports.any(&[1194]) || len == 14 || len == 26) => {
            AppProtocol::Openvpn
        }
        [0x20..=0x57, ..] if ports.any(&[1194]) && len >= 14 => AppProtocol::Openvpn,
        _ => return None,
    };
    Some(protocol)
}

/// What has neither a mark nor a port.
fn by_shape(ports: Ports, payload: &[u8]) -> Option<AppProtocol> {
    let len = payload.len();
    match payload {
        [0x80..=0xbf, 200..=207, _, _, ..]
            if be16(payload, 2).is_some_and(|words| {
                usize::from(words).saturating_add(1).saturating_mul(4) <= len
            }) =>
        {
            Some(AppProtocol::Rtcp)
        }
        [0x80 | 0x90, kind, ..]
            if len >= 20
                && ports.0 >= 1024
                && ports.1 >= 1024
                && matches!(kind & 0x7f, 0 | 3..=5 | 8 | 9 | 13 | 18 | 26 | 31..=34 | 96..=127) =>
        {
            Some(AppProtocol::Rtp)
        }
        // The first data, acknowledgement, error or confirmed options (RFC 1350 §5, RFC 2347).
        [0, 3, 0, 1, ..] if len <= 1472 => Some(AppProtocol::Tftp),
        [0, 4, 0, 0 | 1] => Some(AppProtocol::Tftp),
        [0, 5, 0, 0..=8, text @ .., 0] if text.iter().all(|byte| (0x20..0x7f).contains(byte)) => {
            Some(AppProtocol::Tftp)
        }
        [0, 6, text @ .., 0]
            if !text.is_empty()
                && text
                    .iter()
                    .all(|byte| (0x20..0x7f).contains(byte) || *byte == 0) =>
        {
            Some(AppProtocol::Tftp)
        }
        _ => None,
    }
}

/// The number that marks it (RFC 8489 §5), and a length that fits; behind it there may be more when it is cut.
fn is_stun(payload: &[u8]) -> bool {
    matches!(payload, [0..=0x3f, _, _, low, 0x21, 0x12, 0xa4, 0x42, ..] if low.is_multiple_of(4))
}

/// Version and mode; control messages are shorter than the rest (RFC 5905 §7.3, RFC 9327 §2).
fn is_ntp(first: u8, len: usize) -> bool {
    let least = match first & 7 {
        0 => return false,
        6 | 7 => 8,
        _ => 48,
    };
    matches!(first >> 3 & 7, 1..=4) && len >= least
}

/// A long header with a version that is known or reserved (RFC 9000 §15, §17.2; RFC 9369 §3), and of the drafts and Facebook's.
fn is_quic_long(payload: &[u8]) -> bool {
    /// Longer ones no version allows (RFC 9000 §17.2).
    const CONNECTION_ID_MAX: u8 = 20;
    let Some(version) = be32(payload, 1) else {
        return false;
    };
    let known = match version {
        0
        | 1
        | 0x6b33_43cf
        | 0x709a_50c4
        | 0xff00_0000..=0xff00_00ff
        | 0xff02_0000..=0xff02_00ff
        | 0xface_b000..=0xface_b00f => true,
        // Kept free so that nobody relies on a list (RFC 9000 §15).
        version if version & 0x0f0f_0f0f == 0x0a0a_0a0a => true,
        version => matches!(
            version.to_be_bytes(),
            [b'Q' | b'T', b'0', b'0'..=b'9', b'0'..=b'9']
        ),
    };
    let draft_or_google =
        version >= 0xff00_0000 || matches!(version.to_be_bytes(), [b'Q' | b'T', ..]);
    // Drafts up to 21 and Google's had both lengths in one byte.
    let id_len = payload.get(5).copied().unwrap_or(u8::MAX);
    known && payload.len() >= 7 && (id_len <= CONNECTION_ID_MAX || draft_or_google)
}

/// The public header of gQUIC: flags that announce a version, an identifier of eight bytes, the version.
fn is_google_quic(payload: &[u8]) -> bool {
    matches!(payload, [flags, _, _, _, _, _, _, _, _, b'Q', b'0', tens, ones, ..]
        if flags & 0x09 == 0x09 && tens.is_ascii_digit() && ones.is_ascii_digit())
}

/// A packet of IPv6 that fills the datagram, with an address of Teredo's own prefix, 2001::/32 (RFC 4380 §2.6), at one end.
fn is_teredo(payload: &[u8]) -> bool {
    const PREFIX: u32 = 0x2001_0000;
    /// A packet without content that keeps a way open (RFC 4380 §5.2.8); trailers may follow (RFC 6081 §4).
    const NO_NEXT_HEADER: u8 = 59;
    let len = be16(payload, 4).map(|len| usize::from(len).saturating_add(40));
    let is_bubble = len == Some(40) && payload.get(6) == Some(&NO_NEXT_HEADER);
    (is_bubble || len == Some(payload.len()))
        && (be32(payload, 8) == Some(PREFIX) || be32(payload, 24) == Some(PREFIX))
}

/// A sequence of the version and a community, or what version 3 has in its place (RFC 1157 §4, RFC 3412 §6).
fn is_snmp(payload: &[u8]) -> bool {
    let Some((0x30, len, content)) = ber(payload) else {
        return false;
    };
    let (version, next) = match content {
        [2, 1, version, next, ..] => (*version, *next),
        _ => return false,
    };
    len <= 0xffff && matches!((version, next), (0..=2, 0x04) | (3, 0x30) | (2, 0xa1))
}

/// The lengths are fixed (WireGuard, §5.4).
fn is_wireguard(payload: &[u8]) -> bool {
    match payload {
        [1, 0, 0, 0, ..] => payload.len() == 148,
        [2, 0, 0, 0, ..] => payload.len() == 92,
        [3, 0, 0, 0, ..] => payload.len() == 64,
        [4, 0, 0, 0, ..] => payload.len() >= 32 && payload.len().is_multiple_of(16),
        _ => false,
    }
}

/// A file name and a mode, each ended by a zero (RFC 1350 §5).
fn is_tftp_request(payload: &[u8]) -> bool {
    const MODES: [&[u8]; 3] = [b"octet", b"netascii", b"mail"];
    let [0, 1 | 2, rest @ ..] = payload else {
        return false;
    };
    let mut parts = rest.split(|byte| *byte == 0);
    let name_is_text = parts
        .next()
        .is_some_and(|name| !name.is_empty() && name.iter().all(|byte| !byte.is_ascii_control()));
    name_is_text
        && parts
            .next()
            .is_some_and(|mode| MODES.iter().any(|known| known.eq_ignore_ascii_case(mode)))
}

/// Probes to the ports that nobody listens on: the number of the probe, how far it may go, its time, and nothing behind; or one
/// byte over and over, or counting.
fn is_traceroute(Ports(_, destination): Ports, payload: &[u8]) -> bool {
    /// What the tools begin with, one port a probe: 30 hops of 3 probes, and some more.
    const PROBED: std::ops::RangeInclusive<u16> = 33434..=33625;
    let filled = |bytes: &[u8]| {
        bytes.windows(2).all(|pair| pair.first() == pair.last())
            || bytes
                .windows(2)
                .all(|pair| matches!(pair, [one, next] if one.wrapping_add(1) == *next))
    };
    PROBED.contains(&destination) && payload.get(12..).is_some_and(filled)
}

/// Whether it is one message from end to end: length, and attributes that fill it.
fn is_whole_radius(payload: &[u8]) -> bool {
    let is_code = matches!(payload, [1..=5 | 11..=13 | 40..=45, ..]);
    if !is_code || be16(payload, 2).map(usize::from) != Some(payload.len()) {
        return false;
    }
    let mut rest = payload.get(20..).unwrap_or_default();
    let mut attributes = 0usize;
    while let [kind, len, ..] = rest {
        if *kind == 0 || *len < 2 {
            return false;
        }
        let Some(behind) = rest.get(usize::from(*len)..) else {
            return false;
        };
        rest = behind;
        attributes = attributes.saturating_add(1);
    }
    rest.is_empty() && attributes >= 2
}

/// Code, number and length, and a first attribute (RFC 2865 §3, §5).
fn is_radius(payload: &[u8]) -> bool {
    let Some(len @ 20..=4096) = be16(payload, 2) else {
        return false;
    };
    // Behind the length there may be padding; a cut datagram is shorter. Not every attribute is sound in the wild.
    match payload.get(20..) {
        Some([_, attribute_len, ..]) => *attribute_len >= 2,
        Some(_) => len < 22,
        None => false,
    }
}

/// Two numbers, version 1 or 2, and a length (RFC 7296 §3.1, RFC 2408 §3.1).
fn is_ike(payload: &[u8]) -> bool {
    matches!(payload.get(17), Some(0x10..=0x12 | 0x20..=0x22))
        && be32(payload, 24).is_some_and(|len| (28..1 << 17).contains(&len))
}
