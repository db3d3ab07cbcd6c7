//! Requests whole, in any pieces, behind gaps, and what only looks like them.
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

const PLAIN: &[u8] =
    b"GET /update.ver HTTP/1.1\r\nHost: update.eset.com\r\nUser-Agent: ESS Update\r\nAccept: */*\r\n\r\n";

fn request(head: &[u8]) -> Request<'_> {
    match look(head) {
        Look::Request(request, len) => {
            assert_eq!(len, head.len());
            request
        }
        other => panic!("{other:?}: {}", String::from_utf8_lossy(head)),
    }
}

/// Targets of the requests in these pieces, and how it ended.
fn targets(stream: &mut RequestStream, pieces: &[&[u8]]) -> (Vec<String>, Progress) {
    let (mut found, mut progress) = (Vec::new(), Progress::NeedMore);
    for piece in pieces {
        progress = stream.feed(piece, &mut |request: &Request<'_>| {
            found.push(String::from_utf8(request.target.to_vec()).unwrap());
        });
    }
    (found, progress)
}

fn targets_of(bytes: &[u8]) -> (Vec<String>, Progress) {
    targets(&mut RequestStream::default(), &[bytes])
}

#[test]
fn the_fields_of_a_plain_request() {
    let request = request(PLAIN);
    assert_eq!(
        request,
        Request {
            method: b"GET",
            target: b"/update.ver",
            target_cut: false,
            version_minor: 1,
            host_field: Some(b"update.eset.com"),
            user_agent: Some(b"ESS Update"),
            user_agent_cut: false,
            upgrade: false,
            body: Body::None,
            head_cut: false,
        }
    );
    assert_eq!(request.host(), Host::Name(b"update.eset.com"));
    assert_eq!(request.port(), None);
}

#[test]
fn requests_as_real_clients_write_them() {
    let odd = request(
        b"\r\n\nGET  /a b?c HTTP/1.0 \nhost :\tA.example:8080 \nUSER-AGENT:  x  \nno field\n\n",
    );
    assert_eq!((odd.target, odd.version_minor), (&b"/a b?c"[..], 0));
    assert_eq!(
        (odd.host(), odd.port()),
        (Host::Name(b"A.example"), Some(8080))
    );
    assert_eq!(odd.user_agent, Some(&b"x"[..]));
    let folded =
        request(b"GET / HTTP/1.1\r\nUser-Agent: one\r\n two\r\nHost:\r\n\ta.example\r\n\r\n");
    assert_eq!(folded.user_agent, Some(&b"one"[..]));
    assert!(folded.user_agent_cut);
    assert_eq!(folded.host(), Host::Name(b"a.example"));
    let twice = request(b"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n");
    assert_eq!(twice.host(), Host::Name(b"a.example"));
    assert_eq!(request(b"GET / HTTP/1.1\r\n\r\n").host(), Host::Absent);
    assert!(request(b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n").upgrade);
}

#[test]
fn whom_a_request_is_for() {
    let case = |target: &str, host: &str| {
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let request = request(head.as_bytes());
        let path = String::from_utf8(request.path_and_query().to_vec()).unwrap();
        let host = match request.host() {
            Host::Name(name) => format!("name {}", String::from_utf8_lossy(name)),
            Host::Address(name) => format!("address {}", String::from_utf8_lossy(name)),
            Host::Absent => "absent".to_owned(),
        };
        (host, request.port(), path)
    };
    let is = |host: &str, port, path: &str| (host.to_owned(), port, path.to_owned());
    assert_eq!(case("/a", "b.example"), is("name b.example", None, "/a"));
    assert_eq!(
        case("http://user@a.example:81/p?q", "b.example"),
        is("name a.example", Some(81), "/p?q")
    );
    assert_eq!(
        case("HTTP://a.example", ""),
        is("name a.example", None, "/")
    );
    assert_eq!(
        case("http:///p", "b.example:82"),
        is("name b.example", Some(82), "/p")
    );
    assert_eq!(
        case("/r?u=http://a.example/", "b.example"),
        is("name b.example", None, "/r?u=http://a.example/")
    );
    assert_eq!(
        case("/", "192.0.2.1:8080"),
        is("address 192.0.2.1", Some(8080), "/")
    );
    assert_eq!(
        case("/", "[2001:db8::1]:80"),
        is("address 2001:db8::1", Some(80), "/")
    );
    assert_eq!(
        case("/", "2001:db8::1"),
        is("address 2001:db8::1", None, "/")
    );
    assert_eq!(case("*", "a.example."), is("name a.example.", None, "*"));
    assert_eq!(case("/", ":80"), is("absent", None, "/"));
    assert_eq!(case("/", &"a".repeat(256)), is("absent", None, "/"));
}

#[test]
fn a_tunnel_is_for_its_other_end() {
    let tunnel = request(b"CONNECT ts01-b.cloudsink.net:443 HTTP/1.1\r\nHost: proxy.example:3128\r\nContent-Length: 9\r\n\r\n");
    assert!(tunnel.is_connect());
    assert_eq!(
        (tunnel.host(), tunnel.port(), tunnel.path_and_query()),
        (Host::Name(b"ts01-b.cloudsink.net"), Some(443), &b""[..])
    );
    assert_eq!(tunnel.body, Body::None);
    let mut stream = RequestStream::default();
    let (found, progress) = targets(
        &mut stream,
        &[
            b"CONNECT a.example:443 HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01",
            PLAIN,
        ],
    );
    assert_eq!(
        (found, progress),
        (vec!["a.example:443".to_owned()], Progress::Done)
    );
    assert!(stream.at_another_protocol());
    stream.reset();
    assert!(!stream.at_another_protocol());
}

#[test]
fn how_much_body_follows() {
    let body = |fields: &str| {
        let head = format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n");
        request(head.as_bytes()).body
    };
    assert_eq!(body("Content-Length: 5"), Body::Length(5));
    assert_eq!(body("content-length: 5, 5"), Body::Length(5));
    assert_eq!(body("Content-Length: 0"), Body::None);
    assert_eq!(body("Content-Length: 5, 6"), Body::Unknown);
    assert_eq!(body("Content-Length: +5"), Body::Unknown);
    assert_eq!(body("Content-Length: 99999999999999999999"), Body::Unknown);
    assert_eq!(body("Transfer-Encoding: gzip, Chunked"), Body::Chunked);
    assert_eq!(body("Transfer-Encoding: gzip"), Body::Unknown);
    assert_eq!(
        body("Transfer-Encoding: chunked\r\nContent-Length: 5"),
        Body::Chunked
    );
    assert_eq!(
        body("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        Body::Chunked
    );
}

#[test]
fn every_prefix_of_a_request_begins_like_one() {
    for end in 0..PLAIN.len() {
        assert!(begins_like_request(&PLAIN[..end]), "{end}");
        assert_eq!(look(&PLAIN[..end]), Look::Begins, "{end}");
    }
}

#[test]
fn what_shares_letters_with_requests_is_none() {
    for other in [
        &b"OPTIONS rtsp://a.example/ RTSP/1.0\r\n"[..],
        b"OPTIONS rtsp://a.exam",
        b"OPTIONS sip:a.example SIP/2.0\r\n",
        b"NOTIFY a SIP/2.0\r\n",
        b"M-SEARCH * HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n",
        b"GET /old\r\n",
        b"GET HTTP/1.1\r\n",
        b"get / HTTP/1.1\r\n",
        b"GETS / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"SSH-2.0-x\r\n",
    ] {
        assert!(
            !begins_like_request(other),
            "{}",
            String::from_utf8_lossy(other)
        );
        assert_eq!(look(other), Look::Other);
        assert_eq!(targets_of(other), (vec![], Progress::Mismatch));
    }
}

#[test]
fn responses_by_their_status_line() {
    assert_eq!(look_response(b"HTTP/1.1 200 OK\r\n"), Some(200));
    assert_eq!(look_response(b"HTTP/1.0 404\r\n"), Some(404));
    assert_eq!(look_response(b"HTTP/1.1 301"), Some(301));
    for other in [
        &b"HTTP/1.1 20"[..],
        b"HTTP/2.0 200 OK",
        b"HTTP/1.1 2000",
        b"HTTP/1.1 0x0",
        b"GET / HTTP/1.1",
    ] {
        assert_eq!(look_response(other), None);
    }
}

#[test]
fn bodies_are_passed_over() {
    let stream = [
        &b"POST /1 HTTP/1.1\r\nContent-Length: 31\r\n\r\nGET /forged HTTP/1.1\r\nHost: x\r\n"[..],
        b"\r\nPOST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1a;name=\"value\"\r\nGET /forged HTTP/1.1\r\n\r\nab\r\n0003 \nabc\n0\r\nTrailer: x\r\n\r\n",
        b"GET /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.1\r\n\r\n",
    ]
    .concat();
    let expected: Vec<String> = ["/1", "/2", "/3", "/4"].map(str::to_owned).into();
    assert_eq!(targets_of(&stream), (expected.clone(), Progress::NeedMore));
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        let found = targets(&mut RequestStream::default(), &[head, tail]);
        assert_eq!(found, (expected.clone(), Progress::NeedMore), "{cut}");
    }
}

#[test]
fn bodies_without_a_known_end_hide_nothing_forged() {
    let stream = b"POST /1 HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nGET /forged HTTP/1.1\r\n\r\n";
    assert_eq!(targets_of(stream), (vec!["/1".to_owned()], Progress::Done));
    let chunks: [&[u8]; 5] = [
        b"x\r\n",
        b"\r\n",
        b"11111111111111111\r\n",
        b"1\r\nabc",
        b"-1\r\n",
    ];
    for broken in chunks {
        let stream = [
            &b"POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"[..],
            broken,
        ]
        .concat();
        assert_eq!(
            targets_of(&stream),
            (vec!["/1".to_owned()], Progress::Mismatch),
            "{}",
            String::from_utf8_lossy(broken)
        );
    }
    let endless = [
        &b"POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;"[..],
        &vec![b'x'; 20_000],
    ]
    .concat();
    assert_eq!(targets_of(&endless).1, Progress::Mismatch);
}

#[test]
fn a_gap_in_a_body_of_known_length_is_bridged() {
    let mut stream = RequestStream::default();
    let (found, _) = targets(
        &mut stream,
        &[b"POST /1 HTTP/1.1\r\nContent-Length: 1000\r\n\r\nab"],
    );
    assert_eq!(found, ["/1"]);
    assert!(stream.skip(500));
    let tail = [&[b'x'; 498][..], b"GET /2 HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(targets(&mut stream, &[&tail]).0, ["/2"]);
    let (found, _) = targets(
        &mut stream,
        &[b"POST /3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n"],
    );
    assert_eq!(found, ["/3"]);
    assert!(stream.skip(16));
    let (found, _) = targets(&mut stream, &[b"\r\n0\r\n\r\nGET /4 HTTP/1.1\r\n\r\n"]);
    assert_eq!(found, ["/4"]);
}

#[test]
fn out_of_step_the_next_piece_with_a_request_line_counts() {
    let mut stream = RequestStream::default();
    let _ = targets(
        &mut stream,
        &[b"POST /1 HTTP/1.1\r\nContent-Length: 10\r\n\r\nab"],
    );
    assert!(!stream.skip(9), "beyond the body");
    let pieces: [&[u8]; 4] = [
        b"example\r\n\r\nGET /hidden HTTP/1.1\r\n\r\n",
        b"GET",
        b"GET /no request\r\n\r\n",
        b"GET /2 HTTP/1.1\r\n\r\n",
    ];
    assert_eq!(
        targets(&mut stream, &pieces),
        (vec!["/2".to_owned()], Progress::NeedMore)
    );
    let mut head = RequestStream::default();
    let _ = targets(&mut head, &[b"GET /1 HTTP/1.1\r\nHo"]);
    assert!(!head.skip(1));
    assert_eq!(head.held_bytes(), 0);
}

#[test]
fn a_head_that_is_too_long_gives_what_it_said() {
    let cookie = [&b"Cookie: "[..], &vec![b'c'; 20_000]].concat();
    let told = [
        &b"GET /1 HTTP/1.1\r\nHost: a.example\r\n"[..],
        &cookie,
        b"\r\n\r\nGET /2 HTTP/1.1\r\n\r\n",
    ]
    .concat();
    for cut in [
        0,
        10,
        100,
        HEAD_BYTES_MAX - 1,
        HEAD_BYTES_MAX,
        HEAD_BYTES_MAX + 1,
        told.len() - 20,
    ] {
        let mut found = Vec::new();
        let mut stream = RequestStream::default();
        for piece in [&told[..cut], &told[cut..]] {
            let progress = stream.feed(piece, &mut |request: &Request<'_>| {
                found.push((request.target.to_vec(), request.head_cut));
            });
            assert_eq!(progress, Progress::NeedMore);
            assert!(stream.held_bytes() <= HEAD_BYTES_MAX);
        }
        assert_eq!(
            found,
            [(b"/1".to_vec(), true), (b"/2".to_vec(), false)],
            "{cut}"
        );
    }
    let silent = [
        &b"GET /1 HTTP/1.1\r\n"[..],
        &cookie,
        b"\r\nHost: a.example\r\n\r\n",
    ]
    .concat();
    assert_eq!(targets_of(&silent), (vec![], Progress::Mismatch));
    assert_eq!(look(&silent), Look::Other);
}

#[test]
fn long_values_are_cut_and_say_so() {
    let long = "x".repeat(VALUE_BYTES_MAX + 1);
    let head = format!("GET /{long} HTTP/1.1\r\nUser-Agent: {long}\r\n\r\n");
    let request = request(head.as_bytes());
    assert_eq!(
        (request.target.len(), request.target_cut),
        (VALUE_BYTES_MAX, true)
    );
    assert_eq!(request.user_agent.unwrap().len(), VALUE_BYTES_MAX);
    assert!(request.user_agent_cut);
}

/// A request as text: target, host and a body of one kind.
fn any_request() -> impl Strategy<Value = Vec<u8>> {
    (0usize..60, 0u8..3, any::<bool>()).prop_map(|(len, kind, bare)| {
        let end = if bare { "\n" } else { "\r\n" };
        let body = "G".repeat(len);
        let (field, body) = match kind {
            0 => (String::new(), String::new()),
            1 => (format!("Content-Length: {len}{end}"), body),
            _ => {
                let chunk = if len == 0 {
                    String::new()
                } else {
                    format!("{len:x};e=1{end}{body}{end}")
                };
                (
                    format!("Transfer-Encoding: chunked{end}"),
                    format!("{chunk}0{end}T: 1{end}{end}"),
                )
            }
        };
        format!("POST /{len} HTTP/1.1{end}Host: h{len}.example{end}{field}{end}{body}").into_bytes()
    })
}

proptest! {
    #[test]
    fn any_split_gives_the_requests(
        requests in proptest::collection::vec(any_request(), 1..5),
        mut cuts in proptest::collection::vec(0usize..2000, 0..10),
    ) {
        let stream = requests.concat();
        let expected: Vec<String> = requests
            .iter()
            .map(|request| request.split(|byte| *byte == b' ').nth(1).unwrap().to_vec())
            .map(|target| String::from_utf8(target).unwrap())
            .collect();
        for cut in &mut cuts {
            *cut %= stream.len() + 1;
        }
        cuts.push(stream.len());
        cuts.sort_unstable();
        let (mut pieces, mut from) = (Vec::new(), 0);
        for cut in cuts {
            pieces.push(&stream[from..cut]);
            from = cut;
        }
        let found = targets(&mut RequestStream::default(), &pieces);
        prop_assert_eq!(found, (expected, Progress::NeedMore));
    }

    #[test]
    fn any_bytes_and_any_damage_are_survived(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        requests in proptest::collection::vec(any_request(), 1..4),
        place in any::<prop::sample::Index>(),
        value in any::<u8>(),
        cut in any::<usize>(),
    ) {
        fuzz_requests(&bytes, cut);
        let mut stream = requests.concat();
        let at = place.index(stream.len());
        stream[at] = value;
        fuzz_requests(&stream, cut);
    }
}
