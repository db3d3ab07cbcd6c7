#![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

use std::collections::BTreeSet;

use super::*;
use crate::model::{Purpose, Severity};
use crate::policy::{
    ClockStart, DayKind, Embedded, FactAbout, PolicyKind, ReadStatus, Reason, Role,
};

fn text(lines: &str) -> String {
    format!("format = 1\n[policy]\nid = \"p\"\ntitle = \"P\"\n{lines}")
}

fn refused(lines: &str) -> String {
    let error = Policy::parse("policies/p.toml", &text(lines), true).unwrap_err();
    error.to_string()
}

#[test]
fn the_built_in_policies_are_about_vendors_that_there_are() {
    let policies = Policies::builtin().unwrap();
    let rules = Ruleset::builtin().unwrap();
    policies.check_vendors(&rules).unwrap();
    assert!(policies.len() >= 20, "{}", policies.len());
    policies
        .check_organisation(&Organisation::default(), &[])
        .unwrap();
}

#[test]
fn every_decision_of_a_built_in_policy_rests_on_a_fact() {
    for policy in Policies::builtin().unwrap().iter() {
        let about: BTreeSet<_> = (policy.facts.iter())
            .flat_map(|fact| fact.about.iter().copied())
            .collect();
        let mut needed = vec![FactAbout::Subject, FactAbout::Embedded];
        for (is_there, about) in [
            (!policy.binds.is_empty(), FactAbout::Binds),
            (policy.days.is_dated(), FactAbout::Dates),
            (!policy.purposes.is_empty(), FactAbout::Purposes),
            (!policy.exemptions.is_empty(), FactAbout::Exemption),
            (!policy.clocks.is_empty(), FactAbout::Clock),
        ] {
            needed.extend(is_there.then_some(about));
        }
        for need in needed {
            assert!(about.contains(&need), "{}: {need}", policy.id);
        }
        assert!(
            !policy.cite.is_empty() && policy.summary.is_some(),
            "{}",
            policy.id
        );
        assert!(policy.who.is_some(), "{}", policy.id);
        assert!(!policy.own, "{}", policy.id);
        // A preset binds nobody by itself; all else says whom it binds.
        let preset = policy.kind == PolicyKind::Own;
        assert_eq!(policy.binds.is_empty(), preset, "{}", policy.id);
    }
}

#[test]
fn nothing_from_memory_is_graver_than_to_be_known() {
    for policy in Policies::builtin().unwrap().iter() {
        if policy.status() == Some(ReadStatus::Memory) {
            assert_eq!(policy.severity(), Severity::Info, "{}", policy.id);
        }
        // What is reported or informs is no more than that, however well it was read.
        if matches!(policy.kind, PolicyKind::Reported | PolicyKind::Information) {
            assert_eq!(policy.severity(), Severity::Info, "{}", policy.id);
        }
        if policy.kind == PolicyKind::Advice {
            assert!(policy.severity() <= Severity::Low, "{}", policy.id);
        }
    }
    let fact = |about: &str, status: &str| {
        let source = if status == "memory" {
            ""
        } else {
            "source = \"a\"\n"
        };
        format!(
            "vendors = [\"kaspersky\"]\nseverity = \"high\"\n[sources.a]\ntitle = \"A\"\n[[fact]]\ntext = \"x\"\n\
             about = [\"{about}\"]\nstatus = \"{status}\"\n{source}"
        )
    };
    let message = refused(&fact("dates", "memory"));
    assert!(
        message.contains("p.toml:6") && message.contains("rests on memory"),
        "{message}"
    );
    for (about, status) in [
        ("dates", "partly_read"),
        ("dates", "read"),
        ("note", "memory"),
    ] {
        let policy = Policy::parse("p.toml", &text(&fact(about, status)), true).unwrap();
        assert_eq!(policy.severity(), Severity::High, "{about} {status}");
    }
    // Where no severity is given it is lowered, and not refused.
    let lines = fact("dates", "memory").replace("severity = \"high\"\n", "");
    let policy = Policy::parse("p.toml", &text(&lines), true).unwrap();
    assert_eq!(policy.severity(), Severity::Info);
}

#[test]
fn every_role_is_bound_by_something() {
    let policies = Policies::builtin().unwrap();
    for role in Role::ALL {
        assert!(
            policies.iter().any(|policy| policy.binds.contains(role)),
            "{role}"
        );
    }
}

#[test]
fn what_is_wrong_is_named_with_line_and_remedy() {
    const SUBJECT: &str = "vendors = [\"kaspersky\"]\n";
    for (lines, parts) in [
        (
            "vendor = [\"kaspersky\"]",
            &["line 5", "unknown field `vendor`", "`vendors`"][..],
        ),
        (
            &format!("{SUBJECT}[[clok]]"),
            &["unknown field `clok`", "`clock`"],
        ),
        (
            &format!("{SUBJECT}binds = [\"us-everybody\"]"),
            &["line 6", "unknown variant", "us-person"],
        ),
        (
            &format!("{SUBJECT}severity = \"grave\""),
            &["line 6", "`high`"],
        ),
        (&format!("{SUBJECT}embedded = true"), &["line 6"]),
        ("", &["p.toml:3", "about nobody"]),
        (
            &format!("{SUBJECT}purposes = [\"web\"]"),
            &["p.toml:6", "never a use"],
        ),
        (
            &format!("{SUBJECT}from = 2024-03-02\nuntil = 2024-03-01"),
            &["p.toml:6", "after"],
        ),
        (
            &format!("{SUBJECT}from = 2024-03-02T08:00:00Z"),
            &["p.toml:6", "not a date"],
        ),
        (
            &format!("{SUBJECT}seats = [\"Russia\"]"),
            &["line 6", "country code"],
        ),
        (
            &format!("{SUBJECT}[[exemption]]\nreason = \"x\"\nhosts = [\"10.0.0.1\"]"),
            &["p.toml:7", "a last day"],
        ),
        (
            &format!(
                "{SUBJECT}[[exemption]]\nreason = \" \"\nstatutory = true\nhosts = [\"10.0.0.1\"]"
            ),
            &["p.toml:7", "has a reason"],
        ),
        (
            &format!("{SUBJECT}[[exemption]]\nreason = \"x\"\nuntil = 2024-01-01"),
            &["p.toml:7", "of everything"],
        ),
        (
            &format!(
                "{SUBJECT}[[exemption]]\nreason = \"x\"\nuntil = 2024-01-01\nhosts = [\"host\"]"
            ),
            &["p.toml:9", "is no host"],
        ),
        (
            &format!(
                "{SUBJECT}[[exemption]]\npolicy = \"q\"\nreason = \"x\"\nuntil = 2024-01-01\nhosts = [\"10.0.0.1\"]"
            ),
            &["p.toml:7", "take `policy` out"],
        ),
        (
            &format!("{SUBJECT}[[fact]]\ntext = \"x\"\nabout = [\"note\"]\nstatus = \"read\""),
            &["p.toml:9", "names its source"],
        ),
        (
            &format!(
                "{SUBJECT}[[fact]]\ntext = \"x\"\nabout = [\"note\"]\nstatus = \"read\"\nsource = \"b\""
            ),
            &["p.toml:10", "[sources.b]"],
        ),
        (
            &format!(
                "{SUBJECT}[[clock]]\nwhat = \"x\"\nstarts = \"identification\"\ndays = 9999\nkind = \"calendar\""
            ),
            &["p.toml:9", "at most"],
        ),
        (
            &format!(
                "{SUBJECT}[[clock]]\nwhat = \"x\"\nstarts = \"packet\"\ndays = 3\nkind = \"calendar\""
            ),
            &["line 8", "`identification`"],
        ),
    ] {
        let message = refused(lines);
        for part in parts {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
    let wrong = |path: &str, text: &str| Policy::parse(path, text, true).unwrap_err().to_string();
    assert!(wrong("q.toml", &text(SUBJECT)).contains("q.toml:3: policy \"p\" belongs"));
    let other = text(SUBJECT).replace("format = 1", "format = 2");
    assert!(wrong("p.toml", &other).contains("p.toml:1: format 2 is not known"));
    let shouting = text(SUBJECT).replace("\"p\"", "\"P P\"");
    assert!(wrong("P P.toml", &shouting).contains("not made of a-z"));
    let untitled = text(SUBJECT).replace("\"P\"", "\" \"");
    assert!(wrong("p.toml", &untitled).contains("p.toml:4: the title is empty"));
}

/// The value as an editor's schema check sees it: dates are strings.
fn as_json(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(as_json).collect(),
        toml::Value::Table(table) => serde_json::Value::Object(
            (table.into_iter())
                .map(|(key, value)| (key, as_json(value)))
                .collect(),
        ),
        plain => serde_json::to_value(plain).unwrap(),
    }
}

#[test]
fn shipped_policies_fit_the_schema_and_the_schema_fits_the_words() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../rules/policy.schema.json")).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (path, text) in BUILTIN_POLICIES {
        let value = as_json(toml::from_str(text).unwrap());
        let problems: Vec<String> = (validator.iter_errors(&value))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{path}: {problems:#?}");
        let mut wrong = value;
        wrong["policy"]["colour"] = "blue".into();
        assert!(!validator.is_valid(&wrong), "{path}");
    }
    let words = |path: &str| -> Vec<String> {
        let list = schema.pointer(path).unwrap_or_else(|| panic!("{path}"));
        serde_json::from_value(list.clone()).unwrap()
    };
    let policy = "/properties/policy/properties";
    let (fact, clock) = (
        "/properties/fact/items/properties",
        "/properties/clock/items/properties",
    );
    let all = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let of = |path: String, expected: Vec<&str>| assert_eq!(words(&path), all(&expected), "{path}");
    of(
        format!("{policy}/kind/enum"),
        PolicyKind::ALL.iter().map(|w| w.as_str()).collect(),
    );
    of(
        format!("{policy}/severity/enum"),
        Severity::ALL.iter().map(|w| w.as_str()).collect(),
    );
    of(
        format!("{policy}/binds/items/enum"),
        Role::ALL.iter().map(|w| w.as_str()).collect(),
    );
    of(
        format!("{policy}/embedded/enum"),
        Embedded::ALL.iter().map(|w| w.as_str()).collect(),
    );
    of(
        format!("{fact}/about/items/enum"),
        FactAbout::ALL.iter().map(|w| w.as_str()).collect(),
    );
    of(
        format!("{fact}/status/enum"),
        ReadStatus::ALL.iter().map(|w| w.as_str()).collect(),
    );
    of(
        format!("{clock}/starts/enum"),
        ClockStart::ALL.iter().map(|w| w.as_str()).collect(),
    );
    of(
        format!("{clock}/kind/enum"),
        DayKind::ALL.iter().map(|w| w.as_str()).collect(),
    );
    let uses = Purpose::ALL
        .iter()
        .filter(|purpose| **purpose != Purpose::Web);
    of(
        format!("{policy}/purposes/items/enum"),
        uses.map(|w| w.as_str()).collect(),
    );
}

#[test]
fn the_roles_stand_in_the_documentation() {
    let text = include_str!("../../docs/POLICIES.md");
    for role in Role::ALL {
        assert!(text.contains(&format!("`{role}`")), "{role}");
    }
    for reason in Reason::ALL
        .iter()
        .filter(|reason| !matches!(reason, Reason::RoleNotDeclared | Reason::OtherVendor))
    {
        assert!(text.contains(&format!("`{reason}`")), "{reason}");
    }
    for policy in Policies::builtin().unwrap().iter() {
        assert!(text.contains(&format!("`{}`", policy.id)), "{}", policy.id);
    }
}

#[test]
fn a_folder_adds_and_overrides() {
    let folder = tempfile::tempdir().unwrap();
    let builtin = Policies::builtin().unwrap();
    let read = || Policies::builtin_with_folder(folder.path());
    assert_eq!(
        read().unwrap().digest(),
        builtin.digest(),
        "no folder, nothing more"
    );
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    let file = text("vendors = [\"eset\"]\n");
    std::fs::write(policies.join("p.toml"), &file).unwrap();
    std::fs::write(policies.join("p.toml.orig"), "not one").unwrap();
    let other = file.replace("\"p\"", "\"us-ndaa-1634\"");
    std::fs::write(policies.join("us-ndaa-1634.toml"), other).unwrap();
    let all = read().unwrap();
    assert_eq!(all.len(), builtin.len() + 1);
    assert_ne!(all.digest(), builtin.digest());
    let own = all.get("us-ndaa-1634").unwrap();
    assert!(own.own && own.vendors == ["eset"]);
    assert!(!all.get("us-bod-17-01").unwrap().own);
    let message = all.get("us-ndaa-1643").unwrap_err().to_string();
    assert!(message.contains("no policy \"us-ndaa-1643\"") && message.contains("us-ndaa-1634"));
    // The folder of policies itself may be named too.
    assert_eq!(
        Policies::builtin_with_folder(&policies).unwrap().digest(),
        all.digest()
    );
}

#[test]
fn one_id_twice_from_one_origin_is_refused() {
    let one = (
        Policy::parse("p.toml", &text("vendors = [\"eset\"]"), true).unwrap(),
        String::new(),
    );
    let mut policies = Policies::builtin().unwrap();
    let message = policies
        .extend(vec![one.clone(), one])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("p.toml:3: policy \"p\" stands at p.toml:3 already"),
        "{message}"
    );
}

#[test]
fn a_slip_of_the_pen_makes_no_policy_silent() {
    let rules = Ruleset::builtin().unwrap();
    let with = |lines: &str| {
        let mut policies = Policies::builtin().unwrap();
        let policy = Policy::parse("p.toml", &text(lines), true).unwrap();
        policies.extend(vec![(policy, String::new())]).unwrap();
        policies
    };
    for (lines, part) in [
        ("vendors = [\"kasperski\"]", "no vendor \"kasperski\""),
        ("engines = [\"kasperski\"]", "no vendor \"kasperski\""),
        ("parents = [\"Gen Dgital\"]", "names \"Gen Dgital\""),
        (
            "vendors = [\"eset\"]\n[[exemption]]\nreason = \"x\"\nuntil = 2024-01-01\nvendors = [\"esset\"]",
            "no vendor \"esset\"",
        ),
    ] {
        let message = with(lines).check_vendors(&rules).unwrap_err().to_string();
        assert!(
            message.starts_with("p.toml:3: policy p: ") && message.contains(part),
            "{message}"
        );
    }
    with("parents = [\"Gen Digital Inc.\"]")
        .check_vendors(&rules)
        .unwrap();
    let zoned = with("vendors = [\"eset\"]\nzones = [\"ofice\"]");
    let nobody = Organisation::default();
    let message = zoned
        .check_organisation(&nobody, &["office"])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("zone \"ofice\" is not configured; known: office"),
        "{message}"
    );
    zoned.check_organisation(&nobody, &["ofice"]).unwrap();
    let adopted = Organisation {
        adopted: ["q".to_owned()].into(),
        ..Organisation::default()
    };
    assert!(zoned.check_organisation(&adopted, &["ofice"]).is_err());
}
