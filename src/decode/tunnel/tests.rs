//! One packet behind every layer, alone and over each other, cut anywhere; and what must not be taken for a tunnel.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use proptest::prelude::*;

use super::*;
use crate::capture::LinkType;
use crate::decode::decode;
use crate::model::Timestamp;

const QUESTION: &[u8] = b"question";

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((payload.len() as u16 + 20).to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 192, 0, 2, 7]);
    packet.extend(payload);
    packet
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend([0x20, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    packet.extend([2; 16]);
    packet.extend(payload);
    packet
}

fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = source.to_be_bytes().to_vec();
    datagram.extend(destination.to_be_bytes());
    datagram.extend((payload.len() as u16 + 8).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

fn version_of(packet: &[u8]) -> u8 {
    packet[0] >> 4
}

fn ether_type(packet: &[u8]) -> [u8; 2] {
    if version_of(packet) == 6 {
        [0x86, 0xdd]
    } else {
        [8, 0]
    }
}

fn ethernet(packet: &[u8]) -> Vec<u8> {
    // No address begins like a version of IP or a control word by chance of the test.
    let mut frame = vec![0xf2, 1, 1, 1, 1, 1, 0xf2, 2, 2, 2, 2, 2];
    frame.extend(ether_type(packet));
    frame.extend(packet);
    frame
}

/// What stands before an IP packet in place of its EtherType.
fn tagged(packet: &[u8], ether_types_and_more: &str) -> Vec<u8> {
    let mut frame = ethernet(packet)[..12].to_vec();
    frame.extend(bytes_of(ether_types_and_more));
    frame
}

/// An IP packet → a frame with it inside, for each layer and each form of it.
#[allow(clippy::too_many_lines, reason = "a table")]
fn frames(packet: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let kind = ether_type(packet);
    let six = version_of(packet) == 6;
    let ppp: [u8; 2] = if six { [0, 0x57] } else { [0, 0x21] };
    let over_ethernet = |before: &str, rest: &[&[u8]]| {
        let mut frame = tagged(packet, before);
        frame.extend(rest.concat());
        frame
    };
    let over_ip = |protocol: u8, header: &str, rest: &[&[u8]]| {
        let payload = [&bytes_of(header)[..], &rest.concat()].concat();
        ethernet(&ipv4(protocol, &payload))
    };
    let over_udp = |port: u16, header: &str, rest: &[&[u8]]| {
        let payload = [&bytes_of(header)[..], &rest.concat()].concat();
        ethernet(&ipv6(17, &udp(50_000, port, &payload)))
    };
    let inner = ethernet(packet);
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0][..], &kind, packet].concat();
    let next = if six { "02" } else { "01" };
    let mut frames = vec![
        ("vlan", over_ethernet("8100 0007", &[&kind, packet])),
        (
            "qinq vlan",
            over_ethernet("88a8 0007 8100 0008", &[&kind, packet]),
        ),
        ("pbb", over_ethernet("88e7 00000001", &[&inner])),
        (
            "pbb vlan",
            over_ethernet(
                "88e7 00000001",
                &[&tagged(packet, "8100 0001"), &kind, packet],
            ),
        ),
        ("mpls", over_ethernet("8847 00010140", &[packet])),
        ("mpls", over_ethernet("8848 00010040 00020140", &[packet])),
        // Pseudowires with and without control word.
        ("mpls", over_ethernet("8847 00010140 00000000", &[&inner])),
        ("mpls", over_ethernet("8847 00010140", &[&inner])),
        (
            "pppoe",
            over_ethernet("8864 1100 0001 0000", &[&ppp, packet]),
        ),
        ("vn_tag", over_ethernet("8926 00000000", &[&kind, packet])),
        (
            "cisco_metadata",
            over_ethernet("8909 0101 0001 0005", &[&kind, packet]),
        ),
        (
            "nsh",
            over_ethernet(
                &format!("894f 0fc6 01{next} 00000100 {}", "00".repeat(16)),
                &[packet],
            ),
        ),
        ("nsh", over_ethernet("894f 0fc2 0203 00000100", &[&inner])),
        ("gre", over_ip(47, "0000", &[&kind, packet])),
        // Checksum, key, sequence number; routing with one entry; version 1 with and without acknowledgment.
        ("gre", over_ip(47, "b000", &[&kind, &[0; 12], packet])),
        (
            "gre",
            over_ip(
                47,
                "4000",
                &[
                    &kind,
                    &[0; 4],
                    &bytes_of("0800 0004 0a000001 00000000"),
                    packet,
                ],
            ),
        ),
        (
            "gre",
            over_ip(47, "3001 880b 0010 0001 00000001 ff03", &[&ppp, packet]),
        ),
        (
            "gre",
            over_ip(47, "3081 880b 0010 0001 00000001 00000001", &[&ppp, packet]),
        ),
        ("gre mpls", over_ip(47, "0000 8847 00010140", &[packet])),
        ("gre", over_ip(47, "0000 6558", &[&inner])),
        ("nvgre", over_ip(47, "2000 6558 00000500", &[&inner])),
        ("erspan", over_ip(47, "0000 88be", &[&inner])),
        (
            "erspan",
            over_ip(47, "1000 88be 00000001 10010000 00000000", &[&inner]),
        ),
        (
            "erspan vlan",
            over_ip(
                47,
                "1000 88be 00000001 10010000 00000000",
                &[&tagged(packet, "8100 0001"), &kind, packet],
            ),
        ),
        (
            "erspan",
            over_ip(
                47,
                "1000 22eb 00000001 20010000 00000000 00000000",
                &[&inner],
            ),
        ),
        (
            "erspan",
            over_ip(
                47,
                "1000 22eb 00000001 20010000 00000000 00000001 1122334455667788",
                &[&inner],
            ),
        ),
        ("ether_ip", over_ip(97, "3000", &[&inner])),
        ("mpls", over_ip(137, "00010140", &[packet])),
        ("l2tpv3", over_ip(115, "00000009", &[&inner])),
        (
            "l2tpv3",
            over_ip(115, "00000009 1122334455667788 00000000", &[&inner]),
        ),
        ("vxlan", over_udp(4789, "0800 0000 00000500", &[&inner])),
        ("vxlan", over_udp(8472, "8800 0001 00000500", &[&inner])),
        (
            "vxlan_gpe",
            over_udp(4790, &format!("0c00 00{next} 00000500"), &[packet]),
        ),
        ("vxlan_gpe", over_udp(4790, "0c00 0003 00000500", &[&inner])),
        (
            "vxlan_gpe nsh",
            over_udp(
                4790,
                &format!("0c00 0004 00000500 0fc2 02{next} 00000100"),
                &[packet],
            ),
        ),
        ("geneve", over_udp(6081, "0000 6558 00000500", &[&inner])),
        ("geneve", over_udp(6081, "0200", &[&kind, &[0; 12], packet])),
        ("mpls", over_udp(6635, "00010140", &[packet])),
        ("gtp_u", over_udp(2152, "30ff 0000 00000001", &[packet])),
        (
            "gtp_u",
            over_udp(2152, "34ff 0000 00000001 0000 00 85 01 1000 00", &[packet]),
        ),
        (
            "gtp_u",
            over_udp(2152, "32ff 0000 00000001 0001 00 00", &[packet]),
        ),
        (
            "l2tp",
            over_udp(1701, "0002 0001 0002 ff03", &[&ppp, packet]),
        ),
        (
            "l2tp",
            over_udp(
                1701,
                "4a02 0040 0001 0002 0000 0000 0002 0000",
                &[&ppp, packet],
            ),
        ),
        ("l2tpv3", over_udp(1701, "0003 0000 00000009", &[&inner])),
        ("capwap", over_udp(5247, "0010 0200 00000000", &[&inner])),
        (
            "capwap",
            over_udp(
                5247,
                "0010 0300 00000000 0801 0000",
                &[&[7; 18], &[0x10, 0], &snap],
            ),
        ),
        // Frame control with its bytes in the other order.
        (
            "capwap",
            over_udp(
                5247,
                "0010 0300 00000000 0188 0000",
                &[&[7; 18], &[0x10, 0, 0, 0], &snap],
            ),
        ),
        (
            "ah",
            ethernet(&ipv4(
                51,
                &[
                    &bytes_of("1104 0000 00000001 00000001 000000000000000000000000")[..],
                    &packet[header_len(packet)..],
                ]
                .concat(),
            )),
        ),
        (
            "ah",
            ethernet(&ipv6(
                51,
                &[
                    &bytes_of("1104 0000 00000001 00000001 000000000000000000000000")[..],
                    &packet[header_len(packet)..],
                ]
                .concat(),
            )),
        ),
    ];
    let (of_ip, protocol) = if six {
        ("ipv6_in_ip", 41)
    } else {
        ("ip_in_ip", 4)
    };
    frames.push((of_ip, ethernet(&ipv4(protocol, packet))));
    frames.push((of_ip, ethernet(&ipv6(protocol, packet))));
    if six {
        frames.push(("teredo", over_udp(3544, "", &[packet])));
        frames.push(("teredo", over_udp(40_000, "0000 1122 0a000001", &[packet])));
        frames.push((
            "teredo",
            over_udp(
                40_000,
                "0001 0204 aabb 11223344 0102030405060708 00 0000 1122 0a000001",
                &[packet],
            ),
        ));
    }
    frames
}

fn header_len(packet: &[u8]) -> usize {
    if version_of(packet) == 6 { 40 } else { 20 }
}

fn plain() -> [Vec<u8>; 2] {
    let datagram = udp(5353, 53, QUESTION);
    [ipv4(17, &datagram), ipv6(17, &datagram)]
}

fn raw(frame: &[u8]) -> RawPacket<'_> {
    RawPacket {
        timestamp: Timestamp::default(),
        link_type: LinkType::ETHERNET,
        wire_len: frame.len() as u32,
        data: frame,
    }
}

fn packet_in(frame: &[u8]) -> Packet {
    match decode(&raw(frame)) {
        Decoded::Packet(packet) => packet,
        other => panic!("{other:?}"),
    }
}

fn words(path: TunnelPath) -> String {
    let words: Vec<_> = path.layers().map(TunnelKind::as_str).collect();
    words.join(" ")
}

#[test]
fn the_packet_inside_every_layer_is_found() {
    let mut seen = std::collections::BTreeSet::new();
    for packet in plain() {
        for (path, frame) in frames(&packet) {
            let found = packet_in(&frame);
            assert_eq!(words(found.tunnel), path, "{frame:02x?}");
            assert_eq!(
                (found.source_port, found.destination_port),
                (5353, 53),
                "{path}"
            );
            assert_eq!(found.payload(&frame), QUESTION, "{path}");
            assert!(!found.payload_is_cut());
            // Bytes around it are the outermost IP packet's beyond its own.
            let outer = frame.len() as u32 - 14;
            if !path.contains("ah") {
                assert_eq!(found.ip.bytes as usize, packet.len(), "{path}");
                let over_ip = frame[12..14] == [8, 0] || frame[12..14] == [0x86, 0xdd];
                let overhead = if over_ip { outer - found.ip.bytes } else { 0 };
                assert_eq!(found.overhead, overhead, "{path}");
            }
            seen.extend(found.tunnel.layers());
        }
    }
    let all = TunnelKind::ALL.iter().copied();
    assert!(seen.into_iter().eq(all), "a kind without a frame here");
}

#[test]
fn the_version_inside_decides_and_the_outer_packet_stands_otherwise() {
    let [four, six] = plain();
    for (packet, protocol) in [(&four, 41), (&six, 4)] {
        let found = packet_in(&ethernet(&ipv4(protocol, packet)));
        assert_eq!(
            (found.ip.protocol, found.tunnel),
            (protocol, TunnelPath::NONE)
        );
    }
    // Nothing but noise on the ports of tunnels, or a message to the tunnel itself.
    for port in [1701, 2152, 3544, 4789, 4790, 5247, 6081, 6635, 8472] {
        for noise in [
            &[][..],
            &[0; 4],
            &[0xff; 64],
            &[8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3],
            &[0x60; 80],
            &[0x45; 80],
            &[0; 80],
        ] {
            let frame = ethernet(&ipv4(17, &udp(port, 50_000, noise)));
            let found = packet_in(&frame);
            assert_eq!((found.source_port, found.tunnel.is_empty()), (port, true));
            assert_eq!((found.payload(&frame), found.overhead), (noise, 0));
        }
    }
    // An IPv6 packet of nobody in a datagram of no tunnel.
    let mut stranger = six;
    stranger[8] = 0x30;
    let found = packet_in(&ethernet(&ipv4(17, &udp(40_000, 40_001, &stranger))));
    assert_eq!(found.source_port, 40_000);
    // An address request in VXLAN is no packet of IP.
    let mut request = ethernet(&four);
    request[12..14].copy_from_slice(&[8, 6]);
    let vxlan = [&bytes_of("0800 0000 00000500")[..], &request].concat();
    assert_eq!(
        packet_in(&ethernet(&ipv4(17, &udp(50_000, 4789, &vxlan)))).destination_port,
        4789
    );
}

#[test]
fn on_the_ports_of_teredo_and_mpls_a_packet_that_does_not_fill_its_datagram_is_noise() {
    for packet in plain() {
        let mpls = [&bytes_of("00010140")[..], &packet].concat();
        for (port, whole) in [(3544, &packet), (6635, &mpls)] {
            if port == 3544 && version_of(&packet) == 4 {
                continue;
            }
            let inside = |payload: &[u8]| {
                packet_in(&ethernet(&ipv4(17, &udp(50_000, port, payload)))).source_port
            };
            assert_eq!(inside(whole), 5353, "{port}");
            for more in [1, 2, 40] {
                let longer = [&whole[..], &vec![0; more]].concat();
                assert_eq!(inside(&longer), 50_000, "{port}");
            }
            assert_eq!(inside(&whole[..whole.len() - 1]), 50_000, "{port}");
        }
    }
    // A frame behind a label is padded.
    let datagram = udp(5353, 53, b"q");
    let frame = [&ethernet(&ipv4(17, &datagram))[..], &[0; 17]].concat();
    let payload = [&bytes_of("00010140 00000000")[..], &frame].concat();
    let found = packet_in(&ethernet(&ipv4(17, &udp(50_000, 6635, &payload))));
    assert_eq!(found.source_port, 5353);
    // What a resolver and a client of QUIC send from these ports.
    let question = bytes_of("1234 0100 0001 0000 0000 0000 0161 0765 7861 6d70 6c65 0000 0100 01");
    let short_header = [&[0x5a; 5][..], &[0x46; 60]].concat();
    for port in [3544, 6635] {
        for payload in [&question[..], &short_header] {
            let found = packet_in(&ethernet(&ipv4(17, &udp(port, 443, payload))));
            assert_eq!((found.source_port, found.overhead), (port, 0));
        }
    }
}

#[test]
fn a_packet_quoted_by_icmp_is_not_taken_out() {
    let [four, _] = plain();
    let error = [&[3, 1, 0, 0, 0, 0, 0, 0][..], &ipv4(4, &four)].concat();
    let found = packet_in(&ethernet(&ipv4(1, &error)));
    assert_eq!((found.ip.protocol, found.tunnel), (1, TunnelPath::NONE));
}

#[test]
fn a_pseudowire_address_that_begins_like_ip_is_told_by_what_follows() {
    for first in [0x40, 0x45, 0x60, 0x00, 0x08] {
        for control_word in ["", "00000000"] {
            for packet in plain() {
                let mut inner = ethernet(&packet);
                inner[0] = first;
                let mut frame = tagged(&packet, "8847 00010140");
                frame.extend(bytes_of(control_word));
                frame.extend(&inner);
                // 0x45 without a control word cannot be told from IPv4.
                if (first, control_word) != (0x45, "") {
                    assert_eq!(
                        packet_in(&frame).source_port,
                        5353,
                        "{first:x} {control_word}"
                    );
                }
            }
        }
    }
}

#[test]
fn behind_too_many_layers_the_packet_at_that_depth_stands() {
    let [mut packet, _] = plain();
    for depth in 1..=LAYERS_MAX + 3 {
        packet = ipv4(4, &packet);
        let found = packet_in(&ethernet(&packet));
        assert_eq!(found.tunnel.len(), depth.min(LAYERS_MAX));
        assert_eq!(found.tunnel.is_too_deep(), depth > LAYERS_MAX);
        let inside = if depth > LAYERS_MAX { 4 } else { UDP };
        assert_eq!(found.ip.protocol, inside);
        assert_eq!(found.overhead as usize, 20 * depth.min(LAYERS_MAX));
    }
    // The same within a link layer is a frame that cannot be decoded, and within a tunnel the tunnel stands.
    let tags = "8100 0001".repeat(LAYERS_MAX + 1);
    let tagged = [tagged(&packet, &tags), vec![8, 0], plain()[0].clone()].concat();
    assert!(matches!(
        decode(&raw(&tagged)),
        Decoded::Undecodable(Undecodable::TooManyTags)
    ));
    let vxlan = [&bytes_of("0800 0000 00000500")[..], &tagged].concat();
    let found = packet_in(&ethernet(&ipv4(17, &udp(50_000, 4789, &vxlan))));
    assert_eq!(
        (found.destination_port, found.tunnel.is_too_deep()),
        (4789, true)
    );
}

#[test]
fn a_fragment_inside_a_tunnel_is_a_fragment() {
    let [mut packet, _] = plain();
    packet[6] = 0x20;
    for (path, frame) in frames(&packet) {
        // What follows an authentication header is no header of IP.
        if path == "ah" {
            continue;
        }
        match decode(&raw(&frame)) {
            Decoded::Fragment(fragment) => {
                assert_eq!(words(fragment.tunnel), path);
                assert_eq!(
                    (fragment.offset, fragment.more, fragment.identification),
                    (0, true, 1)
                );
                assert_eq!(fragment.payload(&frame), &packet[20..]);
            }
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[test]
fn cut_or_changed_anywhere_there_is_one_outcome_with_its_bytes_inside() {
    for packet in plain() {
        for (_, frame) in frames(&packet) {
            for end in 0..frame.len() {
                check(&frame[..end], frame.len());
            }
            for position in 0..frame.len() {
                for value in [0, 1, 4, 0x0f, 0x45, 0x60, 0x7f, 0x80, 0xff] {
                    let mut changed = frame.clone();
                    changed[position] = value;
                    check(&changed, frame.len());
                }
            }
        }
    }
}

fn check(data: &[u8], wire_len: usize) {
    let cut = RawPacket {
        wire_len: wire_len as u32,
        ..raw(data)
    };
    if let Decoded::Packet(packet) = decode(&cut) {
        assert_eq!(packet.payload(data).len(), packet.payload_len as usize);
        assert!(packet.payload_len <= packet.payload_wire_len);
        assert!((packet.ip.bytes + packet.overhead) as usize <= wire_len);
    }
}

proptest! {
    /// Whatever lies around it and in whatever order: the same packet, and the path says what it was.
    #[test]
    fn wrapped_again_and_again_it_is_the_same_packet(picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..6), six in any::<bool>()) {
        let mut packet = plain()[usize::from(six)].clone();
        let (whole, mut path) = (packet.len(), Vec::new());
        for pick in picks {
            let over_ip = |frame: &Vec<u8>| frame[12..14] == [8, 0] || frame[12..14] == [0x86, 0xdd];
            let (around, frame) = frames(&packet)
                .into_iter()
                .filter(|(path, frame)| over_ip(frame) && *path != "ah")
                .collect::<Vec<_>>()
                .swap_remove(pick.index(frames(&packet).iter().filter(|(path, frame)| over_ip(frame) && *path != "ah").count()));
            let layers: Vec<_> = around.split(' ').collect();
            if path.len() + layers.len() > LAYERS_MAX {
                break;
            }
            path.splice(0..0, layers);
            packet = frame[14..].to_vec();
        }
        let frame = ethernet(&packet);
        let found = packet_in(&frame);
        prop_assert_eq!(words(found.tunnel), path.join(" "));
        prop_assert_eq!((found.source_port, found.payload(&frame)), (5353, QUESTION));
        prop_assert_eq!(found.ip.bytes as usize, whole);
        prop_assert_eq!(found.overhead as usize, packet.len() - whole);
    }
}
