#![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

use super::*;

fn options(vendors: &[&str]) -> Options {
    Options {
        vendors: vendors.iter().map(|&vendor| vendor.to_owned()).collect(),
        legal_name: Some("Acme \"Security\" Ltd.".to_owned()),
        seat: "CH".parse().ok(),
        purpose: Purpose::Unknown,
        confidence: None,
        source_class: SourceClass::List,
        title: "a list".to_owned(),
        version: "of today".to_owned(),
        checked: ValidityDate {
            year: 2026,
            month: 11,
            day: 25,
        },
    }
}

fn plan(text: &str, vendors: &[&str]) -> Plan {
    let read = super::super::csv::read(text).unwrap();
    Plan::of(read, &RuleFiles::builtin().unwrap(), &options(vendors)).unwrap()
}

fn refused(plan: &Plan) -> Vec<(&str, &str)> {
    let refused = plan.refused.iter();
    refused
        .map(|refused| (refused.candidate.text.as_str(), refused.reason.as_str()))
        .collect()
}

#[test]
fn names_that_no_rule_may_claim_are_refused() {
    let list = "*.co.uk\n.github.io\n*.amazonaws.com\nvendor\nbad name.example\n*.x..example\nocsp.verisign.com\n\
        dns.google\nbücher.example\n1.2.3\n10.0.0.0/8\n0.0.0.0/0\nkav8.zonealarm.com\n";
    let plan = plan(list, &["acme"]);
    assert_eq!(plan.added_count(), 0, "{:?}", plan.added);
    for (name, reason) in [
        ("*.co.uk", "anybody"),
        (".github.io", "verybody"),
        ("*.amazonaws.com", "verybody"),
        ("vendor", "one label"),
        ("bad name.example", "character"),
        ("*.x..example", "label"),
        ("ocsp.verisign.com", "no rule may claim"),
        ("bücher.example", "ASCII"),
        ("1.2.3", "number"),
        ("10.0.0.0/8", "internet"),
        ("0.0.0.0/0", "wider"),
        ("kav8.zonealarm.com", "checkpoint"),
    ] {
        let found = refused(&plan).into_iter().find(|(text, _)| *text == name);
        assert!(
            found.is_some_and(|(_, why)| why.contains(reason)),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn what_is_known_is_covered_and_what_is_new_is_added() {
    let list = "kav8.zonealarm.com\nnew.zonealarm-import.example\nNEW.zonealarm-import.example.\n";
    let plan = plan(list, &["checkpoint"]);
    assert_eq!(plan.added["checkpoint"].len(), 1);
    assert_eq!(plan.covered.len(), 2, "{:?}", plan.covered);
    assert!(plan.covered[0].1.starts_with("rule checkpoint."));
    assert!(plan.covered[1].1.contains("line 2"));
}

#[test]
fn without_a_vendor_nothing_is_added() {
    let none = plan("a.vendor-import.example\n", &[]);
    assert!(refused(&none)[0].1.contains("--vendor"));
    let other = plan("pattern,vendor\na.vendor-import.example,eset\n", &["acme"]);
    assert!(refused(&other)[0].1.contains("not asked for"));
}

#[test]
fn a_wildcard_over_a_name_that_nobody_may_claim_is_refused() {
    let plan = plan("*.verisign.com\n", &["acme"]);
    assert!(
        refused(&plan)[0].1.contains("no rule may claim"),
        "{:?}",
        refused(&plan)
    );
}

#[test]
fn the_files_of_a_plan_pass_the_check_and_the_test() {
    let list = "pattern,kind,purpose,product,engine_vendor,confidence,ports,note\n\
        *.cloud.acme-import.example,name,reputation,Acme \"Shield\",bitdefender,medium,443,\n\
        dl.acme-import.example,name,update,,,,80 443,\"a\\b\"\n\
        AcmeUpdate/*,user_agent,update,,,,,\n\
        /acme/*.vdb,uri,update,,,,,\n\
        198.51.100.0/24,network,,,,high,,\n\
        AS64500,asn,,,,,,\n";
    let plan = plan(list, &["acme"]);
    assert_eq!((plan.added_count(), refused(&plan)), (6, vec![]));
    let base = RuleFiles::builtin().unwrap();
    let files = super::super::files(&plan, &base, &options(&["acme"]));
    let text = &files["acme.toml"];
    let parsed = crate::attribute::SourceFile::parse("acme.toml", text).unwrap();
    let all = base.overridden_by(vec![parsed]).unwrap();
    let report = crate::attribute::check::test_files(&all).unwrap();
    assert!(report.passed(), "{text}\n{:?}", report.failures());
    let rules = Ruleset::from_files(&all).unwrap();
    let found = rules.match_name(b"x.cloud.acme-import.example").unwrap();
    let rule = rules.rule(found.rule);
    assert_eq!(rule.product.as_deref(), Some("Acme \"Shield\""));
    assert_eq!(
        (rule.confidence, rule.source_class),
        (Confidence::Medium, SourceClass::List)
    );
    let network = rules.rule(
        rules
            .match_network("198.51.100.7".parse().unwrap())
            .unwrap()
            .rule,
    );
    assert_eq!(
        (network.confidence, network.indicates),
        (Confidence::Low, Indicates::Contact)
    );
}

#[test]
fn what_is_added_to_a_known_vendor_is_added_to_all_that_is_known_of_it() {
    let plan = plan("new.eset-import.example\n", &["eset"]);
    let base = RuleFiles::builtin().unwrap();
    let files = super::super::files(&plan, &base, &options(&["eset"]));
    let parsed = crate::attribute::SourceFile::parse("eset.toml", &files["eset.toml"]).unwrap();
    let all = base.clone().overridden_by(vec![parsed]).unwrap();
    let (before, after) = (
        Ruleset::from_files(&base).unwrap(),
        Ruleset::from_files(&all).unwrap(),
    );
    assert_eq!(after.rules().len(), before.rules().len() + 1);
    assert!(crate::attribute::check::test_files(&all).unwrap().passed());
}
