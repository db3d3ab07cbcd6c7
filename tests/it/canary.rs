//! Canaries: issued by the program, spoken in recordings of real clients.

use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

use super::support::pcaps;

const ALPHA: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";
const BETA: &str = "b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2";

fn avscope() -> Command {
    Command::cargo_bin("avscope").unwrap()
}

fn replay(options: &[&str], capture: &Path) -> Value {
    let output = avscope()
        .args(["replay", "--quiet", "--format", "json"])
        .args(options)
        .arg(capture)
        .assert()
        .code(0);
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

fn canaries(report: &Value) -> Vec<(String, String, String, String)> {
    let text = |it: &Value, field: &str| it[field].as_str().unwrap().to_owned();
    let all = report["canaries"].as_array().unwrap().iter();
    let mut all: Vec<_> = all
        .map(|it| {
            let (host, kind) = (text(it, "host"), text(it, "kind"));
            (text(it, "token"), host, kind, text(it, "standing"))
        })
        .collect();
    all.sort();
    all
}

/// When the capture was recorded, in seconds since 1970.
fn recorded(capture: &Path) -> u64 {
    let bytes = std::fs::read(capture).unwrap();
    u64::from(u32::from_le_bytes(bytes[24..28].try_into().unwrap()))
}

#[test]
fn what_was_issued_for_the_zone_of_its_host_proves_it_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let capture = pcaps().join("canaries.pcap");
    let now = recorded(&capture);
    let config = folder.path().join("zones.toml");
    std::fs::write(
        &config,
        "[zones]\nlow = [\"192.168.10.0/27\"]\nhigh = [\"192.168.10.32/27\"]\n",
    )
    .unwrap();
    let file = folder.path().join("canaries.jsonl");
    let state = folder.path().join("state.json");
    let run = |issued: &[(&str, &str, u64)]| {
        let lines: Vec<_> = issued
            .iter()
            .map(|(token, zone, at)| {
                json!({ "token": token, "zone": zone, "issued_unix_seconds": at }).to_string()
            })
            .collect();
        std::fs::write(&file, lines.join("\n")).unwrap();
        let options = [
            "--config",
            config.to_str().unwrap(),
            "--canaries",
            file.to_str().unwrap(),
            "--state",
            state.to_str().unwrap(),
        ];
        replay(&options, &capture)
    };
    let kinds = ["dns_query", "http_host", "tls_sni"];
    let of = |token: &str, host: &str, standing: &str| {
        kinds.map(|kind| (token.into(), host.into(), kind.into(), standing.into()))
    };
    let (low, high) = ("192.168.10.21", "192.168.10.40");
    let report = run(&[(ALPHA, "low", now - 60), (BETA, "low", now - 60)]);
    let expected = [of(ALPHA, low, "proves"), of(BETA, high, "other_zone")];
    assert_eq!(canaries(&report), expected.concat());
    for seen in report["canaries"].as_array().unwrap() {
        assert_eq!(seen["directions_seen"], json!([true, true]), "{seen}");
    }
    let remembered: Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
    let remembered = remembered["canaries"].as_array().unwrap();
    assert_eq!(remembered.len(), 3);
    assert!(
        remembered
            .iter()
            .all(|it| it["token"] == ALPHA && it["zone"] == "low")
    );

    let month = 31 * 86_400;
    let report = run(&[(ALPHA, "low", now - month), (BETA, "", now)]);
    let expected = [of(ALPHA, low, "stale"), of(BETA, high, "proves")];
    assert_eq!(canaries(&report), expected.concat());
    let report = run(&[]);
    let expected = [of(ALPHA, low, "not_issued"), of(BETA, high, "not_issued")];
    assert_eq!(canaries(&report), expected.concat());
}

#[test]
fn the_test_capture_is_recognised_and_proves_no_zone() {
    let folder = tempfile::tempdir().unwrap();
    let output = avscope().args(["canary", "test-capture"]).assert().code(0);
    let capture = folder.path().join("test.pcap");
    std::fs::write(&capture, &output.get_output().stdout).unwrap();
    let seen = canaries(&replay(&[], &capture));
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|(_, _, _, standing)| standing == "test"));
}

#[test]
fn what_is_issued_is_new_each_time_and_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("canaries.jsonl");
    let issue = || {
        let output = avscope()
            .args(["canary", "new", "--zone", "low", "--canaries"])
            .arg(&file)
            .assert()
            .code(0);
        let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        let name = text.lines().next().unwrap().to_owned();
        for command in ["nslookup", "curl", "openssl s_client", "--http3-only"] {
            let line = text.lines().find(|line| line.contains(command));
            assert!(line.unwrap().contains(&name), "{command}");
        }
        name
    };
    let (one, other) = (issue(), issue());
    assert_ne!(one, other);
    let issued = std::fs::read_to_string(&file).unwrap();
    assert_eq!(issued.lines().count(), 2);
    let token = one.strip_prefix("avscope-canary-").unwrap();
    let token = token.strip_suffix(".invalid").unwrap();
    assert!(issued.contains(token) && issued.contains("\"zone\":\"low\""));
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    for (option, value) in [
        ("--domain", "a b"),
        ("--server", "$(reboot)"),
        ("--server", "-x"),
        ("--zone", "a b"),
    ] {
        let option = format!("{option}={value}");
        avscope()
            .args(["canary", "new", &option, "--canaries"])
            .arg(&file)
            .assert()
            .code(2);
    }
    avscope()
        .args(["replay", "--canaries", "nowhere.jsonl"])
        .arg(pcaps().join("canaries.pcap"))
        .assert()
        .code(1);
    std::fs::write(&file, "nonsense\n").unwrap();
    avscope()
        .args(["canary", "new", "--canaries"])
        .arg(&file)
        .assert()
        .code(1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "nonsense\n");
}
