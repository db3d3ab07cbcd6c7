//! A frame once more → who put it on its segment, in which VLAN, and how many hops its packet may still take.
//!
//! Looked at when a flow opens, not for every packet. **Invariants**: takes the frame alone; what is said is about the innermost packet:
//! where no header of Ethernet or 802.11 stands directly before it, tags aside, there is no sender on a segment to speak of.

use super::link::{self, ADDRESSES_LEN, IPV4, IPV6, TAGS, bytes_at};
use super::tunnel::{self, Layers};
use super::{Address, Decoded, TunnelPath, network, wireless};
use crate::capture::{LinkType, RawPacket};

/// An address on the link (EUI-48).
pub type Mac = [u8; 6];

/// Tags that are walked between the addresses of a frame and its packet: as many as there are layers.
const TAGS_MAX: usize = super::LAYERS_MAX;

/// What the headers before a packet say of its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkSource {
    /// Address on the link of who sent the frame: the host itself, or the last router.
    pub mac: Option<Mac>,
    /// Innermost VLAN identifier, 0 for none.
    pub vlan: u16,
    /// Hops that the packet may still take: time to live, hop limit; 0 where it was not found.
    pub hop_limit: u8,
}

impl LinkSource {
    /// What is around the packet that `raw` carries innermost, which was sent by `source`.
    #[cold]
    pub fn of(raw: &RawPacket<'_>, source: &Address) -> Self {
        let Some((layers, found)) = innermost(raw) else {
            return Self::default();
        };
        // Another packet than the one that is asked for, as where it was put together from fragments inside a tunnel.
        if found != *source {
            return Self::default();
        }
        let (mac, vlan) = match layers.ethernet {
            Some(start) => ethernet(raw.data, start, layers.network),
            None if layers.path.is_empty() => of_link(raw),
            None => (None, 0),
        };
        Self {
            mac: mac.filter(|mac| is_a_station(*mac)),
            vlan,
            hop_limit: hop_limit(raw.data, layers.network),
        }
    }
}

/// Where the innermost packet and the frame around it lie, and who sent the packet.
fn innermost(raw: &RawPacket<'_>) -> Option<(Layers, Address)> {
    let network = match link::plain_ethernet(raw) {
        Some((network, _)) => network,
        None => link::network_layer(raw).ok()?,
    };
    let layers = Layers {
        ethernet: (raw.link_type == LinkType::ETHERNET).then_some(0),
        network: network.start,
        // Of other links the tags are walked with the link.
        path: TunnelPath::NONE,
    };
    match network::decode(raw, &network) {
        Decoded::Packet(packet) if tunnel::may_carry(&packet, raw.data) => {
            let (layers, packet) = tunnel::innermost(raw, packet, layers);
            Some((layers, packet.ip.source))
        }
        Decoded::Packet(packet) => Some((layers, packet.ip.source)),
        Decoded::Fragment(fragment) => Some((layers, fragment.ip.source)),
        _ => None,
    }
}

/// Sender and innermost tag of the Ethernet frame at `start`, where nothing but tags lies between its addresses and the packet.
fn ethernet(data: &[u8], start: usize, network: usize) -> (Option<Mac>, u16) {
    const NONE: (Option<Mac>, u16) = (None, 0);
    let mac = bytes_at::<6>(data, start.saturating_add(6));
    let (mut at, mut vlan) = (start.saturating_add(ADDRESSES_LEN), 0);
    for _ in 0..=TAGS_MAX {
        let Some(ether_type) = bytes_at::<2>(data, at).map(u16::from_be_bytes) else {
            return NONE;
        };
        at = at.saturating_add(2);
        if ether_type == IPV4 || ether_type == IPV6 {
            return if at == network { (mac, vlan) } else { NONE };
        }
        let Some(control) = bytes_at::<2>(data, at).filter(|_| TAGS.contains(&ether_type)) else {
            return NONE;
        };
        vlan = u16::from_be_bytes(control) & 0x0fff;
        at = at.saturating_add(2);
    }
    NONE
}

/// The same of links that are not Ethernet.
fn of_link(raw: &RawPacket<'_>) -> (Option<Mac>, u16) {
    let vlan = link::network_layer(raw).map_or(0, |network| network.vlan);
    let data = raw.data;
    let mac = match raw.link_type {
        // How long the sender's address is, then the address.
        LinkType::LINUX_SLL if bytes_at(data, 4) == Some([0, 6]) => bytes_at(data, 6),
        LinkType::LINUX_SLL2 if bytes_at(data, 11) == Some([6]) => bytes_at(data, 12),
        LinkType::IEEE802_11 => wireless::source(data, 0),
        LinkType::RADIOTAP => bytes_at::<2>(data, 2)
            .and_then(|len| wireless::source(data, u16::from_le_bytes(len).into())),
        _ => None,
    };
    (mac, vlan)
}

/// RFC 791 §3.1, RFC 8200 §3.
fn hop_limit(data: &[u8], network: usize) -> u8 {
    let at = |offset: usize| bytes_at::<1>(data, network.saturating_add(offset));
    let limit = match at(0) {
        Some([first]) if first >> 4 == 4 => at(8),
        Some([first]) if first >> 4 == 6 => at(7),
        _ => None,
    };
    limit.map_or(0, |[limit]| limit)
}

/// Whether one station can have sent with the address: not none, and no group (IEEE 802 §8.2).
fn is_a_station(mac: Mac) -> bool {
    mac != [0; 6] && mac.first().is_some_and(|first| first & 1 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Mac = [2, 0, 0, 0, 0, 7];
    const ROUTER: Mac = [2, 0, 0, 0, 0, 1];

    fn mapped(v4: [u8; 4]) -> Address {
        std::net::Ipv4Addr::from(v4).to_ipv6_mapped().octets()
    }

    fn udp(source: [u8; 4], ttl: u8, port: u16, payload: &[u8]) -> Vec<u8> {
        let len = (payload.len() as u16).saturating_add(28);
        let mut packet = vec![0x45, 0];
        packet.extend(len.to_be_bytes());
        packet.extend([0, 0, 0, 0, ttl, 17, 0, 0]);
        packet.extend(source);
        packet.extend([203, 0, 113, 1]);
        packet.extend(40_000u16.to_be_bytes());
        packet.extend(port.to_be_bytes());
        packet.extend(len.saturating_sub(20).to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(payload);
        packet
    }

    fn frame(source: Mac, tags: &[(u16, u16)], packet: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xff; 6];
        bytes.extend(source);
        for (kind, vlan) in tags {
            bytes.extend(kind.to_be_bytes());
            bytes.extend(vlan.to_be_bytes());
        }
        bytes.extend([8, 0]);
        bytes.extend(packet);
        bytes
    }

    fn source_of(link_type: LinkType, bytes: &[u8], sender: [u8; 4]) -> LinkSource {
        let raw = RawPacket {
            timestamp: crate::model::Timestamp::default(),
            link_type,
            wire_len: bytes.len() as u32,
            data: bytes,
        };
        LinkSource::of(&raw, &mapped(sender))
    }

    fn expected(mac: Option<Mac>, vlan: u16, hop_limit: u8) -> LinkSource {
        LinkSource {
            mac,
            vlan,
            hop_limit,
        }
    }

    #[test]
    fn the_sender_the_innermost_tag_and_the_hops_are_told() {
        let packet = udp([192, 168, 1, 7], 63, 9, b"x");
        let ethernet = LinkType::ETHERNET;
        for (tags, vlan) in [
            (&[][..], 0),
            (&[(0x8100, 0x2000 | 7)][..], 7),
            (&[(0x88a8, 100), (0x8100, 20)][..], 20),
        ] {
            let bytes = frame(HOST, tags, &packet);
            assert_eq!(
                source_of(ethernet, &bytes, [192, 168, 1, 7]),
                expected(Some(HOST), vlan, 63)
            );
            for len in 0..bytes.len() {
                let cut = source_of(ethernet, &bytes[..len], [192, 168, 1, 7]);
                assert!(cut == LinkSource::default() || cut == expected(Some(HOST), vlan, 63));
            }
        }
        // Asked for another packet than the one that is there.
        let bytes = frame(HOST, &[], &packet);
        assert_eq!(
            source_of(ethernet, &bytes, [192, 168, 1, 8]),
            LinkSource::default()
        );
        // Groups and nobody do not send.
        for mac in [[0; 6], [1, 0, 0x5e, 0, 0, 1]] {
            let bytes = frame(mac, &[], &packet);
            assert_eq!(
                source_of(ethernet, &bytes, [192, 168, 1, 7]),
                expected(None, 0, 63)
            );
        }
        assert_eq!(
            source_of(LinkType::RAW, &packet, [192, 168, 1, 7]),
            expected(None, 0, 63)
        );
    }

    #[test]
    fn a_frame_in_a_tunnel_is_the_segment_and_a_bare_packet_has_none() {
        let inner = frame(HOST, &[(0x8100, 30)], &udp([10, 0, 0, 5], 128, 9, b"x"));
        let mut vxlan = vec![8, 0, 0, 0, 0, 0, 42, 0];
        vxlan.extend(&inner);
        let outer = frame(ROUTER, &[], &udp([192, 0, 2, 1], 60, 4789, &vxlan));
        assert_eq!(
            source_of(LinkType::ETHERNET, &outer, [10, 0, 0, 5]),
            expected(Some(HOST), 30, 128)
        );
        // IP in IP: the frame was sent by the end of the tunnel.
        let inner = udp([10, 0, 0, 5], 64, 9, b"x");
        let mut packet = vec![0x45, 0];
        packet.extend((inner.len() as u16).saturating_add(20).to_be_bytes());
        packet.extend([0, 0, 0, 0, 60, 4, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        packet.extend(&inner);
        let outer = frame(ROUTER, &[], &packet);
        assert_eq!(
            source_of(LinkType::ETHERNET, &outer, [10, 0, 0, 5]),
            expected(None, 0, 64)
        );
    }

    #[test]
    fn cooked_captures_and_wireless_ones_name_the_sender() {
        let packet = udp([192, 168, 1, 7], 64, 9, b"x");
        let mut cooked = vec![0, 0, 0, 1, 0, 6];
        cooked.extend(HOST);
        cooked.extend([0, 0, 8, 0]);
        cooked.extend(&packet);
        let told = expected(Some(HOST), 0, 64);
        assert_eq!(
            source_of(LinkType::LINUX_SLL, &cooked, [192, 168, 1, 7]),
            told
        );
        let mut cooked = vec![8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6];
        cooked.extend(HOST);
        cooked.extend([0, 0]);
        cooked.extend(&packet);
        assert_eq!(
            source_of(LinkType::LINUX_SLL2, &cooked, [192, 168, 1, 7]),
            told
        );
        // To the distribution system: the second address sends; from it: the third.
        for (flags, addresses) in [
            (1u8, [ROUTER, HOST, [9; 6]]),
            (2, [[8; 6], ROUTER, HOST]),
            (0, [ROUTER, HOST, [8; 6]]),
        ] {
            let mut wlan = vec![0x08, flags, 0, 0];
            wlan.extend(addresses.concat());
            wlan.extend([0, 0, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
            wlan.extend(&packet);
            assert_eq!(
                source_of(LinkType::IEEE802_11, &wlan, [192, 168, 1, 7]),
                told,
                "{flags}"
            );
        }
    }
}
