//! Published packets, and hellos in every order, piece and truncation.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use proptest::prelude::*;

use super::header::LongPacket;
use super::keys::{ClientKeys, Salts};
use super::version::Scheme;
use super::*;
use crate::protocol::tls::{ClientHello, ServerName};

/// [RFC 9001 §A.2]
const RFC_9001: &str = include_str!("vectors/rfc9001-a2.hex");
/// [RFC 9369 §A.2]
const RFC_9369: &str = include_str!("vectors/rfc9369-a2.hex");
const V1: u32 = 1;
const V2: u32 = 0x6b33_43cf;
const NAME: &str = "a-name.of-some-length.example";

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// A TLS ClientHello with this name behind so much of something else.
fn hello(name: &str, before: usize) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    let mut extensions = vec![0, 51];
    extensions.extend((before as u16).to_be_bytes());
    extensions.extend(vec![9; before]);
    let len = name.len() as u16;
    extensions.extend([0, 0]);
    for len in [len + 5, len + 3] {
        extensions.extend(len.to_be_bytes());
    }
    extensions.push(0);
    extensions.extend(len.to_be_bytes());
    extensions.extend(name.bytes());
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut message = vec![1];
    message.extend(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend(body);
    message
}

fn crypto(offset: usize, piece: &[u8]) -> Vec<u8> {
    let mut frame = vec![6];
    frame.extend((0x8000_0000 | offset as u32).to_be_bytes());
    frame.extend((0x4000 | piece.len() as u16).to_be_bytes());
    frame.extend(piece);
    frame
}

/// An Initial of a client, sealed as RFC 9001 §5 says.
struct Initial<'a> {
    version: u32,
    scheme: Scheme,
    /// What its keys come from.
    first_id: &'a [u8],
    id: &'a [u8],
    token: &'a [u8],
    number: u32,
}

const PLAIN: Initial<'_> = Initial {
    version: V1,
    scheme: Scheme::V1,
    first_id: b"abcdefgh",
    id: b"abcdefgh",
    token: b"",
    number: 0,
};

impl Initial<'_> {
    fn seal(&self, frames: &[u8]) -> Vec<u8> {
        let packet_type = u8::from(matches!(self.scheme, Scheme::V2 | Scheme::V2Draft));
        let mut header = vec![0xc3 | packet_type << 4];
        header.extend(self.version.to_be_bytes());
        header.push(self.id.len() as u8);
        header.extend(self.id);
        header.push(0);
        header.push(self.token.len() as u8);
        header.extend(self.token);
        let frames = [frames, &vec![0; 32_usize.saturating_sub(frames.len())]].concat();
        header.extend((0x4000 | (frames.len() + 20) as u16).to_be_bytes());
        header.extend(self.number.to_be_bytes());
        let keys = ClientKeys::derive(&Salts::default(), self.scheme, self.first_id).unwrap();
        keys.seal(&header, self.number, &frames)
    }
}

/// What a client's datagrams come to.
fn read(datagrams: &[Vec<u8>]) -> (Option<String>, Vec<Taken>) {
    let (mut opener, mut client) = (Opener::default(), Client::default());
    let mut taken = Vec::new();
    for datagram in datagrams {
        taken.push(client.take(&mut opener, datagram, usize::MAX));
        if let Some(name) = name_of(&client) {
            return (Some(name), taken);
        }
    }
    (None, taken)
}

fn name_of(client: &Client) -> Option<String> {
    match client.look() {
        Look::GoogleHello(ServerName::Name(name))
        | Look::Hello(ClientHello {
            server_name: ServerName::Name(name),
            ..
        }) => Some(String::from_utf8(name.to_vec()).unwrap()),
        _ => None,
    }
}

#[test]
fn the_packets_of_the_appendices_are_opened() {
    for (packet, version) in [(RFC_9001, V1), (RFC_9369, V2)] {
        let (mut opener, mut client) = (Opener::default(), Client::default());
        let taken = client.take(&mut opener, &bytes_of(packet), usize::MAX);
        assert_eq!(taken.opened, 1);
        assert_eq!(name_of(&client).unwrap(), "example.com");
        assert_eq!(client.version(), Version(version));
    }
}

/// [RFC 9001 §A.1], [RFC 9369 §A.1]
#[test]
fn the_keys_of_the_appendices_are_derived() {
    let id = bytes_of("8394c8f03e515708");
    for (scheme, sample, mask, iv) in [
        (
            Scheme::V1,
            "d1b1c98dd7689fb8ec11d242b123dc9b",
            "437b9aec36",
            "fa044b2f42a3fd3b46fb255c",
        ),
        (
            Scheme::V2,
            "ffe67b6abcdb4298b485dd04de806071",
            "94a0c95e80",
            "91f73e2351d8fa91660e909f",
        ),
    ] {
        let keys = ClientKeys::derive(&Salts::default(), scheme, &id).unwrap();
        assert_eq!(keys.mask(&bytes_of(sample)).to_vec(), bytes_of(mask));
        assert_eq!(keys.iv().to_vec(), bytes_of(iv));
    }
}

#[test]
fn a_changed_byte_anywhere_is_not_believed() {
    let packet = bytes_of(RFC_9001);
    for at in 0..packet.len() {
        let mut changed = packet.clone();
        changed[at] ^= 0x01;
        let (name, taken) = read(&[changed]);
        assert_eq!((name, taken[0].opened), (None, 0), "{at}");
    }
}

#[test]
fn every_truncation_is_no_name_and_a_reason() {
    let packet = bytes_of(RFC_9001);
    for len in 0..packet.len() {
        let (name, taken) = read(&[packet[..len].to_vec()]);
        assert_eq!((name, taken[0].opened), (None, 0), "{len}");
        assert_eq!(taken[0].cut, len > 0, "{len}");
    }
}

#[test]
fn every_scheme_opens_under_its_own_and_under_reserved_versions() {
    for scheme in Scheme::ALL {
        let message = hello(NAME, 10);
        let frames = if scheme.has_google_frames() {
            let mut frame = crypto(0, &message);
            frame[0] = 8;
            frame
        } else {
            crypto(0, &message)
        };
        let datagram = Initial {
            version: 0x1a2a_3a4a,
            scheme,
            ..PLAIN
        }
        .seal(&frames);
        let (name, taken) = read(&[datagram]);
        assert_eq!(taken[0].opened, 1, "{scheme:?}");
        // Google's own handshake is not TLS.
        let expected = (!scheme.has_google_handshake()).then(|| NAME.to_owned());
        assert_eq!(name, expected, "{scheme:?}");
    }
}

#[test]
fn keys_stay_with_the_first_id_whatever_the_client_calls_its_server_later() {
    let message = hello(NAME, 1500);
    let (head, tail) = message.split_at(1000);
    let first = PLAIN.seal(&crypto(0, head));
    let later = Initial {
        id: b"another id",
        number: 1,
        ..PLAIN
    };
    let (name, _) = read(&[first.clone(), later.seal(&crypto(1000, tail))]);
    assert_eq!(name.as_deref(), Some(NAME));
    // Both sides agreed on version 2, with the keys of the first id (RFC 9369 §4.1).
    let agreed = Initial {
        version: V2,
        scheme: Scheme::V2,
        ..later
    };
    let (name, _) = read(&[first, agreed.seal(&crypto(1000, tail))]);
    assert_eq!(name.as_deref(), Some(NAME));
}

#[test]
fn a_retry_and_another_version_give_new_keys() {
    let message = hello(NAME, 1500);
    let (head, tail) = message.split_at(1000);
    let first = PLAIN.seal(&crypto(0, head));
    let again = Initial {
        first_id: b"from the retry",
        id: b"from the retry",
        token: b"token",
        number: 1,
        ..PLAIN
    };
    // The rest of the hello alone: a Retry does not change it.
    let (name, _) = read(&[first.clone(), again.seal(&crypto(1000, tail))]);
    assert_eq!(name.as_deref(), Some(NAME));
    let other_version = Initial {
        version: 0xff00_001d,
        scheme: Scheme::Draft29,
        first_id: b"new beginning",
        id: b"new beginning",
        ..PLAIN
    };
    let other = hello("other.example", 1500);
    let (name, _) = read(&[
        first,
        other_version.seal(&crypto(1000, &other[1000..])),
        other_version.seal(&crypto(0, &other[..1000])),
    ]);
    assert_eq!(name.as_deref(), Some("other.example"));
}

#[test]
fn packets_in_one_datagram_are_all_read() {
    let message = hello(NAME, 500);
    let (head, tail) = message.split_at(300);
    let zero_rtt = b"\xd0\0\0\0\x01\x08abcdefgh\0\x40\x20................................";
    let datagram = [
        zero_rtt.to_vec(),
        PLAIN.seal(&crypto(300, tail)),
        zero_rtt.to_vec(),
        Initial { number: 1, ..PLAIN }.seal(&crypto(0, head)),
        vec![0; 30],
    ]
    .concat();
    let (name, taken) = read(&[datagram]);
    assert_eq!(taken[0].opened, 2);
    assert_eq!(name.as_deref(), Some(NAME));
}

#[test]
fn a_hello_that_takes_too_much_room_is_refused_and_counted() {
    let (mut opener, mut client) = (Opener::default(), Client::default());
    let datagram = PLAIN.seal(&crypto(0, &hello(NAME, 500)));
    let taken = client.take(&mut opener, &datagram, 100);
    assert_eq!((taken.opened, taken.refused_pieces), (1, 1));
    assert_eq!(client.held_bytes(), 0);
    let far = PLAIN.seal(&crypto(CryptoStream::BYTES_MAX as usize, b"far"));
    assert_eq!(client.take(&mut opener, &far, usize::MAX).refused_pieces, 1);
}

#[test]
fn what_is_no_hello_is_told_from_the_beginning_of_one() {
    let (mut opener, mut client) = (Opener::default(), Client::default());
    let part = PLAIN.seal(&crypto(0, &hello(NAME, 500)[..100]));
    client.take(&mut opener, &part, usize::MAX);
    assert_eq!(client.look(), Look::Begins);
    client.reset();
    client.take(
        &mut opener,
        &PLAIN.seal(&crypto(0, b"\x02\0\0\x01a")),
        usize::MAX,
    );
    assert_eq!(client.look(), Look::Other);
}

/// Google's hello: tags and values, of which one is the name.
fn google_hello(name: &str) -> Vec<u8> {
    let mut message = b"CHLO\x02\0\0\0PAD\0".to_vec();
    message.extend(40u32.to_le_bytes());
    message.extend(b"SNI\0");
    message.extend((40 + name.len() as u32).to_le_bytes());
    message.extend([b'-'; 40]);
    message.extend(name.bytes());
    message
}

/// FNV-1a with 128 bits, multiplied out by hand: a second way to the sum that is checked.
fn fnv(parts: &[&[u8]]) -> [u8; 12] {
    let mut sum = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    for byte in parts.concat() {
        sum ^= u128::from(byte);
        sum = (sum << 88)
            .wrapping_add(sum << 8)
            .wrapping_add((sum << 5).wrapping_add(sum << 4))
            .wrapping_add((sum << 3).wrapping_add(sum << 1).wrapping_add(sum));
    }
    sum.to_le_bytes()[..12].try_into().unwrap()
}

fn google_datagram(header: &[u8], frames: &[u8], side: &[u8]) -> Vec<u8> {
    [header, &fnv(&[header, frames, side]), frames].concat()
}

#[test]
fn googles_hellos_in_clear_are_read_in_every_layout() {
    let message = google_hello(NAME);
    // With its length: the frame of stream 1.
    let stream = [
        &[0xa0, 1][..],
        &(message.len() as u16).to_be_bytes(),
        &message,
    ]
    .concat();
    let old_stream = [
        &[0xa0, 1][..],
        &(message.len() as u16).to_le_bytes(),
        &message,
    ]
    .concat();
    // Without it, to the end; behind a ping.
    let to_the_end = [&[7, 0x80, 1][..], &message].concat();
    // Behind private flags; and in a group with redundancy, which began with this packet.
    let flagged = [&[0][..], &old_stream].concat();
    let grouped = [&[2, 0][..], &old_stream].concat();
    let framed = [&[8, 0][..], &[0x40, message.len() as u8], &message].concat();
    let q049 = [
        &b"\xc1Q049\x08abcdefgh\0\0"[..],
        &(0x4000 | (framed.len() + 14) as u16).to_be_bytes(),
        b"\0\x01",
    ]
    .concat();
    for (header, frames, side) in [
        (&b"\x0dabcdefghQ043\x01"[..], &stream, &b"Client"[..]),
        (b"\x19abcdefghQ039\0\x01", &to_the_end, b"Client"),
        (b"\x0dabcdefghQ035\x01", &old_stream, b""),
        (b"\x0dabcdefghQ034\x01", &old_stream, b""),
        (b"\x0dabcdefghQ033\x01", &flagged, b""),
        (b"\x0dabcdefghQ025\x01", &grouped, b""),
        (b"\xffQ044\x50abcdefgh\0\0\0\x01", &stream, b"Client"),
        (b"\xc3Q046\x50abcdefgh\0\0\0\x01", &stream, b"Client"),
        (b"\xc1Q048\x50abcdefgh\0\x01", &framed, b"Client"),
        (&q049, &framed, b"Client"),
    ] {
        let datagram = google_datagram(header, frames, side);
        let (name, taken) = read(std::slice::from_ref(&datagram));
        assert_eq!(name.as_deref(), Some(NAME), "{header:?}");
        assert_eq!(taken[0].opened, 1);
        for at in header.len()..datagram.len() {
            let mut changed = datagram.clone();
            changed[at] ^= 1;
            assert_eq!(read(&[changed]).0, None, "{header:?} {at}");
            assert_eq!(read(&[datagram[..at].to_vec()]).0, None);
        }
    }
}

#[test]
fn googles_handshake_can_go_under_a_known_salt() {
    let message = google_hello(NAME);
    let mut frame = crypto(0, &message);
    frame[0] = 8;
    let datagram = Initial {
        version: 0x5130_3530,
        scheme: Scheme::Q050,
        ..PLAIN
    }
    .seal(&frame);
    assert_eq!(read(&[datagram]).0.as_deref(), Some(NAME));
}

#[test]
fn first_datagrams_are_told_by_their_layout() {
    assert!(may_be_first(&bytes_of(RFC_9001)));
    assert!(!may_be_first(&bytes_of(RFC_9001)[..1199]));
    assert!(!may_be_first(&[0xff; 1200]));
    assert!(!may_be_first(&[0xc0; 1200]));
    assert!(LongPacket::parse(&[]).is_err());
}

proptest! {
    /// Pieces of any size in any order over any packets, each perhaps twice, overlapping, with other frames between.
    #[test]
    fn any_order_and_any_pieces_give_the_name(
        before in 0usize..2500,
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        order in proptest::collection::vec(any::<u32>(), 13),
        per_packet in 1usize..4,
        doubled: bool,
        overlap in 0usize..40,
    ) {
        let message = hello(NAME, before);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(message.len())).collect();
        cuts.extend([0, message.len()]);
        cuts.sort_unstable();
        let mut pieces: Vec<_> = cuts
            .windows(2)
            .map(|pair| (pair[0].saturating_sub(overlap), pair[1]))
            .zip(&order)
            .collect();
        pieces.sort_by_key(|(_, order)| **order);
        let mut datagrams = Vec::new();
        for (number, group) in pieces.chunks(per_packet).enumerate() {
            let mut frames = vec![1];
            for ((start, end), _) in group {
                frames.extend(crypto(*start, &message[*start..*end]));
                frames.extend([0, 0, 2, 9, 0, 0, 1]);
            }
            let datagram = Initial { number: number as u32, ..PLAIN }.seal(&frames);
            datagrams.extend(vec![datagram; 1 + usize::from(doubled)]);
        }
        let (name, _) = read(&datagrams);
        prop_assert_eq!(name.as_deref(), Some(NAME));
        // Without one of the pieces there is no name, unless the others overlap it.
        if overlap == 0 && !doubled {
            let missing = datagrams.len() - 1;
            let holds_bytes = pieces.chunks(per_packet).next_back().unwrap().iter().any(|((start, end), _)| start < end);
            if holds_bytes {
                let (name, _) = read(&datagrams[..missing]);
                prop_assert_eq!(name, None);
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        datagram in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        fuzz_datagrams(&bytes);
        let framed = PLAIN.seal(&bytes);
        let (_, taken) = read(&[framed, datagram]);
        prop_assert_eq!(taken[0].opened, 1);
    }
}
