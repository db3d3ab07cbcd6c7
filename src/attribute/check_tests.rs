//! The built-in rules pass, and every kind of finding is found where it was put.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends at its first surprise"
)]

use super::*;
use crate::attribute::SourceFile;

const HEAD: &str = r#"format = 1
[vendor]
id = "acme"
legal_name = "Acme Ltd."
jurisdiction = "CH"
[sources.list]
title = "A list"
[sources.other]
title = "Another list"
"#;

fn rule(id: &str, purpose: &str, patterns: &str, more: &str) -> String {
    format!(
        "[[rule]]\nid = \"acme.{purpose}.{id}\"\nversion = 1\npurpose = \"{purpose}\"\npatterns = [{patterns}]\n\
         confidence = \"high\"\nsource = \"list\"\nsource_class = \"list\"\nchecked = 2026-11-23\n{more}\n"
    )
}

fn file(rules: &[String]) -> Result<SourceFile, RulesError> {
    SourceFile::parse("acme.toml", &format!("{HEAD}{}", rules.concat()))
}

fn report(rules: &[String]) -> Report {
    let files = RuleFiles::from_files(vec![file(rules).expect("well formed")]).expect("one file");
    test_files(&files).expect("a report")
}

const PROOF: &str = "samples = { match = [{ name = \"a.acme.com\", source = \"other\" }] }";

#[test]
fn the_built_in_rules_pass() {
    let report = test_files(&RuleFiles::builtin().unwrap()).unwrap();
    for (word, findings) in report.failures() {
        assert!(findings.is_empty(), "{word}: {findings:#?}");
    }
    assert!(report.vendors >= 10 && report.patterns > 600);
}

#[test]
fn a_sample_from_another_source_proves_a_rule() {
    let proven = report(&[rule("a", "update", "\"*.acme.com\"", PROOF)]);
    assert!(proven.passed() && proven.unproven.is_empty());
    let own = PROOF.replace("other", "list");
    let unproven = report(&[rule("a", "update", "\"*.acme.com\"", &own)]);
    assert!(unproven.passed());
    assert_eq!(unproven.unproven.len(), 1);
}

#[test]
fn an_observed_name_proves_and_must_be_judged_by_its_rule() {
    let observed = "observed = { in = \"other\", names = [\"a.acme.com\"] }";
    assert!(
        report(&[rule("a", "update", "\"a.acme.com\"", observed)])
            .unproven
            .is_empty()
    );
    let foreign = report(&[rule("a", "update", "\"b.acme.com\"", observed)]);
    assert_eq!(foreign.failed_samples.len(), 1);
}

#[test]
fn a_rule_without_samples_is_unexercised() {
    let report = report(&[rule("a", "update", "\"a.acme.com\"", "")]);
    assert!(!report.passed());
    assert_eq!(report.unexercised.len(), 1);
    // The head has 9 lines, the rule's id stands in the second line after it.
    assert_eq!(report.unexercised[0].line, 11);
}

#[test]
fn repeated_patterns_are_duplicates_or_contradictions() {
    let twice = report(&[rule("a", "update", "\"a.acme.com\", \"a.acme.com\"", PROOF)]);
    assert_eq!((twice.duplicates.len(), twice.contradicting.len()), (1, 0));
    let both = report(&[
        rule("a", "update", "\"a.acme.com\"", PROOF),
        rule("b", "telemetry", "\"a.acme.com\"", PROOF),
    ]);
    assert_eq!((both.duplicates.len(), both.contradicting.len()), (0, 1));
    assert!(!twice.passed() && !both.passed());
}

#[test]
fn a_pattern_under_a_wildcard_of_its_own_rule_is_shadowed() {
    let report = report(&[rule("a", "update", "\"*.acme.com\", \"a.acme.com\"", PROOF)]);
    assert_eq!(report.shadowed.len(), 1);
    assert!(report.shadowed[0].message.contains("\"a.acme.com\""));
}

#[test]
fn an_exception_back_to_a_wider_rule_is_not_shadowed() {
    let report = report(&[
        rule("a", "update", "\"*.acme.com\", \"a.x.acme.com\"", PROOF),
        rule(
            "b",
            "web",
            "\"*.x.acme.com\"",
            "samples = { match = [{ name = \"b.x.acme.com\", source = \"other\" }] }",
        ),
    ]);
    assert!(report.passed(), "{report:?}");
}

#[test]
fn samples_judged_otherwise_fail() {
    let wrong = "samples = { match = [{ name = \"b.acme.com\", source = \"other\" }], no_match = [\"a.acme.com\"] }";
    let report = report(&[rule("a", "update", "\"a.acme.com\"", wrong)]);
    assert_eq!(report.failed_samples.len(), 2);
    assert_eq!(report.unexercised.len(), 1);
}

#[test]
fn a_negative_that_any_rule_judges_fails() {
    let negative = "[[negative]]\npatterns = [\"*.a.acme.com\", \"acme.org\"]\nwhy = \"shared\"\nsource = \"list\"\n";
    let report = report(&[
        rule("a", "update", "\"*.acme.com\"", PROOF),
        negative.to_owned(),
    ]);
    assert_eq!(report.contradicting.len(), 1);
    assert!(report.contradicting[0].message.contains("shared"));
}

#[test]
fn a_rule_within_a_negative_contradicts() {
    let negative =
        "[[negative]]\npatterns = [\"*.acme.com\"]\nwhy = \"shared\"\nsource = \"list\"\n";
    let report = report(&[
        rule("a", "update", "\"a.acme.com\"", PROOF),
        negative.to_owned(),
    ]);
    assert_eq!(report.contradicting.len(), 1);
    assert!(report.contradicting[0].message.contains("acme.update.a"));
}

/// A rule without names, with other keys instead.
fn bare(id: &str, purpose: &str, more: &str) -> String {
    rule(id, purpose, "", more).replace("patterns = []\n", "")
}

#[test]
fn samples_of_every_kind_are_run() {
    let good = report(&[
        bare(
            "a",
            "update",
            "user_agents = [\"AcmeUpdate/*\"]\nuris = [\"/acme/*.vpx\"]\n[rule.samples]\n\
             match = [{ user_agent = \"AcmeUpdate/1\", source = \"other\" }, { uri = \"/acme/x.vpx\" }]\n\
             no_match_user_agents = [\"acmeupdate/1\"]\nno_match_uris = [\"/acme/x.vpx?y\"]",
        ),
        bare(
            "network",
            "unknown",
            "networks = [\"192.0.2.0/24\"]\nindicates = \"contact\"\n[rule.samples]\nmatch = [{ address = \"192.0.2.9\" }]",
        )
        .replace("\"high\"", "\"low\""),
    ]);
    assert!(good.passed(), "{good:?}");
    assert_eq!((good.user_agents, good.uris, good.networks), (1, 1, 1));
    assert_eq!(good.unproven.len(), 1, "the network has no other source");
    let samples = Samples {
        elsewhere: 1,
        own: 0,
        constructed: 2,
        negative: 2,
    };
    assert_eq!(good.samples, samples);
    let wrong = report(&[bare(
        "a",
        "update",
        "user_agents = [\"AcmeUpdate/*\"]\n[rule.samples]\nmatch = [{ uri = \"/acme\" }, { user_agent = \"Acme\" }]\n\
         no_match_user_agents = [\"AcmeUpdate/2\"]",
    )]);
    assert_eq!(wrong.failed_samples.len(), 3);
}

#[test]
fn globs_are_compared_with_each_other() {
    let shadowed = report(&[bare(
        "a",
        "update",
        "user_agents = [\"Acme*\", \"AcmeUpdate/*\"]\n[rule.samples]\nmatch = [{ user_agent = \"Acme\" }]",
    )]);
    assert_eq!(shadowed.shadowed.len(), 1);
    let both = report(&[
        bare("a", "update", "uris = [\"/acme\"]"),
        bare("b", "telemetry", "uris = [\"/acme\"]"),
    ]);
    assert_eq!(both.contradicting.len(), 1);
}

#[test]
fn dated_rules_are_listed() {
    let dated = report(&[rule(
        "a",
        "update",
        "\"a.acme.com\"",
        &format!("valid_until = 2017-12-31\n{PROOF}"),
    )]);
    assert!(dated.passed());
    assert!(
        dated.dated[0]
            .message
            .ends_with("from not known until 2017-12-31")
    );
}

#[test]
fn networks_claim_no_more_than_a_contact() {
    let message = |more: &str| {
        file(&[bare("a", "unknown", more)])
            .expect_err("wrong")
            .to_string()
    };
    assert!(message("networks = [\"192.0.2.0/24\"]").contains("indicates"));
    assert!(message("networks = [\"192.0.2.1/24\"]").contains("write 192.0.2.0/24"));
    assert!(message("networks = [\"0.0.0.0/0\"]").contains("no vendor"));
    assert!(message("uris = [\"index\"]").contains("begins with"));
    assert!(message("user_agents = [\"*\"]").contains("too much"));
    assert!(message("").contains("no pattern"));
}

#[test]
fn errors_name_file_line_and_remedy() {
    let message = |rules: &[String]| file(rules).expect_err("wrong").to_string();
    let unknown_key = message(&[rule("a", "update", "\"a.acme.com\"", "puprose = 1")]);
    for part in ["acme.toml", "line 19", "puprose", "`purpose`"] {
        assert!(unknown_key.contains(part), "{part} in {unknown_key}");
    }
    let wide = message(&[rule("a", "update", "\"*.com\"", PROOF)]);
    assert!(wide.starts_with("acme.toml:14: "), "{wide}");
    assert!(message(&[rule("a", "update", "\"*.amazonaws.com\"", PROOF)]).contains("everybody"));
    assert!(message(&[rule("a", "update", "\"A.acme.com\"", PROOF)]).contains("lower case"));
    let source = rule("a", "update", "\"a.acme.com\"", PROOF)
        .replace("source = \"list\"", "source = \"none\"");
    assert!(message(&[source]).contains("known: list, other"));
    let engine = rule(
        "a",
        "update",
        "\"a.acme.com\"",
        "engine = { vendor = \"nobody\", relation = \"sdk\" }",
    );
    let files = RuleFiles::from_files(vec![file(&[engine]).unwrap()]).unwrap();
    assert!(
        Ruleset::from_files(&files)
            .unwrap_err()
            .to_string()
            .contains("nobody.toml")
    );
}

#[test]
fn the_digest_follows_content_and_not_order() {
    let one = file(&[rule("a", "update", "\"a.acme.com\"", PROOF)]).unwrap();
    let two = SourceFile::parse("/x/beta.toml", &HEAD.replace("acme", "beta")).unwrap();
    let forward = RuleFiles::from_files(vec![one.clone(), two.clone()]).unwrap();
    let backward = RuleFiles::from_files(vec![two.clone(), one]).unwrap();
    assert_eq!(forward.digest(), backward.digest());
    let changed = file(&[rule("a", "update", "\"b.acme.com\"", PROOF)]).unwrap();
    assert_ne!(
        RuleFiles::from_files(vec![changed, two]).unwrap().digest(),
        forward.digest()
    );
}

#[test]
fn an_overriding_file_replaces_the_vendor_whole() {
    let folder = tempfile::tempdir().unwrap();
    let text = HEAD.replace("acme", "kaspersky")
        + &rule("a", "update", "\"only.kaspersky.com\"", PROOF)
            .replace("acme.update", "kaspersky.update");
    std::fs::write(folder.path().join("kaspersky.toml"), text).unwrap();
    let ruleset = Ruleset::with_directory(folder.path()).unwrap();
    assert!(ruleset.match_name(b"only.kaspersky.com").is_some());
    assert!(ruleset.match_name(b"dc1.ksn.kaspersky-labs.com").is_none());
    assert!(ruleset.match_name(b"kav8.zonealarm.com").is_some());
    assert_ne!(ruleset.digest(), Ruleset::builtin().unwrap().digest());
}

#[test]
fn facts_of_another_time_are_passed_over() {
    let files = RuleFiles::from_files(vec![
        file(&[
            rule("a", "update", "\"*.acme.com\"", PROOF),
            rule(
                "b",
                "telemetry",
                "\"*.x.acme.com\"",
                "valid_until = 2017-12-31\nsamples = {}",
            ),
        ])
        .unwrap(),
    ])
    .unwrap();
    let ruleset = Ruleset::from_files(&files).unwrap();
    let on = |year| {
        let day = super::super::ValidityDate {
            year,
            month: 6,
            day: 1,
        };
        let found = ruleset.match_name_on(b"n.x.acme.com", day).unwrap();
        ruleset.rule(found.rule).id.clone()
    };
    assert_eq!(on(2017), "acme.telemetry.b");
    assert_eq!(on(2018), "acme.update.a");
}

#[test]
fn an_engine_inside_another_vendors_product_names_both() {
    let ruleset = Ruleset::builtin().unwrap();
    for (name, product_vendor, engine_vendor) in [
        ("kav8.zonealarm.com", "checkpoint", "kaspersky"),
        ("KAV8.CheckPoint.com.", "checkpoint", "kaspersky"),
        ("resolver1.chkp.ctmail.com", "checkpoint", "cyren"),
        (
            "update-solarwinds.2d585.cdn.bitdefender.net",
            "nable",
            "bitdefender",
        ),
        ("analytics.ff.avast.sec.miui.com", "xiaomi", "avast"),
    ] {
        let rule = ruleset.rule(ruleset.match_name(name.as_bytes()).expect(name).rule);
        assert_eq!(ruleset.vendor(rule.vendor).id, product_vendor);
        assert_eq!(
            ruleset.vendor(rule.engine.expect(name).vendor).id,
            engine_vendor
        );
    }
}

/// The value as an editor's schema check sees it: dates are strings.
fn as_json(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(as_json).collect(),
        toml::Value::Table(table) => serde_json::Value::Object(
            table
                .into_iter()
                .map(|(key, value)| (key, as_json(value)))
                .collect(),
        ),
        plain => serde_json::to_value(plain).unwrap(),
    }
}

#[test]
fn shipped_files_fit_the_schema_and_the_schema_fits_the_words() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../rules/vendor.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for file in RuleFiles::builtin().unwrap().files() {
        let value = as_json(toml::from_str(&file.text).unwrap());
        let problems: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{}: {problems:#?}", file.path);
        let mut wrong = value;
        wrong["vendor"]["colour"] = "blue".into();
        assert!(!validator.is_valid(&wrong));
    }
    let words = |path: &str| schema.pointer(path).unwrap().as_array().unwrap().clone();
    let rule = "/$defs/rule/properties";
    assert_eq!(
        words(&format!("{rule}/purpose/enum")),
        crate::model::Purpose::ALL
            .iter()
            .map(|w| w.as_str())
            .collect::<Vec<_>>()
    );
    assert_eq!(
        words("/$defs/source_class/enum"),
        crate::model::SourceClass::ALL
            .iter()
            .map(|w| w.as_str())
            .collect::<Vec<_>>()
    );
    assert_eq!(
        words(&format!("{rule}/indicates/enum")),
        super::super::Indicates::ALL
            .iter()
            .map(|w| w.as_str())
            .collect::<Vec<_>>()
    );
    assert_eq!(
        words(&format!("{rule}/protocols/items/enum")),
        super::super::WireProtocol::ALL
            .iter()
            .map(|w| w.as_str())
            .collect::<Vec<_>>()
    );
    assert_eq!(
        words("/$defs/relation/enum"),
        super::super::EngineRelation::ALL
            .iter()
            .map(|w| w.as_str())
            .collect::<Vec<_>>()
    );
    assert_eq!(
        words("/$defs/visibility/enum"),
        super::super::Visibility::ALL
            .iter()
            .map(|w| w.as_str())
            .collect::<Vec<_>>()
    );
    assert_eq!(
        words("/$defs/confidence/enum"),
        crate::model::Confidence::ALL
            .iter()
            .map(|w| w.as_str())
            .collect::<Vec<_>>()
    );
}
