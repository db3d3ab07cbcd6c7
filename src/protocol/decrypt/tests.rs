//! Sessions that the tests seal themselves, with keys from secrets of their own: read whole, in any pieces, cut
//! at any place, and with holes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use proptest::prelude::*;
use ring::aead::{Aad, Nonce};

use super::keylog::Secret;
use super::opener::Opener;
use super::*;
use crate::model::DecryptFailure;

const RANDOM: [u8; 32] = [3; 32];

fn hello() -> Vec<u8> {
    let mut body = vec![3; 34];
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body
}

fn log(label: &str, byte: u8, len: usize) -> String {
    let hex = |byte: u8, len: usize| format!("{byte:02x}").repeat(len);
    format!("{label} {} {}\n", hex(3, 32), hex(byte, len))
}

fn store() -> KeyStore {
    let mut store = KeyStore::new(4);
    let text = [
        log("CLIENT_HANDSHAKE_TRAFFIC_SECRET", 0x11, 32),
        log("CLIENT_TRAFFIC_SECRET_0", 0x33, 32),
    ];
    assert!(store.add_block(text.concat().as_bytes()));
    store
}

/// A record of TLS 1.3 (RFC 8446 §5.2), sealed with the keys of a secret.
fn seal(opener: &Opener, number: u64, kind: u8, content: &[u8]) -> Vec<u8> {
    let (key, mut nonce) = opener.sealing();
    for (byte, part) in nonce
        .iter_mut()
        .rev()
        .zip(number.to_be_bytes().iter().rev())
    {
        *byte ^= part;
    }
    let mut sealed = content.to_vec();
    sealed.push(kind);
    let len = (sealed.len() + 16) as u16;
    let header = [23, 3, 3, (len >> 8) as u8, len as u8];
    key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(header),
        &mut sealed,
    )
    .unwrap();
    [&header[..], &sealed].concat()
}

/// What a client of TLS 1.3 sends behind its hello: its Finished, two pieces of data, new keys, and one more.
fn stream() -> Vec<u8> {
    let suite = suite::of_13(0x1301).unwrap();
    let handshake = Opener::of_13(Secret::of(&[0x11; 32]).unwrap(), suite).unwrap();
    let application = Opener::of_13(Secret::of(&[0x33; 32]).unwrap(), suite).unwrap();
    let next = application.next().unwrap();
    let finished = [&[20, 0, 0, 32][..], &[7; 32]].concat();
    [
        vec![20, 3, 3, 0, 1, 1],
        seal(&handshake, 0, 22, &finished),
        seal(&application, 0, 23, b"GET / HTTP/1.1\r\n"),
        seal(&application, 1, 23, b"Host: example.org\r\n\r\n"),
        seal(&application, 2, 22, &[24, 0, 0, 1, 0]),
        seal(&next, 0, 23, b"more"),
    ]
    .concat()
}

const SAID: &[u8] = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\nmore";

fn read(pieces: &[&[u8]]) -> (Vec<u8>, Result<(), DecryptFailure>) {
    let body = hello();
    let hello = ClientHello::of_body(&body, HelloTransport::Tcp).unwrap();
    let mut session = Session::default();
    session.begin(&hello, store().secrets(&RANDOM).unwrap());
    let (mut said, mut ended) = (Vec::new(), Ok(()));
    for piece in pieces {
        ended = session.client(piece, &mut |bytes| said.extend_from_slice(bytes));
    }
    (said, ended)
}

#[test]
fn a_session_is_read_through_finished_and_new_keys() {
    assert_eq!(read(&[&stream()]), (SAID.to_vec(), Ok(())));
}

#[test]
fn every_split_gives_the_same_and_every_truncation_a_beginning() {
    let stream = stream();
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(read(&[head, tail]), (SAID.to_vec(), Ok(())));
        let (said, ended) = read(&[head]);
        assert!(SAID.starts_with(&said) && ended.is_ok());
    }
}

#[test]
fn what_was_not_known_first_does_not_change_what_was() {
    let mut store = store();
    assert!(!store.add_block(log("CLIENT_TRAFFIC_SECRET_0", 0x44, 32).as_bytes()));
    assert!(store.add_block(log("SERVER_HANDSHAKE_TRAFFIC_SECRET", 0x44, 32).as_bytes()));
    let secrets = store.secrets(&RANDOM).unwrap();
    assert!(secrets.client_traffic == Secret::of(&[0x33; 32]));
    assert!(secrets.server_handshake.is_some());
    assert!(!format!("{store:?} {secrets:?}").contains("51, 51"));
}

#[test]
fn lines_that_are_none_are_counted() {
    let mut store = KeyStore::new(1);
    store.add_block(b"# comment\r\n\r\nnothing\nCLIENT_RANDOM 00 11\nEXPORTER_SECRET 00 11\n");
    store.add_block(log("CLIENT_RANDOM", 1, 48).to_lowercase().as_bytes());
    store.add_block(log("CLIENT_RANDOM", 1, 32).as_bytes());
    let counters = store.counters();
    assert_eq!(
        (counters.malformed, counters.ignored, counters.secrets),
        (4, 1, 0)
    );
    store.add_block(log("CLIENT_RANDOM", 1, 48).as_bytes());
    store.add_block(
        log("CLIENT_RANDOM", 1, 48)
            .replace("0303", "0404")
            .as_bytes(),
    );
    assert_eq!((store.counters().secrets, store.counters().refused), (1, 1));
}

proptest! {
    /// A byte that was changed, or bytes that are missing, cost what follows, and never show what was not said.
    #[test]
    fn holes_and_changes_show_only_a_beginning(at in 0usize..300, len in 1usize..60, change in any::<u8>()) {
        let mut stream = stream();
        let at = at % stream.len();
        if change == 0 {
            let end = (at + len).min(stream.len());
            stream.drain(at..end);
        } else {
            stream[at] ^= change;
        }
        let (said, _) = read(&[&stream]);
        prop_assert!(SAID.starts_with(&said));
    }
}
