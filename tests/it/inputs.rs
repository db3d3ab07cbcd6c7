//! Everything an analyst may point the program at: folders, compressed files, pieces, halves, sites, pipes, and what is damaged.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::support::{Way, assert_conserved, avscope, pcaps, records, run};

fn demo() -> Vec<u8> {
    std::fs::read(pcaps().join("demo.pcap")).unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(content, 1).unwrap()
}

fn write(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}

/// A capture of these records.
fn piece(header: &[u8], records: &[&[u8]]) -> Vec<u8> {
    [header, &records.concat()].concat()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The report of a run of the program, and what it said.
fn report(args: &[&str], paths: &[&Path], code: i32) -> (Value, String) {
    let output = avscope()
        .args(["replay", "--format", "json"])
        .args(args)
        .args(paths)
        .assert()
        .code(code);
    let output = output.get_output();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (report, text(&output.stderr))
}

#[test]
fn compressed_twins_give_the_same_report_whatever_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let demo = demo();
    let (head, tail) = demo.split_at(demo.len() / 2);
    let reference = run(&[pcaps().join("demo.pcap")], &Way::default());
    for (name, content) in [
        ("plain.pcap.gz", demo.clone()),
        ("one.pcap", gzip(&demo)),
        ("members.zst", [gzip(head), gzip(tail)].concat()),
        ("one.txt", zstd(&demo)),
        ("frames", [zstd(head), zstd(tail)].concat()),
    ] {
        let twin = run(&[write(folder.path(), name, &content)], &Way::default());
        assert!(twin.events == reference.events, "{name}: events differ");
        assert_eq!(twin.report, reference.report, "{name}");
    }
}

#[test]
fn standard_input_takes_every_format() {
    let names = |input: &[u8]| {
        let output = avscope()
            .args(["names", "--format", "json", "-"])
            .write_stdin(input)
            .assert()
            .code(0);
        text(&output.get_output().stdout)
    };
    let folder = pcaps().join("link-types");
    for file in [
        "ethernet-ns-be.pcap",
        "ethernet-be.pcapng",
        "two-sections.pcapng",
    ] {
        let content = std::fs::read(folder.join(file)).unwrap();
        let plain = names(&content);
        assert_eq!(plain.lines().count(), 3, "{file}");
        assert_eq!(names(&gzip(&content)), plain, "{file} with gzip");
        assert_eq!(names(&zstd(&content)), plain, "{file} with zstd");
    }
}

/// The two directions of a tap in two files.
#[test]
fn halves_by_direction_are_the_whole() {
    let demo = demo();
    let (header, records) = records(&demo);
    // Ethernet: destination, then source.
    let one_way = |record: &&&[u8]| record[16..22] < record[22..28];
    let folder = tempfile::tempdir().unwrap();
    let rx: Vec<&[u8]> = records.iter().filter(one_way).copied().collect();
    let tx: Vec<&[u8]> = records
        .iter()
        .filter(|record| !one_way(record))
        .copied()
        .collect();
    assert!(
        rx.len() > 50 && tx.len() > 50,
        "{} and {}",
        rx.len(),
        tx.len()
    );
    let rx = write(folder.path(), "rx.pcap", &piece(header, &rx));
    let tx = write(folder.path(), "tx.pcap", &piece(header, &tx));
    let whole = run(&[pcaps().join("demo.pcap")], &Way::default());
    for paths in [[rx.clone(), tx.clone()], [tx, rx]] {
        for workers in [1, 3] {
            let way = Way {
                workers,
                ..Way::default()
            };
            let merged = run(&paths, &way);
            assert_conserved(&merged, "halves");
            assert_eq!(merged.report, whole.report);
            assert!(merged.events == whole.events, "the events differ");
        }
    }
}

#[test]
fn ten_thousand_captures_in_a_folder_are_one_quiet_input() {
    let demo = demo();
    let (header, all) = records(&demo);
    let folder = tempfile::tempdir().unwrap();
    for number in 0..10_000usize {
        let records = all.get(number..=number).unwrap_or_default();
        let name = format!("{}/{number:05}.pcap", number % 7);
        write(folder.path(), &name, &piece(header, records));
    }
    write(folder.path(), "notes.txt", b"words");
    // Descriptors for a hundred files, not for ten thousand.
    let limited = format!(
        "ulimit -n 100; exec '{}' replay --format json '{}'",
        env!("CARGO_BIN_EXE_avscope"),
        folder.path().display()
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &limited])
        .output()
        .unwrap();
    let words = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words}");
    assert_eq!(words.lines().count(), 1, "{words}");
    assert!(
        words.contains("not a capture") && words.contains("notes.txt"),
        "{words}"
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["frames"]["read"], all.len());
    assert_eq!(report["inputs"].as_array().unwrap().len(), 10_000);
    let whole = run(&[pcaps().join("demo.pcap")], &Way::default());
    assert_eq!(report["exposures"], whole.report["exposures"]);
    assert_eq!(report["flows"], whole.report["flows"]);
}

#[test]
fn what_is_wrong_in_a_folder_is_told_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let demo = demo();
    write(folder, "good/demo.pcap.gz", &gzip(&demo));
    write(folder, "README.md", b"# words");
    write(folder, "good/.hidden.pcap", &demo);
    write(
        folder,
        "syslog.1.gz",
        &gzip(b"Jan 1 00:00:00 host app: words and more words"),
    );
    let fifo = std::process::Command::new("mkfifo")
        .arg(folder.join("pipe.pcap"))
        .status()
        .unwrap();
    assert!(fifo.success());
    let (report_of, words) = report(&[], &[folder], 0);
    assert_eq!(report_of["frames"]["read"], 4448);
    assert_eq!(report_of["inputs_beside"]["not_captures"], 3);
    assert_eq!(report_of["inputs_beside"]["hidden"], 1);
    for name in ["README.md", "syslog.1.gz", "pipe.pcap"] {
        assert!(words.contains(name), "{name} in {words}");
    }
    let good = report_of["exposures"].clone();

    std::os::unix::fs::symlink("nowhere", folder.join("dangling.pcap")).unwrap();
    write(folder, "cut.pcap", &demo[..demo.len() - 7]);
    let packed = gzip(&demo);
    write(folder, "torn.pcap.gz", &packed[..packed.len() - 9]);
    let (report_of, words) = report(&["--isolate", "--site", "here"], &[folder], 4);
    assert!(report_of["exposures"].as_array().unwrap().len() >= good.as_array().unwrap().len());
    for said in [
        "dangling.pcap: cannot open",
        "cut.pcap: offset ",
        "ends inside a record",
        "torn.pcap.gz: offset ",
        "the compressed data end too early",
    ] {
        assert!(words.contains(said), "{said} in {words}");
    }

    let many = folder.join("many");
    for number in 0..50 {
        write(&many, &format!("{number}.pcap"), &demo[..20]);
    }
    let (_, words) = report(&[], &[&many], 1);
    assert_eq!(words.lines().count(), 21, "{words}");
    assert!(words.contains("30 more inputs"), "{words}");

    let nothing = folder.join("nothing");
    std::fs::create_dir(&nothing).unwrap();
    let (_, words) = report(&[], &[&nothing], 1);
    assert!(words.contains("no capture"), "{words}");
}

#[test]
fn a_file_named_itself_must_be_a_capture() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, said) in [
        (
            "words.pcap",
            &b"these are words, not packets"[..],
            "neither pcap nor pcapng",
        ),
        ("twice.gz", &gzip(&gzip(&demo())), "compressed twice"),
        (
            "x.xz",
            &[0xfd, b'7', b'z', b'X', b'Z', 0, 0, 4],
            "compressed with xz",
        ),
        ("empty.pcap", b"", "is empty"),
        ("header.pcap", &demo()[..20], "ends inside the pcap header"),
        (
            "torn.gz",
            &gzip(&demo())[..12],
            "before anything could be decompressed",
        ),
        (
            "torn.zst",
            &zstd(&demo())[..5],
            "before anything could be decompressed",
        ),
    ] {
        let path = write(folder.path(), name, content);
        let (_, words) = report(&[], &[&path], 1);
        assert!(
            words.contains(said) && words.contains(name),
            "{said} in {words}"
        );
    }
}

/// The same addresses at two places are two hosts; in one place, at the same time, they are one.
#[test]
fn sites_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let demo = demo();
    write(folder.path(), "berlin/a.pcap", &demo);
    write(folder.path(), "paris/a.pcap", &gzip(&demo));
    let (one, _) = report(&[], &[&pcaps().join("demo.pcap")], 0);
    let (apart, _) = report(&["--site-from-path"], &[folder.path()], 0);
    let count = |report: &Value, what: &str| report["flows"][what].as_u64().unwrap();
    assert_eq!(count(&apart, "opened"), 2 * count(&one, "opened"));
    assert_eq!(count(&apart, "names"), 2 * count(&one, "names"));
    assert_eq!(apart["sites"], serde_json::json!(["berlin", "paris"]));
    assert_eq!(apart["inputs"][1]["site"], "paris");
    let (together, _) = report(&["--site", "here"], &[folder.path()], 0);
    assert_eq!(count(&together, "opened"), count(&one, "opened"));
    assert_eq!(together["sites"], serde_json::json!(["here"]));
}

/// A flow that goes on in the next file is one flow, unless the files are worlds of their own.
#[test]
fn isolated_captures_share_no_flow_and_no_time() {
    let demo = demo();
    let (header, all) = records(&demo);
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = all.split_at(all.len() / 2);
    let first = write(folder.path(), "first.pcap", &piece(header, first));
    let second = write(folder.path(), "second.pcap", &piece(header, second));
    let opened = |args: &[&str], paths: &[&Path]| {
        let (report, _) = report(args, paths, 0);
        assert_eq!(report["conservation_holds"], true);
        assert_eq!(report["time"]["steps_back"], 0, "{args:?}");
        report["flows"]["opened"].as_u64().unwrap()
    };
    let together = opened(&[], &[&second, &first]);
    // In the order given: the later one first, and time does not step back.
    let apart = opened(&["--isolate", "--site", "x"], &[&second, &first]);
    let alone = opened(&[], &[&first]) + opened(&[], &[&second]);
    assert_eq!(apart, alone);
    assert!(apart > together, "{apart} and {together}");
    for workers in ["1", "4"] {
        assert_eq!(
            opened(&["--isolate", "--workers", workers], &[&second, &first]),
            alone
        );
    }
}

#[test]
fn the_manifest_leads_from_a_sighting_to_the_frame_in_its_file() {
    let demo = demo();
    let (header, all) = records(&demo);
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for part in 0..3usize {
        let picked: Vec<&[u8]> = all.iter().skip(part).step_by(3).copied().collect();
        let content = piece(header, &picked);
        paths.push(write(folder.path(), &format!("{part}.pcap"), &content));
    }
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let (report, _) = report(&["--digest"], &paths, 0);
    let mut found = 0;
    for exposure in report["exposures"].as_array().unwrap() {
        for evidence in exposure["evidence"].as_array().unwrap() {
            let seq = evidence["seq"].as_u64().unwrap();
            let (path, frame) = place_of(&report, seq);
            let content = std::fs::read(path).unwrap();
            let (_, records) = records(&content);
            let bytes = &records[frame as usize - 1][16..];
            let hash = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(bytes));
            assert_eq!(evidence["frame_xxh3"], hash);
            found += 1;
        }
    }
    assert!(found > 30);
    for input in report["inputs"].as_array().unwrap() {
        let path = input["path"].as_str().unwrap();
        let sum = std::process::Command::new("sha256sum")
            .arg(path)
            .output()
            .unwrap();
        let sum = text(&sum.stdout);
        assert_eq!(input["sha256"].as_str(), sum.split_whitespace().next());
        assert_eq!(input["link_types"], serde_json::json!([1]));
        assert_eq!(input["bytes"], std::fs::metadata(path).unwrap().len());
    }
}

/// The file and the frame number, from 1, of a `seq`.
fn place_of(report: &Value, seq: u64) -> (&str, u64) {
    for input in report["inputs"].as_array().unwrap() {
        for run in input["runs"].as_array().unwrap() {
            let number = |key: &str| run[key].as_u64().unwrap();
            if (number("first_seq")..number("first_seq") + number("frames")).contains(&seq) {
                let frame = number("first_frame") + seq - number("first_seq");
                return (input["path"].as_str().unwrap(), frame);
            }
        }
    }
    panic!("no run leads to {seq}");
}

#[test]
fn networks_of_ones_own_are_proposed() {
    let demo = pcaps().join("demo.pcap");
    let (report_of, words) = report(&["--home-net", "203.0.113.0/24"], &[&demo], 0);
    assert!(
        words.contains("WARNING") && words.contains("--home-net 192.168.10.0/24"),
        "{words}"
    );
    let networks = report_of["home_net_hint"]["networks"].as_array().unwrap();
    assert!(networks.contains(&"192.168.10.0/24".into()), "{networks:?}");
    let (report_of, words) = report(&[], &[&demo], 0);
    assert!(
        report_of["home_net_hint"].is_null() && words.is_empty(),
        "{words}"
    );
}

/// A pipe can be read once: it is read where it was given, after what stands before it.
#[test]
fn a_named_pipe_is_read_where_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_avscope"))
        .args(["replay", "--format", "json"])
        .arg(pcaps().join("link-types/raw-ip.pcap"))
        .arg(&pipe)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::fs::write(&pipe, zstd(&demo())).unwrap();
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["inputs"][0]["first_seq"], 0);
    assert_eq!(
        report["inputs"][1]["first_seq"],
        report["inputs"][0]["frames"]
    );
    assert_eq!(report["inputs"][1]["frames"], 4448);
    assert_eq!(report["inputs"][1]["compression"], "zstd");
}

#[test]
fn events_do_not_overwrite_a_capture_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inside = write(folder.path(), "a/b.pcap", &demo());
    let output = avscope()
        .args(["replay", "--events"])
        .args([&inside, folder.path()])
        .assert()
        .code(1);
    assert!(text(&output.get_output().stderr).contains("is one of the captures"));
    assert_eq!(std::fs::read(&inside).unwrap(), demo());
}
