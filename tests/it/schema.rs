//! What the program writes → checked against the schemas in `docs/`, and the schemas against what it writes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use assert_cmd::Command;
use avscope::aggregate::VerdictReason;
use avscope::alert::{AlertKind, CanaryStanding, SuggestionReason};
use avscope::attribute::EngineRelation;
use avscope::capture::DamageKind;
use avscope::decode::{NotIp, TunnelKind, Undecodable};
use avscope::flow::FlowEndReason;
use avscope::model::{
    AttemptOutcome, Confidence, Contact, Coverage, EvidenceKind, HostFactKind, HostRole, Locality,
    Purpose, Severity, TenancyCause, Verdict,
};
use avscope::policy::{Basis, ClockStart, DayKind, Outcome, PolicyKind, ReadStatus, Reason, Role};
use serde_json::{Value, json};

/// A vendor of whom nothing is in the captures but a domain.
const ACME: &str = r#"
format = 1
[vendor]
id = "acme"
legal_name = "Acme"
jurisdiction = "CH"
[sources.made]
title = "Made up"
[[rule]]
id = "acme.update.one"
version = 1
purpose = "update"
patterns = ["never-seen.example.org"]
confidence = "high"
source = "made"
source_class = "list"
checked = 2026-11-23
"#;

/// Everything the program wrote about the captures of the repository.
#[derive(Default)]
struct Written {
    events: Vec<Value>,
    reports: Vec<Value>,
    names: Vec<Value>,
    hosts: Vec<Value>,
}

#[test]
fn every_event_is_as_its_schema_says() {
    check("events.schema.json", &written().events, 1_000);
}

#[test]
fn every_report_is_as_its_schema_says() {
    check("report.schema.json", &written().reports, 20);
}

#[test]
fn every_name_is_as_its_schema_says() {
    check("names.schema.json", &written().names, 100);
}

#[test]
fn every_host_is_as_its_schema_says() {
    check("hosts.schema.json", &written().hosts, 100);
}

#[test]
fn schemas_refuse_what_is_not_in_them() {
    for (schema, instances, at) in [
        ("events.schema.json", &written().events, "/avscope"),
        ("events.schema.json", &written().events, "/flow"),
        ("report.schema.json", &written().reports, "/outbound/total"),
        ("report.schema.json", &written().reports, "/frames/not_ip"),
        ("names.schema.json", &written().names, ""),
        ("hosts.schema.json", &written().hosts, ""),
        ("hosts.schema.json", &written().hosts, "/roles/0"),
    ] {
        let validator = validator(schema);
        let mut instance = instances
            .iter()
            .find(|instance| instance.pointer(at).is_some())
            .unwrap_or_else(|| panic!("{schema}: nothing has {at}"))
            .clone();
        assert!(validator.is_valid(&instance));
        instance
            .pointer_mut(at)
            .and_then(Value::as_object_mut)
            .unwrap()
            .insert("unheard_of".into(), json!(1));
        assert!(
            !validator.is_valid(&instance),
            "{schema}: {at} takes anything"
        );
    }
}

#[test]
fn every_property_is_produced() {
    let mut missing = BTreeSet::new();
    for (schema, instances) in [
        ("events.schema.json", &written().events),
        ("report.schema.json", &written().reports),
        ("names.schema.json", &written().names),
        ("hosts.schema.json", &written().hosts),
    ] {
        let document = schema_document(schema);
        let mut promised = BTreeSet::new();
        promises(&document, &document, "", &mut promised);
        assert!(promised.len() >= 7, "{schema}: {promised:?}");
        let mut produced = BTreeSet::new();
        for instance in instances {
            productions(instance, "", &mut produced);
        }
        missing.extend(
            promised
                .difference(&produced)
                .map(|path| format!("{schema}{path}")),
        );
    }
    // Marks of facts that no capture here has; frames made for them show them in other tests.
    for rare in ["ambiguous", "ech_offered"] {
        missing.remove(&format!("events.schema.json/avscope/evidence/[]/{rare}"));
    }
    assert!(
        missing.is_empty(),
        "promised and never written: {missing:#?}"
    );
}

#[test]
fn every_word_of_an_event_is_produced() {
    for (definition, property, at) in [
        ("", "event_type", "/event_type"),
        ("/$defs/flow", "state", "/flow/state"),
        ("/$defs/flow", "reason", "/flow/reason"),
    ] {
        let promised = enum_words(
            "events.schema.json",
            &format!("{definition}/properties/{property}/enum"),
        );
        let produced: BTreeSet<String> = written()
            .events
            .iter()
            .filter_map(|event| event.pointer(at)?.as_str().map(str::to_owned))
            .collect();
        assert_eq!(promised, produced, "{at}");
    }
}

fn words_of_policies() -> [(&'static str, BTreeSet<&'static str>); 8] {
    [
        ("policy_kind", words(PolicyKind::ALL, PolicyKind::as_str)),
        ("policy_basis", words(Basis::ALL, Basis::as_str)),
        ("read_status", words(ReadStatus::ALL, ReadStatus::as_str)),
        ("policy_result", words(Outcome::ALL, Outcome::as_str)),
        ("policy_reason", words(Reason::ALL, Reason::as_str)),
        ("role_declared", words(Role::ALL, Role::as_str)),
        ("clock_start", words(ClockStart::ALL, ClockStart::as_str)),
        ("day_kind", words(DayKind::ALL, DayKind::as_str)),
    ]
}

#[test]
fn the_words_of_the_schemas_are_those_of_the_program() {
    let sets: [(&str, BTreeSet<&str>); 19] = [
        ("host_role", words(HostRole::ALL, HostRole::as_str)),
        (
            "tenancy_cause",
            words(TenancyCause::ALL, TenancyCause::as_str),
        ),
        (
            "host_fact_kind",
            words(HostFactKind::ALL, HostFactKind::as_str),
        ),
        (
            "evidence_kind",
            words(EvidenceKind::ALL, EvidenceKind::as_str),
        ),
        ("coverage", words(Coverage::ALL, Coverage::as_str)),
        ("tunnel_kind", words(TunnelKind::ALL, TunnelKind::as_str)),
        ("locality", words(Locality::ALL, Locality::as_str)),
        ("purpose", words(Purpose::ALL, Purpose::as_str)),
        ("confidence", words(Confidence::ALL, Confidence::as_str)),
        (
            "engine_relation",
            words(EngineRelation::ALL, EngineRelation::as_str),
        ),
        ("verdict", words(Verdict::ALL, Verdict::as_str)),
        (
            "verdict_reason",
            words(VerdictReason::ALL, VerdictReason::as_str),
        ),
        ("alert_kind", words(AlertKind::ALL, AlertKind::as_str)),
        (
            "canary_standing",
            words(CanaryStanding::ALL, CanaryStanding::as_str),
        ),
        ("severity", words(Severity::ALL, Severity::as_str)),
        (
            "suggestion_reason",
            words(SuggestionReason::ALL, SuggestionReason::as_str),
        ),
        ("contact", words(Contact::ALL, Contact::as_str)),
        (
            "attempt_outcome",
            words(AttemptOutcome::ALL, AttemptOutcome::as_str),
        ),
        (
            "flow_end_reason",
            words(FlowEndReason::ALL, FlowEndReason::as_str),
        ),
    ];
    let of_policies = words_of_policies();
    let mut compared = 0;
    for schema in [
        "events.schema.json",
        "report.schema.json",
        "names.schema.json",
        "alert.schema.json",
        "hosts.schema.json",
    ] {
        let document = schema_document(schema);
        for (name, expected) in sets.iter().chain(&of_policies) {
            if let Some(definition) = document.pointer(&format!("/$defs/{name}")) {
                assert_eq!(&strings(&definition["enum"]), expected, "{schema}: {name}");
                compared += 1;
            }
        }
    }
    assert_eq!(
        compared, 42,
        "9 in events, 25 in the report, 1 in names, 4 in alerts, 3 of hosts"
    );

    let report = schema_document("report.schema.json");
    let keys = |at: &str| -> BTreeSet<&str> {
        let properties = report.pointer(at).and_then(Value::as_object);
        properties.unwrap().keys().map(String::as_str).collect()
    };
    assert_eq!(
        strings(&report["$defs"]["damage"]["properties"]["kind"]["enum"]),
        words(DamageKind::ALL, DamageKind::as_str)
    );
    assert_eq!(
        keys("/$defs/frames/properties/not_ip/properties"),
        words(NotIp::ALL, NotIp::as_str)
    );
    assert_eq!(
        keys("/$defs/frames/properties/undecodable/properties"),
        words(Undecodable::ALL, Undecodable::as_str)
    );
    assert_eq!(
        keys("/$defs/flows/properties/by_locality/properties"),
        words(Locality::ALL, Locality::as_str)
    );
    let mut ends = words(FlowEndReason::ALL, FlowEndReason::as_str);
    assert!(
        ends.remove("active_timeout"),
        "an interim record ends nothing"
    );
    assert_eq!(keys("/$defs/flows/properties/ended/properties"), ends);
}

#[test]
fn flows_without_ports_say_so() {
    let mut written = Written::default();
    let folder = tempfile::tempdir().unwrap();
    replay(&[&portless_capture(folder.path())], &[], &mut written);
    let expected = [
        json!({"proto": "ICMP", "icmp_type": 3, "icmp_code": 10}),
        json!({"proto": "ICMP", "icmp_type": 8, "response_icmp_type": 0}),
        json!({"proto": "GRE"}),
        json!({"proto": "089"}),
    ];
    let fields = [
        "proto",
        "icmp_type",
        "icmp_code",
        "response_icmp_type",
        "src_port",
        "dest_port",
    ];
    let found: Vec<Value> = written
        .events
        .iter()
        .map(|event| {
            let present = fields.iter().filter_map(|field| {
                let value = event.get(field)?;
                Some(((*field).to_owned(), value.clone()))
            });
            Value::Object(present.collect())
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn every_flag_is_documented() {
    let mut documents = read(&root().join("README.md"));
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md") {
            documents.push_str(&read(&path));
        }
    }
    let documented = flags(&documents);
    let mut commands = vec![Vec::new()];
    let mut flags_seen = BTreeSet::new();
    let mut helps = 0;
    while let Some(command) = commands.pop() {
        let help = help(&command);
        helps += 1;
        for name in subcommands(&help) {
            let mut deeper: Vec<String> = command.clone();
            deeper.push(name);
            commands.push(deeper);
        }
        flags_seen.extend(flags(&help));
    }
    assert!(helps >= 8, "{helps} help texts");
    assert!(flags_seen.contains("--home-net"), "{flags_seen:?}");
    let undocumented: Vec<_> = flags_seen.difference(&documented).collect();
    assert!(
        undocumented.is_empty(),
        "in --help, and neither in README.md nor in docs/: {undocumented:?}"
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn avscope() -> Command {
    Command::new(env!("CARGO_BIN_EXE_avscope"))
}

/// Runs the program once over every capture, and on the demo in the ways that captures alone do not show.
fn written() -> &'static Written {
    static WRITTEN: OnceLock<Written> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let mut written = Written::default();
        let captures = captures(&root().join("pcaps"));
        assert!(captures.len() >= 20, "only {} captures", captures.len());
        for capture in &captures {
            replay(&[capture], &[], &mut written);
            let output = avscope()
                .args(["names", "--quiet", "--format", "json"])
                .arg(capture)
                .output()
                .unwrap();
            written.names.extend(lines(&output.stdout));
            hosts(capture, &[], &mut written);
        }
        let demo = root().join("pcaps/demo.pcap");
        // A flow table that is full, and an input that is not there.
        replay(&[&demo], &["--flows-max", "1"], &mut written);
        replay(&[&root().join("pcaps/none.pcap"), &demo], &[], &mut written);
        // Nobody is home: everything is between outsiders.
        let nowhere = ["--home-net", "203.0.113.0/24"];
        replay(&[&demo], &nowhere, &mut written);
        let folder = tempfile::tempdir().unwrap();
        let zones = folder.path().join("zones.toml");
        // Room for one hour of one zone: the others are folded together.
        let config = "[zones]\nstaff = [\"192.168.10.16/28\"]\n[watch]\nhours_max = 1\n";
        std::fs::write(&zones, config).unwrap();
        let by_zone = ["--config", zones.to_str().unwrap()];
        replay(&[&demo], &by_zone, &mut written);
        hosts(
            &demo,
            &[&by_zone[..], &["--site", "here"]].concat(),
            &mut written,
        );
        let expected = "[expected]\nall = [\"crowdstrike\"]\n[alerts]\nexpected_active_hours_min = 1\nupload_bytes_per_hour = 99999\n";
        std::fs::write(&zones, expected).unwrap();
        replay(&[&demo], &by_zone, &mut written);
        // Findings of every kind, of hosts at a site and in a zone.
        let policies = "[organisation]\nroles = [\"us-federal-civilian-agency\", \"us-federal-contractor\"]\n\
            [zones]\nall = [\"192.168.0.0/16\"]\n[[exemption]]\npolicy = \"us-ndaa-1634\"\nreason = \"waiver\"\n\
            until = 2099-12-31\nhosts = [\"192.168.10.21\"]\n";
        std::fs::write(&zones, policies).unwrap();
        replay(
            &[&demo],
            &[&by_zone[..], &["--site", "here"]].concat(),
            &mut written,
        );
        let state = folder.path().join("state.json");
        let remembered = ["--state", state.to_str().unwrap()];
        replay(&[&demo], &remembered, &mut written);
        replay(&[&demo], &remembered, &mut written);
        std::fs::remove_file(&state).unwrap();
        std::fs::remove_file(&zones).unwrap();
        let composed = portless_capture(folder.path());
        replay(&[&composed], &[], &mut written);
        // A folder with a site, digests, and something that is no capture.
        std::fs::write(folder.path().join("notes"), "words").unwrap();
        let inside = folder.path().to_owned();
        replay(&[&inside], &["--site", "here", "--digest"], &mut written);
        let sites = root().join("pcaps/multi-site");
        replay(&[&sites], &["--site-from-path"], &mut written);
        // Hosts of a site and a zone that are silent, and names near to a vendor that no rule knows.
        let config = folder.path().join("silent.toml");
        let text = "[zones]\nhome = [\"192.168.0.0/16\"]\n[expected]\nhome = [\"acme\"]\n[alerts]\nexpected_active_hours_min = 1\n";
        std::fs::write(&config, text).unwrap();
        let rules = folder.path().join("rules");
        std::fs::create_dir(&rules).unwrap();
        std::fs::write(rules.join("acme.toml"), ACME).unwrap();
        let (config, rules) = (config.to_str().unwrap(), rules.to_str().unwrap());
        let options = ["--site-from-path", "--config", config, "--rules", rules];
        replay(&[&sites, &demo], &options, &mut written);
        let issued = folder.path().join("canaries.jsonl");
        let canary = json!({ "token": "a1".repeat(16), "zone": "home", "issued_unix_seconds": 0 });
        std::fs::write(&issued, canary.to_string()).unwrap();
        let spoken = root().join("pcaps/canaries.pcap");
        let issued = issued.to_str().unwrap();
        let options = ["--site", "here", "--config", config, "--canaries", issued, "--rules", rules];
        replay(&[&spoken], &options, &mut written);
        written
    })
}

fn replay(captures: &[&PathBuf], options: &[&str], written: &mut Written) {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.jsonl");
    let output = avscope()
        .args(["replay", "--quiet", "--format", "json", "--events"])
        .arg(&events)
        .args(options)
        .args(captures)
        .output()
        .unwrap();
    assert!(
        matches!(output.status.code(), Some(0 | 4)),
        "{captures:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    written.events.extend(lines(read(&events).as_bytes()));
    written
        .reports
        .push(serde_json::from_slice(&output.stdout).unwrap());
}

fn hosts(capture: &Path, options: &[&str], written: &mut Written) {
    let output = avscope()
        .args(["hosts", "--quiet", "--format", "json"])
        .args(options)
        .arg(capture)
        .output()
        .unwrap();
    written.hosts.extend(lines(&output.stdout));
}

/// Raw IPv4: destination unreachable, an echo with its answer, GRE, OSPF.
fn portless_capture(folder: &Path) -> PathBuf {
    const RAW_IPV4: u32 = 228;
    let (inside, outside) = ([192, 168, 1, 2], [198, 51, 100, 7]);
    let packets: [(bool, u8, [u8; 8]); 5] = [
        (false, 1, [3, 10, 0, 0, 0, 0, 0, 0]),
        (true, 1, [8, 0, 0, 0, 0, 1, 0, 1]),
        (false, 1, [0, 0, 0, 0, 0, 1, 0, 1]),
        (true, 47, [0, 0, 8, 0, 0, 0, 0, 0]),
        (true, 89, [2, 1, 0, 44, 0, 0, 0, 0]),
    ];
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, RAW_IPV4] {
        file.extend_from_slice(&u32::to_le_bytes(word));
    }
    for (second, (from_inside, protocol, payload)) in (1_500_000_000u32..).zip(packets) {
        for word in [second, 0, 28, 28] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&[0x45, 0, 0, 28, 0, 0, 0, 0, 64, protocol, 0, 0]);
        let ends = if from_inside {
            [inside, outside]
        } else {
            [outside, inside]
        };
        file.extend_from_slice(ends.as_flattened());
        file.extend_from_slice(&payload);
    }
    let path = folder.join("portless.pcap");
    std::fs::write(&path, file).unwrap();
    path
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = Value> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
}

fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(captures(&path));
        } else if path
            .extension()
            .is_some_and(|ending| ending == "pcap" || ending == "pcapng")
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn schema_document(name: &str) -> Value {
    serde_json::from_str(&read(&root().join("docs").join(name))).unwrap()
}

fn validator(name: &str) -> jsonschema::Validator {
    let document = schema_document(name);
    jsonschema::draft202012::meta::validate(&document).unwrap();
    jsonschema::options()
        .should_validate_formats(true)
        .build(&document)
        .unwrap()
}

fn check(schema: &str, instances: &[Value], at_least: usize) {
    let validator = validator(schema);
    assert!(instances.len() >= at_least, "only {}", instances.len());
    for instance in instances {
        let errors: Vec<String> = validator
            .iter_errors(instance)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{schema}: {errors:#?}\n{instance:#}");
    }
}

/// Paths of all properties that a schema promises.
fn promises(schema: &Value, document: &Value, at: &str, found: &mut BTreeSet<String>) {
    if let Some(target) = schema["$ref"].as_str() {
        let pointer = target.trim_start_matches('#');
        promises(document.pointer(pointer).unwrap(), document, at, found);
    }
    for member in schema["anyOf"].as_array().into_iter().flatten() {
        promises(member, document, at, found);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{at}/{name}");
        found.insert(path.clone());
        promises(property, document, &path, found);
    }
    if schema["items"].is_object() {
        promises(&schema["items"], document, &format!("{at}/[]"), found);
    }
    if schema["additionalProperties"].is_object() {
        let values = &schema["additionalProperties"];
        promises(values, document, &format!("{at}/*"), found);
    }
}

/// Paths of all properties that a document has with a value other than null; members of maps also as `*`.
fn productions(instance: &Value, at: &str, found: &mut BTreeSet<String>) {
    match instance {
        Value::Object(members) => {
            for (name, member) in members.iter().filter(|(_, member)| !member.is_null()) {
                let path = format!("{at}/{name}");
                productions(member, &path, found);
                found.insert(path);
                productions(member, &format!("{at}/*"), found);
            }
        }
        Value::Array(members) => {
            for member in members {
                productions(member, &format!("{at}/[]"), found);
            }
        }
        _ => {}
    }
}

fn words<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> BTreeSet<&'static str> {
    all.iter().map(|member| word(*member)).collect()
}

fn strings(list: &Value) -> BTreeSet<&str> {
    let list = list.as_array().unwrap();
    list.iter().map(|word| word.as_str().unwrap()).collect()
}

fn enum_words(schema: &str, at: &str) -> BTreeSet<String> {
    let document = schema_document(schema);
    let list = document
        .pointer(at)
        .unwrap_or_else(|| panic!("{schema} has no {at}"));
    strings(list).into_iter().map(str::to_owned).collect()
}

fn help(command: &[String]) -> String {
    let output = avscope().args(command).arg("--help").output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn subcommands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// Everything in `text` that looks like `--flag`.
fn flags(text: &str) -> BTreeSet<String> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '-')
        .filter(|word| {
            word.strip_prefix("--")
                .is_some_and(|name| name.starts_with(|first: char| first.is_ascii_lowercase()))
        })
        .map(str::to_owned)
        .collect()
}
