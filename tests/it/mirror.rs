//! What a mirror port does: packets twice, bytes lost, one direction only. Expected numbers come from what was left out or doubled.

use serde_json::Value;

use super::deliveries::{names, requests};
use super::frames::{
    ACK, BEGIN, Connection, End, Frame, MILLISECOND, SECOND, frames_of, question, run_frames, udp,
};
use super::support::{Run, Way, pcaps};

const CLIENT: End = ([192, 168, 1, 10], 50_000);
const WEB: End = ([198, 51, 100, 7], 80);
const RESOLVER: End = ([198, 51, 100, 53], 53);

fn mirror(run: &Run, what: &str) -> u64 {
    run.report["mirror"][what].as_u64().unwrap()
}

fn no_window() -> Way {
    let mut way = Way::default();
    way.mirror.duplicates.window = std::time::Duration::ZERO;
    way
}

/// The report without the counters that copies are meant to change.
fn without_frames(run: &Run) -> Value {
    let mut report = run.report.clone();
    for part in ["frames", "mirror", "conservation", "home_net_hint"] {
        report.as_object_mut().unwrap().remove(part);
    }
    // Positions of frames differ.
    for exposure in report["exposures"].as_array_mut().unwrap() {
        exposure.as_object_mut().unwrap().remove("evidence");
    }
    report
}

#[test]
fn every_packet_doubled_changes_nothing_but_the_count_of_copies() {
    for capture in [
        "demo.pcap",
        "hello-deliveries.pcap",
        "name-services.pcap",
        "names-in-clear.pcap",
        "names-in-clear-answers.pcap",
        "names-in-clear-questions.pcap",
        "proxies.pcap",
        "quic.pcap",
        "tls-servers.pcap",
        "tunnels.pcap",
    ] {
        let frames = frames_of(&pcaps().join(capture));
        let once = run_frames(frames.clone(), &Way::default());
        let adjacent = frames
            .iter()
            .flat_map(|frame| [frame.clone(), frame.clone()]);
        // The copies of a few frames come together, as from a switch that forwards in bursts.
        let bursts = frames.chunks(3).flat_map(|burst| [burst, burst].concat());
        for doubled in [adjacent.collect::<Vec<_>>(), bursts.collect()] {
            let twice = run_frames(doubled, &Way::default());
            assert_eq!(names(&once), names(&twice), "{capture}");
            assert_eq!(without_frames(&once), without_frames(&twice), "{capture}");
            let frames = &once.report["frames"];
            for (copies, of) in [
                ("duplicate_packets", "packets"),
                ("duplicate_fragments", "fragments"),
            ] {
                assert_eq!(
                    mirror(&twice, copies),
                    frames[of].as_u64().unwrap() + mirror(&once, copies),
                    "{capture}: {of}"
                );
            }
            // What is within fragments comes once, when they are put together; all else that is around packets comes twice.
            assert_eq!(
                twice.report["frames"]["tunnel_overhead_bytes"]
                    .as_u64()
                    .unwrap(),
                frames["tunnel_overhead_bytes"].as_u64().unwrap()
                    + mirror(&twice, "duplicate_overhead_bytes"),
                "{capture}"
            );
            if capture == "tunnels.pcap" {
                assert!(mirror(&twice, "duplicate_overhead_bytes") > 0);
            }
        }
    }
}

/// What a switch and a router change on the way: link addresses, tag, time to live and the checksum of the header.
fn as_routed(frame: &Frame) -> Frame {
    let (nanos, wire_len, mut bytes) = frame.clone();
    bytes[0..12].copy_from_slice(&[2, 0, 0, 0, 9, 9, 2, 0, 0, 0, 8, 8]);
    bytes[22] -= 1;
    // RFC 1624: one less in the high byte of the word is 0x0100 more in the sum.
    let sum = u32::from(u16::from_be_bytes([bytes[24], bytes[25]])) + 0x0100;
    let sum = ((sum & 0xffff) + (sum >> 16)) as u16;
    bytes[24..26].copy_from_slice(&sum.to_be_bytes());
    bytes.splice(12..12, [0x81, 0, 0, 42]);
    (nanos + 300_000, wire_len + 4, bytes)
}

#[test]
fn a_copy_may_have_another_tag_link_addresses_and_time_to_live() {
    let mut connection = Connection::open(BEGIN, CLIENT, WEB);
    connection.ask(b"GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\n", 1400);
    let frames = connection.close();
    let doubled: Vec<_> = frames
        .iter()
        .flat_map(|frame| [frame.clone(), as_routed(frame)])
        .collect();
    let run = run_frames(doubled, &Way::default());
    assert_eq!(mirror(&run, "duplicate_packets"), frames.len() as u64);
    assert_eq!(requests(&run), ["/1 a.example"]);
    assert_eq!(run.report["outbound"]["total"]["packets"], frames.len());
}

#[test]
fn what_a_host_sends_again_is_no_copy() {
    // The same question after a second, and two that differ in their last byte at once.
    let first = udp(BEGIN, CLIENT, RESOLVER, &question(7, "a.example"));
    let mut again = first.clone();
    again.0 += SECOND;
    let other = udp(BEGIN + 1000, CLIENT, RESOLVER, &question(7, "b.example"));
    let mut late = first.clone();
    late.0 += MILLISECOND + 1;
    for (frames, packets) in [
        (vec![first.clone(), again], 2),
        (vec![first.clone(), other], 2),
        (vec![first.clone(), late], 2),
        (vec![first.clone(), first.clone()], 1),
    ] {
        let run = run_frames(frames, &Way::default());
        assert_eq!(run.report["outbound"]["total"]["packets"], packets);
    }
    let run = run_frames(vec![first.clone(), first], &no_window());
    assert_eq!(run.report["outbound"]["total"]["packets"], 2);
    assert_eq!(mirror(&run, "duplicate_packets"), 0);
}

#[test]
fn a_window_that_is_too_small_says_so() {
    let mut way = Way::default();
    way.mirror.duplicates.packets_max = 1;
    let frames: Vec<_> = (0..50)
        .map(|id| {
            udp(
                BEGIN + u64::from(id),
                CLIENT,
                RESOLVER,
                &question(id, "a.example"),
            )
        })
        .collect();
    let later = frames
        .iter()
        .cloned()
        .map(|(nanos, len, bytes)| (nanos + 1000, len, bytes));
    let all = frames.iter().cloned().chain(later).collect();
    let run = run_frames(all, &way);
    // Room for four a shard, and all are in one.
    assert_eq!(mirror(&run, "duplicate_packets"), 0);
    assert_eq!(mirror(&run, "duplicates_forgotten"), 96);
}

/// A connection whose server sends so many segments of 1,000 bytes, each acknowledged; those of which `lost` is true do not come
/// by, those of which `late` is true come behind their acknowledgment.
fn download(segments: u32, lost: impl Fn(u32) -> bool, late: impl Fn(u32) -> bool) -> Vec<Frame> {
    let mut connection = Connection::open(BEGIN, CLIENT, WEB);
    connection.ask(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", 1400);
    for number in 0..segments {
        connection.answer(&[number as u8; 1000], 1000);
        let segment = connection.frames.pop().unwrap();
        if !lost(number) && !late(number) {
            connection.frames.push(segment.clone());
        }
        connection.push(true, ACK, connection.next, &[]);
        if late(number) {
            connection.frames.push(segment);
        }
    }
    connection.close()
}

#[test]
fn what_was_acknowledged_and_never_seen_is_counted_to_the_byte() {
    let asked = 35;
    for (frames, unseen) in [
        (download(40, |_| false, |_| false), 0),
        (download(40, |number| number % 8 == 3, |_| false), 5000),
        (download(40, |number| number >= 38, |_| false), 2000),
        // A mirror port that shows the acknowledgment first loses nothing.
        (download(40, |_| false, |number| number % 3 == 1), 0),
        (
            download(40, |number| number % 8 == 3, |number| number % 8 == 5),
            5000,
        ),
    ] {
        let run = run_frames(frames, &Way::default());
        assert_eq!(mirror(&run, "tcp_unseen_bytes"), unseen);
        // The number of a FIN is acknowledged as a byte is; one for each side.
        assert_eq!(mirror(&run, "tcp_acknowledged_bytes"), 40_000 + asked + 2);
        assert_eq!(mirror(&run, "tcp_followed"), 1);
        assert_eq!(mirror(&run, "tcp_two_way"), 1);
    }
}

#[test]
fn one_direction_alone_is_said_and_is_no_loss() {
    for client_seen in [true, false] {
        let frames = download(20, |_| false, |_| false);
        let from_client = |frame: &Frame| frame.2[26..30] == CLIENT.0;
        let half: Vec<_> = frames
            .into_iter()
            .filter(|frame| from_client(frame) == client_seen)
            .collect();
        let run = run_frames(half, &Way::default());
        assert_eq!(mirror(&run, "tcp_one_way"), 1);
        assert_eq!(mirror(&run, "tcp_two_way"), 0);
        assert_eq!(mirror(&run, "tcp_unseen_bytes"), 0);
    }
}

#[test]
fn connections_beyond_those_followed_are_counted() {
    let mut way = Way::default();
    way.mirror.followed_max = 1;
    let mut frames = Vec::new();
    for port in 0..500 {
        let mut connection = Connection::open(BEGIN, (CLIENT.0, 40_000 + port), WEB);
        connection.ask(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", 1400);
        connection.answer(b"HTTP/1.1 204 \r\n\r\n", 1400);
        frames.extend(connection.frames);
    }
    let run = run_frames(frames, &way);
    // One in each of 64 shards.
    let (followed, refused) = (
        mirror(&run, "tcp_followed"),
        mirror(&run, "tcp_followed_refused"),
    );
    assert!(followed <= 64, "{followed}");
    assert_eq!(followed + refused, 500);
}
