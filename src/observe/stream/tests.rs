//! Sides that were taken for each other, gaps and tunnels, and memory that is given back.
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
    entry.set_coverage(Coverage::Midstream);
    entry
}

fn reader(bytes_max: usize) -> StreamReader {
    StreamReader::new(HandshakeLimits {
        handshakes_max: 4,
        bytes_max,
        stream: StreamLimits::default(),
    })
}

/// Gives a packet to the reader; what it shows, in words.
fn show(
    reader: &mut StreamReader,
    entry: &mut FlowEntry,
    place: &mut Option<u32>,
    direction: Directed,
    packet: &Packet,
    payload: &[u8],
) -> Vec<String> {
    let mut shown = Vec::new();
    let time = Timestamp::from_parts(1, 0);
    reader.packet(
        entry,
        place,
        direction,
        packet,
        time,
        payload,
        &mut |_, message| {
            shown.push(match message {
                Message::ServerName(name) => String::from_utf8_lossy(name).into_owned(),
                Message::Request(request) => format!(
                    "{} {}",
                    String::from_utf8_lossy(request.method),
                    String::from_utf8_lossy(request.target)
                ),
                Message::Dns(direction, bytes) => format!("{direction:?} {}", bytes.len()),
            });
        },
    );
    shown
}

fn from_client(
    reader: &mut StreamReader,
    entry: &mut FlowEntry,
    place: &mut Option<u32>,
    sequence: u32,
    payload: &[u8],
) -> Vec<String> {
    let packet = packet(sequence, payload);
    show(
        reader,
        entry,
        place,
        Directed::FromInitiator,
        &packet,
        payload,
    )
}

#[test]
fn a_hello_from_the_side_taken_for_the_server_turns_the_flow_round() {
    let (mut reader, mut entry, mut place) = (reader(1 << 20), midstream(), None);
    let responder = entry.responder_endpoint();
    let hello = hello();
    let packet = packet(9, &hello);
    let shown = show(
        &mut reader,
        &mut entry,
        &mut place,
        Directed::FromResponder,
        &packet,
        &hello,
    );
    assert_eq!(shown, ["example.org"]);
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
        let shown = from_client(&mut reader, &mut entry, &mut place, 0, head);
        assert_eq!((shown.len(), place.is_some()), (0, true), "round {round}");
        assert_eq!(entry.coverage(), Coverage::Lost);
        if round % 2 == 0 {
            reader.close(place);
        } else {
            let shown = from_client(&mut reader, &mut entry, &mut place, 600, tail);
            assert_eq!((shown, place), (vec!["example.org".to_owned()], None));
        }
        assert_eq!(reader.held_bytes, 0, "round {round}");
    }
    assert_eq!(reader.counters().refused_segments, 0);
}

#[test]
fn a_full_reader_refuses_and_counts() {
    let hello = hello();
    let mut reader = reader(1 << 20);
    for _ in 0..6 {
        let (mut entry, mut place) = (midstream(), None);
        from_client(&mut reader, &mut entry, &mut place, 0, &hello[..600]);
    }
    assert_eq!(reader.counters().refused_handshakes, 2);
}

#[test]
fn a_full_reader_still_reads_the_request_in_the_first_packet() {
    let mut reader = reader(1 << 20);
    let request = b"GET /a HTTP/1.1\r\nHost: example.org\r\n\r\n";
    for round in 0..6 {
        let (mut entry, mut place) = (midstream(), None);
        let shown = from_client(&mut reader, &mut entry, &mut place, 0, request);
        assert_eq!(shown, ["GET /a"], "round {round}");
    }
    assert_eq!(reader.counters().refused_handshakes, 2);
}

#[test]
fn requests_go_on_behind_a_gap_that_never_closes() {
    let (mut reader, mut entry, mut place) = (reader(1 << 20), midstream(), None);
    let first = b"GET /first HTTP/1.1\r\nHost: example.org\r\n\r\n";
    assert_eq!(
        from_client(&mut reader, &mut entry, &mut place, 0, first),
        ["GET /first"]
    );
    // The second request never comes; enough of others behind it do.
    let mut sequence = first.len() as u32 + 100;
    let mut shown = Vec::new();
    for _ in 0..GAP_SEGMENTS_MAX {
        let next = b"GET /next HTTP/1.1\r\nHost: example.org\r\n\r\n";
        shown.extend(from_client(
            &mut reader,
            &mut entry,
            &mut place,
            sequence,
            next,
        ));
        sequence += next.len() as u32;
    }
    assert_eq!(shown.len(), GAP_SEGMENTS_MAX);
    assert_eq!(reader.counters().gaps, 1);
    assert!(shown.iter().all(|request| request == "GET /next"));
}

#[test]
fn a_tunnel_behind_connect_shows_whom_it_leads_to() {
    let (mut reader, mut entry, mut place) = (reader(1 << 20), midstream(), None);
    let connect = b"CONNECT proxied.example:443 HTTP/1.1\r\nHost: proxied.example:443\r\n\r\n";
    assert_eq!(
        from_client(&mut reader, &mut entry, &mut place, 0, connect),
        ["CONNECT proxied.example:443"]
    );
    let hello = hello();
    let shown = from_client(
        &mut reader,
        &mut entry,
        &mut place,
        connect.len() as u32,
        &hello,
    );
    assert_eq!(shown, ["example.org"]);
}
