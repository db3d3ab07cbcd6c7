#![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

use super::*;
use crate::policy::Policies;

fn finding(first_seen: &str, last_seen: &str) -> Recorded {
    Recorded {
        policy: "us-far-52-204-23".to_owned(),
        result: Outcome::Indicates,
        severity: Severity::High,
        exposure: "0123456789abcdef".to_owned(),
        site: None,
        host: "192.168.10.2".to_owned(),
        vendor: "checkpoint".to_owned(),
        product: None,
        engine: Some("kaspersky".to_owned()),
        first_seen: first_seen.to_owned(),
        last_seen: last_seen.to_owned(),
        identified: None,
    }
}

fn identified(at: &str, reported_at: Option<&str>) -> Identified {
    Identified {
        at: at.to_owned(),
        by: None,
        note: None,
        reported_at: reported_at.map(str::to_owned),
    }
}

#[test]
fn the_same_finding_again_changes_nothing() {
    let mut record = Record::default();
    record.note("a", finding("2024-10-02", "2024-10-03"));
    let once = record.clone();
    record.note("a", finding("2024-10-02", "2024-10-03"));
    assert_eq!(record, once);
}

#[test]
fn a_finding_is_widened_and_what_people_did_stays() {
    let mut record = Record::default();
    record.note("a", finding("2024-10-02", "2024-10-03"));
    let done = Some(identified("2024-10-04", None));
    record.findings.get_mut("a").unwrap().identified = done.clone();
    // An older capture is read later.
    let mut older = finding("2024-10-01", "2024-10-02");
    older.result = Outcome::Undetermined;
    record.note("a", older);
    let known = &record.findings["a"];
    assert_eq!(
        (known.first_seen.as_str(), known.last_seen.as_str()),
        ("2024-10-01", "2024-10-03")
    );
    assert_eq!(
        known.result,
        Outcome::Indicates,
        "the later judgement holds"
    );
    let mut newer = finding("2024-10-05", "2024-10-06");
    newer.result = Outcome::Exempt;
    record.note("a", newer);
    let known = &record.findings["a"];
    assert_eq!(
        (known.first_seen.as_str(), known.last_seen.as_str()),
        ("2024-10-01", "2024-10-06")
    );
    assert_eq!((known.result, &known.identified), (Outcome::Exempt, &done));
}

#[test]
fn a_file_is_replaced_whole_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("findings.json");
    assert_eq!(Record::read_or_new(&path).unwrap(), Record::default());
    assert!(
        Record::read(&path).is_err(),
        "to look into nothing is a mistake"
    );
    let mut record = Record::default();
    record.note("a", finding("2024-10-02", "2024-10-03"));
    record.write(&path).unwrap();
    assert_eq!(Record::read(&path).unwrap(), record);
    record.note("b", finding("2024-10-02", "2024-10-03"));
    record.write(&path).unwrap();
    assert_eq!(Record::read_or_new(&path).unwrap(), record);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "nothing is left beside it");
    let refused = record.write(folder.path()).unwrap_err();
    assert!(matches!(refused, RecordError::NotAFile { .. }), "{refused}");
    assert!(
        record
            .write(&folder.path().join("none/findings.json"))
            .is_err()
    );
}

#[test]
fn what_is_no_record_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("findings.json");
    for (text, part) in [
        ("", "EOF"),
        ("{}", "version"),
        ("{\"version\": 2, \"other\": 1}", "version 2 is not known"),
        ("{\"version\": 1, \"findings\": {}, \"more\": 1}", "more"),
        ("{\"version\": 1, \"findings\": {\"a\": 1}}", "invalid type"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Record::read_or_new(&path).unwrap_err().to_string();
        assert!(
            error.contains("no record of findings") && error.contains(part),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn clocks_count_from_what_a_person_did() {
    let policies = Policies::builtin().unwrap();
    let far = policies.get("us-far-52-204-23").unwrap();
    let days = |at: &str, reported: Option<&str>| -> Vec<(String, bool)> {
        deadlines(far, &identified(at, reported))
            .unwrap()
            .into_iter()
            .map(|deadline| (deadline.day.to_string(), deadline.settled))
            .collect()
    };
    let day = |day: &str, settled| (day.to_owned(), settled);
    // Monday 7 October; 14 October is Columbus Day. The follow-up counts from the report, at the latest from its last day.
    let expected = [day("2024-10-10", true), day("2024-10-25", false)];
    assert_eq!(days("2024-10-07", None), expected);
    let expected = [day("2024-10-10", true), day("2024-10-23", true)];
    assert_eq!(days("2024-10-07", Some("2024-10-08")), expected);
    // One business day before the clause changed.
    assert_eq!(days("2023-12-01", None)[0], day("2023-12-04", true));
    assert_eq!(days("2023-12-04", None)[0], day("2023-12-07", true));
    assert!(deadlines(far, &identified("soon", None)).is_err());
    let act = policies.get("us-ndaa-1634").unwrap();
    assert!(
        deadlines(act, &identified("2024-10-07", None))
            .unwrap()
            .is_empty()
    );
}
