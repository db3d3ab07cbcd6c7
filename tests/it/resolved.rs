//! Who resolved what: an address is a name's only from its answer on, for whom it was given, and as long as programs hold on to it.

use std::path::Path;

use serde_json::Value;

use super::frames::{
    BEGIN, Data, End, Frame, MILLISECOND, SECOND, lines_of, resolved, run_frames, tls, write_pcap,
};
use super::support::{Way, avscope};

const CLIENT: End = ([192, 168, 1, 10], 40_001);
const OTHER: End = ([192, 168, 1, 11], 40_002);
const RESOLVER: End = ([9, 9, 9, 9], 53);
const SERVER: End = ([203, 0, 113, 7], 443);
const VENDOR: &str = "p07.upd.kaspersky.com";
const ANOTHER_VENDOR: &str = "update.eset.com";
const NOBODY: &str = "www.example.org";

fn address(name: &str, ttl: u32) -> [(&str, u32, Data<'static>); 1] {
    [(name, ttl, Data::Address(SERVER.0))]
}

/// An answer for the client, good for a minute.
fn answered(nanos: u64, client: End, name: &str) -> Vec<Frame> {
    resolved(
        nanos,
        (client.0, 50_000),
        RESOLVER,
        name,
        &address(name, 60),
    )
}

/// The one flow to port 443 in these frames, as its record has it.
fn flow(frames: Vec<Frame>) -> Value {
    let run = run_frames(frames, &Way::default());
    // Nobody else's bytes: the account has them all (`run_frames`), and the exposures no more than the account.
    let mut flows = lines_of(&run, "flow");
    flows.retain(|line| line["dest_port"] == 443);
    assert_eq!(flows.len(), 1, "{flows:?}");
    flows.remove(0)
}

/// Kinds and values of a flow's evidence.
fn evidence(flow: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = flow["avscope"]["evidence"].as_array();
    items
        .into_iter()
        .flatten()
        .map(|item| (text(&item["kind"]), text(&item["value"])))
        .collect()
}

#[track_caller]
fn assert_verdict(flow: &Value, vendor: &str, kind: &str, confidence: &str) {
    let verdict = &flow["avscope"]["attribution"];
    assert_eq!(verdict["vendor"], vendor, "{flow}");
    assert_eq!(verdict["evidence_kind"], kind, "{flow}");
    assert_eq!(verdict["confidence"], confidence, "{flow}");
    assert_eq!(flow["avscope"]["coverage"], "attributed", "{flow}");
}

#[track_caller]
fn assert_nobodys(flow: &Value, coverage: &str) {
    assert_eq!(flow["avscope"]["attribution"], Value::Null, "{flow}");
    assert_eq!(flow["avscope"]["coverage"], coverage, "{flow}");
}

fn pair(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[test]
fn an_answer_counts_for_flows_that_open_after_it() {
    let mut frames = answered(BEGIN, CLIENT, VENDOR);
    frames.extend(tls(BEGIN + SECOND, CLIENT, SERVER, "", false));
    let flow = flow(frames);
    assert_eq!(evidence(&flow), [pair("dns_answer", VENDOR)]);
    assert_verdict(&flow, "kaspersky", "dns_answer", "medium");
    assert_eq!(flow["avscope"]["evidence"][0]["seq"], 1, "{flow}");
}

#[test]
fn an_answer_does_not_count_for_flows_that_opened_before_it() {
    // Behind the first packet of the flow, and behind its hello.
    let answer = answered(BEGIN + 1, CLIENT, VENDOR);
    for (at, begin) in [(1, 0), (4, 3)] {
        let mut frames = tls(BEGIN, CLIENT, SERVER, "", false);
        let late = answer
            .iter()
            .map(|(_, len, bytes)| (BEGIN + begin * MILLISECOND + 1, *len, bytes.clone()));
        frames.splice(at..at, late);
        let flow = flow(frames);
        assert_eq!(evidence(&flow), []);
        assert_nobodys(&flow, "sni_absent");
    }
    let mut frames = tls(BEGIN, CLIENT, SERVER, "", false);
    // The question before it, the answer behind.
    frames.insert(0, answer[0].clone());
    frames.insert(2, answer[1].clone());
    assert_nobodys(&flow(frames), "sni_absent");
}

#[test]
fn what_somebody_else_resolved_says_less() {
    let mut frames = answered(BEGIN, OTHER, VENDOR);
    frames.extend(tls(BEGIN + SECOND, CLIENT, SERVER, "", false));
    let flow = flow(frames);
    assert_eq!(evidence(&flow), [pair("dns_answer_other", VENDOR)]);
    assert_verdict(&flow, "kaspersky", "dns_answer_other", "low");
}

#[test]
fn ones_own_answer_counts_before_a_later_one_of_somebody_else() {
    let mut frames = answered(BEGIN, CLIENT, VENDOR);
    frames.extend(answered(BEGIN + SECOND, OTHER, ANOTHER_VENDOR));
    frames.extend(tls(BEGIN + 2 * SECOND, CLIENT, SERVER, "", false));
    let flow = flow(frames);
    assert_eq!(evidence(&flow), [pair("dns_answer", VENDOR)]);
    assert_verdict(&flow, "kaspersky", "dns_answer", "medium");
}

#[test]
fn an_answer_is_remembered_an_hour_at_least_its_time_to_live_and_a_day_at_most() {
    for (ttl, seconds, known) in [
        (0, 3599, true),
        (60, 3602, false),
        (7200, 7199, true),
        (7200, 7202, false),
        (864_000, 86_399, true),
        (864_000, 86_402, false),
    ] {
        let from = (CLIENT.0, 50_000);
        let mut frames = resolved(BEGIN, from, RESOLVER, VENDOR, &address(VENDOR, ttl));
        frames.extend(tls(BEGIN + seconds * SECOND, CLIENT, SERVER, "", false));
        let flow = flow(frames);
        if known {
            assert_verdict(&flow, "kaspersky", "dns_answer", "medium");
        } else {
            assert_nobodys(&flow, "sni_absent");
        }
    }
}

#[test]
fn behind_a_name_that_no_rule_knows_its_aliases_count() {
    let records = [
        ("av.integrator.example", 60, Data::Alias("cdn.example.net")),
        ("cdn.example.net", 60, Data::Alias(VENDOR)),
        (VENDOR, 60, Data::Address(SERVER.0)),
    ];
    let asked = "av.integrator.example";
    let mut frames = resolved(BEGIN, (CLIENT.0, 50_000), RESOLVER, asked, &records);
    frames.extend(tls(BEGIN + SECOND, CLIENT, SERVER, "", false));
    let flow = flow(frames);
    assert_eq!(
        evidence(&flow),
        [pair("dns_answer", VENDOR)],
        "the alias that the rule knows"
    );
    assert_verdict(&flow, "kaspersky", "dns_answer", "medium");
}

#[test]
fn two_names_with_different_verdicts_leave_it_open() {
    for (first, second, verdict) in [
        (VENDOR, ANOTHER_VENDOR, "eset"),
        (NOBODY, VENDOR, "kaspersky"),
    ] {
        let mut frames = answered(BEGIN, CLIENT, first);
        frames.extend(answered(BEGIN + SECOND, CLIENT, second));
        frames.extend(tls(BEGIN + 2 * SECOND, CLIENT, SERVER, "", false));
        let flow = flow(frames);
        assert_verdict(&flow, verdict, "dns_answer", "low");
        assert_eq!(flow["avscope"]["evidence"][0]["ambiguous"], true, "{flow}");
    }
    // The same verdict twice, or the other one long over: nothing is open.
    for (first, second, pause) in [
        (VENDOR, VENDOR, SECOND),
        (ANOTHER_VENDOR, VENDOR, 3700 * SECOND),
    ] {
        let mut frames = answered(BEGIN, CLIENT, first);
        frames.extend(answered(BEGIN + pause, CLIENT, second));
        frames.extend(tls(BEGIN + pause + SECOND, CLIENT, SERVER, "", false));
        let flow = flow(frames);
        assert_verdict(&flow, "kaspersky", "dns_answer", "medium");
        assert_ne!(flow["avscope"]["evidence"][0]["ambiguous"], true, "{flow}");
    }
}

#[test]
fn of_two_names_for_an_address_the_one_that_a_rule_knows_is_evidence() {
    for names in [[VENDOR, NOBODY], [NOBODY, VENDOR]] {
        // By the client itself, and by somebody else.
        for (by, kind) in [(CLIENT, "dns_answer"), (OTHER, "dns_answer_other")] {
            let mut frames = answered(BEGIN, by, names[0]);
            frames.extend(answered(BEGIN + SECOND, by, names[1]));
            frames.extend(tls(BEGIN + 2 * SECOND, CLIENT, SERVER, "", false));
            let flow = flow(frames);
            assert_eq!(evidence(&flow), [pair(kind, VENDOR)], "{names:?}");
            assert_verdict(&flow, "kaspersky", kind, "low");
            assert_eq!(flow["avscope"]["evidence"][0]["ambiguous"], true, "{flow}");
        }
    }
}

#[test]
fn a_name_that_a_rule_knows_gives_way_when_its_time_is_over() {
    // It holds for an hour; the other one, that came between, for two.
    let from = (CLIENT.0, 50_000);
    let longer = address(NOBODY, 7200);
    for (seconds, known) in [(3590, true), (3610, false)] {
        let mut frames = answered(BEGIN, CLIENT, VENDOR);
        frames.extend(resolved(BEGIN + SECOND, from, RESOLVER, NOBODY, &longer));
        frames.extend(tls(BEGIN + seconds * SECOND, CLIENT, SERVER, "", false));
        let flow = flow(frames);
        if known {
            assert_verdict(&flow, "kaspersky", "dns_answer", "low");
        } else {
            assert_eq!(evidence(&flow), [pair("dns_answer", NOBODY)]);
            assert_eq!(flow["avscope"]["attribution"], Value::Null, "{flow}");
        }
    }
}

#[test]
fn a_name_in_a_hello_may_be_a_cover_only_where_ech_is_offered() {
    for (ech, attributed) in [(true, true), (false, false)] {
        let mut frames = answered(BEGIN, CLIENT, VENDOR);
        frames.extend(tls(BEGIN + SECOND, CLIENT, SERVER, NOBODY, ech));
        let flow = flow(frames);
        let both = [pair("tls_sni", NOBODY), pair("dns_answer", VENDOR)];
        assert_eq!(evidence(&flow), both);
        if attributed {
            assert_verdict(&flow, "kaspersky", "dns_answer", "medium");
        } else {
            assert_nobodys(&flow, "named_not_security");
        }
    }
    // Without an answer the cover is all there is.
    let flow = flow(tls(BEGIN, CLIENT, SERVER, NOBODY, true));
    assert_nobodys(&flow, "ech_offered");
}

#[test]
fn the_name_that_the_client_gives_outweighs_what_it_resolved() {
    for ech in [false, true] {
        let mut frames = answered(BEGIN, CLIENT, VENDOR);
        frames.extend(tls(BEGIN + SECOND, CLIENT, SERVER, ANOTHER_VENDOR, ech));
        let flow = flow(frames);
        let both = [pair("tls_sni", ANOTHER_VENDOR), pair("dns_answer", VENDOR)];
        assert_eq!(evidence(&flow), both);
        assert_eq!(flow["avscope"]["attribution"]["vendor"], "eset", "{flow}");
        assert_eq!(
            flow["avscope"]["attribution"]["evidence_kind"], "tls_sni",
            "{flow}"
        );
    }
}

#[test]
fn a_memory_of_one_forgets_and_counts() {
    let mut way = Way::default();
    way.memory.entries_max = 1;
    let elsewhere = [(NOBODY, 60, Data::Address([203, 0, 113, 8]))];
    let mut frames = answered(BEGIN, CLIENT, VENDOR);
    frames.extend(resolved(
        BEGIN + SECOND,
        (CLIENT.0, 50_001),
        RESOLVER,
        NOBODY,
        &elsewhere,
    ));
    frames.extend(tls(BEGIN + 2 * SECOND, CLIENT, SERVER, "", false));
    let run = run_frames(frames, &way);
    let flows = lines_of(&run, "flow");
    let flow = flows.iter().find(|line| line["dest_port"] == 443).unwrap();
    assert_nobodys(flow, "sni_absent");
    assert_eq!(run.report["name_services"]["forgotten"], 2);
}

/// The flows to port 443 in captures: site, and whose they are.
fn by_program(args: &[&str], folder: &Path) -> Vec<(Value, Value)> {
    let output = avscope()
        .args(["replay", "-q", "--events", "-"])
        .args(args)
        .arg(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["event_type"] == "flow" && line["dest_port"] == 443)
        .map(|line| {
            (
                line["avscope"]["site"].clone(),
                line["avscope"]["attribution"]["vendor"].clone(),
            )
        })
        .collect()
}

#[test]
fn what_was_resolved_at_one_site_says_nothing_at_another() {
    let folder = tempfile::tempdir().unwrap();
    for site in ["london", "paris"] {
        std::fs::create_dir(folder.path().join(site)).unwrap();
    }
    let answer = answered(BEGIN, CLIENT, VENDOR);
    let contact = tls(BEGIN + SECOND, CLIENT, SERVER, "", false);
    write_pcap(&folder.path().join("london/dns.pcap"), &answer);
    write_pcap(&folder.path().join("london/tls.pcap"), &contact);
    write_pcap(&folder.path().join("paris/tls.pcap"), &contact);
    let mut found = by_program(&["--site-from-path"], folder.path());
    found.sort_by_key(|(site, _)| site.to_string());
    let kaspersky = Value::from("kaspersky");
    assert_eq!(
        found,
        [("london".into(), kaspersky), ("paris".into(), Value::Null)]
    );
}

#[test]
fn isolated_captures_know_nothing_of_each_others_answers() {
    let folder = tempfile::tempdir().unwrap();
    let contact = tls(BEGIN + SECOND, CLIENT, SERVER, "", false);
    write_pcap(
        &folder.path().join("1.pcap"),
        &answered(BEGIN, CLIENT, VENDOR),
    );
    write_pcap(&folder.path().join("2.pcap"), &contact);
    let vendors = |args: &[&str]| -> Vec<Value> {
        let found = by_program(args, folder.path());
        found.into_iter().map(|(_, vendor)| vendor).collect()
    };
    assert_eq!(vendors(&[]), ["kaspersky"]);
    assert_eq!(vendors(&["--isolate"]), [Value::Null]);
    // One site, and still a world each.
    assert_eq!(vendors(&["--isolate", "--site", "here"]), [Value::Null]);
}
