//! A plan in, the texts of rule files out.
//!
//! A file of the user's own replaces the built-in file of the same vendor whole. So what is added to a vendor that is known is added to
//! a copy of all that is known of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::plan::{Added, Group, Options, Plan};
use crate::attribute::{Glob, NamePattern, PatternKind, RuleFiles};
use crate::model::CountryCode;

/// By name of the file, its text; `base` is what is known so far.
pub fn files(plan: &Plan, base: &RuleFiles, options: &Options) -> BTreeMap<String, String> {
    let files = plan.added.iter().map(|(vendor, added)| {
        let known = base.files().iter().find(|file| file.vendor_id() == vendor);
        let mut text = match known {
            Some(file) => format!("{}\n", file.text.trim_end()),
            None => head(vendor, added, options),
        };
        rules(vendor, added, options, &mut text);
        (format!("{vendor}.toml"), text)
    });
    files.collect()
}

fn head(vendor: &str, added: &[Added], options: &Options) -> String {
    let first = |of: &dyn Fn(&Added) -> Option<String>| added.iter().find_map(of);
    let legal_name = options
        .legal_name
        .clone()
        .or_else(|| first(&|added| added.vendor.0.clone()));
    let seat: Option<CountryCode> = options
        .seat
        .or_else(|| added.iter().find_map(|added| added.vendor.1));
    format!(
        "format = 1\n\n[vendor]\nid = {}\nlegal_name = {}\njurisdiction = {}\n",
        quoted(vendor),
        quoted(&legal_name.unwrap_or_default()),
        quoted(seat.as_ref().map_or("", CountryCode::as_str)),
    )
}

fn rules(vendor: &str, added: &[Added], options: &Options, text: &mut String) {
    let mut groups: BTreeMap<&Group, Vec<&Added>> = BTreeMap::new();
    for pattern in added {
        groups.entry(&pattern.group).or_default().push(pattern);
    }
    // Names of tables that the text has already.
    let free = |wanted: String, text: &str, form: &dyn Fn(&str) -> String| {
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        let mut names = std::iter::once(wanted.clone()).chain(numbered);
        names
            .find(|name| !text.contains(&form(name)))
            .unwrap_or(wanted)
    };
    let mut sources: BTreeMap<Option<&str>, String> = BTreeMap::new();
    for group in groups.keys() {
        let cited = group.source.as_deref();
        if sources.contains_key(&cited) {
            continue;
        }
        let key = free("import".to_owned(), text, &|name| {
            format!("[sources.{name}]")
        });
        let title = match cited {
            Some(cited) => format!("{cited} (as {} says)", options.title),
            None => options.title.clone(),
        };
        let _ = write!(
            text,
            "\n[sources.{key}]\ntitle = {}\nversion = {}\n",
            quoted(&title),
            quoted(&options.version)
        );
        sources.insert(cited, key);
    }
    for (group, patterns) in groups {
        let wanted = group.rule.clone();
        let wanted = wanted.unwrap_or_else(|| format!("{vendor}.{}.imported", group.purpose));
        let id = free(wanted, text, &|id| format!("id = {}\n", quoted(id)));
        let source = sources
            .get(&group.source.as_deref())
            .map_or("", String::as_str);
        rule(&id, group, &patterns, source, options, text);
    }
}

fn rule(
    id: &str,
    group: &Group,
    patterns: &[&Added],
    source: &str,
    options: &Options,
    text: &mut String,
) {
    let _ = write!(text, "\n[[rule]]\nid = {}\nversion = 1\n", quoted(id));
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "{key} = {value}");
    };
    line("purpose", quoted(group.purpose.as_str()));
    for (key, value) in [("product", &group.product), ("serves", &group.serves)] {
        if let Some(value) = value {
            line(key, quoted(value));
        }
    }
    for (key, kind) in [
        ("patterns", PatternKind::Name),
        ("user_agents", PatternKind::UserAgent),
        ("uris", PatternKind::Uri),
        ("networks", PatternKind::Network),
    ] {
        let texts = of_kind(patterns, kind);
        if !texts.is_empty() {
            line(key, list(texts.into_iter().map(quoted)));
        }
    }
    let systems = of_kind(patterns, PatternKind::Asn);
    if !systems.is_empty() {
        let numbers = systems
            .into_iter()
            .map(|text| text.trim_start_matches("AS").to_owned());
        line("asns", list(numbers));
    }
    if !group.ports.is_empty() {
        line("ports", list(group.ports.iter().map(ToString::to_string)));
    }
    if !group.protocols.is_empty() {
        line(
            "protocols",
            list(
                group
                    .protocols
                    .iter()
                    .map(|protocol| quoted(protocol.as_str())),
            ),
        );
    }
    if let Some((vendor, relation)) = &group.engine {
        line(
            "engine",
            format!(
                "{{ vendor = {}, relation = {} }}",
                quoted(vendor),
                quoted(relation.as_str())
            ),
        );
    }
    line("indicates", quoted(group.indicates.as_str()));
    line("confidence", quoted(group.confidence.as_str()));
    line("source", quoted(source));
    line("source_class", quoted(options.source_class.as_str()));
    line("checked", options.checked.to_string());
    for (key, day) in [
        ("valid_from", group.valid_from),
        ("valid_until", group.valid_until),
    ] {
        if let Some(day) = day {
            line(key, day.to_string());
        }
    }
    if let Some(note) = &group.note {
        line("note", quoted(note));
    }
    let samples: Vec<String> = patterns
        .iter()
        .filter_map(|pattern| sample(pattern))
        .take(3)
        .collect();
    if !samples.is_empty() {
        let _ = writeln!(
            text,
            "[rule.samples]\nmatch = {}",
            list(samples.into_iter())
        );
    }
}

/// Something that the rule must judge: it exercises the rule and proves nothing.
fn sample(pattern: &Added) -> Option<String> {
    let (key, value) = match pattern.kind {
        PatternKind::Name => ("name", NamePattern::parse(&pattern.text).ok()?.probe()),
        PatternKind::UserAgent => ("user_agent", probe(&pattern.text)?),
        PatternKind::Uri => ("uri", probe(&pattern.text)?),
        PatternKind::Network | PatternKind::Asn => return None,
    };
    Some(format!("{{ {key} = {} }}", quoted(&value)))
}

fn probe(glob: &str) -> Option<String> {
    String::from_utf8(Glob::parse(glob).ok()?.probe()).ok()
}

fn of_kind<'a>(patterns: &[&'a Added], kind: PatternKind) -> BTreeSet<&'a str> {
    let of_kind = patterns.iter().filter(|pattern| pattern.kind == kind);
    of_kind.map(|pattern| pattern.text.as_str()).collect()
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
