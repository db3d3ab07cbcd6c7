//! GRE with all its options, and what is special about what it carries: ERSPAN, NVGRE, PPP of PPTP, WCCP.

use super::super::link::bytes_at;
use super::{Carried, Found, TunnelKind};

/// Entries of a source route that are walked; nobody is known to send any.
const ROUTES_MAX: usize = 16;

/// The header at `start`: RFC 2784 §2, RFC 2890 §2, RFC 1701, RFC 2637 §4.1.
pub(super) fn gre(data: &[u8], start: usize) -> Option<Found> {
    const CHECKSUM: u8 = 0x80;
    const ROUTING: u8 = 0x40;
    const KEY: u8 = 0x20;
    const SEQUENCE: u8 = 0x10;
    const ACKNOWLEDGMENT: u8 = 0x80;

    let [flags, version, p0, p1] = bytes_at(data, start)?;
    let protocol = u16::from_be_bytes([p0, p1]);
    let has = |flag: u8| flags & flag != 0;
    let words = |count: usize, at: usize| at.saturating_add(count.saturating_mul(4));
    let mut at = words(1, start);
    if version & 7 == 1 {
        // Without a sequence number there is no payload, only an acknowledgment.
        if protocol != 0x880b || !has(KEY) || !has(SEQUENCE) {
            return None;
        }
        let acknowledges = usize::from(version & ACKNOWLEDGMENT != 0);
        return Some(Found::new(
            TunnelKind::Gre,
            Carried::Ppp,
            words(acknowledges.saturating_add(2), at),
        ));
    }
    if version & 7 != 0 {
        return None;
    }
    for present in [has(CHECKSUM) || has(ROUTING), has(KEY), has(SEQUENCE)] {
        at = words(usize::from(present), at);
    }
    if has(ROUTING) {
        at = behind_routes(data, at)?;
    }
    match protocol {
        0x88be | 0x22eb => erspan(data, at, protocol, has(SEQUENCE)),
        0x6558 if has(KEY) && !has(CHECKSUM) && !has(SEQUENCE) => {
            Some(Found::new(TunnelKind::Nvgre, Carried::Ethernet, at))
        }
        // WCCP: a redirect header of four bytes stands before IPv4 in version 2.
        0x883e => {
            let [first] = bytes_at(data, at)?;
            let at = if first >> 4 == 4 { at } else { words(1, at) };
            Some(Found::new(TunnelKind::Gre, Carried::Ipv4, at))
        }
        _ => Some(Found::new(
            TunnelKind::Gre,
            Carried::EtherType(protocol),
            at,
        )),
    }
}

/// RFC 1701: entries of an address family, an offset and a length each, until one that is empty.
fn behind_routes(data: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    for _ in 0..ROUTES_MAX {
        let [f0, f1, _, len] = bytes_at(data, at)?;
        at = at.saturating_add(4).saturating_add(usize::from(len));
        if [f0, f1, len] == [0, 0, 0] {
            return Some(at);
        }
    }
    None
}

/// draft-foschiano-erspan §4: type I has no header and no sequence number, II one of 8 bytes, III one of 12 and perhaps 8 more.
fn erspan(data: &[u8], start: usize, protocol: u16, numbered: bool) -> Option<Found> {
    let mirrored = |carried, len: usize| {
        let at = start.saturating_add(len);
        Some(Found::new(TunnelKind::Erspan, carried, at))
    };
    if protocol == 0x88be && !numbered {
        return mirrored(Carried::Ethernet, 0);
    }
    let [first] = bytes_at(data, start)?;
    match first >> 4 {
        1 => mirrored(Carried::Ethernet, 8),
        2 => {
            let [frame_type, last] = bytes_at(data, start.saturating_add(10))?;
            let platform_len = usize::from(last & 1).saturating_mul(8);
            let carried = match frame_type >> 2 & 0x1f {
                0 => Carried::Ethernet,
                2 => Carried::Ip,
                _ => return None,
            };
            mirrored(carried, platform_len.saturating_add(12))
        }
        _ => None,
    }
}
