//! Patterns in, one MISP event out, as its JSON import takes it.
//!
//! Whole names are `hostname`, networks `ip-dst`, systems `AS`, whole User-Agents and paths `user-agent` and `uri`. MISP has no type for
//! wildcards: they are `pattern-in-traffic`, and the tag `avscope:kind` says what is compared with them.
//! No attribute is marked for detection (`to_ids`): a contact is no attack.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::csv::kind_word;
use super::{Item, LeftOut, Selected};
use crate::attribute::{Glob, PatternKind, ValidityDate};

/// Characters of a tag that MISP's database keeps.
const TAG_MAX: usize = 255;

/// The text of the event.
pub fn write(selected: &Selected<'_>) -> (String, LeftOut) {
    let mut left_out = LeftOut::default();
    let newest = selected.items.iter().map(|item| item.rule.checked).max();
    let day = newest.unwrap_or(ValidityDate {
        year: 1970,
        month: 1,
        day: 1,
    });
    let timestamp = unix_seconds(day).to_string();
    let mut cut = 0;
    let mut attributes = Vec::with_capacity(selected.items.len());
    for item in &selected.items {
        let attribute = attribute(item, &timestamp);
        let tags = attribute["Tag"].as_array().into_iter().flatten();
        let long = |tag: &&Value| {
            tag["name"]
                .as_str()
                .is_some_and(|name| name.chars().count() > TAG_MAX)
        };
        cut += tags.filter(long).count();
        attributes.push(attribute);
        left_out.written += 1;
    }
    let event = json!({ "Event": {
        "uuid": uuid(&["event", selected.rules.digest()]),
        "info": format!("avscope: what products of security vendors contact; rule set {}", selected.rules.digest()),
        "date": day.to_string(),
        "timestamp": timestamp,
        "threat_level_id": "4",
        "analysis": "2",
        "distribution": "0",
        "published": false,
        "Tag": [tag("tlp:clear")],
        "Attribute": attributes,
    }});
    (left_out.notes).push("no attribute has to_ids: a contact is no attack".to_owned());
    if cut > 0 {
        left_out.notes.push(format!(
            "{cut} tags are longer than the {TAG_MAX} characters that MISP keeps"
        ));
    }
    (format!("{event:#}\n"), left_out)
}

fn attribute(item: &Item<'_>, timestamp: &str) -> Value {
    let rule = item.rule;
    let (kind, value) = typed(item);
    let mut tags = vec![
        own_tag("kind", kind_word(item.kind)),
        own_tag("rule", &rule.id),
        own_tag("version", &rule.version.to_string()),
        own_tag("vendor", &item.vendor.id),
        own_tag("legal_name", &item.vendor.legal_name),
        own_tag("seat", &item.vendor.jurisdiction.to_string()),
        own_tag("purpose", rule.purpose.as_str()),
        own_tag("indicates", rule.indicates.as_str()),
        own_tag("confidence", rule.confidence.as_str()),
        own_tag("source_class", rule.source_class.as_str()),
        own_tag("checked", &rule.checked.to_string()),
    ];
    if let Some((engine, relation)) = item.engine {
        tags.push(own_tag("engine_vendor", &engine.id));
        tags.push(own_tag("engine_seat", &engine.jurisdiction.to_string()));
        tags.push(own_tag("engine_relation", relation.as_str()));
    }
    for (key, text) in [("product", &rule.product), ("serves", &rule.serves)] {
        if let Some(text) = text {
            tags.push(own_tag(key, text));
        }
    }
    for port in &rule.ports {
        tags.push(own_tag("port", &port.to_string()));
    }
    for protocol in &rule.protocols {
        tags.push(own_tag("protocol", protocol.as_str()));
    }
    let mut attribute = json!({
        "uuid": uuid(&[&rule.id, kind_word(item.kind), item.text]),
        "type": kind,
        "category": "Network activity",
        "value": value,
        "to_ids": false,
        "distribution": "5",
        "timestamp": timestamp,
        "comment": comment(item),
        "Tag": tags,
    });
    for (key, day) in [
        ("first_seen", rule.valid_from),
        ("last_seen", rule.valid_until),
    ] {
        if let Some(day) = day {
            attribute[key] = format!("{day}T00:00:00.000000+00:00").into();
        }
    }
    attribute
}

/// The type of MISP that means the same, and the value in its form.
fn typed(item: &Item<'_>) -> (&'static str, String) {
    let pattern = || ("pattern-in-traffic", item.text.to_owned());
    // A glob without a star is a text once its escapes are gone.
    let whole = |kind| match Glob::parse(item.text).as_ref().map(Glob::parts) {
        Ok([whole]) => (kind, String::from_utf8_lossy(whole).into_owned()),
        _ => pattern(),
    };
    match item.kind {
        PatternKind::Name if item.text.starts_with("*.") => pattern(),
        PatternKind::Name => ("hostname", item.text.to_owned()),
        PatternKind::UserAgent => whole("user-agent"),
        PatternKind::Uri => whole("uri"),
        PatternKind::Network => ("ip-dst", item.text.to_owned()),
        PatternKind::Asn => ("AS", item.text.to_owned()),
    }
}

/// Lines, each with its word: notes and citations are longer than a tag may be.
fn comment(item: &Item<'_>) -> String {
    let mut text = item.words();
    let note = item.rule.note.as_ref().map(|note| ("note", note));
    for (word, said) in note.into_iter().chain([("source", &item.rule.source)]) {
        let _ = write!(text, "\n{word}: {}", said.replace('\n', " "));
    }
    text
}

/// A machine tag of ours; a backslash stands before quotes and backslashes.
fn own_tag(key: &str, value: &str) -> Value {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    tag(&format!("avscope:{key}=\"{value}\""))
}

fn tag(name: &str) -> Value {
    json!({ "name": name })
}

/// A UUID that follows from its parts (RFC 9562, version 8): the same pattern is the same attribute in every export.
fn uuid(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    let (head, _) = digest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
    let mut bits = u128::from_be_bytes(*head);
    bits = bits & !(0xf << 76) | (8 << 76);
    bits = bits & !(0x3 << 62) | (2 << 62);
    let hex = format!("{bits:032x}");
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    groups
        .map(|group| hex.get(group).unwrap_or_default())
        .join("-")
}

/// Midnight in UTC at the start of a day; the days since 1970 of the Gregorian calendar.
fn unix_seconds(day: ValidityDate) -> u64 {
    let month = u64::from(day.month);
    let year = u64::from(day.year) - u64::from(month <= 2);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + u64::from(day.day) - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    days.saturating_sub(719_468) * 86_400
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_seconds_as_they_became_days() {
        for seconds in (0..4_102_444_800_u64).step_by(86_400 * 13) {
            let day = ValidityDate::of_unix_seconds(seconds);
            assert_eq!(unix_seconds(day), seconds, "{day}");
        }
    }

    #[test]
    fn a_uuid_has_version_and_variant_and_follows_from_its_parts() {
        let one = uuid(&["a", "bc"]);
        assert_ne!(one, uuid(&["ab", "c"]));
        assert_eq!(one, uuid(&["a", "bc"]));
        assert_eq!(&one[14..15], "8");
        assert!(matches!(&one[19..20], "8" | "9" | "a" | "b"), "{one}");
    }
}
