//! The decoder against etherparse on plain and awkward frames, and against every shorter length and changed byte.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use etherparse::{LaxSlicedPacket, PacketBuilder, TransportSlice};

use super::*;
use crate::capture::LinkType;
use crate::model::Timestamp;

fn raw(data: &[u8], link_type: LinkType) -> RawPacket<'_> {
    RawPacket {
        timestamp: Timestamp::default(),
        link_type,
        wire_len: data.len() as u32,
        data,
    }
}

fn packet_of(data: &[u8]) -> Packet {
    match decode(&raw(data, LinkType::ETHERNET)) {
        Decoded::Packet(packet) => packet,
        other => panic!("no packet: {other:?}"),
    }
}

fn frames() -> Vec<Vec<u8>> {
    let mac = || PacketBuilder::ethernet2([1; 6], [2; 6]);
    let v4 = |builder: etherparse::PacketBuilderStep<etherparse::Ethernet2Header>| {
        builder.ipv4([10, 0, 0, 1], [192, 0, 2, 7], 64)
    };
    let mut frames = Vec::new();
    let mut add = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = Vec::new();
        write(&mut frame);
        frames.push(frame);
    };
    add(&|out| {
        v4(mac())
            .tcp(50_000, 443, 7, 1000)
            .ack(9)
            .write(out, b"payload")
            .unwrap();
    });
    add(&|out| {
        v4(mac())
            .tcp(50_000, 443, 7, 1000)
            .syn()
            .options_raw(&[2, 4, 5, 180])
            .unwrap()
            .write(out, b"")
            .unwrap();
    });
    add(&|out| v4(mac()).udp(5353, 53).write(out, b"question").unwrap());
    add(&|out| {
        mac()
            .ipv6([1; 16], [2; 16], 64)
            .tcp(1, 2, 3, 4)
            .write(out, b"six")
            .unwrap();
    });
    add(&|out| {
        mac()
            .ipv6([1; 16], [2; 16], 64)
            .udp(1, 2)
            .write(out, b"six")
            .unwrap();
    });
    add(&|out| {
        mac()
            .vlan(etherparse::VlanHeader::Single(
                etherparse::SingleVlanHeader {
                    vlan_id: 7.try_into().unwrap(),
                    ..Default::default()
                },
            ))
            .ipv4([10, 0, 0, 1], [192, 0, 2, 7], 64)
            .udp(1, 2)
            .write(out, b"tagged")
            .unwrap();
    });
    add(&|out| {
        mac()
            .double_vlan(8.try_into().unwrap(), 9.try_into().unwrap())
            .ipv6([1; 16], [2; 16], 64)
            .tcp(5, 6, 7, 8)
            .write(out, b"two tags")
            .unwrap();
    });
    frames
}

#[test]
fn etherparse_sees_the_same_ports_addresses_and_payload() {
    for frame in frames() {
        let ours = packet_of(&frame);
        let theirs = LaxSlicedPacket::from_ethernet(&frame).unwrap();
        let (source_port, destination_port, payload) = match theirs.transport.unwrap() {
            TransportSlice::Tcp(tcp) => (
                tcp.source_port(),
                tcp.destination_port(),
                tcp.payload().to_vec(),
            ),
            TransportSlice::Udp(udp) => (
                udp.source_port(),
                udp.destination_port(),
                udp.payload().to_vec(),
            ),
            other => panic!("unexpected {other:?}"),
        };
        assert_eq!(
            (ours.source_port, ours.destination_port),
            (source_port, destination_port)
        );
        assert_eq!(ours.payload(&frame), payload);
        assert!(!ours.payload_is_cut());
    }
}

#[test]
fn the_outermost_tag_is_kept() {
    assert_eq!(packet_of(&frames()[5]).vlan, 7);
    assert_eq!(packet_of(&frames()[6]).vlan, 8);
}

#[test]
fn every_shorter_length_and_changed_byte_has_one_outcome_and_payload_inside() {
    for frame in frames() {
        for end in 0..=frame.len() {
            let mut raw = raw(&frame[..end], LinkType::ETHERNET);
            raw.wire_len = frame.len() as u32;
            check(&raw);
        }
        for position in 0..frame.len() {
            for value in 0..=255 {
                let mut changed = frame.clone();
                changed[position] = value;
                for link_type in [
                    LinkType::ETHERNET,
                    LinkType::LINUX_SLL,
                    LinkType::LINUX_SLL2,
                    LinkType::RAW,
                    LinkType::IPV6,
                ] {
                    check(&raw(&changed, link_type));
                }
            }
        }
    }
}

fn check(raw: &RawPacket<'_>) {
    // The short way finds what the long one does.
    if let Some(packet) = decode_plain(raw) {
        let any = decode_any(raw);
        assert_eq!(format!("{:?}", Decoded::Packet(packet)), format!("{any:?}"));
    }
    match decode(raw) {
        Decoded::Packet(packet) => {
            let end = packet.payload_offset as usize + packet.payload_len as usize;
            assert!(end <= raw.data.len().max(packet.payload_offset as usize));
            assert_eq!(packet.payload(raw.data).len(), packet.payload_len as usize);
            assert!(packet.ip.bytes <= raw.wire_len);
            assert!(packet.payload_len <= packet.payload_wire_len);
        }
        Decoded::Fragment(fragment) => assert!(fragment.ip.bytes <= raw.wire_len),
        Decoded::BadTransport(ip, _) => assert!(ip.bytes <= raw.wire_len),
        Decoded::NotIp(_) | Decoded::Undecodable(_) => {}
    }
}

#[test]
fn ethernet_padding_is_not_payload() {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4([10, 0, 0, 1], [192, 0, 2, 7], 64)
        .tcp(1, 2, 3, 4)
        .write(&mut frame, b"")
        .unwrap();
    frame.resize(60, 0);
    let packet = packet_of(&frame);
    assert_eq!((packet.payload_len, packet.ip.bytes), (0, 40));
}

#[test]
fn merged_segments_count_by_the_wire_where_the_ip_length_is_zero() {
    let mut frame = frames()[0].clone();
    frame[16] = 0;
    frame[17] = 0;
    let packet = packet_of(&frame);
    assert_eq!(packet.ip.bytes as usize, frame.len() - 14);
    assert_eq!(packet.payload(&frame), b"payload");
}

#[test]
fn a_snapshot_length_is_noticed() {
    let frame = frames()[0].clone();
    let cut = RawPacket {
        timestamp: Timestamp::default(),
        link_type: LinkType::ETHERNET,
        wire_len: frame.len() as u32,
        data: &frame[..frame.len() - 3],
    };
    let Decoded::Packet(packet) = decode(&cut) else {
        panic!("no packet")
    };
    assert!(packet.payload_is_cut());
    assert_eq!((packet.payload_len, packet.payload_wire_len), (4, 7));
}

#[test]
fn extension_headers_are_walked_and_fragments_told() {
    let mut frame = frames()[3].clone();
    // Hop-by-hop, destination options, then TCP.
    let tcp = frame.split_off(54);
    frame[20] = 0;
    frame.extend([60, 0, 1, 4, 0, 0, 0, 0, 6, 1]);
    frame.extend([1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    frame.extend(&tcp);
    let len = (frame.len() - 54) as u16;
    frame[18..20].copy_from_slice(&len.to_be_bytes());
    let packet = packet_of(&frame);
    assert_eq!(
        (
            packet.source_port,
            packet.ip.protocol,
            packet.payload(&frame)
        ),
        (1, 6, &b"six"[..])
    );

    // A fragment header that says more fragments follow; an atomic one does not.
    let mut fragment = frames()[3].clone();
    let tcp = fragment.split_off(54);
    fragment[20] = 44;
    let mut atomic = fragment.clone();
    fragment.extend([6, 0, 0, 1, 0, 0, 0, 9]);
    atomic.extend([6, 0, 0, 0, 0, 0, 0, 9]);
    fragment.extend(&tcp);
    atomic.extend(&tcp);
    for frame in [&mut fragment, &mut atomic] {
        let len = (frame.len() - 54) as u16;
        frame[18..20].copy_from_slice(&len.to_be_bytes());
    }
    assert!(matches!(
        decode(&raw(&fragment, LinkType::ETHERNET)),
        Decoded::Fragment(_)
    ));
    assert!(matches!(
        decode(&raw(&atomic, LinkType::ETHERNET)),
        Decoded::Packet(_)
    ));
}

#[test]
fn a_chain_of_extension_headers_ends() {
    let mut frame = frames()[3].clone();
    frame.truncate(54);
    frame[20] = 60;
    for _ in 0..40 {
        frame.extend([60, 0, 0, 0, 0, 0, 0, 0]);
    }
    assert!(matches!(
        decode(&raw(&frame, LinkType::ETHERNET)),
        Decoded::BadTransport(_, Undecodable::TooManyExtensionHeaders)
    ));
}

#[test]
fn echo_and_reply_share_their_ports() {
    assert_eq!(super::transport::TCP, 6);
    for (kind, expected) in [(8u8, (8, 0)), (0, (0, 8)), (3, (3, 1))] {
        let mut frame = frames()[2].clone();
        frame[23] = ICMP;
        frame[34] = kind;
        frame[35] = 1;
        let packet = packet_of(&frame);
        assert_eq!((packet.source_port, packet.destination_port), expected);
    }
}
