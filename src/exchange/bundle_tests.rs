#![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

use super::*;

const ACME: &str =
    "format = 1\n[vendor]\nid = \"acme\"\nlegal_name = \"Acme\"\njurisdiction = \"CH\"\n";

fn files(path: &str, text: &str) -> Vec<(String, String)> {
    vec![(path.to_owned(), text.to_owned())]
}

fn key() -> SecretKey {
    SecretKey::generate().unwrap()
}

#[test]
fn a_bundle_comes_back_as_it_was() {
    let key = key();
    let two = [
        files("vendors/acme.toml", ACME),
        files("policies/own.toml", "format = 1\n"),
    ]
    .concat();
    let bytes = write(&two, 7, &key).unwrap();
    let bundle = read(&bytes, &[self::key().public(), key.public()]).unwrap();
    assert_eq!(bundle.header.version, 7);
    assert_eq!(bundle.files.len(), 2);
    assert!(bundle.files.contains(&two[0]) && bundle.files.contains(&two[1]));
    assert_eq!(
        write(&two, 7, &key).unwrap(),
        bytes,
        "the same files, the same bytes"
    );
}

#[test]
fn no_changed_byte_and_no_missing_byte_is_accepted() {
    let key = key();
    let bytes = write(&files("vendors/acme.toml", ACME), 1, &key).unwrap();
    let trusted = [key.public()];
    for at in 0..bytes.len() {
        for change in [0x01, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            assert!(read(&changed, &trusted).is_err(), "byte {at}");
        }
        assert!(read(&bytes[..at], &trusted).is_err(), "cut at {at}");
    }
    assert!(read(&[&bytes[..], b"\n"].concat(), &trusted).is_err());
    assert!(read(&bytes, &trusted).is_ok());
}

#[test]
fn another_key_is_not_trusted() {
    let bytes = write(&files("vendors/acme.toml", ACME), 1, &key()).unwrap();
    let refused = read(&bytes, &[key().public()]).unwrap_err();
    assert!(
        matches!(refused, BundleError::Signature { .. }),
        "{refused}"
    );
    assert!(read(&bytes, &[]).is_err());
}

#[test]
fn rules_that_do_not_compile_are_neither_signed_nor_read() {
    let broken = write(&files("vendors/acme.toml", "format = 1\n"), 1, &key()).unwrap_err();
    assert!(broken.to_string().contains("vendor"), "{broken}");
    // Signed by somebody who did not look.
    let key = key();
    let text = "format = 1\n[vendor]\n";
    let header = Header {
        version: 1,
        digest: String::new(),
        key: key.public().id(),
        files: vec![Entry {
            path: "vendors/acme.toml".to_owned(),
            bytes: text.len() as u64,
            sha256: hex(&Sha256::digest(text)),
        }],
    };
    let refused = read(&signed(&header, text, &key), &[key.public()]).unwrap_err();
    assert!(matches!(refused, BundleError::Rules(_)), "{refused}");
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let key = key();
    for path in [
        "../acme.toml",
        "/etc/acme.toml",
        "vendors/../acme.toml",
        "vendors/x/acme.toml",
        "vendors/acme.sh",
        "vendors/.toml",
        "vendors//acme.toml",
        "Vendors/acme.toml",
        "",
    ] {
        let header = Header {
            version: 1,
            digest: String::new(),
            key: key.public().id(),
            files: vec![Entry {
                path: path.to_owned(),
                bytes: 0,
                sha256: hex(&Sha256::digest("")),
            }],
        };
        let refused = read(&signed(&header, "", &key), &[key.public()]).unwrap_err();
        assert!(
            matches!(refused, BundleError::Path { .. }),
            "{path:?}: {refused}"
        );
    }
}

fn signed(header: &Header, content: &str, key: &SecretKey) -> Vec<u8> {
    let head = format!("{MAGIC}\n{}\n", serde_json::to_string(header).unwrap());
    let signature = BASE64.encode(key.sign(head.as_bytes()));
    format!("{head}{signature}\n{content}").into_bytes()
}
