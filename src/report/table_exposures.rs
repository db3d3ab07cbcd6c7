//! Exposures as rows of a table: host, vendor, purposes, servers, bytes, evidence, and what it all indicates.

use std::io::Write;

use comfy_table::{Cell, CellAlignment, Color, ColumnConstraint, Width};

use super::ExposureView;
use super::summary::PurposeView;
use super::table::{Style, bytes, new_table};
use crate::aggregate::{Contacts, VerdictReason};
use crate::model::{Confidence, Contact, CountryCode};

/// Names listed in a row of the table; the JSON lists more.
const NAMES_SHOWN: usize = 3;

const COLUMNS: [&str; 7] = [
    "host",
    "vendor (seat), product",
    "purpose, flows",
    "server in: operator (registered in)",
    "sent ↑ received ↓",
    "evidence",
    "indicates, how sure",
];

/// Writes a row for each.
pub(super) fn exposures(
    exposures: &[&ExposureView],
    style: Style,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut table = new_table(style, &COLUMNS);
    let mut previous = None;
    let mut widest = [0; COLUMNS.len()];
    for exposure in exposures {
        // A host with several vendors is named once, and hosts stand apart: the eye finds them faster.
        let this = exposure.whose();
        let same_host = previous == Some(this);
        if previous.is_some() && !same_host {
            table.add_row(vec![Cell::new(""); COLUMNS.len()]);
        }
        previous = Some(this);
        let texts = [
            host(exposure, same_host),
            product(exposure),
            lines(exposure.purposes.iter().map(purpose)),
            servers(exposure),
            format!(
                "{} ↑\n{} ↓",
                bytes(exposure.bytes_out),
                bytes(exposure.bytes_in)
            ),
            evidence(exposure),
            indicates(exposure),
        ];
        for (widest, text) in widest.iter_mut().zip(&texts) {
            let width = text.lines().map(|line| line.chars().count()).max();
            *widest = width.unwrap_or(0).max(*widest);
        }
        let mut cells = texts.map(Cell::new);
        cells[4] = cells[4].clone().set_alignment(CellAlignment::Right);
        if style.colour {
            cells[6] = cells[6].clone().fg(sure(exposure.confidence));
            if exposure.engine.is_some() {
                cells[1] = cells[1].clone().fg(Color::Yellow);
            }
        }
        table.add_row(Vec::from(cells));
    }
    // What is hard to read when broken keeps its width, as far as there is room: addresses, purposes, then names.
    let share = |part: usize| usize::from(style.width) / part;
    let keep = [share(8).max(15), share(7), 18, share(7), 10, share(4), 20];
    for (number, (widest, keep)) in widest.into_iter().zip(keep).enumerate() {
        if let Some(column) = table.column_mut(number) {
            let width = Width::Fixed(widest.min(keep) as u16 + 2);
            column.set_constraint(ColumnConstraint::LowerBoundary(width));
        }
    }
    writeln!(out, "{table}")
}

/// The address, and what else tells the host; for whom it may speak stands at each of its exposures where it does.
fn host(exposure: &ExposureView, same_as_before: bool) -> String {
    let who = &exposure.who;
    let mut parts = Vec::new();
    if !same_as_before {
        parts.push(exposure.host.to_string());
        // The same address at two sites is two hosts, and so it is when it changes hands.
        parts.extend(exposure.site.iter().map(|site| format!("at {site}")));
        parts.extend(who.name.clone());
        parts.extend(who.mac.clone());
        let vlans: Vec<_> = who.vlans.iter().map(u16::to_string).collect();
        if !vlans.is_empty() {
            parts.push(format!("VLAN {}", vlans.join(", ")));
        }
        parts.extend(who.since.iter().map(|since| format!("since {since}")));
    }
    parts.extend(who.relay.iter().map(|relay| format!("as {}", relay.role)));
    parts.join("\n")
}

/// The vendor, the product, and whose engine works inside it.
fn product(exposure: &ExposureView) -> String {
    let mut parts = vec![
        format!("{} ({})", exposure.vendor, exposure.vendor_seat),
        exposure
            .product
            .clone()
            .unwrap_or_else(|| "product not known".to_owned()),
    ];
    if let Some(engine) = &exposure.engine {
        parts.push(if engine.vendor == exposure.vendor {
            // The engine's own cloud: its vendor's products call it, and so does everybody's that licenses it.
            "engine's cloud, also for others' products".to_owned()
        } else {
            format!(
                "with {} of {} ({}) inside",
                engine.relation, engine.vendor, engine.vendor_seat
            )
        });
    }
    parts.join("\n")
}

/// What was contacted, how often; and how often its name was asked for.
fn purpose(view: &PurposeView) -> String {
    let Contacts {
        contacts,
        questions,
    } = view.contacts;
    let text = match (contacts, questions) {
        (0, questions) => format!("{}, only asked for ×{questions}", view.purpose),
        (contacts, 0) => format!("{} ×{contacts}", view.purpose),
        (contacts, questions) => format!("{} ×{contacts}, asked for ×{questions}", view.purpose),
    };
    match view.interval {
        Some(interval) if interval.regular => {
            format!("{text}, every {}", duration(interval.median_seconds))
        }
        _ => text,
    }
}

/// The verdict; why, where it says little; whether anybody answered; how sure the best attribution is.
fn indicates(exposure: &ExposureView) -> String {
    let why = match exposure.verdict_reason {
        VerdictReason::SeenOnce => "\nseen on one occasion",
        VerdictReason::OthersReachItToo => "\nothers reach it too",
        VerdictReason::WeakEvidence => "\nevidence is weak",
        _ => "",
    };
    let verdict = exposure.verdict.as_str().replace('_', " ");
    let sure = exposure.confidence;
    match exposure.contact {
        Contact::Reached => format!("{verdict}{why}\nreached, {sure}"),
        Contact::Attempted => {
            let most = exposure.outcomes.iter().max_by_key(|(_, count)| **count);
            let most = most.map(|(outcome, _)| outcome.as_str().replace('_', " "));
            let most = most.as_deref().unwrap_or("no outcome yet");
            format!("{verdict}{why}\nattempted, {sure}\n({most})")
        }
    }
}

/// A length of time as people say it.
fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 120.0 => (s, "s"),
        s if s < 7200.0 => (s / 60.0, "min"),
        s if s < 172_800.0 => (s / 3600.0, "h"),
        s => (s / 86_400.0, "days"),
    };
    format!("{value:.0} {unit}")
}

fn sure(confidence: Confidence) -> Color {
    match confidence {
        Confidence::High => Color::Green,
        Confidence::Medium => Color::Yellow,
        Confidence::Low => Color::DarkGrey,
    }
}

/// Countries of the servers, and whose network they are in.
fn servers(exposure: &ExposureView) -> String {
    if exposure.only_asked_for {
        return "none seen".to_owned();
    }
    let countries: Vec<_> = exposure
        .server_countries
        .iter()
        .map(|country| or_unknown(*country))
        .collect();
    let operators: Vec<_> = exposure
        .operators
        .iter()
        .map(|(name, country)| format!("{name} ({})", or_unknown(*country)))
        .collect();
    let operators = if operators.is_empty() {
        "operator not known".to_owned()
    } else {
        operators.join(", ")
    };
    if countries.is_empty() {
        return "not seen, behind a proxy".to_owned();
    }
    format!("{}: {operators}", countries.join(", "))
}

/// The strongest fact for each name, the strongest kinds first; the JSON lists all.
fn evidence(exposure: &ExposureView) -> String {
    let mut facts: Vec<_> = exposure.evidence.iter().collect();
    facts.sort_by_key(|fact| fact.kind);
    let mut names = std::collections::HashSet::new();
    facts.retain(|fact| names.insert(&fact.value));
    let mut shown: Vec<String> = facts
        .iter()
        .take(NAMES_SHOWN)
        .map(|fact| format!("{} {}", fact.kind, fact.value))
        .collect();
    let hidden = facts.len().saturating_sub(NAMES_SHOWN);
    if exposure.unlisted_sightings > 0 {
        shown.push(format!("and more than {hidden} other names"));
    } else if hidden > 0 {
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
