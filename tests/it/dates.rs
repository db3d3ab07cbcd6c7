//! Facts with dates: a capture is judged by the facts of its own days, whichever kind of evidence it shows.

use std::path::Path;

use serde_json::Value;

use super::frames::{
    Connection, Data, End, Frame, SECOND, lines_of_text, resolved, tls, write_pcap,
};
use super::support::avscope;

const CLIENT: [u8; 4] = [192, 168, 1, 10];
const RESOLVER: End = ([9, 9, 9, 9], 53);
const NAME: &str = "update.acme.example";

const RULES: &str = r#"format = 1

[vendor]
id = "acme"
legal_name = "Acme Antivirus AG"
jurisdiction = "CH"

[sources.manual]
title = "The manual"

[[rule]]
id = "acme.update.all"
version = 1
purpose = "update"
patterns = ["update.acme.example"]
user_agents = ["AcmeUpdate/*"]
uris = ["/acme/*.vdb"]
confidence = "high"
source = "manual"
source_class = "vendor-doc"
checked = 2026-11-23
valid_from = 2016-01-01
valid_until = 2017-12-31
[rule.samples]
match = [
  { name = "update.acme.example" },
  { user_agent = "AcmeUpdate/3.1" },
  { uri = "/acme/1.vdb" },
]
no_match = ["update.acme.example.org"]

[[rule]]
id = "acme.unknown.network"
version = 1
purpose = "unknown"
indicates = "contact"
networks = ["198.51.100.0/24"]
confidence = "low"
source = "manual"
source_class = "vendor-doc"
checked = 2026-11-23
valid_from = 2016-01-01
valid_until = 2017-12-31
"#;

/// One flow for each kind of evidence, by the last number of its server.
const KINDS: [(u8, &str); 7] = [
    (1, "tls_sni"),
    (2, "http_host"),
    (3, "http_user_agent"),
    (4, "http_uri"),
    (5, "dns_answer"),
    (6, "dns_answer"),
    (7, "ip_prefix"),
];

fn request(now: u64, last: u8, request: &str) -> Vec<Frame> {
    let mut connection = Connection::open(now, (CLIENT, 40_000), ([203, 0, 113, last], 80));
    connection.ask(request.as_bytes(), 1400);
    connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1400);
    connection.close()
}

/// All kinds, a second each, from this second on.
fn frames(begin: u64) -> Vec<Frame> {
    let at = |number: u64| (begin + number) * SECOND;
    let server = |last: u8| ([203, 0, 113, last], 443);
    let client = (CLIENT, 40_000);
    let mut frames = tls(at(1), client, server(1), NAME, false);
    frames.extend(request(
        at(2),
        2,
        &format!("GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n"),
    ));
    frames.extend(request(
        at(3),
        3,
        "GET / HTTP/1.1\r\nHost: 203.0.113.3\r\nUser-Agent: AcmeUpdate/3.1\r\n\r\n",
    ));
    frames.extend(request(
        at(4),
        4,
        "GET /acme/1.vdb HTTP/1.1\r\nHost: 203.0.113.4\r\n\r\n",
    ));
    let direct = [(NAME, 60, Data::Address([203, 0, 113, 5]))];
    frames.extend(resolved(at(5), (CLIENT, 50_005), RESOLVER, NAME, &direct));
    frames.extend(tls(at(6), client, server(5), "", false));
    let asked = "www.integrator.example";
    let by_alias = [
        (asked, 60, Data::Alias(NAME)),
        (NAME, 60, Data::Address([203, 0, 113, 6])),
    ];
    frames.extend(resolved(
        at(7),
        (CLIENT, 50_006),
        RESOLVER,
        asked,
        &by_alias,
    ));
    frames.extend(tls(at(8), client, server(6), "", false));
    let network = ([198, 51, 100, 7], 443);
    frames.extend(tls(at(9), client, network, "", false));
    frames
}

/// What is said of the server with this last number: vendor and evidence.
fn verdict(lines: &[Value], last: u8) -> (Value, Value) {
    let ending = format!(".{last}");
    let of_server = |line: &&Value| {
        line["event_type"] == "flow"
            && line["proto"] == "TCP"
            && line["dest_ip"].as_str().unwrap().ends_with(&ending)
    };
    let found: Vec<_> = lines.iter().filter(of_server).collect();
    assert_eq!(found.len(), 1);
    let verdict = &found[0]["avscope"]["attribution"];
    (verdict["vendor"].clone(), verdict["evidence_kind"].clone())
}

fn judged(rules: &Path, capture: &Path) -> Vec<Value> {
    let output = avscope()
        .args(["replay", "-q", "--events", "-", "--rules"])
        .arg(rules)
        .arg(capture)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    lines_of_text(&output.stdout)
}

#[test]
fn the_same_capture_is_judged_by_the_rules_of_its_year() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(rules.join("acme.toml"), RULES).unwrap();
    let capture = folder.path().join("capture.pcap");
    // The first second of a day, in UTC.
    for (begin, day, holds) in [
        (1_451_520_000, "2015-12-31", false),
        (1_451_606_400, "2016-01-01", true),
        (1_514_678_400, "2017-12-31", true),
        (1_514_764_800, "2018-01-01", false),
        (1_700_000_000, "2023-11-14", false),
    ] {
        write_pcap(&capture, &frames(begin));
        let lines = judged(&rules, &capture);
        for (last, kind) in KINDS {
            let wanted = if holds {
                (Value::from("acme"), Value::from(kind))
            } else {
                (Value::Null, Value::Null)
            };
            assert_eq!(verdict(&lines, last), wanted, "{day}: {kind} {last}");
        }
        let asked = lines
            .iter()
            .find(|line| line["dns"]["queries"][0]["rrname"] == NAME)
            .unwrap();
        let vendor = &asked["avscope"]["attribution"]["vendor"];
        assert_eq!(*vendor == "acme", holds, "{day}: {asked}");
    }
}
