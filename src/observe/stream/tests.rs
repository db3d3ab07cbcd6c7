//! Sides that were taken for each other, gaps and tunnels, and memory that is given back.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use bytemuck::Zeroable;

use super::ordered::GAP_SEGMENTS_MAX;
use super::*;
use crate::decode::{IpHeader, IpVersion, TCP, TcpHeader};
use crate::protocol::tls::ServerName;

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
            identification: 0,
        },
        source_port: 50_000,
        destination_port: 443,
        vlan: 0,
        checksum: 0,
        tunnel: crate::decode::TunnelPath::NONE,
        overhead: 0,
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
        sessions_max: 4,
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
                Message::Decrypted(_, _) | Message::DecryptedServer(_, _) => "decrypted".to_owned(),
                Message::Hello(hello) => match hello.server_name {
                    ServerName::Name(name) => String::from_utf8_lossy(name).into_owned(),
                    other => format!("{other:?}"),
                },
                Message::Server(..) => unreachable!("the client's side alone is read here"),
                Message::Request(request) => format!(
                    "{} {}",
                    String::from_utf8_lossy(request.method),
                    String::from_utf8_lossy(request.target)
                ),
                Message::Socks(request) => format!("{:?} {:?}", request.command, request.target),
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

/// A flow whose beginning was seen, at number 0.
fn begun() -> FlowEntry {
    let mut entry = FlowEntry::zeroed();
    entry.flags.set(FlowFlags::IN_USE);
    entry.flags.set(FlowFlags::START_KNOWN);
    entry.set_coverage(Coverage::NoPayload);
    entry
}

/// Header and question of a DNS message, behind a length.
fn message(len: u16) -> Vec<u8> {
    let mut message = len.to_be_bytes().to_vec();
    message.extend([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1]);
    message
}

/// Segments of a stream that never comes to an end; the most that the reader holds meanwhile, and that is given back at last.
fn most_held(
    reader: &mut StreamReader,
    port: u16,
    pieces: impl Iterator<Item = Vec<u8>>,
) -> (usize, usize) {
    let (mut entry, mut place) = (begun(), None);
    let (mut sequence, mut most, mut shown) = (0u32, 0, 0);
    for piece in pieces {
        if entry.flags.has(FlowFlags::INSPECTED) {
            break;
        }
        let packet = Packet {
            destination_port: port,
            ..packet(sequence, &piece)
        };
        let direction = Directed::FromInitiator;
        shown += show(reader, &mut entry, &mut place, direction, &packet, &piece).len();
        sequence = sequence.wrapping_add(piece.len() as u32);
        most = most.max(reader.held_bytes);
    }
    reader.close(place);
    assert_eq!(reader.held_bytes, 0);
    (most, shown)
}

/// A beginning, then the same again and again, in pieces of this size.
fn endless(beginning: &[u8], again: &[u8], size: usize, len: usize) -> Vec<Vec<u8>> {
    let stream: Vec<u8> = beginning
        .iter()
        .chain(again.iter().cycle())
        .take(len)
        .copied()
        .collect();
    stream.chunks(size).map(<[u8]>::to_vec).collect()
}

#[test]
fn a_head_without_an_end_holds_no_more_than_a_head() {
    let beginning = b"GET / HTTP/1.1\r\nHost: example.org\r\n";
    for again in [&b"X: y\r\n"[..], b"aaaaaaaaaaaaaaaaaaaa"] {
        for size in [1, 7, 1400] {
            let mut reader = reader(1 << 20);
            let pieces = endless(beginning, again, size, 200_000);
            let (most, shown) = most_held(&mut reader, 80, pieces.into_iter());
            assert!(most <= http1::HEAD_BYTES_MAX, "{size}: {most}");
            assert_eq!(shown, 1, "what stands in the beginning is told");
        }
    }
}

#[test]
fn lines_of_chunks_without_an_end_hold_nothing() {
    let beginning = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5;";
    for size in [1, 1400] {
        let mut reader = reader(1 << 20);
        let pieces = endless(beginning, b"x=y;", size, 200_000);
        let (most, shown) = most_held(&mut reader, 80, pieces.into_iter());
        assert!(most <= beginning.len(), "{size}: {most}");
        assert_eq!(shown, 1);
    }
}

#[test]
fn what_requests_and_messages_hold_counts_against_the_bytes_of_all() {
    const ROOM: usize = 3000;
    let request = b"GET / HTTP/1.1\r\nHost: example.org\r\n";
    let message = [
        &[0xff, 0xff, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..],
        &[1; 40],
    ]
    .concat();
    for (port, beginning) in [(80, &request[..]), (53, &message)] {
        for size in [1, 7, 900] {
            let mut reader = reader(ROOM);
            let pieces = endless(beginning, b"X: y\r\n", size, 200_000);
            let (most, _) = most_held(&mut reader, port, pieces.into_iter());
            assert!(most <= ROOM, "{port}, {size}: {most}");
            assert!(reader.counters().refused_segments > 0, "{port}, {size}");
        }
    }
}

#[test]
fn the_longest_message_over_tcp_is_read_and_given_back() {
    let mut message = message(u16::MAX);
    message.resize(2 + 65_535, 0);
    for size in [1, 1400, 65_000] {
        let mut reader = reader(1 << 20);
        let pieces = message.chunks(size).map(<[u8]>::to_vec);
        let (most, shown) = most_held(&mut reader, 53, pieces);
        assert_eq!(shown, 1, "{size}");
        assert!(most <= 2 + 65_535, "{size}: {most}");
        assert_eq!(reader.counters().refused_segments, 0);
    }
}

#[test]
fn waiting_segments_of_many_flows_stay_below_the_bytes_of_all() {
    const ROOM: usize = 20_000;
    let mut reader = StreamReader::new(HandshakeLimits {
        handshakes_max: 1000,
        bytes_max: ROOM,
        stream: StreamLimits::default(),
        sessions_max: 4,
    });
    let request = b"GET / HTTP/1.1\r\nHost: example.org\r\nX: ";
    let mut flows: Vec<_> = (0..200).map(|_| (begun(), None)).collect();
    for round in 0..20u32 {
        for (entry, place) in &mut flows {
            // The beginning, and then everything but what comes next.
            let (sequence, piece) = match round {
                0 => (0, &request[..]),
                _ => (100 + round * 300, &[b'a'; 200][..]),
            };
            from_client(&mut reader, entry, place, sequence, piece);
            assert!(reader.held_bytes <= ROOM, "{}", reader.held_bytes);
        }
    }
    // Where nothing more can wait, a gap is waited for no longer.
    assert!(reader.counters().gaps > 0);
    for (_, place) in flows {
        reader.close(place);
    }
    assert_eq!(reader.held_bytes, 0);
}

#[test]
fn answers_go_on_behind_one_that_never_comes() {
    let (mut reader, mut entry, mut place) = (reader(1 << 20), begun(), None);
    let message = message(19);
    let on_port = |sequence, acknowledgment| Packet {
        destination_port: 53,
        tcp: TcpHeader {
            acknowledgment,
            ..packet(sequence, &message).tcp
        },
        ..packet(sequence, &message)
    };
    let asked = on_port(0, 700);
    let direction = Directed::FromInitiator;
    show(
        &mut reader,
        &mut entry,
        &mut place,
        direction,
        &asked,
        &message,
    );
    let mut shown = 0;
    for number in 1..=GAP_SEGMENTS_MAX as u32 {
        // The first answer, at 700, is lost.
        let answer = on_port(700 + number * message.len() as u32, 21);
        let direction = Directed::FromResponder;
        shown += show(
            &mut reader,
            &mut entry,
            &mut place,
            direction,
            &answer,
            &message,
        )
        .len();
    }
    assert_eq!(shown, GAP_SEGMENTS_MAX);
    assert_eq!(reader.counters().gaps, 1);
}
