//! Sides that were taken for each other, and memory that is given back.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use bytemuck::Zeroable;

use super::*;
use crate::decode::{IpHeader, IpVersion, TCP, TcpHeader};

/// A ClientHello for `example.org`, padded to be longer than a segment.
fn hello() -> Vec<u8> {
    let name = b"example.org";
    let mut extensions = vec![0, 21, 4, 0];
    extensions.extend([0; 1024]);
    extensions.extend([
        0,
        0,
        0,
        (name.len() + 5) as u8,
        0,
        (name.len() + 3) as u8,
        0,
        0,
        name.len() as u8,
    ]);
    extensions.extend(name);
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut stream = vec![22, 3, 1];
    stream.extend((body.len() as u16 + 4).to_be_bytes());
    stream.push(1);
    stream.extend(&(body.len() as u32).to_be_bytes()[1..]);
    stream.extend(body);
    stream
}

fn packet(sequence: u32, payload: &[u8]) -> Packet {
    Packet {
        ip: IpHeader {
            source: [1; 16],
            destination: [2; 16],
            bytes: 100,
            protocol: TCP,
            version: IpVersion::V6,
        },
        source_port: 50_000,
        destination_port: 443,
        vlan: 0,
        tcp: TcpHeader {
            sequence,
            acknowledgment: 0,
            flags: TcpFlags(TcpFlags::ACK),
        },
        payload_offset: 0,
        payload_len: payload.len() as u32,
        payload_wire_len: payload.len() as u32,
    }
}

fn midstream() -> FlowEntry {
    let mut entry = FlowEntry::zeroed();
    entry.flags.set(FlowFlags::IN_USE);
    entry.flags.set(FlowFlags::MIDSTREAM);
    entry
}

fn reader(bytes_max: usize) -> HandshakeReader {
    HandshakeReader::new(HandshakeLimits {
        handshakes_max: 4,
        bytes_max,
        stream: StreamLimits::default(),
    })
}

#[test]
fn a_hello_from_the_side_taken_for_the_server_turns_the_flow_round() {
    let (mut reader, mut entry, mut place) = (reader(1 << 20), midstream(), None);
    let responder = entry.responder_endpoint();
    let hello = hello();
    let seen = reader.packet(
        &mut entry,
        &mut place,
        Directed::FromResponder,
        &packet(9, &hello),
        &hello,
    );
    assert_eq!(
        (seen, reader.name().bytes()),
        (Seen::Name, &b"example.org"[..])
    );
    assert_eq!(entry.initiator_endpoint(), responder);
    assert!(entry.flags.has(FlowFlags::INITIATOR_IS_B));
}

#[test]
fn room_is_given_back_when_a_handshake_is_done_or_its_flow_is_over() {
    let hello = hello();
    let (head, tail) = hello.split_at(600);
    // Room for one handshake at a time.
    let mut reader = reader(2000);
    for round in 0..100 {
        let (mut entry, mut place) = (midstream(), None);
        let seen = reader.packet(
            &mut entry,
            &mut place,
            Directed::FromInitiator,
            &packet(0, head),
            head,
        );
        assert_eq!(
            (seen, place.is_some()),
            (Seen::Nothing, true),
            "round {round}"
        );
        assert_eq!(entry.coverage(), Coverage::Lost);
        if round % 2 == 0 {
            reader.close(place);
        } else {
            let packet = packet(600, tail);
            assert_eq!(
                reader.packet(
                    &mut entry,
                    &mut place,
                    Directed::FromInitiator,
                    &packet,
                    tail
                ),
                Seen::Name
            );
            assert_eq!(place, None);
        }
        assert_eq!(reader.held_bytes, 0, "round {round}");
    }
    assert_eq!(reader.counters().refused_segments, 0);
}

#[test]
fn a_full_reader_refuses_and_counts() {
    let hello = hello();
    let head = &hello[..600];
    let mut reader = reader(1 << 20);
    for _ in 0..6 {
        let (mut entry, mut place) = (midstream(), None);
        reader.packet(
            &mut entry,
            &mut place,
            Directed::FromInitiator,
            &packet(0, head),
            head,
        );
    }
    assert_eq!(reader.counters().refused_handshakes, 2);
}
