//! `avscope rules export` in: the rules in the format of others out.

use std::io::Write;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::vendor_number;
use crate::attribute::{Ruleset, ValidityDate};
use crate::cli::rules_from::RulesFrom;
use crate::exchange::{LeftOut, Selection, csv, hosts, misp, rpz, suricata, zeek};
use crate::model::Confidence;

/// Write the rules for Suricata, Zeek, MISP, resolvers, or as a table.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  avscope rules export --format suricata -o avscope.rules\n  \
    avscope rules export --format rpz --vendor kaspersky --confidence medium -o rpz.zone\n  \
    avscope rules export --format csv | less -S\n\n\
    What a format cannot carry is counted on standard error. An export says who contacts whom; it is no recommendation to block."
)]
pub struct ExportArgs {
    /// For whom the rules are written.
    #[arg(long, value_enum)]
    pub format: ExportFormat,

    /// Only the rules of this vendor; may be repeated.
    #[arg(long = "vendor", value_name = "ID")]
    pub vendors: Vec<String>,

    /// Only rules at least this sure: high, medium or low.
    #[arg(long, value_name = "LEVEL")]
    pub confidence: Option<Confidence>,

    /// Only rules that hold on this day, as in 2026-11-23. Default: all, also those that hold between certain days only.
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub at: Option<ValidityDate>,

    /// Write to this file, whole or not at all. Default: standard output.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Numbers for rules of Suricata, first and last.
    #[arg(long, value_name = "FIRST-LAST", default_value = "1500000-1999999", value_parser = range)]
    pub sids: RangeInclusive<u32>,

    /// What a resolver does with names of the policy zone.
    #[arg(long, value_enum, default_value_t = RpzAction::Passthru)]
    pub rpz_action: RpzAction,

    /// Name of the policy zone.
    #[arg(long, value_name = "NAME", default_value = "rpz.avscope.invalid", value_parser = zone_name)]
    pub rpz_zone: String,

    /// Serial number of the policy zone. Default: the day on which a source was last looked at, and 00.
    #[arg(long, value_name = "N")]
    pub rpz_serial: Option<u32>,

    /// Address that a hosts file gives to every name.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0")]
    pub hosts_address: IpAddr,

    /// Where rules beside the built-in ones come from.
    #[command(flatten)]
    pub from: RulesFrom,
}

/// For whom rules are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Rules for Suricata 7 or later.
    Suricata,
    /// A file for Zeek's Intelligence Framework.
    ZeekIntel,
    /// One MISP event, JSON.
    Misp,
    /// A response policy zone.
    Rpz,
    /// A hosts file.
    Hosts,
    /// A table of everything that is known.
    Csv,
}

/// What a resolver does with names of the policy zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RpzAction {
    /// Answers as without the zone, and logs where logging is on.
    Passthru,
    /// Answers that there is no such name.
    Nxdomain,
    /// Answers that the name has no such record.
    Nodata,
    /// Does not answer.
    Drop,
}

impl RpzAction {
    const fn action(self) -> rpz::Action {
        match self {
            Self::Passthru => rpz::Action::Passthru,
            Self::Nxdomain => rpz::Action::NxDomain,
            Self::Nodata => rpz::Action::NoData,
            Self::Drop => rpz::Action::Drop,
        }
    }
}

/// Runs `avscope rules export`.
pub fn run(args: &ExportArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let rules = args.from.ruleset()?;
    let vendors = args.vendors.iter().map(|id| vendor_number(&rules, id));
    let selection = Selection {
        vendors: vendors.collect::<anyhow::Result<_>>()?,
        confidence: args.confidence,
        at: args.at,
    };
    let (text, mut left_out) = written(args, &rules, &selection)?;
    let dated = selection.of(&rules).dated();
    if args.at.is_none() && dated > 0 {
        left_out.notes.push(format!(
            "{dated} patterns hold between certain days only; --at DAY leaves out those that do not hold on that day"
        ));
    }
    match &args.output {
        Some(path) => write_whole(path, text.as_bytes())?,
        None => out.write_all(text.as_bytes())?,
    }
    let mut stderr = std::io::stderr().lock();
    for line in left_out.to_string().lines() {
        let _ = writeln!(stderr, "avscope: {line}");
    }
    Ok(ExitCode::SUCCESS)
}

fn written(
    args: &ExportArgs,
    rules: &Ruleset,
    selection: &Selection,
) -> anyhow::Result<(String, LeftOut)> {
    let selected = selection.of(rules);
    Ok(match args.format {
        ExportFormat::Suricata => suricata::write(&selected, &args.sids)?,
        ExportFormat::ZeekIntel => zeek::write(&selected),
        ExportFormat::Misp => misp::write(&selected),
        ExportFormat::Rpz => rpz::write(
            &selected,
            &rpz::Zone {
                origin: args.rpz_zone.clone(),
                serial: args.rpz_serial,
                action: args.rpz_action.action(),
            },
        ),
        ExportFormat::Hosts => hosts::write(&selected, args.hosts_address),
        ExportFormat::Csv => csv::write(&selected)?,
    })
}

/// Writes beside the file and renames: a reader sees the old one or the new one.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().with_context(|| {
        format!(
            "{}: cannot write; is the folder there and writable?",
            path.display()
        )
    })
}

/// A day as in 2026-11-23.
pub(super) fn day(text: &str) -> Result<ValidityDate, String> {
    let wrong = || format!("{text:?} is not a day; write it as 2026-11-23");
    let whole: toml::value::Datetime = text.parse().map_err(|_| wrong())?;
    match (whole.date, whole.time, whole.offset) {
        (Some(date), None, None) => Ok(ValidityDate {
            year: date.year,
            month: date.month,
            day: date.day,
        }),
        _ => Err(wrong()),
    }
}

fn range(text: &str) -> Result<RangeInclusive<u32>, String> {
    let wrong = || format!("{text:?} is not a range; write it as 1500000-1999999");
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    let (first, last) = (first.parse(), last.parse());
    match (first, last) {
        (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(first..=last),
        _ => Err(wrong()),
    }
}

fn zone_name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    match crate::attribute::NamePattern::parse(&name) {
        Ok(pattern) if !pattern.wildcard && name.len() < 100 => Ok(name),
        Ok(_) => Err("give the name of a zone, below 100 characters".to_owned()),
        Err(problem) => Err(problem.to_string()),
    }
}
