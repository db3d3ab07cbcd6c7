//! Hellos in fragments of every size and order.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use proptest::prelude::*;

use super::*;
use crate::protocol::Progress;
use crate::protocol::tls::{ClientHello, HelloDetails, HelloTransport, ServerName};

/// A recording of OpenSSL's client; before it stands where fuzzing cuts it.
macro_rules! recording {
    ($name:literal) => {
        (include_bytes!(concat!("../../../fuzz/corpus/dtls/", $name)) as &[u8])
            .split_at(8)
            .1
    };
}

const HELLO: &[u8] = recording!("hello-12");
const PIECES: [&[u8]; 3] = [
    recording!("fragment-1"),
    recording!("fragment-2"),
    recording!("fragment-3"),
];

fn name(hello: Option<ClientHello<'_>>) -> String {
    match hello.map(|hello| hello.server_name) {
        Some(ServerName::Name(name)) => String::from_utf8_lossy(name).into_owned(),
        other => format!("{other:?}"),
    }
}

fn whole(datagram: &[u8]) -> String {
    let fragment = client_hello_fragments(datagram).next().unwrap();
    assert!(fragment.is_whole());
    name(ClientHello::of_body(fragment.bytes, HelloTransport::Dtls))
}

#[test]
fn hellos_of_a_datagram_show_their_name() {
    assert_eq!(whole(HELLO), "dtls.example.org");
    assert_eq!(whole(recording!("hello-10")), "old.example.org");
    assert_eq!(whole(recording!("hello-with-cookie")), "cookie.example.org");
    let asks = recording!("hello-verify-request");
    assert_eq!(client_hello_fragments(asks).count(), 0);
}

#[test]
fn recorded_fragments_give_the_hello_in_any_order() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
        let mut hello = DtlsHello::default();
        let mut last = Progress::NeedMore;
        for piece in order {
            for fragment in client_hello_fragments(PIECES[piece]) {
                assert_eq!(last, Progress::NeedMore);
                last = hello.feed(&fragment);
            }
        }
        assert_eq!(last, Progress::Done, "{order:?}");
        assert_eq!(name(hello.hello()), "fragments.example.org");
        let details = HelloDetails::of(hello.hello().unwrap());
        assert_eq!(details.alpn.iter().count(), 12);
    }
}

#[test]
fn a_later_message_takes_the_place_of_one_that_is_not_whole() {
    let fragment = client_hello_fragments(HELLO).next().unwrap();
    let mut hello = DtlsHello::default();
    let half = Fragment {
        bytes: &fragment.bytes[..20],
        ..fragment
    };
    assert_eq!(hello.feed(&half), Progress::NeedMore);
    let second = Fragment {
        message_seq: fragment.message_seq + 1,
        ..fragment
    };
    assert_eq!(hello.feed(&second), Progress::Done);
    assert_eq!(hello.feed(&half), Progress::Mismatch, "of a message before");
    assert_eq!(name(hello.hello()), "dtls.example.org");
}

#[test]
fn contradicting_fragments_change_nothing_that_is_there() {
    let fragment = client_hello_fragments(HELLO).next().unwrap();
    let (head, tail) = fragment.bytes.split_at(150);
    let other = vec![b'x'; fragment.bytes.len()];
    let mut hello = DtlsHello::default();
    let piece = |offset: usize, bytes| Fragment {
        offset: offset as u32,
        bytes,
        ..fragment
    };
    assert_eq!(hello.feed(&piece(0, head)), Progress::NeedMore);
    assert_eq!(hello.feed(&piece(0, &other[..150])), Progress::NeedMore);
    let longer = Fragment {
        message_len: fragment.message_len + 1,
        ..piece(0, head)
    };
    assert_eq!(hello.feed(&longer), Progress::Mismatch);
    assert_eq!(hello.feed(&piece(150, tail)), Progress::Done);
    assert_eq!(name(hello.hello()), "dtls.example.org");
}

#[test]
fn truncation_only_loses() {
    for end in 0..HELLO.len() {
        let found = client_hello_fragments(&HELLO[..end]).next();
        assert_eq!(found, None, "{end}");
    }
}

#[test]
fn what_is_encrypted_is_not_looked_at() {
    let mut later = HELLO.to_vec();
    later[4] = 1;
    assert_eq!(client_hello_fragments(&later).count(), 0);
    assert_eq!(
        client_hello_fragments(&[0x2f, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]).count(),
        0
    );
}

proptest! {
    #[test]
    fn any_pieces_in_any_order_give_the_hello(
        mut cuts in proptest::collection::vec(1usize..200, 0..12),
        order in any::<u64>(),
        overlap in 0usize..30,
    ) {
        let fragment = client_hello_fragments(HELLO).next().unwrap();
        let len = fragment.bytes.len();
        cuts.extend([0, len]);
        for cut in &mut cuts {
            *cut = (*cut).min(len);
        }
        cuts.sort_unstable();
        cuts.dedup();
        let mut pieces: Vec<_> = cuts.windows(2).map(|pair| (pair[0], (pair[1] + overlap).min(len))).collect();
        let mut random = order | 1;
        for at in (1..pieces.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            pieces.swap(at, (random >> 33) as usize % (at + 1));
        }
        let mut hello = DtlsHello::default();
        let mut covered = vec![false; len];
        for (begin, end) in pieces {
            let piece = Fragment { offset: begin as u32, bytes: &fragment.bytes[begin..end], ..fragment };
            let progress = hello.feed(&piece);
            covered[begin..end].fill(true);
            let expected = if covered.iter().all(|it| *it) { Progress::Done } else { Progress::NeedMore };
            prop_assert_eq!(progress, expected);
        }
        prop_assert_eq!(name(hello.hello()), "dtls.example.org");
    }

    #[test]
    fn any_datagram_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<usize>()) {
        fuzz_dtls(&bytes, at);
        let mut changed = HELLO.to_vec();
        for (place, byte) in changed.iter_mut().skip(13).zip(&bytes) {
            *place ^= byte & 1;
        }
        fuzz_dtls(&changed, at);
    }
}
