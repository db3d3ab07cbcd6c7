//! `avscope extract`: the packets that prove something, as they were captured, and no others; tshark reads them.

mod flows;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::frames::{BEGIN, Connection, End, Frame, SECOND, frames_of, hello, tls, write_pcap};
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
