//! Names in tunnels and in fragments: found, told with the layers around them, accounted for, and cut out again.

use std::collections::{BTreeMap, BTreeSet};

use avscope::capture::CaptureFiles;
use avscope::decode::TunnelKind;
use serde_json::Value;

use super::frames::{Frame, frames_of, write_pcap};
use super::support::{Run, Way, assert_conserved, avscope, expected, pcaps, run};

fn cases() -> Vec<Value> {
    let expected = expected("tunnels.expected.json");
    expected["tunnels"].as_array().unwrap().clone()
}

fn run_all(way: &Way) -> Run {
    run(&[pcaps().join("tunnels.pcap")], way)
}

fn lines(run: &Run) -> Vec<Value> {
    run.events
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

#[test]
fn every_name_is_found_in_its_wrapping_and_no_other() {
    let run = run_all(&Way::default());
    assert_conserved(&run, "tunnels.pcap");
    let mut found = BTreeMap::new();
    for line in lines(&run) {
        if line["event_type"] == "tls" {
            let layers = line["avscope"].get("tunnel").cloned();
            let name = line["tls"]["sni"].as_str().unwrap().to_owned();
            let port = line["src_port"].clone();
            found.insert(name, (layers.unwrap_or_else(|| Value::Array(vec![])), port));
        }
    }
    let mut meant = BTreeMap::new();
    for case in cases().iter().filter(|case| case["named"] == true) {
        let name = case["name"].as_str().unwrap().to_owned();
        meant.insert(name, (case["layers"].clone(), case["src_port"].clone()));
    }
    assert!(meant.len() > 40);
    assert_eq!(found, meant);
    // Every kind of layer is in the capture, and counted.
    let counted: BTreeSet<_> = run.report["frames"]["tunnels"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let all: BTreeSet<_> = TunnelKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(counted, all);
}

#[test]
fn bytes_around_packets_are_a_bucket_and_fragments_are_accounted_for() {
    let run = run_all(&Way::default());
    let frames = &run.report["frames"];
    let mut overhead = 0;
    for side in ["outbound", "home_home", "transit"] {
        let bucket = &run.report[side]["by_coverage"]["tunnel_overhead"];
        for way in ["bytes_out", "bytes_in"] {
            overhead += bucket[way].as_u64().unwrap_or_default();
        }
        assert_eq!(bucket["packets"].as_u64().unwrap_or_default(), 0);
    }
    assert!(overhead > 0);
    assert_eq!(frames["tunnel_overhead_bytes"], overhead);
    let outcomes = &frames["datagrams"]["by_outcome"];
    assert_eq!(outcomes["overlapping"], 1, "of IPv6");
    assert_eq!(outcomes["unfinished"], 1, "a fragment is missing");
    assert!(frames["datagrams"]["packets"].as_u64() > Some(9));
    // One datagram holds a fragment of another.
    assert_eq!(frames["datagrams"]["fragments"], 1);
}

#[test]
fn all_frames_of_a_flow_in_fragments_are_cut_out() {
    let path = pcaps().join("tunnels.pcap");
    let cases = cases();
    let run = run_all(&Way::default());
    let folder = tempfile::tempdir().unwrap();
    let mut first = 0;
    for case in &cases {
        let packets = case["packets"].as_u64().unwrap();
        let (from, to) = (first, first + packets);
        first = to;
        let name = case["case"].as_str().unwrap();
        if ![
            "fragments-reversed",
            "fragments-ipv6",
            "vxlan-in-fragments",
            "fragments-in-fragments",
            "erspan-2",
        ]
        .contains(&name)
        {
            continue;
        }
        let flow = lines(&run)
            .into_iter()
            .find(|line| line["tls"]["sni"] == case["name"])
            .unwrap()["flow_id"]
            .to_string();
        let out = folder.path().join(format!("{name}.pcapng"));
        avscope()
            .args(["extract", "-q", "--flow", &flow, "-w"])
            .args([&out, &path])
            .assert()
            .success();
        let seqs = super::extract::seqs_written(&std::fs::read(&out).unwrap());
        let all: Vec<_> = (from..to).map(|seq| seq as usize).collect();
        assert_eq!(seqs, all, "{name}");
    }
}

/// Frames of the capture in another order or number, read as a capture of its own.
fn names_of(frames: &[Frame], way: &Way) -> (BTreeSet<String>, Run) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frames.pcap");
    write_pcap(&path, frames);
    let run = run(&[path], way);
    assert_conserved(&run, "frames.pcap");
    (run.names.clone(), run)
}

#[test]
fn every_frame_doubled_shows_the_same_names() {
    let frames = frames_of(&pcaps().join("tunnels.pcap"));
    let doubled: Vec<_> = frames
        .iter()
        .flat_map(|frame| [frame.clone(), frame.clone()])
        .collect();
    let once = names_of(&frames, &Way::default()).0;
    assert_eq!(names_of(&doubled, &Way::default()).0, once);
}

#[test]
fn cut_at_any_length_the_sums_match_for_any_number_of_workers() {
    let frames = frames_of(&pcaps().join("tunnels.pcap"));
    let all = names_of(&frames, &Way::default()).0;
    for snap_len in (0..=520).step_by(13) {
        let cut: Vec<_> = frames
            .iter()
            .map(|(time, len, frame)| (*time, *len, frame[..frame.len().min(snap_len)].to_vec()))
            .collect();
        let (names, one) = names_of(&cut, &Way::default());
        assert!(names.is_subset(&all), "{snap_len}");
        let many = Way {
            workers: 3,
            batch_frames: 5,
            ..Way::default()
        };
        let other = names_of(&cut, &many).1;
        assert!(one.events == other.events, "{snap_len}");
        assert_eq!(one.report, other.report, "{snap_len}");
    }
}

#[test]
fn fragment_limits_are_felt_and_counted() {
    let path = pcaps().join("tunnels.pcap");
    let mut source = CaptureFiles::new(vec![path]);
    let mut settings = super::support::settings(&Way::default());
    settings.fragments.pieces_max = 2;
    settings.fragments.datagrams_max = 1;
    let outcome = avscope::pipeline::replay(&mut source, &settings, &mut Nobody).unwrap();
    let datagrams = &outcome.frames.datagrams;
    let ended = |outcome: avscope::flow::DatagramOutcome| datagrams.ended[outcome.index()];
    assert!(ended(avscope::flow::DatagramOutcome::TooManyPieces) > 0);
    assert!(ended(avscope::flow::DatagramOutcome::NoRoom) > 0);
    assert_eq!(datagrams.begun, datagrams.ended.iter().sum::<u64>());
}

struct Nobody;

impl avscope::pipeline::EventSink for Nobody {
    fn event(&mut self, _: avscope::aggregate::EventRef<'_>) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the tunnels take is in no packet of its own, and stands in the table all the same: its rows add up.
#[test]
fn the_table_lists_what_the_tunnels_take() {
    let capture = pcaps().join("tunnels.pcap");
    let output = avscope().arg("replay").arg(&capture).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let rows = table.lines().filter(|line| line.ends_with(" % "));
    let shares: Vec<(bool, f64)> = rows
        .map(|line| {
            let share = line.trim_end_matches(" % ").rsplit(' ').next().unwrap();
            (line.contains("all outbound"), share.parse().unwrap())
        })
        .collect();
    let sum: f64 = shares.iter().filter(|row| !row.0).map(|row| row.1).sum();
    assert!(table.contains(" tunnel_overhead "), "{table}");
    assert!((sum - 100.0).abs() < 0.3, "{sum}: {table}");
}
