//! The organisation in the subject of a server's certificate → whose it is.

use std::collections::HashMap;

use crate::attribute::{Ruleset, VendorId};

/// Organisations by which exactly one vendor is known.
pub(super) fn organisations(rules: &Ruleset) -> HashMap<String, VendorId> {
    let mut found: HashMap<String, Option<VendorId>> = HashMap::new();
    for vendor in rules.vendors() {
        for certificate in &vendor.certificates {
            found
                .entry(certificate.organisation.clone())
                .and_modify(|known| *known = None)
                .or_insert(Some(vendor.number));
        }
    }
    found
        .into_iter()
        .filter_map(|(name, vendor)| Some((name, vendor?)))
        .collect()
}

/// The organisation in the subject of a certificate, `C=CH, O=Example, CN=example.org`. A comma inside it is written `\\,`.
pub(super) fn organisation(subject: &[u8]) -> Option<String> {
    let subject = std::str::from_utf8(subject).ok()?;
    let begin = subject
        .match_indices("O=")
        .find(|(at, _)| {
            *at == 0
                || subject
                    .get(..*at)
                    .is_some_and(|before| before.ends_with(", "))
        })?
        .0;
    let rest = subject.get(begin + 2..)?;
    let mut name = String::new();
    let mut characters = rest.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => name.extend(characters.next()),
            ',' if characters.peek() == Some(&' ') && next_is_attribute(characters.clone()) => {
                break;
            }
            other => name.push(other),
        }
    }
    Some(name)
}

/// Whether what follows a comma begins another attribute, as ` CN=`.
fn next_is_attribute(rest: impl Iterator<Item = char>) -> bool {
    let word: String = rest
        .skip(1)
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '=')
        .collect();
    word.split_once('=')
        .is_some_and(|(key, _)| !key.is_empty() && key.chars().all(|c| c.is_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_organisation_is_found_with_commas_and_without() {
        for (subject, expected) in [
            ("C=CH, O=Example, CN=example.org", Some("Example")),
            ("O=ESET, spol. s r.o., CN=x", Some("ESET, spol. s r.o.")),
            ("C=SK, O=ESET\\, spol. s r.o.", Some("ESET, spol. s r.o.")),
            ("CN=a.example, OU=O=X", None),
            ("CN=example.org", None),
            ("", None),
        ] {
            assert_eq!(
                organisation(subject.as_bytes()).as_deref(),
                expected,
                "{subject}"
            );
        }
    }
}
