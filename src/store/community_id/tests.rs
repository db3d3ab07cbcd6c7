//! Against values computed with the reference implementation (Python package `communityid`, 1.5).
#![allow(clippy::unwrap_used)]

use std::net::IpAddr;

use super::*;
use crate::decode::{IpHeader, IpVersion, Packet, TcpHeader};

fn address(text: &str) -> ([u8; 16], IpVersion) {
    match text.parse::<IpAddr>().unwrap() {
        IpAddr::V4(v4) => (v4.to_ipv6_mapped().octets(), IpVersion::V4),
        IpAddr::V6(v6) => (v6.octets(), IpVersion::V6),
    }
}

fn id(
    protocol: u8,
    source: &str,
    destination: &str,
    source_port: u16,
    destination_port: u16,
) -> String {
    let ((source, version), (destination, _)) = (address(source), address(destination));
    let packet = Packet {
        ip: IpHeader {
            source,
            destination,
            bytes: 0,
            protocol,
            version,
            identification: 0,
        },
        source_port,
        destination_port,
        vlan: 0,
        checksum: 0,
        tunnel: crate::decode::TunnelPath::NONE,
        overhead: 0,
        tcp: TcpHeader::default(),
        payload_offset: 0,
        payload_len: 0,
        payload_wire_len: 0,
    };
    let (key, sender) = FlowKey::of(&packet, 0);
    community_id(&key, &key.endpoint(sender), &key.endpoint(sender.other()))
}

#[test]
fn the_reference_implementation_gives_the_same() {
    for (protocol, source, destination, source_port, destination_port, expected) in [
        (
            6,
            "10.0.0.1",
            "192.0.2.7",
            50_000,
            443,
            "1:IOOvqZwmDVZ2+Bak8/KNY21L+mA=",
        ),
        (
            6,
            "192.0.2.7",
            "10.0.0.1",
            443,
            50_000,
            "1:IOOvqZwmDVZ2+Bak8/KNY21L+mA=",
        ),
        (
            17,
            "192.168.1.5",
            "8.8.8.8",
            5353,
            53,
            "1:LT0L1F0Y0AMKb6DLMqpnMtZTer4=",
        ),
        (
            6,
            "2001:db8::1",
            "2001:db8::2",
            443,
            50_000,
            "1:UFel+zfGDXB/GhABjlRQUzVNUI8=",
        ),
        (
            1,
            "10.0.0.1",
            "192.0.2.7",
            8,
            0,
            "1:onrg0PkryXq2waYBsCpWrO44RNY=",
        ),
        (
            1,
            "192.0.2.7",
            "10.0.0.1",
            0,
            8,
            "1:onrg0PkryXq2waYBsCpWrO44RNY=",
        ),
        (
            1,
            "192.0.2.7",
            "10.0.0.1",
            3,
            1,
            "1:UVAhOWOUtIUkdxxlBk0m/HSutqU=",
        ),
        (
            58,
            "2001:db8::1",
            "2001:db8::2",
            128,
            129,
            "1:u2vMS3HiWth2lIMKHB1fjELshpQ=",
        ),
        (
            47,
            "10.0.0.1",
            "192.0.2.7",
            0,
            0,
            "1:MkLrv1xDcb9/L51p0ib/MwwD/Jw=",
        ),
    ] {
        assert_eq!(
            id(protocol, source, destination, source_port, destination_port),
            expected
        );
    }
}
