//! `avscope detectability`: what is known about whether a vendor, a product or an engine can be seen at all.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::rules::ruleset;
use super::{EXIT_OK, UsageError};
use crate::attribute::{Detectability, Vendor, Visibility};
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
    #[arg(long, value_enum, default_value_t = FactFormat::Table)]
    pub format: FactFormat,

    /// Folder of rule files that add to the built-in rules or replace those of the same vendor.
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,

    /// Configuration file that may name that folder; found as `replay` finds it where not given.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How facts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FactFormat {
    /// A table for people.
    Table,
    /// One JSON object a line.
    Json,
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

/// Whether something can be seen.
#[derive(Debug, Serialize)]
pub struct Fact {
    /// The product or engine meant, if not the vendor as a whole.
    pub of: Option<String>,
    /// How much shows.
    pub visibility: Visibility,
    /// Why.
    pub why: String,
    /// How often it makes itself known.
    pub contact: Option<String>,
    /// The same as a number.
    pub contact_seconds: Option<u32>,
    /// Who says so.
    pub contact_source: Option<String>,
    /// Whether this follows from the rules instead of a source.
    pub derived: bool,
}

#[derive(Serialize)]
struct Line {
    vendor: Company,
    #[serde(flatten)]
    fact: Fact,
}

pub(super) fn company(vendor: &Vendor) -> Company {
    Company {
        id: vendor.id.clone(),
        legal_name: vendor.legal_name.clone(),
        jurisdiction: vendor.jurisdiction,
    }
}

pub(super) fn fact(fact: &Detectability) -> Fact {
    Fact {
        of: fact.product.clone().or_else(|| fact.engine.clone()),
        visibility: fact.visibility,
        why: fact.why.clone(),
        contact: fact.contact.clone(),
        contact_seconds: fact.interval.as_ref().map(|interval| interval.seconds),
        contact_source: (fact.interval.as_ref()).map(|interval| interval.source.clone()),
        derived: fact.derived,
    }
}

/// Runs the command.
pub fn run(args: &DetectabilityArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let rules = ruleset(args.rules.as_deref(), args.config.as_deref())?;
    if let Some(id) = &args.vendor
        && rules.vendor_by_id(id).is_none()
    {
        return Err(UsageError(format!("no vendor is called {id:?}")).into());
    }
    let wanted = |vendor: &&Vendor| args.vendor.as_ref().is_none_or(|id| *id == vendor.id);
    let lines = rules.vendors().filter(wanted).flat_map(|vendor| {
        vendor.detectability.iter().map(|known| Line {
            vendor: company(vendor),
            fact: fact(known),
        })
    });
    let lines = lines.filter(|line| {
        args.visibility
            .is_none_or(|wanted| wanted == line.fact.visibility)
    });
    match args.format {
        FactFormat::Json => {
            for line in lines {
                serde_json::to_writer(&mut *out, &line)?;
                writeln!(out)?;
            }
        }
        FactFormat::Table => {
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
