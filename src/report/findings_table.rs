//! Findings for a terminal.

use std::io::Write;

use comfy_table::{Cell, Color};

use super::Summary;
use super::findings::{ClockView, FindingView, PolicyInForce};
use super::table::{Style, heading, new_table};
use crate::policy::{Basis, ClockStart, DISCLAIMER, DayKind, Outcome};

/// Findings in the table; the JSON lists all.
const FINDINGS_SHOWN: usize = 200;

/// Writes the section on policies; where none is in force it says how one comes to be.
pub fn findings(summary: &Summary, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    let findings = &summary.findings;
    if findings.in_force.is_empty() {
        return Ok(());
    }
    heading(
        out,
        style,
        "What this indicates under the policies you declared",
    )?;
    if findings.list.is_empty() {
        writeln!(
            out,
            "  Nothing seen is of a vendor or an engine that they are about."
        )?;
    } else {
        rows(&findings.list, style, out)?;
    }
    for policy in &findings.in_force {
        in_force(policy, out)?;
    }
    if findings.refused > 0 {
        writeln!(
            out,
            "  WARNING: {} findings found no room in the list; raise findings_max under [organisation]. They are counted.",
            findings.refused
        )?;
    }
    writeln!(out, "  {DISCLAIMER}")
}

fn rows(list: &[FindingView], style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    let header = [
        "result",
        "policy",
        "host",
        "vendor (seat), engine (seat)",
        "why",
        "finding",
    ];
    let mut table = new_table(style, &header);
    for finding in list.iter().take(FINDINGS_SHOWN) {
        let site = finding.site.iter().map(|site| format!("\nat {site}"));
        let mut result = Cell::new(format!("{}\n{}", finding.result, finding.severity));
        if style.colour {
            result = result.fg(match finding.result {
                Outcome::Indicates => Color::Red,
                Outcome::Undetermined => Color::Yellow,
                Outcome::Exempt | Outcome::NotApplicable => Color::DarkGrey,
            });
        }
        table.add_row(vec![
            result,
            Cell::new(&finding.policy),
            Cell::new(format!("{}{}", finding.host, site.collect::<String>())),
            Cell::new(whose(finding)),
            Cell::new(why(finding)),
            Cell::new(&finding.id),
        ]);
    }
    writeln!(out, "{table}")?;
    if let Some(more) = list
        .len()
        .checked_sub(FINDINGS_SHOWN)
        .filter(|more| *more > 0)
    {
        writeln!(out, "  and {more} more; --format json lists them.")?;
    }
    Ok(())
}

fn whose(finding: &FindingView) -> String {
    let mut text = format!("{} ({})", finding.vendor, finding.vendor_seat);
    if let Some(product) = &finding.product {
        text.push('\n');
        text.push_str(product);
    }
    if let Some(engine) = &finding.engine {
        let inside = format!(
            "\nwith {} of {} ({}) inside",
            engine.relation, engine.vendor, engine.vendor_seat
        );
        text.push_str(&inside);
    }
    text
}

fn why(finding: &FindingView) -> String {
    let mut lines = vec![format!(
        "{}; {}, {}, {}",
        finding.explanation, finding.verdict, finding.contact, finding.confidence
    )];
    lines.extend(
        finding
            .exemptions
            .iter()
            .map(|text| format!("exemption: {text}")),
    );
    lines.join("\n")
}

fn in_force(policy: &PolicyInForce, out: &mut dyn Write) -> std::io::Result<()> {
    let basis = match policy.basis {
        Basis::Named => "named, whatever roles are declared",
        Basis::Role => "a declared role is bound",
        Basis::Adopted => "taken over by the configuration",
        Basis::Own => "your own",
    };
    let read = policy
        .read
        .map_or(String::new(), |read| format!(", {read}"));
    writeln!(
        out,
        "  {}: {} ({}, {basis}{read})",
        policy.id, policy.title, policy.kind
    )?;
    let mut said = vec![];
    if !policy.cite.is_empty() {
        said.push(policy.cite.join("; "));
    }
    said.extend(policy.clocks.iter().map(clock));
    // Questions stand here once and not with every finding.
    if policy.results.indicates + policy.results.undetermined > 0 {
        said.extend(
            policy
                .questions
                .iter()
                .map(|question| format!("To be answered: {question}")),
        );
    }
    for line in said {
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

fn clock(clock: &ClockView) -> String {
    let days = match clock.kind {
        DayKind::BusinessUsFederal => "business days",
        DayKind::Calendar => "days",
    };
    let start = match clock.starts {
        ClockStart::Identification => "a person identified it (avscope finding identify)",
        ClockStart::FirstReport => "the first report",
    };
    format!("{} {days} after {start}: {}", clock.days, clock.what)
}
