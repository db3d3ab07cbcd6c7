//! Messages whole and cut at every byte, names by the example of RFC 1001.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

use proptest::prelude::*;

use super::*;

/// A name as it travels: half bytes as letters.
fn encoded(name: &str, suffix: u8) -> Vec<u8> {
    let mut padded = name.as_bytes().to_vec();
    padded.resize(15, b' ');
    padded.push(suffix);
    let letters = padded.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut wire = vec![32];
    wire.extend(letters.map(|half| b'A' + half));
    wire.push(0);
    wire
}

fn message(flags: u16, counts: [u16; 4], body: &[&[u8]]) -> Vec<u8> {
    let mut bytes = 0x4242_u16.to_be_bytes().to_vec();
    for number in [flags].iter().chain(&counts) {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(body.concat());
    bytes
}

fn query(name: &[u8]) -> Vec<u8> {
    message(0x0110, [1, 0, 0, 0], &[name, &[0, 0x20, 0, 1]])
}

fn text(bytes: &[u8]) -> String {
    match parse(bytes) {
        Ok(Message::Query {
            id: 0x4242,
            name,
            kind: TYPE_NB,
        }) => String::from_utf8(name.as_bytes().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// A claim as Windows and Samba make it: a question, and a record whose name is a pointer to it.
fn claim(opcode: u16, flags: u16) -> Vec<u8> {
    let name = encoded("PC-21", 0);
    let record = [0xc0, 12, 0, 0x20, 0, 1, 0, 4, 0x93, 0xe0, 0, 6];
    let data = [flags.to_be_bytes().as_slice(), &[192, 168, 10, 21]].concat();
    message(
        opcode << 11 | 0x0110,
        [1, 0, 0, 1],
        &[&name, &[0, 0x20, 0, 1], &record, &data],
    )
}

fn own(bytes: &[u8]) -> OwnName {
    match parse(bytes) {
        Ok(Message::Own(own)) => own,
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_are_decoded_as_the_standard_shows() {
    // RFC 1001 §14.1: "The NetBIOS name" in the scope SCOPE.ID.COM. Two letters of the example are slips: GH is g, HE is t.
    let wire = b"\x20FEGHGFCAEOGFHEECEJEPFDCAHEGBGNGF\x05SCOPE\x02ID\x03COM\x00";
    assert_eq!(text(&query(wire)), "Tge NetBIOS tam<65>.SCOPE.ID.COM");
    assert_eq!(text(&query(&encoded("WPAD", 0))), "WPAD");
    assert_eq!(text(&query(&encoded("FILESERVER", 0x20))), "FILESERVER");
    assert_eq!(text(&query(&encoded("WORKGROUP", 0x1d))), "WORKGROUP<1d>");
    assert_eq!(text(&query(&encoded("a.example.com", 0))), "a.example.com");
}

#[test]
fn the_status_of_a_node_is_asked_for_by_a_star() {
    let mut star = vec![32];
    star.extend(b"CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0");
    let bytes = message(0, [1, 0, 0, 0], &[&star, &[0, 0x21, 0, 1]]);
    let Ok(Message::Query { name, kind, .. }) = parse(&bytes) else {
        panic!("no question");
    };
    assert_eq!((name.as_bytes(), kind), (&b"*"[..], TYPE_NBSTAT));
}

#[test]
fn a_claim_is_no_question() {
    let address = Some([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 10, 21]);
    for (opcode, released) in [(5, false), (6, true), (8, false), (9, false), (15, false)] {
        let own = own(&claim(opcode, 0));
        assert_eq!(own.name.as_bytes(), b"PC-21", "{opcode}");
        assert_eq!((own.address, own.released), (address, released), "{opcode}");
        assert_eq!((own.ttl, own.is_answer), (Some(300_000), false));
        assert_eq!(parse(&claim(opcode, 0x8000)), Ok(Message::Other), "a group");
    }
    assert_eq!(parse(&claim(7, 0)), Ok(Message::Other), "another operation");
}

#[test]
fn an_answer_and_the_status_of_a_node_are_about_a_host() {
    let name = encoded("PC-21", 0);
    let data = [
        0, 0x20, 0, 1, 0, 4, 0x93, 0xe0, 0, 6, 0, 0, 192, 168, 10, 21,
    ];
    let answer = own(&message(0x8580, [0, 1, 0, 0], &[&name, &data]));
    assert!(answer.is_answer && answer.address.is_some());
    let refused = message(0x8583, [0, 1, 0, 0], &[&name, &data]);
    assert_eq!(parse(&refused), Ok(Message::Other));
    let mut names = vec![2];
    names.extend(b"WORKGROUP      \x00\x84\x00");
    names.extend(b"PC-21          \x00\x04\x00");
    names.extend([2, 0, 10, 10, 0, 21]);
    let len = [0, names.len() as u8];
    let head = [0, 0x21, 0, 1, 0, 0, 0, 0];
    let status = own(&message(
        0x8400,
        [0, 1, 0, 0],
        &[&name, &head, &len, &names],
    ));
    assert_eq!(status.name.as_bytes(), b"PC-21");
    assert_eq!(status.mac, Some([2, 0, 10, 10, 0, 21]));
    assert_eq!(status.address, None);
}

#[test]
fn what_is_cut_or_no_name_is_refused() {
    for whole in [query(&encoded("WPAD", 0)), claim(5, 0)] {
        let needed = whole.len() - usize::from(whole.len() < 60) * 2;
        for end in 0..needed {
            assert_eq!(parse(&whole[..end]), Err(NbnsError::Truncated), "{end}");
        }
    }
    assert_eq!(parse(&query(b"\x04wpad\0")), Err(NbnsError::BadName));
    assert_eq!(parse(&query(b"\0")), Err(NbnsError::BadName));
    assert_eq!(
        parse(&query(&[0xc0, 12])),
        Err(NbnsError::Truncated),
        "a loop"
    );
    let mut wrong = encoded("WPAD", 0);
    wrong[5] = b'Q';
    assert_eq!(parse(&query(&wrong)), Err(NbnsError::BadName));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_message(&bytes);
    }

    #[test]
    fn any_damage_is_survived(opcode in 0_u16..16, at in 0_usize..68, byte in any::<u8>()) {
        let mut bytes = claim(opcode, 0);
        let at = at % bytes.len();
        bytes[at] = byte;
        fuzz_message(&bytes);
    }
}
