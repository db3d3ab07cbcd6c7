//! Patterns in, a table with everything that is known of each out.

use super::{Item, LeftOut, Selected};
use crate::attribute::PatternKind;

/// The columns, in their order.
pub const COLUMNS: &[&str] = &[
    "kind",
    "pattern",
    "vendor",
    "legal_name",
    "seat",
    "product",
    "purpose",
    "serves",
    "engine_vendor",
    "engine_seat",
    "engine_relation",
    "indicates",
    "confidence",
    "rule",
    "version",
    "ports",
    "protocols",
    "valid_from",
    "valid_until",
    "checked",
    "source_class",
    "source",
    "note",
];

/// The word for a kind of pattern.
pub const fn kind_word(kind: PatternKind) -> &'static str {
    match kind {
        PatternKind::Name => "name",
        PatternKind::UserAgent => "user_agent",
        PatternKind::Uri => "uri",
        PatternKind::Network => "network",
        PatternKind::Asn => "asn",
    }
}

/// The text of the table: RFC 4180, with a header.
///
/// # Errors
/// Where the writer fails, which a writer into memory does not.
pub fn write(selected: &Selected<'_>) -> Result<(String, LeftOut), csv::Error> {
    let mut left_out = LeftOut::default();
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(COLUMNS)?;
    for item in &selected.items {
        table.write_record(row(item))?;
        left_out.written += 1;
    }
    let bytes = table
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)?;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), left_out))
}

fn row(item: &Item<'_>) -> [String; 23] {
    let rule = item.rule;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let joined = |words: Vec<String>| words.join(" ");
    let day = |day: Option<crate::attribute::ValidityDate>| {
        day.map(|day| day.to_string()).unwrap_or_default()
    };
    [
        kind_word(item.kind).to_owned(),
        item.text.to_owned(),
        item.vendor.id.clone(),
        item.vendor.legal_name.clone(),
        item.vendor.jurisdiction.to_string(),
        text(&rule.product),
        rule.purpose.to_string(),
        text(&rule.serves),
        (item.engine)
            .map(|(vendor, _)| vendor.id.clone())
            .unwrap_or_default(),
        (item.engine)
            .map(|(vendor, _)| vendor.jurisdiction.to_string())
            .unwrap_or_default(),
        (item.engine)
            .map(|(_, relation)| relation.to_string())
            .unwrap_or_default(),
        rule.indicates.to_string(),
        rule.confidence.to_string(),
        rule.id.clone(),
        rule.version.to_string(),
        joined(rule.ports.iter().map(ToString::to_string).collect()),
        joined(rule.protocols.iter().map(ToString::to_string).collect()),
        day(rule.valid_from),
        day(rule.valid_until),
        rule.checked.to_string(),
        rule.source_class.to_string(),
        rule.source.clone(),
        text(&rule.note),
    ]
}
