//! MISP JSON in, candidates out: one event, an answer with several, or a warning list.

use serde_json::Value;

use super::facts::day;
use super::{Candidate, Facts, ImportError, Read, indicator};
use crate::attribute::PatternKind;

/// Reads events or a warning list.
///
/// # Errors
/// Where the text is no JSON, or neither.
pub fn read(text: &str) -> Result<Read, ImportError> {
    let whole: Value = serde_json::from_str(text)?;
    let mut read = Read::default();
    if let Some(list) = whole.get("list").and_then(Value::as_array) {
        read.title = text_of(&whole, "name").map(str::to_owned);
        for (number, value) in (1..).zip(list) {
            match value.as_str() {
                Some(value) => read.add_value(format!("entry {number}"), value, Facts::default()),
                None => read.pass("entries that are no text"),
            }
        }
        return Ok(read);
    }
    let response = whole.get("response").unwrap_or(&whole);
    let events: Vec<&Value> = match response.as_array() {
        Some(several) => several.iter().collect(),
        None => vec![response],
    };
    let events: Vec<&Value> = events
        .into_iter()
        .filter_map(|event| event.get("Event"))
        .collect();
    if events.is_empty() {
        return Err(ImportError::Shape(
            "neither an \"Event\" of MISP, nor a \"response\" with several, nor a warning list with a \"list\"",
        ));
    }
    for event in events {
        if read.title.is_none() {
            read.title = text_of(event, "info").map(str::to_owned);
        }
        attributes(event, &mut read);
        for object in array(event, "Object") {
            attributes(object, &mut read);
        }
    }
    Ok(read)
}

fn attributes(holder: &Value, read: &mut Read) {
    for attribute in array(holder, "Attribute") {
        let (Some(kind), Some(value)) = (text_of(attribute, "type"), text_of(attribute, "value"))
        else {
            read.pass("attributes without type or value");
            continue;
        };
        if attribute
            .get("deleted")
            .is_some_and(|deleted| deleted == &Value::Bool(true))
        {
            read.pass("deleted attributes");
            continue;
        }
        let at = text_of(attribute, "uuid").map_or_else(
            || format!("attribute {value:?}"),
            |uuid| format!("attribute {uuid}"),
        );
        let (facts, said) = facts(attribute);
        typed(kind, value, said.as_deref(), at, facts, read);
    }
}

/// Facts that tags of ours and the attribute itself give, and the kind of pattern that a tag says.
fn facts(attribute: &Value) -> (Facts, Option<String>) {
    let mut facts = Facts::default();
    let mut kind = None;
    for tag in array(attribute, "Tag") {
        let own = text_of(tag, "name").and_then(|name| name.strip_prefix("avscope:"));
        let Some((key, value)) = own.and_then(|own| own.split_once('=')) else {
            continue;
        };
        let value = unquoted(value);
        if key == "kind" {
            kind = Some(value);
        } else {
            facts.set(key, &value);
        }
    }
    if let Some(comment) = text_of(attribute, "comment") {
        if kind.is_some() {
            for line in comment.lines() {
                if let Some((word @ ("note" | "source"), said)) = line.split_once(": ") {
                    facts.set(word, said);
                }
            }
        } else {
            facts.set("note", comment);
        }
    }
    // When something was seen is not when a fact holds, except where we wrote it ourselves.
    if kind.is_some() {
        facts.valid_from = text_of(attribute, "first_seen").and_then(day);
        facts.valid_until = text_of(attribute, "last_seen").and_then(day);
    }
    (facts, kind)
}

/// The value of a machine tag: without its quotes, and without the backslashes before quotes and backslashes.
fn unquoted(value: &str) -> String {
    let inner = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    let mut characters = inner.unwrap_or(value).chars();
    let mut text = String::new();
    while let Some(character) = characters.next() {
        text.extend(match character {
            '\\' => characters.next(),
            other => Some(other),
        });
    }
    text
}

fn typed(
    kind: &str,
    value: &str,
    said: Option<&str>,
    at: String,
    mut facts: Facts,
    read: &mut Read,
) {
    let name = |text: &str| (PatternKind::Name, text.to_owned());
    let first = || value.split_once('|').unwrap_or((value, "")).0;
    let network = |text: &str| {
        let text =
            indicator::network(text).map_or_else(|| text.to_owned(), |network| network.to_string());
        (PatternKind::Network, text)
    };
    // A text that is compared as a whole; a star in it is a star.
    let whole = |text: &str| text.replace('\\', "\\\\").replace('*', "\\*");
    let (kind, text) = match (kind, said) {
        ("hostname" | "domain", _) | ("pattern-in-traffic", Some("name")) => name(value),
        ("domain|ip" | "hostname|port", _) => {
            if kind == "hostname|port" {
                facts.set("port", value.split_once('|').unwrap_or_default().1);
            }
            name(first())
        }
        ("ip-dst", _) => network(value),
        ("ip-dst|port", _) => {
            facts.set("port", value.split_once('|').unwrap_or_default().1);
            network(first())
        }
        ("url" | "AS", _) => return read.add_value(at, value, facts),
        ("user-agent", _) => (PatternKind::UserAgent, whole(value)),
        ("uri", _) => (PatternKind::Uri, whole(value)),
        ("pattern-in-traffic", Some("user_agent")) => (PatternKind::UserAgent, value.to_owned()),
        ("pattern-in-traffic", Some("uri")) => (PatternKind::Uri, value.to_owned()),
        (other, _) => {
            // Types come from a closed list of MISP's; a file may hold anything.
            let other: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
            return read.pass(format!("attributes of type {other}"));
        }
    };
    read.add(Candidate {
        at,
        kind,
        text,
        facts,
    });
}

fn text_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn array<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

    use super::*;

    #[test]
    fn attributes_of_an_event_and_of_its_objects_are_read() {
        let event = r#"{"response":[{"Event":{"info":"A list","Attribute":[
            {"type":"hostname","value":"U.Vendor.example","comment":"seen","Tag":[{"name":"tlp:clear"}]},
            {"type":"md5","value":"d41d8cd98f00b204e9800998ecf8427e"},
            {"type":"hostname","value":"gone.example","deleted":true}],
            "Object":[{"Attribute":[{"type":"ip-dst|port","value":"203.0.113.9|443"}]}]}}]}"#;
        let found = read(event).unwrap();
        assert_eq!(found.title.as_deref(), Some("A list"));
        assert_eq!(found.candidates.len(), 2);
        assert_eq!(found.candidates[0].facts.note.as_deref(), Some("seen"));
        assert_eq!(found.candidates[1].text, "203.0.113.9/32");
        assert_eq!(found.candidates[1].facts.ports, [443]);
        assert_eq!(found.passed.get("attributes of type md5"), Some(&1));
        assert!(read("{}").is_err() && read("no").is_err());
    }

    #[test]
    fn a_warning_list_is_a_list() {
        let found =
            read(r#"{"name":"L","type":"hostname","list":[".a.example","b.example",3]}"#).unwrap();
        assert_eq!((found.candidates.len(), found.passed.len()), (2, 1));
    }
}
