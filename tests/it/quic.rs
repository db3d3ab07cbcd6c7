//! QUIC connections of a real client and server, as they came and in every way in which they can reach a sensor.

use std::collections::BTreeSet;
use std::time::Duration;

use avscope::pipeline::QuicSettings;
use serde_json::Value;

use super::frames::{Frame, MILLISECOND, frames_of, lines_of, run_frames};
use super::support::{Run, Way, expected, pcaps};

/// Frames of a connection of the capture.
fn frames_of_case(case: &str) -> Vec<Frame> {
    let expected = expected("quic.expected.json");
    let cases = expected["cases"].as_array().unwrap();
    let case = cases.iter().find(|entry| entry["case"] == case).unwrap();
    let port = (case["src_port"].as_u64().unwrap() as u16).to_be_bytes();
    let mut frames = frames_of(&pcaps().join("quic.pcap"));
    // Behind the headers of Ethernet and IPv4 lie both ports.
    frames.retain(|(_, _, bytes)| bytes[34..36] == port || bytes[36..38] == port);
    assert!(!frames.is_empty());
    frames
}

/// The same frame from or to another port of the client; the checksum of UDP is left out, as IPv4 allows.
fn moved(frame: &Frame, port: u16) -> Frame {
    let mut frame = frame.clone();
    let at = if frame.2[34..36] == 443u16.to_be_bytes() {
        36
    } else {
        34
    };
    frame.2[at..at + 2].copy_from_slice(&port.to_be_bytes());
    frame.2[40..42].copy_from_slice(&[0, 0]);
    frame
}

/// No packet is taken for a copy of another: what comes twice is meant to.
fn every_packet() -> Way {
    let mut way = Way::default();
    way.mirror.duplicates.window = Duration::ZERO;
    way
}

fn names(run: &Run) -> BTreeSet<String> {
    let lines = lines_of(run, "quic");
    lines
        .iter()
        .filter_map(|line| Some(line["quic"]["sni"].as_str()?.to_owned()))
        .collect()
}

fn coverage(run: &Run) -> Vec<String> {
    let lines = lines_of(run, "flow");
    lines
        .iter()
        .map(|line| line["avscope"]["coverage"].as_str().unwrap().to_owned())
        .collect()
}

fn counter(run: &Run, name: &str) -> u64 {
    run.report["quic"][name].as_u64().unwrap()
}

#[test]
fn every_connection_shows_what_its_client_asked_for_or_why_not() {
    let expected = expected("quic.expected.json");
    let run = run_frames(frames_of(&pcaps().join("quic.pcap")), &every_packet());
    let (told, flows) = (lines_of(&run, "quic"), lines_of(&run, "flow"));
    for case in expected["cases"].as_array().unwrap() {
        let of = |lines: &[Value]| -> Vec<Value> {
            let ends = ["src_ip", "src_port", "dest_ip", "dest_port"];
            let same = |line: &&Value| ends.iter().all(|end| line[end] == case[end]);
            lines.iter().filter(same).cloned().collect()
        };
        let (told, flows) = (of(&told), of(&flows));
        if case["named"] == true {
            let [line] = told.as_slice() else {
                panic!("{case}: {told:?}")
            };
            assert_eq!(line["quic"]["sni"], case["name"]);
            assert_eq!(line["quic"]["version"], case["version"], "{case}");
            assert_eq!(line["app_proto"], "quic");
            assert_fingerprint(line);
            assert_eq!(line["avscope"]["evidence"][0]["kind"], "quic_sni");
            let [flow] = flows.as_slice() else {
                panic!("{case}: {flows:?}")
            };
            assert_eq!(flow["quic"]["sni"], case["name"]);
            let bucket = if case["case"] == "vendor" {
                "attributed"
            } else {
                "named_not_security"
            };
            assert_eq!(flow["avscope"]["coverage"], bucket, "{flow}");
        } else {
            // A hello without a name is told all the same.
            let hellos = usize::from(case["case"] == "no-name");
            assert_eq!(told.len(), hellos, "{case}");
            assert!(
                told.iter().all(|line| line["quic"]["sni"].is_null()),
                "{case}"
            );
        }
    }
    // Where only the server was seen, it began.
    for unnamed in expected["unnamed"].as_array().unwrap() {
        let ports = [&unnamed["src_port"], &unnamed["dest_port"]];
        let flow = flows
            .iter()
            .find(|flow| ports.contains(&&flow["src_port"]) && ports.contains(&&flow["dest_port"]))
            .unwrap();
        assert_eq!(flow["app_proto"], "quic", "{unnamed}");
        assert_eq!(flow["avscope"]["coverage"], unnamed["reason"], "{unnamed}");
    }
    assert!(counter(&run, "initials_undecryptable") > 0);
    assert!(counter(&run, "hellos_reassembled") >= 4);
}

/// The client speaks TLS 1.3, gives a name and offers one protocol, `hq-interop`, perhaps behind one that is long.
fn assert_fingerprint(line: &Value) {
    let ja4 = line["quic"]["ja4"].as_str().unwrap();
    assert!(ja4.starts_with("q13d"), "{line}");
    let alpns = line["quic"]["client_alpns"].as_array().unwrap();
    assert!(alpns.iter().any(|alpn| alpn == "hq-interop"), "{line}");
    if alpns.len() == 1 {
        assert_eq!(&ja4[8..10], "hp", "{line}");
    }
    assert_eq!(
        line["avscope"]["client_hello"]["versions"][0], "TLS 1.3",
        "{line}"
    );
}

#[test]
fn any_order_and_copies_of_the_datagrams_give_the_name() {
    let frames = frames_of_case("large-retry");
    let port = frames[0].2[34..36].to_owned();
    // The client's Initials before the Retry, two, and behind it, two more.
    let client: Vec<_> = frames
        .iter()
        .filter(|(_, _, bytes)| bytes[34..36] == port)
        .take(4)
        .cloned()
        .collect();
    let wanted = BTreeSet::from(["large-retry.quic.example".to_owned()]);
    for doubled in [false, true] {
        for first in 0..4 {
            for second in (0..4).filter(|second| *second != first) {
                let rest = (0..4).filter(|at| ![first, second].contains(at));
                let mut order: Vec<usize> = [first, second].into_iter().chain(rest).collect();
                if doubled {
                    order = order.iter().flat_map(|at| [*at, *at]).collect();
                }
                let delivered = order.iter().map(|at| client[*at].clone()).collect();
                let run = run_frames(delivered, &every_packet());
                assert_eq!(names(&run), wanted, "{order:?}");
            }
        }
    }
}

#[test]
fn every_truncation_of_a_frame_has_a_reason() {
    let frames = frames_of_case("version-1");
    let mut captured = Vec::new();
    // Behind the packet lies padding of the datagram; both connection ids have eight bytes, and there is no token.
    let len = u16::from_be_bytes([frames[0].2[66], frames[0].2[67]]) & 0x3fff;
    let whole = 68 + usize::from(len);
    for len in (42..whole).step_by(7) {
        let (nanos, wire_len, mut bytes) = moved(&frames[0], 10_000 + len as u16);
        bytes.truncate(len);
        captured.push((nanos, wire_len, bytes));
    }
    let count = captured.len();
    let run = run_frames(captured, &every_packet());
    assert_eq!(names(&run), BTreeSet::new());
    let coverage = coverage(&run);
    assert_eq!(coverage.len(), count);
    let truncated = coverage.iter().filter(|word| *word == "truncated").count();
    // Cut within the first header, nothing says that it is QUIC.
    assert!(truncated + 3 >= count, "{coverage:?}");
}

#[test]
fn each_limit_is_felt_and_counted() {
    let frames = frames_of_case("large");
    let (first, second) = (&frames[0], &frames[1]);
    let with = |quic: QuicSettings| Way {
        quic,
        ..every_packet()
    };
    let limits = QuicSettings::default();
    // Hellos at a time: one for each of 64 shards.
    let many: Vec<_> = (0..400)
        .map(|at| moved(first, 10_000 + at))
        .chain((0..400).map(|at| moved(second, 10_000 + at)))
        .collect();
    let run = run_frames(
        many.clone(),
        &with(QuicSettings {
            hellos_max: 64,
            ..limits
        }),
    );
    let refused = counter(&run, "refused_hellos");
    assert!((400 - 64..400).contains(&refused), "{refused}");
    assert_eq!(counter(&run, "hellos_reassembled"), 400 - refused);
    let lost = coverage(&run).iter().filter(|word| *word == "lost").count();
    assert_eq!(lost as u64, refused);
    // Bytes they hold.
    let run = run_frames(
        many.clone(),
        &with(QuicSettings {
            hello_bytes_max: 64 * 1000,
            ..limits
        }),
    );
    assert!(counter(&run, "refused_pieces") > 0);
    assert_eq!(names(&run), BTreeSet::new());
    let run = run_frames(many, &every_packet());
    assert_eq!(counter(&run, "hellos_reassembled"), 400);
    // Packets that are opened in a flow.
    let copies = |count: usize| {
        let mut frames = vec![first.clone(); count];
        frames.push(second.clone());
        frames
    };
    let few = with(QuicSettings {
        initials_per_flow_max: 5,
        ..limits
    });
    assert_eq!(names(&run_frames(copies(4), &few)).len(), 1);
    let run = run_frames(copies(5), &few);
    assert_eq!((names(&run).len(), counter(&run, "given_up")), (0, 1));
    assert_eq!(coverage(&run), ["lost"]);
    assert_eq!(counter(&run, "initials_opened"), 5);
    // Datagrams that tell nothing while part of a hello waits.
    let server = frames_of_case("server-only");
    let answer = moved(&server[0], 51_999);
    let mut frames = vec![moved(first, 51_999)];
    frames.extend(vec![answer; 100]);
    frames.push(moved(second, 51_999));
    let run = run_frames(frames, &every_packet());
    assert_eq!((names(&run).len(), counter(&run, "given_up")), (0, 1));
    // And without any.
    let run = run_frames(vec![server[0].clone(); 100], &every_packet());
    assert_eq!(counter(&run, "initials_undecryptable"), 16);
    assert_eq!(coverage(&run), ["quic_undecryptable"]);
}

#[test]
fn a_version_that_nobody_knows_is_believed_only_if_a_known_salt_opens_it() {
    let wanted = BTreeSet::from(["unknown-version.quic.example".to_owned()]);
    let mut frames = frames_of_case("unknown-version");
    frames.truncate(1);
    assert_eq!(names(&run_frames(frames.clone(), &every_packet())), wanted);
    // The version is sealed with the rest.
    frames[0].2[43] ^= 1;
    let run = run_frames(frames, &every_packet());
    assert_eq!(names(&run), BTreeSet::new());
    assert_eq!(lines_of(&run, "flow")[0]["app_proto"], Value::Null);
}

#[test]
fn where_hellos_have_no_room_the_number_of_workers_does_not_show() {
    let mut frames = frames_of(&pcaps().join("quic.pcap"));
    let (first, second) = {
        let large = frames_of_case("large");
        (large[0].clone(), large[1].clone())
    };
    let end = frames.last().unwrap().0;
    for half in [&first, &second] {
        frames.extend((0..300).map(|at| {
            let (_, wire_len, bytes) = moved(half, 10_000 + at);
            (end, wire_len, bytes)
        }));
    }
    let way = |workers, batch_frames| Way {
        workers,
        batch_frames,
        quic: QuicSettings {
            hellos_max: 1,
            hello_bytes_max: 64 * 2000,
            initials_per_flow_max: 2,
        },
        ..every_packet()
    };
    let one = run_frames(frames.clone(), &way(1, 64));
    assert!(counter(&one, "refused_hellos") > 0);
    for (workers, batch_frames) in [(1, 7), (2, 64), (5, 1)] {
        let other = run_frames(frames.clone(), &way(workers, batch_frames));
        assert!(one.events == other.events);
        assert_eq!(one.report, other.report);
    }
}

/// Name and bytes of every flow; the name is empty where there is none.
fn flows_by_name(run: &Run) -> Vec<(String, u64)> {
    lines_of(run, "flow")
        .iter()
        .map(|line| {
            let bytes = ["bytes_toserver", "bytes_toclient"]
                .iter()
                .filter_map(|way| line["flow"][way].as_u64())
                .sum();
            let name = line["quic"]["sni"].as_str().unwrap_or_default().to_owned();
            (name, bytes)
        })
        .collect()
}

/// Frames on one pair of ports, one millisecond between each two.
fn on_one_port<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> Vec<Frame> {
    let moved = frames.into_iter().map(|frame| moved(frame, 51_999));
    let mut frames: Vec<_> = moved.collect();
    let begin = frames[0].0;
    for (at, frame) in frames.iter_mut().enumerate() {
        frame.0 = begin + at as u64 * MILLISECOND;
    }
    frames
}

/// Bytes at the IP layer.
fn ip_bytes(frames: &[Frame]) -> u64 {
    let lens = frames
        .iter()
        .map(|(_, _, bytes)| u64::from(u16::from_be_bytes([bytes[16], bytes[17]])));
    lens.sum()
}

/// Cases of the capture whose frames go between the same addresses.
const SEQUENCES: [&[&str]; 6] = [
    &["vendor", "version-1"],
    &["version-1", "vendor"],
    &["vendor", "large", "version-2"],
    &["large-reordered", "vendor", "retry"],
    &["retry", "large-retry", "vendor"],
    &["no-name", "vendor", "unknown-version", "doubled"],
];

#[test]
fn connections_one_after_another_between_the_same_ports_are_flows_of_their_own() {
    for cases in SEQUENCES {
        let parts: Vec<_> = cases.iter().map(|case| frames_of_case(case)).collect();
        // Both ends of every part are the same, so that one pair of ports is one key.
        let ends: BTreeSet<_> = parts
            .iter()
            .flatten()
            .map(|(_, _, bytes)| {
                let mut ends = [bytes[26..30].to_vec(), bytes[30..34].to_vec()];
                ends.sort();
                ends
            })
            .collect();
        assert_eq!(ends.len(), 1, "{cases:?}");
        let run = run_frames(on_one_port(parts.iter().flatten()), &every_packet());
        let wanted: Vec<_> = cases
            .iter()
            .zip(&parts)
            .map(|(case, part)| match *case {
                "no-name" => (String::new(), ip_bytes(part)),
                case => (name_of(case), ip_bytes(part)),
            })
            .collect();
        let sorted = |mut flows: Vec<(String, u64)>| {
            flows.sort();
            flows
        };
        assert_eq!(sorted(flows_by_name(&run)), sorted(wanted), "{cases:?}");
        assert_eq!(counter(&run, "untried"), 0);
    }
}

/// The name that the client of a case asked for.
fn name_of(case: &str) -> String {
    let expected = expected("quic.expected.json");
    let cases = expected["cases"].as_array().unwrap();
    let case = cases.iter().find(|entry| entry["case"] == case).unwrap();
    case["name"].as_str().unwrap().to_owned()
}

#[test]
fn a_connection_behind_one_whose_hello_never_came_whole_is_a_flow_of_its_own() {
    let vendor = frames_of_case("vendor");
    let large = frames_of_case("large");
    let frames = on_one_port(large[..1].iter().chain(&vendor));
    let (first, second) = (ip_bytes(&frames[..1]), ip_bytes(&frames[1..]));
    let run = run_frames(frames, &every_packet());
    let mut flows = flows_by_name(&run);
    flows.sort();
    assert_eq!(flows, [(String::new(), first), (name_of("vendor"), second)]);
    assert!(coverage(&run).contains(&"lost".to_owned()));
}

#[test]
fn what_is_repeated_or_comes_behind_retry_and_negotiation_stays_in_its_flow() {
    for case in [
        "version-1",
        "compatible-versions",
        "negotiated",
        "negotiated-late",
        "reserved-version",
        "retry",
        "retry-late",
        "large",
        "large-retry",
    ] {
        let frames = frames_of_case(case);
        // Every frame comes once more at the end, and once more behind itself.
        let again: Vec<_> = frames.iter().chain(&frames).collect();
        let doubled: Vec<_> = frames.iter().flat_map(|frame| [frame, frame]).collect();
        for order in [frames.iter().collect(), again, doubled] {
            let frames = on_one_port(order);
            let wanted = ip_bytes(&frames);
            let run = run_frames(frames, &every_packet());
            assert_eq!(flows_by_name(&run), [(name_of(case), wanted)], "{case}");
        }
    }
}

#[test]
fn a_connection_that_begins_late_in_a_flow_is_seen() {
    let vendor = frames_of_case("vendor");
    // Packets of a connection that began before the capture: those of this one with short headers.
    let short: Vec<_> = vendor
        .iter()
        .filter(|(_, _, bytes)| bytes[42] & 0x80 == 0)
        .collect();
    let before: Vec<_> = short.iter().copied().cycle().take(40).collect();
    let frames = on_one_port(before.iter().copied().chain(&vendor));
    let (earlier, later) = (ip_bytes(&frames[..40]), ip_bytes(&frames[40..]));
    let mut flows = flows_by_name(&run_frames(frames, &every_packet()));
    flows.sort();
    assert_eq!(
        flows,
        [(String::new(), earlier), (name_of("vendor"), later)]
    );
}

#[test]
fn tries_for_another_connection_are_bounded() {
    let (vendor, other) = (frames_of_case("vendor"), frames_of_case("version-1"));
    // The other's first packet, each with another connection id, so that it does not open.
    let damaged: Vec<_> = (1..=40u8)
        .map(|at| {
            let mut frame = other[0].clone();
            frame.2[48] ^= at;
            frame
        })
        .collect();
    // The client's own answers to its server are tried, too.
    for (tries, flows) in [(20, 2), (40, 1)] {
        let frames = vendor.iter().chain(&damaged[..tries]).chain(&other[..1]);
        let run = run_frames(on_one_port(frames), &every_packet());
        assert_eq!(flows_by_name(&run).len(), flows, "{tries}");
        assert_eq!(counter(&run, "untried") > 8, flows == 1);
    }
}
