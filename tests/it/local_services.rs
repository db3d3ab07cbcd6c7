//! Name services beyond plain DNS: the events against what the clients of `name-services.pcap` were told to send.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::support::{avscope, expected, pcaps};

/// The lines of the capture, with and without redaction, and its report.
struct Run {
    lines: Vec<Value>,
    redacted: Vec<Value>,
    report: Value,
}

fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let replay = |more: &[&str]| {
            let output = avscope()
                .args(["replay", "--format", "json"])
                .args(more)
                .arg(pcaps().join("name-services.pcap"))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{said}");
            String::from_utf8(output.stdout).unwrap()
        };
        let lines = |text: String| {
            let lines = text.lines().map(serde_json::from_str);
            lines.collect::<Result<Vec<Value>, _>>().unwrap()
        };
        Run {
            lines: lines(replay(&["--events", "-"])),
            redacted: lines(replay(&["--events", "-", "--redact"])),
            report: serde_json::from_str(&replay(&[])).unwrap(),
        }
    })
}

fn truth() -> Value {
    expected("name-services.expected.json")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn of_type<'a>(lines: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    lines.iter().filter(move |line| line["event_type"] == kind)
}

fn same_ends(line: &Value, entry: &Value) -> bool {
    ["src_ip", "src_port", "dest_ip", "dest_port"]
        .iter()
        .all(|end| line[end] == entry[end] || entry[end].is_null())
}

#[test]
fn every_question_is_told_with_its_services() {
    let mut told: Vec<_> = of_type(&run().lines, "dns").collect();
    for entry in list(&truth()["questions"]) {
        let at = told.iter().position(|line| {
            let query = &line["dns"]["queries"][0];
            same_ends(line, entry)
                && query["rrname"] == entry["rrname"]
                && query["rrtype"] == entry["rrtype"]
                && line["avscope"]["evidence"][0]["kind"] == entry["kind"]
        });
        let line = told.remove(at.unwrap_or_else(|| panic!("not told: {entry}")));
        assert_eq!(line["avscope"]["dns_outcome"], entry["outcome"], "{line}");
        let answers = list(&line["dns"]["answers"]).iter();
        let services: BTreeSet<_> = answers.filter_map(|it| it["rdata"].as_str()).collect();
        let wanted = list(&entry["rdata"]).iter().filter_map(Value::as_str);
        assert_eq!(services, wanted.collect(), "{line}");
    }
    // Who is not answered asks again.
    told.retain(|line| line["app_proto"] != "nbns");
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn hosts_say_what_they_are_and_nothing_of_others() {
    let mut told: Vec<_> = of_type(&run().lines, "host").collect();
    for entry in list(&truth()["hosts"]) {
        let at = told.iter().position(|line| {
            let host = &line["avscope"]["host"];
            ["kind", "state", "address", "name", "lease_seconds"]
                .iter()
                .all(|key| host[key] == entry[key])
        });
        told.remove(at.unwrap_or_else(|| panic!("not told: {entry}")));
    }
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn every_message_of_dhcp_says_who_has_which_address() {
    let told: Vec<_> = of_type(&run().lines, "dhcp").collect();
    for entry in list(&truth()["dhcp"]) {
        let says = |line: &&&Value| {
            entry.as_object().unwrap().iter().all(|(key, value)| {
                let found = if key == "app_proto" {
                    &line[key]
                } else {
                    &line["dhcp"][key]
                };
                found == value
            })
        };
        let line = told.iter().find(says);
        let line = line.unwrap_or_else(|| panic!("not told: {entry}"));
        let host = &line["avscope"]["host"];
        assert_eq!(host["mac"], entry["client_mac"], "{line}");
        let state = match entry["dhcp_type"].as_str().unwrap() {
            "ack" | "reply" | "inform" => json!("held"),
            "release" => json!("released"),
            "solicit" => Value::Null,
            _ => json!("requested"),
        };
        assert_eq!(host["state"], state, "{line}");
    }
}

#[test]
fn names_and_cards_of_hosts_are_taken_out_where_that_is_wanted() {
    let (plain, redacted) = (&run().lines, &run().redacted);
    assert_eq!(plain.len(), redacted.len());
    for line in redacted
        .iter()
        .filter(|line| !line["avscope"]["host"].is_null())
    {
        let host = &line["avscope"]["host"];
        for name in [
            &host["name"],
            &line["dhcp"]["hostname"],
            &line["dhcp"]["client_id"],
        ] {
            assert!(name.is_null() || name == "…", "{line}");
        }
        for mac in [&host["mac"], &line["dhcp"]["client_mac"]] {
            assert!(mac.is_null() || mac == "02:00:0a:…", "{line}");
        }
    }
    // Told apart from those in clear, the kind of a device stays.
    let makes: BTreeSet<_> = redacted
        .iter()
        .filter_map(|line| line["dhcp"]["vendor_class_identifier"].as_str())
        .collect();
    assert_eq!(makes, BTreeSet::from(["MSFT 5.0", "udhcp names"]));
}

#[test]
fn encrypted_dns_is_told_by_each_of_its_signs_and_by_nothing_else() {
    let flows: Vec<_> = of_type(&run().lines, "flow").collect();
    for entry in list(&truth()["services_flows"]) {
        let line = flows.iter().find(|line| same_ends(line, entry));
        let line = line.unwrap_or_else(|| panic!("no flow: {entry}"));
        let own = &line["avscope"];
        let why = &entry["why"];
        assert_eq!(own["coverage"], entry["coverage"], "{why}: {line}");
        let encrypted = own["encrypted_dns"] == true;
        assert_eq!(json!(encrypted), entry["encrypted_dns"], "{why}: {line}");
        assert_eq!(own["attribution"]["vendor"], entry["vendor"], "{why}");
        if let Some(wanted) = entry["evidence"].as_object() {
            let found = list(&own["evidence"])
                .iter()
                .any(|item| wanted.iter().all(|(key, value)| &item[key] == value));
            assert!(found, "{why}: {line}");
        }
    }
    let marked = flows
        .iter()
        .filter(|line| line["avscope"]["encrypted_dns"] == true);
    let wanted = list(&truth()["services_flows"])
        .iter()
        .filter(|entry| entry["encrypted_dns"] == true)
        .count();
    assert_eq!(marked.count(), wanted, "and no other flow");
}

#[test]
fn the_report_counts_hosts_and_what_they_said() {
    let report = &run().report;
    let services = &report["name_services"];
    assert_eq!(
        services["encrypted_dns_hosts"],
        truth()["encrypted_dns_hosts"]
    );
    assert_eq!(services["encrypted_dns_refused"], 0);
    assert_eq!(services["malformed"], 0);
    for kind in ["dhcp", "dhcpv6", "nbns", "mdns"] {
        let lines = run().lines.iter();
        let told = lines.filter(|line| line["avscope"]["host"]["kind"] == kind);
        assert_eq!(
            report["host_facts"]["by_kind"][kind],
            told.count(),
            "{kind}"
        );
    }
    assert_eq!(report["host_facts"]["malformed"], 0);
    assert_eq!(report["conservation_holds"], true);
}

/// A limit of one: the first host is counted, what others do is refused and counted.
#[test]
fn hosts_with_encrypted_dns_are_counted_up_to_the_limit() {
    let output = avscope()
        .args(["replay", "--format", "json", "--exposures-max", "1"])
        .arg(pcaps().join("name-services.pcap"))
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let services = &report["name_services"];
    assert_eq!(services["encrypted_dns_hosts"], 1);
    assert!(services["encrypted_dns_refused"].as_u64() > Some(0));
}
