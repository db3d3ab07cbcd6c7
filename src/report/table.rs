//! The summary for a terminal.

use std::io::Write;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table};

use super::{ExposureView, Summary};
use crate::aggregate::Traffic;
use crate::model::{Confidence, CountryCode, Coverage, EvidenceKind, Locality};

/// How the table is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Columns of the terminal.
    pub width: u16,
    /// Whether colours and bold may be used.
    pub colour: bool,
}

/// Names listed in a row of the table; the JSON lists more.
const NAMES_SHOWN: usize = 3;

/// Writes the whole report.
pub fn write_table(summary: &Summary, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    let (web, products): (Vec<_>, Vec<_>) = summary
        .exposures
        .iter()
        .partition(|exposure| exposure.web_only);
    heading(out, style, "Who talks to which security vendor")?;
    if products.is_empty() {
        writeln!(
            out,
            "  No flow of a home host showed a name that the rules know. What could not be seen is listed below."
        )?;
    } else {
        exposures(&products, style, out)?;
    }
    if !web.is_empty() {
        heading(
            out,
            style,
            "Visits to vendors' web sites (no evidence of an installed product)",
        )?;
        exposures(&web, style, out)?;
    }
    heading(
        out,
        style,
        "Where the outbound bytes went, and what could not be seen",
    )?;
    coverage(summary, style, out)?;
    heading(out, style, "Does it add up")?;
    for equation in &summary.conservation.equations {
        writeln!(
            out,
            "  {} {equation}",
            if equation.holds() { "ok " } else { "NOT" }
        )?;
    }
    notes(summary, style, out)
}

fn heading(out: &mut dyn Write, style: Style, text: &str) -> std::io::Result<()> {
    if style.colour {
        writeln!(out, "\n\x1b[1m{text}\x1b[0m")
    } else {
        writeln!(out, "\n{text}")
    }
}

fn new_table(style: Style, header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(style.width)
        .set_header(header.iter().map(Cell::new));
    if !style.colour {
        table.force_no_tty();
    }
    table
}

fn exposures(
    exposures: &[&ExposureView],
    style: Style,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let header = [
        "host",
        "vendor (seat)",
        "product",
        "engine inside",
        "purpose × flows",
        "server in",
        "network operator",
        "sent",
        "received",
        "evidence",
        "sure",
    ];
    let mut table = new_table(style, &header);
    let mut previous = None;
    for exposure in exposures {
        // A host with several vendors is named once: the eye finds it faster.
        let host = if previous == Some(exposure.host) {
            String::new()
        } else {
            exposure.host.to_string()
        };
        previous = Some(exposure.host);
        let engine = exposure.engine.as_ref().map_or_else(
            || "–".to_owned(),
            |engine| format!("{} ({})", engine.vendor, engine.vendor_seat),
        );
        let mut row = vec![
            Cell::new(host),
            Cell::new(format!("{} ({})", exposure.vendor, exposure.vendor_seat)),
            Cell::new(exposure.product.as_deref().unwrap_or("not known")),
            Cell::new(engine),
            Cell::new(lines(
                exposure
                    .purposes
                    .iter()
                    .map(|(purpose, count)| format!("{purpose} × {count}")),
            )),
            Cell::new(lines(
                exposure
                    .server_countries
                    .iter()
                    .map(|country| or_unknown(*country)),
            )),
            Cell::new(operators(exposure)),
            Cell::new(bytes(exposure.bytes_out)).set_alignment(CellAlignment::Right),
            Cell::new(bytes(exposure.bytes_in)).set_alignment(CellAlignment::Right),
            Cell::new(evidence(exposure)),
        ];
        row.push(sure(exposure.confidence, style));
        if style.colour && exposure.engine.is_some() {
            row[3] = row[3].clone().fg(Color::Yellow);
        }
        table.add_row(row);
    }
    writeln!(out, "{table}")
}

fn sure(confidence: Confidence, style: Style) -> Cell {
    let cell = Cell::new(confidence);
    match (style.colour, confidence) {
        (false, _) => cell,
        (true, Confidence::High) => cell.fg(Color::Green),
        (true, Confidence::Medium) => cell.fg(Color::Yellow),
        (true, Confidence::Low) => cell.fg(Color::DarkGrey),
    }
}

fn operators(exposure: &ExposureView) -> String {
    if exposure.operators.is_empty() {
        return "not known".to_owned();
    }
    lines(
        exposure
            .operators
            .iter()
            .map(|(name, country)| format!("{name} ({})", or_unknown(*country))),
    )
}

fn evidence(exposure: &ExposureView) -> String {
    let mut shown: Vec<String> = exposure
        .evidence
        .iter()
        .take(NAMES_SHOWN)
        .map(|sighting| format!("{} {}", sighting.kind, sighting.value))
        .collect();
    let hidden = exposure.evidence.len().saturating_sub(NAMES_SHOWN) as u64 + exposure.more_names;
    if hidden > 0 {
        shown.push(format!("and {hidden} more"));
    }
    if exposure.ech_offered {
        shown.push("ECH offered: the name may be a cover".to_owned());
    }
    shown.join("\n")
}

fn lines(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("\n")
}

fn or_unknown(country: Option<CountryCode>) -> String {
    country.map_or_else(|| "unknown".to_owned(), |country| country.to_string())
}

fn coverage(summary: &Summary, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    let total = summary.bytes.total(Locality::Outbound);
    let mut table = new_table(
        style,
        &["outbound", "flows", "sent", "received", "share of bytes"],
    );
    let mut add = |name: String, traffic: Traffic| {
        if traffic.packets > 0 {
            table.add_row(vec![
                Cell::new(name),
                Cell::new(traffic.flows).set_alignment(CellAlignment::Right),
                Cell::new(bytes(traffic.bytes_out)).set_alignment(CellAlignment::Right),
                Cell::new(bytes(traffic.bytes_in)).set_alignment(CellAlignment::Right),
                Cell::new(share(traffic.bytes(), total.bytes()))
                    .set_alignment(CellAlignment::Right),
            ]);
        }
    };
    for kind in EvidenceKind::ALL {
        add(
            format!("attributed by {kind}"),
            summary.bytes.attributed_by(*kind),
        );
    }
    for bucket in Coverage::ALL
        .iter()
        .filter(|bucket| **bucket != Coverage::Attributed)
    {
        let prefix = if *bucket == Coverage::NamedNotSecurity {
            ""
        } else {
            "unattributed: "
        };
        add(
            format!("{prefix}{bucket}"),
            summary.bytes.cell(Locality::Outbound, *bucket),
        );
    }
    add("all outbound".to_owned(), total);
    writeln!(out, "{table}")?;
    let (inside, transit) = (
        summary.bytes.total(Locality::HomeHome),
        summary.bytes.total(Locality::Transit),
    );
    writeln!(
        out,
        "  Beside it: {} between home hosts in {} flows, {} between outsiders in {} flows.",
        bytes(inside.bytes()),
        inside.flows,
        bytes(transit.bytes()),
        transit.flows
    )
}

fn notes(summary: &Summary, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    heading(out, style, "How to read this")?;
    let country = &summary.country_dataset;
    writeln!(
        out,
        "  seat: the vendor's legal seat, from the rules (ruleset {}).",
        summary.ruleset
    )?;
    writeln!(
        out,
        "  server in: country of the server address by {} of {}; databases often disagree.",
        country.name, country.build_date
    )?;
    writeln!(
        out,
        "  network operator: who announces the address, and where that operator is registered, by {} of {}.",
        summary.operator_dataset.name, summary.operator_dataset.build_date
    )?;
    writeln!(
        out,
        "  None of the three is derived from another. A name seen indicates a contact; it does not prove what is installed."
    )?;
    writeln!(
        out,
        "  Home networks: {}.",
        summary.home_networks.join(", ")
    )?;
    if summary.counters.attributed_without_home > 0 {
        writeln!(
            out,
            "  WARNING: {} attributed names were asked for by hosts outside the home networks and are not listed; name yours with --home-net.",
            summary.counters.attributed_without_home
        )?;
    }
    if summary.exposures_refused > 0 {
        writeln!(
            out,
            "  WARNING: {} sightings found no room among the exposures; raise --exposures-max.",
            summary.exposures_refused
        )?;
    }
    Ok(())
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        "–".to_owned()
    } else {
        format!("{:.1} %", part as f64 * 100.0 / whole as f64)
    }
}

/// Bytes in decimal units with three digits, as network people count.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value < 9.995 {
        2
    } else {
        usize::from(value < 99.95)
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (1_805_502_096, "1.81 GB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
