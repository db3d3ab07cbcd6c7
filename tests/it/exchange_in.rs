//! Lists of others become rule files, and bundles are installed, refused and gone back from.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use avscope::attribute::{RuleFiles, Ruleset};

use super::exchange::{python, python_has};
use super::support::{avscope, skip};

fn run(words: &[&str], paths: &[&Path]) -> Output {
    avscope().args(words).args(paths).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// A vendor with patterns of every kind, its verdicts all different, whom nothing built in knows.
const ACME: &str = r#"format = 1
[vendor]
id = "acme-exchange"
legal_name = "Acme, \"Security\" Ltd."
jurisdiction = "CH"
[sources.guide]
title = "Guide"
url = "https://acme.example/guide"
[[rule]]
id = "acme-exchange.reputation.cloud"
version = 1
purpose = "reputation"
product = "Acme Shield"
serves = "look-ups; of files"
patterns = ["*.cloud.acme-exchange.example", "one.acme-exchange.example"]
ports = [443, 8443]
protocols = ["tls", "http"]
engine = { vendor = "bitdefender", relation = "sdk" }
confidence = "high"
source = "guide"
source_class = "vendor-doc"
checked = 2026-11-23
valid_from = 2019-01-01
valid_until = 2031-12-31
note = "A note, with a comma and \"quotes\"."
[[rule]]
id = "acme-exchange.update.marks"
version = 1
purpose = "update"
user_agents = ["AcmeUpdate/*", "Acme\\*Exact", "AcmePlain/1.0"]
uris = ["/acme-exchange/*.vdb", "/acme-exchange/v.txt"]
indicates = "contact"
confidence = "medium"
source = "guide"
source_class = "vendor-doc"
checked = 2026-11-23
[[rule]]
id = "acme-exchange.unknown.network"
version = 1
purpose = "unknown"
networks = ["198.51.100.0/24", "2a03:2480:ffff::/48"]
asns = [64500]
indicates = "contact"
confidence = "low"
source = "guide"
source_class = "vendor-doc"
checked = 2026-11-23
"#;

/// All that a list can carry of each rule: everything but the words of the source and its class.
fn facts(files: &RuleFiles) -> Vec<String> {
    let rules = Ruleset::from_files(files).unwrap();
    let vendor = rules.vendor_by_id("acme-exchange").unwrap();
    let own = rules.rules().filter(|rule| rule.vendor == vendor.number);
    let mut facts: Vec<String> = own
        .map(|rule| {
            let mut patterns: Vec<_> = rules.all_patterns_of(rule.number).collect();
            patterns.sort_unstable();
            let engine = rule
                .engine
                .map(|engine| (rules.vendor(engine.vendor).id.clone(), engine.relation));
            format!(
                "{} {} {} {:?} {} {:?} {:?} {} {} {:?} {:?} {:?} {:?} {:?} {patterns:?}",
                vendor.legal_name,
                vendor.jurisdiction,
                rule.id,
                rule.product,
                rule.purpose,
                rule.serves,
                engine,
                rule.indicates,
                rule.confidence,
                rule.ports,
                rule.protocols,
                rule.valid_from,
                rule.valid_until,
                rule.note,
            )
        })
        .collect();
    facts.sort_unstable();
    facts
}

#[test]
fn what_goes_out_comes_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("acme-exchange.toml"), ACME).unwrap();
    let before = facts(&RuleFiles::builtin_with_folder(&own).unwrap());
    for format in ["csv", "misp"] {
        let list = folder.path().join(format);
        let into = folder.path().join(format!("into-{format}"));
        let output = avscope()
            .args([
                "rules",
                "export",
                "--format",
                format,
                "--vendor",
                "acme-exchange",
                "--rules",
            ])
            .arg(&own)
            .arg("-o")
            .arg(&list)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let output = run(
            &["rules", "import", "--write", "--format", format, "--into"],
            &[&into, &list],
        );
        let said = text(&output);
        assert!(
            output.status.success()
                && said.contains("refused: 0")
                && said.contains("not understood: 0"),
            "{said}"
        );
        let after = facts(&RuleFiles::builtin_with_folder(&into).unwrap());
        assert_eq!(before, after, "{format}: {said}");
        for check in ["check", "test"] {
            let output = match check {
                "check" => run(&["rules", "check"], &[&into]),
                _ => run(&["rules", "test", "--rules"], &[&into]),
            };
            assert!(output.status.success(), "{}", text(&output));
        }
    }
}

#[test]
fn nothing_is_written_without_being_asked_and_nothing_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("names.csv");
    let into = folder.path().join("rules-local");
    std::fs::write(
        &list,
        "a.acme-exchange.example\n*.co.uk\nocsp.verisign.com\nkav8.zonealarm.com\n",
    )
    .unwrap();
    let words = [
        "rules",
        "import",
        "--format",
        "csv",
        "--vendor",
        "acme-exchange",
        "--legal-name",
        "Acme",
        "--seat",
        "CH",
        "--into",
    ];
    let output = run(&words, &[&into, &list]);
    let said = text(&output);
    assert!(
        output.status.success() && said.contains("added: 1") && said.contains("refused: 3"),
        "{said}"
    );
    for reason in [
        "anybody can have a name",
        "no rule may claim",
        "vendor checkpoint",
    ] {
        assert!(said.contains(reason), "{reason} in {said}");
    }
    assert!(!into.exists(), "a preview writes nothing");
    let write = [&words[..2], &["--write"], &words[2..]].concat();
    assert!(run(&write, &[&into, &list]).status.success());
    let first = std::fs::read_to_string(into.join("acme-exchange.toml")).unwrap();
    assert!(
        first.contains("confidence = \"low\"") && first.contains("source_class = \"list\""),
        "{first}"
    );
    std::fs::write(&list, "b.acme-exchange.example\n").unwrap();
    let output = run(&write, &[&into, &list]);
    assert!(
        output.status.code() == Some(1) && text(&output).contains("--force"),
        "{}",
        text(&output)
    );
    assert_eq!(
        std::fs::read_to_string(into.join("acme-exchange.toml")).unwrap(),
        first
    );
    let force = [&write[..2], &["--force"], &write[2..]].concat();
    assert!(run(&force, &[&into, &list]).status.success());
    let rules = Ruleset::with_directory(&into).unwrap();
    for name in ["a.acme-exchange.example", "b.acme-exchange.example"] {
        assert!(rules.match_name(name.as_bytes()).is_some(), "{name}");
    }
    let output = run(&force, &[&into, &list]);
    assert!(
        text(&output).contains("already covered: 1"),
        "{}",
        text(&output)
    );
}

/// What the validator of STIX finds right.
const BUNDLE: &str = r#"{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d","objects":[
{"type":"indicator","spec_version":"2.1","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2026-11-01T00:00:00.000Z","modified":"2026-11-01T00:00:00.000Z","name":"an endpoint","indicator_types":["benign"],"pattern":"[domain-name:value = 'up.acme-exchange.example' OR domain-name:value LIKE '%.ksn.acme-exchange.example']","pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z"},
{"type":"indicator","spec_version":"2.1","id":"indicator--9e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2026-11-01T00:00:00.000Z","modified":"2026-11-01T00:00:00.000Z","name":"addresses","indicator_types":["benign"],"pattern":"[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '198.51.100.9' AND network-traffic:dst_port = 443]","pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z"},
{"type":"indicator","spec_version":"2.1","id":"indicator--ae2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2026-11-01T00:00:00.000Z","modified":"2026-11-01T00:00:00.000Z","name":"a path","indicator_types":["benign"],"pattern":"[url:value = 'https://dl.acme-exchange.example/x/y.vdb']","pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z"},
{"type":"indicator","spec_version":"2.1","id":"indicator--be2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2026-11-01T00:00:00.000Z","modified":"2026-11-01T00:00:00.000Z","name":"not for a sensor","indicator_types":["benign"],"pattern":"[file:name = 'avp.exe'] FOLLOWEDBY [domain-name:value = 'no.acme-exchange.example']","pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z"}]}"#;

#[test]
fn a_bundle_of_stix_becomes_a_rule_file() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("bundle.json");
    let into = folder.path().join("rules-local");
    std::fs::write(&list, BUNDLE).unwrap();
    let words = [
        "rules",
        "import",
        "--write",
        "--format",
        "stix",
        "--vendor",
        "acme-exchange",
        "--legal-name",
        "Acme",
        "--seat",
        "CH",
        "--into",
    ];
    let output = run(&words, &[&into, &list]);
    let said = text(&output);
    assert!(
        said.contains("added: 4") && said.contains("not understood: 2"),
        "{said}"
    );
    let rules = Ruleset::with_directory(&into).unwrap();
    for (name, known) in [
        ("up.acme-exchange.example", true),
        ("x.ksn.acme-exchange.example", true),
        ("ksn.acme-exchange.example", false),
        ("dl.acme-exchange.example", true),
        ("no.acme-exchange.example", false),
    ] {
        assert_eq!(rules.match_name(name.as_bytes()).is_some(), known, "{name}");
    }
    assert!(
        rules
            .match_network("198.51.100.9".parse().unwrap())
            .is_some()
    );
    assert!(run(&["rules", "check"], &[&into]).status.success());
}

#[test]
fn the_bundle_of_the_test_is_stix_as_its_validator_reads_it() {
    if !python_has("the bundle in the validator of STIX", "stix2validator") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("bundle.json");
    std::fs::write(&list, BUNDLE).unwrap();
    let script = "import sys, stix2validator as v\n\
        r = v.validate_file(sys.argv[1]); print(r.is_valid); sys.exit(not r.is_valid)";
    let output = python().args(["-c", script]).arg(&list).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn bundles_are_signed_installed_and_gone_back_from() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (key, public, into) = (at("k"), at("k.pub"), at("into"));
    assert!(run(&["rules", "keygen", "--key"], &[&key]).status.success());
    assert!(
        !run(&["rules", "keygen", "--key"], &[&key]).status.success(),
        "no key is replaced"
    );
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(&key), 0o600);
    let own = at("own");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("acme-exchange.toml"), ACME).unwrap();
    std::fs::create_dir(own.join("policies")).unwrap();
    std::fs::write(own.join("policies/own.toml"), "format = 1\n").unwrap();
    for (version, rules) in [("1", None), ("2", Some(&own)), ("3", None)] {
        let mut command = avscope();
        command
            .args(["rules", "bundle", "--bundle-version", version, "--key"])
            .arg(&key)
            .arg("-o")
            .arg(at(version));
        if let Some(rules) = rules {
            command.arg("--rules").arg(rules);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
    let install = |file: &str, more: &[&str]| {
        avscope()
            .args(["rules", "install"])
            .arg(at(file))
            .arg("--trust")
            .arg(&public)
            .arg("--into")
            .arg(&into)
            .args(more)
            .output()
            .unwrap()
    };
    let in_use = || -> (u64, bool) {
        let header = std::fs::read_to_string(into.join("current/bundle.json")).unwrap();
        let header: serde_json::Value = serde_json::from_str(&header).unwrap();
        let rules = Ruleset::with_directory(&into.join("current")).unwrap();
        let knows = rules.match_name(b"x.cloud.acme-exchange.example").is_some();
        (header["version"].as_u64().unwrap(), knows)
    };
    assert!(install("1", &[]).status.success());
    assert_eq!(in_use(), (1, false));
    assert!(install("2", &[]).status.success());
    assert_eq!(in_use(), (2, true));
    assert!(into.join("current/policies/own.toml").exists());
    assert!(text(&install("2", &[])).contains("nothing changed"));
    let older = install("1", &[]);
    assert!(
        older.status.code() == Some(1) && text(&older).contains("not newer"),
        "{}",
        text(&older)
    );
    assert_eq!(in_use(), (2, true));
    let rollback = || {
        avscope()
            .args(["rules", "install", "--rollback", "--into"])
            .arg(&into)
            .output()
            .unwrap()
    };
    assert!(rollback().status.success());
    assert_eq!(in_use(), (1, false));
    assert!(rollback().status.success());
    assert_eq!(in_use(), (2, true));
    assert!(install("1", &["--older"]).status.success());
    assert_eq!(in_use(), (1, false));
    assert!(install("3", &[]).status.success());
    assert_eq!(
        std::fs::read_dir(into.join("versions")).unwrap().count(),
        2,
        "the one in use and the one before"
    );
}

#[test]
fn bundles_that_were_changed_or_signed_by_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let into = at("into");
    for name in ["k", "other"] {
        assert!(
            run(&["rules", "keygen", "--key"], &[&at(name)])
                .status
                .success()
        );
    }
    let bundle = |key: &str, to: &str| {
        let mut command = avscope();
        command.args(["rules", "bundle", "--key"]).arg(at(key));
        command.arg("-o").arg(at(to)).output().unwrap()
    };
    let install = |file: &str, key: &str| {
        let mut command = avscope();
        command.args(["rules", "install"]).arg(at(file));
        let output = command
            .arg("--trust")
            .arg(at(key))
            .arg("--into")
            .arg(&into)
            .output();
        text(&output.unwrap())
    };
    assert!(bundle("k", "right").status.success());
    let mut bytes = std::fs::read(at("right")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(at("changed"), &bytes).unwrap();
    assert!(install("changed", "k.pub").contains("not what was signed"));
    assert!(install("right", "other.pub").contains("not by a key that is trusted"));
    assert!(!into.exists());
    // A secret key that others can read is none.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(at("k"), mode).unwrap();
    let said = text(&bundle("k", "no"));
    assert!(said.contains("chmod 600") && !at("no").exists(), "{said}");
}

#[test]
fn openssl_reads_the_keys_and_verifies_the_signature() {
    let there = Command::new("openssl")
        .arg("version")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    if !there {
        return skip("the signature in OpenSSL", "openssl is not there");
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(
        run(&["rules", "keygen", "--key"], &[&at("k")])
            .status
            .success()
    );
    let output = avscope()
        .args(["rules", "bundle", "--bundle-version", "1", "--key"])
        .arg(at("k"))
        .arg("-o")
        .arg(at("b"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    // The signature is over the first two lines, and stands in the third.
    let bytes = std::fs::read(at("b")).unwrap();
    let lines: Vec<&[u8]> = bytes.splitn(4, |&byte| byte == b'\n').collect();
    let signed = lines[0].len() + lines[1].len() + 2;
    std::fs::write(at("signed"), &bytes[..signed]).unwrap();
    std::fs::write(at("signature.b64"), [lines[2], b"\n"].concat()).unwrap();
    let openssl = |words: &[&str]| {
        let output = Command::new("openssl")
            .current_dir(folder.path())
            .args(words)
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {}", text(&output));
    };
    openssl(&[
        "base64",
        "-d",
        "-A",
        "-in",
        "signature.b64",
        "-out",
        "signature",
    ]);
    openssl(&[
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "k.pub",
        "-rawin",
        "-in",
        "signed",
        "-sigfile",
        "signature",
    ]);
    // And the other way round: its public half of our secret key is ours.
    openssl(&["pkey", "-in", "k", "-pubout", "-out", "again.pub"]);
    assert_eq!(
        std::fs::read(at("again.pub")).unwrap(),
        std::fs::read(at("k.pub")).unwrap()
    );
}
