//! The capture generator against tshark, which dissects what it wrote, and against itself.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot run must fail loudly"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[path = "../../examples/generate/generator/mod.rs"]
pub mod capture_generator;

use capture_generator::options::{Options, Shape};
use capture_generator::{generate, truth_path};

/// What tshark is asked for about each frame; the constants below index into it.
const FIELDS: [&str; 18] = [
    "ip.len",
    "ipv6.plen",
    "tcp.stream",
    "udp.stream",
    "tls.handshake.extensions_server_name",
    "http.host",
    "dns.qry.name",
    "dns.flags.response",
    "vlan.id",
    "_ws.malformed",
    "ip.checksum.status",
    "tcp.checksum.status",
    "udp.checksum.status",
    "icmp.checksum.status",
    "icmpv6.checksum.status",
    "ip.src",
    "ip.dst",
    "ipv6.src",
];
const CHECKSUMS: std::ops::Range<usize> = 10..15;
const IPV6_HEADER: u64 = 40;

/// What tshark found in a capture.
#[derive(Default)]
struct Dissected {
    frames: u64,
    ip_packets: u64,
    ip_bytes: u64,
    vlan_frames: u64,
    tcp_streams: BTreeSet<String>,
    udp_streams: BTreeSet<String>,
    names: BTreeMap<(&'static str, String), BTreeSet<String>>,
    /// Per TCP stream: all IP bytes, and those of packets from a private address.
    tcp_bytes: BTreeMap<String, (u64, u64)>,
    faults: Vec<String>,
}

fn is_private(address: &str) -> bool {
    match address.parse() {
        Ok(std::net::IpAddr::V4(address)) => address.is_private(),
        Ok(std::net::IpAddr::V6(address)) => address.octets()[0] & 0xfe == 0xfc,
        Err(_) => false,
    }
}

fn dissect(capture: &Path) -> Dissected {
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(capture);
    for preference in [
        "ip.check_checksum:TRUE",
        "tcp.check_checksum:TRUE",
        "udp.check_checksum:TRUE",
        "tcp.reassemble_out_of_order:TRUE",
    ] {
        command.args(["-o", preference]);
    }
    command.args(["-T", "fields", "-E", "occurrence=f", "-E", "separator=|"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "tshark failed: {output:?}");
    let mut found = Dissected::default();
    for (index, line) in String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .enumerate()
    {
        let values: Vec<&str> = line.split('|').collect();
        found.frame(index + 1, &values);
    }
    found
}

impl Dissected {
    fn frame(&mut self, number: usize, values: &[&str]) {
        self.frames += 1;
        self.vlan_frames += u64::from(!values[8].is_empty());
        if !values[9].is_empty() || values[CHECKSUMS].contains(&"0") {
            self.faults.push(format!("frame {number}: {values:?}"));
        }
        let bytes = match (values[0], values[1]) {
            ("", "") => 0,
            ("", v6) => v6.parse::<u64>().unwrap() + IPV6_HEADER,
            (v4, _) => v4.parse().unwrap(),
        };
        self.ip_packets += u64::from(bytes > 0);
        self.ip_bytes += bytes;
        let (tcp, udp) = (values[2], values[3]);
        if !tcp.is_empty() {
            self.tcp_streams.insert(tcp.to_owned());
            let sums = self.tcp_bytes.entry(tcp.to_owned()).or_default();
            sums.0 += bytes;
            if is_private(values[15]) || is_private(values[17]) {
                sums.1 += bytes;
            }
        }
        if !udp.is_empty() {
            self.udp_streams.insert(udp.to_owned());
        }
        self.name("tls_sni", values[4], tcp);
        self.name("http_host", values[5], tcp);
        if values[7] != "1" {
            self.name("dns_query", values[6], udp);
        }
    }

    fn name(&mut self, kind: &'static str, name: &str, stream: &str) {
        if !name.is_empty() {
            let streams = self.names.entry((kind, name.to_owned())).or_default();
            streams.insert(stream.to_owned());
        }
    }

    /// Flows and bytes of the TLS flows that asked for `names`.
    fn tls_flows(&self, names: &[&str]) -> (u64, u64, u64) {
        let mut sums = (0, 0, 0);
        for ((kind, name), streams) in &self.names {
            if *kind == "tls_sni" && names.contains(&name.as_str()) {
                for stream in streams {
                    let (all, home) = self.tcp_bytes[stream];
                    sums = (sums.0 + 1, sums.1 + home, sums.2 + all - home);
                }
            }
        }
        sums
    }
}

/// A small capture of `shape`.
fn small(shape: Shape, directory: &Path) -> Options {
    let name = format!("{}.pcap", shape.word());
    let mut options = Options::new(shape, directory.join(name));
    match shape {
        Shape::Office => options.packets = Some(20_000),
        Shape::ShortTls => options.flows = Some(1_500),
        Shape::Bulk => options.bytes = Some(2_000_000),
        Shape::SynFlood => options.packets = Some(5_000),
        Shape::Small => (options.packets, options.flows) = (Some(5_003), Some(300)),
        Shape::Concurrent => {
            options.flows = Some(2_000);
            options.nanoseconds = true;
        }
    }
    options
}

pub const SHAPES: [Shape; 6] = [
    Shape::Office,
    Shape::ShortTls,
    Shape::Bulk,
    Shape::SynFlood,
    Shape::Small,
    Shape::Concurrent,
];

/// The truth as a reader of the file sees it.
pub fn written_truth(capture: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(truth_path(capture)).unwrap()).unwrap()
}

#[test]
#[allow(clippy::disallowed_macros, reason = "a test that is skipped says so")]
fn generator_agrees_with_tshark() {
    if Command::new("tshark").arg("--version").output().is_err() {
        let why = "tshark is not installed (apt package tshark)";
        assert!(
            std::env::var("AVSCOPE_REQUIRE").as_deref() != Ok("all"),
            "{why}"
        );
        println!("SKIPPED generator_agrees_with_tshark: {why}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for shape in SHAPES {
        let options = small(shape, directory.path());
        generate(&options).unwrap();
        let truth = written_truth(&options.output);
        let found = dissect(&options.output);
        let word = shape.word();
        assert_eq!(found.faults, Vec::<String>::new(), "{word}");
        let count = |pointer: &str| truth.pointer(pointer).and_then(Value::as_u64).unwrap();
        assert_eq!(found.frames, count("/packets"), "{word}");
        assert_eq!(found.ip_packets, count("/ip_packets"), "{word}");
        assert_eq!(found.ip_packets, count("/frames_by_kind/ip"), "{word}");
        assert_eq!(found.ip_bytes, count("/ip_bytes"), "{word}");
        assert_eq!(found.vlan_frames, count("/vlan_frames"), "{word}");
        let flows = [&found.tcp_streams, &found.udp_streams].map(|streams| streams.len() as u64);
        let expected = [
            count("/flows_by_transport/tcp"),
            count("/flows_by_transport/udp"),
        ];
        assert_eq!(flows, expected, "{word}");
        let size = std::fs::metadata(&options.output).unwrap().len();
        assert_eq!(size, count("/file_bytes"), "{word}");
        names_agree(&found, &truth, word);
        vendors_agree(&found, &truth, word);
    }
}

fn names_agree(found: &Dissected, truth: &Value, word: &str) {
    let seen: BTreeMap<(String, String), u64> = found
        .names
        .iter()
        .map(|((kind, name), streams)| ((String::from(*kind), name.clone()), streams.len() as u64))
        .collect();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let stated: BTreeMap<(String, String), u64> = truth["names"]
        .as_array()
        .unwrap()
        .iter()
        .map(|count| {
            let key = (text(&count["kind"]), text(&count["name"]));
            (key, count["flows"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(seen, stated, "{word}");
}

/// Two vendors whose names no other vendor shares a suffix with, summed up from tshark's streams.
fn vendors_agree(found: &Dissected, truth: &Value, word: &str) {
    let suffixes = [
        ("eset", ".eset.com"),
        ("crowdstrike", ".cloudsink.net"),
        ("drweb", ".drweb.com"),
    ];
    for (vendor, suffix) in suffixes {
        let names: Vec<&str> = found
            .names
            .keys()
            .map(|(_, name)| name.as_str())
            .filter(|name| name.ends_with(suffix))
            .collect();
        let stated = truth["vendors"].as_array().unwrap();
        let stated = stated.iter().find(|count| count["vendor"] == vendor);
        let stated = stated.map_or((0, 0, 0), |count| {
            let number = |field: &str| count[field].as_u64().unwrap();
            (number("flows"), number("bytes_out"), number("bytes_in"))
        });
        assert_eq!(found.tls_flows(&names), stated, "{word}: {vendor}");
    }
}

#[test]
fn same_seed_gives_same_bytes_and_another_seed_others() {
    let directory = tempfile::tempdir().unwrap();
    for shape in SHAPES {
        let mut options = small(shape, directory.path());
        let mut written = Vec::new();
        for (name, seed) in [("first.pcap", 1), ("again.pcap", 1), ("other.pcap", 2)] {
            options.output = directory.path().join(name);
            options.seed = seed;
            generate(&options).unwrap();
            written.push(std::fs::read(&options.output).unwrap());
        }
        assert!(written[0] == written[1], "{}", shape.word());
        assert!(written[0] != written[2], "{}", shape.word());
    }
}

#[test]
fn lines_about_flows_add_up_to_the_truth() {
    let directory = tempfile::tempdir().unwrap();
    for shape in SHAPES {
        let lines: PathBuf = directory.path().join("flows.jsonl");
        let mut options = small(shape, directory.path());
        options.flows_truth = Some(lines.clone());
        generate(&options).unwrap();
        let truth = written_truth(&options.output);
        let mut tuples = BTreeSet::new();
        let (mut packets, mut bytes, mut named) = (0, 0, 0);
        for line in std::fs::read_to_string(&lines).unwrap().lines() {
            let flow: Value = serde_json::from_str(line).unwrap();
            let pair = |field: &str| {
                let sides = flow[field].as_array().unwrap();
                sides.iter().map(|side| side.as_u64().unwrap()).sum::<u64>()
            };
            packets += pair("packets");
            bytes += pair("bytes");
            named += u64::from(flow["name_kind"] == "tls_sni");
            // Both directions must be one tuple, so the ends are put in order.
            let end = |side: &str| format!("{} {}", flow[side], flow[format!("{side}_port")]);
            let (one, other) = (end("source"), end("destination"));
            let ends = (one.clone().min(other.clone()), one.max(other));
            assert!(
                tuples.insert((flow["protocol"].to_string(), ends)),
                "{line}"
            );
        }
        let word = shape.word();
        assert_eq!(truth["flows"], tuples.len(), "{word}");
        assert_eq!(truth["ip_packets"].as_u64(), Some(packets), "{word}");
        assert_eq!(truth["ip_bytes"].as_u64(), Some(bytes), "{word}");
        assert_eq!(truth["tls_flows_with_sni"].as_u64(), Some(named), "{word}");
        let places = &truth["bytes"];
        let by_place = [
            &places["outbound_flows"]["out"],
            &places["outbound_flows"]["in"],
            &places["home_home"],
            &places["transit"],
        ];
        let placed_bytes: u64 = by_place.iter().map(|value| value.as_u64().unwrap()).sum();
        assert_eq!(placed_bytes, bytes, "{word}");
        let silence = truth["longest_silence_nanoseconds"].as_u64().unwrap();
        assert!(silence <= 25_000_000_000, "{word}: {silence}");
    }
}
