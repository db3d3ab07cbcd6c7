//! What differs between two rule sets in; tables for people out.

use std::io::Write;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

use super::difference::{Counts, Difference, ExposureSide, SubjectKind, Verdict};
use crate::report::Style;

/// Writes the tables.
pub fn write_table(
    difference: &Difference,
    style: Style,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    for (word, side) in [("before", &difference.before), ("after", &difference.after)] {
        writeln!(out, "{word}: {} ({})", side.rules, side.ruleset)?;
    }
    counts("flows", &difference.flows, out)?;
    counts("questions", &difference.questions, out)?;
    if difference.is_empty() {
        return writeln!(out, "Nothing is judged otherwise.");
    }
    if !difference.attributions.is_empty() {
        let mut table = new(style);
        table.set_header(["", "what", "name", "count", "bytes", "before", "after"]);
        for line in &difference.attributions {
            let what = match line.subject {
                SubjectKind::Flow => "flow",
                SubjectKind::Question => "question",
            };
            table.add_row([
                Cell::new(line.change.as_str()),
                Cell::new(what),
                Cell::new(&line.name),
                number(line.count),
                number(line.initiator_bytes + line.responder_bytes),
                Cell::new(line.before.as_ref().map(verdict).unwrap_or_default()),
                Cell::new(line.after.as_ref().map(verdict).unwrap_or_default()),
            ]);
        }
        writeln!(
            out,
            "\nFlows and questions that are judged otherwise\n{table}"
        )?;
    }
    if !difference.exposures.is_empty() {
        let mut table = new(style);
        table.set_header(["", "host", "vendor", "product", "engine", "before", "after"]);
        for line in &difference.exposures {
            let host = match &line.site {
                Some(site) => format!("{site}: {}", line.host),
                None => line.host.to_string(),
            };
            table.add_row([
                line.change.as_str().to_owned(),
                host,
                line.vendor.clone(),
                line.product.clone().unwrap_or_default(),
                line.engine.clone().unwrap_or_default(),
                line.before.as_ref().map(exposure).unwrap_or_default(),
                line.after.as_ref().map(exposure).unwrap_or_default(),
            ]);
        }
        writeln!(out, "\nExposures that come to something else\n{table}")?;
    }
    Ok(())
}

fn new(style: Style) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(style.width);
    table
}

fn number(number: u64) -> Cell {
    Cell::new(number).set_alignment(CellAlignment::Right)
}

fn counts(word: &str, counts: &Counts, out: &mut dyn Write) -> std::io::Result<()> {
    let Counts {
        total,
        attributed_before,
        attributed_after,
        added,
        gone,
        changed,
    } = counts;
    writeln!(
        out,
        "{word}: {total}, attributed {attributed_before} before and {attributed_after} after; added {added}, gone {gone}, changed {changed}"
    )
}

fn verdict(verdict: &Verdict) -> String {
    let mut text = format!("{} ({})", verdict.vendor, verdict.vendor_seat);
    if let Some(product) = &verdict.product {
        text = format!("{text}, {product}");
    }
    if let (Some(engine), Some(seat)) = (&verdict.engine, verdict.engine_seat) {
        text = format!("{text}, engine {engine} ({seat})");
    }
    format!(
        "{text}, {}, {}\n{} {}",
        verdict.purpose, verdict.confidence, verdict.rule_id, verdict.rule_version
    )
}

fn exposure(side: &ExposureSide) -> String {
    let purposes: Vec<&str> = side
        .purposes
        .iter()
        .map(|purpose| purpose.as_str())
        .collect();
    format!(
        "{}, {}, {}: {}\n{} flows, {} bytes out, {} in\n{}",
        side.verdict,
        side.contact,
        side.confidence,
        purposes.join(" "),
        side.flows,
        side.bytes_out,
        side.bytes_in,
        side.rule_ids.join(" ")
    )
}
