//! Patterns in, a response policy zone out.
//!
//! A zone is a tree, and its wildcards are those of DNS ([RFC 4592 §2.2]): `*.x` says nothing about a name whose own label, or one above it,
//! stands in the zone. Ours mean every name under `x` that nothing more specific means. So every name that patterns put into the
//! tree gets its own record and its own wildcard, where one of our wildcards means it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::selection::parents;
use super::{LeftOut, Selected};
use crate::attribute::{PatternKind, RuleId};

/// Longest name in text form without the final dot.
const NAME_MAX: usize = 253;

/// What a resolver does where a name of the zone is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answers as without the zone; a resolver that logs shows who asked.
    Passthru,
    /// There is no such name.
    NxDomain,
    /// The name has no record of that type.
    NoData,
    /// No answer at all.
    Drop,
}

impl Action {
    const fn target(self) -> &'static str {
        match self {
            Self::Passthru => "rpz-passthru.",
            Self::NxDomain => ".",
            Self::NoData => "*.",
            Self::Drop => "rpz-drop.",
        }
    }
}

/// Name, serial number and action of the zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name, without the final dot.
    pub origin: String,
    /// Serial number; `None`: the day on which a source was last looked at.
    pub serial: Option<u32>,
    /// What happens to names in it.
    pub action: Action,
}

/// Who decides about an owner name of the zone.
#[derive(Clone, Copy)]
enum Entry<'a> {
    /// A pattern that was chosen: its rule and its text.
    Chosen(RuleId, &'a str),
    /// A pattern that was not, under a wildcard that was.
    Exempt(&'a str),
}

/// The text of the zone.
pub fn write(selected: &Selected<'_>, zone: &Zone) -> (String, LeftOut) {
    let mut left_out = LeftOut::default();
    let mut entries = BTreeMap::new();
    let mut networks = String::new();
    let room = NAME_MAX.saturating_sub(zone.origin.len() + 1);
    for item in &selected.items {
        match item.kind {
            PatternKind::Name if item.text.len() > room => {
                left_out.add("names too long to stand under the zone's name");
                continue;
            }
            PatternKind::Name => {
                let entry = Entry::Chosen(item.rule.number, item.text);
                entries.insert(item.text.to_owned(), entry);
            }
            PatternKind::Network => {
                if let Ok(network) = item.text.parse() {
                    let owner = rpz_ip(network);
                    record(
                        &mut networks,
                        &owner,
                        zone.action,
                        &about(selected, item.rule.number, item.text),
                    );
                }
            }
            PatternKind::UserAgent | PatternKind::Uri => {
                left_out.add("User-Agents and URIs: a resolver does not see them");
                continue;
            }
            PatternKind::Asn => {
                left_out.add("autonomous systems: a zone has networks only");
                continue;
            }
        }
        left_out.written += 1;
    }
    exempt(selected, zone.action, &mut entries, &mut left_out);
    let repeated = complete(selected, room, &mut entries);
    let mut text = head(selected, zone);
    for (owner, entry) in &entries {
        match *entry {
            Entry::Chosen(rule, pattern) => {
                record(
                    &mut text,
                    owner,
                    zone.action,
                    &about(selected, rule, pattern),
                );
            }
            Entry::Exempt(rule) => {
                let comment = format!("not chosen: rule {rule}");
                record(&mut text, owner, Action::Passthru, &comment);
            }
        }
    }
    text.push_str(&networks);
    left_out.notes.push(format!(
        "{repeated} records repeat a wildcard beside a more specific name, because a wildcard of DNS says nothing there"
    ));
    (left_out.notes).push(match zone.action {
        Action::Passthru => "every record is rpz-passthru: names are logged and answered, and later policy zones do not apply to them".to_owned(),
        _ => "the zone blocks, as asked for; that is no recommendation: a product that cannot be reached by its updates protects nobody".to_owned(),
    });
    (text, left_out)
}

fn head(selected: &Selected<'_>, zone: &Zone) -> String {
    let newest = selected.items.iter().map(|item| item.rule.checked).max();
    let of_day = newest.map_or(1, |day| {
        (u32::from(day.year) * 10_000 + u32::from(day.month) * 100 + u32::from(day.day)) * 100
    });
    let serial = zone.serial.unwrap_or(of_day);
    let origin = &zone.origin;
    format!(
        "; avscope: names that products of security vendors contact; rule set {}.\n\
         ; This is no recommendation to block. To log only, whatever the records say:\n\
         ;   response-policy {{ zone \"{origin}\" policy disabled log yes; }};\n\
         $ORIGIN {origin}.\n\
         $TTL 3600\n\
         @\tSOA\tlocalhost. nobody.invalid. {serial} 86400 3600 2592000 3600\n\
         @\tNS\tlocalhost.\n",
        selected.rules.digest()
    )
}

fn record(text: &mut String, owner: &str, action: Action, comment: &str) {
    let target = action.target();
    let _ = writeln!(text, "{owner}\tCNAME\t{target} ; {comment}");
}

fn about(selected: &Selected<'_>, rule: RuleId, pattern: &str) -> String {
    let rule = selected.rules.rule(rule);
    let vendor = selected.rules.vendor(rule.vendor);
    let engine = rule.engine.map_or_else(String::new, |engine| {
        let engine = selected.rules.vendor(engine.vendor);
        format!(" engine={} engine_seat={}", engine.id, engine.jurisdiction)
    });
    format!(
        "vendor={} seat={}{engine} purpose={} indicates={} confidence={} rule={} pattern={pattern}",
        vendor.id, vendor.jurisdiction, rule.purpose, rule.indicates, rule.confidence, rule.id
    )
}

/// Patterns that were not chosen take names out of wildcards that were.
fn exempt<'a>(
    selected: &Selected<'a>,
    action: Action,
    entries: &mut BTreeMap<String, Entry<'a>>,
    left_out: &mut LeftOut,
) {
    let wildcards: BTreeSet<String> = (entries.keys())
        .filter_map(|owner| owner.strip_prefix("*.").map(str::to_owned))
        .collect();
    let mut logged = 0;
    for item in &selected.others {
        let base = item.text.strip_prefix("*.").unwrap_or(item.text);
        let under = parents(base).any(|parent| wildcards.contains(parent));
        if item.kind != PatternKind::Name || !under || entries.contains_key(item.text) {
            continue;
        }
        // A record that lets names pass is what everything else has, too.
        if action == Action::Passthru {
            logged += 1;
        } else {
            entries.insert(item.text.to_owned(), Entry::Exempt(&item.rule.id));
        }
    }
    if logged > 0 {
        left_out.notes.push(format!(
            "{logged} patterns that were not chosen lie under wildcards that were: their names are logged as well"
        ));
    }
}

/// Gives every name in the tree what a wildcard above it means for it and for names under it. Returns how many records that took.
fn complete<'a>(
    selected: &Selected<'a>,
    room: usize,
    entries: &mut BTreeMap<String, Entry<'a>>,
) -> usize {
    let mut nodes = BTreeSet::new();
    for owner in entries.keys() {
        let base = owner.strip_prefix("*.").unwrap_or(owner);
        nodes.extend(
            std::iter::once(base)
                .chain(parents(base))
                .map(str::to_owned),
        );
    }
    let before = entries.len();
    for node in nodes {
        let under = format!("any-name-at-all.{node}");
        for (owner, asked) in [(node.clone(), &node), (format!("*.{node}"), &under)] {
            if entries.contains_key(&owner) || owner.len() > room {
                continue;
            }
            if let Some((rule, pattern)) = selected.deciding(asked)
                && selected.has(rule)
            {
                entries.insert(owner, Entry::Chosen(rule, pattern));
            }
        }
    }
    entries.len() - before
}

/// The owner name for addresses in answers: length and parts of the network in reverse, the longest run of zeros as `zz`.
fn rpz_ip(network: ipnet::IpNet) -> String {
    match network {
        ipnet::IpNet::V4(network) => {
            let [a, b, c, d] = network.network().octets();
            format!("{}.{d}.{c}.{b}.{a}.rpz-ip", network.prefix_len())
        }
        ipnet::IpNet::V6(network) => {
            let words = network.network().segments();
            let mut best = 0..0;
            let mut start = 0;
            for (at, word) in words.iter().enumerate() {
                if *word != 0 {
                    start = at + 1;
                } else if at + 1 - start > best.len() {
                    best = start..at + 1;
                }
            }
            let mut labels = vec![network.prefix_len().to_string()];
            let mut at = words.len();
            while at > 0 {
                at -= 1;
                if best.len() > 1 && best.end == at + 1 {
                    labels.push("zz".to_owned());
                    at = best.start;
                } else {
                    labels.push(format!("{:x}", words.get(at).copied().unwrap_or_default()));
                }
            }
            labels.push("rpz-ip".to_owned());
            labels.join(".")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

    use super::*;

    #[test]
    fn networks_stand_in_reverse() {
        let of = |text: &str| rpz_ip(text.parse().unwrap());
        assert_eq!(of("203.0.113.0/24"), "24.0.113.0.203.rpz-ip");
        assert_eq!(of("2001:db8::/32"), "32.zz.db8.2001.rpz-ip");
        assert_eq!(of("2001:db8::1/128"), "128.1.zz.db8.2001.rpz-ip");
    }
}
