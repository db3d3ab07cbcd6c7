//! Servers of TLS and hellos of DTLS: the events against what OpenSSL was told to do in `tls-servers.pcap`.

use std::io::Write;

use serde_json::Value;

use super::support::{Way, expected, pcaps, records, run};

fn events() -> Vec<Value> {
    let run = run(&[pcaps().join("tls-servers.pcap")], &Way::default());
    assert!(run.conservation.holds());
    String::from_utf8(run.events)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn of_kind<'a>(event: &'a Value, kind: &str) -> Vec<&'a str> {
    event["avscope"]["evidence"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|fact| fact["kind"] == kind)
        .filter_map(|fact| fact["value"].as_str())
        .collect()
}

#[test]
fn every_connection_shows_what_was_sent() {
    let events = events();
    let expected = expected("tls-servers.expected.json");
    for row in expected["connections"].as_array().unwrap() {
        let name = &row["name"];
        let mine: Vec<_> = events
            .iter()
            .filter(|event| event["src_port"] == row["src_port"])
            .collect();
        assert!(mine.iter().all(|event| event["src_ip"] == row["src_ip"]
            && event["dest_port"] == row["dest_port"]
            && event["proto"] == row["proto"]));
        let flow = mine
            .iter()
            .find(|event| event["event_type"] == "flow")
            .unwrap();
        let tls: Vec<_> = mine
            .iter()
            .filter(|event| event["event_type"] == "tls")
            .collect();
        // The client's hello, and the server's certificate where there was one.
        let certificates: Vec<_> = tls
            .iter()
            .filter(|event| event["tls"]["subject"].is_string())
            .collect();
        assert_eq!(
            certificates.len(),
            usize::from(row["certificate"].is_boolean()),
            "{name}"
        );
        assert_eq!(tls.len(), certificates.len() + 1, "{name}");
        let hello = tls[0];
        assert_eq!(hello["tls"]["sni"], row["sni"], "{name}");
        assert_eq!(flow["tls"]["sni"], row["sni"], "{name}");
        let letter = if row["proto"] == "UDP" { "d" } else { "t" };
        assert!(hello["tls"]["ja4"].as_str().unwrap().starts_with(letter));
        if row["alpns"].is_array() {
            assert_eq!(
                strings(&hello["tls"]["client_alpns"]),
                strings(&row["alpns"]),
                "{name}"
            );
        }
        let kind = if letter == "d" { "dtls_sni" } else { "tls_sni" };
        assert_eq!(
            of_kind(hello, kind),
            row["sni"].as_str().into_iter().collect::<Vec<_>>()
        );
        if letter == "t" {
            assert_eq!(flow["tls"]["version"], row["version"], "{name}");
            assert_eq!(flow["tls"]["session_resumed"], row["resumed"], "{name}");
        }
        for certificate in certificates {
            for field in ["version", "subject", "issuerdn", "notbefore", "notafter"] {
                assert_eq!(certificate["tls"][field], row[field], "{name} {field}");
            }
            assert_eq!(
                strings(&certificate["tls"]["server_alpns"]),
                strings(&row["server_alpns"])
            );
            let names = strings(&row["names"]);
            assert_eq!(strings(&certificate["tls"]["subjectaltname"]), names);
            assert_eq!(of_kind(certificate, "tls_cert"), names, "{name}");
        }
        let attribution = &flow["avscope"]["attribution"];
        assert_eq!(attribution["vendor"], row["vendor"], "{name}");
        if row["vendor"].is_string() {
            assert_eq!(attribution["evidence_kind"], "tls_cert", "{name}");
            assert_ne!(attribution["confidence"], "high", "{name}");
        }
    }
}

/// The frames that the servers sent: their ports are below those of the clients.
fn servers_half() -> tempfile::NamedTempFile {
    /// Record header, Ethernet header, IPv4 header.
    const SOURCE_PORT: usize = 16 + 14 + 20;
    let bytes = std::fs::read(pcaps().join("tls-servers.pcap")).unwrap();
    let (header, all) = records(&bytes);
    let mut half = header.to_vec();
    for record in all {
        let is_ip = record[16 + 12..16 + 14] == [8, 0];
        let port = u16::from_be_bytes([record[SOURCE_PORT], record[SOURCE_PORT + 1]]);
        if is_ip && port < 41_000 {
            half.extend_from_slice(record);
        }
    }
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    file.write_all(&half).unwrap();
    file
}

#[test]
fn what_servers_sent_alone_shows_their_certificates() {
    let half = servers_half();
    let run = run(&[half.path().to_path_buf()], &Way::default());
    assert!(run.conservation.holds());
    let mut seen: Vec<(u64, String)> = Vec::new();
    for line in run.events.split(|byte| *byte == b'\n') {
        let Ok(event) = serde_json::from_slice::<Value>(line) else {
            continue;
        };
        if let Some(subject) = event["tls"]["subject"].as_str() {
            // The client is whom it was sent to.
            seen.push((event["src_port"].as_u64().unwrap(), subject.to_owned()));
        }
    }
    let expected = expected("tls-servers.expected.json");
    let wanted: Vec<_> = expected["connections"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["certificate"] == true)
        .map(|row| {
            let subject = row["subject"].as_str().unwrap();
            (row["src_port"].as_u64().unwrap(), subject.to_owned())
        })
        .collect();
    assert_eq!(seen, wanted);
}
