//! What two rule sets make of the same captures.

use std::collections::BTreeMap;
use std::path::Path;

use avscope::model::{Confidence, Contact, EvidenceKind, Purpose, Verdict};
use serde_json::{Value, json};

use super::support::{all_captures, avscope, expected, pcaps};

/// Knows nothing of a vendor that the built-in rules know, and something of a name that they do not.
fn other_rules(folder: &Path) {
    let head = "format = 1\n[vendor]\nid = \"ID\"\nlegal_name = \"Name\"\njurisdiction = \"CH\"\n";
    std::fs::write(
        folder.join("checkpoint.toml"),
        head.replace("ID", "checkpoint"),
    )
    .unwrap();
    let rule = "[sources.a]\ntitle = \"A\"\n[[rule]]\nid = \"acme.web.site\"\nversion = 3\npurpose = \"web\"\n\
        patterns = [\"www.example.org\"]\nconfidence = \"high\"\nsource = \"a\"\nsource_class = \"list\"\nchecked = 2026-11-23\n";
    let text = format!("{}{rule}", head.replace("ID", "acme"));
    std::fs::write(folder.join("acme.toml"), text).unwrap();
}

fn diff(rules: [&Path; 2], more: &[&str], captures: &[&Path]) -> (Option<i32>, Value) {
    let output = avscope()
        .args(["diff", "--quiet", "--format", "json", "--rules"])
        .arg(rules[0])
        .arg("--rules")
        .arg(rules[1])
        .args(more)
        .args(captures)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let document: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    let schema: Value = serde_json::from_str(include_str!("../../docs/diff.schema.json")).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&document)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    (output.status.code(), document)
}

/// Flows by the name that the client gave in them, as they were sent.
fn sent() -> BTreeMap<String, u64> {
    let mut sent = BTreeMap::new();
    for row in expected("demo.expected.json")["names"].as_array().unwrap() {
        *sent
            .entry(row["name"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    sent
}

#[test]
fn rules_against_themselves_differ_in_nothing() {
    let builtin = Path::new("builtin");
    let captures = all_captures();
    let captures: Vec<&Path> = captures.iter().map(std::path::PathBuf::as_path).collect();
    let (code, document) = diff([builtin; 2], &["--exit-code", "--isolate"], &captures);
    assert_ne!(code, Some(1));
    assert_eq!(document["attributions"], json!([]));
    assert_eq!(document["exposures"], json!([]));
    assert_eq!(document["before"]["ruleset"], document["after"]["ruleset"]);
}

#[test]
fn what_is_gone_and_what_is_added_is_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    other_rules(folder.path());
    let demo = pcaps().join("demo.pcap");
    let builtin = Path::new("builtin");
    let (code, document) = diff([builtin, folder.path()], &["--exit-code"], &[&demo]);
    assert_eq!(code, Some(1));
    let sent = sent();
    let mut gone = 0;
    for line in document["attributions"].as_array().unwrap() {
        let name = line["name"].as_str().unwrap();
        if line["subject"] != "flow" {
            continue;
        }
        if line["change"] == "gone" {
            assert_eq!(line["count"].as_u64().unwrap(), sent[name], "{line}");
            assert_eq!(line["before"]["vendor"], "checkpoint", "{line}");
            assert_eq!(line["after"], Value::Null);
            gone += sent[name];
        } else {
            assert_eq!(
                (line["change"].as_str(), name),
                (Some("added"), "www.example.org"),
                "{line}"
            );
            assert_eq!(line["after"]["rule_id"], "acme.web.site");
            assert_eq!(line["after"]["rule_version"], 3);
            if line["after"]["kind"] == "tls_sni" {
                assert_eq!(line["count"].as_u64().unwrap(), sent[name]);
            }
        }
        let bytes =
            line["initiator_bytes"].as_u64().unwrap() + line["responder_bytes"].as_u64().unwrap();
        assert!(bytes > 0);
    }
    let flows = &document["flows"];
    let [before, after, added, lost, changed] = [
        "attributed_before",
        "attributed_after",
        "added",
        "gone",
        "changed",
    ]
    .map(|key| flows[key].as_u64().unwrap());
    assert_eq!((lost, changed, before + added - lost), (gone, 0, after));
    let embedded =
        |exposure: &&Value| exposure["engine"] == "kaspersky" && exposure["vendor"] == "checkpoint";
    let exposures = document["exposures"].as_array().unwrap();
    assert_eq!(
        exposures.iter().filter(embedded).count(),
        2,
        "both gateways with the engine inside"
    );
    assert!(exposures.iter().filter(embedded).all(
        |exposure| exposure["change"] == "gone" && exposure["before"]["verdict"] == "embedded"
    ));
    // The other way round everything is added that was gone, and the code says nothing unless asked.
    let (code, back) = diff([folder.path(), builtin], &[], &[&demo]);
    assert_eq!(code, Some(0));
    assert_eq!(back["flows"]["added"], flows["gone"]);
    assert_eq!(back["exposures"].as_array().unwrap().len(), exposures.len());
}

#[test]
fn another_word_of_a_rule_is_a_change_and_another_id_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let changed = |from: &str, to: &str| {
        let text = include_str!("../../rules/vendors/checkpoint.toml");
        assert!(text.contains(from), "{from}");
        std::fs::write(
            folder.path().join("checkpoint.toml"),
            text.replace(from, to),
        )
        .unwrap();
        diff(
            [Path::new("builtin"), folder.path()],
            &[],
            &[&pcaps().join("demo.pcap")],
        )
        .1
    };
    let renamed = changed(
        "checkpoint.update.kav8-gateway",
        "checkpoint.update.kav8-renamed",
    );
    assert_eq!(
        (&renamed["attributions"], &renamed["exposures"]),
        (&json!([]), &json!([]))
    );
    assert_ne!(renamed["before"]["ruleset"], renamed["after"]["ruleset"]);
    let weaker = changed("jurisdiction = \"IL\"", "jurisdiction = \"CH\"");
    assert_eq!(weaker["flows"]["changed"], 10);
    let line = &weaker["attributions"][0];
    assert_eq!(
        (
            &line["before"]["vendor_seat"],
            &line["after"]["vendor_seat"]
        ),
        (&json!("IL"), &json!("CH"))
    );
}

#[test]
fn two_sets_of_rules_are_asked_for() {
    for rules in [&["--rules", "builtin"][..], &[]] {
        let output = avscope()
            .arg("diff")
            .args(rules)
            .arg(pcaps().join("demo.pcap"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("twice"));
    }
    let few = [
        "diff",
        "--rules",
        "builtin",
        "--rules",
        "builtin",
        "--attributed-max",
        "5",
    ];
    let output = avscope()
        .args(few)
        .arg(pcaps().join("demo.pcap"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--attributed-max"));
}

#[test]
fn the_schema_has_the_words_of_the_program() {
    let schema: Value = serde_json::from_str(include_str!("../../docs/diff.schema.json")).unwrap();
    let words = |at: &str| schema.pointer(at).unwrap().clone();
    let of = |words: Vec<&str>| json!(words);
    assert_eq!(
        words("/$defs/purpose/enum"),
        of(Purpose::ALL.iter().map(|word| word.as_str()).collect())
    );
    assert_eq!(
        words("/$defs/confidence/enum"),
        of(Confidence::ALL.iter().map(|word| word.as_str()).collect())
    );
    assert_eq!(
        words("/$defs/kind/enum"),
        of(EvidenceKind::ALL.iter().map(|word| word.as_str()).collect())
    );
    assert_eq!(
        words("/$defs/exposure_side/properties/verdict/enum"),
        of(Verdict::ALL.iter().map(|word| word.as_str()).collect())
    );
    assert_eq!(
        words("/$defs/exposure_side/properties/contact/enum"),
        of(Contact::ALL.iter().map(|word| word.as_str()).collect())
    );
}
