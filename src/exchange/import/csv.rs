//! A table, or a plain list with one value a line, in; candidates out.
//!
//! A table has a header in which one column is called `pattern`, `indicator`, `value`, `domain`, `hostname`, `name`, `ip` or `url`. The other columns are
//! those that the export writes; each may be missing, others are passed over.

use super::{Candidate, Facts, ImportError, Read};
use crate::attribute::PatternKind;

/// Names of the column that has the patterns, the first that is there.
const PATTERN_COLUMNS: &[&str] = &[
    "pattern",
    "indicator",
    "value",
    "domain",
    "hostname",
    "name",
    "ip",
    "url",
];

/// Reads a table or a plain list.
///
/// # Errors
/// Where the text is no table.
pub fn read(text: &str) -> Result<Read, ImportError> {
    let mut read = Read::default();
    let mut table = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(::csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut header: Option<Vec<String>> = None;
    let mut first = true;
    for record in table.records() {
        let record = record?;
        let line = record.position().map_or(0, |at| line_of(text, at));
        if std::mem::take(&mut first) {
            let names: Vec<String> = record.iter().map(str::to_ascii_lowercase).collect();
            if names
                .iter()
                .any(|name| PATTERN_COLUMNS.contains(&name.as_str()))
            {
                header = Some(names);
                continue;
            }
        }
        row(&record, header.as_deref(), line, &mut read);
    }
    Ok(read)
}

/// The line on which a record begins: its position is before the comments and empty lines that were passed over.
fn line_of(text: &str, at: &::csv::Position) -> u64 {
    let rest = usize::try_from(at.byte())
        .ok()
        .and_then(|from| text.get(from..));
    let passed = rest
        .unwrap_or_default()
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with('#'));
    at.line() + passed.count() as u64
}

fn row(record: &::csv::StringRecord, header: Option<&[String]>, line: u64, read: &mut Read) {
    let at = format!("line {line}");
    let Some(header) = header else {
        match record.iter().next() {
            Some(value) if !value.is_empty() => read.add_value(at, value, Facts::default()),
            _ => {}
        }
        return;
    };
    let mut facts = Facts::default();
    let mut kind = None;
    for (name, value) in header.iter().zip(record) {
        match name.as_str() {
            "kind" => kind = Some(value),
            name if !PATTERN_COLUMNS.contains(&name) => facts.set(name, value),
            _ => {}
        }
    }
    let pattern = PATTERN_COLUMNS.iter().find_map(|wanted| {
        let column = header.iter().position(|name| name == wanted)?;
        record.get(column).filter(|value| !value.is_empty())
    });
    let Some(pattern) = pattern else {
        read.pass("lines without a pattern");
        return;
    };
    let kind = match kind {
        None | Some("") => return read.add_value(at, pattern, facts),
        Some("name") => PatternKind::Name,
        Some("user_agent") => PatternKind::UserAgent,
        Some("uri") => PatternKind::Uri,
        Some("network") => PatternKind::Network,
        Some("asn") => PatternKind::Asn,
        Some(_) => return read.pass("lines of a kind that is not known"),
    };
    let text = pattern.to_owned();
    read.add(Candidate {
        at,
        kind,
        text,
        facts,
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

    use super::*;

    #[test]
    fn a_plain_list_has_one_value_a_line() {
        let list =
            read("# a list\nupdate.vendor.example\n\n203.0.113.0/24\nhttps://a.vendor.example/x\n")
                .unwrap();
        let texts: Vec<_> = list
            .candidates
            .iter()
            .map(|found| (found.at.as_str(), found.text.as_str()))
            .collect();
        assert_eq!(
            texts,
            [
                ("line 2", "update.vendor.example"),
                ("line 4", "203.0.113.0/24"),
                ("line 5", "a.vendor.example")
            ]
        );
        assert_eq!(list.passed.len(), 1);
    }

    #[test]
    fn a_table_says_what_each_value_is() {
        let text = "Indicator,kind,vendor,purpose\nAcmeUpdate/*,user_agent,acme,update\nx.example,colour,acme,\n,name,acme,\n";
        let table = read(text).unwrap();
        assert_eq!(table.candidates.len(), 1);
        assert_eq!(table.candidates[0].kind, PatternKind::UserAgent);
        assert_eq!(table.candidates[0].facts.vendor.as_deref(), Some("acme"));
        assert_eq!(table.passed.values().sum::<u64>(), 2);
    }
}
