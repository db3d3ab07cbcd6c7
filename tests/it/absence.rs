//! What is said of a vendor that was not seen, and what lowers it. Two zones for 32 hours: in the one a product calls home, in the
//! other hosts browse; then something is taken away, and the statement has to know.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use super::frames::{
    Connection, Data, End, Frame, SECOND, answer, hello, question, udp, write_pcap,
};
use super::support::{avscope, pcaps};

/// On the hour: 14 November 2023, 22:00 UTC.
const BEGIN: u64 = 1_699_999_200 * SECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const HOURS: u64 = 32;

const WEB: End = ([198, 51, 100, 7], 443);
const VENDOR: End = ([198, 51, 100, 8], 443);
const RESOLVER: End = ([198, 51, 100, 53], 53);
const ENCRYPTED: End = ([198, 51, 100, 54], 853);
const PROXY: End = ([198, 51, 100, 9], 3128);

/// What a network is like.
#[derive(Clone, Copy, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is something that a network does or does not"
)]
struct Network {
    /// Hosts of the office use DNS over TLS.
    encrypted_dns: bool,
    /// Names of vendors are denied to everybody, and nobody gets further.
    denied: bool,
    /// Hosts of the office offer ECH with every name.
    ech: bool,
    /// Hosts of the office go by a proxy, to addresses.
    proxied: bool,
    /// The product of the lab is there.
    product: bool,
}

/// Ports in turn, as systems give them.
struct Ports(u16);

impl Ports {
    fn next(&mut self) -> u16 {
        self.0 = if self.0 >= 60_000 { 20_000 } else { self.0 + 1 };
        self.0
    }
}

fn visit(at: u64, client: End, server: End, first: &[u8]) -> Vec<Frame> {
    let mut connection = Connection::open(at, client, server);
    connection.ask(first, 1400);
    connection.answer(&[0x17; 600], 600);
    connection.close()
}

/// A question and its answer, or the denial that a filter gives in its place.
fn resolve(at: u64, client: End, name: &str, to: Option<[u8; 4]>) -> Vec<Frame> {
    let mut reply = match to {
        Some(address) => answer(7, name, &[(name, 300, Data::Address(address))]),
        None => answer(7, name, &[]),
    };
    if to.is_none() {
        reply[3] |= 3;
    }
    vec![
        udp(at, client, RESOLVER, &question(7, name)),
        udp(at + SECOND / 100, RESOLVER, client, &reply),
    ]
}

fn frames(network: Network) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut ports = Ports(20_000);
    for minute in (0..HOURS * 60).step_by(4) {
        for host in 1..=3_u8 {
            let at = BEGIN + minute * MINUTE + u64::from(host) * 7 * SECOND;
            let mut end = || ([192, 168, 1, host], ports.next());
            let to_proxy = b"CONNECT 203.0.113.9:443 HTTP/1.1\r\n\r\n";
            frames.extend(if network.proxied && minute % 8 == 0 {
                visit(at, end(), PROXY, to_proxy)
            } else {
                visit(at, end(), WEB, &hello("www.example.org", network.ech))
            });
            if network.encrypted_dns {
                frames.extend(visit(
                    at + SECOND,
                    end(),
                    ENCRYPTED,
                    &hello("resolver.example", false),
                ));
            }
            // Somebody in the office has another vendor's product.
            if host == 1 && minute % 60 == 0 {
                let to = (!network.denied).then_some([198, 51, 100, 20]);
                let name = "ksn-file-geo.kaspersky-labs.com";
                frames.extend(resolve(at + 2 * SECOND, end(), name, to));
            }
        }
        let lab = |port| ([192, 168, 2, 1], port);
        let at = BEGIN + minute * MINUTE + 40 * SECOND;
        frames.extend(visit(
            at,
            lab(ports.next()),
            WEB,
            &hello("www.example.org", false),
        ));
        if network.product && minute % 28 == 0 {
            let to = (!network.denied).then_some(VENDOR.0);
            frames.extend(resolve(
                at + SECOND,
                lab(ports.next()),
                "update.eset.com",
                to,
            ));
            if !network.denied {
                let call = hello("update.eset.com", false);
                frames.extend(visit(at + 2 * SECOND, lab(ports.next()), VENDOR, &call));
            }
        }
    }
    frames.sort_by_key(|(at, ..)| *at);
    frames
}

fn usual() -> Network {
    Network {
        product: true,
        ..Network::default()
    }
}

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new(frames: &[Frame]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_pcap(&folder.path().join("capture.pcap"), frames);
        let zones = "[zones]\noffice = [\"192.168.1.0/24\"]\nlab = [\"192.168.2.0/24\"]\nattic = [\"192.168.3.0/24\"]\n";
        std::fs::write(folder.path().join("avscope.toml"), zones).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn absence(&self, options: &[&str], code: i32) -> String {
        let output = avscope()
            .args(["absence", "--quiet", "--config"])
            .arg(self.path("avscope.toml"))
            .args(options)
            .arg(self.path("capture.pcap"))
            .assert()
            .code(code);
        String::from_utf8_lossy(&output.get_output().stdout).into_owned()
    }

    fn document(&self, options: &[&str]) -> Value {
        let text = self.absence(&[options, &["--format", "json"]].concat(), 0);
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_follows_schema(&document);
        document
    }
}

fn assert_follows_schema(document: &Value) {
    static SCHEMA: OnceLock<jsonschema::Validator> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/absence.schema.json");
        let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    });
    let errors: Vec<_> = schema
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

fn statement<'a>(document: &'a Value, zone: &str) -> &'a Value {
    (document["statements"].as_array().unwrap().iter())
        .find(|statement| statement["zone"] == zone)
        .unwrap_or_else(|| panic!("{zone}: {document:#}"))
}

fn causes(statement: &Value, that_weaken: bool) -> BTreeSet<&str> {
    (statement["causes"].as_array().unwrap().iter())
        .filter(|cause| !that_weaken || cause["weakens"] == true)
        .map(|cause| cause["cause"].as_str().unwrap())
        .collect()
}

/// What is said of the office, which never called the vendor.
fn office(frames: &[Frame]) -> Value {
    let document = Scene::new(frames).document(&["--vendor", "eset"]);
    statement(&document, "office").clone()
}

#[test]
fn a_zone_that_was_watched_well_would_have_shown_it() {
    let scene = Scene::new(&frames(usual()));
    let document = scene.document(&["--vendor", "eset"]);
    let interval = &document["interval"];
    assert_eq!(interval["basis"], "measured");
    assert_eq!(interval["hosts"], 1);
    // Every 28 minutes for 32 hours.
    assert_eq!(interval["intervals"], 68);
    let mean = interval["mean_seconds"]["best"].as_f64().unwrap();
    assert!((mean - 28.0 * 60.0).abs() < 60.0, "{interval}");

    let office = statement(&document, "office");
    assert_eq!(
        office["statement"], "not_seen_would_have_been_seen",
        "{office:#}"
    );
    assert_eq!(office["proof"], "unproven: no canary");
    assert!(causes(office, true).is_empty(), "{office:#}");
    let chance = office["chance_unseen"]["high"].as_f64().unwrap();
    assert!(chance < 1e-6, "{office:#}");
    let watched = &office["watched"];
    assert_eq!(
        (&watched["hosts"], &watched["hours"]),
        (&3.into(), &32.into())
    );
    assert_eq!(watched["host_hours"], 96);

    let lab = statement(&document, "lab");
    assert_eq!(lab["statement"], "seen");
    assert_eq!(lab["seen"]["hosts"], 1);
    assert_eq!(lab["seen"]["contact"], "reached");
    // Nobody is there: nothing can be said.
    let attic = statement(&document, "attic");
    assert_eq!(attic["statement"], "not_seen_weak");
    assert!(causes(attic, true).contains("not_watched"), "{attic:#}");
    assert_eq!(attic["chance_unseen"], Value::Null);

    // The exit code tells whether it was seen, where that is asked for; and of one zone alone.
    scene.absence(&["--vendor", "eset", "--exit-code"], 3);
    let text = scene.absence(&["--vendor", "eset", "--exit-code", "--zone", "office"], 0);
    assert!(
        text.contains("office: not seen (would have been seen); unproven: no canary"),
        "{text}"
    );
    assert!(!text.contains("\nlab"), "{text}");
}

#[test]
fn a_canary_proves_its_zone_and_no_other() {
    let mut frames = frames(usual());
    let token = "0123456789abcdef0123456789abcdef";
    let name = format!("avscope-canary-{token}.invalid");
    frames.extend(resolve(
        BEGIN + 5 * HOUR,
        ([192, 168, 1, 2], 61_000),
        &name,
        None,
    ));
    frames.sort_by_key(|(at, ..)| *at);
    let scene = Scene::new(&frames);
    let issued = serde_json::json!({"token": token, "zone": "office", "issued_unix_seconds": BEGIN / SECOND});
    std::fs::write(scene.path("canaries.jsonl"), format!("{issued}\n")).unwrap();
    let canaries = scene.path("canaries.jsonl");
    let options = ["--vendor", "eset", "--canaries", canaries.to_str().unwrap()];
    let document = scene.document(&options);
    let office = statement(&document, "office");
    assert_eq!(
        office["statement"], "not_seen_would_have_been_seen",
        "{office:#}"
    );
    assert_eq!(office["proof"], "proven: a canary was seen");
    assert_eq!(office["canary"]["evidence"], "dns_query");
    assert!(
        office["canary"]["seen"]
            .as_str()
            .unwrap()
            .starts_with("2023-11-15T03:00:00")
    );
    assert_eq!(statement(&document, "lab")["proof"], "unproven: no canary");
    // Whoever does not know that it was issued has no proof.
    let without = scene.document(&options[..2]);
    assert_eq!(
        statement(&without, "office")["proof"],
        "unproven: no canary"
    );
}

#[test]
fn without_an_interval_there_is_no_number() {
    let scene = Scene::new(&frames(usual()));
    let document = scene.document(&["--vendor", "avast"]);
    assert_eq!(document["interval"], Value::Null);
    for zone in ["office", "lab"] {
        let said = statement(&document, zone);
        assert_eq!(said["statement"], "not_seen_weak");
        assert_eq!(said["chance_unseen"], Value::Null);
        assert!(causes(said, true).contains("interval_unknown"), "{said:#}");
    }
    // A source states how often, and nobody here does it.
    let stated = scene.document(&["--vendor", "clamav"]);
    assert_eq!(stated["interval"]["basis"], "stated");
    assert_eq!(stated["interval"]["mean_seconds"]["best"], 7200.0);
    assert!(
        stated["interval"]["source"]
            .as_str()
            .unwrap()
            .contains("freshclam")
    );
    let office = statement(&stated, "office");
    assert_eq!(
        office["statement"], "not_seen_would_have_been_seen",
        "{office:#}"
    );
    // What cannot be seen is not absent, however long one looks.
    let hidden = scene.document(&["--vendor", "amnpardaz"]);
    for zone in ["office", "lab", "attic"] {
        let said = statement(&hidden, zone);
        assert_eq!(said["statement"], "cannot_be_seen");
        assert_eq!(said["chance_unseen"], Value::Null);
    }
}

#[test]
fn a_vendor_whose_products_do_not_all_show_is_never_more_than_weakly_absent() {
    let scene = Scene::new(&frames(usual()));
    let document = scene.document(&["--vendor", "ahnlab"]);
    assert!(causes(statement(&document, "office"), true).contains("less_visible_parts"));
    let engine = scene.document(&["--engine", "kaspersky"]);
    let office = statement(&engine, "office");
    assert!(
        causes(office, true).contains("less_visible_parts"),
        "{office:#}"
    );
}

#[test]
fn ten_minutes_say_little() {
    let mut frames = frames(usual());
    frames.retain(|(at, ..)| *at < BEGIN + 10 * MINUTE);
    let scene = Scene::new(&frames);
    for vendor in ["eset", "clamav", "avast", "crowdstrike", "microsoft"] {
        let document = scene.document(&["--vendor", vendor]);
        let office = statement(&document, "office");
        assert_eq!(office["statement"], "not_seen_weak", "{vendor}");
        assert!(causes(office, true).contains("short"), "{office:#}");
    }
    // The shortest interval that a rule may state changes nothing.
    let rules = scene.path("rules");
    std::fs::create_dir(&rules).unwrap();
    let file = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/vendors/clamav.toml"),
    );
    let file = file
        .unwrap()
        .replace("contact_seconds = 7200", "contact_seconds = 60");
    std::fs::write(rules.join("clamav.toml"), file).unwrap();
    let options = ["--vendor", "clamav", "--rules", rules.to_str().unwrap()];
    let document = scene.document(&options);
    let office = statement(&document, "office");
    assert!(office["chance_unseen"]["high"].as_f64().unwrap() < 0.05);
    assert_eq!(office["statement"], "not_seen_weak", "{office:#}");
}

#[test]
fn a_mirror_that_was_gone_is_named() {
    let mut frames = frames(usual());
    frames.retain(|(at, ..)| !(8..20).contains(&((at - BEGIN) / HOUR)));
    let office = office(&frames);
    assert_eq!(office["statement"], "not_seen_weak");
    assert_eq!(office["watched"]["silent_hours"], 12);
    let causes = causes(&office, true);
    assert!(
        causes.contains("silent_hours") && causes.contains("short"),
        "{office:#}"
    );
}

#[test]
fn one_direction_alone_is_named() {
    let is_from_home = |frame: &[u8]| frame[26..28] == [192, 168];
    let whole = frames(usual());
    let mut out = whole.clone();
    out.retain(|(_, _, frame)| is_from_home(frame));
    let said = office(&out);
    assert_eq!(said["statement"], "not_seen_weak");
    assert!(causes(&said, true).contains("one_way"), "{said:#}");

    // From servers alone not even a name is left.
    let mut back = whole;
    back.retain(|(_, _, frame)| !is_from_home(frame));
    let document = Scene::new(&back).document(&["--vendor", "eset"]);
    for zone in ["office", "lab"] {
        let said = statement(&document, zone);
        assert_ne!(said["statement"], "not_seen_would_have_been_seen");
        if zone == "office" {
            assert_eq!(said["statement"], "not_seen_weak");
            assert!(
                causes(said, true).contains("one_way")
                    || causes(said, true).contains("not_watched"),
                "{said:#}"
            );
        }
    }
}

#[test]
fn encrypted_questions_and_encrypted_names_are_named() {
    let encrypted_dns = office(&frames(Network {
        encrypted_dns: true,
        ..usual()
    }));
    assert_eq!(encrypted_dns["statement"], "not_seen_weak");
    assert!(
        causes(&encrypted_dns, true).contains("encrypted_dns"),
        "{encrypted_dns:#}"
    );
    let hidden = encrypted_dns["visible"]["hidden"]["encrypted_dns"]
        .as_f64()
        .unwrap();
    assert!((hidden - 0.5).abs() < 0.01, "{encrypted_dns:#}");

    let ech = office(&frames(Network {
        ech: true,
        ..usual()
    }));
    assert_eq!(ech["statement"], "not_seen_weak");
    assert!(causes(&ech, true).contains("hidden"), "{ech:#}");
    assert!(ech["visible"]["hidden"]["ech_offered"].as_f64().unwrap() > 0.99);

    let base = office(&frames(usual()));
    let proxied = office(&frames(Network {
        proxied: true,
        ..usual()
    }));
    let best = |said: &Value| said["visible"]["share"]["best"].as_f64().unwrap();
    assert!(
        (best(&proxied) - 0.5).abs() < 0.01 && best(&base) > 0.99,
        "{proxied:#}"
    );
    assert!(
        proxied["visible"]["hidden"]["proxied"].as_f64().unwrap() > 0.49,
        "{proxied:#}"
    );
    assert!(causes(&proxied, true).contains("hidden"), "{proxied:#}");
}

#[test]
fn a_filter_of_names_is_named() {
    let document = Scene::new(&frames(Network {
        denied: true,
        ..usual()
    }))
    .document(&["--vendor", "eset"]);
    let office = statement(&document, "office");
    assert_eq!(office["statement"], "not_seen_weak");
    assert!(causes(office, true).contains("names_denied"), "{office:#}");
    // Who is blocked still asks: installed, and attempted.
    let lab = statement(&document, "lab");
    assert_eq!(lab["statement"], "seen");
    assert_eq!(lab["seen"]["contact"], "attempted");
    assert!(causes(lab, false).contains("only_attempted"), "{lab:#}");
    assert!(causes(lab, false).contains("names_denied"), "{lab:#}");
}

#[test]
fn loss_lowers_the_number_and_is_named() {
    let mut count = 0;
    let mut frames = frames(usual());
    // Every third answer with payload is missing; the client acknowledged it.
    frames.retain(|(_, _, frame)| {
        let is_answer = frame[26..28] == [198, 51] && frame.len() > 600;
        count += u32::from(is_answer);
        !is_answer || count % 3 != 0
    });
    let said = office(&frames);
    let lost = said["watched"]["lost"].as_f64().unwrap();
    assert!(lost > 0.1, "{said:#}");
    assert_eq!(said["statement"], "not_seen_weak");
    assert!(causes(&said, true).contains("loss"), "{said:#}");
}

#[test]
fn what_nobody_knows_is_refused_with_the_remedy() {
    let scene = Scene::new(&frames(usual())[..20]);
    for (options, says) in [
        (&["--vendor", "nobody"][..], "avscope detectability"),
        (&["--vendor", "eset", "--product", "Nothing"], "known: "),
        (
            &["--vendor", "eset", "--zone", "cellar"],
            "known: attic, lab, office, unzoned",
        ),
        (&[], "required"),
    ] {
        let output = avscope()
            .args(["absence", "--config"])
            .arg(scene.path("avscope.toml"))
            .args(options)
            .arg(scene.path("capture.pcap"))
            .assert()
            .code(2);
        let text = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(text.contains(says), "{options:?}: {text}");
    }
}

#[test]
fn statements_do_not_depend_on_the_number_of_workers() {
    let scene = Scene::new(&frames(usual()));
    let one = scene.absence(
        &["--vendor", "eset", "--format", "json", "--workers", "1"],
        0,
    );
    let many = scene.absence(
        &["--vendor", "eset", "--format", "json", "--workers", "7"],
        0,
    );
    assert_eq!(one, many);
    // And of a capture of real clients there is a statement for every zone and site.
    let output = avscope()
        .args([
            "absence",
            "--quiet",
            "--site-from-path",
            "--format",
            "json",
            "--vendor",
            "kaspersky",
        ])
        .arg(pcaps().join("multi-site"))
        .assert()
        .code(0);
    let document: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_follows_schema(&document);
    assert!(document["statements"].as_array().unwrap().len() > 1);
    for said in document["statements"].as_array().unwrap() {
        assert_ne!(
            said["statement"], "not_seen_would_have_been_seen",
            "{said:#}"
        );
    }
}

#[test]
fn engines_name_both_vendors_and_both_seats() {
    let lines = |options: &[&str]| -> Vec<Value> {
        let output = avscope()
            .args(["engines", "--format", "json"])
            .args(options)
            .assert()
            .code(0);
        String::from_utf8_lossy(&output.get_output().stdout)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let all = lines(&[]);
    assert!(all.len() >= 80, "{}", all.len());
    let zone_alarm = lines(&["--licensee", "checkpoint"]);
    assert!(zone_alarm.iter().any(|line| {
        line["licensor"]["id"] == "kaspersky"
            && line["licensor"]["jurisdiction"] == "RU"
            && line["licensee"]["jurisdiction"] == "IL"
    }));
    for line in &all {
        assert!(!line["source"].as_str().unwrap().is_empty(), "{line}");
    }
    let kaspersky = lines(&["--vendor", "kaspersky"]);
    assert!(kaspersky.len() >= lines(&["--licensor", "kaspersky"]).len());
    let table = avscope()
        .args(["engines", "--licensor", "kaspersky"])
        .assert()
        .code(0);
    let table = String::from_utf8_lossy(&table.get_output().stdout).into_owned();
    assert!(table.contains("kaspersky (RU)"), "{table}");
    avscope()
        .args(["engines", "--vendor", "nobody"])
        .assert()
        .code(2);
}

#[test]
fn detectability_says_how_much_shows_and_how_often() {
    let output = avscope()
        .args(["detectability", "--format", "json"])
        .assert()
        .code(0);
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let vendors: BTreeSet<&str> = (lines.iter())
        .map(|line| line["vendor"]["id"].as_str().unwrap())
        .collect();
    assert!(vendors.len() > 100);
    for line in &lines {
        // A number has a source, and none is made up.
        assert_eq!(
            line["contact_seconds"].is_null(),
            line["contact_source"].is_null(),
            "{line}"
        );
    }
    let table = avscope()
        .args(["detectability", "--visibility", "not_visible"])
        .assert()
        .code(0);
    let table = String::from_utf8_lossy(&table.get_output().stdout).into_owned();
    assert!(
        table.contains("not_visible") && !table.contains("wire_visible"),
        "{table}"
    );
}
