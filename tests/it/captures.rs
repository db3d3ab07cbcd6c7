//! The captures in the repository against what their script says it sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use super::support::{Way, all_captures, assert_conserved, avscope, expected, pcaps, run};

type Name = (String, String, String, u64, String, u64, u64);

fn name(row: &Value) -> Name {
    let text = |key: &str| row[key].as_str().unwrap().to_owned();
    let number = |key: &str| row[key].as_u64().unwrap();
    (
        text("kind"),
        text("name"),
        text("src_ip"),
        number("src_port"),
        text("dest_ip"),
        number("dest_port"),
        number("count"),
    )
}

fn sent(expected: &Value) -> BTreeSet<Name> {
    ["names", "other_names"]
        .iter()
        .filter_map(|list| expected[list].as_array())
        .flatten()
        .map(name)
        .collect()
}

/// What `avscope names` lists; damage is allowed where the exit code is 4.
fn seen(path: &PathBuf, code: i32) -> BTreeSet<Name> {
    let output = avscope()
        .args(["names", "--format", "json"])
        .arg(path)
        .assert()
        .code(code);
    String::from_utf8_lossy(&output.get_output().stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        // What was asked for, by which program, and what certificates say is not written down for these captures.
        .filter(|row: &Value| {
            let kind = row["kind"].as_str().unwrap_or_default();
            !["http_uri", "http_user_agent", "tls_cert"].contains(&kind)
        })
        .map(|row| name(&row))
        .collect()
}

fn assert_names(path: &PathBuf, expected: &Value, code: i32) {
    let (sent, seen) = (sent(expected), seen(path, code));
    assert!(!sent.is_empty());
    let missed: Vec<_> = sent.difference(&seen).collect();
    let extra: Vec<_> = seen.difference(&sent).collect();
    assert!(
        missed.is_empty() && extra.is_empty(),
        "{}: missed {missed:#?}, extra {extra:#?}",
        path.display()
    );
}

#[test]
fn every_name_of_the_office_is_seen_and_no_other() {
    assert_names(
        &pcaps().join("demo.pcap"),
        &expected("demo.expected.json"),
        0,
    );
}

#[test]
fn the_office_is_attributed_as_it_was_meant() {
    let expected = expected("demo.expected.json");
    let report = run(&[pcaps().join("demo.pcap")], &Way::default()).report;
    let mut seen = BTreeSet::new();
    for exposure in report["exposures"].as_array().unwrap() {
        for evidence in exposure["evidence"].as_array().unwrap() {
            seen.insert((
                exposure["host"].as_str().unwrap().to_owned(),
                exposure["vendor"].as_str().unwrap().to_owned(),
                evidence["value"].as_str().unwrap().to_owned(),
            ));
        }
    }
    let mut meant = BTreeSet::new();
    let contacts = ["contacts", "contacts_by_http_host"].map(|list| expected[list].as_array());
    for contact in contacts.into_iter().flatten().flatten() {
        let text = |key: &str| contact[key].as_str().unwrap().to_owned();
        meant.insert((text("host"), text("vendor"), text("name")));
        let exposure = report["exposures"]
            .as_array()
            .unwrap()
            .iter()
            .find(|exposure| {
                exposure["host"] == contact["host"]
                    && exposure["evidence"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .any(|evidence| evidence["value"] == contact["name"])
            })
            .unwrap_or_else(|| panic!("not found: {contact}"));
        let purposes: Vec<_> = exposure["purposes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|purpose| &purpose["purpose"])
            .collect();
        assert!(
            purposes.contains(&&contact["purpose"]),
            "{contact}: {purposes:?}"
        );
        if let Some(engine) = contact["engine"].as_str() {
            assert_eq!(exposure["engine"]["vendor"], engine, "{contact}");
            assert_ne!(
                exposure["vendor"], engine,
                "an engine inside somebody else's product"
            );
        }
    }
    // Who only asked for a name asked for one of these; who showed none went to an address of these.
    let vendor_of: BTreeMap<String, String> = (meant.iter())
        .map(|(_, vendor, name)| (name.clone(), vendor.clone()))
        .collect();
    for asked in expected["other_names"].as_array().unwrap() {
        let text = |key: &str| asked[key].as_str().unwrap().to_owned();
        if let Some(vendor) = vendor_of.get(&text("name")) {
            meant.insert((text("src_ip"), vendor.clone(), text("name")));
        }
    }
    let nameless: BTreeSet<_> = ["unnamed", "attempted"]
        .iter()
        .flat_map(|list| expected[list].as_array().unwrap())
        .map(|flow| flow["dest_ip"].as_str().unwrap().to_owned())
        .collect();
    seen.retain(|(_, _, value)| !nameless.contains(value));
    let extra: Vec<_> = seen.difference(&meant).collect();
    let missed: Vec<_> = meant.difference(&seen).collect();
    assert!(
        extra.is_empty() && missed.is_empty(),
        "extra {extra:#?}, missed {missed:#?}"
    );
    let embedded = report["exposures"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|exposure| {
            exposure["vendor"] == "checkpoint" && exposure["engine"]["vendor"] == "kaspersky"
        });
    assert_eq!(embedded.count(), 2, "the gateway and the desktop product");
}

/// Law 3: `seq` and the hash of an event lead to a frame that belongs to the flow, and the name ends in it or before it.
#[test]
fn every_sighting_leads_to_its_frame() {
    // XXH3-64 of nothing, as its specification gives it: the hash is the one that `xxhsum -H3` prints.
    assert_eq!(xxhash_rust::xxh3::xxh3_64(b""), 0x2d06_8005_38d3_94c2);
    let path = pcaps().join("demo.pcap");
    let content = std::fs::read(&path).unwrap();
    let (_, records) = super::support::records(&content);
    let run = run(&[path], &Way::default());
    let (mut sightings, mut whole) = (0, 0);
    for line in String::from_utf8(run.events).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let facts = event["avscope"]["evidence"].as_array();
        let Some(evidence) = facts
            .into_iter()
            .flatten()
            .find(|fact| fact["kind"] == "tls_sni")
        else {
            continue;
        };
        sightings += 1;
        let frame = &records[evidence["seq"].as_u64().unwrap() as usize][16..];
        let hash = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(frame));
        assert_eq!(evidence["frame_xxh3"], hash, "{line}");
        let port = (event["src_port"].as_u64().unwrap() as u16).to_be_bytes();
        assert!(frame.windows(2).any(|bytes| bytes == port), "{line}");
        let name = evidence["value"].as_str().unwrap().as_bytes();
        whole += usize::from(frame.windows(name.len()).any(|bytes| bytes == name));
    }
    // A name and a flow for each; the hellos of one client come in two frames, the name mostly in the first.
    assert!(
        sightings >= 200 && whole * 10 >= sightings * 7,
        "{whole} of {sightings}"
    );
}

#[test]
fn a_visit_to_a_web_site_is_shown_as_one() {
    let report = run(&[pcaps().join("demo.pcap")], &Way::default()).report;
    for exposure in report["exposures"].as_array().unwrap() {
        let purposes = exposure["purposes"].as_array().unwrap();
        let only_web = purposes.iter().all(|purpose| purpose["purpose"] == "web");
        assert_eq!(exposure["web_only"], only_web);
    }
    let visitor = |exposure: &&Value| exposure["web_only"] == true;
    assert!(
        report["exposures"]
            .as_array()
            .unwrap()
            .iter()
            .filter(visitor)
            .count()
            >= 2
    );
}

#[test]
fn every_awkward_delivery_of_a_hello_is_named_and_a_hole_is_counted() {
    let expected = expected("hello-deliveries.expected.json");
    let path = pcaps().join("hello-deliveries.pcap");
    assert_names(&path, &expected, 0);

    // The table, and where the bytes of the unnamed are.
    let run = run(&[path], &Way::default());
    assert_conserved(&run, "deliveries");
    let mut coverage = BTreeMap::new();
    let mut named = BTreeSet::new();
    for line in String::from_utf8(run.events).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        if event["event_type"] == "flow" {
            let port = event["src_port"].as_u64().unwrap();
            coverage.insert(
                port,
                event["avscope"]["coverage"].as_str().unwrap().to_owned(),
            );
            if event["tls"]["sni"].is_string() {
                named.insert(port);
            }
        }
    }
    let mut table: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for case in expected["cases"].as_array().unwrap() {
        let port = case["src_port"].as_u64().unwrap();
        let row = table
            .entry(case["case"].as_str().unwrap().to_owned())
            .or_default();
        row.0 += 1;
        row.1 += u32::from(named.contains(&port));
        assert_eq!(
            case["named"].as_bool().unwrap(),
            named.contains(&port),
            "{case}"
        );
        if let Some(reason) = case["reason"].as_str() {
            assert_eq!(coverage[&port], reason, "{case}");
        }
    }
    for (case, (flows, named)) in &table {
        println!("{case:28} {named} of {flows} named");
    }
    assert!(table.len() >= 14);
}

#[test]
fn link_types_and_formats_are_read_to_their_damage() {
    let expected = expected("link-types/expected.json");
    for capture in expected["captures"].as_array().unwrap() {
        let path = pcaps().join(capture["capture"].as_str().unwrap());
        let damaged = !capture["damage"].is_null();
        assert_names(&path, capture, if damaged { 4 } else { 0 });
        let run = run(&[path], &Way::default());
        assert_conserved(&run, capture["capture"].as_str().unwrap());
        let report = &run.source_reports[0];
        assert_eq!(
            report.frames,
            capture["readable_packets"].as_u64().unwrap(),
            "{capture}"
        );
        assert_eq!(report.damage.is_some(), damaged);
        if let Some(offset) = capture["damage_offset"].as_u64() {
            assert_eq!(report.damage.unwrap().offset, offset, "{capture}");
        }
    }
}

#[test]
fn everything_is_accounted_for_in_every_capture() {
    let mut captures = all_captures();
    if let Some(corpus) = std::env::var_os("AVSCOPE_CORPUS") {
        for entry in std::fs::read_dir(&corpus).unwrap() {
            let path = entry.unwrap().path();
            if !path.to_string_lossy().ends_with(".json")
                && path.extension().is_some_and(|e| e != "md" && e != "py")
            {
                captures.push(path);
            }
        }
    } else {
        super::support::skip("accounting for real captures", "AVSCOPE_CORPUS is not set");
    }
    for path in captures {
        let run = run(std::slice::from_ref(&path), &Way::default());
        assert_conserved(&run, &path.display().to_string());
    }
}
