//! Hellos in every piece and record, against tls-parser on whole ones.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use proptest::prelude::*;
use tls_parser::{
    TlsExtension, TlsMessage, TlsMessageHandshake, parse_tls_extensions, parse_tls_plaintext,
};

use super::*;
use crate::protocol::Progress;

/// A ClientHello body with these extensions.
fn body(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([4, 1, 2, 3, 4]);
    body.extend([0, 4, 0x13, 0x01, 0xc0, 0x2f]);
    body.extend([1, 0]);
    let mut all = Vec::new();
    for (kind, value) in extensions {
        all.extend(kind.to_be_bytes());
        all.extend((value.len() as u16).to_be_bytes());
        all.extend(value);
    }
    body.extend((all.len() as u16).to_be_bytes());
    body.extend(all);
    body
}

fn sni(name: &[u8]) -> (u16, Vec<u8>) {
    let mut value = ((name.len() + 3) as u16).to_be_bytes().to_vec();
    value.push(0);
    value.extend((name.len() as u16).to_be_bytes());
    value.extend(name);
    (SERVER_NAME, value)
}

const SERVER_NAME: u16 = 0;

/// The message in records of at most `record_len` bytes.
fn records(body: &[u8], record_len: usize) -> Vec<u8> {
    let mut message = vec![CLIENT_HELLO];
    message.extend(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend(body);
    let mut stream = Vec::new();
    for fragment in message.chunks(record_len) {
        stream.extend([HANDSHAKE, 3, 1]);
        stream.extend((fragment.len() as u16).to_be_bytes());
        stream.extend(fragment);
    }
    stream
}

fn name_of(look: Look<'_>) -> Vec<u8> {
    match look {
        Look::Hello(ClientHello {
            server_name: ServerName::Name(name),
            ..
        }) => name.to_vec(),
        other => panic!("no name: {other:?}"),
    }
}

#[test]
fn the_name_is_found_behind_other_extensions() {
    let stream = records(
        &body(&[
            (43, vec![2, 3, 4]),
            (51, vec![9; 1216]),
            sni(b"ksn-file-geo.kaspersky-labs.com"),
        ]),
        1 << 14,
    );
    assert_eq!(name_of(look(&stream)), b"ksn-file-geo.kaspersky-labs.com");
}

#[test]
fn tls_parser_reads_the_same_name() {
    let stream = records(
        &body(&[sni(b"update.eset.com"), (16, vec![0, 3, 2, b'h', b'2'])]),
        1 << 14,
    );
    let (_, plaintext) = parse_tls_plaintext(&stream).unwrap();
    let TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello)) = &plaintext.msg[0] else {
        panic!("no hello")
    };
    let (_, extensions) = parse_tls_extensions(hello.ext.unwrap()).unwrap();
    let theirs = extensions.iter().find_map(|extension| match extension {
        TlsExtension::SNI(names) => Some(names[0].1.to_vec()),
        _ => None,
    });
    assert_eq!(theirs.unwrap(), name_of(look(&stream)));
}

#[test]
fn every_prefix_of_a_hello_begins_like_one() {
    let stream = records(&body(&[sni(b"example.org")]), 1 << 14);
    for end in 0..stream.len() {
        assert_eq!(look(&stream[..end]), Look::Begins, "{end}");
    }
}

#[test]
fn what_the_server_name_can_be() {
    let case = |extensions: &[(u16, Vec<u8>)]| {
        let stream = records(&body(extensions), 1 << 14);
        match look(&stream) {
            Look::Hello(hello) => format!("{:?}", hello.server_name),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(case(&[]), "Absent");
    assert_eq!(case(&[(0, vec![])]), "Absent");
    assert_eq!(case(&[sni(b"")]), "Absent");
    assert_eq!(case(&[sni(b".")]), "Absent");
    assert_eq!(
        case(&[sni(b"192.0.2.1")]),
        format!("{:?}", ServerName::Address(b"192.0.2.1"))
    );
    assert_eq!(
        case(&[sni(b"2001:db8::1")]),
        format!("{:?}", ServerName::Address(b"2001:db8::1"))
    );
    assert_eq!(
        case(&[sni(b"1.2.3.example")]),
        format!("{:?}", ServerName::Name(b"1.2.3.example"))
    );
    assert_eq!(case(&[sni(&[b'a'; 256])]), "TooLong");
    assert_eq!(
        case(&[(0, vec![0, 9, 0, 0, 1, b'a'])]),
        "Other",
        "a list longer than its extension"
    );
}

#[test]
fn the_first_of_two_names_counts_and_damage_behind_a_name_does_not() {
    let two = records(
        &body(&[
            sni(b"first.example"),
            (43, vec![2, 3, 4]),
            sni(b"second.example"),
        ]),
        1 << 14,
    );
    assert_eq!(name_of(look(&two)), b"first.example");
    let mut damaged = body(&[sni(b"update.eset.com"), (10, vec![0, 2, 0, 29])]);
    let at = damaged.len() - 6;
    damaged[at + 1] = 99;
    let stream = records(&damaged, 1 << 14);
    assert_eq!(name_of(look(&stream)), b"update.eset.com");
    let mut nameless = body(&[(10, vec![0, 2, 0, 29])]);
    let at = nameless.len() - 6;
    nameless[at + 1] = 99;
    assert_eq!(look(&records(&nameless, 1 << 14)), Look::Other);
}

#[test]
fn ech_is_marked_and_the_outer_name_kept() {
    for kind in [0xfe0d, 0xffce] {
        let stream = records(
            &body(&[sni(b"cover.example"), (kind, vec![0; 40])]),
            1 << 14,
        );
        let Look::Hello(hello) = look(&stream) else {
            panic!("no hello")
        };
        assert!(hello.ech_offered);
        assert_eq!(hello.server_name, ServerName::Name(b"cover.example"));
    }
}

#[test]
fn other_protocols_are_told_early() {
    for stream in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"SSH-2.0-x",
        &[22, 2, 0],
        &[23, 3, 3, 0, 1, 1],
        &[22, 3, 3, 0, 4, 2, 0, 0, 0],
    ] {
        assert_eq!(look(stream), Look::Other, "{stream:?}");
        assert_eq!(
            HelloAssembler::default().feed(stream),
            Progress::Mismatch,
            "{stream:?}"
        );
    }
}

#[test]
fn absurd_lengths_are_refused_at_once() {
    let mut stream = vec![HANDSHAKE, 3, 1, 0x40, 0, CLIENT_HELLO, 0xff, 0xff, 0xff];
    stream.extend([0; 100]);
    assert_eq!(look(&stream), Look::Other);
    let mut assembler = HelloAssembler::default();
    assert_eq!(assembler.feed(&stream), Progress::Mismatch);
    assert_eq!(
        HelloAssembler::default().feed(&[HANDSHAKE, 3, 1, 0xff, 0xff]),
        Progress::Mismatch
    );
    // Empty records without end.
    let empty = [HANDSHAKE, 3, 1, 0, 0].repeat(1000);
    assert_eq!(HelloAssembler::default().feed(&empty), Progress::Mismatch);
}

proptest! {
    #[test]
    fn any_split_over_records_and_pieces_gives_the_name(
        name in "[a-z]{1,20}(\\.[a-z]{1,20}){1,3}",
        padding in 0usize..2000,
        record_len in 1usize..2000,
        mut cuts in proptest::collection::vec(0usize..5000, 0..8),
    ) {
        let stream = records(&body(&[(51, vec![0; padding]), sni(name.as_bytes())]), record_len);
        for cut in &mut cuts {
            *cut %= stream.len() + 1;
        }
        cuts.push(stream.len());
        cuts.sort_unstable();
        let mut assembler = HelloAssembler::default();
        let (mut from, mut progress) = (0, Progress::NeedMore);
        for cut in cuts {
            prop_assert_ne!(progress, Progress::Mismatch);
            progress = assembler.feed(&stream[from..cut]);
            from = cut;
        }
        prop_assert_eq!(progress, Progress::Done);
        let hello = assembler.hello().expect("done");
        prop_assert_eq!(hello.server_name, ServerName::Name(name.as_bytes()));
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in any::<usize>()) {
        fuzz_client_hello(&bytes, cut);
        let mut like_hello = records(&body(&[sni(b"example.org")]), 1 << 14);
        for (place, byte) in like_hello.iter_mut().skip(9).zip(&bytes) {
            *place ^= byte & 1;
        }
        fuzz_client_hello(&like_hello, cut);
    }
}
