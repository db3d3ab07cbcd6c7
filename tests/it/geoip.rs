//! `--geoip`: a file of countries in place of the built-in table. The files are written here, and read by libmaxminddb's own
//! tool as well.

use std::path::{Path, PathBuf};
use std::process::Command;

use avscope::geo::{Countries, CountryFile, CountryFileError};
use serde_json::Value as Json;

use crate::mmdb_writer::{MARKER, Value, inside, mmdb, text};
use crate::support::{avscope, pcaps, skip};

/// 2024-02-29T23:59:59Z.
const EPOCH: u64 = 1_709_251_199;

fn nested(country: &str) -> Value {
    inside("country", text("iso_code", country))
}

fn at(file: &CountryFile, address: &str) -> Option<String> {
    file.lookup(address.parse().unwrap())
        .map(|country| country.to_string())
}

fn decode(content: Vec<u8>) -> CountryFile {
    CountryFile::decode(content, Path::new("test.mmdb")).unwrap()
}

fn error(content: Vec<u8>) -> CountryFileError {
    CountryFile::decode(content, Path::new("test.mmdb")).unwrap_err()
}

fn write(folder: &tempfile::TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Countries that no table in the world gives these addresses.
fn odd_file() -> Vec<u8> {
    mmdb(
        "Odd-Country",
        EPOCH,
        6,
        &[
            ("0.0.0.0/1", nested("IS")),
            ("128.0.0.0/1", nested("NZ")),
            ("2000::/3", nested("FJ")),
            ("fc00::/7", nested("FJ")),
        ],
    )
}

#[test]
fn all_shapes_of_records_are_read_for_both_families() {
    let shapes: [fn(&str) -> Value; 3] = [
        |country| text("country_code", country),
        nested,
        |country| {
            Value::Map(vec![
                ("registered_country".into(), text("iso_code", "KP")),
                ("country".into(), text("iso_code", country)),
            ])
        },
    ];
    for record in shapes {
        let file = decode(mmdb(
            "Shapes",
            EPOCH,
            6,
            &[
                ("77.74.176.0/21", record("CH")),
                ("77.74.184.0/32", record("SE")),
                ("2a03:2480::/32", record("RU")),
            ],
        ));
        assert_eq!(at(&file, "77.74.176.10").as_deref(), Some("CH"));
        assert_eq!(at(&file, "::ffff:77.74.183.255").as_deref(), Some("CH"));
        assert_eq!(at(&file, "2a03:2480:1::1").as_deref(), Some("RU"));
        for unknown in ["77.74.184.1", "2a03:2481::", "8.8.8.8"] {
            assert_eq!(at(&file, unknown), None, "{unknown}");
        }
    }
}

#[test]
fn the_country_of_registration_is_never_the_country_of_the_server() {
    let registered = |country| inside("registered_country", text("iso_code", country));
    let file = decode(mmdb(
        "Mixed",
        EPOCH,
        6,
        &[("8.0.0.0/8", registered("US")), ("9.0.0.0/8", nested("CA"))],
    ));
    assert_eq!(at(&file, "8.8.8.8"), None);
    assert_eq!(at(&file, "9.9.9.9").as_deref(), Some("CA"));
    let only = mmdb("Registered", EPOCH, 6, &[("8.0.0.0/8", registered("US"))]);
    assert!(matches!(error(only), CountryFileError::NoCountries { .. }));
}

#[test]
fn special_addresses_and_codes_of_no_country_stay_unknown() {
    let file = decode(mmdb(
        "All",
        EPOCH,
        6,
        &[
            ("::/3", nested("IS")),
            ("fc00::/7", nested("IS")),
            ("2a00::/16", nested("EU")),
            ("2a01::/16", nested("de")),
            ("2a02::/16", nested("Germany")),
        ],
    ));
    for address in [
        "10.1.2.3",
        "192.168.1.1",
        "127.0.0.1",
        "fd00::1",
        "::1",
        "2a00::1",
        "2a01::1",
        "2a02::1",
    ] {
        assert_eq!(at(&file, address), None, "{address}");
    }
    assert_eq!(at(&file, "8.8.8.8").as_deref(), Some("IS"));
}

#[test]
fn a_file_of_ipv4_alone_knows_nothing_of_ipv6() {
    let file = decode(mmdb("V4", EPOCH, 4, &[("8.0.0.0/8", nested("US"))]));
    assert_eq!(at(&file, "8.8.8.8").as_deref(), Some("US"));
    assert_eq!(at(&file, "2001:4860:4860::8888"), None);
}

#[test]
fn the_data_set_says_its_name_and_day() {
    let dataset = decode(odd_file()).dataset().clone();
    assert_eq!(dataset.name, "Odd-Country");
    assert_eq!(dataset.build_date, "2024-02-29");
    assert_eq!(dataset.version, "2024-02-29T23:59:59Z");
    let record = [("8.0.0.0/8", nested("US"))];
    assert_eq!(
        decode(mmdb("", 0, 6, &record)).dataset().name,
        "made by a test"
    );
    for epoch in [0, 1 << 50] {
        let dataset = decode(mmdb("T", epoch, 6, &record)).dataset().clone();
        assert_eq!(dataset.build_date, "unknown", "{epoch}");
    }
    let hostile = decode(mmdb("a\u{1b}[2Jb\n", EPOCH, 6, &record));
    assert!(!hostile.dataset().name.contains(['\u{1b}', '\n']));
}

#[test]
fn files_that_cannot_serve_say_why() {
    let whole = odd_file();
    for (content, expected) in [
        (b"".to_vec(), "not a file in MaxMind's DB format"),
        (
            b"PK\x03\x04zip".to_vec(),
            "not a file in MaxMind's DB format",
        ),
        (whole[..whole.len() / 2].to_vec(), "its end is missing"),
        (
            mmdb("ASN", EPOCH, 6, &[("8.0.0.0/8", text("organization", "x"))]),
            "\"ASN\" holds no country",
        ),
        (mmdb("Empty", EPOCH, 6, &[]), "\"Empty\" holds no country"),
    ] {
        let said = error(content).to_string();
        assert!(said.contains(expected), "{said}");
        assert!(said.starts_with("test.mmdb: "), "{said}");
    }
    let missing = CountryFile::open(Path::new("no/such.mmdb")).unwrap_err();
    assert!(matches!(missing, CountryFileError::Unreadable { .. }));
}

#[test]
fn no_cut_and_no_changed_byte_panics() {
    let whole = odd_file();
    for length in 0..whole.len() {
        assert!(
            CountryFile::decode(whole[..length].to_vec(), Path::new("cut")).is_err(),
            "{length}"
        );
    }
    let metadata = whole
        .windows(MARKER.len())
        .position(|window| window == MARKER)
        .unwrap();
    let mut damaged = 0;
    for position in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[position] ^= 1 << bit;
            match CountryFile::decode(changed, Path::new("changed")) {
                Ok(file) => {
                    let _ = file.lookup("8.8.8.8".parse().unwrap());
                    let _ = file.lookup("2001:4860::1".parse().unwrap());
                }
                Err(CountryFileError::Damaged { .. }) if position < metadata => damaged += 1,
                Err(_) => {}
            }
        }
    }
    assert!(damaged > 0, "no change of the tree or data was noticed");
}

#[test]
fn libmaxminddb_reads_the_same_from_our_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "odd.mmdb", &odd_file());
    let countries = Countries::from_file_or_embedded(Some(&path)).unwrap();
    for (address, expected) in [
        ("8.8.8.8", "IS"),
        ("193.0.6.139", "NZ"),
        ("2001:4860:4860::8888", "FJ"),
    ] {
        let ours = countries.lookup(address.parse().unwrap()).unwrap();
        assert_eq!(ours.as_str(), expected);
        let Ok(theirs) = Command::new("mmdblookup")
            .arg("--file")
            .arg(&path)
            .args(["--ip", address, "country", "iso_code"])
            .output()
        else {
            return skip(
                "geoip: libmaxminddb",
                "mmdblookup is not installed (mmdb-bin)",
            );
        };
        let theirs = String::from_utf8(theirs.stdout).unwrap();
        assert!(theirs.contains(&format!("\"{expected}\"")), "{theirs}");
    }
}

#[test]
fn every_output_shows_the_countries_and_the_name_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "odd.mmdb", &odd_file());
    let events = folder.path().join("events.jsonl");
    let replay = |format: &str| {
        let output = avscope()
            .args(["replay", "--quiet", "--format", format, "--geoip"])
            .arg(&path)
            .arg("--events")
            .arg(&events)
            .arg(pcaps().join("demo.pcap"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let report: Json = serde_json::from_str(&replay("json")).unwrap();
    assert_eq!(report["country_dataset"]["name"], "Odd-Country");
    assert_eq!(report["country_dataset"]["build_date"], "2024-02-29");
    let exposures = report["exposures"].as_array().unwrap();
    assert!(!exposures.is_empty());
    for exposure in exposures {
        for country in exposure["server_countries"].as_array().unwrap() {
            let country = country.as_str().unwrap();
            assert!(["IS", "NZ", "FJ"].contains(&country), "{exposure}");
        }
    }
    let lines = std::fs::read_to_string(&events).unwrap();
    let mut servers = 0;
    for line in lines.lines() {
        let line: Json = serde_json::from_str(line).unwrap();
        if let Some(server) = line["avscope"].get("server") {
            servers += 1;
            assert_eq!(server["country_dataset"], "Odd-Country 2024-02-29");
        }
    }
    assert!(servers > 0);
    assert!(replay("table").contains("by Odd-Country of 2024-02-29"));

    let explained = avscope()
        .args(["explain", "8.8.8.8", "--geoip"])
        .arg(&path)
        .output()
        .unwrap();
    let explained = String::from_utf8(explained.stdout).unwrap();
    assert!(
        explained.contains("IS, by Odd-Country of 2024-02-29"),
        "{explained}"
    );
}

#[test]
fn a_wrong_file_ends_the_program_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.jsonl");
    let output = avscope()
        .args(["replay", "--events"])
        .arg(&events)
        .arg("--geoip")
        .arg(pcaps().join("demo.pcap"))
        .arg(pcaps().join("demo.pcap"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("demo.pcap: not a file in MaxMind's DB format"),
        "{said}"
    );
    assert!(!events.exists());
}
