//! Published header blocks (RFC 7541 appendix C), and connections in any pieces.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::hpack::Decoder;
use super::*;
use crate::protocol::Progress;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter(u8::is_ascii_hexdigit)
        .map(|digit| (digit as char).to_digit(16).unwrap() as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn fields(decoder: &mut Decoder, hex: &str) -> Vec<String> {
    let mut found = Vec::new();
    let read = decoder.block(&bytes(hex), &mut |name, value| {
        found.push(format!(
            "{}: {}",
            String::from_utf8_lossy(name),
            String::from_utf8_lossy(value)
        ));
    });
    assert!(read.is_some(), "{hex}");
    found
}

/// The three requests of RFC 7541 C.3, and the same by Huffman's code, C.4.
const PLAIN: [&str; 3] = [
    "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "8286 84be 5808 6e6f 2d63 6163 6865",
    "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
];
const CODED: [&str; 3] = [
    "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
    "8286 84be 5886 a8eb 1064 9cbf",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];

#[test]
fn the_published_blocks_are_read() {
    for blocks in [PLAIN, CODED] {
        let mut decoder = Decoder::default();
        assert_eq!(
            fields(&mut decoder, blocks[0]),
            [
                ":method: GET",
                ":scheme: http",
                ":path: /",
                ":authority: www.example.com"
            ]
        );
        assert_eq!(
            fields(&mut decoder, blocks[1]),
            [
                ":method: GET",
                ":scheme: http",
                ":path: /",
                ":authority: www.example.com",
                "cache-control: no-cache"
            ]
        );
        assert_eq!(
            fields(&mut decoder, blocks[2]),
            [
                ":method: GET",
                ":scheme: https",
                ":path: /index.html",
                ":authority: www.example.com",
                "custom-key: custom-value"
            ]
        );
        assert_eq!(decoder.held_bytes(), 164);
    }
}

#[test]
fn what_is_evicted_is_as_published() {
    // The responses of RFC 7541 C.6, with a table of 256 bytes.
    let mut decoder = Decoder::default();
    fields(&mut decoder, "3fe1 01");
    fields(
        &mut decoder,
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    );
    assert_eq!(decoder.held_bytes(), 222);
    assert_eq!(
        fields(&mut decoder, "4883 640e ffc1 c0bf"),
        [
            ":status: 307",
            "cache-control: private",
            "date: Mon, 21 Oct 2013 20:13:21 GMT",
            "location: https://www.example.com"
        ]
    );
    assert_eq!(decoder.held_bytes(), 222);
}

#[test]
fn damaged_blocks_are_refused() {
    for hex in [
        "80",                   // the number zero
        "ff ff ff ff ff ff 7f", // a number without end
        "be",                   // of an empty table
        "41 0f 77",             // a string that is cut
        "3f e1 ff ff 03",       // a table larger than is held
        "41 82 ff ff",          // padding longer than seven bits
    ] {
        let mut decoder = Decoder::default();
        assert!(
            decoder.block(&bytes(hex), &mut |_, _| {}).is_none(),
            "{hex}"
        );
    }
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags, 0, 0, 0, 1]);
    frame.extend(payload);
    frame
}

/// A connection with every way in which a block can come.
fn connection() -> Vec<u8> {
    let mut stream = PREFACE.to_vec();
    stream.extend(frame(4, 0, &[0, 3, 0, 0, 0, 100]));
    stream.extend(frame(1, 0x05, &bytes(CODED[0])));
    // Padded and with a priority.
    let mut payload = vec![3, 0, 0, 0, 0, 16];
    payload.extend(bytes(CODED[1]));
    payload.extend([0; 3]);
    stream.extend(frame(1, 0x2d, &payload));
    stream.extend(frame(0, 1, b"PRI * HTTP/2.0 as a body"));
    // In three frames, one of them empty.
    let block = bytes(CODED[2]);
    stream.extend(frame(1, 0, &block[..5]));
    stream.extend(frame(9, 0, b""));
    stream.extend(frame(9, 4, &block[5..]));
    // A tunnel: `:method` as a literal, `:authority` by its number.
    let mut block = b"\x02\x07CONNECT\x01".to_vec();
    block.extend(b"\x11inner.example:443");
    stream.extend(frame(1, 4, &block));
    // Fields behind a body.
    stream.extend(frame(1, 5, b"\x00\x05check\x011"));
    stream
}

fn read(pieces: &[&[u8]]) -> (Progress, Vec<String>) {
    let (mut client, mut found) = (Http2Client::default(), Vec::new());
    let mut progress = Progress::NeedMore;
    for piece in pieces {
        progress = client.feed(piece, &mut |request| {
            found.push(format!(
                "{} {} {:?}",
                String::from_utf8_lossy(request.method),
                String::from_utf8_lossy(request.target),
                request.host()
            ));
        });
    }
    (progress, found)
}

#[test]
fn requests_are_the_same_at_every_split() {
    let stream = connection();
    let (progress, whole) = read(&[&stream]);
    assert_eq!((progress, whole.len()), (Progress::NeedMore, 4));
    assert!(whole[0].starts_with("GET / "));
    assert!(whole[2].starts_with("GET /index.html "));
    assert!(whole[3].starts_with("CONNECT inner.example:443 "));
    for cut in 0..stream.len() {
        assert_eq!(read(&[&stream[..cut], &stream[cut..]]).1, whole, "{cut}");
        let found = read(&[&stream[..cut]]).1;
        assert_eq!(found, whole[..found.len()], "cut at {cut}");
    }
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(read(&single).1, whole);
}

#[test]
fn frames_that_may_not_come_end_it() {
    let begun = |frames: &[Vec<u8>]| {
        let mut stream = PREFACE.to_vec();
        stream.extend(frames.concat());
        read(&[&stream]).0
    };
    let block = bytes(PLAIN[0]);
    let within = [frame(1, 0, &block[..3]), frame(0, 0, b"x")];
    assert_eq!(begun(&within), Progress::Mismatch);
    assert_eq!(begun(&[frame(9, 4, &block)]), Progress::Mismatch);
    assert_eq!(begun(&[frame(1, 0xc, &[200, 1])]), Progress::Mismatch);
    let long = vec![0; BLOCK_BYTES_MAX + 1];
    assert_eq!(begun(&[frame(1, 4, &long)]), Progress::Mismatch);
}

#[test]
fn a_gap_in_a_body_is_passed_over_and_another_ends_it() {
    let mut client = Http2Client::default();
    let mut stream = PREFACE.to_vec();
    stream.extend(frame(0, 0, &[7; 100]));
    let mut found = 0;
    client.feed(&stream[..stream.len() - 50], &mut |_| found += 1);
    assert!(client.skip(50));
    client.feed(&frame(1, 5, &bytes(PLAIN[0])), &mut |_| found += 1);
    assert_eq!(found, 1);
    assert!(!client.skip(1));
}
