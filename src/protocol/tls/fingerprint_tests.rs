//! Fingerprints of hellos against published ones and against huginn-net-tls.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use huginn_net_tls::TlsClientHelloReader;
use proptest::prelude::*;

use super::*;

/// A hello, header included.
fn message(version: u16, ciphers: &[u16], extensions: Option<&[(u16, Vec<u8>)]>) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(((ciphers.len() * 2) as u16).to_be_bytes());
    body.extend(numbers(ciphers));
    body.extend([1, 0]);
    if let Some(extensions) = extensions {
        let mut all = Vec::new();
        for (kind, value) in extensions {
            all.extend(kind.to_be_bytes());
            all.extend((value.len() as u16).to_be_bytes());
            all.extend(value);
        }
        body.extend((all.len() as u16).to_be_bytes());
        body.extend(all);
    }
    let mut message = vec![CLIENT_HELLO];
    message.extend(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend(body);
    message
}

fn numbers(list: &[u16]) -> Vec<u8> {
    list.iter()
        .flat_map(|number| number.to_be_bytes())
        .collect()
}

fn long(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes(), content].concat()
}

fn short(content: &[u8]) -> Vec<u8> {
    [&[content.len() as u8], content].concat()
}

fn ja3(message: &[u8]) -> (String, String) {
    let details = HelloDetails::of_message(message, HelloTransport::Tcp).unwrap();
    let mut fingerprinter = Fingerprinter::default();
    let found = fingerprinter.ja3(&details);
    (found.string.to_owned(), found.hash.to_owned())
}

fn ja4(message: &[u8], transport: HelloTransport) -> String {
    let details = HelloDetails::of_message(message, transport).unwrap();
    Fingerprinter::default().ja4(&details).text.to_owned()
}

/// The examples of the README of salesforce/ja3.
#[test]
fn ja3_of_the_published_examples() {
    let first = message(
        769,
        &[47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
        Some(&[
            (0, vec![]),
            (10, long(&numbers(&[23, 24, 25]))),
            (11, short(&[0])),
        ]),
    );
    assert_eq!(
        ja3(&first),
        (
            "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0".to_owned(),
            "ada70206e40642a3e4461f35503241d5".to_owned()
        )
    );
    let second = message(769, &[4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99], None);
    assert_eq!(
        ja3(&second),
        (
            "769,4-5-10-9-100-98-3-6-19-18-99,,,".to_owned(),
            "de350869b8c85de67a350c8d186f11e6".to_owned()
        )
    );
}

const CIPHERS: [u16; 15] = [
    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
    0x009d, 0x002f, 0x0035,
];

/// The example of FoxIO-LLC/ja4, technical_details/JA4.md: a browser, with GREASE.
fn browser() -> Vec<u8> {
    let mut ciphers = vec![0x0a0a];
    ciphers.extend(CIPHERS);
    let algorithms = [
        0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
    ];
    let mut extensions = vec![
        (0x1a1a, vec![]),
        (0, vec![0, 4, 0, 0, 1, b'a']),
        (0x10, long(b"\x02h2\x08http/1.1")),
        (43, short(&numbers(&[0x2a2a, 0x0304, 0x0303]))),
        (13, long(&numbers(&algorithms))),
        (10, long(&numbers(&[0x3a3a, 29, 23, 24]))),
        (11, short(&[0])),
    ];
    for kind in [0x17, 0xff01, 0x23, 5, 0x12, 0x33, 0x2d, 0x1b, 0x4469, 0x15] {
        extensions.push((kind, vec![]));
    }
    message(0x0303, &ciphers, Some(&extensions))
}

#[test]
fn ja4_of_the_published_example() {
    let hello = browser();
    let expected = "13d1516h2_8daaf6152771_e5627efa2ab1";
    assert_eq!(ja4(&hello, HelloTransport::Tcp), format!("t{expected}"));
    assert_eq!(ja4(&hello, HelloTransport::Quic), format!("q{expected}"));
}

#[test]
fn what_else_a_browser_offers() {
    let hello = browser();
    let details = HelloDetails::of_message(&hello, HelloTransport::Tcp).unwrap();
    assert_eq!(
        details.alpn.iter().collect::<Vec<_>>(),
        [&b"h2"[..], b"http/1.1"]
    );
    assert_eq!(details.versions().collect::<Vec<_>>(), [0x0304, 0x0303]);
    assert!(!details.ech && !details.esni);
    assert_eq!(details.resumption, Resumption::default());
}

#[test]
fn ech_esni_and_resumption_are_told_apart() {
    let case = |extensions: &[(u16, Vec<u8>)]| {
        let hello = message(0x0303, &[0x1301], Some(extensions));
        let details = HelloDetails::of_message(&hello, HelloTransport::Tcp).unwrap();
        let it = details.resumption;
        (details.ech, details.esni, it.ticket, it.psk)
    };
    assert_eq!(case(&[(0xfe0d, vec![0; 9])]), (true, false, false, false));
    assert_eq!(case(&[(0xffce, vec![0; 9])]), (false, true, false, false));
    assert_eq!(case(&[(35, vec![])]), (false, false, false, false));
    assert_eq!(case(&[(35, vec![1])]), (false, false, true, false));
    assert_eq!(case(&[(41, vec![0, 0])]), (false, false, false, true));
}

#[test]
fn ja4_of_unusual_protocols_and_versions() {
    let with = |alpn: &[u8]| {
        let alpn = long(&short(alpn));
        let hello = message(0x0303, &[0x1301], Some(&[(16, alpn)]));
        ja4(&hello, HelloTransport::Tcp)[8..10].to_owned()
    };
    // The table of technical_details/JA4.md.
    for (bytes, expected) in [
        (&b"h2"[..], "h2"),
        (b"http/1.1", "h1"),
        (b"\xab", "ab"),
        (b"\xab\xcd", "ad"),
        (b"\x30\xab", "3b"),
        (b"\x30\x31\xab\xcd", "3d"),
        (b"\x30\xab\xcd\x31", "01"),
    ] {
        assert_eq!(with(bytes), expected, "{bytes:?}");
    }
    let old = message(0x0300, &[0x0035], None);
    assert_eq!(
        &ja4(&old, HelloTransport::Tcp)[..10],
        "ts3i010000",
        "no extensions at all"
    );
    assert!(ja4(&old, HelloTransport::Tcp).ends_with("_000000000000"));
}

#[test]
fn a_hello_of_dtls_has_a_cookie_and_counts_versions_downwards() {
    let hello = message(
        0xfefd,
        &[0xc02b],
        Some(&[(43, short(&numbers(&[0xfefc, 0xfefd])))]),
    );
    let (head, tail) = hello.split_at(4 + 2 + 32 + 1);
    let mut with_cookie = [head, &[3, 1, 2, 3], tail].concat();
    let len = with_cookie.len() - 4;
    with_cookie[3] = len as u8;
    assert_eq!(&ja4(&with_cookie, HelloTransport::Dtls)[..8], "dd3i0101");
}

fn theirs(message: &[u8]) -> Option<String> {
    let mut record = vec![HANDSHAKE, 3, 1];
    record.extend((message.len() as u16).to_be_bytes());
    record.extend(message);
    let signature = TlsClientHelloReader::new().add_bytes(&record).ok()??;
    Some(signature.generate_ja4().full.value().to_owned())
}

proptest! {
    #[test]
    fn ja4_is_what_another_implementation_says(
        ciphers in proptest::collection::vec(1u16.., 1..40),
        others in proptest::collection::btree_set(100u16..60_000, 0..20),
        algorithms in proptest::collection::vec(0x0401u16..0x0900, 1..12),
        alpn in "[a-z0-9]{2,8}",
        name in any::<bool>(),
    ) {
        // It takes more numbers for GREASE than RFC 8701 has.
        let alike = |number: &u16| number & 0x0f0f != 0x0a0a;
        let ciphers: Vec<u16> = ciphers.into_iter().filter(alike).collect();
        let algorithms: Vec<u16> = algorithms.into_iter().filter(alike).collect();
        let mut extensions = vec![
            (13, long(&numbers(&algorithms))),
            (16, long(&short(alpn.as_bytes()))),
            (43, short(&numbers(&[0x0304, 0x0303]))),
        ];
        if name {
            extensions.push((0, vec![0, 7, 0, 0, 4, b'a', b'.', b'b', b'c']));
        }
        extensions.extend(others.iter().filter(|kind| alike(kind) && **kind != 0xfe0d).map(|kind| (*kind, vec![])));
        let hello = message(0x0303, &ciphers, Some(&extensions));
        if let Some(theirs) = theirs(&hello) {
            prop_assert_eq!(ja4(&hello, HelloTransport::Tcp), theirs);
        }
    }

    #[test]
    fn any_bytes_are_survived_and_truncation_only_loses(cut in any::<usize>(), at in any::<usize>(), byte in any::<u8>()) {
        let mut hello = browser();
        let at = 4 + at % (hello.len() - 4);
        hello[at] = byte;
        let whole = HelloDetails::of_message(&hello, HelloTransport::Tcp);
        let mut fingerprinter = Fingerprinter::default();
        if let Some(details) = whole {
            prop_assert_eq!(fingerprinter.ja3(&details).hash.len(), 32);
            prop_assert_eq!(fingerprinter.ja4(&details).text.chars().count(), 36);
        }
        let cut = cut % hello.len();
        prop_assert_eq!(HelloDetails::of_message(&hello[..cut], HelloTransport::Tcp), None);
    }
}
