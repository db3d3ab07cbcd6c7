//! Identifiers in outputs: written where nobody objects, gone from every output where they are not wanted.

use std::collections::BTreeSet;

use avscope::model::redact_identifiers;
use serde_json::Value;

use super::frames::{BEGIN, Connection, lines_of_text, write_pcap};
use super::support::{avscope, expected, pcaps, skip};

/// An identifier that a client of the composed capture sent, behind what a rule knows.
fn identifier() -> String {
    let told = expected("names-in-clear.expected.json").to_string();
    let at = told.find("*B0cBAAQA").unwrap();
    told[at + 1..].split('"').next().unwrap().to_owned()
}

/// Events and report of the capture, and the names in it.
fn outputs(options: &[&str]) -> (String, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.jsonl");
    let capture = pcaps().join("names-in-clear.pcap");
    let mut replay = avscope();
    replay
        .args(["replay", "--quiet", "--format", "json", "--events"])
        .arg(&events)
        .args(options)
        .arg(&capture);
    let report = replay.assert().code(0).get_output().stdout.clone();
    let mut names = avscope();
    let options = options.iter().filter(|option| option.contains("redact"));
    names
        .args(["names", "--quiet", "--format", "json"])
        .args(options)
        .arg(&capture);
    let names = names.assert().code(0).get_output().stdout.clone();
    (
        std::fs::read_to_string(events).unwrap(),
        String::from_utf8(report).unwrap(),
        String::from_utf8(names).unwrap(),
    )
}

#[test]
fn identifiers_are_in_no_output_where_they_are_not_wanted() {
    let identifier = identifier();
    let (events, report, names) = outputs(&[]);
    for (output, text) in [("events", events), ("report", report), ("names", names)] {
        assert!(text.contains(&identifier), "{output}");
    }
    let (events, report, names) = outputs(&["--redact"]);
    for (output, text) in [("events", &events), ("report", &report), ("names", &names)] {
        // The pattern of the rule begins as the identifier does.
        assert!(!text.contains(&identifier[8..14]), "{output}");
        assert!(text.contains("\"*…\""), "{output}");
        // Products and versions are no identifiers.
        assert!(
            output == "report" || text.contains("updater/9.1 (names)"),
            "{output}"
        );
    }
    // Rules saw the whole text.
    let report: Value = serde_json::from_str(&report).unwrap();
    let known = |sighting: &Value| sighting["value"] == "*…" && sighting["rule_id"].is_string();
    let exposures = report["exposures"].as_array().unwrap().iter();
    let mut sightings = exposures.flat_map(|exposure| exposure["evidence"].as_array().unwrap());
    assert!(sightings.any(known));
}

#[test]
fn a_url_loses_identifiers_in_every_line_that_has_it() {
    const SERIAL: &str = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
    const TOKEN: &str = "shorttoken";
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("requests.pcap");
    let client = ([192, 168, 1, 10], 40_001);
    let mut connection = Connection::open(BEGIN, client, ([203, 0, 113, 7], 80));
    // To a server, to a proxy, and for a vendor.
    for (target, host) in [
        (format!("/machines/{SERIAL}/list?key={TOKEN}"), "a.example"),
        (
            format!("http://a.example/{SERIAL}?key={TOKEN}"),
            "a.example",
        ),
        (format!("/{SERIAL}?key={TOKEN}"), "update.eset.com"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        connection.ask(request.as_bytes(), 1400);
    }
    write_pcap(&capture, &connection.close());
    let lines = |option: &str| {
        let mut replay = avscope();
        replay.args(["replay", "--quiet", "--events", "-", option]);
        let output = replay.arg(&capture).assert().code(0);
        lines_of_text(&output.get_output().stdout)
    };
    let urls = |lines: &[Value]| -> Vec<String> {
        let http = lines.iter().filter(|line| line["event_type"] == "http");
        http.map(|line| line["http"]["url"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = lines("--no-redact");
    assert_eq!(
        urls(&all),
        [
            format!("/machines/{SERIAL}/list?key={TOKEN}"),
            format!("http://a.example/{SERIAL}?key={TOKEN}"),
            format!("/{SERIAL}?key={TOKEN}"),
        ]
    );
    let redacted = lines("--redact");
    assert_eq!(redacted.len(), all.len());
    for line in &redacted {
        let text = line.to_string();
        assert!(!text.contains(SERIAL) && !text.contains(TOKEN), "{line}");
    }
    let expected = [
        "/machines/…/list?key=…",
        "http://a.example/…?key=…",
        "/…?key=…",
    ];
    assert_eq!(urls(&redacted), expected);
}

#[test]
fn the_command_line_has_the_last_word_about_identifiers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.toml");
    std::fs::write(&path, "[output]\nredact = true\n").unwrap();
    let identifier = identifier();
    let replay = |options: &[&str]| {
        let mut command = avscope();
        command
            .args(["replay", "--quiet", "--format", "csv", "--config"])
            .arg(&path)
            .args(options)
            .arg(pcaps().join("names-in-clear.pcap"));
        let output = command.assert().code(0);
        String::from_utf8(output.get_output().stdout.clone())
            .unwrap()
            .contains(&identifier)
    };
    assert!(!replay(&[]));
    assert!(replay(&["--no-redact"]));
    assert!(!replay(&["--no-redact", "--redact"]));
}

#[test]
fn events_of_the_attributed_are_those_that_name_a_vendor() {
    let (all, report, _) = outputs(&[]);
    let (attributed, same_report, _) = outputs(&["--events-of", "attributed"]);
    assert_eq!(report, same_report);
    let vendors = all.lines().filter(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["avscope"]["attribution"].is_object()
    });
    let vendors: Vec<_> = vendors.collect();
    assert!(vendors.len() > 10 && vendors.len() < all.lines().count());
    assert_eq!(attributed.lines().collect::<Vec<_>>(), vendors);
}

/// Prints none of them: real User-Agents are somebody's.
#[test]
fn ordinary_user_agents_of_real_captures_stay_as_they_are() {
    let Some(folder) = std::env::var_os("AVSCOPE_CORPUS") else {
        skip(
            "ordinary User-Agents",
            "AVSCOPE_CORPUS does not name a folder of captures with truth files",
        );
        return;
    };
    let mut agents = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".truth.json") {
            let truth: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            let listed = truth["user_agents"].as_array().into_iter().flatten();
            agents.extend(listed.map(|agent| agent["name"].as_str().unwrap().to_owned()));
        }
    }
    let ordinary = |agent: &str| {
        [
            "curl/",
            "Mozilla/",
            "Wget",
            "Go-http-client/",
            "Microsoft",
            "Dalvik/",
        ]
        .iter()
        .any(|product| agent.starts_with(product))
    };
    let changed = |agents: &[&String]| {
        let kept = agents
            .iter()
            .filter(|agent| redact_identifiers(agent) == agent.as_str());
        agents.len() - kept.count()
    };
    let (ordinary, others): (Vec<_>, Vec<_>) = agents.iter().partition(|agent| ordinary(agent));
    assert!(ordinary.len() > 20, "{}", ordinary.len());
    assert_eq!(changed(&ordinary), 0);
    // A product that names itself by an identifier is among them.
    assert!((1..others.len()).contains(&changed(&others)));
}
