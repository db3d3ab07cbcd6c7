//! The same packet behind the headers of every link type, as their specifications write them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use etherparse::PacketBuilder;

use super::*;
use crate::capture::LinkType;
use crate::model::Timestamp;

fn decoded(link_type: LinkType, data: &[u8]) -> Decoded {
    decode(&RawPacket {
        timestamp: Timestamp::default(),
        link_type,
        wire_len: data.len() as u32,
        data,
    })
}

fn ip_packet(version: IpVersion) -> Vec<u8> {
    let mut packet = Vec::new();
    match version {
        IpVersion::V4 => PacketBuilder::ipv4([10, 0, 0, 1], [192, 0, 2, 7], 64)
            .udp(5353, 53)
            .write(&mut packet, b"question"),
        IpVersion::V6 => PacketBuilder::ipv6([1; 16], [2; 16], 64)
            .udp(5353, 53)
            .write(&mut packet, b"question"),
    }
    .unwrap();
    packet
}

/// Headers before an IP packet of this version.
fn headers(version: IpVersion) -> Vec<(LinkType, Vec<u8>)> {
    let six = version == IpVersion::V6;
    let ether_type: [u8; 2] = if six { [0x86, 0xdd] } else { [8, 0] };
    let ppp: [u8; 2] = if six { [0, 0x57] } else { [0, 0x21] };
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0][..], &ether_type].concat();
    let mac = [1u8; 12];
    let data_frame = |control: u8, flags: u8, more: usize| {
        let mut header = vec![control, flags, 0, 0];
        header.extend([7; 18]);
        header.extend([0x10, 0]);
        header.extend(std::iter::repeat_n(0, more));
        header.extend(&snap);
        header
    };
    let radiotap = |present: u32, fields: &[u8], body: &[u8]| {
        let len = 8 + fields.len() as u16;
        let mut header = vec![0, 0];
        header.extend(len.to_le_bytes());
        header.extend(present.to_le_bytes());
        header.extend(fields);
        header.extend(body);
        header
    };
    let mut prism = vec![0x44, 0, 0, 0, 144, 0, 0, 0];
    prism.resize(144, 0);
    let mut headers = vec![
        (LinkType::LOOP, vec![0, 0, 0, if six { 24 } else { 2 }]),
        (LinkType::PPP, ppp.to_vec()),
        (LinkType::PPP, vec![ppp[1]]),
        (LinkType::PPP, [&[0xff, 3][..], &ppp].concat()),
        (LinkType::PPP_HDLC, [&[0xff, 3][..], &ppp].concat()),
        (LinkType::PPP_HDLC, [&[0x0f, 0][..], &ether_type].concat()),
        (LinkType::C_HDLC, [&[0x8f, 0][..], &ether_type].concat()),
        (
            LinkType::FRELAY,
            vec![0x18, 0x61, 3, if six { 0x8e } else { 0xcc }],
        ),
        (LinkType::FRELAY, [&[0x18, 0x61][..], &ether_type].concat()),
        (
            LinkType::FRELAY,
            [&[0x18, 0x61, 3, 0, 0x80, 0, 0, 0][..], &ether_type].concat(),
        ),
        (LinkType::ETHERNET, [&mac[..], &[0, 60], &snap].concat()),
        (
            LinkType::ETHERNET,
            [&mac[..], &[0x81, 0, 0, 9, 0, 60], &snap].concat(),
        ),
        (LinkType::IEEE802_11, data_frame(0x08, 1, 0)),
        (LinkType::IEEE802_11, data_frame(0x88, 2, 2)),
        (LinkType::IEEE802_11, data_frame(0x88, 0x82, 6)),
        (LinkType::IEEE802_11, data_frame(0x08, 3, 6)),
        (LinkType::IEEE802_11, data_frame(0x88, 3, 8)),
        (
            LinkType::RADIOTAP,
            radiotap(0, &[], &data_frame(0x08, 1, 0)),
        ),
        (
            LinkType::RADIOTAP,
            // Time, then flags: the header of 26 bytes is padded to 28.
            radiotap(3, &[0, 0, 0, 0, 0, 0, 0, 0, 0x20], &data_frame(0x88, 1, 4)),
        ),
        (
            LinkType::PRISM,
            [&prism[..], &data_frame(0x08, 1, 0)].concat(),
        ),
    ];
    for family in if six {
        &[10u8, 23, 24, 28, 30][..]
    } else {
        &[2]
    } {
        headers.push((LinkType::NULL, vec![*family, 0, 0, 0]));
        headers.push((LinkType::NULL, vec![0, 0, 0, *family]));
    }
    for (device, body) in [
        (803u16, radiotap(0, &[], &data_frame(0x08, 1, 0))),
        (801, data_frame(0x08, 1, 0)),
        (1, vec![]),
    ] {
        let protocol = if body.is_empty() { ether_type } else { [0, 4] };
        let [high, low] = device.to_be_bytes();
        let mut first = vec![0, 0, high, low, 0, 6, 1, 1, 1, 1, 1, 1, 0, 0];
        first.extend(protocol);
        first.extend(&body);
        headers.push((LinkType::LINUX_SLL, first));
        let mut second = protocol.to_vec();
        second.extend([0, 0, 0, 0, 0, 1, high, low, 0, 6, 1, 1, 1, 1, 1, 1, 0, 0]);
        second.extend(&body);
        headers.push((LinkType::LINUX_SLL2, second));
    }
    headers
}

#[test]
fn every_link_type_leads_to_the_packet_in_it() {
    for version in [IpVersion::V4, IpVersion::V6] {
        let packet = ip_packet(version);
        for (link_type, header) in headers(version) {
            let frame = [&header[..], &packet].concat();
            match decoded(link_type, &frame) {
                Decoded::Packet(found) => {
                    assert_eq!(found.ip.version, version);
                    assert_eq!((found.source_port, found.destination_port), (5353, 53));
                    assert_eq!(
                        found.payload(&frame),
                        b"question",
                        "{link_type:?} {header:x?}"
                    );
                    assert_eq!(found.ip.bytes as usize, packet.len());
                }
                other => panic!("{link_type:?} {header:x?}: {other:?}"),
            }
            // Cut anywhere, or with any byte changed, it has one outcome and does not panic.
            for end in 0..frame.len() {
                decoded(link_type, &frame[..end]);
            }
            for position in 0..header.len() {
                for value in [0, 1, 3, 0x7f, 0x80, 0xff] {
                    let mut changed = frame.clone();
                    changed[position] = value;
                    decoded(link_type, &changed);
                }
            }
        }
    }
}

#[test]
fn a_netfilter_log_message_holds_its_packet_in_either_byte_order() {
    for version in [IpVersion::V4, IpVersion::V6] {
        let packet = ip_packet(version);
        for big_endian in [false, true] {
            let attribute = |kind: u16, value: &[u8]| {
                let len = value.len() as u16 + 4;
                let number = |n: u16| {
                    if big_endian {
                        n.to_be_bytes()
                    } else {
                        n.to_le_bytes()
                    }
                };
                let mut bytes = [number(len), number(kind)].concat();
                bytes.extend(value);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
                bytes
            };
            let family = if version == IpVersion::V6 { 10 } else { 2 };
            let frame = [
                &[family, 0, 0, 40][..],
                &attribute(1, &[8, 0, 3, 0]),
                &attribute(10, b"\0"),
                &attribute(9, &packet),
                &attribute(11, &[0; 4]),
            ]
            .concat();
            let Decoded::Packet(found) = decoded(LinkType::NFLOG, &frame) else {
                panic!("{version:?}, big endian {big_endian}");
            };
            assert_eq!(found.payload(&frame), b"question");
        }
    }
}

#[test]
fn wireless_frames_that_cannot_be_read_say_why() {
    let frame = |control: u8, flags: u8, sequence: u8, qos: u8| {
        let mut frame = vec![control, flags, 0, 0];
        frame.extend([7; 18]);
        frame.extend([sequence, 0, qos, 0]);
        frame.extend([0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
        frame.extend(ip_packet(IpVersion::V4));
        frame
    };
    let why = |frame: &[u8]| match decoded(LinkType::IEEE802_11, frame) {
        Decoded::Undecodable(reason) => reason.as_str(),
        Decoded::NotIp(kind) => kind.as_str(),
        other => panic!("{other:?}"),
    };
    assert_eq!(why(&frame(0x88, 0x41, 0, 0)), "encrypted_link");
    assert_eq!(why(&frame(0x88, 0x05, 0, 0)), "partial_link_frame");
    assert_eq!(why(&frame(0x88, 0x01, 1, 0)), "partial_link_frame");
    assert_eq!(why(&frame(0x88, 0x01, 0, 0x80)), "partial_link_frame");
    for control in [0x80, 0xb4, 0x48, 0xc8] {
        assert_eq!(why(&frame(control, 1, 0, 0)), "wireless", "{control:x}");
    }
}

#[test]
fn llc_behind_llc_is_not_followed() {
    let mut frame = vec![1; 12];
    for _ in 0..100_000 {
        frame.extend([0x81, 0, 0, 9, 0, 60, 0xaa, 0xaa, 3, 0, 0, 0]);
    }
    assert!(matches!(
        decoded(LinkType::ETHERNET, &frame),
        Decoded::NotIp(NotIp::Llc)
    ));
}
