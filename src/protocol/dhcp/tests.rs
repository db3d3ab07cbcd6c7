//! Messages whole, cut at every byte, and with options where they may also stand.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

use proptest::prelude::*;

use super::*;

const MAC: [u8; 6] = [2, 0, 0x0a, 0x0a, 0, 0x15];

fn option(code: u8, value: &[u8]) -> Vec<u8> {
    [&[code, value.len() as u8][..], value].concat()
}

/// The fixed part, with both fields for text, and options.
fn v4(operation: u8, yours: [u8; 4], name: &[u8], file: &[u8], options: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![operation, 1, 6, 0];
    bytes.extend(0x1234_5678_u32.to_be_bytes());
    bytes.extend([0; 8]);
    bytes.extend(yours);
    bytes.extend([0; 8]);
    bytes.extend(MAC);
    bytes.extend([0; 10]);
    for (field, len) in [(name, 64), (file, 128)] {
        bytes.extend(field);
        bytes.extend(vec![0; len - field.len()]);
    }
    bytes.extend([99, 130, 83, 99]);
    bytes.extend(options.concat());
    bytes.push(255);
    bytes
}

fn mapped(text: &str) -> [u8; 16] {
    let address: std::net::Ipv4Addr = text.parse().unwrap();
    address.to_ipv6_mapped().octets()
}

#[test]
fn a_request_says_who_asks_for_what() {
    let bytes = v4(
        1,
        [0; 4],
        b"",
        b"",
        &[
            option(53, &[3]),
            option(61, &[&[1][..], &MAC].concat()),
            option(50, &[192, 168, 10, 21]),
            option(60, b"MSFT 5.0"),
            option(12, b"PC-21\0"),
        ],
    );
    let message = parse_v4(&bytes).unwrap();
    assert_eq!(message.kind, Some(DhcpType::Request));
    assert!(!message.from_server && !message.damaged);
    assert_eq!(message.id, 0x1234_5678);
    assert_eq!(message.mac, Some(MAC));
    assert_eq!(message.client_id, [&[1][..], &MAC].concat());
    assert_eq!(message.requested_address, Some(mapped("192.168.10.21")));
    assert_eq!(message.assigned_address, None);
    assert_eq!(message.vendor_class, b"MSFT 5.0");
    assert_eq!(message.name.as_bytes(), b"PC-21");
}

#[test]
fn an_answer_says_which_address_and_for_how_long() {
    let options = [option(53, &[5]), option(51, &3600_u32.to_be_bytes())];
    let bytes = v4(2, [192, 168, 10, 21], b"", b"", &options);
    let message = parse_v4(&bytes).unwrap();
    assert!(message.from_server);
    assert_eq!(message.kind, Some(DhcpType::Ack));
    assert_eq!(message.assigned_address, Some(mapped("192.168.10.21")));
    assert_eq!(message.lease_seconds, Some(3600));
}

#[test]
fn the_full_name_goes_before_the_short_one_however_it_is_written() {
    let name = |full: &[u8]| {
        let options = [option(81, full), option(12, b"short")];
        let bytes = v4(1, [0; 4], b"", b"", &options);
        String::from_utf8(parse_v4(&bytes).unwrap().name.as_bytes().to_vec()).unwrap()
    };
    assert_eq!(
        name(b"\x00\x00\x00pc21.office.example."),
        "pc21.office.example"
    );
    assert_eq!(
        name(b"\x04\x00\x00\x04pc21\x06office\x07example\x00"),
        "pc21.office.example"
    );
    assert_eq!(name(b"\x04\x00\x00\x04pc21"), "pc21", "only begun");
    assert_eq!(name(b"\x04\x00\x00\x09pc21"), "short", "a label cut");
    assert_eq!(name(b"\x00\x00"), "short", "shorter than its flags");
}

#[test]
fn options_go_on_in_the_fields_for_text() {
    let file = [option(12, b"in-the-file"), vec![255]].concat();
    let server = [option(60, b"in-the-name"), vec![255]].concat();
    let bytes = |overload: u8| v4(1, [0; 4], &server, &file, &[option(52, &[overload])]);
    for (overload, name, class) in [
        (0, &b""[..], &b""[..]),
        (1, b"in-the-file", b""),
        (2, b"", b"in-the-name"),
        (3, b"in-the-file", b"in-the-name"),
    ] {
        let bytes = bytes(overload);
        let message = parse_v4(&bytes).unwrap();
        assert_eq!(message.name.as_bytes(), name, "{overload}");
        assert_eq!(message.vendor_class, class, "{overload}");
        assert!(!message.damaged, "{overload}");
    }
}

#[test]
fn more_options_than_the_limit_are_not_read() {
    let mut options = vec![option(99, &[]); OPTIONS_MAX as usize - 1];
    options.push(option(12, b"last"));
    let within = v4(1, [0; 4], b"", b"", &options);
    let message = parse_v4(&within).unwrap();
    assert_eq!(
        (message.name.as_bytes(), message.damaged),
        (&b"last"[..], false)
    );
    options.insert(0, option(99, &[]));
    let beyond = v4(1, [0; 4], b"", b"", &options);
    let message = parse_v4(&beyond).unwrap();
    assert_eq!((message.name.as_bytes(), message.damaged), (&b""[..], true));
}

fn v6_option(code: u16, value: &[u8]) -> Vec<u8> {
    [
        &code.to_be_bytes()[..],
        &(value.len() as u16).to_be_bytes(),
        value,
    ]
    .concat()
}

fn v6(kind: u8, options: &[Vec<u8>]) -> Vec<u8> {
    [&[kind, 0x12, 0x34, 0x56][..], &options.concat()].concat()
}

fn reply() -> (Vec<u8>, [u8; 16]) {
    let address = "fd5a:10:20:30::55"
        .parse::<std::net::Ipv6Addr>()
        .unwrap()
        .octets();
    let lifetimes = [0, 0, 0x0e, 0x10, 0, 0, 0x1c, 0x20];
    let within = v6_option(5, &[&address[..], &lifetimes].concat());
    let duid = [&[0, 1, 0, 1, 0x2a, 0x2b, 0x2c, 0x2d][..], &MAC].concat();
    let bytes = v6(
        7,
        &[
            v6_option(1, &duid),
            v6_option(3, &[&[0; 12][..], &within].concat()),
            v6_option(39, b"\x01\x04pc21\x06office\x00"),
        ],
    );
    (bytes, address)
}

#[test]
fn the_same_of_ipv6_also_behind_relays() {
    let (bytes, address) = reply();
    let message = parse_v6(&bytes).unwrap();
    assert_eq!(message.kind, Some(DhcpType::Reply));
    assert_eq!(message.id, 0x12_3456);
    assert_eq!(message.mac, Some(MAC));
    assert_eq!(message.assigned_address, Some(address));
    assert_eq!(message.lease_seconds, Some(7200));
    assert_eq!(message.name.as_bytes(), b"pc21.office");
    let mut relayed = bytes.clone();
    for depth in 1..=RELAYS_MAX + 1 {
        relayed = [&[13][..], &[0; 33], &v6_option(9, &relayed)].concat();
        let expected = if depth <= RELAYS_MAX {
            parse_v6(&bytes)
        } else {
            Err(DhcpError::TooManyRelays)
        };
        assert_eq!(parse_v6(&relayed), expected, "{depth}");
    }
    let class = v6_option(16, b"\x00\x00\x01\x37\x00\x08MSFT 5.0");
    let asks = v6(
        1,
        &[class, v6_option(1, &[0, 3, 0, 1, 2, 0, 10, 10, 0, 21])],
    );
    let message = parse_v6(&asks).unwrap();
    assert_eq!(message.vendor_class, b"MSFT 5.0");
    assert_eq!(message.mac, Some(MAC));
    assert_eq!(message.assigned_address, None);
}

#[test]
fn what_is_no_message_is_refused() {
    let whole = v4(
        1,
        [0; 4],
        b"",
        b"",
        &[option(53, &[1]), option(12, b"name")],
    );
    for end in 0..236 {
        assert_eq!(parse_v4(&whole[..end]), Err(DhcpError::Short), "{end}");
    }
    for end in 236..whole.len() {
        assert_eq!(parse_v4(&whole[..end]).unwrap().mac, Some(MAC), "{end}");
    }
    let mut other = whole;
    other[0] = 3;
    assert_eq!(parse_v4(&other), Err(DhcpError::NoMessage));
    assert_eq!(parse_v6(&[200, 0, 0, 0]), Err(DhcpError::NoMessage));
    let (reply, _) = reply();
    for end in 0..4 {
        assert_eq!(parse_v6(&reply[..end]), Err(DhcpError::Short), "{end}");
    }
    for end in 4..reply.len() {
        assert_eq!(parse_v6(&reply[..end]).unwrap().id, 0x12_3456, "{end}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        fuzz_message(&bytes);
    }

    #[test]
    fn any_options_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz_message(&v4(1, [0; 4], &[], &[], std::slice::from_ref(&bytes)));
        fuzz_message(&v6(1, &[bytes]));
    }
}
