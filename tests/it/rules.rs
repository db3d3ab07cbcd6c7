//! The built-in rules as a whole: what they must know, what they must not claim, how dates decide.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::OnceLock;

use avscope::attribute::{PatternKind, Ruleset, ValidityDate, Visibility};
use avscope::geo::OperatorTable;
use avscope::model::{Confidence, EvidenceKind, Purpose};

use super::support::avscope;

fn rules() -> &'static Ruleset {
    static RULES: OnceLock<Ruleset> = OnceLock::new();
    RULES.get_or_init(|| Ruleset::builtin().unwrap())
}

fn vendor_of(name: &str) -> Option<&'static str> {
    let found = rules().match_name(name.as_bytes())?;
    Some(&rules().vendor(rules().rule(found.rule).vendor).id)
}

#[test]
fn every_operator_that_names_a_vendor_has_its_rule_file() {
    for operator in OperatorTable::builtin().unwrap().operators() {
        if let Some(id) = &operator.vendor {
            assert!(rules().vendor_by_id(id).is_some(), "{id}");
            let found = rules().match_asn(operator.asn).unwrap();
            let vendor = rules().vendor(rules().rule(found.rule).vendor);
            assert_eq!(&vendor.id, id, "AS{}", operator.asn);
        }
    }
}

#[test]
fn a_network_never_tells_more_than_a_contact() {
    let mut networks = 0;
    for rule in rules().rules() {
        let only_networks = rules()
            .all_patterns_of(rule.number)
            .all(|(kind, _)| matches!(kind, PatternKind::Network | PatternKind::Asn));
        if only_networks {
            networks += 1;
            assert_eq!(rule.purpose, Purpose::Unknown, "{}", rule.id);
            assert_eq!(rule.product, None, "{}", rule.id);
            for kind in [EvidenceKind::IpPrefix, EvidenceKind::Asn] {
                assert_eq!(rules().confidence(rule.number, kind), Confidence::Low);
            }
        }
    }
    assert_eq!(
        networks,
        35 + 2,
        "vendors with systems of their own, and two with addresses"
    );
}

#[test]
fn a_documented_network_comes_before_the_system_that_announces_it() {
    let address: IpAddr = "199.66.201.16".parse().unwrap();
    let (kind, found) = rules().match_address(address, Some(41_983)).unwrap();
    assert_eq!(kind, EvidenceKind::IpPrefix);
    assert_eq!(rules().pattern(found), "199.66.201.16/32");
    let (kind, found) = rules()
        .match_address("192.0.2.1".parse().unwrap(), Some(41_983))
        .unwrap();
    assert_eq!(kind, EvidenceKind::Asn);
    assert_eq!(rules().pattern(found), "AS41983");
    // General providers carry everybody: Google, Microsoft, Cloudflare, Tencent.
    for asn in [15_169, 8_075, 13_335, 45_090] {
        assert!(rules().match_asn(asn).is_none(), "AS{asn}");
    }
}

#[test]
fn traps_are_nobodys() {
    for name in [
        "ocsp.verisign.com",
        "crl.thawte.com",
        "ts-ocsp.ws.symantec.com",
        "ocsp.comodoca.com",
        "uploads.gdata.youtube.com",
        "s3-3-w.amazonaws.com",
        "ctldl.windowsupdate.com",
        "fonts.gstatic.com",
        "drweb.ddns.net",
        "auth.air.gdrising.com.cn",
        "trendmicro.georedirector.akadns.net",
        "dns.google",
        "qq.com",
        "baidu.com",
    ] {
        assert_eq!(vendor_of(name), None, "{name}");
    }
}

#[test]
fn the_product_names_the_file_and_the_engine_its_maker() {
    for (name, vendor, engine) in [
        ("analytics.ff.avast.sec.miui.com", "xiaomi", "avast"),
        ("logupdate.avlyun.sec.miui.com", "xiaomi", "antiy"),
        ("bdupdate.kerio.com", "gfi-kerio", "bitdefender"),
        ("sonicwall.sentinelone.net", "sonicwall", "sentinelone"),
        ("swgupdates.safesquid.net", "safesquid", "quickheal"),
        (
            "ntd-asus-2014b-en.fbs20.trendmicro.com",
            "asus",
            "trendmicro",
        ),
        ("kav8.zonealarm.com", "checkpoint", "kaspersky"),
    ] {
        let found = rules().match_name(name.as_bytes()).unwrap();
        let rule = rules().rule(found.rule);
        assert_eq!(rules().vendor(rule.vendor).id, vendor, "{name}");
        assert_eq!(
            rules().vendor(rule.engine.unwrap().vendor).id,
            engine,
            "{name}"
        );
    }
}

#[test]
fn a_dated_rule_holds_between_its_days_only() {
    assert!(rules().has_dated_rules());
    let name = b"updates.sunbeltsoftware.com";
    let found = rules().match_name(name).unwrap();
    let day = |seconds| ValidityDate::of_unix_seconds(seconds);
    // 2010-01-01 and 2020-01-01.
    let (within, after) = (day(1_262_304_000), day(1_577_836_800));
    assert!(rules().holds(found, within) && !rules().holds(found, after));
    assert_eq!(rules().match_name_on(name, within), Some(found));
    assert_eq!(rules().match_name_on(name, after), None);
    let agent = b"SAVAPI4.15";
    assert_eq!(
        rules().match_user_agent_on(agent, after),
        rules().match_user_agent(agent)
    );
    let uri = b"/updaters/updater.xml.dif";
    assert_eq!(rules().match_uri_on(uri, after), rules().match_uri(uri));
}

#[test]
fn every_vendor_says_what_can_be_seen_of_it() {
    for vendor in rules().vendors() {
        assert!(!vendor.detectability.is_empty(), "{}", vendor.id);
        let whole = (vendor.detectability.iter())
            .find(|fact| fact.product.is_none() && fact.engine.is_none())
            .unwrap_or_else(|| panic!("{} as a whole", vendor.id));
        let mut of_vendor = rules().rules().filter(|rule| rule.vendor == vendor.number);
        let strong = of_vendor.any(|rule| {
            rule.purpose != Purpose::Web
                && rule.indicates.as_str() == "product"
                && rule.confidence > Confidence::Low
        });
        if whole.derived {
            assert_eq!(
                whole.visibility == Visibility::WireVisible,
                strong,
                "{}",
                vendor.id
            );
        }
    }
}

#[test]
fn engines_are_known_in_both_directions() {
    let uses: usize = rules()
        .vendors()
        .map(|vendor| vendor.engine_uses.len())
        .sum();
    let licences: usize = rules()
        .vendors()
        .map(|vendor| vendor.engine_licences.len())
        .sum();
    assert!(uses >= 60 && licences >= 15, "{uses} {licences}");
    let kaspersky = rules().vendor_by_id("kaspersky").unwrap().number;
    let licensees: BTreeSet<&str> = rules()
        .vendors()
        .filter(|vendor| {
            vendor
                .engine_uses
                .iter()
                .any(|fact| fact.engine.vendor == kaspersky)
        })
        .map(|vendor| vendor.id.as_str())
        .collect();
    for id in ["checkpoint", "juniper", "plesk", "dlink", "opswat"] {
        assert!(licensees.contains(id), "{id} in {licensees:?}");
    }
}

#[test]
fn the_test_of_the_rules_counts_what_it_ran() {
    let output = avscope().args(["rules", "test"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for word in [
        "from another source",
        "constructed",
        "User-Agents",
        "contradicting: 0",
        "shadowed: 0",
        "dated: 1",
        "unproven: ",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[test]
fn a_negative_that_a_rule_contradicts_fails_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let file = "format = 1\n[vendor]\nid = \"acme\"\nlegal_name = \"Acme\"\njurisdiction = \"CH\"\n\
        [sources.a]\ntitle = \"A\"\n[[negative]]\npatterns = [\"kav8.zonealarm.com\"]\n\
        why = \"shared\"\nsource = \"a\"\n";
    std::fs::write(folder.path().join("acme.toml"), file).unwrap();
    let output = avscope()
        .args(["rules", "check"])
        .arg(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("contradicting: 1") && text.contains("acme.toml:9"),
        "{text}"
    );
}
