//! A bundle of STIX 2.1 in, the values that its indicators ask for out.

use serde_json::Value;

use super::facts::day;
use super::stix_pattern::{self, Asked};
use super::{Candidate, Facts, ImportError, Read, indicator};
use crate::attribute::PatternKind;

pub use super::stix_pattern::fuzz_stix_pattern;

/// Reads a bundle, or a single indicator.
///
/// # Errors
/// Where the text is no JSON, or neither.
pub fn read(text: &str) -> Result<Read, ImportError> {
    let whole: Value = serde_json::from_str(text)?;
    let mut read = Read::default();
    let objects = match (text_of(&whole, "type"), whole.get("objects")) {
        (Some("bundle"), Some(Value::Array(objects))) => objects.iter().collect(),
        (Some("indicator"), _) => vec![&whole],
        _ => return Err(ImportError::Shape("no bundle of STIX 2.1 with \"objects\"")),
    };
    for object in objects {
        match text_of(object, "type") {
            Some("indicator") => indicator_of(object, &mut read),
            // Who says it, not what is said.
            Some("identity" | "marking-definition" | "relationship" | "extension-definition") => {}
            Some(other) => {
                let other: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
                read.pass(format!("objects of type {other}"));
            }
            None => read.pass("objects without a type"),
        }
    }
    Ok(read)
}

fn indicator_of(object: &Value, read: &mut Read) {
    if object
        .get("revoked")
        .is_some_and(|revoked| revoked == &Value::Bool(true))
    {
        return read.pass("revoked indicators");
    }
    if text_of(object, "pattern_type").is_some_and(|kind| kind != "stix") {
        return read.pass("indicators whose pattern is not in STIX's own language");
    }
    let Some(pattern) = text_of(object, "pattern") else {
        return read.pass("indicators without a pattern");
    };
    let id = text_of(object, "id").unwrap_or("indicator");
    match stix_pattern::read(pattern) {
        Ok(asked) => {
            for asked in asked {
                add(asked, id, object, read);
            }
        }
        Err(reason) => read.pass(reason),
    }
}

fn add(asked: Asked, id: &str, object: &Value, read: &mut Read) {
    let mut facts = Facts {
        valid_from: text_of(object, "valid_from").and_then(day),
        valid_until: text_of(object, "valid_until").and_then(day),
        ports: asked.port.into_iter().collect(),
        ..Facts::default()
    };
    // When an indicator is valid from says when it was made, and nothing of the time before.
    if facts.valid_until.is_none() {
        facts.valid_from = None;
    }
    let note = text_of(object, "description").or_else(|| text_of(object, "name"));
    facts.set("note", note.unwrap_or_default());
    let at = id.to_owned();
    match asked.kind {
        None => read.add_value(at, &asked.text, facts),
        Some(PatternKind::Network) => {
            let text =
                indicator::network(&asked.text).map_or(asked.text, |network| network.to_string());
            let kind = PatternKind::Network;
            read.add(Candidate {
                at,
                kind,
                text,
                facts,
            });
        }
        Some(kind) => read.add(Candidate {
            at,
            kind,
            text: asked.text,
            facts,
        }),
    }
}

fn text_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

    use super::*;

    #[test]
    fn indicators_are_read_and_the_rest_is_counted() {
        let bundle = r#"{"type":"bundle","id":"bundle--1","objects":[
            {"type":"indicator","id":"indicator--1","pattern_type":"stix","pattern":"[domain-name:value = 'u.vendor.example']","valid_from":"2026-01-01T00:00:00Z"},
            {"type":"indicator","id":"indicator--2","pattern_type":"stix","pattern":"[file:name = 'x']"},
            {"type":"indicator","id":"indicator--3","pattern_type":"snort","pattern":"alert"},
            {"type":"indicator","id":"indicator--4","revoked":true,"pattern":"[domain-name:value = 'old.example']"},
            {"type":"identity","id":"identity--1"},{"type":"malware","id":"malware--1"}]}"#;
        let found = read(bundle).unwrap();
        assert_eq!(found.candidates.len(), 1);
        assert_eq!(
            (
                found.candidates[0].at.as_str(),
                found.candidates[0].facts.valid_from
            ),
            ("indicator--1", None)
        );
        assert_eq!(found.passed.values().sum::<u64>(), 4);
        assert!(read("{\"type\":\"report\"}").is_err());
    }
}
