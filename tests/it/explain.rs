//! `avscope explain`: each answer says what, why, how sure, and on whose word.

use serde_json::Value;

use super::support::avscope;

fn text(words: &[&str]) -> String {
    let output = avscope().arg("explain").args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(words: &[&str]) -> Value {
    serde_json::from_str(&text(&[&["--format", "json"], words].concat())).unwrap()
}

/// A row of the text, by its label.
fn row<'a>(text: &'a str, label: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.trim_start().strip_prefix(label))
        .unwrap_or_else(|| panic!("no {label:?} in {text}"))
        .trim()
}

#[test]
fn a_name_of_a_product_is_explained() {
    let text = text(&["ksn-file-geo.kaspersky-labs.com"]);
    assert!(row(&text, "vendor").contains("AO Kaspersky Lab"));
    assert_eq!(row(&text, "seat"), "RU");
    assert_eq!(row(&text, "purpose"), "reputation");
    assert!(row(&text, "confidence").contains("dns_answer_other low"));
    assert!(row(&text, "source").contains("v2fly"));
    assert!(row(&text, "detectability").starts_with("wire_visible"));
    assert!(row(&text, "valid").contains("not known"));
}

#[test]
fn an_engine_inside_another_product_names_both_vendors() {
    let answer = json(&["kav8.zonealarm.com"]);
    let verdict = &answer["verdict"];
    assert_eq!(verdict["vendor"]["jurisdiction"], "IL");
    assert_eq!(verdict["engine"]["vendor"]["id"], "kaspersky");
    assert_eq!(verdict["engine"]["vendor"]["jurisdiction"], "RU");
    let facts = verdict["engine_facts"].as_array().unwrap();
    assert!(facts.iter().any(|fact| {
        let sign = fact["network_sign"].as_str().unwrap_or_default();
        fact["engine_vendor"] == "AO Kaspersky Lab" && sign.contains("kav8.checkpoint.com")
    }));
    let text = text(&["kav8.zonealarm.com"]);
    assert_eq!(row(&text, "engine seat"), "RU");
}

#[test]
fn a_revocation_list_is_a_contact_and_no_product() {
    let verdict = &json(&["crl.kaspersky.com"])["verdict"];
    assert_eq!(verdict["indicates"], "contact");
    assert_eq!(verdict["product"], Value::Null);
    let foreign = json(&["ocsp.comodoca.com"]);
    assert_eq!(foreign["verdict"], Value::Null);
    let entry = &foreign["unknown"]["claimed_by_nobody"];
    assert!(entry["why"].as_str().unwrap().contains("Revocation"));
}

#[test]
fn the_most_specific_pattern_decides_and_the_wider_ones_are_shown() {
    let answer = json(&["analytics.ff.avast.sec.miui.com"]);
    assert_eq!(answer["verdict"]["vendor"]["id"], "xiaomi");
    assert_eq!(answer["verdict"]["engine"]["vendor"]["id"], "avast");
    let wider = &answer["passed_over"][0];
    assert_eq!(wider["pattern"], "*.avast.sec.miui.com");
    assert!(wider["why"].as_str().unwrap().contains("more names"));
    let shown = text(&["analytics.ff.avast.sec.miui.com"]);
    assert!(row(&shown, "passed over").starts_with("*.avast.sec.miui.com"));
}

#[test]
fn an_address_tells_the_operator_and_neither_product_nor_purpose() {
    let answer = json(&["77.74.176.10"]);
    let operator = &answer["address"]["operator"];
    assert_eq!(operator["asn"], 200_107);
    assert_eq!(operator["vendor"]["jurisdiction"], "RU");
    assert_ne!(answer["address"]["country"], "RU");
    let verdict = &answer["verdict"];
    assert_eq!(verdict["product"], Value::Null);
    assert_eq!(verdict["purpose"], "unknown");
    assert_eq!(verdict["indicates"], "contact");
    assert_eq!(verdict["confidence_by_evidence"]["asn"], "low");
    let text = text(&["77.74.176.10"]);
    assert!(row(&text, "server in").ends_with("not the vendor's seat, RU"));
    assert!(row(&text, "product").starts_with("unknown"));
    assert!(row(&text, "purpose").starts_with("unknown"));
}

#[test]
fn what_nobody_knows_says_what_that_means_and_what_comes_near() {
    let sibling = json(&["brand-new.kaspersky.com"]);
    assert_eq!(sibling["unknown"]["domain"], "kaspersky.com");
    assert_eq!(sibling["unknown"]["near"][0]["vendor"], "kaspersky");
    assert!(sibling["unknown"]["further"].as_u64().unwrap() > 10);
    let alike = json(&["notkaspersky.com"]);
    let how = alike["unknown"]["near"][0]["how"].as_str().unwrap();
    assert!(how.contains("boundary"), "{how}");
    let stranger = text(&["www.example.org"]);
    assert!(row(&stranger, "meaning").contains("no proof"));
    assert!(row(&stranger, "domain").contains("guessed"));
    let address = text(&["192.168.1.1"]);
    assert!(row(&address, "vendor").starts_with("unknown"));
    let agent = text(&["--user-agent", "Mozilla/5.0"]);
    assert!(row(&agent, "meaning").contains("No security product"));
}

#[test]
fn a_label_boundary_counts() {
    for name in ["auth.air.gdrising.com.cn", "objectmail.com", "avipre.com"] {
        let answer = json(&[name]);
        assert_eq!(answer["verdict"], Value::Null, "{name}");
        assert!(answer["unknown"]["claimed_by_nobody"].is_object(), "{name}");
    }
    assert_eq!(
        json(&["rsup10.rising.com.cn"])["verdict"]["vendor"]["id"],
        "rising"
    );
}

/// What the capture of the project detect-kaspersky shows: a bare address, this path, a User-Agent that begins so.
#[test]
fn an_update_without_a_name_is_known_by_its_path_and_user_agent() {
    for words in [
        ["--uri", "/updaters/updater.xml.dif"],
        ["--uri", "http://94.75.236.123/updaters/updater.xml.klz"],
        ["--user-agent", "*B0cBAAQA"],
    ] {
        let answer = json(&words);
        assert_eq!(answer["verdict"]["vendor"]["id"], "kaspersky", "{words:?}");
        assert_eq!(answer["verdict"]["purpose"], "update");
    }
    let path = &json(&["--uri", "/updaters/updater.xml.dif"])["verdict"];
    assert_eq!(path["confidence_by_evidence"]["http_uri"], "medium");
    let agent = &json(&["--user-agent", "*B0cBAAQA"])["verdict"];
    assert_eq!(agent["confidence_by_evidence"]["http_user_agent"], "low");
}

#[test]
fn a_user_agent_of_an_embedded_engine_lists_who_carries_it() {
    let verdict = &json(&["--user-agent", "SAVAPI4.15.21.77"])["verdict"];
    assert_eq!(verdict["product"], Value::Null);
    assert_eq!(verdict["engine"]["vendor"]["id"], "avira");
    let facts = verdict["engine_facts"].as_array().unwrap();
    assert!(
        facts
            .iter()
            .any(|fact| fact["product_vendor"] == "Juniper Networks, Inc.")
    );
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let shown = text(&["--user-agent", "a\u{1b}[31m"]);
    assert!(
        !shown.contains('\u{1b}') && shown.contains("\\x1b"),
        "{shown}"
    );
}

#[test]
fn exactly_one_thing_is_explained() {
    for words in [&["explain"][..], &["explain", "a.example", "--uri", "/b"]] {
        assert_eq!(
            avscope().args(words).output().unwrap().status.code(),
            Some(2)
        );
    }
}

#[test]
fn what_is_no_name_is_refused_with_the_remedy() {
    for (what, remedy) in [
        (
            "https://www.kaspersky.com/x",
            "pass the host: www.kaspersky.com",
        ),
        ("www.kaspersky.com:443", "pass the host: www.kaspersky.com"),
        ("192.168.1.1/24", "pass the address: 192.168.1.1"),
        (
            "https://[2001:db8::1]:443/",
            "pass the address: 2001:db8::1",
        ),
        ("", "pass a host name or an address"),
        ("касперский.рф", "xn--"),
    ] {
        let output = avscope().args(["explain", what]).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{what}: {words}");
        assert!(
            words.contains("not a name") && words.contains(remedy),
            "{what}: {words}"
        );
    }
}

#[test]
fn answers_are_as_their_schema_says() {
    let schema: Value =
        serde_json::from_str(include_str!("../../docs/explain.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for words in [
        &["kav8.zonealarm.com"][..],
        &["analytics.ff.avast.sec.miui.com"],
        &["updates.sunbeltsoftware.com"],
        &["77.74.176.10"],
        &["2a03:2480::1"],
        &["8.8.8.8"],
        &["brand-new.kaspersky.com"],
        &["ocsp.comodoca.com"],
        &["--user-agent", "SAVAPI4"],
        &["--uri", "/index.html"],
    ] {
        let mut answer = json(words);
        let problems: Vec<String> = validator
            .iter_errors(&answer)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{words:?}: {problems:#?}");
        answer["colour"] = "blue".into();
        assert!(!validator.is_valid(&answer));
    }
}
