//! Dialogues up to the first byte of TLS, at every split.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

const HELLO: &[u8] = b"\x16\x03\x01\x02\0\x01";

fn begun(style: Style) -> TlsWatch {
    let mut watch = TlsWatch::default();
    watch.begin(style, 4096);
    watch
}

fn mysql() -> Vec<u8> {
    let mut packet = vec![32, 0, 0, 1, 0x85, 0xae, 0x3f, 0x20];
    packet.extend([0; 28]);
    packet
}

/// What clients send before the hello.
fn cases() -> Vec<(Style, Vec<u8>)> {
    vec![
        (Style::Lines, b"EHLO client.example\r\nSTARTTLS\r\n".to_vec()),
        (Style::Lines, b"RSET\r\nstarttls\r\nNOOP\r\n".to_vec()),
        (Style::Lines, b"a1 CAPABILITY\r\na2 STARTTLS\r\n".to_vec()),
        (Style::Lines, b"CAPA\r\nSTLS\r\n".to_vec()),
        (Style::Lines, b"FEAT\r\nAUTH TLS\r\n".to_vec()),
        (Style::Lines, b"AUTH SSL\n".to_vec()),
        (
            Style::Ldap,
            b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037".to_vec(),
        ),
        (
            Style::Ldap,
            b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0\x30\x81\x1d\x02\x01\x02\x77\x18\x80\x161.3.6.1.4.1.1466.20037".to_vec(),
        ),
        (Style::Postgres, b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec()),
        (
            Style::Postgres,
            b"\0\0\0\x08\x04\xd2\x16\x30\0\0\0\x08\x04\xd2\x16\x2f".to_vec(),
        ),
        (Style::Mysql, mysql()),
        (
            Style::Xmpp,
            b"<?xml version='1.0'?><stream:stream to='xmpp.example' version='1.0'><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>".to_vec(),
        ),
        (
            Style::Xmpp,
            b"<stream:stream>\n<starttls xmlns='x'></starttls>\n".to_vec(),
        ),
        (
            Style::Rdp,
            b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x01\0\0\0".to_vec(),
        ),
    ]
}

#[test]
fn tls_is_found_at_every_split_and_among_single_bytes() {
    for (style, before) in cases() {
        let mut stream = before.clone();
        stream.extend(HELLO);
        for cut in 0..stream.len() {
            let mut watch = begun(style);
            let (mut found, rest) = watch.feed(&stream[..cut]);
            let mut left = rest.to_vec();
            if found == Watched::Nothing {
                let (again, rest) = watch.feed(&stream[cut..]);
                found = again;
                left = rest.to_vec();
            } else {
                left.extend(&stream[cut..]);
            }
            assert_eq!(found, Watched::Tls, "{style:?} {before:?} at {cut}");
            assert_eq!(left, HELLO, "{style:?} at {cut}");
        }
    }
}

#[test]
fn without_being_asked_for_tls_is_none() {
    for (style, before) in cases() {
        for len in 0..before.len() {
            let mut watch = begun(style);
            let (found, _) = watch.feed(&before[..len]);
            assert_eq!(found, Watched::Nothing, "{style:?} {len}");
        }
    }
    let mut watch = begun(Style::Lines);
    assert_eq!(watch.feed(b"EHLO a\r\n").0, Watched::Nothing);
    assert_eq!(watch.feed(HELLO).0, Watched::Nothing);
}

#[test]
fn a_protocol_that_goes_on_without_tls_ends_the_watch() {
    let start = b"\0\0\0\x29\0\x03\0\0user\0me\0";
    assert_eq!(begun(Style::Postgres).feed(start).0, Watched::Ended);
    let login = b"\x54\0\0\x01\x8d\xa6\x0f\0\0\0\0\x01\x08";
    assert_eq!(begun(Style::Mysql).feed(login).0, Watched::Ended);
    let standard = b"\x03\0\0\x0b\x06\xe0\0\0\0\0\0\x03\0\0\x0c";
    assert_eq!(begun(Style::Rdp).feed(standard).0, Watched::Ended);
    assert_eq!(begun(Style::Ldap).feed(b"\0\0\x01\0").0, Watched::Ended);
}

#[test]
fn a_watch_ends_after_so_many_bytes_and_pieces() {
    let mut watch = begun(Style::Lines);
    let mut fed = 0;
    while watch
        .feed(b"NOOP NOOP NOOP NOOP NOOP NOOP NOOP NOOP NOOP NOOP NOOP NOOP NOOP NOOP\r\n")
        .0
        == Watched::Nothing
    {
        fed += 1;
    }
    assert!((50..60).contains(&fed), "{fed}");
    let mut watch = begun(Style::Lines);
    let mut fed = 0;
    while watch.feed(b"N").0 == Watched::Nothing {
        fed += 1;
    }
    assert_eq!(fed, PIECES_MAX - 1);
}

#[test]
fn a_hello_behind_a_gap_is_believed_at_the_beginning_of_a_piece() {
    for style in [Style::Lines, Style::Ldap, Style::Unknown] {
        let mut watch = begun(style);
        watch.lost();
        assert_eq!(watch.feed(HELLO), (Watched::Tls, HELLO));
    }
}
