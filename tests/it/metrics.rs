//! `--metrics`: what Prometheus's own tool says of the file, and whether its numbers are those of the report.

#![allow(
    clippy::float_cmp,
    reason = "all numbers are whole and exact in a double"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use avscope::export::{CATALOGUE, Kind};
use serde_json::Value;

use crate::frames::{Frame, frames_of, write_pcap};
use crate::support::{avscope, pcaps, skip};

/// Metrics and report of one run.
struct Run {
    text: String,
    report: Value,
}

fn run(capture: &Path) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("avscope.prom");
    std::fs::write(&path, "what was there before").unwrap();
    let output = avscope()
        .args(["replay", "--quiet", "--format", "json", "--metrics"])
        .arg(&path)
        .arg(capture)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing is left beside it: {files:?}");
    Run {
        text: std::fs::read_to_string(&path).unwrap(),
        report: serde_json::from_slice(&output.stdout).unwrap(),
    }
}

impl Run {
    /// Samples by series, as written.
    fn samples(&self) -> BTreeMap<&str, f64> {
        let lines = self.text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(|line| line.rsplit_once(' ').unwrap());
        samples
            .map(|(series, value)| (series, value.parse().unwrap()))
            .collect()
    }

    /// The sum of all series of a metric whose labels contain all of `labels`.
    fn sum(&self, metric: &str, labels: &[&str]) -> f64 {
        let samples = self.samples();
        let of = samples.iter().filter(|(series, _)| {
            let name = series.split('{').next().unwrap();
            name == metric && labels.iter().all(|label| series.contains(label))
        });
        of.map(|(_, value)| value).sum()
    }
}

fn number(value: &Value) -> f64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number")) as f64
}

#[test]
fn promtool_finds_nothing_wrong() {
    let demo = run(&pcaps().join("demo.pcap"));
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        return skip(
            "metrics: promtool",
            "promtool is not installed (prometheus)",
        );
    };
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), demo.text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

#[test]
fn the_numbers_are_those_of_the_report() {
    let demo = run(&pcaps().join("demo.pcap"));
    let report = &demo.report;
    let exposures = report["exposures"].as_array().unwrap();
    assert!(exposures.len() > 5);
    for (metric, labels, expected) in [
        (
            "avscope_capture_frames_total",
            &[][..],
            &report["frames"]["read"],
        ),
        (
            "avscope_capture_frames_total",
            &["outcome=\"packet\""],
            &report["frames"]["packets"],
        ),
        (
            "avscope_capture_bytes_total",
            &[],
            &report["frames"]["captured_bytes"],
        ),
        (
            "avscope_flows_opened_total",
            &[],
            &report["flows"]["opened"],
        ),
        (
            "avscope_flows_ended_total",
            &["reason=\"end_of_flow\""],
            &report["flows"]["ended"]["end_of_flow"],
        ),
        (
            "avscope_dns_questions_total",
            &[],
            &report["name_services"]["questions"],
        ),
        (
            "avscope_facts_total",
            &["kind=\"tls_sni\""],
            &report["facts_by_kind"]["tls_sni"],
        ),
        (
            "avscope_reassembly_total",
            &["outcome=\"reassembled\""],
            &report["handshakes"]["reassembled"],
        ),
        (
            "avscope_traffic_bytes_total",
            &["locality=\"outbound\"", "direction=\"out\""],
            &report["outbound"]["total"]["bytes_out"],
        ),
        (
            "avscope_traffic_flows_total",
            &["locality=\"outbound\"", "coverage=\"attributed\""],
            &report["outbound"]["by_coverage"]["attributed"]["flows"],
        ),
        (
            "avscope_attributed_bytes_total",
            &["evidence=\"tls_sni\"", "direction=\"in\""],
            &report["outbound_attributed_by"]["tls_sni"]["bytes_in"],
        ),
    ] {
        assert_eq!(
            demo.sum(metric, labels),
            number(expected),
            "{metric} {labels:?}"
        );
    }
    let sum = |field: &str| {
        exposures
            .iter()
            .map(|exposure| number(&exposure[field]))
            .sum::<f64>()
    };
    let both = sum("bytes_out") + sum("bytes_in");
    assert_eq!(demo.sum("avscope_egress_bytes_total", &[]), both);
    assert_eq!(demo.sum("avscope_egress_flows_total", &[]), sum("flows"));
    assert_eq!(demo.sum("avscope_exposures", &[]), exposures.len() as f64);
    for axis in ["vendor_seat", "server_country", "operator_country"] {
        let label = format!("axis=\"{axis}\"");
        assert_eq!(
            demo.sum("avscope_jurisdiction_bytes_total", &[&label]),
            both,
            "{axis}"
        );
    }
    let equations = report["conservation"].as_array().unwrap().len();
    assert_eq!(
        demo.sum("avscope_conservation_holds", &[]),
        equations as f64
    );
    assert!(demo.text.contains(&format!(
        "avscope_ruleset_info{{digest=\"{}\"}} 1",
        report["ruleset"].as_str().unwrap()
    )));
}

#[test]
fn name_services_and_requests_are_counted_as_in_the_report() {
    let run = run(&pcaps().join("names-in-clear.pcap"));
    let report = &run.report;
    let services = &report["name_services"];
    let outcomes = services["by_outcome"].as_object().unwrap();
    assert!(number(&outcomes["nxdomain"]) > 0.0 && number(&outcomes["sinkholed"]) > 0.0);
    for (outcome, count) in outcomes {
        let label = format!("outcome=\"{outcome}\"");
        let metric = "avscope_dns_transactions_total";
        assert_eq!(run.sum(metric, &[&label]), number(count), "{outcome}");
    }
    assert_anomalies(&run);
    let kinds = report["facts_by_kind"].as_object().unwrap();
    assert!(kinds.contains_key("http_user_agent") && kinds.contains_key("dns_query"));
    for (kind, count) in kinds {
        let label = format!("kind=\"{kind}\"");
        assert_eq!(
            run.sum("avscope_facts_total", &[&label]),
            number(count),
            "{kind}"
        );
    }
    let exposures = report["exposures"].as_array().unwrap();
    let of = |field: &str| {
        let all = exposures
            .iter()
            .flat_map(|e| e["purposes"].as_array().unwrap());
        all.map(|purpose| number(&purpose[field])).sum::<f64>()
    };
    assert!(of("questions") > 0.0 && of("contacts") > 0.0);
    assert_eq!(
        run.sum("avscope_vendor_questions_total", &[]),
        of("questions")
    );
    assert_eq!(run.sum("avscope_contacts_total", &[]), of("contacts"));
    for (field, label) in [("contact", "attempted"), ("verdict", "indeterminate")] {
        let count = exposures.iter().filter(|e| e[field] == label).count();
        assert!(count > 0, "{field} {label}");
        let labels = &[&*format!("{field}=\"{label}\"")];
        assert_eq!(run.sum("avscope_exposures", labels), count as f64);
    }
}

/// What was odd about questions and answers is counted as in the report.
#[track_caller]
fn assert_anomalies(run: &Run) {
    for kind in [
        "unsolicited",
        "unsolicited_left_out",
        "repeated",
        "malformed",
        "refused",
        "forgotten",
    ] {
        assert_eq!(
            run.sum(
                "avscope_dns_anomalies_total",
                &[&format!("kind=\"{kind}\"")]
            ),
            number(&run.report["name_services"][kind]),
            "{kind}"
        );
    }
}

#[test]
fn second_copies_of_answers_are_counted_as_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let doubled = folder.path().join("doubled.pcap");
    let frames = frames_of(&pcaps().join("names-in-clear.pcap"));
    // Answers again, behind the window within which a packet that comes again is a copy and counts nowhere.
    let is_answer = |frame: &&Frame| frame.2[23] == 17 && frame.2[34..36] == [0, 53];
    let late = frames.iter().filter(is_answer).cloned();
    let late = late.map(|(nanos, len, bytes)| (nanos + 20_000_000, len, bytes));
    let mut twice: Vec<_> = frames.iter().cloned().chain(late).collect();
    twice.sort_by_key(|frame| frame.0);
    write_pcap(&doubled, &twice);
    let run = run(&doubled);
    assert_anomalies(&run);
    let services = &run.report["name_services"];
    assert!(number(&services["unsolicited_left_out"]) > 0.0);
}

#[test]
fn vendors_are_told_apart_with_hosts_and_first_sights() {
    let demo = run(&pcaps().join("demo.pcap"));
    let of_vendor: Vec<_> = demo.report["exposures"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["vendor"] == "kaspersky")
        .collect();
    let hosts: BTreeSet<_> = of_vendor
        .iter()
        .map(|e| e["host"].as_str().unwrap())
        .collect();
    let label = &["vendor=\"kaspersky\""];
    assert!(!hosts.is_empty());
    assert_eq!(demo.sum("avscope_vendor_hosts", label), hosts.len() as f64);
    let out: f64 = of_vendor.iter().map(|e| number(&e["bytes_out"])).sum();
    // The engine's vendor has a label of its own that ends alike.
    let is_its_own = |series: &str| {
        series.starts_with("avscope_egress_bytes_total")
            && series.contains("direction=\"out\"")
            && series
                .trim_end_matches('}')
                .split(['{', ','])
                .any(|own| own == label[0])
    };
    let samples = demo.samples();
    let own = samples.iter().filter(|(series, _)| is_its_own(series));
    assert_eq!(own.map(|(_, bytes)| bytes).sum::<f64>(), out);
    let first = demo.samples().into_iter().find(|(series, _)| {
        series.starts_with("avscope_vendor_first_seen_timestamp_seconds")
            && series.contains("vendor=\"kaspersky\"")
    });
    let (_, first) = first.unwrap();
    let expected = of_vendor
        .iter()
        .map(|e| e["first_seen"].as_str().unwrap())
        .min()
        .unwrap();
    let earliest = time_of(expected);
    assert!(
        first >= earliest && first < earliest + 86_400.0,
        "{first} {expected}"
    );
}

/// Whole seconds since 1970, by date(1).
fn time_of(text: &str) -> f64 {
    let output = Command::new("date")
        .args(["-u", "+%s", "-d", text])
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

#[test]
fn what_is_written_is_what_the_page_describes() {
    let page = include_str!("../../docs/METRICS.md");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `avscope_"))
        .collect();
    let expected: Vec<String> = CATALOGUE
        .iter()
        .map(|metric| {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            let labels: Vec<_> = metric
                .labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            format!(
                "| `{}` | {kind} | {} | {} |",
                metric.name,
                labels.join(" "),
                metric.help
            )
        })
        .collect();
    assert_eq!(rows, expected);
    let demo = run(&pcaps().join("demo.pcap"));
    let written: BTreeSet<&str> = demo
        .samples()
        .keys()
        .map(|series| series.split('{').next().unwrap())
        .collect();
    let mut described: BTreeSet<&str> = CATALOGUE.iter().map(|metric| metric.name).collect();
    // There only where somebody is expected: the test of that reads it.
    assert!(described.remove("avscope_expected_hosts"));
    // And these where policies are judged by.
    assert!(described.remove("avscope_findings"));
    assert!(described.remove("avscope_policies_info"));
    assert_eq!(written, described);
}

#[test]
fn a_flood_of_invented_names_adds_no_series() {
    let folder = tempfile::tempdir().unwrap();
    let series = |names: u32| {
        let path = folder.path().join(format!("{names}.pcap"));
        std::fs::write(&path, flood(names)).unwrap();
        let run = run(&path);
        assert_eq!(run.sum("avscope_facts_total", &[]), f64::from(names));
        let samples = run.samples();
        let series = samples.keys().map(|series| (*series).to_owned());
        series.collect::<BTreeSet<String>>()
    };
    let few = series(2);
    assert!(few.len() > 100);
    assert_eq!(series(2000), few);
}

/// A capture of so many connections, each of another host to another server with a name of its own in its ClientHello.
fn flood(names: u32) -> Vec<u8> {
    // A classic capture of raw IP packets (link type 101).
    let mut capture = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        capture.extend_from_slice(&word.to_le_bytes());
    }
    for number in 0..names {
        let hello = client_hello(&format!("host{number}.flood.example"));
        for (flags, seq, payload) in [(0x02, 100_u32, &[][..]), (0x18, 101, &hello)] {
            let mut packet = vec![0x45, 0];
            packet.extend_from_slice(&(40 + payload.len() as u16).to_be_bytes());
            packet.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
            packet.extend_from_slice(&(0x0a00_0001 + number).to_be_bytes());
            packet.extend_from_slice(&(0x0800_0001 + number).to_be_bytes());
            packet.extend_from_slice(&[0xc0, 0, 0x01, 0xbb]);
            packet.extend_from_slice(&seq.to_be_bytes());
            packet.extend_from_slice(&[0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
            packet.extend_from_slice(payload);
            let len = packet.len() as u32;
            for word in [1_700_000_000 + number / 1000, number % 1000, len, len] {
                capture.extend_from_slice(&word.to_le_bytes());
            }
            capture.extend_from_slice(&packet);
        }
    }
    capture
}

/// A ClientHello of TLS 1.2 with nothing but a name (RFC 5246 §7.4.1.2, RFC 6066 §3).
fn client_hello(name: &str) -> Vec<u8> {
    let len = name.len() as u16;
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0x13, 0x01, 1, 0]);
    body.extend_from_slice(&(len + 9).to_be_bytes());
    body.extend_from_slice(&[0, 0]);
    body.extend_from_slice(&(len + 5).to_be_bytes());
    body.extend_from_slice(&(len + 3).to_be_bytes());
    body.push(0);
    body.extend_from_slice(&len.to_be_bytes());
    body.extend_from_slice(name.as_bytes());
    let mut record = vec![22, 3, 1];
    record.extend_from_slice(&(body.len() as u16 + 4).to_be_bytes());
    record.extend_from_slice(&[1, 0]);
    record.extend_from_slice(&(body.len() as u16).to_be_bytes());
    record.extend_from_slice(&body);
    record
}

#[test]
fn labels_hold_no_address_and_no_name_from_the_wire() {
    let demo = run(&pcaps().join("demo.pcap"));
    for exposure in demo.report["exposures"].as_array().unwrap() {
        let host = exposure["host"].as_str().unwrap();
        assert!(!demo.text.contains(&format!("\"{host}\"")), "{host}");
        for sighting in exposure["evidence"].as_array().unwrap() {
            let name = sighting["value"].as_str().unwrap();
            assert!(!demo.text.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}

#[test]
fn a_path_that_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path(), Path::new("/dev/null")] {
        let output = avscope()
            .args(["replay", "--quiet", "--metrics"])
            .arg(path)
            .arg(pcaps().join("demo.pcap"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("is not a regular file"), "{said}");
    }
}

#[test]
fn a_capture_and_the_events_are_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("x.pcap");
    std::fs::copy(pcaps().join("demo.pcap"), &capture).unwrap();
    let before = std::fs::read(&capture).unwrap();
    let events = folder.path().join("events");
    for (metrics, word) in [
        (&capture, "is one of the captures"),
        (&events, "name one file"),
        (
            &folder.path().join("no/such/file.prom"),
            "is the folder there",
        ),
    ] {
        let output = avscope()
            .args(["replay", "--quiet", "--events"])
            .args([events.as_path(), Path::new("--metrics"), metrics, &capture])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(std::fs::read(&capture).unwrap(), before);
}
