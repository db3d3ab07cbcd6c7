//! Servers' answers in every piece, and their certificates against x509-parser.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use proptest::prelude::*;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::*;
use crate::protocol::Progress;

/// A recording of OpenSSL's server; before it stands where fuzzing cuts it.
macro_rules! recording {
    ($name:literal) => {
        (include_bytes!(concat!("../../../fuzz/corpus/tls_server_flight/", $name)) as &[u8])
            .split_at(8)
            .1
    };
}

const TLS12: &[u8] = recording!("tls12");
const SMALL_RECORDS: &[u8] = recording!("many-names-small-records");
const RESUMED: &[u8] = recording!("resumed");
const TLS13: &[u8] = recording!("tls13");
const TLS10: &[u8] = recording!("tls10");

fn read(stream: &[u8]) -> (Progress, ServerFlight) {
    let mut flight = ServerFlight::default();
    let progress = flight.feed(stream);
    (progress, flight)
}

fn names(flight: &ServerFlight) -> Vec<String> {
    let certificate = Certificate::parse(flight.certificate().unwrap()).unwrap();
    let names = certificate.names().map(String::from_utf8_lossy);
    names.map(std::borrow::Cow::into_owned).collect()
}

#[test]
fn what_servers_choose_and_show() {
    let (progress, flight) = read(TLS12);
    assert_eq!(progress, Progress::Done);
    assert_eq!(flight.hello().unwrap().version, 0x0303);
    assert_eq!(
        names(&flight),
        ["*.geo.kaspersky.com", "dnl-01.geo.kaspersky.com"]
    );
    let (_, flight) = read(SMALL_RECORDS);
    let expected: Vec<_> = (0..150)
        .map(|number| format!("host-{number:03}.example.net"))
        .collect();
    assert_eq!(names(&flight), expected);
    let (_, flight) = read(TLS10);
    assert_eq!(flight.hello().unwrap().version, 0x0301);
    assert_eq!(names(&flight), ["www.example.org"]);
}

#[test]
fn a_session_of_before_and_tls_13_show_no_certificate() {
    let (progress, flight) = read(RESUMED);
    assert_eq!(progress, Progress::Done);
    assert!(flight.is_resumed());
    assert_eq!(flight.certificate(), None);
    let (progress, flight) = read(TLS13);
    assert_eq!(progress, Progress::Done);
    assert_eq!(flight.hello().unwrap().version, 0x0304);
    assert!(!flight.is_resumed());
    assert_eq!(flight.certificate(), None);
}

#[test]
fn the_certificate_alone_is_enough() {
    // The record with the ServerHello was not seen: each message has a record of its own.
    let first = usize::from(u16::from_be_bytes([TLS12[3], TLS12[4]])) + 5;
    assert!(begins_like_server(TLS12));
    assert!(begins_like_server(&TLS12[first..]));
    let (progress, flight) = read(&TLS12[first..]);
    assert_eq!(progress, Progress::Done);
    assert_eq!(flight.hello(), None);
    assert_eq!(names(&flight)[0], "*.geo.kaspersky.com");
}

#[test]
fn another_parser_reads_the_same_in_certificates() {
    for stream in [TLS12, SMALL_RECORDS, TLS10] {
        let (_, flight) = read(stream);
        let der = flight.certificate().unwrap();
        let ours = Certificate::parse(der).unwrap();
        let (rest, theirs) = X509Certificate::from_der(der).unwrap();
        assert!(rest.is_empty());
        let mut text = String::new();
        ours.subject.write(&mut text);
        assert_eq!(text, theirs.subject().to_string());
        text.clear();
        ours.issuer.write(&mut text);
        assert_eq!(text, theirs.issuer().to_string());
        assert_eq!(ours.issuer.organisation(), Some(&b"Composed captures"[..]));
        let alternative = theirs.subject_alternative_name().unwrap().unwrap();
        let theirs_names: Vec<_> = alternative
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(name.as_bytes()),
                _ => None,
            })
            .collect();
        assert_eq!(ours.alternative_names().collect::<Vec<_>>(), theirs_names);
        let date = |time: x509_parser::time::ASN1Time| {
            let time = time.to_datetime();
            format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
                time.year(),
                u8::from(time.month()),
                time.day(),
                time.hour(),
                time.minute(),
                time.second()
            )
        };
        let validity = theirs.validity();
        assert_eq!(
            ours.not_before.unwrap().to_string(),
            date(validity.not_before)
        );
        assert_eq!(
            ours.not_after.unwrap().to_string(),
            date(validity.not_after)
        );
    }
}

#[test]
fn every_split_gives_the_same_and_every_prefix_waits() {
    for stream in [TLS12, RESUMED, TLS13] {
        let (progress, whole) = read(stream);
        let mut ended = false;
        for cut in 0..=stream.len() {
            fuzz_server_flight(stream, cut);
            let (prefix, part) = read(&stream[..cut]);
            // Once it is done it stays so; before, it waits, and shows no certificate.
            assert!(!ended || prefix == Progress::Done, "{cut}");
            ended = prefix == Progress::Done;
            if ended {
                assert_eq!(part.certificate(), whole.certificate());
            } else {
                assert_eq!(prefix, Progress::NeedMore, "{cut}");
                assert_eq!(part.certificate(), None);
            }
        }
        assert_eq!(progress, Progress::Done);
        assert!(ended);
    }
    // One byte at a time.
    let mut flight = ServerFlight::default();
    for byte in SMALL_RECORDS {
        flight.feed(&[*byte]);
    }
    assert_eq!(names(&flight).len(), 150);
}

#[test]
fn a_certificate_cut_anywhere_is_read_or_refused() {
    let (_, flight) = read(TLS12);
    let der = flight.certificate().unwrap();
    for end in 0..der.len() {
        if let Ok(found) = Certificate::parse(&der[..end]) {
            assert!(found.names().count() <= 2);
        }
    }
}

#[test]
fn endless_streams_come_to_an_end() {
    let empty = [HANDSHAKE, 3, 3, 0, 0].repeat(1000);
    assert_eq!(read(&empty).0, Progress::Mismatch);
    let requests = [HANDSHAKE, 3, 3, 0, 4, 0, 0, 0, 0].repeat(1000);
    assert_eq!(read(&requests).0, Progress::Mismatch);
    // A certificate of 16 MiB is not waited for.
    let huge = [
        HANDSHAKE, 3, 3, 0, 10, 11, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    ];
    assert_eq!(read(&huge).0, Progress::Mismatch);
}

proptest! {
    #[test]
    fn any_certificate_is_survived(at in any::<usize>(), byte in any::<u8>(), len in 0usize..40) {
        let (_, flight) = read(TLS12);
        let mut der = flight.certificate().unwrap().to_vec();
        let at = at % der.len();
        for (step, place) in der.iter_mut().skip(at).take(len).enumerate() {
            *place = byte.wrapping_mul(step as u8 | 1);
        }
        if let Ok(found) = Certificate::parse(&der) {
            let mut text = String::new();
            found.subject.write(&mut text);
            found.issuer.write(&mut text);
            prop_assert!(found.names().count() <= NAMES_MAX + 1);
        }
    }
}
