//! The command line as its user meets it: words, exit codes, pipes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use serde_json::Value;

use super::support::{avscope, pcaps};

fn stderr_of(args: &[&str], code: i32) -> String {
    let output = avscope().args(args).assert().code(code);
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

fn stdout_of(args: &[&str]) -> String {
    let output = avscope().args(args).assert().code(0);
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

#[test]
fn inputs_that_cannot_be_read_are_named_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for (path, words) in [
        (
            folder.path().join("none.pcap").to_str().unwrap().to_owned(),
            "cannot open",
        ),
        (file("empty.pcap", b""), "is empty"),
        (
            file("text.pcap", b"hello there, this is no capture"),
            "neither pcap nor pcapng",
        ),
        (
            file("short.pcap", &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0]),
            "ends inside the pcap header",
        ),
        (
            file("packed.pcap.gz", &[0x1f, 0x8b, 8, 0, 0, 0]),
            "before anything could be decompressed",
        ),
        (
            file("packed.pcap.zst", &[0x28, 0xb5, 0x2f, 0xfd, 0, 0]),
            "before anything could be decompressed",
        ),
    ] {
        for command in ["replay", "names"] {
            let words_seen = stderr_of(&[command, &path], 1);
            assert!(
                words_seen.contains(&path) && words_seen.contains(words),
                "{words_seen}"
            );
        }
    }
}

#[test]
fn one_bad_file_among_good_ones_costs_only_itself() {
    let good = pcaps().join("link-types/ethernet-us-le.pcap");
    let good = good.to_str().unwrap();
    let output = avscope()
        .args(["names", "--format", "json", "nowhere.pcap", good])
        .assert()
        .code(4);
    assert_eq!(
        String::from_utf8_lossy(&output.get_output().stdout)
            .lines()
            .count(),
        3
    );
    assert!(
        String::from_utf8_lossy(&output.get_output().stderr).contains("nowhere.pcap: cannot open")
    );
}

#[test]
fn damage_is_reported_with_its_offset() {
    let path = pcaps().join("link-types/cut-in-a-record.pcap");
    let words = stderr_of(&["replay", path.to_str().unwrap()], 4);
    assert!(
        words.contains("offset ") && words.contains("ends inside a record"),
        "{words}"
    );
}

#[test]
fn a_closed_pipe_is_success() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_avscope"))
        .args(["replay", "--events", "-"])
        .arg(pcaps().join("demo.pcap"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    // The reader is gone with the statement above, most of the events unread.
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    serde_json::from_str::<Value>(&first).unwrap();
}

#[test]
fn events_on_standard_output_leave_it_to_them() {
    let demo = pcaps().join("demo.pcap");
    let output = avscope()
        .args(["replay", "--events", "-"])
        .arg(&demo)
        .assert()
        .code(0);
    let output = output.get_output();
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.len() > 200);
    assert!(String::from_utf8_lossy(&output.stderr).contains("Who talks to which security vendor"));
}

#[test]
fn a_stream_gives_the_same_as_the_file() {
    let demo = pcaps().join("demo.pcap");
    let content = std::fs::read(&demo).unwrap();
    let from_file = stdout_of(&["names", "--format", "json", demo.to_str().unwrap()]);
    let output = avscope()
        .args(["names", "--format", "json", "-"])
        .write_stdin(content)
        .assert()
        .code(0);
    assert_eq!(
        String::from_utf8_lossy(&output.get_output().stdout),
        from_file
    );
}

#[test]
fn all_formats_show_the_same_exposures() {
    let demo = pcaps().join("demo.pcap");
    let demo = demo.to_str().unwrap();
    let json: Value =
        serde_json::from_str(&stdout_of(&["replay", "--format", "json", demo])).unwrap();
    let exposures = json["exposures"].as_array().unwrap();
    let csv = stdout_of(&["replay", "--format", "csv", demo]);
    assert_eq!(csv.lines().count(), exposures.len() + 1);
    let table = stdout_of(&["replay", demo]);
    for exposure in exposures {
        for text in [
            exposure["host"].as_str().unwrap(),
            exposure["vendor"].as_str().unwrap(),
        ] {
            assert!(csv.contains(text) && table.contains(text), "{text}");
        }
    }
    assert!(table.contains("checkpoint (IL)") && table.contains("kaspersky (RU)"));
    assert_eq!(json["conservation_holds"], true);
    assert!(!table.contains("NOT "), "{table}");
}

#[test]
fn events_never_overwrite_a_capture() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("office.pcap");
    std::fs::copy(pcaps().join("demo.pcap"), &capture).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&capture, &link).unwrap();
    let before = std::fs::metadata(&capture).unwrap().len();
    for events in [&capture, &link] {
        let words = stderr_of(
            &[
                "replay",
                "--events",
                events.to_str().unwrap(),
                capture.to_str().unwrap(),
            ],
            1,
        );
        assert!(words.contains("is one of the captures"), "{words}");
    }
    assert_eq!(std::fs::metadata(&capture).unwrap().len(), before);
    let full = stderr_of(
        &["replay", "--events", "/dev/full", capture.to_str().unwrap()],
        1,
    );
    assert!(full.contains("cannot write events"), "{full}");
    for (command, words) in [
        ("replay", "cannot write the report"),
        ("names", "cannot write the names"),
    ] {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_avscope"))
            .arg(command)
            .arg(&capture)
            .stdout(full)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(words),
            "{command}"
        );
    }
}

#[test]
fn an_input_given_twice_is_noticed_and_a_path_cannot_move_the_cursor() {
    let demo = pcaps().join("link-types/raw-ip.pcap");
    let demo = demo.to_str().unwrap();
    assert!(stderr_of(&["names", "-", "-"], 1).contains("standard input can be read once"));
    assert!(stderr_of(&["names", demo, demo], 0).contains("counted twice"));
    let words = stderr_of(&["names", "no\u{1b}[31mne.pcap"], 1);
    assert!(
        words.contains("no\\x1b[31mne.pcap") && !words.contains('\u{1b}'),
        "{words}"
    );
}

#[test]
fn explain_says_what_why_and_how_sure() {
    for (what, words) in [
        (
            "ksn-file-geo.kaspersky-labs.com",
            &["kaspersky", "RU", "reputation"][..],
        ),
        (
            "kav8.zonealarm.com",
            &["Check Point", "AO Kaspersky Lab", "engine"],
        ),
        ("77.74.176.10", &["Kaspersky", "AS200107", "unknown"]),
        ("www.example.org", &["no rule"]),
        ("notkaspersky.com", &["no rule"]),
        ("192.168.1.1", &["unknown"]),
    ] {
        let text = stdout_of(&["explain", what]);
        for word in words {
            assert!(text.contains(word), "{what}: {word} in {text}");
        }
    }
}

#[test]
fn the_rules_pass_their_own_test() {
    let text = stdout_of(&["rules", "test"]);
    assert!(text.contains("unproven"), "{text}");
    stdout_of(&["rules", "check"]);
    let list = stdout_of(&["rules", "list", "--format", "json"]);
    assert!(list.lines().count() > 100);
}

#[test]
fn a_bad_rule_file_shows_file_line_and_known_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acme.toml");
    std::fs::write(
        &path,
        "format = 1\n\n[vendor]\nid = \"acme\"\nname = \"Acme\"\n",
    )
    .unwrap();
    let demo = pcaps().join("demo.pcap");
    let output = avscope()
        .args(["replay", "--rules"])
        .arg(folder.path())
        .arg(demo)
        .assert()
        .code(1);
    let words = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    for word in ["acme.toml", "line 5", "legal_name"] {
        assert!(words.contains(word), "{word} in {words}");
    }
    assert_eq!(words.matches("unknown field").count(), 1, "{words}");
}

#[test]
fn limits_that_cannot_work_are_refused() {
    for args in [
        &["--workers", "0"][..],
        &["--workers", "65"],
        &["--flows-max", "0"],
        &["--flows-max", "99999999999999"],
        &["--names-max", "18446744073709551615"],
        &["--batch-frames", "18446744073709551615"],
        &["--home-net", "10.0.0.0/40"],
        &["--site", ""],
    ] {
        for command in ["replay", "names"] {
            let mut all = vec![command];
            all.extend(args);
            all.push("x.pcap");
            assert!(!stderr_of(&all, 2).is_empty());
        }
    }
    avscope().args(["replay"]).assert().code(2);
    avscope().args(["nonsense"]).assert().code(2);
    avscope().args(["--help"]).assert().code(0);
    avscope().args(["replay", "--help"]).assert().code(0);
}

#[test]
fn home_networks_decide_who_is_a_host() {
    let demo = pcaps().join("demo.pcap");
    let demo = demo.to_str().unwrap();
    let table = stdout_of(&["replay", "--home-net", "198.51.100.0/24", demo]);
    assert!(
        table.contains("WARNING") && table.contains("--home-net"),
        "{table}"
    );
    let only = stdout_of(&[
        "replay",
        "--format",
        "csv",
        "--home-net",
        "192.168.10.21",
        demo,
    ]);
    assert!(
        only.lines()
            .skip(1)
            .all(|line| line.starts_with("192.168.10.21,"))
            && only.lines().count() > 1
    );
}

/// A capture that is cut while it is mapped ends with its name and a code of its own, not a bare signal.
#[test]
fn a_capture_cut_while_it_is_read_ends_with_its_name() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let content = std::fs::read(pcaps().join("demo.pcap")).unwrap();
    file.write_all(&content[..24]).unwrap();
    for _ in 0..40 {
        file.write_all(&content[24..]).unwrap();
    }
    file.flush().unwrap();
    // The same packets at the same times are copies, of which nothing would be told.
    let mut config = tempfile::NamedTempFile::new().unwrap();
    config
        .write_all(b"[mirror]\nduplicate_milliseconds = 0\n")
        .unwrap();
    // Events nobody reads: the program stops in the middle once the pipe is full.
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_avscope"))
        .args(["replay", "--workers", "1", "--events", "-", "--config"])
        .arg(config.path())
        .arg(file.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 1];
    stdout.read_exact(&mut first).unwrap();
    file.as_file().set_len(4096).unwrap();
    std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{words}");
    assert!(
        words.contains(file.path().to_str().unwrap()) && words.contains("was cut"),
        "{words}"
    );
}

#[test]
fn a_line_of_csv_can_be_read_apart_from_the_others() {
    let demo = pcaps().join("demo.pcap");
    let demo = demo.to_str().unwrap();
    let csv = stdout_of(&["replay", "--format", "csv", "--site", "here", demo]);
    let report = stdout_of(&["replay", "--format", "json", "--site", "here", demo]);
    let report: Value = serde_json::from_str(&report).unwrap();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let page = include_str!("../../docs/REPORT.md");
    let (_, section) = page.split_once("--format csv`\n").unwrap();
    let described: Vec<_> = section
        .lines()
        .filter(|line| line.starts_with('`') && line.ends_with('`'))
        .flat_map(str::split_whitespace)
        .map(|column| column.trim_matches('`'))
        .collect();
    assert_eq!(
        reader.headers().unwrap().iter().collect::<Vec<_>>(),
        described
    );
    let dataset = |which: &str| {
        let set = &report[which];
        let word = |field: &str| set[field].as_str().unwrap();
        format!("{} {}", word("name"), word("build_date"))
    };
    let exposures = report["exposures"].as_array().unwrap();
    let lines: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(lines.len(), exposures.len());
    for (line, exposure) in lines.iter().zip(exposures) {
        let column = |name: &str| {
            let at = described.iter().position(|column| *column == name);
            line.get(at.unwrap()).unwrap()
        };
        assert_eq!(column("country_dataset"), dataset("country_dataset"));
        assert_eq!(column("operator_dataset"), dataset("operator_dataset"));
        assert_eq!(column("id"), exposure["id"].as_str().unwrap());
        assert_eq!(column("site"), "here");
    }
}

#[test]
fn the_table_tells_sites_apart_and_says_where_nothing_was_contacted() {
    let sites = pcaps().join("multi-site");
    let sites = sites.to_str().unwrap();
    let report = stdout_of(&["replay", "--format", "json", "--site-from-path", sites]);
    let report: Value = serde_json::from_str(&report).unwrap();
    let table = stdout_of(&["replay", "--site-from-path", sites]);
    let mut hosts = std::collections::BTreeMap::<_, std::collections::BTreeSet<_>>::new();
    for exposure in report["exposures"].as_array().unwrap() {
        let (host, site) = (exposure["host"].as_str(), exposure["site"].as_str());
        hosts
            .entry(host.unwrap())
            .or_default()
            .insert(site.unwrap());
    }
    assert!(hosts.values().any(|sites| sites.len() > 1), "{hosts:?}");
    for (host, sites) in hosts {
        let rows = table
            .lines()
            .filter(|line| line.trim_start().starts_with(host));
        assert_eq!(rows.count(), sites.len(), "{host}");
        for site in sites {
            assert!(table.contains(&format!("at {site}")), "{site}");
        }
    }
    let demo = pcaps().join("demo.pcap");
    let demo = stdout_of(&["replay", demo.to_str().unwrap()]);
    let unseen: Vec<_> = demo
        .lines()
        .filter(|line| line.contains("none seen"))
        .collect();
    assert_eq!(unseen.len(), 1, "{unseen:?}");
    assert!(unseen[0].contains("reputation, only"), "{unseen:?}");
    assert!(demo.contains("attempted, medium") && demo.contains("(name resolved)"));
}
