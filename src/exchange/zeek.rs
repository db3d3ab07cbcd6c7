//! Patterns in, a file for Zeek's Intelligence Framework out.
//!
//! The framework compares whole indicators: it knows no wildcards, no globs and no paths without a host.

use std::fmt::Write as _;

use super::{Item, LeftOut, Selected};
use crate::attribute::{Glob, PatternKind};

/// The text of an intelligence file.
pub fn write(selected: &Selected<'_>) -> (String, LeftOut) {
    let mut left_out = LeftOut::default();
    let mut text = String::from(
        "#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\tmeta.url\tmeta.do_notice\n",
    );
    for item in &selected.items {
        match indicator(item) {
            Ok((indicator, kind)) => {
                let _ = writeln!(
                    text,
                    "{indicator}\t{kind}\tavscope\t{}; rule {} {}, {}, indicates {}, {} confidence\t{}\tF",
                    plain(&item.words()),
                    item.rule.id,
                    item.rule.version,
                    item.vendor.id,
                    item.rule.indicates,
                    item.rule.confidence,
                    item.source_url().map_or_else(|| "-".to_owned(), plain),
                );
                left_out.written += 1;
            }
            Err(reason) => left_out.add(reason),
        }
    }
    (left_out.notes).push(
        "load with: redef Intel::read_files += { \"FILE\" }; and policy/frameworks/intel/seen"
            .to_owned(),
    );
    (text, left_out)
}

fn indicator(item: &Item<'_>) -> Result<(String, &'static str), &'static str> {
    match item.kind {
        PatternKind::Name if item.text.starts_with("*.") => {
            Err("wildcards of names: the Intelligence Framework compares whole names")
        }
        PatternKind::Name => Ok((item.text.to_owned(), "Intel::DOMAIN")),
        PatternKind::UserAgent => match Glob::parse(item.text).as_ref().map(Glob::parts) {
            // A tab would end the field.
            Ok([whole]) if !whole.contains(&b'\t') => Ok((
                String::from_utf8_lossy(whole).into_owned(),
                "Intel::SOFTWARE",
            )),
            _ => Err("User-Agents with stars: the Intelligence Framework compares whole texts"),
        },
        PatternKind::Uri => Err("URIs: an Intel::URL has a host, and these rules have none"),
        PatternKind::Network => match item.text.parse::<ipnet::IpNet>() {
            Ok(network) if network.prefix_len() == network.max_prefix_len() => {
                Ok((network.addr().to_string(), "Intel::ADDR"))
            }
            _ => Ok((item.text.to_owned(), "Intel::SUBNET")),
        },
        PatternKind::Asn => Err("autonomous systems: the Intelligence Framework has no such type"),
    }
}

fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
