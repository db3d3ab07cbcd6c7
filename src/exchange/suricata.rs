//! Patterns in, rules of Suricata out: one for each pattern and buffer.
//!
//! Several rules of Suricata may alert on one name where one rule of ours decides. So each wildcard names what more specific
//! patterns take out of it: at most one rule a buffer alerts on a name, with the verdict that avscope gives.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use sha2::{Digest as _, Sha256};

use super::{Item, LeftOut, Selected};
use crate::attribute::{Glob, PatternKind, Ruleset};

/// Longest content of a rule.
const CONTENT_MAX: usize = 255;

/// Where a name shows: protocol of the rule, buffer, and whether case has to be ignored. `http.host` is in lower case already, and
/// Suricata refuses `nocase` there.
const NAME_BUFFERS: &[(&str, &str, bool)] = &[
    ("tls", "tls.sni", true),
    ("quic", "quic.sni", true),
    ("http", "http.host", false),
    ("dns", "dns.query", true),
];

/// A range of numbers that cannot hold the rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rules} rules do not fit into {numbers} numbers; give a wider range")]
pub struct RangeTooSmall {
    /// Rules to be numbered.
    pub rules: usize,
    /// Numbers in the range.
    pub numbers: u64,
}

/// A rule without its number.
struct Unnumbered {
    /// What the number is made from.
    key: String,
    /// Text up to the number.
    head: String,
    version: u32,
    /// The rule of ours, for the comment above the first of it.
    comment: String,
}

/// The text of a rules file.
///
/// A number follows from rule, pattern and buffer; which rules were chosen has no part in it.
pub fn write(
    selected: &Selected<'_>,
    numbers: &RangeInclusive<u32>,
) -> Result<(String, LeftOut), RangeTooSmall> {
    let mut left_out = LeftOut::default();
    let mut rules = Vec::new();
    for item in &selected.items {
        let before = rules.len();
        match item.kind {
            PatternKind::Name => names(item, selected, &mut rules),
            PatternKind::UserAgent | PatternKind::Uri => {
                for buffer in buffers(item.kind) {
                    glob(item, buffer, selected, &mut rules);
                }
            }
            PatternKind::Network => network(item, selected, &mut rules),
            PatternKind::Asn => {
                left_out.add("autonomous systems: Suricata does not know who announces an address");
                continue;
            }
        }
        if rules.len() == before {
            left_out.add("User-Agents and URIs longer than a content may be");
        } else {
            left_out.written += 1;
        }
    }
    let numbered = numbers_of(selected.rules, numbers)?;
    let mut text = head(selected, rules.len());
    let mut last = "";
    for rule in &rules {
        let sid = numbered.get(&rule.key).copied().unwrap_or_default();
        if rule.comment != last {
            let _ = writeln!(text, "\n# {}", rule.comment);
            last = &rule.comment;
        }
        let _ = writeln!(text, "{} sid:{sid}; rev:{};)", rule.head, rule.version);
    }
    (left_out.notes).push(format!(
        "{} rules of Suricata; quic.sni needs Suricata 7 or later",
        rules.len()
    ));
    Ok((text, left_out))
}

fn head(selected: &Selected<'_>, rules: usize) -> String {
    format!(
        "# avscope: names, User-Agents, paths and networks that products of security vendors contact.\n\
         # A contact is no attack, and these rules are no recommendation to block.\n\
         # {rules} rules for Suricata 7 or later; rule set {}.\n",
        selected.rules.digest()
    )
}

fn names(item: &Item<'_>, selected: &Selected<'_>, rules: &mut Vec<Unnumbered>) {
    for &(protocol, buffer, ignore_case) in NAME_BUFFERS {
        let mut options = format!("{buffer}; ");
        name_content(&mut options, "", item.text, ignore_case);
        if let Some(base) = item.text.strip_prefix("*.") {
            for exception in selected.exceptions(base) {
                name_content(&mut options, "!", exception, ignore_case);
            }
        }
        let header = format!("alert {protocol} any any -> any any");
        rules.push(unnumbered(item, &header, buffer, &options));
    }
}

/// `*.x` is every name that ends with `.x`, and a bare name is the whole buffer.
fn name_content(options: &mut String, negation: &str, pattern: &str, ignore_case: bool) {
    let (content, whole) = match pattern.strip_prefix('*') {
        Some(zone) => (zone, ""),
        None => (pattern, "startswith; "),
    };
    let case = if ignore_case { "nocase; " } else { "" };
    let _ = write!(
        options,
        "content:{negation}\"{content}\"; {case}{whole}endswith; "
    );
}

fn glob(item: &Item<'_>, buffer: &str, selected: &Selected<'_>, rules: &mut Vec<Unnumbered>) {
    let Ok(parsed) = Glob::parse(item.text) else {
        return;
    };
    let parts = parsed.parts();
    if parts.iter().any(|part| part.len() > CONTENT_MAX) {
        return;
    }
    let mut options = format!("{buffer}; ");
    match parts {
        [whole] => content(&mut options, whole, "startswith; endswith; "),
        [start, end] if end.is_empty() => content(&mut options, start, "startswith; "),
        [start, end] if start.is_empty() => content(&mut options, end, "endswith; "),
        [start, middle, end] if start.is_empty() && end.is_empty() => {
            content(&mut options, middle, "");
        }
        _ => {
            // The longest text lets Suricata pass over most requests; the expression decides.
            if let Some(longest) = parts.iter().max_by_key(|part| part.len()) {
                content(&mut options, longest, "");
            }
            expression(&mut options, "", parts);
        }
    }
    for other in selected.items.iter().chain(&selected.others) {
        if other.kind != item.kind || other.rule.number == item.rule.number {
            continue;
        }
        if let Ok(other) = Glob::parse(other.text)
            && parsed.covers(&other)
        {
            expression(&mut options, "!", other.parts());
        }
    }
    rules.push(unnumbered(
        item,
        "alert http any any -> any any",
        buffer,
        &options,
    ));
}

/// Bytes beyond letters and digits in hexadecimal: nothing that has a meaning in rules is left.
fn content(options: &mut String, bytes: &[u8], position: &str) {
    options.push_str("content:\"");
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b' ') {
            options.push(char::from(byte));
        } else {
            let _ = write!(options, "|{byte:02x}|");
        }
    }
    let _ = write!(options, "\"; {position}");
}

fn expression(options: &mut String, negation: &str, parts: &[Vec<u8>]) {
    let _ = write!(options, "pcre:{negation}\"/^");
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            options.push_str(".*");
        }
        for &byte in part {
            if byte.is_ascii_alphanumeric() {
                options.push(char::from(byte));
            } else {
                let _ = write!(options, "\\x{byte:02x}");
            }
        }
    }
    options.push_str("\\z/s\"; ");
}

fn network(item: &Item<'_>, selected: &Selected<'_>, rules: &mut Vec<Unnumbered>) {
    let Ok(own) = item.text.parse::<ipnet::IpNet>() else {
        return;
    };
    let mut to = item.text.to_owned();
    for other in selected.items.iter().chain(&selected.others) {
        if other.kind == PatternKind::Network
            && other.rule.number != item.rule.number
            && let Ok(inner) = other.text.parse::<ipnet::IpNet>()
            && inner != own
            && own.contains(&inner)
        {
            let _ = write!(to, ",!{}", other.text);
        }
    }
    let header = format!("alert ip any any -> [{to}] any");
    // Once an hour for each host: such a rule would alert on every packet.
    let options = "threshold:type limit, track by_src, count 1, seconds 3600; ";
    rules.push(unnumbered(item, &header, "ip", options));
}

fn unnumbered(item: &Item<'_>, header: &str, buffer: &str, options: &str) -> Unnumbered {
    let rule = item.rule;
    let mut metadata = format!(
        "avscope_rule {}, avscope_vendor {}, avscope_seat {}, avscope_purpose {}, avscope_indicates {}, avscope_confidence {}",
        rule.id,
        item.vendor.id,
        item.vendor.jurisdiction,
        rule.purpose,
        rule.indicates,
        rule.confidence
    );
    if let Some((engine, relation)) = item.engine {
        let _ = write!(
            metadata,
            ", avscope_engine {}, avscope_engine_seat {}, avscope_engine_relation {relation}",
            engine.id, engine.jurisdiction
        );
    }
    for (key, day) in [("from", rule.valid_from), ("until", rule.valid_until)] {
        if let Some(day) = day {
            let _ = write!(metadata, ", avscope_valid_{key} {day}");
        }
    }
    Unnumbered {
        key: key(&rule.id, item.kind, item.text, buffer),
        head: format!(
            "{header} (msg:\"avscope {}\"; {options}metadata:{metadata};",
            plain(&item.words())
        ),
        version: rule.version,
        comment: format!("{} {}: {}", rule.id, rule.version, plain(&rule.source)),
    }
}

/// Without what has a meaning in rules.
fn plain(text: &str) -> String {
    let kept = |c: char| !matches!(c, ';' | '"' | '\\' | '|' | ':') && !c.is_control();
    text.chars()
        .map(|c| if kept(c) { c } else { ' ' })
        .collect()
}

/// A number for each rule of the whole set, chosen or not, by its key: from the hash of the key, and where that is taken the next
/// one that is free. So the choice moves no number, and a new rule hardly one.
fn numbers_of(
    rules: &Ruleset,
    numbers: &RangeInclusive<u32>,
) -> Result<HashMap<String, u32>, RangeTooSmall> {
    let (first, last) = (u64::from(*numbers.start()), u64::from(*numbers.end()));
    let size = (last + 1).saturating_sub(first);
    let mut keys: Vec<(u64, String)> = Vec::new();
    for rule in rules.rules() {
        for (kind, text) in rules.all_patterns_of(rule.number) {
            for buffer in buffers(kind) {
                let key = key(&rule.id, kind, text, buffer);
                keys.push((hash(&key), key));
            }
        }
    }
    if keys.len() as u64 > size {
        return Err(RangeTooSmall {
            rules: keys.len(),
            numbers: size,
        });
    }
    keys.sort_unstable();
    let mut taken = HashSet::new();
    let given = keys.into_iter().map(|(hash, key)| {
        let mut offset = hash % size;
        while !taken.insert(offset) {
            offset = (offset + 1) % size;
        }
        (key, (first + offset) as u32)
    });
    Ok(given.collect())
}

/// The buffers in which what a pattern means can stand.
fn buffers(kind: PatternKind) -> impl Iterator<Item = &'static str> {
    let (names, other) = match kind {
        PatternKind::Name => (NAME_BUFFERS, None),
        PatternKind::UserAgent => (&[][..], Some("http.user_agent")),
        // The path as it was sent, which is what rules are made for.
        PatternKind::Uri => (&[][..], Some("http.uri.raw")),
        PatternKind::Network => (&[][..], Some("ip")),
        PatternKind::Asn => (&[][..], None),
    };
    names.iter().map(|&(_, buffer, _)| buffer).chain(other)
}

fn key(rule: &str, kind: PatternKind, text: &str, buffer: &str) -> String {
    format!("{rule}\n{kind:?}\n{text}\n{buffer}")
}

fn hash(key: &str) -> u64 {
    let digest = Sha256::digest(key.as_bytes());
    let (head, _) = digest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*head)
}
