//! Requests and questions in any delivery: split, swapped, doubled, overlapping, in one direction, with losses.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::frames::{
    ACK, BEGIN, Connection, Data, End, Frame, MILLISECOND, answer, frames_of, lines_of, question,
    run_frames, with_length,
};
use super::support::{Run, Way, pcaps};

const CLIENT: End = ([192, 168, 1, 10], 40_001);
const WEB: End = ([203, 0, 113, 7], 80);
const RESOLVER: End = ([9, 9, 9, 9], 53);
/// Frames that open a connection.
const OPENING: usize = 3;

/// What a client sends that keeps a connection, sends bodies of both kinds, and does not wait for answers. One body holds
/// what looks like a request.
const REQUESTS: &[u8] = b"GET /1 HTTP/1.1\r\nHost: one.example\r\n\r\n\
    POST /2 HTTP/1.1\r\nHost: two.example\r\nContent-Length: 47\r\n\r\n\
    GET /no HTTP/1.1\r\nHost: body.example:80\r\n\r\n1234\
    PUT /3 HTTP/1.1\r\nHost: three.example\r\nTransfer-Encoding: chunked\r\n\r\n\
    2a;name=value\r\nGET /no HTTP/1.1\r\nHost: chunk.example\r\n\r\n1\r\n\
    3\r\nabc\r\n0\r\nTrailer: yes\r\n\r\n\
    GET /4 HTTP/1.1\r\nHost: four.example\r\nUser-Agent: pipelined/1\r\n\r\n\
    GET /5 HTTP/1.0\r\n\r\n";
const TOLD: [&str; 5] = [
    "/1 one.example",
    "/2 two.example",
    "/3 three.example",
    "/4 four.example",
    "/5 ",
];
const NAMES: [&str; 4] = [
    "one.example.org",
    "two.example.org",
    "a-name-that-is-longer-than-the-others.example.org",
    "four.example.org",
];

/// Questions and answers as they go over TCP.
fn questions_and_answers() -> (Vec<u8>, Vec<u8>) {
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    for (id, name) in (1..).zip(NAMES) {
        asked.extend(with_length(&question(id, name)));
        let records = [(name, 60, Data::Address([203, 0, 113, id as u8]))];
        answered.extend(with_length(&answer(id, name, &records)));
    }
    (asked, answered)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Requests that were told, in order.
pub fn requests(run: &Run) -> Vec<String> {
    lines_of(run, "http")
        .iter()
        .map(|line| {
            format!(
                "{} {}",
                text(&line["http"]["url"]),
                text(&line["http"]["hostname"])
            )
        })
        .collect()
}

/// Transactions that were told: the name, what became of it, and the address.
fn transactions(run: &Run) -> Vec<String> {
    lines_of(run, "dns")
        .iter()
        .map(|line| {
            format!(
                "{} {} {}",
                text(&line["dns"]["queries"][0]["rrname"]),
                text(&line["avscope"]["dns_outcome"]),
                text(&line["dns"]["answers"][0]["rdata"])
            )
        })
        .collect()
}

fn answered() -> Vec<String> {
    (1..)
        .zip(NAMES)
        .map(|(number, name)| format!("{name} answered 203.0.113.{number}"))
        .collect()
}

/// How the bytes of a side come.
#[derive(Clone, Debug)]
struct Delivery {
    /// Lengths of segments, over and over.
    sizes: Vec<usize>,
    /// How many bytes before it a segment repeats.
    overlaps: Vec<usize>,
    /// How far back a segment may come.
    delays: Vec<usize>,
    doubled: bool,
}

fn delivery() -> impl Strategy<Value = Delivery> {
    (
        proptest::collection::vec(1usize..80, 1..20),
        proptest::collection::vec(0usize..30, 1..8),
        proptest::collection::vec(0usize..8, 1..20),
        any::<bool>(),
    )
        .prop_map(|(sizes, overlaps, delays, doubled)| Delivery {
            sizes,
            overlaps,
            delays,
            doubled,
        })
}

impl Delivery {
    /// Segments: where in the stream each begins, and its bytes.
    fn segments(&self, stream: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let (mut found, mut at) = (Vec::new(), 0);
        let sizes = self.sizes.iter().cycle();
        let mut overlaps = self.overlaps.iter().cycle();
        for size in sizes {
            let end = (at + size).min(stream.len());
            let begin = at.saturating_sub(*overlaps.next().unwrap());
            for _ in 0..=usize::from(self.doubled) {
                found.push((begin, stream[begin..end].to_vec()));
            }
            at = end;
            if at == stream.len() {
                break;
            }
        }
        let mut delays = self.delays.iter().cycle();
        let mut keyed: Vec<_> = found
            .into_iter()
            .enumerate()
            .map(|(at, segment)| (at + delays.next().unwrap(), segment))
            .collect();
        keyed.sort_by_key(|(key, _)| *key);
        keyed.into_iter().map(|(_, segment)| segment).collect()
    }
}

/// A connection on which both sides send everything, the client first.
fn connection(server: End, asked: &[(usize, Vec<u8>)], answers: &[(usize, Vec<u8>)]) -> Vec<Frame> {
    let mut connection = Connection::open(BEGIN, CLIENT, server);
    let (client, server) = connection.next;
    for (at, bytes) in asked {
        connection.push(true, ACK, (client + *at as u32, server), bytes);
    }
    let sent = asked.iter().map(|(at, bytes)| at + bytes.len()).max();
    let acknowledged = client + sent.unwrap_or(0) as u32;
    for (at, bytes) in answers {
        connection.push(false, ACK, (server + *at as u32, acknowledged), bytes);
    }
    connection.next.0 = acknowledged;
    connection.close()
}

fn whole(stream: &[u8], size: usize) -> Vec<(usize, Vec<u8>)> {
    let pieces = stream.chunks(size).enumerate();
    pieces
        .map(|(at, piece)| (at * size, piece.to_vec()))
        .collect()
}

#[test]
fn segments_of_any_size_give_the_same_requests_and_transactions() {
    let (asked, answers) = questions_and_answers();
    for size in (1..64).chain([100, 200, 1400]) {
        let frames = connection(WEB, &whole(REQUESTS, size), &[]);
        let run = run_frames(frames, &Way::default());
        assert_eq!(requests(&run), TOLD, "{size} bytes");
        let frames = connection(RESOLVER, &whole(&asked, size), &whole(&answers, size));
        let run = run_frames(frames, &Way::default());
        assert_eq!(transactions(&run), answered(), "{size} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_delivery_gives_the_same_requests(way in delivery()) {
        let run = run_frames(connection(WEB, &way.segments(REQUESTS), &[]), &Way::default());
        prop_assert_eq!(requests(&run), TOLD);
        prop_assert_eq!(&run.report["handshakes"]["gaps"], 0);
    }

    #[test]
    fn any_delivery_gives_the_same_transactions(asking in delivery(), answering in delivery()) {
        let (asked, answers) = questions_and_answers();
        let frames = connection(RESOLVER, &asking.segments(&asked), &answering.segments(&answers));
        let run = run_frames(frames, &Way::default());
        prop_assert_eq!(transactions(&run), answered());
        prop_assert_eq!(&run.report["handshakes"]["gaps"], 0);
    }

    /// One side of a mirror port: the client's requests need no server, and answers repeat their questions.
    #[test]
    fn one_direction_gives_what_it_has(way in delivery()) {
        let frames = connection(WEB, &way.segments(REQUESTS), &[]);
        let client_only = frames.into_iter().filter(|(_, _, frame)| frame[26..30] == CLIENT.0);
        let run = run_frames(client_only.collect(), &Way::default());
        prop_assert_eq!(requests(&run), TOLD);

        let (asked, answers) = questions_and_answers();
        let frames = connection(RESOLVER, &way.segments(&asked), &way.segments(&answers));
        let from_client = frames.into_iter().filter(|(_, _, frame)| frame[26..30] == CLIENT.0);
        let run = run_frames(from_client.collect(), &Way::default());
        let unanswered: Vec<_> = NAMES.map(|name| format!("{name} unanswered ")).into();
        prop_assert_eq!(transactions(&run), unanswered);
        // Where answers begin only their beginning tells, if the client is not seen: it must come first.
        let in_order = Delivery { delays: vec![0], ..way };
        let frames = connection(RESOLVER, &[], &in_order.segments(&answers));
        let from_server = frames.into_iter().filter(|(_, _, frame)| frame[26..30] == RESOLVER.0);
        let run = run_frames(from_server.collect(), &Way::default());
        prop_assert_eq!(transactions(&run), answered());
        prop_assert_eq!(&run.report["name_services"]["unsolicited"], NAMES.len());
    }

    /// What is lost is lost; what was sent in other segments is told once the gap is passed over.
    #[test]
    fn behind_lost_segments_requests_and_answers_are_read_on(
        lost in proptest::collection::btree_set(1usize..40, 1..6),
    ) {
        let count = 100;
        let target = |number: usize| format!("/{number} host.example");
        let each: Vec<Vec<u8>> = (0..count)
            .map(|number| format!("GET /{number} HTTP/1.1\r\nHost: host.example\r\n\r\n").into())
            .collect();
        let kept = |frames: Vec<Frame>, first: usize| -> Vec<Frame> {
            let with_place = frames.into_iter().enumerate();
            with_place
                .filter(|(at, _)| *at < first || !lost.contains(&(at - first)))
                .map(|(_, frame)| frame)
                .collect()
        };
        let told: Vec<_> = (0..count).filter(|number| !lost.contains(number)).collect();
        let mut connection = Connection::open(BEGIN, CLIENT, WEB);
        for request in &each {
            connection.ask(request, 1400);
        }
        let run = run_frames(kept(connection.close(), OPENING), &Way::default());
        let wanted: Vec<_> = told.iter().copied().map(target).collect();
        prop_assert_eq!(requests(&run), wanted);
        prop_assert!(run.report["handshakes"]["gaps"].as_u64().unwrap() > 0);

        let name = |number: usize| format!("n{number}.example.org");
        let mut connection = Connection::open(BEGIN, CLIENT, RESOLVER);
        for number in 0..count {
            connection.ask(&with_length(&question(number as u16, &name(number))), 1400);
        }
        for number in 0..count {
            let name = name(number);
            let records = [(name.as_str(), 60, Data::Address([203, 0, 113, 1]))];
            connection.answer(&with_length(&answer(number as u16, &name, &records)), 1400);
        }
        let frames = connection.close();
        // Of the questions.
        let run = run_frames(kept(frames.clone(), OPENING), &Way::default());
        let of = |outcome: &str, run: &Run| -> BTreeSet<String> {
            lines_of(run, "dns")
                .iter()
                .filter(|line| line["avscope"]["dns_outcome"] == outcome)
                .map(|line| text(&line["dns"]["queries"][0]["rrname"]).to_owned())
                .collect()
        };
        let all: BTreeSet<_> = (0..count).map(name).collect();
        prop_assert_eq!(of("answered", &run), all.clone());
        prop_assert_eq!(&run.report["name_services"]["unsolicited"], lost.len());
        prop_assert!(run.report["handshakes"]["gaps"].as_u64().unwrap() > 0);
        // Of the answers.
        let run = run_frames(kept(frames, OPENING + count), &Way::default());
        let missing: BTreeSet<_> = lost.iter().copied().map(name).collect();
        let there: BTreeSet<_> = told.iter().copied().map(name).collect();
        prop_assert_eq!(of("unanswered", &run), missing);
        prop_assert_eq!(of("answered", &run), there);
        prop_assert!(run.report["handshakes"]["gaps"].as_u64().unwrap() > 0);
    }
}

/// A name in a capture: its kind, ends and text, without how often.
pub fn names(run: &Run) -> BTreeSet<String> {
    let without_count = |row: &String| row.rsplit_once(' ').unwrap().0.to_owned();
    run.names.iter().map(without_count).collect()
}

/// A transaction, as often as it may be told.
fn distinct(run: &Run) -> BTreeSet<String> {
    lines_of(run, "dns")
        .iter()
        .map(|line| {
            format!(
                "{} {} {} {}",
                line["src_ip"],
                line["src_port"],
                line["dns"]["queries"][0],
                line["avscope"]["dns_outcome"]
            )
        })
        .collect()
}

#[test]
fn every_packet_doubled_shows_the_same_names_and_transactions() {
    let frames = frames_of(&pcaps().join("names-in-clear.pcap"));
    let once = run_frames(frames.clone(), &Way::default());
    let doubled = frames.into_iter().flat_map(|frame| [frame.clone(), frame]);
    // Without the window that takes copies out: packets that a host repeats look so.
    let mut way = Way::default();
    way.mirror.duplicates.window = Duration::ZERO;
    let twice = run_frames(doubled.collect(), &way);
    assert_eq!(names(&once), names(&twice));
    assert_eq!(distinct(&once), distinct(&twice));
    assert_eq!(requests(&once), requests(&twice));
    // What differs: a question of a datagram is one asked again, and its answer's copy is one that nobody asked for.
    let count = |run: &Run, what: &str| run.report["name_services"][what].as_u64().unwrap();
    assert!(count(&twice, "repeated") > count(&once, "repeated"));
    assert!(count(&twice, "unsolicited") > count(&once, "unsolicited"));
    assert!(count(&twice, "questions") > count(&once, "questions"));
}

/// Where the head of a request that begins in this frame ends, and its target.
fn request_in(frame: &[u8]) -> Option<(usize, String)> {
    let packet = etherparse::SlicedPacket::from_ethernet(frame).ok()?;
    let Some(etherparse::TransportSlice::Tcp(tcp)) = packet.transport else {
        return None;
    };
    let payload = tcp.payload();
    let begins = [&b"GET "[..], b"POST ", b"PUT "];
    if !begins.iter().any(|method| payload.starts_with(method)) {
        return None;
    }
    let end = payload.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let target = payload.split(|byte| *byte == b' ').nth(1)?;
    let behind = payload.as_ptr() as usize - frame.as_ptr() as usize + end;
    Some((behind, String::from_utf8_lossy(target).into_owned()))
}

/// The name that a DNS message over UDP asks for.
fn question_in(frame: &[u8]) -> Option<String> {
    let packet = etherparse::SlicedPacket::from_ethernet(frame).ok()?;
    let Some(etherparse::TransportSlice::Udp(udp)) = packet.transport else {
        return None;
    };
    if udp.source_port() != 53 && udp.destination_port() != 53 {
        return None;
    }
    let (mut rest, mut labels) = (udp.payload().get(12..)?, Vec::new());
    while let Some((len, behind)) = rest.split_first().filter(|(len, _)| **len > 0) {
        let (label, behind) = behind.split_at_checked(usize::from(*len))?;
        labels.push(String::from_utf8_lossy(label).into_owned());
        rest = behind;
    }
    Some(labels.join("."))
}

#[test]
fn whatever_a_snapshot_length_leaves_whole_is_found() {
    let frames = frames_of(&pcaps().join("names-in-clear.pcap"));
    let all = run_frames(frames.clone(), &Way::default());
    let longest = frames
        .iter()
        .map(|(_, _, frame)| frame.len())
        .max()
        .unwrap();
    let mut named = Vec::new();
    for snap_len in (0..=420)
        .chain((421..=longest).step_by(61))
        .chain([longest])
    {
        let cut =
            |(time, len, frame): &Frame| (*time, *len, frame[..frame.len().min(snap_len)].to_vec());
        let run = run_frames(frames.iter().map(cut).collect(), &Way::default());
        let (targets, asked) = (requests(&run).join("\n"), distinct(&run));
        let lower: Vec<_> = asked.iter().map(|line| line.to_ascii_lowercase()).collect();
        for (_, _, frame) in &frames {
            if let Some((end, target)) = request_in(frame)
                && end <= snap_len
            {
                let path = target.trim_start_matches("http://");
                let path = path.find('/').map_or("", |at| &path[at..]);
                assert!(targets.contains(path), "{snap_len}: {target} in {targets}");
            }
            if let Some(name) = question_in(frame)
                && frame.len() <= snap_len
            {
                let name = name.to_ascii_lowercase();
                assert!(
                    lower.iter().any(|line| line.contains(&name)),
                    "{snap_len}: {name}"
                );
            }
        }
        assert!(
            names(&run).is_subset(&names(&all)),
            "{snap_len}: {:?}",
            names(&run).difference(&names(&all)).collect::<Vec<_>>()
        );
        named.push(run.names.len());
    }
    assert_eq!(named[0], 0);
    assert_eq!(named.last(), Some(&all.names.len()));
    assert!(named.is_sorted(), "{named:?}");
}

#[test]
fn a_mirror_that_repeats_and_loses_is_accounted_for() {
    // Every third frame twice, every seventh not at all.
    let frames = frames_of(&pcaps().join("names-in-clear.pcap"));
    let disturbed = frames.into_iter().enumerate().flat_map(|(at, frame)| {
        let times = usize::from(at % 7 != 6) * (1 + usize::from(at % 3 == 0));
        std::iter::repeat_n(frame, times)
    });
    let frames: Vec<_> = disturbed.collect();
    let one = run_frames(frames.clone(), &Way::default());
    let four = Way {
        workers: 4,
        batch_frames: 7,
        ..Way::default()
    };
    let other = run_frames(frames, &four);
    assert!(one.events == other.events);
    assert_eq!(one.report, other.report);
}

/// A second is waited for a retransmission, not longer.
#[test]
fn a_retransmission_closes_a_gap_and_a_second_without_it_ends_the_wait() {
    for (pause, told, gaps) in [(500, 4, 0), (1500, 3, 1)] {
        let mut connection = Connection::open(BEGIN, CLIENT, WEB);
        let each = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n\r\n");
        connection.ask(each("/1").as_bytes(), 1400);
        let lost = (connection.next, each("/2"));
        connection.next.0 += lost.1.len() as u32;
        connection.now += 100 * MILLISECOND;
        connection.ask(each("/3").as_bytes(), 1400);
        connection.now += pause * MILLISECOND;
        if gaps == 0 {
            connection.push(true, ACK, lost.0, lost.1.as_bytes());
        }
        connection.ask(each("/4").as_bytes(), 1400);
        let run = run_frames(connection.close(), &Way::default());
        assert_eq!(requests(&run).len(), told, "{pause} ms");
        assert_eq!(run.report["handshakes"]["gaps"], gaps, "{pause} ms");
    }
}

/// Nobody can say in which frame a request is complete whose beginning never comes; that something was there is counted.
#[test]
fn what_still_waits_behind_a_gap_at_the_end_is_counted() {
    let mut connection = Connection::open(BEGIN, CLIENT, WEB);
    connection.ask(b"GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\n", 1400);
    connection.next.0 += 50;
    connection.ask(b"GET /3 HTTP/1.1\r\nHost: a.example\r\n\r\n", 1400);
    let run = run_frames(connection.close(), &Way::default());
    assert_eq!(requests(&run), ["/1 a.example"]);
    assert_eq!(run.report["handshakes"]["gaps"], 1);
}
