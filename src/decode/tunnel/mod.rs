//! A packet that carries another → the innermost one, and the path that leads to it.
//!
//! **Invariants**: every step adds a layer, and there are at most [`LAYERS_MAX`]; what does not decode stays inside, and the packet
//! around it stands as it was. Only TCP, UDP, ICMP and their like in clear are looked for: a packet quoted in an ICMP error is none.

mod gre;
mod path;
mod shim;
#[cfg(test)]
mod tests;
mod udp;

use super::transport::UDP;
use super::{Decoded, Packet, Undecodable, link, network, transport};
use crate::capture::RawPacket;

pub use path::{LAYERS_MAX, TunnelKind, TunnelPath};
pub use shim::LABELS_MAX;
pub(super) use shim::{Behind, Carried, behind_shim, enter};

const IPV4: u8 = 4;
const IPV6: u8 = 41;
const GRE: u8 = 47;
const AUTHENTICATION: u8 = 51;
const ETHER_IP: u8 = 97;
const L2TP_V3: u8 = 115;
const MPLS: u8 = 137;
/// An MPLS label and the header of an Ethernet frame.
const LABEL_AND_FRAME: usize = 18;
/// What an Ethernet frame carries at least (IEEE 802.3 §3.2.8): shorter packets are padded.
const FRAME_PAYLOAD_MIN: usize = 46;

/// What a payload carries, and where that begins.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// `None` where what is carried says itself what it is.
    kind: Option<TunnelKind>,
    carried: Carried,
    start: usize,
}

impl Found {
    const fn new(kind: TunnelKind, carried: Carried, start: usize) -> Self {
        Self {
            kind: Some(kind),
            carried,
            start,
        }
    }

    const fn bare(carried: Carried, start: usize) -> Self {
        Self {
            kind: None,
            carried,
            start,
        }
    }
}

/// Whether the packet may carry another: what nearly all packets pass by.
#[inline]
pub(super) fn may_carry(packet: &Packet, data: &[u8]) -> bool {
    match packet.ip.protocol {
        UDP => udp::may_be(
            packet.source_port,
            packet.destination_port,
            packet.payload(data),
        ),
        IPV4 | IPV6 | GRE | AUTHENTICATION | ETHER_IP | L2TP_V3 | MPLS => true,
        _ => false,
    }
}

/// Takes out the innermost packet, as far as it can be found.
#[cold]
#[inline(never)]
pub(super) fn unwrap(raw: &RawPacket<'_>, packet: Packet) -> Decoded {
    let mut packet = packet;
    while may_carry(&packet, raw.data) {
        match inside(raw, &packet) {
            Some(Decoded::Packet(inner)) => {
                packet = Packet {
                    vlan: outermost(packet.vlan, inner.vlan),
                    overhead: overhead(&packet, inner.ip.bytes),
                    ..inner
                };
            }
            Some(Decoded::Fragment(inner)) => {
                return Decoded::Fragment(super::Fragment {
                    vlan: outermost(packet.vlan, inner.vlan),
                    overhead: overhead(&packet, inner.ip.bytes),
                    ..inner
                });
            }
            Some(Decoded::Undecodable(Undecodable::TooManyTags)) => {
                packet.tunnel = packet.tunnel.too_deep();
                break;
            }
            _ => break,
        }
    }
    Decoded::Packet(packet)
}

const fn outermost(outer: u16, inner: u16) -> u16 {
    if outer == 0 { inner } else { outer }
}

/// What the outer packets are long beyond the inner one.
const fn overhead(outer: &Packet, inner_bytes: u32) -> u32 {
    outer
        .overhead
        .saturating_add(outer.ip.bytes.saturating_sub(inner_bytes))
}

/// What is directly inside; `None` where nothing is.
fn inside(raw: &RawPacket<'_>, packet: &Packet) -> Option<Decoded> {
    inside_at(raw, packet).map(|(decoded, _)| decoded)
}

/// Where headers lie that a packet was taken out of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layers {
    /// The Ethernet header of the frame that carries the packet; none where no frame does.
    pub ethernet: Option<usize>,
    /// The header of the packet.
    pub network: usize,
    /// What it was taken out of so far.
    pub path: TunnelPath,
}

/// The innermost packet as [`unwrap`] finds it, and where it and its frame lie.
#[cold]
pub(super) fn innermost(raw: &RawPacket<'_>, packet: Packet, layers: Layers) -> (Layers, Packet) {
    let (mut packet, mut layers) = (packet, layers);
    while may_carry(&packet, raw.data) {
        let Some((Decoded::Packet(inner), at)) = inside_at(raw, &packet) else {
            break;
        };
        packet = inner;
        // Behind an authentication header it is the same packet.
        if let Some((ethernet, network)) = at {
            layers = Layers {
                ethernet,
                network,
                path: packet.tunnel,
            };
        }
    }
    (layers, packet)
}

/// Where an Ethernet header and the header of the network behind it begin; none where the packet is the same.
type At = Option<(Option<usize>, usize)>;

/// What is directly inside, and where.
fn inside_at(raw: &RawPacket<'_>, packet: &Packet) -> Option<(Decoded, At)> {
    let start = packet.payload_offset as usize;
    let end = start.saturating_add(packet.payload_len as usize);
    let data = raw.data.get(..end)?;
    let wire_end = start.saturating_add(packet.payload_wire_len as usize);
    if packet.ip.protocol == AUTHENTICATION {
        let behind = behind_authentication(packet, data, start, wire_end)?;
        return Some((behind, None));
    }
    let found = find(packet, data, start, wire_end)?;
    let path = match found.kind {
        Some(kind) => packet.tunnel.with(kind),
        None => Some(packet.tunnel),
    };
    let Some(path) = path else {
        return Some((Decoded::Undecodable(Undecodable::TooManyTags), None));
    };
    let network = match enter(found.carried, data, found.start, path) {
        Ok(network) => network,
        // A stack of labels without an end is noise.
        Err(_) if found.kind.is_none() => return None,
        Err(outcome) => return Some((outcome, None)),
    };
    // Ports are no proof: here the packet inside must say a length that it can have.
    if packet.ip.protocol == UDP && !network::fits(data, network.start, wire_end) {
        return None;
    }
    // Labels say less of themselves than any other header: behind them the packet must reach the end, but for a frame's padding.
    if packet.ip.protocol == UDP && found.carried == Carried::Mpls {
        let with_frame = network.start.saturating_sub(found.start) >= LABEL_AND_FRAME;
        let padded = with_frame && wire_end.saturating_sub(network.start) <= FRAME_PAYLOAD_MIN;
        if !padded && !network::fills(data, network.start, wire_end) {
            return None;
        }
    }
    let inner = RawPacket {
        data,
        wire_len: u32::try_from(wire_end).unwrap_or(u32::MAX),
        ..*raw
    };
    let ethernet = matches!(found.carried, Carried::Ethernet).then_some(found.start);
    let at = Some((ethernet, network.start));
    Some((network::decode(&inner, &network), at))
}

fn find(packet: &Packet, data: &[u8], start: usize, wire_end: usize) -> Option<Found> {
    let of = |kind, carried| Some(Found::new(kind, carried, start));
    match packet.ip.protocol {
        UDP => udp::find(
            packet.source_port,
            packet.destination_port,
            data,
            start,
            wire_end,
        ),
        IPV4 => of(TunnelKind::IpInIp, Carried::Ipv4),
        IPV6 => of(TunnelKind::Ipv6InIp, Carried::Ipv6),
        GRE => gre::gre(data, start),
        // Version 3 (RFC 3378 §3).
        ETHER_IP if link::bytes_at(data, start) == Some([0x30, 0]) => Some(Found::new(
            TunnelKind::EtherIp,
            Carried::Ethernet,
            start.saturating_add(2),
        )),
        L2TP_V3 => udp::l2tpv3(data, start),
        MPLS => Some(Found::bare(Carried::Mpls, start)),
        _ => None,
    }
}

/// RFC 4302 §2: the same packet, with the header of what it authenticates behind its own.
fn behind_authentication(
    packet: &Packet,
    data: &[u8],
    start: usize,
    wire_end: usize,
) -> Option<Decoded> {
    let Some(path) = packet.tunnel.with(TunnelKind::Ah) else {
        return Some(Decoded::Undecodable(Undecodable::TooManyTags));
    };
    let [next, words] = link::bytes_at(data, start)?;
    let len = usize::from(words).saturating_add(2).saturating_mul(4);
    let at = start.saturating_add(len);
    let mut ip = packet.ip;
    ip.protocol = next;
    Some(transport::decode(
        ip,
        data.get(at..)?,
        at,
        wire_end.checked_sub(at)?,
        packet.vlan,
        path,
    ))
}
