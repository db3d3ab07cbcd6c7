//! Requests as the specifications lay them out, at every split and every truncation.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::protocol::Progress;

/// What a client sends, and whom it wants.
fn cases() -> Vec<(&'static [u8], Command, Target<'static>, u16)> {
    let address = |text: &str| Target::Address(text.parse().unwrap());
    vec![
        (
            b"\x04\x01\x01\xbb\xc0\0\x02\x07fred\0",
            Command::Connect,
            address("192.0.2.7"),
            443,
        ),
        (
            b"\x04\x02\0\x15\xc0\0\x02\x07\0",
            Command::Bind,
            address("192.0.2.7"),
            21,
        ),
        (
            b"\x04\x01\0\x50\0\0\0\x01fred\0inner.example\0",
            Command::Connect,
            Target::Name(b"inner.example"),
            80,
        ),
        (
            b"\x05\x01\0\x05\x01\0\x03\x0dinner.example\x01\xbb",
            Command::Connect,
            Target::Name(b"inner.example"),
            443,
        ),
        (
            b"\x05\x02\0\x02\x01\x04fred\x06secret\x05\x01\0\x01\xc0\0\x02\x07\0\x50",
            Command::Connect,
            address("192.0.2.7"),
            80,
        ),
        (
            b"\x05\x02\0\x01\x05\x03\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\0\x35",
            Command::UdpAssociate,
            address("2001:db8::7"),
            53,
        ),
        (
            b"\x05\x01\x02\x01\0\0\x05\x01\0\x03\x09192.0.2.7\0\x50",
            Command::Connect,
            address("192.0.2.7"),
            80,
        ),
    ]
}

#[test]
fn a_request_is_read_at_every_split_and_from_single_bytes() {
    for (stream, command, target, port) in cases() {
        let mut with_more = stream.to_vec();
        with_more.extend(b"\x16\x03\x01");
        for cut in 0..=with_more.len() {
            let mut client = SocksClient::default();
            let (mut progress, rest) = client.feed(&with_more[..cut]);
            let mut left = rest.to_vec();
            if progress == Progress::NeedMore {
                let (again, rest) = client.feed(&with_more[cut..]);
                progress = again;
                left = rest.to_vec();
            } else {
                left.extend(&with_more[cut..]);
            }
            assert_eq!(progress, Progress::Done, "{stream:?} at {cut}");
            let request = client.request().unwrap();
            assert_eq!((request.command, request.port), (command, port));
            assert_eq!(request.target, target);
            assert_eq!(left, b"\x16\x03\x01");
        }
        let mut client = SocksClient::default();
        for byte in &stream[..stream.len() - 1] {
            let piece = [*byte];
            assert_eq!(client.feed(&piece).0, Progress::NeedMore);
        }
        assert_eq!(client.feed(&stream[stream.len() - 1..]).0, Progress::Done);
    }
}

#[test]
fn a_request_that_is_cut_short_is_none_and_may_go_on() {
    for (stream, ..) in cases() {
        for len in 0..stream.len() {
            let mut client = SocksClient::default();
            assert_eq!(client.feed(&stream[..len]).0, Progress::NeedMore);
            assert_eq!(client.request(), None);
            assert!(begins_like_client(&stream[..len]));
        }
    }
}

#[test]
fn what_only_begins_alike_is_refused() {
    let others: &[&[u8]] = &[
        // DCE RPC, DNP3, a request of Cassandra, TLS, a request of HTTP.
        b"\x05\0\x0b\x03\x10\0\0\0",
        b"\x05\x64\x05\xc0\x01\0",
        b"\x04\x01\0\0\x05\0\0\0\0",
        b"\x16\x03\x01",
        b"GET / HTTP/1.1",
        // A method that is not assigned, no method at all, a reserved byte that is none, a name of no length.
        b"\x05\x01\x20",
        b"\x05\0",
        b"\x05\x01\0\x05\x01\x01",
        b"\x05\x01\0\x05\x01\0\x03\0",
        // A token of GSSAPI.
        b"\x05\x02\x01\x02\x01\x01\x02\0",
    ];
    for other in others {
        assert!(!begins_like_client(other), "{other:?}");
    }
}

#[test]
fn a_password_is_not_held() {
    let mut client = SocksClient::default();
    client.feed(b"\x05\x01\x02\x01\x04fred\x06secret");
    let shown = format!("{client:?}");
    let held = |text: &str| {
        let numbers: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
        shown.contains(&numbers.join(", "))
    };
    assert!(!held("fred") && !held("secret"), "{shown}");
}
