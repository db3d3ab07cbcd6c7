//! Real captures: names against another tool's, contacts against a truth by hand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use avscope::attribute::Ruleset;
use serde_json::Value;

use super::support::skip;

#[path = "../../examples/corpus/attribution.rs"]
#[allow(dead_code, reason = "the example prints more of it")]
mod attribution;
#[path = "../../examples/corpus/catch_all.rs"]
#[allow(dead_code, reason = "the example prints more of it")]
mod catch_all;
#[path = "../../examples/corpus/compare.rs"]
#[allow(dead_code, reason = "the example prints more of it")]
mod compare;
#[path = "../../examples/corpus/replay.rs"]
mod replay;
#[path = "../../examples/corpus/second.rs"]
mod second;

use replay::Replayed;

/// A capture, its truth, and what avscope makes of it.
type Read = (PathBuf, Value, Replayed);

/// Every capture of the folder, read once for all tests.
fn read(test: &str) -> Option<&'static [Read]> {
    static READ: OnceLock<Vec<Read>> = OnceLock::new();
    let Some(folder) = std::env::var_os("AVSCOPE_CORPUS") else {
        skip(
            test,
            "AVSCOPE_CORPUS does not name a folder of captures with truth files",
        );
        return None;
    };
    let all = READ.get_or_init(|| {
        let rules = Arc::new(Ruleset::builtin().unwrap());
        compare::captures(folder.as_ref())
            .unwrap()
            .into_iter()
            .map(|(capture, truth)| {
                let replayed = replay::replay(&capture, &rules);
                (capture, truth, replayed)
            })
            .collect()
    });
    assert!(all.len() > 100, "{}", all.len());
    Some(all)
}

#[test]
fn the_names_of_real_captures_are_found() {
    let Some(all) = read("names of real captures") else {
        return;
    };
    for (capture, _, replayed) in all {
        assert!(replayed.conserved, "{}", capture.display());
    }
    for kind in compare::READ {
        let (mut truth, mut found, mut beyond) = (0, 0, 0);
        for (capture, expected, replayed) in all {
            let result = compare::compare(capture, expected, kind, replayed);
            if result.unread_link_types.is_some() {
                continue;
            }
            truth += result.truth;
            found += result.found;
            for missed in &result.missed {
                if missed.class == "plain" {
                    println!("missed {kind} in {}: {missed:?}", result.capture);
                } else {
                    beyond += 1;
                }
            }
            // What avscope finds beyond the truth, the second tool finds too once it is told the port.
            for extra in result.extra.iter().filter(|_| kind == "tls_sni") {
                assert!(
                    extra.second.contains(&extra.key.0),
                    "{}: {extra:?}",
                    result.capture
                );
            }
        }
        assert!(truth > 0, "{kind}");
        let recall = compare::percent(found, truth - beyond);
        assert!(
            recall >= 99.5,
            "{kind}: {found} of {} plain names: {recall:.2} %",
            truth - beyond
        );
    }
}

fn truth() -> attribution::Truth {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attribution/corpus.toml");
    attribution::truth(&path)
}

#[test]
fn contacts_in_real_captures_are_told_and_no_others() {
    let Some(all) = read("contacts in real captures") else {
        return;
    };
    let names: BTreeSet<_> = all
        .iter()
        .map(|(capture, ..)| compare::file_name(capture))
        .collect();
    let told: BTreeSet<_> = all
        .iter()
        .flat_map(|(capture, _, replayed)| {
            attribution::told(&compare::file_name(capture), &replayed.events)
        })
        .collect();
    let judgement = attribution::judge(&truth(), &names, &told);
    assert!(judgement.traps > 0);
    assert!(judgement.total().readable > 0);
    assert_eq!(judgement.mistakes, Vec::<String>::new());
}

#[test]
fn little_is_of_an_unknown_protocol() {
    let Some(all) = read("catch-all") else {
        return;
    };
    let mut sum = catch_all::CatchAll::default();
    for (capture, _, replayed) in all {
        sum.add(capture, &replayed.events, false);
    }
    let share = compare::percent(sum.count(), sum.flows);
    assert!(share <= catch_all::SHARE_MAX, "{share:.2} %: {sum:?}");
}

/// The truth is only worth something if its words are those of the program and every trap names a vendor that has rules.
#[test]
fn the_truth_by_hand_uses_the_words_of_the_program() {
    let truth = truth();
    for contact in &truth.contact {
        for purpose in &contact.purposes {
            let known = avscope::model::Purpose::ALL.iter();
            assert!(
                known
                    .map(|known| known.as_str())
                    .any(|known| known == purpose),
                "{contact:?}"
            );
        }
        for kind in &contact.evidence {
            let known = avscope::model::EvidenceKind::ALL.iter();
            assert!(
                known.map(|known| known.as_str()).any(|known| known == kind),
                "{contact:?}"
            );
        }
        assert!(
            !contact.names.is_empty() && contact.why.ends_with('.'),
            "{contact:?}"
        );
    }
    for trap in &truth.trap {
        assert!(
            !trap.vendors.is_empty() && trap.why.ends_with('.'),
            "{trap:?}"
        );
    }
}

/// A wrong answer, a missed contact and a sprung trap each have to show.
#[test]
fn mistakes_are_noticed() {
    let truth = truth();
    let capture = "ivre__nb6-startup.pcap";
    let read = BTreeSet::from([capture.to_owned(), "ja4__ssh2.pcapng".to_owned()]);
    let told = BTreeSet::from([attribution::Told {
        capture: capture.to_owned(),
        client: "95.136.242.99".to_owned(),
        vendor: "comodo".to_owned(),
        purpose: "reputation".to_owned(),
        engine: None,
        values: vec!["ocsp.comodoca.com".to_owned()],
    }]);
    let judgement = attribution::judge(&truth, &read, &told);
    assert_eq!(judgement.traps_sprung, 1);
    assert_eq!(judgement.total().wrong, 1);
    assert_eq!(judgement.by_vendor["sophos"].found, 0);
    assert_eq!(judgement.by_vendor["sophos"].truth, 2);
    // The trap, the wrong contact, and both of Sophos's that were not told.
    assert_eq!(judgement.mistakes.len(), 4);
}

/// The rules by which two names are the same, on rows as both sides write them.
#[test]
fn names_are_compared_by_the_rules() {
    let row = |kind: &str, name: &str| {
        serde_json::json!({"kind": kind, "name": name, "src_ip": "10.0.0.1", "src_port": 4000,
            "dest_ip": "10.0.0.2", "dest_port": 80, "count": 1})
    };
    let there = |kind: &str, name: &str| {
        serde_json::json!({"kind": kind, "name": name, "src": "10.0.0.1", "sport": 4000,
            "dst": "10.0.0.2", "dport": 80, "count": 1, "frame": 1})
    };
    let compared = |kind: &str, ours: &str, theirs: &str| {
        let word = if kind == "http_user_agent" {
            "user_agent"
        } else {
            kind
        };
        let truth = serde_json::json!({"names": [there(word, theirs)], "user_agents": [there(word, theirs)]});
        let replayed = Replayed {
            names: vec![row(kind, ours)],
            events: Vec::new(),
            conserved: true,
        };
        let result = compare::compare(Path::new("none.pcap"), &truth, kind, &replayed);
        assert_eq!(result.truth, 1);
        assert_eq!(result.missed.len(), result.extra.len());
        result.found == 1
    };
    assert!(compared("dns_query", "a.example", "A.eXample."));
    assert!(compared("dns_query", "", "<Root>"));
    assert!(!compared("dns_query", "a.example", "b.example"));
    assert!(compared("http_host", "a.example", "A.example:8080"));
    assert!(compared("http_host", "[2001:db8::1]", "[2001:db8::1]:80"));
    assert!(!compared("http_host", "[2001:db8::1]", "[2001:db8::2]:80"));
    assert!(compared("http_connect", "a.example:443", "a.example:443"));
    assert!(compared("http_user_agent", "a/1 (b)", "a/1 (b)"));
    assert!(!compared("http_user_agent", "A/1 (b)", "a/1 (b)"));
    assert!(compared("llmnr_query", "wpad", "WPAD"));
}
