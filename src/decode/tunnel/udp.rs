//! Tunnels in UDP: told by port and by what their headers must be; Teredo by its content alone.

use super::super::link::bytes_at;
use super::shim::looks_like_ethernet;
use super::{Carried, Found, TunnelKind};

const TEREDO: u16 = 3544;
const PORTS: [u16; 9] = [1701, 2152, TEREDO, 4789, 4790, 5247, 6081, 6635, 8472];
/// Extension headers of GTP-U that are walked; there are four kinds.
const GTP_EXTENSIONS_MAX: usize = 16;

/// A bit for each of [`PORTS`] modulo 64: three of four ports are told apart from them by one look.
const PORT_BITS: u64 = {
    let (mut bits, mut rest) = (0u64, PORTS.as_slice());
    while let Some((port, behind)) = rest.split_first() {
        bits |= 1 << (*port & 63);
        rest = behind;
    }
    bits
};

/// Whether it is worth looking; cheap, and right in most cases.
#[inline]
pub(super) fn may_be(source: u16, destination: u16, payload: &[u8]) -> bool {
    let ports = PORT_BITS >> (source & 63) | PORT_BITS >> (destination & 63);
    if ports & 1 != 0 {
        return true;
    }
    match *payload {
        [0x60..=0x6f, _, _, _, l0, l1, ..] => {
            usize::from(u16::from_be_bytes([l0, l1])).saturating_add(40) == payload.len()
        }
        [0, 0 | 1, ..] => payload.len() >= 48,
        _ => false,
    }
}

/// What the payload from `start` to the end of `data` carries.
///
/// `wire_end` is where it ended on the wire.
pub(super) fn find(
    source: u16,
    destination: u16,
    data: &[u8],
    start: usize,
    wire_end: usize,
) -> Option<Found> {
    let known = |port| PORTS.contains(&port);
    let port = match (known(destination), known(source)) {
        (true, _) => destination,
        (false, true) => source,
        (false, false) => 0,
    };
    let found = match port {
        4789 | 8472 => vxlan(data, start),
        4790 => vxlan_gpe(data, start),
        6081 => geneve(data, start),
        2152 => gtp(data, start),
        1701 => l2tp(data, start),
        5247 => capwap(data, start),
        // RFC 7510.
        6635 => Some(Found::bare(Carried::Mpls, start)),
        _ => None,
    };
    found.or_else(|| teredo(data, start, wire_end, port == TEREDO))
}

/// RFC 7348 §5; its extension for group policies has more flags.
fn vxlan(data: &[u8], start: usize) -> Option<Found> {
    let [flags, _, _, _, _, _, _, reserved] = bytes_at(data, start)?;
    (flags & 0x08 != 0 && reserved == 0).then(|| {
        Found::new(
            TunnelKind::Vxlan,
            Carried::Ethernet,
            start.saturating_add(8),
        )
    })
}

/// draft-ietf-nvo3-vxlan-gpe §3.
fn vxlan_gpe(data: &[u8], start: usize) -> Option<Found> {
    let [flags, _, _, next, _, _, _, _] = bytes_at(data, start)?;
    // Version 0, an identifier, and no message to the network itself.
    if flags & 0x39 != 0x08 {
        return None;
    }
    let carried = match next {
        _ if flags & 0x04 == 0 => Carried::Ethernet,
        1 => Carried::Ipv4,
        2 => Carried::Ipv6,
        3 => Carried::Ethernet,
        4 => Carried::Nsh,
        5 => Carried::Mpls,
        _ => return None,
    };
    Some(Found::new(
        TunnelKind::VxlanGpe,
        carried,
        start.saturating_add(8),
    ))
}

/// RFC 8926 §3.4.
fn geneve(data: &[u8], start: usize) -> Option<Found> {
    let [first, _, p0, p1, _, _, _, _] = bytes_at(data, start)?;
    if first >> 6 != 0 {
        return None;
    }
    let options_len = usize::from(first & 0x3f).saturating_mul(4);
    Some(Found::new(
        TunnelKind::Geneve,
        Carried::EtherType(u16::from_be_bytes([p0, p1])),
        start.saturating_add(8).saturating_add(options_len),
    ))
}

/// 3GPP TS 29.281 §5.1: version 1, a packet of a user.
fn gtp(data: &[u8], start: usize) -> Option<Found> {
    const USER_PACKET: u8 = 255;
    let [flags, kind, _, _, _, _, _, _] = bytes_at(data, start)?;
    if flags & 0xf0 != 0x30 || kind != USER_PACKET {
        return None;
    }
    let mut at = start.saturating_add(8);
    // Any of the three makes all of them be there.
    if flags & 0x07 != 0 {
        let [_, _, _, mut next] = bytes_at(data, at)?;
        at = at.saturating_add(4);
        if flags & 0x04 == 0 {
            next = 0;
        }
        for _ in 0..GTP_EXTENSIONS_MAX {
            if next == 0 {
                break;
            }
            let [words] = bytes_at(data, at)?;
            if words == 0 {
                return None;
            }
            at = at.saturating_add(usize::from(words).saturating_mul(4));
            [next] = bytes_at(data, at.saturating_sub(1))?;
        }
        if next != 0 {
            return None;
        }
    }
    Some(Found::new(TunnelKind::GtpU, Carried::Ip, at))
}

/// RFC 2661 §3.1 and RFC 3931 §4.1.2: data messages.
fn l2tp(data: &[u8], start: usize) -> Option<Found> {
    const CONTROL: u8 = 0x80;
    const LENGTH: u8 = 0x40;
    const SEQUENCE: u8 = 0x08;
    const OFFSET: u8 = 0x02;
    let [flags, version] = bytes_at(data, start)?;
    if flags & CONTROL != 0 {
        return None;
    }
    match version & 0x0f {
        2 => {
            let mut at = start.saturating_add(2);
            if flags & LENGTH != 0 {
                at = at.saturating_add(2);
            }
            // Tunnel and session.
            at = at.saturating_add(4);
            if flags & SEQUENCE != 0 {
                at = at.saturating_add(4);
            }
            if flags & OFFSET != 0 {
                let padding = u16::from_be_bytes(bytes_at(data, at)?);
                at = at.saturating_add(2).saturating_add(usize::from(padding));
            }
            Some(Found::new(TunnelKind::L2tp, Carried::Ppp, at))
        }
        3 => l2tpv3(data, start.saturating_add(4)),
        _ => None,
    }
}

/// A session of version 3 with Ethernet in it. How long its cookie and its sublayer are was agreed on elsewhere: the place where
/// a frame begins tells.
pub(super) fn l2tpv3(data: &[u8], start: usize) -> Option<Found> {
    let session = u32::from_be_bytes(bytes_at(data, start)?);
    if session == 0 {
        return None;
    }
    [4, 8, 12, 16]
        .map(|len: usize| start.saturating_add(len))
        .into_iter()
        .find(|at| looks_like_ethernet(data, *at))
        .map(|at| Found::new(TunnelKind::L2tpV3, Carried::Ethernet, at))
}

/// RFC 5415 §4.3: data in clear, not in pieces, no keep-alive.
fn capwap(data: &[u8], start: usize) -> Option<Found> {
    const FRAGMENT_OR_KEEP_ALIVE: u8 = 0x88;
    const IEEE80211: u8 = 1;
    let [0, lengths, binding, flags] = bytes_at(data, start)? else {
        return None;
    };
    let len = usize::from(lengths >> 3).saturating_mul(4);
    if len < 8 || flags & FRAGMENT_OR_KEEP_ALIVE != 0 {
        return None;
    }
    let carried = match (binding & 1, binding >> 1 & 0x1f) {
        (0, _) => Carried::Ethernet,
        (_, IEEE80211) => Carried::Wireless,
        _ => return None,
    };
    Some(Found::new(
        TunnelKind::Capwap,
        carried,
        start.saturating_add(len),
    ))
}

/// RFC 4380 §5.1.1: perhaps an authentication and an origin, then IPv6.
///
/// The packet must fill the datagram: a port is no proof. Peers speak from any port to any, and what is carried has an address of
/// Teredo's own network at one end; with a server, on the port, a client that has none yet speaks from a link-local one.
fn teredo(data: &[u8], start: usize, wire_end: usize, on_port: bool) -> Option<Found> {
    let mut at = start;
    for _ in 0..2 {
        let len = match bytes_at(data, at)? {
            [0, 1, client, value] => usize::from(client)
                .saturating_add(usize::from(value))
                .saturating_add(13),
            [0, 0, _, _] => 8,
            _ => break,
        };
        at = at.saturating_add(len);
    }
    let header: [u8; 40] = bytes_at(data, at)?;
    let [first, _, _, _, l0, l1, _, _, addresses @ ..] = header;
    let claimed = usize::from(u16::from_be_bytes([l0, l1])).saturating_add(40);
    let is_own = |address: Option<&[u8; 4]>| address == Some(&[0x20, 1, 0, 0]);
    let fills = at.saturating_add(claimed) == wire_end;
    let of_network = is_own(addresses.first_chunk())
        || is_own(addresses.get(16..).and_then(|rest| rest.first_chunk()));
    let link_local = matches!(addresses, [0xfe, 0x80..=0xbf, ..]);
    (first >> 4 == 6 && fills && (of_network || on_port && link_local))
        .then(|| Found::new(TunnelKind::Teredo, Carried::Ipv6, at))
}
