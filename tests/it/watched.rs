//! What was watched by zone and hour is the outbound account, in every capture; printed, and bounded.

use std::collections::BTreeMap;

use avscope::aggregate::WatchLimits;
use serde_json::Value;

use super::support::{Way, all_captures, assert_conserved, avscope, pcaps, run};

type Counts = BTreeMap<String, [u64; 4]>;

fn add(sums: &mut Counts, buckets: &Value) {
    for (bucket, traffic) in buckets.as_object().unwrap() {
        let sum = sums.entry(bucket.clone()).or_default();
        for (sum, key) in sum
            .iter_mut()
            .zip(["flows", "packets", "bytes_out", "bytes_in"])
        {
            *sum += traffic[key].as_u64().unwrap();
        }
    }
}

/// Zones, hours, what was folded and what belongs to no flow against the outbound account.
fn assert_is_outbound(report: &Value, what: &str) {
    let watched = &report["coverage_by_zone"];
    let (mut sums, mut outbound) = (Counts::new(), Counts::new());
    for hour in watched["hours"].as_array().unwrap() {
        add(&mut sums, &hour["by_coverage"]);
    }
    add(&mut sums, &watched["folded"]["by_coverage"]);
    add(&mut sums, &watched["outside_flows"]);
    add(&mut outbound, &report["outbound"]["by_coverage"]);
    assert_eq!(sums, outbound, "{what}");
    let of_buckets = sums.values().map(|[_, _, out, received]| out + received);
    let total = &report["outbound"]["total"];
    assert_eq!(
        of_buckets.sum::<u64>(),
        total["bytes_out"].as_u64().unwrap() + total["bytes_in"].as_u64().unwrap(),
        "{what}"
    );
    if watched["folded_hours"] == 0 {
        let mut zones = Counts::new();
        for zone in watched["zones"].as_array().unwrap() {
            add(&mut zones, &zone["by_coverage"]);
        }
        add(&mut zones, &watched["outside_flows"]);
        assert_eq!(zones, outbound, "{what}: zones");
    }
}

#[test]
fn in_every_capture_buckets_zones_and_hours_are_the_outbound_bytes() {
    for path in all_captures() {
        let what = path.display().to_string();
        let run = run(&[path], &Way::default());
        assert_conserved(&run, &what);
        assert_is_outbound(&run.report, &what);
        for hour in run.report["coverage_by_zone"]["hours"].as_array().unwrap() {
            let number = |key: &str| hour[key].as_u64().unwrap();
            assert!(
                number("host_hours_named") <= number("host_hours"),
                "{what}: {hour}"
            );
            assert!(
                number("host_hours_encrypted_dns") <= number("host_hours"),
                "{what}: {hour}"
            );
            assert!(number("minutes_watched") <= 60, "{what}: {hour}");
        }
    }
}

#[test]
fn with_room_for_one_hour_and_one_host_the_sums_still_match() {
    let paths = all_captures();
    let way = Way {
        watch: WatchLimits {
            hours_max: 1,
            hosts_max: 1,
        },
        ..Way::default()
    };
    let run = run(&paths, &way);
    assert_conserved(&run, "all captures together");
    assert_is_outbound(&run.report, "all captures together");
    let watched = &run.report["coverage_by_zone"];
    assert_eq!(watched["hours"].as_array().unwrap().len(), 1);
    assert!(watched["folded_hours"].as_u64().unwrap() > 0);
    assert!(watched["hosts_refused"].as_u64().unwrap() > 0);
}

#[test]
fn the_report_prints_zones_and_their_sums() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("avscope.toml");
    std::fs::write(&config, "[zones]\noffice = [\"192.168.0.0/16\"]\n").unwrap();
    let output = avscope()
        .arg("replay")
        .arg("--config")
        .arg(&config)
        .arg(pcaps().join("demo.pcap"))
        .assert()
        .code(0);
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    assert!(text.contains("What was watched, by zone"), "{text}");
    assert!(
        text.contains("ok  bytes outbound, by zone and hour"),
        "{text}"
    );
    assert!(
        text.contains("ok  flows outbound, by zone and hour"),
        "{text}"
    );
    assert!(
        text.contains("\n office ") || text.contains("\n unzoned "),
        "{text}"
    );
}
