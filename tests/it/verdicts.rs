//! What is done to a product, and what must come of it: each case was recorded, and its verdict written down beforehand.

use std::collections::BTreeSet;

use avscope::aggregate::VerdictReason;
use avscope::model::{AttemptOutcome, Verdict};
use serde_json::Value;

use super::support::{Way, pcaps, run};

fn expected() -> Value {
    let path = pcaps().join("verdicts.expected.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn each_case_comes_to_the_verdict_that_was_written_down() {
    let report = run(&[pcaps().join("verdicts.pcap")], &Way::default()).report;
    let exposures = report["exposures"].as_array().unwrap();
    let expected = expected();
    let cases = expected["verdicts"].as_array().unwrap();
    assert_eq!(exposures.len(), cases.len());
    for case in cases {
        let exposure = exposures.iter().find(|it| it["host"] == case["host"]);
        let exposure = exposure.unwrap_or_else(|| panic!("{case}: no exposure"));
        assert_eq!(exposure["verdict"], case["verdict"], "{case}");
        assert_eq!(exposure["contact"], case["contact"], "{case}");
        // Of a name that only led inside, question and flow were diverted.
        let outcome = case["outcome"].as_str().unwrap();
        let times = case["times"].as_u64().unwrap();
        let factor = if outcome == "diverted" { 2 } else { 1 };
        assert_eq!(exposure["outcomes"][outcome], times * factor, "{case}");
        let occasions = exposure["solid_occasions"].as_u64().unwrap();
        let solid = case["verdict"] != "visited" && case["case"] != "weak-rule";
        assert_eq!(occasions, if solid { times } else { 0 }, "{case}");
    }
}

#[test]
fn who_is_asked_for_through_a_proxy_inside_was_not_led_there() {
    // 192.168.10.41 asks the proxy 192.168.10.5 for update.eset.com in plain HTTP, once.
    let report = run(&[pcaps().join("names-in-clear.pcap")], &Way::default()).report;
    let exposures = report["exposures"].as_array().unwrap();
    let by_proxy = exposures.iter().find(|it| {
        let evidence = it["evidence"].as_array().unwrap();
        let names =
            |fact: &Value| fact["kind"] == "http_host" && fact["server_ip"] == "192.168.10.5";
        it["host"] == "192.168.10.41" && it["vendor"] == "eset" && evidence.iter().any(names)
    });
    let outcomes = &by_proxy.unwrap()["outcomes"];
    assert_eq!(outcomes["proxied"], 1, "{outcomes}");
    assert!(outcomes["diverted"].is_null(), "{outcomes}");
}

#[test]
fn bytes_and_times_of_purposes_add_up_to_those_of_the_exposure() {
    for capture in ["demo.pcap", "verdicts.pcap", "names-in-clear.pcap"] {
        let report = run(&[pcaps().join(capture)], &Way::default()).report;
        for exposure in report["exposures"].as_array().unwrap() {
            let purposes = exposure["purposes"].as_array().unwrap();
            for field in ["bytes_out", "bytes_in"] {
                let of = |it: &Value| it[field].as_u64().unwrap();
                assert_eq!(
                    purposes.iter().map(of).sum::<u64>(),
                    of(exposure),
                    "{exposure}"
                );
            }
            let of = |field| purposes.iter().map(move |it| it[field].as_str().unwrap());
            assert_eq!(
                of("first_seen").min(),
                exposure["first_seen"].as_str(),
                "{exposure}"
            );
            assert_eq!(
                of("last_seen").max(),
                exposure["last_seen"].as_str(),
                "{exposure}"
            );
        }
    }
}

#[test]
fn the_page_has_every_word() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/VERDICTS.md");
    let page = std::fs::read_to_string(page).unwrap();
    let words = Verdict::ALL.iter().map(|it| it.as_str());
    let words = words.chain(VerdictReason::ALL.iter().map(|it| it.as_str()));
    let words = words.chain(AttemptOutcome::ALL.iter().map(|it| it.as_str()));
    let missing: BTreeSet<_> = words
        .filter(|word| !page.contains(&format!("`{word}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
