//! `avscope detectability`: what is known about whether a vendor, a product or an engine can be seen at all.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::explanation::Seen;
use super::knowledge::seen;
use super::rules::ListFormat;
use super::rules_from::RulesFrom;
use super::{EXIT_OK, UsageError};
use crate::attribute::{Vendor, Visibility};
use crate::model::CountryCode;

/// Say what can be seen of vendors, products and engines, why, and how often they make themselves known.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  avscope detectability --vendor kaspersky\n  \
    avscope detectability --visibility not_visible\n  avscope detectability --format json | jq 'select(.contact_seconds)'\n\n\
    wire_visible: a host with it is known by what it contacts. partly: some hosts are, or the vendor and not the product. web_only: only\n\
    visits to web sites, which are no evidence. not_visible: nothing is known by which it shows.\n\
    Absence of traffic means something only where something is wire_visible: avscope absence."
)]
pub struct DetectabilityArgs {
    /// Only this vendor.
    #[arg(long, value_name = "ID")]
    pub vendor: Option<String>,

    /// Only what can be seen so.
    #[arg(long, value_name = "WORD")]
    pub visibility: Option<Visibility>,

    /// A table for people, or one JSON object a line.
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,

    /// Where rules beside the built-in ones come from.
    #[command(flatten)]
    pub from: RulesFrom,
}

/// A company and its seat.
#[derive(Debug, Serialize)]
pub struct Company {
    /// The word in rules and events.
    pub id: String,
    /// The registered name.
    pub legal_name: String,
    /// Country of the legal seat.
    pub jurisdiction: CountryCode,
}

#[derive(Serialize)]
struct Line {
    vendor: Company,
    #[serde(flatten)]
    fact: Seen,
}

pub(super) fn company(vendor: &Vendor) -> Company {
    Company {
        id: vendor.id.clone(),
        legal_name: vendor.legal_name.clone(),
        jurisdiction: vendor.jurisdiction,
    }
}

/// Runs the command.
pub fn run(args: &DetectabilityArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let rules = args.from.ruleset()?;
    if let Some(id) = &args.vendor
        && rules.vendor_by_id(id).is_none()
    {
        return Err(UsageError(format!("no vendor is called {id:?}")).into());
    }
    let wanted = |vendor: &&Vendor| args.vendor.as_ref().is_none_or(|id| *id == vendor.id);
    let lines = rules.vendors().filter(wanted).flat_map(|vendor| {
        vendor.detectability.iter().map(|known| Line {
            vendor: company(vendor),
            fact: seen(known),
        })
    });
    let lines = lines.filter(|line| {
        args.visibility
            .is_none_or(|wanted| wanted == line.fact.visibility)
    });
    match args.format {
        ListFormat::Json => {
            for line in lines {
                serde_json::to_writer(&mut *out, &line)?;
                writeln!(out)?;
            }
        }
        ListFormat::Table => {
            let mut table = Table::new();
            table
                .load_style(presets::UTF8_HORIZONTAL_ONLY)
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_header(["vendor (seat)", "of", "can be seen", "why", "contact"]);
            for line in lines {
                let Line { vendor, fact } = line;
                let contact = [
                    fact.contact,
                    (fact.contact_seconds).map(|seconds| format!("every {seconds} s")),
                    fact.contact_source.map(|source| format!("({source})")),
                ];
                table.add_row([
                    format!("{} ({})", vendor.id, vendor.jurisdiction),
                    fact.of.unwrap_or_default(),
                    fact.visibility.to_string(),
                    fact.why,
                    contact.into_iter().flatten().collect::<Vec<_>>().join("\n"),
                ]);
            }
            writeln!(out, "{table}")?;
        }
    }
    Ok(ExitCode::from(EXIT_OK))
}
