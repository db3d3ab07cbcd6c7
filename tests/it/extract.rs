//! `avscope extract`: the packets that prove something, as they were captured, and no others; tshark reads them.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::frames::{
    BEGIN, Connection, Data, End, Frame, SECOND, frames_of, hello, resolved, tls, write_pcap,
};
use super::support::{avscope, pcaps, skip};

const CLIENT: End = ([192, 168, 1, 10], 40_001);
const SERVER: End = ([203, 0, 113, 7], 443);
const VENDOR: &str = "update.eset.com";
const ANOTHER: &str = "p07.upd.kaspersky.com";

fn report(args: &[&str], path: &Path) -> Value {
    let output = avscope()
        .args(["replay", "-q", "--format", "json"])
        .args(args)
        .arg(path)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Runs the command; what it said, and that it ended with this code.
#[track_caller]
fn extract(args: &[&str], paths: &[&Path], code: i32) -> String {
    let output = avscope()
        .args(["extract", "-q"])
        .args(args)
        .args(paths)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A frame that was written: link type, time in nanoseconds, length on the wire, its number in the input, bytes.
struct Written {
    link_type: u16,
    frame: Frame,
    seq: usize,
}

/// Numbers in the input of the frames that were written.
pub fn seqs_written(content: &[u8]) -> Vec<usize> {
    written(content).iter().map(|frame| frame.seq).collect()
}

/// Takes the pcapng that was written apart; it is always little-endian, with nanoseconds.
fn written(content: &[u8]) -> Vec<Written> {
    let word = |at: usize| u32::from_le_bytes(content[at..at + 4].try_into().unwrap());
    let half = |at: usize| u16::from_le_bytes(content[at..at + 2].try_into().unwrap());
    let (mut at, mut link_types, mut found) = (0, Vec::new(), Vec::new());
    while at < content.len() {
        let len = word(at + 4) as usize;
        match word(at) {
            1 => link_types.push(half(at + 8)),
            6 => {
                let captured = word(at + 20) as usize;
                let bytes = content[at + 28..at + 28 + captured].to_vec();
                let comment = at + 28 + captured.next_multiple_of(4);
                assert_eq!(half(comment), 1, "a comment");
                let words = &content[comment + 4..comment + 4 + usize::from(half(comment + 2))];
                let words = std::str::from_utf8(words).unwrap();
                let nanos = (u64::from(word(at + 12)) << 32) | u64::from(word(at + 16));
                found.push(Written {
                    link_type: link_types[word(at + 8) as usize],
                    frame: (nanos, word(at + 24), bytes),
                    seq: words.strip_prefix("seq ").unwrap().parse().unwrap(),
                });
            }
            _ => {}
        }
        at += len;
    }
    found
}

/// What tshark reads in a capture, as one line a packet.
fn tshark(path: &Path, fields: &[&str]) -> Option<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(path);
    command.args(["-o", "http.tcp.port:80,3128,8080,8888"]);
    command.args(["-T", "fields", "-E", "separator=|", "-E", "aggregator=,"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.stderr(Stdio::null()).output().ok()?;
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.lines().map(str::to_owned).collect())
}

/// What tshark is asked for about every packet of a proof.
const FIELDS: [&str; 7] = [
    "tls.handshake.extensions_server_name",
    "http.host",
    "http.request.uri",
    "http.user_agent",
    "dns.qry.name",
    "ip.dst",
    "ipv6.dst",
];

/// In which of them it shows a fact of a kind.
fn places_of(kind: &str) -> &'static [usize] {
    match kind {
        "tls_sni" => &[0],
        "http_host" | "http_connect" => &[1, 2],
        "http_uri" => &[2],
        "http_user_agent" => &[3],
        "dns_query" | "dns_answer" | "dns_answer_other" => &[4],
        "asn" | "ip_prefix" => &[5, 6],
        other => panic!("no field for {other}"),
    }
}

#[test]
fn every_exposure_is_proved_by_its_packets() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("proof.pcapng");
    let mut kinds = BTreeSet::new();
    for name in ["names-in-clear.pcap", "demo.pcap"] {
        let path = pcaps().join(name);
        let source = frames_of(&path);
        let report = report(&[], &path);
        let exposures = list(&report["exposures"]);
        assert!(exposures.len() >= 15, "{name}");
        for exposure in exposures {
            let id = exposure["id"].as_str().unwrap();
            let said = extract(&["--exposure", id, "-w", text(&out)], &[&path], 0);
            let frames = written(&std::fs::read(&out).unwrap());
            assert!(
                said.contains(&format!("{} packets", frames.len())),
                "{said}"
            );
            assert!(!frames.is_empty());
            assert!(frames.windows(2).all(|two| two[0].seq < two[1].seq));
            for each in &frames {
                assert_eq!(each.link_type, 1);
                assert!(each.frame == source[each.seq], "{name} {id}: {}", each.seq);
            }
            let Some(shown) = tshark(&out, &FIELDS) else {
                return skip("extract", "tshark is not there");
            };
            assert_eq!(shown.len(), frames.len());
            for item in list(&exposure["evidence"]) {
                let (kind, value) = (
                    item["kind"].as_str().unwrap(),
                    item["value"].as_str().unwrap(),
                );
                kinds.insert(kind.to_owned());
                let seq = item["seq"].as_u64().unwrap() as usize;
                assert!(frames.iter().any(|frame| frame.seq == seq), "{item}");
                let value = value.to_ascii_lowercase();
                let places = places_of(kind);
                let has = |line: &String| {
                    let line = line.to_ascii_lowercase();
                    let fields: Vec<_> = line.split('|').collect();
                    places.iter().any(|place| fields[*place].contains(&value))
                };
                assert!(
                    shown.iter().any(has),
                    "{name} {id}: {item} is not in {shown:?}"
                );
            }
        }
    }
    for kind in [
        "tls_sni",
        "http_host",
        "dns_query",
        "dns_answer",
        "dns_answer_other",
    ] {
        assert!(kinds.contains(kind), "{kind} among {kinds:?}");
    }
}

/// The places of the frames between two ends.
fn between(frames: &[Frame], one: u16, other: u16) -> Vec<usize> {
    let ports = |frame: &[u8]| {
        let packet = etherparse::SlicedPacket::from_ethernet(frame).ok()?;
        match packet.transport? {
            etherparse::TransportSlice::Tcp(tcp) => {
                Some([tcp.source_port(), tcp.destination_port()])
            }
            etherparse::TransportSlice::Udp(udp) => {
                Some([udp.source_port(), udp.destination_port()])
            }
            _ => None,
        }
    };
    (0..frames.len())
        .filter(|at| {
            let ports = ports(&frames[*at].2);
            ports == Some([one, other]) || ports == Some([other, one])
        })
        .collect()
}

fn flow_ids(path: &Path, port: u16) -> Vec<u64> {
    let output = avscope()
        .args(["replay", "-q", "--events", "-"])
        .arg(path)
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let mut found: Vec<(String, u64)> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["event_type"] == "flow" && line["src_port"] == port)
        .map(|line| {
            (
                line["flow"]["start"].as_str().unwrap().to_owned(),
                line["flow_id"].as_u64().unwrap(),
            )
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, id)| id).collect()
}

fn seqs(out: &Path) -> Vec<usize> {
    let frames = written(&std::fs::read(out).unwrap());
    frames.iter().map(|frame| frame.seq).collect()
}

#[test]
fn a_flow_is_all_of_its_packets() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("flow.pcapng");
    let path = pcaps().join("names-in-clear.pcap");
    let source = frames_of(&path);
    for (client, server) in [(40_024, 80), (40_031, 3128), (40_016, 443)] {
        let ids = flow_ids(&path, client);
        assert_eq!(ids.len(), 1);
        extract(
            &["--flow", &ids[0].to_string(), "-w", text(&out)],
            &[&path],
            0,
        );
        let wanted = between(&source, client, server);
        assert!(wanted.len() > 10);
        assert_eq!(seqs(&out), wanted);
    }
}

/// Two connections between the same ends, and in the meantime somebody else's.
fn twice(folder: &Path) -> (PathBuf, usize) {
    let mut frames = tls(BEGIN, CLIENT, SERVER, VENDOR, false);
    let first = frames.len();
    frames.extend(tls(
        BEGIN + SECOND,
        ([192, 168, 1, 11], 40_001),
        SERVER,
        "www.example.org",
        false,
    ));
    frames.extend(tls(BEGIN + 400 * SECOND, CLIENT, SERVER, ANOTHER, false));
    let path = folder.join("twice.pcap");
    write_pcap(&path, &frames);
    (path, first)
}

fn exposure_of(report: &Value, vendor: &str) -> String {
    let found: Vec<_> = list(&report["exposures"])
        .iter()
        .filter(|exposure| exposure["vendor"] == vendor)
        .collect();
    assert_eq!(found.len(), 1, "{vendor}");
    found[0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_later_flow_between_the_same_ends_is_another_flow() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let (path, first) = twice(folder.path());
    let second = first * 2..first * 3;
    let report = report(&[], &path);
    let (eset, kaspersky) = (
        exposure_of(&report, "eset"),
        exposure_of(&report, "kaspersky"),
    );
    // Up to the frame that completes the evidence: three to open, and the hello.
    for (id, begin) in [(&eset, 0), (&kaspersky, first * 2)] {
        extract(&["--exposure", id, "-w", text(&out)], &[&path], 0);
        assert_eq!(seqs(&out), (begin..begin + 4).collect::<Vec<_>>());
    }
    for (id, whole) in [(&eset, 0..first), (&kaspersky, second.clone())] {
        let args = ["--whole-flows", "--exposure", id, "-w", text(&out)];
        extract(&args, &[&path], 0);
        assert_eq!(seqs(&out), whole.collect::<Vec<_>>());
    }
    let ids = flow_ids(&path, CLIENT.1);
    let whole = [0..first, first..first * 2, second];
    assert_eq!(ids.len(), 3);
    for (id, whole) in ids.iter().zip(whole) {
        extract(&["--flow", &id.to_string(), "-w", text(&out)], &[&path], 0);
        assert_eq!(seqs(&out), whole.collect::<Vec<_>>());
    }
}

/// The frames of an office: one client that talks to a vendor three times under one name, asks for the name three times and once for
/// another of its names; with the number of those that belong to it. In between lies what belongs to others.
fn contacts_and_questions(folder: &Path) -> (PathBuf, Vec<usize>) {
    const RESOLVER: End = ([192, 168, 1, 1], 53);
    const ADDRESS: [(&str, u32, Data<'_>); 1] = [(VENDOR, 60, Data::Address(SERVER.0))];
    let end = |host: u8, port: u16| ([192, 168, 1, host], port);
    let parts = [
        (
            true,
            resolved(0, end(10, 50_001), RESOLVER, VENDOR, &ADDRESS),
        ),
        (true, tls(0, end(10, 40_001), SERVER, VENDOR, false)),
        (false, tls(0, end(11, 40_001), SERVER, VENDOR, false)),
        (
            false,
            tls(0, end(10, 40_009), SERVER, "www.example.org", false),
        ),
        (
            true,
            resolved(0, end(10, 50_002), RESOLVER, VENDOR, &ADDRESS),
        ),
        (true, tls(0, end(10, 40_002), SERVER, VENDOR, false)),
        (
            false,
            tls(0, end(10, 40_003), ([203, 0, 113, 8], 443), ANOTHER, false),
        ),
        (false, resolved(0, end(10, 50_009), RESOLVER, ANOTHER, &[])),
        (true, tls(0, end(10, 40_004), SERVER, VENDOR, false)),
        // The ends of the first connection once more, long after it: for somebody else.
        (
            false,
            tls(0, end(10, 40_001), SERVER, "www.example.org", false),
        ),
        (
            true,
            resolved(0, end(10, 50_003), RESOLVER, VENDOR, &ADDRESS),
        ),
        (
            false,
            resolved(0, end(11, 50_001), RESOLVER, VENDOR, &ADDRESS),
        ),
    ];
    let (mut frames, mut wanted) = (Vec::new(), Vec::new());
    for (number, (is_wanted, part)) in (0u64..).zip(parts) {
        for (nanos, wire_len, bytes) in part {
            if is_wanted {
                wanted.push(frames.len());
            }
            frames.push((BEGIN + number * 400 * SECOND + nanos, wire_len, bytes));
        }
    }
    let path = folder.join("office.pcap");
    write_pcap(&path, &frames);
    (path, wanted)
}

#[test]
fn whole_flows_are_all_flows_of_the_exposure() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let (path, wanted) = contacts_and_questions(folder.path());
    let report = report(&[], &path);
    let exposure = list(&report["exposures"])
        .iter()
        .find(|exposure| exposure["vendor"] == "eset" && exposure["host"] == "192.168.1.10")
        .unwrap();
    let id = exposure["id"].as_str().unwrap();
    let args = ["--exposure", id, "-w", text(&out)];
    // Two names are listed, one asked for and one contacted: the answer, and what opens the first connection with the hello.
    extract(&args, &[&path], 0);
    assert!(seqs(&out).len() < wanted.len() / 2, "the evidence alone");
    for workers in ["1", "2"] {
        let args = [&args[..], &["--whole-flows", "--workers", workers]].concat();
        let said = extract(&args, &[&path], 0);
        assert_eq!(seqs(&out), wanted);
        assert!(said.contains(" packets of 6 flows "), "{said}");
    }
}

/// The numbers of the packets of all conversations of `host` in which tshark sees one of the names; asked for or contacted.
fn conversations(path: &Path, host: &str, names: &[&str]) -> Option<Vec<usize>> {
    const FIELDS: [&str; 9] = [
        "ip.src",
        "ip.dst",
        "ipv6.src",
        "ipv6.dst",
        "tcp.stream",
        "udp.stream",
        "tls.handshake.extensions_server_name",
        "http.host",
        "dns.qry.name",
    ];
    let lines = tshark(path, &FIELDS)?;
    let lines: Vec<Vec<&str>> = lines.iter().map(|line| line.split('|').collect()).collect();
    let is_wanted = |line: &&Vec<&str>| {
        line[..4].contains(&host)
            && line[6..]
                .iter()
                .any(|shown| names.iter().any(|name| shown.eq_ignore_ascii_case(name)))
    };
    let streams: BTreeSet<(&str, &str)> = lines
        .iter()
        .filter(is_wanted)
        .map(|line| (line[4], line[5]))
        .collect();
    let found = lines.iter().enumerate();
    let found = found.filter(|(_, line)| streams.contains(&(line[4], line[5])));
    Some(found.map(|(at, _)| at).collect())
}

#[test]
fn whole_flows_of_the_demo_are_the_conversations_that_tshark_sees() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let path = pcaps().join("demo.pcap");
    let report = report(&[], &path);
    let mut repeated = 0;
    for exposure in list(&report["exposures"]) {
        let evidence = list(&exposure["evidence"]);
        let by_name = |item: &Value| {
            let kind = item["kind"].as_str().unwrap();
            ["tls_sni", "http_host", "dns_query"].contains(&kind)
        };
        // Of programs and addresses tshark does not know whose they are.
        if !evidence.iter().all(by_name) {
            continue;
        }
        let names: Vec<_> = evidence
            .iter()
            .map(|item| item["value"].as_str().unwrap())
            .collect();
        let (id, host) = (
            exposure["id"].as_str().unwrap(),
            exposure["host"].as_str().unwrap(),
        );
        let Some(wanted) = conversations(&path, host, &names) else {
            return skip("extract", "tshark is not there");
        };
        let args = ["--whole-flows", "--exposure", id, "-w", text(&out)];
        extract(&args, &[&path], 0);
        assert_eq!(seqs(&out), wanted, "{host} {names:?}");
        repeated += usize::from(exposure["flows"].as_u64().unwrap() > evidence.len() as u64);
    }
    assert!(repeated > 0, "an exposure with more flows than names");
}

#[test]
fn a_hello_in_pieces_is_extracted_with_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let path = folder.path().join("pieces.pcap");
    let mut connection = Connection::open(BEGIN, CLIENT, SERVER);
    connection.ask(&hello(VENDOR, false), 16);
    let shown = connection.frames.len();
    connection.answer(&[22, 3, 3, 0, 4, 2, 0, 0, 0], 1400);
    write_pcap(&path, &connection.close());
    let id = exposure_of(&report(&[], &path), "eset");
    extract(&["--exposure", &id, "-w", text(&out)], &[&path], 0);
    assert_eq!(seqs(&out), (0..shown).collect::<Vec<_>>());
    let Some(names) = tshark(&out, &["tls.handshake.extensions_server_name"]) else {
        return skip("extract", "tshark is not there");
    };
    assert!(names.iter().any(|name| name == VENDOR), "{names:?}");
}

#[test]
fn what_nothing_has_the_name_of_is_said_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let (path, _) = twice(folder.path());
    for args in [["--exposure", "0000000000000000"], ["--flow", "1"]] {
        let said = extract(&[args[0], args[1], "-w", text(&out)], &[&path], 1);
        assert!(said.contains("the captures and options that the report was made with"));
        assert!(!out.exists());
    }
}

#[test]
fn standard_input_and_captures_as_output_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = twice(folder.path());
    let id = exposure_of(&report(&[], &path), "eset");
    let content = std::fs::read(&path).unwrap();
    let out = folder.path().join("out.pcapng");
    let said = extract(&["--exposure", &id, "-w", text(&out), "-"], &[], 1);
    assert!(
        said.contains("standard input cannot be read twice"),
        "{said}"
    );
    let link = folder.path().join("link.pcap");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for (to, from) in [
        (&path, &path),
        (&link, &path),
        (&path, &folder.path().to_owned()),
    ] {
        let said = extract(&["--exposure", &id, "-w", text(to)], &[from], 1);
        assert!(said.contains("is one of the captures"), "{said}");
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
    let nowhere = folder.path().join("no/such/folder.pcapng");
    let said = extract(&["--exposure", &id, "-w", text(&nowhere)], &[&path], 1);
    assert!(said.contains("cannot create"), "{said}");
}

#[test]
fn a_pipe_takes_the_packets_to_tshark() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = twice(folder.path());
    let id = exposure_of(&report(&[], &path), "eset");
    let output = avscope()
        .args(["extract", "-q", "--exposure", &id, "-w", "-"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success());
    let Ok(mut tshark) = Command::new("tshark")
        .args(["-n", "-r", "-", "-T", "fields"])
        .args(["-e", "tls.handshake.extensions_server_name"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
    else {
        return skip("extract into a pipe", "tshark is not there");
    };
    tshark
        .stdin
        .take()
        .unwrap()
        .write_all(&output.stdout)
        .unwrap();
    let shown = tshark.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains(VENDOR));
}

#[test]
fn folders_and_compressed_captures_are_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = folder.path().join("inputs/office");
    std::fs::create_dir_all(&inputs).unwrap();
    let (path, first) = twice(folder.path());
    let plain = std::fs::read(&path).unwrap();
    let file = std::fs::File::create(inputs.join("twice.pcap.gz")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    gzip.finish().unwrap();
    std::fs::write(inputs.join("notes.txt"), "no capture").unwrap();
    let out = folder.path().join("out.pcapng");
    let inputs = folder.path().join("inputs");
    for options in [
        &[][..],
        &["--site-from-path"],
        &["--isolate"],
        &["--workers", "3"],
    ] {
        let id = exposure_of(&report(options, &inputs), "eset");
        let args = [
            options,
            &["--whole-flows", "--exposure", &id, "-w", text(&out)],
        ]
        .concat();
        extract(&args, &[&inputs], 0);
        assert_eq!(seqs(&out), (0..first).collect::<Vec<_>>(), "{options:?}");
    }
}

#[test]
fn worlds_at_one_site_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = folder.path().join("inputs");
    std::fs::create_dir(&inputs).unwrap();
    let frames = tls(BEGIN, CLIENT, SERVER, VENDOR, false);
    write_pcap(&inputs.join("1.pcap"), &frames[..5]);
    // In a world of its own the rest of the connection is another flow.
    write_pcap(&inputs.join("2.pcap"), &frames[5..]);
    let options = ["--isolate", "--site", "here"];
    let id = exposure_of(&report(&options, &inputs), "eset");
    let out = folder.path().join("out.pcapng");
    let args = [
        &options[..],
        &["--whole-flows", "--exposure", &id, "-w", text(&out)],
    ]
    .concat();
    extract(&args, &[&inputs], 0);
    assert_eq!(seqs(&out), (0..5).collect::<Vec<_>>());
}

#[test]
fn of_a_damaged_capture_what_can_be_read_is_extracted() {
    let folder = tempfile::tempdir().unwrap();
    let (path, first) = twice(folder.path());
    let mut content = std::fs::read(&path).unwrap();
    content.truncate(content.len() - 5);
    std::fs::write(&path, content).unwrap();
    let id = exposure_of(&report(&[], &path), "eset");
    let out = folder.path().join("out.pcapng");
    let args = ["--whole-flows", "--exposure", &id, "-w", text(&out)];
    let said = extract(&args, &[&path], 4);
    assert!(said.contains("the file ends inside a record"), "{said}");
    assert_eq!(seqs(&out), (0..first).collect::<Vec<_>>());
}

/// Each packet keeps its link type, its time and its length.
#[test]
fn link_types_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let path = pcaps().join("link-types/interfaces.pcapng");
    let shown = |path: &Path| {
        let fields = [
            "frame.time_epoch",
            "frame.len",
            "frame.encap_type",
            "tcp.srcport",
            "tcp.len",
        ];
        tshark(path, &fields)
    };
    let Some(source) = shown(&path) else {
        return skip("link types", "tshark is not there");
    };
    let mut ports: Vec<u16> = source_ports(&source);
    ports.dedup();
    let (mut all, mut flows) = (Vec::new(), 0);
    for port in ports {
        for id in flow_ids(&path, port) {
            flows += 1;
            extract(&["--flow", &id.to_string(), "-w", text(&out)], &[&path], 0);
            let (packets, seqs) = (shown(&out).unwrap(), seqs(&out));
            assert_eq!(packets.len(), seqs.len());
            for (packet, seq) in packets.iter().zip(&seqs) {
                assert_eq!(packet, &source[*seq]);
            }
            all.extend(seqs);
        }
    }
    all.sort_unstable();
    assert_eq!(flows, 3);
    // Every packet belongs to one of the flows.
    assert_eq!(all, (0..source.len()).collect::<Vec<_>>());
}

/// Source ports in a column of what tshark showed, in order.
fn source_ports(shown: &[String]) -> Vec<u16> {
    let mut ports: Vec<_> = shown
        .iter()
        .filter_map(|line| line.split('|').nth(3)?.parse().ok())
        .collect();
    ports.sort_unstable();
    ports
}
