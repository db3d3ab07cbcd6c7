//! Alerts, the state, who is silent, suggestions: by the program, over the demo.

use std::collections::BTreeSet;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

use super::support::pcaps;

/// The report of a replay with these options.
fn replay(options: &[&str], captures: &[&Path]) -> Value {
    let output = Command::cargo_bin("avscope")
        .unwrap()
        .args(["replay", "--quiet", "--format", "json"])
        .args(options)
        .args(captures)
        .assert()
        .code(0);
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

fn alerts<'a>(report: &'a Value, kind: &str) -> Vec<&'a Value> {
    let all = report["alerts"].as_array().unwrap().iter();
    all.filter(|alert| alert["kind"] == kind).collect()
}

fn texts<'a>(of: impl IntoIterator<Item = &'a Value>, field: &str) -> BTreeSet<&'a str> {
    of.into_iter()
        .filter_map(|value| value[field].as_str())
        .collect()
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What was composed: vendors with evidence beyond web sites, and hosts by the bytes they sent each vendor.
fn composed() -> Value {
    let path = pcaps().join("demo.expected.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_first_sight_is_told_once_for_a_vendor_and_the_state_remembers_it() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let lines = folder.path().join("alerts.jsonl");
    let options = [
        "--state",
        state.to_str().unwrap(),
        "--alerts",
        lines.to_str().unwrap(),
    ];
    let demo = pcaps().join("demo.pcap");
    let first = replay(&options, &[&demo]);
    let told = alerts(&first, "first_sight");
    let composed = composed();
    let contacts = composed["contacts"].as_array().unwrap();
    let beyond_web = contacts.iter().filter(|it| it["purpose"] != "web");
    let vendors = texts(beyond_web, "vendor");
    assert_eq!(texts(told.iter().copied(), "vendor"), vendors);
    // Check Point by itself, and with Kaspersky's engine inside: two first sights.
    assert_eq!(told.len(), vendors.len() + 1);
    let inside = told.iter().find(|alert| !alert["engine_vendor"].is_null());
    assert_eq!(inside.unwrap()["vendor"], "checkpoint");
    assert_eq!(inside.unwrap()["engine_vendor"], "kaspersky");
    assert_eq!(inside.unwrap()["value"], 2, "hosts");
    let written = std::fs::read_to_string(&lines).unwrap();
    assert_eq!(written.lines().count(), told.len());
    let remembered = std::fs::read(&state).unwrap();
    for exposure in first["exposures"].as_array().unwrap() {
        assert!(exposure["known_since"].is_null());
    }

    let again = replay(&options, &[&demo]);
    assert_eq!(again["alerts"], json!([]));
    assert_eq!(std::fs::read(&state).unwrap(), remembered);
    for exposure in again["exposures"].as_array().unwrap() {
        assert_eq!(exposure["known_since"], exposure["first_seen"]);
    }
}

#[test]
fn every_line_is_as_its_schema_says() {
    let demo = pcaps().join("demo.pcap");
    let output = Command::cargo_bin("avscope")
        .unwrap()
        .args(["replay", "--quiet", "--alerts", "-"])
        .arg(&demo)
        .assert()
        .code(0);
    let output = output.get_output();
    let schema =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/alert.schema.json"));
    let schema: Value = serde_json::from_slice(&schema.unwrap()).unwrap();
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.len() > 5);
    for line in &lines {
        assert!(validator.is_valid(line), "{line}");
    }
    let mut other = lines[0].clone();
    other["unheard_of"] = json!(1);
    assert!(!validator.is_valid(&other));
    // The summary steps aside.
    let summary = String::from_utf8_lossy(&output.stderr);
    assert!(summary.contains("Who talks to which security vendor"));
}

#[test]
fn alerts_do_not_depend_on_workers_and_a_capture_in_two_runs_leaves_the_same_state() {
    let folder = tempfile::tempdir().unwrap();
    let demo = pcaps().join("demo.pcap");
    let one = replay(&["--workers", "1"], &[&demo]);
    let three = replay(&["--workers", "3"], &[&demo]);
    assert_eq!(one["alerts"], three["alerts"]);
    assert_eq!(one["suggestions"], three["suggestions"]);

    // Other captures, in either order.
    let other = pcaps().join("names-in-clear.pcap");
    let states: Vec<_> = [[&demo, &other], [&other, &demo]]
        .iter()
        .enumerate()
        .map(|(number, order)| {
            let state = folder.path().join(number.to_string());
            for capture in order {
                replay(&["--state", state.to_str().unwrap()], &[capture]);
            }
            std::fs::read_to_string(state).unwrap()
        })
        .collect();
    assert_eq!(states[0], states[1]);
}

#[test]
fn first_sights_are_by_zone_not_told_while_learning_and_not_of_whom_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let demo = pcaps().join("demo.pcap");
    let zones = "[zones]\nlow = [\"192.168.10.0/28\"]\nhigh = [\"192.168.10.16/28\"]\n";
    let config = write(folder.path(), "zones.toml", zones);
    let report = replay(&["--config", &config], &[&demo]);
    let told = alerts(&report, "first_sight");
    let zone_of = |vendor: &str| {
        let of = told
            .iter()
            .copied()
            .filter(|alert| alert["vendor"] == vendor);
        texts(of, "zone")
    };
    assert_eq!(zone_of("checkpoint"), ["high", "low"].into());
    assert_eq!(zone_of("eset"), ["high"].into());

    let learning = write(
        folder.path(),
        "learning.toml",
        "[alerts]\nlearning_days = 1\n",
    );
    let report = replay(&["--config", &learning], &[&demo]);
    assert_eq!(alerts(&report, "first_sight").len(), 0);

    let expected = format!("{zones}[expected]\nhigh = [\"eset\"]\nall = [\"avast\"]\n");
    let expected = write(folder.path(), "expected.toml", &expected);
    let report = replay(&["--config", &expected], &[&demo]);
    let vendors = texts(alerts(&report, "first_sight"), "vendor");
    assert!(!vendors.contains("eset") && !vendors.contains("avast"));
    assert!(vendors.contains("drweb"));
}

#[test]
fn who_is_silent_where_an_agent_is_expected_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let demo = pcaps().join("demo.pcap");
    let text = "[expected]\nall = [\"crowdstrike\"]\n[alerts]\nexpected_active_hours_min = 1\n";
    let config = write(folder.path(), "expected.toml", text);
    let metrics = folder.path().join("metrics.prom");
    let options = ["--config", &config, "--metrics", metrics.to_str().unwrap()];
    let report = replay(&options, &[&demo]);
    let zone = &report["expected"][0];
    let text = std::fs::read_to_string(metrics).unwrap();
    let sample =
        "avscope_expected_hosts{vendor=\"crowdstrike\",zone=\"all\",state=\"speaking\"} 1\n";
    assert!(text.contains(sample));
    let silent = texts(zone["silent"].as_array().unwrap(), "host");
    // One of fourteen hosts has the agent; one is seen with an address of each family.
    assert!(!silent.contains("192.168.10.25"));
    for host in (20..=32).filter(|number| *number != 25) {
        assert!(silent.contains(&*format!("192.168.10.{host}")), "{host}");
    }
    assert_eq!(zone["speaking_hosts"], 1);
    assert_eq!(zone["silent_hosts"], silent.len());
    let missing = alerts(&report, "expected_missing");
    assert_eq!(
        (missing.len(), &missing[0]["value"]),
        (1, &zone["silent_hosts"])
    );

    // The demo lasts half an hour: by default that is too brief to say.
    let brief = write(
        folder.path(),
        "brief.toml",
        "[expected]\nall = [\"crowdstrike\"]\n",
    );
    let report = replay(&["--config", &brief], &[&demo]);
    let zone = &report["expected"][0];
    assert_eq!(
        (&zone["active_hosts"], &zone["silent_hosts"]),
        (&json!(0), &json!(0))
    );
    assert!(zone["briefly_active_hosts"].as_u64() > Some(10));
    assert_eq!(alerts(&report, "expected_missing").len(), 0);
}

#[test]
fn what_is_expected_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let demo = pcaps().join("demo.pcap");
    for (text, said) in [
        (
            "[expected]\nlab = [\"eset\"]\n",
            "\"lab\" is none of the zones",
        ),
        (
            "[expected]\nall = [\"esset\"]\n",
            "\"esset\" is no vendor of the rules",
        ),
    ] {
        let config = write(folder.path(), "wrong.toml", text);
        let output = Command::cargo_bin("avscope")
            .unwrap()
            .args(["replay", "--config", &config])
            .arg(&demo)
            .assert()
            .failure();
        let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(
            stderr.contains(said) && stderr.contains("wrong.toml:2"),
            "{stderr}"
        );
    }
}

#[test]
fn a_large_upload_and_one_far_above_the_past_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let demo = pcaps().join("demo.pcap");
    // What the application of 192.168.10.25 sent CrowdStrike is a quarter of a megabyte, and nobody else sent so much.
    let config = write(
        folder.path(),
        "uploads.toml",
        "[alerts]\nupload_bytes_per_hour = 200000\n",
    );
    let report = replay(&["--config", &config], &[&demo]);
    let told = alerts(&report, "upload_threshold");
    assert_eq!(
        texts(told.iter().copied(), "host"),
        ["192.168.10.25"].into()
    );
    assert!(told[0]["value"].as_u64() >= Some(200_000));

    let hours: Vec<_> = (0..24).map(|hour| json!([490_000 + hour, 100])).collect();
    let uploads =
        json!([{ "site": "", "host": "192.168.10.25", "vendor": "crowdstrike", "hours": hours }]);
    let state = |uploads: &Value| {
        let state = json!({
            "format": 1, "known_from": "2026-01-01T00:00:00Z", "known_until": "2026-11-01T00:00:00Z",
            "first_sights": [], "countries": [], "uploads": uploads, "exposures": [], "canaries": [],
        });
        write(folder.path(), "state.json", &state.to_string())
    };
    let config = write(
        folder.path(),
        "past.toml",
        "[alerts]\nupload_floor_bytes = 1000\n",
    );
    let options = |state: String| {
        [
            "--config".to_owned(),
            config.clone(),
            "--state".into(),
            state,
        ]
    };
    let run = |options: [String; 4]| {
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        replay(&options, &[&demo])
    };
    let report = run(options(state(&uploads)));
    let told = alerts(&report, "upload_above_past");
    assert_eq!(
        texts(told.iter().copied(), "host"),
        ["192.168.10.25"].into()
    );
    assert_eq!(told[0]["threshold"], 100, "the median");
    let report = run(options(state(&json!([]))));
    assert_eq!(alerts(&report, "upload_above_past").len(), 0, "no past");
}

#[test]
fn a_country_that_a_vendor_never_used_is_told_once_it_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let demo = pcaps().join("demo.pcap");
    let since = |day: &str| {
        let state = json!({
            "format": 1, "known_from": day, "known_until": day, "first_sights": [], "uploads": [], "exposures": [], "canaries": [],
            "countries": [{ "vendor": "kaspersky", "country": "DE", "first_seen": day }],
        });
        write(folder.path(), "state.json", &state.to_string())
    };
    let told = |state: &str| {
        let report = replay(&["--state", state], &[&demo]);
        let told = alerts(&report, "new_country");
        told.into_iter().cloned().collect::<Vec<_>>()
    };
    let state = since("2026-01-01T00:00:00Z");
    let first = told(&state);
    assert_eq!(texts(&first, "vendor"), ["kaspersky"].into());
    assert!(first[0]["message"].as_str().unwrap().contains(" in CH "));
    assert_eq!(told(&state).len(), 0, "now it is known");
    assert_eq!(
        told(&since("2026-11-20T00:00:00Z")).len(),
        0,
        "too new to say"
    );
}

#[test]
fn names_near_to_a_vendor_are_suggested_and_not_attributed() {
    let folder = tempfile::tempdir().unwrap();
    let demo = pcaps().join("demo.pcap");
    let composed = composed();
    let name = "static.example.org";
    let domain = "example.org";
    let not_security = composed["not_security"].as_array().unwrap();
    assert!(not_security.contains(&json!(name)));
    let rules = format!(
        "format = 1\n[vendor]\nid = \"acme\"\nlegal_name = \"Acme\"\njurisdiction = \"CH\"\n[sources.made]\ntitle = \"Made up\"\n\
         [[rule]]\nid = \"acme.update.one\"\nversion = 1\npurpose = \"update\"\npatterns = [\"never-seen.{domain}\"]\nconfidence = \"high\"\n\
         source = \"made\"\nsource_class = \"list\"\nchecked = 2026-11-23\n"
    );
    write(folder.path(), "rules/acme.toml", &rules);
    let dir = folder.path().join("rules");
    let report = replay(&["--rules", dir.to_str().unwrap()], &[&demo]);
    let suggestions = report["suggestions"].as_array().unwrap();
    let acme: Vec<_> = suggestions
        .iter()
        .filter(|it| it["vendor"] == "acme")
        .collect();
    assert_eq!(acme.len(), 1, "{suggestions:?}");
    assert_eq!(
        (&acme[0]["reason"], &acme[0]["basis"]),
        (&json!("same_domain"), &json!(domain))
    );
    assert!(texts(acme[0]["names"].as_array().unwrap(), "value").contains(name));
    let exposures = report["exposures"].as_array().unwrap();
    assert!(exposures.iter().all(|it| it["vendor"] != "acme"));

    // The same by the network of the server.
    let names = composed["other_names"].as_array().unwrap();
    let is_host = |it: &&Value| it["name"] == name && it["kind"] == "http_host";
    let address = names.iter().find(is_host).unwrap()["dest_ip"].as_str();
    let address = address.unwrap();
    let rules = rules
        .replace("acme.update.one", "acme.unknown.one")
        .replace(
            &format!("patterns = [\"never-seen.{domain}\"]"),
            &format!("networks = [\"{address}/32\"]"),
        )
        .replace(
            "purpose = \"update\"",
            "purpose = \"unknown\"\nindicates = \"contact\"",
        )
        .replace("confidence = \"high\"", "confidence = \"low\"");
    write(folder.path(), "rules/acme.toml", &rules);
    let report = replay(&["--rules", dir.to_str().unwrap()], &[&demo]);
    let suggestions = report["suggestions"].as_array().unwrap();
    let acme: Vec<_> = suggestions
        .iter()
        .filter(|it| it["vendor"] == "acme")
        .collect();
    assert_eq!(acme.len(), 1, "{suggestions:?}");
    assert_eq!(
        (&acme[0]["reason"], &acme[0]["basis"]),
        (&json!("same_network"), &json!("acme.unknown.one"))
    );
}

#[test]
fn a_state_that_is_none_stops_the_run_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let demo = pcaps().join("demo.pcap");
    for (text, said) in [
        ("{\"format\": 9}", "has format 9"),
        ("no json", "line 1"),
        ("{\"format\": 1, \"unheard_of\": []}", "unheard_of"),
    ] {
        let state = write(folder.path(), "state.json", text);
        let output = Command::cargo_bin("avscope")
            .unwrap()
            .args(["replay", "--state", &state])
            .arg(&demo)
            .assert()
            .code(1);
        let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(
            stderr.contains(said) && stderr.contains("state.json"),
            "{stderr}"
        );
        assert_eq!(std::fs::read_to_string(&state).unwrap(), text);
    }
    let nowhere = folder.path().join("nowhere/state.json");
    let output = Command::cargo_bin("avscope")
        .unwrap()
        .args(["replay", "--state", nowhere.to_str().unwrap()])
        .arg(&demo)
        .assert()
        .code(1);
    let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(stderr.contains("make the folder"), "{stderr}");
    let output = Command::cargo_bin("avscope")
        .unwrap()
        .args(["replay", "--state", demo.to_str().unwrap()])
        .arg(&demo)
        .assert()
        .failure();
    assert!(
        !output.get_output().stderr.is_empty(),
        "a capture is no state"
    );
}
