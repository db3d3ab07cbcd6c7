//! Messages whole, cut at every byte, damaged and in any pieces.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

use proptest::prelude::*;

use super::*;
use crate::protocol::Progress;

fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend(flags.to_be_bytes());
    for count in counts {
        message.extend(count.to_be_bytes());
    }
    message
}

fn name(labels: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in labels {
        wire.push(label.len() as u8);
        wire.extend(*label);
    }
    wire.push(0);
    wire
}

fn question(name: &[u8], kind: u16) -> Vec<u8> {
    [name, &kind.to_be_bytes()[..], &[0, 1]].concat()
}

fn record(name: &[u8], kind: u16, class: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut wire = name.to_vec();
    wire.extend(kind.to_be_bytes());
    wire.extend(class.to_be_bytes());
    wire.extend(ttl.to_be_bytes());
    wire.extend((data.len() as u16).to_be_bytes());
    wire.extend(data);
    wire
}

/// A question for `update.eset.com` and its answer: an alias by compressed names, and two addresses.
fn response() -> Vec<u8> {
    let mut message = header(0x1234, 0x8180, [1, 3, 0, 1]);
    message.extend(question(&name(&[b"update", b"eset", b"com"]), TYPE_A));
    // `um.` and a pointer to `eset.com`, which stands at 12 + 7.
    let alias = [&[2, b'u', b'm'][..], &[0xc0, 19]].concat();
    let alias_at = (message.len() + 12) as u16 | 0xc000;
    message.extend(record(&[0xc0, 12], TYPE_CNAME, 1, 300, &alias));
    let owner = alias_at.to_be_bytes();
    message.extend(record(&owner, TYPE_A, 1, 60, &[192, 0, 2, 7]));
    let v6 = "2001:db8::7"
        .parse::<std::net::Ipv6Addr>()
        .unwrap()
        .octets();
    message.extend(record(&owner, TYPE_AAAA, 1, 61, &v6));
    message.extend(record(&[0], 41, 1232, 0, &[]));
    message
}

fn parsed(bytes: &[u8]) -> Message {
    let mut message = Message::default();
    message.parse(bytes).unwrap();
    message
}

fn first_name(bytes: &[u8]) -> Vec<u8> {
    parsed(bytes).questions().next().unwrap().name.to_vec()
}

fn query(labels: &[&[u8]]) -> Vec<u8> {
    let mut message = header(7, 0x0100, [1, 0, 0, 0]);
    message.extend(question(&name(labels), TYPE_A));
    message
}

#[test]
fn question_alias_and_addresses_of_a_response() {
    let message = parsed(&response());
    assert!(message.is_response() && message.recursion_desired() && message.recursion_available());
    assert!(!message.truncated() && !message.authoritative() && !message.damaged());
    assert_eq!(
        (message.id(), message.opcode(), message.rcode()),
        (0x1234, 0, 0)
    );
    let asked: Vec<_> = message.questions().collect();
    assert_eq!(
        asked,
        [Question {
            name: b"update.eset.com",
            kind: TYPE_A,
            class: CLASS_IN
        }]
    );
    let answers: Vec<_> = message.answers().collect();
    let v4 = "::ffff:192.0.2.7".parse::<std::net::Ipv6Addr>().unwrap();
    let v6 = "2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap();
    assert_eq!(answers.len(), 3);
    assert_eq!(
        (answers[0].name, answers[0].ttl, answers[0].data),
        (&b"update.eset.com"[..], 300, Data::Alias(b"um.eset.com"))
    );
    assert_eq!(
        (answers[1].name, answers[1].ttl, answers[1].data),
        (&b"um.eset.com"[..], 60, Data::Address(v4.octets()))
    );
    assert_eq!(answers[2].data, Data::Address(v6.octets()));
}

#[test]
fn a_name_is_written_so_that_it_forges_no_other() {
    assert_eq!(
        first_name(&query(&[b"WwW", b"eSeT", b"com"])),
        b"WwW.eSeT.com"
    );
    assert_eq!(first_name(&query(&[])), b".");
    assert_eq!(first_name(&query(&[b"a.b", b"c\\d"])), b"a\\.b.c\\\\d");
    assert_eq!(
        first_name(&query(&[b"_ldap", &[0xc3, 0xbc, 0]])),
        b"_ldap.\xc3\xbc\0"
    );
}

#[test]
fn the_longest_name_is_taken_and_one_byte_more_is_not() {
    let label = [b'a'; 63];
    let longest = query(&[&label, &label, &label, &label[..61]]);
    assert_eq!(first_name(&longest).len(), 253);
    let longer = query(&[&label, &label, &label, &label[..62]]);
    assert_eq!(
        Message::default().parse(&longer),
        Err(DnsError::NameTooLong)
    );
    // As long on the wire, but longer when it is written out.
    let dots = query(&[&label, &label, &label, &[b'.'; 61]]);
    assert_eq!(Message::default().parse(&dots), Err(DnsError::NameTooLong));
}

#[test]
fn pointers_go_backwards_and_are_few() {
    let case = |name: &[u8]| {
        let mut message = header(1, 0, [1, 0, 0, 0]);
        message.extend(question(name, TYPE_A));
        Message::default().parse(&message)
    };
    assert_eq!(case(&[0xc0, 12]), Err(DnsError::BadPointer), "itself");
    assert_eq!(case(&[0xc0, 14]), Err(DnsError::BadPointer), "forwards");
    assert_eq!(
        case(&[1, b'a', 0xc0, 12]),
        Err(DnsError::BadPointer),
        "a loop"
    );
    assert_eq!(case(&[0x40, 0]), Err(DnsError::BadLabel));
    assert_eq!(case(&[0x80, 0]), Err(DnsError::BadLabel));
    // A chain of pointers, each to the one before, hidden in the data of an unknown record.
    let mut message = header(1, 0x8000, [0, 2, 0, 0]);
    let mut chain = vec![0];
    let base = HEADER_LEN + 1 + 10;
    for at in 0..=POINTERS_MAX as usize {
        let target = if at == 0 {
            base
        } else {
            base + 1 + 2 * (at - 1)
        };
        chain.extend((0xc000 | target as u16).to_be_bytes());
    }
    message.extend(record(&[0], 99, 1, 0, &chain));
    let last = base + 1 + 2 * (POINTERS_MAX as usize - 1);
    let owner = (0xc000 | last as u16).to_be_bytes();
    message.extend(record(&owner, 99, 1, 0, &[]));
    assert_eq!(parsed(&message).damage(), Some(DnsError::BadPointer));
    let at = message.len() - 12;
    message[at..at + 2].copy_from_slice(&(0xc000 | (last - 4) as u16).to_be_bytes());
    assert!(!parsed(&message).damaged());
}

#[test]
fn every_cut_keeps_what_was_whole_before_it() {
    let whole = response();
    let question_end = HEADER_LEN + 17 + 4;
    let answer_ends = [17, 33, 61].map(|len| question_end + len);
    let mut message = Message::default();
    for end in 0..whole.len() {
        let result = message.parse(&whole[..end]);
        if end < HEADER_LEN {
            assert_eq!(result, Err(DnsError::ShortHeader), "{end}");
        } else if end < question_end {
            assert_eq!(result, Err(DnsError::Truncated), "{end}");
            assert_eq!(message.questions().count(), 0);
        } else {
            assert_eq!(result, Ok(()), "{end}");
            assert!(message.damaged(), "{end}");
            let expected = answer_ends.iter().filter(|whole| **whole <= end).count();
            assert_eq!(message.answers().count(), expected, "{end}");
        }
        assert!(!looks_like_message(&whole[..end]), "{end}");
        assert_eq!(
            begins_like_message(&whole[..end]),
            end >= question_end,
            "{end}"
        );
    }
    assert!(looks_like_message(&whole));
}

#[test]
fn the_response_code_is_extended_by_edns() {
    let mut message = header(1, 0x8181, [1, 0, 0, 1]);
    message.extend(question(&name(&[b"a"]), TYPE_A));
    // BADVERS is 16: 1 in the upper bits, 0 in the lower; here with 1 in the lower.
    message.extend(record(&[0], 41, 512, 0x0100_0000, &[]));
    assert_eq!(parsed(&message).rcode(), 17);
}

#[test]
fn services_have_targets_hints_and_ech() {
    let mut message = header(1, 0x8180, [1, 2, 0, 0]);
    message.extend(question(&name(&[b"a", b"example"]), TYPE_HTTPS));
    let mut data = vec![0, 1, 0];
    data.extend([0, 1, 0, 6, 2, b'h', b'2', 2, b'h', b'3']);
    data.extend([0, 4, 0, 8, 192, 0, 2, 1, 192, 0, 2, 2]);
    data.extend([0, 5, 0, 1, 0]);
    data.extend([
        0, 6, 0, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
    ]);
    message.extend(record(&[0xc0, 12], TYPE_HTTPS, 1, 30, &data));
    let alias = [&[0, 0][..], &name(&[b"b", b"example"])].concat();
    message.extend(record(&[0xc0, 12], TYPE_SVCB, 1, 30, &alias));
    let message = parsed(&message);
    assert!(!message.damaged());
    let services: Vec<_> = message.answers().map(|answer| answer.data).collect();
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    assert_eq!(
        services[0],
        Data::Service {
            priority: 1,
            target: b"a.example",
            hints: &[
                address("::ffff:192.0.2.1"),
                address("::ffff:192.0.2.2"),
                address("2001:db8::9")
            ],
            alpn: b"h2,h3",
            ech: true,
        }
    );
    assert_eq!(
        services[1],
        Data::Service {
            priority: 0,
            target: b"b.example",
            hints: &[],
            alpn: b"",
            ech: false
        }
    );
}

#[test]
fn protocols_of_a_service_are_whole_and_bounded() {
    let service = |alpn: &[u8]| {
        let mut message = header(1, 0x8180, [1, 1, 0, 0]);
        message.extend(question(&name(&[b"a"]), TYPE_HTTPS));
        let len = (alpn.len() as u16).to_be_bytes();
        let data = [&[0, 1, 0, 0, 1][..], &len, alpn].concat();
        message.extend(record(&[0xc0, 12], TYPE_HTTPS, 1, 30, &data));
        let message = parsed(&message);
        let Data::Service { alpn, .. } = message.answers().next().unwrap().data else {
            panic!("no service");
        };
        alpn.to_vec()
    };
    assert_eq!(service(&[]), b"");
    assert_eq!(service(&[2, b'h', b'2', 9, b'h']), b"h2", "ends early");
    let many = b"\x03dot".repeat(40);
    let expected = ["dot"; 16].join(",");
    assert_eq!(service(&many), expected.as_bytes());
    assert!(expected.len() <= ALPN_TEXT_MAX && expected.len() + 4 + 1 > ALPN_TEXT_MAX);
}

#[test]
fn several_questions_are_taken_where_dns_is_at_home() {
    let asks = |count: u16| {
        let mut message = header(1, 0x0100, [count, 0, 0, 0]);
        for _ in 0..count {
            message.extend(question(&name(&[b"a", b"example"]), TYPE_A));
        }
        message
    };
    for (count, at_home, elsewhere) in [
        (1, true, true),
        (2, true, false),
        (32, true, false),
        (33, false, false),
    ] {
        assert_eq!(begins_like_message(&asks(count)), at_home, "{count}");
        assert_eq!(looks_like_message(&asks(count)), elsewhere, "{count}");
    }
}

#[test]
fn the_pseudo_record_of_edns_is_no_answer() {
    let mut message = header(1, 0x8180, [1, 2, 0, 0]);
    message.extend(question(&name(&[b"a"]), TYPE_A));
    message.extend(record(&[0], TYPE_OPT, 1232, 0, &[]));
    message.extend(record(&[0xc0, 12], TYPE_A, 1, 1, &[192, 0, 2, 1]));
    let message = parsed(&message);
    assert_eq!(message.damage(), Some(DnsError::MisplacedOpt));
    assert_eq!(message.answers().count(), 1);
    assert_eq!(message.rcode(), 0, "nothing is taken from it");
}

#[test]
fn data_that_cannot_be_read_costs_the_data_alone() {
    let mut message = header(1, 0x8180, [1, 4, 0, 0]);
    message.extend(question(&name(&[b"a"]), TYPE_A));
    message.extend(record(&[0xc0, 12], TYPE_A, 1, u32::MAX, &[1, 2, 3]));
    message.extend(record(&[0xc0, 12], TYPE_CNAME, 1, 1, &[5, b'x']));
    message.extend(record(&[0xc0, 12], TYPE_A, 3, 1, &[1, 2, 3, 4]));
    message.extend(record(&[0xc0, 12], TYPE_A, 0x8001, 1, &[1, 2, 3, 4]));
    let message = parsed(&message);
    assert_eq!(message.damage(), Some(DnsError::BadData));
    let answers: Vec<_> = message.answers().collect();
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[0].ttl, 0);
    assert_eq!(answers[0].data, Data::Other(TYPE_A));
    assert_eq!(answers[1].data, Data::Other(TYPE_CNAME));
    assert_eq!(answers[2].data, Data::Other(TYPE_A), "class chaos");
    assert!(matches!(answers[3].data, Data::Address(_)), "cache flush");
}

#[test]
fn what_is_beyond_the_bounds_is_counted() {
    let mut message = header(1, 0x8180, [QUESTIONS_MAX as u16 + 2, 70, 0, 0]);
    for _ in 0..QUESTIONS_MAX + 2 {
        message.extend(question(&name(&[b"a"]), TYPE_A));
    }
    for at in 0..70 {
        message.extend(record(&[0xc0, 12], TYPE_A, 1, 1, &[10, 0, 0, at]));
    }
    let message = parsed(&message);
    assert_eq!(message.questions().count(), QUESTIONS_MAX);
    assert_eq!(message.questions_left_out(), 2);
    assert_eq!(message.answers().count(), ANSWERS_MAX);
    assert_eq!(message.answers_left_out(), 6);
    assert!(!message.damaged());
}

#[test]
fn a_message_read_after_another_has_nothing_of_it() {
    let mut message = parsed(&response());
    message.parse(&query(&[b"b", b"example"])).unwrap();
    assert_eq!(message.answers().count(), 0);
    assert_eq!(message.questions().next().unwrap().name, b"b.example");
    assert_eq!(message.parse(&[0; 5]), Err(DnsError::ShortHeader));
    assert_eq!((message.id(), message.questions().count()), (0, 0));
}

#[test]
fn other_protocols_do_not_look_like_messages() {
    assert!(looks_like_message(&query(&[b"a", b"example"])));
    let mut ntp = vec![0x23, 0, 6, 0xec];
    ntp.resize(48, 0);
    assert!(!looks_like_message(&ntp));
    assert!(!looks_like_message(&[0; 64]));
    assert!(!looks_like_message(
        b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
    ));
    let trailing = [&query(&[b"a"])[..], &[0]].concat();
    assert!(!looks_like_message(&trailing) && begins_like_message(&trailing));
    assert!(!looks_like_message(&query(&[b"a\x01b"])));
    let mut class = query(&[b"a"]);
    *class.last_mut().unwrap() = 9;
    assert!(!looks_like_message(&class) && !begins_like_message(&class));
}

#[test]
fn a_stream_begins_with_a_length_and_a_message() {
    let message = response();
    let stream = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    for end in 0..=stream.len() {
        assert!(looks_like_stream(&stream[..end]), "{end}");
    }
    assert!(!looks_like_stream(&[0, 11]));
    assert!(!looks_like_stream(b"GET / HTTP/1.1\r\n"));
    assert!(!looks_like_stream(
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaa"
    ));
}

#[test]
fn a_length_that_holds_no_header_ends_the_stream() {
    let mut assembler = StreamAssembler::default();
    let each = &mut |_: &[u8]| panic!("no message");
    assert_eq!(assembler.feed(&[0], each), Progress::NeedMore);
    assert_eq!(assembler.feed(&[11, 1, 2], each), Progress::Mismatch);
    assert_eq!(assembler.feed(&[0; 100], each), Progress::Mismatch);
    assembler.shrink(0);
    assert_eq!(assembler.feed(&[0], each), Progress::NeedMore);
    assert_eq!(assembler.held_bytes(), 1);
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_the_messages(
        lens in proptest::collection::vec(12usize..400, 0..6),
        mut cuts in proptest::collection::vec(0usize..2000, 0..10),
    ) {
        let messages: Vec<Vec<u8>> = lens.iter().map(|len| vec![*len as u8; *len]).collect();
        let mut stream = Vec::new();
        for message in &messages {
            stream.extend((message.len() as u16).to_be_bytes());
            stream.extend(message);
        }
        for cut in &mut cuts {
            *cut %= stream.len() + 1;
        }
        cuts.push(stream.len());
        cuts.sort_unstable();
        let (mut assembler, mut found, mut from) = (StreamAssembler::default(), Vec::new(), 0);
        for cut in cuts {
            let progress = assembler.feed(&stream[from..cut], &mut |message: &[u8]| found.push(message.to_vec()));
            prop_assert_ne!(progress, Progress::Mismatch);
            from = cut;
        }
        prop_assert_eq!(found, messages);
        prop_assert_eq!(assembler.held_bytes(), 0);
    }

    #[test]
    fn any_name_is_read_as_it_was_sent(labels in proptest::collection::vec("[a-zA-Z0-9_-]{1,20}", 1..8)) {
        let wire: Vec<&[u8]> = labels.iter().map(String::as_bytes).collect();
        prop_assert_eq!(first_name(&query(&wire)), labels.join(".").into_bytes());
        prop_assert!(looks_like_message(&query(&wire)));
    }

    #[test]
    fn any_bytes_and_any_damage_are_survived(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cut in any::<usize>(),
        place in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        fuzz_message(&bytes, cut);
        let mut message = response();
        let at = place.index(message.len());
        message[at] = value;
        fuzz_message(&message, cut);
        let stream = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
        fuzz_message(&stream, cut);
    }
}
